//! How requests are received.

use super::*;
use crate::http::testing::{Then, serve_with};

const PIPELINE: &str = "GET /one HTTP/1.1\r\nHost: x\r\n\r\n\
    POST /two HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
    \r\nPOST /three HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /\r\n3;a=\"b\"\r\nxyz\r\n0\r\nX-Sum: 1\r\n\r\n\
    HEAD /four HTTP/1.1\r\nHost: x\r\n\r\n\
    GET /five?x=%20 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn bodies(client: &Client) -> Vec<String> {
    answers_to(client, &[false, false, false, true, false]).into_iter().map(|answer| answer.body).collect()
}

/// H-12, H-14: every request of a pipeline is answered in order, wherever the bytes are cut.
#[test]
fn split_at_every_byte() {
    let expected = ["GET /one ", "POST /two hello", "POST /three GET /xyz", "", "GET /five "];
    assert_eq!(bodies(&talk(&echo, [PIPELINE])), expected);
    for at in 0..PIPELINE.len() {
        let (a, b) = PIPELINE.split_at(at);
        assert_eq!(bodies(&talk(&echo, [a, b])), expected, "cut at {at}");
    }
    let single: Vec<_> = PIPELINE.as_bytes().chunks(1).collect();
    assert_eq!(bodies(&talk(&echo, single)), expected);
}

/// The same when the handler does not read the bodies: what it leaves is discarded.
#[test]
fn split_at_every_byte_with_unread_bodies() {
    let expected = ["/one", "/two", "/three", "", "/five"];
    for at in 0..PIPELINE.len() {
        let (a, b) = PIPELINE.split_at(at);
        assert_eq!(bodies(&talk(&deaf, [a, b])), expected, "cut at {at}");
    }
}

/// H-12: a request of which not all has come is not answered, and the end of the connection ends it silently.
#[test]
fn a_prefix_gets_no_answer() {
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for at in 0..request.len() {
        assert_eq!(talk(&echo, [&request[..at]]).text(), "", "after {at} bytes");
    }
}

#[test]
fn h9_too_large_a_body_is_refused_when_it_really_comes() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n";
    // Announced only: the handler waits for it, and so does the client, until the time is over.
    let client = Client::new([head], Then::Wait);
    let client = virtual_time::block_on(serve_with(&echo, &Config::new(), 2048, client));
    assert_eq!(answers(&client)[0].status, 408);
    // Its first byte has come.
    let client = talk(&echo, [head, "x"]);
    assert_eq!(answers(&client)[0].status, 413);
    assert_eq!(answers(&client)[0].header("Connection"), Some("close"));
    assert!(client.is_finished && !client.is_reset);
    // In chunks, when the limit is passed.
    let mut chunked = String::from("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for _ in 0..70 {
        chunked += "400\r\n";
        chunked += &"y".repeat(1024);
        chunked += "\r\n";
    }
    assert_eq!(only(&echo, &(chunked + "0\r\n\r\n")).status, 413);
    // A handler may set its own limit, lower or higher.
    let small = async |mut request: Request<'_>, response: Response<'_>| {
        request.body.limit(4);
        let n = request.body.read_to_vec().await?.len();
        response.text(&format!("{n}")).await
    };
    let request = |n: usize| format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {n}\r\n\r\n{}", "z".repeat(n));
    assert_eq!(only(&small, &request(4)).body, "4");
    assert_eq!(only(&small, &request(5)).status, 413);
}

/// H-4, H-5: the limits of a configuration hold, up to those that nobody can raise, and those of the buffer.
#[test]
fn heads_up_to_their_limits() {
    let status = |config: &Config, bytes: usize, request: String| {
        let client = virtual_time::block_on(serve_with(&deaf, config, bytes, Client::new([request], Then::Finish)));
        let all = answers(&client);
        assert_eq!(all.len(), 1);
        all[0].status
    };
    let target = |n: usize| format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(n - 1));
    let fields = |n: usize| format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(n - 1));
    // Of `n` bytes in all.
    let head = |n: usize| format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "b".repeat(n - 32));
    assert_eq!(head(100).len(), 100);
    let large = 64 * 1024;
    let mut config = Config::new();
    for (limit, most) in [(20, 20), (8192, 8192), (usize::MAX, 8192)] {
        config.target = limit;
        assert_eq!((status(&config, large, target(most)), status(&config, large, target(most + 1))), (200, 414));
    }
    let mut config = Config::new();
    for (limit, most) in [(2, 2), (100, 100), (usize::MAX, 100)] {
        config.fields = limit;
        assert_eq!((status(&config, large, fields(most)), status(&config, large, fields(most + 1))), (200, 431));
    }
    let mut config = Config::new();
    for (limit, most) in [(40, 40), (16_384, 16_384), (usize::MAX, 16_384)] {
        config.head_bytes = limit;
        assert_eq!((status(&config, large, head(most)), status(&config, large, head(most + 1))), (200, 431));
    }
    // Three quarters of the buffer, less 128 bytes; of the smallest 768 less the 256 of responses.
    for (bytes, most) in [(2048, 1408), (4096, 2944), (LEAST_BUFFER, 384)] {
        assert_eq!((status(&config, bytes, head(most)), status(&config, bytes, head(most + 1))), (200, 431));
        assert_eq!(status(&config, bytes, target(most)), 414, "its target alone is too long");
    }
}

/// A handler that learns on the way that it may take more goes on where it was.
#[test]
fn a_limit_can_be_raised_when_it_is_met() {
    let patient = async |mut request: Request<'_>, response: Response<'_>| {
        request.body.limit(4);
        assert_eq!(request.body.fill_buf().await, Err(Error::BodyTooLarge));
        assert_eq!(request.body.fill_buf().await, Err(Error::BodyTooLarge), "still");
        request.body.limit(10);
        let body = request.body.read_to_vec().await?;
        response.send("text/plain", &body).await
    };
    for request in [
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n0123456\r\n3\r\n789\r\n0\r\n\r\n",
    ] {
        assert_eq!(only(&patient, request).body, "0123456789");
    }
}

#[test]
fn h10_expect_continue() {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    // Asked for when the handler wants the body…
    let client = talk(&echo, [head, "ab"]);
    assert!(client.text().starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{}", client.text());
    // …not when it has come already…
    let client = talk(&echo, [format!("{head}ab")]);
    assert!(client.text().starts_with("HTTP/1.1 200 OK\r\n"));
    // …and not when the handler does not want it: then nobody knows whether it comes, so the connection closes.
    let client = talk(&deaf, [head, "ab", "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert_eq!(answers(&client).len(), 1);
    assert_eq!(answers(&client)[0].header("Connection"), Some("close"));
    // One that is too large is refused before it is sent.
    let client = talk(&echo, ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n"]);
    assert_eq!(answers(&client)[0].status, 413);
    // Announced by nothing, there is no body to continue with.
    let client = talk(&echo, ["GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n"]);
    assert_eq!(answers(&client)[0].status, 200);
    assert_eq!(only(&echo, "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n").status, 417);
}

#[test]
fn h11_a_refused_request_closes_the_connection_with_its_answer() {
    for (request, status) in [
        ("GET / HTTP/1.1\nHost: x\n\n", 400),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 501),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ] {
        let client = talk(&echo, [request, "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"]);
        let all = answers(&client);
        assert_eq!((all.len(), all[0].status), (1, status), "{request:?}");
        assert_eq!(all[0].header("Connection"), Some("close"));
        assert!(client.is_finished && !client.is_reset, "half-closed, not reset");
        assert_eq!((client.stats.refused, client.stats.requests), (1, 0));
    }
}

#[test]
fn wrong_chunks_get_400_and_close() {
    for chunks in ["x\r\n", "5 \r\nhello\r\n", "5\r\nhelloX", "123456789\r\n", "0\r\nHost: y\r\n\r\n"] {
        let client = talk(&echo, [format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")]);
        let all = answers(&client);
        assert_eq!((all.len(), all[0].status), (1, 400), "{chunks:?}");
        assert_eq!(all[0].header("Connection"), Some("close"));
    }
}

#[test]
fn h14_persistence() {
    let get = |version: &str, more: &str| format!("GET / HTTP/{version}\r\nHost: x\r\n{more}\r\n");
    let next = get("1.1", "Connection: close\r\n");
    for (first, persists, says) in [
        (get("1.1", ""), true, None),
        (get("1.1", "Connection: close\r\n"), false, Some("close")),
        (get("1.1", "Connection: keep-alive, x\r\n"), true, None),
        (get("1.1", "Connection: x, ClosE\r\n"), false, Some("close")),
        (get("1.0", ""), false, Some("close")),
        (get("1.0", "Connection: keep-alive\r\n"), true, Some("keep-alive")),
    ] {
        let client = talk(&echo, [first.clone() + &next]);
        let all = answers(&client);
        assert_eq!(all[0].header("Connection"), says, "{first:?}");
        assert_eq!(all.len(), if persists { 2 } else { 1 }, "{first:?}");
    }
}

#[test]
fn h14_requests_on_a_connection_are_bounded() {
    let mut config = Config::new();
    config.requests = 3;
    let client = Client::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(5)], Then::Wait);
    let client = virtual_time::block_on(serve_with(&echo, &config, 2048, client));
    let says: Vec<_> = answers(&client).iter().map(|answer| answer.header("Connection").map(String::from)).collect();
    assert_eq!(says, [None, None, Some("close".into())]);
}

/// More than the configured bound is not discarded for a connection's sake.
#[test]
fn a_large_body_that_nobody_reads_closes_the_connection() {
    let mut config = Config::new();
    config.discard = 10;
    for (body, persists) in [(10, true), (11, false)] {
        let post = format!("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: {body}\r\n\r\n{}", "b".repeat(body));
        let client = Client::new([post + "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"], Then::Finish);
        let client = virtual_time::block_on(serve_with(&deaf, &config, 2048, client));
        let all = answers(&client);
        assert_eq!(all.len(), if persists { 2 } else { 1 });
        assert_eq!(all[0].header("Connection"), if persists { None } else { Some("close") });
    }
}

/// A limit for handlers is none for what is only discarded.
#[test]
fn what_is_discarded_has_its_own_bound() {
    let mut config = Config::new();
    (config.body_limit, config.discard) = (4, 50);
    let chunk = |n: usize| format!("{n:x}\r\n{}\r\n", "c".repeat(n));
    for (chunks, persists) in [([10, 40], true), ([10, 41], false)] {
        let chunks = chunks.map(chunk).concat();
        let post = format!("POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
        let client = Client::new([post + "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"], Then::Wait);
        let client = virtual_time::block_on(serve_with(&deaf, &config, 2048, client));
        // That it is too much showed only on the way, so nothing had said so.
        let requests = if persists { 2 } else { 1 };
        assert_eq!(
            (answers(&client).len(), client.stats.requests, client.stats.refused),
            (requests, requests as u32, 0)
        );
        assert_eq!(answers(&client)[0].header("Connection"), None);
        assert_eq!(client.is_finished, !persists);
    }
}

/// A body many times the buffer, through a handler that reads in pieces of its own size.
#[test]
fn a_body_larger_than_the_buffer_streams() {
    let sum = async |mut request: Request<'_>, response: Response<'_>| {
        request.body.limit(u64::MAX);
        let (mut buffer, mut sum, mut length) = ([0; 37], 0u32, 0u32);
        loop {
            let n = request.body.read(&mut buffer).await?;
            if n == 0 {
                break;
            }
            sum = buffer[..n].iter().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
            length += n as u32;
        }
        response.text(&format!("{length} {sum}")).await
    };
    let body: String = (0..50_000u32).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let expected = body.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let with_length = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n{body}");
    let mut chunked = String::from("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (i, chunk) in body.as_bytes().chunks(777).enumerate() {
        chunked += &format!("{:x};n={i}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap());
    }
    chunked += "0\r\n\r\n";
    for request in [with_length, chunked] {
        for piece in [1, 7, 100, 1460, 100_000] {
            let client = Client::new(request.as_bytes().chunks(piece), Then::Finish);
            let client = virtual_time::block_on(serve_with(&sum, &Config::new(), LEAST_BUFFER, client));
            assert_eq!(answers(&client)[0].body, format!("50000 {expected}"), "in pieces of {piece}");
        }
    }
}

/// What a parser needs whole can be gathered, and no more than the buffer has room for.
#[test]
fn a_piece_of_a_body_is_gathered_across_chunks() {
    let gather = async |mut request: Request<'_>, response: Response<'_>| {
        while request.body.buffered().len() < 10 {
            let before = request.body.buffered().len();
            if request.body.fill_more().await?.len() == before {
                break;
            }
        }
        let first = String::from_utf8_lossy(request.body.buffered()).into_owned();
        request.body.consume(first.len());
        let rest = request.body.read_to_vec().await?.len();
        response.text(&format!("{first}+{rest}")).await
    };
    let chunks: String = (0..20).map(|i| format!("1\r\n{}\r\n", i % 10)).collect();
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n");
    let pieces: Vec<_> = request.as_bytes().chunks(1).collect();
    assert_eq!(answers(&talk(&gather, pieces))[0].body, "0123456789+10");
    let greedy = async |mut request: Request<'_>, _: Response<'_>| loop {
        request.body.fill_more().await?;
    };
    let request = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n{}", "q".repeat(9000));
    assert_eq!(answers(&talk(&greedy, [request]))[0].status, 500);
}

#[test]
fn a_body_that_ends_too_soon() {
    let client = talk(&echo, ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel"]);
    let all = answers(&client);
    assert_eq!((all.len(), all[0].status), (1, 400));
    assert_eq!(all[0].header("Connection"), Some("close"));
}

#[test]
fn what_a_request_tells() {
    let tell = async |request: Request<'_>, response: Response<'_>| {
        assert_eq!(request.header("x-one"), Some("1"));
        assert_eq!(request.headers().all("X-Two").count(), 2);
        assert_eq!(request.headers().count(), 4);
        let text = format!("{} {:?} {} {:?}", request.path(), request.query(), request.host(), request);
        response.text(&text).await
    };
    let request = "GET /a/../b%2Bc?d=%20 HTTP/1.1\r\nHost: here:8080\r\nX-One:  1 \r\nX-Two: 2\r\nx-two: 3\r\n\r\n";
    assert_eq!(only(&tell, request).body, "/b+c Some(\"d=%20\") here:8080 GET /b+c from 10.0.0.2:40000");
}
