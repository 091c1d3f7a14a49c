//! How strict, how patient and how large a server is.

use core::net::SocketAddr;

use net_core::time::Duration;

/// What a [`Server`](super::Server) is held to. Const-constructible: start from [`Config::new`] and change fields.
///
/// ```
/// use net_core::time::Duration;
/// use net_services::http::Config;
///
/// const CONFIG: Config = {
///     let mut config = Config::new().with_port(8080);
///     config.keep_alive = Duration::from_secs(5);
///     config.server = Some("greenhouse");
///     config
/// };
/// ```
///
/// Every time is bounded: there is no way to wait for ever. A span longer than a year counts as a year; one of 0 allows
/// no waiting at all, only what is there already.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The address and port to listen on. Default `0.0.0.0:80`: every IPv4 address; `[::]:80` is both versions where
    /// the stack has both.
    pub address: SocketAddr,
    /// Connections that may wait for a free place, 1 or more. Default 4. Each takes a TCP socket of the stack while it
    /// waits; requests to connect beyond it, or for which the stack has no socket, wait without one.
    pub backlog: usize,
    /// From the connection to the first byte of its first request. Default 10 s.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head. Default 10 s; then 408.
    pub head: Duration,
    /// Between two requests on one connection. Default 15 s. When a client waits for a place, the connection that has
    /// been idle for longest is closed earlier.
    pub keep_alive: Duration,
    /// For how long at least a connection may be idle, also while others wait for its place: its first or next request
    /// may be on the way, and would be lost. Default 500 ms.
    pub grace: Duration,
    /// The longest silence while a request body is read. Default 10 s; then 408.
    pub body: Duration,
    /// The longest time without progress while a response is written. Default 10 s; then the connection is reset.
    pub write: Duration,
    /// Bytes per second that a client must send of a body, and take of a response, on average after the first
    /// [`body`](Self::body) or [`write`](Self::write) span. Default 50: less than the slowest modem, more than an attacker
    /// who drips bytes. 0 turns it off.
    pub minimum_rate: u32,
    /// How long what a client still sends is read and discarded before its connection closes, so that it sees the last
    /// answer and not a reset (RFC 9112 section 9.6). Default 300 ms.
    pub linger: Duration,
    /// How long running requests may take to finish after [`stop`](super::Server::stop). Default 5 s.
    pub stop: Duration,
    /// Requests answered on one connection, 1 or more; the last answer says `Connection: close`. Default 1000.
    pub requests: u32,
    /// Bytes of a request body, unless the handler [sets another limit](super::Body::limit). Default 64 KiB. Answer beyond
    /// it: 413.
    pub body_limit: u64,
    /// Bytes of a request body that no handler has read and that are discarded to keep the connection. Default 16 KiB;
    /// beyond it, or when they take longer than [`body`](Self::body) altogether, the connection is closed.
    pub discard: u64,
    /// Bytes of a request target, at most 8192 (default). Answer beyond it, or beyond the buffer: 414.
    pub target: usize,
    /// Header fields of a request, at most 100 (default). Answer beyond it: 431.
    pub fields: usize,
    /// Bytes of a request head, at most 16,384 (default). Answer beyond it, or beyond the buffer: 431.
    pub head_bytes: usize,
    /// The value of the `Server` field of every response, without control characters. It takes room in the part of the
    /// buffer that responses are made in. Default none, and no such field.
    pub server: Option<&'static str>,
}

impl Config {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            address: SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED), 80),
            backlog: 4,
            first_byte: Duration::from_secs(10),
            head: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
            grace: Duration::from_millis(500),
            body: Duration::from_secs(10),
            write: Duration::from_secs(10),
            minimum_rate: 50,
            linger: Duration::from_millis(300),
            stop: Duration::from_secs(5),
            requests: 1000,
            body_limit: 64 * 1024,
            discard: 16 * 1024,
            target: 8192,
            fields: 100,
            head_bytes: 16 * 1024,
            server: None,
        }
    }

    /// The same on another port.
    #[must_use]
    pub const fn with_port(mut self, port: u16) -> Self {
        self.address = SocketAddr::new(self.address.ip(), port);
        self
    }

    /// The same on another address and port.
    #[must_use]
    pub const fn with_address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}
