//! TCP sockets, and the pool that they come from.
//!
//! The pool's sockets live in smoltcp's set for good (or, growing, while they are used); a [`TcpSocket`] is a place in
//! the pool. Dropping it makes the place an orphan: smoltcp goes on delivering its data and its FIN, and the place is
//! free again when that is done, or as soon as another connection needs it and only TIME-WAIT is left.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::net::{Ipv4Addr, SocketAddr};
use core::task::{Context, Poll, Waker};

use embassy_time::{Duration, Instant};
use embedded_io_async::{ErrorType, Read, ReadReady, Write, WriteReady};
use smoltcp::iface::{SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::Medium;
use smoltcp::socket::tcp::{self, State};
use smoltcp::wire::EthernetAddress;

use super::listen::ListenerId;
use super::recovery::Recovery;
use super::table::Table;
use super::wire::{IcmpErrorKind, Segment};
use super::{Inner, Stack, convert};
use crate::Error;
use crate::nal;

/// What a place of the pool is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    /// `connect` waits for it.
    Connecting,
    /// A peer's request has been answered with SYN-ACK.
    Handshake(ListenerId),
    /// Established, and waiting to be accepted.
    Pending(ListenerId),
    /// A `TcpSocket` holds it.
    Owned,
    /// Closing by itself; to be reset at this moment.
    Orphan(Instant),
}

/// A place of the pool.
pub(super) struct Place {
    pub(super) phase: Phase,
    /// The socket in smoltcp's set. `None` only in a growing pool, while the place is free.
    handle: Option<SocketHandle>,
    /// smoltcp's state when it was last looked at, to see what made it change.
    seen: State,
    /// Why the connection ended, if not in order.
    error: Option<Error>,
    /// The sending half has been closed by this side.
    finished: bool,
    local: SocketAddr,
    peer: SocketAddr,
    /// When it took its present phase; decides who is first.
    since: Instant,
    /// The user timeout. Not smoltcp's, which also ends connections that merely have nothing to say.
    timeout: Option<Duration>,
    keep_alive: Option<Duration>,
    /// Bytes ever written, modulo 2^32, and how many of them the peer had acknowledged when last looked at.
    written: u32,
    acknowledged: u32,
    recovery: Recovery,
    /// Everything that was due has been sent since a segment last came.
    answered: bool,
    /// Since when nothing more has been acknowledged, while something should be.
    stuck_since: Option<Instant>,
}

/// How long a place is kept to get a RST to its peer.
const RST_FOR: Duration = Duration::from_secs(1);

const NOWHERE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Place {
    pub(super) const FREE: Self = Self {
        phase: Phase::Free,
        handle: None,
        seen: State::Closed,
        error: None,
        finished: false,
        local: NOWHERE,
        peer: NOWHERE,
        since: Instant::from_ticks(0),
        timeout: None,
        keep_alive: None,
        written: 0,
        acknowledged: 0,
        recovery: Recovery::NEW,
        answered: false,
        stuck_since: None,
    };
}

impl Place {
    /// When the user timeout strikes, if nothing is acknowledged until then.
    fn user_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Owned | Phase::Pending(_) => Some(self.stuck_since? + self.timeout?),
            _ => None,
        }
    }
}

fn find(places: &[Place], local: SocketAddr, peer: SocketAddr) -> Option<usize> {
    places.iter().position(|place| place.phase != Phase::Free && place.local == local && place.peer == peer)
}

/// A segment of one of these connections has been sent.
pub(super) fn watch_sent(places: &mut [Place], segment: &Segment, now: Instant) {
    if let Some(index) = find(places, segment.source, segment.destination) {
        places[index].recovery.on_sent(segment, now);
    }
}

/// The pool of TCP sockets of a stack.
pub(super) struct Pool<'d> {
    pub(super) sockets: SocketSet<'d>,
    pub(super) places: Table<'d, Place>,
    /// Bytes of a send or receive buffer in a growing pool.
    #[cfg(feature = "alloc")]
    buffer: usize,
}

impl<'d> Pool<'d> {
    /// A pool of fixed size. Each place has one buffer of `buffers` for either direction.
    pub(super) fn fixed(
        storage: &'d mut [SocketStorage<'d>],
        places: &'d mut [Place],
        buffers: impl Iterator<Item = (&'d mut [u8], &'d mut [u8])>,
    ) -> Self {
        let mut sockets = SocketSet::new(storage);
        for (place, (rx, tx)) in places.iter_mut().zip(buffers) {
            let socket = tcp::Socket::new(tcp::SocketBuffer::new(rx), tcp::SocketBuffer::new(tx));
            place.handle = Some(sockets.add(socket));
        }
        Self {
            sockets,
            places: Table::Fixed(places),
            #[cfg(feature = "alloc")]
            buffer: 0,
        }
    }

    /// A pool that makes sockets as they are needed, `limit` at the most.
    #[cfg(feature = "alloc")]
    pub(super) fn growing(limit: usize, buffer: usize) -> Self {
        let places = Table::Growing { places: alloc::vec::Vec::new(), limit };
        Self { sockets: SocketSet::new(alloc::vec::Vec::new()), places, buffer }
    }

    /// Whether [`take`](Self::take) would find a place.
    fn has_free(&self) -> bool {
        #[cfg(feature = "alloc")]
        if let Table::Growing { places, limit } = &self.places
            && places.len() < *limit
        {
            return true;
        }
        self.places.iter().any(|place| place.phase == Phase::Free) || self.spare().is_some()
    }

    /// Whether it is an orphan in TIME-WAIT, which has acknowledged the peer's FIN and so has nothing left to say.
    fn is_spare(&self, index: usize) -> bool {
        let place = &self.places[index];
        matches!(place.phase, Phase::Orphan(_)) && place.answered && self.state(index) == State::TimeWait
    }

    /// The one of these that has waited longest.
    fn spare(&self) -> Option<usize> {
        (0..self.places.len()).filter(|i| self.is_spare(*i)).min_by_key(|i| self.places[*i].since)
    }

    /// Takes a place out of the pool, its socket closed and with default options.
    fn take(&mut self, phase: Phase, now: Instant) -> Result<usize, Error> {
        let free = self.places.iter().position(|place| place.phase == Phase::Free);
        let index = match free {
            Some(index) => index,
            None => match self.places.grow(Place::FREE) {
                Some(index) => index,
                None => {
                    let index = self.spare().ok_or(Error::NoFreeSocket)?;
                    self.socket(index).abort();
                    index
                }
            },
        };
        #[cfg(feature = "alloc")]
        if self.places[index].handle.is_none() {
            let buffer = || tcp::SocketBuffer::new(alloc::vec![0; self.buffer]);
            self.places[index].handle = Some(self.sockets.add(tcp::Socket::new(buffer(), buffer())));
        }
        let socket = self.socket(index);
        socket.set_timeout(None);
        socket.set_keep_alive(None);
        socket.set_nagle_enabled(true);
        socket.set_hop_limit(None);
        socket.set_ack_delay(Some(smoltcp::time::Duration::from_millis(10)));
        let handle = self.places[index].handle;
        self.places[index] = Place { phase, handle, since: now, ..Place::FREE };
        Ok(index)
    }

    /// Gives a place back, and has its socket forget what it might still want to send.
    fn release(&mut self, index: usize) {
        let socket = self.socket(index);
        if socket.local_endpoint().is_some() {
            // smoltcp forgets a closed connection, and the RST it owes, only when the socket is used anew.
            socket.abort();
            let _ = socket.listen(1);
            socket.close();
        }
        self.places[index].phase = Phase::Free;
        #[cfg(feature = "alloc")]
        if matches!(self.places, Table::Growing { .. })
            && let Some(handle) = self.places[index].handle.take()
        {
            self.sockets.remove(handle);
        }
    }

    fn socket(&mut self, index: usize) -> &mut tcp::Socket<'d> {
        // A place that is not free has a handle, and places outside the free phase are the only ones asked for.
        self.sockets.get_mut(self.places[index].handle.unwrap_or_default())
    }

    fn state(&self, index: usize) -> State {
        match self.places[index].handle {
            Some(handle) => self.sockets.get::<tcp::Socket<'d>>(handle).state(),
            None => State::Closed,
        }
    }

    fn find(&self, local: SocketAddr, peer: SocketAddr) -> Option<usize> {
        self.places.iter().position(|place| place.phase != Phase::Free && place.local == local && place.peer == peer)
    }

    /// Connections of a listener that hold a socket and that nobody has accepted.
    pub(super) fn unaccepted(&self, listener: ListenerId) -> usize {
        let of_listener = |p: &&Place| p.phase == Phase::Handshake(listener) || p.phase == Phase::Pending(listener);
        self.places.iter().filter(of_listener).count()
    }

    /// Whether a connection request to `listener` can have a socket now.
    pub(super) fn has_room(&self, listener: ListenerId, backlog: usize) -> bool {
        self.unaccepted(listener) < backlog && self.has_free()
    }

    /// Whether a segment belongs to a connection that exists (TIME-WAIT of a closed one does not count: RFC 9293
    /// section 3.6.1 lets a new request take its place).
    pub(super) fn knows(&self, segment: &Segment) -> bool {
        self.find(segment.destination, segment.source)
            .is_some_and(|i| !matches!(self.state(i), State::TimeWait | State::Closed))
    }

    /// Gets a socket ready for the connection request that is about to be handed to smoltcp.
    pub(super) fn expect(&mut self, segment: &Segment, listener: ListenerId, timeout: Duration, now: Instant) {
        if let Some(old) = self.find(segment.destination, segment.source) {
            // A new connection between the ports of one in TIME-WAIT, which nobody holds any more.
            if !matches!(self.places[old].phase, Phase::Orphan(_)) {
                return;
            }
            self.release(old);
        }
        let Some(endpoint) = convert::listen_endpoint(segment.destination) else { return };
        let Ok(index) = self.take(Phase::Handshake(listener), now) else { return };
        self.places[index].local = segment.destination;
        self.places[index].peer = segment.source;
        let socket = self.socket(index);
        socket.set_timeout(Some(convert::duration(timeout)));
        let _ = socket.listen(endpoint);
        self.places[index].seen = State::Listen;
    }

    /// Looks at what a received segment has changed. Gives the listener that has a new connection to hand out.
    pub(super) fn after_segment(&mut self, segment: &Segment, timeout: Duration) -> Option<ListenerId> {
        let index = self.find(segment.destination, segment.source)?;
        let (before, now) = (self.places[index].seen, self.state(index));
        self.places[index].seen = now;
        self.places[index].answered = false;
        match self.places[index].phase {
            // smoltcp drops bad segments, and goes back to LISTEN when a handshake is reset.
            Phase::Handshake(_) if matches!(now, State::Listen | State::Closed) => {
                self.socket(index).close();
                self.release(index);
            }
            Phase::Handshake(listener) if now != State::SynReceived => {
                self.places[index].phase = Phase::Pending(listener);
                self.places[index].timeout = Some(timeout);
                self.socket(index).set_timeout(None);
                return Some(listener);
            }
            _ if now == State::Closed && before != State::Closed && segment.rst => {
                let error = if before == State::SynSent { Error::Refused } else { Error::Reset };
                self.places[index].error.get_or_insert(error);
            }
            _ => {}
        }
        None
    }

    /// Looks at what a received segment acknowledges. Gives the connection for which copies of it are wanted.
    pub(super) fn watch_received(&mut self, segment: &Segment, now: Instant) -> Option<usize> {
        let index = self.find(segment.destination, segment.source)?;
        let synchronized = !matches!(self.state(index), State::Closed | State::Listen | State::SynSent);
        (self.places[index].recovery.on_received(segment, now) && synchronized).then_some(index)
    }

    /// A connection whose acknowledgements have stayed away for too long.
    pub(super) fn next_probe(&mut self, now: Instant) -> Option<usize> {
        (0..self.places.len()).find(|&index| {
            let active = self.places[index].phase != Phase::Free && self.state(index) != State::Closed;
            active && self.places[index].recovery.on_timer(now)
        })
    }

    /// Whether a segment must not reach smoltcp: while only a FIN is unacknowledged, the third duplicate acknowledgement
    /// stops its retransmission timer and has nothing repeated, so that the FIN is never sent again.
    pub(super) fn would_stall(&mut self, segment: &Segment) -> bool {
        if !segment.is_bare || segment.rst {
            return false;
        }
        let Some(index) = self.find(segment.destination, segment.source) else { return false };
        self.places[index].recovery.is_duplicate(segment)
            && matches!(self.state(index), State::FinWait1 | State::Closing | State::LastAck)
            && !self.has_unacknowledged_data(index)
    }

    pub(super) fn has_unacknowledged_data(&mut self, index: usize) -> bool {
        self.socket(index).send_queue() > 0
    }

    /// A copy of the last acknowledgement of a connection.
    pub(super) fn copy_of_ack<'b>(
        &self,
        index: usize,
        mac: EthernetAddress,
        medium: Medium,
        buffer: &'b mut [u8; 74],
    ) -> Option<&'b [u8]> {
        let place = &self.places[index];
        place.recovery.copy(place.local, place.peer, mac, medium, buffer)
    }

    /// An ICMP error about one of our segments. Only an attempt to connect is given up for it: an established
    /// connection might have been named by a forger (RFC 5927).
    pub(super) fn icmp_error(&mut self, local: SocketAddr, peer: SocketAddr, kind: IcmpErrorKind) {
        let Some(index) = self.find(local, peer) else { return };
        if self.places[index].phase == Phase::Connecting && self.state(index) == State::SynSent {
            self.places[index].error = Some(match kind {
                IcmpErrorKind::PortUnreachable => Error::Refused,
                IcmpErrorKind::Unreachable => Error::Unreachable,
            });
            self.socket(index).close();
        }
    }

    /// After sending: sees which connections have run into their timeouts, and frees the places of those that ended.
    pub(super) fn tidy(&mut self, now: Instant) {
        for index in 0..self.places.len() {
            if self.places[index].phase == Phase::Free {
                continue;
            }
            let (before, state) = (self.places[index].seen, self.state(index));
            self.places[index].seen = state;
            self.places[index].answered = true;
            // Nothing was received, so what closed it was a timer. That of TIME-WAIT is the regular end.
            if state == State::Closed && before != State::Closed && before != State::TimeWait {
                self.places[index].error.get_or_insert(Error::TimedOut);
            }
            if self.is_stuck(index, now) {
                self.places[index].error.get_or_insert(Error::TimedOut);
                self.socket(index).abort();
                self.places[index].seen = State::Closed;
            }
            if let Phase::Orphan(_) = self.places[index].phase {
                let _ = self.socket(index).recv(|data| (data.len(), ()));
            }
            let done = self.is_done(index);
            match self.places[index].phase {
                Phase::Orphan(_) | Phase::Handshake(_) | Phase::Pending(_) if done => self.release(index),
                // Ended before anybody had it: its peer has RST_FOR to resolve and be told.
                Phase::Handshake(_) | Phase::Pending(_) if state == State::Closed => {
                    self.places[index].phase = Phase::Orphan(now + RST_FOR);
                }
                // The RST could not be sent either: the peer's address does not resolve.
                Phase::Orphan(until) if now >= until && state == State::Closed => self.release(index),
                Phase::Orphan(until) if now >= until && state != State::TimeWait => {
                    self.socket(index).abort();
                    self.places[index].seen = State::Closed;
                    self.places[index].phase = Phase::Orphan(now + RST_FOR);
                }
                _ => {}
            }
        }
    }

    /// Whether a connection has waited for an acknowledgement for longer than its timeout.
    fn is_stuck(&mut self, index: usize, now: Instant) -> bool {
        let socket = self.socket(index);
        let (queue, state) = (socket.send_queue(), socket.state());
        let place = &mut self.places[index];
        let acknowledged = place.written.wrapping_sub(queue as u32);
        let progress = core::mem::replace(&mut place.acknowledged, acknowledged) != acknowledged;
        let waits = queue > 0 || matches!(state, State::FinWait1 | State::Closing | State::LastAck);
        if !waits || state == State::Closed {
            place.stuck_since = None;
        } else if progress || place.stuck_since.is_none() {
            place.stuck_since = Some(now);
        }
        place.user_deadline().is_some_and(|at| now >= at)
    }

    /// Closed, and with no RST left to send.
    fn is_done(&mut self, index: usize) -> bool {
        let socket = self.socket(index);
        socket.state() == State::Closed && socket.local_endpoint().is_none()
    }

    /// The next moment at which a connection must be ended or probed.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ends = self.places.iter().enumerate().filter_map(|(i, place)| match place.phase {
            Phase::Orphan(until) if self.state(i) != State::TimeWait => Some(until),
            _ => place.user_deadline(),
        });
        let active = |(i, place): &(usize, &Place)| place.phase != Phase::Free && self.state(*i) != State::Closed;
        let probes = self.places.iter().enumerate().filter(active).filter_map(|(_, place)| place.recovery.deadline());
        ends.chain(probes).min()
    }

    /// Resets what a closed listener never handed out.
    pub(super) fn drop_unaccepted(&mut self, listener: ListenerId, now: Instant) {
        for index in 0..self.places.len() {
            if matches!(self.places[index].phase, Phase::Handshake(l) | Phase::Pending(l) if l == listener) {
                self.orphan(index, true, now + RST_FOR);
            }
        }
    }

    /// The connection that has waited longest to be accepted.
    pub(super) fn accept(&mut self, listener: ListenerId) -> Option<usize> {
        let pending = |p: &Place| p.phase == Phase::Pending(listener);
        let (index, _) = self.places.iter().enumerate().filter(|(_, p)| pending(p)).min_by_key(|(_, p)| p.since)?;
        self.places[index].phase = Phase::Owned;
        Some(index)
    }

    /// Leaves a connection to itself: it closes in order until `until`, or at once with a RST.
    fn orphan(&mut self, index: usize, reset: bool, until: Instant) {
        if self.places[index].phase == Phase::Connecting {
            // Nothing stands that would have to be taken down.
            return self.release(index);
        }
        let socket = self.socket(index);
        // So that the last ACK is out before the place is needed again.
        socket.set_ack_delay(None);
        if reset {
            socket.abort()
        } else {
            socket.close()
        }
        self.places[index].seen = self.state(index);
        self.places[index].phase = Phase::Orphan(until);
        if self.is_done(index) {
            self.release(index);
        }
    }

    /// How many sockets are neither free nor to be had at once.
    pub(super) fn in_use(&self) -> usize {
        (0..self.places.len()).filter(|i| self.places[*i].phase != Phase::Free && !self.is_spare(*i)).count()
    }

    pub(super) fn is_port_used(&self, port: u16) -> bool {
        self.places.iter().any(|place| place.phase != Phase::Free && place.local.port() == port)
    }
}

impl<'d> Stack<'d> {
    /// Connects to `remote`; see [`nal::TcpStack::connect`].
    ///
    /// # Errors
    /// Those of [`nal::TcpStack::connect`].
    pub async fn connect(self, remote: SocketAddr) -> Result<TcpSocket<'d>, Error> {
        let socket = self.with(|inner| inner.tcp_connect(remote))?;
        let socket = TcpSocket { stack: self, index: socket };
        poll_fn(|cx| socket.stack.with(|inner| inner.poll_connect(socket.index, cx))).await?;
        Ok(socket)
    }
}

impl Inner<'_> {
    fn tcp_connect(&mut self, remote: SocketAddr) -> Result<usize, Error> {
        let endpoint = convert::endpoint(remote)?;
        let source = self.source_for(endpoint.addr)?;
        let now = self.now();
        let index = self.tcp.take(Phase::Connecting, now)?;
        let port = self.ephemeral_port(|inner, port| inner.tcp.is_port_used(port) || inner.listeners.has_port(port));
        let timeout = convert::duration(self.config.connect_timeout);
        let (iface, socket) = (&mut self.iface, self.tcp.socket(index));
        if socket.connect(iface.context(), endpoint, (source, port)).is_err() {
            self.tcp.release(index);
            return Err(Error::InvalidInput);
        }
        socket.set_timeout(Some(timeout));
        let place = &mut self.tcp.places[index];
        place.seen = State::SynSent;
        place.local = SocketAddr::new(source.into(), port);
        place.peer = remote;
        self.wake();
        Ok(index)
    }

    fn poll_connect(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let timeout = self.config.tcp_timeout;
        match self.tcp.state(index) {
            State::Closed => Poll::Ready(Err(self.tcp.places[index].error.unwrap_or(Error::Refused))),
            State::SynSent | State::SynReceived => {
                self.tcp.socket(index).register_send_waker(cx.waker());
                Poll::Pending
            }
            _ => {
                self.tcp.places[index].phase = Phase::Owned;
                self.tcp.places[index].timeout = Some(timeout);
                self.tcp.socket(index).set_timeout(None);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn poll_readable(&mut self, index: usize, waker: &Waker) -> Poll<Result<bool, Error>> {
        let error = self.tcp.places[index].error;
        let socket = self.tcp.socket(index);
        if socket.can_recv() {
            return Poll::Ready(Ok(true));
        }
        match error {
            Some(error) => Poll::Ready(Err(error)),
            None if !socket.may_recv() => Poll::Ready(Ok(false)),
            None => {
                socket.register_recv_waker(waker);
                Poll::Pending
            }
        }
    }

    fn poll_read(&mut self, index: usize, buffer: &mut [u8], waker: &Waker) -> Poll<Result<usize, Error>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_readable(index, waker).map_ok(|data| {
            if !data {
                return 0;
            }
            let n = self.tcp.socket(index).recv_slice(buffer).unwrap_or(0);
            self.wake(); // the window has opened
            n
        })
    }

    fn poll_writable(&mut self, index: usize, waker: &Waker) -> Poll<Result<(), Error>> {
        let place = &self.tcp.places[index];
        if let Some(error) = place.error {
            return Poll::Ready(Err(error));
        }
        if place.finished {
            return Poll::Ready(Err(Error::Closed));
        }
        let socket = self.tcp.socket(index);
        if socket.can_send() {
            Poll::Ready(Ok(()))
        } else if !socket.may_send() {
            Poll::Ready(Err(Error::NotConnected))
        } else {
            socket.register_send_waker(waker);
            Poll::Pending
        }
    }

    fn poll_write(&mut self, index: usize, data: &[u8], waker: &Waker) -> Poll<Result<usize, Error>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_writable(index, waker).map(|writable| {
            writable?;
            // There is room, so this is never 0, which `write_all` would not forgive.
            let n = self.tcp.socket(index).send_slice(data).map_err(|_| Error::NotConnected)?;
            let place = &mut self.tcp.places[index];
            place.written = place.written.wrapping_add(n as u32);
            self.wake();
            Ok(n)
        })
    }

    /// Waits until no more than `limit` bytes are unacknowledged; with 0, also for the FIN of a closed sending half.
    fn poll_acknowledged(&mut self, index: usize, limit: usize, waker: &Waker) -> Poll<Result<(), Error>> {
        if let Some(error) = self.tcp.places[index].error {
            return Poll::Ready(Err(error));
        }
        let socket = self.tcp.socket(index);
        let fin_pending = limit == 0 && matches!(socket.state(), State::FinWait1 | State::Closing | State::LastAck);
        if socket.send_queue() <= limit && !fin_pending {
            return Poll::Ready(Ok(()));
        }
        socket.register_send_waker(waker);
        Poll::Pending
    }

    fn tcp_finish(&mut self, index: usize) -> Result<(), Error> {
        if let Some(error) = self.tcp.places[index].error {
            return Err(error);
        }
        self.tcp.places[index].finished = true;
        self.tcp.socket(index).close();
        self.wake();
        Ok(())
    }

    /// Changes a connection's keep-alive or timeout.
    fn tcp_timers(&mut self, index: usize, change: impl FnOnce(&mut Place)) {
        let place = &mut self.tcp.places[index];
        change(place);
        let keep_alive = place.keep_alive;
        // smoltcp's timeout counts from the last segment received; a probe goes out one interval after that.
        let silence = keep_alive.zip(place.timeout).map(|(interval, timeout)| interval + timeout);
        let socket = self.tcp.socket(index);
        socket.set_keep_alive(keep_alive.map(convert::duration));
        socket.set_timeout(silence.map(convert::duration));
        self.wake();
    }

    fn tcp_abort(&mut self, index: usize) {
        if self.tcp.state(index) != State::Closed {
            self.tcp.socket(index).abort();
            self.tcp.places[index].seen = State::Closed;
            self.tcp.places[index].error.get_or_insert(Error::Aborted);
            self.wake();
        }
    }

    fn tcp_drop(&mut self, index: usize) {
        let now = self.now();
        let until = now + self.config.linger;
        self.tcp.places[index].since = now;
        self.tcp.orphan(index, false, until);
        self.wake();
    }
}

/// A TCP connection of a [`Stack`].
///
/// Reading, writing, halves and options are in the traits of [`nal`]; bring them into scope with
/// `use net_core::nal::*`.
///
/// Dropping it closes the connection in order, in the background, within [`Config::linger`](super::Config::linger): what
/// was written is delivered, then comes the FIN. What the peer still sends is taken and discarded, so that it can
/// finish and read what it was sent.
pub struct TcpSocket<'d> {
    stack: Stack<'d>,
    index: usize,
}

impl<'d> TcpSocket<'d> {
    pub(super) fn new(stack: Stack<'d>, index: usize) -> Self {
        Self { stack, index }
    }

    fn half(&self) -> Half<'d> {
        Half { stack: self.stack, index: self.index }
    }

    fn socket<R>(&self, f: impl FnOnce(&mut tcp::Socket<'_>) -> R) -> R {
        self.stack.with(|inner| {
            let result = f(inner.tcp.socket(self.index));
            inner.wake();
            result
        })
    }
}

impl Drop for TcpSocket<'_> {
    fn drop(&mut self) {
        self.stack.with(|inner| inner.tcp_drop(self.index));
    }
}

impl fmt::Debug for TcpSocket<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use nal::TcpSocket as _;
        f.debug_struct("TcpSocket").field("local", &self.local_addr()).field("peer", &self.peer_addr()).finish()
    }
}

/// A way to a socket's place that does not own it.
#[derive(Clone, Copy)]
struct Half<'d> {
    stack: Stack<'d>,
    index: usize,
}

impl Half<'_> {
    async fn read(self, buffer: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_read(self.index, buffer, cx.waker()))).await
    }

    async fn readable(self) -> Result<(), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_readable(self.index, cx.waker()))).await.map(|_| ())
    }

    fn read_ready(self) -> Result<bool, Error> {
        Ok(self.stack.with(|inner| inner.poll_readable(self.index, Waker::noop())).is_ready())
    }

    async fn write(self, data: &[u8]) -> Result<usize, Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_write(self.index, data, cx.waker()))).await
    }

    async fn writable(self) -> Result<(), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_writable(self.index, cx.waker()))).await
    }

    fn write_ready(self) -> Result<bool, Error> {
        Ok(self.stack.with(|inner| inner.poll_writable(self.index, Waker::noop())).is_ready())
    }

    fn unacknowledged(self) -> usize {
        self.stack.with(|inner| inner.tcp.socket(self.index).send_queue())
    }

    async fn acknowledged(self, limit: usize) -> Result<(), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_acknowledged(self.index, limit, cx.waker()))).await
    }

    fn finish(self) -> Result<(), Error> {
        self.stack.with(|inner| inner.tcp_finish(self.index))
    }
}

/// The receiving half of a [`TcpSocket`], borrowed from it.
pub struct TcpReader<'a, 'd> {
    half: Half<'d>,
    socket: PhantomData<&'a mut TcpSocket<'d>>,
}

/// The sending half of a [`TcpSocket`], borrowed from it.
pub struct TcpWriter<'a, 'd> {
    half: Half<'d>,
    socket: PhantomData<&'a mut TcpSocket<'d>>,
}

// The socket and its halves do the same; they differ only in how they come by the `Half`.
macro_rules! reads {
    ($type:ty, $self:ident => $half:expr) => {
        impl Read for $type {
            async fn read(&mut $self, buffer: &mut [u8]) -> Result<usize, Error> {
                $half.read(buffer).await
            }
        }
        impl ReadReady for $type {
            fn read_ready(&mut $self) -> Result<bool, Error> {
                $half.read_ready()
            }
        }
        impl nal::TcpRead for $type {
            async fn readable(&mut $self) -> Result<(), Error> {
                $half.readable().await
            }
        }
    };
}

macro_rules! writes {
    ($type:ty, $self:ident => $half:expr) => {
        impl Write for $type {
            async fn write(&mut $self, data: &[u8]) -> Result<usize, Error> {
                $half.write(data).await
            }
            async fn flush(&mut $self) -> Result<(), Error> {
                $half.acknowledged(0).await
            }
        }
        impl WriteReady for $type {
            fn write_ready(&mut $self) -> Result<bool, Error> {
                $half.write_ready()
            }
        }
        impl nal::TcpWrite for $type {
            async fn writable(&mut $self) -> Result<(), Error> {
                $half.writable().await
            }
            fn unacknowledged(&$self) -> usize {
                $half.unacknowledged()
            }
            async fn acknowledged(&mut $self, limit: usize) -> Result<(), Error> {
                $half.acknowledged(limit).await
            }
            async fn finish(&mut $self) -> Result<(), Error> {
                $half.finish()
            }
        }
    };
}

impl ErrorType for TcpSocket<'_> {
    type Error = Error;
}
impl ErrorType for TcpReader<'_, '_> {
    type Error = Error;
}
impl ErrorType for TcpWriter<'_, '_> {
    type Error = Error;
}
reads!(TcpSocket<'_>, self => self.half());
reads!(TcpReader<'_, '_>, self => self.half);
writes!(TcpSocket<'_>, self => self.half());
writes!(TcpWriter<'_, '_>, self => self.half);

impl<'d> nal::TcpSocket for TcpSocket<'d> {
    type Reader<'a>
        = TcpReader<'a, 'd>
    where
        Self: 'a;
    type Writer<'a>
        = TcpWriter<'a, 'd>
    where
        Self: 'a;

    fn split(&mut self) -> (TcpReader<'_, 'd>, TcpWriter<'_, 'd>) {
        let half = self.half();
        (TcpReader { half, socket: PhantomData }, TcpWriter { half, socket: PhantomData })
    }

    fn local_addr(&self) -> SocketAddr {
        self.stack.with(|inner| inner.tcp.places[self.index].local)
    }

    fn peer_addr(&self) -> SocketAddr {
        self.stack.with(|inner| inner.tcp.places[self.index].peer)
    }

    fn abort(&mut self) {
        self.stack.with(|inner| inner.tcp_abort(self.index));
    }

    fn set_no_delay(&mut self, no_delay: bool) {
        self.socket(|socket| socket.set_nagle_enabled(!no_delay));
    }

    fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.stack.with(|inner| inner.tcp_timers(self.index, |place| place.keep_alive = interval));
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.stack.with(|inner| inner.tcp_timers(self.index, |place| place.timeout = timeout));
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        if hop_limit == 0 {
            return Err(Error::InvalidInput);
        }
        self.socket(|socket| socket.set_hop_limit(Some(hop_limit)));
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.socket(|socket| socket.hop_limit()).unwrap_or(super::DEFAULT_HOP_LIMIT)
    }
}

impl<'d> nal::TcpConnect for Stack<'d> {
    type Error = Error;
    type Connection<'a>
        = TcpSocket<'d>
    where
        Self: 'a;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<TcpSocket<'d>, Error> {
        Stack::connect(*self, remote).await
    }
}
