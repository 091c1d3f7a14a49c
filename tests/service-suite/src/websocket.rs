//! WebSockets and broadcast (H-18).

use std::net::SocketAddr;

use embassy_futures::join::join;
use embassy_futures::select::{Either, select};
use net_core::nal::{Read, TcpStack, Write};
use net_services::http::broadcast::Broadcast;
use net_services::http::websocket::{CloseCode, WebSocket};
use net_services::http::{Handler, Outcome, Request, Response, Server};

use crate::http::{config, connect, read_to_end};

struct Chat {
    room: Broadcast<4096>,
}

impl Handler for Chat {
    async fn handle(&self, request: Request<'_>, response: Response<'_>) -> Outcome {
        let (mut buffer, mut copy) = ([0; 2000], [0; 2000]);
        let mut socket = WebSocket::accept(request, response, &mut buffer).await?;
        let mut room = self.room.subscribe();
        loop {
            match select(socket.receive(), room.next(&mut copy)).await {
                Either::First(said) => match said? {
                    Some(message) => self.room.publish(message)?,
                    None => return socket.close(CloseCode::NORMAL, "").await,
                },
                Either::Second(Ok(message)) => socket.send(message).await?,
                Either::Second(Err(lagged)) => panic!("{lagged}"),
            }
        }
    }
}

/// A client's frame, masked with zeros. `first`: the FIN bit and the opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let length = if length < 126 { vec![0x80 | length as u8] } else { [&[0xfe], &length.to_be_bytes()[..]].concat() };
    [&[first], &length[..], &[0; 4], payload].concat()
}

async fn open<B: TcpStack>(client: &B, at: SocketAddr) -> B::Socket {
    let mut socket = connect(client, at).await;
    let request = b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    socket.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend_from_slice(&hear(&mut socket, 1).await);
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    socket
}

async fn hear(socket: &mut impl Read<Error = net_core::Error>, n: usize) -> Vec<u8> {
    let mut data = vec![0; n];
    socket.read_exact(&mut data).await.unwrap();
    data
}

/// Two clients talk to each other through the device; one leaves, and the server stops under the other.
pub async fn a_chat<A: TcpStack, B: TcpStack>(server: &A, client: &B, at: SocketAddr) {
    let chat = Chat { room: Broadcast::new() };
    let http = Server::new(config(at.port(), at.ip()), &chat);
    let mut buffers = [[0; 1024]; 2];
    let test = async {
        let (mut one, mut two) = (open(client, at).await, open(client, at).await);
        // A text in two fragments with a Ping between them.
        let text = [frame(0x01, b"Hel"), frame(0x89, b"?"), frame(0x80, b"lo")].concat();
        one.write_all(&text).await.unwrap();
        assert_eq!(hear(&mut one, 10).await, b"\x8a\x01?\x81\x05Hello");
        assert_eq!(hear(&mut two, 7).await, b"\x81\x05Hello");
        // Larger than the buffers of the connections.
        let large: Vec<u8> = (0..1500).map(|i| (i % 251) as u8).collect();
        for _ in 0..20 {
            two.write_all(&frame(0x82, &large)).await.unwrap();
            for socket in [&mut one, &mut two] {
                assert_eq!(hear(socket, 4).await, b"\x82\x7e\x05\xdc");
                assert!(hear(socket, large.len()).await == large);
            }
        }
        one.write_all(&frame(0x88, b"\x03\xe8")).await.unwrap();
        assert_eq!(read_to_end(&mut one).await, b"\x88\x02\x03\xe8");
        http.stop();
        assert_eq!(hear(&mut two, 4).await, b"\x88\x12\x03\xe9");
        two.write_all(&frame(0x88, b"\x03\xe9")).await.unwrap();
        assert_eq!(read_to_end(&mut two).await, b"the server stops");
    };
    let (result, ()) = join(http.run(server, &mut buffers), test).await;
    assert_eq!(result, Ok(()));
    assert_eq!((http.stats().connections, http.stats().failed, http.stats().timed_out), (2, 0, 0));
}
