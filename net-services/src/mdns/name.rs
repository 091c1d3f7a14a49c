//! Names: made from what callers give, and told back to them as text.
//!
//! On the wire and inside, a name is `domain`'s [`Name`]: labels after their lengths. A label is any bytes, so an instance
//! name may hold dots and spaces; comparing ignores the case of ASCII letters and of nothing else (RFC 6762 section 16).

use core::fmt;
use core::net::IpAddr;

use domain::base::name::{Name, NameBuilder, ParsedName, ToName};
use heapless::{String, Vec};

use super::MdnsError;

/// A name as on the wire, borrowed: in a message, where it may be compressed, or anywhere else.
pub(super) type NameRef<'a> = ParsedName<&'a [u8]>;
/// A name as on the wire, in memory of its own.
pub(super) type NameBuf = Name<Vec<u8, NAME_MAX>>;

/// Bytes of the longest name on the wire (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;
/// Bytes of the longest label.
pub(super) const LABEL_MAX: usize = 63;

/// One label as text: a host name without `.local`, or the name of an instance. At most 63 bytes of UTF-8.
pub type Label = String<LABEL_MAX>;

const LOCAL: &[u8] = b"local";

/// The name under which all service types are listed (RFC 6763 section 9), as on the wire.
const TYPES: &[u8] = b"\x09_services\x07_dns-sd\x04_udp\x05local\x00";

/// The name under which all service types are listed.
pub(super) fn types() -> NameRef<'static> {
    from_wire(TYPES)
}

/// A name that has been written before, from its bytes; the root for bytes that are no name.
pub(super) fn from_wire(bytes: &[u8]) -> NameRef<'_> {
    const ROOT: &[u8] = &[0];
    match Name::from_octets(bytes).or_else(|_| Name::from_octets(ROOT)) {
        Ok(name) => name.into(),
        Err(_) => Name::root_ref().into(), // the same again
    }
}

/// The name without any label: memory for another.
pub(super) fn root() -> NameBuf {
    match NameBuf::from_octets(Vec::from([0])) {
        Ok(name) => name,
        Err(_) => unreachable!("a 0 by itself is a name"),
    }
}

/// Borrows a name.
pub(super) fn by_ref(name: &NameBuf) -> NameRef<'_> {
    from_wire(name.as_slice())
}

/// Puts a name together, label by label.
pub(super) struct Builder(NameBuilder<Vec<u8, NAME_MAX>>);

impl Builder {
    pub(super) fn new() -> Self {
        Self(NameBuilder::new())
    }

    /// # Errors
    /// [`MdnsError::InvalidName`]: empty, longer than 63 bytes, or the name would be longer than 255.
    pub(super) fn label(mut self, label: &[u8]) -> Result<Self, MdnsError> {
        if label.is_empty() || label.len() > LABEL_MAX {
            return Err(MdnsError::InvalidName);
        }
        self.0.append_label(label).map_err(|_| MdnsError::InvalidName)?;
        Ok(self)
    }

    /// The labels of `text`, which has dots between them.
    ///
    /// # Errors
    /// As [`label`](Self::label).
    pub(super) fn dotted(self, text: &str) -> Result<Self, MdnsError> {
        text.split('.').try_fold(self, |name, label| name.label(label.as_bytes()))
    }

    /// The labels of another name but its root.
    pub(super) fn labels_of(self, name: &NameRef<'_>) -> Result<Self, MdnsError> {
        name.iter().filter(|label| !label.is_root()).try_fold(self, |name, label| name.label(label.as_slice()))
    }

    /// Adds `local` and the root.
    pub(super) fn local(self) -> Result<NameBuf, MdnsError> {
        self.label(LOCAL)?.end()
    }

    /// Adds the root.
    pub(super) fn end(self) -> Result<NameBuf, MdnsError> {
        self.0.into_name().map_err(|_| MdnsError::InvalidName)
    }
}

/// A host's name from what a user calls it: `esp32`, `ESP32.local` or `esp32.local.`.
///
/// # Errors
/// [`MdnsError::InvalidName`].
pub(super) fn host(text: &str) -> Result<NameBuf, MdnsError> {
    Builder::new().dotted(without_local(text))?.local()
}

/// The same as one label: what devices have.
///
/// # Errors
/// [`MdnsError::InvalidName`]: empty, longer than 63 bytes, with a dot or a control character.
pub(super) fn host_label(text: &str) -> Result<&str, MdnsError> {
    let label = without_local(text);
    let fits = (1..=LABEL_MAX).contains(&label.len()) && !label.contains(|c: char| c == '.' || c.is_control());
    if fits { Ok(label) } else { Err(MdnsError::InvalidName) }
}

/// `text` without `.local` at its end, which users often add.
pub(super) fn without_local(text: &str) -> &str {
    let text = text.strip_suffix('.').unwrap_or(text);
    let at = text.len().saturating_sub(LOCAL.len() + 1);
    match text.split_at_checked(at) {
        Some((head, tail)) if !head.is_empty() && tail.eq_ignore_ascii_case(".local") => head,
        _ => text,
    }
}

/// A service type: `_http._tcp`, `_http._tcp.local`, or with a subtype `_printer._sub._http._tcp`.
///
/// # Errors
/// [`MdnsError::InvalidType`] when it is none (RFC 6763 section 7): the last label is not `_tcp` or `_udp`, the one
/// before does not begin with `_`, or there are others that are not a subtype's. [`MdnsError::InvalidName`] when a label or
/// the whole is too long.
pub(super) fn service_type(text: &str) -> Result<NameBuf, MdnsError> {
    let text = without_local(text);
    let mut labels = text.rsplit('.');
    let protocol = labels.next().unwrap_or_default();
    let is_protocol = protocol.eq_ignore_ascii_case("_tcp") || protocol.eq_ignore_ascii_case("_udp");
    let is_service = labels.next().is_some_and(|label| label.len() > 1 && label.starts_with('_'));
    let is_subtype = match labels.next() {
        None => true,
        Some(sub) => sub.eq_ignore_ascii_case("_sub") && labels.next().is_some() && labels.next().is_none(),
    };
    if is_protocol && is_service && is_subtype {
        Builder::new().dotted(text)?.local()
    } else {
        Err(MdnsError::InvalidType)
    }
}

/// An instance of a service type: its first label is the instance's own name, whatever that contains.
///
/// # Errors
/// [`MdnsError::InvalidName`].
pub(super) fn instance(label: &str, service_type: &NameRef<'_>) -> Result<NameBuf, MdnsError> {
    Builder::new().label(label.as_bytes())?.labels_of(service_type)?.end()
}

/// The name under which a host's reverse record is: RFC 1035 section 3.5, RFC 3596 section 2.5.
pub(super) fn reverse(address: IpAddr) -> NameBuf {
    // 74 bytes at the most, so it fits. (`domain` can do this too, with hexadecimal digits in upper case.)
    write_reverse(address.to_canonical()).unwrap_or_else(|_| root())
}

fn write_reverse(address: IpAddr) -> Result<NameBuf, MdnsError> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)..=usize::from(nibble)).unwrap_or_default();
    let name = match address {
        IpAddr::V4(v4) => v4.octets().iter().rev().try_fold(Builder::new(), |name, byte| {
            let mut text = String::<3>::new();
            fmt::Write::write_fmt(&mut text, format_args!("{byte}")).map_err(|_| MdnsError::InvalidName)?;
            name.label(text.as_bytes())
        })?,
        IpAddr::V6(v6) => v6
            .octets()
            .iter()
            .rev()
            .try_fold(Builder::new(), |name, byte| name.label(digit(byte & 15))?.label(digit(byte >> 4)))?,
    };
    name.dotted(if address.is_ipv4() { "in-addr.arpa" } else { "ip6.arpa" })?.end()
}

/// Copies a name.
pub(super) fn copy(name: &NameRef<'_>) -> NameBuf {
    // Every name fits 255 bytes.
    name.try_to_name().unwrap_or_else(|_| root())
}

/// The first label as text, if it is UTF-8.
pub(super) fn first_label<'n>(name: &'n NameRef<'_>) -> Option<&'n str> {
    core::str::from_utf8(name.first().as_slice()).ok()
}

/// Whether the name is below `local`, or `local` itself.
pub(super) fn is_local(name: &NameRef<'_>) -> bool {
    name.iter().rfind(|label| !label.is_root()).is_some_and(|last| last.as_slice().eq_ignore_ascii_case(LOCAL))
}

/// Whether the name is one of an address: below `in-addr.arpa` or `ip6.arpa`.
pub(super) fn is_reverse(name: &NameRef<'_>) -> bool {
    [b"\x07in-addr\x04arpa\0".as_slice(), b"\x03ip6\x04arpa\0"].iter().any(|parent| name.ends_with(&from_wire(parent)))
}

/// A name as text with dots, without the one at its end; bytes that are not UTF-8 as `\DDD`, dots within a label as
/// `\.`, as in zone files (RFC 1035 section 5.1).
pub(super) struct Text<'a>(pub(super) NameRef<'a>);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for (i, label) in self.0.iter().filter(|label| !label.is_root()).enumerate() {
            if i > 0 {
                f.write_char('.')?;
            }
            for chunk in label.as_slice().utf8_chunks() {
                for c in chunk.valid().chars() {
                    match c {
                        '.' | '\\' => write!(f, "\\{c}")?,
                        c if c.is_ascii_control() => write!(f, "\\{:03}", c as u32)?,
                        c => f.write_char(c)?,
                    }
                }
                for byte in chunk.invalid() {
                    write!(f, "\\{byte:03}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn text(name: &NameBuf) -> std::string::String {
        Text(by_ref(name)).to_string()
    }

    #[test]
    fn a_host_may_be_named_with_its_domain_or_without() {
        for given in ["ESP32", "ESP32.local", "ESP32.LOCAL", "ESP32.local.", "ESP32."] {
            assert_eq!(text(&host(given).unwrap()).to_ascii_lowercase(), "esp32.local", "{given}");
            assert_eq!(host_label(given), Ok("ESP32"), "{given}");
        }
        assert_eq!(text(&host("a.b").unwrap()), "a.b.local");
        assert_eq!(host_label("a.b"), Err(MdnsError::InvalidName));
        assert_eq!(host_label("local"), Ok("local"));
        assert_eq!(host_label("é"), Ok("é"), "M-34");
        for bad in ["", ".", ".local", "a\n", &"x".repeat(64)] {
            assert_eq!(host_label(bad), Err(MdnsError::InvalidName), "{bad}");
        }
    }

    #[test]
    fn service_types_are_those_of_rfc_6763_section_7() {
        assert_eq!(text(&service_type("_http._tcp").unwrap()), "_http._tcp.local");
        assert_eq!(text(&service_type("_http._TCP.local").unwrap()), "_http._TCP.local");
        assert_eq!(text(&service_type("_x._sub._http._udp").unwrap()), "_x._sub._http._udp.local");
        for bad in [
            "",
            "_tcp",
            "http._tcp",
            "_._tcp",
            "_http._sctp",
            "_a._b._http._tcp",
            "_c._a._sub._http._tcp",
            "x._http._tcp",
        ] {
            assert_eq!(service_type(bad), Err(MdnsError::InvalidType), "{bad}");
        }
        assert_eq!(service_type(&std::format!("_{}._tcp", "x".repeat(63))), Err(MdnsError::InvalidName));
    }

    /// M-34: instance names hold dots, spaces and UTF-8.
    #[test]
    fn an_instance_name_is_one_label() {
        let kind = service_type("_http._tcp").unwrap();
        let name = instance("Küche 2. Stock", &by_ref(&kind)).unwrap();
        assert_eq!(text(&name), "Küche 2\\. Stock._http._tcp.local");
        assert_eq!(first_label(&by_ref(&name)), Some("Küche 2. Stock"));
        assert_eq!(instance("", &by_ref(&kind)), Err(MdnsError::InvalidName));
        assert_eq!(instance(&"x".repeat(64), &by_ref(&kind)), Err(MdnsError::InvalidName));
        assert!(name == instance("KüCHE 2. stock", &by_ref(&kind)).unwrap());
        assert!(name != instance("KÜche 2. Stock", &by_ref(&kind)).unwrap(), "only ASCII");
    }

    #[test]
    fn addresses_have_names() {
        assert_eq!(text(&reverse([192, 0, 2, 1].into())), "1.2.0.192.in-addr.arpa");
        assert!(text(&reverse("fe80::1".parse().unwrap())).ends_with("0.8.e.f.ip6.arpa"));
        assert!(!is_local(&by_ref(&reverse([192, 0, 2, 1].into()))) && is_local(&types()));
        assert!(is_reverse(&by_ref(&reverse([192, 0, 2, 1].into()))) && !is_reverse(&types()));
        assert!(is_reverse(&by_ref(&reverse("fe80::1".parse().unwrap()))));
        assert_eq!(text(&copy(&types())), "_services._dns-sd._udp.local");
    }

    #[test]
    fn text_escapes_what_would_mislead() {
        let name = Builder::new().label(b"a.b\\\n\xff\xc3\xa4").unwrap().local().unwrap();
        assert_eq!(text(&name), "a\\.b\\\\\\010\\255ä.local");
    }
}
