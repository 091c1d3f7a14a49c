//! More clients than places, and as many requests as they can make.

use lunet_tests::{Folder, Namespace, data, have};

use super::{Place, Site};

/// The number behind `name` in the report of a program.
#[track_caller]
fn figure(report: &str, name: &str) -> u64 {
    let found = report.lines().find_map(|line| line.trim().strip_prefix(name)?.split_whitespace().next()?.parse().ok());
    found.unwrap_or_else(|| panic!("no {name:?} in {report}"))
}

fn root() -> Folder {
    let root = Folder::new();
    root.write("small", "x".repeat(500));
    root.write("large", data(3, 100_000));
    root
}

/// Twice as many clients as connections: each request of all of them is answered, with and without keep-alive.
fn ab(place: Place) {
    if !have(&["ab"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    // What is left of the clients' own ends would stand in the way of new connections.
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    let site = Site::start(&namespace, place, root(), &["--quiet", "--connections", "4"]);
    for (path, requests, keep_alive) in [("/small", "2000", ""), ("/small", "4000", "-k"), ("/large", "300", "-k")] {
        let url = site.url(path);
        let mut arguments = vec!["-q", "-s", "60", "-c", "8", "-n", requests];
        arguments.extend(Some(keep_alive).filter(|option| !option.is_empty()));
        arguments.push(&url);
        let report = namespace.run("ab", &arguments).ok();
        assert_eq!(figure(&report, "Complete requests:").to_string(), requests, "{report}");
        assert_eq!(figure(&report, "Failed requests:"), 0, "{report}");
        assert!(!report.contains("Non-2xx responses") && !report.contains("Write errors:"), "{report}");
    }
}

#[test]
fn h16_ab_on_a_device() {
    ab(Place::Tap);
}

#[test]
fn h16_ab_on_the_computer() {
    ab(Place::Host);
}

/// The same with connections that are kept as long as the server allows.
fn wrk(place: Place, connections: &str) {
    if !have(&["wrk"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    let site = Site::start(&namespace, place, root(), &["--quiet", "--connections", connections]);
    for path in ["/small", "/large"] {
        let report = namespace.run("wrk", &["-t", "2", "-c", "8", "-d", "1", "--timeout", "60", &site.url(path)]).ok();
        let requests = report.lines().find(|line| line.contains(" requests in ")).expect("a number of requests");
        assert!(figure(requests, "") > 0, "{report}");
        assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
    }
}

#[test]
fn h16_wrk_on_a_device() {
    wrk(Place::Tap, "8");
    wrk(Place::Tap, "4");
}

#[test]
fn h16_wrk_on_the_computer() {
    wrk(Place::Host, "8");
    wrk(Place::Host, "4");
}
