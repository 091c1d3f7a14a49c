//! What counts as an answer.

use std::format;
use std::string::String;
use std::vec;

use super::net::Net;
use super::wire::{self, Message, NXDOMAIN, name, record};
use super::*;
use crate::limits;
use crate::nal::{AddrType, Dns};

#[test]
fn addresses_of_either_version() {
    let net = Net::new(|seen| {
        let message = Message::to(seen);
        vec![match seen.rtype {
            wire::A => message.a(NAME, 60, 1).a(NAME, 60, 2).a(NAME, 60, 1).into(),
            wire::AAAA => message.aaaa(NAME, 60, 9).into(),
            other => panic!("{other}"),
        }]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1", "192.0.2.2"]));
    assert_eq!(lookup(&resolver, NAME, Family::V6), ips(&["2001:db8::9"]));
    assert_eq!(lookup(&resolver, NAME, Family::Both), ips(&["192.0.2.1", "192.0.2.2", "2001:db8::9"]));
    assert_eq!(lookup(&resolver, "WWW.EXAMPLE.COM.", Family::V4), ips(&["192.0.2.1", "192.0.2.2"]));
    assert_eq!(net.each(|seen| (seen.lower(), seen.edns)), vec![(NAME.into(), Some(1232)); 2]);
    assert_eq!(net.open.get(), 0);
}

#[test]
fn one_version_is_enough_when_so_asked() {
    let net = Net::new(|seen| {
        let message = Message::to(seen);
        let only_v6 = seen.lower().starts_with("six");
        vec![match seen.rtype {
            wire::A if only_v6 => message.soa("example.com", 60, 60).into(),
            wire::A => message.a(&seen.name, 60, 1).into(),
            _ => message.aaaa(&seen.name, 60, 9).into(),
        }]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    assert_eq!(lookup(&resolver, NAME, Family::Either), ips(&["192.0.2.1"]));
    assert_eq!(net.queries(), 1);
    assert_eq!(lookup(&resolver, "six.example.com", Family::Either), ips(&["2001:db8::9"]));
    assert_eq!(net.queries(), 3);
    // On an interface with IPv6 alone, IPv6 is worth more.
    net.status.borrow_mut().addresses.push("2001:db8::2/64".parse().unwrap()).unwrap();
    assert_eq!(lookup(&resolver, "other.example.com", Family::Either), ips(&["2001:db8::9"]));
    assert_eq!(lookup(&resolver, "localhost", Family::Either), ips(&["::1"]));
    assert_eq!(net.queries(), 4);
}

#[test]
fn both_versions_get_their_places() {
    let net = Net::new(|seen| {
        let mut message = Message::to(seen);
        for last in 1..=20 {
            message = if seen.rtype == wire::A {
                message.a(&seen.name, 60, last)
            } else if last <= 3 || seen.lower() == NAME {
                message.aaaa(&seen.name, 60, last)
            } else {
                message
            };
        }
        vec![message.into()]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    let count = |host: &str, family| {
        let found = lookup(&resolver, host, family).unwrap();
        let v4 = found.iter().take_while(|address| address.is_ipv4()).count();
        (v4, found.len() - v4)
    };
    assert_eq!(limits::DNS_ADDRESSES, 8);
    assert_eq!(count(NAME, Family::Both), (4, 4));
    assert_eq!(count(NAME, Family::V4), (8, 0));
    assert_eq!(count("few.example.com", Family::Both), (5, 3));
}

#[test]
fn what_one_version_lacks_the_other_makes_up_for() {
    let net = Net::new(|seen| match seen.rtype {
        wire::A => vec![Message::to(seen).a(NAME, 60, 1).into()],
        _ => vec![],
    });
    let resolver1 = resolver(&net, &["10.0.0.1", "10.0.0.2"]);
    let began = embassy_time::Instant::now();
    assert_eq!(lookup(&resolver1, NAME, Family::Both), ips(&["192.0.2.1"]));
    assert_eq!(began.elapsed().as_millis(), 2010, "a silent AAAA costs one attempt");

    let net = Net::new(|seen| match seen.rtype {
        wire::A => vec![Message::to(seen).rcode(2).into()],
        _ => vec![Message::to(seen).soa("example.com", 60, 60).into()],
    });
    assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::Both), Err(DnsError::ServerFailure));
}

#[test]
fn aliases_are_followed_in_any_order_and_the_rest_is_no_ones_business() {
    let (found, net) = once(|seen| {
        let message = Message::to(seen)
            .a("evil.example.net", 60, 66)
            .a("c.example.org", 60, 3)
            .answer(record(&name("c.example.org"), wire::A, 3, 60, &[192, 0, 2, 67])) // class CHAOS
            .cname("b.example.org", 60, "C.Example.org")
            .cname(&seen.name, 60, "b.example.org")
            .a("d.example.org", 60, 68)
            .additional(record(&name(NAME), wire::A, 1, 60, &[192, 0, 2, 69]))
            .authority(record(&name(NAME), wire::A, 1, 60, &[192, 0, 2, 70]));
        vec![message.into()]
    });
    assert_eq!(found, ips(&["192.0.2.3"]));
    assert_eq!(net.queries(), 1);
}

#[test]
fn records_beside_the_chain_are_not_an_answer() {
    let (found, _) = once(|seen| vec![Message::to(seen).a("evil.example.net", 60, 66).into()]);
    assert_eq!(found, Err(DnsError::NoData));
    let (found, _) = once(|seen| vec![Message::to(seen).aaaa(NAME, 60, 66).into()]);
    assert_eq!(found, Err(DnsError::NoData));
}

#[test]
fn an_alias_that_leads_out_of_the_message_is_asked_for() {
    let net = Net::new(|seen| {
        let message = Message::to(seen);
        vec![match seen.lower().as_str() {
            NAME => message.cname(NAME, 60, "a.example.net").cname("a.example.net", 60, "b.example.net").into(),
            "b.example.net" => message.a("b.example.net", 60, 7).into(),
            _ => message.rcode(NXDOMAIN).into(),
        }]
    });
    assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::V4), ips(&["192.0.2.7"]));
    assert_eq!(net.each(|seen| seen.lower()), [NAME, "b.example.net"]);
}

/// `x0` is an alias of `x1`, and so on; each reply tells `step` of them.
fn chain(length: usize, step: usize) -> (Result<Vec<IpAddr>, DnsError>, usize) {
    let net = Net::new(move |seen| {
        let from: usize = seen.lower()[1..].parse().unwrap();
        let mut message = Message::to(seen);
        for at in from..length.min(from + step) {
            message = message.cname(&format!("x{at}"), 60, &format!("x{}", at + 1));
        }
        if from + step >= length {
            message = message.a(&format!("x{length}"), 60, 5);
        }
        vec![message.into()]
    });
    let found = lookup(&resolver(&net, &["10.0.0.1"]), "x0", Family::V4);
    (found, net.queries())
}

#[test]
fn chains_are_followed_up_to_their_limit() {
    assert_eq!(limits::DNS_ALIASES, 8);
    assert_eq!(chain(8, 8), (ips(&["192.0.2.5"]), 1));
    assert_eq!(chain(8, 3), (ips(&["192.0.2.5"]), 3));
    assert_eq!(chain(8, 1), (ips(&["192.0.2.5"]), 8));
    assert_eq!(chain(9, 9), (Err(DnsError::Malformed), 1));
    assert_eq!(chain(9, 1).0, Err(DnsError::Malformed));
    assert_eq!(chain(100, 5).0, Err(DnsError::Malformed));
}

#[test]
fn loops_of_aliases_end() {
    for (a, b) in [(NAME, NAME), ("a.example", NAME), ("a.example", "a.example")] {
        let (found, net) = once(move |seen| vec![Message::to(seen).cname(NAME, 60, a).cname(a, 60, b).into()]);
        assert_eq!(found, Err(DnsError::Malformed));
        assert_eq!(net.queries(), 1);
    }
    // And across messages.
    let (found, net) = once(|seen| {
        let to = if seen.lower() == NAME { "a.example" } else { NAME };
        vec![Message::to(seen).cname(&seen.name, 60, to).into()]
    });
    assert_eq!(found, Err(DnsError::Malformed));
    assert_eq!(net.queries(), limits::DNS_ALIASES + 1);
}

#[test]
fn no_such_name_and_no_such_data_are_told_apart() {
    let soa = |seen: &net::Seen| Message::to(seen).soa("example.com", 60, 60);
    assert_eq!(once(move |seen| vec![soa(seen).rcode(NXDOMAIN).into()]).0, Err(DnsError::NotFound));
    assert_eq!(once(move |seen| vec![soa(seen).into()]).0, Err(DnsError::NoData));
    // Without a SOA too (RFC 2308 section 2.2, type 3).
    assert_eq!(once(|seen| vec![Message::to(seen).into()]).0, Err(DnsError::NoData));
    // At the end of a chain: the rcode is about its end (RFC 6604).
    let alias = |seen: &net::Seen| Message::to(seen).cname(NAME, 60, "a.example.com");
    let (found, net) = once(move |seen| vec![alias(seen).rcode(NXDOMAIN).into()]);
    assert_eq!((found, net.queries()), (Err(DnsError::NotFound), 1));
    let (found, net) = once(move |seen| vec![alias(seen).soa("example.com", 60, 60).into()]);
    assert_eq!((found, net.queries()), (Err(DnsError::NoData), 1));
    // For both versions, one NXDOMAIN is enough.
    let net = Net::new(move |seen| vec![soa(seen).rcode(NXDOMAIN).into()]);
    assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::Both), Err(DnsError::NotFound));
    assert_eq!(net.queries(), 1);
}

#[test]
fn addresses_have_names_too() {
    let net = Net::new(|seen| {
        assert_eq!(seen.rtype, wire::PTR);
        let message = Message::to(seen);
        vec![match seen.lower().as_str() {
            // RFC 2317: by way of an alias.
            "1.2.0.192.in-addr.arpa" => message
                .cname("1.2.0.192.in-addr.arpa", 60, "1.x.2.0.192.in-addr.arpa")
                .ptr("1.x.2.0.192.in-addr.arpa", 60, "Printer.example.com")
                .into(),
            "2.2.0.192.in-addr.arpa" => message.ptr(&seen.name, 60, "a\u{1b}[31m.example").into(),
            name if name.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa") => message.ptr(&seen.name, 60, "six.example").into(),
            _ => message.rcode(NXDOMAIN).into(),
        }]
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    let reverse = |address: &str, room: usize| {
        let mut buffer = [0; 253];
        virtual_time::block_on(resolver.reverse(ip(address), &mut buffer[..room])).map(String::from)
    };
    assert_eq!(reverse("192.0.2.1", 253).as_deref(), Ok("Printer.example.com"));
    assert_eq!(reverse("192.0.2.1", 19).as_deref(), Ok("Printer.example.com"));
    assert_eq!(reverse("192.0.2.1", 18), Err(DnsError::BufferTooSmall));
    assert_eq!(net.queries(), 1, "the rest is from the cache");
    assert_eq!(reverse("192.0.2.2", 253), Err(DnsError::Malformed));
    assert_eq!(reverse("2001:db8::1", 253).as_deref(), Ok("six.example"));
    assert_eq!(reverse("192.0.2.9", 253), Err(DnsError::NotFound));
    let queries = net.queries();
    assert_eq!(reverse("127.0.0.1", 9).as_deref(), Ok("localhost"));
    assert_eq!(reverse("::1", 8), Err(DnsError::BufferTooSmall));
    assert_eq!(net.queries(), queries);
}

#[test]
fn some_names_need_no_server() {
    let net = Net::new(|_| panic!("nobody is to be asked"));
    let resolver: Resolver<Net> = Resolver::new(net.clone(), 1); // and knows none
    let cases = [
        ("192.0.2.7", Family::V4, ips(&["192.0.2.7"])),
        ("192.0.2.7", Family::Both, ips(&["192.0.2.7"])),
        ("192.0.2.7", Family::Either, ips(&["192.0.2.7"])),
        ("192.0.2.7", Family::V6, Err(DnsError::NoData)),
        ("2001:DB8::7", Family::Either, ips(&["2001:db8::7"])),
        ("2001:db8::7", Family::V4, Err(DnsError::NoData)),
        ("localhost", Family::Both, ips(&["127.0.0.1", "::1"])),
        ("x.LOCALHOST.", Family::Either, ips(&["127.0.0.1"])),
        ("localhost", Family::V6, ips(&["::1"])),
        ("a.invalid", Family::Both, Err(DnsError::NotFound)),
        ("local", Family::V4, Err(DnsError::NotFound)),
        ("", Family::V4, Err(DnsError::InvalidName)),
        ("a..b", Family::V4, Err(DnsError::InvalidName)),
        ("192.0.2.256", Family::V4, Err(DnsError::InvalidName)),
        (NAME, Family::V4, Err(DnsError::NoServers)),
    ];
    for (host, family, expected) in cases {
        assert_eq!(lookup(&resolver, host, family), expected, "{host} {family:?}");
    }
    assert_eq!(lookup(&resolver, &format!("{}.com", "a".repeat(64)), Family::V4), Err(DnsError::InvalidName));
    assert_eq!(lookup(&resolver, &"ab.".repeat(85), Family::V4), Err(DnsError::InvalidName));
    assert_eq!(net.open.get(), 0);
}

#[test]
fn the_longest_name_can_be_asked_for() {
    let longest = "a.".repeat(126) + "b";
    assert_eq!(longest.len(), 253);
    let net = Net::new(|seen| vec![Message::to(seen).a(&seen.name, 60, 1).into()]);
    assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), &longest, Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.each(|seen| seen.lower()), [longest]);
}

#[test]
fn it_is_a_dns_for_the_crates_that_ask_for_one() {
    let net = Net::new(|seen| match seen.rtype {
        wire::A => vec![Message::to(seen).a(&seen.name, 60, 1).a(&seen.name, 60, 2).into()],
        wire::AAAA => vec![Message::to(seen).aaaa(&seen.name, 60, 9).into()],
        _ => vec![Message::to(seen).ptr(&seen.name, 60, NAME).into()],
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    virtual_time::block_on(async {
        assert_eq!(resolver.get_host_by_name(NAME, AddrType::IPv4).await, Ok(ip("192.0.2.1")));
        assert_eq!(resolver.get_host_by_name(NAME, AddrType::IPv6).await, Ok(ip("2001:db8::9")));
        assert_eq!(resolver.get_host_by_name(NAME, AddrType::Either).await, Ok(ip("192.0.2.1")));
        let mut name = [0; 253];
        assert_eq!(resolver.get_host_by_address(ip("192.0.2.1"), &mut name).await, Ok(NAME.len()));
        assert_eq!(&name[..NAME.len()], NAME.as_bytes());
    });
}

#[test]
fn reqwless_fetches_a_page_by_name() {
    use reqwless::client::HttpClient;
    use reqwless::request::Method;

    let net = Net::new(|seen| vec![Message::to(seen).a(&seen.name, 60, 80).into()]);
    net.http.set("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    let resolver = resolver(&net, &["10.0.0.1"]);
    virtual_time::block_on(async {
        let mut client = HttpClient::new(&net, &resolver);
        let mut buffer = [0; 1024];
        let mut request = client.request(Method::GET, "http://www.example.com/").await.unwrap();
        let response = request.send(&mut buffer).await.unwrap();
        assert_eq!(response.status.0, 200);
        assert_eq!(response.body().read_to_end().await.unwrap(), b"hello");
    });
    assert_eq!(net.each(|seen| seen.lower()), [NAME]);
}
