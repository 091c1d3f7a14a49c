//! How patient and how trusting a client is.

use net_core::time::Duration;

/// What a [`Client`](super::Client) is held to. Const-constructible: start from [`ClientConfig::new`] and change
/// fields.
///
/// Every time is bounded: there is no way to wait for ever. A span longer than a year counts as a year.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long each of these may take: resolving the host's name, and each attempt to connect to one of its addresses.
    /// Default 10 s.
    pub connect: Duration,
    /// The longest time in which not a byte is sent or received while one is waited for. Default 20 s.
    pub idle: Duration,
    /// From the request to the last byte of the response, redirects included. Default 60 s.
    pub total: Duration,
    /// How long after a response the connection is thought good for another request. Default 10 s: servers close idle
    /// connections, some after 5 s. 0 asks for a connection of its own for each request (`Connection: close`).
    pub keep_alive: Duration,
    /// Redirects that are followed; one more is [`TooManyRedirects`](super::ClientError::TooManyRedirects). Default
    /// 20. With 0 the redirect itself is the response.
    pub max_redirects: u8,
    /// Bytes of a response's content, after the transfer coding is undone. Default 1 MiB. A longer response is
    /// [`ResponseTooLarge`](super::ClientError::ResponseTooLarge), at once where its length is announced.
    pub max_response: u64,
    /// Whether a redirect may lead from `https` to `http`. Default `false`: then it is
    /// [`Downgrade`](super::ClientError::Downgrade).
    pub allow_downgrade: bool,
    /// The `User-Agent` field of requests that have none of their own. Default `lunet/` and the version.
    pub user_agent: Option<&'static str>,
}

impl ClientConfig {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(20),
            total: Duration::from_secs(60),
            keep_alive: Duration::from_secs(10),
            max_redirects: 20,
            max_response: 1024 * 1024,
            allow_downgrade: false,
            user_agent: Some(concat!("lunet/", env!("CARGO_PKG_VERSION"))),
        }
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}
