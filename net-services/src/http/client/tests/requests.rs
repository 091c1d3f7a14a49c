//! Requests as the caller makes them (H-24).

use std::string::ToString;

use super::*;
use crate::http::Method;

/// The head of the request that `send` sends.
fn sent(config: &ClientConfig, send: impl AsyncFnOnce(&mut Client<'_, Net, Net>)) -> String {
    let net = Net::default();
    net.name("a.example", &["10.0.0.1"]);
    let head = std::cell::RefCell::new(String::new());
    let servers = async {
        let mut end = net.accept().await;
        *head.borrow_mut() = answer(&mut end, "HTTP/1.1 204 No Content\r\n\r\n").await;
        pending::<()>().await;
    };
    run(servers, async { send(&mut client(&net, config)).await });
    head.into_inner()
}

#[test]
fn h24_a_request_as_it_is_sent() {
    let agent = std::format!("User-Agent: lunet/{}\r\n", env!("CARGO_PKG_VERSION"));
    let get = sent(&CONFIG, async |client| drop(client.get("HTTP://A.Example:80/x?y#z").await.unwrap()));
    assert_eq!(get, std::format!("GET /x?y HTTP/1.1\r\nHost: a.example\r\n{agent}\r\n"));
    let post = sent(&CONFIG, async |client| drop(client.post("http://10.0.0.1:81", "text/plain", b"x").await.unwrap()));
    assert_eq!(
        post,
        std::format!(
            "POST / HTTP/1.1\r\nHost: 10.0.0.1:81\r\n{agent}Content-Length: 1\r\nContent-Type: text/plain\r\n\r\n"
        )
    );
    let mut config = ClientConfig::new();
    config.user_agent = None;
    let range = sent(&config, async |client| {
        let request = client.request(Method::Get, "http://[fd00::1]/").unwrap();
        request.header("Range", format_args!("bytes={}-", 7)).unwrap().send().await.unwrap();
    });
    assert_eq!(range, "GET / HTTP/1.1\r\nHost: [fd00::1]\r\nRange: bytes=7-\r\n\r\n");
}

/// The example of RFC 7617 section 2.
#[test]
fn h24_basic_authentication() {
    let head = sent(&CONFIG, async |client| {
        let request = client.request(Method::Get, HOST).unwrap().basic_auth("Aladdin", "open sesame").unwrap();
        request.send().await.unwrap();
    });
    assert!(head.contains("\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"), "{head}");
    let net = Net::default();
    let mut client = client(&net, &CONFIG);
    let mut error = |user: &str, password: &str| {
        client.request(Method::Get, HOST).unwrap().basic_auth(user, password).map(|_| ()).unwrap_err()
    };
    assert_eq!(error("a:b", "c"), ClientError::InvalidHeader);
    assert_eq!(error("a", &"b".repeat(191)), ClientError::BufferTooSmall);
    // What does not show in Base64 is checked nowhere else.
    assert!(client.request(Method::Get, HOST).unwrap().basic_auth("a", "b\r\nX: y").is_ok());
}

#[test]
fn h24_no_part_of_a_request_can_carry_a_field_into_the_head() {
    let net = Net::default();
    let mut client = client(&net, &CONFIG);
    for url in ["http://a/\r\nX: y", "http://a\r\nX: y/", "http://a/?\nx", "http://a/#\r\nX: y", "http://a/x HTTP/1.1"]
    {
        assert!(matches!(client.request(Method::Get, url), Err(ClientError::InvalidUrl(_))), "{url}");
    }
    for (name, value) in [("X", "a\r\nY: b"), ("X\r\nY", "b"), ("X", "\n"), ("Host", "b"), ("Content-Length", "0")] {
        let request = client.request(Method::Get, HOST).unwrap().header(name, value);
        assert_eq!(request.map(|_| ()).unwrap_err(), ClientError::InvalidHeader, "{name}");
    }
    let posted = run(pending(), async { client.post(HOST, "text/plain\r\nX: y", b"").await.map(|_| ()) });
    assert_eq!(posted, Err(ClientError::InvalidHeader));
    assert!(net.attempts.borrow().is_empty());
}

#[test]
fn h24_what_does_not_fit_says_so() {
    let net = Net::default();
    let mut client = client_of(&net, &CONFIG, 40);
    assert!(matches!(client.request(Method::Get, &[HOST, &"x".repeat(40)].concat()), Err(ClientError::BufferTooSmall)));
    let request = client.request(Method::Get, HOST).unwrap().header("X-Field", "x".repeat(20));
    assert!(matches!(request, Err(ClientError::BufferTooSmall)));
    // URL and fields fit, the head does not.
    let got = run(pending(), async { client.get(HOST).await.map(|_| ()) });
    assert_eq!(got, Err(ClientError::BufferTooSmall));
}

#[test]
fn h24_a_response_head_that_does_not_fit_says_so() {
    let net = Net::default();
    let servers = async {
        let mut end = net.accept().await;
        answer(&mut end, &std::format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(600))).await;
        pending::<()>().await;
    };
    let got = run(servers, async { client(&net, &CONFIG).get(HOST).await.map(|_| ()) });
    assert_eq!(got, Err(ClientError::BufferTooSmall));
}

#[test]
fn h24_getting_onto_the_heap() {
    let net = Net::default();
    let servers = async {
        let mut end = net.accept().await;
        answer(&mut end, &ok("hello")).await;
        answer(&mut end, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno").await;
    };
    run(servers, async {
        let mut client = client(&net, &CONFIG);
        assert_eq!(client.get_to_vec(HOST).await, Ok((crate::http::Status::OK, b"hello".to_vec())));
        assert_eq!(client.get_to_vec(HOST).await, Ok((crate::http::Status::NOT_FOUND, b"no".to_vec())));
    });
}

#[test]
fn errors_say_what_happened() {
    for (error, text) in [
        (ClientError::InvalidUrl("no host"), "invalid URL: no host"),
        (ClientError::Connect(net_core::Error::Refused), "cannot connect: connection refused"),
        (ClientError::Io(net_core::Error::Reset), "connection reset by peer"),
        (ClientError::TooManyRedirects, "too many redirects"),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
