//! Runs futures in virtual time: when nothing can go on, the clock jumps to the next timer.
//!
//! Hours of protocol time pass in milliseconds, and every run of a test takes the same steps. Each thread has a clock
//! of its own, so tests run side by side. A program that links this crate gets its `embassy-time` driver from it, so
//! only tests do.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// No test has a use for more virtual time than this (30 days): beyond it, it is waiting for what never comes.
const LIMIT: u64 = 30 * 24 * 3600 * embassy_time_driver::TICK_HZ;
/// A future that is polled so often while the clock stands still wakes itself without end.
const POLLS_PER_INSTANT: u32 = 1_000_000;

thread_local! {
    static NOW: Cell<u64> = const { Cell::new(0) };
    static TIMERS: RefCell<Vec<(u64, Waker)>> = const { RefCell::new(Vec::new()) };
}

struct VirtualTime;

impl embassy_time_driver::Driver for VirtualTime {
    fn now(&self) -> u64 {
        NOW.get()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // Compared as a clone, as those in the queue are: a waker and its clone need not know each other.
        let waker = waker.clone();
        TIMERS.with_borrow_mut(|timers| match timers.iter_mut().find(|(_, w)| w.will_wake(&waker)) {
            Some((earliest, _)) => *earliest = at.min(*earliest),
            None => timers.push((at, waker)),
        });
    }
}

#[allow(unsafe_code)] // the macro exports the driver's two symbols unmangled; there is no other way to supply one
mod driver {
    use super::VirtualTime;
    embassy_time_driver::time_driver_impl!(static DRIVER: VirtualTime = VirtualTime);
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `future` to its end.
///
/// # Panics
/// When it waits and there is no timer left that could wake it, and when it wakes itself without end.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let flag = Arc::new(Flag(AtomicBool::new(false)));
    let waker = Waker::from(flag.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut polls = 0;
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        polls += 1;
        assert!(polls < POLLS_PER_INSTANT, "a future wakes itself without end at tick {}", NOW.get());
        if !flag.0.swap(false, Ordering::Acquire) {
            advance();
            polls = 0;
            flag.0.store(false, Ordering::Release);
        }
    }
}

/// Jumps to the earliest timer and wakes what waits for it.
fn advance() {
    let due = TIMERS.with_borrow_mut(|timers| {
        let at = timers.iter().map(|(at, _)| *at).min();
        #[allow(clippy::panic)] // this crate is for tests, and this is how one fails
        let Some(at) = at else { panic!("the test waits for something that can never happen") };
        NOW.set(NOW.get().max(at));
        assert!(NOW.get() < LIMIT, "the test waits for something that does not happen in 30 days");
        let (due, later) = timers.drain(..).partition(|(t, _)| *t <= NOW.get());
        *timers = later;
        due
    });
    let due: Vec<(u64, Waker)> = due;
    for (_, waker) in due {
        waker.wake();
    }
}

/// Polls `futures` side by side until all have ended.
pub async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// Gives `future` a waker of its own, as a task of an executor has one: it is polled only when it was woken.
pub async fn own_task<F: Future>(future: F) -> F::Output {
    struct Task {
        woken: AtomicBool,
        parent: Waker,
    }
    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, Ordering::Release);
            self.parent.wake_by_ref();
        }
    }
    let parent = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let task = Arc::new(Task { woken: AtomicBool::new(true), parent });
    let waker = Waker::from(task.clone());
    let mut future = pin!(future);
    poll_fn(|_| {
        if !task.woken.swap(false, Ordering::Acquire) {
            return Poll::Pending;
        }
        future.as_mut().poll(&mut Context::from_waker(&waker))
    })
    .await
}

/// Counts in `polls` how often `future` is polled.
pub async fn counting_polls<F: Future>(polls: &Cell<u32>, future: F) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        polls.set(polls.get() + 1);
        future.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use embassy_time::{Duration, Instant, Timer};

    use super::*;

    #[test]
    fn an_hour_passes_at_once_and_exactly() {
        let began = Instant::now();
        block_on(Timer::after(Duration::from_secs(3600)));
        assert_eq!(began.elapsed(), Duration::from_secs(3600));
    }

    #[test]
    fn timers_fire_in_order() {
        let order = RefCell::new(Vec::new());
        let wait = |ms| {
            let order = &order;
            own_task(async move {
                Timer::after(Duration::from_millis(ms)).await;
                order.borrow_mut().push(ms);
            })
        };
        block_on(join_all(vec![wait(30), wait(10), wait(20)]));
        assert_eq!(order.into_inner(), [10, 20, 30]);
    }

    #[test]
    #[should_panic(expected = "can never happen")]
    fn waiting_for_nothing_is_told() {
        block_on(std::future::pending::<()>());
    }
}
