//! A response, as a handler makes it.

use core::fmt::{self, Display, Write as _};
use core::future::poll_fn;
use core::task::{Context, Poll, ready};

use net_core::time::Instant;

use super::exchange::{CONTINUE, Exchange};
use super::{Error, Outcome, Sent, Status, date, fields};

/// Room in front of the fields for the status line, which is written last: `HTTP/1.1 431 Request Header Fields Too
/// Large` and its line end take 46 bytes.
const STATUS_LINE: usize = 48;
/// Four digits and a line end: the size of a chunk, filled in when the chunk is complete.
const CHUNK_HEAD: usize = 6;
/// What ends a chunk.
const CHUNK_END: usize = 2;
/// The largest chunk whose size has four digits.
const LARGEST_CHUNK: usize = 0xffff;

/// Fields that the server writes itself, from what it knows of the connection and the body.
const RESERVED: [&str; 5] = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];

/// The response to a request, still to be sent.
///
/// Status and fields come first, then one call that sends it: [`send`](Self::send) for what lies in memory,
/// [`stream`](Self::stream) and [`sized`](Self::sized) for what is made on the way. For `HEAD` the calls are the same;
/// the body is then counted, and not sent.
///
/// Names and values of fields are checked (RFC 9110 section 5): a response cannot be split by what a
/// client put into one. The first mistake comes out of the call that sends.
pub struct Response<'c> {
    exchange: Exchange<'c>,
    buffer: &'c mut [u8],
    /// Where the fields end; they begin at [`STATUS_LINE`].
    end: usize,
    status: Status,
    failed: Option<Error>,
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy)]
enum Length {
    /// There is none: 1xx, 204, 205, 304.
    Absent,
    Known(u64),
    Chunked,
    UntilClose,
}

impl<'c> Response<'c> {
    pub(super) fn new(exchange: Exchange<'c>, buffer: &'c mut [u8]) -> Self {
        let failed = if buffer.len() < STATUS_LINE { Some(Error::HeadTooLarge) } else { None };
        Self { exchange, buffer, end: STATUS_LINE, status: Status::OK, failed }
    }

    /// Sets the status; at first it is 200.
    #[must_use]
    pub fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    /// Adds a header field. Its value may be anything that can be displayed.
    ///
    /// `Content-Type` belongs in the call that sends; `Content-Length`, `Transfer-Encoding`, `Connection`, `Keep-Alive`
    /// and `Date` are the server's own.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        if self.failed.is_none() {
            self.failed = self.add(name, format_args!("{value}")).err();
        }
        self
    }

    /// Closes the connection after this response, and says so in it.
    #[must_use]
    pub fn close(self) -> Self {
        self.exchange.keep_alive.set(false);
        self
    }

    /// Sends `body`. A small one leaves together with the head in one write; of a large one nothing but its beginning
    /// is copied.
    ///
    /// # Errors
    /// - [`Error::InvalidHeader`], [`Error::HeadTooLarge`]: nothing has been sent.
    /// - [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn send(self, content_type: &str, body: &[u8]) -> Outcome {
        let mut writer = self.sized(content_type, body.len() as u64)?;
        writer.write_all(body).await?;
        writer.end().await
    }

    /// Sends plain text in UTF-8: `text/plain; charset=utf-8`.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn text(self, text: &str) -> impl Future<Output = Outcome> {
        self.send("text/plain; charset=utf-8", text.as_bytes())
    }

    /// Sends an HTML page in UTF-8: `text/html; charset=utf-8`.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn html(self, page: &str) -> impl Future<Output = Outcome> {
        self.send("text/html; charset=utf-8", page.as_bytes())
    }

    /// Sends a JSON text: `application/json`.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub fn json(self, text: &str) -> impl Future<Output = Outcome> {
        self.send("application/json", text.as_bytes())
    }

    /// Sends a text that is formatted on the way, for example `response.print("text/plain", format_args!("{n} V"))`.
    /// It is formatted twice, once to know its length.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn print(self, content_type: &str, text: fmt::Arguments<'_>) -> Outcome {
        let mut length = Count(0);
        let _ = length.write_fmt(text);
        let mut writer = self.sized(content_type, length.0)?;
        writer.print(text).await?;
        writer.end().await
    }

    /// Sends no body, and no content type.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn empty(self) -> Outcome {
        self.bare()?.end().await
    }

    /// Begins and ends a response without a body.
    pub(super) fn bare(self) -> Result<BodyWriter<'c>, Error> {
        self.begin(None, Length::Known(0))
    }

    /// Sends the client to another place: `status` is one of 301, 302, 303, 307 and 308, `location` a URL or a path
    /// that is percent-encoded where it needs to be.
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::Internal`] for another status.
    pub async fn redirect(self, status: Status, location: impl Display) -> Outcome {
        if !matches!(status.code(), 301 | 302 | 303 | 307 | 308) {
            return Err(Error::Internal("a redirection with a status that is none"));
        }
        self.status(status).header("Location", location).empty().await
    }

    /// Begins a body whose length is not known: in chunks (RFC 9112 section 7.1), or for HTTP/1.0 until the
    /// connection closes.
    ///
    /// # Errors
    /// [`Error::InvalidHeader`], [`Error::HeadTooLarge`]: nothing has been sent.
    pub fn stream(self, content_type: &str) -> Result<BodyWriter<'c>, Error> {
        let length = if self.exchange.is_old { Length::UntilClose } else { Length::Chunked };
        self.begin(Some(content_type), length)
    }

    /// Begins a body of `length` bytes. Writing more is an error; finishing with less is one that resets the
    /// connection.
    ///
    /// # Errors
    /// [`Error::InvalidHeader`], [`Error::HeadTooLarge`]: nothing has been sent.
    pub fn sized(self, content_type: &str, length: u64) -> Result<BodyWriter<'c>, Error> {
        self.begin(Some(content_type), Length::Known(length))
    }

    /// Switches the connection to another protocol (RFC 9110 section 7.8): 101, after which the bytes belong to it.
    pub(super) async fn switch(mut self) -> Result<Raw<'c>, Error> {
        self.status = Status::SWITCHING_PROTOCOLS;
        self.exchange.keep_alive.set(false);
        let (exchange, mut writer) = (self.exchange, self.begin(None, Length::Absent)?);
        writer.flush().await?;
        Ok(Raw { exchange, buffer: writer.buffer })
    }

    /// A field of the handler's.
    fn add(&mut self, name: &str, value: fmt::Arguments<'_>) -> Result<(), Error> {
        if fields::check_name(name).is_err()
            || RESERVED.iter().any(|own| fields::is_same(own.as_bytes(), name.as_bytes()))
        {
            return Err(Error::InvalidHeader);
        }
        let mut line = Line { buffer: self.buffer, end: self.end, failed: None };
        line.put(name)?;
        line.put(": ")?;
        let written = line.write_fmt(value);
        // A value may have gone on after an error.
        if let Some(error) = line.failed {
            return Err(error);
        }
        written.map_err(|_| Error::Internal("a field cannot be displayed"))?;
        line.put("\r\n")?;
        self.end = line.end;
        Ok(())
    }

    /// A field whose value is text. Formatting that would take more memory and time.
    fn add_text(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let mut line = Line { buffer: self.buffer, end: self.end, failed: None };
        line.put(name)?;
        line.put(": ")?;
        line.put_value(value)?;
        line.put("\r\n")?;
        self.end = line.end;
        Ok(())
    }

    /// Completes the head. It is not sent before the first of the body is.
    fn begin(mut self, content_type: Option<&str>, length: Length) -> Result<BodyWriter<'c>, Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let exchange = self.exchange;
        // Half an interim response cannot be gone back on.
        if (1..CONTINUE.len()).contains(&exchange.incoming.borrow().interim.len()) {
            return Err(Error::TimedOut);
        }
        let code = self.status.code();
        if self.status.is_informational() && !matches!(length, Length::Absent) {
            return Err(Error::Internal("an interim status is no answer"));
        }
        let bodyless = self.status.is_bodiless() || code == 205;
        if let Some(content_type) = content_type.filter(|_| code >= 200 && code != 204) {
            self.add_text("Content-Type", content_type)?;
        }
        if let Some(server) = exchange.shared.config.server {
            self.add_text("Server", server)?;
        }
        if let Some(now) = exchange.shared.clock.and_then(|clock| clock.now()) {
            self.add_text("Date", core::str::from_utf8(&date::write(now)).unwrap_or_default())?;
        }
        let length = if bodyless { Length::Absent } else { length };
        match length {
            // It has no body and says so, the only one that does (RFC 9110 section 15.3.6).
            Length::Absent if code == 205 => self.add_text("Content-Length", "0")?,
            Length::Absent => {}
            Length::Known(n) => self.add_text("Content-Length", decimal(n, &mut [0; 20]))?,
            Length::Chunked => self.add_text("Transfer-Encoding", "chunked")?,
            Length::UntilClose => exchange.keep_alive.set(false),
        }
        // Those that name a protocol in `Upgrade` say so here too (RFC 9110 section 7.8).
        let connection = match (code, exchange.decide_keep_alive()) {
            (101, _) | (426, true) => "Upgrade",
            (426, false) => "close, Upgrade",
            (_, false) => "close",
            (_, true) if exchange.is_old => "keep-alive",
            (_, true) => "",
        };
        if !connection.is_empty() {
            self.add_text("Connection", connection)?;
        }
        let mut line = Line { buffer: self.buffer, end: self.end, failed: None };
        line.put("\r\n")?;
        let end = line.end;
        // The status line ends where the fields begin.
        let (digits, reason) = (&mut [0; 20], self.status.reason());
        let parts = ["HTTP/1.1 ", decimal(u64::from(code), digits), " ", reason, "\r\n"];
        let start = STATUS_LINE.saturating_sub(parts.iter().map(|part| part.len()).sum());
        line.end = start;
        for part in parts {
            line.put(part)?;
        }
        exchange.status.set(self.status);
        exchange.body_sent.set(-((end - start) as i64));
        let skips = exchange.is_head || bodyless;
        // Writing chunks takes room for their frame and something in it.
        if matches!(length, Length::Chunked) && self.buffer.len() < end + CHUNK_HEAD + CHUNK_END + 8 {
            return Err(Error::HeadTooLarge);
        }
        let left = if let Length::Known(n) = length { n } else { 0 };
        Ok(BodyWriter { exchange, buffer: self.buffer, start, end, chunk: None, length, skips, left, broken: None })
    }
}

/// A number in decimal digits.
fn decimal(mut number: u64, digits: &mut [u8; 20]) -> &str {
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        let (rest, digit) = match u32::try_from(number) {
            // A chip of 32 bits takes much longer for 64.
            Ok(small) => (u64::from(small / 10), (small % 10) as u8),
            Err(_) => (number / 10, (number % 10) as u8),
        };
        *place = b'0' + digit;
        (number, start) = (rest, start - 1);
        if number == 0 {
            break;
        }
    }
    digits.get(start..).and_then(|digits| core::str::from_utf8(digits).ok()).unwrap_or_default()
}

/// Writes into a buffer.
struct Line<'b> {
    buffer: &'b mut [u8],
    end: usize,
    /// Why formatting failed.
    failed: Option<Error>,
}

impl Line<'_> {
    fn put(&mut self, text: &str) -> Result<(), Error> {
        let place = self.buffer.get_mut(self.end..).and_then(|room| room.get_mut(..text.len()));
        place.ok_or(Error::HeadTooLarge)?.copy_from_slice(text.as_bytes());
        self.end += text.len();
        Ok(())
    }

    /// The same; what would break a field is refused.
    fn put_value(&mut self, text: &str) -> Result<(), Error> {
        fields::check_value(text.as_bytes()).map_err(|_| Error::InvalidHeader)?;
        self.put(text)
    }
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.put_value(text).map_err(|error| {
            self.failed = Some(error);
            fmt::Error
        })
    }
}

/// The length of what is formatted.
pub(super) struct Count(pub(super) u64);

impl fmt::Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

/// A connection that has been switched to another protocol.
pub(super) struct Raw<'c> {
    pub(super) exchange: Exchange<'c>,
    pub(super) buffer: &'c mut [u8],
}

impl Raw<'_> {
    /// The other protocol has said its last word. The connection closes in order, whatever the handler gives back; what the
    /// client still sends is read over for a moment.
    pub(super) fn complete(&self) -> Sent {
        self.exchange.is_complete.set(true);
        self.exchange.incoming.borrow_mut().ended = false;
        Sent(())
    }
}

/// The body of a response, being written.
///
/// What is written gathers in the connection's buffer; it is sent when the buffer is full, with
/// [`flush`](Self::flush), and at the end.
pub struct BodyWriter<'c> {
    exchange: Exchange<'c>,
    buffer: &'c mut [u8],
    /// `start..end` is still to be sent.
    start: usize,
    end: usize,
    /// Where the open chunk's frame begins.
    chunk: Option<usize>,
    length: Length,
    /// Nothing of the body is sent: the request was `HEAD`, or the status allows none.
    skips: bool,
    /// What a body of known length lacks.
    left: u64,
    /// Why nothing can be added any more.
    broken: Option<Error>,
}

impl BodyWriter<'_> {
    /// Writes all of `data`. What does not fit into the connection's buffer is sent from where it is, without a copy.
    ///
    /// A future that is dropped before it is ready may have written some of it. Nobody knows how much, so nothing can be
    /// added to the body any more, and the connection is reset when the handler ends.
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`]: more than was announced, or the call before was given up.
    /// - [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.count(data.len() as u64)?;
        if self.skips {
            return Ok(());
        }
        let mut writing = Writing { data, direct: 0, since: Instant::now() };
        // Stands if this future is dropped.
        self.broken = Some(Error::LengthMismatch);
        let result = poll_fn(|cx| self.poll_write(cx, &mut writing)).await;
        self.broken = result.err();
        result
    }

    /// Writes formatted text: `writer.print(format_args!("{n} volts")).await?`.
    ///
    /// Text longer than the room in the buffer is formatted again for each piece, so its parts must not change
    /// meanwhile. A future that is dropped before it is ready leaves the body as with [`write_all`](Self::write_all).
    ///
    /// # Errors
    /// Those of [`write_all`](Self::write_all), and [`Error::Internal`] when something in it fails to be displayed.
    pub async fn print(&mut self, text: fmt::Arguments<'_>) -> Result<(), Error> {
        if self.skips {
            let mut length = Count(0);
            length.write_fmt(text).map_err(|_| Error::Internal("a value cannot be displayed"))?;
            return self.count(length.0);
        }
        self.count(0)?;
        let result = self.put_text(text).await;
        self.broken = result.err();
        result
    }

    async fn put_text(&mut self, text: fmt::Arguments<'_>) -> Result<(), Error> {
        let mut done = 0;
        loop {
            let mut piece = Piece { skip: done, room: self.room(), length: 0, is_cut: false };
            let written = piece.write_fmt(text);
            let (length, is_cut) = (piece.length, piece.is_cut);
            if written.is_err() && !is_cut {
                return Err(Error::Internal("a value cannot be displayed"));
            }
            self.count(length as u64)?;
            done += length;
            self.end += length;
            if !is_cut {
                return Ok(());
            }
            // Stands if this future is dropped.
            self.broken = Some(Error::LengthMismatch);
            self.flush().await?;
            self.broken = None;
        }
    }

    /// Room for what is to be written next, to be filled in place; [`advance`](Self::advance) then tells how much was.
    /// Never empty.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush), which is done when the buffer is full.
    pub async fn room_to_fill(&mut self) -> Result<&mut [u8], Error> {
        if self.room().is_empty() {
            self.flush().await?;
        }
        Ok(self.room())
    }

    /// Takes the first `n` bytes of [`room_to_fill`](Self::room_to_fill) as written, at most all of it.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`]: more than was announced.
    pub fn advance(&mut self, n: usize) -> Result<(), Error> {
        let n = n.min(self.room().len());
        self.count(n as u64)?;
        if !self.skips {
            self.end += n;
        }
        Ok(())
    }

    /// Sends what has been written so far. If the future is dropped, the rest is sent later.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.close_chunk();
        let mut since = Instant::now();
        poll_fn(|cx| self.poll_send(cx, &mut since)).await
    }

    /// Whether the body is not sent at all, because the request was `HEAD`: then there is no need to make it.
    pub fn is_head(&self) -> bool {
        self.skips
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] when it is shorter than was announced; [`Error::TimedOut`], [`Error::Io`].
    pub async fn finish(mut self) -> Outcome {
        self.end().await
    }

    /// Ends the body with trailer fields (RFC 9110 section 6.5). They are sent only with a body in chunks
    /// ([`stream`](Response::stream) in HTTP/1.1), and left out of others.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish), and [`Error::InvalidHeader`] for a name or value that is none, or that must not
    /// stand in trailers.
    pub async fn finish_with_trailers(mut self, trailers: &[(&str, &str)]) -> Outcome {
        self.count(0)?;
        if self.is_chunked() {
            for (name, value) in trailers {
                if fields::check_name(name).is_err()
                    || fields::is_forbidden_in_trailers(name.as_bytes())
                    || fields::check_value(value.as_bytes()).is_err()
                {
                    return Err(Error::InvalidHeader);
                }
            }
            self.close_chunk();
            self.append(b"0\r\n").await?;
            for (name, value) in trailers {
                for part in [*name, ": ", *value, "\r\n"] {
                    self.append(part.as_bytes()).await?;
                }
            }
            self.append(b"\r\n").await?;
            // The end is written.
            self.length = Length::Absent;
        }
        self.end().await
    }

    /// Whether the connection is to close as soon as it can: the server stops. A response that would go on without end
    /// should end now.
    pub fn is_closing(&self) -> bool {
        self.exchange.shared.seat.is_leaving()
    }

    /// Ends the body. What is left of `self` after that is of no use.
    pub(super) async fn end(&mut self) -> Outcome {
        self.count(0)?;
        if !self.skips && self.left > 0 {
            return Err(Error::LengthMismatch);
        }
        if self.is_chunked() {
            self.close_chunk();
            self.append(b"0\r\n\r\n").await?;
        }
        self.flush().await?;
        self.exchange.is_complete.set(true);
        Ok(Sent(()))
    }

    fn is_chunked(&self) -> bool {
        matches!(self.length, Length::Chunked) && !self.skips
    }

    /// Bytes outside of any chunk.
    async fn append(&mut self, data: &[u8]) -> Result<(), Error> {
        let (mut data, mut since) = (data, Instant::now());
        poll_fn(|cx| {
            loop {
                let n = fill(self.buffer.get_mut(self.end..).unwrap_or_default(), &mut data);
                self.end += n;
                if data.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_send(cx, &mut since))?;
            }
        })
        .await
    }

    fn count(&mut self, n: u64) -> Result<(), Error> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if matches!(self.length, Length::Known(_)) {
            let Some(left) = self.left.checked_sub(n) else {
                self.broken = Some(Error::LengthMismatch);
                return Err(Error::LengthMismatch);
            };
            self.left = left;
        }
        Ok(())
    }

    /// The room in the buffer for content. In chunks this opens one.
    fn room(&mut self) -> &mut [u8] {
        let mut limit = self.buffer.len();
        if self.is_chunked() {
            limit -= CHUNK_END;
            let begin = *self.chunk.get_or_insert_with(|| {
                let begin = self.end;
                self.end += CHUNK_HEAD;
                begin
            });
            limit = limit.min(begin + CHUNK_HEAD + LARGEST_CHUNK);
        }
        self.buffer.get_mut(self.end..limit).unwrap_or_default()
    }

    /// Completes the frame of the open chunk; an empty one, which would end the body, is taken back.
    fn close_chunk(&mut self) {
        let Some(begin) = self.chunk.take() else { return };
        let length = self.end.saturating_sub(begin + CHUNK_HEAD);
        if length == 0 {
            self.end = begin;
            return;
        }
        self.write_chunk_head(begin, length);
        if let Some(place) = self.buffer.get_mut(self.end..self.end + CHUNK_END) {
            place.copy_from_slice(b"\r\n");
        }
        self.end += CHUNK_END;
    }

    fn write_chunk_head(&mut self, begin: usize, length: usize) {
        let digit = |shift: u32| char::from_digit((length >> shift) as u32 & 0xf, 16).map_or(b'0', |c| c as u8);
        if let Some(place) = self.buffer.get_mut(begin..begin + CHUNK_HEAD) {
            place.copy_from_slice(&[digit(12), digit(8), digit(4), digit(0), b'\r', b'\n']);
        }
    }

    /// Puts `data` into the buffer, and sends the buffer when it is full. What would fill it again is sent from where it is.
    fn poll_write(&mut self, cx: &mut Context<'_>, writing: &mut Writing<'_>) -> Poll<Result<(), Error>> {
        loop {
            if writing.direct > 0 {
                ready!(self.poll_send(cx, &mut writing.since))?;
                let data = writing.data.get(..writing.direct).unwrap_or(writing.data);
                let n = ready!(self.exchange.poll_send(cx, &mut writing.since, data))?;
                writing.data = writing.data.get(n..).unwrap_or_default();
                writing.direct = writing.direct.saturating_sub(n);
                if writing.direct == 0 && self.is_chunked() {
                    self.end += fill(self.buffer, &mut b"\r\n".as_slice());
                }
                continue;
            }
            let n = fill(self.room(), &mut writing.data);
            self.end += n;
            if writing.data.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.close_chunk();
            if writing.data.len() < self.buffer.len() {
                ready!(self.poll_send(cx, &mut writing.since))?;
            } else if !self.is_chunked() {
                writing.direct = writing.data.len();
            } else if self.buffer.len() < self.end + CHUNK_HEAD {
                ready!(self.poll_send(cx, &mut writing.since))?;
            } else {
                writing.direct = writing.data.len().min(LARGEST_CHUNK);
                self.write_chunk_head(self.end, writing.direct);
                self.end += CHUNK_HEAD;
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, since: &mut Instant) -> Poll<Result<(), Error>> {
        while let Some(data) = self.buffer.get(self.start..self.end).filter(|data| !data.is_empty()) {
            self.exchange.is_begun.set(true);
            self.start += ready!(self.exchange.poll_send(cx, since, data))?;
        }
        (self.start, self.end) = (0, 0);
        Poll::Ready(Ok(()))
    }
}

/// What is being written of a body.
struct Writing<'d> {
    data: &'d [u8],
    /// So many bytes of it are sent from where they are, after the buffer.
    direct: usize,
    /// When the waiting that is now going on began.
    since: Instant,
}

/// Takes the first bytes of `data` into `room`, as many as fit; says how many.
fn fill(room: &mut [u8], data: &mut &[u8]) -> usize {
    let n = room.len().min(data.len());
    if let (Some(to), Some((now, later))) = (room.get_mut(..n), data.split_at_checked(n)) {
        to.copy_from_slice(now);
        *data = later;
    }
    n
}

impl embedded_io_async::ErrorType for BodyWriter<'_> {
    type Error = Error;
}

impl embedded_io_async::Write for BodyWriter<'_> {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.write_all(data).await?;
        Ok(data.len())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        BodyWriter::flush(self).await
    }
}

/// The part of a formatted text that comes after `skip` bytes, as much of it as there is room for.
struct Piece<'b> {
    skip: usize,
    room: &'b mut [u8],
    length: usize,
    is_cut: bool,
}

impl fmt::Write for Piece<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let skipped = self.skip.min(text.len());
        self.skip -= skipped;
        let text = text.as_bytes().get(skipped..).unwrap_or_default();
        let n = text.len().min(self.room.len() - self.length);
        if let (Some(to), Some(from)) = (self.room.get_mut(self.length..self.length + n), text.get(..n)) {
            to.copy_from_slice(from);
        }
        self.length += n;
        // A value may go on after an error: what is lost is lost.
        self.is_cut |= n < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}
