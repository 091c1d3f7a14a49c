//! Chromium without a window, driven by its DevTools protocol: one JSON message after the other, through pipes.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;

use lunet_tests::{Folder, Namespace, Process};
use rustix::process::{Pid, Signal, kill_process_group};

/// A function for the programs that are run in pages: waits until the text of an element is as wanted.
const SEEN: &str = "const seen = (id, wanted) => new Promise(resolve => {
    const timer = setInterval(() => {
      const element = document.getElementById(id);
      if (element && wanted(element.textContent)) { clearInterval(timer); resolve('yes'); }
    }, 10);
  });";

/// A browser. It ends when this goes.
#[derive(Debug)]
pub(crate) struct Browser {
    process: Option<Process>,
    commands: ChildStdin,
    /// The number of the last command.
    number: u32,
    /// The session of each page.
    sessions: Vec<String>,
    _profile: Folder,
}

/// A page in a browser.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page(usize);

impl Browser {
    /// Starts one with nothing open.
    pub(crate) fn start(namespace: &Namespace) -> Self {
        let profile = Folder::new();
        let mut options = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
            --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage \
            --mute-audio --remote-debugging-pipe --user-data-dir="
            .to_owned();
        let _ = write!(options, "{}", profile.path().display());
        // It reads commands from descriptor 3 and writes answers to 4, each with a zero byte at its end.
        let script = format!("chromium {options} 3<&0 4>&1 >&2 | stdbuf -o0 tr '\\0' '\\n'");
        let mut command = Command::new("sh");
        // Its many processes are one group, so that they can be ended together.
        command.args(["-c", &script]).process_group(0).env("HOME", profile.path()).stdin(Stdio::piped());
        let mut process = namespace.start(&mut command);
        let commands = process.input();
        Self { process: Some(process), commands, number: 0, sessions: Vec::new(), _profile: profile }
    }

    /// Opens a page, and waits until it is loaded.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) -> Page {
        let target = self.command(None, "Target.createTarget", r#""url":"about:blank""#);
        let target = field(&target, "targetId");
        let attached = self.command(None, "Target.attachToTarget", &format!(r#""targetId":"{target}","flatten":true"#));
        let page = Page(self.sessions.len());
        self.sessions.push(field(&attached, "sessionId"));
        self.command(Some(page), "Page.enable", "");
        self.command(Some(page), "Page.navigate", &format!(r#""url":"{url}""#));
        self.wait_for_load(page);
        page
    }

    /// Runs a program in a page, and gives the value of its last statement, waited for if it is a promise: a text.
    #[track_caller]
    pub(crate) fn ask(&mut self, page: Page, program: &str) -> String {
        let answer = self.evaluate(page, program);
        assert!(answer.contains(r#""type":"string""#), "{program}: {answer}");
        field(&answer, "value")
    }

    /// Runs a program that makes the page give way to another, and waits until that is loaded.
    #[track_caller]
    pub(crate) fn leave(&mut self, page: Page, program: &str) {
        self.evaluate(page, program);
        self.wait_for_load(page);
    }

    #[track_caller]
    fn evaluate(&mut self, page: Page, program: &str) -> String {
        // A block, so that its names are its own.
        let program = json(&format!("{{ {SEEN} {program} }}"));
        let parameters = format!(r#""expression":{program},"awaitPromise":true,"returnByValue":true"#);
        self.command(Some(page), "Runtime.evaluate", &parameters)
    }

    #[track_caller]
    fn wait_for_load(&mut self, page: Page) {
        let session = &self.sessions[page.0];
        loop {
            let process = self.process.as_mut().expect("a running browser");
            let line = process.wait_for(r#"{"method":"Page.loadEventFired","#);
            if line.contains(session) {
                return;
            }
        }
    }

    /// Sends a command, and gives the answer.
    #[track_caller]
    fn command(&mut self, page: Option<Page>, method: &str, parameters: &str) -> String {
        self.number += 1;
        let number = self.number;
        let session = page.map_or_else(String::new, |page| format!(r#","sessionId":"{}""#, self.sessions[page.0]));
        let command = format!("{{\"id\":{number},\"method\":\"{method}\",\"params\":{{{parameters}}}{session}}}\0");
        self.commands.write_all(command.as_bytes()).expect("a running browser");
        let answer = self.process.as_mut().expect("a running browser").wait_for(&format!("{{\"id\":{number},"));
        assert!(!answer.contains(r#""error":{"#) && !answer.contains(r#""exceptionDetails":"#), "{method}: {answer}");
        answer
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        if let Some(group) = i32::try_from(process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        if !thread::panicking() {
            // Until all of them have gone, so that none writes to the profile while it is removed.
            process.finish();
        }
    }
}

/// The text of the last field of that name in a JSON text.
#[track_caller]
fn field(text: &str, name: &str) -> String {
    let (_, rest) = text.rsplit_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("no {name} in {text}"));
    let mut value = String::new();
    let mut characters = rest.chars();
    while let Some(character) = characters.next().filter(|c| *c != '"') {
        match character {
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    value.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                }
                Some(other) => value.push(other),
                None => {}
            },
            other => value.push(other),
        }
    }
    value
}

/// A JSON string of this text.
fn json(text: &str) -> String {
    let mut string = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => string.extend(['\\', character]),
            '\n' => string.push_str("\\n"),
            other => string.push(other),
        }
    }
    string + "\""
}
