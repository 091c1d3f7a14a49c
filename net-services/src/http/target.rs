//! Request targets (RFC 9112 section 3.2): their forms, the path in plain text, and the host.

use core::ops::Range;

use super::exchange::slide;
use super::fields::is_same;

/// The parts of a request target, as places in it.
pub(super) struct Target {
    /// The path, percent-decoded and without dot segments; or `*`.
    pub(super) path: Range<usize>,
    /// What follows the `?`, as it was received.
    pub(super) query: Option<Range<usize>>,
    /// Host and port of an absolute-form target, and the port that its scheme means when it names none.
    pub(super) authority: Option<(Range<usize>, u16)>,
}

/// Whether the byte may stand in a request target. `#` may not: a fragment is never sent (H-4).
pub(super) const fn is_target_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Takes a request target apart, and makes its path plain in place. `options`: the method is OPTIONS.
///
/// All bytes have been checked by [`is_target_byte`]. The error says what is wrong.
pub(super) fn parse(target: &mut [u8], options: bool) -> Result<Target, &'static str> {
    if target == b"*" {
        return if options {
            Ok(Target { path: 0..1, query: None, authority: None })
        } else {
            Err("* without OPTIONS")
        };
    }
    // A port of 0 stands for the origin form.
    let (authority_start, port) = match target {
        [b'/', ..] => (0, 0),
        _ if starts_with(target, b"http://") => (7, 80),
        _ if starts_with(target, b"https://") => (8, 443),
        _ => return Err("request target of no known form"),
    };
    let end_of = |start: usize, ends: &[u8]| {
        let rest = target.get(start..).unwrap_or_default();
        start + rest.iter().position(|byte| ends.contains(byte)).unwrap_or(rest.len())
    };
    let path_start = if port == 0 { 0 } else { end_of(authority_start, b"/?") };
    let path_end = end_of(path_start, b"?");
    let query = (path_end < target.len()).then_some(path_end + 1..target.len());

    let mut authority = None;
    if port != 0 {
        let range = authority_start..path_start;
        host_and_port(target.get(range.clone()).unwrap_or_default()).ok_or("malformed host in the request target")?;
        authority = Some((range, port));
    }
    check_query(query.clone().and_then(|range| target.get(range)).unwrap_or_default())?;

    let path = match target.get_mut(path_start..path_end).unwrap_or_default() {
        [] => {
            // `http://host` means the path "/", and with OPTIONS the server as a whole (RFC 9112 section 3.2.4). The
            // slash before the host lends its place.
            let range = authority_start.saturating_sub(1)..authority_start;
            if let (true, None, Some([slash])) = (options, &query, target.get_mut(range.clone())) {
                *slash = b'*';
            }
            range
        }
        path => {
            let length = decode(path)?;
            let length = remove_dot_segments(path.get_mut(..length).unwrap_or_default())?;
            path_start..path_start + length
        }
    };
    Ok(Target { path, query, authority })
}

fn starts_with(target: &[u8], scheme: &[u8]) -> bool {
    target.get(..scheme.len()).is_some_and(|start| is_same(start, scheme))
}

/// The byte that `%XX` stands for, given the two digits.
fn unescape(digits: &[u8]) -> Option<u8> {
    let &[high, low] = digits else { return None };
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(high)? * 16 + value(low)?).ok()
}

/// Every `%` is followed by two hexadecimal digits and none is a NUL. Line ends are allowed: forms send them.
fn check_query(query: &[u8]) -> Result<(), &'static str> {
    for (i, _) in query.iter().enumerate().filter(|&(_, &byte)| byte == b'%') {
        match query.get(i + 1..i + 3).and_then(unescape) {
            None => return Err("malformed percent-escape in the query"),
            Some(0) => return Err("NUL in the query"),
            Some(_) => {}
        }
    }
    Ok(())
}

/// Percent-decodes a path in place, once. Gives the new length.
fn decode(path: &mut [u8]) -> Result<usize, &'static str> {
    let (mut read, mut write) = (0, 0);
    while let Some(&byte) = path.get(read) {
        let plain = if byte == b'%' {
            let digits = path.get(read + 1..read + 3).unwrap_or_default();
            read += 3;
            unescape(digits).ok_or("malformed percent-escape in the path")?
        } else {
            read += 1;
            byte
        };
        // Besides NUL, CR and LF (H-4) all others: no file is named so, and logs and terminals suffer from them.
        if plain.is_ascii_control() {
            return Err("control character in the path");
        }
        if let Some(place) = path.get_mut(write) {
            *place = plain;
        }
        write += 1;
    }
    match core::str::from_utf8(path.get(..write).unwrap_or_default()) {
        Ok(_) => Ok(write),
        Err(_) => Err("path is not UTF-8"),
    }
}

/// Removes the segments `.` and `..` of an absolute path in place (RFC 3986 section 5.2.4). Gives the new length.
/// Leading out of the root is an error. Empty segments stay.
fn remove_dot_segments(path: &mut [u8]) -> Result<usize, &'static str> {
    // What has been written is a row of segments, each with the slash before it.
    let (mut read, mut write) = (0, 0);
    while read < path.len() {
        let rest = path.get(read + 1..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'/').unwrap_or(rest.len());
        let next = read + 1 + length;
        let keep = match rest.get(..length).unwrap_or_default() {
            b"." => 0,
            b".." => {
                let written = path.get(..write).unwrap_or_default();
                write = written.iter().rposition(|&byte| byte == b'/').ok_or("path leads out of the root")?;
                0
            }
            _ => length,
        };
        // A dot segment at the end leaves its slash.
        if keep > 0 || length == 0 || next == path.len() {
            slide(path, read..read + 1 + keep, write);
            write += 1 + keep;
        }
        read = next;
    }
    Ok(write)
}

/// Splits `host[:port]`. `None` if it is not one: user information, sub-delimiters and escapes are refused in a host name
/// (H-6). A port may be empty, which is as none.
pub(super) fn host_and_port(value: &[u8]) -> Option<(&[u8], Option<u16>)> {
    let end = match value {
        [b'[', ..] => value.iter().position(|&byte| byte == b']')? + 1,
        _ => value.iter().position(|&byte| byte == b':').unwrap_or(value.len()),
    };
    let (host, rest) = value.split_at_checked(end)?;
    let valid = match host {
        [] => false,
        [b'[', address @ .., b']'] => is_ipv6(address),
        name => name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')),
    };
    let port = match rest {
        [] | [b':'] => None,
        [b':', digits @ ..] if digits.len() <= 5 => Some(u16::try_from(number(digits)?).ok()?),
        _ => return None,
    };
    valid.then_some((host, port))
}

/// A number of a few digits.
fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
}

/// Whether it is an IPv6 address (RFC 4291 section 2.2). Nothing is made of it, and to parse it for that would link 2 KB
/// of `core`.
fn is_ipv6(text: &[u8]) -> bool {
    if text.starts_with(b":") && !text.starts_with(b"::") || text.ends_with(b":") && !text.ends_with(b"::") {
        return false;
    }
    let count = text.split(|&byte| byte == b':').count();
    let (mut groups, mut gaps) = (0, 0);
    for (i, part) in text.split(|&byte| byte == b':').enumerate() {
        let is_last = i + 1 == count;
        groups += match part {
            [] if i == 0 || is_last => 0,
            [] => {
                gaps += 1;
                0
            }
            _ if part.len() <= 4 && part.iter().all(u8::is_ascii_hexdigit) => 1,
            _ if is_last && count > 1 && is_ipv4(part) => 2,
            _ => return false,
        };
    }
    match gaps {
        0 => groups == 8,
        1 => groups < 8,
        _ => false,
    }
}

fn is_ipv4(text: &[u8]) -> bool {
    let is_octet = |part: &[u8]| {
        let canonical = matches!(part, [b'0'] | [b'1'..=b'9', ..]) && part.len() <= 3;
        canonical && number(part).is_some_and(|octet| octet <= 255)
    };
    text.split(|&byte| byte == b'.').count() == 4 && text.split(|&byte| byte == b'.').all(is_octet)
}

/// Whether two values of `host[:port]` name the same, where no port means `default_port`.
pub(super) fn same_host(one: &[u8], other: &[u8], default_port: u16) -> bool {
    let (Some((one, one_port)), Some((other, other_port))) = (host_and_port(one), host_and_port(other)) else {
        return false;
    };
    is_same(one, other) && one_port.unwrap_or(default_port) == other_port.unwrap_or(default_port)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Every row of up to ten parts that are empty or not, each with one of them replaced by something else.
    #[test]
    fn h6_ipv6_addresses_are_those_that_core_reads() {
        let others = [
            "abcd",
            "FFFF",
            "0000",
            "12345",
            "g",
            "1.2.3.4",
            "0.0.0.255",
            "1.2.3.256",
            "1.2.3",
            "01.2.3.4",
            "1.2.3.4.5",
        ];
        let mut right = 0;
        for (length, row) in (1..=10).flat_map(|length| (0..1 << length).map(move |row: u32| (length, row))) {
            let plain: Vec<&str> = (0..length).map(|i| if row >> i & 1 == 0 { "" } else { "1" }).collect();
            for (place, other) in (0..length).flat_map(|place| others.map(|other| (place, other))) {
                let mut parts = plain.clone();
                parts[place] = other;
                for text in [plain.join(":"), parts.join(":")] {
                    let expected = text.parse::<core::net::Ipv6Addr>().is_ok();
                    assert_eq!(is_ipv6(text.as_bytes()), expected, "{text}");
                    right += u32::from(expected);
                }
            }
        }
        assert!(right > 1000, "{right}");
        assert!(!is_ipv6(b""));
    }
}
