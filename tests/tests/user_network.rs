//! An ordinary user, who may not make a TAP interface, has a device with a network all the same.

use std::fs;
use std::io::Write;
use std::path::Path;

use lunet_tests::{Device, Namespace, Process, accept, as_nobody, for_everybody, have, lunet, read_until};

/// A computer with an interface, and the internet behind it: two namespaces.
fn computer() -> Option<(Namespace, Namespace)> {
    if !have(&["passt", "setpriv", "curl"]) {
        return None;
    }
    let (computer, internet) = (Namespace::new()?, Namespace::new()?);
    computer.cable(("eth0", "198.51.100.2/24"), &internet, ("eth1", "198.51.100.1/24"));
    computer.ip("route add default via 198.51.100.1");
    Some((computer, internet))
}

/// The address to open, from the line that says what the network is.
fn url(device: &mut Process) -> String {
    let line = device.wait_for("http://");
    let rest = &line[line.find("http://").unwrap()..];
    rest.split([' ', ',']).next().unwrap().to_owned()
}

#[test]
fn x_run_as_an_ordinary_user() {
    let Some((computer, _internet)) = computer() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let copy =
        for_everybody(&[(&root.join("x"), "x"), (&root.join("examples/hello.lua"), "hello.lua"), (lunet(), "lunet")]);
    let arguments = [copy.path().join("x").into_os_string(), "run".into(), copy.path().join("hello.lua").into()];
    // That user has no Rust here, so the program is given.
    let mut command = as_nobody(&arguments);
    command.env("LUNET_BIN", copy.path().join("lunet")).env("HOME", copy.path());
    let mut device = computer.start(&mut command);
    let url = url(&mut device);
    assert!(url.starts_with("http://127.0.0.1:"), "{url}");
    device.wait_for("hello: serving on port 80");
    let page = computer.run("curl", &["-sS", "--max-time", "60", &url]).ok();
    assert!(page.contains("Hello from lunet"), "{page}");
}

/// A forwarded port leads in; DHCP has given an address; connections lead out, to the internet.
#[test]
fn a_device_behind_passt_serves_and_connects() {
    let Some((computer, internet)) = computer() else { return };
    let server = internet.listen("198.51.100.1:8000");
    let copy = for_everybody(&[(lunet(), "lunet")]);
    let script = copy.path().join("script.lua");
    fs::write(
        &script,
        r#"
        net.createServer():listen(7, function(client)
          client:on("receive", function(s, data) s:send("device: " .. data) end)
        end)
        local out = net.createConnection()
        out:on("connection", function(s) s:send("hello internet\n") end)
        out:on("receive", function(s, data) print("got " .. data) end)
        out:connect(8000, "198.51.100.1")
        print("ready")"#,
    )
    .unwrap();
    let lunet = copy.path().join("lunet");
    let arguments =
        [lunet.as_os_str(), "run".as_ref(), "--user".as_ref(), "forward=17007:7".as_ref(), script.as_os_str()];
    let mut device = computer.start(&mut as_nobody(&arguments));
    device.wait_for("ready");
    let mut outgoing = accept(&server);
    assert_eq!(read_until(&mut outgoing, "\n"), "hello internet\n");
    outgoing.write_all(b"hello device").unwrap();
    device.wait_for("got hello device");
    let mut incoming = computer.connect("127.0.0.1:17007");
    incoming.write_all(b"ping\n").unwrap();
    assert_eq!(read_until(&mut incoming, "\n"), "device: ping\n");
}

/// Where there is no way out for passt either, the device uses the computer's own sockets, and says so.
#[test]
fn without_any_network_the_device_is_the_computer() {
    if !have(&["setpriv", "curl"]) {
        return;
    }
    let Some(computer) = Namespace::new() else { return };
    let copy = for_everybody(&[(lunet(), "lunet")]);
    let script = copy.path().join("script.lua");
    fs::write(&script, "net.createServer():listen(8080, function(c) c:send('hi\\n') c:close() end) print('ready')")
        .unwrap();
    let lunet = copy.path().join("lunet");
    let mut device = computer.start(&mut as_nobody(&[lunet.as_os_str(), "run".as_ref(), script.as_os_str()]));
    device.wait_for("host network: this computer's own addresses and ports");
    device.wait_for("ready");
    assert_eq!(read_until(&mut computer.connect("127.0.0.1:8080"), "\n"), "hi\n");
}

/// The computer's own sockets on purpose.
#[test]
fn the_host_network() {
    let Some(computer) = Namespace::new() else { return };
    let mut device = Device::file("examples/tcp_echo.lua").eth("host").arguments(&["8007"]).start(&computer);
    device.wait_for("echo: serving on TCP port 8007");
    for address in ["127.0.0.1:8007", "[::1]:8007"] {
        let mut client = computer.connect(address);
        client.write_all(b"hello\n").unwrap();
        assert_eq!(read_until(&mut client, "\n"), "hello\n");
    }
}
