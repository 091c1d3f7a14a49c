//! What the two programs have in common: a stack on a network card, and one server.

use core::panic::PanicInfo;
use core::pin::pin;

use net_core::cidr::Ipv4Inet;
use net_core::stack::{self, Config, Resources, Stack};
use page_server::{BUFFER, Buffers, CONNECTIONS, Card, NO_BUFFERS};
use static_cell::ConstStaticCell;

type Memory = Resources<'static, CONNECTIONS, 0, BUFFER, 0>;

static CARD: ConstStaticCell<Card> = ConstStaticCell::new(Card::new());
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static BUFFERS: ConstStaticCell<Buffers> = ConstStaticCell::new(NO_BUFFERS);

/// Runs `server` for ever.
pub(crate) fn run(server: impl AsyncFnOnce(Stack<'static>, &mut Buffers)) -> ! {
    let address = Ipv4Inet::new([10, 0, 0, 1].into(), 24).ok();
    let config = address.map_or(Config::new(), |address| Config::new().with_ipv4(address, None));
    if let Ok((stack, mut runner)) = stack::new(CARD.take(), config, MEMORY.take(), 1) {
        board::run(&mut [pin!(async { match runner.run().await {} }), pin!(server(stack, BUFFERS.take()))]);
    }
    board::power_off(false)
}

/// As in firmware that has no console: a panic takes no memory for its message.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::power_off(false)
}
