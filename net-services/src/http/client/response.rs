//! A response: its head, and its content as it arrives.

use core::fmt;
use core::task::{Context, Waker};

use net_core::nal::{ErrorType, Read, TcpSocket};
use net_core::time::{Duration, Instant, bounded};

use super::ClientError;
use super::connect::Connection;
use super::exchange::Exchange;
use super::incoming::{Content, Incoming};
use super::times::Times;
use crate::http::{Fields, Framing, Status};

/// A connection that waits for another request.
#[derive(Debug)]
pub(super) struct Kept<S: TcpSocket> {
    connection: Connection<S>,
    since: Instant,
}

impl<S: TcpSocket> Kept<S> {
    pub(super) fn new(mut connection: Connection<S>) -> Self {
        connection.is_idle = true;
        Self { connection, since: Instant::now() }
    }

    /// The connection, if it has not been idle for longer than `keep_alive` and the server has neither closed it nor
    /// said anything unasked.
    pub(super) fn revive(mut self, keep_alive: Duration) -> Option<Connection<S>> {
        let mut cx = Context::from_waker(Waker::noop());
        if self.since.elapsed() >= bounded(keep_alive) || self.connection.socket.poll_readable(&mut cx).is_ready() {
            return None;
        }
        self.connection.is_idle = false;
        Some(self.connection)
    }
}

/// A response. Its head is there; its content is read as it arrives.
///
/// Once the content has been read to its end the connection goes back to the client. A response that is dropped before
/// that resets the connection.
pub struct ClientResponse<'c, S: TcpSocket> {
    url: &'c str,
    /// The head, and behind it the window that the content comes by in.
    buffer: &'c mut [u8],
    incoming: Incoming,
    /// `None` once the content has ended, or failed.
    connection: Option<Connection<S>>,
    kept: &'c mut Option<Kept<S>>,
    times: Times,
    failure: Option<ClientError>,
}

impl<'c, S: TcpSocket> ClientResponse<'c, S> {
    pub(super) fn new(
        url: &'c str,
        buffer: &'c mut [u8],
        incoming: Incoming,
        connection: Connection<S>,
        kept: &'c mut Option<Kept<S>>,
        times: Times,
    ) -> Self {
        let connection = Some(connection);
        let mut response = Self { url, buffer, incoming, connection, kept, times, failure: None };
        response.notice_end();
        response
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.incoming.head().map_or(Status::BAD_GATEWAY, |head| head.status)
    }

    /// The URL that it comes from, after redirects: absolute, in its normal form (RFC 3986 section 6.2.2), without a
    /// fragment.
    pub fn url(&self) -> &str {
        self.url
    }

    /// All its fields.
    pub fn headers(&self) -> Fields<'_> {
        self.incoming.head().map_or(Fields::new(&[]), |head| head.fields(self.buffer))
    }

    /// The value of the first field of this name, in upper or lower case, if it is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers().get(name)
    }

    /// The length of its content in bytes where the server has told it; `Some(0)` where there is none, as after HEAD.
    pub fn length(&self) -> Option<u64> {
        match self.incoming.head()?.framing {
            Framing::None => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Chunked | Framing::UntilClose => None,
        }
    }

    /// What has been received of the content and not been [consumed](Self::consume); waits for more if that is nothing.
    /// Empty at the end.
    ///
    /// May be dropped at any time and called again.
    ///
    /// # Errors
    /// - [`ClientError::ResponseTooLarge`] beyond the limit; what is within it can be read before.
    /// - [`ClientError::InvalidResponse`] for wrong chunks.
    /// - [`ClientError::Io`] when the connection fails or ends before the content does.
    /// - [`ClientError::TimedOut`].
    ///
    /// After an error all that follows is the same error.
    pub async fn fill_buf(&mut self) -> Result<&[u8], ClientError> {
        let filled = self.fill().await;
        self.noted(filled)?;
        Ok(self.incoming.data(self.buffer))
    }

    /// Takes `n` bytes off what [`fill_buf`](Self::fill_buf) gave, at most all of it.
    pub fn consume(&mut self, n: usize) {
        self.incoming.consume(n);
        self.notice_end();
    }

    /// Reads some of the content: 0 at its end, and for an empty buffer.
    ///
    /// Where nothing is in the client's buffer and no framing comes first, it is received into `buffer` directly.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf).
    pub async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ClientError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.failure.is_none() {
            let most = self.incoming.direct().min(buffer.len());
            if let (Some(place @ [_, ..]), Some(mut exchange)) = (buffer.get_mut(..most), self.exchange()) {
                let received = exchange.read(place).await;
                let received = received.and_then(|count| match count {
                    0 => self.incoming.ended().map(|()| 0),
                    count => Ok(count),
                });
                let count = self.noted(received)?;
                self.incoming.received_directly(count);
                self.notice_end();
                return Ok(count);
            }
        }
        let data = self.fill_buf().await?;
        let count = data.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), data.get(..count)) {
            to.copy_from_slice(from);
        }
        self.consume(count);
        Ok(count)
    }

    /// Reads all that is left of the content.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf), and [`ClientError::BufferTooSmall`] when it does not fit into `buffer`.
    pub async fn read_all<'b>(&mut self, buffer: &'b mut [u8]) -> Result<&'b [u8], ClientError> {
        let mut length = 0;
        loop {
            let room = buffer.get_mut(length..).unwrap_or_default();
            let count = match room.is_empty() {
                true if self.fill_buf().await?.is_empty() => 0,
                true => return Err(ClientError::BufferTooSmall),
                false => self.read(room).await?,
            };
            if count == 0 {
                return Ok(buffer.get(..length).unwrap_or_default());
            }
            length += count;
        }
    }

    /// Reads all that is left of the content, onto the heap.
    ///
    /// # Errors
    /// Those of [`fill_buf`](Self::fill_buf), and [`ClientError::BufferTooSmall`] when the heap is full.
    #[cfg(feature = "alloc")]
    pub async fn read_to_vec(&mut self) -> Result<alloc::vec::Vec<u8>, ClientError> {
        let mut all = alloc::vec::Vec::new();
        loop {
            let data = self.fill_buf().await?;
            let count = data.len();
            if count == 0 {
                return Ok(all);
            }
            all.try_reserve(count).map_err(|_| ClientError::BufferTooSmall)?;
            all.extend_from_slice(data);
            self.consume(count);
        }
    }

    /// The connection, as long as something is to come on it.
    fn exchange(&mut self) -> Option<Exchange<'_>> {
        let stream = &mut self.connection.as_mut()?.socket;
        Some(Exchange { stream, incoming: &mut self.incoming, times: self.times })
    }

    /// Brings at least one byte of content, or the end.
    async fn fill(&mut self) -> Result<(), ClientError> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        while self.incoming.poll_content(self.buffer)? == Content::More {
            let Some(connection) = &mut self.connection else { return Ok(()) };
            let mut exchange =
                Exchange { stream: &mut connection.socket, incoming: &mut self.incoming, times: self.times };
            exchange.receive(self.buffer).await?;
        }
        self.notice_end();
        Ok(())
    }

    /// Keeps a failure in mind, and lets go of the connection.
    fn noted<T>(&mut self, result: Result<T, ClientError>) -> Result<T, ClientError> {
        if let Err(failure) = &result {
            self.failure = Some(*failure);
            self.connection = None;
        }
        result
    }

    /// Lets go of the connection once the content has ended: to the client where it may be used again.
    fn notice_end(&mut self) {
        if self.connection.is_none() {
            return;
        }
        match self.incoming.poll_content(self.buffer) {
            Ok(Content::End) => {
                let kept = self.connection.take().map(Kept::new);
                if self.incoming.leaves_connection_clean() {
                    *self.kept = kept;
                }
            }
            Ok(_) => {}
            Err(failure) => {
                self.failure = Some(failure);
                self.connection = None;
            }
        }
    }
}

impl<S: TcpSocket> ErrorType for ClientResponse<'_, S> {
    type Error = ClientError;
}

impl<S: TcpSocket> Read for ClientResponse<'_, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ClientError> {
        ClientResponse::read(self, buffer).await
    }
}

impl<S: TcpSocket> embedded_io_async::BufRead for ClientResponse<'_, S> {
    async fn fill_buf(&mut self) -> Result<&[u8], ClientError> {
        ClientResponse::fill_buf(self).await
    }

    fn consume(&mut self, n: usize) {
        ClientResponse::consume(self, n);
    }
}

impl<S: TcpSocket> fmt::Debug for ClientResponse<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.status(), self.url)
    }
}
