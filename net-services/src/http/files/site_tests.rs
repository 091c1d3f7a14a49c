//! The document root over the server and a scripted client: every request is made as GET and as HEAD.

use std::borrow::ToOwned;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::testing::{Client, TODAY, Then, serve_with};
use super::super::{Config, Handler, Outcome, Request, Response};
use super::*;

/// The time of the files: Wed, 28 Feb 2024 12:34:56 GMT, a day before the time of the server.
const YESTERDAY: UnixTime = UnixTime::from_secs(TODAY.as_secs() - 86_400);
const YESTERDAY_TEXT: &str = "Wed, 28 Feb 2024 12:34:56 GMT";
const DIGITS: &str = "0123456789";

/// Files that are not in memory as far as the server knows.
#[derive(Default)]
struct Disk(BTreeMap<&'static str, Stored>);

#[derive(Clone)]
struct Stored {
    bytes: Vec<u8>,
    /// What the metadata say.
    length: u64,
    modified: Option<UnixTime>,
    error: Option<FileError>,
}

impl Disk {
    fn with(self, path: &'static str, bytes: impl AsRef<[u8]>) -> Self {
        self.with_date(path, bytes, Some(YESTERDAY))
    }

    fn with_date(mut self, path: &'static str, bytes: impl AsRef<[u8]>, modified: Option<UnixTime>) -> Self {
        let bytes = bytes.as_ref().to_vec();
        self.0.insert(path, Stored { length: bytes.len() as u64, bytes, modified, error: None });
        self
    }

    fn with_error(mut self, path: &'static str, error: FileError) -> Self {
        self.0.insert(path, Stored { bytes: Vec::new(), length: 0, modified: None, error: Some(error) });
        self
    }
}

impl Files for Disk {
    type File<'f> = Stored;
    type Entries<'f> = Names;

    async fn open(&self, path: Path<'_>) -> Result<Found<Stored, Names>, FileError> {
        let path = path.to_string();
        if let Some(file) = self.0.get(path.as_str()) {
            return file.error.map_or_else(|| Ok(Found::File(file.clone())), Err);
        }
        let prefix = if path.is_empty() { path } else { format!("{path}/") };
        let mut names: Vec<(String, Option<u64>)> = Vec::new();
        for (path, file) in &self.0 {
            let Some(below) = path.strip_prefix(prefix.as_str()) else { continue };
            let entry = below.split_once('/').map_or((below, Some(file.length)), |(directory, _)| (directory, None));
            if names.last().is_none_or(|(last, _)| last != entry.0) {
                names.push((entry.0.to_owned(), entry.1));
            }
        }
        if names.is_empty() && !prefix.is_empty() {
            return Err(FileError::NotFound);
        }
        names.reverse();
        Ok(Found::Directory(Names { left: names, now: String::new() }))
    }
}

impl File for Stored {
    fn metadata(&self) -> Metadata {
        Metadata { length: self.length, modified: self.modified, version: None }
    }

    async fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        let rest = &self.bytes[offset as usize..];
        // Less than was asked for, as file systems may.
        let n = rest.len().min(buffer.len()).min(777);
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }
}

struct Names {
    left: Vec<(String, Option<u64>)>,
    now: String,
}

impl Entries for Names {
    async fn next(&mut self) -> Result<Option<Entry<'_>>, FileError> {
        let Some((name, length)) = self.left.pop() else { return Ok(None) };
        if name == "(fails)" {
            return Err(FileError::Failed);
        }
        self.now = name;
        let kind = length.map_or(EntryKind::Directory, EntryKind::File);
        Ok(Some(Entry { name: &self.now, kind, modified: length.map(|_| YESTERDAY) }))
    }
}

/// A response taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn of(client: &Client) -> Self {
        let end = client.output.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a whole head") + 4;
        let head = core::str::from_utf8(&client.output[..end]).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let fields =
            lines.map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Self { status, fields, body: client.output[end..].to_vec() }
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name));
        let value = values.next();
        assert_eq!(values.next(), None, "{name} stands there twice");
        value.map(|(_, value)| value.as_str())
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The body without its chunks.
    fn unchunked(&self) -> String {
        let (mut rest, mut all) = (self.text(), String::new());
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            all += &after[..size];
            rest = after[size + 2..].to_owned();
        }
        all
    }
}

fn send<H: Handler>(handler: &H, method: &str, target: &str, fields: &str) -> Client {
    let request = format!("{method} {target} HTTP/1.1\r\nHost: device\r\n{fields}\r\n");
    virtual_time::block_on(serve_with(handler, &Config::new(), 2048, Client::new([request], Then::Finish)))
}

/// The answer to a GET; the one to a HEAD is compared with it (H-13, H-15).
fn get<H: Handler>(handler: &H, target: &str, fields: &str) -> Answer {
    let answer = Answer::of(&send(handler, "GET", target, fields));
    let head = Answer::of(&send(handler, "HEAD", target, fields));
    assert_eq!(head.body, b"", "HEAD {target} {fields}");
    // HEAD has no ranges: its answer is that to the request without one (RFC 9110 section 14.2).
    let has_range = fields.split("\r\n").any(|line| line.starts_with("Range:"));
    let alike = if has_range {
        let others: String = fields.split_inclusive("\r\n").filter(|line| !line.starts_with("Range:")).collect();
        Answer::of(&send(handler, "GET", target, &others))
    } else {
        answer.clone()
    };
    assert_eq!((head.status, &head.fields), (alike.status, &alike.fields), "HEAD {target} {fields}");
    if let Some(length) = answer.field("Content-Length") {
        assert_eq!(length, answer.body.len().to_string(), "GET {target} {fields}");
    }
    answer
}

fn disk() -> Disk {
    Disk::default()
        .with("index.html", "<p>home")
        .with("digits.txt", DIGITS)
        .with("docs/index.html", "<p>docs")
        .with("docs/photo.png", [7; 5000])
        .with("empty/.keep", "")
        .with("\u{fc} 1/x.txt", "x")
        .with_date("future.txt", "f", Some(UnixTime::from_secs(TODAY.as_secs() + 60)))
        .with_date("undated.txt", "u", None)
}

#[test]
fn h13_a_file_comes_with_all_that_tells_about_it() {
    let disk = disk();
    let answer = get(&Site::new(&disk), "/digits.txt", "");
    assert_eq!((answer.status, answer.text().as_str()), (200, DIGITS));
    for (name, value) in [
        ("Content-Type", Some("text/plain; charset=utf-8")),
        ("Content-Length", Some("10")),
        ("Last-Modified", Some(YESTERDAY_TEXT)),
        ("Accept-Ranges", Some("bytes")),
        ("Cache-Control", Some("no-cache")),
        ("X-Content-Type-Options", Some("nosniff")),
        ("Vary", Some("Accept-Encoding")),
        ("Content-Encoding", None),
        ("Content-Range", None),
        ("Transfer-Encoding", None),
    ] {
        assert_eq!(answer.field(name), value, "{name}");
    }
    assert!(answer.field("Date").is_some());
    let etag = answer.field("ETag").unwrap();
    assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "{etag}");
    assert_eq!(
        get(&Site::new(&disk), "/docs/photo.png", "").field("Vary"),
        None,
        "what is not compressed does not vary"
    );
}

#[test]
fn dates_that_are_not_known_or_still_to_come_are_not_sent() {
    let disk = disk();
    let site = Site::new(&disk);
    let future = get(&site, "/future.txt", "If-Modified-Since: Fri, 01 Jan 2038 00:00:00 GMT\r\n");
    assert_eq!((future.status, future.field("Last-Modified")), (200, None));
    assert!(future.field("ETag").is_some());
    let undated = get(&site, "/undated.txt", "");
    assert_eq!((undated.status, undated.field("Last-Modified"), undated.field("ETag")), (200, None, None));
}

#[test]
fn h17_index_files_stand_for_directories() {
    let disk = disk().with("lua/index.html", "html").with("lua/index.lua", "lua").with("own/home.htm", "own");
    let site = Site::new(&disk);
    let home = get(&site, "/", "");
    assert_eq!((home.status, home.text().as_str()), (200, "<p>home"));
    assert_eq!(home.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(get(&site, "/docs/", "").text(), "<p>docs");
    assert_eq!(get(&site, "/lua/", "").text(), "lua", "index.lua before index.html");
    assert_eq!(get(&site, "/own/", "").status, 404);
    assert_eq!(get(&site.with_index(&["a", "home.htm"]), "/own/", "").text(), "own");
    // A directory of that name is none; a failure is not passed over.
    let odd =
        Disk::default().with("index.lua/x", "").with("index.html", "page").with_error("b/index.lua", FileError::Failed);
    assert_eq!(get(&Site::new(&odd), "/", "").text(), "page");
    assert_eq!(get(&Site::new(&odd), "/b/", "").status, 500);
}

#[test]
fn h17_a_directory_without_its_slash_is_redirected() {
    let disk = disk();
    let site = Site::new(&disk);
    for (target, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=1&b=%20", "/docs/?a=1&b=%20"),
        ("/docs?", "/docs/?"),
        ("/%c3%bc%201", "/%C3%BC%201/"),
        ("/docs/../docs", "/docs/"),
        ("http://device/docs", "/docs/"),
    ] {
        let answer = get(&site, target, "");
        assert_eq!((answer.status, answer.field("Location")), (301, Some(location)), "{target}");
    }
    assert_eq!(get(&site, "/digits.txt/", "").status, 404, "a file is no directory");
}

#[test]
fn h17_nothing_outside_can_be_asked_for() {
    let disk =
        disk().with("secret", "s").with(".env", "s").with("a/.git/config", "s").with("C:/x", "s").with("b\\c", "s");
    let site = Site::new(&disk).with_listings(true);
    for target in [
        "/../secret2",
        "/%2e%2e/secret2",
        "/..%2fsecret2",
        "/docs/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/..%5csecret",
        "/b%5Cc",
        "/C:/x",
        "/c%3a/x",
        "//",
        "//secret",
        "/docs//index.html",
        "/docs//",
        "/.env",
        "/%2eenv",
        "/a/.git/config",
        "/a/.git/",
        "/a/.git",
        "/secret%00.html",
        "/secret%0a",
        "/secret%2500",
        "/%252e%252e/secret",
        "/none",
        "/none/",
    ] {
        let client = send(&site, "GET", target, "");
        assert!(matches!(Answer::of(&client).status, 400 | 404), "{target}: {}", client.text());
    }
    assert_eq!(get(&site.with_dot_files(true), "/.env", "").text(), "s");
    let public = Disk::default().with(".well-known/security.txt", "Contact:");
    assert_eq!(get(&Site::new(&public), "/.well-known/security.txt", "").status, 200, "RFC 8615");
}

#[test]
fn failures_have_their_status() {
    let disk = Disk::default().with_error("denied", FileError::Forbidden).with_error("broken", FileError::Failed);
    let site = Site::new(&disk);
    for (target, status) in [("/denied", 403), ("/broken", 500), ("/none", 404)] {
        assert_eq!(get(&site, target, "").status, status, "{target}");
    }
}

#[test]
fn h13_other_methods_are_told_what_is_allowed() {
    let disk = disk();
    let site = Site::new(&disk);
    for (method, target, status) in [
        ("OPTIONS", "/digits.txt", 204),
        ("OPTIONS", "/none", 204),
        ("OPTIONS", "*", 204),
        ("POST", "/digits.txt", 405),
        ("PUT", "/new", 405),
        ("DELETE", "/digits.txt", 405),
    ] {
        let answer = Answer::of(&send(&site, method, target, ""));
        assert_eq!((answer.status, answer.field("Allow")), (status, Some("GET, HEAD, OPTIONS")), "{method}");
    }
}

#[test]
fn h13_conditions_over_the_wire() {
    let disk = disk();
    let site = Site::new(&disk);
    let whole = get(&site, "/digits.txt", "");
    let etag = whole.field("ETag").unwrap();
    for (fields, status) in [
        (format!("If-None-Match: {etag}\r\n"), 304),
        (format!("If-None-Match: \"x\", W/{etag}\r\n"), 304),
        ("If-None-Match: *\r\n".into(), 304),
        ("If-None-Match: \"x\"\r\n".into(), 200),
        (format!("If-Modified-Since: {YESTERDAY_TEXT}\r\n"), 304),
        ("If-Modified-Since: Tue, 27 Feb 2024 12:34:56 GMT\r\n".into(), 200),
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {YESTERDAY_TEXT}\r\n"), 200),
        (format!("If-Match: {etag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".into(), 412),
        ("If-Unmodified-Since: Tue, 27 Feb 2024 12:34:56 GMT\r\n".into(), 412),
        (format!("If-Unmodified-Since: {YESTERDAY_TEXT}\r\n"), 200),
        // A condition that fails goes before a range.
        (format!("If-None-Match: {etag}\r\nRange: bytes=0-1\r\n"), 304),
    ] {
        let answer = get(&site, "/digits.txt", &fields);
        assert_eq!(answer.status, status, "{fields}");
        match status {
            200 => assert_eq!(answer, whole, "{fields}"),
            304 => {
                assert_eq!(answer.body, b"");
                // RFC 9110 section 15.4.5: what a 200 would have had of these, and no more.
                for name in ["ETag", "Cache-Control", "Vary", "Date"] {
                    assert_eq!(answer.field(name), whole.field(name), "{name}");
                }
                for name in ["Content-Type", "Content-Length", "Last-Modified", "Content-Encoding", "Content-Range"] {
                    assert_eq!(answer.field(name), None, "{name}");
                }
            }
            _ => assert_eq!(answer.body, b""),
        }
    }
}

#[test]
fn h13_single_ranges_over_the_wire() {
    let disk = disk();
    let site = Site::new(&disk);
    let whole = get(&site, "/digits.txt", "");
    for (range, part) in
        [("0-0", "0"), ("2-4", "234"), ("5-", "56789"), ("-3", "789"), ("0-", DIGITS), ("8-99", "89"), ("3-3,20-", "3")]
    {
        let answer = get(&site, "/digits.txt", &format!("Range: bytes={range}\r\n"));
        assert_eq!((answer.status, answer.text().as_str()), (206, part), "{range}");
        let first = DIGITS.find(part).unwrap();
        let expected = format!("bytes {first}-{}/10", first + part.len() - 1);
        assert_eq!(answer.field("Content-Range"), Some(expected.as_str()));
        for name in ["ETag", "Last-Modified", "Cache-Control", "Vary", "Content-Type", "Accept-Ranges"] {
            assert_eq!(answer.field(name), whole.field(name), "{name}");
        }
    }
    for range in ["10-", "-0", "20-30,40-"] {
        let answer = get(&site, "/digits.txt", &format!("Range: bytes={range}\r\n"));
        assert_eq!((answer.status, answer.field("Content-Range")), (416, Some("bytes */10")), "{range}");
        assert_eq!(answer.body, b"");
    }
    for fields in [
        "Range: lines=0-1\r\n",
        "Range: bytes=x\r\n",
        "Range: bytes=0-5,2-3\r\n",
        "Range: bytes=0-1\r\nRange: bytes=0-1\r\n",
    ] {
        assert_eq!(get(&site, "/digits.txt", fields), whole, "{fields}");
    }
    assert_eq!(get(&site, "/empty.txt", "").status, 404);
    let empty = Disk::default().with("empty.txt", "");
    assert_eq!(get(&Site::new(&empty), "/empty.txt", "Range: bytes=0-\r\n").field("Content-Range"), Some("bytes */0"));
    assert_eq!(get(&Site::new(&empty), "/empty.txt", "Range: bytes=-5\r\n").status, 200);
}

#[test]
fn h13_several_ranges_are_one_body() {
    let disk = disk();
    let site = Site::new(&disk);
    let answer = get(&site, "/digits.txt", "Range: bytes=7-8,0-2, -1\r\n");
    assert_eq!(answer.status, 206);
    assert_eq!(answer.field("Content-Range"), None, "RFC 9110 section 15.3.7.2");
    let boundary = answer.field("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, bytes: &str| {
        format!(
            "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/10\r\n\r\n{bytes}\r\n"
        )
    };
    let parts = [part("7-8", "78"), part("0-2", "012"), part("9-9", "9")].concat();
    assert_eq!(answer.text(), format!("{parts}--{boundary}--\r\n"));
    // Larger than the connection's buffer, and larger than 64 KiB.
    let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i % 251) as u8).collect();
    let large = Disk::default().with("a.bin", &bytes);
    let answer = get(&Site::new(&large), "/a.bin", "Range: bytes=10-99999,100010-199999\r\n");
    assert_eq!(answer.status, 206);
    for piece in [&bytes[10..100_000], &bytes[100_010..]] {
        assert!(answer.body.windows(piece.len()).any(|window| window == piece));
    }
}

#[test]
fn h13_if_range_continues_only_what_is_the_same() {
    let disk = disk();
    let site = Site::new(&disk);
    let whole = get(&site, "/digits.txt", "");
    let etag = whole.field("ETag").unwrap();
    for (condition, status) in [
        (etag.to_owned(), 206),
        (YESTERDAY_TEXT.to_owned(), 206),
        (format!("W/{etag}"), 200),
        ("\"x\"".to_owned(), 200),
        ("Tue, 27 Feb 2024 12:34:56 GMT".to_owned(), 200),
        ("Thu, 29 Feb 2024 12:34:56 GMT".to_owned(), 200),
    ] {
        let answer = get(&site, "/digits.txt", &format!("Range: bytes=2-3\r\nIf-Range: {condition}\r\n"));
        assert_eq!(answer.status, status, "{condition}");
        assert_eq!(answer.text(), if status == 206 { "23" } else { DIGITS });
        // Nor is it told that there is nothing there.
        let beyond = get(&site, "/digits.txt", &format!("Range: bytes=99-\r\nIf-Range: {condition}\r\n"));
        assert_eq!(beyond.status, if status == 206 { 416 } else { 200 }, "{condition}");
    }
}

#[test]
fn h17_compressed_siblings() {
    let later = UnixTime::from_secs(YESTERDAY.as_secs() + 1);
    let earlier = UnixTime::from_secs(YESTERDAY.as_secs() - 1);
    let disk = Disk::default()
        .with("both.js", "plain, and long enough")
        .with("both.js.gz", "(gzip)")
        .with("both.js.br", "(br)")
        .with_date("new.css", "plain", Some(YESTERDAY))
        .with_date("new.css.gz", "(gzip)", Some(later))
        .with_date("old.css", "plain", Some(YESTERDAY))
        .with_date("old.css.gz", "(stale)", Some(earlier))
        .with("photo.png", "plain")
        .with("photo.png.gz", "(gzip)")
        .with("folder/index.html", "plain")
        .with("folder/index.html.gz", "(gzip)")
        .with("odd.txt", "plain")
        .with("odd.txt.gz/x", "a directory");
    let site = Site::new(&disk);
    let ask = |target: &str, accepted: &str| get(&site, target, &format!("Accept-Encoding: {accepted}\r\n"));
    for (target, accepted, coding, body) in [
        ("/both.js", "gzip", Some("gzip"), "(gzip)"),
        ("/both.js", "br", Some("br"), "(br)"),
        ("/both.js", "gzip, deflate, br", Some("br"), "(br)"),
        ("/both.js", "br;q=0.5, gzip", Some("gzip"), "(gzip)"),
        ("/both.js", "identity", None, "plain, and long enough"),
        ("/both.js", "gzip;q=0, br;q=0", None, "plain, and long enough"),
        ("/both.js", "*", Some("br"), "(br)"),
        ("/new.css", "br, gzip", Some("gzip"), "(gzip)"),
        ("/new.css", "br", None, "plain"),
        ("/old.css", "gzip", None, "plain"),
        ("/photo.png", "gzip", None, "plain"),
        ("/folder/", "gzip", Some("gzip"), "(gzip)"),
        ("/odd.txt", "gzip", None, "plain"),
    ] {
        let answer = ask(target, accepted);
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{target} {accepted}");
        assert_eq!(answer.field("Content-Encoding"), coding, "{target} {accepted}");
        let vary = if target == "/photo.png" { None } else { Some("Accept-Encoding") };
        assert_eq!(answer.field("Vary"), vary, "{target} {accepted}");
    }
    let forms = ["identity", "gzip", "br"].map(|accepted| ask("/both.js", accepted));
    assert!(forms.iter().all(|form| form.field("Content-Type") == Some("text/javascript; charset=utf-8")));
    let [plain, gzip, brotli] = forms.each_ref().map(|form| form.field("ETag").unwrap());
    assert!(plain != gzip && gzip != brotli && brotli != plain, "the ETag is that of the form");
    // Conditions and ranges are about the form that is chosen.
    let gzipped = |fields: &str| get(&site, "/both.js", &format!("Accept-Encoding: gzip\r\n{fields}"));
    assert_eq!(gzipped(&format!("If-None-Match: {gzip}\r\n")).status, 304);
    assert_eq!(gzipped(&format!("If-None-Match: {plain}\r\n")).status, 200);
    let part = gzipped("Range: bytes=1-4\r\n");
    assert_eq!((part.text().as_str(), part.field("Content-Range")), ("gzip", Some("bytes 1-4/6")));
    assert_eq!(part.field("Content-Encoding"), Some("gzip"));
    assert_eq!(gzipped(&format!("Range: bytes=1-4\r\nIf-Range: {plain}\r\n")).status, 200);
    // The file itself can still be asked for, as what it is.
    let itself = ask("/both.js.gz", "gzip");
    assert_eq!((itself.field("Content-Type"), itself.field("Content-Encoding")), (Some("application/gzip"), None));
    let off = get(&site.with_siblings(false), "/both.js", "Accept-Encoding: gzip\r\n");
    assert_eq!((off.field("Content-Encoding"), off.field("Vary")), (None, None));
}

#[test]
fn h17_listings_are_off_until_switched_on() {
    let disk =
        Disk::default().with("a<b>&\"'.txt", DIGITS).with("sub/x y", "").with("sub/deep/z", "").with(".hidden", "");
    let disk = disk.with("bad\\name", "");
    let site = Site::new(&disk);
    assert_eq!(get(&site, "/", "").status, 404);
    let site = site.with_listings(true);
    let root = get(&site, "/", "");
    assert_eq!((root.status, root.field("Content-Type")), (200, Some("text/html; charset=utf-8")));
    assert_eq!(root.field("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!((root.field("ETag"), root.field("Content-Length")), (None, None));
    let page = root.unchunked();
    let row = "<tr><td><a href=\"a%3Cb%3E%26%22%27.txt\">a&lt;b&gt;&amp;&quot;&#39;.txt</a></td><td>10</td><td>Wed, 28 Feb 2024";
    assert!(page.contains(row), "{page}");
    assert!(page.contains("<a href=\"sub/\">sub/</a>"), "{page}");
    for absent in ["hidden", "bad", "../", "<b>"] {
        assert!(!page.contains(absent), "{page}");
    }
    let sub = get(&site, "/sub/", "").unchunked();
    assert!(
        sub.contains("<title>/sub/</title>") && sub.contains("href=\"../\"") && sub.contains("href=\"x%20y\""),
        "{sub}"
    );
    assert!(get(&site.with_dot_files(true), "/", "").unchunked().contains("hidden"));
}

#[test]
fn a_listing_of_any_length_streams_and_one_that_fails_is_not_taken_for_whole() {
    let names: Vec<String> = (0..500).map(|i| format!("file-{i:04}.txt")).collect();
    let mut disk = Disk::default();
    for name in &names {
        disk = disk.with(String::leak(name.clone()), "");
    }
    let page = get(&Site::new(&disk).with_listings(true), "/", "").unchunked();
    assert!(names.iter().all(|name| page.contains(name)) && page.ends_with("</html>\n"));
    let failing = Disk::default().with("(fails)", "").with("a", "");
    let client = send(&Site::new(&failing).with_listings(true), "GET", "/", "");
    assert!(!client.text().contains("</html>") && (client.is_reset || client.text().contains(" 500 ")));
}

#[test]
fn h23_large_files_pass_through_the_buffer_and_those_in_memory_past_it() {
    let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 253) as u8).collect();
    let disk = Disk::default().with("a.bin", &bytes);
    assert_eq!(get(&Site::new(&disk), "/a.bin", "").body, bytes);
    let part = get(&Site::new(&disk), "/a.bin", "Range: bytes=777-99000\r\n");
    assert_eq!(part.body, bytes[777..=99_000]);

    static LARGE: [u8; 100_000] = [9; 100_000];
    static MEMORY: Embedded =
        Embedded::new(&[EmbeddedFile::new("large.bin", &LARGE), EmbeddedFile::new("small.txt", b"0123456789")]);
    let site = Site::new(&MEMORY);
    assert_eq!(get(&site, "/large.bin", "").body, LARGE);
    let client = send(&site, "GET", "/large.bin", "");
    assert_eq!(client.writes.len(), 2, "the head with the beginning, then the rest from where it lies");
    let client = send(&site, "GET", "/small.txt", "");
    assert_eq!(client.writes.len(), 1, "head and body in one write");
    assert_eq!(get(&site, "/small.txt", "Range: bytes=3-5\r\n").text(), "345");
    let several = get(&site, "/small.txt", "Range: bytes=0-1,8-9\r\n");
    assert!(
        several.status == 206 && several.text().contains("\r\n\r\n01\r\n") && several.text().contains("\r\n\r\n89\r\n")
    );
}

#[test]
fn a_file_that_becomes_shorter_ends_in_a_reset() {
    let mut disk = Disk::default().with("a.txt", [b'x'; 3000]);
    disk.0.get_mut("a.txt").unwrap().length = 5000;
    let client = send(&Site::new(&disk), "GET", "/a.txt", "");
    assert!(client.is_reset, "half a file must not look like a whole one: {}", client.text());
}

#[test]
fn a_site_can_lie_below_a_route() {
    let disk = disk();
    let site = Site::new(&disk).with_listings(true);
    let below = async |request: Request<'_>, response: Response<'_>| -> Outcome {
        let path = request.path();
        site.serve(path.strip_prefix("/files").unwrap_or("none"), request, response).await
    };
    assert_eq!(get(&below, "/files/digits.txt", "").text(), DIGITS);
    assert_eq!(get(&below, "/files/docs/", "").text(), "<p>docs");
    assert_eq!(get(&below, "/files/", "").text(), "<p>home");
    assert_eq!(get(&below, "/files", "").field("Location"), Some("/files/"));
    assert_eq!(get(&below, "/files/docs", "").field("Location"), Some("/files/docs/"));
    let list = get(&below, "/files/%C3%BC%201/", "").unchunked();
    assert!(list.contains("<title>/files/\u{fc} 1/</title>") && list.contains("href=\"x.txt\""), "{list}");
}

#[test]
fn cache_control_is_the_programs_choice() {
    let disk = disk();
    let site = |value| Site::new(&disk).with_cache_control(value);
    assert_eq!(get(&site("max-age=60, public"), "/digits.txt", "").field("Cache-Control"), Some("max-age=60, public"));
    assert_eq!(get(&site(""), "/digits.txt", "").field("Cache-Control"), None);
}
