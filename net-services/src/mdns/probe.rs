//! Probing: is a name free? (RFC 6762 sections 8.1 and 8.2)

use core::cmp::Ordering;
use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::message::Section;
use heapless::Vec;
use net_core::limits::ADDRESSES;

use super::claim::{PROBES, Phase};
use super::data::Data;
use super::engine::{Context, Query};
use super::marks::Kind;
use super::message::{Question, Writer};
use super::name::{self, by_ref};
use super::network::{Network, octets};
use super::own::{NameOf, Names, Own, Owner};
use super::responder::Responder;

/// Bytes of a record beside its name and data, or of a compressed name with these.
const RECORD_HEAD: usize = 10;
/// A compressed name.
const POINTER: usize = 2;

/// IPv4 first, each by its bytes: as the records are ordered.
#[inline(never)]
fn is_less(a: &IpAddr, b: &IpAddr) -> bool {
    let (a, b) = (octets(*a), octets(*b));
    (a.len(), &a[..]) < (b.len(), &b[..])
}

impl Own<'_> {
    #[inline(never)]
    fn has_probe_due(&self, cx: &Context<'_>, owner: Owner) -> bool {
        self.claim(owner)
            .is_some_and(|claim| claim.phase == Phase::Probing && claim.sent < PROBES && claim.is_due(cx.now))
    }

    /// What it proposes, in the order of section 8.2.
    fn proposed(&self, network: &Network, owner: Owner) -> Vec<Kind, ADDRESSES> {
        if self.about(owner).is_some() {
            return [Kind::Txt, Kind::Srv].into_iter().collect();
        }
        let mut kinds = Vec::new();
        let mut last = None;
        loop {
            // The least of those that are left.
            let mut next: Option<(IpAddr, u8)> = None;
            for (number, address) in self.addresses(network, owner) {
                let is_left = last.is_none_or(|last| is_less(&last, &address));
                if is_left && next.is_none_or(|(least, _)| is_less(&address, &least)) {
                    next = Some((address, number));
                }
            }
            let Some((address, number)) = next else { return kinds };
            let _ = kinds.push(Kind::Address(number)); // there are no more
            last = Some(address);
        }
    }

    /// Bytes that a question for its name and its proposed records take, at the most.
    fn probe_length(&self, network: &Network, owner: Owner) -> usize {
        let mut names = Names::new();
        let length = |kind: Kind| match self.record(network, owner, kind, &mut names)?.data {
            Data::Srv { target, .. } => Some(6 + name::copy(&target).as_slice().len()),
            Data::Txt(bytes) => Some(bytes.len()),
            _ => Some(16),
        };
        let records = self.proposed(network, owner).into_iter().filter_map(length);
        let name = self.name(network, owner, NameOf::Own).map_or(0, |name| name.as_slice().len());
        name + 4 + records.map(|data| POINTER + RECORD_HEAD + data).sum::<usize>()
    }

    /// How its proposed records compare with those of a probe for the same name: the greater ones win. `None`: it is a
    /// probe for other names.
    fn tie_break(&self, network: &Network, owner: Owner, query: &Query<'_>) -> Option<Ordering> {
        let name = self.name(network, owner, NameOf::Own)?;
        let name = by_ref(&name);
        let theirs = || {
            let proposed = query
                .message
                .records()
                .filter(|(section, record)| *section == Section::Authority && name::is_same(&record.name, &name));
            proposed.map(|(_, record)| record.data)
        };
        theirs().next()?;
        let mut last: Option<Data<'_>> = None;
        // Theirs come in any order and number: always the least of those that are greater than the last one.
        let mut next = || {
            let later = theirs().filter(|data| last.is_none_or(|last| data.order(&last) == Ordering::Greater));
            last = later.min_by(Data::order);
            last
        };
        let mut names = Names::new();
        for kind in self.proposed(network, owner) {
            let Some(theirs) = next() else { return Some(Ordering::Greater) };
            let order = self.record(network, owner, kind, &mut names)?.data.order(&theirs);
            if order != Ordering::Equal {
                return Some(order);
            }
        }
        Some(if next().is_some() { Ordering::Less } else { Ordering::Equal })
    }

    /// Whether a probe proposes just what this device has: it is its own, and has come back (M-8).
    pub(super) fn is_own_probe(&self, network: &Network, owner: Owner, query: &Query<'_>) -> bool {
        self.tie_break(network, owner, query) == Some(Ordering::Equal)
    }
}

impl Responder<'_> {
    /// Composes a probe for all names that are due (M-1 to M-3); gives its length.
    pub(super) fn write_probe(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Option<usize> {
        let own = &mut self.own;
        let size = buffer.len();
        let mut writer = Writer::query(buffer)?;
        // All questions stand before all records: those that fit together with their records are chosen first.
        let mut end = 0;
        let mut length = writer.len();
        for (place, owner) in own.owners().enumerate() {
            if own.has_probe_due(cx, owner) {
                length += own.probe_length(cx.network, owner);
                if end > 0 && length > size {
                    break;
                }
                end = place + 1;
            }
        }
        for owner in own.owners().take(end) {
            if own.has_probe_due(cx, owner)
                && let Some(name) = own.name(cx.network, owner, NameOf::Own)
            {
                writer.question(&Question { name: by_ref(&name), rtype: Rtype::ANY, unicast: cx.config.unicast });
            }
        }
        let mut names = Names::new();
        for owner in own.owners().take(end) {
            if !own.has_probe_due(cx, owner) {
                continue;
            }
            for kind in own.proposed(cx.network, owner) {
                if let Some(mut record) = own.record(cx.network, owner, kind, &mut names) {
                    record.flush = false;
                    writer.record(Section::Authority, &record);
                }
            }
            if let Some(claim) = own.claim_mut(owner) {
                claim.has_probed(cx.now);
            }
        }
        (!writer.is_empty()).then_some(writer.len())
    }

    /// Another host may probe for a name that is being probed for here (M-5, M-6).
    pub(super) fn tie_break(&mut self, cx: &mut Context<'_>, query: &Query<'_>) {
        let own = &mut self.own;
        for owner in own.owners() {
            let probes = own.claim(owner).is_some_and(|claim| claim.phase == Phase::Probing);
            if probes
                && own.tie_break(cx.network, owner, query) == Some(Ordering::Less)
                && let Some(claim) = own.claim_mut(owner)
            {
                claim.defer(cx.now);
            }
        }
    }
}
