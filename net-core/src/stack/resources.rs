//! The memory of a stack.

use smoltcp::iface::SocketStorage;
#[cfg(feature = "udp")]
use smoltcp::socket::udp::PacketMetadata;
#[cfg(feature = "dhcp")]
use smoltcp::wire::DhcpOption;

use super::Shared;
#[cfg(feature = "icmp")]
use super::echo::EchoMemory;
#[cfg(feature = "tcp")]
use super::tcp_pool;
#[cfg(feature = "udp")]
use super::udp;
#[allow(unused_imports)] // which limits matter depends on the features
use crate::limits;

/// The memory of a stack: its sockets, their buffers, and the stack itself.
///
/// A stack has `TCP` TCP sockets and `UDP` UDP sockets; each TCP socket has a receive and a send buffer of `TCP_BUFFER`
/// bytes, each UDP socket a receive and a send queue of `UDP_BUFFER` bytes (and of
/// [`limits::UDP_DATAGRAMS`] datagrams at the most). Listeners need no socket of their own. A received datagram that is
/// larger than `UDP_BUFFER` is lost.
///
/// On a device it is a `static` (in a `static_cell::ConstStaticCell`, for one), so that its size is known when linking.
/// `./x bench` prints how much it takes beside the buffers.
///
/// ```
/// use net_core::stack::Resources;
/// // 4 TCP sockets, 2 UDP sockets, TCP buffers of 2048 bytes, UDP queues of 1536.
/// let resources: Resources<4, 2, 2048, 1536> = Resources::new();
/// # let _ = resources;
/// ```
pub struct Resources<'d, const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize> {
    pub(super) shared: Room<Shared<'d>>,
    #[cfg(feature = "alloc")]
    pub(super) growing: Option<PoolSizes>,
    #[cfg(feature = "tcp")]
    pub(super) tcp: TcpMemory<'d, TCP, TCP_BUFFER>,
    #[cfg(feature = "udp")]
    pub(super) udp: UdpMemory<'d, UDP, UDP_BUFFER>,
    #[cfg(feature = "icmp")]
    pub(super) echo_storage: Room<[SocketStorage<'d>; 1]>,
    #[cfg(feature = "icmp")]
    pub(super) echo: EchoMemory,
    #[cfg(feature = "dhcp")]
    pub(super) dhcp: DhcpMemory<'d>,
    pub(super) others: Room<[SocketStorage<'d>; 1]>,
}

/// Room for a value that is made when the stack is.
///
/// Empty, all its bytes are zeros. `None` may be told by another value of some byte, and then a `static` with it, buffers
/// and all, takes as much flash as it takes RAM.
#[repr(u8)]
pub(super) enum Room<T> {
    Empty,
    Made(T),
}

impl<T> Room<T> {
    /// Puts the value there.
    pub(super) fn make(&mut self, value: T) -> &mut T {
        *self = Self::Made(value);
        match self {
            Self::Made(value) => value,
            Self::Empty => unreachable!("just made"),
        }
    }
}

/// How many sockets a stack on the heap may have at once, and how large their buffers are.
#[cfg(feature = "alloc")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSizes {
    /// TCP sockets.
    pub tcp: usize,
    /// UDP sockets.
    pub udp: usize,
    /// Bytes of each TCP socket's receive buffer, and of its send buffer.
    pub tcp_buffer: usize,
    /// Bytes of each UDP socket's receive queue, and of its send queue.
    pub udp_buffer: usize,
}

/// The memory of a stack whose sockets are made on the heap when they are needed and freed afterwards.
#[cfg(feature = "alloc")]
pub type HeapResources<'d> = Resources<'d, 0, 0, 0, 0>;

impl<const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize>
    Resources<'_, TCP, UDP, TCP_BUFFER, UDP_BUFFER>
{
    /// Memory that is not in use yet.
    pub const fn new() -> Self {
        Self {
            shared: Room::Empty,
            #[cfg(feature = "alloc")]
            growing: None,
            #[cfg(feature = "tcp")]
            tcp: TcpMemory {
                storage: Room::Empty,
                places: Room::Empty,
                rx: [[0; TCP_BUFFER]; TCP],
                tx: [[0; TCP_BUFFER]; TCP],
            },
            #[cfg(feature = "udp")]
            udp: UdpMemory {
                storage: Room::Empty,
                places: Room::Empty,
                rx_meta: Room::Empty,
                rx: [[0; UDP_BUFFER]; UDP],
                tx: [[0; UDP_BUFFER]; UDP],
                transmit_storage: Room::Empty,
                transmit_meta: Room::Empty,
                transmit: [0; limits::UDP_PAYLOAD],
            },
            #[cfg(feature = "icmp")]
            echo_storage: Room::Empty,
            #[cfg(feature = "icmp")]
            echo: EchoMemory::NEW,
            #[cfg(feature = "dhcp")]
            dhcp: DhcpMemory { packet: [0; DHCP_PACKET], host_name: [0; limits::HOST_NAME], options: Room::Empty },
            others: Room::Empty,
        }
    }
}

#[cfg(feature = "alloc")]
impl HeapResources<'_> {
    /// Memory for a stack whose sockets live on the heap, as many at once as `sizes` says.
    pub const fn growing(sizes: PoolSizes) -> Self {
        let mut resources = Self::new();
        resources.growing = Some(sizes);
        resources
    }
}

impl<const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize> Default
    for Resources<'_, TCP, UDP, TCP_BUFFER, UDP_BUFFER>
{
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(feature = "tcp")]
pub(super) struct TcpMemory<'d, const N: usize, const BUFFER: usize> {
    storage: Room<[SocketStorage<'d>; N]>,
    places: Room<[tcp_pool::Place; N]>,
    rx: [[u8; BUFFER]; N],
    tx: [[u8; BUFFER]; N],
}

#[cfg(feature = "tcp")]
impl<'d, const N: usize, const BUFFER: usize> TcpMemory<'d, N, BUFFER> {
    pub(super) fn pool(&'d mut self) -> tcp_pool::Pool<'d> {
        let buffers = self.rx.iter_mut().zip(&mut self.tx).map(|(rx, tx)| (&mut rx[..], &mut tx[..]));
        let storage = self.storage.make([SocketStorage::EMPTY; N]);
        tcp_pool::Pool::fixed(storage, self.places.make([tcp_pool::Place::FREE; N]), buffers)
    }
}

#[cfg(feature = "udp")]
pub(super) struct UdpMemory<'d, const N: usize, const BUFFER: usize> {
    storage: Room<[SocketStorage<'d>; N]>,
    places: Room<[udp::Place<'d>; N]>,
    rx_meta: Room<[[PacketMetadata; limits::UDP_DATAGRAMS]; N]>,
    rx: [[u8; BUFFER]; N],
    tx: [[u8; BUFFER]; N],
    transmit_storage: Room<[SocketStorage<'d>; 1]>,
    transmit_meta: Room<[PacketMetadata; 1]>,
    transmit: [u8; limits::UDP_PAYLOAD],
}

#[cfg(feature = "udp")]
impl<'d, const N: usize, const BUFFER: usize> UdpMemory<'d, N, BUFFER> {
    pub(super) fn pool(&'d mut self, #[cfg(feature = "alloc")] growing: Option<PoolSizes>) -> udp::Pool<'d> {
        let transmit_storage = self.transmit_storage.make([SocketStorage::EMPTY]);
        let transmit_meta = self.transmit_meta.make([PacketMetadata::EMPTY]);
        let transmitter = udp::Transmitter::new(transmit_storage, transmit_meta, &mut self.transmit);
        #[cfg(feature = "alloc")]
        if let Some(sizes) = growing {
            return udp::Pool::growing(sizes.udp, sizes.udp_buffer, transmitter);
        }
        let rx_meta = self.rx_meta.make([[PacketMetadata::EMPTY; limits::UDP_DATAGRAMS]; N]);
        let rx = rx_meta.iter_mut().zip(&mut self.rx);
        let buffers = rx.zip(&mut self.tx).map(|((rx_meta, rx), tx)| udp::Buffers { rx_meta, rx, tx });
        let storage = self.storage.make([SocketStorage::EMPTY; N]);
        udp::Pool::fixed(storage, self.places.make([const { udp::Place::FREE }; N]), buffers, transmitter)
    }
}

/// A DHCP message of the size that every client must accept (RFC 2131 section 2), of which the options are read again
/// after smoltcp has.
#[cfg(feature = "dhcp")]
const DHCP_PACKET: usize = 576;

#[cfg(feature = "dhcp")]
pub(super) struct DhcpMemory<'d> {
    packet: [u8; DHCP_PACKET],
    host_name: [u8; limits::HOST_NAME],
    options: Room<[DhcpOption<'d>; 1]>,
}

#[cfg(feature = "dhcp")]
impl<'d> DhcpMemory<'d> {
    /// Room for the server's message, and the options to send.
    pub(super) fn prepare(&'d mut self, host_name: &str) -> (&'d mut [u8], &'d [DhcpOption<'d>]) {
        if host_name.is_empty() {
            return (&mut self.packet, &[]);
        }
        let length = host_name.len().min(limits::HOST_NAME);
        self.host_name[..length].copy_from_slice(&host_name.as_bytes()[..length]);
        let option = DhcpOption { kind: 12, data: &self.host_name[..length] };
        (&mut self.packet, self.options.make([option]))
    }
}
