//! Making an [`Embedded`](super::Embedded) tree from a directory, in a build script.
//!
//! `Cargo.toml` of the program, whose own `net-services` stays without `embed` and so without std:
//!
//! ```toml
//! [dependencies]
//! net-services = { version = "0.1", default-features = false, features = ["http"] }
//! [build-dependencies]
//! net-services = { version = "0.1", default-features = false, features = ["embed"] }
//! ```
//!
//! `build.rs`:
//!
//! ```no_run
//! fn main() -> std::io::Result<()> {
//!     net_services::http::files::embed::tree("www").write()
//! }
//! ```
//!
//! and in the program:
//!
//! ```ignore
//! // There is nothing to include where no build script has run.
//! static WWW: Embedded = include!(concat!(env!("OUT_DIR"), "/www.rs"));
//! ```

use core::hash::Hasher;
use std::collections::BTreeMap;
use std::format;
use std::fs;
use std::io::{self, Write};
use std::path::{self, PathBuf};
use std::string::String;
use std::time::{Duration, SystemTime};
use std::vec::Vec;
use std::{env, println};

use flate2::{Compression, GzBuilder};
use siphasher::sip::SipHasher13;

use super::{Coding, Path, mime};

/// The files below `directory`, which is relative to the package's own if it is not absolute.
pub fn tree(directory: impl Into<PathBuf>) -> Tree {
    Tree { directory: directory.into(), gzip: true, dates: true }
}

/// A directory that is to be embedded. [`tree`] makes one.
///
/// What begins with a dot is left out. A file `x.gz` or `x.br` beside `x` is taken for its compressed form; where there is no
/// `x.gz`, one is made if that saves a tenth or more. All forms of a file are embedded, the plain one for
/// clients that ask for no other.
#[derive(Debug, Clone)]
#[must_use = "call write"]
pub struct Tree {
    directory: PathBuf,
    gzip: bool,
    dates: bool,
}

/// One file on its way into the table.
struct Source {
    file: PathBuf,
    gzip: Option<PathBuf>,
    brotli: Option<PathBuf>,
}

impl Tree {
    /// Makes no compressed forms.
    pub fn without_gzip(self) -> Self {
        Self { gzip: false, ..self }
    }

    /// Leaves out when the files were changed: the program is then the same whenever the files are. (Otherwise it is if the
    /// environment variable `SOURCE_DATE_EPOCH` is set: no date is later than that.)
    pub fn without_dates(self) -> Self {
        Self { dates: false, ..self }
    }

    /// Writes `$OUT_DIR/NAME.rs`, an expression of the type [`Embedded`](super::Embedded), where `NAME` is that of the
    /// directory; and tells cargo to run the build script again when something in the directory changes.
    ///
    /// # Errors
    /// Outside a build script; when a file cannot be read or written; and when a name is not UTF-8, or no request could
    /// ask for it ([`Path`]).
    pub fn write(self) -> io::Result<()> {
        let out = env::var_os("OUT_DIR").ok_or_else(|| invalid("OUT_DIR is not set: this is for build scripts"))?;
        println!("cargo::rerun-if-changed={}", self.directory.display());
        println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
        let epoch = env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok());
        self.write_to(path::Path::new(&out), epoch.map(|secs| SystemTime::UNIX_EPOCH + Duration::from_secs(secs)))
    }

    fn write_to(&self, out: &path::Path, latest: Option<SystemTime>) -> io::Result<()> {
        let root = path::absolute(&self.directory)?;
        let name =
            root.file_name().and_then(|name| name.to_str()).ok_or_else(|| invalid("a directory without a name"))?;
        let mut files = BTreeMap::new();
        collect(&root, "", &mut files)?;
        let sources = pair_siblings(files);
        let made = out.join(name);
        fs::create_dir_all(&made)?;
        let mut text = String::from("::net_services::http::files::Embedded::new(&[\n");
        for (number, (path, mut source)) in sources.into_iter().enumerate() {
            let content = fs::read(&source.file)?;
            if self.gzip && source.gzip.is_none() && mime::by_name(&path).is_compressible() {
                source.gzip = compress(&content, &made.join(format!("{number}{}", Coding::Gzip.ending())))?;
            }
            let modified = match (self.dates, latest) {
                (false, _) => None,
                (true, None) => Some(fs::metadata(&source.file)?.modified()?),
                (true, Some(latest)) => Some(fs::metadata(&source.file)?.modified()?.min(latest)),
            };
            text += &entry(&path, &source, &content, modified);
        }
        text += "])\n";
        fs::write(out.join(format!("{name}.rs")), text)
    }
}

/// All files below `directory`, by their paths from the root, which begin with `prefix`.
fn collect(directory: &path::Path, prefix: &str, files: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| invalid(&format!("not a name in UTF-8: {}", file.display())))?;
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{prefix}{name}");
        if Path::new(&path).is_none() {
            return Err(invalid(&format!("no request can ask for this name: {}", file.display())));
        }
        // By what a link leads to.
        if fs::metadata(&file)?.is_dir() {
            collect(&file, &format!("{path}/"), files)?;
        } else {
            files.insert(path, file);
        }
    }
    Ok(())
}

/// Puts compressed files to those that they are siblings of.
fn pair_siblings(mut files: BTreeMap<String, PathBuf>) -> Vec<(String, Source)> {
    let plain: Vec<String> = files.keys().filter(|path| !is_sibling(path, &files)).cloned().collect();
    let mut sources = Vec::new();
    for path in plain {
        let mut sibling = |coding: Coding| files.remove(&format!("{path}{}", coding.ending()));
        let (gzip, brotli) = (sibling(Coding::Gzip), sibling(Coding::Brotli));
        if let Some(file) = files.remove(&path) {
            sources.push((path, Source { file, gzip, brotli }));
        }
    }
    sources
}

fn is_sibling(path: &str, files: &BTreeMap<String, PathBuf>) -> bool {
    let plain = |coding: Coding| path.strip_suffix(coding.ending()).is_some_and(|plain| files.contains_key(plain));
    plain(Coding::Gzip) || plain(Coding::Brotli)
}

/// Writes `content`, compressed, to `file`, if that saves a tenth of it.
fn compress(content: &[u8], file: &path::Path) -> io::Result<Option<PathBuf>> {
    // Without name and date: the same content always gives the same bytes.
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    let compressed = encoder.finish()?;
    if compressed.len() >= content.len() - content.len() / 10 {
        return Ok(None);
    }
    fs::write(file, compressed)?;
    Ok(Some(file.into()))
}

/// The lines of the table for one file.
fn entry(path: &str, source: &Source, content: &[u8], modified: Option<SystemTime>) -> String {
    let include = |file: &PathBuf| format!("::core::include_bytes!({file:?})");
    let sibling = |file: &Option<PathBuf>| match file {
        Some(file) => format!("::core::option::Option::Some({})", include(file)),
        None => String::from("::core::option::Option::None"),
    };
    let since_epoch = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    let modified = match since_epoch {
        Some(time) => format!(
            "::core::option::Option::Some(::net_services::http::files::UnixTime::from_micros({}))",
            time.as_micros()
        ),
        None => String::from("::core::option::Option::None"),
    };
    let mut hasher = SipHasher13::new();
    hasher.write(content);
    format!(
        "    ::net_services::http::files::EmbeddedFile {{\n        path: {path:?},\n        bytes: {},\n        gzip: {},\n        \
         brotli: {},\n        modified: {modified},\n        version: ::core::option::Option::Some({:#x}),\n    }},\n",
        include(&source.file),
        sibling(&source.gzip),
        sibling(&source.brotli),
        hasher.finish(),
    )
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("embed-{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("www/sub")).unwrap();
            fs::create_dir_all(path.join("out")).unwrap();
            Self(path)
        }

        fn put(&self, path: &str, content: &[u8]) {
            fs::write(self.0.join("www").join(path), content).unwrap();
        }

        fn generate(&self, tree: impl FnOnce(Tree) -> Tree) -> io::Result<String> {
            let latest = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
            tree(super::tree(self.0.join("www"))).write_to(&self.0.join("out"), Some(latest))?;
            fs::read_to_string(self.0.join("out/www.rs"))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The values of a field, of all entries.
    fn values<'a>(text: &'a str, field: &str) -> Vec<&'a str> {
        let start = format!("        {field}: ");
        text.lines().filter_map(|line| line.strip_prefix(start.as_str())?.strip_suffix(',')).collect()
    }

    #[test]
    fn a_table_has_every_file_in_order_and_compressed_where_it_pays() {
        let folder = Folder::new("table");
        let page = "<p>again and again</p>".repeat(20);
        folder.put("index.html", page.as_bytes());
        folder.put("short.txt", b"short");
        folder.put("sub/page.html", page.as_bytes());
        folder.put("photo.jpg", &[7; 5000]);
        folder.put("own.css", b"a{}");
        folder.put("own.css.gz", b"(gzip)");
        folder.put("own.css.br", b"(brotli)");
        folder.put("archive.gz", b"(no sibling)");
        folder.put(".hidden", b"");
        let text = folder.generate(|tree| tree).unwrap();
        let paths =
            ["\"archive.gz\"", "\"index.html\"", "\"own.css\"", "\"photo.jpg\"", "\"short.txt\"", "\"sub/page.html\""];
        assert_eq!(values(&text, "path"), paths);
        let gzip: Vec<_> = values(&text, "gzip").into_iter().map(|value| value.contains(".gz")).collect();
        assert_eq!(gzip, [false, true, true, false, false, true]);
        assert!(values(&text, "brotli")[2].contains("own.css.br"), "{text}");
        assert!(values(&text, "modified").iter().all(|value| value.contains("(86400000000)")), "{text}");
        let versions = values(&text, "version");
        assert!(versions[1] == versions[5] && versions[1] != versions[4], "they are of the content: {versions:?}");
        let mut plain = Vec::new();
        io::Read::read_to_end(
            &mut flate2::read::GzDecoder::new(&fs::read(folder.0.join("out/www/1.gz")).unwrap()[..]),
            &mut plain,
        )
        .unwrap();
        assert_eq!(plain, page.as_bytes());
        assert_eq!(folder.generate(|tree| tree).unwrap(), text, "the same again");

        let text = folder.generate(|tree| tree.without_gzip().without_dates()).unwrap();
        assert!(values(&text, "gzip")[1].ends_with("None") && values(&text, "gzip")[2].contains("own.css.gz"));
        assert!(values(&text, "modified").iter().all(|value| value.ends_with("None")));
    }

    #[test]
    fn names_that_cannot_be_asked_for_are_errors() {
        let folder = Folder::new("names");
        folder.put("back\\slash", b"");
        let error = folder.generate(|tree| tree).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("back\\slash"), "{error}");
        assert!(tree("/nowhere/at/all").write_to(&folder.0, None).is_err());
    }
}
