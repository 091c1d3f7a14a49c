//! Membership in multicast groups.

use core::net::IpAddr;

use embassy_net::{IpAddress, MulticastError, Stack};
use embassy_time::{Duration, Instant};
use heapless::Vec;

use super::{EmbassyNet, Inner, addresses};
use crate::log::{Show, warn};
use crate::{Error, limits, nal};

/// How long embassy-net has to tell that a group was left, before it is joined anew.
const LEAVING: Duration = Duration::from_millis(50);

/// The groups that somebody has joined.
pub(super) struct Groups {
    /// And how often.
    joined: Vec<(IpAddress, usize), { limits::MULTICAST_GROUPS }>,
    /// When to join all of them anew.
    rejoin_at: Option<Instant>,
}

impl Groups {
    pub(super) const fn new() -> Self {
        Self { joined: Vec::new(), rejoin_at: None }
    }

    /// Another network may be behind the link: all groups are to be reported anew. embassy-net reports only one that it
    /// has left, and told so.
    pub(super) fn link_is_up(&mut self, stack: Stack<'static>, now: Instant) {
        for (group, _) in &self.joined {
            let _ = stack.leave_multicast_group(*group);
        }
        self.rejoin_at = Some(now + LEAVING);
    }

    /// Gives the moment to look again.
    fn rejoin(&mut self, stack: Stack<'static>, now: Instant) -> Option<Instant> {
        if now >= self.rejoin_at? {
            self.rejoin_at = None;
            for (group, _) in &self.joined {
                if stack.join_multicast_group(*group).is_err() {
                    warn!("multicast: no room for {}", Show(group));
                }
            }
        }
        self.rejoin_at
    }
}

impl Inner {
    /// Sees to it that reports are sent when they are due: embassy-net wakes neither when a group is joined or left, nor
    /// when it owes a querier an answer. Gives the moment to look again.
    pub(super) fn drive_reports(&mut self, now: Instant) -> Option<Instant> {
        let next = self.groups.rejoin(self.stack, now);
        if !self.groups.joined.is_empty() {
            self.udp.transmission.nudge();
        }
        next
    }

    fn join(&mut self, group: IpAddr) -> Result<(), Error> {
        if !group.is_multicast() {
            return Err(Error::InvalidInput);
        }
        let group = addresses::convert(group).ok_or(Error::Unsupported)?;
        if let Some((_, count)) = self.groups.joined.iter_mut().find(|(joined, _)| *joined == group) {
            *count += 1;
            return Ok(());
        }
        if self.groups.joined.is_full() {
            return Err(Error::NoFreeSocket);
        }
        self.stack.join_multicast_group(group).map_err(|error| match error {
            MulticastError::GroupTableFull => Error::NoFreeSocket,
            MulticastError::Unaddressable => Error::InvalidInput,
        })?;
        let _ = self.groups.joined.push((group, 1));
        self.udp.transmission.nudge();
        Ok(())
    }

    fn leave(&mut self, group: IpAddr) -> Result<(), Error> {
        let group = addresses::convert(group).ok_or(Error::Unsupported)?;
        let at = self.groups.joined.iter().position(|(joined, _)| *joined == group).ok_or(Error::InvalidInput)?;
        self.groups.joined[at].1 -= 1;
        if self.groups.joined[at].1 == 0 {
            self.groups.joined.swap_remove(at);
            let _ = self.stack.leave_multicast_group(group);
            self.udp.transmission.nudge();
        }
        Ok(())
    }
}

impl nal::Multicast for EmbassyNet {
    fn join_group(&self, group: IpAddr) -> Result<(), Error> {
        self.with(|inner| inner.join(group))
    }

    fn leave_group(&self, group: IpAddr) -> Result<(), Error> {
        self.with(|inner| inner.leave(group))
    }
}
