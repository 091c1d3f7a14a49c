//! Data by the megabyte, of which not a byte may be lost, doubled or changed.

use std::io::{Read, Write};
use std::net::TcpStream;

/// What is sent and received at once.
const PIECE: usize = 16 * 1024;

/// The same bytes for whoever begins with the same seed (xorshift64).
struct Bytes(u64);

impl Bytes {
    fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed | 1 << 63)
    }

    fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// `size` bytes, which depend on `seed`.
pub fn data(seed: u64, size: usize) -> Vec<u8> {
    let mut data = vec![0; size];
    Bytes::new(seed).fill(&mut data);
    data
}

/// Sends [`data`].
///
/// # Panics
/// When the peer does not take them.
#[track_caller]
pub fn send_data(mut stream: &TcpStream, seed: u64, size: usize) {
    let (mut bytes, mut piece) = (Bytes::new(seed), [0; PIECE]);
    let mut done = 0;
    while done < size {
        let n = PIECE.min(size - done);
        bytes.fill(&mut piece[..n]);
        stream.write_all(&piece[..n]).unwrap_or_else(|error| panic!("{error}, after {done} bytes sent"));
        done += n;
    }
}

/// Receives what [`send_data`] sends.
///
/// # Panics
/// When it is not that, or ends early.
#[track_caller]
pub fn expect_data(mut stream: &TcpStream, seed: u64, size: usize) {
    let (mut bytes, mut expected, mut piece) = (Bytes::new(seed), [0; PIECE], [0; PIECE]);
    let mut done = 0;
    while done < size {
        let n = PIECE.min(size - done);
        bytes.fill(&mut expected[..n]);
        stream.read_exact(&mut piece[..n]).unwrap_or_else(|error| panic!("{error}, after {done} bytes received"));
        assert!(piece[..n] == expected[..n], "not what was sent, within {n} bytes from {done}");
        done += n;
    }
}
