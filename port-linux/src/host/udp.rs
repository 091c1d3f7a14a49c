//! UDP sockets.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, RawFd};

use net_core::Error;
use net_core::nal::{self, ConnectedUdp, UdpBind, UdpStack, UnconnectedUdp};
use nix::ifaddrs::getifaddrs;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::sockopt::{Ipv4PacketInfo, Ipv6RecvPacketInfo};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt};
use socket2::{SockRef, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket as TokioUdp;

use super::{HOP_LIMIT, HostNet, check_remote, error, mapped, set_hop_limit, unmapped, unspecified_like};

/// A UDP socket of the computer.
#[derive(Debug)]
pub struct UdpSocket {
    socket: TokioUdp,
    local: SocketAddr,
    hop_limit: u8,
    /// Where the kernel writes which address a datagram was sent to.
    control: Vec<u8>,
}

/// A UDP socket with one peer.
#[derive(Debug)]
pub struct ConnectedUdpSocket(TokioUdp);

/// Who may have the port of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Own,
    Shared,
}

impl HostNet {
    fn bound(&self, local: SocketAddr, port: Port) -> Result<TokioUdp, Error> {
        let socket = self.socket(local, Type::DGRAM)?;
        if port == Port::Shared {
            // Two programs share a port if both have set the same of these. Avahi and python-zeroconf set both, systemd
            // the first, Apple's mDNSResponder the second.
            socket.set_reuse_address(true).map_err(error)?;
            socket.set_reuse_port(true).map_err(error)?;
        }
        socket.set_broadcast(true).map_err(error)?;
        set_multicast_hop_limit(&socket, local.is_ipv6(), HOP_LIMIT)?;
        if local.is_ipv6() {
            // As the kernel has it for IPv4 sockets: groups that the interface has joined are heard by all.
            socket.set_multicast_all_v4(true).map_err(error)?;
        }
        // Group datagrams leave where the groups were joined.
        let v4 = self.narrowed(unspecified_like(([0; 4], 0).into()));
        if let IpAddr::V4(address) = v4.ip() {
            socket.set_multicast_if_v4(&address).map_err(error)?;
        }
        if local.is_ipv6() && self.0.interface_index != 0 {
            socket.set_multicast_if_v6(self.0.interface_index).map_err(error)?;
        }
        let wants_v6 = local.is_ipv6().then(|| setsockopt(&socket, Ipv6RecvPacketInfo, &true));
        wants_v6.unwrap_or_else(|| setsockopt(&socket, Ipv4PacketInfo, &true)).map_err(|e| error(e.into()))?;
        socket.bind(&self.narrowed(local).into()).map_err(error)?;
        TokioUdp::from_std(socket.into()).map_err(error)
    }

    fn udp(&self, local: SocketAddr, port: Port) -> Result<UdpSocket, Error> {
        let socket = self.bound(local, port)?;
        let local = socket.local_addr().map_err(error)?;
        Ok(UdpSocket { socket, local, hop_limit: HOP_LIMIT, control: nix::cmsg_space!(libc::in6_pktinfo) })
    }
}

fn set_multicast_hop_limit(socket: &socket2::Socket, v6: bool, hop_limit: u8) -> Result<(), Error> {
    socket.set_multicast_ttl_v4(u32::from(hop_limit)).map_err(error)?;
    if v6 {
        socket.set_multicast_hops_v6(u32::from(hop_limit)).map_err(error)?;
    }
    Ok(())
}

impl UdpBind for HostNet {
    type Socket = UdpSocket;

    async fn bind(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        self.udp(local, Port::Own)
    }

    async fn bind_shared(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        self.udp(local, Port::Shared)
    }
}

impl UdpStack for HostNet {
    type Error = Error;
    type Connected = ConnectedUdpSocket;
    type UniquelyBound = UdpSocket;
    type MultiplyBound = UdpSocket;

    async fn connect_from(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<(SocketAddr, ConnectedUdpSocket), Error> {
        check_remote(remote)?;
        let socket = self.bound(local, Port::Own)?;
        let remote = mapped(remote, local.is_ipv6())?;
        socket.connect(remote).await.map_err(error)?;
        Ok((unmapped(socket.local_addr().map_err(error)?), ConnectedUdpSocket(socket)))
    }

    async fn bind_single(&self, local: SocketAddr) -> Result<(SocketAddr, UdpSocket), Error> {
        let socket = self.udp(local, Port::Own)?;
        Ok((socket.local, socket))
    }

    async fn bind_multiple(&self, local: SocketAddr) -> Result<UdpSocket, Error> {
        self.udp(local, Port::Own)
    }
}

impl UdpSocket {
    /// What a datagram that is sent from `local` names as its source: nothing for an unspecified address and for
    /// groups and broadcast addresses, which a datagram can come to but not go out from.
    fn source(&self, local: SocketAddr) -> Result<Option<SocketAddr>, Error> {
        if local.port() != 0 && local.port() != self.local.port() {
            return Err(Error::AddressNotAvailable);
        }
        let ip = local.ip();
        let none = ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::from([255; 4]) || ip == self.local.ip();
        if none { Ok(None) } else { mapped(local, self.local.is_ipv6()).map(Some) }
    }

    async fn send_from(&self, source: Option<SocketAddr>, to: SocketAddr, data: &[u8]) -> Result<(), Error> {
        let to = SockaddrStorage::from(mapped(to, self.local.is_ipv6())?);
        let send = || Ok(send_once(self.socket.as_raw_fd(), source, &to, data)?);
        self.socket.async_io(Interest::WRITABLE, send).await.map_err(error)
    }
}

fn send_once(fd: RawFd, source: Option<SocketAddr>, to: &SockaddrStorage, data: &[u8]) -> nix::Result<()> {
    let data = [IoSlice::new(data)];
    let with = |control: &[ControlMessage<'_>]| sendmsg(fd, &data, control, MsgFlags::empty(), Some(to)).map(drop);
    match source {
        Some(SocketAddr::V4(v4)) => with(&[ControlMessage::Ipv4PacketInfo(&libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
            ipi_addr: libc::in_addr { s_addr: 0 },
        })]),
        Some(SocketAddr::V6(v6)) => with(&[ControlMessage::Ipv6PacketInfo(&libc::in6_pktinfo {
            ipi6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
            ipi6_ifindex: v6.scope_id(),
        })]),
        None => with(&[]),
    }
}

enum Source {
    Own,
    Broadcast,
    Foreign,
}

/// What `ip` is to this computer.
fn source_kind(ip: IpAddr) -> Source {
    let is_ip = |address: Option<SockaddrStorage>| match address {
        Some(address) => match ip {
            IpAddr::V4(ip) => address.as_sockaddr_in().is_some_and(|v4| v4.ip() == ip),
            IpAddr::V6(ip) => address.as_sockaddr_in6().is_some_and(|v6| v6.ip() == ip),
        },
        None => false,
    };
    if ip.is_loopback() {
        return Source::Own;
    }
    for entry in getifaddrs().into_iter().flatten() {
        if is_ip(entry.address) {
            return Source::Own;
        }
        if is_ip(entry.broadcast) {
            return Source::Broadcast;
        }
    }
    Source::Foreign
}

impl UnconnectedUdp for UdpSocket {
    type Error = Error;

    async fn send(&mut self, local: SocketAddr, remote: SocketAddr, data: &[u8]) -> Result<(), Error> {
        check_remote(remote)?;
        let source = self.source(local)?;
        match self.send_from(source, remote, data).await {
            // One of these is also how the kernel says that the source is none of its addresses.
            Err(e @ (Error::InvalidInput | Error::Unreachable)) if source.is_some() => match source_kind(local.ip()) {
                Source::Own => Err(e),
                Source::Broadcast => self.send_from(None, remote, data).await,
                Source::Foreign => Err(Error::AddressNotAvailable),
            },
            sent => sent,
        }
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<(usize, SocketAddr, SocketAddr), Error> {
        let (socket, control) = (&self.socket, &mut self.control);
        let receive = || Ok(receive_once(socket.as_raw_fd(), buffer, control)?);
        let (length, to, from) = socket.async_io(Interest::READABLE, receive).await.map_err(error)?;
        let from = from.ok_or(Error::Other)?;
        let mut to = to.unwrap_or(self.local);
        to.set_port(self.local.port());
        Ok((length, unmapped(to), unmapped(from)))
    }
}

impl nal::UdpSocket for UdpSocket {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    async fn readable(&mut self) -> Result<(), Error> {
        let check = || {
            let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
            if poll(&mut fds, PollTimeout::ZERO)? > 0 { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
        };
        self.socket.async_io(Interest::READABLE, check).await.map_err(error)
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        let socket = SockRef::from(&self.socket);
        set_hop_limit(&socket, self.local.is_ipv6(), hop_limit)?;
        set_multicast_hop_limit(&socket, self.local.is_ipv6(), hop_limit)?;
        self.hop_limit = hop_limit;
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.hop_limit
    }
}

/// The length of the datagram, which may be more than fits into `buffer`; where it was sent to; where it is from.
fn receive_once(
    fd: RawFd,
    buffer: &mut [u8],
    control: &mut [u8],
) -> nix::Result<(usize, Option<SocketAddr>, Option<SocketAddr>)> {
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(control), MsgFlags::MSG_TRUNC)?;
    let to = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::Ipv4PacketInfo(info) => Some((info.ipi_addr.s_addr.to_ne_bytes(), 0).into()),
        ControlMessageOwned::Ipv6PacketInfo(info) => {
            let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
            // A link-local address means something only together with its link.
            let scope = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
            Some(SocketAddrV6::new(ip, 0, 0, scope).into())
        }
        _ => None,
    });
    let from = message.address.as_ref().and_then(|address| {
        let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
    });
    Ok((message.bytes, to, from))
}

impl ConnectedUdp for ConnectedUdpSocket {
    type Error = Error;

    async fn send(&mut self, data: &[u8]) -> Result<(), Error> {
        self.0.send(data).await.map(drop).map_err(error)
    }

    async fn receive_into(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let receive = || {
            let mut parts = [IoSliceMut::new(buffer)];
            Ok(recvmsg::<()>(self.0.as_raw_fd(), &mut parts, None, MsgFlags::MSG_TRUNC)?.bytes)
        };
        // That the peer's port is closed makes a socket not readable but in error.
        self.0.async_io(Interest::READABLE | Interest::ERROR, receive).await.map_err(error)
    }
}
