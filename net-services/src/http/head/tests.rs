//! What is accepted and what is refused, requirement by requirement.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

/// Requests that are in order, of every form. Each ends with its head.
pub(super) const VALID: &[&str] = &[
    "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a%20b/../%C3%A9?x=%31&y=[1] HTTP/1.1\r\nhOST:\ta:8080 \t\r\nEmpty:\r\nX-Latin: \u{e9}\r\n\r\n",
    "HEAD /a/b/ HTTP/1.0\r\n\r\n",
    "GET http://a.example:80/p?q HTTP/1.1\r\nHost: A.EXAMPLE\r\nConnection: close\r\n\r\n",
    "GET https://[::1] HTTP/1.2\r\nHost: [::1]:443\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
    "PUT /%7euser HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
    "DELETE /x HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
];

pub(super) fn scan(request: impl AsRef<[u8]>) -> Result<Option<Head>, Refusal> {
    Scanner::new().scan(&mut request.as_ref().to_vec(), &Limits::new())
}

/// The status of the refusal, 200 for none, 0 for a head that is not complete.
pub(super) fn status(request: impl AsRef<[u8]>) -> u16 {
    match scan(request) {
        Ok(Some(_)) => 200,
        Ok(None) => 0,
        Err(refusal) => refusal.status.code(),
    }
}

/// A GET request with this target.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

#[track_caller]
pub(super) fn head(request: &str) -> Head {
    scan(request).unwrap().unwrap()
}

#[track_caller]
fn path_of(request: &str) -> String {
    let mut buffer = Vec::from(request);
    let head = Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap();
    head.path(&buffer).to_string()
}

#[test]
fn a_request_is_taken_apart() {
    let mut buffer = Vec::from(
        "\r\nGET /a/./%62/../c%20d?q=%31 HTTP/1.1\r\nHost: x:80\r\nA:  b\t\r\nContent-Length: 5\r\n\r\nhello",
    );
    let head = Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap();
    assert_eq!(head.length, buffer.len() - 5);
    assert_eq!(head.method, Method::Get);
    assert_eq!(head.path(&buffer), "/a/c d");
    assert_eq!(head.query(&buffer), Some("q=%31"));
    assert_eq!(head.host(&buffer), "x:80");
    assert_eq!(head.fields(&buffer).get("a"), Some("b"));
    assert_eq!(head.fields(&buffer).count(), 3);
    assert_eq!((head.framing, head.keep_alive, head.minor_version), (Framing::Length(5), true, 1));
}

#[test]
fn what_follows_a_head_is_left_alone() {
    let mut buffer = Vec::from("GET / HTTP/1.1\r\nHost: a\r\n\r\n \n\0GET /%41 ");
    let after = buffer.split_off(27);
    buffer.extend(&after);
    assert_eq!(Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap().length, 27);
    assert_eq!(buffer.get(27..), Some(&after[..]));
}

#[test]
fn h1_no_bare_cr_or_lf_anywhere() {
    for request in VALID {
        for (at, _) in request.match_indices("\r\n") {
            for bare in ["\r", "\n", "\n\r", "\r\r\n"] {
                let broken = format!("{}{bare}{}", &request[..at], &request[at + 2..]);
                // Once less at the end leaves a head without its end.
                let expected = if bare == "\r" && at + 2 == request.len() { 0 } else { 400 };
                assert_eq!(status(&broken), expected, "{broken:?}");
            }
        }
        // After the last byte but one the head is over.
        for at in 0..request.len() - 1 {
            for bare in *b"\r\n" {
                let mut broken = Vec::from(*request);
                broken.insert(at, bare);
                assert_eq!(status(&broken), 400, "{}", broken.escape_ascii());
            }
        }
    }
}

#[test]
fn h1_one_empty_line_may_come_before() {
    assert_eq!(status("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), 200);
    for start in
        ["\r\n\r\n", " ", "\t", "\n", "\r\r\n", "\r ", "\r\n ", "\r\n\n", "\0", "\u{16}\u{3}\u{1}", "(", "\u{e9}"]
    {
        assert_eq!(status(format!("{start}GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 400, "{start:?}");
    }
}

#[test]
fn h2_the_request_line_has_exactly_three_parts() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET / HTTP/1.1\t",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / HTTP/1.1 x",
        "GET / /b HTTP/1.1",
        "GET /a b HTTP/1.1",
        "GET /",
        "GET / ",
        "GET",
        "GET HTTP/1.1",
        "GET / HTTP /1.1",
        "GET / HTTP/ 1.1",
        "/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "G\u{e9}T / HTTP/1.1",
        "GET:/ / HTTP/1.1",
    ] {
        assert_eq!(status(format!("{line}\r\nHost: a\r\n\r\n")), 400, "{line:?}");
    }
}

#[test]
fn h2_methods() {
    for method in Method::ALL {
        assert_eq!(head(&format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).method, method);
    }
    let longest = "M".repeat(32);
    for method in ["get", "Get", "BREW", "PROPFIND", "M", "!#$%&'*+-.^_`|~", &longest] {
        assert_eq!(status(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")), 501, "{method}");
    }
    // Not 414, and before any space has come.
    assert_eq!(status("M".repeat(33)), 400);
}

#[test]
fn h2_connect_is_for_proxies() {
    for (target, expected) in [
        ("a:443", 501),
        ("[::1]:443", 501),
        ("a.example:1", 501),
        ("/", 400),
        ("a", 400),
        ("a:", 400),
        ("*", 400),
        (":1", 400),
        ("http://a/", 400),
        ("a:443/", 400),
        ("u@a:443", 400),
        ("a:65536", 400),
    ] {
        assert_eq!(status(format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n")), expected, "{target}");
    }
}

#[test]
fn h3_versions() {
    for (version, expected) in [
        ("HTTP/1.0", 200),
        ("HTTP/1.1", 200),
        ("HTTP/1.2", 200),
        ("HTTP/1.9", 200),
        ("HTTP/2.0", 505),
        ("HTTP/3.0", 505),
        ("HTTP/9.9", 505),
        ("HTTP/0.9", 505),
        ("HTTP/1.", 400),
        ("HTTP/1", 400),
        ("HTTP/2", 400),
        ("HTTP/", 400),
        ("HTTP", 400),
        ("HTTP/01.1", 400),
        ("HTTP/01.01", 400),
        ("HTTP/1.01", 400),
        ("HTTP/1.10", 400),
        ("HTTP/11.1", 400),
        ("http/1.1", 400),
        ("Http/1.1", 400),
        ("HTTP/1,1", 400),
        ("HTTP/1.1.1", 400),
        ("HTTP/-1.1", 400),
        ("HTTP/+1.1", 400),
        ("HTTP/a.b", 400),
        ("HTTP/1.1x", 400),
        ("HTTPS/1.1", 400),
        ("HTP/1.1", 400),
        ("SIP/2.0", 400),
        ("ICY", 400),
        ("", 400),
    ] {
        assert_eq!(status(format!("GET / {version}\r\nHost: a\r\n\r\n")), expected, "{version}");
    }
    assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
    for (version, minor) in [("1.0", 0), ("1.1", 1), ("1.2", 1), ("1.9", 1)] {
        assert_eq!(head(&format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n")).minor_version, minor);
    }
}

#[test]
fn h4_bytes_of_a_target() {
    for byte in 0..=0xff_u8 {
        // A `?` begins the query, a `%` wants digits.
        let allowed = byte.is_ascii_graphic() && !b"\"#<>\\^`{|}%".contains(&byte);
        for target in [&b"/a_b"[..], b"/a?_b", b"/_", b"/?_"] {
            let mut request = b"GET ".to_vec();
            request.extend(target.iter().map(|&own| if own == b'_' { byte } else { own }));
            request.extend(b" HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(status(&request), if allowed { 200 } else { 400 }, "{}", request.escape_ascii());
        }
    }
}

#[test]
fn h4_escapes() {
    for target in [
        "/%",
        "/%4",
        "/%4/",
        "/%g0",
        "/%0g",
        "/%%41",
        "/a%?",
        "/?%",
        "/?%4",
        "/?%zz",
        "/?a=%4&",
        "/?%00",
        "/%00",
        "/%0d",
        "/%0A",
        "/%0d%0aSet-Cookie:x",
        "/%1b",
        "/%7f",
        "/%09",
        "/%c0",
        "/%c0%af",
        "/%ff",
        "/%C3",
        "/%C3/%A9",
        "/%ed%a0%80",
        "/%f5%80%80%80",
        "/%e2%82",
        "/%u0041",
        "/%+1",
        "/%-1",
    ] {
        assert_eq!(status(get(target)), 400, "{target}");
    }
    for (target, path) in [
        ("/%41%62", "/Ab"),
        ("/%25", "/%"),
        ("/%2541", "/%41"),
        ("/%c3%A9", "/\u{e9}"),
        ("/%20", "/ "),
        ("/%5c", "/\\"),
        ("/%3f%23", "/?#"),
        ("/%e2%82%ac", "/\u{20ac}"),
        ("/%F0%9F%98%80", "/\u{1f600}"),
        ("/+", "/+"),
        ("/%2f%2F", "///"),
    ] {
        assert_eq!(path_of(&get(target)), path, "{target}");
    }
}

#[test]
fn h4_dot_segments() {
    for (target, path) in [
        ("/", "/"),
        ("/.", "/"),
        ("/./", "/"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/../", "/"),
        ("/a/../b", "/b"),
        ("/a/b/../../c", "/c"),
        ("/a/b/..", "/a/"),
        ("/a/./b/./", "/a/b/"),
        ("//x", "//x"),
        ("///", "///"),
        ("/a//b", "/a//b"),
        ("/a//../b", "/a/b"),
        ("//..", "/"),
        ("//../x", "/x"),
        ("/...", "/..."),
        ("/..a", "/..a"),
        ("/a..", "/a.."),
        ("/.a/b.", "/.a/b."),
        ("/%2e", "/"),
        ("/a/%2E%2e/b", "/b"),
        ("/a%2f..%2fb", "/b"),
        ("/a/.%2e", "/"),
        ("/..;/x", "/..;/x"),
        ("/%252e%252e/", "/%2e%2e/"),
    ] {
        assert_eq!(path_of(&get(target)), path, "{target}");
    }
    for target in ["/..", "/../", "/../a", "/%2e%2e/", "/a/../..", "/a/../../b", "/./..", "/%2e.", "/..%2f", "/..?a"] {
        assert_eq!(status(get(target)), 400, "{target}");
    }
}

#[test]
fn h4_forms_of_a_target() {
    for target in [
        "*",
        "a",
        "a:80",
        "?a",
        "ftp://a/",
        "http:/a/",
        "http//a/",
        "http:",
        "http://",
        "http:///",
        "http://?q",
        "https:///x",
        "http://u@a/",
        "http://u:p@a/",
        "http://b/",
        "http://a:81/",
        "https://a:80/",
        "http://a/../a?",
        "http://a:/../",
        "ws://a/",
        "//a/#b",
        "http://a,b/",
        "http://a%41/",
        "http://[::1/",
        "mailto:a",
        "./",
        "../",
        "*/",
        "**",
    ] {
        assert_eq!(status(get(target)), 400, "{target}");
    }
    for (target, path, query) in [
        ("http://a/x?y", "/x", Some("y")),
        ("HTTP://A/x", "/x", None),
        ("http://a", "/", None),
        ("http://a?q", "/", Some("q")),
        ("http://a:80/", "/", None),
        ("http://a:/", "/", None),
        ("https://a:443/", "/", None),
        ("http://a/b/../c", "/c", None),
        ("/?", "/", Some("")),
        ("/a?b?c/../d", "/a", Some("b?c/../d")),
        ("//a/", "//a/", None),
        ("http://a/http://b/", "/http://b/", None),
        ("/http://b/", "/http://b/", None),
    ] {
        let mut buffer = Vec::from(get(target));
        let head = Scanner::new().scan(&mut buffer, &Limits::new()).unwrap().unwrap();
        assert_eq!((head.path(&buffer), head.query(&buffer)), (path, query), "{target}");
        assert_eq!(head.host(&buffer), "a", "{target}");
    }
    for (target, path) in
        [("*", "*"), ("/", "/"), ("http://a", "*"), ("http://a/", "/"), ("http://a?", "/"), ("/*", "/*")]
    {
        assert_eq!(path_of(&format!("OPTIONS {target} HTTP/1.1\r\nHost: a\r\n\r\n")), path, "{target}");
    }
    for method in Method::ALL.into_iter().filter(|&method| method != Method::Options) {
        assert_eq!(status(format!("{method} * HTTP/1.1\r\nHost: a\r\n\r\n")), 400, "{method}");
    }
}

#[test]
fn h4_length_of_a_target() {
    let request = |length: usize| get(&format!("/{}", "a".repeat(length - 1)));
    assert_eq!(status(request(8000)), 200);
    assert_eq!(status(request(8192)), 200);
    assert_eq!(status(request(8193)), 414);
    assert_eq!(status(request(100_000)), 414);
    let limits = Limits { target: 4, ..Limits::new() };
    assert!(Scanner::new().scan(&mut b"GET /abc HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), &limits).is_ok());
    let refusal = Scanner::new().scan(&mut b"GET /abcd".to_vec(), &limits).unwrap_err();
    assert_eq!(refusal.status, Status::URI_TOO_LONG);
}

#[test]
fn h12_refused_as_soon_as_it_is_certain() {
    let long_method = "M".repeat(33);
    for (start, expected) in [
        ("\u{16}", 400),
        (" ", 400),
        ("\n", 400),
        ("\r\n\r", 400),
        ("\rG", 400),
        (&long_method, 400),
        ("GET\r", 400),
        ("G\n", 400),
        ("GET  ", 400),
        ("GET /\r", 400),
        ("GET /\n", 400),
        ("GET /a#", 400),
        ("GET /\"", 400),
        ("GET / G", 400),
        ("GET / HTTP/1.1\n", 400),
        ("GET / HTTP/1x", 400),
        ("GET / HTTP/1.11", 400),
        ("GET / HTTP/1.1\r\r", 400),
        ("GET / HTTP/2.0\r\n", 505),
        ("BREW / HTTP/1.1\r\n", 501),
        ("GET x HTTP/1.1\r\n", 400),
        ("GET /.. HTTP/1.1\r\n", 400),
        ("GET /%0 HTTP/1.1\r\n", 400),
        ("CONNECT a:1 HTTP/1.1\r\n", 501),
        ("GET / HTTP/1.1\r\n ", 400),
        ("GET / HTTP/1.1\r\n:", 400),
        ("GET / HTTP/1.1\r\n\r\r", 400),
        ("GET / HTTP/1.1\r\nA: b\n", 400),
        ("GET / HTTP/1.1\r\nA: b\rc", 400),
        ("GET / HTTP/1.1\r\nA: b\0", 400),
        ("GET / HTTP/1.1\r\nA: b\r\n\t", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
    ] {
        assert_eq!(status(start), expected, "{start:?}");
        let before = start.char_indices().last().map_or(0, |(at, _)| at);
        assert_eq!(status(&start[..before]), 0, "{start:?} without its end");
    }
}

#[test]
fn a_full_buffer_is_414_in_the_target_and_431_elsewhere() {
    for (start, expected) in [
        ("GET /abc", 414),
        ("GET ", 414),
        ("GET /abc ", 431),
        ("GET / HTTP/1.1", 431),
        ("GET / HTTP/1.1\r\nA", 431),
        ("GE", 431),
        ("", 431),
        ("\r", 431),
        ("\r\n", 431),
    ] {
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(&mut Vec::from(start), &Limits::new()), Ok(None));
        assert_eq!(scanner.refusal_when_full().status.code(), expected, "{start}");
        assert_eq!(scanner.is_fresh(), start.trim().is_empty());
        // The limit of the head is met in the same way.
        let limits = Limits { head: start.len(), ..Limits::new() };
        let refusal = Scanner::new().scan(&mut Vec::from(format!("{start}H")), &limits).unwrap_err();
        assert_eq!(refusal.status.code(), expected, "{start}");
    }
}
