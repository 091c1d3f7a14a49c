//! The interface over embassy-net: state, events, groups, names.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::rc::Rc;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_net::{ConfigV4, StaticConfigV4};
use embassy_time::Timer;
use net_core::cable::{Cable, Quality};
use net_core::dns::{Family, Resolver};
use net_core::embassy_net::EmbassyNet;
use net_core::events::Event;
use net_core::nal::{Interface, Multicast, UdpBind, UnconnectedUdp};

use super::SECOND;
use super::common::*;
use super::devices::{device, device_with, run_with};

#[test]
fn what_happens_to_the_interface_is_told() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let one = device::<1, 1>(&cable, 1);
    let (net, stack) = (one.net, one.stack);
    let mut events = net.events().subscribe();
    run_with([one], [], async {
        assert_eq!(events.next().await, Event::LinkUp);
        let status = net.status();
        let addresses: Vec<_> = status.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1/24", "fd00::1/64"]);
        assert_eq!((status.link_up, status.hardware_address), (true, Some([2, 0, 0, 0, 0, 0])));
        cable.set_link(false);
        assert_eq!(events.next().await, Event::LinkDown);
        cable.set_link(true);
        assert_eq!(events.next().await, Event::LinkUp);
        stack.set_config_v4(ConfigV4::Static(StaticConfigV4 {
            address: embassy_net::Ipv4Cidr::new([192, 168, 1, 9].into(), 16),
            gateway: Some([192, 168, 0, 1].into()),
            dns_servers: [[192, 168, 0, 53].into()].into_iter().collect(),
        }));
        assert_eq!(events.next().await, Event::AddressRemoved("10.0.0.1/24".parse().unwrap()));
        assert_eq!(events.next().await, Event::AddressAdded("192.168.1.9/16".parse().unwrap()));
        assert_eq!(events.next().await, Event::DnsServersChanged);
        let status = net.status();
        assert_eq!(status.gateway_v4, Some([192, 168, 0, 1].into()));
        assert_eq!(status.dns_servers, [IpAddr::from([192, 168, 0, 53])]);
    });
}

#[test]
fn a_link_local_address_is_known() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let one = device_with::<1, 1>(&cable, embassy_net::Config::slaac(), 1);
    let net = one.net;
    run_with([one], [], async {
        let status = net.status();
        let addresses: Vec<_> = status.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["fe80::ff:fe00:0/64"]);
        assert!(!status.is_configured());
        assert!(net.bind("[fe80::ff:fe00:0]:9".parse().unwrap()).await.is_ok());
    });
}

/// embassy-net lets several waiters for the state of the interface wake each other without end.
#[test]
fn an_idle_adapter_is_idle() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut one = device::<4, 4>(&cable, 1);
    let stack = one.stack;
    let polls = Rc::new(Cell::new(0));
    let (counted, beside) = (polls.clone(), one.tasks.pop().unwrap());
    one.tasks.push(Box::pin(async move { virtual_time::counting_polls(&counted, beside).await }));
    run_with([one], [], async {
        // The firmware waits for the same.
        let waits = select(stack.wait_link_down(), Timer::after(SECOND * 60)).await;
        assert!(matches!(waits, Either::Second(())));
    });
    assert!(polls.get() < 300, "{} polls in an idle minute", polls.get());
}

#[test]
fn groups_are_joined_reported_and_reported_anew_on_another_link() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<1, 1>(&cable, 1), device::<1, 1>(&cable, 2));
    let (member, sender) = (one.net, two.net);
    let reports = Rc::new(RefCell::new(Vec::new()));
    let seen = reports.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 0 && frame[12..14] == [8, 0] && frame[23] == 2 {
            // The type of the IGMP message, behind an IP header of whatever length.
            seen.borrow_mut().push(frame[14 + usize::from(frame[14] & 15) * 4]);
        }
        true
    }));
    let (report, leave) = (0x16, 0x17);
    run_with([one, two], [], async {
        let group = IpAddr::from([239, 1, 2, 3]);
        let mut socket = member.bind(any(9)).await.unwrap();
        let mut other = sender.bind(any(0)).await.unwrap();
        Timer::after(SECOND).await;
        member.join_group(group).unwrap();
        Timer::after(SECOND).await;
        assert_eq!(reports.borrow_mut().split_off(0), [report]);
        other.send(any(0), (group, 9).into(), b"to the group").await.unwrap();
        let mut buffer = [0; 20];
        assert_eq!(socket.receive_into(&mut buffer).await.unwrap().0, 12);
        cable.set_link(false);
        Timer::after(SECOND).await;
        cable.set_link(true);
        Timer::after(SECOND).await;
        assert_eq!(reports.borrow_mut().split_off(0), [leave, report]);
        // A querier is answered, though embassy-net forgets the time for that.
        let mut query = vec![1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0];
        query.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 2, 224, 0, 0, 1, 0x11, 20, 0, 0, 0, 0, 0, 0]);
        let right = checksum(sum(&query[14..34]));
        query[24..26].copy_from_slice(&right);
        let right = checksum(sum(&query[34..42]));
        query[36..38].copy_from_slice(&right);
        cable.inject(1, &query);
        Timer::after(SECOND * 3).await;
        assert_eq!(reports.borrow_mut().split_off(0), [report]);
        member.leave_group(group).unwrap();
        Timer::after(SECOND).await;
        assert_eq!(reports.borrow_mut().split_off(0), [leave]);
    });
}

/// Answers every question for an IPv4 address with 10.0.0.1.
async fn name_server(net: EmbassyNet) {
    let mut socket = net.bind(any(53)).await.unwrap();
    let mut buffer = [0; 512];
    loop {
        let (_, to, from) = socket.receive_into(&mut buffer).await.unwrap();
        let question_end = 12 + buffer[12..].iter().position(|b| *b == 0).unwrap() + 5;
        let mut reply = buffer[..question_end].to_vec();
        reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        socket.send(to, from, &reply).await.unwrap();
    }
}

#[test]
fn our_resolver_works_over_it() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<1, 2>(&cable, 1), device::<1, 2>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], async {
        let resolver: Resolver<_> = Resolver::new(client, 7);
        // The first answers nothing: it is not there.
        resolver.set_servers(&[v4(77, 0).ip(), v4(1, 0).ip()]);
        let lookups = async {
            let found =
                join(resolver.lookup("one.example", Family::V4), resolver.lookup("two.example", Family::V4)).await;
            for addresses in [found.0, found.1] {
                assert_eq!(addresses.unwrap().as_slice(), [IpAddr::from([10, 0, 0, 1])]);
            }
        };
        assert!(matches!(select(name_server(server), lookups).await, Either::Second(())));
    });
}

/// Answers every question that comes to the mDNS group with 10.0.0.1.
async fn mdns_responder(net: EmbassyNet) {
    net.join_group([224, 0, 0, 251].into()).unwrap();
    let mut socket = net.bind(any(5353)).await.unwrap();
    let mut buffer = [0; 512];
    loop {
        let (n, _, from) = socket.receive_into(&mut buffer).await.unwrap();
        let mut reply = buffer[..n].to_vec();
        reply[2..8].copy_from_slice(&[0x84, 0, 0, 1, 0, 1]);
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 10, 0, 0, 1]);
        socket.send(any(0), from, &reply).await.unwrap();
    }
}

#[test]
fn our_resolver_asks_the_link_over_it() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<1, 2>(&cable, 1), device::<1, 1>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], async {
        let resolver: Resolver<_> = Resolver::new(client, 7);
        let start = embassy_time::Instant::now();
        match select(mdns_responder(server), resolver.lookup("lamp.local", Family::V4)).await {
            Either::First(()) => panic!("the responder ended"),
            Either::Second(found) => assert_eq!(found.unwrap().as_slice(), [IpAddr::from([10, 0, 0, 1])]),
        }
        assert!(start.elapsed() < SECOND * 2);
        assert_eq!(client.stats().udp_sockets, 0);
    });
}
