//! The HTTP service against the clients that people use, on a device with a network of its own and on the computer's
//! own sockets.

mod browser;
mod chromium;
mod clients;
mod handlers;
mod hostile;
mod load;
mod serve;

use std::path::Path;
use std::process::{Command, Stdio};

use lunet_tests::{Device, Folder, Namespace, Process, http_server, lunet};

/// Where the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On a device on a TAP interface, with the addresses of [`Device::ETH`].
    Tap,
    /// On the addresses of the namespace.
    Host,
}

/// A running `lunet serve`.
#[derive(Debug)]
struct Site {
    process: Process,
    /// What it serves; goes with it.
    root: Folder,
    /// `http://` and its address, without a slash at the end.
    url: String,
}

impl Site {
    /// Starts one with these options, and waits until it serves what is in `root`.
    #[track_caller]
    fn start(namespace: &Namespace, place: Place, root: Folder, options: &[&str]) -> Self {
        let mut command = Command::new(lunet());
        command.arg("serve").args(options).arg(root.path()).stdin(Stdio::null());
        let url = match place {
            Place::Tap => {
                command.args(["--eth", Device::ETH, "--port", "80"]);
                format!("http://{}", Device::ADDRESS)
            }
            Place::Host => "http://127.0.0.1:8080".to_owned(),
        };
        let mut process = namespace.start(&mut command);
        process.wait_for("serving ");
        Self { process, root, url }
    }

    /// Address and port, for sockets.
    fn address(&self) -> String {
        let host = self.url.trim_start_matches("http://");
        if host.contains(':') { host.to_owned() } else { format!("{host}:80") }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn file(&self, path: &str) -> std::path::PathBuf {
        self.root.path().join(path)
    }
}

/// Starts examples/http-server, which has handlers of all kinds, and gives it with the beginning of its URLs.
#[track_caller]
fn start_example(namespace: &Namespace, place: Place) -> (Process, String) {
    let mut command = Command::new(http_server());
    command.stdin(Stdio::null());
    let url = match place {
        Place::Tap => {
            command.args(["--tap", "lunet0"]);
            format!("http://{}:8080", Device::ADDRESS)
        }
        Place::Host => "http://127.0.0.1:8080".to_owned(),
    };
    let mut process = namespace.start(&mut command);
    process.wait_for("serving on port 8080");
    (process, url)
}

/// Debian's Python, which has Debian's modules.
const PYTHON: &str = "/usr/bin/python3";

/// Whether this file of a Debian package is there; when not, the test is skipped.
#[must_use]
fn have_file(file: &str, package: &str) -> bool {
    let is_there = Path::new(file).exists();
    if !is_there {
        lunet_tests::skip(&format!("{file} is missing; ./x test installs it (Debian: {package})"));
    }
    is_there
}
