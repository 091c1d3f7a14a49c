//! What others have told.

use core::cell::Cell;

use domain::base::Rtype;
use domain::base::rdata::RecordData as _;
use net_core::time::{Duration, Instant};

use super::cached::{About, GRACE};
use super::data::{Data, Types};
use super::name::{self, NameBuf, NameRef, from_wire};
use super::pool::{Items, Pool};
use super::random::Random;

/// What is known of a record beside its bytes: its name and its data, both uncompressed.
pub(super) type Entry = Cell<About>;

/// A record in the cache.
#[derive(Clone, Copy)]
pub(super) struct Cached<'c> {
    entry: &'c Entry,
    /// As on the wire, uncompressed.
    pub(super) name: &'c [u8],
    bytes: &'c [u8],
}

impl<'c> Cached<'c> {
    #[inline(never)]
    fn new((entry, bytes): (&'c Entry, &'c [u8])) -> Self {
        let (name, bytes) = bytes.split_at_checked(entry.get().name_length.into()).unwrap_or_default();
        Self { entry, name, bytes }
    }

    #[inline(never)]
    pub(super) fn about(&self) -> About {
        self.entry.get()
    }

    pub(super) fn change<R>(&self, change: impl FnOnce(&mut About) -> R) -> R {
        let mut about = self.entry.get();
        let result = change(&mut about);
        self.entry.set(about);
        result
    }

    #[inline(never)]
    pub(super) fn set_listed(&self, on: bool) {
        self.change(|about| about.set_listed(on));
    }

    #[inline(never)]
    pub(super) fn set_heard(&self, on: bool) {
        self.change(|about| about.set_heard(on));
    }

    #[inline(never)]
    pub(super) fn set_interest(&self, wanted: bool, follow: bool) {
        self.change(|about| about.set_interest(wanted, follow));
    }

    #[inline(never)]
    pub(super) fn refreshed(&self, now: Instant, random: &mut Random) {
        self.change(|about| about.refreshed(now, random));
    }

    #[inline(never)]
    pub(super) fn data(&self) -> Option<Data<'c>> {
        Data::from_flat(self.about().rtype, self.bytes)
    }

    #[inline(never)]
    pub(super) fn is_named(&self, name: &[u8]) -> bool {
        name::eq(self.name, name)
    }

    /// Whether it answers a question for that name and type.
    #[inline(never)]
    pub(super) fn is(&self, name: &[u8], rtype: Rtype) -> bool {
        (rtype == self.about().rtype || rtype == Rtype::ANY) && self.is_named(name)
    }

    /// The name that it leads to.
    #[inline(never)]
    pub(super) fn target(&self) -> Option<&'c [u8]> {
        match self.about().rtype {
            Rtype::PTR => Some(self.bytes),
            Rtype::SRV => self.bytes.get(6..), // after priority, weight and port
            _ => None,
        }
    }

    /// It says that its name has no records of that type (M-28). A name that several hosts share can have no such record.
    fn denies(&self, rtype: Rtype) -> bool {
        let shared = || is_shared(&from_wire(self.name), rtype);
        self.about().rtype == Rtype::NSEC
            && !matches!(rtype, Rtype::NSEC | Rtype::ANY)
            && matches!(self.data(), Some(Data::Nsec { types, .. }) if !types.has(rtype))
            && !shared()
    }

    /// Whether nothing is to be asked about that type of its name, because of this record: there are no others.
    fn settles(&self, rtype: Rtype) -> bool {
        let about = self.about();
        let single = about.is_unique() || matches!(rtype, Rtype::A | Rtype::AAAA | Rtype::SRV | Rtype::TXT);
        (about.rtype == rtype && single) || self.denies(rtype)
    }
}

/// The records of a cache.
pub(super) struct Records<'c>(Items<'c, Entry>);

impl<'c> Iterator for Records<'c> {
    type Item = Cached<'c>;

    #[inline(never)]
    fn next(&mut self) -> Option<Cached<'c>> {
        self.0.next().map(Cached::new)
    }
}

/// Records that others have told.
pub(super) struct Cache<'d> {
    records: Pool<'d, Entry>,
    generation: Cell<u32>,
}

impl<'d> Cache<'d> {
    pub(super) fn new(records: Pool<'d, Entry>) -> Self {
        Self { records, generation: Cell::new(0) }
    }

    pub(super) fn iter(&self) -> Records<'_> {
        Records(self.records.iter())
    }

    #[inline(never)]
    pub(super) fn get(&self, index: usize) -> Option<Cached<'_>> {
        self.records.get(index).map(Cached::new)
    }

    /// Another number whenever what [`visit`](Self::visit) shows has changed.
    pub(super) fn generation(&self) -> u32 {
        self.generation.get()
    }

    pub(super) fn changed(&self) {
        self.generation.set(self.generation.get().wrapping_add(1));
    }

    /// The record of that name and data.
    #[inline(never)]
    pub(super) fn find(&self, name: &[u8], data: &Data<'_>) -> Option<Cached<'_>> {
        let mut scratch = NameBuf::new();
        let flat = data.flat(&mut scratch);
        let parts = flat.parts();
        let rtype = data.rtype();
        // Few are left to be compared as what they mean.
        let alike = |record: &Cached<'_>| {
            record.about().rtype == rtype && is_joined(record.bytes, &parts) && record.is_named(name)
        };
        self.iter().filter(alike).find(|record| record.data().is_some_and(|other| other.is_same(data)))
    }

    /// Whether there is nothing to ask about that name and type: its records are known, or that it has none.
    #[inline(never)]
    pub(super) fn is_answered(&self, now: Instant, name: &[u8], rtype: Rtype) -> bool {
        self.iter().any(|record| {
            let about = record.about();
            // Cheap things first: this is looked up often.
            (about.rtype == rtype || about.rtype == Rtype::NSEC)
                && about.is_live(now)
                && !about.is_dying()
                && record.is_named(name)
                && record.settles(rtype)
        })
    }

    /// Adds a record. There must be room.
    pub(super) fn push(&mut self, name: &[u8], data: &Data<'_>, mut about: About) {
        let mut scratch = NameBuf::new();
        let flat = data.flat(&mut scratch);
        let [a, b, c] = flat.parts();
        about.name_length = u8::try_from(name.len()).unwrap_or_default();
        if self.records.push(Cell::new(about), &[name, a, b, c]) {
            self.changed();
        }
    }

    /// The record that was added last.
    pub(super) fn last(&self) -> Option<Cached<'_>> {
        self.get(self.records.len().checked_sub(1)?)
    }

    /// Lets a record end soon, unless it is told again.
    #[inline(never)]
    pub(super) fn end_within(&self, now: Instant, record: &Cached<'_>, span: Duration) {
        if record.change(|about| about.end_within(now, span)) {
            self.changed();
        }
    }

    /// Lets all records end soon that are not told again.
    pub(super) fn end_all_within(&self, now: Instant, span: Duration) {
        self.iter().for_each(|record| self.end_within(now, &record, span));
    }

    /// Somebody has told all records that there are of that name and type: others end (M-27), except that those of the last
    /// second may be of the same announcement. Of SRV and TXT records a service has one (RFC 6763 sections 5 and 6), so there
    /// any other has been replaced; python-zeroconf tells changes within less than a second.
    pub(super) fn flush(&self, now: Instant, name: &[u8], rtype: Rtype) {
        let is_sole = matches!(rtype, Rtype::SRV | Rtype::TXT);
        let is_replaced = |about: About| about.is_old(now) || is_sole && about.is_before(now);
        let others = self.iter().filter(|record| record.about().rtype == rtype && is_replaced(record.about()));
        others.filter(|record| record.is_named(name)).for_each(|record| self.end_within(now, &record, GRACE));
    }

    /// Their owner has told that there are no records of that name but of those types (M-28).
    pub(super) fn deny(&self, now: Instant, name: &[u8], types: &Types<'_>) {
        for record in self.iter().filter(|record| record.is_named(name)) {
            let about = record.about();
            // Records that several hosts share are not one host's to deny.
            if about.is_unique() && about.is_old(now) && about.rtype != Rtype::NSEC && !types.has(about.rtype) {
                self.end_within(now, &record, GRACE);
            }
        }
    }

    /// There is a record of that name and type: who said that there was none is no longer right (M-28). Gives whether
    /// somebody did.
    pub(super) fn drop_denials(&mut self, name: &[u8], rtype: Rtype) -> bool {
        let wrong = |record: &Cached<'_>| record.denies(rtype) && record.is_named(name);
        let found = self.iter().any(|record| wrong(&record));
        if found {
            self.records.retain(|entry, bytes| !wrong(&Cached::new((entry, bytes))));
            self.changed();
        }
        found
    }

    /// Removes what has ended. Gives whether any of that was wanted.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        if self.iter().all(|record| record.about().is_live(now)) {
            return false;
        }
        let mut wanted = false;
        self.records.retain(|entry, _| {
            let about = entry.get();
            let live = about.is_live(now);
            wanted |= !live && about.is_wanted();
            live
        });
        self.changed();
        wanted
    }

    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.changed();
    }

    /// Makes room for a record of so many bytes, in place of others: first of those that nobody wants, then, if it is
    /// `wanted` itself, of others that are; each time of the one that has been of no use for longest (M-45).
    pub(super) fn make_room(&mut self, length: usize, wanted: bool) -> Room {
        let mut room = Room { made: false, evicted: 0, wanted: false };
        if !self.records.could_fit(length) {
            return room;
        }
        while !self.records.has_room(length) {
            let mut least: Option<(usize, About)> = None;
            for (index, record) in self.iter().enumerate() {
                let about = record.about();
                if least.is_none_or(|(_, least)| about.is_of_less_use(&least)) {
                    least = Some((index, about));
                }
            }
            let Some((victim, about)) = least else { return room };
            if about.is_wanted() && !wanted {
                return room;
            }
            room.evicted += 1;
            room.wanted |= about.is_wanted();
            self.records.remove(victim);
            self.changed();
        }
        room.made = true;
        room
    }

    /// Shows the records of that name and type, those that are about to end last. If there are none, the one that says so.
    pub(super) fn visit(&self, now: Instant, name: &[u8], rtype: Rtype, visitor: &mut dyn FnMut(&Data<'_>)) {
        let mut show = |record: &Cached<'_>| {
            record.change(|about| about.set_used(now));
            record.data().iter().for_each(&mut *visitor);
        };
        let mut any = false;
        for dying in [false, true] {
            // A name has one of these, so a new one is in the place of the old.
            if any && matches!(rtype, Rtype::SRV | Rtype::TXT) {
                break;
            }
            for record in self.iter().filter(|record| record.is(name, rtype)) {
                let about = record.about();
                if about.is_live(now) && about.is_dying() == dying {
                    any = true;
                    show(&record);
                }
            }
        }
        if !any {
            let denial =
                |record: &Cached<'_>| record.denies(rtype) && record.is_named(name) && record.about().is_live(now);
            self.iter().find(denial).iter().for_each(show);
        }
    }
}

/// What was done for a record's room.
pub(super) struct Room {
    /// There is room.
    pub(super) made: bool,
    /// How many records had to go.
    pub(super) evicted: u32,
    /// Some of them were wanted.
    pub(super) wanted: bool,
}

/// Whether several hosts may have records of that name and type, whatever one of them says.
pub(super) fn is_shared(name: &NameRef<'_>, rtype: Rtype) -> bool {
    rtype == Rtype::PTR && name::is_local(name)
}

/// Whether the bytes are those of the parts, one behind another, but for the case of letters.
fn is_joined(bytes: &[u8], parts: &[&[u8]]) -> bool {
    let rest = parts.iter().try_fold(bytes, |bytes, part| {
        let (head, tail) = bytes.split_at_checked(part.len())?;
        name::eq(head, part).then_some(tail)
    });
    rest.is_some_and(<[u8]>::is_empty)
}
