//! The head of a request: its fields as the caller names them, and the whole as it is sent.

use core::fmt;

use super::ClientError;
use super::url::Url;
use super::writer::Writer;
use crate::http::fields::{Fields, check_name, check_value};
use crate::http::{Framing, Method};

/// The fields that frame the message or belong to the connection, which are the client's own. `Expect` is among them:
/// waiting for `100 Continue` takes longer than sending what a device has to send.
const OWN: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Writes the line of a field that the caller wants to send. The length is the answer.
///
/// # Errors
/// [`ClientError::InvalidHeader`] and [`ClientError::BufferTooSmall`].
pub(super) fn write_field(out: &mut [u8], name: &str, value: impl fmt::Display) -> Result<usize, ClientError> {
    if check_name(name).is_err() || OWN.iter().any(|own| name.eq_ignore_ascii_case(own)) {
        return Err(ClientError::InvalidHeader);
    }
    let mut writer = Writer::new(out);
    writer.print(format_args!("{name}: "))?;
    let begin = writer.length();
    writer.print(format_args!("{value}"))?;
    check_value(writer.written().get(begin..).unwrap_or_default()).map_err(|_| ClientError::InvalidHeader)?;
    writer.bytes(b"\r\n")?;
    Ok(writer.length())
}

/// Removes the lines of the fields that are not to be kept, and closes the gaps. What is left, in bytes, is the answer.
pub(super) fn retain_fields(lines: &mut [u8], keep: impl Fn(&str) -> bool) -> usize {
    let (mut read, mut written) = (0, 0);
    while let Some((name, length)) = lines.get(read..).and_then(first_line) {
        let kept = keep(name);
        if kept {
            lines.copy_within(read..read + length, written);
            written += length;
        }
        read += length;
    }
    written
}

/// The name of the first field and the length of its line.
fn first_line(lines: &[u8]) -> Option<(&str, usize)> {
    let (name, _) = Fields::new(lines).next()?;
    let length = lines.iter().position(|byte| *byte == b'\n')? + 1;
    Some((name, length))
}

/// What a request head says beside the caller's fields.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestHead<'a> {
    pub(super) method: Method,
    pub(super) url: Url<'a>,
    /// The caller's fields, as [`write_field`] has written them.
    pub(super) fields: &'a [u8],
    pub(super) framing: Framing,
    /// Whether the connection is to be closed after the response.
    pub(super) close: bool,
    pub(super) user_agent: Option<&'a str>,
}

impl RequestHead<'_> {
    /// Writes it. The length is the answer.
    ///
    /// # Errors
    /// [`ClientError::BufferTooSmall`], and [`ClientError::InvalidHeader`] for a user agent that is no field value.
    pub(super) fn write(&self, out: &mut [u8]) -> Result<usize, ClientError> {
        let mut writer = Writer::new(out);
        let (target, authority) = (self.url.target(), self.url.authority());
        // Host comes first (RFC 9110 section 7.2).
        writer.print(format_args!("{} {target} HTTP/1.1\r\nHost: {authority}\r\n", self.method))?;
        if let Some(name) = self.user_agent
            && Fields::new(self.fields).get_bytes("user-agent").is_none()
        {
            check_value(name.as_bytes()).map_err(|_| ClientError::InvalidHeader)?;
            writer.print(format_args!("User-Agent: {name}\r\n"))?;
        }
        if self.close {
            writer.bytes(b"Connection: close\r\n")?;
        }
        match self.framing {
            Framing::Length(length) => writer.print(format_args!("Content-Length: {length}\r\n"))?,
            Framing::Chunked => writer.bytes(b"Transfer-Encoding: chunked\r\n")?,
            Framing::None | Framing::UntilClose => {}
        }
        writer.bytes(self.fields)?;
        writer.bytes(b"\r\n")?;
        Ok(writer.length())
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    fn field(name: &str, value: &str) -> Result<String, ClientError> {
        let mut out = [0; 100];
        let length = write_field(&mut out, name, value)?;
        Ok(String::from_utf8(out[..length].to_vec()).unwrap())
    }

    #[test]
    fn h24_no_field_can_carry_another_one_into_the_head() {
        assert_eq!(field("X-Name", "a value, with: \"all\"\tb").unwrap(), "X-Name: a value, with: \"all\"\tb\r\n");
        assert_eq!(field("x", "").unwrap(), "x: \r\n");
        assert_eq!(field("x", "\u{fc}").unwrap(), "x: \u{fc}\r\n");
        for (name, value) in [
            ("X", "a\r\nY: b"),
            ("X", "a\nY: b"),
            ("X", "a\rY: b"),
            ("X", "a\r\n"),
            ("X", "a\0"),
            ("X", "a\u{7f}"),
            ("X", "\u{1b}[0m"),
            ("", "a"),
            ("X:", "a"),
            ("X ", "a"),
            ("X\r\nY", "a"),
            ("\u{fc}", "a"),
        ] {
            assert_eq!(field(name, value), Err(ClientError::InvalidHeader), "{name:?} {value:?}");
        }
    }

    #[test]
    fn h24_the_fields_of_the_connection_are_the_clients_own() {
        for name in ["Host", "host", "CONTENT-LENGTH", "Transfer-Encoding", "Connection", "Expect", "Upgrade", "TE"] {
            assert_eq!(field(name, "1"), Err(ClientError::InvalidHeader), "{name}");
        }
        assert!(field("Hostess", "1").is_ok());
    }

    #[test]
    fn a_field_that_does_not_fit_says_so() {
        assert_eq!(write_field(&mut [0; 8], "X", "abc"), Ok(8));
        for room in 0..8 {
            assert_eq!(write_field(&mut [0; 8][..room], "X", "abc"), Err(ClientError::BufferTooSmall));
        }
    }

    #[test]
    fn fields_are_removed_without_a_trace() {
        let mut lines: Vec<u8> = b"A: 1\r\nAuthorization: x: y\r\nB: \r\nauthorization: z\r\nC: 3\r\n".to_vec();
        let left = retain_fields(&mut lines, |name| !name.eq_ignore_ascii_case("Authorization"));
        assert_eq!(&lines[..left], b"A: 1\r\nB: \r\nC: 3\r\n");
        assert_eq!(retain_fields(&mut lines[..left], |_| false), 0);
        assert_eq!(retain_fields(&mut [], |_| true), 0);
    }

    fn head(url: &str, fields: &str, framing: Framing, close: bool, user_agent: Option<&str>) -> String {
        let url = Url::parse(url).unwrap();
        let head = RequestHead { method: Method::Put, url, fields: fields.as_bytes(), framing, close, user_agent };
        let mut out = [0; 200];
        let length = head.write(&mut out).unwrap();
        for room in 0..length {
            assert_eq!(head.write(&mut out[..room]), Err(ClientError::BufferTooSmall));
        }
        String::from_utf8(out[..length].to_vec()).unwrap()
    }

    #[test]
    fn h24_heads_as_they_are_sent() {
        assert_eq!(
            head("http://A/b?c#d", "", Framing::None, false, Some("t/1")),
            "PUT /b?c HTTP/1.1\r\nHost: a\r\nUser-Agent: t/1\r\n\r\n"
        );
        assert_eq!(
            head("http://[::1]:81", "user-agent: me\r\n", Framing::Length(0), true, Some("t/1")),
            "PUT / HTTP/1.1\r\nHost: [::1]:81\r\nConnection: close\r\nContent-Length: 0\r\nuser-agent: me\r\n\r\n"
        );
        assert_eq!(
            head("http://a", "X: y\r\n", Framing::Chunked, false, None),
            "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
        );
    }

    #[test]
    fn h24_no_user_agent_can_carry_a_field_into_the_head() {
        let url = Url::parse("http://a").unwrap();
        let head = RequestHead {
            method: Method::Get,
            url,
            fields: b"",
            framing: Framing::None,
            close: false,
            user_agent: Some("a\r\nX: y"),
        };
        assert_eq!(head.write(&mut [0; 200]), Err(ClientError::InvalidHeader));
    }
}
