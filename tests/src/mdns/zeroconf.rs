//! python-zeroconf, driven by a small program.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{ChildStdin, Command, Stdio};

use crate::namespace::{Namespace, Versions};
use crate::process::Process;
use crate::skip;
use crate::user::Folder;

const PROGRAM: &str = include_str!("zeroconf.py");

/// A running python-zeroconf on one interface of a namespace. Each line that it is told is one thing to do, each line
/// that it prints one thing that has happened; zeroconf.py says which there are.
#[derive(Debug)]
pub struct Zeroconf {
    process: Process,
    input: ChildStdin,
    _folder: Folder,
}

/// Where `./x test` installs it: beside what cargo builds.
fn python() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    Some(test.ancestors().nth(3)?.join("python/bin/python"))
}

impl Namespace {
    /// Starts python-zeroconf on `interface`, which must be there. `None` when the test is to be skipped, as it is not
    /// installed.
    #[track_caller]
    pub fn zeroconf(&self, interface: &str, versions: Versions) -> Option<Zeroconf> {
        let python = python()?;
        let is_there = Command::new(&python).args(["-c", "import zeroconf"]).stderr(Stdio::null()).status();
        if !is_there.is_ok_and(|status| status.success()) {
            skip("python-zeroconf is not installed; ./x test installs it (PyPI: zeroconf)");
            return None;
        }
        let mut command = Command::new(python);
        let versions = match versions {
            Versions::V4 => "V4Only",
            Versions::V6 => "V6Only",
            Versions::Both => "All",
        };
        let folder = Folder::new();
        command.arg("-u").arg(folder.write("zeroconf_peer.py", PROGRAM)).args([interface, versions]);
        command.stdin(Stdio::piped());
        let mut process = self.start(&mut command);
        let input = process.input();
        process.wait_for("ready");
        Some(Zeroconf { process, input, _folder: folder })
    }
}

impl Zeroconf {
    /// Has it do something: words separated by `;`, as they may hold spaces.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("python-zeroconf listens");
    }

    /// Waits for a line that contains `part`.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> String {
        self.process.wait_for(part)
    }

    /// Has it do something and gives the line that comes of it.
    #[track_caller]
    pub fn ask(&mut self, line: &str, part: &str) -> String {
        self.tell(line);
        self.wait_for(part)
    }

    /// Ends it in order, with goodbyes.
    #[track_caller]
    pub fn stop(self) {
        drop(self.input);
        self.process.finish().ok();
    }
}
