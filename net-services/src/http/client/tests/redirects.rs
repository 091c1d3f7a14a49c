//! Redirects (H-24, RFC 9110 section 15.4).

use super::super::head::RequestHead;
use super::super::url::Url;
use super::*;
use crate::http::head::Limits;
use crate::http::response_head::ResponseScanner;
use crate::http::{Framing, Method};

fn redirect(status: u16, location: &str) -> String {
    std::format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nmoved")
}

/// The heads that a server on `net` gets, all answered with `responses` in order, on whatever connections.
async fn heads(net: &Net, responses: &[String]) -> Vec<String> {
    let mut heads = Vec::new();
    let mut end = net.accept().await;
    for response in responses {
        let mut head = end.head().await;
        if head.is_empty() {
            end = net.accept().await;
            head = end.head().await;
        }
        if let Some((_, rest)) = head.split_once("Content-Length: ") {
            let length = rest.split("\r\n").next().unwrap().parse().unwrap();
            let body = end.bytes(length).await;
            head.push_str(std::str::from_utf8(&body).unwrap());
        }
        heads.push(head);
        end.send(response);
    }
    heads
}

/// Does a request that meets with `responses`; gives the response's status and URL, and what the servers got.
fn follow(
    request: impl AsyncFnOnce(&mut Client<'_, Net, Net>) -> Result<(u16, String), ClientError>,
    responses: &[String],
) -> (Result<(u16, String), ClientError>, Vec<String>) {
    const PLAIN: ClientConfig = {
        let mut config = ClientConfig::new();
        config.user_agent = None;
        config
    };
    let net = Net::default();
    net.name("a", &["10.0.0.1"]);
    net.name("b", &["10.0.0.2"]);
    let seen = std::cell::RefCell::new(Vec::new());
    let servers = async {
        let heads = heads(&net, responses).await;
        *seen.borrow_mut() = heads;
    };
    let got = run(servers, async { request(&mut client(&net, &PLAIN)).await });
    (got, seen.into_inner())
}

async fn target(response: Result<ClientResponse<'_, Socket>, ClientError>) -> Result<(u16, String), ClientError> {
    let response = response?;
    Ok((response.status().code(), response.url().into()))
}

#[test]
fn h24_what_each_status_makes_of_each_method() {
    for (status, method, expected) in [
        (301, "GET", "GET"),
        (301, "HEAD", "HEAD"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT with body"),
        (302, "POST", "GET"),
        (302, "PATCH", "PATCH with body"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "POST", "GET"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (307, "GET", "GET"),
        (307, "POST", "POST with body"),
        (307, "DELETE", "DELETE with body"),
        (308, "POST", "POST with body"),
        (308, "PUT", "PUT with body"),
    ] {
        let with_body = !matches!(method, "GET" | "HEAD");
        let (got, heads) = follow(
            async |client: &mut Client<'_, Net, Net>| {
                let request = client.request(Method::from_name(method.as_bytes()).unwrap(), "http://a/x").unwrap();
                let mut request = request.header("Accept", "*/*").unwrap();
                if with_body {
                    request = request.header("content-type", "text/plain").unwrap().body(b"body");
                }
                target(request.send().await).await
            },
            // A response to HEAD has no body.
            &[redirect(status, "y").replace(if method == "HEAD" { "moved" } else { "" }, ""), ok("")],
        );
        assert_eq!(got, Ok((200, "http://a/y".into())), "{status} {method}");
        let expected = match expected.split_once(' ') {
            Some((method, _)) => std::format!(
                "{method} /y HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nAccept: */*\r\ncontent-type: text/plain\r\n\r\nbody"
            ),
            None => std::format!("{expected} /y HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n\r\n"),
        };
        assert_eq!(heads[1], expected, "{status} {method}");
    }
}

#[test]
fn h24_statuses_that_redirect_nowhere_are_responses() {
    for response in [
        "HTTP/1.1 300 Multiple Choices\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nLocation: /y\r\n\r\n",
        "HTTP/1.1 305 Use Proxy\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 201 Created\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (got, _) = follow(
            async |client: &mut Client<'_, Net, Net>| target(client.get("http://a/x").await).await,
            &[response.into()],
        );
        assert_eq!(got.unwrap().1, "http://a/x", "{response}");
    }
}

#[test]
fn h24_twenty_redirects_and_not_one_more() {
    let chain = |length: usize| {
        let mut responses: Vec<_> = (1..=length).map(|n| redirect(302, &std::format!("/{n}"))).collect();
        responses.push(ok(""));
        responses
    };
    let get = async |client: &mut Client<'_, Net, Net>| {
        let got = target(client.get("http://a/0").await).await;
        let stats = client.stats();
        assert_eq!((stats.redirects, stats.requests, stats.connections), (20, 21, 1));
        got
    };
    assert_eq!(follow(get, &chain(20)).0, Ok((200, "http://a/20".into())));
    assert_eq!(follow(get, &chain(21)).0, Err(ClientError::TooManyRedirects));
    // A loop is no more than a long chain.
    let (got, _) = follow(get, &std::vec![redirect(301, "/0"); 21]);
    assert_eq!(got, Err(ClientError::TooManyRedirects));
}

#[test]
fn h24_redirects_are_not_followed_where_the_caller_wants_to_see_them() {
    let limited = async |client: &mut Client<'_, Net, Net>, most| {
        let mut response = client.request(Method::Get, "http://a/").unwrap().max_redirects(most).send().await?;
        assert_eq!((response.header("location"), response.length()), (Some("http://b/"), Some(5)));
        assert_eq!(response.read_all(&mut [0; 5]).await, Ok(&b"moved"[..]));
        Ok((response.status().code(), response.url().into()))
    };
    let (got, heads) =
        follow(async |client: &mut Client<'_, Net, Net>| limited(client, 0).await, &[redirect(302, "http://b/")]);
    assert_eq!((got, heads.len()), (Ok((302, "http://a/".into())), 1));
    let two = [redirect(302, "/y"), redirect(302, "/z"), ok("")];
    let (got, _) = follow(async |client: &mut Client<'_, Net, Net>| limited(client, 1).await, &two);
    assert_eq!(got, Err(ClientError::TooManyRedirects));
}

#[test]
fn h24_locations_are_resolved_against_the_url_they_come_from() {
    for (location, expected) in [
        ("http://b/z?q#f", "http://b/z?q"),
        ("//b:81/z", "http://b:81/z"),
        ("/z", "http://a:8080/z"),
        ("../z/.", "http://a:8080/z/"),
        ("?z", "http://a:8080/x/y?z"),
        ("", "http://a:8080/x/y?q"),
        ("#f", "http://a:8080/x/y?q"),
        ("/a b/\u{fc}", "http://a:8080/a%20b/%C3%BC"),
    ] {
        let (got, heads) = follow(
            async |client: &mut Client<'_, Net, Net>| target(client.get("http://a:8080/x/y?q").await).await,
            &[redirect(302, location), ok("")],
        );
        assert_eq!(got, Ok((200, expected.into())), "{location}");
        let (authority, rest) = expected["http://".len()..].split_once('/').unwrap();
        assert_eq!(heads[1], std::format!("GET /{rest} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    }
}

#[test]
fn h24_locations_that_cannot_be_fetched() {
    for (location, error) in [
        ("ftp://b/", ClientError::InvalidRedirect("neither http nor https")),
        ("javascript:alert(1)", ClientError::InvalidRedirect("neither http nor https")),
        ("http://", ClientError::InvalidRedirect("no host")),
        ("http://root:secret@b/", ClientError::InvalidRedirect("user information before the host")),
        ("http://b:99999/", ClientError::InvalidRedirect("not a port of 1 to 65535")),
        ("/%zz", ClientError::InvalidRedirect("a percent sign without two hexadecimal digits")),
        ("https://b/", ClientError::Unsupported("https, as long as there is no TLS")),
        (&"/long".repeat(150), ClientError::BufferTooSmall),
    ] {
        let (got, _) = follow(
            async |client: &mut Client<'_, Net, Net>| {
                let got = target(client.get("http://a/").await).await;
                // The client is as good as before.
                assert_eq!(target(client.get("http://a/").await).await, Ok((200, "http://a/".into())));
                got
            },
            &[redirect(302, location), ok("")],
        );
        assert_eq!(got, Err(error), "{location}");
    }
}

#[test]
fn h24_credentials_stay_with_their_origin() {
    for (location, is_same) in [("/y", true), ("http://A:80/y", true), ("http://a:81/y", false), ("http://b/y", false)]
    {
        let (got, heads) = follow(
            async |client: &mut Client<'_, Net, Net>| {
                let request = client.request(Method::Get, "http://a/x")?;
                let request = request.header("X-First", 1)?.header("authorization", "Bearer secret")?;
                let request = request.header("X-Second", 2)?.header("Cookie", "secret=1")?;
                let request = request.header("PROXY-AUTHORIZATION", "secret")?.header("X-Third", 3)?;
                target(request.send().await).await
            },
            // And back again.
            &[redirect(302, location), redirect(302, "http://a/z"), ok("")],
        );
        assert_eq!(got, Ok((200, "http://a/z".into())));
        assert!(heads[0].contains("secret"));
        for head in &heads[1..] {
            assert_eq!(head.matches("secret").count(), if is_same { 3 } else { 0 }, "{location}: {head}");
            assert_eq!(head.matches("X-").count(), 3, "{location}: {head}");
            assert!(head.ends_with("X-Third: 3\r\n\r\n"), "{location}: {head}");
        }
    }
}

/// Where nothing can come from `https` yet, but will.
#[test]
fn h24_no_way_from_https_to_http_without_leave() {
    for (location, allowed, expected) in [
        ("http://a/y", false, Err(ClientError::Downgrade)),
        ("http://a/y", true, Ok("GET /y HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("/y", false, Ok("GET /y HTTP/1.1\r\nHost: a\r\nCookie: c\r\n\r\n")),
    ] {
        let mut config = ClientConfig::new();
        (config.allow_downgrade, config.user_agent) = (allowed, None);
        let net = Net::default();
        let mut client = client(&net, &config);
        let request = client.request(Method::Get, "https://a/x").unwrap().header("Cookie", "c").unwrap();
        let mut parts = request.parts.clone();
        let response = redirect(302, location);
        let work = &mut client.buffer[parts.fields.end..];
        work[..response.len()].copy_from_slice(response.as_bytes());
        let mut scanner = ResponseScanner::new();
        let head = scanner.scan(work, Method::Get, &Limits::new()).unwrap().unwrap();
        let followed = client.follow(&mut parts, &head, false);
        assert_eq!(followed, expected.map(|_| ()), "{location} {allowed}");
        let Ok(expected) = expected else { continue };
        // As it would be sent.
        let url = std::str::from_utf8(&client.buffer[..parts.fields.start]).unwrap();
        let head = RequestHead {
            method: parts.method,
            url: Url::parse(url).unwrap(),
            fields: &client.buffer[parts.fields.clone()],
            framing: Framing::None,
            close: false,
            user_agent: None,
        };
        let mut out = [0; 200];
        let length = head.write(&mut out).unwrap();
        assert_eq!(std::str::from_utf8(&out[..length]).unwrap(), expected);
    }
}

#[test]
fn h24_urls_of_all_lengths_take_each_others_place() {
    for (before, after) in (0..40).flat_map(|before| (0..40).step_by(3).map(move |after| (before, after))) {
        let (from, to) = (std::format!("/{}", "x".repeat(before)), std::format!("/{}", "y".repeat(after)));
        let (got, heads) = follow(
            async |client: &mut Client<'_, Net, Net>| {
                let request = client.request(Method::Get, &["http://a", &from].concat())?.header("X-Field", "value")?;
                target(request.header("Cookie", "c")?.send().await).await
            },
            &[redirect(302, &["http://b", &to].concat()), ok("")],
        );
        assert_eq!(got, Ok((200, ["http://b", &to].concat())));
        assert_eq!(heads[1], std::format!("GET {to} HTTP/1.1\r\nHost: b\r\nX-Field: value\r\n\r\n"));
    }
}

#[test]
fn h24_a_body_from_a_stream_is_not_sent_twice() {
    let post = async |client: &mut Client<'_, Net, Net>| {
        let request = client.request(Method::Post, "http://a/")?;
        target(request.send_from(&mut &b"body"[..], Some(4)).await).await
    };
    for status in [307, 308] {
        assert_eq!(follow(post, &[redirect(status, "/y")]).0, Err(ClientError::BodyNotRepeatable));
    }
    let (got, heads) = follow(post, &[redirect(303, "/y"), ok("")]);
    assert_eq!(got, Ok((200, "http://a/y".into())));
    assert_eq!(heads[1], "GET /y HTTP/1.1\r\nHost: a\r\n\r\n");
}

#[test]
fn h24_the_content_of_a_redirect_is_read_past_where_that_is_quick() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /y\r\n";
    for (response, connections) in [
        ("Content-Length: 5\r\n\r\nmoved", 1),
        ("Transfer-Encoding: chunked\r\n\r\n5\r\nmoved\r\n0\r\n\r\n", 1),
        ("Content-Length: 0\r\n\r\n", 1),
        ("Connection: close\r\nContent-Length: 0\r\n\r\n", 2),
        // Too long to wait for, never ending, silent, wrong.
        ("Content-Length: 5000\r\n\r\nmoved", 2),
        ("\r\nmoved", 2),
        ("Content-Length: 5\r\n\r\nmove", 2),
        ("Transfer-Encoding: chunked\r\n\r\nx", 2),
    ] {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            answer(&mut first, &[head, response].concat()).await;
            let mut last = if connections == 1 { first } else { net.accept().await };
            assert!(answer(&mut last, &ok("")).await.starts_with("GET /y "));
            pending::<()>().await;
        };
        run(servers, async {
            let began = net_core::time::Instant::now();
            let mut client = client(&net, &CONFIG);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "".into())), "{response}");
            assert_eq!(client.stats().connections, connections, "{response}");
            assert!(began.elapsed().as_secs() <= 1, "{response}");
        });
    }
    // 3 KiB of it are read past, 6 KiB are not.
    for (kib, connections) in [(3, 1), (6, 2)] {
        let net = Net::default();
        let servers = async {
            let mut first = net.accept().await;
            answer(&mut first, &[head, "Transfer-Encoding: chunked\r\n\r\n"].concat()).await;
            for _ in 0..kib {
                first.send(["400\r\n", &"x".repeat(1024), "\r\n"].concat());
            }
            first.send("0\r\n\r\n");
            let mut last = if connections == 1 { first } else { net.accept().await };
            answer(&mut last, &ok("")).await;
            pending::<()>().await;
        };
        run(servers, async {
            let mut client = client(&net, &CONFIG);
            assert_eq!(whole(client.get(HOST).await).await, Ok((200, "".into())));
            assert_eq!(client.stats().connections, connections);
        });
    }
}
