//! What became of a request, for whoever keeps an access log.

use core::fmt::{self, Write};
use core::net::SocketAddr;

use super::head::Head;
use super::{Method, Status};

/// Told of every request when its answer is over, in the order in which that happens. It runs between two polls of the
/// server: what it does must not take long.
pub type AccessLog<'s> = &'s dyn Fn(&Access<'_>);

/// One request and its answer.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Access<'a> {
    /// The client's address and port.
    pub peer: SocketAddr,
    /// What was asked; `None` where that could not be read.
    pub request: Option<RequestLine<'a>>,
    /// The status of the answer; `None` if the connection ended before one could be sent.
    pub status: Option<Status>,
    /// Bytes sent of the answer's body, the frames of chunks included. After 101 those of the other protocol.
    pub body: u64,
}

/// What was asked. Displayed, it is one line without control characters or quotation marks, whatever the client sent:
/// `GET /a%20b?c HTTP/1.1`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestLine<'a> {
    /// The method.
    pub method: Method,
    /// The path, as [`Request::path`](super::Request::path) has it.
    pub path: &'a str,
    /// The query, as it was sent.
    pub query: Option<&'a str>,
    /// 0 or 1: the minor version of HTTP/1.
    pub minor_version: u8,
}

impl<'a> RequestLine<'a> {
    /// That of the request with this head, which was read from `bytes`.
    pub(super) fn of(head: &Head, bytes: &'a [u8]) -> Self {
        Self {
            method: head.method,
            path: head.path(bytes),
            query: head.query(bytes),
            minor_version: head.minor_version,
        }
    }
}

impl fmt::Display for RequestLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.method.as_str())?;
        f.write_str(" ")?;
        for byte in self.path.bytes() {
            // RFC 3986 section 3.3: what a path consists of. All else has to be encoded again.
            match byte {
                b'/' | b':' | b'@' | b'-' | b'.' | b'_' | b'~' => f.write_char(byte.into())?,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => {
                    f.write_char(byte.into())?
                }
                _ if byte.is_ascii_alphanumeric() => f.write_char(byte.into())?,
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        if let Some(query) = self.query {
            // The parser lets nothing through that would have to be encoded here.
            write!(f, "?{query}")?;
        }
        write!(f, " HTTP/1.{}", self.minor_version)
    }
}

#[cfg(test)]
mod tests {
    use core::cell::RefCell;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::super::testing::{Client, Then, serve_logged};
    use super::super::{Config, Error, Outcome, Request, Response};
    use super::*;

    async fn pages(mut request: Request<'_>, response: Response<'_>) -> Outcome {
        match request.path() {
            "/stream" => {
                let mut writer = response.stream("text/plain")?;
                writer.write_all(b"12345").await?;
                writer.finish().await
            }
            "/upload" => {
                request.body.read_to_vec().await?;
                response.empty().await
            }
            "/fails" => Err(Error::Internal("secret")),
            "/lost" => Err(Error::Io(net_core::Error::Reset)),
            path => response.text(path).await,
        }
    }

    /// The log of what became of these requests, sent one behind the other.
    fn logged(requests: &str) -> Vec<String> {
        let lines = RefCell::new(Vec::new());
        let log = |access: &Access<'_>| {
            let request = access.request.map(|line| format!("{line}")).unwrap_or_default();
            let status = access.status.map_or(0, |status| status.code());
            lines.borrow_mut().push(format!("{request} {status} {}", access.body));
        };
        let client = Client::new([requests], Then::Finish);
        virtual_time::block_on(serve_logged(&pages, &Config::new(), 2048, client, Some(&log)));
        lines.into_inner()
    }

    #[test]
    fn every_answer_is_logged_with_the_bytes_of_its_body() {
        let requests = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n\
            HEAD /a?b=%22c HTTP/1.1\r\nHost: x\r\n\r\n\
            GET /stream HTTP/1.1\r\nHost: x\r\n\r\n\
            GET /fails HTTP/1.1\r\nHost: x\r\n\r\n\
            GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n\
            GET /a\r\n\r\n";
        let chunked = "5\r\n12345\r\n0\r\n\r\n".len() + 3; // the server writes sizes with four digits
        assert_eq!(
            logged(requests),
            [
                "GET /a HTTP/1.1 200 2",
                "HEAD /a?b=%22c HTTP/1.1 200 0",
                &format!("GET /stream HTTP/1.1 200 {chunked}"),
                "GET /fails HTTP/1.1 500 21",
                "GET /a HTTP/1.0 200 2",
                " 400 11",
            ]
        );
        assert_eq!(logged("GET /lost HTTP/1.1\r\nHost: x\r\n\r\n"), ["GET /lost HTTP/1.1 0 0"]);
    }

    #[test]
    fn an_interim_answer_does_not_count() {
        let request = "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
        let lines = RefCell::new(Vec::new());
        let log = |access: &Access<'_>| lines.borrow_mut().push((access.status, access.body));
        let client = Client::new([request, "abc"], Then::Finish);
        let client = virtual_time::block_on(serve_logged(&pages, &Config::new(), 2048, client, Some(&log)));
        assert!(client.text().starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{}", client.text());
        assert_eq!(lines.into_inner(), [(Some(Status::OK), 0)]);
    }

    #[test]
    fn h21_a_path_cannot_forge_a_line_of_the_log() {
        let requests = "GET /%0a%22%5C%20%C3%A9%7f%25%3F%23 HTTP/1.1\r\nHost: x\r\n\r\n\
            GET /%09%22%5C%20%C3%A9%7f%25%3F%23 HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(logged(requests), [" 400 11"]);
        let requests = "GET /%22%5C%20%C3%A9%25%3F%23x HTTP/1.1\r\nHost: x\r\n\r\n";
        assert_eq!(logged(requests), ["GET /%22%5C%20%C3%A9%25%3F%23x HTTP/1.1 200 10"]);
    }
}
