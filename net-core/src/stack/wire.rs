//! What the stack reads from, and mends in, raw frames around smoltcp.
//!
//! Reading: smoltcp's sockets do not say why they closed, keep nobody waiting for a socket, and do not show ICMP errors;
//! the frames do. Mending: MLDv2 and IGMPv2 reports as smoltcp 0.14 writes them.

use core::net::{IpAddr, SocketAddr};

use smoltcp::phy::Medium;
#[cfg(feature = "ipv4")]
use smoltcp::wire::{ArpOperation, ArpPacket, Icmpv4DstUnreachable, Icmpv4Message, Icmpv4Packet, Ipv4Packet};
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Icmpv6Message, Icmpv6Packet, Ipv6Packet};
use smoltcp::wire::{TcpPacket, UdpPacket};

/// The sockets that a received frame concerns, and what else the stack wants to know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// A TCP segment.
    Tcp(Segment),
    /// A UDP datagram to this port.
    Udp(u16),
    /// An ICMP error about something we sent.
    IcmpError(IcmpError),
    /// An IGMP or MLD query: reports are due within the next seconds.
    MembershipQuery,
    /// An answer to address resolution (ARP, neighbour discovery).
    Neighbor,
    /// Anything else, malformed frames included: smoltcp judges those.
    Other,
}

/// What a TCP header says, and where the segment came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// The hardware address of its sender; zero where there is none.
    pub(super) mac: EthernetAddress,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// SYN without ACK: a connection request.
    pub(super) is_request: bool,
    pub(super) is_syn: bool,
    pub(super) rst: bool,
    /// Sequence number, and that of the segment behind it.
    pub(super) seq: u32,
    pub(super) end: u32,
    pub(super) ack: Option<u32>,
    pub(super) window: u16,
    /// An acknowledgement and nothing else.
    pub(super) is_bare: bool,
}

#[cfg(test)]
impl Segment {
    /// One that says nothing.
    pub(super) fn for_test() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Self {
            mac: EthernetAddress([0; 6]),
            source: nowhere,
            destination: nowhere,
            is_request: false,
            is_syn: false,
            rst: false,
            seq: 0,
            end: 0,
            ack: None,
            window: 1000,
            is_bare: false,
        }
    }
}

/// An ICMP error, by the packet of ours that it quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IcmpError {
    pub(super) about: Quoted,
    pub(super) kind: IcmpErrorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IcmpErrorKind {
    /// Nobody listens there.
    PortUnreachable,
    /// No way there.
    Unreachable,
}

/// What an ICMP error quotes: our end and the other one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoted {
    Tcp { local: SocketAddr, remote: SocketAddr },
    Udp { local: SocketAddr, remote: SocketAddr },
    Echo { remote: IpAddr, ident: u16, seq: u16 },
}

/// Reads what matters of a received frame. Never fails: what cannot be read is [`Seen::Other`].
pub(super) fn inspect(frame: &[u8], medium: Medium) -> Seen {
    let mut seen = inspect_link(frame, medium).unwrap_or(Seen::Other);
    if let Seen::Tcp(segment) = &mut seen
        && medium == Medium::Ethernet
    {
        segment.mac = EthernetFrame::new_unchecked(frame).src_addr();
    }
    seen
}

fn inspect_link(frame: &[u8], medium: Medium) -> Option<Seen> {
    match medium {
        Medium::Ethernet => {
            let ethernet = EthernetFrame::new_checked(frame).ok()?;
            let payload = &frame[EthernetFrame::<&[u8]>::header_len()..];
            match ethernet.ethertype() {
                #[cfg(feature = "ipv4")]
                EthernetProtocol::Arp => {
                    let arp = ArpPacket::new_checked(payload).ok()?;
                    Some(if arp.operation() == ArpOperation::Reply { Seen::Neighbor } else { Seen::Other })
                }
                #[cfg(feature = "ipv4")]
                EthernetProtocol::Ipv4 => inspect_ipv4(payload),
                #[cfg(feature = "ipv6")]
                EthernetProtocol::Ipv6 => inspect_ipv6(payload),
                _ => None,
            }
        }
        Medium::Ip => match frame.first()? >> 4 {
            #[cfg(feature = "ipv4")]
            4 => inspect_ipv4(frame),
            #[cfg(feature = "ipv6")]
            6 => inspect_ipv6(frame),
            _ => None,
        },
    }
}

#[cfg(feature = "ipv4")]
fn inspect_ipv4(packet: &[u8]) -> Option<Seen> {
    let ip = Ipv4Packet::new_checked(packet).ok()?;
    if ip.frag_offset() != 0 {
        return None;
    }
    let (source, destination) = (IpAddr::V4(ip.src_addr()), IpAddr::V4(ip.dst_addr()));
    match ip.next_header() {
        IpProtocol::Icmp => {
            let icmp = Icmpv4Packet::new_checked(ip.payload()).ok()?;
            if icmp.msg_type() != Icmpv4Message::DstUnreachable {
                return None;
            }
            let kind = match Icmpv4DstUnreachable::from(icmp.msg_code()) {
                Icmpv4DstUnreachable::PortUnreachable => IcmpErrorKind::PortUnreachable,
                // Path MTU discovery is not done, so this says nothing about the destination.
                Icmpv4DstUnreachable::FragRequired => return None,
                _ => IcmpErrorKind::Unreachable,
            };
            Some(Seen::IcmpError(IcmpError { about: quoted_ipv4(icmp.data())?, kind }))
        }
        IpProtocol::Igmp => (*ip.payload().first()? == 0x11).then_some(Seen::MembershipQuery),
        protocol => inspect_transport(protocol, source, destination, ip.payload()),
    }
}

/// The packet inside an ICMP error: its IP header and at least 8 bytes more (RFC 792), so not a whole TCP header.
#[cfg(feature = "ipv4")]
fn quoted_ipv4(packet: &[u8]) -> Option<Quoted> {
    let ip = Ipv4Packet::new_unchecked(packet);
    if packet.len() < 20 || ip.version() != 4 || ip.frag_offset() != 0 {
        return None;
    }
    let payload = packet.get(usize::from(ip.header_len())..)?;
    quoted_transport(ip.next_header(), IpAddr::V4(ip.src_addr()), IpAddr::V4(ip.dst_addr()), payload, 8)
}

#[cfg(feature = "ipv6")]
fn inspect_ipv6(packet: &[u8]) -> Option<Seen> {
    let ip = Ipv6Packet::new_checked(packet).ok()?;
    let (source, destination) = (IpAddr::V6(ip.src_addr()), IpAddr::V6(ip.dst_addr()));
    let (mut protocol, mut payload) = (ip.next_header(), ip.payload());
    // The one extension header that smoltcp looks behind.
    if protocol == IpProtocol::HopByHop {
        let length = 8 + 8 * usize::from(*payload.get(1)?);
        protocol = IpProtocol::from(*payload.first()?);
        payload = payload.get(length..)?;
    }
    match protocol {
        IpProtocol::Icmpv6 => {
            let icmp = Icmpv6Packet::new_checked(payload).ok()?;
            match icmp.msg_type() {
                Icmpv6Message::NeighborAdvert | Icmpv6Message::NeighborSolicit => Some(Seen::Neighbor),
                Icmpv6Message::MldQuery => Some(Seen::MembershipQuery),
                Icmpv6Message::DstUnreachable => {
                    let kind = match icmp.msg_code() {
                        4 => IcmpErrorKind::PortUnreachable,
                        _ => IcmpErrorKind::Unreachable,
                    };
                    // Behind the ICMPv6 header and 4 unused bytes (RFC 4443 section 3.1).
                    Some(Seen::IcmpError(IcmpError { about: quoted_ipv6(payload.get(8..)?)?, kind }))
                }
                _ => None,
            }
        }
        protocol => inspect_transport(protocol, source, destination, payload),
    }
}

#[cfg(feature = "ipv6")]
fn quoted_ipv6(packet: &[u8]) -> Option<Quoted> {
    let ip = Ipv6Packet::new_unchecked(packet);
    if packet.len() < 40 || ip.version() != 6 {
        return None;
    }
    let (source, destination) = (IpAddr::V6(ip.src_addr()), IpAddr::V6(ip.dst_addr()));
    quoted_transport(ip.next_header(), source, destination, &packet[40..], 128)
}

fn inspect_transport(protocol: IpProtocol, source: IpAddr, destination: IpAddr, payload: &[u8]) -> Option<Seen> {
    match protocol {
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).ok()?;
            let seq = tcp.seq_number().0 as u32;
            let length = tcp.payload().len() as u32 + u32::from(tcp.syn()) + u32::from(tcp.fin());
            Some(Seen::Tcp(Segment {
                mac: EthernetAddress([0; 6]),
                source: SocketAddr::new(source, tcp.src_port()),
                destination: SocketAddr::new(destination, tcp.dst_port()),
                is_request: tcp.syn() && !tcp.ack() && !tcp.rst() && !tcp.fin(),
                is_syn: tcp.syn(),
                rst: tcp.rst(),
                seq,
                end: seq.wrapping_add(length),
                ack: tcp.ack().then(|| tcp.ack_number().0 as u32),
                window: tcp.window_len(),
                is_bare: length == 0,
            }))
        }
        IpProtocol::Udp => Some(Seen::Udp(UdpPacket::new_checked(payload).ok()?.dst_port())),
        _ => None,
    }
}

/// `echo_request` is the ICMP type of an echo request in that IP version.
fn quoted_transport(
    protocol: IpProtocol,
    source: IpAddr,
    destination: IpAddr,
    payload: &[u8],
    echo_request: u8,
) -> Option<Quoted> {
    let word = |at: usize| Some(u16::from_be_bytes([*payload.get(at)?, *payload.get(at + 1)?]));
    let ends = || Some((SocketAddr::new(source, word(0)?), SocketAddr::new(destination, word(2)?)));
    match protocol {
        IpProtocol::Tcp => ends().map(|(local, remote)| Quoted::Tcp { local, remote }),
        IpProtocol::Udp => ends().map(|(local, remote)| Quoted::Udp { local, remote }),
        IpProtocol::Icmp | IpProtocol::Icmpv6 if *payload.first()? == echo_request => {
            Some(Quoted::Echo { remote: destination, ident: word(4)?, seq: word(6)? })
        }
        _ => None,
    }
}

/// Length of an IPv4 packet that holds an IGMPv2 message and nothing else: header and 8 bytes.
#[cfg(all(feature = "ipv4", feature = "multicast"))]
const IGMP_PACKET: usize = 28;
/// What [`mend_igmp`] adds: the Router Alert option.
#[cfg(all(feature = "ipv4", feature = "multicast"))]
pub(super) const ROUTER_ALERT: [u8; 4] = [0x94, 0x04, 0x00, 0x00];

/// Whether a frame of this length may be an IGMP message of smoltcp's, which [`mend_igmp`] makes longer.
#[cfg(all(feature = "ipv4", feature = "multicast"))]
pub(super) fn may_be_igmp(length: usize, medium: Medium) -> bool {
    length == link_header(medium) + IGMP_PACKET
}

/// Adds the Router Alert option that RFC 2236 section 2 asks of every IGMP message: without it, routers and snooping
/// switches may overlook the report. `frame` has room for four bytes behind its `length`. Gives the new length, or
/// `None` when this is no such message.
#[cfg(all(feature = "ipv4", feature = "multicast"))]
pub(super) fn mend_igmp(frame: &mut [u8], length: usize, medium: Medium) -> Option<usize> {
    let packet = frame.get_mut(link_header(medium)..length + ROUTER_ALERT.len())?;
    if packet.first()? >> 4 != 4
        || Ipv4Packet::new_checked(&packet[..IGMP_PACKET]).ok()?.next_header() != IpProtocol::Igmp
    {
        return None;
    }
    packet.copy_within(20..IGMP_PACKET, 24);
    packet[20..24].copy_from_slice(&ROUTER_ALERT);
    let mut ip = Ipv4Packet::new_unchecked(packet);
    ip.set_header_len(24);
    ip.set_total_len((IGMP_PACKET + ROUTER_ALERT.len()) as u16);
    ip.fill_checksum();
    Some(length + ROUTER_ALERT.len())
}

/// Swaps the record types "change to include" and "change to exclude" in an MLDv2 report: smoltcp 0.14 uses the one
/// for joining and the other for leaving, where RFC 3810 section 5.2.12 means it the other way round. Multicast snooping
/// switches make no entry for a group joined the wrong way.
#[cfg(all(feature = "ipv6", feature = "multicast"))]
pub(super) fn mend_mld(frame: &mut [u8], medium: Medium) {
    const INCLUDE: u8 = 3;
    const EXCLUDE: u8 = 4;
    /// IPv6 header, hop-by-hop header with Router Alert, and the report up to its first record.
    const FIRST_RECORD: usize = 40 + 8 + 8;

    let header = link_header(medium);
    let Some(packet) = frame.get_mut(header..) else { return };
    if packet.len() < FIRST_RECORD || packet[0] >> 4 != 6 || packet[6] != 0 {
        return;
    }
    if packet[40] != u8::from(IpProtocol::Icmpv6) || packet[48] != u8::from(Icmpv6Message::MldReport) {
        return;
    }
    let (source, destination) = {
        let ip = Ipv6Packet::new_unchecked(&packet[..]);
        (ip.src_addr(), ip.dst_addr())
    };
    let records = u16::from_be_bytes([packet[54], packet[55]]);
    let mut at = FIRST_RECORD;
    for _ in 0..records {
        let Some(record) = packet.get_mut(at..at + 20) else { return };
        record[0] = match record[0] {
            INCLUDE => EXCLUDE,
            EXCLUDE => INCLUDE,
            other => other,
        };
        let sources = usize::from(u16::from_be_bytes([record[2], record[3]]));
        at += 20 + 16 * sources + 4 * usize::from(record[1]);
    }
    Icmpv6Packet::new_unchecked(&mut packet[48..]).fill_checksum(&source, &destination);
}

#[cfg(feature = "multicast")]
fn link_header(medium: Medium) -> usize {
    match medium {
        Medium::Ethernet => EthernetFrame::<&[u8]>::header_len(),
        Medium::Ip => 0,
    }
}
