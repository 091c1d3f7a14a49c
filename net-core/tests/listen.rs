//! TCP listeners over the in-memory cable: the accept queue, conflicts, and a pool of sockets that is used up.
#![allow(clippy::large_futures)] // a test has more stack than a chip
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod common;

use common::*;
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::nal::{Read, TcpListener as _, TcpSocket as _, TcpWrite as _, Write};

const SECOND: Duration = Duration::from_secs(1);

/// Defect 5 of smoltcp: without a listener, a request that finds no socket in LISTEN is refused.
#[test]
fn requests_wait_while_every_socket_is_busy() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = small_host::<2, 0>(&cable, static_config(1));
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let mut listener = s.listen(any(80), 2).unwrap();
        let connect = || async { c.connect(v4(1, 80)).await };
        let (mut first, mut second) = {
            let (x, y) = join(connect(), connect()).await;
            (x.unwrap(), y.unwrap())
        };
        let (mut a1, a2) = {
            let (x, y) = (listener.accept().await.unwrap(), listener.accept().await.unwrap());
            (x, y)
        };
        // Both sockets are taken; the third client waits, and is not refused.
        let third = connect();
        let release = async {
            Timer::after(Duration::from_millis(400)).await;
            assert_eq!(s.stats().waiting_requests, 1);
            first.write_all(b"still served").await.unwrap();
            let mut buffer = [0; 20];
            assert_eq!(a1.read(&mut buffer).await, Ok(12));
            drop(a2);
            second.finish().await.unwrap();
            Instant::now()
        };
        let (third, freed) = join(third, release).await;
        let mut third = third.unwrap();
        assert!(freed.elapsed() < SECOND, "taken from the queue, not from the client's retransmission");
        let mut a3 = listener.accept().await.unwrap();
        third.write_all(b"me too").await.unwrap();
        let mut buffer = [0; 20];
        assert_eq!(a3.read(&mut buffer).await, Ok(6));
        drop((first, second, third, a1, a3));
    });
}

/// So that a server can give up an idle connection for a new one.
#[test]
fn a_listener_tells_that_a_request_waits_while_every_socket_is_busy() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = small_host::<2, 0>(&cable, static_config(1));
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let mut listener = s.listen(any(80), 2).unwrap();
        let mut other = s.listen(any(81), 1).unwrap();
        let (first, a) = join(c.connect(v4(1, 80)), listener.accept()).await;
        let (second, b) = join(c.connect(v4(1, 80)), listener.accept()).await;
        let (mut a, b) = (a.unwrap(), b.unwrap());
        let serve = async {
            let began = Instant::now();
            assert_eq!(listener.pending().await, Ok(()));
            assert!(began.elapsed() < SECOND, "told at once, not at the client's next attempt");
            assert_eq!(listener.pending().await, Ok(()));
            assert!(with_timeout(SECOND, other.pending()).await.is_err(), "nobody wants the other port");
            assert!(with_timeout(SECOND, listener.accept()).await.is_err(), "there is no socket yet");
            a.abort();
            drop(a);
            listener.accept().await.unwrap()
        };
        let (third, at_server) = join(c.connect(v4(1, 80)), serve).await;
        let third = third.unwrap();
        assert_eq!(at_server.peer_addr(), third.local_addr());
        assert!(with_timeout(SECOND, listener.pending()).await.is_err(), "no further request");
        drop((first, second, third, b, at_server));
    });
}

/// While handshakes fill the backlog, a socket that is given up would help nobody.
/// A client that was sent everything and then neither closes nor asks must not keep the only socket from others.
#[test]
fn a_peer_that_does_not_finish_gives_way() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = small_host::<1, 0>(&cable, static_config(1));
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let mut listener = s.listen(any(80), 2).unwrap();
        let (first, a) = join(c.connect(v4(1, 80)), listener.accept()).await;
        let (mut first, mut a) = (first.unwrap(), a.unwrap());
        a.write_all(b"goodbye").await.unwrap();
        drop(a);
        // It has not been asked to go before somebody else comes, and has a second to finish by itself.
        Timer::after(SECOND / 2).await;
        let began = Instant::now();
        let (second, b) = join(c.connect(v4(1, 80)), listener.accept()).await;
        assert!(began.elapsed() <= SECOND, "{:?}", began.elapsed());
        let (mut second, mut b) = (second.unwrap(), b.unwrap());
        // What it was sent is still there to be read.
        assert_eq!(read_to_end(&mut first).await.unwrap(), b"goodbye");
        b.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 5];
        second.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"hello");
    });
}

#[test]
fn a_request_beyond_a_backlog_of_handshakes_does_not_ask_for_a_socket() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = small_host::<4, 0>(&cable, static_config(1));
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let mut listener = s.listen(any(80), 1).unwrap();
        // The server's SYN-ACKs are lost: no handshake ends.
        cable.set_filter(Box::new(|from, frame| !(from == 0 && frame[12..14] == [8, 0] && frame[23] == 6)));
        let attempts = join(c.connect(v4(1, 80)), c.connect(v4(1, 80)));
        let (asked, _) = join(with_timeout(SECOND, listener.pending()), with_timeout(SECOND, attempts)).await;
        assert!(asked.is_err());
        assert_eq!(s.stats().waiting_requests, 1);
    });
}

#[test]
fn sixty_four_clients_on_eight_sockets_are_all_served() {
    let cable = Cable::new(Quality { delay: Duration::from_millis(1), ..Quality::PERFECT }, 1);
    let server = small_host::<8, 0>(&cable, static_config(1));
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    let served = run([server, client], async {
        let mut listener = s.listen(any(80), 8).unwrap();
        let serve = async {
            loop {
                let mut socket = listener.accept().await.unwrap();
                let mut buffer = [0; 100];
                let n = socket.read(&mut buffer).await.unwrap();
                socket.write_all(&buffer[..n]).await.unwrap();
                // Dropped: closed in order, with the answer delivered.
            }
        };
        let clients = (0..64).map(|n: u32| async move {
            let mut socket = c.connect(v4(1, 80)).await?;
            socket.write_all(&n.to_be_bytes()).await?;
            Ok::<_, Error>(read_to_end(&mut socket).await? == n.to_be_bytes())
        });
        match select(serve, virtual_time::join_all(clients.collect())).await {
            Either::First(()) => unreachable!(),
            Either::Second(results) => results,
        }
    });
    assert_eq!(served.len(), 64);
    assert!(served.iter().all(|result| *result == Ok(true)), "{served:?}");
}

#[test]
fn exhaustion_is_an_error_and_passes() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (server, client) = (host(&cable, 1), small_host::<2, 0>(&cable, static_config(2)));
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let mut listener = s.listen(any(80), 4).unwrap();
        let serve = async {
            loop {
                echo(listener.accept().await.unwrap()).await;
            }
        };
        let clients = async {
            let one = c.connect(v4(1, 80)).await.unwrap();
            let two = c.connect(v4(1, 80)).await.unwrap();
            assert_eq!(c.connect(v4(1, 80)).await.unwrap_err(), Error::NoFreeSocket);
            drop(one);
            // In TIME-WAIT soon, which gives way at once.
            Timer::after(SECOND).await;
            let three = c.connect(v4(1, 80)).await.unwrap();
            drop((two, three));
        };
        select(serve, clients).await;
    });
}

#[test]
fn listening_conflicts_are_errors_and_a_dropped_listener_frees_its_port() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let first = server.listen(any(80), 1).unwrap();
        assert_eq!(server.listen(any(80), 1).unwrap_err(), Error::AddressInUse);
        assert_eq!(server.listen(v4(1, 80), 1).unwrap_err(), Error::AddressInUse);
        assert_eq!(server.listen(any6(80), 1).unwrap_err(), Error::AddressInUse);
        assert_eq!(server.listen(v4(9, 81), 1).unwrap_err(), Error::AddressNotAvailable);
        assert_eq!(server.listen(any(81), 0).unwrap_err(), Error::InvalidInput);
        let pending = client.connect(v4(1, 80)).await.unwrap();
        drop(first);
        let mut pending = pending;
        let mut buffer = [0; 1];
        assert_eq!(pending.read(&mut buffer).await, Err(Error::Reset), "nobody will ever accept it");
        assert_eq!(client.connect(v4(1, 80)).await.unwrap_err(), Error::Refused);
        let again = server.listen(any(80), 1).unwrap();
        let chosen = server.listen(any(0), 1).unwrap();
        assert!(chosen.local_addr().port() >= 49152);
        drop((again, chosen));
        let all: Vec<_> = (0..8).map(|n| server.listen(any(1000 + n), 1).unwrap()).collect();
        assert_eq!(server.listen(any(2000), 1).unwrap_err(), Error::NoFreeSocket);
        drop(all);
    });
}

/// A flood of requests from nobody must not keep a real client out for long.
#[test]
fn half_open_connections_are_bounded_in_time() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut config = static_config(1);
    config.handshake_timeout = SECOND * 2;
    let server = small_host::<2, 0>(&cable, config);
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    // The two first SYN-ACKs are lost, and so is everything else to their ports.
    let lost = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
    cable.set_filter(Box::new({
        let lost = lost.clone();
        move |from, frame: &[u8]| {
            if from == 0 && frame[12..14] == [8, 0] && frame[23] == 6 {
                let port = [frame[36], frame[37]];
                let mut lost = lost.borrow_mut();
                if lost.len() < 2 && !lost.contains(&port) {
                    lost.push(port);
                }
                return !lost.contains(&port);
            }
            true
        }
    }));
    run([server, client], async {
        let mut listener = s.listen(any(80), 2).unwrap();
        let dead = join(with_timeout(SECOND, c.connect(v4(1, 80))), with_timeout(SECOND, c.connect(v4(1, 80))));
        assert!(matches!(dead.await, (Err(_), Err(_))));
        let began = Instant::now();
        let (accepted, connected) = join(listener.accept(), c.connect(v4(1, 80))).await;
        assert!(accepted.is_ok() && connected.is_ok());
        assert!(began.elapsed() < SECOND * 6, "{} ms", began.elapsed().as_millis());
    });
}
