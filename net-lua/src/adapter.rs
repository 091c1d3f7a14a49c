//! Networks, as scripts see them: one [`Adapter`] is one interface, whatever stack is beneath.
//!
//! Scripts choose networks while they run, so here the traits of [`net_core::nal`] appear in a form that can be used
//! through `dyn`: the same operations with the same meaning and the same errors, their futures boxed (with Lua there
//! is a heap anyway). Nobody implements this form by hand: [`NetAdapter`] makes it from any stack that has
//! [`nal::Net`](net_core::nal::Net) and from a resolver.
//!
//! As in `net_core::nal`, every future may be dropped at any await point without losing data.

use alloc::boxed::Box;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;

use embassy_time::Duration;
use net_core::Error;
use net_core::events::{EventLog, Status};

mod from_stack;

pub use from_stack::NetAdapter;
pub use net_core::dns::{Addresses, DnsError, Family};
pub use net_core::nal::ConnectOptions;

/// A boxed future of a single-threaded executor.
pub type LocalFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Finds the addresses of names. [`Resolver`](net_core::dns::Resolver) is one; where an operating system has its own,
/// that can be another.
pub trait Lookup {
    /// The addresses of `name`, at least one.
    fn lookup(&self, name: &str, family: Family) -> impl Future<Output = Result<Addresses, DnsError>>;

    /// The servers to ask from now on, first choice first. May do nothing where that is not ours to say.
    fn set_servers(&self, servers: &[IpAddr]);
}

/// One network interface.
pub trait Adapter {
    /// Its state now: link, addresses, routers, DNS servers.
    fn status(&self) -> Status;

    /// What happens to it.
    fn events(&self) -> &EventLog;

    /// See [`TcpStack::connect_with`](net_core::nal::TcpStack::connect_with).
    fn connect(&self, remote: SocketAddr, options: ConnectOptions) -> LocalFuture<'_, Result<Box<dyn Stream>, Error>>;

    /// See [`TcpStack::listen`](net_core::nal::TcpStack::listen).
    fn listen(&self, local: SocketAddr, backlog: usize) -> LocalFuture<'_, Result<Box<dyn Listener>, Error>>;

    /// See [`UdpBind::bind`](net_core::nal::UdpBind::bind).
    fn bind(&self, local: SocketAddr) -> LocalFuture<'_, Result<Box<dyn Datagrams>, Error>>;

    /// See [`Multicast::join_group`](net_core::nal::Multicast::join_group).
    fn join_group(&self, group: IpAddr) -> Result<(), Error>;

    /// See [`Multicast::leave_group`](net_core::nal::Multicast::leave_group).
    fn leave_group(&self, group: IpAddr) -> Result<(), Error>;

    /// The addresses of `name`, at least one.
    fn lookup<'a>(&'a self, name: &'a str, family: Family) -> LocalFuture<'a, Result<Addresses, DnsError>>;

    /// The DNS server in `slot`, 0 or 1: the one set by hand, else the one that the network named, else (slot 0 when
    /// there is no other) 208.67.222.222, as in the firmware whose scripts we run.
    fn dns_server(&self, slot: usize) -> Option<IpAddr>;

    /// Sets the DNS server in `slot`, 0 or 1; other slots are ignored. It has precedence over what DHCP says, until
    /// the link goes down.
    fn set_dns_server(&self, slot: usize, server: IpAddr);

    /// What the adapter has to do by itself; runs as long as the runtime does.
    fn run(&self) -> LocalFuture<'_, ()>;
}

/// A TCP connection; [`TcpSocket`](net_core::nal::TcpSocket) for `dyn`. Dropping it closes it in order.
pub trait Stream {
    /// This end.
    fn local_addr(&self) -> SocketAddr;
    /// The other end.
    fn peer_addr(&self) -> SocketAddr;
    /// The two halves, for use at the same time.
    fn split(&mut self) -> (Box<dyn StreamReader + '_>, Box<dyn StreamWriter + '_>);
    /// Ends the connection with a RST.
    fn abort(&mut self);
    /// Turns Nagle's algorithm off.
    fn set_no_delay(&mut self, no_delay: bool);
    /// Probes an idle connection every `interval`.
    fn set_keep_alive(&mut self, interval: Option<Duration>);
    /// The user timeout.
    fn set_timeout(&mut self, timeout: Option<Duration>);
    /// Time to live or hop limit, 1 to 255.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for 0.
    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error>;
    /// Time to live or hop limit in force.
    fn hop_limit(&self) -> u8;
}

/// The receiving half of a [`Stream`]; [`TcpRead`](net_core::nal::TcpRead) for `dyn`.
pub trait StreamReader {
    /// Waits for data and copies it; 0 at the end of the stream.
    fn read<'a>(&'a mut self, buffer: &'a mut [u8]) -> LocalFuture<'a, Result<usize, Error>>;
    /// Waits until a read would return at once.
    fn readable(&mut self) -> LocalFuture<'_, Result<(), Error>>;
}

/// The sending half of a [`Stream`]; [`TcpWrite`](net_core::nal::TcpWrite) for `dyn`.
pub trait StreamWriter {
    /// Waits for room and copies as much as fits.
    fn write<'a>(&'a mut self, data: &'a [u8]) -> LocalFuture<'a, Result<usize, Error>>;
    /// Waits until everything written has been acknowledged.
    fn flush(&mut self) -> LocalFuture<'_, Result<(), Error>>;
    /// Bytes written and not acknowledged.
    fn unacknowledged(&self) -> usize;
    /// Waits until at most `limit` bytes are unacknowledged.
    fn acknowledged(&mut self, limit: usize) -> LocalFuture<'_, Result<(), Error>>;
    /// Sends what is queued, then a FIN.
    fn finish(&mut self) -> LocalFuture<'_, Result<(), Error>>;
}

/// A listening TCP port; [`TcpListener`](net_core::nal::TcpListener) for `dyn`.
pub trait Listener {
    /// Waits for the next connection.
    fn accept(&mut self) -> LocalFuture<'_, Result<Box<dyn Stream>, Error>>;
    /// The address and port listened on.
    fn local_addr(&self) -> SocketAddr;
}

/// A bound UDP socket; [`UdpSocket`](net_core::nal::UdpSocket) for `dyn`.
pub trait Datagrams {
    /// Sends one datagram; waits only for room in the send queue.
    fn send<'a>(&'a mut self, remote: SocketAddr, data: &'a [u8]) -> LocalFuture<'a, Result<(), Error>>;
    /// Waits for a datagram and copies it: its length, which is more than the buffer's when the rest was lost, and
    /// where it came from.
    fn receive<'a>(&'a mut self, buffer: &'a mut [u8]) -> LocalFuture<'a, Result<(usize, SocketAddr), Error>>;
    /// Waits until a datagram can be received at once.
    fn readable(&mut self) -> LocalFuture<'_, Result<(), Error>>;
    /// The address and port bound to.
    fn local_addr(&self) -> SocketAddr;
    /// Time to live or hop limit, 1 to 255.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] for 0.
    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error>;
    /// Time to live or hop limit in force.
    fn hop_limit(&self) -> u8;
}
