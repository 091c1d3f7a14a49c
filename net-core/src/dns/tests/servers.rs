//! Which server is asked when, and over what.

use std::vec;

use embassy_time::{Duration, Instant};

use super::net::{Net, Reply, Seen};
use super::wire::{self, Message, name, record};
use super::*;
use crate::Error;
use crate::dns::Config;
use crate::limits;

fn good(seen: &Seen) -> Message {
    Message::to(seen).a(&seen.name, 60, 1)
}

/// (milliseconds, last byte of the server's address, TCP) of each query.
fn schedule(net: &Net) -> Vec<(u64, u8, bool)> {
    let last = |address: IpAddr| match address {
        IpAddr::V4(v4) => v4.octets()[3],
        IpAddr::V6(v6) => v6.octets()[15],
    };
    net.each(|seen| (seen.at.as_millis(), last(seen.server.ip()), seen.tcp))
}

#[test]
fn a_dead_first_server_costs_its_timeout_once() {
    let net = Net::new(|seen| if seen.is_server(1) { vec![] } else { vec![good(seen).into()] });
    let resolver = resolver(&net, &["10.0.0.1", "10.0.0.2"]);
    assert_eq!(lookup(&resolver, "a.example", Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(Instant::now().as_millis(), 2010);
    assert_eq!(lookup(&resolver, "b.example", Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(lookup(&resolver, "c.example", Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(schedule(&net), [(0, 1, false), (2000, 2, false), (2010, 2, false), (2020, 2, false)]);
    assert_eq!(resolver.stats().timeouts, 1);
}

#[test]
fn a_server_that_fails_is_left_at_once() {
    type Fail = fn(&Seen) -> Reply;
    let failures: [(&str, Fail); 12] =
        [
            ("SERVFAIL", |seen| Message::to(seen).rcode(2).into()),
            ("REFUSED", |seen| Message::to(seen).rcode(5).into()),
            ("an unknown rcode", |seen| Message::to(seen).rcode(14).into()),
            ("a referral", |seen| {
                let ns = record(&name("com"), wire::NS, 1, 60, &name("ns.example"));
                Message::to(seen).authority(ns).into()
            }),
            ("lame: no recursion, no authority, nothing", |seen| Message::to(seen).without_flag(0x0080).into()),
            ("malformed", |seen| {
                Reply::bytes(Message::to(seen).answer(record(&[0xc0], wire::A, 1, 60, &[1, 2, 3, 4])).bytes())
            }),
            ("an extended rcode", |seen| Message::to(seen).additional(vec![0, 0, 41, 4, 208, 3, 0, 0, 0, 0, 0]).into()),
            ("port unreachable", |_| Reply::fail(Error::Refused)),
            ("a loop of aliases", |seen| Message::to(seen).cname(&seen.name, 1, &seen.name).into()),
            ("truncated, and TCP closes", |seen| {
                if seen.tcp { Reply::close() } else { Message::to(seen).flag(0x0200).into() }
            }),
            ("truncated, and TCP resets", |seen| {
                if seen.tcp { Reply::fail(Error::Reset) } else { Message::to(seen).flag(0x0200).into() }
            }),
            ("truncated, and TCP gives no message", |seen| {
                if seen.tcp { Reply::stream(vec![0, 3, 1, 2, 3, 0]) } else { Message::to(seen).flag(0x0200).into() }
            }),
        ];
    for (what, fail) in failures {
        let net = Net::new(move |seen| match seen.is_server(1) {
            // What is no message over TCP is followed by silence.
            true if seen.tcp => vec![fail(seen), Reply::close().after(20)],
            true => vec![fail(seen)],
            false => vec![good(seen).into()],
        });
        let began = Instant::now();
        assert_eq!(lookup(&resolver(&net, &["10.0.0.1", "10.0.0.2"]), NAME, Family::V4), ips(&["192.0.2.1"]), "{what}");
        assert!(began.elapsed() < Duration::from_millis(100), "{what}: {}", began.elapsed());
    }
}

#[test]
fn when_all_fail_the_failure_is_told_and_nobody_is_pestered() {
    let all = |fail: fn(&Seen) -> Vec<Reply>| {
        let net = Net::new(fail);
        (lookup(&resolver(&net, &["10.0.0.1", "10.0.0.2"]), NAME, Family::V4), net.queries())
    };
    assert_eq!(all(|seen| vec![Message::to(seen).rcode(2).into()]), (Err(DnsError::ServerFailure), 2));
    assert_eq!(all(|seen| vec![Message::to(seen).cname(NAME, 1, NAME).into()]), (Err(DnsError::Malformed), 2));
    assert_eq!(all(|_| vec![Reply::fail(Error::Refused)]), (Err(DnsError::Network(Error::Refused)), 6));
    assert_eq!(all(|_| vec![]), (Err(DnsError::TimedOut), 5));
    // One says so, the other is silent: it is tried again.
    let half = |seen: &Seen| if seen.is_server(1) { vec![Message::to(seen).rcode(5).into()] } else { vec![] };
    assert_eq!(all(half), (Err(DnsError::ServerFailure), 4));
}

#[test]
fn silence_ends_after_a_known_time() {
    let silence = |servers: &[&str], family| {
        let net = Net::new(|_| vec![]);
        let began = Instant::now();
        assert_eq!(lookup(&resolver(&net, servers), NAME, family), Err(DnsError::TimedOut));
        let times = net.each(|seen| (seen.at - began).as_secs());
        (times, began.elapsed().as_secs())
    };
    assert_eq!(silence(&["10.0.0.1"], Family::V4), (vec![0, 2, 6], 14));
    assert_eq!(silence(&["10.0.0.1", "10.0.0.2"], Family::V4), (vec![0, 2, 4, 8, 12], 15));
    let four = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::53"];
    assert_eq!(silence(&four, Family::V6), (vec![0, 2, 4, 6, 8, 12], 15));
    assert_eq!(silence(&["10.0.0.1"], Family::Both).1, 15);
    assert_eq!(silence(&["10.0.0.1"], Family::Either).1, 15);
}

/// Every way to waste time, in every order: it ends by the deadline.
#[test]
fn every_lookup_ends() {
    let mut draws = 0x9e37_79b9_u32;
    for _ in 0..300 {
        let net = Net::new(move |seen| {
            draws = draws.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let message = Message::to(seen);
            let after = u64::from(draws >> 16) % 2500;
            let reply: Reply = match (draws >> 24) % 8 {
                0 => return vec![],
                1 => message.flag(0x0200).into(),
                2 => message.rcode(1).into(),
                3 => message.cname(&seen.name, 0, "a.example").into(),
                4 => Message { questions: vec![], ..message }.into(),
                5 => Reply::fail(Error::Unreachable),
                6 => Message { id: !seen.id, ..message }.into(),
                _ => Message { questions: vec![wire::name(&seen.lower())], ..message }.into(),
            };
            vec![reply.after(after)]
        });
        let began = Instant::now();
        let found = lookup(&resolver(&net, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]), NAME, Family::Both);
        assert!(found.is_err());
        assert!(began.elapsed() <= Config::DEFAULT.deadline, "{}", began.elapsed());
        assert!(net.queries() < 100, "{}", net.queries());
        assert_eq!(net.open.get(), 0);
        draws = draws.wrapping_add(began.elapsed().as_ticks() as u32 | 1);
    }
}

#[test]
fn a_network_that_is_not_there_is_told_soon_and_tried_again_first() {
    let net = Net::new(|seen| vec![good(seen).into()]);
    net.udp_error.set(Some(Error::Unreachable));
    let resolver = resolver(&net, &["10.0.0.1", "10.0.0.2"]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), Err(DnsError::Network(Error::Unreachable)));
    assert_eq!(Instant::now().as_millis(), 500);
    // It is back after 300 ms: before the third round.
    virtual_time::block_on(async {
        let back = async {
            embassy_time::Timer::after(Duration::from_millis(300)).await;
            net.udp_error.set(None);
        };
        let (found, ()) = embassy_futures::join::join(resolver.lookup(NAME, Family::V4), back).await;
        assert_eq!(found.map(|addresses| addresses.to_vec()), ips(&["192.0.2.1"]));
    });
}

#[test]
fn servers_are_those_set_or_those_learnt() {
    let net = Net::new(|seen| vec![Message::to(seen).a(&seen.name, 0, 1).into()]);
    let resolver: Resolver<Net> = Resolver::new(net.clone(), 1);
    assert!(resolver.servers().is_empty());
    net.status.borrow_mut().dns_servers = [ip("10.0.0.1"), ip("0.0.0.0")].into_iter().collect();
    assert_eq!(resolver.servers().as_slice(), [ip("10.0.0.1")]);
    assert!(lookup(&resolver, NAME, Family::V4).is_ok());
    let many: Vec<IpAddr> = (2..20).map(|last| [10, 0, 0, last].into()).collect();
    resolver.set_servers(&[&[ip("224.0.0.1"), ip("255.255.255.255"), ip("::")], &many[..1], &many[..]].concat());
    assert_eq!(resolver.servers().as_slice(), &many[..limits::DNS_SERVERS]);
    assert!(lookup(&resolver, NAME, Family::V4).is_ok());
    resolver.set_servers(&[]);
    assert!(lookup(&resolver, NAME, Family::V4).is_ok());
    let asked = net.each(|seen| seen.server);
    assert_eq!(asked, ["10.0.0.1:53", "10.0.0.2:53", "10.0.0.1:53"].map(|server| server.parse().unwrap()));
}

#[test]
fn the_port_and_the_times_are_the_callers() {
    let config = Config {
        port: 5300,
        timeout: Duration::from_millis(100),
        rounds: 2,
        deadline: Duration::from_millis(250),
        ..Config::DEFAULT
    };
    let net = Net::new(|_| vec![]);
    let resolver: Resolver<Net> = Resolver::with_config(net.clone(), 1, config);
    resolver.set_servers(&[ip("10.0.0.1")]);
    assert_eq!(lookup(&resolver, NAME, Family::V4), Err(DnsError::TimedOut));
    assert_eq!(net.each(|seen| (seen.at.as_millis(), seen.server.port())), [(0, 5300), (100, 5300)]);
    assert_eq!(Instant::now().as_millis(), 250);
}

#[test]
fn who_dislikes_edns_is_asked_without_from_then_on() {
    type Dislike = fn(&Seen) -> Message;
    let dislikes: [Dislike; 4] = [
        |seen| Message::to(seen).rcode(1),
        |seen| Message::to(seen).rcode(4),
        |seen| Message { questions: vec![], ..Message::to(seen).rcode(1) },
        // BADVERS: 16 in the OPT record's upper bits.
        |seen| Message::to(seen).additional(vec![0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0]),
    ];
    for dislike in dislikes {
        let net =
            Net::new(move |seen| vec![if seen.edns.is_some() { dislike(seen).into() } else { good(seen).into() }]);
        let resolver = resolver(&net, &["10.0.0.1"]);
        assert_eq!(lookup(&resolver, "a.example", Family::V4), ips(&["192.0.2.1"]));
        assert_eq!(lookup(&resolver, "b.example", Family::V4), ips(&["192.0.2.1"]));
        assert_eq!(net.each(|seen| seen.edns), [Some(1232), None, None]);
    }
    let (found, net) = once(|seen| vec![Message::to(seen).rcode(1).into()]);
    assert_eq!((found, net.queries()), (Err(DnsError::ServerFailure), 2));
}

fn truncated_then(over_tcp: impl Fn(&Seen) -> Vec<Reply> + 'static) -> (Result<Vec<IpAddr>, DnsError>, Net) {
    once(
        move |seen| if seen.tcp { over_tcp(seen) } else { vec![Message::to(seen).flag(0x0200).a(NAME, 60, 66).into()] },
    )
}

#[test]
fn what_is_truncated_is_asked_for_over_tcp() {
    let (found, net) = truncated_then(|seen| vec![good(seen).into()]);
    assert_eq!(found, ips(&["192.0.2.1"]));
    assert_eq!(schedule(&net), [(0, 1, false), (10, 1, true)]);
    assert_eq!(net.open.get(), 0);

    // Byte by byte, after a message that is none of ours and longer than the buffer.
    let (found, _) = truncated_then(|seen| {
        let other = Message { id: !seen.id, ..good(seen) }.answer(vec![0; 5000]).bytes();
        let message = good(seen).bytes();
        let bytes = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        let pieces = bytes.into_iter().enumerate().map(|(at, byte)| Reply::stream(vec![byte]).after(20 + at as u64));
        [Reply::bytes(other)].into_iter().chain(pieces).collect()
    });
    assert_eq!(found, ips(&["192.0.2.1"]));
}

#[test]
fn of_a_message_that_is_too_long_the_beginning_counts() {
    let many = |mut message: Message, owner: &str| {
        for last in 0..=255 {
            message = message.a(owner, 60, last);
        }
        message
    };
    let first =
        ips(&["192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.7"]);
    let (found, _) = truncated_then(move |seen| vec![many(Message::to(seen), NAME).into()]);
    assert_eq!(found, first);
    // A server that sends more over UDP than it was told to.
    let (found, _) = once(move |seen| vec![many(Message::to(seen), NAME).into()]);
    assert_eq!(found, first);
    // What is lost may have been the answer.
    let (found, _) = truncated_then(move |seen| vec![many(Message::to(seen), "other.example").a(NAME, 60, 9).into()]);
    assert_eq!(found, Err(DnsError::Malformed));
    // An alias is asked for by itself.
    let net = Net::new(move |seen| {
        vec![match seen.lower().as_str() {
            NAME => many(Message::to(seen).cname(NAME, 60, "a.example"), "other.example").into(),
            _ => good(seen).into(),
        }]
    });
    assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::V4), ips(&["192.0.2.1"]));
}

#[test]
fn tcp_that_goes_nowhere_ends() {
    // No answer to the question.
    let (found, net) = truncated_then(|_| vec![]);
    assert_eq!(found, Err(DnsError::TimedOut));
    assert_eq!(schedule(&net)[..3], [(0, 1, false), (10, 1, true), (5010, 1, false)]);
    assert!(Instant::now() <= Instant::from_secs(15));
    // No answer to the SYN, and a refusal.
    for (error, expected) in
        [(Error::TimedOut, DnsError::TimedOut), (Error::Refused, DnsError::Network(Error::Refused))]
    {
        let net = Net::new(|seen| vec![Message::to(seen).flag(0x0200).into()]);
        net.tcp_error.set(Some(error));
        let began = Instant::now();
        assert_eq!(lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::V4), Err(expected));
        assert!(began.elapsed() <= Config::DEFAULT.deadline);
    }
    // One that never comes to an end.
    let (found, _) = truncated_then(|seen| {
        (0..100_u64)
            .map(|n| Reply::bytes(vec![n as u8; 40]).after(n * 100))
            .chain([good(seen).into()].map(|reply: Reply| reply.after(20_000)))
            .collect()
    });
    assert_eq!(found, Err(DnsError::TimedOut));
}
