//! A request, as a handler sees it.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::str::FromStr;
use core::task::{Context, Poll, ready};

use net_core::time::{Instant, UnixTime};

use super::body::Step;
use super::exchange::{CONTINUE, Exchange, slide};
use super::head::{Head, Span};
use super::{Error, Field, Fields, Framing, Method, Pairs};

/// Parameters that one path can have.
pub(super) const PARAMETERS: usize = 6;

/// Names and values of the parameters of a path.
pub(super) type Parameters<'c> = heapless::Vec<(&'static str, &'c str), PARAMETERS>;

/// A request whose head has been received and found to be right. Its body is still to be read from
/// [`body`](Self::body).
///
/// What it gives out lives as long as the request, not only as long as the borrow: a handler can hold a path while it
/// reads the body.
pub struct Request<'c> {
    head: &'c Head,
    bytes: &'c [u8],
    /// The content of the request.
    pub body: Body<'c>,
}

impl<'c> Request<'c> {
    /// `bytes` is the head, `window` the room behind it.
    pub(super) fn new(exchange: Exchange<'c>, head: &'c Head, bytes: &'c [u8], window: &'c mut [u8]) -> Self {
        Self { head, bytes, body: Body { exchange, window } }
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.head.method
    }

    /// The path, percent-decoded once and with its dot segments removed (RFC 3986 section 5.2.4). It begins with `/`
    /// and holds no control characters; for `OPTIONS *` it is `*`. An escaped slash has become a slash.
    pub fn path(&self) -> &'c str {
        self.head.path(self.bytes)
    }

    /// The query as it was sent, without its `?`; `None` if there is no `?`.
    pub fn query(&self) -> Option<&'c str> {
        self.head.query(self.bytes)
    }

    /// The names and values of the query, in order.
    pub fn query_pairs(&self) -> Pairs<'c> {
        Pairs::new(self.query().unwrap_or_default().as_bytes())
    }

    /// The first value of that name in the query.
    pub fn query_field(&self, name: &str) -> Option<Field<'c>> {
        self.query_pairs().get(name)
    }

    /// The value of the first header field of that name, whatever the case of its letters. A value that is not UTF-8 is
    /// not given: see [`headers`](Self::headers).
    pub fn header(&self, name: &str) -> Option<&'c str> {
        self.headers().get(name)
    }

    /// The header fields, in order.
    pub fn headers(&self) -> Fields<'c> {
        self.head.fields(self.bytes)
    }

    /// The host, and the port if one was sent, that the client wanted (RFC 9110 section 7.2); empty in HTTP/1.0 without
    /// a `Host` field.
    pub fn host(&self) -> &'c str {
        self.head.host(self.bytes)
    }

    /// Whether the request came as HTTP/1.0.
    pub fn is_http10(&self) -> bool {
        self.head.minor_version == 0
    }

    /// The part of the path that stood where the [route](super::Route) has `{name}` or `{*name}`.
    pub fn param(&self, name: &str) -> Option<&'c str> {
        let parameters = self.body.exchange.parameters.borrow();
        parameters.iter().find(|(n, _)| *n == name).map(|(_, value)| value.text(self.bytes))
    }

    /// The same, parsed.
    ///
    /// # Errors
    /// [`Error::BadRequest`] when it cannot be parsed, and when the route has no such parameter.
    pub fn parse_param<T: FromStr>(&self, name: &str) -> Result<T, Error> {
        let value = self.param(name).ok_or(Error::BadRequest("the path has no such parameter"))?;
        value.parse().map_err(|_| Error::BadRequest("a parameter of the path is not what it should be"))
    }

    /// The time of day, as it will stand in the `Date` of the response; `None` if nobody knows it.
    pub fn now(&self) -> Option<UnixTime> {
        self.body.exchange.shared.clock.and_then(|clock| clock.now())
    }

    pub(super) fn set_parameters(&mut self, parameters: &Parameters<'c>) {
        let mut places = self.body.exchange.parameters.borrow_mut();
        places.clear();
        for (name, value) in parameters {
            let _ = places.push((*name, Span::of(value.as_bytes(), self.bytes)));
        }
    }

    /// The client's address and port.
    pub fn peer(&self) -> SocketAddr {
        self.body.exchange.shared.ends.peer
    }

    /// This end's address and port.
    pub fn local(&self) -> SocketAddr {
        self.body.exchange.shared.ends.local
    }
}

impl core::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} {} from {}", self.method(), self.path(), self.peer())
    }
}

/// The content of a request, read as it arrives.
///
/// It is read through what the connection's buffer has left behind the head, 128 bytes at least. What a handler does not
/// read is discarded afterwards; if it is more than [`Config::discard`](super::Config::discard), the connection is
/// closed. Futures that read may be dropped at any time: nothing is lost.
pub struct Body<'c> {
    pub(super) exchange: Exchange<'c>,
    pub(super) window: &'c mut [u8],
}

impl Body<'_> {
    /// Its length in bytes where the client has told it; `Some(0)` where there is no body, `None` for one in chunks.
    pub fn length(&self) -> Option<u64> {
        match self.exchange.incoming.borrow().framing {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }

    /// Takes a body of up to `bytes` bytes instead of [`Config::body_limit`](super::Config::body_limit).
    /// May also be called after [`Error::BodyTooLarge`], to go on after all; the connection is not kept then.
    pub fn limit(&mut self, bytes: u64) {
        self.exchange.incoming.borrow_mut().limit = bytes;
    }

    /// What has been received and not been [consumed](Self::consume); waits for more if that is nothing. Empty at the
    /// end of the body.
    ///
    /// The first call answers `Expect: 100-continue`.
    ///
    /// # Errors
    /// - [`Error::BodyTooLarge`] beyond the limit, [`Error::BadRequest`] for wrong chunks.
    /// - [`Error::BodyIncomplete`] when the client stops before the end, [`Error::TimedOut`] when it is too slow.
    /// - [`Error::Io`] when the connection fails.
    pub async fn fill_buf(&mut self) -> Result<&[u8], Error> {
        if self.buffered().is_empty() {
            self.fill().await?;
        }
        Ok(self.buffered())
    }

    /// What has been received and not been consumed, with at least one byte more of it than before, or the same at the
    /// end of the body. For parsers that need a piece whole.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf), and [`Error::BufferTooSmall`] when there is no room for more.
    pub async fn fill_more(&mut self) -> Result<&[u8], Error> {
        self.fill().await?;
        Ok(self.buffered())
    }

    /// What has been received and not been [consumed](Self::consume): what can be had without waiting.
    pub fn buffered(&self) -> &[u8] {
        let incoming = self.exchange.incoming.borrow();
        self.window.get(incoming.start..incoming.ready).unwrap_or_default()
    }

    /// Whether the end of the body has been seen; some of it may still be [buffered](Self::buffered).
    pub fn is_ended(&self) -> bool {
        self.exchange.incoming.borrow().ended
    }

    /// Takes `n` bytes off what [`fill_buf`](Self::fill_buf) gave, at most all of it.
    pub fn consume(&mut self, n: usize) {
        let mut incoming = self.exchange.incoming.borrow_mut();
        incoming.start = incoming.start.saturating_add(n).min(incoming.ready);
    }

    /// Reads some of it into `buffer` and gives how many bytes: 0 at its end, and for an empty buffer.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf).
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let data = self.fill_buf().await?;
        let n = data.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..n), data.get(..n)) {
            to.copy_from_slice(from);
        }
        self.consume(n);
        Ok(n)
    }

    /// Reads all that is left of it into `buffer`, and gives the part that it fills.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf), and [`Error::BodyTooLarge`] when it does not fit into `buffer`.
    pub async fn read_all<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], Error> {
        let mut length = 0;
        loop {
            let data = self.fill_buf().await?;
            let n = data.len();
            if n == 0 {
                return Ok(buffer.get(..length).unwrap_or_default());
            }
            buffer.get_mut(length..length + n).ok_or(Error::BodyTooLarge)?.copy_from_slice(data);
            length += n;
            self.consume(n);
        }
    }

    /// Reads all that is left of it, onto the heap.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf); its [limit](Self::limit) holds.
    #[cfg(feature = "alloc")]
    pub async fn read_to_vec(&mut self) -> Result<alloc::vec::Vec<u8>, Error> {
        let mut all = alloc::vec::Vec::new();
        loop {
            let data = self.fill_buf().await?;
            let n = data.len();
            if n == 0 {
                return Ok(all);
            }
            all.extend_from_slice(data);
            self.consume(n);
        }
    }

    /// Reads and drops up to `limit` bytes of what is left. `true` at the end of the body.
    pub(super) async fn discard(&mut self, limit: u64) -> Result<bool, Error> {
        let mut dropped = 0;
        loop {
            let n = self.fill_buf().await?.len();
            if n == 0 {
                return Ok(true);
            }
            dropped += n as u64;
            if dropped > limit {
                return Ok(false);
            }
            self.consume(n);
        }
    }

    /// Brings at least one byte of content, or the end.
    async fn fill(&mut self) -> Result<(), Error> {
        let mut since = Instant::now();
        poll_fn(|cx| self.poll_fill(cx, &mut since)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, since: &mut Instant) -> Poll<Result<(), Error>> {
        while !self.decode()? {
            self.make_room()?;
            ready!(self.poll_ask(cx, since))?;
            let end = self.exchange.incoming.borrow().end;
            let room = self.window.get_mut(end..).unwrap_or_default();
            let n = ready!(self.exchange.poll_receive(cx, since, room))?;
            if n == 0 {
                self.exchange.keep_alive.set(false);
                return Poll::Ready(Err(Error::BodyIncomplete));
            }
            self.exchange.incoming.borrow_mut().end += n;
        }
        Poll::Ready(Ok(()))
    }

    /// Makes content of what has been received. `true`: there is some, or it is the end.
    fn decode(&mut self) -> Result<bool, Error> {
        let mut guard = self.exchange.incoming.borrow_mut();
        let incoming = &mut *guard;
        if incoming.ended {
            return Ok(true);
        }
        let step = incoming.decoder.next(self.window.get(incoming.raw..incoming.end).unwrap_or_default());
        let step = step.inspect_err(|_| self.exchange.keep_alive.set(false));
        match step.map_err(|refusal| Error::Status(refusal.status, refusal.why))? {
            Step::More { skip } => {
                incoming.raw += skip;
                Ok(false)
            }
            Step::End { skip } => {
                incoming.raw += skip;
                incoming.ended = true;
                Ok(true)
            }
            Step::Data { skip, length } => {
                incoming.raw += skip;
                let content = incoming.content + length as u64;
                // H-9: too much is said only when it is really sent.
                let announced = if let Framing::Length(length) = incoming.framing { length } else { 0 };
                if content.max(announced) > incoming.limit {
                    self.exchange.keep_alive.set(false);
                    return Err(Error::BodyTooLarge);
                }
                incoming.content = content;
                if incoming.raw != incoming.ready {
                    slide(self.window, incoming.raw..incoming.raw + length, incoming.ready);
                }
                incoming.raw += length;
                incoming.ready += length;
                incoming.decoder.consumed(length);
                // The last byte of a body of known length is also its end.
                incoming.ended = matches!(incoming.framing, Framing::Length(all) if all == incoming.content);
                Ok(true)
            }
        }
    }

    /// Moves what is in the window to its front.
    fn make_room(&mut self) -> Result<(), Error> {
        let mut incoming = self.exchange.incoming.borrow_mut();
        if incoming.end < self.window.len() && incoming.start < incoming.ready {
            return Ok(());
        }
        let (content, rest) = (incoming.ready - incoming.start, incoming.end - incoming.raw);
        if content + rest >= self.window.len() {
            return Err(Error::BufferTooSmall);
        }
        slide(self.window, incoming.start..incoming.ready, 0);
        slide(self.window, incoming.raw..incoming.end, content);
        (incoming.start, incoming.ready) = (0, content);
        (incoming.raw, incoming.end) = (content, content + rest);
        Ok(())
    }

    /// H-10: tells a client that waits for it to go on.
    fn poll_ask(&mut self, cx: &mut Context<'_>, since: &mut Instant) -> Poll<Result<(), Error>> {
        let mut incoming = self.exchange.incoming.borrow_mut();
        if incoming.awaits_continue {
            if matches!(incoming.framing, Framing::Length(length) if length > incoming.limit) {
                return Poll::Ready(Err(Error::BodyTooLarge));
            }
            incoming.awaits_continue = false;
            incoming.interim = CONTINUE;
        }
        if self.exchange.is_begun.get() {
            // Too late: the response says it all.
            incoming.interim = &[];
        }
        while !incoming.interim.is_empty() {
            let n = ready!(self.exchange.poll_send(cx, since, incoming.interim))?;
            incoming.interim = incoming.interim.get(n..).unwrap_or_default();
        }
        Poll::Ready(Ok(()))
    }
}

impl embedded_io_async::ErrorType for Body<'_> {
    type Error = Error;
}

impl embedded_io_async::Read for Body<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        Body::read(self, buffer).await
    }
}

impl embedded_io_async::BufRead for Body<'_> {
    async fn fill_buf(&mut self) -> Result<&[u8], Error> {
        Body::fill_buf(self).await
    }

    fn consume(&mut self, n: usize) {
        Body::consume(self, n);
    }
}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> embedded_io_async::ErrorKind {
        use embedded_io_async::ErrorKind;
        match self {
            Self::Io(error) => error.kind(),
            Self::TimedOut => ErrorKind::TimedOut,
            Self::BodyTooLarge | Self::BadRequest(_) | Self::InvalidHeader => ErrorKind::InvalidData,
            Self::BufferTooSmall => ErrorKind::OutOfMemory,
            _ => ErrorKind::Other,
        }
    }
}
