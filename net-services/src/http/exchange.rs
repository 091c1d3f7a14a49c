//! What a request and its response share while a handler runs: the connection, and how far both have come.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::ops::Deref;
use core::task::{Context, Poll};

use net_core::nal::ByteStream;
use net_core::time::{Duration, Instant, bounded, with_timeout};

use super::body::Decoder;
use super::head::Head;
use super::server::Shared;
use super::{Config, Error, Framing, Method, Status};

/// How long is waited for a peer: never longer than `patience` at a time, and on average as long as its bytes are worth.
///
/// Only the time spent waiting counts, not the time a handler takes for itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    /// How long the next wait may last.
    pub(super) fn allowance(&self, patience: Duration, minimum_rate: u32) -> Duration {
        let patience = bounded(patience);
        if minimum_rate == 0 {
            return patience;
        }
        let earned = Duration::from_millis(self.bytes.saturating_mul(1000) / u64::from(minimum_rate));
        let left = patience + bounded(earned);
        patience.min(left.checked_sub(self.waited).unwrap_or(Duration::MIN))
    }

    pub(super) fn waited(&mut self, span: Duration, bytes: usize) {
        self.waited = bounded(self.waited + span);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// How far the body of the request has come. Its bytes are in a window of the connection's buffer:
/// `start..ready` is content that has not been taken, `raw..end` is what has been received behind it and not been
/// looked at.
#[derive(Debug, Clone)]
pub(super) struct Incoming {
    pub(super) start: usize,
    pub(super) ready: usize,
    pub(super) raw: usize,
    pub(super) end: usize,
    pub(super) decoder: Decoder,
    pub(super) framing: Framing,
    /// Content bytes so far, taken or not.
    pub(super) content: u64,
    pub(super) limit: u64,
    /// All of it has been received.
    pub(super) ended: bool,
    /// The client waits to be told that its body is wanted.
    pub(super) awaits_continue: bool,
    pub(super) pace: Pace,
}

impl Incoming {
    /// A body of which the first `received` bytes are in the window, perhaps with what comes behind it.
    pub(super) fn new(framing: Framing, received: usize, limit: u64, expects_continue: bool) -> Self {
        Self {
            start: 0,
            ready: 0,
            raw: 0,
            end: received,
            decoder: Decoder::new(framing),
            framing,
            content: 0,
            limit,
            ended: matches!(framing, Framing::None | Framing::Length(0)),
            // H-10: not when the body is on its way already.
            awaits_continue: expects_continue
                && received == 0
                && !matches!(framing, Framing::None | Framing::Length(0)),
            pace: Pace::default(),
        }
    }

    /// Whether what is left of the body can be discarded to keep the connection.
    fn is_disposable(&self, config: &Config) -> bool {
        match self.framing {
            Framing::Length(length) => length.saturating_sub(self.content) <= config.discard,
            // How much is left of it only shows on the way.
            Framing::Chunked => true,
            Framing::None => true,
            Framing::UntilClose => false,
        }
    }
}

/// The ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// How far one request and its response have come.
pub(super) struct State {
    pub(super) ends: Ends,
    pub(super) incoming: RefCell<Incoming>,
    writing: Cell<Pace>,
    /// The connection may be used for another request, as far as is known.
    pub(super) keep_alive: Cell<bool>,
    /// The request came in HTTP/1.0 and knows no chunks.
    pub(super) is_old: bool,
    /// The request is `HEAD`.
    pub(super) is_head: bool,
    /// Something of the final response has been written: there is no way back.
    pub(super) is_begun: Cell<bool>,
    /// The response has been written to its end.
    pub(super) is_complete: Cell<bool>,
    /// The status of the response, and all that had been sent when its head had.
    pub(super) status: Cell<Status>,
    pub(super) head_sent: Cell<u64>,
    pub(super) received: Cell<u64>,
    pub(super) sent: Cell<u64>,
}

impl State {
    /// An exchange after which the connection closes.
    pub(super) fn new(ends: Ends, incoming: Incoming) -> Self {
        Self {
            ends,
            incoming: RefCell::new(incoming),
            writing: Cell::new(Pace::default()),
            keep_alive: Cell::new(false),
            is_old: false,
            is_head: false,
            is_begun: Cell::new(false),
            is_complete: Cell::new(false),
            status: Cell::new(Status::OK),
            head_sent: Cell::new(0),
            received: Cell::new(0),
            sent: Cell::new(0),
        }
    }

    /// The same for the request with this head.
    pub(super) fn of(mut self, head: &Head, keep_alive: bool) -> Self {
        self.keep_alive = Cell::new(keep_alive && head.keep_alive);
        (self.is_old, self.is_head) = (head.minor_version == 0, head.method == Method::Head);
        self
    }
}

/// A connection that a request and its response use at the same time.
///
/// A trait so that no more than one lifetime is seen by handlers, one that can be shortened.
pub(super) trait Wire {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>>;
    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>>;
}

impl<'s> Wire for RefCell<&mut (dyn ByteStream + 's)> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        self.borrow_mut().poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        self.borrow_mut().poll_write(cx, data)
    }
}

/// What a request and its response share: the connection and the [`State`], whose fields it has.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'c> {
    wire: &'c (dyn Wire + 'c),
    pub(super) shared: &'c Shared<'c>,
    state: &'c State,
}

impl Deref for Exchange<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        self.state
    }
}

impl<'c> Exchange<'c> {
    pub(super) fn new(wire: &'c dyn Wire, shared: &'c Shared<'c>, state: &'c State) -> Self {
        Self { wire, shared, state }
    }

    /// Waits for bytes of the request body. 0: the peer has finished.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        let (pace, config) = (self.incoming.borrow().pace, self.shared.config);
        let began = Instant::now();
        let reading = poll_fn(|cx| self.wire.poll_read(cx, buffer));
        let read = with_timeout(pace.allowance(config.body, config.minimum_rate), reading).await;
        let n = read.map_err(|_| Error::TimedOut).and_then(|read| read.map_err(Error::Io));
        let n = n.inspect_err(|_| self.keep_alive.set(false))?;
        self.incoming.borrow_mut().pace.waited(began.elapsed(), n);
        self.received.set(self.received.get() + n as u64);
        Ok(n)
    }

    /// Bytes for a protocol that has taken the connection over, and that has time limits of its own. 0: the peer has
    /// finished.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        let read = self.wire.poll_read(cx, buffer).map_err(Error::Io);
        if let Poll::Ready(Ok(n)) = read {
            self.received.set(self.received.get() + n as u64);
        }
        read
    }

    /// Writes some of it, at least one byte; none when the future is dropped.
    pub(super) async fn write(&self, data: &[u8]) -> Result<usize, Error> {
        let (mut pace, config) = (self.writing.get(), self.shared.config);
        let began = Instant::now();
        let writing = poll_fn(|cx| self.wire.poll_write(cx, data));
        let written = with_timeout(pace.allowance(config.write, config.minimum_rate), writing).await;
        let n = written.map_err(|_| Error::TimedOut).and_then(|written| written.map_err(Error::Io));
        let n = n.inspect_err(|_| self.keep_alive.set(false))?;
        pace.waited(began.elapsed(), n);
        self.writing.set(pace);
        self.sent.set(self.sent.get() + n as u64);
        Ok(n)
    }

    /// Writes all of it.
    pub(super) async fn write_all(&self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let n = self.write(data).await?;
            data = data.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Whether the connection goes on after this response, decided when its head is written.
    pub(super) fn decide_keep_alive(&self) -> bool {
        let incoming = self.incoming.borrow();
        // Whoever was not told to send its body may send it or not: what comes next cannot be known.
        let is_clear = incoming.ended || (!incoming.awaits_continue && incoming.is_disposable(self.shared.config));
        // When others wait for a place, it is better to say so than to close an idle connection a moment later.
        let keep = self.keep_alive.get() && is_clear && !self.shared.is_crowded.get();
        self.keep_alive.set(keep);
        keep
    }
}
