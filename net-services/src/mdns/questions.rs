//! What is being asked.

use domain::base::Rtype;
use net_core::time::{Duration, Instant};

use super::clock::earliest;
use super::name::{self, NameRef, from_wire};
use super::pool::Pool;
use super::random::Random;
use super::{MdnsError, QuestionId};

/// Milliseconds before the first query, so that devices which start together do not ask together (RFC 6762 section 5.2).
const FIRST: (u32, u32) = (20, 120);
/// The longest interval between two queries.
const INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// The part of an interval that passes at least before a question is asked sooner.
const HURRY: u32 = 16;
/// In a [`QuestionId`]: this user wants what the answers lead to as well.
const FOLLOW_BIT: u16 = 0x8000;

/// The time between a query and the next, after so many: 1, 2, 4 seconds and so on, up to an hour (M-43). None before the
/// first.
#[inline(never)]
pub(super) fn interval(sent: u8) -> Duration {
    match sent.checked_sub(1) {
        None => Duration::from_ticks(0),
        Some(doublings) => Duration::from_secs(1 << doublings.min(12)).min(INTERVAL_MAX),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It waits for its time.
    Waiting,
    /// It does so no longer than it must.
    Hurrying,
    /// The same, for a second time: the answer may have been lost.
    Again,
    /// It has its answer: nothing is asked until that ends.
    Resting,
}

/// The time that passes at least between two queries, where there is reason to hurry.
fn shortened(sent: u8) -> Duration {
    (interval(sent) / HURRY).max(Duration::from_secs(1))
}

/// A question: what is known of it beside its name.
#[derive(Debug)]
pub(super) struct Entry {
    /// When it is to be asked next, unless it rests.
    next: Instant,
    pub(super) rtype: Rtype,
    number: u16,
    /// How often it has been asked.
    pub(super) sent: u8,
    state: State,
    /// How many ask only this.
    users: u8,
    /// How many want what the answers lead to as well.
    followers: u8,
}

impl Entry {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.rests() && self.next <= now
    }

    /// It would be asked soon: in the last quarter of its interval, or for the first time.
    pub(super) fn is_soon(&self, now: Instant) -> bool {
        // The time before the first query is short: that is soon, all of it.
        !self.rests() && (self.sent == 0 || self.next <= now.saturating_add(interval(self.sent) / 4))
    }

    /// It has been asked, by this device or by another.
    pub(super) fn asked(&mut self, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        let (state, wait) = match self.state {
            State::Hurrying => (State::Again, shortened(self.sent)),
            _ => (State::Waiting, interval(self.sent)),
        };
        (self.state, self.next) = (state, now.saturating_add(wait));
    }

    fn rests(&self) -> bool {
        self.state == State::Resting
    }

    /// It has its answer.
    pub(super) fn rest(&mut self) {
        self.state = State::Resting;
    }

    /// Others know answers that this device does not: it is asked sooner, but not much oftener than it would be, nor twice
    /// within a second.
    pub(super) fn hurry(&mut self, now: Instant, delay: Duration) {
        if self.state == State::Waiting && self.sent > 0 {
            let last = self.next.checked_sub(interval(self.sent)).unwrap_or(Instant::MIN);
            let first = last.saturating_add(shortened(self.sent));
            self.state = State::Hurrying;
            self.next = self.next.min(now.saturating_add(delay).max(first));
        }
    }

    /// There is an answer that was not known before: there is no need to hurry any more.
    pub(super) fn has_news(&mut self) {
        if self.state == State::Again {
            let last = self.next.checked_sub(shortened(self.sent)).unwrap_or(Instant::MIN);
            (self.state, self.next) = (State::Waiting, last.saturating_add(interval(self.sent)));
        }
    }

    fn start_over(&mut self, at: Instant) {
        (self.next, self.sent, self.state) = (at, 0, State::Waiting);
    }
}

/// All questions. Those who ask the same share one.
pub(super) struct Questions<'d> {
    entries: Pool<'d, Entry>,
    numbers: u16,
}

impl<'d> Questions<'d> {
    pub(super) fn new(entries: Pool<'d, Entry>) -> Self {
        Self { entries, numbers: 0 }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut Entry, &[u8])> {
        self.entries.iter_mut()
    }

    /// Asks for records of that name and type.
    ///
    /// # Errors
    /// [`MdnsError::Full`].
    pub(super) fn ask(
        &mut self,
        now: Instant,
        random: &mut Random,
        name: &[u8],
        rtype: Rtype,
        follow: bool,
    ) -> Result<QuestionId, MdnsError> {
        let first = self.first_time(now, random);
        let mark = if follow { FOLLOW_BIT } else { 0 };
        let same = |entry: &Entry, bytes: &[u8]| entry.rtype == rtype && name::eq(bytes, name);
        if let Some((entry, _)) = self.entries.iter_mut().find(|(entry, bytes)| same(entry, bytes)) {
            let count = if follow { &mut entry.followers } else { &mut entry.users };
            *count = count.checked_add(1).ok_or(MdnsError::Full)?;
            // Who asks now does not wait for an interval that has grown long; but nothing is asked twice in a second.
            if entry.rests() || entry.sent > 1 {
                entry.start_over(first);
            }
            return Ok(QuestionId(entry.number | mark));
        }
        if self.entries.len() >= FOLLOW_BIT.into() {
            return Err(MdnsError::Full); // no number would be left
        }
        loop {
            self.numbers = self.numbers.wrapping_add(1) & !FOLLOW_BIT;
            if self.entries.iter().all(|(entry, _)| entry.number != self.numbers) {
                break;
            }
        }
        let (users, followers) = if follow { (0, 1) } else { (1, 0) };
        let number = self.numbers;
        let entry = Entry { next: first, rtype, number, sent: 0, state: State::Waiting, users, followers };
        if self.entries.push(entry, &[name]) { Ok(QuestionId(number | mark)) } else { Err(MdnsError::Full) }
    }

    /// When a question is to be asked for the first time: together with others that wait for that too (M-24).
    fn first_time(&self, now: Instant, random: &mut Random) -> Instant {
        let (low, high) = (Duration::from_millis(FIRST.0.into()), Duration::from_millis(FIRST.1.into()));
        let span = now.saturating_add(low)..=now.saturating_add(high);
        let waiting = self.entries.iter().filter(|(entry, _)| entry.sent == 0 && !entry.rests());
        let together = waiting.map(|(entry, _)| entry.next).find(|at| span.contains(at));
        together.unwrap_or_else(|| now.saturating_add(Self::delay(random)))
    }

    /// One of those who ask does so no longer.
    pub(super) fn forget(&mut self, id: QuestionId) {
        let number = id.0 & !FOLLOW_BIT;
        let Some(index) = self.entries.iter().position(|(entry, _)| entry.number == number) else { return };
        let Some((entry, _)) = self.entries.get_mut(index) else { return };
        let count = if id.0 & FOLLOW_BIT != 0 { &mut entry.followers } else { &mut entry.users };
        *count = count.saturating_sub(1);
        if (entry.users, entry.followers) == (0, 0) {
            self.entries.remove(index);
        }
    }

    /// What is being asked.
    pub(super) fn get(&self, id: QuestionId) -> Option<(NameRef<'_>, Rtype)> {
        let (entry, name) = self.entries.iter().find(|(entry, _)| entry.number == id.0 & !FOLLOW_BIT)?;
        Some((from_wire(name), entry.rtype))
    }

    /// When the next is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let mut next = None;
        for (entry, _) in self.entries.iter() {
            next = earliest(next, (!entry.rests()).then_some(entry.next));
        }
        next
    }

    /// Whether somebody asks for records of that name and type; and whether for what they lead to too.
    #[inline(never)]
    pub(super) fn interest(&self, name: &[u8], rtype: Rtype) -> (bool, bool) {
        let mut interest = (false, false);
        for (entry, bytes) in self.entries.iter() {
            // An NSEC record may be the answer to any of them.
            let fits = entry.rtype == rtype || entry.rtype == Rtype::ANY || rtype == Rtype::NSEC;
            if fits && name::eq(bytes, name) {
                interest = (true, interest.1 || entry.followers > 0);
            }
        }
        interest
    }

    /// Whether there is exactly that question.
    #[inline(never)]
    pub(super) fn asks(&self, name: &[u8], rtype: Rtype) -> bool {
        self.entries.iter().any(|(entry, bytes)| entry.rtype == rtype && name::eq(bytes, name))
    }

    /// A delay as before the first query.
    pub(super) fn delay(random: &mut Random) -> Duration {
        random.millis(FIRST.0, FIRST.1)
    }

    /// Asks all as at their start.
    pub(super) fn start_over(&mut self, now: Instant, random: &mut Random) {
        let at = now.saturating_add(Self::delay(random));
        self.entries.iter_mut().for_each(|(entry, _)| entry.start_over(at));
    }

    /// Asks again what has lost its answer.
    pub(super) fn wake(&mut self, now: Instant, random: &mut Random, answered: impl Fn(&[u8], Rtype) -> bool) {
        // Others lose the same answer at the same time.
        let delay = Self::delay(random);
        for (entry, name) in self.entries.iter_mut() {
            if entry.rests() && !answered(name, entry.rtype) {
                entry.state = State::Waiting;
                entry.next = now.saturating_add(interval(entry.sent)).saturating_add(delay);
            }
        }
    }

    /// The question of that name and type.
    pub(super) fn find(&mut self, name: &[u8], rtype: Rtype) -> Option<&mut Entry> {
        let mut entries = self.entries.iter_mut();
        let found = entries.find(|(entry, bytes)| entry.rtype == rtype && name::eq(bytes, name));
        found.map(|(entry, _)| entry)
    }
}
