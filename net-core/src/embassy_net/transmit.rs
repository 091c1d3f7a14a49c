//! Sending datagrams through a few sockets that only send.
//!
//! An embassy-net socket stops sending altogether while its first datagram waits for an address resolution, and a while
//! longer; and embassy-net asks for one address in a second, whomever it is for. So datagrams wait in queues of ours, and
//! are given to a transmitter one at a time, of those whose next hop has not answered yet only one in a second. Hosts that
//! do not answer take turns at that, and delay nobody else.

use core::net::IpAddr;
use core::task::Context;

use embassy_net::udp::{UdpMetadata, UdpSocket};
use embassy_net::{IpAddress, IpEndpoint};
use embassy_time::{Duration, Instant};
use heapless::Vec;

use super::now_or_never;
use super::udp::Place;
use crate::limits;
use crate::log::{Show, debug};

/// How long a datagram waits for its destination to answer address resolution.
pub(super) const UNRESOLVED_FOR: Duration = Duration::from_secs(3);
/// embassy-net asks for one address in so long, and so long a socket sends nothing that had to have one asked for.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// How long an address has to be answered; less than that, so that embassy-net does not ask again out of turn.
const ANSWER_WITHIN: Duration = Duration::from_millis(950);
/// How long a datagram to a host that has answered may take to leave.
const LEAVE_WITHIN: Duration = Duration::from_millis(100);

/// How many silent hosts are remembered; of more, the first is forgotten and has to prove its silence again.
const SILENT_HOSTS: usize = 4;

/// What is known of a datagram that waits to be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outgoing {
    pub(super) to: IpEndpoint,
    pub(super) from: IpAddress,
    /// The host or router whose address must be resolved; `None` when that is not needed.
    pub(super) next_hop: Option<IpAddr>,
    pub(super) hop_limit: u8,
    pub(super) expires: Instant,
    /// How often it has had its next hop's address asked for.
    pub(super) attempts: u8,
    /// The transmitter that has it.
    pub(super) by: Option<usize>,
}

/// A socket that sends one datagram at a time.
pub(super) struct Transmitter {
    socket: UdpSocket<'static>,
    sending: Option<Sending>,
    /// When embassy-net lets it send again.
    usable_from: Instant,
}

#[derive(Clone, Copy)]
struct Sending {
    to: IpAddress,
    /// Whether an address may have to be asked for.
    asking: bool,
    since: Instant,
}

impl Sending {
    fn until(&self) -> Instant {
        self.since + if self.asking { ANSWER_WITHIN } else { LEAVE_WITHIN }
    }
}

/// What has become of a transmitter's datagram.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Left,
    /// Its next hop does not answer.
    Back,
}

impl Transmitter {
    pub(super) fn new(socket: UdpSocket<'static>) -> Self {
        Self { socket, sending: None, usable_from: Instant::MIN }
    }

    /// Sees whether its datagram has left, or has to make room for another.
    fn follow(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<(Sending, Outcome)> {
        let sending = self.sending?;
        // It has room for one: where there is room, that one has gone.
        let outcome = if self.socket.poll_send_ready(cx).is_ready() {
            Outcome::Left
        } else if now >= sending.until() {
            self.usable_from = sending.since + ASK_EVERY;
            Outcome::Back
        } else {
            return None;
        };
        self.socket.close();
        self.sending = None;
        Some((sending, outcome))
    }

    fn send(&mut self, port: u16, outgoing: &Outgoing, payload: &[u8], sending: Sending, cx: &mut Context<'_>) {
        let mut meta = UdpMetadata::from(outgoing.to);
        meta.local_address = Some(outgoing.from);
        self.socket.set_hop_limit(Some(outgoing.hop_limit.max(1)));
        let _ = self.socket.bind(port);
        // It is idle and has room for the largest datagram there is.
        let _ = now_or_never(self.socket.send_to(payload, meta));
        self.sending = Some(sending);
        // Has the runner woken when it has left.
        let _ = self.socket.poll_send_ready(cx);
    }
}

/// All that sends.
pub(super) struct Transmission {
    transmitters: &'static mut [Transmitter],
    /// Hosts that have answered, and hosts that were asked and have not; the one longest known first.
    known: Vec<IpAddr, { limits::UDP_KNOWN_HOSTS }>,
    silent: Vec<IpAddr, SILENT_HOSTS>,
    /// When an address was last asked for.
    asked_at: Option<Instant>,
    /// Datagrams dropped because their destination did not answer address resolution.
    pub(super) unresolved: u32,
}

impl Transmission {
    pub(super) fn new(transmitters: &'static mut [Transmitter]) -> Self {
        Self { transmitters, known: Vec::new(), silent: Vec::new(), asked_at: None, unresolved: 0 }
    }

    /// Notes whether a host answers.
    pub(super) fn note(&mut self, host: IpAddr, answers: bool) {
        if answers {
            self.silent.retain(|silent| *silent != host);
            remember(&mut self.known, host);
        } else {
            self.known.retain(|known| *known != host);
            remember(&mut self.silent, host);
        }
    }

    /// Makes room in a full queue at the cost of a host that has proved silent.
    pub(super) fn evict(&mut self, place: &mut Place) -> bool {
        let is_silent = |outgoing: &Outgoing| outgoing.next_hop.is_some_and(|host| self.silent.contains(&host));
        let Some(at) = place.queue.position(|o| o.by.is_none() && is_silent(o)) else { return false };
        place.queue.remove(at);
        self.unresolved = self.unresolved.wrapping_add(1);
        true
    }

    fn is_known(&self, next_hop: Option<IpAddr>) -> bool {
        next_hop.is_none_or(|host| self.known.contains(&host))
    }

    /// Gives waiting datagrams to transmitters. Gives the moment to look again.
    pub(super) fn send(&mut self, places: &mut [Place], now: Instant, cx: &mut Context<'_>) -> Option<Instant> {
        for number in 0..self.transmitters.len() {
            if let Some((sending, outcome)) = self.transmitters[number].follow(now, cx) {
                // embassy-net may have known the address; then nobody was asked.
                if sending.asking && outcome == Outcome::Left {
                    self.asked_at = None;
                }
                self.settle(places, number, outcome);
            }
        }
        self.expire(places, now);
        while let Some(number) = self.transmitters.iter().position(|t| t.sending.is_none() && now >= t.usable_from)
            && let Some((index, at)) = self.next(places, now)
        {
            let place = &mut places[index];
            let port = place.local.port();
            let Some((outgoing, payload)) = place.queue.get(at) else { break };
            let asking = !self.is_known(outgoing.next_hop);
            if asking {
                self.asked_at = Some(now);
                outgoing.attempts = outgoing.attempts.saturating_add(1);
            }
            outgoing.by = Some(number);
            let sending = Sending { to: outgoing.to.addr, asking, since: now };
            self.transmitters[number].send(port, outgoing, payload, sending, cx);
        }
        self.look_again(places, now)
    }

    /// Takes a datagram that has left out of its queue, or has one that did not wait for its next turn.
    fn settle(&mut self, places: &mut [Place], transmitter: usize, outcome: Outcome) {
        for place in places {
            let Some(at) = place.queue.position(|outgoing| outgoing.by == Some(transmitter)) else { continue };
            let Some((outgoing, _)) = place.queue.get(at) else { return };
            outgoing.by = None;
            let next_hop = outgoing.next_hop;
            match outcome {
                Outcome::Left => place.remove(at),
                // Who waits for room may have it at the cost of this one.
                Outcome::Back => place.wake_writer(),
            }
            if let Some(host) = next_hop {
                self.note(host, outcome == Outcome::Left);
            }
            return;
        }
    }

    /// Drops datagrams that have waited too long.
    fn expire(&mut self, places: &mut [Place], now: Instant) {
        for place in places {
            while let Some(at) = place.queue.position(|o| o.by.is_none() && now >= o.expires) {
                if let Some((outgoing, _)) = place.queue.get(at) {
                    debug!("udp: {} does not answer, datagram dropped", Show(outgoing.to));
                }
                self.unresolved = self.unresolved.wrapping_add(1);
                place.remove(at);
            }
        }
    }

    /// The datagram whose turn it is: its place, and its place in the queue there.
    fn next(&self, places: &mut [Place], now: Instant) -> Option<(usize, usize)> {
        let may_ask = self.asked_at.is_none_or(|at| now >= at + ASK_EVERY);
        let mut best: Option<(u8, usize, usize)> = None;
        for (index, place) in places.iter_mut().enumerate() {
            let mut at = 0;
            while let Some((outgoing, _)) = place.queue.get(at) {
                let Outgoing { to, next_hop, attempts, by, .. } = *outgoing;
                let known = self.is_known(next_hop);
                let attempts = if known { 0 } else { attempts };
                let better = best.is_none_or(|(fewest, ..)| attempts < fewest);
                // Those for one destination keep their order.
                let first = place.queue.position(|other| other.to.addr == to.addr) == Some(at);
                if by.is_none() && better && (known || may_ask) && !self.is_sending_to(to.addr) && first {
                    best = Some((attempts, index, at));
                }
                at += 1;
            }
        }
        best.map(|(_, index, at)| (index, at))
    }

    fn is_sending_to(&self, destination: IpAddress) -> bool {
        self.transmitters.iter().any(|t| t.sending.is_some_and(|sending| sending.to == destination))
    }

    fn look_again(&self, places: &mut [Place], now: Instant) -> Option<Instant> {
        let waiting = places.iter_mut().flat_map(|place| place.queue.iter_mut()).filter(|o| o.by.is_none());
        let expiry = waiting.map(|outgoing| outgoing.expires).min();
        let turn = self.asked_at.map(|at| at + ASK_EVERY);
        let usable = self.transmitters.iter().map(|t| t.usable_from);
        let turns = usable.chain(turn).filter(|at| expiry.is_some() && *at > now);
        let attempts = self.transmitters.iter().filter_map(|t| t.sending.map(|sending| sending.until()));
        attempts.chain(turns).chain(expiry).min()
    }

    /// Has embassy-net's runner woken, as every use of a socket does.
    #[cfg(feature = "multicast")]
    pub(super) fn nudge(&mut self) {
        if let Some(transmitter) = self.transmitters.first_mut() {
            let _ = now_or_never(transmitter.socket.wait_recv_ready());
        }
    }
}

/// Adds a host, if need be in place of the one longest known.
fn remember<const N: usize>(hosts: &mut Vec<IpAddr, N>, host: IpAddr) {
    if !hosts.contains(&host) {
        if hosts.is_full() {
            hosts.remove(0);
        }
        let _ = hosts.push(host);
    }
}
