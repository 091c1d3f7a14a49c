//! The services over the stack: the same tests as over the computer's own sockets.
#![allow(clippy::unwrap_used, clippy::large_futures)]

#[path = "../../net-core/tests/common/mod.rs"]
mod common;
#[path = "../../net-core/tests/embassy_net/devices.rs"]
mod devices;

use common::*;
use net_core::cable::{Cable, Quality};
use net_core::time::Duration;
use net_services::http::{Config, LEAST_BUFFER, Request, Response, Server};

#[test]
fn http_over_the_stack() {
    let slow = Quality { delay: Duration::from_millis(20), ..Quality::PERFECT };
    for quality in [Quality::PERFECT, slow, Quality { loss_per_mille: 50, ..slow }] {
        let (_cable, one, two) = pair(quality, 1);
        let (server, client) = (one.stack, two.stack);
        run([one, two], async {
            service_suite::http::all(&server, &client, v4(1, 0).ip(), 80).await;
            service_suite::http::all(&server, &client, v6(1, 0).ip(), 80).await;
        });
    }
}

/// What cannot work is said at once, and the port stays free.
#[test]
fn a_server_that_cannot_be() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let stack = one.stack;
    run([one, two], async {
        let handler = async |_: Request<'_>, response: Response<'_>| response.text("hello").await;
        let mut config = Config::new();
        let server = Server::new(config.clone(), &handler);
        let error = Err(net_core::Error::InvalidInput);
        assert_eq!(server.run(&stack, &mut [[0; LEAST_BUFFER - 1]; 1]).await, error);
        assert_eq!(server.run(&stack, &mut [[0; LEAST_BUFFER]; 0]).await, error);
        assert_eq!(server.run_on_heap(&stack, 1, LEAST_BUFFER - 1).await, error);
        assert_eq!(server.run_on_heap(&stack, 0, LEAST_BUFFER).await, error);
        config.server = Some("lunet\r\nX: y");
        assert_eq!(Server::new(config.clone(), &handler).run(&stack, &mut [[0; LEAST_BUFFER]; 1]).await, error);
        (config.server, config.backlog) = (Some("lunet"), 0);
        assert_eq!(Server::new(config, &handler).run(&stack, &mut [[0; LEAST_BUFFER]; 1]).await, error);
        // One that was stopped before ends at once.
        server.stop();
        assert_eq!(server.run(&stack, &mut [[0; LEAST_BUFFER]; 1]).await, Ok(()));
        assert_eq!(server.run_on_heap(&stack, 1, LEAST_BUFFER).await, Ok(()));
    });
}

/// With no more sockets than places: a client that waits for one is seen all the same.
#[test]
fn http_over_a_stack_whose_sockets_are_a_fixed_pool() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (small_host::<2, 1>(&cable, static_config(1)), small_host::<8, 1>(&cable, static_config(2)));
    let (server, client) = (one.stack, two.stack);
    run([one, two], async { service_suite::http::all(&server, &client, v4(1, 0).ip(), 80).await });
}

#[test]
fn http_client_over_the_stack() {
    let slow = Quality { delay: Duration::from_millis(20), ..Quality::PERFECT };
    for quality in [Quality::PERFECT, slow, Quality { loss_per_mille: 20, ..slow }] {
        let (_cable, one, two) = pair(quality, 1);
        let (server, client) = (one.stack, two.stack);
        run([one, two], async {
            service_suite::http_client::all(&server, &client, v4(1, 0).ip(), 80).await;
            service_suite::http_client::all(&server, &client, v6(1, 0).ip(), 80).await;
        });
    }
}

/// Over embassy-net there must be more sockets than places: it refuses a client for whom none listens.
#[test]
fn http_over_embassy_net() {
    let slow = Quality { delay: Duration::from_millis(20), ..Quality::PERFECT };
    for quality in [Quality::PERFECT, slow] {
        let cable = Cable::new(quality, 1);
        let (one, two) = (devices::device::<8, 1>(&cable, 1), devices::device::<8, 1>(&cable, 2));
        let (server, client) = (one.net, two.net);
        devices::run_with([one, two], [], async {
            for ip in [v4(1, 0).ip(), v6(1, 0).ip()] {
                service_suite::http::all(&server, &client, ip, 80).await;
                service_suite::http_client::all(&server, &client, ip, 80).await;
            }
        });
    }
}

#[test]
fn mdns_over_the_stack() {
    for loss_per_mille in [0, 50] {
        let quality = Quality { delay: Duration::from_millis(2), loss_per_mille, ..Quality::PERFECT };
        let (_cable, one, two) = pair(quality, 1);
        let (a, b) = (one.stack, two.stack);
        run([one, two], async { service_suite::mdns::all(&a, &b).await });
    }
}

#[test]
fn mdns_over_a_stack_whose_sockets_are_a_fixed_pool() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (small_host::<1, 1>(&cable, static_config(1)), small_host::<1, 2>(&cable, static_config(2)));
    let (a, b) = (one.stack, two.stack);
    run([one, two], async { service_suite::mdns::all(&a, &b).await });
}

#[test]
fn mdns_over_embassy_net() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (devices::device::<1, 2>(&cable, 1), devices::device::<1, 4>(&cable, 2));
    let (a, b) = (one.net, two.net);
    devices::run_with([one, two], [], async { service_suite::mdns::all(&a, &b).await });
}
