//! How an interface gets its addresses, and how long its sockets wait.

use core::net::IpAddr;
#[cfg(feature = "ipv4")]
use core::net::Ipv4Addr;
#[cfg(feature = "ipv6")]
use core::net::Ipv6Addr;

#[cfg(feature = "ipv4")]
use cidr::Ipv4Inet;
#[cfg(feature = "ipv6")]
use cidr::Ipv6Inet;
use embassy_time::Duration;
use heapless::{String, Vec};

use crate::limits;

/// The configuration of one interface.
///
/// Every field has a safe default: [`Config::new`] takes IPv4 addresses by DHCP where the feature `dhcp` is on, and IPv6
/// addresses by SLAAC.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where the IPv4 address comes from.
    #[cfg(feature = "ipv4")]
    pub ipv4: Ipv4Config,
    /// Where IPv6 addresses come from.
    #[cfg(feature = "ipv6")]
    pub ipv6: Ipv6Config,
    /// DNS servers that come before those that DHCP names.
    pub dns_servers: Vec<IpAddr, { limits::DNS_SERVERS }>,
    /// The name told to the DHCP server (option 12, RFC 2132 section 3.14): letters, digits and hyphens. Empty: none.
    pub host_name: String<{ limits::HOST_NAME }>,
    /// How long a connection attempt may take. Default 30 s.
    pub connect_timeout: Duration,
    /// How long a peer may take to complete a connection that it asked for. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long data may stay unacknowledged before a connection fails; see
    /// [`TcpSocket::set_timeout`](crate::nal::TcpSocket::set_timeout). Default 100 s (RFC 9293 section 3.8.3).
    pub tcp_timeout: Duration,
    /// How long a dropped connection may take to deliver its last data and close. Then it is reset, to free its socket.
    /// Default 20 s.
    pub linger: Duration,
}

impl Config {
    /// Addresses by DHCP (or none, without the feature `dhcp`) and SLAAC.
    pub const fn new() -> Self {
        Self {
            #[cfg(all(feature = "ipv4", feature = "dhcp"))]
            ipv4: Ipv4Config::Dhcp,
            #[cfg(all(feature = "ipv4", not(feature = "dhcp")))]
            ipv4: Ipv4Config::None,
            #[cfg(feature = "ipv6")]
            ipv6: Ipv6Config::Slaac,
            dns_servers: Vec::new(),
            host_name: String::new(),
            connect_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            tcp_timeout: Duration::from_secs(100),
            linger: Duration::from_secs(20),
        }
    }

    /// The same with a fixed IPv4 address, as in `10.0.0.2/24`, and perhaps a router.
    #[cfg(feature = "ipv4")]
    #[must_use]
    pub const fn with_ipv4(mut self, address: Ipv4Inet, gateway: Option<Ipv4Addr>) -> Self {
        self.ipv4 = Ipv4Config::Static { address, gateway };
        self
    }

    /// The same with a fixed IPv6 address, and perhaps a router. The link-local address is there besides.
    #[cfg(feature = "ipv6")]
    #[must_use]
    pub const fn with_ipv6(mut self, address: Ipv6Inet, gateway: Option<Ipv6Addr>) -> Self {
        self.ipv6 = Ipv6Config::Static { address, gateway };
        self
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Where an interface's IPv4 address comes from.
#[cfg(feature = "ipv4")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ipv4Config {
    /// No IPv4 address.
    None,
    /// From a DHCP server (RFC 2131). The lease is asked for when the link comes up, and given up when it goes.
    #[cfg(feature = "dhcp")]
    Dhcp,
    /// This address.
    Static {
        /// The address and the prefix length of its network.
        address: Ipv4Inet,
        /// The default router.
        gateway: Option<Ipv4Addr>,
    },
}

/// Where an interface's IPv6 addresses come from. All but [`None`](Self::None) give it a link-local address too, made
/// from its hardware address (RFC 4291 appendix A).
#[cfg(feature = "ipv6")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ipv6Config {
    /// No IPv6 address.
    None,
    /// Only the link-local address.
    LinkLocal,
    /// From routers' advertisements (RFC 4862).
    Slaac,
    /// This address.
    Static {
        /// The address and the prefix length of its network.
        address: Ipv6Inet,
        /// The default router.
        gateway: Option<Ipv6Addr>,
    },
}

/// smoltcp panics on an interface address that is not unicast.
pub(super) fn check(config: &Config) -> Result<(), crate::Error> {
    #[cfg(feature = "ipv4")]
    if let Ipv4Config::Static { address, .. } = config.ipv4 {
        let ip = address.address();
        if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() {
            return Err(crate::Error::InvalidInput);
        }
    }
    #[cfg(feature = "ipv6")]
    if let Ipv6Config::Static { address, .. } = config.ipv6 {
        let ip = address.address();
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(crate::Error::InvalidInput);
        }
    }
    let _ = config;
    Ok(())
}
