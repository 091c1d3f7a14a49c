//! The resolver itself: what is asked for, and what is made of the answers.

use core::cell::RefCell;
use core::hash::Hasher;
use core::net::IpAddr;

use domain::base::Rtype;
use embassy_time::{Duration, Instant};
use heapless::Vec;
use siphasher::sip::SipHasher24;

use super::cache::{Cache, Known};
use super::exchange::{Outcome, Work};
use super::name::{self, Asked, Kind, WireName};
use super::{Addresses, Config, DnsError, Family, Servers, Stats};
use crate::nal::{AddrType, Dns, Interface, TcpConnect, UdpStack};
use crate::{Error, limits};

/// Finds the addresses of names and the names of addresses; see the [module](super).
///
/// `CACHE` is how many answers it keeps, about 250 bytes each; 0 keeps none.
#[derive(Debug)]
pub struct Resolver<S, const CACHE: usize = 8> {
    pub(super) stack: S,
    pub(super) config: Config,
    pub(super) state: RefCell<State<CACHE>>,
}

/// What the lookups share. Never borrowed across an await.
#[derive(Debug)]
pub(super) struct State<const CACHE: usize> {
    cache: Cache<CACHE>,
    /// Set by hand; when empty, those that the interface has learnt are used.
    servers: Servers,
    /// Those in force when the last lookup began: what the rest of the state is about.
    known: Servers,
    /// The one that answered last.
    pub(super) preferred: Option<IpAddr>,
    /// Those that do not understand EDNS.
    pub(super) without_edns: Servers,
    seed: u64,
    draws: u64,
    stats: Stats,
}

impl<S, const CACHE: usize> Resolver<S, CACHE> {
    /// A resolver with [`Config::DEFAULT`].
    ///
    /// `seed` makes ids and case unpredictable: take it from a hardware random number generator, another one at each
    /// start, and not the one that the stack was given. Random ports are the stack's part.
    pub const fn new(stack: S, seed: u64) -> Self {
        Self::with_config(stack, seed, Config::DEFAULT)
    }

    /// A resolver with other times, or another port. For `seed` see [`new`](Self::new).
    pub const fn with_config(stack: S, seed: u64, config: Config) -> Self {
        Self {
            stack,
            config,
            state: RefCell::new(State {
                cache: Cache::new(),
                servers: Vec::new(),
                known: Vec::new(),
                preferred: None,
                without_edns: Vec::new(),
                seed,
                draws: 0,
                stats: Stats { cached: 0, udp_queries: 0, tcp_queries: 0, timeouts: 0, ignored: 0, failures: 0 },
            }),
        }
    }

    /// Sets the servers to ask, first choice first; with none, those that the interface has learnt are used (as at
    /// first). Beyond [`limits::DNS_SERVERS`], and unspecified, multicast and broadcast addresses, are ignored.
    ///
    /// Lookups that have begun go on with the servers they began with.
    pub fn set_servers(&self, servers: &[IpAddr]) {
        self.state.borrow_mut().servers = usable(servers);
    }

    /// Forgets all answers.
    pub fn flush_cache(&self) {
        self.state.borrow_mut().cache.clear();
    }

    /// What has been done since [`new`](Self::new).
    pub fn stats(&self) -> Stats {
        self.state.borrow().stats
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Stats) -> &mut u32) {
        let stats = &mut self.state.borrow_mut().stats;
        let count = count(stats);
        *count = count.wrapping_add(1);
    }

    /// A number that cannot be told from those before it: a keyed hash (SipHash-2-4) of a counter, and of the time, so
    /// that a seed which is always the same does some good too.
    pub(super) fn random(&self) -> u64 {
        let state = &mut *self.state.borrow_mut();
        state.draws = state.draws.wrapping_add(1);
        let mut hasher = SipHasher24::new_with_keys(state.seed, !state.seed);
        hasher.write_u64(state.draws);
        hasher.write_u64(Instant::now().as_ticks());
        hasher.finish()
    }
}

/// Those that can be asked, each once.
fn usable(servers: &[IpAddr]) -> Servers {
    let mut usable = Servers::new();
    for server in servers {
        let broadcast = matches!(server, IpAddr::V4(v4) if v4.is_broadcast());
        if !server.is_unspecified() && !server.is_multicast() && !broadcast && !usable.contains(server) {
            let _ = usable.push(*server); // more than fit are ignored
        }
    }
    usable
}

impl<S, const CACHE: usize> Resolver<S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    /// The servers in force: those set, or else those that the interface has learnt.
    pub fn servers(&self) -> Servers {
        let set = self.state.borrow().servers.clone();
        if set.is_empty() { usable(&self.stack.status().dns_servers) } else { set }
    }

    /// The addresses of `host`: a name, complete, with or without a dot at its end; or an address in text form,
    /// which is its own answer.
    ///
    /// The answer has at least one address and at most [`limits::DNS_ADDRESSES`], in the order in which the server gave them.
    /// Dropping the future gives the lookup up.
    ///
    /// # Errors
    /// Any of [`DnsError`] but [`BufferTooSmall`](DnsError::BufferTooSmall).
    pub async fn lookup(&self, host: &str, family: Family) -> Result<Addresses, DnsError> {
        match name::classify(host)? {
            Kind::Address(address) => return self.only(family, &[address]),
            Kind::Loopback => return self.only(family, &name::LOOPBACK),
            // The place for the mDNS service.
            Kind::Multicast => return Err(DnsError::NeedsMdns),
            Kind::Nowhere => return Err(DnsError::NotFound),
            Kind::Ordinary => {}
        }
        let mut work = Work::new();
        let deadline = Instant::now() + self.config.deadline;
        let mut result = Err(DnsError::NoData);
        for rtype in self.types(family).into_iter().flatten() {
            // With something in hand, the rest gets one attempt: there are servers that never answer for IPv6.
            let until = match result {
                Ok(_) => deadline.min(Instant::now() + self.config.timeout),
                Err(_) => deadline,
            };
            let found = self.find(&mut work, Asked::Host(host), rtype, until).await;
            result = match (result, found) {
                (Ok(first), Ok(second)) => Ok(share(first, &second)),
                (Ok(addresses), Err(_)) | (Err(_), Ok(addresses)) => Ok(addresses),
                // These hold for any type.
                (Err(_), Err(error @ (DnsError::NotFound | DnsError::NoServers))) => return Err(error),
                (Err(first), Err(second)) => Err(first.worse(second)),
            };
            if family == Family::Either && result.is_ok() {
                break;
            }
        }
        result
    }

    /// The name of the host with this address (the first PTR record), written into `buffer`, without a dot at its end;
    /// 253 bytes hold any.
    ///
    /// Anyone can give their address any name: look the name up to see whether it has the address.
    ///
    /// # Errors
    /// As for [`lookup`](Self::lookup); [`DnsError::Malformed`] also when the name has characters that no host name has;
    /// [`DnsError::BufferTooSmall`].
    pub async fn reverse<'b>(&self, address: IpAddr, buffer: &'b mut [u8]) -> Result<&'b str, DnsError> {
        match name::classify_reverse(address) {
            Kind::Loopback => {
                let text = buffer.get_mut(..name::LOCALHOST.len()).ok_or(DnsError::BufferTooSmall)?;
                text.copy_from_slice(name::LOCALHOST.as_bytes());
                return core::str::from_utf8(text).map_err(|_| DnsError::Malformed);
            }
            // The place for the mDNS service.
            Kind::Multicast => return Err(DnsError::NeedsMdns),
            _ => {}
        }
        let mut work = Work::new();
        let until = Instant::now() + self.config.deadline;
        self.find(&mut work, Asked::Address(address), Rtype::PTR, until).await?;
        work.name.write_host(buffer)
    }

    /// The types to ask for, one after the other.
    fn types(&self, family: Family) -> [Option<Rtype>; 2] {
        match family {
            Family::V4 => [Some(Rtype::A), None],
            Family::V6 => [Some(Rtype::AAAA), None],
            Family::Either if !self.prefers_v4() => [Some(Rtype::AAAA), Some(Rtype::A)],
            Family::Both | Family::Either => [Some(Rtype::A), Some(Rtype::AAAA)],
        }
    }

    fn prefers_v4(&self) -> bool {
        let status = self.stack.status();
        status.ipv4().is_some() || !status.is_configured()
    }

    /// Of addresses known without asking, those wanted.
    fn only(&self, family: Family, addresses: &[IpAddr]) -> Result<Addresses, DnsError> {
        let wanted = |address: &&IpAddr| match family {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::Both => true,
            Family::Either => addresses.len() == 1 || address.is_ipv4() == self.prefers_v4(),
        };
        let found: Addresses = addresses.iter().filter(wanted).take(limits::DNS_ADDRESSES).copied().collect();
        if found.is_empty() { Err(DnsError::NoData) } else { Ok(found) }
    }

    /// Asks for records of one type, following aliases, from the cache where possible.
    ///
    /// The name that a PTR record points to is left in `work`, and no address returned.
    async fn find(
        &self,
        work: &mut Work,
        asked: Asked<'_>,
        rtype: Rtype,
        until: Instant,
    ) -> Result<Addresses, DnsError> {
        let servers = self.begin();
        work.name = asked.wire()?;
        let mut aliases = 0;
        // An answer by way of aliases lives as long as the shortest-lived of them all.
        let mut ttl = Duration::MAX;
        loop {
            let (outcome, least) = match self.recall(work, rtype) {
                Some(known) => known,
                None => self.ask(work, rtype, &servers, until).await?,
            };
            ttl = ttl.min(least);
            match outcome {
                Outcome::Alias(count) => {
                    aliases += count;
                    if aliases > limits::DNS_ALIASES {
                        return Err(DnsError::Malformed);
                    }
                }
                Outcome::Addresses(addresses) => {
                    self.remember(asked, rtype, Some(Known::Addresses(addresses.clone())), ttl);
                    return Ok(addresses);
                }
                Outcome::Pointer => {
                    self.remember(asked, rtype, Known::pointer(work.name.as_bytes()), ttl);
                    return Ok(Addresses::new());
                }
                Outcome::NoData => {
                    self.remember(asked, rtype, Some(Known::NoData), ttl);
                    return Err(DnsError::NoData);
                }
                Outcome::NotFound => {
                    self.remember(asked, rtype, Some(Known::NotFound), ttl);
                    return Err(DnsError::NotFound);
                }
            }
        }
    }

    /// The servers for a lookup that begins now. When they are others than last time, what those said is forgotten;
    /// when there are none (between two networks, say), the cache still holds.
    fn begin(&self) -> Servers {
        let servers = self.servers();
        let state = &mut *self.state.borrow_mut();
        if !servers.is_empty() && servers != state.known {
            state.cache.clear();
            state.preferred = None;
            state.without_edns.clear();
            state.known = servers.clone();
        }
        servers
    }

    fn recall(&self, work: &mut Work, rtype: Rtype) -> Option<(Outcome, Duration)> {
        let state = &mut *self.state.borrow_mut();
        let (known, left) = state.cache.get(Instant::now(), work.name.as_bytes(), rtype)?;
        let outcome = match known {
            Known::Addresses(addresses) => Outcome::Addresses(addresses.clone()),
            Known::Pointer(name) => {
                work.name = WireName::from_bytes(name)?;
                Outcome::Pointer
            }
            Known::NoData => Outcome::NoData,
            Known::NotFound => Outcome::NotFound,
        };
        state.stats.cached = state.stats.cached.wrapping_add(1);
        Some((outcome, left))
    }

    fn remember(&self, asked: Asked, rtype: Rtype, known: Option<Known>, ttl: Duration) {
        let (Some(known), Ok(name)) = (known, asked.wire()) else { return };
        let longest = match known {
            Known::NoData | Known::NotFound => self.config.max_negative_ttl,
            _ => self.config.max_ttl,
        };
        self.state.borrow_mut().cache.put(Instant::now(), name.as_bytes(), rtype, known, ttl.min(longest));
    }
}

/// The two families in one answer: each gets at least half of the places.
fn share(mut first: Addresses, second: &Addresses) -> Addresses {
    let half = limits::DNS_ADDRESSES / 2;
    first.truncate(limits::DNS_ADDRESSES - second.len().min(half));
    for address in second {
        let _ = first.push(*address); // what does not fit is not wanted
    }
    first
}

/// For `reqwless` and others that are written against `embedded-nal-async`.
impl<S, const CACHE: usize> Dns for Resolver<S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    type Error = DnsError;

    async fn get_host_by_name(&self, host: &str, addr_type: AddrType) -> Result<IpAddr, DnsError> {
        let family = match addr_type {
            AddrType::IPv4 => Family::V4,
            AddrType::IPv6 => Family::V6,
            AddrType::Either => Family::Either,
        };
        self.lookup(host, family).await?.first().copied().ok_or(DnsError::NoData)
    }

    async fn get_host_by_address(&self, addr: IpAddr, result: &mut [u8]) -> Result<usize, DnsError> {
        self.reverse(addr, result).await.map(str::len)
    }
}
