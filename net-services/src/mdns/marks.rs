//! What is known of each own record: when it was multicast last, and which replies it belongs to.

use net_core::limits::ADDRESSES;
use net_core::time::{Duration, Instant};

use super::SUBTYPES;
use super::clock::{LastTime, Millis};

/// One of the records of a service or of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    // Of a host.
    /// A or AAAA: the address of that number.
    Address(u8),
    /// PTR: the host of the address of that number.
    Reverse(u8),
    /// NSEC: the name of that address has PTR.
    ReverseNsec(u8),
    /// NSEC: the host's name has A, or AAAA, or both.
    HostNsec,
    // Of a service.
    /// PTR: the type has this instance.
    Instance,
    /// PTR: the subtype of that number has this instance.
    Subtype(u8),
    /// PTR: there are services of this type.
    Type,
    Srv,
    Txt,
    /// NSEC: the instance has SRV and TXT.
    ServiceNsec,
}

const SETS: usize = 4 + ADDRESSES;
const RECORDS: usize = 1 + 3 * ADDRESSES;
const _: () = assert!(SERVICE_RECORDS <= SETS && SERVICE_RECORDS <= RECORDS);
const SERVICE_RECORDS: usize = 5 + SUBTYPES;

impl Kind {
    /// Those of a host.
    pub(super) const OF_HOST: [Self; RECORDS] = {
        let mut kinds = [Self::HostNsec; RECORDS];
        let mut i = 0;
        while i < ADDRESSES {
            let number = i as u8;
            kinds[i] = Self::Address(number);
            kinds[1 + ADDRESSES + i] = Self::Reverse(number);
            kinds[1 + 2 * ADDRESSES + i] = Self::ReverseNsec(number);
            i += 1;
        }
        kinds
    };

    /// Those of a service.
    pub(super) const OF_SERVICE: [Self; SERVICE_RECORDS] = {
        let mut kinds = [Self::Instance; SERVICE_RECORDS];
        (kinds[1], kinds[2]) = (Self::Srv, Self::Txt);
        let mut i = 0;
        while i < SUBTYPES {
            kinds[3 + i] = Self::Subtype(i as u8);
            i += 1;
        }
        (kinds[3 + SUBTYPES], kinds[4 + SUBTYPES]) = (Self::Type, Self::ServiceNsec);
        kinds
    };

    /// Its place among the records of one service or host.
    #[inline(never)]
    fn index(self) -> usize {
        let index = match self {
            Self::HostNsec | Self::Instance => 0,
            Self::Address(i) => 1 + usize::from(i),
            Self::Reverse(i) => 1 + ADDRESSES + usize::from(i),
            Self::ReverseNsec(i) => 1 + 2 * ADDRESSES + usize::from(i),
            Self::Type => 1,
            Self::Srv => 2,
            Self::Txt => 3,
            Self::ServiceNsec => 4,
            Self::Subtype(i) => 5 + usize::from(i),
        };
        index.min(RECORDS - 1)
    }

    /// Its bit in a set of kinds of one service or host.
    pub(super) fn bit(self) -> u32 {
        1 << self.index()
    }

    pub(super) fn is_nsec(self) -> bool {
        matches!(self, Self::HostNsec | Self::ReverseNsec(_) | Self::ServiceNsec)
    }

    /// Other hosts may have records of that name and type too (M-26).
    pub(super) fn is_shared(self) -> bool {
        matches!(self, Self::Instance | Self::Subtype(_) | Self::Type)
    }

    /// M-29: what has to do with a host's name and addresses changes sooner.
    pub(super) fn ttl(self) -> u32 {
        match self {
            Self::Instance | Self::Subtype(_) | Self::Type | Self::Txt | Self::ServiceNsec => 4500,
            Self::Address(_) | Self::Reverse(_) | Self::ReverseNsec(_) | Self::HostNsec | Self::Srv => 120,
        }
    }
}

/// Replies that a record belongs to: a bit for each.
pub(super) type Replies = u8;

/// What is known of each record of a service or a host.
#[derive(Debug)]
pub(super) struct Marks {
    /// All addresses of one version are multicast together, so they have one time; so have the NSEC records of reverse
    /// names, which nobody asks for.
    multicast: [LastTime; SETS],
    replies: [Replies; RECORDS],
}

impl Marks {
    pub(super) const fn new() -> Self {
        Self { multicast: [LastTime::NEVER; SETS], replies: [0; RECORDS] }
    }

    /// Where the time of a record is. `v4`: it is an address of IPv4.
    #[inline(never)]
    fn set(kind: Kind, v4: bool) -> usize {
        match kind {
            Kind::HostNsec => 0,
            Kind::ReverseNsec(_) => 1,
            Kind::Address(_) if v4 => 2,
            Kind::Address(_) => 3,
            Kind::Reverse(i) => 4 + usize::from(i),
            service => service.index(),
        }
    }

    fn last(&self, kind: Kind, v4: bool) -> LastTime {
        self.multicast.get(Self::set(kind, v4)).copied().unwrap_or_default()
    }

    /// Whether it was multicast less than `span` ago.
    #[inline(never)]
    pub(super) fn was_multicast_within(&self, kind: Kind, v4: bool, span: Duration, now: Instant) -> bool {
        self.last(kind, v4).is_within(span, now)
    }

    /// When it will be `span` since it was multicast.
    #[inline(never)]
    pub(super) fn multicast_again(&self, kind: Kind, v4: bool, span: Duration, now: Instant) -> Millis {
        self.last(kind, v4).end_of(span, now)
    }

    pub(super) fn set_multicast(&mut self, kind: Kind, v4: bool, now: Instant) {
        if let Some(last) = self.multicast.get_mut(Self::set(kind, v4)) {
            *last = LastTime::at(now);
        }
    }

    /// The replies that it belongs to.
    #[inline(never)]
    pub(super) fn replies(&self, kind: Kind) -> Replies {
        self.replies.get(kind.index()).copied().unwrap_or_default()
    }

    #[inline(never)]
    pub(super) fn add(&mut self, kind: Kind, replies: Replies) {
        if let Some(mask) = self.replies.get_mut(kind.index()) {
            *mask |= replies;
        }
    }

    #[inline(never)]
    pub(super) fn remove(&mut self, kind: Kind, replies: Replies) {
        if let Some(mask) = self.replies.get_mut(kind.index()) {
            *mask &= !replies;
        }
    }

    /// It belongs to no reply any more.
    pub(super) fn remove_all(&mut self) {
        self.replies = [0; RECORDS];
    }

    /// Some record belongs to one of these replies.
    #[inline(never)]
    pub(super) fn any(&self, replies: Replies) -> bool {
        self.replies.iter().any(|mask| mask & replies != 0)
    }
}
