//! Why something cannot be published or asked.

use core::fmt;

/// Why a call of this module failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MdnsError {
    /// A name or label that is empty, a label over 63 bytes, or a name over 255 bytes on the wire.
    InvalidName,
    /// No service type: `_name._tcp` or `_name._udp` is expected (RFC 6763 section 7).
    InvalidType,
    /// TXT data that is longer than 1300 bytes or has a key that is empty, not printable ASCII, or holds `=` (RFC 6763
    /// section 6).
    InvalidTxt,
    /// An address that is no host's own: unspecified, loopback, broadcast or multicast.
    InvalidAddress,
    /// A service of that name and type, or a host of that name, is published already.
    Duplicate,
    /// The memory given for services, or for questions, is used up; see [`Resources`](super::Resources).
    Full,
    /// There is no such service or host: it has been withdrawn.
    Unknown,
    /// The buffer is too small for the answer.
    BufferTooSmall,
    /// The host or address says that there is no such record.
    NoData,
    /// Nobody answered in time.
    TimedOut,
}

impl fmt::Display for MdnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidName => "invalid name: labels have 1 to 63 bytes, names at most 255",
            Self::InvalidType => "invalid service type: `_name._tcp` or `_name._udp` is expected",
            Self::InvalidTxt => {
                "invalid TXT data: keys are printable ASCII without `=`, all together has at most 1300 bytes"
            }
            Self::InvalidAddress => "invalid address: one of a single host is expected",
            Self::Duplicate => "published already",
            Self::Full => "no memory left for another service or question",
            Self::Unknown => "no such service or host",
            Self::BufferTooSmall => "buffer too small for the answer",
            Self::NoData => "no such record",
            Self::TimedOut => "no answer",
        })
    }
}

impl core::error::Error for MdnsError {}
