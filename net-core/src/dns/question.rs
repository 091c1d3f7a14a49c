//! One question on its way: which server is asked when, over what, and what is made of the replies.

use core::net::SocketAddr;

use domain::base::Rtype;
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer, with_deadline};
use embedded_io_async::ReadExactError;

use super::cache::Known;
use super::message::{self, Match, Query, Reply, Verdict};
use super::name::{Asked, WireName};
use super::{Addresses, DnsError, Resolver, Servers, join};
use crate::log::{Show, debug};
use crate::nal::{ConnectedUdp, Interface, Read, TcpConnect, UdpStack, Write};
use crate::time::bounded;
use crate::{Error, limits};

/// Before the servers are tried again when no attempt took any time, because the network refused them all.
const PAUSE: Duration = Duration::from_millis(250);
/// A message over TCP follows its length in two bytes (RFC 1035 section 4.2.2).
const LENGTH: usize = 2;

/// Everything that a lookup keeps. It is here once, and the futures below hold no more than a reference to it: what
/// they held themselves, each would hold twice (as arguments, and as variables).
pub(super) struct Question<'a, 'm, S, const CACHE: usize> {
    resolver: &'a Resolver<'m, S, CACHE>,
    asked: Asked<'a>,
    /// When it ends, whatever happens.
    pub(super) until: Instant,
    /// What has been found, of all types asked for so far.
    pub(super) addresses: Addresses,
    /// What is asked for now: at first the asked name, then the targets of aliases, at last that of a PTR record.
    pub(super) name: WireName,
    rtype: Rtype,
    /// How many more aliases are followed.
    aliases: usize,
    /// What the cache was when this began.
    generation: u32,
    /// The servers that have not failed, in the order in which they are asked.
    servers: Servers,
    /// The server that is asked now, how, and until when.
    server: SocketAddr,
    id: u16,
    edns: bool,
    tcp: bool,
    attempt_until: Instant,
    /// The attempt has seen a reply that matches but for the case.
    other_case: bool,
    /// One buffer for everything, query and reply, UDP and TCP: the length of a message, and the message.
    packet: [u8; LENGTH + limits::DNS_MESSAGE],
}

/// What a question came to.
enum Outcome {
    Addresses(Addresses),
    /// A PTR record; the name it points to has taken the place of the one asked for.
    Pointer,
    /// An alias; its target has taken the place of the name asked for.
    Alias,
    NoData,
    NotFound,
}

/// What one reply means for the attempt.
enum Settled {
    /// It ends the question. For how many seconds it may be kept.
    Answer(Outcome, u32),
    Truncated,
    DislikesFormat,
    Failure,
    Malformed,
}

/// A message in the buffer.
#[derive(Clone, Copy)]
struct Received {
    len: usize,
    /// It was longer, and its end is lost.
    cut: bool,
}

impl<'a, 'm, S, const CACHE: usize> Question<'a, 'm, S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    pub(super) fn new(resolver: &'a Resolver<'m, S, CACHE>, asked: Asked<'a>) -> Self {
        let now = Instant::now();
        Self {
            resolver,
            asked,
            until: now + bounded(resolver.config.deadline),
            addresses: Addresses::new(),
            name: WireName::empty(),
            rtype: Rtype::A,
            aliases: 0,
            generation: resolver.state.borrow().generation,
            servers: Servers::new(),
            server: SocketAddr::from(([0; 4], 0)),
            id: 0,
            edns: true,
            tcp: false,
            attempt_until: now,
            other_case: false,
            packet: [0; LENGTH + limits::DNS_MESSAGE],
        }
    }

    /// Asks for records of one type, following aliases, from the cache where possible. Addresses join those found already; a
    /// PTR record's target is then the [`name`](Self::name).
    pub(super) async fn find(&mut self, rtype: Rtype) -> Result<(), DnsError> {
        self.rtype = rtype;
        self.name = self.asked.wire()?;
        self.aliases = limits::DNS_ALIASES;
        // An answer by way of aliases lives as long as the shortest-lived of them all.
        let mut ttl = Duration::MAX;
        loop {
            let (outcome, least) = if let Some(known) = self.recall() { known } else { self.ask().await? };
            ttl = ttl.min(least);
            if !matches!(outcome, Outcome::Alias) {
                return self.conclude(outcome, ttl);
            }
        }
    }

    /// Hands the answer over, and keeps it.
    fn conclude(&mut self, outcome: Outcome, ttl: Duration) -> Result<(), DnsError> {
        let (known, result) = match outcome {
            Outcome::Addresses(addresses) => {
                join(&mut self.addresses, &addresses);
                (Some(Known::Addresses(addresses)), Ok(()))
            }
            Outcome::Pointer | Outcome::Alias => (Known::pointer(self.name.as_bytes()), Ok(())),
            Outcome::NoData => (Some(Known::NoData), Err(DnsError::NoData)),
            Outcome::NotFound => (Some(Known::NotFound), Err(DnsError::NotFound)),
        };
        if let (Some(known), Ok(name)) = (known, self.asked.wire()) {
            let config = &self.resolver.config;
            let longest = if result.is_ok() { config.max_ttl } else { config.max_negative_ttl };
            let state = &mut *self.resolver.state.borrow_mut();
            // What another network's servers have said is not for this one.
            if state.generation == self.generation {
                state.cache.put(Instant::now(), name.as_bytes(), self.rtype, known, ttl.min(longest));
            }
        }
        result
    }

    fn recall(&mut self) -> Option<(Outcome, Duration)> {
        let state = &mut *self.resolver.state.borrow_mut();
        let (known, left) = state.cache.get(Instant::now(), self.name.as_bytes(), self.rtype)?;
        let outcome = match known {
            Known::Addresses(addresses) => Outcome::Addresses(addresses.clone()),
            Known::Pointer(name) => {
                self.name = WireName::from_bytes(name)?;
                Outcome::Pointer
            }
            Known::NoData => Outcome::NoData,
            Known::NotFound => Outcome::NotFound,
        };
        state.stats.cached = state.stats.cached.wrapping_add(1);
        Some((outcome, left))
    }

    /// Asks the servers for the name, round after round, until one gives an answer, which may be kept for the time
    /// returned with it.
    async fn ask(&mut self) -> Result<(Outcome, Duration), DnsError> {
        self.servers = self.resolver.order();
        let mut error = DnsError::NoServers;
        let mut wait = bounded(self.resolver.config.timeout);
        for round in 1..=self.resolver.config.rounds.max(1) {
            let mut waited = false;
            let mut at = 0;
            while let Some(&server) = self.servers.get(at) {
                let now = Instant::now();
                if now >= self.until {
                    return Err(error.worse(DnsError::TimedOut));
                }
                self.server = SocketAddr::new(server, self.resolver.config.port);
                self.attempt_until = self.until.min(now + wait);
                let failure = match self.ask_server().await {
                    Ok((outcome, ttl)) => {
                        self.resolver.state.borrow_mut().preferred = Some(self.server.ip());
                        return Ok((outcome, Duration::from_secs(ttl.into())));
                    }
                    Err(failure) => failure,
                };
                debug!("dns: {}: {}", Show(self.server), Show(failure));
                error = error.worse(failure);
                match failure {
                    // It has had its say; another time would bring the same.
                    DnsError::ServerFailure | DnsError::Malformed => {
                        self.resolver.count(|stats| &mut stats.failures);
                        self.servers.remove(at);
                        continue;
                    }
                    DnsError::TimedOut => waited = true,
                    _ => {}
                }
                at += 1;
            }
            if self.servers.is_empty() || round >= self.resolver.config.rounds {
                break;
            }
            if !waited {
                Timer::at(self.until.min(Instant::now() + PAUSE)).await;
            }
            wait = bounded(wait * 2);
        }
        Err(error)
    }

    /// One attempt at one server: over UDP; again without EDNS when that is not understood; over TCP when the reply did
    /// not fit, or cannot be told from a forged one. Each of these happens at most once.
    async fn ask_server(&mut self) -> Result<(Outcome, u32), DnsError> {
        self.edns = !self.resolver.state.borrow().without_edns.contains(&self.server.ip());
        self.tcp = false;
        self.other_case = false;
        loop {
            self.id = self.resolver.random() as u16;
            self.name.randomise_case(|| self.resolver.random());
            let received = if self.tcp {
                self.resolver.count(|stats| &mut stats.tcp_queries);
                with_deadline(
                    self.until.min(Instant::now() + bounded(self.resolver.config.tcp_timeout)),
                    self.over_tcp(),
                )
                .await
            } else {
                self.resolver.count(|stats| &mut stats.udp_queries);
                with_deadline(self.attempt_until, self.over_udp()).await
            };
            let received = match received {
                Ok(received) => received?,
                Err(_) if self.other_case && !self.tcp => {
                    self.tcp = true;
                    continue;
                }
                Err(_) => {
                    self.resolver.count(|stats| &mut stats.timeouts);
                    return Err(DnsError::TimedOut);
                }
            };
            match self.settle(received) {
                Settled::Answer(outcome, ttl) => return Ok((outcome, ttl)),
                Settled::Truncated if !self.tcp => self.tcp = true,
                Settled::DislikesFormat if self.edns => {
                    self.edns = false;
                    // When that list is full, it is found out anew next time.
                    let _ = self.resolver.state.borrow_mut().without_edns.push(self.server.ip());
                }
                Settled::Malformed => return Err(DnsError::Malformed),
                Settled::Truncated | Settled::DislikesFormat | Settled::Failure => return Err(DnsError::ServerFailure),
            }
        }
    }

    async fn over_udp(&mut self) -> Result<Received, DnsError> {
        // A new socket for each attempt: port 0 is a random port, and a late reply finds nobody.
        let (_, mut socket) = UdpStack::connect(&self.resolver.stack, self.server).await?;
        socket.send(self.compose()?.get(LENGTH..).unwrap_or_default()).await?;
        loop {
            let len = socket.receive_into(self.room(limits::DNS_MESSAGE)).await?;
            let received = Received { len: len.min(limits::DNS_MESSAGE), cut: len > limits::DNS_MESSAGE };
            match self.matches(received) {
                Match::Yes => return Ok(received),
                Match::ButForCase => self.other_case = true,
                Match::No => {}
            }
            self.resolver.count(|stats| &mut stats.ignored);
            // However fast the forgeries come, the clock must have its turn.
            yield_now().await;
        }
    }

    async fn over_tcp(&mut self) -> Result<Received, DnsError> {
        let mut connection = TcpConnect::connect(&self.resolver.stack, self.server).await?;
        connection.write_all(self.compose()?).await?;
        connection.flush().await?;
        loop {
            let length = self.packet.get_mut(..LENGTH).unwrap_or_default();
            connection.read_exact(length).await.map_err(ended)?;
            let [high, low, ..] = self.packet;
            let mut rest = usize::from(u16::from_be_bytes([high, low]));
            let received = Received { len: rest.min(limits::DNS_MESSAGE), cut: rest > limits::DNS_MESSAGE };
            connection.read_exact(self.room(received.len)).await.map_err(ended)?;
            // Nobody can forge here; a server that changes the case may.
            if self.matches(received) != Match::No {
                return Ok(received);
            }
            self.resolver.count(|stats| &mut stats.ignored);
            rest -= received.len;
            while rest > 0 {
                let part = rest.min(limits::DNS_MESSAGE);
                connection.read_exact(self.room(part)).await.map_err(ended)?;
                rest -= part;
            }
            yield_now().await;
        }
    }

    /// The query, after its length.
    fn compose(&mut self) -> Result<&[u8], DnsError> {
        let Self { id, rtype, edns, ref name, .. } = *self;
        let (length, rest) = self.packet.split_at_mut(LENGTH);
        // No query is too long for the buffer; a name that is none does not get here.
        let len = message::compose(rest, &Query { id, name, rtype, edns }).ok_or(DnsError::InvalidName)?;
        length.copy_from_slice(&(len as u16).to_be_bytes());
        self.packet.get(..LENGTH + len).ok_or(DnsError::InvalidName)
    }

    /// Where a message of this length goes; at most [`limits::DNS_MESSAGE`].
    fn room(&mut self, len: usize) -> &mut [u8] {
        self.packet.get_mut(LENGTH..LENGTH + len).unwrap_or_default()
    }

    fn message(&self, received: Received) -> &[u8] {
        self.packet.get(LENGTH..LENGTH + received.len).unwrap_or_default()
    }

    fn matches(&self, received: Received) -> Match {
        let Self { id, rtype, edns, ref name, .. } = *self;
        message::matches(self.message(received), &Query { id, name, rtype, edns })
    }

    /// Reads the reply. The name that it leads to takes the place of the one that was asked for.
    fn settle(&mut self, received: Received) -> Settled {
        let Received { cut, .. } = received;
        let reply = Reply { bytes: self.message(received), cut, stream: self.tcp, aliases: self.aliases };
        let (target, outcome, ttl, aliases) = match message::judge(&reply, self.rtype) {
            Verdict::Addresses(addresses, ttl) => return Settled::Answer(Outcome::Addresses(addresses), ttl),
            Verdict::NoData(ttl) => return Settled::Answer(Outcome::NoData, ttl.unwrap_or(0)),
            Verdict::NotFound(ttl) => return Settled::Answer(Outcome::NotFound, ttl.unwrap_or(0)),
            Verdict::Truncated => return Settled::Truncated,
            Verdict::DislikesFormat => return Settled::DislikesFormat,
            Verdict::Failure => return Settled::Failure,
            Verdict::Malformed => return Settled::Malformed,
            Verdict::Pointer(target, ttl) => (target, Outcome::Pointer, ttl, 0),
            Verdict::Alias(target, aliases, ttl) => (target, Outcome::Alias, ttl, aliases),
        };
        match WireName::from_parsed(&target) {
            Ok(name) => {
                self.name = name;
                self.aliases = self.aliases.saturating_sub(aliases);
                Settled::Answer(outcome, ttl)
            }
            Err(_) => Settled::Malformed,
        }
    }
}

/// A server that closes the connection will not answer.
fn ended(error: ReadExactError<Error>) -> DnsError {
    match error {
        ReadExactError::UnexpectedEof => DnsError::ServerFailure,
        ReadExactError::Other(error) => error.into(),
    }
}
