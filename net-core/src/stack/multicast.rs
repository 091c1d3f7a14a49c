//! Membership in multicast groups.

use core::net::IpAddr;

use heapless::Vec;
use smoltcp::iface::{Interface, MulticastError};
use smoltcp::wire::IpAddress;

use super::{Inner, Stack, convert};
use crate::log::{Show, warn};
use crate::nal;
use crate::{Error, limits};

/// The groups that somebody has joined, and how often.
///
/// smoltcp keeps them too, but not beyond a change of link, when they must be reported anew.
pub(super) struct Groups(Vec<(IpAddress, usize), { limits::MULTICAST_GROUPS }>);

impl Groups {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Joins all of them on a new interface.
    pub(super) fn rejoin(&self, iface: &mut Interface) {
        for (group, _) in &self.0 {
            if iface.join_multicast_group(*group).is_err() {
                warn!("multicast: no room for {}", Show(group));
            }
        }
    }
}

impl Inner<'_> {
    fn join(&mut self, group: IpAddr) -> Result<(), Error> {
        if !group.is_multicast() {
            return Err(Error::InvalidInput);
        }
        let group = convert::ip(group).ok_or(Error::Unsupported)?;
        if let Some((_, count)) = self.groups.0.iter_mut().find(|(joined, _)| *joined == group) {
            *count += 1;
            return Ok(());
        }
        if self.groups.0.is_full() {
            return Err(Error::NoFreeSocket);
        }
        self.iface.join_multicast_group(group).map_err(|error| match error {
            MulticastError::GroupTableFull => Error::NoFreeSocket,
            MulticastError::Unaddressable => Error::InvalidInput,
        })?;
        let _ = self.groups.0.push((group, 1));
        self.wake();
        Ok(())
    }

    fn leave(&mut self, group: IpAddr) -> Result<(), Error> {
        let group = convert::ip(group).ok_or(Error::Unsupported)?;
        let at = self.groups.0.iter().position(|(joined, _)| *joined == group).ok_or(Error::InvalidInput)?;
        self.groups.0[at].1 -= 1;
        if self.groups.0[at].1 == 0 {
            self.groups.0.swap_remove(at);
            let _ = self.iface.leave_multicast_group(group);
            self.wake();
        }
        Ok(())
    }
}

impl nal::Multicast for Stack<'_> {
    fn join_group(&self, group: IpAddr) -> Result<(), Error> {
        self.with(|inner| inner.join(group))
    }

    fn leave_group(&self, group: IpAddr) -> Result<(), Error> {
        self.with(|inner| inner.leave(group))
    }
}
