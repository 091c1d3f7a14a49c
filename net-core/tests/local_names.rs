//! Names below `.local` over the stack: one-shot queries, and a responder written out by hand.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)] // helpers of tests are tests

mod common;

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use common::*;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::cidr::Ipv4Inet;
use net_core::dns::{Config, DnsError, Family, Resolver};
use net_core::nal::{Multicast, UnconnectedUdp};
use net_core::stack::{self, Stack};

const PRINTER: &[u8] = b"\x07printer\x05local\0";

/// What a responder on `stack` gives to A and AAAA questions for `printer.local`: its own addresses, in legacy unicast
/// answers (RFC 6762 section 6.7). From the port given, which should be 5353. Counts queries.
async fn responder(stack: Stack<'static>, port: u16, heard: &Cell<u32>) {
    stack.join_group([224, 0, 0, 251].into()).unwrap();
    stack.join_group("ff02::fb".parse().unwrap()).unwrap();
    let mut socket = stack.bind(any6(5353)).unwrap();
    let mut answering = stack.bind(any6(if port == 5353 { 0 } else { port })).unwrap();
    let addresses = stack.status().addresses;
    let mut buffer = [0; 512];
    loop {
        let (n, _, from) = socket.receive_into(&mut buffer).await.unwrap();
        heard.set(heard.get() + 1);
        let question = &buffer[12..n];
        assert!(question[..PRINTER.len()].eq_ignore_ascii_case(PRINTER), "{question:x?}");
        assert_eq!(question.len(), PRINTER.len() + 4);
        let wants_v4 = question[PRINTER.len() + 1] == 1;
        let mut reply = buffer[..n].to_vec();
        reply[2..12].copy_from_slice(&[0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for address in &addresses {
            let data = match address.address() {
                IpAddr::V4(v4) if wants_v4 => v4.octets().to_vec(),
                IpAddr::V6(v6) if !wants_v4 => v6.octets().to_vec(),
                _ => continue,
            };
            reply[7] += 1;
            reply.extend([0xc0, 12, 0, question[PRINTER.len() + 1], 0, 1, 0, 0, 0, 10, 0, data.len() as u8]);
            reply.extend(data);
        }
        let socket = if port == 5353 { &mut socket } else { &mut answering };
        let unspecified = if from.is_ipv4() { any(0) } else { any6(0) };
        socket.send(unspecified, from, &reply).await.unwrap();
    }
}

/// Looks `printer.local` up from the second host while the first one answers.
fn resolve(hosts: (Host, Host), config: Config, port: u16, family: Family) -> Found {
    let (server, client) = (hosts.0.stack, hosts.1.stack);
    run([hosts.0, hosts.1], async {
        let resolver: Resolver<_> = Resolver::with_config(client, 7, config);
        let heard = Cell::new(0);
        let lookup = async {
            // Routers and duplicate addresses have been looked for.
            embassy_time::Timer::after(Duration::from_secs(3)).await;
            let start = Instant::now();
            let found = resolver.lookup("Printer.local", family).await;
            (found.map(|addresses| addresses.to_vec()), start.elapsed(), resolver.stats().ignored)
        };
        match select(responder(server, port, &heard), virtual_time::own_task(lookup)).await {
            Either::First(()) => panic!("the responder ended"),
            Either::Second((addresses, took, ignored)) => {
                assert_eq!(client.stats().udp_sockets, 0);
                Found { addresses, took, ignored, heard: heard.get() }
            }
        }
    })
}

struct Found {
    addresses: Result<Vec<IpAddr>, DnsError>,
    took: Duration,
    ignored: u32,
    heard: u32,
}

fn hosts(quality: Quality, seed: u64) -> (Host, Host) {
    let (_cable, one, two) = pair(quality, seed);
    (one, two)
}

#[test]
fn a_name_of_the_link_is_found_in_both_ip_versions() {
    let delay = Quality { delay: Duration::from_millis(5), ..Quality::PERFECT };
    let Found { addresses, took, heard, ignored } = resolve(hosts(delay, 1), Config::DEFAULT, 5353, Family::Both);
    let addresses = addresses.unwrap();
    assert_eq!(addresses[..2], [v4(1, 0).ip(), v6(1, 0).ip()], "{addresses:?}");
    assert!(took < Duration::from_millis(100), "{took:?}");
    // Both types over both versions, and the answers that came second found nobody.
    assert_eq!((heard, ignored), (4, 0));
    let one = resolve(hosts(delay, 1), Config::DEFAULT, 5353, Family::V4);
    assert_eq!(one.addresses, Ok(vec![v4(1, 0).ip()]));
}

#[test]
fn one_ip_version_is_enough() {
    let v4_only = |n: u8| stack::Config::new().with_ipv4(Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap(), None);
    let cable = Cable::new(Quality::PERFECT, 1);
    let hosts = (host(&cable, 1), host_with(&cable, v4_only(2), SIZES, 2));
    assert_eq!(resolve(hosts, Config::DEFAULT, 5353, Family::V4).addresses, Ok(vec![v4(1, 0).ip()]));
    let hosts = (host(&cable, 3), small_host::<1, 1>(&cable, v4_only(4)));
    assert_eq!(resolve(hosts, Config::DEFAULT, 5353, Family::V4).addresses, Ok(vec![v4(3, 0).ip()]));
}

#[test]
fn loss_costs_time_and_not_the_answer() {
    let bad = Quality { loss_per_mille: 200, delay: Duration::from_millis(5), ..Quality::PERFECT };
    let mut repeated = 0;
    for seed in 1..=30 {
        let found = resolve(hosts(bad, seed), Config::DEFAULT, 5353, Family::V4);
        assert_eq!(found.addresses, Ok(vec![v4(1, 0).ip()]), "{seed}");
        repeated += u32::from(found.took > Duration::from_secs(1));
    }
    assert!(repeated > 0, "nothing was lost that mattered");
}

#[test]
fn an_answer_from_another_port_is_none() {
    let found = resolve(hosts(Quality::PERFECT, 1), Config::DEFAULT, 5300, Family::V4);
    assert_eq!((found.addresses, found.took), (Err(DnsError::NotFound), Duration::from_secs(5)));
    assert_eq!((found.heard, found.ignored), (6, 6));
}

#[test]
fn a_link_that_is_down_is_told_at_once() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let client = two.stack;
    run([one, two], async {
        cable.set_link(false);
        embassy_time::Timer::after(Duration::from_secs(1)).await;
        let resolver: Resolver<_> = Resolver::new(client, 7);
        let start = Instant::now();
        let found = resolver.lookup("printer.local", Family::Both).await;
        assert_eq!(found, Err(DnsError::Network(Error::Unreachable)));
        assert_eq!(start.elapsed(), Duration::from_ticks(0));
        let mut name = [0; 253];
        let address: SocketAddr = "169.254.1.2:0".parse().unwrap();
        assert_eq!(resolver.reverse(address.ip(), &mut name).await, Err(DnsError::Network(Error::Unreachable)));
    });
}
