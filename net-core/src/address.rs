//! Which sockets a packet is meant for, by their local addresses.

use core::net::IpAddr;

/// An IPv4 address that came in IPv6 clothes (`::ffff:10.0.0.1`) as what it is.
pub(crate) fn canonical(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// Whether a socket on the local address `bound` is meant by packets to `destination`: `0.0.0.0` takes all IPv4, `[::]`
/// takes all.
#[allow(dead_code)] // needed by sockets: the features decide
pub(crate) fn covers(bound: IpAddr, destination: IpAddr) -> bool {
    match bound {
        IpAddr::V6(any) if any.is_unspecified() => true,
        IpAddr::V4(any) if any.is_unspecified() => destination.is_ipv4(),
        one => one == destination,
    }
}

/// Whether some packet is meant by both.
#[allow(dead_code)] // as above
pub(crate) fn overlap(a: IpAddr, b: IpAddr) -> bool {
    covers(a, b) || covers(b, a)
}
