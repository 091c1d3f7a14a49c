//! Sending, receiving, holding.

use embassy_time::Instant;

use crate::common::fake::WINDOW;
use crate::common::{Pair, finish, read, read_all, read_exact, sleep, write};

const CONNECT: &str = "
sk = net.createConnection()
sk:on('disconnection', function(s, code) print('end', code) end)
sk:connect(80, '10.0.0.2')
";

fn connected(script: &str) -> String {
    format!("{CONNECT}sk:on('connection', function()\n{script} end)")
}

#[test]
fn r6_twenty_sends_arrive_in_order_and_fire_sent_each() {
    let pair = Pair::new();
    let script = connected(
        "n = 0
        sk:on('sent', function(s) assert(s == sk) n = n + 1 if n == 20 then print('all') end end)
        for i = 1, 20 do sk:send(('%03d,'):format(i):rep(100)) end",
    );
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        let got = read_exact(&mut *stream, 8000).await;
        let expected: String = (1..=20).map(|i| format!("{i:03},").repeat(100)).collect();
        assert_eq!(String::from_utf8(got).unwrap(), expected);
    });
    assert_eq!(printed, "all\nend\t0\n");
}

#[test]
fn r6_a_send_that_does_not_fit_raises_out_of_memory_and_queues_nothing() {
    let pair = Pair::new();
    let script = connected(
        "print(pcall(sk.send, sk, ('x'):rep(11681)))
        sk:send(('a'):rep(11680))
        print(pcall(function() sk:send('b') end))
        sk:on('sent', function() sk:on('sent', nil) sk:send('c') print('again') end)",
    );
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        // Only so much is on its way while nobody reads.
        sleep(1000).await;
        let got = read_exact(&mut *stream, 11681).await;
        assert_eq!(got.iter().filter(|byte| **byte == b'a').count(), 11680);
        assert_eq!(got.last(), Some(&b'c'));
    });
    assert_eq!(printed, "false\tout of memory\nfalse\ttest.lua:8: out of memory\nagain\nend\t0\n");
}

#[test]
fn r6_sent_waits_for_the_acknowledgement() {
    let pair = Pair::new();
    let script = connected("sk:send(('x'):rep(10000), function() print('sent', tmr.now() > 900000) end)");
    pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        sleep(1000).await;
        assert_eq!(pair.device.printed(), "");
        read_exact(&mut *stream, 10000).await;
        sleep(1).await;
        assert_eq!(pair.device.printed(), "sent\ttrue\n");
    });
}

#[test]
fn the_documents_nested_sends_print_each_piece_once() {
    let pair = Pair::new();
    let script = r#"
srv = net.createServer(net.TCP)
srv:listen(80, function(sck)
  sck:send("header", function()
      local data1 = "some large chunk of dynamically loaded data"
      sck:send(data1, function()
          local data2 = "even more dynamically loaded data"
          sck:send(data2, function(sk)
              sk:close()
          end)
      end)
  end)
end)"#;
    pair.run_with(script, async {
        let got = read_all(&mut *pair.dial(80).await).await;
        assert_eq!(got, b"headersome large chunk of dynamically loaded dataeven more dynamically loaded data");
    });
}

#[test]
fn send_checks_its_arguments() {
    let script = "local sk = net.createConnection()
        local function try(f) print(select(2, pcall(f))) end
        try(function() sk:send('x') end)
        try(function() sk:send() end)
        try(function() sk:send('') end)
        try(function() sk:send({}) end)
        try(function() sk:send('x', 'y') end)
        try(function() net.createConnection().send(net.createServer(), 'x') end)
        sk:connect(80, 'nowhere')
        try(function() sk:send('x') end)
        net.profile = 'gen2'
        try(function() sk:send(('x'):rep(1461)) end)";
    let expected = "test.lua:3: not connected
test.lua:4: no data to send
test.lua:5: no data to send
test.lua:6: bad argument #1 to 'send' (string expected, got table)
test.lua:7: bad argument #2 to 'send' (function expected, got string)
test.lua:8: invalid user data
test.lua:10: not connected
test.lua:12: need <1460 payload
";
    assert_eq!(Pair::new().run(script), expected);
}

#[test]
fn sends_are_raised_after_the_end() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        sk:on('disconnection', function(s) print(pcall(s.send, s, 'x')) s:close() end)
        sk:connect(80, '10.0.0.2')";
    assert_eq!(pair.run(script), "false\tnot connected\n");
}

#[test]
fn numbers_and_binary_data_can_be_sent() {
    let pair = Pair::new();
    pair.run_with(&connected("sk:send(42) sk:send('\\0\\255\\0')"), async {
        assert_eq!(read_exact(&mut *pair.answer(80).await, 5).await, b"42\0\xff\0");
    });
}

#[test]
fn everything_is_received_in_pieces_of_at_most_1460() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        local total, longest, sum = 0, 0, 0
        sk:on('receive', function(s, d)
          total, longest = total + #d, math.max(longest, #d)
          for i = 1, #d do sum = (sum * 31 + d:byte(i)) % 1000003 end
        end)
        sk:on('disconnection', function() print(total, longest, sum) end)
        sk:connect(80, '10.0.0.2')";
    let data: Vec<u8> = (0..65536u32).map(|i| (i % 251) as u8).collect();
    let sum = data.iter().fold(0u32, |sum, byte| (sum * 31 + u32::from(*byte)) % 1_000_003);
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        write(&mut *stream, &data[..1]).await;
        sleep(10).await;
        write(&mut *stream, &data[1..]).await;
        finish(&mut *stream).await;
    });
    assert_eq!(printed, format!("65536\t1460\t{sum}\n"));
}

#[test]
fn a_hundred_kilobytes_each_way_at_once() {
    let pair = Pair::new();
    // Sends back what it gets, holding the peer off while its own queue is full.
    let script = "sv = net.createServer(net.TCP, 30)
        sv:listen(7, function(c)
          local waiting = {}
          local function pump()
            while waiting[1] and pcall(c.send, c, waiting[1]) do table.remove(waiting, 1) end
            if #waiting > 4 then c:hold() else c:unhold() end
          end
          c:on('receive', function(_, d) waiting[#waiting + 1] = d pump() end)
          c:on('sent', pump)
        end)";
    pair.run_with(script, async {
        let mut stream = pair.dial(7).await;
        let data: Vec<u8> = (0..100_000u32).map(|i| (i * 7 % 253) as u8).collect();
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
            let mut buffer = [0; 999];
            loop {
                match reader.read(&mut buffer).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&buffer[..n]),
                }
            }
        };
        embassy_futures::join::join(send, receive).await;
        assert_eq!(got.len(), data.len());
        assert!(got == data);
    });
}

#[test]
fn r21_data_waits_for_its_handler_and_the_peer_with_it() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          tmr.create():alarm(1000, 0, function()
            local n = 0
            c:on('receive', function(_, d) n = n + #d print(n) end)
          end)
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        let data = [b'x'; 40_000];
        let began = Instant::now();
        let mut taken = 0;
        let (_, mut writer) = stream.split();
        while taken < data.len() {
            let count = writer.write(&data[taken..]).await.unwrap();
            taken += count;
            if began.elapsed().as_millis() < 1000 {
                // A window in the script's half of the stack, a window in ours, and what we keep for sending.
                assert!(taken <= 5840 + WINDOW + 2048, "{taken} bytes taken with nobody to read them");
            }
        }
        assert!(began.elapsed().as_millis() >= 999);
        writer.flush().await.unwrap();
    });
    assert!(printed.ends_with("\n40000\n"), "{printed}");
}

#[test]
fn r21_the_last_words_wait_for_a_handler_too_but_not_forever() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          c:on('disconnection', function(_, code) print('end', code) end)
          tmr.create():alarm(DELAY, 0, function() c:on('receive', function(_, d) print(d) end) end)
        end)";
    let peer = async || {
        let mut stream = pair.dial(80).await;
        write(&mut *stream, b"last words").await;
        drop(stream);
        sleep(4000).await;
    };
    assert_eq!(pair.run_with(&script.replace("DELAY", "1000"), peer()), "last words\nend\t0\n");
    assert_eq!(pair.run_with(&script.replace("DELAY", "3000"), peer()), "end\t0\n");
}

#[test]
fn a_removed_handler_is_no_handler() {
    let pair = Pair::new();
    let script = connected(
        "sk:on('receive', function(s, d) print(d) s:on('receive', nil)
          tmr.create():alarm(100, 0, function() s:on('receive', function(_, d) print('then ' .. d) end) end)
        end)",
    );
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        write(&mut *stream, b"one").await;
        sleep(50).await;
        write(&mut *stream, b"two").await;
        sleep(100).await;
    });
    assert_eq!(printed, "one\nthen two\nend\t0\n");
}

#[test]
fn hold_blocks_the_peer_after_a_window_and_unhold_lets_it_go_on() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        local n, held = 0, 0
        sk:on('receive', function(s, d) n = n + #d end)
        sk:on('disconnection', function(s, code) print('end', n, code) end)
        sk:connect(80, '10.0.0.2', function()
          sk:hold() sk:hold()
          tmr.create():alarm(1000, 0, function() print(n) sk:unhold() sk:unhold() end)
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.answer(80).await;
        let began = Instant::now();
        write(&mut *stream, &[b'x'; 30_000]).await;
        assert!(began.elapsed().as_millis() >= 990, "the peer was not blocked");
        finish(&mut *stream).await;
    });
    assert_eq!(printed, "0\nend\t30000\t0\n");
}

#[test]
fn a_connection_that_fails_while_held_or_without_a_handler_ends() {
    for (receive, data) in [
        ("sk:on('receive', print) sk:hold()", &b""[..]),
        ("sk:on('receive', print) sk:hold()", b"x"),
        ("", &[0; 10_000]),
    ] {
        let pair = Pair::new();
        let printed = pair.run_with(&connected(receive), async {
            let mut stream = pair.answer(80).await;
            let _ = embassy_futures::select::select(write(&mut *stream, data), sleep(5000)).await;
            stream.abort();
            sleep(2000).await;
        });
        assert_eq!(printed, "end\t-9\n");
    }
}

#[test]
fn r23_hold_does_not_outlive_the_connection_and_close_works_while_held() {
    let pair = Pair::new();
    let script = "sk = net.createConnection()
        sk:hold() sk:unhold()
        local n = 0
        sk:on('receive', function(s, d) print(d) s:close() end)
        sk:on('connection', function()
          n = n + 1
          if n == 1 then
            sk:hold() sk:close()
            tmr.create():alarm(100, 0, function() sk:connect(80, '10.0.0.2') end)
          end
        end)
        sk:connect(80, '10.0.0.2')
        print(select(2, pcall(sk.hold, net.createServer())), select(2, pcall(sk.unhold, nil)))";
    let printed = pair.run_with(script, async {
        for _ in 0..2 {
            let mut stream = pair.answer(80).await;
            let _ = stream.split().1.write(b"x").await;
            read_all(&mut *stream).await;
        }
    });
    assert_eq!(printed, "invalid user data\tinvalid user data\nx\n");
}

#[test]
fn all_data_comes_before_the_end_also_when_held() {
    let pair = Pair::new();
    let script = connected(
        "sk:on('receive', function(s, d) print(#d) s:hold() tmr.create():alarm(10, 0, function() s:unhold() end) end)",
    );
    let printed = pair.run_with(&script, async {
        let mut stream = pair.answer(80).await;
        write(&mut *stream, &[0; 4000]).await;
    });
    assert_eq!(printed, "1460\n1460\n1080\nend\t0\n");
}

#[test]
fn a_peer_that_has_closed_its_half_still_gets_what_is_being_sent() {
    let pair = Pair::new();
    let script = "sv = net.createServer()
        sv:listen(80, function(c)
          local n = 0
          local function more(s) n = n + 1 if n <= 20 then s:send(('x'):rep(5000)) else s:close() end end
          c:on('receive', function(s) s:on('sent', more) more(s) end)
          c:on('disconnection', function() print('cut off', n) end)
        end)";
    let printed = pair.run_with(script, async {
        let mut stream = pair.dial(80).await;
        write(&mut *stream, b"GET").await;
        finish(&mut *stream).await;
        assert_eq!(read_all(&mut *stream).await.len(), 100_000);
    });
    assert_eq!(printed, "");
}

#[test]
fn a_flood_on_one_socket_starves_neither_timers_nor_others() {
    let pair = Pair::new();
    let script = "local flood, other, ticks = 0, 0, 0
        sv = net.createServer()
        sv:listen(80, function(c)
          c:on('receive', function(_, d) if #d == 1 then other = other + 1 c:send('y') else flood = flood + #d end end)
        end)
        tmr.create():alarm(10, tmr.ALARM_AUTO, function(t)
          ticks = ticks + 1
          if ticks == 20 then t:stop() print(flood > 20 * 1460, other) end
        end)";
    let printed = pair.run_with(script, async {
        let mut flood = pair.dial(80).await;
        let mut other = pair.dial(80).await;
        let (_, mut writer) = flood.split();
        let flooding = async {
            // Always more than the device reads in a turn.
            for _ in 0..300 {
                for _ in 0..8 {
                    writer.write(&[b'x'; 2000]).await.unwrap();
                }
                sleep(1).await;
            }
        };
        let asking = async {
            for _ in 0..10 {
                let asked = Instant::now();
                write(&mut *other, b"x").await;
                assert_eq!(read(&mut *other).await, b"y");
                assert_eq!(asked.elapsed().as_millis(), 0);
                sleep(5).await;
            }
        };
        embassy_futures::join::join(flooding, asking).await;
    });
    assert_eq!(printed, "true\t10\n");
}
