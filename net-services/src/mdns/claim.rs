//! Claims: how far this device has come with a name that is to be its own (RFC 6762 sections 8 and 9).

use net_core::time::{Duration, Instant};

use super::clock::Millis;
use super::random::Random;

/// Probes before a name is taken (section 8.1).
pub(super) const PROBES: u8 = 3;
/// Between two probes.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// The first probe comes at random within so many milliseconds.
const PROBE_DELAY: u32 = 250;
/// After a conflict in use not before that: copies of what the other one has said may be underway, and are no answer.
const LATE_COPIES: u32 = 100;
/// Whoever loses to another host that probes for the same name waits that long (section 8.2).
const DEFER: Duration = Duration::from_secs(1);
/// Announcements, the second a second after the first, then at doubled intervals: 2 to 8 (section 8.3). With 3, of 50
/// devices that start together where one packet of ten is lost, all are known to all within 5 s.
pub(super) const ANNOUNCEMENTS: u8 = 3;
const _: () = assert!(ANNOUNCEMENTS >= 2 && ANNOUNCEMENTS <= 8);
/// Goodbyes, a second apart: the first may get lost.
pub(super) const GOODBYES: u8 = 2;
/// Between the first two announcements, and between goodbyes. It is a little more than the second in which nothing is
/// repeated: a reply that has waited for the end of that is sent before the announcement, which then waits in its turn. For
/// those who have missed the one, the other is not lost at the same moment.
const INTERVAL: Duration = Duration::from_millis(1010);
/// So many conflicts, with less than [`CALM`] between one and the next, and probing becomes slow until it succeeds.
const MANY_CONFLICTS: u8 = 15;
const CALM: i32 = 10_000;
/// How long it then waits before each attempt.
const SLOW: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is no network, or a name is missing.
    Idle,
    Probing,
    Announcing(Extent),
    Established,
    /// Goodbyes are being sent.
    Leaving,
}

/// What of a name's records is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    All,
    /// TXT data has changed.
    Txt,
    /// The host that SRV tells has another name.
    Srv,
}

/// What the user is to be told of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    None,
    Renamed,
    Established,
    /// First that it has another name, then that this is its own.
    Both,
}

/// The state of a name, and of the records that belong to it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) phase: Phase,
    /// Probes, announcements or goodbyes that have been sent in this phase.
    pub(super) sent: u8,
    conflicts: u8,
    /// Others may know records under this name.
    pub(super) announced: bool,
    /// It is to be removed when it has left.
    pub(super) forget: bool,
    /// A service: its host has another name, which is to be announced when that is known to be free.
    pub(super) target_renamed: bool,
    /// While a response is being read: it contradicts what is claimed.
    pub(super) in_conflict: bool,
    news: News,
    /// When the next step is due. Not in [`Phase::Idle`] and [`Phase::Established`].
    due: Millis,
    last_conflict: Millis,
}

impl Claim {
    pub(super) const fn new() -> Self {
        Self {
            phase: Phase::Idle,
            sent: 0,
            conflicts: 0,
            announced: false,
            forget: false,
            target_renamed: false,
            in_conflict: false,
            news: News::None,
            due: Millis::START,
            last_conflict: Millis::START,
        }
    }

    /// Whether queries are answered with its records.
    pub(super) fn is_ours(&self) -> bool {
        matches!(self.phase, Phase::Announcing(_) | Phase::Established)
    }

    pub(super) fn leaves(&self) -> bool {
        self.phase == Phase::Leaving
    }

    pub(super) fn due(&self) -> Option<Millis> {
        (!matches!(self.phase, Phase::Idle | Phase::Established)).then_some(self.due)
    }

    #[inline(never)]
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|due| due.has_come(now))
    }

    fn enter(&mut self, phase: Phase, due: Millis) {
        (self.phase, self.sent, self.due) = (phase, 0, due);
    }

    /// There is nothing to do: no network.
    pub(super) fn rest(&mut self) {
        self.enter(Phase::Idle, Millis::START);
    }

    /// When probing that begins now is to send its first probe.
    #[inline(never)]
    pub(super) fn first_probe(random: &mut Random, now: Instant) -> Millis {
        Millis::ceil(now).plus(random.millis(0, PROBE_DELAY))
    }

    /// When probing for a name that was in use is to send its first probe.
    pub(super) fn probe_again(random: &mut Random, now: Instant) -> Millis {
        Millis::ceil(now).plus(random.millis(LATE_COPIES, PROBE_DELAY))
    }

    /// Begins to probe; at `due`, or later if there were too many conflicts.
    #[inline(never)]
    pub(super) fn probe(&mut self, due: Millis, now: Instant) {
        let slow = Millis::ceil(now).plus(SLOW);
        let due = if self.conflicts >= MANY_CONFLICTS && due.since(slow) < 0 { slow } else { due };
        self.news = match self.news {
            News::Renamed | News::Both => News::Renamed,
            News::None | News::Established => News::None,
        };
        self.enter(Phase::Probing, due);
    }

    /// Waiting for its first probe: others may join it.
    pub(super) fn waits_to_probe(&self) -> Option<Millis> {
        (self.phase == Phase::Probing && self.sent == 0 && self.conflicts == 0).then_some(self.due)
    }

    /// A probe has been sent.
    pub(super) fn has_probed(&mut self, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        self.due = Millis::ceil(now).plus(PROBE_INTERVAL);
    }

    /// Another host probes for the name too, and has precedence.
    pub(super) fn defer(&mut self, now: Instant) {
        self.probe(Millis::ceil(now).plus(DEFER), now);
    }

    /// Another host was found to have the name. (M-7)
    pub(super) fn count_conflict(&mut self, now: Instant) {
        let now = Millis::floor(now);
        let calm = !(0..CALM).contains(&now.since(self.last_conflict));
        if calm && self.conflicts < MANY_CONFLICTS {
            self.conflicts = 0;
        }
        self.conflicts = self.conflicts.saturating_add(1);
        self.last_conflict = now;
    }

    /// The name is ours, or records have changed: they are to be announced.
    #[inline(never)]
    pub(super) fn announce(&mut self, extent: Extent, now: Instant) {
        let extent = match self.phase {
            Phase::Announcing(unfinished) if unfinished != extent => Extent::All,
            _ => extent,
        };
        self.enter(Phase::Announcing(extent), Millis::floor(now));
    }

    /// The user is to be told that it has another name.
    pub(super) fn tell_renamed(&mut self) {
        self.news = News::Renamed;
    }

    /// The user is to be told that the name is its own.
    pub(super) fn tell_established(&mut self) {
        self.news = if matches!(self.news, News::Renamed | News::Both) { News::Both } else { News::Established };
    }

    /// What the user is to be told next.
    pub(super) fn take_news(&mut self) -> News {
        let (next, rest) = match self.news {
            News::Both => (News::Renamed, News::Established),
            news => (news, News::None),
        };
        self.news = rest;
        next
    }

    /// An announcement is on its way.
    pub(super) fn has_announced(&mut self, now: Instant) {
        self.announced = true;
        self.sent = self.sent.saturating_add(1);
        if self.sent >= ANNOUNCEMENTS {
            self.enter(Phase::Established, Millis::START);
            self.conflicts = 0;
            return;
        }
        let doubled = INTERVAL * (1 << (self.sent - 1).min(7));
        self.due = Millis::ceil(now).plus(doubled);
    }

    /// The records are to be withdrawn.
    pub(super) fn leave(&mut self, now: Instant) {
        self.news = News::None;
        self.enter(Phase::Leaving, Millis::floor(now));
    }

    /// A goodbye is on its way.
    pub(super) fn has_left(&mut self, now: Instant) {
        self.sent = self.sent.saturating_add(1);
        self.due = if self.sent >= GOODBYES { Millis::floor(now) } else { Millis::ceil(now).plus(INTERVAL) };
    }
}
