//! Connections: how one is opened, the only place that does, and how it ends.

use core::net::{IpAddr, SocketAddr};
use core::pin::pin;

use net_core::Error;
use net_core::nal::{AddrType, Dns, TcpSocket, TcpStack};
use net_core::time::{Duration, Instant, Timer};

use super::times::Times;
use super::url::Url;
use super::{ClientError, Timeout};

/// A socket that has just been let go, perhaps by this client, still has its last segments to send. So where none is
/// free one is asked for again, for this long and this often.
const PATIENCE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);

/// A connection. Dropped in the midst of a request, a response or an attempt it is reset: the socket is free at once,
/// and the server learns that nobody reads on. Dropped when idle it is closed in order.
#[derive(Debug)]
pub(super) struct Connection<S: TcpSocket> {
    pub(super) socket: S,
    pub(super) is_idle: bool,
}

impl<S: TcpSocket> Drop for Connection<S> {
    fn drop(&mut self) {
        if !self.is_idle {
            self.socket.abort();
        }
    }
}

/// Resolves the host of `url`, and connects to it.
///
/// [`Dns`] gives one address of each IP version. The one that it prefers is tried first, then that of the other
/// version.
///
/// This is where TLS is to be put around the connection.
///
/// # Errors
/// [`ClientError::Unsupported`], [`ClientError::Dns`] (and the reason in `dns_error`), [`ClientError::Connect`] and
/// [`ClientError::TimedOut`].
pub(super) async fn open<N: TcpStack, D: Dns>(
    net: &N,
    dns: &D,
    url: &Url<'_>,
    times: &Times,
    dns_error: &mut Option<D::Error>,
) -> Result<Connection<N::Socket>, ClientError> {
    if url.secure {
        return Err(ClientError::Unsupported("https, as long as there is no TLS"));
    }
    if let Ok(address) = url.host.parse::<IpAddr>() {
        return connect(net, SocketAddr::new(address, url.port), times).await;
    }
    let first = resolve(dns, url.host, AddrType::Either, times, dns_error).await?;
    let failure = match connect(net, SocketAddr::new(first, url.port), times).await {
        Err(failure) if failure != ClientError::TimedOut(Timeout::Total) => failure,
        outcome => return outcome,
    };
    let other = if first.is_ipv4() { AddrType::IPv6 } else { AddrType::IPv4 };
    match resolve(dns, url.host, other, times, &mut None).await {
        Ok(second) if second != first => connect(net, SocketAddr::new(second, url.port), times).await,
        // That there is no other is no news to the caller; why the one that there is does not answer is.
        _ => Err(failure),
    }
}

async fn resolve<D: Dns>(
    dns: &D,
    host: &str,
    version: AddrType,
    times: &Times,
    dns_error: &mut Option<D::Error>,
) -> Result<IpAddr, ClientError> {
    // Pinned here, because a future that is handed on takes its room twice.
    let lookup = pin!(dns.get_host_by_name(host, version));
    match times.connecting(lookup).await? {
        Ok(address) => Ok(address),
        Err(error) => {
            *dns_error = Some(error);
            Err(ClientError::Dns)
        }
    }
}

async fn connect<N: TcpStack>(
    net: &N,
    remote: SocketAddr,
    times: &Times,
) -> Result<Connection<N::Socket>, ClientError> {
    let began = Instant::now();
    loop {
        let attempt = pin!(net.connect(remote));
        match times.connecting(attempt).await? {
            Ok(mut socket) => {
                // H-23: a request leaves in as few pieces as can be, so there is nothing to wait for.
                socket.set_no_delay(true);
                return Ok(Connection { socket, is_idle: false });
            }
            Err(Error::NoFreeSocket) if began.elapsed() < PATIENCE => times.connecting(Timer::after(PAUSE)).await?,
            Err(Error::TimedOut) => return Err(ClientError::TimedOut(Timeout::Connect)),
            Err(error) => return Err(ClientError::Connect(error)),
        }
    }
}
