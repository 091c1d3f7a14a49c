//! Goodput of one TCP connection through a lossy router: our stack on a TAP, and beside it the kernel's TCP.
//!
//! Both talk to the same kernel through the same router, which loses packets at random in both directions. Our stack
//! has buffers of 64 KiB, the kernel those that it gives itself.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use lunet_tests::{Namespace, accept, have};
use net_core::nal::{Read as _, TcpListener as _, TcpSocket as _, Write as _};
use net_core::stack::Stack;

/// How long each figure is measured for.
const TIME: Duration = Duration::from_secs(5);
const LOSSES_PER_MILLE: [u32; 3] = [0, 2, 20];

fn main() {
    // `cargo test` runs benchmarks too, and then wants no figures.
    if !std::env::args().any(|argument| argument == "--bench") || !have(&["ip", "nft"]) {
        return;
    }
    println!("goodput of one TCP connection, Mbit/s");
    println!("{:>8} {:>14} {:>14} {:>14}", "loss", "lunet sends", "lunet receives", "kernel");
    for loss in LOSSES_PER_MILLE {
        let Some([client, router, server]) = Namespace::routed() else { return };
        router.lose(loss);
        println!(
            "{:>6} % {:>14.2} {:>14.2} {:>14.2}",
            f64::from(loss) / 10.0,
            lunet_sends(&client, &router),
            lunet_receives(&client, &router),
            kernel(&client, &server)
        );
    }
}

fn mbit_per_s(bytes: usize, time: Duration) -> f64 {
    bytes as f64 * 8.0 / time.as_secs_f64() / 1e6
}

/// What arrives within the time.
fn receive(mut stream: TcpStream) -> f64 {
    let (began, mut bytes, mut piece) = (Instant::now(), 0, vec![0; 256 * 1024]);
    while let Some(left) = TIME.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) {
        stream.set_read_timeout(Some(left)).expect("a socket option");
        match stream.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => bytes += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    mbit_per_s(bytes, began.elapsed())
}

/// Sends until the peer has had enough.
fn send(mut stream: TcpStream) {
    let piece = vec![b'x'; 256 * 1024];
    while stream.write_all(&piece).is_ok() {}
}

fn lunet_sends(client: &Namespace, router: &Namespace) -> f64 {
    let (ready, is_ready) = channel();
    thread::scope(|scope| {
        scope.spawn(|| router.on_stack(async move |stack| serve_data(stack, ready).await));
        is_ready.recv().expect("the stack listens");
        receive(client.connect("10.0.0.2:80"))
    })
}

async fn serve_data(stack: Stack<'_>, ready: Sender<()>) {
    let mut listener = stack.listen("0.0.0.0:80".parse().expect("an address"), 1).expect("a free port");
    ready.send(()).expect("the test waits");
    let mut socket = listener.accept().await.expect("a connection");
    let piece = vec![b'x'; 64 * 1024];
    while socket.write(&piece).await.is_ok() {}
}

fn lunet_receives(client: &Namespace, router: &Namespace) -> f64 {
    let (ready, is_ready) = channel();
    thread::scope(|scope| {
        let stack = scope.spawn(|| router.on_stack(async move |stack| take_data(stack, ready).await));
        is_ready.recv().expect("the stack listens");
        let stream = client.connect("10.0.0.2:80");
        let sender = stream.try_clone().expect("a descriptor");
        scope.spawn(move || send(sender));
        let figure = stack.join().expect("a figure");
        // The stack's RST may have been lost like any other packet.
        let _ = stream.shutdown(Shutdown::Both);
        figure
    })
}

async fn take_data(stack: Stack<'_>, ready: Sender<()>) -> f64 {
    let mut listener = stack.listen("0.0.0.0:80".parse().expect("an address"), 1).expect("a free port");
    ready.send(()).expect("the test waits");
    let mut socket = listener.accept().await.expect("a connection");
    let (began, mut bytes, mut piece) = (Instant::now(), 0, vec![0; 64 * 1024]);
    let _ = tokio::time::timeout(TIME, async {
        while let Ok(n @ 1..) = socket.read(&mut piece).await {
            bytes += n;
        }
    })
    .await;
    // The sender learns at once that nothing more is wanted.
    socket.abort();
    mbit_per_s(bytes, began.elapsed())
}

fn kernel(client: &Namespace, server: &Namespace) -> f64 {
    let listener = server.listen("10.2.0.2:80");
    thread::scope(|scope| {
        scope.spawn(|| send(accept(&listener)));
        receive(client.connect("10.2.0.2:80"))
    })
}
