//! The decoder against the cases of the Autobahn test suite (H-18), each named by its number there; and the whole over a
//! scripted client.

mod closing;
mod framing;
mod mutations;
#[allow(clippy::large_futures)] // tests have the room
mod server;
mod text;

use std::string::String;
use std::vec::Vec;

use super::{CloseCode, Decoder, Event};

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// What the decoder told, with its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<CloseCode>, String),
    Violation(CloseCode),
}

fn told_text(text: &str) -> Told {
    Told::Text(text.into())
}

/// A client's frame. `first`: the FIN bit, reserved bits and opcode.
fn raw_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut bytes = std::vec![first];
    match payload.len() {
        n @ ..126 => bytes.push(0x80 | n as u8),
        n @ 126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// A final frame.
fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    raw_frame(0x80 | opcode, payload.as_ref())
}

/// A frame that others follow.
fn fragment(opcode: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
    raw_frame(opcode, payload.as_ref())
}

/// A Close with this code and reason.
fn close(code: u16, reason: impl AsRef<[u8]>) -> Vec<u8> {
    frame(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
}

/// A decoder, its message buffer, and what it has told.
struct Run {
    decoder: Decoder,
    message: Vec<u8>,
    told: Vec<Told>,
}

impl Run {
    fn new(room: usize) -> Self {
        Self { decoder: Decoder::new(), message: std::vec![0; room], told: Vec::new() }
    }

    /// Gives it a piece of input.
    fn feed(&mut self, mut input: &[u8]) {
        loop {
            let decoded = match self.decoder.decode(input, &mut self.message) {
                Ok(decoded) => decoded,
                Err(violation) => {
                    let told = Told::Violation(violation.code);
                    if self.told.last() != Some(&told) {
                        self.told.push(told);
                    }
                    return;
                }
            };
            input = &input[decoded.taken..];
            let payload = || self.decoder.payload().to_vec();
            self.told.push(match decoded.event {
                None => {
                    assert!(input.is_empty(), "input left over without an event");
                    return;
                }
                Some(Event::Text(n)) => Told::Text(String::from_utf8(self.message[..n].to_vec()).unwrap()),
                Some(Event::Binary(n)) => Told::Binary(self.message[..n].to_vec()),
                Some(Event::Ping) => Told::Ping(payload()),
                Some(Event::Pong) => Told::Pong(payload()),
                Some(Event::Close(code)) => Told::Close(code, self.decoder.reason().into()),
            });
        }
    }
}

const ROOM: usize = 65536;

/// What is told of `input` given in pieces of `size`.
fn decode_in_pieces(input: &[u8], size: usize) -> Vec<Told> {
    let mut run = Run::new(ROOM);
    for piece in input.chunks(size) {
        run.feed(piece);
    }
    run.told
}

/// What is told of these frames, which is the same however they are cut: at once, byte by byte, and in two pieces cut at
/// every byte (of what is short enough for that).
fn decode(frames: &[Vec<u8>]) -> Vec<Told> {
    let input = frames.concat();
    let told = decode_in_pieces(&input, input.len());
    for size in [1, 2, 3, 7, 997] {
        assert_eq!(decode_in_pieces(&input, size), told, "in pieces of {size}");
    }
    if input.len() < 1000 {
        for at in 0..input.len() {
            let mut run = Run::new(ROOM);
            run.feed(&input[..at]);
            run.feed(&input[at..]);
            assert_eq!(run.told, told, "cut at {at}");
        }
    }
    told
}

const PROTOCOL_ERROR: Told = Told::Violation(CloseCode::PROTOCOL_ERROR);
const TOO_BIG: Told = Told::Violation(CloseCode::MESSAGE_TOO_BIG);
const NOT_UTF8: Told = Told::Violation(CloseCode::INVALID_PAYLOAD);
