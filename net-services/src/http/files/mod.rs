//! Serving files: a document root ([`Site`]) over anything that has files ([`Files`]).
//!
//! Three kinds of files are there: [`Embedded`], a tree that is part of the program; a directory of a computer
//! (`port_linux::Directory`); and whatever implements the trait, as a file system on flash does.
//!
//! ```
//! use net_services::http::files::{Embedded, EmbeddedFile, Site};
//!
//! static FILES: Embedded = Embedded::new(&[
//!     EmbeddedFile::new("index.html", b"<!DOCTYPE html><title>Lamp</title>"),
//!     EmbeddedFile::new("lamp.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
//! ]);
//!
//! // A handler: give it to a server, or to a route by `SITE.serve`.
//! static SITE: Site<'static, Embedded> = Site::new(&FILES).with_cache_control("max-age=3600");
//! # let _ = &SITE;
//! ```
//!
//! # What a request gets
//!
//! | Request | Answer |
//! |---|---|
//! | a file | 200 with `Content-Type` by the ending of its name ([`mime`]), `ETag`, `Last-Modified`, `Accept-Ranges`, `Cache-Control`, `X-Content-Type-Options: nosniff` |
//! | with `Accept-Encoding`, and a sibling `.br` or `.gz` that is not older than the file | that one, with `Content-Encoding` and an `ETag` of its own; `Vary` says so in every answer for a file of a compressible type |
//! | with conditions ([`conditional`]) | 304 or 412 |
//! | with `Range` ([`ranges`]) | 206, several parts as `multipart/byteranges`; 416; HEAD takes no notice of it (RFC 9110 section 14.2) |
//! | a directory | the first of its index files; else a listing, if that is on; else 404 |
//! | a directory, without the slash at the end | 301 to the same with it |
//! | a name that is not safe ([`Path`]), or begins with a dot | 404 |
//! | `OPTIONS` | 204 with `Allow: GET, HEAD` |
//! | any other method | 405 with the same |
//!
//! A range counts bytes of what is sent: of the compressed sibling, if that is chosen (RFC 9110 section 14.2 with 8.4).
//! GET and HEAD have the same fields.

use core::fmt::Write;

use heapless::String;

#[doc(no_inline)]
pub use net_core::time::UnixTime;

mod coding;
pub mod conditional;
#[cfg(feature = "embed")]
pub mod embed;
mod embedded;
#[cfg(test)]
mod hostile_tests;
mod listing;
pub mod mime;
mod path;
pub mod ranges;
mod send;
mod site;
#[cfg(test)]
mod site_tests;

pub use coding::Coding;
pub use embedded::{Embedded, EmbeddedEntries, EmbeddedFile, EmbeddedReader};
pub use path::Path;
pub use site::Site;

/// A tree of files that can be read.
///
/// Paths come checked; what else leads out of the tree, as symbolic links do, must be refused by the implementation.
#[allow(async_fn_in_trait)] // for single-threaded executors; nothing is `Send`
pub trait Files {
    /// A file that is open.
    type File<'f>: File
    where
        Self: 'f;
    /// What lies in a directory.
    type Entries<'f>: Entries
    where
        Self: 'f;

    /// Opens what is at `path`.
    ///
    /// # Errors
    /// See [`FileError`].
    async fn open(&self, path: Path<'_>) -> Result<Found<Self::File<'_>, Self::Entries<'_>>, FileError>;

    /// The file at `path` as it is kept in `coding`, if it is. Unless the implementation knows better, that is a file of
    /// the same name with [`Coding::ending`].
    async fn open_coded(&self, path: Path<'_>, coding: Coding) -> Option<Self::File<'_>> {
        match self.open(path.with_ending(coding.ending())).await {
            Ok(Found::File(file)) => Some(file),
            Ok(Found::Directory(_)) | Err(_) => None,
        }
    }
}

/// A file that is open. It is one state of the file as long as it is open, as well as the file system can do that.
#[allow(async_fn_in_trait)] // for single-threaded executors; nothing is `Send`
pub trait File {
    /// What is known of it.
    fn metadata(&self) -> Metadata;

    /// Reads from `offset` on into the beginning of `buffer`, and says how many bytes that was: at least one, unless
    /// `offset` is at the end or `buffer` is empty.
    ///
    /// # Errors
    /// [`FileError::Failed`].
    async fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError>;

    /// All of it, if it lies in memory: then it is sent from there, without a copy and without
    /// [`read_at`](Self::read_at).
    fn as_bytes(&self) -> Option<&[u8]> {
        None
    }
}

/// The entries of a directory, one after another, in any order; without `.` and `..`.
#[allow(async_fn_in_trait)] // for single-threaded executors; nothing is `Send`
pub trait Entries {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// [`FileError::Failed`].
    async fn next(&mut self) -> Result<Option<Entry<'_>>, FileError>;
}

/// What lies at a path.
#[derive(Debug)]
pub enum Found<F, E> {
    /// A file.
    File(F),
    /// A directory, to be listed.
    Directory(E),
}

/// One entry of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its name, without a path.
    pub name: &'a str,
    /// What it is.
    pub kind: EntryKind,
    /// When it was last changed, if that is known.
    pub modified: Option<UnixTime>,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file of so many bytes.
    File(u64),
    /// A directory.
    Directory,
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Bytes.
    pub length: u64,
    /// When it was last changed. Without it there is no `Last-Modified`.
    pub modified: Option<UnixTime>,
    /// A number that is another one for any other content at the same path: a hash of the content, or of what the file
    /// system knows about its changes. Without it, `modified` stands for it; without both there is no `ETag`.
    pub version: Option<u64>,
}

/// The text of an entity tag.
type ETag = String<48>;

impl Metadata {
    /// The strong entity tag of the file, or of its sibling in `coding`.
    fn etag(&self, coding: Option<Coding>) -> Option<ETag> {
        let mut text = ETag::new();
        match (self.version, self.modified) {
            (Some(version), _) => write!(text, "\"{version:x}").ok()?,
            (None, Some(modified)) => write!(text, "\"m{:x}", modified.as_micros()).ok()?,
            (None, None) => return None,
        }
        write!(text, "-{:x}{}\"", self.length, coding.map_or("", Coding::ending)).ok()?;
        Some(text)
    }
}

/// Why a file cannot be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FileError {
    /// There is none at this path. Answer: 404.
    NotFound,
    /// There is one that must not be read: rights, a link that leads out of the tree, a device. Answer: 403.
    Forbidden,
    /// The file system or the disk failed. Answer: 500.
    Failed,
}

impl core::fmt::Display for FileError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file",
            Self::Forbidden => "file not allowed",
            Self::Failed => "file system failed",
        })
    }
}

impl core::error::Error for FileError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h13_an_etag_differs_by_content_and_coding() {
        let time = UnixTime::from_secs;
        let etag = |length, modified: Option<UnixTime>, version, coding| {
            Metadata { length, modified, version }.etag(coding).map(|etag| std::string::String::from(etag.as_str()))
        };
        assert_eq!(etag(10, None, Some(0xabc), None).as_deref(), Some("\"abc-a\""));
        assert_eq!(etag(10, None, Some(0xabc), Some(Coding::Gzip)).as_deref(), Some("\"abc-a.gz\""));
        assert_eq!(etag(10, None, None, None), None);
        let all = [
            etag(10, Some(time(1)), None, None),
            etag(11, Some(time(1)), None, None),
            etag(10, Some(time(2)), None, None),
            etag(10, Some(time(2)), None, Some(Coding::Gzip)),
            etag(10, Some(time(2)), None, Some(Coding::Brotli)),
            etag(10, Some(time(2)), Some(2_000_000), None),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(one.is_some() && all.iter().skip(i + 1).all(|other| other != one), "{one:?}");
        }
        // The date does not count where the content is known.
        assert_eq!(etag(10, Some(time(1)), Some(5), None), etag(10, Some(time(2)), Some(5), None));
        // The longest there is.
        let longest = etag(u64::MAX, Some(UnixTime::from_micros(u64::MAX)), None, Some(Coding::Gzip));
        assert_eq!(longest.map(|text| text.len()), Some(39));
    }
}
