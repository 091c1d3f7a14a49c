//! A response, as a handler makes it.

use core::fmt::{self, Display, Write as _};

use super::exchange::Exchange;
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
    /// There is none, and nothing says so: 1xx, 204, 304.
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
    /// `Content-Type` belongs into the call that sends; `Content-Length`, `Transfer-Encoding`, `Connection`, `Keep-Alive`
    /// and `Date` are the server's own.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        let reserved = RESERVED.iter().any(|own| own.eq_ignore_ascii_case(name));
        if reserved || fields::check_name(name).is_err() {
            self.failed = self.failed.or(Some(Error::InvalidHeader));
            return self;
        }
        self.add(name, format_args!("{value}"));
        self
    }

    /// Closes the connection after this response.
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
        writer.finish().await
    }

    /// Sends plain text in UTF-8.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn text(self, text: &str) -> Outcome {
        self.send("text/plain; charset=utf-8", text.as_bytes()).await
    }

    /// Sends an HTML page in UTF-8.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn html(self, page: &str) -> Outcome {
        self.send("text/html; charset=utf-8", page.as_bytes()).await
    }

    /// Sends a JSON text.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn json(self, text: &str) -> Outcome {
        self.send("application/json", text.as_bytes()).await
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
        writer.finish().await
    }

    /// Sends no body.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn empty(self) -> Outcome {
        self.bare()?.finish().await
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
        writer.send_buffer().await?;
        Ok(Raw { exchange, buffer: writer.buffer })
    }

    fn add(&mut self, name: &str, value: fmt::Arguments<'_>) {
        if self.failed.is_some() {
            return;
        }
        let mut line = Line { buffer: self.buffer, end: self.end, is_value: false, error: None };
        let written = line.write_fmt(format_args!("{name}: ")).and_then(|()| {
            line.is_value = true;
            line.write_fmt(value)
        });
        line.is_value = false;
        match written.and_then(|()| line.write_str("\r\n")) {
            Ok(()) => self.end = line.end,
            Err(fmt::Error) => self.failed = line.error.or(Some(Error::Internal("a field cannot be displayed"))),
        }
    }

    /// Completes the head. It is not sent before the first of the body is.
    fn begin(mut self, content_type: Option<&str>, length: Length) -> Result<BodyWriter<'c>, Error> {
        let exchange = self.exchange;
        let code = self.status.code();
        let bodyless = code < 200 || code == 204 || code == 304;
        if let Some(content_type) = content_type.filter(|_| code >= 200 && code != 204) {
            self.add("Content-Type", format_args!("{content_type}"));
        }
        if let Some(server) = exchange.shared.config.server {
            self.add("Server", format_args!("{server}"));
        }
        if let Some(now) = exchange.shared.clock.and_then(|clock| clock.now()) {
            let date = date::write(now);
            self.add("Date", format_args!("{}", core::str::from_utf8(&date).unwrap_or_default()));
        }
        let length = if bodyless { Length::Absent } else { length };
        match length {
            Length::Absent => {}
            Length::Known(n) => self.add("Content-Length", format_args!("{n}")),
            Length::Chunked => self.add("Transfer-Encoding", format_args!("chunked")),
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
            self.add("Connection", format_args!("{connection}"));
        }
        if let Some(error) = self.failed {
            return Err(error);
        }
        let end = self.end + 2;
        self.buffer.get_mut(self.end..end).ok_or(Error::HeadTooLarge)?.copy_from_slice(b"\r\n");
        let start = self.write_status_line()?;
        exchange.status.set(self.status);
        exchange.head_sent.set(exchange.sent.get() + (end - start) as u64);
        let skips = exchange.is_head || bodyless;
        // Writing chunks takes room for their frame and something in it.
        if matches!(length, Length::Chunked) && self.buffer.len() < end + CHUNK_HEAD + CHUNK_END + 8 {
            return Err(Error::HeadTooLarge);
        }
        let left = if let Length::Known(n) = length { n } else { 0 };
        Ok(BodyWriter { exchange, buffer: self.buffer, start, end, chunk: None, length, skips, left, broken: false })
    }

    /// Puts the status line in front of the fields; gives where it begins.
    fn write_status_line(&mut self) -> Result<usize, Error> {
        let mut text = [0; STATUS_LINE];
        let mut line = Line { buffer: &mut text, end: 0, is_value: false, error: None };
        let (code, reason) = (self.status.code(), self.status.reason());
        line.write_fmt(format_args!("HTTP/1.1 {code} {reason}\r\n")).map_err(|_| Error::HeadTooLarge)?;
        let length = line.end;
        let start = STATUS_LINE - length;
        match (self.buffer.get_mut(start..STATUS_LINE), text.get(..length)) {
            (Some(to), Some(from)) => to.copy_from_slice(from),
            _ => return Err(Error::HeadTooLarge),
        }
        Ok(start)
    }
}

/// Writes into a buffer; what would break a field is refused.
struct Line<'b> {
    buffer: &'b mut [u8],
    end: usize,
    is_value: bool,
    error: Option<Error>,
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_value && fields::check_value(text.as_bytes()).is_err() {
            self.error = Some(Error::InvalidHeader);
            return Err(fmt::Error);
        }
        let end = self.end + text.len();
        let Some(place) = self.buffer.get_mut(self.end..end) else {
            self.error = Some(Error::HeadTooLarge);
            return Err(fmt::Error);
        };
        place.copy_from_slice(text.as_bytes());
        self.end = end;
        Ok(())
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
    broken: bool,
}

impl BodyWriter<'_> {
    /// Writes all of `data`. What does not fit into the connection's buffer is sent from where it is, without a copy.
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`]: more than was announced.
    /// - [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn write_all(&mut self, mut data: &[u8]) -> Result<(), Error> {
        self.count(data.len() as u64)?;
        if self.skips {
            return Ok(());
        }
        while !data.is_empty() {
            let room = self.room().len();
            // What would fill the buffer more than once goes out as it is, behind what is there already.
            if data.len() > room && data.len() - room >= self.buffer.len() {
                return self.write_through(room, data).await;
            }
            let n = room.min(data.len());
            if let (Some(to), Some(from)) = (self.room().get_mut(..n), data.get(..n)) {
                to.copy_from_slice(from);
            }
            self.end += n;
            data = data.get(n..).unwrap_or_default();
            if !data.is_empty() {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Writes formatted text: `writer.print(format_args!("{n} volts")).await?`.
    ///
    /// Text longer than the room in the buffer is formatted again for each piece, so its parts must not change
    /// meanwhile.
    ///
    /// # Errors
    /// Those of [`write_all`](Self::write_all), and [`Error::Internal`] when something in it fails to be displayed.
    pub async fn print(&mut self, text: fmt::Arguments<'_>) -> Result<(), Error> {
        if self.skips {
            let mut length = Count(0);
            length.write_fmt(text).map_err(|_| Error::Internal("a value cannot be displayed"))?;
            return self.count(length.0);
        }
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
            self.flush().await?;
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

    /// Sends what has been written so far.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.close_chunk();
        self.send_buffer().await
    }

    /// Whether the body is not sent at all, because the request was `HEAD`: then there is no need to make it.
    pub fn is_head(&self) -> bool {
        self.skips
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] when it is shorter than was announced; [`Error::TimedOut`], [`Error::Io`].
    pub async fn finish(self) -> Outcome {
        self.finish_with_trailers(&[]).await
    }

    /// Ends the body with trailer fields (RFC 9110 section 6.5). They are sent only with a body in chunks, and left out
    /// where there is none.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish), and [`Error::InvalidHeader`].
    pub async fn finish_with_trailers(mut self, trailers: &[(&str, &str)]) -> Outcome {
        self.end(trailers).await
    }

    /// Whether the connection is to close as soon as it can: the server stops. A response that would go on without end
    /// should end now.
    pub fn is_closing(&self) -> bool {
        self.exchange.shared.seat.is_leaving()
    }

    /// The same as [`finish_with_trailers`](Self::finish_with_trailers). Nothing may be written afterwards.
    pub(super) async fn end(&mut self, trailers: &[(&str, &str)]) -> Outcome {
        if self.broken || (!self.skips && self.left > 0) {
            return Err(Error::LengthMismatch);
        }
        if matches!(self.length, Length::Chunked) && !self.skips {
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
        }
        self.send_buffer().await?;
        self.exchange.is_complete.set(true);
        Ok(Sent(()))
    }

    /// Bytes outside of any chunk.
    async fn append(&mut self, mut data: &[u8]) -> Result<(), Error> {
        while !data.is_empty() {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            let n = room.len().min(data.len());
            let (now, later) = data.split_at_checked(n).unwrap_or((data, &[]));
            if let Some(to) = room.get_mut(..n) {
                to.copy_from_slice(now);
            }
            self.end += n;
            data = later;
            if !data.is_empty() {
                self.send_buffer().await?;
            }
        }
        Ok(())
    }

    fn count(&mut self, n: u64) -> Result<(), Error> {
        if self.broken {
            return Err(Error::LengthMismatch);
        }
        if matches!(self.length, Length::Known(_)) {
            let left = self.left.checked_sub(n);
            self.broken = left.is_none();
            self.left = left.ok_or(Error::LengthMismatch)?;
        }
        Ok(())
    }

    /// The room in the buffer for content. In chunks this opens one.
    fn room(&mut self) -> &mut [u8] {
        let mut limit = self.buffer.len();
        if matches!(self.length, Length::Chunked) && !self.skips {
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

    /// Sends `data`, which is much: what is in the buffer first, topped up with its first `room` bytes.
    async fn write_through(&mut self, room: usize, data: &[u8]) -> Result<(), Error> {
        let (first, mut rest) = data.split_at_checked(room).unwrap_or((&[], data));
        if let Some(place) = self.room().get_mut(..room) {
            place.copy_from_slice(first);
        }
        self.end += first.len();
        self.close_chunk();
        if !matches!(self.length, Length::Chunked) {
            self.send_buffer().await?;
            return self.exchange.write_all(rest).await;
        }
        while !rest.is_empty() {
            let (piece, later) = rest.split_at_checked(LARGEST_CHUNK).unwrap_or((rest, &[]));
            if self.buffer.len() < self.end + CHUNK_HEAD {
                self.send_buffer().await?;
            }
            self.write_chunk_head(self.end, piece.len());
            self.end += CHUNK_HEAD;
            self.send_buffer().await?;
            self.exchange.write_all(piece).await?;
            self.append(b"\r\n").await?;
            rest = later;
        }
        Ok(())
    }

    async fn send_buffer(&mut self) -> Result<(), Error> {
        let data = self.buffer.get(self.start..self.end).unwrap_or_default();
        if !data.is_empty() {
            self.exchange.is_begun.set(true);
            self.exchange.write_all(data).await?;
        }
        (self.start, self.end) = (0, 0);
        Ok(())
    }
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
        self.is_cut = n < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}
