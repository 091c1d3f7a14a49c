//! The decoder of multipart/form-data: from slices of a body to parts. It reads nothing itself.

use heapless::{String, Vec};
use nostd_multipart::{Event, Parser, content_disposition};
use percent_encoding::percent_decode;

use super::super::{Error, Status};
use super::{CONTENT_TYPE, FILE_NAME, NAME};

/// Bytes of one header line of a part, with its line end. Room for both names, and for what escapes them.
const LINE: usize = 384;
/// Header lines of a part. Browsers send two.
const LINES: usize = 8;

/// What is at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing that can be told yet: drop `skip` bytes and bring more.
    More {
        /// Bytes that are done with.
        skip: usize,
    },
    /// A part, whose [head](Decoder::head) is known: its content comes after `skip` bytes.
    Part {
        /// Bytes of boundary and head.
        skip: usize,
    },
    /// The first `length` bytes, 1 or more, are content of the part. They must be dropped before the next step.
    Data {
        /// Bytes of content.
        length: usize,
    },
    /// The content of the part has ended.
    PartEnd {
        /// Bytes of boundary.
        skip: usize,
    },
    /// There are no more parts.
    End {
        /// Bytes of boundary, and what came after it.
        skip: usize,
    },
}

/// What the header of a part says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) name: String<NAME>,
    pub(super) file_name: Option<String<FILE_NAME>>,
    pub(super) content_type: Option<String<CONTENT_TYPE>>,
    has_disposition: bool,
}

/// Finds the parts in a body. Holds no content, only the head of the part that it is in.
pub(super) struct Decoder<'b> {
    parser: Parser<'b, LINE, LINES>,
    head: Head,
    parts_left: usize,
}

impl<'b> Decoder<'b> {
    /// For a body of this `Content-Type`, and at most so many parts.
    pub(super) fn new(content_type: &'b str, parts: usize) -> Result<Self, Error> {
        let parser = Parser::from_content_type(content_type.as_bytes())
            .map_err(|_| Error::BadRequest("a multipart body without a valid boundary"))?;
        Ok(Self { parser, head: Head::default(), parts_left: parts })
    }

    /// Sets the number of parts that may still come.
    pub(super) fn set_parts(&mut self, parts: usize) {
        self.parts_left = parts;
    }

    /// The head of the part that is being read.
    pub(super) fn head(&self) -> &Head {
        &self.head
    }

    /// Looks at `input`, which goes on where the last step left off; `is_last` when nothing comes behind it.
    ///
    /// Any input of 84 bytes or more brings it on, however long the lines in it are.
    pub(super) fn next(&mut self, input: &[u8], is_last: bool) -> Result<Step, Error> {
        let mut skip = 0;
        loop {
            let (n, event) = self.parser.parse(input.get(skip..).unwrap_or_default(), is_last).map_err(reason)?;
            skip += n;
            match event {
                // Always the first of a step: the head before it and the boundary before that ended one.
                Some(Event::Data(data)) => return Ok(Step::Data { length: data.len() }),
                Some(Event::PartStart) => self.begin_part()?,
                Some(Event::Header { name, value }) => self.head.take(name, value)?,
                Some(Event::HeadersEnd) if self.head.has_disposition => return Ok(Step::Part { skip }),
                Some(Event::HeadersEnd) => return Err(Error::BadRequest("a part without Content-Disposition")),
                Some(Event::PartEnd) => return Ok(Step::PartEnd { skip }),
                Some(Event::Finished) => return Ok(Step::End { skip }),
                None if n == 0 => return Ok(Step::More { skip }),
                None => {}
            }
        }
    }

    fn begin_part(&mut self) -> Result<(), Error> {
        let too_many = Error::Status(Status::CONTENT_TOO_LARGE, "a form of more parts than allowed");
        self.parts_left = self.parts_left.checked_sub(1).ok_or(too_many)?;
        self.head = Head::default();
        Ok(())
    }
}

/// What the parser's errors are for the client.
fn reason(error: nostd_multipart::Error) -> Error {
    use nostd_multipart::Error as Parse;
    match error {
        Parse::UnexpectedEof => Error::BadRequest("a multipart body without its last boundary"),
        Parse::HeaderTooLong | Parse::TooManyHeaders => {
            Error::Status(Status::REQUEST_HEADER_FIELDS_TOO_LARGE, "a part with a header that is too large")
        }
        _ => Error::BadRequest("a part with a malformed header"),
    }
}

impl Head {
    /// Takes one header field. Those that RFC 7578 section 4.8 does not name are ignored, as it says.
    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Error> {
        if name.eq_ignore_ascii_case(b"content-disposition") {
            if self.has_disposition {
                return Err(Error::BadRequest("a part with two Content-Disposition"));
            }
            self.has_disposition = true;
            self.take_disposition(value)
        } else if name.eq_ignore_ascii_case(b"content-type") {
            let text = core::str::from_utf8(value).map_err(|_| Error::BadRequest("a part's type is not UTF-8"))?;
            let kept = String::try_from(text).map_err(|_| Error::BadRequest("a part's type is too long"))?;
            self.content_type = Some(kept);
            Ok(())
        } else if name.eq_ignore_ascii_case(b"content-transfer-encoding") {
            // Deprecated by RFC 7578 section 4.7: those that change nothing are let through, no others are decoded.
            let is_identity = ["7bit", "8bit", "binary"].iter().any(|e| value.eq_ignore_ascii_case(e.as_bytes()));
            let other = Error::Status(Status::UNSUPPORTED_MEDIA_TYPE, "a part in a transfer encoding");
            if is_identity { Ok(()) } else { Err(other) }
        } else {
            Ok(())
        }
    }

    /// RFC 7578 section 4.2.
    fn take_disposition(&mut self, value: &[u8]) -> Result<(), Error> {
        let malformed = Error::BadRequest("a part with a malformed Content-Disposition");
        let disposition = content_disposition(value).map_err(|_| malformed)?;
        if !disposition.is_form_data() {
            return Err(Error::BadRequest("a part that is no form-data"));
        }
        let name = disposition.name().ok_or(Error::BadRequest("a part without a name"))?;
        self.name = lossy(&unescape(name.raw())?).ok_or(Error::BadRequest("a part's name is too long"))?;
        // RFC 6266 section 4.3: the extended form, where both are given.
        let extended = disposition.filename_star().and_then(extended_value);
        let plain = disposition.filename().map(|file| unescape(file.raw())).transpose()?;
        if disposition.filename_star().is_some() && extended.is_none() && plain.is_none() {
            return Err(Error::BadRequest("a part's file name in an unknown encoding"));
        }
        if let Some(file_name) = extended.or(plain) {
            let kept = safe_name(&file_name).ok_or(Error::BadRequest("a part's file name is too long"))?;
            self.file_name = Some(kept);
        }
        Ok(())
    }
}

/// Decodes what is between the quotes of a parameter.
///
/// There are two conventions, and one text for both: browsers write `%22`, `%0D` and `%0A` for what cannot stand there,
/// and a backslash as it is (WHATWG HTML, multipart/form-data encoding algorithm); others write `\"` and `\\` (RFC 2045).
fn unescape(raw: &[u8]) -> Result<Vec<u8, LINE>, Error> {
    let mut decoded = Vec::new();
    let mut rest = raw;
    while let Some((first, behind)) = rest.split_first() {
        let (byte, after) = match rest {
            [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => (*escaped, after),
            [b'%', b'2', b'2', after @ ..] => (b'"', after),
            [b'%', b'0', b'D' | b'd', after @ ..] => (b'\r', after),
            [b'%', b'0', b'A' | b'a', after @ ..] => (b'\n', after),
            _ => (*first, behind),
        };
        decoded.push(byte).map_err(|_| Error::BadRequest("a part's name is too long"))?;
        rest = after;
    }
    Ok(decoded)
}

/// Decodes `UTF-8'language'text` (RFC 8187 section 3.2). `None` for any other encoding.
fn extended_value(raw: &[u8]) -> Option<Vec<u8, LINE>> {
    let mut pieces = raw.splitn(3, |byte| *byte == b'\'');
    let (encoding, _language, text) = (pieces.next()?, pieces.next()?, pieces.next()?);
    encoding.eq_ignore_ascii_case(b"utf-8").then_some(())?;
    let mut decoded = Vec::new();
    for byte in percent_decode(text) {
        decoded.push(byte).ok()?;
    }
    Some(decoded)
}

/// The last component of a path, for it is only a name that is wanted (RFC 7578 section 4.2): without the directories
/// that some clients send, without control characters, and empty where it would name a directory. `None`: it is longer
/// than what is kept.
fn safe_name(path: &[u8]) -> Option<String<FILE_NAME>> {
    let base = path.rsplit(|byte| matches!(byte, b'/' | b'\\')).next().unwrap_or_default();
    if matches!(base, b"" | b"." | b"..") {
        return Some(String::new());
    }
    let mut name = String::new();
    for c in lossy::<LINE>(base)?.chars() {
        name.push(if c.is_control() { '_' } else { c }).ok()?;
    }
    Some(name)
}

/// As text, with `U+FFFD` in place of what is not UTF-8. `None`: it does not fit.
fn lossy<const N: usize>(bytes: &[u8]) -> Option<String<N>> {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid()).ok()?;
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER).ok()?;
        }
    }
    Some(text)
}

#[cfg(test)]
pub(super) mod tests;
