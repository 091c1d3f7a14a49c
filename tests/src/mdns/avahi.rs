//! Avahi: a daemon of a test's own, and its command-line clients.

use std::process::{Command, Stdio};
use std::time::Instant;

use crate::namespace::{Namespace, Versions};
use crate::process::{DEADLINE, Output, Process};
use crate::user::Folder;

/// A bus that nobody else is on. Of what D-Bus can forbid it forbids nothing.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
 <type>session</type>
 <listen>unix:path=BUS</listen>
 <auth>EXTERNAL</auth>
 <policy context="default">
  <allow user="*"/>
  <allow own="*"/>
  <allow send_destination="*"/>
  <allow receive_sender="*"/>
 </policy>
</busconfig>
"#;

/// A running avahi-daemon, on one interface of a namespace. It has a D-Bus and a /run of its own, so that any number of
/// them run at once, beside the computer's own too. Dropped, all of it goes.
#[derive(Debug)]
pub struct Avahi<'n> {
    /// Its host name, which is another than it was given if somebody had that.
    pub host_name: String,
    daemon: Process,
    namespace: &'n Namespace,
    bus: String,
    // After the daemon, which would otherwise complain.
    _dbus: Process,
    _folder: Folder,
}

impl Namespace {
    /// Whether the programs for [`avahi`](Self::avahi) are there; when not, the test is skipped.
    #[must_use]
    pub fn have_avahi() -> bool {
        crate::have(&["avahi-daemon", "avahi-browse", "avahi-publish", "avahi-resolve", "dbus-daemon", "unshare"])
    }

    /// Starts Avahi with this host name on `interface`, which may come later, and waits until it has claimed the name as
    /// far as it can.
    #[track_caller]
    pub fn avahi(&self, host_name: &str, interface: &str, versions: Versions) -> Avahi<'_> {
        let folder = Folder::new();
        let socket = folder.path().join("bus");
        let bus = format!("unix:path={}", socket.display());
        let bus_config = folder.write("bus.conf", BUS.replace("unix:path=BUS", &bus));
        let mut dbus = Command::new("dbus-daemon");
        dbus.arg(format!("--config-file={}", bus_config.display()));
        dbus.args(["--nofork", "--nopidfile", "--nosyslog", "--print-address"]).stdin(Stdio::null());
        let mut dbus = self.start(&mut dbus);
        dbus.wait_for("unix:path=");
        let on = |on: bool| if on { "yes" } else { "no" };
        let config = format!(
            "[server]\nhost-name={host_name}\nallow-interfaces={interface}\nuse-ipv4={}\nuse-ipv6={}\n\
             [wide-area]\nenable-wide-area=no\n\
             [publish]\npublish-hinfo=no\npublish-workstation=no\n",
            on(versions.has_v4()),
            on(versions.has_v6()),
        );
        let config = folder.write("avahi-daemon.conf", config);
        let mut daemon = Command::new("unshare");
        // Where it keeps its process id and its socket; the same process then becomes Avahi.
        daemon.args(["--mount", "sh", "-c", r#"mount -t tmpfs lunet /run && exec avahi-daemon "$@""#, "sh"]);
        daemon.arg("--file").arg(config).args(["--no-drop-root", "--no-chroot", "--no-rlimits", "--no-proc-title"]);
        daemon.env("DBUS_SYSTEM_BUS_ADDRESS", &bus).stdin(Stdio::null());
        let mut daemon = self.start(&mut daemon);
        let started = daemon.wait_for("Server startup complete");
        let (_, own) = started.split_once("Host name is ").expect("its host name");
        let host_name = own.split(". ").next().expect("a sentence").to_owned();
        Avahi { host_name, daemon, namespace: self, bus, _dbus: dbus, _folder: folder }
    }
}

impl Avahi<'_> {
    /// Starts one of Avahi's clients: `start("avahi-browse -rpk _http._tcp")`. What it is about may hold spaces, and comes
    /// in `last`.
    #[track_caller]
    pub fn start(&self, words: &str, last: &[&str]) -> Process {
        let mut words = words.split_whitespace();
        // Lines as they come, though they are not for a terminal.
        let mut command = Command::new("stdbuf");
        command.arg("-oL").args(words.by_ref()).args(last);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus).stdin(Stdio::null());
        self.namespace.start(&mut command)
    }

    /// Runs one of Avahi's clients until it ends.
    #[track_caller]
    pub fn run(&self, words: &str, last: &[&str]) -> Output {
        self.start(words, last).finish()
    }

    /// Has a client list the instances of a type with all that is known of them, again and again until a line holds all
    /// of `parts`; gives that line. (Avahi keeps a record that has been replaced for a second more.)
    ///
    /// # Panics
    /// When that is not so within [`DEADLINE`].
    #[track_caller]
    pub fn until_listed(&self, kind: &str, parts: &[&str]) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let list = self.run("avahi-browse -rtpk", &[kind]).ok();
            if let Some(line) = list.lines().find(|line| parts.iter().all(|part| line.contains(part))) {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "no line with {parts:?} in the end: {list}");
        }
    }

    /// Has a client look a host up, with `-4` or `-6`, again and again until the answer holds `part`; gives the answer.
    ///
    /// # Panics
    /// When that is not so within [`DEADLINE`].
    #[track_caller]
    pub fn until_resolved(&self, version: &str, host: &str, part: &str) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let answer = self.run(&format!("avahi-resolve {version} -n"), &[host]);
            if answer.out.contains(part) {
                return answer.out;
            }
            assert!(Instant::now() < until, "no {part} in the end: {}{}", answer.out, answer.err);
        }
    }

    /// Publishes a service, and waits until its name is its own.
    #[track_caller]
    pub fn publish(&self, name: &str, kind: &str, port: u16, more: &[&str]) -> Process {
        let port = port.to_string();
        let mut publish = self.start("avahi-publish -s", &[&[name, kind, &port], more].concat());
        publish.wait_for("Established under name");
        publish
    }

    /// Stops the daemon, which says goodbye, and waits for its end.
    pub fn stop(self) -> Output {
        self.daemon.interrupt();
        self.daemon.finish()
    }
}
