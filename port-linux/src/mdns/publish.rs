//! Publishing.

use std::io::BufRead as _;
use std::thread;

use embassy_futures::select::{Either, select};
use net_services::mdns::{Event, HostId, Mdns, MdnsError, Service, ServiceId};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::output::Output;
use super::status_of;
use crate::args::Publish;
use crate::program::fail;

/// What is published.
struct Published<'p> {
    mdns: &'p Mdns<'static>,
    output: &'p Output,
    host: Option<HostId>,
    service: Option<(ServiceId, &'p str)>,
    /// The names as they were told last.
    host_name: String,
    service_name: String,
}

/// Publishes a host's name, and a service on it, until the future is dropped; ends, with the exit status, only when that
/// cannot be.
pub(super) async fn publish(mdns: &Mdns<'static>, output: &Output, what: &Publish) -> u8 {
    let mut published = match Published::new(mdns, output, what) {
        Ok(published) => published,
        Err(error) => return fail(status_of(error), error),
    };
    let mut updates = what.update.then(lines);
    loop {
        let update = async {
            match &mut updates {
                Some(lines) => lines.recv().await,
                None => std::future::pending().await,
            }
        };
        match select(mdns.event(), update).await {
            Either::First(event) => published.tell(event),
            Either::Second(Some(line)) => published.update(&line),
            Either::Second(None) => updates = None,
        }
    }
}

impl<'p> Published<'p> {
    fn new(mdns: &'p Mdns<'static>, output: &'p Output, what: &'p Publish) -> Result<Self, MdnsError> {
        let host = if what.addresses.is_empty() {
            mdns.set_host_name(&what.host)?;
            None
        } else {
            Some(mdns.delegate(&what.host, &what.addresses)?)
        };
        let mut published =
            Self { mdns, output, host, service: None, host_name: String::new(), service_name: String::new() };
        published.host_name = published.current_host();
        if let Some(service) = &what.service {
            let subtypes: Vec<&str> = service.subtypes.iter().map(String::as_str).collect();
            let txt: Vec<&str> = service.txt.iter().map(String::as_str).collect();
            let id = mdns.publish(&Service {
                instance: &service.name,
                kind: &service.kind,
                subtypes: &subtypes,
                port: service.port,
                txt: &txt,
                host,
                ..Service::default()
            })?;
            published.service = Some((id, &service.kind));
            published.service_name = published.current_service();
        }
        Ok(published)
    }

    /// The host's name as it is now, with its domain.
    fn current_host(&self) -> String {
        let label = match self.host {
            Some(id) => self.mdns.delegated_name(id).unwrap_or_default(),
            None => self.mdns.host_name(),
        };
        format!("{label}.local")
    }

    /// The instance's name as it is now.
    fn current_service(&self) -> String {
        let name = self.service.and_then(|(id, _)| self.mdns.service_name(id));
        name.map(|label| label.to_string()).unwrap_or_default()
    }

    fn tell(&mut self, event: Event) {
        let kind = self.service.map_or("", |(_, kind)| kind);
        match event {
            Event::HostEstablished | Event::DelegateEstablished(_) => {
                self.host_name = self.current_host();
                self.output.event(&["published", &self.host_name]);
            }
            Event::ServiceEstablished(_) => {
                self.service_name = self.current_service();
                self.output.event(&["published", kind, &self.service_name]);
            }
            Event::HostRenamed | Event::DelegateRenamed(_) => {
                let before = std::mem::take(&mut self.host_name);
                self.host_name = self.current_host();
                self.output.event(&["renamed", &before, &self.host_name]);
            }
            Event::ServiceRenamed(_) => {
                let before = std::mem::take(&mut self.service_name);
                self.service_name = self.current_service();
                self.output.event(&["renamed", kind, &before, &self.service_name]);
            }
            _ => {}
        }
    }

    /// Other attributes, `;` between them.
    fn update(&self, line: &str) {
        let Some((id, kind)) = self.service else { return };
        let txt: Vec<&str> = line.split(';').filter(|text| !text.is_empty()).collect();
        match self.mdns.set_txt(id, &txt) {
            Ok(()) => self.output.event(&["updated", kind, &self.service_name]),
            Err(error) => crate::console::tell(format_args!("{line}: {error}")),
        }
    }
}

/// The lines of standard input, read by a thread of their own.
fn lines() -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
