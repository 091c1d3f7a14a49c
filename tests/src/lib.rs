//! The world that integration tests run in: network namespaces with real servers and clients, and lunet devices.
//!
//! A [`Namespace`] is a network of its own, made for one test and gone with it. In it run real programs
//! ([`Process`]), kernel sockets of the test itself ([`Namespace::inside`]), a DNS server ([`Namespace::dnsmasq`]) and
//! a [`Device`]: the `lunet` program with a Lua script on a TAP interface. Nothing here sleeps: a test waits for an
//! event, with a deadline so generous that only a hang meets it.
//!
//! ```no_run
//! use lunet_tests::{Device, Namespace};
//!
//! let Some(namespace) = Namespace::new() else { return };
//! let device = Device::script("net.createServer():listen(80, function(c) c:send('hi') end) print('ready')")
//!     .start(&namespace);
//! ```
//!
//! Namespaces need root. Without it a test says that it is skipped, except where `CI=true`: there it fails.

mod data;
mod device;
mod document;
mod mdns;
mod namespace;
mod process;
mod servers;
mod sockets;
mod stack;
mod user;

pub use data::{data, expect_data, send_data};
pub use device::{Device, Launch, http_server, lunet};
pub use document::{Document, Example};
pub use mdns::{Avahi, Zeroconf};
pub use namespace::{Lan, Namespace, Versions};
pub use process::{DEADLINE, Output, Process};
pub use sockets::{accept, read_all, read_until};
pub use user::{Folder, as_nobody, for_everybody};

/// Says that a test is skipped, and why; where `CI=true` nothing may be skipped, and it panics.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "nothing is skipped in CI: {why}");
    eprintln!("skipped: {why}");
}

/// Whether these programs are there; when not, the test is skipped.
#[must_use]
pub fn have(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let missing = programs.iter().find(|program| !folders.iter().any(|folder| folder.join(program).exists()));
    if let Some(program) = missing {
        skip(&format!("{program} is not installed; ./x test installs it"));
    }
    missing.is_none()
}
