//! Moments in four bytes.

use net_core::time::{Duration, Instant};

/// A moment in milliseconds, which repeats after 49 days. Only moments less than half as long apart are compared; where a
/// moment may be older than that, being mistaken for a recent one does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Millis(u32);

impl Millis {
    pub(super) const START: Self = Self(0);

    /// The millisecond that has begun.
    #[inline(never)]
    pub(super) fn floor(now: Instant) -> Self {
        Self(now.as_millis() as u32)
    }

    /// The next millisecond, unless this one begins just now: counted from it, a delay is never too short.
    #[inline(never)]
    pub(super) fn ceil(now: Instant) -> Self {
        Self(now.as_micros().div_ceil(1000) as u32)
    }

    pub(super) fn plus(self, delay: Duration) -> Self {
        Self(self.0.wrapping_add(delay.as_millis() as u32))
    }

    /// Milliseconds from `earlier` until this moment, negative if it comes first.
    pub(super) fn since(self, earlier: Self) -> i32 {
        self.0.wrapping_sub(earlier.0) as i32
    }

    pub(super) fn has_come(self, now: Instant) -> bool {
        Self::floor(now).since(self) >= 0
    }

    /// The moment as it is seen from `now`; `now` if it has come.
    #[inline(never)]
    pub(super) fn instant(self, now: Instant) -> Instant {
        let ahead = self.since(Self::floor(now));
        if ahead <= 0 {
            return now;
        }
        Instant::from_millis(now.as_millis()) + Duration::from_millis(ahead.unsigned_abs().into())
    }

    /// The earlier one.
    pub(super) fn min(self, other: Self) -> Self {
        if self.since(other) <= 0 { self } else { other }
    }

    /// The later one.
    pub(super) fn max(self, other: Self) -> Self {
        if self.since(other) >= 0 { self } else { other }
    }
}

/// The earlier of two moments that may come.
#[inline(never)]
pub(super) fn earliest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) if b < a => Some(b),
        (None, b) => b,
        (a, _) => a,
    }
}

/// The last time that something was done, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LastTime(Option<core::num::NonZeroU32>);

impl LastTime {
    pub(super) const NEVER: Self = Self(None);

    pub(super) fn at(now: Instant) -> Self {
        // One millisecond in 49 days counts as the next one.
        Self(core::num::NonZeroU32::new(Millis::ceil(now).0.max(1)))
    }

    /// Whether it was less than `span` ago.
    #[inline(never)]
    pub(super) fn is_within(self, span: Duration, now: Instant) -> bool {
        self.0.is_some_and(|at| {
            let ago = Millis::floor(now).0.wrapping_sub(at.get());
            // A little in the future: it was rounded up.
            u64::from(ago) < span.as_millis() || ago == u32::MAX || ago == u32::MAX - 1
        })
    }

    /// When `span` will have passed since then; `now` if it has.
    #[inline(never)]
    pub(super) fn end_of(self, span: Duration, now: Instant) -> Millis {
        match self.0 {
            Some(at) if self.is_within(span, now) => Millis(at.get()).plus(span),
            _ => Millis::floor(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn delays_are_never_too_short_and_survive_the_wrap() {
        for start in
            [0, 1, 999, (1 << 32) * 1000 - 1, (1 << 32) * 1000 - 500_000, (1 << 32) * 1000 + 1, (7 << 32) * 1000]
        {
            let now = Instant::from_micros(start);
            let due = Millis::ceil(now).plus(SECOND);
            let instant = due.instant(now);
            assert!(instant >= now + SECOND && instant < now + SECOND + Duration::from_millis(1), "{start}");
            assert!(due.has_come(instant) && !due.has_come(instant - Duration::from_micros(1)));
            assert_eq!(due.instant(instant + SECOND), instant + SECOND);
            let last = LastTime::at(now);
            assert!(last.is_within(SECOND, now) && last.is_within(SECOND, now + SECOND - Duration::from_micros(1)));
            let end = last.end_of(SECOND, now).instant(now);
            assert!(end >= now + SECOND && !last.is_within(SECOND, end), "{start}");
            assert!(!LastTime::NEVER.is_within(SECOND, now));
            assert!(Millis::floor(now).min(due) == Millis::floor(now));
        }
    }
}
