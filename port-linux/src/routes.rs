//! What this computer's routing tables say. Read from /proc of the calling thread, so that they are those of the
//! network namespace that the thread is in.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net_core::cidr::{IpCidr, Ipv4Cidr, Ipv6Cidr};

/// A line of a routing table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) interface: String,
    pub(crate) destination: IpCidr,
    /// `None` when the destination is on the link.
    pub(crate) gateway: Option<IpAddr>,
}

impl Route {
    pub(crate) fn is_default(&self) -> bool {
        self.destination.network_length() == 0
    }
}

/// The routes in force, both IP versions, without those to this computer itself.
pub(crate) fn routes() -> Vec<Route> {
    let read = |name| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let v4 = read("route");
    let v6 = read("ipv6_route");
    v4.lines().filter_map(parse_v4).chain(v6.lines().filter_map(parse_v6)).collect()
}

/// `eth0 00000000 010200C0 0003 0 0 0 00000000 0 0 0`: interface, destination, gateway, flags, …, mask. Addresses are
/// printed as the number that their bytes are in memory.
fn parse_v4(line: &str) -> Option<Route> {
    let mut fields = line.split_ascii_whitespace();
    let interface = fields.next()?.to_owned();
    let mut address = |skip| {
        let field = fields.nth(skip)?;
        Some(Ipv4Addr::from(u32::from_str_radix(field, 16).ok()?.to_ne_bytes()))
    };
    let destination = address(0)?;
    let gateway = address(0)?;
    let mask = address(4)?; // after flags, reference count, use and metric
    let destination = Ipv4Cidr::new(destination, u32::from(mask).leading_ones() as u8).ok()?;
    Some(Route {
        interface,
        destination: destination.into(),
        gateway: (!gateway.is_unspecified()).then_some(gateway.into()),
    })
}

/// `fd00…00 40 00…00 00 00…00 00000100 00000001 00000000 00000001 eth0`: destination, its length, source, its length,
/// next hop, metric, two counters, flags, interface.
fn parse_v6(line: &str) -> Option<Route> {
    /// Of the kernel's flags: the route can be used, and it is not one to this computer's own addresses.
    const UP: u32 = 0x1;
    const LOCAL: u32 = 0x8000_0000;

    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let [destination, length, _, _, next_hop, _, _, _, flags, interface] = fields[..] else { return None };
    let address = |field| u128::from_str_radix(field, 16).ok().map(Ipv6Addr::from);
    let flags = u32::from_str_radix(flags, 16).ok()?;
    if flags & UP == 0 || flags & LOCAL != 0 || interface == "lo" {
        return None;
    }
    let next_hop = address(next_hop)?;
    let destination = Ipv6Cidr::new(address(destination)?, u8::from_str_radix(length, 16).ok()?).ok()?;
    Some(Route {
        interface: interface.to_owned(),
        destination: destination.into(),
        gateway: (!next_hop.is_unspecified()).then_some(next_hop.into()),
    })
}

/// The first network 10.0.N.0/24, N from 7, that no route but a default one leads into.
///
/// `None` when all of 10.0.0.0/16 is in use.
pub(crate) fn free_network(routes: &[Route]) -> Option<Ipv4Cidr> {
    (7..=255).filter_map(|n| Ipv4Cidr::new(Ipv4Addr::new(10, 0, n, 0), 24).ok()).find(|candidate| {
        !routes.iter().any(|route| match route.destination {
            IpCidr::V4(used) => {
                let overlap = used.contains(&candidate.first_address()) || candidate.contains(&used.first_address());
                overlap && !route.is_default()
            }
            IpCidr::V6(_) => false,
        })
    })
}

/// The DNS servers that /etc/resolv.conf names.
pub(crate) fn name_servers() -> Vec<IpAddr> {
    parse_name_servers(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default())
}

fn parse_name_servers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn a_line_of_the_ipv4_table_is_read() {
        let route = parse_v4("eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0   ").unwrap();
        assert!(route.is_default());
        assert_eq!(route.gateway, Some("192.0.2.1".parse().unwrap()));
        let route = parse_v4("eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0").unwrap();
        assert_eq!((route.destination, route.gateway), ("192.0.2.0/24".parse().unwrap(), None));
        assert_eq!(
            parse_v4("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT"),
            None
        );
    }

    #[test]
    fn a_line_of_the_ipv6_table_is_read() {
        let line = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                    fd000000000000000000000000000001 00000400 00000001 00000000 00450003     eth0";
        let route = parse_v6(line).unwrap();
        assert!(route.is_default());
        assert_eq!(route.gateway, Some("fd00::1".parse().unwrap()));
        assert_eq!(parse_v6("00 00"), None);
    }

    #[test]
    fn a_network_in_use_is_passed_over_and_a_default_route_does_not_count() {
        let route = |destination: &str| Route {
            interface: "eth0".into(),
            destination: destination.parse().unwrap(),
            gateway: None,
        };
        assert_eq!(free_network(&[route("0.0.0.0/0")]), "10.0.7.0/24".parse().ok());
        assert_eq!(free_network(&[route("10.0.7.128/25"), route("10.0.8.0/23")]), "10.0.10.0/24".parse().ok());
        assert_eq!(free_network(&[route("10.0.0.0/8")]), None);
    }

    #[test]
    fn name_servers_are_found_among_other_lines() {
        let text = "# nameserver 1.1.1.1\nsearch example\nnameserver 192.0.2.53\nnameserver fd00::53\nnameserver x\n";
        assert_eq!(parse_name_servers(text), ["192.0.2.53".parse::<IpAddr>().unwrap(), "fd00::53".parse().unwrap()]);
    }
}
