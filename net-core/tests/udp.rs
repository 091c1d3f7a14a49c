//! UDP over the in-memory cable: addresses, broadcast, multicast, dead peers, conflicts, limits.
#![allow(clippy::large_futures)] // a test has more stack than a chip
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests

mod common;

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use common::*;
use embassy_futures::join::join;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::limits;
use net_core::nal::{ConnectedUdp, Multicast, UdpSocket as _, UdpStack, UnconnectedUdp};
use net_core::stack::UdpSocket;

const SECOND: Duration = Duration::from_secs(1);

async fn send(socket: &mut UdpSocket<'static>, to: SocketAddr, data: &[u8]) -> Result<(), Error> {
    let unspecified = if to.is_ipv4() { any(0) } else { any6(0) };
    socket.send(unspecified, to, data).await
}

/// The next datagram: data, our address, its sender.
async fn receive(socket: &mut UdpSocket<'static>) -> (Vec<u8>, SocketAddr, SocketAddr) {
    let mut buffer = [0; 1500];
    let (n, to, from) = with_timeout(SECOND * 30, socket.receive_into(&mut buffer)).await.unwrap().unwrap();
    (buffer[..n].to_vec(), to, from)
}

async fn nothing_comes(socket: &mut UdpSocket<'static>) -> bool {
    let mut buffer = [0; 1500];
    with_timeout(SECOND * 5, socket.receive_into(&mut buffer)).await.is_err()
}

#[test]
fn datagrams_have_both_addresses_and_the_answer_comes_from_the_one_asked() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any6(5000)).unwrap();
        let mut c = client.bind(any6(0)).unwrap();
        assert!(c.local_addr().port() >= 49152);
        for (to, own) in [(v4(1, 5000), v4(2, 0)), (v6(1, 5000), v6(2, 0))] {
            send(&mut c, to, b"hello").await.unwrap();
            let (data, local, remote) = receive(&mut s).await;
            assert_eq!((&data[..], local, remote.ip()), (&b"hello"[..], to, own.ip()));
            s.send(local, remote, b"answer").await.unwrap();
            let (data, _, from) = receive(&mut c).await;
            assert_eq!((&data[..], from), (&b"answer"[..], to));
        }
    });
}

#[test]
fn a_longer_datagram_is_cut_and_its_length_told() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any(0)).unwrap();
        send(&mut c, v4(1, 5000), &pattern(1000)).await.unwrap();
        send(&mut c, v4(1, 5000), b"next").await.unwrap();
        let mut buffer = [0; 10];
        let (n, _, _) = s.receive_into(&mut buffer).await.unwrap();
        assert_eq!((n, &buffer[..]), (1000, &pattern(10)[..]));
        assert_eq!(receive(&mut s).await.0, b"next");
    });
}

#[test]
fn an_ipv4_socket_gets_no_ipv6() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any6(0)).unwrap();
        send(&mut c, v6(1, 5000), b"six").await.unwrap();
        send(&mut c, v4(1, 5000), b"four").await.unwrap();
        assert_eq!(receive(&mut s).await.0, b"four");
        assert!(nothing_comes(&mut s).await);
    });
}

#[test]
fn broadcast_to_all_and_to_the_subnet_needs_no_option() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut bound = server.bind(v4(1, 5001)).unwrap();
        let mut c = client.bind(any(0)).unwrap();
        for to in ["255.255.255.255:5000", "10.0.0.255:5000"] {
            let to: SocketAddr = to.parse().unwrap();
            send(&mut c, to, b"all").await.unwrap();
            let (data, local, _) = receive(&mut s).await;
            assert_eq!((&data[..], local), (&b"all"[..], to));
        }
        send(&mut c, "10.0.0.255:5001".parse().unwrap(), b"all").await.unwrap();
        assert_eq!(receive(&mut bound).await.0, b"all");
    });
}

/// What kind of membership report a frame is: 'j' and 'l' for joining and leaving.
fn report(frame: &[u8], group: IpAddr) -> Option<char> {
    match group {
        IpAddr::V4(group) if frame[12..14] == [8, 0] && frame[23] == 2 => {
            assert_eq!(frame[14], 0x46, "IGMP without Router Alert (RFC 2236 section 2)");
            assert_eq!(frame[34..38], [0x94, 4, 0, 0]);
            assert_eq!(frame.len(), 14 + 24 + 8);
            assert_eq!(checksum(sum(&frame[14..38])), [0, 0], "IP header checksum");
            assert_eq!(checksum(sum(&frame[38..46])), [0, 0], "IGMP checksum");
            assert_eq!(frame[22], 1, "time to live");
            (frame[42..46] == group.octets()).then(|| if frame[38] == 0x17 { 'l' } else { 'j' })
        }
        IpAddr::V6(group) if frame[12..14] == [0x86, 0xdd] && frame[20] == 0 && frame[62] == 143 => {
            let records = u16::from_be_bytes([frame[68], frame[69]]);
            let mut pseudo = frame[22..54].to_vec();
            pseudo.extend([0, 0, 0, (frame.len() - 62) as u8, 0, 0, 0, 58]);
            pseudo.extend(&frame[62..]);
            assert_eq!(checksum(sum(&pseudo)), [0, 0], "ICMPv6 checksum");
            (0..usize::from(records)).map(|i| &frame[70 + 20 * i..90 + 20 * i]).find_map(|record| {
                // RFC 3810 section 5.2.12: 2 is "mode is exclude", 3 "change to include", 4 "change to exclude".
                (record[4..] == group.octets()).then(|| if record[0] == 3 { 'l' } else { 'j' })
            })
        }
        _ => None,
    }
}

type Reports = Rc<RefCell<Vec<(char, u64)>>>;

/// Notes the reports that the first end sends for a group, and when.
fn watch_reports(cable: &Cable, group: IpAddr) -> Reports {
    let reports = Reports::default();
    let seen = reports.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 0
            && let Some(kind) = report(frame, group)
        {
            seen.borrow_mut().push((kind, Instant::now().as_millis()));
        }
        true
    }));
    reports
}

/// Defects 2, 3 and 4 of smoltcp: a join wakes nothing, MLD reports are the wrong way round, IGMP lacks Router Alert.
#[test]
fn joining_and_leaving_are_reported_at_once_and_rightly() {
    for group in ["239.1.2.3", "ff02::1234"] {
        let group: IpAddr = group.parse().unwrap();
        let (cable, one, two) = pair(Quality::PERFECT, 1);
        let (server, client) = (one.stack, two.stack);
        let reports = watch_reports(&cable, group);
        run([one, two], async {
            let mut s = server.bind(any6(5000)).unwrap();
            let mut c = client.bind(any6(0)).unwrap();
            let to = SocketAddr::new(group, 5000);
            Timer::after(SECOND * 100).await;
            send(&mut c, to, b"too early").await.unwrap();
            assert!(nothing_comes(&mut s).await);
            let joined = Instant::now().as_millis();
            server.join_group(group).unwrap();
            server.join_group(group).unwrap();
            Timer::after(SECOND).await;
            assert_eq!(*reports.borrow(), [('j', joined)]);
            send(&mut c, to, b"now").await.unwrap();
            let (data, local, _) = receive(&mut s).await;
            assert_eq!((&data[..], local), (&b"now"[..], to));
            server.leave_group(group).unwrap();
            send(&mut c, to, b"still").await.unwrap();
            assert_eq!(receive(&mut s).await.0, b"still", "joined twice, left once");
            let left = Instant::now().as_millis();
            server.leave_group(group).unwrap();
            Timer::after(SECOND).await;
            assert_eq!(reports.borrow()[1..], [('l', left)]);
            send(&mut c, to, b"too late").await.unwrap();
            assert!(nothing_comes(&mut s).await);
            assert_eq!(server.leave_group(group), Err(Error::InvalidInput));
        });
    }
}

/// Defect 2 of smoltcp: `poll_at` does not know of the report that a query asks for.
#[test]
fn a_membership_query_is_answered_though_nothing_else_happens() {
    let group: IpAddr = "239.1.2.3".parse().unwrap();
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let server = one.stack;
    let reports = watch_reports(&cable, group);
    run([one, two], async {
        server.join_group(group).unwrap();
        Timer::after(SECOND * 100).await;
        reports.borrow_mut().clear();
        // A general IGMPv2 query from 10.0.0.2, reports within 10 s.
        let mut igmp = [0x11, 100, 0, 0, 0, 0, 0, 0];
        let right = checksum(sum(&igmp));
        igmp[2..4].copy_from_slice(&right);
        let mut ip = [0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0, 10, 0, 0, 2, 224, 0, 0, 1];
        let right = checksum(sum(&ip));
        ip[10..12].copy_from_slice(&right);
        cable.inject(1, &[&[1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 1, 8, 0][..], &ip, &igmp].concat());
        let asked = Instant::now().as_millis();
        Timer::after(SECOND * 12).await;
        let reports = reports.borrow();
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].1 - asked <= 10_500, "{} ms", reports[0].1 - asked);
    });
}

#[test]
fn memberships_are_reported_again_when_the_link_returns() {
    let group: IpAddr = "239.1.2.3".parse().unwrap();
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let server = one.stack;
    let reports = watch_reports(&cable, group);
    run([one, two], async {
        server.join_group(group).unwrap();
        Timer::after(SECOND).await;
        cable.set_link(false);
        Timer::after(SECOND).await;
        reports.borrow_mut().clear();
        cable.set_link(true);
        Timer::after(SECOND).await;
        assert_eq!(reports.borrow().len(), 1);
    });
}

#[test]
fn group_errors() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let server = one.stack;
    run([one, two], async {
        assert_eq!(server.join_group("10.0.0.7".parse().unwrap()), Err(Error::InvalidInput));
        let mut joined = 0;
        while server.join_group(IpAddr::from([239, 1, 1, joined])).is_ok() {
            joined += 1;
        }
        // Three of the places are those of the IPv6 addresses' own groups, or fewer where they share one.
        assert!((4..=limits::MULTICAST_GROUPS as u8).contains(&joined), "{joined}");
        assert_eq!(server.join_group("239.2.2.2".parse().unwrap()), Err(Error::NoFreeSocket));
    });
}

/// Defect 1 of smoltcp: the socket would be silent for ever.
#[test]
fn a_vanished_host_delays_nobody_else() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any6(5000)).unwrap();
        let mut c = client.bind(any6(6000)).unwrap();
        for dead in [v4(77, 9), v6(77, 9)] {
            send(&mut c, v4(1, 5000), b"hello").await.unwrap();
            receive(&mut s).await;
            for round in 0..10u8 {
                send(&mut c, dead, b"anybody?").await.unwrap();
                send(&mut c, v4(1, 5000), &[round]).await.unwrap();
                let began = Instant::now();
                assert_eq!(receive(&mut s).await.0, [round]);
                assert!(began.elapsed() < Duration::from_millis(10), "{} ms", began.elapsed().as_millis());
                Timer::after(SECOND).await;
            }
        }
        Timer::after(SECOND * 5).await;
        assert_eq!(client.stats().unresolved, 20);
    });
}

/// A server that tells its clients something ten times a second, of whom one has vanished.
#[test]
fn many_datagrams_to_a_vanished_host_delay_nobody_else() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any(6000)).unwrap();
        let sending = async {
            let mut slowest = Vec::new();
            for n in 0..200u8 {
                let began = Instant::now();
                send(&mut c, v4(77, 9), b"anybody?").await.unwrap();
                send(&mut c, v4(1, 5000), &[n]).await.unwrap();
                slowest.push(began.elapsed());
                Timer::after(Duration::from_millis(100)).await;
            }
            slowest
        };
        let receiving = async {
            for n in 0..200u8 {
                assert_eq!(receive(&mut s).await.0, [n]);
            }
        };
        let (took, ()) = join(sending, receiving).await;
        // Until its silence is proved it may take room; afterwards never.
        assert!(took.iter().all(|t| *t < SECOND * 2), "{took:?}");
        assert!(took[20..].iter().all(|t| *t < Duration::from_millis(1)), "{took:?}");
    });
}

#[test]
fn a_full_queue_of_datagrams_to_nobody_lets_the_next_through_after_its_time() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any(6000)).unwrap();
        for _ in 0..limits::UDP_DATAGRAMS {
            send(&mut c, v4(77, 9), b"x").await.unwrap();
        }
        let began = Instant::now();
        send(&mut c, v4(1, 5000), b"live").await.unwrap();
        assert_eq!(receive(&mut s).await.0, b"live");
        // Three seconds until the others are given up, and up to one until smoltcp may ask for another address.
        assert!(began.elapsed() < Duration::from_millis(4500), "{} ms", began.elapsed().as_millis());
    });
}

#[test]
fn datagrams_to_a_host_not_yet_resolved_arrive_all_and_in_order() {
    let quality = Quality { delay: Duration::from_millis(30), ..Quality::PERFECT };
    let (_cable, one, two) = pair(quality, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any6(5000)).unwrap();
        // What another socket, or one that is dropped, has for nobody must not change it.
        let mut others = Vec::new();
        for (to, keep) in [(v4(1, 5000), false), (v6(1, 5000), true), (v4(1, 5000), false), (v6(1, 5000), false)] {
            let mut c = client.bind(any6(0)).unwrap();
            for n in 0..6u8 {
                send(&mut c, to, &[n]).await.unwrap();
                send(&mut c, v4(77, 9), b"nobody").await.unwrap();
                if n == 3 {
                    // Room in the queue, while addresses are being resolved.
                    Timer::after(Duration::from_millis(200)).await;
                }
            }
            for n in 0..6u8 {
                assert_eq!(receive(&mut s).await.0, [n]);
            }
            if keep {
                others.push(c);
            }
        }
    });
}

/// Defect 6 of smoltcp: a second bind succeeds and its socket starves.
#[test]
fn bind_conflicts_and_exhaustion_are_errors() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (small_host::<0, 2>(&cable, static_config(1)), host(&cable, 2));
    let server = one.stack;
    run([one, two], async {
        let first = server.bind(any(5000)).unwrap();
        assert_eq!(server.bind(any(5000)).unwrap_err(), Error::AddressInUse);
        assert_eq!(server.bind(v4(1, 5000)).unwrap_err(), Error::AddressInUse);
        assert_eq!(server.bind(v4(9, 5001)).unwrap_err(), Error::AddressNotAvailable);
        let second = server.bind(v6(1, 5000)).unwrap();
        assert_eq!(server.bind(any(0)).unwrap_err(), Error::NoFreeSocket);
        drop(first);
        let again = server.bind(any(5000)).unwrap();
        assert_eq!(server.stats().udp_sockets, 2);
        drop((second, again));
        assert_eq!(server.stats().udp_sockets, 0);
    });
}

#[test]
fn sizes_destinations_and_options_are_checked() {
    let (cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    let ttl = Rc::new(RefCell::new(Vec::new()));
    let seen = ttl.clone();
    cable.set_filter(Box::new(move |from, frame| {
        if from == 1 && frame[12..14] == [8, 0] && frame[23] == 17 {
            seen.borrow_mut().push(frame[22]);
        }
        true
    }));
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any(0)).unwrap();
        let largest = pattern(limits::UDP_PAYLOAD);
        send(&mut c, v4(1, 5000), &largest).await.unwrap();
        assert_eq!(receive(&mut s).await.0, largest);
        assert_eq!(send(&mut c, v4(1, 5000), &pattern(limits::UDP_PAYLOAD + 1)).await, Err(Error::TooLarge));
        assert_eq!(send(&mut c, v4(1, 0), b"x").await, Err(Error::InvalidInput));
        assert_eq!(send(&mut c, "192.168.1.1:1".parse().unwrap(), b"x").await, Err(Error::Unreachable));
        send(&mut c, v4(1, 5000), b"").await.unwrap();
        assert_eq!(receive(&mut s).await.0, b"");
        c.set_hop_limit(9).unwrap();
        assert_eq!((c.hop_limit(), c.set_hop_limit(0)), (9, Err(Error::InvalidInput)));
        send(&mut c, v4(1, 5000), b"x").await.unwrap();
        receive(&mut s).await;
        assert_eq!(*ttl.borrow(), [64, 64, 9]);
    });
}

#[test]
fn a_connected_socket_hears_only_its_peer_and_is_told_when_nobody_listens() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut stranger = server.bind(any(5001)).unwrap();
        let (local, mut c) = UdpStack::connect(&client, v4(1, 5000)).await.unwrap();
        assert_eq!(local.ip(), v4(2, 0).ip());
        send(&mut stranger, local, b"let me in").await.unwrap();
        c.send(b"ask").await.unwrap();
        let (_, to, from) = receive(&mut s).await;
        s.send(to, from, b"answer").await.unwrap();
        let mut buffer = [0; 100];
        assert_eq!(c.receive_into(&mut buffer).await, Ok(6));
        drop(s);
        c.send(b"ask again").await.unwrap();
        assert_eq!(c.receive_into(&mut buffer).await, Err(Error::Refused));
    });
}

#[test]
fn many_datagrams_through_a_slow_line_wait_for_room() {
    let quality = Quality { bandwidth: 1_000_000, ..Quality::PERFECT };
    let (_cable, one, two) = pair(quality, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let mut s = server.bind(any(5000)).unwrap();
        let mut c = client.bind(any(0)).unwrap();
        let sending = async {
            for n in 0..100u8 {
                send(&mut c, v4(1, 5000), &[n; 500]).await.unwrap();
            }
        };
        let receiving = async {
            for n in 0..100u8 {
                assert_eq!(receive(&mut s).await.0[0], n);
            }
        };
        join(sending, receiving).await;
    });
}

#[test]
fn a_dropped_socket_s_last_datagrams_go_out_and_its_port_and_place_are_free() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (peer, stack) = (one.stack, two.stack);
    run([one, two], async {
        let mut p = peer.bind(any(5000)).unwrap();
        for round in [b"one", b"two"] {
            let mut s = stack.bind(any(6000)).unwrap();
            send(&mut s, v4(1, 5000), round).await.unwrap();
            // Somebody who is not there does not hold the others up.
            send(&mut s, v4(77, 5000), b"nobody").await.unwrap();
            drop(s);
            assert_eq!(stack.stats().udp_sockets, 0);
            let (data, _, from) = receive(&mut p).await;
            assert_eq!((&data[..], from), (&round[..], v4(2, 6000)));
        }
    });
}

#[test]
fn last_words_do_not_keep_a_place_from_a_new_socket() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let host = small_host::<1, 1>(&cable, static_config(1));
    let stack = host.stack;
    run([host], async {
        for _ in 0..3 {
            let mut s = stack.bind(any(0)).unwrap();
            send(&mut s, v4(77, 5000), b"nobody").await.unwrap();
        }
        Timer::after(SECOND * 10).await;
        assert_eq!(stack.bind(any(0)).map(drop), Ok(()));
    });
}
