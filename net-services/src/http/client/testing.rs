//! A network made of scripts, for tests: servers get what the client sends, and say what they like, in pieces.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::string::String;
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use net_core::Error;
use net_core::nal::{
    AddrType, ByteStream, ConnectOptions, Dns, ErrorType, Read, ReadReady, TcpListener, TcpRead, TcpSocket, TcpStack,
    TcpWrite, Write, WriteReady,
};
use net_core::time::Duration;

/// What happens to those who connect to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Accepted,
    Fails(Error),
    Silence,
}

/// The network. Its names have the addresses that [`name`](Self::name) gave them.
#[derive(Debug, Default)]
pub(super) struct Net {
    hosts: RefCell<Vec<(String, Vec<IpAddr>)>>,
    fates: RefCell<Vec<(IpAddr, Fate)>>,
    /// Every attempt to connect, and every question for a name.
    pub(super) attempts: RefCell<Vec<SocketAddr>>,
    pub(super) questions: RefCell<Vec<String>>,
    waiting: RefCell<VecDeque<ServerEnd>>,
    acceptor: RefCell<Option<Waker>>,
    /// Bytes that a connection takes from the client before the server reads.
    pub(super) capacity: RefCell<Option<usize>>,
}

impl Net {
    pub(super) fn name(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.hosts.borrow_mut().push((host.into(), addresses));
    }

    pub(super) fn fate(&self, address: &str, fate: Fate) {
        self.fates.borrow_mut().push((address.parse().unwrap(), fate));
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> ServerEnd {
        poll_fn(|cx| match self.waiting.borrow_mut().pop_front() {
            Some(end) => Poll::Ready(end),
            None => {
                *self.acceptor.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl TcpStack for Net {
    type Socket = Socket;
    type Listener = Nobody;

    async fn listen(&self, _: SocketAddr, _: usize) -> Result<Nobody, Error> {
        Err(Error::Unsupported)
    }

    async fn connect_with(&self, remote: SocketAddr, _: ConnectOptions) -> Result<Socket, Error> {
        self.attempts.borrow_mut().push(remote);
        let fate = self.fates.borrow().iter().find(|(ip, _)| *ip == remote.ip()).map(|(_, fate)| *fate);
        match fate.unwrap_or(Fate::Accepted) {
            Fate::Accepted => {}
            Fate::Fails(error) => return Err(error),
            Fate::Silence => pending().await,
        }
        let wire =
            Rc::new(RefCell::new(Wire { room: self.capacity.borrow().unwrap_or(usize::MAX), ..Wire::default() }));
        self.waiting.borrow_mut().push_back(ServerEnd { wire: wire.clone(), read: Vec::new() });
        if let Some(waker) = self.acceptor.borrow_mut().take() {
            waker.wake();
        }
        Ok(Socket(wire))
    }
}

/// There are no listeners: tests are the servers themselves.
#[derive(Debug)]
pub(super) struct Nobody;

impl TcpListener for Nobody {
    type Socket = Socket;

    async fn accept(&mut self) -> Result<Socket, Error> {
        Err(Error::Unsupported)
    }

    async fn pending(&mut self) -> Result<(), Error> {
        Err(Error::Unsupported)
    }

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([0; 4], 0))
    }
}

/// Why a name was not resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoSuchName;

impl Dns for Net {
    type Error = NoSuchName;

    async fn get_host_by_name(&self, host: &str, version: AddrType) -> Result<IpAddr, NoSuchName> {
        self.questions.borrow_mut().push(host.into());
        let hosts = self.hosts.borrow();
        let (_, addresses) = hosts.iter().find(|(name, _)| name == host).ok_or(NoSuchName)?;
        let fits = |address: &&IpAddr| match version {
            AddrType::IPv4 => address.is_ipv4(),
            AddrType::IPv6 => address.is_ipv6(),
            AddrType::Either => true,
        };
        addresses.iter().find(fits).copied().ok_or(NoSuchName)
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, NoSuchName> {
        Err(NoSuchName)
    }
}

#[derive(Debug, Default)]
struct Wire {
    to_client: VecDeque<Vec<u8>>,
    to_server: Vec<u8>,
    writes: Vec<usize>,
    room: usize,
    finished: bool,
    failed: Option<Error>,
    client: Gone,
    reader: Option<Waker>,
    writer: Option<Waker>,
    server: Option<Waker>,
}

impl Wire {
    fn wake(&mut self) {
        for waker in [self.reader.take(), self.writer.take(), self.server.take()].into_iter().flatten() {
            waker.wake();
        }
    }
}

/// How the client's end of a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Gone {
    #[default]
    No,
    Closed,
    Reset,
}

/// A server's end of a connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct ServerEnd {
    wire: Rc<RefCell<Wire>>,
    read: Vec<u8>,
}

impl ServerEnd {
    /// The next request head, with the empty line. Empty when the client has gone.
    pub(super) async fn head(&mut self) -> String {
        let head = self.take(|sent| sent.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)).await;
        String::from_utf8(head).unwrap()
    }

    /// The next `count` bytes.
    pub(super) async fn bytes(&mut self, count: usize) -> Vec<u8> {
        self.take(|sent| (sent.len() >= count).then_some(count)).await
    }

    /// What `enough` finds in all that has come. A server that waits for more reads on; otherwise it does not read.
    async fn take(&mut self, enough: impl Fn(&[u8]) -> Option<usize>) -> Vec<u8> {
        poll_fn(|cx| {
            if let Some(count) = enough(&self.read) {
                return Poll::Ready(self.read.drain(..count).collect());
            }
            let wire = &mut *self.wire.borrow_mut();
            wire.room = wire.room.saturating_add(wire.to_server.len());
            self.read.append(&mut wire.to_server);
            if let Some(waker) = wire.writer.take() {
                waker.wake();
            }
            match enough(&self.read) {
                Some(count) => Poll::Ready(self.read.drain(..count).collect()),
                None if wire.client != Gone::No => Poll::Ready(Vec::new()),
                None => {
                    wire.server = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    /// Sends a piece: the client gets it in one read, or more, but not together with another.
    pub(super) fn send(&mut self, piece: impl AsRef<[u8]>) {
        let wire = &mut *self.wire.borrow_mut();
        if !piece.as_ref().is_empty() {
            wire.to_client.push_back(piece.as_ref().to_vec());
        }
        wire.wake();
    }

    /// Closes this end.
    pub(super) fn finish(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        wire.finished = true;
        wire.wake();
    }

    /// Resets the connection; what was sent and not read is lost.
    pub(super) fn reset(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        wire.to_client.clear();
        wire.failed = Some(Error::Reset);
        wire.wake();
    }

    /// Lets the client's writes fail from now on; what was sent can still be read.
    pub(super) fn stop_reading(&mut self) {
        let wire = &mut *self.wire.borrow_mut();
        (wire.finished, wire.room) = (true, 0);
        wire.failed = Some(Error::Reset);
        wire.wake();
    }

    /// Waits until the client has let go of the connection, and tells how.
    pub(super) async fn gone(&mut self) -> Gone {
        poll_fn(|cx| {
            let wire = &mut *self.wire.borrow_mut();
            match wire.client {
                Gone::No => {
                    wire.server = Some(cx.waker().clone());
                    Poll::Pending
                }
                gone => Poll::Ready(gone),
            }
        })
        .await
    }

    /// How the client's end is now.
    pub(super) fn client(&self) -> Gone {
        self.wire.borrow().client
    }

    /// How large the client's writes were.
    pub(super) fn writes(&self) -> Vec<usize> {
        self.wire.borrow().writes.clone()
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The client's end of a connection.
#[derive(Debug)]
pub(super) struct Socket(Rc<RefCell<Wire>>);

impl Drop for Socket {
    fn drop(&mut self) {
        let wire = &mut *self.0.borrow_mut();
        if wire.client == Gone::No {
            wire.client = Gone::Closed;
        }
        wire.wake();
    }
}

impl ByteStream for Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        let wire = &mut *self.0.borrow_mut();
        if let Some(piece) = wire.to_client.front_mut() {
            let count = piece.len().min(buffer.len());
            buffer[..count].copy_from_slice(&piece[..count]);
            piece.drain(..count);
            if piece.is_empty() {
                wire.to_client.pop_front();
            }
            return Poll::Ready(Ok(count));
        }
        match wire.failed {
            Some(error) => Poll::Ready(Err(error)),
            None if wire.finished => Poll::Ready(Ok(0)),
            None => {
                wire.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let wire = &mut *self.0.borrow_mut();
        if !wire.to_client.is_empty() || wire.finished || wire.failed.is_some() {
            return Poll::Ready(Ok(()));
        }
        wire.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        let wire = &mut *self.0.borrow_mut();
        if let Some(error) = wire.failed {
            return Poll::Ready(Err(error));
        }
        let count = data.len().min(wire.room);
        if count == 0 && !data.is_empty() {
            wire.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        wire.room -= count;
        wire.writes.push(count);
        wire.to_server.extend_from_slice(&data[..count]);
        if let Some(waker) = wire.server.take() {
            waker.wake();
        }
        Poll::Ready(Ok(count))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self) {
        self.abort();
    }
}

// What the client does not use, but the trait has.

impl ErrorType for Socket {
    type Error = Error;
}

impl Read for Socket {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        poll_fn(|cx| self.poll_read(cx, buffer)).await
    }
}

impl ReadReady for Socket {
    fn read_ready(&mut self) -> Result<bool, Error> {
        Ok(self.poll_readable(&mut Context::from_waker(Waker::noop())).is_ready())
    }
}

impl TcpRead for Socket {
    async fn readable(&mut self) -> Result<(), Error> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }
}

impl Write for Socket {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        poll_fn(|cx| self.poll_write(cx, data)).await
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl WriteReady for Socket {
    fn write_ready(&mut self) -> Result<bool, Error> {
        Ok(self.0.borrow().room > 0)
    }
}

impl TcpWrite for Socket {
    async fn writable(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn unacknowledged(&self) -> usize {
        0
    }

    async fn acknowledged(&mut self, _: usize) -> Result<(), Error> {
        Ok(())
    }

    async fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl TcpSocket for Socket {
    type Reader<'a> = Socket;
    type Writer<'a> = Socket;

    fn split(&mut self) -> (Socket, Socket) {
        (Socket(self.0.clone()), Socket(self.0.clone()))
    }

    fn local_addr(&self) -> SocketAddr {
        SocketAddr::from(([0; 4], 0))
    }

    fn peer_addr(&self) -> SocketAddr {
        SocketAddr::from(([0; 4], 0))
    }

    fn abort(&mut self) {
        let wire = &mut *self.0.borrow_mut();
        wire.client = Gone::Reset;
        wire.failed = Some(Error::Aborted);
        wire.wake();
    }

    fn set_no_delay(&mut self, _: bool) {}

    fn set_keep_alive(&mut self, _: Option<Duration>) {}

    fn set_timeout(&mut self, _: Option<Duration>) {}

    fn set_hop_limit(&mut self, _: u8) -> Result<(), Error> {
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        64
    }
}
