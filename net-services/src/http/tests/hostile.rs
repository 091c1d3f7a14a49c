//! Ten thousand broken requests.

use super::*;
use crate::http::testing::{Then, serve_with};

/// Numbers that look random and are always the same.
pub(super) struct Numbers(std::cell::Cell<u64>);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        Self(std::cell::Cell::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1))
    }

    pub(super) fn next(&self, below: usize) -> usize {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        (x >> 11) as usize % below.max(1)
    }
}

const VALID: [&str; 5] = [
    "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nContent-Type: text/plain\r\n\r\nhello world",
    "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6;a=b\r\nhello \r\n5\r\nworld\r\n0\r\nX-T: 1\r\n\r\n",
    "PUT /e HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: keep-alive\r\n\r\nabc",
    "GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
];

fn mutated(request: &str, numbers: &Numbers) -> Vec<u8> {
    const PIECES: [&[u8]; 10] = [
        b"\r\n",
        b"\n",
        b"\0",
        b" ",
        b":",
        b"\r\n\r\n",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"%00",
        b"\xff",
    ];
    let mut bytes = request.as_bytes().to_vec();
    for _ in 0..=numbers.next(3) {
        let at = numbers.next(bytes.len());
        match numbers.next(6) {
            0 => bytes[at] = numbers.next(256) as u8,
            1 => {
                bytes.remove(at);
            }
            2 => bytes.insert(at, numbers.next(256) as u8),
            3 => {
                let piece = PIECES[numbers.next(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
            4 => bytes[at] ^= 1 << numbers.next(8),
            _ => {
                let end = at + numbers.next(bytes.len() - at);
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
    bytes
}

/// Whatever is sent, there is no panic and an end; and the request that follows a broken one is answered as it is, or not
/// at all: never as a part of the broken one, nor as something else.
#[test]
fn ten_thousand_mutations() {
    let numbers = Numbers::new(1);
    let mut broken = 0;
    for round in 0..10_000 {
        let request = VALID[round % VALID.len()];
        let bytes = mutated(request, &numbers);
        let marker = "GET /marker HTTP/1.1\r\nHost: y\r\nConnection: close\r\n\r\n";
        let mut all = bytes.clone();
        all.extend_from_slice(marker.as_bytes());
        let piece = 1 + numbers.next(all.len());
        let client = Client::new(all.chunks(piece), Then::Wait);
        let handler = async |mut request: Request<'_>, response: Response<'_>| {
            // A marker seen in a body is one that a longer body rightly took.
            let body = request.body.read_to_vec().await?;
            assert!(!request.path().contains('\0') && request.path().starts_with(['/', '*']));
            response.text(&format!("{} {}", request.path(), body.len())).await
        };
        let client = virtual_time::block_on(serve_with(&handler, &Config::new(), 1024, client));
        let text = client.text();
        let statuses: Vec<u16> = text
            .match_indices("HTTP/1.1 ")
            .filter_map(|(at, _)| text[at + 9..].split(' ').next()?.parse().ok())
            .filter(|status| *status >= 200)
            .collect();
        // After a refusal comes nothing more.
        let refusal = statuses.iter().position(|status| *status >= 400);
        assert!(refusal.is_none_or(|at| at + 1 == statuses.len()), "{:?} gave {text}", String::from_utf8_lossy(&bytes));
        broken += usize::from(refusal.is_some());
        if text.contains("/marker 0") {
            assert_eq!(statuses.last(), Some(&200));
        }
    }
    assert!(broken > 3000, "only {broken} of the mutations broke something");
}
