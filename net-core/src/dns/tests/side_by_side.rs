//! Several lookups at once, and lookups that are given up.

use std::format;
use std::string::String;
use std::vec;

use embassy_time::{Duration, Instant, Timer, with_timeout};

use super::net::{Net, Reply};
use super::wire::Message;
use super::*;

#[test]
fn eight_lookups_do_not_wait_for_each_other() {
    let net = Net::new(|seen| {
        let n: u8 = seen.lower()[1..2].parse().unwrap();
        let message = Message::to(seen).a(&seen.name, 60, n);
        // The later asked, the earlier answered; every other only at its second attempt.
        if n % 2 == 1 && seen.at.as_millis() == 0 {
            vec![]
        } else {
            vec![Reply::from(message).after(100 - u64::from(n) * 10)]
        }
    });
    let resolver = resolver(&net, &["10.0.0.1"]);
    virtual_time::block_on(async {
        let names: Vec<String> = (0..8).map(|n| format!("h{n}.example")).collect();
        let lookups = names.iter().map(|name| virtual_time::own_task(resolver.lookup(name, Family::V4))).collect();
        let found = virtual_time::join_all(lookups).await;
        for (n, found) in found.into_iter().enumerate() {
            assert_eq!(found.map(|addresses| addresses.to_vec()), ips(&[&format!("192.0.2.{n}")]));
        }
    });
    assert_eq!(Instant::now().as_millis(), 2090, "as long as the slowest alone");
    assert_eq!(net.queries(), 12);
    assert_eq!(net.open.get(), 0);
    assert!(lookup(&resolver, "h5.example", Family::V4).is_ok());
    assert_eq!(net.queries(), 12, "all in the cache");
}

#[test]
fn a_lookup_given_up_leaves_nothing_behind() {
    for millis in (0..40).map(|n| n * 10 + 5) {
        let net = Net::new(|seen| {
            let message = Message::to(seen);
            let alias = format!("{}.example", "a".repeat(seen.lower().len() % 9 + 1));
            vec![match (seen.tcp, seen.edns) {
                (_, Some(_)) => message.rcode(1).into(),
                (false, None) => message.flag(0x0200).into(),
                (true, None) => message.cname(&seen.name, 60, &alias).into(),
            }]
        });
        let resolver = resolver(&net, &["10.0.0.1"]);
        virtual_time::block_on(async {
            let _ = with_timeout(Duration::from_millis(millis), resolver.lookup(NAME, Family::Both)).await;
            assert_eq!(net.open.get(), 0, "after {millis} ms");
            resolver.flush_cache();
            resolver.set_servers(&[]);
            assert_eq!(resolver.lookup(NAME, Family::V4).await, Err(DnsError::NoServers));
        });
    }
}

/// The servers may be changed and the cache flushed while a lookup is under way; it ends as it began.
#[test]
fn the_state_can_be_changed_under_a_lookup() {
    let net = Net::new(|seen| vec![Reply::from(Message::to(seen).a(&seen.name, 60, 1)).after(1000)]);
    let resolver = resolver(&net, &["10.0.0.1"]);
    virtual_time::block_on(async {
        let meddle = async {
            Timer::after(Duration::from_millis(500)).await;
            resolver.set_servers(&[ip("10.0.0.2")]);
            resolver.flush_cache();
            let _ = resolver.stats();
            assert_eq!(resolver.servers().as_slice(), [ip("10.0.0.2")]);
        };
        let (found, ()) = embassy_futures::join::join(resolver.lookup(NAME, Family::V4), meddle).await;
        assert_eq!(found.map(|addresses| addresses.to_vec()), ips(&["192.0.2.1"]));
    });
    assert_eq!(lookup(&resolver, NAME, Family::V4), ips(&["192.0.2.1"]));
    assert_eq!(net.queries(), 2, "what the first server said is not kept for the second");
}

/// What the sockets of a stack keep in the future comes on top.
#[test]
fn the_future_of_a_lookup_is_small() {
    let net = Net::new(|_| vec![]);
    let resolver = resolver(&net, &["10.0.0.1"]);
    let mut buffer = [0; 253];
    let lookup = size_of_val(&resolver.lookup(NAME, Family::Both));
    let reverse = size_of_val(&resolver.reverse(ip("192.0.2.1"), &mut buffer));
    std::println!("bytes: lookup {lookup}, reverse {reverse}, resolver {}", size_of::<Resolver<()>>());
    assert!(lookup <= 2304 && reverse <= 2304, "lookup {lookup}, reverse {reverse}");
}
