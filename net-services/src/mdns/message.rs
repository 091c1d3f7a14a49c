//! Messages: reading what came, as far as it can be read, and composing what goes out.

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::message::Section;
use domain::base::rdata::RecordData as _;
use domain::base::{Message, Rtype};
use domain::dep::octseq::Parser;
use heapless::Vec;

use super::data::Data;
use super::name::{self, NameBuf, NameRef};

/// In the class of a question: "answer me by unicast" (RFC 6762 section 5.4). In that of a record: "this is all there is"
/// (section 10.2, cache-flush).
const TOP_BIT: u16 = 0x8000;

/// A question of class IN or ANY.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'m> {
    pub(super) name: NameRef<'m>,
    pub(super) rtype: Rtype,
    /// QU: a unicast reply is welcome.
    pub(super) unicast: bool,
}

/// A record of class IN.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'m> {
    pub(super) name: NameRef<'m>,
    /// Its name and type have no other records: it is unique.
    pub(super) flush: bool,
    /// In seconds.
    pub(super) ttl: u32,
    pub(super) data: Data<'m>,
}

/// A message that has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Incoming<'m>(&'m Message<[u8]>);

impl<'m> Incoming<'m> {
    /// `None` for what is to be ignored: shorter than a header, an opcode or a response code other than 0 (M-33).
    pub(super) fn read(bytes: &'m [u8]) -> Option<Self> {
        let message = Message::from_slice(bytes).ok()?;
        let header = message.header();
        let is_ours = header.opcode() == Opcode::QUERY && header.rcode() == Rcode::NOERROR;
        is_ours.then_some(Self(message))
    }

    pub(super) fn is_response(&self) -> bool {
        self.0.header().qr()
    }

    /// The rest of a query's known answers follows in another message (RFC 6762 section 7.2).
    pub(super) fn is_truncated(&self) -> bool {
        self.0.header().tc()
    }

    pub(super) fn id(&self) -> u16 {
        self.0.header().id()
    }

    /// The questions, up to the first that is broken. Those of other classes are left out.
    pub(super) fn questions(&self) -> Questions<'m> {
        let mut rest = Parser::from_ref(self.0.as_slice());
        // There is a header, or it would be no message.
        let left = if rest.advance(HEADER).is_ok() { self.0.header_counts().qdcount() } else { 0 };
        Questions { rest, left }
    }

    /// The class of the first question of class IN or ANY, without its top bit.
    pub(super) fn first_class(&self) -> u16 {
        let mut questions = self.questions();
        loop {
            match questions.read() {
                Some((_, class)) if is_known(class) => return class & !TOP_BIT,
                Some(_) => {}
                None => return Class::IN.to_int(),
            }
        }
    }

    /// The records of all sections, up to the first whose frame is broken. Those of other classes, and those whose data
    /// cannot be read, are left out: the others still count.
    pub(super) fn records(&self) -> Records<'m> {
        let mut questions = self.questions();
        while questions.read().is_some() {}
        let counts = self.0.header_counts();
        let mut left = [counts.ancount(), counts.nscount(), counts.arcount()];
        if questions.left > 0 {
            left = [0; 3]; // a broken question: nobody knows where the records begin
        }
        Records { rest: questions.rest, left }
    }
}

/// Bytes before the questions.
const HEADER: usize = 12;

/// Of a question: IN or ANY, whatever the top bit.
fn is_known(class: u16) -> bool {
    let class = Class::from_int(class & !TOP_BIT);
    class == Class::IN || class == Class::ANY
}

/// The questions of a message.
pub(super) struct Questions<'m> {
    rest: Parser<'m, [u8]>,
    left: u16,
}

impl<'m> Questions<'m> {
    /// The next question, of whatever class, and its class. `None`: there is none, or it is broken.
    #[inline(never)]
    fn read(&mut self) -> Option<(Question<'m>, u16)> {
        let left = self.left.checked_sub(1)?;
        let name = name::read(&mut self.rest)?;
        let rtype = Rtype::from_int(self.rest.parse_u16_be().ok()?);
        let class = self.rest.parse_u16_be().ok()?;
        self.left = left;
        Some((Question { name, rtype, unicast: class & TOP_BIT != 0 }, class))
    }
}

impl<'m> Iterator for Questions<'m> {
    type Item = Question<'m>;

    fn next(&mut self) -> Option<Question<'m>> {
        loop {
            let (question, class) = self.read()?;
            if is_known(class) {
                return Some(question);
            }
        }
    }
}

/// The records of a message, with the section of each.
pub(super) struct Records<'m> {
    rest: Parser<'m, [u8]>,
    /// How many are left of each section.
    left: [u16; 3],
}

impl<'m> Records<'m> {
    /// The section of the next record.
    fn section(&mut self) -> Option<Section> {
        for (left, section) in self.left.iter_mut().zip([Section::Answer, Section::Authority, Section::Additional]) {
            if *left > 0 {
                *left -= 1;
                return Some(section);
            }
        }
        None
    }

    /// The next record: `Some(None)` for one that is left out. `None`: there is none, or its frame is broken.
    #[inline(never)]
    fn read(&mut self) -> Option<Option<Record<'m>>> {
        let name = name::read(&mut self.rest)?;
        let rtype = Rtype::from_int(self.rest.parse_u16_be().ok()?);
        let class = self.rest.parse_u16_be().ok()?;
        let ttl = self.rest.parse_u32_be().ok()?;
        let length = self.rest.parse_u16_be().ok()?;
        let mut bytes = self.rest.parse_parser(length.into()).ok()?;
        if Class::from_int(class & !TOP_BIT) != Class::IN {
            return Some(None);
        }
        let data = Data::read(rtype, &mut bytes);
        Some(data.map(|data| Record { name, flush: class & TOP_BIT != 0, ttl, data }))
    }
}

impl<'m> Iterator for Records<'m> {
    type Item = (Section, Record<'m>);

    #[inline(never)]
    fn next(&mut self) -> Option<(Section, Record<'m>)> {
        loop {
            let section = self.section()?;
            match self.read() {
                Some(Some(record)) => return Some((section, record)),
                Some(None) => {}
                None => {
                    self.left = [0; 3];
                    return None;
                }
            }
        }
    }
}

/// Names that others in a message may point to: as many as are remembered.
const NAMES: usize = 24;
/// The first two bits of a pointer; what it points to is below (RFC 1035 section 4.1.4).
const POINTER: u16 = 0xc000;
/// The first place that no pointer reaches.
const POINTER_END: usize = 0x4000;

/// An end that a message has had.
pub(super) struct Mark {
    counts: [u8; 8],
    length: usize,
}

/// A message being composed, with its names compressed. The sections are written in their order.
///
/// Nothing is written of what does not fit.
pub(super) struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
    /// Where names begin, and what follows each of their labels.
    names: Vec<u16, NAMES>,
    /// Names are compressed in SRV and NSEC too, where unicast DNS must not (RFC 6762 section 18.14).
    compress_all: bool,
}

impl<'b> Writer<'b> {
    /// A query. `None` when the buffer is shorter than a header, 12 bytes.
    #[inline(never)]
    pub(super) fn query(buffer: &'b mut [u8]) -> Option<Self> {
        buffer.get_mut(..HEADER)?.fill(0);
        Some(Self { buffer, length: HEADER, names: Vec::new(), compress_all: true })
    }

    /// A response: QR and AA are set (RFC 6762 sections 18.2 and 18.4). The id is 0 but in a reply to a legacy query.
    pub(super) fn response(buffer: &'b mut [u8], id: u16) -> Option<Self> {
        let writer = Self::query(buffer)?;
        let [a, b] = id.to_be_bytes();
        writer.buffer.get_mut(..3)?.copy_from_slice(&[a, b, 0x84]);
        Some(writer)
    }

    /// From now on, names in data are compressed only as in unicast DNS.
    pub(super) fn compress_as_unicast(&mut self) {
        self.compress_all = false;
    }

    pub(super) fn set_truncated(&mut self) {
        if let Some(flags) = self.buffer.get_mut(2) {
            *flags |= 2;
        }
    }

    /// How many questions it has, and records of each section, two bytes for each.
    fn counts(&mut self) -> &mut [u8] {
        self.buffer.get_mut(4..HEADER).unwrap_or_default()
    }

    /// Whether it says anything.
    #[inline(never)]
    pub(super) fn is_empty(&mut self) -> bool {
        self.length == HEADER
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Where the message ends now, to come back to.
    #[inline(never)]
    pub(super) fn mark(&mut self) -> Mark {
        let mut counts = [0; 8];
        counts.copy_from_slice(self.counts());
        Mark { counts, length: self.length }
    }

    /// Takes back all that was added since.
    #[inline(never)]
    pub(super) fn rewind(&mut self, mark: &Mark) {
        self.counts().copy_from_slice(&mark.counts);
        self.length = mark.length;
        self.names.retain(|at| usize::from(*at) < mark.length);
    }

    fn written(&self) -> Option<Incoming<'_>> {
        Incoming::read(self.buffer.get(..self.length)?)
    }

    /// One of its questions.
    pub(super) fn asked(&self, number: usize) -> Option<Question<'_>> {
        self.written()?.questions().nth(number)
    }

    /// Whether it asks that already.
    pub(super) fn asks(&self, question: &Question<'_>) -> bool {
        let same = |other: Question<'_>| other.rtype == question.rtype && name::is_same(&other.name, &question.name);
        self.written().is_some_and(|message| message.questions().any(same))
    }

    /// Adds a question. `false`: it does not fit.
    pub(super) fn question(&mut self, question: &Question<'_>) -> bool {
        let class = Class::IN.to_int() | if question.unicast { TOP_BIT } else { 0 };
        self.question_of_class(&question.name, question.rtype, class)
    }

    /// Adds a question of some class. `false`: it does not fit.
    #[inline(never)]
    pub(super) fn question_of_class(&mut self, name: &NameRef<'_>, rtype: Rtype, class: u16) -> bool {
        let mark = self.mark();
        let fits = self.put_name(name::copy(name).as_slice()) && self.put_u16(rtype.to_int()) && self.put_u16(class);
        self.keep(fits, 0, &mark)
    }

    /// Adds a record. `false`: it does not fit.
    #[inline(never)]
    pub(super) fn record(&mut self, section: Section, record: &Record<'_>) -> bool {
        let mark = self.mark();
        let fits = self.put_record(record);
        let count = match section {
            Section::Answer => 1,
            Section::Authority => 2,
            Section::Additional => 3,
        };
        self.keep(fits, count, &mark)
    }

    fn put_record(&mut self, record: &Record<'_>) -> bool {
        let rtype = record.data.rtype();
        let class = Class::IN.to_int() | if record.flush { TOP_BIT } else { 0 };
        let fits = self.put_name(name::copy(&record.name).as_slice())
            && self.put_u16(rtype.to_int())
            && self.put_u16(class)
            && self.put(&record.ttl.to_be_bytes())
            && self.put_u16(0);
        let start = self.length;
        let mut scratch = NameBuf::new();
        let flat = record.data.flat(&mut scratch);
        let [head, name, tail] = flat.parts();
        let is_compressed = !name.is_empty() && (self.compress_all || rtype == Rtype::PTR);
        let fits = fits
            && self.put(head)
            && (if is_compressed { self.put_name(name) } else { self.put(name) })
            && self.put(tail);
        // Now its length is known.
        let length = (self.length.saturating_sub(start) as u16).to_be_bytes();
        match self.buffer.get_mut(start.saturating_sub(2)..start) {
            Some(place) if fits => place.copy_from_slice(&length),
            _ => return false,
        }
        true
    }

    /// Counts what was added, or takes it back if it does not fit.
    fn keep(&mut self, fits: bool, count: usize, mark: &Mark) -> bool {
        let counted = match self.counts().get_mut(2 * count..2 * count + 2) {
            Some([high, low]) if fits => match u16::from_be_bytes([*high, *low]).checked_add(1) {
                Some(sum) => {
                    [*high, *low] = sum.to_be_bytes();
                    true
                }
                None => false,
            },
            _ => false,
        };
        if !counted {
            self.rewind(mark);
        }
        counted
    }

    /// Writes a name, or what of it is not in the message, and where the rest is.
    #[inline(never)]
    fn put_name(&mut self, name: &[u8]) -> bool {
        let mut rest = name;
        while let Some(length) = rest.first().filter(|length| **length > 0) {
            if let Some(at) = self.names.iter().find(|at| self.is_at((**at).into(), rest)) {
                return self.put_u16(POINTER | at);
            }
            if self.length < POINTER_END {
                let _ = self.names.push(self.length as u16); // of so many names, the first are remembered
            }
            let Some((label, later)) = rest.split_at_checked(usize::from(*length) + 1) else { return false };
            if !self.put(label) {
                return false;
            }
            rest = later;
        }
        self.put(&[0])
    }

    /// Whether a name stands there.
    fn is_at(&self, mut at: usize, mut name: &[u8]) -> bool {
        let message = self.buffer.get(..self.length).unwrap_or_default();
        loop {
            let length = message.get(at).copied().unwrap_or_default();
            if u16::from(length) >= POINTER >> 8 {
                // One written here: it points to what is before.
                let low = message.get(at + 1).copied().unwrap_or_default();
                at = usize::from(u16::from_be_bytes([length, low]) & !POINTER);
                continue;
            }
            let end = usize::from(length) + 1;
            match (message.get(at..at + end), name.split_at_checked(end)) {
                (Some(label), Some((own, later))) if name::eq(label, own) => name = later,
                _ => return false,
            }
            if length == 0 {
                return true;
            }
            at += end;
        }
    }

    fn put_u16(&mut self, value: u16) -> bool {
        self.put(&value.to_be_bytes())
    }

    #[inline(never)]
    fn put(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.buffer.get_mut(self.length..self.length + bytes.len()) else { return false };
        room.copy_from_slice(bytes);
        self.length += bytes.len();
        true
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::mdns::name::{by_ref, host};

    /// M-35: pointers are written, and forward pointers and loops are not followed.
    #[test]
    fn what_is_written_is_read_again_and_is_compressed() {
        let names = [host("printer-with-a-long-name").unwrap(), host("b").unwrap()];
        let [long, short] = [by_ref(&names[0]), by_ref(&names[1])];
        let mut buffer = [0; 200];
        let mut writer = Writer::response(&mut buffer, 0).unwrap();
        assert!(writer.is_empty());
        let srv = Data::Srv { priority: 0, weight: 0, port: 80, target: long };
        let records = [
            Record { name: long, flush: true, ttl: 120, data: Data::A([192, 0, 2, 1].into()) },
            Record { name: short, flush: true, ttl: 120, data: srv },
            Record { name: short, flush: false, ttl: 4500, data: Data::Ptr(long) },
        ];
        for record in &records {
            assert!(writer.record(Section::Answer, record));
        }
        let length = writer.len();
        let plain = 12 + 3 * 10 + (32 + 4) + (9 + 6 + 32) + (9 + 32);
        assert!(length < plain - 32 - 32 - 5, "{length} of {plain}: the name in SRV is compressed too");
        let message = Incoming::read(&buffer[..length]).unwrap();
        assert!(message.is_response() && !message.is_truncated() && message.id() == 0);
        assert_eq!((buffer[2], buffer[3]), (0x84, 0), "M-10, M-33: QR and AA, nothing else");
        let message = Incoming::read(&buffer[..length]).unwrap();
        let read: Vec<_> = message.records().collect();
        assert_eq!(read.len(), 3);
        for ((section, read), written) in read.iter().zip(&records) {
            assert_eq!(*section, Section::Answer);
            assert!(read.name == written.name && read.data.is_same(&written.data));
            assert_eq!((read.flush, read.ttl), (written.flush, written.ttl));
        }
    }

    #[test]
    fn what_does_not_fit_leaves_the_message_as_it_was() {
        let name = host("printer").unwrap();
        let name = by_ref(&name);
        let mut buffer = [0; 12 + 15 + 4 + 20];
        let mut writer = Writer::query(&mut buffer).unwrap();
        assert!(writer.question(&Question { name, rtype: Rtype::A, unicast: true }));
        assert!(writer.asks(&Question { name, rtype: Rtype::A, unicast: false }));
        assert!(!writer.asks(&Question { name, rtype: Rtype::AAAA, unicast: true }));
        let before = writer.len();
        assert!(
            !writer.record(Section::Answer, &Record { name, flush: false, ttl: 1, data: Data::Txt(b"\x09123456789") })
        );
        assert_eq!(writer.len(), before);
        assert!(
            writer.record(Section::Answer, &Record { name, flush: false, ttl: 1, data: Data::A([1, 2, 3, 4].into()) })
        );
        let length = writer.len();
        let message = Incoming::read(&buffer[..length]).unwrap();
        assert!(message.questions().all(|question| question.unicast) && message.records().count() == 1);
        assert!(Writer::query(&mut [0; 11]).is_none());

        let mut buffer = [0; 100];
        let mut writer = Writer::response(&mut buffer, 0).unwrap();
        let mark = writer.mark();
        let record = Record { name, flush: false, ttl: 1, data: Data::Ptr(name) };
        assert!(writer.record(Section::Answer, &record) && writer.record(Section::Additional, &record));
        writer.rewind(&mark);
        assert!(writer.is_empty() && writer.len() == 12);
        assert!(writer.record(Section::Answer, &record));
        let length = writer.len();
        assert!(Incoming::read(&buffer[..length]).unwrap().records().all(|(_, record)| record.name == name));
    }

    /// M-33, MDNS-01: what is ignored as a whole; and unknown and broken records, which are ignored alone.
    #[test]
    fn unknown_and_broken_records_do_not_take_the_others_with_them() {
        for (at, value) in [(2, 0x08), (3, 3)] {
            let mut bytes = [0; 12];
            bytes[at] = value;
            assert!(Incoming::read(&bytes).is_none(), "opcode, response code");
        }
        assert!(Incoming::read(b"1234").is_none(), "four bytes");
        let mut bytes = Vec::from(*b"\0\0\x84\0\0\0\0\x05\0\0\0\0");
        bytes.extend_from_slice(b"\x01a\0\xfd\xe9\0\x01\0\0\0\x78\0\x01x"); // an unknown type
        bytes.extend_from_slice(b"\x01a\0\0\x01\0\x03\0\0\0\x78\0\x04\x01\x02\x03\x04"); // class CHAOS
        bytes.extend_from_slice(b"\x01a\0\0\x01\0\x01\0\0\0\x78\0\x03\x01\x02\x03"); // an address of 3 bytes
        bytes.extend_from_slice(b"\x01a\0\0\x01\x80\x01\0\0\0\x78\0\x04\x01\x02\x03\x04");
        bytes.extend_from_slice(b"\x01a\0\0\x0c\0\x01\0\0\0\x78\0\x02\xc0\xff"); // a pointer forward
        let records: Vec<_> = Incoming::read(&bytes).unwrap().records().map(|(_, record)| record).collect();
        assert!(matches!(
            records[..],
            [Record { data: Data::Other(..), .. }, Record { data: Data::A(_), flush: true, ttl: 120, .. },]
        ));
    }

    /// Counts that lie, and names that loop.
    #[test]
    fn a_message_is_read_as_far_as_it_goes() {
        let mut lying = Vec::from(*b"\0\0\x84\0\xff\xff\xff\xff\xff\xff\xff\xff");
        assert_eq!(Incoming::read(&lying).unwrap().records().count(), 0);
        lying.extend_from_slice(b"\x01a\0\0\x01\0\x01");
        assert_eq!(Incoming::read(&lying).unwrap().questions().count(), 1);
        let looped = b"\0\0\0\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01";
        assert_eq!(Incoming::read(looped).unwrap().questions().count(), 0);
    }
}
