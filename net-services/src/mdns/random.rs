//! Numbers for delays.

use net_core::time::Duration;

/// A generator of its own for each engine (splitmix64), so that a test can repeat what it did. Delays only have to differ
/// between devices; nobody gains anything by guessing them.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    #[inline(never)]
    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A time from `low` to `high` milliseconds, both included, each as likely as any other, in steps of a microsecond.
    #[inline(never)]
    pub(super) fn millis(&mut self, low: u32, high: u32) -> Duration {
        let span = u64::from(high.saturating_sub(low)) * 1000 + 1;
        Duration::from_micros(u64::from(low) * 1000 + self.next_u64() % span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spread_evenly_and_stay_within() {
        let mut random = Random::new(1);
        let mut tenths = [0u32; 10];
        for _ in 0..10_000 {
            let micros = random.millis(20, 120).as_micros();
            assert!((20_000..=120_000).contains(&micros));
            tenths[((micros - 20_000) / 10_001) as usize] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
        assert_eq!(random.millis(7, 7), Duration::from_millis(7));
    }
}
