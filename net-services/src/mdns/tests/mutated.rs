//! Valid messages, changed at random: 200,000 of them.

use core::net::{IpAddr, SocketAddr};
use std::format;
use std::vec;
use std::vec::Vec;

use domain::base::Rtype;

use super::link::{Link, Quality};
use crate::mdns::name::{by_ref, service_type};
use crate::mdns::random::Random;
use crate::mdns::testing::{Compose, Device, PEER, Put};
use crate::mdns::{GROUP_V4, GROUP_V6, PORT, Service};

/// Messages of devices that find each other, and of others that do what those do not.
fn valid() -> Vec<Vec<u8>> {
    let mut link = Link::new(Quality::PERFECT, 1);
    let kind = service_type("_lamp._tcp").unwrap();
    for i in 1..=3 {
        let device = link.add();
        let (v4, v6) = (format!("192.0.2.{}/24", 90 + i), format!("fe80::9{i}/64"));
        let id = link.with(device, |engine, now| {
            engine.set_host_name(now, "lamp").unwrap();
            engine.ask(now, &by_ref(&kind), Rtype::PTR, true).unwrap();
            let (subtypes, txt) = (&["_desk", "_wall"], &["path=/", "lit"]);
            let lamp = Service { instance: "Lamp", kind: "_lamp._tcp", port: 7, subtypes, txt, ..Service::default() };
            engine.publish(now, &lamp).unwrap()
        });
        link.connect(device, &[&v4, &v6]);
        link.run(400);
        if i == 3 {
            link.run(10_000);
            link.with(device, |engine, now| engine.set_txt(now, id, &["path=/new"]).unwrap());
            link.run(100_000);
            link.with(device, |engine, now| engine.shut_down(now));
        }
    }
    let mut all: Vec<Vec<u8>> = link.seen.iter().map(|seen| seen.bytes.to_vec()).collect();
    let lamp = "Lamp._lamp._tcp.local";
    let mut many = Compose::query().truncated().ask("_lamp._tcp.local", Rtype::PTR);
    for i in 0..60 {
        many = many.answer("_lamp._tcp.local", 4000, &Put::Ptr(&format!("Lamp ({i})._lamp._tcp.local")));
    }
    let others = [
        many,
        Compose::query().ask("lamp.local", Rtype::A).id(77),
        Compose::query().ask_unicast("lamp.local", Rtype::ANY).ask_unicast(lamp, Rtype::ANY),
        Compose::query().ask("_services._dns-sd._udp.local", Rtype::PTR).ask("1.2.0.192.in-addr.arpa", Rtype::PTR),
        Compose::query().ask("lamp.local", Rtype::ANY).propose("lamp.local", &Put::Address("192.0.2.255")),
        Compose::query().ask(lamp, Rtype::ANY).propose(lamp, &Put::Srv(9, "z.local")).propose(lamp, &Put::Txt(b"\0")),
        Compose::response().answer("lamp.local", 120, &Put::Address("192.0.2.77")),
        Compose::response().answer("lamp.local", 60, &Put::Address("192.0.2.1")),
        Compose::response().answer(lamp, 120, &Put::Srv(9, "other.local")).answer(lamp, 4500, &Put::Txt(b"\x01x")),
        Compose::response().answer("_lamp._tcp.local", 0, &Put::Ptr(lamp)),
        Compose::response()
            .answer("_lamp._tcp.local", 4500, &Put::Ptr("O._lamp._tcp.local"))
            .answer("O._lamp._tcp.local", 120, &Put::Srv(1, "o.local"))
            .answer("O._lamp._tcp.local", 4500, &Put::Txt(b"\x03a=1\x01b"))
            .answer("o.local", 120, &Put::Address("192.0.2.5"))
            .answer("o.local", 120, &Put::Address("fe80::5"))
            .answer("o.local", 120, &Put::Nsec(&[Rtype::A, Rtype::AAAA])),
        Compose::response().answer("lamp.local", 120, &Put::Other(Rtype::HINFO, b"\x01x\x01y")),
    ];
    all.extend(others.iter().map(Compose::bytes));
    all
}

fn below(random: &mut Random, n: usize) -> usize {
    (random.next_u64() % n.max(1) as u64) as usize
}

/// A copy with bits turned over, bytes that mean something to a parser, parts cut off, put in twice, or of another.
fn mutate(random: &mut Random, all: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = all[below(random, all.len())].clone();
    for _ in 0..=below(random, 3) {
        let length = bytes.len();
        match below(random, 7) {
            0 | 1 => {
                for _ in 0..=below(random, 8) {
                    let at = below(random, length);
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << below(random, 8);
                    }
                }
            }
            2 => {
                let values = [0, 1, 0x0c, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff];
                let (at, value) = (below(random, length), values[below(random, values.len())]);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            3 => bytes.truncate(below(random, length + 1)),
            4 => {
                // The counts of the sections, and the flags.
                let at = 2 + below(random, 10);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = below(random, 256) as u8;
                }
            }
            5 => {
                let other = &all[below(random, all.len())];
                let (at, from) = (below(random, length + 1), below(random, other.len() + 1));
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            _ => {
                let from = below(random, length + 1);
                let to = from + below(random, (length - from).min(40) + 1);
                let again = bytes[from..to].to_vec();
                bytes.splice(from..from, again);
            }
        }
    }
    bytes.truncate(9000);
    bytes
}

/// Issue, item 4; class CVE-2020-24338 and all others of hostile.md that a parser may have.
#[test]
fn two_hundred_thousand_mutated_messages() {
    let all = valid();
    assert!(all.len() > 30, "{}", all.len());
    let mut random = Random::new(7);
    let sources: [(&str, u16); 5] =
        [(PEER, PORT), (PEER, 40000), ("fe80::99", PORT), ("198.51.100.1", PORT), ("192.0.2.1", PORT)];
    let mut conflicts = 0;
    for seed in 0..20 {
        let mut device = Device::new(seed);
        device.engine.set_host_name(device.now, "lamp").unwrap();
        let lamp = Service { instance: "Lamp", kind: "_lamp._tcp", port: 7, txt: &["a=1"], ..Service::default() };
        let id = device.engine.publish(device.now, &lamp).unwrap();
        for kind in ["_lamp._tcp", "_desk._sub._lamp._tcp"] {
            let kind = service_type(kind).unwrap();
            device.engine.ask(device.now, &by_ref(&kind), Rtype::PTR, true).unwrap();
        }
        device.connect(&["192.0.2.1/24", "fe80::1/64"]);
        device.run(3000);
        for _ in 0..10_000 {
            let bytes = mutate(&mut random, &all);
            let (from, port) = sources[below(&mut random, sources.len())];
            let from: IpAddr = from.parse().unwrap();
            let group: IpAddr = if from.is_ipv4() { GROUP_V4.into() } else { GROUP_V6.into() };
            let own: IpAddr = if from.is_ipv4() { [192, 0, 2, 1].into() } else { "fe80::1".parse().unwrap() };
            let to = if below(&mut random, 4) == 0 { own } else { group };
            device.receive(SocketAddr::new(from, port), to, &bytes);
            device.run(random.next_u64() % 50);
        }
        conflicts += device.engine.stats().conflicts;
        // What is left of a conflict: it waits for 5 s after many, and probes for up to a second.
        device.run(7000);
        assert!(device.engine.is_established(id), "seed {seed}");
        let host = format!("{}.local", device.engine.host_name());
        let instance = format!("{}._lamp._tcp.local", device.engine.service_name(id).unwrap());
        assert!(host.starts_with("lamp") && instance.starts_with("Lamp"), "seed {seed}: {host} {instance}");
        let mut answers = vec![];
        answers.extend(device.hear(&Compose::query().ask(&host, Rtype::A).ask(&instance, Rtype::SRV)));
        answers.extend(device.run(2000));
        for text in [format!("{host} A 192.0.2.1"), format!("{instance} SRV 0 0 7 {host}")] {
            assert!(answers.iter().any(|sent| sent.read().line(&text).is_some()), "seed {seed}: {text} {answers:?}");
        }
    }
    assert!(conflicts > 100, "the messages do not get far: {conflicts} conflicts");
}
