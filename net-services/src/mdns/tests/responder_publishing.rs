//! What users can publish, and what it costs.

use std::boxed::Box;
use std::format;
use std::net::IpAddr;
use std::vec::Vec;

use domain::base::Rtype;

use super::{START, WEB, esp32, esp32_with_web, events};
use crate::mdns::name::by_ref;
use crate::mdns::testing::{self, Compose, Device, Put, text_of};
use crate::mdns::{Config, Event, HostId, MdnsError, Resources, Service, ServiceId};

#[test]
fn mistakes_are_told() {
    let mut device = esp32(1);
    let mut publish = |service: &Service<'_>| device.engine.publish(device.now, service);
    let long = "x".repeat(64);
    assert_eq!(publish(&Service { instance: &long, ..WEB }), Err(MdnsError::InvalidName));
    assert_eq!(publish(&Service { instance: "a\nb", ..WEB }), Err(MdnsError::InvalidName));
    for kind in ["http", "_http", "_x._sub._http._tcp", "_http._tcp.example"] {
        assert_eq!(publish(&Service { kind, ..WEB }), Err(MdnsError::InvalidType), "{kind}");
    }
    for subtypes in [&["_1", "_2", "_3", "_4", "_5"][..], &[""], &[&long]] {
        assert!(publish(&Service { subtypes, ..WEB }).is_err(), "{subtypes:?}");
    }
    assert_eq!(publish(&Service { txt: &["=x"], ..WEB }), Err(MdnsError::InvalidTxt));
    assert_eq!(publish(&Service { host: Some(HostId(9)), ..WEB }), Err(MdnsError::Unknown));
    let id = publish(&WEB).unwrap();
    assert_eq!(publish(&Service { instance: "WEB", kind: "_HTTP._tcp", ..WEB }), Err(MdnsError::Duplicate));
    publish(&Service { kind: "_ipp._tcp", ..WEB }).unwrap();
    let (engine, now) = (&mut device.engine, device.now);
    assert_eq!(engine.set_host_name(now, "a.b"), Err(MdnsError::InvalidName));
    let address = |text: &str| -> IpAddr { text.parse().unwrap() };
    for bad in ["0.0.0.0", "127.0.0.1", "224.0.0.251", "255.255.255.255", "::", "::1", "ff02::fb"] {
        assert_eq!(engine.delegate(now, "x", &[address(bad)]), Err(MdnsError::InvalidAddress), "{bad}");
    }
    assert_eq!(engine.delegate(now, "x", &[]), Err(MdnsError::InvalidAddress));
    let many: Vec<_> = (1..8).map(|i| address(&format!("192.0.2.{i}"))).collect();
    assert_eq!(engine.delegate(now, "x", &many), Err(MdnsError::InvalidAddress));
    assert_eq!(engine.delegate(now, "ESP32.local", &many[..1]), Err(MdnsError::Duplicate));
    let host = engine.delegate(now, "x", &many[..6]).unwrap();
    assert_eq!(engine.set_host_name(now, "X"), Err(MdnsError::Duplicate));
    assert_eq!(engine.withdraw(now, ServiceId(host.0)), Err(MdnsError::Unknown), "a host is no service");
    assert_eq!(engine.set_txt(now, ServiceId(99), &[]), Err(MdnsError::Unknown));
    assert_eq!(engine.set_txt(now, id, &["=x"]), Err(MdnsError::InvalidTxt));
    engine.withdraw(now, id).unwrap();
    assert_eq!(engine.withdraw(now, id), Err(MdnsError::Unknown));
    assert_eq!(engine.withdraw_host(now, HostId(id.0)), Err(MdnsError::Unknown));
    engine.withdraw_host(now, host).unwrap();
    assert_eq!((engine.delegated_name(host), engine.is_established(id)), (None, false));
}

/// The memory of what is being withdrawn is free again when others have been told once.
#[test]
fn memory_is_used_again() {
    let mut device = Device::with(Config::new(), Box::leak(Box::new(Resources::<2, 1, 1>::new())), 1);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.connect(&["192.0.2.1/24"]);
    let service = |instance| Service { instance, ..WEB };
    let first = device.engine.publish(device.now, &service("1")).unwrap();
    device.engine.publish(device.now, &service("2")).unwrap();
    assert_eq!(device.engine.publish(device.now, &service("3")), Err(MdnsError::Full));
    device.run(5000);
    device.engine.withdraw(device.now, first).unwrap();
    assert_eq!(device.engine.publish(device.now, &service("3")), Err(MdnsError::Full), "others believe in it still");
    device.take();
    let third = device.engine.publish(device.now, &service("3")).unwrap();
    let text = "x".repeat(240);
    assert_eq!(device.engine.set_txt(device.now, third, &[&text]), Err(MdnsError::Full));
    device.engine.set_txt(device.now, third, &[&text[..100]]).unwrap();
    device.run(5000);
    assert!(device.engine.is_established(third));
}

/// A service that is published again under the name that is just being withdrawn is not withdrawn a second time.
#[test]
fn a_goodbye_is_not_repeated_for_what_is_there_again() {
    let mut device = esp32(1);
    let first = device.engine.publish(device.now, &WEB).unwrap();
    device.run(5000);
    device.engine.withdraw(device.now, first).unwrap();
    assert_eq!(device.take().len(), 1);
    let second = device.engine.publish(device.now, &WEB).unwrap();
    assert_ne!(first, second);
    let sent = device.run(5000);
    assert!(sent.iter().all(|sent| sent.read().records.iter().all(|line| line.ttl > 0)));
    assert_eq!(sent.len(), START.len());
}

/// A service without a name has that of the host, also if the host gets it later.
#[test]
fn a_service_may_be_named_after_the_host() {
    let mut device = Device::new(1);
    let unnamed = Service { instance: "", ..WEB };
    let id = device.engine.publish(device.now, &unnamed).unwrap();
    assert_eq!(device.engine.publish(device.now, &unnamed), Err(MdnsError::Duplicate));
    assert_eq!(device.engine.service_name(id).unwrap(), "");
    let other = device.engine.publish(device.now, &Service { instance: "Kitchen", ..WEB }).unwrap();
    device.connect(&["192.0.2.1/24"]);
    device.engine.set_host_name(device.now, "kitchen").unwrap();
    assert_eq!(device.engine.service_name(id).unwrap(), "kitchen (2)", "the other one was there before");
    device.run(5000);
    assert!(device.engine.is_established(id) && device.engine.is_established(other));
    let third = device.engine.publish(device.now, &Service { kind: "_ipp._tcp", ..unnamed }).unwrap();
    assert_eq!(device.engine.service_name(third).unwrap(), "kitchen");
}

/// A device finds its own records: what is established, and what it knows not to be there.
#[test]
fn own_records_are_shown() {
    let mut device = esp32(1);
    device.engine.publish(device.now, &WEB).unwrap();
    let show = |device: &Device, of: &str, rtype| {
        let (of, mut shown) = (testing::name(of), Vec::new());
        device.engine.visit(device.now, &by_ref(&of), rtype, &mut |data| shown.push(text_of(data)));
        shown
    };
    let before = device.engine.generation();
    assert!(show(&device, "esp32.local", Rtype::A).is_empty());
    device.run(5000);
    assert_ne!(device.engine.generation(), before);
    assert_eq!(show(&device, "ESP32.local", Rtype::A), ["A 192.0.2.1"]);
    assert_eq!(show(&device, "_http._tcp.local", Rtype::PTR), ["PTR Web._http._tcp.local"]);
    assert_eq!(show(&device, "esp32.local", Rtype::HTTPS), ["NSEC esp32.local A AAAA"]);
    let before = device.engine.generation();
    device.engine.set_network(device.now, false, &[]);
    assert_ne!(device.engine.generation(), before);
    assert!(show(&device, "esp32.local", Rtype::A).is_empty());
}

/// Events are told once, the newest state of each name, and a new name before that it is established.
#[test]
fn events_are_not_lost() {
    let mut device = esp32(1);
    let id = device.engine.publish(device.now, &WEB).unwrap();
    let taken = |name: &str| Compose::response().answer(name, 120, &Put::Srv(1, "x.local"));
    device.hear(&taken("Web._http._tcp.local"));
    device.hear(&taken("Web (2)._http._tcp.local"));
    device.run(5000);
    let expected = [Event::HostEstablished, Event::ServiceRenamed(id), Event::ServiceEstablished(id)];
    assert_eq!(events(&mut device), expected);
    assert_eq!(device.engine.service_name(id).unwrap(), "Web (3)");
    assert!(events(&mut device).is_empty());
}

/// Hostile messages of all kinds change nothing, whatever state names are in.
#[test]
fn mutated_messages_do_no_harm() {
    let mut seeds: Vec<Vec<u8>> = Vec::new();
    let mut device = esp32_with_web(1);
    seeds.extend(device.run(1000).into_iter().map(|sent| sent.bytes));
    device.engine.restart(device.now);
    seeds.extend(device.run(5000).into_iter().map(|sent| sent.bytes));
    seeds.push(
        Compose::query().ask("_http._tcp.local", Rtype::PTR).ask_unicast("esp32.local", Rtype::ANY).truncated().bytes(),
    );
    seeds.push(Compose::query().answer("_http._tcp.local", 4500, &Put::Ptr("Web._http._tcp.local")).bytes());
    let mut random = crate::mdns::random::Random::new(1);
    for round in 0..30_000u32 {
        let mut bytes = seeds[random.next_u64() as usize % seeds.len()].clone();
        for _ in 0..random.next_u64() % 6 {
            let at = random.next_u64() as usize % bytes.len();
            bytes[at] = random.next_u64() as u8;
        }
        bytes.truncate(bytes.len() - (random.next_u64() as usize % 8).saturating_sub(4).min(bytes.len()));
        let from = format!("192.0.2.{}", 2 + random.next_u64() % 200);
        let port = if round % 3 == 0 { 5353 } else { 1024 + round as u16 % 1000 };
        let from = (from.parse::<IpAddr>().unwrap(), port).into();
        device.receive(from, crate::mdns::GROUP_V4.into(), &bytes);
        device.run(random.next_u64() % 50);
        if round % 1000 == 0 {
            device.engine.restart(device.now);
        }
    }
    device.run(10_000);
    assert!(!device.engine.host_name().is_empty());
    let own = format!("{}.local", device.engine.host_name());
    device.run(10_000);
    assert_eq!(device.hear(&Compose::query().ask(&own, Rtype::A)).len(), 1, "it is still there");
}

/// What issue 4 allows for all is 6 KiB on a chip with 32 bits; these are the responder's parts of it.
#[test]
fn the_memory_is_small() {
    use crate::mdns::{own, responder};
    let entry = size_of::<own::Entry>();
    let all = size_of::<responder::Responder<'static>>();
    assert!(entry <= 96, "{entry} bytes for each service");
    assert!(all <= 472, "{all} bytes");
}
