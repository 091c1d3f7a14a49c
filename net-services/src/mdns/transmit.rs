//! What is due: the steps of each name, then the messages.

use domain::base::header::HeaderSection;
use domain::base::message::Section;
use net_core::time::Instant;

use super::claim::{Extent, GOODBYES, PROBES, Phase};
use super::clock::Millis;
use super::data::Data;
use super::engine::{Context, Destination, Transmit};
use super::marks::Kind;
use super::message::{Record, Writer};
use super::name::{NameBuf, by_ref};
use super::own::{NameOf, Owner};
use super::pending::{Due, UNASKED};
use super::reply::{DEFENCE_RATE, RATE, Selection, To};
use super::responder::Responder;

/// A message without any record.
const MESSAGE_MIN: usize = size_of::<HeaderSection>();

impl Responder<'_> {
    /// Composes the next message that is due. To be called until it gives `None`.
    pub(super) fn poll_transmit(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Option<Transmit> {
        self.looked_at = cx.now;
        if buffer.len() < MESSAGE_MIN {
            return None;
        }
        self.advance(cx);
        let multicast = |length| Transmit { to: Destination::Multicast, length };
        if let Some(length) = self.write_probe(cx, buffer) {
            return Some(multicast(length));
        }
        while let Some((reply, to)) = self.pending.due_unicast(cx.now) {
            let length = self.write_response(cx, &Selection { replies: reply, defend: 0, to: To::One }, buffer);
            if let Some(length) = length {
                return Some(Transmit { to: Destination::Unicast(to), length });
            }
        }
        let Due { replies, defend } = self.pending.due_multicasts(cx.now);
        if replies == 0 {
            return None;
        }
        self.write_response(cx, &Selection { replies, defend, to: To::All }, buffer).map(multicast)
    }

    /// When it is to be called again.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let claims = self.own.owners().filter_map(|owner| self.own.claim(owner)?.due());
        let due = claims.chain(self.pending.next()).reduce(Millis::min)?;
        Some(due.instant(self.looked_at))
    }

    /// Takes the steps that are due: from probing to announcing, announcements, goodbyes.
    fn advance(&mut self, cx: &mut Context<'_>) {
        let mut entries = self.own.entries.len();
        for owner in self.own.owners() {
            let Some(claim) = self.own.claim(owner).filter(|claim| claim.is_due(cx.now)) else { continue };
            match claim.phase {
                Phase::Probing if claim.sent >= PROBES => self.take_name(cx, owner),
                Phase::Leaving if claim.sent < GOODBYES => {
                    self.mark_unasked(cx, owner, Extent::All);
                    if let Some(claim) = self.own.claim_mut(owner) {
                        claim.has_left(cx.now);
                    }
                }
                _ => {}
            }
        }
        // After all have taken their names, so that what belongs together is announced together.
        for owner in self.own.owners() {
            let Some(claim) = self.own.claim_mut(owner) else { continue };
            if let Phase::Announcing(extent) = claim.phase
                && claim.is_due(cx.now)
            {
                claim.has_announced(cx.now);
                self.mark_unasked(cx, owner, extent);
            }
        }
        while let Some(index) = entries.checked_sub(1) {
            entries = index;
            if self.has_left(cx, Owner::Entry(index))
                && self.own.claim(Owner::Entry(index)).is_some_and(|claim| claim.forget)
            {
                self.own.entries.remove(index);
                self.touch();
            }
        }
        for owner in self.own.owners() {
            if self.has_left(cx, owner)
                && let Some(claim) = self.own.claim_mut(owner)
            {
                claim.announced = false;
                claim.rest();
            }
        }
    }

    /// Whether all goodbyes have been taken.
    fn has_left(&self, cx: &Context<'_>, owner: Owner) -> bool {
        self.own.claim(owner).is_some_and(|claim| claim.leaves() && claim.sent >= GOODBYES && claim.is_due(cx.now))
            && !self.own.marks(owner).is_some_and(|marks| marks.any(UNASKED))
    }

    /// The name is this device's own now.
    fn take_name(&mut self, cx: &mut Context<'_>, owner: Owner) {
        if let Some(claim) = self.own.claim_mut(owner) {
            claim.tell_established();
            claim.announce(Extent::All, cx.now);
        }
        self.touch();
        // Its services tell its name, which may be another one than before.
        if self.own.about(owner).is_some() {
            return;
        }
        for service in self.own.owners() {
            let is_on_it = self.own.about(service).is_some_and(|about| self.own.host_of(about) == Some(owner));
            if is_on_it
                && let Some(claim) = self.own.claim_mut(service)
                && claim.target_renamed
            {
                claim.target_renamed = false;
                if claim.is_ours() {
                    claim.announce(Extent::Srv, cx.now);
                }
            }
        }
    }

    /// Has the records of a name announced, or withdrawn.
    fn mark_unasked(&mut self, cx: &Context<'_>, owner: Owner, extent: Extent) {
        for kind in self.own.kinds(owner) {
            let is_meant = match extent {
                Extent::All => !matches!(kind, Kind::ReverseNsec(_) | Kind::ServiceNsec),
                Extent::Txt => kind == Kind::Txt,
                Extent::Srv => kind == Kind::Srv,
            };
            if is_meant
                && self.own.has(cx.network, owner, kind)
                && let Some(marks) = self.own.marks_mut(owner)
            {
                marks.add(kind, UNASKED);
            }
        }
        self.pending.send_unasked(Millis::floor(cx.now));
    }

    /// Composes a response. `None`: there is nothing to be said now.
    fn write_response(&mut self, cx: &mut Context<'_>, selection: &Selection, buffer: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::response(buffer, 0)?;
        if selection.to == To::All && selection.replies & UNASKED != 0 {
            self.write_former(cx, &mut writer);
        }
        if self.write_answers(cx, &mut writer, selection) {
            self.write_additional(cx, &mut writer, selection);
        }
        self.has_written(cx, selection);
        self.settle(cx, selection);
        (!writer.is_empty()).then_some(writer.len())
    }

    /// When what is left of these replies may be sent.
    fn settle(&mut self, cx: &Context<'_>, selection: &Selection) {
        let Self { own, pending, .. } = self;
        pending.settle(selection.replies, |reply| {
            let rate = if reply & selection.defend != 0 { DEFENCE_RATE } else { RATE };
            let mut due: Option<Millis> = None;
            for owner in own.owners() {
                for kind in own.kinds(owner) {
                    let Some(marks) = own.marks(owner).filter(|marks| marks.any(reply)) else { break };
                    if marks.replies(kind) & reply == 0 {
                        continue;
                    }
                    let at = match selection.to {
                        To::All => marks.multicast_again(kind, own.is_v4(cx.network, owner, kind), rate, cx.now),
                        To::One | To::Legacy => Millis::floor(cx.now),
                    };
                    due = Some(due.map_or(at, |earlier| earlier.min(at)));
                }
            }
            due
        });
    }

    /// Writes goodbyes for addresses that this device has had (M-11).
    fn write_former(&mut self, cx: &Context<'_>, writer: &mut Writer<'_>) {
        let Some(host) = self.own.name(cx.network, Owner::Host, NameOf::Own) else { return };
        for former in self.former.iter_mut().filter(|former| former.goodbye) {
            let mut reverse = NameBuf::new();
            let _ = reverse.reverse(former.address); // it fits
            let address = match former.address {
                core::net::IpAddr::V4(v4) => Data::A(v4),
                core::net::IpAddr::V6(v6) => Data::Aaaa(v6),
            };
            // The other addresses are still valid: this one does not replace them.
            let forward = Record { name: by_ref(&host), flush: false, ttl: 0, data: address };
            let backward = Record { name: by_ref(&reverse), flush: true, ttl: 0, data: Data::Ptr(by_ref(&host)) };
            former.goodbye = false;
            let was_empty = writer.is_empty();
            let backward = cx.config.reverse.then_some(&backward);
            let mut records = [Some(&forward), backward].into_iter().flatten();
            if !records.all(|record| writer.record(Section::Answer, record)) {
                former.goodbye = !was_empty;
            }
        }
    }
}
