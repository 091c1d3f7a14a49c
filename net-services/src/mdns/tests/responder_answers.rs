//! What is answered.

use std::string::ToString as _;
use std::vec::Vec;

use domain::base::Rtype;

use super::{WEB, esp32, esp32_with_web};
use crate::mdns::testing::{Compose, Device, Put, Read};
use crate::mdns::{PORT, Service};

/// The one reply to a question, after 2 s of silence.
fn ask(device: &mut Device, name: &str, rtype: Rtype) -> Option<Read> {
    reply(device, &Compose::query().ask(name, rtype))
}

fn reply(device: &mut Device, query: &Compose) -> Option<Read> {
    device.run(2000);
    let mut sent = device.hear(query);
    sent.extend(device.run(600));
    assert!(sent.len() <= 1, "one message at the most");
    let read = sent.first()?.read();
    assert!(read.response && read.questions.is_empty() && read.id == 0 && read.authority().is_empty());
    let mut all: Vec<_> = read.records.iter().map(|line| (&line.name, &line.text)).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), count, "M-41: none twice");
    Some(read)
}

/// M-40, M-41: PTR brings SRV, TXT, A and AAAA; SRV brings A and AAAA; A brings AAAA, and AAAA A.
#[test]
fn additional_records_are_what_is_asked_for_next() {
    let mut device = esp32_with_web(1);
    let (a, aaaa) = ("esp32.local A 192.0.2.1", "esp32.local AAAA fe80::1");
    let (srv, txt) = ("Web._http._tcp.local SRV 0 0 80 esp32.local", "Web._http._tcp.local TXT \\x06path=/");
    let pointer = ask(&mut device, "_http._tcp.local", Rtype::PTR).unwrap();
    assert_eq!(pointer.answers(), ["_http._tcp.local PTR Web._http._tcp.local"]);
    assert_eq!(pointer.additional(), [srv, txt, a, aaaa]);
    let server = ask(&mut device, "web._HTTP._tcp.LOCAL", Rtype::SRV).unwrap();
    assert_eq!(
        (server.answers(), server.additional()),
        (Vec::from([srv.to_string()]), Vec::from([a, aaaa].map(str::to_string)))
    );
    let text = ask(&mut device, "Web._http._tcp.local", Rtype::TXT).unwrap();
    assert_eq!((text.answers(), text.additional().len()), (Vec::from([txt.to_string()]), 0));
    let address = ask(&mut device, "ESP32.local", Rtype::A).unwrap();
    assert_eq!((address.answers(), address.additional()), (Vec::from([a.to_string()]), Vec::from([aaaa.to_string()])));
    let address = ask(&mut device, "esp32.local", Rtype::AAAA).unwrap();
    assert_eq!((address.answers(), address.additional()), (Vec::from([aaaa.to_string()]), Vec::from([a.to_string()])));
}

/// M-25: ANY brings all that there is; the class may be ANY too.
#[test]
fn any_is_everything() {
    let mut device = esp32_with_web(1);
    let all = ask(&mut device, "Web._http._tcp.local", Rtype::ANY).unwrap();
    assert_eq!(all.answers().len(), 2);
    let all = ask(&mut device, "esp32.local", Rtype::ANY).unwrap();
    assert_eq!(all.answers(), ["esp32.local A 192.0.2.1", "esp32.local AAAA fe80::1"]);
    device.run(2000);
    let mut query = Compose::query().ask("esp32.local", Rtype::A).bytes();
    let end = query.len();
    query[end - 1] = 255;
    assert_eq!(device.hear_from("192.0.2.99", &query).len(), 1);
    query[end - 1] = 3;
    device.run(2000);
    assert!(device.hear_from("192.0.2.99", &query).is_empty(), "class CHAOS");
}

/// M-28: a type that a name of ours does not have is answered with NSEC: the name itself as the next one, block 0 alone.
#[test]
fn what_is_not_there_is_said_to_be_not_there() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "p").unwrap();
    device.engine.publish(device.now, &WEB).unwrap();
    device.connect(&["192.0.2.1/24"]);
    device.run(5000);
    for rtype in [Rtype::AAAA, Rtype::SRV, Rtype::HTTPS, Rtype::NSEC] {
        let read = ask(&mut device, "p.local", rtype).unwrap();
        assert_eq!(read.answers(), ["p.local NSEC p.local A"], "{rtype}");
        assert!(read.records[0].flush && read.records[0].ttl == 120);
    }
    let read = ask(&mut device, "Web._http._tcp.local", Rtype::A).unwrap();
    assert_eq!(read.answers(), ["Web._http._tcp.local NSEC Web._http._tcp.local TXT SRV"]);
    let read = ask(&mut device, "1.2.0.192.in-addr.arpa", Rtype::A).unwrap();
    assert_eq!(read.answers(), ["1.2.0.192.in-addr.arpa NSEC 1.2.0.192.in-addr.arpa PTR"]);
    // With A comes the word that there is no AAAA.
    let read = ask(&mut device, "p.local", Rtype::A).unwrap();
    assert_eq!((read.answers().len(), read.additional()), (1, Vec::from(["p.local NSEC p.local A".to_string()])));
    // Others may have what a shared name does not have here.
    assert!(ask(&mut device, "_http._tcp.local", Rtype::SRV).is_none());
    assert!(ask(&mut device, "other.local", Rtype::A).is_none());
    assert!(ask(&mut device, "local", Rtype::ANY).is_none());

    let mut query = Device::new(1);
    query.engine.set_host_name(query.now, "p").unwrap();
    query.connect(&["192.0.2.1/24"]);
    query.run(5000);
    let sent = query.hear(&Compose::query().ask("p.local", Rtype::AAAA));
    let expected =
        [&b"\0\0\x84\0\0\0\0\x01\0\0\0\0"[..], b"\x01p\x05local\0\0\x2f\x80\x01\0\0\0\x78\0\x05\xc0\x0c\0\x01\x40"];
    assert_eq!(sent[0].bytes, expected.concat());
}

/// M-28: nothing is said of a name that is being probed for.
#[test]
fn names_that_are_being_probed_are_not_answered_for() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &WEB).unwrap();
    device.run(500);
    for (name, rtype) in [
        ("esp32.local", Rtype::A),
        ("esp32.local", Rtype::HTTPS),
        ("_http._tcp.local", Rtype::PTR),
        ("_services._dns-sd._udp.local", Rtype::PTR),
        ("1.2.0.192.in-addr.arpa", Rtype::PTR),
    ] {
        assert!(device.hear(&Compose::query().ask(name, rtype)).is_empty());
    }
    assert!(device.run(200).iter().all(|sent| !sent.read().response));
}

/// M-37: the types, each once; and nothing if there is no service.
#[test]
fn the_types_are_listed() {
    let types = "_SERVICES._dns-sd._udp.local";
    let mut device = esp32(1);
    device.run(5000);
    assert!(ask(&mut device, types, Rtype::PTR).is_none());
    device.engine.publish(device.now, &WEB).unwrap();
    device.engine.publish(device.now, &Service { instance: "Second", kind: "_HTTP._tcp", ..WEB }).unwrap();
    device.engine.publish(device.now, &Service { kind: "_ipp._tcp", ..WEB }).unwrap();
    device.run(5000);
    let read = ask(&mut device, types, Rtype::PTR).unwrap();
    let expected =
        ["_services._dns-sd._udp.local PTR _http._tcp.local", "_services._dns-sd._udp.local PTR _ipp._tcp.local"];
    assert_eq!(read.answers(), expected);
    assert!(read.additional().is_empty() && read.records.iter().all(|line| !line.flush && line.ttl == 4500));
    assert!(ask(&mut device, types, Rtype::A).is_none());
}

/// M-38: subtypes.
#[test]
fn subtypes_are_answered() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &Service { subtypes: &["_printer", "_PRINTER", "_x"], ..WEB }).unwrap();
    device.run(5000);
    let read = ask(&mut device, "_Printer._sub._http._tcp.local", Rtype::PTR).unwrap();
    assert_eq!(read.answers(), ["_printer._sub._http._tcp.local PTR Web._http._tcp.local"]);
    assert_eq!(read.additional().len(), 4);
    assert!(ask(&mut device, "_y._sub._http._tcp.local", Rtype::PTR).is_none());
    assert_eq!(ask(&mut device, "_http._tcp.local", Rtype::PTR).unwrap().answers().len(), 1);
}

/// M-42: the names of addresses.
#[test]
fn addresses_have_names() {
    let mut device = esp32_with_web(1);
    let read = ask(&mut device, "1.2.0.192.in-addr.arpa", Rtype::PTR).unwrap();
    assert_eq!(read.answers(), ["1.2.0.192.in-addr.arpa PTR esp32.local"]);
    assert!(read.records[0].flush && read.records[0].ttl == 120);
    let name = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.E.F.ip6.arpa";
    assert_eq!(ask(&mut device, name, Rtype::PTR).unwrap().answers().len(), 1);
    assert!(ask(&mut device, "2.2.0.192.in-addr.arpa", Rtype::PTR).is_none());
}

/// M-17: what the querier knows, with at least half of its TTL, is not told again.
#[test]
fn known_answers_are_not_repeated() {
    let mut device = esp32_with_web(1);
    let query =
        |ttl, to| Compose::query().ask("_http._tcp.local", Rtype::PTR).answer("_HTTP._tcp.local", ttl, &Put::Ptr(to));
    assert!(reply(&mut device, &query(2250, "web._http._tcp.local")).is_none());
    assert_eq!(device.engine.stats().answers_spared, 1);
    assert!(reply(&mut device, &query(2249, "Web._http._tcp.local")).is_some());
    assert!(reply(&mut device, &query(4500, "Other._http._tcp.local")).is_some());
    // In another section it is not a known answer.
    let query = Compose::query().ask("_http._tcp.local", Rtype::PTR);
    let additional = domain::base::message::Section::Additional;
    let query = query.put(additional, "_http._tcp.local", false, 4500, &Put::Ptr("Web._http._tcp.local"));
    assert!(reply(&mut device, &query).is_some());
}

/// M-17: of several addresses all are told unless all are known: they replace what the querier has.
#[test]
fn addresses_are_told_all_or_none() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "p").unwrap();
    device.connect(&["192.0.2.1/24", "192.0.2.2/24"]);
    device.run(5000);
    let query = Compose::query().ask("p.local", Rtype::A).answer("p.local", 120, &Put::Address("192.0.2.1"));
    assert_eq!(reply(&mut device, &query).unwrap().answers(), ["p.local A 192.0.2.1", "p.local A 192.0.2.2"]);
    assert!(reply(&mut device, &query.answer("p.local", 60, &Put::Address("192.0.2.2"))).is_none());
}

/// M-24: all questions of one query are answered in one message.
#[test]
fn several_questions_get_one_reply() {
    let mut device = esp32_with_web(1);
    let query = Compose::query()
        .ask("_http._tcp.local", Rtype::PTR)
        .ask("esp32.local", Rtype::A)
        .ask("unknown.local", Rtype::A)
        .ask("Web._http._tcp.local", Rtype::TXT)
        .ask("esp32.local", Rtype::A);
    let read = reply(&mut device, &query).unwrap();
    assert_eq!(read.answers().len(), 3);
    assert_eq!(read.additional(), ["Web._http._tcp.local SRV 0 0 80 esp32.local", "esp32.local AAAA fe80::1"]);
}

/// Another host's name and addresses, and a service that runs there.
#[test]
fn delegated_hosts_are_answered_for() {
    let mut device = esp32(1);
    let addresses = ["192.0.2.77".parse().unwrap(), "192.0.2.1".parse().unwrap()];
    let host = device.engine.delegate(device.now, "camera", &addresses).unwrap();
    device.engine.publish(device.now, &Service { host: Some(host), kind: "_rtsp._tcp", port: 554, ..WEB }).unwrap();
    device.run(5000);
    let read = ask(&mut device, "_rtsp._tcp.local", Rtype::PTR).unwrap();
    let expected = [
        "Web._rtsp._tcp.local SRV 0 0 554 camera.local",
        "Web._rtsp._tcp.local TXT \\x06path=/",
        "camera.local A 192.0.2.1",
        "camera.local A 192.0.2.77",
        "camera.local NSEC camera.local A",
    ];
    assert_eq!(read.additional(), expected);
    let read = ask(&mut device, "77.2.0.192.in-addr.arpa", Rtype::PTR).unwrap();
    assert_eq!(read.answers(), ["77.2.0.192.in-addr.arpa PTR camera.local"]);
    let read = ask(&mut device, "1.2.0.192.in-addr.arpa", Rtype::PTR).unwrap();
    assert_eq!(read.answers(), ["1.2.0.192.in-addr.arpa PTR esp32.local"], "that is the device's own");
    // It goes, and its service with it.
    device.engine.withdraw_host(device.now, host).unwrap();
    let sent = device.run(5000);
    assert_eq!((sent.len(), sent[0].read().answers().len()), (2, 8));
    assert!(sent[0].read().records.iter().all(|line| line.ttl == 0));
    assert!(ask(&mut device, "_rtsp._tcp.local", Rtype::PTR).is_none());
}

/// M-34: names are any text; only ASCII letters are equal to their other case.
#[test]
fn names_are_utf_8() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &Service { instance: "Küche 2. Stock", ..WEB }).unwrap();
    device.run(5000);
    assert!(ask(&mut device, "küche 2\\. sTOCK._http._tcp.local", Rtype::SRV).is_some());
    assert!(ask(&mut device, "KÜche 2\\. Stock._http._tcp.local", Rtype::SRV).is_none());
}

/// M-32, M-33: what is not for it.
#[test]
fn other_messages_are_not_answered() {
    let mut device = esp32_with_web(1);
    device.run(2000);
    let query = Compose::query().ask("esp32.local", Rtype::A).bytes();
    for (at, bits) in [(2, 0x80), (2, 0x78), (3, 0x05)] {
        let mut broken = query.clone();
        broken[at] |= bits;
        assert!(device.hear_from("192.0.2.99", &broken).is_empty());
    }
    let mut other_bits = query.clone();
    (other_bits[0], other_bits[2], other_bits[3]) = (0x12, other_bits[2] | 0x05, 0xf0);
    assert_eq!(device.hear_from("192.0.2.99", &other_bits).len(), 1, "AA, RD, RA, Z, AD and CD are ignored");
    let answer = Compose::response().answer("esp32.local", 120, &Put::Address("192.0.2.50")).bytes();
    device.receive(
        ("192.0.2.50".parse::<std::net::IpAddr>().unwrap(), PORT + 1).into(),
        crate::mdns::GROUP_V4.into(),
        &answer,
    );
    assert_eq!(device.engine.stats().conflicts, 0, "a response from another port");
}

/// RFC 6762 section 10.2: the addresses of one version are all told if one is, also where they are additional and the
/// message is full: the rest follows at once.
#[test]
fn additional_addresses_are_complete() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "p").unwrap();
    let addresses: Vec<_> = (1..=6).map(|i| std::format!("192.0.2.{i}/24")).collect();
    device.connect(&addresses.iter().map(|address| address.as_str()).collect::<Vec<_>>());
    device.engine.publish(device.now, &WEB).unwrap();
    device.run(5000);
    let query = Compose::query().ask("Web._http._tcp.local", Rtype::SRV);
    for (buffer, unicast) in (20..200).flat_map(|buffer| [(buffer, false), (buffer, true)]) {
        device.run(3000);
        device.buffer = buffer;
        let mut sent = if unicast {
            let from = ("192.0.2.99".parse::<std::net::IpAddr>().unwrap(), PORT).into();
            device.receive(from, "192.0.2.1".parse().unwrap(), &query.bytes())
        } else {
            device.hear(&query)
        };
        sent.extend(device.run(100));
        let all: Vec<_> =
            sent.iter().flat_map(|sent| sent.read().records).filter(|line| line.text.starts_with("A ")).collect();
        assert!(all.is_empty() || all.len() == 6, "{} addresses in {buffer} bytes", all.len());
        assert!(sent.len() <= 2 || buffer < 100);
    }
}
