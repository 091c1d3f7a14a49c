//! A WebSocket in a handler's hands: the decoder below and the connection of its request together.

use core::future::poll_fn;
use core::task::Poll;

use edge_ws::FrameType;
use net_core::time::{Duration, Instant, bounded, with_deadline};

use super::decoder::{Decoded, Decoder, Event, Violation};
use super::keep_alive::{Due, KeepAlive};
use super::{CloseCode, Config, Message, frame, handshake};
use crate::http::response::Raw;
use crate::http::{Body, Error, Method, Methods, Outcome, Request, Response, Sent};

/// What is refused once this side has sent its Close.
const CLOSED: Error = Error::Io(net_core::Error::Closed);

/// How far the connection has come.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Open,
    /// We have sent a Close and wait for the client's until then.
    Closing(Instant),
    /// Both have said Close, or the client took too long to.
    Closed,
    /// Nothing more can be had from it than this error.
    Failed(Error),
}

/// What ended a wait for the client.
enum Heard {
    Bytes(usize),
    /// The server stops.
    Leave,
}

/// A WebSocket (RFC 6455) that a handler has accepted.
///
/// Pings are answered, and the client's Close is too, while the handler is in [`receive`](Self::receive); so that is where it
/// should be most of the time, alone or side by side with what it has to send: `receive` can be given up at any
/// moment (`select`) without losing anything.
///
/// The timeouts of [`http::Config`](crate::http::Config) hold for sending: a client that does not read does not hold a
/// connection for ever.
pub struct WebSocket<'c> {
    raw: Raw<'c>,
    decoder: Decoder,
    /// Where messages are put together.
    message: &'c mut [u8],
    /// Received bytes; `start..end` have not been decoded.
    window: &'c mut [u8],
    start: usize,
    end: usize,
    /// Of the output buffer, `unsent..filled` are whole frames still to be sent, but for a beginning that is out.
    unsent: usize,
    filled: usize,
    phase: Phase,
    /// Our Close is among what has been or will be sent.
    close_queued: bool,
    keep_alive: KeepAlive,
    close_within: Duration,
    protocol: Option<&'c str>,
    peer_code: Option<CloseCode>,
}

/// A request for a WebSocket that is one, and the answer to it.
struct Checked<'c> {
    response: Response<'c>,
    window: &'c mut [u8],
    start: usize,
    end: usize,
    protocol: Option<&'c str>,
}

impl<'c> Checked<'c> {
    fn new(request: Request<'c>, response: Response<'c>, config: &Config<'c>) -> Result<Self, Error> {
        if request.method() != Method::Get {
            return Err(Error::MethodNotAllowed(Methods::of(&[Method::Get])));
        }
        // HTTP/1.0 knows no `Upgrade` (RFC 9110 section 7.8).
        if request.is_http10() {
            return Err(Error::UpgradeRequired);
        }
        let accepted = handshake::check(&request.headers(), request.host(), config)?;
        let Body { exchange, window } = request.body;
        let incoming = exchange.incoming.borrow();
        if !incoming.ended {
            return Err(Error::BadRequest("a request for a WebSocket with a body"));
        }
        let response = response.header("Upgrade", "websocket").header("Sec-WebSocket-Accept", accepted.accept());
        let response = match accepted.protocol {
            Some(protocol) => response.header("Sec-WebSocket-Protocol", protocol),
            None => response,
        };
        Ok(Self { response, window, start: incoming.raw, end: incoming.end, protocol: accepted.protocol })
    }
}

impl<'c> WebSocket<'c> {
    /// Accepts the client's request for a WebSocket. `buffer` is where messages are put together; one that is larger closes the
    /// connection with [`CloseCode::MESSAGE_TOO_BIG`]. Fields of `response`, a cookie for instance, go into the answer.
    ///
    /// # Errors
    /// For the handler to return; nothing has been sent.
    /// - [`Error::MethodNotAllowed`], [`Error::UpgradeRequired`]: not a request for a WebSocket of version 13.
    /// - [`Error::BadRequest`]: one that breaks the rules of RFC 6455 section 4.2.1.
    /// - [`Error::Status`] with 403: from a page of another server ([`Config::origins`]).
    /// - Those of [`Response::send`].
    pub fn accept(
        request: Request<'c>,
        response: Response<'c>,
        buffer: &'c mut [u8],
    ) -> impl Future<Output = Result<Self, Error>> {
        const DEFAULT: Config<'static> = Config::new();
        Self::accept_with(request, response, buffer, &DEFAULT)
    }

    /// The same with a configuration: subprotocols, origins, times.
    ///
    /// # Errors
    /// Those of [`accept`](Self::accept).
    pub fn accept_with(
        request: Request<'c>,
        response: Response<'c>,
        buffer: &'c mut [u8],
        config: &Config<'c>,
    ) -> impl Future<Output = Result<Self, Error>> {
        // Not an `async fn`, whose future would have room for the request in it.
        let checked = Checked::new(request, response, config);
        let keep_alive = KeepAlive::new(config.ping_after, config.pong_within, Instant::now());
        let close_within = bounded(config.close_within);
        async move {
            let Checked { response, window, start, end, protocol } = checked?;
            Ok(Self {
                raw: response.switch().await?,
                decoder: Decoder::new(),
                message: buffer,
                window,
                start,
                end,
                unsent: 0,
                filled: 0,
                phase: Phase::Open,
                close_queued: false,
                keep_alive,
                close_within,
                protocol,
                peer_code: None,
            })
        }
    }

    /// The subprotocol chosen, one of [`Config::protocols`].
    pub fn protocol(&self) -> Option<&'c str> {
        self.protocol
    }

    /// The code of the client's Close, if it had one, after [`receive`](Self::receive) gave `None`.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.peer_code
    }

    /// The reason of the client's Close; empty if there is none. After [`receive`](Self::receive) gave `None`.
    pub fn close_reason(&self) -> &str {
        if self.peer_code.is_some() { self.decoder.reason() } else { "" }
    }

    /// Waits for the next message. `None`: the WebSocket has been closed in order, by the client or because the server
    /// [stops](crate::http::Server::stop).
    ///
    /// Answers pings, asks a silent client whether it is still there, and answers the client's Close. Dropping the future
    /// loses nothing: the next call goes on where it was.
    ///
    /// # Errors
    /// The same one on every further call:
    /// - [`Error::BadRequest`]: the client broke the rules of RFC 6455; it has been sent a Close that says so.
    /// - [`Error::BodyTooLarge`]: a message larger than the buffer; the client has been sent a Close that says so.
    /// - [`Error::TimedOut`]: the client is silent even when asked, or does not read.
    /// - [`Error::Io`]: the connection failed; [`Reset`](net_core::Error::Reset) also when the client just ended it, without a Close.
    pub async fn receive(&mut self) -> Result<Option<Message<'_>>, Error> {
        let Some((is_text, length)) = self.next_message().await? else { return Ok(None) };
        let bytes = self.message.get(..length).unwrap_or_default();
        Ok(Some(match str::from_utf8(bytes) {
            Ok(text) if is_text => Message::Text(text),
            _ => Message::Binary(bytes),
        }))
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send(text).await
    }

    /// Sends a message of bytes.
    ///
    /// # Errors
    /// Those of [`send`](Self::send).
    pub async fn send_binary(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send(bytes).await
    }

    /// Sends a message, in one frame. One that fits the sending part of the connection's buffer leaves in one write; of a
    /// larger one only its beginning is copied.
    ///
    /// A large message must be waited for: when its future is dropped half of it may be out, and the WebSocket has failed.
    /// A small one is sent by the next call in that case.
    ///
    /// # Errors
    /// - [`Error::Io`] with [`Closed`](net_core::Error::Closed): the WebSocket is closed.
    /// - [`Error::TimedOut`], [`Error::Io`]: the client does not read, or is gone.
    /// - What [`receive`](Self::receive) has failed with.
    pub async fn send<'m>(&mut self, message: impl Into<Message<'m>>) -> Result<(), Error> {
        let message = message.into();
        self.check_open()?;
        self.flush().await?;
        let frame_type = match message {
            Message::Text(_) => FrameType::Text(false),
            Message::Binary(_) => FrameType::Binary(false),
        };
        let payload = message.as_bytes();
        if let Some(length) = frame::write(self.raw.buffer, frame_type, payload) {
            self.filled = length;
            return self.flush().await;
        }
        let header = frame::write_header(self.raw.buffer, frame_type, payload.len()).ok_or(Error::BufferTooSmall)?;
        let room = self.raw.buffer.get_mut(header..).unwrap_or_default();
        let (first, rest) = payload.split_at_checked(room.len()).unwrap_or((payload, &[]));
        for (to, from) in room.iter_mut().zip(first) {
            *to = *from;
        }
        self.filled = header + first.len();
        // Until all of it is out.
        self.phase = Phase::Failed(Error::Internal("the sending of a WebSocket message was given up"));
        self.flush().await?;
        self.write_all(rest).await?;
        self.phase = Phase::Open;
        Ok(())
    }

    /// Sends a Ping with up to 125 bytes. The Pong to it is not told; to find dead clients nothing is needed beside
    /// [`receive`](Self::receive).
    ///
    /// # Errors
    /// Those of [`send`](Self::send), and [`Error::BufferTooSmall`] for more than 125 bytes.
    pub async fn ping(&mut self, payload: &[u8]) -> Result<(), Error> {
        if payload.len() > frame::CONTROL {
            return Err(Error::BufferTooSmall);
        }
        self.check_open()?;
        self.flush().await?;
        self.queue(FrameType::Ping, payload)?;
        self.flush().await
    }

    /// Closes the WebSocket: sends a Close and waits for the client's, up to [`Config::close_within`]; messages that still come are
    /// not kept. `reason` is for people who look for errors, at most 123 bytes; the rest is cut off. When the
    /// WebSocket is closed already, only ends the request.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Io`]: the Close could not be sent. What [`receive`](Self::receive) has failed with.
    pub async fn close(&mut self, code: CloseCode, reason: &str) -> Outcome {
        if matches!(self.phase, Phase::Open) {
            self.flush().await?;
            self.begin_close(code, reason)?;
        }
        self.flush().await?;
        if let Phase::Failed(error) = self.phase {
            return Err(error);
        }
        // Ours is out: what goes wrong from here on ends it no less.
        while let Ok(Some(_)) = self.next_message().await {}
        Ok(self.raw.complete())
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.phase {
            Phase::Open => Ok(()),
            Phase::Closing(_) | Phase::Closed => Err(CLOSED),
            Phase::Failed(error) => Err(error),
        }
    }

    /// The kind and length of the next message.
    async fn next_message(&mut self) -> Result<Option<(bool, usize)>, Error> {
        loop {
            // What is still to be sent, an answer to what was received last above all, comes first: so there is always
            // room for the next answer.
            self.flush().await?;
            match self.phase {
                Phase::Open | Phase::Closing(_) => {}
                Phase::Closed => return Ok(None),
                Phase::Failed(error) => return Err(error),
            }
            let input = self.window.get(self.start..self.end).unwrap_or_default();
            match self.decoder.decode(input, self.message) {
                Ok(Decoded { taken, event }) => {
                    self.start += taken;
                    match event {
                        Some(Event::Text(length)) => return Ok(Some((true, length))),
                        Some(Event::Binary(length)) => return Ok(Some((false, length))),
                        Some(control) => self.answer(control)?,
                        None => self.wait().await?,
                    }
                }
                Err(violation) => self.refuse(&violation)?,
            }
        }
    }

    /// Queues the answer to a control frame.
    fn answer(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Ping if matches!(self.phase, Phase::Open) => {
                let length = frame::write(self.raw.buffer, FrameType::Pong, self.decoder.payload());
                self.filled = length.ok_or(Error::BufferTooSmall)?;
            }
            Event::Close(code) => {
                self.peer_code = code;
                if !self.close_queued {
                    let payload = code.map(|code| code.get().to_be_bytes());
                    self.queue_close(payload.as_ref().map_or(&[], |payload| payload))?;
                }
                self.phase = Phase::Closed;
            }
            _ => {}
        }
        Ok(())
    }

    /// The client broke a rule: tells it, unless it has been told something else already.
    fn refuse(&mut self, violation: &Violation) -> Result<(), Error> {
        if !self.close_queued {
            let (payload, length) = frame::close_payload(violation.code, violation.why);
            self.queue_close(payload.get(..length).unwrap_or_default())?;
        }
        self.phase = Phase::Failed(match violation.code {
            CloseCode::MESSAGE_TOO_BIG => Error::BodyTooLarge,
            _ => Error::BadRequest(violation.why),
        });
        Ok(())
    }

    fn begin_close(&mut self, code: CloseCode, reason: &str) -> Result<(), Error> {
        let (payload, length) = frame::close_payload(code, reason);
        self.queue_close(payload.get(..length).unwrap_or_default())?;
        self.decoder.discard_messages();
        self.phase = Phase::Closing(Instant::now() + self.close_within);
        Ok(())
    }

    fn queue_close(&mut self, payload: &[u8]) -> Result<(), Error> {
        self.queue(FrameType::Close, payload)?;
        self.close_queued = true;
        Ok(())
    }

    /// Puts a control frame into the output buffer, which is empty.
    fn queue(&mut self, frame_type: FrameType, payload: &[u8]) -> Result<(), Error> {
        self.filled = frame::write(self.raw.buffer, frame_type, payload).ok_or(Error::BufferTooSmall)?;
        Ok(())
    }

    /// Sends what is in the output buffer. Dropping the future loses none of it.
    async fn flush(&mut self) -> Result<(), Error> {
        while self.unsent < self.filled {
            let data = self.raw.buffer.get(self.unsent..self.filled).unwrap_or_default();
            let written = self.raw.exchange.write(data).await;
            self.unsent += written.inspect_err(|error| self.phase = Phase::Failed(*error))?;
        }
        (self.unsent, self.filled) = (0, 0);
        if self.close_queued {
            let _: Sent = self.raw.complete();
        }
        Ok(())
    }

    async fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.raw.exchange.write_all(data).await.inspect_err(|error| self.phase = Phase::Failed(*error))
    }

    /// Waits for bytes, or for the moment when something is due without them. Everything received has been decoded.
    async fn wait(&mut self) -> Result<(), Error> {
        (self.start, self.end) = (0, 0);
        let (deadline, is_open) = match self.phase {
            Phase::Closing(until) => (until, false),
            _ => (self.keep_alive.due().at(), true),
        };
        let exchange = self.raw.exchange;
        let heard = with_deadline(
            deadline,
            poll_fn(|cx| match exchange.poll_read(cx, self.window) {
                Poll::Ready(read) => Poll::Ready(read.map(Heard::Bytes)),
                Poll::Pending if is_open && exchange.shared.seat.poll_leave(cx) => Poll::Ready(Ok(Heard::Leave)),
                Poll::Pending => Poll::Pending,
            }),
        )
        .await;
        let now = Instant::now();
        match heard {
            Ok(Ok(Heard::Bytes(n @ 1..))) => {
                self.end = n;
                self.keep_alive.heard(now);
            }
            Ok(Ok(Heard::Leave)) => self.begin_close(CloseCode::GOING_AWAY, "the server stops")?,
            Ok(Ok(Heard::Bytes(_))) if is_open => self.phase = Phase::Failed(Error::Io(net_core::Error::Reset)),
            Ok(Err(error)) if is_open => self.phase = Phase::Failed(error),
            Err(_) if is_open => match self.keep_alive.due() {
                Due::Ping(_) => {
                    self.queue(FrameType::Ping, &[])?;
                    self.keep_alive.pinged(now);
                }
                Due::Dead(_) => self.phase = Phase::Failed(Error::TimedOut),
            },
            // Our Close is out; a client that does not answer it in time, or in order, is gone all the same.
            _ => self.phase = Phase::Closed,
        }
        Ok(())
    }
}
