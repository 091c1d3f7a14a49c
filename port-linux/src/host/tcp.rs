//! TCP connections and listeners.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use net_core::Error;
use net_core::nal::{self, ConnectOptions, ErrorType, Read, ReadReady, TcpConnect, TcpStack, Write, WriteReady};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use socket2::{SockRef, Socket, TcpKeepalive, Type};
use tokio::io::Interest;
use tokio::net::{TcpListener as TokioListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::{HOP_LIMIT, HostNet, check_remote, error, set_hop_limit, unmapped, unspecified_like};

/// How often [`acknowledged`](nal::TcpWrite::acknowledged) looks again: the kernel does not tell when the peer has
/// acknowledged.
const LOOK_AGAIN: Duration = Duration::from_millis(1);
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_millis(20);
/// How long accepting waits when the process has no file descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

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

    async fn ready(&self, interest: Interest, what: PollFlags) -> Result<(), Error> {
        let check = || match self.polled(what) {
            Ok(true) | Err(_) => Ok(()),
            Ok(false) => Err(ErrorKind::WouldBlock.into()),
        };
        if self.failed.get().is_some() {
            return Ok(());
        }
        self.stream()?.async_io(interest, check).await.map_err(|e| self.fail(e))
    }

    async fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let stream = self.stream()?;
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match stream.try_read(buffer) {
                // What had arrived before the connection failed is read first; then the failure is told, not an end.
                Ok(0) => return self.failed().map(|()| 0),
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.failed()?;
                    stream.readable().await.map_err(|e| self.fail(e))?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fail(e)),
            }
        }
    }

    async fn write(&self, data: &[u8]) -> Result<usize, Error> {
        let stream = self.stream()?;
        loop {
            self.failed()?;
            if self.finished.get() {
                return Err(Error::Closed);
            }
            if data.is_empty() {
                return Ok(0);
            }
            match stream.try_write(data) {
                Ok(n) => return Ok(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    stream.writable().await.map_err(|e| self.fail(e))?;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.fail(e)),
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

    async fn until(&self, done: impl Fn() -> bool) -> Result<(), Error> {
        let mut pause = LOOK_AGAIN;
        loop {
            if let Some(e) = self.stream()?.take_error().map_err(error)? {
                self.fail(e);
            }
            self.failed()?;
            if done() {
                return Ok(());
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_AT_MOST);
        }
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

#[cfg(test)]
impl TcpSocket {
    pub(super) fn options(&self) -> SockRef<'_> {
        SockRef::from(self.0.stream.as_ref().unwrap())
    }
}

impl HostNet {
    async fn connected(&self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket, Error> {
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

impl TcpStack for HostNet {
    type Socket = TcpSocket;
    type Listener = TcpListener;

    async fn connect_with(&self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket, Error> {
        self.connected(remote, options).await
    }

    async fn listen(&self, local: SocketAddr, backlog: usize) -> Result<TcpListener, Error> {
        if backlog == 0 {
            return Err(Error::InvalidInput);
        }
        let local = self.narrowed(local);
        let socket = self.socket(local, Type::STREAM)?;
        // For a port whose former connections are still in TIME-WAIT. Linux lets no two listeners share by it.
        socket.set_reuse_address(true).map_err(error)?;
        socket.bind(&local.into()).map_err(error)?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(error)?;
        let listener = TokioListener::from_std(socket.into()).map_err(error)?;
        let local = listener.local_addr().map_err(error)?;
        Ok(TcpListener { listener, local, net: self.clone() })
    }
}

impl TcpConnect for HostNet {
    type Error = Error;
    type Connection<'a> = TcpSocket;

    async fn connect(&self, remote: SocketAddr) -> Result<TcpSocket, Error> {
        self.connected(remote, ConnectOptions::new()).await
    }
}

/// A listening TCP port of the computer.
#[derive(Debug)]
pub struct TcpListener {
    listener: TokioListener,
    local: SocketAddr,
    net: HostNet,
}

impl nal::TcpListener for TcpListener {
    type Socket = TcpSocket;

    async fn accept(&mut self) -> Result<TcpSocket, Error> {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match Connection::new(stream, &self.net.0.config) {
                    Ok(connection) => return Ok(TcpSocket(connection)),
                    // Its peer has gone already.
                    Err(e) => log::debug!("connection lost before it was accepted: {e}"),
                },
                Err(e) => match error(e) {
                    Error::NoFreeSocket => sleep(NO_DESCRIPTOR).await,
                    Error::InvalidInput | Error::Closed => return Err(Error::Closed),
                    e => log::debug!("connection lost before it was accepted: {e}"),
                },
            }
        }
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

macro_rules! reading {
    ($type:ty) => {
        impl Read for $type {
            async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
                self.0.read(buffer).await
            }
        }

        impl ReadReady for $type {
            fn read_ready(&mut self) -> Result<bool, Error> {
                self.0.polled(PollFlags::POLLIN)
            }
        }

        impl nal::TcpRead for $type {
            async fn readable(&mut self) -> Result<(), Error> {
                self.0.ready(Interest::READABLE, PollFlags::POLLIN).await
            }
        }
    };
}

macro_rules! writing {
    ($type:ty) => {
        impl Write for $type {
            async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
                self.0.write(data).await
            }

            async fn flush(&mut self) -> Result<(), Error> {
                self.0.until(|| self.0.queued() == 0).await
            }
        }

        impl WriteReady for $type {
            fn write_ready(&mut self) -> Result<bool, Error> {
                self.0.polled(PollFlags::POLLOUT)
            }
        }

        impl nal::TcpWrite for $type {
            async fn writable(&mut self) -> Result<(), Error> {
                self.0.ready(Interest::WRITABLE, PollFlags::POLLOUT).await
            }

            fn unacknowledged(&self) -> usize {
                self.0.unacknowledged()
            }

            async fn acknowledged(&mut self, limit: usize) -> Result<(), Error> {
                self.0.until(|| self.0.unacknowledged() <= limit).await
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
