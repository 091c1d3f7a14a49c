//! A small device with an mDNS name, three services and a cache of 32 records, that browses; and beside it one that only
//! echoes datagrams on the same stack: the difference of the two programs is what mDNS takes of a chip's memory.
//!
//! There is no allocator in these programs: that they link shows that neither stack nor service needs one.
#![cfg_attr(target_os = "none", no_std)]
// A test: what goes wrong ends it.
#![allow(clippy::expect_used, clippy::large_futures)]

use core::net::SocketAddr;

use embassy_futures::join::join;
use net_core::nal::{UdpBind, UnconnectedUdp as _};
use net_core::stack::Stack;
use net_services::mdns::{Config, Found, Mdns, Resources, Service};

pub use idle_card::Card;

/// Bytes of a datagram.
pub const DATAGRAM: usize = 1472;
/// Memory for 3 services, 4 questions at once and 32 records.
pub type Names = Resources<3, 4, 32>;

/// What mDNS has beside the stack's socket.
pub struct Memory {
    names: Names,
    buffer: [u8; DATAGRAM],
}

impl Memory {
    /// At first it holds nothing.
    pub const NEW: Self = Self { names: Names::new(), buffer: [0; DATAGRAM] };
}

/// Publishes a host and three services, and browses, for ever.
///
/// # Panics
/// When the stack has no socket, or a service does not fit.
pub async fn node(stack: Stack<'static>, memory: &mut Memory) {
    let mdns = Mdns::new(Config::new(), &mut memory.names, 1);
    mdns.set_host_name("lamp").expect("a name");
    let web = Service { kind: "_http._tcp", port: 80, txt: &["path=/"], ..Service::default() };
    let console = Service { kind: "_telnet._tcp", port: 23, ..Service::default() };
    let light = Service {
        instance: "Lamp on the desk",
        kind: "_light._udp",
        subtypes: &["_dimmable"],
        port: 5683,
        txt: &["model=L1", "colour"],
        ..Service::default()
    };
    for service in [web, console, light] {
        mdns.publish(&service).expect("room for three");
    }
    let follow = async {
        let mut browse = mdns.browse::<4>("_light._udp").expect("room for a question");
        let mut buffer = [0; 256];
        let mut others = 0u32;
        loop {
            match browse.next(&mut buffer).await {
                Ok(Found::Added(_)) => others += 1,
                Ok(Found::Removed(_)) => others -= 1,
                _ => {}
            }
            core::hint::black_box(others);
        }
    };
    let (ended, ()) = join(mdns.run(&stack, &mut memory.buffer), follow).await;
    ended.expect("a free port");
}

/// Echoes datagrams on port 7, for ever.
///
/// # Panics
/// When the stack has no socket.
pub async fn plain(stack: Stack<'static>) {
    let mut socket = UdpBind::bind(&stack, SocketAddr::from(([0, 0, 0, 0], 7))).await.expect("a free socket");
    let mut buffer = [0; 64];
    while let Ok((length, local, remote)) = socket.receive_into(&mut buffer).await {
        let _ = socket.send(local, remote, buffer.get(..length).unwrap_or_default()).await; // the next may go
    }
}
