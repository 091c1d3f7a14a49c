//! TCP connections.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use net_core::Error;
use net_core::nal::{self, ConnectOptions, ErrorType, Read, ReadReady, TcpConnect, Write, WriteReady};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use socket2::{SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::{HOP_LIMIT, HostNet, check_remote, error, set_hop_limit, unmapped, unspecified_like};

/// How often [`acknowledged`](nal::TcpWrite::acknowledged) looks again: the kernel does not tell when the peer has
/// acknowledged.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_millis(20);

mod ioctl {
    #![allow(unsafe_code)] // declares the system call; nix has no safe form of this one

    nix::ioctl_read_bad!(unsent, libc::TIOCOUTQ, libc::c_int);

    /// Bytes in the send queue: not sent, or sent and not acknowledged (SIOCOUTQ of tcp(7)).
    pub(super) fn queued(fd: std::os::fd::RawFd) -> usize {
        let mut bytes = 0;
        // SAFETY: the kernel writes one int to the address, which is that of an int.
        match unsafe { unsent(fd, &raw mut bytes) } {
            Ok(_) => usize::try_from(bytes).unwrap_or(0),
            Err(_) => 0,
        }
    }
}

/// A TCP connection of the computer.
#[derive(Debug)]
pub struct TcpSocket(Connection);

/// The receiving half of a [`TcpSocket`].
#[derive(Debug)]
pub struct TcpReader<'a>(&'a Connection);

/// The sending half of a [`TcpSocket`].
#[derive(Debug)]
pub struct TcpWriter<'a>(&'a Connection);

#[derive(Debug)]
struct Connection {
    /// `None` once aborted.
    stream: Option<TcpStream>,
    local: SocketAddr,
    peer: SocketAddr,
    /// Why the connection ended. The kernel tells that once, to whichever call comes first; every call is to know.
    failed: Cell<Option<Error>>,
    finished: Cell<bool>,
    hop_limit: u8,
    /// That of [`poll_flush`](nal::ByteStream::poll_flush).
    pause: Option<Pause>,
}

/// The pause before looking again; each is longer than the one before.
#[derive(Debug)]
struct Pause {
    length: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Pause {
    fn new() -> Self {
        Self { length: LOOK_AGAIN, sleep: Box::pin(sleep(LOOK_AGAIN)) }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(cx));
        self.length = (self.length * 2).min(LOOK_AGAIN_AT_MOST);
        self.sleep.as_mut().reset(Instant::now() + self.length);
        Poll::Ready(())
    }
}

impl Connection {
    fn new(stream: TcpStream, config: &super::HostConfig) -> Result<Self, Error> {
        let connection = Self {
            local: unmapped(stream.local_addr().map_err(error)?),
            peer: unmapped(stream.peer_addr().map_err(error)?),
            stream: Some(stream),
            failed: Cell::new(None),
            finished: Cell::new(false),
            hop_limit: HOP_LIMIT,
            pause: None,
        };
        connection.set_timeout(config.timeout);
        Ok(connection)
    }

    fn stream(&self) -> Result<&TcpStream, Error> {
        self.stream.as_ref().ok_or(Error::Aborted)
    }

    fn failed(&self) -> Result<(), Error> {
        self.failed.get().map_or(Ok(()), Err)
    }

    fn fail(&self, cause: io::Error) -> Error {
        let cause = match error(cause) {
            // Writing after the kernel has reported a reset, or sooner than it could.
            Error::Closed | Error::NotConnected if self.finished.get() => return Error::Closed,
            Error::Closed | Error::NotConnected => Error::Reset,
            other => other,
        };
        self.failed.set(self.failed.get().or(Some(cause)));
        cause
    }

    /// Whether `what` is possible at once, or an error is waiting, which poll(2) tells without taking it.
    fn polled(&self, what: PollFlags) -> Result<bool, Error> {
        let mut fds = [PollFd::new(self.stream()?.as_fd(), what)];
        Ok(poll(&mut fds, PollTimeout::ZERO).map_err(|e| error(e.into()))? > 0)
    }

    /// Whether `what` is possible at once; if not, clears what the runtime believes of it, so that it waits for news.
    fn checked(&self, interest: Interest, what: PollFlags) -> Result<bool, Error> {
        let check = || match self.polled(what) {
            Ok(true) | Err(_) => Ok(()),
            Ok(false) => Err(ErrorKind::WouldBlock.into()),
        };
        if self.failed.get().is_some() {
            return Ok(true);
        }
        match self.stream()?.try_io(interest, check) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(e) => Err(self.fail(e)),
        }
    }

    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.checked(Interest::READABLE, PollFlags::POLLIN)? {
            ready!(self.stream()?.poll_read_ready(cx)).map_err(|e| self.fail(e))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.checked(Interest::WRITABLE, PollFlags::POLLOUT)? {
            ready!(self.stream()?.poll_write_ready(cx)).map_err(|e| self.fail(e))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        let stream = self.stream()?;
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match stream.try_read(buffer) {
                // What had arrived before the connection failed is read first; then the failure is told, not an end.
                Ok(0) => return Poll::Ready(self.failed().map(|()| 0)),
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    if let Some(failure) = self.failed.get() {
                        // The runtime may not have been told yet of what came just before the failure.
                        return match recv(stream.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT) {
                            Ok(n @ 1..) => Poll::Ready(Ok(n)),
                            _ => Poll::Ready(Err(failure)),
                        };
                    }
                    ready!(stream.poll_read_ready(cx)).map_err(|e| self.fail(e))?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(self.fail(e))),
            }
        }
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        let stream = self.stream()?;
        loop {
            self.failed()?;
            if self.finished.get() {
                return Poll::Ready(Err(Error::Closed));
            }
            if data.is_empty() {
                return Poll::Ready(Ok(0));
            }
            match stream.try_write(data) {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    ready!(stream.poll_write_ready(cx)).map_err(|e| self.fail(e))?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(self.fail(e))),
            }
        }
    }

    /// Bytes in the send queue; a FIN counts as one.
    fn queued(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| ioctl::queued(stream.as_raw_fd()))
    }

    fn unacknowledged(&self) -> usize {
        self.queued().saturating_sub(usize::from(self.finished.get()))
    }

    /// Ready when no more than `limit` bytes are in the send queue.
    fn poll_queued(&self, cx: &mut Context<'_>, pause: &mut Option<Pause>, limit: usize) -> Poll<Result<(), Error>> {
        loop {
            if let Some(e) = self.stream()?.take_error().map_err(error)? {
                self.fail(e);
            }
            self.failed()?;
            if self.queued() <= limit {
                *pause = None;
                return Poll::Ready(Ok(()));
            }
            ready!(pause.get_or_insert_with(Pause::new).poll(cx));
        }
    }

    async fn flush(&self) -> Result<(), Error> {
        let mut pause = None;
        poll_fn(|cx| self.poll_queued(cx, &mut pause, 0)).await
    }

    async fn acknowledged(&self, limit: usize) -> Result<(), Error> {
        let mut pause = None;
        let limit = limit.saturating_add(usize::from(self.finished.get()));
        poll_fn(|cx| self.poll_queued(cx, &mut pause, limit)).await
    }

    fn finish(&self) -> Result<(), Error> {
        let stream = self.stream()?;
        self.failed()?;
        if self.finished.get() {
            return Ok(());
        }
        SockRef::from(stream).shutdown(std::net::Shutdown::Write).map_err(|e| self.fail(e))?;
        self.finished.set(true);
        Ok(())
    }

    /// Options that fail on a connection that has ended have nothing left to act on.
    fn option(&self, set: impl FnOnce(&Socket) -> io::Result<()>) {
        if let Some(stream) = &self.stream
            && let Err(e) = set(&SockRef::from(stream))
        {
            log::debug!("option of the connection to {}: {e}", self.peer);
        }
    }

    fn set_timeout(&self, timeout: Option<Duration>) {
        // 0 stands for the kernel's own; the option counts in milliseconds, 32 bits.
        let longest = Duration::from_millis(i32::MAX as u64);
        self.option(|s| s.set_tcp_user_timeout(timeout.map(|t| t.clamp(Duration::from_millis(1), longest))));
    }
}

impl Drop for Connection {
    /// Closing with unread data makes the kernel send a RST, which can destroy what the peer has not read yet. So
    /// what has come is read; what comes later is answered with a RST, as it should be (RFC 9293 section 3.10.7.1).
    fn drop(&mut self) {
        let Some(stream) = &self.stream else { return };
        let mut discarded = [0; 4096];
        for _ in 0..256 {
            if !matches!(recv(stream.as_raw_fd(), &mut discarded, MsgFlags::MSG_DONTWAIT), Ok(1..)) {
                break;
            }
        }
    }
}

impl TcpSocket {
    /// A connection that has been accepted.
    ///
    /// # Errors
    /// Its peer has gone already.
    pub(super) fn accepted(stream: TcpStream, config: &super::HostConfig) -> Result<Self, Error> {
        Connection::new(stream, config).map(Self)
    }
}

#[cfg(test)]
impl TcpSocket {
    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(self.0.stream.as_ref().unwrap())
    }
}

impl HostNet {
    pub(super) async fn connected(&self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket, Error> {
        check_remote(remote)?;
        let mut local = self.narrowed(unspecified_like(remote));
        local.set_port(options.local_port);
        let socket = self.socket(remote, Type::STREAM)?;
        set_hop_limit(&socket, remote.is_ipv6(), options.hop_limit)?;
        if !local.ip().is_unspecified() || local.port() != 0 {
            socket.bind(&local.into()).map_err(error)?;
        }
        let connecting = tokio::net::TcpSocket::from_std_stream(socket.into()).connect(remote);
        let patience = options.timeout.map_or(self.0.config.connect_timeout, |t| Duration::from_micros(t.as_micros()));
        let stream = timeout(patience, connecting).await.map_err(|_| Error::TimedOut)?;
        let stream = stream.map_err(|e| match error(e) {
            // No own address of that IP version to come from.
            Error::AddressNotAvailable if local.ip().is_unspecified() => Error::Unreachable,
            other => other,
        })?;
        let mut connection = Connection::new(stream, &self.0.config)?;
        connection.hop_limit = options.hop_limit;
        Ok(TcpSocket(connection))
    }
}

impl TcpConnect for HostNet {
    type Error = Error;
    type Connection<'a> = TcpSocket;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpSocket, Error> {
        self.connected(remote, ConnectOptions::new()).await
    }
}

macro_rules! reading {
    ($type:ty) => {
        impl Read for $type {
            async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
                poll_fn(|cx| self.0.poll_read(cx, buffer)).await
            }
        }

        impl ReadReady for $type {
            fn read_ready(&mut self) -> Result<bool, Error> {
                self.0.polled(PollFlags::POLLIN)
            }
        }

        impl nal::TcpRead for $type {
            async fn readable(&mut self) -> Result<(), Error> {
                poll_fn(|cx| self.0.poll_readable(cx)).await
            }
        }
    };
}

macro_rules! writing {
    ($type:ty) => {
        impl Write for $type {
            async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
                poll_fn(|cx| self.0.poll_write(cx, data)).await
            }

            async fn flush(&mut self) -> Result<(), Error> {
                self.0.flush().await
            }
        }

        impl WriteReady for $type {
            fn write_ready(&mut self) -> Result<bool, Error> {
                self.0.polled(PollFlags::POLLOUT)
            }
        }

        impl nal::TcpWrite for $type {
            async fn writable(&mut self) -> Result<(), Error> {
                poll_fn(|cx| self.0.poll_writable(cx)).await
            }

            fn unacknowledged(&self) -> usize {
                self.0.unacknowledged()
            }

            async fn acknowledged(&mut self, limit: usize) -> Result<(), Error> {
                self.0.acknowledged(limit).await
            }

            async fn finish(&mut self) -> Result<(), Error> {
                self.0.finish()
            }
        }
    };
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

reading!(TcpSocket);
reading!(TcpReader<'_>);
writing!(TcpSocket);
writing!(TcpWriter<'_>);

impl nal::ByteStream for TcpSocket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        self.0.poll_read(cx, buffer)
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.0.poll_readable(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        self.0.poll_write(cx, data)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut pause = self.0.pause.take();
        let result = self.0.poll_queued(cx, &mut pause, 0);
        self.0.pause = pause;
        result
    }

    fn poll_finish(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(self.0.finish())
    }

    fn reset(&mut self) {
        nal::TcpSocket::abort(self);
    }
}

impl nal::TcpSocket for TcpSocket {
    type Reader<'a> = TcpReader<'a>;
    type Writer<'a> = TcpWriter<'a>;

    fn split(&mut self) -> (TcpReader<'_>, TcpWriter<'_>) {
        (TcpReader(&self.0), TcpWriter(&self.0))
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.0.peer
    }

    fn abort(&mut self) {
        // Closing with a linger time of zero is how a RST is asked for.
        self.0.option(|s| s.set_linger(Some(Duration::ZERO)));
        self.0.stream = None;
        self.0.failed.set(Some(Error::Aborted));
    }

    fn set_no_delay(&mut self, no_delay: bool) {
        self.0.option(|s| s.set_tcp_nodelay(no_delay));
    }

    fn set_keep_alive(&mut self, interval: Option<net_core::time::Duration>) {
        self.0.option(|s| match interval {
            Some(interval) => {
                // Whole seconds, at most what the kernel takes.
                let seconds = Duration::from_secs(interval.as_micros().div_ceil(1_000_000).clamp(1, 32_767));
                // As many probes as there can be, since the user timeout is what decides.
                let probes = TcpKeepalive::new().with_time(seconds).with_interval(seconds).with_retries(127);
                s.set_tcp_keepalive(&probes)
            }
            None => s.set_keepalive(false),
        });
    }

    fn set_timeout(&mut self, timeout: Option<net_core::time::Duration>) {
        self.0.set_timeout(timeout.map(|t| Duration::from_micros(t.as_micros())));
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        let stream = self.0.stream()?;
        let v6 = stream.local_addr().map_err(error)?.is_ipv6();
        set_hop_limit(&SockRef::from(stream), v6, hop_limit)?;
        self.0.hop_limit = hop_limit;
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.0.hop_limit
    }
}
