use domain::base::Rtype;
use domain::base::message::Section;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::super::super::testing::{Compose, Put};
use super::*;

const X: &str = "x._http._tcp.local";

fn pointer(ttl: u32) -> Compose {
    Compose::response().answer(TYPE, ttl, &Put::Ptr(X))
}

fn service() -> Compose {
    Compose::response().answer(X, 120, &Put::Srv(80, "a.local"))
}

/// Names and types that are asked.
fn what(sent: &[Sent]) -> Vec<(String, Rtype)> {
    let mut all: Vec<_> = asked(sent).into_iter().map(|(_, of, rtype)| (of, rtype)).collect();
    all.sort_by_key(|(of, rtype)| (of.clone(), rtype.to_int()));
    all
}

fn browse(device: &mut Device, follow: bool) -> QuestionId {
    let id = ask(device, TYPE, Rtype::PTR, follow);
    // Until the questions for the type itself are rare.
    device.run(300_000);
    id
}

/// What an instance leads to is asked for if it does not come by itself, step by step.
#[test]
fn what_is_found_is_followed() {
    let mut device = device(1);
    browse(&mut device, true);
    device.hear(&pointer(4500));
    let start = device.now.as_millis();
    let sent = device.run(200);
    assert_eq!(what(&sent), [(X.into(), Rtype::TXT), (X.into(), Rtype::SRV)]);
    assert!((20..=120).contains(&(only(&sent), times(&sent)[0] - start).1));
    device.hear(&service());
    let sent = device.run(200);
    assert_eq!(what(&sent), [("a.local".into(), Rtype::A), ("a.local".into(), Rtype::AAAA)]);
    device.hear(&Compose::response().answer(X, 120, &Put::Txt(b"\0")));
    device.hear(&Compose::response().answer("a.local", 120, &Put::Address("192.0.2.7")).put(
        Section::Additional,
        "a.local",
        true,
        120,
        &Put::Nsec(&[Rtype::A]),
    ));
    assert!(device.run(90_000).is_empty(), "all is there");
    // And kept: all are asked for again before they end.
    let sent = device.run(9000);
    assert_eq!(what(&sent), [("a.local".into(), Rtype::A), (X.into(), Rtype::TXT), (X.into(), Rtype::SRV)]);
}

#[test]
fn what_comes_along_is_not_asked_for() {
    let mut device = device(1);
    browse(&mut device, true);
    let all = pointer(4500)
        .put(Section::Additional, "a.local", true, 120, &Put::Address("192.0.2.7"))
        .put(Section::Additional, "a.local", true, 120, &Put::Address("fe80::7"))
        .put(Section::Additional, X, true, 120, &Put::Txt(b"\0"))
        .put(Section::Additional, X, true, 120, &Put::Srv(80, "a.local"));
    device.hear(&all);
    assert!(device.run(90_000).is_empty());
}

#[test]
fn without_following_only_the_answers_are_kept() {
    let mut device = device(1);
    browse(&mut device, false);
    device.hear(&pointer(4500));
    device.hear(&service());
    assert!(device.run(130_000).is_empty());
    assert!(seen(&device, X, Rtype::SRV).is_empty() && seen(&device, TYPE, Rtype::PTR).len() == 1);
}

/// An owner that never answers is asked more and more rarely (M-43).
#[test]
fn queries_for_what_is_missing_become_rare() {
    let mut device = device(1);
    browse(&mut device, true);
    device.hear(&pointer(4500));
    let sent: Vec<_> = device.run(200_000).into_iter().filter(|sent| sent.read().questions[0].0 == X).collect();
    let gaps: Vec<_> = times(&sent).windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps.len(), 7, "{gaps:?}");
    for (i, gap) in gaps.iter().enumerate() {
        assert!((1000 << i..(1000 << i) + 500).contains(gap), "{gaps:?}");
    }
}

/// A host without IPv6 that does not say so is asked three times.
#[test]
fn addresses_of_the_other_version_are_asked_for_a_few_times() {
    let mut device = device(1);
    browse(&mut device, true);
    device.hear(&pointer(4500));
    device.hear(&service());
    device.hear(&Compose::response().answer("a.local", 120, &Put::Address("192.0.2.7")));
    device.hear(&Compose::response().answer(X, 120, &Put::Txt(b"\0")));
    let sent = device.run(90_000);
    assert_eq!(what(&sent), vec![("a.local".into(), Rtype::AAAA); 3]);
}

/// When nobody browses any more, nothing is asked.
#[test]
fn nothing_is_followed_for_nobody() {
    let mut device = device(1);
    let id = browse(&mut device, true);
    device.hear(&pointer(4500));
    device.run(200);
    device.engine.forget(id);
    assert!(device.run(5_000_000).is_empty());
    assert_eq!(device.engine.poll_timeout(), None);
}

/// Who begins to browse finds the leads that are known already, and follows them.
#[test]
fn what_is_known_already_is_followed_too() {
    let mut device = device(1);
    device.hear(&pointer(4500));
    device.hear(&service());
    ask(&mut device, TYPE, Rtype::PTR, true);
    let sent = device.run(200);
    let all = what(&sent);
    for missing in [(X.into(), Rtype::TXT), ("a.local".into(), Rtype::A), ("a.local".into(), Rtype::AAAA)] {
        assert!(all.contains(&missing), "{all:?}");
    }
    assert!(!all.contains(&(X.into(), Rtype::SRV)));
}

/// A lookup of one instance follows its SRV record.
#[test]
fn a_service_is_followed_to_its_host() {
    let mut device = device(1);
    ask(&mut device, X, Rtype::SRV, true);
    device.run(200);
    device.hear(&service());
    assert_eq!(what(&device.run(200)), [("a.local".into(), Rtype::A), ("a.local".into(), Rtype::AAAA)]);
}

/// The same is asked once, however many leads and users want it.
#[test]
fn one_question_for_all_who_want_it() {
    let mut device = device(1);
    ask(&mut device, TYPE, Rtype::PTR, true);
    ask(&mut device, "_sub._sub._http._tcp.local", Rtype::PTR, true);
    device.run(300_000);
    device.hear(&pointer(4500).answer("_sub._sub._http._tcp.local", 4500, &Put::Ptr(X)));
    ask(&mut device, X, Rtype::SRV, false);
    let sent = device.run(20_000);
    for sent in &sent {
        let mut questions = sent.read().questions;
        let count = questions.len();
        questions.sort_by_key(|(of, rtype, _)| (of.clone(), rtype.to_int()));
        questions.dedup();
        assert_eq!(questions.len(), count);
    }
    let srv = what(&sent).iter().filter(|(of, rtype)| of == X && *rtype == Rtype::SRV).count();
    assert!((5..=8).contains(&srv), "{srv}");
}

/// A pointer to a name that is not for multicast DNS is not followed, and pointers in a circle lead nowhere.
#[test]
fn strange_leads_do_no_harm() {
    let mut device = device(1);
    browse(&mut device, true);
    device.hear(&Compose::response().answer(TYPE, 4500, &Put::Ptr("www.example.com")));
    assert!(device.run(10_000).is_empty());
    device.hear(&Compose::response().answer(TYPE, 4500, &Put::Ptr(TYPE)));
    device.hear(&Compose::response().answer(TYPE, 4500, &Put::Srv(80, TYPE)));
    let sent = device.run(60_000);
    assert!(sent.len() < 20, "{}", sent.len());
}

/// Many instances at once: what is missing of all goes into few messages, and comes to an end.
#[test]
fn many_instances_are_followed_together() {
    let mut device = device_of::<256>(1);
    browse(&mut device, true);
    let names: Vec<_> = (0..40).map(|i| format!("x{i}.{TYPE}")).collect();
    device.hear(&names.iter().fold(Compose::response(), |all, of| all.answer(TYPE, 4500, &Put::Ptr(of))));
    let sent = device.run(300);
    assert!(sent.len() <= 4, "{}", sent.len());
    assert_eq!(asked(&sent).len(), 80);
    for of in &names {
        let answer = Compose::response().answer(of, 120, &Put::Srv(80, "a.local")).answer(of, 120, &Put::Txt(b"\0"));
        device.hear(&answer);
    }
    device.hear(&Compose::response().answer("a.local", 120, &Put::Address("192.0.2.7")).answer(
        "a.local",
        120,
        &Put::Address("fe80::7"),
    ));
    assert!(device.run(90_000).is_empty());
}

/// Where not even both questions of one instance fit into a message, it still comes to an end.
#[test]
fn small_messages_do_not_repeat_without_end() {
    let mut device = device(1);
    device.buffer = 12 + 26;
    browse(&mut device, true);
    device.hear(&pointer(4500));
    let sent = device.run(10_000);
    assert_eq!(what(&sent), vec![(X.into(), Rtype::SRV); 4]);
    device.hear(&service());
    assert!(what(&device.run(2_000_000)).contains(&(X.into(), Rtype::TXT)));
}

/// After sleep a chain is asked for from its beginning, and survives if it is answered.
#[test]
fn a_chain_in_doubt_is_asked_for_step_by_step() {
    let mut device = device(1);
    browse(&mut device, true);
    let (txt, a) = (Put::Txt(b"\0"), Put::Address("192.0.2.7"));
    let host = || Compose::response().answer("a.local", 120, &a).answer("a.local", 120, &Put::Address("fe80::7"));
    device.hear(&pointer(4500));
    device.hear(&service().answer(X, 120, &txt));
    device.hear(&host());
    device.engine.restart(device.now);
    assert_eq!(what(&device.run(200)), [(TYPE.into(), Rtype::PTR)]);
    device.hear(&pointer(4500));
    assert_eq!(what(&device.run(200)), [(X.into(), Rtype::TXT), (X.into(), Rtype::SRV)]);
    device.hear(&service().answer(X, 120, &txt));
    assert_eq!(what(&device.run(200)), [("a.local".into(), Rtype::A), ("a.local".into(), Rtype::AAAA)]);
    device.hear(&host());
    device.run(20_000);
    for (of, rtype) in [(TYPE, Rtype::PTR), (X, Rtype::SRV), (X, Rtype::TXT), ("a.local", Rtype::A)] {
        assert_eq!(seen(&device, of, rtype).len(), 1, "{of}");
    }
}
