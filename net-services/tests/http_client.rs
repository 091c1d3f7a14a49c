//! The HTTP client (H-24) on the stack: names by the resolver, and with one socket only.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)]

#[path = "../../net-core/tests/common/mod.rs"]
mod common;

use std::cell::Cell;

use common::*;
use embassy_futures::select::{Either, select, select4};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::dns::{DnsError, Resolver};
use net_core::nal::{Read, TcpListener as _, UnconnectedUdp, Write};
use net_core::stack::Stack;
use net_core::time::{Duration, Instant};
use net_services::http::client::{Client, ClientConfig, ClientError, Timeout};

/// Knows the names that begin with `a`: their IPv4 address is nobody's, their IPv6 address is the server's.
async fn name_server(stack: Stack<'static>, questions: &Cell<u32>) {
    let mut socket = stack.bind(any(53)).unwrap();
    let mut buffer = [0; 512];
    loop {
        let (_, to, from) = socket.receive_into(&mut buffer).await.unwrap();
        questions.set(questions.get() + 1);
        let end = 12 + buffer[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
        let mut reply = buffer[..end].to_vec();
        let is_known = reply[13].eq_ignore_ascii_case(&b'a');
        let record = match reply[end - 3] {
            _ if !is_known => Vec::new(),
            1 => [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4][..], &[10, 0, 0, 77]].concat(),
            28 => [&[0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0xfd][..], &[0; 14], &[1]].concat(),
            other => panic!("question of type {other}"),
        };
        reply[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_known), 0, 0, 0, 0]);
        reply[3] |= if is_known { 0 } else { 3 };
        reply.extend(record);
        socket.send(to, from, &reply).await.unwrap();
    }
}

/// Answers each request on each connection with its target, one connection at a time. `/away` leads to port 81.
async fn web_server(stack: Stack<'static>, port: u16, connections: &Cell<u32>) {
    let mut listener = stack.listen(any6(port), 2).unwrap();
    loop {
        let mut socket = listener.accept().await.unwrap();
        connections.set(connections.get() + 1);
        let mut request = Vec::new();
        let mut byte = [0];
        while let Ok(1) = socket.read(&mut byte).await {
            request.push(byte[0]);
            if !request.ends_with(b"\r\n\r\n") {
                continue;
            }
            let head = String::from_utf8(std::mem::take(&mut request)).unwrap();
            let target = head.split(' ').nth(1).unwrap();
            let response = match target {
                "/silence" => continue,
                "/away" => "HTTP/1.1 302 \r\nLocation: //10.0.0.1:81/there\r\nContent-Length: 0\r\n\r\n".to_string(),
                _ => format!("HTTP/1.1 200 \r\nContent-Length: {}\r\n\r\n{target}", target.len()),
            };
            socket.write_all(response.as_bytes()).await.unwrap();
        }
    }
}

/// Runs `client` while 10.0.0.1 serves names and pages; gives how many connections port 80 saw.
fn serve<T>(one: Host, two: Host, client: impl Future<Output = T>) -> (T, u32) {
    let server = one.stack;
    let (questions, connections, elsewhere) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let servers = async {
        select4(
            name_server(server, &questions),
            web_server(server, 80, &connections),
            web_server(server, 81, &elsewhere),
            web_server(server, 82, &elsewhere),
        )
        .await
    };
    let output = run([one, two], async {
        match select(servers, client).await {
            Either::First(_) => panic!("the servers ended"),
            Either::Second(output) => output,
        }
    });
    (output, connections.get())
}

#[test]
fn h24_by_name_over_the_version_that_answers() {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (net, config) = (two.stack, ClientConfig::new());
    let ((), connections) = serve(one, two, async {
        let resolver: Resolver<_> = Resolver::new(net, 7);
        resolver.set_servers(&[v4(1, 0).ip()]);
        let mut buffer = [0; 1024];
        let mut client = Client::new(&net, &resolver, &config, &mut buffer);
        let began = Instant::now();
        for path in ["/x", "/y", "/z"] {
            let (status, content) = client.get_to_vec(&format!("http://a.example{path}")).await.unwrap();
            assert_eq!((status.code(), content.as_slice()), (200, path.as_bytes()));
        }
        // Nobody is at the IPv4 address: it had its time, once.
        assert!((9..12).contains(&began.elapsed().as_secs()), "{} ms", began.elapsed().as_millis());
        assert_eq!((client.stats().connections, client.stats().reused), (1, 2));
        assert_eq!(client.get_to_vec("http://nobody.example/").await.unwrap_err(), ClientError::Dns);
        assert_eq!(client.dns_error(), Some(&DnsError::NotFound));
    });
    assert_eq!(connections, 1);
}

#[test]
fn h24_one_socket_is_enough() {
    let cable = Cable::new(Quality { delay: Duration::from_millis(5), ..Quality::PERFECT }, 1);
    let (one, two) = (host(&cable, 1), small_host::<1, 1>(&cable, static_config(2)));
    let net = two.stack;
    let mut config = ClientConfig::new();
    config.idle = Duration::from_secs(2);
    let ((), connections) = serve(one, two, async {
        let resolver: Resolver<_> = Resolver::new(net, 7);
        let mut buffer = [0; 1024];
        let mut client = Client::new(&net, &resolver, &config, &mut buffer);
        for _ in 0..5 {
            // Given up, dropped half-way, kept, and left for another origin: the socket is free for the next.
            let silent = client.get_to_vec("http://10.0.0.1/silence").await;
            assert_eq!(silent.unwrap_err(), ClientError::TimedOut(Timeout::Idle));
            drop(client.get("http://10.0.0.1/half").await.unwrap());
            assert_eq!(client.get_to_vec("http://10.0.0.1/x").await.unwrap().1, b"/x");
            assert_eq!(client.get_to_vec("http://10.0.0.1/away").await.unwrap().1, b"/there");
            assert_eq!(client.get_to_vec("http://10.0.0.1:82/y").await.unwrap().1, b"/y");
        }
        assert_eq!(client.get_to_vec("http://10.0.0.77/").await.unwrap_err(), ClientError::TimedOut(Timeout::Connect));
        assert_eq!(client.get_to_vec("http://10.0.0.1:83/").await.unwrap_err(), ClientError::Connect(Error::Refused));
        client.close();
    });
    assert_eq!(connections, 15, "the redirect shares its connection with what came before");
}
