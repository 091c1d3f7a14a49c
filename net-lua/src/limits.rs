//! The size of every table in this crate, and what happens when it is full.

/// Bytes of one `receive` event of a TCP socket, the payload of one full Ethernet frame. A longer stretch comes in
/// several events.
pub const CHUNK: usize = 1460;
/// Bytes that a TCP socket takes from the script and has not seen acknowledged yet: eight segments. A `send` that
/// does not fit as a whole raises `out of memory` and queues nothing.
pub const SEND_QUEUE: usize = 8 * CHUNK;
/// Bytes read ahead for a socket whose script has no `receive` handler (yet): one receive window of the original
/// firmware. Further data waits in the stack, which closes its window.
pub const UNREAD: usize = 4 * CHUNK;
/// Connections that a server has accepted but no script has seen. Further ones wait in the stack's own queue.
/// On a computer, where sockets are on the heap, as many as its own listeners usually have.
pub const BACKLOG: usize = if cfg!(target_os = "none") { 8 } else { 128 };
/// Largest datagram received, in bytes; of a longer one the rest is lost.
pub const DATAGRAM: usize = if cfg!(target_os = "none") { 1536 } else { 65_507 };
/// Largest UDP payload there is over IPv4 (RFC 768, RFC 791). A longer one raises `cannot allocate message buffer`.
pub const UDP_PAYLOAD: usize = 65_507;
/// Datagrams of one UDP socket that wait for room in the stack or for the name of their destination. One more raises
/// `cannot allocate message buffer`.
pub const UDP_QUEUE: usize = 8;
/// Name lookups under way at once. One more raises `out of memory`.
pub const LOOKUPS: usize = 16;
/// Bytes of a name to be looked up (RFC 1035 section 2.3.4). A longer one raises `illegal argument`.
pub const NAME: usize = 255;
/// DNS servers that a script can set.
pub const DNS_SLOTS: usize = 2;
/// Callbacks run before the network is looked after again.
pub const CALLBACKS_PER_TURN: usize = 32;
/// Virtual machine instructions between two looks at [`Platform::interrupted`](crate::Platform::interrupted).
pub const INSTRUCTIONS_PER_LOOK: u32 = 10_000;
/// Lua threads kept for reuse by callbacks.
pub const IDLE_THREADS: usize = 4;
