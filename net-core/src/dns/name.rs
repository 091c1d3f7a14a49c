//! Names: from the text that a caller gives, from a message, and back to text.

use core::fmt::Write;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::name::ParsedName;
use heapless::{String, Vec};

use super::DnsError;

/// The longest name as on the wire, in bytes (RFC 1035 section 2.3.4); 253 characters of text.
const WIRE_MAX: usize = 255;
const LABEL_MAX: usize = 63;

/// A name as on the wire: each label after its length, then a 0. No length is in the range of the letters, so bytes can
/// be compared and changed without regard to where labels begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WireName(Vec<u8, WIRE_MAX, u8>);

/// What kind of name or address text a caller has given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An address in text form.
    Address(IpAddr),
    /// `localhost`, or below it.
    Loopback,
    /// Below `local`: of the link (RFC 6762).
    Local,
    /// Below a top-level name that is never in the DNS: `invalid` (RFC 6761), `onion` (RFC 7686); or `local` itself.
    Nowhere,
    /// For a DNS server to answer.
    Ordinary,
}

/// # Errors
/// [`DnsError::InvalidName`].
pub(super) fn classify(text: &str) -> Result<Kind, DnsError> {
    if let Ok(address) = text.parse() {
        return Ok(Kind::Address(address));
    }
    let text = text.strip_suffix('.').unwrap_or(text);
    WireName::from_host(text)?;
    let top = text.rsplit('.').next().unwrap_or(text);
    let is = |name: &str| top.eq_ignore_ascii_case(name);
    if top.bytes().all(|byte| byte.is_ascii_digit()) {
        // No such top-level name exists; this is an IPv4 address with a slip in it.
        return Err(DnsError::InvalidName);
    }
    Ok(if is(LOCALHOST) {
        Kind::Loopback
    } else if is_local(text) {
        Kind::Local
    } else if is("invalid") || is("onion") || is(LOCAL) {
        Kind::Nowhere
    } else {
        Kind::Ordinary
    })
}

/// What kind of name an address has.
pub(super) fn classify_reverse(address: IpAddr) -> Kind {
    let address = address.to_canonical();
    if address.is_loopback() {
        Kind::Loopback
    } else if is_link_local(&address) {
        Kind::Local
    } else {
        Kind::Ordinary
    }
}

/// Whether a canonical address has a meaning only on its link: 169.254.0.0/16, fe80::/10.
pub(super) fn is_link_local(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// What a lookup began with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked<'a> {
    /// A host name of [`Kind::Ordinary`] or [`Kind::Local`].
    Host(&'a str),
    /// The name of an address.
    Address(IpAddr),
}

impl Asked<'_> {
    pub(super) fn wire(&self) -> Result<WireName, DnsError> {
        match *self {
            Self::Host(text) => WireName::from_host(text.strip_suffix('.').unwrap_or(text)),
            Self::Address(address) => WireName::from_address(address.to_canonical()),
        }
    }
}

/// The domain of the names that belong to the link.
const LOCAL: &str = "local";

/// Whether a name without a dot at its end is below `local`.
fn is_local(text: &str) -> bool {
    text.rsplit_once('.').is_some_and(|(_, top)| top.eq_ignore_ascii_case(LOCAL))
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

impl WireName {
    pub(super) const fn empty() -> Self {
        Self(Vec::new())
    }

    /// From text without a dot at its end.
    fn from_host(text: &str) -> Result<Self, DnsError> {
        // Names of the link are in UTF-8 (RFC 6762 section 16).
        let local = is_local(text);
        let mut name = Self::empty();
        for label in text.split('.') {
            if !label.bytes().all(|byte| is_host_byte(byte) || (local && !byte.is_ascii())) {
                return Err(DnsError::InvalidName);
            }
            name.push(label.as_bytes())?;
        }
        name.end()
    }

    /// The name under which an address's PTR record is: RFC 1035 section 3.5, RFC 3596 section 2.5.
    fn from_address(address: IpAddr) -> Result<Self, DnsError> {
        // 32 nibbles with their dots and "ip6.arpa".
        let mut text = String::<72>::new();
        let written = match address {
            IpAddr::V4(v4) => {
                let [a, b, c, d] = v4.octets();
                write!(text, "{d}.{c}.{b}.{a}.in-addr.arpa")
            }
            IpAddr::V6(v6) => v6
                .octets()
                .iter()
                .rev()
                .try_for_each(|byte| write!(text, "{:x}.{:x}.", byte & 15, byte >> 4))
                .and_then(|()| write!(text, "ip6.arpa")),
        };
        written.map_err(|_| DnsError::InvalidName)?;
        Self::from_host(&text)
    }

    /// From a message, whose parser has checked it.
    pub(super) fn from_parsed(parsed: &ParsedName<&[u8]>) -> Result<Self, DnsError> {
        let mut name = Self::empty();
        for label in parsed.iter().filter(|label| !label.is_root()) {
            name.push(label.as_slice())?;
        }
        name.end()
    }

    /// From what [`as_bytes`](Self::as_bytes) gave.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Vec::from_slice(bytes).ok().map(Self)
    }

    fn push(&mut self, label: &[u8]) -> Result<(), DnsError> {
        if label.is_empty() || label.len() > LABEL_MAX {
            return Err(DnsError::InvalidName);
        }
        self.0.push(label.len() as u8).map_err(|_| DnsError::InvalidName)?;
        self.0.extend_from_slice(label).map_err(|_| DnsError::InvalidName)
    }

    fn end(mut self) -> Result<Self, DnsError> {
        self.0.push(0).map_err(|_| DnsError::InvalidName)?;
        Ok(self)
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives each letter a random case: one bit of `random` each, 64 at a time.
    pub(super) fn randomise_case(&mut self, mut random: impl FnMut() -> u64) {
        let mut bits = 0;
        for (i, byte) in self.0.iter_mut().filter(|byte| byte.is_ascii_alphabetic()).enumerate() {
            if i % 64 == 0 {
                bits = random();
            }
            // Bit 5 is what tells the cases apart in ASCII.
            *byte = (*byte & !0x20) | if bits & 1 == 1 { 0x20 } else { 0 };
            bits >>= 1;
        }
    }

    /// The name as text, without the dot at its end.
    ///
    /// # Errors
    /// [`DnsError::BufferTooSmall`]; [`DnsError::Malformed`] when it is no host name: what a server says may end up in a
    /// page, a terminal or a path.
    pub(super) fn write_host<'b>(&self, out: &'b mut [u8]) -> Result<&'b str, DnsError> {
        let mut rest = self.as_bytes();
        let mut len = 0;
        while let Some((&count, tail)) = rest.split_first()
            && count > 0
        {
            let (label, tail) = tail.split_at_checked(count.into()).ok_or(DnsError::Malformed)?;
            if !label.iter().copied().all(is_host_byte) {
                return Err(DnsError::Malformed);
            }
            let dot = usize::from(len > 0);
            let end = len + dot + label.len();
            let place = out.get_mut(len..end).ok_or(DnsError::BufferTooSmall)?;
            if let [first, ..] = place {
                *first = b'.';
            }
            place.get_mut(dot..).ok_or(DnsError::BufferTooSmall)?.copy_from_slice(label);
            (len, rest) = (end, tail);
        }
        if len == 0 {
            return Err(DnsError::Malformed); // the root is no host
        }
        core::str::from_utf8(out.get(..len).unwrap_or_default()).map_err(|_| DnsError::Malformed)
    }
}

pub(super) const LOCALHOST: &str = "localhost";
/// The addresses of `localhost`.
pub(super) const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn ordinary(text: &str) -> WireName {
        assert_eq!(classify(text), Ok(Kind::Ordinary), "{text}");
        Asked::Host(text).wire().unwrap()
    }

    #[test]
    fn names_become_labels_and_text_again() {
        assert_eq!(ordinary("Www.Example.com").as_bytes(), b"\x03Www\x07Example\x03com\0");
        assert_eq!(ordinary("example.com."), ordinary("example.com"));
        assert_eq!(ordinary("_x._tcp.a-b.c3").write_host(&mut [0; 14]), Ok("_x._tcp.a-b.c3"));
        assert_eq!(ordinary("abc.de").write_host(&mut [0; 5]), Err(DnsError::BufferTooSmall));
    }

    #[test]
    fn limits_are_those_of_rfc_1035() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        assert_eq!(longest.len(), 253);
        assert_eq!(ordinary(&longest).as_bytes().len(), 255);
        assert_eq!(ordinary(&format!("{longest}.")).as_bytes().len(), 255);
        assert_eq!(classify(&format!("{longest}b")), Err(DnsError::InvalidName));
        assert_eq!(classify(&"a.".repeat(127)).map(|_| ()), Ok(()));
        assert_eq!(classify(&"a.".repeat(128)), Err(DnsError::InvalidName));
        assert_eq!(classify(&format!("a{label}.com")), Err(DnsError::InvalidName));
        for bad in ["", ".", "..", "a..b", ".a", "a..", "a b", "a\n", "ä.de", "a/b", "a\\046b", "[::1]", "a:80", "\0"]
        {
            assert_eq!(classify(bad), Err(DnsError::InvalidName), "{bad:?}");
        }
        for slip in ["256.1.1.1", "1.2.3", "1.2.3.4.", "12345", "01.02.03.04"] {
            assert_eq!(classify(slip), Err(DnsError::InvalidName), "{slip}");
        }
    }

    #[test]
    fn names_that_are_not_for_dns_servers_are_told_apart() {
        assert_eq!(classify("192.0.2.1"), Ok(Kind::Address([192, 0, 2, 1].into())));
        assert_eq!(classify("2001:db8::1"), Ok(Kind::Address("2001:db8::1".parse().unwrap())));
        for (text, kind) in [
            ("localhost", Kind::Loopback),
            ("LocalHost.", Kind::Loopback),
            ("a.localhost", Kind::Loopback),
            ("printer.local", Kind::Local),
            ("printer.LOCAL.", Kind::Local),
            ("küche.local", Kind::Local),
            ("local", Kind::Nowhere),
            ("a.invalid", Kind::Nowhere),
            ("a.onion", Kind::Nowhere),
        ] {
            assert_eq!(classify(text), Ok(kind), "{text}");
        }
        assert_eq!(classify("notlocal"), Ok(Kind::Ordinary));
        assert_eq!(classify("local.example"), Ok(Kind::Ordinary));
    }

    #[test]
    fn addresses_have_names() {
        let text = |address: &str| {
            let address = address.parse().unwrap();
            match classify_reverse(address) {
                Kind::Ordinary => {
                    String::from(Asked::Address(address).wire().unwrap().write_host(&mut [0; 253]).unwrap())
                }
                other => format!("{other:?}"),
            }
        };
        assert_eq!(text("192.0.2.1"), "1.2.0.192.in-addr.arpa");
        assert_eq!(text("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa");
        let nibbles = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2";
        assert_eq!(text("2001:db8::567:89ab"), format!("{nibbles}.ip6.arpa"));
        assert_eq!(text("127.1.2.3"), "Loopback");
        assert_eq!(text("fe80::1"), "Local");
        assert_eq!(text("169.254.1.1"), "Local");
    }

    #[test]
    fn text_that_is_no_host_name_is_not_handed_on() {
        for bad in [&b"\x03a.b\0"[..], b"\x01\x1b\0", b"\x02\xc3\xa4\0", b"\x03a\nb\0", b"\0", b"\x05ab\0", b""] {
            assert_eq!(WireName::from_bytes(bad).unwrap().write_host(&mut [0; 253]), Err(DnsError::Malformed));
        }
    }

    #[test]
    fn case_follows_the_random_bits_and_nothing_else_changes() {
        let mut name = ordinary(&format!("{}.com", "ab-1".repeat(15)));
        let before = name.clone();
        let mut draws = Vec::new();
        name.randomise_case(|| {
            draws.push(());
            0b01
        });
        assert_eq!(draws.len(), 1);
        assert_eq!(&name.as_bytes()[1..6], b"aB-1A");
        assert!(name.as_bytes().eq_ignore_ascii_case(before.as_bytes()));
        let mut long = ordinary(&format!("{0}.{0}", "a".repeat(63)));
        let mut draws = 0;
        long.randomise_case(|| {
            draws += 1;
            u64::MAX
        });
        assert_eq!(draws, 2);
    }
}
