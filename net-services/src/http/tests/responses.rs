//! How responses are sent.

use super::*;
use crate::http::testing::{Then, serve_with};

const GET: &str = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const HEAD: &str = "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n";
const OLD: &str = "GET / HTTP/1.0\r\n\r\n";

#[test]
fn h13_head_has_the_headers_of_get() {
    async fn streamed(_: Request<'_>, response: Response<'_>) -> Outcome {
        let mut body = response.header("X-A", 1).stream("text/plain")?;
        body.write_all(b"some").await?;
        body.print(format_args!("{:>2000}", "thing")).await?;
        body.finish().await
    }
    async fn whole(_: Request<'_>, response: Response<'_>) -> Outcome {
        response.header("X-B", "b").text(&"long ".repeat(1000)).await
    }
    async fn in_place(_: Request<'_>, response: Response<'_>) -> Outcome {
        let mut body = response.sized("text/plain", 3000)?;
        for _ in 0..30 {
            let mut left = 100;
            while left > 0 {
                let room = body.room_to_fill().await?;
                let n = room.len().min(left);
                room[..n].fill(b'x');
                body.advance(n)?;
                left -= n;
            }
        }
        body.finish().await
    }
    fn check<H: Handler>(handler: H) {
        let (get, head) = (only(&handler, GET), only(&handler, HEAD));
        assert_eq!(get.head, head.head);
        assert!(!get.body.is_empty() && head.body.is_empty());
        assert!(get.header("Date").is_some(), "every response has the date");
    }
    check(streamed);
    check(whole);
    check(in_place);
}

#[test]
fn h15_streams_go_in_chunks_with_trailers() {
    let handler = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.header("Trailer", "X-Sum").stream("text/plain")?;
        for i in 0..300 {
            body.print(format_args!("line {i}\n")).await?;
        }
        body.finish_with_trailers(&[("X-Sum", "300")]).await
    };
    let expected: String = (0..300).map(|i| format!("line {i}\n")).collect();
    let answer = only(&handler, GET);
    assert_eq!(answer.header("Transfer-Encoding"), Some("chunked"));
    assert_eq!(answer.body, expected.clone() + "|X-Sum: 300");
    // HTTP/1.0 knows no chunks.
    let answer = only(&handler, OLD);
    assert_eq!((answer.header("Transfer-Encoding"), answer.header("Connection")), (None, Some("close")));
    assert_eq!(answer.body, expected);
}

#[test]
fn h15_some_statuses_have_no_body() {
    for (status, length) in [(Status::NO_CONTENT, None), (Status::NOT_MODIFIED, None), (Status::OK, Some("3"))] {
        let handler = async |_: Request<'_>, response: Response<'_>| response.status(status).text("abc").await;
        let client = talk(&handler, [GET, GET]);
        let all = answers(&client);
        assert_eq!(all.len(), 2, "{status}: {}", client.text());
        assert_eq!(all[0].header("Content-Length"), length, "{status}");
        assert_eq!(all[0].header("Content-Type").is_none(), status == Status::NO_CONTENT, "{status}");
        let streaming = async |_: Request<'_>, response: Response<'_>| {
            let mut body = response.status(status).stream("text/plain")?;
            body.write_all(b"abc").await?;
            body.flush().await?;
            body.finish().await
        };
        assert_eq!(answers(&talk(&streaming, [GET, GET])).len(), 2, "{status}");
    }
}

/// H-15, H-20: an interim response is not the answer to a request, and the next response would be taken for it.
#[test]
fn no_handler_answers_with_an_interim_status() {
    for status in [Status::CONTINUE, Status::SWITCHING_PROTOCOLS, Status::EARLY_HINTS] {
        let whole = async |_: Request<'_>, response: Response<'_>| response.status(status).text("x").await;
        let bare = async |_: Request<'_>, response: Response<'_>| response.status(status).empty().await;
        let stream =
            async |_: Request<'_>, response: Response<'_>| response.status(status).stream("text/plain")?.finish().await;
        assert_eq!((only(&whole, GET).status, only(&bare, GET).status, only(&stream, GET).status), (500, 500, 500));
        let error = async |_: Request<'_>, _: Response<'_>| Err(Error::Status(status, "no answer"));
        assert_eq!(only(&error, GET).status, 500);
    }
}

/// RFC 9110 section 15.3.6: 205 has no content, and its end is told by a length of 0.
#[test]
fn a_response_that_resets_a_form_is_empty() {
    let whole = async |_: Request<'_>, response: Response<'_>| response.status(Status::RESET_CONTENT).text("x").await;
    let stream = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.status(Status::RESET_CONTENT).stream("text/plain")?;
        body.write_all(b"x").await?;
        body.finish().await
    };
    for request in [GET, OLD, HEAD] {
        for answer in [only(&whole, request), only(&stream, request)] {
            assert_eq!((answer.status, answer.header("Content-Length"), answer.body.as_str()), (205, Some("0"), ""));
            assert_eq!(answer.header("Transfer-Encoding"), None);
        }
    }
}

/// A value whose `Display` goes on after it was told that there is no room.
struct Stubborn;

impl std::fmt::Display for Stubborn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = f.write_str(&"a".repeat(900));
        let _ = f.write_str("b");
        let _ = f.write_str("");
        Ok(())
    }
}

#[test]
fn a_value_that_ignores_errors_is_printed_whole() {
    let expected = "a".repeat(900) + "b";
    let stream = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        body.print(format_args!("{Stubborn}")).await?;
        body.finish().await
    };
    let whole =
        async |_: Request<'_>, response: Response<'_>| response.print("text/plain", format_args!("{Stubborn}")).await;
    assert_eq!((only(&stream, GET).body, only(&whole, GET).body), (expected.clone(), expected));
    // Nor does one make a field that is cut off.
    let field = async |_: Request<'_>, response: Response<'_>| response.header("X", Stubborn).text("x").await;
    assert_eq!(only(&field, GET).status, 500);
}

/// Bodies of every length around the sizes of the buffers, sent in every way, arrive as they are.
#[test]
fn bodies_of_all_lengths() {
    let data: Vec<u8> = (0..70_000u32).map(|i| b'a' + (i % 26) as u8).collect();
    for length in
        [0, 1, 2, 3, 100, 200, 255, 256, 257, 300, 511, 512, 513, 600, 767, 768, 1000, 4096, 65_535, 65_536, 70_000]
    {
        let body = &data[..length];
        let text = std::str::from_utf8(body).unwrap();
        let send = async |_: Request<'_>, response: Response<'_>| response.text(text).await;
        assert!(only(&send, GET).body == text, "{length} at once");
        for piece in [1, 99, 250, 256, 300, 5000, 70_000] {
            if length / piece > 2000 {
                continue;
            }
            let stream = async |_: Request<'_>, response: Response<'_>| {
                let mut writer = response.stream("text/plain")?;
                for part in body.chunks(piece) {
                    writer.write_all(part).await?;
                }
                writer.finish().await
            };
            assert!(only(&stream, GET).body == text, "{length} in pieces of {piece}");
            assert!(only(&stream, OLD).body == text, "{length} in pieces of {piece}, until close");
        }
    }
}

#[test]
fn h23_few_writes_and_no_copies() {
    let small = async |_: Request<'_>, response: Response<'_>| response.text("small").await;
    assert_eq!(talk(&small, [GET]).writes.len(), 1);
    let chunks = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        body.write_all(b"in ").await?;
        body.write_all(b"chunks").await?;
        body.finish().await
    };
    assert_eq!(talk(&chunks, [GET]).writes.len(), 1);
    let large = "x".repeat(100_000);
    let client = talk(&async |_: Request<'_>, response: Response<'_>| response.text(&large).await, [GET]);
    // The head with the beginning of the body, then the rest from where it lies.
    assert_eq!(client.writes.len(), 2);
    assert!(client.writes[0] <= 512);
    assert_eq!(talk(&small, [GET.repeat(3)]).writes.len(), 3);
    // The same in chunks, as large as their sizes of four digits allow: each leaves from where it lies, with its size behind
    // what came before it.
    let stream = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        body.write_all(b"small").await?;
        body.write_all(large.as_bytes()).await?;
        body.finish().await
    };
    let client = talk(&stream, [GET]);
    let [begin, first, between, second, end] = client.writes[..] else { panic!("{:?}", client.writes) };
    assert!(begin < 200, "{begin}");
    assert_eq!((first, between, second, end), (65_535, "\r\n1234\r\n".len(), 100_000 - 65_535, "\r\n0\r\n\r\n".len()));
    assert_eq!(answers(&client)[0].body, format!("small{large}"));
}

#[test]
fn h20_no_handler_can_break_the_head() {
    for (name, value) in [
        ("X", "a\r\nSet-Cookie: b"),
        ("X", "a\nb"),
        ("X", "a\rb"),
        ("X", "a\0b"),
        ("X", "\x7f"),
        ("X Y", "a"),
        ("X:", "a"),
        ("", "a"),
        ("X\r\nY", "a"),
        ("Content-Length", "3"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
        ("Date", "now"),
    ] {
        let handler = async |_: Request<'_>, response: Response<'_>| response.header(name, value).text("x").await;
        let answer = only(&handler, GET);
        assert_eq!(answer.status, 500, "{name:?}: {value:?}");
        assert!(!answer.head.contains("X"), "{}", answer.head);
    }
    let content_type = async |_: Request<'_>, response: Response<'_>| response.send("text/html\r\nX: y", b"x").await;
    assert_eq!(only(&content_type, GET).status, 500);
    let trailer = async |_: Request<'_>, response: Response<'_>| {
        let body = response.stream("text/plain")?;
        body.finish_with_trailers(&[("Content-Length", "3")]).await
    };
    assert_eq!(only(&trailer, GET).status, 500);
    let too_much = async |_: Request<'_>, response: Response<'_>| response.header("X", "y".repeat(600)).text("x").await;
    assert_eq!(only(&too_much, GET).status, 500, "a head larger than its part of the buffer");
}

/// A value that cannot be displayed.
struct Failing;

impl std::fmt::Display for Failing {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Err(std::fmt::Error)
    }
}

#[test]
fn what_cannot_be_displayed_is_an_error() {
    let field = async |_: Request<'_>, response: Response<'_>| response.header("X", Failing).text("x").await;
    let whole =
        async |_: Request<'_>, response: Response<'_>| response.print("text/plain", format_args!("{Failing}")).await;
    // Also for a handler that does not look: what is missing in the middle is not passed over.
    let careless = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        let _ = body.print(format_args!("before {Failing} after")).await;
        assert!(body.write_all(b"more").await.is_err());
        body.finish().await
    };
    assert_eq!((only(&field, GET).status, only(&whole, GET).status, only(&careless, GET).status), (500, 500, 500));
    assert_eq!(only(&careless, HEAD).status, 500);
}

#[test]
fn a_handler_can_close_the_connection() {
    let handler = async |_: Request<'_>, response: Response<'_>| response.close().text("bye").await;
    let client = talk(&handler, [GET, GET]);
    let all = answers(&client);
    assert_eq!((all.len(), all[0].header("Connection")), (1, Some("close")));
}

#[test]
fn h21_failures_tell_nothing_of_the_inside() {
    for (error, status) in [
        (Error::Internal("the password is hunter2"), 500),
        (Error::Status(Status::FORBIDDEN, "the password is hunter2"), 403),
        (Error::BadRequest("the password is hunter2"), 400),
    ] {
        let answer = only(&async |_: Request<'_>, _: Response<'_>| Err(error), GET);
        assert_eq!(answer.status, status);
        assert!(!answer.body.contains("hunter2") && !answer.head.contains("hunter2"));
    }
    // The connection goes on where it can.
    assert_eq!(answers(&talk(&async |_: Request<'_>, _: Response<'_>| Err(Error::Internal("")), [GET, GET])).len(), 2);
}

/// A client that was too slow, or sends too much, is not waited for again.
#[test]
fn failures_of_the_client_end_its_connection() {
    for (error, status) in [(Error::TimedOut, 408), (Error::BodyTooLarge, 413), (Error::BodyIncomplete, 400)] {
        let client = talk(&async |_: Request<'_>, _: Response<'_>| Err(error), [GET, GET]);
        let all = answers(&client);
        assert_eq!((all.len(), all[0].status, all[0].header("Connection")), (1, status, Some("close")));
    }
}

/// Once something of a response has been sent, failing must not look like its end.
#[test]
fn a_response_that_fails_on_the_way_is_reset() {
    let fails = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        body.write_all(b"half").await?;
        body.flush().await?;
        Err(Error::Internal("and then"))
    };
    let client = talk(&fails, [GET.repeat(2)]);
    assert!(client.is_reset && !client.is_finished);
    assert_eq!((client.stats.requests, client.stats.refused), (1, 0), "and nothing more is looked at");
    assert!(!client.text().ends_with("0\r\n\r\n"));
    // As long as nothing was sent, the failure has an answer.
    let fails_early = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.stream("text/plain")?;
        body.write_all(b"half").await?;
        Err(Error::Internal("and then"))
    };
    assert_eq!(only(&fails_early, GET).status, 500);
}

#[test]
fn a_length_that_was_announced_is_kept() {
    let less = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.sized("text/plain", 5)?;
        body.write_all(b"four").await?;
        body.finish().await
    };
    assert_eq!(only(&less, GET).status, 500);
    let more = async |_: Request<'_>, response: Response<'_>| {
        let mut body = response.sized("text/plain", 3)?;
        body.flush().await?;
        let _ = body.write_all(b"four").await;
        // What would have fitted does not make it right again.
        assert_eq!(body.write_all(b"abc").await, Err(Error::LengthMismatch));
        body.finish().await
    };
    assert!(talk(&more, [GET]).is_reset);
}

#[test]
fn redirections_and_methods() {
    let redirect = async |_: Request<'_>, response: Response<'_>| response.redirect(Status::SEE_OTHER, "/there").await;
    let answer = only(&redirect, GET);
    assert_eq!(
        (answer.status, answer.header("Location"), answer.header("Content-Length")),
        (303, Some("/there"), Some("0"))
    );
    let wrong = async |_: Request<'_>, response: Response<'_>| response.redirect(Status::OK, "/there").await;
    assert_eq!(only(&wrong, GET).status, 500);
}

#[derive(Clone, Copy)]
enum Page {
    Home,
    Item,
    Rest,
}

static API: Routes<Page> = Routes::new(&[
    Route::on(Methods::of(&[Method::Get, Method::Put]), "/item/{id}", Page::Item),
    Route::delete("/item/{id}", Page::Item),
]);
static PAGES: Routes<Page> = Routes::new(&[
    Route::get("/", Page::Home),
    Route::nest("/api/{version}", &API),
    Route::post("/files/{*path}", Page::Rest),
]);

async fn routed(mut request: Request<'_>, response: Response<'_>) -> Outcome {
    match PAGES.find(&mut request)? {
        Page::Home => response.text("home").await,
        Page::Item => {
            let id: u16 = request.parse_param("id")?;
            response.text(&format!("{} {id}", request.param("version").unwrap())).await
        }
        Page::Rest => response.text(request.param("path").unwrap()).await,
    }
}

#[test]
fn routes() {
    fn check<H: Handler>(handler: &H) {
        let ask = |line: &str| only(handler, &format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"));
        for (line, body) in [
            ("GET /", "home"),
            ("GET /api/v1/item/7", "v1 7"),
            ("PUT /api/v2/item/7", "v2 7"),
            ("DELETE /api/v2/item/8", "v2 8"),
            ("POST /files/a/b", "a/b"),
            ("POST /files/", ""),
        ] {
            assert_eq!((ask(line).status, ask(line).body.as_str()), (200, body), "{line}");
        }
        assert_eq!(ask("HEAD /").status, 200);
        for line in ["GET /nowhere", "GET /api/v1", "GET /api/v1/item/", "GET /api/v1/item/7/", "POST /files"] {
            assert_eq!(ask(line).status, 404, "{line}");
        }
        assert_eq!(ask("GET /api/v1/item/seven").status, 400);
        // H-2, H-13: known methods that are not for this path, and what is.
        for (line, status, allow) in [
            ("POST /", 405, "GET, HEAD, OPTIONS"),
            ("TRACE /", 405, "GET, HEAD, OPTIONS"),
            ("PATCH /api/v1/item/7", 405, "GET, HEAD, PUT, DELETE, OPTIONS"),
            ("OPTIONS /api/v1/item/7", 204, "GET, HEAD, PUT, DELETE, OPTIONS"),
            ("OPTIONS *", 204, "GET, HEAD, POST, PUT, DELETE, OPTIONS"),
        ] {
            assert_eq!((ask(line).status, ask(line).header("Allow")), (status, Some(allow)), "{line}");
        }
    }
    check(&routed);
    let item = async |request: Request<'_>, response: Response<'_>| {
        let id: u16 = request.parse_param("id")?;
        response.text(&format!("{} {id}", request.param("version").unwrap())).await
    };
    let home = async |_: Request<'_>, response: Response<'_>| response.text("home").await;
    let rest = async |request: Request<'_>, response: Response<'_>| response.text(request.param("path").unwrap()).await;
    let api = Router::new()
        .on(Methods::of(&[Method::Get, Method::Put]), "/item/{id}", item)
        .and_then(|api| api.delete("/item/{id}", item));
    let pages = Router::new()
        .get("/", home)
        .and_then(|pages| pages.nest("/api/{version}", api.unwrap()))
        .and_then(|pages| pages.post("/files/{*path}", rest));
    check(&pages.unwrap());
    assert!(Router::new().get("no-slash", home).is_err());
    let deep = || Router::new().get("/", home).and_then(|r| r.patch("/{a}/{b}/{c}/{d}", home)).unwrap();
    assert!(Router::new().nest("/{e}/{f}", deep()).is_ok());
    assert!(Router::new().nest("/{e}/{f}/{g}", deep()).is_err());
    assert!(Router::new().nest("/{g}", Router::new().nest("/{e}/{f}", deep()).unwrap()).is_err());
    assert_eq!(only(&deep(), "PATCH /1/2/3/4 HTTP/1.1\r\nHost: x\r\n\r\n").body, "home");
    let with_fallback = Router::new().get("/", home).unwrap().fallback(deaf);
    assert_eq!(only(&with_fallback, "GET /else HTTP/1.1\r\nHost: x\r\n\r\n").body, "/else");
    assert_eq!(only(&with_fallback, "POST / HTTP/1.1\r\nHost: x\r\n\r\n").status, 405);
}

#[test]
fn the_server_field_and_an_unset_clock() {
    let mut config = Config::new();
    config.server = Some("lunet");
    let client = Client::new([GET], Then::Finish);
    let client = virtual_time::block_on(serve_with(&deaf, &config, 2048, client));
    assert_eq!(answers(&client)[0].header("Server"), Some("lunet"));
}
