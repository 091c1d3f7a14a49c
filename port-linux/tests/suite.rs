//! What the traits promise, over the computer's own sockets: the same tests as over the stack.
#![allow(clippy::unwrap_used, clippy::large_futures)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use net_core::nal::{TcpListener as _, TcpStack as _};
use port_linux::block_on;
use port_linux::host::{HostConfig, HostNet};

#[test]
fn the_traits_keep_their_promises_over_host_sockets() {
    block_on(async {
        let net = HostNet::new(HostConfig::default()).unwrap();
        nal_suite::all(&net, &net, Ipv4Addr::LOCALHOST.into()).await;
        nal_suite::all(&net, &net, Ipv6Addr::LOCALHOST.into()).await;
    })
    .unwrap();
}

#[test]
fn http_over_host_sockets() {
    block_on(async {
        let net = HostNet::new(HostConfig::default()).unwrap();
        service_suite::http::all(&net, &net, Ipv4Addr::LOCALHOST.into(), 18_431).await;
        service_suite::http::all(&net, &net, Ipv6Addr::LOCALHOST.into(), 18_431).await;
    })
    .unwrap();
}

#[test]
fn http_client_over_host_sockets() {
    block_on(async {
        let net = HostNet::new(HostConfig::default()).unwrap();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let free = net.listen(SocketAddr::new(ip, 0), 1).await.unwrap().local_addr().port();
            service_suite::http_client::all(&net, &net, ip, free).await;
        }
    })
    .unwrap();
}
