//! What is remembered, and for how long.

use std::format;
use std::vec;

use embassy_time::{Duration, Timer};

use super::net::{Net, Seen};
use super::wire::{self, Message, NXDOMAIN};
use super::*;
use crate::dns::Config;

fn wait(secs: u64) {
    virtual_time::block_on(Timer::after(Duration::from_secs(secs)));
}

/// After `message` has been an answer: how many seconds it stands for it, up to `most`.
fn kept_for(message: impl Fn(&Seen) -> Message + 'static, most: u64) -> u64 {
    let net = Net::new(move |seen| vec![net::Reply::from(message(seen)).after(0)]);
    let resolver = resolver(&net, &["10.0.0.1"]);
    let first = lookup(&resolver, NAME, Family::V4);
    let asked = net.queries();
    for second in 0..=most {
        assert_eq!(lookup(&resolver, NAME, Family::V4), first);
        if net.queries() > asked {
            return second;
        }
        assert_eq!(u64::from(resolver.stats().cached), second + 1);
        wait(1);
    }
    most
}

#[test]
fn answers_are_kept_for_their_time_to_live() {
    assert_eq!(kept_for(|seen| Message::to(seen).a(NAME, 30, 1), 100), 30);
    // The shortest-lived record counts, of the set and of the chain.
    assert_eq!(kept_for(|seen| Message::to(seen).a(NAME, 30, 1).a(NAME, 20, 2), 100), 20);
    assert_eq!(kept_for(|seen| Message::to(seen).cname(NAME, 10, "a.example").a("a.example", 30, 1), 100), 10);
    assert_eq!(kept_for(|seen| Message::to(seen).cname(NAME, 40, "a.example").a("a.example", 30, 1), 100), 30);
    // Nothing else in the message counts.
    let crowd = |seen: &Seen| Message::to(seen).a(NAME, 30, 1).a("other.example", 5, 2).soa("example.com", 5, 5);
    assert_eq!(kept_for(crowd, 100), 30);
}

#[test]
fn no_time_to_live_is_good_for_one_answer() {
    assert_eq!(kept_for(|seen| Message::to(seen).a(NAME, 0, 1), 100), 0);
    // RFC 2181 section 8: the topmost bit makes it 0.
    assert_eq!(kept_for(|seen| Message::to(seen).a(NAME, 0x8000_0000, 1), 100), 0);
    assert_eq!(kept_for(|seen| Message::to(seen).a(NAME, u32::MAX, 1), 100), 0);
}

#[test]
fn absence_is_kept_by_the_soa() {
    let absent = |ttl, minimum| move |seen: &Seen| Message::to(seen).soa("example.com", ttl, minimum);
    assert_eq!(kept_for(absent(20, 50), 100), 20);
    assert_eq!(kept_for(absent(50, 20), 100), 20);
    assert_eq!(kept_for(move |seen| absent(50, 20)(seen).rcode(NXDOMAIN), 100), 20);
    // By the zone itself or one above it, and no other.
    assert_eq!(kept_for(|seen| Message::to(seen).soa("", 20, 20), 100), 20);
    assert_eq!(kept_for(|seen| Message::to(seen).soa(NAME, 20, 20), 100), 20);
    assert_eq!(kept_for(|seen| Message::to(seen).rcode(NXDOMAIN).soa("example.net", 20, 20), 100), 0);
    assert_eq!(kept_for(|seen| Message::to(seen).rcode(NXDOMAIN), 100), 0);
    // The chain to what is absent counts.
    let alias = |seen: &Seen| Message::to(seen).cname(NAME, 7, "a.example").soa("example", 20, 20).rcode(NXDOMAIN);
    assert_eq!(kept_for(alias, 100), 7);
}

#[test]
fn no_answer_outlives_the_limits() {
    let config =
        Config { max_ttl: Duration::from_secs(50), max_negative_ttl: Duration::from_secs(30), ..Config::DEFAULT };
    let net = Net::new(|seen| {
        let message = Message::to(seen);
        vec![match seen.rtype {
            wire::A => message.a(NAME, 0x7fff_ffff, 1).into(),
            _ => message.soa("example.com", 0x7fff_ffff, 0x7fff_ffff).into(),
        }]
    });
    let resolver: Resolver<Net> = Resolver::with_config(net.clone(), 1, config);
    resolver.set_servers(&[ip("10.0.0.1")]);
    let both = || (lookup(&resolver, NAME, Family::V4), lookup(&resolver, NAME, Family::V6), net.queries());
    let same = (ips(&["192.0.2.1"]), Err(DnsError::NoData));
    assert_eq!(both(), (same.0.clone(), same.1.clone(), 2));
    wait(29);
    assert_eq!(both(), (same.0.clone(), same.1.clone(), 2));
    wait(1);
    assert_eq!(both(), (same.0.clone(), same.1.clone(), 3), "what is absent is asked for again");
    wait(20);
    assert_eq!(both(), (same.0, same.1, 4), "and what is there");
}

#[test]
fn a_name_that_does_not_exist_has_neither_version_but_no_data_is_about_one() {
    let net = Net::new(|seen| {
        let message = Message::to(seen).soa("example.com", 60, 60);
        vec![match (seen.lower().as_str(), seen.rtype) {
            (NAME, _) => message.rcode(NXDOMAIN).into(),
            (_, wire::A) => message.into(),
            _ => message.aaaa(&seen.name, 60, 1).into(),
        }]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), Err(DnsError::NotFound));
    assert_eq!(lookup(&resolver, NAME, Family::V6), Err(DnsError::NotFound));
    assert_eq!(net.queries(), 1);
    assert_eq!(lookup(&resolver, "six.example.com", Family::V4), Err(DnsError::NoData));
    assert_eq!(lookup(&resolver, "six.example.com", Family::V6), ips(&["2001:db8::1"]));
    assert_eq!(lookup(&resolver, "six.example.com", Family::Both), ips(&["2001:db8::1"]));
    assert_eq!(net.queries(), 3);
}

#[test]
fn failures_are_not_remembered() {
    assert_eq!(kept_for(|seen| Message::to(seen).rcode(2).soa("example.com", 60, 60), 10), 0);
}

#[test]
fn the_target_of_an_alias_may_be_known_already() {
    let net = Net::new(|seen| {
        let message = Message::to(seen);
        vec![match seen.lower().as_str() {
            NAME => message.cname(NAME, 60, "b.example").into(),
            _ => message.a(&seen.name, 60, 7).into(),
        }]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    assert_eq!(lookup(&resolver, "b.example", Family::V4), ips(&["192.0.2.7"]));
    wait(50);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.7"]));
    assert_eq!(net.queries(), 2);
    // And then it is no fresher by way of the alias.
    wait(11);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.7"]));
    assert_eq!(net.queries(), 4);
}

#[test]
fn the_cache_has_as_many_places_as_were_asked_for() {
    fn queries<const CACHE: usize>(names: &[usize]) -> usize {
        let net = Net::new(|seen| vec![Message::to(seen).a(&seen.name, 600, 1).into()]);
        let resolver: Resolver<Net, CACHE> = Resolver::new(net.clone(), 1);
        resolver.set_servers(&[ip("10.0.0.1")]);
        for at in names {
            assert_eq!(lookup(&resolver, &format!("h{at}.example"), Family::V4), ips(&["192.0.2.1"]));
        }
        net.queries()
    }
    assert_eq!(queries::<2>(&[1, 2, 1, 2]), 2);
    assert_eq!(queries::<2>(&[1, 2, 1, 3, 1]), 3, "2 went, because 1 had been used since");
    assert_eq!(queries::<2>(&[1, 2, 1, 3, 2]), 4);
    assert_eq!(queries::<0>(&[1, 1]), 2);
    assert_eq!(queries::<64>(&std::vec::Vec::from_iter((0..64).chain(0..64))), 64);
}

#[test]
fn a_flood_of_names_takes_no_more_room() {
    let net = Net::new(|seen| vec![Message::to(seen).rcode(NXDOMAIN).soa("", u32::MAX >> 1, u32::MAX >> 1).into()]);
    let resolver = resolver(&net, &["10.0.0.1"]);
    for at in 0..2000 {
        assert_eq!(lookup(&resolver, &format!("h{at}.example"), Family::V4), Err(DnsError::NotFound));
    }
    let queries = net.queries();
    assert_eq!(lookup(&resolver, "h1999.example", Family::V4), Err(DnsError::NotFound));
    assert_eq!(net.queries(), queries);
}

#[test]
fn flushing_forgets() {
    let net = Net::new(|seen| vec![Message::to(seen).a(NAME, 600, 1).into()]);
    let resolver = resolver(&net, &["10.0.0.1"]);
    for _ in 0..2 {
        assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
    }
    assert_eq!(net.queries(), 1);
    resolver.flush_cache();
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.queries(), 2);
}

#[test]
fn another_network_may_know_other_names() {
    let net = Net::new(|seen| {
        let last = if seen.is_server(1) { 1 } else { 2 };
        vec![Message::to(seen).a(NAME, 600, last).into()]
    });
    let resolver: Resolver<Net> = Resolver::new(net.clone(), 1);
    let learn = |servers: &[&str]| {
        net.status.borrow_mut().dns_servers = servers.iter().map(|server| ip(server)).collect();
    };
    learn(&["10.0.0.1"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
    learn(&[]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]), "still good for what is known");
    assert_eq!(lookup(&resolver, "other.example", Family::V4), Err(DnsError::NoServers));
    learn(&["10.0.0.1"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.queries(), 1);
    learn(&["10.0.0.2"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.2"]));
    resolver.set_servers(&[ip("10.0.0.1")]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
}
