//! A request in the making.

use core::fmt;
use core::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use net_core::nal::{Dns, Read, TcpStack};

use super::exchange::Body;
use super::{Client, ClientError, ClientResponse, head};
use crate::http::Method;

/// A request in the making: made by [`Client::request`], ended by [`send`](Self::send) or
/// [`send_from`](Self::send_from).
///
/// Its fields are written into the client's buffer as they are named.
#[must_use = "nothing happens until it is sent"]
pub struct ClientRequest<'c, 'a, N: TcpStack, D: Dns> {
    pub(super) client: &'c mut Client<'a, N, D>,
    pub(super) parts: Parts,
    body: Option<&'c [u8]>,
}

/// What a request is, beside its body. URL and fields lie in the client's buffer.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) method: Method,
    pub(super) fields: Range<usize>,
    pub(super) max_redirects: u8,
    pub(super) max_response: u64,
}

impl<'c, 'a, N: TcpStack, D: Dns> ClientRequest<'c, 'a, N, D> {
    pub(super) fn new(client: &'c mut Client<'a, N, D>, parts: Parts) -> Self {
        Self { client, parts, body: None }
    }

    /// Adds a field. The value is anything that can be printed.
    ///
    /// `Host`, `Content-Length`, `Transfer-Encoding`, `Connection`, `Expect` and the other fields of the connection are
    /// the client's own. `Authorization`, `Cookie` and `Proxy-Authorization` are left out once a redirect leads to
    /// another scheme, host or port.
    ///
    /// # Errors
    /// [`ClientError::InvalidHeader`] for a name that is no token, one of the client's own, or a value with control
    /// characters; [`ClientError::BufferTooSmall`].
    pub fn header(mut self, name: &str, value: impl fmt::Display) -> Result<Self, ClientError> {
        let room = self.client.buffer.get_mut(self.parts.fields.end..).unwrap_or_default();
        self.parts.fields.end += head::write_field(room, name, value)?;
        Ok(self)
    }

    /// Adds name and password in the way of [RFC 7617](https://www.rfc-editor.org/rfc/rfc7617): anyone on the way can
    /// read them, unless the URL is `https`.
    ///
    /// # Errors
    /// [`ClientError::InvalidHeader`] for a user name with a colon; [`ClientError::BufferTooSmall`], also for more than
    /// 192 bytes of both together.
    pub fn basic_auth(self, user: &str, password: &str) -> Result<Self, ClientError> {
        if user.contains(':') {
            return Err(ClientError::InvalidHeader);
        }
        let (mut plain, mut coded) = ([0; 192], [0; 256]);
        let mut writer = super::writer::Writer::new(&mut plain);
        writer.print(format_args!("{user}:{password}"))?;
        let length = BASE64.encode_slice(writer.written(), &mut coded).map_err(|_| ClientError::BufferTooSmall)?;
        let coded = coded.get(..length).and_then(|coded| core::str::from_utf8(coded).ok()).unwrap_or_default();
        self.header("Authorization", format_args!("Basic {coded}"))
    }

    /// Sends this body. It stays where it is, and is sent again where a redirect or a lost connection asks for it.
    pub fn body(mut self, body: &'c [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Follows this many redirects instead of [`ClientConfig::max_redirects`](super::ClientConfig::max_redirects); with
    /// 0 the redirect itself is the response.
    pub fn max_redirects(mut self, redirects: u8) -> Self {
        self.parts.max_redirects = redirects;
        self
    }

    /// Takes this many bytes of content instead of [`ClientConfig::max_response`](super::ClientConfig::max_response).
    pub fn max_response(mut self, bytes: u64) -> Self {
        self.parts.max_response = bytes;
        self
    }

    /// Sends the request, follows redirects, and waits for the head of the response.
    ///
    /// The future may be dropped at any time; the connection is then reset.
    ///
    /// # Errors
    /// Any of [`ClientError`] but those of the body's stream. A response of any status is none.
    pub async fn send(self) -> Result<ClientResponse<'c, N::Socket>, ClientError> {
        // A slice is a stream too, but it can be sent twice.
        let body: Body<'_, &[u8]> = self.body.map_or(Body::None, Body::Bytes);
        self.client.run(self.parts, body).await
    }

    /// The same with a body that is read from `source` as it is sent: `length` bytes, or without a length all until its
    /// end, in chunks. Half of the client's free buffer is the largest piece.
    ///
    /// A stream can be read only once: a redirect that asks for the body again (307, 308) is an error.
    ///
    /// # Errors
    /// Any of [`ClientError`]. A response of any status is none.
    pub async fn send_from<R: Read>(
        self,
        source: &mut R,
        length: Option<u64>,
    ) -> Result<ClientResponse<'c, N::Socket>, ClientError> {
        self.client.run(self.parts, Body::Stream { source, length, begun: false }).await
    }
}

impl<N: TcpStack, D: Dns> fmt::Debug for ClientRequest<'_, '_, N, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest").field("parts", &self.parts).finish_non_exhaustive()
    }
}
