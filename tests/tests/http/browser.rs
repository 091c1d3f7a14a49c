//! Chromium. What a page finds out it reports by asking for a path, which shows in the server's log.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

use lunet_tests::{Folder, Namespace, Process, have};
use rustix::process::{Pid, Signal, kill_process_group};

use super::{Place, Site};

/// A browser without a window, with a page open. It ends when this goes.
#[derive(Debug)]
struct Browser {
    process: Option<Process>,
    _profile: Folder,
}

impl Browser {
    fn open(namespace: &Namespace, url: &str) -> Self {
        let profile = Folder::new();
        let mut command = Command::new("chromium");
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.args(["--disable-dev-shm-usage", "--mute-audio", "--autoplay-policy=no-user-gesture-required"]);
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        // Its many processes are one group, so that they can be ended together.
        command.process_group(0).env("HOME", profile.path()).stdin(Stdio::null());
        Self { process: Some(namespace.start(&mut command)), _profile: profile }
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

/// TCP connections that programs in the namespace have opened so far.
fn connections_opened(namespace: &Namespace) -> u64 {
    let counters = namespace.inside(|| fs::read_to_string("/proc/thread-self/net/snmp")).unwrap();
    let mut tcp = counters.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let names = tcp.next().unwrap().split(' ');
    let mut values = names.zip(tcp.next().unwrap().split(' '));
    values.find(|(name, _)| *name == "ActiveOpens").unwrap().1.parse().unwrap()
}

/// H-14: a page, and what belongs to it, on few connections.
#[test]
fn h14_a_browser_keeps_its_connections() {
    if !have(&["chromium"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let root = Folder::new();
    let page = r"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Page</title>
<link rel=stylesheet href=style.css><p id=text>text
<script type=module>
import { answer } from './module.mjs';
for (let number = 0; number < 30; number++) {
  const response = await fetch('data.json?' + number, { cache: 'no-store' });
  if ((await response.json()).answer !== answer) throw 'not that';
}
const color = getComputedStyle(document.getElementById('text')).color;
fetch('report/' + encodeURIComponent(color));
</script>";
    root.write("index.html", page);
    root.write("style.css", "p { color: rgb(1, 2, 3) }");
    // A browser takes a module only with the right type.
    root.write("module.mjs", "export const answer = 42;");
    root.write("data.json", r#"{ "answer": 42 }"#);
    let mut site = Site::start(&namespace, Place::Tap, root, &[]);
    let _browser = Browser::open(&namespace, &site.url("/"));
    site.process.wait_for("GET /report/rgb(1,%202,%203) HTTP/1.1\" 404");
    // A browser opens no more than six to one server.
    let opened = connections_opened(&namespace);
    assert!(opened <= 6, "{opened}");
}

/// H-13: a player that jumps about in a long recording loads only what it needs of it.
#[test]
fn h13_a_video_element_asks_for_ranges() {
    if !have(&["chromium"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let root = Folder::new();
    let page = r"<!DOCTYPE html><html lang=en><meta charset=utf-8><title>Player</title>
<video preload=metadata src=hour.wav></video>
<script>
const video = document.querySelector('video');
const places = [3000, 600, 3500];
const jump = () => { video.currentTime = places.shift(); };
video.onloadedmetadata = jump;
video.onseeked = () => {
  if (places.length) { jump(); } else { fetch('report/' + Math.round(video.duration) + '/' + video.currentTime); }
};
video.onerror = () => fetch('report/error/' + video.error.code);
</script>";
    root.write("index.html", page);
    root.write("hour.wav", silence(3600));
    let mut site = Site::start(&namespace, Place::Tap, root, &[]);
    let browser = Browser::open(&namespace, &site.url("/"));
    let report = site.process.wait_for("GET /report/");
    assert!(report.contains("GET /report/3600/3500 HTTP/1.1"), "{report}");
    drop(browser);
    site.process.interrupt();
    let log = site.process.finish().err;
    let parts = log.lines().filter(|line| line.contains("GET /hour.wav HTTP/1.1\" 206 ")).count();
    assert!(parts >= 3, "{log}");
}

/// So many seconds of silence, 8000 bytes each, as a WAVE file.
fn silence(seconds: u32) -> Vec<u8> {
    const RATE: u32 = 8000;
    let length = seconds * RATE;
    let mut wave = b"RIFF".to_vec();
    wave.extend((36 + length).to_le_bytes());
    wave.extend(b"WAVEfmt ");
    // PCM, one channel, a byte for each sample.
    wave.extend(16u32.to_le_bytes());
    wave.extend([1, 0, 1, 0]);
    wave.extend(RATE.to_le_bytes());
    wave.extend(RATE.to_le_bytes());
    wave.extend([1, 0, 8, 0]);
    wave.extend(b"data");
    wave.extend(length.to_le_bytes());
    wave.resize(wave.len() + length as usize, 0x80);
    wave
}
