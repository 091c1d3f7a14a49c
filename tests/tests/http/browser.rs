//! Chromium. What a page finds out it reports by asking for a path, which shows in the server's log, or it is asked by
//! the test.

use std::fs;

use lunet_tests::{Folder, Namespace, have};

use super::chromium::Browser;
use super::{Place, Site, start_example};

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
    let mut browser = Browser::start(&namespace);
    browser.open(&site.url("/"));
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
    let mut browser = Browser::start(&namespace);
    browser.open(&site.url("/"));
    let report = site.process.wait_for("GET /report/");
    assert!(report.contains("GET /report/3600/3500 HTTP/1.1"), "{report}");
    drop(browser);
    site.process.interrupt();
    let log = site.process.finish().err;
    let parts = log.lines().filter(|line| line.contains("GET /hour.wav HTTP/1.1\" 206 ")).count();
    assert!(parts >= 3, "{log}");
}

/// H-18, H-19: the page of examples/http-server, as its users have it: forms sent by the page's own program and by the
/// browser itself, events, and a chat between two windows.
#[test]
fn h18_h19_forms_events_and_a_chat() {
    if !have(&["chromium"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let (mut server, url) = start_example(&namespace, Place::Tap);
    let mut browser = Browser::start(&namespace);
    let page = browser.open(&format!("{url}/"));
    let other = browser.open(&format!("{url}/"));

    // Events come by themselves.
    assert_eq!(browser.ask(page, "seen('uptime', text => text > 0)"), "yes");

    // A file of 300,000 bytes, chosen in the form; its page sends it.
    let choose = "const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(300000).fill(2)], 'twos.bin'));
        const form = document.getElementById('upload');
        form.elements.note.value = 'hello';
        form.elements.files.files = files.files;";
    let uploaded = "note: 5 bytes, sum 532\nfiles \"twos.bin\": 300000 bytes, sum 600000\n";
    let submit = format!("{choose} form.requestSubmit(); seen('uploaded', text => text.includes('files'))");
    assert_eq!(browser.ask(page, &submit), "yes");
    assert_eq!(browser.ask(page, "document.getElementById('uploaded').textContent"), uploaded);
    // The browser itself sends it, and shows the answer.
    browser.leave(page, &format!("{choose} HTMLFormElement.prototype.submit.call(form)"));
    assert_eq!(browser.ask(page, "document.body.textContent"), uploaded);
    server.wait_for("POST /upload");

    // A form that is text; after it the browser is back on the page.
    let rename = "const form = document.getElementById('rename');
        form.elements.name.value = 'K\u{fc}hl & <b>x</b>'; form.submit()";
    browser.leave(other, rename);
    assert_eq!(browser.ask(other, "seen('name', text => text === 'K\u{fc}hl & <b>x</b>')"), "yes");
    server.wait_for("POST /name HTTP/1.1: 303 See Other");

    // Two windows talk. What is said before the other is there it does not hear, so it is said until it was heard.
    let page = browser.open(&format!("{url}/"));
    for (from, to, text) in [(page, other, "hello"), (other, page, "K\u{fc}hl \u{2713}")] {
        let say = format!(
            "const form = document.getElementById('say');
            window.saying = setInterval(() => {{ form.elements[0].value = '{text}'; form.requestSubmit(); }}, 50);
            'saying'"
        );
        assert_eq!(browser.ask(from, &say), "saying");
        assert_eq!(browser.ask(to, &format!("seen('said', said => said.includes('{text}'))")), "yes");
        assert_eq!(browser.ask(from, "clearInterval(window.saying); 'said'"), "said");
    }
    // It ends in order, with all connections still open.
    server.interrupt();
    server.finish().ok();
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
