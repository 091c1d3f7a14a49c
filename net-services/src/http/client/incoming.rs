//! A response on its way in: bytes go in as they arrive, a head and content come out. It does no input itself.

use super::ClientError;
use crate::http::body::{Decoder, Step};
use crate::http::head::Limits;
use crate::http::response_head::{ResponseHead, ResponseScanner};
use crate::http::{Framing, Method, Status};

/// What comes next of a response's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing yet: receive more.
    More,
    /// So many bytes, 1 or more, in [`Incoming::data`].
    Data(usize),
    /// The end.
    End,
}

/// The state of one response. Its bytes lie in a buffer that each call is given, always the same: first the head, then
/// the window, in which the content comes by.
#[derive(Debug)]
pub(super) struct Incoming {
    method: Method,
    /// Bytes of content that are accepted.
    limit: u64,
    scanner: ResponseScanner,
    head: Option<ResponseHead>,
    decoder: Decoder,
    /// Bytes of content handed out.
    content: u64,
    /// What has been received and not used yet lies here in the buffer: from, to.
    start: usize,
    filled: usize,
    /// Bytes of content at `start`, as far as they have been told of.
    ready: usize,
    /// Whether anything was received at all.
    touched: bool,
    /// Whether the server has ended the connection.
    closed: bool,
}

impl Incoming {
    /// The response to a request of this method.
    pub(super) fn new(method: Method, limit: u64) -> Self {
        Self {
            method,
            limit,
            scanner: ResponseScanner::new(),
            head: None,
            decoder: Decoder::new(Framing::None),
            content: 0,
            start: 0,
            filled: 0,
            ready: 0,
            touched: false,
            closed: false,
        }
    }

    /// The head, once [`poll_head`](Self::poll_head) has found it.
    pub(super) fn head(&self) -> Option<&ResponseHead> {
        self.head.as_ref()
    }

    /// Whether not a byte has been received.
    pub(super) fn is_untouched(&self) -> bool {
        !self.touched
    }

    /// Where the next bytes received are to be put; empty when there is no room.
    pub(super) fn room<'b>(&self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        buffer.get_mut(self.filled..).unwrap_or_default()
    }

    /// So many bytes have been put there.
    pub(super) fn received(&mut self, count: usize) {
        self.filled += count;
        self.touched |= count > 0;
    }

    /// The server has ended the connection.
    ///
    /// # Errors
    /// [`ClientError::Io`] where the response is not complete.
    pub(super) fn ended(&mut self) -> Result<(), ClientError> {
        self.closed = self.head.is_some() && self.decoder.may_end_here();
        if self.closed { Ok(()) } else { Err(ClientError::Io(net_core::Error::Reset)) }
    }

    /// Looks for the head of the final response; interim ones (1xx) are dropped. `None`: receive more.
    ///
    /// # Errors
    /// [`ClientError::InvalidResponse`], and [`ClientError::ResponseTooLarge`] when the head announces it.
    pub(super) fn poll_head(&mut self, buffer: &mut [u8]) -> Result<Option<ResponseHead>, ClientError> {
        while self.head.is_none() {
            let received = buffer.get_mut(..self.filled).unwrap_or_default();
            let found = self.scanner.scan(received, self.method, &Limits::new());
            let Some(head) = found.map_err(|refusal| ClientError::InvalidResponse(refusal.why))? else {
                return Ok(None);
            };
            if head.status == Status::SWITCHING_PROTOCOLS {
                return Err(ClientError::InvalidResponse("switches protocols without being asked"));
            }
            if head.status.is_informational() {
                received.copy_within(head.length.., 0);
                self.filled -= head.length;
                self.scanner = ResponseScanner::new();
                continue;
            }
            if matches!(head.framing, Framing::Length(length) if length > self.limit) {
                return Err(ClientError::ResponseTooLarge);
            }
            self.decoder = Decoder::new(head.framing);
            self.start = head.length;
            self.head = Some(head);
        }
        Ok(self.head)
    }

    /// What comes next of the content. Once it is [`Content::End`] it stays that.
    ///
    /// # Errors
    /// [`ClientError::InvalidResponse`] and [`ClientError::ResponseTooLarge`].
    pub(super) fn poll_content(&mut self, buffer: &[u8]) -> Result<Content, ClientError> {
        self.ready = 0;
        let unread = buffer.get(self.start..self.filled).unwrap_or_default();
        let step = self.decoder.next(unread).map_err(|refusal| ClientError::InvalidResponse(refusal.why))?;
        match step {
            Step::More { .. } => {
                // Nothing is unread now: the window begins anew.
                let window = self.head.map_or(0, |head| head.length);
                (self.start, self.filled) = (window, window);
                Ok(if self.closed { Content::End } else { Content::More })
            }
            Step::Data { skip, length } => {
                self.start += skip;
                let left = self.limit.saturating_sub(self.content);
                if left == 0 {
                    return Err(ClientError::ResponseTooLarge);
                }
                self.ready = usize::try_from(left).map_or(length, |left| left.min(length));
                Ok(Content::Data(self.ready))
            }
            Step::End { skip } => {
                self.start += skip;
                Ok(Content::End)
            }
        }
    }

    /// The content that [`poll_content`](Self::poll_content) told of and that has not been used yet.
    pub(super) fn data<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer.get(self.start..self.start + self.ready).unwrap_or_default()
    }

    /// So much of it has been used; more than there is counts as all of it.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.ready);
        self.ready -= count;
        self.start += count;
        self.count(count);
    }

    /// How much content may be received past the buffer, at most: 0 when some lies in it, or framing comes first.
    pub(super) fn direct(&self) -> usize {
        if self.start < self.filled || self.closed {
            return 0;
        }
        let most = self.decoder.content_ahead().min(self.limit.saturating_sub(self.content));
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// So much content has been received past the buffer.
    pub(super) fn received_directly(&mut self, count: usize) {
        self.count(count);
    }

    fn count(&mut self, count: usize) {
        self.content += count as u64;
        self.decoder.consumed(count);
    }

    /// The connection is to carry no other request, whatever the server says.
    pub(super) fn close_after(&mut self) {
        if let Some(head) = &mut self.head {
            head.keep_alive = false;
        }
    }

    /// Whether the connection may carry another request now: the response is complete, nothing came after it, and the
    /// server does not mean to close.
    pub(super) fn leaves_connection_clean(&self) -> bool {
        let keep_alive = self.head.is_some_and(|head| head.keep_alive);
        keep_alive && self.decoder.is_done() && self.start == self.filled && !self.closed
    }
}
