//! Servers for devices to meet.

use std::process::{Command, Stdio};

use crate::namespace::Namespace;
use crate::process::Process;

impl Namespace {
    /// Starts dnsmasq as the DNS server on `address`, which must be there already (see
    /// [`address`](Namespace::address)). It knows `names`, each with one or more addresses separated by commas, and
    /// answers that nothing else exists. Each query is a line that its [`Process::wait_for`] can find.
    pub fn dnsmasq(&self, address: &str, names: &[(&str, &str)]) -> Process {
        self.dnsmasq_with(names, &["--bind-interfaces", &format!("--listen-address={address}")])
    }

    /// Starts dnsmasq with these options beside the names, for one that does more than DNS.
    pub fn dnsmasq_with(&self, names: &[(&str, &str)], options: &[&str]) -> Process {
        let mut command = Command::new("dnsmasq");
        // Nothing of the computer's own configuration, and nothing left behind.
        command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--local=/#/"]);
        command.args(["--pid-file=", "--user=root", "--leasefile-ro", "--log-queries", "--log-facility=-"]);
        command.args(names.iter().map(|(name, addresses)| format!("--host-record={name},{addresses}")));
        command.args(options).stdin(Stdio::null());
        let mut dnsmasq = self.start(&mut command);
        dnsmasq.wait_for("started, version");
        dnsmasq
    }
}
