//! The little of rtnetlink(7) that lunet needs: what a link is like, bringing it up, addresses, and a sign when
//! something has changed.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::task::{Context, Poll};

use net_core::cidr::IpInet;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, sendto, socket,
};
use tokio::io::unix::AsyncFd;

use crate::executor::watched;

const HEADER: usize = 16;
const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
const ACK: u16 = libc::NLM_F_ACK as u16;

/// What the kernel knows of a network interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    /// It has been switched on.
    pub(crate) up: bool,
    /// It is up and has a carrier.
    pub(crate) running: bool,
    /// The largest IP packet, in bytes.
    pub(crate) mtu: u32,
}

/// For asking the kernel. It speaks of the network namespace in which it was opened, also from a thread in another.
#[derive(Debug)]
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        open(SockFlag::empty()).map(Self)
    }

    /// The link called `name`, or `None` when there is none.
    pub(crate) fn link(&self, name: &str) -> io::Result<Option<Link>> {
        let mut body = link_body(0, 0, 0);
        let mut terminated = name.as_bytes().to_vec();
        terminated.push(0);
        attribute(&mut body, libc::IFLA_IFNAME, &terminated);
        match self.request(libc::RTM_GETLINK, REQUEST | ACK, &body) {
            Ok(answer) => Ok(answer.as_deref().and_then(parse_link)),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Switches a link on or off.
    pub(crate) fn set_up(&self, index: u32, up: bool) -> io::Result<()> {
        let on = libc::IFF_UP as u32;
        self.request(libc::RTM_NEWLINK, REQUEST | ACK, &link_body(index, if up { on } else { 0 }, on)).map(drop)
    }

    /// Sets the largest IP packet that a link carries, in bytes.
    pub(crate) fn set_mtu(&self, index: u32, mtu: u32) -> io::Result<()> {
        let mut body = link_body(index, 0, 0);
        attribute(&mut body, libc::IFLA_MTU, &mtu.to_ne_bytes());
        self.request(libc::RTM_NEWLINK, REQUEST | ACK, &body).map(drop)
    }

    /// Gives a link an address. `false` when it had that address already.
    pub(crate) fn add_address(&self, index: u32, address: IpInet) -> io::Result<bool> {
        let flags = REQUEST | ACK | libc::NLM_F_CREATE as u16 | libc::NLM_F_EXCL as u16;
        match self.request(libc::RTM_NEWADDR, flags, &address_body(index, address)) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes an address from a link.
    pub(crate) fn remove_address(&self, index: u32, address: IpInet) -> io::Result<()> {
        self.request(libc::RTM_DELADDR, REQUEST | ACK, &address_body(index, address)).map(drop)
    }

    /// Sends a request and reads until its acknowledgement; gives the body of the message that came before that, if
    /// any.
    fn request(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(((HEADER + body.len()) as u32).to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]); // sequence number and port: with one request at a time, neither is needed
        message.extend(body);
        sendto(self.0.as_raw_fd(), &message, &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
        let mut answer = None;
        // Large enough for any link's description, of which the statistics are the longest part.
        let mut buffer = vec![0; 32 * 1024];
        loop {
            let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Some((kind, body, next)) = split_message(rest) {
                if i32::from(kind) == libc::NLMSG_ERROR {
                    return match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
                        Some(0) => Ok(answer),
                        Some(code) => Err(io::Error::from_raw_os_error(-code)),
                        None => Err(io::ErrorKind::InvalidData.into()),
                    };
                }
                answer = Some(body.to_vec());
                rest = next;
            }
        }
    }
}

/// Tells when links, addresses or routes of this network namespace have changed.
#[derive(Debug)]
pub(crate) struct Changes {
    fd: AsyncFd<OwnedFd>,
    netlink: Netlink,
}

impl Changes {
    pub(crate) fn new() -> io::Result<Self> {
        let groups = libc::RTMGRP_LINK
            | libc::RTMGRP_IPV4_IFADDR
            | libc::RTMGRP_IPV6_IFADDR
            | libc::RTMGRP_IPV4_ROUTE
            | libc::RTMGRP_IPV6_ROUTE;
        let fd = open(SockFlag::SOCK_NONBLOCK)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups as u32))?;
        Ok(Self { fd: watched(fd)?, netlink: Netlink::open()? })
    }

    /// For looking what has changed.
    pub(crate) fn netlink(&self) -> &Netlink {
        &self.netlink
    }

    /// Ready when something has changed since the last time. What it was is not told: look.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut changed = false;
        loop {
            let mut guard = match self.fd.poll_read_ready(cx) {
                Poll::Ready(guard) => guard?,
                Poll::Pending => return if changed { Poll::Ready(Ok(())) } else { Poll::Pending },
            };
            let mut buffer = [0; 4096];
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC) {
                // ENOBUFS: so much has changed that the kernel dropped the news.
                Ok(_) | Err(nix::Error::ENOBUFS) => changed = true,
                Err(nix::Error::EAGAIN) => guard.clear_ready(),
                Err(nix::Error::EINTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }
}

fn open(flags: SockFlag) -> io::Result<OwnedFd> {
    let kind = SockType::Raw;
    Ok(socket(AddressFamily::Netlink, kind, flags | SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?)
}

/// `struct ifinfomsg`: family, padding, hardware type, index, flags, which flags to change.
fn link_body(index: u32, flags: u32, change: u32) -> Vec<u8> {
    let mut body = vec![0; 4];
    for field in [index, flags, change] {
        body.extend(field.to_ne_bytes());
    }
    body
}

/// `struct ifaddrmsg` (family, prefix length, flags, scope, index) and the address.
fn address_body(index: u32, address: IpInet) -> Vec<u8> {
    let (family, flags) = match address {
        IpInet::V4(_) => (libc::AF_INET, 0),
        // The interface is a cable of two ends: no need to wait a second to learn that nobody else has the address.
        IpInet::V6(_) => (libc::AF_INET6, libc::IFA_F_NODAD as u8),
    };
    let mut body = vec![family as u8, address.network_length(), flags, 0];
    body.extend(index.to_ne_bytes());
    match address.address() {
        IpAddr::V4(addr) => attribute(&mut body, libc::IFA_LOCAL, &addr.octets()),
        IpAddr::V6(addr) => attribute(&mut body, libc::IFA_LOCAL, &addr.octets()),
    }
    if let IpInet::V4(net) = address
        && net.network_length() < 31
    {
        attribute(&mut body, libc::IFA_BROADCAST, &net.last_address().octets());
    }
    body
}

/// `struct rtattr`: length, type, value, padded to 4 bytes.
fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend((4 + value.len() as u16).to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The kind and body of the first message in `data`, and what follows it.
fn split_message(data: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = u32::from_ne_bytes(*data.first_chunk()?) as usize;
    let kind = u16::from_ne_bytes(*data.get(4..)?.first_chunk()?);
    let next = data.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((kind, data.get(HEADER..length)?, next))
}

fn parse_link(body: &[u8]) -> Option<Link> {
    let field = |at: usize| Some(u32::from_ne_bytes(*body.get(at..)?.first_chunk()?));
    let (index, flags) = (field(4)?, field(8)?);
    let mut mtu = None;
    let mut attributes = body.get(16..)?;
    while let Some(length) = attributes.first_chunk().map(|length| usize::from(u16::from_ne_bytes(*length)))
        && length >= 4
    {
        let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
        if kind == libc::IFLA_MTU {
            mtu = Some(u32::from_ne_bytes(*attributes.get(4..)?.first_chunk()?));
        }
        attributes = attributes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    let has = |flag: i32| flags & flag as u32 != 0;
    Some(Link { index, up: has(libc::IFF_UP), running: has(libc::IFF_UP) && has(libc::IFF_RUNNING), mtu: mtu? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_link_is_found_and_a_missing_one_is_none() {
        let netlink = Netlink::open().unwrap();
        let lo = netlink.link("lo").unwrap().unwrap();
        assert_eq!(lo.index, nix::net::if_::if_nametoindex("lo").unwrap());
        assert!(lo.mtu >= 1280);
        assert_eq!(netlink.link("no-such-link").unwrap(), None);
    }

    #[test]
    fn a_change_to_a_link_that_is_not_there_is_an_error() {
        let error = Netlink::open().unwrap().set_mtu(0x7fff_fff0, 1500).unwrap_err();
        assert!(matches!(error.raw_os_error(), Some(libc::ENODEV | libc::EPERM)), "{error}");
    }

    #[test]
    fn cut_messages_are_not_read_beyond_their_end() {
        assert_eq!(split_message(&[20, 0, 0, 0, 2, 0]), None);
        assert_eq!(parse_link(&[0; 20]), None);
    }
}
