//! How long a request may take (H-24), and how large a response may be.

use std::string::ToString;

use net_core::time::{Duration, Instant, Timer};

use super::super::Timeout;
use super::super::testing::{Fate, Gone};
use super::*;
use crate::http::Method;

/// Sends `piece` every so many seconds.
async fn drip(end: &mut ServerEnd, piece: &str, seconds: u64) {
    loop {
        Timer::after(Duration::from_secs(seconds)).await;
        end.send(piece);
    }
}

/// What a fetch gives, and after how many seconds.
fn fetch(config: &ClientConfig, server: impl AsyncFn(&mut ServerEnd)) -> (Result<(u16, String), ClientError>, u64) {
    let net = Net::default();
    let servers = async {
        let mut end = net.accept().await;
        end.head().await;
        server(&mut end).await;
        // Whoever has waited in vain lets go at once.
        if end.gone().await != Gone::Closed {
            assert_eq!(end.client(), Gone::Reset);
        }
    };
    let began = Instant::now();
    let got = run(servers, async { whole(client(&net, config).get(HOST).await).await });
    (got, began.elapsed().as_secs())
}

const IDLE: Result<(u16, String), ClientError> = Err(ClientError::TimedOut(Timeout::Idle));
const TOTAL: Result<(u16, String), ClientError> = Err(ClientError::TimedOut(Timeout::Total));

#[test]
fn h24_a_silent_server_has_the_idle_time() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for begin in ["", "HTTP/1.1 200 OK\r\n", &ok("hello")[..39], chunked, &[chunked, "5\r\nhello\r\n0\r\n"].concat()] {
        assert_eq!(fetch(&CONFIG, async |end| end.send(begin)), (IDLE, 20), "{begin:?}");
    }
    let mut config = ClientConfig::new();
    config.idle = Duration::from_secs(3);
    assert_eq!(fetch(&config, async |_| ()), (IDLE, 3));
}

#[test]
fn h24_a_server_that_drips_has_the_total_time() {
    let head = "HTTP/1.1 200 OK\r\n";
    let chunked = [head, "Transfer-Encoding: chunked\r\n\r\n"].concat();
    for (begin, drop) in [
        (head, "X: y\r\n"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        (&[head, "\r\n"].concat(), "x"),
        (&chunked, "1\r\nx\r\n"),
        (&[&chunked, "1;"].concat(), "x"),
    ] {
        let server = async |end: &mut ServerEnd| {
            end.send(begin);
            drip(end, drop, 7).await;
        };
        assert_eq!(fetch(&CONFIG, server), (TOTAL, 60), "{begin:?} {drop:?}");
    }
}

#[test]
fn h24_slow_is_not_too_slow() {
    let server = async |end: &mut ServerEnd| {
        for byte in ok("").as_bytes().chunks(2) {
            Timer::after(Duration::from_secs(2)).await;
            end.send(byte);
        }
    };
    assert_eq!(fetch(&CONFIG, server), (Ok((200, "".into())), 38));
}

#[test]
fn h24_the_total_time_goes_on_through_redirects() {
    let net = Net::default();
    let servers = async {
        let mut end = net.accept().await;
        loop {
            end.head().await;
            Timer::after(Duration::from_secs(9)).await;
            end.send("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n");
        }
    };
    let began = Instant::now();
    let got = run(servers, async { whole(client(&net, &CONFIG).get(HOST).await).await });
    assert_eq!((got, began.elapsed().as_secs()), (TOTAL, 60));
}

#[test]
fn h24_the_total_time_goes_on_while_the_caller_does_something_else() {
    let net = Net::default();
    let servers = async {
        answer(&mut net.accept().await, &ok("hello")[..40]).await;
        pending::<()>().await;
    };
    run(servers, async {
        let mut client = client(&net, &CONFIG);
        let mut response = client.get(HOST).await.unwrap();
        Timer::after(Duration::from_secs(61)).await;
        // What is here already costs no time.
        let received = response.fill_buf().await.unwrap().len();
        response.consume(received);
        let failure = Err(ClientError::TimedOut(Timeout::Total));
        assert_eq!(response.fill_buf().await, failure);
        // A response that has failed stays that way.
        assert_eq!(response.read(&mut [0; 9]).await.map(|_| &b""[..]), failure);
        assert_eq!(response.read_to_vec().await.unwrap_err(), ClientError::TimedOut(Timeout::Total));
    });
}

#[test]
fn h24_connecting_has_its_own_time_within_the_total() {
    for (connect, total, expected, seconds) in
        [(10, 60, Timeout::Connect, 20), (10, 15, Timeout::Total, 15), (90, 60, Timeout::Total, 60)]
    {
        let net = Net::default();
        net.name("a", &["10.0.0.1", "fd00::1"]);
        net.fate("10.0.0.1", Fate::Silence);
        net.fate("fd00::1", Fate::Silence);
        let mut config = ClientConfig::new();
        (config.connect, config.total) = (Duration::from_secs(connect), Duration::from_secs(total));
        let began = Instant::now();
        let got = run(pending(), async { whole(client(&net, &config).get("http://a/").await).await });
        assert_eq!((got, began.elapsed().as_secs()), (Err(ClientError::TimedOut(expected)), seconds));
    }
}

#[test]
fn h24_times_of_any_length_are_no_harm() {
    let mut config = ClientConfig::new();
    (config.connect, config.idle, config.total) = (Duration::MAX, Duration::MAX, Duration::MAX);
    config.keep_alive = Duration::MAX;
    assert_eq!(fetch(&config, async |end| end.send(ok("x"))).0, Ok((200, "x".into())));
    (config.connect, config.idle, config.total) = (Duration::MIN, Duration::MIN, Duration::MIN);
    let net = Net::default();
    assert_eq!(run(pending(), async { whole(client(&net, &config).get(HOST).await).await }), TOTAL);
}

/// What a fetch of at most `limit` bytes gives, for each way to cut the response.
fn limited(limit: u64, response: &str, expected: Result<&str, ClientError>) {
    let mut config = ClientConfig::new();
    config.max_response = limit;
    for pieces in cuts(response.as_bytes()) {
        let net = Net::default();
        let servers = async {
            let mut end = net.accept().await;
            end.head().await;
            pieces.iter().for_each(|piece| end.send(piece));
            end.finish();
        };
        let got = run(servers, async { whole(client(&net, &config).get(HOST).await).await });
        assert_eq!(got, expected.map(|content| (200, content.to_string())), "{response:?} in {pieces:?}");
    }
}

#[test]
fn h24_a_response_of_more_than_the_limit_is_refused() {
    let too_large = Err(ClientError::ResponseTooLarge);
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
    let close = "HTTP/1.1 200 OK\r\n\r\nhello";
    for response in [&ok("hello"), chunked, close] {
        limited(5, response, Ok("hello"));
        limited(4, response, too_large);
        limited(0, response, too_large);
    }
    limited(0, &ok(""), Ok(""));
    // Where the length is announced nothing needs to come.
    limited(4, "HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n", too_large);
    limited(4, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", too_large);
}

#[test]
fn h24_what_is_within_the_limit_can_be_read_and_directly_too() {
    for step in [1, 2, 3, 100] {
        let net = Net::default();
        let servers = async {
            let mut end = net.accept().await;
            answer(&mut end, "HTTP/1.1 200 OK\r\n\r\n").await;
            end.send("hello world");
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            let mut response = client.request(Method::Get, HOST).unwrap().max_response(7).send().await.unwrap();
            let (mut got, mut buffer) = (Vec::new(), [0; 100]);
            let failure = loop {
                match response.read(&mut buffer[..step]).await {
                    Ok(count) => got.extend_from_slice(&buffer[..count]),
                    Err(failure) => break failure,
                }
            };
            assert_eq!((&got[..], failure), (&b"hello w"[..], ClientError::ResponseTooLarge), "by {step}");
        });
    }
}

#[test]
fn h24_the_answer_to_head_may_tell_of_any_length() {
    let net = Net::default();
    let mut config = ClientConfig::new();
    config.max_response = 4;
    let servers = async {
        answer(&mut net.accept().await, "HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n").await;
    };
    run(servers, async {
        let mut client = client(&net, &config);
        let response = client.request(Method::Head, HOST).unwrap().send().await.unwrap();
        assert_eq!((response.length(), response.header("content-length")), (Some(0), Some("5000000000")));
    });
}

#[test]
fn h24_a_body_larger_than_the_buffer_passes_through_it() {
    let content: String = (0..20_000).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let chunked: String = content
        .as_bytes()
        .chunks(777)
        .map(|chunk| std::format!("{:x}\r\n{}\r\n", chunk.len(), std::str::from_utf8(chunk).unwrap()))
        .collect();
    for response in [
        ok(&content),
        ["HTTP/1.1 200 OK\r\n\r\n", &content].concat(),
        ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked, "0\r\n\r\n"].concat(),
    ] {
        for (piece, read) in [(1, 1), (100, 1000), (1460, 64), (30_000, 30_000), (1000, 333)] {
            let net = Net::default();
            let servers = async {
                let mut end = net.accept().await;
                end.head().await;
                response.as_bytes().chunks(piece).for_each(|piece| end.send(piece));
                end.finish();
            };
            run(servers, async {
                let mut client = client(&net, &CONFIG);
                let mut got = client.get(HOST).await.unwrap();
                let (mut all, mut buffer) = (Vec::new(), std::vec![0; read]);
                loop {
                    match got.read(&mut buffer).await.unwrap() {
                        0 => break,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
                assert!(all == content.as_bytes(), "{piece} {read}");
                assert_eq!(got.fill_buf().await, Ok(&b""[..]));
            });
        }
    }
}

#[test]
fn h24_reading_into_a_buffer_that_is_too_small_says_so() {
    for (length, expected) in [(4, Err(ClientError::BufferTooSmall)), (5, Ok(&b"hello"[..])), (6, Ok(b"hello"))] {
        for response in
            [ok("hello"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".into()]
        {
            let net = Net::default();
            let servers = async {
                answer(&mut net.accept().await, &response).await;
                pending::<()>().await;
            };
            run(servers, async {
                let mut client = client(&net, &CONFIG);
                let mut response = client.get(HOST).await.unwrap();
                assert_eq!(response.read_all(&mut [0; 9][..length]).await, expected);
            });
        }
    }
}
