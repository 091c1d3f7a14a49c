//! TCP listeners, without sockets of their own.
//!
//! smoltcp answers a connection request with a RST when no socket is in LISTEN at that moment. Here a listener is only an
//! entry in a table. The stack looks at each request before smoltcp does: if a socket is free it is put into LISTEN
//! just for that request, and if none is, the request itself (a frame of less than 120 bytes) is kept and handed in again
//! when one is. So a waiting connection costs no buffers, and a busy device makes clients wait instead of refusing them.

use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};

use embassy_time::{Duration, Instant};
use heapless::Vec;

use super::tcp::TcpSocket;
use super::wire::Segment;
use super::{Inner, Stack};
use crate::nal::{self, ConnectOptions};
use crate::{Error, address, limits};

/// A place in the table of listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListenerId(u8);

/// Longest connection request that is kept: Ethernet, IPv6 and TCP headers, with all the options that TCP allows.
const HELD_FRAME: usize = 14 + 40 + 60;
/// A client that has not repeated its request for so long has given up.
const HELD_FOR: Duration = Duration::from_secs(10);

struct Entry {
    local: SocketAddr,
    backlog: usize,
    waker: Option<Waker>,
}

/// A connection request that waits for a socket.
struct Held {
    segment: Segment,
    frame: Vec<u8, HELD_FRAME>,
    since: Instant,
}

/// The listeners of a stack, and the requests that wait for them.
pub(super) struct Listeners {
    entries: [Option<Entry>; limits::LISTENERS],
    held: Vec<Held, { limits::HELD_SYNS }>,
}

impl Listeners {
    pub(super) const fn new() -> Self {
        Self { entries: [const { None }; limits::LISTENERS], held: Vec::new() }
    }

    fn add(&mut self, local: SocketAddr, backlog: usize) -> Result<ListenerId, Error> {
        let taken =
            |entry: &Entry| entry.local.port() == local.port() && address::overlap(entry.local.ip(), local.ip());
        if self.entries.iter().flatten().any(taken) {
            return Err(Error::AddressInUse);
        }
        let free = self.entries.iter().position(Option::is_none).ok_or(Error::NoFreeSocket)?;
        self.entries[free] = Some(Entry { local, backlog, waker: None });
        Ok(ListenerId(free as u8))
    }

    fn entry(&mut self, id: ListenerId) -> Option<&mut Entry> {
        self.entries.get_mut(usize::from(id.0))?.as_mut()
    }

    pub(super) fn has_port(&self, port: u16) -> bool {
        self.entries.iter().flatten().any(|entry| entry.local.port() == port)
    }

    /// The listener that a connection request is for, and its backlog: one on that address before one on all.
    fn find(&self, destination: SocketAddr) -> Option<(ListenerId, usize)> {
        find(&self.entries, destination)
    }

    /// Wakes who waits for a connection of this listener.
    pub(super) fn wake(&mut self, id: ListenerId) {
        if let Some(waker) = self.entry(id).and_then(|entry| entry.waker.take()) {
            waker.wake();
        }
    }

    fn wait(&mut self, id: ListenerId, cx: &Context<'_>) {
        if let Some(entry) = self.entry(id) {
            entry.waker = Some(cx.waker().clone());
        }
    }

    /// Whether a kept request is for this listener.
    fn is_held_for(&self, id: ListenerId) -> bool {
        self.held.iter().any(|request| self.find(request.segment.destination).is_some_and(|(found, _)| found == id))
    }

    /// Keeps a request. A repeated one replaces its earlier copy; where there is no room the oldest goes.
    fn hold(&mut self, segment: Segment, frame: &[u8], now: Instant) {
        let Ok(frame) = Vec::from_slice(frame) else { return };
        let same =
            |held: &Held| held.segment.source == segment.source && held.segment.destination == segment.destination;
        if let Some(at) = self.held.iter().position(same) {
            let since = self.held[at].since;
            self.held[at] = Held { segment, frame, since };
            return;
        }
        if self.held.is_full() {
            self.held.remove(0);
        }
        let _ = self.held.push(Held { segment, frame, since: now });
    }

    /// Forgets requests that are too old or whose listener has gone.
    pub(super) fn expire(&mut self, now: Instant) {
        let entries = &self.entries;
        self.held
            .retain(|request| request.since + HELD_FOR > now && find(entries, request.segment.destination).is_some());
    }

    /// How many requests wait for a socket.
    pub(super) fn waiting(&self) -> usize {
        self.held.len()
    }
}

fn find(entries: &[Option<Entry>], destination: SocketAddr) -> Option<(ListenerId, usize)> {
    let fits =
        |entry: &Entry| entry.local.port() == destination.port() && address::covers(entry.local.ip(), destination.ip());
    let best = |(_, entry): &(usize, &Entry)| !entry.local.ip().is_unspecified();
    let entries = entries.iter().enumerate().filter_map(|(i, e)| e.as_ref().map(|e| (i, e)));
    let (index, entry) = entries.filter(|(_, e)| fits(e)).max_by_key(best)?;
    Some((ListenerId(index as u8), entry.backlog))
}

/// What becomes of a connection request.
pub(super) enum Request {
    /// smoltcp gets it: a socket waits for it, or nobody listens there and it is refused.
    Pass,
    /// It is kept for later.
    Held,
}

impl Inner<'_> {
    /// Sees to it that a connection request finds a socket in LISTEN, or keeps it.
    pub(super) fn on_request(&mut self, segment: &Segment, frame: &[u8]) -> Request {
        if self.tcp.knows(segment) {
            return Request::Pass; // a repeated request of a handshake under way
        }
        let Some((listener, backlog)) = self.listeners.find(segment.destination) else { return Request::Pass };
        let now = self.now();
        if self.tcp.has_room(listener, backlog) {
            // Where no socket comes of it after all, somebody still holds the closed connection between these ports:
            // smoltcp answers for that.
            self.tcp.expect(segment, listener, self.config.handshake_timeout, now);
            return Request::Pass;
        }
        self.listeners.hold(*segment, frame, now);
        self.listeners.wake(listener); // it may wait for just that, see `pending`
        self.stats.held_requests = self.stats.held_requests.wrapping_add(1);
        Request::Held
    }

    /// The oldest kept request that can have a socket now.
    pub(super) fn next_held(&mut self) -> Option<Vec<u8, HELD_FRAME>> {
        let at = self.find_held()?;
        Some(self.listeners.held.remove(at).frame)
    }

    /// Where it is among the kept ones.
    pub(super) fn find_held(&self) -> Option<usize> {
        self.listeners.held.iter().position(|request| {
            let listener = self.listeners.find(request.segment.destination);
            listener.is_some_and(|(listener, backlog)| self.tcp.has_room(listener, backlog))
        })
    }

    fn poll_accept(&mut self, id: ListenerId, cx: &mut Context<'_>) -> Poll<usize> {
        if let Some(index) = self.tcp.accept(id) {
            self.wake(); // there is room in the backlog again
            return Poll::Ready(index);
        }
        self.listeners.wait(id, cx);
        Poll::Pending
    }

    /// Ready when a connection can be accepted, or one is wanted for which there is no socket.
    fn poll_pending(&mut self, id: ListenerId, cx: &mut Context<'_>) -> Poll<()> {
        // While the backlog is full of handshakes a free socket would not help. Should one of them fail and another
        // listener get its socket, the request that still waits is seen when its client repeats it.
        let wants_socket = self.listeners.is_held_for(id)
            && self.tcp.unaccepted(id) < self.listeners.entry(id).map_or(0, |e| e.backlog);
        if wants_socket || self.tcp.has_pending(id) {
            return Poll::Ready(());
        }
        self.listeners.wait(id, cx);
        Poll::Pending
    }
}

impl<'d> Stack<'d> {
    /// Listens on `local`; see [`nal::TcpStack::listen`].
    ///
    /// # Errors
    /// Those of [`nal::TcpStack::listen`].
    pub fn listen(self, local: SocketAddr, backlog: usize) -> Result<TcpListener<'d>, Error> {
        if backlog == 0 {
            return Err(Error::InvalidInput);
        }
        self.with(|inner| {
            let ip = address::canonical(local.ip());
            inner.check_local(ip)?;
            let port = match local.port() {
                0 => inner.ephemeral_port(|inner, port| inner.tcp.is_port_used(port) || inner.listeners.has_port(port)),
                port => port,
            };
            let local = SocketAddr::new(ip, port);
            let id = inner.listeners.add(local, backlog)?;
            Ok(TcpListener { stack: self, id, local })
        })
    }
}

/// A listening TCP port of a [`Stack`].
///
/// Dropping it frees the port at once; connections that were not accepted are reset, and requests that wait are forgotten.
pub struct TcpListener<'d> {
    stack: Stack<'d>,
    id: ListenerId,
    local: SocketAddr,
}

impl Drop for TcpListener<'_> {
    fn drop(&mut self) {
        self.stack.with(|inner| {
            let now = inner.now();
            inner.listeners.entries[usize::from(self.id.0)] = None;
            inner.listeners.expire(now);
            inner.tcp.drop_unaccepted(self.id, now);
            inner.wake();
        });
    }
}

impl fmt::Debug for TcpListener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("local", &self.local).finish()
    }
}

impl<'d> nal::TcpListener for TcpListener<'d> {
    type Socket = TcpSocket<'d>;

    async fn accept(&mut self) -> Result<TcpSocket<'d>, Error> {
        let index = poll_fn(|cx| self.stack.with(|inner| inner.poll_accept(self.id, cx))).await;
        Ok(TcpSocket::new(self.stack, index))
    }

    async fn pending(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.stack.with(|inner| inner.poll_pending(self.id, cx))).await;
        Ok(())
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl nal::TcpStack for Stack<'static> {
    type Socket = TcpSocket<'static>;
    type Listener = TcpListener<'static>;

    async fn connect_with(&self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket<'static>, Error> {
        Stack::connect_with(*self, remote, options).await
    }

    async fn listen(&self, local: SocketAddr, backlog: usize) -> Result<TcpListener<'static>, Error> {
        Stack::listen(*self, local, backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_one_address_goes_before_one_on_all() {
        let mut listeners = Listeners::new();
        let one: SocketAddr = "10.0.0.2:80".parse().unwrap();
        assert_eq!(listeners.add(one, 1), Ok(ListenerId(0)));
        assert_eq!(listeners.add("0.0.0.0:80".parse().unwrap(), 1), Err(Error::AddressInUse));
        assert_eq!(listeners.add("0.0.0.0:81".parse().unwrap(), 1), Ok(ListenerId(1)));
        assert_eq!(listeners.find(one), Some((ListenerId(0), 1)));
        assert_eq!(listeners.find("[::1]:81".parse().unwrap()), None, "0.0.0.0 is IPv4 only");
    }

    #[test]
    fn the_oldest_request_makes_room() {
        let mut listeners = Listeners::new();
        listeners.add("0.0.0.0:80".parse().unwrap(), 1).unwrap();
        for port in 0..limits::HELD_SYNS as u16 + 1 {
            let source = SocketAddr::from(([10, 0, 0, 1], 1000 + port));
            let destination = "10.0.0.2:80".parse().unwrap();
            let segment = Segment { source, destination, is_request: true, ..Segment::for_test() };
            listeners.hold(segment, &[0; 60], Instant::from_secs(1));
        }
        assert_eq!(listeners.waiting(), limits::HELD_SYNS);
        assert_eq!(listeners.held[0].segment.source.port(), 1001);
        listeners.expire(Instant::from_secs(1) + HELD_FOR);
        assert_eq!(listeners.waiting(), 0);
    }
}
