use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use embassy_futures::join::join;
use net_core::events::Event;
use net_core::nal::{
    Read as _, TcpConnect, TcpListener as _, TcpSocket as _, TcpWrite as _, UdpSocket as _, UnconnectedUdp as _,
    Write as _,
};
use net_core::stack::{self, Config, HeapResources, PoolSizes, Stack};

use super::*;
use crate::block_on;
use crate::host::{HostConfig, HostNet};
use crate::pcap::{Pcap, PcapFile};
use crate::testing::{Folder, in_namespace};

fn config(name: &str) -> TapConfig {
    let host = vec!["10.0.0.1/24".parse().unwrap(), "fd00::1/64".parse().unwrap()];
    TapConfig { name: Some(name.to_owned()), host, ..TapConfig::default() }
}

fn device<D: Driver + 'static>(driver: D) -> Stack<'static> {
    let sizes = PoolSizes { tcp: 4, udp: 4, tcp_buffer: 4096, udp_buffer: 4096 };
    let resources = Box::leak(Box::new(HeapResources::growing(sizes)));
    let config =
        Config::new().with_ipv4("10.0.0.2/24".parse().unwrap(), None).with_ipv6("fd00::2/64".parse().unwrap(), None);
    let (stack, mut runner) = stack::new(driver, config, resources, 1).unwrap();
    tokio::task::spawn_local(async move { runner.run().await });
    stack
}

fn computer() -> HostNet {
    HostNet::new(HostConfig::default()).unwrap()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn the_computer_talks_to_the_device_and_all_of_it_is_captured() {
    in_namespace(|| {
        let folder = Folder::new();
        let capture = folder.path().join("capture");
        block_on(async {
            let tap = Tap::open(&config("lunet0")).unwrap();
            assert_eq!((tap.name(), tap.capabilities().max_transmission_unit), ("lunet0", 1514));
            let stack = device(Pcap::new(tap, Some(PcapFile::create(&capture).unwrap())));
            let host = computer();
            for ip in ["10.0.0.2:80", "[fd00::2]:80"] {
                let mut listener = stack.listen(addr(ip), 1).unwrap();
                let (client, server) = join(TcpConnect::connect(&host, addr(ip)), listener.accept()).await;
                let (mut client, mut server) = (client.unwrap(), server.unwrap());
                client.write_all(b"over the cable").await.unwrap();
                client.finish().await.unwrap();
                let mut got = [0; 32];
                assert_eq!(server.read(&mut got).await, Ok(14));
                assert_eq!(server.read(&mut got).await, Ok(0));
                assert_eq!(server.peer_addr(), client.local_addr());
            }
            let mut there = stack.bind(addr("0.0.0.0:9")).unwrap();
            let mut here = net_core::nal::UdpBind::bind(&host, addr("10.0.0.1:0")).await.unwrap();
            here.send(here.local_addr(), addr("10.0.0.2:9"), b"datagram").await.unwrap();
            let mut got = [0; 32];
            let (length, to, from) = there.receive_into(&mut got).await.unwrap();
            assert_eq!((length, to, from), (8, addr("10.0.0.2:9"), here.local_addr()));
        })
        .unwrap();
        // Made by us, it goes with us.
        assert_eq!(Netlink::open().unwrap().link("lunet0").unwrap(), None);
        // The file header, then each frame after its header.
        let bytes = fs::read(capture).unwrap();
        assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_ne_bytes());
        let (mut frames, mut rest) = (Vec::new(), &bytes[24..]);
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(*rest[8..].first_chunk().unwrap()) as usize;
            frames.push(&rest[16..16 + length]);
            rest = &rest[16 + length..];
        }
        let holds = |text: &[u8]| frames.iter().filter(|frame| frame.windows(text.len()).any(|w| w == text)).count();
        assert_eq!((holds(b"over the cable"), holds(b"datagram")), (2, 1));
    });
}

#[test]
fn an_interface_that_was_there_is_left_as_it_was() {
    in_namespace(|| {
        let made = Command::new("ip").args(["tuntap", "add", "dev", "old0", "mode", "tap"]).status();
        if !made.is_ok_and(|status| status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "the program `ip` is missing");
            return eprintln!("skipped: the program `ip` is missing");
        }
        let netlink = Netlink::open().unwrap();
        let before = netlink.link("old0").unwrap().unwrap();
        assert!(!before.up);
        block_on(async {
            // Its own address stays when ours goes.
            netlink.add_address(before.index, "10.0.0.1/24".parse().unwrap()).unwrap();
            let tap = Tap::open(&config("old0")).unwrap();
            assert!(netlink.link("old0").unwrap().unwrap().up);
            assert!(!netlink.add_address(before.index, "fd00::1/64".parse().unwrap()).unwrap());
            assert!(matches!(Tap::open(&config("old0")), Err(TapError::Busy(name)) if name == "old0"));
            drop(tap);
        })
        .unwrap();
        assert_eq!(netlink.link("old0").unwrap().unwrap(), before);
        assert!(!netlink.add_address(before.index, "10.0.0.1/24".parse().unwrap()).unwrap());
        assert!(netlink.add_address(before.index, "fd00::1/64".parse().unwrap()).unwrap());
    });
}

#[test]
fn the_link_goes_down_and_up_and_away_with_the_interface() {
    in_namespace(|| {
        block_on(async {
            let stack = device(Tap::open(&config("lunet0")).unwrap());
            let netlink = Netlink::open().unwrap();
            let index = netlink.link("lunet0").unwrap().unwrap().index;
            let mut events = stack.events().subscribe();
            let mut next_link = async || {
                loop {
                    let event = events.next().await;
                    if matches!(event, Event::LinkUp | Event::LinkDown) {
                        break event;
                    }
                }
            };
            assert!(stack.status().link_up);
            netlink.set_up(index, false).unwrap();
            assert_eq!(next_link().await, Event::LinkDown);
            netlink.set_up(index, true).unwrap();
            assert_eq!(next_link().await, Event::LinkUp);
            let gone = Command::new("ip").args(["link", "delete", "lunet0"]).status();
            if gone.is_ok_and(|status| status.success()) {
                assert_eq!(next_link().await, Event::LinkDown);
                assert!(!stack.status().link_up);
            }
        })
        .unwrap();
    });
}

#[test]
fn an_inherited_descriptor_is_used_and_not_closed() {
    in_namespace(|| {
        block_on(async {
            let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
            let tun = OwnedFd::from(tun);
            assert!(matches!(Tap::from_fd(tun.as_raw_fd(), &TapConfig::default()), Err(TapError::NotTap(_))));
            ioctl::attach(&tun, "given0", libc::IFF_TAP | libc::IFF_NO_PI).unwrap();
            for _ in 0..2 {
                let tap = Tap::from_fd(tun.as_raw_fd(), &config("ignored")).unwrap();
                assert_eq!(tap.name(), "given0");
            }
        })
        .unwrap();
    });
    assert!(matches!(Tap::from_fd(1, &TapConfig::default()), Err(TapError::NotTap(_))));
}

#[test]
fn errors_say_what_is_wrong() {
    in_namespace(|| {
        block_on(async {
            assert!(matches!(Tap::open(&config("lo")), Err(TapError::NotTap(name)) if name == "lo"));
            for name in ["", "a-name-of-16-bytes", "a/b"] {
                assert!(matches!(Tap::open(&config(name)), Err(TapError::BadName(bad)) if bad == name), "{name}");
            }
            let small = TapConfig { mtu: Some(1280), mac: "02:00:5e:00:53:01".parse().ok(), ..config("small0") };
            let tap = Tap::open(&small).unwrap();
            assert_eq!(tap.capabilities().max_transmission_unit, 1294);
            assert_eq!(tap.hardware_address(), HardwareAddress::Ethernet([2, 0, 0x5e, 0, 0x53, 1]));
            // A new interface gets the first free name.
            let other = Tap::open(&TapConfig::default()).unwrap();
            assert_eq!(other.name(), "tap0");
        })
        .unwrap();
    });
}
