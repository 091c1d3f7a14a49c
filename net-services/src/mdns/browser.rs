//! The browser: asks, and keeps what is answered.

use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::message::Section;
use domain::base::rdata::RecordData as _;
use net_core::time::{Duration, Instant};

use super::cache::{self, Cache, is_shared};
use super::cached::{About, GRACE};
use super::clock::earliest;
use super::data::Data;
use super::engine::Context;
use super::message::{Incoming, Record};
use super::name::{self, NameBuf, NameRef};
use super::network::canonical;
use super::pool::Pool;
use super::questions::{self, Questions};
use super::{MdnsError, QuestionId};

/// The network may be another one, or much may have been missed: how long records stay that nobody tells again. Long enough
/// for three queries.
const DOUBT: Duration = Duration::from_secs(10);
/// What others do makes this device review its interest no oftener than this.
const REVIEW_INTERVAL: Duration = Duration::from_secs(1);
/// Groups of record types, in the order in which a message's records are taken: what leads to others comes before them.
const RANKS: u8 = 4;

/// What this device publishes itself: shows its records of a name and type.
pub(super) type Own<'o> = dyn Fn(&[u8], Rtype, &mut dyn FnMut(&Data<'_>)) + 'o;

/// The questions of this device, and what others have told.
pub(super) struct Browser<'d> {
    pub(super) questions: Questions<'d>,
    pub(super) cache: Cache<'d>,
    /// There is a network to ask on.
    pub(super) active: bool,
    /// The known answers that did not fit into the last query are still to be sent.
    pub(super) continuing: bool,
    /// When to find out anew which records are wanted, and what is missing.
    review: Option<Instant>,
    reviewed: Instant,
}

impl<'d> Browser<'d> {
    pub(super) fn new(questions: Pool<'d, questions::Entry>, records: Pool<'d, cache::Entry>) -> Self {
        Self {
            questions: Questions::new(questions),
            cache: Cache::new(records),
            active: false,
            continuing: false,
            review: None,
            reviewed: Instant::MIN,
        }
    }

    /// The network has come, gone, or become another.
    pub(super) fn network_changed(&mut self, cx: &mut Context<'_>) {
        self.continuing = false;
        self.active = cx.network.is_usable();
        if !self.active {
            self.cache.clear();
            return;
        }
        self.cache.expire(cx.now);
        self.cache.end_all_within(cx.now, DOUBT);
        self.cache.iter().for_each(|record| record.change(About::start_over));
        self.questions.start_over(cx.now, cx.random);
        self.review = Some(cx.now);
    }

    pub(super) fn ask(
        &mut self,
        cx: &mut Context<'_>,
        name: &NameRef<'_>,
        rtype: Rtype,
        follow: bool,
    ) -> Result<QuestionId, MdnsError> {
        let name = name::copy(name);
        let id = self.questions.ask(cx.now, cx.random, name.as_slice(), rtype, follow)?;
        self.review = Some(cx.now);
        Ok(id)
    }

    pub(super) fn forget(&mut self, id: QuestionId) {
        self.questions.forget(id);
        self.review = Some(Instant::MIN);
    }

    /// What is being asked.
    pub(super) fn question(&self, id: QuestionId) -> Option<(NameRef<'_>, Rtype)> {
        self.questions.get(id)
    }

    /// Another number whenever what [`visit`](Self::visit) shows has changed.
    pub(super) fn generation(&self) -> u32 {
        self.cache.generation()
    }

    /// Shows cached records of that name and type; of a type that the name is known not to have, its NSEC record.
    pub(super) fn visit(&self, now: Instant, name: &[u8], rtype: Rtype, visitor: &mut dyn FnMut(&Data<'_>)) {
        self.cache.visit(now, name, rtype, visitor);
    }

    #[inline(never)]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if !self.active {
            return None;
        }
        if self.continuing {
            return Some(Instant::MIN);
        }
        let mut next = earliest(self.questions.next(), self.review);
        for record in self.cache.iter() {
            let about = record.about();
            let asked = earliest(about.refresh_at(), about.follow_at());
            next = earliest(next, earliest(Some(about.end()), asked));
        }
        next
    }

    /// Removes what has ended, and finds out what that means.
    #[inline(never)]
    pub(super) fn tidy(&mut self, cx: &mut Context<'_>) {
        if self.cache.expire(cx.now) {
            self.plan_review(cx.now);
        }
        if self.review.is_some_and(|at| at <= cx.now) {
            (self.review, self.reviewed) = (None, cx.now);
            let Self { questions, cache, .. } = self;
            cache.review(cx.now, questions);
            questions.wake(cx.now, cx.random, |name, rtype| cache.is_answered(cx.now, name, rtype));
        }
    }

    #[inline(never)]
    fn plan_review(&mut self, now: Instant) {
        let at = self.reviewed.saturating_add(REVIEW_INTERVAL).max(now);
        self.review = Some(self.review.map_or(at, |planned| planned.min(at)));
    }

    /// Takes what another host tells, whether it was asked or not, by whom, and how (RFC 6762 section 10).
    pub(super) fn handle_response(&mut self, cx: &mut Context<'_>, message: &Incoming<'_>, source: IpAddr) {
        if !self.active {
            return;
        }
        self.tidy(cx);
        for rank in 0..RANKS {
            for (section, mut record) in message.records() {
                if section != Section::Authority && rank_of(record.data.rtype()) == rank && is_ours(&record.name) {
                    // M-26: one host does not speak for all.
                    record.flush &= !is_shared(&record.name, record.data.rtype());
                    self.take(cx, &record, canonical(source));
                }
            }
        }
    }

    fn take(&mut self, cx: &mut Context<'_>, record: &Record<'_>, source: IpAddr) {
        let (now, rtype) = (cx.now, record.data.rtype());
        let owner = name::copy(&record.name);
        let name = owner.as_slice();
        if record.ttl == 0 {
            // M-13.
            if let Some(known) = self.cache.find(name, &record.data) {
                self.cache.end_within(now, &known, GRACE);
            }
            return;
        }
        match &record.data {
            Data::Nsec { types, .. } => self.cache.deny(now, name, types),
            // It may have been the answer to other questions too.
            _ if self.cache.drop_denials(name, rtype) => self.plan_review(now),
            _ => {}
        }
        if let Some(known) = self.cache.find(name, &record.data) {
            let is_news = known.change(|about| {
                about.set_source(source);
                about.renew(now, cx.random, record.ttl, record.flush)
            });
            if is_news {
                self.cache.changed();
            }
        } else {
            self.add(cx, name, record, source);
        }
        if record.flush {
            self.cache.flush(now, name, rtype);
        }
    }

    /// Adds a record, if there is room for what is of so much interest (M-45).
    #[inline(never)]
    fn add(&mut self, cx: &mut Context<'_>, name: &[u8], record: &Record<'_>, source: IpAddr) {
        let rtype = record.data.rtype();
        let (wanted, follow) = self.cache.interest(&self.questions, name, rtype);
        let mut scratch = NameBuf::new();
        let length = record.data.flat(&mut scratch).parts().iter().map(|part| part.len()).sum::<usize>();
        let room = self.cache.make_room(name.len().saturating_add(length), wanted);
        cx.stats.evicted = cx.stats.evicted.wrapping_add(room.evicted).wrapping_add(u32::from(!room.made));
        if room.wanted {
            self.plan_review(cx.now);
        }
        if !room.made {
            return;
        }
        let mut about = About::new(cx.now, cx.random, rtype, record.ttl, record.flush);
        about.set_interest(wanted, follow);
        about.set_source(source);
        self.cache.push(name, &record.data, about);
        if let Some(entry) = self.questions.find(name, rtype) {
            entry.has_news();
        }
        if let Some(added) = self.cache.last() {
            self.cache.follow(cx.now, &added);
        }
    }
}

/// Only names that multicast DNS is for are believed (RFC 6762 sections 3 and 4).
fn is_ours(name: &NameRef<'_>) -> bool {
    name::is_local(name) || name::is_reverse(name)
}

fn rank_of(rtype: Rtype) -> u8 {
    match rtype {
        Rtype::PTR => 0,
        Rtype::A | Rtype::AAAA => 2,
        Rtype::NSEC => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;
