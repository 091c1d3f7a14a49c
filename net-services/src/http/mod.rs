//! An HTTP/1.1 server that is strict about what it reads and bounded in what it takes, and a [client].
//!
//! # A complete program
//! A page that counts its visitors, served until the program ends. It runs on any stack behind
//! [`net_core::nal`], without a heap: four connections at once, 2 KiB each.
//!
//! ```
//! use core::cell::Cell;
//! use net_core::nal::TcpStack;
//! use net_services::http::{Config, Handler, Outcome, Request, Response, Route, Routes, Server};
//!
//! #[derive(Clone, Copy)]
//! enum Page {
//!     Home,
//!     Greeting,
//! }
//!
//! static PAGES: Routes<Page> = Routes::new(&[Route::get("/", Page::Home), Route::get("/hello/{name}", Page::Greeting)]);
//!
//! struct Site {
//!     visits: Cell<u32>,
//! }
//!
//! impl Handler for Site {
//!     async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
//!         match PAGES.find(&mut request)? {
//!             Page::Home => {
//!                 self.visits.set(self.visits.get() + 1);
//!                 response.print("text/html", format_args!("<h1>Visit {}</h1>", self.visits.get())).await
//!             }
//!             Page::Greeting => {
//!                 let name = request.param("name").unwrap_or("stranger");
//!                 response.print("text/plain; charset=utf-8", format_args!("Hello, {name}!")).await
//!             }
//!         }
//!     }
//! }
//!
//! async fn serve(stack: impl TcpStack) -> Result<(), net_core::Error> {
//!     let site = Site { visits: Cell::new(0) };
//!     let server = Server::new(Config::new().with_port(8080), &site);
//!     let mut buffers = [[0; 2048]; 4];
//!     server.run(&stack, &mut buffers).await
//! }
//! # // The same over a stack, to show that it works.
//! # use net_core::{cable::{Cable, Quality}, cidr::Ipv4Inet, nal::{Read, Write, TcpWrite}, stack::{self, HeapResources, PoolSizes}};
//! # use embassy_futures::select::select3;
//! # let sizes = PoolSizes { tcp: 8, udp: 1, tcp_buffer: 2048, udp_buffer: 512 };
//! # let cable = Cable::new(Quality::PERFECT, 1);
//! # let host = |n| {
//! #     let config = stack::Config::new().with_ipv4(Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap(), None);
//! #     stack::new(cable.end(), config, Box::leak(Box::new(HeapResources::growing(sizes))), n.into()).unwrap()
//! # };
//! # let ((one, mut one_runs), (two, mut two_runs)) = (host(1), host(2));
//! # let client = async {
//! #     let mut socket = loop {
//! #         match two.connect("10.0.0.1:8080".parse().unwrap()).await {
//! #             Ok(socket) => break socket,
//! #             Err(_) => {}
//! #         }
//! #     };
//! #     socket.write_all(b"GET /hello/you HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").await.unwrap();
//! #     let (mut all, mut buffer) = (Vec::new(), [0; 500]);
//! #     while let Ok(n @ 1..) = socket.read(&mut buffer).await {
//! #         all.extend_from_slice(&buffer[..n]);
//! #     }
//! #     assert!(String::from_utf8(all).unwrap().ends_with("\r\n\r\nHello, you!"));
//! # };
//! # virtual_time::block_on(select3(serve(one), client, async { embassy_futures::join::join(one_runs.run(), two_runs.run()).await }));
//! ```
//!
//! # The parts
//! - [`Server`] accepts connections and has each served, as [`Config`] says. It never ends because of what a client does.
//! - A [`Handler`] answers. It gets a [`Request`], whose [`body`](Request::body) it reads as it arrives, and a
//!   [`Response`], which it sends at once or [as it is made](Response::stream). It returns [`Sent`], the proof of having
//!   answered, or an [`Error`], which the server answers for it.
//! - [`Form`] and [`Multipart`] read what a page's form sends, the latter with files of any size; [`Field`]s are its
//!   values, and those of a [query](Request::query_field). [`EventStream`] sends a page what happens.
//! - Below that, without any I/O: [`head`], [`response_head`], [`body`], [`fields`] and [`date`], for programs with a loop
//!   of their own.
//! - An [`AccessLog`] is told what became of each request.
//! - [`files`] serves a document root: files that are part of the program, or lie in a directory.
//! - [`websocket`] turns a request into a connection for messages both ways; [`broadcast`] sends one to many.
//! - [`client`] asks other servers.
//! - [`Routes`] say what a path and a method mean; [`Router`] is the same with handlers on the heap (feature `alloc`).
//!
//! # Memory
//! A connection has one buffer of at least [`LEAST_BUFFER`] bytes and one TCP socket. Three quarters of the buffer
//! receive: the head of the request stays there while its handler runs, and the body passes through what is left. One
//! quarter sends, at least 256 bytes. What is larger than its part is not refused unless it is a head: bodies pass through
//! in pieces of any size both ways, and a body that lies in memory is sent from there.
//!
//! So a server of `n` places wants `n` buffers, and from the stack `n` sockets and [`Config::backlog`] more for clients that
//! wait; with fewer, they wait without one. All else is in the future of [`Server::run`], together with those of `n`
//! handlers: how large these are is the program's affair.
//!
//! # Time
//! Every wait is bounded by [`Config`]: for the first byte, the rest of the head, the body, the taking of the response, the
//! next request. A client that stops costs its place for that long and no more. One that is slow must keep up
//! [`Config::minimum_rate`]. How long a handler takes for itself is not bounded.
//!
//! When all places are taken and another client waits, responses say `Connection: close`, and the connection that has been
//! idle for longest is closed, if that is for longer than [`Config::grace`].
//!
//! # Strictness
//! The framing of requests is RFC 9112 to the letter, and where the RFC leaves a choice it is the safe one: what could
//! be read in two ways is answered 400 and the connection closed. That keeps a proxy in front of the device from being
//! used against it (request smuggling). In particular: line ends are CR LF; no space before a colon; no folded lines; one
//! `Host`; one `Content-Length` of digits only, never together with `Transfer-Encoding`; `Transfer-Encoding` is `chunked`
//! and nothing else; chunk sizes of 1 to 8 digits.

mod access;
mod body_writer;
mod config;
mod connection;
mod engine;
mod error;
mod events;
mod exchange;
mod field;
mod form;
mod handler;
mod multipart;
mod request;
mod response;
mod routes;
mod seats;
mod server;

pub mod body;
pub mod broadcast;
pub mod client;
mod control;
pub mod date;
pub mod fields;
pub mod files;
pub mod head;
mod method;
pub mod response_head;
mod status;
mod target;
mod turns;
pub mod websocket;

#[cfg(feature = "alloc")]
mod router;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use access::{Access, AccessLog, RequestLine};
pub use body_writer::BodyWriter;
pub use config::Config;
pub use error::{Error, Outcome, Sent};
pub use events::{Event, EventStream, last_event_id};
pub use field::{Field, FieldError, Pairs};
pub use fields::Fields;
pub use form::Form;
pub use handler::Handler;
pub use method::{Method, Methods};
pub use multipart::{Multipart, Part};
pub use request::{Body, Request};
pub use response::Response;
#[cfg(feature = "alloc")]
pub use router::{BadPattern, Router};
pub use routes::{Route, Routes};
pub use server::{LEAST_BUFFER, Server, Stats};
pub use status::Status;

use body::Framing;
