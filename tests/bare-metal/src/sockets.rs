//! The sockets of net-core.

use core::pin::pin;

use board::{deepest_stack, println, run};
use embassy_futures::join::join;
use net_core::dns::{Family, Resolver};
use net_core::nal::{Read, TcpListener as _, TcpWrite as _, UnconnectedUdp, Write};
use net_core::stack::{PingOptions, Stack};
use static_cell::ConstStaticCell;

use crate::hosts::{Memory, any, at, count, hosts};

static SERVER: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static CLIENT: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

pub(crate) fn all() {
    let ((server, mut server_runs), (client, mut client_runs)) = hosts(SERVER.take(), CLIENT.take());
    run(&mut [
        pin!(async { match server_runs.run().await {} }),
        pin!(async { match client_runs.run().await {} }),
        pin!(serve(server)),
        pin!(use_it(client)),
    ]);
    println(format_args!("{:>9}  bytes of call stack at the most", deepest_stack()));
}

/// Echoes on port 7, over TCP (one connection after the other) and UDP.
async fn serve(stack: Stack<'static>) {
    let tcp = async {
        let mut listener = stack.listen(any(7), 2).expect("a free port");
        loop {
            let mut socket = listener.accept().await.expect("a connection");
            let mut buffer = [0; 1024];
            while let Ok(n @ 1..) = socket.read(&mut buffer).await {
                socket.write_all(&buffer[..n]).await.expect("an open connection");
            }
        }
    };
    let udp = async {
        let mut socket = stack.bind(any(7)).expect("a free port");
        let mut buffer = [0; 600];
        loop {
            let (n, to, from) = socket.receive_into(&mut buffer).await.expect("a datagram");
            socket.send(to, from, &buffer[..n]).await.expect("a reachable sender");
        }
    };
    join(tcp, udp).await;
}

async fn use_it(stack: Stack<'static>) {
    println("instructions, both ends together, and of these the serving task:");
    {
        let socket = stack.connect(at(1, 7)).await.expect("a connection");
        let socket = core::cell::RefCell::new(socket);
        count("64 bytes there and back on an open TCP connection", 1000, || async {
            let mut socket = socket.borrow_mut();
            socket.write_all(&[7; 64]).await.expect("an open connection");
            let mut buffer = [0; 64];
            socket.read_exact(&mut buffer).await.expect("the echo");
            assert!(buffer == [7; 64]);
        })
        .await;
        count("1024 bytes there and back", 1000, || async {
            let mut socket = socket.borrow_mut();
            socket.write_all(&[9; 1024]).await.expect("an open connection");
            let mut buffer = [0; 1024];
            socket.read_exact(&mut buffer).await.expect("the echo");
            assert!(buffer == [9; 1024]);
        })
        .await;
    }
    count("a new TCP connection, 64 bytes there and back, and its end", 100, || async {
        let mut socket = stack.connect(at(1, 7)).await.expect("a connection");
        socket.write_all(&[7; 64]).await.expect("an open connection");
        let mut buffer = [0; 64];
        socket.read_exact(&mut buffer).await.expect("the echo");
        socket.finish().await.expect("an open connection");
        assert!(socket.read(&mut buffer).await == Ok(0));
    })
    .await;
    count("a UDP datagram of 64 bytes there and back", 1000, || async {
        let mut socket = stack.bind(any(0)).expect("a free socket");
        socket.send(any(0), at(1, 7), &[3; 64]).await.expect("a route");
        let mut buffer = [0; 100];
        assert!(socket.receive_into(&mut buffer).await.is_ok_and(|(n, ..)| n == 64));
    })
    .await;
    count("a ping", 1000, || async {
        stack.ping(at(1, 0).ip(), PingOptions::default()).await.expect("a reply");
    })
    .await;
    let resolver: Resolver<_> = Resolver::new(stack, 1);
    let literal = resolver.lookup("10.0.0.1", Family::V4).await.expect("an address");
    assert!(literal[..] == [at(1, 0).ip()]);
}
