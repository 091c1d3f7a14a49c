//! Hardware addresses.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::str::FromStr;

/// A 48-bit hardware address, as in `02:00:5e:00:53:01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A locally administered unicast address made from `name`, this computer and the network namespace: the same each
    /// time, and another one for every other device that could be on the same network.
    pub(crate) fn derived_from(name: &str) -> Self {
        let machine = fs::read("/etc/machine-id").unwrap_or_default();
        let namespace = fs::metadata("/proc/thread-self/ns/net").map_or(0, |meta| meta.ino());
        // FNV-1a, 64 bits.
        let bytes = machine.iter().copied().chain(namespace.to_be_bytes()).chain(name.bytes());
        let hash = bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let [_, _, a, b, c, d, e, f] = hash.to_be_bytes();
        Self([(a & 0xfc) | 0x02, b, c, d, e, f])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ();

    /// Six hexadecimal bytes with colons between them, of a single device (not a group), not all zero.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() <= 2 && !part.starts_with('+')).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(drop)?;
        }
        let is_group = bytes[0] & 1 == 1;
        if parts.next().is_some() || is_group || bytes == [0; 6] { Err(()) } else { Ok(Self(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        let mac: Mac = "02:0:5e:00:53:Af".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:00:53:af");
        for wrong in [
            "",
            "02",
            "02:00:5e:00:53",
            "02:00:5e:00:53:01:02",
            "01:00:5e:00:00:01",
            "0:0:0:0:0:0",
            "02:00:5e:00:53:+1",
        ] {
            assert_eq!(wrong.parse::<Mac>(), Err(()), "{wrong}");
        }
    }

    #[test]
    fn a_derived_address_is_stable_local_and_unicast() {
        let mac = Mac::derived_from("tap0");
        assert_eq!(mac, Mac::derived_from("tap0"));
        assert_ne!(mac, Mac::derived_from("tap1"));
        assert_eq!(mac.0[0] & 3, 2);
    }
}
