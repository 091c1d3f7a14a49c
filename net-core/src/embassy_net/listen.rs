//! TCP listeners.
//!
//! embassy-net answers a connection request with a RST when no socket is in LISTEN at that moment. So each listener has
//! sockets of the pool in LISTEN, as many as its backlog leaves room for and as are free; one that a connection takes
//! is replaced as soon as there is another. A socket in LISTEN can be had by others: by `connect` when no other is free,
//! and by a listener that has none.

use core::fmt;
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};

use embassy_net::IpListenEndpoint;
use embassy_time::Instant;

use super::connection::Phase;
use super::tcp::TcpSocket;
use super::tcp_pool::{Close, Pool};
use super::{EmbassyNet, Inner, addresses, now_or_never};
use crate::nal::{self, ConnectOptions};
use crate::random::free_port;
use crate::time::bounded;
use crate::{Error, address, limits};

/// A place in the table of listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ListenerId(u8);

struct Entry {
    local: SocketAddr,
    backlog: usize,
    waker: Option<Waker>,
}

/// The listeners.
pub(super) struct Listeners([Option<Entry>; limits::LISTENERS]);

impl Listeners {
    pub(super) const fn new() -> Self {
        Self([const { None }; limits::LISTENERS])
    }

    fn add(&mut self, local: SocketAddr, backlog: usize) -> Result<ListenerId, Error> {
        let taken =
            |entry: &Entry| entry.local.port() == local.port() && address::overlap(entry.local.ip(), local.ip());
        if self.0.iter().flatten().any(taken) {
            return Err(Error::AddressInUse);
        }
        let free = self.0.iter().position(Option::is_none).ok_or(Error::NoFreeSocket)?;
        self.0[free] = Some(Entry { local, backlog, waker: None });
        Ok(ListenerId(free as u8))
    }

    fn entry(&mut self, id: ListenerId) -> Option<&mut Entry> {
        self.0.get_mut(usize::from(id.0))?.as_mut()
    }

    fn iter(&self) -> impl Iterator<Item = (ListenerId, &Entry)> {
        self.0.iter().enumerate().filter_map(|(at, entry)| Some((ListenerId(at as u8), entry.as_ref()?)))
    }

    pub(super) fn has_port(&self, port: u16) -> bool {
        self.iter().any(|(_, entry)| entry.local.port() == port)
    }

    fn wake(&mut self, id: ListenerId) {
        if let Some(waker) = self.entry(id).and_then(|entry| entry.waker.take()) {
            waker.wake();
        }
    }

    /// The listener that needs a socket most: it has room in its backlog, and fewest sockets in LISTEN.
    fn neediest(&self, pool: &Pool) -> Option<ListenerId> {
        let wants = |(id, entry): &(ListenerId, &Entry)| pool.held(*id) < entry.backlog;
        self.iter().filter(wants).map(|(id, _)| id).min_by_key(|id| pool.listening(*id))
    }

    /// The listener that can spare one.
    fn richest(&self, pool: &Pool) -> Option<ListenerId> {
        let ids = self.iter().map(|(id, _)| id).filter(|id| pool.listening(*id) > 1);
        ids.max_by_key(|id| pool.listening(*id))
    }
}

impl Inner {
    /// Sees which handshakes are done, and puts sockets into LISTEN. Gives the moment when there will be another.
    pub(super) fn serve_listeners(&mut self, now: Instant) -> Option<Instant> {
        for index in 0..self.tcp.places.len() {
            let Some(id) = self.tcp.promote(index, self.config.tcp_timeout, now) else { continue };
            let local = self.tcp.places[index].local.ip();
            match self.listeners.entry(id) {
                Some(entry) if address::covers(entry.local.ip(), local) => self.listeners.wake(id),
                // embassy-net listens on all addresses of either IP version, or on one.
                _ => self.tcp.orphan(index, Close::Reset, now),
            }
        }
        while let Some(id) = self.listeners.neediest(&self.tcp) {
            let phase = Phase::Waiting(id);
            let mut index = self.tcp.take(phase, now);
            if index.is_none()
                && self.tcp.listening(id) == 0
                && let Some(rich) = self.listeners.richest(&self.tcp)
            {
                index = self.tcp.steal(rich, phase, now);
            }
            let (Some(index), Some(entry)) = (index, self.listeners.entry(id)) else {
                return self.tcp.next_spare();
            };
            let ip = entry.local.ip();
            let addr = if ip.is_unspecified() { None } else { addresses::convert(ip) };
            let endpoint = IpListenEndpoint { addr, port: entry.local.port() };
            let socket = &mut self.tcp.places[index].socket;
            socket.set_timeout(Some(bounded(self.config.handshake_timeout)));
            let _ = now_or_never(socket.accept(endpoint));
        }
        None
    }

    fn listen(&mut self, local: SocketAddr, backlog: usize) -> Result<(ListenerId, SocketAddr), Error> {
        if backlog == 0 {
            return Err(Error::InvalidInput);
        }
        let ip = address::canonical(local.ip());
        addresses::check_local(self.stack, ip)?;
        let random = self.random.next_u64();
        let port = match local.port() {
            0 => free_port(random, |port| self.tcp.is_port_used(port) || self.listeners.has_port(port)),
            port => port,
        };
        let local = SocketAddr::new(ip, port);
        let id = self.listeners.add(local, backlog)?;
        self.serve_listeners(Instant::now());
        self.wake();
        Ok((id, local))
    }

    fn poll_accept(&mut self, id: ListenerId, cx: &Context<'_>) -> Poll<usize> {
        let now = Instant::now();
        self.serve_listeners(now);
        let Some(index) = self.tcp.accept(id) else {
            self.wait_for_connection(id, cx);
            return Poll::Pending;
        };
        // There is room in the backlog again.
        self.serve_listeners(now);
        self.wake();
        Poll::Ready(index)
    }

    fn poll_pending(&mut self, id: ListenerId, cx: &Context<'_>) -> Poll<()> {
        self.serve_listeners(Instant::now());
        if self.tcp.has_pending(id) {
            return Poll::Ready(());
        }
        self.wait_for_connection(id, cx);
        Poll::Pending
    }

    fn wait_for_connection(&mut self, id: ListenerId, cx: &Context<'_>) {
        if let Some(entry) = self.listeners.entry(id) {
            entry.waker = Some(cx.waker().clone());
        }
    }
}

/// A listening TCP port of an [`EmbassyNet`].
///
/// Dropping it frees the port at once; connections that were not accepted are reset.
pub struct TcpListener {
    net: EmbassyNet,
    id: ListenerId,
    local: SocketAddr,
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.net.with(|inner| {
            inner.listeners.0[usize::from(self.id.0)] = None;
            inner.tcp.drop_unaccepted(self.id, Instant::now());
            inner.wake();
        });
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpListener").field("local", &self.local).finish()
    }
}

impl nal::TcpListener for TcpListener {
    type Socket = TcpSocket;

    async fn accept(&mut self) -> Result<TcpSocket, Error> {
        let index = poll_fn(|cx| self.net.with(|inner| inner.poll_accept(self.id, cx))).await;
        Ok(TcpSocket::new(self.net, index))
    }

    async fn pending(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.net.with(|inner| inner.poll_pending(self.id, cx))).await;
        Ok(())
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl nal::TcpStack for EmbassyNet {
    type Socket = TcpSocket;
    type Listener = TcpListener;

    async fn connect_with(&self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket, Error> {
        self.connect_to(remote, options).await
    }

    async fn listen(&self, local: SocketAddr, backlog: usize) -> Result<TcpListener, Error> {
        let (id, local) = self.with(|inner| inner.listen(local, backlog))?;
        Ok(TcpListener { net: *self, id, local })
    }
}
