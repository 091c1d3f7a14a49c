//! TCP over embassy-net: errors, orderly close, listeners that share sockets.

use std::cell::Cell;
use std::rc::Rc;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant, Timer, with_timeout};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::embassy_net::{EmbassyNet, TcpSocket};
use net_core::nal::{ConnectOptions, Read, TcpListener as _, TcpSocket as _, TcpStack, TcpWrite as _, Write};

use super::SECOND;
use super::common::*;
use super::devices::{device, run_with};

async fn connected(server: EmbassyNet, client: EmbassyNet, port: u16) -> (TcpSocket, TcpSocket) {
    let mut listener = server.listen(any(port), 1).await.unwrap();
    let (accepted, connected) = join(listener.accept(), TcpStack::connect(&client, v4(1, port))).await;
    (accepted.unwrap(), connected.unwrap())
}

async fn connect(client: EmbassyNet, port: u16) -> Result<TcpSocket, Error> {
    TcpStack::connect(&client, v4(1, port)).await
}

/// Two devices, a server and a client, with so many TCP sockets each.
fn two<const TCP: usize, F: Future>(test: impl FnOnce(Cable, EmbassyNet, EmbassyNet) -> F) -> F::Output {
    let cable = Cable::new(Quality { delay: Duration::from_millis(1), ..Quality::PERFECT }, 1);
    let (one, two) = (device::<TCP, 1>(&cable, 1), device::<TCP, 1>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], test(cable, server, client))
}

#[test]
fn connect_errors_say_what_happened() {
    two::<2, _>(|_cable, _server, client| async move {
        let attempt = |to| async move { TcpStack::connect(&client, to).await.map(drop) };
        assert_eq!(attempt(v4(1, 80)).await, Err(Error::Refused));
        assert_eq!(attempt(v6(1, 80)).await, Err(Error::Refused));
        let mut options = ConnectOptions::new();
        options.timeout = Some(SECOND * 5);
        let began = Instant::now();
        assert_eq!(client.connect_with(v4(77, 80), options).await.map(drop), Err(Error::TimedOut));
        assert!(began.elapsed() >= SECOND * 5 && began.elapsed() < SECOND * 6);
        for unreachable in ["192.168.1.1:80", "[2001:db8::1]:80", "10.0.0.2:80"] {
            assert_eq!(attempt(unreachable.parse().unwrap()).await, Err(Error::Unreachable), "{unreachable}");
        }
        // embassy-net chooses the port.
        options.local_port = 4000;
        assert_eq!(client.connect_with(v4(1, 80), options).await.map(drop), Err(Error::Unsupported));
        let own = client.listen(any(4000), 1).await.unwrap();
        assert_eq!(client.connect_with(v4(1, 80), options).await.map(drop), Err(Error::AddressInUse));
        drop(own);
        // Given up.
        assert!(with_timeout(SECOND, attempt(v4(77, 80))).await.is_err());
        Timer::after(SECOND).await;
        assert_eq!(client.stats().tcp_sockets, 0);
    });
}

#[test]
fn reset_abort_and_timeout_are_told_apart() {
    two::<4, _>(|cable, server, client| async move {
        let (mut a, mut c) = connected(server, client, 80).await;
        a.write_all(b"last words").await.unwrap();
        a.flush().await.unwrap();
        a.abort();
        let mut buffer = [0; 20];
        assert_eq!(a.read(&mut buffer).await, Err(Error::Aborted));
        Timer::after(SECOND).await;
        assert_eq!(c.read(&mut buffer).await, Ok(10), "what came before the reset is read");
        assert_eq!(c.read(&mut buffer).await, Err(Error::Reset));
        assert_eq!((c.write(b"x").await, c.flush().await), (Err(Error::Reset), Err(Error::Reset)));
        assert_eq!(c.peer_addr(), v4(1, 80), "known after the end");
        drop((a, c));

        let (a, mut c) = connected(server, client, 81).await;
        c.set_timeout(Some(SECOND * 3));
        cable.set_filter(Box::new(|_, _| false));
        Timer::after(SECOND * 100).await;
        c.write_all(b"into the void").await.unwrap();
        let began = Instant::now();
        assert_eq!(c.read(&mut buffer).await, Err(Error::TimedOut));
        assert!(began.elapsed() >= SECOND * 3 && began.elapsed() < SECOND * 4, "{}", began.elapsed().as_millis());
        assert_eq!(c.flush().await, Err(Error::TimedOut));
        drop(a);
    });
}

/// embassy-net reports every connection as reset whose TIME-WAIT is over.
#[test]
fn an_end_is_an_end_for_good() {
    two::<4, _>(|_cable, server, client| async move {
        let (mut a, mut c) = connected(server, client, 80).await;
        c.finish().await.unwrap();
        Timer::after(SECOND).await;
        a.write_all(b"answer").await.unwrap();
        a.finish().await.unwrap();
        let mut buffer = [0; 20];
        assert_eq!(c.read(&mut buffer).await, Ok(6));
        Timer::after(SECOND * 3600).await;
        for socket in [&mut a, &mut c] {
            assert_eq!((socket.read(&mut buffer).await, socket.flush().await), (Ok(0), Ok(())));
            assert_eq!(socket.write(b"x").await, Err(Error::Closed));
        }
        // But what nobody reads for so long is thrown away, which is not hidden.
        let (mut a, mut c) = connected(server, client, 81).await;
        c.finish().await.unwrap();
        Timer::after(SECOND).await;
        a.write_all(b"answer").await.unwrap();
        a.finish().await.unwrap();
        Timer::after(SECOND * 60).await;
        assert_eq!(c.read(&mut buffer).await, Err(Error::Aborted));
    });
}

#[test]
fn an_idle_connection_lives_on_and_keep_alive_notices_a_peer_that_has_gone() {
    two::<4, _>(|cable, server, client| async move {
        let (mut a, mut c) = connected(server, client, 80).await;
        a.set_timeout(Some(SECOND * 3));
        Timer::after(SECOND * 3600).await;
        a.write_all(b"good morning").await.unwrap();
        let mut buffer = [0; 20];
        assert_eq!(c.read(&mut buffer).await, Ok(12));
        c.set_keep_alive(Some(SECOND * 2));
        c.set_timeout(Some(SECOND * 10));
        assert!(with_timeout(SECOND * 60, c.read(&mut buffer)).await.is_err(), "the peer answers the probes");
        cable.set_filter(Box::new(|_, _| false));
        let began = Instant::now();
        assert_eq!(c.read(&mut buffer).await, Err(Error::TimedOut));
        assert!(began.elapsed() < SECOND * 15);
    });
}

#[test]
fn a_peer_that_never_reads_does_not_hold_a_connection_for_ever() {
    two::<4, _>(|_cable, server, client| async move {
        let (mut a, c) = connected(server, client, 80).await;
        a.set_timeout(Some(SECOND * 20));
        let began = Instant::now();
        assert_eq!(a.write_all(&pattern(100_000)).await, Err(Error::TimedOut));
        assert!(began.elapsed() < SECOND * 30);
        drop(c);
    });
}

/// An embassy-net socket that is dropped sends neither FIN nor RST.
#[test]
fn a_dropped_socket_delivers_closes_and_is_freed() {
    two::<2, _>(|cable, server, client| async move {
        let (mut a, mut c) = connected(server, client, 80).await;
        c.write_all(b"unread by the other end").await.unwrap();
        a.write_all(&pattern(4000)).await.unwrap();
        drop(a);
        assert_eq!(read_to_end(&mut c).await.unwrap(), pattern(4000));
        drop(c);
        Timer::after(SECOND * 30).await;
        assert_eq!((server.stats().tcp_sockets, client.stats().tcp_sockets), (0, 0));
        // A peer that is gone does not hold the socket beyond the linger time.
        let (mut a, c) = connected(server, client, 80).await;
        cable.set_filter(Box::new(|_, _| false));
        a.write_all(b"never acknowledged").await.unwrap();
        drop(a);
        Timer::after(SECOND * 15).await;
        assert_eq!(server.stats().tcp_sockets, 1);
        Timer::after(SECOND * 10).await;
        assert_eq!(server.stats().tcp_sockets, 0);
        drop(c);
    });
}

/// As over our own stack.
#[test]
fn a_peer_that_does_not_finish_gives_way() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<1, 1>(&cable, 1), device::<2, 1>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], async {
        let (mut a, mut first) = connected(server, client, 80).await;
        a.write_all(b"goodbye").await.unwrap();
        drop(a);
        let mut listener = server.listen(any(80), 2).await.unwrap();
        Timer::after(SECOND / 2).await;
        assert_eq!(connect(client, 80).await.map(drop), Err(Error::Refused), "it has a second to finish by itself");
        Timer::after(SECOND).await;
        let (second, b) = join(connect(client, 80), listener.accept()).await;
        assert!(second.is_ok() && b.is_ok());
        // What it was sent is still there to be read.
        assert_eq!(read_to_end(&mut first).await.unwrap(), b"goodbye");
    });
}

#[test]
fn a_thousand_connections_leak_nothing() {
    two::<4, _>(|_cable, s, c| async move {
        let mut listener = s.listen(any(80), 4).await.unwrap();
        let serve = async {
            loop {
                drop(listener.accept().await.unwrap());
            }
        };
        let clients = async {
            for n in 0..1000 {
                let mut socket = match connect(c, 80).await {
                    Ok(socket) => socket,
                    Err(error) => panic!("connection {n}: {error}"),
                };
                assert_eq!(socket.read(&mut [0; 1]).await, Ok(0), "connection {n}");
            }
            Timer::after(SECOND * 60).await;
            assert_eq!((s.stats().tcp_sockets, c.stats().tcp_sockets), (0, 0));
        };
        select(serve, clients).await;
    });
}

#[test]
fn a_listener_for_ipv4_takes_no_ipv6_and_one_for_both_takes_both() {
    two::<4, _>(|_cable, server, client| async move {
        let mut both = server.listen(any6(80), 2).await.unwrap();
        for remote in [v6(1, 80), v4(1, 80)] {
            let (a, c) = join(both.accept(), TcpStack::connect(&client, remote)).await;
            assert_eq!((a.unwrap().local_addr(), c.is_ok()), (remote, true));
        }
        // embassy-net cannot refuse such a request, so the connection is reset as soon as it stands.
        let mut only_v4 = server.listen(any(81), 2).await.unwrap();
        let mut wrong = TcpStack::connect(&client, v6(1, 81)).await.unwrap();
        assert_eq!(wrong.read(&mut [0; 1]).await, Err(Error::Reset));
        let (a, c) = join(only_v4.accept(), connect(client, 81)).await;
        assert_eq!((a.unwrap().peer_addr(), c.is_ok()), (c.as_ref().unwrap().local_addr(), true));
    });
}

#[test]
fn listeners_share_the_sockets_and_yield_them() {
    two::<3, _>(|_cable, server, client| async move {
        let mut first = server.listen(any(80), 3).await.unwrap();
        // The first has all three in LISTEN; each further one gets one.
        let mut second = server.listen(any(81), 3).await.unwrap();
        let mut third = server.listen(any(82), 3).await.unwrap();
        for (listener, port) in [(&mut first, 80), (&mut second, 81), (&mut third, 82)] {
            let (a, c) = join(listener.accept(), connect(client, port)).await;
            drop((a.unwrap(), c.unwrap()));
            Timer::after(SECOND * 30).await;
        }
        // A connection of our own is worth more than a socket that waits.
        let mut theirs = client.listen(any(90), 3).await.unwrap();
        let (a, c) = join(theirs.accept(), TcpStack::connect(&server, v4(2, 90))).await;
        let (b, d) = join(theirs.accept(), TcpStack::connect(&server, v4(2, 90))).await;
        let (e, f) = join(theirs.accept(), TcpStack::connect(&server, v4(2, 90))).await;
        let (a, b, c, d, e) = (a.unwrap(), b.unwrap(), c.unwrap(), d.unwrap(), e.unwrap());
        let f = f.unwrap();
        assert_eq!(TcpStack::connect(&server, v4(2, 90)).await.map(drop), Err(Error::NoFreeSocket));
        drop((a, b, e));
        // With none in LISTEN, requests are refused; with one free again, they are not.
        drop(theirs);
        Timer::after(SECOND * 30).await;
        assert_eq!(connect(client, 81).await.map(drop), Err(Error::Refused));
        drop((c, d, f));
        Timer::after(SECOND * 30).await;
        let (a, c) = join(second.accept(), connect(client, 81)).await;
        assert!(a.is_ok() && c.is_ok());
    });
}

#[test]
fn half_open_connections_are_bounded_in_time() {
    two::<2, _>(|cable, server, client| async move {
        let mut listener = server.listen(any(80), 2).await.unwrap();
        // No SYN-ACK arrives.
        let lost = Rc::new(Cell::new(true));
        let filter = lost.clone();
        cable.set_filter(Box::new(move |from, frame| {
            !(filter.get() && from == 0 && frame[12..14] == [8, 0] && frame[23] == 6)
        }));
        let attempts = join(with_timeout(SECOND, connect(client, 80)), with_timeout(SECOND, connect(client, 80)));
        let (x, y) = attempts.await;
        assert!(x.is_err() && y.is_err());
        assert_eq!(server.stats().tcp_sockets, 2);
        Timer::after(SECOND * 15).await;
        lost.set(false);
        let (a, c) = join(listener.accept(), connect(client, 80)).await;
        assert!(a.is_ok() && c.is_ok());
    });
}

#[test]
fn a_connection_whose_address_is_lost_says_so() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<2, 1>(&cable, 1), device::<2, 1>(&cable, 2));
    let (server, client, stack) = (one.net, two.net, two.stack);
    run_with([one, two], [], async {
        let (a, mut c) = connected(server, client, 80).await;
        stack.set_config_v4(embassy_net::ConfigV4::None);
        let mut buffer = [0; 1];
        c.write_all(b"x").await.unwrap();
        assert_eq!(c.read(&mut buffer).await, Err(Error::AddressNotAvailable));
        drop(a);
    });
}

#[test]
fn a_listener_is_waited_for_in_several_ways_at_once_without_spinning() {
    let polls = Cell::new(0);
    two::<3, _>(|_cable, server, client| {
        let polls = &polls;
        async move {
            let mut listener = server.listen(any(80), 2).await.unwrap();
            let wait = virtual_time::counting_polls(polls, listener.pending());
            assert!(matches!(select(wait, Timer::after(SECOND * 60)).await, Either::Second(())));
            let (pending, c) = join(listener.pending(), connect(client, 80)).await;
            assert!(pending.is_ok() && c.is_ok());
        }
    });
    assert!(polls.get() < 10, "{} polls in an idle minute", polls.get());
}
