//! H-16: how long is waited for a client, and what it costs.

use net_core::time::{Duration, Instant, Timer};

use super::*;
use crate::http::testing::{Then, serve_with};

/// How many seconds a connection lasted, and what the client got.
fn last<H: Handler>(handler: &H, config: &Config, client: Client) -> (u64, Client) {
    virtual_time::block_on(async {
        let began = Instant::now();
        let client = serve_with(handler, config, 2048, client).await;
        (began.elapsed().as_secs(), client)
    })
}

fn config() -> Config {
    let mut config = Config::new();
    config.first_byte = Duration::from_secs(3);
    config.head = Duration::from_secs(4);
    config.keep_alive = Duration::from_secs(5);
    config.body = Duration::from_secs(6);
    config.write = Duration::from_secs(7);
    config
}

#[test]
fn a_client_that_stops_at_any_byte_costs_a_bounded_time() {
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let head = request.len() - 5;
    for sent in 0..=request.len() {
        let (seconds, client) = last(&echo, &config(), Client::new([&request[..sent]], Then::Wait));
        let statuses: Vec<_> = answers(&client).iter().map(|answer| answer.status).collect();
        match sent {
            // Nothing was asked, so nothing is answered.
            0 => assert_eq!((seconds, statuses), (3, Vec::<u16>::new())),
            n if n < head => assert_eq!((seconds, statuses), (4, Vec::from([408u16])), "{n}"),
            n if n < request.len() => assert_eq!((seconds, statuses), (6, Vec::from([408u16])), "{n}"),
            _ => assert_eq!((seconds, statuses), (5, Vec::from([200u16]))),
        }
        let stats = (client.stats.refused, client.stats.timed_out, client.stats.requests);
        let expected = match sent {
            0 => (0, 1, 0),
            n if n < head => (1, 0, 0),
            n if n < request.len() => (0, 1, 1),
            // It was served, and has nothing more to ask.
            _ => (0, 0, 1),
        };
        assert_eq!(stats, expected, "{sent}");
    }
}

#[test]
fn a_client_that_stops_taking_is_reset() {
    let large = async |_: Request<'_>, response: Response<'_>| response.text(&"x".repeat(10_000)).await;
    for appetite in [0, 1, 100, 500, 9999] {
        let mut client = Client::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], Then::Wait);
        client.appetite = appetite;
        let (seconds, client) = last(&large, &config(), client);
        assert_eq!((seconds, client.output.len(), client.is_reset), (7, appetite, true));
        assert_eq!(client.stats.timed_out, 1);
    }
}

/// A byte now and then is no progress: neither of a head, nor of a body, nor of a response.
#[test]
fn dripping_clients_are_bounded() {
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello";
    let bytes: Vec<_> = request.as_bytes().chunks(1).collect();
    let mut head = Client::new(bytes, Then::Wait);
    head.pause = Duration::from_secs(1);
    let (seconds, head) = last(&echo, &config(), head);
    assert_eq!((seconds, answers(&head)[0].status), (4, 408));

    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n";
    let mut pieces = std::vec![request];
    pieces.extend([".."; 250]);
    let mut body = Client::new(pieces, Then::Wait);
    body.pause = Duration::from_secs(5);
    let (seconds, body) = last(&echo, &config(), body);
    assert_eq!((seconds, answers(&body)[0].status), (6, 408));

    let large = async |_: Request<'_>, response: Response<'_>| response.text(&"x".repeat(10_000)).await;
    for asked in [1, 100] {
        let mut response = Client::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(asked)], Then::Wait);
        response.appetite = 0;
        response.hunger = Some(Duration::from_secs(5));
        let (seconds, response) = last(&large, &config(), response);
        assert_eq!((seconds, response.is_reset, response.output.len()), (7, true, 1), "{asked}");
    }
}

/// A handler may answer a client whose body does not come; but nobody knows what comes next on that connection.
#[test]
fn whoever_was_too_slow_is_not_kept() {
    let patient = async |mut request: Request<'_>, response: Response<'_>| {
        assert_eq!(request.body.fill_buf().await, Err(Error::TimedOut));
        response.text("never mind").await
    };
    let (seconds, client) =
        last(&patient, &config(), Client::new(["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"], Then::Wait));
    let all = answers(&client);
    assert_eq!((seconds, all.len(), all[0].header("Connection")), (6, 1, Some("close")));
}

#[test]
fn whoever_drips_a_body_is_no_better_off() {
    // A byte a second never stops for long, but 50 a second are wanted.
    let mut pace = crate::http::exchange::Pace::default();
    let mut seconds = 0;
    while pace.allowance(config().body, config().minimum_rate) >= Duration::from_secs(1) {
        pace.waited(Duration::from_secs(1), 1);
        seconds += 1;
        assert!(seconds < 60, "for ever");
    }
    assert!((5..=7).contains(&seconds), "{seconds}");
    // Whoever sends enough may take as long as it takes.
    let mut pace = crate::http::exchange::Pace::default();
    for _ in 0..10_000 {
        assert!(pace.allowance(config().body, config().minimum_rate) >= Duration::from_secs(1));
        pace.waited(Duration::from_secs(1), 100);
    }
}

/// The time for a head begins with its first byte, not with the waiting for it.
#[test]
fn a_late_head_has_its_whole_time() {
    let mut client = Client::new(["\r\n", "G"], Then::Wait);
    client.pause = Duration::from_secs(2);
    let (seconds, client) = last(&echo, &config(), client);
    assert_eq!((seconds, answers(&client)[0].status), (2 + 4, 408));
}

/// Nor does the time between two requests begin before the first is answered.
#[test]
fn a_slow_handler_takes_no_time_from_its_client() {
    let slow = async |_: Request<'_>, response: Response<'_>| {
        Timer::after(Duration::from_secs(9)).await;
        response.text("at last").await
    };
    let (seconds, client) = last(&slow, &config(), Client::new(["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], Then::Wait));
    assert_eq!((seconds, answers(&client).len()), (9 + 5, 1));
}

/// Some clients send an empty line after a body; it is no request that could be late.
#[test]
fn an_empty_line_leaves_a_connection_idle() {
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let (seconds, client) = last(&echo, &config(), Client::new([get, "\r\n"], Then::Wait));
    assert_eq!((seconds, answers(&client).len()), (5, 1));
    let (seconds, client) = last(&echo, &config(), Client::new(["\r\n"], Then::Wait));
    assert_eq!((seconds, answers(&client).len()), (3, 0));
}

#[test]
fn bytes_are_counted_wherever_they_pass() {
    let get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n";
    let large = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n";
    let body = "z".repeat(5000);
    let check = |client: Client, pieces: &[&str]| {
        let received: usize = pieces.iter().map(|piece| piece.len()).sum();
        assert_eq!(
            (client.stats.received, client.stats.sent),
            (received as u64, client.output.len() as u64),
            "{pieces:?}"
        );
    };
    for pieces in
        [std::vec![get, get], std::vec![post, "some body"], std::vec![large, &body, get], std::vec!["GARBAGE\r\n"]]
    {
        check(talk(&echo, pieces.iter()), &pieces);
        check(talk(&deaf, pieces.iter()), &pieces);
    }
}

/// H-11: what still comes after a refusal is taken for a moment, not for ever.
#[test]
fn lingering_is_bounded() {
    let client = Client::new(["GARBAGE\r\n"], Then::Wait);
    let began = Instant::now();
    let client = virtual_time::block_on(serve_with(&echo, &config(), 2048, client));
    assert_eq!(began.elapsed(), Duration::from_millis(300));
    assert_eq!(answers(&client)[0].status, 400);
}
