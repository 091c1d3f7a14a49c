//! The page server: that it answers, and what an answer takes.

use core::cell::RefCell;
use core::pin::pin;

use board::{deepest_stack, println, run};
use net_core::nal::{Read, Write};
use net_core::stack::{Stack, TcpSocket};
use static_cell::ConstStaticCell;

use crate::hosts::{Memory, at, count, hosts};

static SERVER: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static CLIENT: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static BUFFERS: ConstStaticCell<page_server::Buffers> = ConstStaticCell::new(page_server::NO_BUFFERS);

pub(crate) fn all() {
    let ((server, mut server_runs), (client, mut client_runs)) = hosts(SERVER.take(), CLIENT.take());
    run(&mut [
        pin!(async { match server_runs.run().await {} }),
        pin!(async { match client_runs.run().await {} }),
        pin!(page_server::serve(server, BUFFERS.take())),
        pin!(use_it(client)),
    ]);
    println(format_args!("{:>9}  bytes of call stack at the most", deepest_stack()));
}

async fn use_it(stack: Stack<'static>) {
    // All of these together are less than the requests that the server answers on one connection.
    let socket = stack.connect(at(1, 80)).await.expect("a connection");
    let socket = RefCell::new(socket);
    count("a page, on an open connection", 200, || async {
        ask(&mut socket.borrow_mut(), b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", page_server::HOME).await;
    })
    .await;
    count("the same asked as a browser asks, with 420 bytes of fields", 200, || async {
        ask(&mut socket.borrow_mut(), BROWSER, page_server::HOME).await;
    })
    .await;
    count("a page made by formatting", 200, || async {
        ask(&mut socket.borrow_mut(), b"GET /hello/you HTTP/1.1\r\nHost: 10.0.0.1\r\n\r\n", "Hello, you!").await;
    })
    .await;
    count("a form sent, 12 bytes", 200, || async {
        let form = b"POST /name HTTP/1.1\r\nHost: 10.0.0.1\r\nContent-Length: 12\r\n\r\nkitchen lamp";
        ask(&mut socket.borrow_mut(), form, "kitchen lamp").await;
    })
    .await;
    drop(socket);
    count("a page on a new connection, and its end", 100, || async {
        let mut socket = stack.connect(at(1, 80)).await.expect("a connection");
        let request = b"GET / HTTP/1.1\r\nHost: 10.0.0.1\r\nConnection: close\r\n\r\n";
        ask(&mut socket, request, page_server::HOME).await;
        assert!(socket.read(&mut [0]).await == Ok(0), "the server ends the connection");
    })
    .await;
    let mut socket = stack.connect(at(1, 80)).await.expect("a connection");
    socket.write_all(b"GET / HTTP/1.1\r\nHost : 10.0.0.1\r\n\r\n").await.expect("an open connection");
    let mut line = [0; 12];
    socket.read_exact(&mut line).await.expect("an answer");
    assert!(&line == b"HTTP/1.1 400", "H-5: a space before the colon");
}

const BROWSER: &[u8] = b"GET / HTTP/1.1\r\n\
    Host: 10.0.0.1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    DNT: 1\r\n\
    Connection: keep-alive\r\n\
    Cookie: theme=dark; session=0123456789abcdef0123456789abcdef\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Priority: u=0, i\r\n\r\n";

/// Sends a request and reads the whole response, which is to be 200 with that body.
async fn ask(socket: &mut TcpSocket<'static>, request: &[u8], body: &str) {
    socket.write_all(request).await.expect("an open connection");
    let (mut buffer, mut length) = ([0; 1024], 0);
    while !buffer[..length].ends_with(body.as_bytes()) {
        let n = socket.read(&mut buffer[length..]).await.expect("an open connection");
        assert!(n > 0, "half an answer");
        length += n;
    }
    assert!(buffer.starts_with(b"HTTP/1.1 200 OK\r\n"));
}
