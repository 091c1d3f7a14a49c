//! Ping: ICMP echo requests and their replies.

use core::future::poll_fn;
use core::net::IpAddr;
use core::task::{Context, Poll, Waker};

use embassy_net_driver::Driver;
use embassy_time::{Duration, Instant, with_timeout};
use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
use smoltcp::phy::{ChecksumCapabilities, DeviceCapabilities};
use smoltcp::socket::icmp;
use smoltcp::wire::IpAddress;
#[cfg(feature = "ipv4")]
use smoltcp::wire::{Icmpv4Packet, Icmpv4Repr};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr};

use super::device::{Egress, Nowhere};
use super::resources::Room;
use super::{ASKED_AGAIN, DEFAULT_HOP_LIMIT, Inner, Stack, TRY_AGAIN, convert};
use crate::time::bounded;
use crate::waiters::Waiters;
use crate::{Error, limits};

/// What to send with a [`Stack::ping`], and how long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PingOptions {
    /// Payload bytes, 0 to [`limits::PING_PAYLOAD`]. Default 56.
    pub payload_len: usize,
    /// How long to wait for the reply. Default 5 s.
    pub timeout: Duration,
    /// Time to live or hop limit of the request, 1 to 255. Default 64.
    pub hop_limit: u8,
}

impl Default for PingOptions {
    fn default() -> Self {
        Self { payload_len: 56, timeout: Duration::from_secs(5), hop_limit: DEFAULT_HOP_LIMIT }
    }
}

/// A request that somebody waits for.
#[derive(Debug)]
struct Request {
    seq: u16,
    remote: IpAddress,
    options: PingOptions,
    state: State,
    waker: Waker,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// To be sent at this moment, or sooner if a neighbour answers address resolution.
    Waiting(Instant),
    Sent(Instant),
    Done(Result<Duration, Error>),
}

/// The ICMP socket of a stack and the requests in flight.
pub(super) struct Echo<'d> {
    pub(super) set: SocketSet<'d>,
    handle: SocketHandle,
    ident: u16,
    next_seq: u16,
    requests: [Option<Request>; limits::PINGS],
    /// Those who wait for a free place among the requests.
    queue: Waiters<{ limits::PINGS }>,
}

impl<'d> Echo<'d> {
    pub(super) fn new(storage: &'d mut [SocketStorage<'d>], memory: &'d mut EchoMemory, ident: u16) -> Self {
        let rx_meta = memory.rx_meta.make([icmp::PacketMetadata::EMPTY; limits::PINGS]);
        let tx_meta = memory.tx_meta.make([icmp::PacketMetadata::EMPTY; 1]);
        let mut set = SocketSet::new(storage);
        let mut socket = icmp::Socket::new(
            icmp::PacketBuffer::new(&mut rx_meta[..], &mut memory.rx[..]),
            icmp::PacketBuffer::new(&mut tx_meta[..], &mut memory.tx[..]),
        );
        let _ = socket.bind(icmp::Endpoint::Ident(ident));
        let handle = set.add(socket);
        let requests = [const { None }; limits::PINGS];
        Self { set, handle, ident, next_seq: 0, requests, queue: Waiters::new() }
    }

    fn socket(&mut self) -> &mut icmp::Socket<'d> {
        self.set.get_mut(self.handle)
    }

    fn request(&mut self, seq: u16) -> Option<&mut Request> {
        self.requests.iter_mut().flatten().find(|request| request.seq == seq)
    }

    /// Takes in the replies that have come.
    pub(super) fn take_replies(&mut self, now: Instant) {
        loop {
            let (seq, from) = {
                let socket = self.set.get_mut::<icmp::Socket<'d>>(self.handle);
                let Ok((packet, from)) = socket.recv() else { return };
                let Some(seq) = reply_seq(packet, from) else { continue };
                (seq, from)
            };
            if let Some(request) = self.request(seq)
                && let State::Sent(at) = request.state
                && (request.remote == from || request.remote.is_multicast())
            {
                request.state = State::Done(Ok(now - at));
                request.waker.wake_by_ref();
            }
        }
    }

    pub(super) fn icmp_error(&mut self, remote: IpAddr, ident: u16, seq: u16) {
        if ident == self.ident
            && let Some(request) = self.request(seq)
            && IpAddr::from(request.remote) == remote
        {
            request.state = State::Done(Err(Error::Unreachable));
            request.waker.wake_by_ref();
        }
    }
}

fn reply_seq(packet: &[u8], from: IpAddress) -> Option<u16> {
    match from {
        #[cfg(feature = "ipv4")]
        IpAddress::Ipv4(_) => {
            let packet = Icmpv4Packet::new_checked(packet).ok()?;
            match Icmpv4Repr::parse(&packet, &ChecksumCapabilities::ignored()).ok()? {
                Icmpv4Repr::EchoReply { seq_no, .. } => Some(seq_no),
                _ => None,
            }
        }
        #[cfg(feature = "ipv6")]
        IpAddress::Ipv6(from) => {
            let packet = Icmpv6Packet::new_checked(packet).ok()?;
            // The checksum has been verified; these addresses are not looked at.
            match Icmpv6Repr::parse(&from, &from, &packet, &ChecksumCapabilities::ignored()).ok()? {
                Icmpv6Repr::EchoReply { seq_no, .. } => Some(seq_no),
                _ => None,
            }
        }
    }
}

impl Inner<'_> {
    /// Sends the requests that wait and whose destinations are resolved. Gives the moment to try the others again.
    pub(super) fn send_pings<D: Driver>(&mut self, egress: &mut Egress<'_, '_, D>, neighbors: bool) -> Option<Instant> {
        let now = self.now();
        let mut next: Option<Instant> = None;
        for at in 0..limits::PINGS {
            let Some(Request { seq, remote, options, state: State::Waiting(try_at), .. }) = self.echo.requests[at]
            else {
                continue;
            };
            let mut again = try_at;
            if neighbors || now >= try_at {
                let frames = egress.frames;
                self.enqueue_ping(seq, remote, options);
                self.iface.poll_egress(convert::instant(now), egress, &mut self.echo.set);
                let sent = self.echo.socket().send_queue() == 0;
                if !sent {
                    self.discard_unsent();
                }
                if egress.exhausted {
                    return next;
                }
                if sent {
                    self.set_ping(at, State::Sent(now));
                    continue;
                }
                again = now + if egress.frames == frames { TRY_AGAIN } else { ASKED_AGAIN };
                self.set_ping(at, State::Waiting(again));
            }
            next = Some(next.map_or(again, |at| at.min(again)));
        }
        next
    }

    fn set_ping(&mut self, at: usize, state: State) {
        if let Some(request) = &mut self.echo.requests[at] {
            request.state = state;
        }
    }

    fn enqueue_ping(&mut self, seq: u16, remote: IpAddress, options: PingOptions) {
        let source = self.iface.get_source_address(&remote);
        let ident = self.echo.ident;
        let socket = self.echo.socket();
        socket.set_hop_limit(Some(options.hop_limit.max(1)));
        let payload = [0x2e; limits::PING_PAYLOAD];
        let data = &payload[..options.payload_len.min(payload.len())];
        let caps = ChecksumCapabilities::default();
        match (remote, source) {
            #[cfg(feature = "ipv4")]
            (IpAddress::Ipv4(_), _) => {
                let repr = Icmpv4Repr::EchoRequest { ident, seq_no: seq, data };
                if let Ok(room) = socket.send(repr.buffer_len(), remote) {
                    repr.emit(&mut Icmpv4Packet::new_unchecked(room), &caps);
                }
            }
            #[cfg(feature = "ipv6")]
            (IpAddress::Ipv6(to), Some(IpAddress::Ipv6(from))) => {
                let repr = Icmpv6Repr::EchoRequest { ident, seq_no: seq, data };
                if let Ok(room) = socket.send(repr.buffer_len(), remote) {
                    repr.emit(&from, &to, &mut Icmpv6Packet::new_unchecked(room), &caps);
                }
            }
            // The source is of the destination's version.
            #[cfg(feature = "ipv6")]
            _ => {}
        }
    }

    fn poll_start(&mut self, remote: IpAddress, options: PingOptions, cx: &mut Context<'_>) -> Poll<u16> {
        let Some(free) = self.echo.requests.iter_mut().find(|place| place.is_none()) else {
            self.echo.queue.register(cx.waker());
            return Poll::Pending;
        };
        let seq = self.echo.next_seq;
        self.echo.next_seq = seq.wrapping_add(1);
        let state = State::Waiting(Instant::now());
        *free = Some(Request { seq, remote, options, state, waker: cx.waker().clone() });
        self.wake();
        Poll::Ready(seq)
    }

    fn poll_reply(&mut self, seq: u16, cx: &mut Context<'_>) -> Poll<Result<Duration, Error>> {
        match self.echo.request(seq) {
            Some(Request { state: State::Done(result), .. }) => Poll::Ready(*result),
            Some(request) => {
                request.waker.clone_from(cx.waker());
                Poll::Pending
            }
            None => Poll::Ready(Err(Error::Closed)),
        }
    }

    fn end_ping(&mut self, seq: u16) {
        let ended = |request: &Option<Request>| request.as_ref().is_some_and(|request| request.seq == seq);
        let Some(place) = self.echo.requests.iter_mut().find(|place| ended(place)) else { return };
        *place = None;
        self.echo.queue.wake_all();
        self.wake();
    }

    /// Takes a request out of smoltcp's socket whose destination is not resolved. The socket has no way to be told, and
    /// would wait and keep others waiting for ever; so it is sent through an interface to nowhere.
    fn discard_unsent(&mut self) {
        let mut caps = DeviceCapabilities::default();
        caps.medium = smoltcp::phy::Medium::Ip;
        caps.max_transmission_unit = 1500;
        let now = convert::instant(self.now());
        let mut nowhere = Nowhere(caps);
        let mut iface =
            Interface::new(smoltcp::iface::Config::new(smoltcp::wire::HardwareAddress::Ip), &mut nowhere, now);
        iface.update_ip_addrs(|addrs| addrs.extend_from_slice(self.iface.ip_addrs()).unwrap_or_default());
        // What silences the socket lasts a second; it is in the set, not in the socket.
        if let smoltcp::socket::Socket::Icmp(socket) = self.echo.set.remove(self.echo.handle) {
            self.echo.handle = self.echo.set.add(socket);
        }
        iface.poll_egress(now, &mut nowhere, &mut self.echo.set);
    }
}

/// Ends a ping when its future is dropped.
struct Guard<'d> {
    stack: Stack<'d>,
    seq: u16,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.stack.with(|inner| inner.end_ping(self.seq));
    }
}

impl Stack<'_> {
    /// Sends one echo request (RFC 792, RFC 4443 section 4.1) and waits for its reply. Gives the time it took.
    ///
    /// At most [`limits::PINGS`] are in flight at once; a further one waits until there is room, and its timeout begins
    /// then.
    ///
    /// # Errors
    /// - [`Error::TimedOut`]: no reply.
    /// - [`Error::Unreachable`]: no route, or a router says so.
    /// - [`Error::InvalidInput`]: a payload that is too large, a hop limit of 0, or an unspecified address.
    pub async fn ping(self, remote: IpAddr, options: PingOptions) -> Result<Duration, Error> {
        if options.payload_len > limits::PING_PAYLOAD || options.hop_limit == 0 || remote.is_unspecified() {
            return Err(Error::InvalidInput);
        }
        let remote = convert::ip(remote).ok_or(Error::Unreachable)?;
        self.with(|inner| inner.source_for(remote))?;
        let seq = poll_fn(|cx| self.with(|inner| inner.poll_start(remote, options, cx))).await;
        let guard = Guard { stack: self, seq };
        let reply = poll_fn(|cx| guard.stack.with(|inner| inner.poll_reply(guard.seq, cx)));
        with_timeout(bounded(options.timeout), reply).await.unwrap_or(Err(Error::TimedOut))
    }
}

/// The memory of the ICMP socket.
pub(super) struct EchoMemory {
    rx_meta: Room<[icmp::PacketMetadata; limits::PINGS]>,
    tx_meta: Room<[icmp::PacketMetadata; 1]>,
    rx: [u8; ECHO_PACKET],
    tx: [u8; ECHO_PACKET],
}

/// An echo message with the largest payload.
const ECHO_PACKET: usize = limits::PING_PAYLOAD + 8;

impl EchoMemory {
    pub(super) const NEW: Self =
        Self { rx_meta: Room::Empty, tx_meta: Room::Empty, rx: [0; ECHO_PACKET], tx: [0; ECHO_PACKET] };
}
