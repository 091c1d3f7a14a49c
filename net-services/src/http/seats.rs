//! The places of a server: which connection has which, and which one has to go when another wants in.

use core::cell::{Cell, RefCell};
use core::task::{Context, Poll, Waker};

use net_core::time::Instant;

/// What the connection in one place is doing, as far as others need to know.
#[derive(Debug, Default)]
pub(super) struct Seat {
    is_taken: Cell<bool>,
    /// Since when it has waited for a request.
    idle: Cell<Option<Instant>>,
    /// It is to close when it is idle.
    leaving: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// Who wants to know of any change here.
    watcher: RefCell<Option<Waker>>,
}

impl Seat {
    pub(super) const fn new() -> Self {
        Self {
            is_taken: Cell::new(false),
            idle: Cell::new(None),
            leaving: Cell::new(false),
            waker: RefCell::new(None),
            watcher: RefCell::new(None),
        }
    }

    pub(super) fn is_taken(&self) -> bool {
        self.is_taken.get()
    }

    pub(super) fn idle(&self) -> Option<Instant> {
        self.idle.get()
    }

    pub(super) fn set_idle(&self, since: Option<Instant>) {
        if self.idle.replace(since) != since {
            self.tell();
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.get()
    }

    /// Whether the connection here has to go; if not, the task is woken when it has.
    pub(super) fn poll_leave(&self, cx: &Context<'_>) -> bool {
        keep(&self.waker, cx.waker());
        self.leaving.get()
    }

    /// Has the connection here close as soon as it is idle.
    pub(super) fn leave(&self) {
        if !self.leaving.replace(true) {
            wake(&self.waker);
        }
    }

    /// Somebody gets the place.
    pub(super) fn take(&self) {
        self.is_taken.set(true);
        self.leaving.set(false);
        wake(&self.waker);
    }

    /// Nobody has it any more.
    pub(super) fn free(&self) {
        self.is_taken.set(false);
        self.idle.set(None);
        self.tell();
    }

    /// Ready when somebody has got this place.
    pub(super) fn poll_taken(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_taken.get() {
            return Poll::Ready(());
        }
        keep(&self.waker, cx.waker());
        Poll::Pending
    }

    /// Has the task woken when the place becomes free or idle.
    pub(super) fn watch(&self, cx: &Context<'_>) {
        keep(&self.watcher, cx.waker());
    }

    fn tell(&self) {
        wake(&self.watcher);
    }
}

fn keep(place: &RefCell<Option<Waker>>, waker: &Waker) {
    let mut place = place.borrow_mut();
    if !place.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
        *place = Some(waker.clone());
    }
}

fn wake(place: &RefCell<Option<Waker>>) {
    let waker = place.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}
