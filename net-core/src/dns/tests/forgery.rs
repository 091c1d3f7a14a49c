//! Replies that are not from the server, or not to the question.

use std::collections::HashSet;
use std::format;
use std::string::String;
use std::vec;

use super::net::{Net, Reply, Seen};
use super::wire::{self, Message};
use super::*;

fn forged(seen: &Seen) -> Message {
    Message::to(seen).a(NAME, 60, 66)
}

fn genuine(seen: &Seen) -> Reply {
    Reply::from(Message::to(seen).a(NAME, 60, 1)).after(100)
}

/// The same letters in the other case.
fn swap_case(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_uppercase() { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }).collect()
}

fn question(name: &str, rtype: u16, class: u16) -> Vec<u8> {
    let mut question = wire::name(name);
    question.extend_from_slice(&rtype.to_be_bytes());
    question.extend_from_slice(&class.to_be_bytes());
    question
}

#[test]
fn what_does_not_match_is_waited_past() {
    type Forge = fn(&Seen) -> Reply;
    let forgeries: [(&str, Forge); 15] = [
        ("wrong id", |seen| Message { id: seen.id ^ 1, ..forged(seen) }.into()),
        ("wrong address", |seen| Reply::from(forged(seen)).spoofed("10.0.0.9:53")),
        ("wrong port", |seen| Reply::from(forged(seen)).spoofed("10.0.0.1:5353")),
        ("no reply", |seen| forged(seen).without_flag(0x8000).into()),
        ("wrong opcode", |seen| forged(seen).flag(0x2000).into()),
        ("wrong name", |seen| {
            Message { questions: vec![question("www.example.net", wire::A, 1)], ..forged(seen) }.into()
        }),
        ("wrong case", |seen| {
            Message { questions: vec![question(&swap_case(&seen.name), wire::A, 1)], ..forged(seen) }.into()
        }),
        ("wrong type", |seen| Message { questions: vec![question(&seen.name, wire::AAAA, 1)], ..forged(seen) }.into()),
        ("wrong class", |seen| Message { questions: vec![question(&seen.name, wire::A, 3)], ..forged(seen) }.into()),
        ("no question", |seen| Message { questions: vec![], ..forged(seen) }.into()),
        ("two questions", |seen| {
            Message { questions: vec![seen.question.clone(), seen.question.clone()], ..forged(seen) }.into()
        }),
        ("the question itself", |seen| Message::to(seen).without_flag(0x8000).into()),
        ("nothing", |_| Reply::bytes(vec![])),
        ("half a header", |seen| Reply::bytes(forged(seen).bytes()[..11].to_vec())),
        ("half a question", |seen| Reply::bytes(forged(seen).bytes()[..20].to_vec())),
    ];
    for (what, forge) in forgeries {
        let (found, net) = once(move |seen| vec![forge(seen), forge(seen), genuine(seen)]);
        assert_eq!(found, ips(&["192.0.2.1"]), "{what}");
        assert_eq!(net.queries(), 1, "{what}");
    }
    let (found, net) =
        once(move |seen| forgeries.iter().map(|(_, forge)| forge(seen)).chain([genuine(seen)]).collect());
    assert_eq!((found, net.queries()), (ips(&["192.0.2.1"]), 1));
}

#[test]
fn forgeries_alone_end_in_a_timeout() {
    let (found, net) = once(|seen| {
        (0..1000).map(|n| Reply::from(Message { id: seen.id.wrapping_add(n + 1), ..forged(seen) }).after(0)).collect()
    });
    assert_eq!(found, Err(DnsError::TimedOut));
    assert_eq!(net.queries(), 3);
}

/// A reply that comes when its attempt is over finds no socket, and would not match if it found one.
#[test]
fn late_replies_are_lost() {
    let net = Net::new(|seen| {
        let first = seen.socket == 1;
        let message = Message::to(seen).a(NAME, 60, if first { 66 } else { 1 });
        vec![Reply::from(message).after(if first { 2100 } else { 500 })]
    });
    assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.each(|seen| seen.at.as_millis()), [0, 2000]);

    // The reply to the first attempt, delivered to the second.
    let mut first_reply = None;
    let (found, _) = once(move |seen| match first_reply.take() {
        None => {
            first_reply = Some(forged(seen).bytes());
            vec![]
        }
        Some(late) => vec![Reply::bytes(late).after(0), genuine(seen)],
    });
    assert_eq!(found, ips(&["192.0.2.1"]));
}

#[test]
fn a_server_that_changes_the_case_is_asked_over_tcp() {
    let net = Net::new(|seen| {
        let question = question(&seen.lower(), seen.rtype, 1);
        vec![Message { questions: vec![question], ..Message::to(seen).a(NAME, 60, 1) }.into()]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.each(|seen| (seen.at.as_millis(), seen.tcp)), [(0, false), (2000, true)]);
    assert_eq!((resolver.stats().ignored, resolver.stats().tcp_queries), (1, 1));
}

/// 1,000 queries: ids and case spread as chance has it, and each from a socket of its own. That the port is left to the
/// stack is asserted by the socket itself.
#[test]
fn queries_cannot_be_predicted() {
    let net = Net::new(|seen| vec![Reply::from(Message::to(seen).a(&seen.name, 0, 1)).after(0)]);
    let resolver = resolver(&net, &["10.0.0.1"]);
    let host = "abcdefghijklmnopqrst.example";
    for _ in 0..1000 {
        assert_eq!(lookup(&resolver, host, Family::V4), ips(&["192.0.2.1"]));
    }
    let ids = net.each(|seen| seen.id);
    let distinct = |values: &mut dyn Iterator<Item = u64>| values.collect::<HashSet<_>>().len();
    // Of 1,000 draws from 65,536 about 992.4 are distinct (standard deviation 2.7).
    assert!(distinct(&mut ids.iter().map(|id| u64::from(*id))) > 975);
    let steps = ids.windows(2).map(|pair| u64::from(pair[1].wrapping_sub(pair[0])));
    assert!(distinct(&mut steps.into_iter()) > 975);
    for bit in 0..16 {
        let ones = ids.iter().filter(|id| *id >> bit & 1 == 1).count();
        assert!((400..600).contains(&ones), "bit {bit} of the id: {ones}");
    }
    assert_eq!(net.each(|seen| u64::from(seen.socket)).into_iter().collect::<HashSet<_>>().len(), 1000);

    let cases = net.each(|seen| seen.name.clone());
    assert_eq!(cases.iter().collect::<HashSet<_>>().len(), 1000, "27 letters: no two alike");
    for at in (0..host.len()).filter(|at| host.as_bytes()[*at] != b'.') {
        let upper = cases.iter().filter(|name| name.as_bytes()[at].is_ascii_uppercase()).count();
        assert!((400..600).contains(&upper), "letter {at}: {upper}");
    }
    // Ids and case are drawn apart: one does not give the other away.
    let same = ids.iter().zip(&cases).filter(|(id, name)| (**id & 1 == 1) == name.as_bytes()[0].is_ascii_lowercase());
    assert!((400..600).contains(&same.count()));
}

#[test]
fn another_seed_makes_other_queries() {
    let ids = |seed| {
        let net = Net::new(|seen| vec![Message::to(seen).a(&seen.name, 0, 1).into()]);
        let resolver: Resolver<Net> = Resolver::new(net.clone(), seed);
        resolver.set_servers(&[ip("10.0.0.1")]);
        for at in 0..20 {
            assert!(lookup(&resolver, &format!("h{at}.example"), Family::V4).is_ok());
        }
        net.each(|seen| seen.id)
    };
    let (one, other) = (ids(1), ids(2));
    let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
    assert!(same <= 1, "{same} of 20");
}
