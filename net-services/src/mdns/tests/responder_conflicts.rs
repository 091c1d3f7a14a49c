//! Conflicts: new names, tie-breaks, defending.

use std::format;
use std::vec::Vec;

use domain::base::Rtype;
use net_core::time::Duration;

use super::{START, WEB, esp32, esp32_with_web, events};
use crate::mdns::testing::{Compose, Device, Put, Sent};
use crate::mdns::{Event, Service};

fn other_host() -> Compose {
    Compose::response().answer("ESP32.local", 120, &Put::Address("192.0.2.50"))
}

fn other_service() -> Compose {
    Compose::response().answer("web._http._tcp.local", 120, &Put::Srv(8080, "other.local"))
}

fn first_probe(sent: &[Sent]) -> crate::mdns::testing::Read {
    sent.iter().map(Sent::read).find(|read| !read.response).unwrap()
}

/// M-4, M-9: whoever has the name answers: it is theirs, and another one is probed from the beginning.
#[test]
fn a_name_that_is_taken_gets_a_number() {
    let mut device = esp32(1);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    device.run(600); // some probes
    device.hear(&other_host());
    assert_eq!(device.engine.host_name(), "esp32-2");
    assert_eq!(events(&mut device), [Event::HostRenamed], "also without regard to case");
    device.hear(&other_service());
    assert_eq!(device.engine.service_name(service).unwrap(), "Web (2)");
    assert_eq!(events(&mut device), [Event::ServiceRenamed(service)]);
    let sent = device.run(5000);
    let probes: Vec<_> = sent.iter().filter(|sent| !sent.read().response).collect();
    let asked = |name: &str| probes.iter().filter(|s| s.read().questions.iter().any(|q| q.0 == name)).count();
    assert_eq!((asked("esp32-2.local"), asked("Web (2)._http._tcp.local")), (3, 3), "from the beginning");
    let announced: Vec<_> =
        sent.iter().filter(|sent| sent.read().response).flat_map(|sent| sent.read().answers()).collect();
    assert!(announced.iter().any(|text| text == "Web (2)._http._tcp.local SRV 0 0 80 esp32-2.local"));
    assert_eq!(events(&mut device), [Event::HostEstablished, Event::ServiceEstablished(service)]);
    assert_eq!(device.engine.stats().conflicts, 2);
}

/// M-9: a stored name is counted on from, and own names are skipped.
#[test]
fn numbers_go_on_and_skip_own_names() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "esp32-7").unwrap();
    device.engine.delegate(device.now, "esp32-8", &["192.0.2.8".parse().unwrap()]).unwrap();
    device.connect(&["192.0.2.1/24"]);
    device.hear(&Compose::response().answer("esp32-7.local", 120, &Put::Address("192.0.2.50")));
    assert_eq!(device.engine.host_name(), "esp32-9");
    let first = device.engine.publish(device.now, &Service { instance: "Web (9)", ..WEB }).unwrap();
    let second = device.engine.publish(device.now, &Service { instance: "Web (10)", ..WEB }).unwrap();
    device.hear(&Compose::response().answer("Web (9)._http._tcp.local", 120, &Put::Srv(1, "x.local")));
    assert_eq!(device.engine.service_name(first).unwrap(), "Web (11)");
    assert_eq!(device.engine.service_name(second).unwrap(), "Web (10)");
}

/// M-8: the same data is no conflict, nor are goodbyes, other types, or NSEC; own packets that come back never are.
#[test]
fn what_says_the_same_is_no_conflict() {
    for established in [false, true] {
        let mut device = esp32(1);
        device.engine.publish(device.now, &WEB).unwrap();
        let mut own = device.run(700);
        if established {
            own.extend(device.run(5000));
        }
        for message in [
            Compose::response().answer("esp32.local", 120, &Put::Address("192.0.2.1")),
            Compose::response().answer("Web._http._tcp.local", 120, &Put::Srv(80, "ESP32.local")),
            Compose::response().answer("esp32.local", 0, &Put::Address("192.0.2.50")),
            Compose::response().answer("esp32.local", 120, &Put::Nsec(&[Rtype::A])),
            Compose::response().answer("esp32.local", 120, &Put::Other(Rtype::HINFO, b"\x01x\x01y")),
            Compose::response().answer("Web._http._tcp.local", 120, &Put::Address("192.0.2.50")),
            Compose::response().answer("_http._tcp.local", 120, &Put::Ptr("Other._http._tcp.local")),
        ] {
            device.hear(&message);
        }
        for sent in &own {
            device.hear_from("192.0.2.1", &sent.bytes);
            device.hear_from("fe80::1", &sent.bytes);
        }
        assert_eq!(device.engine.stats().conflicts, 0);
        device.run(5000);
        assert_eq!(device.engine.host_name(), "esp32");
    }
}

/// M-8: what was said before an address changed may come back a little later.
#[test]
fn a_former_address_is_no_conflict_for_a_while() {
    let mut device = esp32_with_web(1);
    let old = Compose::response().answer("esp32.local", 120, &Put::Address("192.0.2.1"));
    device.connect(&["192.0.2.7/24", "fe80::1/64"]);
    device.run(5000);
    device.hear(&old);
    assert_eq!(device.engine.stats().conflicts, 0);
    device.run(10_000);
    device.hear(&old);
    assert_eq!(device.engine.stats().conflicts, 1, "by now it is somebody else's");
}

/// M-8: what the TXT data was may come back too; another host would have another SRV record.
#[test]
fn former_txt_data_is_no_conflict_for_a_while() {
    let mut device = esp32(1);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    device.run(5000);
    let txt = |data| Compose::response().answer("Web._http._tcp.local", 4500, &Put::Txt(data));
    device.engine.set_txt(device.now, service, &["new"]).unwrap();
    device.hear(&txt(b"\x06path=/"));
    assert_eq!(device.engine.stats().conflicts, 0);
    device.run(10_000);
    device.hear(&txt(b"\x06path=/"));
    assert_eq!(device.engine.stats().conflicts, 1);
}

/// M-8: a probe that proposes just what this device has is its own, and needs no answer.
#[test]
fn own_probes_are_not_answered() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &WEB).unwrap();
    let sent = device.run(5000);
    for probe in &sent[..3] {
        assert!(device.hear_from("192.0.2.99", &probe.bytes).is_empty());
    }
    assert!(device.run(1000).is_empty());
}

/// M-8: two engines of one device on one link have the same name and other addresses.
#[test]
fn the_other_interface_of_the_device_is_no_conflict() {
    let mut device = esp32_with_web(1);
    device.engine.set_siblings(&["192.0.2.2".parse().unwrap(), "fe80::2".parse().unwrap()]);
    device.hear(&Compose::response().answer("esp32.local", 120, &Put::Address("192.0.2.2")));
    device.hear(&Compose::response().answer("esp32.local", 120, &Put::Address("fe80::2")));
    assert_eq!(device.engine.stats().conflicts, 0);
    device.hear(&Compose::response().answer("esp32.local", 120, &Put::Address("192.0.2.3")));
    assert_eq!(device.engine.stats().conflicts, 1);
}

/// M-5: the later one in the order wins and goes on as if nothing had happened; the other waits for 1 s and probes again.
#[test]
fn of_two_that_probe_at_once_the_greater_one_wins() {
    for (address, wins) in [("192.0.2.0", true), ("192.0.2.1", true), ("192.0.2.2", false), ("193.0.0.0", false)] {
        let mut device = Device::new(1);
        device.engine.set_host_name(device.now, "esp32").unwrap();
        device.connect(&["192.0.2.1/24"]);
        let first = device.run(250)[0].at;
        let probe = Compose::query().ask_unicast("esp32.local", Rtype::ANY);
        let heard = device.now;
        device.hear(&probe.propose("esp32.local", &Put::Address(address)));
        let next = device.run(5000)[0].at;
        if wins {
            assert_eq!(next, first + Duration::from_millis(250), "{address}");
        } else {
            assert_eq!(next, heard + Duration::from_secs(1), "{address}");
        }
        assert_eq!(device.engine.host_name(), "esp32", "nobody has answered");
    }
}

/// M-5: the loser takes another name when the winner answers.
#[test]
fn the_loser_of_a_tie_break_gives_way_to_an_answer() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.connect(&["192.0.2.1/24"]);
    device.run(250);
    let probe = Compose::query().ask_unicast("esp32.local", Rtype::ANY);
    device.hear(&probe.propose("esp32.local", &Put::Address("192.0.2.50")));
    device.run(800);
    device.hear(&other_host());
    assert_eq!(device.engine.host_name(), "esp32-2");
}

/// M-6: lists are sorted, then compared one by one; of two that begin alike the longer one wins. The order in which they
/// come does not matter, and neither do records of other names.
#[test]
fn tie_breaks_compare_sorted_lists() {
    let service = "Web._http._tcp.local";
    let (txt, srv) = (Put::Txt(b"\x06path=/"), Put::Srv(80, "esp32.local"));
    let cases: [(&[Put<'_>], bool); 8] = [
        (&[srv.clone(), txt.clone()], true), // the same
        (&[txt.clone(), srv.clone()], true), // in another order
        (std::slice::from_ref(&txt), true),  // they have fewer
        (std::slice::from_ref(&srv), false), // SRV comes behind TXT: type 33 behind 16
        (&[txt.clone(), Put::Srv(81, "a.local")], false),
        (&[txt.clone(), Put::Srv(79, "z.local")], true),
        (&[txt.clone(), srv.clone(), Put::Other(Rtype::CAA, b"x")], false), // they have more
        (&[Put::Address("192.0.2.1"), txt.clone(), srv.clone()], true),     // type 1 comes before TXT
    ];
    for (proposed, wins) in cases {
        let mut device = esp32(1);
        device.engine.publish(device.now, &WEB).unwrap();
        let first = device.run(250)[0].at;
        let mut probe =
            Compose::query().ask_unicast(service, Rtype::ANY).propose("x.local", &Put::Address("255.0.0.1"));
        for put in proposed {
            probe = probe.propose(service, put);
        }
        device.hear(&probe);
        let next = device.run(250);
        let asked = first_probe(&next).questions;
        assert_eq!(next[0].at, first + Duration::from_millis(250));
        assert_eq!(asked.iter().any(|question| question.0 == service), wins, "{proposed:?}");
    }
}

/// M-6: the addresses of a host are sorted too.
#[test]
fn tie_breaks_sort_own_records() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.connect(&["fe80::1/64", "192.0.2.9/24", "192.0.2.1/24"]);
    device.run(250);
    let probe = Compose::query().ask_unicast("esp32.local", Rtype::ANY);
    // Ours is 192.0.2.1, 192.0.2.9, fe80::1.
    let probe = probe.propose("esp32.local", &Put::Address("192.0.2.9"));
    device.hear(&probe.propose("esp32.local", &Put::Address("192.0.2.0")));
    assert!(!device.run(900).is_empty(), "192.0.2.0 comes before 192.0.2.1");
}

/// M-7: after 15 conflicts each further attempt waits for 5 s, until one succeeds.
#[test]
fn after_15_conflicts_probing_is_slow() {
    let mut device = esp32(1);
    let mut waits = Vec::new();
    for number in 1..=20 {
        let name = if number == 1 { "esp32.local".into() } else { format!("esp32-{number}.local") };
        let begun = device.now;
        let first = loop {
            device.now = device.engine.poll_timeout().unwrap().max(device.now);
            if let Some(sent) = device.take().into_iter().find(|sent| !sent.read().response) {
                break sent;
            }
        };
        assert_eq!(first.read().questions[0].0, name);
        waits.push((first.at - begun).as_millis());
        device.hear(&Compose::response().answer(&name, 120, &Put::Address("192.0.2.50")));
    }
    assert!(waits[..15].iter().all(|wait| *wait <= 250), "{waits:?}");
    assert!(waits[15..].iter().all(|wait| (5000..5250).contains(wait)), "{waits:?}");
    device.run(10_000);
    assert_eq!(events(&mut device), [Event::HostRenamed, Event::HostEstablished]);
    // All is forgotten then.
    device.hear(&Compose::response().answer("esp32-21.local", 120, &Put::Address("192.0.2.50")));
    assert!(!device.run(251).is_empty());
}

/// M-14: a conflict for a name in use is probed for under the same name; nobody answers, and it stays.
#[test]
fn a_conflict_in_use_is_probed_and_may_be_won() {
    let mut device = esp32_with_web(1);
    // Two records in one message are one conflict.
    let both = other_service().answer("Web._http._tcp.local", 4500, &Put::Txt(b"\x01x"));
    device.hear(&both);
    let question = Compose::query().ask("Web._http._tcp.local", Rtype::SRV);
    assert!(device.hear(&question).is_empty(), "it is in doubt");
    let sent = device.run(7000);
    assert_eq!(sent.len(), START.len());
    assert_eq!(first_probe(&sent).questions, [("Web._http._tcp.local".into(), Rtype::ANY, true)]);
    assert_eq!(device.engine.stats().conflicts, 1);
    device.run(1000);
    assert_eq!(device.hear(&question).len(), 1);
    assert!(matches!(events(&mut device)[..], [Event::ServiceEstablished(_)]), "the name is the same");
}

/// M-14: the other one defends the name: it is lost. No goodbye is said, since the other has records that are just the same.
#[test]
fn a_conflict_in_use_may_be_lost() {
    let mut device = esp32_with_web(1);
    device.hear(&other_service());
    device.run(400);
    device.hear(&other_service());
    let sent = device.run(5000);
    assert!(sent.iter().all(|sent| sent.read().records.iter().all(|line| line.ttl > 0)));
    assert!(
        matches!(events(&mut device)[..], [Event::ServiceRenamed(id), Event::ServiceEstablished(other)] if id == other)
    );
}

/// M-14: copies of what made it probe, over the other IP version or from a reflector, are no answers to its probes: or both
/// would give the name up. Its probe comes late enough for them.
#[test]
fn copies_of_a_conflict_are_not_another_one() {
    for seed in 0..200 {
        let mut device = esp32_with_web(seed);
        for _ in 0..3 {
            device.hear(&other_service());
            assert!(device.run(33).is_empty());
        }
        assert!(!device.run(151).is_empty(), "the first probe");
        assert_eq!((device.engine.stats().conflicts, events(&mut device).len()), (1, 0));
        device.run(50);
        device.hear(&other_service());
        assert!(matches!(events(&mut device)[..], [Event::ServiceRenamed(_)]));
    }
}

/// M-14: when two that have the same name meet, exactly one renames, whoever hears the other first.
#[test]
fn when_two_meet_exactly_one_renames() {
    for seed in 0..200 {
        let mut a = esp32(seed);
        a.engine.publish(a.now, &WEB).unwrap();
        let mut b = Device::new(seed + 1000);
        b.engine.set_host_name(b.now, "esp32").unwrap();
        b.connect(&["192.0.2.2/24", "fe80::2/64"]);
        b.engine.publish(b.now, &Service { port: 81, ..WEB }).unwrap();
        if seed % 2 == 0 {
            // They have had their names for long before they are joined.
            a.run(5000);
            b.run(5000);
            a.engine.set_txt(a.now, crate::mdns::ServiceId(1), &["new"]).unwrap();
        }
        let addresses = ["192.0.2.1", "192.0.2.2"];
        let mut devices = [a, b];
        let end = devices[0].now + Duration::from_secs(20);
        // Each question for all, so that they hear of each other's hosts.
        for device in &mut devices {
            let query = Compose::query().ask("esp32.local", Rtype::A);
            device.hear(&query);
        }
        while let Some(now) =
            devices.iter().filter_map(|device| device.engine.poll_timeout()).min().filter(|at| *at < end)
        {
            for i in 0..2 {
                devices[i].now = devices[i].now.max(now);
                let mut queue: Vec<_> = devices[i].take().into_iter().map(|sent| (i, sent)).collect();
                while let Some((from, sent)) = queue.pop() {
                    let to = 1 - from;
                    devices[to].now = devices[to].now.max(now);
                    let answers = devices[to].hear_from(addresses[from], &sent.bytes);
                    queue.extend(answers.into_iter().map(|sent| (to, sent)));
                }
            }
        }
        let mut hosts: Vec<_> = devices.iter().map(|device| device.engine.host_name()).collect();
        hosts.sort();
        assert_eq!(hosts, ["esp32", "esp32-2"], "{seed}");
        let id = crate::mdns::ServiceId(1);
        let mut services: Vec<_> = devices.iter().map(|device| device.engine.service_name(id).unwrap()).collect();
        services.sort();
        assert_eq!(services, ["Web", "Web (2)"], "{seed}");
    }
}

/// M-14: somebody tells a record of ours with less than half of its TTL, or with a goodbye: it is announced again.
#[test]
fn a_record_that_would_vanish_is_announced_again() {
    let mut device = esp32_with_web(1);
    let told = |ttl| Compose::response().answer("esp32.local", ttl, &Put::Address("192.0.2.1"));
    assert!(device.hear(&told(60)).is_empty());
    let sent = device.hear(&told(59));
    assert_eq!(sent[0].read().answers(), ["esp32.local A 192.0.2.1"]);
    device.run(2000);
    assert_eq!(device.hear(&told(0)).len(), 1);
    let pointer = |ttl| Compose::response().answer("_http._tcp.local", ttl, &Put::Ptr("Web._http._tcp.local"));
    assert!(device.hear(&pointer(2250)).is_empty() && device.hear(&pointer(0)).is_empty());
    let begun = device.now;
    let sent = device.run(1000);
    assert_eq!(sent.len(), 1);
    let delay = (sent[0].at - begun).as_millis();
    assert!((20..=120).contains(&delay), "it is shared: {delay}");
}

/// M-8: somebody else has a host of ours with the addresses we gave it, which is what we said.
#[test]
fn a_delegated_host_may_answer_for_itself() {
    let mut device = esp32(1);
    let host = device.engine.delegate(device.now, "camera", &["192.0.2.77".parse().unwrap()]).unwrap();
    device.run(5000);
    device.hear(&Compose::response().answer("camera.local", 120, &Put::Address("192.0.2.77")));
    assert_eq!(device.engine.delegated_name(host).unwrap(), "camera");
    device.hear(&Compose::response().answer("camera.local", 120, &Put::Address("192.0.2.78")));
    device.run(250);
    device.hear(&Compose::response().answer("camera.local", 120, &Put::Address("192.0.2.78")));
    assert_eq!(device.engine.delegated_name(host).unwrap(), "camera-2");
    assert!(events(&mut device).contains(&Event::DelegateRenamed(host)));
}
