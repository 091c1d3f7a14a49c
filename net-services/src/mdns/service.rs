//! The service: an engine with sockets, shared by its users.

use core::cell::{Cell, RefCell};
use core::future::{Future, poll_fn};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll};

use net_core::Error;
use net_core::events::Events;
use net_core::log::{Show, debug, info, warn};
use net_core::nal::{Interface, Multicast, UdpBind, UdpSocket, UnconnectedUdp as _};
use net_core::time::{Duration, Instant, Timer, poll_until};
use net_core::waiters::Waiters;

use super::clock::earliest;
use super::engine::{Arrival, Destination, Engine, GROUP_V4, GROUP_V6, HOP_LIMIT, PORT, Transmit};
use super::network::canonical;
use super::{Config, Event, HostId, Label, MdnsError, Resources, Service, ServiceId, Stats};

/// How many tasks may wait for answers or events without polling. Further ones look again ten times a second.
const WAITERS: usize = 4;
/// How long the network may take to make room for a multicast. A unicast gets no time: somebody may have made up the
/// address that it goes to.
const ROOM: Duration = Duration::from_secs(1);
/// A timer this late means that the device has slept, and may have missed what others said.
const SLEPT: Duration = Duration::from_secs(30);
/// How long goodbyes may take when the service is stopped.
const GOODBYE: Duration = Duration::from_secs(2);
/// When joining a group is tried again that has failed.
const JOIN_AGAIN: Duration = Duration::from_secs(5);

/// Multicast DNS on one interface, for any number of users: publishes names and services, and finds those of others.
///
/// One future, [`run`](Self::run), does the work; everything else may be called at any time, before it runs too. A device
/// with several interfaces has one of these for each.
pub struct Mdns<'d> {
    engine: RefCell<Engine<'d>>,
    /// Wakes `run`.
    runner: RefCell<Waiters<1>>,
    /// Wakes those that wait for answers and events.
    waiting: RefCell<Waiters<WAITERS>>,
    /// A user has changed something since `run` looked.
    touched: Cell<bool>,
    stopping: Cell<bool>,
    running: Cell<bool>,
}

impl<'d> Mdns<'d> {
    /// A service that has no name yet and publishes nothing.
    ///
    /// `seed` makes its delays differ from those of other devices: a random number, or the hardware address.
    pub fn new<const SERVICES: usize, const QUESTIONS: usize, const RECORDS: usize>(
        config: Config,
        resources: &'d mut Resources<SERVICES, QUESTIONS, RECORDS>,
        seed: u64,
    ) -> Self {
        Self {
            engine: RefCell::new(Engine::new(config, resources, seed)),
            runner: RefCell::new(Waiters::new()),
            waiting: RefCell::new(Waiters::new()),
            touched: Cell::new(false),
            stopping: Cell::new(false),
            running: Cell::new(false),
        }
    }

    /// Works on `net` until [`stop`](Self::stop): publishes and withdraws, answers, asks, and follows what happens to the
    /// link and the addresses. Running again publishes everything again.
    ///
    /// `buffer` is for datagrams, one at a time, both ways: 1472 bytes are as much as Ethernet carries, and more is of no
    /// use unless the network fragments; 512 bytes are the least. What does not fit is split over several where the
    /// protocol allows it.
    ///
    /// Dropping the future ends the work without goodbyes: others will believe for up to 75 minutes that the services are
    /// still there.
    ///
    /// # Errors
    /// When port 5353 cannot be bound: [`Error::AddressInUse`] and others of [`UdpBind::bind_shared`]. Everything else is
    /// counted, logged and survived.
    pub async fn run<N: UdpBind + Multicast + Interface>(&self, net: &N, buffer: &mut [u8]) -> Result<(), Error> {
        let mut socket = match net.bind_shared(unspecified(false)).await {
            Ok(socket) => socket,
            // A network with IPv4 alone.
            Err(Error::Unsupported | Error::AddressNotAvailable | Error::InvalidInput) => {
                net.bind_shared(unspecified(true)).await?
            }
            Err(error) => return Err(error),
        };
        socket.set_hop_limit(HOP_LIMIT)?;
        self.stopping.set(false);
        let mut link = Link { net, socket, groups: [Group::new(true), Group::new(false)] };
        let _running = Running::new(self);
        let mut events = net.events().subscribe();
        self.look_at(&mut link);
        let mut reply = None;
        let mut give_up = None;
        // One place where it sends and one where it waits: each takes its room in the future once.
        loop {
            let now = Instant::now();
            if reply.is_none() {
                reply = self.engine.borrow_mut().poll_transmit(now, buffer);
            }
            if let Some(transmit) = &reply {
                if let Err(error) = link.send(transmit, buffer).await {
                    self.engine.borrow_mut().count_send_error();
                    debug!("mdns: cannot send: {}", Show(&error));
                }
                reply = None;
                continue;
            }
            if self.stopping.get() {
                let Some(give_up) = give_up else {
                    self.engine.borrow_mut().shut_down(now);
                    give_up = Some(now + GOODBYE);
                    continue;
                };
                if now >= give_up || self.engine.borrow().is_shut_down() {
                    return Ok(());
                }
            }
            self.touched.set(false);
            self.tell_waiting();
            let due = self.engine.borrow().poll_timeout();
            let deadline = earliest(earliest(due, give_up), link.try_again(now));
            match self.wait(&mut link.socket, &mut events, deadline).await {
                Woken::Datagram => reply = self.receive(&mut link.socket, buffer).await,
                Woken::Network => {
                    while events.try_next().is_some() {}
                    self.look_at(&mut link);
                }
                Woken::Time => {
                    let now = Instant::now();
                    if due.is_some_and(|due| now.saturating_duration_since(due) > SLEPT) {
                        info!("mdns: beginning anew after a sleep");
                        self.engine.borrow_mut().restart(now);
                    }
                    link.join();
                }
                Woken::User => {}
            }
        }
    }

    /// Has [`run`](Self::run) say goodbye for all that is published and end, which takes less than two seconds.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.touch();
    }

    /// Whether [`run`](Self::run) is at work.
    pub fn is_running(&self) -> bool {
        self.running.get()
    }

    fn look_at<N: UdpBind + Multicast + Interface>(&self, link: &mut Link<'_, N>) {
        let status = link.net.status();
        for group in &mut link.groups {
            group.usable = status.addresses.iter().any(|net| net.address().is_ipv4() == group.v4);
        }
        link.join();
        self.engine.borrow_mut().set_network(Instant::now(), status.link_up, &status.addresses);
    }

    /// Takes a datagram; gives the reply that is due at once.
    async fn receive(&self, socket: &mut impl UdpSocket, buffer: &mut [u8]) -> Option<Transmit> {
        match socket.receive_into(buffer).await {
            Ok((length, local, from)) => {
                let arrival = Arrival { from, to: local.ip() };
                // Of what was longer than the buffer the rest is missing: its records are read as far as they go.
                let length = length.min(buffer.len());
                self.engine.borrow_mut().handle(Instant::now(), arrival, buffer, length)
            }
            Err(error) => {
                debug!("mdns: cannot receive: {}", Show(&error));
                // Whatever it is, it must not take all of the processor.
                Timer::after(Duration::from_millis(100)).await;
                None
            }
        }
    }

    async fn wait(&self, socket: &mut impl UdpSocket, events: &mut Events<'_>, deadline: Option<Instant>) -> Woken {
        let mut readable = pin!(socket.readable());
        poll_fn(|cx| {
            // What is due goes first, so that a flood cannot keep names from being defended.
            if deadline.is_some_and(|deadline| poll_until(deadline, cx).is_ready()) {
                Poll::Ready(Woken::Time)
            } else if pin!(events.next()).poll(cx).is_ready() {
                Poll::Ready(Woken::Network)
            } else if readable.as_mut().poll(cx).is_ready() {
                Poll::Ready(Woken::Datagram)
            } else {
                self.poll_touched(cx)
            }
        })
        .await
    }

    fn poll_touched(&self, cx: &mut Context<'_>) -> Poll<Woken> {
        if self.touched.get() {
            return Poll::Ready(Woken::User);
        }
        self.runner.borrow_mut().register(cx.waker());
        Poll::Pending
    }

    #[inline(never)]
    fn tell_waiting(&self) {
        self.waiting.borrow_mut().wake_all();
    }

    /// Has `run` look again.
    #[inline(never)]
    fn touch(&self) {
        self.touched.set(true);
        self.runner.borrow_mut().wake_all();
    }

    /// Waits until `look` gives something, which it may whenever the engine has changed.
    pub(super) async fn when<T>(&self, mut look: impl FnMut(&mut Engine<'d>) -> Option<T>) -> T {
        poll_fn(|cx| self.poll_when(cx, &mut look)).await
    }

    pub(super) fn poll_when<T>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&mut Engine<'d>) -> Option<T>,
    ) -> Poll<T> {
        if let Some(found) = look(&mut self.engine.borrow_mut()) {
            return Poll::Ready(found);
        }
        self.waiting.borrow_mut().register(cx.waker());
        Poll::Pending
    }

    /// Changes something, and has `run` look at it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Engine<'d>, Instant) -> T) -> T {
        let result = change(&mut self.engine.borrow_mut(), Instant::now());
        self.touch();
        self.tell_waiting();
        result
    }

    /// Looks at something.
    pub(super) fn look<T>(&self, look: impl FnOnce(&Engine<'d>, Instant) -> T) -> T {
        look(&self.engine.borrow(), Instant::now())
    }

    /// What has been done since it was made.
    pub fn stats(&self) -> Stats {
        self.engine.borrow().stats()
    }

    /// Gives the host a name; see [`Engine::set_host_name`].
    ///
    /// # Errors
    /// As there.
    pub fn set_host_name(&self, name: &str) -> Result<(), MdnsError> {
        self.change(|engine, now| engine.set_host_name(now, name))
    }

    /// The host's name as it is now, without `.local`; empty if it has none.
    pub fn host_name(&self) -> Label {
        self.engine.borrow().host_name()
    }

    /// Publishes a service; see [`Engine::publish`].
    ///
    /// # Errors
    /// As there.
    pub fn publish(&self, service: &Service<'_>) -> Result<ServiceId, MdnsError> {
        self.change(|engine, now| engine.publish(now, service))
    }

    /// The name of a service's instance as it is now; `None` when it has been withdrawn.
    pub fn service_name(&self, id: ServiceId) -> Option<Label> {
        self.engine.borrow().service_name(id)
    }

    /// Whether its name has been probed and is this device's own.
    pub fn is_established(&self, id: ServiceId) -> bool {
        self.engine.borrow().is_established(id)
    }

    /// Gives a service other TXT data; see [`Engine::set_txt`].
    ///
    /// # Errors
    /// As there.
    pub fn set_txt(&self, id: ServiceId, txt: &[&str]) -> Result<(), MdnsError> {
        self.change(|engine, now| engine.set_txt(now, id, txt))
    }

    /// Withdraws a service, with goodbyes; see [`Engine::withdraw`].
    ///
    /// # Errors
    /// As there.
    pub fn withdraw(&self, id: ServiceId) -> Result<(), MdnsError> {
        self.change(|engine, now| engine.withdraw(now, id))
    }

    /// Publishes the name and the addresses of another host; see [`Engine::delegate`].
    ///
    /// # Errors
    /// As there.
    pub fn delegate(&self, name: &str, addresses: &[IpAddr]) -> Result<HostId, MdnsError> {
        self.change(|engine, now| engine.delegate(now, name, addresses))
    }

    /// The name of a delegated host as it is now; `None` when it has been withdrawn.
    pub fn delegated_name(&self, id: HostId) -> Option<Label> {
        self.engine.borrow().delegated_name(id)
    }

    /// Withdraws a delegated host; see [`Engine::withdraw_host`].
    ///
    /// # Errors
    /// As there.
    pub fn withdraw_host(&self, id: HostId) -> Result<(), MdnsError> {
        self.change(|engine, now| engine.withdraw_host(now, id))
    }

    /// Names the addresses of this device's other interfaces on the same link; see [`Engine::set_siblings`].
    pub fn set_siblings(&self, addresses: &[IpAddr]) {
        self.change(|engine, _| engine.set_siblings(addresses));
    }

    /// Waits for the next thing that happens to a published name. Each is told once, to one waiter.
    pub async fn event(&self) -> Event {
        self.when(Engine::poll_event).await
    }

    /// The next thing that has happened, if there is any.
    pub fn try_event(&self) -> Option<Event> {
        self.engine.borrow_mut().poll_event()
    }
}

/// Why `run` goes on.
enum Woken {
    Datagram,
    Network,
    Time,
    User,
}

/// Tells for its life that the service runs, however it ends.
struct Running<'m, 'd>(&'m Mdns<'d>);

impl<'m, 'd> Running<'m, 'd> {
    fn new(mdns: &'m Mdns<'d>) -> Self {
        mdns.running.set(true);
        Self(mdns)
    }
}

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        self.0.running.set(false);
        // What others told is of no use when nobody hears that it has changed.
        self.0.engine.borrow_mut().set_network(Instant::now(), false, &[]);
        self.0.tell_waiting();
    }
}

/// The group of multicast DNS for one IP version.
struct Group {
    v4: bool,
    /// The interface has addresses of that IP version.
    usable: bool,
    joined: bool,
    /// It is to be joined again.
    failed: bool,
}

impl Group {
    const fn new(v4: bool) -> Self {
        Self { v4, usable: false, joined: false, failed: false }
    }

    const fn address(&self) -> IpAddr {
        if self.v4 { IpAddr::V4(GROUP_V4) } else { IpAddr::V6(GROUP_V6) }
    }
}

struct Link<'n, N: UdpBind + Multicast> {
    net: &'n N,
    socket: N::Socket,
    groups: [Group; 2],
}

impl<N: UdpBind + Multicast> Link<'_, N> {
    /// Joins what is not joined yet, of those versions that the interface has.
    fn join(&mut self) {
        for group in &mut self.groups {
            if group.joined || !group.usable {
                group.failed = false;
                continue;
            }
            let result = self.net.join_group(group.address());
            group.joined = result.is_ok();
            // What was built without a version or without multicast will not learn it.
            group.failed = !matches!(result, Ok(()) | Err(Error::Unsupported));
            if let Err(error) = result {
                warn!("mdns: cannot join {}: {}", Show(&group.address()), Show(&error));
            }
        }
    }

    /// When a group that has failed is to be joined again.
    fn try_again(&self, now: Instant) -> Option<Instant> {
        self.groups.iter().any(|group| group.failed).then(|| now + JOIN_AGAIN)
    }

    /// Sends to one host, or to both groups; that fails when it goes to none.
    async fn send(&mut self, transmit: &Transmit, buffer: &[u8]) -> Result<(), Error> {
        let data = buffer.get(..transmit.length).ok_or(Error::TooLarge)?;
        let mut result = Err(Error::Unreachable);
        for group in &self.groups {
            let (to, room) = match transmit.to {
                Destination::Multicast if !group.usable => continue,
                Destination::Multicast => (SocketAddr::new(group.address(), PORT), ROOM),
                Destination::Unicast(to) if canonical(to.ip()).is_ipv4() == group.v4 => (to, Duration::MIN),
                Destination::Unicast(_) => continue,
            };
            let give_up = Instant::now() + room;
            let mut sending = pin!(self.socket.send(unspecified(group.v4), to, data));
            let sent = poll_fn(|cx| match sending.as_mut().poll(cx) {
                Poll::Ready(sent) => Poll::Ready(sent),
                Poll::Pending => poll_until(give_up, cx).map(|()| Err(Error::TimedOut)),
            });
            result = result.or(sent.await);
        }
        result
    }
}

impl<N: UdpBind + Multicast> Drop for Link<'_, N> {
    fn drop(&mut self) {
        for group in self.groups.iter().filter(|group| group.joined) {
            let _ = self.net.leave_group(group.address()); // it was joined
        }
    }
}

/// Any address of that IP version.
fn unspecified(v4: bool) -> SocketAddr {
    let any = if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(any, PORT)
}
