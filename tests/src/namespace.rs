//! A network of its own for a test.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio, id};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{Output, Process, feed};
use crate::skip;

/// What the names of our namespaces begin with; the maker's process id and a number follow.
const PREFIX: &str = "lunet-";

/// The IP versions that a test's network has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
    /// Both.
    Both,
}

impl Versions {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::V4, Self::V6, Self::Both];

    /// Whether there is IPv4.
    pub fn has_v4(self) -> bool {
        self != Self::V6
    }

    /// Whether there is IPv6.
    pub fn has_v6(self) -> bool {
        self != Self::V4
    }
}

/// A network namespace with its loopback up, and nothing else in it. Dropped, also by a failing test, it is deleted,
/// and with it every interface in it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; `None`, after saying so, when the test must be skipped because this user may not.
    ///
    /// # Panics
    /// When that fails for root, or nothing may be skipped.
    pub fn new() -> Option<Self> {
        static STALE: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !geteuid().is_root() {
            skip("network namespaces need root");
            return None;
        }
        STALE.call_once(remove_stale);
        let name = format!("{PREFIX}{}-{}", id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let made = ip(&["netns", "add", &name]);
        if !made.status.success() {
            // A container's root, for one, may not.
            skip(&format!("no network namespace can be made: {}", made.err.trim_end()));
            return None;
        }
        let namespace = Self { name };
        namespace.ip("link set lo up");
        // An address is then usable at once, instead of after a second of duplicate address detection.
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0");
        namespace.sysctl("net/ipv6/conf/all/accept_dad", "0");
        Some(namespace)
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `f` in a thread inside the namespace. A socket that `f` returns stays in the namespace wherever it is used.
    pub fn inside<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                let file = File::open(path(&self.name)).expect("the namespace's file");
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("setns");
                f()
            });
            inside.join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// Starts a program inside.
    #[track_caller]
    pub fn start(&self, command: &mut Command) -> Process {
        // A child is born in the namespace of the thread that starts it.
        self.inside(|| Process::start(command))
    }

    /// Runs a program inside until it ends.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.start(Command::new(program).args(arguments).stdin(Stdio::null())).finish()
    }

    /// Runs a program inside, with `input` as its standard input, until it ends.
    #[track_caller]
    pub fn run_with_input(&self, program: &str, arguments: &[&str], input: &[u8]) -> Output {
        let mut process = self.start(Command::new(program).args(arguments).stdin(Stdio::piped()));
        feed(&mut process, input);
        process.finish()
    }

    /// Runs `ip` inside with these words: `namespace.ip("link set lo up")`.
    ///
    /// # Panics
    /// When it fails.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        let mut arguments = vec!["-n", &self.name];
        arguments.extend(words.split_whitespace());
        ip(&arguments).ok()
    }

    /// Gives the namespace an address, on its loopback interface: servers can bind to it before any device is there.
    pub fn address(&self, address: &str) {
        self.address_on(address, "lo");
    }

    fn address_on(&self, address: &str, interface: &str) {
        // The kernel has even an address without duplicate address detection wait for a worker, unless it is told so.
        let at_once = if address.contains(':') { "nodad" } else { "" };
        self.ip(&format!("address add {address} dev {interface} {at_once}"));
    }

    /// Writes a setting below /proc/sys inside: `namespace.sysctl("net/ipv4/ip_forward", "1")`.
    ///
    /// # Panics
    /// When there is no such setting.
    pub fn sysctl(&self, setting: &str, value: &str) {
        let file = Path::new("/proc/sys").join(setting);
        self.inside(|| fs::write(&file, value)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// A client (10.1.0.2), a router (10.1.0.1 and 10.2.0.1) and a server (10.2.0.2), each in a namespace of its own. `None`
    /// where [`new`](Self::new) gives none.
    pub fn routed() -> Option<[Self; 3]> {
        let (client, router, server) = (Self::new()?, Self::new()?, Self::new()?);
        client.cable(("veth0", "10.1.0.2/24"), &router, ("veth1", "10.1.0.1/24"));
        router.cable(("veth2", "10.2.0.1/24"), &server, ("veth3", "10.2.0.2/24"));
        client.ip("route add default via 10.1.0.1");
        server.ip("route add default via 10.2.0.1");
        router.sysctl("net/ipv4/ip_forward", "1");
        Some([client, router, server])
    }

    /// The interface that [`joined`](Self::joined) namespaces have.
    pub const LAN: &str = "lan0";

    /// `N` computers on one link, each with the interface [`LAN`](Self::LAN): the first has the addresses 10.0.0.1/24 and
    /// fd00:10::1/64, the next 10.0.0.2/24 and so on, as far as `versions` has them. `None` where [`new`](Self::new) gives none.
    pub fn joined<const N: usize>(versions: Versions) -> Option<Lan<N>> {
        let switch = Self::new()?;
        switch.sysctl("net/ipv6/conf/default/disable_ipv6", "1");
        // A multicast is for all ports, at once: nothing waits for a port to learn or for a querier.
        switch.ip("link add switch type bridge forward_delay 0 mcast_snooping 0");
        switch.ip("link set switch up");
        let mut computers = Vec::new();
        for number in 1..=N {
            let computer = Self::new()?;
            let off = if versions.has_v6() { "0" } else { "1" };
            computer.sysctl("net/ipv6/conf/default/disable_ipv6", off);
            let (lan, port) = (Self::LAN, format!("port{number}"));
            computer.ip(&format!("link add {lan} type veth peer name {port} netns {}", switch.name));
            switch.ip(&format!("link set {port} master switch up"));
            if versions.has_v4() {
                computer.address_on(&format!("10.0.0.{number}/24"), lan);
            }
            if versions.has_v6() {
                computer.address_on(&format!("fd00:10::{number}/64"), lan);
            }
            computer.ip(&format!("link set {lan} up"));
            computers.push(computer);
        }
        let computers = computers.try_into().expect("as many as were made");
        Some(Lan { computers, switch, versions })
    }

    /// Connects two namespaces by a cable with these addresses, each with a prefix length. Each end sends packets of
    /// at most the MTU, as a network card would, so that losing one loses one segment.
    pub fn cable(&self, own: (&str, &str), other: &Self, others: (&str, &str)) {
        let (interface, address) = own;
        let (their_interface, their_address) = others;
        self.ip(&format!("link add {interface} type veth peer name {their_interface} netns {}", other.name));
        for (namespace, interface, address) in [(self, interface, address), (other, their_interface, their_address)] {
            namespace.ip(&format!("link set {interface} gso_max_segs 1"));
            namespace.address_on(address, interface);
            namespace.ip(&format!("link set {interface} up"));
        }
    }

    /// Loses `per_mille` (0 to 999) of the packets that are routed through this namespace, each way. Called again it replaces
    /// the loss; 0 ends it.
    ///
    /// Only routed packets: a drop on the sender's own way out is told to the kernel's TCP, and is then no loss.
    pub fn lose(&self, per_mille: u32) {
        let rule = if per_mille == 0 { String::new() } else { format!("numgen random mod 1000 < {per_mille} drop\n") };
        // Naming the table before deleting it makes that no error where there is none.
        let rules = format!(
            "table inet loss\ndelete table inet loss\ntable inet loss {{\n chain forward {{\n\
             type filter hook forward priority 0\n{rule}}}\n}}\n"
        );
        self.run_with_input("nft", &["-f", "-"], rules.as_bytes()).ok();
    }
}

/// Computers on one link; see [`Namespace::joined`].
#[derive(Debug)]
pub struct Lan<const N: usize> {
    /// The computers.
    pub computers: [Namespace; N],
    /// Where the other ends of their cables are, and devices are started.
    pub switch: Namespace,
    versions: Versions,
}

impl<const N: usize> Lan<N> {
    /// The addresses with this number at their end: 10.0.0.1 and fd00:10::1 for 1, as far as the link has them. Computers
    /// are counted from 1, devices from 101.
    pub fn addresses(&self, number: usize) -> Vec<String> {
        let v4 = self.versions.has_v4().then(|| format!("10.0.0.{number}"));
        let v6 = self.versions.has_v6().then(|| format!("fd00:10::{number}"));
        v4.into_iter().chain(v6).collect()
    }

    /// Makes room for device `number` on the link, and gives the adapter for it, to be started in
    /// [`switch`](Self::switch): a TAP interface with the addresses 10.0.0.101/24 and fd00:10::101/64 for number 1, as far as
    /// the link has them.
    pub fn device(&self, number: usize) -> String {
        let name = format!("dev{number}");
        self.switch.ip(&format!("tuntap add {name} mode tap"));
        self.switch.ip(&format!("link set {name} master switch up"));
        let mut adapter = format!("tap:{name}");
        for address in self.addresses(100 + number) {
            adapter += &format!(",ip={address}/{}", if address.contains(':') { 64 } else { 24 });
        }
        adapter
    }

    /// Pulls a plug out of the switch, or puts it in again, so that the link of who is there goes down or comes up: `port1` for
    /// the first computer, `dev1` for device number 1.
    pub fn plug(&self, port: &str, into: bool) {
        let state = if into { "up" } else { "down" };
        self.switch.ip(&format!("link set {port} {state}"));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        delete(&self.name);
    }
}

/// `ip`, outside.
fn ip(arguments: &[&str]) -> Output {
    Process::start(Command::new("ip").args(arguments).stdin(Stdio::null())).finish()
}

fn path(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

/// Deletes a namespace and what still runs in it.
fn delete(name: &str) {
    let pids = ip(&["netns", "pids", name]).out;
    for pid in pids.lines().filter_map(|pid| pid.trim().parse().ok()).filter_map(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
    // Another test process may have been quicker.
    let _ = ip(&["netns", "delete", name]);
}

/// Deletes the namespaces of test processes that were killed before they could.
fn remove_stale() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for name in entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().into_string().ok()) {
        let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if maker.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            delete(&name);
        }
    }
}
