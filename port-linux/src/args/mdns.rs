//! The command line of `lunet mdns`.

use std::net::IpAddr;

use lexopt::ValueExt as _;

use super::{Reading, UsageError, text};

/// The host name of a device that is given none.
const HOST_NAME: &str = "lunet";

/// `lunet mdns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mdns {
    /// What is to be done.
    pub(crate) action: Action,
    /// `--once`.
    pub(crate) once: bool,
    /// `--timeout`, in seconds.
    pub(crate) timeout: Option<u64>,
    /// `--parsable`.
    pub(crate) parsable: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// `browse`: services of one type, or of all.
    Browse {
        /// The type.
        kind: Option<String>,
        /// `--resolve`.
        resolve: bool,
    },
    /// `types`.
    Types,
    /// `resolve NAME`: a host's addresses.
    Host(String),
    /// `resolve ADDRESS`: an address's host.
    Address(IpAddr),
    /// `resolve INSTANCE TYPE`: a service.
    Instance(String, String),
    /// `publish`.
    Publish(Publish),
}

/// What is to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    /// A service: without one it is a host's name alone.
    pub(crate) service: Option<Service>,
    /// `--host`: the host's name.
    pub(crate) host: String,
    /// `--address`: the addresses of a host that is another than this device.
    pub(crate) addresses: Vec<IpAddr>,
    /// `--update`.
    pub(crate) update: bool,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Service {
    /// The instance's name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: String,
    /// `--subtype`.
    pub(crate) subtypes: Vec<String>,
    /// Its port.
    pub(crate) port: u16,
    /// `KEY=VALUE` or `KEY`.
    pub(crate) txt: Vec<String>,
}

/// What of it has been read so far.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// What is no option; the first is what is to be done.
    words: Vec<String>,
    resolve: bool,
    once: bool,
    timeout: Option<u64>,
    parsable: bool,
    update: bool,
    subtypes: Vec<String>,
    host: Option<String>,
    addresses: Vec<IpAddr>,
    /// The last option that only one of the actions has, and which.
    only: Option<(&'static str, &'static str)>,
}

impl Reading {
    /// An argument that is no option.
    pub(super) fn mdns_word(&mut self, value: std::ffi::OsString) -> Result<(), UsageError> {
        self.mdns.words.push(text("mdns", value)?);
        Ok(())
    }

    /// An option that only `mdns` has; `None` if it is none.
    pub(super) fn mdns_option(&mut self, name: &str) -> Result<Option<&'static str>, UsageError> {
        let (option, only) = match name {
            "resolve" => {
                self.mdns.resolve = true;
                ("--resolve", Some("browse"))
            }
            "once" => {
                self.mdns.once = true;
                ("--once", None)
            }
            "parsable" => {
                self.mdns.parsable = true;
                ("--parsable", None)
            }
            "update" => {
                self.mdns.update = true;
                ("--update", Some("publish"))
            }
            "subtype" => {
                let subtype = self.text("--subtype")?;
                self.mdns.subtypes.push(subtype);
                ("--subtype", Some("publish"))
            }
            "host" => {
                self.mdns.host = Some(self.text("--host")?);
                ("--host", Some("publish"))
            }
            "address" => {
                let value = self.parser.value()?;
                let shown = value.to_string_lossy().into_owned();
                let address =
                    value.parse().map_err(|_| UsageError(format!("--address: `{shown}` is not an IP address")))?;
                self.mdns.addresses.push(address);
                ("--address", Some("publish"))
            }
            _ => return Ok(None),
        };
        if let Some(only) = only {
            self.mdns.only = Some((option, only));
        }
        Ok(Some(option))
    }

    /// `--timeout`, which `serve` has too.
    pub(super) fn mdns_timeout(&mut self) -> Result<(), UsageError> {
        self.mdns.timeout = Some(self.number("--timeout", 1..=86_400)?);
        Ok(())
    }
}

impl Words {
    /// Makes sense of it all.
    pub(super) fn finish(self) -> Result<Mdns, UsageError> {
        const WHAT: &str = "mdns: browse, types, resolve or publish; see `lunet --help`";
        let wrong = |message: &str| Err(UsageError(message.to_owned()));
        let mut words = self.words.iter().map(String::as_str);
        let what = words.next().ok_or_else(|| UsageError(WHAT.to_owned()))?;
        let rest: Vec<&str> = words.collect();
        if let Some((option, only)) = self.only.filter(|(_, only)| *only != what) {
            return wrong(&format!("{option}: only `lunet mdns {only}` has that; see `lunet --help`"));
        }
        if self.once && !matches!(what, "browse" | "types") {
            return wrong("--once: only `lunet mdns browse` and `types` have that; see `lunet --help`");
        }
        let own = |text: &str| text.to_owned();
        let action = match (what, &rest[..]) {
            ("browse", []) => Action::Browse { kind: None, resolve: self.resolve },
            ("browse", [kind]) => Action::Browse { kind: Some(own(kind)), resolve: self.resolve },
            ("browse", _) => return wrong("mdns browse: one type, as in `lunet mdns browse _http._tcp`"),
            ("types", []) => Action::Types,
            ("types", _) => return wrong("mdns types: nothing more, as in `lunet mdns types`"),
            ("resolve", [name]) => match name.parse() {
                Ok(address) => Action::Address(address),
                Err(_) => Action::Host(own(name)),
            },
            ("resolve", [instance, kind]) => Action::Instance(own(instance), own(kind)),
            ("resolve", _) => {
                return wrong(
                    "mdns resolve: a host, an address, or an instance and its type, as in \
                     `lunet mdns resolve \"My Page\" _http._tcp`",
                );
            }
            ("publish", rest) => Action::Publish(self.publish(rest)?),
            _ => return wrong(WHAT),
        };
        Ok(Mdns { action, once: self.once, timeout: self.timeout, parsable: self.parsable })
    }

    fn publish(&self, words: &[&str]) -> Result<Publish, UsageError> {
        let wrong = |message: &str| Err(UsageError(message.to_owned()));
        let service = match words {
            [] if self.host.is_none() => {
                return wrong(
                    "mdns publish: a name, a type and a port, as in `lunet mdns publish \"My Page\" _http._tcp 80`, \
                     or --host alone",
                );
            }
            [] if self.update || !self.subtypes.is_empty() => {
                return wrong("mdns publish: a host alone has no subtypes and no attributes");
            }
            [] => None,
            [name, kind, port, txt @ ..] => {
                let wrong = |_| UsageError(format!("mdns publish: `{port}` is not a port, 0 to 65535"));
                Some(Service {
                    name: (*name).to_owned(),
                    kind: (*kind).to_owned(),
                    subtypes: self.subtypes.clone(),
                    port: port.parse().map_err(wrong)?,
                    txt: txt.iter().map(|text| (*text).to_owned()).collect(),
                })
            }
            _ => return wrong("mdns publish: a name, a type and a port are needed"),
        };
        if !self.addresses.is_empty() && self.host.is_none() {
            return wrong("--address: of which host? --host names it");
        }
        Ok(Publish {
            service,
            host: self.host.clone().unwrap_or_else(|| HOST_NAME.to_owned()),
            addresses: self.addresses.clone(),
            update: self.update,
        })
    }
}
