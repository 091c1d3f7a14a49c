//! The user-mode network, as a user without rights.

use std::io::Write;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{PidfdFlags, pidfd_open};

use super::*;

/// Runs `test` in a network namespace of its own, in which passt finds an interface with an address and a router. As
/// an ordinary user, in the computer's.
fn in_network(test: impl FnOnce() + Send + 'static) {
    if Command::new("passt").arg("--version").output().is_err() {
        return skip("the program `passt` is missing");
    }
    let thread = std::thread::spawn(|| {
        if nix::unistd::geteuid().is_root() {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            for line in [
                "link set lo up",
                "link add name out type veth peer name far",
                "address add 192.0.2.1/24 dev out",
                "link set out up",
                "link set far up",
                "route add default via 192.0.2.254",
            ] {
                assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success(), "ip {line}");
            }
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A free port of the namespace.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn read_to_end(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all
}

const SERVER: &str = "
    net.createServer(net.TCP, 60):listen(80, function(client)
      client:on('receive', function(c, data) c:send('you said ' .. data, function() c:close() end) end)
    end)
    local udp = net.createUDPSocket()
    udp:on('receive', function(s, data, port, ip) s:send(port, ip, 'you said ' .. data) end)
    udp:listen(7)
    print('ready')";

#[test]
fn a_device_without_rights_is_reached_through_forwarded_ports() {
    in_network(|| {
        let folder = Folder::new();
        let script = folder.file("server.lua", SERVER);
        let (tcp, udp) = (free_port(), free_port());
        let forward = format!("forward={tcp}:80,forward=udp:{udp}:7");
        let Some(mut command) = unprivileged(&folder, &["run", "--user", &forward, &script]) else { return };
        let mut lunet = Lunet::start(&mut command);
        let message = lunet.message();
        assert!(message.starts_with(&format!("lunet: user-mode network, http://127.0.0.1:{tcp}/, UDP 127.0.0.1:{udp} is its port 7, this device is 10.0.")), "{message}");
        assert_eq!(lunet.line(), "ready");
        let mut client = TcpStream::connect(("127.0.0.1", tcp)).unwrap();
        client.write_all(b"hello").unwrap();
        assert_eq!(read_to_end(&mut client), "you said hello");
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        client.send_to(b"hello", ("127.0.0.1", udp)).unwrap();
        let mut buffer = [0; 64];
        let length = client.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"you said hello");
        // All that it had to do with the network ends with it, even if it had no time to end anything.
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", lunet.child.id())).unwrap();
        let passt = children.split_whitespace().next().unwrap().parse().unwrap();
        let passt = rustix::process::Pid::from_raw(passt).unwrap();
        let passt = pidfd_open(passt, PidfdFlags::empty()).unwrap();
        lunet.signal(Signal::SIGKILL);
        lunet.wait();
        let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
        let ended = poll(&mut [PollFd::new(&passt, PollFlags::IN)], Some(&minute)).unwrap();
        assert_eq!(ended, 1, "passt outlives lunet");
    });
}

#[test]
fn without_rights_and_without_options_the_device_still_has_an_address_to_open() {
    in_network(|| {
        let folder = Folder::new();
        let script = folder.file("server.lua", SERVER);
        let Some(mut command) = unprivileged(&folder, &["run", &script]) else { return };
        let mut lunet = Lunet::start(&mut command);
        let message = lunet.message();
        let url = message.strip_prefix("lunet: user-mode network, http://").expect(&message);
        let address = url.split_once('/').unwrap().0;
        assert_eq!(lunet.line(), "ready");
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"hello").unwrap();
        assert_eq!(read_to_end(&mut client), "you said hello");
        lunet.signal(Signal::SIGINT);
        assert_eq!(lunet.finish().status, Some(130));
    });
}

#[test]
fn a_device_reaches_this_computer_at_its_router() {
    in_network(|| {
        let folder = Folder::new();
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let script = format!(
            "local s = net.createConnection(net.TCP)
             s:on('receive', function(s, data) print(data) s:close() end)
             s:connect({}, '10.0.7.1')",
            server.local_addr().unwrap().port()
        );
        let script = folder.file("client.lua", &script);
        let capture = folder.path().join("capture");
        let options = ["run", "--net", "user", "--pcap", capture.to_str().unwrap(), &script];
        let lunet = Lunet::start(&mut lunet(&options));
        let (mut stream, _) = server.accept().unwrap();
        stream.write_all(b"from the computer").unwrap();
        assert_eq!(read_to_end(&mut stream), "");
        let output = lunet.finish();
        assert_eq!((output.status, output.out.as_str()), (Some(0), "from the computer\n"), "{}", output.err);
        let frames = fs::read(capture).unwrap();
        assert!(frames.windows(17).any(|bytes| bytes == b"from the computer"));
    });
}

#[test]
fn a_port_in_use_is_passts_complaint() {
    in_network(|| {
        let folder = Folder::new();
        let script = folder.file("a.lua", "print('must not run')");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let forward = format!("forward={}:80", taken.local_addr().unwrap().port());
        let output = run(&["run", "--user", &forward, &script]);
        assert_eq!((output.status, output.out.as_str()), (Some(1), ""), "{}", output.err);
        assert!(output.err.contains("user-mode network: passt ended: "), "{}", output.err);
    });
}
