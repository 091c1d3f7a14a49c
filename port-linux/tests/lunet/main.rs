//! The program `lunet`, as a user meets it.

// Also outside the functions that are tests themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli;
mod prompt;
mod user;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const LUNET: &str = env!("CARGO_BIN_EXE_lunet");

/// A directory of the test's own, which every user may read and which goes with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lunet-cli-{}-{count}", std::process::id()));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    /// A file in it, by its path.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What a program has left when it has ended.
struct Output {
    status: Option<i32>,
    out: String,
    err: String,
}

/// A running `lunet`. It is killed when the test is done with it.
struct Lunet {
    child: Child,
    out: BufReader<ChildStdout>,
    err: BufReader<ChildStderr>,
}

impl Lunet {
    fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, out: BufReader::new(out), err: BufReader::new(err) }
    }

    /// The next line of its output.
    fn line(&mut self) -> String {
        line(&mut self.out)
    }

    /// The next line of its messages.
    fn message(&mut self) -> String {
        line(&mut self.err)
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    fn finish(mut self) -> Output {
        let mut output = Output { status: None, out: String::new(), err: String::new() };
        self.out.read_to_string(&mut output.out).unwrap();
        self.err.read_to_string(&mut output.err).unwrap();
        output.status = self.wait().code();
        output
    }
}

impl Drop for Lunet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

fn lunet(arguments: &[&str]) -> Command {
    let mut command = Command::new(LUNET);
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    Lunet::start(&mut lunet(arguments)).finish()
}

/// Where CI runs the tests nothing is skipped: what is missing is a failure.
fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}

/// A command that runs `program` as a user without rights: through setpriv when this is root. `None` where that is
/// missing.
fn unprivileged(folder: &Folder, arguments: &[&str]) -> Option<Command> {
    if !nix::unistd::geteuid().is_root() {
        return Some(lunet(arguments));
    }
    // Where that user can read it, which may not be so of the place that it was built in. Copied by another program:
    // while a process of ours may have it open for writing, it cannot be run.
    let program = folder.path().join("lunet");
    assert!(Command::new("cp").arg(LUNET).arg(&program).status().unwrap().success());
    let mut command = Command::new("setpriv");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all"];
    command.args(nobody).arg(program).args(arguments).stdin(Stdio::null());
    if Command::new("setpriv").arg("--version").output().is_err() {
        skip("the program `setpriv` is missing (Debian: util-linux)");
        return None;
    }
    Some(command)
}
