//! Addresses that a device is given by the network, and the networks that it is in.

use std::time::Duration;

use lunet_tests::{Device, Namespace, have, read_until};

/// Tells which addresses the first interface has, until it has an IPv4 address; then serves one line on port 80.
const SCRIPT: &str = r#"
net.createServer():listen(80, "::", function(client)
  client:send("hello from " .. select(2, client:getaddr()) .. "\n", function(sent) sent:close() end)
end)
tmr.create():alarm(10, tmr.ALARM_AUTO, function(timer)
  local info = net.ifinfo(0)
  if info.ip then
    timer:unregister()
    print("ip " .. info.ip .. " " .. info.netmask .. " " .. info.gateway)
    print("dns " .. net.dns.getdnsserver(0))
    net.dns.resolve("www.example.test", function(_, ip) print("resolved " .. tostring(ip)) end)
  end
end)
"#;

#[test]
fn dhcp_gives_an_address_a_router_and_a_name_server() {
    if !have(&["dnsmasq"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let mut dnsmasq = namespace.dnsmasq_with(
        &[("www.example.test", "192.0.2.80")],
        // The interface comes with the device.
        &[
            "--bind-dynamic",
            "--dhcp-authoritative",
            "--no-ping",
            "--log-dhcp",
            "--dhcp-range=10.0.0.50,10.0.0.50,255.255.255.0,1h",
        ],
    );
    let mut device = Device::script(SCRIPT).eth("tap:lunet0,host=10.0.0.1/24").start(&namespace);
    // That it names itself is the network administrator's only way to tell devices apart.
    dnsmasq.wait_for("client provides name: lunet");
    dnsmasq.wait_for("DHCPACK(lunet0) 10.0.0.50");
    assert_eq!(device.line(), "ip 10.0.0.50 255.255.255.0 10.0.0.1");
    assert_eq!(device.line(), "dns 10.0.0.1");
    assert_eq!(device.line(), "resolved 192.0.2.80");
    assert_eq!(read_until(&mut namespace.connect("10.0.0.50:80"), "\n"), "hello from 10.0.0.50\n");
}

#[test]
fn router_advertisements_give_an_ipv6_address() {
    if !have(&["dnsmasq"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    let _dnsmasq = namespace.dnsmasq_with(&[], &["--bind-dynamic", "--enable-ra", "--dhcp-range=fd00:10::,ra-only,64"]);
    let mut device = Device::script("net.createServer():listen(80, '::', function(c) c:send('hi\\n') end)")
        .eth("tap:lunet0,ip=10.0.0.2/24,host=10.0.0.1/24,host=fd00:10::1/64,mac=02:00:5e:00:53:07")
        .options(&["--verbose"])
        .start(&namespace);
    // From the prefix that is announced and the hardware address (RFC 4862, RFC 4291 appendix A).
    device.wait_for("fd00:10::5eff:fe00:5307");
    assert_eq!(read_until(&mut namespace.connect("[fd00:10::5eff:fe00:5307]:80"), "\n"), "hi\n");
}

#[test]
fn a_device_serves_on_each_of_its_networks() {
    let Some(namespace) = Namespace::new() else { return };
    let mut device = Device::script(&(SCRIPT.to_owned() + "print('ready')"))
        .options(&["--ap", "tap:lunet1,ip=10.0.1.1/24,host=10.0.1.2/24"])
        .start(&namespace);
    device.wait_for("ready");
    for address in ["10.0.0.2", "10.0.1.1"] {
        let mut client = namespace.connect(&format!("{address}:80"));
        assert_eq!(read_until(&mut client, "\n"), format!("hello from {address}\n"));
    }
}

#[test]
fn groups_and_broadcasts_are_heard_while_they_are_wanted() {
    let Some(namespace) = Namespace::new() else { return };
    let script = r#"
        local socket = net.createUDPSocket()
        socket:on("receive", function(s, data, port, ip)
          if data == "leave" then net.multicastLeave("any", "239.1.2.3") end
          s:send(port, ip, "got " .. data)
        end)
        socket:listen(5000)
        net.multicastJoin("any", "239.1.2.3")
        print("ready")"#;
    let mut device = Device::script(script).start(&namespace);
    device.wait_for("ready");
    namespace.ip("route add 239.0.0.0/8 dev lunet0");
    let socket = namespace.udp("10.0.0.1:0");
    socket.set_broadcast(true).unwrap();
    let mut buffer = [0; 64];
    let mut ask = |to: &str, text: &str| {
        socket.send_to(text.as_bytes(), to).unwrap();
        socket.recv_from(&mut buffer).map(|(n, _)| String::from_utf8_lossy(&buffer[..n]).into_owned())
    };
    for to in ["239.1.2.3:5000", "10.0.0.255:5000", "255.255.255.255:5000"] {
        assert_eq!(ask(to, to).unwrap(), format!("got {to}"));
    }
    assert_eq!(ask("239.1.2.3:5000", "leave").unwrap(), "got leave");
    // What is sent to the group is no longer heard: the answer is that to the later datagram.
    socket.send_to(b"unheard", "239.1.2.3:5000").unwrap();
    assert_eq!(ask("10.0.0.2:5000", "heard").unwrap(), "got heard");
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    assert!(socket.recv_from(&mut [0; 64]).is_err(), "nothing else has been answered");
}
