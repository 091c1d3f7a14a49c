//! Names and values of a query or a form, in `application/x-www-form-urlencoded`.

use core::fmt::{self, Write as _};
use core::str::FromStr;

use percent_encoding::percent_decode;

use super::Error;

/// Bytes of a decoded value that [`Field::parse`] takes: more than any number or address needs.
const PARSED: usize = 64;

/// A name or a value of a query or a form, as it was sent.
///
/// It is decoded while it is compared, displayed, parsed or copied; until then there is no buffer to run out of. The
/// rules are those that browsers follow (WHATWG URL, section 5.1): `+` is a space, and a `%` without two hexadecimal
/// digits behind it is a `%`. What does not stand for UTF-8 is equal to no text, and displays `U+FFFD` in place of what
/// is wrong.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// A field as it was sent, still encoded.
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { raw }
    }

    /// The bytes as they were sent.
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Whether it is the empty text.
    pub const fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// The bytes it stands for, one after another.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        // An escape never holds a `+`, so decoding between them is the same as decoding the whole.
        let pieces = self.raw.split(|byte| *byte == b'+').enumerate();
        pieces.flat_map(|(i, piece)| (i > 0).then_some(b' ').into_iter().chain(percent_decode(piece)))
    }

    /// Writes the text it stands for into `buffer`. As many bytes as were sent are always enough.
    ///
    /// # Errors
    /// [`FieldError::TooLong`] and [`FieldError::NotUtf8`].
    pub fn decode<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, FieldError> {
        let mut length = 0;
        for byte in self.bytes() {
            *buffer.get_mut(length).ok_or(FieldError::TooLong)? = byte;
            length += 1;
        }
        let decoded = buffer.get(..length).unwrap_or_default();
        core::str::from_utf8(decoded).map_err(|_| FieldError::NotUtf8)
    }

    /// Parses the text it stands for: numbers, addresses, `bool`, and whatever else is [`FromStr`]. White space is not
    /// taken off.
    ///
    /// # Errors
    /// [`FieldError::TooLong`] for more than 64 bytes, [`FieldError::NotUtf8`], and [`FieldError::Invalid`] when it
    /// cannot be parsed.
    pub fn parse<T: FromStr>(&self) -> Result<T, FieldError> {
        self.decode(&mut [0; PARSED])?.parse().map_err(|_| FieldError::Invalid)
    }
}

impl PartialEq<str> for Field<'_> {
    fn eq(&self, other: &str) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl PartialEq<&str> for Field<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Four bytes hold any character; what is held is at most one that is not complete.
        let (mut held, mut length) = ([0; 4], 0);
        for byte in self.bytes() {
            if let Some(place) = held.get_mut(length) {
                *place = byte;
                length += 1;
            }
            length = write_complete(&mut held, length, f)?;
        }
        if length > 0 { f.write_char(char::REPLACEMENT_CHARACTER) } else { Ok(()) }
    }
}

/// Writes what the first `length` bytes of `held` hold of complete characters and of errors, and moves the rest to the
/// front. Gives the length of the rest, at most 3.
fn write_complete(held: &mut [u8; 4], length: usize, f: &mut fmt::Formatter<'_>) -> Result<usize, fmt::Error> {
    let mut done = 0;
    while let Some(rest) = held.get(done..length).filter(|rest| !rest.is_empty()) {
        match core::str::from_utf8(rest) {
            Ok(text) => {
                f.write_str(text)?;
                return Ok(0);
            }
            Err(error) => match error.error_len() {
                Some(wrong) => {
                    f.write_char(char::REPLACEMENT_CHARACTER)?;
                    done += wrong;
                }
                None => break,
            },
        }
    }
    held.copy_within(done..length, 0);
    Ok(length - done)
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.raw.escape_ascii())
    }
}

/// Why a [`Field`] cannot be had as what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldError {
    /// It does not fit into the buffer.
    TooLong,
    /// It does not stand for UTF-8 text.
    NotUtf8,
    /// It cannot be parsed as the type that was asked for.
    Invalid,
}

impl FieldError {
    const fn text(self) -> &'static str {
        match self {
            Self::TooLong => "a field of the form is too long",
            Self::NotUtf8 => "a field of the form is not UTF-8",
            Self::Invalid => "a field of the form is not what it should be",
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for FieldError {}

/// A field that is wrong is the client's mistake: 400.
impl From<FieldError> for Error {
    fn from(error: FieldError) -> Self {
        Self::BadRequest(error.text())
    }
}

/// The names and values of a query or a form, in the order they were sent.
///
/// Iterating takes them off; [`get`](Self::get) and [`all`](Self::all) look through those that are left.
///
/// ```
/// use net_services::http::Pairs;
///
/// let query = Pairs::new(b"name=B%C3%A4r+%26+Co&volts=3.3&on");
/// let name = query.get("name").unwrap();
/// assert_eq!(name, "Bär & Co");
/// assert_eq!(query.get("volts").unwrap().parse::<f32>(), Ok(3.3));
/// assert!(query.get("on").unwrap().is_empty());
/// assert!(query.get("off").is_none());
///
/// let mut buffer = [0; 16];
/// assert_eq!(name.decode(&mut buffer), Ok("Bär & Co"));
/// ```
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// The pairs of `raw`, which is `name=value` with `&` between them. Any bytes will do: what has no `=` is a name
    /// with an empty value, and what is empty is no pair.
    pub const fn new(raw: &'a [u8]) -> Self {
        Self { rest: raw }
    }

    /// The first value of that name.
    pub fn get(&self, name: &str) -> Option<Field<'a>> {
        self.all(name).next()
    }

    /// All values of that name, such as a group of checkboxes has.
    pub fn all<'n>(&self, name: &'n str) -> impl Iterator<Item = Field<'a>> + use<'a, 'n> {
        self.clone().filter(move |(n, _)| *n == name).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Field<'a>, Field<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = split_at_byte(self.rest, b'&');
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = split_at_byte(pair, b'=');
                return Some((Field::new(name), Field::new(value)));
            }
        }
        None
    }
}

/// What is before the first `byte` and what is behind it.
fn split_at_byte(bytes: &[u8], byte: u8) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| *b == byte).unwrap_or(bytes.len());
    (bytes.get(..end).unwrap_or_default(), bytes.get(end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    fn field(raw: &str) -> Field<'_> {
        Field::new(raw.as_bytes())
    }

    #[test]
    fn decodes_as_browsers_encode() {
        assert_eq!(field("a+b%20c"), "a b c");
        assert_eq!(field("%2B%26%3D%25"), "+&=%");
        assert_eq!(field("%e2%82%AC"), "€");
        assert_eq!(field("++"), "  ");
        // WHATWG URL 5.1 and its percent-decoding: what is no escape stays as it is.
        assert_eq!(field("100%"), "100%");
        assert_eq!(field("%zz%4"), "%zz%4");
        assert_eq!(field("%+41"), "% 41");
        assert_eq!(field("%2541"), "%41");
        assert_ne!(field("abc"), "ab");
        assert_ne!(field("ab"), "abc");
        assert!(field("").is_empty());
        assert_eq!(field("").bytes().count(), 0);
    }

    #[test]
    fn decoding_into_a_buffer_is_exact() {
        let mut buffer = [0; 4];
        assert_eq!(field("%41%42+d").decode(&mut buffer), Ok("AB d"));
        assert_eq!(field("abcde").decode(&mut buffer), Err(FieldError::TooLong));
        assert_eq!(field("%ff").decode(&mut buffer), Err(FieldError::NotUtf8));
        assert_eq!(field("").decode(&mut []), Ok(""));
    }

    #[test]
    fn parses() {
        assert_eq!(field("-12").parse::<i32>(), Ok(-12));
        assert_eq!(field("192%2E168.0.1").parse::<Ipv4Addr>(), Ok(Ipv4Addr::new(192, 168, 0, 1)));
        assert_eq!(field("twelve").parse::<i32>(), Err(FieldError::Invalid));
        assert_eq!(field("+12").parse::<i32>(), Err(FieldError::Invalid));
        assert_eq!(field(&"0".repeat(64)).parse::<u8>(), Ok(0));
        assert_eq!(field(&"0".repeat(65)).parse::<u8>(), Err(FieldError::TooLong));
        assert_eq!(Error::from(FieldError::Invalid).status(), crate::http::Status::BAD_REQUEST);
    }

    #[test]
    fn displays_like_a_lossy_string() {
        assert_eq!(field("B%C3%A4r+%F0%9F%A6%80").to_string(), "Bär 🦀");
        // Every sequence of up to four of these bytes: whole, cut, overlong and stray.
        let bytes = [b'a', b'+', 0x80, 0xbf, 0xc2, 0xe2, 0x82, 0xac, 0xed, 0xf0, 0x9f, 0xf4, 0xff];
        for i in 0..bytes.len().pow(4) {
            let raw: Vec<u8> = (0..4).map(|k| bytes[i / bytes.len().pow(k) % bytes.len()]).collect();
            let decoded: Vec<u8> = Field::new(&raw).bytes().collect();
            assert_eq!(Field::new(&raw).to_string(), String::from_utf8_lossy(&decoded));
        }
    }

    #[test]
    fn pairs_in_order() {
        let pairs: Vec<(String, String)> =
            Pairs::new(b"a=1&&b=&c&=d&a=2=3&").map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let expected = [("a", "1"), ("b", ""), ("c", ""), ("", "d"), ("a", "2=3")];
        assert!(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).eq(expected));
        assert_eq!(Pairs::new(b"").count(), 0);
        assert_eq!(Pairs::new(b"&&&").count(), 0);
    }

    #[test]
    fn finds_names_in_any_encoding() {
        let pairs = Pairs::new(b"x=0&%63olor=red&c%6flor=blue&COLOR=no");
        assert_eq!(pairs.get("color").unwrap(), "red");
        assert!(pairs.get("colour").is_none());
        let all: Vec<String> = pairs.all("color").map(|value| value.to_string()).collect();
        assert_eq!(all, ["red", "blue"]);
    }
}
