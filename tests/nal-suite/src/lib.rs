//! What the traits of [`net_core::nal`] promise, checked over any network that implements them.
//!
//! A service is written against the traits once; so that it behaves the same everywhere, every network must pass these.
//! Each takes the two ends and an address of the first that the second can reach.
#![allow(clippy::unwrap_used, clippy::panic)] // these are tests
#![allow(async_fn_in_trait)]

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Waker};

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use net_core::Error;
use net_core::nal::{
    ByteStream, ConnectOptions, ConnectedUdp, Multicast, Net, Read, ReadReady, TcpListener, TcpRead, TcpSocket,
    TcpStack, TcpWrite, UdpBind, UdpSocket, UdpStack, UnconnectedUdp, Write, WriteReady,
};

/// A promise that a network cannot keep. What it does instead is in its documentation, and tested there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// Connecting from a chosen local port.
    LocalPort,
    /// Telling a connected UDP socket that nobody listens at its peer's.
    PortUnreachable,
}

/// All of it, one after the other.
pub async fn all<A, B>(server: &A, client: &B, ip: IpAddr)
where
    A: Net + UdpStack<Error = Error>,
    B: Net + UdpStack<Error = Error>,
{
    all_but(server, client, ip, &[]).await;
}

/// All that networks with these lacks promise.
pub async fn all_but<A, B>(server: &A, client: &B, ip: IpAddr, lacks: &[Lack])
where
    A: Net + UdpStack<Error = Error>,
    B: Net + UdpStack<Error = Error>,
{
    println!("tcp_addresses_and_echo");
    tcp_addresses_and_echo(server, client, ip).await;
    println!("tcp_half_close");
    tcp_half_close(server, client, ip).await;
    println!("tcp_halves_at_once");
    tcp_halves_at_once(server, client, ip).await;
    println!("tcp_refused_and_wrong");
    tcp_refused_and_wrong(client, ip).await;
    println!("tcp_abort");
    tcp_abort(server, client, ip).await;
    println!("tcp_listen_conflicts");
    tcp_listen_conflicts(server, ip).await;
    println!("tcp_acknowledgements");
    tcp_acknowledgements(server, client, ip).await;
    println!("tcp_connect_options");
    tcp_connect_options(server, client, ip).await;
    if !lacks.contains(&Lack::LocalPort) {
        println!("tcp_connect_from_a_port");
        tcp_connect_from_a_port(server, client, ip).await;
    }
    println!("tcp_options");
    tcp_options(server, client, ip).await;
    println!("tcp_readiness_and_cancelling");
    tcp_readiness_and_cancelling(server, client, ip).await;
    println!("tcp_polled");
    tcp_polled(server, client, ip).await;
    println!("tcp_pending");
    tcp_pending(server, client, ip).await;
    println!("tcp_drop_delivers");
    tcp_drop_delivers(server, client, ip).await;
    println!("udp_addresses");
    udp_addresses(server, client, ip).await;
    println!("udp_limits_and_conflicts");
    udp_limits_and_conflicts(server, client, ip).await;
    println!("udp_connected");
    udp_connected(server, client, ip).await;
    if !lacks.contains(&Lack::PortUnreachable) {
        println!("udp_refused");
        udp_refused(server, client, ip).await;
    }
    println!("groups");
    groups(server).await;
}

fn unspecified(ip: IpAddr) -> SocketAddr {
    match ip {
        IpAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        IpAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    }
}

/// A listener on a free port of `ip`, and where it listens.
async fn listener<A: TcpStack>(server: &A, ip: IpAddr) -> (A::Listener, SocketAddr) {
    let listener = server.listen(unspecified(ip), 2).await.unwrap();
    let port = listener.local_addr().port();
    assert_ne!(port, 0);
    (listener, SocketAddr::new(ip, port))
}

async fn connection<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) -> (A::Socket, B::Socket) {
    let (mut listener, address) = listener(server, ip).await;
    let (accepted, connected) = join(listener.accept(), client.connect(address)).await;
    (accepted.unwrap(), connected.unwrap())
}

async fn read_to_end(socket: &mut impl TcpRead) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0; 1000];
    loop {
        match socket.read(&mut buffer).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

/// Addresses are known at both ends, and what is sent comes back.
pub async fn tcp_addresses_and_echo<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    assert_eq!(a.local_addr(), c.peer_addr());
    assert_eq!(a.peer_addr(), c.local_addr());
    assert_eq!(a.local_addr().ip(), ip);
    c.write_all(b"hello").await.unwrap();
    let mut buffer = [0; 5];
    a.read_exact(&mut buffer).await.unwrap();
    a.write_all(&buffer).await.unwrap();
    let mut back = [0; 5];
    c.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    assert_eq!((c.write(b"").await, c.read(&mut []).await), (Ok(0), Ok(0)));
}

/// One direction ends while the other goes on.
pub async fn tcp_half_close<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    c.write_all(b"question").await.unwrap();
    c.finish().await.unwrap();
    c.finish().await.unwrap();
    assert_eq!(c.write(b"more").await, Err(Error::Closed));
    assert_eq!(read_to_end(&mut a).await, b"question");
    let answer = pattern(20_000);
    let send = async {
        a.write_all(&answer).await.unwrap();
        a.finish().await.unwrap();
    };
    let (back, ()) = join(read_to_end(&mut c), send).await;
    assert!(back == answer);
}

/// Both directions at full speed.
pub async fn tcp_halves_at_once<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    async fn one(socket: &mut impl TcpSocket, data: &[u8]) -> Vec<u8> {
        let (mut reader, mut writer) = socket.split();
        let write = async {
            writer.write_all(data).await.unwrap();
            writer.finish().await.unwrap();
        };
        join(read_to_end(&mut reader), write).await.0
    }
    let (mut a, mut c) = connection(server, client, ip).await;
    let data = pattern(200_000);
    let (x, y) = join(one(&mut a, &data), one(&mut c, &data)).await;
    assert!(x == data && y == data);
}

/// Connecting to nobody, and to nonsense.
pub async fn tcp_refused_and_wrong<B: TcpStack>(client: &B, ip: IpAddr) {
    // Port 1 is nobody's on any network of these tests.
    let error = |result: Result<B::Socket, Error>| result.map(drop);
    assert_eq!(error(client.connect(SocketAddr::new(ip, 1)).await), Err(Error::Refused));
    assert_eq!(error(client.connect(SocketAddr::new(ip, 0)).await), Err(Error::InvalidInput));
    assert_eq!(error(client.connect(SocketAddr::new(unspecified(ip).ip(), 80)).await), Err(Error::InvalidInput));
}

/// A reset is told from an end, at both sides.
pub async fn tcp_abort<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    let (local, peer) = (c.local_addr(), c.peer_addr());
    a.abort();
    let mut buffer = [0; 1];
    assert_eq!(a.read(&mut buffer).await, Err(Error::Aborted));
    assert_eq!(a.write(b"x").await, Err(Error::Aborted));
    assert_eq!(c.read(&mut buffer).await, Err(Error::Reset));
    assert_eq!((c.local_addr(), c.peer_addr()), (local, peer), "known after the end");
}

/// A port belongs to one listener, until that is dropped.
pub async fn tcp_listen_conflicts<A: TcpStack>(server: &A, ip: IpAddr) {
    let (first, address) = listener(server, ip).await;
    let again = SocketAddr::new(unspecified(ip).ip(), address.port());
    assert_eq!(server.listen(again, 1).await.map(drop), Err(Error::AddressInUse));
    assert_eq!(server.listen(unspecified(ip), 0).await.map(drop), Err(Error::InvalidInput));
    let foreign = match ip {
        IpAddr::V4(_) => "203.0.113.77:0",
        IpAddr::V6(_) => "[2001:db8::77]:0",
    };
    let foreign = foreign.parse().unwrap();
    assert_eq!(server.listen(foreign, 1).await.map(drop), Err(Error::AddressNotAvailable));
    drop(first);
    assert_eq!(server.listen(again, 1).await.map(drop), Ok(()));
}

/// What the peer has acknowledged is known.
pub async fn tcp_acknowledgements<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    assert_eq!(c.unacknowledged(), 0);
    c.write_all(&pattern(1000)).await.unwrap();
    let mut buffer = [0; 1000];
    let (acknowledged, read) = join(c.acknowledged(0), a.read_exact(&mut buffer)).await;
    assert_eq!((acknowledged, read.is_ok(), c.unacknowledged()), (Ok(()), true, 0));
    assert_eq!(c.flush().await, Ok(()));
}

/// A connection can be made with a chosen hop limit.
pub async fn tcp_connect_options<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut listener, address) = listener(server, ip).await;
    let mut options = ConnectOptions::new();
    options.hop_limit = 9;
    let (a, c) = join(listener.accept(), client.connect_with(address, options)).await;
    let (a, c) = (a.unwrap(), c.unwrap());
    assert_eq!(c.hop_limit(), 9);
    options.hop_limit = 0;
    assert_eq!(client.connect_with(address, options).await.map(drop), Err(Error::InvalidInput));
    drop((a, c));
}

/// A connection can be made from a chosen port, which must be free.
pub async fn tcp_connect_from_a_port<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut listener, address) = listener(server, ip).await;
    let mut options = ConnectOptions::new();
    // The port of a listener of its own is one that is taken.
    let own = client.listen(unspecified(ip), 1).await.unwrap();
    options.local_port = own.local_addr().port();
    let taken = client.connect_with(address, options).await.map(drop);
    assert_eq!(taken, Err(Error::AddressInUse));
    drop(own);
    let (a, c) = join(listener.accept(), client.connect_with(address, options)).await;
    let (a, c) = (a.unwrap(), c.unwrap());
    assert_eq!(a.peer_addr().port(), options.local_port);
    drop((a, c));
}

/// Options are kept, and nonsense refused.
pub async fn tcp_options<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    assert_eq!(c.hop_limit(), 64);
    c.set_hop_limit(7).unwrap();
    assert_eq!((c.hop_limit(), c.set_hop_limit(0)), (7, Err(Error::InvalidInput)));
    c.set_hop_limit(64).unwrap();
    c.set_no_delay(true);
    c.set_keep_alive(Some(Duration::from_secs(10)));
    c.set_timeout(Some(Duration::from_secs(60)));
    c.write_all(b"still works").await.unwrap();
    let mut buffer = [0; 11];
    a.read_exact(&mut buffer).await.unwrap();
}

/// Readiness is known and waited for; a future that is dropped loses nothing.
pub async fn tcp_readiness_and_cancelling<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    assert_eq!((a.read_ready(), c.write_ready()), (Ok(false), Ok(true)));
    let mut buffer = [0; 100];
    for _ in 0..3 {
        match select(a.read(&mut buffer), Timer::after(Duration::from_millis(1))).await {
            Either::First(result) => panic!("nothing was sent, but {result:?} read"),
            Either::Second(()) => {}
        }
    }
    c.write_all(b"here").await.unwrap();
    a.readable().await.unwrap();
    a.readable().await.unwrap();
    assert_eq!(a.read_ready(), Ok(true));
    assert_eq!(a.read(&mut buffer).await, Ok(4));
    // Until nothing more fits; then there is room again when the peer reads.
    while c.write_ready() == Ok(true) {
        assert!(c.write(&[0; 1000]).await.unwrap() > 0);
    }
    let read = async {
        loop {
            a.read(&mut buffer).await.unwrap();
        }
    };
    assert!(matches!(select(c.writable(), read).await, Either::First(Ok(()))));
}

/// A connection behind `dyn`, polled: the same as by its async methods.
pub async fn tcp_polled<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    async fn read(stream: &mut dyn ByteStream, buffer: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|cx| stream.poll_read(cx, buffer)).await
    }
    async fn send(stream: &mut dyn ByteStream, mut data: &[u8]) {
        while !data.is_empty() {
            let n = poll_fn(|cx| stream.poll_write(cx, data)).await.unwrap();
            assert!(n > 0);
            data = &data[n..];
        }
        assert_eq!(poll_fn(|cx| stream.poll_flush(cx)).await, Ok(()));
    }
    let (mut a, mut c) = connection(server, client, ip).await;
    let mut buffer = [0; 1000];
    {
        let (a, c): (&mut dyn ByteStream, &mut dyn ByteStream) = (&mut a, &mut c);
        // Of two tasks the one that polled last is woken.
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(a.poll_readable(&mut nobody).is_pending() && a.poll_read(&mut nobody, &mut buffer).is_pending());
        let (readable, ()) = join(poll_fn(|cx| a.poll_readable(cx)), send(c, b"here")).await;
        assert_eq!((readable, read(a, &mut buffer).await), (Ok(()), Ok(4)));
        assert_eq!((read(a, &mut []).await, poll_fn(|cx| a.poll_write(cx, &[])).await), (Ok(0), Ok(0)));
        let receive = async {
            let mut all = Vec::new();
            while all.len() < 50_000 {
                let n = read(a, &mut buffer).await.unwrap();
                all.extend_from_slice(&buffer[..n]);
            }
            all
        };
        assert!(join(receive, send(c, &pattern(50_000))).await.0 == pattern(50_000));
        assert_eq!(poll_fn(|cx| c.poll_finish(cx)).await, Ok(()));
        assert_eq!(poll_fn(|cx| c.poll_write(cx, b"more")).await, Err(Error::Closed));
        assert_eq!(poll_fn(|cx| a.poll_readable(cx)).await, Ok(()));
        assert_eq!(read(a, &mut buffer).await, Ok(0));
        assert_eq!(poll_fn(|cx| c.poll_flush(cx)).await, Ok(()), "the FIN is acknowledged too");
        a.reset();
        assert_eq!(read(a, &mut buffer).await, Err(Error::Aborted));
        assert_eq!(poll_fn(|cx| a.poll_write(cx, b"x")).await, Err(Error::Aborted));
        assert_eq!(poll_fn(|cx| a.poll_flush(cx)).await, Err(Error::Aborted));
        assert_eq!(read(c, &mut buffer).await, Err(Error::Reset));
    }
}

/// A listener tells that somebody wants to connect, as often as it is asked, without taking the connection.
pub async fn tcp_pending<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut listener, address) = listener(server, ip).await;
    for _ in 0..2 {
        let early = select(listener.pending(), Timer::after(Duration::from_millis(5))).await;
        assert!(matches!(early, Either::Second(())), "nobody connects");
    }
    let (pending, connected) = join(listener.pending(), client.connect(address)).await;
    let connected = connected.unwrap();
    assert_eq!((pending, listener.pending().await), (Ok(()), Ok(())));
    let accepted = listener.accept().await.unwrap();
    assert_eq!(accepted.peer_addr(), connected.local_addr());
    let late = select(listener.pending(), Timer::after(Duration::from_millis(5))).await;
    assert!(matches!(late, Either::Second(())), "nobody else connects");
}

/// A dropped socket delivers what was written.
pub async fn tcp_drop_delivers<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr) {
    let (mut a, mut c) = connection(server, client, ip).await;
    a.write_all(&pattern(2000)).await.unwrap();
    drop(a);
    assert!(read_to_end(&mut c).await == pattern(2000));
}

/// A datagram has its sender's address and the one it was sent to.
pub async fn udp_addresses<A: UdpBind, B: UdpBind>(server: &A, client: &B, ip: IpAddr) {
    let mut s = server.bind(unspecified(ip)).await.unwrap();
    let mut c = client.bind(unspecified(ip)).await.unwrap();
    let to = SocketAddr::new(ip, s.local_addr().port());
    c.send(unspecified(ip), to, b"hello").await.unwrap();
    s.readable().await.unwrap();
    let mut buffer = [0; 3];
    let (length, local, remote) = s.receive_into(&mut buffer).await.unwrap();
    assert_eq!((length, &buffer, local), (5, b"hel", to), "cut, but its length is told");
    assert_eq!(remote.port(), c.local_addr().port());
    s.send(local, remote, b"").await.unwrap();
    let (length, _, from) = c.receive_into(&mut buffer).await.unwrap();
    assert_eq!((length, from), (0, to));
}

/// A port belongs to one socket; sizes and destinations are checked.
pub async fn udp_limits_and_conflicts<A: UdpBind, B: UdpBind>(server: &A, client: &B, ip: IpAddr) {
    let s = server.bind(unspecified(ip)).await.unwrap();
    let again = SocketAddr::new(unspecified(ip).ip(), s.local_addr().port());
    assert_eq!(server.bind(again).await.map(drop), Err(Error::AddressInUse));
    drop(s);
    let mut c = client.bind(unspecified(ip)).await.unwrap();
    let to = |port| SocketAddr::new(ip, port);
    assert_eq!(c.send(unspecified(ip), to(9), &vec![0; 65_528]).await, Err(Error::TooLarge));
    assert_eq!(c.send(unspecified(ip), to(0), b"x").await, Err(Error::InvalidInput));
    assert_eq!((c.hop_limit(), c.set_hop_limit(0)), (64, Err(Error::InvalidInput)));
    c.set_hop_limit(9).unwrap();
    assert_eq!(c.hop_limit(), 9);
}

/// A connected socket hears its peer only.
pub async fn udp_connected<A, B>(server: &A, client: &B, ip: IpAddr)
where
    A: UdpBind,
    B: UdpStack<Error = Error>,
{
    let mut s = server.bind(unspecified(ip)).await.unwrap();
    let mut stranger = server.bind(unspecified(ip)).await.unwrap();
    let peer = SocketAddr::new(ip, s.local_addr().port());
    let (local, mut c) = client.connect(peer).await.unwrap();
    stranger.send(unspecified(ip), local, b"let me in").await.unwrap();
    c.send(b"ask").await.unwrap();
    let mut buffer = [0; 20];
    let (_, to, from) = s.receive_into(&mut buffer).await.unwrap();
    s.send(to, from, b"answer").await.unwrap();
    assert_eq!(c.receive_into(&mut buffer).await, Ok(6));
}

/// A connected socket is told when nobody listens at its peer's.
pub async fn udp_refused<A, B>(server: &A, client: &B, ip: IpAddr)
where
    A: UdpBind,
    B: UdpStack<Error = Error>,
{
    let mut s = server.bind(unspecified(ip)).await.unwrap();
    let (_, mut c) = client.connect(SocketAddr::new(ip, s.local_addr().port())).await.unwrap();
    c.send(b"ask").await.unwrap();
    let mut buffer = [0; 20];
    s.receive_into(&mut buffer).await.unwrap();
    drop(s);
    c.send(b"ask again").await.unwrap();
    assert_eq!(c.receive_into(&mut buffer).await, Err(Error::Refused));
}

/// What multicast DNS needs (RFC 6762 sections 5, 6, 11 and 15; M-30, M-31): one socket hears both groups on a port that
/// it may share, knows what was sent to which, and reaches both with every hop.
///
/// `sources` are the addresses that `server` hears `client`'s datagrams from, of each IP version that both have.
pub async fn multicast_dns<A, B>(server: &A, client: &B, sources: &[IpAddr])
where
    A: UdpBind + Multicast,
    B: UdpBind + Multicast,
{
    async fn socket<N: UdpBind + Multicast>(net: &N, groups: &[IpAddr]) -> N::Socket {
        for group in groups {
            net.join_group(*group).unwrap();
        }
        let mut socket = net.bind_shared(SocketAddr::from(([0u16; 8], 5353))).await.unwrap();
        socket.set_hop_limit(255).unwrap();
        socket
    }
    /// The next datagram that is not one's own: a computer hears those too.
    async fn next(socket: &mut impl UdpSocket, own: &[u8]) -> (Vec<u8>, SocketAddr, SocketAddr) {
        let mut buffer = [0; 100];
        loop {
            let (n, local, remote) = socket.receive_into(&mut buffer).await.unwrap();
            if &buffer[..n] != own {
                return (buffer[..n].to_vec(), local, remote);
            }
        }
    }
    let group = |source: &IpAddr| match source {
        IpAddr::V4(_) => IpAddr::from([224, 0, 0, 251]),
        IpAddr::V6(_) => IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0xfb]),
    };
    let groups: Vec<IpAddr> = sources.iter().map(group).collect();
    let mut s = socket(server, &groups).await;
    let mut c = socket(client, &groups).await;
    for source in sources {
        let to = SocketAddr::new(group(source), 5353);
        c.send(unspecified(*source), to, b"query").await.unwrap();
        let (data, local, remote) = next(&mut s, b"answer").await;
        assert_eq!((&data[..], local), (&b"query"[..], to));
        assert_eq!((remote.ip(), remote.port()), (*source, 5353));
        // To the one who asked, and to all.
        s.send(local, remote, b"answer").await.unwrap();
        let (data, local, from) = next(&mut c, b"query").await;
        assert_eq!((&data[..], local.ip(), local.port()), (&b"answer"[..], *source, 5353));
        assert_eq!(from.port(), 5353);
        s.send(unspecified(*source), to, b"answer").await.unwrap();
        assert_eq!(next(&mut c, b"query").await, (b"answer".to_vec(), to, from), "from the same address");
    }
    for group in groups {
        server.leave_group(group).unwrap();
        client.leave_group(group).unwrap();
    }
}

/// Groups are joined and left; what is no group is refused.
pub async fn groups<A: Multicast>(server: &A) {
    let group = "239.17.2.3".parse().unwrap();
    server.join_group(group).unwrap();
    server.join_group(group).unwrap();
    server.leave_group(group).unwrap();
    server.leave_group(group).unwrap();
    assert_eq!(server.leave_group(group), Err(Error::InvalidInput));
    assert_eq!(server.join_group("10.0.0.1".parse().unwrap()), Err(Error::InvalidInput));
}
