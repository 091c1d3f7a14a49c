//! Replies that wait for their time.

use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use net_core::time::Instant;

use super::PORT;
use super::clock::Millis;
use super::marks::Replies;

/// Replies to queries that can wait at once. One more joins what is multicast unasked: it is sent at its time, or sooner, to
/// all.
const WAITING: usize = 5;
/// What is multicast unasked: announcements, goodbyes.
pub(super) const UNASKED: Replies = 1 << WAITING;
/// The reply to a legacy query, which is composed at once.
pub(super) const LEGACY: Replies = 1 << 6;
/// Is in the message that is being composed.
pub(super) const WRITTEN: Replies = 1 << 7;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Free,
    Multicast,
    Unicast,
}

/// A reply to one query.
#[derive(Debug, Clone, Copy)]
struct Reply {
    way: Way,
    /// It waits for more known answers from there.
    held: bool,
    /// It defends a name.
    defends: bool,
    due: Millis,
    from: IpAddr,
    /// Of an IPv6 address, the interface.
    scope: u32,
}

/// What is known of a query when its reply is to wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waiting {
    pub(super) from: SocketAddr,
    pub(super) due: Millis,
    pub(super) held: bool,
    pub(super) defends: bool,
}

#[derive(Debug)]
pub(super) struct Pending {
    replies: [Reply; WAITING],
    unasked: Option<Millis>,
}

/// The replies that are due to be multicast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) replies: Replies,
    /// Those of them that defend a name.
    pub(super) defend: Replies,
}

impl Pending {
    pub(super) const fn new() -> Self {
        let free = Reply {
            way: Way::Free,
            held: false,
            defends: false,
            due: Millis::START,
            from: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            scope: 0,
        };
        Self { replies: [free; WAITING], unasked: None }
    }

    fn bits(&self) -> impl Iterator<Item = (Replies, &Reply)> {
        self.replies.iter().enumerate().map(|(i, reply)| (1 << i, reply))
    }

    /// The replies that have not been sent and go to all.
    pub(super) fn multicasts(&self) -> Replies {
        self.asked_multicasts() | UNASKED
    }

    /// Those of them that somebody has asked for.
    #[inline(never)]
    pub(super) fn asked_multicasts(&self) -> Replies {
        self.bits().filter(|(_, reply)| reply.way == Way::Multicast).fold(0, |all, (bit, _)| all | bit)
    }

    /// Whether a record that belongs to these replies is multicast by then, whatever its querier knows.
    pub(super) fn is_multicast_by(&self, replies: Replies, by: Millis) -> bool {
        let sure = |(bit, reply): (Replies, &Reply)| {
            bit & replies != 0 && reply.way == Way::Multicast && !reply.held && by.since(reply.due) >= 0
        };
        let unasked = self.unasked.is_some_and(|due| by.since(due) >= 0);
        (replies & UNASKED != 0 && unasked) || self.bits().any(sure)
    }

    /// Makes room for a reply.
    #[inline(never)]
    pub(super) fn open(&mut self, unicast: bool, waiting: &Waiting) -> Replies {
        let Waiting { from, due, held, defends } = *waiting;
        let free = self.replies.iter_mut().enumerate().find(|(_, reply)| reply.way == Way::Free);
        let Some((i, reply)) = free else {
            self.send_unasked(due);
            return UNASKED;
        };
        let scope = if let SocketAddr::V6(v6) = from { v6.scope_id() } else { 0 };
        let way = if unicast { Way::Unicast } else { Way::Multicast };
        *reply = Reply { way, held, defends, due, from: from.ip(), scope };
        1 << i
    }

    /// Something is to be multicast unasked.
    #[inline(never)]
    pub(super) fn send_unasked(&mut self, due: Millis) {
        self.unasked = Some(self.unasked.map_or(due, |earlier| earlier.min(due)));
    }

    /// The replies that wait for more known answers from there; they wait until `prolong`, if that is given.
    pub(super) fn held_for(&mut self, from: IpAddr, prolong: Option<Millis>) -> Replies {
        let mut held = 0;
        for (i, reply) in self.replies.iter_mut().enumerate() {
            if reply.way != Way::Free && reply.held && reply.from == from {
                held |= 1 << i;
                reply.due = prolong.unwrap_or(reply.due);
            }
        }
        held
    }

    /// What is due to be multicast now.
    pub(super) fn due_multicasts(&self, now: Instant) -> Due {
        let due = |reply: &Reply| reply.way == Way::Multicast && reply.due.has_come(now);
        let mut replies = if self.unasked.is_some_and(|due| due.has_come(now)) { UNASKED } else { 0 };
        let mut defend = 0;
        for (bit, reply) in self.bits().filter(|(_, reply)| due(reply)) {
            replies |= bit;
            defend |= if reply.defends { bit } else { 0 };
        }
        Due { replies, defend }
    }

    /// A reply that is due to one host.
    pub(super) fn due_unicast(&self, now: Instant) -> Option<(Replies, SocketAddr)> {
        let due = |reply: &Reply| reply.way == Way::Unicast && reply.due.has_come(now);
        let (bit, reply) = self.bits().find(|(_, reply)| due(reply))?;
        Some((
            bit,
            match reply.from {
                IpAddr::V6(v6) => SocketAddrV6::new(v6, PORT, 0, reply.scope).into(),
                IpAddr::V4(_) => SocketAddr::new(reply.from, PORT),
            },
        ))
    }

    /// Each of these replies waits until what `due` tells, or is done.
    pub(super) fn settle(&mut self, replies: Replies, due: impl Fn(Replies) -> Option<Millis>) {
        for (i, reply) in self.replies.iter_mut().enumerate() {
            let bit = 1 << i;
            if replies & bit != 0 {
                match due(bit) {
                    Some(due) => reply.due = due,
                    None => reply.way = Way::Free,
                }
            }
        }
        if replies & UNASKED != 0 {
            self.unasked = due(UNASKED);
        }
    }

    /// When the next reply is due.
    pub(super) fn next(&self) -> Option<Millis> {
        let asked = self.replies.iter().filter(|reply| reply.way != Way::Free).map(|reply| reply.due);
        asked.chain(self.unasked).reduce(Millis::min)
    }
}
