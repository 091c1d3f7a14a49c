//! Numbers that cannot be foreseen, for ports, transaction ids and sequence numbers.

use embassy_time::Instant;
use siphasher::sip::SipHasher24;

use core::hash::Hasher;

/// A generator: a keyed hash (SipHash-2-4) of a counter, and of the time, so that whoever sees some of its numbers
/// cannot tell the next. As good as its seed, and 24 bytes small.
#[derive(Debug)]
pub(crate) struct Random {
    seed: u64,
    count: u64,
}

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    pub(crate) fn next_u64(&mut self) -> u64 {
        let mut hasher = SipHasher24::new_with_keys(self.seed, !self.seed);
        hasher.write_u64(self.count);
        hasher.write_u64(Instant::now().as_ticks());
        self.count = self.count.wrapping_add(1);
        hasher.finish()
    }
}
