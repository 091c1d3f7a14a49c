//! What a WebSocket is held to.

use net_core::time::Duration;

/// Which web pages may open a WebSocket (RFC 6455 section 10.2).
///
/// A browser lets any page connect to any server, and says in `Origin` which page it was: without a look at it, every
/// page that the user visits could talk to the device. Programs that are no browsers usually send no `Origin`; they are
/// never refused for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origins<'a> {
    /// Pages of this server: the host and port of `Origin` are those of `Host`.
    Same,
    /// Pages of this server and of these origins, each as a browser writes it: `https://example.com`.
    SameAnd(&'a [&'a str]),
    /// Every page.
    Any,
}

/// What a [`WebSocket`](super::WebSocket) is held to. Const-constructible: start from [`Config::new`] and change fields.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Config<'a> {
    /// The subprotocols that the handler speaks. The first of the client's that is among them is chosen; without one in
    /// common the connection has none. Default: none.
    pub protocols: &'a [&'a str],
    /// Which pages may connect; others get 403. Default [`Origins::Same`].
    pub origins: Origins<'a>,
    /// After so long a silence the client is sent a Ping. Default 20 s.
    pub ping_after: Duration,
    /// A client that stays silent for so long after it was sent a Ping is dead. Default 10 s.
    pub pong_within: Duration,
    /// How long the client's Close is waited for after ours. Default 3 s.
    pub close_within: Duration,
}

impl Config<'_> {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            protocols: &[],
            origins: Origins::Same,
            ping_after: Duration::from_secs(20),
            pong_within: Duration::from_secs(10),
            close_within: Duration::from_secs(3),
        }
    }
}

impl Default for Config<'_> {
    fn default() -> Self {
        Self::new()
    }
}
