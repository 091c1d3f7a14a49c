//! Which records answer a query, and when (RFC 6762 sections 5 to 7).

use domain::base::message::Section;
use net_core::time::Duration;

use super::clock::Millis;
use super::engine::{Context, Query};
use super::marks::{Kind, Replies};
use super::message::{Incoming, Question};
use super::name;
use super::own::{Names, Own, Owner};
use super::pending::{LEGACY, WRITTEN, Waiting};
use super::reply::{RATE, Reply};
use super::responder::Responder;

/// While a query is being read: what is to be multicast, and what is to go to the querier. (What is in a message, and in
/// the reply to a legacy query, is marked only later.)
const TO_ALL: Replies = LEGACY;
const TO_ONE: Replies = WRITTEN;

/// A shared record is answered with at random after so many milliseconds, so that those who have it do not collide
/// (section 6).
const SHARED_DELAY: (u32, u32) = (20, 120);
/// After a query whose known answers go on in another one (section 7.2).
const HELD_DELAY: (u32, u32) = (400, 500);

/// What was found for a query.
#[derive(Default)]
struct Found {
    any: bool,
    shared: bool,
}

impl Responder<'_> {
    /// Looks for answers to a query. Gives a reply that is to be composed at once.
    pub(super) fn handle_query(&mut self, cx: &mut Context<'_>, query: &Query<'_>) -> Option<Reply> {
        self.looked_at = cx.now;
        if query.is_legacy() {
            return self.answer_legacy(cx, query);
        }
        self.take_known_answers(cx, query);
        let is_probe = query.message.records().any(|(section, _)| section == Section::Authority);
        if is_probe {
            self.tie_break(cx, query);
        }
        let (mut found, mut questions) = (Found::default(), 0);
        for question in query.message.questions() {
            questions += 1;
            self.find_answers(cx, query, &question, is_probe, &mut found);
        }
        if !found.any {
            return None;
        }
        let now = cx.now;
        let mut after = |(low, high)| Millis::ceil(now).plus(cx.random.millis(low, high));
        let due = if is_probe {
            Millis::floor(now)
        } else if query.message.is_truncated() {
            after(HELD_DELAY)
        } else if found.shared || questions > 1 {
            // Of several questions, others may be answering some (section 6.3).
            after(SHARED_DELAY)
        } else {
            Millis::floor(now)
        };
        let held = query.message.is_truncated() && !is_probe;
        let waiting = Waiting { from: query.from, due, held, defends: is_probe };
        self.schedule(cx, TO_ALL, &waiting);
        self.schedule(cx, TO_ONE, &waiting);
        None
    }

    /// Marks what answers one question.
    #[inline(never)]
    fn find_answers(
        &mut self,
        cx: &mut Context<'_>,
        query: &Query<'_>,
        question: &Question<'_>,
        is_probe: bool,
        found: &mut Found,
    ) {
        let name = name::copy(&question.name);
        for owner in self.own.owners() {
            if !self.own.is_ours(owner) {
                continue;
            }
            let set = self.own.answers(cx.network, owner, name.as_slice(), question.rtype);
            if set == 0 || (is_probe && self.own.is_own_probe(cx.network, owner, query)) {
                continue;
            }
            for kind in self.own.kinds_in(owner, set) {
                if is_known(&self.own, cx, owner, kind, &query.message) {
                    cx.stats.answers_spared = cx.stats.answers_spared.wrapping_add(1);
                    continue;
                }
                let to_one = !query.multicast || (question.unicast && query.on_link && self.is_fresh(cx, owner, kind));
                found.any = true;
                found.shared |= kind.is_shared();
                if let Some(marks) = self.own.marks_mut(owner) {
                    marks.add(kind, if to_one { TO_ONE } else { TO_ALL });
                }
            }
        }
    }

    /// Whether everybody should know the record still: it was multicast within a quarter of its TTL (M-21).
    fn is_fresh(&self, cx: &Context<'_>, owner: Owner, kind: Kind) -> bool {
        let v4 = self.own.is_v4(cx.network, owner, kind);
        let quarter = Duration::from_secs(kind.ttl().into()) / 4;
        self.own.marks(owner).is_some_and(|marks| marks.was_multicast_within(kind, v4, quarter, cx.now))
    }

    /// Has what is marked wait for its time.
    fn schedule(&mut self, cx: &Context<'_>, marked: Replies, waiting: &Waiting) {
        let mut reply = None;
        for owner in self.own.owners() {
            for kind in self.own.kinds(owner) {
                let v4 = self.own.is_v4(cx.network, owner, kind);
                let Some(marks) = self.own.marks_mut(owner).filter(|marks| marks.any(marked)) else { break };
                if marks.replies(kind) & marked == 0 {
                    continue;
                }
                marks.remove(kind, marked);
                // It may be multicast soon enough as it is, since it may not be multicast before that.
                let earliest = marks.multicast_again(kind, v4, RATE, cx.now).max(waiting.due);
                if marked == TO_ALL && !waiting.defends && self.pending.is_multicast_by(marks.replies(kind), earliest) {
                    continue;
                }
                marks.add(kind, *reply.get_or_insert_with(|| self.pending.open(marked == TO_ONE, waiting)));
            }
        }
    }

    /// More known answers of a query whose reply waits for them (M-16, M-18).
    fn take_known_answers(&mut self, cx: &mut Context<'_>, query: &Query<'_>) {
        let (low, high) = HELD_DELAY;
        let later = Millis::ceil(cx.now).plus(cx.random.millis(low, high));
        let held = self.pending.held_for(query.from.ip(), query.message.is_truncated().then_some(later));
        if held == 0 {
            return;
        }
        for owner in self.own.owners() {
            for kind in self.own.kinds(owner) {
                let waits = self.own.marks(owner).is_some_and(|marks| marks.replies(kind) & held != 0);
                if waits && is_known(&self.own, cx, owner, kind, &query.message) {
                    cx.stats.answers_spared = cx.stats.answers_spared.wrapping_add(1);
                    if let Some(marks) = self.own.marks_mut(owner) {
                        marks.remove(kind, held);
                    }
                }
            }
        }
    }

    fn answer_legacy(&mut self, cx: &mut Context<'_>, query: &Query<'_>) -> Option<Reply> {
        if !query.on_link {
            return None;
        }
        let question = query.message.questions().next()?;
        let name = name::copy(&question.name);
        let mut any = false;
        for owner in self.own.owners() {
            if !self.own.is_ours(owner) {
                continue;
            }
            let set = self.own.answers(cx.network, owner, name.as_slice(), question.rtype);
            for kind in self.own.kinds_in(owner, set) {
                any = true;
                if let Some(marks) = self.own.marks_mut(owner) {
                    marks.add(kind, LEGACY);
                }
            }
        }
        any.then(|| Reply::to(query, &question))
    }
}

/// Whether a querier has a record already: it lists it with at least half of its TTL (M-17).
#[inline(never)]
fn is_known(own: &Own<'_>, cx: &Context<'_>, owner: Owner, kind: Kind, query: &Incoming<'_>) -> bool {
    let mut names = Names::new();
    let Some(ours) = own.record(cx.network, owner, kind, &mut names) else { return false };
    query.records().take_while(|(section, _)| *section == Section::Answer).any(|(_, known)| {
        known.ttl >= ours.ttl / 2 && known.data.is_same(&ours.data) && name::is_same(&known.name, &ours.name)
    })
}
