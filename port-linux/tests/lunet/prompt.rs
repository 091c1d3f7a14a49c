//! The prompt.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use nix::pty::openpty;
use nix::sys::termios::{LocalFlags, tcgetattr};

use super::*;

#[test]
fn lines_that_nobody_types_are_run_one_after_the_other() {
    let folder = Folder::new();
    let state = folder.path().to_str().unwrap();
    let mut command = lunet(&["--net", "host", "--state", state]);
    let mut lunet = Lunet::start(command.stdin(Stdio::piped()).env("TERM", "dumb"));
    let lines = "x = 40\nfor i = 1, 2 do\n  x = x + 1\nend\nx\nerror('oh no')\nx = \nx + 1\nprint(x)\n";
    lunet.child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = lunet.finish();
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert_eq!(output.out, "42\n43\n", "{}", output.err);
    assert!(output.err.contains("stdin:1: oh no\nstack traceback:"), "{}", output.err);
}

/// Reads until `wanted` has come.
fn until(terminal: &mut File, seen: &mut String, wanted: &str) {
    while !seen.contains(wanted) {
        let mut buffer = [0; 1024];
        let n = terminal.read(&mut buffer).unwrap_or(0);
        assert!(n > 0, "the terminal has ended without {wanted:?}: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    let end = seen.find(wanted).unwrap() + wanted.len();
    seen.drain(..end);
}

#[test]
fn on_a_terminal_the_device_lives_on_and_lines_are_remembered() {
    let folder = Folder::new();
    let state = folder.path().to_str().unwrap();
    let pty = openpty(None, None).unwrap();
    let before = tcgetattr(&pty.slave).unwrap();
    let mut terminal = File::from(pty.master);
    let start = || {
        let end = |end: &OwnedFd| Stdio::from(end.try_clone().unwrap());
        let mut command = lunet(&["--net", "host", "--state", state]);
        command.env("TERM", "xterm").stdin(end(&pty.slave)).stdout(end(&pty.slave)).stderr(end(&pty.slave));
        command.spawn().unwrap()
    };
    let mut child = start();
    let mut seen = String::new();
    until(&mut terminal, &mut seen, "> ");
    // What a timer prints comes while the prompt waits for a line.
    let line = "tmr.create():alarm(1, tmr.ALARM_SINGLE, function() print('time ' .. 'is up') end)\r";
    terminal.write_all(line.as_bytes()).unwrap();
    until(&mut terminal, &mut seen, "time is up");
    terminal.write_all(b"for i = 1, 2 do\r").unwrap();
    until(&mut terminal, &mut seen, ">> ");
    terminal.write_all(b"print('i is ' .. i) end\r").unwrap();
    until(&mut terminal, &mut seen, "i is 2");
    // A script that never pauses is stopped by Ctrl-C, and the prompt goes on.
    terminal.write_all(b"print('bu' .. 'sy') while true do end\r").unwrap();
    until(&mut terminal, &mut seen, "busy");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    until(&mut terminal, &mut seen, "interrupted");
    until(&mut terminal, &mut seen, "> ");
    terminal.write_all(&[4]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    // The terminal is as it was.
    assert_eq!(tcgetattr(&pty.slave).unwrap().local_flags, before.local_flags);
    assert!(before.local_flags.contains(LocalFlags::ICANON));
    // The next time, the arrow up brings the last line back.
    let mut child = start();
    seen.clear();
    until(&mut terminal, &mut seen, "> ");
    terminal.write_all(b"\x1b[A").unwrap();
    until(&mut terminal, &mut seen, "while true do end");
    // Ctrl-C twice leaves.
    terminal.write_all(&[3]).unwrap();
    until(&mut terminal, &mut seen, "to leave");
    until(&mut terminal, &mut seen, "> ");
    terminal.write_all(&[3]).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
