//! More clients than places: who has to go, and when (H-16). In virtual time.
#![allow(clippy::unwrap_used, clippy::panic, clippy::large_futures)]

#[path = "../../net-core/tests/common/mod.rs"]
mod common;

use common::*;
use embassy_futures::join::{join, join3};
use embassy_futures::select::{Either, select};
use net_core::cable::Quality;
use net_core::nal::{Read, TcpSocket};
use net_core::stack::Stack;
use net_core::time::{Duration, Instant, Timer};
use net_services::http::{Config, Outcome, Request, Response, Server, Stats};
use virtual_time::own_task;

/// Answers at once, or after ten seconds.
async fn handler(request: Request<'_>, response: Response<'_>) -> Outcome {
    if request.path() == "/slow" {
        Timer::after(Duration::from_secs(10)).await;
    }
    response.text("answer").await
}

/// Runs `clients` with a server on 10.0.0.1 that has so many places, and runs as a task of its own: without a heap, where
/// that is polled as a whole, and on the heap, where each connection is polled only when it was woken.
fn crowd<const PLACES: usize>(clients: impl AsyncFn(Stack<'static>), check: impl Fn(Stats)) {
    for is_on_heap in [false, true] {
        let (_cable, one, two) = pair(Quality::PERFECT, 1);
        let (server_stack, client_stack) = (one.stack, two.stack);
        let stats = run([one, two], async {
            let server = Server::new(Config::new(), &handler);
            let mut buffers = [[0; 2048]; PLACES];
            let serving = own_task(async {
                match is_on_heap {
                    true => server.run_on_heap(&server_stack, PLACES, 2048).await,
                    false => server.run(&server_stack, &mut buffers).await,
                }
            });
            match select(serving, clients(client_stack)).await {
                Either::First(result) => panic!("the server ended: {result:?}"),
                Either::Second(()) => server.stats(),
            }
        });
        check(stats);
    }
}

async fn connect(stack: Stack<'static>) -> impl TcpSocket {
    loop {
        match stack.connect(v4(1, 80)).await {
            Ok(socket) => return socket,
            Err(_) => Timer::after(Duration::from_millis(1)).await,
        }
    }
}

/// Asks for a page and reads the answer; false if there is none.
async fn ask(socket: &mut impl TcpSocket, path: &str) -> bool {
    let mut answer = Vec::new();
    let mut buffer = [0; 500];
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    while let Ok(n @ 1..) = socket.read(&mut buffer).await {
        answer.extend_from_slice(&buffer[..n]);
        if answer.ends_with(b"\r\n\r\nanswer") {
            return true;
        }
    }
    false
}

/// A client that has just connected, or was just answered, gets time for its request though another waits.
#[test]
fn h16_a_request_on_its_way_is_not_lost() {
    let clients = async |stack| {
        let first = async {
            let mut socket = connect(stack).await;
            Timer::after(Duration::from_millis(400)).await;
            assert!(ask(&mut socket, "/").await);
        };
        let second = async {
            Timer::after(Duration::from_millis(50)).await;
            let mut socket = connect(stack).await;
            assert!(ask(&mut socket, "/").await);
            Timer::after(Duration::from_millis(400)).await;
            assert!(ask(&mut socket, "/").await);
        };
        join(first, second).await;
    };
    crowd::<1>(clients, |stats| assert_eq!((stats.requests, stats.evicted), (3, 0)));
}

#[test]
fn h16_the_connection_idle_for_longest_goes_after_the_grace() {
    let clients = async |stack| {
        let mut silent = connect(stack).await;
        Timer::after(Duration::from_millis(100)).await;
        let mut kept = connect(stack).await;
        assert!(ask(&mut kept, "/").await);
        let began = Instant::now();
        let mut third = connect(stack).await;
        assert!(ask(&mut third, "/").await);
        let waited = began.elapsed().as_millis();
        assert!((395..450).contains(&waited), "{waited} ms");
        // It learns that by an end without an answer, and the other one is still there.
        assert_eq!(silent.read(&mut [0; 1]).await, Ok(0));
        assert!(ask(&mut kept, "/").await);
    };
    crowd::<2>(clients, |stats| assert_eq!((stats.connections, stats.requests, stats.evicted), (3, 3, 1)));
}

/// One that was told to go and is busy all the same does not keep the others from going.
#[test]
fn h16_whoever_has_to_go_and_is_busy_holds_nobody_up() {
    let clients = async |stack| {
        let slow = async {
            let mut socket = connect(stack).await;
            // The moment in which it is told to go.
            Timer::after(Duration::from_millis(500)).await;
            ask(&mut socket, "/slow").await
        };
        let idle = async {
            let mut socket = connect(stack).await;
            assert!(ask(&mut socket, "/").await);
            socket.read(&mut [0; 1]).await
        };
        let third = async {
            Timer::after(Duration::from_millis(50)).await;
            let began = Instant::now();
            let mut socket = connect(stack).await;
            assert!(ask(&mut socket, "/").await);
            began.elapsed().as_secs()
        };
        let (_, idle, waited) = join3(slow, idle, third).await;
        assert_eq!((idle, waited), (Ok(0), 0));
    };
    crowd::<2>(clients, |stats| assert!(stats.evicted >= 1, "{stats:?}"));
}

/// While its request is answered a connection is not idle, however long it was before.
#[test]
fn h16_whoever_is_busy_is_not_told_to_go() {
    let clients = async |stack| {
        let slow = async {
            let mut socket = connect(stack).await;
            assert!(ask(&mut socket, "/slow").await);
            // Its connection was kept: nobody waited any more when it was answered.
            ask(&mut socket, "/").await
        };
        // Idle for longer and for less long.
        let idle = async |since| {
            Timer::after(Duration::from_millis(since)).await;
            let mut socket = connect(stack).await;
            assert!(ask(&mut socket, "/").await);
            let began = Instant::now();
            let ended = socket.read(&mut [0; 1]).await;
            (ended, began.elapsed().as_secs())
        };
        let late = async {
            Timer::after(Duration::from_secs(3)).await;
            let began = Instant::now();
            let mut socket = connect(stack).await;
            assert!(ask(&mut socket, "/").await);
            (began.elapsed().as_secs(), ask(&mut socket, "/").await)
        };
        let (slow, ((first, second), late)) = join(slow, join(join(idle(100), idle(1100)), late)).await;
        assert!(slow);
        // The one has to go, the other has the fifteen seconds of every connection.
        assert_eq!((first, second), ((Ok(0), 2), (Ok(0), 15)));
        assert_eq!(late, (0, true));
    };
    crowd::<3>(clients, |stats| assert_eq!((stats.connections, stats.evicted), (4, 1)));
}
