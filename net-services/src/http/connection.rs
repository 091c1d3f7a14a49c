//! One connection: its requests in order, each answered before the next is looked at.

use core::future::poll_fn;
use core::task::{Poll, ready};

use net_core::time::{Instant, bounded, poll_until, with_timeout};

use super::engine::{Engine, Step};
use super::exchange::{Ends, Exchange, Incoming, State, later};
use super::head::{Head, Refusal};
use super::request::Body;
use super::server::Shared;
use super::{Access, Error, Framing, Handler, Method, Outcome, Request, RequestLine, Response};
use net_core::log::{Show, debug, info, warn};

/// The part of a connection's buffer that responses are made in; requests have the rest.
const RESPONSE_SHARE: usize = 4;
/// What that part is at least.
const RESPONSE_LEAST: usize = 256;

/// Serves a connection until it ends. `buffer` has at least [`LEAST_BUFFER`](super::LEAST_BUFFER) bytes.
pub(super) async fn serve<H: Handler>(shared: &Shared<'_>, handler: &H, buffer: &mut [u8]) {
    let response_share = (buffer.len() / RESPONSE_SHARE).max(RESPONSE_LEAST).min(buffer.len());
    let (receiving, sending) = buffer.split_at_mut(buffer.len() - response_share);
    let mut engine = Engine::new(shared.config, receiving, Instant::now());
    shared.count(|stats| &mut stats.connections);
    loop {
        let head = match engine.step(Instant::now()) {
            Step::Request(head) => head,
            Step::Receive => match receive(shared, &mut engine).await {
                Ok(()) => continue,
                Err(()) => return,
            },
            Step::Refuse(refusal) => {
                shared.count(|stats| &mut stats.refused);
                debug!("request from {} refused: {}", Show(shared.ends.peer), refusal.why);
                return refuse(shared, &refusal, sending).await;
            }
            Step::Close => {
                if !engine.is_used() {
                    shared.count(|stats| &mut stats.timed_out);
                }
                return;
            }
        };
        if !answer(shared, handler, &mut engine, &head, sending).await {
            return;
        }
    }
}

/// Waits for bytes of a head, or until it is time to look at the engine again. An error ends the connection.
async fn receive(shared: &Shared<'_>, engine: &mut Engine<'_>) -> Result<(), ()> {
    let (seat, deadline, is_idle) = (shared.seat, engine.deadline(), engine.is_idle());
    let space = engine.space();
    seat.set_idle(is_idle.then(Instant::now));
    let reading = poll_fn(|cx| {
        // A client whose request is already here is served, however late it is.
        match shared.wire.poll_read(cx, space) {
            Poll::Ready(Ok(n @ 1..)) => Poll::Ready(Ok(n)),
            Poll::Ready(_) => Poll::Ready(Err(())),
            Poll::Pending if is_idle && seat.poll_leave(cx) => Poll::Ready(Err(())),
            Poll::Pending => poll_until(deadline, cx).map(|()| Ok(0)),
        }
    });
    let result = reading.await;
    seat.set_idle(None);
    let n = result?;
    if n > 0 {
        shared.count_bytes(|stats| &mut stats.received, n);
        engine.received(n);
    }
    Ok(())
}

/// Has one request handled. `true`: the connection goes on.
async fn answer<H: Handler>(
    shared: &Shared<'_>,
    handler: &H,
    engine: &mut Engine<'_>,
    head: &Head,
    sending: &mut [u8],
) -> bool {
    shared.count(|stats| &mut stats.requests);
    let keep_alive = !engine.is_last() && !shared.seat.is_leaving();
    let (bytes, window, received) = engine.split(head);
    let incoming = Incoming::new(head.framing, received, shared.config.body_limit, head.expects_continue);
    let state = State::new(shared, incoming).of(head, keep_alive);
    let exchange = Exchange::new(&state);
    let _unfinished = Unfinished(&state);
    let request = Request::new(exchange, head, bytes, window);
    let response = Response::new(exchange, &mut *sending);
    let is_whole = match handler.handle(request, response).await {
        Ok(_) => state.is_complete.get(),
        Err(error) => {
            log_failure(&error, head.method, head.path(bytes), shared.ends);
            match error {
                Error::TimedOut => shared.count(|stats| &mut stats.timed_out),
                Error::Io(_) => shared.count(|stats| &mut stats.failed),
                _ => {}
            }
            // Whatever went wrong after a complete response is no concern of the client.
            let is_lost = matches!(error, Error::Io(_)) || state.is_begun.get();
            state.is_complete.get() || (!is_lost && explain(exchange, &error, &mut *sending).await.is_ok())
        }
    };
    tell(&state, Some((head, bytes)));
    if !is_whole {
        // Half a response must not look like a whole one.
        shared.wire.reset();
        return false;
    }
    if !state.keep_alive.get() {
        let is_read = {
            let incoming = state.incoming.borrow();
            incoming.ended && incoming.raw == incoming.end
        };
        // From a client that wanted to close, and whose request has been read to its end, nothing more comes that would
        // turn our end into a reset. Another may be sending its next request already.
        if head.keep_alive || !is_read {
            linger(shared, sending).await;
        }
        return false;
    }
    // What the handler left of the body is read, so that the next request is found.
    let is_ended = state.incoming.borrow().ended;
    if !is_ended {
        state.incoming.borrow_mut().limit = u64::MAX;
        let (_, window, _) = engine.split(head);
        let mut body = Body { exchange, window };
        // What nobody wants is not worth waiting for at the pace that is enough for what somebody does.
        let discarding = with_timeout(bounded(shared.config.body), body.discard(shared.config.discard));
        if !matches!(discarding.await, Ok(Ok(true))) {
            linger(shared, sending).await;
            return false;
        }
    }
    let incoming = state.incoming.borrow();
    engine.next(head, incoming.raw, incoming.end, Instant::now());
    true
}

/// A request that is being answered. When it is given up in the middle, because the server's time is over, its response
/// must not look whole: in HTTP/1.0 a body may end where the connection does.
struct Unfinished<'a>(&'a State<'a>);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.0.is_begun.get() && !self.0.is_complete.get() {
            self.0.shared.wire.reset();
        }
    }
}

/// Tells the access log of a request that is over: its head, and the bytes of that.
fn tell(state: &State<'_>, head: Option<(&Head, &[u8])>) {
    let Some(log) = state.shared.access_log else { return };
    log(&Access {
        peer: state.shared.ends.peer,
        request: head.map(|(head, bytes)| RequestLine::of(head, bytes)),
        status: state.is_begun.get().then(|| state.status.get()),
        body: state.body_sent.get().max(0) as u64,
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
fn explain<'c>(
    exchange: Exchange<'c>,
    error: &Error,
    sending: &'c mut [u8],
) -> impl Future<Output = Outcome> + use<'c> {
    let status = error.status();
    if matches!(error, Error::TimedOut | Error::BodyIncomplete | Error::BodyTooLarge) {
        exchange.keep_alive.set(false);
    }
    let response = Response::new(exchange, sending).status(status);
    let response = match error {
        Error::Options(allowed) | Error::MethodNotAllowed(allowed) => response.header("Allow", allowed),
        Error::UpgradeRequired => response.header("Upgrade", "websocket").header("Sec-WebSocket-Version", "13"),
        _ => response,
    };
    response.text(status.reason())
}

/// H-11: answers a request that is none, and closes so that the client sees the answer.
async fn refuse(shared: &Shared<'_>, refusal: &Refusal, sending: &mut [u8]) {
    let state = State::new(shared, Incoming::new(Framing::None, 0, 0, false));
    let error = Error::Status(refusal.status, refusal.why);
    let sent = explain(Exchange::new(&state), &error, sending).await;
    tell(&state, None);
    if sent.is_ok() {
        linger(shared, sending).await;
    }
}

/// Ends our side and takes what still comes for a moment: closing with unread data would send a reset, which may
/// overtake the answer (RFC 9112 section 9.6).
async fn linger(shared: &Shared<'_>, scratch: &mut [u8]) {
    let until = later(Instant::now(), shared.config.linger);
    poll_fn(|cx| {
        if poll_until(until, cx).is_pending() && ready!(shared.wire.poll_finish(cx)).is_ok() && !scratch.is_empty() {
            while let Ok(1..) = ready!(shared.wire.poll_read(cx, scratch)) {}
        }
        Poll::Ready(())
    })
    .await;
}
