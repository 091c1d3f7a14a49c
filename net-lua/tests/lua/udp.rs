//! UDP.

use std::net::IpAddr;

use net_lua::adapter::{Adapter, Datagrams};

use crate::common::fake::{HOP_LIMIT_SEEN, MTU, Name};
use crate::common::{Pair, sleep};

fn bound(pair: &Pair, port: u16) -> Box<dyn Datagrams> {
    virtual_time::block_on(pair.peer.bind((pair.peer.address, port).into())).unwrap()
}

async fn receive(socket: &mut dyn Datagrams) -> (String, u16) {
    let mut buffer = [0; 2000];
    let (length, from) = socket.receive(&mut buffer).await.unwrap();
    (String::from_utf8_lossy(&buffer[..length]).into_owned(), from.port())
}

fn fails(script: &str) -> String {
    Pair::new().run(&format!("local function try(f) print(select(2, pcall(f))) end\n{script}"))
}

#[test]
fn the_documents_echo_answers() {
    let pair = Pair::new();
    let script = r#"
udpSocket = net.createUDPSocket()
udpSocket:listen(5000)
udpSocket:on("receive", function(s, data, port, ip)
    print(string.format("received '%s' from %s:%d", data, ip, port))
    s:send(port, ip, "echo: " .. data)
end)
port, ip = udpSocket:getaddr()
print(string.format("local UDP socket address / port: %s:%d", ip, port))"#;
    let printed = pair.run_with(script, async {
        sleep(10).await;
        let mut socket = bound(&pair, 6000);
        socket.send("10.0.0.1:5000".parse().unwrap(), b"foo").await.unwrap();
        assert_eq!(receive(&mut *socket).await, ("echo: foo".into(), 5000));
    });
    assert_eq!(printed, "local UDP socket address / port: 0.0.0.0:5000\nreceived 'foo' from 10.0.0.2:6000\n");
}

#[test]
fn a_send_binds_an_ephemeral_port_and_keeps_the_socket() {
    let pair = Pair::new();
    let script = "do
          local u = net.createUDPSocket()
          print(u:getaddr())
          u:on('sent', function(s) print('sent', s == u) end)
          u:on('receive', function(s, d) print(d) s:close() print(s:getaddr()) end)
          u:send(7, '10.0.0.2', 'hello')
          print('returned', u:getaddr())
          print(pcall(u.listen, u, 5))
        end
        collectgarbage() collectgarbage()";
    let mut socket = bound(&pair, 7);
    let printed = pair.run_with(script, async {
        let (text, port) = receive(&mut *socket).await;
        assert_eq!(text, "hello");
        socket.send((pair.host.address, port).into(), b"back").await.unwrap();
    });
    let expected = "nil\tnil\nreturned\t49152\t0.0.0.0\nfalse\talready listening\nsent\ttrue\nback\nnil\tnil\n";
    assert_eq!(printed, expected);
}

#[test]
fn r2_a_connected_socket_of_old_sends_to_its_peer() {
    let pair = Pair::new();
    pair.net.name("there", Name::Is(vec!["10.0.0.2".parse::<IpAddr>().unwrap()]));
    for host in ["10.0.0.2", "there"] {
        let script = format!(
            "u = net.createConnection(net.UDP, 0)
            u:connect(7, '{host}')
            u:send('one', function() print('sent') end)
            u:send(2)
            u:on('receive', function(s, d, port, ip) print(d, port, ip) print(s:getpeer()) s:close() print(s:getpeer()) end)"
        );
        let mut socket = bound(&pair, 7);
        let printed = pair.run_with(&script, async {
            let (text, port) = receive(&mut *socket).await;
            assert_eq!(text, "one");
            assert_eq!(receive(&mut *socket).await.0, "2");
            socket.send((pair.host.address, port).into(), b"yes").await.unwrap();
        });
        assert_eq!(printed, "sent\nsent\nyes\t7\t10.0.0.2\n7\t10.0.0.2\nnil\tnil\n");
    }
}

#[test]
fn r2_a_server_of_old_answers_whoever_sent_last() {
    let pair = Pair::new();
    let script = "s = net.createServer(net.UDP)
        print(select(2, pcall(s.send, s, 'x')))
        s:on('receive', function(s, c) s:send(c .. '!') end)
        s:listen(5, function() print('never') end)";
    let printed = pair.run_with(script, async {
        sleep(10).await;
        for port in [6000, 6001] {
            let mut socket = bound(&pair, port);
            socket.send("10.0.0.1:5".parse().unwrap(), b"hi").await.unwrap();
            assert_eq!(receive(&mut *socket).await.0, "hi!");
        }
    });
    assert_eq!(printed, "remote ip/port unavailable\n");
}

#[test]
fn send_and_listen_check_their_arguments() {
    let script = "local u = net.createUDPSocket()
        try(function() u:send() end)
        try(function() u:send(0, '10.0.0.2', 'x') end)
        try(function() u:send('x', '10.0.0.2', 'x') end)
        try(function() u:send(70000, '10.0.0.2', 'x') end)
        try(function() u:send(7, 'host.name', 'x') end)
        try(function() u:send(7, {}, 'x') end)
        try(function() u:send(7, '10.0.0.2') end)
        try(function() u:send(7, '10.0.0.2', '') end)
        try(function() u:send(7, '10.0.0.2', {}) end)
        try(function() u:send(7, '10.0.0.2', 'x', 'y') end)
        try(function() u:send('x') end)
        try(function() u.send(net.createConnection(), 7, '10.0.0.2', 'x') end)
        try(function() u:send(7, '10.0.0.2', ('x'):rep(65508)) end)
        try(function() u:send(7, '10.0.0.2', ('x'):rep(1473)) end)
        try(function() u:listen(5) end)
        u:close() u:close()
        try(function() u:listen(5, 'x') end)
        try(function() u:listen({}) end)
        u:listen(5)
        try(function() net.createUDPSocket():listen(5) end)
        try(function() u:connect(0, '10.0.0.2') end)
        try(function() u:connect(7) end)
        try(function() u:on('connection', print) end)
        try(function() u:on('receive', 5) end)
        u:close()
        try(function() u:ttl() end)";
    let expected = "test.lua:3: no data to send
test.lua:4: need port
test.lua:5: bad argument #1 to 'send' (number expected, got string)
test.lua:6: bad argument #1 to 'send' (port out of range)
test.lua:7: invalid IP address
test.lua:8: bad argument #2 to 'send' (string expected, got table)
test.lua:9: no data to send
test.lua:10: no data to send
test.lua:11: bad argument #3 to 'send' (string expected, got table)
test.lua:12: bad argument #4 to 'send' (function expected, got string)
test.lua:13: remote ip/port unavailable
test.lua:14: invalid user data
test.lua:15: cannot allocate message buffer
test.lua:16: cannot allocate message buffer
test.lua:17: already listening
test.lua:19: invalid IP address
test.lua:20: bad argument #1 to 'listen' (number expected, got table)
test.lua:22: address in use
test.lua:23: specify port
test.lua:24: bad argument #2 to 'connect' (string expected, got no value)
test.lua:25: invalid callback name
test.lua:26: invalid callback function
test.lua:28: socket is not open/bound yet
";
    assert_eq!(fails(script), expected);
    assert_eq!(MTU, 1472);
}

#[test]
fn without_a_network_there_is_a_routing_problem() {
    let device = crate::common::Device::new(vec![]);
    let script = b"print(pcall(function() net.createUDPSocket():send(7, '10.0.0.2', 'x') end))
        print(pcall(function() net.createServer():listen(80, print) end))
        s = net.createConnection() s:on('disconnection', function(_, e) print(e) end) s:connect(80, '10.0.0.2')";
    let exit = virtual_time::block_on(async { device.runtime().run_chunk("t.lua", script, &[]).await });
    assert_eq!(exit, net_lua::Exit::Finished);
    assert_eq!(device.printed(), "false\tt.lua:1: routing problem\nfalse\tt.lua:2: cannot allocate PCB\n-4\n");
}

#[test]
fn datagrams_wait_for_room_in_order_and_too_many_are_refused() {
    let pair = Pair::new();
    pair.net.set_full(true);
    let script = "u = net.createUDPSocket()
        for i = 1, 8 do u:send(7, '10.0.0.2', tostring(i)) end
        print(select(2, pcall(u.send, u, 7, '10.0.0.2', '9')))";
    let mut socket = bound(&pair, 7);
    let printed = pair.run_with(script, async {
        sleep(100).await;
        pair.net.set_full(false);
        for i in 1..=8 {
            assert_eq!(receive(&mut *socket).await.0, i.to_string());
        }
    });
    assert_eq!(printed, "cannot allocate message buffer\n");
}

#[test]
fn r21_datagrams_wait_for_their_handler() {
    let pair = Pair::new();
    let script = "u = net.createUDPSocket() u:listen(5)
        tmr.create():alarm(1000, 0, function() u:on('receive', function(_, d) print(d) end) end)";
    let mut socket = bound(&pair, 7);
    let printed = pair.run_with(script, async {
        sleep(10).await;
        for text in ["a", "b", "\0\0"] {
            socket.send("10.0.0.1:5".parse().unwrap(), text.as_bytes()).await.unwrap();
        }
        sleep(1000).await;
    });
    assert_eq!(printed, "a\nb\n\0\0\n");
}

#[test]
fn broadcasts_need_no_option() {
    let pair = Pair::new();
    let script =
        "u = net.createUDPSocket() u:send(7, '255.255.255.255', 'all') u:send(7, '10.0.0.255', 'subnet') u:close()";
    let mut socket = bound(&pair, 7);
    pair.run_with(script, async {
        assert_eq!(receive(&mut *socket).await.0, "all");
        assert_eq!(receive(&mut *socket).await.0, "subnet");
    });
}

#[test]
fn a_joined_group_is_received_until_it_is_left() {
    let pair = Pair::new();
    let script = "u = net.createUDPSocket() u:listen(5)
        u:on('receive', function(_, d) print(d) net.multicastLeave('any', '239.1.2.3') end)
        print(net.multicastJoin('', '239.1.2.3'))";
    let mut socket = bound(&pair, 7);
    let printed = pair.run_with(script, async {
        sleep(10).await;
        for text in ["one", "two"] {
            socket.send("239.1.2.3:5".parse().unwrap(), text.as_bytes()).await.unwrap();
            sleep(10).await;
        }
    });
    assert_eq!(printed, "\none\n");
}

#[test]
fn membership_checks_its_arguments() {
    let script = "for _, f in ipairs{net.multicastJoin, net.multicastLeave} do
          try(function() f(1, '224.0.0.1') end)
          try(function() f('any') end)
          try(function() f('x', '224.0.0.1') end)
          try(function() f('ANY', 'x') end)
          f('10.0.0.1', '224.0.0.1')
          f('10.9.9.9', '224.0.0.1')
          f('any', '10.0.0.1')
        end";
    let one = |n: u32| {
        format!(
            "test.lua:{}: wrong arg type\ntest.lua:{}: wrong arg type\ntest.lua:{}: invalid if ip\ntest.lua:{}: invalid multicast ip\n",
            n,
            n + 1,
            n + 2,
            n + 3
        )
    };
    assert_eq!(fails(script), one(3).repeat(2));
}

#[test]
fn ttl_is_on_the_wire() {
    let pair = Pair::new();
    let script = "u = net.createUDPSocket() u:listen(5) print(u:ttl(), u:ttl(3), u:ttl()) u:send(7, '10.0.0.2', 'x')
        print(select(2, pcall(u.ttl, u, 0)))";
    let mut socket = bound(&pair, 7);
    let printed = pair.run_with(script, async {
        receive(&mut *socket).await;
        assert_eq!(HOP_LIMIT_SEEN.get(), 3);
    });
    assert_eq!(printed, "64\t3\t3\nbad argument #2 to 'ttl' (ttl 0 is not within 1-255)\n");
}

#[test]
fn r22_sent_comes_after_send_has_returned() {
    let printed = Pair::new().run(
        "u = net.createUDPSocket()
        u:send(7, '10.0.0.2', 'x', function(s) print('sent', s == u) s:close() end) print('returned')",
    );
    assert_eq!(printed, "returned\nsent\ttrue\n");
}

#[test]
fn a_closed_socket_hears_nothing_more_and_can_listen_again() {
    let pair = Pair::new();
    let script = "u = net.createUDPSocket() u:listen(5)
        u:on('receive', function(s, d) print(d) s:close() s:listen(6) print(s:getaddr()) end)";
    let mut socket = bound(&pair, 7);
    let printed = pair.run_with(script, async {
        sleep(10).await;
        for port in [5, 5, 6] {
            socket.send((pair.host.address, port).into(), b"x").await.unwrap();
        }
        sleep(10).await;
        socket.send((pair.host.address, 6).into(), b"y").await.unwrap();
    });
    assert_eq!(printed, "x\n6\t0.0.0.0\ny\n6\t0.0.0.0\n");
}
