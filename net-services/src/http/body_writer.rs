//! The body of a response, as a handler writes it.

use core::fmt::{self, Write as _};
use core::future::poll_fn;
use core::ops::Range;
use core::task::{Context, Poll, ready};

use net_core::time::Instant;

use super::exchange::Exchange;
use super::{Error, Outcome, Sent, fields};

/// Four digits and a line end: the size of a chunk, filled in when the chunk is complete.
const CHUNK_HEAD: usize = 6;
/// What ends a chunk.
const CHUNK_END: usize = 2;
/// The largest chunk whose size has four digits.
const LARGEST_CHUNK: usize = 0xffff;

/// How the end of a body is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum Length {
    /// There is none: 1xx, 204, 205, 304.
    Absent,
    Known(u64),
    Chunked,
    UntilClose,
}

/// The body of a response, being written.
///
/// What is written gathers in the connection's buffer; it is sent when the buffer is full, with
/// [`flush`](Self::flush), and at the end.
pub struct BodyWriter<'c> {
    exchange: Exchange<'c>,
    buffer: &'c mut [u8],
    /// `start..end` is still to be sent.
    start: usize,
    end: usize,
    /// Where the open chunk's frame begins.
    chunk: Option<usize>,
    length: Length,
    /// Nothing of the body is sent: the request was `HEAD`, or the status allows none.
    skips: bool,
    /// What a body of known length lacks.
    left: u64,
    /// Why nothing can be added any more.
    broken: Option<Error>,
}

impl<'c> BodyWriter<'c> {
    /// A writer for the body of a response whose head is at `head` in `buffer`.
    pub(super) fn new(
        exchange: Exchange<'c>,
        buffer: &'c mut [u8],
        head: Range<usize>,
        length: Length,
        skips: bool,
    ) -> Result<Self, Error> {
        // Writing chunks takes room for their frame and something in it.
        if matches!(length, Length::Chunked) && buffer.len() < head.end + CHUNK_HEAD + CHUNK_END + 8 {
            return Err(Error::HeadTooLarge);
        }
        let left = if let Length::Known(n) = length { n } else { 0 };
        Ok(Self { exchange, buffer, start: head.start, end: head.end, chunk: None, length, skips, left, broken: None })
    }

    /// The buffer, when all of it has been sent.
    pub(super) fn into_buffer(self) -> &'c mut [u8] {
        self.buffer
    }

    /// Writes all of `data`. What does not fit into the connection's buffer is sent from where it is, without a copy.
    ///
    /// A future that is dropped before it is ready may have written some of it. Nobody knows how much, so nothing can be
    /// added to the body any more, and the connection is reset when the handler ends.
    ///
    /// # Errors
    /// - [`Error::LengthMismatch`]: more than was announced, or the call before was given up.
    /// - [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn write_all(&mut self, data: &[u8]) -> Result<(), Error> {
        self.count(data.len() as u64)?;
        if self.skips {
            return Ok(());
        }
        let mut writing = Writing { data, direct: 0, since: Instant::now() };
        // Stands if this future is dropped.
        self.broken = Some(Error::LengthMismatch);
        let result = poll_fn(|cx| self.poll_write(cx, &mut writing)).await;
        self.broken = result.err();
        result
    }

    /// Writes formatted text: `writer.print(format_args!("{n} volts")).await?`.
    ///
    /// Text longer than the room in the buffer is formatted again for each piece, so its parts must not change
    /// meanwhile. A future that is dropped before it is ready leaves the body as with [`write_all`](Self::write_all).
    ///
    /// # Errors
    /// Those of [`write_all`](Self::write_all), and [`Error::Internal`] when something in it fails to be displayed.
    pub async fn print(&mut self, text: fmt::Arguments<'_>) -> Result<(), Error> {
        self.count(0)?;
        let result = self.put_text(text).await;
        self.broken = result.err();
        result
    }

    async fn put_text(&mut self, text: fmt::Arguments<'_>) -> Result<(), Error> {
        if self.skips {
            let mut length = Count(0);
            length.write_fmt(text).map_err(|_| Error::Internal("a value cannot be displayed"))?;
            return self.count(length.0);
        }
        let mut done = 0;
        loop {
            let mut piece = Piece { skip: done, room: self.room(), length: 0, is_cut: false };
            let written = piece.write_fmt(text);
            let (length, is_cut) = (piece.length, piece.is_cut);
            if written.is_err() && !is_cut {
                return Err(Error::Internal("a value cannot be displayed"));
            }
            self.count(length as u64)?;
            done += length;
            self.end += length;
            if !is_cut {
                return Ok(());
            }
            // Stands if this future is dropped.
            self.broken = Some(Error::LengthMismatch);
            self.flush().await?;
            self.broken = None;
        }
    }

    /// Room for what is to be written next, to be filled in place; [`advance`](Self::advance) then tells how much was.
    /// Never empty.
    ///
    /// # Errors
    /// Those of [`flush`](Self::flush), which is done when the buffer is full.
    pub async fn room_to_fill(&mut self) -> Result<&mut [u8], Error> {
        if self.room().is_empty() {
            self.flush().await?;
        }
        Ok(self.room())
    }

    /// Takes the first `n` bytes of [`room_to_fill`](Self::room_to_fill) as written, at most all of it.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`]: more than was announced.
    pub fn advance(&mut self, n: usize) -> Result<(), Error> {
        let n = n.min(self.room().len());
        self.count(n as u64)?;
        if !self.skips {
            self.end += n;
        }
        Ok(())
    }

    /// Sends what has been written so far. If the future is dropped, the rest is sent later.
    ///
    /// # Errors
    /// [`Error::TimedOut`], [`Error::Io`]: the client is gone.
    pub async fn flush(&mut self) -> Result<(), Error> {
        self.close_chunk();
        let mut since = Instant::now();
        poll_fn(|cx| self.poll_send(cx, &mut since)).await
    }

    /// Whether the body is not sent at all, because the request was `HEAD`: then there is no need to make it.
    pub fn is_head(&self) -> bool {
        self.skips
    }

    /// Ends the body.
    ///
    /// # Errors
    /// [`Error::LengthMismatch`] when it is shorter than was announced; [`Error::TimedOut`], [`Error::Io`].
    pub async fn finish(mut self) -> Outcome {
        self.end().await
    }

    /// Ends the body with trailer fields (RFC 9110 section 6.5). They are sent only with a body in chunks
    /// ([`stream`](super::Response::stream) in HTTP/1.1), and left out of others.
    ///
    /// # Errors
    /// Those of [`finish`](Self::finish), and [`Error::InvalidHeader`] for a name or value that is none, or that must not
    /// stand in trailers.
    pub async fn finish_with_trailers(mut self, trailers: &[(&str, &str)]) -> Outcome {
        self.count(0)?;
        if self.is_chunked() {
            for (name, value) in trailers {
                if fields::check_name(name).is_err()
                    || fields::is_forbidden_in_trailers(name.as_bytes())
                    || fields::check_value(value.as_bytes()).is_err()
                {
                    return Err(Error::InvalidHeader);
                }
            }
            self.close_chunk();
            self.append(b"0\r\n").await?;
            for (name, value) in trailers {
                for part in [*name, ": ", *value, "\r\n"] {
                    self.append(part.as_bytes()).await?;
                }
            }
            self.append(b"\r\n").await?;
            // The end is written.
            self.length = Length::Absent;
        }
        self.end().await
    }

    /// Whether the connection is to close as soon as it can: the server stops. A response that would go on without end
    /// should end now.
    pub fn is_closing(&self) -> bool {
        self.exchange.shared.seat.is_leaving()
    }

    /// Ends the body. What is left of `self` after that is of no use.
    pub(super) async fn end(&mut self) -> Outcome {
        self.count(0)?;
        if !self.skips && self.left > 0 {
            return Err(Error::LengthMismatch);
        }
        if self.is_chunked() {
            self.close_chunk();
            self.append(b"0\r\n\r\n").await?;
        }
        self.flush().await?;
        self.exchange.is_complete.set(true);
        Ok(Sent(()))
    }

    fn is_chunked(&self) -> bool {
        matches!(self.length, Length::Chunked) && !self.skips
    }

    /// Bytes outside of any chunk.
    async fn append(&mut self, data: &[u8]) -> Result<(), Error> {
        let (mut data, mut since) = (data, Instant::now());
        poll_fn(|cx| {
            loop {
                let n = fill(self.buffer.get_mut(self.end..).unwrap_or_default(), &mut data);
                self.end += n;
                if data.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                ready!(self.poll_send(cx, &mut since))?;
            }
        })
        .await
    }

    fn count(&mut self, n: u64) -> Result<(), Error> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if matches!(self.length, Length::Known(_)) {
            let Some(left) = self.left.checked_sub(n) else {
                self.broken = Some(Error::LengthMismatch);
                return Err(Error::LengthMismatch);
            };
            self.left = left;
        }
        Ok(())
    }

    /// The room in the buffer for content. In chunks this opens one.
    fn room(&mut self) -> &mut [u8] {
        let mut limit = self.buffer.len();
        if self.is_chunked() {
            limit -= CHUNK_END;
            let begin = *self.chunk.get_or_insert_with(|| {
                let begin = self.end;
                self.end += CHUNK_HEAD;
                begin
            });
            limit = limit.min(begin + CHUNK_HEAD + LARGEST_CHUNK);
        }
        self.buffer.get_mut(self.end..limit).unwrap_or_default()
    }

    /// Completes the frame of the open chunk; an empty one, which would end the body, is taken back.
    fn close_chunk(&mut self) {
        let Some(begin) = self.chunk.take() else { return };
        let length = self.end.saturating_sub(begin + CHUNK_HEAD);
        if length == 0 {
            self.end = begin;
            return;
        }
        self.write_chunk_head(begin, length);
        if let Some(place) = self.buffer.get_mut(self.end..self.end + CHUNK_END) {
            place.copy_from_slice(b"\r\n");
        }
        self.end += CHUNK_END;
    }

    fn write_chunk_head(&mut self, begin: usize, length: usize) {
        let digit = |shift: u32| char::from_digit((length >> shift) as u32 & 0xf, 16).map_or(b'0', |c| c as u8);
        if let Some(place) = self.buffer.get_mut(begin..begin + CHUNK_HEAD) {
            place.copy_from_slice(&[digit(12), digit(8), digit(4), digit(0), b'\r', b'\n']);
        }
    }

    /// Puts `data` into the buffer, and sends the buffer when it is full. What would fill it again is sent from where it is.
    fn poll_write(&mut self, cx: &mut Context<'_>, writing: &mut Writing<'_>) -> Poll<Result<(), Error>> {
        loop {
            if writing.direct > 0 {
                ready!(self.poll_send(cx, &mut writing.since))?;
                let data = writing.data.get(..writing.direct).unwrap_or(writing.data);
                let n = ready!(self.exchange.poll_send(cx, &mut writing.since, data))?;
                writing.data = writing.data.get(n..).unwrap_or_default();
                writing.direct = writing.direct.saturating_sub(n);
                if writing.direct == 0 && self.is_chunked() {
                    self.end += fill(self.buffer, &mut b"\r\n".as_slice());
                }
                continue;
            }
            let room = self.room().len();
            // What would fill the buffer more than once is not copied.
            let is_large = writing.data.len() > room && writing.data.len() - room >= self.buffer.len();
            if is_large && self.is_chunked() {
                self.close_chunk();
                if self.buffer.len() < self.end + CHUNK_HEAD {
                    ready!(self.poll_send(cx, &mut writing.since))?;
                }
                writing.direct = writing.data.len().min(LARGEST_CHUNK);
                self.write_chunk_head(self.end, writing.direct);
                self.end += CHUNK_HEAD;
                continue;
            }
            self.end += fill(self.room(), &mut writing.data);
            if writing.data.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.close_chunk();
            if is_large {
                writing.direct = writing.data.len();
            } else {
                ready!(self.poll_send(cx, &mut writing.since))?;
            }
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, since: &mut Instant) -> Poll<Result<(), Error>> {
        while let Some(data) = self.buffer.get(self.start..self.end).filter(|data| !data.is_empty()) {
            self.exchange.is_begun.set(true);
            self.start += ready!(self.exchange.poll_send(cx, since, data))?;
        }
        (self.start, self.end) = (0, 0);
        Poll::Ready(Ok(()))
    }
}

/// What is being written of a body.
struct Writing<'d> {
    data: &'d [u8],
    /// So many bytes of it are sent from where they are, after the buffer.
    direct: usize,
    /// When the waiting that is now going on began.
    since: Instant,
}

/// Takes the first bytes of `data` into `room`, as many as fit; says how many.
fn fill(room: &mut [u8], data: &mut &[u8]) -> usize {
    let n = room.len().min(data.len());
    if let (Some(to), Some((now, later))) = (room.get_mut(..n), data.split_at_checked(n)) {
        to.copy_from_slice(now);
        *data = later;
    }
    n
}

impl embedded_io_async::ErrorType for BodyWriter<'_> {
    type Error = Error;
}

impl embedded_io_async::Write for BodyWriter<'_> {
    async fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.write_all(data).await?;
        Ok(data.len())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        BodyWriter::flush(self).await
    }
}

/// The length of what is formatted.
pub(super) struct Count(pub(super) u64);

impl fmt::Write for Count {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

/// The part of a formatted text that comes after `skip` bytes, as much of it as there is room for.
struct Piece<'b> {
    skip: usize,
    room: &'b mut [u8],
    length: usize,
    is_cut: bool,
}

impl fmt::Write for Piece<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let skipped = self.skip.min(text.len());
        self.skip -= skipped;
        let text = text.as_bytes().get(skipped..).unwrap_or_default();
        let n = text.len().min(self.room.len() - self.length);
        if let (Some(to), Some(from)) = (self.room.get_mut(self.length..self.length + n), text.get(..n)) {
            to.copy_from_slice(from);
        }
        self.length += n;
        // A value may go on after an error: what is lost is lost.
        self.is_cut |= n < text.len();
        if self.is_cut { Err(fmt::Error) } else { Ok(()) }
    }
}
