//! Header fields: what their names and values may be (RFC 9110 section 5), and walking over those of a head.

use core::fmt;

/// A name or value that no field may have: nothing of it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct InvalidField;

impl fmt::Display for InvalidField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid field name or value")
    }
}

impl core::error::Error for InvalidField {}

/// Whether the byte may be part of a token: a letter, a digit or one of ``!#$%&'*+-.^_`|~`` (RFC 9110 section 5.6.2).
pub const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether the byte may be part of a field value: anything but control characters, and of those the tab.
pub const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Checks that a name is a token (RFC 9110 section 5.6.2).
///
/// # Errors
/// It is not.
pub fn check_name(name: &str) -> Result<(), InvalidField> {
    let valid = !name.is_empty() && name.bytes().all(is_token_byte);
    if valid { Ok(()) } else { Err(InvalidField) }
}

/// Checks that a value has no control character but the tab, above all no CR, LF or NUL (RFC 9110 section 5.5).
///
/// # Errors
/// It has one.
pub fn check_value(value: &[u8]) -> Result<(), InvalidField> {
    if value.iter().copied().all(is_value_byte) { Ok(()) } else { Err(InvalidField) }
}

/// Whether a field of this name must not stand in a trailer section, because it frames or routes the message, gives
/// leave, or tells what the content is (RFC 9110 section 6.5.1). Upper and lower case are the same.
pub fn is_forbidden_in_trailers(name: &[u8]) -> bool {
    const NAMES: [&str; 17] = [
        "authorization",
        "cache-control",
        "connection",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    const PREFIXES: [&str; 2] = ["content-", "if-"];
    NAMES.iter().any(|forbidden| is_same(name, forbidden.as_bytes()))
        || PREFIXES.iter().any(|prefix| name.get(..prefix.len()).is_some_and(|start| is_same(start, prefix.as_bytes())))
}

/// Whether two names are the same but for the case of their letters. Not inlined: a loop in each of many places adds up.
#[inline(never)]
pub(super) fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The fields of a head that has been checked, in their order: an iterator over name and value.
///
/// A name is as it was received; compare without regard to case. A value has no spaces around it, and need not be UTF-8.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    // Lines of `name: value CRLF`
    lines: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of these lines, each of which ends with CRLF. They are taken to be checked: what is not a field ends
    /// the iteration.
    pub const fn new(lines: &'a [u8]) -> Self {
        Self { lines }
    }

    /// The value of the first field of this name, if it has one that is UTF-8.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        core::str::from_utf8(self.get_bytes(name)?).ok()
    }

    /// The value of the first field of this name.
    pub fn get_bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.clone().find(|(own, _)| is_same(own.as_bytes(), name.as_bytes())).map(|(_, value)| value)
    }

    /// The values of all fields of this name.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        self.clone().filter(move |(own, _)| is_same(own.as_bytes(), name.as_bytes())).map(|(_, value)| value)
    }

    /// The elements of the comma-separated lists in all fields of this name, without the spaces around them, empty ones
    /// left out. For lists without quoted strings, as those of `Connection` and `Upgrade`.
    pub fn list<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.all(name).flat_map(elements)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.lines.iter().position(|&byte| byte == b'\r')?;
        let (line, rest) = self.lines.split_at(end);
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at(colon);
        self.lines = rest.get(2..).unwrap_or_default();
        Some((core::str::from_utf8(name).ok()?, value.get(1..).unwrap_or_default().trim_ascii()))
    }
}

/// The elements of a comma-separated list without quoted strings; empty ones are left out.
pub(super) fn elements(list: &[u8]) -> impl Iterator<Item = &str> {
    list.split(|&byte| byte == b',')
        .filter_map(|element| core::str::from_utf8(element.trim_ascii()).ok())
        .filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    const LINES: &[u8] =
        b"Host: x\r\nConnection: close , ,Upgrade\r\nX-Latin: caf\xe9\r\nEMPTY:\r\nconnection:\tTE\t\r\n";

    #[test]
    fn fields_are_found_whatever_the_case_of_their_names() {
        let fields = Fields::new(LINES);
        assert_eq!(fields.get("HOST"), Some("x"));
        assert_eq!(fields.get("empty"), Some(""));
        assert_eq!(fields.get("Hos"), None);
        assert_eq!(fields.get("Connection"), Some("close , ,Upgrade"));
        assert_eq!(fields.all("Connection").collect::<Vec<_>>(), [&b"close , ,Upgrade"[..], b"TE"]);
        assert_eq!(fields.list("connection").collect::<Vec<_>>(), ["close", "Upgrade", "TE"]);
        let names: Vec<_> = fields.map(|(name, _)| name).collect();
        assert_eq!(names, ["Host", "Connection", "X-Latin", "EMPTY", "connection"]);
    }

    #[test]
    fn a_value_that_is_not_utf8_is_bytes_only() {
        let fields = Fields::new(LINES);
        assert_eq!(fields.get("x-latin"), None);
        assert_eq!(fields.get_bytes("x-latin"), Some(&b"caf\xe9"[..]));
    }

    #[test]
    fn lines_that_are_no_fields_end_the_iteration() {
        for lines in ["", "\r\n", "Host", "Host: x", "Host\r\n", "\r"] {
            assert_eq!(Fields::new(lines.as_bytes()).count(), 0, "{lines:?}");
        }
    }

    #[test]
    fn h20_names_are_tokens() {
        const TOKEN: &str = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        assert_eq!(check_name(TOKEN), Ok(()));
        assert_eq!(check_name(""), Err(InvalidField));
        for byte in 0..=0x7f_u8 {
            let name = std::format!("X{}", char::from(byte));
            assert_eq!(check_name(&name).is_ok(), TOKEN.contains(char::from(byte)), "{byte:#x}");
        }
        assert_eq!(check_name("n\u{e9}"), Err(InvalidField));
    }

    #[test]
    fn h20_values_have_no_control_character_but_the_tab() {
        assert_eq!(check_value(b""), Ok(()));
        for byte in 0..=0xff_u8 {
            let refused = byte != b'\t' && byte.is_ascii_control();
            assert_eq!(check_value(&[b'a', byte, b'b']).is_err(), refused, "{byte:#x}");
        }
    }

    #[test]
    fn h8_what_must_not_stand_in_trailers() {
        for name in [
            "Content-Length",
            "content-type",
            "CONTENT-",
            "Transfer-Encoding",
            "Host",
            "Authorization",
            "TE",
            "If-Match",
            "Proxy-Authorization",
            "Trailer",
            "Connection",
            "Cookie",
            "Set-Cookie",
            "Range",
            "Expect",
            "Upgrade",
        ] {
            assert!(is_forbidden_in_trailers(name.as_bytes()), "{name}");
        }
        for name in ["X-Checksum", "Content", "Contents", "Hosts", "ETag", "Server-Timing", "Tea", "", "Iffy"] {
            assert!(!is_forbidden_in_trailers(name.as_bytes()), "{name}");
        }
    }
}
