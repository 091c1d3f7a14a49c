//! Things that end in the middle: a connection whose server stops, a write that is given up, a body that nobody wants.

use net_core::time::{Duration, Instant, Timer, with_timeout};

use super::*;
use crate::http::seats::Seat;
use crate::http::testing::{Then, serve_stream, serve_with};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\n\r\n";
const MARKER: &str = "GET /marker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Serves the client for a second, as a server does whose time is over then.
fn for_a_second<H: Handler>(handler: &H, mut client: Client) -> Client {
    let (config, seat) = (Config::new(), Seat::new());
    let served = async {
        let serving = std::boxed::Box::pin(serve_stream(handler, &config, 2048, &mut client, &seat));
        let _ = with_timeout(Duration::from_secs(1), serving).await;
    };
    virtual_time::block_on(served);
    client
}

/// H-22: what has not finished when the server's time is over must not look finished: a response in HTTP/1.0 ends where
/// the connection ends.
#[test]
fn a_response_that_is_cut_off_is_reset() {
    let endless = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        loop {
            body.print(format_args!("more ")).await?;
            body.flush().await?;
            Timer::after(Duration::from_millis(300)).await;
        }
    };
    for request in [GET, OLD] {
        let client = for_a_second(&endless, Client::new([request], Then::Wait));
        assert!(client.is_reset && client.text().contains("more "), "{}", client.text());
    }
    // Where nothing has been sent there is nothing that could be taken for whole, nor where all has.
    let silent = async |_: Request<'_>, _: Response<'_>| std::future::pending().await;
    assert!(!for_a_second(&silent, Client::new([GET], Then::Wait)).is_reset);
    assert!(!for_a_second(&echo, Client::new([GET], Then::Wait)).is_reset);
}

/// A handler that gives a write up, because its client is too slow for it, cannot make bytes of the body be sent twice or
/// be missing: whoever reads must not find the next response in the wrong place.
#[test]
fn a_write_that_was_given_up_spoils_no_response() {
    let text = "abcdefghijklmnopqrstuvwxyz".repeat(40);
    for (is_sized, is_printed) in [(true, false), (false, false), (true, true), (false, true)] {
        for appetite in (0..1500).step_by(7) {
            let handler = async |request: Request<'_>, response: Response<'_>| {
                if request.path() == "/marker" {
                    return response.text("marker").await;
                }
                let mut body = match is_sized {
                    true => response.sized("text/plain", 2 * text.len() as u64)?,
                    false => response.stream("text/plain")?,
                };
                let write = async {
                    match is_printed {
                        true => body.print(format_args!("{text}")).await,
                        false => body.write_all(text.as_bytes()).await,
                    }
                };
                let first = with_timeout(Duration::from_secs(1), write).await;
                Timer::after(Duration::from_secs(10)).await;
                if first.is_ok() {
                    body.write_all(text.as_bytes()).await?;
                }
                // One that does not know better.
                body.write_all(if is_sized && first.is_err() { text.as_bytes() } else { b"" }).await?;
                body.finish().await
            };
            let mut client = Client::new([GET, MARKER], Then::Finish);
            // So much it takes at once, the rest some seconds later.
            client.appetite = appetite;
            client.meal = Some(Duration::from_secs(5));
            let client = virtual_time::block_on(serve_with(&handler, &Config::new(), 1024, client));
            if client.is_reset {
                assert!(!client.text().contains("marker"));
            } else {
                let all = answers(&client);
                assert_eq!((all[0].status, all[1].body.as_str()), (200, "marker"), "{appetite}");
                assert!(all[0].body == text.repeat(2), "{appetite}: {}", client.text());
            }
        }
    }
}

/// The same with a flush: what is in the buffer goes out once, later if not now.
#[test]
fn a_flush_that_was_given_up_can_be_repeated() {
    let handler = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        for i in 0..20 {
            body.print(format_args!("line {i}\n")).await?;
            let _ = with_timeout(Duration::from_millis(100), body.flush()).await;
        }
        body.finish().await
    };
    let expected: String = (0..20).map(|i| format!("line {i}\n")).collect();
    for appetite in 0..300 {
        let mut client = Client::new([GET], Then::Finish);
        client.appetite = appetite;
        client.meal = Some(Duration::from_millis(550));
        let client = virtual_time::block_on(serve_with(&handler, &Config::new(), 1024, client));
        assert!(!client.is_reset && answers(&client)[0].body == expected, "{appetite}: {}", client.text());
    }
}

/// H-10: who was to be told to go on, and was not, is not told in the middle of the response, nor behind it; and whether
/// its body comes cannot be known.
#[test]
fn an_interim_response_that_was_given_up_is_not_sent_later() {
    let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    for (is_read_again, appetite) in [(true, 0), (false, 0), (true, 10), (false, 10)] {
        let handler = async |mut request: Request<'_>, response: Response<'_>| {
            assert!(with_timeout(Duration::from_secs(1), request.body.fill_buf()).await.is_err());
            let mut body = response.stream("text/plain")?;
            body.write_all(b"no").await?;
            body.flush().await?;
            if is_read_again {
                let _ = with_timeout(Duration::from_secs(1), request.body.fill_buf()).await;
            }
            body.finish().await
        };
        let mut client = Client::new([post, MARKER], Then::Wait);
        // It takes nothing, or not enough, at first.
        (client.appetite, client.meal) = (appetite, Some(Duration::from_secs(3)));
        client.pause = Duration::from_secs(8);
        let client = virtual_time::block_on(serve_with(&handler, &Config::new(), 2048, client));
        if appetite > 0 {
            assert!(client.is_reset && client.output == b"HTTP/1.1 1", "{}", client.text());
            continue;
        }
        let all = answers(&client);
        assert_eq!((all.len(), all[0].status, all[0].body.as_str()), (1, 200, "no"), "{}", client.text());
        assert_eq!(all[0].header("Connection"), Some("close"));
    }
}

/// A body that no handler has read is waited for as long as one that is, not for ever, byte by byte.
#[test]
fn an_unwanted_body_costs_a_bounded_time() {
    let body = "z".repeat(8000);
    let head = format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut pieces = std::vec![head.as_str()];
    pieces.extend((0..80).map(|i| &body[i * 100..][..100]));
    let mut client = Client::new(pieces, Then::Finish);
    client.pause = Duration::from_secs(1);
    let began = virtual_time::block_on(async {
        let began = Instant::now();
        let client = serve_with(&deaf, &Config::new(), 2048, client).await;
        assert_eq!(answers(&client).len(), 1);
        began.elapsed()
    });
    assert!(began <= Config::new().body + Duration::from_secs(1), "{began}");
}

/// RFC 9112 section 9.6: when the server ends a connection that the client would have kept, a request may be on its way
/// already. It is taken, so that nothing answers it with a reset that overtakes the response.
#[test]
fn the_server_closes_so_that_its_last_answer_is_seen() {
    let mut config = Config::new();
    config.requests = 1;
    let client = Client::new([GET, MARKER], Then::Wait);
    let client = virtual_time::block_on(serve_with(&deaf, &config, 2048, client));
    assert_eq!(answers(&client).len(), 1);
    assert!(client.is_finished && client.is_all_taken());
    // Who says that it will close sends nothing more…
    let client = talk(&deaf, [MARKER]);
    assert!(!client.is_finished);
    // …but what it has not finished sending, or sends all the same.
    let post = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhe";
    for client in [talk(&deaf, [post, "llo"]), talk(&deaf, [MARKER.repeat(2)])] {
        assert!(client.is_finished && client.is_all_taken() && answers(&client).len() == 1);
    }
}
