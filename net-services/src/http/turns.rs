//! Turns: connections share a thread, and one whose client always has more to give, or always takes more, would never
//! let the others have it.

use core::cell::Cell;
use core::task::{Context, Poll};

use net_core::Error;

use super::exchange::Wire;

/// So often in a row a connection reads or writes without having to wait. Then it lets others go first.
const TURNS: u8 = 32;

/// A connection that makes its task pause now and then.
pub(super) struct Turns<W> {
    wire: W,
    left: Cell<u8>,
}

impl<W: Wire> Turns<W> {
    pub(super) const fn new(wire: W) -> Self {
        Self { wire, left: Cell::new(TURNS) }
    }

    /// Whether it is time to pause: then the task will be woken at once.
    fn is_over(&self, cx: &Context<'_>) -> bool {
        let is_over = self.left.get() == 0;
        if is_over {
            self.left.set(TURNS);
            cx.waker().wake_by_ref();
        }
        is_over
    }

    fn count<T>(&self, result: Poll<T>) -> Poll<T> {
        self.left.set(if result.is_ready() { self.left.get().saturating_sub(1) } else { TURNS });
        result
    }
}

impl<W: Wire> Wire for Turns<W> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, Error>> {
        if self.is_over(cx) { Poll::Pending } else { self.count(self.wire.poll_read(cx, buffer)) }
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, Error>> {
        if self.is_over(cx) { Poll::Pending } else { self.count(self.wire.poll_write(cx, data)) }
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.wire.poll_finish(cx)
    }

    fn reset(&self) {
        self.wire.reset();
    }
}
