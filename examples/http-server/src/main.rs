//! A web page with uploads, live events and a chat.
//!
//! ```sh
//! cargo run --package http-server               # on this computer: http://localhost:8080/
//! sudo target/debug/http-server --tap lunet0    # as a device of its own: http://10.0.0.2:8080/
//! ```
//!
//! What it answers is in `device.rs`, which knows nothing of Linux: with another `main` it is a firmware. The page is
//! `page.html`.

mod device;

use std::env;
use std::error::Error;
use std::process::ExitCode;

use device::Device;
use embassy_futures::select::{Either, select};
use net_core::cidr::{IpInet, Ipv4Inet};
use net_core::nal::TcpStack;
use net_core::stack::{self, HeapResources, PoolSizes};
use net_services::http::{Access, Config, Server};
use port_linux::host::{HostConfig, HostNet};
use port_linux::tap::{Tap, TapConfig};
use port_linux::{SystemClock, block_on};

/// Clients that are served at once. One that reads the events or chats has its place for as long as it does.
const CONNECTIONS: usize = 16;
/// Bytes of each connection's buffer.
const BUFFER: usize = 8 * 1024;
/// Of the device and of this computer, when it is on a cable of its own.
const ADDRESS: [u8; 4] = [10, 0, 0, 2];
const COMPUTER: [u8; 4] = [10, 0, 0, 1];

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        [] => block_on(on_the_computer()),
        ["--tap", name] => block_on(on_a_tap_interface(name)),
        _ => {
            eprintln!("usage: http-server [--tap NAME]");
            return ExitCode::from(2);
        }
    };
    match result.map_err(Into::into).flatten() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("http-server: {e}");
            ExitCode::FAILURE
        }
    }
}

async fn on_the_computer() -> Result<(), Box<dyn Error>> {
    Box::pin(serve(HostNet::new(HostConfig::default())?)).await
}

/// As a device with an address of its own, at the other end of a cable to this computer.
async fn on_a_tap_interface(name: &str) -> Result<(), Box<dyn Error>> {
    let computer = IpInet::V4(Ipv4Inet::new(COMPUTER.into(), 24)?);
    let tap = Tap::open(&TapConfig { name: Some(name.to_owned()), host: vec![computer], ..TapConfig::default() })?;
    let config = stack::Config::new().with_ipv4(Ipv4Inet::new(ADDRESS.into(), 24)?, None);
    let sizes = PoolSizes { tcp: 2 * CONNECTIONS, udp: 1, tcp_buffer: BUFFER, udp_buffer: BUFFER };
    // Sockets refer to it for as long as they like.
    let resources = Box::leak(Box::new(HeapResources::growing(sizes)));
    let (stack, mut runner) = stack::new(tap, config, resources, 1)?;
    match select(runner.run(), Box::pin(serve(stack))).await {
        Either::First(never) => match never {},
        Either::Second(result) => result,
    }
}

/// Serves until Ctrl-C, and then until whoever is being answered has got it all.
async fn serve(stack: impl TcpStack) -> Result<(), Box<dyn Error>> {
    let device = Device::new();
    let log = |access: &Access<'_>| {
        let request = access.request.map_or_else(String::new, |request| request.to_string());
        let status = access.status.map_or_else(|| "gone".to_owned(), |status| status.to_string());
        println!("{}: {request}: {status}, {} bytes", access.peer, access.body);
    };
    let config = Config::new().with_port(8080);
    let listener = stack.listen(config.address, config.backlog).await?;
    let server = Server::new(config, &device).with_clock(&SystemClock).with_access_log(&log);
    println!("serving on port 8080");
    let mut running = std::pin::pin!(server.run_listener(listener, CONNECTIONS, BUFFER));
    match select(running.as_mut(), tokio::signal::ctrl_c()).await {
        Either::First(ended) => ended?,
        Either::Second(_) => {
            server.stop();
            running.await?;
        }
    }
    Ok(())
}
