use core::net::IpAddr;

use domain::base::Rtype;
use domain::base::message::Section;
use std::string::String;
use std::vec::Vec;

use super::super::super::testing::{Compose, Put, at};
use super::super::super::{GROUP_V4, PORT};
use super::*;

fn address(address: &str, ttl: u32) -> Compose {
    Compose::response().answer("a.local", ttl, &Put::Address(address))
}

fn addresses(device: &Device) -> Vec<String> {
    seen(device, "a.local", Rtype::A)
}

/// M-13: a goodbye ends a record a second later, unless it is told again before.
#[test]
fn a_goodbye_ends_a_record_in_a_second() {
    let mut device = device(1);
    device.hear(&address("192.0.2.7", 120));
    let before = device.engine.generation();
    device.hear(&address("192.0.2.7", 0));
    device.run(999);
    assert_eq!(addresses(&device), ["A 192.0.2.7"]);
    device.run(1);
    assert!(addresses(&device).is_empty());
    assert_ne!(device.engine.generation(), before);

    device.hear(&address("192.0.2.7", 120));
    device.run(2000);
    device.hear(&address("192.0.2.7", 0));
    device.run(500);
    device.hear(&address("192.0.2.7", 120));
    device.run(100_000);
    assert_eq!(addresses(&device), ["A 192.0.2.7"]);
}

/// M-13: a goodbye of something unknown is not kept.
#[test]
fn a_goodbye_of_something_unknown_is_nothing() {
    let mut device = device(1);
    let before = device.engine.generation();
    device.hear(&address("192.0.2.7", 0));
    assert!(addresses(&device).is_empty());
    assert_eq!((device.engine.generation(), device.engine.poll_timeout()), (before, None));
    // Nor does it end other records of that name.
    device.hear(&address("192.0.2.8", 120));
    device.run(2000);
    device.hear(&address("192.0.2.7", 0));
    device.run(2000);
    assert_eq!(addresses(&device), ["A 192.0.2.8"]);
}

/// M-27: the cache-flush bit ends other records of that name and type that came more than a second ago, a second later.
#[test]
fn cache_flush_ends_older_records_of_the_same_name_and_type() {
    let mut device = device(1);
    device.hear(&address("192.0.2.1", 120));
    device.hear(&Compose::response().answer("a.local", 120, &Put::Address("fe80::1")));
    device.hear(&Compose::response().answer("b.local", 120, &Put::Address("192.0.2.1")));
    device.run(1500);
    device.hear(&address("192.0.2.2", 120));
    device.run(900);
    device.hear(&address("192.0.2.3", 120));
    assert_eq!(addresses(&device), ["A 192.0.2.1", "A 192.0.2.2", "A 192.0.2.3"]);
    device.run(100);
    assert_eq!(addresses(&device), ["A 192.0.2.2", "A 192.0.2.3"], "a second after the bit");
    device.run(5000);
    assert_eq!(addresses(&device), ["A 192.0.2.2", "A 192.0.2.3"], "both came within a second");
    assert_eq!(seen(&device, "a.local", Rtype::AAAA), ["AAAA fe80::1"]);
    assert_eq!(seen(&device, "b.local", Rtype::A), ["A 192.0.2.1"]);
}

/// M-27: a service has one SRV and one TXT record, so that a new one replaces the old one however new that is.
#[test]
fn attributes_that_change_twice_in_a_second_are_the_last_ones() {
    let mut device = device(1);
    let txt = |text| Compose::response().answer("a._x._tcp.local", 4500, &Put::Txt(text));
    let told = |device: &Device| seen(device, "a._x._tcp.local", Rtype::TXT);
    device.hear(&txt(b"\x01a"));
    let first = told(&device);
    device.run(300);
    device.hear(&txt(b"\x01b"));
    assert_ne!(told(&device), first);
    assert_eq!(told(&device).len(), 1);
    device.run(300);
    device.hear(&txt(b"\x01a"));
    assert_eq!(told(&device), first);
    device.run(5000);
    assert_eq!(told(&device), first);
}

/// M-27: of records without the bit there may be several; and M-26: nobody's PTR record speaks for those of others.
#[test]
fn shared_records_stand_beside_each_other() {
    let mut device = device(1);
    for of in ["x", "y"] {
        let of = std::format!("{of}.{TYPE}");
        device.hear(&Compose::response().put(Section::Answer, TYPE, true, 120, &Put::Ptr(&of)));
        device.run(3000);
    }
    assert_eq!(seen(&device, TYPE, Rtype::PTR).len(), 2);
    // The questions go on.
    ask(&mut device, TYPE, Rtype::PTR, false);
    assert_eq!(device.run(8000).len(), 4);
}

/// A new SRV or TXT record takes the place of the old one at once; the old is still there for a second.
#[test]
fn a_changed_service_is_seen_at_once() {
    let mut device = device(1);
    let service = |port| Compose::response().answer("x.local", 120, &Put::Srv(port, "a.local"));
    device.hear(&service(80));
    device.run(2000);
    device.hear(&service(81));
    assert_eq!(seen(&device, "x.local", Rtype::SRV), ["SRV 0 0 81 a.local"]);
    device.hear(&service(80));
    assert_eq!(seen(&device, "x.local", Rtype::SRV), ["SRV 0 0 80 a.local", "SRV 0 0 81 a.local"], "two who contend");
}

/// M-28: an NSEC record tells which types there are not; a record of such a type proves it wrong, and the other way round.
#[test]
fn negative_answers_are_kept_and_end_with_what_contradicts_them() {
    let mut device = device(1);
    let nsec = |has| Compose::response().answer("a.local", 120, &Put::Nsec(has));
    device.hear(&address("192.0.2.7", 120).put(Section::Additional, "a.local", true, 120, &Put::Nsec(&[Rtype::A])));
    assert_eq!(seen(&device, "a.local", Rtype::AAAA), ["NSEC a.local A"]);
    assert_eq!(addresses(&device), ["A 192.0.2.7"]);
    // It answers a question.
    let id = ask(&mut device, "a.local", Rtype::AAAA, false);
    assert!(device.run(60_000).is_empty());
    let before = device.engine.generation();
    device.hear(&Compose::response().answer("a.local", 120, &Put::Address("fe80::1")));
    assert_eq!(seen(&device, "a.local", Rtype::AAAA), ["AAAA fe80::1"]);
    assert!(seen(&device, "a.local", Rtype::TXT).is_empty(), "the whole NSEC record is gone");
    assert_ne!(device.engine.generation(), before);
    device.run(2000);
    device.hear(&nsec(&[Rtype::A]));
    device.run(999);
    assert_eq!(seen(&device, "a.local", Rtype::AAAA), ["AAAA fe80::1"]);
    device.run(1);
    assert_eq!(seen(&device, "a.local", Rtype::AAAA), ["NSEC a.local A"]);
    assert_eq!(addresses(&device), ["A 192.0.2.7"]);
    // When it ends, the question is open again.
    device.engine.forget(id);
    device.run(1000);
    ask(&mut device, "a.local", Rtype::AAAA, false);
    let sent = device.run(130_000);
    assert!(asked(&sent)[0].2 == Rtype::AAAA && seen(&device, "a.local", Rtype::AAAA).is_empty());
}

/// M-28: names that several hosts share cannot be denied by one.
#[test]
fn nobody_can_deny_what_others_share() {
    let mut device = device(1);
    device.hear(&Compose::response().answer(TYPE, 120, &Put::Ptr("x._http._tcp.local")));
    device.run(2000);
    device.hear(&Compose::response().answer(TYPE, 120, &Put::Nsec(&[])));
    device.run(2000);
    assert_eq!(seen(&device, TYPE, Rtype::PTR), ["PTR x._http._tcp.local"]);
    device.hear(&Compose::response().answer(TYPE, 0, &Put::Ptr("x._http._tcp.local")));
    device.run(2000);
    assert!(seen(&device, TYPE, Rtype::PTR).is_empty());
    ask(&mut device, TYPE, Rtype::PTR, false);
    assert_eq!(device.run(8000).len(), 4);
}

/// RFC 6762 section 10: what others were told is as good as an own answer; in any section but Authority, from any host on
/// the link, by multicast or unicast; only names of multicast DNS.
#[test]
fn answers_to_others_are_taken_too() {
    let mut device = device(1);
    let put = Put::Address("192.0.2.7");
    let message = Compose::response()
        .answer("a.local", 120, &put)
        .put(Section::Authority, "b.local", true, 120, &put)
        .put(Section::Additional, "c.local", true, 120, &put)
        .put(Section::Answer, "7.2.0.192.in-addr.arpa", true, 120, &Put::Ptr("a.local"))
        .answer("example.com", 120, &put)
        .answer("in-addr.arpa.example", 120, &put);
    device.receive(
        ("192.0.2.9".parse::<IpAddr>().unwrap(), PORT).into(),
        "192.0.2.1".parse().unwrap(),
        &message.bytes(),
    );
    for (of, rtype, count) in [
        ("A.LOCAL", Rtype::A, 1),
        ("b.local", Rtype::A, 0),
        ("c.local", Rtype::A, 1),
        ("7.2.0.192.in-addr.arpa", Rtype::PTR, 1),
        ("example.com", Rtype::A, 0),
        ("in-addr.arpa.example", Rtype::A, 0),
    ] {
        assert_eq!(seen(&device, of, rtype).len(), count, "{of}");
    }
    for of in ["a.local", "c.local"] {
        ask(&mut device, of, Rtype::A, false);
    }
    ask(&mut device, "7.2.0.192.in-addr.arpa", Rtype::PTR, false);
    assert!(device.run(10_000).is_empty());
    // Known answers in a query are no answers.
    device.hear(&Compose::query().ask("d.local", Rtype::A).answer("d.local", 120, &put));
    assert!(seen(&device, "d.local", Rtype::A).is_empty());
    // M-32.
    let message = Compose::response().answer("d.local", 120, &put).bytes();
    device.receive(("192.0.2.9".parse::<IpAddr>().unwrap(), 5354).into(), GROUP_V4.into(), &message);
    assert!(seen(&device, "d.local", Rtype::A).is_empty());
}

#[test]
fn the_generation_tells_of_news_only() {
    let mut device = device(1);
    let of = |device: &Device| device.engine.generation();
    let mut last = of(&device);
    let mut is_news = |device: &Device| {
        let before = core::mem::replace(&mut last, of(device));
        before != of(device)
    };
    device.hear(&address("192.0.2.7", 120));
    assert!(is_news(&device));
    device.run(30_000);
    device.hear(&address("192.0.2.7", 120));
    assert!(!is_news(&device), "a refresh");
    device.run(119_999);
    assert!(!is_news(&device));
    device.run(1);
    assert!(is_news(&device), "its end");
    device.run(10_000);
    assert!(!is_news(&device));
}

/// Sleeping for longer than all TTLs ends all, also for who looks before anything else is done.
#[test]
fn sleep_ends_what_would_have_ended() {
    for hours in [2, 24 * 50, 24 * 365 * 20] {
        let mut device = device(1);
        ask(&mut device, "a.local", Rtype::A, false);
        device.hear(&address("192.0.2.7", 120));
        device.run(200);
        device.now = at(1000 + hours * 3_600_000);
        assert!(addresses(&device).is_empty());
        assert!(device.engine.poll_timeout().unwrap() <= device.now);
        device.take();
        assert_eq!(device.run(200).len(), 1, "it is asked for again");
    }
}

/// After sleep, or with other addresses, what is known is in doubt: it ends within 10 seconds unless it is told again; all
/// is asked as at the start, without known answers.
#[test]
fn what_is_known_is_in_doubt_in_another_network() {
    for restart in [true, false] {
        let mut device = device(1);
        device.hear(&address("192.0.2.7", 120));
        device.hear(&Compose::response().answer("b.local", 120, &Put::Address("192.0.2.8")));
        ask(&mut device, "a.local", Rtype::A, false);
        ask(&mut device, TYPE, Rtype::PTR, false);
        device.hear(&Compose::response().answer(TYPE, 120, &Put::Ptr("x._http._tcp.local")));
        device.run(30_000);
        if restart {
            device.engine.restart(device.now);
        } else {
            device.connect(&["198.51.100.1/24"]);
        }
        assert_eq!(addresses(&device).len(), 1);
        let read = only(&device.run(200));
        assert_eq!((read.questions.len(), read.records.len()), (2, 0));
        device.hear(&address("192.0.2.7", 120));
        device.run(9799);
        assert_eq!(seen(&device, "b.local", Rtype::A).len(), 1);
        device.run(1);
        assert_eq!(seen(&device, "b.local", Rtype::A).len(), 0);
        assert_eq!(addresses(&device), ["A 192.0.2.7"]);
    }
}

#[test]
fn without_a_network_nothing_is_known_or_asked() {
    let mut device = device(1);
    device.hear(&address("192.0.2.7", 120));
    ask(&mut device, TYPE, Rtype::PTR, false);
    let before = device.engine.generation();
    device.engine.set_network(device.now, false, &[]);
    assert!(addresses(&device).is_empty() && device.engine.generation() != before);
    assert_eq!(device.engine.poll_timeout(), None);
    device.hear(&address("192.0.2.7", 120));
    assert!(device.run(10_000).is_empty() && addresses(&device).is_empty());
    ask(&mut device, "b.local", Rtype::A, false);
    assert_eq!(device.engine.poll_timeout(), None);
    device.connect(&["192.0.2.1/24"]);
    let start = device.now.as_millis();
    let sent = device.run(1000);
    assert_eq!(only(&sent).questions.len(), 2);
    assert!((20..=120).contains(&(times(&sent)[0] - start)));
}

/// Case of names: one record, whatever the case (M-34).
#[test]
fn names_are_the_same_in_either_case() {
    let mut device = device(1);
    device.hear(&Compose::response().answer(TYPE, 120, &Put::Ptr("x._http._tcp.local")));
    device.hear(&Compose::response().answer("_HTTP._TCP.local", 120, &Put::Ptr("X._http._tcp.local")));
    assert_eq!(seen(&device, "_http._TCP.local", Rtype::PTR).len(), 1);
    device.hear(&Compose::response().answer(TYPE, 120, &Put::Txt(b"\x01a")));
    device.hear(&Compose::response().answer(TYPE, 120, &Put::Txt(b"\x01A")));
    assert_eq!(seen(&device, TYPE, Rtype::TXT).len(), 2);
}
