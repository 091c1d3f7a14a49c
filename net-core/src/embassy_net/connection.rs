//! One TCP connection: what embassy-net tells of it, and what we have to remember beside.
//!
//! embassy-net says of every connection that ended out of order the same, and after TIME-WAIT it says so of the others
//! too. Why a connection ended is found out here, from what was seen of it before; so it is looked at with every operation
//! and whenever the runner runs.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::task::{Poll, Waker};

use embassy_net::Stack;
use embassy_net::tcp::{State, TcpSocket};
use embassy_time::{Duration, Instant};

use super::listen::ListenerId;
use super::{addresses, now_or_never, poll};
use crate::Error;
use crate::time::bounded;

/// What a place of the pool is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    /// `connect` waits for it, until then.
    Connecting(Instant),
    /// In LISTEN, or answering a connection request.
    Waiting(ListenerId),
    /// Established, and waiting to be accepted.
    Pending(ListenerId),
    /// A `TcpSocket` holds it.
    Owned,
    /// Closing by itself; to be reset at this moment.
    Orphan(Instant),
}

/// A place of the pool.
pub(super) struct Place {
    pub(super) socket: TcpSocket<'static>,
    pub(super) phase: Phase,
    /// embassy-net's state when it was last looked at, to see what made it change.
    pub(super) seen: State,
    /// Bytes that had come and were not read, then.
    pub(super) unread: usize,
    /// Why the connection ended, if not in order.
    pub(super) error: Option<Error>,
    /// The sending half has been closed by this side, by the peer.
    finished: bool,
    peer_finished: bool,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    /// When it took its present phase or, as an orphan, state; decides who is first.
    pub(super) since: Instant,
    pub(super) hop_limit: u8,
    timeout: Option<Duration>,
    keep_alive: Option<Duration>,
    /// Bytes ever written, modulo 2^32, and how many of them the peer had acknowledged when last looked at.
    written: u32,
    acknowledged: u32,
    /// Since when nothing more has been acknowledged, while something should be.
    stuck_since: Option<Instant>,
    /// When the peer was last known to be there, and when data from it was last seen.
    heard: Instant,
    pub(super) data_at: Option<Instant>,
}

const NOWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Place {
    pub(super) fn new(socket: TcpSocket<'static>) -> Self {
        Self {
            socket,
            phase: Phase::Free,
            seen: State::Closed,
            unread: 0,
            error: None,
            finished: false,
            peer_finished: false,
            local: NOWHERE,
            peer: NOWHERE,
            since: Instant::MIN,
            hop_limit: super::HOP_LIMIT,
            timeout: None,
            keep_alive: None,
            written: 0,
            acknowledged: 0,
            stuck_since: None,
            heard: Instant::MIN,
            data_at: None,
        }
    }

    /// Makes it as new, for another connection.
    pub(super) fn renew(&mut self, phase: Phase, now: Instant) {
        self.forget();
        self.socket.set_timeout(None);
        self.socket.set_keep_alive(None);
        self.socket.set_nagle_enabled(true);
        self.socket.set_hop_limit(None);
        self.phase = phase;
        self.seen = State::Closed;
        self.unread = 0;
        self.error = None;
        self.finished = false;
        self.peer_finished = false;
        self.local = NOWHERE;
        self.peer = NOWHERE;
        self.since = now;
        self.hop_limit = super::HOP_LIMIT;
        self.timeout = None;
        self.keep_alive = None;
        self.written = 0;
        self.acknowledged = 0;
        self.stuck_since = None;
        self.heard = now;
        self.data_at = None;
    }

    /// Has the socket forget its connection, and what it might still want to send.
    pub(super) fn forget(&mut self) {
        self.socket.abort();
        if self.socket.remote_endpoint().is_some() {
            // smoltcp forgets the RST that it owes only when the socket is used anew.
            let _ = now_or_never(self.socket.accept(1));
            self.socket.close();
        }
    }

    /// The listener for which it is in LISTEN.
    pub(super) fn listening(&self) -> Option<ListenerId> {
        match self.phase {
            Phase::Waiting(listener) if self.socket.state() == State::Listen => Some(listener),
            _ => None,
        }
    }

    /// Closed, and with no RST left to send.
    pub(super) fn is_done(&self) -> bool {
        self.socket.state() == State::Closed && self.socket.remote_endpoint().is_none()
    }

    fn waits_for_acknowledgement(&self) -> bool {
        let fin = matches!(self.socket.state(), State::FinWait1 | State::Closing | State::LastAck);
        fin || self.socket.send_queue() > 0
    }

    /// When the user timeout strikes, if nothing is acknowledged until then.
    pub(super) fn user_deadline(&self) -> Option<Instant> {
        Some(self.stuck_since? + self.timeout?)
    }

    /// Begins its life as an established connection.
    pub(super) fn begin(&mut self, timeout: Duration, now: Instant) {
        self.socket.set_timeout(None);
        self.seen = State::Established;
        self.timeout = Some(bounded(timeout));
        self.since = now;
        self.heard = now;
    }

    /// Sees what has become of the connection since it was last looked at.
    pub(super) fn look(&mut self, stack: Stack<'static>, now: Instant) {
        let state = self.socket.state();
        self.peer_finished |= matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait);
        let unread = self.socket.recv_queue();
        if state == State::Closed && self.seen != State::Closed {
            let at_the_end = matches!(self.seen, State::LastAck | State::Closing | State::TimeWait);
            let in_order = at_the_end || (self.finished && self.peer_finished);
            let silence = self.keep_alive.zip(self.timeout).map(|(interval, timeout)| interval + timeout);
            let error = match silence {
                // smoltcp throws away what was not read when TIME-WAIT ends.
                _ if in_order && self.unread > 0 && unread == 0 => Some(Error::Aborted),
                _ if in_order => None,
                _ if !addresses::is_own(stack, self.local.ip()) => Some(Error::AddressNotAvailable),
                Some(silence) if now >= self.heard + silence => Some(Error::TimedOut),
                _ => Some(Error::Reset),
            };
            self.error = self.error.or(error);
        }
        self.seen = state;
        self.unread = unread;
    }

    /// Sees whether the peer acknowledges, and ends the connection when it has not for too long.
    pub(super) fn watch(&mut self, now: Instant) {
        let acknowledged = self.written.wrapping_sub(self.socket.send_queue() as u32);
        let progress = core::mem::replace(&mut self.acknowledged, acknowledged) != acknowledged;
        if progress {
            self.heard = now;
        }
        if self.seen == State::Closed || !self.waits_for_acknowledgement() {
            self.stuck_since = None;
        } else if progress || self.stuck_since.is_none() {
            self.stuck_since = Some(now);
        }
        if self.user_deadline().is_some_and(|at| now >= at) {
            self.end(Error::TimedOut);
        }
    }

    /// Ends the connection with a RST, for this reason.
    pub(super) fn end(&mut self, error: Error) {
        if self.socket.state() != State::Closed {
            self.seen = State::Closed;
            self.stuck_since = None;
            self.error.get_or_insert(error);
            self.socket.abort();
        }
    }

    pub(super) fn poll_connect(
        &mut self,
        stack: Stack<'static>,
        timeout: Duration,
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        match self.socket.state() {
            State::Closed if addresses::is_own(stack, self.local.ip()) => {
                Poll::Ready(Err(self.error.unwrap_or(Error::Refused)))
            }
            State::Closed => Poll::Ready(Err(Error::AddressNotAvailable)),
            State::SynSent | State::SynReceived => self.wait_writable(waker),
            _ => {
                self.phase = Phase::Owned;
                self.begin(timeout, Instant::now());
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Whether there is data (or else the stream has ended).
    pub(super) fn poll_readable(&mut self, stack: Stack<'static>, waker: &Waker) -> Poll<Result<bool, Error>> {
        self.look(stack, Instant::now());
        if self.socket.can_recv() {
            return Poll::Ready(Ok(true));
        }
        match self.error {
            Some(error) => Poll::Ready(Err(error)),
            None if !self.socket.may_recv() => Poll::Ready(Ok(false)),
            None => {
                let _ = poll(self.socket.wait_read_ready(), waker);
                Poll::Pending
            }
        }
    }

    pub(super) fn poll_read(
        &mut self,
        stack: Stack<'static>,
        buffer: &mut [u8],
        waker: &Waker,
    ) -> Poll<Result<usize, Error>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_readable(stack, waker).map_ok(|data| {
            if !data {
                return 0;
            }
            let n = now_or_never(self.socket.read(buffer)).and_then(Result::ok).unwrap_or(0);
            self.unread = self.socket.recv_queue();
            self.heard = Instant::now();
            self.data_at = Some(self.heard);
            n
        })
    }

    pub(super) fn poll_writable(&mut self, stack: Stack<'static>, waker: &Waker) -> Poll<Result<(), Error>> {
        self.look(stack, Instant::now());
        if let Some(error) = self.error {
            return Poll::Ready(Err(error));
        }
        if self.finished {
            return Poll::Ready(Err(Error::Closed));
        }
        if !self.socket.may_send() {
            return Poll::Ready(Err(Error::NotConnected));
        }
        self.wait_writable(waker)
    }

    pub(super) fn wait_writable(&mut self, waker: &Waker) -> Poll<Result<(), Error>> {
        poll(self.socket.wait_write_ready(), waker).map(Ok)
    }

    pub(super) fn poll_write(
        &mut self,
        stack: Stack<'static>,
        data: &[u8],
        waker: &Waker,
    ) -> Poll<Result<usize, Error>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_writable(stack, waker).map(|writable| {
            writable?;
            // There is room, so this is never 0, which `write_all` would not forgive.
            let written = now_or_never(self.socket.write(data)).and_then(Result::ok);
            let n = written.ok_or(Error::NotConnected)?;
            self.written = self.written.wrapping_add(n as u32);
            self.stuck_since.get_or_insert(Instant::now());
            Ok(n)
        })
    }

    pub(super) fn poll_acknowledged(
        &mut self,
        stack: Stack<'static>,
        limit: usize,
        waker: &Waker,
    ) -> Poll<Result<(), Error>> {
        self.look(stack, Instant::now());
        let queue = self.socket.send_queue();
        match self.error {
            Some(error) => Poll::Ready(Err(error)),
            None if queue > limit && self.seen == State::Closed => Poll::Ready(Err(Error::Reset)),
            None if queue > limit || (limit == 0 && self.waits_for_acknowledgement()) => {
                let _ = poll(self.socket.flush(), waker);
                Poll::Pending
            }
            None => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn finish(&mut self, stack: Stack<'static>) -> Result<(), Error> {
        self.look(stack, Instant::now());
        if let Some(error) = self.error {
            return Err(error);
        }
        self.finished = true;
        self.socket.close();
        self.seen = self.socket.state();
        self.stuck_since.get_or_insert(Instant::now());
        Ok(())
    }

    pub(super) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout.map(bounded);
        self.apply_silence();
    }

    pub(super) fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.keep_alive = interval.map(bounded);
        self.socket.set_keep_alive(self.keep_alive);
        self.apply_silence();
    }

    /// smoltcp's timeout counts from the last segment received, and so ends connections that merely have nothing to
    /// say; with probes, every one of which is answered, it may count. A probe goes out one interval after that segment.
    fn apply_silence(&mut self) {
        let silence = self.keep_alive.zip(self.timeout).map(|(interval, timeout)| interval + timeout);
        self.socket.set_timeout(silence);
    }
}
