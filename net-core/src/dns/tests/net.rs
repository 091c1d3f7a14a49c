//! A network whose DNS servers are a closure.

use core::cell::{Cell, RefCell};
use core::future::pending;
use core::net::{IpAddr, SocketAddr};
use std::boxed::Box;
use std::collections::VecDeque;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

use embassy_time::{Duration, Instant, Timer};

use super::link::{Link, LinkSocket};
use super::wire::{Message, OPT, read_name};
use crate::Error;
use crate::events::{EventLog, Status};
use crate::nal::{ConnectedUdp, ErrorType, Interface, Read, TcpConnect, UdpStack, UnconnectedUdp, Write};

/// One query, as its server sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) tcp: bool,
    pub(super) server: SocketAddr,
    /// Counts sockets: each has a number of its own.
    pub(super) socket: u32,
    pub(super) id: u16,
    /// In the case in which it was asked.
    pub(super) name: String,
    pub(super) rtype: u16,
    /// Name, type and class as on the wire.
    pub(super) question: Vec<u8>,
    /// The size that EDNS announces.
    pub(super) edns: Option<u16>,
}

impl Seen {
    fn new(bytes: &[u8], tcp: bool, server: SocketAddr, socket: u32) -> Self {
        let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!([word(2), word(4), word(6), word(8)], [0x0100, 1, 0, 0], "RD, one question, nothing else");
        let (name, rest) = read_name(&bytes[12..]);
        let (question, rest) = bytes[12..].split_at(bytes.len() - 12 - rest.len() + 4);
        let edns = match (word(10), rest) {
            (0, []) => None,
            (1, [0, t1, t0, s1, s0, 0, 0, 0, 0, 0, 0]) if [*t1, *t0] == OPT.to_be_bytes() => {
                Some(u16::from_be_bytes([*s1, *s0]))
            }
            other => panic!("after the question: {other:?}"),
        };
        let [.., t1, t0, 0, 1] = *question else { panic!("class") };
        Self {
            at: Instant::now(),
            tcp,
            server,
            socket,
            id: word(0),
            name,
            rtype: u16::from_be_bytes([t1, t0]),
            question: question.to_vec(),
            edns,
        }
    }

    /// The name in lower case.
    pub(super) fn lower(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    pub(super) fn is_server(&self, last: u8) -> bool {
        self.server.ip() == IpAddr::from([10, 0, 0, last])
    }
}

/// What a query brings about.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    after: Duration,
    /// From another address than the one asked (UDP).
    from: Option<SocketAddr>,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Message(Vec<u8>),
    /// Over TCP, without a length before them.
    Bytes(Vec<u8>),
    Close,
    Fail(Error),
}

impl Reply {
    fn new(what: What) -> Self {
        Self { after: Duration::from_millis(10), from: None, what }
    }

    pub(super) fn bytes(bytes: Vec<u8>) -> Self {
        Self::new(What::Message(bytes))
    }

    pub(super) fn stream(bytes: Vec<u8>) -> Self {
        Self::new(What::Bytes(bytes))
    }

    pub(super) fn close() -> Self {
        Self::new(What::Close)
    }

    pub(super) fn fail(error: Error) -> Self {
        Self::new(What::Fail(error))
    }

    pub(super) fn after(mut self, millis: u64) -> Self {
        self.after = Duration::from_millis(millis);
        self
    }

    pub(super) fn spoofed(mut self, from: &str) -> Self {
        self.from = Some(from.parse().unwrap());
        self
    }
}

impl From<Message> for Reply {
    fn from(message: Message) -> Self {
        Self::bytes(message.bytes())
    }
}

type Script = Box<dyn FnMut(&Seen) -> Vec<Reply>>;

pub(super) struct Inner {
    script: RefCell<Script>,
    pub(super) seen: RefCell<Vec<Seen>>,
    pub(super) status: RefCell<Status>,
    events: EventLog,
    sockets: Cell<u32>,
    /// Sockets that exist now.
    pub(super) open: Cell<u32>,
    /// What making a UDP socket fails with.
    pub(super) udp_error: Cell<Option<Error>>,
    /// What connecting fails with; `TimedOut` never comes to an end.
    pub(super) tcp_error: Cell<Option<Error>>,
    pub(super) link: Link,
    /// What a TCP server on another port than 53 says to whoever sends an empty line.
    pub(super) http: Cell<&'static str>,
}

#[derive(Clone)]
pub(super) struct Net(Rc<Inner>);

impl core::ops::Deref for Net {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Net {
    pub(super) fn new(script: impl FnMut(&Seen) -> Vec<Reply> + 'static) -> Self {
        Self(Rc::new(Inner {
            script: RefCell::new(Box::new(script)),
            seen: RefCell::default(),
            status: RefCell::default(),
            events: EventLog::new(),
            sockets: Cell::new(0),
            open: Cell::new(0),
            udp_error: Cell::new(None),
            tcp_error: Cell::new(None),
            link: Link::default(),
            http: Cell::new(""),
        }))
    }

    pub(super) fn queries(&self) -> usize {
        self.seen.borrow().len()
    }

    /// `f` of each query so far.
    pub(super) fn each<T>(&self, f: impl Fn(&Seen) -> T) -> Vec<T> {
        self.seen.borrow().iter().map(f).collect()
    }

    fn ask(&self, bytes: &[u8], tcp: bool, server: SocketAddr, socket: u32) -> Vec<(Instant, Reply)> {
        let seen = Seen::new(bytes, tcp, server, socket);
        self.seen.borrow_mut().push(seen.clone());
        let replies = (self.script.borrow_mut())(&seen);
        replies.into_iter().map(|reply| (Instant::now() + reply.after, reply)).collect()
    }

    fn socket(&self, remote: SocketAddr) -> Socket {
        self.sockets.set(self.sockets.get() + 1);
        self.open.set(self.open.get() + 1);
        Socket(Box::new(SocketState {
            net: self.clone(),
            remote,
            number: self.sockets.get(),
            due: Vec::new(),
            outgoing: Vec::new(),
            incoming: VecDeque::new(),
        }))
    }
}

impl Interface for Net {
    fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    fn events(&self) -> &EventLog {
        &self.events
    }
}

/// A connected UDP socket, or a TCP connection: a handle, as that of a stack with a pool of sockets is.
pub(super) struct Socket(Box<SocketState>);

struct SocketState {
    net: Net,
    remote: SocketAddr,
    number: u32,
    due: Vec<(Instant, Reply)>,
    outgoing: Vec<u8>,
    incoming: VecDeque<u8>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.net.open.set(self.0.net.open.get() - 1);
    }
}

impl Socket {
    /// Waits for what is due next.
    async fn next(&mut self) -> What {
        loop {
            let earliest = (0..self.0.due.len()).min_by_key(|&i| self.0.due[i].0);
            let Some(earliest) = earliest else { return pending().await };
            Timer::at(self.0.due[earliest].0).await;
            let (_, reply) = self.0.due.remove(earliest);
            // A connected socket receives from its peer alone.
            if reply.from.is_none_or(|from| from == self.0.remote) {
                return reply.what;
            }
        }
    }
}

impl ConnectedUdp for Socket {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        let replies = self.0.net.ask(data, false, self.0.remote, self.0.number);
        self.0.due.extend(replies);
        Ok(())
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self.next().await {
            What::Message(bytes) | What::Bytes(bytes) => {
                let kept = bytes.len().min(buffer.len());
                buffer[..kept].copy_from_slice(&bytes[..kept]);
                Ok(bytes.len())
            }
            What::Close => Err(Error::Refused),
            What::Fail(error) => Err(error),
        }
    }
}

impl ErrorType for Socket {
    type Error = Error;
}

impl Read for Socket {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        while self.0.incoming.is_empty() {
            match self.next().await {
                What::Message(bytes) => {
                    self.0.incoming.extend((bytes.len() as u16).to_be_bytes());
                    self.0.incoming.extend(bytes);
                }
                What::Bytes(bytes) => self.0.incoming.extend(bytes),
                What::Close => return Ok(0),
                What::Fail(error) => return Err(error),
            }
        }
        // In pieces, as segments may come.
        let count = self.0.incoming.len().min(buffer.len()).min(700);
        for place in &mut buffer[..count] {
            *place = self.0.incoming.pop_front().unwrap();
        }
        Ok(count)
    }
}

impl Write for Socket {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        let data = &data[..data.len().min(20)];
        self.0.outgoing.extend_from_slice(data);
        if self.0.remote.port() != 53 {
            if self.0.outgoing.ends_with(b"\r\n\r\n") {
                self.0.due.push((Instant::now(), Reply::stream(self.0.net.http.get().into())));
                self.0.due.push((Instant::now() + Duration::from_millis(1), Reply::close()));
            }
        } else if let Some((length, message)) = self.0.outgoing.split_first_chunk()
            && message.len() == usize::from(u16::from_be_bytes(*length))
        {
            let replies = self.0.net.ask(message, true, self.0.remote, self.0.number);
            self.0.due.extend(replies);
        }
        Ok(data.len())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

impl TcpConnect for Net {
    type Error = Error;
    type Connection<'a> = Socket;

    async fn connect(&self, remote: SocketAddr) -> Result<Socket, Error> {
        match self.tcp_error.get() {
            Some(Error::TimedOut) => pending().await,
            Some(error) => Err(error),
            None => Ok(self.socket(remote)),
        }
    }
}

impl UdpStack for Net {
    type Error = Error;
    type Connected = Socket;
    type UniquelyBound = Unused;
    type MultiplyBound = LinkSocket;

    async fn connect_from(&self, local: SocketAddr, remote: SocketAddr) -> Result<(SocketAddr, Socket), Error> {
        assert!(local.ip().is_unspecified() && local.port() == 0, "the stack is to choose a random port");
        match self.udp_error.get() {
            Some(error) => Err(error),
            None => Ok((local, self.socket(remote))),
        }
    }

    async fn bind_single(&self, _: SocketAddr) -> Result<(SocketAddr, Unused), Error> {
        Err(Error::Unsupported)
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<LinkSocket, Error> {
        assert!(local.ip().is_unspecified() && local.port() == 0, "the stack is to choose a random port");
        match self.udp_error.get() {
            Some(error) => Err(error),
            None => Ok(LinkSocket::new(self, local)),
        }
    }
}

/// A kind of socket that the resolver does not use.
pub(super) enum Unused {}

impl UnconnectedUdp for Unused {
    type Error = Error;

    async fn send(&mut self, _: SocketAddr, _: SocketAddr, _: &[u8]) -> Result<(), Error> {
        match *self {}
    }

    async fn receive_into(&mut self, _: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        match *self {}
    }
}
