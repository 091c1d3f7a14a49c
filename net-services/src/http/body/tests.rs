//! Bodies of every framing, cut everywhere.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::head::hostile::Random;
use super::*;

/// What became of a body: its content, whether it ended, and how many bytes of input it took.
type Outcome = Result<(Vec<u8>, bool, usize), Refusal>;

/// Feeds a decoder with input that is cut at these places, taking at most `bite` bytes of content at once.
fn decode(framing: Framing, input: &[u8], cuts: &[usize], bite: usize) -> Outcome {
    let mut decoder = Decoder::new(framing);
    let (mut content, mut at) = (Vec::new(), 0);
    for &end in cuts.iter().chain([&input.len()]) {
        loop {
            let window = &input[at..end];
            match decoder.next(window)? {
                Step::More { skip } => {
                    // All that is there has been used: a full window cannot come to a stand.
                    assert_eq!(skip, window.len());
                    at += skip;
                    assert!(!decoder.is_done());
                    break;
                }
                Step::Data { skip, length } => {
                    assert!(length > 0 && skip + length <= window.len());
                    let taken = length.min(bite);
                    content.extend(&window[skip..skip + taken]);
                    decoder.consumed(taken);
                    at += skip + taken;
                }
                Step::End { skip } => {
                    assert!(decoder.is_done() && decoder.may_end_here());
                    assert_eq!(decoder.next(b"GET"), Ok(Step::End { skip: 0 }));
                    return Ok((content, true, at + skip));
                }
            }
        }
    }
    assert_eq!(decoder.may_end_here(), framing == Framing::UntilClose);
    Ok((content, false, at))
}

/// The same, after it has been found to be so however the input is cut.
#[track_caller]
fn chunked(input: &[u8]) -> Outcome {
    let whole = decode(Framing::Chunked, input, &[], usize::MAX);
    for cut in 0..=input.len() {
        assert_eq!(decode(Framing::Chunked, input, &[cut], 3), whole, "{} cut at {cut}", input.escape_ascii());
    }
    let each: Vec<usize> = (0..input.len()).collect();
    assert_eq!(decode(Framing::Chunked, input, &each, 1), whole, "{} byte by byte", input.escape_ascii());
    whole
}

const VALID: &[(&str, &str)] = &[
    ("0\r\n\r\n", ""),
    ("5\r\nhello\r\n0\r\n\r\n", "hello"),
    ("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"),
    ("A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n", "01234567890123456789"),
    ("00000005\r\nhello\r\n00000000\r\n\r\n", "hello"),
    ("2\r\n\r\n\r\n4\r\n0\r\n\r\r\n0\r\n\r\n", "\r\n0\r\n\r"),
    ("1;a\r\nx\r\n0;b=c\r\n\r\n", "x"),
    ("1;a=b;c=\"d;\t\\\"\\\\ \u{e9}\";e\r\nx\r\n0;q=\"\"\r\n\r\n", "x"),
    ("1\r\nx\r\n0\r\nX-Checksum: abc\r\nEmpty:\r\nL:\t\u{e9} \r\n\r\n", "x"),
];

#[test]
fn h8_chunked_bodies_cut_at_every_byte() {
    for (input, content) in VALID {
        // What follows belongs to the next request.
        for rest in ["", "GET / HTTP/1.1\r\n", "\r\n", "0\r\n\r\n"] {
            let expected = Ok((content.as_bytes().to_vec(), true, input.len()));
            assert_eq!(chunked(format!("{input}{rest}").as_bytes()), expected, "{input:?}");
        }
    }
}

#[test]
fn h8_chunked_bodies_cut_at_every_pair_of_bytes() {
    for (input, content) in VALID {
        for first in 0..=input.len() {
            for second in first..=input.len() {
                for bite in [1, usize::MAX] {
                    let outcome = decode(Framing::Chunked, input.as_bytes(), &[first, second], bite);
                    let expected = Ok((content.as_bytes().to_vec(), true, input.len()));
                    assert_eq!(outcome, expected, "{input:?} cut at {first} and {second}");
                }
            }
        }
    }
}

#[test]
fn h8_no_prefix_is_refused_or_taken_for_whole() {
    for (input, _) in VALID {
        for end in 0..input.len() {
            let (_, ended, used) = chunked(&input.as_bytes()[..end]).unwrap();
            assert!(!ended && used == end, "{:?}", &input.as_bytes()[..end].escape_ascii());
        }
    }
}

#[test]
fn h8_malformed_chunks() {
    for input in [
        "\r\n",
        "x",
        "-1\r\n",
        "+5\r\n",
        " 5\r\n",
        "0x5\r\n",
        "5 \r\n",
        "5\t\r\n",
        "1_0\r\n",
        "5,\r\n",
        "g\r\n",
        "\n",
        ";a\r\n",
        "5\n",
        "5\rh",
        "5\r\r\n",
        "000000005\r\n",
        "FFFFFFFFF",
        "FFFFFFFFFFFFFFFF0\r\n",
        "5.0\r\n",
        "\u{e9}",
        // After the data
        "5\r\nhello0\r\n",
        "5\r\nhello!!\r\n",
        "5\r\nhello\n0\r\n",
        "5\r\nhello\r0\r\n",
        "5\r\nhello\r\r\n",
        "5\r\nhello \r\n",
        "5\r\nhello\r\n\r\n",
        "5\r\nhello\r\n\n",
        "1\r\nx\r\n 0\r\n",
    ] {
        assert_eq!(chunked(input.as_bytes()).unwrap_err().status, Status::BAD_REQUEST, "{input:?}");
    }
}

#[test]
fn h8_chunk_extensions() {
    for (extension, valid) in [
        (";a", true),
        (";a=b", true),
        (";a=\"b\"", true),
        (";a;b", true),
        (";a=b;c=d", true),
        (";a=\"\"", true),
        (";a=\" \t;=,\"", true),
        (";a=\"\\\"\"", true),
        (";a=\"\\\\\"", true),
        (";!#$%&'*+-.^_`|~9=9", true),
        (";a=\"\u{e9}\"", true),
        (";a=\"\\\t\"", true),
        (";", false),
        (";;", false),
        (";a;", false),
        (";=", false),
        (";=b", false),
        (";a=", false),
        (";a=;b", false),
        (" ;a", false),
        ("; a", false),
        (";a ", false),
        (";a =b", false),
        (";a= b", false),
        (";a=b ", false),
        (";a=b c", false),
        (";a[=x", false),
        (";a=b=c", false),
        (";a=\"b", false),
        (";a=\"b\"c", false),
        (";a=\"b\" ", false),
        (";a=\"b\"\"c\"", false),
        (";\"a\"", false),
        (";a\0", false),
        (";\0a", false),
        (";a=\"\0\"", false),
        (";a=\"\\\0\"", false),
        (";a=\"\r\n\"", false),
        (";a=\"\n\"", false),
        (";a\rb", false),
        (";a\n", false),
        (";\n", false),
        (";\r\n", false),
        (";a=\"\\\r\n\"", false),
        (";\u{e9}", false),
        (";a=b\u{e9}", false),
        ("; a=b", false),
        (",a", false),
        (";a,b", false),
        (";a=\"\u{7f}\"", false),
    ] {
        for (before, after) in [("", ""), ("1\r\nx\r\n", "")] {
            let outcome = chunked(format!("{before}1{extension}\r\ny\r\n0{after}\r\n\r\n").as_bytes());
            assert_eq!(outcome.is_ok(), valid, "{extension:?}");
        }
        let last = chunked(format!("1\r\ny\r\n0{extension}\r\n\r\n").as_bytes());
        assert_eq!(last.is_ok(), valid, "{extension:?} on the last chunk");
    }
}

#[test]
fn h8_trailers() {
    for (trailers, valid) in [
        ("X: y\r\n", true),
        ("X:\r\n", true),
        ("X:y\r\nX:z\r\n", true),
        ("ETag: \"a\"\r\n", true),
        ("Contents: a\r\n", true),
        ("A-name-that-is-longer-than-any-that-is-forbidden: y\r\n", true),
        ("Proxy-Authorizations: y\r\n", true),
        ("Content-Length: 50\r\n", false),
        ("content-length:50\r\n", false),
        ("Transfer-Encoding: chunked\r\n", false),
        ("Host: a\r\n", false),
        ("Authorization: x\r\n", false),
        ("Content-Type: text/plain\r\n", false),
        ("Content-A-Name-That-Is-Long: x\r\n", false),
        ("X: y\r\nHOST: a\r\n", false),
        ("Proxy-Authorization: x\r\n", false),
        ("TE: x\r\n", false),
        ("Cookie: x\r\n", false),
        ("X\r\n", false),
        ("X : y\r\n", false),
        (" X: y\r\n", false),
        (": y\r\n", false),
        ("X: y\r\n z\r\n", false),
        ("X: y\n", false),
        ("X: \0\r\n", false),
        ("X: a\rb\r\n", false),
        ("X: y\r\n\t\r\n", false),
        ("X y: z\r\n", false),
        ("\n", false),
        ("\r", false),
        ("N\u{e9}: y\r\n", false),
        ("X[]: y\r\n", false),
    ] {
        let outcome = chunked(format!("1\r\nx\r\n0\r\n{trailers}\r\n").as_bytes());
        match outcome {
            Ok(outcome) => assert!(valid && outcome.1, "{trailers:?}"),
            Err(refusal) => assert!(!valid && refusal.status == Status::BAD_REQUEST, "{trailers:?}"),
        }
    }
}

#[test]
fn h24_trailers_of_a_response_may_have_any_name_but_no_other_form() {
    for (trailer, valid) in [("Content-Digest: x\r\n", true), ("Host : a\r\n", false), (" X: y\r\n", false)] {
        let input = format!("0\r\n{trailer}\r\n");
        let step = Decoder::for_response(Framing::Chunked).next(input.as_bytes());
        assert_eq!(step.is_ok_and(|step| step == Step::End { skip: input.len() }), valid, "{trailer:?}");
    }
    assert!(Decoder::new(Framing::Chunked).next(b"0\r\nContent-Digest: x\r\n").is_err());
}

#[test]
fn h8_extensions_and_trailers_have_a_bound() {
    let status = |input: String| decode(Framing::Chunked, input.as_bytes(), &[], 64).map_err(|refusal| refusal.status);
    let ended = |input: String| status(input).is_ok_and(|outcome| outcome.1);
    let room = usize::from(MAX_EXTENSIONS);
    assert!(ended(format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(room - 1))));
    assert_eq!(status(format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(room))), Err(Status::BAD_REQUEST));
    assert_eq!(status(format!("1;{}", "a".repeat(100_000))), Err(Status::BAD_REQUEST));
    // Also in many chunks.
    assert!(ended("1;a\r\nx\r\n".repeat(room / 2) + "0\r\n\r\n"));
    assert_eq!(status("1;a\r\nx\r\n".repeat(room / 2 + 1) + "0\r\n\r\n"), Err(Status::BAD_REQUEST));
    // Chunks without extensions have none, and a trailer section starts anew.
    assert!(ended("1\r\nx\r\n".repeat(100_000) + "0\r\n\r\n"));
    let room = usize::from(MAX_TRAILERS);
    assert!(ended(format!("1;{}\r\nx\r\n0\r\nX:{}\r\n\r\n", "a".repeat(2000), "y".repeat(room - 2))));
    let too_long = Err(Status::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert_eq!(status(format!("0\r\nX:{}\r\n\r\n", "y".repeat(room - 1))), too_long);
    assert_eq!(status(format!("0\r\n{}\r\n", "X:\r\n".repeat(100_000))), too_long);
    assert_eq!(status(format!("0\r\n{}\r\n", "N".repeat(100_000))), too_long);
}

#[test]
fn a_broken_body_stays_broken() {
    let mut decoder = Decoder::new(Framing::Chunked);
    assert!(decoder.next(b"x").is_err());
    assert!(decoder.next(b"5\r\nhello\r\n0\r\n\r\n").is_err());
    assert!(!decoder.is_done() && !decoder.may_end_here());
}

#[test]
fn h7_a_body_of_known_length() {
    for cut in 0..=5 {
        for bite in [1, 2, usize::MAX] {
            let outcome = decode(Framing::Length(5), b"helloGET", &[cut], bite);
            assert_eq!(outcome, Ok((b"hello".to_vec(), true, 5)));
        }
    }
    assert_eq!(decode(Framing::Length(5), b"hell", &[], 9), Ok((b"hell".to_vec(), false, 4)));
    assert_eq!(decode(Framing::Length(0), b"GET", &[], 9), Ok((Vec::new(), true, 0)));
    assert_eq!(decode(Framing::None, b"GET", &[], 9), Ok((Vec::new(), true, 0)));
    // Longer than a 32-bit machine can count.
    let mut decoder = Decoder::new(Framing::Length(u64::MAX));
    assert_eq!(decoder.next(b"abc"), Ok(Step::Data { skip: 0, length: 3 }));
    decoder.consumed(3);
    assert!(!decoder.is_done());
    // A chunk of the largest size
    let mut decoder = Decoder::new(Framing::Chunked);
    assert_eq!(decoder.next(b"fFfFffff\r\nab"), Ok(Step::Data { skip: 10, length: 2 }));
}

#[test]
fn a_body_until_the_connection_ends() {
    let outcome = decode(Framing::UntilClose, b"0\r\n\r\n", &[0, 2], 2);
    assert_eq!(outcome, Ok((b"0\r\n\r\n".to_vec(), false, 5)));
    let decoder = Decoder::new(Framing::UntilClose);
    assert!(decoder.may_end_here() && !decoder.is_done());
    for framing in [Framing::Length(1), Framing::Chunked] {
        assert!(!Decoder::new(framing).may_end_here());
    }
    for framing in [Framing::Length(0), Framing::None] {
        let decoder = Decoder::new(framing);
        assert!(decoder.is_done() && decoder.may_end_here());
    }
}

#[test]
fn h8_mutated_bodies_never_panic_and_are_the_same_in_pieces() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let (mut ended, mut refused) = (0, 0);
    for round in 0..10_000 {
        let mut input = VALID[random.below(VALID.len())].0.to_string().into_bytes();
        random.mutate(&mut input);
        let whole = chunked(&input);
        match whole {
            Ok((content, true, used)) => {
                ended += 1;
                assert!(content.len() < used && input[..used].ends_with(b"\r\n"), "{round}: {}", input.escape_ascii());
                // httparse reads the same size from the first line.
                if let Ok(httparse::Status::Complete((at, size))) = httparse::parse_chunk_size(&input) {
                    assert!(input[at..].starts_with(&content[..size as usize]), "{round}: {}", input.escape_ascii());
                } else {
                    panic!("{round}: httparse refuses {}", input.escape_ascii());
                }
            }
            Ok(_) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(ended > 500 && refused > 4000, "{ended} ended, {refused} refused");
}
