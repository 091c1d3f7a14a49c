//! Between `core::net` and smoltcp's types, for whichever IP versions are built in.

use core::net::{IpAddr, SocketAddr};

use cidr::IpInet;
use embassy_time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint, IpListenEndpoint};

use crate::Error;

pub(super) fn instant(at: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(at.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn from_instant(at: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0))
}

pub(super) fn duration(d: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(crate::time::bounded(d).as_micros())
}

/// An IPv4 address that came in IPv6 clothes (`::ffff:10.0.0.1`) as what it is.
pub(super) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// The same address, or `None` when its IP version is not built in.
pub(super) fn ip(ip: IpAddr) -> Option<IpAddress> {
    match canonical(ip) {
        #[cfg(feature = "ipv4")]
        IpAddr::V4(ip) => Some(IpAddress::Ipv4(ip)),
        #[cfg(feature = "ipv6")]
        IpAddr::V6(ip) => Some(IpAddress::Ipv6(ip)),
        #[allow(unreachable_patterns)]
        _ => None,
    }
}

/// A destination: an address that can be sent to, and a port.
pub(super) fn endpoint(addr: SocketAddr) -> Result<IpEndpoint, Error> {
    if addr.port() == 0 || addr.ip().is_unspecified() {
        return Err(Error::InvalidInput);
    }
    Ok(IpEndpoint { addr: ip(addr.ip()).ok_or(Error::Unreachable)?, port: addr.port() })
}

pub(super) fn listen_endpoint(addr: SocketAddr) -> Option<IpListenEndpoint> {
    Some(IpListenEndpoint { addr: Some(ip(addr.ip())?), port: addr.port() })
}

pub(super) fn net(cidr: &IpCidr) -> Option<IpInet> {
    IpInet::new(cidr.address().into(), cidr.prefix_len()).ok()
}

/// Whether a socket on the local address `bound` is meant by packets to `destination`: `0.0.0.0` takes all IPv4, `[::]`
/// takes all.
pub(super) fn covers(bound: IpAddr, destination: IpAddr) -> bool {
    match bound {
        IpAddr::V6(any) if any.is_unspecified() => true,
        IpAddr::V4(any) if any.is_unspecified() => destination.is_ipv4(),
        one => one == destination,
    }
}

/// Whether some packet is meant by both.
pub(super) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    covers(a, b) || covers(b, a)
}
