//! Range requests (RFC 9110 section 14): parts of a file, as a video player or a resumed download asks for them.
//!
//! ```
//! use net_services::http::files::ranges::{ByteRange, Selection};
//!
//! assert_eq!(Selection::of("bytes=-500", 10_000), Selection::One(ByteRange { first: 9_500, length: 500 }));
//! assert_eq!(Selection::of("bytes=10000-", 10_000), Selection::Unsatisfiable);
//! ```

use core::fmt;

use heapless::Vec;

/// Ranges of one request, at most. A request for more gets everything: it costs more than it saves.
pub const MAX_RANGES: usize = 8;

/// Some bytes of a representation, one or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Where the first of them is, counted from 0.
    pub first: u64,
    /// How many they are, 1 or more. They end within the representation.
    pub length: u64,
}

impl ByteRange {
    /// The position of the last byte.
    pub const fn last(self) -> u64 {
        self.first.saturating_add(self.length.saturating_sub(1))
    }

    /// The value of `Content-Range` for this part of `complete` bytes.
    pub fn content_range(self, complete: u64) -> impl fmt::Display {
        ContentRange { range: Some(self), complete }
    }
}

/// The value of `Content-Range` in a 416: what there would have been to ask for.
pub fn unsatisfied_range(complete: u64) -> impl fmt::Display {
    ContentRange { range: None, complete }
}

struct ContentRange {
    range: Option<ByteRange>,
    complete: u64,
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.range {
            Some(range) => write!(f, "bytes {}-{}/{}", range.first, range.last(), self.complete),
            None => write!(f, "bytes */{}", self.complete),
        }
    }
}

/// What a `Range` field comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Everything, with 200: the field has another unit, is broken, or asks for too much of too little: more than
    /// [`MAX_RANGES`], or ranges that overlap (RFC 9110 section 14.2 lets a server ignore these).
    Whole,
    /// One part, with 206.
    One(ByteRange),
    /// Several parts, two or more, in the order in which they were asked for: 206 as `multipart/byteranges`.
    Many(Vec<ByteRange, MAX_RANGES>),
    /// No part of what there is: 416.
    Unsatisfiable,
}

impl Selection {
    /// What `value`, of a `Range` field, selects of a representation of `complete` bytes.
    pub fn of(value: &str, complete: u64) -> Self {
        let Some((unit, list)) = value.split_once('=') else { return Self::Whole };
        if !unit.eq_ignore_ascii_case("bytes") {
            return Self::Whole;
        }
        let mut asked = 0;
        let mut ranges = Vec::<ByteRange, MAX_RANGES>::new();
        for element in list.split(',').map(|element| element.trim_matches([' ', '\t'])) {
            // A list may have empty members (RFC 9110 section 5.6.1.2).
            if element.is_empty() {
                continue;
            }
            asked += 1;
            let Some(spec) = RangeSpec::parse(element) else { return Self::Whole };
            if asked > MAX_RANGES || spec.is_all_of_nothing(complete) {
                return Self::Whole;
            }
            if let Some(range) = spec.within(complete) {
                let overlaps = ranges.iter().any(|r| r.first <= range.last() && range.first <= r.last());
                if overlaps || ranges.push(range).is_err() {
                    return Self::Whole;
                }
            }
        }
        match ranges.as_slice() {
            [] if asked == 0 => Self::Whole,
            [] => Self::Unsatisfiable,
            [range] => Self::One(*range),
            _ => Self::Many(ranges),
        }
    }
}

/// One range as it is asked for.
enum RangeSpec {
    /// `first-last`, or `first-`.
    From { first: u64, last: u64 },
    /// `-length`: the end.
    Suffix { length: u64 },
}

impl RangeSpec {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('-')? {
            ("", length) => Some(Self::Suffix { length: number(length)? }),
            (first, "") => Some(Self::From { first: number(first)?, last: u64::MAX }),
            (first, last) => {
                let [first, last] = [number(first)?, number(last)?];
                (first <= last).then_some(Self::From { first, last })
            }
        }
    }

    /// The end of an empty representation: valid, but no `Content-Range` can say it.
    fn is_all_of_nothing(&self, complete: u64) -> bool {
        complete == 0 && matches!(self, Self::Suffix { length: 1.. })
    }

    /// What there is of it in `complete` bytes, if anything.
    fn within(&self, complete: u64) -> Option<ByteRange> {
        let (first, end) = match *self {
            Self::From { first, last } => (first, last.saturating_add(1).min(complete)),
            Self::Suffix { length } => (complete.saturating_sub(length), complete),
        };
        let length = end.checked_sub(first).filter(|length| *length > 0)?;
        Some(ByteRange { first, length })
    }
}

/// A decimal number. One that is too large is the largest: all that counts is that it is beyond the end.
fn number(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;

    use super::*;

    fn one(first: u64, length: u64) -> Selection {
        Selection::One(ByteRange { first, length })
    }

    #[test]
    fn h13_a_single_range() {
        for (value, selection) in [
            ("bytes=0-0", one(0, 1)),
            ("bytes=0-499", one(0, 500)),
            ("bytes=500-999", one(500, 500)),
            ("bytes=999-999", one(999, 1)),
            ("bytes=0-", one(0, 1000)),
            ("bytes=999-", one(999, 1)),
            ("bytes=-1", one(999, 1)),
            ("bytes=-1000", one(0, 1000)),
            ("bytes=-5000", one(0, 1000)),
            ("bytes=500-5000", one(500, 500)),
            ("BYTES=5-6", one(5, 2)),
            ("bytes=007-008", one(7, 2)),
            ("bytes= 5-6 ", one(5, 2)),
            ("bytes=,5-6,,", one(5, 2)),
            ("bytes=0-99999999999999999999999", one(0, 1000)),
            ("bytes=-99999999999999999999999", one(0, 1000)),
            // Of two, one is there.
            ("bytes=5-6,2000-", one(5, 2)),
        ] {
            assert_eq!(Selection::of(value, 1000), selection, "{value}");
        }
    }

    #[test]
    fn h13_416_when_nothing_of_it_is_there() {
        for value in
            ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=99999999999999999999999-", "bytes=1000-,2000-,-0"]
        {
            assert_eq!(Selection::of(value, 1000), Selection::Unsatisfiable, "{value}");
        }
        for value in ["bytes=0-", "bytes=0-0", "bytes=-0"] {
            assert_eq!(Selection::of(value, 0), Selection::Unsatisfiable, "{value}");
        }
        assert_eq!(Selection::of("bytes=-1", 0), Selection::Whole, "all of nothing");
        assert_eq!(unsatisfied_range(1000).to_string(), "bytes */1000");
    }

    #[test]
    fn what_is_no_range_of_bytes_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes 0-1",
            "lines=0-1",
            "bytes=a-b",
            "bytes=5",
            "bytes=-",
            "bytes=6-5",
            "bytes=0-1,6-5",
            "bytes=--5",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=1-2-3",
            "bytes=1 -2",
            "bytes=1-2;3-4",
            "bytes =1-2",
            "bytes=0-1,x",
            "bytes=\u{661}-2",
        ] {
            assert_eq!(Selection::of(value, 1000), Selection::Whole, "{value}");
        }
    }

    #[test]
    fn h13_several_ranges_within_bounds() {
        let many = |value: &str| match Selection::of(value, 1000) {
            Selection::Many(ranges) => ranges.iter().map(|r| (r.first, r.length)).collect::<std::vec::Vec<_>>(),
            other => panic!("{value}: {other:?}"),
        };
        assert_eq!(many("bytes=0-0,-1"), [(0, 1), (999, 1)]);
        assert_eq!(many("bytes=500-599 , 0-99"), [(500, 100), (0, 100)], "in the order of the request");
        assert_eq!(many("bytes=0-9,10-19"), [(0, 10), (10, 10)], "side by side is not overlapping");
        assert_eq!(many("bytes=0-1,5000-,3-4"), [(0, 2), (3, 2)], "without what is not there");
        assert_eq!(many("bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14").len(), MAX_RANGES);
        for too_much in [
            "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16",
            "bytes=0-0,2000-,2000-,2000-,2000-,2000-,2000-,2000-,2000-",
            "bytes=0-9,9-19",
            "bytes=9-19,0-9",
            "bytes=0-,0-",
            "bytes=0-,-1",
            "bytes=5-6,0-999",
        ] {
            assert_eq!(Selection::of(too_much, 1000), Selection::Whole, "{too_much}");
        }
    }

    #[test]
    fn content_range_says_where_a_part_belongs() {
        assert_eq!(ByteRange { first: 0, length: 500 }.content_range(1234).to_string(), "bytes 0-499/1234");
        let end = ByteRange { first: u64::MAX - 1, length: 1 };
        assert_eq!(end.content_range(u64::MAX).to_string(), format!("bytes {0}-{0}/{1}", u64::MAX - 1, u64::MAX));
        assert_eq!(Selection::of("bytes=-1", u64::MAX), Selection::One(end));
    }
}
