//! The fields that decide how a message is framed and what becomes of the connection (RFC 9112 sections 6 and 9).

use super::fields::is_same;

/// What the fields of one head say, gathered field by field.
#[derive(Debug, Default)]
pub(super) struct Control<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    /// An expectation that nobody here can meet.
    pub(super) expects_more: bool,
}

impl<'a> Control<'a> {
    /// Takes note of one field. The error says what is wrong with it.
    pub(super) fn add(&mut self, name: &str, value: &'a [u8]) -> Result<(), &'static str> {
        let name = name.as_bytes();
        if is_same(name, b"content-length") {
            let length = content_length(value).ok_or("Content-Length is not a plain number")?;
            if self.content_length.replace(length).is_some() {
                return Err("two Content-Length fields");
            }
        } else if is_same(name, b"transfer-encoding") {
            if !is_same(value, b"chunked") {
                return Err("Transfer-Encoding is not chunked alone");
            }
            if core::mem::replace(&mut self.chunked, true) {
                return Err("two Transfer-Encoding fields");
            }
        } else if is_same(name, b"host") {
            if self.host.replace(value).is_some() {
                return Err("two Host fields");
            }
        } else if is_same(name, b"connection") {
            for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                self.close |= is_same(option, b"close");
                self.keep_alive |= is_same(option, b"keep-alive");
            }
        } else if is_same(name, b"expect") {
            if is_same(value, b"100-continue") {
                self.expects_continue = true;
            } else {
                self.expects_more = true;
            }
        }
        Ok(())
    }

    /// Checks that there is at most one way to find the end of the message.
    pub(super) fn check(&self, minor_version: u8) -> Result<(), &'static str> {
        if self.chunked && self.content_length.is_some() {
            return Err("both Content-Length and Transfer-Encoding");
        }
        if self.chunked && minor_version == 0 {
            return Err("Transfer-Encoding in HTTP/1.0");
        }
        Ok(())
    }

    /// Whether the connection may serve another request after this one (RFC 9112 section 9.3).
    pub(super) fn persists(&self, minor_version: u8) -> bool {
        !self.close && (minor_version > 0 || self.keep_alive)
    }
}

/// The number of a Content-Length field: up to 19 digits, no sign, no leading zero (H-7).
fn content_length(value: &[u8]) -> Option<u64> {
    let canonical = matches!(value, [b'0'] | [b'1'..=b'9', ..]) && value.len() <= 19;
    if !canonical || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Nineteen digits are always less than 2^64.
    Some(value.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}
