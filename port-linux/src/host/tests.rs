//! Over loopback, except where a test makes a network namespace of its own.

use std::net::{Ipv4Addr, SocketAddrV4};

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use net_core::dns::{Family, Resolver};
use net_core::events::Event;
use net_core::nal::{
    ConnectedUdp as _, Interface as _, Multicast as _, Read as _, ReadReady as _, TcpListener as _, TcpRead as _,
    TcpSocket as _, TcpStack, TcpWrite as _, UdpBind as _, UdpSocket as _, UdpStack, UnconnectedUdp as _, Write as _,
    WriteReady as _,
};

use super::*;
use crate::block_on;
use crate::netlink::Netlink;
use crate::testing::in_namespace;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn host() -> HostNet {
    HostNet::new(HostConfig::default()).unwrap()
}

fn on_loopback() -> HostNet {
    HostNet::new(HostConfig { interface: Some("lo".into()), ..HostConfig::default() }).unwrap()
}

async fn pair(net: &HostNet) -> (TcpSocket, TcpSocket) {
    let mut listener = net.listen(addr("127.0.0.1:0"), 1).await.unwrap();
    let (client, server) = join(TcpStack::connect(net, listener.local_addr()), listener.accept()).await;
    (client.unwrap(), server.unwrap())
}

async fn read_to_end(socket: &mut TcpSocket) -> Result<Vec<u8>, Error> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 4096];
    loop {
        match socket.read(&mut buffer).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Writes until the kernel takes no more; gives how much it took.
async fn fill(socket: &mut TcpSocket) -> usize {
    let mut written = 0;
    while socket.write_ready().unwrap() {
        written += socket.write(&[7; 65536]).await.unwrap();
    }
    written
}

#[test]
fn both_ends_know_both_addresses_and_each_may_end_its_half_first() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        assert_eq!((client.local_addr(), client.peer_addr()), (server.peer_addr(), server.local_addr()));
        client.write_all(b"question").await.unwrap();
        client.finish().await.unwrap();
        client.finish().await.unwrap();
        assert_eq!(client.write(b"more").await, Err(Error::Closed));
        assert_eq!(read_to_end(&mut server).await.unwrap(), b"question");
        server.write_all(b"answer").await.unwrap();
        server.finish().await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(read_to_end(&mut client).await.unwrap(), b"answer");
        assert_eq!(server.unacknowledged(), 0);
    })
    .unwrap();
}

#[test]
fn the_halves_work_at_the_same_time() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        let (mut reader, mut writer) = client.split();
        let echo = async {
            let mut buffer = [0; 1000];
            loop {
                match server.read(&mut buffer).await.unwrap() {
                    0 => break server.finish().await.unwrap(),
                    n => server.write_all(&buffer[..n]).await.unwrap(),
                }
            }
        };
        let send = async {
            for i in 0..10_000u32 {
                writer.write_all(&i.to_be_bytes()).await.unwrap();
            }
            writer.finish().await.unwrap();
        };
        let receive = async {
            let mut all = Vec::new();
            let mut buffer = [0; 777];
            loop {
                match reader.read(&mut buffer).await.unwrap() {
                    0 => break all,
                    n => all.extend_from_slice(&buffer[..n]),
                }
            }
        };
        let (all, _) = join(Box::pin(receive), join(Box::pin(send), Box::pin(echo))).await;
        let expected: Vec<u8> = (0..10_000u32).flat_map(u32::to_be_bytes).collect();
        assert!(all == expected);
    })
    .unwrap();
}

#[test]
fn errors_say_what_happened() {
    block_on(async {
        let net = host();
        let listener = net.listen(addr("127.0.0.1:0"), 1).await.unwrap();
        let taken = listener.local_addr();
        assert_eq!(net.listen(taken, 1).await.unwrap_err(), Error::AddressInUse);
        assert_eq!(net.listen(addr("127.0.0.1:0"), 0).await.unwrap_err(), Error::InvalidInput);
        assert_eq!(net.listen(addr("203.0.113.1:0"), 1).await.unwrap_err(), Error::AddressNotAvailable);
        drop(listener);
        assert_eq!(TcpStack::connect(&net, taken).await.unwrap_err(), Error::Refused);
        assert_eq!(TcpStack::connect(&net, addr("127.0.0.1:0")).await.unwrap_err(), Error::InvalidInput);
        assert_eq!(TcpStack::connect(&net, addr("0.0.0.0:80")).await.unwrap_err(), Error::InvalidInput);
        // The port of a listener that has gone is free at once.
        net.listen(taken, 1).await.unwrap();
        let missing = HostConfig { interface: Some("no-such-link".into()), ..HostConfig::default() };
        assert_eq!(HostNet::new(missing).unwrap_err(), Error::AddressNotAvailable);
    })
    .unwrap();
}

#[test]
fn what_came_before_a_reset_is_read_though_writing_has_failed() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        server.write_all(b"no more, please").await.unwrap();
        server.flush().await.unwrap();
        server.abort();
        while client.write(b"more").await.is_ok() {}
        let mut buffer = [0; 20];
        assert_eq!(client.read(&mut buffer).await, Ok(15));
        assert_eq!(client.read(&mut buffer).await, Err(Error::Reset));
    })
    .unwrap();
}

#[test]
fn a_reset_is_told_to_every_call_after_what_came_before_it() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        server.write_all(b"last words").await.unwrap();
        server.flush().await.unwrap();
        server.abort();
        assert_eq!(server.read(&mut [0; 8]).await, Err(Error::Aborted));
        assert_eq!(server.write(b"x").await, Err(Error::Aborted));
        assert_eq!(server.flush().await, Err(Error::Aborted));
        let mut buffer = [0; 4];
        client.readable().await.unwrap();
        let first = client.read(&mut buffer).await;
        // The kernel may tell the reset before or after what it has received.
        assert!(matches!(first, Ok(4) | Err(Error::Reset)), "{first:?}");
        let mut again = client.read(&mut buffer).await;
        while again.is_ok() {
            again = client.read(&mut buffer).await;
        }
        assert_eq!(again, Err(Error::Reset));
        assert_eq!(client.write(b"x").await, Err(Error::Reset));
        assert_eq!(client.flush().await, Err(Error::Reset));
        assert_eq!(client.finish().await, Err(Error::Reset));
        assert_eq!(client.peer_addr().ip(), addr("127.0.0.1:0").ip());
    })
    .unwrap();
}

#[test]
fn dropping_a_socket_with_unread_data_still_delivers_what_was_written() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        server.write_all(&[1; 100_000]).await.unwrap();
        server.flush().await.unwrap();
        client.write_all(&[2; 100_000]).await.unwrap();
        drop(client);
        assert_eq!(read_to_end(&mut server).await.map(|all| all.len()), Ok(100_000));
    })
    .unwrap();
}

#[test]
fn a_reader_that_gives_up_loses_nothing() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        let mut buffer = [0; 8];
        let gave_up = select(server.read(&mut buffer), async {}).await;
        assert!(matches!(gave_up, Either::Second(())));
        assert!(!server.read_ready().unwrap());
        client.write_all(b"here").await.unwrap();
        server.readable().await.unwrap();
        assert!(server.read_ready().unwrap());
        assert_eq!(server.read(&mut buffer).await, Ok(4));
        assert_eq!(server.read(&mut []).await, Ok(0));
        assert_eq!(server.write(&[]).await, Ok(0));
    })
    .unwrap();
}

#[test]
fn what_the_peer_has_not_acknowledged_is_known_and_waited_for() {
    block_on(async {
        let (mut client, mut server) = pair(&host()).await;
        let written = fill(&mut client).await;
        assert!((1..=written).contains(&client.unacknowledged()));
        let mut received = 0;
        let receive = async {
            let mut buffer = vec![0; 65536];
            while received < written {
                received += server.read(&mut buffer).await.unwrap();
            }
        };
        let (half, ()) = join(client.acknowledged(written / 2), receive).await;
        half.unwrap();
        client.flush().await.unwrap();
        assert_eq!(client.unacknowledged(), 0);
        assert!(client.write_ready().unwrap());
        client.writable().await.unwrap();
    })
    .unwrap();
}

#[test]
fn a_peer_that_takes_nothing_runs_into_the_user_timeout() {
    block_on(async {
        let (mut client, _server) = pair(&host()).await;
        client.set_timeout(Some(net_core::time::Duration::from_millis(200)));
        fill(&mut client).await;
        assert_eq!(client.flush().await, Err(Error::TimedOut));
        assert_eq!(client.read(&mut [0; 8]).await, Err(Error::TimedOut));
    })
    .unwrap();
}

#[test]
fn a_full_backlog_makes_clients_wait_and_they_may_give_up() {
    block_on(async {
        let net = host();
        let impatient =
            HostNet::new(HostConfig { connect_timeout: Duration::from_millis(50), ..HostConfig::default() });
        let impatient = impatient.unwrap();
        let mut listener = net.listen(addr("127.0.0.1:0"), 1).await.unwrap();
        let to = listener.local_addr();
        // Linux keeps one more than asked for.
        let _queued = (TcpStack::connect(&net, to).await.unwrap(), TcpStack::connect(&net, to).await.unwrap());
        assert_eq!(TcpStack::connect(&impatient, to).await.unwrap_err(), Error::TimedOut);
        let accept = async {
            let first = listener.accept().await;
            (first, listener.accept().await, listener.accept().await)
        };
        let (late, (a, b, c)) = join(TcpStack::connect(&net, to), accept).await;
        assert!(late.is_ok() && a.is_ok() && b.is_ok());
        assert_eq!(c.unwrap().peer_addr(), late.unwrap().local_addr());
    })
    .unwrap();
}

#[test]
fn options_are_set_and_hop_limits_told() {
    block_on(async {
        let (mut client, server) = pair(&host()).await;
        assert_eq!((client.hop_limit(), server.hop_limit()), (64, 64));
        assert_eq!(client.set_hop_limit(0), Err(Error::InvalidInput));
        client.set_hop_limit(3).unwrap();
        assert_eq!(client.hop_limit(), 3);
        client.set_no_delay(true);
        client.set_keep_alive(Some(net_core::time::Duration::from_millis(1500)));
        let options = client.options();
        assert_eq!(options.ttl_v4().unwrap(), 3);
        assert!(options.tcp_nodelay().unwrap());
        assert!(options.keepalive().unwrap());
        assert_eq!(options.tcp_keepalive_interval().unwrap(), Duration::from_secs(2));
        client.set_keep_alive(None);
        assert!(!client.options().keepalive().unwrap());
        client.abort();
        client.set_no_delay(true);
        assert_eq!(client.set_hop_limit(3), Err(Error::Aborted));
    })
    .unwrap();
}

#[test]
fn a_listener_on_both_versions_shows_ipv4_addresses_as_such() {
    block_on(async {
        let net = host();
        let mut listener = match net.listen(addr("[::]:0"), 4).await {
            Err(Error::Unsupported) => return, // a computer without IPv6
            listener => listener.unwrap(),
        };
        let port = listener.local_addr().port();
        for ip in ["127.0.0.1", "::1"] {
            let to = SocketAddr::new(ip.parse().unwrap(), port);
            let (client, server) = join(TcpStack::connect(&net, to), listener.accept()).await;
            let mut server = server.unwrap();
            assert_eq!(server.local_addr(), to);
            assert_eq!(server.peer_addr(), client.unwrap().local_addr());
            server.set_hop_limit(9).unwrap();
        }
    })
    .unwrap();
}

#[test]
fn a_configured_address_is_the_one_used() {
    block_on(async {
        let config = HostConfig { addresses: vec!["127.0.0.9".parse().unwrap()], ..HostConfig::default() };
        let net = HostNet::new(config).unwrap();
        let mut listener = net.listen(addr("0.0.0.0:0"), 1).await.unwrap();
        assert_eq!(listener.local_addr().ip(), addr("127.0.0.9:0").ip());
        let (client, server) = join(TcpStack::connect(&net, listener.local_addr()), listener.accept()).await;
        assert_eq!(client.unwrap().local_addr().ip(), addr("127.0.0.9:0").ip());
        drop(server);
        assert_eq!(net.bind(addr("0.0.0.0:0")).await.unwrap().local_addr().ip(), addr("127.0.0.9:0").ip());
    })
    .unwrap();
}

#[test]
fn a_datagram_tells_where_it_went_and_the_answer_comes_from_there() {
    block_on(async {
        let net = host();
        for any in ["0.0.0.0:0", "[::]:0"] {
            let mut server = match net.bind(addr(any)).await {
                Err(Error::Unsupported) => continue, // a computer without IPv6
                server => server.unwrap(),
            };
            for ip in ["127.0.0.1", "127.0.0.2", "::1"] {
                let to = SocketAddr::new(ip.parse().unwrap(), server.local_addr().port());
                if to.is_ipv6() && any == "0.0.0.0:0" {
                    continue;
                }
                let (own, mut client) = UdpStack::connect(&net, to).await.unwrap();
                client.send(b"ping").await.unwrap();
                server.readable().await.unwrap();
                let mut buffer = [0; 2];
                // The length is that of the datagram, not of the buffer.
                assert_eq!(server.receive_into(&mut buffer).await.unwrap(), (4, to, own));
                server.send(to, own, b"pong!").await.unwrap();
                assert_eq!(client.receive_into(&mut buffer).await, Ok(5));
            }
        }
    })
    .unwrap();
}

#[test]
fn udp_errors_say_what_happened() {
    block_on(async {
        let net = host();
        let mut socket = net.bind(addr("0.0.0.0:0")).await.unwrap();
        let port = socket.local_addr().port();
        assert_eq!(
            net.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).await.unwrap_err(),
            Error::AddressInUse
        );
        assert_eq!(net.bind(addr("203.0.113.1:0")).await.unwrap_err(), Error::AddressNotAvailable);
        let here = SocketAddr::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        let any = addr("0.0.0.0:0");
        assert_eq!(socket.send(any, here, &[0; 70_000]).await, Err(Error::TooLarge));
        assert_eq!(socket.send(any, addr("0.0.0.0:9"), b"x").await, Err(Error::InvalidInput));
        assert_eq!(socket.send(any, addr("127.0.0.1:0"), b"x").await, Err(Error::InvalidInput));
        assert_eq!(socket.send(any, addr("[::1]:9"), b"x").await, Err(Error::InvalidInput));
        let foreign = SocketAddr::new("203.0.113.1".parse().unwrap(), port);
        assert_eq!(socket.send(foreign, here, b"x").await, Err(Error::AddressNotAvailable));
        assert_eq!(socket.set_hop_limit(0), Err(Error::InvalidInput));
        socket.set_hop_limit(1).unwrap();
        assert_eq!(socket.hop_limit(), 1);
        drop(socket);
        let (_, mut nobody) = UdpStack::connect(&net, here).await.unwrap();
        nobody.send(b"anybody?").await.unwrap();
        assert_eq!(nobody.receive_into(&mut [0; 8]).await, Err(Error::Refused));
    })
    .unwrap();
}

#[test]
fn a_joined_group_is_received_by_every_socket_on_its_port() {
    block_on(async {
        let net = on_loopback();
        let group = "239.255.77.77".parse().unwrap();
        assert_eq!(net.join_group("127.0.0.1".parse().unwrap()), Err(Error::InvalidInput));
        assert_eq!(net.leave_group(group), Err(Error::InvalidInput));
        net.join_group(group).unwrap();
        net.join_group(group).unwrap();
        net.leave_group(group).unwrap();
        let mut member = net.bind(addr("0.0.0.0:0")).await.unwrap();
        let mut sender = net.bind(addr("0.0.0.0:0")).await.unwrap();
        let to = SocketAddr::new(group, member.local_addr().port());
        sender.send(addr("0.0.0.0:0"), to, b"all").await.unwrap();
        let mut buffer = [0; 8];
        let (length, local, from) = member.receive_into(&mut buffer).await.unwrap();
        assert_eq!((length, local), (3, to));
        // An answer from the group goes out from the address of the interface.
        member.send(local, from, b"one").await.unwrap();
        assert_eq!(sender.receive_into(&mut buffer).await.unwrap().0, 3);
        net.leave_group(group).unwrap();
        assert_eq!(net.leave_group(group), Err(Error::InvalidInput));
    })
    .unwrap();
}

/// Without an mDNS service, names below `.local` are asked for by multicast from here too.
#[test]
fn a_name_of_the_link_is_resolved() {
    in_namespace(|| {
        block_on(async {
            let net = on_loopback();
            // One that is good beyond this host: multicast is sent from no other.
            Netlink::open().unwrap().add_address(net.0.interface_index, "10.9.8.7/24".parse().unwrap()).unwrap();
            net.join_group("224.0.0.251".parse().unwrap()).unwrap();
            let mut responder = net.bind(addr("[::]:5353")).await.unwrap();
            let answer = async {
                let mut buffer = [0; 512];
                loop {
                    let (length, _, from) = responder.receive_into(&mut buffer).await.unwrap();
                    assert_eq!(&buffer[12..length], b"\x04lamp\x05local\0\0\x01\0\x01");
                    let mut reply = buffer[..length].to_vec();
                    reply[2..8].copy_from_slice(&[0x84, 0, 0, 1, 0, 1]);
                    reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x0a\0\x04\x0a\0\0\x07");
                    responder.send(addr("0.0.0.0:0"), from, &reply).await.unwrap();
                }
            };
            let resolver: Resolver<_> = Resolver::new(net.clone(), 7);
            match select(answer, Box::pin(resolver.lookup("lamp.local", Family::V4))).await {
                Either::First(()) => panic!("the responder ended"),
                Either::Second(found) => assert_eq!(found.unwrap().as_slice(), [IpAddr::from([10, 0, 0, 7])]),
            }
        })
        .unwrap();
    });
}

#[test]
fn the_interface_is_described_and_watched() {
    in_namespace(|| {
        block_on(async {
            let net = on_loopback();
            // Up by in_namespace.
            assert!(net.status().link_up);
            assert_eq!(net.status().ipv4(), Some(Ipv4Addr::LOCALHOST));
            let mut events = net.events().subscribe();
            let index = net.0.interface_index;
            let netlink = Netlink::open().unwrap();
            let act = async {
                // Again and again: changes before it has begun to watch are not seen.
                let address = "10.9.8.7/24".parse().unwrap();
                loop {
                    netlink.add_address(index, address).unwrap();
                    let pause = tokio::time::sleep(Duration::from_millis(10));
                    if let Either::First(event) = select(events.next(), pause).await {
                        break event;
                    }
                    netlink.remove_address(index, address).unwrap();
                }
            };
            let event = match select(net.watch(), act).await {
                Either::First(ended) => panic!("{ended:?}"),
                Either::Second(event) => event,
            };
            assert!(matches!(event, Event::AddressAdded(_) | Event::AddressRemoved(_)), "{event:?}");
        })
        .unwrap();
    });
}

#[test]
fn without_a_route_a_host_is_unreachable() {
    in_namespace(|| {
        block_on(async {
            assert_eq!(TcpStack::connect(&host(), addr("203.0.113.1:80")).await.unwrap_err(), Error::Unreachable);
            assert_eq!(TcpStack::connect(&host(), addr("[2001:db8::1]:80")).await.unwrap_err(), Error::Unreachable);
            let mut socket = host().bind(addr("0.0.0.0:0")).await.unwrap();
            let sent = socket.send(addr("0.0.0.0:0"), addr("203.0.113.1:80"), b"x").await;
            assert_eq!(sent, Err(Error::Unreachable));
        })
        .unwrap();
    });
}
