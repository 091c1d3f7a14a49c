//! Real clients, and many of them, are served by Lua scripts.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Barrier;
use std::thread;

use lunet_tests::{Device, Namespace, accept, expect_data, have, read_all, read_until, send_data};

/// Answers a request's first line with its own text, then closes.
const ECHO_LINE: &str = r#"
net.createServer(net.TCP, 60):listen(80, "::", function(client)
  local request = ""
  client:on("receive", function(sck, data)
    request = request .. data
    local line = request:match("^(.-)\r?\n")
    if line then
      sck:send("you said: " .. line .. "\n", function() sck:close() end)
    end
  end)
end)
print("ready")
"#;

#[test]
fn ping() {
    if !have(&["ping"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::script(ECHO_LINE).start(&namespace);
    device.wait_for("ready");
    for address in [Device::ADDRESS, Device::ADDRESS_V6] {
        for size in ["56", "1400"] {
            let out = namespace.run("ping", &["-c", "5", "-i", "0.01", "-W", "60", "-s", size, address]).ok();
            assert!(out.contains(" 0% packet loss"), "{out}");
        }
    }
}

#[test]
fn curl_and_nc_over_both_ip_versions() {
    if !have(&["curl", "nc"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::script(ECHO_LINE).start(&namespace);
    device.wait_for("ready");
    for (url, address) in [("10.0.0.2", "10.0.0.2"), ("[fd00:10::2]", "fd00:10::2")] {
        let url = format!("http://{url}/page");
        let curl = namespace.run("curl", &["-sS", "--http0.9", "--max-time", "60", &url]).ok();
        assert_eq!(curl, "you said: GET /page HTTP/1.1\n");
        let nc = namespace.run_with_input("nc", &["-w", "60", address, "80"], b"hello\n").ok();
        assert_eq!(nc, "you said: hello\n");
    }
}

#[test]
fn python_sockets() {
    if !have(&["python3"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::file("examples/tcp_echo.lua").start(&namespace);
    device.wait_for("echo: serving");
    let program = r"
import socket
for address in ('10.0.0.2', 'fd00:10::2'):
    with socket.create_connection((address, 7), timeout=60) as s, s.makefile('rwb') as f:
        for number in range(100):
            line = b'%d\n' % number
            f.write(line)
            f.flush()
            assert f.readline() == line
        s.shutdown(socket.SHUT_WR)
        assert f.read() == b''
print('done')
";
    assert_eq!(namespace.run("python3", &["-c", program]).ok(), "done\n");
}

#[test]
fn dig_asks_a_name_server_in_lua() {
    if !have(&["dig"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    // The answer: the question's id, one question, one answer, which points to the question's name.
    let script = r#"
        local socket = net.createUDPSocket()
        socket:on("receive", function(s, query, port, ip)
          local question = query:sub(13, query:find("\0", 13, true) + 4)
          local head = query:sub(1, 2) .. "\x84\0\0\1\0\1\0\0\0\0"
          s:send(port, ip, head .. question .. "\xc0\x0c\0\1\0\1\0\0\0\60\0\4\192\0\2\99")
        end)
        socket:listen(53, "::")
        print("ready")"#;
    let mut device = Device::script(script).start(&namespace);
    device.wait_for("ready");
    for address in ["@10.0.0.2", "@fd00:10::2"] {
        let out = namespace.run("dig", &[address, "+short", "+noedns", "+tries=1", "+time=60", "any.name.test"]).ok();
        assert_eq!(out, "192.0.2.99\n");
    }
}

#[test]
fn sixty_four_clients_at_once_on_eight_sockets() {
    const CLIENTS: usize = 64;
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::script(ECHO_LINE).options(&["--sockets", "8"]).start(&namespace);
    device.wait_for("ready");
    let together = Barrier::new(CLIENTS);
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (namespace, together) = (&namespace, &together);
            scope.spawn(move || {
                together.wait();
                let mut stream = namespace.connect("10.0.0.2:80");
                writeln!(stream, "client {number}").unwrap();
                assert_eq!(read_all(&mut stream), format!("you said: client {number}\n"));
            });
        }
    });
}

#[test]
fn a_hundred_mebibytes_each_way_through_one_connection() {
    const SIZE: usize = 100 << 20;
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::file("examples/tcp_echo.lua").start(&namespace);
    device.wait_for("echo: serving");
    let stream = namespace.connect("10.0.0.2:7");
    thread::scope(|scope| {
        scope.spawn(|| send_data(&stream, 1, SIZE));
        expect_data(&stream, 1, SIZE);
    });
}

#[test]
fn data_and_the_end_of_the_stream_in_one_go() {
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::script(ECHO_LINE).start(&namespace);
    device.wait_for("ready");
    for address in ["10.0.0.2:80", "[fd00:10::2]:80"] {
        let mut stream = namespace.connect(address);
        stream.write_all(b"last words\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_all(&mut stream), "you said: last words\n");
    }
}

/// The device sends much, closes, and the kernel reads it slowly: all of it comes, and then the end.
#[test]
fn what_was_sent_before_close_is_delivered() {
    let Some(namespace) = Namespace::new() else { return };
    let script = r#"
        net.createServer():listen(80, "::", function(client)
          client:send(string.rep("x", 8000))
          client:close()
        end)
        print("ready")"#;
    let mut device = Device::script(script).start(&namespace);
    device.wait_for("ready");
    for address in ["10.0.0.2:80", "[fd00:10::2]:80"] {
        let mut stream = namespace.connect(address);
        let mut one = [0; 1];
        for _ in 0..4000 {
            stream.read_exact(&mut one).unwrap();
        }
        assert_eq!(read_all(&mut stream), "x".repeat(4000));
    }
}

/// The device is the client: it connects to the kernel over both versions, and tells both ends' addresses rightly.
#[test]
fn a_device_connects_over_both_ip_versions() {
    let Some(namespace) = Namespace::new() else { return };
    for (listen, peer, own) in [("10.0.0.1", "10.0.0.1", "10.0.0.2"), ("[fd00:10::1]", "fd00:10::1", "fd00:10::2")] {
        let script = format!(
            r#"
            local socket = net.createConnection(net.TCP)
            socket:on("connection", function(s)
              local port, ip = s:getpeer()
              print(port, ip)
              print(select(2, s:getaddr()))
              s:send("hello\n")
            end)
            socket:on("receive", function(s, data) print(data) s:close() end)
            -- The interface comes up before the address that the server is bound to is there.
            tmr.create():alarm(1, tmr.ALARM_SINGLE, function() socket:connect(8080, "{peer}") end)"#
        );
        // The address is on the device's TAP, which is not there yet.
        namespace.sysctl("net/ipv4/ip_nonlocal_bind", "1");
        namespace.sysctl("net/ipv6/ip_nonlocal_bind", "1");
        let listener = namespace.listen(&format!("{listen}:8080"));
        let mut device = Device::script(&script).start(&namespace);
        let mut stream = accept(&listener);
        assert_eq!(read_until(&mut stream, "\n"), "hello\n");
        assert_eq!(device.line(), format!("8080\t{peer}"));
        assert_eq!(device.line(), own);
        stream.write_all(b"bye").unwrap();
        assert_eq!(device.line(), "bye");
        assert_eq!(read_all(&mut stream), "");
        drop(stream);
        assert!(device.finish().status.success());
    }
}
