//! Several devices that want the same names; and one that hears itself.

use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use domain::base::Rtype;

use super::link::{Link, Quality, Reflector};
use crate::mdns::name::{by_ref, service_type};
use crate::mdns::{Event, Service, ServiceId};

const TYPE: &str = "_lamp._tcp";
const LOSSY: Quality = Quality { loss_per_mille: 100, duplicate_per_mille: 50, delay: (1, 20) };

/// `count` devices that are all called `lamp` and publish a service `Lamp`; not connected yet.
fn lamps(quality: Quality, seed: u64, count: usize) -> (Link, Vec<ServiceId>) {
    let mut link = Link::new(quality, seed);
    let ids = (0..count).map(|_| {
        let device = link.add();
        link.with(device, |engine, now| {
            engine.set_host_name(now, "lamp").unwrap();
            let lamp = Service { instance: "Lamp", kind: TYPE, port: 7, ..Service::default() };
            engine.publish(now, &lamp).unwrap()
        })
    });
    let ids = ids.collect();
    (link, ids)
}

/// IPv4, IPv6, or both.
fn connect(link: &mut Link, device: usize) {
    let (v4, v6) = (format!("10.0.0.{}/16", device + 1), format!("fe80::{:x}/64", device + 1));
    link.connect(device, &[&v4, &v6]);
}

fn renames(link: &Link) -> usize {
    let events = link.nodes.iter().flat_map(|node| &node.events);
    events.filter(|(_, event)| matches!(event, Event::HostRenamed | Event::ServiceRenamed(_))).count()
}

/// The names of the services as they are now.
fn service_names(link: &Link, ids: &[ServiceId]) -> Vec<String> {
    let names = link.nodes.iter().zip(ids).map(|(node, id)| node.engine.service_name(*id).unwrap().to_string());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// All names differ, one of each is as it was meant to be, all are established, and it stays so.
fn assert_settled(link: &mut Link, ids: &[ServiceId], what: &str) {
    let state = |link: &Link| (link.host_names(), service_names(link, ids));
    let (hosts, services) = state(link);
    let original = |names: &[String], name: &str| names.iter().filter(|n| *n == name).count();
    let different = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(different(&hosts), ids.len(), "{what}: {hosts:?}");
    assert_eq!(different(&services), ids.len(), "{what}: {services:?}");
    assert_eq!(original(&hosts, "lamp"), 1, "{what}: {hosts:?}");
    assert_eq!(original(&services, "Lamp"), 1, "{what}: {services:?}");
    for (node, id) in link.nodes.iter().zip(ids) {
        assert!(node.engine.is_established(*id), "{what}");
    }
    let before = renames(link);
    link.run(300_000);
    assert_eq!((hosts, services), state(link), "{what}: names that were settled change");
    assert_eq!(renames(link), before, "{what}");
}

/// M-5, M-9: of those that start at the same moment, one keeps the name, and each of the others gets one of its own.
#[test]
fn of_several_that_start_together_one_keeps_the_name() {
    for count in 2..=10 {
        for seed in 0..5 {
            let (mut link, ids) = lamps(Quality::PERFECT, seed, count);
            for device in 0..count {
                connect(&mut link, device);
            }
            link.run(bound(count));
            assert_settled(&mut link, &ids, &format!("{count} devices, seed {seed}"));
        }
    }
}

/// How long it may take: each round of probing leaves one name taken: a second of probing, a second that the losers wait,
/// and a second of probing again, which the winner answers. First for the hosts, then for the services.
const fn bound(count: usize) -> u64 {
    10_000 + 6_000 * count as u64
}

#[test]
fn of_several_that_start_one_after_the_other_one_keeps_the_name() {
    for (spread, seed) in [(50, 1), (130, 2), (250, 3), (333, 4), (700, 5), (1500, 6), (4000, 7)] {
        for count in [2, 3, 5, 10] {
            let (mut link, ids) = lamps(Quality::PERFECT, seed, count);
            for device in 0..count {
                connect(&mut link, device);
                link.run(spread);
            }
            link.run(bound(count));
            assert_settled(&mut link, &ids, &format!("{count} devices, one each {spread} ms"));
        }
    }
}

/// With loss a conflict may be seen late, but in the end it is, as somebody browses.
#[test]
fn conflicts_are_settled_with_loss_too() {
    for seed in 0..20 {
        let count = 2 + seed as usize % 5;
        let (mut link, ids) = lamps(LOSSY, seed, count);
        let kind = service_type(TYPE).unwrap();
        for device in 0..count {
            connect(&mut link, device);
            link.with(device, |engine, now| engine.ask(now, &by_ref(&kind), Rtype::PTR, true).unwrap());
            link.run(100 * (seed % 4));
        }
        link.run(bound(count) + 240_000);
        assert_settled(&mut link, &ids, &format!("{count} devices, seed {seed}"));
    }
}

/// M-14: two halves of a link that were apart, each with its own `lamp`, `lamp-2` ... When they are joined and nobody
/// notices, the records that they tell when they are asked show the conflict.
#[test]
fn when_a_divided_link_heals_the_conflicts_are_settled() {
    for seed in 0..10 {
        let count = 2 + 2 * (seed as usize % 3);
        let (mut link, ids) = lamps(Quality::PERFECT, seed, count);
        let kind = service_type(TYPE).unwrap();
        for device in 0..count {
            link.nodes[device].side = (device % 2) as u8;
            connect(&mut link, device);
            link.with(device, |engine, now| engine.ask(now, &by_ref(&kind), Rtype::PTR, true).unwrap());
        }
        link.run(60_000);
        assert_eq!(link.host_names().iter().filter(|name| *name == "lamp").count(), 2);
        let before = renames(&link);
        for node in &mut link.nodes {
            node.side = 0;
        }
        // Records of 120 s are asked for again, and told, within that time.
        link.run(120_000 + bound(count));
        assert_settled(&mut link, &ids, &format!("{count} devices, seed {seed}"));
        // Each pair of one name costs one rename of the host and one of the service, more only as they take others' names.
        let since = renames(&link) - before;
        assert!(since <= count * count, "{count} devices renamed {since} times");
    }
}

/// M-11, M-14: the same when the link comes up anew for one half, as when a bridge returns.
#[test]
fn when_the_link_returns_names_are_probed_before_they_are_used_again() {
    for seed in 0..10 {
        let (mut link, ids) = lamps(Quality::PERFECT, seed, 2);
        link.nodes[1].side = 1;
        (0..2).for_each(|device| connect(&mut link, device));
        link.run(20_000);
        assert_eq!(link.host_names(), ["lamp", "lamp"]);
        link.disconnect(1);
        link.run(3000);
        link.nodes[1].side = 0;
        link.reconnect(1);
        link.run(20_000);
        assert_eq!(link.nodes[0].engine.host_name(), "lamp", "the one that was there keeps it");
        assert_settled(&mut link, &ids, &format!("seed {seed}"));
    }
}

const REFLECTORS: [Reflector; 6] = [
    Reflector { delay: (1, 1), own_address: false },
    Reflector { delay: (1, 1), own_address: true },
    Reflector { delay: (100, 900), own_address: false },
    Reflector { delay: (100, 900), own_address: true },
    Reflector { delay: (0, 3000), own_address: false },
    Reflector { delay: (0, 3000), own_address: true },
];

/// M-8: whatever comes back of what a device has sent, however late, is no conflict.
#[test]
fn what_a_device_hears_of_itself_is_no_conflict() {
    for (i, reflector) in REFLECTORS.into_iter().enumerate() {
        for seed in 0..10 {
            for addresses in [&["10.0.0.1/16"][..], &["fe80::1/64"], &["10.0.0.1/16", "fe80::1/64"]] {
                let (mut link, ids) = lamps(Quality::PERFECT, seed, 1);
                link.reflector = Some(reflector);
                link.connect(0, addresses);
                link.run(60_000);
                assert_eq!(link.host_names(), ["lamp"], "reflector {i}");
                link.disconnect(0);
                link.run(200);
                link.reconnect(0);
                link.run(30_000);
                link.with(0, |engine, now| engine.set_txt(now, ids[0], &["a=1"]).unwrap());
                link.run(5_000);
                assert_eq!((renames(&link), service_names(&link, &ids)), (0, Vec::from(["Lamp".into()])));
                assert!(link.nodes[0].engine.is_established(ids[0]));
            }
        }
    }
}

/// What was true a moment ago, and now is not, comes back late: the old address, the old attributes. The device may look
/// again whether the name is its own, but must not give it up.
#[test]
fn what_a_device_has_said_before_a_change_is_no_conflict() {
    for (i, reflector) in REFLECTORS.into_iter().enumerate() {
        for seed in 0..20 {
            let (mut link, ids) = lamps(Quality::PERFECT, seed, 1);
            link.reflector = Some(reflector);
            link.connect(0, &["10.0.0.1/16", "fe80::1/64"]);
            // Changes at every moment of probing, announcing, and afterwards.
            link.run(seed * 250);
            link.connect(0, &["10.0.0.2/16", "fe80::1/64"]);
            link.run(400);
            link.with(0, |engine, now| engine.set_txt(now, ids[0], &["a=1"]).unwrap());
            link.run(400);
            link.connect(0, &["10.0.0.3/16", "fe80::2/64", "2001:db8::1/64"]);
            link.run(400);
            link.with(0, |engine, now| engine.set_txt(now, ids[0], &["a=2"]).unwrap());
            link.run(60_000);
            assert_eq!(link.host_names(), ["lamp"], "reflector {i}, seed {seed}");
            assert_eq!(service_names(&link, &ids), ["Lamp"], "reflector {i}, seed {seed}");
            assert!(link.nodes[0].engine.is_established(ids[0]));
        }
    }
}

/// Two devices with different names, and an access point that sends everything back: they find each other, and nothing else
/// happens.
#[test]
fn a_reflector_does_not_disturb_two_devices() {
    for (seed, reflector) in REFLECTORS.into_iter().enumerate() {
        let (mut link, ids) = lamps(Quality::PERFECT, seed as u64, 2);
        link.reflector = Some(reflector);
        link.with(1, |engine, now| engine.set_host_name(now, "torch").unwrap());
        link.with(1, |engine, now| engine.withdraw(now, ids[1]).unwrap());
        (0..2).for_each(|device| connect(&mut link, device));
        link.run(120_000);
        assert_eq!((renames(&link), link.host_names()), (0, Vec::from(["lamp".into(), "torch".into()])));
        let sent: Vec<u64> = link.nodes.iter().map(|node| node.sent.datagrams).collect();
        // Probing and announcing a host and a service, over two IP versions.
        assert!(sent.iter().all(|sent| *sent < 40), "seed {seed}: it answers its own echo: {sent:?}");
    }
}
