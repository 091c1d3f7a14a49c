//! The stack itself, beneath the scripts, against the kernel's TCP on a TAP.

use std::io::Read;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::channel;
use std::thread;

use lunet_tests::{Namespace, accept, expect_data, send_data};
use net_core::nal::{Read as _, TcpListener as _, TcpSocket as _, TcpWrite as _, Write as _};

const SIZE: usize = 1 << 20;

/// Everything up to the end of the stream.
async fn read_to_end(socket: &mut impl net_core::nal::TcpSocket) -> Vec<u8> {
    let (mut data, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match socket.read(&mut piece).await.expect("data or the end of the stream") {
            0 => return data,
            n => data.extend_from_slice(&piece[..n]),
        }
    }
}

fn read_rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut data = Vec::new();
    stream.read_to_end(&mut data).expect("data or the end of the stream");
    data
}

/// The kernel ends its direction first; the other one goes on.
#[test]
fn the_kernel_half_closes() {
    let Some(namespace) = Namespace::new() else { return };
    let (ready, is_ready) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            namespace.on_stack(async move |stack| {
                let mut listener = stack.listen("[::]:80".parse().unwrap(), 2).unwrap();
                ready.send(()).unwrap();
                for _ in 0..2 {
                    let mut socket = listener.accept().await.unwrap();
                    let data = read_to_end(&mut socket).await;
                    assert_eq!(data.len(), SIZE);
                    // The peer's direction is closed; ours is not.
                    socket.write_all(&data).await.unwrap();
                    socket.finish().await.unwrap();
                    socket.flush().await.unwrap();
                }
            });
        });
        is_ready.recv().unwrap();
        for address in ["10.0.0.2:80", "[fd00:10::2]:80"] {
            let stream = namespace.connect(address);
            send_data(&stream, 7, SIZE);
            stream.shutdown(Shutdown::Write).unwrap();
            expect_data(&stream, 7, SIZE);
            assert!(read_rest(&stream).is_empty());
        }
    });
}

/// The stack ends its direction first; the other one goes on.
#[test]
fn the_stack_half_closes() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.address("192.0.2.1/32");
    namespace.address("2001:db8::1/128");
    let servers = ["192.0.2.1:80", "[2001:db8::1]:80"];
    let listeners = servers.map(|address| namespace.listen(address));
    thread::scope(|scope| {
        scope.spawn(|| {
            for listener in &listeners {
                let stream = accept(listener);
                expect_data(&stream, 9, SIZE);
                assert!(read_rest(&stream).is_empty(), "the end of the stack's direction");
                send_data(&stream, 11, SIZE);
            }
        });
        namespace.on_stack(async |stack| {
            for server in servers {
                let mut socket = stack.connect(server.parse().unwrap()).await.unwrap();
                socket.write_all(&lunet_tests::data(9, SIZE)).await.unwrap();
                socket.finish().await.unwrap();
                assert!(socket.write(b"x").await.is_err(), "its own direction is closed");
                assert!(read_to_end(&mut socket).await == lunet_tests::data(11, SIZE));
            }
        });
    });
}

/// Both ends send 10 MiB at the same time on one connection.
#[test]
fn both_ways_at_once() {
    const SIZE: usize = 10 << 20;
    let Some(namespace) = Namespace::new() else { return };
    let (ready, is_ready) = channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            namespace.on_stack(async move |stack| {
                let mut listener = stack.listen("[::]:80".parse().unwrap(), 1).unwrap();
                ready.send(()).unwrap();
                let mut socket = listener.accept().await.unwrap();
                let (mut reader, mut writer) = socket.split();
                let send = async {
                    writer.write_all(&lunet_tests::data(1, SIZE)).await.unwrap();
                    writer.finish().await.unwrap();
                };
                let receive = async {
                    let (mut data, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
                    while let n @ 1.. = reader.read(&mut piece).await.unwrap() {
                        data.extend_from_slice(&piece[..n]);
                    }
                    data
                };
                let ((), data) = tokio::join!(send, receive);
                assert!(data == lunet_tests::data(2, SIZE));
                socket.flush().await.unwrap();
            });
        });
        is_ready.recv().unwrap();
        let stream = namespace.connect("[fd00:10::2]:80");
        let sender = stream.try_clone().unwrap();
        scope.spawn(move || {
            send_data(&sender, 2, SIZE);
            sender.shutdown(Shutdown::Write).unwrap();
        });
        expect_data(&stream, 1, SIZE);
        assert!(read_rest(&stream).is_empty());
    });
}
