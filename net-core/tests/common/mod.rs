//! Hosts on an in-memory cable, in virtual time.
#![allow(dead_code, unreachable_pub)] // each test program uses its own part
#![allow(clippy::unwrap_used)] // clippy knows test functions, but not what they share

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use embassy_futures::select::{Either, select};
use net_core::cable::{Cable, End, Quality};
use net_core::cidr::{Ipv4Inet, Ipv6Inet};
use net_core::nal::{Read, TcpSocket};
use net_core::stack::{self, Config, HeapResources, PoolSizes, Resources, Runner, Stack};

pub struct Host {
    pub stack: Stack<'static>,
    pub runner: Runner<'static, End>,
}

pub const SIZES: PoolSizes = PoolSizes { tcp: 64, udp: 16, tcp_buffer: 4096, udp_buffer: 8192 };

/// A host with the addresses 10.0.0.`n` and fd00::`n`, and sockets on the heap.
pub fn host(cable: &Cable, n: u8) -> Host {
    host_with(cable, static_config(n), SIZES, u64::from(n))
}

pub fn static_config(n: u8) -> Config {
    let ipv4 = Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap();
    let ipv6 = Ipv6Inet::new([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)].into(), 64).unwrap();
    Config::new().with_ipv4(ipv4, None).with_ipv6(ipv6, None)
}

pub fn host_with(cable: &Cable, config: Config, sizes: PoolSizes, seed: u64) -> Host {
    let resources = Box::leak(Box::new(HeapResources::growing(sizes)));
    let (stack, runner) = stack::new(cable.end(), config, resources, seed).unwrap();
    Host { stack, runner }
}

/// A host whose sockets are a fixed pool.
pub fn small_host<const TCP: usize, const UDP: usize>(cable: &Cable, config: Config) -> Host {
    let resources = Box::leak(Box::new(Resources::<TCP, UDP, 4096, 4096>::new()));
    let (stack, runner) = stack::new(cable.end(), config, resources, 99).unwrap();
    Host { stack, runner }
}

/// Runs `test` while the hosts run. Every host is a task of its own: it is polled only when something woke it.
pub fn run<F: Future>(hosts: impl IntoIterator<Item = Host>, test: F) -> F::Output {
    let runners = hosts.into_iter().map(|mut host| virtual_time::own_task(async move { host.runner.run().await }));
    let all = virtual_time::join_all(runners.collect());
    virtual_time::block_on(async {
        match select(all, virtual_time::own_task(test)).await {
            Either::First(_) => unreachable!("runners never end"),
            Either::Second(output) => output,
        }
    })
}

/// Two hosts, 10.0.0.1 and 10.0.0.2, on a cable.
pub fn pair(quality: Quality, seed: u64) -> (Cable, Host, Host) {
    let cable = Cable::new(quality, seed);
    let (one, two) = (host(&cable, 1), host(&cable, 2));
    (cable, one, two)
}

pub fn v4(n: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, n], port))
}

pub fn v6(n: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)], port))
}

pub fn any(port: u16) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], port))
}

pub fn any6(port: u16) -> SocketAddr {
    SocketAddr::from(([0u16; 8], port))
}

/// `n` bytes that repeat only after 251, so that a lost, doubled or shifted piece shows.
pub fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

pub async fn read_to_end(socket: &mut impl Read<Error = net_core::Error>) -> Result<Vec<u8>, net_core::Error> {
    let mut all = Vec::new();
    let mut buffer = [0; 1500];
    loop {
        match socket.read(&mut buffer).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Sends everything back until the peer has finished.
pub async fn echo(mut socket: impl TcpSocket) {
    let mut buffer = [0; 2048];
    while let Ok(n) = socket.read(&mut buffer).await {
        if n == 0 {
            let _ = socket.finish().await;
            return;
        }
        if socket.write_all(&buffer[..n]).await.is_err() {
            return;
        }
    }
}

/// The link-local address of a host.
pub fn link_local(stack: &Stack<'static>) -> IpAddr {
    let own = stack.status().addresses;
    let is_link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    own.iter().map(|net| net.address()).find(is_link_local).unwrap()
}

/// Notes the time to live or hop limit of every UDP datagram.
pub fn watch_hops(cable: &Cable) -> Rc<RefCell<Vec<u8>>> {
    let hops = Rc::new(RefCell::new(Vec::new()));
    let seen = hops.clone();
    cable.set_filter(Box::new(move |_, frame| {
        match (&frame[12..14], frame[23], frame[20]) {
            ([8, 0], 17, _) => seen.borrow_mut().push(frame[22]),
            ([0x86, 0xdd], _, 17) => seen.borrow_mut().push(frame[21]),
            _ => {}
        }
        true
    }));
    hops
}

/// The sum of a packet's 16-bit words, before it is folded (RFC 1071).
pub fn sum(data: &[u8]) -> u32 {
    data.chunks(2).map(|c| u32::from(u16::from_be_bytes([c[0], *c.get(1).unwrap_or(&0)]))).sum()
}

/// The Internet checksum of what has this sum; 0 for a packet whose checksum is right.
pub fn checksum(mut sum: u32) -> [u8; 2] {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}
