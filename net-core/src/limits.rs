//! The size of every table in this crate, and what happens when it is full.
//!
//! Socket counts and buffer sizes are the caller's: see `stack::Resources`.

/// Addresses on one interface, both IP versions together. An address beyond it is refused with a log line.
pub const ADDRESSES: usize = 6;
/// DNS servers known at once: those set by hand and those learnt. More are ignored, in the order they came.
pub const DNS_SERVERS: usize = 4;
/// Addresses in the answer to one lookup. More are ignored, in the order they came.
pub const DNS_ADDRESSES: usize = 8;
/// Aliases (CNAME) followed for one lookup, however many queries they take. A longer chain is
/// `DnsError::Malformed`.
pub const DNS_ALIASES: usize = 8;
/// Bytes of a DNS message that are kept, and the size that servers are asked to stay below (RFC 6891; 1232 fits the
/// smallest IPv6 packet). Of a longer one, over TCP, the part that fits is read.
pub const DNS_MESSAGE: usize = 1232;
/// Bytes of an answer to a one-shot mDNS query that are read: all that a query without EDNS may be answered with (RFC 1035
/// section 2.3.4). Of a longer one, the part that fits is read.
pub const MDNS_REPLY: usize = 512;
/// Bytes, as on the wire, of the longest name that the DNS cache keeps. Answers with longer names are not cached.
pub const DNS_CACHED_NAME: usize = 96;
/// NTP servers kept from DHCP option 42. More are ignored.
pub const NTP_SERVERS: usize = 4;
/// Bytes of a host name that are sent with DHCP option 12 (RFC 1035 allows a label 63).
pub const HOST_NAME: usize = 63;
/// Listening ports at once. One more is [`Error::NoFreeSocket`](crate::Error::NoFreeSocket).
pub const LISTENERS: usize = 8;
/// Connection requests kept while every socket is busy. When a further one comes, the oldest is forgotten: its
/// client sends it again after a second.
pub const HELD_SYNS: usize = 8;
/// Closed connections that a stack on the heap keeps in TIME-WAIT, to acknowledge a repeated FIN (RFC 9293 section 3.6.1); the
/// oldest is forgotten first. In a fixed pool each stays until another connection needs its place.
pub const TIME_WAITS: usize = 16;
/// Multicast groups joined at once, both IP versions together; IPv6 takes one for each of its addresses. One more
/// is [`Error::NoFreeSocket`](crate::Error::NoFreeSocket).
pub const MULTICAST_GROUPS: usize = 8;
/// Echo requests in flight at once. One more waits for its turn.
pub const PINGS: usize = 4;
/// Largest ping payload, in bytes.
pub const PING_PAYLOAD: usize = 512;
/// Events kept for readers that have not read them; a slower reader is told how many it missed.
pub const EVENTS: usize = 16;
/// Tasks that wait for events at once without polling. Further ones look again ten times a second.
pub const EVENT_WAITERS: usize = 8;
/// Received frames handled before the stack lets other tasks run.
pub const FRAMES_PER_TURN: usize = 64;
/// Largest UDP payload, in bytes: what fits into an Ethernet frame over IPv4. Datagrams are not fragmented; a larger one
/// is [`Error::TooLarge`](crate::Error::TooLarge).
pub const UDP_PAYLOAD: usize = 1472;
/// UDP sockets with which datagrams leave through an embassy-net stack, whichever sockets receive. Each takes
/// [`UDP_PAYLOAD`] bytes. One may be busy for a second with a host that does not answer; of two, another goes on.
pub const UDP_TRANSMITTERS: usize = 2;
/// Hosts that are remembered to answer address resolution, where embassy-net does that. The one longest known is
/// forgotten first; a datagram to a host not remembered may have to wait for its turn, up to a few seconds.
pub const UDP_KNOWN_HOSTS: usize = 8;
/// Datagrams that one UDP socket keeps for its reader, and as many that wait to be sent. A received one beyond that is
/// lost; sending waits. (A socket on the heap keeps more received ones: as many as its queue has room for.)
pub const UDP_DATAGRAMS: usize = 4;
