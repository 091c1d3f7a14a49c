//! What is published, and what is told about it.

use super::Label;

/// A service to be published (RFC 6763).
#[derive(Debug, Clone, Copy, Default)]
pub struct Service<'a> {
    /// The name of the instance, as people see it: 1 to 63 bytes of any text, dots and spaces included. Empty: the host's
    /// name.
    pub instance: &'a str,
    /// The type, such as `_http._tcp`.
    pub kind: &'a str,
    /// Subtypes, such as `_printer`, at most [`SUBTYPES`].
    pub subtypes: &'a [&'a str],
    /// The port.
    pub port: u16,
    /// TXT data: strings of `key=value`, or of `key` alone, together at most 1300 bytes (RFC 6763 section 6). Of keys that
    /// are equal but for case the first counts. More than 9 characters for a key are allowed but not advised.
    pub txt: &'a [&'a str],
    /// The delegated host that it runs on; `None`: this device.
    pub host: Option<HostId>,
    /// SRV priority (RFC 2782): clients try the lowest first. Usually 0.
    pub priority: u16,
    /// SRV weight among those of one priority. Usually 0.
    pub weight: u16,
}

/// Subtypes of one service.
pub const SUBTYPES: usize = 4;

/// A published service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServiceId(pub(super) u16);

/// A delegated host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct HostId(pub(super) u16);

/// A question being asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct QuestionId(pub(super) u16);

/// What has happened to a published name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// The host's name is this device's own now.
    HostEstablished,
    /// Another host has the name: this one has a new one, to be stored and used at the next start (RFC 6762 section 9). It
    /// is being probed.
    HostRenamed,
    /// The service's name is this device's own now.
    ServiceEstablished(ServiceId),
    /// Another device has a service of that name: this one has a new name, to be stored.
    ServiceRenamed(ServiceId),
    /// The delegated host's name is this device's to tell now.
    DelegateEstablished(HostId),
    /// Another host has the name: the delegated one has a new one.
    DelegateRenamed(HostId),
}

/// What an engine has done since it was made. Counters wrap around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// Datagrams received.
    pub received: u32,
    /// Of those: not for multicast DNS, from elsewhere, or copies over the other IP version.
    pub ignored: u32,
    /// Datagrams sent; one that goes to both groups counts once.
    pub sent: u32,
    /// Datagrams that the network did not take.
    pub send_errors: u32,
    /// Times that another host was found to have one of our names.
    pub conflicts: u32,
    /// Questions asked.
    pub questions: u32,
    /// Questions not asked because another host had just asked them (RFC 6762 section 7.3).
    pub questions_spared: u32,
    /// Answers not given because the querier knew them, or another host had just given them (sections 7.1 and 7.4).
    pub answers_spared: u32,
    /// Records removed from the cache, or not taken, for want of room.
    pub evicted: u32,
}

/// One label, without the rest of its name.
#[inline(never)]
pub(super) fn label(text: &str) -> Label {
    Label::try_from(text).unwrap_or_default()
}
