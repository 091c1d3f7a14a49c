//! TCP sockets: connecting, reading, writing, options.

use core::fmt;
use core::future::poll_fn;
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::task::{Poll, Waker};

use embassy_net::tcp::{self, ConnectError};
use embassy_net::{IpEndpoint, Stack};
use embassy_time::{Duration, Instant, Timer};
use embedded_io_async::ErrorType;

use super::connection::{Phase, Place};
use super::tcp_pool::Close;
use super::{EmbassyNet, Inner, addresses, now_or_never};
use crate::Error;
use crate::halves::{self, Half as _};
use crate::nal::{self, ConnectOptions};
use crate::time::bounded;

/// How long connecting waits for a socket that is about to be free.
const SOON: Duration = Duration::from_millis(20);

impl EmbassyNet {
    pub(super) async fn connect_to(self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket, Error> {
        let index = loop {
            let (begun, spare) = self.with(|inner| (inner.tcp_connect(remote, options), inner.tcp.next_spare()));
            match (begun, spare) {
                (Err(Error::NoFreeSocket), Some(spare)) if spare <= Instant::now() + SOON => Timer::at(spare).await,
                (begun, _) => break begun?,
            }
        };
        let socket = TcpSocket { net: self, index };
        poll_fn(|cx| {
            self.with(|inner| {
                let timeout = inner.config.tcp_timeout;
                inner.place(index, |place, stack| place.poll_connect(stack, timeout, cx.waker()))
            })
        })
        .await?;
        Ok(socket)
    }
}

impl Inner {
    fn tcp_connect(&mut self, remote: SocketAddr, options: ConnectOptions) -> Result<usize, Error> {
        let endpoint = addresses::endpoint(remote)?;
        if options.hop_limit == 0 {
            return Err(Error::InvalidInput);
        }
        if options.local_port != 0 {
            let taken = self.tcp.is_port_used(options.local_port) || self.listeners.has_port(options.local_port);
            return Err(if taken { Error::AddressInUse } else { Error::Unsupported });
        }
        addresses::route(self.stack, remote.ip())?;
        let now = Instant::now();
        let deadline = now + bounded(options.timeout.unwrap_or(self.config.connect_timeout));
        let index = self.tcp.take_or_steal(Phase::Connecting(deadline), now).ok_or(Error::NoFreeSocket)?;
        let socket = &mut self.tcp.places[index].socket;
        socket.set_hop_limit(Some(options.hop_limit));
        let mut began = begin(socket, endpoint);
        // embassy-net counts its ports, and does not look whether one is taken. There are more of them than sockets.
        while let Ok(local) = began
            && (self.tcp.is_port_used(local.port()) || self.listeners.has_port(local.port()))
        {
            let place = &mut self.tcp.places[index];
            place.forget();
            began = begin(&mut place.socket, endpoint);
        }
        match began {
            Ok(local) => {
                let place = &mut self.tcp.places[index];
                place.local = local;
                place.peer = remote;
                place.hop_limit = options.hop_limit;
                self.wake();
                Ok(index)
            }
            Err(error) => {
                self.tcp.release(index);
                Err(error)
            }
        }
    }

    /// Works on a socket's place.
    fn place<R>(&mut self, index: usize, f: impl FnOnce(&mut Place, Stack<'static>) -> R) -> R {
        f(&mut self.tcp.places[index], self.stack)
    }
}

/// Begins to connect. Gives the local address.
fn begin(socket: &mut tcp::TcpSocket<'static>, to: IpEndpoint) -> Result<SocketAddr, Error> {
    match now_or_never(socket.connect(to)) {
        None => socket.local_endpoint().map(SocketAddr::from).ok_or(Error::Other),
        Some(Err(ConnectError::NoRoute)) => Err(Error::Unreachable),
        Some(_) => Err(Error::Other),
    }
}

/// A TCP connection of an [`EmbassyNet`].
///
/// Reading, writing, halves and options are in the traits of [`nal`]; bring them into scope with
/// `use net_core::nal::*`.
///
/// Dropping it closes the connection in order, in the background, within [`Config::linger`](super::Config::linger): what
/// was written is delivered, then comes the FIN. What the peer still sends is taken and discarded, so that it can
/// finish and read what it was sent.
pub struct TcpSocket {
    net: EmbassyNet,
    index: usize,
}

impl TcpSocket {
    pub(super) fn new(net: EmbassyNet, index: usize) -> Self {
        Self { net, index }
    }

    fn half(&self) -> Half {
        Half { net: self.net, index: self.index }
    }

    fn place<R>(&self, f: impl FnOnce(&mut Place) -> R) -> R {
        self.net.with(|inner| inner.place(self.index, |place, _| f(place)))
    }
}

impl Drop for TcpSocket {
    fn drop(&mut self) {
        self.net.with(|inner| {
            let close = Close::InOrder(bounded(inner.config.linger));
            inner.tcp.orphan(self.index, close, Instant::now());
            inner.wake();
        });
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use nal::TcpSocket as _;
        f.debug_struct("TcpSocket").field("local", &self.local_addr()).field("peer", &self.peer_addr()).finish()
    }
}

/// A way to a socket's place that does not own it.
#[derive(Clone, Copy)]
struct Half {
    net: EmbassyNet,
    index: usize,
}

impl Half {
    fn with<R>(self, f: impl FnOnce(&mut Place, Stack<'static>) -> R) -> R {
        self.net.with(|inner| inner.place(self.index, f))
    }
}

impl halves::Half for Half {
    fn poll_read(self, buffer: &mut [u8], waker: &Waker) -> Poll<Result<usize, Error>> {
        self.with(|place, stack| place.poll_read(stack, buffer, waker))
    }

    fn poll_readable(self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.with(|place, stack| place.poll_readable(stack, waker)).map_ok(|_| ())
    }

    fn poll_write(self, data: &[u8], waker: &Waker) -> Poll<Result<usize, Error>> {
        self.with(|place, stack| place.poll_write(stack, data, waker))
    }

    fn poll_writable(self, waker: &Waker) -> Poll<Result<(), Error>> {
        self.with(|place, stack| place.poll_writable(stack, waker))
    }

    fn poll_acknowledged(self, limit: usize, waker: &Waker) -> Poll<Result<(), Error>> {
        self.with(|place, stack| place.poll_acknowledged(stack, limit, waker))
    }

    fn unacknowledged(self) -> usize {
        self.with(|place, _| place.socket.send_queue())
    }

    fn finish(self) -> Result<(), Error> {
        self.with(|place, stack| place.finish(stack))
    }

    fn abort(self) {
        self.with(|place, _| place.end(Error::Aborted));
    }
}

/// The receiving half of a [`TcpSocket`], borrowed from it.
pub struct TcpReader<'a> {
    half: Half,
    socket: PhantomData<&'a mut TcpSocket>,
}

/// The sending half of a [`TcpSocket`], borrowed from it.
pub struct TcpWriter<'a> {
    half: Half,
    socket: PhantomData<&'a mut TcpSocket>,
}

impl ErrorType for TcpSocket {
    type Error = Error;
}
impl ErrorType for TcpReader<'_> {
    type Error = Error;
}
impl ErrorType for TcpWriter<'_> {
    type Error = Error;
}
reads!(TcpSocket, self => self.half());
reads!(TcpReader<'_>, self => self.half);
writes!(TcpSocket, self => self.half());
writes!(TcpWriter<'_>, self => self.half);
streams!(TcpSocket, self => self.half());

impl nal::TcpSocket for TcpSocket {
    type Reader<'a> = TcpReader<'a>;
    type Writer<'a> = TcpWriter<'a>;

    fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
        let half = self.half();
        (TcpReader { half, socket: PhantomData }, TcpWriter { half, socket: PhantomData })
    }

    fn local_addr(&self) -> SocketAddr {
        self.place(|place| place.local)
    }

    fn peer_addr(&self) -> SocketAddr {
        self.place(|place| place.peer)
    }

    fn abort(&mut self) {
        self.half().abort();
    }

    fn set_no_delay(&mut self, no_delay: bool) {
        self.place(|place| place.socket.set_nagle_enabled(!no_delay));
    }

    fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.place(|place| place.set_keep_alive(interval));
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.place(|place| place.set_timeout(timeout));
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        if hop_limit == 0 {
            return Err(Error::InvalidInput);
        }
        self.place(|place| {
            place.hop_limit = hop_limit;
            place.socket.set_hop_limit(Some(hop_limit));
        });
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.place(|place| place.hop_limit)
    }
}

impl nal::TcpConnect for EmbassyNet {
    type Error = Error;
    type Connection<'a> = TcpSocket;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpSocket, Error> {
        self.connect_to(remote, ConnectOptions::new()).await
    }
}
