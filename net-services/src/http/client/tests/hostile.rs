//! Servers that send anything (H-24): no panic, no waiting beyond the total time, and no next response read wrongly.

use std::cell::Cell;

use net_core::time::Instant;

use super::*;
use crate::http::Method;

/// A xorshift generator: the same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % limit.max(1)
    }
}

const RESPONSES: [&str; 8] = [
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=\"b\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
    "HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nno",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
    "HTTP/1.1 204 No Content\r\nETag: \"x\"\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: ../a/./b?c=%20d#e\r\nContent-Length: 5\r\n\r\nmoved",
    "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://b:8080/x y\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nuntil the end",
];

/// Changes a response in a few places.
fn mutate(numbers: &mut Numbers, response: &str) -> Vec<u8> {
    const PIECES: [&str; 14] = [
        "\r\n",
        "\n",
        "\r",
        "\r\n\r\n",
        "0\r\n\r\n",
        ":",
        " ",
        "\0",
        "9",
        "-1",
        "Content-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\n",
        "HTTP/1.1 200 OK\r\n",
        "Location: //\r\n",
    ];
    let mut bytes = response.as_bytes().to_vec();
    for _ in 0..=numbers.below(3) {
        let at = numbers.below(bytes.len());
        let to = at + numbers.below((bytes.len() - at).min(30));
        match numbers.below(6) {
            0 => drop(bytes.drain(at..to)),
            1 => bytes.truncate(at),
            2 => drop(bytes.splice(at..at, bytes[at..to].to_vec())),
            3 => drop(bytes.splice(at..at, PIECES[numbers.below(PIECES.len())].bytes())),
            _ if bytes.is_empty() => {}
            4 => bytes[at] = numbers.below(256) as u8,
            _ => bytes[at] ^= 1 << numbers.below(8),
        }
    }
    bytes
}

/// Fetches something that is answered with a mutated response, and then something that is answered as it should be.
fn fetch_mutated(seed: u64, closes: bool) {
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let response = RESPONSES[numbers.below(RESPONSES.len())];
    let mutated = mutate(&mut numbers, response);
    let pieces: Vec<_> = mutated.chunks(1 + numbers.below(40)).collect();
    let method = [Method::Get, Method::Get, Method::Post, Method::Head][numbers.below(4)];
    let net = Net::default();
    net.name("b", &["10.0.0.2"]);
    let is_first = Cell::new(true);
    let server = async || {
        loop {
            let mut end = net.accept().await;
            while !end.head().await.is_empty() {
                if !is_first.replace(false) {
                    end.send(ok("another"));
                    continue;
                }
                pieces.iter().for_each(|piece| end.send(piece));
                if closes {
                    break;
                }
            }
        }
    };
    let servers = async {
        virtual_time::join_all(std::vec![server(), server(), server()]).await;
    };
    run(servers, async {
        let text = || String::from_utf8_lossy(&mutated).into_owned();
        let began = Instant::now();
        let mut config = ClientConfig::new();
        config.max_response = 1000;
        let mut client = client(&net, &config);
        let request = client.request(method, HOST).unwrap().body(b"");
        if let Ok(mut response) = request.send().await
            && let Ok(content) = response.read_to_vec().await
        {
            assert!(content.len() <= 1000, "{:?}", text());
        }
        assert!(began.elapsed() <= config.total, "{:?}", text());
        assert_eq!(whole(client.get(HOST).await).await, Ok((200, "another".into())), "after {:?}", text());
    });
}

#[test]
fn h24_five_thousand_mutated_responses_on_connections_that_end() {
    (0..5000).for_each(|seed| fetch_mutated(seed, true));
}

#[test]
fn h24_five_thousand_mutated_responses_on_connections_that_stay() {
    (5000..10_000).for_each(|seed| fetch_mutated(seed, false));
}

#[test]
fn h24_a_buffer_of_any_size_is_an_error_at_worst() {
    for (bytes, response) in (0..400).flat_map(|bytes| RESPONSES.map(|response| (bytes, response))) {
        let net = Net::default();
        net.name("b", &["10.0.0.2"]);
        let server = async || {
            loop {
                let mut end = net.accept().await;
                end.head().await;
                end.send(response);
            }
        };
        let servers = async {
            virtual_time::join_all(std::vec![server(), server()]).await;
        };
        let got = run(servers, async {
            let mut client = client_of(&net, &CONFIG, bytes);
            let request = client.request(Method::Post, HOST).and_then(|request| request.header("X-Field", "value"));
            let got = match request {
                Ok(request) => whole(request.send_from(&mut &b"some body"[..], None).await).await,
                Err(error) => Err(error),
            };
            if bytes == 0 {
                assert_eq!(got, Err(ClientError::BufferTooSmall));
            }
            got
        });
        if let Ok((status, content)) = got {
            let whole = ["hello world", "no", "x", "", "until the end"].contains(&content.as_str());
            assert!(whole && status < 500, "{bytes}: {content:?}");
        }
    }
}
