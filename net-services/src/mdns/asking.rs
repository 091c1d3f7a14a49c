//! Queries: which questions are due, and what is known already.

use domain::base::Rtype;
use domain::base::message::Section;
use domain::base::rdata::RecordData as _;
use net_core::time::Instant;

use super::Stats;
use super::browser::{Browser, Own};
use super::cache::{Cache, is_shared};
use super::engine::Context;
use super::interest::led_to;
use super::message::{Question, Record, Writer};
use super::name::{by_ref, copy, from_wire, is_local};

/// A host whose address is known has not told of one of the other IP version: it is asked for that no oftener.
const TRIES_FOR_MORE: u8 = 3;

/// The TTL with which shared records of this device are listed: just less than half of what they have. So a host that has
/// the same name by mistake still answers, and the conflict is found.
const OWN_TTL: u32 = 4500 / 2 - 1;

impl Browser<'_> {
    /// Composes the next query that is due; gives its length.
    pub(super) fn poll_transmit(&mut self, cx: &mut Context<'_>, own: &Own<'_>, buffer: &mut [u8]) -> Option<usize> {
        self.tidy(cx);
        let mut writer = Writer::query(buffer)?;
        if !self.continuing {
            if self.poll_timeout().is_none_or(|at| at > cx.now) {
                return None;
            }
            // What does not fit is still due, and goes into the next message.
            let _ = self.write_questions(cx, own, &mut writer)
                && self.write_refreshes(cx, &mut writer)
                && self.write_follow_ups(cx, &mut writer);
            self.write_own_answers(own, &mut writer);
        }
        self.write_known_answers(cx.now, &mut writer);
        (!writer.is_empty()).then(|| writer.len())
    }

    /// What users ask. `false`: the message is full.
    fn write_questions(&mut self, cx: &mut Context<'_>, own: &Own<'_>, writer: &mut Writer<'_>) -> bool {
        let Self { questions, cache, .. } = self;
        for (entry, name) in questions.iter_mut().filter(|(entry, _)| entry.is_due(cx.now)) {
            if cache.is_answered(cx.now, name, entry.rtype) {
                entry.rest();
                continue;
            }
            if is_settled(own, name, entry.rtype) {
                entry.asked(cx.now); // without anybody else
                continue;
            }
            let unicast = entry.sent == 0 && cx.config.unicast;
            if !write(cx.now, cx.stats, cache, writer, name, entry.rtype, unicast) {
                return false;
            }
            entry.asked(cx.now);
        }
        true
    }

    /// What is known and wanted, but will end before long (M-43). `false`: the message is full.
    fn write_refreshes(&mut self, cx: &mut Context<'_>, writer: &mut Writer<'_>) -> bool {
        let now = cx.now;
        for record in self.cache.iter().filter(|record| record.about().may_refresh(now)) {
            if !write(now, cx.stats, &self.cache, writer, record.name, record.about().rtype, false) {
                return false;
            }
            record.refreshed(now, cx.random);
        }
        true
    }

    /// What leads lead to and is not known. `false`: the message is full.
    fn write_follow_ups(&mut self, cx: &mut Context<'_>, writer: &mut Writer<'_>) -> bool {
        let now = cx.now;
        for lead in self.cache.iter().filter(|record| record.about().may_follow(now)) {
            let about = lead.about();
            let target = lead.target().unwrap_or_default();
            let types = led_to(about.rtype);
            // What a user asks too is left to that question.
            let missing =
                types.map(|rtype| !self.cache.is_answered(now, target, rtype) && !self.questions.asks(target, rtype));
            let enough = about.rtype == Rtype::SRV && about.tries() >= TRIES_FOR_MORE && missing.contains(&false);
            if enough || !missing.contains(&true) || !is_local(&from_wire(target)) {
                lead.change(|about| about.rest());
                continue;
            }
            let first = writer.is_empty();
            for (rtype, _) in types.into_iter().zip(missing).filter(|(_, missing)| *missing) {
                let fits = write(now, cx.stats, &self.cache, writer, target, rtype, false);
                // What does not even fit into a message of its own has to wait for the next try.
                if !fits && !first {
                    return false;
                }
            }
            lead.change(|about| about.followed(now, cx.random));
        }
        true
    }

    /// What this device itself could answer to its questions, beside others. Nobody would tell that again; but those who
    /// hear a query, and no answer from its owner, take the record for gone (RFC 6762 section 10.5).
    fn write_own_answers(&mut self, own: &Own<'_>, writer: &mut Writer<'_>) {
        let mut number = 0;
        while let Some((owner, rtype)) = writer.asked(number).map(|question| (copy(&question.name), question.rtype)) {
            number += 1;
            let name = by_ref(&owner);
            own(owner.as_slice(), rtype, &mut |data| {
                if is_shared(&name, data.rtype()) {
                    // One that does not fit is left out: there will be other queries.
                    writer.record(Section::Answer, &Record { name, flush: false, ttl: OWN_TTL, data: *data });
                    // It may have come back to this device.
                    let known = self.cache.find(owner.as_slice(), data);
                    known.into_iter().for_each(|record| record.set_listed(false));
                }
            });
        }
    }

    /// The answers that are known already, so that nobody tells them again (M-17). Those that do not fit follow in messages
    /// of their own (M-18, RFC 6762 section 7.2).
    fn write_known_answers(&mut self, now: Instant, writer: &mut Writer<'_>) {
        self.continuing = false;
        for record in self.cache.iter().filter(|record| record.about().is_listed()) {
            let about = record.about();
            if let Some(data) = record.data().filter(|_| about.is_known_answer(now)) {
                let known = Record { name: from_wire(record.name), flush: false, ttl: about.remaining(now), data };
                if !writer.record(Section::Answer, &known) && !writer.is_empty() {
                    writer.set_truncated();
                    self.continuing = true;
                    return;
                }
            }
            // Written; or no longer known, or too large for any message.
            record.set_listed(false);
        }
    }
}

/// Whether this device itself has what is asked for, and nobody else can.
fn is_settled(own: &Own<'_>, name: &[u8], rtype: Rtype) -> bool {
    let mut settled = false;
    own(name, rtype, &mut |data| settled |= rtype != Rtype::ANY && !is_shared(&from_wire(name), data.rtype()));
    settled
}

/// Writes a question, unless the message asks it already, and marks the answers that are known. `false`: it does not fit.
fn write(
    now: Instant,
    stats: &mut Stats,
    cache: &Cache<'_>,
    writer: &mut Writer<'_>,
    name: &[u8],
    rtype: Rtype,
    unicast: bool,
) -> bool {
    let question = Question { name: from_wire(name), rtype, unicast };
    if writer.asks(&question) {
        return true;
    }
    if !writer.question(&question) {
        // One that fits into no message counts as asked, or nothing else would ever be.
        return writer.is_empty();
    }
    stats.questions = stats.questions.wrapping_add(1);
    for record in cache.iter().filter(|record| record.is(name, rtype) && record.about().is_known_answer(now)) {
        record.set_listed(true);
    }
    true
}
