//! What the computer's interfaces are, as one [`Status`], and its changes as events.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;

use net_core::cidr::IpInet;
use net_core::events::{Event, EventLog, Status};
use net_core::nal::Interface;
use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::SockaddrStorage;

use super::HostNet;
use crate::netlink::Changes;
use crate::routes::{name_servers, routes};

impl HostNet {
    /// Watches the computer's interfaces and tells what happens to them in
    /// [`events`](net_core::nal::Interface::events), for ever. Run one such future beside what reads them.
    ///
    /// # Errors
    /// When the kernel does not tell: it has no netlink, or no file descriptor is left.
    pub async fn watch(&self) -> io::Result<()> {
        let changes = Changes::new()?;
        let mut before = self.status();
        loop {
            poll_fn(|cx| changes.poll(cx)).await?;
            let now = self.status();
            for event in differences(&before, &now) {
                self.0.events.push(event);
            }
            before = now;
        }
    }

    /// The entries of interfaces that this network uses: those configured, else all but loopback, else loopback.
    fn entries(&self) -> Vec<InterfaceAddress> {
        let wanted = self.0.config.interface.as_deref();
        let all = getifaddrs().map(Iterator::collect::<Vec<_>>).unwrap_or_default();
        let pick = |loopback: bool| {
            let fits = |entry: &&InterfaceAddress| match wanted {
                Some(name) => entry.interface_name == name,
                None => {
                    entry.flags.contains(InterfaceFlags::IFF_UP)
                        && entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) == loopback
                }
            };
            all.iter().filter(fits).cloned().collect::<Vec<_>>()
        };
        let others = pick(false);
        if others.iter().any(|entry| network(entry).is_some()) { others } else { pick(true) }
    }
}

impl Interface for HostNet {
    fn status(&self) -> Status {
        let mut status = Status::default();
        let config = &self.0.config;
        let wanted = |addr: IpAddr| config.addresses.is_empty() || config.addresses.contains(&addr);
        let entries = self.entries();
        for entry in &entries {
            let up = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
            status.link_up |= entry.flags.contains(up);
            if let Some(net) = network(entry)
                && wanted(net.address())
            {
                // What is beyond the table's size is left out.
                let _ = status.addresses.push(net);
            }
            let hardware = entry.address.as_ref().and_then(SockaddrStorage::as_link_addr).and_then(|link| link.addr());
            status.hardware_address = status.hardware_address.or(hardware.filter(|mac| *mac != [0; 6]));
        }
        for route in routes() {
            if route.is_default() && entries.iter().any(|entry| entry.interface_name == route.interface) {
                match route.gateway {
                    Some(IpAddr::V4(gateway)) => status.gateway_v4 = status.gateway_v4.or(Some(gateway)),
                    Some(IpAddr::V6(gateway)) => status.gateway_v6 = status.gateway_v6.or(Some(gateway)),
                    None => {}
                }
            }
        }
        let servers = if config.dns_servers.is_empty() { name_servers() } else { config.dns_servers.clone() };
        status.dns_servers.extend(servers.into_iter().take(net_core::limits::DNS_SERVERS));
        status
    }

    fn events(&self) -> &EventLog {
        &self.0.events
    }
}

fn network(entry: &InterfaceAddress) -> Option<IpInet> {
    let ip = |address: &SockaddrStorage| -> Option<IpAddr> {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
    };
    let length = match entry.netmask.as_ref().and_then(ip)? {
        IpAddr::V4(mask) => u32::from(mask).leading_ones(),
        IpAddr::V6(mask) => u128::from(mask).leading_ones(),
    };
    IpInet::new(ip(entry.address.as_ref()?)?, length as u8).ok()
}

/// What has happened between two looks.
fn differences(before: &Status, now: &Status) -> Vec<Event> {
    let mut events = Vec::new();
    if before.link_up != now.link_up {
        events.push(if now.link_up { Event::LinkUp } else { Event::LinkDown });
    }
    let only_in = |one: &Status, other: &Status| -> Vec<IpInet> {
        one.addresses.iter().filter(|net| !other.addresses.contains(net)).copied().collect()
    };
    events.extend(only_in(before, now).into_iter().map(Event::AddressRemoved));
    events.extend(only_in(now, before).into_iter().map(Event::AddressAdded));
    if before.dns_servers != now.dns_servers {
        events.push(Event::DnsServersChanged);
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_each_address_once() {
        let mut before = Status::default();
        before.addresses.push("10.0.0.2/24".parse().unwrap()).unwrap();
        before.addresses.push("fd00::2/64".parse().unwrap()).unwrap();
        let mut now = before.clone();
        now.link_up = true;
        now.addresses[0] = "10.0.0.3/24".parse().unwrap();
        now.dns_servers.push("10.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(
            differences(&before, &now),
            [
                Event::LinkUp,
                Event::AddressRemoved("10.0.0.2/24".parse().unwrap()),
                Event::AddressAdded("10.0.0.3/24".parse().unwrap()),
                Event::DnsServersChanged,
            ]
        );
    }
}
