//! What the build script has made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Read;

use embedded_site::PAGES;
use net_services::http::files::{File, Files, Found, Path};

#[test]
fn h17_all_pages_are_there_and_none_other() {
    let paths: Vec<&str> = PAGES.files().iter().map(|file| file.path).collect();
    assert_eq!(paths, ["css/page.css", "icon.svg", "index.html"]);
    for file in PAGES.files() {
        let on_disk = std::fs::read(std::path::Path::new("www").join(file.path)).unwrap();
        assert_eq!(file.bytes, on_disk, "{}", file.path);
        assert!(file.version.is_some() && file.modified.is_some());
        let found = virtual_time::block_on(PAGES.open(Path::new(file.path).unwrap()));
        assert!(matches!(found, Ok(Found::File(found)) if found.as_bytes() == Some(&on_disk[..])));
    }
}

#[test]
fn compressed_forms_are_smaller_and_the_same() {
    let compressed: Vec<&str> = PAGES.files().iter().filter(|file| file.gzip.is_some()).map(|file| file.path).collect();
    assert_eq!(compressed, ["css/page.css", "index.html"], "a short file does not become smaller");
    for file in PAGES.files() {
        let Some(gzip) = file.gzip else { continue };
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(gzip).read_to_end(&mut plain).unwrap();
        assert_eq!(plain, file.bytes, "{}", file.path);
        assert!(gzip.len() < plain.len());
    }
}
