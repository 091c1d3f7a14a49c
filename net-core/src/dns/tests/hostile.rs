//! Messages that break the format.

use std::format;
use std::string::String;
use std::vec;

use domain::base::Rtype;

use super::net::{Net, Reply, Seen};
use super::wire::{self, Message, lying_record, name, record};
use super::*;
use crate::dns::message::{Match, Query, Reply as Judged, Verdict, judge, matches};
use crate::dns::name::{Asked, WireName};

/// The name at the beginning of the question.
const POINTER: &[u8] = &[0xc0, 12];
const A1: &[u8] = &[192, 0, 2, 1];

/// A small generator, for reproducible noise (Marsaglia's xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn wire_name() -> WireName {
    Asked::Host(NAME).wire().unwrap()
}

/// A query, as a server sees it.
fn seen(rtype: u16) -> Seen {
    let mut question = name(NAME);
    question.extend([0, rtype as u8, 0, 1]);
    Seen {
        at: embassy_time::Instant::from_ticks(0),
        tcp: false,
        server: "10.0.0.1:53".parse().unwrap(),
        socket: 1,
        id: 0x1234,
        name: NAME.into(),
        rtype,
        question,
        edns: Some(1232),
    }
}

fn samples() -> Vec<(u16, Vec<u8>)> {
    let a = Message::to(&seen(wire::A));
    let chain = a
        .clone()
        .answer(record(POINTER, wire::CNAME, 1, 60, &[1, b'b', 0xc0, 16]))
        .answer(record(&[0xc0, 45], wire::CNAME, 1, 60, b"\x01c\x07example\xc0\x18"))
        .a("c.example.com", 60, 3)
        .additional(vec![0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
    let ns = record(&name("example.com"), wire::NS, 1, 60, &name("ns.example.com"));
    let ptr = Message::to(&seen(wire::PTR)).answer(record(POINTER, wire::PTR, 1, 60, b"\x04host\xc0\x10"));
    vec![
        (
            wire::A,
            a.clone().answer(record(POINTER, wire::A, 1, 60, A1)).answer(record(POINTER, wire::A, 1, 5, A1)).bytes(),
        ),
        (wire::A, chain.bytes()),
        (wire::A, a.clone().soa("example.com", 60, 60).rcode(3).bytes()),
        (wire::A, a.clone().authority(ns).soa("example.com", 60, 60).bytes()),
        (wire::AAAA, Message::to(&seen(wire::AAAA)).aaaa(NAME, 60, 1).aaaa(NAME, 60, 2).bytes()),
        (wire::PTR, ptr.bytes()),
        (wire::A, a.rcode(1).bytes()),
    ]
}

/// Reads `bytes` in every way in which the resolver might.
fn read(bytes: &[u8], rtype: u16) -> Match {
    let name = wire_name();
    let rtype = Rtype::from_int(rtype);
    for (cut, stream) in [(false, false), (true, false), (false, true), (true, true)] {
        match judge(&Judged { bytes, cut, stream, aliases: 8 }, rtype) {
            Verdict::Pointer(target, _) | Verdict::Alias(target, ..) => {
                let target = WireName::from_parsed(&target).unwrap();
                let mut text = [0; 253];
                if let Ok(text) = target.write_host(&mut text) {
                    assert!(!text.is_empty() && text.is_ascii());
                }
            }
            Verdict::Addresses(addresses, _) => assert!(!addresses.is_empty()),
            _ => {}
        }
    }
    matches(bytes, &Query { id: 0x1234, name: &name, rtype, edns: true })
}

#[test]
fn samples_are_good() {
    let verdicts: Vec<String> = samples()
        .iter()
        .map(|(rtype, bytes)| {
            assert_eq!(read(bytes, *rtype), Match::Yes);
            let verdict = judge(&Judged { bytes, cut: false, stream: false, aliases: 8 }, Rtype::from_int(*rtype));
            format!("{verdict:?}").split('(').next().unwrap().into()
        })
        .collect();
    assert_eq!(verdicts, ["Addresses", "Addresses", "NotFound", "NoData", "Addresses", "Pointer", "DislikesFormat"]);
}

/// DNS-01 to DNS-10 of the list of attacks, by chance: bytes changed, cut, doubled, pointers and counts sprinkled in.
#[test]
fn mutated_replies_harm_nobody() {
    let samples = samples();
    let mut noise = Noise(0x1234_5678_9abc_def0);
    let mut matched = 0;
    for round in 0..200_000 {
        let (rtype, sample) = &samples[round % samples.len()];
        let mut bytes = sample.clone();
        for _ in 0..=noise.below(6) {
            let at = noise.below(bytes.len().max(1));
            match noise.below(8) {
                _ if bytes.is_empty() => bytes.push(0),
                0 => bytes[at] = noise.next() as u8,
                1 => bytes[at] ^= 1 << noise.below(8),
                2 => bytes[at] = [0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff][noise.below(8)],
                3 => bytes.truncate(at),
                4 => {
                    let to = (at + noise.below(30)).min(bytes.len());
                    let piece = bytes[at..to].to_vec();
                    bytes.splice(at..at, piece);
                }
                5 => {
                    let pointer = 0xc000 | noise.below(bytes.len()) as u16;
                    bytes.splice(at..(at + 2).min(bytes.len()), pointer.to_be_bytes());
                }
                6 => {
                    bytes.remove(at);
                }
                _ => {
                    let count = 5 + 2 * noise.below(4);
                    if let Some(place) = bytes.get_mut(count) {
                        *place = noise.next() as u8;
                    }
                }
            }
        }
        matched += usize::from(read(&bytes, *rtype) == Match::Yes);
    }
    assert!(matched > 20_000, "{matched}: enough of them reach the parser in earnest");
}

#[test]
fn every_byte_with_every_value() {
    for (rtype, sample) in samples() {
        for at in 0..sample.len() {
            let mut bytes = sample.clone();
            for value in 0..=255 {
                bytes[at] = value;
                read(&bytes, rtype);
            }
            read(&sample[..at], rtype);
        }
    }
}

/// The same through the whole resolver: whatever comes, the lookup ends in time and the next one works.
#[test]
fn mutated_replies_leave_the_resolver_working() {
    let mut noise = Noise(0xfeed);
    let net = Net::new(move |seen| {
        if seen.lower().starts_with("good") {
            return vec![Message::to(seen).a(&seen.name, 60, 1).into()];
        }
        let message = Message::to(seen).cname(&seen.name, 60, "x.example").a("x.example", 60, 2).soa("example", 60, 60);
        let mut bytes = message.bytes();
        // The question is left alone, so that the rest is read.
        let body = 12 + seen.question.len();
        for _ in 0..=noise.below(4) {
            let at = body + noise.below(bytes.len() - body);
            bytes[at] = noise.next() as u8;
        }
        vec![Reply::bytes(bytes)]
    });
    let resolver: Resolver<Net> = Resolver::new(net.clone(), 1);
    resolver.set_servers(&[ip("10.0.0.1")]);
    for round in 0..3000 {
        let began = embassy_time::Instant::now();
        let _ = lookup(&resolver, &format!("h{round}.example"), Family::V4);
        assert!(began.elapsed() <= crate::dns::Config::DEFAULT.deadline);
    }
    assert_eq!(lookup(&resolver, "good.example", Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.open.get(), 0);
}

/// What a single server's reply to an A query, whose answer section is `records`, comes to.
fn reply_of(records: Vec<Vec<u8>>) -> Result<Vec<IpAddr>, DnsError> {
    let began = embassy_time::Instant::now();
    let (found, _) = once(move |seen| {
        let mut message = Message::to(seen);
        message.sections[0] = records.clone();
        vec![message.into()]
    });
    assert!(began.elapsed().as_millis() < 1000, "decided at once");
    found
}

#[test]
fn pointers_that_loop_or_lead_nowhere_are_malformed() {
    let a = |owner: &[u8]| record(owner, wire::A, 1, 60, A1);
    // The answer section begins at 12 + 17 + 4.
    let start = 33;
    for owner in [
        vec![0xc0, start],          // to itself
        vec![0xc0, start + 2],      // forwards
        vec![0xff, 0xff],           // beyond the message
        vec![1, b'a', 0xc0, start], // a label and back to it
        vec![0x40],
        vec![0x80, 0],
        vec![0x7f],       // reserved kinds of label
        vec![0x3f, b'a'], // more than there is
        vec![0xc0],       // half a pointer
    ] {
        assert_eq!(reply_of(vec![a(&owner)]), Err(DnsError::Malformed), "{owner:?}");
    }
    // Two pointers at each other, by way of a CNAME's data.
    let data_at = start + 2 + 10;
    assert_eq!(
        reply_of(vec![record(POINTER, wire::CNAME, 1, 60, &[0xc0, data_at + 2, 0xc0, data_at])]),
        Err(DnsError::Malformed)
    );
    // A long chain of pointers, each to the one before, is read or not, but ends.
    let mut chain = vec![0xc0, 12];
    for at in 0..127_u16 {
        chain.extend((0xc000 | (u16::from(start) + 11 + 2 * at)).to_be_bytes());
    }
    let filler = record(&[0], 16, 1, 60, &chain);
    let last = 0xc000 | (u16::from(start) + 11 + 2 * 127);
    assert_eq!(reply_of(vec![filler, record(&last.to_be_bytes(), wire::A, 1, 60, A1)]), ips(&["192.0.2.1"]));
}

#[test]
fn names_that_are_too_long_are_malformed() {
    let label = [&[63][..], &[b'a'; 63]].concat();
    let four = [label.repeat(4), vec![0]].concat();
    assert_eq!(reply_of(vec![record(POINTER, wire::CNAME, 1, 60, &four)]), Err(DnsError::Malformed));
    // By way of a pointer: 3 x 64 and the asked name again and again.
    let mut long = label.repeat(4);
    long.extend(POINTER);
    assert_eq!(reply_of(vec![record(POINTER, wire::CNAME, 1, 60, &long)]), Err(DnsError::Malformed));
    let short = [[1, b'a'].repeat(128), vec![0]].concat();
    assert_eq!(reply_of(vec![record(POINTER, wire::CNAME, 1, 60, &short)]), Err(DnsError::Malformed));
    // No end at all.
    assert_eq!(reply_of(vec![record(POINTER, wire::CNAME, 1, 60, &label.repeat(3))]), Err(DnsError::Malformed));
    // 255 are as many as there may be. Its owner has no such record, so it is asked for and has none either.
    let most = [label.repeat(3), vec![61], vec![b'a'; 61], vec![0]].concat();
    assert_eq!(most.len(), 255);
    let (found, net) = once(move |seen| {
        let message = Message::to(seen);
        vec![match seen.lower().as_str() {
            NAME => message.answer(record(POINTER, wire::CNAME, 1, 60, &most)).into(),
            _ => message.a(&seen.name, 60, 1).into(),
        }]
    });
    assert_eq!((found, net.queries()), (ips(&["192.0.2.1"]), 2));
}

#[test]
fn lengths_that_lie_are_malformed() {
    let lie = |rdlength, data: &[u8]| reply_of(vec![lying_record(POINTER, wire::A, 1, 60, rdlength, data)]);
    for rdlength in [0, 1, 3, 5, 255, 65535] {
        assert_eq!(lie(rdlength, A1), Err(DnsError::Malformed), "{rdlength}");
    }
    assert_eq!(lie(3, &A1[..3]), Err(DnsError::Malformed));
    assert_eq!(lie(5, &[1, 2, 3, 4, 5]), Err(DnsError::Malformed));
    assert_eq!(lie(16, &[0; 16]), Err(DnsError::Malformed));
    let cname = |rdlength| reply_of(vec![lying_record(POINTER, wire::CNAME, 1, 60, rdlength, &name("a.example"))]);
    for rdlength in [0, 1, 10, 12, 65535] {
        assert_eq!(cname(rdlength), Err(DnsError::Malformed), "{rdlength}");
    }
    // What a lie hides is not found either: the second record is inside the first one's data.
    let hidden = record(POINTER, wire::A, 1, 60, A1);
    let cover = lying_record(&name("b.example"), 16, 1, 60, hidden.len() as u16, &[]);
    assert_eq!(reply_of(vec![cover, hidden]), Err(DnsError::Malformed));
}

#[test]
fn counts_that_lie_are_malformed() {
    for section in 0..3 {
        let (found, _) = once(move |seen| {
            let mut bytes = Message::to(seen).bytes();
            bytes[7 + 2 * section] = 200;
            vec![Reply::bytes(bytes)]
        });
        // The additional section is none of our business.
        assert_eq!(found, Err(if section < 2 { DnsError::Malformed } else { DnsError::NoData }));
    }
}

#[test]
fn any_edns_will_do() {
    let opt = |owner: &[u8], size, ttl, data: &[u8]| record(owner, wire::OPT, size, ttl, data);
    for opts in [
        vec![opt(&[0], 0, 0, &[])],
        vec![opt(&[0], 65535, 0x00ff_0000, &[])],
        vec![opt(&[0], 1232, 0, &[]), opt(&[0], 1232, 0, &[])],
        vec![opt(POINTER, 1232, 0, &[])],
        vec![opt(&[0], 1232, 0, &[0, 10, 0, 0].repeat(100))],
        vec![lying_record(&[0], wire::OPT, 1232, 0, 500, &[0, 10])],
        vec![opt(&[0], 1232, 0, &[0, 10, 255, 255])],
    ] {
        let (found, net) = once(move |seen| {
            let mut message = Message::to(seen).a(NAME, 60, 1);
            message.sections[2] = opts.clone();
            vec![message.into()]
        });
        assert_eq!((found, net.queries()), (ips(&["192.0.2.1"]), 1));
    }
}

#[test]
fn other_types_and_classes_are_passed_over() {
    for rtype in (0..=300).filter(|rtype| ![wire::A, wire::CNAME].contains(rtype)) {
        let records = vec![record(POINTER, rtype, 1, 60, &[1, 2, 3]), record(POINTER, wire::A, 1, 60, A1)];
        assert_eq!(reply_of(records), ips(&["192.0.2.1"]), "type {rtype}");
    }
    for class in [0, 2, 3, 4, 254, 255, 0x8001] {
        let records = vec![record(POINTER, wire::A, class, 60, &[6; 4]), record(POINTER, wire::A, 1, 60, A1)];
        assert_eq!(reply_of(records), ips(&["192.0.2.1"]), "class {class}");
    }
}
