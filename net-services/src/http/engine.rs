//! The receiving side of one connection, between its requests: which bytes belong to a head, when it is complete, and how
//! long is waited for it. Sans-IO: it is given bytes and the time.

use net_core::time::Instant;

use super::exchange::{later, slide};
use super::head::{Head, Limits, Refusal, Scanner};
use super::{Config, Status};

/// Bytes of the buffer that a head must leave free, so that a body can be read behind it.
const WINDOW: usize = 128;

/// What to do next.
#[derive(Debug)]
pub(super) enum Step {
    /// Receive into [`Engine::space`], until [`Engine::deadline`].
    Receive,
    /// A request has begun.
    Request(Head),
    /// Answer this and close.
    Refuse(Refusal),
    /// Close without an answer: nothing was asked.
    Close,
}

/// A connection's buffer and what it is waiting for.
pub(super) struct Engine<'b> {
    config: &'b Config,
    buffer: &'b mut [u8],
    end: usize,
    scanner: Scanner,
    /// When the waiting that is now going on began.
    since: Instant,
    /// Requests whose head was complete.
    requests: u32,
}

impl<'b> Engine<'b> {
    pub(super) fn new(config: &'b Config, buffer: &'b mut [u8], now: Instant) -> Self {
        Self { config, buffer, end: 0, scanner: Scanner::new(), since: now, requests: 0 }
    }

    /// Where received bytes go. Never empty after [`Step::Receive`].
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.end..).unwrap_or_default()
    }

    /// `n` bytes have been put into [`space`](Self::space).
    pub(super) fn received(&mut self, n: usize) {
        self.end = (self.end + n).min(self.buffer.len());
    }

    /// No request has begun: this connection may be closed without harm. (An empty line between two requests, as some
    /// clients send it, begins none.)
    pub(super) fn is_idle(&self) -> bool {
        self.scanner.is_fresh()
    }

    /// At least one request was made on this connection.
    pub(super) fn is_used(&self) -> bool {
        self.requests > 0
    }

    /// Until when is waited for the next bytes.
    pub(super) fn deadline(&self) -> Instant {
        let patience = match self.requests {
            _ if !self.is_idle() => self.config.head,
            0 => self.config.first_byte,
            _ => self.config.keep_alive,
        };
        later(self.since, patience)
    }

    pub(super) fn step(&mut self, now: Instant) -> Step {
        let limits = Limits {
            target: self.config.target.min(8192),
            fields: self.config.fields.min(100),
            head: self.config.head_bytes.min(16 * 1024).min(self.buffer.len().saturating_sub(WINDOW)),
        };
        let was_idle = self.is_idle();
        let received = self.buffer.get_mut(..self.end).unwrap_or_default();
        let scanned = self.scanner.scan(received, &limits);
        if was_idle && !self.is_idle() {
            self.since = now;
        }
        match scanned {
            Ok(Some(head)) => {
                self.requests = self.requests.saturating_add(1);
                Step::Request(head)
            }
            Err(refusal) => Step::Refuse(refusal),
            Ok(None) if self.end == self.buffer.len() => Step::Refuse(self.scanner.refusal_when_full()),
            Ok(None) if now < self.deadline() => Step::Receive,
            Ok(None) if self.is_idle() => Step::Close,
            Ok(None) => {
                Step::Refuse(Refusal { status: Status::REQUEST_TIMEOUT, why: "the request head took too long" })
            }
        }
    }

    /// Whether the request just begun is the last one allowed here.
    pub(super) fn is_last(&self) -> bool {
        self.requests >= self.config.requests
    }

    /// The head of the request that has begun, and the window behind it, of which the first bytes given have been received.
    pub(super) fn split(&mut self, head: &Head) -> (&[u8], &mut [u8], usize) {
        let length = head.length.min(self.end);
        let (bytes, window) = self.buffer.split_at_mut(length);
        (bytes, window, self.end - length)
    }

    /// The request is over; `begin..end` of its window is the beginning of the next.
    pub(super) fn next(&mut self, head: &Head, begin: usize, end: usize, now: Instant) {
        let (begin, end) = (head.length + begin, (head.length + end).min(self.buffer.len()));
        let begin = begin.min(end);
        slide(self.buffer, begin..end, 0);
        self.end = end - begin;
        self.scanner = Scanner::new();
        self.since = now;
    }
}
