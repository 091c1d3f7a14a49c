//! What an adapter on the command line asks for.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use net_core::cidr::IpInet;
use net_core::limits;

use crate::mac::Mac;
use crate::user::Forward;

/// What an adapter is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// The TAP interface of that name, or a new one.
    Tap(Option<String>),
    /// An open file descriptor of a TAP interface.
    TapFd(i32),
    /// A user-mode network.
    User,
    /// The computer's own sockets, on one interface or on all.
    Host(Option<String>),
}

/// One adapter, as in `tap:tap0,ip=10.0.0.2/24,gw=10.0.0.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AdapterSpec {
    /// What it is connected to.
    pub(crate) link: Link,
    /// `ip=`, at most one of each IP version.
    pub(crate) addresses: Vec<IpInet>,
    /// `gw=`, at most one of each IP version.
    pub(crate) gateways: Vec<IpAddr>,
    /// `dns=`.
    pub(crate) dns: Vec<IpAddr>,
    /// `host=`, at most one of each IP version.
    pub(crate) host: Vec<IpInet>,
    /// `mac=`.
    pub(crate) mac: Option<Mac>,
    /// `mtu=`.
    pub(crate) mtu: Option<u16>,
    /// `forward=`.
    pub(crate) forwards: Vec<Forward>,
}

impl AdapterSpec {
    /// An adapter of which nothing is known but its link.
    pub(crate) fn new(link: Link) -> Self {
        Self {
            link,
            addresses: Vec::new(),
            gateways: Vec::new(),
            dns: Vec::new(),
            host: Vec::new(),
            mac: None,
            mtu: None,
            forwards: Vec::new(),
        }
    }

    /// Reads `LINK[,PART...]`.
    ///
    /// # Errors
    /// One line that names the part and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (link, parts) = text.split_once(',').unwrap_or((text, ""));
        let link = match link.split_once(':').map_or((link, None), |(kind, name)| (kind, Some(name))) {
            ("tap", None) => Link::Tap(None),
            ("tap", Some(name)) => match name.strip_prefix("fd=") {
                Some(number) => Link::TapFd(value("tap:fd=", number, "an open file descriptor, as in tap:fd=3")?),
                None => Link::Tap(Some(interface(name)?)),
            },
            ("user", None) => Link::User,
            ("host", name) => Link::Host(name.map(interface).transpose()?),
            _ => {
                return Err(format!("unknown network `{link}`; tap, tap:NAME, tap:fd=N, user, host or host:INTERFACE"));
            }
        };
        Self::parse_parts(link, parts)
    }

    /// Reads `PART[,PART...]`, or nothing.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_parts(link: Link, parts: &str) -> Result<Self, String> {
        let mut spec = Self::new(link);
        for part in parts.split(',').filter(|_| !parts.is_empty()) {
            let Some((key, text)) = part.split_once('=') else {
                return Err(format!("`{part}` is not a part; ip=, gw=, dns=, host=, mac=, mtu= or forward="));
            };
            spec.check_fits(key)?;
            match key {
                "ip" => add_network("ip", text, &mut spec.addresses)?,
                "host" => add_network("host", text, &mut spec.host)?,
                "gw" => {
                    let gateway = value("gw=", text, "an address, as in gw=10.0.0.1")?;
                    add("gw", gateway, &mut spec.gateways, IpAddr::is_ipv4)?;
                }
                "dns" if spec.dns.len() == limits::DNS_SERVERS => {
                    return Err(format!("dns={text}: there are {} servers already, no more fit", spec.dns.len()));
                }
                "dns" => spec.dns.push(value("dns=", text, "an address, as in dns=10.0.0.1")?),
                "mac" => {
                    let mac = "the hardware address of one device, as in mac=02:00:5e:00:53:01";
                    spec.mac = Some(value("mac=", text, mac)?);
                }
                "mtu" => {
                    let mtu = value("mtu=", text, "a size from 576 to 9000, as in mtu=1500")?;
                    if !(576..=9000).contains(&mtu) {
                        return Err(format!("mtu={mtu}: 576 to 9000 bytes are possible"));
                    }
                    spec.mtu = Some(mtu);
                }
                "forward" => spec.forwards.push(forward(text)?),
                _ => {
                    return Err(format!("unknown part `{key}=`; ip=, gw=, dns=, host=, mac=, mtu= or forward="));
                }
            }
        }
        spec.check_gateways()?;
        Ok(spec)
    }

    /// Whether a network of this kind has such a part.
    fn check_fits(&self, key: &str) -> Result<(), String> {
        let (name, parts): (_, &[&str]) = match self.link {
            Link::Tap(_) | Link::TapFd(_) => ("tap", &["ip", "gw", "dns", "host", "mac", "mtu"]),
            Link::User => ("user", &["dns", "mac", "forward"]),
            Link::Host(_) => ("host", &["ip", "dns"]),
        };
        let known = ["ip", "gw", "dns", "host", "mac", "mtu", "forward"].contains(&key);
        if known && !parts.contains(&key) {
            let parts = parts.iter().map(|part| format!("{part}=")).collect::<Vec<_>>().join(", ");
            return Err(format!("{key}=: a `{name}` network has no such part; {parts}"));
        }
        Ok(())
    }

    /// A router is in a network of the device's, or link-local.
    fn check_gateways(&self) -> Result<(), String> {
        for gateway in &self.gateways {
            let version = if gateway.is_ipv4() { "IPv4" } else { "IPv6" };
            let own = self.addresses.iter().find(|address| address.is_ipv4() == gateway.is_ipv4());
            let Some(own) = own else {
                return Err(format!("gw={gateway}: without an {version} ip=, the router comes with the address"));
            };
            let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
            if !own.contains(gateway) && !link_local {
                return Err(format!("gw={gateway}: a router has an address in {}, the network of ip=", own.network()));
            }
        }
        Ok(())
    }
}

fn value<T: FromStr>(key: &str, text: &str, wanted: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{key}{text}: wanted is {wanted}"))
}

fn interface(name: &str) -> Result<String, String> {
    if name.is_empty() || name.len() > 15 || name.contains(['/', ' ']) {
        return Err(format!("`{name}` cannot be an interface's name (1 to 15 bytes, no space or /)"));
    }
    Ok(name.to_owned())
}

fn add_network(key: &str, text: &str, to: &mut Vec<IpInet>) -> Result<(), String> {
    let wanted = format!("an address and the length of its network, as in {key}=10.0.0.2/24 or {key}=fd00::2/64");
    let network: IpInet = value(&format!("{key}="), text, &wanted)?;
    let ip = network.address();
    if !text.contains('/') {
        let usual = if ip.is_ipv4() { 24 } else { 64 };
        return Err(format!("{key}={text}: the length of the network is missing, as in {key}={text}/{usual}"));
    }
    if ip.is_unspecified() || ip.is_multicast() || ip == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Err(format!("{key}={text}: no host can have that address"));
    }
    add(key, network, to, IpInet::is_ipv4)
}

/// At most one of each IP version.
fn add<T>(key: &str, value: T, to: &mut Vec<T>, is_v4: fn(&T) -> bool) -> Result<(), String> {
    if to.iter().any(|other| is_v4(other) == is_v4(&value)) {
        let version = if is_v4(&value) { "IPv4" } else { "IPv6" };
        return Err(format!("{key}= is given twice for {version}; an adapter has one of each IP version"));
    }
    to.push(value);
    Ok(())
}

/// `[udp:][ADDRESS/]PORT:PORT`
fn forward(text: &str) -> Result<Forward, String> {
    let wrong = || format!("forward={text}: wanted is forward=HOSTPORT:DEVICEPORT, as in forward=8080:80");
    let (udp, rest) = match text.strip_prefix("udp:") {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix("tcp:").unwrap_or(text)),
    };
    let (address, ports) = match rest.rsplit_once('/') {
        Some((address, ports)) => (address.parse().map_err(|_| wrong())?, ports),
        None => (Ipv4Addr::LOCALHOST.into(), rest),
    };
    let (host, guest) = ports.split_once(':').ok_or_else(wrong)?;
    let port = |text: &str| text.parse().ok().filter(|port: &u16| *port != 0).ok_or_else(wrong);
    Ok(Forward { udp, address, host: port(host)?, guest: port(guest)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read() {
        let text = "tap:tap7,ip=10.0.0.2/24,ip=fd00::2/64,gw=10.0.0.1,gw=fe80::1,dns=10.0.0.1,dns=fd00::53,\
                    host=10.0.0.1/24,host=fd00::1/64,mac=02:00:5e:00:53:01,mtu=1400";
        let spec = AdapterSpec::parse(text).unwrap();
        assert_eq!(spec.link, Link::Tap(Some("tap7".into())));
        assert_eq!(spec.addresses, ["10.0.0.2/24".parse().unwrap(), "fd00::2/64".parse().unwrap()]);
        assert_eq!(spec.gateways, ["10.0.0.1".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
        assert_eq!(spec.dns.len(), 2);
        assert_eq!(spec.host, ["10.0.0.1/24".parse().unwrap(), "fd00::1/64".parse().unwrap()]);
        assert_eq!((spec.mac, spec.mtu), ("02:00:5e:00:53:01".parse().ok(), Some(1400)));
        for (text, link) in [
            ("tap", Link::Tap(None)),
            ("tap:fd=7", Link::TapFd(7)),
            ("user", Link::User),
            ("host", Link::Host(None)),
            ("host:eth0", Link::Host(Some("eth0".into()))),
        ] {
            assert_eq!(AdapterSpec::parse(text), Ok(AdapterSpec::new(link)), "{text}");
        }
    }

    #[test]
    fn forwarded_ports_are_on_loopback_unless_told_otherwise() {
        let spec = AdapterSpec::parse("user,forward=8080:80,forward=udp:0.0.0.0/5353:53,forward=tcp:::1/1:2").unwrap();
        let shown: Vec<String> = spec.forwards.iter().map(|f| format!("{} {f}", f.udp)).collect();
        assert_eq!(shown, ["false 127.0.0.1/8080:80", "true 0.0.0.0/5353:53", "false ::1/1:2"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let network = "wanted is an address and the length of its network, as in ip=10.0.0.2/24 or ip=fd00::2/64";
        for (text, wanted) in [
            ("", "unknown network ``; tap, tap:NAME, tap:fd=N, user, host or host:INTERFACE".to_owned()),
            ("tun0", "unknown network `tun0`; tap, tap:NAME, tap:fd=N, user, host or host:INTERFACE".to_owned()),
            ("tap:", "`` cannot be an interface's name (1 to 15 bytes, no space or /)".to_owned()),
            (
                "tap:a-name-of-16-bytes",
                "`a-name-of-16-bytes` cannot be an interface's name (1 to 15 bytes, no space or /)".to_owned(),
            ),
            ("tap:fd=x", "tap:fd=x: wanted is an open file descriptor, as in tap:fd=3".to_owned()),
            ("tap,,mtu=1500", "`` is not a part; ip=, gw=, dns=, host=, mac=, mtu= or forward=".to_owned()),
            ("tap,ip", "`ip` is not a part; ip=, gw=, dns=, host=, mac=, mtu= or forward=".to_owned()),
            ("tap,ipp=1", "unknown part `ipp=`; ip=, gw=, dns=, host=, mac=, mtu= or forward=".to_owned()),
            ("tap,ip=10.0.0.300/24", format!("ip=10.0.0.300/24: {network}")),
            ("tap,ip=10.0.0.2/33", format!("ip=10.0.0.2/33: {network}")),
            ("tap,ip=10.0.0.2", "ip=10.0.0.2: the length of the network is missing, as in ip=10.0.0.2/24".to_owned()),
            ("tap,ip=224.0.0.1/24", "ip=224.0.0.1/24: no host can have that address".to_owned()),
            (
                "tap,ip=10.0.0.2/24,ip=10.0.0.3/24",
                "ip= is given twice for IPv4; an adapter has one of each IP version".to_owned(),
            ),
            ("tap,gw=10.0.0.1", "gw=10.0.0.1: without an IPv4 ip=, the router comes with the address".to_owned()),
            (
                "tap,ip=10.0.0.2/24,gw=10.0.1.1",
                "gw=10.0.1.1: a router has an address in 10.0.0.0/24, the network of ip=".to_owned(),
            ),
            ("tap,dns=one", "dns=one: wanted is an address, as in dns=10.0.0.1".to_owned()),
            (
                "tap,mac=01:00:5e:00:00:01",
                "mac=01:00:5e:00:00:01: wanted is the hardware address of one device, as in mac=02:00:5e:00:53:01"
                    .to_owned(),
            ),
            ("tap,mtu=99", "mtu=99: 576 to 9000 bytes are possible".to_owned()),
            ("tap,mtu=x", "mtu=x: wanted is a size from 576 to 9000, as in mtu=1500".to_owned()),
            (
                "tap,forward=1:2",
                "forward=: a `tap` network has no such part; ip=, gw=, dns=, host=, mac=, mtu=".to_owned(),
            ),
            ("user,ip=10.0.0.2/24", "ip=: a `user` network has no such part; dns=, mac=, forward=".to_owned()),
            ("user,forward=80", "forward=80: wanted is forward=HOSTPORT:DEVICEPORT, as in forward=8080:80".to_owned()),
            (
                "user,forward=0:80",
                "forward=0:80: wanted is forward=HOSTPORT:DEVICEPORT, as in forward=8080:80".to_owned(),
            ),
            ("host,gw=10.0.0.1", "gw=: a `host` network has no such part; ip=, dns=".to_owned()),
        ] {
            assert_eq!(AdapterSpec::parse(text), Err(wanted), "{text}");
        }
    }
}
