//! The device with mDNS: that it is found, and what an answer takes.

use core::cell::RefCell;
use core::pin::pin;

use board::{println, run};
use net_core::dns::{Family, Resolver};
use net_core::nal::UnconnectedUdp as _;
use net_core::stack::Stack;
use net_core::time::{Duration, Timer};
use static_cell::ConstStaticCell;

use crate::hosts::{Memory, any, at, count, hosts};

static DEVICE: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static CLIENT: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static NAMES: ConstStaticCell<mdns_node::Memory> = ConstStaticCell::new(mdns_node::Memory::NEW);

pub(crate) fn all() {
    println("an answer by mDNS: instructions of both ends, and of the device");
    let ((device, mut device_runs), (client, mut client_runs)) = hosts(DEVICE.take(), CLIENT.take());
    run(&mut [
        pin!(async { match device_runs.run().await {} }),
        pin!(async { match client_runs.run().await {} }),
        pin!(mdns_node::node(device, NAMES.take())),
        pin!(use_it(client)),
    ]);
}

async fn use_it(stack: Stack<'static>) {
    // Three probes and the first announcement.
    Timer::after(Duration::from_secs(3)).await;
    let resolver: Resolver<'_, _> = Resolver::new(stack, 1);
    let found = resolver.lookup("lamp.local", Family::V4).await.expect("the device tells its address");
    assert!(found == [at(1, 0).ip()]);
    let socket = stack.bind(any(0)).expect("a free socket");
    let socket = RefCell::new(socket);
    count("an address, asked for by a simple resolver", 200, || async {
        ask(&mut socket.borrow_mut(), b"\x04lamp\x05local\0\0\x01\0\x01", 1).await;
    })
    .await;
    count("an instance of a service, with all that comes with it", 200, || async {
        ask(&mut socket.borrow_mut(), b"\x06_light\x04_udp\x05local\0\0\x0c\0\x01", 1).await;
    })
    .await;
    count("every service type", 200, || async {
        ask(&mut socket.borrow_mut(), b"\x09_services\x07_dns-sd\x04_udp\x05local\0\0\x0c\0\x01", 3).await;
    })
    .await;
}

/// Asks one question, and counts the answers.
async fn ask(socket: &mut net_core::stack::UdpSocket<'static>, question: &[u8], answers: u8) {
    let mut message = [0; 600];
    message[..6].copy_from_slice(&[0x12, 0x34, 0, 0, 0, 1]);
    message[12..12 + question.len()].copy_from_slice(question);
    socket.send(any(0), at(1, 5353), &message[..12 + question.len()]).await.expect("room to send");
    let (length, _, from) = socket.receive_into(&mut message).await.expect("a reply");
    assert!(from == at(1, 5353) && length > 12);
    assert!(message[..8] == [0x12, 0x34, 0x84, 0, 0, 1, 0, answers], "M-23: id and question are repeated");
}
