//! Programs that a test runs: none outlives its test, and none is waited for without end.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How long a test waits for anything: a hang takes that long to be found, and a slow machine needs less.
pub const DEADLINE: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// A running program whose lines are read as they come. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    lines: Receiver<(Stream, String)>,
    seen: Vec<(Stream, String)>,
    /// Those of `seen` that nobody has asked for yet: their numbers.
    unread: Vec<usize>,
}

/// What a program that has ended leaves.
#[derive(Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub out: String,
    /// What it wrote to its standard error.
    pub err: String,
}

impl Output {
    /// Its standard output, when it has succeeded.
    ///
    /// # Panics
    /// When it has not.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{}\nstdout: {}\nstderr: {}", self.status, self.out, self.err);
        self.out
    }
}

impl Process {
    /// Starts `command` and reads what it prints.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {name}: {error}"));
        let (sender, lines) = channel();
        read_lines(child.stdout.take(), Stream::Out, sender.clone());
        read_lines(child.stderr.take(), Stream::Err, sender);
        Self { child, name, lines, seen: Vec::new(), unread: Vec::new() }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, if the command was given a pipe for it. Dropped, the program reads the end of the file.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("standard input was not a pipe, or is taken")
    }

    /// Waits for a line that contains `part`, on standard output or standard error, and returns it.
    ///
    /// Lines before it on the same of the two are passed over. (Between the two there is no order.)
    ///
    /// # Panics
    /// When it does not come within [`DEADLINE`], or the program ends without it.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> String {
        let found = self.find(|_, line| line.contains(part));
        found.unwrap_or_else(|why| panic!("no line with {part:?}: {why}\n{}", self.transcript()))
    }

    /// The next line on standard output.
    ///
    /// # Panics
    /// When none comes within [`DEADLINE`], or the program ends.
    #[track_caller]
    pub fn line(&mut self) -> String {
        let found = self.find(|stream, _| stream == Stream::Out);
        found.unwrap_or_else(|why| panic!("no further line: {why}\n{}", self.transcript()))
    }

    /// Takes the next line that `matches`, and those before it on the same stream.
    fn find(&mut self, matches: impl Fn(Stream, &str) -> bool) -> Result<String, &'static str> {
        let until = Instant::now() + DEADLINE;
        let mut looked_at = 0;
        loop {
            while let Some(number) = self.unread.get(looked_at) {
                let (stream, line) = self.seen[*number].clone();
                if matches(stream, &line) {
                    let number = *number;
                    self.unread.retain(|other| *other > number || self.seen[*other].0 != stream);
                    return Ok(without_end(&line));
                }
                looked_at += 1;
            }
            self.next_line(until)?;
        }
    }

    fn next_line(&mut self, until: Instant) -> Result<(), &'static str> {
        match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.unread.push(self.seen.len());
                self.seen.push(line);
                Ok(())
            }
            Err(RecvTimeoutError::Timeout) => Err("the deadline has passed"),
            Err(RecvTimeoutError::Disconnected) => Err("the program has ended"),
        }
    }

    /// Asks it to end as Ctrl-C does.
    pub fn interrupt(&self) {
        // It may have ended by itself.
        let _ = kill_process(self.pid(), Signal::INT);
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it runs on after [`DEADLINE`].
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let until = Instant::now() + DEADLINE;
        // Until both pipes are at their end, which is when the program and all that it started have closed them.
        let why = loop {
            match self.next_line(until) {
                Ok(()) => {}
                Err(why) => break why,
            }
        };
        if !self.ended(until) {
            panic!("still running: {why}\n{}", self.transcript());
        }
        let status = self.child.wait().expect("waiting for a child of our own");
        let of = |stream| self.seen.iter().filter(|(s, _)| *s == stream).map(|(_, line)| line.as_str()).collect();
        Output { status, out: of(Stream::Out), err: of(Stream::Err) }
    }

    /// Waits for its end, which takes no polling: a pidfd becomes readable then.
    fn ended(&self, until: Instant) -> bool {
        let Ok(fd) = pidfd_open(self.pid(), PidfdFlags::empty()) else { return true };
        let left = until.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a deadline of minutes");
        poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&left)).is_ok_and(|ready| ready > 0)
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// All that it has printed so far, for a failed test's message.
    fn transcript(&mut self) -> String {
        self.seen.extend(self.lines.try_iter());
        let mut text = format!("{} has printed:\n", self.name);
        for (stream, line) in &self.seen {
            let mark = if *stream == Stream::Out { "out" } else { "err" };
            let _ = writeln!(text, "  {mark}: {}", without_end(line));
        }
        text
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            let transcript = self.transcript();
            if !self.seen.is_empty() {
                eprintln!("{transcript}");
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn without_end(line: &str) -> String {
    line.trim_end_matches(['\r', '\n']).to_owned()
}

/// Reads lines in a thread of its own, which ends with the pipe.
fn read_lines(pipe: Option<impl Read + Send + 'static>, stream: Stream, lines: Sender<(Stream, String)>) {
    let Some(pipe) = pipe else { return };
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            // With its line end: the last one may have none.
            if lines.send((stream, String::from_utf8_lossy(&line).into_owned())).is_err() {
                return;
            }
            line.clear();
        }
    });
}

/// Writes `text` to a program's standard input and ends it.
pub(crate) fn feed(process: &mut Process, text: &[u8]) {
    // A program that ends without reading it all is judged by its output.
    let _ = process.input().write_all(text);
}
