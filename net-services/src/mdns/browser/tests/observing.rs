use core::net::IpAddr;

use domain::base::Rtype;
use std::vec::Vec;

use super::super::super::testing::{Compose, PEER, Put};
use super::super::super::{GROUP_V4, PORT, Service};
use super::*;

const X: &str = "x._http._tcp.local";

fn pointer() -> Compose {
    Compose::response().answer(TYPE, 4500, &Put::Ptr(X))
}

fn query() -> Compose {
    Compose::query().ask(TYPE, Rtype::PTR)
}

/// M-19: what another host has just asked counts as asked.
#[test]
fn what_another_host_asks_is_not_asked_again() {
    let mut device = device(1);
    ask(&mut device, TYPE, Rtype::PTR, false);
    device.hear(&query());
    assert!(device.run(990).is_empty());
    assert_eq!(device.run(20).len(), 1, "the next, a second later");
    assert_eq!(device.engine.stats().questions_spared, 1);
    device.run(1600);
    device.hear(&query());
    assert!(device.run(3900).is_empty());
    assert_eq!(device.run(200).len(), 1, "in the last quarter of the interval of 2 s, so 4 s are next");
    device.run(1000);
    device.hear(&query());
    assert_eq!(device.engine.stats().questions_spared, 2, "too early in an interval of 8 s");
    assert_eq!(device.run(7000).len(), 1);
}

/// M-19: but not if it asks for a unicast reply, knows what we do not, is not multicast or not
/// another host's.
#[test]
fn other_queries_spare_nothing() {
    for case in 0..6 {
        let mut device = device(1);
        ask(&mut device, TYPE, Rtype::PTR, false);
        match case {
            0 => device.hear(&Compose::query().ask_unicast(TYPE, Rtype::PTR)),
            1 => device.hear(&query().answer(TYPE, 4500, &Put::Ptr(X))),
            2 => device.hear(&Compose::query().ask(TYPE, Rtype::ANY)),
            3 => device.hear(&Compose::query().ask("_other._tcp.local", Rtype::PTR)),
            4 => device.hear_from("192.0.2.1", &query().bytes()),
            _ => device.receive(
                (PEER.parse::<IpAddr>().unwrap(), PORT).into(),
                "192.0.2.1".parse().unwrap(),
                &query().bytes(),
            ),
        };
        assert_eq!(device.run(200).len(), 1, "{case}");
        assert_eq!(device.engine.stats().questions_spared, 0);
    }
}

/// M-19: known answers that we would list too do not matter.
#[test]
fn a_query_that_knows_no_more_spares_ours() {
    let mut device = device(1);
    device.hear(&pointer());
    ask(&mut device, TYPE, Rtype::PTR, false);
    device.hear(&query().answer(TYPE, 3000, &Put::Ptr(X)));
    assert!(device.run(900).is_empty());
    // Nor does what belongs to another question of it.
    let mut device = super::device(2);
    ask(&mut device, TYPE, Rtype::PTR, false);
    let other = query().ask("_other._tcp.local", Rtype::PTR);
    device.hear(&other.answer("_other._tcp.local", 4500, &Put::Ptr("y._other._tcp.local")));
    assert!(device.run(900).is_empty());
}

/// M-19: of a long list the first part counts, until another part knows more than we do: then ours is asked after all, but
/// not within a second.
#[test]
fn a_long_list_spares_ours_if_all_of_it_is_known() {
    for known in [true, false] {
        let mut device = device(1);
        device.hear(&pointer());
        ask(&mut device, TYPE, Rtype::PTR, false);
        device.hear(&query().answer(TYPE, 3000, &Put::Ptr(X)).truncated());
        assert!(device.run(500).is_empty());
        let more = if known { X } else { "y._http._tcp.local" };
        device.hear(&Compose::query().answer(TYPE, 3000, &Put::Ptr(more)));
        assert!(device.run(499).is_empty());
        assert_eq!(device.run(101).len(), 1);
    }
}

/// RFC 6762 section 7.1: answers that others know must not be taken from their queries. They are asked for soon instead, but
/// nothing is asked twice within a second, nor much oftener than without.
#[test]
fn what_others_know_is_asked_for_soon() {
    let mut device = device(1);
    ask(&mut device, TYPE, Rtype::PTR, false);
    device.run(20_000);
    let hint = query().answer(TYPE, 3000, &Put::Ptr(X));
    device.hear(&hint);
    assert!(!is_known(&device));
    let start = device.now.as_millis();
    let sent = device.run(200);
    assert_eq!(sent.len(), 1);
    assert!((20..=120).contains(&(times(&sent)[0] - start)));
    assert_eq!(device.run(2500).len(), 1, "and once more, if the answer was lost");
    assert!(device.run(25_000).is_empty());
    // An hour of hints, from a host that lies.
    let mut count = 0;
    for _ in 0..3600 {
        count += device.hear(&hint).len();
        count += device.run(1000).len();
    }
    assert!(count < 150, "{count}");
    // What is known, or this device's own, is no news.
    device.hear(&pointer());
    device.engine.set_host_name(device.now, "lamp").unwrap();
    device
        .engine
        .publish(device.now, &Service { instance: "y", kind: "_http._tcp", port: 80, ..Service::default() })
        .unwrap();
    device.run(300_000);
    let all = query().answer(TYPE, 3000, &Put::Ptr(X)).answer(TYPE, 3000, &Put::Ptr("y._http._tcp.local"));
    assert!(device.hear(&all).is_empty());
    assert!(device.run(5000).iter().all(|sent| sent.read().response));
}

/// M-19: another host's query refreshes as well as an own.
#[test]
fn a_refresh_is_spared_too() {
    let mut device = device(1);
    device.hear(&Compose::response().answer("a.local", 120, &Put::Address("192.0.2.7")));
    ask(&mut device, "a.local", Rtype::A, false);
    assert!(device.run(95_999).is_empty());
    // At 80 percent, before ours.
    device.run(1);
    device.hear(&Compose::query().ask("a.local", Rtype::A));
    assert!(device.run(5900).is_empty());
    assert_eq!(device.run(2500).len(), 1, "at 85 percent");
}

fn is_known(device: &Device) -> bool {
    !seen(device, TYPE, Rtype::PTR).is_empty()
}

/// A host that is not the owner of what is known.
fn other_asks(device: &mut Device, query: &Compose) -> Vec<Sent> {
    device.hear_from("192.0.2.98", &query.bytes())
}

/// M-44: two queries within 10 seconds to which a record's owner should have answered, but did not.
#[test]
fn what_nobody_defends_is_gone() {
    let mut device = device(1);
    device.hear(&pointer());
    device.run(5000);
    other_asks(&mut device, &query());
    device.run(3000);
    assert!(is_known(&device));
    other_asks(&mut device, &query());
    device.run(6999);
    assert!(is_known(&device), "the answer may still come, until 10 s after the first");
    let before = device.engine.generation();
    device.run(1);
    assert!(!is_known(&device) && device.engine.generation() != before);
    assert_eq!(device.engine.stats().sent, 0, "others do not reconfirm it (RFC 6762 section 10.5)");
}

/// M-44: an answer settles it; queries that need no answer, or are too far apart, mean nothing.
#[test]
fn what_is_answered_or_need_not_be_stays() {
    for case in 0..7 {
        let mut device = device(1);
        device.hear(&pointer());
        device.run(if case == 0 { 100 } else { 5000 });
        for _ in 0..5 {
            match case {
                // Just multicast: it need not be again.
                0 => other_asks(&mut device, &query()),
                1 => other_asks(&mut device, &query().answer(TYPE, 4000, &Put::Ptr(X))),
                2 => other_asks(&mut device, &Compose::query().ask_unicast(TYPE, Rtype::PTR)),
                3 => other_asks(&mut device, &query().truncated()),
                4 => {
                    device.run(10_100);
                    other_asks(&mut device, &query())
                }
                5 => {
                    other_asks(&mut device, &query());
                    device.run(100);
                    device.hear(&pointer())
                }
                // Two hosts at the same time: one answer does for both.
                _ => {
                    other_asks(&mut device, &query());
                    device.run(20);
                    let sent = device.hear_from("192.0.2.97", &query().bytes());
                    device.run(100);
                    device.hear(&pointer());
                    sent
                }
            };
            device.run(if case == 0 { 150 } else { 1500 });
        }
        assert!(is_known(&device), "{case}");
    }
}

/// M-44: it may be answered late.
#[test]
fn a_late_answer_rescues_a_record() {
    let mut device = device(1);
    device.hear(&pointer());
    device.run(5000);
    other_asks(&mut device, &query());
    device.run(1000);
    other_asks(&mut device, &query());
    device.run(500);
    device.hear(&pointer());
    device.run(60_000);
    assert!(is_known(&device));
}

/// M-44: only the record that the question is for, and only those not in the list of known answers.
#[test]
fn others_are_not_suspected() {
    let mut device = device(1);
    let y = "y._http._tcp.local";
    device.hear(&pointer().answer(TYPE, 4500, &Put::Ptr(y)).answer(X, 120, &Put::Txt(b"\0")));
    device.run(5000);
    for _ in 0..3 {
        other_asks(&mut device, &query().answer(TYPE, 4000, &Put::Ptr(X)));
        device.run(4000);
    }
    assert_eq!(seen(&device, TYPE, Rtype::PTR), [std::format!("PTR {X}")]);
    assert_eq!(seen(&device, X, Rtype::TXT).len(), 1);
}

/// M-44: who asks for what it has itself does not answer, and may not list it. Over the other IP version it cannot be told
/// from others.
#[test]
fn the_owner_s_own_queries_mean_nothing() {
    let mut device = device(1);
    device.connect(&["192.0.2.1/24", "fe80::1/64"]);
    device.hear(&pointer());
    device.run(5000);
    for from in [PEER, PEER, PEER, "fe80::99", "fe80::99", "fe80::98"] {
        device.hear_from(from, &query().bytes());
        device.run(1500);
    }
    assert!(is_known(&device));
    device.hear_from("fe80::99", &pointer().bytes());
    device.run(2000);
    for from in [PEER, "fe80::99", PEER, "fe80::99"] {
        device.hear_from(from, &query().bytes());
        device.run(1500);
    }
    assert!(is_known(&device));
    for _ in 0..2 {
        device.hear_from("fe80::98", &query().bytes());
        device.run(5000);
    }
    assert!(!is_known(&device));
}

/// And so that nobody misses an answer to its own queries, this device lists what it has itself; but only what it shares
/// with others, for about the rest it asks nobody.
#[test]
fn own_records_are_known_answers() {
    let mut device = device(1);
    device.engine.set_host_name(device.now, "lamp").unwrap();
    let service = Service { instance: "x", kind: "_http._tcp", port: 80, ..Service::default() };
    device.engine.publish(device.now, &service).unwrap();
    device.run(5000);
    ask(&mut device, TYPE, Rtype::PTR, true);
    ask(&mut device, "lamp.local", Rtype::A, false);
    ask(&mut device, "lamp.local", Rtype::AAAA, false);
    ask(&mut device, X, Rtype::SRV, true);
    for sent in device.run(10_000) {
        let read = sent.read();
        assert_eq!(read.questions, [(TYPE.into(), Rtype::PTR, false)]);
        assert_eq!(read.answers(), [std::format!("{TYPE} PTR {X}")]);
        assert!(read.records[0].ttl < 4500 / 2, "who has the same name does not take it for a known answer");
    }
    assert_eq!(seen(&device, "lamp.local", Rtype::A), ["A 192.0.2.1"]);
    // What comes back to it is seen once, and listed once.
    let back = pointer().answer("lamp.local", 120, &Put::Address("192.0.2.1"));
    device.hear_from("192.0.2.1", &back.bytes());
    assert_eq!(seen(&device, "lamp.local", Rtype::A), ["A 192.0.2.1"]);
    assert_eq!(seen(&device, TYPE, Rtype::PTR).len(), 1);
    let mut queries: Vec<_> = device.run(20_000).iter().map(Sent::read).collect();
    queries.retain(|read| !read.response && read.questions[0].0 == TYPE);
    assert!(!queries.is_empty() && queries.iter().all(|read| read.answers().len() == 1), "{queries:?}");
}

/// A query with as many questions and answers as fit takes no time to speak of, and changes nothing that it should not.
#[test]
fn long_queries_are_harmless() {
    let mut device = device_of::<2048>(1);
    for i in 0..20 {
        let all = (0..100)
            .fold(Compose::response(), |all, j| all.answer(TYPE, 4500, &Put::Ptr(&std::format!("{i}-{j}.{TYPE}"))));
        device.hear(&all);
    }
    device.run(3000);
    assert_eq!(seen(&device, TYPE, Rtype::PTR).len(), 2000);
    let names: Vec<_> = (0..150).map(|i| std::format!("{}-{i}.{TYPE}", i % 7)).collect();
    let mut long = names.iter().fold(Compose::query(), |all, _| all.ask(TYPE, Rtype::PTR));
    long = names.iter().fold(long, |all, of| all.answer(TYPE, 4500, &Put::Ptr(of)));
    for _ in 0..3 {
        device.receive((PEER.parse::<IpAddr>().unwrap(), PORT).into(), GROUP_V4.into(), &long.bytes());
        device.run(10);
    }
    assert_eq!(seen(&device, TYPE, Rtype::PTR).len(), 2000);
}
