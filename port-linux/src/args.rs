//! The command line of `lunet`, read into what it asks for. Nothing here touches the computer.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use lexopt::{Arg, Parser};
use net_lua::Role;

use crate::adapter::{AdapterSpec, Link};

/// What `lunet --help` prints.
pub(crate) const HELP: &str = "\
lunet: network services for small devices, driven by Lua

  lunet run [OPTIONS] FILE.lua [ARGUMENTS]  run a script on a device with a network of its own
  lunet [OPTIONS]                           a prompt on such a device

Networks
  --net auto|tap|user|host  how the device is connected, when no adapter is named (auto):
                              tap   an own address on a TAP interface (root or CAP_NET_ADMIN)
                              user  an own address behind passt, which needs no rights
                              host  this computer's own addresses and ports
                              auto  the first of these that is allowed
  --eth LINK[,PART...]      an Ethernet adapter
  --sta LINK[,PART...]      an adapter in the role of a Wi-Fi station
  --ap LINK[,PART...]       an adapter in the role of a Wi-Fi access point
  --user PART[,PART...]     the same as --eth user,PART...
  --pcap FILE               capture the frames of all adapters
  --sockets N               TCP sockets that each adapter has at most, 1 to 4096 (1024; not on host)

LINK is one of
  tap:NAME, tap             the TAP interface of that name, made if it is not there; or a new one
  tap:fd=N                  an open file descriptor of a TAP interface
  user                      a user-mode network
  host:INTERFACE, host      this computer's own sockets, on one interface or on all

PART is any of these; ip, gw, dns and host may be given for each IP version
  ip=ADDRESS/LENGTH         an address of the device (without: DHCP, and SLAAC for IPv6)
  gw=ADDRESS                its default router (tap)
  dns=ADDRESS               a DNS server; may be repeated
  host=ADDRESS/LENGTH       an address for this computer's end of the cable (tap)
  mac=XX:XX:XX:XX:XX:XX     the device's hardware address (tap, user)
  mtu=BYTES                 the largest IP packet, 576 to 9000 (tap)
  forward=[udp:][ADDRESS/]PORT:PORT
                            a port of this computer, on 127.0.0.1 or that address, and the
                            device's port that it leads to (user); may be repeated

Device
  --root DIR                where the script's files are (the directory of the script)
  --state DIR               what it keeps over a restart (~/.local/state/lunet)
  --verbose                 log more, on stderr; twice: everything
  --help, --version

Ctrl-C ends the script and closes its connections in order; a second Ctrl-C does not wait for that.
Exit status: 0 when nothing is left to wait for, 1 when the script failed, 2 for wrong usage,
130 after Ctrl-C, 143 after SIGTERM.

  lunet run hello.lua
  lunet run --eth tap:tap0,ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.1,host=10.0.0.1/24 hello.lua
  lunet run --user forward=8080:80 hello.lua
";

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

/// What holds for scripts and for the prompt.
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

/// Reads a command line, without the program's name.
///
/// # Errors
/// See [`UsageError`].
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, UsageError> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options::default();
    let mut run = false;
    let mut net_given = false;
    while let Some(argument) = parser.next()? {
        let role = match argument {
            Arg::Long("eth") => Some(Role::Eth),
            Arg::Long("sta") => Some(Role::Sta),
            Arg::Long("ap") => Some(Role::Ap),
            _ => None,
        };
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Short('v') | Arg::Long("verbose") => options.verbose = options.verbose.saturating_add(1),
            Arg::Long("eth" | "sta" | "ap") => {
                let option = role_option(role);
                let spec = AdapterSpec::parse(&text(option, parser.value()?)?)
                    .map_err(|e| UsageError(format!("{option}: {e}")))?;
                add(&mut options, role.unwrap_or(Role::Eth), spec)?;
            }
            Arg::Long("user") => {
                let parts = text("--user", parser.value()?)?;
                let spec =
                    AdapterSpec::parse_parts(Link::User, &parts).map_err(|e| UsageError(format!("--user: {e}")))?;
                add(&mut options, Role::Eth, spec)?;
            }
            Arg::Long("net") => {
                net_given = true;
                options.net = match text("--net", parser.value()?)?.as_str() {
                    "auto" => Net::Auto,
                    "tap" => Net::Tap,
                    "user" => Net::User,
                    "host" => Net::Host,
                    other => {
                        return Err(UsageError(format!("--net: unknown network `{other}`; auto, tap, user or host")));
                    }
                };
            }
            Arg::Long("pcap") => options.pcap = Some(parser.value()?.into()),
            Arg::Long("sockets") => {
                let text = text("--sockets", parser.value()?)?;
                let sockets = text.parse().ok().filter(|n| (1..=4096).contains(n));
                let wrong = || UsageError(format!("--sockets: `{text}` is not a number from 1 to 4096"));
                options.sockets = Some(sockets.ok_or_else(wrong)?);
            }
            Arg::Long("root") => options.root = Some(parser.value()?.into()),
            Arg::Long("state") => options.state = Some(parser.value()?.into()),
            Arg::Value(value) if run => {
                check(&options, net_given)?;
                let arguments = parser.raw_args()?.map(|value| text("an argument of the script", value));
                return Ok(Command::Run {
                    options,
                    script: value.into(),
                    arguments: arguments.collect::<Result<_, _>>()?,
                });
            }
            Arg::Value(value) if value == "run" => run = true,
            Arg::Value(value) => {
                let value = value.to_string_lossy().into_owned();
                return Err(UsageError(format!("unknown command `{value}`; to run a script: `lunet run {value}`")));
            }
            Arg::Short(_) | Arg::Long(_) => return Err(argument.unexpected().into()),
        }
    }
    check(&options, net_given)?;
    if run {
        return Err(UsageError("run: a script is missing, as in `lunet run hello.lua`".to_owned()));
    }
    Ok(Command::Prompt(options))
}

fn role_option(role: Option<Role>) -> &'static str {
    match role {
        Some(Role::Sta) => "--sta",
        Some(Role::Ap) => "--ap",
        _ => "--eth",
    }
}

fn text(option: &str, value: OsString) -> Result<String, UsageError> {
    value.into_string().map_err(|value| UsageError(format!("{option}: {} is not UTF-8", value.to_string_lossy())))
}

fn add(options: &mut Options, role: Role, spec: AdapterSpec) -> Result<(), UsageError> {
    let option = role_option(Some(role));
    if options.adapters.iter().any(|(other, _)| *other == role) {
        return Err(UsageError(format!("{option}: a device has one adapter of each role (--user is an --eth)")));
    }
    options.adapters.push((role, spec));
    Ok(())
}

/// What no argument by itself can tell.
fn check(options: &Options, net_given: bool) -> Result<(), UsageError> {
    let only_user = matches!(&options.adapters[..], [(Role::Eth, spec)] if spec.link == Link::User);
    if net_given && !options.adapters.is_empty() && !(only_user && options.net == Net::User) {
        return Err(UsageError("--net chooses a network only where no adapter is named: leave it away".to_owned()));
    }
    let on_host = |(_, spec): &(Role, AdapterSpec)| matches!(spec.link, Link::Host(_));
    let all_host = !options.adapters.is_empty() && options.adapters.iter().all(on_host);
    if options.pcap.is_some() && (all_host || (options.adapters.is_empty() && options.net == Net::Host)) {
        return Err(UsageError("--pcap: a host network has no frames of its own; use tap or user".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, UsageError> {
        parse(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from))
    }

    fn complaint(line: &str) -> String {
        parsed(line).unwrap_err().to_string()
    }

    #[test]
    fn a_script_gets_what_follows_it_options_or_not() {
        let Command::Run { options, script, arguments } =
            parsed("-v run --net host --root=/srv a.lua --eth 8080 --help").unwrap()
        else {
            panic!()
        };
        assert_eq!((script, options.net, options.verbose), ("a.lua".into(), Net::Host, 1));
        assert_eq!(options.root, Some("/srv".into()));
        assert_eq!(arguments, ["--eth", "8080", "--help"]);
    }

    #[test]
    fn without_a_command_there_is_a_prompt() {
        assert_eq!(parsed(""), Ok(Command::Prompt(Options::default())));
        assert!(matches!(parsed("--net user --state x"), Ok(Command::Prompt(o)) if o.net == Net::User));
        assert_eq!(parsed("run --help"), Ok(Command::Help));
        assert_eq!(parsed("--version"), Ok(Command::Version));
    }

    #[test]
    fn adapters_have_roles_and_user_is_one_of_them() {
        let Ok(Command::Prompt(options)) = parsed("--ap tap:ap0 --sta tap --user forward=8080:80 --pcap x") else {
            panic!()
        };
        let roles: Vec<Role> = options.adapters.iter().map(|(role, _)| *role).collect();
        assert_eq!(roles, [Role::Ap, Role::Sta, Role::Eth]);
        assert_eq!(options.adapters[2].1.link, Link::User);
        assert_eq!(options.adapters[2].1.forwards.len(), 1);
        assert!(parsed("--net user --user forward=8080:80").is_ok());
    }

    #[test]
    fn wrong_usage_is_named_with_what_would_be_right() {
        for (line, wanted) in [
            ("a.lua", "unknown command `a.lua`; to run a script: `lunet run a.lua`"),
            ("run", "run: a script is missing, as in `lunet run hello.lua`"),
            ("--ethh tap", "unknown option --ethh; see `lunet --help`"),
            ("-x", "unknown option -x; see `lunet --help`"),
            ("--net", "--net: a value is missing; see `lunet --help`"),
            ("--net ppp", "--net: unknown network `ppp`; auto, tap, user or host"),
            ("--eth tap --eth tap:x", "--eth: a device has one adapter of each role (--user is an --eth)"),
            ("--eth tap --net tap", "--net chooses a network only where no adapter is named: leave it away"),
            ("--sockets 0", "--sockets: `0` is not a number from 1 to 4096"),
            ("--net host --pcap x", "--pcap: a host network has no frames of its own; use tap or user"),
            ("--eth host --pcap x", "--pcap: a host network has no frames of its own; use tap or user"),
            ("--ap wlan0", "--ap: unknown network `wlan0`; tap, tap:NAME, tap:fd=N, user, host or host:INTERFACE"),
        ] {
            assert_eq!(complaint(line), wanted, "{line}");
        }
        assert!(complaint("--verbose=3").contains("--verbose"));
    }

    #[test]
    fn help_names_every_option() {
        for option in
            ["--net", "--eth", "--sta", "--ap", "--user", "--pcap", "--sockets", "--root", "--state", "--verbose"]
        {
            assert!(HELP.contains(option), "{option}");
        }
    }
}
