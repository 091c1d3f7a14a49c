//! Probing, announcing, goodbyes.

use std::vec::Vec;
use std::{format, vec};

use domain::base::Rtype;
use net_core::time::Duration;

use crate::mdns::testing::{Compose, Device, Put, Sent, at};
use crate::mdns::{Event, Service};

pub(super) const WEB: Service<'_> = Service {
    instance: "Web",
    kind: "_http._tcp",
    subtypes: &[],
    port: 80,
    txt: &["path=/"],
    host: None,
    priority: 0,
    weight: 0,
};

/// The host `esp32`, with IPv4 and IPv6, connected at 1 s.
pub(super) fn esp32(seed: u64) -> Device {
    let mut device = Device::new(seed);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.connect(&["192.0.2.1/24", "fe80::1/64"]);
    device
}

fn events(device: &mut Device) -> Vec<Event> {
    core::iter::from_fn(|| device.engine.poll_event()).collect()
}

#[test]
fn a_name_is_probed_three_times_and_announced_twice() {
    let mut device = esp32(1);
    let service = device.engine.publish(device.now, &WEB).unwrap();
    let sent = device.run(10_000);
    let start = sent[0].at;
    let times: Vec<_> = sent.iter().map(|sent| (sent.at - start).as_millis()).collect();
    for s in &sent {
        std::println!("{:?} {:#?}", s.at, s.read());
    }
    assert_eq!(times, [0, 250, 500, 750, 1750]);
    assert_eq!(events(&mut device), [Event::HostEstablished, Event::ServiceEstablished(service)]);
}
