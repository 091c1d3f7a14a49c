//! The resolver: names to addresses and back, over any stack.
//!
//! ```
//! use core::net::IpAddr;
//! use net_core::dns::{DnsError, Family, Resolver};
//! # use net_core::{Error, nal::{Interface, TcpConnect, UdpStack}};
//!
//! # async fn example(
//! #     stack: impl UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface, seed: u64,
//! # ) -> Result<(), DnsError> {
//! let resolver: Resolver<_> = Resolver::new(stack, seed); // asks the servers that DHCP named, caches 8 answers
//! for address in resolver.lookup("example.com", Family::Both).await? {
//!     // ...
//! }
//! let mut buffer = [0; 253];
//! let name = resolver.reverse(IpAddr::from([192, 0, 2, 1]), &mut buffer).await?;
//! # let _ = name; Ok(()) }
//! ```
//!
//! # What it does
//! It is a stub resolver (RFC 1034 section 5.3.1): it asks recursive servers and believes them, but only them.
//! - A, AAAA and PTR, through chains of aliases; only records on the chain from the asked name count.
//! - Each attempt has a new random id, a new socket and so a new random port, and random case in its name
//!   (draft-vixie-dnsext-dns0x20). A reply that does not repeat all of it, or comes from elsewhere, is waited past
//!   (RFC 5452). Where a server changes the case, it is asked over TCP, which nobody can forge from afar.
//! - Several servers: the one that answered last is asked first. One that fails is left for the next, at once; one that
//!   is silent after [`Config::timeout`]. Every lookup ends within [`Config::deadline`].
//! - EDNS(0) (RFC 6891), and without it where a server does not know it; TCP when the reply did not fit (RFC 7766).
//! - A cache that keeps to the times to live, also for names and types that do not exist (RFC 2308). It is emptied
//!   when the servers change: another network may know other names.
//! - Addresses in text form and `localhost` (RFC 6761) are answered with no query.
//!
//! Lookups may run side by side: each is a future with its own buffer, and they share the cache. Such a future takes
//! about 2 KB and what the sockets of the stack add; where there is a heap, `Box::pin` it.
//!
//! It does not validate DNSSEC, has no search list (every name is taken as complete) and converts no international
//! names (give them in their `xn--` form).
//!
//! # Names below `.local`
//! They, and the names of link-local addresses, belong to the link (RFC 6762 sections 3 and 4): no server is asked.
//! - An mDNS service that runs on this device is asked, once it has been [given](Resolver::set_local_names). What it says
//!   is not cached here, it has a cache of its own.
//! - Otherwise the link itself is asked, by one-shot multicast queries (section 5.1) over each IP version that the
//!   interface has, from a random port and with a random id. Only answers from port 5353 of hosts on the link count. They are
//!   cached for at most 10 seconds (section 6.7).
//! - Nobody on a link says that a name does not exist. When none answers within [`Config::mdns_timeout`], it is
//!   [`DnsError::NotFound`], and that is not cached: the device may be starting. It is [`DnsError::NoData`] when the
//!   owner of the name says that it has no such address.
//! - These names are in UTF-8 (section 16) and may have letters beyond ASCII, whose case counts.
//! - Link-local addresses come last. IPv6 ones have no scope here: they are on the link of the stack that was asked. A
//!   stack of one interface reaches them; the sockets of a computer, which has several, do not.
//! - Aliases (CNAME) are not followed.
//!
//! # Chips without compare-and-swap
//! The message format is from the crate `domain`, which by way of `jiff` uses `portable-atomic`. On targets without
//! atomic compare-and-swap (riscv32imc, thumbv6m) that crate does not compile until the *program* has chosen how
//! to do without, because only the program knows how many cores there are; a library must not choose. So, one of:
//! - `esp-hal` has chosen already for its chips: nothing to do.
//! - On one core, in machine mode: `portable-atomic = { version = "1", features = ["unsafe-assume-single-core"] }` among
//!   the program's dependencies, or `--cfg portable_atomic_unsafe_assume_single_core` in its `rustflags`. Both
//!   together, or either beside `esp-hal`, do no harm.
//! - Otherwise its feature `critical-section`, with an implementation of that; never together with the above.

mod cache;
mod composer;
mod local;
mod message;
mod name;
mod one_shot;
mod question;
mod resolver;
#[cfg(test)]
mod tests;

use core::fmt;
use core::net::IpAddr;

use embassy_time::Duration;
use heapless::Vec;

use crate::{Error, limits};

pub use composer::SliceComposer;
pub use local::{LocalAnswer, LocalNames, LocalQuestion, LocalType};
pub use resolver::Resolver;

/// The addresses of a host.
pub type Addresses = Vec<IpAddr, { limits::DNS_ADDRESSES }>;

/// The servers to ask.
pub type Servers = Vec<IpAddr, { limits::DNS_SERVERS }>;

/// Puts addresses of another type behind those found already: each type gets at least half of the places.
fn join(found: &mut Addresses, more: &Addresses) {
    let half = limits::DNS_ADDRESSES / 2;
    found.truncate(limits::DNS_ADDRESSES - more.len().min(half));
    for address in more {
        let _ = found.push(*address); // what does not fit is not wanted
    }
}

/// Which addresses to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// IPv4 (A).
    V4,
    /// IPv6 (AAAA).
    V6,
    /// Whatever there is: IPv4 first, then IPv6, each getting at least half of the places. Two queries, one after the
    /// other; when one of them fails and the other does not, its addresses are the answer.
    Both,
    /// One version is enough: that of which the interface has an address (IPv4 where it has both) and, when the host
    /// has none of those, the other.
    Either,
}

/// How a [`Resolver`] asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long the first attempt at a server waits for its reply. Each further round waits twice as long as the one before.
    pub timeout: Duration,
    /// How often each server is tried, 1 or more.
    pub rounds: u8,
    /// How long connecting, asking and receiving over TCP may take together.
    pub tcp_timeout: Duration,
    /// How long a lookup may take in all. Whatever else happens, it ends then.
    pub deadline: Duration,
    /// An answer is cached for no longer than this, whatever its time to live says.
    pub max_ttl: Duration,
    /// That a name or type does not exist is cached for no longer than this.
    pub max_negative_ttl: Duration,
    /// The servers' port.
    pub port: u16,
    /// How long names below `.local` are waited for. Nobody says that such a name does not exist, so a lookup that finds
    /// nothing takes this long.
    pub mdns_timeout: Duration,
}

impl Config {
    /// Two seconds, three rounds, 15 seconds in all, 5 for TCP; a day, and 15 minutes for what does not exist; port 53.
    ///
    /// 5 seconds for names below `.local`: that is a query at once, another after 1 second and a third after 3, each with the
    /// time to be answered. Wireless networks lose multicast more than anything else; of three in a row, hardly ever all.
    pub const DEFAULT: Self = Self {
        timeout: Duration::from_secs(2),
        rounds: 3,
        tcp_timeout: Duration::from_secs(5),
        deadline: Duration::from_secs(15),
        max_ttl: Duration::from_secs(24 * 3600),
        max_negative_ttl: Duration::from_secs(15 * 60),
        port: 53,
        mdns_timeout: Duration::from_secs(5),
    };
}

impl Default for Config {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a lookup has no answer.
///
/// When several servers failed in different ways, the failure that says most is told, in the order
/// [`ServerFailure`](Self::ServerFailure), [`Malformed`](Self::Malformed), [`TimedOut`](Self::TimedOut),
/// [`Network`](Self::Network).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DnsError {
    /// No DNS server is known: none was set and the interface has learnt none (yet).
    NoServers,
    /// No host name: empty, over 253 bytes, a label that is empty or over 63, characters other than letters, digits, `-`
    /// and `_` (below `.local` also any beyond ASCII), or a number as the last label.
    InvalidName,
    /// There is no such name (NXDOMAIN); or, below `.local`, nobody on the link has answered in time.
    NotFound,
    /// The name exists but has no record of the type asked for.
    NoData,
    /// No server answered in time.
    TimedOut,
    /// Every server that answered said that it cannot or will not (SERVFAIL, REFUSED, a referral, ...).
    ServerFailure,
    /// A server's reply breaks the format, or its aliases form a loop or a chain longer than
    /// [`limits::DNS_ALIASES`].
    Malformed,
    /// The name does not fit into the buffer.
    BufferTooSmall,
    /// The stack could not carry the question to any server.
    Network(Error),
}

impl DnsError {
    /// The failure that says more of two servers', or of two types' of address.
    fn worse(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    fn weight(self) -> u8 {
        match self {
            Self::ServerFailure => 4,
            Self::Malformed => 3,
            Self::TimedOut => 2,
            Self::Network(_) => 1,
            _ => 0,
        }
    }
}

impl From<Error> for DnsError {
    fn from(error: Error) -> Self {
        Self::Network(error)
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoServers => "no DNS server known",
            Self::InvalidName => "invalid host name",
            Self::NotFound => "no such name",
            Self::NoData => "no address of that kind",
            Self::TimedOut => "no DNS server answered",
            Self::ServerFailure => "DNS server failure",
            Self::Malformed => "malformed DNS reply",
            Self::BufferTooSmall => "buffer too small for the name",
            Self::Network(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for DnsError {}

/// What a [`Resolver`] has done since it was made. The counts begin anew after 2³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// Questions answered from the cache.
    pub cached: u32,
    /// Queries sent over UDP.
    pub udp_queries: u32,
    /// Queries sent over TCP.
    pub tcp_queries: u32,
    /// Multicast queries sent, one for each type and IP version.
    pub mdns_queries: u32,
    /// Attempts that no reply ended.
    pub timeouts: u32,
    /// Datagrams that did not match the query waited for: late, misled or forged.
    pub ignored: u32,
    /// Replies that were no answer: a server's failure, or malformed.
    pub failures: u32,
}
