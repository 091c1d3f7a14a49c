//! A small device's page server, with 4 connections of 2 KiB, and beside it an echo server of the same size: the
//! difference of the two programs is what the HTTP server takes of a chip's memory.
//!
//! There is no allocator in these programs: that they link shows that neither stack nor server needs one.
#![cfg_attr(target_os = "none", no_std)]
// A test: what goes wrong ends it.
#![allow(clippy::expect_used, clippy::large_futures)]

use core::cell::Cell;
use core::net::SocketAddr;

use embassy_futures::join::join_array;
use net_core::nal::{Read, TcpListener as _, Write};
use net_core::stack::Stack;
use net_services::http::{Config, Handler, Outcome, Request, Response, Route, Routes, Server};

pub use idle_card::Card;

/// Connections served at once.
pub const CONNECTIONS: usize = 4;
/// Bytes of each connection's buffer.
pub const BUFFER: usize = 2048;
/// What the connections have beside the stack's sockets.
pub type Buffers = [[u8; BUFFER]; CONNECTIONS];
/// At first they hold nothing.
pub const NO_BUFFERS: Buffers = [[0; BUFFER]; CONNECTIONS];

/// The page at `/`.
pub const HOME: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Lamp</title>\
    <h1>Lamp</h1><p>The lamp is <b>off</b>.<form method=post action=/name><input name=name><button>Call it so</button></form></html>\n";

#[derive(Clone, Copy)]
enum Page {
    Home,
    Greeting,
    Name,
}

static PAGES: Routes<Page> = Routes::new(&[
    Route::get("/", Page::Home),
    Route::get("/hello/{name}", Page::Greeting),
    Route::post("/name", Page::Name),
]);

struct Site {
    visits: Cell<u32>,
}

impl Handler for Site {
    async fn handle(&self, mut request: Request<'_>, response: Response<'_>) -> Outcome {
        match PAGES.find(&mut request)? {
            Page::Home => {
                self.visits.set(self.visits.get().wrapping_add(1));
                response.header("X-Visit", self.visits.get()).html(HOME).await
            }
            Page::Greeting => {
                let name = request.param("name").unwrap_or("stranger");
                response.print("text/plain; charset=utf-8", format_args!("Hello, {name}!")).await
            }
            Page::Name => {
                let mut buffer = [0; 32];
                let name = request.body.read_all(&mut buffer).await?;
                response.send("text/plain", name).await
            }
        }
    }
}

/// Serves pages on port 80, for ever.
///
/// # Panics
/// When the stack cannot have it.
pub async fn serve(stack: Stack<'static>, buffers: &mut Buffers) {
    let site = Site { visits: Cell::new(0) };
    Server::new(Config::new(), &site).run(&stack, buffers).await.expect("a free port");
}

/// Echoes on as many ports as there are connections, for ever.
///
/// # Panics
/// When the stack cannot have them.
pub async fn echo(stack: Stack<'static>, buffers: &mut Buffers) {
    let mut port = 0;
    let one_each = buffers.each_mut().map(|buffer| {
        port += 1;
        echo_on(stack, SocketAddr::from(([0, 0, 0, 0], port)), buffer)
    });
    join_array(one_each).await;
}

async fn echo_on(stack: Stack<'static>, address: SocketAddr, buffer: &mut [u8]) {
    let mut listener = stack.listen(address, 1).expect("a free port");
    while let Ok(mut socket) = listener.accept().await {
        while let Ok(n @ 1..) = socket.read(buffer).await {
            if socket.write_all(&buffer[..n]).await.is_err() {
                break;
            }
        }
    }
}
