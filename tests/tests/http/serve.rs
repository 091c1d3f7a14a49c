//! `lunet serve`, as its user meets it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use lunet_tests::{Device, Folder, Namespace, Output, Process, as_nobody, data, for_everybody, have, lunet, read_all};

use super::{Place, Site};

fn command(options: &[&str]) -> Command {
    let mut command = Command::new(lunet());
    command.arg("serve").args(options).stdin(Stdio::null());
    command
}

#[track_caller]
fn assert_fails(output: &Output, status: i32, message: &str) {
    assert_eq!(output.status.code(), Some(status), "{}", output.err);
    assert_eq!(output.err.lines().count(), 1, "one line that says it: {}", output.err);
    assert!(output.err.contains(message), "no {message:?} in {:?}", output.err);
}

#[test]
fn it_says_where_it_serves() {
    let Some(namespace) = Namespace::new() else { return };
    let root = Folder::new();
    let directory = root.path().to_str().unwrap();
    let says = |options: &[&str]| {
        let mut process = namespace.start(&mut command(&[options, &[directory]].concat()));
        let line = process.wait_for("serving ");
        process.interrupt();
        assert_eq!(process.finish().status.code(), Some(130));
        line.replace(directory, "DIR")
    };
    assert_eq!(says(&[]), "lunet: serving DIR at http://localhost:8080/");
    assert_eq!(says(&["--port", "80"]), "lunet: serving DIR at http://localhost/");
    assert_eq!(says(&["--bind", "::1", "-p", "81"]), "lunet: serving DIR at http://[::1]:81/");
    let free = says(&["--port", "0", "--bind", "127.0.0.1"]);
    let port = free.strip_prefix("lunet: serving DIR at http://127.0.0.1:").and_then(|port| port.strip_suffix('/'));
    assert!(port.and_then(|port| port.parse::<u16>().ok()).is_some_and(|port| port > 0), "{free}");
    let tap = says(&["--eth", Device::ETH, "--port", "80"]);
    assert_eq!(tap, "lunet: serving DIR at http://10.0.0.2/ and http://[fd00:10::2]/");
    // With addresses of its own the computer names them too.
    namespace.ip("link add veth0 type veth peer name veth1");
    namespace.ip("address add 192.0.2.7/24 dev veth0");
    namespace.ip("link set veth0 up");
    assert_eq!(says(&[]), "lunet: serving DIR at http://localhost:8080/ and http://192.0.2.7:8080/");
}

#[test]
fn wrong_use_is_met_with_one_line() {
    let Some(namespace) = Namespace::new() else { return };
    let root = Folder::new();
    let file = root.write("file", "");
    let (directory, file) = (root.path().to_str().unwrap(), file.to_str().unwrap());
    let run = |options: &[&str]| namespace.start(&mut command(options)).finish();
    assert_fails(&run(&[]), 2, "serve: a directory is missing, as in `lunet serve .`");
    assert_fails(&run(&["/no-such"]), 2, "cannot serve /no-such: No such file or directory");
    assert_fails(&run(&[file]), 2, &format!("cannot serve {file}: not a directory"));
    assert_fails(&run(&["--log", "/no-such/log", directory]), 2, "--log: cannot write /no-such/log: No such file");
    assert_fails(&run(&["--bind", "192.0.2.1", directory]), 2, "--bind: 192.0.2.1 is no address of this device");
    let _taken = Site::start(&namespace, Place::Host, Folder::new(), &[]);
    let taken = run(&[directory]);
    assert_fails(&taken, 1, "port 8080 is in use by lunet (process ");
    assert!(taken.err.contains("--port chooses another"), "{}", taken.err);
}

#[test]
fn a_port_that_is_not_for_ordinary_users() {
    if !have(&["setpriv"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let copy = for_everybody(&[(lunet(), "lunet")]);
    let lunet = copy.path().join("lunet");
    let arguments = [lunet.as_os_str(), "serve".as_ref(), "-p".as_ref(), "80".as_ref(), copy.path().as_os_str()];
    let output = namespace.start(&mut as_nobody(&arguments)).finish();
    assert_fails(&output, 1, "port 80 is not for ordinary users; --port chooses another, from 1024 on");
}

/// H-17: the files in the directory, an index file for a directory, and a listing where there is none.
#[test]
fn h17_files_and_listings() {
    if !have(&["curl"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let files = |options: &[&str]| {
        let root = Folder::new();
        root.write("with/index.html", "<p>the index");
        root.write("without/<b>&amp; \"x\".txt", "text");
        root.write("without/.hidden", "secret");
        Site::start(&namespace, Place::Host, root, options)
    };
    let get = |site: &Site, path: &str| {
        let url = site.url(path);
        namespace.run("curl", &["-sS", "--path-as-is", "--max-time", "60", "-w", "\n%{http_code}", &url]).ok()
    };
    let mut site = files(&[]);
    assert_eq!(get(&site, "/with/"), "<p>the index\n200");
    let listing = get(&site, "/without/");
    assert!(listing.ends_with("\n200") && listing.contains("&lt;b&gt;&amp;amp; &quot;x&quot;.txt"), "{listing}");
    assert!(!listing.contains("<b>") && !listing.contains("hidden"), "{listing}");
    assert_eq!(get(&site, "/without/%3Cb%3E%26amp%3B%20%22x%22.txt"), "text\n200");
    for path in ["/without/.hidden", "/../with/", "/with/../../etc/passwd", "/%2e%2e/etc/passwd", "/no-such"] {
        let answer = get(&site, path);
        assert!(answer.ends_with("\n404") || answer.ends_with("\n400") || path == "/../with/", "{path}: {answer}");
    }
    // Each request is a line of the log.
    let line = site.process.wait_for("GET /with/ ");
    assert!(line.starts_with("127.0.0.1 - - [") && line.ends_with("] \"GET /with/ HTTP/1.1\" 200 12"), "{line}");
    let line = site.process.wait_for("%22x%22.txt");
    assert!(line.ends_with(" +0000] \"GET /without/%3Cb%3E&amp;%20%22x%22.txt HTTP/1.1\" 200 4"), "{line}");
    site.process.wait_for("GET /no-such HTTP/1.1\" 404");
    drop(site);
    let site = files(&["--no-listing"]);
    assert!(get(&site, "/without/").ends_with("\n404"));
    assert_eq!(get(&site, "/with/"), "<p>the index\n200");
}

#[test]
fn the_log_goes_where_it_is_told() {
    if !have(&["curl"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let logs = Folder::new();
    let log = logs.write("access.log", "from before\n");
    let run = |options: &[&str]| {
        let site = Site::start(&namespace, Place::Host, Folder::new(), options);
        namespace.run("curl", &["-sS", "--max-time", "60", &site.url("/x")]).ok();
        site.process.interrupt();
        site.process.finish().err
    };
    for options in [&["--quiet"][..], &["--log", log.to_str().unwrap()]] {
        let err = run(options);
        assert_eq!(err.lines().count(), 1, "{err}");
    }
    let lines = fs::read_to_string(&log).unwrap();
    assert!(lines.starts_with("from before\n127.0.0.1 - - ["), "{lines}");
    assert!(lines.ends_with("] \"GET /x HTTP/1.1\" 404 9\n"), "{lines}");
    assert!(run(&["--log", "-"]).ends_with("] \"GET /x HTTP/1.1\" 404 9\n"));
}

/// H-22: at Ctrl-C the port is free at once, idle connections close, and who is being answered gets all of it.
fn stops_gracefully(place: Place) {
    const SIZE: usize = 30 << 20;
    let Some(namespace) = Namespace::new() else { return };
    let root = Folder::new();
    root.write("large", data(5, SIZE));
    let site = Site::start(&namespace, place, root, &[]);
    let mut idle = namespace.connect(&site.address());
    let mut busy = namespace.connect(&site.address());
    busy.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    busy.read_exact(&mut [0; 1]).unwrap();
    site.process.interrupt();
    assert_eq!(read_all(&mut idle), "", "an idle connection is closed");
    let refused = loop {
        match namespace.try_connect(&site.address(), Duration::from_secs(60)) {
            Ok(_) => thread::yield_now(),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let mut answer = Vec::new();
    busy.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&data(5, SIZE)), "{} bytes", answer.len());
    let output = site.process.finish();
    assert_eq!(output.status.code(), Some(130), "{}", output.err);
}

#[test]
fn h22_it_stops_gracefully_on_a_device() {
    stops_gracefully(Place::Tap);
}

#[test]
fn h22_it_stops_gracefully_on_the_computer() {
    stops_gracefully(Place::Host);
}

/// As an ordinary user behind passt, a port of the computer leads to the device's.
#[test]
fn behind_a_user_mode_network() {
    if !have(&["passt", "setpriv", "curl"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    namespace.ip("link add veth0 type veth peer name veth1");
    namespace.ip("address add 192.0.2.7/24 dev veth0");
    namespace.ip("link set veth0 up");
    namespace.ip("link set veth1 up");
    namespace.ip("route add default via 192.0.2.254");
    let copy = for_everybody(&[(lunet(), "lunet")]);
    copy.write("hello.txt", "hello");
    let lunet = copy.path().join("lunet");
    let arguments = [lunet.as_os_str(), "serve".as_ref(), "--net".as_ref(), "user".as_ref(), copy.path().as_os_str()];
    let mut process: Process = namespace.start(&mut as_nobody(&arguments));
    let line = process.wait_for("serving ");
    assert!(line.ends_with(" at http://127.0.0.1:8080/"), "{line}");
    let url = "http://127.0.0.1:8080/hello.txt";
    assert_eq!(namespace.run("curl", &["-sS", "--max-time", "60", url]).ok(), "hello");
}
