//! What a script has sent on a TCP socket and the peer has not acknowledged yet.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::limits;

/// A bounded queue of bytes that remembers where each `send` ended. Positions count from the start of the connection.
#[derive(Default)]
pub(super) struct Outgoing {
    /// Bytes not written to the stack yet.
    bytes: VecDeque<u8>,
    /// Where each `send` ends that is not acknowledged as a whole.
    ends: VecDeque<u64>,
    accepted: u64,
    written: u64,
    acknowledged: u64,
}

impl Outgoing {
    /// Takes `data` as a whole, or nothing of it when it does not fit.
    pub(super) fn push(&mut self, data: &[u8]) -> bool {
        let waiting = self.accepted - self.acknowledged;
        if waiting + data.len() as u64 > limits::SEND_QUEUE as u64 {
            return false;
        }
        self.bytes.extend(data);
        self.accepted += data.len() as u64;
        self.ends.push_back(self.accepted);
        true
    }

    /// The next bytes to write, if any.
    pub(super) fn next_piece(&self) -> Option<Vec<u8>> {
        let (piece, _) = self.bytes.as_slices();
        (!piece.is_empty()).then(|| piece.to_vec())
    }

    pub(super) fn has_bytes(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// So many of the next bytes have been written.
    pub(super) fn wrote(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        self.written += count as u64;
    }

    /// Of what has been written, so much is unacknowledged now. How many sends are thereby complete, and whether
    /// anything new was acknowledged.
    pub(super) fn unacknowledged(&mut self, count: usize) -> (usize, bool) {
        let acknowledged = self.written.saturating_sub(count as u64);
        let progress = acknowledged > self.acknowledged;
        self.acknowledged = self.acknowledged.max(acknowledged);
        let complete = self.ends.iter().take_while(|end| **end <= self.acknowledged).count();
        self.ends.drain(..complete);
        (complete, progress)
    }

    /// Whether all that was sent has been acknowledged.
    pub(super) fn is_done(&self) -> bool {
        self.ends.is_empty()
    }
}
