//! URLs: taking them apart, and resolving the references of redirects (RFC 3986).
//!
//! A small one of our own: `nourl` takes user information for a host name, any characters anywhere and `?` for a part
//! of the host, and resolves no references; `iri-string`, which does all that, knows every scheme and non-ASCII names,
//! and would be checked here a second time.

use core::fmt::{self, Write as _};
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str;

use super::ClientError as Error;
use super::writer::Writer;

/// The parts of an `http` or `https` URL. They borrow its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Url<'a> {
    /// `https`.
    pub(super) secure: bool,
    /// A name or an address; an IPv6 address is without its brackets.
    pub(super) host: &'a str,
    /// As written, or that of the scheme.
    pub(super) port: u16,
    /// Empty or beginning with `/`.
    path: &'a str,
    query: Option<&'a str>,
}

impl<'a> Url<'a> {
    /// Takes a URL apart that must be correct: absolute, `http` or `https`, of characters that a URL may have.
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        if let Some(byte) = text.bytes().find(|byte| !is_allowed(*byte) && *byte != b'#') {
            return Err(Error::InvalidUrl(match byte {
                0..=0x1f | 0x7f => "a control character",
                b' ' => "a space",
                0x80.. => "a character that is not ASCII",
                _ => "a character that must be percent-encoded",
            }));
        }
        let parts = Parts::of(text.as_bytes());
        let secure = is_secure(parts.scheme.ok_or(Error::InvalidUrl("no scheme"))?)?;
        let authority = as_text(parts.authority.ok_or(Error::InvalidUrl("no host"))?)?;
        let (host, port) = host_and_port(authority)?;
        for part in [Some(parts.path), parts.query].into_iter().flatten() {
            check_escapes(part)?;
        }
        Ok(Self {
            secure,
            host,
            port: port.unwrap_or(default_port(secure)),
            path: as_text(parts.path)?,
            query: parts.query.map(as_text).transpose()?,
        })
    }

    /// Whether both lead to the same server: scheme, host and port are equal (RFC 6454 section 5).
    pub(super) fn is_same_origin(&self, other: &Self) -> bool {
        self.secure == other.secure && self.port == other.port && self.host.eq_ignore_ascii_case(other.host)
    }

    /// As the value of a Host field (RFC 9110 section 7.2): without the port where it is that of the scheme.
    pub(super) fn authority(&self) -> Authority<'a> {
        Authority(*self)
    }

    /// As the target of a request (RFC 9112 section 3.2.1): path and query.
    pub(super) fn target(&self) -> Target<'a> {
        Target(*self)
    }

    /// Writes it in its normal form (RFC 3986 section 6.2.2): scheme and host in lower case, no default port, a path,
    /// no dot segments, no fragment. The length is the answer.
    ///
    /// # Errors
    /// [`Error::BufferTooSmall`].
    pub(super) fn write(&self, out: &mut [u8]) -> Result<usize, Error> {
        let mut writer = Writer::new(out);
        write_origin(&mut writer, self)?;
        write_path(&mut writer, &[], self.path.as_bytes())?;
        write_query(&mut writer, self.query.map(str::as_bytes))?;
        Ok(writer.length())
    }

    /// Writes the URL that `reference` means, seen from this one (RFC 3986 section 5.2), in its normal form. The length
    /// is the answer.
    ///
    /// A server's reference is read with patience: bytes that no URL may have are percent-encoded, as browsers
    /// do. Control characters never get this far: no field value has any.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`] and [`Error::BufferTooSmall`].
    pub(super) fn resolve(&self, reference: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let parts = Parts::of(reference);
        let mut writer = Writer::new(out);
        if parts.scheme.is_none() && parts.authority.is_none() {
            write_origin(&mut writer, self)?;
            let base = self.path.as_bytes();
            if parts.path.is_empty() {
                write_path(&mut writer, &[], base)?;
                write_query(&mut writer, parts.query.or(self.query.map(str::as_bytes)))?;
            } else {
                let above = base.iter().rposition(|byte| *byte == b'/').and_then(|at| base.get(..at));
                let above = if parts.path.starts_with(b"/") { &[] } else { above.unwrap_or_default() };
                write_path(&mut writer, above, parts.path)?;
                write_query(&mut writer, parts.query)?;
            }
        } else {
            let secure = parts.scheme.map_or(Ok(self.secure), is_secure)?;
            let authority = as_text(parts.authority.ok_or(Error::InvalidUrl("no host"))?)?;
            let (host, port) = host_and_port(authority)?;
            let port = port.unwrap_or(default_port(secure));
            write_origin(&mut writer, &Url { secure, host, port, path: "", query: None })?;
            write_path(&mut writer, &[], parts.path)?;
            write_query(&mut writer, parts.query)?;
        }
        check_escapes(writer.written())?;
        Ok(writer.length())
    }
}

/// Host and port of a URL; an IPv6 address is in brackets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a>(Url<'a>);

impl fmt::Display for Authority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Url { secure, host, port, .. } = self.0;
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        f.write_str(open)?;
        host.chars().try_for_each(|c| f.write_char(c.to_ascii_lowercase()))?;
        f.write_str(close)?;
        if port == default_port(secure) { Ok(()) } else { write!(f, ":{port}") }
    }
}

/// Path and query of a URL.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a>(Url<'a>);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Url { path, query, .. } = self.0;
        f.write_str(if path.is_empty() { "/" } else { path })?;
        query.map_or(Ok(()), |query| write!(f, "?{query}"))
    }
}

/// A reference, split as by the expression of RFC 3986 appendix B; the fragment is left out.
struct Parts<'a> {
    scheme: Option<&'a [u8]>,
    authority: Option<&'a [u8]>,
    path: &'a [u8],
    query: Option<&'a [u8]>,
}

impl<'a> Parts<'a> {
    fn of(reference: &'a [u8]) -> Self {
        let (rest, _) = split(reference, |byte| byte == b'#');
        let (before, after) = split(rest, |byte| matches!(byte, b':' | b'/' | b'?'));
        let (scheme, rest) = match after {
            [b':', rest @ ..] if is_scheme(before) => (Some(before), rest),
            _ => (None, rest),
        };
        let (authority, rest) = match rest {
            [b'/', b'/', rest @ ..] => {
                let (authority, rest) = split(rest, |byte| matches!(byte, b'/' | b'?'));
                (Some(authority), rest)
            }
            _ => (None, rest),
        };
        let (path, query) = split(rest, |byte| byte == b'?');
        Self { scheme, authority, path, query: query.get(1..) }
    }
}

/// What is before the first byte that `is_end` names, and the rest, which begins with it.
fn split(text: &[u8], is_end: fn(u8) -> bool) -> (&[u8], &[u8]) {
    let at = text.iter().position(|byte| is_end(*byte)).unwrap_or(text.len());
    text.split_at_checked(at).unwrap_or((text, &[]))
}

fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn is_secure(scheme: &[u8]) -> Result<bool, Error> {
    if scheme.eq_ignore_ascii_case(b"http") {
        Ok(false)
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Ok(true)
    } else {
        Err(Error::InvalidUrl("neither http nor https"))
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

fn as_text(part: &[u8]) -> Result<&str, Error> {
    str::from_utf8(part).map_err(|_| Error::InvalidUrl("a character that is not ASCII"))
}

/// Whether a URL may have it, fragments aside. Square brackets are let through also where RFC 3986 would have them
/// encoded: everyone else does.
fn is_allowed(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e) && !matches!(byte, b'"' | b'#' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
}

/// Every `%` is followed by two hexadecimal digits.
fn check_escapes(text: &[u8]) -> Result<(), Error> {
    let is_right = text.split(|byte| *byte == b'%').skip(1).all(|after| match after {
        [high, low, ..] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
        _ => false,
    });
    if is_right { Ok(()) } else { Err(Error::InvalidUrl("a percent sign without two hexadecimal digits")) }
}

/// The host, without brackets, and the port of an authority (RFC 3986 section 3.2).
fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), Error> {
    if authority.contains('@') {
        return Err(Error::InvalidUrl("user information before the host"));
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(Error::InvalidUrl("no ] after the IPv6 address"))?;
        if host.contains('%') {
            return Err(Error::InvalidUrl("a zone after the IPv6 address"));
        }
        host.parse::<Ipv6Addr>().map_err(|_| Error::InvalidUrl("not an IPv6 address"))?;
        return match rest.strip_prefix(':') {
            Some(digits) => Ok((host, port(digits)?)),
            None if rest.is_empty() => Ok((host, None)),
            None => Err(Error::InvalidUrl("something between ] and the port")),
        };
    }
    let (host, digits) = authority.split_once(':').unwrap_or((authority, ""));
    check_name(host)?;
    Ok((host, port(digits)?))
}

/// A port; none where there are no digits, as after `http://host:/`.
fn port(digits: &str) -> Result<Option<u16>, Error> {
    if digits.is_empty() {
        return Ok(None);
    }
    let is_number = digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse::<u16>() {
        Ok(port @ 1..) if is_number => Ok(Some(port)),
        _ => Err(Error::InvalidUrl("not a port of 1 to 65535")),
    }
}

/// A host name, or an IPv4 address in its usual form.
fn check_name(host: &str) -> Result<(), Error> {
    let name = host.strip_suffix('.').unwrap_or(host);
    if name.is_empty() {
        return Err(Error::InvalidUrl("no host"));
    }
    if !host.is_ascii() {
        return Err(Error::InvalidUrl("an international host name: write it in its xn-- form"));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(Error::InvalidUrl("not a host name"));
    }
    // `0x7f.1` and `2130706433` are addresses to some and names to others.
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or(last.strip_prefix("0X"))
            .is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(Error::InvalidUrl("not an IPv4 address"));
    }
    Ok(())
}

/// Writes `://` and what is before it, and the authority.
fn write_origin(writer: &mut Writer<'_>, url: &Url<'_>) -> Result<(), Error> {
    writer.print(format_args!("{}://{}", if url.secure { "https" } else { "http" }, url.authority()))
}

/// Writes the segments of `above` and then those of `path`, without dot segments (RFC 3986 section 5.2.4). Both are
/// empty or begin with `/`, but for a `path` that is relative to `above`.
fn write_path(writer: &mut Writer<'_>, above: &[u8], path: &[u8]) -> Result<(), Error> {
    let begin = writer.length();
    if !above.is_empty() {
        for segment in segments(above) {
            write_segment(writer, begin, segment, false)?;
        }
    }
    let mut left = segments(path).peekable();
    while let Some(segment) = left.next() {
        write_segment(writer, begin, segment, left.peek().is_none())?;
    }
    Ok(())
}

fn segments(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.strip_prefix(b"/").unwrap_or(path).split(|byte| *byte == b'/')
}

fn write_segment(writer: &mut Writer<'_>, begin: usize, segment: &[u8], is_last: bool) -> Result<(), Error> {
    match segment {
        b"." => {}
        b".." => {
            let path = writer.written().get(begin..).unwrap_or_default();
            let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            writer.truncate(begin + parent);
        }
        _ => {
            writer.bytes(b"/")?;
            return write_encoded(writer, segment);
        }
    }
    if is_last { writer.bytes(b"/") } else { Ok(()) }
}

fn write_query(writer: &mut Writer<'_>, query: Option<&[u8]>) -> Result<(), Error> {
    let Some(query) = query else { return Ok(()) };
    writer.bytes(b"?")?;
    write_encoded(writer, query)
}

fn write_encoded(writer: &mut Writer<'_>, text: &[u8]) -> Result<(), Error> {
    text.iter().try_for_each(|byte| match byte {
        byte if is_allowed(*byte) => writer.bytes(&[*byte]),
        byte => writer.print(format_args!("%{byte:02X}")),
    })
}

#[cfg(test)]
mod tests;
