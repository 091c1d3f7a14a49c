//! The HTTP server. Numbers like H-16 are those of the requirements.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};

use embassy_futures::join::{join, join_array};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Timer, with_timeout};
use net_core::Error;
use net_core::nal::{Read, TcpStack, TcpWrite, Write};
use net_services::http::{Config, Handler, Outcome, Request, Response, Route, Routes, Server};

/// All of it, one after the other. `port` and the next three are used; the networks need 8 TCP sockets each.
pub async fn all<A: TcpStack, B: TcpStack>(server: &A, client: &B, ip: IpAddr, port: u16) {
    println!("requests_and_bodies");
    requests_and_bodies(server, client, SocketAddr::new(ip, port)).await;
    println!("more_clients_than_places");
    more_clients_than_places(server, client, SocketAddr::new(ip, port)).await;
    println!("stalled_clients");
    stalled_clients(server, client, SocketAddr::new(ip, port + 1)).await;
    println!("graceful_stop");
    graceful_stop(server, client, SocketAddr::new(ip, port + 2)).await;
    println!("a_chat");
    crate::websocket::a_chat(server, client, SocketAddr::new(ip, port + 3)).await;
}

#[derive(Clone, Copy)]
enum Page {
    Echo,
    Large,
    Slow,
    Broken,
}

static PAGES: Routes<Page> = Routes::new(&[
    Route::post("/echo", Page::Echo),
    Route::get("/large/{bytes}", Page::Large),
    Route::get("/slow", Page::Slow),
    Route::get("/broken", Page::Broken),
]);

struct Site;

fn pattern(from: usize, n: usize) -> Vec<u8> {
    (from..from + n).map(|i| (i % 251) as u8).collect()
}

impl Handler for Site {
    async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
        match PAGES.find(&mut request)? {
            // What comes in goes out, piece by piece, in chunks.
            Page::Echo => {
                request.body.limit(u64::MAX);
                let mut writer = response.stream("application/octet-stream")?;
                loop {
                    let piece = request.body.fill_buf().await?;
                    let n = piece.len();
                    if n == 0 {
                        return writer.finish().await;
                    }
                    writer.write_all(piece).await?;
                    request.body.consume(n);
                }
            }
            Page::Large => {
                let n: usize = request.parse_param("bytes")?;
                response.send("application/octet-stream", &pattern(0, n)).await
            }
            Page::Broken => {
                let mut writer = response.stream("text/plain")?;
                writer.write_all(b"half of it").await?;
                writer.flush().await?;
                Err(net_services::http::Error::Internal("a test"))
            }
            Page::Slow => {
                Timer::after(Duration::from_millis(200)).await;
                response.text("at last").await
            }
        }
    }
}

pub(crate) fn config(port: u16, ip: IpAddr) -> Config {
    let any: IpAddr = if ip.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    Config::new().with_address(SocketAddr::new(any, port))
}

/// Runs a server with two places while `test` runs.
async fn with_server<A: TcpStack, T>(stack: &A, config: Config, test: impl Future<Output = T>) -> T {
    let (site, mut buffers) = (Site, [[0; 2048]; 2]);
    let server = Server::new(config, &site);
    match select(server.run(stack, &mut buffers), test).await {
        Either::First(result) => panic!("the server ended: {result:?}"),
        Either::Second(result) => result,
    }
}

/// Connects, also when the listener is only just coming.
pub(crate) async fn connect<B: TcpStack>(client: &B, to: SocketAddr) -> B::Socket {
    loop {
        match client.connect(to).await {
            Ok(socket) => return socket,
            Err(Error::Refused) => Timer::after(Duration::from_millis(5)).await,
            Err(error) => panic!("connecting: {error}"),
        }
    }
}

/// Reads one response with a `Content-Length`: its head and its body. `None` when the connection ends before it.
async fn response(socket: &mut impl Read<Error = Error>) -> Option<(String, Vec<u8>)> {
    let (mut data, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(at) = data.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8(data[..at].to_vec()).unwrap();
            let length =
                head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map(|n| n.parse::<usize>());
            let end = at + 4 + length.unwrap_or_else(|| panic!("no length in {head:?}")).unwrap();
            if data.len() >= end {
                assert_eq!(data.len(), end, "nothing follows");
                return Some((head, data.split_off(at + 4)));
            }
        }
        match socket.read(&mut buffer).await {
            Ok(n @ 1..) => data.extend_from_slice(&buffer[..n]),
            _ => return None,
        }
    }
}

pub(crate) async fn read_to_end(socket: &mut impl Read<Error = Error>) -> Vec<u8> {
    let (mut data, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = socket.read(&mut buffer).await {
        data.extend_from_slice(&buffer[..n]);
    }
    data
}

/// Several requests on one connection; bodies many times the buffers, both ways at once.
pub async fn requests_and_bodies<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    with_server(server, config(at.port(), at.ip()), async {
        let mut socket = connect(client, at).await;
        for n in [0, 1, 500, 60_000] {
            let request = format!("GET /large/{n} HTTP/1.1\r\nHost: x\r\n\r\n");
            socket.write_all(request.as_bytes()).await.unwrap();
            assert!(response(&mut socket).await.unwrap().1 == pattern(0, n));
        }
        // While the answer is read, so that neither waits for the other.
        let body = pattern(3, 100_000);
        let (mut reader, mut writer) = net_core::nal::TcpSocket::split(&mut socket);
        let ask = async {
            let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 100000\r\n\r\n";
            writer.write_all(head.as_bytes()).await.unwrap();
            writer.write_all(&body).await.unwrap();
        };
        let (answer, ()) = join(read_to_end(&mut reader), ask).await;
        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        assert!(String::from_utf8_lossy(&answer[..end]).contains("Transfer-Encoding: chunked"));
        assert!(unchunk(&answer[end..]) == body);
        // Of two requests at once both are answered (H-14).
        let mut socket = connect(client, at).await;
        socket
            .write_all(
                b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            )
            .await
            .unwrap();
        let both = String::from_utf8(read_to_end(&mut socket).await).unwrap();
        assert!(both.contains("at last") && both.contains("HTTP/1.1 404"), "{both}");
        // Half an answer ends with an error, not as if it were whole.
        let mut socket = connect(client, at).await;
        socket.write_all(b"GET /broken HTTP/1.0\r\n\r\n").await.unwrap();
        let mut buffer = [0; 500];
        let ended = loop {
            match socket.read(&mut buffer).await {
                Ok(1..) => {}
                ended => break ended,
            }
        };
        assert_eq!(ended, Err(Error::Reset));
    })
    .await;
}

fn unchunk(mut data: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = data.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&data[..line]).unwrap(), 16).unwrap();
        let begin = line + 2;
        body.extend_from_slice(&data[begin..begin + size]);
        assert_eq!(&data[begin + size..begin + size + 2], b"\r\n");
        data = &data[begin + size + 2..];
        if size == 0 {
            assert!(data.is_empty());
            return body;
        }
    }
}

/// Twice as many clients as places, all of which want to keep their connection: each is served, several times.
pub async fn more_clients_than_places<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    let mut config = config(at.port(), at.ip());
    // Whoever is idle stays for an hour, unless somebody else wants in.
    config.keep_alive = Duration::from_secs(3600);
    config.first_byte = Duration::from_secs(3600);
    with_server(server, config, async {
        let served = Cell::new(0);
        let one = async || {
            let mut socket = connect(client, at).await;
            let mut left = 5;
            while left > 0 {
                let sent = socket.write_all(b"GET /large/100 HTTP/1.1\r\nHost: x\r\n\r\n").await;
                match if sent.is_ok() { response(&mut socket).await } else { None } {
                    Some((head, body)) => {
                        assert!(body == pattern(0, 100));
                        left -= 1;
                        served.set(served.get() + 1);
                        if head.contains("Connection: close") {
                            socket = connect(client, at).await;
                        }
                    }
                    // It was idle for longest: that is how connections end. Then again.
                    None => socket = connect(client, at).await,
                }
            }
            // The connection stays open until all are done.
            socket
        };
        let all = join_array([one(), one(), one(), one()]);
        with_timeout(Duration::from_secs(60), all).await.expect("all are served");
        assert_eq!(served.get(), 20);
    })
    .await;
}

/// H-16: clients that stop sending in the middle cost their places for the bound, and no more.
pub async fn stalled_clients<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    let mut config = config(at.port(), at.ip());
    config.head = Duration::from_secs(1);
    config.body = Duration::from_secs(1);
    with_server(server, config, async {
        let mut head = connect(client, at).await;
        head.write_all(b"GET / HTTP/1.1\r\nHos").await.unwrap();
        let mut body = connect(client, at).await;
        body.write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc").await.unwrap();
        // Both places are taken, and this one is served all the same.
        let mut third = connect(client, at).await;
        third.write_all(b"GET /large/5 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert!(response(&mut third).await.unwrap().1 == pattern(0, 5));
        let told = String::from_utf8(read_to_end(&mut head).await).unwrap();
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
        let told = String::from_utf8(read_to_end(&mut body).await).unwrap();
        assert!(told.starts_with("HTTP/1.1 408 "), "{told}");
    })
    .await;
}

/// H-22: no new connections, running requests finish, the port is free.
pub async fn graceful_stop<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    let (site, mut buffers) = (Site, [[0; 2048]; 2]);
    let config = config(at.port(), at.ip());
    let http = Server::new(config.clone(), &site);
    let test = async {
        let mut idle = connect(client, at).await;
        idle.write_all(b"GET /large/3 HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        response(&mut idle).await.unwrap();
        let mut busy = connect(client, at).await;
        busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        while http.stats().requests < 2 {
            Timer::after(Duration::from_millis(5)).await;
        }
        http.stop();
        let (head, body) = response(&mut busy).await.unwrap();
        assert!(body == b"at last" && head.contains("Connection: close"), "{head}");
        assert_eq!(read_to_end(&mut idle).await, b"");
        assert_eq!(read_to_end(&mut busy).await, b"");
        busy.finish().await.unwrap_or(());
    };
    let (result, ()) = join(http.run(server, &mut buffers), test).await;
    assert_eq!(result, Ok(()));
    let stats = http.stats();
    assert_eq!((stats.connections, stats.requests, stats.refused), (2, 2, 0));
    // At once.
    assert!(server.listen(config.address, 1).await.is_ok());
    // Two on one port is the one failure that ends it.
    let _other = server.listen(config.address, 1).await.unwrap();
    http.reset();
    assert_eq!(http.run(server, &mut buffers).await, Err(Error::AddressInUse));
}
