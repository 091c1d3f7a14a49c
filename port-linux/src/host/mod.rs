//! The computer's own sockets behind the traits of [`net_core::nal`].
//!
//! What differs from a stack of our own, because the kernel decides it:
//! - The multicast datagrams that a device sends also come back to its own sockets, so that other programs on this
//!   computer hear them.
//! - Keep-alive intervals are whole seconds. A peer that answers no probe ends the connection after 127 intervals
//!   even without a timeout.
//! - [`Interface::events`](net_core::nal::Interface::events) are told only while [`HostNet::watch`] runs.

mod interface;
mod listener;
mod multicast;
mod tcp;
mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use net_core::Error;
use net_core::events::EventLog;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Socket, Type};

pub use listener::TcpListener;
pub use tcp::{TcpReader, TcpSocket, TcpWriter};
pub use udp::{ConnectedUdpSocket, UdpSocket};

/// The hop limit of a new socket.
const HOP_LIMIT: u8 = 64;

/// How a [`HostNet`] uses the computer's network.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Use this interface only, for example `eth0`.
    pub interface: Option<String>,
    /// Use these addresses of the computer only, at most one of each IP version. A socket that asks for every address
    /// of a version gets the one given here.
    pub addresses: Vec<IpAddr>,
    /// DNS servers to name in [`status`](net_core::nal::Interface::status) instead of those in /etc/resolv.conf.
    pub dns_servers: Vec<IpAddr>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// The user timeout of new connections (RFC 5482); `None` leaves it to the kernel, which gives up after about
    /// 15 minutes.
    pub timeout: Option<Duration>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            interface: None,
            addresses: Vec::new(),
            dns_servers: Vec::new(),
            connect_timeout: Duration::from_secs(30),
            timeout: None,
        }
    }
}

/// The computer's own network. A clone is another handle to the same.
///
/// Its sockets must be made and used inside [`block_on`](crate::block_on) or another tokio runtime.
#[derive(Debug, Clone)]
pub struct HostNet(Rc<Shared>);

#[derive(Debug)]
struct Shared {
    config: HostConfig,
    /// 0: the one that routing chooses.
    interface_index: u32,
    events: EventLog,
    groups: multicast::Groups,
}

impl HostNet {
    /// A handle to the computer's network.
    ///
    /// # Errors
    /// [`Error::AddressNotAvailable`] when there is no such interface.
    pub fn new(config: HostConfig) -> Result<Self, Error> {
        let interface_index = match &config.interface {
            Some(name) => if_nametoindex(name.as_str()).map_err(|_| Error::AddressNotAvailable)?,
            None => 0,
        };
        Ok(Self(Rc::new(Shared {
            config,
            interface_index,
            events: EventLog::new(),
            groups: multicast::Groups::default(),
        })))
    }

    /// The one interface that it uses; `None` if it uses all.
    pub(crate) fn interface(&self) -> Option<&str> {
        self.0.config.interface.as_deref()
    }

    /// The configured address of the IP version of `address`, if that is unspecified and one is configured.
    fn narrowed(&self, address: SocketAddr) -> SocketAddr {
        let own = |v4| self.0.config.addresses.iter().find(|own| own.is_ipv4() == v4).copied();
        match own(address.is_ipv4()) {
            Some(own) if address.ip().is_unspecified() => SocketAddr::new(own, address.port()),
            _ => address,
        }
    }

    /// A non-blocking socket of the IP version of `address` with the options that all have in common.
    fn socket(&self, address: SocketAddr, kind: Type) -> Result<Socket, Error> {
        let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), None).map_err(error)?;
        if let Some(name) = &self.0.config.interface {
            socket.bind_device(Some(name.as_bytes())).map_err(error)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(!address.ip().is_unspecified()).map_err(error)?;
        }
        set_hop_limit(&socket, address.is_ipv6(), HOP_LIMIT)?;
        Ok(socket)
    }
}

/// Sets what is sent with IPv4, and on an IPv6 socket also with IPv6.
fn set_hop_limit(socket: &Socket, v6: bool, hop_limit: u8) -> Result<(), Error> {
    if hop_limit == 0 {
        return Err(Error::InvalidInput);
    }
    let hops = u32::from(hop_limit);
    socket.set_ttl_v4(hops).map_err(error)?;
    if v6 {
        socket.set_unicast_hops_v6(hops).map_err(error)?;
    }
    Ok(())
}

/// `address` as a socket of the other kind wants it: IPv4 on an IPv6 socket is written in IPv6 (RFC 4291 section
/// 2.5.5.2).
fn mapped(address: SocketAddr, socket_is_v6: bool) -> Result<SocketAddr, Error> {
    match (address, socket_is_v6) {
        (SocketAddr::V4(v4), true) => Ok(SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())),
        (SocketAddr::V6(_), false) => Err(Error::InvalidInput),
        _ => Ok(address),
    }
}

/// The other way round: IPv4 written in IPv6 becomes IPv4.
fn unmapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => address,
        },
        SocketAddr::V4(_) => address,
    }
}

fn unspecified_like(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// A remote address that something can be sent to.
fn check_remote(remote: SocketAddr) -> Result<(), Error> {
    if remote.port() == 0 || remote.ip().is_unspecified() { Err(Error::InvalidInput) } else { Ok(()) }
}

/// What the operating system reports, in the words of net-core.
#[allow(clippy::needless_pass_by_value)] // so that it can stand alone in map_err
pub(crate) fn error(error: io::Error) -> Error {
    match error.raw_os_error().unwrap_or(0) {
        libc::ECONNREFUSED => Error::Refused,
        libc::ECONNRESET => Error::Reset,
        libc::ECONNABORTED => Error::Aborted,
        libc::ETIMEDOUT => Error::TimedOut,
        libc::EHOSTUNREACH | libc::ENETUNREACH | libc::EHOSTDOWN | libc::ENETDOWN => Error::Unreachable,
        libc::EADDRINUSE => Error::AddressInUse,
        libc::EADDRNOTAVAIL | libc::ENODEV => Error::AddressNotAvailable,
        libc::EINVAL | libc::EDESTADDRREQ => Error::InvalidInput,
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => Error::NoFreeSocket,
        libc::EMSGSIZE => Error::TooLarge,
        libc::ENOTCONN => Error::NotConnected,
        libc::EPIPE => Error::Closed,
        libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::ENOPROTOOPT => Error::Unsupported,
        libc::EACCES | libc::EPERM => Error::PermissionDenied,
        _ => Error::Other,
    }
}

#[cfg(test)]
mod tests;
