//! Command lines, right and wrong.

use super::mdns::Service;
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
fn serve_is_on_the_computers_own_network_unless_told_otherwise() {
    let Ok(Command::Serve(options, serve)) = parsed("serve public") else { panic!() };
    assert_eq!((options.net, options.adapters.len()), (Net::Host, 0));
    let wanted = Serve {
        directory: "public".into(),
        port: 8080,
        address: None,
        listing: true,
        connections: 256,
        timeout: None,
        log: AccessLog::Stderr,
    };
    assert_eq!(serve, wanted);
    let line = "serve -v public --port 80 --bind ::1 --no-listing --connections 4 --timeout 3 --log a.log --eth tap:x";
    let Ok(Command::Serve(options, serve)) = parsed(line) else { panic!() };
    assert_eq!((options.verbose, options.adapters.len(), options.net), (1, 1, Net::Auto));
    assert_eq!((serve.port, serve.address, serve.listing), (80, "::1".parse().ok(), false));
    assert_eq!((serve.connections, serve.timeout, serve.log), (4, Some(3), AccessLog::File("a.log".into())));
    let Ok(Command::Serve(options, serve)) = parsed("--net user serve -q -p 0 public") else { panic!() };
    assert_eq!((options.net, serve.port, serve.log), (Net::User, 0, AccessLog::Nowhere));
}

#[test]
fn mdns_finds_and_publishes() {
    let mdns = |line: &str| match parsed(&format!("mdns {line}")) {
        Ok(Command::Mdns(options, mdns)) => (options, mdns),
        other => panic!("{line}: {other:?}"),
    };
    let (options, all) = mdns("browse --resolve --once --parsable");
    assert_eq!((options.net, options.adapters.len()), (Net::Host, 0));
    let resolve = Action::Browse { kind: None, resolve: true };
    assert_eq!(all, Mdns { action: resolve, once: true, timeout: None, parsable: true });
    let (options, one) = mdns("--eth tap:x browse _http._tcp --timeout 3");
    assert_eq!((options.adapters.len(), one.timeout), (1, Some(3)));
    assert_eq!(one.action, Action::Browse { kind: Some("_http._tcp".into()), resolve: false });
    assert_eq!(mdns("types").1.action, Action::Types);
    assert_eq!(mdns("resolve a.local").1.action, Action::Host("a.local".into()));
    assert_eq!(mdns("resolve fe80::1").1.action, Action::Address("fe80::1".parse().unwrap()));
    assert_eq!(mdns("resolve A _b._tcp").1.action, Action::Instance("A".into(), "_b._tcp".into()));
    let service = Service {
        name: "A".into(),
        kind: "_b._tcp".into(),
        subtypes: vec!["_c".into(), "_d".into()],
        port: 80,
        txt: vec!["e=f".into(), "-g".into()],
    };
    let whole =
        Publish { service: Some(service), host: "h".into(), addresses: vec![[10, 0, 0, 7].into()], update: true };
    let line = "publish --subtype _c --subtype _d --host h --address 10.0.0.7 --update A _b._tcp 80 e=f -- -g";
    assert_eq!(mdns(line).1.action, Action::Publish(whole));
    let host = Publish { service: None, host: "h".into(), addresses: Vec::new(), update: false };
    assert_eq!(mdns("publish --host h").1.action, Action::Publish(host));
    assert!(matches!(mdns("publish A _b._tcp 80").1.action, Action::Publish(p) if p.host == "lunet"));
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
        ("serve", "serve: a directory is missing, as in `lunet serve .`"),
        ("serve a b", "serve: one directory, not also `b`"),
        ("serve a --port 65536", "--port: `65536` is not a number from 0 to 65535"),
        ("serve a --connections 0", "--connections: `0` is not a number from 1 to 4096"),
        ("serve a --bind localhost", "--bind: `localhost` is not an IP address"),
        ("serve a --root b", "--root: `lunet serve` runs no script; see `lunet --help`"),
        ("run --port 80 a.lua", "--port: only `lunet serve` has that; see `lunet --help`"),
        ("--quiet", "--quiet: only `lunet serve` has that; see `lunet --help`"),
        ("serve a --eth tap --ap tap", "serve: on one network; name one adapter"),
        ("serve a --pcap x", "--pcap: a host network has no frames of its own; use tap or user"),
        ("mdns", "mdns: browse, types, resolve or publish; see `lunet --help`"),
        ("mdns find", "mdns: browse, types, resolve or publish; see `lunet --help`"),
        ("mdns browse a b", "mdns browse: one type, as in `lunet mdns browse _http._tcp`"),
        ("mdns types a", "mdns types: nothing more, as in `lunet mdns types`"),
        ("mdns types --resolve", "--resolve: only `lunet mdns browse` has that; see `lunet --help`"),
        ("mdns resolve a --once", "--once: only `lunet mdns browse` and `types` have that; see `lunet --help`"),
        (
            "mdns resolve",
            "mdns resolve: a host, an address, or an instance and its type, as in \
             `lunet mdns resolve \"My Page\" _http._tcp`",
        ),
        (
            "mdns publish",
            "mdns publish: a name, a type and a port, as in `lunet mdns publish \"My Page\" _http._tcp 80`, or --host alone",
        ),
        ("mdns publish a b", "mdns publish: a name, a type and a port are needed"),
        ("mdns publish a _b._tcp c", "mdns publish: `c` is not a port, 0 to 65535"),
        ("mdns publish --host a --update", "mdns publish: a host alone has no subtypes and no attributes"),
        ("mdns publish a b 1 --address 10.0.0.1", "--address: of which host? --host names it"),
        ("mdns publish a b 1 --address c", "--address: `c` is not an IP address"),
        ("mdns browse --timeout 0", "--timeout: `0` is not a number from 1 to 86400"),
        ("mdns browse --root x", "--root: `lunet mdns` runs no script; see `lunet --help`"),
        ("mdns browse --port 1", "--port: only `lunet serve` has that; see `lunet --help`"),
        ("serve a --once", "--once: only `lunet mdns` has that; see `lunet --help`"),
        ("mdns types --eth tap --ap tap", "mdns: on one network; name one adapter"),
        ("--ap wlan0", "--ap: unknown network `wlan0`; tap, tap:NAME, tap:fd=N, user, host or host:INTERFACE"),
    ] {
        assert_eq!(complaint(line), wanted, "{line}");
    }
    assert!(complaint("--verbose=3").contains("--verbose"));
}

#[test]
fn help_names_every_option() {
    let options = "--net --eth --sta --ap --user --pcap --sockets --root --state --verbose \
                   --port --bind --listing --no-listing --connections --timeout --log --quiet \
                   --resolve --once --subtype --host --address --update --parsable";
    for option in options.split(' ') {
        assert!(HELP.contains(option), "{option}");
    }
}
