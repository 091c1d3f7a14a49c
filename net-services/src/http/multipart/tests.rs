//! Uploads through the whole server (H-19).

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::super::testing::{Client, Then, serve_with, talk};
use super::super::{Config, LEAST_BUFFER, Outcome, Response, Status};
use super::decoder::tests::{body, clients};
use super::*;

/// Tells what it found, as `{:?}` does.
async fn list(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    let mut form = Multipart::new(&mut request)?;
    let mut all = Vec::new();
    while let Some(mut part) = form.next().await? {
        let mut content = [0; 1000];
        let content = part.read_all(&mut content).await?.to_vec();
        let text = |text: Option<&str>| text.map(str::to_string);
        all.push((part.name().to_string(), text(part.file_name()), text(part.content_type()), content));
    }
    assert!(form.next().await?.is_none(), "the end stays the end");
    response.text(&format!("{all:?}")).await
}

fn post(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn post_in_chunks(content_type: &str, body: &[u8], length: usize) -> Vec<u8> {
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    let mut all = format!("{head}Content-Type: {content_type}\r\n\r\n").into_bytes();
    for chunk in body.chunks(length) {
        all.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        all.extend_from_slice(chunk);
        all.extend_from_slice(b"\r\n");
    }
    all.extend_from_slice(b"0\r\n\r\n");
    all
}

/// The bodies of the responses.
fn bodies(client: &Client) -> Vec<String> {
    client.text().split("HTTP/1.1 ").skip(1).map(|r| r.split_once("\r\n\r\n").unwrap().1.to_string()).collect()
}

/// The status of the only response.
fn status(client: &Client) -> u16 {
    client.text().get(9..12).unwrap().parse().unwrap()
}

#[test]
fn h19_what_clients_send_arrives_however_it_is_cut() {
    for (content_type, body, expected) in clients() {
        let (expected, request) = (format!("{expected:?}"), post(content_type, &body));
        for cut in 0..request.len() {
            // The same again on the same connection: nothing is left over.
            let client = talk(&list, [&request[..cut], &request[cut..], &request]);
            assert_eq!(bodies(&client), [expected.as_str(), &expected], "{content_type} cut at {cut}");
        }
        for length in [1, 2, 3, 16, 83, 84, 85, 1000] {
            let request = post_in_chunks(content_type, &body, length);
            let client = talk(&list, [request.as_slice(), &request]);
            assert_eq!(bodies(&client), [expected.as_str(), &expected], "{content_type} in chunks of {length}");
        }
    }
}

#[test]
fn h19_the_smallest_buffer_with_the_largest_head_is_enough() {
    for (content_type, body, expected) in clients() {
        for mut request in [post(content_type, &body), post_in_chunks(content_type, &body, 5)] {
            // A quarter of the buffer and at least 256 bytes of it are for the response, and 128 are kept for the body.
            let head = request.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
            let fill = LEAST_BUFFER - 256 - 128 - head - "X: \r\n".len();
            let field = format!("X: {}\r\n", "x".repeat(fill));
            request.splice(head - 2..head - 2, field.bytes());
            let client = Client::new(request.chunks(50), Then::Finish);
            let client = virtual_time::block_on(serve_with(&list, &Config::new(), LEAST_BUFFER, client));
            assert_eq!(bodies(&client), [format!("{expected:?}")]);
        }
    }
}

const PARTS_OF_FOUR: [(&[&str], &[u8]); 4] = [
    (&["Content-Disposition: form-data; name=a"], b"first"),
    (&["Content-Disposition: form-data; name=b; filename=x"], b"second, which is a little longer"),
    (&["Content-Disposition: form-data; name=c"], b""),
    (&["Content-Disposition: form-data; name=d"], b"last"),
];

#[test]
fn what_is_not_read_is_skipped() {
    // Of each part only so many bytes are read.
    async fn some(mut request: Request<'_>, response: Response<'_>) -> Outcome {
        let appetite = request.query_field("n").unwrap().parse()?;
        let mut form = Multipart::new(&mut request)?;
        let mut all = String::new();
        while let Some(mut part) = form.next().await? {
            let mut buffer = [0; 100];
            let n = part.read(&mut buffer[..appetite]).await?;
            all += &format!("{}={}&", part.name(), core::str::from_utf8(&buffer[..n]).unwrap());
        }
        response.text(&all).await
    }
    for (appetite, expected) in
        [(0, "a=&b=&c=&d=&"), (1, "a=f&b=s&c=&d=l&"), (100, "a=first&b=second, which is a little longer&c=&d=last&")]
    {
        let request = post("multipart/form-data; boundary=B", &body("B", &PARTS_OF_FOUR));
        let request = String::from_utf8(request).unwrap().replacen("/ HTTP", &format!("/?n={appetite} HTTP"), 1);
        assert_eq!(bodies(&talk(&some, [request])), [expected]);
    }
}

#[test]
fn a_file_larger_than_all_buffers_passes_through() {
    const LENGTH: usize = 1 << 20;
    let byte = |i: usize| (i * 7 + (i >> 8) * 13) as u8;
    let check = async |mut request: Request<'_>, response: Response<'_>| {
        request.body.limit(2 << 20);
        let mut form = Multipart::new(&mut request)?;
        let mut length = 0;
        while let Some(mut part) = form.next().await? {
            assert_eq!((part.name(), part.file_name()), ("file", Some("big")));
            loop {
                let data = part.fill_buf().await?;
                if data.is_empty() {
                    break;
                }
                assert!(data.iter().enumerate().all(|(i, b)| *b == byte(length + i)));
                // Taken in pieces that are not those in which it came.
                let n = data.len().min(333);
                part.consume(n);
                length += n;
            }
            assert!(part.fill_buf().await?.is_empty(), "the end stays the end");
            part.consume(1000);
        }
        response.print("text/plain", format_args!("{length}")).await
    };
    let content: Vec<u8> = (0..LENGTH).map(byte).collect();
    let lines: [&str; 1] = ["Content-Disposition: form-data; name=file; filename=big"];
    let request = post("multipart/form-data; boundary=B", &body("B", &[(&lines, &content)]));
    let client = Client::new(request.chunks(1460), Then::Finish);
    let client = virtual_time::block_on(serve_with(&check, &Config::new(), LEAST_BUFFER, client));
    assert_eq!(bodies(&client), [LENGTH.to_string()]);
}

#[test]
fn h19_limits_give_413() {
    let request = |body: &[u8]| post("multipart/form-data; boundary=B", body);
    let limited = async |mut request: Request<'_>, response: Response<'_>| {
        let limits = (request.query_field("body"), request.query_field("parts"));
        if let Some(limit) = limits.0 {
            request.body.limit(limit.parse()?);
        }
        let mut form = Multipart::new(&mut request)?;
        if let Some(limit) = limits.1 {
            form.limit_parts(limit.parse()?);
        }
        while let Some(mut part) = form.next().await? {
            part.read_all(&mut [0; 32]).await?;
        }
        response.empty().await
    };
    let form = body("B", &PARTS_OF_FOUR);
    let length = form.len();
    for (query, expected) in [
        (String::new(), 200),
        (format!("?body={length}"), 200),
        (format!("?body={}", length - 1), 413),
        ("?parts=4".to_string(), 200),
        ("?parts=3".to_string(), 413),
    ] {
        let request = String::from_utf8(request(&form)).unwrap().replacen("/ HTTP", &format!("/{query} HTTP"), 1);
        assert_eq!(status(&talk(&limited, [request])), expected, "{query}");
    }
    // A field that does not fit into the handler's 32 bytes.
    let lines: [&str; 1] = ["Content-Disposition: form-data; name=a"];
    for (n, expected) in [(32, 200), (33, 413)] {
        let form = body("B", &[(&lines, "x".repeat(n).as_bytes())]);
        assert_eq!(status(&talk(&limited, [request(&form)])), expected, "{n}");
    }
}

#[test]
fn what_is_no_upload_is_refused() {
    for (content_type, expected) in [
        ("multipart/form-data; boundary=B", 200),
        ("Multipart/Form-Data ; boundary=\"B\"", 200),
        ("multipart/mixed; boundary=B", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=", 400),
        // Not the boundary of this body.
        ("multipart/form-data; boundary=C", 400),
    ] {
        let client = talk(&list, [post(content_type, &body("B", &PARTS_OF_FOUR))]);
        assert_eq!(status(&client), expected, "{content_type}");
    }
    assert_eq!(status(&talk(&list, ["POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"])), 415);
    assert_eq!(status(&talk(&list, [post("multipart/form-data; boundary=B", b"")])), 400);
    // The client closes in the middle.
    let request = post("multipart/form-data; boundary=B", &body("B", &PARTS_OF_FOUR));
    let client = talk(&list, [&request[..request.len() - 60]]);
    assert_ne!(client.text().get(9..12), Some("200"));
}

#[test]
fn a_text_must_be_utf8() {
    let read = async |mut request: Request<'_>, response: Response<'_>| {
        let mut form = Multipart::new(&mut request)?;
        let mut part = form.next().await?.ok_or(Error::BadRequest("empty"))?;
        let mut buffer = [0; 32];
        let text = part.read_text(&mut buffer).await?;
        response.text(text).await
    };
    let lines: [&str; 1] = ["Content-Disposition: form-data; name=a"];
    let request = |content| post("multipart/form-data; boundary=B", &body("B", &[(&lines, content)]));
    assert_eq!(bodies(&talk(&read, [request("ü".as_bytes())])), ["ü"]);
    assert_eq!(status(&talk(&read, [request(b"\xfc")])), Status::BAD_REQUEST.code());
}

#[test]
fn a_form_is_small() {
    assert!(size_of::<Multipart<'_, '_>>() <= 840, "{}", size_of::<Multipart<'_, '_>>());
}
