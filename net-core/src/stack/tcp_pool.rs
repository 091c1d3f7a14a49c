//! The pool that TCP sockets come from, and what becomes of a connection that nobody holds.
//!
//! The pool's sockets live in smoltcp's set for good (or, growing, while they are used); a
//! [`TcpSocket`](super::TcpSocket) is a place in the pool. Dropping it makes the place an orphan: smoltcp goes on
//! delivering its data and its FIN, and the place is free again when that is done. Another connection that needs it gets
//! it as soon as only TIME-WAIT is left, or everything is delivered and the peer has not finished for [`PATIENCE`].

use core::net::{Ipv4Addr, SocketAddr};

use embassy_time::{Duration, Instant};
use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::Medium;
use smoltcp::socket::tcp::{self, State};
use smoltcp::wire::EthernetAddress;

use super::convert;
use super::listen::ListenerId;
use super::recovery::Recovery;
use super::table::Table;
use super::wire::{IcmpErrorKind, Segment};
use crate::Error;
#[cfg(feature = "alloc")]
use crate::limits;

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
    pub(super) handle: Option<SocketHandle>,
    /// smoltcp's state when it was last looked at, to see what made it change.
    pub(super) seen: State,
    /// Bytes that had come and were not read, in TIME-WAIT.
    pub(super) unread: usize,
    /// Why the connection ended, if not in order.
    pub(super) error: Option<Error>,
    /// The sending half has been closed by this side.
    pub(super) finished: bool,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// An orphan that has delivered everything and waited for its peer's FIN long enough.
    is_unanswered: bool,
    /// When it took its present phase; decides who is first.
    pub(super) since: Instant,
    /// The user timeout. Not smoltcp's, which also ends connections that merely have nothing to say.
    pub(super) timeout: Option<Duration>,
    pub(super) keep_alive: Option<Duration>,
    /// Bytes ever written, modulo 2^32, and how many of them the peer had acknowledged when last looked at.
    pub(super) written: u32,
    acknowledged: u32,
    recovery: Recovery,
    /// Everything that was due has been sent since a segment last came.
    answered: bool,
    /// Since when nothing more has been acknowledged, while something should be.
    stuck_since: Option<Instant>,
}

/// How long a place is kept to get a RST to its peer.
const RST_FOR: Duration = Duration::from_secs(1);
/// How long a peer that has been sent everything has to finish before another connection may take the place.
const PATIENCE: Duration = Duration::from_secs(1);

const NOWHERE: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Place {
    pub(super) const FREE: Self = Self {
        phase: Phase::Free,
        handle: None,
        seen: State::Closed,
        unread: 0,
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
        is_unanswered: false,
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
    fn is_over(&self, index: usize) -> bool {
        let place = &self.places[index];
        matches!(place.phase, Phase::Orphan(_)) && place.answered && self.state(index) == State::TimeWait
    }

    /// Whether it may have to go for another connection.
    fn is_spare(&self, index: usize) -> bool {
        self.is_over(index) || self.places[index].is_unanswered
    }

    /// The one of these that is missed least.
    fn spare(&self) -> Option<usize> {
        let spare = (0..self.places.len()).filter(|i| self.is_spare(*i));
        spare.min_by_key(|i| (!self.is_over(*i), self.places[*i].since))
    }

    /// When an orphan that has delivered everything, and whose peer does not finish, may have to go.
    fn patience_ends(&self, index: usize) -> Option<Instant> {
        let place = &self.places[index];
        let waits = matches!(place.phase, Phase::Orphan(_)) && self.state(index) == State::FinWait2;
        waits.then(|| place.since + PATIENCE)
    }

    /// Takes a place out of the pool, its socket closed and with default options.
    pub(super) fn take(&mut self, phase: Phase, now: Instant) -> Result<usize, Error> {
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
    pub(super) fn release(&mut self, index: usize) {
        let socket = self.socket(index);
        if socket.local_endpoint().is_some() {
            // smoltcp forgets a closed connection, and the RST it owes, only when the socket is used anew.
            socket.abort();
            let _ = socket.listen(1);
            socket.close();
        }
        self.places[index].phase = Phase::Free;
        self.places[index].is_unanswered = false;
        #[cfg(feature = "alloc")]
        if matches!(self.places, Table::Growing { .. })
            && let Some(handle) = self.places[index].handle.take()
        {
            self.sockets.remove(handle);
        }
    }

    pub(super) fn socket(&mut self, index: usize) -> &mut tcp::Socket<'d> {
        // A place that is not free has a handle, and places outside the free phase are the only ones asked for.
        self.sockets.get_mut(self.places[index].handle.unwrap_or_default())
    }

    pub(super) fn state(&self, index: usize) -> State {
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

    /// After sending: sees which connections have run into their timeouts or lost their address, and frees the places of
    /// those that ended.
    pub(super) fn tidy(&mut self, iface: &Interface, now: Instant) {
        for index in 0..self.places.len() {
            if self.places[index].phase == Phase::Free {
                continue;
            }
            let (before, state) = (self.places[index].seen, self.state(index));
            self.places[index].seen = state;
            self.places[index].answered = true;
            // Nothing was received, so what closed it was a timer (that of TIME-WAIT is the regular end), or smoltcp has
            // missed the address that it came from.
            if state == State::Closed && before != State::Closed && before != State::TimeWait {
                let place = &mut self.places[index];
                let lost = convert::ip(place.local.ip()).is_none_or(|ip| !iface.has_ip_addr(ip));
                place.error.get_or_insert(if lost { Error::AddressNotAvailable } else { Error::TimedOut });
            }
            // smoltcp throws away what was not read when TIME-WAIT ends. That is not to look like the end of the stream.
            if state == State::TimeWait {
                self.places[index].unread = self.socket(index).recv_queue();
            } else if state == State::Closed && before == State::TimeWait && self.places[index].unread > 0 {
                self.places[index].error.get_or_insert(Error::Aborted);
            }
            if self.is_stuck(index, now) {
                self.places[index].error.get_or_insert(Error::TimedOut);
                self.socket(index).abort();
                self.places[index].seen = State::Closed;
            }
            if let Phase::Orphan(_) = self.places[index].phase {
                let _ = self.socket(index).recv(|data| (data.len(), ()));
            }
            self.places[index].is_unanswered = self.patience_ends(index).is_some_and(|at| now >= at);
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
        // In a fixed pool they stay until somebody needs their places; here each has memory of its own.
        #[cfg(feature = "alloc")]
        if matches!(self.places, Table::Growing { .. }) {
            let kept = (0..self.places.len()).filter(|i| self.is_over(*i)).count();
            let surplus = kept.saturating_sub(limits::TIME_WAITS);
            for _ in 0..surplus {
                if let Some(index) = self.spare() {
                    self.release(index);
                }
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
        let unanswered = (0..self.places.len()).filter(|i| !self.places[*i].is_unanswered);
        ends.chain(probes).chain(unanswered.filter_map(|i| self.patience_ends(i))).min()
    }

    /// Resets what a closed listener never handed out.
    pub(super) fn drop_unaccepted(&mut self, listener: ListenerId, now: Instant) {
        for index in 0..self.places.len() {
            if matches!(self.places[index].phase, Phase::Handshake(l) | Phase::Pending(l) if l == listener) {
                self.orphan(index, true, now + RST_FOR);
            }
        }
    }

    /// Whether a connection waits to be accepted.
    pub(super) fn has_pending(&self, listener: ListenerId) -> bool {
        self.places.iter().any(|place| place.phase == Phase::Pending(listener))
    }

    /// The connection that has waited longest to be accepted.
    pub(super) fn accept(&mut self, listener: ListenerId) -> Option<usize> {
        let pending = |p: &Place| p.phase == Phase::Pending(listener);
        let (index, _) = self.places.iter().enumerate().filter(|(_, p)| pending(p)).min_by_key(|(_, p)| p.since)?;
        self.places[index].phase = Phase::Owned;
        Some(index)
    }

    /// Leaves a connection to itself: it closes in order until `until`, or at once with a RST.
    pub(super) fn orphan(&mut self, index: usize, reset: bool, until: Instant) {
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
