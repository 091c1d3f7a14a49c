//! The world that the other tests rely on does what they rely on.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use lunet_tests::{Namespace, accept, have, read_all};

#[test]
fn sockets_made_inside_stay_inside() {
    let Some(namespace) = Namespace::new() else { return };
    namespace.address("192.0.2.7/32");
    let listener = namespace.listen("192.0.2.7:80");
    let (Some(other), time) = (Namespace::new(), Duration::from_millis(1)) else { return };
    assert!(other.try_connect("192.0.2.7:80", time).is_err());
    let mut client = namespace.connect("192.0.2.7:80");
    accept(&listener).write_all(b"from inside").unwrap();
    assert_eq!(read_all(&mut client), "from inside");
}

#[test]
fn a_namespace_goes_with_its_owner_and_what_runs_in_it() {
    let Some(namespace) = Namespace::new() else { return };
    let file = Path::new("/run/netns").join(namespace.name());
    assert!(file.exists());
    let child = namespace.start(Command::new("cat").stdin(Stdio::piped()));
    drop(namespace);
    assert!(!file.exists());
    // Its standard input is still open: it ends because it was killed.
    assert!(!child.finish().status.success());
}

#[test]
fn a_namespace_whose_maker_was_killed_is_removed_by_the_next() {
    if Namespace::new().is_none() {
        return;
    }
    // Above the largest process id that Linux gives out.
    let stale = "lunet-4194305-0";
    let made = Command::new("ip").args(["netns", "add", stale]).status().unwrap();
    assert!(made.success());
    // Looking for stale ones happens once in a process, so it takes another one.
    let test = std::env::current_exe().unwrap();
    let other = Command::new(test).args(["--exact", "sockets_made_inside_stay_inside"]).status().unwrap();
    assert!(other.success());
    assert!(!Path::new("/run/netns").join(stale).exists());
}

#[test]
fn dnsmasq_knows_what_it_is_told_and_nothing_else() {
    if !have(&["dnsmasq", "dig"]) {
        return;
    }
    let Some(namespace) = Namespace::new() else { return };
    namespace.address("192.0.2.53/32");
    let mut dnsmasq = namespace.dnsmasq("192.0.2.53", &[("www.example.test", "192.0.2.80,fd00::80")]);
    let dig = |arguments: &[&str]| {
        namespace.run("dig", &[&["@192.0.2.53", "+tries=1", "+noall", "+comments", "+answer"], arguments].concat()).ok()
    };
    assert!(dig(&["www.example.test"]).contains("192.0.2.80"));
    assert!(dig(&["www.example.test", "AAAA"]).contains("fd00::80"));
    assert!(dig(&["www.example.org"]).contains("NXDOMAIN"));
    dnsmasq.wait_for("query[AAAA] www.example.test");
}

#[test]
fn a_router_loses_what_it_is_told_to_lose() {
    if !have(&["nft", "ping"]) {
        return;
    }
    let Some([client, router, _server]) = Namespace::routed() else { return };
    let lost = || {
        let text = client.run("ping", &["-c", "300", "-i", "0.002", "-W", "1", "10.2.0.2"]).out;
        let (before, _) = text.split_once("% packet loss").expect("ping's summary");
        before.rsplit(' ').next().unwrap().parse::<f32>().unwrap()
    };
    assert_eq!(lost(), 0.0);
    router.lose(500);
    // A ping is lost on one of its two ways: 75 %, and eight standard deviations about it.
    assert!((55.0..95.0).contains(&lost()));
    router.lose(0);
    assert_eq!(lost(), 0.0);
}
