//! Why a WebSocket is closed.

use core::fmt;

/// A close code that may stand in a Close frame (RFC 6455 section 7.4, and IANA's registry of close codes).
///
/// The numbers that stand for "no code was given" (1005), "no Close frame came" (1006) and "the TLS handshake failed" (1015) never
/// travel, so there is no such value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose of the connection has been fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the server stops, or the browser has left the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: the peer broke a rule of the protocol.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// 1003: a kind of message that this side does not take, for instance binary.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// 1007: text that is not UTF-8, or another message that is not what it says to be.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// 1008: against the rules of the application.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// 1009: a message larger than this side has room for.
    pub const MESSAGE_TOO_BIG: Self = Self(1009);
    /// 1011: something unexpected happened on the server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// 1012: the server restarts.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// 1013: the server is overloaded.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code of this number, if it may be sent: 1000 to 1003, 1007 to 1014, 3000 to 3999 (registered by libraries) and
    /// 4000 to 4999 (private).
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
