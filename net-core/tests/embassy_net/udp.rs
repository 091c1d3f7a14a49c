//! UDP over embassy-net: queues, transmitters, filters.

use embassy_futures::join::join;
use embassy_time::{Duration, Instant, Timer, with_timeout};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::nal::{UdpBind, UdpSocket as _, UdpStack, UnconnectedUdp};

use super::SECOND;
use super::common::*;
use super::devices::{device, run_with};

/// Defect 1 of smoltcp: one datagram to a vanished host stalls a socket for ever.
#[test]
fn a_vanished_host_delays_nobody_else() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<1, 2>(&cable, 1), device::<1, 2>(&cable, 2));
    let (receiver, sender) = (one.net, two.net);
    run_with([one, two], [], async {
        let mut receiver = receiver.bind(any(9)).await.unwrap();
        let mut socket = sender.bind(any(0)).await.unwrap();
        let began = Instant::now();
        let send = async {
            for n in 0..20u8 {
                // They differ, as there may be many.
                socket.send(any(0), v4(70 + n % 4, 9), &[n]).await.unwrap();
                socket.send(any(0), v4(1, 9), &[n]).await.unwrap();
                Timer::after(SECOND).await;
            }
        };
        let receive = async {
            let mut buffer = [0; 10];
            for n in 0..20u8 {
                let (length, _, _) = receiver.receive_into(&mut buffer).await.unwrap();
                assert_eq!((length, buffer[0]), (1, n));
                let late = began.elapsed().as_millis() - u64::from(n) * 1000;
                assert!(late < if n == 0 { 1100 } else { 20 }, "datagram {n} came {late} ms late");
            }
        };
        join(send, receive).await;
        Timer::after(SECOND * 5).await;
        assert_eq!(sender.stats().unresolved, 20);
    });
}

#[test]
fn datagrams_arrive_all_and_in_order_and_last_words_are_sent() {
    let cable = Cable::new(Quality { delay: Duration::from_millis(3), ..Quality::PERFECT }, 1);
    let (one, two) = (device::<1, 2>(&cable, 1), device::<1, 2>(&cable, 2));
    let (receiver, sender) = (one.net, two.net);
    run_with([one, two], [], async {
        let mut receiver = receiver.bind(any(9)).await.unwrap();
        let send = async {
            let mut socket = sender.bind(any(0)).await.unwrap();
            for n in 0..12usize {
                socket.send(any(0), v4(1, 9), &vec![n as u8; n * 100]).await.unwrap();
                // The other end keeps four that nobody has read yet.
                if n % 4 == 3 {
                    Timer::after(Duration::from_millis(100)).await;
                }
            }
        };
        let receive = async {
            let mut buffer = [0; 2000];
            for n in 0..12usize {
                let (length, _, _) = receiver.receive_into(&mut buffer).await.unwrap();
                assert_eq!(buffer[..length], vec![n as u8; n * 100]);
            }
        };
        join(send, receive).await;
        assert_eq!(sender.stats().udp_sockets, 0);
    });
}

#[test]
fn a_socket_hears_what_it_is_bound_to() {
    let cable = Cable::new(Quality::PERFECT, 1);
    let (one, two) = (device::<1, 3>(&cable, 1), device::<1, 3>(&cable, 2));
    let (server, client) = (one.net, two.net);
    run_with([one, two], [], async {
        let mut only_v4 = server.bind(any(9)).await.unwrap();
        assert_eq!(server.bind(v4(1, 9)).await.map(drop), Err(Error::AddressInUse));
        let mut socket = client.bind(any6(0)).await.unwrap();
        socket.send(any(0), v6(1, 9), b"six").await.unwrap();
        let mut buffer = [0; 10];
        assert!(with_timeout(SECOND, only_v4.receive_into(&mut buffer)).await.is_err());
        // To everybody on the link.
        socket.send(any(0), "255.255.255.255:9".parse().unwrap(), b"all").await.unwrap();
        let (length, to, from) = only_v4.receive_into(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..length], to.to_string().as_str()), (&b"all"[..], "255.255.255.255:9"));
        assert_eq!(from, v4(2, socket.local_addr().port()));
        drop(only_v4);
        let (local, _unique) = server.bind_single(any6(9)).await.unwrap();
        assert_eq!(local, v6(1, 9));
        assert_eq!(server.bind(v4(77, 9)).await.map(drop), Err(Error::AddressNotAvailable));
        let _more = (server.bind(any(0)).await.unwrap(), server.bind(any(0)).await.unwrap());
        assert_eq!(server.bind(any(0)).await.map(drop), Err(Error::NoFreeSocket));
    });
}
