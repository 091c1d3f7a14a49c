//! Which fields are accepted, and what they say about the message: H-5 to H-14.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::tests::{head, status};
use super::*;

/// A POST request with these fields beside Host.
fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn h5_bytes_of_fields() {
    for byte in 0..=0xff_u8 {
        let with =
            |name: &[u8], value: &[u8]| [b"GET / HTTP/1.1\r\nHost: a\r\n", name, b":", value, b"\r\n\r\n"].concat();
        let token = is_token_byte(byte);
        // A colon more belongs to the value.
        let inside = token || byte == b':';
        assert_eq!(status(with(&[b'X', byte], b"v")), if inside { 200 } else { 400 }, "{byte:#x} ends a name");
        assert_eq!(status(with(&[byte, b'X'], b"v")), if token { 200 } else { 400 }, "{byte:#x} begins a name");
        assert_eq!(status(with(&[byte], b"v")), if token { 200 } else { 400 }, "{byte:#x} is a name");
        let value = byte == b'\t' || !byte.is_ascii_control();
        for text in [vec![b'a', byte, b'b'], vec![byte], vec![b'a', byte]] {
            assert_eq!(status(with(b"X", &text)), if value { 200 } else { 400 }, "{byte:#x} in a value");
        }
    }
}

#[test]
fn h5_malformed_fields() {
    for lines in [
        "Name : v\r\n",
        "Name\t: v\r\n",
        ": v\r\n",
        " Name: v\r\n",
        "\tName: v\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        "A: b\r\n \r\n",
        "Name\r\n",
        "Na me: v\r\n",
        "Na[]: v\r\n",
        "Name v\r\n",
        "N\u{e9}: v\r\n",
        " \r\n",
        "A:\r\n b\r\n",
    ] {
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")), 400, "{lines:?}");
        assert_eq!(status(format!("GET / HTTP/1.1\r\n{lines}Host: a\r\n\r\n")), 400, "{lines:?} first");
    }
}

#[test]
fn h5_number_of_fields() {
    let request = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count - 1));
    assert_eq!(status(request(100)), 200);
    assert_eq!(status(request(101)), 431);
    // No setting raises it.
    let limits = Limits { fields: 1000, ..Limits::new() };
    let refusal = Scanner::new().scan(&mut request(101).into_bytes(), &limits).unwrap_err();
    assert_eq!(refusal.status, Status::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let limits = Limits { fields: 2, ..Limits::new() };
    assert!(Scanner::new().scan(&mut request(2).into_bytes(), &limits).is_ok());
    assert!(Scanner::new().scan(&mut request(3).into_bytes(), &limits).is_err());
}

#[test]
fn h5_length_of_a_head() {
    let request = |length: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
        post("").replace("POST", "GET").replace("\r\n\r\n", &format!("\r\nX: {}\r\n\r\n", "y".repeat(length - rest)))
    };
    assert_eq!(head(&request(16 * 1024)).length, 16 * 1024);
    assert_eq!(status(request(16 * 1024 + 1)), 431);
    assert_eq!(status(request(100_000)), 431);
    assert_eq!(status(format!("GET / HTTP/1.1\r\n{}", "N".repeat(100_000))), 431);
    // What follows a head does not count.
    assert_eq!(status(request(16 * 1024) + "body"), 200);
    // No setting raises it above what offsets of 16 bits reach.
    let limits = Limits { head: usize::MAX, ..Limits::new() };
    assert!(Scanner::new().scan(&mut request(65_535).into_bytes(), &limits).is_ok());
    assert!(Scanner::new().scan(&mut request(65_536).into_bytes(), &limits).is_err());
}

#[test]
fn h6_host() {
    for host in [
        "a",
        "A.example",
        "a:80",
        "a:",
        "127.0.0.1",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:80",
        "[::1]:",
        "[2001:db8::1]:1",
        "a-b_c~d.e.",
        "a:65535",
        "a:0",
        "xn--bcher-kva.example",
        "[::ffff:1.2.3.4]",
        " a ",
        "\ta",
    ] {
        let mut buffer = Vec::from(format!("GET / HTTP/1.1\r\nHost:{host}\r\n\r\n"));
        let head = Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap();
        assert_eq!(head.host(&buffer), host.trim(), "{host}");
    }
    for host in [
        "",
        " ",
        ":",
        ":80",
        "u@a",
        "u:p@a",
        "a/",
        "a/b",
        "a,b",
        "a, b",
        "a b",
        "a?b",
        "a#b",
        "a:x",
        "a:80x",
        "a:-1",
        "a:+1",
        "a:65536",
        "a:000080",
        "a:80:80",
        "::1",
        "[::1",
        "[]",
        "[a]",
        "[::1]x",
        "[::1%25eth0]",
        "[v1.a]",
        "a%41",
        "\u{e9}",
        "a\\b",
        "http://a",
        "a;b",
        "(a)",
        "\"a\"",
        "a[",
        "[::1]]",
    ] {
        assert_eq!(status(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), 400, "{host}");
        assert_eq!(status(format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n")), 400, "{host} in 1.0");
    }
    for (fields, expected) in
        [("Host: a\r\nHost: a\r\n", 400), ("Host: a\r\nhost: b\r\n", 400), ("X-Host: a\r\n", 400), ("", 400)]
    {
        assert_eq!(status(format!("GET / HTTP/1.1\r\n{fields}\r\n")), expected, "{fields:?}");
    }
    assert_eq!(status("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n"), 400);
    assert_eq!(status("GET http://a/ HTTP/1.1\r\n\r\n"), 400);
}

#[test]
fn h6_a_client_of_1_0_may_name_no_host() {
    let mut buffer = Vec::from("GET / HTTP/1.0\r\n\r\n");
    let head = Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap();
    assert_eq!((head.host(&buffer), head.fields(&buffer).count()), ("", 0));
    let mut buffer = Vec::from("GET http://a:1 HTTP/1.0\r\n\r\n");
    let head = Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap();
    assert_eq!((head.host(&buffer), head.path(&buffer)), ("a:1", "/"));
}

#[test]
fn h7_content_length() {
    for (value, length) in [
        ("0", 0),
        ("5", 5),
        (" 5 ", 5),
        ("\t5\t", 5),
        ("10", 10),
        ("4294967296", 1 << 32),
        ("9999999999999999999", 9_999_999_999_999_999_999),
    ] {
        assert_eq!(head(&post(&format!("Content-Length:{value}\r\n"))).framing, Framing::Length(length), "{value}");
    }
    for value in [
        "",
        "+5",
        "-5",
        "-0",
        "05",
        "00",
        "005",
        "0x5",
        "0o5",
        "5, 5",
        "5,5",
        "5, 10",
        "5 5",
        "1_0",
        "5.0",
        "5;",
        "abc",
        "5a",
        "a5",
        "\u{665}",
        "10000000000000000000",
        "99999999999999999999",
        "18446744073709551616",
        "\"5\"",
        "5\t5",
        "1e3",
    ] {
        assert_eq!(status(post(&format!("Content-Length: {value}\r\n"))), 400, "{value}");
    }
    for fields in ["Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\ncontent-length: 6\r\n"] {
        assert_eq!(status(post(fields)), 400, "{fields}");
    }
    assert_eq!(head(&post("")).framing, Framing::None);
    assert_eq!(head(&post("Content_Length: 5\r\nX-Content-Length: 5\r\n")).framing, Framing::None);
}

#[test]
fn h7_transfer_encoding() {
    for value in ["chunked", "Chunked", "CHUNKED", " chunked", "\tchunked\t"] {
        assert_eq!(head(&post(&format!("Transfer-Encoding:{value}\r\n"))).framing, Framing::Chunked, "{value}");
    }
    for value in [
        "",
        "chunked, chunked",
        "xchunked",
        "chunkedx",
        "chunke",
        "gzip",
        "identity",
        "gzip, chunked",
        "chunked, gzip",
        ", chunked",
        "chunked,",
        "chunked;a=b",
        "\"chunked\"",
        "chun ked",
        "chunked\u{a0}",
        "chunked identity",
    ] {
        assert_eq!(status(post(&format!("Transfer-Encoding: {value}\r\n"))), 400, "{value}");
    }
    for fields in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 0\r\nTRANSFER-ENCODING: chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: chunked\0\r\n",
    ] {
        assert_eq!(status(post(fields)), 400, "{fields:?}");
    }
    assert_eq!(status("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn h10_expect() {
    for (fields, expects) in [
        ("Content-Length: 5\r\nExpect: 100-continue\r\n", true),
        ("Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", true),
        ("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", true),
        // Without a body there is nothing to wait for.
        ("Expect: 100-continue\r\n", false),
        ("Content-Length: 0\r\nExpect: 100-continue\r\n", false),
        ("Content-Length: 5\r\n", false),
    ] {
        assert_eq!(head(&post(fields)).expects_continue, expects, "{fields}");
    }
    for value in ["", "200-ok", "100-continue, x", "100", "100-continue;a", "x=y"] {
        assert_eq!(status(post(&format!("Content-Length: 5\r\nExpect: {value}\r\n"))), 417, "{value}");
    }
    let old = "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    assert!(!head(old).expects_continue);
    // Who breaks the framing as well hears of that.
    assert_eq!(status(post("Expect: x\r\nContent-Length: x\r\n")), 400);
}

#[test]
fn h14_keep_alive() {
    for (version, fields, keep) in [
        ("1.1", "", true),
        ("1.2", "", true),
        ("1.0", "", false),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: CLOSE\r\n", false),
        ("1.1", "Connection: x, close\r\n", false),
        ("1.1", "Connection: close, x\r\n", false),
        ("1.1", "Connection: close\r\nConnection: x\r\n", false),
        ("1.0", "Connection: keep-alive\r\nConnection: x\r\n", true),
        ("1.1", "Connection: x\r\nConnection: y ,close\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.0", "Connection: Keep-Alive, x\r\n", true),
        ("1.0", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
        ("1.1", "Proxy-Connection: close\r\n", true),
        ("1.1", "Connection:\r\n", true),
    ] {
        assert_eq!(
            head(&format!("GET / HTTP/{version}\r\nHost: a\r\n{fields}\r\n")).keep_alive,
            keep,
            "{version} {fields:?}"
        );
    }
}
