//! TXT data: the attributes of a service (RFC 6763 section 6).

use heapless::Vec;

use super::{MdnsError, name};

/// Bytes that TXT data may have, so that a record fits into a packet (RFC 6763 section 6.2).
pub(super) const TXT_MAX: usize = 1300;

/// TXT data as received: strings of `key=value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Txt<'a>(pub(super) &'a [u8]);

impl<'a> Txt<'a> {
    /// The strings as they are, in their order; empty ones, and those beyond a broken one, are left out.
    pub fn strings(self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (length, tail) = rest.split_first()?;
            let (string, tail) = tail.split_at_checked(usize::from(*length))?;
            rest = tail;
            Some(string)
        })
        .filter(|string| !string.is_empty())
    }

    /// Keys and values, in their order. A key without `=` has no value; one with nothing behind it has an empty value.
    /// Strings without a key are left out, and of keys that are equal but for case all but the first (section 6.4).
    pub fn attributes(self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> {
        self.strings().enumerate().filter_map(move |(i, string)| {
            let (key, value) = split(string)?;
            let seen = self
                .strings()
                .take(i)
                .filter_map(split)
                .any(|(earlier, _)| name::eq(earlier.as_bytes(), key.as_bytes()));
            (!seen).then_some((key, value))
        })
    }

    /// The value of a key: `None` when there is no such key, `Some(None)` when it stands alone.
    pub fn get(self, key: &str) -> Option<Option<&'a [u8]>> {
        self.attributes().find(|(k, _)| k.eq_ignore_ascii_case(key)).map(|(_, value)| value)
    }

    /// The same as text, if it is UTF-8.
    pub fn get_str(self, key: &str) -> Option<&'a str> {
        core::str::from_utf8(self.get(key)??).ok()
    }
}

#[inline(never)]
fn split(string: &[u8]) -> Option<(&str, Option<&[u8]>)> {
    let at = string.iter().position(|byte| *byte == b'=');
    let (key, value) = match at {
        Some(at) => (string.get(..at)?, Some(string.get(at + 1..)?)),
        None => (string, None),
    };
    let is_key = !key.is_empty() && key.iter().all(|byte| (0x20..0x7f).contains(byte));
    is_key.then_some(())?;
    Some((core::str::from_utf8(key).ok()?, value))
}

/// TXT data as on the wire, from strings of `key=value`. Repeated keys are left out but for the first. Without any string it
/// is one empty string (M-39).
///
/// # Errors
/// [`MdnsError::InvalidTxt`]: a string over 255 bytes, or without a key, or more than 1300 bytes in all.
pub(super) fn compose(strings: &[&str]) -> Result<Vec<u8, TXT_MAX>, MdnsError> {
    let mut bytes = Vec::new();
    for (i, string) in strings.iter().enumerate() {
        let (key, _) = split(string.as_bytes()).ok_or(MdnsError::InvalidTxt)?;
        let earlier = strings.iter().take(i).filter_map(|earlier| split(earlier.as_bytes()));
        if earlier.into_iter().any(|(earlier, _)| name::eq(earlier.as_bytes(), key.as_bytes())) {
            continue;
        }
        let length = u8::try_from(string.len()).map_err(|_| MdnsError::InvalidTxt)?;
        bytes.push(length).map_err(|_| MdnsError::InvalidTxt)?;
        bytes.extend_from_slice(string.as_bytes()).map_err(|_| MdnsError::InvalidTxt)?;
    }
    if bytes.is_empty() {
        bytes.push(0).map_err(|_| MdnsError::InvalidTxt)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    /// M-39.
    #[test]
    fn attributes_follow_rfc_6763_section_6_4() {
        let data = b"\x09paper=A4!\x00\x05empty\x06none==\x07Paper=B\x02=x\x04a\x00=1\x03c=\xff";
        let txt = Txt(data);
        let all: Vec<_> = txt.attributes().collect();
        assert_eq!(
            all,
            [("paper", Some(&b"A4!"[..])), ("empty", None), ("none", Some(b"=")), ("c", Some(b"\xff"))],
            "the first key wins, a string without key is no attribute"
        );
        assert_eq!((txt.get("EMPTY"), txt.get("absent")), (Some(None), None));
        assert_eq!((txt.get_str("paper"), txt.get_str("c")), (Some("A4!"), None));
        assert_eq!(Txt(b"\x05ab").strings().count(), 0, "beyond the end");
        assert_eq!(Txt(b"\x00").attributes().count(), 0);
    }

    #[test]
    fn strings_become_data() {
        assert_eq!(compose(&[]).unwrap(), b"\x00");
        assert_eq!(compose(&["a=1", "b", "A=2", "c="]).unwrap(), b"\x03a=1\x01b\x02c=");
        let long = String::from("k=") + &"x".repeat(253);
        assert_eq!(compose(&[&long]).unwrap().len(), 256);
        let keys: Vec<String> = (0..6).map(|i| std::format!("{i}{long}")).collect();
        for bad in [&["=x"][..], &[""], &["ä=1"], &[&(long.clone() + "x")]] {
            assert_eq!(compose(bad), Err(MdnsError::InvalidTxt), "{bad:?}");
        }
        let many: Vec<&str> = keys.iter().map(|key| &key[..250]).collect();
        assert_eq!(compose(&many), Err(MdnsError::InvalidTxt), "more than 1300 bytes");
        assert!(compose(&many[..5]).is_ok());
    }
}
