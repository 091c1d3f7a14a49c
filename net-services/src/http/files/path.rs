//! Paths below a document root.

use core::cmp::Ordering;
use core::fmt;

/// Where a file lies below a document root, made only from what is safe (H-17): no segment is empty, `.` or `..`,
/// has a backslash or a control character, or looks like a drive (`C:`).
///
/// It is kept in pieces, so that neither an index name nor the ending of a compressed sibling needs a buffer to be
/// put behind it. [`Display`](fmt::Display) writes it in one piece, [`copy_to`](Self::copy_to) without a heap.
///
/// ```
/// use net_services::http::files::Path;
///
/// let docs = Path::new("docs").unwrap();
/// assert!(docs.join("index.html").is_some_and(|index| index == "docs/index.html"));
/// assert_eq!(Path::new("docs/../secret"), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Path<'a> {
    directory: &'a str,
    name: &'a str,
    ending: &'static str,
}

impl<'a> Path<'a> {
    /// The document root itself.
    pub const ROOT: Path<'static> = Path { directory: "", name: "", ending: "" };

    /// The path `text`, segments separated by `/`, with no slash at either end. An empty text is the root. `None` if it is
    /// not safe.
    pub fn new(text: &'a str) -> Option<Self> {
        let safe = text.is_empty() || text.split('/').all(is_safe);
        safe.then_some(Self { directory: text, ..Path::ROOT })
    }

    /// The file `name` in the directory that this is. `None` if the name is not safe, or is of more than one segment, and
    /// if this is already of two pieces.
    #[must_use]
    pub fn join(self, name: &'a str) -> Option<Self> {
        let fits = self.name.is_empty() && self.ending.is_empty() && !name.contains('/') && is_safe(name);
        fits.then_some(Self { name, ..self })
    }

    /// The same with `ending` behind it, as `.gz`, in place of an ending given before.
    #[must_use]
    pub const fn with_ending(self, ending: &'static str) -> Self {
        Self { directory: self.directory, name: self.name, ending }
    }

    /// Whether it is the document root itself.
    pub const fn is_root(self) -> bool {
        self.directory.is_empty() && self.name.is_empty() && self.ending.is_empty()
    }

    /// Whether it, or a directory on the way to it, is hidden: its name begins with a dot. `.well-known` in the root is not
    /// (RFC 8615).
    pub fn is_hidden(self) -> bool {
        let public = self.directory == ".well-known" || self.directory.starts_with(".well-known/");
        let segments = self.directory.split('/').skip(usize::from(public));
        segments.chain([self.name]).any(|segment| segment.starts_with('.'))
    }

    /// The last segment, without what [`with_ending`](Self::with_ending) has put behind it.
    pub fn name(self) -> &'a str {
        if self.name.is_empty() { self.directory.rsplit('/').next().unwrap_or_default() } else { self.name }
    }

    /// Its bytes, of all pieces.
    pub fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        let slash = if self.directory.is_empty() || self.name.is_empty() { "" } else { "/" };
        [self.directory, slash, self.name, self.ending].into_iter().flat_map(str::bytes)
    }

    /// How it compares with `text`, byte for byte.
    pub fn compare(self, text: &str) -> Ordering {
        self.bytes().cmp(text.bytes())
    }

    /// Writes it into the beginning of `buffer`. `None` if it does not fit.
    pub fn copy_to(self, buffer: &mut [u8]) -> Option<&str> {
        let length = self.bytes().count();
        let target = buffer.get_mut(..length)?;
        target.iter_mut().zip(self.bytes()).for_each(|(to, from)| *to = from);
        core::str::from_utf8(target).ok()
    }
}

/// Whether a name may be a segment of a path.
pub(super) fn is_safe(name: &str) -> bool {
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    !(matches!(name, "" | "." | "..") || drive || name.bytes().any(|byte| byte == b'\\' || byte.is_ascii_control()))
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.directory)?;
        if !self.directory.is_empty() && !self.name.is_empty() {
            f.write_str("/")?;
        }
        f.write_str(self.name)?;
        f.write_str(self.ending)
    }
}

impl PartialEq for Path<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes().eq(other.bytes())
    }
}

impl Eq for Path<'_> {}

impl PartialEq<&str> for Path<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.compare(other).is_eq()
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn h17_unsafe_paths_cannot_be_made() {
        for safe in ["", "a", "a/b.html", "a b/ü", "...", "a..b", ".a", "C", "1:2", "ab:c", "a%2e"] {
            assert_eq!(Path::new(safe).map(|path| path.to_string()).as_deref(), Some(safe));
        }
        for bad in [
            "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/..", "a/./b", "a\0", "a\0.html", "a\\b", "\\",
            "..\\a", "C:", "c:/x", "a/C:", "C:x", "a\r\nb", "a\x7f", "\x01",
        ] {
            assert_eq!(Path::new(bad), None, "{bad:?}");
        }
        let root = Path::ROOT;
        for bad in ["", ".", "..", "a/b", "/", "x\0", "D:", "a\\"] {
            assert_eq!(root.join(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn pieces_are_one_path() {
        let docs = Path::new("a/docs").unwrap();
        let index = docs.join("index.html").unwrap();
        for (path, text, name) in [
            (Path::ROOT, "", ""),
            (Path::ROOT.join("x").unwrap(), "x", "x"),
            (docs, "a/docs", "docs"),
            (index, "a/docs/index.html", "index.html"),
            (index.with_ending(".gz"), "a/docs/index.html.gz", "index.html"),
            (docs.with_ending(".gz"), "a/docs.gz", "docs"),
        ] {
            assert_eq!((path.to_string().as_str(), path.name()), (text, name));
            assert_eq!(path, Path::new(text).unwrap());
            assert_eq!(path.copy_to(&mut [0; 32]), Some(text));
            assert_eq!(path.is_root(), text.is_empty());
        }
        assert_eq!(index.copy_to(&mut [0; 16]), None);
        assert_eq!(index.join("more"), None);
        assert_eq!(docs.compare("a/docs"), Ordering::Equal);
        assert_eq!(docs.compare("a/docs/"), Ordering::Less);
        assert_eq!(docs.compare("a/doc"), Ordering::Greater);
    }

    #[test]
    fn h17_dot_files_are_hidden() {
        for (text, hidden) in [
            ("", false),
            ("a.b", false),
            (".htaccess", true),
            ("a/.git", true),
            (".git/config", true),
            (".well-known", false),
            (".well-known/security.txt", false),
            (".well-known/.secret", true),
            (".well-known2", true),
            ("a/.well-known/x", true),
        ] {
            assert_eq!(Path::new(text).unwrap().is_hidden(), hidden, "{text}");
        }
        assert!(Path::ROOT.join(".env").unwrap().is_hidden());
    }
}
