//! Lines that tell what is found: for people, or for programs.

use std::fmt::Write as _;
use std::net::IpAddr;

use net_services::mdns::Instance;

use crate::console;

/// How and of what is told.
#[derive(Debug, Clone)]
pub(super) struct Output {
    parsable: bool,
    /// Of the computer: link-local addresses mean something only together with it.
    interface: Option<String>,
}

/// What has happened to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Added,
    Changed,
    Removed,
}

impl Mark {
    fn text(self) -> &'static str {
        match self {
            Self::Added => "+",
            Self::Changed => "=",
            Self::Removed => "-",
        }
    }
}

impl Output {
    pub(super) fn new(parsable: bool, interface: Option<&str>) -> Self {
        Self { parsable, interface: interface.map(str::to_owned) }
    }

    /// An address as this computer uses it.
    fn address(&self, address: IpAddr) -> String {
        match (address, &self.interface) {
            (IpAddr::V6(v6), Some(interface)) if v6.is_unicast_link_local() => format!("{v6}%{interface}"),
            _ => address.to_string(),
        }
    }

    /// One line of these words, with `;` between them for programs, two spaces for people: a name may hold one.
    fn line(&self, mark: Option<Mark>, words: &[impl AsRef<[u8]>]) {
        let mut line = String::new();
        if let Some(mark) = mark {
            line += mark.text();
            line += if self.parsable { ";" } else { " " };
        }
        let words: Vec<String> = words.iter().map(|word| self.escaped(word.as_ref())).collect();
        line += &words.join(if self.parsable { ";" } else { "  " });
        line.push('\n');
        console::print(line.as_bytes());
    }

    /// Something else that has happened.
    pub(super) fn event(&self, words: &[&str]) {
        self.line(None, words);
    }

    /// A service that has come or gone.
    pub(super) fn service(&self, mark: Mark, kind: &str, name: &str) {
        self.line(Some(mark), &[kind, name]);
    }

    /// A type of service that has come or gone.
    pub(super) fn kind(&self, mark: Mark, kind: &str) {
        self.line(Some(mark), &[kind]);
    }

    /// A service with all that is known of it.
    pub(super) fn instance(&self, mark: Option<Mark>, kind: &str, instance: &Instance<'_>) {
        let addresses: Vec<String> = instance.addresses.iter().map(|ip| self.address(*ip)).collect();
        let addresses = addresses.join(if self.parsable { "," } else { " " });
        let port = instance.port.to_string();
        let place = format!("{}:{port}", instance.host);
        let mut words = vec![kind.as_bytes(), instance.name.as_bytes()];
        if self.parsable {
            words.extend([instance.host.as_bytes(), port.as_bytes()]);
        } else {
            words.push(place.as_bytes());
        }
        words.push(addresses.as_bytes());
        words.extend(instance.txt.strings());
        self.line(mark, &words);
    }

    /// A host and one of its addresses.
    pub(super) fn host(&self, host: &str, address: IpAddr) {
        self.line(None, &[host, &self.address(address)]);
    }

    /// An address and its host.
    pub(super) fn name(&self, address: IpAddr, host: &str) {
        self.line(None, &[&self.address(address), host]);
    }

    /// Text of others, in which nothing is that a terminal or a program would take for something else: control characters
    /// and what is no UTF-8, and for programs `;` and `\`, are written as `\DDD`, the byte in decimal.
    fn escaped(&self, text: &[u8]) -> String {
        let mut escaped = String::new();
        for chunk in text.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || (self.parsable && matches!(c, ';' | '\\')) {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        let _ = write!(escaped, "\\{byte:03}");
                    }
                } else {
                    escaped.push(c);
                }
            }
            for byte in chunk.invalid() {
                let _ = write!(escaped, "\\{byte:03}");
            }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_does_no_harm() {
        let (people, programs) = (Output::new(false, None), Output::new(true, None));
        let hostile = "a;b\\c \x1b[2J é\u{85}".as_bytes();
        assert_eq!(people.escaped(hostile), "a;b\\c \\027[2J é\\194\\133");
        assert_eq!(programs.escaped(hostile), "a\\059b\\092c \\027[2J é\\194\\133");
        assert_eq!(people.escaped(b"\xff\n"), "\\255\\010");
    }

    #[test]
    fn a_link_local_address_is_told_with_its_link() {
        let link_local = "fe80::1".parse().unwrap();
        assert_eq!(Output::new(true, Some("eth0")).address(link_local), "fe80::1%eth0");
        assert_eq!(Output::new(true, None).address(link_local), "fe80::1");
        assert_eq!(Output::new(true, Some("eth0")).address("fd00::1".parse().unwrap()), "fd00::1");
    }
}
