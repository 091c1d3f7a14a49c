//! The stack at work: frames in, frames out, timers, and the interface's configuration.

use core::task::Context;

use embassy_net_driver::{Driver, LinkState, RxToken as _, TxToken};
use embassy_time::{Duration, Instant};
use smoltcp::iface::Interface;
#[cfg(feature = "dhcp")]
use smoltcp::iface::{SocketHandle, SocketSet};
#[cfg(feature = "dhcp")]
use smoltcp::socket::dhcpv4;
#[cfg(feature = "tcp")]
use smoltcp::wire::EthernetAddress;
#[cfg(feature = "ipv6")]
use smoltcp::wire::Ipv6Cidr;
use smoltcp::wire::{HardwareAddress, IpCidr};
#[cfg(feature = "dhcp")]
use smoltcp::wire::{Ipv4Address, Ipv4Cidr};

#[cfg(feature = "ipv4")]
use super::Ipv4Config;
#[cfg(feature = "ipv6")]
use super::Ipv6Config;
#[cfg(feature = "dhcp")]
use super::Lease;
use super::device::{self, Egress, Ingress, Nowhere};
#[cfg(feature = "tcp")]
use super::listen::Request;
#[cfg(feature = "dhcp")]
use super::resources::DhcpMemory;
use super::wire::{self, IcmpError, Quoted, Seen};
use super::{Config, Inner, convert};
#[cfg(feature = "tcp")]
use super::{recovery, tcp_pool};
use crate::events::Event;
use crate::limits;
use crate::log::{Show, info};
use crate::random::Random;
#[cfg(feature = "tcp")]
use crate::time::bounded;

/// After the link has come up, routers are asked three times, 4 s apart (RFC 4861 section 10).
const SOLICITING: Duration = Duration::from_secs(20);
/// The longest time that a query leaves for a report (RFC 2236 section 2.2: 25.5 s).
const REPORTING: Duration = Duration::from_secs(26);
/// How often smoltcp is asked while a timer is running that it does not count.
const UNCOUNTED: Duration = Duration::from_millis(500);
/// The same for the lifetimes of addresses that routers gave.
const LIFETIMES: Duration = Duration::from_secs(60);
/// The options of a DHCP answer that are wanted: mask, router, DNS servers, NTP servers.
#[cfg(feature = "dhcp")]
const DHCP_PARAMETERS: &[u8] = &[1, 3, 6, DHCP_NTP];
#[cfg(feature = "dhcp")]
const DHCP_NTP: u8 = 42;

pub(super) fn interface_config(
    config: &Config,
    hardware: HardwareAddress,
    random: &mut Random,
) -> smoltcp::iface::Config {
    let mut iface = smoltcp::iface::Config::new(hardware);
    iface.random_seed = random.next_u64();
    #[cfg(feature = "ipv6")]
    {
        iface.slaac = matches!(config.ipv6, Ipv6Config::Slaac) && matches!(hardware, HardwareAddress::Ethernet(_));
    }
    let _ = config;
    iface
}

/// The DHCP client: smoltcp's socket, in the set only while it is wanted.
#[cfg(feature = "dhcp")]
#[allow(clippy::large_enum_variant)] // there is one of it in a stack, and no heap to put the large one on
pub(super) enum Dhcp<'d> {
    Active(SocketHandle),
    Idle(dhcpv4::Socket<'d>),
    /// Between the two.
    Moving,
}

#[cfg(feature = "dhcp")]
pub(super) fn dhcp_client<'d>(memory: &'d mut DhcpMemory<'d>, config: &Config) -> dhcpv4::Socket<'d> {
    let (packet, options) = memory.prepare(&config.host_name);
    let mut socket = dhcpv4::Socket::new();
    socket.set_receive_packet_buffer(packet);
    socket.set_parameter_request_list(DHCP_PARAMETERS);
    socket.set_outgoing_options(options);
    socket
}

#[cfg(feature = "dhcp")]
impl<'d> Dhcp<'d> {
    /// Starts the client anew, or stops it.
    fn restart(&mut self, set: &mut SocketSet<'d>, wanted: bool) {
        let socket = match core::mem::replace(self, Self::Moving) {
            Self::Active(handle) => set.remove(handle),
            Self::Idle(socket) => smoltcp::socket::Socket::Dhcpv4(socket),
            Self::Moving => return,
        };
        if let smoltcp::socket::Socket::Dhcpv4(mut socket) = socket {
            socket.reset();
            *self = if wanted { Self::Active(set.add(socket)) } else { Self::Idle(socket) };
        }
    }
}

impl Inner<'_> {
    /// Does all that can be done now, and sees to it that it is called again when there is more.
    pub(super) fn poll<D: Driver>(&mut self, driver: &mut D, cx: &mut Context<'_>) {
        self.waker = Some(cx.waker().clone());
        let now = self.now();
        self.follow_link(driver, cx);
        self.iface.poll_maintenance(convert::instant(now));
        self.receive(driver, cx);
        #[cfg(feature = "dhcp")]
        self.follow_lease();
        let caps = self.caps.clone();
        let mut egress = Egress { driver, cx: &mut *cx, caps: &caps, exhausted: false, frames: 0, watch: None };
        let mut next = self.send(&mut egress);
        let exhausted = egress.exhausted;
        #[cfg(feature = "tcp")]
        {
            self.tcp.tidy(&self.iface, now);
            self.listeners.expire(now);
            if !exhausted && self.find_held().is_some() {
                cx.waker().wake_by_ref();
            }
        }
        self.tell_addresses();
        earliest(&mut next, self.deadline(now, exhausted));
        match next {
            Some(at) if at <= now => cx.waker().wake_by_ref(),
            Some(at) => embassy_time_driver::schedule_wake(at.as_ticks(), cx.waker()),
            None => {}
        }
    }

    /// Takes frames from the driver, and connection requests that waited for a socket.
    fn receive<D: Driver>(&mut self, driver: &mut D, cx: &mut Context<'_>) {
        let mut frames = 0;
        while frames < limits::FRAMES_PER_TURN {
            let Some((rx, tx)) = driver.receive(cx) else { break };
            rx.consume(|frame| self.take_frame(frame, tx));
            frames += 1;
        }
        if frames == limits::FRAMES_PER_TURN {
            cx.waker().wake_by_ref(); // there may be more, but others come first
        }
        #[cfg(feature = "tcp")]
        while self.find_held().is_some()
            && let Some(reply) = driver.transmit(cx)
            && let Some(frame) = self.next_held()
        {
            self.take_frame(&frame, reply);
        }
    }

    fn take_frame<T: TxToken>(&mut self, frame: &[u8], reply: T) {
        let seen = wire::inspect(frame, self.caps.medium);
        let now = self.now();
        match seen {
            Seen::MembershipQuery => self.reporting_until = now + REPORTING,
            Seen::Neighbor => self.neighbors = true,
            Seen::IcmpError(error) => self.on_icmp_error(error),
            #[cfg(feature = "tcp")]
            Seen::Tcp(segment) if self.tcp.would_stall(&segment) => return,
            #[cfg(feature = "tcp")]
            Seen::Tcp(segment) if segment.is_request => {
                if matches!(self.on_request(&segment, frame), Request::Held) {
                    return;
                }
            }
            _ => {}
        }
        let caps = self.caps.clone();
        let mut device = Ingress { frame: Some(frame), reply: Some(reply), caps: &caps };
        // Sockets are in a set for each kind, so that pools of fixed size can be of different sizes.
        let sockets = match seen {
            #[cfg(feature = "tcp")]
            Seen::Tcp(_) => &mut self.tcp.sockets,
            #[cfg(feature = "udp")]
            Seen::Udp(port) if port != DHCP_CLIENT_PORT => &mut self.udp.sockets,
            Seen::Udp(_) => &mut self.others,
            #[cfg(feature = "icmp")]
            _ => &mut self.echo.set,
            #[cfg(not(feature = "icmp"))]
            _ => &mut self.others,
        };
        self.iface.poll_ingress_single(convert::instant(now), &mut device, sockets);
        match seen {
            #[cfg(feature = "tcp")]
            Seen::Tcp(segment) => {
                if let Some(listener) = self.tcp.after_segment(&segment, bounded(self.config.tcp_timeout)) {
                    self.listeners.wake(listener);
                }
                if let Some(index) = self.tcp.watch_received(&segment, now) {
                    self.repeat_ack(index);
                }
            }
            #[cfg(feature = "icmp")]
            Seen::Other => self.echo.take_replies(now),
            _ => {}
        }
    }

    /// Has smoltcp repeat the first unacknowledged segment of a connection, see [`super::recovery`].
    #[cfg(feature = "tcp")]
    fn repeat_ack(&mut self, index: usize) {
        let mac = match self.hardware {
            HardwareAddress::Ethernet(mac) => mac,
            _ => EthernetAddress([0; 6]),
        };
        // A FIN alone is left to smoltcp's own timer: asked this way, smoltcp would stop that and send nothing.
        if !self.tcp.has_unacknowledged_data(index) {
            return;
        }
        let caps = self.caps.clone();
        let mut buffer = [0; 74];
        let Some(frame) = self.tcp.copy_of_ack(index, mac, caps.medium, &mut buffer) else { return };
        self.stats.repairs = self.stats.repairs.wrapping_add(1);
        for _ in 0..recovery::COPIES {
            let mut device = Ingress { frame: Some(frame), reply: Some(device::Swallow), caps: &caps };
            let now = convert::instant(self.now());
            self.iface.poll_ingress_single(now, &mut device, &mut self.tcp.sockets);
        }
    }

    fn on_icmp_error(&mut self, error: IcmpError) {
        match error.about {
            #[cfg(feature = "tcp")]
            Quoted::Tcp { local, remote } => self.tcp.icmp_error(local, remote, error.kind),
            #[cfg(feature = "udp")]
            Quoted::Udp { local, remote } => self.udp.icmp_error(local, remote, error.kind),
            #[cfg(feature = "icmp")]
            Quoted::Echo { remote, ident, seq } => self.echo.icmp_error(remote, ident, seq),
            #[allow(unreachable_patterns)]
            _ => {}
        }
    }

    /// Sends what sockets have to send. Gives when datagrams or pings want to be tried again.
    fn send<D: Driver>(&mut self, egress: &mut Egress<'_, '_, D>) -> Option<Instant> {
        #[allow(unused_mut)]
        let mut next = None;
        let timestamp = convert::instant(self.now());
        use smoltcp::iface::PollResult::SocketStateChanged;
        while self.iface.poll_egress(timestamp, egress, &mut self.others) == SocketStateChanged {}
        #[cfg(feature = "tcp")]
        {
            let now = self.now();
            while let Some(index) = self.tcp.next_probe(now) {
                self.repeat_ack(index);
            }
            let (places, medium) = (&mut self.tcp.places, egress.caps.medium);
            let mut watch = |frame: &[u8]| {
                if let Seen::Tcp(segment) = wire::inspect(frame, medium) {
                    tcp_pool::watch_sent(places, &segment, now);
                }
            };
            let mut watched = Egress {
                driver: &mut *egress.driver,
                cx: &mut *egress.cx,
                caps: egress.caps,
                exhausted: egress.exhausted,
                frames: 0,
                watch: Some(&mut watch),
            };
            while self.iface.poll_egress(timestamp, &mut watched, &mut self.tcp.sockets) == SocketStateChanged {}
            egress.exhausted = watched.exhausted;
        }
        let neighbors = core::mem::take(&mut self.neighbors);
        #[cfg(feature = "udp")]
        earliest(&mut next, self.send_datagrams(egress, neighbors));
        #[cfg(feature = "icmp")]
        earliest(&mut next, self.send_pings(egress, neighbors));
        // What could not be sent for lack of room is tried as if the news came again.
        self.neighbors = neighbors && egress.exhausted;
        next
    }

    /// When to look again, beside what sending asked for. When the driver is full it wakes the runner itself.
    fn deadline(&mut self, now: Instant, exhausted: bool) -> Option<Instant> {
        let mut next = None;
        if !exhausted {
            let timestamp = convert::instant(now);
            earliest(&mut next, self.iface.poll_at(timestamp, &self.others).map(convert::from_instant));
            #[cfg(feature = "tcp")]
            earliest(&mut next, self.iface.poll_at(timestamp, &self.tcp.sockets).map(convert::from_instant));
        }
        #[cfg(feature = "tcp")]
        earliest(&mut next, self.tcp.deadline());
        // smoltcp counts neither its membership reports nor, without other timers, its router solicitations and the
        // lifetimes of addresses.
        if now < self.soliciting_until.max(self.reporting_until) {
            earliest(&mut next, Some(now + UNCOUNTED));
        }
        #[cfg(feature = "ipv6")]
        if self.link_up && matches!(self.config.ipv6, Ipv6Config::Slaac) {
            earliest(&mut next, Some(now + LIFETIMES));
        }
        let _ = LIFETIMES;
        next
    }

    fn follow_link<D: Driver>(&mut self, driver: &mut D, cx: &mut Context<'_>) {
        let up = driver.link_state(cx) == LinkState::Up;
        let changed = device::medium(driver.hardware_address()).map(|(_, address)| address);
        if let Some(hardware) = changed
            && hardware != self.hardware
        {
            self.hardware = hardware;
            self.configure();
        }
        if up != self.link_up {
            info!("link {}", if up { "up" } else { "down" });
            self.link_up = up;
            self.tell(if up { Event::LinkUp } else { Event::LinkDown });
            // Another network may be behind it: neighbours, routers, the lease and group memberships begin anew.
            self.configure();
        }
    }

    /// Sets the interface up from nothing, as `config` says.
    pub(super) fn configure(&mut self) {
        let now = self.now();
        #[cfg(feature = "dhcp")]
        {
            let wanted = self.link_up && matches!(self.config.ipv4, Ipv4Config::Dhcp);
            self.dhcp.restart(&mut self.others, wanted);
            self.set_lease(Lease::default());
        }
        let config = interface_config(&self.config, self.hardware, &mut self.random);
        self.iface = Interface::new(config, &mut Nowhere(self.caps.clone()), convert::instant(now));
        self.apply();
        #[cfg(feature = "multicast")]
        self.groups.rejoin(&mut self.iface);
        self.soliciting_until = now + SOLICITING;
        self.tell_addresses();
        self.wake();
    }

    /// Puts the configured addresses and routes into effect; those that smoltcp learnt from routers stay.
    fn apply(&mut self) {
        #[cfg(feature = "ipv4")]
        {
            let (address, gateway) = match self.config.ipv4 {
                Ipv4Config::None => (None, None),
                #[cfg(feature = "dhcp")]
                Ipv4Config::Dhcp => match self.lease.address {
                    Some((address, gateway)) => (Some(address), gateway),
                    None => (None, None),
                },
                Ipv4Config::Static { address, gateway } => {
                    let cidr = smoltcp::wire::Ipv4Cidr::new(address.address(), address.network_length());
                    (Some(cidr), gateway)
                }
            };
            self.iface.update_ip_addrs(|addrs| {
                addrs.retain(|net| !matches!(net, IpCidr::Ipv4(_)));
                if let Some(address) = address {
                    // First, so that it is there whatever routers announce.
                    let _ = addrs.insert(0, IpCidr::Ipv4(address));
                }
            });
            let routes = self.iface.routes_mut();
            routes.remove_default_ipv4_route();
            if let Some(gateway) = gateway {
                let _ = routes.add_default_ipv4_route(gateway);
            }
        }
        #[cfg(feature = "ipv6")]
        {
            let (address, gateway) = match self.config.ipv6 {
                Ipv6Config::Static { address, gateway } => (Some(address), gateway),
                _ => (None, None),
            };
            let link_local = match self.config.ipv6 {
                Ipv6Config::None => None,
                _ => {
                    let prefix = Ipv6Cidr::new(Ipv6Cidr::LINK_LOCAL_PREFIX.address(), 64);
                    Ipv6Cidr::from_link_prefix(&prefix, self.hardware)
                }
            };
            self.iface.update_ip_addrs(|addrs| {
                let fixed = address.map(|a| Ipv6Cidr::new(a.address(), a.network_length()));
                for net in link_local.into_iter().chain(fixed).map(IpCidr::Ipv6) {
                    if !addrs.contains(&net) {
                        let _ = addrs.push(net);
                    }
                }
            });
            if let Some(gateway) = gateway {
                let _ = self.iface.routes_mut().add_default_ipv6_route(gateway);
            }
        }
    }

    /// Tells of addresses that came or went, whoever changed them.
    fn tell_addresses(&mut self) {
        if self.told == self.iface.ip_addrs() {
            return;
        }
        let now = heapless::Vec::from_slice(self.iface.ip_addrs()).unwrap_or_default();
        let before = core::mem::replace(&mut self.told, now);
        for net in &before {
            if !self.told.contains(net)
                && let Some(net) = convert::net(net)
            {
                self.tell(Event::AddressRemoved(net));
            }
        }
        for at in 0..self.told.len() {
            let net = self.told[at];
            if !before.contains(&net)
                && let Some(net) = convert::net(&net)
            {
                info!("address {}", Show(net));
                self.tell(Event::AddressAdded(net));
            }
        }
    }

    /// Takes over what the DHCP client has got or lost.
    #[cfg(feature = "dhcp")]
    fn follow_lease(&mut self) {
        let Dhcp::Active(handle) = self.dhcp else { return };
        let lease = match self.others.get_mut::<dhcpv4::Socket<'_>>(handle).poll() {
            None => return,
            Some(dhcpv4::Event::Deconfigured) => Lease::default(),
            Some(dhcpv4::Event::Configured(config)) => {
                let mut lease =
                    Lease { address: usable(config.address).map(|a| (a, config.router)), ..Lease::default() };
                lease.dns_servers.extend(config.dns_servers.iter().copied().take(limits::DNS_SERVERS));
                if let Some(packet) = config.packet {
                    let ntp = packet.options().filter(|option| option.kind == DHCP_NTP);
                    let servers = ntp.flat_map(|option| option.data.chunks_exact(4));
                    let servers = servers.map(|ip| Ipv4Address::new(ip[0], ip[1], ip[2], ip[3]));
                    lease.ntp_servers.extend(servers.take(limits::NTP_SERVERS));
                }
                lease
            }
        };
        self.set_lease(lease);
        self.apply();
    }

    #[cfg(feature = "dhcp")]
    fn set_lease(&mut self, lease: Lease) {
        let before = core::mem::replace(&mut self.lease, lease);
        if before == self.lease {
            return;
        }
        let event = if self.lease.address.is_some() { Event::LeaseAcquired } else { Event::LeaseLost };
        self.tell(event);
        if before.dns_servers != self.lease.dns_servers {
            self.tell(Event::DnsServersChanged);
        }
    }
}

/// Where a DHCP server's answers go.
const DHCP_CLIENT_PORT: u16 = 68;

/// A leased address, unless a server has gone mad: smoltcp panics on one that is not unicast.
#[cfg(feature = "dhcp")]
fn usable(address: Ipv4Cidr) -> Option<Ipv4Cidr> {
    let ip = address.address();
    (!ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast() && !ip.is_loopback()).then_some(address)
}

/// Makes `at` the earlier of the two.
fn earliest(at: &mut Option<Instant>, other: Option<Instant>) {
    if let Some(other) = other {
        *at = Some(at.map_or(other, |at| at.min(other)));
    }
}
