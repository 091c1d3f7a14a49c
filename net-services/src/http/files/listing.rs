//! A directory as a page.

use core::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::{BodyWriter, Error, date};
use super::path::is_safe;
use super::{Entries, Entry, EntryKind};

/// What is encoded in a segment of a path: all but the unreserved characters (RFC 3986 section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// The same for a whole path.
const PATH: &AsciiSet = &SEGMENT.remove(b'/');

/// What a listing is.
pub(super) const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// A path, encoded for a URL.
pub(super) fn encoded_path(path: &str) -> impl fmt::Display {
    utf8_percent_encode(path, PATH)
}

/// Writes the entries of the directory that the request's path names, one after another, as they come.
pub(super) async fn write<E: Entries>(
    writer: &mut BodyWriter<'_>,
    mut entries: E,
    path: &str,
    is_root: bool,
    shows_dot_files: bool,
) -> Result<(), Error> {
    if writer.is_head() {
        return Ok(());
    }
    let title = Escaped(path);
    writer
        .print(format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>{title}</title>\n</head>\n\
             <body>\n<h1>{title}</h1>\n<table>\n"
        ))
        .await?;
    if !is_root {
        writer.write_all(b"<tr><td><a href=\"../\">../</a></td></tr>\n").await?;
    }
    while let Some(entry) = entries.next().await? {
        // What no request can ask for is not offered.
        if is_safe(entry.name) && !entry.name.contains('/') && (shows_dot_files || !entry.name.starts_with('.')) {
            writer.print(format_args!("{}", Row(entry))).await?;
        }
    }
    writer.write_all(b"</table>\n</body>\n</html>\n").await
}

/// A line of the table: name, bytes, date.
struct Row<'a>(Entry<'a>);

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { name, kind, modified } = self.0;
        let slash = if kind == EntryKind::Directory { "/" } else { "" };
        // With all of its special characters encoded, no name is taken for a scheme.
        let link = utf8_percent_encode(name, SEGMENT);
        write!(f, "<tr><td><a href=\"{link}{slash}\">{}{slash}</a></td><td>", Escaped(name))?;
        if let EntryKind::File(length) = kind {
            write!(f, "{length}")?;
        }
        f.write_str("</td><td>")?;
        if let Some(modified) = modified {
            f.write_str(core::str::from_utf8(&date::write(modified)).unwrap_or_default())?;
        }
        f.write_str("</td></tr>\n")
    }
}

/// Text, escaped for HTML: for elements and for attributes in quotation marks.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let (text, special) = match piece.char_indices().next_back() {
                Some((at, '&')) => (piece.get(..at), "&amp;"),
                Some((at, '<')) => (piece.get(..at), "&lt;"),
                Some((at, '>')) => (piece.get(..at), "&gt;"),
                Some((at, '"')) => (piece.get(..at), "&quot;"),
                Some((at, '\'')) => (piece.get(..at), "&#39;"),
                _ => (Some(piece), ""),
            };
            f.write_str(text.unwrap_or_default())?;
            f.write_str(special)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::super::UnixTime;
    use super::*;

    #[test]
    fn h17_names_are_escaped_for_html() {
        for (text, escaped) in [
            ("", ""),
            ("plain", "plain"),
            ("<script>alert('1')</script>", "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;"),
            ("\"onclick=\"", "&quot;onclick=&quot;"),
            ("a&b&amp;", "a&amp;b&amp;amp;"),
            ("\u{fc}&\u{fc}", "\u{fc}&amp;\u{fc}"),
        ] {
            assert_eq!(Escaped(text).to_string(), escaped);
        }
    }

    #[test]
    fn h17_links_are_encoded() {
        for (name, link) in [
            ("a-b_c~1.html", "a-b_c~1.html"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("?#&", "%3F%23%26"),
            ("javascript:alert(1)", "javascript%3Aalert%281%29"),
            ("\u{fc}", "%C3%BC"),
            ("'\"<", "%27%22%3C"),
        ] {
            let row = Row(Entry { name, kind: EntryKind::File(7), modified: None }).to_string();
            assert!(row.starts_with(&std::format!("<tr><td><a href=\"{link}\">")), "{row}");
            assert!(row.ends_with("</a></td><td>7</td><td></td></tr>\n"), "{row}");
        }
        let modified = Some(UnixTime::from_secs(0));
        let row = Row(Entry { name: "x", kind: EntryKind::Directory, modified }).to_string();
        let expected = "<tr><td><a href=\"x/\">x/</a></td><td></td><td>Thu, 01 Jan 1970 00:00:00 GMT</td></tr>\n";
        assert_eq!(row, expected);
        assert_eq!(encoded_path("/a b/\u{fc}?").to_string(), "/a%20b/%C3%BC%3F");
    }
}
