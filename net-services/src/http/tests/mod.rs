//! The server over a scripted client, in virtual time. Numbers like H-9 are those of the requirements.

mod endings;
mod hostile;
mod random;
mod requests;
mod responses;
mod times;
mod turns;

use std::format;
use std::string::String;
use std::vec::Vec;

use super::testing::{Client, talk};
use super::*;

/// Answers with the method, the path and the body that it read.
async fn echo(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    let body = request.body.read_to_vec().await?;
    let text = format!("{} {} {}", request.method(), request.path(), String::from_utf8_lossy(&body));
    response.text(&text).await
}

/// Answers without reading the body.
async fn deaf(request: Request<'_>, response: Response<'_>) -> Outcome {
    response.text(request.path()).await
}

/// One response, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// The responses that a client got; `methods` are those of the requests, where one was `HEAD`.
fn answers_to(client: &Client, heads: &[bool]) -> Vec<Answer> {
    let mut answers = Vec::new();
    let mut rest = client.text();
    while let Some((head, after)) = rest.clone().split_once("\r\n\r\n") {
        let status: u16 = head.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status line");
        let mut answer = Answer { status, head: head.into(), body: String::new() };
        let bodyless = heads.get(answers.len()) == Some(&true) || status < 200 || status == 204 || status == 304;
        let length: Option<usize> = answer.header("Content-Length").map(|n| n.parse().unwrap());
        if bodyless {
            rest = after.into();
        } else if answer.header("Transfer-Encoding").is_some() {
            assert_eq!(length, None, "H-15: never both");
            let (body, after) = unchunk(after);
            (answer.body, rest) = (body, after);
        } else if let Some(length) = length {
            answer.body = after[..length].into();
            rest = after[length..].into();
        } else {
            answer.body = after.into();
            rest.clear();
        }
        answers.push(answer);
    }
    assert_eq!(rest, "", "nothing is left over");
    answers
}

fn answers(client: &Client) -> Vec<Answer> {
    answers_to(client, &[])
}

/// The content of chunks, trailers included as they are, and what comes behind them.
fn unchunk(mut text: &str) -> (String, String) {
    let mut body = String::new();
    loop {
        let (size, after) = text.split_once("\r\n").expect("a chunk size");
        let size = usize::from_str_radix(size, 16).expect("a chunk size");
        if size == 0 {
            if let Some(after) = after.strip_prefix("\r\n") {
                return (body, after.into());
            }
            let (trailers, after) = after.split_once("\r\n\r\n").expect("the end of the trailers");
            return (body + "|" + trailers, after.into());
        }
        body += &after[..size];
        text = after[size..].strip_prefix("\r\n").expect("the end of a chunk");
    }
}

/// The only response to one request.
fn only<H: Handler>(handler: &H, request: &str) -> Answer {
    let client = talk(handler, [request]);
    let all = answers_to(&client, &[request.starts_with("HEAD ")]);
    assert_eq!(all.len(), 1, "{request:?} gave {all:?}");
    all.into_iter().next().unwrap()
}
