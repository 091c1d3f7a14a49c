//! What users publish and withdraw.

use core::net::IpAddr;
use core::num::NonZeroU8;

use heapless::Vec;
use net_core::limits::ADDRESSES;

use super::claim::{Extent, Phase};
use super::clock::LastTime;
use super::engine::Context;
use super::name::{self, NameBuf, by_ref};
use super::network::octets;
use super::numbered::{self, Style};
use super::own::{About, Entry, Owner};
use super::responder::Responder;
use super::{HostId, Label, MdnsError, SUBTYPES, Service, ServiceId, txt, types};

/// Addresses in the form of an [`Entry`]'s bytes.
type AddressBytes = Vec<u8, { 17 * ADDRESSES }>;

fn address_bytes(addresses: impl Iterator<Item = IpAddr>) -> Result<AddressBytes, MdnsError> {
    let mut bytes = AddressBytes::new();
    for address in addresses {
        let octets = octets(address);
        let added = bytes.push(octets.len() as u8).is_ok() && bytes.extend_from_slice(&octets).is_ok();
        if !added {
            return Err(MdnsError::InvalidAddress);
        }
    }
    Ok(bytes)
}

impl Responder<'_> {
    pub(super) fn set_host_name(&mut self, cx: &mut Context<'_>, name: &str) -> Result<(), MdnsError> {
        self.looked_at = cx.now;
        let label = name::host_label(name)?;
        if self.own.label(Owner::Host) == label {
            return Ok(());
        }
        if self.own.is_taken(label, None, Some(Owner::Host)) {
            return Err(MdnsError::Duplicate);
        }
        self.name_unnamed(label)?;
        self.forget_leaving(label, None);
        if !name::eq(self.own.label(Owner::Host).as_bytes(), label.as_bytes()) {
            self.retire_host(cx);
        }
        let (base, number) = numbered::split(label, Style::Host);
        let host = &mut self.own.host;
        (host.base, host.entry) = (types::label(base), Entry::new(0, base, number, None));
        self.host_renamed(Owner::Host);
        let due = self.probe_with_others(cx);
        for owner in self.own.owners() {
            let waited = self.own.about(owner).is_some_and(|about| about.host == 0)
                && self.own.claim(owner).is_some_and(|claim| claim.phase == Phase::Idle);
            if owner == Owner::Host || waited {
                self.probe(cx, owner, due);
            }
        }
        Ok(())
    }

    /// Services that were published without a name get that of the host.
    fn name_unnamed(&mut self, label: &str) -> Result<(), MdnsError> {
        let (base, number) = numbered::split(label, Style::Service);
        for index in 0..self.own.entries.len() {
            let is_unnamed = |entry: &Entry| entry.service.is_some() && entry.base_length == 0 && !entry.claim.forget;
            if !self.own.entries.get(index).is_some_and(|(entry, _)| is_unnamed(entry)) {
                continue;
            }
            if !self.own.entries.splice(index, 0, 0, base.as_bytes()) {
                return Err(MdnsError::Full);
            }
            if let Some((entry, _)) = self.own.entries.get_mut(index) {
                (entry.base_length, entry.number) = (base.len() as u8, number);
            }
            let owner = Owner::Entry(index);
            if self.own.is_another(owner) {
                self.own.rename(owner);
            }
        }
        Ok(())
    }

    /// The host's present name is given up: goodbyes are sent for it as for that of a delegated host, if there is room for
    /// another of these.
    fn retire_host(&mut self, cx: &mut Context<'_>) {
        let host = &self.own.host;
        if !host.entry.claim.announced || !cx.network.is_usable() {
            return;
        }
        let Ok(addresses) = address_bytes(self.own.addresses(cx.network, Owner::Host).map(|(_, address)| address))
        else {
            return;
        };
        let (base, number) = (host.base.clone(), host.entry.number);
        let mut entry = Entry::new(0, &base, number, None);
        entry.claim.announced = true;
        entry.claim.forget = true;
        entry.claim.leave(cx.now);
        self.own.entries.push(entry, &[base.as_bytes(), &addresses]);
    }

    pub(super) fn publish(&mut self, cx: &mut Context<'_>, service: &Service<'_>) -> Result<ServiceId, MdnsError> {
        self.looked_at = cx.now;
        let service_type = name::service_type(service.kind)?;
        // Three labels and the root: subtypes are given apart.
        if by_ref(&service_type).iter().count() != 4 {
            return Err(MdnsError::InvalidType);
        }
        let host_label = self.own.label(Owner::Host);
        let given = if service.instance.is_empty() { host_label.as_str() } else { service.instance };
        if given.len() > name::LABEL_MAX || given.contains(char::is_control) {
            return Err(MdnsError::InvalidName);
        }
        let label: Label = types::label(given);
        let host = service.host.map_or(0, |host| host.0);
        if host != 0 && self.own.find(host, false).is_none() {
            return Err(MdnsError::Unknown);
        }
        let subtypes = subtype_bytes(service.subtypes, service_type.as_slice())?;
        let txt = txt::compose(service.txt)?;
        let type_bytes = service_type.as_slice();
        if self.own.is_taken(&label, Some(type_bytes), None) {
            return Err(MdnsError::Duplicate);
        }
        self.forget_leaving(&label, Some(type_bytes));
        let (base, number) = numbered::split(&label, Style::Service);
        let id = self.next_id();
        let Service { port, priority, weight, .. } = *service;
        let type_length = NonZeroU8::new(type_bytes.len() as u8).ok_or(MdnsError::InvalidType)?;
        let subtypes_length = subtypes.len() as u16;
        let about = About { type_length, subtypes_length, port, priority, weight, host };
        self.insert(cx, Entry::new(id, base, number, Some(about)), &[base.as_bytes(), type_bytes, &subtypes, &txt])?;
        Ok(ServiceId(id))
    }

    pub(super) fn delegate(
        &mut self,
        cx: &mut Context<'_>,
        name: &str,
        addresses: &[IpAddr],
    ) -> Result<HostId, MdnsError> {
        self.looked_at = cx.now;
        let label = name::host_label(name)?;
        let is_bad = |address: &IpAddr| {
            address.is_unspecified()
                || address.is_loopback()
                || address.is_multicast()
                || *address == IpAddr::V4(core::net::Ipv4Addr::BROADCAST)
        };
        if addresses.is_empty() || addresses.len() > ADDRESSES || addresses.iter().any(is_bad) {
            return Err(MdnsError::InvalidAddress);
        }
        if self.own.is_taken(label, None, None) {
            return Err(MdnsError::Duplicate);
        }
        self.forget_leaving(label, None);
        let is_first = |(i, address): &(usize, &IpAddr)| !addresses.iter().take(*i).any(|earlier| earlier == *address);
        let bytes = address_bytes(addresses.iter().enumerate().filter(is_first).map(|(_, address)| *address))?;
        let (base, number) = numbered::split(label, Style::Host);
        let id = self.next_id();
        self.insert(cx, Entry::new(id, base, number, None), &[base.as_bytes(), &bytes])?;
        Ok(HostId(id))
    }

    /// Adds an entry and has it probed.
    #[inline(never)]
    fn insert(&mut self, cx: &mut Context<'_>, entry: Entry, bytes: &[&[u8]]) -> Result<(), MdnsError> {
        let length = bytes.iter().map(|part| part.len()).sum();
        // What is being withdrawn, and others have been told once, gives way.
        while !self.own.entries.has_room(length) {
            let is_told = |(old, _): (&Entry, &[u8])| old.claim.forget && old.claim.sent > 0;
            let index = self.own.entries.iter().position(is_told).ok_or(MdnsError::Full)?;
            self.own.entries.remove(index);
        }
        let due = self.probe_with_others(cx);
        self.own.entries.push(entry, bytes);
        let Some(last) = self.own.entries.len().checked_sub(1) else { return Err(MdnsError::Full) };
        self.probe(cx, Owner::Entry(last), due);
        Ok(())
    }

    /// Forgets what is being withdrawn under a name that is published again: its records are true again.
    #[inline(never)]
    fn forget_leaving(&mut self, label: &str, service_type: Option<&[u8]>) {
        for index in (0..self.own.entries.len()).rev() {
            let owner = Owner::Entry(index);
            if self.own.claim(owner).is_some_and(|claim| claim.forget) && self.own.is_named(owner, label, service_type)
            {
                self.own.entries.remove(index);
            }
        }
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = self.last_id;
            if id != 0 && !self.own.entries.iter().any(|(entry, _)| entry.id == id) {
                return id;
            }
        }
    }

    pub(super) fn set_txt(&mut self, cx: &mut Context<'_>, id: ServiceId, txt: &[&str]) -> Result<(), MdnsError> {
        self.looked_at = cx.now;
        let owner @ Owner::Entry(index) = self.own.find(id.0, true).ok_or(MdnsError::Unknown)? else {
            return Err(MdnsError::Unknown);
        };
        let txt = txt::compose(txt)?;
        let (entry, bytes) = self.own.entries.get(index).ok_or(MdnsError::Unknown)?;
        let at = entry.service.as_ref().map_or(0, |about| entry.txt_at(about));
        let end = bytes.len();
        if bytes.get(at..) == Some(&txt[..]) {
            return Ok(());
        }
        if !self.own.entries.splice(index, at, end, &txt) {
            return Err(MdnsError::Full);
        }
        self.touch();
        self.txt_changed = LastTime::at(cx.now);
        if let Some(claim) = self.own.claim_mut(owner).filter(|claim| claim.is_ours()) {
            claim.announce(Extent::Txt, cx.now);
        }
        Ok(())
    }

    pub(super) fn withdraw(&mut self, cx: &mut Context<'_>, id: ServiceId) -> Result<(), MdnsError> {
        self.looked_at = cx.now;
        let owner = self.own.find(id.0, true).ok_or(MdnsError::Unknown)?;
        self.forget(cx, owner);
        Ok(())
    }

    pub(super) fn withdraw_host(&mut self, cx: &mut Context<'_>, id: HostId) -> Result<(), MdnsError> {
        self.looked_at = cx.now;
        self.own.find(id.0, false).ok_or(MdnsError::Unknown)?;
        for index in (0..self.own.entries.len()).rev() {
            let owner = Owner::Entry(index);
            let is_on_it = self.own.about(owner).is_some_and(|about| about.host == id.0);
            if (is_on_it || self.own.id(owner) == id.0) && !self.own.claim(owner).is_some_and(|claim| claim.forget) {
                self.forget(cx, owner);
            }
        }
        Ok(())
    }

    /// Withdraws an entry, and removes it when others have been told, or at once if nobody has heard of it.
    fn forget(&mut self, cx: &mut Context<'_>, owner: Owner) {
        self.touch();
        self.leave(cx, owner);
        let (Owner::Entry(index), Some(claim)) = (owner, self.own.claim_mut(owner)) else { return };
        claim.forget = true;
        if !claim.leaves() {
            self.own.entries.remove(index);
        }
    }
}

/// Subtypes in the form of an [`Entry`]'s bytes; of those that are equal but for case, one.
fn subtype_bytes(
    subtypes: &[&str],
    service_type: &[u8],
) -> Result<Vec<u8, { SUBTYPES * (1 + name::LABEL_MAX) }>, MdnsError> {
    if subtypes.len() > SUBTYPES {
        return Err(MdnsError::InvalidType);
    }
    let mut bytes = Vec::new();
    for (i, label) in subtypes.iter().enumerate() {
        if subtypes.iter().take(i).any(|earlier| name::eq(earlier.as_bytes(), label.as_bytes())) {
            continue;
        }
        NameBuf::new().subtype(label.as_bytes(), service_type)?;
        let length = [label.len() as u8];
        let added = bytes.extend_from_slice(&length).and_then(|()| bytes.extend_from_slice(label.as_bytes()));
        added.map_err(|_| MdnsError::InvalidType)?;
    }
    Ok(bytes)
}
