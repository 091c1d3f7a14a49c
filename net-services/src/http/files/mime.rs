//! Media types by the ending of a file's name.
//!
//! ```
//! use net_services::http::files::mime;
//!
//! assert_eq!(mime::by_name("index.HTML").text(), "text/html; charset=utf-8");
//! assert_eq!(mime::by_name("no-ending").text(), mime::DEFAULT);
//! ```

/// The media type of files with an unknown ending: bytes of which nothing is known.
pub const DEFAULT: &str = "application/octet-stream";

/// A media type, and whether files of it become smaller by compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mime {
    text: &'static str,
    compressible: bool,
}

impl Mime {
    /// As in a `Content-Type` field. Text types say that they are UTF-8, unless they say it in the file itself, as XML and
    /// JSON do.
    pub const fn text(self) -> &'static str {
        self.text
    }

    /// Whether a compressed sibling of such a file can be worth its room.
    pub const fn is_compressible(self) -> bool {
        self.compressible
    }
}

/// Endings and types, as registered with IANA. What compression does not make smaller comes second.
const PLAIN: &[(&str, &str)] = &[
    ("html", "text/html; charset=utf-8"),
    ("htm", "text/html; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("wasm", "application/wasm"),
    ("svg", "image/svg+xml"),
    ("ico", "image/vnd.microsoft.icon"),
    ("txt", "text/plain; charset=utf-8"),
    ("lua", "text/plain; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("xml", "application/xml"),
    ("webmanifest", "application/manifest+json"),
    ("pdf", "application/pdf"),
    ("wav", "audio/vnd.wave"),
    ("bmp", "image/bmp"),
    ("ttf", "font/ttf"),
    ("otf", "font/otf"),
];
const PACKED: &[(&str, &str)] = &[
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("avif", "image/avif"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
    ("gz", "application/gzip"),
    ("zip", "application/zip"),
    ("br", DEFAULT),
];

/// The type of a file with this name. Case does not matter.
pub fn by_name(name: &str) -> Mime {
    let ending = match name.rsplit_once('.') {
        // A name that only begins with a dot has no ending.
        Some((stem, ending)) if !stem.is_empty() => ending,
        _ => "",
    };
    let find = |table: &[(&str, &'static str)]| {
        table.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, text)| *text)
    };
    match (find(PLAIN), find(PACKED)) {
        (Some(text), _) => Mime { text, compressible: true },
        (None, Some(text)) => Mime { text, compressible: false },
        (None, None) => Mime { text: DEFAULT, compressible: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h17_types_are_those_of_iana() {
        for (name, text) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.wasm", "application/wasm"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.jpg", "image/jpeg"),
            ("a.gif", "image/gif"),
            ("a.webp", "image/webp"),
            ("a.ico", "image/vnd.microsoft.icon"),
            ("a.woff2", "font/woff2"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.xml", "application/xml"),
            ("a.pdf", "application/pdf"),
            ("a.mp3", "audio/mpeg"),
            ("a.mp4", "video/mp4"),
            ("a.JpG", "image/jpeg"),
            ("a.tar.gz", "application/gzip"),
            ("a.html.unknown", DEFAULT),
            ("html", DEFAULT),
            (".html", DEFAULT),
            ("a.", DEFAULT),
            ("", DEFAULT),
        ] {
            assert_eq!(by_name(name).text(), text, "{name}");
        }
    }

    #[test]
    fn what_is_packed_already_is_not_compressible() {
        for (name, compressible) in [("a.html", true), ("a.png", false), ("a.gz", false), ("a.br", false), ("a", true)]
        {
            assert_eq!(by_name(name).is_compressible(), compressible, "{name}");
        }
    }

    #[test]
    fn no_ending_stands_twice() {
        for table in [PLAIN, PACKED] {
            for (ending, text) in table {
                assert_eq!(by_name(&std::format!("x.{ending}")).text(), *text);
            }
        }
    }
}
