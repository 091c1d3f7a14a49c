//! Tools for tests: messages from and to text, and an engine that is driven by hand.

use core::net::{IpAddr, SocketAddr};
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use domain::base::Rtype;
use domain::base::message::Section;
use domain::base::rdata::RecordData as _;
use net_core::time::{Duration, Instant};

use super::data::{Data, Types};
use super::message::{Incoming, Question, Record, Writer};
use super::name::{self, NameBuf, by_ref};
use super::{Arrival, Config, Destination, Engine, GROUP_V4, GROUP_V6, PORT, Resources, Transmit};

/// A moment in milliseconds since the start.
pub(super) fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// A name from text with dots; a dot that belongs to a label is written `\.`.
pub(super) fn name(text: &str) -> NameBuf {
    let text = text.replace("\\.", "\0");
    let mut name = NameBuf::new();
    for label in text.split('.') {
        name.label(label.replace('\0', ".").as_bytes()).unwrap();
    }
    name.append(&[0]).unwrap();
    name
}

/// A record as text: `SRV 0 0 80 printer.local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) section: Section,
    pub(super) name: String,
    pub(super) flush: bool,
    pub(super) ttl: u32,
    /// Its type and its data.
    pub(super) text: String,
}

/// A message as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    /// QR: not a query.
    pub(super) response: bool,
    pub(super) truncated: bool,
    pub(super) id: u16,
    /// Name, type, and whether a unicast reply is welcome.
    pub(super) questions: Vec<(String, Rtype, bool)>,
    pub(super) records: Vec<Line>,
}

impl Read {
    /// Names and data of a section's records, `printer.local A 192.0.2.1`, in the order of the alphabet.
    pub(super) fn section(&self, section: Section) -> Vec<String> {
        let of = self.records.iter().filter(|line| line.section == section);
        let mut texts: Vec<_> = of.map(|line| format!("{} {}", line.name, line.text)).collect();
        texts.sort();
        texts
    }

    pub(super) fn answers(&self) -> Vec<String> {
        self.section(Section::Answer)
    }

    pub(super) fn additional(&self) -> Vec<String> {
        self.section(Section::Additional)
    }

    pub(super) fn authority(&self) -> Vec<String> {
        self.section(Section::Authority)
    }

    /// The first record that is `text`, in any section, without regard to its TTL.
    pub(super) fn line(&self, text: &str) -> Option<&Line> {
        self.records.iter().find(|line| format!("{} {}", line.name, line.text) == text)
    }
}

/// The types of an NSEC record as on the wire (RFC 4034 section 4.1.2).
pub(super) fn types_of(has: &[Rtype]) -> Vec<u8> {
    let mut bytes = vec![0; 2 + 32];
    for rtype in has {
        let number = usize::from(rtype.to_int());
        bytes[2 + number / 8] |= 0x80 >> (number % 8);
    }
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(end);
    if end > 0 {
        bytes[1] = (end - 2) as u8;
    }
    bytes
}

fn name_text(name: &name::NameRef<'_>) -> String {
    let mut text = String::new();
    name::write_text(name, &mut text).unwrap();
    text
}

pub(super) fn text_of(data: &Data<'_>) -> String {
    let name = name_text;
    match data {
        Data::A(address) => format!("A {address}"),
        Data::Aaaa(address) => format!("AAAA {address}"),
        Data::Ptr(target) => format!("PTR {}", name(target)),
        Data::Srv { priority, weight, port, target } => format!("SRV {priority} {weight} {port} {}", name(target)),
        Data::Txt(bytes) => format!("TXT {}", bytes.escape_ascii()),
        Data::Nsec { next, types } => {
            let all = [Rtype::A, Rtype::PTR, Rtype::TXT, Rtype::AAAA, Rtype::SRV, Rtype::NSEC];
            let has: Vec<_> = all.iter().filter(|rtype| types.has(**rtype)).map(ToString::to_string).collect();
            format!("NSEC {} {}", name(next), has.join(" "))
        }
        Data::Other(rtype, bytes) => format!("{rtype} {}", bytes.escape_ascii()),
    }
}

/// Reads a message, which must have a good header.
pub(super) fn read(bytes: &[u8]) -> Read {
    let message = Incoming::read(bytes).unwrap();
    let questions = message.questions().map(|q| (name_text(&q.name), q.rtype, q.unicast)).collect();
    let lines = message.records().map(|(section, record)| Line {
        section,
        name: name_text(&record.name),
        flush: record.flush,
        ttl: record.ttl,
        text: text_of(&record.data),
    });
    Read {
        response: message.is_response(),
        truncated: message.is_truncated(),
        id: message.id(),
        questions,
        records: lines.collect(),
    }
}

/// What data is to be written, with names as text.
#[derive(Debug, Clone)]
pub(super) enum Put<'t> {
    /// A or AAAA.
    Address(&'t str),
    Ptr(&'t str),
    /// Port and target.
    Srv(u16, &'t str),
    Txt(&'t [u8]),
    /// The name has these types.
    Nsec(&'t [Rtype]),
    Other(Rtype, &'t [u8]),
}

/// A message being put together.
#[derive(Debug, Clone)]
pub(super) struct Compose {
    response: bool,
    truncated: bool,
    id: u16,
    questions: Vec<(NameBuf, Rtype, bool)>,
    records: Vec<(Section, NameBuf, bool, u32, Rtype, Vec<u8>)>,
}

impl Compose {
    pub(super) fn query() -> Self {
        Self { response: false, truncated: false, id: 0, questions: vec![], records: vec![] }
    }

    pub(super) fn response() -> Self {
        Self { response: true, ..Self::query() }
    }

    pub(super) fn truncated(mut self) -> Self {
        self.truncated = true;
        self
    }

    pub(super) fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// A question for multicast replies.
    pub(super) fn ask(mut self, of: &str, rtype: Rtype) -> Self {
        self.questions.push((name(of), rtype, false));
        self
    }

    /// A question for which a unicast reply is welcome.
    pub(super) fn ask_unicast(mut self, of: &str, rtype: Rtype) -> Self {
        self.questions.push((name(of), rtype, true));
        self
    }

    /// A record in the answer section, with a TTL in seconds; its type makes it unique or shared: PTR is shared.
    pub(super) fn answer(self, of: &str, ttl: u32, put: &Put<'_>) -> Self {
        let flush = self.response && !matches!(put, Put::Ptr(_));
        self.put(Section::Answer, of, flush, ttl, put)
    }

    /// A proposed record in the authority section of a probe.
    pub(super) fn propose(self, of: &str, put: &Put<'_>) -> Self {
        self.put(Section::Authority, of, false, 120, put)
    }

    pub(super) fn put(mut self, section: Section, of: &str, flush: bool, ttl: u32, put: &Put<'_>) -> Self {
        let of = name(of);
        let target = |text: &str| name(text).as_slice().to_vec();
        let (rtype, bytes) = match put {
            Put::Address(address) => match address.parse().unwrap() {
                IpAddr::V4(v4) => (Rtype::A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (Rtype::AAAA, v6.octets().to_vec()),
            },
            Put::Ptr(to) => (Rtype::PTR, target(to)),
            Put::Srv(port, to) => (Rtype::SRV, [&[0; 4], &port.to_be_bytes()[..], &target(to)].concat()),
            Put::Txt(bytes) => (Rtype::TXT, bytes.to_vec()),
            Put::Nsec(has) => {
                let bytes = types_of(has);
                let types = Types::read(&bytes).unwrap();
                let (data, mut memory) = (Data::Nsec { next: by_ref(&of), types }, NameBuf::new());
                (Rtype::NSEC, data.flat(&mut memory).parts().concat())
            }
            Put::Other(rtype, bytes) => (*rtype, bytes.to_vec()),
        };
        self.records.push((section, of, flush, ttl, rtype, bytes));
        self
    }

    /// The message as on the wire, at most 9000 bytes.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut buffer = vec![0; 9000];
        let mut writer = Writer::query(&mut buffer).unwrap();
        for (name, rtype, unicast) in &self.questions {
            assert!(writer.question(&Question { name: by_ref(name), rtype: *rtype, unicast: *unicast }));
        }
        for section in [Section::Answer, Section::Authority, Section::Additional] {
            for (_, name, flush, ttl, rtype, bytes) in self.records.iter().filter(|record| record.0 == section) {
                let data = Data::from_flat(*rtype, bytes).unwrap();
                assert_eq!(data.rtype(), *rtype);
                assert!(writer.record(section, &Record { name: by_ref(name), flush: *flush, ttl: *ttl, data }));
            }
        }
        let length = writer.len();
        buffer.truncate(length);
        let [a, b] = self.id.to_be_bytes();
        buffer[0] = a;
        buffer[1] = b;
        buffer[2] |= if self.response { 0x84 } else { 0 } | if self.truncated { 2 } else { 0 };
        buffer
    }
}

/// A datagram that an engine has sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) at: Instant,
    pub(super) to: Destination,
    pub(super) bytes: Vec<u8>,
}

impl Sent {
    pub(super) fn read(&self) -> Read {
        read(&self.bytes)
    }

    pub(super) fn is_multicast(&self) -> bool {
        self.to == Destination::Multicast
    }
}

/// An engine, its time, and its addresses.
pub(super) struct Device {
    pub(super) engine: Engine<'static>,
    pub(super) now: Instant,
    /// Bytes of the datagrams it may send.
    pub(super) buffer: usize,
}

/// Where datagrams of others come from unless a test says otherwise.
pub(super) const PEER: &str = "192.0.2.99";

impl Device {
    /// Memory for 8 services, 16 questions and 64 records; at time 1 s, without a network.
    pub(super) fn new(seed: u64) -> Self {
        Self::with(Config::new(), Box::leak(Box::new(Resources::<8, 16, 64>::new())), seed)
    }

    pub(super) fn with<const S: usize, const Q: usize, const R: usize>(
        config: Config,
        resources: &'static mut Resources<S, Q, R>,
        seed: u64,
    ) -> Self {
        Self { engine: Engine::new(config, resources, seed), now: at(1000), buffer: 1472 }
    }

    /// The link is up, with these addresses, such as `192.0.2.1/24`.
    pub(super) fn connect(&mut self, addresses: &[&str]) {
        let addresses: Vec<_> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.engine.set_network(self.now, true, &addresses);
    }

    /// Takes what is due now.
    pub(super) fn take(&mut self) -> Vec<Sent> {
        let mut all = vec![];
        let mut buffer = vec![0; self.buffer];
        while let Some(Transmit { to, length }) = self.engine.poll_transmit(self.now, &mut buffer) {
            all.push(Sent { at: self.now, to, bytes: buffer[..length].to_vec() });
            assert!(all.len() < 1000, "it sends without end");
        }
        all
    }

    /// Lets time pass, up to and including `until`, polling only when the engine asks for it; gives what was sent.
    pub(super) fn run_until(&mut self, until: Instant) -> Vec<Sent> {
        let mut all = self.take();
        let mut idle = 0;
        while let Some(next) = self.engine.poll_timeout().filter(|next| *next <= until) {
            idle = if next <= self.now { idle + 1 } else { 0 };
            assert!(idle < 10, "it asks to be called again and again at {:?}", self.now);
            self.now = self.now.max(next);
            all.extend(self.take());
        }
        self.now = self.now.max(until);
        all
    }

    /// The same for so many milliseconds.
    pub(super) fn run(&mut self, millis: u64) -> Vec<Sent> {
        self.run_until(self.now + Duration::from_millis(millis))
    }

    /// Receives a datagram now: gives what is sent at once, in the same buffer (a legacy reply) or by polling.
    pub(super) fn receive(&mut self, from: SocketAddr, to: IpAddr, bytes: &[u8]) -> Vec<Sent> {
        let mut buffer = vec![0; self.buffer.max(bytes.len())];
        buffer[..bytes.len()].copy_from_slice(bytes);
        let mut all = vec![];
        if let Some(sent) = self.engine.handle(self.now, Arrival { from, to }, &mut buffer, bytes.len()) {
            all.push(Sent { at: self.now, to: sent.to, bytes: buffer[..sent.length].to_vec() });
        }
        all.extend(self.take());
        all
    }

    /// Receives a multicast of [`PEER`].
    pub(super) fn hear(&mut self, message: &Compose) -> Vec<Sent> {
        self.hear_from(PEER, &message.bytes())
    }

    /// Receives a multicast of another host.
    pub(super) fn hear_from(&mut self, peer: &str, bytes: &[u8]) -> Vec<Sent> {
        let peer: IpAddr = peer.parse().unwrap();
        let group = if peer.is_ipv4() { GROUP_V4.into() } else { GROUP_V6.into() };
        self.receive((peer, PORT).into(), group, bytes)
    }
}
