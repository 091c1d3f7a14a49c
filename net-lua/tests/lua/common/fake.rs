//! A network in memory: hosts with addresses, TCP that neither loses nor delays, UDP, names.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{pending, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use embassy_time::{Duration, Timer};
use net_core::Error;
use net_core::events::{Event, EventLog, Status};
use net_lua::adapter::{
    Adapter, Addresses, ConnectOptions, Datagrams, DnsError, Family, Listener, LocalFuture, Stream, StreamReader,
    StreamWriter,
};

/// Bytes in flight towards a peer that does not read.
pub(crate) const WINDOW: usize = 5840;
/// Bytes that a host keeps for sending.
const SEND_BUFFER: usize = 2048;
/// Largest UDP payload.
pub(crate) const MTU: usize = 1472;

/// What happens to a name.
#[derive(Clone)]
pub(crate) enum Name {
    Is(Vec<IpAddr>),
    /// A server says no.
    IsNot,
    /// Nobody answers, which takes so long to find out.
    Silence(Duration),
}

type Shared<T> = Rc<RefCell<T>>;

#[derive(Default)]
struct World {
    wakers: Vec<Waker>,
    listeners: HashMap<SocketAddr, VecDeque<FakeStream>>,
    datagrams: HashMap<SocketAddr, VecDeque<(SocketAddr, Vec<u8>, u8)>>,
    groups: HashSet<(IpAddr, IpAddr)>,
    hosts: Vec<IpAddr>,
    /// Addresses that answer nothing.
    dead: HashSet<IpAddr>,
    names: HashMap<String, Name>,
    next_port: u16,
    streams: usize,
    /// Whether UDP sockets have no room.
    full: bool,
}

impl World {
    fn wake(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
    }

    fn port(&mut self) -> u16 {
        self.next_port += 1;
        49_151 + self.next_port
    }
}

/// The network.
#[derive(Clone, Default)]
pub(crate) struct Net(Shared<World>);

impl Net {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A host with an address.
    pub(crate) fn host(&self, address: &str) -> Rc<Host> {
        let address = address.parse().unwrap();
        self.0.borrow_mut().hosts.push(address);
        let mut status = Status::default();
        status.link_up = true;
        let cidr = match address {
            IpAddr::V4(_) => format!("{address}/24"),
            IpAddr::V6(_) => format!("{address}/64"),
        };
        status.addresses.push(cidr.parse().unwrap()).unwrap();
        Rc::new(Host {
            net: self.clone(),
            address,
            status: RefCell::new(status),
            events: EventLog::new(),
            dns: Default::default(),
            lookups: Cell::new(0),
        })
    }

    pub(crate) fn name(&self, name: &str, what: Name) {
        self.0.borrow_mut().names.insert(name.into(), what);
    }

    /// From now on nothing answers at this address.
    pub(crate) fn kill(&self, address: &str) {
        self.0.borrow_mut().dead.insert(address.parse().unwrap());
    }

    /// How many TCP sockets there are.
    pub(crate) fn streams(&self) -> usize {
        self.0.borrow().streams
    }

    pub(crate) fn set_full(&self, full: bool) {
        let mut world = self.0.borrow_mut();
        world.full = full;
        world.wake();
    }

    /// Waits until `check` has a value.
    async fn wait<T>(&self, mut check: impl FnMut(&mut World) -> Option<T>) -> T {
        poll_fn(|cx| self.poll(cx, &mut check)).await
    }

    fn poll<T>(&self, cx: &mut Context<'_>, check: &mut impl FnMut(&mut World) -> Option<T>) -> Poll<T> {
        let mut world = self.0.borrow_mut();
        match check(&mut world) {
            Some(value) => {
                world.wake();
                Poll::Ready(value)
            }
            None => {
                world.wakers.push(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// One host: an adapter.
pub(crate) struct Host {
    net: Net,
    pub(crate) address: IpAddr,
    pub(crate) status: RefCell<Status>,
    events: EventLog,
    dns: [Cell<Option<IpAddr>>; 2],
    pub(crate) lookups: Cell<usize>,
}

impl Host {
    pub(crate) fn tell(&self, event: Event) {
        self.events.push(event);
    }

    fn own(&self, local: SocketAddr) -> Result<IpAddr, Error> {
        match local.ip() {
            ip if ip.is_unspecified() || ip == self.address => Ok(self.address),
            _ => Err(Error::AddressNotAvailable),
        }
    }
}

impl Adapter for Host {
    fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    fn events(&self) -> &EventLog {
        &self.events
    }

    fn connect(&self, remote: SocketAddr, options: ConnectOptions) -> LocalFuture<'_, Result<Box<dyn Stream>, Error>> {
        Box::pin(async move {
            if self.net.0.borrow().dead.contains(&remote.ip()) {
                Timer::after(Duration::from_secs(30)).await;
                return Err(Error::TimedOut);
            }
            if !self.net.0.borrow().hosts.contains(&remote.ip()) {
                return Err(Error::Unreachable);
            }
            // A round trip.
            Timer::after(Duration::from_millis(1)).await;
            let mut world = self.net.0.borrow_mut();
            let local = SocketAddr::new(self.address, world.port());
            let Some(queue) = world.listeners.get_mut(&remote) else { return Err(Error::Refused) };
            let (mut near, far) = FakeStream::pair(&self.net, local, remote);
            near.hop_limit = options.hop_limit;
            queue.push_back(far);
            world.streams += 2;
            world.wake();
            drop(world);
            Ok(Box::new(near) as Box<dyn Stream>)
        })
    }

    fn listen(&self, local: SocketAddr, _backlog: usize) -> LocalFuture<'_, Result<Box<dyn Listener>, Error>> {
        Box::pin(async move {
            let mut local = SocketAddr::new(self.own(local)?, local.port());
            let mut world = self.net.0.borrow_mut();
            if local.port() == 0 {
                local.set_port(world.port());
            }
            if world.listeners.contains_key(&local) {
                return Err(Error::AddressInUse);
            }
            world.listeners.insert(local, VecDeque::new());
            drop(world);
            Ok(Box::new(FakeListener { net: self.net.clone(), local }) as Box<dyn Listener>)
        })
    }

    fn bind(&self, local: SocketAddr) -> LocalFuture<'_, Result<Box<dyn Datagrams>, Error>> {
        Box::pin(async move {
            let mut local = SocketAddr::new(self.own(local)?, local.port());
            let mut world = self.net.0.borrow_mut();
            if local.port() == 0 {
                local.set_port(world.port());
            }
            if world.datagrams.contains_key(&local) {
                return Err(Error::AddressInUse);
            }
            world.datagrams.insert(local, VecDeque::new());
            drop(world);
            Ok(Box::new(FakeUdp { net: self.net.clone(), local, hop_limit: 64 }) as Box<dyn Datagrams>)
        })
    }

    fn join_group(&self, group: IpAddr) -> Result<(), Error> {
        if !group.is_multicast() {
            return Err(Error::InvalidInput);
        }
        self.net.0.borrow_mut().groups.insert((self.address, group));
        Ok(())
    }

    fn leave_group(&self, group: IpAddr) -> Result<(), Error> {
        let left = self.net.0.borrow_mut().groups.remove(&(self.address, group));
        if left { Ok(()) } else { Err(Error::InvalidInput) }
    }

    fn lookup<'a>(&'a self, name: &'a str, _: Family) -> LocalFuture<'a, Result<Addresses, DnsError>> {
        Box::pin(async move {
            self.lookups.set(self.lookups.get() + 1);
            let what = self.net.0.borrow().names.get(name).cloned().unwrap_or(Name::IsNot);
            Timer::after(Duration::from_millis(10)).await;
            match what {
                Name::Is(addresses) => Ok(addresses.into_iter().collect()),
                Name::IsNot => Err(DnsError::NotFound),
                Name::Silence(time) => {
                    Timer::after(time).await;
                    Err(DnsError::TimedOut)
                }
            }
        })
    }

    fn dns_server(&self, slot: usize) -> Option<IpAddr> {
        self.dns[slot].get()
    }

    fn set_dns_server(&self, slot: usize, server: IpAddr) {
        self.dns[slot].set(Some(server));
    }

    fn run(&self) -> LocalFuture<'_, ()> {
        Box::pin(pending())
    }
}

/// One direction of a connection.
#[derive(Default)]
struct Direction {
    /// Written and not received by the other host: unacknowledged.
    sending: VecDeque<u8>,
    /// Received and not read.
    received: VecDeque<u8>,
    finished: bool,
}

impl Direction {
    /// What the wire does.
    fn flow(&mut self) {
        let room = WINDOW.saturating_sub(self.received.len()).min(self.sending.len());
        self.received.extend(self.sending.drain(..room));
    }
}

#[derive(Default)]
struct Tcp {
    directions: [Direction; 2],
    /// What ends it, for each side.
    failure: [Option<Error>; 2],
}

/// One end of a connection.
pub(crate) struct FakeStream {
    net: Net,
    tcp: Shared<Tcp>,
    /// Which direction is the one it writes to.
    side: usize,
    local: SocketAddr,
    peer: SocketAddr,
    hop_limit: u8,
}

impl FakeStream {
    fn pair(net: &Net, local: SocketAddr, remote: SocketAddr) -> (Self, Self) {
        let tcp: Shared<Tcp> = Shared::default();
        let one = |side, local, peer| Self { net: net.clone(), tcp: tcp.clone(), side, local, peer, hop_limit: 64 };
        (one(0, local, remote), one(1, remote, local))
    }

    fn read_now(&self, buffer: &mut [u8]) -> Option<Result<usize, Error>> {
        let mut tcp = self.tcp.borrow_mut();
        if let Some(error) = tcp.failure[self.side] {
            return Some(Err(error));
        }
        let direction = &mut tcp.directions[1 - self.side];
        direction.flow();
        let length = buffer.len().min(direction.received.len());
        for (place, byte) in buffer.iter_mut().zip(direction.received.drain(..length)) {
            *place = byte;
        }
        direction.flow();
        (length > 0 || direction.finished && direction.sending.is_empty()).then_some(Ok(length))
    }

    fn write_now(&self, data: &[u8]) -> Option<Result<usize, Error>> {
        let mut tcp = self.tcp.borrow_mut();
        if let Some(error) = tcp.failure[self.side] {
            return Some(Err(error));
        }
        let direction = &mut tcp.directions[self.side];
        let length = data.len().min(SEND_BUFFER.saturating_sub(direction.sending.len()));
        direction.sending.extend(&data[..length]);
        direction.flow();
        (length > 0).then_some(Ok(length))
    }

    fn unacknowledged_now(&self) -> Result<usize, Error> {
        let mut tcp = self.tcp.borrow_mut();
        if let Some(error) = tcp.failure[self.side] {
            return Err(error);
        }
        let direction = &mut tcp.directions[self.side];
        direction.flow();
        Ok(direction.sending.len())
    }

    fn finish_now(&self) {
        self.tcp.borrow_mut().directions[self.side].finished = true;
        self.net.0.borrow_mut().wake();
    }

    fn reset(&self, ours: Error, theirs: Error) {
        let mut tcp = self.tcp.borrow_mut();
        tcp.failure[self.side].get_or_insert(ours);
        tcp.failure[1 - self.side].get_or_insert(theirs);
        drop(tcp);
        self.net.0.borrow_mut().wake();
    }
}

impl Drop for FakeStream {
    fn drop(&mut self) {
        self.finish_now();
        self.net.0.borrow_mut().streams -= 1;
    }
}

impl Stream for FakeStream {
    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    fn split(&mut self) -> (Box<dyn StreamReader + '_>, Box<dyn StreamWriter + '_>) {
        (Box::new(Half(self)), Box::new(Half(self)))
    }

    fn abort(&mut self) {
        self.reset(Error::Aborted, Error::Reset);
    }

    fn set_no_delay(&mut self, _: bool) {}

    fn set_keep_alive(&mut self, _: Option<Duration>) {}

    fn set_timeout(&mut self, _: Option<Duration>) {}

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        self.hop_limit = hop_limit;
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.hop_limit
    }
}

struct Half<'a>(&'a FakeStream);

impl StreamReader for Half<'_> {
    fn read<'a>(&'a mut self, buffer: &'a mut [u8]) -> LocalFuture<'a, Result<usize, Error>> {
        Box::pin(async move { self.0.net.wait(|_| self.0.read_now(buffer)).await })
    }

    fn readable(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let stream = self.0;
            let is_readable = |_: &mut World| {
                let tcp = stream.tcp.borrow();
                let direction = &tcp.directions[1 - stream.side];
                let has_data = !direction.received.is_empty() || direction.finished;
                tcp.failure[stream.side].map(Err).or(has_data.then_some(Ok(())))
            };
            stream.net.wait(is_readable).await
        })
    }
}

impl StreamWriter for Half<'_> {
    fn write<'a>(&'a mut self, data: &'a [u8]) -> LocalFuture<'a, Result<usize, Error>> {
        Box::pin(async move { self.0.net.wait(|_| self.0.write_now(data)).await })
    }

    fn flush(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        self.acknowledged(0)
    }

    fn unacknowledged(&self) -> usize {
        self.0.unacknowledged_now().unwrap_or(0)
    }

    fn acknowledged(&mut self, limit: usize) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let done = |_: &mut World| match self.0.unacknowledged_now() {
                Ok(count) => (count <= limit).then_some(Ok(())),
                Err(error) => Some(Err(error)),
            };
            self.0.net.wait(done).await
        })
    }

    fn finish(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        self.0.finish_now();
        Box::pin(async { Ok(()) })
    }
}

struct FakeListener {
    net: Net,
    local: SocketAddr,
}

impl Listener for FakeListener {
    fn accept(&mut self) -> LocalFuture<'_, Result<Box<dyn Stream>, Error>> {
        Box::pin(async {
            let stream = self.net.wait(|world| world.listeners.get_mut(&self.local)?.pop_front()).await;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl Drop for FakeListener {
    fn drop(&mut self) {
        let queue = self.net.0.borrow_mut().listeners.remove(&self.local);
        drop(queue);
    }
}

struct FakeUdp {
    net: Net,
    local: SocketAddr,
    hop_limit: u8,
}

impl Datagrams for FakeUdp {
    fn send<'a>(&'a mut self, remote: SocketAddr, data: &'a [u8]) -> LocalFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            if data.len() > MTU {
                return Err(Error::TooLarge);
            }
            self.net.wait(|world| (!world.full).then_some(())).await;
            let mut world = self.net.0.borrow_mut();
            let is_broadcast = remote.ip().to_string().ends_with(".255");
            let groups = world.groups.clone();
            for (address, queue) in &mut world.datagrams {
                let is_member = groups.contains(&(address.ip(), remote.ip()));
                let is_meant = address.ip() == remote.ip() || is_member || is_broadcast && address.ip().is_ipv4();
                if address.port() == remote.port() && is_meant {
                    queue.push_back((self.local, data.to_vec(), self.hop_limit));
                }
            }
            world.wake();
            Ok(())
        })
    }

    fn receive<'a>(&'a mut self, buffer: &'a mut [u8]) -> LocalFuture<'a, Result<(usize, SocketAddr), Error>> {
        Box::pin(async move {
            let next = |world: &mut World| world.datagrams.get_mut(&self.local)?.pop_front();
            let (from, data, hop_limit) = self.net.wait(next).await;
            self.hop_limit_seen(hop_limit);
            let length = data.len().min(buffer.len());
            buffer[..length].copy_from_slice(&data[..length]);
            Ok((data.len(), from))
        })
    }

    fn readable(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(async move {
            let is_readable = |world: &mut World| (!world.datagrams.get(&self.local)?.is_empty()).then_some(());
            self.net.wait(is_readable).await;
            Ok(())
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        self.hop_limit = hop_limit;
        Ok(())
    }

    fn hop_limit(&self) -> u8 {
        self.hop_limit
    }
}

thread_local! {
    /// The hop limit of the last datagram that was received.
    pub(crate) static HOP_LIMIT_SEEN: Cell<u8> = const { Cell::new(0) };
}

impl FakeUdp {
    fn hop_limit_seen(&self, hop_limit: u8) {
        HOP_LIMIT_SEEN.set(hop_limit);
    }
}

impl Drop for FakeUdp {
    fn drop(&mut self) {
        self.net.0.borrow_mut().datagrams.remove(&self.local);
    }
}
