//! Messages: reading what came, as far as it can be read, and composing what goes out.

use domain::base::header::{HeaderCounts, HeaderSection};
use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::message::Section;
use domain::base::message_builder::StaticCompressor;
use domain::base::question::ComposeQuestion as _;
use domain::base::record::ComposeRecord as _;
use domain::base::{Message, Rtype};
use domain::dep::octseq::{OctetsBuilder as _, Parser, Truncate as _};
use net_core::dns::SliceComposer;

use super::data::{Body, Data};
use super::name::{self, NameRef};

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

/// An end that a message has had.
pub(super) struct Mark {
    counts: HeaderCounts,
    length: usize,
}

/// A message being composed, with its names compressed. The sections are written in their order.
///
/// Nothing is written of what does not fit.
pub(super) struct Writer<'b> {
    target: StaticCompressor<SliceComposer<'b>>,
    /// See [`Body::compress`].
    compress: bool,
}

impl<'b> Writer<'b> {
    /// A query. `None` when the buffer is shorter than a header, 12 bytes.
    #[inline(never)]
    pub(super) fn query(buffer: &'b mut [u8]) -> Option<Self> {
        let mut target = StaticCompressor::new(SliceComposer::new(buffer));
        target.append_slice(HeaderSection::new().as_slice()).ok()?;
        Some(Self { target, compress: true })
    }

    /// A response: QR and AA are set (RFC 6762 sections 18.2 and 18.4). The id is 0 but in a reply to a legacy query.
    pub(super) fn response(buffer: &'b mut [u8], id: u16) -> Option<Self> {
        let mut writer = Self::query(buffer)?;
        let header = writer.header().header_mut();
        header.set_qr(true);
        header.set_aa(true);
        header.set_id(id);
        Some(writer)
    }

    fn header(&mut self) -> &mut HeaderSection {
        HeaderSection::for_message_slice_mut(self.target.as_slice_mut())
    }

    /// From now on, names in data are compressed only as in unicast DNS.
    pub(super) fn compress_as_unicast(&mut self) {
        self.compress = false;
    }

    pub(super) fn set_truncated(&mut self) {
        self.header().header_mut().set_tc(true);
    }

    /// Whether it says anything.
    #[inline(never)]
    pub(super) fn is_empty(&mut self) -> bool {
        let counts = self.header().counts();
        (counts.qdcount(), counts.ancount(), counts.nscount(), counts.arcount()) == (0, 0, 0, 0)
    }

    pub(super) fn len(&self) -> usize {
        self.target.as_slice().len()
    }

    /// Where the message ends now, to come back to.
    pub(super) fn mark(&mut self) -> Mark {
        Mark { counts: *self.header().counts(), length: self.len() }
    }

    /// Takes back all that was added since.
    pub(super) fn rewind(&mut self, mark: &Mark) {
        *self.header().counts_mut() = mark.counts;
        self.target.truncate(mark.length);
    }

    /// One of its questions.
    pub(super) fn asked(&self, number: usize) -> Option<Question<'_>> {
        Incoming::read(self.target.as_slice())?.questions().nth(number)
    }

    /// Whether it asks that already.
    pub(super) fn asks(&self, question: &Question<'_>) -> bool {
        let same = |other: Question<'_>| other.rtype == question.rtype && name::is_same(&other.name, &question.name);
        Incoming::read(self.target.as_slice()).is_some_and(|message| message.questions().any(same))
    }

    /// Adds a question. `false`: it does not fit.
    pub(super) fn question(&mut self, question: &Question<'_>) -> bool {
        let class = Class::IN.to_int() | if question.unicast { TOP_BIT } else { 0 };
        self.question_of_class(&question.name, question.rtype, class)
    }

    /// Adds a question of some class. `false`: it does not fit.
    pub(super) fn question_of_class(&mut self, name: &NameRef<'_>, rtype: Rtype, class: u16) -> bool {
        let before = self.len();
        let written = (*name, rtype, Class::from_int(class)).compose_question(&mut self.target);
        let counted = written.is_ok() && self.header().counts_mut().inc_qdcount().is_ok();
        self.keep(counted, before)
    }

    /// Adds a record. `false`: it does not fit.
    #[inline(never)]
    pub(super) fn record(&mut self, section: Section, record: &Record<'_>) -> bool {
        let class = Class::from_int(Class::IN.to_int() | if record.flush { TOP_BIT } else { 0 });
        let data = Body { data: &record.data, compress: self.compress };
        let before = self.len();
        let written = (record.name, class, record.ttl, data).compose_record(&mut self.target);
        let counts = self.header().counts_mut();
        let counted = written.is_ok()
            && match section {
                Section::Answer => counts.inc_ancount(),
                Section::Authority => counts.inc_nscount(),
                Section::Additional => counts.inc_arcount(),
            }
            .is_ok();
        self.keep(counted, before)
    }

    fn keep(&mut self, counted: bool, before: usize) -> bool {
        if !counted {
            self.target.truncate(before);
        }
        counted
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
