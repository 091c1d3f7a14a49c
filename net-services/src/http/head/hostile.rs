//! Requests cut into pieces, and requests with bytes changed at random: the answer depends on the bytes alone.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::tests::{VALID, scan};
use super::*;

/// Numbers that look random and are the same in every run (Marsaglia's xorshift).
pub(in crate::http) struct Random(pub(in crate::http) u64);

impl Random {
    /// A number below `bound`.
    pub(in crate::http) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    /// Changes a few bytes: some that matter in HTTP, some that may be any.
    pub(in crate::http) fn mutate(&mut self, text: &mut Vec<u8>) {
        const TELLING: &[u8] = b"\r\n \t:;,%./?#*0159aAfF\0\"\\[]@=-+\x7f\x80\xc3\xa9";
        for _ in 0..=self.below(3) {
            let byte = match self.below(3) {
                0 => self.below(256) as u8,
                _ => TELLING[self.below(TELLING.len())],
            };
            let at = self.below(text.len() + 1);
            match self.below(5) {
                0 => text.insert(at, byte),
                1 if at < text.len() => drop(text.remove(at)),
                2 => {
                    // A piece twice
                    let end = text.len().min(at + self.below(20));
                    let piece = text[at.min(end)..end].to_vec();
                    let to = self.below(text.len() + 1);
                    text.splice(to..to, piece);
                }
                3 => {
                    // A piece less
                    let end = text.len().min(at + self.below(10));
                    text.drain(at.min(end)..end);
                }
                _ if at < text.len() => text[at] = byte,
                _ => text.push(byte),
            }
        }
    }
}

/// All that a head says, without the buffer.
#[derive(Debug, PartialEq)]
struct Told {
    head: Head,
    path: String,
    query: Option<String>,
    host: String,
    fields: Vec<(String, Vec<u8>)>,
}

/// The answer to a request that comes in pieces, cut at these places.
fn in_pieces(request: &[u8], cuts: impl IntoIterator<Item = usize>) -> Result<Option<Told>, Refusal> {
    let (mut scanner, mut buffer) = (Scanner::new(), Vec::new());
    for cut in cuts.into_iter().chain([request.len()]) {
        buffer.extend(&request[buffer.len()..cut]);
        if let Some(head) = scanner.scan(&mut buffer, &Limits::new())? {
            return Ok(Some(Told {
                head,
                path: head.path(&buffer).to_string(),
                query: head.query(&buffer).map(ToString::to_string),
                host: head.host(&buffer).to_string(),
                fields: head.fields(&buffer).map(|(name, value)| (name.to_string(), value.to_vec())).collect(),
            }));
        }
    }
    Ok(None)
}

#[test]
fn h12_a_request_in_two_pieces_or_byte_by_byte_is_the_same_request() {
    for request in VALID {
        let request = request.as_bytes();
        let whole = in_pieces(request, []).unwrap().unwrap();
        assert_eq!(whole.head.length, request.len());
        for cut in 0..=request.len() {
            assert_eq!(
                in_pieces(request, [cut]).unwrap().as_ref(),
                Some(&whole),
                "{} at {cut}",
                request.escape_ascii()
            );
        }
        assert_eq!(in_pieces(request, 0..request.len()).unwrap().as_ref(), Some(&whole), "{}", request.escape_ascii());
    }
}

#[test]
fn h12_no_prefix_of_a_valid_request_is_refused_or_taken_for_whole() {
    for request in VALID {
        for end in 0..request.len() {
            assert_eq!(scan(&request.as_bytes()[..end]), Ok(None), "{:?}", &request.as_bytes()[..end].escape_ascii());
        }
    }
}

#[test]
fn mutated_requests_never_panic_and_are_answered_the_same_in_pieces() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut refused) = (0, 0);
    for round in 0..10_000 {
        let mut request = VALID[random.below(VALID.len())].as_bytes().to_vec();
        random.mutate(&mut request);
        let whole = in_pieces(&request, []);
        let cut = random.below(request.len() + 1);
        assert_eq!(in_pieces(&request, [cut]), whole, "{round}: {}", request.escape_ascii());
        assert_eq!(in_pieces(&request, 0..request.len()), whole, "{round}: {}", request.escape_ascii());
        match whole {
            Ok(Some(told)) => {
                accepted += 1;
                check(&request, &told);
            }
            Ok(None) => {}
            Err(refusal) => {
                refused += 1;
                assert!(refusal.status.is_error() && !refusal.why.is_empty());
            }
        }
    }
    // The mutations are neither harmless nor deadly alone.
    assert!(accepted > 500 && refused > 5000, "{accepted} accepted, {refused} refused");
}

/// What must hold for whatever is accepted.
fn check(request: &[u8], told: &Told) {
    let text = request.escape_ascii();
    let head = request[..told.head.length].to_vec();
    assert!(head.ends_with(b"\r\n\r\n"), "{text}");
    assert!(told.path.starts_with('/') || (told.path == "*" && told.head.method == Method::Options), "{text}");
    assert!(!told.path.split('/').any(|segment| segment == "." || segment == ".."), "{text}");
    assert!(!told.path.contains(|c: char| c.is_ascii_control()), "{text}");
    assert!(told.head.minor_version == 0 || !told.host.is_empty(), "{text}");

    // No line end or NUL is in it that does not belong there.
    let lines = String::from_utf8_lossy(&head).replace("\r\n", "");
    assert!(!lines.contains(['\r', '\n', '\0']), "{text}");

    // httparse accepts it too, and finds the same; it knows no version above 1.1.
    let mut head = head;
    if let Some(at) = head.windows(7).position(|window| window == b" HTTP/1") {
        head[at + 8] = b'0' + told.head.minor_version;
    }
    let mut table = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut other = httparse::Request::new(&mut table);
    assert_eq!(other.parse(&head), Ok(httparse::Status::Complete(head.len())), "{text}");
    assert_eq!(other.method, Some(told.head.method.as_str()), "{text}");
    assert_eq!(other.version, Some(told.head.minor_version), "{text}");
    let fields: Vec<_> = other.headers.iter().map(|field| (field.name.to_string(), field.value.to_vec())).collect();
    assert_eq!(fields, told.fields, "{text}");

    // There is one way at most to find the end of the message.
    let count = |name: &str| fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(name)).count();
    let expected = match told.head.framing {
        Framing::None => (0, 0),
        Framing::Length(_) => (1, 0),
        Framing::Chunked => (0, 1),
        Framing::UntilClose => panic!("{text}"),
    };
    assert_eq!((count("content-length"), count("transfer-encoding")), expected, "{text}");
    assert!(count("host") <= 1, "{text}");
}

#[test]
fn h4_random_paths_agree_with_the_plain_way_to_resolve_them() {
    const PIECES: [&str; 9] = ["/", "/", ".", "..", "%2e", "%2F", "a", "%41", "/../"];
    let mut random = Random(88);
    let mut outside = 0;
    for _ in 0..10_000 {
        let mut target = String::from("/");
        for _ in 0..random.below(10) {
            target.push_str(PIECES[random.below(PIECES.len())]);
        }
        let plain = target.replace("%2e", ".").replace("%2F", "/").replace("%41", "A");
        let mut segments = Vec::new();
        let mut inside = true;
        for segment in plain[1..].split('/') {
            match segment {
                "." => {}
                ".." => inside &= segments.pop().is_some(),
                _ => segments.push(segment),
            }
        }
        if plain.ends_with("/.") || plain.ends_with("/..") {
            segments.push("");
        }
        let told = in_pieces(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes(), []);
        if inside {
            assert_eq!(told.unwrap().unwrap().path, format!("/{}", segments.join("/")), "{target}");
        } else {
            outside += 1;
            assert_eq!(told, Err(Refusal::bad_request("path leads out of the root")), "{target}");
        }
    }
    assert!(outside > 100, "{outside}");
}
