//! Every example of the newest NodeMCU document, run as printed on a device, against the kernel's own TCP/IP.

use std::io::{Read, Write};
use std::net::Shutdown;

use lunet_tests::{Device, Document, Example, Namespace, accept, have, read_all, read_until};

const fn example(section: &'static str, first: &'static str, until: &'static str) -> Example {
    Example { section, first, until }
}

const CREATE_CONNECTION: Example = example("net.createConnection()", "net.createConnection(net.TCP, 0)", "See also");
const CREATE_SERVER: Example =
    example("net.createServer()", "net.createServer(net.TCP, 30) -- 30s timeout", "See also");
const SERVER_CLOSE: Example = example("net.server:close()", "-- creates a server", "See also");
const SERVER_LISTEN: Example = example(
    "net.server:listen()",
    "-- server listens on 80, if data received, print data to console and send \"hello world\" back to caller",
    "See also",
);
const SOCKET_DNS: Example = example("net.socket:dns()", "sk = net.createConnection(net.TCP, 0)", "See also");
const SOCKET_ON: Example = example("net.socket:on()", "srv = net.createConnection(net.TCP, 0)", "!!! note");
const SOCKET_ON_BUFFER: Example = example("net.socket:on()", "local buffer = nil", "See also");
const SOCKET_SEND: Example = example(
    "net.socket:send()",
    "srv = net.createServer(net.TCP)",
    "If you do not or can not keep all the data you send back in memory at one time (remember that response",
);
const SOCKET_SEND_NESTED: Example = example("net.socket:send()", "sck:send(header, function()", "See also");
const SOCKET_TTL: Example = example("net.socket:ttl()", "sk = net.createConnection(net.TCP, 0)", "See also");
const UDP_SEND: Example = example(
    "net.udpsocket:send()",
    "udpSocket = net.createUDPSocket()",
    "On *nix systems that can then be tested by issuing",
);
const UDP_SEND_SHELL: Example =
    example("net.udpsocket:send()", "echo -n \"foo\" | nc -w1 -u <device-IP-address> 5000", "net.udpsocket:dns()");
const DNS_SERVERS: Example =
    example("net.dns.getdnsserver()", "print(net.dns.getdnsserver(0)) -- 208.67.222.222", "See also");
const DNS_RESOLVE: Example =
    example("net.dns.resolve()", "net.dns.resolve(\"www.google.com\", function(sk, ip)", "See also");

/// All of them, in the document's order; each has a test below.
const ALL: [Example; 14] = [
    CREATE_CONNECTION,
    CREATE_SERVER,
    SERVER_CLOSE,
    SERVER_LISTEN,
    SOCKET_DNS,
    SOCKET_ON,
    SOCKET_ON_BUFFER,
    SOCKET_SEND,
    SOCKET_SEND_NESTED,
    SOCKET_TTL,
    UDP_SEND,
    UDP_SEND_SHELL,
    DNS_SERVERS,
    DNS_RESOLVE,
];

fn document() -> Option<Document> {
    Document::open("nodemcu-net-2.2.md")
}

/// The document, and a network to run its examples in.
fn world() -> Option<(Document, Namespace)> {
    Some((document()?, Namespace::new()?))
}

#[test]
fn the_document_holds_these_examples_and_no_others() {
    let Some(document) = document() else { return };
    let mut sections: Vec<_> = ALL.iter().map(|example| example.section).collect();
    sections.dedup();
    assert_eq!(document.count("Example"), sections.len(), "a section with an example that is not run");
    for example in &ALL {
        assert!(!document.example(example).trim().is_empty());
    }
    // Two of the sections have prose between their examples: a note of four lines, a paragraph of two, a sentence.
    let besides = document.besides(&ALL);
    assert_eq!(besides.len(), 7, "an example that is not run? {besides:#?}");
}

#[test]
fn create_connection() {
    let Some((document, namespace)) = world() else { return };
    let output = Device::script(&document.example(&CREATE_CONNECTION)).run(&namespace);
    // A socket that is not connected to anything is nothing to wait for.
    assert_eq!(output.ok(), "");
}

#[test]
fn create_server() {
    let Some((document, namespace)) = world() else { return };
    assert_eq!(Device::script(&document.example(&CREATE_SERVER)).run(&namespace).ok(), "");
}

#[test]
fn server_close() {
    let Some((document, namespace)) = world() else { return };
    assert_eq!(Device::script(&document.example(&SERVER_CLOSE)).run(&namespace).ok(), "");
}

#[test]
fn server_listen() {
    let Some((document, namespace)) = world() else { return };
    let script = document.example(&SERVER_LISTEN) + "print('ready')";
    let mut device = Device::script(&script).start(&namespace);
    device.wait_for("ready");
    for text in ["first", "second"] {
        let mut client = namespace.connect("10.0.0.2:80");
        let mut hello = [0; 11];
        client.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"hello world");
        client.write_all(text.as_bytes()).unwrap();
        device.wait_for(text);
        assert_eq!(read_all(&mut client), "", "the device closes after the first data");
    }
}

#[test]
fn socket_dns() {
    let Some((document, namespace)) = world() else { return };
    if !have(&["dnsmasq"]) {
        return;
    }
    namespace.address("192.0.2.53/32");
    let _dnsmasq = namespace.dnsmasq(Device::DNS, &[("www.nodemcu.com", "192.0.2.10")]);
    // The script drops its socket at once; the answer still comes, and then nothing is left to wait for.
    assert_eq!(Device::script(&document.example(&SOCKET_DNS)).run(&namespace).ok(), "192.0.2.10\n");
}

#[test]
fn socket_on() {
    let Some((document, namespace)) = world() else { return };
    if !have(&["dnsmasq"]) {
        return;
    }
    namespace.address("192.0.2.53/32");
    namespace.address("192.0.2.11/32");
    let _dnsmasq = namespace.dnsmasq(Device::DNS, &[("httpbin.org", "192.0.2.11")]);
    let httpbin = namespace.listen("192.0.2.11:80");
    let device = Device::script(&document.example(&SOCKET_ON)).start(&namespace);
    let mut stream = accept(&httpbin);
    assert_eq!(
        read_until(&mut stream, "\r\n\r\n"),
        "GET /get HTTP/1.1\r\nHost: httpbin.org\r\nConnection: close\r\nAccept: */*\r\n\r\n"
    );
    stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"args\": {}}\n").unwrap();
    drop(stream);
    assert!(device.finish().ok().contains("{\"args\": {}}\n"));
}

#[test]
fn socket_on_with_a_buffer() {
    let Some((document, namespace)) = world() else { return };
    namespace.address("192.0.2.11/32");
    let server = namespace.listen("192.0.2.11:80");
    // The printed part takes a socket for granted.
    let script = "srv = net.createConnection(net.TCP, 0)\n".to_owned()
        + &document.example(&SOCKET_ON_BUFFER)
        + "srv:on('disconnection', function() print(#buffer, buffer == string.rep('0123456789', 1000)) end)\n\
           srv:connect(80, '192.0.2.11')";
    let device = Device::script(&script).start(&namespace);
    accept(&server).write_all("0123456789".repeat(1000).as_bytes()).unwrap();
    assert_eq!(device.finish().ok(), "10000\ttrue\n");
}

#[test]
fn socket_send() {
    let Some((document, namespace)) = world() else { return };
    let script = document.example(&SOCKET_SEND) + "print('ready')";
    let mut device = Device::script(&script).start(&namespace);
    device.wait_for("ready");
    for _ in 0..3 {
        let mut client = namespace.connect("10.0.0.2:80");
        client.write_all(b"anything").unwrap();
        assert_eq!(read_all(&mut client), "lots of dataeven more datae.g. content read from a file");
    }
}

#[test]
fn socket_send_nested() {
    let Some((document, namespace)) = world() else { return };
    // The printed part takes a connected socket and a header for granted.
    let script = "net.createServer(net.TCP):listen(80, function(sck)\nlocal header = 'a header, '\n".to_owned()
        + &document.example(&SOCKET_SEND_NESTED)
        + "end)\nprint('ready')";
    let mut device = Device::script(&script).start(&namespace);
    device.wait_for("ready");
    let mut client = namespace.connect("10.0.0.2:80");
    assert_eq!(
        read_all(&mut client),
        "a header, some large chunk of dynamically loaded dataeven more dynamically loaded data"
    );
}

#[test]
fn socket_ttl() {
    let Some((document, namespace)) = world() else { return };
    if !have(&["nft"]) {
        return;
    }
    namespace.address("192.168.1.1/32");
    let server = namespace.listen("192.168.1.1:80");
    // As on the original, the first segment is under way before ttl(1) is called. Of the later ones, only those with
    // that time to live get through.
    let rules = "table inet ttl {\n chain input {\n type filter hook input priority 0\n\
                 ip daddr 192.168.1.1 tcp flags fin,ack / fin,ack ip ttl != 1 drop\n }\n}\n";
    namespace.run_with_input("nft", &["-f", "-"], rules.as_bytes()).ok();
    let device = Device::script(&document.example(&SOCKET_TTL)).start(&namespace);
    let mut stream = accept(&server);
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), "");
    assert_eq!(device.finish().ok(), "");
}

#[test]
fn udpsocket_send_and_the_line_to_test_it_with() {
    let Some((document, namespace)) = world() else { return };
    if !have(&["nc"]) {
        return;
    }
    let mut device = Device::script(&document.example(&UDP_SEND)).start(&namespace);
    assert_eq!(device.line(), "local UDP socket address / port: 0.0.0.0:5000");
    let line = document.example(&UDP_SEND_SHELL).replace("<device-IP-address>", Device::ADDRESS);
    assert_eq!(namespace.run("bash", &["-c", &line]).out, "echo: foo");
    assert!(device.line().starts_with("received 'foo' from 10.0.0.1:"));
}

#[test]
fn dns_servers() {
    let Some((document, namespace)) = world() else { return };
    let script = document.example(&DNS_SERVERS);
    // The document says in comments what each line prints.
    let said: Vec<_> = script.lines().filter_map(|line| line.split_once(" -- ")).map(|(_, value)| value).collect();
    assert_eq!(said.len(), 4);
    let output = Device::script(&script).eth("tap:lunet0,ip=10.0.0.2/24,host=10.0.0.1/24").run(&namespace).ok();
    assert_eq!(output.lines().collect::<Vec<_>>(), said);
}

#[test]
fn dns_resolve() {
    let Some((document, namespace)) = world() else { return };
    if !have(&["dnsmasq"]) {
        return;
    }
    namespace.address("192.0.2.53/32");
    let script = document.example(&DNS_RESOLVE);
    let dnsmasq = namespace.dnsmasq(Device::DNS, &[("www.google.com", "192.0.2.12")]);
    assert_eq!(Device::script(&script).run(&namespace).ok(), "192.0.2.12\n");
    drop(dnsmasq);
    let _dnsmasq = namespace.dnsmasq(Device::DNS, &[]);
    assert_eq!(Device::script(&script).run(&namespace).ok(), "DNS fail!\n");
}
