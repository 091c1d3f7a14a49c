//! What has been learnt, until its time is over.

use domain::base::Rtype;
use embassy_time::{Duration, Instant};
use heapless::Vec;

use super::Addresses;
use crate::limits;

type ShortName = Vec<u8, { limits::DNS_CACHED_NAME }>;

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Addresses(Addresses),
    /// A PTR record's name, as on the wire.
    Pointer(ShortName),
    /// The name has no record of this type.
    NoData,
    /// The name has no record of any type.
    NotFound,
}

impl Known {
    /// `None` when the name is too long to be kept.
    pub(super) fn pointer(name: &[u8]) -> Option<Self> {
        Vec::from_slice(name).ok().map(Self::Pointer)
    }
}

#[derive(Debug)]
struct Entry {
    name: ShortName,
    rtype: Rtype,
    known: Known,
    expires: Instant,
}

impl Entry {
    fn is(&self, name: &[u8], rtype: Rtype) -> bool {
        (self.rtype == rtype || self.known == Known::NotFound) && self.name.eq_ignore_ascii_case(name)
    }
}

/// The last `N` answers, the most recently used first.
#[derive(Debug)]
pub(super) struct Cache<const N: usize> {
    entries: Vec<Entry, N>,
}

impl<const N: usize> Cache<N> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// What is known, and for how much longer.
    pub(super) fn get(&mut self, now: Instant, name: &[u8], rtype: Rtype) -> Option<(&Known, Duration)> {
        let at = self.entries.iter().position(|entry| entry.is(name, rtype) && entry.expires > now)?;
        self.entries.get_mut(..=at)?.rotate_right(1);
        let entry = self.entries.first()?;
        Some((&entry.known, entry.expires.saturating_duration_since(now)))
    }

    /// Keeps an answer for `ttl`, in place of what is known of this name and type, or of what is over, or else of what
    /// has gone unused for longest. What lives for no time, or has too long a name, is not kept.
    pub(super) fn put(&mut self, now: Instant, name: &[u8], rtype: Rtype, known: Known, ttl: Duration) {
        let (Ok(name), Some(expires)) = (ShortName::from_slice(name), now.checked_add(ttl)) else { return };
        let all_types = known == Known::NotFound;
        self.entries.retain(|entry| {
            let replaced = entry.is(&name, if all_types { entry.rtype } else { rtype });
            entry.expires > now && !replaced
        });
        if expires <= now || N == 0 {
            return;
        }
        if self.entries.is_full() {
            self.entries.pop();
        }
        let _ = self.entries.insert(0, Entry { name, rtype, known, expires }); // there is room now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Instant {
        Instant::from_secs(secs)
    }

    fn one(last: u8) -> Known {
        Known::Addresses(Addresses::from_slice(&[[10, 0, 0, last].into()]).unwrap())
    }

    #[test]
    fn an_entry_lives_as_long_as_it_was_told_and_is_found_in_any_case() {
        let mut cache = Cache::<2>::new();
        cache.put(at(0), b"\x01a\0", Rtype::A, one(1), MINUTE);
        assert_eq!(cache.get(at(59), b"\x01A\0", Rtype::A), Some((&one(1), Duration::from_secs(1))));
        assert_eq!(cache.get(at(59), b"\x01a\0", Rtype::AAAA), None);
        assert_eq!(cache.get(at(60), b"\x01a\0", Rtype::A), None);
    }

    #[test]
    fn a_name_that_does_not_exist_has_no_type_at_all_until_it_does() {
        let mut cache = Cache::<4>::new();
        cache.put(at(0), b"\x01a\0", Rtype::A, one(1), MINUTE);
        cache.put(at(0), b"\x01a\0", Rtype::AAAA, Known::NoData, MINUTE);
        cache.put(at(1), b"\x01a\0", Rtype::PTR, Known::NotFound, MINUTE);
        for rtype in [Rtype::A, Rtype::AAAA, Rtype::PTR] {
            assert_eq!(cache.get(at(2), b"\x01a\0", rtype).map(|(known, _)| known), Some(&Known::NotFound));
        }
        cache.put(at(3), b"\x01a\0", Rtype::A, one(2), MINUTE);
        assert_eq!(cache.get(at(4), b"\x01a\0", Rtype::A).map(|(known, _)| known), Some(&one(2)));
        assert_eq!(cache.get(at(4), b"\x01a\0", Rtype::AAAA), None);
    }

    #[test]
    fn what_is_over_goes_first_and_then_what_has_gone_unused_for_longest() {
        let mut cache = Cache::<3>::new();
        cache.put(at(0), b"\x01a\0", Rtype::A, one(1), MINUTE * 9);
        cache.put(at(0), b"\x01b\0", Rtype::A, one(2), MINUTE);
        cache.put(at(0), b"\x01c\0", Rtype::A, one(3), MINUTE * 9);
        // b is over: it makes room although a is older.
        cache.put(at(70), b"\x01d\0", Rtype::A, one(4), MINUTE * 9);
        assert!(cache.get(at(71), b"\x01a\0", Rtype::A).is_some());
        // a has just been used, c is the oldest now.
        cache.put(at(72), b"\x01e\0", Rtype::A, one(5), MINUTE * 9);
        let has = |cache: &mut Cache<3>, name| cache.get(at(73), name, Rtype::A).is_some();
        assert!(has(&mut cache, b"\x01a\0") && has(&mut cache, b"\x01d\0") && has(&mut cache, b"\x01e\0"));
        assert!(!has(&mut cache, b"\x01c\0"));
    }

    #[test]
    fn no_time_to_live_and_no_room_are_not_kept() {
        let mut cache = Cache::<1>::new();
        cache.put(at(0), b"\x01a\0", Rtype::A, one(1), MINUTE);
        cache.put(at(1), b"\x01a\0", Rtype::A, one(2), Duration::from_secs(0));
        assert_eq!(cache.get(at(1), b"\x01a\0", Rtype::A), None);
        cache.put(at(1), &[b'x'; limits::DNS_CACHED_NAME + 1], Rtype::A, one(1), MINUTE);
        assert!(cache.entries.is_empty());
        let mut none = Cache::<0>::new();
        none.put(at(0), b"\x01a\0", Rtype::A, one(1), MINUTE);
        assert_eq!(none.get(at(0), b"\x01a\0", Rtype::A), None);
    }
}
