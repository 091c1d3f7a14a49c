//! The server over a scripted client.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::testing::{Client, Then, serve_with, talk};
use super::*;

async fn hello(request: Request<'_>, response: Response<'_>) -> Outcome {
    response.text(&format!("{} {}", request.method(), request.path())).await
}

async fn echo(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    let body = request.body.read_to_vec().await?;
    response.send("application/octet-stream", &body).await
}

#[test]
fn a_page() {
    let client = talk(&hello, ["GET /a%20b HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert_eq!(
        client.text(),
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nDate: Thu, 29 Feb 2024 12:34:56 GMT\r\nContent-Length: 8\r\n\r\nGET /a b"
    );
    assert_eq!(client.writes.len(), 1, "H-23: head and body in one write");
}

#[test]
fn chunks_in() {
    let client = talk(
        &echo,
        [
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            "2;x=y\r\nde\r\n0\r\n\r\nGET /next HTTP/1.1\r\nHost: x\r\n\r\n",
        ],
    );
    assert!(client.text().contains("\r\n\r\nabcde"), "{}", client.text());
    assert_eq!(client.stats.requests, 2);
}
