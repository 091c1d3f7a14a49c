//! The memory of the adapter.

use embassy_net::Stack;
use embassy_net::tcp::TcpSocket;
use embassy_net::udp::{PacketMetadata, UdpSocket};
use heapless::Vec;

use super::{Shared, connection, tcp_pool, transmit, udp};
use crate::limits;
use crate::queue::{Bytes, Queue};

/// The memory of the adapter: its sockets and their buffers.
///
/// There are `TCP` TCP sockets and `UDP` UDP sockets; each TCP socket has a receive and a send buffer of `TCP_BUFFER`
/// bytes, each UDP socket a receive and a send queue of `UDP_BUFFER` bytes (and of
/// [`limits::UDP_DATAGRAMS`] datagrams at the most). A received datagram that is larger than `UDP_BUFFER` is lost.
///
/// A listener needs sockets: as many as connections may come at once, see the [module](super).
pub struct Resources<const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize> {
    pub(super) shared: Option<Shared>,
    tcp: Vec<connection::Place, TCP>,
    tcp_buffers: [TcpBuffers<TCP_BUFFER>; TCP],
    udp: Vec<udp::Place, UDP>,
    udp_buffers: [UdpBuffers<UDP_BUFFER>; UDP],
    transmitters: Vec<transmit::Transmitter, { limits::UDP_TRANSMITTERS }>,
    transmitter_buffers: [TransmitterBuffers; limits::UDP_TRANSMITTERS],
}

struct TcpBuffers<const N: usize> {
    rx: [u8; N],
    tx: [u8; N],
}

struct UdpBuffers<const N: usize> {
    meta: [PacketMetadata; limits::UDP_DATAGRAMS],
    rx: [u8; N],
    tx: [u8; N],
}

struct TransmitterBuffers {
    meta: [PacketMetadata; 1],
    payload: [u8; limits::UDP_PAYLOAD],
}

impl<const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize>
    Resources<TCP, UDP, TCP_BUFFER, UDP_BUFFER>
{
    /// How many sockets of the embassy-net stack this takes: `embassy_net::StackResources` must have room for so many
    /// beside the firmware's own and those for DHCP and DNS.
    pub const SOCKETS: usize = TCP + UDP + limits::UDP_TRANSMITTERS;

    /// Memory that is not in use yet.
    pub const fn new() -> Self {
        Self {
            shared: None,
            tcp: Vec::new(),
            tcp_buffers: [const { TcpBuffers { rx: [0; TCP_BUFFER], tx: [0; TCP_BUFFER] } }; TCP],
            udp: Vec::new(),
            udp_buffers: [const {
                UdpBuffers {
                    meta: [PacketMetadata::EMPTY; limits::UDP_DATAGRAMS],
                    rx: [0; UDP_BUFFER],
                    tx: [0; UDP_BUFFER],
                }
            }; UDP],
            transmitters: Vec::new(),
            transmitter_buffers: [const {
                TransmitterBuffers { meta: [PacketMetadata::EMPTY; 1], payload: [0; limits::UDP_PAYLOAD] }
            }; limits::UDP_TRANSMITTERS],
        }
    }

    /// Makes the sockets.
    pub(super) fn open(
        &'static mut self,
        stack: Stack<'static>,
    ) -> (tcp_pool::Pool, udp::Pool, &'static mut Option<Shared>) {
        for buffers in &mut self.tcp_buffers {
            let socket = TcpSocket::new(stack, &mut buffers.rx, &mut buffers.tx);
            // There is a place for each.
            let _ = self.tcp.push(connection::Place::new(socket));
        }
        for buffers in &mut self.udp_buffers {
            let socket = UdpSocket::new(stack, &mut buffers.meta, &mut buffers.rx, &mut [], &mut []);
            let _ = self.udp.push(udp::Place::new(socket, Queue::new(Bytes::Given(&mut buffers.tx))));
        }
        // After those that receive: a datagram goes to the first socket on its port.
        for buffers in &mut self.transmitter_buffers {
            let socket = UdpSocket::new(stack, &mut [], &mut [], &mut buffers.meta, &mut buffers.payload);
            let _ = self.transmitters.push(transmit::Transmitter::new(socket));
        }
        let tcp = tcp_pool::Pool::new(stack, &mut self.tcp);
        let udp = udp::Pool::new(&mut self.udp, &mut self.transmitters);
        (tcp, udp, &mut self.shared)
    }
}

impl<const TCP: usize, const UDP: usize, const TCP_BUFFER: usize, const UDP_BUFFER: usize> Default
    for Resources<TCP, UDP, TCP_BUFFER, UDP_BUFFER>
{
    fn default() -> Self {
        Self::new()
    }
}
