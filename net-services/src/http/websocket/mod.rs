//! WebSockets (RFC 6455), the server's side.
//!
//! A handler [accepts](WebSocket::accept) a request as a WebSocket, talks over it for as long as it likes, and
//! [closes](WebSocket::close) it. The connection and its buffer are taken for all that time.
//!
//! # A complete program
//! A chat: what one says, all get. A [`Broadcast`](super::broadcast::Broadcast) carries it from one connection to the others.
//!
//! ```
//! use embassy_futures::select::{Either, select};
//! use net_core::nal::TcpStack;
//! use net_services::http::broadcast::{Broadcast, Lagged};
//! use net_services::http::websocket::{CloseCode, WebSocket};
//! use net_services::http::{Config, Error, Handler, Outcome, Request, Response, Server, Status};
//!
//! const PAGE: &str = "<!doctype html><title>Chat</title><input autofocus><pre></pre><script>
//!     const socket = new WebSocket('ws://' + location.host + '/chat'), [input] = document.getElementsByTagName('input');
//!     input.onchange = () => { socket.send(input.value); input.value = '' };
//!     socket.onmessage = event => document.getElementsByTagName('pre')[0].append(event.data + '\\n');
//!     </script>";
//!
//! struct Chat {
//!     room: Broadcast<1024>,
//! }
//!
//! impl Handler for Chat {
//!     async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
//!         match request.path() {
//!             "/" => response.html(PAGE).await,
//!             "/chat" => self.chat(request, response).await,
//!             _ => Err(Error::Status(Status::NOT_FOUND, "no such page")),
//!         }
//!     }
//! }
//!
//! impl Chat {
//!     async fn chat(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
//!         let (mut buffer, mut copy) = ([0; 256], [0; 256]);
//!         let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
//!         let mut room = self.room.subscribe();
//!         loop {
//!             match select(socket.receive(), room.next(&mut copy)).await {
//!                 Either::First(said) => match said? {
//!                     Some(message) => self.room.publish(message)?,
//!                     None => return socket.close(CloseCode::NORMAL, "").await,
//!                 },
//!                 Either::Second(Ok(message)) => socket.send(message).await?,
//!                 Either::Second(Err(Lagged(_))) => socket.send_text("(you missed something)").await?,
//!             }
//!         }
//!     }
//! }
//!
//! async fn serve(stack: impl TcpStack) -> Result<(), net_core::Error> {
//!     let chat = Chat { room: Broadcast::new() };
//!     Server::new(Config::new().with_port(8080), &chat).run(&stack, &mut [[0; 2048]; 4]).await
//! }
//! # // The same over a stack, with two clients, to show that it works.
//! # use net_core::{cable::{Cable, Quality}, cidr::Ipv4Inet, nal::{Read, Write}, stack::{self, HeapResources, PoolSizes}};
//! # use embassy_futures::{join::join, select::select3};
//! # let sizes = PoolSizes { tcp: 8, udp: 1, tcp_buffer: 2048, udp_buffer: 512 };
//! # let cable = Cable::new(Quality::PERFECT, 1);
//! # let host = |n| {
//! #     let config = stack::Config::new().with_ipv4(Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap(), None);
//! #     stack::new(cable.end(), config, Box::leak(Box::new(HeapResources::growing(sizes))), n.into()).unwrap()
//! # };
//! # let ((one, mut one_runs), (two, mut two_runs)) = (host(1), host(2));
//! # let client = async |says: &[u8], hears: &[u8]| {
//! #     let mut socket = loop {
//! #         if let Ok(socket) = two.connect("10.0.0.1:8080".parse().unwrap()).await {
//! #             break socket;
//! #         }
//! #     };
//! #     socket.write_all(b"GET /chat HTTP/1.1\r\nHost: it\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n").await.unwrap();
//! #     socket.write_all(b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").await.unwrap();
//! #     let mut all = Vec::new();
//! #     while !all.ends_with(b"\r\n\r\n") {
//! #         let mut byte = [0];
//! #         assert_eq!(socket.read(&mut byte).await, Ok(1));
//! #         all.push(byte[0]);
//! #     }
//! #     socket.write_all(says).await.unwrap();
//! #     let mut heard = vec![0; hears.len()];
//! #     socket.read_exact(&mut heard).await.unwrap();
//! #     assert_eq!(heard, hears);
//! # };
//! # let clients = async {
//! #     let quiet = client(b"", b"\x81\x02hi");
//! #     let loud = client(b"\x81\x82\0\0\0\0hi", b"\x81\x02hi");
//! #     join(quiet, async { net_core::time::Timer::after_secs(1).await; loud.await }).await;
//! # };
//! # let ended = virtual_time::block_on(select3(serve(one), clients, join(one_runs.run(), two_runs.run())));
//! # assert!(matches!(ended, embassy_futures::select::Either3::Second(_)));
//! ```
//!
//! # What the server looks after
//! - The handshake: a request that is none gets 426, one that is wrong 400, one from a page of another server 403.
//! - The rules of the protocol. A client that breaks one is sent a Close with the code for it, and the handler gets an error. Text
//!   is UTF-8, and refused with the first byte that shows it is not.
//! - Pings from the client, and from here to a client that has been silent for long.
//! - Both closing handshakes, and closing with 1001 when the server stops.
//!
//! All of that happens in [`WebSocket::receive`].
//!
//! # Limits
//! A message is as large as the buffer that the handler gives. There are no extensions, so no compression; a client
//! that offers some goes on without. Messages are sent in one frame each.
//!
//! [`Decoder`] is the part that reads frames, by itself, for programs with input and output of their own.

mod close;
mod config;
mod decoder;
mod frame;
mod handshake;
mod keep_alive;
mod message;
mod socket;
#[cfg(test)]
mod tests;

pub use close::CloseCode;
pub use config::{Config, Origins};
pub use decoder::{Decoded, Decoder, Event, Violation};
pub use message::Message;
pub use socket::WebSocket;
