//! Tasks that wait for the same thing, on one thread.

use core::task::Waker;

use embassy_time::{Duration, Instant};
use heapless::Vec;

/// How soon a task looks again that found no place to wait in.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Up to `N` waiting tasks. One more is not turned away, and pushes nobody out: it is woken after 100 ms, to look again by
/// itself.
///
/// (Waking another to make room, as is often done, has that one register again and wake the next, without end.)
///
/// Being woken says only that something may have changed: look, and [`register`](Self::register) again.
#[derive(Debug, Default)]
pub struct Waiters<const N: usize>(Vec<Waker, N>);

impl<const N: usize> Waiters<N> {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Has a task woken by the next [`wake_all`](Self::wake_all). A task takes one place however often it waits.
    pub fn register(&mut self, waker: &Waker) {
        // Compared as a clone, as those here are: an executor's waker and its clone may have tables of functions that are
        // equal but lie apart, and then do not know each other.
        let waker = waker.clone();
        if !self.0.iter().any(|w| w.will_wake(&waker))
            && let Err(waker) = self.0.push(waker)
        {
            embassy_time_driver::schedule_wake((Instant::now() + LOOK_AGAIN).as_ticks(), &waker);
        }
    }

    /// Wakes every registered task, and forgets them all.
    pub fn wake_all(&mut self) {
        while let Some(waker) = self.0.pop() {
            waker.wake();
        }
    }
}
