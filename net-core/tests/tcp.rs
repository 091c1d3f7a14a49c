//! TCP over the in-memory cable: connections, errors, options, the accept queue, orderly close.
#![allow(clippy::large_futures)] // a test has more stack than a chip
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod common;

use std::cell::Cell;
use std::net::IpAddr;

use common::*;
use embassy_futures::join::join;
use embassy_futures::select::select;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::nal::{
    ConnectOptions, Read, ReadReady, TcpListener as _, TcpRead as _, TcpSocket as _, TcpWrite as _, Write, WriteReady,
};
use net_core::stack::{Stack, TcpSocket};

const SECOND: Duration = Duration::from_secs(1);

async fn connected(
    server: Stack<'static>,
    client: Stack<'static>,
    port: u16,
) -> (TcpSocket<'static>, TcpSocket<'static>) {
    let mut listener = server.listen(any(port), 1).unwrap();
    let (accepted, connected) = join(listener.accept(), client.connect(v4(1, port))).await;
    (accepted.unwrap(), connected.unwrap())
}

#[test]
fn bytes_go_both_ways_and_addresses_are_known_at_both_ends() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (at_server, mut at_client) = connected(server, client, 80).await;
        assert_eq!(at_server.local_addr(), v4(1, 80));
        assert_eq!(at_client.peer_addr(), v4(1, 80));
        assert_eq!(at_server.peer_addr(), at_client.local_addr());
        assert!(at_client.local_addr().port() >= 49152);
        let data = pattern(100_000);
        let (mut reader, mut writer) = at_client.split();
        let send = async {
            writer.write_all(&data).await.unwrap();
            writer.finish().await.unwrap();
        };
        let (back, _) = join(read_to_end(&mut reader), join(send, echo(at_server))).await;
        assert_eq!(back.unwrap(), data);
    });
}

#[test]
fn ipv6_and_a_listener_for_both_versions() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut listener = server.listen(any6(80), 2).unwrap();
        for remote in [v6(1, 80), v4(1, 80)] {
            let (mut a, mut c) = {
                let (a, c) = join(listener.accept(), client.connect(remote)).await;
                (a.unwrap(), c.unwrap())
            };
            assert_eq!(a.local_addr(), remote);
            c.write_all(b"x").await.unwrap();
            let mut buffer = [0; 4];
            assert_eq!(a.read(&mut buffer).await, Ok(1));
        }
        let mut only_v4 = server.listen(any(81), 1).unwrap();
        assert_eq!(client.connect(v6(1, 81)).await.unwrap_err(), Error::Refused);
        let (a, c) = join(only_v4.accept(), client.connect(v4(1, 81))).await;
        assert!(a.is_ok() && c.is_ok());
    });
}

#[test]
fn half_close_each_way() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        // The client has said all it has to say; the server goes on.
        c.write_all(b"question").await.unwrap();
        c.finish().await.unwrap();
        c.finish().await.unwrap();
        assert_eq!(c.write(b"more").await, Err(Error::Closed));
        assert_eq!(read_to_end(&mut a).await.unwrap(), b"question");
        let (sent, got) = join(
            async {
                a.write_all(&pattern(20_000)).await.unwrap();
                a.finish().await.unwrap();
                a.flush().await
            },
            read_to_end(&mut c),
        )
        .await;
        assert_eq!((sent, got.unwrap().len()), (Ok(()), 20_000));
    });
}

#[test]
fn both_halves_at_the_same_time() {
    let (_cable, one, two) = pair(Quality { delay: Duration::from_millis(5), ..Quality::PERFECT }, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        let data = pattern(50_000);
        let one_end = |socket: TcpSocket<'static>, data: Vec<u8>| async move {
            let mut socket = socket;
            let (mut reader, mut writer) = socket.split();
            let write = async {
                writer.write_all(&data).await.unwrap();
                writer.finish().await.unwrap();
            };
            join(write, read_to_end(&mut reader)).await.1.unwrap()
        };
        assert_eq!((a.read_ready(), c.write_ready()), (Ok(false), Ok(true)));
        a.set_no_delay(true);
        c.set_no_delay(true);
        let (x, y) = join(one_end(a, data.clone()), one_end(c, data.clone())).await;
        assert!(x == data && y == data);
    });
}

#[test]
fn connect_errors_say_what_happened() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut config = static_config(2);
    config.connect_timeout = SECOND * 5;
    let (one, two) = (host(&cable, 1), host_with(&cable, config, SIZES, 2));
    let client = two.stack;
    run([one, two], async {
        assert_eq!(client.connect(v4(1, 80)).await.unwrap_err(), Error::Refused);
        assert_eq!(client.connect(v6(1, 80)).await.unwrap_err(), Error::Refused);
        let began = Instant::now();
        assert_eq!(client.connect(v4(77, 80)).await.unwrap_err(), Error::TimedOut);
        assert!(began.elapsed() >= SECOND * 5 && began.elapsed() < SECOND * 8);
        assert_eq!(client.connect("192.168.1.1:80".parse().unwrap()).await.unwrap_err(), Error::Unreachable);
        assert_eq!(client.connect("[2001:db8::1]:80".parse().unwrap()).await.unwrap_err(), Error::Unreachable);
        assert_eq!(client.connect(v4(1, 0)).await.unwrap_err(), Error::InvalidInput);
        assert_eq!(client.connect(any(80)).await.unwrap_err(), Error::InvalidInput);
        Timer::after(SECOND).await;
        assert_eq!(client.stats().tcp_sockets, 0);
    });
}

#[test]
fn icmp_unreachable_ends_an_attempt_but_not_a_connection() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        // 10.0.0.1 claims that what 10.0.0.2 sent to it cannot be delivered.
        let unreachable = |from: u16, to: u16| {
            let mut quoted = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
            quoted.extend([from.to_be_bytes(), to.to_be_bytes(), [0; 2], [0; 2]].concat());
            ipv4_frame(1, &[&[3, 1, 0, 0, 0, 0, 0, 0][..], &quoted].concat())
        };
        cable.inject(0, &unreachable(c.local_addr().port(), 80));
        c.write_all(b"still here").await.unwrap();
        let mut buffer = [0; 20];
        assert_eq!(a.read(&mut buffer).await, Ok(10));
        // An attempt to a port where nobody answers, until a router does.
        let port = std::rc::Rc::new(Cell::new(0));
        let seen = port.clone();
        cable.set_filter(Box::new(move |from, frame| {
            if from == 1 && frame[12..14] == [8, 0] && frame[23] == 6 && frame[36..38] == 81u16.to_be_bytes() {
                seen.set(u16::from_be_bytes([frame[34], frame[35]]));
                return false;
            }
            true
        }));
        let attempt = client.connect(v4(1, 81));
        let router = async {
            while port.get() == 0 {
                Timer::after(Duration::from_millis(1)).await;
            }
            cable.inject(0, &unreachable(port.get(), 81));
        };
        let began = Instant::now();
        assert_eq!(join(attempt, router).await.0.unwrap_err(), Error::Unreachable);
        assert!(began.elapsed() < SECOND);
    });
}

/// An ICMP message from 10.0.0.1 to 10.0.0.2, with its checksums.
fn ipv4_frame(protocol: u8, icmp: &[u8]) -> Vec<u8> {
    let mut icmp = icmp.to_vec();
    let right = checksum(sum(&icmp));
    icmp[2..4].copy_from_slice(&right);
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ip[2..4].copy_from_slice(&((20 + icmp.len()) as u16).to_be_bytes());
    let right = checksum(sum(&ip));
    ip[10..12].copy_from_slice(&right);
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 8, 0][..], &ip, &icmp].concat()
}

#[test]
fn reset_abort_and_timeout_are_told_apart() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        a.abort();
        let mut buffer = [0; 10];
        assert_eq!(a.read(&mut buffer).await, Err(Error::Aborted));
        assert_eq!(c.read(&mut buffer).await, Err(Error::Reset));
        assert_eq!(c.write(b"x").await, Err(Error::Reset));
        assert_eq!(c.peer_addr(), v4(1, 80), "known after the end");
        drop((a, c));

        let (a, mut c) = connected(server, client, 81).await;
        c.set_timeout(Some(SECOND * 3));
        cable.set_filter(Box::new(|_, _| false));
        c.write_all(b"into the void").await.unwrap();
        let began = Instant::now();
        assert_eq!(c.read(&mut buffer).await, Err(Error::TimedOut));
        assert!(began.elapsed() >= SECOND * 3 && began.elapsed() < SECOND * 8, "{}", began.elapsed().as_millis());
        assert_eq!(c.flush().await, Err(Error::TimedOut));
        drop(a);
    });
}

#[test]
fn data_that_came_before_a_reset_can_still_be_read() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        a.write_all(b"last words").await.unwrap();
        a.flush().await.unwrap();
        a.abort();
        Timer::after(SECOND).await;
        let mut buffer = [0; 20];
        assert_eq!(c.read(&mut buffer).await, Ok(10));
        assert_eq!(c.read(&mut buffer).await, Err(Error::Reset));
    });
}

#[test]
fn a_timeout_for_ever_is_for_ever() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut config = static_config(2);
    config.linger = Duration::MAX;
    config.tcp_timeout = Duration::MAX;
    config.handshake_timeout = Duration::MAX;
    let (one, two) = (host(&cable, 1), host_with(&cable, config, SIZES, 2));
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut listener = server.listen(any(80), 1).unwrap();
        let mut options = ConnectOptions::new();
        options.timeout = Some(Duration::MAX);
        let (a, c) = join(listener.accept(), client.connect_with(v4(1, 80), options)).await;
        let (mut a, mut c) = (a.unwrap(), c.unwrap());
        for socket in [&mut a, &mut c] {
            socket.set_timeout(Some(Duration::MAX));
            socket.set_keep_alive(Some(Duration::MAX));
        }
        c.write_all(b"x").await.unwrap();
        let mut buffer = [0; 1];
        assert_eq!(a.read(&mut buffer).await, Ok(1));
        let mut ping = net_core::stack::PingOptions::default();
        ping.timeout = Duration::MAX;
        assert!(client.ping(v4(1, 0).ip(), ping).await.is_ok());
    });
}

/// smoltcp's own timeout ends a connection that has nothing to say.
#[test]
fn an_idle_connection_lives_on() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        a.set_timeout(Some(SECOND * 3));
        Timer::after(SECOND * 3600 * 24).await;
        a.write_all(b"good morning").await.unwrap();
        let mut buffer = [0; 20];
        assert_eq!(c.read(&mut buffer).await, Ok(12));
        Timer::after(SECOND * 3600).await;
        a.finish().await.unwrap();
        assert_eq!(a.flush().await, Ok(()), "the FIN is acknowledged, however long nothing was said");
        assert_eq!(c.read(&mut buffer).await, Ok(0));
    });
}

#[test]
fn a_peer_that_never_reads_does_not_hold_a_connection_for_ever() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, c) = connected(server, client, 80).await;
        a.set_timeout(Some(SECOND * 20));
        let began = Instant::now();
        assert_eq!(a.write_all(&pattern(100_000)).await, Err(Error::TimedOut));
        assert!(began.elapsed() < SECOND * 30);
        drop(c);
    });
}

#[test]
fn keep_alive_with_a_timeout_notices_a_peer_that_has_gone() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (_a, mut c) = connected(server, client, 80).await;
        c.set_keep_alive(Some(SECOND * 2));
        c.set_timeout(Some(SECOND * 10));
        let mut buffer = [0; 20];
        assert!(with_timeout(SECOND * 60, c.read(&mut buffer)).await.is_err(), "the peer answers the probes");
        cable.set_filter(Box::new(|_, _| false));
        let began = Instant::now();
        assert_eq!(c.read(&mut buffer).await, Err(Error::TimedOut));
        assert!(began.elapsed() < SECOND * 15);
    });
}

#[test]
fn hop_limit_is_on_the_wire_and_zero_is_refused() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    let ttl = std::rc::Rc::new(Cell::new(0));
    let seen = ttl.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 1 && frame[12..14] == [8, 0] && frame[23] == 6 {
            seen.set(frame[22]);
        }
        true
    }));
    run([one, two], async {
        let mut options = ConnectOptions::new();
        options.hop_limit = 5;
        assert_eq!(client.connect_with(v4(1, 79), options).await.unwrap_err(), Error::Refused);
        assert_eq!(ttl.get(), 5, "the first segment too");
        let (mut a, mut c) = connected(server, client, 80).await;
        assert_eq!((ttl.get(), c.hop_limit()), (64, 64));
        c.set_hop_limit(7).unwrap();
        c.write_all(b"x").await.unwrap();
        a.readable().await.unwrap();
        assert_eq!((ttl.get(), c.hop_limit()), (7, 7));
        assert_eq!(c.set_hop_limit(0), Err(Error::InvalidInput));
    });
}

#[test]
fn acknowledged_tells_of_a_message_while_the_next_is_under_way() {
    let (_cable, one, two) = pair(Quality { delay: Duration::from_millis(50), ..Quality::PERFECT }, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        a.set_no_delay(true);
        a.write_all(&[1; 1000]).await.unwrap();
        a.write_all(&[2; 1000]).await.unwrap();
        assert_eq!(a.unacknowledged(), 2000);
        let mut buffer = [0; 3000];
        let (_, read) = join(a.acknowledged(1000), c.read(&mut buffer)).await;
        assert!(read.unwrap() >= 1000);
        assert!(a.unacknowledged() <= 1000);
        a.acknowledged(0).await.unwrap();
        assert_eq!(a.unacknowledged(), 0);
    });
}

/// smoltcp throws away what was not read when TIME-WAIT ends, 10 s after both ends have finished.
#[test]
fn data_that_is_lost_for_not_being_read_is_no_end_of_the_stream() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut buffer = [0; 20];
        for port in 80..82 {
            let (mut a, mut c) = connected(server, client, port).await;
            c.finish().await.unwrap();
            Timer::after(SECOND).await;
            a.write_all(b"answer").await.unwrap();
            a.finish().await.unwrap();
            Timer::after(SECOND).await;
            if port == 80 {
                assert_eq!(c.read(&mut buffer).await, Ok(6));
            }
            Timer::after(SECOND * 60).await;
            let end = if port == 80 { Ok(0) } else { Err(Error::Aborted) };
            assert_eq!(c.read(&mut buffer).await, end);
        }
    });
}

#[test]
fn a_dropped_socket_delivers_what_was_written() {
    let (_cable, one, two) = pair(Quality { delay: Duration::from_millis(20), ..Quality::PERFECT }, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, mut c) = connected(server, client, 80).await;
        c.write_all(b"unread by the other end").await.unwrap();
        a.write_all(&pattern(4000)).await.unwrap();
        drop(a);
        assert_eq!(read_to_end(&mut c).await.unwrap(), pattern(4000));
        drop(c);
        Timer::after(SECOND * 30).await;
        assert_eq!((server.stats().tcp_sockets, client.stats().tcp_sockets), (0, 0));
    });
}

#[test]
fn a_dropped_socket_whose_peer_is_gone_is_freed_within_its_linger_time() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let (mut a, c) = connected(server, client, 80).await;
        cable.set_filter(Box::new(|_, _| false));
        a.write_all(b"never acknowledged").await.unwrap();
        drop(a);
        Timer::after(SECOND * 25).await;
        assert_eq!(server.stats().tcp_sockets, 0);
        drop(c);
    });
}

#[test]
fn a_connect_that_is_given_up_frees_its_socket() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let client = two.stack;
    run([one, two], async {
        assert!(with_timeout(SECOND, client.connect(v4(77, 80))).await.is_err());
        Timer::after(SECOND * 25).await;
        assert_eq!(client.stats().tcp_sockets, 0);
    });
}

#[test]
fn ten_thousand_connections_leak_nothing() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = small_host::<4, 0>(&cable, static_config(1));
    let client = small_host::<4, 0>(&cable, static_config(2));
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let mut listener = s.listen(any(80), 4).unwrap();
        let serve = async {
            loop {
                drop(listener.accept().await.unwrap());
            }
        };
        let clients = async {
            for n in 0..10_000 {
                let mut socket = match c.connect(v4(1, 80)).await {
                    Ok(socket) => socket,
                    Err(error) => panic!("connection {n}: {error}"),
                };
                let mut buffer = [0; 1];
                assert_eq!(socket.read(&mut buffer).await, Ok(0), "connection {n}");
            }
            Timer::after(SECOND * 60).await;
            assert_eq!((s.stats().tcp_sockets, c.stats().tcp_sockets), (0, 0));
        };
        select(serve, clients).await;
    });
}

#[test]
fn ports_cannot_be_foreseen() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    let mut ports = run([one, two], async {
        let mut listener = server.listen(any(80), 4).unwrap();
        let mut ports = Vec::new();
        for _ in 0..1000 {
            let (a, c) = join(listener.accept(), client.connect(v4(1, 80))).await;
            let mut c = c.unwrap();
            ports.push(c.local_addr().port());
            c.abort();
            drop(a);
        }
        ports
    });
    let steps: Vec<i32> = ports.windows(2).map(|w| i32::from(w[1]) - i32::from(w[0])).collect();
    assert!(steps.iter().filter(|s| s.abs() < 16).count() < 20, "consecutive ports are close");
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() > 900, "{} different ports of 1000", ports.len());
    let low = ports.iter().filter(|p| **p < 49152 + 8192).count();
    assert!((350..650).contains(&low), "{low} of 1000 in the lower half");
}

#[test]
fn two_stacks_in_one_program_and_the_published_traits() {
    use embedded_nal_async::TcpConnect;
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    async fn ask<T: TcpConnect>(stack: &T) -> usize {
        let mut socket = stack.connect(v4(1, 80)).await.ok().unwrap();
        socket.write_all(b"hello").await.ok().unwrap();
        let mut buffer = [0; 16];
        socket.read(&mut buffer).await.ok().unwrap()
    }
    run([one, two], async {
        let mut listener = server.listen(any(80), 1).unwrap();
        let serve = async { echo(listener.accept().await.unwrap()).await };
        let (n, ()) = join(ask(&client), serve).await;
        assert_eq!(n, 5);
        assert!(matches!(client.status().addresses[0].address(), IpAddr::V4(_)));
    });
}
