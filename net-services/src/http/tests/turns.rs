//! One connection must not keep all others waiting: they share a thread, and a client that always has more to give, or
//! always takes more, would never let go of it.

use core::cell::Cell;
use core::task::{Context, Poll};

use embassy_futures::select::{Either, select};
use embassy_futures::yield_now;
use net_core::nal::ByteStream;

use super::*;
use crate::http::seats::Seat;
use crate::http::testing::serve_stream;

/// A client that never has to be waited for: it sends a beginning, then the same over and over, and takes everything.
struct Eager<'t> {
    beginning: &'static [u8],
    again: &'static [u8],
    at: usize,
    /// Reads and writes since somebody else had a turn.
    calls: &'t Cell<u32>,
}

impl Eager<'_> {
    fn count(&self) {
        self.calls.set(self.calls.get() + 1);
        assert!(self.calls.get() < 1000, "nobody else gets a turn");
    }
}

impl ByteStream for Eager<'_> {
    fn poll_read(&mut self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        self.count();
        let source = if self.beginning.is_empty() { &self.again[self.at..] } else { self.beginning };
        let n = source.len().min(buffer.len());
        buffer[..n].copy_from_slice(&source[..n]);
        if self.beginning.is_empty() {
            self.at = (self.at + n) % self.again.len();
        } else {
            self.beginning = &self.beginning[n..];
        }
        Poll::Ready(Ok(n))
    }

    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        self.count();
        Poll::Ready(Ok(data.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self) {}
}

/// Whether another task gets a hundred turns beside such a client.
fn check<H: Handler>(handler: &H, beginning: &'static str, again: &'static str) {
    let calls = Cell::new(0);
    let mut client = Eager { beginning: beginning.as_bytes(), again: again.as_bytes(), at: 0, calls: &calls };
    let mut config = Config::new();
    config.requests = u32::MAX;
    let (seat, others) = (Seat::new(), async {
        for _ in 0..100 {
            calls.set(0);
            yield_now().await;
        }
    });
    let serving = std::boxed::Box::pin(serve_stream(handler, &config, 2048, &mut client, &seat));
    let ended = virtual_time::block_on(select(serving, others));
    assert!(matches!(ended, Either::Second(())), "the connection goes on");
}

/// H-16
#[test]
fn a_connection_that_never_waits_lets_others_have_their_turn() {
    let sink = async |mut request: Request<'_>, response: Response<'_>| {
        request.body.limit(u64::MAX);
        loop {
            let n = request.body.fill_buf().await?.len();
            if n == 0 {
                return response.empty().await;
            }
            request.body.consume(n);
        }
    };
    check(&sink, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n", "z");
    let source = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        loop {
            body.write_all(&[b'z'; 5000]).await?;
        }
    };
    check(&source, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "z");
    check(&deaf, "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    // What is read and dropped after a refusal.
    check(&deaf, "GARBAGE\r\n", "z");
}
