//! Bodies in random pieces, through random calls, over clients that take and give random pieces: whatever the cuts, what
//! arrives is what was sent, and the next message begins where this one ends.

use net_core::time::{Duration, Timer};

use super::hostile::Numbers;
use super::*;
use crate::http::testing::{Then, serve_with};

const MARKER: &str = "GET /marker HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

fn letters(n: usize) -> String {
    (0..n).map(|i| char::from(b'a' + (i % 23) as u8)).collect()
}

/// Writes `text` with whatever the writer has to offer.
async fn write(body: &mut BodyWriter<'_>, mut text: &str, numbers: &Numbers) -> Result<(), Error> {
    while !text.is_empty() {
        let most = [1, 5, 9, 100, 700, 3000][numbers.next(6)];
        let size = 1 + numbers.next(most);
        let (piece, rest) = text.split_at(size.min(text.len()));
        text = rest;
        match numbers.next(5) {
            0 => body.write_all(piece.as_bytes()).await?,
            1 => body.print(format_args!("{piece}")).await?,
            2 => {
                let (a, b) = piece.split_at(numbers.next(piece.len()));
                body.print(format_args!("{a}{}{b}", "")).await?;
            }
            3 => {
                let mut piece = piece.as_bytes();
                while !piece.is_empty() {
                    let room = body.room_to_fill().await?;
                    assert!(!room.is_empty());
                    let n = room.len().min(piece.len());
                    room[..n].copy_from_slice(&piece[..n]);
                    body.advance(n)?;
                    piece = &piece[n..];
                }
            }
            _ => {
                body.write_all(b"").await?;
                body.flush().await?;
                body.write_all(piece.as_bytes()).await?;
                body.flush().await?;
            }
        }
    }
    Ok(())
}

/// H-15: chunks are well formed at every edge of the buffer.
#[test]
fn responses_by_random_calls() {
    for seed in 1..1500 {
        let numbers = Numbers::new(seed);
        let length = numbers.next(4000);
        let (text, is_sized) = (letters(length), seed % 3 == 0);
        let text = text.as_str();
        let handler = async |request: Request<'_>, response: Response<'_>| {
            if request.path() == "/marker" {
                return response.text("marker").await;
            }
            let mut body = match is_sized {
                true => response.sized("text/plain", length as u64)?,
                false => response.stream("text/plain")?,
            };
            write(&mut body, text, &numbers).await?;
            body.finish().await
        };
        let bytes = LEAST_BUFFER + (seed % 700) as usize;
        let mut client = Client::new([format!("GET / HTTP/1.1\r\nHost: x\r\n\r\n{MARKER}")], Then::Finish);
        client.bite = [1, 10, 300, 5000][(seed % 4) as usize];
        let client = virtual_time::block_on(serve_with(&handler, &Config::new(), bytes, client));
        let all = answers(&client);
        assert_eq!(all.len(), 2, "{seed}");
        assert!(all[0].body == text && all[1].body == "marker", "{seed}: {}", client.text());
    }
}

/// H-8, H-14: the handler reads as it likes, and the next request is found.
#[test]
fn requests_by_random_calls() {
    for seed in 1..1500 {
        let numbers = Numbers::new(seed);
        let text = letters(numbers.next(3000));
        let mut request = String::from("POST / HTTP/1.1\r\nHost: x\r\n");
        if seed % 3 == 0 {
            request += &format!("Content-Length: {}\r\n\r\n{text}", text.len());
        } else {
            request += "Transfer-Encoding: chunked\r\n\r\n";
            let mut rest = text.as_str();
            while !rest.is_empty() {
                let size = [1, 2, 10, 300, 900][numbers.next(5)].min(rest.len());
                let extension = ["", ";a", ";a=b;c=\"d;\\\"\""][numbers.next(3)];
                request += &format!("{size:X}{extension}\r\n{}\r\n", &rest[..size]);
                rest = &rest[size..];
            }
            request += ["0\r\n\r\n", "000\r\n\r\n", "0;last\r\nX-Trailer: \tyes\r\nEmpty:\r\n\r\n"][numbers.next(3)];
        }
        request += MARKER;
        let most = [1, 3, 40, 1000, 9000][numbers.next(5)];
        let cut = 1 + numbers.next(most);
        let handler = async |mut request: Request<'_>, response: Response<'_>| {
            if request.path() == "/marker" {
                return response.text("marker").await;
            }
            let mut got = Vec::new();
            loop {
                if numbers.next(200) == 0 {
                    // Enough: the rest is for the server to discard.
                    break;
                }
                let mut small = [0; 50];
                let piece = match numbers.next(4) {
                    0 => {
                        let n = request.body.read(&mut small).await?;
                        got.extend_from_slice(&small[..n]);
                        n
                    }
                    1 if request.body.buffered().len() < 90 => {
                        let before = request.body.buffered().len();
                        let piece = request.body.fill_more().await?;
                        assert!(piece.len() > before || request.body.is_ended());
                        request.body.buffered().len()
                    }
                    _ => {
                        let piece = request.body.fill_buf().await?;
                        let n = piece.len() - numbers.next(piece.len());
                        let n = n.min(piece.len());
                        got.extend_from_slice(&piece[..n]);
                        request.body.consume(n);
                        n
                    }
                };
                if piece == 0 && request.body.is_ended() {
                    break;
                }
                if numbers.next(50) == 0 {
                    Timer::after(Duration::from_millis(1)).await;
                }
            }
            response.send("text/plain", &got).await
        };
        let bytes = LEAST_BUFFER + (seed % 300) as usize;
        let client = Client::new(request.as_bytes().chunks(cut), Then::Finish);
        let client = virtual_time::block_on(serve_with(&handler, &Config::new(), bytes, client));
        let all = answers(&client);
        assert_eq!(all.len(), 2, "{seed}: {}", client.text());
        assert!(text.starts_with(&all[0].body) && all[1].body == "marker", "{seed}: {}", client.text());
    }
}
