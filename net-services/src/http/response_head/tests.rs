//! What a client accepts and refuses.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::head::hostile::Random;
use super::*;

const VALID: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
    "HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.0 404 Not \t\u{e9} Found\r\nServer: x\r\nEmpty:\r\nX-Latin: \u{e9}\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.2 304 Not Modified\r\nContent-Length: 1000\r\nConnection: close\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX-Folded: a\r\n  b\r\n\tc\r\nContent-Length:\r\n 7\r\n\r\n",
];

/// The head and its fields, of a response that comes in pieces, cut at these places.
type Told = Option<(ResponseHead, Vec<(String, Vec<u8>)>)>;

fn in_pieces(response: &[u8], cuts: impl IntoIterator<Item = usize>) -> Result<Told, Refusal> {
    let (mut scanner, mut buffer) = (ResponseScanner::new(), Vec::new());
    for cut in cuts.into_iter().chain([response.len()]) {
        buffer.extend(&response[buffer.len()..cut]);
        if let Some(head) = scanner.scan(&mut buffer, Method::Get, &Limits::new())? {
            let fields = head.fields(&buffer).map(|(name, value)| (name.to_string(), value.to_vec())).collect();
            return Ok(Some((head, fields)));
        }
    }
    Ok(None)
}

#[track_caller]
fn head(response: &str) -> ResponseHead {
    in_pieces(response.as_bytes(), []).unwrap().unwrap().0
}

fn refused(response: &str) -> bool {
    in_pieces(response.as_bytes(), []).is_err_and(|refusal| refusal.status == Status::BAD_GATEWAY)
}

#[test]
fn a_response_is_taken_apart() {
    let mut buffer = Vec::from("HTTP/1.1 206 Some\r\nContent-Length: 5\r\nETag:  \"x\" \r\n\r\nhello");
    let head = ResponseScanner::new().scan(&mut buffer, Method::Get, &Limits::new()).unwrap().unwrap();
    assert_eq!(head.length, buffer.len() - 5);
    assert_eq!((head.status, head.minor_version), (Status::PARTIAL_CONTENT, 1));
    assert_eq!((head.framing, head.keep_alive), (Framing::Length(5), true));
    assert_eq!(head.fields(&buffer).get("etag"), Some("\"x\""));
}

#[test]
fn h24_responses_in_pieces_are_the_same_and_no_prefix_is_refused() {
    for response in VALID {
        let response = response.as_bytes();
        let whole = in_pieces(response, []).unwrap();
        assert_eq!(whole.as_ref().unwrap().0.length, response.len());
        for cut in 0..=response.len() {
            assert_eq!(in_pieces(response, [cut]).unwrap(), whole, "{} at {cut}", response.escape_ascii());
        }
        assert_eq!(in_pieces(response, 0..response.len()).unwrap(), whole);
        for end in 0..response.len() {
            assert_eq!(in_pieces(&response[..end], []), Ok(None), "{}", response[..end].escape_ascii());
        }
    }
}

#[test]
fn h24_status_lines() {
    for (line, code) in [
        ("HTTP/1.1 200 OK", 200),
        ("HTTP/1.1 200 ", 200),
        ("HTTP/1.1 200", 200),
        ("HTTP/1.0 999 x", 999),
        ("HTTP/1.9 100 x y z", 100),
        ("HTTP/1.1 404 \u{e9}\t", 404),
    ] {
        assert_eq!(head(&format!("{line}\r\n\r\n")).status.code(), code, "{line}");
    }
    for line in [
        "",
        " HTTP/1.1 200 OK",
        "http/1.1 200 OK",
        "HTTP/2.0 200 OK",
        "HTTP/2 200",
        "HTTP/0.9 200 OK",
        "HTTP/1.x 200 OK",
        "HTTP/1.11 200 OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 -20 OK",
        "HTTP/1.1 2x0 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 OK",
        "HTTP/1.1",
        "HTTP/1.1 ",
        "HTTP/1.1\t200 OK",
        "ICY 200 OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1 200 O\u{7f}K",
        "GET / HTTP/1.1",
        "HTTP/1.1 200OK",
    ] {
        assert!(refused(&format!("{line}\r\n\r\n")), "{line:?}");
    }
}

#[test]
fn h24_fields_of_a_response() {
    for lines in [
        "Name : v\r\n",
        ": v\r\n",
        "Name\r\n",
        "Na me: v\r\n",
        " Name: v\r\n",
        "A: b\n",
        "A: b\rc\r\n",
        "A: \0\r\n",
        "N\u{e9}: v\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: x\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        assert!(refused(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n")), "{lines:?}");
    }
    assert!(refused("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
    // Folded lines are joined by spaces (RFC 9112 section 5.2).
    let (_, fields) = in_pieces(VALID[5].as_bytes(), []).unwrap().unwrap();
    let plain: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    assert_eq!(plain, [("X-Folded", &b"a    b  \tc"[..]), ("Content-Length", b"7")]);
    assert_eq!(head(VALID[5]).framing, Framing::Length(7));
}

#[test]
fn h24_limits_of_a_response() {
    let many = |count| format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert!(!refused(&many(100)) && refused(&many(101)));
    let limits = Limits { fields: 2, ..Limits::new() };
    let scan = |count| ResponseScanner::new().scan(&mut many(count).into_bytes(), Method::Get, &limits);
    assert!(scan(2).is_ok_and(|head| head.is_some()) && scan(3).is_err());
    let long = |length: usize| format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(length - 24));
    assert_eq!(head(&long(16 * 1024)).length, 16 * 1024);
    assert!(refused(&long(16 * 1024 + 1)));
    assert!(refused(&"HTTP/1.1 200 O".repeat(10_000)));
}

#[test]
fn h15_framing_of_responses() {
    let framing = |method, response: &str| {
        let mut buffer = Vec::from(response);
        let head = ResponseScanner::new().scan(&mut buffer, method, &Limits::new()).unwrap().unwrap();
        (head.framing, head.keep_alive)
    };
    for (status, fields, expected) in [
        ("200", "Content-Length: 5\r\n", (Framing::Length(5), true)),
        ("200", "Content-Length: 0\r\n", (Framing::Length(0), true)),
        ("404", "Transfer-Encoding: Chunked\r\n", (Framing::Chunked, true)),
        ("200", "", (Framing::UntilClose, false)),
        ("200", "Connection: keep-alive\r\n", (Framing::UntilClose, false)),
        ("200", "Content-Length: 5\r\nConnection: close\r\n", (Framing::Length(5), false)),
        ("204", "Content-Length: 5\r\n", (Framing::None, true)),
        ("304", "Transfer-Encoding: chunked\r\n", (Framing::None, true)),
        ("304", "Connection: close\r\n", (Framing::None, false)),
        ("100", "", (Framing::None, true)),
        ("101", "Connection: upgrade\r\nUpgrade: websocket\r\n", (Framing::None, true)),
    ] {
        let response = format!("HTTP/1.1 {status} x\r\n{fields}\r\n");
        assert_eq!(framing(Method::Get, &response), expected, "{response:?}");
        let (_, keep) = expected;
        assert_eq!(framing(Method::Head, &response).0, Framing::None, "{response:?}");
        if expected.0 != Framing::UntilClose {
            assert_eq!(framing(Method::Head, &response).1, keep, "{response:?}");
        }
    }
    assert_eq!(framing(Method::Get, "HTTP/1.0 200 x\r\nContent-Length: 5\r\n\r\n"), (Framing::Length(5), false));
    let persistent = "HTTP/1.0 200 x\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(framing(Method::Get, persistent), (Framing::Length(5), true));
}

#[test]
fn mutated_responses_never_panic_and_are_the_same_in_pieces() {
    let mut random = Random(0xd1b5_4a32_d192_ed03);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..10_000 {
        let mut response = VALID[random.below(VALID.len())].as_bytes().to_vec();
        random.mutate(&mut response);
        let whole = in_pieces(&response, []);
        let cut = random.below(response.len() + 1);
        assert_eq!(in_pieces(&response, [cut]), whole, "{round}: {}", response.escape_ascii());
        assert_eq!(in_pieces(&response, 0..response.len()), whole, "{round}: {}", response.escape_ascii());
        match whole {
            Ok(Some((head, fields))) => {
                accepted += 1;
                assert!(response[..head.length].ends_with(b"\r\n\r\n"), "{round}: {}", response.escape_ascii());
                assert!(fields.iter().all(|(_, value)| !value.contains(&b'\r') && !value.contains(&b'\n')), "{round}");
            }
            Ok(None) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(accepted > 500 && refused > 3000, "{accepted} accepted, {refused} refused");
}
