//! What goes wrong while a request is handled, and how it is answered.

use core::fmt;

use super::{Methods, Status};

/// Proof that a response has been sent. Only finishing a [`Response`](super::Response) makes one, so a handler cannot
/// forget to answer. Of one that gives back the proof of another request the connection is reset.
#[derive(Debug)]
#[must_use = "return it from the handler"]
pub struct Sent(pub(super) ());

/// What a handler gives back: the proof of its answer, or the reason why there is none.
pub type Outcome = Result<Sent, Error>;

/// Why a request got no answer from its handler.
///
/// As long as nothing has been sent, the server answers it, with the status that is named with each and without the
/// detail, which goes to the log. After that, the connection is reset, so that the client cannot take half a
/// response for a whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// This status, and a reason for the log. An interim status, 1xx, answers nothing and becomes 500.
    Status(Status, &'static str),
    /// The path is right, the method is not: 405 with `Allow`.
    MethodNotAllowed(Methods),
    /// `OPTIONS` was asked: 204 with `Allow`. No failure, and not logged as one.
    Options(Methods),
    /// The path is that of a WebSocket, and the request is none for one of version 13: 426 with `Upgrade` and
    /// `Sec-WebSocket-Version` (RFC 6455 section 4.4).
    UpgradeRequired,
    /// The request is not what the handler or the protocol wants: 400.
    BadRequest(&'static str),
    /// The request body is larger than the limit in force: 413.
    BodyTooLarge,
    /// The connection ended before the request body did: 400, in case the client still reads.
    BodyIncomplete,
    /// The client was slower than the configured times allow: 408 while it sends, a reset while it reads.
    TimedOut,
    /// The connection failed: nothing can be answered.
    Io(net_core::Error),
    /// A field name or value of the response that is not allowed (RFC 9110 section 5), or one of those that the server
    /// writes itself: 500.
    InvalidHeader,
    /// The head of the response does not fit into the connection's buffer: 500.
    HeadTooLarge,
    /// More or less of a response body than was announced: 500.
    LengthMismatch,
    /// Something that does not fit into the buffer that was given for it: 500.
    BufferTooSmall,
    /// The response is complete, and there is nothing more for the handler to do. No failure, and not logged as one.
    Answered,
    /// Any other failure of the handler, with a reason for the log: 500.
    Internal(&'static str),
}

impl Error {
    /// The status that answers it, as long as nothing else has been sent.
    pub const fn status(&self) -> Status {
        match self {
            Self::Status(status, _) if !status.is_informational() => *status,
            Self::MethodNotAllowed(_) => Status::METHOD_NOT_ALLOWED,
            Self::Options(_) => Status::NO_CONTENT,
            Self::UpgradeRequired => Status::UPGRADE_REQUIRED,
            Self::BadRequest(_) | Self::BodyIncomplete => Status::BAD_REQUEST,
            Self::BodyTooLarge => Status::CONTENT_TOO_LARGE,
            Self::TimedOut => Status::REQUEST_TIMEOUT,
            _ => Status::INTERNAL_SERVER_ERROR,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, "") => status.fmt(f),
            Self::Status(status, why) => write!(f, "{status}: {why}"),
            Self::MethodNotAllowed(allowed) => write!(f, "method not allowed, only {allowed}"),
            Self::Options(allowed) => write!(f, "options: {allowed}"),
            Self::UpgradeRequired => f.write_str("not a request for a WebSocket"),
            Self::BadRequest(why) => write!(f, "bad request: {why}"),
            Self::BodyTooLarge => f.write_str("request body too large"),
            Self::BodyIncomplete => f.write_str("request body incomplete"),
            Self::TimedOut => f.write_str("client too slow"),
            Self::Io(error) => error.fmt(f),
            Self::InvalidHeader => f.write_str("invalid field name or value in the response"),
            Self::HeadTooLarge => f.write_str("response head larger than the buffer"),
            Self::LengthMismatch => f.write_str("response body not of the length announced"),
            Self::BufferTooSmall => f.write_str("buffer too small"),
            Self::Answered => f.write_str("answered already"),
            Self::Internal(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for Error {}

impl From<net_core::Error> for Error {
    fn from(error: net_core::Error) -> Self {
        Self::Io(error)
    }
}
