//! WebSockets in handlers, over scripted clients in virtual time.

use core::cell::{Cell, RefCell};
use core::future::ready;
use core::pin::pin;
use core::task::{Context, Poll};
use std::format;
use std::vec;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use net_core::nal::ByteStream;
use net_core::time::{Duration, Instant, Timer};

use super::*;
use crate::http::broadcast::{Broadcast, Lagged};
use crate::http::seats::Seat;
use crate::http::testing::{Client, Then, serve_stream, serve_with, talk};
use crate::http::websocket::{Message, WebSocket};
use crate::http::{Config, Error, Handler, Outcome, Request, Response};

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The answer to it, and what follows.
fn answer(frames: &[&[u8]]) -> Vec<u8> {
    let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Date: Thu, 29 Feb 2024 12:34:56 GMT\r\nConnection: Upgrade\r\n\r\n";
    [head, frames.concat().as_slice()].concat()
}

/// Sends every message back.
async fn echo(request: Request<'_>, response: Response<'_>) -> Outcome {
    let mut buffer = [0; 1000];
    let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
    loop {
        let mut copy = [0; 1000];
        let (length, is_text) = match socket.receive().await? {
            None => return socket.close(CloseCode::NORMAL, "").await,
            Some(message) => {
                let bytes = message.as_bytes();
                copy[..bytes.len()].copy_from_slice(bytes);
                (bytes.len(), message.as_text().is_some())
            }
        };
        match str::from_utf8(&copy[..length]) {
            Ok(text) if is_text => socket.send_text(text).await?,
            _ => socket.send_binary(&copy[..length]).await?,
        }
    }
}

/// Keeps what a handler gave back.
struct Watched<'a, H>(H, &'a RefCell<Vec<Option<Error>>>);

impl<H: Handler> Handler for Watched<'_, H> {
    async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
        let outcome = self.0.handle(request, response).await;
        self.1.borrow_mut().push(outcome.as_ref().err().copied());
        outcome
    }
}

/// Sends the request and these frames to the echo, and waits. Gives the client, how the handler ended, and how long all
/// took.
fn talk_to_echo(frames: &[Vec<u8>], then: Then) -> (Client, Option<Error>, Duration) {
    let ends = RefCell::new(Vec::new());
    virtual_time::block_on(async {
        let began = Instant::now();
        let client = Client::new([REQUEST.to_vec(), frames.concat()], then);
        let client = serve_with(&Watched(echo, &ends), &Config::new(), 2048, client).await;
        let end = ends.borrow().last().copied();
        (client, end.unwrap(), began.elapsed())
    })
}

#[test]
fn h18_messages_pings_and_the_close_are_answered() {
    let frames = [
        frame(TEXT, "Hello"),
        fragment(BINARY, [1, 2]),
        frame(PING, "are you there?"),
        frame(CONTINUATION, [3]),
        close(4000, "bye"),
    ];
    let (client, end, _) = talk_to_echo(&frames, Then::Finish);
    let expected = answer(&[b"\x81\x05Hello", b"\x8a\x0eare you there?", b"\x82\x03\x01\x02\x03", b"\x88\x02\x0f\xa0"]);
    assert_eq!(client.text(), String::from_utf8_lossy(&expected));
    assert_eq!(client.output, expected);
    assert_eq!(client.writes[1..], [7, 16, 5, 4], "H-23: a frame is a write");
    assert!(client.is_finished && !client.is_reset);
    assert_eq!(end, None);
}

/// Whatever pieces the request and the frames come in, and even in one with each other.
#[test]
fn h18_however_the_input_is_cut_the_output_is_the_same() {
    let frames = [frame(TEXT, "µ"), frame(PING, ""), frame(CLOSE, "")].concat();
    let input = [REQUEST, &frames].concat();
    let expected = answer(&[b"\x81\x02\xc2\xb5", b"\x8a\x00", b"\x88\x00"]);
    for at in 0..=input.len() {
        let client = talk(&echo, [&input[..at], &input[at..]]);
        assert_eq!(client.output, expected, "cut at {at}");
    }
    let client = talk(&echo, input.chunks(1));
    assert_eq!(client.output, expected, "byte by byte");
}

#[test]
fn h18_a_handshake_that_is_none_is_refused_and_the_connection_goes_on() {
    let plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let old_version = String::from_utf8_lossy(REQUEST).replace("Version: 13", "Version: 8");
    for request in [plain, &old_version] {
        let client = talk(&echo, [request, plain]);
        let text = client.text();
        assert_eq!(text.matches("HTTP/1.1 426 Upgrade Required\r\n").count(), 2, "{text}");
        assert_eq!(text.matches("\r\nConnection: Upgrade\r\n").count(), 2, "{text}");
        assert_eq!(text.matches("\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n").count(), 2, "{text}");
    }
    let request = |from: &str, to: &str| String::from_utf8_lossy(REQUEST).replace(from, to);
    for (request, status) in [
        (request("GET", "POST"), "405 Method Not Allowed\r\nAllow: GET\r\n"),
        (request("HTTP/1.1", "HTTP/1.0"), "426 "),
        (request("dGhl", "AdGhl"), "400 "),
        (request("Host", "Origin: http://evil.example\r\nHost"), "403 "),
        (request("Host", "Content-Length: 1\r\nHost"), "400 "),
        (request("Host", "Transfer-Encoding: chunked\r\nHost"), "400 "),
    ] {
        let client = talk(&echo, [request]);
        assert!(client.text().starts_with(&format!("HTTP/1.1 {status}")), "{status}: {}", client.text());
    }
}

#[test]
fn h18_the_chosen_subprotocol_and_the_handler_s_fields_are_in_the_answer() {
    async fn two(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 8];
        let mut config = crate::http::websocket::Config::new();
        config.protocols = &["one", "two"];
        let response = response.header("Set-Cookie", "a=b");
        let mut socket = WebSocket::accept_with(request, response, &mut buffer, &config).await?;
        assert_eq!(socket.protocol(), Some("two"));
        socket.close(CloseCode::NORMAL, "enough").await
    }
    let request = String::from_utf8_lossy(REQUEST).replace("Host", "Sec-WebSocket-Protocol: three, two\r\nHost");
    let client = talk(&two, [request.into_bytes(), close(1000, "")]);
    let text = client.text();
    assert!(text.contains("\r\nSec-WebSocket-Protocol: two\r\n") && text.contains("\r\nSet-Cookie: a=b\r\n"), "{text}");
    assert!(client.output.ends_with(b"\x88\x08\x03\xe8enough"), "{text}");
}

#[test]
fn h18_whoever_breaks_a_rule_is_told_which_and_sees_it() {
    for (frames, code, error) in [
        (vec![b"\x81\x05Hello".to_vec()], 1002, Error::BadRequest("frame without a mask")),
        (vec![frame(TEXT, "ab"), frame(TEXT, b"\xff")], 1007, Error::BadRequest("text is not UTF-8")),
        (vec![frame(BINARY, [0; 1001])], 1009, Error::BodyTooLarge),
        (vec![close(1005, "")], 1002, Error::BadRequest("invalid close code")),
    ] {
        // More of it keeps coming, which must not turn the end into a reset.
        let frames = [frames, vec![frame(BINARY, [0; 500]); 10]].concat();
        let (client, end, _) = talk_to_echo(&frames, Then::Wait);
        assert_eq!(end, Some(error));
        let close =
            client.output.windows(4).position(|bytes| bytes[0] == 0x88 && bytes[2..4] == u16::to_be_bytes(code));
        assert!(close.is_some(), "{:?}", client.text());
        assert!(client.is_finished && !client.is_reset, "{end:?}");
    }
}

#[test]
fn h18_a_silent_client_is_pinged_and_then_given_up() {
    let (client, end, took) = talk_to_echo(&[], Then::Wait);
    assert_eq!(client.output, answer(&[b"\x89\x00"]));
    assert_eq!((end, took), (Some(Error::TimedOut), Duration::from_secs(30)));
    assert!(client.is_reset);
}

/// A client that says something at certain times.
struct Timed<'a> {
    client: &'a mut Client,
    says: Vec<(u64, Vec<u8>)>,
}

impl ByteStream for Timed<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        if let read @ Poll::Ready(_) = self.client.poll_read(cx, buffer) {
            return read;
        }
        match self.says.first() {
            None => Poll::Pending,
            Some((at, _)) if Instant::now() < Instant::from_secs(*at) => {
                // A timer is never ready when it is polled first: it is only there to wake.
                let _ = pin!(Timer::at(Instant::from_secs(*at))).poll(cx);
                Poll::Pending
            }
            Some(_) => {
                let (_, bytes) = self.says.remove(0);
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Poll::Ready(Ok(bytes.len()))
            }
        }
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.client.poll_readable(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        self.client.poll_write(cx, data)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.client.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.client.poll_finish(cx)
    }

    fn reset(&mut self) {
        self.client.reset();
    }
}

#[test]
fn h18_any_sign_of_life_keeps_a_connection() {
    let mut client = Client::new([REQUEST], Then::Wait);
    let gone = virtual_time::block_on(async {
        // A pong 29 s after the start, one byte of a frame 49 s later, and nothing more: pings at 20, 49 and 98.
        let says = vec![(29, frame(PONG, "")), (78, vec![0x81])];
        let mut stream = Timed { client: &mut client, says };
        let stats = serve_stream(&echo, &Config::new(), 2048, &mut stream, &Seat::new()).await;
        assert_eq!(stats.timed_out, 1);
        Instant::now()
    });
    assert_eq!(gone, Instant::from_secs(29 + 20 + 10));
    assert_eq!(client.output, answer(&[b"\x89\x00", b"\x89\x00"]));

    let mut client = Client::new([REQUEST], Then::Wait);
    virtual_time::block_on(async {
        let says = vec![(29, frame(PONG, "")), (58, vec![0x81]), (87, frame(TEXT, "")[1..].to_vec())];
        let says = says.into_iter().chain([(116, close(1000, ""))]).map(|(at, bytes)| (at + 59, bytes)).collect();
        let mut stream = Timed { client: &mut client, says };
        serve_stream(&echo, &Config::new(), 2048, &mut stream, &Seat::new()).await;
    });
    let ping = b"\x89\x00";
    assert_eq!(client.output, answer(&[ping, ping, ping, b"\x81\x00", ping, b"\x88\x02\x03\xe8"]));
    assert!(client.is_finished && !client.is_reset);
}

#[test]
fn h18_an_end_without_a_close_is_an_error() {
    let (client, end, took) = talk_to_echo(&[frame(TEXT, "Hello")], Then::Finish);
    assert_eq!(end, Some(Error::Io(net_core::Error::Reset)));
    assert_eq!(client.output, answer(&[b"\x81\x05Hello"]));
    assert_eq!(took, Duration::MIN);
}

#[test]
fn h18_the_server_s_close_waits_for_the_client_s_but_not_for_ever() {
    async fn bye(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 8];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        assert_eq!(socket.receive().await?, Some(Message::Text("a")));
        socket.close(CloseCode::GOING_AWAY, "bye").await
    }
    let took = |pieces: Vec<Vec<u8>>| {
        virtual_time::block_on(async {
            let began = Instant::now();
            let client = Client::new([vec![REQUEST.to_vec(), frame(TEXT, "a")], pieces].concat(), Then::Wait);
            let client = serve_with(&bye, &Config::new(), 2048, client).await;
            assert_eq!(client.output, answer(&[b"\x88\x05\x03\xe9bye"]));
            assert!(client.is_finished && !client.is_reset);
            began.elapsed()
        })
    };
    let linger = Config::new().linger;
    // What was under way is read over, however large, and pings are no longer answered.
    let late = vec![frame(TEXT, "larger than the buffer"), frame(PING, "")];
    assert_eq!(took([late.clone(), vec![close(1001, "")]].concat()), linger);
    assert_eq!(took(late), Duration::from_secs(3) + linger);
    assert_eq!(took(vec![]), Duration::from_secs(3) + linger);
    // No way to answer, but a way to end.
    assert_eq!(took(vec![b"\x81\x05Hello".to_vec()]), linger);
}

#[test]
fn h18_h22_a_server_that_stops_says_so() {
    virtual_time::block_on(async {
        let seat = Seat::new();
        let ends = RefCell::new(Vec::new());
        let mut client = Client::new([REQUEST], Then::Wait);
        let (handler, config) = (Watched(echo, &ends), Config::new());
        let serving = serve_stream(&handler, &config, 2048, &mut client, &seat);
        let stop = async {
            Timer::after(Duration::from_secs(1)).await;
            seat.leave();
        };
        join(serving, stop).await;
        assert_eq!(client.output, answer(&[b"\x88\x12\x03\xe9the server stops"]));
        assert!(client.is_finished && !client.is_reset);
        assert_eq!(ends.into_inner(), [None]);
        assert_eq!(Instant::now(), Instant::from_secs(1 + 3) + config.linger);
    });
}

/// Reads and writes one byte at a time, every second time not at all.
struct Trickle<'a> {
    client: &'a mut Client,
    turn: bool,
}

impl Trickle<'_> {
    fn is_ready(&mut self, cx: &Context<'_>) -> bool {
        cx.waker().wake_by_ref();
        self.turn = !self.turn;
        self.turn
    }
}

impl ByteStream for Trickle<'_> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        if !self.is_ready(cx) {
            return Poll::Pending;
        }
        self.client.poll_read(cx, &mut buffer[..1])
    }

    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.client.poll_readable(cx)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        if !self.is_ready(cx) {
            return Poll::Pending;
        }
        self.client.poll_write(cx, &data[..1])
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.client.poll_flush(cx)
    }

    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.client.poll_finish(cx)
    }

    fn reset(&mut self) {
        self.client.reset();
    }
}

#[test]
fn h18_a_receive_that_is_given_up_at_any_moment_loses_nothing() {
    /// Gives up every wait at once, and sends something now and then.
    async fn restless(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 100];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        let (mut given_up, mut seen) = (0, 0);
        loop {
            match select(socket.receive(), ready(())).await {
                Either::First(message) => match message? {
                    Some(message) => {
                        assert_eq!(message.as_bytes().len(), 30 + seen);
                        seen += 1;
                    }
                    None => break,
                },
                Either::Second(()) => given_up += 1,
            }
            if given_up == 60 {
                socket.send_text("now").await?;
            }
        }
        assert!(given_up > 150 && seen == 3, "given up {given_up} times, {seen} messages");
        socket.close(CloseCode::NORMAL, "").await
    }
    let messages = (30..33).flat_map(|n| [frame(PING, "a"), fragment(TEXT, ""), frame(CONTINUATION, "x".repeat(n))]);
    let frames: Vec<u8> = messages.flatten().chain(close(1000, "")).collect();
    let mut client = Client::new([REQUEST, &frames], Then::Finish);
    virtual_time::block_on(async {
        let mut stream = Trickle { client: &mut client, turn: false };
        serve_stream(&restless, &Config::new(), 2048, &mut stream, &Seat::new()).await;
    });
    let output = client.output.strip_prefix(&answer(&[])[..]).unwrap();
    // The message stands somewhere between the pongs, and none of them was torn.
    let at = output.windows(5).position(|bytes| bytes == b"\x81\x03now").unwrap();
    let rest = [&output[..at], &output[at + 5..]].concat();
    assert_eq!(rest, b"\x8a\x01a\x8a\x01a\x8a\x01a\x88\x02\x03\xe8");
    assert!(client.is_finished && !client.is_reset);
}

#[test]
fn h18_h23_a_large_message_is_not_copied_and_no_frame_is_written_in_crumbs() {
    async fn large(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 8];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        // With its header it just fits the 512 bytes; one more does not.
        socket.send_binary(&[1; 508]).await?;
        socket.send_binary(&[2; 509]).await?;
        socket.send_text(&"x".repeat(70_000)).await?;
        socket.close(CloseCode::NORMAL, "").await
    }
    let client = talk(&large, [REQUEST.to_vec(), close(1000, "")]);
    assert_eq!(client.writes[1..], [512, 512, 1, 512, 70_010 - 512, 4]);
    let expected = answer(&[
        b"\x82\x7e\x01\xfc",
        &[1; 508],
        b"\x82\x7e\x01\xfd",
        &[2; 509],
        b"\x81\x7f\0\0\0\0\0\x01\x11\x70",
        "x".repeat(70_000).as_bytes(),
        b"\x88\x02\x03\xe8",
    ]);
    assert!(client.output == expected);
}

#[test]
fn h18_half_a_message_is_not_followed_by_another() {
    async fn hasty(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 8];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        let sent = select(socket.send_text(&"x".repeat(70_000)), Timer::after(Duration::from_secs(1))).await;
        assert!(matches!(sent, Either::Second(())));
        let failed = Err(Error::Internal("the sending of a WebSocket message was given up"));
        assert_eq!(socket.send_text("more").await, failed);
        assert_eq!(socket.receive().await, failed.map(|()| None));
        socket.close(CloseCode::NORMAL, "").await
    }
    virtual_time::block_on(async {
        let mut client = Client::new([REQUEST], Then::Wait);
        client.appetite = 1000;
        let client = serve_with(&hasty, &Config::new(), 2048, client).await;
        assert_eq!(client.output.len(), 1000);
        assert!(client.is_reset);
    });
}

#[test]
fn h18_h16_a_client_that_does_not_read_is_given_up() {
    virtual_time::block_on(async {
        let ends = RefCell::new(Vec::new());
        let mut client = Client::new([REQUEST.to_vec(), frame(PING, ""), frame(TEXT, "Hello")], Then::Wait);
        client.appetite = answer(&[]).len() + 1;
        let client = serve_with(&Watched(echo, &ends), &Config::new(), 2048, client).await;
        assert_eq!(ends.into_inner(), [Some(Error::TimedOut)]);
        assert_eq!(Instant::now(), Instant::from_secs(10));
        assert!(client.is_reset);
    });
}

#[test]
fn h18_after_the_close_nothing_is_sent() {
    async fn late(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 8];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        assert_eq!(socket.receive().await, Ok(None));
        assert_eq!((socket.close_code(), socket.close_reason()), (CloseCode::new(4321), "why not"));
        assert_eq!(socket.receive().await, Ok(None));
        assert_eq!(socket.send_text("late").await, Err(Error::Io(net_core::Error::Closed)));
        assert_eq!(socket.ping(b"").await, Err(Error::Io(net_core::Error::Closed)));
        socket.close(CloseCode::INTERNAL_ERROR, "too late").await
    }
    let client = talk(&late, [REQUEST.to_vec(), close(4321, "why not")]);
    assert_eq!(client.output, answer(&[b"\x88\x02\x10\xe1"]));
    assert!(client.is_finished && !client.is_reset);
}

#[test]
fn h18_a_ping_of_the_handler_s() {
    async fn pinging(request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 8];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        assert_eq!(socket.ping(&[0; 126]).await, Err(Error::BufferTooSmall));
        socket.ping(b"ping").await?;
        assert_eq!(socket.receive().await?, None);
        socket.close(CloseCode::NORMAL, "").await
    }
    let client = talk(&pinging, [REQUEST.to_vec(), frame(PONG, "ping"), frame(CLOSE, "")]);
    assert_eq!(client.output, answer(&[b"\x89\x04ping", b"\x88\x00"]));
}

/// Passes on what is published, until it is "end".
struct Listener<'a> {
    news: &'a Broadcast<256>,
    missed: &'a Cell<u64>,
}

impl Handler for Listener<'_> {
    async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
        let mut buffer = [0; 64];
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        let (mut news, mut copy) = (self.news.subscribe(), [0; 64]);
        loop {
            match select(socket.receive(), news.next(&mut copy)).await {
                Either::First(message) => match message? {
                    Some(message) => self.news.publish(message)?,
                    None => return socket.close(CloseCode::NORMAL, "").await,
                },
                Either::Second(Ok(Message::Text("end"))) => return socket.close(CloseCode::NORMAL, "end").await,
                Either::Second(Ok(message)) => socket.send(message).await?,
                Either::Second(Err(Lagged(missed))) => self.missed.set(self.missed.get() + missed),
            }
        }
    }
}

#[test]
fn h18_a_broadcast_reaches_all_and_waits_for_nobody() {
    let (news, missed, config) = (Broadcast::new(), Cell::new(0), Config::new());
    let handler = Listener { news: &news, missed: &missed };
    virtual_time::block_on(async {
        let clients = (0..6).map(|n| {
            let handler = &handler;
            let config = &config;
            virtual_time::own_task(async move {
                let mut client = Client::new([REQUEST], Then::Wait);
                if n == 0 {
                    // It takes the handshake, and no more: its handler stands still.
                    client.appetite = answer(&[]).len();
                }
                serve_with(handler, config, 1024, client).await
            })
        });
        let publishing = async {
            for n in 0..50u8 {
                Timer::after(Duration::from_millis(100)).await;
                assert_eq!(news.publish(&[n; 20][..]), Ok(()));
            }
            // A message from a client goes to all, itself included.
            let mut client = Client::new([REQUEST.to_vec(), frame(TEXT, "from one"), frame(TEXT, "end")], Then::Wait);
            client = serve_with(&handler, &config, 1024, client).await;
            assert_eq!(client.output, answer(&[b"\x81\x08from one", b"\x88\x05\x03\xe8end"]));
        };
        let (clients, ()) = join(virtual_time::join_all(clients.collect()), publishing).await;
        let mut expected: Vec<u8> = (0..50u8).flat_map(|n| [vec![0x82, 20], vec![n; 20]].concat()).collect();
        expected.extend_from_slice(b"\x81\x08from one\x88\x05\x03\xe8end");
        for client in &clients[1..] {
            assert_eq!(client.output, answer(&[&expected]));
            assert!(client.is_finished && !client.is_reset);
        }
        assert!(clients[0].is_reset, "it was given up by the write timeout");
        assert_eq!(missed.get(), 0, "whoever reads misses nothing");
    });
}
