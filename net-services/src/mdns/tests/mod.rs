//! What must hold (M-1 to M-45), in virtual time.

mod conflicts;
mod crowd;
mod hostile;
mod life;
mod link;
mod mutated;
mod responder_answers;
mod responder_claims;
mod responder_conflicts;
mod responder_legacy;
mod responder_publishing;
mod responder_times;

use std::vec;
use std::vec::Vec;

use super::testing::Device;
use super::{Event, Service};

/// A service on the device itself.
const WEB: Service<'_> = Service {
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
fn esp32(seed: u64) -> Device {
    let mut device = Device::new(seed);
    device.engine.set_host_name(device.now, "esp32").unwrap();
    device.connect(&["192.0.2.1/24", "fe80::1/64"]);
    device
}

/// The same with [`WEB`], established long ago.
fn esp32_with_web(seed: u64) -> Device {
    let mut device = esp32(seed);
    device.engine.publish(device.now, &WEB).unwrap();
    device.run(10_000);
    events(&mut device);
    device
}

/// When a name is probed and announced, in milliseconds from the first probe (M-1, M-10).
const START: [u64; 6] = [0, 250, 500, 750, 1760, 3780];
/// When records that have changed are announced, in milliseconds.
const ANNOUNCED: [u64; 3] = [0, 1010, 3030];
/// When goodbyes are sent, in milliseconds.
const GOODBYES: [u64; 2] = [0, 1010];

/// What has happened since it was asked last.
fn events(device: &mut Device) -> Vec<Event> {
    core::iter::from_fn(|| device.engine.poll_event()).collect()
}

/// Fails unless the values are spread evenly from `low` to `high`.
fn assert_uniform(values: &[u64], low: u64, high: u64) {
    let mut tenths = vec![0usize; 10];
    for value in values {
        assert!((low..=high).contains(value), "{value} is not within {low} to {high}");
        tenths[((value - low) * 10 / (high - low + 1)) as usize] += 1;
    }
    let expected = values.len() / 10;
    let margin = expected / 4;
    assert!(tenths.iter().all(|count| count.abs_diff(expected) < margin), "{tenths:?}");
}
