//! `lunet mdns`: finds and publishes what is on the local network by multicast DNS.

mod find;
mod interface;
mod output;
mod publish;

use std::io;
use std::pin::pin;
use std::sync::Arc;

use embassy_futures::select::{Either, Either3, select, select3};
use net_core::Error;
use net_core::nal::{Interface, Multicast, UdpBind};
use net_lua::Role;
use net_services::mdns::{Config, Mdns, MdnsError, Resources};
use tokio::time::{Duration, Instant, timeout};

use crate::adapter::{self, AdapterSpec, Link, Sockets};
use crate::args::{self, Action, Net, Options};
use crate::console;
use crate::device::seed;
use crate::executor::block_on;
use crate::program::{DONE, FAILED, NO_ADDRESS, USAGE, fail};
use crate::signals::Signals;
use output::Output;

/// Services published, questions asked at once, records kept: more than a network of this kind has.
type Memory = Resources<8, 256, 2048>;
/// The longest datagram (RFC 6762 section 17).
const DATAGRAM: usize = 9000;

/// Does what the command line asks for; gives the exit status.
pub(crate) fn main(mut options: Options, what: &args::Mdns) -> u8 {
    console::start_log(options.verbose);
    if options.adapters.is_empty() && options.net == Net::Host {
        let Some(interface) = interface::best() else {
            return fail(FAILED, "no interface has an address and does multicast; --eth host:INTERFACE names one");
        };
        log::debug!("multicast DNS on {interface}");
        options.adapters.push((Role::Eth, AdapterSpec::new(Link::Host(Some(interface)))));
    }
    let run = || -> io::Result<u8> {
        let signals = Signals::receive()?;
        block_on(run(&options, what, signals))
    };
    run().unwrap_or_else(|e| fail(FAILED, e))
}

async fn run(options: &Options, what: &args::Mdns, signals: Arc<Signals>) -> u8 {
    let opening = async {
        let networks = adapter::open(options, 0).await?;
        // Addresses that come later are used too; only the first question is waited with, as long as there are none.
        let has_own = options.adapters.iter().any(|(_, spec)| !spec.addresses.is_empty());
        for network in networks.iter().filter(|network| !has_own && matches!(network.sockets, Sockets::Stack(_))) {
            network.until_ready(Instant::now() + NO_ADDRESS).await;
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
    match &network.sockets {
        Sockets::Stack(stack) => on(stack, Output::new(what.parsable, None), Config::new(), what, &signals).await,
        Sockets::Host(host) => {
            let mut config = Config::new();
            // Another program may have the port too: it gets the replies, and has given the addresses their names.
            (config.unicast, config.reverse) = (false, false);
            let output = Output::new(what.parsable, host.interface());
            on(host, output, config, what, &signals).await
        }
    }
}

async fn on<N>(net: &N, output: Output, config: Config, what: &args::Mdns, signals: &Signals) -> u8
where
    N: UdpBind + Multicast + Interface,
{
    // Tasks refer to it, which end with the program.
    let memory = Box::leak(Box::new(Memory::new()));
    let mdns: &'static Mdns<'static> = Box::leak(Box::new(Mdns::new(config, memory, seed())));
    let mut buffer = vec![0; DATAGRAM];
    let mut serving = pin!(mdns.run(net, &mut buffer));
    let mut acting = Box::pin(act(mdns, output, what));
    let status = match select3(serving.as_mut(), &mut acting, signals.interrupted()).await {
        Either3::First(Ok(())) => return DONE, // nobody stops it here
        Either3::First(Err(Error::AddressInUse)) => {
            return fail(FAILED, "port 5353 is in use by a program that does not share it");
        }
        Either3::First(Err(e)) => return fail(FAILED, format_args!("port 5353: {e}")),
        Either3::Second(status) => status,
        Either3::Third(()) => {
            signals.take_interrupted();
            signals.status()
        }
    };
    drop(acting);
    signals.closing();
    mdns.stop();
    // What has been published is withdrawn.
    if let Err(e) = serving.await {
        log::warn!("multicast DNS: {e}");
    }
    status
}

/// Does it; gives the exit status.
async fn act(mdns: &'static Mdns<'static>, output: Output, what: &args::Mdns) -> u8 {
    let limit = what.timeout.map(Duration::from_secs);
    match &what.action {
        Action::Browse { kind, resolve } => {
            let finding = find::Finding::new(mdns, output, *resolve);
            let browsing = finding.browse(kind.as_deref());
            finding.until_enough(browsing, what.once, limit).await
        }
        Action::Types => {
            let finding = find::Finding::new(mdns, output, false);
            finding.until_enough(finding.types(), what.once, limit).await
        }
        Action::Host(name) => find::host(mdns, &output, name, limit).await,
        Action::Address(address) => find::address(mdns, &output, *address, limit).await,
        Action::Instance(name, kind) => find::instance(mdns, &output, name, kind, limit).await,
        Action::Publish(publish) => {
            let publishing = publish::publish(mdns, &output, publish);
            match limit {
                Some(limit) => timeout(limit, publishing).await.unwrap_or(DONE),
                None => publishing.await,
            }
        }
    }
}

/// Whether the command line is to blame, as the exit status says it.
fn status_of(error: MdnsError) -> u8 {
    match error {
        MdnsError::InvalidName | MdnsError::InvalidType | MdnsError::InvalidTxt | MdnsError::InvalidAddress => USAGE,
        _ => FAILED,
    }
}
