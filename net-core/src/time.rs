//! Time: monotonic, from `embassy-time`, and the time of day, from a [`Clock`].

use core::cell::Cell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::events::{Event, EventLog};

pub use embassy_time::{Duration, Instant, TimeoutError, Timer, with_deadline, with_timeout};

/// A time span that can be added to any moment that a device will see: a longer one is a year. (`Duration::MAX`, which
/// means "for ever", would overflow.)
pub fn bounded(span: Duration) -> Duration {
    span.min(Duration::from_secs(365 * 24 * 3600))
}

/// Ready at that moment; until then the task is woken at it.
///
/// For what waits for something else too, and is to be small: nothing is kept in the meantime.
pub fn poll_until(at: Instant, cx: &mut Context<'_>) -> Poll<()> {
    if Instant::now() >= at {
        return Poll::Ready(());
    }
    // A timer is ready only when it is polled again.
    let _ = Pin::new(&mut Timer::at(at)).poll(cx);
    Poll::Pending
}

/// A moment of the time of day: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
///
/// It reaches from the year 1970 to beyond 290,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnixTime(u64);

impl UnixTime {
    /// From microseconds since the epoch.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the epoch. Values beyond the range are the last representable second.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    pub const fn as_secs(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The microseconds beyond [`as_secs`](Self::as_secs), 0 to 999,999.
    pub const fn subsec_micros(self) -> u32 {
        (self.0 % 1_000_000) as u32
    }
}

/// The device's time of day. A port supplies one; SNTP sets it; TLS and scripts read it.
///
/// It is apart from [`Instant`], which never jumps: use that for timeouts.
pub trait Clock {
    /// The time of day, or `None` until something has set the clock.
    fn now(&self) -> Option<UnixTime>;

    /// Sets the clock at once, forwards or backwards, and tells it in an [`Event::TimeSet`].
    fn set(&self, time: UnixTime);
}

/// A [`Clock`] that counts on from where it was set by the monotonic clock, for a device without a clock chip, or over
/// one: read the chip at start-up and [`set`](Clock::set) this.
#[derive(Debug, Default)]
pub struct SoftClock {
    // (moment of setting, time of day then)
    set_at: Cell<Option<(Instant, UnixTime)>>,
    events: EventLog,
}

impl SoftClock {
    /// A clock that nobody has set yet.
    pub const fn new() -> Self {
        Self { set_at: Cell::new(None), events: EventLog::new() }
    }

    /// Where [`Event::TimeSet`] is told.
    pub fn events(&self) -> &EventLog {
        &self.events
    }
}

impl Clock for SoftClock {
    fn now(&self) -> Option<UnixTime> {
        let (at, time) = self.set_at.get()?;
        Some(UnixTime(time.0.saturating_add(at.elapsed().as_micros())))
    }

    fn set(&self, time: UnixTime) {
        self.set_at.set(Some((Instant::now(), time)));
        self.events.push(Event::TimeSet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_counts_on_from_where_it_was_set_and_tells_it() {
        virtual_time::block_on(async {
            let clock = SoftClock::new();
            let mut events = clock.events().subscribe();
            assert_eq!(clock.now(), None);
            clock.set(UnixTime::from_secs(1_700_000_000));
            Timer::after(Duration::from_millis(1500)).await;
            let now = clock.now().unwrap();
            assert_eq!((now.as_secs(), now.subsec_micros()), (1_700_000_001, 500_000));
            assert_eq!(events.next().await, Event::TimeSet);
        });
    }
}
