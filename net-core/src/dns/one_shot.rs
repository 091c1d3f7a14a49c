//! One-shot queries by multicast (RFC 6762 section 5.1): what a device does that resolves a name below `.local` and has
//! no mDNS service.
//!
//! It asks from a port of its own, not 5353, and so whoever owns the name answers by unicast, as a DNS server would
//! (section 6.7): with the query's id, within a time to live of 10 seconds. The bit that asks for a unicast answer is
//! for queries from port 5353; simple responders do not expect it here. Each type is asked for in a datagram of its
//! own, because "the question" that an answer repeats is one. Aliases are not followed.
//!
//! Queries leave with the hop limit that the stack gives new sockets; the 255 of RFC 6762 section 11 is for answers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::name::{Name, ParsedName, ToName};
use domain::base::record::ParsedRecord;
use domain::base::wire::ParseError;
use domain::base::{Message, MessageBuilder, Rtype};
use domain::rdata::{A, Aaaa, Nsec, Ptr};
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, with_deadline};

use super::local::{LocalLookup, LocalType, Part, rtype};
use super::message::seconds;
use super::name::{WireName, is_link_local};
use super::{DnsError, SliceComposer};
use crate::Error;
use crate::events::Status;
use crate::nal::{Interface, TcpConnect, UdpStack, UnconnectedUdp};

/// The port of mDNS.
const PORT: u16 = 5353;
/// The groups of mDNS, and for each the unspecified address.
const GROUPS: [(SocketAddr, SocketAddr); 2] = [
    (
        SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)), PORT),
    ),
    (
        SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
        SocketAddr::new(IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)), PORT),
    ),
];
/// Before the first repetition; each later one waits twice as long (RFC 6762 section 5.2).
const REPEAT: Duration = Duration::from_secs(1);
/// The top bit of a class is the cache-flush bit (RFC 6762 section 10.2): not for us, and some set it nevertheless.
const CLASS: u16 = 0x7fff;

impl<S, const CACHE: usize> LocalLookup<'_, '_, S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    /// Asks whoever is on the link, until there is an answer or the time is over.
    ///
    /// # Errors
    /// [`DnsError::Network`]: no query could be sent, or receiving failed.
    pub(super) async fn ask_link(&mut self) -> Result<(), DnsError> {
        // One socket for both IP versions, where the interface has both. Port 0 is a random port.
        let [(any_v4, _), (any_v6, _)] = GROUPS;
        let local = if self.has(false) { any_v6 } else { any_v4 };
        let mut socket = UdpStack::bind_multiple(&self.resolver.stack, local).await?;
        let mut pause = REPEAT;
        let mut send_at = Instant::now();
        let mut sent = Err(Error::Unreachable);
        while !self.is_complete() {
            let now = Instant::now();
            if now >= self.until {
                break;
            }
            if now >= send_at {
                let again = self.send(&mut socket).await;
                // A repetition may fail: the answer to an earlier query may still come.
                sent = sent.or(again);
                sent?;
                send_at = now + pause;
                pause *= 2;
            }
            let until = self.until.min(send_at);
            if let Ok(received) = with_deadline(until, socket.receive_into(&mut self.packet)).await {
                let (len, _, from) = received?;
                if self.take(len, from) {
                    self.hurry();
                } else {
                    self.resolver.count(|stats| &mut stats.ignored);
                }
                // However fast the forgeries come, the clock must have its turn.
                yield_now().await;
            }
        }
        Ok(())
    }

    /// Sends a query for each type that is still missing to the groups of the IP versions that the interface has. One
    /// that leaves is success.
    async fn send(&mut self, socket: &mut S::MultiplyBound) -> Result<(), Error> {
        let mut result = Err(Error::Unreachable);
        for at in 0..self.parts.len() {
            for (any, group) in GROUPS {
                let Some(part) = self.parts.get(at).filter(|part| part.is_open() && self.has(group.is_ipv4())) else {
                    continue;
                };
                let Some(len) = compose(&mut self.packet, self.id, &self.name, part.rtype) else { continue };
                let sent = socket.send(any, group, self.packet.get(..len).unwrap_or_default()).await;
                if sent.is_ok() {
                    self.resolver.count(|stats| &mut stats.mdns_queries);
                }
                if result.is_err() {
                    result = sent;
                }
            }
        }
        result
    }

    /// Whether the interface has an address of that IP version.
    fn has(&self, v4: bool) -> bool {
        self.resolver.stack.status().addresses.iter().any(|own| own.address().is_ipv4() == v4)
    }

    /// Reads a datagram. `false` when it is no answer to what was asked.
    fn take(&mut self, len: usize, from: SocketAddr) -> bool {
        if from.port() != PORT || !is_on_link(from.ip(), &self.resolver.stack.status()) {
            return false;
        }
        let Self { packet, name, parts, .. } = self;
        let message = packet.get(..len).unwrap_or(packet);
        read(message, self.id, name, parts).unwrap_or(false)
    }
}

/// Whether a host is on the same link (RFC 6762 section 11).
fn is_on_link(host: IpAddr, status: &Status) -> bool {
    let host = host.to_canonical();
    is_link_local(&host) || status.addresses.iter().any(|own| own.contains(&host))
}

/// Writes a query into `buffer` and gives its length; `None` when it does not fit, which takes fewer than 300 bytes.
fn compose(buffer: &mut [u8], id: u16, name: &WireName, of: LocalType) -> Option<usize> {
    let mut message = MessageBuilder::from_target(SliceComposer::new(buffer)).ok()?;
    message.header_mut().set_id(id);
    let mut message = message.question();
    message.push((Name::from_slice(name.as_bytes()).ok()?, rtype(of))).ok()?;
    Some(message.as_slice().len())
}

/// Reads a reply, which may be cut short: what it says of `name` goes to `parts`, and the name that a PTR record points
/// to takes its place. Whether it says anything.
fn read(bytes: &[u8], id: u16, name: &mut WireName, parts: &mut [Part]) -> Option<bool> {
    let message = Message::from_slice(bytes).ok()?;
    let header = message.header();
    // RFC 6762 section 18: the other flags mean nothing here.
    if header.id() != id || !header.qr() || header.opcode() != Opcode::QUERY || header.rcode() != Rcode::NOERROR {
        return None;
    }
    let asked = name.clone();
    let asked = Name::from_slice(asked.as_bytes()).ok()?;
    let mut useful = false;
    // The addresses of the other IP version are additional (section 6.2), and so are denials (section 6.1).
    let answers = message.answer().ok()?;
    let additional = message.additional().ok();
    let records = answers.map_while(Result::ok).chain(additional.into_iter().flatten().map_while(Result::ok));
    for record in records {
        if record.class().to_int() & CLASS != Class::IN.to_int() || !record.owner().name_eq(&asked) {
            continue;
        }
        // A record that breaks its format is passed over; it says nothing of the others.
        useful |= take_record(record, name, parts).unwrap_or(false);
    }
    Some(useful)
}

fn take_record<'a>(
    record: ParsedRecord<'a, [u8]>,
    name: &mut WireName,
    parts: &mut [Part],
) -> Result<bool, ParseError> {
    let ttl = Duration::from_secs(seconds(record.ttl()).into());
    let address: Option<IpAddr> = match record.rtype() {
        Rtype::A => record.into_record::<A>()?.map(|a| a.data().addr().into()),
        Rtype::AAAA => record.into_record::<Aaaa>()?.map(|a| a.data().addr().into()),
        Rtype::PTR => {
            if let Some(part) = parts.iter_mut().find(|part| part.rtype == LocalType::Ptr && part.is_open())
                && let Some(ptr) = record.into_record::<Ptr<ParsedName<&'a [u8]>>>()?
                && let Ok(target) = WireName::from_parsed(ptr.data().ptrdname())
            {
                *name = target;
                part.point(ttl);
                return Ok(true);
            }
            None
        }
        Rtype::NSEC => {
            let Some(nsec) = record.into_record::<Nsec<&'a [u8], ParsedName<&'a [u8]>>>()? else { return Ok(false) };
            for part in parts.iter_mut().filter(|part| !nsec.data().types().contains(rtype(part.rtype))) {
                part.deny(ttl);
            }
            return Ok(true);
        }
        _ => None,
    };
    let Some(address) = address else { return Ok(false) };
    for part in parts {
        part.add(address, ttl);
    }
    Ok(true)
}
