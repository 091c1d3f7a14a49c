//! Names that belong to the link (RFC 6762 section 3): those below `.local`, and those of link-local addresses.
//!
//! No server knows them. An mDNS service on this device is asked when one runs; otherwise the link itself is, once, by
//! [multicast](super::one_shot).

use core::cell::Cell;
use core::fmt;
use core::future::poll_fn;
use core::net::IpAddr;
use core::task::{Context, Poll};

use domain::base::Rtype;
use embassy_time::{Duration, Instant, with_deadline};
use heapless::Vec;

use super::cache::Known;
use super::name::{Asked, WireName, is_link_local};
use super::{Addresses, DnsError, Family, Resolver, join};
use crate::Error;
use crate::limits;
use crate::nal::{Interface, TcpConnect, UdpStack};
use crate::time::bounded;

/// Once there are addresses of one IP version, those of the other get so long: a host answers for both at the same time,
/// and many do not say that they have none.
const REST: Duration = Duration::from_millis(500);
/// Answers to one-shot queries are kept for no longer (RFC 6762 section 6.7): nobody tells of changes to them.
const MAX_TTL: Duration = Duration::from_secs(10);

/// Who knows the names of the link: an mDNS service on this device.
///
/// A [`Resolver`] that is [given](Resolver::set_local_names) one asks it instead of sending queries of its own, so that
/// both share one cache and the link hears each question once. It holds a question for each type of record from
/// [`begin`](Self::begin) to [`end`](Self::end), at the longest for [`Config::mdns_timeout`](super::Config::mdns_timeout);
/// a dropped lookup ends its questions.
///
/// Object-safe and without a heap. All methods take `&self`: an implementation keeps its state in cells, and calls nobody
/// but the given `found` while it has one borrowed.
pub trait LocalNames {
    /// Whether it answers now. While it does not, the resolver asks the link itself. When it stops, it wakes those who
    /// wait for answers.
    fn is_running(&self) -> bool;

    /// Takes a question: from now on it is looked for. Gives the number by which it is spoken of, or `None` when there
    /// is no room for another one; the resolver then asks the link itself.
    fn begin(&self, question: LocalQuestion<'_>) -> Option<u32>;

    /// When something is known, calls `found` for each answer, and is ready; without a call when the owner of the name
    /// says that it has no such record (NSEC). Until then the waker of `cx` is woken when there may be something. Several
    /// tasks may wait at once, each with questions of its own.
    fn poll(&self, id: u32, cx: &mut Context<'_>, found: &mut dyn FnMut(LocalAnswer<'_>)) -> Poll<()>;

    /// Nobody waits for the answer any more; also called after it has stopped. The number may be given to another question.
    fn end(&self, id: u32);
}

/// What a [`LocalNames`] is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalQuestion<'a> {
    /// The whole name as on the wire, uncompressed: each label after its length, then a 0; at most 255 bytes. In the case
    /// in which it was given, and for addresses the name in `in-addr.arpa` or `ip6.arpa`.
    pub name: &'a [u8],
    /// Which of its records.
    pub rtype: LocalType,
}

/// A type of record; as a number, that of the DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LocalType {
    /// IPv4 addresses.
    A = 1,
    /// The name of an address.
    Ptr = 12,
    /// IPv6 addresses.
    Aaaa = 28,
}

/// What a [`LocalNames`] has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalAnswer<'a> {
    /// Of an A or AAAA record.
    Address(IpAddr),
    /// Of a PTR record: a name as on the wire, uncompressed.
    Name(&'a [u8]),
}

/// The service that a resolver asks.
pub(super) struct Service<'m>(pub(super) Cell<Option<&'m dyn LocalNames>>);

impl fmt::Debug for Service<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "Service" } else { "None" })
    }
}

/// A question that a service has; ends with it.
struct Held<'m> {
    service: &'m dyn LocalNames,
    id: u32,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.service.end(self.id);
    }
}

/// What is known of one type.
pub(super) struct Part {
    pub(super) rtype: LocalType,
    state: PartState,
    /// For how long it may be kept; none when the service or the cache has it.
    ttl: Duration,
}

enum PartState {
    Open,
    Addresses(Addresses),
    /// The name that a PTR record points to has taken the place of the one asked for.
    Pointer,
    NoData,
}

impl Part {
    fn new(rtype: Rtype) -> Self {
        let rtype = match rtype {
            Rtype::A => LocalType::A,
            Rtype::AAAA => LocalType::Aaaa,
            _ => LocalType::Ptr,
        };
        Self { rtype, state: PartState::Open, ttl: MAX_TTL }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, PartState::Open)
    }

    fn has_addresses(&self) -> bool {
        matches!(self.state, PartState::Addresses(_))
    }

    /// Adds an address, if it is of this type.
    pub(super) fn add(&mut self, address: IpAddr, ttl: Duration) {
        let wanted = match self.rtype {
            LocalType::A => address.is_ipv4(),
            LocalType::Aaaa => address.is_ipv6(),
            LocalType::Ptr => false,
        };
        if !wanted {
            return;
        }
        if !self.has_addresses() {
            self.state = PartState::Addresses(Addresses::new());
        }
        if let PartState::Addresses(addresses) = &mut self.state
            && !addresses.contains(&address)
        {
            // Without a scope, a link-local address says less than any other: those come last.
            let rest = addresses.iter().position(is_link_local).filter(|_| !is_link_local(&address));
            let _ = addresses.insert(rest.unwrap_or(addresses.len()), address); // a ninth is not wanted
            self.ttl = self.ttl.min(ttl);
        }
    }

    pub(super) fn point(&mut self, ttl: Duration) {
        self.state = PartState::Pointer;
        self.ttl = self.ttl.min(ttl);
    }

    /// There is no such record; unless there is.
    pub(super) fn deny(&mut self, ttl: Duration) {
        if self.is_open() {
            self.state = PartState::NoData;
            self.ttl = self.ttl.min(ttl);
        }
    }
}

/// A type as the message format's crate has it.
pub(super) fn rtype(of: LocalType) -> Rtype {
    Rtype::from_int(of as u16)
}

/// Everything that a lookup on the link keeps; see [`Question`](super::question::Question) for why it is here once.
pub(super) struct LocalLookup<'a, 'm, S, const CACHE: usize> {
    pub(super) resolver: &'a Resolver<'m, S, CACHE>,
    asked: Asked<'a>,
    /// When it ends, whatever happens.
    pub(super) until: Instant,
    /// What is asked for; at last the name that a PTR record points to.
    pub(super) name: WireName,
    /// For each type that is looked for; the preferred one first.
    pub(super) parts: Vec<Part, 2>,
    /// The first part is enough.
    either: bool,
    /// What the cache was when this began.
    generation: u32,
    pub(super) id: u16,
    /// For a query, and for a reply.
    pub(super) packet: [u8; limits::MDNS_REPLY],
}

impl<'a, 'm, S, const CACHE: usize> LocalLookup<'a, 'm, S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    /// A lookup of records of `types`.
    ///
    /// # Errors
    /// [`DnsError::InvalidName`].
    pub(super) fn new(
        resolver: &'a Resolver<'m, S, CACHE>,
        asked: Asked<'a>,
        types: [Option<Rtype>; 2],
        either: bool,
    ) -> Result<Self, DnsError> {
        let config = &resolver.config;
        let generation = resolver.state.borrow().generation;
        Ok(Self {
            resolver,
            asked,
            until: Instant::now() + bounded(config.mdns_timeout.min(config.deadline)),
            name: asked.wire()?,
            parts: types.into_iter().flatten().map(Part::new).collect(),
            either,
            generation,
            id: resolver.random() as u16,
            packet: [0; limits::MDNS_REPLY],
        })
    }

    /// Asks the service; or where there is none, or it has no room, or stops, the link.
    ///
    /// # Errors
    /// Why the link could not be asked. That there is no answer is none.
    pub(super) async fn run(&mut self) -> Result<(), DnsError> {
        if let Some(service) = self.resolver.local.0.get()
            && service.is_running()
            && self.ask_service(service).await
        {
            return Ok(());
        }
        self.recall();
        self.hurry();
        // Binding and sending have no deadline of their own.
        let asked = with_deadline(self.until, self.ask_link()).await.unwrap_or(Ok(()));
        self.keep();
        if self.parts.iter().all(Part::is_open) { asked } else { Ok(()) }
    }

    /// Whether nothing more is to be waited for.
    pub(super) fn is_complete(&self) -> bool {
        let enough = self.either && self.parts.first().is_some_and(Part::has_addresses);
        enough || !self.parts.iter().any(Part::is_open)
    }

    /// Waits no longer than need be for what is still missing when something has been found.
    pub(super) fn hurry(&mut self) {
        if self.parts.iter().any(Part::has_addresses) {
            self.until = self.until.min(Instant::now() + REST);
        }
    }

    /// `false` when the service is not the one to answer after all.
    async fn ask_service(&mut self, service: &'m dyn LocalNames) -> bool {
        let mut held = Vec::<Held<'m>, 2>::new();
        for part in &self.parts {
            let question = LocalQuestion { name: self.name.as_bytes(), rtype: part.rtype };
            let Some(id) = service.begin(question) else { return false };
            let _ = held.push(Held { service, id }); // there are as many places as parts
        }
        while !self.is_complete() {
            let until = self.until;
            match with_deadline(until, poll_fn(|cx| self.poll_service(&held, cx))).await {
                Ok(true) => self.hurry(),
                Ok(false) => return false,
                Err(_) => break,
            }
        }
        true
    }

    /// Ready with `true` when the service has told something, with `false` when it has stopped.
    fn poll_service(&mut self, held: &[Held<'m>], cx: &mut Context<'_>) -> Poll<bool> {
        let mut progress = false;
        for (part, Held { service, id }) in self.parts.iter_mut().zip(held) {
            if !service.is_running() {
                return Poll::Ready(false);
            }
            if !part.is_open() {
                continue;
            }
            let name = &mut self.name;
            let mut found = |answer: LocalAnswer<'_>| match answer {
                LocalAnswer::Address(address) => part.add(address, Duration::MIN),
                LocalAnswer::Name(wire) => {
                    // The first one counts, as elsewhere.
                    if part.rtype == LocalType::Ptr
                        && part.is_open()
                        && let Some(target) = WireName::from_bytes(wire)
                    {
                        *name = target;
                        part.point(Duration::MIN);
                    }
                }
            };
            if service.poll(*id, cx, &mut found).is_ready() {
                part.deny(Duration::MIN);
            }
            progress |= !part.is_open();
        }
        if progress { Poll::Ready(true) } else { Poll::Pending }
    }

    /// Takes what one-shot queries have found a short while ago.
    fn recall(&mut self) {
        let state = &mut *self.resolver.state.borrow_mut();
        let now = Instant::now();
        for part in self.parts.iter_mut().filter(|part| part.is_open()) {
            let Some((known, _)) = state.cache.get(now, self.name.as_bytes(), rtype(part.rtype)) else { continue };
            part.state = match known {
                Known::Addresses(addresses) => PartState::Addresses(addresses.clone()),
                Known::Pointer(name) => {
                    let Some(target) = WireName::from_bytes(name) else { continue };
                    self.name = target;
                    PartState::Pointer
                }
                Known::NoData | Known::NotFound => PartState::NoData,
            };
            // It is no fresher for having been read.
            part.ttl = Duration::MIN;
            state.stats.cached = state.stats.cached.wrapping_add(1);
        }
    }

    /// Keeps what a one-shot query has found. That nobody answered is not kept: somebody may be about to start.
    fn keep(&self) {
        let Ok(name) = self.asked.wire() else { return };
        let state = &mut *self.resolver.state.borrow_mut();
        if state.generation != self.generation {
            return;
        }
        let config = &self.resolver.config;
        for part in self.parts.iter().filter(|part| part.ttl > Duration::MIN) {
            let (known, longest) = match &part.state {
                PartState::Open => continue,
                PartState::Addresses(addresses) => (Some(Known::Addresses(addresses.clone())), config.max_ttl),
                PartState::Pointer => (Known::pointer(self.name.as_bytes()), config.max_ttl),
                PartState::NoData => (Some(Known::NoData), config.max_negative_ttl),
            };
            if let Some(known) = known {
                state.cache.put(Instant::now(), name.as_bytes(), rtype(part.rtype), known, part.ttl.min(longest));
            }
        }
    }

    /// What has been found.
    ///
    /// # Errors
    /// [`DnsError::NoData`] when the name's owner says so, [`DnsError::NotFound`] when nobody says anything.
    fn check(&self) -> Result<(), DnsError> {
        let is = |found: fn(&PartState) -> bool| self.parts.iter().any(|part| found(&part.state));
        if is(|state| matches!(state, PartState::Addresses(_) | PartState::Pointer)) {
            Ok(())
        } else if is(|state| matches!(state, PartState::NoData)) {
            Err(DnsError::NoData)
        } else {
            self.resolver.count(|stats| &mut stats.timeouts);
            Err(DnsError::NotFound)
        }
    }

    fn addresses(&self) -> Addresses {
        let mut all = Addresses::new();
        for part in &self.parts {
            if let PartState::Addresses(addresses) = &part.state
                && (all.is_empty() || !self.either)
            {
                join(&mut all, addresses);
            }
        }
        all
    }
}

impl<S, const CACHE: usize> Resolver<'_, S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    /// The addresses of a host below `.local`.
    pub(super) async fn lookup_local(&self, host: &str, family: Family) -> Result<Addresses, DnsError> {
        self.notice_change();
        let has_v4 = self.stack.status().ipv4().is_some();
        let types = match family {
            Family::V4 => [Some(Rtype::A), None],
            Family::V6 => [Some(Rtype::AAAA), None],
            Family::Either if !has_v4 => [Some(Rtype::AAAA), Some(Rtype::A)],
            Family::Both | Family::Either => [Some(Rtype::A), Some(Rtype::AAAA)],
        };
        let mut lookup = LocalLookup::new(self, Asked::Host(host), types, family == Family::Either)?;
        lookup.run().await?;
        lookup.check()?;
        Ok(lookup.addresses())
    }

    /// The name of the host with a link-local address.
    pub(super) async fn reverse_local<'b>(&self, address: IpAddr, buffer: &'b mut [u8]) -> Result<&'b str, DnsError> {
        self.notice_change();
        let mut lookup = LocalLookup::new(self, Asked::Address(address), [Some(Rtype::PTR), None], false)?;
        lookup.run().await?;
        lookup.check()?;
        lookup.name.write_host(buffer)
    }
}
