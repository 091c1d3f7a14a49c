//! What is known of a cached record beside its bytes: its times.

use core::net::IpAddr;

use domain::base::Rtype;
use net_core::time::{Duration, Instant};

use super::questions::interval;
use super::random::Random;
use super::responder::digest_of;

/// The longest time, in seconds, that a record is believed, whatever its TTL says (M-45): 75 minutes, which is what RFC 6762
/// section 10 advises for most records.
const TTL_MAX: u32 = 4500;
/// How long a record stays that was withdrawn, replaced, or not defended (RFC 6762 sections 10.1, 10.2 and 10.5).
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Percent of the TTL that have passed when a record is asked for again for the first time, the steps after that, and what
/// is added at random to each (RFC 6762 section 5.2).
const REFRESH_FIRST: u32 = 80;
const REFRESH_STEP: u32 = 5;
const REFRESH_SPREAD: u32 = 2;
/// How often a record is asked for again before it ends.
const REFRESHES: u8 = 4;

/// Before what a record leads to is asked for: it mostly comes with it, or right behind.
const FOLLOW_DELAY: u32 = 20;
const FOLLOW_SPREAD: u32 = 100;

/// Within how long an owner has to miss two queries, and how far they must be apart to count as two: less is one query that
/// two hosts sent, and one answer.
const SUSPECT_WITHIN: u32 = 10_000;
const SUSPECT_APART: u32 = 500;
/// A record that was multicast so lately need not be again (RFC 6762 section 6).
const JUST_SEEN: u32 = 1000;

/// The cache-flush bit: the owner says that it alone has records of that name and type.
const UNIQUE: u8 = 1;
/// It ends sooner than its TTL says.
const DYING: u8 = 1 << 1;
/// It is yet to be written into the list of known answers that is being sent.
const LISTED: u8 = 1 << 2;
/// The query that is being read lists it.
const HEARD: u8 = 1 << 3;
/// Somebody asks for it.
const WANTED: u8 = 1 << 4;
/// And for what it leads to.
const FOLLOW: u8 = 1 << 5;

/// In place of a time: none.
const NEVER: u16 = u16::MAX;

/// A time as whole milliseconds, in 6 bytes: enough for 8,900 years.
#[derive(Debug, Clone, Copy)]
struct Moment([u16; 3]);

impl Moment {
    fn new(at: Instant) -> Self {
        let millis = at.as_millis();
        Self([millis as u16, (millis >> 16) as u16, (millis >> 32) as u16])
    }

    fn millis(self) -> u64 {
        let Self([low, middle, high]) = self;
        u64::from(low) | u64::from(middle) << 16 | u64::from(high) << 32
    }
}

/// What is known of a cached record. It is small, since a device has few bytes for many records: times are counted from
/// the one when the record came.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    received: Moment,
    /// How long it lives, in milliseconds: its TTL; or less, when it is dying.
    lifetime: u32,
    pub(super) rtype: Rtype,
    /// When somebody last looked at it, in tenths of a second.
    used: u16,
    /// When a query was first not answered with it, in tenths of a second.
    suspect: u16,
    /// When what it leads to is to be looked for, in tenths of a second.
    follow: u16,
    /// How often that has been asked for, up to 15; and in the upper half, how often the record itself has been asked for
    /// again.
    counts: u8,
    /// A random number, for both.
    jitter: u8,
    flags: u8,
    /// Who told it over IPv4, and who over IPv6: a few bits of their addresses, or 0.
    sources: [u8; 2],
    /// Of its bytes, those of its name; the rest is its data.
    pub(super) name_length: u8,
}

impl About {
    pub(super) fn new(now: Instant, random: &mut Random, rtype: Rtype, ttl: u32, unique: bool) -> Self {
        let mut new = Self {
            received: Moment::new(now),
            lifetime: 0,
            rtype,
            used: 0,
            suspect: NEVER,
            follow: NEVER,
            counts: 0,
            jitter: 0,
            flags: 0,
            sources: [0; 2],
            name_length: 0,
        };
        new.set_received(now, random, ttl, unique);
        new
    }

    #[inline(never)]
    fn set_received(&mut self, now: Instant, random: &mut Random, ttl: u32, unique: bool) {
        self.received = Moment::new(now);
        self.lifetime = ttl.min(TTL_MAX) * 1000;
        self.used = 0;
        self.suspect = NEVER;
        self.set_refreshes(0);
        self.jitter = random.next_u64() as u8;
        self.set(DYING, false);
        self.set(UNIQUE, unique);
    }

    /// It has come again. Gives whether that is news: it was about to end.
    pub(super) fn renew(&mut self, now: Instant, random: &mut Random, ttl: u32, unique: bool) -> bool {
        let (age, was_dying) = (self.age(now), self.is_dying());
        if was_dying {
            self.set_tries(0);
        } else if age > self.ttl_millis() / 2 {
            // After a long time, what it leads to deserves some tries again.
            self.set_tries(self.tries() / 2);
        }
        self.follow = match self.follow {
            NEVER => NEVER,
            _ if was_dying => 0,
            at => at.saturating_sub(tenths(age)),
        };
        self.set_received(now, random, ttl, unique);
        was_dying
    }

    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    /// How often what it leads to has been asked for.
    pub(super) fn tries(&self) -> u8 {
        self.counts & 15
    }

    fn set_tries(&mut self, tries: u8) {
        self.counts = self.counts & !15 | tries.min(15);
    }

    fn refreshes(&self) -> u8 {
        self.counts >> 4
    }

    fn set_refreshes(&mut self, refreshes: u8) {
        self.counts = self.tries() | refreshes.min(15) << 4;
    }

    /// Milliseconds since it came; of more than 49 days, these.
    #[inline(never)]
    fn age(&self, now: Instant) -> u32 {
        u32::try_from(now.as_millis().saturating_sub(self.received.millis())).unwrap_or(u32::MAX)
    }

    /// Milliseconds of its TTL, unless it is dying.
    fn ttl_millis(&self) -> u32 {
        self.lifetime
    }

    #[inline(never)]
    fn at(&self, age: u32) -> Instant {
        Instant::from_millis(self.received.millis().saturating_add(age.into()))
    }

    #[inline(never)]
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.age(now) < self.lifetime
    }

    /// When it ends.
    #[inline(never)]
    pub(super) fn end(&self) -> Instant {
        self.at(self.lifetime)
    }

    /// Seconds that are left of its TTL.
    pub(super) fn remaining(&self, now: Instant) -> u32 {
        self.lifetime.saturating_sub(self.age(now)) / 1000
    }

    /// Makes it end within `span`, unless it comes again. Gives whether that is news.
    #[inline(never)]
    pub(super) fn end_within(&mut self, now: Instant, span: Duration) -> bool {
        self.lifetime = self.lifetime.min(self.age(now).saturating_add(span.as_millis() as u32));
        let news = !self.is_dying();
        self.set(DYING, true);
        news
    }

    /// It ends sooner than its TTL says: it proves nothing any more.
    pub(super) fn is_dying(&self) -> bool {
        self.has(DYING)
    }

    pub(super) fn is_unique(&self) -> bool {
        self.has(UNIQUE)
    }

    /// It came a second ago or more, so it is none of the records that one host now tells in several messages (RFC 6762
    /// section 10.2).
    pub(super) fn is_old(&self, now: Instant) -> bool {
        self.age(now) >= GRACE.as_millis() as u32
    }

    /// Whether it came earlier than now.
    pub(super) fn is_before(&self, now: Instant) -> bool {
        self.age(now) > 0
    }

    /// Whether a query lists it among the known answers (M-17): more than half of its TTL is left.
    #[inline(never)]
    pub(super) fn is_known_answer(&self, now: Instant) -> bool {
        let left = self.lifetime.saturating_sub(self.age(now));
        !self.is_dying() && left > self.ttl_millis() / 2
    }

    pub(super) fn is_listed(&self) -> bool {
        self.has(LISTED)
    }

    pub(super) fn set_listed(&mut self, on: bool) {
        self.set(LISTED, on);
    }

    pub(super) fn is_heard(&self) -> bool {
        self.has(HEARD)
    }

    pub(super) fn set_heard(&mut self, on: bool) {
        self.set(HEARD, on);
    }

    pub(super) fn set_used(&mut self, now: Instant) {
        self.used = tenths(self.age(now));
    }

    /// Whether it has to go before another: what nobody wants does, and then what has been of no use for longer.
    pub(super) fn is_of_less_use(&self, other: &Self) -> bool {
        if self.is_wanted() == other.is_wanted() { self.last_used() < other.last_used() } else { other.is_wanted() }
    }

    /// When it last was of use to somebody, in milliseconds of the clock.
    fn last_used(&self) -> u64 {
        self.received.millis().saturating_add(u64::from(self.used) * 100)
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.has(WANTED)
    }

    /// What it leads to is wanted too.
    pub(super) fn is_lead(&self) -> bool {
        self.has(FOLLOW) && matches!(self.rtype, Rtype::PTR | Rtype::SRV)
    }

    pub(super) fn set_interest(&mut self, wanted: bool, follow: bool) {
        self.set(WANTED, wanted);
        self.set(FOLLOW, follow);
    }

    /// Who has told it.
    pub(super) fn set_source(&mut self, source: IpAddr) {
        let [v4, v6] = &mut self.sources;
        *(if source.is_ipv4() { v4 } else { v6 }) = bits_of(source);
    }

    /// Whether it was told by somebody else, as far as is known: over the same IP version.
    pub(super) fn is_of_another(&self, source: IpAddr) -> bool {
        let [v4, v6] = self.sources;
        let known = if source.is_ipv4() { v4 } else { v6 };
        known != 0 && known != bits_of(source)
    }

    /// A query has come that its owner should answer with it. If that was one too many, gives what is left of the ten
    /// seconds since the first: when no answer comes until then, it is gone (M-44).
    #[inline(never)]
    pub(super) fn set_suspect(&mut self, now: Instant) -> Option<Duration> {
        let age = self.age(now);
        if age < JUST_SEEN || self.is_dying() {
            return None;
        }
        let since = age.saturating_sub(u32::from(self.suspect) * 100);
        if self.suspect == NEVER || since > SUSPECT_WITHIN {
            self.suspect = tenths(age);
            return None;
        }
        (since >= SUSPECT_APART).then(|| Duration::from_millis((SUSPECT_WITHIN - since).into()).max(GRACE))
    }

    #[inline(never)]
    fn refresh_age(&self) -> Option<u32> {
        let asks = self.is_wanted() && !self.is_dying() && self.refreshes() < REFRESHES && self.rtype != Rtype::NSEC;
        asks.then(|| self.ttl_millis() * (REFRESH_FIRST + REFRESH_STEP * u32::from(self.refreshes())) / 100)
    }

    /// Whether it may be asked for again.
    #[inline(never)]
    pub(super) fn may_refresh(&self, now: Instant) -> bool {
        self.refresh_age().is_some_and(|age| age <= self.age(now))
    }

    /// When it is to be asked for again, before it ends (M-43).
    #[inline(never)]
    pub(super) fn refresh_at(&self) -> Option<Instant> {
        let spread = self.ttl_millis() * REFRESH_SPREAD / 100 * u32::from(self.jitter) / 255;
        Some(self.at(self.refresh_age()? + spread))
    }

    /// It has been asked for again.
    pub(super) fn refreshed(&mut self, now: Instant, random: &mut Random) {
        self.jitter = random.next_u64() as u8;
        // Where a twentieth of the TTL is less than a second, some are left out: nothing is asked twice within a second.
        let soon = self.age(now).saturating_add(1000);
        self.set_refreshes(self.refreshes() + 1);
        while self.refresh_age().is_some_and(|age| age < soon) {
            self.set_refreshes(self.refreshes() + 1);
        }
    }

    /// Looks for what it leads to; how soon depends on how often it has done so.
    #[inline(never)]
    pub(super) fn seek(&mut self, now: Instant) {
        if self.follow == NEVER {
            self.follow = tenths(self.age(now).saturating_add(interval(self.tries()).as_millis() as u32));
        }
    }

    /// What it leads to is there: nothing is to be done, until something of it ends.
    pub(super) fn rest(&mut self) {
        self.follow = NEVER;
    }

    /// What it leads to is not wanted.
    pub(super) fn leave(&mut self) {
        self.follow = NEVER;
        self.set_tries(0);
    }

    /// What it leads to has been asked for.
    pub(super) fn followed(&mut self, now: Instant, random: &mut Random) {
        self.set_tries(self.tries() + 1);
        // Rounded up, so that the interval is not shorter than it should be.
        self.follow = tenths(self.age(now).saturating_add(interval(self.tries()).as_millis() as u32 + 99));
        self.jitter = random.next_u64() as u8;
    }

    /// It is to be looked for anew, as if the record had just come.
    pub(super) fn start_over(&mut self) {
        self.set_tries(0);
        self.follow = NEVER;
    }

    #[inline(never)]
    fn follow_age(&self) -> Option<u32> {
        let seeks = self.is_lead() && !self.is_dying() && self.follow != NEVER;
        seeks.then_some(u32::from(self.follow) * 100 + FOLLOW_DELAY)
    }

    /// Whether what it leads to may be looked for.
    #[inline(never)]
    pub(super) fn may_follow(&self, now: Instant) -> bool {
        self.follow_age().is_some_and(|age| age <= self.age(now))
    }

    /// When what it leads to is to be looked for.
    #[inline(never)]
    pub(super) fn follow_at(&self) -> Option<Instant> {
        Some(self.at(self.follow_age()? + FOLLOW_SPREAD * u32::from(self.jitter) / 255))
    }
}

/// Some bits of an address, never 0.
fn bits_of(address: IpAddr) -> u8 {
    (digest_of(address) % 255) as u8 + 1
}

/// Milliseconds in tenths of a second, rounded down. All that matters is less than 1 h 49 min.
#[inline(never)]
fn tenths(millis: u32) -> u16 {
    u16::try_from(millis / 100).unwrap_or(NEVER).min(NEVER - 1)
}
