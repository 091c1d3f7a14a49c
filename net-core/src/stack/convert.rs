//! Between `core::net` and smoltcp's types, for whichever IP versions are built in.

use core::net::{IpAddr, SocketAddr};

use cidr::IpInet;
use embassy_time::{Duration, Instant};
use smoltcp::wire::{IpAddress, IpCidr, IpEndpoint, IpListenEndpoint};

use crate::Error;
use crate::address::canonical;

pub(super) fn instant(at: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros(i64::try_from(at.as_micros()).unwrap_or(i64::MAX))
}

pub(super) fn from_instant(at: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or(0))
}

pub(super) fn duration(d: Duration) -> smoltcp::time::Duration {
    smoltcp::time::Duration::from_micros(crate::time::bounded(d).as_micros())
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
