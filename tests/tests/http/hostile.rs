//! Clients that mean harm, or are just very slow: each costs a place for the configured time and no more (H-16).

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use lunet_tests::{Folder, Namespace, Process, data, have, read_all};

use super::{Place, Site, start_example};

/// The server has two places, and gives a client that stops one second.
const STRICT: [&str; 4] = ["--connections", "2", "--timeout", "1"];

/// More than a client's kernel takes from the network before the client reads it.
const LARGE: usize = 16 << 20;

fn site(namespace: &Namespace) -> Site {
    let root = Folder::new();
    root.write("text.txt", "hello\n");
    root.write("large.bin", data(11, LARGE));
    Site::start(namespace, Place::Tap, root, &STRICT)
}

/// An ordinary client, who is served however many of the others there are.
#[track_caller]
fn assert_serves(namespace: &Namespace, site: &Site) {
    let mut stream = namespace.connect(&site.address());
    stream.write_all(b"GET /text.txt HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_all(&mut stream).ends_with("\r\n\r\nhello\n"));
}

/// Starts slowhttptest. Eight connections are four times as many as there are places.
fn slowhttptest(namespace: &Namespace, options: &[&str], url: &str) -> Process {
    let common = ["-r", "100", "-l", "60", "-p", "60", "-u", url];
    namespace.start(Command::new("slowhttptest").args(common).args(options).stdin(Stdio::null()))
}

#[test]
fn h16_slow_reading() {
    if !have(&["slowhttptest"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut site = site(&namespace);
    let options = ["-c", "8", "-X", "-k", "3", "-n", "5", "-w", "10", "-y", "20", "-z", "32"];
    let attack = slowhttptest(&namespace, &options, &site.url("/large.bin"));
    site.process.wait_for("GET /large.bin ");
    assert_serves(&namespace, &site);
    // Each of the eight, and the probe of slowhttptest's own, has been thrown out; it reads too slowly to notice.
    (0..8).for_each(|_| drop(site.process.wait_for("GET /large.bin ")));
    assert_serves(&namespace, &site);
    drop(attack);
}

/// Attacks until the server has had enough of one of the attackers, which shows in its log; then an ordinary client comes.
fn attack(options: &[&str], path: &str, logged: &str) {
    if !have(&["slowhttptest"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut site = site(&namespace);
    let attack = slowhttptest(&namespace, options, &site.url(path));
    site.process.wait_for(logged);
    assert_serves(&namespace, &site);
    // It ends before its time, because nothing is left of its connections.
    let report = attack.finish().out;
    assert!(report.contains("No open connections left"), "{report}");
    assert_serves(&namespace, &site);
}

#[test]
fn h16_slow_heads() {
    attack(&["-c", "8", "-H", "-i", "1", "-x", "24"], "/text.txt", "\" 408 ");
}

/// To a handler that reads bodies; it has 16 places, and ten seconds' patience.
#[test]
fn h16_slow_bodies() {
    if !have(&["slowhttptest"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let (mut server, url) = start_example(&namespace, Place::Tap);
    let options = ["-c", "24", "-B", "-i", "1", "-s", "8192", "-x", "10"];
    let attack = slowhttptest(&namespace, &options, &format!("{url}/count"));
    // When the first is there, the others are on their way.
    server.wait_for("POST /count HTTP/1.1: 408 Request Timeout");
    let mut stream = namespace.connect(url.trim_start_matches("http://"));
    stream.write_all(b"GET /name HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_all(&mut stream).ends_with("\r\n\r\nlamp"));
    drop(attack);
}

#[test]
fn h13_ranges_by_the_hundred() {
    attack(&["-c", "8", "-R", "-t", "GET", "-a", "10", "-b", "3000"], "/large.bin", "\"");
}

/// Clients that stop at different points, twice as many as there are places.
#[test]
fn h16_clients_that_stop_anywhere() {
    let Some(namespace) = Namespace::new() else { return };
    let site = site(&namespace);
    let download = "GET /large.bin HTTP/1.1\r\nHost: x\r\n\r\n";
    // The first two have the places.
    let stopped = [download, download, "", "GET /te", "GET /text.txt HTTP/1.1\r\nHost: x\r\n\r\n"].map(|part| {
        let mut stream = namespace.connect(&site.address());
        stream.write_all(part.as_bytes()).unwrap();
        stream
    });
    assert_serves(&namespace, &site);
    // They learn of it: by the end of the stream, or by a reset in the middle of an answer.
    for mut stream in stopped {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.len() < LARGE, "{} bytes", rest.len());
    }
}
