//! Simple resolvers, which know nothing of multicast DNS (M-23).

use std::net::{IpAddr, SocketAddr};
use std::vec::Vec;

use domain::base::Rtype;

use super::{WEB, esp32, esp32_with_web};
use crate::mdns::testing::{Compose, Device, Sent};
use crate::mdns::{Destination, GROUP_V4, Service};

fn resolver() -> SocketAddr {
    ("192.0.2.99".parse::<IpAddr>().unwrap(), 40_000).into()
}

fn ask(device: &mut Device, query: &[u8]) -> Vec<Sent> {
    device.receive(resolver(), GROUP_V4.into(), query)
}

/// M-23: at once, to the asker alone, with id and question repeated, a TTL of 10 s at the most, no cache-flush bit.
#[test]
fn a_simple_resolver_gets_a_reply_as_from_a_server() {
    let mut device = Device::new(1);
    device.engine.set_host_name(device.now, "p").unwrap();
    device.connect(&["192.0.2.1/24"]);
    device.run(5000);
    let mut query = Compose::query().id(0x1234).ask("P.local", Rtype::A).bytes();
    let expected = |question: &[u8]| {
        let mut all = Vec::from(*b"\x12\x34\x84\0\0\x01\0\x01\0\0\0\x01");
        all.extend_from_slice(question);
        all.extend_from_slice(b"\xc0\x0c\0\x01\0\x01\0\0\0\x0a\0\x04\xc0\0\x02\x01");
        all.extend_from_slice(b"\xc0\x0c\0\x2f\0\x01\0\0\0\x0a\0\x0c\x01p\x05local\0\0\x01\x40");
        all
    };
    let sent = ask(&mut device, &query);
    assert_eq!((sent.len(), sent[0].to), (1, Destination::Unicast(resolver())));
    assert_eq!(sent[0].bytes, expected(b"\x01P\x05local\0\0\x01\0\x01"));
    // Class ANY, and any bit that might be there, with many simple resolvers at the same time.
    *query.last_mut().unwrap() = 255;
    for _ in 0..20 {
        assert_eq!(ask(&mut device, &query)[0].bytes, expected(b"\x01P\x05local\0\0\x01\0\xff"));
    }
    assert!(device.run(5000).is_empty());
}

/// M-23: names in SRV data are not compressed (RFC 6762 section 18.14).
#[test]
fn it_gets_names_in_data_uncompressed() {
    let mut device = esp32_with_web(1);
    let sent = ask(&mut device, &Compose::query().id(7).ask("Web._http._tcp.local", Rtype::SRV).bytes());
    let data = b"\0\x13\0\0\0\0\0\x50\x05esp32\x05local\0";
    assert!(sent[0].bytes.windows(data.len()).any(|part| part == data));
    assert_eq!(sent[0].read().answers(), ["Web._http._tcp.local SRV 0 0 80 esp32.local"]);
}

/// M-23: shared records are not delayed either, since only one asker waits.
#[test]
fn it_does_not_wait() {
    let mut device = esp32_with_web(1);
    let sent = ask(&mut device, &Compose::query().id(7).ask("_http._tcp.local", Rtype::PTR).bytes());
    let read = sent[0].read();
    assert_eq!((read.answers().len(), read.additional().len()), (1, 4));
    assert!(read.records.iter().all(|line| line.ttl == 10 && !line.flush));
    assert!(device.engine.poll_timeout().is_none());
}

/// M-22: not to other networks.
#[test]
fn a_far_resolver_gets_nothing() {
    let mut device = esp32_with_web(1);
    let query = Compose::query().id(7).ask("esp32.local", Rtype::A).bytes();
    let far = ("198.51.100.1".parse::<IpAddr>().unwrap(), 40_000).into();
    for to in [GROUP_V4.into(), "192.0.2.1".parse().unwrap()] {
        assert!(device.receive(far, to, &query).is_empty());
    }
    assert!(device.run(1000).is_empty());
    assert_eq!(device.receive(resolver(), "192.0.2.1".parse().unwrap(), &query).len(), 1, "nor is it the destination");
    assert!(ask(&mut device, &Compose::query().ask("other.local", Rtype::A).bytes()).is_empty());
}

/// What does not fit is left out, and the TC bit says so (RFC 6762 section 18.5).
#[test]
fn a_long_reply_is_truncated() {
    let mut device = esp32(1);
    device.buffer = 300;
    let names: Vec<_> = (0..8).map(|i| std::format!("A service with a rather long name, number {i}")).collect();
    for name in &names {
        device.engine.publish(device.now, &Service { instance: name, ..WEB }).unwrap();
    }
    device.run(20_000);
    let sent = ask(&mut device, &Compose::query().id(7).ask("_http._tcp.local", Rtype::PTR).bytes());
    let read = sent[0].read();
    assert!(read.truncated && sent[0].bytes.len() <= 300);
    assert!((3..8).contains(&read.answers().len()) && read.additional().is_empty());
    assert!(device.run(2000).is_empty(), "the rest is forgotten");
}
