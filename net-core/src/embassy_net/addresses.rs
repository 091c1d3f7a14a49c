//! The interface as embassy-net knows it: addresses, routes, state.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use cidr::IpInet;
use embassy_net::{HardwareAddress, IpAddress, IpEndpoint, Stack};

use crate::Error;
use crate::address::canonical;
use crate::events::Status;

/// The same address, or `None` when its IP version is not built in.
pub(super) fn convert(ip: IpAddr) -> Option<IpAddress> {
    match canonical(ip) {
        IpAddr::V4(ip) => Some(IpAddress::Ipv4(ip)),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(ip) => Some(IpAddress::Ipv6(ip)),
        #[cfg(not(feature = "ipv6"))]
        IpAddr::V6(_) => None,
    }
}

/// A destination: an address that can be sent to, and a port.
pub(super) fn endpoint(addr: SocketAddr) -> Result<IpEndpoint, Error> {
    if addr.port() == 0 || addr.ip().is_unspecified() {
        return Err(Error::InvalidInput);
    }
    Ok(IpEndpoint { addr: convert(addr.ip()).ok_or(Error::Unreachable)?, port: addr.port() })
}

/// Whether it is one of this device's addresses.
pub(super) fn is_own(stack: Stack<'static>, ip: IpAddr) -> bool {
    status(stack).addresses.iter().any(|net| net.address() == ip)
}

/// Whether a socket may be bound to this address.
pub(super) fn check_local(stack: Stack<'static>, ip: IpAddr) -> Result<(), Error> {
    if ip.is_unspecified() || is_own(stack, ip) { Ok(()) } else { Err(Error::AddressNotAvailable) }
}

/// Some own address of that IP version.
pub(super) fn any(stack: Stack<'static>, v6: bool) -> Option<IpAddr> {
    status(stack).addresses.iter().map(IpInet::address).find(|ip| ip.is_ipv6() == v6)
}

/// The address that packets to `to` are sent from, and the host or router that they are sent to: `None` where its address
/// need not be resolved.
pub(super) fn route(stack: Stack<'static>, to: IpAddr) -> Result<(IpAddr, Option<IpAddr>), Error> {
    let status = status(stack);
    let to = canonical(to);
    // There is no loopback interface.
    if !status.link_up || status.addresses.iter().any(|net| net.address() == to) {
        return Err(Error::Unreachable);
    }
    let mut sources = status.addresses.iter().filter(|net| net.address().is_ipv6() == to.is_ipv6());
    if let Some(net) = sources.clone().find(|net| net.contains(&to)) {
        return Ok((net.address(), Some(to)));
    }
    // What stays on the link comes from an address of the link (RFC 6724 section 5, rule 2).
    let on_link = |net: &&IpInet| matches!(net.address(), IpAddr::V6(ip) if ip.is_unicast_link_local());
    let own = if is_link_local_group(to) { sources.clone().find(on_link) } else { None };
    let source = own.or_else(|| sources.next()).ok_or(Error::Unreachable)?.address();
    if to.is_multicast() || to == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Ok((source, None));
    }
    let router = if to.is_ipv4() { status.gateway_v4.map(IpAddr::V4) } else { status.gateway_v6.map(IpAddr::V6) };
    router.map(|router| (source, Some(router))).ok_or(Error::Unreachable)
}

/// Whether it is a group that no router forwards to (RFC 4291 section 2.7).
fn is_link_local_group(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_multicast() && ip.octets()[1] & 0xf == 2)
}

/// The state of the interface.
pub(super) fn status(stack: Stack<'static>) -> Status {
    let mut status = Status { link_up: stack.is_link_up(), ..Status::default() };
    status.hardware_address = match stack.hardware_address() {
        HardwareAddress::Ethernet(mac) => Some(mac.0),
        #[allow(unreachable_patterns)] // the program decides which media there are
        _ => None,
    };
    if let Some(config) = stack.config_v4() {
        let address = IpInet::new(config.address.address().into(), config.address.prefix_len());
        status.addresses.extend(address);
        status.gateway_v4 = config.gateway;
        add(&mut status, config.dns_servers.iter().map(|ip| IpAddr::V4(*ip)));
    }
    #[cfg(feature = "ipv6")]
    {
        if let Some(config) = stack.config_v6() {
            let address = IpInet::new(config.address.address().into(), config.address.prefix_len());
            status.addresses.extend(address);
            status.gateway_v6 = config.gateway;
            add(&mut status, config.dns_servers.iter().map(|ip| IpAddr::V6(*ip)));
        }
        let link_local = status.hardware_address.and_then(|mac| link_local(stack, mac));
        status.addresses.extend(link_local.and_then(|ip| IpInet::new(ip.into(), 64).ok()));
    }
    status
}

fn add(status: &mut Status, servers: impl Iterator<Item = IpAddr>) {
    for server in servers {
        if !status.dns_servers.contains(&server) {
            let _ = status.dns_servers.push(server);
        }
    }
}

/// The link-local address made from the hardware address (RFC 4291 appendix A), if there is one: whether, only the group
/// tells in which its neighbours look for it (section 2.7.1).
#[cfg(feature = "ipv6")]
fn link_local(stack: Stack<'static>, mac: [u8; 6]) -> Option<core::net::Ipv6Addr> {
    let [a, b, c, d, e, f] = mac;
    let pair = |high: u8, low: u8| u16::from_be_bytes([high, low]);
    let (low, lowest) = (pair(0xfe, d), pair(e, f));
    let solicited = core::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, pair(0xff, d), lowest);
    let address = core::net::Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), low, lowest);
    stack.has_multicast_group(solicited).then_some(address)
}
