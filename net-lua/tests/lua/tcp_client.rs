//! Connecting, ending, and the life of a socket.

use std::net::IpAddr;

use embassy_time::{Duration, Instant};
use net_lua::adapter::Adapter;

use crate::common::fake::Name;
use crate::common::{Pair, finish, read, read_all, read_exact, sleep, write};

/// Prints every event of `sk`.
const TRACE: &str = "
function trace(sk, ...)
  for _, e in ipairs(... and {...} or {'connection', 'reconnection', 'disconnection', 'receive', 'sent', 'dns'}) do
    sk:on(e, function(s, ...) print(e, s == sk, ...) end)
  end
end
sk = net.createConnection()
";

fn trace(script: &str) -> String {
    format!("{TRACE}{script}")
}

fn v4(address: &str) -> Vec<IpAddr> {
    vec![address.parse().unwrap()]
}

#[test]
fn the_documents_client_fetches_a_page() {
    let pair = Pair::new();
    pair.net.name("httpbin.org", Name::Is(v4("10.0.0.2")));
    let script = r#"
srv = net.createConnection(net.TCP, 0)
srv:on("receive", function(sck, c) print(c) end)
-- Wait for connection before sending.
srv:on("connection", function(sck, c)
  sck:send("GET /get HTTP/1.1\r\nHost: httpbin.org\r\nConnection: close\r\nAccept: */*\r\n\r\n")
end)
srv:connect(80,"httpbin.org")
"#;
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        assert!(read(&mut *stream).await.starts_with(b"GET /get HTTP/1.1\r\nHost: httpbin.org\r\n"));
        write(&mut *stream, b"HTTP/1.1 200 OK").await;
    });
    assert_eq!(printed, "HTTP/1.1 200 OK\n");
}

#[test]
fn events_come_in_order_with_the_socket_first() {
    let pair = Pair::new();
    let script = trace("trace(sk) sk:connect(80, '10.0.0.2') sk:send('hi') print('connecting')");
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        assert_eq!(read(&mut *stream).await, b"hi");
        write(&mut *stream, b"there").await;
        finish(&mut *stream).await;
    });
    assert_eq!(
        printed,
        "connecting\ndns\ttrue\t10.0.0.2\nconnection\ttrue\nsent\ttrue\nreceive\ttrue\tthere\ndisconnection\ttrue\t0\n"
    );
}

#[test]
fn r22_the_dns_event_of_a_literal_comes_after_connect_has_returned() {
    let pair = Pair::new();
    let printed =
        pair.run(&trace("trace(sk, 'dns') sk:connect(80, '10.0.0.2') print('returned') sk:on('disconnection', nil)"));
    assert_eq!(printed, "returned\ndns\ttrue\t10.0.0.2\n");
}

#[test]
fn r5_a_refused_connection_is_minus_9() {
    let pair = Pair::new();
    assert_eq!(
        pair.run(&trace("trace(sk) sk:connect(80, '10.0.0.2')")),
        "dns\ttrue\t10.0.0.2\nreconnection\ttrue\t-9\n"
    );
    assert_eq!(pair.run(&trace("trace(sk, 'disconnection') sk:connect(80, '10.0.0.2')")), "disconnection\ttrue\t-9\n");
    // Nobody to tell.
    assert_eq!(pair.run(&trace("sk:connect(80, '10.0.0.2')")), "");
}

#[test]
fn r5_a_connection_that_nobody_answers_is_minus_8() {
    let pair = Pair::new();
    pair.net.kill("10.0.0.2");
    let began = Instant::now();
    assert_eq!(pair.run(&trace("trace(sk, 'disconnection') sk:connect(80, '10.0.0.2')")), "disconnection\ttrue\t-8\n");
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[test]
fn r5_no_route_is_minus_4_and_a_reset_minus_9() {
    let pair = Pair::new();
    assert_eq!(pair.run(&trace("trace(sk, 'disconnection') sk:connect(80, '9.9.9.9')")), "disconnection\ttrue\t-4\n");
    let script = trace("trace(sk, 'disconnection', 'receive') sk:connect(80, '10.0.0.2')");
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        write(&mut *stream, b"x").await;
        sleep(10).await;
        stream.abort();
    });
    assert_eq!(printed, "receive\ttrue\tx\ndisconnection\ttrue\t-9\n");
}

#[test]
fn r5b_a_name_without_address_is_dns_nil_then_minus_6_and_the_socket_can_be_used_again() {
    let pair = Pair::new();
    pair.net.name("there", Name::Is(v4("10.0.0.2")));
    let script = trace(
        "trace(sk)
        sk:on('reconnection', function(s, code) print('reconnection', code) s:connect(80, 'there') end)
        sk:connect(80, 'nowhere')",
    );
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        finish(&mut *stream).await;
    });
    assert_eq!(
        printed,
        "dns\ttrue\tnil\nreconnection\t-6\ndns\ttrue\t10.0.0.2\nconnection\ttrue\ndisconnection\ttrue\t0\n"
    );
    pair.net.name("mute", Name::Silence(Duration::from_secs(7)));
    let began = Instant::now();
    assert_eq!(
        pair.run(&trace("trace(sk, 'dns', 'disconnection') sk:connect(80, 'mute')")),
        "dns\ttrue\tnil\ndisconnection\ttrue\t-6\n"
    );
    assert!(began.elapsed() >= Duration::from_secs(7));
}

#[test]
fn a_name_with_several_addresses_is_tried_to_the_end() {
    let pair = Pair::new();
    let addresses = ["9.9.9.9", "fd00::1", "10.0.0.2"].map(|address| address.parse().unwrap()).to_vec();
    pair.net.name("many", Name::Is(addresses));
    let printed = pair.run_with(&trace("trace(sk, 'dns', 'connection') sk:connect(80, 'many')"), async {
        pair.answer(80).await;
    });
    assert_eq!(printed, "dns\ttrue\t9.9.9.9\nconnection\ttrue\n");
}

#[test]
fn connect_checks_its_arguments_in_order() {
    let script = trace(
        "
        local function try(...) print(select(2, pcall(...))) end
        try(sk.connect, nil)
        try(sk.connect, net.createServer(), 80)
        try(function() sk:connect() end)
        try(function() sk:connect('x') end)
        try(function() sk:connect(0, 'h') end)
        try(function() sk:connect(65536, 'h') end)
        try(function() sk:connect(80, 'h', 5) end)
        try(function() sk:connect(80, '') end)
        try(function() sk:connect(80, ('x'):rep(256)) end)
        print(sk:getpeer())
        sk:connect('80', {})
        try(function() sk:connect() end)
        print(sk:getpeer())
        sk:close()",
    );
    let expected = "invalid user data
invalid user data
test.lua:12: bad argument #1 to 'connect' (number expected, got no value)
test.lua:13: bad argument #1 to 'connect' (number expected, got string)
test.lua:14: specify port
test.lua:15: bad argument #1 to 'connect' (port out of range)
test.lua:16: bad argument #3 to 'connect' (not a function)
test.lua:17: illegal argument
test.lua:18: illegal argument
nil\tnil
test.lua:21: already connected
nil\tnil
";
    assert_eq!(Pair::new().run(&script), expected);
}

#[test]
fn the_function_given_to_connect_is_the_connection_handler() {
    let pair = Pair::new();
    let printed = pair.run_with(
        "sk = net.createConnection() sk:connect(80, '10.0.0.2', function(s) print(s == sk) end)",
        async {
            pair.answer(80).await;
        },
    );
    assert_eq!(printed, "true\n");
}

#[test]
fn r1_getpeer_and_getaddr_are_port_then_ip_and_nil_when_closed() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        local function show(what) print(what, sk:getpeer()) print(what, sk:getaddr()) end
        show('idle')
        sk:on('connection', function() show('open') net.profile = 'gen2' print(sk:getpeer()) net.profile = 'gen3' end)
        sk:on('disconnection', function() show('ended') end)
        sk:connect(80, '10.0.0.2')";
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        finish(&mut *stream).await;
    });
    let expected = "idle\tnil\tnil\nidle\tnil\tnil\nopen\t80\t10.0.0.2\nopen\t49152\t10.0.0.1\n10.0.0.2\t80\n\
        ended\tnil\tnil\nended\tnil\tnil\n";
    assert_eq!(printed, expected);
}

#[test]
fn r3_close_of_what_is_not_open_does_nothing() {
    let pair = Pair::new();
    assert_eq!(pair.run("sk = net.createConnection() print(sk:close(), select('#', sk:close()))"), "nil\t0\n");
    let printed = pair.run_with(
        "sk = net.createConnection()
        sk:on('connection', function() sk:close() sk:close() print('closed') end)
        sk:connect(80, '10.0.0.2')",
        async { assert_eq!(read_all(&mut *pair.answer(80).await).await, b"") },
    );
    assert_eq!(printed, "closed\n");
}

#[test]
fn r4_an_own_close_brings_no_event_unless_the_profile_is_gen2() {
    let pair = Pair::new();
    let script = |profile: &str| {
        trace(&format!(
            "net.profile = '{profile}' trace(sk, 'disconnection', 'reconnection', 'sent')
            sk:on('connection', function() sk:send('x') sk:close() print('closed') end) sk:connect(80, '10.0.0.2')"
        ))
    };
    let answer = async || assert_eq!(read_all(&mut *pair.answer(80).await).await, b"x");
    assert_eq!(pair.run_with(&script("gen3"), answer()), "closed\n");
    assert_eq!(pair.run_with(&script("gen2"), answer()), "closed\ndisconnection\ttrue\t0\n");
}

#[test]
fn what_was_sent_before_close_arrives() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        sk:connect(80, '10.0.0.2', function() sk:send(('x'):rep(11680)) sk:close() end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        sleep(1000).await;
        assert_eq!(read_all(&mut *stream).await.len(), 11680);
    });
    assert_eq!(printed, "");
}

#[test]
fn close_in_every_callback_ends_all_events() {
    for event in ["dns", "connection", "receive", "sent"] {
        let pair = Pair::new();
        let script = trace(&format!(
            "trace(sk)
            sk:on('{event}', function() print('{event}') sk:close() print(sk:getpeer()) end)
            sk:connect(80, '10.0.0.2') sk:send('x')"
        ));
        let printed = pair.run_with(&script, async {
            let mut listener = pair.peer.listen((pair.peer.address, 80).into(), 8).await.unwrap();
            let peer = async {
                let mut stream = listener.accept().await.unwrap();
                write(&mut *stream, b"y").await;
                read_all(&mut *stream).await;
            };
            embassy_futures::select::select(peer, sleep(5000)).await;
        });
        assert!(printed.ends_with(&format!("{event}\nnil\tnil\n")), "{event}: {printed}");
        assert_eq!(pair.net.streams(), 0, "{event}");
    }
}

#[test]
fn close_while_connecting_or_resolving_cancels() {
    let pair = Pair::new();
    pair.net.kill("10.0.0.2");
    pair.net.name("mute", Name::Silence(Duration::from_secs(7)));
    let began = Instant::now();
    let script = "for _, host in ipairs{'10.0.0.2', 'mute'} do
          local s = net.createConnection()
          for _, e in ipairs{'connection', 'disconnection', 'reconnection'} do s:on(e, function() print(e) end) end
          s:connect(80, host)
          tmr.create():alarm(100, 0, function() s:close() end)
        end";
    assert_eq!(pair.run(script), "");
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_socket_reconnects_from_its_disconnection_handler_by_name_and_by_literal() {
    let pair = Pair::new();
    pair.net.name("there", Name::Is(v4("10.0.0.2")));
    for host in ["there", "10.0.0.2"] {
        let script = format!(
            "local n, m = 0
            local sk = net.createConnection()
            sk:on('receive', function(s, d) assert(d == 'hello') n = n + 1 end)
            sk:on('disconnection', function(s, code)
              assert(code == 0)
              if n == 10 then collectgarbage() m = collectgarbage('count') end
              if n < 100 then s:connect(80, '{host}') else
                collectgarbage()
                print(n, collectgarbage('count') - m < 8)
              end
            end)
            sk:connect(80, '{host}')"
        );
        let printed = pair.run_with(&script, async {
            let mut listener = pair.peer.listen((pair.peer.address, 80).into(), 8).await.unwrap();
            for _ in 0..100 {
                let mut stream = listener.accept().await.unwrap();
                write(&mut *stream, b"hello").await;
            }
        });
        assert_eq!(printed, "100\ttrue\n");
        assert_eq!(pair.net.streams(), 0);
    }
}

#[test]
fn an_open_socket_lives_without_a_reference_and_a_closed_one_is_collected_with_its_handlers() {
    let pair = Pair::new();
    let script = "gone = setmetatable({}, {__mode = 'k'})
        do
          local sk, big = net.createConnection(), {}
          gone[sk], gone[big] = true, true
          sk:on('receive', function(s, d) print(d, big ~= nil) end)
          sk:on('disconnection', function(s) print('end', s == sk) end)
          sk:connect(80, '10.0.0.2')
        end
        collectgarbage() collectgarbage()
        tmr.create():alarm(500, 0, function()
          collectgarbage() collectgarbage() print(next(gone))
          -- One that was never opened.
          local idle = net.createConnection() gone[idle] = true idle:on('receive', function() print(idle) end) idle = nil
          collectgarbage() collectgarbage() print(next(gone))
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        sleep(100).await;
        write(&mut *stream, b"x").await;
    });
    assert_eq!(printed, "x\ttrue\nend\ttrue\nnil\nnil\n");
}

#[test]
fn a_socket_that_resolves_lives_until_the_answer() {
    let pair = Pair::new();
    pair.net.name("www.nodemcu.com", Name::Is(v4("10.0.0.9")));
    let script = r#"
sk = net.createConnection(net.TCP, 0)
sk:dns("www.nodemcu.com", function(conn, ip) print(ip) end)
sk = nil
collectgarbage() collectgarbage()"#;
    assert_eq!(pair.run(script), "10.0.0.9\n");
}

#[test]
fn ttl_can_be_set_while_connecting_and_only_then() {
    let pair = Pair::new();
    let script = "sk = net.createConnection(net.TCP, 0)
        print(select(2, pcall(sk.ttl, sk)))
        sk:connect(80, '10.0.0.2')
        print(sk:ttl(), sk:ttl(1), sk:ttl(), sk:ttl(-1))
        print(select(2, pcall(function() sk:ttl(0) end)))
        print(select(2, pcall(function() sk:ttl(256) end)))
        print(select(2, pcall(function() sk:ttl('x') end)))
        sk:on('connection', function() print(sk:ttl(), sk:ttl(9)) sk:close() end)";
    let printed = pair.run_with(script, async {
        pair.answer(80).await;
    });
    let expected = "socket is not open/bound yet
64\t1\t1\t1
test.lua:5: bad argument #1 to 'ttl' (ttl 0 is not within 1-255)
test.lua:6: bad argument #1 to 'ttl' (ttl 256 is not within 1-255)
test.lua:7: bad argument #1 to 'ttl' (number expected, got string)
1\t9
";
    assert_eq!(printed, expected);
}

#[test]
fn ipv6_literals_and_names_are_addresses_too() {
    let net = crate::common::fake::Net::new();
    let (host, peer) = (net.host("fd00::1"), net.host("fd00::2"));
    let device = crate::common::Device::new(vec![(net_lua::Role::Eth, host.clone())]);
    let pair = Pair { net, device, host, peer };
    pair.net.name("six", Name::Is(v4("fd00::2")));
    for address in ["fd00::2", "six"] {
        let script = trace(&format!(
            "trace(sk, 'dns') sk:connect(80, '{address}', function() print(sk:getpeer()) sk:send('6') end)"
        ));
        let printed = pair.run_with(&script, async {
            assert_eq!(read_exact(&mut *pair.answer(80).await, 1).await, b"6");
        });
        assert_eq!(printed, "dns\ttrue\tfd00::2\n80\tfd00::2\n");
    }
}
