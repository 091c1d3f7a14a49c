//! The HTTP client (H-24), against the HTTP server and against servers that are none.

use std::net::{IpAddr, SocketAddr};

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer};
use net_core::Error;
use net_core::nal::{AddrType, Dns, Read, TcpListener, TcpStack, Write};
use net_services::http::client::{Client, ClientConfig, ClientError, Timeout};
use net_services::http::{Config, Handler, Method, Outcome, Request, Response, Route, Routes, Server, Status};

/// All of it, one after the other, on one port of the server; the networks need 8 TCP sockets each.
pub async fn all<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr, port: u16) {
    println!("bodies_and_reuse");
    bodies_and_reuse(server, client, SocketAddr::new(ip, port)).await;
    println!("redirects");
    redirects(server, client, SocketAddr::new(ip, port)).await;
    println!("refused_bodies");
    refused_bodies(server, client, SocketAddr::new(ip, port)).await;
    println!("impatient_server");
    impatient_server(server, client, SocketAddr::new(ip, port)).await;
    println!("silent_server");
    silent_server(server, client, SocketAddr::new(ip, port)).await;
}

/// Nobody is known by name.
struct NoNames;

impl Dns for NoNames {
    type Error = ();

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, ()> {
        Err(())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}

#[derive(Clone, Copy)]
enum Page {
    Sum,
    Large,
    Chunks,
    Away,
}

static PAGES: Routes<Page> = Routes::new(&[
    Route::post("/sum", Page::Sum),
    Route::get("/large/{bytes}", Page::Large),
    Route::get("/chunks/{bytes}", Page::Chunks),
    Route::get("/away/{steps}", Page::Away),
]);

struct Site;

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

/// What tells a body from one with a piece lost, doubled or moved.
fn sum(body: &[u8]) -> u64 {
    body.iter().fold(7, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

impl Handler for Site {
    async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
        match PAGES.find(&mut request)? {
            Page::Sum => {
                let body = request.body.read_to_vec().await?;
                response.text(&format!("{} {}", body.len(), sum(&body))).await
            }
            Page::Large => {
                let n: usize = request.parse_param("bytes")?;
                response.send("application/octet-stream", &pattern(n)).await
            }
            Page::Chunks => {
                let mut writer = response.stream("application/octet-stream")?;
                for piece in pattern(request.parse_param("bytes")?).chunks(700) {
                    writer.write_all(piece).await?;
                }
                writer.finish_with_trailers(&[("X-Sum", "no")]).await
            }
            Page::Away => match request.parse_param("steps")? {
                0 => response.text("there").await,
                n => response.redirect(Status::FOUND, format_args!("../away/./{}#here", n - 1u32)).await,
            },
        }
    }
}

/// Runs the server while `test` runs.
async fn with_server<A: TcpStack, T>(
    stack: &A,
    change: impl Fn(&mut Config),
    at: SocketAddr,
    test: impl Future<Output = T>,
) -> T {
    let any: IpAddr = if at.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let mut config = Config::new().with_address(SocketAddr::new(any, at.port()));
    change(&mut config);
    let (site, mut buffers) = (Site, [[0; 2048]; 2]);
    let server = Server::new(config, &site);
    let test = async {
        // The listener may be only just coming.
        Timer::after(Duration::from_millis(20)).await;
        test.await
    };
    match select(server.run(stack, &mut buffers), test).await {
        Either::First(result) => panic!("the server ended: {result:?}"),
        Either::Second(result) => result,
    }
}

/// Bodies many times the buffers, each way and in each framing, on one connection.
pub async fn bodies_and_reuse<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    with_server(server, |config| config.body_limit = 100_000, at, async {
        let (config, mut buffer) = (ClientConfig::new(), [0; 1500]);
        let mut client = Client::new(client, &NoNames, &config, &mut buffer);
        for n in [0, 1, 700, 5000, 60_000] {
            for page in ["large", "chunks"] {
                let (status, body) = client.get_to_vec(&format!("http://{at}/{page}/{n}")).await.unwrap();
                assert!(status == Status::OK && body == pattern(n), "{page} {n}");
            }
            let url = format!("http://{at}/sum");
            let (body, mut answer) = (pattern(n), [0; 50]);
            let expected = format!("{n} {}", sum(&body));
            let mut response = client.post(&url, "application/octet-stream", &body).await.unwrap();
            assert_eq!(response.read_all(&mut answer).await.unwrap(), expected.as_bytes());
            for length in [Some(n as u64), None] {
                let request = client.request(Method::Post, &url).unwrap();
                let mut response = request.send_from(&mut &body[..], length).await.unwrap();
                assert_eq!(response.read_all(&mut answer).await.unwrap(), expected.as_bytes());
            }
            let mut response =
                client.request(Method::Head, &format!("http://{at}/large/{n}")).unwrap().send().await.unwrap();
            assert_eq!(response.header("Content-Length"), Some(n.to_string().as_str()));
            assert_eq!(response.fill_buf().await, Ok(&[][..]));
        }
        let stats = client.stats();
        assert_eq!((stats.requests, stats.connections, stats.reused, stats.repeated), (30, 1, 29, 0));
    })
    .await;
}

/// As many as are allowed, all on one connection; and one more.
pub async fn redirects<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    with_server(server, |_| (), at, async {
        let (config, mut buffer) = (ClientConfig::new(), [0; 1500]);
        let mut client = Client::new(client, &NoNames, &config, &mut buffer);
        let mut response = client.get(&format!("http://{at}/away/20")).await.unwrap();
        assert_eq!(response.url(), format!("http://{at}/away/0").replace(":80/", "/"));
        assert_eq!(response.read_to_vec().await.unwrap(), b"there");
        let got = client.get(&format!("http://{at}/away/21")).await.map(drop);
        assert_eq!(got, Err(ClientError::TooManyRedirects));
        let stats = client.stats();
        assert_eq!((stats.requests, stats.redirects, stats.connections), (42, 40, 1));
    })
    .await;
}

/// A body that the server does not want is not sent to its end, and its answer is seen.
pub async fn refused_bodies<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    with_server(server, |config| config.body_limit = 1000, at, async {
        let (config, mut buffer) = (ClientConfig::new(), [0; 1500]);
        let mut client = Client::new(client, &NoNames, &config, &mut buffer);
        let (body, url) = (vec![b'x'; 4_000_000], format!("http://{at}/sum"));
        for from_stream in [false, true] {
            let request = client.request(Method::Post, &url).unwrap();
            let response = match from_stream {
                false => request.body(&body).send().await,
                true => request.send_from(&mut &body[..], None).await,
            };
            assert_eq!(response.unwrap().status(), Status::CONTENT_TOO_LARGE, "{from_stream}");
            assert_eq!(client.get_to_vec(&format!("http://{at}/large/2")).await.unwrap().1, pattern(2));
        }
    })
    .await;
}

/// A server that closes idle connections sooner than the client thinks.
pub async fn impatient_server<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    with_server(server, |config| config.keep_alive = Duration::from_millis(50), at, async {
        let (config, mut buffer) = (ClientConfig::new(), [0; 1500]);
        let mut client = Client::new(client, &NoNames, &config, &mut buffer);
        let url = format!("http://{at}/large/5");
        for _ in 0..3 {
            assert_eq!(client.get_to_vec(&url).await.unwrap().1, pattern(5));
            Timer::after(Duration::from_millis(300)).await;
        }
        assert_eq!(client.stats().connections, 3);
    })
    .await;
}

/// Servers that say nothing, not enough, or too much; and one that is not there.
pub async fn silent_server<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    let mut config = ClientConfig::new();
    config.idle = Duration::from_millis(200);
    let mut buffer = [0; 1500];
    let mut client = Client::new(client, &NoNames, &config, &mut buffer);
    let url = format!("http://{at}/");
    assert_eq!(client.get_to_vec(&url).await.unwrap_err(), ClientError::Connect(Error::Refused));
    let mut listener = server.listen(at, 2).await.unwrap();
    for (says, closes, expected) in [
        ("", false, ClientError::TimedOut(Timeout::Idle)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", false, ClientError::TimedOut(Timeout::Idle)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", true, ClientError::Io(Error::Reset)),
        ("", true, ClientError::Io(Error::Reset)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n", false, ClientError::ResponseTooLarge),
    ] {
        let serve = async {
            let mut socket = listener.accept().await.unwrap();
            let mut request = [0; 500];
            socket.read(&mut request).await.unwrap();
            socket.write_all(says.as_bytes()).await.unwrap();
            if closes {
                return;
            }
            // The client lets go as soon as it has given up.
            while let Ok(1..) = socket.read(&mut request).await {}
        };
        let (got, ()) = join(client.get_to_vec(&url), serve).await;
        assert_eq!(got.unwrap_err(), expected, "{says:?}");
    }
}
