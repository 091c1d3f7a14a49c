//! Hostile frames: whatever comes, the stack neither panics nor hangs, and goes on serving.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)] // helpers of tests are tests

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::*;
use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer, with_timeout};
use net_core::cable::{Cable, Quality};
use net_core::nal::{Multicast, Read, TcpListener as _, UnconnectedUdp, Write};
use net_core::stack::{PingOptions, Stack};

/// A small generator, so that a failure can be repeated from its number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % sides
    }
}

/// Everything that a host serves at once.
async fn serve(stack: Stack<'static>) {
    let mut listener = stack.listen(any6(80), 4).unwrap();
    let mut udp = stack.bind(any6(5000)).unwrap();
    stack.join_group("224.0.0.251".parse().unwrap()).unwrap();
    let tcp = async {
        loop {
            let mut socket = listener.accept().await.unwrap();
            let serve = async {
                let mut buffer = [0; 100];
                while let Ok(n @ 1..) = socket.read(&mut buffer).await {
                    if socket.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            };
            let _ = with_timeout(Duration::from_secs(3), serve).await;
        }
    };
    let datagrams = async {
        let mut buffer = [0; 1500];
        loop {
            if let Ok((n, to, from)) = udp.receive_into(&mut buffer).await {
                let _ = udp.send(to, from, &buffer[..n]).await;
            }
        }
    };
    join(tcp, datagrams).await;
}

/// What a well-behaved client does; gives whether all of it worked.
async fn use_it(client: Stack<'static>) -> bool {
    let mut ok = true;
    for remote in [v4(1, 80), v6(1, 80)] {
        let Ok(Ok(mut socket)) = with_timeout(Duration::from_secs(30), client.connect(remote)).await else {
            return false;
        };
        let mut buffer = [0; 10];
        ok &= socket.write_all(b"hello").await.is_ok() && socket.read(&mut buffer).await == Ok(5);
        let mut udp = client.bind(any6(0)).unwrap();
        let to = std::net::SocketAddr::new(remote.ip(), 5000);
        ok &= udp.send(any6(0), to, b"hi").await.is_ok();
        ok &= with_timeout(Duration::from_secs(5), udp.receive_into(&mut buffer)).await.is_ok();
        ok &= client.ping(remote.ip(), PingOptions::default()).await.is_ok();
    }
    ok
}

/// Frames that a client really sends: the stuff that mutations are made of.
fn record() -> Vec<Vec<u8>> {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (host(&cable, 1), host(&cable, 2));
    let (server, client) = (one.stack, two.stack);
    let frames = Rc::new(RefCell::new(Vec::new()));
    let seen = frames.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 1 {
            seen.borrow_mut().push(frame.to_vec());
        }
        true
    }));
    run([one, two], async {
        match select(serve(server), use_it(client)).await {
            Either::Second(true) => {}
            _ => panic!("the good case does not work"),
        }
    });
    frames.take()
}

#[test]
fn a_hundred_thousand_mutated_frames_change_nothing() {
    let recorded = record();
    assert!(recorded.len() > 15, "{} frames", recorded.len());
    let cable = Cable::new(Quality::PERFECT, 1);
    let server = small_host::<4, 2>(&cable, static_config(1));
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    run([server, client], async {
        let attack = async {
            let mut dice = Dice(1);
            for n in 0..100_000u32 {
                let mut frame = recorded[dice.roll(recorded.len())].clone();
                for _ in 0..=dice.roll(4) {
                    // Mostly in the headers, whose meaning changes; checksums are mended half of the time.
                    let at = dice.roll(frame.len().clamp(1, 80)).min(frame.len() - 1);
                    frame[at] = match dice.roll(4) {
                        0 => 0,
                        1 => 0xff,
                        2 => frame[at] ^ (1 << dice.roll(8)),
                        _ => dice.roll(256) as u8,
                    };
                }
                match dice.roll(8) {
                    0 => frame.truncate(dice.roll(frame.len()) + 1),
                    1 => frame.resize(frame.len() + dice.roll(300), 0xaa),
                    _ => {}
                }
                if dice.roll(2) == 0 {
                    mend_checksums(&mut frame);
                }
                cable.inject(1, &frame);
                if n % 50 == 0 {
                    Timer::after(Duration::from_millis(1)).await;
                }
                if n % 10_000 == 0 {
                    // What half-open connections hold is given back in time, and a neighbour's forged address is
                    // forgotten after a minute.
                    Timer::after(Duration::from_secs(100)).await;
                    assert!(use_it(c).await, "after {n} frames");
                }
            }
            Timer::after(Duration::from_secs(200)).await;
            assert!(use_it(c).await);
            Timer::after(Duration::from_secs(200)).await;
            assert_eq!((s.stats().tcp_sockets, s.stats().udp_sockets), (0, 1));
        };
        select(serve(s), attack).await;
    });
}

/// Recomputes what a receiver would otherwise reject a frame for.
fn mend_checksums(frame: &mut [u8]) {
    if frame.len() < 14 + 20 {
        return;
    }
    let (protocol, header, pseudo) = match frame[12..14] {
        [8, 0] => {
            let header = 14 + 4 * usize::from(frame[14] & 15);
            if header < 34 || header > frame.len() {
                return;
            }
            frame[24..26].fill(0);
            let right = checksum(sum(&frame[14..header]));
            frame[24..26].copy_from_slice(&right);
            (frame[23], header, sum(&frame[26..34]))
        }
        [0x86, 0xdd] if frame.len() > 54 => (frame[20], 54, sum(&frame[22..54])),
        _ => return,
    };
    let length = (frame.len() - header) as u32;
    let (at, pseudo) = match protocol {
        6 => (header + 16, pseudo + 6 + length),
        17 => (header + 6, pseudo + 17 + length),
        1 => (header + 2, 0),
        58 => (header + 2, pseudo + 58 + length),
        _ => return,
    };
    if at + 2 <= frame.len() {
        frame[at..at + 2].fill(0);
        let right = checksum(pseudo + sum(&frame[header..]));
        frame[at..at + 2].copy_from_slice(&right);
    }
}

/// TCP-08: requests from addresses that do not exist, faster than they can time out.
#[test]
fn a_flood_of_connection_requests_keeps_nobody_out_for_long() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let mut config = static_config(1);
    config.handshake_timeout = Duration::from_secs(2);
    let server = small_host::<4, 2>(&cable, config);
    let client = host(&cable, 2);
    let (s, c) = (server.stack, client.stack);
    let request = Rc::new(RefCell::new(None));
    let seen = request.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 1 && frame[12..14] == [8, 0] && frame[23] == 6 && frame[47] == 2 {
            seen.borrow_mut().get_or_insert_with(|| frame.to_vec());
        }
        true
    }));
    run([server, client], async {
        let flood = async {
            assert!(use_it(c).await);
            let request = request.borrow().clone().unwrap();
            let mut dice = Dice(2);
            for _ in 0..3000 {
                let mut frame = request.clone();
                frame[29] = 3 + dice.roll(250) as u8; // from 10.0.0.n
                frame[34..36].copy_from_slice(&(dice.roll(65536) as u16).to_be_bytes());
                mend_checksums(&mut frame);
                cable.inject(1, &frame);
                if dice.roll(10) == 0 {
                    Timer::after(Duration::from_millis(10)).await;
                }
            }
            assert!(use_it(c).await);
            Timer::after(Duration::from_secs(100)).await;
            assert_eq!((s.stats().tcp_sockets, s.stats().waiting_requests), (0, 0));
        };
        select(serve(s), flood).await;
    });
}
