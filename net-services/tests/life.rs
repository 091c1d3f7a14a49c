//! An HTTP server from its start to its end, and after that (H-14, H-22). In virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)]

#[path = "../../net-core/tests/common/mod.rs"]
mod common;

use std::cell::{Cell, RefCell};

use common::*;
use embassy_futures::join::{join, join3};
use net_core::cable::Quality;
use net_core::nal::{Read, TcpSocket};
use net_core::stack::Stack;
use net_core::time::{Clock, Duration, Instant, SoftClock, Timer, UnixTime};
use net_core::{Error, nal};
use net_services::http::{Access, Config, Outcome, Request, Response, Server};
use virtual_time::own_task;

/// Answers at once, after so many seconds, or for ever.
async fn handler(request: Request<'_>, response: Response<'_>) -> Outcome {
    match request.path() {
        "/slow" => Timer::after(Duration::from_secs(3)).await,
        "/endless" => {
            let mut body = response.stream("text/plain")?;
            loop {
                body.write_all(b"more ").await?;
                body.flush().await?;
                Timer::after(Duration::from_millis(700)).await;
            }
        }
        _ => {}
    }
    response.text("answer").await
}

fn two(test: impl AsyncFnOnce(Stack<'static>, Stack<'static>)) {
    let (_cable, one, two) = pair(Quality::PERFECT, 1);
    let (server, client) = (one.stack, two.stack);
    run([one, two], test(server, client));
}

async fn connect(stack: Stack<'static>) -> impl TcpSocket {
    loop {
        match stack.connect(v4(1, 80)).await {
            Ok(socket) => return socket,
            Err(_) => Timer::after(Duration::from_millis(1)).await,
        }
    }
}

async fn send(socket: &mut impl TcpSocket, path: &str) {
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
}

/// The head of an answer; `None` if there is none.
async fn answer(socket: &mut impl TcpSocket) -> Option<String> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 500]);
    while let Ok(n @ 1..) = socket.read(&mut buffer).await {
        answer.extend_from_slice(&buffer[..n]);
        if let Some(head) = answer.strip_suffix(b"\r\n\r\nanswer") {
            return Some(String::from_utf8(head.to_vec()).unwrap());
        }
    }
    None
}

async fn ask(socket: &mut impl TcpSocket, path: &str) -> Option<String> {
    send(socket, path).await;
    answer(socket).await
}

fn closes(head: &Option<String>) -> bool {
    head.as_ref().unwrap().contains("\r\nConnection: close")
}

#[test]
fn a_server_on_the_heap_is_stopped_and_runs_again() {
    two(async |stack, client| {
        let (clock, log) = (SoftClock::new(), RefCell::new(Vec::new()));
        clock.set(UnixTime::from_secs(784_111_777));
        let note = |access: &Access<'_>| log.borrow_mut().push(access.status.unwrap().code());
        let server = Server::new(Config::new(), &handler).with_clock(&clock).with_access_log(&note);
        for run in 1..=3 {
            let clients = async {
                let (mut first, mut second) = (connect(client).await, connect(client).await);
                let head = ask(&mut first, "/").await.unwrap();
                assert!(head.contains("\r\nDate: Sun, 06 Nov 1994 08:49:3") && !head.contains("Connection"), "{head}");
                assert!(!closes(&ask(&mut second, "/").await) && !closes(&ask(&mut first, "/").await));
                let began = Instant::now();
                server.stop();
                let mut nothing = [0; 1];
                assert_eq!((first.read(&mut nothing).await, second.read(&mut nothing).await), (Ok(0), Ok(0)));
                assert!(began.elapsed() < Duration::from_millis(10), "idle connections go at once");
            };
            let (ended, ()) = join(own_task(server.run_on_heap(&stack, 2, 1024)), clients).await;
            assert_eq!(ended, Ok(()));
            let stats = server.stats();
            assert_eq!((stats.connections, stats.requests, stats.timed_out, stats.failed), (2 * run, 3 * run, 0, 0));
            assert_eq!(stats.received, u64::from(3 * run) * "GET / HTTP/1.1\r\nHost: x\r\n\r\n".len() as u64);
            assert!(stats.sent > stats.received);
            server.reset();
        }
        assert_eq!(log.into_inner(), [200; 9]);
    });
}

/// H-22: the port is free while the last requests are still answered; those have their time, and no more.
#[test]
fn stopping_leaves_running_requests_their_time() {
    for (path, seconds, is_answered) in [("/slow", 3, true), ("/endless", 5, false)] {
        two(async |stack, client| {
            let server = Server::new(Config::new(), &handler);
            let mut buffers = [[0; 1024]; 2];
            let stopped = Cell::new(None);
            let busy = async {
                let mut socket = connect(client).await;
                send(&mut socket, path).await;
                while server.stats().requests == 0 {
                    Timer::after(Duration::from_millis(1)).await;
                }
                server.stop();
                stopped.set(Some(Instant::now()));
                let head = answer(&mut socket).await;
                assert_eq!(head.is_some(), is_answered);
                if is_answered {
                    assert!(closes(&head));
                } else {
                    // What was cut off does not look whole.
                    assert_eq!(socket.read(&mut [0; 1]).await, Err(Error::Reset));
                }
            };
            let another = async {
                while stopped.get().is_none() {
                    Timer::after(Duration::from_millis(1)).await;
                }
                Timer::after(Duration::from_millis(1)).await;
                let mut listener = stack.listen(any(80), 1).unwrap();
                let accepted = nal::TcpListener::accept(&mut listener);
                let (_, accepted) = join(client.connect(v4(1, 80)), accepted).await;
                assert!(accepted.is_ok() && server.stats().connections == 1);
            };
            let ended = async {
                assert_eq!(own_task(server.run(&stack, &mut buffers)).await, Ok(()));
                stopped.get().unwrap().elapsed().as_secs()
            };
            let (took, (), ()) = join3(ended, busy, another).await;
            assert_eq!(took, if is_answered { seconds - 1 } else { seconds }, "{path}");
        });
    }
}

/// While others wait for a place, an answer says that its connection ends; when nobody does, it does not.
#[test]
fn h14_connections_are_kept_while_nobody_waits() {
    two(async |stack, client| {
        let server = Server::new(Config::new(), &handler);
        let mut buffers = [[0; 1024]; 1];
        let clients = async {
            let mut first = connect(client).await;
            send(&mut first, "/slow").await;
            let second = async {
                Timer::after(Duration::from_secs(1)).await;
                let mut socket = connect(client).await;
                let first_answer = ask(&mut socket, "/").await;
                (closes(&first_answer), closes(&ask(&mut socket, "/").await))
            };
            let (head, second) = join(answer(&mut first), second).await;
            assert_eq!((closes(&head), second), (true, (false, false)));
            server.stop();
        };
        let (ended, ()) = join(own_task(server.run(&stack, &mut buffers)), clients).await;
        assert_eq!((ended, server.stats().evicted), (Ok(()), 0));
    });
}
