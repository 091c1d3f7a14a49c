//! The server: accepts connections, gives them places, and has them served.

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::pin::pin;
use core::task::{Poll, Waker};

use embassy_futures::select::{Either, select, select_array};
use net_core::nal::{TcpListener, TcpSocket, TcpStack};
use net_core::time::{Clock, Instant, poll_until};

use super::connection::serve;
use super::exchange::{Ends, Wire, later};
use super::fields::check_value;
use super::seats::Seat;
use super::turns::Turns;
use super::{AccessLog, Config, Handler};
use net_core::log::{Show, info};

/// Bytes that the buffer of a connection has at least: 768. The largest request head is three quarters of the buffer
/// less 128 bytes.
pub const LEAST_BUFFER: usize = 768;

/// What a server has done since it was made. Counters wrap around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// Connections served, those that are open included.
    pub connections: u32,
    /// Requests handed to the handler.
    pub requests: u32,
    /// Requests that never came to the handler: answered with 4xx or 5xx because they break the rules (RFC 9112) or a
    /// limit, or because their heads came too slowly.
    pub refused: u32,
    /// Connections that ended because the client took too long: for its first byte, for a body, or for taking a response.
    pub timed_out: u32,
    /// Connections that failed while a request was answered.
    pub failed: u32,
    /// Idle connections closed because another client waited for the place.
    pub evicted: u32,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent, heads included.
    pub sent: u64,
}

/// What the requests of a connection share: the server and the connection itself.
pub(super) struct Shared<'s> {
    pub(super) config: &'s Config,
    pub(super) clock: Option<&'s dyn Clock>,
    pub(super) access_log: Option<AccessLog<'s>>,
    pub(super) stats: &'s Cell<Stats>,
    /// Clients wait and there is no free place, or the server stops: connections are not kept.
    pub(super) is_crowded: &'s Cell<bool>,
    /// The place of the connection.
    pub(super) seat: &'s Seat,
    pub(super) ends: Ends,
    pub(super) wire: &'s (dyn Wire + 's),
}

impl Shared<'_> {
    /// Counts one more.
    pub(super) fn count(&self, counter: fn(&mut Stats) -> &mut u32) {
        count(self.stats, counter);
    }

    pub(super) fn count_bytes(&self, counter: fn(&mut Stats) -> &mut u64, bytes: usize) {
        let mut stats = self.stats.get();
        let counter = counter(&mut stats);
        *counter = counter.wrapping_add(bytes as u64);
        self.stats.set(stats);
    }
}

fn count(stats: &Cell<Stats>, counter: fn(&mut Stats) -> &mut u32) {
    let mut changed = stats.get();
    let counter = counter(&mut changed);
    *counter = counter.wrapping_add(1);
    stats.set(changed);
}

/// An HTTP/1.1 server (RFC 9110, RFC 9112) for one handler.
///
/// [`run`](Self::run) does all the work, in one future; other tasks may look at [`stats`](Self::stats) and
/// [`stop`](Self::stop) it meanwhile.
pub struct Server<'s, H> {
    config: Config,
    handler: &'s H,
    clock: Option<&'s dyn Clock>,
    access_log: Option<AccessLog<'s>>,
    stats: Cell<Stats>,
    is_crowded: Cell<bool>,
    stopping: Cell<bool>,
    stop_waker: RefCell<Option<Waker>>,
}

impl<'s, H: Handler> Server<'s, H> {
    /// A server that answers with `handler`.
    pub const fn new(config: Config, handler: &'s H) -> Self {
        Self {
            config,
            handler,
            clock: None,
            access_log: None,
            stats: Cell::new(Stats {
                connections: 0,
                requests: 0,
                refused: 0,
                timed_out: 0,
                failed: 0,
                evicted: 0,
                received: 0,
                sent: 0,
            }),
            is_crowded: Cell::new(false),
            stopping: Cell::new(false),
            stop_waker: RefCell::new(None),
        }
    }

    /// Puts the time of day into the `Date` of every response, as soon as it is known (RFC 9110 section 6.6.1). Without a
    /// clock there is no such field.
    #[must_use]
    pub const fn with_clock(mut self, clock: &'s dyn Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Has `log` told of every request and its answer.
    #[must_use]
    pub const fn with_access_log(mut self, log: AccessLog<'s>) -> Self {
        self.access_log = Some(log);
        self
    }

    /// What has been done so far, in this run and those before.
    pub fn stats(&self) -> Stats {
        self.stats.get()
    }

    /// Has [`run`](Self::run) end: the port is free at once, idle connections are closed, and running requests have
    /// [`Config::stop`] to finish. A `run` that begins later ends at once, until it has been [reset](Self::reset).
    pub fn stop(&self) {
        self.stopping.set(true);
        if let Some(waker) = self.stop_waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Takes [`stop`](Self::stop) back, so that [`run`](Self::run) can be called again.
    pub fn reset(&self) {
        self.stopping.set(false);
    }

    /// Serves on `stack`, as many connections at once as there are `buffers`. More clients wait, in
    /// [`Config::backlog`] and then in the stack; the connection that has been idle for longest makes room for them.
    ///
    /// Each buffer has at least [`LEAST_BUFFER`] bytes. A quarter of it (at least 256 bytes) is for the heads and small
    /// bodies of responses, the rest for the head of a request and pieces of its body. 2 KiB will do for browsers on a
    /// local network; 4 KiB where large cookies are sent.
    ///
    /// Beside its buffer a connection takes a TCP socket of the stack; those that wait, up to [`Config::backlog`], take
    /// one each where there are more than there are buffers. Runs until [`stop`](Self::stop); one run at a time.
    ///
    /// # Errors
    /// Those of [`TcpStack::listen`]; [`InvalidInput`](net_core::Error::InvalidInput) for no buffers, for such that are
    /// too small, and for control characters in [`Config::server`]; and [`Closed`](net_core::Error::Closed) when the stack has gone. Whatever happens to a connection is
    /// counted in [`stats`](Self::stats) and ends nothing but that connection.
    pub async fn run<S: TcpStack, const CONNECTIONS: usize, const BYTES: usize>(
        &self,
        stack: &S,
        buffers: &mut [[u8; BYTES]; CONNECTIONS],
    ) -> Result<(), net_core::Error> {
        self.check(CONNECTIONS, BYTES)?;
        let listener = stack.listen(self.config.address, self.config.backlog).await?;
        let places = [const { Place::new() }; CONNECTIONS];
        let workers = pin!(self.workers(&places, buffers));
        match select(self.accept(listener, &places), workers).await {
            Either::First(result) => result,
            Either::Second(_) => Ok(()),
        }
    }

    /// The same with buffers of `bytes` bytes on the heap, taken only while a connection is open.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    #[cfg(feature = "alloc")]
    pub async fn run_on_heap<S: TcpStack>(
        &self,
        stack: &S,
        connections: usize,
        bytes: usize,
    ) -> Result<(), net_core::Error> {
        self.check(connections, bytes)?;
        let listener = stack.listen(self.config.address, self.config.backlog).await?;
        self.run_listener(listener, connections, bytes).await
    }

    /// The same on a port that is listened on already: [`Config::address`] and [`Config::backlog`] have no say in it.
    /// For who wants to know that the port is free, and which it is, before the first request.
    ///
    /// # Errors
    /// Those of [`run`](Self::run) but for those of listening.
    #[cfg(feature = "alloc")]
    pub async fn run_listener<L: TcpListener>(
        &self,
        listener: L,
        connections: usize,
        bytes: usize,
    ) -> Result<(), net_core::Error> {
        self.check(connections, bytes)?;
        let places: alloc::vec::Vec<_> = (0..connections).map(|_| Place::new()).collect();
        let work = |place| async move {
            loop {
                self.work_on_heap(place, bytes).await;
            }
        };
        let all = all_on_heap(places.iter().map(work));
        match select(self.accept(listener, &places), all).await {
            Either::First(result) => result,
            Either::Second(()) => Ok(()),
        }
    }

    /// Serves in all places. Not inlined: the futures are put side by side on the call stack first, and that room is
    /// free again before the first of them runs.
    #[inline(never)]
    fn workers<C: TcpSocket, const CONNECTIONS: usize, const BYTES: usize>(
        &self,
        places: &[Place<C>; CONNECTIONS],
        buffers: &mut [[u8; BYTES]; CONNECTIONS],
    ) -> impl Future {
        let mut number = 0;
        select_array(buffers.each_mut().map(|buffer| {
            let place = &places[number % CONNECTIONS];
            number += 1;
            self.work(place, buffer)
        }))
    }

    fn check(&self, connections: usize, bytes: usize) -> Result<(), net_core::Error> {
        // A value that no field can have would make every response an error.
        let server = self.config.server.unwrap_or_default();
        let is_sound = connections > 0 && bytes >= LEAST_BUFFER && check_value(server.as_bytes()).is_ok();
        if is_sound { Ok(()) } else { Err(net_core::Error::InvalidInput) }
    }

    /// Serves one connection after the other in one place.
    async fn work<C: TcpSocket>(&self, place: &Place<C>, buffer: &mut [u8]) {
        loop {
            let socket = place.next().await;
            self.serve(socket, &place.seat, buffer).await;
        }
    }

    /// Serves one connection, with a buffer that is freed with it.
    #[cfg(feature = "alloc")]
    async fn work_on_heap<C: TcpSocket>(&self, place: &Place<C>, bytes: usize) {
        let socket = place.next().await;
        let mut buffer = alloc::vec![0; bytes];
        self.serve(socket, &place.seat, &mut buffer).await;
    }

    async fn serve<C: TcpSocket>(&self, mut socket: C, seat: &Seat, buffer: &mut [u8]) {
        // H-23: a response leaves in one piece, so there is nothing to wait for.
        socket.set_no_delay(true);
        let ends = Ends { local: socket.local_addr(), peer: socket.peer_addr() };
        let wire = Turns::new(RefCell::new(socket));
        let shared = Shared {
            config: &self.config,
            clock: self.clock,
            access_log: self.access_log,
            stats: &self.stats,
            is_crowded: &self.is_crowded,
            seat,
            ends,
            wire: &wire,
        };
        serve(&shared, self.handler, buffer).await;
        drop(wire);
        seat.free();
    }

    /// Accepts connections and gives them places, until the server is stopped.
    async fn accept<L: TcpListener>(
        &self,
        mut listener: L,
        places: &[Place<L::Socket>],
    ) -> Result<(), net_core::Error> {
        let address = listener.local_addr();
        self.is_crowded.set(false);
        info!("HTTP on {}", Show(address));
        loop {
            let next = async {
                self.make_room(&mut listener, places).await?;
                listener.accept().await
            };
            let socket = match select(next, self.stopped()).await {
                Either::First(socket) => socket?,
                Either::Second(()) => break,
            };
            match places.iter().find(|place| !place.seat.is_taken()) {
                Some(place) => place.give(socket),
                // Cannot be: nobody else gives places away.
                None => drop(socket),
            }
        }
        // The port is free from here on (H-22).
        drop(listener);
        self.is_crowded.set(true);
        for place in places {
            place.seat.leave();
        }
        // What has not finished by then is dropped.
        let until = later(Instant::now(), self.config.stop);
        poll_fn(|cx| {
            places.iter().for_each(|place| place.seat.watch(cx));
            if places.iter().any(|place| place.seat.is_taken()) { poll_until(until, cx) } else { Poll::Ready(()) }
        })
        .await;
        info!("HTTP on {} ended", Show(address));
        Ok(())
    }

    /// Waits until there is a free place. When a client waits for one, the connection that has been idle for longest
    /// has to go (H-16).
    async fn make_room<L: TcpListener>(
        &self,
        listener: &mut L,
        places: &[Place<L::Socket>],
    ) -> Result<(), net_core::Error> {
        let is_full = || places.iter().all(|place| place.seat.is_taken());
        if !is_full() {
            return Ok(());
        }
        let freed = poll_fn(|cx| {
            places.iter().for_each(|place| place.seat.watch(cx));
            if is_full() { Poll::Pending } else { Poll::Ready(()) }
        });
        let wanted = async {
            listener.pending().await?;
            self.is_crowded.set(true);
            // `freed` ends this.
            poll_fn(|cx| {
                places.iter().for_each(|place| place.seat.watch(cx));
                while let Some(again) = self.evict(places)
                    && poll_until(again, cx).is_ready()
                {}
                Poll::Pending
            })
            .await
        };
        let result = select(freed, wanted).await;
        self.is_crowded.set(false);
        match result {
            Either::First(()) => Ok(()),
            Either::Second(result) => result,
        }
    }

    /// Has the connection that has been idle for longest go, if that is long enough; gives the moment when it will be.
    fn evict<C>(&self, places: &[Place<C>]) -> Option<Instant> {
        let idle = places.iter().filter_map(|place| Some((place.seat.idle()?, &place.seat)));
        let (since, seat) = idle.min_by_key(|(since, _)| *since)?;
        // One at a time. Who was told to go and got a request in that moment goes when that is answered, which may take
        // long: then another.
        if places.iter().any(|place| place.seat.is_leaving() && place.seat.idle().is_some()) {
            return None;
        }
        let at = later(since, self.config.grace);
        if Instant::now() < at {
            return Some(at);
        }
        seat.leave();
        count(&self.stats, |stats| &mut stats.evicted);
        None
    }

    async fn stopped(&self) {
        poll_fn(|cx| {
            if self.stopping.get() {
                return Poll::Ready(());
            }
            *self.stop_waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Polls all of them, each only when it was woken.
#[cfg(all(feature = "alloc", target_has_atomic = "ptr"))]
async fn all_on_heap<F: Future>(futures: impl Iterator<Item = F>) {
    use futures_util::stream::{FuturesUnordered, StreamExt};

    let mut futures: FuturesUnordered<F> = futures.collect();
    while futures.next().await.is_some() {}
}

/// Polls all of them. Without atomic instructions there are no wakers of their own to tell which was woken; but chips
/// without have few connections.
#[cfg(all(feature = "alloc", not(target_has_atomic = "ptr")))]
async fn all_on_heap<F: Future>(futures: impl Iterator<Item = F>) {
    use alloc::boxed::Box;

    let mut futures: alloc::vec::Vec<_> = futures.map(Box::pin).collect();
    poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A place for a connection.
struct Place<C> {
    seat: Seat,
    socket: RefCell<Option<C>>,
}

impl<C> Place<C> {
    const fn new() -> Self {
        Self { seat: Seat::new(), socket: RefCell::new(None) }
    }

    fn give(&self, socket: C) {
        *self.socket.borrow_mut() = Some(socket);
        self.seat.take();
    }

    /// Waits for a connection.
    async fn next(&self) -> C {
        poll_fn(|cx| {
            let taken = self.seat.poll_taken(cx);
            match (taken, self.socket.borrow_mut().take()) {
                (Poll::Ready(()), Some(socket)) => Poll::Ready(socket),
                _ => Poll::Pending,
            }
        })
        .await
    }
}
