//! UDP sockets.
//!
//! smoltcp's UDP socket stops sending altogether while its first datagram waits for an address resolution that is never
//! answered. So here smoltcp's sockets only receive. Sending has a queue for each socket, and one transmitter for the
//! stack, to which datagrams are given one at a time: one whose destination is not resolved yet stays in its queue and
//! is tried again when a neighbour has answered or a second has passed, up to [`UNRESOLVED_FOR`], while the others go
//! out.

use core::fmt;
use core::future::poll_fn;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};

use embassy_net_driver::Driver;
use embassy_time::{Duration, Instant};
use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::socket::udp;
use smoltcp::wire::{IpAddress, IpEndpoint, IpListenEndpoint};

use super::device::Egress;
use super::table::Table;
use super::wire::IcmpErrorKind;
use super::{ASKED_AGAIN, DEFAULT_HOP_LIMIT, Inner, Stack, TRY_AGAIN, convert};
use crate::log::{Show, debug};
use crate::nal::{self, ConnectedUdp, UdpStack, UnconnectedUdp};
use crate::queue::{Bytes, Queue};
use crate::{Error, address, limits};

/// How long a datagram waits for its destination to answer address resolution.
const UNRESOLVED_FOR: Duration = Duration::from_secs(3);
/// Where memory is not scarce, a receive queue may be full of datagrams of this size.
#[cfg(feature = "alloc")]
const SMALL_DATAGRAM: usize = 128;

/// After so long without an answer a destination loses its claim to room in a full queue.
const SILENT_AFTER: Duration = Duration::from_secs(1);
/// How many silent destinations are remembered; of more, the first is forgotten and has to prove its silence again.
const SILENT_HOSTS: usize = 4;

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

/// A place of the pool.
pub(super) struct Place<'d> {
    used: bool,
    /// The receiving socket in smoltcp's set; `None` only in a growing pool, while the place is free.
    handle: Option<SocketHandle>,
    local: SocketAddr,
    /// The one peer of a connected socket.
    peer: Option<SocketAddr>,
    hop_limit: u8,
    queue: Option<Queue<'d, Outgoing>>,
    /// Told to a connected socket once: its peer's host says that nobody listens there.
    error: Option<Error>,
    /// Who waits for a datagram, and who for room in the queue.
    reader: Option<Waker>,
    writer: Option<Waker>,
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
        error: None,
        reader: None,
        writer: None,
    };

    fn has_datagrams(&self) -> bool {
        self.queue.as_ref().is_some_and(|queue| !queue.is_empty())
    }
}

/// The memory of one place of a fixed pool.
pub(super) struct Buffers<'d> {
    pub(super) rx_meta: &'d mut [udp::PacketMetadata],
    pub(super) rx: &'d mut [u8],
    pub(super) tx: &'d mut [u8],
}

/// The pool of UDP sockets of a stack.
pub(super) struct Pool<'d> {
    pub(super) sockets: SocketSet<'d>,
    places: Table<'d, Place<'d>>,
    #[cfg(feature = "alloc")]
    buffer: usize,
    transmitter: Transmitter<'d>,
    /// Destinations that do not answer address resolution, and since when.
    silent: heapless::Vec<(IpAddress, Instant), SILENT_HOSTS>,
}

/// The one socket through which datagrams leave, in a set of its own.
pub(super) struct Transmitter<'d> {
    set: SocketSet<'d>,
    handle: SocketHandle,
}

impl<'d> Transmitter<'d> {
    pub(super) fn new(
        storage: &'d mut [SocketStorage<'d>],
        meta: &'d mut [udp::PacketMetadata],
        buffer: &'d mut [u8; limits::UDP_PAYLOAD],
    ) -> Self {
        let mut set = SocketSet::new(storage);
        let nothing = udp::PacketBuffer::new(&mut [][..], &mut [][..]);
        let handle = set.add(udp::Socket::new(nothing, udp::PacketBuffer::new(meta, &mut buffer[..])));
        Self { set, handle }
    }

    /// Sends a datagram now, or says that its destination is not resolved or the driver is full.
    fn send<D: Driver>(
        &mut self,
        iface: &mut Interface,
        egress: &mut Egress<'_, '_, D>,
        now: Instant,
        port: u16,
        outgoing: &Outgoing,
        payload: &[u8],
    ) -> bool {
        let socket = self.set.get_mut::<udp::Socket<'d>>(self.handle);
        let mut meta = udp::UdpMetadata::from(outgoing.to);
        meta.local_address = Some(outgoing.from);
        socket.set_hop_limit(Some(outgoing.hop_limit.max(1)));
        let _ = socket.bind(port);
        let _ = socket.send_slice(payload, meta);
        iface.poll_egress(convert::instant(now), egress, &mut self.set);
        let socket = self.set.get_mut::<udp::Socket<'d>>(self.handle);
        let sent = socket.send_queue() == 0;
        socket.close();
        if !sent {
            self.forget();
        }
        sent
    }

    /// Forgets what smoltcp remembers of the destination that did not answer: it would silence the next one too.
    fn forget(&mut self) {
        if let smoltcp::socket::Socket::Udp(socket) = self.set.remove(self.handle) {
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
            place.queue = Some(Queue::new(Bytes::Given(memory.tx)));
        }
        Self {
            sockets,
            places: Table::Fixed(places),
            #[cfg(feature = "alloc")]
            buffer: 0,
            transmitter,
            silent: heapless::Vec::new(),
        }
    }

    /// A pool that makes sockets as they are needed, `limit` at the most.
    #[cfg(feature = "alloc")]
    pub(super) fn growing(limit: usize, buffer: usize, transmitter: Transmitter<'d>) -> Self {
        let places = Table::Growing { places: alloc::vec::Vec::new(), limit };
        Self {
            sockets: SocketSet::new(alloc::vec::Vec::new()),
            places,
            buffer,
            transmitter,
            silent: heapless::Vec::new(),
        }
    }

    fn take(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<usize, Error> {
        let free = |place: &Place<'_>| !place.used && !place.has_datagrams();
        let index = match self.places.iter().position(free) {
            Some(index) => index,
            None => match self.places.grow(Place::FREE) {
                Some(index) => index,
                // Last words are worth less than a new socket.
                None => self.places.iter().position(|place| !place.used).ok_or(Error::NoFreeSocket)?,
            },
        };
        self.clear(index);
        #[cfg(feature = "alloc")]
        if self.places[index].handle.is_none() {
            use alloc::vec;
            let nothing = udp::PacketBuffer::new(&mut [][..], &mut [][..]);
            let datagrams = (self.buffer / SMALL_DATAGRAM).max(limits::UDP_DATAGRAMS);
            let meta = vec![udp::PacketMetadata::EMPTY; datagrams];
            let socket = udp::Socket::new(udp::PacketBuffer::new(meta, vec![0; self.buffer]), nothing);
            self.places[index].handle = Some(self.sockets.add(socket));
            self.places[index].queue = Some(Queue::new(Bytes::Own(vec![0; self.buffer])));
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

    /// Frees the socket's port. What it was given to send still goes out, as far as its destination answers.
    fn release(&mut self, index: usize) {
        self.socket(index).close();
        let place = &mut self.places[index];
        place.used = false;
        place.reader = None;
        place.writer = None;
        if !place.has_datagrams() {
            self.clear(index);
        }
    }

    /// Frees a place that is not used any more.
    fn clear(&mut self, index: usize) {
        let place = &mut self.places[index];
        if let Some(queue) = &mut place.queue {
            queue.clear();
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

    /// Notes whether a destination could be sent to.
    fn note(&mut self, destination: IpAddress, answers: bool, now: Instant) {
        let known = self.silent.iter().position(|(silent, _)| *silent == destination);
        match (known, answers) {
            (Some(at), true) => {
                self.silent.remove(at);
            }
            (None, false) => {
                if self.silent.is_full() {
                    self.silent.remove(0);
                }
                let _ = self.silent.push((destination, now));
            }
            _ => {}
        }
    }

    /// Makes room in a full queue at the cost of a host that has been silent for a while.
    fn evict(&mut self, index: usize, now: Instant) -> bool {
        let Some(queue) = &mut self.places[index].queue else { return false };
        let is_silent = |to| self.silent.iter().any(|(host, since)| *host == to && now >= *since + SILENT_AFTER);
        let Some(at) = queue.iter_mut().position(|outgoing| is_silent(outgoing.to.addr)) else { return false };
        queue.remove(at);
        true
    }

    /// The datagrams that wait for `destination`.
    fn waiting(&mut self, destination: IpAddress) -> impl Iterator<Item = &mut Outgoing> {
        let queues = self.places.iter_mut().filter_map(|place| place.queue.as_mut());
        queues.flat_map(Queue::iter_mut).filter(move |outgoing| outgoing.to.addr == destination)
    }

    /// When those for `destination` are tried next, if there are any.
    fn waiting_for(&mut self, destination: IpAddress) -> Option<Instant> {
        self.waiting(destination).map(|outgoing| outgoing.try_at).max()
    }

    /// No datagram for `destination`, which has just been asked for, asks again before `until`: others have their turn.
    fn postpone(&mut self, destination: IpAddress, until: Instant) {
        self.waiting(destination).for_each(|outgoing| outgoing.try_at = until);
    }

    fn is_taken(&self, ip: IpAddr, port: u16) -> bool {
        let same = |place: &Place<'_>| place.local.port() == port && address::overlap(place.local.ip(), ip);
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
                for waker in [place.reader.take(), place.writer.take()].into_iter().flatten() {
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
        // The destination that address resolution was asked for just now.
        let mut asked_for = None;
        for index in 0..self.udp.places.len() {
            let mut at = 0;
            loop {
                let place = &mut self.udp.places[index];
                let port = place.local.port();
                let Some((outgoing, payload)) = place.queue.as_mut().and_then(|queue| queue.get(at)) else { break };
                let to = outgoing.to.addr;
                if now >= outgoing.expires {
                    debug!("udp: {} does not answer, datagram dropped", Show(outgoing.to));
                    self.stats.unresolved = self.stats.unresolved.wrapping_add(1);
                } else {
                    let mut sent = false;
                    if neighbors || now >= outgoing.try_at {
                        let frames = egress.frames;
                        sent = self.udp.transmitter.send(&mut self.iface, egress, now, port, outgoing, payload);
                        if egress.exhausted {
                            return next;
                        }
                        if !sent && egress.frames != frames {
                            asked_for = Some(to);
                        }
                        outgoing.try_at = now + if asked_for == Some(to) { ASKED_AGAIN } else { TRY_AGAIN };
                        // Who waits for room may have it at the cost of this one, now or presently.
                        if let Some(waker) = place.writer.take() {
                            waker.wake();
                        }
                    }
                    let (try_at, expires) = (outgoing.try_at, outgoing.expires);
                    if sent {
                        self.udp.note(to, true, now);
                    } else {
                        if asked_for == Some(to) {
                            self.udp.postpone(to, try_at);
                            self.udp.note(to, false, now);
                        }
                        let again = try_at.min(expires);
                        next = Some(next.map_or(again, |at| at.min(again)));
                        at += 1;
                        continue;
                    }
                }
                let place = &mut self.udp.places[index];
                if let Some(queue) = &mut place.queue {
                    queue.remove(at);
                }
                if let Some(waker) = place.writer.take() {
                    waker.wake();
                }
            }
            let place = &self.udp.places[index];
            if !place.used && place.queue.is_some() && !place.has_datagrams() {
                self.udp.clear(index);
            }
        }
        next
    }

    fn udp_bind(&mut self, local: SocketAddr, peer: Option<SocketAddr>) -> Result<usize, Error> {
        let ip = address::canonical(local.ip());
        self.check_local(ip)?;
        let port = match local.port() {
            0 => self
                .ephemeral_port(|inner, port| inner.udp.is_taken(IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED), port)),
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
                self.udp.places[index].writer = Some(cx.waker().clone());
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
        // Behind those that wait for the same destination: alone it might overtake them, or ask before its turn.
        let try_at = self.udp.waiting_for(to.addr).unwrap_or(now);
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
        if data.len() > limits::UDP_PAYLOAD.min(queue.capacity()) {
            return Err(Error::TooLarge);
        }
        let outgoing = Outgoing { to, from, hop_limit: place.hop_limit, expires: now + UNRESOLVED_FOR, try_at };
        let mut queued = queue.push(outgoing, data);
        while !queued && self.udp.evict(index, now) {
            self.stats.unresolved = self.stats.unresolved.wrapping_add(1);
            queued = self.udp.places[index].queue.as_mut().is_some_and(|queue| queue.push(outgoing, data));
        }
        if queued {
            self.wake();
        }
        Ok(queued)
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
                self.udp.places[index].reader = Some(waker.clone());
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
    // No `async fn`: such a one keeps its arguments twice, and whoever awaits it once more.
    fn send_to(&mut self, from: IpAddr, to: SocketAddr, data: &[u8]) -> impl Future<Output = Result<(), Error>> {
        poll_fn(move |cx| self.stack.with(|inner| inner.poll_send(self.index, from, to, data, cx)))
    }

    fn receive_from(
        &mut self,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<(usize, SocketAddr, SocketAddr), Error>> {
        poll_fn(move |cx| self.stack.with(|inner| inner.poll_receive(self.index, Some(&mut *buffer), cx.waker())))
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

    fn send(&mut self, local: SocketAddr, remote: SocketAddr, data: &[u8]) -> impl Future<Output = Result<(), Error>> {
        self.send_to(local.ip(), remote, data)
    }

    fn receive_into(
        &mut self,
        buffer: &mut [u8],
    ) -> impl Future<Output = Result<(usize, SocketAddr, SocketAddr), Error>> {
        self.receive_from(buffer)
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
        let peer = SocketAddr::new(address::canonical(remote.ip()), remote.port());
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
