//! Files that are part of the program.

use core::cmp::Ordering;

use net_core::time::UnixTime;

use super::{Coding, Entries, Entry, EntryKind, File, FileError, Files, Found, Metadata, Path};

/// A tree of files in the program's read-only memory, sent from there without a copy.
///
/// It is written by hand, as in the example of [the module](super), or made from a directory at build time by
/// `embed::tree` (feature `embed`).
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    files: &'static [EmbeddedFile],
}

/// A file in an [`Embedded`] tree.
///
/// ```
/// use net_services::http::files::EmbeddedFile;
///
/// const PAGE: EmbeddedFile = EmbeddedFile { version: Some(17), ..EmbeddedFile::new("page.html", b"<p>Hello") };
/// # let _ = PAGE;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedFile {
    /// Where it is, from the root, without a slash at the beginning.
    pub path: &'static str,
    /// What it has in it.
    pub bytes: &'static [u8],
    /// The same compressed by gzip.
    pub gzip: Option<&'static [u8]>,
    /// The same compressed by Brotli.
    pub brotli: Option<&'static [u8]>,
    /// When it was last changed.
    pub modified: Option<UnixTime>,
    /// A number that is another one for any other content, as a hash is: see [`Metadata::version`].
    pub version: Option<u64>,
}

impl EmbeddedFile {
    /// A file of which no more is known than what it has in it.
    pub const fn new(path: &'static str, bytes: &'static [u8]) -> Self {
        Self { path, bytes, gzip: None, brotli: None, modified: None, version: None }
    }

    const fn reader(&self, bytes: &'static [u8]) -> EmbeddedReader {
        let metadata = Metadata { length: bytes.len() as u64, modified: self.modified, version: self.version };
        EmbeddedReader { bytes, metadata }
    }
}

impl Embedded {
    /// The tree of these files, which must be in the order of the bytes of their paths, each path once.
    ///
    /// # Panics
    /// When they are in another order: in a `static` or `const` that is an error of the compiler.
    pub const fn new(files: &'static [EmbeddedFile]) -> Self {
        let mut i = 1;
        while i < files.len() {
            assert!(precedes(files[i - 1].path, files[i].path), "the files are not sorted by path");
            i += 1;
        }
        Self { files }
    }

    /// The files, sorted by path.
    pub const fn files(&self) -> &'static [EmbeddedFile] {
        self.files
    }

    fn find(&self, path: Path<'_>) -> Option<&'static EmbeddedFile> {
        let at = self.files.binary_search_by(|file| path.compare(file.path).reverse()).ok()?;
        self.files.get(at)
    }

    /// The files below the directory `path`.
    fn below(&self, path: Path<'_>) -> &'static [EmbeddedFile] {
        let slash = if path.is_root() { "" } else { "/" };
        let length = path.bytes().count() + slash.len();
        // How the beginning of a file's path, as long as the directory's, compares with that.
        let compare = |file: &EmbeddedFile| file.path.bytes().take(length).cmp(path.bytes().chain(slash.bytes()));
        let first = self.files.partition_point(|file| compare(file) == Ordering::Less);
        let rest = self.files.get(first..).unwrap_or_default();
        rest.get(..rest.partition_point(|file| compare(file) == Ordering::Equal)).unwrap_or_default()
    }
}

/// Whether `a` comes before `b`. (`str`'s own order cannot be asked for in a constant.)
const fn precedes(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

impl Files for Embedded {
    type File<'f> = EmbeddedReader;
    type Entries<'f> = EmbeddedEntries;

    async fn open(&self, path: Path<'_>) -> Result<Found<EmbeddedReader, EmbeddedEntries>, FileError> {
        if let Some(file) = self.find(path) {
            return Ok(Found::File(file.reader(file.bytes)));
        }
        match self.below(path) {
            [] if !path.is_root() => Err(FileError::NotFound),
            files => {
                let skip = if path.is_root() { 0 } else { path.bytes().count() + 1 };
                Ok(Found::Directory(EmbeddedEntries { files, skip }))
            }
        }
    }

    async fn open_coded(&self, path: Path<'_>, coding: Coding) -> Option<EmbeddedReader> {
        let file = self.find(path)?;
        let bytes = match coding {
            Coding::Gzip => file.gzip,
            Coding::Brotli => file.brotli,
        };
        bytes.map(|bytes| file.reader(bytes))
    }
}

/// A file of an [`Embedded`] tree, open.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedReader {
    bytes: &'static [u8],
    metadata: Metadata,
}

impl File for EmbeddedReader {
    fn metadata(&self) -> Metadata {
        self.metadata
    }

    async fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.bytes.get(offset..)).unwrap_or_default();
        let copied = buffer.iter_mut().zip(rest).map(|(to, from)| *to = *from).count();
        Ok(copied)
    }

    fn as_bytes(&self) -> Option<&[u8]> {
        Some(self.bytes)
    }
}

/// The entries of a directory of an [`Embedded`] tree, sorted.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedEntries {
    /// What is still to come, with all that is below it.
    files: &'static [EmbeddedFile],
    /// The length of the directory's own path, with its slash.
    skip: usize,
}

impl Entries for EmbeddedEntries {
    async fn next(&mut self) -> Result<Option<Entry<'_>>, FileError> {
        let Some((file, rest)) = self.files.split_first() else { return Ok(None) };
        let below = file.path.get(self.skip..).unwrap_or_default();
        let Some((name, _)) = below.split_once('/') else {
            self.files = rest;
            let kind = EntryKind::File(file.bytes.len() as u64);
            return Ok(Some(Entry { name: below, kind, modified: file.modified }));
        };
        // All that is in it comes in one run.
        let path = file.path.get(..self.skip + name.len() + 1).unwrap_or_default();
        let inside = self.files.iter().take_while(|file| file.path.starts_with(path)).count();
        self.files = self.files.get(inside..).unwrap_or_default();
        Ok(Some(Entry { name, kind: EntryKind::Directory, modified: None }))
    }
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    static TREE: Embedded = Embedded::new(&[
        EmbeddedFile::new("a", b"1"),
        EmbeddedFile::new("a.txt", b"22"),
        EmbeddedFile::new("b/c.txt0", b""),
        EmbeddedFile { gzip: Some(b"z"), version: Some(7), ..EmbeddedFile::new("b/c/d.html", b"333") },
        EmbeddedFile::new("b/c/e.html", b"4444"),
        EmbeddedFile::new("b0", b"55555"),
        EmbeddedFile::new("\u{fc}/x", b"666666"),
    ]);

    fn open(path: &str) -> Result<Found<EmbeddedReader, EmbeddedEntries>, FileError> {
        virtual_time::block_on(TREE.open(Path::new(path).unwrap()))
    }

    fn names(path: &str) -> Vec<String> {
        let Ok(Found::Directory(mut entries)) = open(path) else { panic!("{path} is no directory") };
        let mut names = Vec::new();
        while let Some(entry) = virtual_time::block_on(entries.next()).unwrap() {
            names.push(match entry.kind {
                EntryKind::File(length) => std::format!("{} {length}", entry.name),
                EntryKind::Directory => std::format!("{}/", entry.name),
            });
        }
        names
    }

    #[test]
    fn every_file_is_found_by_its_path_and_by_no_other() {
        for file in TREE.files() {
            let Ok(Found::File(found)) = open(file.path) else { panic!("{} is no file", file.path) };
            assert_eq!(found.as_bytes(), Some(file.bytes));
            assert_eq!(found.metadata().length, file.bytes.len() as u64);
        }
        for path in ["b/", "c", "b/c/d", "b/c/d.htm", "b/c/d.html0", "a/x", "A", "z", "b/c/d.html.gz"] {
            let found = Path::new(path).map(|path| virtual_time::block_on(TREE.open(path)));
            assert!(!matches!(found, Some(Ok(_))), "{path}");
        }
        let joined = Path::new("b/c").and_then(|path| path.join("e.html")).unwrap();
        assert!(matches!(virtual_time::block_on(TREE.open(joined)), Ok(Found::File(_))));
    }

    #[test]
    fn directories_are_what_lies_in_them() {
        assert_eq!(names(""), ["a 1", "a.txt 2", "b/", "b0 5", "\u{fc}/"]);
        assert_eq!(names("b"), ["c.txt0 0", "c/"]);
        assert_eq!(names("b/c"), ["d.html 3", "e.html 4"]);
        assert_eq!(names("\u{fc}"), ["x 6"]);
        static EMPTY: Embedded = Embedded::new(&[]);
        assert!(matches!(virtual_time::block_on(EMPTY.open(Path::ROOT)), Ok(Found::Directory(_))));
    }

    #[test]
    fn a_compressed_sibling_has_the_length_of_its_own() {
        let coded = |path, coding| virtual_time::block_on(TREE.open_coded(Path::new(path).unwrap(), coding));
        let sibling = coded("b/c/d.html", Coding::Gzip).unwrap();
        assert_eq!(sibling.as_bytes(), Some(&b"z"[..]));
        assert_eq!(sibling.metadata(), Metadata { length: 1, modified: None, version: Some(7) });
        assert!(coded("b/c/d.html", Coding::Brotli).is_none());
        assert!(coded("a", Coding::Gzip).is_none());
        assert!(coded("none", Coding::Gzip).is_none());
    }

    #[test]
    fn reading_ends_at_the_end() {
        let Ok(Found::File(mut file)) = open("b0") else { panic!("b0 is no file") };
        for (offset, size, read) in [(0, 8, 5), (0, 3, 3), (3, 8, 2), (5, 8, 0), (u64::MAX, 8, 0), (0, 0, 0)] {
            let mut buffer = std::vec![0; size];
            assert_eq!(virtual_time::block_on(file.read_at(offset, &mut buffer)), Ok(read), "{offset}");
        }
    }

    #[test]
    #[should_panic(expected = "not sorted")]
    fn files_out_of_order_are_refused() {
        static WRONG: &[EmbeddedFile] = &[EmbeddedFile::new("b", b""), EmbeddedFile::new("a", b"")];
        Embedded::new(WRONG);
    }

    #[test]
    #[should_panic(expected = "not sorted")]
    fn files_given_twice_are_refused() {
        static WRONG: &[EmbeddedFile] = &[EmbeddedFile::new("a", b""), EmbeddedFile::new("a", b"")];
        Embedded::new(WRONG);
    }
}
