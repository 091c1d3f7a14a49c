//! The traits over embassy-net stacks: what they promise, and what the adapter's documentation says of the rest.
#![allow(clippy::large_futures)] // a test has more stack than a chip
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

#[path = "../common/mod.rs"]
mod common;
mod devices;
mod interface;
mod tcp;
mod udp;

use common::*;
use devices::*;
use embassy_time::{Duration, Timer};
use nal_suite::Lack;
use net_core::cable::{Cable, Quality};
use net_core::nal::Interface as _;

/// What embassy-net has no means for; the documentation of `net_core::embassy_net` says so.
const LACKS: [Lack; 2] = [Lack::LocalPort, Lack::PortUnreachable];

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_traits_keep_their_promises_over_embassy_net() {
    for quality in [Quality::PERFECT, Quality { delay: Duration::from_millis(20), ..Quality::PERFECT }] {
        let cable = Cable::new(quality, 1);
        let (one, two) = (device::<8, 6>(&cable, 1), device::<8, 6>(&cable, 2));
        let (server, client) = (one.net, two.net);
        run_with([one, two], [], async {
            nal_suite::all_but(&server, &client, v4(1, 0).ip(), &LACKS).await;
            nal_suite::all_but(&server, &client, v6(1, 0).ip(), &LACKS).await;
        });
    }
}

#[test]
fn and_over_few_sockets() {
    let cable = Cable::new(Quality { delay: Duration::from_millis(5), ..Quality::PERFECT }, 1);
    let (one, two) = (device::<3, 3>(&cable, 1), device::<3, 3>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], async { nal_suite::all_but(&server, &client, v4(1, 0).ip(), &LACKS).await });
}

#[test]
fn and_with_our_own_stack_at_the_other_end() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<8, 6>(&cable, 1), host(&cable, 2));
    let (ours, theirs) = (two.stack, one.net);
    run_with([one], [two], async {
        for (server, client) in [(v4(1, 0), v4(2, 0)), (v6(1, 0), v6(2, 0))] {
            nal_suite::all_but(&theirs, &ours, server.ip(), &[]).await;
            nal_suite::all_but(&ours, &theirs, client.ip(), &LACKS).await;
        }
    });
}

#[test]
fn and_over_a_bad_line() {
    let bad = Quality {
        delay: Duration::from_millis(20),
        loss_per_mille: 50,
        duplicate_per_mille: 10,
        reorder_per_mille: 50,
        ..Quality::PERFECT
    };
    for seed in 1..=5 {
        let cable = Cable::new(bad, seed);
        let (one, two) = (device::<4, 1>(&cable, 1), device::<4, 1>(&cable, 2));
        let (server, client) = (one.net, two.net);
        run_with([one, two], [], async {
            let ip = v4(1, 0).ip();
            nal_suite::tcp_addresses_and_echo(&server, &client, ip).await;
            nal_suite::tcp_half_close(&server, &client, ip).await;
            nal_suite::tcp_halves_at_once(&server, &client, ip).await;
            nal_suite::tcp_drop_delivers(&server, &client, ip).await;
            Timer::after(SECOND * 60).await;
            assert_eq!((server.stats().tcp_sockets, client.stats().tcp_sockets), (0, 0));
        });
    }
}

/// M-30, M-31. Where embassy-net has a link-local address, that is the source.
#[test]
fn what_multicast_dns_needs_over_embassy_net() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let slaac = |n: u8| {
        let mut config = embassy_net::Config::slaac();
        config.ipv4 = static_embassy(n).ipv4;
        device_with::<1, 1>(&cable, config, u64::from(n))
    };
    for (one, two) in [(device::<1, 1>(&cable, 1), device::<1, 1>(&cable, 2)), (slaac(3), slaac(4))] {
        let (server, client) = (one.net, two.net);
        let hops = watch_hops(&cable);
        run_with([one, two], [], async {
            // Without a router's advertisement there is no other IPv6 address.
            let sources = client.status().addresses.iter().map(|net| net.address()).collect::<Vec<_>>();
            assert_eq!(sources.len(), 2);
            nal_suite::multicast_dns(&server, &client, &sources).await;
            assert_eq!(hops.take(), [255; 6]);
        });
    }
}
