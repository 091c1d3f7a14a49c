//! The responder: publishes names, defends them, answers.

use core::net::IpAddr;

use domain::base::Rtype;
use heapless::Vec;
use net_core::limits::ADDRESSES;
use net_core::time::{Duration, Instant};

use super::claim::{Claim, Extent, News};
use super::clock::{LastTime, Millis};
use super::data::Data;
use super::digest::digest;
use super::engine::Context;
use super::marks::Marks;
use super::network::{Network, octets};
use super::own::{Entry, Names, Own, Owner};
use super::pending::Pending;
use super::pool::Pool;
use super::{Config, Event, HostId, Label, ServiceId};

/// Addresses of the device's other interfaces that are remembered. Of more than these a conflict may be seen where none is.
const SIBLINGS: usize = ADDRESSES;
/// Addresses that are remembered when the interface loses them; of more, the one longest gone is forgotten.
const FORMER: usize = 3;
/// A name joins those that wait to be probed if they do not wait for longer than names usually do.
const JOIN: Duration = Duration::from_millis(250);

/// An address that the interface has lost.
#[derive(Debug)]
pub(super) struct Former {
    pub(super) address: IpAddr,
    pub(super) since: LastTime,
    /// Others are to be told.
    pub(super) goodbye: bool,
}

/// All that this device publishes on one interface.
pub(super) struct Responder<'d> {
    pub(super) own: Own<'d>,
    pub(super) pending: Pending,
    pub(super) former: Vec<Former, FORMER, u8>,
    /// Digests of the addresses of other interfaces.
    pub(super) siblings: Vec<u32, SIBLINGS, u8>,
    /// When TXT data was changed last.
    pub(super) txt_changed: LastTime,
    /// When something was done last: from then on, times are told.
    pub(super) looked_at: Instant,
    pub(super) last_id: u16,
    generation: u32,
    /// All is withdrawn until the link comes up the next time.
    shut_down: bool,
}

impl<'d> Responder<'d> {
    pub(super) fn new(config: &Config, entries: Pool<'d, Entry>) -> Self {
        Self {
            own: Own::new(entries, config.reverse),
            pending: Pending::new(),
            former: Vec::new(),
            siblings: Vec::new(),
            txt_changed: LastTime::NEVER,
            looked_at: Instant::MIN,
            last_id: 0,
            generation: 0,
            shut_down: false,
        }
    }

    /// What [`visit`](Self::visit) shows may have changed.
    pub(super) fn touch(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }

    pub(super) fn set_siblings(&mut self, addresses: &[IpAddr]) {
        self.siblings = addresses.iter().take(SIBLINGS).map(|address| digest_of(*address)).collect();
    }

    /// Follows the interface: publishes all anew when it has come up (M-11).
    pub(super) fn network_changed(&mut self, cx: &mut Context<'_>, before: &Network) {
        self.looked_at = cx.now;
        self.touch();
        if !cx.network.is_usable() {
            self.rest();
        } else if before.is_usable() {
            self.addresses_changed(cx, before);
        } else {
            self.rest();
            self.shut_down = false;
            self.former.clear();
            let due = Claim::first_probe(cx.random, cx.now);
            for owner in self.own.owners() {
                self.probe(cx, owner, due);
            }
        }
    }

    /// There is no network: nothing is due, and what was being withdrawn is gone.
    fn rest(&mut self) {
        self.pending = Pending::new();
        for index in (0..self.own.entries.len()).rev() {
            if self.own.claim(Owner::Entry(index)).is_some_and(|claim| claim.forget) {
                self.own.entries.remove(index);
            }
        }
        for owner in self.own.owners() {
            if let Some(Entry { claim, marks, .. }) = self.own.entry_mut(owner) {
                claim.rest();
                *marks = Marks::new();
            }
        }
    }

    fn addresses_changed(&mut self, cx: &mut Context<'_>, before: &Network) {
        let lost = |address: &IpAddr| !cx.network.has(*address);
        let gained = cx.network.addresses().any(|address| !before.has(address));
        if !gained && !before.addresses().any(|address| lost(&address)) {
            return;
        }
        let announced = self.own.host.entry.claim.announced;
        self.former.retain(|former| lost(&former.address));
        for address in before.addresses().filter(lost) {
            if self.former.is_full() {
                self.former.remove(0);
            }
            let former = Former { address, since: LastTime::at(cx.now), goodbye: announced };
            let _ = self.former.push(former); // room was made
        }
        // Addresses are known by their numbers, which are others now.
        self.own.host.entry.marks = Marks::new();
        if self.own.is_ours(Owner::Host) {
            self.own.host.entry.claim.announce(Extent::All, cx.now);
        }
        if announced {
            self.pending.send_unasked(Millis::floor(cx.now));
        }
    }

    /// Begins to probe for a name, if there is a network and the name is known.
    #[inline(never)]
    pub(super) fn probe(&mut self, cx: &mut Context<'_>, owner: Owner, due: Millis) {
        let needs_host_name = self.own.about(owner).map_or(owner == Owner::Host, |about| about.host == 0);
        let misses_name = needs_host_name && self.own.host.base.is_empty();
        let can = !misses_name && !self.own.label(owner).is_empty() && cx.network.is_usable() && !self.shut_down;
        self.touch();
        let Some(Entry { claim, marks, .. }) = self.own.entry_mut(owner) else { return };
        marks.remove_all();
        if can {
            claim.probe(due, cx.now);
        } else {
            claim.rest();
        }
    }

    /// When a new name's first probe is to be sent: with that of others that are waiting, so that one message does.
    pub(super) fn probe_with_others(&self, cx: &mut Context<'_>) -> Millis {
        let latest = Millis::ceil(cx.now).plus(JOIN);
        let waiting = self.own.owners().filter_map(|owner| self.own.claim(owner)?.waits_to_probe());
        let joined = waiting.reduce(Millis::min).filter(|due| latest.since(*due) >= 0);
        joined.unwrap_or_else(|| Claim::first_probe(cx.random, cx.now))
    }

    /// A host has another name than before: its services tell it when it is known to be free.
    pub(super) fn host_renamed(&mut self, host: Owner) {
        if self.own.about(host).is_some() {
            return;
        }
        for service in self.own.owners() {
            let is_on_it = self.own.about(service).is_some_and(|about| self.own.host_of(about) == Some(host));
            if is_on_it && let Some(claim) = self.own.claim_mut(service) {
                claim.target_renamed = true;
            }
        }
    }

    pub(super) fn shut_down(&mut self, cx: &mut Context<'_>) {
        self.looked_at = cx.now;
        self.touch();
        self.shut_down = true;
        for owner in self.own.owners() {
            self.leave(cx, owner);
        }
    }

    /// Withdraws the records of a name.
    #[inline(never)]
    pub(super) fn leave(&mut self, cx: &mut Context<'_>, owner: Owner) {
        let Some(Entry { claim, marks, .. }) = self.own.entry_mut(owner) else { return };
        if claim.leaves() {
            return;
        }
        *marks = Marks::new();
        if claim.announced && cx.network.is_usable() {
            claim.leave(cx.now);
        } else {
            claim.rest();
        }
    }

    pub(super) fn is_shut_down(&self) -> bool {
        !self.own.owners().any(|owner| self.own.claim(owner).is_some_and(Claim::leaves))
    }

    pub(super) fn host_name(&self) -> Label {
        self.own.label(Owner::Host)
    }

    pub(super) fn service_name(&self, id: ServiceId) -> Option<Label> {
        Some(self.own.label(self.own.find(id.0, true)?))
    }

    pub(super) fn is_established(&self, id: ServiceId) -> bool {
        self.own.find(id.0, true).is_some_and(|owner| self.own.is_ours(owner))
    }

    pub(super) fn delegated_name(&self, id: HostId) -> Option<Label> {
        Some(self.own.label(self.own.find(id.0, false)?))
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        for owner in self.own.owners() {
            let id = self.own.id(owner);
            let is_service = self.own.about(owner).is_some();
            let Some(claim) = self.own.claim_mut(owner) else { continue };
            let renamed = match claim.take_news() {
                News::None => continue,
                news => news == News::Renamed,
            };
            return Some(match (owner, is_service, renamed) {
                (Owner::Host, _, true) => Event::HostRenamed,
                (Owner::Host, _, false) => Event::HostEstablished,
                (Owner::Entry(_), true, true) => Event::ServiceRenamed(ServiceId(id)),
                (Owner::Entry(_), true, false) => Event::ServiceEstablished(ServiceId(id)),
                (Owner::Entry(_), false, true) => Event::DelegateRenamed(HostId(id)),
                (Owner::Entry(_), false, false) => Event::DelegateEstablished(HostId(id)),
            });
        }
        None
    }

    /// Another number whenever what [`visit`](Self::visit) shows has changed.
    pub(super) fn generation(&self) -> u32 {
        self.generation
    }

    /// Shows own records that are established. `name` is as on the wire, uncompressed.
    #[inline(never)]
    pub(super) fn visit(&self, network: &Network, name: &[u8], rtype: Rtype, visitor: &mut dyn FnMut(&Data<'_>)) {
        let mut names = Names::new();
        for owner in self.own.owners().filter(|owner| self.own.is_ours(*owner)) {
            let set = self.own.answers(network, owner, name, rtype);
            for kind in self.own.kinds_in(owner, set) {
                if let Some(record) = self.own.record(network, owner, kind, &mut names) {
                    visitor(&record.data);
                }
            }
        }
    }
}

/// An address in four bytes. That two of a device have the same is not worth caring about.
pub(super) fn digest_of(address: IpAddr) -> u32 {
    digest(&[&octets(address)])
}

const _: () = assert!(ADDRESSES <= 8, "a set of kinds has 32 bits");
