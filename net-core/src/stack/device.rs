//! The two faces of a driver that smoltcp sees: one frame to take in, or room to send.

use core::task::Context;

use embassy_net_driver::{Capabilities, Checksum, Driver, HardwareAddress};
use smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use smoltcp::wire::{self, EthernetAddress};

#[cfg(feature = "multicast")]
use super::wire as mend;

/// The medium of a driver and its hardware address, or `None` for a medium that this stack does not speak.
pub(super) fn medium(address: HardwareAddress) -> Option<(Medium, wire::HardwareAddress)> {
    match address {
        HardwareAddress::Ethernet(mac) => {
            Some((Medium::Ethernet, wire::HardwareAddress::Ethernet(EthernetAddress(mac))))
        }
        HardwareAddress::Ip => Some((Medium::Ip, wire::HardwareAddress::Ip)),
        _ => None,
    }
}

pub(super) fn capabilities(driver: &Capabilities, medium: Medium) -> DeviceCapabilities {
    fn checksum(c: Checksum) -> phy::Checksum {
        match c {
            Checksum::Both => phy::Checksum::Both,
            Checksum::Rx => phy::Checksum::Rx,
            Checksum::Tx => phy::Checksum::Tx,
            Checksum::None => phy::Checksum::None,
        }
    }
    let mut checksums = ChecksumCapabilities::default();
    checksums.ipv4 = checksum(driver.checksum.ipv4);
    checksums.tcp = checksum(driver.checksum.tcp);
    checksums.udp = checksum(driver.checksum.udp);
    #[cfg(feature = "ipv4")]
    {
        checksums.icmpv4 = checksum(driver.checksum.icmpv4);
    }
    #[cfg(feature = "ipv6")]
    {
        checksums.icmpv6 = checksum(driver.checksum.icmpv6);
    }
    let mut caps = DeviceCapabilities::default();
    caps.medium = medium;
    caps.max_transmission_unit = driver.max_transmission_unit;
    caps.max_burst_size = driver.max_burst_size;
    caps.checksum = checksums;
    caps
}

/// A device that holds one received frame, and the room to answer it.
pub(super) struct Ingress<'f, T> {
    pub(super) frame: Option<&'f [u8]>,
    pub(super) reply: Option<T>,
    pub(super) caps: &'f DeviceCapabilities,
}

impl<T: embassy_net_driver::TxToken> phy::Device for Ingress<'_, T> {
    type RxToken<'a>
        = Frame<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Mended<'a, T>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Frame<'_>, Mended<'_, T>)> {
        let frame = self.frame.take()?;
        Some((Frame(frame), Mended { token: self.reply.take()?, medium: self.caps.medium, frames: None, watch: None }))
    }

    fn transmit(&mut self, _now: Instant) -> Option<Mended<'_, T>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.caps.clone()
    }
}

/// Sees frames that are sent.
pub(super) type Watch<'a> = &'a mut dyn FnMut(&[u8]);

/// A device that only sends.
pub(super) struct Egress<'a, 'c, D> {
    pub(super) driver: &'a mut D,
    pub(super) cx: &'a mut Context<'c>,
    pub(super) caps: &'a DeviceCapabilities,
    /// The driver had no room: it wakes the stack when it has.
    pub(super) exhausted: bool,
    /// How many frames have been sent.
    pub(super) frames: u32,
    /// Sees every frame that is sent.
    pub(super) watch: Option<Watch<'a>>,
}

impl<D: Driver> phy::Device for Egress<'_, '_, D> {
    type RxToken<'a>
        = Frame<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Mended<'a, D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Frame<'_>, Mended<'_, D::TxToken<'_>>)> {
        None
    }

    fn transmit(&mut self, _now: Instant) -> Option<Mended<'_, D::TxToken<'_>>> {
        match self.driver.transmit(self.cx) {
            Some(token) => {
                let watch = self.watch.as_mut().map(|watch| &mut **watch as Watch<'_>);
                // Counted when it is used: smoltcp takes tokens that it gives back unused.
                Some(Mended { token, medium: self.caps.medium, frames: Some(&mut self.frames), watch })
            }
            None => {
                self.exhausted = true;
                None
            }
        }
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.caps.clone()
    }
}

/// A device that exists only for its capabilities, or to swallow what a socket would not let go of otherwise.
pub(super) struct Nowhere(pub(super) DeviceCapabilities);

impl phy::Device for Nowhere {
    type RxToken<'a> = Frame<'a>;
    type TxToken<'a> = Swallow;

    fn receive(&mut self, _now: Instant) -> Option<(Frame<'_>, Swallow)> {
        None
    }

    fn transmit(&mut self, _now: Instant) -> Option<Swallow> {
        Some(Swallow)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.0.clone()
    }
}

/// A received frame.
pub(super) struct Frame<'a>(&'a [u8]);

impl phy::RxToken for Frame<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Sends a frame through the driver, with smoltcp's multicast reports put right on the way.
pub(super) struct Mended<'a, T> {
    token: T,
    medium: Medium,
    frames: Option<&'a mut u32>,
    watch: Option<Watch<'a>>,
}

impl<T: embassy_net_driver::TxToken> phy::TxToken for Mended<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        if let Some(frames) = self.frames {
            *frames = frames.wrapping_add(1);
        }
        #[cfg(all(feature = "ipv4", feature = "multicast"))]
        if mend::may_be_igmp(len, self.medium) {
            let mut frame = [0; 46];
            let result = f(&mut frame[..len]);
            let len = mend::mend_igmp(&mut frame, len, self.medium).unwrap_or(len);
            self.token.consume(len, |buffer| buffer.copy_from_slice(&frame[..len]));
            return result;
        }
        self.token.consume(len, |frame| {
            let result = f(frame);
            #[cfg(all(feature = "ipv6", feature = "multicast"))]
            mend::mend_mld(frame, self.medium);
            let _ = self.medium;
            if let Some(watch) = self.watch {
                watch(frame);
            }
            result
        })
    }
}

/// Takes a frame and forgets it.
pub(super) struct Swallow;

impl embassy_net_driver::TxToken for Swallow {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        phy::TxToken::consume(self, len, f)
    }
}

impl phy::TxToken for Swallow {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // No socket whose frames are swallowed sends more than this; see `echo.rs`.
        let mut buffer = [0; crate::limits::PING_PAYLOAD + 48];
        let len = len.min(buffer.len());
        f(&mut buffer[..len])
    }
}
