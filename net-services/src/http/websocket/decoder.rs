//! What a client sends, frame by frame: the rules of RFC 6455 section 5 that a server has to enforce.

use core::fmt;

use edge_ws::{FrameHeader, FrameType};

use super::CloseCode;
use super::frame::CONTROL;

/// A rule that the client broke, and the code that the connection is closed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// [`PROTOCOL_ERROR`](CloseCode::PROTOCOL_ERROR), [`INVALID_PAYLOAD`](CloseCode::INVALID_PAYLOAD) or
    /// [`MESSAGE_TOO_BIG`](CloseCode::MESSAGE_TOO_BIG).
    pub code: CloseCode,
    /// What was wrong, in plain words.
    pub why: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (close code {})", self.why, self.code)
    }
}

const fn protocol(why: &'static str) -> Violation {
    Violation { code: CloseCode::PROTOCOL_ERROR, why }
}

const NOT_UTF8: Violation = Violation { code: CloseCode::INVALID_PAYLOAD, why: "text is not UTF-8" };
const TOO_BIG: Violation = Violation { code: CloseCode::MESSAGE_TOO_BIG, why: "message larger than the buffer for it" };

/// Something that the client has sent whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A text of so many bytes, UTF-8, at the front of the message buffer.
    Text(usize),
    /// So many bytes at the front of the message buffer.
    Binary(usize),
    /// A Ping. It wants a Pong with the same [`payload`](Decoder::payload).
    Ping,
    /// A Pong, asked for or not.
    Pong,
    /// A Close, with its code if it has one and a reason ([`Decoder::reason`]). Whatever follows is ignored.
    Close(Option<CloseCode>),
}

/// How far [`Decoder::decode`] got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that have been taken; the caller gives the rest again. All of it, unless there is an event.
    pub taken: usize,
    /// What has become complete, if anything.
    pub event: Option<Event>,
}

/// A frame whose header is complete.
#[derive(Debug, Clone, Copy)]
struct Frame {
    frame_type: FrameType,
    mask: Option<u32>,
    /// Bytes of payload that have come; only counted modulo 4, for the mask.
    phase: usize,
    /// Bytes of payload still to come.
    remaining: u64,
}

/// Reads frames from pieces of any size, and puts fragments together.
///
/// It does no input or output and keeps no message: that is put together in a buffer of the caller's, which must be
/// the same from call to call until the message is complete. Its length is the limit for messages.
///
/// Text is checked as it comes: the first byte that cannot be UTF-8 is an error at once, not only at the end of the message.
#[derive(Debug)]
pub struct Decoder {
    header: [u8; FrameHeader::MAX_LEN],
    header_length: usize,
    frame: Option<Frame>,
    /// Whether the message being put together is text, while there is one.
    text: Option<bool>,
    /// Bytes of that message in the buffer, and how many of them are known to be UTF-8.
    length: usize,
    valid: usize,
    /// The payload of the last control frame.
    control: [u8; CONTROL],
    control_length: usize,
    discarding: bool,
    closed: bool,
    failed: Option<Violation>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// One for the bytes behind the head of the request.
    pub const fn new() -> Self {
        Self {
            header: [0; FrameHeader::MAX_LEN],
            header_length: 0,
            frame: None,
            text: None,
            length: 0,
            valid: 0,
            control: [0; CONTROL],
            control_length: 0,
            discarding: false,
            closed: false,
            failed: None,
        }
    }

    /// From now on messages are read over: neither kept nor limited in size nor told. For the time between our Close and
    /// the client's.
    pub fn discard_messages(&mut self) {
        self.discarding = true;
    }

    /// The payload of the last Ping, Pong or Close, at most 125 bytes.
    pub fn payload(&self) -> &[u8] {
        self.control.get(..self.control_length).unwrap_or_default()
    }

    /// The reason in the last Close, at most 123 bytes.
    pub fn reason(&self) -> &str {
        self.payload().get(2..).and_then(|reason| str::from_utf8(reason).ok()).unwrap_or_default()
    }

    /// Takes bytes from the front of `input` until something is complete or nothing is left.
    ///
    /// # Errors
    /// The first rule that the client broke, and the same again on every later call.
    pub fn decode(&mut self, input: &[u8], message: &mut [u8]) -> Result<Decoded, Violation> {
        if let Some(violation) = self.failed {
            return Err(violation);
        }
        self.step(input, message).inspect_err(|violation| self.failed = Some(*violation))
    }

    fn step(&mut self, input: &[u8], message: &mut [u8]) -> Result<Decoded, Violation> {
        let mut rest = input;
        loop {
            if self.closed {
                return Ok(Decoded { taken: input.len(), event: None });
            }
            let frame = match self.frame {
                Some(frame) => frame,
                None => match self.read_header(&mut rest, message.len())? {
                    Some(frame) => frame,
                    None => return Ok(Decoded { taken: input.len(), event: None }),
                },
            };
            let come = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(rest.len());
            let (payload, behind) = rest.split_at_checked(come).unwrap_or_default();
            rest = behind;
            if is_control(frame.frame_type) {
                self.control_length = append(&mut self.control, self.control_length, payload, frame)?;
            } else if !self.discarding {
                self.length = append(message, self.length, payload, frame)?;
                self.check_text(message)?;
            }
            let remaining = frame.remaining.saturating_sub(come as u64);
            if remaining > 0 {
                self.frame = Some(Frame { phase: (frame.phase + come) % 4, remaining, ..frame });
                return Ok(Decoded { taken: input.len(), event: None });
            }
            self.frame = None;
            if let Some(event) = self.end_of_frame(frame.frame_type)? {
                return Ok(Decoded { taken: input.len() - rest.len(), event: Some(event) });
            }
        }
    }

    /// Takes header bytes from `input`, until the header is complete or there are no more.
    fn read_header(&mut self, input: &mut &[u8], room: usize) -> Result<Option<Frame>, Violation> {
        loop {
            let have = self.header.get(..self.header_length).unwrap_or_default();
            if let [first, second] = *have {
                self.check_start(first, second)?;
            }
            let missing = match FrameHeader::deserialize(have) {
                Ok((header, _)) => {
                    self.header_length = 0;
                    return self.begin_frame(&header, room).map(Some);
                }
                Err(edge_ws::Error::Incomplete(missing)) => missing,
                Err(_) => return Err(protocol("reserved bit or opcode")),
            };
            let (bytes, rest) = input.split_at_checked(missing).unwrap_or((*input, &[]));
            *input = rest;
            for (to, from) in self.header.iter_mut().skip(self.header_length).zip(bytes) {
                *to = *from;
            }
            self.header_length += bytes.len();
            if bytes.len() < missing {
                return Ok(None);
            }
        }
    }

    /// What the first two bytes of a header tell already.
    fn check_start(&self, first: u8, second: u8) -> Result<(), Violation> {
        let (last, opcode) = (first & 0x80 != 0, first & 0x0f);
        if second & 0x80 == 0 {
            return Err(protocol("frame without a mask"));
        }
        match (opcode, self.text) {
            (8.., _) if !last => Err(protocol("fragmented control frame")),
            (8.., _) if usize::from(second & 0x7f) > CONTROL => Err(protocol("control frame of more than 125 bytes")),
            (0, None) => Err(protocol("continuation of nothing")),
            (1 | 2, Some(_)) => Err(protocol("new message before the end of the last")),
            _ => Ok(()),
        }
    }

    /// What the whole header tells. `room`: bytes of the message buffer.
    fn begin_frame(&mut self, header: &FrameHeader, room: usize) -> Result<Frame, Violation> {
        let length = header.payload_len;
        let form = self.header.get(1).map_or(0, |byte| byte & 0x7f);
        if (form == 126 && length < 126) || (form == 127 && length <= 0xffff) {
            return Err(protocol("length in more bytes than it needs"));
        }
        if length > i64::MAX as u64 {
            return Err(protocol("length of more than 63 bits"));
        }
        match header.frame_type {
            FrameType::Text(_) => self.text = Some(true),
            FrameType::Binary(_) => self.text = Some(false),
            FrameType::Continue(_) => {}
            FrameType::Ping | FrameType::Pong | FrameType::Close => self.control_length = 0,
        }
        if !is_control(header.frame_type)
            && !self.discarding
            && (self.length as u64).saturating_add(length) > room as u64
        {
            return Err(TOO_BIG);
        }
        Ok(Frame { frame_type: header.frame_type, mask: header.mask_key, phase: 0, remaining: length })
    }

    /// Looks at the part of a text that has not been looked at. It may end within a character.
    fn check_text(&mut self, message: &[u8]) -> Result<(), Violation> {
        if self.text == Some(true) {
            match str::from_utf8(message.get(self.valid..self.length).unwrap_or_default()) {
                Ok(_) => self.valid = self.length,
                Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
                Err(_) => return Err(NOT_UTF8),
            }
        }
        Ok(())
    }

    fn end_of_frame(&mut self, frame_type: FrameType) -> Result<Option<Event>, Violation> {
        match frame_type {
            FrameType::Ping => Ok(Some(Event::Ping)),
            FrameType::Pong => Ok(Some(Event::Pong)),
            FrameType::Close => {
                self.closed = true;
                self.close_code().map(|code| Some(Event::Close(code)))
            }
            data if !data.is_final() => Ok(None),
            _ => {
                let (length, valid) = (core::mem::take(&mut self.length), core::mem::take(&mut self.valid));
                match self.text.take() {
                    _ if self.discarding => Ok(None),
                    Some(true) if valid < length => Err(NOT_UTF8),
                    Some(true) => Ok(Some(Event::Text(length))),
                    _ => Ok(Some(Event::Binary(length))),
                }
            }
        }
    }

    fn close_code(&self) -> Result<Option<CloseCode>, Violation> {
        match self.payload() {
            [] => Ok(None),
            [high, low, reason @ ..] => {
                let code = CloseCode::new(u16::from_be_bytes([*high, *low])).ok_or(protocol("invalid close code"))?;
                match str::from_utf8(reason) {
                    Ok(_) => Ok(Some(code)),
                    Err(_) => Err(Violation { why: "close reason is not UTF-8", ..NOT_UTF8 }),
                }
            }
            [_] => Err(protocol("half a close code")),
        }
    }
}

fn is_control(frame_type: FrameType) -> bool {
    matches!(frame_type, FrameType::Ping | FrameType::Pong | FrameType::Close)
}

/// Puts payload behind the `length` bytes that are in `buffer`, without its mask. Gives the new length.
fn append(buffer: &mut [u8], length: usize, payload: &[u8], frame: Frame) -> Result<usize, Violation> {
    let room = buffer.get_mut(length..).and_then(|room| room.get_mut(..payload.len())).ok_or(TOO_BIG)?;
    room.copy_from_slice(payload);
    FrameHeader::mask_with(room, frame.mask, frame.phase);
    Ok(length + payload.len())
}
