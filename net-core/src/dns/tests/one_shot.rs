//! Names below `.local` and link-local addresses, asked of the link by multicast (RFC 6762 sections 5.1 and 6.7).

use std::string::String;
use std::vec;

use embassy_time::{Duration, Instant, Timer};

use super::link::{Answer, Query, network};
use super::wire::{self, Message, name, record};
use super::*;
use crate::Error;
use crate::dns::Config;

const HOST: &str = "Printer.local";
const V4: &[&str] = &["10.0.0.2/24"];
const BOTH: &[&str] = &["10.0.0.2/24", "fe80::2/64"];

const NSEC: u16 = 47;

/// A resolver that has heard of no server.
fn alone(net: &Net) -> Resolver<'static, Net> {
    Resolver::new(net.clone(), 0x5eed)
}

/// The result of a lookup, and how many milliseconds it took.
fn timed(resolver: &Resolver<'_, Net>, host: &str, family: Family) -> (Result<Vec<IpAddr>, DnsError>, u64) {
    let before = now();
    (lookup(resolver, host, family), now() - before)
}

fn now() -> u64 {
    virtual_time::block_on(async { Instant::now().as_millis() })
}

fn wait(millis: u64) {
    virtual_time::block_on(Timer::after(Duration::from_millis(millis)));
}

fn reverse(resolver: &Resolver<'_, Net>, address: &str) -> Result<String, DnsError> {
    let mut buffer = [0; 253];
    virtual_time::block_on(resolver.reverse(ip(address), &mut buffer)).map(String::from)
}

/// A denial of all types but these.
fn nsec(owner: &str, types: &[u16]) -> Vec<u8> {
    let mut bits = [0; 4];
    for &rtype in types {
        bits[usize::from(rtype / 8)] |= 0x80 >> (rtype % 8);
    }
    let mut data = name(owner);
    data.extend([0, 4]);
    data.extend(bits);
    record(&name(owner), NSEC, 1, 120, &data)
}

fn address(query: &Query) -> Message {
    match query.rtype {
        wire::A => query.reply().a(&query.name, 10, 1),
        wire::AAAA => query.reply().aaaa(&query.name, 10, 9),
        other => panic!("{other}"),
    }
}

#[test]
fn the_link_is_asked_over_each_ip_version_it_has() {
    let net = network(BOTH, |query| vec![address(query).into()]);
    let resolver = alone(&net);
    assert_eq!(lookup(&resolver, HOST, Family::Both), ips(&["192.0.2.1", "2001:db8::9"]));
    let groups = ["224.0.0.251:5353", "[ff02::fb]:5353"].map(|group| group.parse().unwrap());
    let asked = net.link.each(|query| (query.name.clone(), query.rtype, query.to));
    let expected = [(wire::A, 0), (wire::A, 1), (wire::AAAA, 0), (wire::AAAA, 1)];
    assert_eq!(asked, expected.map(|(rtype, group)| (HOST.into(), rtype, groups[group])));
    assert_eq!(resolver.stats().mdns_queries, 4);
    assert_eq!(resolver.stats().udp_queries, 0);
    assert_eq!(net.open.get(), 0);
    for (addresses, group) in [(V4, groups[0]), (&["fd00::2/64"][..], groups[1])] {
        let net = network(addresses, |query| vec![address(query).into()]);
        assert_eq!(lookup(&alone(&net), HOST, Family::V4), ips(&["192.0.2.1"]));
        assert_eq!(net.link.each(|query| query.to), [group]);
    }
}

#[test]
fn each_lookup_has_an_id_of_its_own() {
    let net = network(V4, |_| vec![]);
    let resolver = alone(&net);
    for _ in 0..20 {
        let _ = lookup(&resolver, HOST, Family::V4);
    }
    let mut ids = net.link.each(|query| query.id);
    assert_eq!(ids.len(), 60);
    assert!(ids.chunks(3).all(|same| same == [same[0]; 3]), "repetitions are the same question");
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() >= 19, "{ids:x?}");
}

#[test]
fn a_query_is_repeated_and_nobody_is_waited_for_longer_than_configured() {
    let net = network(V4, |_| vec![]);
    let resolver = alone(&net);
    let start = now();
    assert_eq!(timed(&resolver, HOST, Family::V4), (Err(DnsError::NotFound), 5000));
    assert_eq!(net.link.each(|query| query.at.as_millis() - start), [0, 1000, 3000]);
    assert_eq!(resolver.stats().timeouts, 1);
    // That is not remembered: the device may be starting.
    assert_eq!(timed(&resolver, HOST, Family::V4), (Err(DnsError::NotFound), 5000));
    let config = Config { mdns_timeout: Duration::from_millis(1500), ..Config::DEFAULT };
    let resolver: Resolver<Net> = Resolver::with_config(net.clone(), 1, config);
    assert_eq!(timed(&resolver, HOST, Family::Both), (Err(DnsError::NotFound), 1500));
    let config = Config { deadline: Duration::from_millis(700), mdns_timeout: Duration::MAX, ..Config::DEFAULT };
    let resolver: Resolver<Net> = Resolver::with_config(net.clone(), 1, config);
    assert_eq!(timed(&resolver, HOST, Family::Both), (Err(DnsError::NotFound), 700));
}

#[test]
fn a_lost_query_or_answer_costs_a_second() {
    let mut heard = 0;
    let net = network(V4, move |query| {
        heard += 1;
        if heard < 2 { vec![] } else { vec![address(query).into()] }
    });
    assert_eq!(timed(&alone(&net), HOST, Family::V4), (ips(&["192.0.2.1"]), 1010));
}

#[test]
fn an_interface_without_address_or_link_fails_at_once() {
    let unreachable = (Err(DnsError::Network(Error::Unreachable)), 0);
    let net = network(&[], |_| vec![]);
    assert_eq!(timed(&alone(&net), HOST, Family::V4), unreachable);
    let net = network(V4, |_| vec![]);
    net.status.borrow_mut().link_up = false;
    assert_eq!(timed(&alone(&net), HOST, Family::Both), unreachable);
    net.udp_error.set(Some(Error::NoFreeSocket));
    assert_eq!(timed(&alone(&net), HOST, Family::V4), (Err(DnsError::Network(Error::NoFreeSocket)), 0));
}

/// A link that goes away between queries is no end: the answer to the first may be under way.
#[test]
fn a_repetition_may_fail() {
    let net = network(V4, |query| vec![Answer::from(address(query)).after(1500)]);
    let resolver = alone(&net);
    let found = virtual_time::block_on(async {
        let unplug = async {
            Timer::after(Duration::from_millis(500)).await;
            net.status.borrow_mut().link_up = false;
        };
        embassy_futures::join::join(resolver.lookup(HOST, Family::V4), unplug).await.0
    });
    assert_eq!(found.map(|addresses| addresses.to_vec()), ips(&["192.0.2.1"]));
    assert_eq!(net.link.count(), 1);
}

/// M-32, M-33, and what else tells an answer from anything else.
#[test]
fn only_answers_from_the_link_to_this_question_count() {
    type Forge = fn(&Query) -> Answer;
    let good = |query: &Query| Answer::from(address(query)).after(100);
    let bad: &[Forge] = &[
        |query| Answer::from(address(query)).sent_by("10.0.0.7:5354"),
        |query| Answer::from(address(query)).sent_by("10.0.1.7:5353"),
        |query| Answer::from(address(query)).sent_by("[2001:db8::7]:5353"),
        |query| {
            let mut message = address(query);
            message.id ^= 1;
            message.into()
        },
        |query| address(query).without_flag(0x8000).into(),
        |query| address(query).flag(0x0800).into(),
        |query| address(query).rcode(3).into(),
        |query| query.reply().a("Printer2.local", 10, 66).into(),
        |query| query.reply().answer(record(&name(HOST), wire::A, 3, 10, &[192, 0, 2, 66])).into(),
        |query| query.reply().authority(record(&name(HOST), wire::A, 1, 10, &[192, 0, 2, 66])).into(),
        |query| query.reply().answer(record(&name(HOST), wire::A, 1, 10, &[192, 0, 2])).into(),
        |query| query.reply().cname(HOST, 10, "other.local").into(),
        |query| query.reply().answer(nsec("other.local", &[])).into(),
        |query| query.reply().answer(record(&name(HOST), NSEC, 1, 10, &[0, 0, 40, 1])).into(),
        |query| query.reply().into(),
        |_| Answer::bytes(vec![0; 4]),
    ];
    for (at, forge) in bad.iter().enumerate() {
        let net = network(V4, move |query| vec![forge(query), good(query)]);
        let resolver = alone(&net);
        assert_eq!(timed(&resolver, HOST, Family::V4), (ips(&["192.0.2.1"]), 100), "{at}");
        assert_eq!(resolver.stats().ignored, 1, "{at}");
    }
    // These are on the link as well.
    for from in ["[fe80::7]:5353", "169.254.3.4:5353", "[::ffff:10.0.0.7]:5353"] {
        let net = network(V4, move |query| vec![Answer::from(address(query)).sent_by(from)]);
        assert_eq!(lookup(&alone(&net), HOST, Family::V4), ips(&["192.0.2.1"]), "{from}");
    }
}

#[test]
fn responders_that_are_not_quite_right_are_understood() {
    type Odd = fn(&Query) -> Message;
    let odd: &[Odd] = &[
        // Case as in the responder's own record; the cache-flush bit; flags.
        |query| query.reply().answer(record(&name("PRINTER.LOCAL"), wire::A, 0x8001, 120, &[192, 0, 2, 1])),
        |query| query.reply().a(HOST, 10, 1).flag(0x0380),
        // No question, or the one with a bit set.
        |query| {
            let mut message = query.reply().a(HOST, 10, 1);
            message.questions.clear();
            message
        },
        // Only among the additional records, behind one nobody knows and one that is broken.
        |query| {
            let unknown = record(&name(HOST), 65399, 1, 10, &[1, 2, 3]);
            let broken = record(&name(HOST), wire::A, 1, 10, &[192]);
            let right = record(&name(HOST), wire::A, 1, 10, &[192, 0, 2, 1]);
            query.reply().answer(unknown).answer(broken).additional(right)
        },
        // What follows makes no sense.
        |query| query.reply().a(HOST, 10, 1).additional(vec![0xc0]),
    ];
    for (at, odd) in odd.iter().enumerate() {
        let net = network(V4, move |query| vec![odd(query).into()]);
        assert_eq!(timed(&alone(&net), HOST, Family::V4), (ips(&["192.0.2.1"]), 10), "{at}");
    }
}

#[test]
fn no_cut_or_changed_answer_does_harm() {
    let whole = std::rc::Rc::new(core::cell::RefCell::new(Vec::new()));
    let at = std::rc::Rc::new(core::cell::Cell::new(0));
    let (bytes, place) = (whole.clone(), at.clone());
    let net = network(V4, move |query| {
        let message = query.reply().a(HOST, 0, 1).additional(nsec(HOST, &[wire::A])).ptr(HOST, 0, HOST);
        *bytes.borrow_mut() = message.bytes();
        let mut cut = message.bytes();
        cut.truncate(place.get());
        let mut changed = message.bytes();
        if let Some(byte) = changed.get_mut(place.get()) {
            *byte = if *byte == 0xc0 { 0xff } else { 0xc0 };
        }
        vec![Answer::bytes(cut), Answer::bytes(changed).after(20)]
    });
    let config = Config { mdns_timeout: Duration::from_millis(50), ..Config::DEFAULT };
    let resolver: Resolver<Net> = Resolver::with_config(net.clone(), 1, config);
    loop {
        let found = lookup(&resolver, HOST, Family::V4);
        assert!(found.as_ref().map_or_else(|e| *e == DnsError::NotFound, |all| all.len() == 1), "{found:?}");
        at.set(at.get() + 1);
        if at.get() > whole.borrow().len() {
            break;
        }
    }
    assert_eq!(net.open.get(), 0);
}

#[test]
fn a_flood_of_forgeries_does_not_hold_the_lookup() {
    let net = network(V4, |query| (0..3000).map(|i| Answer::from(query.reply()).after(i / 100)).collect());
    let resolver = alone(&net);
    assert_eq!(timed(&resolver, HOST, Family::V4), (Err(DnsError::NotFound), 5000));
    assert_eq!(resolver.stats().ignored, 9000);
}

/// M-28, from the other side.
#[test]
fn the_owner_says_that_there_is_no_such_record() {
    let net = network(V4, |query| {
        vec![if query.rtype == wire::A {
            address(query).additional(nsec(HOST, &[wire::A])).into()
        } else {
            query.reply().answer(nsec(HOST, &[wire::A])).into()
        }]
    });
    let resolver = alone(&net);
    assert_eq!(timed(&resolver, HOST, Family::V6), (Err(DnsError::NoData), 10));
    assert_eq!(timed(&resolver, HOST, Family::Both), (ips(&["192.0.2.1"]), 10));
    assert_eq!(timed(&resolver, HOST, Family::Either), (ips(&["192.0.2.1"]), 0), "both are known now");
    let net = network(V4, |query| vec![query.reply().answer(nsec(HOST, &[])).into()]);
    assert_eq!(timed(&alone(&net), HOST, Family::Both), (Err(DnsError::NoData), 10));
}

#[test]
fn one_version_is_not_held_up_by_the_other() {
    let only = |rtype: u16| {
        let script = move |query: &Query| if query.rtype == rtype { vec![address(query).into()] } else { vec![] };
        network(BOTH, script)
    };
    assert_eq!(timed(&alone(&only(wire::A)), HOST, Family::Both), (ips(&["192.0.2.1"]), 510));
    assert_eq!(timed(&alone(&only(wire::AAAA)), HOST, Family::Both), (ips(&["2001:db8::9"]), 510));
    assert_eq!(timed(&alone(&only(wire::A)), HOST, Family::Either), (ips(&["192.0.2.1"]), 10));
    assert_eq!(timed(&alone(&only(wire::AAAA)), HOST, Family::Either), (ips(&["2001:db8::9"]), 510));
    let six = only(wire::AAAA);
    *six.status.borrow_mut() = network(&["fe80::2/64"], |_| vec![]).status.borrow().clone();
    assert_eq!(timed(&alone(&six), HOST, Family::Either), (ips(&["2001:db8::9"]), 10), "preferred where IPv4 is not");
}

#[test]
fn both_versions_may_come_in_one_answer() {
    let net = network(V4, |query| {
        let six = address(&Query { rtype: wire::AAAA, ..query.clone() }).sections[0].remove(0);
        if query.rtype == wire::A { vec![address(query).additional(six).into()] } else { vec![] }
    });
    assert_eq!(timed(&alone(&net), HOST, Family::Both), (ips(&["192.0.2.1", "2001:db8::9"]), 10));
    // Link-local addresses are last.
    let local = |rtype, data: &[u8]| record(&name(HOST), rtype, 1, 9, data);
    let net = network(V4, move |query| {
        let mut six = [0; 16];
        (six[0], six[1], six[15]) = (0xfe, 0x80, 7);
        let message = query.reply().answer(local(wire::A, &[169, 254, 0, 7])).answer(local(wire::AAAA, &six));
        vec![message.a(HOST, 9, 1).a(HOST, 9, 2).aaaa(HOST, 9, 3).into()]
    });
    let all = ips(&["192.0.2.1", "192.0.2.2", "169.254.0.7", "2001:db8::3", "fe80::7"]);
    assert_eq!(lookup(&alone(&net), HOST, Family::Both), all);
    // Each has its places when there are many.
    let net = network(V4, |query| {
        let fill = |message: Message, last| {
            if query.rtype == wire::A { message.a(HOST, 9, last) } else { message.aaaa(HOST, 9, last) }
        };
        vec![(1..=20).fold(query.reply(), fill).into()]
    });
    let found = lookup(&alone(&net), HOST, Family::Both).unwrap();
    assert_eq!((found.len(), found.iter().filter(|ip| ip.is_ipv4()).count()), (8, 4));
}

#[test]
fn answers_are_kept_for_ten_seconds_at_the_most() {
    for (ttl, kept) in [(0, 0), (3, 3000), (10, 10_000), (120, 10_000), (u32::MAX, 0)] {
        let net = network(V4, move |query| {
            let answer = query.reply().a(HOST, ttl, 1);
            vec![if query.rtype == wire::A { answer.into() } else { query.reply().answer(nsec(HOST, &[])).into() }]
        });
        let resolver = alone(&net);
        assert_eq!(lookup(&resolver, HOST, Family::V4), ips(&["192.0.2.1"]));
        if kept > 0 {
            wait(kept - 100);
            assert_eq!(timed(&resolver, "PRINTER.local.", Family::V4), (ips(&["192.0.2.1"]), 0), "{ttl}");
            assert_eq!((net.link.count(), resolver.stats().cached), (1, 1), "{ttl}");
            wait(100);
        }
        assert_eq!(timed(&resolver, HOST, Family::V4), (ips(&["192.0.2.1"]), 10), "{ttl}");
        assert_eq!(net.link.count(), 2, "{ttl}");
    }
    let net = network(V4, |query| vec![address(query).into()]);
    let resolver = alone(&net);
    assert_eq!(lookup(&resolver, HOST, Family::V4), ips(&["192.0.2.1"]));
    resolver.flush_cache();
    assert_eq!(lookup(&resolver, HOST, Family::Both), ips(&["192.0.2.1", "2001:db8::9"]));
    assert_eq!(net.link.count(), 3);
}

#[test]
fn link_local_addresses_have_names() {
    let net = network(BOTH, |query| {
        assert_eq!(query.rtype, wire::PTR);
        vec![if query.name == "7.0.254.169.in-addr.arpa" {
            query.reply().ptr(&query.name, 10, HOST).ptr(&query.name, 10, "second.local").into()
        } else if query.name == "8.0.254.169.in-addr.arpa" {
            query.reply().ptr(&query.name, 10, "two words.local").into()
        } else {
            assert!(query.name.ends_with(".0.8.e.f.ip6.arpa"), "{}", query.name);
            query.reply().answer(nsec(&query.name, &[])).into()
        }]
    });
    let resolver = alone(&net);
    assert_eq!(reverse(&resolver, "169.254.0.7").as_deref(), Ok(HOST));
    assert_eq!(reverse(&resolver, "::ffff:169.254.0.7").as_deref(), Ok(HOST));
    assert_eq!(net.link.count(), 2, "the second time it is known");
    assert_eq!(reverse(&resolver, "169.254.0.8"), Err(DnsError::Malformed));
    assert_eq!(reverse(&resolver, "fe80::7"), Err(DnsError::NoData));
    // The others belong to servers, of which there are none.
    assert_eq!(reverse(&resolver, "10.0.0.7"), Err(DnsError::NoServers));
}

/// M-34.
#[test]
fn names_of_the_link_may_have_letters_beyond_ascii() {
    let net = network(V4, |query| vec![address(query).into()]);
    let resolver = alone(&net);
    assert_eq!(lookup(&resolver, "küche.local", Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.link.each(|query| query.name.clone()), ["küche.local"]);
    for bad in ["a b.local", "a\u{7}.local", ".local", "a..local", "küche.localx"] {
        assert_eq!(lookup(&resolver, bad, Family::V4), Err(DnsError::InvalidName), "{bad}");
    }
}

#[test]
fn a_dropped_lookup_gives_its_socket_back() {
    let net = network(V4, |_| vec![]);
    let resolver = alone(&net);
    virtual_time::block_on(async {
        let limit = Duration::from_millis(100);
        assert!(embassy_time::with_timeout(limit, resolver.lookup(HOST, Family::Both)).await.is_err());
    });
    assert_eq!((net.link.count(), net.open.get()), (2, 0));
}
