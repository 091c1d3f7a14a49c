//! The traits that services are written against.
//!
//! [`TcpConnect`], [`UdpStack`] and [`Dns`] are `embedded-nal-async`'s, [`Read`] and [`Write`] are
//! `embedded-io-async`'s, exactly as published: a crate that is generic over them (`reqwless`, for one) works on
//! every stack here. The traits of this module add what a server needs and those lack. They name no stack: the
//! smoltcp [`Stack`](crate::stack::Stack), the sockets of a computer's own operating system and a stack that a
//! firmware already has all implement them.
//!
//! All share one error type, [`Error`], and none of them puts a lifetime on its sockets: as in [`UdpStack`], a
//! stack is a handle that is cheap to copy, and its sockets come from a pool that it owns.
//!
//! Futures are not `Send`: they are for the single-threaded executors that small devices run. Every future may be
//! dropped at any await point (a timeout, a `select`) without losing data, except where its description says how
//! much may have been done.
//!
//! # A server, on any stack
//! ```
//! use net_core::nal::{Read, TcpListener, TcpSocket, TcpStack, Write};
//! use net_core::Error;
//!
//! async fn echo_once(stack: impl TcpStack) -> Result<(), Error> {
//!     let mut listener = stack.listen("0.0.0.0:7".parse().map_err(|_| Error::InvalidInput)?, 4).await?;
//!     let mut socket = listener.accept().await?;
//!     let mut buffer = [0; 512];
//!     loop {
//!         match socket.read(&mut buffer).await? {
//!             0 => return socket.finish().await,
//!             n => socket.write_all(&buffer[..n]).await?,
//!         }
//!     }
//! }
//! # use net_core::nal::TcpWrite;
//! ```

use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll};

use embassy_time::Duration;

use crate::Error;
use crate::events::{EventLog, Status};

pub use embedded_io_async::{Error as IoError, ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
pub use embedded_nal_async::{AddrType, ConnectedUdp, Dns, TcpConnect, UdpStack, UnconnectedUdp};

/// Makes TCP connections, both ways.
///
/// Beside [`TcpConnect`] because that trait ties a connection's lifetime to the borrow of its stack, and knows no
/// listener.
pub trait TcpStack {
    /// A connection. Dropping it closes it in order: what was written is still delivered, then a FIN follows.
    type Socket: TcpSocket + 'static;
    /// A listening port. Dropping it frees the port; connections that it has handed out live on.
    type Listener: TcpListener<Socket = Self::Socket> + 'static;

    /// Connects to `remote` from a random local port (RFC 6056), and waits until the connection stands.
    ///
    /// Dropping the future gives the attempt up.
    ///
    /// # Errors
    /// Those of [`connect_with`](Self::connect_with).
    async fn connect(&self, remote: SocketAddr) -> Result<Self::Socket, Error> {
        self.connect_with(remote, ConnectOptions::new()).await
    }

    /// The same, in another way than the usual one.
    ///
    /// # Errors
    /// - [`Error::InvalidInput`]: port 0 or an unspecified address, or a hop limit of 0.
    /// - [`Error::AddressInUse`]: the local port that was asked for is taken.
    /// - [`Error::Unreachable`]: no route, no own address of that IP version, or ICMP says so.
    /// - [`Error::NoFreeSocket`]: every socket is in use.
    /// - [`Error::Refused`]: the peer answered with a RST.
    /// - [`Error::TimedOut`]: no answer in time.
    async fn connect_with(&self, remote: SocketAddr, options: ConnectOptions) -> Result<Self::Socket, Error>;

    /// Listens on `local`: port 0 takes a free one, an unspecified address takes every address of that IP version,
    /// and where the stack has both versions, `[::]` takes both.
    ///
    /// At most `backlog` (1 or more) connections that nobody has accepted yet hold a socket; beyond that, and while no
    /// socket is free, connection requests wait: they are not refused.
    ///
    /// # Errors
    /// - [`Error::AddressInUse`]: another listener has the port.
    /// - [`Error::AddressNotAvailable`]: `local` is none of this device's addresses.
    /// - [`Error::NoFreeSocket`]: too many listeners ([`limits::LISTENERS`](crate::limits::LISTENERS)).
    /// - [`Error::InvalidInput`]: a backlog of 0.
    async fn listen(&self, local: SocketAddr, backlog: usize) -> Result<Self::Listener, Error>;
}

/// How a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The local port, or 0 for a random free one. Default 0.
    pub local_port: u16,
    /// The time to live or hop limit of all that is sent, the first segment included, 1 to 255. Default 64.
    pub hop_limit: u8,
    /// How long the attempt may take; `None` for what the stack's configuration says. Default `None`.
    pub timeout: Option<Duration>,
}

impl ConnectOptions {
    /// The defaults.
    pub const fn new() -> Self {
        Self { local_port: 0, hop_limit: 64, timeout: None }
    }
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A listening TCP port.
pub trait TcpListener {
    /// The connections it hands out.
    type Socket: TcpSocket;

    /// Waits for the next connection. Its [`peer_addr`](TcpSocket::peer_addr) and
    /// [`local_addr`](TcpSocket::local_addr) are known at once.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stack beneath has gone. A connection that failed before it was handed out is no
    /// error: the next one is waited for.
    async fn accept(&mut self) -> Result<Self::Socket, Error>;

    /// Waits until somebody wants to connect: until [`accept`](Self::accept) would return at once, or would if a socket
    /// were free. With it a server whose sockets are all busy learns that it should give one up.
    ///
    /// # Errors
    /// [`Error::Closed`] when the stack beneath has gone.
    async fn pending(&mut self) -> Result<(), Error>;

    /// The address and port listened on; the port is never 0.
    fn local_addr(&self) -> SocketAddr;
}

/// The receiving half of a TCP connection.
///
/// [`Read::read`] gives `Ok(0)` when the peer has sent its FIN and all its data has been read, and for an empty
/// buffer. A stack may keep what was not read for only 10 s after both ends have finished; reading then is
/// [`Error::Aborted`].
pub trait TcpRead: Read<Error = Error> + ReadReady {
    /// Waits until [`Read::read`] would return at once: data, the end of the stream, or an error.
    ///
    /// # Errors
    /// Those of reading: [`Error::Reset`], [`Error::Aborted`], [`Error::TimedOut`].
    async fn readable(&mut self) -> Result<(), Error>;
}

/// The sending half of a TCP connection.
///
/// [`Write::write`] waits for room in the send buffer, then copies as much as fits; it gives `Ok(0)` only for an
/// empty buffer. [`Write::flush`] waits until everything written has been acknowledged by the peer.
pub trait TcpWrite: Write<Error = Error> + WriteReady {
    /// Waits until [`Write::write`] would return at once.
    ///
    /// # Errors
    /// Those of writing: [`Error::Closed`] after [`finish`](Self::finish), [`Error::Reset`], [`Error::Aborted`],
    /// [`Error::TimedOut`].
    async fn writable(&mut self) -> Result<(), Error>;

    /// Bytes written that the peer has not acknowledged yet.
    fn unacknowledged(&self) -> usize;

    /// Waits until at most `limit` bytes are unacknowledged. With it a sender learns that a message has arrived
    /// while later ones are already under way.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Aborted`] or [`Error::TimedOut`] when that can no longer happen.
    async fn acknowledged(&mut self, limit: usize) -> Result<(), Error>;

    /// Half-close (RFC 9293 section 3.6): sends what is queued and then a FIN. Reading goes on. Does not wait for the peer's
    /// acknowledgement ([`Write::flush`] does). A second call does nothing.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Aborted`] or [`Error::TimedOut`] when the connection has already failed.
    async fn finish(&mut self) -> Result<(), Error>;
}

/// A connection as a stream of bytes, by polling.
///
/// Object-safe: a service that takes a `&mut dyn ByteStream` is compiled once, whatever carries it. Every
/// [`TcpSocket`] is one.
///
/// Reading and writing keep one waker each: the task that polled last is woken. What is polled here and what the
/// socket's async methods wait for share these two wakers.
pub trait ByteStream {
    /// Takes received bytes, as [`Read::read`]: `Ok(0)` at the peer's FIN and for an empty buffer.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Aborted`], [`Error::TimedOut`].
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>>;

    /// Ready when [`poll_read`](Self::poll_read) would be.
    ///
    /// # Errors
    /// Those of reading; or none, and reading then tells.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Queues bytes to be sent, as [`Write::write`]: as many as fit, never `Ok(0)` for non-empty data.
    ///
    /// # Errors
    /// [`Error::Closed`] after [`poll_finish`](Self::poll_finish), [`Error::Reset`], [`Error::Aborted`],
    /// [`Error::TimedOut`].
    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>>;

    /// Ready when everything written has been acknowledged, as [`Write::flush`]. Keeps the waker of writing.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Aborted`] or [`Error::TimedOut`] when that can no longer happen.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Sends what is queued and then a FIN, as [`TcpWrite::finish`]. Does not wait for the peer's acknowledgement. Keeps the
    /// waker of writing.
    ///
    /// # Errors
    /// [`Error::Reset`], [`Error::Aborted`] or [`Error::TimedOut`] when the connection has already failed.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Ends the connection now, as [`TcpSocket::abort`]: queued data is discarded and the peer gets a RST.
    fn reset(&mut self);
}

/// A TCP connection.
///
/// Dropping it closes it in order; [`abort`](Self::abort) is for when that is not wanted.
pub trait TcpSocket: TcpRead + TcpWrite + ByteStream {
    /// The receiving half, borrowed.
    type Reader<'a>: TcpRead
    where
        Self: 'a;
    /// The sending half, borrowed.
    type Writer<'a>: TcpWrite
    where
        Self: 'a;

    /// The two halves, for use at the same time.
    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>);

    /// This end's address and port. Known until the socket is dropped, also when the connection has ended.
    fn local_addr(&self) -> SocketAddr;

    /// The other end's address and port. Known until the socket is dropped, also when the connection has ended.
    fn peer_addr(&self) -> SocketAddr;

    /// Ends the connection now: queued data is discarded and the peer gets a RST. Reading and writing then give
    /// [`Error::Aborted`].
    fn abort(&mut self);

    /// Sends small writes at once instead of waiting to fill a segment (turns Nagle's algorithm off). Off at first,
    /// that is Nagle is on (RFC 9293 section 3.7.4).
    fn set_no_delay(&mut self, no_delay: bool);

    /// Probes an idle connection every `interval`, or not at all with `None` (at first). A peer that answers no probe
    /// ends the connection only together with [`set_timeout`](Self::set_timeout).
    fn set_keep_alive(&mut self, interval: Option<Duration>);

    /// The user timeout (RFC 9293 section 3.9.1, RFC 5482): when data, a FIN or a keep-alive probe stays
    /// unacknowledged for this long the connection fails with [`Error::TimedOut`]. At first the value of the stack's
    /// configuration.
    fn set_timeout(&mut self, timeout: Option<Duration>);

    /// The time to live (IPv4) or hop limit (IPv6) of what is sent, 1 to 255; at first 64.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for 0.
    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error>;

    /// The time to live or hop limit in force.
    fn hop_limit(&self) -> u8;
}

/// Makes UDP sockets that have options and may take any free port, beside those of [`UdpStack`].
pub trait UdpBind {
    /// A bound socket. Dropping it frees its port and discards what it has received; what it was given to send still
    /// goes out.
    type Socket: UdpSocket + 'static;

    /// Binds to `local`: port 0 takes a free one, an unspecified address receives on every address of that IP
    /// version, on broadcast addresses, and on the groups that the interface has joined; where the stack has both
    /// versions, `[::]` takes both.
    ///
    /// # Errors
    /// - [`Error::AddressInUse`]: another socket has the port.
    /// - [`Error::AddressNotAvailable`]: `local` is none of this device's addresses.
    /// - [`Error::NoFreeSocket`]: every socket is in use.
    async fn bind(&self, local: SocketAddr) -> Result<Self::Socket, Error>;

    /// As [`bind`](Self::bind), but other programs of the same computer may have the port too, if they share it as well:
    /// for multicast protocols (RFC 6762 section 15). All of them get what is sent to groups, and one of them, the
    /// operating system says which, what is sent to the computer alone.
    ///
    /// On a stack of the device's own nobody else is there, and this is `bind`.
    ///
    /// # Errors
    /// Those of `bind`.
    async fn bind_shared(&self, local: SocketAddr) -> Result<Self::Socket, Error> {
        self.bind(local).await
    }
}

/// A bound UDP socket.
///
/// [`UnconnectedUdp::send`] waits only for room in the socket's send queue. A datagram to a host that does not answer
/// address resolution is dropped after a few seconds, without delaying those to other hosts. Sending to a broadcast
/// address needs no option.
pub trait UdpSocket: UnconnectedUdp<Error = Error> {
    /// The address and port bound to; the port is never 0.
    fn local_addr(&self) -> SocketAddr;

    /// Waits until a datagram can be received at once.
    ///
    /// # Errors
    /// Those of receiving.
    async fn readable(&mut self) -> Result<(), Error>;

    /// The time to live (IPv4) or hop limit (IPv6) of what is sent from now on, 1 to 255; at first 64.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for 0.
    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error>;

    /// The time to live or hop limit in force.
    fn hop_limit(&self) -> u8;
}

/// Membership in multicast groups, for an interface as a whole.
///
/// Memberships are counted: a group is left when it has been left as often as it was joined.
pub trait Multicast {
    /// Joins `group`; bound UDP sockets then receive what is sent to it on their port.
    ///
    /// # Errors
    /// - [`Error::InvalidInput`]: not a multicast address.
    /// - [`Error::NoFreeSocket`]: too many groups ([`limits::MULTICAST_GROUPS`](crate::limits::MULTICAST_GROUPS)).
    /// - [`Error::Unsupported`]: the stack was built without that IP version or without multicast.
    fn join_group(&self, group: IpAddr) -> Result<(), Error>;

    /// Leaves `group`.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] when it is not joined.
    fn leave_group(&self, group: IpAddr) -> Result<(), Error>;
}

/// What a network interface is and what happens to it.
pub trait Interface {
    /// Its state now: link, addresses, routers, DNS servers.
    fn status(&self) -> Status;

    /// What happens to it, for any number of readers.
    fn events(&self) -> &EventLog;
}

/// Everything together: what a service that uses all of it asks for.
pub trait Net: TcpStack + UdpBind + Multicast + Interface {}

impl<T: TcpStack + UdpBind + Multicast + Interface> Net for T {}
