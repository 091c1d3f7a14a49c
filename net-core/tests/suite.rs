//! What the traits promise, over the stack: the same tests as over the computer's own sockets.
#![allow(clippy::large_futures)]

mod common;

use common::*;
use embassy_time::Duration;
use net_core::cable::{Cable, Quality};

#[test]
fn the_traits_keep_their_promises_over_the_stack() {
    for quality in [Quality::PERFECT, Quality { delay: Duration::from_millis(20), ..Quality::PERFECT }] {
        let (_cable, one, two) = pair(quality, 1);
        let (server, client) = (one.stack, two.stack);
        run([one, two], async {
            nal_suite::all(&server, &client, v4(1, 0).ip()).await;
            nal_suite::all(&server, &client, v6(1, 0).ip()).await;
        });
    }
}

#[test]
fn and_over_a_stack_whose_sockets_are_a_fixed_pool() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (small_host::<3, 3>(&cable, static_config(1)), small_host::<3, 3>(&cable, static_config(2)));
    let (server, client) = (one.stack, two.stack);
    run([one, two], async { nal_suite::all(&server, &client, v4(1, 0).ip()).await });
}

/// M-30, M-31.
#[test]
fn what_multicast_dns_needs_over_the_stack() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    let hops = watch_hops(&cable);
    run([one, two], async {
        let sources = [v4(2, 0).ip(), link_local(&client)];
        nal_suite::multicast_dns(&server, &client, &sources).await;
        assert_eq!(hops.take(), [255; 6]);
    });
}
