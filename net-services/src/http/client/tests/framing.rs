//! Where a response ends (H-24, RFC 9112 section 6.3), however it is cut into pieces.

use std::string::ToString;

use super::*;
use crate::http::Method;

/// What becomes of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The client keeps it.
    Kept,
    /// The client does not, although the server would.
    Given,
    /// The server closes it after its response.
    Closed,
}

type Expected<'e> = Result<(u16, &'e str), ClientError>;

/// Has the client ask for something that is answered with `response`, cut in every way, and then for something else.
fn check(method: Method, response: &str, expected: Expected<'_>, then: Then) {
    for pieces in cuts(response.as_bytes()) {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            first.head().await;
            pieces.iter().for_each(|piece| first.send(piece));
            if then == Then::Closed {
                first.finish();
            }
            let mut second = if then == Then::Kept { first } else { net.accept().await };
            answer(&mut second, &ok("another")).await;
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            let got = whole(client.request(method, HOST).unwrap().send().await).await;
            let expected = expected.map(|(status, content)| (status, content.to_string()));
            assert_eq!(got, expected, "{response:?} in {pieces:?}");
            let next = whole(client.get(HOST).await).await;
            assert_eq!(next, Ok((200, "another".into())), "after {response:?} in {pieces:?}");
            let connections = if then == Then::Kept { 1 } else { 2 };
            assert_eq!(client.stats().connections, connections, "{response:?} in {pieces:?}");
        });
    }
}

fn refused(why: &'static str) -> Expected<'static> {
    Err(ClientError::InvalidResponse(why))
}

const LOST: Expected<'_> = Err(ClientError::Io(net_core::Error::Reset));

#[test]
fn h24_content_length() {
    let get = |response, expected, then| check(Method::Get, response, expected, then);
    get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "hello")), Then::Kept);
    get("HTTP/1.1 404 \r\ncontent-length:0\r\n\r\n", Ok((404, "")), Then::Kept);
    // Without the space before no reason, as many servers have it.
    get("HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx", Ok((404, "x")), Then::Kept);
    get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", Ok((200, "hello")), Then::Given);
    get("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "hello")), Then::Given);
    get("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nh", Ok((200, "h")), Then::Kept);
    // More than was announced belongs to nobody.
    get("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhello", Ok((200, "hel")), Then::Given);
    get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", LOST, Then::Closed);
    get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", LOST, Then::Closed);
    get("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", LOST, Then::Closed);
}

#[test]
fn h24_chunked() {
    let get = |response: &str, expected, then| {
        check(
            Method::Get,
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", response].concat(),
            expected,
            then,
        );
    };
    get("5\r\nhello\r\n0\r\n\r\n", Ok((200, "hello")), Then::Kept);
    get("1\r\nh\r\n4;a=b;c=\"d\"\r\nello\r\n00\r\n\r\n", Ok((200, "hello")), Then::Kept);
    get("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", Ok((200, "hello")), Then::Kept);
    get("0\r\n\r\n", Ok((200, "")), Then::Kept);
    get("5\r\nhello\r\n0\r\n\r\nmore", Ok((200, "hello")), Then::Given);
    get("5\r\nhello\r\n0\r\n", LOST, Then::Closed);
    get("5\r\nhel", LOST, Then::Closed);
    get("5\r\nhelloo\r\n0\r\n\r\n", refused("chunk is not followed by CRLF"), Then::Given);
    get("x\r\n", refused("malformed chunk size"), Then::Given);
    get("5\nhello\r\n0\r\n\r\n", refused("malformed chunk size"), Then::Given);
}

#[test]
fn h24_until_the_connection_closes() {
    let get = |response, expected, then| check(Method::Get, response, expected, then);
    get("HTTP/1.1 200 OK\r\n\r\nhello", Ok((200, "hello")), Then::Closed);
    get("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", Ok((200, "")), Then::Closed);
    get("HTTP/1.0 500 No\r\n\r\nhello\r\n\r\n", Ok((500, "hello\r\n\r\n")), Then::Closed);
}

#[test]
fn h24_responses_without_a_body() {
    check(Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n", Ok((200, "")), Then::Kept);
    check(Method::Head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Ok((200, "")), Then::Kept);
    check(Method::Head, "HTTP/1.1 200 OK\r\n\r\n", Ok((200, "")), Then::Kept);
    for method in [Method::Get, Method::Delete] {
        check(method, "HTTP/1.1 204 No Content\r\n\r\n", Ok((204, "")), Then::Kept);
        check(method, "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n", Ok((304, "")), Then::Kept);
    }
    // What a server sends all the same is not taken for the next response.
    check(Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Ok((200, "")), Then::Given);
}

#[test]
fn h24_interim_responses_are_passed_over() {
    let get = |response, expected, then| check(Method::Get, response, expected, then);
    get(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Ok((200, "ok")),
        Then::Kept,
    );
    get("HTTP/1.1 102 \r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 \r\n\r\n", Ok((204, "")), Then::Kept);
    get("HTTP/1.1 100 Continue\r\n\r\n", LOST, Then::Closed);
    get(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        refused("switches protocols without being asked"),
        Then::Given,
    );
}

#[test]
fn h24_what_could_be_read_in_two_ways_is_refused() {
    let get = |response, expected, then| check(Method::Get, response, expected, then);
    get(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        refused("both Content-Length and Transfer-Encoding"),
        Then::Given,
    );
    get(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        refused("two Content-Length fields"),
        Then::Given,
    );
    get(
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        refused("Content-Length is not a plain number"),
        Then::Given,
    );
    get(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        refused("Transfer-Encoding is not chunked alone"),
        Then::Given,
    );
}

#[test]
fn h24_what_is_no_http_is_refused() {
    let get = |response, expected, then| check(Method::Get, response, expected, then);
    get("SSH-2.0-OpenSSH_9.2p1\r\n", refused("response does not begin with HTTP/1."), Then::Given);
    get("HTTP/2 200\r\n\r\n", refused("response does not begin with HTTP/1."), Then::Given);
    get("", LOST, Then::Closed);
    get("HTTP/1.1 20 OK\r\n\r\n", refused("malformed status"), Then::Given);
}

#[test]
fn h24_the_head_can_be_read_while_and_after_the_content_is() {
    let net = Net::default();
    let servers = async {
        let mut end = net.accept().await;
        let head = "HTTP/1.1 203 Whatever\r\nX: 1\r\nContent-Type:  text/plain \r\nx: 2\r\nContent-Length: 5\r\n\r\n";
        answer(&mut end, head).await;
        end.send("hel");
        end.send("lo");
        pending::<()>().await;
    };
    run(servers, async {
        let mut client = client(&net, &CONFIG);
        let mut response = client.get("http://10.0.0.1:80/a/../b?c#d").await.unwrap();
        assert_eq!((response.status().code(), response.length()), (203, Some(5)));
        assert_eq!(response.fill_buf().await, Ok(&b"hel"[..]));
        response.consume(1);
        assert_eq!(response.fill_buf().await, Ok(&b"el"[..]));
        // More than there is, is all there is.
        response.consume(100);
        assert_eq!(response.header("CONTENT-type"), Some("text/plain"));
        assert_eq!(response.fill_buf().await, Ok(&b"lo"[..]));
        response.consume(2);
        assert_eq!(response.fill_buf().await, Ok(&b""[..]));
        assert_eq!(response.read(&mut [0; 3]).await, Ok(0));
        assert_eq!(response.headers().all("x").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(response.header("y"), None);
        assert_eq!(response.url(), "http://10.0.0.1/b?c");
    });
}

#[test]
fn h24_the_length_is_told_where_it_is_known() {
    for (response, length) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", Some(5)),
        ("HTTP/1.1 204 No Content\r\n\r\n", Some(0)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", None),
        ("HTTP/1.1 200 OK\r\n\r\n", None),
    ] {
        let net = Net::default();
        let servers = async {
            let mut end = net.accept().await;
            answer(&mut end, response).await;
        };
        run(servers, async {
            assert_eq!(client(&net, &CONFIG).get(HOST).await.unwrap().length(), length, "{response}");
        });
    }
}
