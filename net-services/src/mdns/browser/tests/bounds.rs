use core::mem::size_of;
use domain::base::Rtype;
use domain::base::message::Section;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::super::pool::Slot;
use super::super::super::random::Random;
use super::super::super::testing::{Compose, Put};
use super::super::super::{RECORD_BYTES, cache, questions};
use super::*;

/// The README's numbers for memory rest on these.
#[test]
fn slots_are_small() {
    assert_eq!(size_of::<Slot<cache::Entry>>(), 28);
    assert_eq!(size_of::<Slot<questions::Entry>>(), 24);
}

fn host(i: usize) -> String {
    format!("h{i}.local")
}

fn hear_address(device: &mut Device, of: &str, last: u8) {
    device.hear(&Compose::response().answer(of, 120, &Put::Address(&format!("192.0.2.{last}"))));
}

/// M-45: what nobody asks for goes first, and of that what was of no use for longest.
#[test]
fn the_order_of_eviction() {
    let mut device = device_of::<8>(1);
    ask(&mut device, "wanted.local", Rtype::A, false);
    hear_address(&mut device, "wanted.local", 1);
    for i in 0..7 {
        device.run(1000);
        hear_address(&mut device, &host(i), 1);
    }
    device.run(1000);
    assert_eq!(seen(&device, "h0.local", Rtype::A).len(), 1, "used now");
    device.run(1000);
    hear_address(&mut device, "more.local", 1);
    let left: Vec<_> = (0..7).filter(|i| !seen(&device, &host(*i), Rtype::A).is_empty()).collect();
    assert_eq!(left, [0, 2, 3, 4, 5, 6]);
    assert_eq!(seen(&device, "wanted.local", Rtype::A).len(), 1, "though it is the oldest");
    assert_eq!(device.engine.stats().evicted, 1);
}

/// M-45: what is of no interest never takes the place of what is; what is takes that of the one unused for longest.
#[test]
fn interest_outweighs_age() {
    let mut device = device_of::<4>(1);
    ask(&mut device, TYPE, Rtype::PTR, false);
    let pointer = |i: usize| Compose::response().answer(TYPE, 4500, &Put::Ptr(&format!("x{i}.{TYPE}")));
    for i in 0..4 {
        device.hear(&pointer(i));
        device.run(1000);
    }
    for i in 0..100 {
        hear_address(&mut device, &host(i), 1);
    }
    assert_eq!((seen(&device, TYPE, Rtype::PTR).len(), device.engine.stats().evicted), (4, 100));
    // All were looked at just now; told again, they are fresher.
    device.run(1000);
    for i in [0, 1, 3] {
        device.hear(&pointer(i));
    }
    device.hear(&pointer(4));
    let instances: Vec<_> = [0, 1, 3, 4].iter().map(|i| format!("PTR x{i}.{TYPE}")).collect();
    assert_eq!(seen(&device, TYPE, Rtype::PTR), instances);
}

/// M-45: what a wanted record leads to is wanted too, in whatever order a message has them.
#[test]
fn what_is_led_to_has_the_same_claim() {
    let mut device = device_of::<8>(1);
    for i in 0..8 {
        hear_address(&mut device, &host(i), 1);
    }
    ask(&mut device, TYPE, Rtype::PTR, true);
    let x = format!("x.{TYPE}");
    device.hear(
        &Compose::response()
            .answer("a.local", 120, &Put::Address("192.0.2.7"))
            .answer(&x, 120, &Put::Srv(80, "a.local"))
            .answer(&x, 120, &Put::Txt(b"\0"))
            .answer(TYPE, 4500, &Put::Ptr(&x)),
    );
    for i in 10..100 {
        hear_address(&mut device, &host(i), 1);
    }
    for (of, rtype) in [(TYPE, Rtype::PTR), (&x, Rtype::SRV), (&x, Rtype::TXT), ("a.local", Rtype::A)] {
        assert_eq!(seen(&device, of, rtype).len(), 1, "{of}");
    }
}

/// And no longer than what leads to it.
#[test]
fn the_claim_ends_with_the_lead() {
    let mut device = device_of::<4>(1);
    let id = ask(&mut device, TYPE, Rtype::PTR, true);
    let x = format!("x.{TYPE}");
    device.hear(&Compose::response().answer(TYPE, 4500, &Put::Ptr(&x)).answer(&x, 120, &Put::Srv(80, "a.local")));
    device.engine.forget(id);
    device.run(1000);
    for i in 0..4 {
        hear_address(&mut device, &host(i), 1);
    }
    assert!(seen(&device, &x, Rtype::SRV).is_empty() && seen(&device, TYPE, Rtype::PTR).is_empty());
}

/// M-45: the bytes are bounded too. A record that is larger than the cache is not taken, and takes nothing's place.
#[test]
fn bytes_are_bounded() {
    let mut device = device_of::<4>(1);
    let text = |length: usize| [0].repeat(length);
    device.hear(&Compose::response().answer("small.local", 120, &Put::Txt(&text(10))));
    device.hear(&Compose::response().answer("huge.local", 120, &Put::Txt(&text(4 * RECORD_BYTES + 4))));
    assert_eq!(seen(&device, "small.local", Rtype::TXT).len(), 1);
    assert_eq!((seen(&device, "huge.local", Rtype::TXT).len(), device.engine.stats().evicted), (0, 1));
    device.hear(&Compose::response().answer("large.local", 120, &Put::Txt(&text(4 * RECORD_BYTES - 21))));
    assert_eq!(seen(&device, "small.local", Rtype::TXT).len(), 0);
    assert_eq!(seen(&device, "large.local", Rtype::TXT).len(), 1);
}

/// M-45: 2,000 records and more, of every kind, wanted or not, with any TTL: nothing breaks, what is told afterwards is taken, and not
/// much is sent.
fn flood<const R: usize>(ttl: u32, wanted: bool, instances: usize, together: usize) {
    let mut message = Compose::response();
    let mut device = device_of::<R>(1);
    if wanted {
        ask(&mut device, TYPE, Rtype::PTR, true);
    }
    ask(&mut device, "mine.local", Rtype::A, false);
    hear_address(&mut device, "mine.local", 1);
    let start = device.now.as_millis();
    let mut sent = 0;
    for i in 0..instances {
        let (x, h) = (format!("x{i}.{TYPE}"), host(i));
        message = message.answer(TYPE, ttl, &Put::Ptr(&x)).answer(&x, ttl, &Put::Srv(80, &h));
        message = message.answer(&h, ttl, &Put::Address("192.0.2.7"));
        if i % together == together - 1 {
            sent += device.hear(&core::mem::replace(&mut message, Compose::response())).len();
            sent += device.run(together as u64).len();
        }
    }
    sent += device.run(60_000).len();
    let spent = (device.now.as_millis() - start) / 1000;
    assert!(sent as u64 <= 20 * spent, "{sent} in {spent} s");
    let kept = seen(&device, TYPE, Rtype::PTR).len();
    assert!(if ttl == 0 { kept == 0 } else { kept > 0 && kept <= R }, "{kept}");
    hear_address(&mut device, "mine.local", 2);
    assert!(seen(&device, "mine.local", Rtype::A).contains(&"A 192.0.2.2".into()));
    // A cache as long as the TTL at the most.
    device.run(4_500_000);
    device.run(10);
    assert!(seen(&device, TYPE, Rtype::PTR).is_empty());
}

#[test]
fn floods_of_2000_records_are_survived_by_a_small_cache() {
    for (ttl, wanted) in [(u32::MAX, false), (u32::MAX, true), (0, true)] {
        flood::<32>(ttl, wanted, 2000, 1);
    }
}

#[test]
fn floods_of_2000_records_are_survived_by_a_large_cache() {
    for (ttl, wanted) in [(u32::MAX, true), (0, true)] {
        flood::<2048>(ttl, wanted, 720, 40);
    }
}

/// More instances than the cache has room for, all alive and answering: it keeps what fits, and does not ask for the rest
/// again and again.
#[test]
fn a_cache_that_is_too_small_asks_in_moderation() {
    const INSTANCES: usize = 30;
    let mut device = device_of::<32>(1);
    ask(&mut device, TYPE, Rtype::PTR, true);
    let x = |i: usize| format!("x{i}.{TYPE}");
    let mut queries = Vec::new();
    for second in 0..1800 {
        let sent = device.run(1000);
        for (_, of, rtype) in asked(&sent) {
            queries.push(second);
            let answer = Compose::response();
            let number = |of: &str| of.trim_start_matches(['x', 'h']).split('.').next().unwrap().parse().unwrap();
            device.hear(&match rtype {
                Rtype::PTR => (0..INSTANCES).fold(answer, |all, i| all.answer(TYPE, 4500, &Put::Ptr(&x(i)))),
                Rtype::SRV => answer.answer(&of, 120, &Put::Srv(80, &host(number(&of)))),
                Rtype::TXT => answer.answer(&of, 4500, &Put::Txt(b"\0")),
                _ => answer.answer(&of, 120, &Put::Address("192.0.2.7")).answer(&of, 120, &Put::Address("fe80::7")),
            });
        }
    }
    let late = queries.iter().filter(|second| **second >= 600).count();
    assert!(late <= 600, "{late} questions in 20 minutes");
}

/// Whatever comes in whatever order: no panic, no endless sending, and timers that lead somewhere.
#[test]
fn random_traffic_breaks_nothing() {
    let names = ["a.local", "b.local", TYPE, "x._http._tcp.local", "y._http._tcp.local", "7.2.0.192.in-addr.arpa"];
    let types = [Rtype::A, Rtype::AAAA, Rtype::PTR, Rtype::SRV, Rtype::TXT, Rtype::NSEC, Rtype::ANY];
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let mut device = device_of::<8>(seed);
        device.buffer = [60, 200, 1472][seed as usize % 3];
        let mut ids = Vec::new();
        for _ in 0..300 {
            let mut pick = |of: usize| (random.next_u64() % of as u64) as usize;
            let (of, to, rtype) = (names[pick(6)], names[pick(6)], types[pick(7)]);
            let ttl = [0, 1, 2, 10, 120, 4500, u32::MAX][pick(7)];
            let put = match rtype {
                Rtype::A => Put::Address(["192.0.2.7", "192.0.2.8"][pick(2)]),
                Rtype::AAAA => Put::Address("fe80::7"),
                Rtype::PTR => Put::Ptr(to),
                Rtype::SRV => Put::Srv(pick(2) as u16, to),
                Rtype::NSEC => Put::Nsec(&types[pick(5)..5]),
                _ => Put::Txt(&b"\x01a\x01b"[..pick(2) * 4]),
            };
            let (message, copies) = (Compose::response().put(Section::Answer, of, pick(2) == 0, ttl, &put), pick(3));
            match pick(12) {
                0 if ids.len() < 8 => ids.push(ask(&mut device, of, rtype, pick(2) == 0)),
                1 if !ids.is_empty() => device.engine.forget(ids.swap_remove(pick(ids.len()))),
                2 => drop(device.hear(&Compose::query().ask(of, rtype))),
                3 => drop(device.hear(&Compose::query().ask(of, rtype).put(Section::Answer, of, false, ttl, &put))),
                4 => device.engine.restart(device.now),
                5 => {
                    let mut bytes = message.bytes();
                    let at = pick(bytes.len());
                    bytes[at] ^= 1 << pick(8);
                    device.hear_from("192.0.2.99", &bytes);
                }
                6 if copies == 0 => {
                    device.engine.set_network(device.now, false, &[]);
                    device.run(50);
                    device.connect(&["192.0.2.1/24"]);
                }
                7 => drop(device.run(pick(1_000_000) as u64)),
                _ => drop(device.hear(&message)),
            }
            device.run(pick(2000) as u64);
        }
        for id in ids {
            device.engine.forget(id);
        }
        device.run(4_600_000);
        assert_eq!(device.engine.poll_timeout(), None, "seed {seed}");
    }
}
