//! The resolver itself: what is asked for, and what is made of the answers.

use core::cell::{Cell, RefCell};
use core::net::IpAddr;

use domain::base::Rtype;
use embassy_time::Instant;
use heapless::Vec;

use super::cache::Cache;
use super::local::{LocalNames, Service};
use super::name::{self, Asked, Kind};
use super::question::Question;
use super::{Addresses, Config, DnsError, Family, Servers, Stats};
use crate::nal::{AddrType, Dns, Interface, TcpConnect, UdpStack};
use crate::random::Random;
use crate::time::bounded;
use crate::{Error, limits};

/// Finds the addresses of names and the names of addresses; see the [module](super).
///
/// `CACHE` is how many answers it keeps, about 280 bytes each; 0 keeps none. `'m` is how long the mDNS service lives
/// that it may be [given](Self::set_local_names); where it is given none, or a static one, `'static`.
#[derive(Debug)]
pub struct Resolver<'m, S, const CACHE: usize = 8> {
    pub(super) stack: S,
    pub(super) config: Config,
    pub(super) local: Service<'m>,
    pub(super) state: RefCell<State<CACHE>>,
}

/// What the lookups share. Never borrowed across an await.
#[derive(Debug)]
pub(super) struct State<const CACHE: usize> {
    pub(super) cache: Cache<CACHE>,
    /// Counts how often the cache was emptied.
    pub(super) generation: u32,
    /// Set by hand; when empty, those that the interface has learnt are used.
    servers: Servers,
    /// Those in force when the last lookup began: what the rest of the state is about.
    known: Servers,
    /// The one that answered last.
    pub(super) preferred: Option<IpAddr>,
    /// Those that do not understand EDNS.
    pub(super) without_edns: Servers,
    random: Random,
    pub(super) stats: Stats,
}

impl<const CACHE: usize> State<CACHE> {
    fn forget(&mut self) {
        self.cache.clear();
        self.generation = self.generation.wrapping_add(1);
    }
}

impl<'m, S, const CACHE: usize> Resolver<'m, S, CACHE> {
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
            local: Service(Cell::new(None)),
            state: RefCell::new(State {
                cache: Cache::new(),
                generation: 0,
                servers: Vec::new(),
                known: Vec::new(),
                preferred: None,
                without_edns: Vec::new(),
                random: Random::new(seed),
                stats: Stats {
                    cached: 0,
                    udp_queries: 0,
                    tcp_queries: 0,
                    mdns_queries: 0,
                    timeouts: 0,
                    ignored: 0,
                    failures: 0,
                },
            }),
        }
    }

    /// Sets the servers to ask, first choice first; with none, those that the interface has learnt are used (as at
    /// first). Beyond [`limits::DNS_SERVERS`], and unspecified, multicast and broadcast addresses, are ignored.
    ///
    /// A query under way ends with the servers it began with.
    pub fn set_servers(&self, servers: &[IpAddr]) {
        self.state.borrow_mut().servers = usable(servers);
    }

    /// Names of the link, those below `.local` and of link-local addresses, are from now on asked of `service`, while it
    /// [runs](LocalNames::is_running). With `None`, as at first, the resolver asks the link itself.
    ///
    /// A service that is to be started and stopped must be behind an object that lives longer than the resolver.
    /// A lookup under way goes on with the one it began with.
    pub fn set_local_names(&self, service: Option<&'m dyn LocalNames>) {
        self.local.0.set(service);
    }

    /// Forgets all answers; those under way will not be kept either.
    pub fn flush_cache(&self) {
        self.state.borrow_mut().forget();
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

    pub(super) fn random(&self) -> u64 {
        self.state.borrow_mut().random.next_u64()
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

impl<S, const CACHE: usize> Resolver<'_, S, CACHE>
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
            Kind::Local => return self.lookup_local(host, family).await,
            Kind::Nowhere => return Err(DnsError::NotFound),
            Kind::Ordinary => {}
        }
        self.notice_change();
        let mut question = Question::new(self, Asked::Host(host));
        let mut error = DnsError::NoData;
        for turn in 0..2 {
            let Some(rtype) = self.rtype(family, turn) else { break };
            let before = question.addresses.len();
            if before > 0 {
                if family == Family::Either {
                    break;
                }
                // With something in hand, the rest gets one attempt: there are servers that never answer for IPv6.
                question.until = question.until.min(Instant::now() + bounded(self.config.timeout));
            }
            match question.find(rtype).await {
                Ok(()) => {}
                // These hold for any type.
                Err(failure @ (DnsError::NotFound | DnsError::NoServers)) if before == 0 => return Err(failure),
                Err(failure) => error = error.worse(failure),
            }
        }
        if question.addresses.is_empty() { Err(error) } else { Ok(question.addresses) }
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
            Kind::Local => return self.reverse_local(address, buffer).await,
            _ => {}
        }
        self.notice_change();
        let mut question = Question::new(self, Asked::Address(address));
        question.find(Rtype::PTR).await?;
        question.name.write_host(buffer)
    }

    /// The type to ask for first (0) and second (1).
    fn rtype(&self, family: Family, turn: u8) -> Option<Rtype> {
        let (first, second) = match family {
            Family::V4 => (Rtype::A, None),
            Family::V6 => (Rtype::AAAA, None),
            Family::Either if !self.prefers_v4() => (Rtype::AAAA, Some(Rtype::A)),
            Family::Both | Family::Either => (Rtype::A, Some(Rtype::AAAA)),
        };
        if turn == 0 { Some(first) } else { second }
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

    /// The servers, in the order in which they are to be asked: the one that answered last first.
    pub(super) fn order(&self) -> Servers {
        let mut servers = self.servers();
        let state = &*self.state.borrow();
        if let Some(at) = servers.iter().position(|server| Some(*server) == state.preferred)
            && let Some(front) = servers.get_mut(..=at)
        {
            front.rotate_right(1);
        }
        servers
    }

    /// Forgets what the servers said when they are no longer the same: another network may know other names. When there
    /// are none, between two networks, it still holds.
    pub(super) fn notice_change(&self) {
        let servers = self.servers();
        let state = &mut *self.state.borrow_mut();
        if !servers.is_empty() && servers != state.known {
            state.forget();
            state.preferred = None;
            state.without_edns.clear();
            state.known = servers;
        }
    }
}

/// For `reqwless` and others that are written against `embedded-nal-async`.
impl<S, const CACHE: usize> Dns for Resolver<'_, S, CACHE>
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
