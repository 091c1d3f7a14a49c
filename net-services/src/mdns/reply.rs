//! Composing responses (RFC 6762 sections 6 and 18), and RFC 6763 section 12: what else a querier will need.

use core::net::SocketAddr;

use domain::base::Rtype;
use domain::base::message::Section;
use net_core::time::Duration;

use super::engine::{Context, Destination, Query, Transmit};
use super::marks::{Kind, Replies};
use super::message::{Question, Writer};
use super::name::{self, NameBuf, by_ref};
use super::own::{Names, Owner};
use super::pending::{LEGACY, WRITTEN};
use super::responder::Responder;

/// A record is multicast at most once in that time (section 6).
pub(super) const RATE: Duration = Duration::from_secs(1);
/// Unless it defends a name against a probe.
pub(super) const DEFENCE_RATE: Duration = Duration::from_millis(250);
/// Simple resolvers would keep a record for its TTL, without ever hearing that it has changed (section 6.7).
const LEGACY_TTL: u32 = 10;

/// A reply that is to be composed at once, where its query lies.
pub(super) struct Reply {
    to: SocketAddr,
    id: u16,
    name: NameBuf,
    rtype: Rtype,
    class: u16,
}

impl Reply {
    pub(super) fn to(query: &Query<'_>, question: &Question<'_>) -> Self {
        Self {
            to: query.from,
            id: query.message.id(),
            name: name::copy(&question.name),
            rtype: question.rtype,
            class: query.message.first_class(),
        }
    }
}

/// Which records a response is made of.
#[derive(Clone, Copy)]
pub(super) struct Selection {
    pub(super) replies: Replies,
    /// Those of them that defend a name.
    pub(super) defend: Replies,
    pub(super) to: To,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    All,
    One,
    Legacy,
}

impl Responder<'_> {
    /// Composes the reply to a legacy query (M-23).
    pub(super) fn write_reply(&mut self, cx: &mut Context<'_>, reply: &Reply, buffer: &mut [u8]) -> Option<Transmit> {
        let selection = Selection { replies: LEGACY, defend: 0, to: To::Legacy };
        let mut length = None;
        if let Some(mut writer) = Writer::response(buffer, reply.id)
            && writer.question_of_class(&by_ref(&reply.name), reply.rtype, reply.class)
        {
            writer.compress_as_unicast();
            if self.write_answers(cx, &mut writer, &selection) {
                self.write_additional(cx, &mut writer, &selection);
            } else {
                writer.set_truncated();
            }
            length = Some(writer.len());
        }
        self.has_written(cx, &selection);
        for owner in self.own.owners() {
            for kind in self.own.kinds(owner) {
                if let Some(marks) = self.own.marks_mut(owner) {
                    marks.remove(kind, LEGACY);
                }
            }
        }
        Some(Transmit { to: Destination::Unicast(reply.to), length: length? })
    }

    /// Writes the records of these replies into the answer section, as far as they fit and may be sent; `false`: not all fit.
    ///
    /// What is written keeps its marks, and gets another, until [`has_written`](Self::has_written).
    pub(super) fn write_answers(&mut self, cx: &Context<'_>, writer: &mut Writer<'_>, selection: &Selection) -> bool {
        let mut all_fit = true;
        for owner in self.own.owners() {
            for kind in self.own.kinds(owner) {
                let Some(marks) = self.own.marks(owner).filter(|marks| marks.any(selection.replies)) else { break };
                let wanted = marks.replies(kind) & selection.replies;
                if wanted == 0 || marks.replies(kind) & WRITTEN != 0 {
                    continue;
                }
                let can_be = self.own.claim(owner).is_some_and(|claim| claim.is_ours() || claim.leaves());
                if !can_be || !self.own.has(cx.network, owner, kind) {
                    // It is not there any more.
                    if let Some(marks) = self.own.marks_mut(owner) {
                        marks.remove(kind, selection.replies);
                    }
                    continue;
                }
                let rate = if wanted & selection.defend != 0 { DEFENCE_RATE } else { RATE };
                if selection.to == To::All && self.was_multicast_within(cx, owner, kind, rate) {
                    continue;
                }
                all_fit &= self.write(cx, writer, selection.to, Section::Answer, owner, kind);
            }
        }
        all_fit
    }

    /// Writes what queriers will ask for next (M-40), as far as it fits.
    pub(super) fn write_additional(&mut self, cx: &Context<'_>, writer: &mut Writer<'_>, selection: &Selection) {
        for owner in self.own.owners() {
            let Some(about) = self.own.about(owner).copied().filter(|_| self.own.is_ours(owner)) else { continue };
            let written = |responder: &Self, kind| {
                responder.own.marks(owner).is_some_and(|marks| marks.replies(kind) & WRITTEN != 0)
            };
            let lists = |kind: &Kind| matches!(kind, Kind::Instance | Kind::Subtype(_));
            if self.own.kinds(owner).filter(lists).any(|kind| written(self, kind)) {
                self.add(cx, writer, selection, owner, Kind::Srv);
                self.add(cx, writer, selection, owner, Kind::Txt);
            }
            if written(self, Kind::Srv)
                && let Some(host) = self.own.host_of(&about)
            {
                for kind in Kind::OF_HOST.into_iter().filter(|kind| matches!(kind, Kind::Address(_))) {
                    self.add(cx, writer, selection, host, kind);
                }
            }
        }
        for owner in self.own.owners() {
            if self.own.about(owner).is_some() || !self.own.is_ours(owner) {
                continue;
            }
            let Some(marks) = self.own.marks(owner) else { continue };
            let is_written = |kind: &Kind| matches!(kind, Kind::Address(_)) && marks.replies(*kind) & WRITTEN != 0;
            if !Kind::OF_HOST.iter().any(is_written) {
                continue;
            }
            let both = [true, false].iter().all(|v4| self.own.has_version(cx.network, owner, *v4));
            for kind in Kind::OF_HOST.into_iter().filter(|kind| matches!(kind, Kind::Address(_))) {
                self.add(cx, writer, selection, owner, kind);
            }
            if !both {
                self.add(cx, writer, selection, owner, Kind::HostNsec);
            }
        }
    }

    /// Adds a record, unless it is in the message (M-41), or everybody has just heard it.
    #[inline(never)]
    fn add(&mut self, cx: &Context<'_>, writer: &mut Writer<'_>, selection: &Selection, owner: Owner, kind: Kind) {
        let to = selection.to;
        let is_written = self.own.marks(owner).is_none_or(|marks| marks.replies(kind) & WRITTEN != 0);
        if is_written
            || !self.own.is_ours(owner)
            || !self.own.has(cx.network, owner, kind)
            || (to == To::All && self.was_multicast_within(cx, owner, kind, RATE))
        {
            return;
        }
        self.write(cx, writer, to, Section::Additional, owner, kind);
    }

    #[inline(never)]
    fn was_multicast_within(&self, cx: &Context<'_>, owner: Owner, kind: Kind, span: Duration) -> bool {
        let v4 = self.own.is_v4(cx.network, owner, kind);
        self.own.marks(owner).is_some_and(|marks| marks.was_multicast_within(kind, v4, span, cx.now))
    }

    /// Writes a record and marks it as written. `false`: it does not fit here, but will into an empty message.
    ///
    /// All addresses of one version are written together: they replace what others have of them (section 10.2).
    #[inline(never)]
    fn write(
        &mut self,
        cx: &Context<'_>,
        writer: &mut Writer<'_>,
        to: To,
        section: Section,
        owner: Owner,
        kind: Kind,
    ) -> bool {
        let leaves = self.own.claim(owner).is_some_and(|claim| claim.leaves());
        let set = self.own.set_of(cx.network, owner, kind);
        let (was_empty, mark) = (writer.is_empty(), writer.mark());
        let mut names = Names::new();
        let fits = self.own.kinds_in(owner, set).all(|kind| {
            let Some(mut record) = self.own.record(cx.network, owner, kind, &mut names) else { return true };
            if to == To::Legacy {
                // As unicast DNS has it (section 6.7).
                (record.flush, record.ttl) = (false, record.ttl.min(LEGACY_TTL));
            } else if leaves {
                record.ttl = 0;
            }
            writer.record(section, &record)
        });
        if !fits {
            writer.rewind(&mark);
        }
        for kind in self.own.kinds_in(owner, set) {
            let Some(marks) = self.own.marks_mut(owner) else { continue };
            if fits {
                marks.add(kind, WRITTEN);
            } else if was_empty {
                // It will never fit.
                marks.remove(kind, Replies::MAX);
            }
        }
        fits || was_empty
    }

    /// The message is complete: what it has is not to be sent again.
    pub(super) fn has_written(&mut self, cx: &Context<'_>, selection: &Selection) {
        let done = selection.replies | if selection.to == To::All { self.pending.multicasts() } else { 0 };
        for owner in self.own.owners() {
            for kind in self.own.kinds(owner) {
                let v4 = self.own.is_v4(cx.network, owner, kind);
                let Some(marks) = self.own.marks_mut(owner).filter(|marks| marks.any(WRITTEN)) else { break };
                if marks.replies(kind) & WRITTEN == 0 {
                    continue;
                }
                marks.remove(kind, done | WRITTEN);
                if selection.to == To::All {
                    marks.set_multicast(kind, v4, cx.now);
                }
            }
        }
    }
}
