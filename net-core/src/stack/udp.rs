//! UDP sockets.
//!
//! smoltcp's UDP socket stops sending altogether while its first datagram waits for an address resolution that is never
//! answered. So here smoltcp's sockets only receive. Sending has a queue for each socket, and one transmitter for the
//! stack, to which datagrams are given one at a time: one whose destination is not resolved yet goes back to its queue
//! and is tried again when a neighbour has answered or a second has passed, up to [`UNRESOLVED_FOR`], while the others
//! go out.

use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};

use embassy_net_driver::Driver;
use embassy_time::{Duration, Instant};
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::udp;
use smoltcp::storage::PacketBuffer;
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};

use super::device::Egress;
use super::table::Table;
use super::wire::IcmpErrorKind;
use super::{DEFAULT_HOP_LIMIT, Inner, Stack, convert};
use crate::nal::{self, ConnectedUdp, UdpStack, UnconnectedUdp};
use crate::{Error, limits};

/// How long a datagram waits for its destination to answer address resolution.
const UNRESOLVED_FOR: Duration = Duration::from_secs(3);
/// smoltcp asks for an unresolved neighbour once a second; more frequent attempts are in vain.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What is known of a datagram that waits to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing {
    to: IpEndpoint,
    from: IpAddress,
    hop_limit: u8,
    expires: Instant,
    /// Not before this moment, unless a neighbour has answered.
    try_at: Instant,
}

/// Room for what is known of one waiting datagram.
pub(super) type OutgoingSlot = smoltcp::storage::PacketMetadata<Outgoing>;

/// A place of the pool.
pub(super) struct Place<'d> {
    used: bool,
    /// The receiving socket in smoltcp's set; `None` only in a growing pool, while the place is free.
    handle: Option<SocketHandle>,
    local: SocketAddr,
    /// The one peer of a connected socket.
    peer: Option<SocketAddr>,
    hop_limit: u8,
    queue: Option<PacketBuffer<'d, Outgoing>>,
    queued: usize,
    /// Told to a connected socket once: its peer's host says that nobody listens there.
    error: Option<Error>,
    waker: Option<Waker>,
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Place<'_> {
    pub(super) const FREE: Self = Self {
        used: false,
        handle: None,
        local: NOWHERE,
        peer: None,
        hop_limit: DEFAULT_HOP_LIMIT,
        queue: None,
        queued: 0,
        error: None,
        waker: None,
    };
}

/// The memory of one place of a fixed pool.
pub(super) struct Buffers<'d> {
    pub(super) rx_meta: &'d mut [udp::PacketMetadata],
    pub(super) rx: &'d mut [u8],
    pub(super) tx_meta: &'d mut [OutgoingSlot],
    pub(super) tx: &'d mut [u8],
}

/// The pool of UDP sockets of a stack.
pub(super) struct Pool<'d> {
    pub(super) sockets: SocketSet<'d>,
    places: Table<'d, Place<'d>>,
    #[cfg(feature = "alloc")]
    buffer: usize,
    transmitter: Transmitter<'d>,
}

/// The one socket through which datagrams leave, in a set of its own.
pub(super) struct Transmitter<'d> {
    set: SocketSet<'d>,
    handle: SocketHandle,
    /// Holds a datagram on its way back into its queue.
    scratch: &'d mut [u8; limits::UDP_PAYLOAD],
}

impl<'d> Transmitter<'d> {
    pub(super) fn new(
        storage: &'d mut [SocketStorage<'d>],
        meta: &'d mut [udp::PacketMetadata],
        buffer: &'d mut [u8; limits::UDP_PAYLOAD],
        scratch: &'d mut [u8; limits::UDP_PAYLOAD],
    ) -> Self {
        let mut set = SocketSet::new(storage);
        let nothing = udp::PacketBuffer::new(&mut [][..], &mut [][..]);
        let handle = set.add(udp::Socket::new(nothing, udp::PacketBuffer::new(meta, &mut buffer[..])));
        Self { set, handle, scratch }
    }

    /// Forgets what smoltcp remembers of the destination that did not answer: it would silence the next one too.
    fn forget(&mut self) {
        let mut socket = self.set.remove(self.handle);
        if let smoltcp::socket::Socket::Udp(socket) = &mut socket {
            socket.close();
        }
        if let smoltcp::socket::Socket::Udp(socket) = socket {
            self.handle = self.set.add(socket);
        }
    }
}

impl<'d> Pool<'d> {
    /// A pool of fixed size.
    pub(super) fn fixed(
        storage: &'d mut [SocketStorage<'d>],
        places: &'d mut [Place<'d>],
        buffers: impl Iterator<Item = Buffers<'d>>,
        transmitter: Transmitter<'d>,
    ) -> Self {
        let mut sockets = SocketSet::new(storage);
        for (place, memory) in places.iter_mut().zip(buffers) {
            let nothing = udp::PacketBuffer::new(&mut [][..], &mut [][..]);
            let socket = udp::Socket::new(udp::PacketBuffer::new(memory.rx_meta, memory.rx), nothing);
            place.handle = Some(sockets.add(socket));
            place.queue = Some(PacketBuffer::new(memory.tx_meta, memory.tx));
        }
        Self {
            sockets,
            places: Table::Fixed(places),
            #[cfg(feature = "alloc")]
            buffer: 0,
            transmitter,
        }
    }

    /// A pool that makes sockets as they are needed, `limit` at the most.
    #[cfg(feature = "alloc")]
    pub(super) fn growing(limit: usize, buffer: usize, transmitter: Transmitter<'d>) -> Self {
        let places = Table::Growing { places: alloc::vec::Vec::new(), limit };
        Self { sockets: SocketSet::new(alloc::vec::Vec::new()), places, buffer, transmitter }
    }

    fn take(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<usize, Error> {
        let index = match self.places.iter().position(|place| !place.used) {
            Some(index) => index,
            None => self.places.grow(Place::FREE).ok_or(Error::NoFreeSocket)?,
        };
        #[cfg(feature = "alloc")]
        if self.places[index].handle.is_none() {
            use alloc::vec;
            let nothing = udp::PacketBuffer::new(&mut [][..], &mut [][..]);
            let meta = vec![udp::PacketMetadata::EMPTY; limits::UDP_DATAGRAMS];
            let socket = udp::Socket::new(udp::PacketBuffer::new(meta, vec![0; self.buffer]), nothing);
            self.places[index].handle = Some(self.sockets.add(socket));
            let meta = vec![OutgoingSlot::EMPTY; limits::UDP_DATAGRAMS];
            self.places[index].queue = Some(PacketBuffer::new(meta, vec![0; self.buffer]));
        }
        let endpoint = IpListenEndpoint {
            addr: if local.ip().is_unspecified() { None } else { convert::ip(local.ip()) },
            port: local.port(),
        };
        let place = &mut self.places[index];
        *place = Place { used: true, handle: place.handle, local, peer, queue: place.queue.take(), ..Place::FREE };
        let _ = self.socket(index).bind(endpoint);
        Ok(index)
    }

    fn release(&mut self, index: usize) {
        self.socket(index).close();
        let place = &mut self.places[index];
        place.used = false;
        place.queued = 0;
        if let Some(queue) = &mut place.queue {
            while queue.dequeue().is_ok() {}
        }
        #[cfg(feature = "alloc")]
        if matches!(self.places, Table::Growing { .. }) {
            let place = &mut self.places[index];
            place.queue = None;
            if let Some(handle) = place.handle.take() {
                self.sockets.remove(handle);
            }
        }
    }

    fn socket(&mut self, index: usize) -> &mut udp::Socket<'d> {
        // As in the TCP pool: a used place has a handle.
        self.sockets.get_mut(self.places[index].handle.unwrap_or_default())
    }

    fn is_taken(&self, ip: IpAddr, port: u16) -> bool {
        let same = |place: &Place<'_>| place.local.port() == port && convert::overlap(place.local.ip(), ip);
        self.places.iter().any(|place| place.used && same(place))
    }

    pub(super) fn in_use(&self) -> usize {
        self.places.iter().filter(|place| place.used).count()
    }

    pub(super) fn icmp_error(&mut self, local: SocketAddr, remote: SocketAddr, kind: IcmpErrorKind) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            if place.used && place.local.port() == local.port() && place.peer == Some(remote) {
                place.error = Some(match kind {
                    IcmpErrorKind::PortUnreachable => Error::Refused,
                    IcmpErrorKind::Unreachable => Error::Unreachable,
                });
                if let Some(waker) = place.waker.take() {
                    waker.wake();
                }
            }
        }
    }
}

impl Inner<'_> {
    /// Sends what waits in the queues, as far as the driver and address resolution allow. `neighbors`: one has just
    /// answered. Gives the moment to try again.
    pub(super) fn send_datagrams<D: Driver>(
        &mut self,
        egress: &mut Egress<'_, '_, D>,
        neighbors: bool,
    ) -> Option<Instant> {
        let now = self.now();
        let mut next: Option<Instant> = None;
        for index in 0..self.udp.places.len() {
            // Each datagram once: those that stay go to the end, so their order is kept.
            for _ in 0..self.udp.places[index].queued {
                if egress.exhausted {
                    return next;
                }
                let place = &mut self.udp.places[index];
                let Some(Ok((outgoing, payload))) = place.queue.as_mut().map(PacketBuffer::peek) else { break };
                let (port, mut outgoing) = (place.local.port(), *outgoing);
                let sent = (neighbors || now >= outgoing.try_at) && {
                    let transmitter = &mut self.udp.transmitter;
                    let socket = transmitter.set.get_mut::<udp::Socket<'_>>(transmitter.handle);
                    let mut meta = udp::UdpMetadata::from(outgoing.to);
                    meta.local_address = Some(outgoing.from);
                    socket.set_hop_limit(Some(outgoing.hop_limit.max(1)));
                    let _ = socket.bind(port);
                    let _ = socket.send_slice(payload, meta);
                    self.iface.poll_egress(convert::instant(now), egress, &mut transmitter.set);
                    let socket = transmitter.set.get_mut::<udp::Socket<'_>>(transmitter.handle);
                    let sent = socket.send_queue() == 0;
                    socket.close();
                    if !sent {
                        if egress.exhausted {
                            return next;
                        }
                        transmitter.forget();
                        outgoing.try_at = now + TRY_AGAIN;
                    }
                    sent
                };
                let place = &mut self.udp.places[index];
                let Some(queue) = &mut place.queue else { break };
                if !sent && now < outgoing.expires {
                    next = Some(next.map_or(outgoing.try_at, |at| at.min(outgoing.try_at)));
                    requeue(queue, outgoing, self.udp.transmitter.scratch);
                } else {
                    if !sent {
                        debug!("udp: {} does not answer, datagram dropped", crate::log::Show(outgoing.to));
                        self.stats.unresolved = self.stats.unresolved.wrapping_add(1);
                    }
                    let _ = queue.dequeue();
                    place.queued -= 1;
                    if let Some(waker) = place.waker.take() {
                        waker.wake();
                    }
                }
            }
        }
        next
    }

    fn udp_bind(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<usize, Error> {
        let ip = convert::canonical(local.ip());
        self.check_local(ip)?;
        let port = match local.port() {
            0 => self.ephemeral_port(|inner, port| inner.udp.is_taken(IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED), port)),
            port if self.udp.is_taken(ip, port) => return Err(Error::AddressInUse),
            port => port,
        };
        self.udp.take(SocketAddr::new(ip, port), peer)
    }

    fn poll_send(
        &mut self,
        index: usize,
        from: IpAddr,
        to: SocketAddr,
        data: &[u8],
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>> {
        Poll::Ready(match self.enqueue(index, from, to, data) {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.udp.places[index].waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Err(error) => Err(error),
        })
    }

    /// `false` when there is no room now.
    fn enqueue(&mut self, index: usize, from: IpAddr, to: SocketAddr, data: &[u8]) -> Result<bool, Error> {
        let now = self.now();
        let to = convert::endpoint(to)?;
        let source = self.source_for(to.addr)?;
        let place = &mut self.udp.places[index];
        if let Some(error) = place.error.take() {
            return Err(error);
        }
        let bound = if from.is_unspecified() { place.local.ip() } else { from };
        let from = match convert::ip(bound) {
            Some(ip) if !ip.is_unspecified() && !ip.is_multicast() && ip.version() == to.addr.version() => ip,
            _ => source,
        };
        let Some(queue) = &mut place.queue else { return Err(Error::Closed) };
        if data.len() > limits::UDP_PAYLOAD.min(queue.payload_capacity()) {
            return Err(Error::TooLarge);
        }
        let hop_limit = place.hop_limit;
        let outgoing = Outgoing { to, from, hop_limit, expires: now + UNRESOLVED_FOR, try_at: now };
        match queue.enqueue(data.len(), outgoing) {
            Ok(room) => room.copy_from_slice(data),
            Err(_) => return Ok(false),
        }
        place.queued += 1;
        self.wake();
        Ok(true)
    }

    /// The next datagram for a socket: how long it was, to which of our addresses it came, and from whom.
    fn poll_receive(
        &mut self,
        index: usize,
        mut buffer: Option<&mut [u8]>,
        waker: &Waker,
    ) -> Poll<Result<(usize, SocketAddr, SocketAddr), Error>> {
        let place = &mut self.udp.places[index];
        if let Some(error) = place.error.take() {
            return Poll::Ready(Err(error));
        }
        let (local, peer) = (place.local, place.peer);
        let socket = self.udp.socket(index);
        loop {
            let Ok((data, meta)) = socket.peek() else {
                socket.register_recv_waker(waker);
                return Poll::Pending;
            };
            let from = SocketAddr::from(meta.endpoint);
            let to = SocketAddr::new(meta.local_address.map_or(local.ip(), Into::into), local.port());
            let wanted = peer.is_none_or(|peer| peer == from) && (!local.ip().is_ipv4() || to.is_ipv4());
            let length = data.len();
            if wanted && let Some(buffer) = &mut buffer {
                let n = length.min(buffer.len());
                buffer[..n].copy_from_slice(&data[..n]);
            }
            if !wanted || buffer.is_some() {
                let _ = socket.recv();
            }
            if wanted {
                return Poll::Ready(Ok((length, to, from)));
            }
        }
    }
}

/// Takes the first datagram of a queue to its end.
fn requeue(queue: &mut PacketBuffer<'_, Outgoing>, outgoing: Outgoing, scratch: &mut [u8]) {
    let Ok((_, payload)) = queue.dequeue() else { return };
    let length = payload.len();
    scratch[..length].copy_from_slice(payload);
    if let Ok(room) = queue.enqueue(length, outgoing) {
        room.copy_from_slice(&scratch[..length]);
    }
}

impl<'d> Stack<'d> {
    /// Binds a UDP socket to `local`; see [`nal::UdpBind::bind`].
    ///
    /// # Errors
    /// Those of [`nal::UdpBind::bind`].
    pub fn bind(self, local: SocketAddr) -> Result<UdpSocket<'d>, Error> {
        let index = self.with(|inner| inner.udp_bind(local, None))?;
        Ok(UdpSocket { stack: self, index })
    }
}

/// A UDP socket of a [`Stack`]. Sending, receiving and options are in the traits of [`nal`].
pub struct UdpSocket<'d> {
    stack: Stack<'d>,
    index: usize,
}

impl UdpSocket<'_> {
    async fn send_to(&mut self, from: IpAddr, to: SocketAddr, data: &[u8]) -> Result<(), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_send(self.index, from, to, data, cx))).await
    }

    async fn receive_from(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_receive(self.index, Some(buffer), cx.waker()))).await
    }

    fn place<R>(&self, f: impl FnOnce(&mut Place<'_>) -> R) -> R {
        self.stack.with(|inner| f(&mut inner.udp.places[self.index]))
    }
}

impl Drop for UdpSocket<'_> {
    fn drop(&mut self) {
        self.stack.with(|inner| inner.udp.release(self.index));
    }
}

impl fmt::Debug for UdpSocket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket").field("local", &self.place(|place| place.local)).finish()
    }
}

impl UnconnectedUdp for UdpSocket<'_> {
    type Error = Error;

    async fn send(&mut self, local: SocketAddr, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        self.send_to(local.ip(), remote, data).await
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        self.receive_from(buffer).await
    }
}

impl nal::UdpSocket for UdpSocket<'_> {
    fn local_addr(&self) -> SocketAddr {
        self.place(|place| place.local)
    }

    async fn readable(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_receive(self.index, None, cx.waker()))).await.map(|_| ())
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
pub struct ConnectedUdpSocket<'d> {
    socket: UdpSocket<'d>,
    peer: SocketAddr,
}

impl ConnectedUdp for ConnectedUdpSocket<'_> {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.socket.send_to(IpAddr::V4(Ipv4Addr::UNSPECIFIED), self.peer, data).await
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        self.socket.receive_from(buffer).await.map(|(n, _, _)| n)
    }
}

impl<'d> UdpStack for Stack<'d> {
    type Error = Error;
    type Connected = ConnectedUdpSocket<'d>;
    type UniquelyBound = UdpSocket<'d>;
    type MultiplyBound = UdpSocket<'d>;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, Self::Connected), Error> {
        let peer = SocketAddr::new(convert::canonical(remote.ip()), remote.port());
        let (local, index) = self.with(|inner| {
            let source = inner.source_for(convert::endpoint(peer)?.addr)?;
            let ip = if local.ip().is_unspecified() { source.into() } else { local.ip() };
            let index = inner.udp_bind(SocketAddr::new(ip, local.port()), Some(peer))?;
            Ok((inner.udp.places[index].local, index))
        })?;
        Ok((local, ConnectedUdpSocket { socket: UdpSocket { stack: *self, index }, peer }))
    }

    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, Self::UniquelyBound), Error> {
        let ip = self.with(|inner| match local.ip() {
            ip if !ip.is_unspecified() => Ok(ip),
            any => inner.any_address(any.is_ipv6()).ok_or(Error::AddressNotAvailable),
        })?;
        let socket = self.bind(SocketAddr::new(ip, local.port()))?;
        Ok((nal::UdpSocket::local_addr(&socket), socket))
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<Self::MultiplyBound, Error> {
        self.bind(local)
    }
}

impl nal::UdpBind for Stack<'static> {
    type Socket = UdpSocket<'static>;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket<'static>, Error> {
        Stack::bind(*self, local)
    }
}
