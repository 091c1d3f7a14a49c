//! Exit statuses and messages.

use std::io::Read;
use std::net::TcpListener;

use super::*;

#[test]
fn a_script_that_ends_leaves_status_0_and_gets_its_arguments() {
    let folder = Folder::new();
    let script = folder.file(
        "a.lua",
        "print(arg[0] ~= nil, ...)\n\
         tmr.create():alarm(1, tmr.ALARM_SINGLE, function() print((require('b'))) end)",
    );
    folder.file("b.lua", "return 'from beside the script'");
    let output = run(&["run", "--net", "host", &script, "one", "--two"]);
    assert_eq!(output.out, "true\tone\t--two\nfrom beside the script\n");
    assert_eq!(output.status, Some(0), "{}", output.err);
    assert!(output.err.starts_with("lunet: host network: "), "{}", output.err);
}

#[test]
fn a_script_that_fails_leaves_status_1_and_a_traceback() {
    let folder = Folder::new();
    let script = folder.file("fail.lua", "local function f()\n  error('oh no')\nend\nf()");
    let output = run(&["run", "--net", "host", &script]);
    assert_eq!(output.status, Some(1));
    assert!(output.err.contains("fail.lua:2: oh no\nstack traceback:\n"), "{}", output.err);
    let output = run(&["run", "--net", "host", &folder.file("syntax.lua", "print(")]);
    assert_eq!(output.status, Some(1));
    assert!(output.err.contains("syntax.lua:1: "), "{}", output.err);
}

#[test]
fn wrong_usage_leaves_status_2_and_one_line() {
    let folder = Folder::new();
    let script = folder.file("a.lua", "print('must not run')");
    for (arguments, message) in [
        (&["run", "no-such.lua"][..], "cannot read the script no-such.lua: No such file or directory (os error 2)"),
        (
            &["run", "--root", "no-such", &script],
            "--root: cannot open the directory no-such: No such file or directory (os error 2)",
        ),
        (&["run", "--etth", "tap", &script], "unknown option --etth; see `lunet --help`"),
        (
            &["run", "--eth", "wlan0", &script],
            "--eth: unknown network `wlan0`; tap, tap:NAME, tap:fd=N, user, host or host:INTERFACE",
        ),
        (&["run", "--eth", "host:no-such", &script], "host:no-such: there is no such interface"),
        (
            &["run", "--eth", "host,ip=203.0.113.1/24", &script],
            "ip=203.0.113.1: this computer has no such address there",
        ),
        (
            &["run", "--eth", "tap,ip=10.0.0.256/24", &script],
            "--eth: ip=10.0.0.256/24: wanted is an address and the length of its network, as in ip=10.0.0.2/24 or ip=fd00::2/64",
        ),
        (
            &["mdns", "browse", "http", "--eth", "host:lo"],
            "invalid service type: `_name._tcp` or `_name._udp` is expected",
        ),
        (
            &["mdns", "publish", "a", "_b._tcp", "80", "--host", "c.d", "--eth", "host:lo"],
            "invalid name: labels have 1 to 63 bytes, names at most 255",
        ),
        (&["mdns", "types", "--eth", "host:no-such"], "host:no-such: there is no such interface"),
        (&["run", "--eth", "tap:fd=99", &script], "TAP interface fd=99: Bad file descriptor (os error 9)"),
        (&[script.as_str()], &format!("unknown command `{script}`; to run a script: `lunet run {script}`")),
    ] {
        let output = run(arguments);
        assert_eq!(output.err, format!("lunet: {message}\n"), "{arguments:?}");
        let status = if message.starts_with("TAP") { 1 } else { 2 };
        assert_eq!((output.status, output.out.as_str()), (Some(status), ""), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_printed() {
    let output = run(&["--help"]);
    assert_eq!(output.status, Some(0));
    assert!(output.out.starts_with("lunet: network services") && output.err.is_empty());
    assert!(run(&["run", "-V"]).out.starts_with("lunet 0."));
}

#[test]
fn a_tap_interface_without_rights_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let script = folder.file("a.lua", "print('must not run')");
    let Some(mut command) = unprivileged(&folder, &["run", "--eth", "tap:lunet0", &script]) else { return };
    let output = Lunet::start(&mut command).finish();
    assert_eq!((output.status, output.out.as_str()), (Some(1), ""));
    assert_eq!(output.err.lines().count(), 1, "{}", output.err);
    assert!(output.err.contains("run as root, or"), "{}", output.err);
    assert!(output.err.contains("`--net user`, which needs no rights"), "{}", output.err);
}

#[test]
fn ctrl_c_closes_connections_in_order() {
    let folder = Folder::new();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = server.local_addr().unwrap().port();
    let script = folder.file(
        "a.lua",
        &format!(
            "local s = net.createConnection(net.TCP)
             s:on('connection', function() s:send('hello', function() print('sent') end) end)
             s:connect({port}, '127.0.0.1')"
        ),
    );
    for (signal, status) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let mut lunet = Lunet::start(&mut lunet(&["run", "--net", "host", &script]));
        let (mut connection, _) = server.accept().unwrap();
        assert_eq!(lunet.line(), "sent");
        lunet.signal(signal);
        let mut received = String::new();
        // A reset would be an error.
        connection.read_to_string(&mut received).unwrap();
        assert_eq!(received, "hello");
        assert_eq!(lunet.finish().status, Some(status));
    }
}

#[test]
fn ctrl_c_stops_a_script_that_never_pauses() {
    let folder = Folder::new();
    let busy = "print('busy') while true do end";
    for text in [busy.to_owned(), format!("tmr.create():alarm(1, tmr.ALARM_SINGLE, function() {busy} end)")] {
        let script = folder.file("a.lua", &text);
        let mut lunet = Lunet::start(&mut lunet(&["run", "--net", "host", &script]));
        assert_eq!(lunet.line(), "busy");
        lunet.signal(Signal::SIGINT);
        assert_eq!(lunet.finish().status, Some(130), "{text}");
    }
}

#[test]
fn what_is_printed_is_read_at_once_and_its_reader_may_leave() {
    let folder = Folder::new();
    let script = folder.file(
        "a.lua",
        "print('first') tmr.create():alarm(1, tmr.ALARM_AUTO, function(t) for i = 1, 1e4 do print(i) end t:unregister() end)",
    );
    let mut command = lunet(&["run", "--net", "host", &script]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(line(&mut out), "first");
    drop(out);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
