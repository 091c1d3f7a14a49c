//! Quicker recovery from loss than smoltcp's own.
//!
//! smoltcp 0.14 repeats a lost segment when three duplicate acknowledgements arrive, and otherwise after a timeout of one
//! second at least: of several segments lost together it repeats one a second, and one lost at the end of a message
//! always costs a second. Nothing in its interface changes that. But it can be told by what it receives: three more
//! copies of the last acknowledgement make it repeat the first unacknowledged segment. So this watches the segments
//! that come and go, estimates the round trip (RFC 6298), and asks for such copies
//! - when an acknowledgement shows that a repeated segment was not the only one lost (NewReno, RFC 6582), and
//! - when acknowledgements stay away for two round trips (the tail loss probe of RFC 8985 section 7), less and less often
//!   while they do.
//!
//! smoltcp's congestion control sees the same copies and slows down as for any loss.

use core::net::{IpAddr, SocketAddr};

use embassy_time::{Duration, Instant};
use smoltcp::phy::{ChecksumCapabilities, Medium};
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpProtocol, TcpControl, TcpPacket, TcpRepr,
    TcpSeqNumber,
};
#[cfg(feature = "ipv4")]
use smoltcp::wire::{Ipv4Packet, Ipv4Repr};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Ipv6Packet, Ipv6Repr};

use super::wire::Segment;

/// How many copies of an acknowledgement make smoltcp repeat a segment.
pub(super) const COPIES: u32 = 3;
/// The longest that a receiver may keep back the acknowledgement of a single segment (RFC 8985 section 7.2).
const DELAYED_ACK: Duration = Duration::from_millis(200);
/// Before the round trip is known (RFC 6298 section 2).
const INITIAL: Duration = Duration::from_secs(1);
/// No probe is sooner than that after a segment, however short the round trip.
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_secs(60);
/// More than this in flight is more than one segment.
const ONE_SEGMENT: u32 = 1460;

/// What is known of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recovery {
    /// Behind the last byte ever sent, and behind the last acknowledged one.
    sent: u32,
    acknowledged: u32,
    /// A segment under way whose acknowledgement will measure the round trip.
    sample: Option<(u32, Instant)>,
    /// Smoothed round trip and its variation, in microseconds.
    round_trip: Option<(u32, u32)>,
    /// Losses are being repaired until all that was sent before is acknowledged; and when a segment was last repeated.
    repair_until: Option<u32>,
    repeated_at: Instant,
    duplicates: u8,
    probe_at: Option<Instant>,
    probes: u8,
    /// What the peer's last segment looked like.
    peer: Option<Peer>,
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    mac: EthernetAddress,
    next_seq: u32,
    window: u16,
}

/// Whether sequence number `a` is behind `b`.
fn after(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

impl Recovery {
    pub(super) const NEW: Self = Self {
        sent: 0,
        acknowledged: 0,
        sample: None,
        round_trip: None,
        repair_until: None,
        repeated_at: Instant::MIN,
        duplicates: 0,
        probe_at: None,
        probes: 0,
        peer: None,
    };

    /// Whether a segment acknowledges what was acknowledged before.
    pub(super) fn is_duplicate(&self, segment: &Segment) -> bool {
        segment.ack == Some(self.acknowledged)
    }

    /// When [`on_timer`](Self::on_timer) wants to be asked.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.probe_at
    }

    fn patience(&self) -> Duration {
        let base = match self.round_trip {
            Some((smoothed, _)) => Duration::from_micros(2 * u64::from(smoothed)).max(SOONEST),
            None => INITIAL,
        };
        let single = self.sent.wrapping_sub(self.acknowledged) <= ONE_SEGMENT;
        let base = if single { base + DELAYED_ACK } else { base };
        Duration::from_ticks(base.as_ticks() << self.probes.min(12)).min(LATEST)
    }

    fn most_of_round_trip(&self) -> Duration {
        Duration::from_micros(self.round_trip.map_or(0, |(smoothed, _)| u64::from(smoothed) * 3 / 4))
    }

    /// A segment of ours is on its way.
    pub(super) fn on_sent(&mut self, segment: &Segment, now: Instant) {
        if segment.is_syn {
            // A new connection, or its first segment once more; the answer measures the round trip all the same when
            // it was sent only once.
            let again = self.sent == segment.end;
            *self = Self { sent: segment.end, acknowledged: segment.seq, ..Self::NEW };
            self.sample = (!again).then_some((segment.end, now));
            return;
        }
        if segment.end == segment.seq {
            return;
        }
        if after(segment.end, self.sent) {
            self.sent = segment.end;
            if self.sample.is_none() && self.repair_until.is_none() {
                self.sample = Some((segment.end, now));
            }
        } else {
            self.sample = None; // sent twice: whose acknowledgement comes is not known (Karn's algorithm)
        }
        self.probe_at = Some(now + self.patience());
    }

    /// A segment of the peer's has come. `true` when copies of its acknowledgement are wanted.
    pub(super) fn on_received(&mut self, segment: &Segment, now: Instant) -> bool {
        let Some(ack) = segment.ack else { return false };
        let window_changed = self.peer.is_some_and(|peer| peer.window != segment.window);
        self.peer = Some(Peer { mac: segment.mac, next_seq: segment.end, window: segment.window });
        if after(ack, self.sent) {
            return false; // nonsense, which smoltcp answers
        }
        if after(ack, self.acknowledged) {
            self.acknowledged = ack;
            self.duplicates = 0;
            self.probes = 0;
            if let Some((end, at)) = self.sample
                && !after(end, ack)
            {
                self.sample = None;
                self.measure(now - at);
            }
            self.probe_at = (ack != self.sent).then(|| now + self.patience());
            if let Some(until) = self.repair_until {
                if !after(until, ack) {
                    self.repair_until = None;
                } else if now >= self.repeated_at + self.most_of_round_trip() {
                    self.repeated_at = now;
                    return true;
                }
                // Sooner than that, it cannot acknowledge what was repeated: segments have overtaken each other.
            }
        } else if ack == self.acknowledged && ack != self.sent && segment.is_bare && !window_changed {
            self.duplicates = self.duplicates.saturating_add(1);
            if self.duplicates == COPIES as u8 && self.repair_until.is_none() {
                // smoltcp has seen them too.
                self.repair_until = Some(self.sent);
                self.repeated_at = now;
                self.sample = None;
            }
        }
        false
    }

    /// `true` when acknowledgements have stayed away for so long that copies of the last one are wanted.
    pub(super) fn on_timer(&mut self, now: Instant) -> bool {
        if self.probe_at.is_none_or(|at| now < at) {
            return false;
        }
        self.probe_at = None;
        if self.sent == self.acknowledged || self.peer.is_none() {
            return false;
        }
        self.probes = self.probes.saturating_add(1);
        self.sample = None;
        self.repair_until = Some(self.sent);
        self.repeated_at = now;
        self.probe_at = Some(now + self.patience());
        true
    }

    /// RFC 6298 section 2.
    fn measure(&mut self, round_trip: Duration) {
        let sample = u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX / 16).min(u32::MAX / 16);
        self.round_trip = Some(match self.round_trip {
            None => (sample, sample / 2),
            Some((smoothed, variation)) => {
                let variation = (3 * variation + smoothed.abs_diff(sample)) / 4;
                ((7 * smoothed + sample) / 8, variation)
            }
        });
    }

    /// Writes a copy of the peer's last acknowledgement into `buffer`, and gives its length.
    pub(super) fn copy<'b>(
        &self,
        local: SocketAddr,
        remote: SocketAddr,
        own_mac: EthernetAddress,
        medium: Medium,
        buffer: &'b mut [u8; 74],
    ) -> Option<&'b [u8]> {
        let peer = self.peer?;
        let repr = TcpRepr {
            src_port: remote.port(),
            dst_port: local.port(),
            control: TcpControl::None,
            seq_number: TcpSeqNumber(peer.next_seq as i32),
            ack_number: Some(TcpSeqNumber(self.acknowledged as i32)),
            window_len: peer.window,
            window_scale: None,
            max_seg_size: None,
            sack_permitted: false,
            sack_ranges: [None; 3],
            timestamp: None,
            payload: &[],
        };
        let caps = ChecksumCapabilities::default();
        let link = if medium == Medium::Ethernet { 14 } else { 0 };
        let length = repr.buffer_len();
        let (ethertype, header) = match (remote.ip(), local.ip()) {
            #[cfg(feature = "ipv4")]
            (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
                let ip =
                    Ipv4Repr { src_addr, dst_addr, next_header: IpProtocol::Tcp, payload_len: length, hop_limit: 64 };
                ip.emit(&mut Ipv4Packet::new_unchecked(&mut buffer[link..]), &caps);
                (EthernetProtocol::Ipv4, 20)
            }
            #[cfg(feature = "ipv6")]
            (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
                let ip =
                    Ipv6Repr { src_addr, dst_addr, next_header: IpProtocol::Tcp, payload_len: length, hop_limit: 64 };
                ip.emit(&mut Ipv6Packet::new_unchecked(&mut buffer[link..]));
                (EthernetProtocol::Ipv6, 40)
            }
            _ => return None,
        };
        if link > 0 {
            let ethernet = EthernetRepr { src_addr: peer.mac, dst_addr: own_mac, ethertype };
            ethernet.emit(&mut EthernetFrame::new_unchecked(&mut buffer[..]));
        }
        let end = link + header + length;
        let (src, dst) = (super::convert::ip(remote.ip())?, super::convert::ip(local.ip())?);
        repr.emit(&mut TcpPacket::new_unchecked(buffer.get_mut(link + header..end)?), &src, &dst, &caps);
        buffer.get(..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u32, end: u32) -> Segment {
        Segment { seq, end, ..Segment::for_test() }
    }

    fn ack(ack: u32) -> Segment {
        Segment { ack: Some(ack), is_bare: true, ..Segment::for_test() }
    }

    fn ms(ms: u64) -> Instant {
        Instant::from_millis(1000 + ms)
    }

    /// A connection with a measured round trip of 20 ms and `segments` of 1000 bytes sent at 20 ms, from 1001 on.
    fn busy(segments: u32) -> Recovery {
        let mut recovery = Recovery::NEW;
        recovery.on_sent(&Segment { is_syn: true, ..sent(1000, 1001) }, ms(0));
        assert!(!recovery.on_received(&ack(1001), ms(20)));
        for n in 0..segments {
            recovery.on_sent(&sent(1001 + n * 1000, 2001 + n * 1000), ms(20));
        }
        recovery
    }

    #[test]
    fn silence_of_two_round_trips_asks_for_the_first_segment_and_then_ever_less_often() {
        let mut recovery = busy(3);
        assert_eq!(recovery.deadline(), Some(ms(60)));
        assert!(!recovery.on_timer(ms(59)));
        assert!(recovery.on_timer(ms(60)));
        assert_eq!(recovery.deadline(), Some(ms(140)));
        assert!(recovery.on_timer(ms(140)));
        assert_eq!(recovery.deadline(), Some(ms(300)));
        for _ in 0..20 {
            let at = recovery.deadline().unwrap();
            assert!(recovery.on_timer(at));
            assert!(recovery.deadline().unwrap() - at <= LATEST);
        }
    }

    #[test]
    fn a_single_segment_is_given_time_for_a_delayed_acknowledgement() {
        assert_eq!(busy(1).deadline(), Some(ms(20 + 40 + 200)));
    }

    #[test]
    fn an_acknowledgement_of_part_of_a_repair_asks_for_the_next_segment() {
        let mut recovery = busy(5);
        for _ in 0..3 {
            assert!(!recovery.on_received(&ack(1001), ms(40)));
        }
        assert!(recovery.on_received(&ack(2001), ms(60)), "the second was lost too");
        assert!(recovery.on_received(&ack(3001), ms(80)));
        assert!(!recovery.on_received(&ack(6001), ms(100)), "all are there");
        assert_eq!(recovery.deadline(), None);
    }

    #[test]
    fn ordinary_acknowledgements_ask_for_nothing() {
        let mut recovery = busy(5);
        for n in 1..=5 {
            assert!(!recovery.on_received(&ack(1001 + n * 1000), ms(40)));
        }
        assert!(!recovery.on_timer(ms(10_000)));
        assert!(!recovery.on_received(&ack(99_999), ms(50)), "an acknowledgement of what was never sent");
    }

    #[test]
    fn sequence_numbers_wrap() {
        let mut recovery = Recovery::NEW;
        recovery.on_sent(&Segment { is_syn: true, ..sent(u32::MAX - 500, u32::MAX - 499) }, ms(0));
        recovery.on_received(&ack(u32::MAX - 499), ms(10));
        recovery.on_sent(&sent(u32::MAX - 499, 500), ms(10));
        recovery.on_sent(&sent(500, 1500), ms(10));
        assert!(!recovery.on_received(&ack(500), ms(20)));
        assert!(!recovery.on_received(&ack(1500), ms(20)));
        assert_eq!(recovery.deadline(), None);
    }
}
