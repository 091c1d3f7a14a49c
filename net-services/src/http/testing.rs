//! A client made of a script, for tests: what it sends, in pieces, and what it got.

use std::collections::VecDeque;
use std::vec::Vec;

use core::cell::{Cell, RefCell};
use core::pin::Pin;
use core::task::{Context, Poll};

use net_core::nal::ByteStream;
use net_core::time::{Clock, Duration, Instant, SoftClock, Timer, UnixTime};

use super::connection::serve;
use super::exchange::{Ends, Wire};
use super::seats::Seat;
use super::server::Shared;
use super::turns::Turns;
use super::{AccessLog, Config, Handler, Stats};

/// What the client does when it has sent everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Closes its sending half.
    Finish,
    /// Waits.
    Wait,
}

/// A client, seen from the server.
#[derive(Debug)]
pub(super) struct Client {
    pieces: VecDeque<Vec<u8>>,
    then: Then,
    /// How long it waits before each piece but the first.
    pub(super) pause: Duration,
    /// When the next piece comes.
    next: Instant,
    /// Takes no more than this of what is sent to it…
    pub(super) appetite: usize,
    /// …until such a span has passed: then one byte more, and so on;
    pub(super) hunger: Option<Duration>,
    /// …until then: then all.
    pub(super) meal: Option<Duration>,
    /// Takes no more than this at a time.
    pub(super) bite: usize,
    began: Instant,
    /// What it got.
    pub(super) output: Vec<u8>,
    /// How large the single writes were.
    pub(super) writes: Vec<usize>,
    pub(super) is_finished: bool,
    pub(super) is_reset: bool,
    pub(super) stats: Stats,
}

impl Client {
    pub(super) fn new<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>, then: Then) -> Self {
        Self {
            pieces: pieces.into_iter().map(|piece| piece.as_ref().to_vec()).filter(|piece| !piece.is_empty()).collect(),
            then,
            pause: Duration::MIN,
            next: Instant::MIN,
            appetite: usize::MAX,
            hunger: None,
            meal: None,
            bite: usize::MAX,
            began: Instant::now(),
            output: Vec::new(),
            writes: Vec::new(),
            is_finished: false,
            is_reset: false,
            stats: Stats::default(),
        }
    }

    /// Whether all that it sent has been received.
    pub(super) fn is_all_taken(&self) -> bool {
        self.pieces.is_empty()
    }

    /// What it got, as text.
    pub(super) fn text(&self) -> std::string::String {
        std::string::String::from_utf8_lossy(&self.output).into_owned()
    }
}

impl ByteStream for Client {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        if self.is_reset {
            return Poll::Ready(Err(net_core::Error::Aborted));
        }
        let Some(piece) = self.pieces.front_mut().filter(|_| !buffer.is_empty()) else {
            return match self.then {
                Then::Wait if !buffer.is_empty() => Poll::Pending,
                _ => Poll::Ready(Ok(0)),
            };
        };
        if Instant::now() < self.next {
            return wake_at(self.next, cx);
        }
        let n = piece.len().min(buffer.len());
        buffer[..n].copy_from_slice(&piece[..n]);
        piece.drain(..n);
        if piece.is_empty() {
            self.pieces.pop_front();
            self.next = Instant::now() + self.pause;
        }
        cx.waker().wake_by_ref();
        Poll::Ready(Ok(n))
    }

    fn poll_readable(&mut self, _: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        if self.pieces.is_empty() && self.then == Then::Wait { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        if self.is_finished || self.is_reset {
            return Poll::Ready(Err(net_core::Error::Closed));
        }
        let mut appetite = self.appetite;
        if let Some(hunger) = self.hunger {
            let times = self.began.elapsed().as_ticks() / hunger.as_ticks();
            appetite += times as usize;
            if appetite <= self.output.len() && !data.is_empty() {
                return wake_at(self.began + hunger * (times as u32 + 1), cx);
            }
        }
        if let Some(meal) = self.meal {
            if self.began.elapsed() >= meal {
                appetite = usize::MAX;
            } else if appetite <= self.output.len() && !data.is_empty() {
                return wake_at(self.began + meal, cx);
            }
        }
        let n = data.len().min(appetite - self.output.len()).min(self.bite);
        if n == 0 && !data.is_empty() {
            return Poll::Pending;
        }
        self.output.extend_from_slice(&data[..n]);
        self.writes.push(n);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_finish(&mut self, _: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.is_finished = true;
        Poll::Ready(Ok(()))
    }

    fn reset(&mut self) {
        self.is_reset = true;
    }
}

/// A stream that is looked at again when it has been served.
struct Lent<'s>(RefCell<&'s mut dyn ByteStream>);

impl Wire for Lent<'_> {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Result<usize, net_core::Error>> {
        self.0.borrow_mut().poll_read(cx, buffer)
    }

    fn poll_write(&self, cx: &mut Context<'_>, data: &[u8]) -> Poll<Result<usize, net_core::Error>> {
        self.0.borrow_mut().poll_write(cx, data)
    }

    fn poll_finish(&self, cx: &mut Context<'_>) -> Poll<Result<(), net_core::Error>> {
        self.0.borrow_mut().poll_finish(cx)
    }

    fn reset(&self) {
        self.0.borrow_mut().reset();
    }
}

/// Not yet, but then.
fn wake_at<T>(at: Instant, cx: &mut Context<'_>) -> Poll<T> {
    let _ = Pin::new(&mut Timer::at(at)).poll(cx);
    Poll::Pending
}

/// The time of day in these tests: Sunday, 2024-02-29T12:34:56Z plus what has passed.
pub(super) const TODAY: UnixTime = UnixTime::from_secs(1_709_210_096);

/// The addresses at both ends.
pub(super) fn ends() -> Ends {
    Ends { local: "10.0.0.1:80".parse().unwrap(), peer: "10.0.0.2:40000".parse().unwrap() }
}

/// Serves `client` with a buffer of `bytes` bytes until the connection ends. Runs in virtual time.
pub(super) async fn serve_with<H: Handler>(handler: &H, config: &Config, bytes: usize, client: Client) -> Client {
    serve_logged(handler, config, bytes, client, None).await
}

/// The same with an access log.
pub(super) async fn serve_logged<H: Handler>(
    handler: &H,
    config: &Config,
    bytes: usize,
    mut client: Client,
    log: Option<AccessLog<'_>>,
) -> Client {
    client.stats = std::boxed::Box::pin(serve_any(handler, config, bytes, &mut client, &Seat::new(), log)).await;
    client
}

/// The same for a client of any kind, in a place that can be told to leave.
pub(super) async fn serve_stream<H: Handler>(
    handler: &H,
    config: &Config,
    bytes: usize,
    stream: &mut dyn ByteStream,
    seat: &Seat,
) -> Stats {
    serve_any(handler, config, bytes, stream, seat, None).await
}

async fn serve_any<H: Handler>(
    handler: &H,
    config: &Config,
    bytes: usize,
    stream: &mut dyn ByteStream,
    seat: &Seat,
    access_log: Option<AccessLog<'_>>,
) -> Stats {
    // The counters wrap around in every test.
    let (stats, is_crowded, clock) = (Cell::new(FULL), Cell::new(false), SoftClock::new());
    clock.set(TODAY);
    let mut buffer = std::vec![0xaa; bytes];
    let wire = Turns::new(Lent(RefCell::new(stream)));
    let shared = Shared {
        config,
        clock: Some(&clock),
        access_log,
        stats: &stats,
        is_crowded: &is_crowded,
        seat,
        ends: ends(),
        wire: &wire,
    };
    serve(&shared, handler, &mut buffer).await;
    let stats = stats.get();
    Stats {
        connections: stats.connections.wrapping_add(1),
        requests: stats.requests.wrapping_add(1),
        refused: stats.refused.wrapping_add(1),
        timed_out: stats.timed_out.wrapping_add(1),
        failed: stats.failed.wrapping_add(1),
        evicted: stats.evicted.wrapping_add(1),
        received: stats.received.wrapping_add(1),
        sent: stats.sent.wrapping_add(1),
    }
}

const FULL: Stats = Stats {
    connections: u32::MAX,
    requests: u32::MAX,
    refused: u32::MAX,
    timed_out: u32::MAX,
    failed: u32::MAX,
    evicted: u32::MAX,
    received: u64::MAX,
    sent: u64::MAX,
};

/// Sends `pieces` to a server with 2 KiB and the usual configuration, and closes.
pub(super) fn talk<H: Handler, P: AsRef<[u8]>>(handler: &H, pieces: impl IntoIterator<Item = P>) -> Client {
    let client = Client::new(pieces, Then::Finish);
    virtual_time::block_on(serve_with(handler, &Config::new(), 2048, client))
}
