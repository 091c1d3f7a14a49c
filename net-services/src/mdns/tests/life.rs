//! What happens to a device: its link, its addresses, sleep, and what its user does.

use std::boxed::Box;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use domain::base::Rtype;
use domain::base::message::Section;
use net_core::time::Duration;

use super::link::{Link, Quality, resolved};
use crate::mdns::name::{by_ref, service_type};
use crate::mdns::testing::{Device, Sent, name, text_of};
use crate::mdns::{Config, Engine, Event, MdnsError, Resources, SUBTYPES, Service, ServiceId};

const TYPE: &str = "_lamp._tcp";
/// The device that is tested, and the one that looks on.
const LAMP: usize = 0;
const WATCHER: usize = 1;

/// A lamp that is not connected yet, and somebody who browses.
fn lamp_and_watcher(seed: u64) -> (Link, ServiceId) {
    let mut link = Link::new(Quality::PERFECT, seed);
    link.add();
    link.add();
    let id = link.with(LAMP, |engine, now| {
        engine.set_host_name(now, "lamp").unwrap();
        engine.publish(now, &Service { instance: "Lamp", kind: TYPE, port: 7, ..Service::default() }).unwrap()
    });
    let kind = service_type(TYPE).unwrap();
    link.with(WATCHER, |engine, now| engine.ask(now, &by_ref(&kind), Rtype::PTR, true).unwrap());
    link.connect(WATCHER, &["10.0.0.2/16", "fe80::2/64"]);
    (link, id)
}

fn seen(link: &Link) -> Vec<String> {
    resolved(&link.nodes[WATCHER].engine, link.now, TYPE).into_iter().collect()
}

/// What the watcher knows of a name and type.
fn known(link: &Link, of: &str, rtype: Rtype) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    link.nodes[WATCHER].engine.visit(link.now, &by_ref(&name(of)), rtype, &mut |data| {
        all.insert(text_of(data));
    });
    all
}

/// The records that the lamp has told since its `from`th message, and those it has taken back: as text, without TTL.
fn told(link: &Link, from: usize) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut told, mut withdrawn) = (BTreeSet::new(), BTreeSet::new());
    for seen in link.seen[from..].iter().filter(|seen| seen.device == LAMP) {
        let read = seen.read();
        for line in read.records.iter().filter(|line| read.response && line.section == Section::Answer) {
            let text = format!("{} {}", line.name, line.text);
            if line.ttl == 0 {
                withdrawn.insert(text)
            } else {
                told.insert(text)
            };
        }
    }
    (told, withdrawn)
}

/// M-11: the link goes down and up again at every moment of probing and announcing.
#[test]
fn the_link_flaps_at_every_moment() {
    for moment in 0..80 {
        for down_for in [0, 10, 300, 5000] {
            let (mut link, id) = lamp_and_watcher(moment);
            link.connect(LAMP, &["10.0.0.1/16", "fe80::1/64"]);
            link.run(moment * 50);
            link.disconnect(LAMP);
            let from = link.seen.len();
            link.run(down_for);
            assert!(link.seen[from..].iter().all(|seen| seen.device != LAMP), "it sends while the link is down");
            link.reconnect(LAMP);
            link.run(4000);
            assert!(link.nodes[LAMP].engine.is_established(id), "{moment} {down_for}");
            assert_eq!(seen(&link), ["Lamp"], "{moment} {down_for}");
            // It has probed again before it announced.
            let of_lamp: Vec<_> = link.seen[from..].iter().filter(|seen| seen.device == LAMP).collect();
            let probes = of_lamp.iter().filter(|seen| !seen.read().authority().is_empty());
            assert!(probes.count() >= 3, "M-1: {moment} {down_for}");
            assert!(of_lamp[0].read().authority().iter().any(|line| line.starts_with("lamp.local ")), "{moment}");
            assert_eq!(link.nodes[LAMP].engine.host_name(), "lamp");
        }
    }
}

/// M-11: the address changes at every moment; in the end exactly the new ones are known.
#[test]
fn addresses_change_at_every_moment() {
    for moment in 0..60 {
        let (mut link, _) = lamp_and_watcher(moment);
        link.connect(LAMP, &["10.0.0.1/16"]);
        link.run(moment * 60);
        link.connect(LAMP, &["10.0.0.1/16", "fe80::1/64"]);
        link.run(moment * 13 % 500);
        link.connect(LAMP, &["10.0.7.7/16", "fe80::1/64"]);
        link.run(5000);
        assert_eq!(seen(&link), ["Lamp"], "{moment}");
        assert_eq!(known(&link, "lamp.local", Rtype::A), ["A 10.0.7.7".to_string()].into(), "{moment}");
        assert_eq!(known(&link, "lamp.local", Rtype::AAAA), ["AAAA fe80::1".to_string()].into(), "{moment}");
        link.connect(LAMP, &["10.0.7.7/16"]);
        link.run(5000);
        assert_eq!(known(&link, "lamp.local", Rtype::A), ["A 10.0.7.7".to_string()].into(), "{moment}");
        assert!(!known(&link, "lamp.local", Rtype::AAAA).iter().any(|data| data.starts_with("AAAA")), "{moment}");
        link.connect(LAMP, &[]);
        link.run(3000);
        link.connect(LAMP, &["10.0.8.8/16"]);
        link.run(5000);
        assert_eq!(known(&link, "lamp.local", Rtype::A), ["A 10.0.8.8".to_string()].into(), "{moment}");
        assert_eq!(link.nodes[LAMP].engine.host_name(), "lamp");
    }
}

/// The old address gets a goodbye if it was told (M-11), and so do its reverse name and nothing else.
#[test]
fn the_old_address_is_withdrawn() {
    let (mut link, _) = lamp_and_watcher(1);
    link.connect(LAMP, &["10.0.0.1/16"]);
    link.run(5000);
    let from = link.seen.len();
    link.connect(LAMP, &["10.0.0.9/16"]);
    link.run(5000);
    let (told, withdrawn) = told(&link, from);
    assert!(told.contains("lamp.local A 10.0.0.9"), "{told:?}");
    let expected = ["lamp.local A 10.0.0.1", "1.0.0.10.in-addr.arpa PTR lamp.local"];
    assert_eq!(withdrawn, expected.map(String::from).into());
}

/// A device that has slept for longer than its records live, with others that go on.
#[test]
fn after_a_sleep_all_is_as_before() {
    for minutes in [1, 3, 80, 100_000] {
        let (mut link, id) = lamp_and_watcher(5);
        link.connect(LAMP, &["10.0.0.1/16"]);
        // It browses too, for what it and the watcher have.
        link.with(WATCHER, |engine, now| {
            engine.set_host_name(now, "torch").unwrap();
            engine.publish(now, &Service { instance: "Torch", kind: TYPE, port: 7, ..Service::default() }).unwrap()
        });
        let kind = service_type(TYPE).unwrap();
        link.with(LAMP, |engine, now| engine.ask(now, &by_ref(&kind), Rtype::PTR, true).unwrap());
        link.run(10_000);
        // All of the link sleeps: time jumps, then both begin anew.
        link.now += Duration::from_secs(minutes * 60);
        link.with(LAMP, Engine::restart);
        link.with(WATCHER, Engine::restart);
        link.run(6000);
        assert!(link.nodes[LAMP].engine.is_established(id));
        assert_eq!(seen(&link), ["Lamp", "Torch"], "{minutes} min");
        assert_eq!(resolved(&link.nodes[LAMP].engine, link.now, TYPE).len(), 2, "{minutes} min");
        // And without being told that it has slept it loses nothing either.
        link.now += Duration::from_secs(minutes * 60);
        link.run(10_000);
        assert_eq!(seen(&link), ["Lamp", "Torch"], "{minutes} min, not told");
        assert_eq!(link.host_names(), ["lamp", "torch"]);
    }
}

/// M-12: goodbyes at every moment for all that was told, and for nothing that was not; and everything again afterwards.
#[test]
fn it_is_shut_down_at_every_moment() {
    for moment in 0..80 {
        let (mut link, id) = lamp_and_watcher(moment);
        link.connect(LAMP, &["10.0.0.1/16", "fe80::1/64"]);
        link.run(moment * 40);
        let (before, _) = told(&link, 0);
        let from = link.seen.len();
        link.with(LAMP, |engine, now| engine.shut_down(now));
        link.run(2000);
        assert!(link.nodes[LAMP].engine.is_shut_down(), "{moment}");
        let (after, withdrawn) = told(&link, from);
        assert!(after.is_empty(), "{moment}: {after:?}");
        let before: BTreeSet<_> = before.into_iter().filter(|line| !line.contains(" NSEC ")).collect();
        let withdrawn: BTreeSet<_> = withdrawn.into_iter().filter(|line| !line.contains(" NSEC ")).collect();
        assert_eq!(before, withdrawn, "{moment}");
        link.run(2000);
        assert_eq!(seen(&link), [] as [&str; 0], "{moment}");
        let from = link.seen.len();
        link.run(60_000);
        assert!(link.seen[from..].iter().all(|seen| seen.device != LAMP), "it goes on after its end");
        link.disconnect(LAMP);
        link.run(500);
        link.reconnect(LAMP);
        link.run(4000);
        assert!(link.nodes[LAMP].engine.is_established(id), "{moment}");
        assert_eq!(seen(&link), ["Lamp"], "{moment}: run again");
    }
}

/// M-12: a service is withdrawn at every moment of probing and announcing; the host and another service stay.
#[test]
fn a_service_is_withdrawn_at_every_moment() {
    for moment in 0..80 {
        let (mut link, id) = lamp_and_watcher(moment);
        let other = Service { instance: "Other", kind: TYPE, port: 8, ..Service::default() };
        link.with(LAMP, |engine, now| engine.publish(now, &other).unwrap());
        link.connect(LAMP, &["10.0.0.1/16"]);
        link.run(moment * 40);
        let of_lamp = |lines: BTreeSet<String>| -> BTreeSet<String> {
            lines.into_iter().filter(|line| line.contains("Lamp.") && !line.contains(" NSEC ")).collect()
        };
        let before = of_lamp(told(&link, 0).0);
        let from = link.seen.len();
        link.with(LAMP, |engine, now| engine.withdraw(now, id).unwrap());
        assert_eq!(link.nodes[LAMP].engine.service_name(id), None);
        link.with(LAMP, |engine, now| {
            assert_eq!(engine.withdraw(now, id), Err(MdnsError::Unknown));
            assert_eq!(engine.set_txt(now, id, &[]), Err(MdnsError::Unknown));
        });
        link.run(5000);
        let (after, withdrawn) = told(&link, from);
        assert_eq!((of_lamp(after), of_lamp(withdrawn.clone())), (BTreeSet::new(), before), "{moment}");
        assert!(withdrawn.iter().all(|line| !line.contains("Other") && !line.starts_with("lamp.local")), "{moment}");
        assert!(!withdrawn.contains("_services._dns-sd._udp.local PTR _lamp._tcp.local"), "the type is still there");
        assert_eq!(seen(&link), ["Other"], "{moment}");
    }
}

/// M-9: the host is renamed while its services are established: they follow, without a new name of their own.
#[test]
fn services_follow_a_renamed_host() {
    for seed in 0..10 {
        let (mut link, id) = lamp_and_watcher(seed);
        link.connect(LAMP, &["10.0.0.1/16"]);
        link.run(5000);
        let from = link.seen.len();
        link.with(LAMP, |engine, now| engine.set_host_name(now, "torch").unwrap());
        link.run(5000);
        assert_eq!(seen(&link), ["Lamp"]);
        let srv = known(&link, "Lamp._lamp._tcp.local", Rtype::SRV);
        assert_eq!(srv, ["SRV 0 0 7 torch.local".to_string()].into(), "seed {seed}");
        assert!(known(&link, "lamp.local", Rtype::A).is_empty(), "seed {seed}: the old name is withdrawn");
        let (_, withdrawn) = told(&link, from);
        assert!(withdrawn.contains("lamp.local A 10.0.0.1"), "seed {seed}: {withdrawn:?}");
        assert_eq!(link.nodes[LAMP].engine.service_name(id).as_deref(), Some("Lamp"));
        // Twice at once, and back.
        for new in ["a", "b", "torch", "lamp"] {
            link.with(LAMP, |engine, now| engine.set_host_name(now, new).unwrap());
            link.run(100);
        }
        link.run(6000);
        let srv = known(&link, "Lamp._lamp._tcp.local", Rtype::SRV);
        assert_eq!(srv, ["SRV 0 0 7 lamp.local".to_string()].into(), "seed {seed}");
        assert_eq!((seen(&link), link.host_names()[1].as_str()), (vec!["Lamp".into()], "lamp"));
    }
}

/// M-11, M-20: TXT data that changes all the time costs at most a message a second, and the last is known in the end.
#[test]
fn a_storm_of_attributes() {
    let (mut link, id) = lamp_and_watcher(3);
    link.connect(LAMP, &["10.0.0.1/16"]);
    link.run(10_000);
    let (from, began) = (link.seen.len(), link.now);
    for n in 0..2000 {
        link.with(LAMP, |engine, now| engine.set_txt(now, id, &[&format!("n={n}")]).unwrap());
        link.run(10);
    }
    link.run(4000);
    let seconds = link.now.saturating_duration_since(began).as_secs() as usize;
    let sent = link.seen[from..].iter().filter(|seen| seen.device == LAMP).count();
    assert!(sent <= 2 * seconds, "{sent} messages in {seconds} s");
    let txt = known(&link, "Lamp._lamp._tcp.local", Rtype::TXT);
    assert_eq!(txt, ["TXT \\x06n=1999".to_string()].into(), "exactly the last");
    // The same again is no change.
    let from = link.seen.len();
    link.with(LAMP, |engine, now| engine.set_txt(now, id, &["n=1999"]).unwrap());
    link.run(1000);
    assert_eq!(link.seen.len(), from);
}

/// Each pool is filled to its end: what does not fit is refused, the rest works, and what was freed can be used again.
#[test]
fn all_memory_is_used_up() {
    let mut device = Device::with(Config::new(), Box::leak(Box::new(Resources::<3, 3, 4>::new())), 1);
    let now = device.now;
    device.engine.set_host_name(now, "lamp").unwrap();
    device.connect(&["192.0.2.1/24"]);
    let long = format!("k={}", "x".repeat(250));
    let txt = [long.as_str()];
    let service = Service { instance: "One", kind: "_a._tcp", port: 1, ..Service::default() };
    let one = device.engine.publish(now, &service).unwrap();
    // Bytes: 3 * 128, of which TXT data of 253 bytes takes most.
    let two = device.engine.publish(now, &Service { instance: "Two", txt: &txt, ..service }).unwrap();
    assert_eq!(device.engine.publish(now, &Service { instance: "Three", txt: &txt, ..service }), Err(MdnsError::Full));
    assert_eq!(device.engine.set_txt(now, one, &txt), Err(MdnsError::Full));
    let three = device.engine.publish(now, &Service { instance: "Three", ..service }).unwrap();
    assert_eq!(device.engine.publish(now, &Service { instance: "Four", ..service }), Err(MdnsError::Full));
    assert_eq!(device.engine.delegate(now, "host", &["192.0.2.9".parse().unwrap()]), Err(MdnsError::Full));
    assert_eq!(device.engine.publish(now, &Service { instance: "ONE", ..service }), Err(MdnsError::Duplicate));
    device.run(5000);
    for id in [one, two, three] {
        assert!(device.engine.is_established(id));
    }
    device.engine.withdraw(device.now, two).unwrap();
    device.run(3000);
    assert!(device.engine.set_txt(device.now, one, &txt).is_ok(), "what was withdrawn is free again");
    let four = device.engine.publish(device.now, &Service { instance: "Four", ..service }).unwrap();
    device.run(5000);
    assert!(device.engine.is_established(four) && device.engine.is_established(one));

    // Questions: 3, with 3 * 40 bytes.
    let ask = |device: &mut Device, of: &str| device.engine.ask(device.now, &by_ref(&name(of)), Rtype::A, false);
    let long = format!("{}.local", "x".repeat(60));
    let first = ask(&mut device, "a.local").unwrap();
    ask(&mut device, &long).unwrap();
    assert_eq!(ask(&mut device, &format!("y{long}")).err(), Some(MdnsError::Full), "bytes");
    ask(&mut device, "b.local").unwrap();
    assert_eq!(ask(&mut device, "c.local").err(), Some(MdnsError::Full), "places");
    assert!(ask(&mut device, "A.local").is_ok(), "the same question takes no place");
    device.engine.forget(first);
    assert_eq!(ask(&mut device, "c.local").err(), Some(MdnsError::Full), "asked by another still");

    // With no memory at all it is still a host.
    let mut device = Device::with(Config::new(), Box::leak(Box::new(Resources::<0, 0, 0>::new())), 1);
    device.engine.set_host_name(device.now, "lamp").unwrap();
    assert_eq!(device.engine.publish(device.now, &service), Err(MdnsError::Full));
    assert_eq!(ask(&mut device, "a.local").err(), Some(MdnsError::Full));
    device.connect(&["192.0.2.1/24"]);
    let sent: Vec<Sent> = device.run(5000);
    assert!(sent.iter().any(|sent| sent.read().answers().contains(&"lamp.local A 192.0.2.1".to_string())));
    assert_eq!(device.engine.poll_event(), Some(Event::HostEstablished));
}

/// The most that one service may have: subtypes, attributes, long names.
#[test]
fn the_largest_service_is_found() {
    let mut link = Link::new(Quality::PERFECT, 1);
    link.add_with(Box::leak(Box::new(Resources::<16, 2, 4>::new())));
    link.add_with(Box::leak(Box::new(Resources::<1, 4, 64>::new())));
    let instance = "é".repeat(31);
    let subtypes: Vec<String> = (0..SUBTYPES).map(|i| format!("_{}{i}", "s".repeat(60))).collect();
    let subtypes: Vec<&str> = subtypes.iter().map(String::as_str).collect();
    let strings: Vec<String> = (0..5).map(|i| format!("key{i}={}", "x".repeat(250))).collect();
    let txt: Vec<&str> = strings.iter().map(String::as_str).collect();
    let service = Service {
        instance: &instance,
        kind: TYPE,
        subtypes: &subtypes,
        port: 65535,
        txt: &txt,
        host: None,
        priority: 65535,
        weight: 65535,
    };
    link.with(LAMP, |engine, now| {
        engine.set_host_name(now, &"h".repeat(63)).unwrap();
        engine.publish(now, &service).unwrap();
    });
    let kind = service_type(&format!("{}._sub.{TYPE}", subtypes[1])).unwrap();
    link.with(WATCHER, |engine, now| engine.ask(now, &by_ref(&kind), Rtype::PTR, true).unwrap());
    link.connect(LAMP, &["10.0.0.1/16", "fe80::1/64"]);
    link.connect(WATCHER, &["10.0.0.2/16", "fe80::2/64"]);
    link.run(6000);
    let found = resolved(&link.nodes[WATCHER].engine, link.now, &format!("{}._sub.{TYPE}", subtypes[1]));
    assert_eq!(found, [instance].into());
    assert!(link.seen.iter().all(|seen| seen.bytes.len() <= 1472), "M-36");
}
