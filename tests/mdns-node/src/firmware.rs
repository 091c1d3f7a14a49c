//! What the two programs have in common: a stack on a network card, and one task on it.

use core::panic::PanicInfo;
use core::pin::pin;

use mdns_node::{Card, DATAGRAM};
use net_core::cidr::Ipv4Inet;
use net_core::stack::{self, Config, Resources, Stack};
use static_cell::ConstStaticCell;

/// One UDP socket, whose queues hold a datagram each.
type Sockets = Resources<'static, 0, 1, 0, DATAGRAM>;

static CARD: ConstStaticCell<Card> = ConstStaticCell::new(Card::new());
static SOCKETS: ConstStaticCell<Sockets> = ConstStaticCell::new(Sockets::new());

/// Runs `task` for ever.
pub(crate) fn run(task: impl AsyncFnOnce(Stack<'static>)) -> ! {
    let address = Ipv4Inet::new([10, 0, 0, 1].into(), 24).ok();
    let config = address.map_or(Config::new(), |address| Config::new().with_ipv4(address, None));
    if let Ok((stack, mut runner)) = stack::new(CARD.take(), config, SOCKETS.take(), 1) {
        board::run(&mut [pin!(async { match runner.run().await {} }), pin!(task(stack))]);
    }
    board::power_off(false)
}

/// As in firmware that has no console: a panic takes no memory for its message.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    board::power_off(false)
}
