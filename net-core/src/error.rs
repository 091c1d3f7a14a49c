//! What can go wrong with a socket, said once for all stacks.

use core::fmt;

use embedded_io_async::ErrorKind;

/// Why an operation on a socket, a listener or an interface failed.
///
/// Every stack behind the traits of [`nal`](crate::nal) reports with this type, so that a service or a script can
/// tell a refused connection from a dead peer whatever carries it. The meanings are those of RFC 9293 and of the
/// POSIX error that is named with each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The peer answered that nobody listens there: a RST to our SYN, or ICMP port unreachable (`ECONNREFUSED`).
    Refused,
    /// The peer ended an established connection with a RST (`ECONNRESET`).
    Reset,
    /// This side aborted the connection, or the stack did to free its socket (`ECONNABORTED`).
    Aborted,
    /// No answer within the socket's timeout: connecting, or data that is not acknowledged (`ETIMEDOUT`).
    TimedOut,
    /// No route, no address of our own for that destination, or a router said so by ICMP (`EHOSTUNREACH`).
    Unreachable,
    /// The local port is taken (`EADDRINUSE`).
    AddressInUse,
    /// The local address is none of this interface's, or no longer (`EADDRNOTAVAIL`).
    AddressNotAvailable,
    /// A port of 0, an unspecified destination, a hop limit of 0, a group that is not multicast, or two addresses
    /// of different IP versions (`EINVAL`).
    InvalidInput,
    /// Every socket of the pool is in use, or a table is full; see [`limits`](crate::limits) (`EMFILE`).
    NoFreeSocket,
    /// The datagram is larger than the interface or the socket's buffer can ever carry (`EMSGSIZE`).
    TooLarge,
    /// The socket is not connected (`ENOTCONN`).
    NotConnected,
    /// The socket, or its sending half, has been closed by this side (`EPIPE`).
    Closed,
    /// The stack was built without what this needs, or the network beneath cannot do it (`EOPNOTSUPP`).
    Unsupported,
    /// The operating system forbids it (`EACCES`).
    PermissionDenied,
    /// Anything else that a stack beneath reports.
    Other,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "connection refused",
            Self::Reset => "connection reset by peer",
            Self::Aborted => "connection aborted",
            Self::TimedOut => "timed out",
            Self::Unreachable => "host unreachable",
            Self::AddressInUse => "address in use",
            Self::AddressNotAvailable => "address not available on this interface",
            Self::InvalidInput => "invalid address or value",
            Self::NoFreeSocket => "no free socket",
            Self::TooLarge => "datagram too large",
            Self::NotConnected => "not connected",
            Self::Closed => "socket closed",
            Self::Unsupported => "not supported by this network",
            Self::PermissionDenied => "permission denied",
            Self::Other => "network error",
        })
    }
}

impl core::error::Error for Error {}

impl embedded_io_async::Error for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused => ErrorKind::ConnectionRefused,
            Self::Reset => ErrorKind::ConnectionReset,
            Self::Aborted => ErrorKind::ConnectionAborted,
            Self::TimedOut => ErrorKind::TimedOut,
            Self::AddressInUse => ErrorKind::AddrInUse,
            Self::AddressNotAvailable => ErrorKind::AddrNotAvailable,
            Self::InvalidInput | Self::TooLarge => ErrorKind::InvalidInput,
            Self::NoFreeSocket => ErrorKind::OutOfMemory,
            Self::NotConnected => ErrorKind::NotConnected,
            Self::Closed => ErrorKind::BrokenPipe,
            Self::Unsupported => ErrorKind::Unsupported,
            Self::PermissionDenied => ErrorKind::PermissionDenied,
            Self::Unreachable | Self::Other => ErrorKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use embedded_io_async::Error as _;

    use super::*;

    #[test]
    fn every_kind_that_embedded_io_can_name_is_named() {
        assert_eq!(Error::Refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(Error::NoFreeSocket.kind(), ErrorKind::OutOfMemory);
        assert_eq!(Error::Unreachable.kind(), ErrorKind::Other);
        assert_eq!(Error::AddressInUse.to_string(), "address in use");
    }
}
