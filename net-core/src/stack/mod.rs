//! The network stack: smoltcp 0.14, in the shape of an async stack.
//!
//! [`new`] takes a driver, a [`Config`] and [`Resources`], the memory; it gives a [`Stack`], a handle to copy to whoever
//! wants sockets, and a [`Runner`], whose [`run`](Runner::run) must be polled for anything to happen. One interface is
//! one stack: a device that is a Wi-Fi station and an access point has two.
//!
//! ```
//! use net_core::driver::Driver;
//! use net_core::nal::{Read, TcpListener, Write};
//! use net_core::stack::{Config, Resources};
//! use net_core::{Error, stack};
//! # struct SocketAddrs;
//!
//! async fn hello(driver: impl Driver, seed: u64) -> Result<(), Error> {
//!     let mut resources = Resources::<2, 1, 2048, 1536>::new();
//!     let (stack, mut runner) = stack::new(driver, Config::new(), &mut resources, seed)?;
//!     let serve = async {
//!         let mut listener = stack.listen("0.0.0.0:80".parse().map_err(|_| Error::InvalidInput)?, 2)?;
//!         loop {
//!             let mut socket = listener.accept().await?;
//!             socket.write_all(b"hello\n").await?;
//!         }
//!     };
//!     match embassy_futures::select::select(runner.run(), serve).await {
//!         embassy_futures::select::Either::First(never) => match never {},
//!         embassy_futures::select::Either::Second(result) => result,
//!     }
//! }
//! ```
//!
//! # What it adds to smoltcp
//!
//! Sockets that close in order when dropped; errors that say what happened; a listener that makes clients wait while
//! every socket is busy; UDP in which a host that has vanished delays nobody else; bind conflicts and exhaustion as
//! errors; multicast reports the right way round; every timer kept. No type of smoltcp appears in a public signature.
//!
//! # What it does not do
//!
//! IP fragments, in either direction; path MTU discovery; connections of a device to itself (there is no loopback
//! interface); duplicate address detection; DNS servers from router advertisements; IGMPv3; routing between
//! interfaces; TCP selective acknowledgement.

// With every feature on, nothing here is unused; to say of each helper which features use it would only be noise.
#![cfg_attr(
    not(all(feature = "dhcp", feature = "icmp", feature = "ipv6", feature = "tcp", feature = "udp")),
    allow(dead_code, unused_imports, irrefutable_let_patterns, clippy::question_mark)
)]

mod config;
mod convert;
mod device;
#[cfg(feature = "icmp")]
mod echo;
#[cfg(feature = "tcp")]
mod listen;
#[cfg(feature = "multicast")]
mod multicast;
#[cfg(feature = "tcp")]
mod recovery;
mod resources;
mod run;
mod table;
#[cfg(feature = "tcp")]
mod tcp;
#[cfg(feature = "tcp")]
mod tcp_pool;
#[cfg(feature = "udp")]
mod udp;
mod wire;

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::net::IpAddr;
use core::task::{Poll, Waker};

use embassy_net_driver::{Driver, LinkState};
#[cfg(any(feature = "udp", feature = "icmp"))]
use embassy_time::Duration;
use embassy_time::Instant;
use heapless::Vec;
use smoltcp::iface::{Interface, SocketSet, SocketStorage};
use smoltcp::phy::DeviceCapabilities;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

pub use config::Config;
#[cfg(feature = "ipv4")]
pub use config::Ipv4Config;
#[cfg(feature = "ipv6")]
pub use config::Ipv6Config;
#[cfg(feature = "icmp")]
pub use echo::PingOptions;
#[cfg(feature = "tcp")]
pub use listen::TcpListener;
pub use resources::Resources;
#[cfg(feature = "alloc")]
pub use resources::{HeapResources, PoolSizes};
#[cfg(feature = "tcp")]
pub use tcp::{TcpReader, TcpSocket, TcpWriter};
#[cfg(feature = "udp")]
pub use udp::{ConnectedUdpSocket, UdpSocket};

use crate::events::{Event, EventLog, Status};
use crate::random::{self, Random};
use crate::{Error, limits};

/// The time to live and hop limit of a socket that has set none (RFC 1700, as IANA has it).
const DEFAULT_HOP_LIMIT: u8 = 64;

/// smoltcp sends one request for address resolution in a second, whomever it is for. A destination that has just been
/// asked for waits longer than that, by more than [`TRY_AGAIN`], so that the others come before it the next time.
#[cfg(any(feature = "udp", feature = "icmp"))]
const ASKED_AGAIN: Duration = Duration::from_millis(1300);
/// How soon a destination is tried again that could not be asked for.
#[cfg(any(feature = "udp", feature = "icmp"))]
const TRY_AGAIN: Duration = Duration::from_millis(250);

/// Makes a stack on `driver`. Nothing happens until the [`Runner`] runs.
///
/// `seed` is what local ports, sequence numbers and transaction ids are drawn from: take it from a random number
/// generator, anew at each boot.
///
/// # Errors
/// - [`Error::Unsupported`]: the driver's medium is neither Ethernet nor IP.
/// - [`Error::InvalidInput`]: an address in `config` is not a unicast address.
pub fn new<'d, D: Driver, const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize>(
    mut driver: D,
    config: Config,
    resources: &'d mut Resources<'d, TCP, UDP, TCP_BUFFER, UDP_BUFFER>,
    seed: u64,
) -> Result<(Stack<'d>, Runner<'d, D>), Error> {
    config::check(&config)?;
    let (medium, hardware) = device::medium(driver.hardware_address()).ok_or(Error::Unsupported)?;
    let caps = device::capabilities(&driver.capabilities(), medium);
    let mut random = Random::new(seed);
    let iface = Interface::new(
        run::interface_config(&config, hardware, &mut random),
        &mut device::Nowhere(caps.clone()),
        convert::instant(Instant::now()),
    );
    #[cfg(feature = "alloc")]
    let growing = resources.growing;
    let link_up = driver.link_state(&mut core::task::Context::from_waker(Waker::noop())) == LinkState::Up;

    let mut inner = Inner {
        #[cfg(feature = "dhcp")]
        dhcp: run::Dhcp::Idle(run::dhcp_client(&mut resources.dhcp, &config)),
        others: SocketSet::new(&mut resources.others.make([SocketStorage::EMPTY])[..]),
        iface,
        caps,
        hardware,
        link_up,
        #[cfg(all(feature = "tcp", feature = "alloc"))]
        tcp: match growing {
            Some(sizes) => tcp_pool::Pool::growing(sizes.tcp, sizes.tcp_buffer),
            None => resources.tcp.pool(),
        },
        #[cfg(all(feature = "tcp", not(feature = "alloc")))]
        tcp: resources.tcp.pool(),
        #[cfg(feature = "tcp")]
        listeners: listen::Listeners::new(),
        #[cfg(feature = "udp")]
        udp: resources.udp.pool(
            #[cfg(feature = "alloc")]
            growing,
        ),
        #[cfg(feature = "icmp")]
        echo: echo::Echo::new(
            resources.echo_storage.make([SocketStorage::EMPTY]),
            &mut resources.echo,
            random.next_u64() as u16,
        ),
        #[cfg(feature = "multicast")]
        groups: multicast::Groups::new(),
        random,
        config,
        stats: Stats::default(),
        waker: None,
        told: Vec::new(),
        lease: Lease::default(),
        pending: Vec::new(),
        soliciting_until: Instant::MIN,
        reporting_until: Instant::MIN,
        neighbors: false,
    };
    inner.configure();
    let shared = Shared { inner: RefCell::new(inner), events: EventLog::new() };
    let stack = Stack { shared: resources.shared.make(shared) };
    Ok((stack, Runner { driver, stack }))
}

/// A handle to a network stack: for making sockets, and for asking how the interface is.
///
/// Its sockets are made by [`connect`](Self::connect), [`listen`](Self::listen) and [`bind`](Self::bind), or by the
/// traits of [`nal`](crate::nal) and of embedded-nal-async, all of which it implements.
#[derive(Clone, Copy)]
pub struct Stack<'d> {
    shared: &'d Shared<'d>,
}

struct Shared<'d> {
    inner: RefCell<Inner<'d>>,
    // Outside the cell, so that readers need not borrow it.
    events: EventLog,
}

/// What a stack has had to give up on, and what it has in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// TCP sockets that are not free: open ones, and closed ones that still have to tell their peers. (One that only
    /// waits for late segments, in TIME-WAIT, is free for whoever needs it.)
    pub tcp_sockets: usize,
    /// UDP sockets in use.
    pub udp_sockets: usize,
    /// Connection requests that wait for a socket now.
    pub waiting_requests: usize,
    /// Connection requests that have ever had to wait.
    pub held_requests: u32,
    /// How often a lost segment was repeated sooner than smoltcp would have.
    pub repairs: u32,
    /// Datagrams dropped because their destination did not answer address resolution.
    pub unresolved: u32,
}

impl Stack<'_> {
    /// Works on the state, then tells the events that came of it.
    fn with<R>(self, f: impl FnOnce(&mut Inner<'_>) -> R) -> R
    where
        Self: Sized,
    {
        // Only `with` borrows the cell, and nothing that it is given calls it again: this cannot fail.
        let mut inner = self.shared.inner.borrow_mut();
        let result = f(&mut inner);
        let is_told = inner.pending.is_empty();
        drop(inner);
        if !is_told {
            self.tell();
        }
        result
    }

    /// Tells the events that are pending. Not inlined: whatever is done with a socket ends with it.
    #[cold]
    #[inline(never)]
    fn tell(self) {
        let events = core::mem::take(&mut self.shared.inner.borrow_mut().pending);
        for event in events {
            self.shared.events.push(event);
        }
    }

    /// The state of the interface now.
    pub fn status(self) -> Status {
        self.with(|inner| inner.status())
    }

    /// What happens to the interface.
    pub fn events(&self) -> &EventLog {
        &self.shared.events
    }

    /// What is in use, and what was given up.
    pub fn stats(self) -> Stats {
        self.with(|inner| Stats {
            #[cfg(feature = "tcp")]
            tcp_sockets: inner.tcp.in_use(),
            #[cfg(feature = "tcp")]
            waiting_requests: inner.listeners.waiting(),
            #[cfg(feature = "udp")]
            udp_sockets: inner.udp.in_use(),
            ..inner.stats
        })
    }

    /// Waits until the interface has an address that other hosts can be reached from.
    ///
    /// There may never be one; a caller that cannot wait for ever adds a timeout.
    pub async fn wait_configured(self) {
        let mut events = self.shared.events.subscribe();
        while !self.status().is_configured() {
            events.next().await;
        }
    }

    /// Gives the interface another IPv4 configuration. Connections from the old address are not closed; they time out.
    ///
    /// # Errors
    /// [`Error::InvalidInput`]: not a unicast address.
    #[cfg(feature = "ipv4")]
    pub fn set_ipv4(self, ipv4: Ipv4Config) -> Result<(), Error> {
        self.set_config(|config| config.ipv4 = ipv4)
    }

    /// Gives the interface another IPv6 configuration.
    ///
    /// # Errors
    /// [`Error::InvalidInput`]: not a unicast address.
    #[cfg(feature = "ipv6")]
    pub fn set_ipv6(self, ipv6: Ipv6Config) -> Result<(), Error> {
        self.set_config(|config| config.ipv6 = ipv6)
    }

    fn set_config(self, change: impl FnOnce(&mut Config)) -> Result<(), Error> {
        self.with(|inner| {
            let mut config = inner.config.clone();
            change(&mut config);
            config::check(&config)?;
            inner.config = config;
            inner.configure();
            Ok(())
        })
    }
}

impl core::fmt::Debug for Stack<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stack").field("status", &self.status()).finish()
    }
}

impl crate::nal::Interface for Stack<'_> {
    fn status(&self) -> Status {
        Stack::status(*self)
    }

    fn events(&self) -> &EventLog {
        Stack::events(self)
    }
}

/// The motor of a [`Stack`].
pub struct Runner<'d, D> {
    driver: D,
    stack: Stack<'d>,
}

impl<D: Driver> Runner<'_, D> {
    /// Receives, sends and keeps the timers. It never ends.
    pub async fn run(&mut self) -> Infallible {
        poll_fn(|cx| {
            let driver = &mut self.driver;
            self.stack.with(|inner| inner.poll(driver, cx));
            Poll::Pending
        })
        .await
    }
}

/// What the DHCP server said beside the address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Lease {
    #[cfg(feature = "dhcp")]
    address: Option<(smoltcp::wire::Ipv4Cidr, Option<core::net::Ipv4Addr>)>,
    #[cfg(feature = "dhcp")]
    dns_servers: Vec<core::net::Ipv4Addr, { limits::DNS_SERVERS }>,
    #[cfg(feature = "dhcp")]
    ntp_servers: Vec<core::net::Ipv4Addr, { limits::NTP_SERVERS }>,
}

/// All of a stack but its driver.
struct Inner<'d> {
    iface: Interface,
    caps: DeviceCapabilities,
    hardware: HardwareAddress,
    link_up: bool,
    config: Config,
    /// The DHCP client.
    #[cfg_attr(not(feature = "dhcp"), allow(dead_code))]
    others: SocketSet<'d>,
    #[cfg(feature = "dhcp")]
    dhcp: run::Dhcp<'d>,
    #[cfg(feature = "tcp")]
    tcp: tcp_pool::Pool<'d>,
    #[cfg(feature = "tcp")]
    listeners: listen::Listeners,
    #[cfg(feature = "udp")]
    udp: udp::Pool<'d>,
    #[cfg(feature = "icmp")]
    echo: echo::Echo<'d>,
    #[cfg(feature = "multicast")]
    groups: multicast::Groups,
    random: Random,
    stats: Stats,
    /// The runner's.
    waker: Option<Waker>,
    /// The addresses that events have told of.
    told: Vec<IpCidr, { limits::ADDRESSES }>,
    lease: Lease,
    /// Events to be told when the state is no longer borrowed.
    pending: Vec<Event, { limits::EVENTS }>,
    /// Router solicitations may be due until then; smoltcp's own deadline for them is unreliable.
    soliciting_until: Instant,
    /// So may membership reports.
    reporting_until: Instant,
    /// A neighbour has answered since datagrams were last sent.
    neighbors: bool,
}

impl Inner<'_> {
    fn now(&self) -> Instant {
        Instant::now()
    }

    /// Has the runner look at what has changed.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    fn tell(&mut self, event: Event) {
        // A reader that would have seen more than fits is told by the log that it missed some.
        let _ = self.pending.push(event);
    }

    /// Whether a socket may be bound to this address.
    fn check_local(&self, ip: IpAddr) -> Result<(), Error> {
        let own = convert::ip(ip).is_some_and(|ip| self.iface.has_ip_addr(ip));
        if ip.is_unspecified() || own { Ok(()) } else { Err(Error::AddressNotAvailable) }
    }

    /// The address that packets to `to` are sent from.
    fn source_for(&self, to: IpAddress) -> Result<IpAddress, Error> {
        let source = self.iface.get_source_address(&to).ok_or(Error::Unreachable)?;
        // smoltcp answers with the loopback address where it has none of that version.
        let usable = self.link_up && self.iface.has_ip_addr(source) && !self.iface.has_ip_addr(to);
        if usable && self.has_route(to) { Ok(source) } else { Err(Error::Unreachable) }
    }

    fn has_route(&self, to: IpAddress) -> bool {
        if to.is_multicast() || to.is_broadcast() || self.iface.ip_addrs().iter().any(|net| net.contains_addr(&to)) {
            return true;
        }
        match to {
            #[cfg(feature = "ipv4")]
            IpAddress::Ipv4(_) => self.iface.routes().get_default_ipv4_route().is_some(),
            #[cfg(feature = "ipv6")]
            IpAddress::Ipv6(_) => self.iface.routes().get_default_ipv6_route().is_some(),
        }
    }

    /// Some own address of that IP version.
    #[cfg(feature = "udp")]
    fn any_address(&self, v6: bool) -> Option<IpAddr> {
        self.iface.ip_addrs().iter().map(|net| IpAddr::from(net.address())).find(|ip| ip.is_ipv6() == v6)
    }

    /// A random free port.
    #[cfg(any(feature = "tcp", feature = "udp"))]
    fn ephemeral_port(&mut self, is_used: impl Fn(&Self, u16) -> bool) -> u16 {
        let random = self.random.next_u64();
        random::free_port(random, |port| is_used(self, port))
    }

    fn status(&self) -> Status {
        let mut status = Status { link_up: self.link_up, ..Status::default() };
        status.hardware_address = match self.hardware {
            HardwareAddress::Ethernet(mac) => Some(mac.0),
            _ => None,
        };
        status.addresses = self.iface.ip_addrs().iter().filter_map(convert::net).collect();
        #[cfg(feature = "ipv4")]
        if let Some(route) = self.iface.routes().get_default_ipv4_route()
            && let IpAddr::V4(router) = route.via_router.into()
        {
            status.gateway_v4 = Some(router);
        }
        #[cfg(feature = "ipv6")]
        if let Some(route) = self.iface.routes().get_default_ipv6_route()
            && let IpAddr::V6(router) = route.via_router.into()
        {
            status.gateway_v6 = Some(router);
        }
        status.dns_servers = self.config.dns_servers.clone();
        #[cfg(feature = "dhcp")]
        {
            for server in &self.lease.dns_servers {
                let server = IpAddr::V4(*server);
                if !status.dns_servers.contains(&server) {
                    let _ = status.dns_servers.push(server);
                }
            }
            status.ntp_servers = self.lease.ntp_servers.clone();
        }
        status
    }
}
