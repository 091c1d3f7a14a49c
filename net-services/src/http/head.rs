//! Request heads: finding their end, and what they say (RFC 9112 sections 2 to 5).

use super::body::Framing;
use super::control::Control;
use super::fields::{Fields, is_token_byte, is_value_byte};
use super::method::Method;
use super::status::Status;
use super::target;

/// A message that is not served: how it is answered, and why, in plain words for the log. The connection is of no more
/// use after the answer, because nobody knows where the next message begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refusal {
    /// The status of the answer.
    pub status: Status,
    /// The reason.
    pub why: &'static str,
}

impl Refusal {
    pub(super) const fn bad_request(why: &'static str) -> Self {
        Self { status: Status::BAD_REQUEST, why }
    }
}

/// The most fields that a head may have, whatever [`Limits::fields`] says.
pub const MAX_FIELDS: usize = 100;
/// The most bytes that a head may have, whatever [`Limits::head`] says.
pub const MAX_HEAD: usize = u16::MAX as usize;
/// The longest name of a method, in bytes.
const MAX_METHOD: usize = 32;

/// What a head may take up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request target. Beyond it: 414.
    pub target: usize,
    /// Header fields, at most [`MAX_FIELDS`]. Beyond it: 431.
    pub fields: usize,
    /// Bytes of the whole head with the empty line at its end, at most [`MAX_HEAD`]. Beyond it: 431, or 414 in the target.
    pub head: usize,
}

impl Limits {
    /// 8 KiB of target, 100 fields, 16 KiB in all.
    pub const fn new() -> Self {
        Self { target: 8192, fields: 100, head: 16 * 1024 }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// A place in the buffer: from, to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span(u16, u16);

impl Span {
    /// Heads have at most [`MAX_HEAD`] bytes, so that offsets fit.
    pub(super) fn new(from: usize, to: usize) -> Self {
        Self(from as u16, to as u16)
    }

    /// Where `part` lies in `buffer`, a part of which it is.
    pub(super) fn of(part: &[u8], buffer: &[u8]) -> Self {
        let from = part.as_ptr().addr().saturating_sub(buffer.as_ptr().addr());
        Self::new(from, from + part.len())
    }

    pub(super) fn bytes(self, buffer: &[u8]) -> &[u8] {
        buffer.get(usize::from(self.0)..usize::from(self.1)).unwrap_or_default()
    }

    pub(super) fn text(self, buffer: &[u8]) -> &str {
        core::str::from_utf8(self.bytes(buffer)).unwrap_or_default()
    }
}

/// What the head of a request says. Its texts lie in the buffer it was found in, which the accessors take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Bytes of the head, from the first of the buffer to the end of the empty line.
    pub length: usize,
    /// The method.
    pub method: Method,
    /// The version: 0 for HTTP/1.0, 1 for HTTP/1.1 and above.
    pub minor_version: u8,
    /// How the end of the body is found.
    pub framing: Framing,
    /// Whether the client wants to send another request on this connection.
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    pub expects_continue: bool,
    path: Span,
    query: Option<Span>,
    fields: Span,
    host: Span,
}

impl Head {
    /// The path: it begins with `/`, is percent-decoded and has no dot segments; or it is `*`, with OPTIONS only. It has
    /// no control characters. A slash that was escaped cannot be told from others, and empty segments are kept: `//x`
    /// is a path.
    pub fn path<'b>(&self, buffer: &'b [u8]) -> &'b str {
        self.path.text(buffer)
    }

    /// What follows the `?` of the target, as it was received; its percent-escapes are well-formed.
    pub fn query<'b>(&self, buffer: &'b [u8]) -> Option<&'b str> {
        self.query.map(|query| query.text(buffer))
    }

    /// The header fields.
    pub fn fields<'b>(&self, buffer: &'b [u8]) -> Fields<'b> {
        Fields::new(self.fields.bytes(buffer))
    }

    /// The host that was asked for, with its port if one was named; empty if an HTTP/1.0 client named none.
    pub fn host<'b>(&self, buffer: &'b [u8]) -> &'b str {
        self.host.text(buffer)
    }
}

/// Where in a head the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Start,
    LeadingLf,
    Method,
    Target,
    Version,
    LineStart,
    Field,
    FieldLf,
    EndLf,
}

/// The parts of a request line that has been checked.
#[derive(Debug, Clone, Copy)]
struct RequestLine {
    method: Method,
    minor_version: u8,
    path: Span,
    query: Option<Span>,
    // Host and port of an absolute-form target, and the port of its scheme.
    authority: Option<(Span, u16)>,
}

/// Looks for a request head in what has been received so far, byte by byte and each byte once. One for each request.
#[derive(Debug, Clone)]
pub struct Scanner {
    stage: Stage,
    /// Bytes looked at.
    seen: usize,
    /// Where the element that is being looked at begins.
    mark: usize,
    method: Span,
    target: Span,
    line: Option<RequestLine>,
    /// Where the fields begin, and how many have begun.
    fields_start: usize,
    fields: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self::new()
    }
}

impl Scanner {
    /// A scanner that has seen nothing.
    pub const fn new() -> Self {
        Self {
            stage: Stage::Start,
            seen: 0,
            mark: 0,
            method: Span(0, 0),
            target: Span(0, 0),
            line: None,
            fields_start: 0,
            fields: 0,
        }
    }

    /// Whether nothing of a request line has been seen: no byte at all, or only of the empty line that may come before it
    /// (some clients send one after a body).
    pub const fn is_fresh(&self) -> bool {
        matches!(self.stage, Stage::Start | Stage::LeadingLf)
    }

    /// Looks at what has been received of a head so far: `buffer` begins with the first byte of the request and grows
    /// from call to call; it may go on beyond the head. `None`: more is needed.
    ///
    /// The beginning of a valid head is never refused; an invalid one as soon as that is certain.
    ///
    /// At the end of the request line the path is percent-decoded and freed of dot segments in place, so the bytes that
    /// have been seen must stay as they are left.
    ///
    /// # Errors
    /// How to answer a request that breaks the rules or the limits. Every later call may say anything.
    pub fn scan(&mut self, buffer: &mut [u8], limits: &Limits) -> Result<Option<Head>, Refusal> {
        let limit = limits.head.min(MAX_HEAD);
        while let Some(&byte) = buffer.get(self.seen) {
            if self.seen >= limit {
                return Err(self.refusal_when_full());
            }
            if self.stage == Stage::Field {
                let rest = buffer.get(self.seen..buffer.len().min(limit)).unwrap_or_default();
                let plain = rest.iter().position(|&byte| !is_value_byte(byte)).unwrap_or(rest.len());
                if plain > 0 {
                    self.seen += plain;
                    continue;
                }
            }
            let end = self.step(byte, limits)?;
            self.seen += 1;
            match end {
                Event::None => {}
                Event::RequestLine => {
                    self.line = Some(self.request_line(buffer)?);
                    self.fields_start = self.seen;
                }
                Event::Head => return self.head(buffer).map(Some),
            }
        }
        Ok(None)
    }

    /// How to refuse a request whose head is not complete when there is no room for more of it: 414 if it is the target
    /// that is too long, otherwise 431.
    pub fn refusal_when_full(&self) -> Refusal {
        match self.stage {
            Stage::Target => Refusal { status: Status::URI_TOO_LONG, why: "request target too long" },
            _ => Refusal { status: Status::REQUEST_HEADER_FIELDS_TOO_LARGE, why: "request head too long" },
        }
    }

    /// Takes the byte at `seen`.
    fn step(&mut self, byte: u8, limits: &Limits) -> Result<Event, Refusal> {
        let refuse = |why| Err(Refusal::bad_request(why));
        let mut event = Event::None;
        self.stage = match (self.stage, byte) {
            (Stage::Start, b'\r') if self.seen == 0 => Stage::LeadingLf,
            (Stage::LeadingLf, b'\n') => Stage::Start,
            (Stage::Start, _) if is_token_byte(byte) => {
                self.mark = self.seen;
                Stage::Method
            }
            (Stage::Start, _) => return refuse("request does not begin with a method"),

            (Stage::Method, b' ') => {
                self.method = Span::new(self.mark, self.seen);
                self.mark = self.seen + 1;
                Stage::Target
            }
            (Stage::Method, _) if !is_token_byte(byte) => return refuse("method is not a token"),
            (Stage::Method, _) if self.seen - self.mark >= MAX_METHOD => return refuse("method too long"),
            (Stage::Method, _) => Stage::Method,

            (Stage::Target, b' ') if self.seen == self.mark => return refuse("two spaces after the method"),
            (Stage::Target, b' ') => {
                self.target = Span::new(self.mark, self.seen);
                self.mark = self.seen + 1;
                Stage::Version
            }
            (Stage::Target, b'\r' | b'\n') => return refuse("request line without a version"),
            (Stage::Target, _) if !target::is_target_byte(byte) => return refuse("invalid byte in the request target"),
            (Stage::Target, _) if self.seen - self.mark >= limits.target => return Err(self.refusal_when_full()),
            (Stage::Target, _) => Stage::Target,

            (Stage::Version, _) => {
                let fits = match b"HTTP/d.d\r\n".get(self.seen - self.mark) {
                    Some(b'd') => byte.is_ascii_digit(),
                    expected => expected == Some(&byte),
                };
                match byte {
                    _ if !fits => return refuse("malformed version"),
                    b'\n' => {
                        event = Event::RequestLine;
                        Stage::LineStart
                    }
                    _ => Stage::Version,
                }
            }

            (Stage::LineStart, b'\r') => Stage::EndLf,
            (Stage::LineStart, b' ' | b'\t') => return refuse("field line begins with a space"),
            (Stage::LineStart, _) if !is_token_byte(byte) => return refuse("field name is not a token"),
            (Stage::LineStart, _) if self.fields >= limits.fields.min(MAX_FIELDS) => {
                return Err(Refusal { status: Status::REQUEST_HEADER_FIELDS_TOO_LARGE, why: "too many fields" });
            }
            (Stage::LineStart, _) => {
                self.fields += 1;
                Stage::Field
            }
            (Stage::Field, b'\r') => Stage::FieldLf,
            (Stage::Field, _) if !is_value_byte(byte) => return refuse("control character in a field"),
            (Stage::Field, _) => Stage::Field,
            (Stage::FieldLf, b'\n') => Stage::LineStart,
            (Stage::EndLf, b'\n') => {
                event = Event::Head;
                Stage::EndLf
            }
            (Stage::LeadingLf | Stage::FieldLf | Stage::EndLf, _) => return refuse("CR without LF"),
        };
        Ok(event)
    }

    /// Checks the request line, all of whose bytes have been looked at: `seen` is just after it.
    fn request_line(&self, buffer: &mut [u8]) -> Result<RequestLine, Refusal> {
        // "d.d\r\n" ends the line.
        let digit = |from_end: usize| buffer.get(self.seen - from_end).map_or(0, |byte| byte.wrapping_sub(b'0'));
        let (major, minor) = (digit(5), digit(3));
        if major != 1 {
            return Err(Refusal { status: Status::HTTP_VERSION_NOT_SUPPORTED, why: "HTTP version is not 1.x" });
        }
        let name = self.method.bytes(buffer);
        let Some(method) = Method::from_name(name) else {
            let tunnel = target::host_and_port(self.target.bytes(buffer)).is_some_and(|(_, port)| port.is_some());
            if name == b"CONNECT" && !tunnel {
                return Err(Refusal::bad_request("CONNECT without host and port"));
            }
            return Err(Refusal { status: Status::NOT_IMPLEMENTED, why: "unknown method" });
        };
        let start = usize::from(self.target.0);
        let bytes = buffer.get_mut(start..usize::from(self.target.1)).unwrap_or_default();
        let parts = target::parse(bytes, method == Method::Options).map_err(Refusal::bad_request)?;
        let place = |range: core::ops::Range<usize>| Span::new(start + range.start, start + range.end);
        Ok(RequestLine {
            method,
            minor_version: minor.min(1),
            path: place(parts.path),
            query: parts.query.map(place),
            authority: parts.authority.map(|(range, port)| (place(range), port)),
        })
    }

    /// Takes in the fields of a head that ends at `seen`. Plain and not async: the table lies on the stack.
    #[inline(never)]
    fn head(&self, buffer: &[u8]) -> Result<Head, Refusal> {
        let Some(line) = self.line else { return Err(Refusal::bad_request("no request line")) };
        let fields = Span::new(self.fields_start, self.seen);
        let mut table = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let control = control(fields.bytes(buffer), &mut table).map_err(Refusal::bad_request)?;
        control.check(line.minor_version).map_err(Refusal::bad_request)?;

        let host = match (control.host, line.authority) {
            (Some(host), _) if target::host_and_port(host).is_none() => {
                return Err(Refusal::bad_request("malformed Host"));
            }
            (Some(host), Some((authority, port))) if !target::same_host(host, authority.bytes(buffer), port) => {
                return Err(Refusal::bad_request("Host is not the host of the request target"));
            }
            (Some(host), _) => Span::of(host, buffer),
            (None, _) if line.minor_version > 0 => return Err(Refusal::bad_request("no Host")),
            (None, Some((authority, _))) => authority,
            (None, None) => Span::default(),
        };
        let framing = match control.content_length {
            _ if control.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::None,
        };
        if control.expects_more {
            return Err(Refusal { status: Status::EXPECTATION_FAILED, why: "unknown expectation" });
        }
        let has_body = !matches!(framing, Framing::None | Framing::Length(0));
        Ok(Head {
            length: self.seen,
            method: line.method,
            minor_version: line.minor_version,
            framing,
            keep_alive: control.persists(line.minor_version),
            // From HTTP/1.0 it means nothing (RFC 9110 section 10.1.1).
            expects_continue: control.expects_continue && line.minor_version > 0 && has_body,
            path: line.path,
            query: line.query,
            // Without the empty line
            fields: Span::new(self.fields_start, self.seen - 2),
            host,
        })
    }
}

/// What a byte has completed.
enum Event {
    None,
    RequestLine,
    Head,
}

/// Parses the lines of a head with the empty line at their end, and gathers what they say about framing and connection.
fn control<'b>(lines: &'b [u8], table: &mut [httparse::Header<'b>; MAX_FIELDS]) -> Result<Control<'b>, &'static str> {
    let fields = match httparse::parse_headers(lines, table) {
        Ok(httparse::Status::Complete((_, fields))) => fields,
        Ok(httparse::Status::Partial) => return Err("incomplete field"),
        Err(error) => return Err(reason(error)),
    };
    let mut control = Control::default();
    for field in fields {
        control.add(field.name, field.value)?;
    }
    Ok(control)
}

/// What httparse found, in words.
pub(super) fn reason(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "field name is not a token, or no colon right after it",
        httparse::Error::HeaderValue => "control character in a field",
        httparse::Error::NewLine => "CR without LF",
        httparse::Error::Status => "malformed status",
        httparse::Error::Token => "malformed start line",
        httparse::Error::TooManyHeaders => "too many fields",
        httparse::Error::Version => "malformed version",
    }
}

#[cfg(test)]
mod field_tests;
#[cfg(test)]
pub(super) mod hostile;
#[cfg(test)]
mod tests;
