//! Thousands of small changes to the fields that decide about files: nothing panics, and no promise is broken.

use std::format;
use std::string::String;

use super::super::{Fields, Method};
use super::conditional::Validators;
use super::ranges::{MAX_RANGES, Selection};
use super::*;

/// xorshift64: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// `text` with a few characters changed, put in, taken out, or repeated.
fn mutated(text: &str, numbers: &mut Numbers) -> String {
    const SPARE: &[u8] = b"0123456789-,=;*\"/\\. \tWwqQbytes\x7f%:<";
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        match numbers.below(4) {
            0 => bytes.insert(at, SPARE[numbers.below(SPARE.len())]),
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 if at < bytes.len() => bytes[at] = SPARE[numbers.below(SPARE.len())],
            _ => bytes.extend_from_within(at..),
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn h13_whatever_is_asked_for_the_parts_lie_within_the_file_and_apart() {
    let mut numbers = Numbers(1);
    for round in 0..20_000 {
        let seeds = ["bytes=0-9,20-29,-5", "bytes=5-", "bytes=-18446744073709551615,0-0", "bytes=1-2, 4-5 ,,7-8"];
        let value = mutated(seeds[round % seeds.len()], &mut numbers);
        for complete in [0, 1, 30, 1000, u64::MAX] {
            let ranges = match Selection::of(&value, complete) {
                Selection::Whole | Selection::Unsatisfiable => continue,
                Selection::One(range) => std::vec![range],
                Selection::Many(ranges) => ranges.to_vec(),
            };
            assert!((1..=MAX_RANGES).contains(&ranges.len()), "{value}");
            for (i, range) in ranges.iter().enumerate() {
                let end = range.first.checked_add(range.length).expect("no overflow");
                assert!(range.length > 0 && end <= complete, "{value} of {complete}: {range:?}");
                let apart = |other: &ranges::ByteRange| other.first >= end || other.last() < range.first;
                assert!(ranges.iter().skip(i + 1).all(apart), "{value} of {complete}");
            }
        }
    }
}

#[test]
fn h13_broken_tags_and_dates_never_match_by_accident() {
    let mut numbers = Numbers(2);
    let seeds = ["\"abc\", W/\"def\"", "W/\"x,y\" ,\"\"", "Sat, 01 Jan 2000 00:00:00 GMT", "*"];
    let validators = Validators { etag: Some("\"unlike all of them\""), modified: None };
    for round in 0..20_000 {
        let value = mutated(seeds[round % seeds.len()], &mut numbers);
        for name in ["If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range"] {
            let lines = format!("{name}: {value}\r\n");
            let fields = Fields::new(lines.as_bytes());
            let star = value.trim() == "*";
            let expected = match name {
                "If-Match" if !star => conditional::Verdict::Failed,
                "If-None-Match" if star => conditional::Verdict::NotModified,
                _ => conditional::Verdict::Proceed,
            };
            assert_eq!(validators.evaluate(Method::Get, &fields), expected, "{lines}");
            assert_eq!(validators.allow_range(&fields), name != "If-Range", "{lines}");
        }
    }
}

#[test]
fn codings_are_only_those_that_were_named() {
    let mut numbers = Numbers(3);
    for round in 0..20_000 {
        let seeds = ["gzip;q=0.5, br;q=1.0, *;q=0", "identity, x-gzip", "br , gzip ;q=0.001"];
        let value = mutated(seeds[round % seeds.len()], &mut numbers).to_ascii_lowercase();
        for coding in coding::preferred(value.split(',')).into_iter().flatten() {
            assert!(value.contains(coding.name()) || value.contains('*'), "{value}");
        }
    }
}

#[test]
fn h17_a_path_that_is_made_is_safe() {
    let mut numbers = Numbers(4);
    for round in 0..20_000 {
        let seeds = ["a/b/c.html", "../x", "C:/y", "docs\\..\\x", ".well-known/x"];
        let text = mutated(seeds[round % seeds.len()], &mut numbers);
        if let Some(path) = Path::new(&text) {
            assert!(text.is_empty() || path.bytes().all(|byte| byte != b'\\' && !byte.is_ascii_control()), "{text:?}");
            assert!(text.is_empty() || text.split('/').all(|name| !matches!(name, "" | "." | "..")), "{text:?}");
        }
    }
}
