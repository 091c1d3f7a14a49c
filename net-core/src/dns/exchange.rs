//! Asking: which server when, over what, and what ends the waiting.

use core::net::{IpAddr, SocketAddr};

use domain::base::Rtype;
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer, with_deadline};
use embedded_io_async::ReadExactError;

use super::message::{self, Match, Query, Reply, Verdict};
use super::name::WireName;
use super::{Addresses, DnsError, Resolver, Servers};
use crate::log::Show;
use crate::nal::{ConnectedUdp, Interface, Read, TcpConnect, UdpStack, Write};
use crate::{Error, limits};

/// Before the servers are tried again when no attempt took any time, because the network refused them all.
const PAUSE: Duration = Duration::from_millis(250);
/// A message over TCP follows its length in two bytes (RFC 1035 section 4.2.2).
const LENGTH: usize = 2;

/// What a lookup keeps in its future: one buffer for everything, query and reply, UDP and TCP.
pub(super) struct Work {
    /// Room for the length of a message, and the message.
    packet: [u8; LENGTH + limits::DNS_MESSAGE],
    /// What is asked for now; an alias takes the place of its name.
    pub(super) name: WireName,
    /// The attempt has seen a reply that matches but for the case.
    other_case: bool,
}

impl Work {
    pub(super) const fn new() -> Self {
        Self { packet: [0; LENGTH + limits::DNS_MESSAGE], name: WireName::empty(), other_case: false }
    }
}

/// What a question came to.
pub(super) enum Outcome {
    Addresses(Addresses),
    /// A PTR record; the name it points to has taken the place of the one in [`Work`].
    Pointer,
    /// An alias, by way of so many; its target has taken the place of the name in [`Work`].
    Alias(usize),
    NoData,
    NotFound,
}

/// A message in the buffer.
#[derive(Clone, Copy)]
struct Received {
    len: usize,
    /// It was longer, and its end is lost.
    cut: bool,
    stream: bool,
}

/// What is sent, beside the name.
#[derive(Clone, Copy)]
struct Ask {
    server: SocketAddr,
    id: u16,
    rtype: Rtype,
    edns: bool,
}

impl<S, const CACHE: usize> Resolver<S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    /// Asks the servers for the name in `work`, round after round, until one gives an answer, which may be kept for the
    /// time returned with it.
    pub(super) async fn ask(
        &self,
        work: &mut Work,
        rtype: Rtype,
        servers: &Servers,
        until: Instant,
    ) -> Result<(Outcome, Duration), DnsError> {
        let mut left = self.in_order(servers);
        let mut error = DnsError::NoServers;
        let mut wait = self.config.timeout;
        for round in 1..=self.config.rounds.max(1) {
            let mut waited = false;
            let mut at = 0;
            while let Some(&server) = left.get(at) {
                let now = Instant::now();
                if now >= until {
                    return Err(error.worse(DnsError::TimedOut));
                }
                let failure = match self.ask_server(work, rtype, server, until.min(now + wait), until).await {
                    Ok(answer) => {
                        self.state.borrow_mut().preferred = Some(server);
                        return Ok(answer);
                    }
                    Err(failure) => failure,
                };
                debug!("dns: {}: {}", Show(server), Show(failure));
                error = error.worse(failure);
                match failure {
                    // It has had its say; another time would bring the same.
                    DnsError::ServerFailure | DnsError::Malformed => {
                        self.count(|stats| &mut stats.failures);
                        left.remove(at);
                        continue;
                    }
                    DnsError::TimedOut => waited = true,
                    _ => {}
                }
                at += 1;
            }
            if left.is_empty() || round >= self.config.rounds {
                break;
            }
            if !waited {
                Timer::at(until.min(Instant::now() + PAUSE)).await;
            }
            wait *= 2;
        }
        Err(error)
    }

    /// `servers`, but the one that answered last first.
    fn in_order(&self, servers: &Servers) -> Servers {
        let mut servers = servers.clone();
        let preferred = self.state.borrow().preferred;
        if let Some(at) = servers.iter().position(|server| Some(*server) == preferred)
            && let Some(front) = servers.get_mut(..=at)
        {
            front.rotate_right(1);
        }
        servers
    }

    /// One attempt at one server: over UDP; again without EDNS when that is not understood; over TCP when the reply did
    /// not fit, or cannot be told from a forged one. Each of these happens at most once.
    async fn ask_server(
        &self,
        work: &mut Work,
        rtype: Rtype,
        server: IpAddr,
        udp_until: Instant,
        until: Instant,
    ) -> Result<(Outcome, Duration), DnsError> {
        let mut edns = !self.state.borrow().without_edns.contains(&server);
        let mut tcp = false;
        let server = SocketAddr::new(server, self.config.port);
        loop {
            let ask = Ask { server, id: self.random() as u16, rtype, edns };
            work.name.randomise_case(|| self.random());
            let received = if tcp {
                self.count(|stats| &mut stats.tcp_queries);
                let tcp_until = until.min(Instant::now() + self.config.tcp_timeout);
                with_deadline(tcp_until, self.over_tcp(work, ask)).await
            } else {
                self.count(|stats| &mut stats.udp_queries);
                work.other_case = false;
                with_deadline(udp_until, self.over_udp(work, ask)).await
            };
            let received = match received {
                Ok(received) => received?,
                Err(_) if work.other_case && !tcp => {
                    tcp = true;
                    continue;
                }
                Err(_) => {
                    self.count(|stats| &mut stats.timeouts);
                    return Err(DnsError::TimedOut);
                }
            };
            match work.settle(received, rtype) {
                Settled::Answer(outcome, ttl) => return Ok((outcome, Duration::from_secs(ttl.into()))),
                Settled::Truncated if !tcp => tcp = true,
                Settled::DislikesFormat if edns => {
                    edns = false;
                    let _ = self.state.borrow_mut().without_edns.push(server.ip()); // full: found out anew next time
                }
                Settled::Malformed => return Err(DnsError::Malformed),
                Settled::Truncated | Settled::DislikesFormat | Settled::Failure => return Err(DnsError::ServerFailure),
            }
        }
    }

    async fn over_udp(&self, work: &mut Work, ask: Ask) -> Result<Received, DnsError> {
        // A new socket for each attempt: port 0 is a random port, and a late reply finds nobody.
        let (_, mut socket) = UdpStack::connect(&self.stack, ask.server).await?;
        let packet = work.compose(ask)?;
        socket.send(packet.get(LENGTH..).unwrap_or_default()).await?;
        loop {
            let buffer = work.packet.get_mut(LENGTH..).unwrap_or_default();
            let room = buffer.len();
            let len = socket.receive_into(buffer).await?;
            let received = Received { len: len.min(room), cut: len > room, stream: false };
            match work.matches(received, ask) {
                Match::Yes => return Ok(received),
                Match::ButForCase => work.other_case = true,
                Match::No => {}
            }
            self.count(|stats| &mut stats.ignored);
            // However fast the forgeries come, the clock must have its turn.
            yield_now().await;
        }
    }

    async fn over_tcp(&self, work: &mut Work, ask: Ask) -> Result<Received, DnsError> {
        let mut connection = TcpConnect::connect(&self.stack, ask.server).await?;
        connection.write_all(work.compose(ask)?).await?;
        connection.flush().await?;
        loop {
            let mut length = [0; LENGTH];
            connection.read_exact(&mut length).await.map_err(ended)?;
            let length = usize::from(u16::from_be_bytes(length));
            let buffer = work.packet.get_mut(LENGTH..).unwrap_or_default();
            let len = length.min(buffer.len());
            connection.read_exact(buffer.get_mut(..len).unwrap_or_default()).await.map_err(ended)?;
            let received = Received { len, cut: length > len, stream: true };
            // Nobody can forge here; a server that changes the case may.
            if work.matches(received, ask) != Match::No {
                return Ok(received);
            }
            self.count(|stats| &mut stats.ignored);
            let mut rest = length - len;
            while rest > 0 {
                let buffer = work.packet.get_mut(..rest.min(limits::DNS_MESSAGE)).unwrap_or_default();
                connection.read_exact(buffer).await.map_err(ended)?;
                rest -= buffer.len();
            }
            yield_now().await;
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

/// What one reply means for the attempt.
enum Settled {
    /// It ends the question. For how many seconds it may be kept.
    Answer(Outcome, u32),
    Truncated,
    DislikesFormat,
    Failure,
    Malformed,
}

impl Work {
    /// The query, after its length.
    fn compose(&mut self, ask: Ask) -> Result<&[u8], DnsError> {
        let Ask { id, rtype, edns, .. } = ask;
        let (length, rest) = self.packet.split_at_mut(LENGTH);
        // No query is too long for the buffer; a name that is none does not get here.
        let len = message::compose(rest, &Query { id, name: &self.name, rtype, edns }).ok_or(DnsError::InvalidName)?;
        length.copy_from_slice(&(len as u16).to_be_bytes());
        self.packet.get(..LENGTH + len).ok_or(DnsError::InvalidName)
    }

    fn message(&self, received: Received) -> &[u8] {
        self.packet.get(LENGTH..LENGTH + received.len).unwrap_or_default()
    }

    fn matches(&self, received: Received, ask: Ask) -> Match {
        let Ask { id, rtype, edns, .. } = ask;
        message::matches(self.message(received), &Query { id, name: &self.name, rtype, edns })
    }

    /// Reads the reply. The name that it leads to takes the place of the one that was asked for.
    fn settle(&mut self, received: Received, rtype: Rtype) -> Settled {
        let reply = Reply { bytes: self.message(received), cut: received.cut, stream: received.stream };
        let (target, outcome, ttl) = match message::judge(&reply, rtype) {
            Verdict::Addresses(addresses, ttl) => return Settled::Answer(Outcome::Addresses(addresses), ttl),
            Verdict::NoData(ttl) => return Settled::Answer(Outcome::NoData, ttl.unwrap_or(0)),
            Verdict::NotFound(ttl) => return Settled::Answer(Outcome::NotFound, ttl.unwrap_or(0)),
            Verdict::Truncated => return Settled::Truncated,
            Verdict::DislikesFormat => return Settled::DislikesFormat,
            Verdict::Failure => return Settled::Failure,
            Verdict::Malformed => return Settled::Malformed,
            Verdict::Pointer(target, ttl) => (target, Outcome::Pointer, ttl),
            Verdict::Alias(target, count, ttl) => (target, Outcome::Alias(count), ttl),
        };
        match WireName::from_parsed(&target) {
            Ok(name) => {
                self.name = name;
                Settled::Answer(outcome, ttl)
            }
            Err(_) => Settled::Malformed,
        }
    }
}
