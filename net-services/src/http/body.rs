//! Where the body of a message ends (RFC 9112 sections 6 and 7).

use super::fields::{is_forbidden_in_trailers, is_token_byte, is_value_byte};
use super::head::Refusal;
use super::status::Status;

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Framing {
    /// There is no body.
    None,
    /// So many bytes.
    Length(u64),
    /// The chunked transfer coding.
    Chunked,
    /// All that comes until the connection ends. Only responses.
    UntilClose,
}

/// What comes next in the bytes that have been received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing of the body yet: drop this many bytes and receive more.
    More {
        /// Bytes of framing at the beginning.
        skip: usize,
    },
    /// Content.
    Data {
        /// Bytes of framing before it, to be dropped.
        skip: usize,
        /// Bytes of content after them, 1 or more, all of which are there.
        length: usize,
    },
    /// The end of the body. What follows belongs to the next message.
    End {
        /// Bytes of framing before it, to be dropped.
        skip: usize,
    },
}

/// The longest trailer section, in bytes. Beyond it: 431.
pub const MAX_TRAILERS: u16 = 4096;
/// Bytes of chunk extensions in one body. They are of no use to anybody. Beyond it: 400.
pub const MAX_EXTENSIONS: u16 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    // Where content comes
    Length,
    UntilClose,
    Chunk,
    // The line before a chunk; digits so far
    Size(u8),
    SizeLf,
    ExtensionStart,
    ExtensionName,
    ExtensionValue,
    ExtensionToken,
    Quoted,
    QuotedPair,
    QuotedEnd,
    // After a chunk
    ChunkCr,
    ChunkLf,
    // After the last chunk
    LineStart,
    Name,
    Value,
    ValueLf,
    EndLf,
    Done,
    Broken,
}

/// The first bytes of a trailer's name: as many as the longest name that is forbidden has, and one.
#[derive(Debug, Clone, Copy)]
struct NameStart {
    bytes: [u8; 20],
    length: u8,
}

impl NameStart {
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(usize::from(self.length)) {
            *place = byte;
            self.length += 1;
        }
    }

    fn get(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

/// Takes the framing out of a body as it comes in, however it is cut into pieces. Trailers are checked and dropped.
///
/// Ask [`next`](Self::next) with the bytes that have been received and not been consumed; drop what is to be skipped; use
/// some or all of the content and tell how much with [`consumed`](Self::consumed); ask again.
#[derive(Debug, Clone)]
pub struct Decoder {
    state: State,
    /// Content left of the body or of the chunk.
    left: u64,
    /// Bytes of chunk extensions, later of trailers.
    overhead: u16,
    name: NameStart,
    /// Whether trailers of any name are let pass.
    any_trailer: bool,
}

impl Decoder {
    /// A decoder at the beginning of the body of a request.
    pub const fn new(framing: Framing) -> Self {
        let (state, left) = match framing {
            Framing::None => (State::Done, 0),
            Framing::Length(length) => (State::Length, length),
            Framing::Chunked => (State::Size(0), 0),
            Framing::UntilClose => (State::UntilClose, 0),
        };
        Self { state, left, overhead: 0, name: NameStart { bytes: [0; 20], length: 0 }, any_trailer: false }
    }

    /// A decoder at the beginning of the body of a response. Its trailers may have any name: they are dropped anyway, and
    /// some that a request must not have are in use there (`Content-Digest`, RFC 9530).
    pub const fn for_response(framing: Framing) -> Self {
        let mut decoder = Self::new(framing);
        decoder.any_trailer = true;
        decoder
    }

    /// What comes next in `input`, which begins with the first byte that has been neither skipped nor consumed. The bytes
    /// to skip count as skipped from now on.
    ///
    /// # Errors
    /// The body breaks the rules of its framing. Nothing after this point can be trusted, and every later call fails.
    pub fn next(&mut self, input: &[u8]) -> Result<Step, Refusal> {
        let mut skip = 0;
        loop {
            let available = input.len().saturating_sub(skip);
            match self.state {
                State::Length if self.left == 0 => self.state = State::Done,
                State::Chunk if self.left == 0 => self.state = State::ChunkCr,
                State::Length | State::Chunk | State::UntilClose if available == 0 => return Ok(Step::More { skip }),
                State::Length | State::Chunk => {
                    let length = usize::try_from(self.left).map_or(available, |left| left.min(available));
                    return Ok(Step::Data { skip, length });
                }
                State::UntilClose => return Ok(Step::Data { skip, length: available }),
                State::Done => return Ok(Step::End { skip }),
                _ => {
                    let Some(&byte) = input.get(skip) else { return Ok(Step::More { skip }) };
                    // What follows an error is Broken.
                    let before = core::mem::replace(&mut self.state, State::Broken);
                    let state = self.step(before, byte)?;
                    self.weigh(state)?;
                    self.state = state;
                    skip += 1;
                }
            }
        }
    }

    /// `count` bytes of the content that [`next`](Self::next) told of have been used; the next input begins after them.
    pub fn consumed(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
    }

    /// How much content comes next with no framing before it; [`u64::MAX`] where nobody knows.
    pub fn content_ahead(&self) -> u64 {
        match self.state {
            State::Length | State::Chunk => self.left,
            State::UntilClose => u64::MAX,
            _ => 0,
        }
    }

    /// Whether the body has ended, so that the next byte belongs to another message.
    pub fn is_done(&self) -> bool {
        self.state == State::Done || (self.state == State::Length && self.left == 0)
    }

    /// Whether the body is complete when the connection ends here.
    pub fn may_end_here(&self) -> bool {
        self.is_done() || self.state == State::UntilClose
    }

    /// Takes a byte of framing that comes in the state `before`; gives the state after it.
    fn step(&mut self, before: State, byte: u8) -> Result<State, Refusal> {
        let refuse = |why| Err(Refusal::bad_request(why));
        Ok(match (before, byte) {
            (State::Size(digits), _) if byte.is_ascii_hexdigit() => {
                if digits == 8 {
                    return refuse("chunk size of more than 8 digits");
                }
                self.left = self.left * 16 + u64::from(char::from(byte).to_digit(16).unwrap_or(0));
                State::Size(digits + 1)
            }
            (State::Size(1..), b';') => State::ExtensionStart,
            (State::Size(1..), b'\r') => State::SizeLf,
            (State::Size(_), _) => return refuse("malformed chunk size"),
            (State::SizeLf, b'\n') if self.left == 0 => {
                self.overhead = 0;
                State::LineStart
            }
            (State::SizeLf, b'\n') => State::Chunk,

            (State::ExtensionStart | State::ExtensionName, _) if is_token_byte(byte) => State::ExtensionName,
            (State::ExtensionName, b'=') => State::ExtensionValue,
            (State::ExtensionValue, b'"') => State::Quoted,
            (State::ExtensionValue | State::ExtensionToken, _) if is_token_byte(byte) => State::ExtensionToken,
            (State::ExtensionName | State::ExtensionToken | State::QuotedEnd, b';') => State::ExtensionStart,
            (State::ExtensionName | State::ExtensionToken | State::QuotedEnd, b'\r') => State::SizeLf,
            (State::Quoted, b'"') => State::QuotedEnd,
            (State::Quoted, b'\\') => State::QuotedPair,
            (State::Quoted | State::QuotedPair, _) if is_value_byte(byte) => State::Quoted,

            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => {
                self.left = 0;
                State::Size(0)
            }
            (State::ChunkCr | State::ChunkLf, _) => return refuse("chunk is not followed by CRLF"),

            (State::LineStart, b'\r') => State::EndLf,
            (State::LineStart, _) if is_token_byte(byte) => {
                self.name.length = 0;
                self.name.push(byte);
                State::Name
            }
            (State::Name, _) if is_token_byte(byte) => {
                self.name.push(byte);
                State::Name
            }
            (State::Name, b':') if !self.any_trailer && is_forbidden_in_trailers(self.name.get()) => {
                return refuse("field that is not allowed in trailers");
            }
            (State::Name, b':') => State::Value,
            (State::Value, b'\r') => State::ValueLf,
            (State::Value, _) if is_value_byte(byte) => State::Value,
            (State::ValueLf, b'\n') => State::LineStart,
            (State::EndLf, b'\n') => State::Done,

            (State::LineStart | State::Name | State::Value, _) => return refuse("malformed trailer field"),
            (State::SizeLf | State::ValueLf | State::EndLf, _) => return refuse("CR without LF"),
            _ => return refuse("malformed chunk extension"),
        })
    }

    /// Counts a byte that led into `state`, if it is one of those that there may not be too many of.
    fn weigh(&mut self, state: State) -> Result<(), Refusal> {
        let (most, refusal) = match state {
            State::ExtensionStart
            | State::ExtensionName
            | State::ExtensionValue
            | State::ExtensionToken
            | State::Quoted
            | State::QuotedPair
            | State::QuotedEnd => (MAX_EXTENSIONS, Refusal::bad_request("chunk extensions too long")),
            State::Name | State::Value => {
                let status = Status::REQUEST_HEADER_FIELDS_TOO_LARGE;
                (MAX_TRAILERS, Refusal { status, why: "trailer section too long" })
            }
            _ => return Ok(()),
        };
        self.overhead += 1;
        if self.overhead > most { Err(refusal) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
