//! Wrong use is met with a clear error and the right exit status.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use lunet_tests::{Device, Namespace, Output, Process, as_nobody, for_everybody, have, lunet};

/// Runs `lunet` where it touches no network.
fn run(arguments: &[&str]) -> Output {
    Process::start(Command::new(lunet()).args(arguments).stdin(Stdio::null())).finish()
}

#[track_caller]
fn assert_fails(output: &Output, status: i32, message: &str) {
    assert_eq!(output.status.code(), Some(status), "{}", output.err);
    assert!(output.err.contains(message), "no {message:?} in {:?}", output.err);
    assert!(output.out.is_empty(), "{}", output.out);
}

#[test]
fn help_goes_to_standard_output_and_names_what_there_is() {
    for arguments in [&["--help"][..], &["run", "--help"]] {
        let help = run(arguments).ok();
        for word in ["lunet run", "--eth", "--sta", "--ap", "--pcap", "tap:", "ip=", "host=", "forward="] {
            assert!(help.contains(word), "{word}");
        }
    }
}

#[test]
fn wrong_usage() {
    for (arguments, message) in [
        (&["run"][..], "a script is missing"),
        (&["run", "--nonsense", "x.lua"], "unknown option --nonsense"),
        (&["x.lua"], "to run a script: `lunet run x.lua`"),
        (&["run", "no-such-file.lua"], "cannot read the script no-such-file.lua: No such file"),
        (&["run", "/"], "cannot read the script /: Is a directory"),
        (&["run", "--eth", "pigeon", "x.lua"], "unknown network `pigeon`"),
        (&["run", "--eth", "tap:x,ip=10.0.0.300/24", "x.lua"], "ip=10.0.0.300/24: wanted is an address"),
        (&["run", "--eth", "tap:x,ip=10.0.0.2", "x.lua"], "the length of the network is missing"),
        (&["run", "--eth", "tap:x,ip=10.0.0.2/24,gw=10.0.1.1", "x.lua"], "gw=10.0.1.1: a router has an address in"),
        (&["run", "--eth", "tap:x,color=blue", "x.lua"], "unknown part `color=`"),
        (&["run", "--sockets", "0", "x.lua"], "--sockets"),
        (&["run", "--eth"], "--eth: a value is missing"),
    ] {
        assert_fails(&run(arguments), 2, message);
    }
}

#[test]
fn an_interface_that_is_not_there() {
    let output = Process::start(&mut Device::script("").eth("host:no-such-if0").command()).finish();
    assert_fails(&output, 2, "no-such-if0: there is no such interface");
}

#[test]
fn a_script_that_nobody_may_read() {
    if !have(&["setpriv"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let copy = for_everybody(&[(lunet(), "lunet")]);
    let script = copy.path().join("secret.lua");
    fs::write(&script, "print('secret')").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o600)).unwrap();
    let lunet = copy.path().join("lunet");
    let arguments = [lunet.as_os_str(), "run".as_ref(), script.as_os_str()];
    let output = namespace.start(&mut as_nobody(&arguments)).finish();
    assert_fails(&output, 2, "cannot read the script");
    assert!(output.err.contains("Permission denied"));
}

#[test]
fn a_tap_without_the_right_to_it() {
    if !have(&["setpriv"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let copy = for_everybody(&[(lunet(), "lunet")]);
    let script = copy.path().join("script.lua");
    fs::write(&script, "print('never')").unwrap();
    let lunet = copy.path().join("lunet");
    let arguments = [lunet.as_os_str(), "run".as_ref(), "--net".as_ref(), "tap".as_ref(), script.as_os_str()];
    let output = namespace.start(&mut as_nobody(&arguments)).finish();
    assert_fails(&output, 1, "no TAP interface without rights");
    assert_eq!(output.err.lines().count(), 1, "one line that says it: {}", output.err);
}

#[test]
fn a_script_that_fails() {
    let Some(namespace) = Namespace::new() else { return };
    let broken = Device::script("print(").run(&namespace);
    assert_fails(&broken, 1, ":1: unexpected symbol near <eof>");
    let output =
        Device::script("local function f() error('oh no') end\nlocal function g() f() end\ng()").run(&namespace);
    assert_fails(&output, 1, ":1: oh no");
    assert!(output.err.contains("stack traceback:") && output.err.contains(":2: in"), "{}", output.err);
}

/// An error in a callback is reported, and the device goes on.
#[test]
fn a_callback_that_fails() {
    let Some(namespace) = Namespace::new() else { return };
    let script = "local n = 0\n\
        tmr.create():alarm(1, tmr.ALARM_AUTO, function(t)\n\
        n = n + 1\n\
        if n == 3 then t:unregister() print('survived') end\n\
        error('in callback ' .. n)\n\
        end)";
    let output = Device::script(script).run(&namespace);
    for number in 1..=3 {
        assert!(output.err.contains(&format!(":5: in callback {number}")), "{}", output.err);
    }
    assert!(output.err.contains("stack traceback:"), "{}", output.err);
    assert_eq!(output.ok(), "survived\n");
}

#[test]
fn a_port_in_use() {
    let Some(namespace) = Namespace::new() else { return };
    let tcp = "net.createServer():listen(80, print)\nnet.createServer():listen(80, print)";
    assert_fails(&Device::script(tcp).run(&namespace), 1, ":2: address in use");
    let udp = "net.createUDPSocket():listen(80)\nnet.createUDPSocket():listen(80)";
    assert_fails(&Device::script(udp).run(&namespace), 1, ":2: address in use");
    // On the computer's own sockets it is the computer that says so.
    let _listener = namespace.listen("127.0.0.1:8080");
    let host = "net.createServer():listen(8080, '127.0.0.1', print)";
    assert_fails(&Device::script(host).eth("host").run(&namespace), 1, ":1: address in use");
}

#[test]
fn lua_arguments_of_the_wrong_type() {
    let Some(namespace) = Namespace::new() else { return };
    // Each line is one wrong call, and after the dashes what is said of it.
    let calls = r#"
net.createServer("tcp") -- bad argument #1 to 'createServer' (number expected, got string)
net.createConnection({}) -- bad argument #1 to 'createConnection' (number expected, got table)
socket:connect("eighty", "10.0.0.1") -- bad argument #1 to 'connect' (number expected, got string)
socket:connect() -- bad argument #1 to 'connect' (number expected, got no value)
socket:on("receive", 5) -- invalid callback function
socket:on("nonsense", print) -- invalid callback name
socket:send() -- no data to send
socket:send({}) -- bad argument #1 to 'send' (string expected, got table)
socket:send("x") -- not connected
socket:ttl(1) -- socket is not open/bound yet
server:listen(80) -- need callback
server:listen({}, print) -- bad argument #1 to 'listen' (number expected, got table)
server:listen(70000, print) -- bad argument #1 to 'listen' (port out of range)
server:listen(80, "nowhere", print) -- invalid IP address
socket.connect(server, 80, "10.0.0.1") -- invalid user data
udp:send("x", "y", "z") -- bad argument #1 to 'send' (number expected, got string)
net.dns.resolve("a.test") -- bad argument #2 to 'resolve' (function expected, got no value)
net.dns.setdnsserver("nonsense") -- invalid dns server ip
net.dns.setdnsserver("10.0.0.1", 7) -- server index out of range [0-1]
net.multicastJoin(1, 2) -- wrong arg type
tmr.create():alarm("soon") -- bad argument #1 to 'alarm' (number expected, got string)
"#;
    let calls: Vec<(&str, &str)> = calls.lines().filter_map(|line| line.split_once(" -- ")).collect();
    assert_eq!(calls.len(), 21);
    let mut script = "socket, server, udp = net.createConnection(), net.createServer(), net.createUDPSocket()\n\
                      local function try(f) print(select(2, pcall(f))) end\n"
        .to_owned();
    for (call, _) in &calls {
        script += &format!("try(function() {call} end)\n");
    }
    let output = Device::script(&script).run(&namespace).ok();
    assert_eq!(output.lines().count(), calls.len());
    for (number, (line, (call, message))) in output.lines().zip(calls).enumerate() {
        // Where it was called, and what was wrong.
        let wanted = format!(".lua:{}: {message}", number + 3);
        assert!(line.ends_with(&wanted), "{call}: {line}");
    }
}
