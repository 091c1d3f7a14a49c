//! The bodies of requests (H-24), and answers that come before they have been sent.

use net_core::Error;
use net_core::nal::{ErrorType, Read};
use net_core::time::{Duration, Instant, Timer};

use super::super::Timeout;
use super::super::testing::Gone;
use super::*;
use crate::http::Method;

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i % 251) as u8).collect()
}

/// Gives its bytes in pieces of this length, and then fails or ends.
struct Source<'s> {
    bytes: &'s [u8],
    piece: usize,
    fails: bool,
}

impl ErrorType for Source<'_> {
    type Error = Error;
}

impl Read for Source<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        if self.bytes.is_empty() && self.fails {
            return Err(Error::Other);
        }
        let count = self.bytes.len().min(self.piece).min(buffer.len());
        let (piece, rest) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(piece);
        self.bytes = rest;
        Ok(count)
    }
}

/// Takes chunks until the last one, and gives what was in them, with their number.
async fn chunks(end: &mut ServerEnd) -> (Vec<u8>, usize) {
    let (mut all, mut count) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            line.extend(end.bytes(1).await);
        }
        let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim_end(), 16).unwrap();
        let data = end.bytes(size + 2).await;
        assert!(data.ends_with(b"\r\n"));
        if size == 0 {
            return (all, count);
        }
        all.extend_from_slice(&data[..size]);
        count += 1;
    }
}

#[test]
fn h24_head_and_small_body_leave_in_one_write() {
    let net = Net::default();
    let servers = async {
        let mut end = net.accept().await;
        let head = end.head().await;
        assert!(head.contains("\r\nContent-Length: 4\r\n") && !head.contains("Expect"), "{head}");
        assert_eq!(end.bytes(4).await, b"body");
        assert_eq!(end.writes(), [head.len() + 4]);
        end.send(ok("x"));
        pending::<()>().await;
    };
    run(servers, async {
        let mut client = client(&net, &CONFIG);
        assert_eq!(whole(client.post(HOST, "text/plain", b"body").await).await, Ok((200, "x".into())));
    });
}

#[test]
fn h24_a_body_of_any_size_arrives_as_it_is() {
    for capacity in [7, 300, 100_000] {
        for length in [0, 1, 400, 600, 5000] {
            let net = Net::default();
            *net.capacity.borrow_mut() = Some(capacity);
            let body = pattern(length);
            let servers = async {
                let mut end = net.accept().await;
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.extend(end.bytes(1).await);
                }
                let mut got = Vec::new();
                while got.len() < length {
                    got.extend(end.bytes((length - got.len()).min(5)).await);
                }
                assert_eq!(got, body);
                end.send(ok("x"));
                pending::<()>().await;
            };
            run(servers, async {
                let mut client = client(&net, &CONFIG);
                let request = client.request(Method::Put, HOST).unwrap().body(&body);
                assert_eq!(whole(request.send().await).await, Ok((200, "x".into())), "{capacity} {length}");
            });
        }
    }
}

#[test]
fn h24_methods_that_have_a_body_say_when_it_is_empty() {
    for (method, announced) in [
        (Method::Get, false),
        (Method::Head, false),
        (Method::Delete, false),
        (Method::Options, false),
        (Method::Post, true),
        (Method::Put, true),
        (Method::Patch, true),
    ] {
        let net = Net::default();
        let servers = async {
            let head = answer(&mut net.accept().await, "HTTP/1.1 204 \r\n\r\n").await;
            assert_eq!(head.contains("\r\nContent-Length: 0\r\n"), announced, "{head}");
            assert!(head.starts_with(method.as_str()) && !head.contains("Transfer-Encoding"), "{head}");
        };
        run(servers, async { whole(client(&net, &CONFIG).request(method, HOST).unwrap().send().await).await.unwrap() });
    }
}

#[test]
fn h24_a_body_from_a_stream_in_chunks() {
    for (length, piece, at_least) in [(0, 9, 0), (1, 9, 1), (1000, 300, 4), (5000, 5000, 10), (3, 1, 3)] {
        let net = Net::default();
        *net.capacity.borrow_mut() = Some(100);
        let body = pattern(length);
        let servers = async {
            let mut end = net.accept().await;
            let head = end.head().await;
            assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n") && !head.contains("Content-Length"), "{head}");
            let (got, count) = chunks(&mut end).await;
            assert_eq!(got, body);
            assert!(count >= at_least, "{count} chunks");
            end.send(ok("x"));
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            let mut source = Source { bytes: &body, piece, fails: false };
            let request = client.request(Method::Post, HOST).unwrap();
            assert_eq!(whole(request.send_from(&mut source, None).await).await, Ok((200, "x".into())));
        });
    }
}

#[test]
fn h24_a_body_from_a_stream_of_known_length() {
    let body = pattern(2000);
    for length in [0, 1, 299, 2000] {
        let net = Net::default();
        let servers = async {
            let mut end = net.accept().await;
            let head = end.head().await;
            assert!(head.contains(&std::format!("\r\nContent-Length: {length}\r\n")), "{head}");
            assert_eq!(end.bytes(length).await, body[..length]);
            end.send(ok("x"));
            // No more than that is taken from the stream.
            assert_eq!(end.bytes(1).await, b"");
        };
        run(servers, async {
            let mut source = Source { bytes: &body, piece: 300, fails: false };
            let mut client = client(&net, &CONFIG);
            let request = client.request(Method::Post, HOST).unwrap();
            let response = request.send_from(&mut source, Some(length as u64)).await;
            assert_eq!(whole(response).await, Ok((200, "x".into())));
            assert_eq!(source.bytes.len(), body.len() - length);
        });
    }
}

#[test]
fn h24_a_stream_that_fails_or_is_too_short_spoils_the_request() {
    for (length, fails) in [(None, true), (Some(20), true), (Some(20), false)] {
        let net = Net::default();
        let servers = async {
            let mut end = net.accept().await;
            end.head().await;
            // Half a request must not look like a whole one.
            assert_eq!(end.gone().await, Gone::Reset);
            answer(&mut net.accept().await, &ok("x")).await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            let mut source = Source { bytes: b"body", piece: 9, fails };
            let request = client.request(Method::Post, HOST).unwrap();
            assert_eq!(whole(request.send_from(&mut source, length).await).await, Err(ClientError::BodySource));
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "x".into())));
        });
    }
}

#[test]
fn h24_a_stream_that_dawdles_has_the_total_time() {
    struct Slow;
    impl ErrorType for Slow {
        type Error = Error;
    }
    impl Read for Slow {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
            Timer::after(Duration::from_secs(25)).await;
            buffer[0] = b'x';
            Ok(1)
        }
    }
    let net = Net::default();
    let began = Instant::now();
    run(pending(), async {
        let mut client = client(&net, &CONFIG);
        let got = client.request(Method::Post, HOST).unwrap().send_from(&mut Slow, None).await.map(|_| ());
        assert_eq!(got, Err(ClientError::TimedOut(Timeout::Total)));
    });
    assert_eq!(began.elapsed().as_secs(), 60);
}

/// Sends a body in both ways to a server that takes 300 bytes of it and then does as `then` says.
fn interrupted(then: impl AsyncFn(&mut ServerEnd), expected: Result<(u16, &str), ClientError>) {
    let body = pattern(5000);
    for from_stream in [false, true] {
        let net = Net::default();
        *net.capacity.borrow_mut() = Some(300);
        let servers = async {
            let mut end = net.accept().await;
            end.head().await;
            then(&mut end).await;
            *net.capacity.borrow_mut() = None;
            let gone = end.gone().await;
            assert_ne!(gone, Gone::No);
            answer(&mut net.accept().await, &ok("y")).await;
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            let request = client.request(Method::Post, HOST).unwrap();
            let response = match from_stream {
                false => request.body(&body).send().await,
                true => request.send_from(&mut &body[..], None).await,
            };
            let expected = expected.map(|(status, content)| (status, content.into()));
            assert_eq!(whole(response).await, expected, "from stream: {from_stream}");
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "y".into())));
            assert_eq!((client.stats().connections, client.stats().repeated), (2, 0));
        });
    }
}

#[test]
fn h24_an_early_answer_ends_the_sending() {
    let refusal = "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno";
    for pieces in cuts(refusal.as_bytes()) {
        interrupted(async |end| pieces.iter().for_each(|piece| end.send(piece)), Ok((413, "no")));
    }
    // The server closes; or resets, after its answer has come through.
    interrupted(
        async |end| {
            end.send(refusal);
            end.finish();
        },
        Ok((413, "no")),
    );
    interrupted(
        async |end| {
            end.send(refusal);
            end.stop_reading();
        },
        Ok((413, "no")),
    );
    interrupted(async |end| end.reset(), Err(ClientError::Io(Error::Reset)));
    interrupted(async |end| end.finish(), Err(ClientError::Io(Error::Reset)));
    interrupted(
        async |end| end.send("nonsense"),
        Err(ClientError::InvalidResponse("response does not begin with HTTP/1.")),
    );
}

#[test]
fn h24_an_early_interim_or_good_answer_does_not_end_the_sending() {
    for early in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"] {
        for from_stream in [false, true] {
            let net = Net::default();
            *net.capacity.borrow_mut() = Some(300);
            let body = pattern(5000);
            let servers = async {
                let mut end = net.accept().await;
                end.head().await;
                end.send(early);
                Timer::after(Duration::from_secs(1)).await;
                let got = if from_stream {
                    chunks(&mut end).await.0
                } else {
                    let mut got = Vec::new();
                    while got.len() < body.len() {
                        got.extend(end.bytes((body.len() - got.len()).min(100)).await);
                    }
                    got
                };
                assert_eq!(got, body);
                end.send(if early.contains("200") { "hello".into() } else { ok("hello") });
                answer(&mut end, &ok("y")).await;
            };
            run(servers, async {
                let mut client = client(&net, &CONFIG);
                let request = client.request(Method::Post, HOST).unwrap();
                let response = match from_stream {
                    false => request.body(&body).send().await,
                    true => request.send_from(&mut &body[..], None).await,
                };
                assert_eq!(whole(response).await, Ok((200, "hello".into())), "{early} {from_stream}");
                assert_eq!(whole(client.get(HOST).await).await, Ok((200, "y".into())));
                assert_eq!(client.stats().connections, 1);
            });
        }
    }
}

#[test]
fn h24_a_server_that_neither_reads_nor_answers() {
    let net = Net::default();
    *net.capacity.borrow_mut() = Some(300);
    let body = pattern(5000);
    let began = Instant::now();
    run(pending(), async {
        let mut client = client(&net, &CONFIG);
        let got = client.request(Method::Post, HOST).unwrap().body(&body).send().await.map(|_| ());
        assert_eq!(got, Err(ClientError::TimedOut(Timeout::Idle)));
    });
    assert_eq!(began.elapsed().as_secs(), 20);
}
