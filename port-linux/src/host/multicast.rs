//! Group membership of the interface as a whole.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net_core::Error;
use net_core::nal::Multicast;
use socket2::{Domain, InterfaceIndexOrAddress, Socket, Type};

use super::{HostNet, error};

/// One socket of each IP version holds all memberships. Linux gives what arrives for a joined group to every socket
/// that is bound to its port and to no address, unless IP_MULTICAST_ALL is turned off there.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// How often each group was joined.
    counts: RefCell<BTreeMap<IpAddr, u32>>,
    holders: RefCell<[Option<Socket>; 2]>,
}

impl Groups {
    fn with_holder(&self, group: IpAddr, apply: impl FnOnce(&Socket) -> std::io::Result<()>) -> Result<(), Error> {
        let (place, domain) = if group.is_ipv4() { (0, Domain::IPV4) } else { (1, Domain::IPV6) };
        let mut holders = self.holders.borrow_mut();
        if holders[place].is_none() {
            holders[place] = Some(Socket::new(domain, Type::DGRAM.cloexec(), None).map_err(error)?);
        }
        holders[place].as_ref().map_or(Err(Error::Other), |holder| apply(holder).map_err(error))
    }
}

impl HostNet {
    /// The interface for IPv4 calls: by number, else by address, else as routing chooses.
    fn multicast_interface(&self) -> InterfaceIndexOrAddress {
        match (self.0.interface_index, self.narrowed((Ipv4Addr::UNSPECIFIED, 0).into()).ip()) {
            (0, IpAddr::V4(address)) => InterfaceIndexOrAddress::Address(address),
            (index, _) => InterfaceIndexOrAddress::Index(index),
        }
    }

    fn on_holder(
        &self,
        group: IpAddr,
        v4: fn(&Socket, &Ipv4Addr, &InterfaceIndexOrAddress) -> std::io::Result<()>,
        v6: fn(&Socket, &Ipv6Addr, u32) -> std::io::Result<()>,
    ) -> Result<(), Error> {
        self.0.groups.with_holder(group, |holder| match group {
            IpAddr::V4(group) => v4(holder, &group, &self.multicast_interface()),
            IpAddr::V6(group) => v6(holder, &group, self.0.interface_index),
        })
    }
}

impl Multicast for HostNet {
    fn join_group(&self, group: IpAddr) -> Result<(), Error> {
        if !group.is_multicast() {
            return Err(Error::InvalidInput);
        }
        let joined = self.0.groups.counts.borrow().get(&group).copied().unwrap_or(0);
        if joined == 0 {
            self.on_holder(group, Socket::join_multicast_v4_n, Socket::join_multicast_v6)?;
        }
        self.0.groups.counts.borrow_mut().insert(group, joined.saturating_add(1));
        Ok(())
    }

    fn leave_group(&self, group: IpAddr) -> Result<(), Error> {
        let mut counts = self.0.groups.counts.borrow_mut();
        let joined = counts.get_mut(&group).ok_or(Error::InvalidInput)?;
        *joined -= 1;
        if *joined == 0 {
            counts.remove(&group);
            self.on_holder(group, Socket::leave_multicast_v4_n, Socket::leave_multicast_v6)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
