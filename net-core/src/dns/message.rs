//! Messages: composing a query, telling whether a message answers it, and what it says.

use core::net::IpAddr;

use domain::base::iana::{Class, Opcode, OptRcode};
use domain::base::message::RecordSection;
use domain::base::name::{Name, ParsedName, ToName};
use domain::base::record::ParsedRecord;
use domain::base::wire::ParseError;
use domain::base::{Message, MessageBuilder, Rtype, Ttl};
use domain::rdata::{A, Aaaa, Cname, Ptr, Soa};

use super::name::WireName;
use super::{Addresses, SliceComposer};
use crate::limits;

const HEADER: usize = 12;

/// What tells one query from all others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) id: u16,
    /// In the case in which it is sent.
    pub(super) name: &'a WireName,
    pub(super) rtype: Rtype,
    /// Whether it is sent with EDNS.
    pub(super) edns: bool,
}

/// Writes `query` into `buffer` and gives its length; `None` when it does not fit, which takes fewer than 300 bytes.
pub(super) fn compose(buffer: &mut [u8], query: &Query) -> Option<usize> {
    let name = Name::from_slice(query.name.as_bytes()).ok()?;
    let mut message = MessageBuilder::from_target(SliceComposer::new(buffer)).ok()?;
    message.header_mut().set_id(query.id);
    message.header_mut().set_rd(true);
    let mut message = message.question();
    message.push((name, query.rtype)).ok()?;
    let mut message = message.additional();
    if query.edns {
        message
            .opt(|opt| {
                opt.set_udp_payload_size(limits::DNS_MESSAGE as u16);
                Ok(())
            })
            .ok()?;
    }
    Some(message.as_slice().len())
}

/// Whether a message answers a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    Yes,
    /// But for the case of its name: a server that changes it, or a forger who had the luck to guess the rest.
    ButForCase,
    No,
}

/// Whether `message` answers `query`: id, flags and question, compared byte by byte (RFC 5452 section 9.1).
pub(super) fn matches(message: &[u8], query: &Query) -> Match {
    let Ok(parsed) = Message::from_slice(message) else { return Match::No };
    let header = parsed.header();
    if header.id() != query.id || !header.qr() || header.opcode() != Opcode::QUERY {
        return Match::No;
    }
    if parsed.header_counts().qdcount() == 0 && dislikes_format(parsed) {
        // Who cannot read a query may be unable to repeat it (RFC 6891 section 7).
        return Match::Yes;
    }
    let sent = query.name.as_bytes();
    let name_end = HEADER + sent.len();
    let (Some(name), Some(&[t1, t0, c1, c0])) =
        (message.get(HEADER..name_end), message.get(name_end..).and_then(|rest| rest.first_chunk()))
    else {
        return Match::No;
    };
    let rest_equal = [t1, t0] == query.rtype.to_int().to_be_bytes() && [c1, c0] == Class::IN.to_int().to_be_bytes();
    if parsed.header_counts().qdcount() != 1 || !rest_equal || !name.eq_ignore_ascii_case(sent) {
        Match::No
    } else if name == sent {
        Match::Yes
    } else {
        Match::ButForCase
    }
}

fn dislikes_format(message: &Message<[u8]>) -> bool {
    let rcode = OptRcode::from(message.header().rcode());
    rcode == OptRcode::FORMERR || rcode == OptRcode::NOTIMP
}

/// How a message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reply<'a> {
    /// The message, or as much of it as there was room for.
    pub(super) bytes: &'a [u8],
    /// Whether its end is missing.
    pub(super) cut: bool,
    /// Over TCP: there is no better way to ask again.
    pub(super) stream: bool,
    /// How many aliases may be followed.
    pub(super) aliases: usize,
}

/// What a message that answers a query says. Times to live are in seconds.
#[derive(Debug)]
pub(super) enum Verdict<'a> {
    /// Addresses of the type asked for, never none.
    Addresses(Addresses, u32),
    /// The name that a PTR record points to.
    Pointer(ParsedName<&'a [u8]>, u32),
    /// The name is an alias, by way of so many others, of one that the message says nothing of.
    Alias(ParsedName<&'a [u8]>, usize, u32),
    /// The name exists without such a record. How long that may be kept, if at all.
    NoData(Option<u32>),
    /// The name does not exist. How long that may be kept, if at all.
    NotFound(Option<u32>),
    /// There is more, over TCP.
    Truncated,
    /// The server does not understand the query; without EDNS it may.
    DislikesFormat,
    /// The server cannot or will not answer.
    Failure,
    /// The message breaks the format, or its aliases are too many or a loop.
    Malformed,
}

/// Reads a reply for which [`matches`] said yes.
pub(super) fn judge<'a>(reply: &Reply<'a>, rtype: Rtype) -> Verdict<'a> {
    let Ok(message) = Message::from_slice(reply.bytes) else { return Verdict::Malformed };
    read(message, reply, rtype).unwrap_or(Verdict::Malformed)
}

fn read<'a>(message: &'a Message<[u8]>, reply: &Reply, rtype: Rtype) -> Result<Verdict<'a>, ParseError> {
    let header = message.header();
    if dislikes_format(message) {
        return Ok(Verdict::DislikesFormat);
    }
    let exists = match OptRcode::from(header.rcode()) {
        OptRcode::NOERROR => true,
        OptRcode::NXDOMAIN => false,
        _ => return Ok(Verdict::Failure),
    };
    if header.tc() && !reply.stream {
        return Ok(Verdict::Truncated);
    }
    if message.header_counts().ancount() == 0 && exists {
        match message.opt_rcode() {
            OptRcode::NOERROR => {}
            OptRcode::BADVERS => return Ok(Verdict::DislikesFormat),
            _ => return Ok(Verdict::Failure),
        }
    }

    let cut = reply.cut || header.tc();
    // The chain of aliases, from the asked name. The rcode is about its end (RFC 6604).
    let mut name = message.sole_question()?.into_qname();
    let mut aliases = 0;
    let mut ttl = u32::MAX;
    loop {
        match look_up(message.answer()?, &name, rtype, cut)? {
            Found::Addresses(addresses, least) => return Ok(Verdict::Addresses(addresses, ttl.min(least))),
            Found::Pointer(target, least) => return Ok(Verdict::Pointer(target, ttl.min(least))),
            Found::Alias(target, least) => {
                ttl = ttl.min(least);
                name = target;
            }
            Found::Nothing => break,
        }
        aliases += 1;
        if aliases > reply.aliases {
            return Ok(Verdict::Malformed);
        }
    }
    if cut {
        // What is missing may have been the answer; only an alias can be asked for by itself.
        return Ok(if aliases > 0 && exists { Verdict::Alias(name, aliases, ttl) } else { Verdict::Malformed });
    }
    let authority = read_authority(message, &name)?;
    let negative_ttl = authority.negative_ttl.map(|negative| negative.min(ttl));
    Ok(if !exists {
        Verdict::NotFound(negative_ttl)
    } else if negative_ttl.is_some() {
        Verdict::NoData(negative_ttl)
    } else if aliases > 0 {
        Verdict::Alias(name, aliases, ttl)
    } else if authority.refers || !(header.ra() || header.aa()) {
        // A referral to other servers, or one that knows nothing and asks nobody (RFC 2308 section 2.2).
        Verdict::Failure
    } else {
        Verdict::NoData(None)
    })
}

/// What the answer section says about one name.
enum Found<'a> {
    Addresses(Addresses, u32),
    Pointer(ParsedName<&'a [u8]>, u32),
    Alias(ParsedName<&'a [u8]>, u32),
    Nothing,
}

fn look_up<'a>(
    answer: RecordSection<'a, [u8]>,
    name: &ParsedName<&'a [u8]>,
    rtype: Rtype,
    cut: bool,
) -> Result<Found<'a>, ParseError> {
    let mut addresses = Addresses::new();
    let mut addresses_ttl = u32::MAX;
    let mut alias = None;
    for record in answer {
        let record: ParsedRecord<'a, [u8]> = match record {
            Ok(record) => record,
            Err(_) if cut => break,
            Err(error) => return Err(error),
        };
        if record.class() != Class::IN || !record.owner().name_eq(name) {
            continue;
        }
        let ttl = seconds(record.ttl());
        let address: Option<IpAddr> = match record.rtype() {
            Rtype::A if rtype == Rtype::A => record.into_record::<A>()?.map(|a| a.data().addr().into()),
            Rtype::AAAA if rtype == Rtype::AAAA => record.into_record::<Aaaa>()?.map(|a| a.data().addr().into()),
            Rtype::PTR if rtype == Rtype::PTR => {
                if let Some(ptr) = record.into_record::<Ptr<ParsedName<&'a [u8]>>>()? {
                    return Ok(Found::Pointer(ptr.into_data().into_ptrdname(), ttl));
                }
                None
            }
            Rtype::CNAME => {
                if let Some(cname) = record.into_record::<Cname<ParsedName<&'a [u8]>>>()? {
                    alias = Some((cname.into_data().into_cname(), ttl));
                }
                None
            }
            _ => None,
        };
        if let Some(address) = address {
            addresses_ttl = addresses_ttl.min(ttl);
            if !addresses.contains(&address) {
                let _ = addresses.push(address); // a ninth is not wanted
            }
        }
    }
    Ok(match alias {
        _ if !addresses.is_empty() => Found::Addresses(addresses, addresses_ttl),
        Some((target, ttl)) => Found::Alias(target, ttl),
        None => Found::Nothing,
    })
}

/// What the authority section says of a name that has no answer.
#[derive(Default)]
struct Authority {
    /// From the SOA record: how long the absence of an answer may be kept (RFC 2308 section 5).
    negative_ttl: Option<u32>,
    /// There is an NS record.
    refers: bool,
}

fn read_authority(message: &Message<[u8]>, name: &ParsedName<&[u8]>) -> Result<Authority, ParseError> {
    let mut authority = Authority::default();
    for record in message.authority()? {
        let record = record?;
        // A zone has no say about names outside of it.
        if record.class() != Class::IN || !name.ends_with(&record.owner()) {
            continue;
        }
        let ttl = seconds(record.ttl());
        match record.rtype() {
            Rtype::NS => authority.refers = true,
            Rtype::SOA => {
                if let Some(soa) = record.into_record::<Soa<ParsedName<&[u8]>>>()? {
                    authority.negative_ttl = Some(ttl.min(seconds(soa.data().minimum())));
                }
            }
            _ => {}
        }
    }
    Ok(authority)
}

/// A time to live; one of more than 31 bits is none (RFC 2181 section 8).
pub(super) fn seconds(ttl: Ttl) -> u32 {
    let secs = ttl.as_secs();
    if secs > i32::MAX as u32 { 0 } else { secs }
}
