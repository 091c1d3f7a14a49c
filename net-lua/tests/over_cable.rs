//! Scripts on two of our own stacks, with a cable between them that may lose, delay and reorder, in virtual time.
#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests are tests
#![allow(clippy::large_futures)] // a test has more stack than a chip

#[path = "lua/common/mod.rs"]
mod common;

use std::cell::RefCell;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use common::{Device, finish, read, read_all, read_exact, sleep, write};
use embassy_futures::select::{Either, select};
use embassy_time::{Duration, Instant};
use net_core::Error;
use net_core::cable::{Cable, Quality};
use net_core::cidr::{Ipv4Inet, Ipv6Inet};
use net_core::dns::Resolver;
use net_core::stack::{self, Config, HeapResources, PoolSizes};
use net_lua::adapter::{Adapter, ConnectOptions, Stream};
use net_lua::{Exit, NetAdapter, Role};

/// A device at 10.0.0.1 and fd00::1, a peer that is driven from Rust at 10.0.0.2 and fd00::2.
struct World {
    cable: Cable,
    device: Rc<Device>,
    peer: Rc<dyn Adapter>,
    runners: RefCell<Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>>>,
}

const TCP_BUFFER: usize = 4096;

impl World {
    fn new(quality: Quality) -> Self {
        Self::with_sockets(quality, 64)
    }

    /// With so many TCP sockets on the device.
    fn with_sockets(quality: Quality, tcp: usize) -> Self {
        let cable = Cable::new(quality, 42);
        let mut runners: Vec<std::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        let mut host = |n: u8, tcp: usize| -> Rc<dyn Adapter> {
            let ipv4 = Ipv4Inet::new([10, 0, 0, n].into(), 24).unwrap();
            let ipv6 = Ipv6Inet::new([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)].into(), 64).unwrap();
            let sizes = PoolSizes { tcp, udp: 16, tcp_buffer: TCP_BUFFER, udp_buffer: 8192 };
            let resources = Box::leak(Box::new(HeapResources::growing(sizes)));
            let config = Config::new().with_ipv4(ipv4, None).with_ipv6(ipv6, None);
            let (stack, mut runner) = stack::new(cable.end(), config, resources, n.into()).unwrap();
            runners.push(Box::pin(async move {
                runner.run().await;
            }));
            Rc::new(NetAdapter::new(stack, Resolver::<_>::new(stack, n.into())))
        };
        let (adapter, peer) = (host(1, tcp), host(2, 256));
        Self { cable, device: Device::new(vec![(Role::Eth, adapter)]), peer, runners: RefCell::new(runners) }
    }

    /// Runs `test` while the stacks run.
    fn run<T>(&self, test: impl Future<Output = T>) -> T {
        let runners = self.runners.take().into_iter().map(virtual_time::own_task).collect();
        virtual_time::block_on(async {
            match select(virtual_time::join_all(runners), virtual_time::own_task(test)).await {
                Either::First(_) => unreachable!("runners never end"),
                Either::Second(output) => output,
            }
        })
    }

    /// Runs `script` beside `peer`, and a second longer; gives what it printed.
    fn run_with(&self, script: &str, peer: impl Future<Output = ()>) -> String {
        self.run(async {
            let runtime = self.device.runtime();
            let all = async {
                peer.await;
                sleep(1000).await;
                runtime.stop();
            };
            let script = virtual_time::own_task(runtime.run_chunk("test.lua", script.as_bytes(), &[]));
            let (exit, ()) = embassy_futures::join::join(script, all).await;
            assert!(matches!(exit, Exit::Stopped | Exit::Finished), "{exit:?}");
            runtime.shutdown().await;
        });
        assert_eq!(self.device.logged.take(), Vec::<String>::new());
        self.device.printed()
    }

    async fn dial(&self, remote: &str) -> Box<dyn Stream> {
        // The script may not listen yet.
        loop {
            match self.peer.connect(remote.parse().unwrap(), ConnectOptions::new()).await {
                Ok(stream) => return stream,
                Err(_) => sleep(10).await,
            }
        }
    }

    async fn answer(&self, local: &str) -> Box<dyn Stream> {
        let mut listener = self.peer.listen(local.parse().unwrap(), 8).await.unwrap();
        listener.accept().await.unwrap()
    }
}

fn lossy(per_mille: u32) -> Quality {
    let mut quality = Quality::PERFECT;
    quality.loss_per_mille = per_mille;
    quality.duplicate_per_mille = per_mille / 2;
    quality.reorder_per_mille = per_mille;
    quality.delay = Duration::from_millis(2);
    quality
}

const EXAMPLE: &str = r#"
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

#[test]
fn the_documents_server_answers_over_both_ip_versions() {
    let world = World::new(lossy(0));
    assert_eq!(
        world.run_with(EXAMPLE, async {
            let mut stream = world.dial("10.0.0.1:80").await;
            assert_eq!(read_exact(&mut *stream, 11).await, b"hello world");
            write(&mut *stream, b"thanks").await;
            assert_eq!(read_all(&mut *stream).await, b"");
        }),
        "thanks\n"
    );
    let world = World::new(lossy(0));
    let v6 = EXAMPLE.replace("listen(80,", "listen(80, '::',");
    assert_eq!(
        world.run_with(&v6, async {
            let mut stream = world.dial("[fd00::1]:80").await;
            assert_eq!(read_exact(&mut *stream, 11).await, b"hello world");
            write(&mut *stream, b"thanks").await;
            assert_eq!(read_all(&mut *stream).await, b"");
            // [::] takes both.
            assert_eq!(read_exact(&mut *world.dial("10.0.0.1:80").await, 11).await, b"hello world");
        }),
        "thanks\n"
    );
}

const ECHO: &str = "
net.createServer(net.TCP, 300):listen(7, function(client)
  local waiting = {}
  client:on('receive', function(sck, data)
    if #waiting > 0 or not pcall(sck.send, sck, data) then
      waiting[#waiting + 1] = data
      sck:hold()
    end
  end)
  client:on('sent', function(sck)
    while #waiting > 0 and pcall(sck.send, sck, waiting[1]) do table.remove(waiting, 1) end
    if #waiting == 0 then sck:unhold() end
  end)
  client:on('disconnection', function(_, code) print('end', code) end)
end)";

/// Sends `length` bytes to the device's echo, half-closes, and checks what comes back.
async fn echo(stream: &mut dyn Stream, length: usize) {
    let data: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
    let mut got = Vec::new();
    let (mut reader, mut writer) = stream.split();
    let send = async {
        let mut rest = &data[..];
        while !rest.is_empty() {
            let count = writer.write(rest).await.unwrap();
            rest = &rest[count..];
        }
        writer.finish().await.unwrap();
    };
    let receive = async {
        let mut buffer = [0; 1500];
        loop {
            match reader.read(&mut buffer).await.unwrap() {
                0 => break,
                n => got.extend_from_slice(&buffer[..n]),
            }
        }
    };
    embassy_futures::join::join(send, receive).await;
    assert_eq!(got.len(), data.len());
    assert!(got == data, "the bytes that came back are others");
}

#[test]
fn an_echo_is_identical_at_every_loss() {
    for (loss, length) in [(0, 1_000_000), (10, 300_000), (50, 100_000), (200, 20_000)] {
        let world = World::new(lossy(loss));
        let printed = world.run_with(ECHO, async {
            let mut stream = world.dial("10.0.0.1:7").await;
            echo(&mut *stream, length).await;
        });
        assert_eq!(printed, "end\t0\n", "{loss} per mille");
    }
}

#[test]
fn r6_twenty_sends_arrive_in_order_and_fire_sent_each_in_spite_of_loss() {
    let script = "sk = net.createConnection()
        n = 0
        sk:on('sent', function(s) n = n + 1 if n == 20 then print('all') end end)
        sk:on('disconnection', function(s, code) print('end', n, code) end)
        sk:connect(80, '10.0.0.2', function() for i = 1, 20 do sk:send(('%03d,'):format(i):rep(100)) end end)";
    for loss in [0, 100] {
        let world = World::new(lossy(loss));
        let printed = world.run_with(script, async {
            let mut stream = world.answer("10.0.0.2:80").await;
            let got = read_exact(&mut *stream, 8000).await;
            let expected: String = (1..=20).map(|i| format!("{i:03},").repeat(100)).collect();
            assert_eq!(String::from_utf8(got).unwrap(), expected);
            finish(&mut *stream).await;
            assert_eq!(read_all(&mut *stream).await, b"");
        });
        assert_eq!(printed, "all\nend\t20\t0\n");
    }
}

#[test]
fn r6_sent_comes_with_the_acknowledgement_not_before() {
    let mut far = Quality::PERFECT;
    far.delay = Duration::from_millis(300);
    let world = World::new(far);
    let script = "sk = net.createConnection()
        sk:connect(80, '10.0.0.2', function()
          local began = tmr.now()
          sk:send('x', function() print((tmr.now() - began) // 1000) end)
        end)";
    let printed = world.run_with(script, async {
        let mut stream = world.answer("10.0.0.2:80").await;
        assert_eq!(read(&mut *stream).await, b"x");
        sleep(1000).await;
    });
    let waited: u32 = printed.trim().parse().unwrap();
    assert!((600..900).contains(&waited), "{waited} ms");
}

#[test]
fn r5_refused_reset_and_timeout_have_their_codes() {
    let world = World::new(lossy(0));
    let script = "local function try(name, port, ip)
          local s = net.createConnection()
          s:on('reconnection', function(_, code) print(name, 're', code) end)
          s:on('disconnection', function(_, code) print(name, 'dis', code) end)
          s:connect(port, ip)
        end
        try('refused', 81, '10.0.0.2') try('reset', 80, '10.0.0.2') try('no route', 80, '192.0.2.1')
        tmr.create():alarm(5000, 0, function() try('nobody', 80, '10.0.0.77') end)";
    let printed = world.run_with(script, async {
        let mut stream = world.answer("10.0.0.2:80").await;
        sleep(10).await;
        stream.abort();
        sleep(120_000).await;
    });
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["no route\tre\t-4", "nobody\tre\t-8", "refused\tre\t-9", "reset\tre\t-9"]);
}

#[test]
fn r7_a_vanished_client_is_dropped_and_the_others_are_served() {
    let world = World::new(lossy(0));
    let script = "sv = net.createServer(net.TCP, 5)
        sv:listen(80, function(c)
          c:on('receive', function(s, d) s:send(d) end)
          c:on('disconnection', function(_, code) print(code) end)
        end)";
    let printed = world.run_with(script, async {
        let mut silent = world.dial("10.0.0.1:80").await;
        let mut lively = world.dial("10.0.0.1:80").await;
        for _ in 0..20 {
            write(&mut *lively, b"x").await;
            assert_eq!(read(&mut *lively).await, b"x");
            sleep(1000).await;
        }
        assert_eq!(silent.split().0.read(&mut [0]).await, Err(Error::Reset));
    });
    assert_eq!(printed, "-8\n0\n");
}

#[test]
fn r21_nothing_is_lost_before_the_handler_is_there_and_the_window_closes() {
    let world = World::new(lossy(0));
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          local n = 0
          tmr.create():alarm(1000, 0, function() c:on('receive', function(_, d) n = n + #d end) end)
          c:on('disconnection', function() print(n) end)
        end)";
    let printed = world.run_with(script, async {
        let mut stream = world.dial("10.0.0.1:80").await;
        let (_, mut writer) = stream.split();
        let mut taken = 0;
        let began = Instant::now();
        while taken < 100_000 {
            taken += writer.write(&vec![b'x'; 100_000 - taken]).await.unwrap();
            if began.elapsed().as_millis() < 900 {
                assert!(taken <= 5840 + 2 * TCP_BUFFER, "{taken}");
            }
        }
        assert!(began.elapsed().as_millis() >= 900);
    });
    assert_eq!(printed, "100000\n");
}

#[test]
fn hold_closes_the_window_on_the_wire_and_unhold_opens_it() {
    let world = World::new(lossy(20));
    let script = "sk = net.createConnection()
        local n = 0
        sk:on('receive', function(s, d) n = n + #d assert(#d <= 1460) end)
        sk:on('disconnection', function(s, code) print('end', n, code) end)
        sk:connect(80, '10.0.0.2', function()
          sk:hold()
          tmr.create():alarm(20000, 0, function() print(n) sk:unhold() end)
        end)";
    let printed = world.run_with(script, async {
        let mut stream = world.answer("10.0.0.2:80").await;
        let began = Instant::now();
        write(&mut *stream, &[b'x'; 50_000]).await;
        assert!(began.elapsed().as_secs() >= 19, "the peer was not blocked");
        finish(&mut *stream).await;
        assert_eq!(read_all(&mut *stream).await, b"");
    });
    assert_eq!(printed, "0\nend\t50000\t0\n");
}

#[test]
fn close_delivers_what_was_sent_in_spite_of_loss() {
    for loss in [0, 100] {
        let world = World::new(lossy(loss));
        let script = "sv = net.createServer()
            sv:listen(80, function(c) c:on('receive', function(s) s:send(('x'):rep(11680)) s:close() end) end)";
        world.run_with(script, async {
            for _ in 0..5 {
                let mut stream = world.dial("10.0.0.1:80").await;
                // More than the script reads before it closes.
                write(&mut *stream, &[b'?'; 3000]).await;
                assert_eq!(read_all(&mut *stream).await.len(), 11680);
            }
        });
    }
}

#[test]
fn the_end_of_a_script_waits_for_what_was_sent() {
    let mut slow = Quality::PERFECT;
    slow.delay = Duration::from_millis(100);
    let world = World::new(slow);
    let script = b"sk = net.createConnection() sk:connect(80, '10.0.0.2', function()
        sk:send(('x'):rep(11680)) sk:close() end)";
    world.run(async {
        let script = async {
            let runtime = world.device.runtime();
            let exit = runtime.run_chunk("t.lua", script, &[]).await;
            runtime.shutdown().await;
            assert_eq!(exit, Exit::Finished);
            // As if the process had ended: nothing more leaves the device.
            world.cable.set_filter(Box::new(|end, _| end != 0));
        };
        let peer = async { assert_eq!(read_all(&mut *world.answer("10.0.0.2:80").await).await.len(), 11680) };
        embassy_futures::join::join(script, peer).await;
    });
}

#[test]
fn a_hundred_reconnections_from_the_disconnection_handler() {
    let world = World::with_sockets(lossy(0), 8);
    let script = "local n = 0
        local sk = net.createConnection()
        sk:on('receive', function(s, d) assert(d == 'hello') n = n + 1 end)
        sk:on('disconnection', function(s, code)
          assert(code == 0, code)
          if n < 100 then s:connect(80, '10.0.0.2') else print(n) end
        end)
        sk:connect(80, '10.0.0.2')";
    let printed = world.run_with(script, async {
        let mut listener = world.peer.listen("10.0.0.2:80".parse().unwrap(), 8).await.unwrap();
        for _ in 0..100 {
            let mut stream = listener.accept().await.unwrap();
            write(&mut *stream, b"hello").await;
            finish(&mut *stream).await;
            assert_eq!(read_all(&mut *stream).await, b"");
        }
    });
    assert_eq!(printed, "100\n");
}

#[test]
fn sixty_four_clients_against_eight_sockets_are_all_served() {
    let world = World::with_sockets(lossy(0), 8);
    let script = "local n = 0
        sv = net.createServer(net.TCP, 30)
        sv:listen(80, function(c)
          c:on('receive', function(s, d) s:send('re: ' .. d, function() s:close() n = n + 1 if n == 64 then print('all') end end) end)
        end)";
    let printed = world.run_with(script, async {
        let clients = (0..64).map(|i| {
            let world = &world;
            async move {
                let mut stream =
                    world.peer.connect("10.0.0.1:80".parse().unwrap(), ConnectOptions::new()).await.unwrap();
                write(&mut *stream, format!("client {i}").as_bytes()).await;
                assert_eq!(read_all(&mut *stream).await, format!("re: client {i}").as_bytes());
            }
        });
        sleep(100).await;
        virtual_time::join_all(clients.collect()).await;
    });
    assert_eq!(printed, "all\n");
}

#[test]
fn a_server_can_close_and_listen_again_with_clients_connected() {
    let world = World::new(lossy(0));
    let script = "sv = net.createServer()
        local function accept(c)
          c:on('receive', function(s, d) s:send(d) if d == 'again' then sv:close() sv:listen(80, accept) end end)
        end
        sv:listen(80, accept)
        print(pcall(function() net.createServer():listen(80, print) end))";
    let printed = world.run_with(&script.replace("local function accept", "function accept"), async {
        let mut first = world.dial("10.0.0.1:80").await;
        for word in ["again", "more"] {
            write(&mut *first, word.as_bytes()).await;
            assert_eq!(read(&mut *first).await, word.as_bytes());
        }
        let mut second = world.dial("10.0.0.1:80").await;
        write(&mut *second, b"me too").await;
        assert_eq!(read(&mut *second).await, b"me too");
    });
    assert_eq!(printed, "false\ttest.lua:6: address in use\n");
}

#[test]
fn udp_echoes_reaches_broadcasts_and_groups_and_refuses_what_is_too_large() {
    let world = World::new(lossy(0));
    let script = "u = net.createUDPSocket()
        u:on('receive', function(s, data, port, ip) s:send(port, ip, 'echo: ' .. data) end)
        u:listen(5000)
        print(select(2, pcall(function() net.createUDPSocket():listen(5000) end)))
        net.multicastJoin('any', '239.1.2.3')
        print(select(2, pcall(function() u:send(9, '10.0.0.2', ('x'):rep(65508)) end)))
        print(select(2, pcall(function() u:send(9, '10.0.0.2', ('x'):rep(1473)) end)))
        tmr.create():alarm(100, 0, function()
          u:send(9, '10.0.0.2', ('x'):rep(1472)) u:send(9, '255.255.255.255', 'all') u:send(9, '10.0.0.255', 'subnet')
          local v = net.createUDPSocket() v:send(9, '10.0.0.2', 'last words') v:close()
        end)";
    let printed = world.run_with(script, async {
        let mut socket = world.peer.bind("0.0.0.0:9".parse().unwrap()).await.unwrap();
        let mut buffer = [0; 2000];
        let mut lengths = Vec::new();
        for _ in 0..4 {
            lengths.push(socket.receive(&mut buffer).await.unwrap().0);
        }
        // Broadcasts need no address resolution, and may so be the first.
        lengths.sort_unstable();
        assert_eq!(lengths, [3, 6, 10, 1472]);
        for to in ["10.0.0.1:5000", "239.1.2.3:5000"] {
            let to: SocketAddr = to.parse().unwrap();
            // Until the membership has been told, a datagram may pass the device by.
            socket.send(to, b"foo").await.unwrap();
            let (length, from) = socket.receive(&mut buffer).await.unwrap();
            assert_eq!((&buffer[..length], from), (&b"echo: foo"[..], "10.0.0.1:5000".parse().unwrap()));
        }
    });
    assert_eq!(
        printed,
        "test.lua:4: address in use\ntest.lua:6: cannot allocate message buffer\ntest.lua:7: cannot allocate message buffer\n"
    );
}

#[test]
fn udp_over_ipv6() {
    let world = World::new(lossy(0));
    let script = "u = net.createUDPSocket() u:send(9, 'fd00::2', 'six')
        u:on('receive', function(s, data, port, ip) print(data, port, ip) end)";
    let printed = world.run_with(script, async {
        let mut socket = world.peer.bind("[::]:9".parse().unwrap()).await.unwrap();
        let mut buffer = [0; 99];
        let (length, from) = socket.receive(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..length], b"six");
        socket.send(from, b"yes").await.unwrap();
        sleep(5000).await;
    });
    assert_eq!(printed, "yes\t9\tfd00::2\n");
}

/// Answers A queries for `www.example` with 10.0.0.2, after an alias, with a TTL of 0; other names do not exist.
async fn dns_server(peer: &Rc<dyn Adapter>) {
    let mut socket = peer.bind("10.0.0.2:53".parse().unwrap()).await.unwrap();
    let mut buffer = [0; 600];
    loop {
        let (length, from) = socket.receive(&mut buffer).await.unwrap();
        // The question ends with the root label, a type and a class.
        let name_end = 12 + buffer[12..length].iter().position(|byte| *byte == 0).unwrap() + 1;
        let name = buffer[12..name_end].to_ascii_lowercase();
        let is_a = buffer[name_end..name_end + 2] == [0, 1];
        let known = name == b"\x03www\x07example\0";
        let answers = if known && is_a { 2 } else { 0 };
        let mut reply = buffer[..2].to_vec();
        reply.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1, 0, answers, 0, 0, 0, 0]);
        reply.extend(&buffer[12..name_end + 4]);
        if answers > 0 {
            // CNAME real, then its address.
            reply.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\0\0\x06\x04real\0");
            reply.extend(b"\x04real\0\0\x01\0\x01\0\0\0\0\0\x04\x0a\0\0\x02");
        }
        socket.send(from, &reply).await.unwrap();
    }
}

#[test]
fn names_are_resolved_by_the_servers_that_a_script_has_set() {
    let world = World::new(lossy(0));
    let script = "print(net.dns.getdnsserver(0)) -- 208.67.222.222
        print(net.dns.getdnsserver(1)) -- nil
        net.dns.setdnsserver('10.0.0.99', 0) -- nobody is there
        net.dns.setdnsserver('10.0.0.2', 1)
        print(net.dns.getdnsserver(0), net.dns.getdnsserver(1))
        net.dns.resolve('www.example', function(sk, ip)
          print(sk, ip)
          net.dns.resolve('none.example', print)
          sk = net.createConnection()
          sk:on('dns', function(_, ip) print('dns', ip) end)
          sk:on('disconnection', function(_, code) print('end', code) end)
          sk:connect(80, 'www.example', function(s) print('connected', s:getpeer()) end)
          local n = 0
          for i = 1, 8 do net.dns.resolve('www.example', function(_, ip) n = n + 1 if n == 8 then print(n, ip) end end) end
        end)";
    let printed = world.run_with(script, async {
        select(dns_server(&world.peer), async {
            let mut stream = world.answer("10.0.0.2:80").await;
            sleep(5000).await;
            finish(&mut *stream).await;
        })
        .await;
    });
    let mut lines: Vec<&str> = printed.lines().skip(3).collect();
    lines.sort_unstable();
    assert!(printed.starts_with("208.67.222.222\nnil\n10.0.0.99\t10.0.0.2\n"), "{printed}");
    assert_eq!(
        lines,
        ["8\t10.0.0.2", "connected\t80\t10.0.0.2", "dns\t10.0.0.2", "end\t0", "nil\t10.0.0.2", "nil\tnil"]
    );
}

/// Answers A questions for `lamp.local` with 10.0.0.2 as RFC 6762 section 6.7 says, and others not at all.
async fn mdns_responder(peer: &Rc<dyn Adapter>) {
    peer.join_group([224, 0, 0, 251].into()).unwrap();
    let mut socket = peer.bind("0.0.0.0:5353".parse().unwrap()).await.unwrap();
    let mut buffer = [0; 600];
    loop {
        let (length, from) = socket.receive(&mut buffer).await.unwrap();
        if &buffer[12..length] == b"\x04lamp\x05local\0\0\x01\0\x01" {
            let mut reply = buffer[..length].to_vec();
            reply[2..8].copy_from_slice(&[0x84, 0, 0, 1, 0, 1]);
            reply.extend(b"\xc0\x0c\0\x01\0\x01\0\0\0\x0a\0\x04\x0a\0\0\x02");
            socket.send(from, &reply).await.unwrap();
        }
    }
}

#[test]
fn names_of_the_link_are_resolved_without_a_server() {
    let world = World::new(lossy(0));
    let script = "net.dns.resolve('lamp.local', function(sk, ip)
          print(sk, ip)
          net.dns.resolve('none.local', print)
          net.createConnection():connect(80, 'lamp.local', function(s) print('connected', s:getpeer()) s:close() end)
        end)";
    let printed = world.run_with(script, async {
        select(mdns_responder(&world.peer), async {
            assert_eq!(read_all(&mut *world.answer("10.0.0.2:80").await).await, b"");
            sleep(6000).await;
        })
        .await;
    });
    assert_eq!(printed, "nil\t10.0.0.2\nconnected\t80\t10.0.0.2\nnil\tnil\n");
}

#[test]
fn r8_a_server_set_by_hand_is_forgotten_when_the_link_goes_down() {
    let world = World::new(lossy(0));
    let script = "net.dns.setdnsserver('10.0.0.2', 0)
        print(net.dns.getdnsserver(0))
        tmr.create():alarm(2000, 0, function() print(net.dns.getdnsserver(0)) end)";
    let printed = world.run_with(script, async {
        sleep(100).await;
        world.cable.set_link(false);
        sleep(100).await;
        world.cable.set_link(true);
        sleep(3000).await;
    });
    assert_eq!(printed, "10.0.0.2\n208.67.222.222\n");
}

#[test]
fn r5b_a_name_that_nobody_resolves_ends_with_minus_6() {
    let world = World::new(lossy(0));
    let script = "net.dns.setdnsserver('10.0.0.99')
        sk = net.createConnection()
        sk:on('dns', function(_, ip) print('dns', ip) end)
        sk:on('reconnection', function(_, code) print('re', code, sk:getpeer()) end)
        sk:connect(80, 'www.example')";
    assert_eq!(world.run_with(script, sleep(30_000)), "dns\tnil\nre\t-6\tnil\tnil\n");
}

#[test]
fn ttl_is_on_the_wire() {
    let world = World::new(lossy(0));
    let seen: Rc<RefCell<Vec<u8>>> = Rc::default();
    let log = seen.clone();
    world.cable.set_filter(Box::new(move |end, frame| {
        if end == 0 && frame[12..14] == [8, 0] && frame[23] == 6 && frame[47] == 2 {
            assert_eq!(frame[22], 1, "the first segment goes no farther than the others");
        }
        let is_data = frame.len() > 54 && frame[12..14] == [8, 0] && frame[26..30] == [10, 0, 0, 1];
        if end == 0 && is_data && frame[frame.len() - 4..] == *b"data" {
            log.borrow_mut().push(frame[22]);
        }
        true
    }));
    let script = "sk = net.createConnection(net.TCP, 0)
        sk:connect(80, '10.0.0.2')
        sk:ttl(1) -- restrict frames to single subnet
        sk:on('connection', function() sk:send('data') end)
        sk:on('receive', function() sk:ttl(9) sk:send('data') end)
        u = net.createUDPSocket() u:listen(5) u:ttl(3) u:send(9, '10.0.0.2', 'long enough data')";
    world.run_with(script, async {
        let mut stream = world.answer("10.0.0.2:80").await;
        for _ in 0..2 {
            assert_eq!(read(&mut *stream).await, b"data");
            write(&mut *stream, b"x").await;
        }
    });
    let mut seen = seen.borrow().clone();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [1, 3, 9]);
    assert_eq!(IpAddr::from(Ipv4Addr::new(10, 0, 0, 1)).to_string(), "10.0.0.1");
}
