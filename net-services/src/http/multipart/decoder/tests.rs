//! Bodies as clients make them, cut every way, and wrong ones (H-19).

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::super::PARTS;
use super::*;

/// What the decoder must never need more of to go on: the longest boundary and 14 bytes.
const WINDOW: usize = 84;

/// A part as it was found: name, file name, type and content.
pub(in super::super) type Found = (String, Option<String>, Option<String>, Vec<u8>);

pub(in super::super) fn found(
    name: &str,
    file_name: Option<&str>,
    content_type: Option<&str>,
    content: &[u8],
) -> Found {
    (name.to_string(), file_name.map(str::to_string), content_type.map(str::to_string), content.to_vec())
}

/// A body: each part is its header lines and its content.
pub(in super::super) fn body(boundary: &str, parts: &[(&[&str], &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (lines, content) in parts {
        body.extend_from_slice(format!("--{boundary}\r\n{}\r\n\r\n", lines.join("\r\n")).as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

/// Decodes `body`, which arrives in pieces of these lengths, again and again, through a window that holds no more than
/// is needed.
fn decode(content_type: &str, body: &[u8], pieces: &[usize]) -> Result<Vec<Found>, Error> {
    let mut decoder = Decoder::new(content_type, PARTS)?;
    let (mut all, mut current): (Vec<Found>, Option<Found>) = (Vec::new(), None);
    let (mut start, mut end) = (0, 0);
    let mut pieces = pieces.iter().cycle();
    loop {
        match decoder.next(&body[start..end], end == body.len())? {
            Step::More { skip } => {
                assert!(end < body.len(), "there is no more");
                start += skip;
                assert!(end - start < WINDOW, "{} bytes held back", end - start);
                end = body.len().min(end + pieces.next().unwrap());
            }
            Step::Part { skip } => {
                assert!(current.is_none());
                start += skip;
                let head = decoder.head();
                let (file_name, content_type) = (head.file_name.as_deref(), head.content_type.as_deref());
                current = Some(found(&head.name, file_name, content_type, b""));
            }
            Step::Data { length } => {
                assert!(length > 0);
                current.as_mut().unwrap().3.extend_from_slice(&body[start..start + length]);
                start += length;
            }
            Step::PartEnd { skip } => {
                start += skip;
                all.push(current.take().unwrap());
            }
            Step::End { .. } => {
                assert!(current.is_none());
                return Ok(all);
            }
        }
    }
}

/// A client's `Content-Type`, its body, and what is in it.
pub(in super::super) type Recording = (&'static str, Vec<u8>, Vec<Found>);

/// What real clients send: header lines, escapes and boundaries as these versions wrote them.
pub(in super::super) fn clients() -> Vec<Recording> {
    vec![curl(), curl_with_backslashes(), requests(), undici(), chromium(), python_email()]
}

/// curl 7.88: `-F text=val -F 'file=@a b.txt' -F 'odd=@q"ü.bin' -F 'empty=@empty;type=image/png' -F 'q"uote=x'`.
fn curl() -> Recording {
    let binary = b"\x00\r\n--\r\n\r\n--------------------------e20bd2a4ecb697f\xff\r";
    let parts: [(&[&str], &[u8]); 5] = [
        (&["Content-Disposition: form-data; name=\"text\""], b"val"),
        (
            &["Content-Disposition: form-data; name=\"file\"; filename=\"a b.txt\"", "Content-Type: text/plain"],
            b"hello\r\n",
        ),
        (
            &[
                "Content-Disposition: form-data; name=\"odd\"; filename=\"q%22ü.bin\"",
                "Content-Type: application/octet-stream",
            ],
            binary,
        ),
        (&["Content-Disposition: form-data; name=\"empty\"; filename=\"empty\"", "Content-Type: image/png"], b""),
        (&["Content-Disposition: form-data; name=\"q%22uote\""], b"x"),
    ];
    let expected = vec![
        found("text", None, None, b"val"),
        found("file", Some("a b.txt"), Some("text/plain"), b"hello\r\n"),
        found("odd", Some("q\"ü.bin"), Some("application/octet-stream"), binary),
        found("empty", Some("empty"), Some("image/png"), b""),
        found("q\"uote", None, None, b"x"),
    ];
    let content_type = "multipart/form-data; boundary=------------------------e20bd2a4ecb697f2";
    (content_type, body("------------------------e20bd2a4ecb697f2", &parts), expected)
}

/// curl 7.88 with `--form-escape`, and curl before 7.81: backslashes instead of `%22`.
fn curl_with_backslashes() -> Recording {
    let parts: [(&[&str], &[u8]); 2] = [
        (&["Content-Disposition: form-data; name=\"q\\\"uote\\\\\""], b"x"),
        (&["Content-Disposition: form-data; name=\"f\"; filename=\"a\\\"b.png\"", "Content-Type: image/png"], b"\r\n"),
    ];
    let expected = vec![found("q\"uote\\", None, None, b"x"), found("f", Some("a\"b.png"), Some("image/png"), b"\r\n")];
    let content_type = "multipart/form-data; boundary=------------------------d307450146ca3c00";
    (content_type, body("------------------------d307450146ca3c00", &parts), expected)
}

/// Python's requests 2.34 on urllib3 2.7: no type for a file whose name tells none.
fn requests() -> Recording {
    let parts: [(&[&str], &[u8]); 3] = [
        (&["Content-Disposition: form-data; name=\"n%22q\""], "välue".as_bytes()),
        (
            &["Content-Disposition: form-data; name=\"file\"; filename=\"ü %22x%22.txt\"", "Content-Type: text/plain"],
            b"data",
        ),
        (&["Content-Disposition: form-data; name=\"f2\"; filename=\"empty\""], b""),
    ];
    let expected = vec![
        found("n\"q", None, None, "välue".as_bytes()),
        found("file", Some("ü \"x\".txt"), Some("text/plain"), b"data"),
        found("f2", Some("empty"), None, b""),
    ];
    let content_type = "multipart/form-data; boundary=99f224f865ce58b5877125bf014461c7";
    (content_type, body("99f224f865ce58b5877125bf014461c7", &parts), expected)
}

/// Node 20's `FormData`: line ends in names, and a blob without a name.
fn undici() -> Recording {
    let parts: [(&[&str], &[u8]); 3] = [
        (&["Content-Disposition: form-data; name=\"name\""], b"two\r\nlines"),
        (&["Content-Disposition: form-data; name=\"q%22n%0D%0A\""], b"1"),
        (&["Content-Disposition: form-data; name=\"e\"", "Content-Type: application/octet-stream"], b""),
    ];
    let expected = vec![
        found("name", None, None, b"two\r\nlines"),
        found("q\"n\r\n", None, None, b"1"),
        found("e", None, Some("application/octet-stream"), b""),
    ];
    let content_type = "multipart/form-data; boundary=----formdata-undici-065663623294";
    (content_type, body("----formdata-undici-065663623294", &parts), expected)
}

/// A browser's form: `<input type=file>` in which nothing was chosen, and one with a file.
fn chromium() -> Recording {
    let none =
        ["Content-Disposition: form-data; name=\"none\"; filename=\"\"", "Content-Type: application/octet-stream"];
    let image = ["Content-Disposition: form-data; name=\"image\"; filename=\"100%.jpg\"", "Content-Type: image/jpeg"];
    let parts: [(&[&str], &[u8]); 2] = [(&none, b""), (&image, b"\xff\xd8\xff\xe0\r\r\n\n-\r\n--\r\n----WebKit")];
    let expected = vec![
        found("none", Some(""), Some("application/octet-stream"), b""),
        found("image", Some("100%.jpg"), Some("image/jpeg"), parts[1].1),
    ];
    let content_type = "multipart/form-data; boundary=----WebKitFormBoundaryx3Qe0Z7yKqB1mVbA";
    (content_type, body("----WebKitFormBoundaryx3Qe0Z7yKqB1mVbA", &parts), expected)
}

/// Python 3's `email` package: a quoted boundary, many header fields, the extended form of a file name.
fn python_email() -> Recording {
    let text = [
        "Content-Type: text/plain; charset=\"us-ascii\"",
        "MIME-Version: 1.0",
        "Content-Transfer-Encoding: 7bit",
        "Content-Disposition: form-data; name=\"name\"",
    ];
    let file = [
        "Content-Type: application/octet-stream",
        "MIME-Version: 1.0",
        "Content-Disposition: form-data; name=\"file\"; filename*=utf-8''%C3%BC%20x.bin",
    ];
    let parts: [(&[&str], &[u8]); 2] = [(&text, b"hello"), (&file, b"\x00\x01")];
    let expected = vec![
        found("name", None, Some("text/plain; charset=\"us-ascii\""), b"hello"),
        found("file", Some("ü x.bin"), Some("application/octet-stream"), b"\x00\x01"),
    ];
    let content_type = "multipart/form-data; boundary=\"===============5760760412494955503==\"";
    (content_type, body("===============5760760412494955503==", &parts), expected)
}

#[test]
fn h19_what_clients_send_is_read_however_it_is_cut() {
    for (content_type, body, expected) in clients() {
        assert_eq!(decode(content_type, &body, &[body.len()]).unwrap(), expected, "{content_type}");
        for length in 1..200 {
            assert_eq!(decode(content_type, &body, &[length]).unwrap(), expected, "{content_type} in {length}s");
        }
        for cut in 1..body.len() {
            let pieces = [cut, body.len() - cut];
            assert_eq!(decode(content_type, &body, &pieces).unwrap(), expected, "{content_type} cut at {cut}");
        }
    }
}

const SIMPLE: &str = "Multipart/Form-Data; charset=utf-8; BOUNDARY=B";

/// One part with these header lines and some content.
fn part(lines: &[&str]) -> Vec<u8> {
    body("B", &[(lines, b"content")])
}

/// One part with this `Content-Disposition`.
fn disposition(value: &str) -> Result<Found, Error> {
    let line = format!("content-disposition:{value}");
    let mut parts = decode(SIMPLE, &part(&[&line]), &[1000])?;
    assert_eq!(parts.len(), 1);
    Ok(parts.remove(0))
}

#[test]
fn what_is_almost_a_boundary_is_content() {
    let contents: [&[u8]; 12] = [
        b"--B",
        b"\n--B--\r\n",
        b"\r--B\r\n",
        b"\r\n-B",
        b"\r\n--b--",
        b"\r\n--BB\r\n",
        b"\r\n--B-\r\n",
        b"\r\n--B -- ",
        b"\r\n--B\n",
        b"\r\r\n--\r\n--B\r\r\n",
        b"\r\n--B \t \t \t \t \t\r\n",
        b"--B\r\n\r\n--Bx",
    ];
    for content in contents {
        let body = body("B", &[(&["Content-Disposition: form-data; name=a"], content)]);
        for length in 1..body.len() {
            let expected = [found("a", None, None, content)];
            assert_eq!(decode(SIMPLE, &body, &[length]).unwrap(), expected, "{}", content.escape_ascii());
        }
    }
}

#[test]
fn what_is_around_the_parts_is_no_content() {
    // RFC 2046 section 5.1.1: preamble, epilogue, padding behind a boundary; and a form without parts.
    let inner = part(&["Content-Disposition: form-data; name=a"]);
    let text = String::from_utf8(inner).unwrap();
    let padded = text.replacen("--B\r\n", "--B \t\r\n", 1);
    for body in [format!("preamble\r\n{text}"), format!("\r\n{text}"), format!("{text}--B\r\n\r\n"), padded] {
        for length in [1, 7, 1000] {
            let expected = [found("a", None, None, b"content")];
            assert_eq!(decode(SIMPLE, body.as_bytes(), &[length]).unwrap(), expected, "{body:?}");
        }
    }
    assert!(decode(SIMPLE, b"--B--", &[1]).unwrap().is_empty());
    assert!(decode(SIMPLE, b"--B--\r\n", &[9]).unwrap().is_empty());
}

#[test]
fn a_boundary_must_be_one() {
    let longest = "b".repeat(70);
    for good in ["B", "\"B\"", "\"a b'()+_,-./:=?\"", &longest] {
        assert!(Decoder::new(&format!("multipart/form-data; boundary={good}"), 1).is_ok(), "{good}");
    }
    let too_long = "b".repeat(71);
    for bad in ["", "\"\"", "\"B", "\"B \"", "a@b", "a b", &too_long] {
        let error = Decoder::new(&format!("multipart/form-data; boundary={bad}"), 1).err().unwrap();
        assert_eq!(error.status(), Status::BAD_REQUEST, "{bad}");
    }
    assert!(Decoder::new("multipart/form-data", 1).is_err());
}

#[test]
fn file_names_are_only_names() {
    for (sent, expected) in [
        ("\"C:\\Users\\me\\photo.jpg\"", "photo.jpg"),
        ("\"\\\\server\\share\\x.txt\"", "x.txt"),
        ("\"../../etc/passwd\"", "passwd"),
        ("\"/etc/\"", ""),
        ("\"..\"", ""),
        ("\"a/..\"", ""),
        ("\".\"", ""),
        ("\"a%0D%0Ab\"", "a__b"),
        ("\"a\u{7f}\u{85}\x00b\"", "a___b"),
        ("plain.txt", "plain.txt"),
        ("with space.txt", "with space.txt"),
    ] {
        let part = disposition(&format!("form-data; name=\"f\"; filename={sent}")).unwrap();
        assert_eq!(part.1.unwrap(), expected, "{sent}");
    }
}

#[test]
fn the_extended_file_name_goes_first() {
    // RFC 6266 section 4.3, RFC 8187.
    let both = "form-data; filename=\"EUR.txt\"; name=f; filename*=UTF-8'en'%e2%82%ac.txt";
    assert_eq!(disposition(both).unwrap().1.unwrap(), "€.txt");
    let up = "form-data; name=f; filename*=utf-8''..%2f..%5Cx";
    assert_eq!(disposition(up).unwrap().1.unwrap(), "x");
    // Another encoding, with and without something else to take.
    let latin = "form-data; name=f; filename*=iso-8859-1''%a3; filename=pound";
    assert_eq!(disposition(latin).unwrap().1.unwrap(), "pound");
    assert_eq!(disposition("form-data; name=f; filename*=iso-8859-1''%a3").unwrap_err().status().code(), 400);
    assert_eq!(disposition("form-data; name=f; filename*=x").unwrap_err().status().code(), 400);
}

#[test]
fn names_that_are_no_utf8_are_replaced() {
    let mut body = part(&["Content-Disposition: form-data; name=\"n?\"; filename=\"f?g\""]);
    for byte in body.iter_mut().filter(|byte| **byte == b'?') {
        *byte = 0xe9;
    }
    let expected = [found("n\u{fffd}", Some("f\u{fffd}g"), None, b"content")];
    assert_eq!(decode(SIMPLE, &body, &[5]).unwrap(), expected);
}

#[test]
fn limits_are_exact() {
    let (name, file) = ("n".repeat(NAME), "f".repeat(FILE_NAME));
    let both = disposition(&format!("form-data; name=\"{name}\"; filename=\"/{file}\"")).unwrap();
    assert_eq!((both.0, both.1.unwrap()), (name.clone(), file.clone()));
    let error = disposition(&format!("form-data; name=\"{name}n\"")).unwrap_err();
    assert_eq!(error, Error::BadRequest("a part's name is too long"));
    let error = disposition(&format!("form-data; name=n; filename=\"{file}f\"")).unwrap_err();
    assert_eq!(error, Error::BadRequest("a part's file name is too long"));

    let named = "Content-Disposition: form-data; name=a";
    let typed = |n| format!("Content-Type: {}", "t".repeat(n));
    assert!(decode(SIMPLE, &part(&[named, &typed(CONTENT_TYPE)]), &[99]).is_ok());
    let error = decode(SIMPLE, &part(&[named, &typed(CONTENT_TYPE + 1)]), &[99]).unwrap_err();
    assert_eq!(error, Error::BadRequest("a part's type is too long"));

    let line = |n: usize| format!("X: {}", "x".repeat(n - 5));
    assert!(decode(SIMPLE, &part(&[named, &line(384)]), &[99]).is_ok());
    let error = decode(SIMPLE, &part(&[named, &line(385)]), &[99]).unwrap_err();
    assert_eq!(error.status(), Status::REQUEST_HEADER_FIELDS_TOO_LARGE);
    assert!(decode(SIMPLE, &part(&[[named].as_slice(), &["X: y"; 7]].concat()), &[99]).is_ok());
    let error = decode(SIMPLE, &part(&[[named].as_slice(), &["X: y"; 8]].concat()), &[99]).unwrap_err();
    assert_eq!(error.status(), Status::REQUEST_HEADER_FIELDS_TOO_LARGE);

    let many = |n| body("B", &vec![([named].as_slice(), b"".as_slice()); n]);
    assert_eq!(decode(SIMPLE, &many(PARTS), &[99]).unwrap().len(), PARTS);
    let error = decode(SIMPLE, &many(PARTS + 1), &[99]).unwrap_err();
    assert_eq!(error.status(), Status::CONTENT_TOO_LARGE);
}

#[test]
fn a_part_that_is_none_is_refused() {
    let named = "Content-Disposition: form-data; name=a";
    for lines in [
        [].as_slice(),
        &["Content-Type: text/plain"],
        &["Content-Disposition: form-data"],
        &["Content-Disposition: attachment; name=a"],
        &["Content-Disposition: form-data; name=\"a"],
        &["Content-Disposition: form-data; name"],
        &["Content-Disposition:"],
        &[named, named],
        &[named, "X"],
        &[named, "X : y"],
        &[named, " folded"],
        &[named, "X: a\rb"],
        &[named, "X: a\nb"],
    ] {
        assert_eq!(decode(SIMPLE, &part(lines), &[1000]).unwrap_err().status(), Status::BAD_REQUEST, "{lines:?}");
    }
    for encoding in ["7bit", "8BIT", "binary"] {
        assert!(decode(SIMPLE, &part(&[named, &format!("Content-Transfer-Encoding: {encoding}")]), &[9]).is_ok());
    }
    let encoded = part(&[named, "Content-Transfer-Encoding: base64"]);
    assert_eq!(decode(SIMPLE, &encoded, &[9]).unwrap_err().status(), Status::UNSUPPORTED_MEDIA_TYPE);
}

#[test]
fn a_body_that_is_cut_off_is_refused_wherever_it_ends() {
    let (content_type, body, _) = curl();
    // The last line end may be missing.
    for end in 0..body.len() - 2 {
        let error = decode(content_type, &body[..end], &[64]).unwrap_err();
        assert_eq!(error.status(), Status::BAD_REQUEST, "{end}");
    }
    assert_eq!(decode(content_type, &body[..body.len() - 2], &[64]).unwrap().len(), 5);
}

/// A small generator of numbers that are always the same.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % sides.max(1)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.roll(4) {
            let at = self.roll(bytes.len());
            let until = bytes.len().min(at + 1 + self.roll(40));
            match self.roll(6) {
                0 => bytes[at] ^= 1 << self.roll(8),
                1 => bytes[at] = b"\r\n-\":;=%\\ \0"[self.roll(11)],
                2 => bytes.insert(at, b"\r\n-\":;=%\\ \0"[self.roll(11)]),
                3 => drop(bytes.drain(at..until)),
                4 => {
                    let copy = bytes[at..until].to_vec();
                    let to = self.roll(bytes.len());
                    drop(bytes.splice(to..to, copy));
                }
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                bytes.push(b'-');
            }
        }
    }
}

#[test]
fn h19_ten_thousand_mutations_end_and_mean_the_same_however_they_are_cut() {
    let (mut dice, recordings) = (Dice(19), clients());
    let mut accepted = 0;
    for i in 0..10_000 {
        let (content_type, body, _) = &recordings[i % recordings.len()];
        let mut body = body.clone();
        dice.mutate(&mut body);
        let whole = decode(content_type, &body, &[body.len()]);
        let pieces = [1 + dice.roll(30), 1 + dice.roll(30), 1 + dice.roll(300)];
        let in_pieces = decode(content_type, &body, &pieces);
        assert_eq!(whole, in_pieces, "{i}: {}", body.escape_ascii());
        accepted += usize::from(whole.is_ok());
    }
    // Both ways out are taken often.
    assert!((1000..9000).contains(&accepted), "{accepted}");
}
