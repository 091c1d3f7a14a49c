//! TCP listeners.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use net_core::Error;
use net_core::nal::{self, ConnectOptions, TcpStack};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{SockRef, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::tcp::TcpSocket;
use super::{HostNet, error};
use crate::executor::watched;

/// How long accepting waits when the process has no file descriptor left.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

impl TcpStack for HostNet {
    type Socket = TcpSocket;
    type Listener = TcpListener;

    async fn connect_with(&self, remote: SocketAddr, options: ConnectOptions) -> Result<TcpSocket, Error> {
        self.connected(remote, options).await
    }

    async fn listen(&self, local: SocketAddr, backlog: usize) -> Result<TcpListener, Error> {
        if backlog == 0 {
            return Err(Error::InvalidInput);
        }
        let local = self.narrowed(local);
        let socket = self.socket(local, Type::STREAM)?;
        // For a port whose former connections are still in TIME-WAIT. Linux lets no two listeners share by it.
        socket.set_reuse_address(true).map_err(error)?;
        socket.bind(&local.into()).map_err(error)?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)).map_err(error)?;
        let local = socket.local_addr().map_err(error)?.as_socket().ok_or(Error::Other)?;
        Ok(TcpListener { socket: watched(socket.into()).map_err(error)?, local, net: self.clone() })
    }
}

/// A listening TCP port of the computer.
#[derive(Debug)]
pub struct TcpListener {
    // Not tokio's own listener: that cannot tell of a connection without taking it.
    socket: AsyncFd<OwnedFd>,
    local: SocketAddr,
    net: HostNet,
}

impl nal::TcpListener for TcpListener {
    type Socket = TcpSocket;

    async fn accept(&mut self) -> Result<TcpSocket, Error> {
        loop {
            match self.socket.async_io(Interest::READABLE, |socket| SockRef::from(socket).accept()).await {
                Ok((socket, _)) => {
                    let stream = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket.into()));
                    match stream.map_err(error).and_then(|stream| TcpSocket::accepted(stream, &self.net.0.config)) {
                        Ok(socket) => return Ok(socket),
                        // Its peer has gone already.
                        Err(e) => log::debug!("connection lost before it was accepted: {e}"),
                    }
                }
                Err(e) => match error(e) {
                    Error::NoFreeSocket => sleep(NO_DESCRIPTOR).await,
                    Error::InvalidInput | Error::Closed => return Err(Error::Closed),
                    e => log::debug!("connection lost before it was accepted: {e}"),
                },
            }
        }
    }

    async fn pending(&mut self) -> Result<(), Error> {
        let check = |socket: &OwnedFd| {
            let mut fds = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut fds, PollTimeout::ZERO)? {
                0 => Err(ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        };
        self.socket.async_io(Interest::READABLE, check).await.map_err(error)
    }

    fn local_addr(&self) -> SocketAddr {
        self.local
    }
}
