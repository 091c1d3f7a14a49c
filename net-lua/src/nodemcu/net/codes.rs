//! Errors as scripts know them: lwIP 1.4's numbers in events, and its texts where an error is raised.

use alloc::string::{String, ToString};

use net_core::Error;

/// The peer closed.
pub(super) const OK: i64 = 0;
/// lwIP's ERR_VAL: a name that has no address.
pub(super) const NO_ADDRESS: i64 = -6;
/// lwIP's ERR_ABRT, which timeouts end with.
pub(super) const ABORTED: i64 = -8;

/// The number of an error, for `disconnection` and `reconnection`.
pub(super) fn code(error: Error) -> i64 {
    match error {
        Error::NoFreeSocket => -1,
        Error::TooLarge => -2,
        Error::Unreachable => -4,
        Error::Unsupported => -6,
        Error::TimedOut | Error::Aborted => ABORTED,
        Error::Refused | Error::Reset => -9,
        Error::Closed => -10,
        Error::NotConnected => -11,
        Error::InvalidInput | Error::AddressNotAvailable | Error::PermissionDenied => -12,
        Error::AddressInUse => -13,
        _ => -14,
    }
}

/// The text of an error, to be raised.
pub(super) fn text(error: Error) -> String {
    match error {
        Error::NoFreeSocket => "cannot allocate PCB",
        Error::TooLarge => "cannot allocate message buffer",
        Error::Unreachable => "routing problem",
        Error::TimedOut => "timeout",
        Error::Aborted => "connection aborted",
        Error::Refused | Error::Reset => "connection reset",
        Error::Closed => "connection closed",
        Error::NotConnected => "not connected",
        Error::InvalidInput => "illegal argument",
        Error::AddressInUse => "address in use",
        Error::Other => "netif error",
        // Those that lwIP has no word for.
        other => return other.to_string(),
    }
    .to_string()
}
