//! The client: its buffer, the connection that it keeps, and the way of a request through redirects.

use core::fmt;
use core::ops::Range;

use net_core::log::{Show, debug};
use net_core::nal::{Dns, Read, TcpSocket, TcpStack};
use net_core::time::Duration;

use super::connect::{Connection, open};
use super::exchange::{Body, Exchange};
use super::head::{RequestHead, retain_fields};
use super::incoming::{Content, Incoming};
use super::redirect;
use super::request::Parts;
use super::response::Kept;
use super::times::Times;
use super::url::Url;
use super::{ClientConfig, ClientError, ClientRequest, ClientResponse};
use crate::http::response_head::ResponseHead;
use crate::http::{Framing, Method};

/// What of a redirect's own content is read so that the connection can be kept, and how long that may take.
const DISCARD: u64 = 4096;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// What a client has done since it was made. Counters wrap around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct ClientStats {
    /// Requests sent, those that redirects led to and those sent again included.
    pub requests: u32,
    /// Connections opened.
    pub connections: u32,
    /// Requests sent on a connection that had served another one before.
    pub reused: u32,
    /// Requests sent again on a new connection, because the kept one turned out to be closed.
    pub repeated: u32,
    /// Redirects followed.
    pub redirects: u32,
}

/// An HTTP/1.1 client; see the [module](super).
///
/// It does one request at a time and keeps one connection, to the server of the last response. To talk with several
/// servers, or to one in parallel, use a client for each.
pub struct Client<'a, N: TcpStack, D: Dns> {
    net: &'a N,
    dns: &'a D,
    config: &'a ClientConfig,
    /// The URL of the last request, the fields of a request that is being made or sent, and then room to work in: the
    /// request head, later the response head and what comes after it.
    pub(super) buffer: &'a mut [u8],
    url_length: usize,
    /// Open to the origin of the URL at the front of the buffer.
    kept: Option<Kept<N::Socket>>,
    dns_error: Option<D::Error>,
    stats: ClientStats,
}

impl<'a, N: TcpStack, D: Dns> Client<'a, N, D> {
    /// A client on the network `net`, which resolves names by `dns`.
    ///
    /// `buffer` must hold the URL and the fields of a request, and beside them first the request head, then the
    /// response head and at least a byte of content. 1 KiB will do for a server of one's own, 4 KiB for most of those
    /// on the Internet. The more is left the faster comes the content.
    pub fn new(net: &'a N, dns: &'a D, config: &'a ClientConfig, buffer: &'a mut [u8]) -> Self {
        Self { net, dns, config, buffer, url_length: 0, kept: None, dns_error: None, stats: ClientStats::default() }
    }

    /// Begins a request. The URL is absolute, `http`, percent-encoded where need be; a fragment is ignored.
    ///
    /// # Errors
    /// [`ClientError::InvalidUrl`] and [`ClientError::BufferTooSmall`].
    pub fn request(&mut self, method: Method, url: &str) -> Result<ClientRequest<'_, 'a, N, D>, ClientError> {
        let url = Url::parse(url)?;
        if !self.own_url().is_ok_and(|own| own.is_same_origin(&url)) {
            self.kept = None;
        }
        self.url_length = 0;
        self.url_length = url.write(self.buffer)?;
        let parts = Parts {
            method,
            fields: self.url_length..self.url_length,
            max_redirects: self.config.max_redirects,
            max_response: self.config.max_response,
        };
        Ok(ClientRequest::new(self, parts))
    }

    /// Gets a URL.
    ///
    /// # Errors
    /// Those of [`request`](Self::request) and [`send`](ClientRequest::send).
    pub async fn get(&mut self, url: &str) -> Result<ClientResponse<'_, N::Socket>, ClientError> {
        self.request(Method::Get, url)?.send().await
    }

    /// Posts a body of this media type to a URL.
    ///
    /// # Errors
    /// Those of [`request`](Self::request), [`header`](ClientRequest::header) and [`send`](ClientRequest::send).
    pub async fn post<'c>(
        &'c mut self,
        url: &str,
        content_type: &str,
        body: &'c [u8],
    ) -> Result<ClientResponse<'c, N::Socket>, ClientError> {
        self.request(Method::Post, url)?.header("Content-Type", content_type)?.body(body).send().await
    }

    /// Gets a URL, and all of the content onto the heap.
    ///
    /// # Errors
    /// Those of [`get`](Self::get) and [`read_to_vec`](ClientResponse::read_to_vec).
    #[cfg(feature = "alloc")]
    pub async fn get_to_vec(&mut self, url: &str) -> Result<(crate::http::Status, alloc::vec::Vec<u8>), ClientError> {
        let mut response = self.get(url).await?;
        Ok((response.status(), response.read_to_vec().await?))
    }

    /// Closes the connection that is kept, if there is one.
    pub fn close(&mut self) {
        self.kept = None;
    }

    /// Why a host was not resolved, after [`ClientError::Dns`].
    pub fn dns_error(&self) -> Option<&D::Error> {
        self.dns_error.as_ref()
    }

    /// What has been done so far.
    pub fn stats(&self) -> ClientStats {
        self.stats
    }

    fn own_url(&self) -> Result<Url<'_>, ClientError> {
        url_at(self.buffer, self.url_length)
    }

    /// Does a request, and those that redirects lead to.
    pub(super) async fn run<'c, R: Read>(
        &'c mut self,
        mut parts: Parts,
        mut body: Body<'_, R>,
    ) -> Result<ClientResponse<'c, N::Socket>, ClientError> {
        let times = Times::new(self.config);
        let mut redirects = 0;
        self.dns_error = None;
        let (connection, incoming) = loop {
            let (mut connection, mut incoming) = self.exchange(&parts, &mut body, times).await?;
            let work = self.buffer.get_mut(parts.fields.end..).unwrap_or_default();
            let Some(head) = incoming.head().copied() else { break (connection, incoming) };
            let is_redirect = redirect::is_redirect(head.status) && head.fields(work).get_bytes("location").is_some();
            if !is_redirect || parts.max_redirects == 0 {
                break (connection, incoming);
            }
            if redirects == parts.max_redirects {
                return Err(ClientError::TooManyRedirects);
            }
            redirects += 1;
            let method = redirect::method_after(head.status, parts.method);
            let is_changed = method != parts.method;
            if is_changed {
                parts.method = method;
                body = Body::None;
            } else if !body.is_repeatable() {
                return Err(ClientError::BodyNotRepeatable);
            }
            if discard(&mut connection, &mut incoming, times, work).await {
                self.kept = Some(Kept::new(connection));
            }
            self.follow(&mut parts, &head, is_changed)?;
        };
        let (front, work) = self.buffer.split_at_mut(parts.fields.end);
        let url = front.get(..self.url_length).and_then(|url| core::str::from_utf8(url).ok()).unwrap_or_default();
        Ok(ClientResponse::new(url, work, incoming, connection, &mut self.kept, times))
    }

    /// Sends a request, on the connection that is kept or a new one, and receives the head of the response.
    ///
    /// A server may close a connection at the moment at which it is used again. If it did so without a byte of an
    /// answer, the request is sent once more, on a new one (RFC 9112 section 9.3.1).
    async fn exchange<R: Read>(
        &mut self,
        parts: &Parts,
        body: &mut Body<'_, R>,
        times: Times,
    ) -> Result<(Connection<N::Socket>, Incoming), ClientError> {
        loop {
            let kept = self.kept.take().and_then(|kept| kept.revive(self.config.keep_alive));
            let is_reused = kept.is_some();
            let mut connection = match kept {
                Some(connection) => connection,
                None => {
                    let url = url_at(self.buffer, self.url_length)?;
                    let connection = open(self.net, self.dns, &url, &times, &mut self.dns_error).await?;
                    self.stats.connections = self.stats.connections.wrapping_add(1);
                    connection
                }
            };
            self.stats.requests = self.stats.requests.wrapping_add(1);
            self.stats.reused = self.stats.reused.wrapping_add(is_reused.into());
            let mut incoming = Incoming::new(parts.method, parts.max_response);
            let (front, work) = self.buffer.split_at_mut(parts.fields.end);
            let head = RequestHead {
                method: parts.method,
                url: url_at(front, self.url_length)?,
                fields: front.get(parts.fields.clone()).unwrap_or_default(),
                framing: body.framing(parts.method),
                close: self.config.keep_alive == Duration::from_ticks(0),
                user_agent: self.config.user_agent,
            };
            let mut exchange = Exchange { stream: &mut connection.socket, incoming: &mut incoming, times };
            match exchange.run(&head, body, work).await {
                Ok(is_sent) => {
                    if !is_sent || head.close {
                        incoming.close_after();
                    }
                    return Ok((connection, incoming));
                }
                Err(ClientError::Io(error)) if is_reused && incoming.is_untouched() && body.is_repeatable() => {
                    debug!("kept connection to {} lost: {}", Show(head.url.authority()), Show(error));
                    self.stats.repeated = self.stats.repeated.wrapping_add(1);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the request that a redirect asks for of the one that it answers.
    pub(super) fn follow(
        &mut self,
        parts: &mut Parts,
        head: &ResponseHead,
        is_body_dropped: bool,
    ) -> Result<(), ClientError> {
        let Range { start, end } = parts.fields;
        let (front, work) = self.buffer.split_at_mut(end);
        let (received, free) = work.split_at_mut(head.length);
        let location = head.fields(received).get_bytes("location").unwrap_or_default();
        let from = url_at(front, self.url_length)?;
        let length = from.resolve(location, free).map_err(|error| match error {
            ClientError::InvalidUrl(why) => ClientError::InvalidRedirect(why),
            other => other,
        })?;
        let to = url_at(free, length)?;
        redirect::check(&from, &to, self.config)?;
        self.stats.redirects = self.stats.redirects.wrapping_add(1);
        debug!("{} redirects to {}{}", head.status.code(), Show(to.authority()), Show(to.target()));
        let is_same_origin = from.is_same_origin(&to);
        if !is_same_origin {
            self.kept = None;
        }
        let fields = front.get_mut(start..).unwrap_or_default();
        let kept = retain_fields(fields, |name| {
            (is_same_origin || !redirect::is_credential(name)) && !(is_body_dropped && redirect::is_about_body(name))
        });
        // Old URL, fields, head, new URL: the new URL goes to the front, the fields after it.
        let from = end + head.length;
        self.buffer.copy_within(from..from + length, start + kept);
        if let Some(moving) = self.buffer.get_mut(..start + kept + length) {
            moving.rotate_right(length);
        }
        self.buffer.copy_within(length + start..length + start + kept, length);
        self.url_length = length;
        parts.fields = length..length + kept;
        Ok(())
    }
}

impl<N: TcpStack, D: Dns> fmt::Debug for Client<'_, N, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// The URL of this length at the front of `buffer`.
fn url_at(buffer: &[u8], length: usize) -> Result<Url<'_>, ClientError> {
    let text = buffer.get(..length).and_then(|text| core::str::from_utf8(text).ok());
    Url::parse(text.unwrap_or_default())
}

/// Reads the content of a redirect to its end, if that is near. `true`: the connection may carry another request.
async fn discard<S: TcpSocket>(
    connection: &mut Connection<S>,
    incoming: &mut Incoming,
    times: Times,
    work: &mut [u8],
) -> bool {
    let Some(head) = incoming.head() else { return false };
    if !head.keep_alive || matches!(head.framing, Framing::Length(length) if length > DISCARD) {
        return false;
    }
    let mut discarded = 0;
    let times = times.with_total(DISCARD_TIME);
    while discarded <= DISCARD {
        match incoming.poll_content(work) {
            Ok(Content::End) => return incoming.leaves_connection_clean(),
            Ok(Content::Data(length)) => {
                discarded += length as u64;
                incoming.consume(length);
            }
            Ok(Content::More) => {
                let mut exchange = Exchange { stream: &mut connection.socket, incoming: &mut *incoming, times };
                if exchange.receive(work).await.is_err() {
                    return false;
                }
            }
            Err(_) => return false,
        }
    }
    false
}
