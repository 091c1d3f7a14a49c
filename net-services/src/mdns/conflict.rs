//! What others answer: it may contradict what is claimed here, or say the same (RFC 6762 sections 6.6, 7.4, 9).

use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::rdata::RecordData as _;
use net_core::log::{Show, info};
use net_core::time::Duration;

use super::claim::{Claim, Phase};
use super::clock::Millis;
use super::data::Data;
use super::engine::Context;
use super::marks::Kind;
use super::message::{Incoming, Record};
use super::name;
use super::own::{NameOf, Names, Owner};
use super::pending::UNASKED;
use super::responder::Responder;

/// What was true of this device may be told for so long afterwards, by reflectors, or because it was underway. What is told
/// after that is told by another host.
const FORMER: Duration = Duration::from_secs(10);

impl Responder<'_> {
    /// Looks at a response of another host.
    pub(super) fn handle_response(&mut self, cx: &mut Context<'_>, message: &Incoming<'_>, multicast: bool) {
        self.looked_at = cx.now;
        for (_, record) in message.records() {
            let name = name::copy(&record.name);
            for owner in self.own.owners() {
                if self.own.claim(owner).is_some_and(|claim| !matches!(claim.phase, Phase::Idle | Phase::Leaving)) {
                    self.compare(cx, owner, name.as_slice(), &record, multicast);
                }
            }
        }
        // A message of several records is one conflict.
        for owner in self.own.owners() {
            if let Some(claim) = self.own.claim_mut(owner).filter(|claim| claim.in_conflict) {
                claim.in_conflict = false;
                self.resolve(cx, owner);
            }
        }
    }

    /// Compares a record with those of the same name, which is `name` on the wire.
    fn compare(&mut self, cx: &mut Context<'_>, owner: Owner, name: &[u8], record: &Record<'_>, multicast: bool) {
        let rtype = record.data.rtype();
        let is_service = self.own.about(owner).is_some();
        let claimed = if is_service { [Rtype::SRV, Rtype::TXT] } else { [Rtype::A, Rtype::AAAA] };
        if !claimed.contains(&rtype) && rtype != Rtype::PTR {
            return;
        }
        // Those of that type, or what says that there are none.
        let set = self.own.answers(cx.network, owner, name, rtype);
        let (mut own_name, mut same) = (false, None);
        let mut names = Names::new();
        for kind in self.own.kinds_in(owner, set) {
            own_name |= NameOf::of(kind) == NameOf::Own;
            let ours = self.own.record(cx.network, owner, kind, &mut names);
            if ours.is_some_and(|ours| ours.data.is_same(&record.data)) {
                same = Some(kind);
            }
        }
        match same {
            Some(kind) => self.heard(cx, owner, kind, record.ttl, multicast),
            None if own_name && claimed.contains(&rtype) && record.ttl > 0 && !self.is_former(cx, &record.data) => {
                if let Some(claim) = self.own.claim_mut(owner) {
                    claim.in_conflict = true;
                }
            }
            None => {}
        }
    }

    /// A record of ours was told by somebody.
    fn heard(&mut self, cx: &mut Context<'_>, owner: Owner, kind: Kind, ttl: u32, multicast: bool) {
        if !self.own.is_ours(owner) {
            return;
        }
        let asked = self.pending.asked_multicasts();
        let Some(marks) = self.own.marks_mut(owner) else { return };
        if ttl < kind.ttl() / 2 {
            // It would vanish too soon, or at once (M-14).
            marks.add(kind, UNASKED);
            let due = if kind.is_shared() {
                Millis::ceil(cx.now).plus(cx.random.millis(20, 120))
            } else {
                Millis::floor(cx.now)
            };
            self.pending.send_unasked(due);
        } else if multicast && ttl >= kind.ttl() && marks.replies(kind) & asked != 0 {
            // Everybody has heard it (M-19).
            marks.remove(kind, asked);
            cx.stats.answers_spared = cx.stats.answers_spared.wrapping_add(1);
        }
    }

    /// Whether this device may have told that itself: an address that is or was its own, on this or on another of its
    /// interfaces; or TXT data, if that has changed. (Another host that has the name has other SRV data too.)
    fn is_former(&self, cx: &Context<'_>, data: &Data<'_>) -> bool {
        let address: IpAddr = match data {
            Data::A(address) => (*address).into(),
            Data::Aaaa(address) => (*address).into(),
            Data::Txt(_) => return self.txt_changed.is_within(FORMER, cx.now),
            _ => return false,
        };
        cx.network.has(address)
            || self.siblings.contains(&super::responder::digest_of(address))
            || self.former.iter().any(|former| former.address == address && former.since.is_within(FORMER, cx.now))
    }

    /// Another host has a name of ours.
    fn resolve(&mut self, cx: &mut Context<'_>, owner: Owner) {
        let Some(claim) = self.own.claim_mut(owner) else { return };
        let probing = claim.phase == Phase::Probing;
        // In use by both, both probe, and one of them will lose (M-14): when it is answered, but not because it hears again
        // what made it probe.
        if probing && claim.announced && claim.sent == 0 {
            return;
        }
        cx.stats.conflicts = cx.stats.conflicts.wrapping_add(1);
        claim.count_conflict(cx.now);
        if probing {
            // It is theirs (M-4). No goodbye: all that was told under it, the PTR record to the instance too, is true of
            // their service now.
            claim.tell_renamed();
            claim.announced = false;
            let before = self.own.label(owner);
            self.own.rename(owner);
            info!("mdns: the name {} is taken, trying {}", Show(&before), Show(&self.own.label(owner)));
            self.host_renamed(owner);
        }
        let due = if probing { Claim::first_probe(cx.random, cx.now) } else { Claim::probe_again(cx.random, cx.now) };
        self.probe(cx, owner, due);
    }
}
