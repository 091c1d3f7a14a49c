//! Other hosts' queries: they may spare us asking the same (RFC 6762 section 7.3), and what nobody answers to them may be
//! gone (section 10.5).

use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::message::Section;
use domain::base::rdata::RecordData as _;

use super::browser::{Browser, Own};
use super::cache::is_shared;
use super::engine::{Context, Query};
use super::message::{Question, Record};
use super::name;
use super::network::canonical;
use super::questions::Questions;

impl Browser<'_> {
    /// Looks at a query of another host.
    pub(super) fn observe_query(&mut self, cx: &mut Context<'_>, own: &Own<'_>, query: &Query<'_>) {
        // Only the answers to multicast are heard by all. And what this device itself has sent may come back to it.
        let from = canonical(query.from.ip());
        let from_here = cx.network.has(from);
        if !self.active || !query.multicast || from_here {
            return;
        }
        self.tidy(cx);
        self.cache.iter().for_each(|record| record.set_heard(false));
        for question in query.message.questions().filter(|question| !question.unicast) {
            self.spare(cx, own, query, &question);
        }
        for (_, known) in query.message.records().filter(|(section, _)| *section == Section::Answer) {
            self.compare(cx, own, &known);
        }
        // Of a truncated query not all known answers are here.
        if !query.message.is_truncated() {
            for question in query.message.questions().filter(|question| !question.unicast) {
                self.suspect(cx, &question, from);
            }
        }
    }

    /// Another host knows an answer. It must not be taken from there (RFC 6762 section 7.1); but if this device does not know
    /// it, it asks soon. So what was lost is found before long, and what is spared for the first message of a long list
    /// is asked after all if the rest shows something new.
    fn compare(&mut self, cx: &mut Context<'_>, own: &Own<'_>, known: &Record<'_>) {
        let owner = name::copy(&known.name);
        if let Some(record) = self.cache.find(owner.as_slice(), &known.data) {
            record.set_heard(true);
        } else if is_shared(&known.name, known.data.rtype())
            && let Some(entry) = self.questions.find(owner.as_slice(), known.data.rtype())
            && !is_own(own, known)
        {
            entry.hurry(cx.now, Questions::delay(cx.random));
        }
    }

    /// What this device was about to ask has been asked, if it would not have listed less as known (M-19).
    fn spare(&mut self, cx: &mut Context<'_>, own: &Own<'_>, query: &Query<'_>, question: &Question<'_>) {
        let (now, rtype) = (cx.now, question.rtype);
        let owner = name::copy(&question.name);
        let name = owner.as_slice();
        let Self { questions, cache, .. } = self;
        let refreshes = || cache.iter().filter(|record| record.is(name, rtype) && record.about().may_refresh(now));
        let soon = questions.find(name, rtype).filter(|entry| entry.is_soon(now));
        if soon.is_none() && refreshes().next().is_none() {
            return;
        }
        let known_here = |known: &Record<'_>| {
            let cached = cache.find(name, &known.data).is_some_and(|record| record.about().is_known_answer(now));
            cached || is_own(own, known)
        };
        let mut answers = query.message.records().filter(|(section, known)| {
            *section == Section::Answer && known.data.rtype() == rtype && name::is_same(&known.name, &question.name)
        });
        if answers.all(|(_, known)| known_here(&known)) {
            soon.into_iter().for_each(|entry| entry.asked(now));
            refreshes().for_each(|record| record.refreshed(now, cx.random));
            cx.stats.questions_spared = cx.stats.questions_spared.wrapping_add(1);
        }
    }

    /// The owner of a record should answer with it now, since the query does not list it as known. Records whose owner has
    /// not done so to two queries end soon, unless it comes to that yet (M-44). They are not asked for before: if all hosts
    /// did that, it would be too many (RFC 6762 section 10.5).
    fn suspect(&mut self, cx: &mut Context<'_>, question: &Question<'_>, from: IpAddr) {
        // That is what a probe asks, and it may be the owner's.
        if question.rtype == Rtype::ANY {
            return;
        }
        let owner = name::copy(&question.name);
        for record in self.cache.iter().filter(|record| record.is(owner.as_slice(), question.rtype)) {
            // A host that asks does not answer itself, nor list what it has.
            let about = record.about();
            if !about.is_heard()
                && about.is_of_another(from)
                && let Some(span) = record.change(|about| about.set_suspect(cx.now))
            {
                self.cache.end_within(cx.now, &record, span);
            }
        }
    }
}

/// Whether it is a record of this device.
fn is_own(own: &Own<'_>, record: &Record<'_>) -> bool {
    let mut is = false;
    own(name::copy(&record.name).as_slice(), record.data.rtype(), &mut |data| is |= data.is_same(&record.data));
    is
}
