//! An [`Adapter`] from any stack with the traits of `net_core::nal`.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::Cell;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use embassy_time::Duration;
use net_core::Error;
use net_core::dns::Resolver;
use net_core::events::{Event, EventLog, Status};
use net_core::nal::{
    Interface, Net, Read, TcpConnect, TcpListener, TcpRead, TcpSocket, TcpWrite, UdpSocket, UdpStack, Write,
};

use super::{
    Adapter, Addresses, ConnectOptions, Datagrams, DnsError, Family, Listener, LocalFuture, Lookup, Stream,
    StreamReader, StreamWriter,
};
use crate::limits;

/// The server asked when nobody has named one (resolver1.opendns.com).
const DEFAULT_DNS_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(208, 67, 222, 222));

/// Makes an [`Adapter`] of a stack and a resolver.
#[derive(Debug)]
pub struct NetAdapter<S, L> {
    stack: S,
    resolver: L,
    /// DNS servers set by hand; forgotten when the link goes down.
    set_by_hand: [Cell<Option<IpAddr>>; limits::DNS_SLOTS],
}

impl<S, const CACHE: usize> Lookup for Resolver<'_, S, CACHE>
where
    S: UdpStack<Error = Error> + TcpConnect<Error = Error> + Interface,
{
    async fn lookup(&self, name: &str, family: Family) -> Result<Addresses, DnsError> {
        Self::lookup(self, name, family).await
    }

    fn set_servers(&self, servers: &[IpAddr]) {
        Self::set_servers(self, servers);
    }
}

impl<S: Net + 'static, L: Lookup + 'static> NetAdapter<S, L> {
    /// An adapter over `stack`, which looks names up with `resolver` and tells it which servers to ask.
    pub fn new(stack: S, resolver: L) -> Self {
        Self { stack, resolver, set_by_hand: Default::default() }
    }

    fn servers(&self) -> Vec<IpAddr> {
        let mut servers: Vec<IpAddr> = (0..limits::DNS_SLOTS).filter_map(|slot| self.dns_server(slot)).collect();
        servers.extend(self.stack.status().dns_servers.iter().skip(limits::DNS_SLOTS));
        servers
    }
}

impl<S: Net + 'static, L: Lookup + 'static> Adapter for NetAdapter<S, L> {
    fn status(&self) -> Status {
        self.stack.status()
    }

    fn events(&self) -> &EventLog {
        self.stack.events()
    }

    fn connect(&self, remote: SocketAddr, options: ConnectOptions) -> LocalFuture<'_, Result<Box<dyn Stream>, Error>> {
        Box::pin(async move {
            let socket = self.stack.connect_with(remote, options).await?;
            Ok(Box::new(Dyn(socket)) as Box<dyn Stream>)
        })
    }

    fn listen(&self, local: SocketAddr, backlog: usize) -> LocalFuture<'_, Result<Box<dyn Listener>, Error>> {
        Box::pin(async move {
            let listener = self.stack.listen(local, backlog).await?;
            Ok(Box::new(Dyn(listener)) as Box<dyn Listener>)
        })
    }

    fn bind(&self, local: SocketAddr) -> LocalFuture<'_, Result<Box<dyn Datagrams>, Error>> {
        Box::pin(async move {
            let socket = self.stack.bind(local).await?;
            Ok(Box::new(Dyn(socket)) as Box<dyn Datagrams>)
        })
    }

    fn join_group(&self, group: IpAddr) -> Result<(), Error> {
        self.stack.join_group(group)
    }

    fn leave_group(&self, group: IpAddr) -> Result<(), Error> {
        self.stack.leave_group(group)
    }

    fn lookup<'a>(&'a self, name: &'a str, family: Family) -> LocalFuture<'a, Result<Addresses, DnsError>> {
        Box::pin(async move {
            self.resolver.set_servers(&self.servers());
            self.resolver.lookup(name, family).await
        })
    }

    fn dns_server(&self, slot: usize) -> Option<IpAddr> {
        let by_hand = self.set_by_hand.get(slot)?.get();
        let from_network = || self.stack.status().dns_servers.get(slot).copied();
        by_hand.or_else(from_network).or((slot == 0).then_some(DEFAULT_DNS_SERVER))
    }

    fn set_dns_server(&self, slot: usize, server: IpAddr) {
        if let Some(place) = self.set_by_hand.get(slot) {
            place.set(Some(server));
        }
    }

    fn run(&self) -> LocalFuture<'_, ()> {
        Box::pin(async move {
            let mut events = self.stack.events().subscribe();
            loop {
                if events.next().await == Event::LinkDown {
                    self.set_by_hand.iter().for_each(|slot| slot.set(None));
                }
            }
        })
    }
}

/// A socket of a stack, with the traits for `dyn`.
struct Dyn<T>(T);

impl<T: TcpSocket> Stream for Dyn<T> {
    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    fn peer_addr(&self) -> SocketAddr {
        self.0.peer_addr()
    }

    fn split(&mut self) -> (Box<dyn StreamReader + '_>, Box<dyn StreamWriter + '_>) {
        let (reader, writer) = self.0.split();
        (Box::new(Dyn(reader)), Box::new(Dyn(writer)))
    }

    fn abort(&mut self) {
        self.0.abort();
    }

    fn set_no_delay(&mut self, no_delay: bool) {
        self.0.set_no_delay(no_delay);
    }

    fn set_keep_alive(&mut self, interval: Option<Duration>) {
        self.0.set_keep_alive(interval);
    }

    fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.0.set_timeout(timeout);
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        self.0.set_hop_limit(hop_limit)
    }

    fn hop_limit(&self) -> u8 {
        self.0.hop_limit()
    }
}

impl<T: TcpRead> StreamReader for Dyn<T> {
    fn read<'a>(&'a mut self, buffer: &'a mut [u8]) -> LocalFuture<'a, Result<usize, Error>> {
        Box::pin(Read::read(&mut self.0, buffer))
    }

    fn readable(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(self.0.readable())
    }
}

impl<T: TcpWrite> StreamWriter for Dyn<T> {
    fn write<'a>(&'a mut self, data: &'a [u8]) -> LocalFuture<'a, Result<usize, Error>> {
        Box::pin(Write::write(&mut self.0, data))
    }

    fn flush(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(Write::flush(&mut self.0))
    }

    fn unacknowledged(&self) -> usize {
        self.0.unacknowledged()
    }

    fn acknowledged(&mut self, limit: usize) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(self.0.acknowledged(limit))
    }

    fn finish(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(self.0.finish())
    }
}

impl<T> Listener for Dyn<T>
where
    T: TcpListener<Socket: 'static>,
{
    fn accept(&mut self) -> LocalFuture<'_, Result<Box<dyn Stream>, Error>> {
        Box::pin(async move {
            let socket = self.0.accept().await?;
            Ok(Box::new(Dyn(socket)) as Box<dyn Stream>)
        })
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }
}

impl<T: UdpSocket> Datagrams for Dyn<T> {
    fn send<'a>(&'a mut self, remote: SocketAddr, data: &'a [u8]) -> LocalFuture<'a, Result<(), Error>> {
        let local = self.0.local_addr();
        Box::pin(self.0.send(local, remote, data))
    }

    fn receive<'a>(&'a mut self, buffer: &'a mut [u8]) -> LocalFuture<'a, Result<(usize, SocketAddr), Error>> {
        Box::pin(async move {
            let (length, _local, remote) = self.0.receive_into(buffer).await?;
            Ok((length, remote))
        })
    }

    fn readable(&mut self) -> LocalFuture<'_, Result<(), Error>> {
        Box::pin(self.0.readable())
    }

    fn local_addr(&self) -> SocketAddr {
        self.0.local_addr()
    }

    fn set_hop_limit(&mut self, hop_limit: u8) -> Result<(), Error> {
        self.0.set_hop_limit(hop_limit)
    }

    fn hop_limit(&self) -> u8 {
        self.0.hop_limit()
    }
}
