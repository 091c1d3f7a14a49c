//! The command line of `lunet`, read into what it asks for. Nothing here touches the computer.

mod mdns;

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use lexopt::{Arg, Parser};
use net_lua::Role;

use crate::adapter::{AdapterSpec, Link};

pub(crate) use mdns::{Action, Mdns, Publish};

/// What `lunet --help` prints.
pub(crate) const HELP: &str = include_str!("args/help.txt");

/// How the device is connected when no adapter is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Net {
    /// The best that is allowed.
    #[default]
    Auto,
    /// A TAP interface.
    Tap,
    /// A user-mode network.
    User,
    /// The computer's own sockets.
    Host,
}

/// The port that files are served on.
const SERVE_PORT: u16 = 8080;
/// How many clients are served at once.
const CONNECTIONS: usize = 256;

/// What holds for every command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Options {
    /// `--net`; of importance only while `adapters` is empty.
    pub(crate) net: Net,
    /// `--eth`, `--sta`, `--ap` and `--user`, in the order given; each role at most once.
    pub(crate) adapters: Vec<(Role, AdapterSpec)>,
    /// `--pcap`.
    pub(crate) pcap: Option<PathBuf>,
    /// `--sockets`.
    pub(crate) sockets: Option<usize>,
    /// `--root`.
    pub(crate) root: Option<PathBuf>,
    /// `--state`.
    pub(crate) state: Option<PathBuf>,
    /// How often `--verbose` was given.
    pub(crate) verbose: u8,
}

/// Where a line for each request goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum AccessLog {
    /// `--quiet`.
    Nowhere,
    /// Standard error.
    #[default]
    Stderr,
    /// `--log`.
    File(PathBuf),
}

/// How files are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serve {
    /// The directory.
    pub(crate) directory: PathBuf,
    /// `--port`; 0: any.
    pub(crate) port: u16,
    /// `--bind`.
    pub(crate) address: Option<IpAddr>,
    /// `--listing`.
    pub(crate) listing: bool,
    /// `--connections`.
    pub(crate) connections: usize,
    /// `--timeout`, in seconds.
    pub(crate) timeout: Option<u64>,
    /// `--log` and `--quiet`.
    pub(crate) log: AccessLog,
}

/// What the command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// `run`: a script, and the arguments for it.
    Run {
        /// The options.
        options: Options,
        /// The script.
        script: PathBuf,
        /// Its arguments.
        arguments: Vec<String>,
    },
    /// `serve`: the files in a directory.
    Serve(Options, Serve),
    /// `mdns`.
    Mdns(Options, Mdns),
    /// No command: a prompt.
    Prompt(Options),
}

/// What is wrong with a command line, in one line that says what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageError(pub(crate) String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

impl From<lexopt::Error> for UsageError {
    fn from(error: lexopt::Error) -> Self {
        match error {
            lexopt::Error::MissingValue { option: Some(option) } => {
                Self(format!("{option}: a value is missing; see `lunet --help`"))
            }
            lexopt::Error::UnexpectedOption(option) => Self(format!("unknown option {option}; see `lunet --help`")),
            other => Self(format!("{other}; see `lunet --help`")),
        }
    }
}

/// The command that a command line begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    None,
    Run,
    Serve,
    Mdns,
}

impl Word {
    /// Whether the computer's own network is the usual one: where nothing is run that must be kept apart.
    fn is_on_host(self) -> bool {
        matches!(self, Self::Serve | Self::Mdns)
    }
}

/// What has been read so far.
struct Reading {
    parser: Parser,
    word: Word,
    options: Options,
    net_given: bool,
    serve: Serve,
    mdns: mdns::Words,
    /// The last option that only one of the commands has.
    only_serve: Option<&'static str>,
    only_mdns: Option<&'static str>,
    only_device: Option<&'static str>,
}

/// Reads a command line, without the program's name.
///
/// # Errors
/// See [`UsageError`].
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let serve = Serve {
        directory: PathBuf::new(),
        port: SERVE_PORT,
        address: None,
        listing: true,
        connections: CONNECTIONS,
        timeout: None,
        log: AccessLog::default(),
    };
    let mut reading = Reading {
        parser: Parser::from_args(arguments),
        word: Word::None,
        options: Options::default(),
        net_given: false,
        serve,
        mdns: mdns::Words::default(),
        only_serve: None,
        only_mdns: None,
        only_device: None,
    };
    let mut directory = None;
    while let Some(argument) = reading.parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Short('v') | Arg::Long("verbose") => {
                reading.options.verbose = reading.options.verbose.saturating_add(1);
            }
            Arg::Short('q') => reading.option("quiet")?,
            Arg::Short('p') => reading.option("port")?,
            Arg::Long(name) => {
                let name = name.to_owned();
                reading.option(&name)?;
            }
            Arg::Value(value) => match reading.word {
                Word::Run => return reading.run(value.into()),
                Word::Serve if directory.is_none() => directory = Some(PathBuf::from(value)),
                Word::Serve => {
                    return Err(UsageError(format!("serve: one directory, not also `{}`", value.to_string_lossy())));
                }
                Word::Mdns => reading.mdns_word(value)?,
                Word::None if value == "run" => reading.word = Word::Run,
                Word::None if value == "serve" => reading.word = Word::Serve,
                Word::None if value == "mdns" => reading.word = Word::Mdns,
                Word::None => {
                    let value = value.to_string_lossy().into_owned();
                    return Err(UsageError(format!("unknown command `{value}`; to run a script: `lunet run {value}`")));
                }
            },
            Arg::Short(_) => return Err(argument.unexpected().into()),
        }
    }
    reading.check()?;
    // Files are there to be reached, and others to be found: a device of its own is for who asks for one.
    if reading.word.is_on_host() && !reading.net_given && reading.options.adapters.is_empty() {
        reading.options.net = Net::Host;
    }
    match (reading.word, directory) {
        (Word::None, _) => Ok(Command::Prompt(reading.options)),
        (Word::Run, _) => Err(UsageError("run: a script is missing, as in `lunet run hello.lua`".to_owned())),
        (Word::Serve, None) => Err(UsageError("serve: a directory is missing, as in `lunet serve .`".to_owned())),
        (Word::Serve, Some(directory)) => Ok(Command::Serve(reading.options, Serve { directory, ..reading.serve })),
        (Word::Mdns, _) => Ok(Command::Mdns(reading.options, reading.mdns.finish()?)),
    }
}

impl Reading {
    /// The long option of that name.
    fn option(&mut self, name: &str) -> Result<(), UsageError> {
        let role = match name {
            "sta" => Role::Sta,
            "ap" => Role::Ap,
            _ => Role::Eth,
        };
        match name {
            "eth" | "sta" | "ap" => {
                let option = role_option(role);
                let spec = AdapterSpec::parse(&self.text(option)?).map_err(|e| UsageError(format!("{option}: {e}")))?;
                add(&mut self.options, role, spec)?;
            }
            "user" => {
                let parts = self.text("--user")?;
                let spec =
                    AdapterSpec::parse_parts(Link::User, &parts).map_err(|e| UsageError(format!("--user: {e}")))?;
                add(&mut self.options, Role::Eth, spec)?;
            }
            "net" => {
                self.net_given = true;
                self.options.net = match self.text("--net")?.as_str() {
                    "auto" => Net::Auto,
                    "tap" => Net::Tap,
                    "user" => Net::User,
                    "host" => Net::Host,
                    other => {
                        return Err(UsageError(format!("--net: unknown network `{other}`; auto, tap, user or host")));
                    }
                };
            }
            "pcap" => self.options.pcap = Some(self.parser.value()?.into()),
            "sockets" => self.options.sockets = Some(self.number("--sockets", 1..=4096)?),
            "root" => {
                self.only_device = Some("--root");
                self.options.root = Some(self.parser.value()?.into());
            }
            "state" => {
                self.only_device = Some("--state");
                self.options.state = Some(self.parser.value()?.into());
            }
            _ => return self.command_option(name),
        }
        Ok(())
    }

    /// The same, of those that only `serve` or `mdns` has.
    fn command_option(&mut self, name: &str) -> Result<(), UsageError> {
        if name == "timeout" && self.word == Word::Mdns {
            return self.mdns_timeout();
        }
        if let Some(option) = self.mdns_option(name)? {
            self.only_mdns = Some(option);
            return Ok(());
        }
        self.only_serve = Some(match name {
            "port" => {
                self.serve.port = self.number("--port", 0..=u16::MAX)?;
                "--port"
            }
            "bind" => {
                let text = self.text("--bind")?;
                let wrong = |_| UsageError(format!("--bind: `{text}` is not an IP address"));
                self.serve.address = Some(text.parse().map_err(wrong)?);
                "--bind"
            }
            "listing" => {
                self.serve.listing = true;
                "--listing"
            }
            "no-listing" => {
                self.serve.listing = false;
                "--no-listing"
            }
            "connections" => {
                self.serve.connections = self.number("--connections", 1..=4096)?;
                "--connections"
            }
            "timeout" => {
                self.serve.timeout = Some(self.number("--timeout", 1..=3600)?);
                "--timeout"
            }
            "log" => {
                let file = self.parser.value()?;
                self.serve.log = if file == "-" { AccessLog::Stderr } else { AccessLog::File(file.into()) };
                "--log"
            }
            "quiet" => {
                self.serve.log = AccessLog::Nowhere;
                "--quiet"
            }
            _ => return Err(lexopt::Error::UnexpectedOption(format!("--{name}")).into()),
        });
        Ok(())
    }

    fn text(&mut self, option: &str) -> Result<String, UsageError> {
        text(option, self.parser.value()?)
    }

    fn number<T: FromStr + PartialOrd + fmt::Display>(
        &mut self,
        option: &str,
        range: std::ops::RangeInclusive<T>,
    ) -> Result<T, UsageError> {
        let text = self.text(option)?;
        let wrong = || {
            let (from, to) = (range.start(), range.end());
            UsageError(format!("{option}: `{text}` is not a number from {from} to {to}"))
        };
        text.parse().ok().filter(|n| range.contains(n)).ok_or_else(wrong)
    }

    /// `run` with this script; what follows is for that.
    fn run(mut self, script: PathBuf) -> Result<Command, UsageError> {
        self.check()?;
        let arguments = self.parser.raw_args()?.map(|value| text("an argument of the script", value));
        let arguments = arguments.collect::<Result<_, _>>()?;
        Ok(Command::Run { options: self.options, script, arguments })
    }

    /// What no argument by itself can tell.
    fn check(&self) -> Result<(), UsageError> {
        let word = if self.word == Word::Mdns { "mdns" } else { "serve" };
        if let Some(option) = self.only_serve.filter(|_| self.word != Word::Serve) {
            return Err(UsageError(format!("{option}: only `lunet serve` has that; see `lunet --help`")));
        }
        if let Some(option) = self.only_mdns.filter(|_| self.word != Word::Mdns) {
            return Err(UsageError(format!("{option}: only `lunet mdns` has that; see `lunet --help`")));
        }
        if let Some(option) = self.only_device.filter(|_| self.word.is_on_host()) {
            return Err(UsageError(format!("{option}: `lunet {word}` runs no script; see `lunet --help`")));
        }
        let options = &self.options;
        if self.word.is_on_host() && options.adapters.len() > 1 {
            return Err(UsageError(format!("{word}: on one network; name one adapter")));
        }
        let only_user = matches!(&options.adapters[..], [(Role::Eth, spec)] if spec.link == Link::User);
        if self.net_given && !options.adapters.is_empty() && !(only_user && options.net == Net::User) {
            return Err(UsageError("--net chooses a network only where no adapter is named: leave it away".to_owned()));
        }
        let on_host = |(_, spec): &(Role, AdapterSpec)| matches!(spec.link, Link::Host(_));
        let all_host = !options.adapters.is_empty() && options.adapters.iter().all(on_host);
        let host_by_default = self.word.is_on_host() && !self.net_given;
        let no_frames = options.net == Net::Host || host_by_default;
        if options.pcap.is_some() && (all_host || (options.adapters.is_empty() && no_frames)) {
            return Err(UsageError("--pcap: a host network has no frames of its own; use tap or user".to_owned()));
        }
        Ok(())
    }
}

fn role_option(role: Role) -> &'static str {
    match role {
        Role::Eth => "--eth",
        Role::Sta => "--sta",
        Role::Ap => "--ap",
    }
}

fn text(option: &str, value: OsString) -> Result<String, UsageError> {
    value.into_string().map_err(|value| UsageError(format!("{option}: {} is not UTF-8", value.to_string_lossy())))
}

fn add(options: &mut Options, role: Role, spec: AdapterSpec) -> Result<(), UsageError> {
    let option = role_option(role);
    if options.adapters.iter().any(|(other, _)| *other == role) {
        return Err(UsageError(format!("{option}: a device has one adapter of each role (--user is an --eth)")));
    }
    options.adapters.push((role, spec));
    Ok(())
}

#[cfg(test)]
mod tests;
