//! Every script in `examples/` does what its first lines say.

use std::fs;
use std::io::Write;
use std::path::Path;

use lunet_tests::{Device, Namespace, accept, have, read_all, read_until};

#[test]
fn every_example_has_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    // http-server is tested with the HTTP service.
    let tested =
        ["dns_lookup.lua", "hello.lua", "http-server", "http_get.lua", "tcp_echo.lua", "timer.lua", "udp_echo.lua"];
    assert_eq!(names, tested);
}

#[test]
fn hello() {
    if !have(&["curl"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::file("examples/hello.lua").start(&namespace);
    device.wait_for("hello: serving on port 80");
    let curl = || namespace.run("curl", &["-sS", "--max-time", "60", "http://10.0.0.2/"]).ok();
    assert!(curl().contains("You are visitor 1, from 10.0.0.1."));
    assert!(curl().contains("You are visitor 2, from 10.0.0.1."));
    // A request may come in pieces, and what follows it is not for us.
    let mut client = namespace.connect("10.0.0.2:80");
    client.write_all(b"GET / HTTP/1.0\r\n").unwrap();
    let mut other = namespace.connect("10.0.0.2:80");
    other.write_all(b"GET / HTTP/1.0\r\n\r\nmore").unwrap();
    assert!(read_all(&mut other).contains("You are visitor 3,"));
    client.write_all(b"\r\n").unwrap();
    assert!(read_all(&mut client).contains("You are visitor 4,"));
}

#[test]
fn tcp_echo() {
    if !have(&["nc"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::file("examples/tcp_echo.lua").start(&namespace);
    device.wait_for("echo: serving on TCP port 7");
    let output = namespace.run_with_input("nc", &["-N", "-w", "60", "10.0.0.2", "7"], b"one\ntwo\n");
    assert_eq!(output.ok(), "one\ntwo\n");
}

#[test]
fn udp_echo() {
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::file("examples/udp_echo.lua").arguments(&["1007"]).start(&namespace);
    device.wait_for("echo: serving on UDP port 1007");
    let socket = namespace.udp("10.0.0.1:0");
    for size in [1, 1472] {
        let sent = vec![b'x'; size];
        let mut got = vec![0; 2000];
        socket.send_to(&sent, "10.0.0.2:1007").unwrap();
        let (n, from) = socket.recv_from(&mut got).unwrap();
        assert_eq!((&got[..n], from.to_string().as_str()), (&sent[..], "10.0.0.2:1007"));
    }
}

#[test]
fn http_get() {
    if !have(&["dnsmasq"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    namespace.address("192.0.2.53/32");
    namespace.address("192.0.2.80/32");
    let _dnsmasq = namespace.dnsmasq(Device::DNS, &[("www.example.test", "192.0.2.80")]);
    let server = namespace.listen("192.0.2.80:80");
    let get = |arguments: &[&str]| Device::file("examples/http_get.lua").arguments(arguments).start(&namespace);

    let device = get(&["www.example.test", "/page"]);
    let mut stream = accept(&server);
    let request = read_until(&mut stream, "\r\n\r\n");
    assert_eq!(request, "GET /page HTTP/1.1\r\nHost: www.example.test\r\nConnection: close\r\n\r\n");
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe page").unwrap();
    drop(stream);
    assert!(device.finish().ok().contains("the page"));

    // Nobody listens there any more.
    drop(server);
    assert_eq!(get(&["www.example.test"]).finish().ok(), "could not fetch it: error -9\n");

    let usage = get(&[]).finish();
    assert_eq!(usage.status.code(), Some(1));
    assert!(usage.err.contains("usage: http_get.lua HOST [PATH]"), "{}", usage.err);
}

#[test]
fn dns_lookup() {
    if !have(&["dnsmasq"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    namespace.address("192.0.2.53/32");
    let _dnsmasq = namespace.dnsmasq(Device::DNS, &[("a.example.test", "192.0.2.1"), ("b.example.test", "192.0.2.2")]);
    let names = ["a.example.test", "b.example.test", "c.example.test", "192.0.2.3"];
    let output = Device::file("examples/dns_lookup.lua").arguments(&names).run(&namespace).ok();
    // The answers come in any order.
    let mut lines: Vec<_> = output.lines().collect();
    lines.sort_unstable();
    let expected =
        ["192.0.2.3: 192.0.2.3", "a.example.test: 192.0.2.1", "b.example.test: 192.0.2.2", "c.example.test: not found"];
    assert_eq!(lines, expected);
}

#[test]
fn timer() {
    let Some(namespace) = Namespace::new() else { return };
    let output = Device::file("examples/timer.lua").arguments(&["10"]).run(&namespace);
    assert_eq!(output.ok(), "3\n2\n1\ndone\n");
}
