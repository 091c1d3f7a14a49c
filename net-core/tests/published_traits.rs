//! Crates of others that are written against embedded-nal-async work on the stack as they are.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)] // helpers of tests are tests

mod common;

use common::*;
use embassy_futures::select::{Either, select};
use net_core::cable::Quality;
use net_core::dns::Resolver;
use net_core::nal::{Read, TcpListener as _, UnconnectedUdp, Write};
use net_core::stack::Stack;
use reqwless::client::HttpClient;
use reqwless::request::Method;

/// Answers every question for an IPv4 address with 10.0.0.1.
async fn name_server(stack: Stack<'static>) {
    let mut socket = stack.bind(any(53)).unwrap();
    let mut buffer = [0; 512];
    loop {
        let (_, to, from) = socket.receive_into(&mut buffer).await.unwrap();
        let question_end = 12 + buffer[12..].iter().position(|b| *b == 0).unwrap() + 5;
        let mut reply = buffer[..question_end].to_vec();
        reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        socket.send(to, from, &reply).await.unwrap();
    }
}

async fn web_server(stack: Stack<'static>) {
    let mut listener = stack.listen(any(80), 2).unwrap();
    loop {
        let mut socket = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).await.unwrap();
            request.push(byte[0]);
        }
        let request = String::from_utf8(request).unwrap();
        assert!(request.starts_with("GET /lamp HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("Host: device.example\r\n"), "{request}");
        socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\non\n").await.unwrap();
    }
}

#[test]
fn reqwless_fetches_a_page_by_name() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], async {
        let resolver: Resolver<_> = Resolver::new(client, 7);
        resolver.set_servers(&[v4(1, 0).ip()]);
        let fetch = async {
            let mut http = HttpClient::new(&client, &resolver);
            let mut request = http.request(Method::GET, "http://device.example/lamp").await.unwrap();
            let mut buffer = [0; 1024];
            let response = request.send(&mut buffer).await.unwrap();
            assert_eq!(response.status.0, 200);
            assert_eq!(response.body().read_to_end().await.unwrap(), b"on\n");
        };
        let servers = select(name_server(server), web_server(server));
        match select(servers, fetch).await {
            Either::First(_) => panic!("the servers ended"),
            Either::Second(()) => {}
        }
    });
}
