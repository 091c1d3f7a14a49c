//! The interface as an engine knows it.

use core::net::IpAddr;

use heapless::Vec;
use net_core::cidr::IpInet;
use net_core::limits::ADDRESSES;

/// The interface's state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Network {
    pub(super) link_up: bool,
    addresses: Vec<IpInet, ADDRESSES, u8>,
}

impl Network {
    /// What cannot be published, loopback and unspecified addresses, is left out.
    pub(super) fn new(link_up: bool, addresses: &[IpInet]) -> Self {
        let usable = |net: &&IpInet| !net.address().is_loopback() && !net.address().is_unspecified();
        Self { link_up, addresses: addresses.iter().filter(usable).take(ADDRESSES).copied().collect() }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().map(IpInet::address)
    }

    /// The address of that number, unless it is an earlier one again.
    #[inline(never)]
    pub(super) fn address(&self, number: usize) -> Option<IpAddr> {
        let (earlier, rest) = self.addresses.split_at_checked(number)?;
        let address = rest.first()?.address();
        (!earlier.iter().any(|net| net.address() == address)).then_some(address)
    }

    #[inline(never)]
    pub(super) fn has(&self, address: IpAddr) -> bool {
        self.addresses().any(|own| own == address)
    }

    /// Whether something can be sent and heard.
    #[inline(never)]
    pub(super) fn is_usable(&self) -> bool {
        self.link_up && !self.addresses.is_empty()
    }

    /// Whether `address` is on this link, by its prefixes (RFC 6762 section 11).
    #[inline(never)]
    pub(super) fn is_on_link(&self, address: IpAddr) -> bool {
        let address = canonical(address);
        let link_local = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.is_unicast_link_local(),
        };
        link_local || self.addresses.iter().any(|net| has_prefix(net, address))
    }
}

/// Whether `address` begins with the prefix of `net`.
fn has_prefix(net: &IpInet, address: IpAddr) -> bool {
    let (own, other) = (octets(net.address()), octets(address));
    let mut left = u32::from(net.network_length());
    for (a, b) in own.iter().zip(&other) {
        if (a ^ b).leading_zeros() < left.min(8) {
            return false;
        }
        left = left.saturating_sub(8);
    }
    own.len() == other.len()
}

/// The bytes of an address.
#[inline(never)]
pub(super) fn octets(address: IpAddr) -> Vec<u8, 16> {
    match address {
        IpAddr::V4(v4) => v4.octets().into_iter().collect(),
        IpAddr::V6(v6) => v6.octets().into_iter().collect(),
    }
}

/// [`IpAddr::to_canonical`], which is large.
#[inline(never)]
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M-22, M-30.
    #[test]
    fn on_link_is_what_a_prefix_or_link_local_says() {
        let network = Network::new(true, &["10.1.2.3/24".parse().unwrap(), "2001:db8::3/64".parse().unwrap()]);
        for on in ["10.1.2.9", "169.254.7.7", "fe80::1", "2001:db8::ffff", "::ffff:10.1.2.9"] {
            assert!(network.is_on_link(on.parse().unwrap()), "{on}");
        }
        for off in ["10.1.3.9", "2001:db8:1::1", "192.0.2.1"] {
            assert!(!network.is_on_link(off.parse().unwrap()), "{off}");
        }
        assert!(network.is_usable() && !Network::new(true, &["127.0.0.1/8".parse().unwrap()]).is_usable());
    }
}
