//! What goes wrong with a request.

use core::fmt;

use net_core::nal::{ErrorKind, IoError};

/// Why there is no response, or not the whole of it.
///
/// After any of these the client can be used again; the connection cannot, and is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ClientError {
    /// No URL that can be fetched, and what is wrong with it. That of a redirect is
    /// [`InvalidRedirect`](Self::InvalidRedirect).
    InvalidUrl(&'static str),
    /// A field name or value that is not allowed (RFC 9110 section 5: above all no CR, LF or NUL), or one of those
    /// fields that the client writes itself.
    InvalidHeader,
    /// What this client cannot do: `https` as long as there is no TLS.
    Unsupported(&'static str),
    /// The name was not resolved; [`Client::dns_error`](super::Client::dns_error) has the reason.
    Dns,
    /// No connection to any of the host's addresses; the reason of the last one.
    Connect(net_core::Error),
    /// The connection failed, or the server ended it (then [`Reset`](net_core::Error::Reset)) before the response
    /// was complete.
    Io(net_core::Error),
    /// One of the times of [`ClientConfig`](super::ClientConfig) ran out.
    TimedOut(Timeout),
    /// What the server sent is no HTTP/1.1, and why.
    InvalidResponse(&'static str),
    /// The content is longer than [`ClientConfig::max_response`](super::ClientConfig::max_response).
    ResponseTooLarge,
    /// More redirects than [`ClientConfig::max_redirects`](super::ClientConfig::max_redirects).
    TooManyRedirects,
    /// A redirect to no URL that can be fetched, and what is wrong with it.
    InvalidRedirect(&'static str),
    /// A redirect from `https` to `http`, and no [leave](super::ClientConfig::allow_downgrade).
    Downgrade,
    /// A redirect (307, 308) asks for the body again, which came from a stream.
    BodyNotRepeatable,
    /// The stream that the request body comes from failed, or ended before the length announced.
    BodySource,
    /// The client's buffer holds neither URL and fields nor a response head that large; or the buffer given for a
    /// response is smaller than the response.
    BufferTooSmall,
}

/// Which of the times of [`ClientConfig`](super::ClientConfig) ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Timeout {
    /// [`ClientConfig::connect`](super::ClientConfig::connect).
    Connect,
    /// [`ClientConfig::idle`](super::ClientConfig::idle).
    Idle,
    /// [`ClientConfig::total`](super::ClientConfig::total).
    Total,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl(why) => write!(f, "invalid URL: {why}"),
            Self::InvalidHeader => f.write_str("invalid field name or value in the request"),
            Self::Unsupported(what) => write!(f, "not supported: {what}"),
            Self::Dns => f.write_str("host name not resolved"),
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Io(error) => error.fmt(f),
            Self::TimedOut(Timeout::Connect) => f.write_str("timed out while connecting"),
            Self::TimedOut(Timeout::Idle) => f.write_str("server too slow"),
            Self::TimedOut(Timeout::Total) => f.write_str("request took too long"),
            Self::InvalidResponse(why) => write!(f, "invalid response: {why}"),
            Self::ResponseTooLarge => f.write_str("response too large"),
            Self::TooManyRedirects => f.write_str("too many redirects"),
            Self::InvalidRedirect(why) => write!(f, "invalid redirect: {why}"),
            Self::Downgrade => f.write_str("redirect from https to http"),
            Self::BodyNotRepeatable => f.write_str("redirect that asks for the request body again"),
            Self::BodySource => f.write_str("request body incomplete"),
            Self::BufferTooSmall => f.write_str("buffer too small"),
        }
    }
}

impl core::error::Error for ClientError {}

impl IoError for ClientError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidUrl(_) | Self::InvalidHeader => ErrorKind::InvalidInput,
            Self::Unsupported(_) => ErrorKind::Unsupported,
            Self::Connect(error) | Self::Io(error) => error.kind(),
            Self::TimedOut(_) => ErrorKind::TimedOut,
            Self::InvalidResponse(_) | Self::InvalidRedirect(_) => ErrorKind::InvalidData,
            Self::ResponseTooLarge | Self::BufferTooSmall => ErrorKind::OutOfMemory,
            _ => ErrorKind::Other,
        }
    }
}
