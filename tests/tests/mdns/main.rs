//! Multicast DNS among those that people have: Avahi, python-zeroconf, dig, and ours.

mod change;
mod conflict;
mod finding;
mod legacy;
mod publishing;
mod world;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};
use std::process::{Command, Stdio};

use lunet_tests::{Lan, Namespace, Process, Versions, lunet};

/// Where `lunet mdns` runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On devices on the link, each with a stack of its own.
    Device,
    /// On one of the computers, with its sockets.
    Computer(usize),
}

/// Where `lunet mdns` is started on a link. On a device's place each is a device of its own.
#[derive(Debug)]
struct Ours<'l> {
    lan: &'l Lan<2>,
    place: Place,
    /// How many devices there are.
    devices: Cell<usize>,
}

/// A running `lunet mdns`.
#[derive(Debug)]
struct Running {
    process: Process,
    /// The addresses of who runs it, for people.
    addresses: Vec<String>,
    /// Where it is plugged in.
    port: String,
    /// How many names it publishes.
    names: usize,
}

impl<'l> Ours<'l> {
    fn new(lan: &'l Lan<2>, place: Place) -> Self {
        Self { lan, place, devices: Cell::new(0) }
    }

    /// Starts it with these words behind `lunet mdns`.
    #[track_caller]
    fn start(&self, words: &[&str]) -> Running {
        self.start_with(words, Stdio::null())
    }

    #[track_caller]
    fn start_with(&self, words: &[&str], input: Stdio) -> Running {
        let (namespace, eth, number, port) = match self.place {
            Place::Device => {
                let number = self.devices.get() + 1;
                self.devices.set(number);
                (&self.lan.switch, self.lan.device(number), 100 + number, format!("dev{number}"))
            }
            Place::Computer(computer) => {
                let (namespace, number) = (&self.lan.computers[computer], computer + 1);
                (namespace, format!("host:{}", Namespace::LAN), number, format!("port{number}"))
            }
        };
        let mut command = Command::new(lunet());
        command.args(["mdns", "--eth", &eth]).args(words).stdin(input);
        let names = if words.iter().any(|word| word.ends_with("._tcp")) { 2 } else { 1 };
        let addresses = self.lan.addresses(number);
        Running { process: namespace.start(&mut command), addresses, port, names }
    }

    /// Runs it until it ends, and gives what it has found.
    #[track_caller]
    fn run(&self, words: &[&str]) -> String {
        // With time for a slow machine: who answers is waited for no longer than it takes.
        self.start(&[&["--timeout", "50"], words].concat()).process.finish().ok()
    }

    /// Publishes, and waits until all that is published is its own.
    #[track_caller]
    fn publish(&self, words: &[&str]) -> Running {
        let mut publish = self.start(&[&["publish"], words].concat());
        publish.wait_until_published();
        publish
    }
}

impl Running {
    /// Waits until the host's name and that of the service, if there is one, are its own; gives all lines up to then.
    #[track_caller]
    fn wait_until_published(&mut self) -> Vec<String> {
        let (mut lines, mut own) = (Vec::new(), BTreeSet::new());
        while own.len() < self.names {
            let line = self.process.line();
            match line.split("  ").collect::<Vec<_>>()[..] {
                ["published", .., name] => drop(own.insert(name.to_owned())),
                ["renamed", .., before, _] => drop(own.remove(before)),
                _ => {}
            }
            lines.push(line);
        }
        lines
    }

    /// Ends it as Ctrl-C does, and gives all that it has printed.
    #[track_caller]
    fn stop(self) -> String {
        self.process.interrupt();
        let output = self.process.finish();
        assert_eq!(output.status.code(), Some(130), "{}", output.err);
        output.out
    }
}

impl Deref for Running {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}

/// Every combination of an IP version and a place for ours, beside which the first computer is another's.
fn everywhere(test: impl Fn(&Lan<2>, Place, Versions)) {
    for versions in Versions::ALL {
        for place in [Place::Device, Place::Computer(1)] {
            eprintln!("{versions:?}, {place:?}");
            let Some(lan) = Namespace::joined::<2>(versions) else { return };
            test(&lan, place, versions);
        }
    }
}
