//! UDP sockets.
//!
//! embassy-net's sockets of the pool only receive. What is to be sent waits in a queue for each, and leaves by
//! [`Transmission`].

use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};

use embassy_net::udp::{UdpMetadata, UdpSocket as Socket};
use embassy_net::{IpListenEndpoint, Stack};
use embassy_time::Instant;

use super::transmit::{Outgoing, Transmission, Transmitter, UNRESOLVED_FOR};
use super::{EmbassyNet, HOP_LIMIT, Inner, addresses, poll};
use crate::nal::{self, ConnectedUdp, UdpStack, UnconnectedUdp};
use crate::queue::Queue;
use crate::random::free_port;
use crate::{Error, address, limits};

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// A place of the pool.
pub(super) struct Place {
    used: bool,
    /// Receives.
    socket: Socket<'static>,
    pub(super) local: SocketAddr,
    /// The one peer of a connected socket.
    peer: Option<SocketAddr>,
    hop_limit: u8,
    pub(super) queue: Queue<'static, Outgoing>,
    /// Who waits for room in the queue.
    writer: Option<Waker>,
}

impl Place {
    pub(super) fn new(socket: Socket<'static>, queue: Queue<'static, Outgoing>) -> Self {
        Self { used: false, socket, local: NOWHERE, peer: None, hop_limit: HOP_LIMIT, queue, writer: None }
    }

    /// Whether a datagram is for this socket, beyond what embassy-net looks at: that binds to all addresses of either IP
    /// version, or to one.
    fn wants(&self, to: IpAddr, from: SocketAddr) -> bool {
        self.peer.is_none_or(|peer| peer == from) && (!self.local.is_ipv4() || to.is_ipv4())
    }

    /// Takes a datagram out of the queue.
    pub(super) fn remove(&mut self, at: usize) {
        self.queue.remove(at);
        self.wake_writer();
    }

    /// Wakes who waits for room in the queue.
    pub(super) fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }

    /// The next datagram: how long it was, to which of our addresses it came, and from whom.
    fn poll_receive(&mut self, buffer: &mut [u8], waker: &Waker) -> Poll<(usize, SocketAddr, SocketAddr)> {
        loop {
            let copy = |data: &[u8], meta: UdpMetadata| {
                let n = data.len().min(buffer.len());
                buffer[..n].copy_from_slice(&data[..n]);
                (data.len(), meta)
            };
            let Poll::Ready((length, meta)) = poll(self.socket.recv_from_with(copy), waker) else {
                return Poll::Pending;
            };
            let from = SocketAddr::from(meta.endpoint);
            let to = meta.local_address.map_or(self.local.ip(), IpAddr::from);
            if self.wants(to, from) {
                return Poll::Ready((length, SocketAddr::new(to, self.local.port()), from));
            }
        }
    }
}

/// The pool of UDP sockets.
pub(super) struct Pool {
    places: &'static mut [Place],
    pub(super) transmission: Transmission,
}

impl Pool {
    pub(super) fn new(places: &'static mut [Place], transmitters: &'static mut [Transmitter]) -> Self {
        Self { places, transmission: Transmission::new(transmitters) }
    }

    fn take(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<usize, Error> {
        let free = self.places.iter().position(|place| !place.used && place.queue.is_empty());
        // Last words are worth less than a new socket.
        let index = free.or_else(|| self.places.iter().position(|place| !place.used)).ok_or(Error::NoFreeSocket)?;
        let place = &mut self.places[index];
        let addr = if local.ip().is_unspecified() { None } else { addresses::convert(local.ip()) };
        place.socket.bind(IpListenEndpoint { addr, port: local.port() }).map_err(|_| Error::Other)?;
        place.queue.clear();
        place.used = true;
        place.local = local;
        place.peer = peer;
        place.hop_limit = HOP_LIMIT;
        Ok(index)
    }

    /// Frees the socket's port. What it was given to send still goes out, as far as its destination answers.
    fn release(&mut self, index: usize) {
        let place = &mut self.places[index];
        place.socket.close();
        place.used = false;
        place.writer = None;
    }

    fn is_taken(&self, ip: IpAddr, port: u16) -> bool {
        let same = |place: &Place| place.local.port() == port && address::overlap(place.local.ip(), ip);
        self.places.iter().any(|place| place.used && same(place))
    }

    /// Sends what waits, as far as destinations answer. Gives the moment to look again.
    pub(super) fn send(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        self.transmission.send(self.places, now, cx)
    }

    pub(super) fn in_use(&self) -> usize {
        self.places.iter().filter(|place| place.used).count()
    }
}

impl Inner {
    fn udp_bind(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<(usize, SocketAddr), Error> {
        let ip = address::canonical(local.ip());
        addresses::check_local(self.stack, ip)?;
        let random = self.random.next_u64();
        let port = match local.port() {
            0 => free_port(random, |port| self.udp.is_taken(IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED), port)),
            port if self.udp.is_taken(ip, port) => return Err(Error::AddressInUse),
            port => port,
        };
        let local = SocketAddr::new(ip, port);
        Ok((self.udp.take(local, peer)?, local))
    }

    fn poll_send(
        &mut self,
        index: usize,
        from: IpAddr,
        to: SocketAddr,
        data: &[u8],
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        match self.enqueue(index, from, to, data) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => {
                self.udp.places[index].writer = Some(waker.clone());
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_receive(
        &mut self,
        index: usize,
        buffer: &mut [u8],
        waker: &Waker,
    ) -> Poll<(usize, SocketAddr, SocketAddr)> {
        let received = self.udp.places[index].poll_receive(buffer, waker);
        // An answer will leave at once: embassy-net knows whom it comes from.
        if let Poll::Ready((_, _, from)) = received
            && let Ok((_, Some(next_hop))) = addresses::route(self.stack, from.ip())
        {
            self.udp.transmission.note(next_hop, true);
        }
        received
    }

    /// `false` when there is no room now.
    fn enqueue(&mut self, index: usize, from: IpAddr, to: SocketAddr, data: &[u8]) -> Result<bool, Error> {
        let endpoint = addresses::endpoint(to)?;
        let (source, next_hop) = addresses::route(self.stack, to.ip())?;
        let place = &mut self.udp.places[index];
        let bound = if from.is_unspecified() { place.local.ip() } else { address::canonical(from) };
        let usable = !bound.is_unspecified() && !bound.is_multicast() && bound.is_ipv4() == source.is_ipv4();
        let from = addresses::convert(if usable { bound } else { source }).ok_or(Error::Unreachable)?;
        if data.len() > limits::UDP_PAYLOAD.min(place.queue.capacity()) {
            return Err(Error::TooLarge);
        }
        let outgoing = Outgoing {
            to: endpoint,
            from,
            next_hop,
            hop_limit: place.hop_limit,
            expires: Instant::now() + UNRESOLVED_FOR,
            attempts: 0,
            by: None,
        };
        let mut queued = place.queue.push(outgoing, data);
        while !queued && self.udp.transmission.evict(place) {
            queued = place.queue.push(outgoing, data);
        }
        if queued {
            self.wake();
        }
        Ok(queued)
    }
}

/// A UDP socket of an [`EmbassyNet`]. Sending, receiving and options are in the traits of [`nal`].
pub struct UdpSocket {
    net: EmbassyNet,
    index: usize,
}

impl UdpSocket {
    async fn send_to(&mut self, from: IpAddr, to: SocketAddr, data: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.net.with(|inner| inner.poll_send(self.index, from, to, data, cx.waker()))).await
    }

    async fn receive_from(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        Ok(poll_fn(|cx| self.net.with(|inner| inner.poll_receive(self.index, buffer, cx.waker()))).await)
    }

    fn place<R>(&self, f: impl FnOnce(&mut Place) -> R) -> R {
        self.net.with(|inner| f(&mut inner.udp.places[self.index]))
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.net.with(|inner| inner.udp.release(self.index));
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("local", &self.place(|place| place.local)).finish()
    }
}

impl UnconnectedUdp for UdpSocket {
    type Error = Error;

    async fn send(&mut self, local: SocketAddr, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        self.send_to(local.ip(), remote, data).await
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        self.receive_from(buffer).await
    }
}

impl nal::UdpSocket for UdpSocket {
    fn local_addr(&self) -> SocketAddr {
        self.place(|place| place.local)
    }

    async fn readable(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.place(|place| place.socket.poll_recv_ready(cx))).await;
        Ok(())
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        if hop_limit == 0 {
            return Err(Error::InvalidInput);
        }
        self.place(|place| place.hop_limit = hop_limit);
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.place(|place| place.hop_limit)
    }
}

/// A UDP socket with one peer: it sends only there and receives only from there.
#[derive(Debug)]
pub struct ConnectedUdpSocket {
    socket: UdpSocket,
    peer: SocketAddr,
}

impl ConnectedUdp for ConnectedUdpSocket {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.socket.send_to(IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.peer, data).await
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.socket.receive_from(buffer).await.map(|(n, _, _)| n)
    }
}

impl EmbassyNet {
    fn bound(self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<(SocketAddr, UdpSocket), Error> {
        let (index, local) = self.with(|inner| inner.udp_bind(local, peer))?;
        Ok((local, UdpSocket { net: self, index }))
    }

    fn stack(self) -> Stack<'static> {
        self.with(|inner| inner.stack)
    }
}

impl nal::UdpBind for EmbassyNet {
    type Socket = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        Ok(self.bound(local, None)?.1)
    }
}

impl UdpStack for EmbassyNet {
    type Error = Error;
    type Connected = ConnectedUdpSocket;
    type UniquelyBound = UdpSocket;
    type MultiplyBound = UdpSocket;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, ConnectedUdpSocket), Error> {
        let peer = SocketAddr::new(address::canonical(remote.ip()), remote.port());
        addresses::endpoint(peer)?;
        let (source, _) = addresses::route(self.stack(), peer.ip())?;
        let ip = if local.ip().is_unspecified() { source } else { local.ip() };
        let (local, socket) = self.bound(SocketAddr::new(ip, local.port()), Some(peer))?;
        Ok((local, ConnectedUdpSocket { socket, peer }))
    }

    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, UdpSocket), Error> {
        let ip = match local.ip() {
            ip if !ip.is_unspecified() => ip,
            any => addresses::any(self.stack(), any.is_ipv6()).ok_or(Error::AddressNotAvailable)?,
        };
        self.bound(SocketAddr::new(ip, local.port()), None)
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        Ok(self.bound(local, None)?.1)
    }
}
