//! Names: made from what callers give, and told back to them as text.
//!
//! On the wire and inside, a name is `domain`'s [`Name`]: labels after their lengths. A label is any bytes, so an instance
//! name may hold dots and spaces; comparing ignores the case of ASCII letters and of nothing else (RFC 6762 section 16).

use core::fmt;
use core::net::IpAddr;

use domain::base::name::{Name, ParsedName, ToName as _};
use domain::dep::octseq::Parser;
use heapless::{String, Vec};

use super::MdnsError;
use super::network::{canonical, octets};

/// A name as on the wire, borrowed: in a message, where it may be compressed, or anywhere else.
pub(super) type NameRef<'a> = ParsedName<&'a [u8]>;

/// Bytes of the longest name on the wire (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;
/// Bytes of the longest label.
pub(super) const LABEL_MAX: usize = 63;

/// One label as text: a host name without `.local`, or the name of an instance. At most 63 bytes of UTF-8.
pub type Label = String<LABEL_MAX, u8>;

const LOCAL: &[u8] = b"local";
/// The domain as on the wire.
const LOCAL_DOMAIN: &[u8] = b"\x05local\0";
/// The label between a subtype and its type (RFC 6763 section 7.1).
const SUB: &[u8] = b"_sub";

/// The name under which all service types are listed (RFC 6763 section 9), as on the wire.
pub(super) const TYPES: &[u8] = b"\x09_services\x07_dns-sd\x04_udp\x05local\0";

/// A name that has been written before, from its bytes; the root for bytes that are no name.
#[inline(never)]
pub(super) fn from_wire(bytes: &[u8]) -> NameRef<'_> {
    const ROOT: &[u8] = &[0];
    match Name::from_octets(bytes).or_else(|_| Name::from_octets(ROOT)) {
        Ok(name) => name.into(),
        Err(_) => Name::root_ref().into(), // the same again
    }
}

/// Borrows a name.
pub(super) fn by_ref(name: &NameBuf) -> NameRef<'_> {
    from_wire(name.as_slice())
}

/// A name as on the wire, uncompressed, in memory of its own: at first without any label, and without the root, with which
/// it ends when it is complete.
#[derive(Debug, Clone)]
pub(super) struct NameBuf(Vec<u8, NAME_MAX, u8>);

impl NameBuf {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a label.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`]: empty, longer than 63 bytes, or the name would be longer than 255.
    #[inline(never)]
    pub(super) fn label(&mut self, label: &[u8]) -> Result<&mut Self, MdnsError> {
        let fits = (1..=LABEL_MAX).contains(&label.len());
        if !fits || self.0.push(label.len() as u8).is_err() {
            return Err(MdnsError::InvalidName);
        }
        self.append(label)
    }

    /// Adds the labels of `text`, which has dots between them.
    ///
    /// # Errors
    /// As [`label`](Self::label).
    pub(super) fn dotted(&mut self, text: &str) -> Result<&mut Self, MdnsError> {
        for label in text.as_bytes().split(|byte| *byte == b'.') {
            self.label(label)?;
        }
        Ok(self)
    }

    /// Adds all that another name has, its root too: this one is complete then.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`]: it would be longer than 255 bytes.
    #[inline(never)]
    pub(super) fn append(&mut self, wire: &[u8]) -> Result<&mut Self, MdnsError> {
        self.0.extend_from_slice(wire).map_err(|_| MdnsError::InvalidName)?;
        Ok(self)
    }

    /// Adds `local` and the root.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(super) fn local(&mut self) -> Result<&mut Self, MdnsError> {
        self.append(LOCAL_DOMAIN)
    }

    /// Writes the name of an instance of a service type: its first label is the instance's own name, whatever that contains.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`].
    pub(super) fn instance(&mut self, label: &[u8], service_type: &[u8]) -> Result<&mut Self, MdnsError> {
        self.label(label)?.append(service_type)
    }

    /// Writes the name under which the instances of a subtype are (RFC 6763 section 7.1).
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`].
    pub(super) fn subtype(&mut self, label: &[u8], service_type: &[u8]) -> Result<&mut Self, MdnsError> {
        self.label(label)?.label(SUB)?.append(service_type)
    }

    /// Writes the name under which a host's reverse record is: RFC 1035 section 3.5, RFC 3596 section 2.5. (`domain` can do
    /// this too, with hexadecimal digits in upper case.)
    ///
    /// # Errors
    /// None in an empty one: it has 74 bytes at the most.
    #[inline(never)]
    pub(super) fn reverse(&mut self, address: IpAddr) -> Result<&mut Self, MdnsError> {
        let address = canonical(address);
        for byte in octets(address).iter().rev() {
            if address.is_ipv4() {
                self.label(decimal((*byte).into()).as_bytes())?;
            } else {
                self.label(&[hexadecimal(byte & 15)])?.label(&[hexadecimal(byte >> 4)])?;
            }
        }
        self.append(if address.is_ipv4() { IN_ADDR } else { IP6 })
    }
}

/// The names that those of addresses end with, as on the wire.
const IN_ADDR: &[u8] = b"\x07in-addr\x04arpa\0";
const IP6: &[u8] = b"\x03ip6\x04arpa\0";

const fn hexadecimal(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

/// A number's decimal digits. (With `core::fmt` they would take 3 KB of a chip's flash.)
#[inline(never)]
pub(super) fn decimal(number: u16) -> String<5> {
    let mut digits = String::new();
    for unit in [10_000, 1000, 100, 10, 1] {
        if number >= unit || unit == 1 {
            let _ = digits.push((b'0' + (number / unit % 10) as u8).into()); // there are 5 at most
        }
    }
    digits
}

/// Whether bytes are the same, but for the case of ASCII letters.
#[inline(never)]
pub(super) fn eq(a: &[u8], b: &[u8]) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// Reads a name.
#[inline(never)]
pub(super) fn read<'a>(bytes: &mut Parser<'a, [u8]>) -> Option<NameRef<'a>> {
    NameRef::parse(bytes).ok()
}

/// Whether two names are the same, but for the case of letters.
#[inline(never)]
pub(super) fn is_same(a: &NameRef<'_>, b: &NameRef<'_>) -> bool {
    a.name_eq(b)
}

/// What follows the first label of a name on the wire, uncompressed, if that is `label`.
#[inline(never)]
pub(super) fn after_label<'n>(name: &'n [u8], label: &[u8]) -> Option<&'n [u8]> {
    let (length, rest) = name.split_first()?;
    let (first, rest) = rest.split_at_checked(usize::from(*length))?;
    eq(first, label).then_some(rest)
}

/// Whether a name on the wire, uncompressed, is that of a host, [`NameBuf::instance`] or [`NameBuf::subtype`].
pub(super) fn is_host(name: &[u8], label: &[u8]) -> bool {
    is_instance(name, label, LOCAL_DOMAIN)
}

pub(super) fn is_instance(name: &[u8], label: &[u8], service_type: &[u8]) -> bool {
    after_label(name, label).is_some_and(|rest| eq(rest, service_type))
}

pub(super) fn is_subtype(name: &[u8], label: &[u8], service_type: &[u8]) -> bool {
    after_label(name, label).is_some_and(|rest| is_instance(rest, SUB, service_type))
}

/// Whether a name on the wire, uncompressed, is that of the reverse record of an address.
pub(super) fn is_reverse_of(name: &[u8], address: IpAddr) -> bool {
    // Most names are others: that is seen sooner than the whole is written.
    const ARPA: &[u8] = b"\x04arpa\0";
    let end = name.len().saturating_sub(ARPA.len());
    if !name.get(end..).is_some_and(|end| eq(end, ARPA)) {
        return false;
    }
    let mut reverse = NameBuf::new();
    reverse.reverse(address).is_ok_and(|reverse| eq(reverse.as_slice(), name))
}

/// A host's name from what a user calls it: `esp32`, `ESP32.local` or `esp32.local.`.
///
/// # Errors
/// [`MdnsError::InvalidName`].
pub(super) fn host(text: &str) -> Result<NameBuf, MdnsError> {
    let mut name = NameBuf::new();
    name.dotted(without_local(text))?.local()?;
    Ok(name)
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
#[inline(never)]
pub(super) fn without_local(text: &str) -> &str {
    let text = text.strip_suffix('.').unwrap_or(text);
    let at = text.len().saturating_sub(LOCAL.len() + 1);
    match text.split_at_checked(at) {
        Some((head, tail)) if !head.is_empty() && eq(tail.as_bytes(), b".local") => head,
        _ => text,
    }
}

/// A service type: `_http._tcp`, `_http._tcp.local`, or with a subtype `_printer._sub._http._tcp`.
///
/// # Errors
/// [`MdnsError::InvalidType`] when it is none (RFC 6763 section 7): the last label is not `_tcp` or `_udp`, the one
/// before does not begin with `_`, or there are others that are not a subtype's. [`MdnsError::InvalidName`] when a label or
/// the whole is too long.
#[inline(never)]
pub(super) fn service_type(text: &str) -> Result<NameBuf, MdnsError> {
    let mut labels: [&[u8]; 4] = [&[]; 4];
    let mut count = 0;
    for label in without_local(text).as_bytes().split(|byte| *byte == b'.') {
        *labels.get_mut(count).ok_or(MdnsError::InvalidType)? = label;
        count += 1;
    }
    let (service, protocol) = match labels {
        [service, protocol, ..] if count == 2 => (service, protocol),
        [_, sub, service, protocol] if count == 4 && eq(sub, SUB) => (service, protocol),
        _ => return Err(MdnsError::InvalidType),
    };
    if service.len() < 2 || !service.starts_with(b"_") || !(eq(protocol, b"_tcp") || eq(protocol, b"_udp")) {
        return Err(MdnsError::InvalidType);
    }
    let mut name = NameBuf::new();
    for label in labels.iter().take(count) {
        name.label(label)?;
    }
    name.local()?;
    Ok(name)
}

/// Copies a name.
#[inline(never)]
pub(super) fn copy(name: &NameRef<'_>) -> NameBuf {
    let mut copy = NameBuf::new();
    for label in name.iter() {
        // Every name fits 255 bytes.
        let _ = copy.0.push(label.len() as u8).is_ok() && copy.0.extend_from_slice(label.as_slice()).is_ok();
    }
    copy
}

/// The first label as text, if it is UTF-8.
pub(super) fn first_label<'n>(name: &'n NameRef<'_>) -> Option<&'n str> {
    core::str::from_utf8(name.first().as_slice()).ok()
}

/// The last two labels before the root, the last one first; empty if there are fewer.
#[inline(never)]
fn last_labels<'n>(name: &'n NameRef<'_>) -> [&'n [u8]; 2] {
    let mut last: [&[u8]; 2] = [&[]; 2];
    for label in name.iter().filter(|label| !label.is_root()) {
        last = [label.as_slice(), last[0]];
    }
    last
}

/// Whether the name is below `local`, or `local` itself.
#[inline(never)]
pub(super) fn is_local(name: &NameRef<'_>) -> bool {
    let [last, _] = last_labels(name);
    eq(last, LOCAL)
}

/// Whether the name is one of an address: below `in-addr.arpa` or `ip6.arpa`.
pub(super) fn is_reverse(name: &NameRef<'_>) -> bool {
    let [last, before] = last_labels(name);
    eq(last, b"arpa") && (eq(before, b"in-addr") || eq(before, b"ip6"))
}

/// Writes a name as text with dots, without the one at its end; bytes that are not UTF-8 as `\DDD`, dots within a label as
/// `\.`, as in zone files (RFC 1035 section 5.1).
///
/// # Errors
/// Those of `out`.
pub(super) fn write_text(name: &NameRef<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    let mut is_first = true;
    for label in name.iter().filter(|label| !label.is_root()) {
        if !is_first {
            out.write_char('.')?;
        }
        is_first = false;
        for chunk in label.as_slice().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_ascii_control() {
                    write_code(c as u8, out)?;
                    continue;
                }
                if matches!(c, '.' | '\\') {
                    out.write_char('\\')?;
                }
                out.write_char(c)?;
            }
            for byte in chunk.invalid() {
                write_code(*byte, out)?;
            }
        }
    }
    Ok(())
}

/// `\DDD`
fn write_code(byte: u8, out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_char('\\')?;
    for digit in [byte / 100, byte / 10 % 10, byte % 10] {
        out.write_char((b'0' + digit).into())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &NameBuf) -> std::string::String {
        let mut text = std::string::String::new();
        write_text(&by_ref(name), &mut text).unwrap();
        text
    }

    fn reverse(address: IpAddr) -> NameBuf {
        let mut name = NameBuf::new();
        name.reverse(address).unwrap();
        name
    }

    fn instance(label: &str, service_type: &NameBuf) -> Result<NameBuf, MdnsError> {
        let mut name = NameBuf::new();
        name.instance(label.as_bytes(), service_type.as_slice())?;
        Ok(name)
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
            assert_eq!(service_type(bad).err(), Some(MdnsError::InvalidType), "{bad}");
        }
        assert_eq!(service_type(&std::format!("_{}._tcp", "x".repeat(63))).err(), Some(MdnsError::InvalidName));
    }

    /// M-34: instance names hold dots, spaces and UTF-8.
    #[test]
    fn an_instance_name_is_one_label() {
        let kind = service_type("_http._tcp").unwrap();
        let name = instance("Küche 2. Stock", &kind).unwrap();
        assert_eq!(text(&name), "Küche 2\\. Stock._http._tcp.local");
        assert_eq!(first_label(&by_ref(&name)), Some("Küche 2. Stock"));
        assert_eq!(instance("", &kind).err(), Some(MdnsError::InvalidName));
        assert_eq!(instance(&"x".repeat(64), &kind).err(), Some(MdnsError::InvalidName));
        assert!(is_same(&by_ref(&name), &by_ref(&instance("KüCHE 2. stock", &kind).unwrap())));
        assert!(!is_same(&by_ref(&name), &by_ref(&instance("KÜche 2. Stock", &kind).unwrap())), "only ASCII");
    }

    #[test]
    fn addresses_have_names() {
        assert_eq!(text(&reverse([192, 0, 2, 1].into())), "1.2.0.192.in-addr.arpa");
        assert!(text(&reverse("fe80::1".parse().unwrap())).ends_with("0.8.e.f.ip6.arpa"));
        assert!(!is_local(&by_ref(&reverse([192, 0, 2, 1].into()))) && is_local(&from_wire(TYPES)));
        assert!(is_reverse(&by_ref(&reverse([192, 0, 2, 1].into()))) && !is_reverse(&from_wire(TYPES)));
        assert!(is_reverse(&by_ref(&reverse("fe80::1".parse().unwrap()))));
        assert_eq!(text(&copy(&from_wire(TYPES))), "_services._dns-sd._udp.local");
    }

    #[test]
    fn text_escapes_what_would_mislead() {
        let mut name = NameBuf::new();
        name.label(b"a.b\\\n\xff\xc3\xa4").unwrap().local().unwrap();
        assert_eq!(text(&name), "a\\.b\\\\\\010\\255ä.local");
    }
}
