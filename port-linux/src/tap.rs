//! A TAP interface as a driver: the device at one end of a cable, the computer at the other.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::task::{Context, Poll};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use net_core::cidr::IpInet;
use nix::unistd::{read, write};
use tokio::io::unix::AsyncFd;

use crate::executor::watched;
use crate::mac::Mac;
use crate::netlink::{Changes, Link, Netlink};

/// An Ethernet header, which the MTU of Linux does not count.
const ETHERNET: usize = 14;
/// What a driver for a fd of another namespace assumes.
const DEFAULT_MTU: u32 = 1500;

mod ioctl {
    #![allow(unsafe_code)] // the system calls of tun(4); nix has no safe form of them

    use std::os::fd::FromRawFd;

    use super::{AsRawFd, OwnedFd, RawFd, io, libc_name};

    nix::ioctl_write_ptr_bad!(tunsetiff, libc::TUNSETIFF, libc::ifreq);
    nix::ioctl_read_bad!(tungetiff, libc::TUNGETIFF, libc::ifreq);
    nix::ioctl_write_int_bad!(tunsetoffload, libc::TUNSETOFFLOAD);

    fn request(name: &str, flags: i32) -> libc::ifreq {
        libc::ifreq {
            ifr_name: libc_name(name),
            ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags as libc::c_short },
        }
    }

    /// Makes `tun` the interface `name` of kind `flags`.
    pub(super) fn attach(tun: &OwnedFd, name: &str, flags: i32) -> nix::Result<()> {
        let request = request(name, flags);
        // SAFETY: the kernel reads one ifreq from the address, which is that of an ifreq.
        unsafe { tunsetiff(tun.as_raw_fd(), &raw const request) }.map(drop)
    }

    /// The name and flags of the interface that `tun` is.
    pub(super) fn attached(tun: &OwnedFd) -> nix::Result<(String, i32)> {
        let mut answer = request("", 0);
        // SAFETY: the kernel writes one ifreq to the address, which is that of an ifreq.
        unsafe { tungetiff(tun.as_raw_fd(), &raw mut answer) }?;
        // SAFETY: any bits are a number, and this call of the kernel's has set them.
        let flags = unsafe { answer.ifr_ifru.ifru_flags };
        let name = answer.ifr_name.iter().take_while(|c| **c != 0).map(|c| *c as u8 as char).collect();
        Ok((name, i32::from(flags) & 0xffff))
    }

    /// A file descriptor of our own for what the number `fd` stands for, so that nothing is closed here that somebody
    /// else owns.
    pub(super) fn copy(fd: RawFd) -> io::Result<OwnedFd> {
        // SAFETY: the call has numbers only, and fails when `fd` is not open.
        match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) } {
            -1 => Err(io::Error::last_os_error()),
            // SAFETY: the kernel has just made it, for us.
            copy => Ok(unsafe { OwnedFd::from_raw_fd(copy) }),
        }
    }

    /// Turns segmentation and checksum offload off, which an interface keeps from the program that had it before.
    pub(super) fn no_offload(tun: &OwnedFd) -> nix::Result<()> {
        // SAFETY: the argument is a number, not an address.
        unsafe { tunsetoffload(tun.as_raw_fd(), 0) }.map(drop)
    }
}

fn libc_name(name: &str) -> [libc::c_char; libc::IFNAMSIZ] {
    let mut bytes = [0; libc::IFNAMSIZ];
    for (to, from) in bytes.iter_mut().zip(name.bytes()).take(libc::IFNAMSIZ - 1) {
        *to = from as libc::c_char;
    }
    bytes
}

/// How a [`Tap`] is to be.
#[derive(Debug, Clone, Default)]
pub struct TapConfig {
    /// The interface's name, 1 to 15 bytes; made if there is none of that name. `None`: the first free of `tap0`, `tap1`, …
    pub name: Option<String>,
    /// The device's hardware address. `None`: one made from the name, the same each time.
    pub mac: Option<Mac>,
    /// The largest IP packet, 576 to 65521 bytes. `None`: as it is, 1500 for a new interface.
    pub mtu: Option<u16>,
    /// Addresses for the computer's end.
    pub host: Vec<IpInet>,
}

/// A TAP interface. Made with [`open`](Tap::open), it disappears when dropped; of one that was there before, what was
/// changed is changed back.
#[derive(Debug)]
pub struct Tap {
    fd: AsyncFd<OwnedFd>,
    name: String,
    mac: Mac,
    mtu: u32,
    link_up: bool,
    changes: Option<Changes>,
    _undo: Undo,
    rx: Box<[u8]>,
    tx: Box<[u8]>,
}

/// What was changed of an interface that was there before.
#[derive(Debug, Default)]
struct Undo {
    netlink: Option<Netlink>,
    index: u32,
    down: bool,
    addresses: Vec<IpInet>,
}

impl Drop for Undo {
    fn drop(&mut self) {
        let Some(netlink) = &self.netlink else { return };
        for address in self.addresses.drain(..) {
            if let Err(e) = netlink.remove_address(self.index, address) {
                log::debug!("cannot take {address} from the TAP interface: {e}");
            }
        }
        if self.down
            && let Err(e) = netlink.set_up(self.index, false)
        {
            log::debug!("cannot switch the TAP interface off: {e}");
        }
    }
}

impl Tap {
    /// Makes or takes a TAP interface and switches it on. Inside [`block_on`](crate::block_on) only.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn open(config: &TapConfig) -> Result<Self, TapError> {
        let wanted = config.name.as_deref().unwrap_or("tap%d");
        if wanted.is_empty() || wanted.len() >= libc::IFNAMSIZ || wanted.contains(['/', ' ', '\0']) {
            return Err(TapError::BadName(wanted.to_owned()));
        }
        let shown = config.name.as_deref().unwrap_or("tap").to_owned();
        let netlink = Netlink::open().map_err(|e| TapError::Failed(shown.clone(), e))?;
        let before = netlink.link(wanted).map_err(|e| TapError::Failed(shown.clone(), e))?;
        let tun = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open("/dev/net/tun");
        let tun = OwnedFd::from(tun.map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => TapError::NoDriver,
            io::ErrorKind::PermissionDenied => TapError::NoAccess,
            _ => TapError::Failed(shown.clone(), e),
        })?);
        ioctl::attach(&tun, wanted, libc::IFF_TAP | libc::IFF_NO_PI).map_err(|e| match e {
            nix::Error::EPERM => TapError::NotPermitted(shown.clone()),
            nix::Error::EBUSY => TapError::Busy(shown.clone()),
            nix::Error::EINVAL => TapError::NotTap(shown.clone()),
            e => TapError::Failed(shown.clone(), e.into()),
        })?;
        Self::set_up(tun, netlink, before, config)
    }

    /// Takes an open file descriptor of a TAP interface, of this or of another network namespace, by its number. It is
    /// copied, not closed. It was opened with IFF_TAP and IFF_NO_PI and
    /// without IFF_VNET_HDR. The configuration's name is not looked at; addresses for the computer's end can be given
    /// only where the interface is in this namespace.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn from_fd(fd: RawFd, config: &TapConfig) -> Result<Self, TapError> {
        let shown = format!("fd={fd}");
        let failed = |e: io::Error| TapError::Failed(shown.clone(), e);
        if fd < 3 {
            return Err(TapError::NotTap(shown));
        }
        let tun = ioctl::copy(fd).map_err(failed)?;
        let (name, flags) = ioctl::attached(&tun).map_err(|_| TapError::NotTap(shown.clone()))?;
        if flags & libc::IFF_TAP == 0 || flags & libc::IFF_NO_PI == 0 || flags & libc::IFF_VNET_HDR != 0 {
            return Err(TapError::NotTap(shown));
        }
        socket2::SockRef::from(&tun).set_nonblocking(true).map_err(failed)?;
        let netlink = Netlink::open().map_err(failed)?;
        let before = netlink.link(&name).map_err(failed)?;
        if let Some(link) = before {
            return Self::set_up(tun, netlink, Some(link), config);
        }
        Self::assemble(tun, name, config, DEFAULT_MTU, None, Undo::default()).map_err(failed)
    }

    fn set_up(tun: OwnedFd, netlink: Netlink, before: Option<Link>, config: &TapConfig) -> Result<Self, TapError> {
        let (name, _) = ioctl::attached(&tun).map_err(|e| TapError::Failed("tap".to_owned(), e.into()))?;
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::PermissionDenied => TapError::NotPermitted(name.clone()),
            _ => TapError::Failed(name.clone(), e),
        };
        let link = netlink.link(&name).map_err(failed)?.ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        let mut undo = Undo { netlink: None, index: link.index, down: false, addresses: Vec::new() };
        let mtu = match config.mtu.map(u32::from) {
            Some(mtu) if mtu != link.mtu => {
                netlink.set_mtu(link.index, mtu).map_err(failed)?;
                mtu
            }
            _ => link.mtu,
        };
        for address in &config.host {
            if netlink.add_address(link.index, *address).map_err(failed)? {
                undo.addresses.push(*address);
            }
        }
        if !link.up {
            netlink.set_up(link.index, true).map_err(failed)?;
            undo.down = true;
        }
        let changes = Changes::new().map_err(failed)?;
        if before.is_some() {
            undo.netlink = Some(netlink);
        }
        let watch = Some(changes);
        Self::assemble(tun, name.clone(), config, mtu, watch, undo).map_err(failed)
    }

    fn assemble(
        tun: OwnedFd,
        name: String,
        config: &TapConfig,
        mtu: u32,
        changes: Option<Changes>,
        undo: Undo,
    ) -> io::Result<Self> {
        ioctl::no_offload(&tun)?;
        let frame = mtu as usize + ETHERNET;
        Ok(Self {
            fd: watched(tun)?,
            mac: config.mac.unwrap_or_else(|| Mac::derived_from(&name)),
            name,
            mtu,
            link_up: true,
            changes,
            _undo: undo,
            rx: vec![0; frame].into(),
            tx: vec![0; frame].into(),
        })
    }

    /// The interface's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Driver for Tap {
    type RxToken<'a> = TapRx<'a>;
    type TxToken<'a> = TapTx<'a>;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(TapRx<'_>, TapTx<'_>)> {
        let length = loop {
            let Poll::Ready(Ok(mut ready)) = self.fd.poll_read_ready(cx) else { return None };
            match read(self.fd.as_fd(), &mut self.rx) {
                Ok(length) => break length,
                Err(nix::Error::EAGAIN) => ready.clear_ready(),
                Err(nix::Error::EINTR) => {}
                Err(e) => {
                    // Somebody has deleted the interface. It does not come back, so nothing wakes us again.
                    log::debug!("{}: {e}", self.name);
                    self.link_up = false;
                    self.changes = None;
                    return None;
                }
            }
        };
        Some((TapRx(self.rx.get_mut(..length)?), TapTx { fd: &self.fd, buffer: &mut self.tx }))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<TapTx<'_>> {
        // The kernel takes every frame at once.
        Some(TapTx { fd: &self.fd, buffer: &mut self.tx })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        while let Some(changes) = &self.changes
            && let Poll::Ready(Ok(())) = changes.poll(cx)
        {
            self.link_up = changes.netlink().link(&self.name).ok().flatten().is_some_and(|link| link.up);
        }
        if self.link_up { LinkState::Up } else { LinkState::Down }
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = self.mtu as usize + ETHERNET;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.mac.0)
    }
}

/// A received frame.
#[derive(Debug)]
pub struct TapRx<'a>(&'a mut [u8]);

impl RxToken for TapRx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame to be sent.
#[derive(Debug)]
pub struct TapTx<'a> {
    fd: &'a AsyncFd<OwnedFd>,
    buffer: &'a mut [u8],
}

impl TxToken for TapTx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // The stack keeps to the capabilities; a longer frame would be lost, as on a wire.
        let mut too_long = Vec::new();
        let fits = len <= self.buffer.len();
        let frame = if fits {
            &mut self.buffer[..len]
        } else {
            too_long.resize(len, 0);
            &mut too_long[..]
        };
        let result = f(frame);
        if fits && let Err(e) = write(self.fd.as_fd(), frame) {
            log::debug!("frame lost: {e}");
        }
        result
    }
}

/// Why there is no TAP interface.
#[derive(Debug)]
#[non_exhaustive]
pub enum TapError {
    /// The kernel has no TAP driver, or the container no device file for it.
    NoDriver,
    /// The device file may not be opened.
    NoAccess,
    /// The interface may not be made, taken or changed.
    NotPermitted(String),
    /// Another program has it.
    Busy(String),
    /// There is an interface of that name, or such a file descriptor, but it is no TAP that can be used.
    NotTap(String),
    /// No interface can have that name.
    BadName(String),
    /// Something else went wrong with it.
    Failed(String, io::Error),
}

impl TapError {
    /// Whether it is because of who runs the program, and not because of what was asked for.
    pub fn is_lack_of_rights(&self) -> bool {
        matches!(self, Self::NoDriver | Self::NoAccess | Self::NotPermitted(_))
    }
}

impl fmt::Display for TapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WITHOUT: &str = "or use `--net user`, which needs no rights";
        match self {
            Self::NoDriver => write!(
                f,
                "no TAP interfaces on this computer: /dev/net/tun is missing; load the kernel's `tun` module, {WITHOUT}"
            ),
            Self::NoAccess => {
                write!(f, "no TAP interface without rights: /dev/net/tun cannot be opened; run as root, {WITHOUT}")
            }
            Self::NotPermitted(name) => write!(
                f,
                "TAP interface {name}: not permitted without CAP_NET_ADMIN; run as root, \
                 or `setcap cap_net_admin+ep` the lunet program, {WITHOUT}"
            ),
            Self::Busy(name) => write!(f, "TAP interface {name}: another program uses it"),
            Self::NotTap(name) => write!(
                f,
                "{name} is no TAP interface that lunet can use (it needs IFF_TAP with IFF_NO_PI and without IFF_VNET_HDR)"
            ),
            Self::BadName(name) => {
                write!(f, "`{name}` cannot be the name of an interface (1 to 15 bytes, no space or /)")
            }
            Self::Failed(name, e) => write!(f, "TAP interface {name}: {e}"),
        }
    }
}

impl std::error::Error for TapError {}

#[cfg(test)]
mod tests;
