//! What is accepted and what is refused, requirement by requirement.

use std::vec::Vec;

use super::*;

fn scan(request: &str) -> Result<Option<Head>, Refusal> {
    Scanner::new().scan(&mut Vec::from(request), &Limits::new())
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
fn h2_unknown_method() {
    assert_eq!(scan("BREW / HTTP/1.1\r\n").unwrap_err().status, Status::NOT_IMPLEMENTED);
}
