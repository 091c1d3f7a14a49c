//! Which of the computer's interfaces is used when none is named.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;

use crate::routes::routes;

/// The one that leads to the world, else the first that has an address and is neither loopback nor without multicast.
pub(super) fn best() -> Option<String> {
    let needed = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    let is_fit = |entry: &nix::ifaddrs::InterfaceAddress| {
        let address = entry.address.as_ref();
        let has_ip = address.is_some_and(|ip| ip.as_sockaddr_in().is_some() || ip.as_sockaddr_in6().is_some());
        has_ip && entry.flags.contains(needed) && !entry.flags.contains(InterfaceFlags::IFF_LOOPBACK)
    };
    let fit: Vec<String> = getifaddrs().ok()?.filter(is_fit).map(|entry| entry.interface_name).collect();
    let default = routes().into_iter().find(|route| route.is_default() && fit.contains(&route.interface));
    default.map(|route| route.interface).or_else(|| fit.into_iter().next())
}
