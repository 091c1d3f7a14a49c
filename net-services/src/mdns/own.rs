//! What this device publishes: the host, services, delegated hosts, and their records.

use core::net::IpAddr;
use core::num::NonZeroU8;

use domain::base::Rtype;
use net_core::limits::ADDRESSES;

use super::Label;
use super::claim::Claim;
use super::data::{Data, Types};
use super::marks::{Kind, Marks};
use super::message::Record;
use super::name::{self, NameBuf, by_ref};
use super::network::Network;
use super::numbered::{self, Style};
use super::pool::Pool;

/// This device as a host: an entry, whose bytes are the base of its name. That is empty if it has no name.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) base: Label,
    pub(super) entry: Entry,
}

/// A service or a delegated host.
///
/// Its bytes are: the name's base; for a service the type as on the wire, subtypes as labels after their lengths, and TXT
/// data; for a host its addresses, each after its length.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) claim: Claim,
    pub(super) marks: Marks,
    pub(super) id: u16,
    pub(super) number: u16,
    pub(super) base_length: u8,
    /// `None`: it is a host.
    pub(super) service: Option<About>,
}

/// What is known of a service beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) type_length: NonZeroU8,
    pub(super) subtypes_length: u16,
    pub(super) port: u16,
    pub(super) priority: u16,
    pub(super) weight: u16,
    /// The id of a delegated host; 0: this device.
    pub(super) host: u16,
}

/// The bytes of a service, apart.
#[derive(Clone, Copy)]
struct Parts<'a> {
    service_type: &'a [u8],
    subtypes: &'a [u8],
    txt: &'a [u8],
}

impl<'a> Parts<'a> {
    /// The label of the subtype of that number.
    fn subtype(&self, number: u8) -> Option<&'a [u8]> {
        pieces(self.subtypes).nth(number.into())
    }
}

impl Entry {
    pub(super) fn new(id: u16, base: &str, number: u16, service: Option<About>) -> Self {
        let (claim, marks) = (Claim::new(), Marks::new());
        Self { claim, marks, id, number, base_length: base.len() as u8, service }
    }

    fn base<'a>(&self, bytes: &'a [u8]) -> &'a str {
        let base = bytes.get(..usize::from(self.base_length)).unwrap_or_default();
        core::str::from_utf8(base).unwrap_or_default()
    }

    fn rest<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        bytes.get(usize::from(self.base_length)..).unwrap_or_default()
    }

    fn parts<'a>(&self, about: &About, bytes: &'a [u8]) -> Option<Parts<'a>> {
        let (service_type, rest) = self.rest(bytes).split_at_checked(about.type_length.get().into())?;
        let (subtypes, txt) = rest.split_at_checked(about.subtypes_length.into())?;
        Some(Parts { service_type, subtypes, txt })
    }

    /// Where the TXT data of a service begins.
    pub(super) fn txt_at(&self, about: &About) -> usize {
        usize::from(self.base_length) + usize::from(about.type_length.get()) + usize::from(about.subtypes_length)
    }
}

/// The pieces of `bytes`, each after its length.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    core::iter::from_fn(move || {
        let (length, tail) = rest.split_first()?;
        let (piece, tail) = tail.split_at_checked(usize::from(*length))?;
        rest = tail;
        Some(piece)
    })
}

/// Something that has a name of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Host,
    /// A service or a delegated host, by its index.
    Entry(usize),
}

impl Owner {
    /// The host first, then the entries.
    fn at(place: usize) -> Self {
        place.checked_sub(1).map_or(Self::Host, Self::Entry)
    }
}

/// The names that records of one owner have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameOf {
    /// The name that is claimed: the host's, or the service instance's.
    Own,
    /// Of the address of that number.
    Reverse(u8),
    Type,
    Subtype(u8),
    /// The name under which all types are listed.
    Types,
}

impl NameOf {
    pub(super) const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Address(_) | Kind::HostNsec | Kind::Srv | Kind::Txt | Kind::ServiceNsec => Self::Own,
            Kind::Reverse(i) | Kind::ReverseNsec(i) => Self::Reverse(i),
            Kind::Instance => Self::Type,
            Kind::Subtype(i) => Self::Subtype(i),
            Kind::Type => Self::Types,
        }
    }
}

/// Memory for the names of one record: its own, and the one that it points to.
pub(super) struct Names {
    own: NameBuf,
    target: NameBuf,
}

impl Names {
    pub(super) fn new() -> Self {
        Self { own: NameBuf::new(), target: NameBuf::new() }
    }
}

/// All that is published.
pub(super) struct Own<'d> {
    /// The host's addresses have their names from it: see [`Config::reverse`](super::Config::reverse).
    reverse: bool,
    pub(super) host: Host,
    pub(super) entries: Pool<'d, Entry>,
}

impl<'d> Own<'d> {
    pub(super) fn new(entries: Pool<'d, Entry>, reverse: bool) -> Self {
        let host = Host { base: Label::new(), entry: Entry::new(0, "", 1, None) };
        Self { reverse, host, entries }
    }

    /// The host first.
    #[inline(never)]
    pub(super) fn owners(&self) -> impl Iterator<Item = Owner> + use<> {
        (0..self.entries.len() + 1).map(Owner::at)
    }

    /// What is known of it, and its bytes.
    #[inline(never)]
    fn entry(&self, owner: Owner) -> Option<(&Entry, &[u8])> {
        match owner {
            Owner::Host => Some((&self.host.entry, self.host.base.as_bytes())),
            Owner::Entry(index) => self.entries.get(index),
        }
    }

    #[inline(never)]
    pub(super) fn entry_mut(&mut self, owner: Owner) -> Option<&mut Entry> {
        match owner {
            Owner::Host => Some(&mut self.host.entry),
            Owner::Entry(index) => self.entries.get_mut(index).map(|(entry, _)| entry),
        }
    }

    #[inline(never)]
    pub(super) fn claim(&self, owner: Owner) -> Option<&Claim> {
        self.entry(owner).map(|(entry, _)| &entry.claim)
    }

    #[inline(never)]
    pub(super) fn marks(&self, owner: Owner) -> Option<&Marks> {
        self.entry(owner).map(|(entry, _)| &entry.marks)
    }

    #[inline(never)]
    pub(super) fn claim_mut(&mut self, owner: Owner) -> Option<&mut Claim> {
        self.entry_mut(owner).map(|entry| &mut entry.claim)
    }

    #[inline(never)]
    pub(super) fn marks_mut(&mut self, owner: Owner) -> Option<&mut Marks> {
        self.entry_mut(owner).map(|entry| &mut entry.marks)
    }

    /// Whether queries are answered with its records.
    #[inline(never)]
    pub(super) fn is_ours(&self, owner: Owner) -> bool {
        self.claim(owner).is_some_and(Claim::is_ours)
    }

    #[inline(never)]
    pub(super) fn about(&self, owner: Owner) -> Option<&About> {
        self.entry(owner)?.0.service.as_ref()
    }

    #[inline(never)]
    fn parts(&self, owner: Owner) -> Option<Parts<'_>> {
        let (entry, bytes) = self.entry(owner)?;
        entry.parts(entry.service.as_ref()?, bytes)
    }

    /// The entry with that id, if it is not being withdrawn.
    pub(super) fn find(&self, id: u16, is_service: bool) -> Option<Owner> {
        let index = self
            .entries
            .iter()
            .position(|(entry, _)| entry.id == id && entry.service.is_some() == is_service && !entry.claim.forget)?;
        Some(Owner::Entry(index))
    }

    /// The host that a service runs on.
    pub(super) fn host_of(&self, service: &About) -> Option<Owner> {
        if service.host == 0 {
            return Some(Owner::Host);
        }
        let is_host = |(entry, _): (&Entry, _)| entry.id == service.host && entry.service.is_none();
        self.entries.iter().position(is_host).map(Owner::Entry)
    }

    pub(super) fn id(&self, owner: Owner) -> u16 {
        self.entry(owner).map_or(0, |(entry, _)| entry.id)
    }

    /// The first label of its name.
    #[inline(never)]
    pub(super) fn label(&self, owner: Owner) -> Label {
        let Some((entry, bytes)) = self.entry(owner) else { return Label::new() };
        let style = if entry.service.is_some() { Style::Service } else { Style::Host };
        numbered::join(entry.base(bytes), entry.number, style)
    }

    /// Whether it has that name: a host if there is no `service_type`.
    pub(super) fn is_named(&self, owner: Owner, label: &str, service_type: Option<&[u8]>) -> bool {
        let is_of_type = match (self.parts(owner), service_type) {
            (Some(parts), Some(wanted)) => name::eq(parts.service_type, wanted),
            (parts, wanted) => parts.is_none() && wanted.is_none(),
        };
        is_of_type && name::eq(self.label(owner).as_bytes(), label.as_bytes())
    }

    /// Whether something of this device, leaving out `but`, has that name, and keeps it.
    #[inline(never)]
    pub(super) fn is_taken(&self, label: &str, service_type: Option<&[u8]>, but: Option<Owner>) -> bool {
        self.owners().any(|owner| {
            Some(owner) != but
                && !self.claim(owner).is_some_and(|claim| claim.forget)
                && self.is_named(owner, label, service_type)
        })
    }

    /// Whether something else of this device has its name.
    pub(super) fn is_another(&self, owner: Owner) -> bool {
        let service_type = self.parts(owner).map(|parts| parts.service_type);
        self.is_taken(&self.label(owner), service_type, Some(owner))
    }

    /// Gives it the next name that nothing else of this device has.
    #[inline(never)]
    pub(super) fn rename(&mut self, owner: Owner) {
        loop {
            let Some(Entry { number, .. }) = self.entry_mut(owner) else { return };
            // After 65535 names it begins again.
            *number = number.checked_add(1).unwrap_or(2);
            if !self.is_another(owner) {
                return;
            }
        }
    }

    /// The address of that number, if it is not an earlier one again.
    #[inline(never)]
    pub(super) fn address(&self, network: &Network, owner: Owner, number: u8) -> Option<IpAddr> {
        match owner {
            Owner::Host => network.address(number.into()),
            // The addresses of a delegated host are compared when they are given.
            Owner::Entry(_) => {
                let (entry, bytes) = self.entry(owner)?;
                delegated(entry, bytes).nth(number.into())
            }
        }
    }

    /// Its addresses with their numbers.
    pub(super) fn addresses(&self, network: &Network, owner: Owner) -> impl Iterator<Item = (u8, IpAddr)> {
        (0..ADDRESSES as u8).filter_map(move |number| Some((number, self.address(network, owner, number)?)))
    }

    /// Whether somebody else of this device, or of its computer, answers for that reverse name: an address has one.
    fn is_reverse_elsewhere(&self, network: &Network, owner: Owner, address: IpAddr) -> bool {
        let Owner::Entry(own) = owner else { return !self.reverse };
        let mut earlier = self.entries.iter().take(own);
        network.has(address)
            || earlier.any(|(entry, bytes)| {
                entry.service.is_none() && !entry.claim.forget && delegated(entry, bytes).any(|other| other == address)
            })
    }

    /// Whether another service tells that there is this type (M-37: each once).
    #[inline(never)]
    fn is_type_elsewhere(&self, owner: Owner) -> bool {
        let (Owner::Entry(own), Some(Parts { service_type, .. })) = (owner, self.parts(owner)) else { return false };
        let leaves = |owner| self.claim(owner).is_some_and(|claim| claim.leaves());
        self.owners().any(|other| {
            let Owner::Entry(index) = other else { return false };
            let tells = match (leaves(owner), leaves(other)) {
                (true, false) => self.is_ours(other),
                (true, true) => index < own,
                (false, _) => self.is_ours(other) && index < own,
            };
            tells && self.parts(other).is_some_and(|parts| name::eq(parts.service_type, service_type)) && index != own
        })
    }

    /// Whether there is such a record.
    #[inline(never)]
    pub(super) fn has(&self, network: &Network, owner: Owner, kind: Kind) -> bool {
        let is_service = self.about(owner).is_some();
        match kind {
            Kind::Address(i) => !is_service && self.address(network, owner, i).is_some(),
            Kind::Reverse(i) | Kind::ReverseNsec(i) => {
                !is_service
                    && self
                        .address(network, owner, i)
                        .is_some_and(|address| !self.is_reverse_elsewhere(network, owner, address))
            }
            Kind::HostNsec => !is_service,
            Kind::Instance | Kind::Srv | Kind::Txt | Kind::ServiceNsec => is_service,
            Kind::Subtype(i) => self.parts(owner).is_some_and(|parts| parts.subtype(i).is_some()),
            Kind::Type => is_service && !self.is_type_elsewhere(owner),
        }
    }

    /// All kinds of records that there may be of it; whether there are tells [`has`](Self::has).
    #[inline(never)]
    pub(super) fn kinds(&self, owner: Owner) -> impl Iterator<Item = Kind> + use<> {
        let kinds: &[Kind] = if self.about(owner).is_some() { &Kind::OF_SERVICE } else { &Kind::OF_HOST };
        kinds.iter().copied()
    }

    /// Those of its kinds of records that are in a set of [`Kind::bit`].
    pub(super) fn kinds_in(&self, owner: Owner, set: u32) -> impl Iterator<Item = Kind> + use<> {
        self.kinds(owner).filter(move |kind| set & kind.bit() != 0)
    }

    /// Whether it is an address of IPv4.
    #[inline(never)]
    pub(super) fn is_v4(&self, network: &Network, owner: Owner, kind: Kind) -> bool {
        match kind {
            Kind::Address(i) => self.address(network, owner, i).is_some_and(|address| address.is_ipv4()),
            _ => false,
        }
    }

    /// The records of the same name and type, itself included, as a set of [`Kind::bit`].
    #[inline(never)]
    pub(super) fn set_of(&self, network: &Network, owner: Owner, kind: Kind) -> u32 {
        if !matches!(kind, Kind::Address(_)) {
            return kind.bit();
        }
        let v4 = self.is_v4(network, owner, kind);
        let of_version = self.addresses(network, owner).filter(|(_, address)| address.is_ipv4() == v4);
        of_version.fold(0, |set, (number, _)| set | Kind::Address(number).bit())
    }

    #[inline(never)]
    pub(super) fn rtype(&self, network: &Network, owner: Owner, kind: Kind) -> Rtype {
        match kind {
            Kind::Address(_) if self.is_v4(network, owner, kind) => Rtype::A,
            Kind::Address(_) => Rtype::AAAA,
            Kind::Reverse(_) | Kind::Instance | Kind::Subtype(_) | Kind::Type => Rtype::PTR,
            Kind::ReverseNsec(_) | Kind::HostNsec | Kind::ServiceNsec => Rtype::NSEC,
            Kind::Srv => Rtype::SRV,
            Kind::Txt => Rtype::TXT,
        }
    }

    #[inline(never)]
    pub(super) fn name(&self, network: &Network, owner: Owner, of: NameOf) -> Option<NameBuf> {
        let mut name = NameBuf::new();
        self.write_name(network, owner, of, &mut name)?;
        Some(name)
    }

    #[inline(never)]
    fn write_name(&self, network: &Network, owner: Owner, of: NameOf, name: &mut NameBuf) -> Option<()> {
        name.clear();
        let parts = self.parts(owner);
        let written = match (of, parts) {
            (NameOf::Own, None) => name.label(self.label(owner).as_bytes()).and_then(NameBuf::local),
            (NameOf::Own, Some(parts)) => name.instance(self.label(owner).as_bytes(), parts.service_type),
            (NameOf::Reverse(i), _) => name.reverse(self.address(network, owner, i)?),
            (NameOf::Type, parts) => name.append(parts?.service_type),
            (NameOf::Subtype(i), parts) => name.subtype(parts?.subtype(i)?, parts?.service_type),
            (NameOf::Types, _) => name.append(name::TYPES),
        };
        written.ok().map(|_| ())
    }

    /// Whether that is one of its names, without regard to case. `name` is as on the wire, uncompressed.
    #[inline(never)]
    fn is_name(&self, network: &Network, owner: Owner, of: NameOf, name: &[u8]) -> bool {
        let Some(parts) = self.parts(owner) else {
            return match of {
                NameOf::Own => name::is_host(name, self.label(owner).as_bytes()),
                NameOf::Reverse(i) => {
                    self.address(network, owner, i).is_some_and(|address| name::is_reverse_of(name, address))
                }
                _ => false,
            };
        };
        match of {
            NameOf::Own => name::is_instance(name, self.label(owner).as_bytes(), parts.service_type),
            NameOf::Type => name::eq(name, parts.service_type),
            NameOf::Subtype(i) => {
                parts.subtype(i).is_some_and(|label| name::is_subtype(name, label, parts.service_type))
            }
            NameOf::Types => name::eq(name, name::TYPES),
            NameOf::Reverse(_) => false,
        }
    }

    /// The record of that kind; its names are written into `names`.
    #[inline(never)]
    pub(super) fn record<'a>(
        &'a self,
        network: &Network,
        owner: Owner,
        kind: Kind,
        names: &'a mut Names,
    ) -> Option<Record<'a>> {
        let Names { own, target } = names;
        self.write_name(network, owner, NameOf::of(kind), own)?;
        let mut pointing = |at: Owner, of: NameOf| self.write_name(network, at, of, target);
        let data = match kind {
            Kind::Address(i) => match self.address(network, owner, i)? {
                IpAddr::V4(v4) => Data::A(v4),
                IpAddr::V6(v6) => Data::Aaaa(v6),
            },
            Kind::Reverse(_) | Kind::Instance | Kind::Subtype(_) => {
                pointing(owner, NameOf::Own)?;
                Data::Ptr(by_ref(target))
            }
            Kind::Type => {
                pointing(owner, NameOf::Type)?;
                Data::Ptr(by_ref(target))
            }
            Kind::Srv => {
                let About { port, priority, weight, .. } = *self.about(owner)?;
                pointing(self.host_of(self.about(owner)?)?, NameOf::Own)?;
                Data::Srv { priority, weight, port, target: by_ref(target) }
            }
            Kind::Txt => Data::Txt(self.parts(owner)?.txt),
            Kind::HostNsec | Kind::ReverseNsec(_) | Kind::ServiceNsec => {
                Data::Nsec { next: by_ref(own), types: self.types(network, owner, kind) }
            }
        };
        Some(Record { name: by_ref(own), flush: !kind.is_shared(), ttl: kind.ttl(), data })
    }

    /// The types that an NSEC record tells.
    fn types(&self, network: &Network, owner: Owner, kind: Kind) -> Types<'static> {
        match kind {
            Kind::ReverseNsec(_) => return Types::PTR,
            Kind::ServiceNsec => return Types::TXT_AND_SRV,
            _ => {}
        }
        match (self.has_version(network, owner, true), self.has_version(network, owner, false)) {
            (true, true) => Types::A_AND_AAAA,
            (true, false) => Types::A,
            (false, true) => Types::AAAA,
            (false, false) => Types::NONE,
        }
    }

    /// Whether it has addresses of IPv4, or of IPv6.
    #[inline(never)]
    pub(super) fn has_version(&self, network: &Network, owner: Owner, v4: bool) -> bool {
        self.addresses(network, owner).any(|(_, address)| address.is_ipv4() == v4)
    }

    /// Its records that answer a question, as a set of [`Kind::bit`]: those of that type, or all for ANY (M-25), or else,
    /// if the name has no such type, what says so (M-28). `name` is as on the wire, uncompressed.
    #[inline(never)]
    pub(super) fn answers(&self, network: &Network, owner: Owner, name: &[u8], rtype: Rtype) -> u32 {
        let (mut found, mut negative) = (0, 0);
        let mut compared = None;
        for kind in self.kinds(owner) {
            let of = NameOf::of(kind);
            let is_same = match compared {
                Some((earlier, is_same)) if earlier == of => is_same,
                _ => self.is_name(network, owner, of, name),
            };
            compared = Some((of, is_same));
            if !is_same || !self.has(network, owner, kind) {
                continue;
            }
            if rtype == self.rtype(network, owner, kind) || (rtype == Rtype::ANY && !kind.is_nsec()) {
                found |= kind.bit();
            } else if kind.is_nsec() {
                negative |= kind.bit();
            }
        }
        if found == 0 { negative } else { found }
    }
}

/// The addresses of a delegated host.
fn delegated<'a>(entry: &Entry, bytes: &'a [u8]) -> impl Iterator<Item = IpAddr> + use<'a> {
    pieces(entry.rest(bytes)).filter_map(|octets| {
        let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
        v4.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
    })
}
