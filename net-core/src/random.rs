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

/// Where ports come from that nobody chose (RFC 6335 section 6).
#[allow(dead_code)] // needed by stacks: the features decide
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;

/// A free port, as unforeseeable as the number `random` (RFC 6056 section 3.3.1).
#[allow(dead_code)] // as above
pub(crate) fn free_port(random: u64, is_used: impl Fn(u16) -> bool) -> u16 {
    let count = u32::from(EPHEMERAL.end() - EPHEMERAL.start()) + 1;
    let first = (random % u64::from(count)) as u32;
    let port = |i: u32| EPHEMERAL.start() + ((first + i) % count) as u16;
    // There are more ports than sockets, so one is found.
    (0..count).map(port).find(|&port| !is_used(port)).unwrap_or(port(0))
}
