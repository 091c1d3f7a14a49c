//! When it is answered, and to whom.

use std::vec::Vec;

use domain::base::Rtype;
use net_core::time::Duration;

use super::{START, WEB, assert_uniform, esp32_with_web};
use crate::mdns::testing::{Compose, Device, PEER, Put, Sent};
use crate::mdns::{Destination, PORT, Service};

const TYPE: &str = "_http._tcp.local";
const POINTER: &str = "_http._tcp.local PTR Web._http._tcp.local";

fn browse() -> Compose {
    Compose::query().ask(TYPE, Rtype::PTR)
}

/// The milliseconds from a query to the reply, in each of many devices; each has been silent for long.
fn delays(query: &Compose) -> Vec<u64> {
    let delay = |seed| {
        let mut device = esp32_with_web(seed);
        let begun = device.now;
        let mut sent = device.hear(query);
        sent.extend(device.run(1000));
        assert_eq!(sent.len(), 1);
        (sent[0].at - begun).as_millis()
    };
    (0..2000).map(delay).collect()
}

/// M-15: what this device alone can answer is answered at once.
#[test]
fn unique_records_are_answered_at_once() {
    let mut device = esp32_with_web(1);
    for (name, rtype) in
        [("esp32.local", Rtype::A), ("Web._http._tcp.local", Rtype::ANY), ("esp32.local", Rtype::HTTPS)]
    {
        assert_eq!(device.hear(&Compose::query().ask(name, rtype)).len(), 1, "{name} {rtype}");
        device.run(2000);
    }
}

/// M-15: what others may answer too waits for 20 to 120 ms, every time being as likely.
#[test]
fn shared_records_wait_at_random() {
    assert_uniform(&delays(&browse()), 20, 120);
}

/// M-15, M-24: so do the answers to several questions (RFC 6762 section 6.3).
#[test]
fn answers_to_several_questions_wait_at_random() {
    let query = Compose::query().ask("esp32.local", Rtype::A).ask("other.local", Rtype::A);
    assert_uniform(&delays(&query), 20, 120);
}

/// M-16: more known answers are waited for, 400 to 500 ms, every time being as likely; also before a unique answer.
#[test]
fn truncated_queries_are_answered_later() {
    assert_uniform(&delays(&browse().truncated()), 400, 500);
    assert_uniform(&delays(&Compose::query().ask("esp32.local", Rtype::A).truncated()), 400, 500);
}

/// M-18: known answers may come in later messages of the same host, each of which may announce more.
#[test]
fn known_answers_are_collected() {
    let known = Compose::query().answer(TYPE, 4500, &Put::Ptr("Web._http._tcp.local"));
    let other = Compose::query().answer(TYPE, 4500, &Put::Ptr("Other._http._tcp.local"));
    for seed in 0..200 {
        let mut device = esp32_with_web(seed);
        device.hear(&browse().truncated());
        device.run(100);
        device.hear(&known);
        assert!(device.run(1000).is_empty(), "it is known");

        // Those of another host do not count.
        device.hear(&browse().truncated());
        device.run(100);
        device.hear_from("192.0.2.98", &known.bytes());
        assert_eq!(device.run(1000).len(), 1);

        // Another one with TC begins the wait anew.
        device.hear(&browse().truncated());
        for _ in 0..3 {
            assert!(device.run(350).is_empty());
            device.hear(&other.clone().truncated());
        }
        let begun = device.now;
        device.run(300);
        device.hear(&other);
        let sent = device.run(1000);
        assert_eq!(sent.len(), 1);
        assert!((400..=500).contains(&(sent[0].at - begun).as_millis()));
    }
}

/// M-18: what one querier knows does not silence the answer to another; that goes to both.
#[test]
fn known_answers_count_for_their_querier_alone() {
    let mut device = esp32_with_web(1);
    device.hear(&browse().truncated());
    device.hear_from("192.0.2.98", &browse().bytes());
    device.hear(&Compose::query().answer(TYPE, 4500, &Put::Ptr("Web._http._tcp.local")));
    let begun = device.now;
    let sent = device.run(2000);
    assert_eq!(sent.len(), 1);
    assert!((20..=120).contains(&(sent[0].at - begun).as_millis()), "the second one did not ask to wait");
}

/// M-19: another host multicasts the answer before this one does, with no smaller TTL (RFC 6762 section 7.4).
#[test]
fn what_another_host_answers_is_not_answered_again() {
    let told = |ttl| Compose::response().answer(TYPE, ttl, &Put::Ptr("web._http._tcp.local"));
    for (told, answered) in [
        (told(4500), false),
        (told(4499), true),
        (Compose::response().answer(TYPE, 4500, &Put::Ptr("Other._http._tcp.local")), true),
    ] {
        let mut device = esp32_with_web(1);
        device.hear(&browse());
        device.run(10);
        device.hear(&told);
        assert_eq!(device.run(1000).len(), usize::from(answered));
    }
    // A unicast was heard by nobody else.
    let mut device = esp32_with_web(1);
    device.hear(&browse());
    let from = (PEER.parse::<std::net::IpAddr>().unwrap(), PORT).into();
    device.receive(from, "192.0.2.1".parse().unwrap(), &told(4500).bytes());
    assert_eq!(device.run(1000).len(), 1);
    // What is not known to be wanted by anybody is announced whatever others say.
    let mut device = super::esp32(1);
    device.engine.publish(device.now, &WEB).unwrap();
    let types = Compose::response().answer("_services._dns-sd._udp.local", 4500, &Put::Ptr(TYPE));
    device.hear(&types);
    let announced: Vec<_> = device.run(5000).iter().flat_map(|sent| sent.read().answers()).collect();
    assert_eq!(announced.iter().filter(|text| text.starts_with("_services")).count(), 3);
}

/// M-20: a record is multicast once in a second at the most; who asks in between gets it when that is over.
#[test]
fn a_record_is_multicast_once_in_a_second() {
    let mut device = esp32_with_web(1);
    let query = Compose::query().ask("esp32.local", Rtype::A).bytes();
    let mut sent: Vec<Sent> = Vec::new();
    let end = device.now + Duration::from_secs(10);
    let mut host = 2u8;
    while device.now < end {
        host = host.wrapping_add(1);
        sent.extend(device.hear_from(&std::format!("192.0.2.{host}"), &query));
        sent.extend(device.run(37));
    }
    let times: Vec<_> = sent.iter().map(|sent| sent.at).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == Duration::from_secs(1)), "{times:?}");
    assert_eq!(times.len(), 11);
    assert!(sent[1..].iter().all(|sent| sent.read().answers() == ["esp32.local A 192.0.2.1"]));
    // Once it was told in the additional section, that counts too.
    device.run(3000);
    device.hear(&Compose::query().ask("esp32.local", Rtype::AAAA));
    let begun = device.now;
    assert!(device.hear(&Compose::query().ask("esp32.local", Rtype::A)).is_empty());
    assert_eq!(device.run(3000)[0].at - begun, Duration::from_secs(1));
}

/// M-20: but a name is defended after 250 ms.
#[test]
fn defence_may_be_repeated_sooner() {
    let mut device = esp32_with_web(1);
    let probe = Compose::query().ask("esp32.local", Rtype::ANY).propose("esp32.local", &Put::Address("192.0.2.50"));
    let begun = device.now;
    let mut times = Vec::new();
    for _ in 0..4 {
        times.extend(device.hear(&probe).iter().map(|sent| (sent.at - begun).as_millis()));
        times.extend(device.run(100).iter().map(|sent| (sent.at - begun).as_millis()));
    }
    assert_eq!(times, [0, 250]);
}

/// M-21: a question that allows it is answered by unicast, if the record was multicast within a quarter of its TTL.
#[test]
fn questions_for_unicast_are_answered_by_unicast() {
    let mut device = esp32_with_web(1);
    let query = Compose::query().ask_unicast("esp32.local", Rtype::A);
    let peer = Destination::Unicast((PEER.parse::<std::net::IpAddr>().unwrap(), PORT).into());
    let sent = device.hear(&query);
    assert_eq!(sent[0].to, peer);
    let read = sent[0].read();
    assert_eq!((read.answers().len(), read.additional().len(), read.questions.len(), read.id), (1, 1, 0, 0));
    assert!(read.records[0].flush && read.records[0].ttl == 120);
    // Unicasts are not limited, and do not keep a multicast from being sent.
    assert_eq!(device.hear(&query)[0].to, peer);
    assert!(device.hear(&Compose::query().ask("esp32.local", Rtype::A))[0].is_multicast());
    device.run(29_999);
    assert_eq!(device.hear(&query)[0].to, peer);
    device.run(1);
    assert!(device.hear(&query)[0].is_multicast(), "30 s after the last multicast");
    assert_eq!(device.hear(&query)[0].to, peer);
    // A shared record waits, and has a longer TTL.
    let begun = device.now;
    assert!(device.hear(&Compose::query().ask_unicast(TYPE, Rtype::PTR)).is_empty());
    let sent = device.run(1000);
    assert_eq!(sent[0].to, peer);
    assert!((20..=120).contains(&(sent[0].at - begun).as_millis()));
}

/// M-21: each question of a query as it wants it.
#[test]
fn one_query_may_want_both() {
    let mut device = esp32_with_web(1);
    let query = Compose::query().ask_unicast("esp32.local", Rtype::A).ask("Web._http._tcp.local", Rtype::SRV);
    device.hear(&query);
    let sent = device.run(1000);
    assert_eq!(sent.len(), 2);
    let (all, one): (Vec<_>, Vec<_>) = sent.iter().partition(|sent| sent.is_multicast());
    assert_eq!(one[0].read().answers(), ["esp32.local A 192.0.2.1"]);
    assert_eq!(all[0].read().answers(), ["Web._http._tcp.local SRV 0 0 80 esp32.local"]);
}

/// M-21, M-22: unicasts go to this link only. What came by multicast from elsewhere, as where subnets overlap, is answered
/// by multicast.
#[test]
fn no_unicast_leaves_the_link() {
    let mut device = esp32_with_web(1);
    let query = Compose::query().ask_unicast("esp32.local", Rtype::A).bytes();
    assert!(device.hear_from("198.51.100.1", &query)[0].is_multicast());
}

/// M-22: a query that came by unicast is answered by unicast if it is from this link, and else ignored.
#[test]
fn direct_queries_are_answered_directly() {
    let mut device = esp32_with_web(1);
    let query = Compose::query().ask("esp32.local", Rtype::A).bytes();
    let peer = (PEER.parse::<std::net::IpAddr>().unwrap(), PORT).into();
    let sent = device.receive(peer, "192.0.2.1".parse().unwrap(), &query);
    assert_eq!((sent.len(), sent[0].to), (1, Destination::Unicast(peer)));
    let far = ("198.51.100.1".parse::<std::net::IpAddr>().unwrap(), PORT).into();
    assert!(device.receive(far, "192.0.2.1".parse().unwrap(), &query).is_empty());
    let local = std::net::SocketAddrV6::new("fe80::9".parse().unwrap(), PORT, 0, 7).into();
    let sent = device.receive(local, "fe80::1".parse().unwrap(), &query);
    assert_eq!(sent[0].to, Destination::Unicast(local), "with its interface");
}

/// A probe for a name of ours is answered at once, by unicast since it asks for that, although it has several questions.
#[test]
fn names_are_defended_at_once() {
    let mut device = esp32_with_web(1);
    let probe = Compose::query()
        .ask_unicast("esp32.local", Rtype::ANY)
        .ask_unicast("Web._http._tcp.local", Rtype::ANY)
        .propose("esp32.local", &Put::Address("192.0.2.50"))
        .propose("Web._http._tcp.local", &Put::Srv(1, "x.local"));
    let sent = device.hear(&probe);
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].is_multicast());
    assert_eq!(sent[0].read().answers().len(), 4);
}

/// When more replies wait than can be kept apart, all are still answered.
#[test]
fn a_crowd_is_answered() {
    let mut device = esp32_with_web(1);
    let query = browse().truncated().bytes();
    for host in 10..60 {
        device.hear_from(&std::format!("192.0.2.{host}"), &query);
    }
    let sent = device.run(1000);
    assert!(!sent.is_empty() && sent.len() <= 2);
    assert_eq!(sent[0].read().answers(), [POINTER]);
    let unicast = Compose::query().ask_unicast(TYPE, Rtype::PTR).bytes();
    for host in 10..60 {
        device.hear_from(&std::format!("192.0.2.{host}"), &unicast);
    }
    let sent = device.run(2000);
    let alone = sent.iter().filter(|sent| !sent.is_multicast()).count();
    assert_eq!((alone, sent.len()), (5, 6), "the others are told together");
}

/// M-24: replies to several queries that are due together are one message.
#[test]
fn what_is_due_together_is_sent_together() {
    let mut device = esp32_with_web(1);
    device.engine.publish(device.now, &Service { kind: "_ipp._tcp", ..WEB }).unwrap();
    device.run(5000);
    // All have just been multicast: they wait for the same moment.
    device.hear(&Compose::query().ask("esp32.local", Rtype::A));
    device.hear(&Compose::query().ask("Web._http._tcp.local", Rtype::ANY));
    device.hear(&Compose::query().ask("Web._ipp._tcp.local", Rtype::ANY));
    for name in ["esp32.local", "Web._http._tcp.local", "Web._ipp._tcp.local"] {
        assert!(device.hear(&Compose::query().ask(name, Rtype::ANY)).is_empty());
    }
    let sent = device.run(2000);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].read().answers().len(), 6);
}

/// The clock of records repeats after 49 days, which nobody notices.
#[test]
fn nothing_happens_after_49_days() {
    let mut device = Device::new(1);
    device.now = crate::mdns::testing::at((1 << 32) - 1400);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.engine.publish(device.now, &WEB).unwrap();
    device.connect(&["192.0.2.1/24"]);
    let sent = device.run(5000);
    let start = sent[0].at;
    let times: Vec<_> = sent.iter().map(|sent| (sent.at - start).as_millis()).collect();
    assert_eq!(times, START);
    assert_eq!(device.hear(&Compose::query().ask("esp32.local", Rtype::A)).len(), 1);
    device.now += Duration::from_millis((1 << 32) - 500);
    assert!(device.hear(&Compose::query().ask("esp32.local", Rtype::A)).len() == 1);
}
