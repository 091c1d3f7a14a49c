//! The resolver against a scripted server, in virtual time.
#![allow(clippy::large_futures)] // there is room on this machine

mod answers;
mod caching;
mod forgery;
mod hostile;
mod link;
mod net;
mod one_shot;
mod servers;
mod service;
mod side_by_side;
mod wire;

use core::net::IpAddr;
use std::vec::Vec;

use super::{Addresses, DnsError, Family, Resolver};
use net::Net;

const NAME: &str = "www.example.com";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn ips(texts: &[&str]) -> Result<Vec<IpAddr>, DnsError> {
    Ok(texts.iter().map(|text| ip(text)).collect())
}

/// A resolver that asks `servers`.
fn resolver(net: &Net, servers: &[&str]) -> Resolver<'static, Net> {
    let resolver = Resolver::new(net.clone(), 0x5eed);
    let servers: Vec<IpAddr> = servers.iter().map(|server| ip(server)).collect();
    resolver.set_servers(&servers);
    resolver
}

/// Looks up, in virtual time.
fn lookup<const CACHE: usize>(
    resolver: &Resolver<'_, Net, CACHE>,
    host: &str,
    family: Family,
) -> Result<Vec<IpAddr>, DnsError> {
    let found: Result<Addresses, DnsError> = virtual_time::block_on(resolver.lookup(host, family));
    found.map(|addresses| addresses.to_vec())
}

/// Looks one name up for IPv4 at a single server that replies so.
fn once(reply: impl FnMut(&net::Seen) -> Vec<net::Reply> + 'static) -> (Result<Vec<IpAddr>, DnsError>, Net) {
    let net = Net::new(reply);
    let found = lookup(&resolver(&net, &["10.0.0.1"]), NAME, Family::V4);
    (found, net)
}
