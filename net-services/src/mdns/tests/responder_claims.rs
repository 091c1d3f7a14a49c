//! Probing, announcing, goodbyes.

use std::format;
use std::string::{String, ToString as _};
use std::vec::Vec;

use domain::base::Rtype;

use super::{ANNOUNCED, GOODBYES, START, WEB, assert_uniform, esp32, esp32_with_web, events};
use crate::mdns::testing::{Device, Sent};
use crate::mdns::{Config, Event, Resources, Service};

const ANY: Rtype = Rtype::ANY;

fn millis(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|sent| sent.at.as_millis()).collect()
}

/// M-1, M-3, M-10: three probes 250 ms apart, for the host and the service at once, then announcements at intervals that
/// begin with 1 s and are doubled.
#[test]
fn names_are_probed_three_times_and_announced_three_times() {
    let mut device = esp32(1);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    assert!(!device.engine.is_established(service) && events(&mut device).is_empty());
    let sent = device.run(10_000);
    let start = sent[0].at.as_millis();
    let times: Vec<_> = millis(&sent).iter().map(|at| at - start).collect();
    assert_eq!(times, START);
    assert!(sent.iter().all(Sent::is_multicast));
    for probe in &sent[..3] {
        let probe = probe.read();
        let questions: Vec<_> = probe.questions.iter().map(|(name, rtype, _)| (name.as_str(), *rtype)).collect();
        assert_eq!(questions, [("esp32.local", ANY), ("Web._http._tcp.local", ANY)]);
        let proposed = [
            "Web._http._tcp.local SRV 0 0 80 esp32.local",
            "Web._http._tcp.local TXT \\x06path=/",
            "esp32.local A 192.0.2.1",
            "esp32.local AAAA fe80::1",
        ];
        assert_eq!(probe.authority(), proposed);
        assert_eq!(probe.records.len(), 4);
    }
    assert_eq!(events(&mut device), [Event::HostEstablished, Event::ServiceEstablished(service)]);
    assert!(device.engine.is_established(service));
}

/// M-1: the first probe comes within 250 ms, at any time as likely as at any other.
#[test]
fn the_first_probe_is_at_random_within_250_ms() {
    let delays: Vec<_> = (0..4000).map(|seed| esp32(seed).run(250)[0].at.as_millis() - 1000).collect();
    assert_uniform(&delays, 0, 250);
}

/// M-2: the very bytes of a probe: no flags, one question for ANY with the top bit of its class set, in the authority
/// section a record without it.
#[test]
fn a_probe_looks_like_this() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "p").unwrap();
    device.connect(&["192.0.2.1/24"]);
    let expected = [
        &b"\0\0\0\0\0\x01\0\0\0\x01\0\0"[..],
        b"\x01p\x05local\0\0\xff\x80\x01",
        b"\xc0\x0c\0\x01\0\x01\0\0\0\x78\0\x04\xc0\0\x02\x01",
    ];
    assert_eq!(device.run(250)[0].bytes, expected.concat());
}

/// M-2: where another program has port 5353 too, replies to probes have to be multicast.
#[test]
fn probes_ask_for_multicast_replies_if_told_to() {
    let mut config = Config::new();
    config.unicast = false;
    let resources = std::boxed::Box::leak(std::boxed::Box::new(Resources::<1, 1, 1>::new()));
    let mut device = Device::with(config, resources, 1);
    device.engine.set_host_name(device.now, "p").unwrap();
    device.connect(&["192.0.2.1/24"]);
    assert!(device.run(250)[0].read().questions == [("p.local".to_string(), ANY, false)]);
}

/// M-10, M-26, M-33, M-42: the very bytes of an announcement: QR and AA are set and nothing else, its id is 0, it has no
/// questions; unique records have the cache-flush bit.
#[test]
fn an_announcement_looks_like_this() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "p").unwrap();
    device.connect(&["192.0.2.1/24"]);
    let sent = device.run(5000);
    let expected = [
        &b"\0\0\x84\0\0\0\0\x03\0\0\0\0"[..],
        b"\x01p\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\0\x02\x01",
        b"\xc0\x0c\0\x2f\x80\x01\0\0\0\x78\0\x05\xc0\x0c\0\x01\x40",
        b"\x011\x012\x010\x03192\x07in-addr\x04arpa\0\0\x0c\x80\x01\0\0\0\x78\0\x02\xc0\x0c",
    ];
    assert_eq!(sent[3].bytes, expected.concat());
    assert_eq!(sent[4].bytes, expected.concat());
}

/// M-26, M-29, M-37, M-38, M-42: what is announced of a service.
#[test]
fn announcements_have_all_records() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &Service { subtypes: &["_printer", "_x"], ..WEB }).unwrap();
    let sent = device.run(5000);
    let read = sent[3].read();
    let of_service: Vec<_> = read
        .records
        .iter()
        .filter(|line| !line.name.contains("arpa") && !line.name.contains("esp32"))
        .map(|line| (format!("{} {}", line.name, line.text), line.flush, line.ttl))
        .collect();
    let expected = [
        ("_http._tcp.local PTR Web._http._tcp.local", false, 4500),
        ("Web._http._tcp.local SRV 0 0 80 esp32.local", true, 120),
        ("Web._http._tcp.local TXT \\x06path=/", true, 4500),
        ("_printer._sub._http._tcp.local PTR Web._http._tcp.local", false, 4500),
        ("_x._sub._http._tcp.local PTR Web._http._tcp.local", false, 4500),
        ("_services._dns-sd._udp.local PTR _http._tcp.local", false, 4500),
    ];
    assert_eq!(of_service, expected.map(|(text, flush, ttl)| (text.to_string(), flush, ttl)));
    assert_eq!(read.records.len(), expected.len() + 5, "two addresses, two reverse names, NSEC");
    assert_eq!(sent.len(), START.len());
}

/// Names that are published at about the same time are probed together; a later one by itself.
#[test]
fn names_join_those_that_wait() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &WEB).unwrap();
    device.engine.publish(device.now, &Service { instance: "Second", ..WEB }).unwrap();
    let sent = device.run(5000);
    assert_eq!(sent.len(), START.len());
    assert_eq!(sent[0].read().questions.len(), 3);
    device.engine.publish(device.now, &Service { instance: "Third", ..WEB }).unwrap();
    let sent = device.run(5000);
    assert_eq!(sent.len(), START.len());
    assert_eq!(sent[0].read().questions.len(), 1);
}

/// Without a host name there is nothing to tell where a service is; without a network nobody to tell it to.
#[test]
fn services_wait_for_the_host_name_and_for_the_network() {
    let mut device = Device::new(1);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    device.connect(&["192.0.2.1/24"]);
    assert!(device.run(5000).is_empty());
    device.engine.set_host_name(device.now, "esp32.local").unwrap();
    assert_eq!(device.run(5000).len(), START.len());
    assert!(device.engine.is_established(service));

    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.engine.publish(device.now, &WEB).unwrap();
    assert!(device.run(5000).is_empty() && device.engine.poll_timeout().is_none());
    device.engine.set_network(device.now, true, &[]);
    assert!(device.run(5000).is_empty());
    device.connect(&["192.0.2.1/24"]);
    assert_eq!(device.run(5000).len(), START.len());
}

/// M-11: link up probes and announces anew, and what happened in between is not missed.
#[test]
fn when_the_link_comes_up_all_is_probed_again() {
    let mut device = esp32_with_web(1);
    device.engine.set_network(device.now, false, &[]);
    assert!(device.run(5000).is_empty());
    device.engine.publish(device.now, &Service { instance: "New", ..WEB }).unwrap();
    device.connect(&["192.0.2.1/24", "fe80::1/64"]);
    let sent = device.run(5000);
    assert_eq!(sent.len(), START.len());
    assert_eq!(sent[0].read().questions.len(), 3);
    // The same after a sleep.
    device.engine.restart(device.now);
    let sent = device.run(5000);
    assert_eq!(sent.len(), START.len());
    assert_eq!(sent[0].read().questions.len(), 3);
}

/// M-11: a new address is announced, together with goodbyes for the old one; nothing is probed (RFC 6762 section 8.4).
#[test]
fn a_changed_address_is_announced_and_the_old_one_withdrawn() {
    let mut device = esp32_with_web(1);
    device.connect(&["192.0.2.7/24", "fe80::1/64"]);
    let sent = device.run(5000);
    assert_eq!(sent.len(), ANNOUNCED.len());
    let read = sent[0].read();
    assert_eq!(millis(&sent)[0], 11_000, "at once");
    for (text, ttl, flush) in [
        ("esp32.local A 192.0.2.1", 0, false), // not to take the others with it
        ("1.2.0.192.in-addr.arpa PTR esp32.local", 0, true),
        ("esp32.local A 192.0.2.7", 120, true),
        ("esp32.local AAAA fe80::1", 120, true),
        ("7.2.0.192.in-addr.arpa PTR esp32.local", 120, true),
    ] {
        let line = read.line(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!((line.ttl, line.flush), (ttl, flush), "{text}");
    }
    assert!(sent[1].read().line("esp32.local A 192.0.2.1").is_none());
    // The same set in another order, or another prefix length, is not worth a word.
    device.connect(&["fe80::1/64", "192.0.2.7/16"]);
    assert!(device.run(5000).is_empty());
    // An additional one has no goodbye with it.
    device.connect(&["fe80::1/64", "192.0.2.7/16", "192.0.2.1/24"]);
    let sent = device.run(5000);
    assert!(sent[0].read().records.iter().all(|line| line.ttl > 0));
    assert_eq!(sent[0].read().line("esp32.local A 192.0.2.1").unwrap().ttl, 120);
}

/// M-11: other TXT data is announced, by itself.
#[test]
fn changed_txt_data_is_announced() {
    let mut device = esp32(1);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    device.run(5000);
    device.engine.set_txt(device.now, service, &["path=/"]).unwrap();
    assert!(device.run(5000).is_empty(), "it is the same");
    device.engine.set_txt(device.now, service, &["path=/longer/than/before", "x"]).unwrap();
    let sent = device.run(5000);
    let times: Vec<_> = millis(&sent).iter().map(|at| at - 11_000).collect();
    assert_eq!(times, ANNOUNCED);
    let text = "Web._http._tcp.local TXT \\x18path=/longer/than/before\\x01x";
    for sent in sent {
        assert_eq!(sent.read().answers(), [text]);
        assert!(sent.read().records[0].flush);
    }
    // A change soon after another one waits until a second has passed (M-20).
    device.engine.set_txt(device.now, service, &["a"]).unwrap();
    assert_eq!(device.run(100).len(), 1);
    device.engine.set_txt(device.now, service, &["b"]).unwrap();
    assert!(device.run(899).is_empty());
    assert_eq!(device.run(1)[0].read().answers(), ["Web._http._tcp.local TXT \\x01b"]);
}

/// M-12: goodbyes for all that was announced, at once and again a second later; then the memory is free.
#[test]
fn a_withdrawn_service_says_goodbye() {
    let mut device = esp32(1);
    let service = device.engine.publish(device.now, &Service { subtypes: &["_x"], ..WEB }).unwrap();
    device.run(5000);
    device.engine.withdraw(device.now, service).unwrap();
    assert_eq!(device.engine.service_name(service), None);
    let sent = device.run(5000);
    let times: Vec<_> = millis(&sent).iter().map(|at| at - 6000).collect();
    assert_eq!(times, GOODBYES);
    for sent in &sent {
        let read = sent.read();
        assert!(read.records.iter().all(|line| line.ttl == 0));
        let expected = [
            "Web._http._tcp.local SRV 0 0 80 esp32.local",
            "Web._http._tcp.local TXT \\x06path=/",
            "_http._tcp.local PTR Web._http._tcp.local",
            "_services._dns-sd._udp.local PTR _http._tcp.local",
            "_x._sub._http._tcp.local PTR Web._http._tcp.local",
        ];
        assert_eq!(read.answers(), expected);
        assert!(read.additional().is_empty());
    }
    assert!(device.engine.poll_timeout().is_none());
}

/// M-12: a type is not withdrawn while another service of the device has it.
#[test]
fn a_type_stays_as_long_as_one_service_has_it() {
    let mut device = esp32(1);
    let first = device.engine.publish(device.now, &WEB).unwrap();
    let second = device.engine.publish(device.now, &Service { instance: "Second", ..WEB }).unwrap();
    device.run(5000);
    let types = |sent: &[Sent]| -> Vec<String> {
        sent[0].read().answers().into_iter().filter(|text| text.starts_with("_services")).collect()
    };
    device.engine.withdraw(device.now, first).unwrap();
    assert!(types(&device.run(3000)).is_empty());
    device.engine.withdraw(device.now, second).unwrap();
    assert_eq!(types(&device.run(3000)).len(), 1);
}

/// M-12: a service that nobody has heard of leaves without a word.
#[test]
fn what_was_never_announced_needs_no_goodbye() {
    let mut device = esp32(1);
    device.run(5000);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    device.run(300);
    device.engine.withdraw(device.now, service).unwrap();
    assert!(device.run(5000).is_empty());
}

/// M-12: at the end all is withdrawn; nothing is answered any more, and all comes back when the link comes up again.
#[test]
fn shutting_down_says_goodbye_for_all() {
    let mut device = esp32_with_web(1);
    device.engine.shut_down(device.now);
    assert!(!device.engine.is_shut_down());
    let sent = device.run(1009);
    assert_eq!(sent.len(), 1);
    let read = sent[0].read();
    assert_eq!(read.answers().len(), 9, "{:?}", read.answers());
    assert!(read.records.iter().all(|line| line.ttl == 0));
    assert_eq!(device.run(1).len(), 1);
    assert!(device.engine.is_shut_down() && device.engine.poll_timeout().is_none());
    let question = crate::mdns::testing::Compose::query().ask("esp32.local", Rtype::A);
    assert!(device.hear(&question).is_empty());
    device.engine.publish(device.now, &Service { instance: "Late", ..WEB }).unwrap();
    assert!(device.run(5000).is_empty());
    device.engine.restart(device.now);
    let sent = device.run(5000);
    assert_eq!((sent.len(), sent[0].read().questions.len()), (START.len(), 3));
    // Without a network there is nobody to tell.
    device.engine.set_network(device.now, false, &[]);
    device.engine.shut_down(device.now);
    assert!(device.engine.is_shut_down());
}

/// Another name of the user's: goodbyes for the old one, probing and announcing of the new one, and then its services tell
/// where they are now.
#[test]
fn the_host_can_be_given_another_name() {
    let mut device = esp32_with_web(1);
    device.engine.set_host_name(device.now, "kitchen").unwrap();
    assert_eq!(device.engine.host_name(), "kitchen");
    let sent = device.run(5000);
    let goodbye = sent[0].read();
    assert_eq!(
        goodbye.answers(),
        ["esp32.local A 192.0.2.1", "esp32.local AAAA fe80::1", "esp32.local NSEC esp32.local A AAAA"]
    );
    assert!(goodbye.records.iter().all(|line| line.ttl == 0));
    let probes: Vec<_> = sent.iter().filter(|sent| !sent.read().response).collect();
    assert_eq!(probes.len(), 3);
    assert_eq!(probes[0].read().questions.len(), 1);
    let announced =
        sent.iter().find(|sent| sent.read().line("kitchen.local A 192.0.2.1").is_some_and(|line| line.flush));
    let announced = announced.unwrap().read();
    assert!(announced.line("Web._http._tcp.local SRV 0 0 80 kitchen.local").is_some());
    assert_eq!(events(&mut device), [Event::HostEstablished]);
    // The same name again changes nothing.
    device.engine.set_host_name(device.now, "kitchen.local").unwrap();
    assert!(device.run(5000).is_empty());
}

/// M-24, M-36: what does not fit into one message is spread over several, each as full as may be.
#[test]
fn many_services_take_several_messages() {
    let mut device = esp32(1);
    device.buffer = 512;
    let names: Vec<_> = (0..8).map(|i| format!("A service with a rather long name, number {i}")).collect();
    for name in &names {
        device.engine.publish(device.now, &Service { instance: name, ..WEB }).unwrap();
    }
    let sent = device.run(10_000);
    assert!(sent.iter().all(|sent| sent.bytes.len() <= 512));
    let first = sent[0].at;
    let probes: Vec<_> = sent.iter().filter(|sent| sent.at == first).map(Sent::read).collect();
    assert!((2..=4).contains(&probes.len()), "{}", probes.len());
    for probe in &probes {
        assert_eq!(probe.records.len(), 2 * probe.questions.len(), "all that is proposed is with its question");
    }
    assert_eq!(probes.iter().map(|probe| probe.questions.len()).sum::<usize>(), 9);
    let announced = sent.iter().find(|sent| sent.read().response).unwrap().at;
    let mut all: Vec<_> =
        sent.iter().filter(|sent| sent.at == announced).flat_map(|sent| sent.read().answers()).collect();
    let count = all.len();
    all.sort();
    all.dedup();
    assert_eq!((count, all.len()), (5 + 8 * 3 + 1, 5 + 8 * 3 + 1), "each once");
}

/// A buffer that is too small for a record loses that record alone.
#[test]
fn a_record_that_fits_nowhere_is_left_out() {
    let mut device = esp32(1);
    device.buffer = 200;
    let long = "x".repeat(250);
    device.engine.publish(device.now, &Service { txt: &[&long], ..WEB }).unwrap();
    let sent = device.run(10_000);
    let all: Vec<_> = sent.iter().filter(|sent| sent.read().response).flat_map(|sent| sent.read().answers()).collect();
    assert!(all.iter().any(|text| text.contains("SRV")) && !all.iter().any(|text| text.contains("TXT")));
}
