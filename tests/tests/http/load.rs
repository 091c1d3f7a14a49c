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

/// Each request of eight clients at once is answered, also when there are only four places.
fn ab(place: Place) {
    if !have(&["ab"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    // What is left of the clients' own ends would stand in the way of new connections.
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    // With keep-alive ab holds connections that it has nothing left to ask on, and counts it as a failure when they are
    // closed for those who wait: then each client has a place.
    for (places, path, requests, keep_alive) in [
        ("4", "/small", "2000", None),
        ("4", "/large", "300", None),
        ("8", "/small", "5000", Some("-k")),
        ("8", "/large", "500", Some("-k")),
    ] {
        let site = Site::start(&namespace, place, root(), &["--quiet", "--connections", places]);
        let url = site.url(path);
        let mut arguments = vec!["-q", "-s", "60", "-c", "8", "-n", requests];
        arguments.extend(keep_alive);
        arguments.push(&url);
        let report = namespace.run("ab", &arguments).ok();
        assert_eq!(figure(&report, "Complete requests:").to_string(), requests, "{report}");
        assert_eq!(figure(&report, "Failed requests:"), 0, "{report}");
        assert!(!report.contains("Non-2xx responses") && !report.contains("Write errors:"), "{report}");
        // Only the last answer that a connection may have says that it is.
        let kept = keep_alive.map_or(0, |_| requests.parse::<u64>().unwrap() * 99 / 100);
        assert!(keep_alive.is_none() || figure(&report, "Keep-Alive requests:") >= kept, "{report}");
        site.process.interrupt();
        site.process.finish();
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
