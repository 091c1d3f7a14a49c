//! An HTTP/1.1 client: connections that are used again, redirects, bodies of every framing, and a bound for everything.
//!
//! # A complete program
//! A weather station that asks how often it is to report, and reports. It runs on any stack behind [`net_core::nal`],
//! without a heap, in 2 KiB.
//!
//! ```
//! use net_core::nal::{Dns, TcpStack};
//! use net_core::time::{Duration, Timer};
//! use net_services::http::Method;
//! use net_services::http::client::{Client, ClientConfig, ClientError};
//!
//! static CONFIG: ClientConfig = {
//!     let mut config = ClientConfig::new();
//!     config.total = Duration::from_secs(30);
//!     config.user_agent = Some("weather-station/1.0");
//!     config
//! };
//!
//! async fn station(net: &impl TcpStack, dns: &impl Dns) -> Result<(), ClientError> {
//!     let mut buffer = [0; 2048];
//!     let mut client = Client::new(net, dns, &CONFIG, &mut buffer);
//!
//!     // The content comes as it arrives, however long it is; this one is short.
//!     let mut response = client.get("http://weather.example/stations/7/minutes").await?;
//!     let mut content = [0; 8];
//!     let minutes = match core::str::from_utf8(response.read_all(&mut content).await?).map(str::parse) {
//!         Ok(Ok(minutes)) if response.status().is_success() => minutes,
//!         _ => 10,
//!     };
//!
//!     loop {
//!         let report = client
//!             .request(Method::Put, "http://weather.example/stations/7")?
//!             .basic_auth("station-7", "rain or shine")?
//!             .header("Content-Type", "application/json")?
//!             .body(br#"{"celsius":21.5}"#);
//!         match report.send().await {
//!             Ok(response) if response.status().is_success() => {}
//!             Ok(response) => println!("{} says {}", response.url(), response.status()),
//!             // Any failure is over with the request; the next one begins anew.
//!             Err(error) => println!("not reported: {error}"),
//!         }
//! #       return Ok(());
//!         Timer::after(Duration::from_secs(60 * minutes)).await;
//!     }
//! }
//! # // The same over a stack, to show that it works.
//! # use net_core::{cable::{Cable, Quality}, cidr::Ipv4Inet, nal::AddrType, stack::{self, HeapResources, PoolSizes}};
//! # use net_services::http::{Config, Outcome, Request, Response, Server};
//! # use embassy_futures::{join::join, select::select3};
//! # struct Names;
//! # impl Dns for Names {
//! #     type Error = ();
//! #     async fn get_host_by_name(&self, name: &str, _: AddrType) -> Result<std::net::IpAddr, ()> {
//! #         if name == "weather.example" { Ok([10, 0, 0, 1].into()) } else { Err(()) }
//! #     }
//! #     async fn get_host_by_address(&self, _: std::net::IpAddr, _: &mut [u8]) -> Result<usize, ()> { Err(()) }
//! # }
//! # let reports = core::cell::Cell::new(0);
//! # let weather = async |mut request: Request<'_>, response: Response<'_>| -> Outcome {
//! #     if request.method() == Method::Get {
//! #         return response.text("5").await;
//! #     }
//! #     assert!(request.header("Authorization").is_some());
//! #     assert_eq!(request.body.read_to_vec().await?, br#"{"celsius":21.5}"#);
//! #     reports.set(reports.get() + 1);
//! #     response.empty().await
//! # };
//! # let sizes = PoolSizes { tcp: 8, udp: 1, tcp_buffer: 2048, udp_buffer: 512 };
//! # let cable = Cable::new(Quality::PERFECT, 1);
//! # let host = |n| {
//! #     let config = stack::Config::new().with_ipv4(Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap(), None);
//! #     stack::new(cable.end(), config, Box::leak(Box::new(HeapResources::growing(sizes))), n.into()).unwrap()
//! # };
//! # let ((one, mut one_runs), (two, mut two_runs)) = (host(1), host(2));
//! # let server = Server::new(Config::new(), &weather);
//! # let mut buffers = [[0; 1024]; 2];
//! # let run = async { join(one_runs.run(), two_runs.run()).await };
//! # let client = async {
//! #     Timer::after(Duration::from_millis(1)).await;
//! #     station(&two, &Names).await.unwrap();
//! #     assert_eq!(reports.get(), 1);
//! # };
//! # virtual_time::block_on(select3(client, server.run(&one, &mut buffers), run));
//! ```
//!
//! # Requests
//! A [`Client`] is a network, a resolver, a [`ClientConfig`] and a buffer. [`Client::get`] and [`Client::post`] are for
//! the common cases; [`Client::request`] gives a [`ClientRequest`] that takes fields, a [body](ClientRequest::body)
//! that lies in memory, or [one that is read](ClientRequest::send_from) from a stream while it is sent.
//!
//! A [`ClientResponse`] is there when its head is. Its content comes by [`read`](ClientResponse::read),
//! [`fill_buf`](ClientResponse::fill_buf) without a copy, or whole; it implements the `Read` and `BufRead` of
//! `embedded-io-async`. A status such as 404 is a response like any other, not an error.
//!
//! # Connections
//! The connection of a response that was read to its end is kept, for [`ClientConfig::keep_alive`], and the next
//! request to the same scheme, host and port uses it. Where the server has closed it in the meantime, the client opens
//! another. Where it closes it at that very moment, without a byte of an answer, the request is sent once more, unless
//! its body came from a stream. [`Client::stats`] counts all that; [`Client::close`] gives the socket back.
//!
//! One request at a time, and one connection: for more at once, take more clients.
//!
//! The host's name is resolved by any [`Dns`](net_core::nal::Dns), which gives one address of each IP version: when the
//! first does not answer, the other is tried.
//!
//! A server may answer before it has been sent the whole body. If the answer is not a success (2xx), the rest is not
//! sent. Otherwise it is; the client then has no room for an answer longer than its buffer, so a server that waits to
//! be read before it reads on meets with [`ClientConfig::idle`]. The client never waits for `100 Continue`.
//!
//! # Redirects
//! 301, 302, 303, 307 and 308 with a `Location` are followed, [`ClientConfig::max_redirects`] times. 303 makes any
//! method but HEAD a GET; 301 and 302 make POST a GET, as in browsers and curl. The body goes with all others; one that
//! came from a stream cannot, which is [an error](ClientError::BodyNotRepeatable). From `https` to `http` only with
//! [leave](ClientConfig::allow_downgrade). `Authorization`, `Cookie` and `Proxy-Authorization` never go to another
//! scheme, host or port than the one they were meant for.
//!
//! # Memory
//! No heap, and one buffer, that of [`Client::new`]: URL and fields of the request at its front, the request head and
//! later the response head after them, and the rest is the window that content passes through. What does not fit is
//! [`ClientError::BufferTooSmall`]. The future of [`ClientRequest::send`] is that of the resolver (2.3 KB for the
//! `Resolver` of `net_core::dns` on a 64-bit computer) and 800 bytes more.
//!
//! # Time and size
//! Every wait is bounded: for connecting, for the next byte either way, and for the whole. So is the content, by
//! [`ClientConfig::max_response`]. Whoever gives up half-way, by a timeout or by dropping a future or a response,
//! resets the connection, so that its socket is free for another.
//!
//! # Strictness
//! Responses are framed as strictly as the server's requests: what could be read in two ways is
//! [`ClientError::InvalidResponse`]. URLs are checked, and what is not allowed in one must be percent-encoded;
//! international host names must be in their `xn--` form. Fields with control characters, CR and LF above all, are
//! refused.
//!
//! # What it does not do
//! `https` (there is no TLS yet: [`ClientError::Unsupported`]), user names in URLs, proxies, CONNECT, upgrades,
//! cookies, caching, content codings (no `Accept-Encoding` is sent), several requests under way on one connection.
//!
//! # Why not `reqwless`
//! Version 0.14 has no timeouts, follows no redirects, bounds no sizes and checks no fields: CR LF in a value goes out
//! as it is. It takes an interim response (1xx) for the final one, reads `Content-Length: +5` as 5, sends `Host`
//! without the port, and does not notice that a server has closed a connection.

mod config;
mod connect;
mod error;
mod exchange;
mod head;
mod http_client;
mod incoming;
mod redirect;
mod request;
mod response;
mod times;
mod url;
mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use config::ClientConfig;
pub use error::{ClientError, Timeout};
pub use http_client::{Client, ClientStats};
pub use request::ClientRequest;
pub use response::ClientResponse;
