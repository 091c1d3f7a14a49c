//! Kernel sockets inside a namespace, which wait no longer than the deadline.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::namespace::Namespace;
use crate::process::DEADLINE;

/// An address that a test writes as text: `"10.0.0.2:80"`, `"[fd00:10::2]:80"`.
#[track_caller]
fn parse(address: &str) -> SocketAddr {
    address.parse().unwrap_or_else(|_| panic!("{address} is not an address and port"))
}

fn with_deadline(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).expect("a socket option");
    stream.set_write_timeout(Some(DEADLINE)).expect("a socket option");
    stream
}

impl Namespace {
    /// Connects to a server that is there.
    ///
    /// # Panics
    /// When the connection is refused, or does not stand within [`DEADLINE`].
    #[track_caller]
    pub fn connect(&self, remote: &str) -> TcpStream {
        self.try_connect(remote, DEADLINE).unwrap_or_else(|error| panic!("{remote}: {error}"))
    }

    /// Connects, or says why that cannot be done in this time.
    ///
    /// # Errors
    /// Those of [`TcpStream::connect_timeout`].
    pub fn try_connect(&self, remote: &str, time: Duration) -> std::io::Result<TcpStream> {
        let remote = parse(remote);
        self.inside(|| TcpStream::connect_timeout(&remote, time)).map(with_deadline)
    }

    /// Listens on an address of the namespace.
    ///
    /// # Panics
    /// When that cannot be.
    #[track_caller]
    pub fn listen(&self, local: &str) -> TcpListener {
        let local = parse(local);
        self.inside(|| TcpListener::bind(local)).unwrap_or_else(|error| panic!("{local}: {error}"))
    }

    /// A UDP socket bound to an address of the namespace.
    ///
    /// # Panics
    /// When that cannot be.
    #[track_caller]
    pub fn udp(&self, local: &str) -> UdpSocket {
        let local = parse(local);
        let socket = self.inside(|| UdpSocket::bind(local)).unwrap_or_else(|error| panic!("{local}: {error}"));
        socket.set_read_timeout(Some(DEADLINE)).expect("a socket option");
        socket
    }
}

/// The next connection to a listener.
///
/// # Panics
/// When none comes within [`DEADLINE`].
#[track_caller]
pub fn accept(listener: &TcpListener) -> TcpStream {
    let time = Timespec::try_from(DEADLINE).expect("a minute");
    let ready = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&time)).expect("polling a listener");
    assert!(ready > 0, "nobody connects");
    with_deadline(listener.accept().expect("a connection that is waiting").0)
}

/// All text up to the end of the stream.
///
/// # Panics
/// When the stream ends with an error instead, or not within [`DEADLINE`] of its last byte.
#[track_caller]
pub fn read_all(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap_or_else(|error| panic!("{error}, after {text:?}"));
    text
}

/// The text up to the end of `end`, byte by byte so that nothing after it is read.
///
/// # Panics
/// When it does not come.
#[track_caller]
pub fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(end.as_bytes()) {
        if let Err(error) = stream.read_exact(&mut byte) {
            panic!("no {end:?}: {error}, after {:?}", String::from_utf8_lossy(&text));
        }
        text.push(byte[0]);
    }
    String::from_utf8(text).expect("text")
}
