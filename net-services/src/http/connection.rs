//! One connection: its requests in order, each answered before the next is looked at.

use core::cell::RefCell;
use core::future::poll_fn;
use core::task::Poll;

use net_core::nal::ByteStream;
use net_core::time::{Instant, bounded, with_deadline, with_timeout};

use super::engine::{Engine, Step};
use super::exchange::{Ends, Exchange, Incoming, State};
use super::head::{Head, Refusal};
use super::request::Body;
use super::seats::Seat;
use super::server::Shared;
use super::{Access, Error, Handler, Method, Request, RequestLine, Response, Status};
use net_core::log::{Show, debug, info, warn};

/// The part of a connection's buffer that responses are made in; requests have the rest.
const RESPONSE_SHARE: usize = 4;
/// What that part is at least.
const RESPONSE_LEAST: usize = 256;

/// Serves a connection until it ends. `buffer` has at least [`LEAST_BUFFER`](super::LEAST_BUFFER) bytes.
pub(super) async fn serve<H: Handler>(
    shared: &Shared<'_>,
    handler: &H,
    stream: &mut dyn ByteStream,
    ends: Ends,
    buffer: &mut [u8],
) {
    let response_share = (buffer.len() / RESPONSE_SHARE).max(RESPONSE_LEAST).min(buffer.len());
    let (receiving, sending) = buffer.split_at_mut(buffer.len() - response_share);
    let mut engine = Engine::new(shared.config, receiving, Instant::now());
    shared.count(|stats| stats.connections += 1);
    loop {
        let head = match engine.step(Instant::now()) {
            Step::Request(head) => head,
            Step::Receive => match receive(&mut engine, stream, shared.seat).await {
                Ok(n @ 1..) => {
                    shared.count(|stats| stats.received += n as u64);
                    continue;
                }
                Ok(0) => continue,
                Err(()) => return,
            },
            Step::Refuse(refusal) => {
                shared.count(|stats| stats.refused += 1);
                debug!("request from {} refused: {}", Show(ends.peer), refusal.why);
                return refuse(shared, stream, ends, &refusal, sending).await;
            }
            Step::Close => {
                shared.count(|stats| stats.timed_out += u32::from(!engine.is_used()));
                return;
            }
        };
        if !answer(shared, handler, stream, ends, &mut engine, &head, sending).await {
            return;
        }
    }
}

/// Waits for bytes of a head. 0: it is time to look at the engine again. An error ends the connection.
async fn receive(engine: &mut Engine<'_>, stream: &mut dyn ByteStream, seat: &Seat) -> Result<usize, ()> {
    let (deadline, is_idle) = (engine.deadline(), engine.is_idle());
    let space = engine.space();
    seat.set_idle(is_idle.then(Instant::now));
    let reading = poll_fn(|cx| {
        // A client whose request is already here is served, however late it is.
        match stream.poll_read(cx, space) {
            Poll::Ready(Ok(n @ 1..)) => Poll::Ready(Ok(n)),
            Poll::Ready(_) => Poll::Ready(Err(())),
            Poll::Pending if is_idle && seat.poll_leave(cx) => Poll::Ready(Err(())),
            Poll::Pending => Poll::Pending,
        }
    });
    let result = with_deadline(deadline, reading).await.unwrap_or(Ok(0));
    seat.set_idle(None);
    if let Ok(n @ 1..) = result {
        engine.received(n);
    }
    result
}

/// Has one request handled. `true`: the connection goes on.
async fn answer<H: Handler>(
    shared: &Shared<'_>,
    handler: &H,
    stream: &mut dyn ByteStream,
    ends: Ends,
    engine: &mut Engine<'_>,
    head: &Head,
    sending: &mut [u8],
) -> bool {
    shared.count(|stats| stats.requests += 1);
    let keep_alive = !engine.is_last() && !shared.seat.is_leaving();
    let (bytes, window, received) = engine.split(head);
    let incoming = Incoming::new(head.framing, received, shared.config.body_limit, head.expects_continue);
    let state = State::new(ends, incoming).of(head, keep_alive);
    let wire = RefCell::new(&mut *stream);
    let exchange = Exchange::new(&wire, shared, &state);
    let request = Request::new(exchange, *head, bytes, window);
    let response = Response::new(exchange, &mut *sending);
    let is_whole = match handler.handle(request, response).await {
        Ok(_) => state.is_complete.get(),
        Err(error) => {
            log_failure(&error, head.method, head.path(bytes), ends);
            shared.count(|stats| match error {
                Error::TimedOut => stats.timed_out += 1,
                Error::Io(_) => stats.failed += 1,
                _ => {}
            });
            // Whatever went wrong after a complete response is no concern of the client.
            let is_lost = matches!(error, Error::Io(_)) || state.is_begun.get();
            state.is_complete.get() || (!is_lost && explain(exchange, &error, &mut *sending).await.is_ok())
        }
    };
    tell(shared, &state, Some((head, bytes)));
    if !is_whole {
        // Half a response must not look like a whole one.
        stream.reset();
        return false;
    }
    let (keep_alive, incoming) = (state.keep_alive.get(), state.incoming.into_inner());
    if !keep_alive {
        // With the request read to its end nothing more can come that would turn our end into a reset.
        if !incoming.ended || incoming.raw < incoming.end {
            linger(stream, sending, shared.config).await;
        }
        return false;
    }
    discard_body(shared, stream, ends, engine, head, incoming).await
}

/// Reads what the handler left of the body, so that the next request is found. `true`: it was.
async fn discard_body(
    shared: &Shared<'_>,
    stream: &mut dyn ByteStream,
    ends: Ends,
    engine: &mut Engine<'_>,
    head: &Head,
    mut incoming: Incoming,
) -> bool {
    if !incoming.ended {
        incoming.limit = u64::MAX;
        let (_, window, _) = engine.split(head);
        let (state, wire) = (State::new(ends, incoming), RefCell::new(&mut *stream));
        let exchange = Exchange::new(&wire, shared, &state);
        // The response is out: nobody has to be told to go on.
        state.is_begun.set(true);
        let is_found = Body { exchange, window }.discard(shared.config.discard).await;
        shared.count(|stats| stats.received += state.received.get());
        incoming = state.incoming.into_inner();
        if !matches!(is_found, Ok(true)) {
            let (_, window, _) = engine.split(head);
            linger(stream, window, shared.config).await;
            return false;
        }
    }
    engine.next(head, incoming.raw, incoming.end, Instant::now());
    true
}

/// Counts and logs a request that is over: its head, and the bytes of that.
fn tell(shared: &Shared<'_>, state: &State, head: Option<(&Head, &[u8])>) {
    let sent = state.sent.get();
    shared.count(|stats| {
        stats.sent += sent;
        stats.received += state.received.get();
    });
    let Some(log) = shared.access_log else { return };
    let line = |(head, bytes): (&Head, _)| RequestLine::of(head, bytes);
    log(&Access {
        peer: state.ends.peer,
        request: head.map(line),
        status: state.is_begun.get().then(|| state.status.get()),
        body: sent.saturating_sub(state.head_sent.get()),
    });
}

fn log_failure(error: &Error, method: Method, path: &str, ends: Ends) {
    match error {
        Error::Options(_) | Error::Answered => {}
        Error::Status(..)
        | Error::MethodNotAllowed(_)
        | Error::UpgradeRequired
        | Error::BadRequest(_)
        | Error::BodyTooLarge => {
            debug!("{} {} from {}: {}", method.as_str(), path, Show(ends.peer), Show(error));
        }
        Error::Io(_) | Error::TimedOut | Error::BodyIncomplete => {
            info!("{} {} from {}: {}", method.as_str(), path, Show(ends.peer), Show(error));
        }
        _ => warn!("{} {} from {}: {}", method.as_str(), path, Show(ends.peer), Show(error)),
    }
}

/// Answers in place of the handler, without the detail (H-21).
async fn explain(exchange: Exchange<'_>, error: &Error, sending: &mut [u8]) -> Result<(), Error> {
    let status = error.status();
    if matches!(error, Error::TimedOut | Error::BodyIncomplete | Error::BodyTooLarge) {
        exchange.keep_alive.set(false);
    }
    let response = Response::new(exchange, sending).status(status);
    let sent = match error {
        Error::Options(allowed) => response.header("Allow", allowed).empty().await,
        Error::MethodNotAllowed(allowed) => response.header("Allow", allowed).text(status.reason()).await,
        Error::UpgradeRequired => {
            let response = response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", 13);
            response.text(status.reason()).await
        }
        _ => response.text(status.reason()).await,
    };
    sent.map(drop)
}

/// H-11: answers a request that is none, and closes so that the client sees the answer.
async fn refuse(shared: &Shared<'_>, stream: &mut dyn ByteStream, ends: Ends, refusal: &Refusal, sending: &mut [u8]) {
    let incoming = Incoming::new(super::Framing::None, 0, 0, false);
    let (state, wire) = (State::new(ends, incoming), RefCell::new(&mut *stream));
    let exchange = Exchange::new(&wire, shared, &state);
    let response = Response::new(exchange, &mut *sending).status(refusal.status);
    let response = match refusal.status {
        Status::SERVICE_UNAVAILABLE => response.header("Retry-After", 1),
        _ => response,
    };
    let sent = response.text(refusal.status.reason()).await;
    tell(shared, &state, None);
    if sent.is_ok() {
        linger(stream, sending, shared.config).await;
    }
}

/// Ends our side and takes what still comes for a moment: closing with unread data would send a reset, which may
/// overtake the answer (RFC 9112 section 9.6).
async fn linger(stream: &mut dyn ByteStream, scratch: &mut [u8], config: &super::Config) {
    let lingering = async {
        if poll_fn(|cx| stream.poll_finish(cx)).await.is_err() || scratch.is_empty() {
            return;
        }
        while let Ok(1..) = poll_fn(|cx| stream.poll_read(cx, scratch)).await {}
    };
    // Whether it ended in time makes no difference: it ends now.
    let _ = with_timeout(bounded(config.linger), lingering).await;
}
