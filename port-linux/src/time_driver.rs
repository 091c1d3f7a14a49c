//! Time for `embassy-time` on a computer, driven by tokio.
//!
//! A tick is a microsecond of CLOCK_MONOTONIC. Wake-ups have tokio's resolution: up to a millisecond late, never early.
//!
//! Each thread has a timer queue of its own, emptied by the [`drive`] future that [`block_on`](crate::block_on) runs
//! there. A timer that is polled on a thread without it never fires.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use tokio::time::{Instant, sleep_until};

/// Far enough away that no program waits for it, near enough that no clock arithmetic overflows.
const LATER: Duration = Duration::from_secs(24 * 3600);

struct Queue {
    /// One entry for each waker: a task that is polled again and again takes one place, not one for each poll.
    timers: Vec<(u64, Waker)>,
    /// The tick that `drive` sleeps until.
    armed: u64,
    driver: Option<Waker>,
}

thread_local! {
    static QUEUE: RefCell<Queue> = const { RefCell::new(Queue { timers: Vec::new(), armed: u64::MAX, driver: None }) };
}

struct Monotonic;

impl embassy_time_driver::Driver for Monotonic {
    fn now(&self) -> u64 {
        now()
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // Compared as a clone, as those in the queue are: an executor's waker and its clone may have tables of functions
        // that are equal but lie apart, and then do not know each other.
        let waker = waker.clone();
        let driver = QUEUE.with_borrow_mut(|queue| {
            match queue.timers.iter_mut().find(|(_, w)| w.will_wake(&waker)) {
                Some((earliest, _)) => *earliest = at.min(*earliest),
                None => queue.timers.push((at, waker)),
            }
            if at >= queue.armed {
                return None;
            }
            queue.armed = at;
            queue.driver.take()
        });
        if let Some(driver) = driver {
            driver.wake();
        }
    }
}

#[allow(unsafe_code)] // the macro exports the driver's two symbols unmangled; there is no other way to supply one
mod driver {
    use super::Monotonic;
    embassy_time_driver::time_driver_impl!(static DRIVER: Monotonic = Monotonic);
}

fn now() -> u64 {
    // The call can only fail for a clock that does not exist.
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |t| t.tv_sec() as u64 * 1_000_000 + t.tv_nsec() as u64 / 1000)
}

/// Wakes what is due on this thread, for ever. One such future for each thread.
pub(crate) async fn drive() {
    let mut sleep = pin!(sleep_until(Instant::now() + LATER));
    poll_fn(|cx| {
        loop {
            let now = now();
            let (mut due, next): (Vec<_>, _) = QUEUE.with_borrow_mut(|queue| {
                let due = queue.timers.extract_if(.., |(at, _)| *at <= now).collect();
                queue.armed = queue.timers.iter().map(|(at, _)| *at).min().unwrap_or(u64::MAX);
                queue.driver = Some(cx.waker().clone());
                (due, queue.armed)
            });
            // Those that are late together still come in their order.
            due.sort_by_key(|(at, _)| *at);
            for (_, waker) in due {
                waker.wake();
            }
            let wait = Duration::from_micros(next.saturating_sub(now)).min(LATER);
            sleep.as_mut().reset(Instant::now() + wait);
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::mpsc;

    use net_core::time::{Duration, Instant, Timer, with_timeout};

    use super::*;
    use crate::block_on;

    #[test]
    fn timers_fire_in_order_and_never_early() {
        let order = Rc::new(RefCell::new(Vec::new()));
        block_on(async {
            let began = Instant::now();
            let tasks: Vec<_> = [30u64, 10, 20]
                .into_iter()
                .map(|ms| {
                    let order = order.clone();
                    tokio::task::spawn_local(async move {
                        Timer::at(began + Duration::from_millis(ms)).await;
                        assert!(began.elapsed() >= Duration::from_millis(ms));
                        order.borrow_mut().push(ms);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        })
        .unwrap();
        assert_eq!(*order.borrow(), [10, 20, 30]);
    }

    #[test]
    fn an_earlier_timer_is_not_held_up_by_a_later_one_that_is_already_waited_for() {
        block_on(async {
            let long = tokio::task::spawn_local(Timer::after(Duration::from_secs(3600)));
            // The hour is being slept for by now.
            Timer::after(Duration::from_millis(1)).await;
            Timer::after(Duration::from_millis(1)).await;
            assert!(!long.is_finished());
            long.abort();
        })
        .unwrap();
    }

    #[test]
    fn waiting_does_not_spin() {
        let polls = Cell::new(0);
        block_on(async {
            let mut timer = pin!(Timer::after(Duration::from_millis(50)));
            poll_fn(|cx| {
                polls.set(polls.get() + 1);
                timer.as_mut().poll(cx)
            })
            .await;
        })
        .unwrap();
        assert!(polls.get() <= 4, "{} polls", polls.get());
    }

    #[test]
    fn a_task_that_is_polled_often_takes_one_place_in_the_queue() {
        block_on(async {
            let mut timer = pin!(Timer::after(Duration::from_secs(3600)));
            for _ in 0..1000 {
                poll_fn(|cx| Poll::Ready(timer.as_mut().poll(cx).is_pending())).await;
            }
            assert!(QUEUE.with_borrow(|queue| queue.timers.len()) <= 1);
        })
        .unwrap();
    }

    #[test]
    fn another_thread_can_wake_what_also_waits_for_a_timer() {
        let (sender, receiver) = mpsc::channel::<Waker>();
        let thread = std::thread::spawn(move || receiver.recv().unwrap().wake());
        let got = block_on(async {
            let mut polls = 0;
            let woken = poll_fn(|cx| {
                polls += 1;
                if polls == 1 {
                    sender.send(cx.waker().clone()).unwrap();
                    return Poll::Pending;
                }
                Poll::Ready(())
            });
            with_timeout(Duration::from_secs(60), woken).await
        })
        .unwrap();
        thread.join().unwrap();
        assert_eq!(got, Ok(()));
    }

    #[test]
    fn a_thread_can_block_again_after_leaving_a_timer_behind() {
        block_on(async {
            let mut left = pin!(Timer::after(Duration::from_millis(5)));
            poll_fn(|cx| Poll::Ready(left.as_mut().poll(cx).is_pending())).await
        })
        .unwrap();
        block_on(Timer::after(Duration::from_millis(10))).unwrap();
    }
}
