//! Conditional requests (RFC 9110 section 13): whether a client's copy is still good.
//!
//! [`Site`](super::Site) does this for files. A handler that makes its answer itself can do the same when it knows a
//! validator:
//!
//! ```
//! use net_services::http::files::conditional::{Validators, Verdict};
//! use net_services::http::{Outcome, Request, Response, Status};
//!
//! async fn settings(request: Request<'_>, response: Response<'_>) -> Outcome {
//!     let etag = "\"settings-17\"";
//!     let response = response.header("ETag", etag);
//!     match (Validators { etag: Some(etag), modified: None }).evaluate(request.method(), &request.headers()) {
//!         Verdict::Proceed => response.json("{\"led\":true}").await,
//!         Verdict::NotModified => response.status(Status::NOT_MODIFIED).empty().await,
//!         Verdict::Failed => response.status(Status::PRECONDITION_FAILED).empty().await,
//!     }
//! }
//! ```

use net_core::time::UnixTime;

use super::super::{Fields, Method, date};

/// What tells one state of a resource from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validators<'a> {
    /// As in an `ETag` field: `"abc"`, in quotation marks, or `W/"abc"` for a weak one.
    pub etag: Option<&'a str>,
    /// As in a `Last-Modified` field; parts of a second do not count.
    pub modified: Option<UnixTime>,
}

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All hold, or there are none: do as the request says.
    Proceed,
    /// The client has this state already: 304.
    NotModified,
    /// The client wanted another state: 412.
    Failed,
}

impl Validators<'_> {
    /// Weighs the conditions among `headers` in the order of RFC 9110 section 13.2.2, `If-Range` apart. Dates that are not
    /// valid, or given twice, are ignored, and so are all dates where none is known of the resource.
    pub fn evaluate(&self, method: Method, headers: &Fields<'_>) -> Verdict {
        let reading = matches!(method, Method::Get | Method::Head);
        if let Some(matched) = any_tag(headers.all("If-Match"), |tag| self.is_same(tag)) {
            if !matched {
                return Verdict::Failed;
            }
        } else if let (Some(since), Some(modified)) = (only_date(headers, "If-Unmodified-Since"), self.modified)
            && modified.as_secs() > since.as_secs()
        {
            return Verdict::Failed;
        }
        if let Some(matched) = any_tag(headers.all("If-None-Match"), |tag| self.is_similar(tag)) {
            return match (matched, reading) {
                (false, _) => Verdict::Proceed,
                (true, true) => Verdict::NotModified,
                (true, false) => Verdict::Failed,
            };
        }
        if reading
            && let (Some(since), Some(modified)) = (only_date(headers, "If-Modified-Since"), self.modified)
            && modified.as_secs() <= since.as_secs()
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// Whether a range of this state continues what the client has: there is no `If-Range` among `headers`, or it names
    /// this state by a strong tag or the very date of `Last-Modified` (RFC 9110 section 13.1.5).
    pub fn allow_range(&self, headers: &Fields<'_>) -> bool {
        let mut values = headers.all("If-Range");
        let Some(value) = values.next() else { return true };
        let same = match (take_tag(value), self.modified) {
            (Some((tag, rest)), _) => rest.is_empty() && self.is_same(tag),
            (None, Some(modified)) => date::parse(value).is_some_and(|date| date.as_secs() == modified.as_secs()),
            (None, None) => false,
        };
        same && values.next().is_none()
    }

    /// The strong comparison (RFC 9110 section 8.8.3.2).
    fn is_same(&self, tag: &[u8]) -> bool {
        self.etag.is_some_and(|etag| etag.as_bytes() == tag) && !tag.starts_with(b"W/")
    }

    /// The weak comparison.
    fn is_similar(&self, tag: &[u8]) -> bool {
        self.etag.is_some_and(|etag| opaque(etag.as_bytes()) == opaque(tag))
    }
}

/// Whether `matches` holds for one of the tags that the values of a field list, or the list is `*`; `None` without any
/// value. What follows a broken member of a list is not looked at.
fn any_tag<'a>(values: impl Iterator<Item = &'a [u8]>, matches: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let mut found = None;
    for value in values {
        found = Some(found == Some(true) || value == b"*" || tags(value).any(&matches));
    }
    found
}

/// The tags of a list, up to its end or to what is not a tag. A tag may have commas within, and a list empty members
/// (RFC 9110 section 5.6.1.2).
fn tags(mut list: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = list {
            list = rest;
        }
        let (tag, rest) = take_tag(list)?;
        list = rest.trim_ascii_start();
        matches!(list, [] | [b',', ..]).then_some(tag)
    })
}

/// The entity tag at the beginning of `text`, and what follows it.
fn take_tag(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = opaque(text).strip_prefix(b"\"")?;
    let length = inner.iter().position(|&byte| byte == b'"')?;
    // No control characters and no space (etagc).
    if inner.iter().take(length).any(|&byte| byte <= b' ' || byte == 0x7f) {
        return None;
    }
    text.split_at_checked(text.len() - inner.len() + length + 1)
}

/// The tag without the mark of a weak one.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The date in the field `name`, if there is exactly one, and it is valid.
fn only_date(headers: &Fields<'_>, name: &str) -> Option<UnixTime> {
    let mut values = headers.all(name);
    let date = date::parse(values.next()?)?;
    values.next().is_none().then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &str = "\"a-1\"";
    /// A moment within the second of `SAME`.
    const THEN: UnixTime = UnixTime::from_micros(946_684_800_700_000);
    const BEFORE: &str = "Fri, 31 Dec 1999 23:59:59 GMT";
    const SAME: &str = "Sat, 01 Jan 2000 00:00:00 GMT";
    const AFTER: &str = "Sat, 01 Jan 2000 00:00:01 GMT";
    const FULL: Validators<'static> = Validators { etag: Some(TAG), modified: Some(THEN) };
    const WEAK: Validators<'static> = Validators { etag: Some("W/\"a-1\""), modified: None };
    const NOTHING: Validators<'static> = Validators { etag: None, modified: None };

    fn lines(fields: &[(&str, &str)]) -> std::string::String {
        fields.iter().map(|(name, value)| std::format!("{name}: {value}\r\n")).collect()
    }

    fn evaluate(validators: Validators<'_>, method: Method, fields: &[(&str, &str)]) -> Verdict {
        validators.evaluate(method, &Fields::new(lines(fields).as_bytes()))
    }

    #[test]
    fn tags_are_taken_from_lists() {
        for (text, taken) in [
            ("\"a\"", Some(("\"a\"", ""))),
            ("\"\", x", Some(("\"\"", ", x"))),
            ("W/\"a,b\"x", Some(("W/\"a,b\"", "x"))),
            ("\"ä\"", Some(("\"ä\"", ""))),
            ("w/\"a\"", None),
            ("a", None),
            ("\"a", None),
            ("\"a b\"", None),
            ("\"a\tb\"", None),
            ("W/", None),
            ("W/W/\"a\"", None),
            ("", None),
        ] {
            assert_eq!(take_tag(text.as_bytes()), taken.map(|(a, b)| (a.as_bytes(), b.as_bytes())), "{text}");
        }
    }

    #[test]
    fn h13_each_condition_on_its_own() {
        use Verdict::{Failed, NotModified, Proceed};
        for (name, value, verdict) in [
            ("If-None-Match", TAG, NotModified),
            ("If-None-Match", "W/\"a-1\"", NotModified),
            ("If-None-Match", "\"x\", \"a-1\"", NotModified),
            ("If-None-Match", ",\"a,b\" ,\t, W/\"a-1\" ,", NotModified),
            ("If-None-Match", "*", NotModified),
            ("If-None-Match", "\"x\"", Proceed),
            ("If-None-Match", "", Proceed),
            ("If-None-Match", "a-1", Proceed),
            ("If-None-Match", "broken, \"a-1\"", Proceed),
            ("If-None-Match", "\"x\" \"a-1\"", Proceed),
            ("If-None-Match", "\"a-1\"x", Proceed),
            ("if-none-match", TAG, NotModified),
            ("If-Match", TAG, Proceed),
            ("If-Match", "\"x\",\"a-1\"", Proceed),
            ("If-Match", "*", Proceed),
            ("If-Match", "W/\"a-1\"", Failed),
            ("If-Match", "\"x\"", Failed),
            ("If-Match", "", Failed),
            ("If-Match", "\"*\"", Failed),
            ("If-Modified-Since", BEFORE, Proceed),
            ("If-Modified-Since", SAME, NotModified),
            ("If-Modified-Since", AFTER, NotModified),
            ("If-Modified-Since", "yesterday", Proceed),
            ("If-Unmodified-Since", BEFORE, Failed),
            ("If-Unmodified-Since", SAME, Proceed),
            ("If-Unmodified-Since", AFTER, Proceed),
            ("If-Unmodified-Since", "yesterday", Proceed),
        ] {
            for method in [Method::Get, Method::Head] {
                assert_eq!(evaluate(FULL, method, &[(name, value)]), verdict, "{name}: {value}");
            }
        }
        assert_eq!(evaluate(FULL, Method::Get, &[]), Proceed);
    }

    #[test]
    fn h13_the_order_of_conditions() {
        use Verdict::{Failed, NotModified, Proceed};
        for (fields, verdict) in [
            // A tag goes before a date.
            (&[("If-Match", TAG), ("If-Unmodified-Since", BEFORE)][..], Proceed),
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", AFTER)], Proceed),
            (&[("If-None-Match", TAG), ("If-Modified-Since", BEFORE)], NotModified),
            // 412 goes before 304.
            (&[("If-None-Match", TAG), ("If-Match", "\"x\"")], Failed),
            (&[("If-Modified-Since", AFTER), ("If-Unmodified-Since", BEFORE)], Failed),
            (&[("If-Match", TAG), ("If-None-Match", TAG)], NotModified),
            (&[("If-Match", TAG), ("If-Modified-Since", AFTER)], NotModified),
            (&[("If-Unmodified-Since", SAME), ("If-None-Match", TAG)], NotModified),
            // Several fields of one name are one list; of dates there may only be one.
            (&[("If-None-Match", "\"x\""), ("If-None-Match", TAG)], NotModified),
            (&[("If-Match", TAG), ("If-Match", "\"x\"")], Proceed),
            (&[("If-Modified-Since", AFTER), ("If-Modified-Since", AFTER)], Proceed),
            (&[("If-Unmodified-Since", BEFORE), ("If-Unmodified-Since", BEFORE)], Proceed),
        ] {
            assert_eq!(evaluate(FULL, Method::Get, fields), verdict, "{fields:?}");
        }
    }

    #[test]
    fn other_methods_are_never_answered_304() {
        assert_eq!(evaluate(FULL, Method::Put, &[("If-None-Match", "*")]), Verdict::Failed);
        assert_eq!(evaluate(FULL, Method::Put, &[("If-None-Match", "\"x\"")]), Verdict::Proceed);
        assert_eq!(evaluate(FULL, Method::Put, &[("If-Modified-Since", AFTER)]), Verdict::Proceed);
        assert_eq!(evaluate(FULL, Method::Put, &[("If-Unmodified-Since", BEFORE)]), Verdict::Failed);
    }

    #[test]
    fn without_a_validator_only_a_star_matches() {
        for (field, verdict) in [
            (("If-None-Match", "*"), Verdict::NotModified),
            (("If-None-Match", "\"\""), Verdict::Proceed),
            (("If-Match", "*"), Verdict::Proceed),
            (("If-Match", TAG), Verdict::Failed),
            (("If-Modified-Since", AFTER), Verdict::Proceed),
            (("If-Unmodified-Since", BEFORE), Verdict::Proceed),
        ] {
            assert_eq!(evaluate(NOTHING, Method::Get, &[field]), verdict, "{field:?}");
        }
    }

    #[test]
    fn a_weak_tag_is_good_enough_to_say_not_modified_only() {
        assert_eq!(evaluate(WEAK, Method::Get, &[("If-None-Match", TAG)]), Verdict::NotModified);
        for tag in [TAG, "W/\"a-1\""] {
            assert_eq!(evaluate(WEAK, Method::Get, &[("If-Match", tag)]), Verdict::Failed, "{tag}");
        }
    }

    #[test]
    fn h13_if_range_wants_the_very_same() {
        for (validators, value, allowed) in [
            (FULL, TAG, true),
            (FULL, "\"x\"", false),
            (FULL, "W/\"a-1\"", false),
            (FULL, "\"a-1\", \"x\"", false),
            (FULL, "*", false),
            (FULL, "", false),
            (FULL, SAME, true),
            (FULL, BEFORE, false),
            (FULL, AFTER, false),
            (WEAK, "W/\"a-1\"", false),
            (WEAK, SAME, false),
            (NOTHING, TAG, false),
        ] {
            let allow = |text: &str| validators.allow_range(&Fields::new(text.as_bytes()));
            let field = lines(&[("If-Range", value)]);
            assert_eq!(allow(&field), allowed, "{value}");
            assert!(!allow(&field.repeat(2)), "two are none: {value}");
            assert!(allow(""), "without the field there is no condition");
        }
    }
}
