//! Response heads, for the client (RFC 9112 section 4). Strict where the RFC leaves a client the choice.

use super::body::Framing;
use super::control::Control;
use super::fields::{Fields, is_value_byte};
use super::head::{Limits, MAX_FIELDS, MAX_HEAD, Refusal, Span, reason};
use super::method::Method;
use super::status::Status;

/// What the head of a response says. Its texts lie in the buffer it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResponseHead {
    /// Bytes of the head, from the first of the buffer to the end of the empty line.
    pub length: usize,
    /// The version: 0 for HTTP/1.0, 1 for HTTP/1.1 and above.
    pub minor_version: u8,
    /// The status.
    pub status: Status,
    /// How the end of the body is found.
    pub framing: Framing,
    /// Whether the connection may carry another request after this response.
    pub keep_alive: bool,
    fields: Span,
}

impl ResponseHead {
    /// The header fields.
    pub fn fields<'b>(&self, buffer: &'b [u8]) -> Fields<'b> {
        Fields::new(self.fields.bytes(buffer))
    }
}

/// Where in a head the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    StatusLine,
    Line,
    Lf,
    LineStart,
    EndLf,
}

/// Looks for a response head in what has been received so far, each byte once. One for each response, interim ones
/// included.
#[derive(Debug, Clone)]
pub struct ResponseScanner {
    stage: Stage,
    /// Bytes looked at.
    seen: usize,
    fields_start: usize,
    fields: usize,
}

impl Default for ResponseScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseScanner {
    /// A scanner that has seen nothing.
    pub const fn new() -> Self {
        Self { stage: Stage::StatusLine, seen: 0, fields_start: 0, fields: 0 }
    }

    /// Looks at what has been received of a head so far: `buffer` begins with its first byte and grows from call to call;
    /// it may go on beyond the head. `method` is that of the request. `None`: more is needed.
    ///
    /// Folded lines are joined in place (RFC 9112 section 5.2). [`Limits::target`] is of no account. A refusal has the
    /// status that a gateway would answer with, 502.
    pub fn scan(
        &mut self,
        buffer: &mut [u8],
        method: Method,
        limits: &Limits,
    ) -> Result<Option<ResponseHead>, Refusal> {
        let limit = limits.head.min(MAX_HEAD);
        while let Some(&byte) = buffer.get(self.seen) {
            if self.seen >= limit {
                return Err(bad_gateway("response head too long"));
            }
            self.stage = match (self.stage, byte) {
                (Stage::StatusLine, _) if self.seen < 7 => {
                    if b"HTTP/1.".get(self.seen) != Some(&byte) {
                        return Err(bad_gateway("response does not begin with HTTP/1."));
                    }
                    Stage::StatusLine
                }
                (Stage::StatusLine | Stage::Line, b'\r') => Stage::Lf,
                (Stage::StatusLine | Stage::Line, _) if is_value_byte(byte) => self.stage,
                (Stage::StatusLine | Stage::Line, _) => return Err(bad_gateway("control character in the head")),
                (Stage::Lf, b'\n') => {
                    if self.fields_start == 0 {
                        self.fields_start = self.seen + 1;
                    }
                    Stage::LineStart
                }
                (Stage::LineStart, b'\r') => Stage::EndLf,
                (Stage::LineStart, b' ' | b'\t') if self.fields > 0 => {
                    if let Some(line_end) = buffer.get_mut(self.seen - 2..self.seen) {
                        line_end.fill(b' ');
                    }
                    Stage::Line
                }
                (Stage::LineStart, _) if self.fields >= limits.fields.min(MAX_FIELDS) => {
                    return Err(bad_gateway("too many fields"));
                }
                (Stage::LineStart, _) => {
                    self.fields += 1;
                    Stage::Line
                }
                (Stage::EndLf, b'\n') => {
                    self.seen += 1;
                    return self.head(buffer, method).map(Some).map_err(bad_gateway);
                }
                (Stage::Lf | Stage::EndLf, _) => return Err(bad_gateway("CR without LF")),
            };
            self.seen += 1;
        }
        Ok(None)
    }

    /// Takes in a head that ends at `seen`. Plain and not async: the table lies on the stack.
    #[inline(never)]
    fn head(&self, buffer: &mut [u8], method: Method) -> Result<ResponseHead, &'static str> {
        // httparse knows 1.0 and 1.1; later ones are to be read as the latest known (RFC 9110 section 2.5).
        if let Some(minor @ b'2'..=b'9') = buffer.get_mut(7) {
            *minor = b'1';
        }
        let mut table = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut table);
        let head = buffer.get(..self.seen).unwrap_or_default();
        if !response.parse(head).map_err(reason)?.is_complete() {
            return Err("incomplete head");
        }
        let minor_version = response.version.unwrap_or(0);
        let status = response.code.and_then(Status::new).ok_or("malformed status")?;
        let mut control = Control::default();
        for field in response.headers.iter() {
            control.add(field.name, field.value)?;
        }
        control.check(minor_version)?;
        let framing = match control.content_length {
            _ if method == Method::Head || status.is_bodiless() => Framing::None,
            _ if control.chunked => Framing::Chunked,
            Some(length) => Framing::Length(length),
            None => Framing::UntilClose,
        };
        Ok(ResponseHead {
            length: self.seen,
            minor_version,
            status,
            framing,
            keep_alive: control.persists(minor_version) && framing != Framing::UntilClose,
            // Without the empty line
            fields: Span::new(self.fields_start, self.seen - 2),
        })
    }
}

const fn bad_gateway(why: &'static str) -> Refusal {
    Refusal { status: Status::BAD_GATEWAY, why }
}

#[cfg(test)]
mod tests;
