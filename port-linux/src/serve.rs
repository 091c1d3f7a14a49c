//! `lunet serve`: the files in a directory by HTTP, without a script.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;

use embassy_futures::select::{Either, select};
use net_core::Error;
use net_core::cidr::IpInet;
use net_core::nal::{TcpListener, TcpStack};
use net_core::time::Duration;
use net_services::http::files::Site;
use net_services::http::{Access, Config, Handler, Server};
use tokio::time::Instant;

use crate::Directory;
use crate::access_log::AccessLog;
use crate::adapter::{self, Link, Network, Sockets};
use crate::args::{self, Options, Serve};
use crate::clock::SystemClock;
use crate::console::{self, tell};
use crate::executor::block_on;
use crate::ports;
use crate::program::{FAILED, NO_ADDRESS, USAGE, fail};
use crate::signals::Signals;

/// Bytes of buffer for each connection while it is open: three quarters for requests, one for responses.
const BUFFER: usize = 64 * 1024;
/// Clients that may wait to be accepted.
const BACKLOG: usize = 128;
/// TCP sockets of a stack beyond those of the connections served: for clients that wait, and for connections that are
/// being closed.
const MORE_SOCKETS: usize = 768;

/// Serves files until a signal comes; gives the exit status.
pub(crate) fn main(mut options: Options, serve: &Serve) -> u8 {
    console::start_log(options.verbose);
    let directory = match Directory::open(&serve.directory) {
        Ok(directory) => directory,
        Err(e) => return fail(USAGE, format_args!("cannot serve {}: {e}", serve.directory.display())),
    };
    let log = match AccessLog::open(&serve.log) {
        Ok(log) => log,
        Err(e) => {
            let args::AccessLog::File(path) = &serve.log else { return fail(FAILED, e) };
            return fail(USAGE, format_args!("--log: cannot write {}: {e}", path.display()));
        }
    };
    options.sockets = options.sockets.or(Some(serve.connections + MORE_SOCKETS));
    let run = || -> io::Result<u8> {
        let signals = Signals::receive()?;
        block_on(run(&options, serve, &directory, log, signals))
    };
    run().unwrap_or_else(|e| fail(FAILED, e))
}

async fn run(
    options: &Options,
    serve: &Serve,
    directory: &Directory,
    log: Option<AccessLog>,
    signals: Arc<Signals>,
) -> u8 {
    let opening = async {
        let networks = adapter::open(options, serve.port).await?;
        for network in &networks {
            // The computer's own addresses are known to its user.
            if let Sockets::Stack(_) = &network.sockets {
                network.until_ready(Instant::now() + NO_ADDRESS).await;
            }
        }
        Ok::<_, adapter::OpenError>(networks)
    };
    let networks = match select(Box::pin(opening), signals.interrupted()).await {
        Either::First(Ok(networks)) => networks,
        Either::First(Err(e)) => return fail(if e.is_usage() { USAGE } else { FAILED }, e),
        Either::Second(()) => return signals.status(),
    };
    // The command line names no more than one.
    let Some(network) = networks.first() else { return fail(FAILED, "no network") };
    let site = Site::new(directory).with_index(&["index.html"]).with_listings(serve.listing);
    let log_access = |access: &Access<'_>| {
        if let Some(log) = &log {
            log.log(access);
        }
    };
    let server = Server::new(config(serve), &site).with_clock(&SystemClock).with_access_log(&log_access);
    let status = match &network.sockets {
        Sockets::Stack(stack) => serve_on(stack, &server, network, options, serve, &signals).await,
        Sockets::Host(host) => serve_on(host, &server, network, options, serve, &signals).await,
    };
    adapter::until_quiet(&networks).await;
    status
}

async fn serve_on<S: TcpStack>(
    stack: &S,
    server: &Server<'_, impl Handler>,
    network: &Network,
    options: &Options,
    serve: &Serve,
    signals: &Signals,
) -> u8 {
    let address = serve.address.or_else(|| {
        // On a network that was narrowed to an address of the computer, all addresses are that one.
        let (_, spec) = options.adapters.first()?;
        spec.addresses.first().filter(|_| matches!(spec.link, Link::Host(_))).map(IpInet::address)
    });
    let listener = match listen(stack, address, serve.port).await {
        Ok(listener) => listener,
        Err(e) => {
            let status = if e == Error::AddressNotAvailable { USAGE } else { FAILED };
            return fail(status, explain(e, address, serve.port));
        }
    };
    announce(serve, network, listener.local_addr());
    let mut serving = pin!(server.run_listener(listener, serve.connections, BUFFER));
    let ended = match select(serving.as_mut(), signals.interrupted()).await {
        Either::First(ended) => ended,
        Either::Second(()) => {
            signals.take_interrupted();
            signals.closing();
            server.stop();
            serving.await
        }
    };
    match ended {
        Ok(()) => signals.status(),
        Err(e) => fail(FAILED, e),
    }
}

fn config(serve: &Serve) -> Config {
    let mut config = Config::new();
    if let Some(seconds) = serve.timeout {
        let patience = Duration::from_secs(seconds);
        (config.first_byte, config.head, config.body) = (patience, patience, patience);
        (config.write, config.keep_alive) = (patience, patience);
    }
    config
}

/// Listens on `address`, or on all of both IP versions.
async fn listen<S: TcpStack>(stack: &S, address: Option<IpAddr>, port: u16) -> Result<S::Listener, Error> {
    let on = |ip| stack.listen(SocketAddr::new(ip, port), BACKLOG);
    match address {
        Some(ip) => on(ip).await,
        None => match on(Ipv6Addr::UNSPECIFIED.into()).await {
            // A computer without IPv6.
            Err(Error::Unsupported | Error::AddressNotAvailable) => on(Ipv4Addr::UNSPECIFIED.into()).await,
            done => done,
        },
    }
}

/// Why a port cannot be listened on, and what to do about it.
fn explain(error: Error, address: Option<IpAddr>, port: u16) -> String {
    match (error, address) {
        (Error::AddressInUse, _) => {
            let who = ports::listener(port).unwrap_or_else(|| "another program".to_owned());
            format!("port {port} is in use by {who}; --port chooses another")
        }
        (Error::PermissionDenied, _) => {
            format!("port {port} is not for ordinary users; --port chooses another, from 1024 on")
        }
        (Error::AddressNotAvailable, Some(ip)) => format!("--bind: {ip} is no address of this device"),
        _ => format!("cannot listen on port {port}: {error}"),
    }
}

/// Says what is served and where.
fn announce(serve: &Serve, network: &Network, local: SocketAddr) {
    let urls: Vec<String> = network.places(local).iter().map(|place| format!("http://{place}/")).collect();
    let directory = serve.directory.display();
    if urls.is_empty() {
        tell(format_args!("serving {directory} on port {}", local.port()));
    } else {
        tell(format_args!("serving {directory} at {}", urls.join(" and ")));
    }
}
