//! What a request and its response share while a handler runs: the connection, and how far both have come.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::ops::{Deref, Range};
use core::task::{Context, Poll, ready};

use net_core::nal::ByteStream;
use net_core::time::{Duration, Instant, bounded, poll_until};

use super::body::Decoder;
use super::head::{Head, Span};
use super::request::PARAMETERS;
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
        self.waited = bounded(self.waited.checked_add(span).unwrap_or(Duration::MAX));
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// What a client waits for before it sends its body (RFC 9110 section 15.2.1).
pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

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
    /// What is left to be sent of [`CONTINUE`].
    pub(super) interim: &'static [u8],
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
            interim: &[],
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
pub(super) struct State<'c> {
    pub(super) shared: &'c Shared<'c>,
    pub(super) incoming: RefCell<Incoming>,
    reading: Cell<Pace>,
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
    /// The status of the response.
    pub(super) status: Cell<Status>,
    /// Bytes of its body that have been sent; while its head has not, what that lacks, below 0.
    pub(super) body_sent: Cell<i64>,
    /// The names of the parameters of the path, and where in the head their values are.
    pub(super) parameters: RefCell<heapless::Vec<(&'static str, Span), PARAMETERS>>,
}

impl<'c> State<'c> {
    /// An exchange after which the connection closes.
    pub(super) fn new(shared: &'c Shared<'c>, incoming: Incoming) -> Self {
        Self {
            shared,
            incoming: RefCell::new(incoming),
            reading: Cell::new(Pace::default()),
            writing: Cell::new(Pace::default()),
            keep_alive: Cell::new(false),
            is_old: false,
            is_head: false,
            is_begun: Cell::new(false),
            is_complete: Cell::new(false),
            status: Cell::new(Status::OK),
            body_sent: Cell::new(0),
            parameters: RefCell::default(),
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
    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>>;
    fn reset(&self);
}

impl<S: ByteStream> Wire for RefCell<S> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        self.borrow_mut().poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        self.borrow_mut().poll_write(cx, data)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.borrow_mut().poll_finish(cx)
    }

    fn reset(&self) {
        self.borrow_mut().reset();
    }
}

/// What a request and its response share: the [`State`], whose fields it has.
///
/// What waits here polls, and keeps what it knows in the state: a future for each step would make the futures of
/// handlers several times as large.
#[derive(Clone, Copy)]
pub(super) struct Exchange<'c>(&'c State<'c>);

impl<'c> Deref for Exchange<'c> {
    type Target = State<'c>;

    fn deref(&self) -> &State<'c> {
        self.0
    }
}

impl<'c> Exchange<'c> {
    pub(super) fn new(state: &'c State<'c>) -> Self {
        Self(state)
    }

    /// Bytes of the request body, waited for since `since`, which is set anew. 0: the peer has finished.
    pub(super) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        since: &mut Instant,
        buffer: &mut [u8],
    ) -> Poll<Result<usize, Error>> {
        let read = self.shared.wire.poll_read(cx, buffer);
        let n = ready!(self.poll_in_time(cx, since, &self.reading, self.shared.config.body, read))?;
        self.shared.count_bytes(|stats| &mut stats.received, n);
        Poll::Ready(Ok(n))
    }

    /// Bytes for a protocol that has taken the connection over, and that has time limits of its own. 0: the peer has
    /// finished.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        let read = self.shared.wire.poll_read(cx, buffer).map_err(Error::Io);
        if let Poll::Ready(Ok(n)) = read {
            self.shared.count_bytes(|stats| &mut stats.received, n);
        }
        read
    }

    /// Sends some of it, at least one byte, waiting since `since`, which is set anew.
    pub(super) fn poll_send(
        &self,
        cx: &mut Context<'_>,
        since: &mut Instant,
        data: &[u8],
    ) -> Poll<Result<usize, Error>> {
        let written = self.shared.wire.poll_write(cx, data);
        let n = ready!(self.poll_in_time(cx, since, &self.writing, self.shared.config.write, written))?;
        self.shared.count_bytes(|stats| &mut stats.sent, n);
        self.body_sent.set(self.body_sent.get().saturating_add(n as i64));
        Poll::Ready(Ok(n))
    }

    /// Writes some of it, at least one byte; none when the future is dropped.
    pub(super) async fn write(&self, data: &[u8]) -> Result<usize, Error> {
        let mut since = Instant::now();
        poll_fn(|cx| self.poll_send(cx, &mut since, data)).await
    }

    /// Writes all of it.
    pub(super) async fn write_all(&self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let n = self.write(data).await?;
            data = data.get(n..).unwrap_or_default();
        }
        Ok(())
    }

    /// Ready with what has come of an attempt to read or write; or with an error, when that has been waited for since
    /// `since` and the client's pace allows no more.
    fn poll_in_time(
        &self,
        cx: &mut Context<'_>,
        since: &mut Instant,
        pace: &Cell<Pace>,
        patience: Duration,
        attempt: Poll<Result<usize, net_core::Error>>,
    ) -> Poll<Result<usize, Error>> {
        let (mut so_far, now) = (pace.get(), Instant::now());
        let result = match attempt {
            Poll::Ready(result) => result.map_err(Error::Io),
            Poll::Pending => {
                ready!(poll_until(later(*since, so_far.allowance(patience, self.shared.config.minimum_rate)), cx));
                Err(Error::TimedOut)
            }
        };
        match result {
            Ok(n) => {
                so_far.waited(now.saturating_duration_since(*since), n);
                pace.set(so_far);
                *since = now;
            }
            Err(_) => self.keep_alive.set(false),
        }
        Poll::Ready(result)
    }

    /// Whether the connection goes on after this response, decided when its head is written.
    pub(super) fn decide_keep_alive(&self) -> bool {
        let incoming = self.incoming.borrow();
        // Whoever was not told to send its body may send it or not: what comes next cannot be known.
        let is_asked = !incoming.awaits_continue && incoming.interim.is_empty();
        let is_clear = incoming.ended || (is_asked && incoming.is_disposable(self.shared.config));
        // When others wait for a place, it is better to say so than to close an idle connection a moment later.
        let keep = self.keep_alive.get() && is_clear && !self.shared.is_crowded.get();
        self.keep_alive.set(keep);
        keep
    }
}

/// Moves bytes within a buffer. What does not lie in it is not moved.
#[inline(never)]
pub(super) fn slide(buffer: &mut [u8], from: Range<usize>, to: usize) {
    if from.start <= from.end && from.end <= buffer.len() && to <= buffer.len() - (from.end - from.start) {
        buffer.copy_within(from, to);
    }
}

/// The moment so long after another.
pub(super) fn later(since: Instant, span: Duration) -> Instant {
    since.checked_add(span).unwrap_or(Instant::MAX)
}
