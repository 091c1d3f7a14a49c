//! Names, constructors, handlers: what is left of the module.

use std::net::IpAddr;

use embassy_time::{Duration, Instant};
use net_core::events::Event;

use crate::common::Pair;
use crate::common::fake::Name;

fn pair_with_names() -> Pair {
    let pair = Pair::new();
    let one = |address: &str| Name::Is(vec![address.parse::<IpAddr>().unwrap()]);
    pair.net.name("www.google.com", one("10.0.0.7"));
    pair.net.name("six", one("fd00::7"));
    pair.net.name("mute", Name::Silence(Duration::from_secs(7)));
    pair
}

#[test]
fn the_documents_resolve_prints_or_fails() {
    let script = r#"
net.dns.resolve("www.google.com", function(sk, ip)
    if (ip == nil) then print("DNS fail!") else print(ip) end
end)"#;
    assert_eq!(pair_with_names().run(script), "10.0.0.7\n");
    assert_eq!(Pair::new().run(script), "DNS fail!\n");
}

#[test]
fn resolve_gives_nil_and_the_address() {
    let script =
        "net.dns.resolve('www.google.com', print) net.dns.resolve('six', print) net.dns.resolve('1.2.3.4', print)
        net.dns.resolve('::1', print) net.dns.resolve('none', print) print('first')";
    assert_eq!(pair_with_names().run(script), "first\nnil\t1.2.3.4\nnil\t::1\nnil\t10.0.0.7\nnil\tfd00::7\nnil\tnil\n");
}

#[test]
fn a_lookup_that_nobody_answers_ends() {
    let began = Instant::now();
    assert_eq!(pair_with_names().run("net.dns.resolve('mute', print)"), "nil\tnil\n");
    assert_eq!(began.elapsed().as_secs(), 7);
}

#[test]
fn eight_lookups_at_once_are_answered_and_more_than_sixteen_refused() {
    let script = "local n = 0
        for i = 1, 8 do net.dns.resolve('www.google.com', function(_, ip) n = n + (ip == '10.0.0.7' and 1 or 0) end) end
        tmr.create():alarm(100, 0, function()
          print(n)
          for i = 1, 16 do net.dns.resolve('mute', function() end) end
          print(select(2, pcall(net.dns.resolve, 'mute', print)))
          -- A literal takes no place.
          net.dns.resolve('1.2.3.4', print)
        end)
        tmr.create():alarm(10000, 0, function() net.dns.resolve('six', print) end)";
    assert_eq!(pair_with_names().run(script), "8\nout of memory\nnil\t1.2.3.4\nnil\tfd00::7\n");
}

#[test]
fn names_are_checked() {
    let script = "local function try(f) print(select(2, pcall(f))) end
        try(function() net.dns.resolve('', print) end)
        try(function() net.dns.resolve(('x'):rep(256), print) end)
        try(function() net.dns.resolve('x') end)
        try(function() net.dns.resolve({}, print) end)
        local sk, u = net.createConnection(), net.createUDPSocket()
        try(function() sk:dns('x') end)
        try(function() u:dns('x') end)
        try(function() sk:dns('x', 5) end)
        try(function() sk:dns() end)
        try(function() sk:dns('', print) end)
        try(function() sk.dns(u, 'x', print) end)";
    let expected = "test.lua:2: illegal argument
test.lua:3: illegal argument
test.lua:4: bad argument #2 to 'resolve' (function expected, got no value)
test.lua:5: bad argument #1 to 'resolve' (string expected, got table)
test.lua:7: no callback specified
test.lua:8: no callback specified
test.lua:9: bad argument #2 to 'dns' (function expected, got number)
test.lua:10: bad argument #1 to 'dns' (string expected, got no value)
test.lua:11: illegal argument
test.lua:12: invalid user data
";
    assert_eq!(Pair::new().run(script), expected);
}

#[test]
fn sockets_of_both_kinds_resolve_with_the_dns_handler() {
    let script = "sk, u = net.createConnection(), net.createUDPSocket()
        sk:on('dns', function(s, ip) print('sk', s == sk, ip) end)
        sk:dns('www.google.com')
        u:dns('none', function(s, ip) print('u', s == u, ip) end)
        sk:close() u:close()";
    assert_eq!(pair_with_names().run(script), "sk\ttrue\t10.0.0.7\nu\ttrue\tnil\n");
}

#[test]
fn dns_servers_are_set_and_got_and_checked() {
    let script = "local function try(f) print(select(2, pcall(f))) end
        print(net.dns.getdnsserver(1))
        net.dns.setdnsserver('8.8.8.8', 0)
        net.dns.setdnsserver('192.168.1.252', 1)
        print(net.dns.getdnsserver(0)) -- 8.8.8.8
        print(net.dns.getdnsserver(1)) -- 192.168.1.252
        net.dns.setdnsserver('9.9.9.9') print(net.dns.getdnsserver())
        try(function() net.dns.setdnsserver('8.8.8.8', 2) end)
        try(function() net.dns.getdnsserver(2) end)
        try(function() net.dns.getdnsserver(-1) end)
        try(function() net.dns.setdnsserver('name', 0) end)
        try(function() net.dns.setdnsserver('0.0.0.0', 0) end)
        try(function() net.dns.setdnsserver('255.255.255.255', 0) end)
        try(function() net.dns.setdnsserver({}, 0) end)";
    let expected = "nil\n8.8.8.8\n192.168.1.252\n9.9.9.9
test.lua:8: server index out of range [0-1]
test.lua:9: server index out of range [0-1]
test.lua:10: server index out of range [0-1]
test.lua:11: invalid dns server ip
test.lua:12: invalid dns server ip
test.lua:13: invalid dns server ip
test.lua:14: bad argument #1 to 'setdnsserver' (string expected, got table)
";
    assert_eq!(Pair::new().run(script), expected);
}

#[test]
fn constructors_check_their_type() {
    let script = "local function class(...) return tostring((...)):match('^[%w.]+') end
        print(class(net.createConnection()), class(net.createConnection(net.TCP, 0)), class(net.createConnection(net.UDP)))
        print(class(net.createConnection(net.TCP, false)), class(net.createUDPSocket()))
        print(select(2, pcall(net.createConnection, 5)))
        print(select(2, pcall(net.createConnection, 'x')))
        print(select(2, pcall(net.createConnection, net.TCP, 1)))
        print(select(2, pcall(net.createConnection, net.TCP, 'x')))
        print(math.type(net.TCP), math.type(net.UDP), net.TCP ~= net.UDP)";
    let expected = "net.socket\tnet.socket\tnet.udpsocket
net.socket\tnet.udpsocket
invalid type
bad argument #1 to 'createConnection' (number expected, got string)
secure connections not enabled
bad argument #2 to 'createConnection' (number expected, got string)
integer\tinteger\ttrue
";
    assert_eq!(Pair::new().run(script), expected);
}

#[test]
fn objects_have_the_methods_of_the_document_and_no_others() {
    let script =
        "local function has(o, names) for n in names:gmatch('%w+') do assert(type(o[n]) == 'function', n) end end
        has(net.createServer(), 'listen getaddr close')
        has(net.createConnection(), 'connect close on send hold unhold dns ttl getpeer getaddr')
        has(net.createUDPSocket(), 'listen close on send dns ttl getaddr connect getpeer')
        print(net.createServer().send, net.createConnection().listen)
        print(select(2, pcall(function() net.createServer():getpeer() end)))
        print(getmetatable(net.createServer()))";
    assert_eq!(
        Pair::new().run(script),
        "nil\tnil\ntest.lua:6: attempt to call a nil value (method 'getpeer')\nfalse\n"
    );
}

#[test]
fn on_checks_its_arguments_and_nil_removes() {
    let script = "local sk = net.createConnection()
        local function try(f) print(select(2, pcall(f))) end
        try(function() sk:on('nothing', print) end)
        try(function() sk:on('receive', 5) end)
        try(function() sk:on(nil, print) end)
        try(function() sk.on(net.createUDPSocket(), 'receive', print) end)
        sk:on('disconnection', print)
        sk:on('disconnection')
        sk:on('reconnection', print)
        sk:on('reconnection', nil)
        sk:connect(80, '10.0.0.2')";
    let expected = "test.lua:3: invalid callback name
test.lua:4: invalid callback function
test.lua:5: bad argument #1 to 'on' (string expected, got nil)
test.lua:6: invalid user data
";
    assert_eq!(Pair::new().run(script), expected);
}

#[test]
fn r24_an_error_in_a_socket_s_callback_leaves_the_socket_open() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        local n = 0
        sk:on('receive', function(s, d) n = n + 1 if n == 1 then error('oh') end print(d) end)
        sk:connect(80, '10.0.0.2')";
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        for text in ["one", "two"] {
            crate::common::write(&mut *stream, text.as_bytes()).await;
            crate::common::sleep(10).await;
        }
    });
    assert_eq!(printed, "two\n");
    assert!(pair.device.logged.borrow()[0].contains("test.lua:3: oh\nstack traceback:"));
}

#[test]
fn ifinfo_tells_what_an_interface_is() {
    let pair = Pair::new();
    pair.host.status.borrow_mut().hardware_address = Some([2, 0, 0, 0, 0, 0x1f]);
    let script = "local i = net.ifinfo(0) print(i.name, i.hwaddr, i.ip, i.netmask, i.gateway) print(net.ifinfo(1), net.ifinfo(-1))";
    assert_eq!(pair.run(script), "eth\t02:00:00:00:00:1f\t10.0.0.1\t255.255.255.0\tnil\nnil\tnil\n");
    pair.host.tell(Event::LinkUp);
}
