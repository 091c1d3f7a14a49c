//! One request and the head of its response, over one connection.

use core::fmt::Write as _;
use core::future::poll_fn;
use core::task::Poll;

use heapless::String;
use net_core::Error;
use net_core::nal::{ByteStream, Read};

use super::ClientError;
use super::head::RequestHead;
use super::incoming::Incoming;
use super::times::Times;
use crate::http::{Framing, Method};

/// Room before a chunk for its size (at most 4 digits) and CRLF, and after it for CRLF.
const BEFORE: usize = 6;
const AFTER: usize = 2;
const LONGEST_CHUNK: usize = 0xffff;

/// The body of a request.
#[derive(Debug)]
pub(super) enum Body<'b, R> {
    None,
    Bytes(&'b [u8]),
    Stream {
        source: &'b mut R,
        /// Bytes, if that is known.
        length: Option<u64>,
        /// Whether it has been read from, so that it cannot be sent a second time.
        begun: bool,
    },
}

impl<R> Body<'_, R> {
    pub(super) fn framing(&self, method: Method) -> Framing {
        match self {
            // For these methods no body is an empty one (RFC 9110 section 8.6).
            Self::None if matches!(method, Method::Post | Method::Put | Method::Patch) => Framing::Length(0),
            Self::None => Framing::None,
            Self::Bytes(bytes) => Framing::Length(bytes.len() as u64),
            Self::Stream { length: Some(length), .. } => Framing::Length(*length),
            Self::Stream { length: None, .. } => Framing::Chunked,
        }
    }

    /// Whether the request can be sent once more.
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Stream { begun: true, .. })
    }
}

/// A connection with what comes in on it.
pub(super) struct Exchange<'x> {
    pub(super) stream: &'x mut dyn ByteStream,
    pub(super) incoming: &'x mut Incoming,
    pub(super) times: Times,
}

/// What happened first while both sending and receiving were possible.
enum Event {
    Sent(Result<usize, Error>),
    Received(Result<usize, Error>),
}

impl Exchange<'_> {
    /// Sends a request and receives until the head of the response is there. `false`: the request has not been sent
    /// to its end, because the server answered before, with an error, or ended the connection.
    ///
    /// `work` holds what is to be sent and what is received: nothing else.
    ///
    /// # Errors
    /// Those of sending and receiving. Where sending failed and there is an answer all the same, that counts.
    pub(super) async fn run<R: Read>(
        &mut self,
        head: &RequestHead<'_>,
        body: &mut Body<'_, R>,
        work: &mut [u8],
    ) -> Result<bool, ClientError> {
        let sent = self.send(head, body, work).await;
        if let Err(error) = sent
            && !matches!(error, ClientError::Io(_))
        {
            return Err(error);
        }
        match self.receive_head(work).await {
            Ok(()) => Ok(sent == Ok(true)),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    /// Sends head and body. `false`: stopped before the end.
    async fn send<R: Read>(
        &mut self,
        head: &RequestHead<'_>,
        body: &mut Body<'_, R>,
        work: &mut [u8],
    ) -> Result<bool, ClientError> {
        // The second half is for what is sent and the first for an early answer; unless the head needs both.
        let half = if head.write(work)? <= work.len() - work.len() / 2 { work.len() / 2 } else { 0 };
        let (room, out) = work.split_at_mut(half);
        let length = head.write(out)?;
        match body {
            Body::None => self.write(out.get(..length).unwrap_or_default(), room).await,
            Body::Bytes(bytes) => {
                // As much of the body as there is room for goes out with the head, in one write.
                let place = out.get_mut(length..).unwrap_or_default();
                let (first, rest) = bytes.split_at(bytes.len().min(place.len()));
                let (place, _) = place.split_at_mut(first.len());
                place.copy_from_slice(first);
                let first = out.get(..length + first.len()).unwrap_or_default();
                Ok(self.write(first, room).await? && self.write(rest, work).await?)
            }
            Body::Stream { source, length: announced, begun } => {
                if !self.write(out.get(..length).unwrap_or_default(), room).await? {
                    return Ok(false);
                }
                *begun = true;
                let (room, out) = work.split_at_mut(work.len() / 2);
                self.send_stream(*source, *announced, room, out).await
            }
        }
    }

    /// Sends a body as it comes out of `source`, piece by piece by way of `out`: `length` bytes, or chunks.
    async fn send_stream<R: Read>(
        &mut self,
        source: &mut R,
        length: Option<u64>,
        room: &mut [u8],
        out: &mut [u8],
    ) -> Result<bool, ClientError> {
        let end = out.len().saturating_sub(AFTER).min(BEFORE + LONGEST_CHUNK);
        let mut left = length;
        while left != Some(0) {
            let place = out.get_mut(BEFORE..end).unwrap_or_default();
            let most =
                left.map_or(place.len(), |left| usize::try_from(left).map_or(place.len(), |n| n.min(place.len())));
            let place = place.get_mut(..most).unwrap_or_default();
            if place.is_empty() {
                return Err(ClientError::BufferTooSmall);
            }
            let count = self.times.total(source.read(place)).await?.map_err(|_| ClientError::BodySource)?;
            let piece = match &mut left {
                Some(_) if count == 0 => return Err(ClientError::BodySource),
                Some(left) => {
                    *left = left.saturating_sub(count as u64);
                    out.get(BEFORE..BEFORE + count)
                }
                None => frame_chunk(out, count),
            };
            if !self.write(piece.ok_or(ClientError::BodySource)?, room).await? {
                return Ok(false);
            }
            if count == 0 {
                break;
            }
        }
        Ok(true)
    }

    /// Writes all of `data`. In `room`, if there is any, an answer that comes meanwhile is received; `false` when the
    /// server does not want the rest: its answer is anything but success, or it has ended the connection after its
    /// answer.
    ///
    /// Nothing is flushed: a stack sends what it is given by itself, and flushing would wait for the acknowledgement.
    async fn write(&mut self, mut data: &[u8], room: &mut [u8]) -> Result<bool, ClientError> {
        while !data.is_empty() {
            let (stream, place) = (&mut *self.stream, self.incoming.room(room));
            let either = poll_fn(|cx| {
                if !place.is_empty()
                    && let Poll::Ready(result) = stream.poll_read(cx, place)
                {
                    return Poll::Ready(Event::Received(result));
                }
                stream.poll_write(cx, data).map(Event::Sent)
            });
            match self.times.idle(either).await? {
                Event::Sent(Ok(0)) => return Err(ClientError::Io(Error::Closed)),
                Event::Sent(Ok(count)) => data = data.get(count..).unwrap_or_default(),
                Event::Received(Ok(0)) => return self.incoming.ended().map(|()| false),
                Event::Received(Ok(count)) => {
                    self.incoming.received(count);
                    let head = self.incoming.poll_head(room)?;
                    if head.is_some_and(|head| !head.status.is_success()) {
                        return Ok(false);
                    }
                }
                Event::Sent(Err(error)) | Event::Received(Err(error)) => return Err(ClientError::Io(error)),
            }
        }
        Ok(true)
    }

    async fn receive_head(&mut self, work: &mut [u8]) -> Result<(), ClientError> {
        while self.incoming.poll_head(work)?.is_none() {
            self.receive(work).await?;
        }
        Ok(())
    }

    /// Waits for more, and takes it in.
    ///
    /// # Errors
    /// [`ClientError::BufferTooSmall`] where there is no room for it, [`ClientError::TimedOut`] and
    /// [`ClientError::Io`].
    pub(super) async fn receive(&mut self, work: &mut [u8]) -> Result<(), ClientError> {
        let place = self.incoming.room(work);
        if place.is_empty() {
            return Err(ClientError::BufferTooSmall);
        }
        match self.read(place).await? {
            0 => self.incoming.ended(),
            count => {
                self.incoming.received(count);
                Ok(())
            }
        }
    }

    /// Waits for bytes; 0 at the end of the connection.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] and [`ClientError::Io`].
    pub(super) async fn read(&mut self, place: &mut [u8]) -> Result<usize, ClientError> {
        let reading = poll_fn(|cx| self.stream.poll_read(cx, place));
        self.times.idle(reading).await?.map_err(ClientError::Io)
    }
}

/// Frames `count` bytes that lie in `out` after [`BEFORE`] as a chunk (RFC 9112 section 7.1); none of them as the last.
fn frame_chunk(out: &mut [u8], count: usize) -> Option<&[u8]> {
    let mut size = String::<BEFORE>::new();
    write!(size, "{count:X}\r\n").ok()?;
    let (begin, end) = (BEFORE - size.len(), BEFORE + count + AFTER);
    out.get_mut(begin..BEFORE)?.copy_from_slice(size.as_bytes());
    out.get_mut(BEFORE + count..end)?.copy_from_slice(b"\r\n");
    out.get(begin..end)
}
