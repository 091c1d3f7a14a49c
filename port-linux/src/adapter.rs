//! Adapters: what the command line asks for, made into networks that scripts see.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use embassy_net_driver::Driver;
use net_core::cidr::{IpInet, Ipv4Inet};
use net_core::dns::Resolver;
use net_core::events::Status;
use net_core::nal::Interface;
use net_core::stack::{self, Config, HeapResources, PoolSizes, Stack};
use net_lua::{Adapter, NetAdapter, Role};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::args::{Net, Options};
use crate::console::tell;
use crate::device::seed;
use crate::host::{HostConfig, HostNet};
use crate::pcap::{Pcap, PcapFile};
use crate::routes::{free_network, name_servers, routes};
use crate::tap::{Tap, TapConfig, TapError};
use crate::user::{Forward, User, UserConfig, UserError};

mod spec;

pub(crate) use spec::{AdapterSpec, Link};

/// Sockets and buffers of one stack, all on the heap and there only while they are used. The command line may say how
/// many TCP sockets.
const SIZES: PoolSizes = PoolSizes { tcp: 1024, udp: 64, tcp_buffer: 64 * 1024, udp_buffer: 64 * 1024 };
/// DNS answers kept for each adapter.
const DNS_CACHE: usize = 64;
/// Where a user-mode network that nobody described leads to the device's web server: the first free one of these.
const WEB: std::ops::Range<u16> = 8080..8100;
/// How long an IPv4 address is waited for where there is an IPv6 address already.
const NO_IPV4: Duration = Duration::from_secs(3);
/// How long connections may take to close when the program ends.
const CLOSING: Duration = Duration::from_secs(5);
/// How often it is looked whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// What adapters have in common.
#[derive(Debug, Clone)]
struct Common {
    pcap: Option<PcapFile>,
    sizes: PoolSizes,
    /// The device's port for browsers.
    web: u16,
}

/// An open adapter.
pub(crate) struct Network {
    pub(crate) role: Role,
    /// What messages call it.
    name: String,
    pub(crate) adapter: Rc<dyn Adapter>,
    pub(crate) sockets: Sockets,
    /// The ports of this computer that lead to the device, where nothing else does.
    forwards: Option<Vec<Forward>>,
}

/// Where the sockets of an adapter come from.
pub(crate) enum Sockets {
    /// A stack of the device's own.
    Stack(Stack<'static>),
    /// The computer.
    Host(HostNet),
}

/// Why an adapter could not be opened.
#[derive(Debug)]
pub(crate) enum OpenError {
    Tap(TapError),
    User(UserError),
    /// The computer has not what was named.
    NoSuch(String),
    /// Something else, of which adapter.
    Failed(String, io::Error),
}

impl OpenError {
    /// Whether the command line is to blame, and not the computer.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::NoSuch(_) | Self::Tap(TapError::NotTap(_) | TapError::BadName(_)))
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tap(e) => e.fmt(f),
            Self::User(e) => e.fmt(f),
            Self::NoSuch(what) => f.write_str(what),
            Self::Failed(what, e) => write!(f, "{what}: {e}"),
        }
    }
}

impl Network {
    /// Whether all TCP connections of the adapter have been closed, and the other ends told.
    fn is_quiet(&self) -> bool {
        match &self.sockets {
            Sockets::Stack(stack) => stack.stats().tcp_sockets == 0,
            Sockets::Host(_) => true,
        }
    }

    /// Where a browser finds what listens on `local`, best first: a name or an address, and a port if it is not the usual
    /// one. None while the device has no address.
    pub(crate) fn places(&self, local: SocketAddr) -> Vec<String> {
        let at = |ip: IpAddr, port| match (ip, port) {
            (IpAddr::V6(ip), 80) => format!("[{ip}]"),
            (_, 80) => ip.to_string(),
            _ => SocketAddr::new(ip, port).to_string(),
        };
        let port = local.port();
        if let Some(forwards) = &self.forwards {
            let leading = forwards.iter().filter(|forward| !forward.udp && forward.guest == port);
            return leading.map(|forward| at(seen(forward.address), forward.host)).collect();
        }
        if !local.ip().is_unspecified() {
            return vec![at(local.ip(), port)];
        }
        let status = self.status();
        let fits = |ip: &IpAddr| !is_link_local(*ip) && !ip.is_loopback() && (ip.is_ipv4() || local.is_ipv6());
        let mut places: Vec<String> =
            status.addresses.iter().map(IpInet::address).filter(fits).map(|ip| at(ip, port)).collect();
        if self.is_whole_computer() {
            let port = if port == 80 { String::new() } else { format!(":{port}") };
            places.insert(0, format!("localhost{port}"));
        }
        places
    }

    fn status(&self) -> Status {
        match &self.sockets {
            Sockets::Stack(stack) => stack.status(),
            Sockets::Host(host) => host.status(),
        }
    }

    /// Whether it is every interface of the computer, loopback included.
    fn is_whole_computer(&self) -> bool {
        matches!(&self.sockets, Sockets::Host(host) if host.interface().is_none())
    }

    /// Starts a stack on `driver`, which then runs as long as the executor does. `name` is what messages call it.
    fn start<D: Driver + 'static>(
        role: Role,
        name: String,
        driver: D,
        config: Config,
        common: Common,
    ) -> Result<Self, OpenError> {
        // Sockets, which scripts keep as long as they like, refer to it. There are at most three in a program.
        let resources = Box::leak(Box::new(HeapResources::growing(common.sizes)));
        let (stack, mut runner) = stack::new(Pcap::new(driver, common.pcap), config, resources, seed())
            .map_err(|e| OpenError::Failed(name.clone(), io::Error::other(e)))?;
        tokio::task::spawn_local(async move { runner.run().await });
        let resolver = Resolver::<_, DNS_CACHE>::new(stack, seed());
        let adapter = Rc::new(NetAdapter::new(stack, resolver));
        Ok(Self { role, name, adapter, sockets: Sockets::Stack(stack), forwards: None })
    }

    fn tap(role: Role, spec: &AdapterSpec, common: Common) -> Result<Self, OpenError> {
        let mut config = TapConfig { name: None, mac: spec.mac, mtu: spec.mtu, host: spec.host.clone() };
        let tap = match &spec.link {
            Link::TapFd(fd) => Tap::from_fd(*fd, &config),
            Link::Tap(name) => {
                config.name = name.clone();
                Tap::open(&config)
            }
            Link::User | Link::Host(_) => return Err(OpenError::NoSuch("not a TAP interface".to_owned())),
        };
        let tap = tap.map_err(OpenError::Tap)?;
        let name = tap.name().to_owned();
        Self::start(role, format!("{name}{}", shown(role)), tap, stack_config(spec), common)
    }

    async fn user(role: Role, spec: &AdapterSpec, forwards: Vec<Forward>, common: Common) -> Result<Self, OpenError> {
        let config = UserConfig { mac: spec.mac, forwards };
        let user = User::open(&config).await.map_err(OpenError::User)?;
        let mut name = format!("user-mode network{}", shown(role));
        for forward in &config.forwards {
            let Forward { udp, address, host, guest } = forward;
            let outside = SocketAddr::new(seen(*address), *host);
            name += &match (udp, guest) {
                (false, &guest) if guest == common.web => format!(", http://{outside}/"),
                (false, _) => format!(", {outside} is its port {guest}"),
                (true, _) => format!(", UDP {outside} is its port {guest}"),
            };
        }
        let network = Self::start(role, name, user, stack_config(spec), common)?;
        Ok(Self { forwards: Some(config.forwards), ..network })
    }

    fn host(role: Role, spec: &AdapterSpec) -> Result<Self, OpenError> {
        let interface = if let Link::Host(interface) = &spec.link { interface.clone() } else { None };
        let config = HostConfig {
            interface: interface.clone(),
            addresses: spec.addresses.iter().map(IpInet::address).collect(),
            dns_servers: spec.dns.clone(),
            ..HostConfig::default()
        };
        let name = interface.map_or("host".to_owned(), |interface| format!("host:{interface}"));
        let net = HostNet::new(config).map_err(|_| OpenError::NoSuch(format!("{name}: there is no such interface")))?;
        let own = net.status().addresses;
        if let Some(foreign) = spec.addresses.iter().find(|ip| !own.iter().any(|own| own.address() == ip.address())) {
            let ip = foreign.address();
            return Err(OpenError::NoSuch(format!("ip={ip}: this computer has no such address there")));
        }
        let watcher = net.clone();
        tokio::task::spawn_local(async move {
            if let Err(e) = watcher.watch().await {
                log::warn!("changes to the computer's network are not seen: {e}");
            }
        });
        let resolver = Resolver::<_, DNS_CACHE>::new(net.clone(), seed());
        let adapter = Rc::new(NetAdapter::new(net.clone(), resolver));
        Ok(Self { role, name, adapter, sockets: Sockets::Host(net), forwards: None })
    }

    /// Waits until the adapter has the addresses that it gets from its network, or `deadline`, and says which the device
    /// has.
    pub(crate) async fn until_ready(&self, deadline: Instant) {
        let stack = match &self.sockets {
            Sockets::Stack(stack) => *stack,
            Sockets::Host(host) => {
                let own = host.status().addresses;
                let address = own.iter().map(IpInet::address).find(|ip| !is_link_local(*ip));
                let address = address.map_or(String::new(), |ip| format!(", {ip}"));
                let role = shown(self.role);
                return tell(format_args!("host network{role}: this computer's own addresses and ports{address}"));
            }
        };
        if timeout_at(deadline, stack.wait_configured()).await.is_err() {
            tell(format_args!("{}: no address yet; the network names none", self.name));
            let name = self.name.clone();
            tokio::task::spawn_local(async move {
                stack.wait_configured().await;
                announce(&name, stack);
            });
            return;
        }
        // IPv6 addresses come before DHCP has an answer.
        let mut events = stack.events().subscribe();
        let ipv4 = async {
            while stack.status().ipv4().is_none() {
                events.next().await;
            }
        };
        if timeout(NO_IPV4, ipv4).await.is_err() {
            log::debug!("{}: no IPv4 address yet", self.name);
        }
        announce(&self.name, stack);
    }
}

/// Says which addresses the device has.
fn announce(name: &str, stack: Stack<'static>) {
    let addresses = stack.status().addresses;
    let addresses = addresses.iter().map(IpInet::address).filter(|ip| !is_link_local(*ip));
    let addresses: Vec<String> = addresses.map(|ip| ip.to_string()).collect();
    tell(format_args!("{name}, this device is {}", addresses.join(" and ")));
}

/// Waits until the other ends of all connections know that they are closed, for a few seconds at most.
pub(crate) async fn until_quiet(networks: &[Network]) {
    let quiet = async {
        while !networks.iter().all(Network::is_quiet) {
            sleep(LOOK_AGAIN).await;
        }
    };
    if timeout(CLOSING, quiet).await.is_err() {
        log::debug!("some connections were not closed in time");
    }
}

/// Nothing for the usual role.
fn shown(role: Role) -> &'static str {
    match role {
        Role::Eth => "",
        Role::Sta => " (station)",
        Role::Ap => " (access point)",
    }
}

/// Where a port is found that is bound to `address` of this computer.
fn seen(address: IpAddr) -> IpAddr {
    if address.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { address }
}

fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// Each IP version without an address of its own gets one from the network.
fn stack_config(spec: &AdapterSpec) -> Config {
    let mut config = Config::new();
    for address in &spec.addresses {
        let gateways = spec.gateways.iter();
        match address {
            IpInet::V4(v4) => {
                let gateway = gateways.copied().find_map(|gw| if let IpAddr::V4(gw) = gw { Some(gw) } else { None });
                config = config.with_ipv4(*v4, gateway);
            }
            IpInet::V6(v6) => {
                let gateway = gateways.copied().find_map(|gw| if let IpAddr::V6(gw) = gw { Some(gw) } else { None });
                config = config.with_ipv6(*v6, gateway);
            }
        }
    }
    // The command line has no more than there is room for.
    config.dns_servers.extend(spec.dns.iter().copied().take(net_core::limits::DNS_SERVERS));
    let _ = config.host_name.push_str("lunet");
    config
}

/// Opens what the command line names or, where it names nothing, what is best. `web` is the device's port for browsers.
pub(crate) async fn open(options: &Options, web: u16) -> Result<Vec<Network>, OpenError> {
    let pcap = match &options.pcap {
        Some(path) => Some(
            PcapFile::create(path)
                .map_err(|e| OpenError::Failed(format!("--pcap: cannot write {}", path.display()), e))?,
        ),
        None => None,
    };
    let sizes = PoolSizes { tcp: options.sockets.unwrap_or(SIZES.tcp), ..SIZES };
    let common = Common { pcap, sizes, web };
    let host = || Network::host(Role::Eth, &AdapterSpec::new(Link::Host(None)));
    if options.adapters.is_empty() {
        return Ok(vec![match options.net {
            Net::Tap => own_tap(common)?,
            Net::User => own_user(common).await?,
            Net::Host => host()?,
            Net::Auto => match own_tap(common.clone()) {
                Ok(network) => network,
                Err(e) => {
                    log::debug!("no TAP interface: {e}");
                    match own_user(common).await {
                        Ok(network) => network,
                        Err(e) => {
                            log::warn!("no network of the device's own: {e}");
                            host()?
                        }
                    }
                }
            },
        }]);
    }
    let mut networks = Vec::new();
    for (role, spec) in &options.adapters {
        let common = common.clone();
        networks.push(match spec.link {
            Link::Tap(_) | Link::TapFd(_) => Network::tap(*role, spec, common)?,
            Link::User => Network::user(*role, spec, spec.forwards.clone(), common).await?,
            Link::Host(_) => Network::host(*role, spec)?,
        });
    }
    Ok(networks)
}

/// A TAP interface with addresses that clash with no network of the computer.
fn own_tap(common: Common) -> Result<Network, OpenError> {
    let name = "TAP interface";
    let routes = routes();
    let network = free_network(&routes)
        .ok_or_else(|| OpenError::Failed(name.to_owned(), io::Error::other("all of 10.0.0.0/16 is in use")))?;
    let [a, b, c, _] = network.first_address().octets();
    let address = |last| {
        let address = Ipv4Inet::new(Ipv4Addr::new(a, b, c, last), 24);
        address.map_err(|e| OpenError::Failed(name.to_owned(), io::Error::other(e)))
    };
    let (computer, device) = (address(1)?, address(2)?);
    let mut spec = AdapterSpec::new(Link::Tap(None));
    spec.addresses.push(device.into());
    spec.gateways.push(computer.address().into());
    spec.host.push(computer.into());
    // Beyond the computer the device gets only where the computer is a router.
    let forwards = std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").is_ok_and(|on| on.trim() == "1");
    if forwards {
        spec.dns = name_servers().into_iter().filter(|ip| !ip.is_loopback()).collect();
    }
    Network::tap(Role::Eth, &spec, common)
}

/// A user-mode network of which nothing was said: it leads at least to the device's web server.
async fn own_user(common: Common) -> Result<Network, OpenError> {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let free = |port: &u16| TcpListener::bind((address, *port)).is_ok();
    let web = WEB.into_iter().find(free).map(|host| Forward { udp: false, address, host, guest: common.web });
    Network::user(Role::Eth, &AdapterSpec::new(Link::User), web.into_iter().collect(), common).await
}
