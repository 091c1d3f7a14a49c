//! A device that has more to do than it has room for, or peers that have vanished, and one that runs for long.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use lunet_tests::{Device, Namespace, accept, read_all};

/// Sends back what it is sent, as long as the client likes.
const ECHO: &str = r#"
net.createServer(net.TCP, 600):listen(80, function(client)
  client:on("receive", function(sck, data) sck:send(data) end)
end)
print("ready")
"#;

#[test]
fn one_udp_socket_serves_the_living_while_another_client_has_vanished() {
    let Some(namespace) = Namespace::new() else { return };
    // Each datagram is passed on to a host that is not there, and then answered.
    let script = r#"
        local socket = net.createUDPSocket()
        socket:on("receive", function(s, data, port, ip)
          s:send(9, "10.0.0.99", data)
          s:send(port, ip, data)
        end)
        socket:listen(5000)
        print("ready")"#;
    let mut device = Device::script(script).start(&namespace);
    device.wait_for("ready");
    let socket = namespace.udp("10.0.0.1:0");
    for number in 0..30u8 {
        socket.send_to(&[number], "10.0.0.2:5000").unwrap();
        let mut got = [0; 16];
        let (n, _) = socket.recv_from(&mut got).expect("the living are served");
        assert_eq!(&got[..n], &[number]);
    }
}

#[test]
fn a_client_that_comes_while_all_sockets_are_busy_waits_its_turn() {
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::script(ECHO).options(&["--sockets", "8"]).start(&namespace);
    device.wait_for("ready");
    // Each connection is proved to be served: a listening socket takes none of the eight.
    let talk = |stream: &mut std::net::TcpStream| {
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    };
    let mut busy: Vec<_> = (0..8).map(|_| namespace.connect("10.0.0.2:80")).collect();
    busy.iter_mut().for_each(talk);
    // The ninth is neither refused nor served.
    let error = namespace.try_connect("10.0.0.2:80", Duration::from_secs(2)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    // It is when one of them leaves.
    std::thread::scope(|scope| {
        let ninth = scope.spawn(|| namespace.connect("10.0.0.2:80"));
        busy.pop();
        talk(&mut ninth.join().unwrap());
    });
    busy.iter_mut().for_each(talk);
}

#[test]
fn too_many_connections_are_an_error_that_passes() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.address("192.0.2.80/32");
    let server = namespace.listen("192.0.2.80:80");
    let script = r#"
        local open, failed = {}, nil
        local function connect()
          local socket = net.createConnection(net.TCP)
          socket:on("connection", function() open[#open + 1] = socket; connect() end)
          socket:on("reconnection", function(_, code)
            print("failed with " .. code .. " after " .. #open)
            table.remove(open):close()
            -- The place comes free when the peer has acknowledged that.
            tmr.create():alarm(100, tmr.ALARM_AUTO, function(timer)
              local again = net.createConnection(net.TCP)
              again:on("connection", function()
                timer:unregister()
                print("recovered")
                again:close()
                for _, socket in ipairs(open) do socket:close() end
              end)
              again:connect(80, "192.0.2.80")
            end)
          end)
          socket:connect(80, "192.0.2.80")
        end
        connect()"#;
    let mut device = Device::script(script).options(&["--sockets", "8"]).start(&namespace);
    let mut accepted: Vec<_> = (0..8).map(|_| accept(&server)).collect();
    assert_eq!(device.wait_for("failed"), "failed with -1 after 8");
    assert_eq!(read_all(&mut accepted[7]), "");
    drop(accepted.pop());
    device.wait_for("recovered");
    drop(accepted);
    assert!(device.finish().status.success());
}

#[test]
fn ten_thousand_connections_leak_nothing() {
    let Some(namespace) = Namespace::new() else { return };
    // What is left of our own ends would stand in the way of new connections.
    namespace.sysctl("net/ipv4/tcp_max_tw_buckets", "0");
    let script = r#"
        local answers = {
          count = function() collectgarbage() collectgarbage() return collectgarbage("count") * 1024 // 1 | 0 end,
          hello = function() return "hello" end,
        }
        net.createServer(net.TCP, 60):listen(80, function(client)
          client:on("receive", function(sck, data) sck:send(tostring(answers[data]())) end)
        end)
        print("ready")"#;
    let mut device = Device::script(script).options(&["--sockets", "8"]).start(&namespace);
    device.wait_for("ready");
    let ask = |what: &str| {
        let mut stream = namespace.connect("10.0.0.2:80");
        stream.write_all(what.as_bytes()).unwrap();
        let mut answer = [0; 32];
        let n = stream.read(&mut answer).expect("an answer");
        String::from_utf8(answer[..n].to_vec()).unwrap()
    };
    let id = device.id();
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("kB") * 1024
    };
    let cycles = |count: usize| (0..count).for_each(|_| assert_eq!(ask("hello"), "hello"));
    // Once everything that grows on first use has grown.
    cycles(1000);
    let lua = ask("count").parse::<u64>().unwrap();
    // The allocator's pages come and go, a leak only comes.
    let resident: Vec<u64> = (0..10)
        .map(|_| {
            cycles(1000);
            memory()
        })
        .collect();
    let lua_after = ask("count").parse::<u64>().unwrap();
    // One byte lost for each connection would be 10,000.
    assert!(lua_after < lua + 5_000, "Lua's heap: {lua}, then {lua_after}");
    let (before, after) = (resident[..5].iter().max().unwrap(), resident[5..].iter().min().unwrap());
    assert!(*after < before + 500_000, "the process: {resident:?}");
}
