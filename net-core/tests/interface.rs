//! An interface: DHCP, router advertisements, link changes, events, ping.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)] // helpers of tests are tests

mod common;

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;

use common::*;
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::cidr::IpInet;
use net_core::events::{Event, Events};
use net_core::nal::{Read, TcpListener as _, UdpSocket as _, UnconnectedUdp, Write};
use net_core::stack::{Config, Ipv4Config, Ipv6Config, PingOptions, Stack};

const SECOND: Duration = Duration::from_secs(1);

/// A DHCP server on 10.0.0.1 that leases 10.0.0.50 for `lease` seconds, until told to fall silent.
async fn dhcp_server(stack: Stack<'static>, lease: u32, silent: Rc<Cell<bool>>, host_name: Rc<Cell<Option<String>>>) {
    let mut socket = stack.bind(any(67)).unwrap();
    let mut buffer = [0; 1500];
    loop {
        let (n, ..) = socket.receive_into(&mut buffer).await.unwrap();
        let request = &buffer[..n];
        let mut options = &request[240..];
        let (mut kind, mut asked_for_ntp) = (0, false);
        while options[0] != 255 {
            let (code, length) = (options[0], usize::from(options[1]));
            let value = &options[2..2 + length];
            match code {
                53 => kind = value[0],
                12 => host_name.set(Some(String::from_utf8(value.to_vec()).unwrap())),
                55 => asked_for_ntp = value.contains(&42),
                _ => {}
            }
            options = &options[2 + length..];
        }
        if silent.get() {
            continue;
        }
        let mut reply = vec![0; 240];
        reply[0] = 2;
        reply[1..3].copy_from_slice(&[1, 6]);
        reply[4..12].copy_from_slice(&request[4..12]); // xid, secs, flags
        reply[16..20].copy_from_slice(&[10, 0, 0, 50]);
        reply[28..44].copy_from_slice(&request[28..44]);
        reply[236..240].copy_from_slice(&request[236..240]);
        reply.extend([53, 1, if kind == 1 { 2 } else { 5 }, 54, 4, 10, 0, 0, 1, 1, 4, 255, 255, 255, 0]);
        reply.extend([3, 4, 10, 0, 0, 1, 6, 8, 10, 0, 0, 1, 9, 9, 9, 9, 51, 4]);
        reply.extend(lease.to_be_bytes());
        if asked_for_ntp {
            reply.extend([42, 4, 10, 0, 0, 3]);
        }
        reply.push(255);
        reply.resize(300, 0);
        socket.send(v4(1, 67), "255.255.255.255:68".parse().unwrap(), &reply).await.unwrap();
    }
}

async fn expect(events: &mut Events<'_>, expected: &[Event]) {
    for event in expected {
        assert_eq!(with_timeout(SECOND * 3600, events.next()).await, Ok(*event));
    }
}

fn net(text: &str) -> IpInet {
    text.parse().unwrap()
}

#[test]
fn dhcp_gives_an_address_and_takes_it_away() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = host(&cable, 1);
    let mut config = Config::new();
    config.ipv6 = Ipv6Config::None;
    config.host_name = "lamp-3".try_into().unwrap();
    let client = host_with(&cable, config, SIZES, 2);
    let (s, c) = (server.stack, client.stack);
    let (silent, host_name) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(None)));
    let serve = dhcp_server(s, 600, silent.clone(), host_name.clone());
    let test = async {
        let mut events = c.events().subscribe();
        assert!(!c.status().is_configured());
        c.wait_configured().await;
        let address = net("10.0.0.50/24");
        expect(&mut events, &[Event::LeaseAcquired, Event::DnsServersChanged, Event::AddressAdded(address)]).await;
        let status = c.status();
        assert_eq!(status.addresses, [address]);
        assert_eq!(status.gateway_v4, Some("10.0.0.1".parse().unwrap()));
        assert_eq!(status.dns_servers, [IpAddr::from([10, 0, 0, 1]), IpAddr::from([9, 9, 9, 9])]);
        assert_eq!(status.ntp_servers, ["10.0.0.3".parse::<std::net::Ipv4Addr>().unwrap()]);
        assert_eq!(host_name.take().as_deref(), Some("lamp-3"));
        assert!(c.ping(v4(1, 0).ip(), PingOptions::default()).await.is_ok());

        // Renewed for as long as the server answers, lost ten minutes after it last did.
        Timer::after(SECOND * 3600).await;
        assert_eq!((events.try_next(), c.status().addresses.len()), (None, 1));
        silent.set(true);
        let lost = [Event::LeaseLost, Event::DnsServersChanged, Event::AddressRemoved(address)];
        expect(&mut events, &lost).await;
        assert!(!c.status().is_configured() && c.status().gateway_v4.is_none());
        silent.set(false);
        let back = [Event::LeaseAcquired, Event::DnsServersChanged, Event::AddressAdded(address)];
        expect(&mut events, &back).await;

        // The link takes it away too, and brings it back.
        cable.set_link(false);
        assert_eq!(events.next().await, Event::LinkDown);
        expect(&mut events, &lost).await;
        assert_eq!(c.connect(v4(1, 80)).await.unwrap_err(), Error::Unreachable);
        Timer::after(SECOND * 100).await;
        cable.set_link(true);
        assert_eq!(events.next().await, Event::LinkUp);
        expect(&mut events, &back).await;

        // And so does another configuration.
        c.set_ipv4(Ipv4Config::None).unwrap();
        expect(&mut events, &lost).await;
        let address = "10.0.0.60/24".parse().unwrap();
        c.set_ipv4(Ipv4Config::Static { address, gateway: None }).unwrap();
        expect(&mut events, &[Event::AddressAdded(net("10.0.0.60/24"))]).await;
        let wrong = "255.255.255.255/24".parse().unwrap();
        let wrong = c.set_ipv4(Ipv4Config::Static { address: wrong, gateway: None });
        assert_eq!(wrong, Err(Error::InvalidInput));
    };
    run([server, client], async {
        match select(serve, test).await {
            Either::First(()) | Either::Second(()) => {}
        }
    });
}

#[test]
fn a_connection_from_an_address_that_is_lost_says_so_and_one_from_an_address_that_stays_survives_the_link() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut listener = server.listen(any(80), 2).unwrap();
        let (a, c) = join(listener.accept(), client.connect(v4(1, 80))).await;
        let (mut a, mut c) = (a.unwrap(), c.unwrap());
        cable.set_link(false);
        Timer::after(SECOND * 5).await;
        c.write_all(b"patience").await.unwrap();
        cable.set_link(true);
        let mut buffer = [0; 20];
        assert_eq!(a.read(&mut buffer).await, Ok(8), "a cable that was out for a while");
        client.set_ipv4(Ipv4Config::None).unwrap();
        assert_eq!(c.read(&mut buffer).await, Err(Error::AddressNotAvailable));
    });
}

/// A router advertisement from fe80::1 (02:00:00:00:00:01) with the prefix fd12::/64, for so many seconds.
fn advertisement(router_lifetime: u16, prefix_lifetime: u32) -> Vec<u8> {
    let source: Ipv6Addr = "fe80::1".parse().unwrap();
    let all_nodes: Ipv6Addr = "ff02::1".parse().unwrap();
    let mut icmp = vec![134, 0, 0, 0, 64, 0];
    icmp.extend(router_lifetime.to_be_bytes());
    icmp.extend([0; 8]);
    icmp.extend([1, 1, 2, 0, 0, 0, 0, 1]); // source link-layer address
    icmp.extend([3, 4, 64, 0xc0]);
    icmp.extend(prefix_lifetime.to_be_bytes());
    icmp.extend(prefix_lifetime.to_be_bytes());
    icmp.extend([0; 4]);
    icmp.extend("fd12::".parse::<Ipv6Addr>().unwrap().octets());
    let pseudo = [&source.octets()[..], &all_nodes.octets(), &[0, 0, 0, icmp.len() as u8, 0, 0, 0, 58], &icmp].concat();
    icmp[2..4].copy_from_slice(&checksum(sum(&pseudo)));
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0];
    frame.extend([0, icmp.len() as u8, 58, 255]);
    frame.extend(source.octets());
    frame.extend(all_nodes.octets());
    frame.extend(icmp);
    frame
}

/// Defect 2 of smoltcp: nothing else happens on this interface, so its own deadline for solicitations and lifetimes is
/// never seen.
#[test]
fn router_solicitations_and_lifetimes_need_no_other_traffic() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut config = Config::new();
    config.ipv4 = Ipv4Config::None;
    let client = host_with(&cable, config, SIZES, 2);
    let _router = cable.end();
    let c = client.stack;
    let solicitations = Rc::new(Cell::new(0));
    let seen = solicitations.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 0 && frame[12..14] == [0x86, 0xdd] && frame[20] == 58 && frame[54] == 133 {
            seen.set(seen.get() + 1);
        }
        true
    }));
    run([client], async {
        let mut events = c.events().subscribe();
        let link_local = net("fe80::ff:fe00:0/64");
        assert_eq!(c.status().addresses, [link_local]);
        assert!(!c.status().is_configured());
        Timer::after(SECOND * 20).await;
        assert_eq!(solicitations.get(), 3, "RFC 4861 section 10");
        cable.inject(1, &advertisement(100, 300));
        c.wait_configured().await;
        let mut told = Vec::new();
        while let Some(event) = events.try_next() {
            told.push(event);
        }
        let address = net("fd12::ff:fe00:0/64");
        assert!(told.contains(&Event::AddressAdded(address)), "{told:?}");
        assert_eq!(c.status().gateway_v6, Some("fe80::1".parse().unwrap()));
        Timer::after(SECOND * 200).await;
        assert_eq!(c.status().gateway_v6, None, "the router's lifetime was 100 s");
        assert_eq!(c.status().addresses, [link_local, address]);
        expect(&mut events, &[Event::AddressRemoved(address)]).await;
        assert!(Instant::now().as_secs() < 20 + 300 + 120);

        // A link that comes back asks again.
        let before = solicitations.get();
        cable.set_link(false);
        Timer::after(SECOND * 5).await;
        cable.set_link(true);
        Timer::after(SECOND * 20).await;
        assert_eq!(solicitations.get(), before + 3);
    });
}

#[test]
fn several_waiters_for_an_address_do_not_wake_each_other() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut config = Config::new();
    config.ipv6 = Ipv6Config::None;
    let client = host_with(&cable, config, SIZES, 2);
    let c = client.stack;
    let polls = Cell::new(0);
    run([client], async {
        let waiters: Vec<_> = (0..20).map(|_| virtual_time::own_task(c.wait_configured())).collect();
        let later = async {
            Timer::after(SECOND * 10).await;
            let address = "10.0.0.2/24".parse().unwrap();
            c.set_ipv4(Ipv4Config::Static { address, gateway: None }).unwrap();
        };
        join(virtual_time::counting_polls(&polls, virtual_time::join_all(waiters)), later).await;
    });
    assert!(polls.get() < 20_000, "{} polls", polls.get());
}

#[test]
fn ping_both_versions() {
    let (_cable, one, two) = pair(Quality { delay: Duration::from_millis(10), ..Quality::PERFECT }, 1);
    let client = two.stack;
    run([one, two], async {
        for to in [v4(1, 0).ip(), v6(1, 0).ip()] {
            let _resolved = client.ping(to, PingOptions::default()).await.unwrap();
            let mut options = PingOptions::default();
            options.payload_len = 512;
            assert_eq!(client.ping(to, options).await, Ok(Duration::from_millis(20)));
        }
    });
}

#[test]
fn ping_errors_and_a_host_that_is_gone() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let client = two.stack;
    run([one, two], async {
        let mut options = PingOptions::default();
        options.timeout = SECOND * 2;
        let gone = v4(77, 0).ip();
        let began = Instant::now();
        assert_eq!(client.ping(gone, options).await, Err(Error::TimedOut));
        assert_eq!(began.elapsed(), SECOND * 2);
        // It left nothing behind that would hold up the next.
        assert!(client.ping(v4(1, 0).ip(), options).await.is_ok());
        assert_eq!(client.ping("192.168.9.9".parse().unwrap(), options).await, Err(Error::Unreachable));
        options.payload_len = 513;
        assert_eq!(client.ping(gone, options).await, Err(Error::InvalidInput));
        let all = (1..=10).map(|n| client.ping(v4(if n % 2 == 0 { 1 } else { 77 }, 0).ip(), PingOptions::default()));
        let results = virtual_time::join_all(all.collect()).await;
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 5, "{results:?}");
    });
}

#[test]
fn a_stack_needs_a_medium_it_knows_and_sane_addresses() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let config = Config::new().with_ipv4("224.0.0.1/24".parse().unwrap(), None);
    let resources = Box::leak(Box::new(net_core::stack::Resources::<1, 1, 512, 512>::new()));
    let result = net_core::stack::new(cable.end(), config, resources, 1);
    assert_eq!(result.err(), Some(Error::InvalidInput));
}

#[test]
fn sockets_of_a_link_that_went_work_again_when_it_returns() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any(0)).unwrap();
        for _ in 0..3 {
            c.send(any(0), v4(1, 5000), b"x").await.unwrap();
            s.readable().await.unwrap();
            let mut buffer = [0; 8];
            assert_eq!(s.receive_into(&mut buffer).await.unwrap().0, 1);
            cable.set_link(false);
            Timer::after(SECOND).await;
            assert_eq!(c.send(any(0), v4(1, 5000), b"x").await, Err(Error::Unreachable));
            cable.set_link(true);
            Timer::after(SECOND).await;
        }
    });
}
