//! The browser, through an engine driven by hand.

mod asking;
mod bounds;
mod cache;
mod following;
mod observing;

use std::string::String;
use std::vec::Vec;

use domain::base::Rtype;

use super::super::name::by_ref;
use super::super::testing::{Device, Read, Sent, name, text_of};
use super::super::{Config, QuestionId, Resources};

pub(super) const TYPE: &str = "_http._tcp.local";

/// A device on the network, that asks by multicast only.
fn device(seed: u64) -> Device {
    device_of::<64>(seed)
}

/// The same with a cache of so many records.
fn device_of<const R: usize>(seed: u64) -> Device {
    let mut config = Config::new();
    config.unicast = false;
    let mut device =
        Device::with(config, std::boxed::Box::leak(std::boxed::Box::new(Resources::<1, 8, R>::new())), seed);
    device.connect(&["192.0.2.1/24"]);
    device
}

fn ask(device: &mut Device, of: &str, rtype: Rtype, follow: bool) -> QuestionId {
    device.engine.ask(device.now, &by_ref(&name(of)), rtype, follow).unwrap()
}

/// What is known, in the order of the alphabet.
fn seen(device: &Device, of: &str, rtype: Rtype) -> Vec<String> {
    let mut all = Vec::new();
    device.engine.visit(device.now, &by_ref(&name(of)), rtype, &mut |data| all.push(text_of(data)));
    all.sort();
    all
}

/// The questions of all messages, with the time of each in milliseconds.
fn asked(sent: &[Sent]) -> Vec<(u64, String, Rtype)> {
    let of = |sent: &Sent| {
        let at = sent.at.as_millis();
        sent.read().questions.into_iter().map(move |(name, rtype, _)| (at, name, rtype))
    };
    sent.iter().flat_map(of).collect()
}

/// When queries were sent, in milliseconds.
fn times(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|sent| sent.at.as_millis()).collect()
}

fn only(sent: &[Sent]) -> Read {
    assert_eq!(sent.len(), 1, "{sent:?}");
    sent[0].read()
}
