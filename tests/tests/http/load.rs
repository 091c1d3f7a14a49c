//! More clients than places, and as many requests as they can make.

use lunet_tests::{Folder, Namespace, data, have};

use super::{PYTHON, Place, Site, have_file};

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

/// A network for many clients of a server there.
fn network(place: Place) -> Option<Namespace> {
    let namespace = Namespace::new()?;
    // What is left of the clients' own ends would stand in the way of new connections. But where the kernel has the
    // server's ends too, it must remember those that it has closed (TIME-WAIT and FIN-WAIT-2, RFC 9293 section 3.6): else
    // it answers with a reset when a client acknowledges the end twice. That happens to a client that has to wait for the
    // processor while it reads, because the end is then sent again. ab counts it as a failure, although all of the
    // response has come, and leaves one of its connections open without ever asking for anything on it: that one ends
    // when the server has waited long enough.
    if place == Place::Tap {
        namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    }
    Some(namespace)
}

/// A client that says, after all of a response and its end have come and before it reads any of it, that it is still there;
/// waits for what the server's side says to that; and only then reads.
const LATE_READER: &str = r#"
import select, socket, struct, sys
host, port = sys.argv[1].split(":")
client = socket.socket()
client.settimeout(60)
client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
client.connect((host, int(port)))
client.sendall(b"GET /large HTTP/1.0\r\n\r\n")
poll = select.poll()
poll.register(client, select.POLLRDHUP)
assert poll.poll(60000) == [(client.fileno(), select.POLLRDHUP)], "no end"
# tcpi_segs_in of struct tcp_info.
received = lambda: struct.unpack_from("=I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 144), 140)[0]
before = received()
# The kernel's keep-alive probe, a second from now, repeats the last acknowledgement.
client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)
client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
poll.modify(client, 0)
for _ in range(6000):
    if received() != before or poll.poll(10):
        break
else:
    sys.exit("no answer")
error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
response = b"".join(iter(lambda: client.recv(65536), b""))
print(len(response.split(b"\r\n\r\n", 1)[1]), "bytes, error", error)
"#;

fn late_reader(place: Place) {
    if !have_file(PYTHON, "python3") {
        return;
    }
    let Some(namespace) = network(place) else { return };
    let site = Site::start(&namespace, place, root(), &["--quiet"]);
    let report = namespace.run(PYTHON, &["-c", LATE_READER, &site.address()]).ok();
    assert_eq!(report, "100000 bytes, error 0\n");
}

#[test]
fn a_client_of_a_device_that_reads_late_is_not_reset() {
    late_reader(Place::Tap);
}

#[test]
fn a_client_of_the_computer_that_reads_late_is_not_reset() {
    late_reader(Place::Host);
}

/// Each request of eight clients at once is answered, also when there are only four places.
fn ab(place: Place) {
    if !have(&["ab"]) {
        return;
    }
    let Some(namespace) = network(place) else { return };
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
    let Some(namespace) = network(place) else { return };
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
