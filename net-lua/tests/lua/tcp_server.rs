//! Servers.

use embassy_time::{Duration, Instant};
use net_core::Error;
use net_lua::adapter::{Adapter, ConnectOptions};

use crate::common::{Pair, finish, read, read_all, read_exact, sleep, write};

fn fails(script: &str) -> String {
    Pair::new().run(&format!("local function try(f) print(select(2, pcall(f))) end\n{script}"))
}

#[test]
fn the_documents_example_answers_prints_and_closes() {
    let pair = Pair::new();
    let script = r#"
sv = net.createServer(net.TCP, 30)

function receiver(sck, data)
  print(data)
  sck:close()
end

if sv then
  sv:listen(80, function(conn)
    conn:on("receive", receiver)
    conn:send("hello world")
  end)
end"#;
    let printed = pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        assert_eq!(read_exact(&mut *stream, 11).await, b"hello world");
        write(&mut *stream, b"thanks").await;
        assert_eq!(read_all(&mut *stream).await, b"");
    });
    assert_eq!(printed, "thanks\n");
}

#[test]
fn the_documents_list_of_pieces_is_sent_piece_by_piece() {
    let pair = Pair::new();
    let script = r#"
srv = net.createServer(net.TCP)

function receiver(sck, data)
  local response = {}

  -- if you're sending back HTML over HTTP you'll want something like this instead
  -- local response = {"HTTP/1.0 200 OK\r\nServer: NodeMCU on ESP8266\r\nContent-Type: text/html\r\n\r\n"}

  response[#response + 1] = "lots of data"
  response[#response + 1] = "even more data"
  response[#response + 1] = "e.g. content read from a file"

  -- sends and removes the first element from the 'response' table
  local function send(localSocket)
    if #response > 0 then
      localSocket:send(table.remove(response, 1))
    else
      localSocket:close()
      response = nil
    end
  end

  -- triggers the send() function again once the first chunk of data was sent
  sck:on("sent", send)

  send(sck)
end

srv:listen(80, function(conn)
  conn:on("receive", receiver)
end)"#;
    pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        write(&mut *stream, b"GET / HTTP/1.0\r\n\r\n").await;
        assert_eq!(read_all(&mut *stream).await, b"lots of dataeven more datae.g. content read from a file");
    });
    assert!(pair.device.logged.borrow().is_empty(), "{:?}", pair.device.logged);
}

#[test]
fn the_accept_callback_comes_first_then_connection_then_data() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          print('accept', c:getpeer())
          print('local', c:getaddr())
          c:on('receive', function(s, d) print('receive', s == c, d) end)
          c:on('connection', function(s, ...) print('connection', s == c, ...) end)
          c:on('disconnection', function(s, code) print('disconnection', s == c, code) end)
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        write(&mut *stream, b"at once").await;
        finish(&mut *stream).await;
    });
    let expected = "accept\t49152\t10.0.0.2\nlocal\t80\t10.0.0.1\nconnection\ttrue\nreceive\ttrue\tat once\n\
        disconnection\ttrue\t0\n";
    assert_eq!(printed, expected);
}

#[test]
fn a_socket_can_be_closed_in_the_accept_callback() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          for _, e in ipairs{'connection', 'receive', 'disconnection'} do c:on(e, function() print(e) end) end
          c:send('bye') c:close() c:close()
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        write(&mut *stream, b"x").await;
        assert_eq!(read_all(&mut *stream).await, b"bye");
    });
    assert_eq!(printed, "");
    assert_eq!(pair.net.streams(), 0);
}

#[test]
fn an_error_in_the_accept_callback_leaves_the_server_and_the_socket() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c) c:on('receive', function(s, d) s:send(d) end) error('oh') end)";
    pair.run_with(script, async {
        for _ in 0..2 {
            let mut stream = pair.dial(80).await;
            write(&mut *stream, b"x").await;
            assert_eq!(read(&mut *stream).await, b"x");
        }
    });
    assert_eq!(pair.device.logged.borrow().len(), 2);
}

#[test]
fn r3_the_documents_close_of_a_server_that_does_not_listen_does_nothing() {
    assert_eq!(fails("sv = net.createServer(net.TCP, 30)\nsv:close() sv:close()"), "");
}

#[test]
fn listen_checks_its_arguments_in_order() {
    let script = "local sv = net.createServer()
        try(function() sv.listen(net.createConnection(), 80, print) end)
        try(function() sv:listen(80) end)
        try(function() sv:listen(80, 'x', print) end)
        try(function() sv:listen('host', print) end)
        try(function() sv:listen({}, print) end)
        try(function() sv:listen(80, {}, print) end)
        try(function() sv:listen(65536, print) end)
        try(function() sv:listen(-1, print) end)
        try(function() sv:listen(1.5, print) end)
        try(function() sv:listen(80, '10.9.9.9', print) end)
        print(sv:getaddr())
        sv:listen(80, print)
        try(function() sv:listen(81, print) end)
        try(function() sv:listen() end)
        local other = net.createServer()
        try(function() other:listen(80, print) end)
        other:listen(81, print)
        print(sv:getaddr()) print(other:getaddr())
        sv:close() other:close()
        print(sv:getaddr())
        other:listen(80, print) print(other:getaddr()) other:close()";
    let expected = "test.lua:3: invalid user data
test.lua:4: need callback
test.lua:5: invalid IP address
test.lua:6: invalid IP address
test.lua:7: bad argument #1 to 'listen' (number expected, got table)
test.lua:8: bad argument #2 to 'listen' (string expected, got table)
test.lua:9: bad argument #1 to 'listen' (port out of range)
test.lua:10: bad argument #1 to 'listen' (port out of range)
test.lua:11: bad argument #1 to 'listen' (number has no integer representation)
test.lua:12: address not available on this interface
nil\tnil
test.lua:15: already listening
test.lua:16: already listening
test.lua:18: address in use
80\t0.0.0.0
81\t0.0.0.0
nil\tnil
80\t0.0.0.0
";
    assert_eq!(fails(script), expected);
}

#[test]
fn port_and_address_may_be_left_out_in_every_way() {
    let script = "local function shape(...)
          local sv = net.createServer() sv:listen(...) local port, ip = sv:getaddr() print(port > 0, ip) sv:close()
        end
        shape(print) shape(nil, print) shape(nil, nil, print) shape(0, print) shape(80, nil, print)
        shape('80', print) shape('10.0.0.1', print) shape(nil, '10.0.0.1', print) shape(80, '10.0.0.1', print)";
    let any = "true\t0.0.0.0\n".repeat(6);
    assert_eq!(fails(script), any + &"true\t10.0.0.1\n".repeat(3));
}

#[test]
fn r9_a_first_number_that_is_no_type_is_a_timeout() {
    let script = "try(function() net.createServer(net.TCP, 0) end)
        try(function() net.createServer(net.TCP, 28801) end)
        try(function() net.createServer(99999) end)
        try(function() net.createServer('x') end)
        try(function() net.createServer(net.TCP, {}) end)
        local function class(...) return tostring((...)):match('^[%w.]+') end
        print(class(net.createServer(net.TCP, 28800)), class(net.createServer()), class(net.createServer(60)))
        print(class(net.createServer(net.UDP)), class(net.createServer(nil, 60)))";
    let expected = "test.lua:2: wrong arg type
test.lua:3: wrong arg type
test.lua:4: wrong arg type
test.lua:5: bad argument #1 to 'createServer' (number expected, got string)
test.lua:6: bad argument #2 to 'createServer' (number expected, got table)
net.server\tnet.server\tnet.server
net.udpsocket\tnet.server
";
    assert_eq!(fails(script), expected);
    // And it is the timeout.
    let pair = Pair::new();
    pair.run_with("net.createServer(5):listen(80, function() end)", async {
        let mut stream = pair.dial(80).await;
        let began = Instant::now();
        assert_eq!(stream.split().0.read(&mut [0]).await, Err(Error::Reset));
        assert_eq!(began.elapsed().as_secs(), 5);
    });
}

#[test]
fn close_frees_the_port_and_leaves_the_clients() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          c:on('receive', function(s, d) s:send(d:upper()) end)
          sv:close()
          print(sv:getaddr())
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        sleep(10).await;
        let refused = pair.peer.connect((pair.host.address, 80).into(), ConnectOptions::new()).await;
        assert_eq!(refused.err(), Some(Error::Refused));
        write(&mut *stream, b"still here").await;
        assert_eq!(read(&mut *stream).await, b"STILL HERE");
    });
    assert_eq!(printed, "nil\tnil\n");
}

#[test]
fn a_listening_server_lives_without_a_reference_and_keeps_the_script_running() {
    let pair = Pair::new();
    let script = "do
          local sv = net.createServer()
          sv:listen(80, function(c) c:on('receive', function(s, d) s:close() sv:close() end) end)
        end
        collectgarbage() collectgarbage()";
    let exit = virtual_time::block_on(async {
        let runtime = pair.device.runtime();
        let peer = async {
            sleep(60_000).await;
            write(&mut *pair.dial(80).await, b"x").await;
        };
        embassy_futures::join::join(runtime.run_chunk("t.lua", script.as_bytes(), &[]), peer).await.0
    });
    assert_eq!(exit, net_lua::Exit::Finished);
}

#[test]
fn many_clients_at_once_are_all_served() {
    let pair = Pair::new();
    let script = "local n = 0
        sv = net.createServer()
        sv:listen(80, function(c)
          c:on('receive', function(s, d) s:send('re: ' .. d) end)
          c:on('disconnection', function() n = n + 1 if n == 64 then sv:close() print('all') end end)
        end)";
    let printed = pair.run_with(script, async {
        let clients = (0..64).map(|i| {
            let pair = &pair;
            async move {
                let mut stream = pair.dial(80).await;
                sleep(100).await;
                write(&mut *stream, format!("client {i}").as_bytes()).await;
                assert_eq!(read(&mut *stream).await, format!("re: client {i}").as_bytes());
            }
        });
        virtual_time::join_all(clients.collect()).await;
    });
    assert_eq!(printed, "all\n");
    assert_eq!(pair.net.streams(), 0);
}

#[test]
fn two_thousand_connections_each_way_leak_nothing() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        local served, early = 0, nil
        local function used() collectgarbage() collectgarbage() return collectgarbage('count') end
        sv:listen(80, function(c)
          local state = {c}
          c:on('receive', function(s, d) state[2] = d s:send(d) end)
          c:on('disconnection', function()
            served = served + 1
            local back = net.createConnection()
            back:on('disconnection', function(s) state[3] = s end)
            back:connect(81, '10.0.0.2', function(s) s:send('x') end)
            if served == 200 then early = used() end
            if served == 2000 then print(used() - early < 4) end
          end)
        end)";
    let printed = pair.run_with(script, async {
        let mut listener = pair.peer.listen((pair.peer.address, 81).into(), 8).await.unwrap();
        for _ in 0..2000 {
            let mut stream = pair.dial(80).await;
            write(&mut *stream, b"ping").await;
            assert_eq!(read(&mut *stream).await, b"ping");
            drop(stream);
            let mut back = listener.accept().await.unwrap();
            assert_eq!(read(&mut *back).await, b"x");
        }
    });
    assert_eq!(printed, "true\n");
    assert_eq!(pair.net.streams(), 0);
    assert_eq!(std::rc::Rc::strong_count(&pair.device), 1);
}

const TIMEOUT: &str = "sv = net.createServer(net.TCP, 10)
    sv:listen(80, function(c)
      c:on('disconnection', function(s, code) print('disconnection', code, tmr.time()) end)
      c:on('receive', function() end)
      SETUP
    end)";

#[test]
fn r7_a_silent_client_is_dropped_with_minus_8() {
    let pair = Pair::new();
    let printed = pair.run_with(&TIMEOUT.replace("SETUP", ""), async {
        let mut stream = pair.dial(80).await;
        assert_eq!(stream.split().0.read(&mut [0]).await, Err(Error::Reset));
    });
    assert_eq!(printed, "disconnection\t-8\t10\n");
    let with_handler =
        TIMEOUT.replace("SETUP", "c:on('reconnection', function(_, code) print('reconnection', code) end)");
    let printed = pair.run_with(&with_handler, async {
        assert!(pair.dial(80).await.split().0.read(&mut [0]).await.is_err());
    });
    assert_eq!(printed, "reconnection\t-8\n");
}

#[test]
fn r7_a_trickling_client_is_kept() {
    let pair = Pair::new();
    let printed = pair.run_with(&TIMEOUT.replace("SETUP", ""), async {
        let mut stream = pair.dial(80).await;
        for _ in 0..10 {
            write(&mut *stream, b".").await;
            sleep(9000).await;
        }
    });
    assert_eq!(printed, "disconnection\t0\t90\n");
}

#[test]
fn r7_a_client_that_only_listens_is_kept() {
    let pair = Pair::new();
    let setup = "local n = 0
        tmr.create():alarm(9000, tmr.ALARM_AUTO, function(t) n = n + 1 c:send('tick') if n == 10 then t:stop() end end)";
    let printed = pair.run_with(&TIMEOUT.replace("SETUP", setup), async {
        let mut stream = pair.dial(80).await;
        assert_eq!(read_exact(&mut *stream, 40).await.len(), 40);
        assert_eq!(Instant::now().as_secs(), 90);
    });
    assert_eq!(printed, "disconnection\t0\t90\n");
}

#[test]
fn r7_a_client_that_is_held_back_is_not_silent() {
    let pair = Pair::new();
    let setup = "c:hold() tmr.create():alarm(60000, 0, function() print('unhold') c:unhold() end)";
    let printed = pair.run_with(&TIMEOUT.replace("SETUP", setup), async {
        let mut stream = pair.dial(80).await;
        write(&mut *stream, b"x").await;
        assert!(stream.split().0.read(&mut [0]).await.is_err());
    });
    assert_eq!(printed, "unhold\ndisconnection\t-8\t70\n");
}

#[test]
fn a_listening_server_can_use_ipv6() {
    let net = crate::common::fake::Net::new();
    let (host, peer) = (net.host("fd00::1"), net.host("fd00::2"));
    let device = crate::common::Device::new(vec![(net_lua::Role::Eth, host.clone())]);
    let pair = Pair { net, device, host, peer };
    let script =
        "sv = net.createServer() sv:listen(80, '::', function(c) print(c:getaddr()) c:send('six') c:close() end)
        print(sv:getaddr())";
    let printed = pair.run_with(script, async {
        assert_eq!(read_all(&mut *pair.dial(80).await).await, b"six");
    });
    assert_eq!(printed, "80\t::\n80\tfd00::1\n");
}

#[test]
fn a_server_listens_on_every_network_of_the_device() {
    let net = crate::common::fake::Net::new();
    let (first, second) = (net.host("10.0.0.1"), net.host("10.0.1.1"));
    let (peer, other) = (net.host("10.0.0.2"), net.host("10.0.1.2"));
    let adapters: Vec<(net_lua::Role, std::rc::Rc<dyn Adapter>)> =
        vec![(net_lua::Role::Sta, first.clone()), (net_lua::Role::Ap, second.clone())];
    let device = crate::common::Device::new(adapters);
    let pair = Pair { net, device, host: first, peer };
    let script = "sv = net.createServer()
        sv:listen(function(c) local _, ip = c:getaddr() print(ip) c:close() end)
        port = sv:getaddr()
        u = net.createUDPSocket()
        u:on('receive', function(s, d, port, ip) print(d, ip) s:send(port, ip, 'from ' .. ip) end)
        u:listen(5)
        for _, host in ipairs{'10.0.0.2', '10.0.1.2'} do
          local c = net.createConnection() c:connect(80, host, function(s) print(select(2, s:getaddr())) s:close() end)
        end";
    let printed = pair.run_with(script, async {
        let mut a = pair.peer.listen((pair.peer.address, 80).into(), 1).await.unwrap();
        let mut b = other.listen((other.address, 80).into(), 1).await.unwrap();
        a.accept().await.unwrap();
        b.accept().await.unwrap();
        for (from, to) in [(&pair.peer, pair.host.address), (&other, second.address)] {
            // The fake network hands out 49152 and up; the two clients had the ports after the server's.
            drop(from.connect((to, 49152).into(), ConnectOptions::new()).await.unwrap());
            let mut udp = from.bind("0.0.0.0:9".parse().unwrap()).await.unwrap();
            udp.send((to, 5).into(), b"hi").await.unwrap();
            let mut buffer = [0; 99];
            let (length, sender) = udp.receive(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], format!("from {}", from.address).as_bytes());
            assert_eq!(sender, (to, 5).into());
            sleep(10).await;
        }
    });
    assert_eq!(printed, "10.0.0.1\n10.0.1.1\n10.0.0.1\nhi\t10.0.0.2\n10.0.1.1\nhi\t10.0.1.2\n");
}

#[test]
fn shutdown_closes_everything_in_order() {
    let pair = Pair::new();
    virtual_time::block_on(async {
        let runtime = pair.device.runtime();
        let script = b"sv = net.createServer() sv:listen(80, function(c) c:send(('x'):rep(9000)) end)";
        let peer = async {
            let mut stream = pair.dial(80).await;
            runtime.stop();
            sleep(100).await;
            assert_eq!(read_all(&mut *stream).await.len(), 9000);
        };
        let device = async {
            assert_eq!(runtime.run_chunk("t.lua", script, &[]).await, net_lua::Exit::Stopped);
            runtime.shutdown().await;
        };
        embassy_futures::join::join(device, peer).await;
        assert_eq!(pair.net.streams(), 0);
        assert!(pair.peer.connect((pair.host.address, 80).into(), ConnectOptions::new()).await.is_err());
    });
    // A peer that reads nothing does not hold it up for long.
    virtual_time::block_on(async {
        let runtime = pair.device.runtime();
        let script = b"sv = net.createServer() sv:listen(80, function(c) c:send(('x'):rep(9000)) end)";
        embassy_futures::select::select(runtime.run_chunk("t.lua", script, &[]), async {
            std::mem::forget(pair.dial(80).await);
            sleep(10).await;
        })
        .await;
        let began = Instant::now();
        runtime.shutdown().await;
        assert_eq!(began.elapsed(), Duration::from_secs(5));
    });
}
