//! The pool of TCP sockets, and what becomes of a connection that nobody holds.
//!
//! An embassy-net socket that is dropped forgets its connection: its peer hears neither a FIN nor a RST. So the sockets
//! stay here for good, and a [`TcpSocket`](super::TcpSocket) of ours is a place in the pool. Dropping it makes the place
//! an orphan, which delivers and closes in the background.

use core::task::Context;

use embassy_net::Stack;
use embassy_net::tcp::State;
use embassy_time::{Duration, Instant};

use super::connection::{Phase, Place};
use super::listen::ListenerId;
use super::{now_or_never, poll};
use crate::Error;

/// How long a place is kept to get a RST to its peer.
const RST_FOR: Duration = Duration::from_secs(1);
/// So long after the last data, a connection in TIME-WAIT has acknowledged its peer's FIN: embassy-net delays that by
/// 10 ms at the most, and where there is no data not at all.
const ACK_FOR: Duration = Duration::from_millis(12);

/// How long a peer that has been sent everything has to finish before another connection may take the place.
const PATIENCE: Duration = Duration::from_secs(1);

impl Place {
    /// When an orphan may have to go for another connection: in TIME-WAIT, when it has nothing left to say, or when it
    /// has delivered everything and its peer does not finish.
    fn spare_from(&self) -> Option<Instant> {
        match (self.phase, self.seen) {
            (Phase::Orphan(_), State::TimeWait) => Some(self.data_at.map_or(Instant::MIN, |at| at + ACK_FOR)),
            (Phase::Orphan(_), State::FinWait2) => Some(self.since + PATIENCE),
            _ => None,
        }
    }
}

/// How a connection is closed that nobody holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Close {
    /// Its data is delivered and its FIN sent, if that takes no longer than so.
    InOrder(Duration),
    /// With a RST.
    Reset,
}

/// The pool of TCP sockets.
pub(super) struct Pool {
    stack: Stack<'static>,
    pub(super) places: &'static mut [Place],
}

impl Pool {
    pub(super) fn new(stack: Stack<'static>, places: &'static mut [Place]) -> Self {
        Self { stack, places }
    }

    /// Whether it may have to go for another connection.
    fn is_spare(&self, index: usize, now: Instant) -> bool {
        let place = &self.places[index];
        place.spare_from().is_some_and(|at| now >= at)
    }

    /// When the next orphan may have to go.
    pub(super) fn next_spare(&self) -> Option<Instant> {
        self.places.iter().filter_map(Place::spare_from).min()
    }

    /// Takes a place out of the pool, its socket closed and with default options: a free one, or that of the
    /// connection that is missed least.
    pub(super) fn take(&mut self, phase: Phase, now: Instant) -> Option<usize> {
        let free = self.places.iter().position(|place| place.phase == Phase::Free);
        let spare = || {
            let spare = (0..self.places.len()).filter(|i| self.is_spare(*i, now));
            spare.min_by_key(|i| (self.places[*i].seen != State::TimeWait, self.places[*i].since))
        };
        let index = free.or_else(spare)?;
        self.places[index].renew(phase, now);
        Some(index)
    }

    /// The same, if need be at the cost of a listener: of the one that has most sockets waiting.
    pub(super) fn take_or_steal(&mut self, phase: Phase, now: Instant) -> Option<usize> {
        if let Some(index) = self.take(phase, now) {
            return Some(index);
        }
        let listener = self.places.iter().filter_map(Place::listening).max_by_key(|id| self.listening(*id))?;
        self.steal(listener, phase, now)
    }

    /// Takes a socket in LISTEN from a listener.
    pub(super) fn steal(&mut self, listener: ListenerId, phase: Phase, now: Instant) -> Option<usize> {
        let index = self.places.iter().position(|place| place.listening() == Some(listener))?;
        self.places[index].renew(phase, now);
        Some(index)
    }

    /// How many sockets of a listener are in LISTEN.
    pub(super) fn listening(&self, listener: ListenerId) -> usize {
        self.places.iter().filter(|place| place.listening() == Some(listener)).count()
    }

    /// Sockets that a listener holds: those in LISTEN, and connections that nobody has accepted.
    pub(super) fn held(&self, listener: ListenerId) -> usize {
        let of_listener = |p: &&Place| p.phase == Phase::Waiting(listener) || p.phase == Phase::Pending(listener);
        self.places.iter().filter(of_listener).count()
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, index: usize) {
        self.places[index].forget();
        self.places[index].phase = Phase::Free;
    }

    /// Leaves a connection to itself.
    pub(super) fn orphan(&mut self, index: usize, close: Close, now: Instant) {
        let place = &mut self.places[index];
        if matches!(place.phase, Phase::Connecting(_)) || place.socket.state() == State::Listen {
            // Nothing stands that would have to be taken down.
            return self.release(index);
        }
        let time = match close {
            Close::InOrder(linger) if place.socket.state() != State::Closed => {
                place.socket.close();
                linger
            }
            _ => {
                place.socket.abort();
                RST_FOR
            }
        };
        if place.socket.can_recv() {
            place.data_at = Some(now);
        }
        place.seen = place.socket.state();
        place.since = now;
        place.phase = Phase::Orphan(now + time);
        if place.is_done() {
            self.release(index);
        }
    }

    /// Resets what a closed listener never handed out.
    pub(super) fn drop_unaccepted(&mut self, listener: ListenerId, now: Instant) {
        for index in 0..self.places.len() {
            if matches!(self.places[index].phase, Phase::Waiting(l) | Phase::Pending(l) if l == listener) {
                self.orphan(index, Close::Reset, now);
            }
        }
    }

    /// The connection that has waited longest to be accepted.
    pub(super) fn accept(&mut self, listener: ListenerId) -> Option<usize> {
        let pending = |p: &Place| p.phase == Phase::Pending(listener) && p.socket.state() != State::Closed;
        let (index, _) = self.places.iter().enumerate().filter(|(_, p)| pending(p)).min_by_key(|(_, p)| p.since)?;
        self.places[index].phase = Phase::Owned;
        Some(index)
    }

    /// Whether a connection waits to be accepted.
    pub(super) fn has_pending(&self, listener: ListenerId) -> bool {
        let pending = |p: &Place| p.phase == Phase::Pending(listener) && p.socket.state() != State::Closed;
        self.places.iter().any(pending)
    }

    /// The listener of a socket whose handshake is done, which becomes a connection to be accepted.
    pub(super) fn promote(&mut self, index: usize, timeout: Duration, now: Instant) -> Option<ListenerId> {
        let place = &mut self.places[index];
        let Phase::Waiting(listener) = place.phase else { return None };
        match place.socket.state() {
            State::Listen | State::SynReceived => return None,
            // The handshake took too long.
            State::Closed => {
                self.orphan(index, Close::Reset, now);
                return None;
            }
            _ => {}
        }
        let (local, peer) = (place.socket.local_endpoint()?, place.socket.remote_endpoint()?);
        place.local = local.into();
        place.peer = peer.into();
        place.begin(timeout, now);
        place.phase = Phase::Pending(listener);
        Some(listener)
    }

    /// Sees what has changed by itself, frees the places of connections that ended, and has the runner woken by those
    /// that nobody else waits for.
    pub(super) fn tidy(&mut self, now: Instant, cx: &Context<'_>) {
        for index in 0..self.places.len() {
            let place = &mut self.places[index];
            match place.phase {
                Phase::Free => {}
                Phase::Connecting(deadline) => {
                    if now >= deadline && place.socket.state() != State::Closed {
                        place.error = Some(Error::TimedOut);
                        place.forget();
                    }
                }
                Phase::Waiting(_) => {
                    let _ = place.wait_writable(cx.waker());
                }
                // Ended before anybody had it.
                Phase::Pending(_) if place.socket.state() == State::Closed => self.orphan(index, Close::Reset, now),
                Phase::Pending(_) | Phase::Owned => {
                    place.look(self.stack, now);
                    place.watch(now);
                }
                Phase::Orphan(until) => self.tidy_orphan(index, until, now, cx),
            }
        }
    }

    fn tidy_orphan(&mut self, index: usize, until: Instant, now: Instant, cx: &Context<'_>) {
        let place = &mut self.places[index];
        while place.socket.can_recv() {
            place.data_at = Some(now);
            let _ = now_or_never(place.socket.read_with(|data| (data.len(), ())));
        }
        let state = place.socket.state();
        if state != place.seen && matches!(state, State::TimeWait | State::FinWait2) {
            place.since = now;
        }
        place.seen = state;
        if place.is_done() {
            return self.release(index);
        }
        if now >= until && state != State::TimeWait {
            if state == State::Closed {
                // The RST could not be sent either: the peer's address does not resolve.
                return self.release(index);
            }
            place.socket.abort();
            place.seen = State::Closed;
            place.phase = Phase::Orphan(now + RST_FOR);
        }
        let _ = poll(place.socket.wait_read_ready(), cx.waker());
        let _ = place.wait_writable(cx.waker());
    }

    /// The next moment at which a connection must be ended.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let ends = self.places.iter().filter_map(|place| match place.phase {
            Phase::Connecting(deadline) if place.socket.state() != State::Closed => Some(deadline),
            Phase::Orphan(until) if place.seen != State::TimeWait => Some(until),
            Phase::Owned | Phase::Pending(_) => place.user_deadline(),
            _ => None,
        });
        ends.min()
    }

    /// How many sockets are neither free, nor in LISTEN, nor to be had at once.
    pub(super) fn in_use(&self, now: Instant) -> usize {
        let used = |index: &usize| {
            let place = &self.places[*index];
            place.phase != Phase::Free && place.listening().is_none() && !self.is_spare(*index, now)
        };
        (0..self.places.len()).filter(used).count()
    }

    pub(super) fn is_port_used(&self, port: u16) -> bool {
        self.places.iter().any(|place| place.phase != Phase::Free && place.local.port() == port)
    }
}
