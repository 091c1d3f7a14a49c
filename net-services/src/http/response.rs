//! A response, as a handler makes it.

use core::fmt::{self, Display, Write as _};

use super::body_writer::{BodyWriter, Count, Length};
use super::exchange::{CONTINUE, Exchange};
use super::{Error, Outcome, Sent, Status, date, fields};

/// Room in front of the fields for the status line, which is written last: `HTTP/1.1 431 Request Header Fields Too
/// Large` and its line end take 46 bytes.
const STATUS_LINE: usize = 48;

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
        Ok(Raw { exchange, buffer: writer.into_buffer() })
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
        BodyWriter::new(exchange, self.buffer, start..end, length, skips)
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
