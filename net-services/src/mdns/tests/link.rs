//! A link with many devices in virtual time: no executor, no clock, every run the same for the same seed.

use core::cmp::Reverse;
use core::net::IpAddr;
use std::boxed::Box;
use std::collections::{BTreeSet, BinaryHeap};
use std::rc::Rc;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use domain::base::Rtype;
use net_core::cidr::IpInet;
use net_core::time::{Duration, Instant};

use crate::mdns::data::Data;
use crate::mdns::name::{self, NameRef, by_ref};
use crate::mdns::random::Random;
use crate::mdns::testing::{Read, at, read};
use crate::mdns::{Arrival, Config, Destination, Engine, Event, GROUP_V4, GROUP_V6, PORT, Resources, Transmit};

/// What becomes of datagrams on the way, for each receiver apart.
#[derive(Clone, Copy)]
pub(super) struct Quality {
    pub(super) loss_per_mille: u64,
    pub(super) duplicate_per_mille: u64,
    /// The shortest and the longest delay in milliseconds; more than one packet apart, and they overtake each other.
    pub(super) delay: (u32, u32),
}

impl Quality {
    pub(super) const PERFECT: Self = Self { loss_per_mille: 0, duplicate_per_mille: 0, delay: (1, 1) };
}

/// Something that sends every multicast again, such as an access point or an mDNS reflector, to all and to its sender too.
#[derive(Clone, Copy)]
pub(super) struct Reflector {
    /// After how many milliseconds, at least and at most.
    pub(super) delay: (u32, u32),
    /// The source is the reflector's own address, not the sender's.
    pub(super) own_address: bool,
}

/// What a device has sent or received.
#[derive(Clone, Copy, Default)]
pub(super) struct Traffic {
    pub(super) datagrams: u64,
    pub(super) bytes: u64,
}

/// A device on the link.
pub(super) struct Node {
    pub(super) engine: Engine<'static>,
    addresses: Vec<IpInet>,
    up: bool,
    /// Only devices on the same side of a divided link hear each other.
    pub(super) side: u8,
    /// When it wants to be polled.
    next: Option<Instant>,
    /// How often it wanted that without time passing.
    idle: u32,
    /// What its engine has told.
    pub(super) events: Vec<(Instant, Event)>,
    /// Datagrams that it has sent, where a multicast of both IP versions counts as two.
    pub(super) sent: Traffic,
    pub(super) received: Traffic,
}

impl Node {
    fn has(&self, v4: bool) -> Option<IpAddr> {
        self.addresses.iter().map(IpInet::address).find(|address| address.is_ipv4() == v4).filter(|_| self.up)
    }
}

/// A datagram that a device has sent, for the tests to look at.
pub(super) struct Seen {
    pub(super) device: usize,
    pub(super) bytes: Rc<[u8]>,
}

impl Seen {
    pub(super) fn read(&self) -> Read {
        read(&self.bytes)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at: Instant,
    /// Those due at the same time come in the order in which they were sent.
    number: u64,
    to: usize,
    source: (IpAddr, u16),
    destination: IpAddr,
    bytes: Rc<[u8]>,
}

/// The address that the reflector has.
const REFLECTOR: [&str; 2] = ["10.0.255.254", "fe80::ffff"];

/// The link, its devices, and its time.
pub(super) struct Link {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    pub(super) quality: Quality,
    pub(super) reflector: Option<Reflector>,
    /// All that was sent.
    pub(super) seen: Vec<Seen>,
    flights: BinaryHeap<Reverse<Flight>>,
    number: u64,
    random: Random,
}

impl Link {
    pub(super) fn new(quality: Quality, seed: u64) -> Self {
        Self {
            now: at(1000),
            nodes: vec![],
            quality,
            reflector: None,
            seen: vec![],
            flights: BinaryHeap::new(),
            number: 0,
            random: Random::new(seed),
        }
    }

    /// Adds a device that is not connected yet, with memory for 4 services, 8 questions and 64 records.
    pub(super) fn add(&mut self) -> usize {
        self.add_with(Box::leak(Box::new(Resources::<4, 8, 64>::new())))
    }

    pub(super) fn add_with<const S: usize, const Q: usize, const R: usize>(
        &mut self,
        resources: &'static mut Resources<S, Q, R>,
    ) -> usize {
        let engine = Engine::new(Config::new(), resources, self.random.next_u64());
        let (sent, received) = (Traffic::default(), Traffic::default());
        let node =
            Node { engine, addresses: vec![], up: false, side: 0, next: None, idle: 0, events: vec![], sent, received };
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Does something with a device, and sends what follows from it.
    pub(super) fn with<T>(&mut self, device: usize, act: impl FnOnce(&mut Engine<'static>, Instant) -> T) -> T {
        let result = act(&mut self.nodes[device].engine, self.now);
        self.settle(device);
        result
    }

    /// Its link is up, with these addresses, such as `10.0.0.1/16` and `fe80::1/64`.
    pub(super) fn connect(&mut self, device: usize, addresses: &[&str]) {
        let addresses: Vec<IpInet> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.nodes[device].addresses.clone_from(&addresses);
        self.nodes[device].up = true;
        self.with(device, |engine, now| engine.set_network(now, true, &addresses));
    }

    pub(super) fn disconnect(&mut self, device: usize) {
        self.nodes[device].up = false;
        let addresses = self.nodes[device].addresses.clone();
        self.with(device, |engine, now| engine.set_network(now, false, &addresses));
    }

    /// Its link is up again, with the addresses that it had.
    pub(super) fn reconnect(&mut self, device: usize) {
        self.nodes[device].up = true;
        let addresses = self.nodes[device].addresses.clone();
        self.with(device, |engine, now| engine.set_network(now, true, &addresses));
    }

    /// Polls a device until it has nothing more to send, as [`Engine`] wants after every call.
    fn settle(&mut self, device: usize) {
        let mut buffer = [0; 1472];
        let mut count = 0;
        while let Some(transmit) = self.nodes[device].engine.poll_transmit(self.now, &mut buffer) {
            count += 1;
            assert!(count < 1000, "device {device} sends without end");
            self.send(device, transmit, &buffer);
        }
        let node = &mut self.nodes[device];
        while let Some(event) = node.engine.poll_event() {
            node.events.push((self.now, event));
        }
        node.next = node.engine.poll_timeout();
        node.idle = if node.next.is_some_and(|next| next <= self.now) { node.idle + 1 } else { 0 };
        assert!(node.idle < 10, "device {device} asks to be polled again and again at {:?}", self.now);
    }

    fn send(&mut self, device: usize, transmit: Transmit, buffer: &[u8]) {
        let Transmit { to, length } = transmit;
        let bytes: Rc<[u8]> = Rc::from(&buffer[..length]);
        self.seen.push(Seen { device, bytes: bytes.clone() });
        for v4 in [true, false] {
            let Some(source) = self.nodes[device].has(v4) else { continue };
            let destination = match to {
                Destination::Multicast if v4 => GROUP_V4.into(),
                Destination::Multicast => GROUP_V6.into(),
                Destination::Unicast(to) if to.is_ipv4() == v4 => to.ip(),
                Destination::Unicast(_) => continue,
            };
            let sent = &mut self.nodes[device].sent;
            (sent.datagrams, sent.bytes) = (sent.datagrams + 1, sent.bytes + length as u64);
            self.carry(Some(device), (source, PORT), destination, &bytes, self.nodes[device].side);
        }
    }

    fn carry(&mut self, from: Option<usize>, source: (IpAddr, u16), to: IpAddr, bytes: &Rc<[u8]>, side: u8) {
        let v4 = to.is_ipv4();
        for device in 0..self.nodes.len() {
            let node = &self.nodes[device];
            let hears =
                node.side == side && if to.is_multicast() { node.has(v4).is_some() } else { node.has(v4) == Some(to) };
            if !hears {
                continue;
            }
            if from != Some(device) {
                let again = self.chance(self.quality.duplicate_per_mille);
                for _ in 0..if again { 2 } else { 1 } {
                    if !self.chance(self.quality.loss_per_mille) {
                        self.fly(self.quality.delay, device, source, to, bytes);
                    }
                }
            }
            if let (Some(reflector), true) = (self.reflector, to.is_multicast()) {
                let own = REFLECTOR[usize::from(!v4)].parse().unwrap();
                let source = if reflector.own_address { (own, PORT) } else { source };
                if !self.chance(self.quality.loss_per_mille) {
                    self.fly(reflector.delay, device, source, to, bytes);
                }
            }
        }
    }

    fn chance(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.random.next_u64() % 1000 < per_mille
    }

    fn fly(&mut self, delay: (u32, u32), to: usize, source: (IpAddr, u16), destination: IpAddr, bytes: &Rc<[u8]>) {
        let at = self.now + self.random.millis(delay.0, delay.1);
        self.number += 1;
        self.flights.push(Reverse(Flight { at, number: self.number, to, source, destination, bytes: bytes.clone() }));
    }

    fn deliver(&mut self, flight: &Flight) {
        let mut buffer = [0; 9000];
        let length = flight.bytes.len();
        buffer[..length].copy_from_slice(&flight.bytes);
        let node = &mut self.nodes[flight.to];
        if node.has(flight.destination.is_ipv4()).is_none() {
            return;
        }
        let received = &mut node.received;
        (received.datagrams, received.bytes) = (received.datagrams + 1, received.bytes + length as u64);
        let arrival = Arrival { from: flight.source.into(), to: flight.destination };
        let room = length.max(1472);
        if let Some(reply) = node.engine.handle(self.now, arrival, &mut buffer[..room], length) {
            self.send(flight.to, reply, &buffer);
        }
        self.settle(flight.to);
    }

    /// Lets time pass, up to and including `until`: each device is polled only when it wants to be.
    pub(super) fn run_until(&mut self, until: Instant) {
        loop {
            let flight = self.flights.peek().map(|Reverse(flight)| flight.at);
            let polls = self.nodes.iter().enumerate().filter_map(|(i, node)| Some((node.next?, i)));
            let poll = polls.min();
            let Some(next) = [flight, poll.map(|(at, _)| at)].into_iter().flatten().min().filter(|at| *at <= until)
            else {
                break;
            };
            self.now = self.now.max(next);
            if flight == Some(next) {
                if let Some(Reverse(flight)) = self.flights.pop() {
                    self.deliver(&flight);
                }
            } else if let Some((_, device)) = poll {
                self.settle(device);
            }
        }
        self.now = self.now.max(until);
    }

    /// The same for so many milliseconds.
    pub(super) fn run(&mut self, millis: u64) {
        self.run_until(self.now + Duration::from_millis(millis));
    }

    /// The name of each device's host as it is now, in the order of the alphabet.
    pub(super) fn host_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.nodes.iter().map(|node| node.engine.host_name().to_string()).collect();
        names.sort();
        names
    }
}

/// The instances of a service type of which this device knows all that is needed to use them.
pub(super) fn resolved(engine: &Engine<'_>, now: Instant, service_type: &str) -> BTreeSet<String> {
    let service_type = name::service_type(service_type).unwrap();
    let mut found = BTreeSet::new();
    engine.visit(now, &by_ref(&service_type), Rtype::PTR, &mut |data| {
        if let Data::Ptr(instance) = data
            && is_complete(engine, now, instance)
        {
            found.insert(name::first_label(instance).unwrap().to_string());
        }
    });
    found
}

fn is_complete(engine: &Engine<'_>, now: Instant, instance: &NameRef<'_>) -> bool {
    let (mut has_txt, mut has_address) = (false, false);
    engine.visit(now, instance, Rtype::TXT, &mut |data| has_txt |= matches!(data, Data::Txt(_)));
    engine.visit(now, instance, Rtype::SRV, &mut |data| {
        if let Data::Srv { target, .. } = data {
            for rtype in [Rtype::A, Rtype::AAAA] {
                engine.visit(now, target, rtype, &mut |data| {
                    has_address |= matches!(data, Data::A(_) | Data::Aaaa(_));
                });
            }
        }
    });
    has_txt && has_address
}
