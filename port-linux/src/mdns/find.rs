//! Browsing and looking up.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::net::IpAddr;
use std::rc::Rc;

use embassy_futures::select::{Either3, select3};
use net_core::dns::Family;
use net_services::mdns::{Found, FoundType, Mdns, MdnsError};
use tokio::time::{Duration, Instant, sleep_until};

use super::output::{Mark, Output};
use super::status_of;
use crate::console::tell;
use crate::program::{DONE, FAILED, fail};

/// Instances of a type, and types, that are told at once.
const INSTANCES: usize = 256;
const TYPES: usize = 256;
/// Bytes of an instance's texts.
const TEXTS: usize = 2048;
/// `--once` ends when nothing new has come for so long: the second question, a second after the first, has then been
/// answered too.
const QUIET: Duration = Duration::from_secs(2);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells what is found.
#[derive(Clone)]
pub(super) struct Finding {
    mdns: &'static Mdns<'static>,
    output: Output,
    resolve: bool,
    /// When something new was found last, and whether anything was.
    last: Rc<Cell<Instant>>,
    found: Rc<Cell<bool>>,
}

impl Finding {
    pub(super) fn new(mdns: &'static Mdns<'static>, output: Output, resolve: bool) -> Self {
        let last = Rc::new(Cell::new(Instant::now()));
        Self { mdns, output, resolve, last, found: Rc::default() }
    }

    fn note(&self) {
        self.last.set(Instant::now());
        self.found.set(true);
    }

    /// Runs `finding` until nothing more is to be expected, with `once`, or the time is over; gives the exit status.
    pub(super) async fn until_enough(
        &self,
        finding: impl Future<Output = MdnsError>,
        once: bool,
        limit: Option<Duration>,
    ) -> u8 {
        let quiet = async {
            while once && self.last.get().elapsed() < QUIET {
                sleep_until(self.last.get() + QUIET).await;
            }
            if !once {
                std::future::pending::<()>().await;
            }
        };
        let over = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        match select3(Box::pin(finding), quiet, over).await {
            Either3::First(error) => fail(status_of(error), error),
            Either3::Second(()) | Either3::Third(()) => {
                if self.found.get() {
                    DONE
                } else {
                    FAILED
                }
            }
        }
    }

    /// Services of one type, or of all. Ends only with an error.
    pub(super) async fn browse(&self, kind: Option<&str>) -> MdnsError {
        match kind {
            Some(kind) => self.browse_type(kind).await,
            None => self.browse_all().await,
        }
    }

    async fn browse_all(&self) -> MdnsError {
        let mut types = match self.mdns.browse_types::<TYPES>() {
            Ok(types) => Box::new(types),
            Err(error) => return error,
        };
        let mut browsed = BTreeSet::new();
        loop {
            // A type that is said to be gone may still have instances, which say that for themselves.
            if let FoundType::Added(kind) = types.next().await
                && browsed.insert(kind.to_ascii_lowercase())
            {
                self.last.set(Instant::now());
                let finding = self.clone();
                tokio::task::spawn_local(async move {
                    let error = finding.browse_type(&kind).await;
                    tell(format_args!("{kind}: {error}"));
                });
            }
        }
    }

    async fn browse_type(&self, kind: &str) -> MdnsError {
        let mut browse = match self.mdns.browse::<INSTANCES>(kind) {
            Ok(browse) => Box::new(browse),
            Err(error) => return error,
        };
        let mut buffer = vec![0; TEXTS];
        loop {
            let found = match browse.next(&mut buffer).await {
                Ok(found) => found,
                Err(error) => return error,
            };
            match found {
                Found::Added(instance) if self.resolve => self.output.instance(Some(Mark::Added), kind, &instance),
                Found::Changed(instance) if self.resolve => self.output.instance(Some(Mark::Changed), kind, &instance),
                Found::Added(instance) => self.output.service(Mark::Added, kind, instance.name),
                Found::Changed(_) => continue,
                Found::Removed(name) => self.output.service(Mark::Removed, kind, name),
            }
            self.note();
        }
    }

    /// Types of services. Ends only with an error.
    pub(super) async fn types(&self) -> MdnsError {
        let mut types = match self.mdns.browse_types::<TYPES>() {
            Ok(types) => Box::new(types),
            Err(error) => return error,
        };
        loop {
            match types.next().await {
                FoundType::Added(kind) => self.output.kind(Mark::Added, &kind),
                FoundType::Removed(kind) => self.output.kind(Mark::Removed, &kind),
            }
            self.note();
        }
    }
}

fn patience(limit: Option<Duration>) -> net_core::time::Duration {
    net_core::time::Duration::from_millis(limit.unwrap_or(PATIENCE).as_millis() as u64)
}

fn none(what: impl Display, error: MdnsError) -> u8 {
    fail(status_of(error), format_args!("{what}: {error}"))
}

/// A host's addresses, a line for each.
pub(super) async fn host(mdns: &Mdns<'_>, output: &Output, name: &str, limit: Option<Duration>) -> u8 {
    match mdns.lookup(name, Family::Both, patience(limit)).await {
        Ok(addresses) => {
            for address in addresses {
                output.host(name, address);
            }
            DONE
        }
        Err(error) => none(name, error),
    }
}

/// An address's host.
pub(super) async fn address(mdns: &Mdns<'_>, output: &Output, address: IpAddr, limit: Option<Duration>) -> u8 {
    let mut buffer = vec![0; TEXTS];
    match mdns.reverse(address, patience(limit), &mut buffer).await {
        Ok(host) => {
            output.name(address, host);
            DONE
        }
        Err(error) => none(address, error),
    }
}

/// A service.
pub(super) async fn instance(mdns: &Mdns<'_>, output: &Output, name: &str, kind: &str, limit: Option<Duration>) -> u8 {
    let mut buffer = vec![0; TEXTS];
    match mdns.resolve(name, kind, patience(limit), &mut buffer).await {
        Ok(instance) => {
            output.instance(None, kind, &instance);
            DONE
        }
        Err(error) => none(format_args!("{name}, {kind}"), error),
    }
}
