//! The engine: both roles on one interface, without any I/O of its own.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use domain::base::Rtype;
use net_core::cidr::IpInet;
use net_core::time::{Duration, Instant};

use super::browser::Browser;
use super::clock::earliest;
use super::data::Data;
use super::digest::digest;
use super::message::Incoming;
use super::name::{self, NameRef};
use super::network::{Network, canonical};
use super::random::Random;
use super::responder::Responder;
use super::{Config, Event, HostId, Label, MdnsError, QuestionId, Resources, Service, ServiceId, Stats};

/// The port of multicast DNS.
pub const PORT: u16 = 5353;
/// The IPv4 group of multicast DNS.
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// The IPv6 group of multicast DNS, in link-local scope.
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// The hop limit of all that is sent (RFC 6762 section 11).
pub const HOP_LIMIT: u8 = 255;

/// A copy of a message that comes so soon over the other IP version is the same message.
const COPY: Duration = Duration::from_millis(200);

/// How a datagram came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its source.
    pub from: SocketAddr,
    /// Its destination: a group or an address of this device.
    pub to: IpAddr,
}

impl Arrival {
    #[inline(never)]
    fn is_multicast(&self) -> bool {
        canonical(self.to).is_multicast()
    }
}

/// Where a datagram is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// Port 5353 of [`GROUP_V4`] and of [`GROUP_V6`], as far as the interface has that IP version.
    Multicast,
    /// One host.
    Unicast(SocketAddr),
}

/// A datagram to be sent from port 5353 with a hop limit of 255: the first `length` bytes of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit {
    /// Where to.
    pub to: Destination,
    /// How many bytes.
    pub length: usize,
}

/// What the two roles share while they work on something.
pub(super) struct Context<'c> {
    pub(super) now: Instant,
    pub(super) config: &'c Config,
    pub(super) network: &'c Network,
    pub(super) random: &'c mut Random,
    pub(super) stats: &'c mut Stats,
}

/// A query that has passed the checks.
#[derive(Clone, Copy)]
pub(super) struct Query<'m> {
    pub(super) message: Incoming<'m>,
    pub(super) from: SocketAddr,
    /// It came by multicast.
    pub(super) multicast: bool,
    /// A unicast reply may be sent to its source: that is on this link (M-22).
    pub(super) on_link: bool,
}

impl Query<'_> {
    /// From a simple resolver, which wants its reply as from a DNS server (RFC 6762 section 6.7).
    pub(super) fn is_legacy(&self) -> bool {
        self.from.port() != PORT
    }
}

/// The browser's view of what this device publishes.
#[allow(clippy::type_complexity)] // it has a name only as a trait object: `browser::Own`
fn own(responder: &Responder<'_>, network: &Network) -> impl Fn(&[u8], Rtype, &mut dyn FnMut(&Data<'_>)) {
    move |name, rtype, visitor| responder.visit(network, name, rtype, visitor)
}

/// Responder and browser on one interface: given the time and what is received, tells what is to be sent and when to
/// look again.
///
/// [`Mdns`](super::Mdns) is this with sockets. By itself it is for programs that have an event loop of their own, and for
/// tests.
///
/// Whoever drives it calls [`set_network`](Self::set_network) when the interface changes, [`handle`](Self::handle) with
/// each datagram that comes to port 5353; and after that, after every other call, and at
/// [`poll_timeout`](Self::poll_timeout), calls [`poll_transmit`](Self::poll_transmit) until it gives nothing.
pub struct Engine<'d> {
    config: Config,
    network: Network,
    random: Random,
    stats: Stats,
    responder: Responder<'d>,
    browser: Browser<'d>,
    /// The last multicast: a digest of its bytes, whether it came over IPv4, and when.
    last: Option<(u32, bool, Instant)>,
}

impl<'d> Engine<'d> {
    /// An engine without a name, that publishes and asks nothing yet.
    ///
    /// `seed` makes its delays differ from those of other devices: a random number, or the hardware address.
    pub fn new<const SERVICES: usize, const QUESTIONS: usize, const RECORDS: usize>(
        config: Config,
        resources: &'d mut Resources<SERVICES, QUESTIONS, RECORDS>,
        seed: u64,
    ) -> Self {
        let (services, questions, records) = resources.pools();
        let responder = Responder::new(&config, services);
        Self {
            config,
            network: Network::default(),
            random: Random::new(seed),
            stats: Stats::default(),
            responder,
            browser: Browser::new(questions, records),
            last: None,
        }
    }

    fn parts(&mut self, now: Instant) -> (&mut Responder<'d>, &mut Browser<'d>, Context<'_>) {
        let Self { config, network, random, stats, responder, browser, .. } = self;
        (responder, browser, Context { now, config, network, random, stats })
    }

    /// Tells the interface's state: at first, and whenever it may have changed.
    ///
    /// When the link comes up, or addresses have changed, names are probed and announced anew, and questions asked again;
    /// addresses that are gone are withdrawn (M-11). When the link goes down the cache is emptied.
    pub fn set_network(&mut self, now: Instant, link_up: bool, addresses: &[IpInet]) {
        let network = Network::new(link_up, addresses);
        if network == self.network {
            return;
        }
        let before = core::mem::replace(&mut self.network, network);
        let (responder, browser, mut context) = self.parts(now);
        responder.network_changed(&mut context, &before);
        browser.network_changed(&mut context);
    }

    /// Begins anew, as if the link had just come up: for a device that has slept, and may have missed what others said.
    pub fn restart(&mut self, now: Instant) {
        let (responder, browser, mut context) = self.parts(now);
        let down = Network::default();
        responder.network_changed(&mut context, &down);
        browser.network_changed(&mut context);
    }

    /// Takes a datagram: the first `length` bytes of `buffer`. A reply that is due at once is composed in the same buffer,
    /// as far as that reaches.
    pub fn handle(&mut self, now: Instant, arrival: Arrival, buffer: &mut [u8], length: usize) -> Option<Transmit> {
        self.stats.received = self.stats.received.wrapping_add(1);
        let reply = {
            let Some(message) = buffer.get(..length).and_then(|bytes| self.check(now, arrival, bytes)) else {
                self.stats.ignored = self.stats.ignored.wrapping_add(1);
                return None;
            };
            let on_link = self.network.is_on_link(arrival.from.ip());
            let (responder, browser, mut context) = self.parts(now);
            if message.is_response() {
                responder.handle_response(&mut context, &message, arrival.is_multicast());
                browser.handle_response(&mut context, &message, arrival.from.ip());
                return None;
            }
            let query = Query { message, from: arrival.from, multicast: arrival.is_multicast(), on_link };
            if !query.is_legacy() {
                let own = own(responder, context.network);
                browser.observe_query(&mut context, &own, &query);
            }
            responder.handle_query(&mut context, &query)?
        };
        let (responder, _, mut context) = self.parts(now);
        let transmit = responder.write_reply(&mut context, &reply, buffer)?;
        self.count_sent(transmit)
    }

    /// What of a datagram is not to be ignored (M-22, M-30, M-32, M-33).
    fn check<'m>(&mut self, now: Instant, arrival: Arrival, bytes: &'m [u8]) -> Option<Incoming<'m>> {
        if !self.network.is_usable() || arrival.from.port() == 0 {
            return None;
        }
        let message = Incoming::read(bytes)?;
        // What was sent to a group of link-local scope has come from this link, whatever its source says; that is essential
        // where subnets overlap. A unicast may have come from anywhere (RFC 6762 section 11).
        if !arrival.is_multicast() && !self.network.is_on_link(arrival.from.ip()) {
            return None;
        }
        if message.is_response() && arrival.from.port() != PORT {
            return None;
        }
        if arrival.is_multicast() {
            let this = (digest(&[bytes]), canonical(arrival.from.ip()).is_ipv4());
            let is_copy = self.last.is_some_and(|(hash, v4, at)| {
                hash == this.0 && v4 != this.1 && now.saturating_duration_since(at) < COPY
            });
            self.last = if is_copy { None } else { Some((this.0, this.1, now)) };
            if is_copy {
                return None;
            }
        }
        Some(message)
    }

    /// The next datagram that is due, composed in `buffer`. To be called until it gives `None`.
    ///
    /// The buffer is as large as datagrams may be: 1472 bytes on Ethernet with IPv4, 1452 with IPv6, up to 9000 where they
    /// may be fragmented (RFC 6762 section 17). With less than 512, records may not fit and are then not sent.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        if !self.network.is_usable() {
            return None;
        }
        let (responder, browser, mut context) = self.parts(now);
        let transmit = match responder.poll_transmit(&mut context, buffer) {
            Some(transmit) => transmit,
            None => {
                let own = own(responder, context.network);
                let length = browser.poll_transmit(&mut context, &own, buffer)?;
                Transmit { to: Destination::Multicast, length }
            }
        };
        self.count_sent(transmit)
    }

    #[allow(clippy::unnecessary_wraps)] // what the callers give
    fn count_sent(&mut self, transmit: Transmit) -> Option<Transmit> {
        self.stats.sent = self.stats.sent.wrapping_add(1);
        Some(transmit)
    }

    /// When [`poll_transmit`](Self::poll_transmit) is to be called again, if nothing happens before.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let browser = self.browser.poll_timeout();
        // Without a network nothing is sent, but what is cached still ends.
        let responder = if self.network.is_usable() { self.responder.poll_timeout() } else { None };
        earliest(browser, responder)
    }

    /// Withdraws all that is published: goodbyes are due at once, and again a second later (M-12). Nothing is forgotten:
    /// when the link comes up the next time, or at [`restart`](Self::restart), all is published again.
    pub fn shut_down(&mut self, now: Instant) {
        let (responder, _, mut context) = self.parts(now);
        responder.shut_down(&mut context);
    }

    /// Whether all goodbyes of [`shut_down`](Self::shut_down) have been taken.
    pub fn is_shut_down(&self) -> bool {
        self.responder.is_shut_down()
    }

    /// The network did not take a datagram.
    pub fn count_send_error(&mut self) {
        self.stats.send_errors = self.stats.send_errors.wrapping_add(1);
    }

    /// Tells the addresses of this device's other interfaces, at most 6, if they may be on the same link: when another
    /// engine announces them there under the same host name, that is no conflict.
    pub fn set_siblings(&mut self, addresses: &[IpAddr]) {
        self.responder.set_siblings(addresses);
    }

    /// What has been done so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Gives the host a name: 1 to 63 bytes without dots; `.local` at its end does no harm. It is probed, then announced.
    /// When another host has it, this one becomes `name-2` and so on, which [`Event::HostRenamed`] tells.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`]; [`MdnsError::Duplicate`] for the name of a delegated host; [`MdnsError::Full`] when
    /// there is no room for the names of services that are to have the host's.
    pub fn set_host_name(&mut self, now: Instant, name: &str) -> Result<(), MdnsError> {
        let (responder, _, mut context) = self.parts(now);
        responder.set_host_name(&mut context, name)
    }

    /// The host's name as it is now, without `.local`; empty if it has none.
    pub fn host_name(&self) -> Label {
        self.responder.host_name()
    }

    /// Publishes a service. Its name is probed, then announced; when another host has it, it becomes `name (2)` and so on,
    /// which [`Event::ServiceRenamed`] tells. Until the host has a name it waits.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`], [`MdnsError::InvalidType`] (also for too many subtypes), [`MdnsError::InvalidTxt`],
    /// [`MdnsError::Duplicate`], [`MdnsError::Unknown`] for a host that is not delegated, [`MdnsError::Full`]. The memory of
    /// a withdrawn service is free when its first goodbye has been taken.
    pub fn publish(&mut self, now: Instant, service: &Service<'_>) -> Result<ServiceId, MdnsError> {
        let (responder, _, mut context) = self.parts(now);
        responder.publish(&mut context, service)
    }

    /// The name of a service's instance as it is now.
    pub fn service_name(&self, id: ServiceId) -> Option<Label> {
        self.responder.service_name(id)
    }

    /// Whether its name has been probed and is this device's own.
    pub fn is_established(&self, id: ServiceId) -> bool {
        self.responder.is_established(id)
    }

    /// Gives a service other TXT data, strings of `key=value`; it is announced if it differs (M-11).
    ///
    /// # Errors
    /// [`MdnsError::InvalidTxt`], [`MdnsError::Unknown`], [`MdnsError::Full`].
    pub fn set_txt(&mut self, now: Instant, id: ServiceId, txt: &[&str]) -> Result<(), MdnsError> {
        let (responder, _, mut context) = self.parts(now);
        responder.set_txt(&mut context, id, txt)
    }

    /// Withdraws a service, with goodbyes (M-12).
    ///
    /// # Errors
    /// [`MdnsError::Unknown`].
    pub fn withdraw(&mut self, now: Instant, id: ServiceId) -> Result<(), MdnsError> {
        let (responder, _, mut context) = self.parts(now);
        responder.withdraw(&mut context, id)
    }

    /// Publishes the name and the addresses of another host, which cannot do that itself.
    ///
    /// # Errors
    /// [`MdnsError::InvalidName`], [`MdnsError::InvalidAddress`] (also for no address, or more than
    /// [`limits::ADDRESSES`](net_core::limits::ADDRESSES)), [`MdnsError::Duplicate`], [`MdnsError::Full`].
    pub fn delegate(&mut self, now: Instant, name: &str, addresses: &[IpAddr]) -> Result<HostId, MdnsError> {
        let (responder, _, mut context) = self.parts(now);
        responder.delegate(&mut context, name, addresses)
    }

    /// The name of a delegated host as it is now.
    pub fn delegated_name(&self, id: HostId) -> Option<Label> {
        self.responder.delegated_name(id)
    }

    /// Withdraws a delegated host, and the services on it, with goodbyes.
    ///
    /// # Errors
    /// [`MdnsError::Unknown`].
    pub fn withdraw_host(&mut self, now: Instant, id: HostId) -> Result<(), MdnsError> {
        let (responder, _, mut context) = self.parts(now);
        responder.withdraw_host(&mut context, id)
    }

    /// What has happened to the published names, one thing each time. None is ever lost: a name that has changed twice is
    /// told once, and is read with [`host_name`](Self::host_name) and its like.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.responder.poll_event()
    }

    /// Asks for records until [`forget`](Self::forget), more and more rarely (M-43), and keeps those that are found.
    ///
    /// With `follow`, what they lead to is asked for too: a PTR record's SRV and TXT, an SRV record's A and AAAA.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        name: &NameRef<'_>,
        rtype: Rtype,
        follow: bool,
    ) -> Result<QuestionId, MdnsError> {
        let (_, browser, mut context) = self.parts(now);
        browser.ask(&mut context, name, rtype, follow)
    }

    /// Asks no longer.
    pub(super) fn forget(&mut self, id: QuestionId) {
        self.browser.forget(id);
    }

    /// What is being asked.
    pub(super) fn question(&self, id: QuestionId) -> Option<(NameRef<'_>, Rtype)> {
        self.browser.question(id)
    }

    /// Shows the records of that name and type, those that others have told and this device's own; of a type that the name
    /// is known not to have, the NSEC record.
    pub(super) fn visit(&self, now: Instant, name: &NameRef<'_>, rtype: Rtype, visitor: &mut dyn FnMut(&Data<'_>)) {
        let wire = name::copy(name);
        let wire = wire.as_slice();
        self.responder.visit(&self.network, wire, rtype, visitor);
        // What this device itself has told may have come back to it.
        self.browser.visit(now, wire, rtype, &mut |data| {
            let mut own = false;
            self.responder.visit(&self.network, wire, rtype, &mut |ours| own |= ours.is_same(data));
            if !own {
                visitor(data);
            }
        });
    }

    /// Another number whenever what [`visit`](Self::visit) shows may have changed.
    pub(super) fn generation(&self) -> u32 {
        self.browser.generation().wrapping_add(self.responder.generation())
    }
}
