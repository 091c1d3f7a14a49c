//! Messages written byte by byte, without the library under test.

use std::string::String;
use std::vec::Vec;

use super::net::Seen;

pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;
pub(super) const CNAME: u16 = 5;
pub(super) const SOA: u16 = 6;
pub(super) const PTR: u16 = 12;
pub(super) const AAAA: u16 = 28;
pub(super) const OPT: u16 = 41;

pub(super) const NXDOMAIN: u16 = 3;

/// A name without compression.
pub(super) fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(label.len() as u8);
        wire.extend_from_slice(label.as_bytes());
    }
    wire.push(0);
    wire
}

pub(super) fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    lying_record(owner, rtype, class, ttl, data.len() as u16, data)
}

pub(super) fn lying_record(owner: &[u8], rtype: u16, class: u16, ttl: u32, rdlength: u16, data: &[u8]) -> Vec<u8> {
    let mut record = owner.to_vec();
    record.extend_from_slice(&rtype.to_be_bytes());
    record.extend_from_slice(&class.to_be_bytes());
    record.extend_from_slice(&ttl.to_be_bytes());
    record.extend_from_slice(&rdlength.to_be_bytes());
    record.extend_from_slice(data);
    record
}

#[derive(Clone)]
pub(super) struct Message {
    pub(super) id: u16,
    pub(super) flags: u16,
    pub(super) questions: Vec<Vec<u8>>,
    /// Answer, authority, additional.
    pub(super) sections: [Vec<Vec<u8>>; 3],
}

impl Message {
    /// A reply that repeats the question: QR, RD, RA, NOERROR.
    pub(super) fn to(seen: &Seen) -> Self {
        Self { id: seen.id, flags: 0x8180, questions: [seen.question.clone()].into(), sections: Default::default() }
    }

    pub(super) fn rcode(mut self, rcode: u16) -> Self {
        self.flags = (self.flags & !15) | rcode;
        self
    }

    pub(super) fn flag(mut self, set: u16) -> Self {
        self.flags |= set;
        self
    }

    pub(super) fn without_flag(mut self, clear: u16) -> Self {
        self.flags &= !clear;
        self
    }

    pub(super) fn answer(mut self, record: Vec<u8>) -> Self {
        self.sections[0].push(record);
        self
    }

    pub(super) fn authority(mut self, record: Vec<u8>) -> Self {
        self.sections[1].push(record);
        self
    }

    pub(super) fn additional(mut self, record: Vec<u8>) -> Self {
        self.sections[2].push(record);
        self
    }

    pub(super) fn a(self, owner: &str, ttl: u32, last: u8) -> Self {
        self.answer(record(&name(owner), A, 1, ttl, &[192, 0, 2, last]))
    }

    pub(super) fn aaaa(self, owner: &str, ttl: u32, last: u8) -> Self {
        let mut address = [0; 16];
        address[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        address[15] = last;
        self.answer(record(&name(owner), AAAA, 1, ttl, &address))
    }

    pub(super) fn cname(self, owner: &str, ttl: u32, target: &str) -> Self {
        self.answer(record(&name(owner), CNAME, 1, ttl, &name(target)))
    }

    pub(super) fn ptr(self, owner: &str, ttl: u32, target: &str) -> Self {
        self.answer(record(&name(owner), PTR, 1, ttl, &name(target)))
    }

    pub(super) fn soa(self, zone: &str, ttl: u32, minimum: u32) -> Self {
        let mut data = name("ns.example");
        data.extend(name("admin.example"));
        for number in [1, 3600, 600, 86400, minimum] {
            data.extend_from_slice(&u32::to_be_bytes(number));
        }
        self.authority(record(&name(zone), SOA, 1, ttl, &data))
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let counts = [self.questions.len(), self.sections[0].len(), self.sections[1].len(), self.sections[2].len()];
        for word in [self.id, self.flags].into_iter().chain(counts.map(|count| count as u16)) {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        for part in self.questions.iter().chain(self.sections.iter().flatten()) {
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// The text of the name at the start of `wire`, and what follows it.
pub(super) fn read_name(mut wire: &[u8]) -> (String, &[u8]) {
    let mut text = String::new();
    while wire[0] != 0 {
        let (label, rest) = wire[1..].split_at(wire[0].into());
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&String::from_utf8_lossy(label));
        wire = rest;
    }
    (text, &wire[1..])
}
