//! What the parts of the libraries take in memory.
//!
//! Each size is the length of an array, so that it can be read from the symbol table of a library built for a chip:
//! no program has to run there.
#![cfg_attr(target_os = "none", no_std)]

use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::task::Context;

use net_core::dns::{Family, Resolver};
use net_core::driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use net_core::nal::{Read, TcpListener as _, UnconnectedUdp, Write};
use net_core::stack::{PingOptions, Resources, Runner, Stack, TcpListener, TcpSocket, UdpSocket};
use net_services::http::{Body, BodyWriter, Outcome, Request, Response, Server};
use net_services::mdns::{Browse, Mdns};
use page_server::Buffers;

type Small = Resources<'static, 0, 0, 0, 0>;
type OneTcp = Resources<'static, 1, 0, 0, 0>;
type OneUdp = Resources<'static, 0, 1, 0, 0>;
type Usual = Resources<'static, 4, 2, 2048, 1536>;

/// The size of the future that an `async fn` of one argument gives.
const fn future1<A, F: Future, T: Fn(A) -> F + Copy>(_: T) -> usize {
    size_of::<F>()
}

const fn future2<A, B, F: Future, T: Fn(A, B) -> F + Copy>(_: T) -> usize {
    size_of::<F>()
}

const fn future3<A, B, C, F: Future, T: Fn(A, B, C) -> F + Copy>(_: T) -> usize {
    size_of::<F>()
}

const fn future4<A, B, C, D, F: Future, T: Fn(A, B, C, D) -> F + Copy>(_: T) -> usize {
    size_of::<F>()
}

type S = Stack<'static>;
type Tcp = TcpSocket<'static>;
type Udp = UdpSocket<'static>;
type Mut<T> = &'static mut T;
type Bytes = &'static [u8];

type Reply = Response<'static>;
type Text = &'static str;

/// A server with the smallest handler.
struct Hello;

impl net_services::http::Handler for Hello {
    async fn handle(&self, _: Request<'_>, response: Response<'_>) -> Outcome {
        response.text("hello").await
    }
}

/// The future of a server with so many connections.
const fn server<const CONNECTIONS: usize>() -> usize {
    type S = Stack<'static>;
    future3::<&'static Server<'static, Hello>, &'static S, Mut<[[u8; 2048]; CONNECTIONS]>, _, _>(
        Server::run::<S, CONNECTIONS, 2048>,
    )
}

// Paid for as often as there are connections.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(server::<5>() - server::<4>() <= 1024, "the future of an HTTP connection is larger than 1 KiB");

/// What mDNS takes in all beside the stack's socket: its memory, itself, its future, and a buffer for one datagram.
const MDNS: usize = size_of::<mdns_node::Names>()
    + size_of::<Mdns<'static>>()
    + future3::<&'static Mdns<'static>, &'static S, Mut<[u8]>, _, _>(Mdns::run::<S>)
    + mdns_node::DATAGRAM;

#[cfg(target_pointer_width = "32")]
const _: () = assert!(MDNS <= 6 * 1024, "mDNS with 3 services and a cache of 32 records takes more than 6 KiB");

macro_rules! sizes {
    ($($name:ident $what:literal = $size:expr;)*) => {
        $(
            #[doc = $what]
            #[used]
            pub static $name: [u8; $size] = [0; $size];
        )*
        /// All of them: what, and how many bytes.
        pub fn all() -> impl Iterator<Item = (&'static str, usize)> {
            [$(($what, $name.len())),*].into_iter()
        }
    };
}

sizes! {
    SIZE_STACK "a stack without sockets" = size_of::<Small>();
    SIZE_TCP "each TCP socket, beside its buffers" = size_of::<OneTcp>() - size_of::<Small>();
    SIZE_UDP "each UDP socket, beside its queues" = size_of::<OneUdp>() - size_of::<Small>();
    SIZE_USUAL "Resources<4, 2, 2048, 1536>" = size_of::<Usual>();
    SIZE_RESOLVER "a resolver that caches 8 answers" = size_of::<Resolver<S>>();
    SIZE_RUN "future: Runner::run" = future1::<Mut<Runner<'static, NoDriver>>, _, _>(Runner::run);
    SIZE_CONNECT "future: Stack::connect" = future2::<S, SocketAddr, _, _>(Stack::connect);
    SIZE_ACCEPT "future: TcpListener::accept" = future1::<Mut<TcpListener<'static>>, _, _>(TcpListener::accept);
    SIZE_READ "future: TcpSocket::read" = future2::<Mut<Tcp>, Mut<[u8]>, _, _>(Tcp::read);
    SIZE_WRITE "future: TcpSocket::write" = future2::<Mut<Tcp>, Bytes, _, _>(Tcp::write);
    SIZE_FLUSH "future: TcpSocket::flush" = future1::<Mut<Tcp>, _, _>(Tcp::flush);
    SIZE_SEND "future: UdpSocket::send" = future4::<Mut<Udp>, SocketAddr, SocketAddr, Bytes, _, _>(Udp::send);
    SIZE_RECEIVE "future: UdpSocket::receive_into" = future2::<Mut<Udp>, Mut<[u8]>, _, _>(Udp::receive_into);
    SIZE_PING "future: Stack::ping" = future3::<S, IpAddr, PingOptions, _, _>(Stack::ping);
    SIZE_LOOKUP "future: Resolver::lookup" =
        future3::<&'static Resolver<S>, &'static str, Family, _, _>(Resolver::lookup);
    SIZE_PAGE "future: the page server with 4 connections, beside their buffers" =
        future2::<S, Mut<Buffers>, _, _>(page_server::serve);
    SIZE_ECHO "future: an echo server with 4 connections" = future2::<S, Mut<Buffers>, _, _>(page_server::echo);
    SIZE_MDNS "future: a device with mDNS, that browses" = future2::<S, Mut<mdns_node::Memory>, _, _>(mdns_node::node);
    SIZE_PLAIN "future: a device that echoes datagrams" = future1::<S, _, _>(mdns_node::plain);
    SIZE_MDNSRUN "future: Mdns::run" =
        future3::<&'static Mdns<'static>, &'static S, Mut<[u8]>, _, _>(Mdns::run::<S>);
    SIZE_BROWSE "future: Browse::next" =
        future2::<Mut<Browse<'static, 'static, 4>>, Mut<[u8]>, _, _>(Browse::next);
    SIZE_ENGINE "mDNS, beside its memory" = size_of::<Mdns<'static>>();
    SIZE_MDNSALL "mDNS with all of that, beside its socket" = MDNS;
    SIZE_NAMES "memory for 3 services, 4 questions and 32 records" = size_of::<mdns_node::Names>();
    SIZE_SERVER "HTTP server" = size_of::<Server<'static, Hello>>();
    SIZE_SERVE "future: Server::run with 4 connections" = server::<4>();
    SIZE_CONNECTION "of it each connection, beside its buffer" = server::<5>() - server::<4>();
    SIZE_REQUEST "a request" = size_of::<Request<'static>>();
    SIZE_RESPONSE "a response" = size_of::<Reply>();
    SIZE_RESPOND "future: Response::send" = future3::<Reply, Text, Bytes, _, _>(Reply::send);
    SIZE_PRINT "future: Response::print" = future3::<Reply, Text, core::fmt::Arguments<'static>, _, _>(Reply::print);
    SIZE_WRITER "future: BodyWriter::write_all" =
        future2::<Mut<BodyWriter<'static>>, Bytes, _, _>(BodyWriter::write_all);
    SIZE_FINISH "future: BodyWriter::finish" = future1::<BodyWriter<'static>, _, _>(BodyWriter::finish);
    SIZE_BODY "future: Body::fill_buf" = future1::<Mut<Body<'static>>, _, _>(Body::fill_buf);
    SIZE_READALL "future: Body::read_all" = future2::<Mut<Body<'static>>, Mut<[u8]>, _, _>(Body::read_all);
}

/// A driver of no size.
pub struct NoDriver;

impl Driver for NoDriver {
    type RxToken<'a> = Nothing;
    type TxToken<'a> = Nothing;

    fn receive(&mut self, _: &mut Context<'_>) -> Option<(Nothing, Nothing)> {
        None
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Nothing> {
        None
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Down
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ip
    }
}

/// No frame.
pub struct Nothing;

impl RxToken for Nothing {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(&mut [])
    }
}

impl TxToken for Nothing {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, f: F) -> R {
        f(&mut [])
    }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
