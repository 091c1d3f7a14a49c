//! Turns: connections share a thread, and one whose client always has more to give, or always takes more, would never
//! let the others have it.

use core::task::{Context, Poll};

use net_core::Error;
use net_core::nal::ByteStream;

/// So often in a row a connection reads or writes without having to wait. Then it lets others go first.
const TURNS: u8 = 32;

/// A stream that makes its task pause now and then.
pub(super) struct Turns<'s> {
    stream: &'s mut dyn ByteStream,
    left: u8,
}

impl<'s> Turns<'s> {
    pub(super) fn new(stream: &'s mut dyn ByteStream) -> Self {
        Self { stream, left: TURNS }
    }

    fn turn<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: impl FnOnce(&mut dyn ByteStream, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if self.left == 0 {
            self.left = TURNS;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let result = attempt(self.stream, cx);
        self.left = if result.is_ready() { self.left - 1 } else { TURNS };
        result
    }
}

impl ByteStream for Turns<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        self.turn(cx, |stream, cx| stream.poll_read(cx, buffer))
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.stream.poll_readable(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        self.turn(cx, |stream, cx| stream.poll_write(cx, data))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.stream.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.stream.poll_finish(cx)
    }

    fn reset(&mut self) {
        self.stream.reset();
    }
}
