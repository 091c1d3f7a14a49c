//! Two hosts on a cable, and counting what they do.

use core::net::SocketAddr;

use board::{instructions, println, spent_by};
use net_core::cable::{Cable, End, Quality};
use net_core::cidr::Ipv4Inet;
use net_core::stack::{self, Config, Resources, Runner, Stack};

pub(crate) type Memory = Resources<'static, 4, 2, 2048, 1536>;
type Host = (Stack<'static>, Runner<'static, End>);

/// 10.0.0.1 and 10.0.0.2.
pub(crate) fn hosts(one: &'static mut Memory, two: &'static mut Memory) -> (Host, Host) {
    let cable = Cable::new(Quality::PERFECT, 1);
    (host(&cable, one, 1), host(&cable, two, 2))
}

fn host(cable: &Cable, memory: &'static mut Memory, last: u8) -> Host {
    let address = Ipv4Inet::new([10, 0, 0, last].into(), 24).expect("a prefix length in range");
    let config = Config::new().with_ipv4(address, None);
    stack::new(cable.end(), config, memory, u64::from(last)).expect("a valid configuration")
}

pub(crate) fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], port))
}

pub(crate) fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

/// The number of the task that serves, the third of four.
const SERVER: usize = 2;

/// Does something so often, and prints how many instructions each took: both ends together, and what the serving task had
/// of them.
pub(crate) async fn count<F: Future<Output = ()>>(what: &str, times: u32, mut once: impl FnMut() -> F) {
    once().await; // whatever is slower the first time
    let (before, spent_before) = (instructions(), spent_by(SERVER));
    for _ in 0..times {
        once().await;
    }
    let each = |all: u64| all / u64::from(times);
    let (all, spent) = (each(instructions() - before), each(spent_by(SERVER) - spent_before));
    println(format_args!("{all:>9} {spent:>9}  {what}"));
}
