//! Multicast between computer and device, on interfaces of a test's own.

use std::io::IoSliceMut;
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;

use net_core::cidr::IpInet;
use net_core::nal::{UdpBind, UdpSocket as _, UnconnectedUdp as _};
use net_core::stack::{self, Config, HeapResources, PoolSizes, Stack};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};

use super::super::HostConfig;
use super::*;
use crate::block_on;
use crate::tap::{Tap, TapConfig};
use crate::testing::in_namespace;

const MDNS: u16 = 5353;

fn any() -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, MDNS).into()
}

/// A device with the address 10.0.`n`.2 at a TAP interface `lunetN` of the computer, with 10.0.`n`.1.
fn device(n: u8) -> Stack<'static> {
    let net = |host: u8| format!("10.0.{n}.{host}/24").parse::<IpInet>().unwrap();
    let tap = TapConfig { name: Some(format!("lunet{n}")), host: vec![net(1)], ..TapConfig::default() };
    let sizes = PoolSizes { tcp: 1, udp: 4, tcp_buffer: 4096, udp_buffer: 4096 };
    let resources = Box::leak(Box::new(HeapResources::growing(sizes)));
    let IpInet::V4(address) = net(2) else { unreachable!() };
    let config = Config::new().with_ipv4(address, None);
    let (stack, mut runner) = stack::new(Tap::open(&tap).unwrap(), config, resources, u64::from(n)).unwrap();
    tokio::task::spawn_local(async move { runner.run().await });
    stack
}

fn computer(n: u8) -> HostNet {
    HostNet::new(HostConfig { interface: Some(format!("lunet{n}")), ..HostConfig::default() }).unwrap()
}

/// A test's namespace in which IPv6 addresses are usable at once.
fn in_network(test: impl AsyncFnOnce() + Send + 'static) {
    in_namespace(|| {
        for which in ["default", "all"] {
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{which}/accept_dad"), "0").unwrap();
        }
        block_on(test()).unwrap();
    });
}

async fn link_local(net: &impl net_core::nal::Interface) -> IpAddr {
    loop {
        let own = net.status().addresses;
        let found =
            own.iter().map(IpInet::address).find(|ip| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()));
        if let Some(ip) = found {
            return ip;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// M-30, M-31: one interface's socket, for both IP versions.
#[test]
fn what_multicast_dns_needs_over_host_sockets() {
    in_network(async || {
        let device = device(1);
        let computer = computer(1);
        let (here, there) = (link_local(&computer).await, link_local(&device).await);
        nal_suite::multicast_dns(&computer, &device, &[[10, 0, 1, 2].into(), there]).await;
        nal_suite::multicast_dns(&device, &computer, &[[10, 0, 1, 1].into(), here]).await;
    });
}

/// RFC 6762 section 15: programs share the port, and each hears what is sent to all.
#[test]
fn a_shared_port_is_shared_and_what_is_sent_to_a_group_reaches_all() {
    in_network(async || {
        let device = device(1);
        let computer = computer(1);
        let group = IpAddr::from([224, 0, 0, 251]);
        computer.join_group(group).unwrap();
        let one = computer.bind_shared(any()).await.unwrap();
        let two = computer.bind_shared(any()).await.unwrap();
        // As Avahi has it: one socket for each IP version, on all interfaces.
        let whole = HostNet::new(HostConfig::default()).unwrap();
        let avahi = whole.bind_shared((Ipv4Addr::UNSPECIFIED, MDNS).into()).await.unwrap();
        assert_eq!(UdpBind::bind(&computer, any()).await.map(drop), Err(Error::AddressInUse), "not by who shares not");
        let mut other = device.bind((Ipv4Addr::UNSPECIFIED, MDNS).into()).unwrap();
        other.send((Ipv4Addr::UNSPECIFIED, 0).into(), (group, MDNS).into(), b"to all").await.unwrap();
        for mut socket in [one, two, avahi] {
            let mut buffer = [0; 10];
            let (n, to, from) = socket.receive_into(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..n], to, from.ip()), (&b"to all"[..], (group, MDNS).into(), [10, 0, 1, 2].into()));
        }
    });
}

/// What is sent goes out with every hop, and comes back to the computer's own sockets.
#[test]
fn hop_limits_hold_for_groups_too() {
    in_network(async || {
        let _device = device(1);
        let computer = computer(1);
        let group = IpAddr::from([224, 0, 0, 251]);
        computer.join_group(group).unwrap();
        let mut socket = computer.bind_shared(any()).await.unwrap();
        socket.set_hop_limit(255).unwrap();
        assert_eq!(socket.hop_limit(), 255);
        let receiver = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
        receiver.set_reuse_address(true).unwrap();
        setsockopt(&receiver, sockopt::Ipv4RecvTtl, &true).unwrap();
        receiver.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, MDNS)).into()).unwrap();
        socket.send((Ipv4Addr::UNSPECIFIED, 0).into(), (group, MDNS).into(), b"x").await.unwrap();
        let mut buffer = [0; 10];
        let (_, to, from) = socket.receive_into(&mut buffer).await.unwrap();
        assert_eq!((to, from), ((group, MDNS).into(), ([10, 0, 1, 1], MDNS).into()));
        assert_eq!(ttl(&receiver), 255);
    });
}

/// The time to live that the next datagram came with.
fn ttl(socket: &Socket) -> i32 {
    let (mut buffer, mut control) = ([0; 10], nix::cmsg_space!(i32));
    let mut parts = [IoSliceMut::new(&mut buffer)];
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()).unwrap();
    let found = message.cmsgs().unwrap().find_map(|control| match control {
        ControlMessageOwned::Ipv4Ttl(ttl) => Some(ttl),
        _ => None,
    });
    found.unwrap()
}

/// A network of one interface hears nothing of the others, neither by group nor by address.
#[test]
fn a_network_on_one_interface_hears_only_that() {
    in_network(async || {
        let (near, far) = (device(1), device(2));
        let computer = computer(1);
        let group = IpAddr::from([224, 0, 0, 251]);
        // Somebody else on this computer is in the group on the other interface too.
        let elsewhere = super::tests::computer(2);
        elsewhere.join_group(group).unwrap();
        computer.join_group(group).unwrap();
        let mut there = elsewhere.bind_shared(any()).await.unwrap();
        let mut here = computer.bind_shared(any()).await.unwrap();
        let nowhere = || SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut buffer = [0; 10];
        let mut far = far.bind((Ipv4Addr::UNSPECIFIED, MDNS).into()).unwrap();
        for (to, own) in [(group, [10, 0, 2, 2]), ([10, 0, 2, 1].into(), [10, 0, 2, 2])] {
            far.send(nowhere(), (to, MDNS).into(), b"far").await.unwrap();
            let (n, local, from) = there.receive_into(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..n], local.ip(), from.ip()), (&b"far"[..], to, own.into()));
        }
        // It comes later, and is the first that is heard here.
        let mut near = near.bind((Ipv4Addr::UNSPECIFIED, MDNS).into()).unwrap();
        near.send(nowhere(), (group, MDNS).into(), b"near").await.unwrap();
        assert_eq!(here.receive_into(&mut buffer).await.unwrap().0, 4);
        assert_eq!(&buffer[..4], b"near");
    });
}
