//! Hostile messages: whatever comes, the device answers for its own names afterwards, and believes nothing of it.

use core::net::{IpAddr, SocketAddr};
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use domain::base::Rtype;
use domain::base::message::Section;

use crate::mdns::browse::Parts;
use crate::mdns::name::by_ref;
use crate::mdns::testing::{Compose, Device, PEER, Put, Sent, name, text_of};
use crate::mdns::{Event, GROUP_V4, GROUP_V6, PORT, Service};

const QUERY: u16 = 0;
const RESPONSE: u16 = 0x8400;
const IN: u16 = 1;

/// A device at 192.0.2.1 and fe80::1 that is `lamp` and publishes `Lamp`, browses for `_http._tcp`, and has been at it for
/// ten seconds.
fn lamp() -> Device {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "lamp").unwrap();
    let service = Service { instance: "Lamp", kind: "_lamp._tcp", port: 7, txt: &["a=1"], ..Service::default() };
    device.engine.publish(device.now, &service).unwrap();
    device.engine.ask(device.now, &by_ref(&name("_http._tcp.local")), Rtype::PTR, true).unwrap();
    device.connect(&["192.0.2.1/24", "fe80::1/64"]);
    device.run(10_000);
    assert!(matches!(device.engine.poll_event(), Some(Event::HostEstablished)));
    while device.engine.poll_event().is_some() {}
    device
}

/// Within two seconds it answers for its host name as it is now, and for its service.
fn assert_alive(device: &mut Device, what: &str) {
    // A record is multicast at most once a second.
    let mut answers = device.run(1000);
    let host = format!("{}.local", device.engine.host_name());
    let query = Compose::query().ask(&host, Rtype::A).ask("_lamp._tcp.local", Rtype::PTR);
    answers.extend(device.hear(&query));
    answers.extend(device.run(1000));
    let said = |text: &str| answers.iter().any(|sent| sent.read().line(text).is_some());
    assert!(said(&format!("{host} A 192.0.2.1")), "{what}: {answers:?}");
    assert!(
        answers.iter().any(|sent| sent.read().answers().iter().any(|a| a.starts_with("_lamp._tcp.local PTR"))),
        "{what}"
    );
}

/// Those that are responses: it asks questions of its own all the time.
fn answers(sent: Vec<Sent>) -> Vec<Sent> {
    sent.into_iter().filter(|sent| sent.read().response).collect()
}

/// What it knows of a name and type.
fn known(device: &Device, of: &str, rtype: Rtype) -> Vec<String> {
    let mut all = vec![];
    device.engine.visit(device.now, &by_ref(&name(of)), rtype, &mut |data| all.push(text_of(data)));
    all
}

/// How a datagram comes: to the groups, and to the device.
fn ways() -> [(SocketAddr, IpAddr); 4] {
    let v6: IpAddr = "fe80::99".parse().unwrap();
    let v4: IpAddr = PEER.parse().unwrap();
    [
        ((v4, PORT).into(), GROUP_V4.into()),
        ((v6, PORT).into(), GROUP_V6.into()),
        ((v4, PORT).into(), [192, 0, 2, 1].into()),
        ((v4, 40000).into(), GROUP_V4.into()),
    ]
}

fn message(flags: u16, counts: [u16; 4], body: &[u8]) -> Vec<u8> {
    let header = [0, flags, counts[0], counts[1], counts[2], counts[3]];
    [header.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<_>>(), body.to_vec()].concat()
}

/// A record with a length of data of its own choice.
fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, length: u16, data: &[u8]) -> Vec<u8> {
    [owner, &rtype.to_be_bytes(), &class.to_be_bytes(), &ttl.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

/// The same bytes as a question's name, a record's name, and in the data of PTR, SRV and NSEC.
fn around(bad: &[u8]) -> Vec<Vec<u8>> {
    let mut all = vec![];
    let question = [bad, &[0, 12, 0, 1]].concat();
    all.push(message(QUERY, [1, 0, 0, 0], &question));
    all.push(message(QUERY, [2, 0, 0, 0], &[&b"\x04lamp\x05local\0\0\x01\0\x01"[..], &question].concat()));
    all.push(message(RESPONSE, [0, 1, 0, 0], &record(bad, 1, IN, 120, 4, &[192, 0, 2, 7])));
    all.push(message(QUERY, [0, 0, 1, 0], &record(bad, 255, IN, 120, 4, &[192, 0, 2, 7])));
    let http = b"\x05_http\x04_tcp\x05local\0";
    for (rtype, before, behind) in [(12, &[][..], &[][..]), (33, &[0, 0, 0, 0, 0, 80], &[]), (47, &[], &[0, 1, 0x40])] {
        let data = [before, bad, behind].concat();
        for owner in [&http[..], b"\x04lamp\x05local\0", b"\x04Lamp\x05_lamp\x04_tcp\x05local\0"] {
            let one = record(owner, rtype, IN | 0x8000, 120, data.len() as u16, &data);
            all.push(message(RESPONSE, [0, 1, 0, 0], &one));
            all.push(message(RESPONSE, [0, 0, 0, 1], &one));
            all.push(message(QUERY, [0, 1, 0, 0], &one));
            all.push(message(QUERY, [0, 0, 1, 0], &one));
            // With another behind it, which the wrong one must not hide, nor change.
            let good = record(http, 12, IN, 120, 2, b"\x01x");
            all.push(message(RESPONSE, [0, 2, 0, 0], &[one, good].concat()));
        }
    }
    all
}

fn feed(what: &str, messages: &[Vec<u8>]) {
    let mut device = lamp();
    for bytes in messages {
        for (from, to) in ways() {
            let answers = device.receive(from, to, bytes);
            assert!(answers.len() <= 2, "{what}: {bytes:02x?} has {} answers", answers.len());
            device.run(5);
        }
    }
    device.run(2000);
    assert_eq!(device.engine.host_name(), "lamp", "{what}");
    assert_alive(&mut device, what);
    assert!(known(&device, "_http._tcp.local", Rtype::PTR).iter().all(|ptr| ptr.len() < 300), "{what}");
}

/// DNS-01, and payloads of four bytes.
#[test]
fn headers_that_end_early() {
    let query = Compose::query().ask("lamp.local", Rtype::A).bytes();
    let response = Compose::response().answer("lamp.local", 120, &Put::Address("192.0.2.7")).bytes();
    let mut all: Vec<Vec<u8>> = vec![];
    for whole in [&query, &response] {
        all.extend((0..whole.len().min(17)).map(|length| whole[..length].to_vec()));
    }
    all.extend((0..=16).flat_map(|length| [vec![0; length], vec![0xff; length]]));
    feed("headers", &all);
}

/// DNS-02, DNS-04, DNS-05, DNS-06, M-35.
#[test]
fn names_that_are_none() {
    let labels = |count: usize, length: u8| {
        let label = [&[length][..], &vec![b'a'; length.into()]].concat();
        [label.repeat(count), vec![0]].concat()
    };
    let mut names: Vec<(&str, Vec<u8>)> = vec![
        ("a pointer to itself", vec![0xc0, 12]),
        ("two pointers at each other", vec![0xc0, 14, 0xc0, 12]),
        ("a label and a pointer to it", vec![1, b'a', 0xc0, 12]),
        ("a pointer forward", vec![0xc0, 40]),
        ("a pointer to the end", vec![0xff, 0xff]),
        ("a pointer into the header", vec![0xc0, 0]),
        ("half a pointer", vec![0xc0]),
        ("a label of 63 with one byte", vec![63, b'a']),
        ("a label of 64", [&[64][..], &[b'a'; 64], &[0]].concat()),
        ("a label of 127", [&[0x7f][..], &[b'a'; 127], &[0]].concat()),
        ("a label of 128", [&[0x80][..], &[b'a'; 128], &[0]].concat()),
        ("a label of 255", [&[0xff][..], &[b'a'; 255], &[0]].concat()),
        ("a bit string", [&[0x41][..], &[b'a'; 32], &[0]].concat()),
        ("256 bytes", labels(4, 63)[..256].iter().copied().chain([0]).collect()),
        ("257 bytes", labels(4, 63)),
        ("300 bytes", labels(5, 59)),
        ("1000 bytes", labels(16, 62)),
        ("128 labels of one byte", labels(128, 1)),
        ("no end", b"\x05local".to_vec()),
        ("nothing", vec![]),
    ];
    // Each pointer at the one before.
    let chain = (0..127u8).flat_map(|i| [0xc0, 12u8.saturating_add(2 * i).wrapping_sub(2)]).collect();
    names.push(("127 pointers", chain));
    for (what, bad) in names {
        feed(what, &around(&bad));
    }
}

/// DNS-05: the longest names there are, and one byte more by way of a pointer.
#[test]
fn the_longest_names_are_names() {
    let long = format!("{}.{}.{}.{}", "a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(55));
    let longest = format!("{long}.local"); // 64 * 3 + 56 + 6 + 1 = 255
    let mut device = lamp();
    device.hear(&Compose::response().answer("_http._tcp.local", 120, &Put::Ptr(&longest)));
    assert_eq!(known(&device, "_http._tcp.local", Rtype::PTR), [format!("PTR {longest}")]);
    let asked = device.run(3000);
    assert!(asked.iter().any(|sent| sent.read().questions.iter().any(|(asked, ..)| *asked == longest)), "{asked:?}");
    // The name before, with a label of one byte in front: 257.
    let body = [
        record(b"\x05_http\x04_tcp\x05local\0", 12, IN, 120, 255, name(&longest).as_slice()),
        record(b"\x05_http\x04_tcp\x05local\0", 12, IN, 120, 4, &[1, b'x', 0xc0, 12 + 18 + 10]),
    ];
    device.hear_from(PEER, &message(RESPONSE, [0, 2, 0, 0], &body.concat()));
    assert_eq!(known(&device, "_http._tcp.local", Rtype::PTR).len(), 1, "257 bytes by a pointer");
    assert_alive(&mut device, "longest names");
}

/// DNS-08: the length of data is wrong.
#[test]
fn data_of_a_wrong_length() {
    let mut all = vec![];
    let owners =
        [&b"\x04lamp\x05local\0"[..], b"\x04Lamp\x05_lamp\x04_tcp\x05local\0", b"\x05_http\x04_tcp\x05local\0"];
    for owner in owners {
        for (rtype, data) in [
            (1, &b"\xc0\0\x02\x01\x01"[..]),
            (28, b"\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"),
            (12, b"\x01x\0"),
            (33, b"\0\0\0\0\0\x50\x01x\0"),
            (16, b"\x03a=1"),
            (47, b"\x01x\0\0\x01\x40"),
            (13, b"\x01x\x01y"),
            (41, b"\0\x0a\0\x08"),
        ] {
            for length in [0, 1, 3, 4, 5, 15, 16, 17, data.len() - 1, data.len() + 1, 255, 512, 65535] {
                let one = record(owner, rtype, IN | 0x8000, 120, length as u16, data);
                for (flags, counts) in [(RESPONSE, [0, 1, 0, 0]), (QUERY, [0, 1, 0, 0]), (QUERY, [0, 0, 1, 0])] {
                    // Data of a right length that is a conflict is another test's.
                    let is_right = length == data.len() || (rtype, length) == (1, 4) || (rtype, length) == (28, 16);
                    if !(is_right || (rtype == 16 && length == 0) || rtype == 13 || rtype == 41) {
                        all.push(message(flags, counts, &one));
                    }
                }
            }
        }
    }
    feed("lengths of data", &all);
}

/// Counts that lie: more than there is, fewer than there is, and the most there may be.
#[test]
fn counts_that_lie() {
    let question = b"\x05_http\x04_tcp\x05local\0\0\x0c\0\x01";
    let answer = record(b"\x05_http\x04_tcp\x05local\0", 12, IN, 120, 3, b"\x01x\0");
    let mut all = vec![];
    for flags in [QUERY, QUERY | 0x200, RESPONSE] {
        for body in [&question[..], &answer, &[&question[..], &answer].concat(), &[]] {
            for count in [0, 1, 2, 255, 65535] {
                for at in 0..4 {
                    let mut counts = [u16::from(body.starts_with(question)), 0, 0, 0];
                    counts[at] = count;
                    all.push(message(flags, counts, body));
                }
                all.push(message(flags, [count; 4], body));
            }
        }
    }
    feed("counts", &all);
}

/// DNS-09: every type and class as question and as record, and every opcode and response code.
#[test]
fn every_type_class_opcode_and_response_code() {
    let mut device = lamp();
    let owners = [&b"\x04lamp\x05local\0"[..], b"\x04Lamp\x05_lamp\x04_tcp\x05local\0"];
    for rtype in 0..=300u16 {
        for class in [0u16, 1, 2, 3, 4, 254, 255, 0x8001, 0x80ff] {
            for owner in owners {
                let question = [owner, &rtype.to_be_bytes(), &class.to_be_bytes()].concat();
                let answers = device.hear_from(PEER, &message(QUERY, [1, 0, 0, 0], &question));
                let is_known = class & 0x7fff == 1 || class & 0x7fff == 255;
                assert!(is_known || answers.is_empty(), "class {class} is not ours");
            }
            device.run(1);
        }
    }
    device.run(2000);
    for bits in 0..=0xffffu32 {
        // Each opcode with each response code, and each bit between.
        let flags = bits as u16;
        if flags & 0x780f != 0 && flags.count_ones() <= 6 {
            let question = [owners[0], &[0, 1, 0, 1]].concat();
            let answers = device.hear_from(PEER, &message(flags & 0x7fff, [1, 0, 0, 0], &question));
            assert!(answers.is_empty(), "M-33: {flags:04x}");
            let taken = record(owners[0], 1, IN | 0x8000, 120, 4, &[192, 0, 2, 7]);
            device.hear_from(PEER, &message(flags | 0x8000, [0, 1, 0, 0], &taken));
        }
    }
    assert_eq!((answers(device.run(3000)).len(), device.engine.host_name().as_str()), (0, "lamp"), "M-33");
    assert_eq!(device.engine.stats().conflicts, 0);
    // Records of every type and class at names of ours and at others': only those of types that we have may be conflicts.
    for rtype in (0..=300).filter(|rtype| ![1, 28, 33, 16, 255].contains(rtype)) {
        for owner in owners {
            for length in [0, 1, 4, 40] {
                let data = vec![rtype as u8; length];
                let one = record(owner, rtype, IN | 0x8000, 120, length as u16, &data);
                device.hear_from(PEER, &message(RESPONSE, [0, 1, 0, 0], &one));
            }
        }
        device.run(1);
    }
    device.run(10_000);
    assert_eq!(device.engine.host_name(), "lamp");
    assert_alive(&mut device, "types");
}

/// DNS-10: EDNS in queries is skipped, however strange, and the question is answered.
#[test]
fn edns_in_queries_is_skipped() {
    let question = b"\x04lamp\x05local\0\0\x01\0\x01";
    let options = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8].repeat(100);
    let root = |class, ttl, length: usize, data: &[u8]| record(&[0], 41, class, ttl, length as u16, data);
    for opt in [
        root(0, 0, 0, &[]),
        root(65535, 0xffff_ffff, 0, &[]),
        root(1440, 0x00ff_0000, 0, &[]),
        root(1440, 0, options.len(), &options),
        root(1440, 0, 4, &[0, 10, 0xff, 0xff]),
        root(1440, 0, 500, &[]),
        [root(1440, 0, 0, &[]), root(512, 0, 0, &[])].concat(),
        record(b"\x01x\0", 41, 1440, 0, 0, &[]),
    ] {
        let mut device = lamp();
        let bytes = message(QUERY, [1, 0, 0, 1 + u16::from(opt.len() == 22)], &[&question[..], &opt].concat());
        let mut answers = device.hear_from(PEER, &bytes);
        answers.extend(device.run(1000));
        assert!(answers.iter().any(|sent| sent.read().line("lamp.local A 192.0.2.1").is_some()), "{opt:02x?}");
    }
}

/// MDNS-01, M-22, M-30, M-32: what comes from elsewhere, or from another port, or is a query and a response at once.
#[test]
fn what_comes_from_elsewhere_is_ignored() {
    let mut device = lamp();
    let taken = Compose::response()
        .answer("lamp.local", 120, &Put::Address("192.0.2.7"))
        .answer("_http._tcp.local", 120, &Put::Ptr("x._http._tcp.local"))
        .bytes();
    let query = Compose::query().ask("lamp.local", Rtype::A).bytes();
    let own: IpAddr = [192, 0, 2, 1].into();
    let own6: IpAddr = "fe80::1".parse().unwrap();
    let group: IpAddr = GROUP_V4.into();
    for (from, to) in [
        ("192.0.2.99:1234", group),
        ("192.0.2.99:1234", own),
        ("192.0.2.99:0", group),
        ("198.51.100.1:5353", own),
        ("[2001:db8::1]:5353", own6),
        ("198.51.100.1:53", own),
    ] {
        assert!(device.receive(from.parse().unwrap(), to, &taken).is_empty(), "{from} to {to}");
        assert!(answers(device.run(1500)).is_empty(), "a response from {from} to {to} is none");
        assert!(known(&device, "_http._tcp.local", Rtype::PTR).is_empty(), "from {from} to {to}");
    }
    for (from, to) in [("198.51.100.1:5353", own), ("198.51.100.1:4000", own), ("[2001:db8::1]:5353", own6)] {
        let mut sent = device.receive(from.parse().unwrap(), to, &query);
        sent.extend(device.run(1500));
        assert!(answers(sent).is_empty(), "an answer to {from}, which is not on this link");
    }
    // A legacy query from an address off the link that came by multicast: no unicast may go there.
    let mut sent = device.receive("198.51.100.1:4000".parse().unwrap(), group, &query);
    sent.extend(device.run(1500));
    assert!(sent.iter().all(Sent::is_multicast), "{sent:?}");
    // A query's records are no answers, and a response's questions no questions.
    let known_answer = Compose::query().answer("_http._tcp.local", 120, &Put::Ptr("x._http._tcp.local"));
    device.hear(&known_answer);
    assert!(known(&device, "_http._tcp.local", Rtype::PTR).is_empty());
    device.run(3000);
    let both = Compose::response().ask("lamp.local", Rtype::A).ask_unicast("_lamp._tcp.local", Rtype::PTR);
    let mut sent = device.hear(&both);
    sent.extend(device.run(2000));
    assert!(answers(sent).is_empty());
    assert_eq!((device.engine.host_name().as_str(), device.engine.stats().conflicts), ("lamp", 0));
    assert_alive(&mut device, "from elsewhere");
}

/// `count` records of one kind with names of their own, as many in each message as fit into 60,000 bytes.
fn flood(count: usize, ttl: u32, per_message: usize, kind: fn(usize, u32) -> Vec<u8>) -> Vec<Vec<u8>> {
    let numbers: Vec<usize> = (0..count).collect();
    let chunks = numbers.chunks(per_message);
    let of = |chunk: &[usize]| chunk.iter().flat_map(|n| kind(*n, ttl)).collect::<Vec<u8>>();
    chunks.map(|chunk| message(RESPONSE, [0, chunk.len() as u16, 0, 0], &of(chunk))).collect()
}

fn wanted_ptr(n: usize, ttl: u32) -> Vec<u8> {
    let target = name(&format!("n{n}._http._tcp.local"));
    let data = target.as_slice();
    record(b"\x05_http\x04_tcp\x05local\0", 12, IN, ttl, data.len() as u16, data)
}

fn other_ptr(n: usize, ttl: u32) -> Vec<u8> {
    let target = name(&format!("n{n}._ipp._tcp.local"));
    let data = target.as_slice();
    record(b"\x04_ipp\x04_tcp\x05local\0", 12, IN, ttl, data.len() as u16, data)
}

fn address(n: usize, ttl: u32) -> Vec<u8> {
    record(name(&format!("host-{n}.local")).as_slice(), 1, IN | 0x8000, ttl, 4, &(n as u32).to_be_bytes())
}

fn srv(n: usize, ttl: u32) -> Vec<u8> {
    let owner = name(&format!("n{n}._http._tcp.local"));
    let target = name(&format!("host-{n}.local"));
    let data = [&[0, 0, 0, 0, 0, 80], target.as_slice()].concat();
    record(owner.as_slice(), 33, IN | 0x8000, ttl, data.len() as u16, &data)
}

const KINDS: [fn(usize, u32) -> Vec<u8>; 4] = [wanted_ptr, other_ptr, address, srv];

/// MDNS-02, M-45: 2,000 records in one message and in many, with the longest TTL and with 0.
#[test]
fn floods_of_records() {
    for kind in KINDS {
        for (ttl, per_message) in [(u32::MAX, 2000), (u32::MAX, 7), (0, 2000), (0, 7), (120, 40)] {
            let mut device = lamp();
            let printer = Compose::response()
                .answer("_http._tcp.local", 4500, &Put::Ptr("Printer._http._tcp.local"))
                .answer("Printer._http._tcp.local", 4500, &Put::Srv(80, "printer.local"))
                .answer("Printer._http._tcp.local", 4500, &Put::Txt(b"\0"))
                .answer("printer.local", 4500, &Put::Address("192.0.2.50"));
            device.hear(&printer);
            let before = device.engine.stats().sent;
            for bytes in flood(2000, ttl, per_message, kind) {
                let (from, to) = ways()[0];
                device.receive(from, to, &bytes);
                device.run(3);
            }
            let found = known(&device, "_http._tcp.local", Rtype::PTR);
            assert!(found.len() <= 64, "{} records in memory for 64", found.len());
            let what = format!("flood with TTL {ttl}, {per_message} in each message");
            if !core::ptr::fn_addr_eq(kind, KINDS[0]) {
                // Nobody asks for those of the flood.
                assert!(found.contains(&"PTR Printer._http._tcp.local".to_string()), "{what}: {found:?}");
                assert_eq!(known(&device, "printer.local", Rtype::A), ["A 192.0.2.50"], "{what}");
            }
            assert_alive(&mut device, &what);
            device.run(60_000);
            let asked = device.engine.stats().sent.wrapping_sub(before);
            assert!(asked < 200, "{what}: the flood makes it send {asked} messages in a minute");
            if ttl == 0 {
                assert!(known(&device, "_http._tcp.local", Rtype::PTR).len() <= 1, "{what}");
            }
            // 75 minutes later nothing is left, whatever the TTL was.
            device.run(4_500_000);
            assert!(known(&device, "_http._tcp.local", Rtype::PTR).is_empty(), "{what}");
            assert!(known(&device, "host-1999.local", Rtype::A).is_empty(), "{what}");
            device.hear(&printer);
            assert_eq!(known(&device, "printer.local", Rtype::A), ["A 192.0.2.50"], "{what}: it learns no more");
            assert_alive(&mut device, &what);
        }
    }
}

/// A flood of questions, of queries that say that more follows, of legacy queries, and of known answers.
#[test]
fn floods_of_queries() {
    let mut device = lamp();
    let began = (device.now, device.engine.stats().sent);
    for n in 0..2000u32 {
        let peer = format!("192.0.2.{}", 2 + n % 250);
        let query = Compose::query()
            .ask("lamp.local", Rtype::A)
            .ask("_lamp._tcp.local", Rtype::PTR)
            .ask(&format!("x{n}.local"), Rtype::ANY)
            .id(n as u16);
        let query = if n % 2 == 0 { query.truncated() } else { query };
        device.hear_from(&peer, &query.bytes());
        device.run(5);
    }
    let seconds = device.now.saturating_duration_since(began.0).as_secs() as u32;
    let sent = device.engine.stats().sent - began.1;
    assert!(sent <= 3 * seconds + 10, "M-20: {sent} multicasts in {seconds} s");
    assert_alive(&mut device, "truncated queries");
    // Many questions in one message, known and unknown ones.
    let mut all = Compose::query();
    for n in 0..300 {
        all = all.ask(if n % 2 == 0 { "lamp.local" } else { "nobody.local" }, Rtype::ANY);
    }
    device.hear(&all);
    let mut all = Compose::query().ask("_lamp._tcp.local", Rtype::PTR);
    for n in 0..200 {
        all = all.answer("_lamp._tcp.local", 4500, &Put::Ptr(&format!("x{n}._lamp._tcp.local")));
    }
    device.hear(&all);
    assert_alive(&mut device, "many questions");
    // Legacy queries get a reply each, no longer than what we have to say.
    for n in 0..2000u16 {
        let from: SocketAddr = (PEER.parse::<IpAddr>().unwrap(), 1024 + n).into();
        let query = Compose::query().ask("lamp.local", Rtype::A).id(n);
        let answers = device.receive(from, GROUP_V4.into(), &query.bytes());
        assert!(answers.iter().map(|sent| sent.bytes.len()).sum::<usize>() < 300);
    }
    assert_alive(&mut device, "legacy queries");
}

/// MDNS-03, M-7: somebody answers each probe with a conflict. After 15 in 10 s at least 5 s pass before the next attempt.
#[test]
fn a_storm_of_conflicts() {
    let mut device = lamp();
    let mut renamed = vec![];
    let mut probes = vec![];
    let began = device.now;
    let mut all = vec![];
    while device.now.saturating_duration_since(began).as_secs() < 120 {
        let sent = device.run(10);
        let host = format!("{}.local", device.engine.host_name());
        let is_probe = |sent: &Sent| {
            let read = sent.read();
            read.authority().iter().any(|line| line.starts_with(&host))
        };
        probes.extend(sent.iter().filter(|sent| is_probe(sent)).map(|sent| sent.at));
        if device.now == began + net_core::time::Duration::from_millis(10) || sent.iter().any(is_probe) {
            device.hear(&Compose::response().answer(&host, 120, &Put::Address("192.0.2.7")));
        }
        while let Some(event) = device.engine.poll_event() {
            if event == Event::HostRenamed {
                renamed.push(device.now);
            }
        }
        all.extend(sent);
    }
    assert!(renamed.len() >= 15, "{}", renamed.len());
    for window in renamed.windows(16) {
        let (fifteenth, next) = (window[14], window[15]);
        let quick = fifteenth.saturating_duration_since(window[0]).as_secs() < 10;
        let waited = next.saturating_duration_since(fifteenth).as_millis();
        assert!(!quick || waited >= 5000, "the 16th attempt after {waited} ms");
    }
    assert!(renamed.len() <= 15 + 120 / 5 + 1, "{} names in 120 s", renamed.len());
    assert!(all.len() < 400, "{} messages in 120 s", all.len());
    device.run(20_000);
    assert_alive(&mut device, "a storm of conflicts");
    // The same storm at once, 60 responses for the name that it has.
    let mut device = lamp();
    for n in 0..60u8 {
        let host = format!("{}.local", device.engine.host_name());
        device.hear(&Compose::response().answer(&host, 120, &Put::Address(&format!("192.0.2.{}", 100 + n))));
        device.run(10);
    }
    device.run(20_000);
    assert_alive(&mut device, "60 conflicts at once");
}

/// A storm of simultaneous probes that win each time: it is put off, but not for ever.
#[test]
fn a_storm_of_probes() {
    let mut device = lamp();
    device.engine.set_host_name(device.now, "torch").unwrap();
    let began = device.now;
    for _ in 0..600 {
        let probe = Compose::query()
            .ask("torch.local", Rtype::ANY)
            .propose("torch.local", &Put::Address("255.255.255.254"))
            .propose("torch.local", &Put::Address("255.255.255.255"));
        let sent = device.hear(&probe);
        assert!(sent.len() <= 1);
        device.run(50);
    }
    assert!(device.engine.stats().sent < 200 && device.now.saturating_duration_since(began).as_secs() >= 30);
    device.run(10_000);
    assert_alive(&mut device, "a storm of probes");
}

/// MDNS-05: names and data that tripped up others.
#[test]
fn data_that_trips_up_others() {
    let mut device = lamp();
    let http = "_http._tcp.local";
    let long: Vec<u8> = [&[255][..], &[b'x'; 255]].concat().repeat(35)[..8900].to_vec();
    let short_of_end: Vec<u8> = [&[255][..], &[b'x'; 255]].concat().repeat(34);
    let mut x = record(name("x._http._tcp.local").as_slice(), 16, IN | 0x8000, 120, 8900, &long);
    x.extend(record(name("y._http._tcp.local").as_slice(), 16, IN | 0x8000, 120, 8704, &short_of_end));
    device.hear_from(PEER, &message(RESPONSE, [0, 2, 0, 0], &x));
    for reply in [
        Compose::response().answer(http, 120, &Put::Ptr(http)),
        Compose::response().answer(http, 120, &Put::Ptr("x._http._tcp.local")),
        Compose::response().answer("x._http._tcp.local", 120, &Put::Ptr("x._http._tcp.local")),
        Compose::response().answer("x._http._tcp.local", 120, &Put::Srv(80, "x._http._tcp.local")),
        Compose::response().answer("x._http._tcp.local", 120, &Put::Srv(81, "x._http._tcp.local")),
        Compose::response().answer(http, 120, &Put::Other(Rtype::CNAME, name(http).as_slice())),
        Compose::response().answer("x.local", 120, &Put::Other(Rtype::CNAME, name("y.local").as_slice())),
        Compose::response().answer("y.local", 120, &Put::Other(Rtype::CNAME, name("x.local").as_slice())),
        Compose::response().answer("lamp.local", 120, &Put::Other(Rtype::CNAME, name("lamp.local").as_slice())),
        Compose::response().answer("x.local", 120, &Put::Other(Rtype::HINFO, b"\x09x")),
        Compose::response().answer(http, 120, &Put::Ptr("a\\.b\\.._http._tcp.local")),
        Compose::response().put(Section::Answer, http, true, u32::MAX, &Put::Ptr("flush._http._tcp.local")),
    ] {
        device.hear(&reply);
        device.run(2000);
    }
    for target in
        [b"\x04a\0\\.\x05_http\x04_tcp\x05local\0".to_vec(), b"\x02\xff\xfe\x05_http\x04_tcp\x05local\0".to_vec()]
    {
        let one = record(b"\x05_http\x04_tcp\x05local\0", 12, IN, 120, target.len() as u16, &target);
        let srv = record(&target, 33, IN, 120, (6 + target.len()) as u16, &[&[0; 6], &target[..]].concat());
        device.hear_from(PEER, &message(RESPONSE, [0, 2, 0, 0], &[one, srv].concat()));
        device.run(2000);
    }
    // The root, as an owner and as a target.
    let x = name("x._http._tcp.local");
    for one in [
        record(&[0], 12, IN, 120, 1, &[0]),
        record(b"\x05_http\x04_tcp\x05local\0", 12, IN, 120, 1, &[0]),
        record(x.as_slice(), 33, IN, 120, 7, &[0; 7]),
    ] {
        device.hear_from(PEER, &message(RESPONSE, [0, 1, 0, 0], &one));
        device.run(2000);
    }
    // What the tools read of it.
    for room in [0, 1, 20, 300, 2000] {
        let mut buffer = vec![0; room];
        for instance in [http, "x._http._tcp.local", "a\\.b\\.._http._tcp.local", "x.local"] {
            let _ = Parts::write(&device.engine, device.now, &by_ref(&name(instance)), &mut buffer);
        }
    }
    device.run(300_000);
    assert!(device.engine.stats().sent < 200, "{:?}", device.engine.stats());
    assert_eq!(device.engine.host_name(), "lamp");
    assert_alive(&mut device, "MDNS-05");
}

/// M-8: a device's own messages, each of them, at any time afterwards, from any source, are no conflict and no answer to
/// anything.
#[test]
fn own_messages_that_come_back() {
    let mut device = Device::new(3);
    device.engine.set_host_name(device.now, "lamp").unwrap();
    let service = Service { instance: "Lamp", kind: "_lamp._tcp", port: 7, ..Service::default() };
    device.engine.publish(device.now, &service).unwrap();
    device.connect(&["192.0.2.1/24", "fe80::1/64"]);
    let mut sent: Vec<Sent> = vec![];
    for round in 0..40u32 {
        sent.extend(device.run(250));
        for own in sent.clone() {
            for from in ["192.0.2.1", "fe80::1", PEER] {
                // Queries of another it must answer, be they the same as its own.
                if from != PEER || own.read().response {
                    device.hear_from(from, &own.bytes);
                }
            }
        }
        // A name that is probed for is defended, up to four times a second, whoever does.
        assert!(device.engine.stats().sent < 20 + 3 * round, "round {round}: it answers itself");
    }
    assert_eq!((device.engine.host_name().as_str(), device.engine.stats().conflicts), ("lamp", 0));
    assert_alive(&mut device, "own messages");
}
