//! An embassy-net stack behind the traits of [`nal`].
//!
//! For a firmware that has embassy-net 0.9 already: [`new`] takes its `Stack` and [`Resources`], and gives an
//! [`EmbassyNet`], a handle to copy to whoever wants sockets, and a [`Runner`], whose [`run`](Runner::run) must be polled
//! beside embassy-net's own runner. What works on the traits works on the handle: every service, the resolver, any crate
//! that is generic over embedded-nal-async. It needs no heap.
//!
//! # A firmware with embassy-net, and an echo server on the traits
//! ```
//! use embassy_futures::join::join3;
//! use embassy_net::StackResources;
//! use net_core::Error;
//! use net_core::driver::Driver;
//! use net_core::embassy_net::{Config, Resources};
//! use net_core::nal::{Read, TcpListener, TcpStack, TcpWrite, Write};
//! use static_cell::StaticCell;
//!
//! // What the services get: 4 TCP sockets with buffers of 1024 bytes, 2 UDP sockets with queues of 1536.
//! type Sockets = Resources<4, 2, 1024, 1536>;
//! static SOCKETS: StaticCell<Sockets> = StaticCell::new();
//! // What embassy-net keeps of them, and two more sockets: one for the firmware's own use, one for DHCP.
//! static STACK: StaticCell<StackResources<{ Sockets::SOCKETS + 2 }>> = StaticCell::new();
//!
//! /// Knows the traits, and nothing of embassy-net.
//! async fn echo(net: impl TcpStack) -> Result<(), Error> {
//!     let mut listener = net.listen(([0, 0, 0, 0], 7).into(), 2).await?;
//!     loop {
//!         let mut socket = listener.accept().await?;
//!         let mut buffer = [0; 256];
//!         while let Ok(n @ 1..) = socket.read(&mut buffer).await {
//!             if socket.write_all(&buffer[..n]).await.is_err() {
//!                 break;
//!             }
//!         }
//!         // The peer has finished, so we do; what it was sent is still delivered when the socket is dropped.
//!         let _ = socket.finish().await;
//!     }
//! }
//!
//! async fn firmware(driver: impl Driver, seed: u64) {
//!     // As the firmware always did.
//!     let config = embassy_net::Config::default();
//!     let (stack, mut below) = embassy_net::new(driver, config, STACK.init_with(StackResources::new), seed);
//!     // What is new.
//!     let sockets = SOCKETS.init_with(Resources::new);
//!     let (net, mut beside) = net_core::embassy_net::new(stack, Config::new(), sockets, seed.rotate_left(32));
//!     // With embassy-executor, each is a task.
//!     join3(below.run(), beside.run(), echo(net)).await;
//! }
//! ```
//!
//! # What it adds to embassy-net
//! Listeners; sockets that close in order when dropped; errors that say what happened; UDP in which a host that has
//! vanished delays nobody else for long; bind conflicts and exhaustion as errors; memberships that are counted, and reported
//! when they are due; interface events for any number of readers. The suite of what the traits promise passes over it.
//!
//! # What it cannot do
//! embassy-net gives no means for these; our own stack does all of it.
//! - **Connecting from a chosen port** is [`Error::Unsupported`](crate::Error::Unsupported). The ports of outgoing
//!   connections are embassy-net's, one after the other.
//! - **Requests do not wait.** A connection request that finds no socket in LISTEN is refused with a RST, unseen by
//!   [`TcpListener::pending`](nal::TcpListener::pending). A listener has sockets in LISTEN as its backlog leaves
//!   room for and as are free; so let there be more TCP sockets than services hold connections. A socket that
//!   listens is given up when a service connects somewhere and no other is free.
//! - **ICMP errors are not heard.** A connected UDP socket is not told that nobody listens at its peer's, and connecting
//!   to a host that a router calls unreachable is [`Error::TimedOut`](crate::Error::TimedOut).
//! - **Why a connection ended** is concluded from what it was doing. One that was silent for longer than its keep-alive
//!   interval and timeout together ended by timeout, even if a RST came just then.
//! - **Data that nobody reads** within 10 s after both ends have finished is lost; reading then is
//!   [`Error::Aborted`](crate::Error::Aborted). User timeouts strike up to 250 ms late.
//! - **A listener on `0.0.0.0`** does not refuse a connection over IPv6 to its port, but resets it; and
//!   [`UdpSocket::readable`](nal::UdpSocket::readable) of such a socket may be early, for a datagram that it then drops.
//! - **Events** come up to 250 ms late. There are none for DHCP leases, only for the addresses and servers that they bring, and no
//!   NTP servers in the [`Status`].
//! - **Sockets that the firmware makes itself** are not seen when a port is looked for or a conflict.
//! - **What takes a look at frames** is not done: membership reports for IPv6 have their types swapped (RFC 3810 section
//!   5.2.12), those for IPv4 lack the Router Alert option (RFC 2236 section 2), and lost segments are repeated by
//!   smoltcp's timer alone.
//!
//! IPv6 and groups are there with the features `ipv6` and `multicast` of this crate, which switch them on in
//! embassy-net. smoltcp's tables are small unless the firmware says otherwise: 2 addresses and 4 groups, of which each IPv6
//! address takes one (`SMOLTCP_IFACE_MAX_ADDR_COUNT` and `SMOLTCP_IFACE_MAX_MULTICAST_GROUP_COUNT`).

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embassy_net::Stack;
use embassy_time::{Duration, Instant};
use heapless::Vec;

mod addresses;
mod connection;
mod listen;
#[cfg(feature = "multicast")]
mod multicast;
mod resources;
mod tcp;
mod tcp_pool;
mod transmit;
mod udp;

pub use listen::TcpListener;
pub use resources::Resources;
pub use tcp::{TcpReader, TcpSocket, TcpWriter};
pub use udp::{ConnectedUdpSocket, UdpSocket};

use crate::events::{Event, EventLog, Status};
use crate::random::Random;
use crate::{limits, nal};

/// The time to live and hop limit of a socket that has set none (RFC 1700, as IANA has it).
const HOP_LIMIT: u8 = 64;
/// How often the runner looks at what embassy-net does not tell: the state of the interface (it wakes only one task for
/// that, which is the firmware's), and the progress of connections.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long sockets wait.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Config {
    /// How long a connection attempt may take. Default 30 s.
    pub connect_timeout: Duration,
    /// How long a peer may take to complete a connection that it asked for. Default 10 s.
    pub handshake_timeout: Duration,
    /// How long data may stay unacknowledged before a connection fails; see
    /// [`TcpSocket::set_timeout`](nal::TcpSocket::set_timeout). Default 100 s (RFC 9293 section 3.8.3).
    pub tcp_timeout: Duration,
    /// How long a dropped connection may take to deliver its last data and close. Then it is reset, to free its socket.
    /// Default 20 s.
    pub linger: Duration,
}

impl Config {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            handshake_timeout: Duration::from_secs(10),
            tcp_timeout: Duration::from_secs(100),
            linger: Duration::from_secs(20),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::new()
    }
}

/// Puts the traits of [`nal`] on `stack`.
///
/// `seed` is what local ports of UDP sockets are drawn from: take it from a random number generator, anew at each boot.
///
/// # Panics
/// embassy-net does when `stack` has no room for [`Resources::SOCKETS`] more sockets.
pub fn new<const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize>(
    stack: Stack<'static>,
    config: Config,
    resources: &'static mut Resources<TCP, UDP, TCP_BUFFER, UDP_BUFFER>,
    seed: u64,
) -> (EmbassyNet, Runner) {
    let (tcp, udp, shared) = resources.open(stack);
    let inner = Inner {
        stack,
        config,
        tcp,
        listeners: listen::Listeners::new(),
        udp,
        #[cfg(feature = "multicast")]
        groups: multicast::Groups::new(),
        random: Random::new(seed),
        told: addresses::status(stack),
        waker: None,
    };
    let net = EmbassyNet { shared: shared.insert(Shared { inner: RefCell::new(inner), events: EventLog::new() }) };
    (net, Runner { net })
}

/// A handle to an embassy-net stack: for making sockets, and for asking how the interface is, by the traits of
/// [`nal`].
#[derive(Clone, Copy)]
pub struct EmbassyNet {
    shared: &'static Shared,
}

struct Shared {
    inner: RefCell<Inner>,
    // Outside the cell, so that readers need not borrow it.
    events: EventLog,
}

struct Inner {
    stack: Stack<'static>,
    config: Config,
    tcp: tcp_pool::Pool,
    listeners: listen::Listeners,
    udp: udp::Pool,
    #[cfg(feature = "multicast")]
    groups: multicast::Groups,
    random: Random,
    /// The state that events have told of.
    told: Status,
    /// The runner's.
    waker: Option<Waker>,
}

/// What is in use, and what was given up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub struct Stats {
    /// TCP sockets with a connection: open ones, and closed ones that still have to tell their peers. (One that only waits
    /// for late segments, in TIME-WAIT, is free for whoever needs it; so is one that listens.)
    pub tcp_sockets: usize,
    /// UDP sockets in use.
    pub udp_sockets: usize,
    /// Datagrams dropped because their destination did not answer address resolution.
    pub unresolved: u32,
}

impl EmbassyNet {
    fn with<R>(self, f: impl FnOnce(&mut Inner) -> R) -> R {
        // Only `with` borrows the cell, and nothing that it is given calls it again: this cannot fail.
        f(&mut self.shared.inner.borrow_mut())
    }

    /// What is in use, and what was given up.
    pub fn stats(self) -> Stats {
        self.with(|inner| Stats {
            tcp_sockets: inner.tcp.in_use(Instant::now()),
            udp_sockets: inner.udp.in_use(),
            unresolved: inner.udp.transmission.unresolved,
        })
    }
}

impl core::fmt::Debug for EmbassyNet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EmbassyNet").field("status", &nal::Interface::status(self)).finish()
    }
}

impl nal::Interface for EmbassyNet {
    fn status(&self) -> Status {
        self.with(|inner| addresses::status(inner.stack))
    }

    fn events(&self) -> &EventLog {
        &self.shared.events
    }
}

#[cfg(not(feature = "multicast"))]
impl nal::Multicast for EmbassyNet {
    fn join_group(&self, group: core::net::IpAddr) -> Result<(), crate::Error> {
        Err(if group.is_multicast() { crate::Error::Unsupported } else { crate::Error::InvalidInput })
    }

    fn leave_group(&self, _group: core::net::IpAddr) -> Result<(), crate::Error> {
        Err(crate::Error::InvalidInput)
    }
}

/// The motor of an [`EmbassyNet`], beside that of embassy-net.
pub struct Runner {
    net: EmbassyNet,
}

impl Runner {
    /// Closes what was dropped, listens, hands datagrams to embassy-net, keeps timeouts and tells events. It never ends.
    pub async fn run(&mut self) -> Infallible {
        poll_fn(|cx| {
            let events = self.net.with(|inner| inner.work(cx));
            for event in events {
                self.net.shared.events.push(event);
            }
            Poll::Pending
        })
        .await
    }
}

/// Room for the events of one change: a link, addresses that went and came, DNS servers.
type News = Vec<Event, { 2 * limits::ADDRESSES + 2 }>;

impl Inner {
    /// Has the runner look at what has changed.
    fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Does all that can be done now, and sees to it that it is called again when there is more.
    fn work(&mut self, cx: &mut Context<'_>) -> News {
        self.waker = Some(cx.waker().clone());
        let now = Instant::now();
        let news = self.news();
        #[cfg(feature = "multicast")]
        if news.contains(&Event::LinkUp) {
            self.groups.link_is_up(self.stack, now);
        }
        self.tcp.tidy(now, cx);
        let mut next = now + LOOK_AGAIN;
        for deadline in [
            self.serve_listeners(now),
            self.tcp.deadline(),
            self.udp.send(now, cx),
            #[cfg(feature = "multicast")]
            self.drive_reports(now),
        ] {
            next = deadline.map_or(next, |at| at.min(next));
        }
        embassy_time_driver::schedule_wake(next.as_ticks(), cx.waker());
        news
    }

    /// What has happened to the interface.
    fn news(&mut self) -> News {
        let now = addresses::status(self.stack);
        let mut news = News::new();
        let before = core::mem::replace(&mut self.told, now);
        let now = &self.told;
        let gone = before.addresses.iter().filter(|net| !now.addresses.contains(net));
        let come = now.addresses.iter().filter(|net| !before.addresses.contains(net));
        // There is room for all of it.
        if now.link_up != before.link_up {
            let _ = news.push(if now.link_up { Event::LinkUp } else { Event::LinkDown });
        }
        news.extend(gone.map(|net| Event::AddressRemoved(*net)));
        news.extend(come.map(|net| Event::AddressAdded(*net)));
        if now.dns_servers != before.dns_servers {
            let _ = news.push(Event::DnsServersChanged);
        }
        news
    }
}

/// Polls a future of embassy-net once. They keep nothing of their own: the waker is registered in the socket, where it
/// outlives them.
fn poll<F: Future>(future: F, waker: &Waker) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(waker))
}

/// What a future of embassy-net gives at once.
fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    match poll(future, Waker::noop()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
