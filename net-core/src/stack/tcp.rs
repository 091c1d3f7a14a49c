//! TCP sockets: connecting, reading, writing, options.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker};

use embassy_time::Duration;
use embedded_io_async::ErrorType;
use smoltcp::socket::tcp::{self, State};

use super::tcp_pool::{Phase, Place};
use super::{Inner, Stack, convert};
use crate::Error;
use crate::halves::{self, Half as _};
use crate::nal::{self, ConnectOptions};
use crate::time::bounded;

impl<'d> Stack<'d> {
    /// Connects to `remote`; see [`nal::TcpStack::connect`].
    ///
    /// # Errors
    /// Those of [`nal::TcpStack::connect`].
    pub async fn connect(self, remote: SocketAddr) -> Result<TcpSocket<'d>, Error> {
        self.connect_with(remote, ConnectOptions::new()).await
    }

    /// Connects to `remote` in another way than the usual one; see [`nal::TcpStack::connect_with`].
    ///
    /// # Errors
    /// Those of [`nal::TcpStack::connect_with`].
    pub async fn connect_with(self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket<'d>, Error> {
        let socket = self.with(|inner| inner.tcp_connect(remote, options))?;
        let socket = TcpSocket { stack: self, index: socket };
        poll_fn(|cx| socket.stack.with(|inner| inner.poll_connect(socket.index, cx))).await?;
        Ok(socket)
    }
}

impl Inner<'_> {
    fn tcp_connect(&mut self, remote: SocketAddr, options: ConnectOptions) -> Result<usize, Error> {
        let endpoint = convert::endpoint(remote)?;
        if options.hop_limit == 0 {
            return Err(Error::InvalidInput);
        }
        let source = self.source_for(endpoint.addr)?;
        let is_used = |inner: &Self, port| inner.tcp.is_port_used(port) || inner.listeners.has_port(port);
        let port = match options.local_port {
            0 => self.ephemeral_port(is_used),
            port if is_used(self, port) => return Err(Error::AddressInUse),
            port => port,
        };
        let now = self.now();
        let index = self.tcp.take(Phase::Connecting, now)?;
        let timeout = convert::duration(options.timeout.unwrap_or(self.config.connect_timeout));
        let (iface, socket) = (&mut self.iface, self.tcp.socket(index));
        if socket.connect(iface.context(), endpoint, (source, port)).is_err() {
            self.tcp.release(index);
            return Err(Error::InvalidInput);
        }
        socket.set_timeout(Some(timeout));
        socket.set_hop_limit(Some(options.hop_limit));
        let place = &mut self.tcp.places[index];
        place.seen = State::SynSent;
        place.local = SocketAddr::new(source.into(), port);
        place.peer = remote;
        self.wake();
        Ok(index)
    }

    fn poll_connect(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let timeout = bounded(self.config.tcp_timeout);
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
            let socket = self.tcp.socket(index);
            let n = socket.recv_slice(buffer).unwrap_or(0);
            let unread = socket.recv_queue();
            self.tcp.places[index].unread = unread;
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
        place.keep_alive = place.keep_alive.map(bounded);
        place.timeout = place.timeout.map(bounded);
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
        let until = now + bounded(self.config.linger);
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

impl halves::Half for Half<'_> {
    fn poll_read(self, buffer: &mut [u8], waker: &Waker) -> Poll<Result<usize, Error>> {
        self.stack.with(|inner| inner.poll_read(self.index, buffer, waker))
    }

    fn poll_readable(self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.stack.with(|inner| inner.poll_readable(self.index, waker)).map_ok(|_| ())
    }

    fn poll_write(self, data: &[u8], waker: &Waker) -> Poll<Result<usize, Error>> {
        self.stack.with(|inner| inner.poll_write(self.index, data, waker))
    }

    fn poll_writable(self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.stack.with(|inner| inner.poll_writable(self.index, waker))
    }

    fn poll_acknowledged(self, limit: usize, waker: &Waker) -> Poll<Result<(), Error>> {
        self.stack.with(|inner| inner.poll_acknowledged(self.index, limit, waker))
    }

    fn unacknowledged(self) -> usize {
        self.stack.with(|inner| inner.tcp.socket(self.index).send_queue())
    }

    fn finish(self) -> Result<(), Error> {
        self.stack.with(|inner| inner.tcp_finish(self.index))
    }

    fn abort(self) {
        self.stack.with(|inner| inner.tcp_abort(self.index));
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
streams!(TcpSocket<'_>, self => self.half());

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
        self.half().abort();
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
