//! What others publish, found by ours: browsing, looking up, goodbyes.

use std::time::Instant;

use lunet_tests::{DEADLINE, Namespace};

use super::{Ours, Running, everywhere};

/// Waits for a line about a service in which all of `parts` are: its addresses may come later than the rest.
#[track_caller]
fn wait_for_all(browse: &mut Running, first: &str, parts: &[&str]) {
    let mut line = browse.wait_for(first);
    while !parts.iter().all(|part| line.contains(part)) {
        line = browse.line();
    }
}

/// M-37, M-38, M-42: every kind of question to Avahi.
#[test]
fn what_avahi_publishes_is_found() {
    if !Namespace::have_avahi() {
        return;
    }
    everywhere(|lan, place, versions| {
        let avahi = lan.computers[0].avahi("theirs", Namespace::LAN, versions);
        let ours = Ours::new(lan, place);
        let mut browse = ours.start(&["browse", "_http._tcp", "--resolve"]);
        let mut parsable = ours.start(&["browse", "_http._tcp", "--resolve", "--parsable"]);
        let mut all = ours.start(&["browse"]);
        let mut types = ours.start(&["types"]);
        let mut subtype = ours.start(&["browse", "_printer._sub._http._tcp"]);
        let published = avahi.publish(
            "Küche; 2. Stock",
            "_http._tcp",
            80,
            &["path=/", "x", "--subtype", "_printer._sub._http._tcp"],
        );
        let addresses = lan.addresses(1);
        let mut wanted = vec!["+ _http._tcp  Küche; 2. Stock  theirs.local:80  ", "  path=/  x"];
        wanted.extend(addresses.iter().map(String::as_str));
        wait_for_all(&mut browse, "Küche; 2. Stock", &wanted[1..]);
        parsable.wait_for(r"+;_http._tcp;Küche\059 2. Stock;theirs.local;80;");
        all.wait_for("+ _http._tcp  Küche; 2. Stock");
        types.wait_for("+ _http._tcp");
        subtype.wait_for("+ _printer._sub._http._tcp  Küche; 2. Stock");

        // Each by itself, with nothing cached.
        for address in &addresses {
            assert!(
                ours.run(&["resolve", "theirs.local"]).lines().any(|line| line == format!("theirs.local  {address}"))
            );
            assert_eq!(ours.run(&["resolve", address]), format!("{address}  theirs.local\n"));
        }
        let service = ours.run(&["resolve", "Küche; 2. Stock", "_http._tcp"]);
        assert!(
            service.starts_with("_http._tcp  Küche; 2. Stock  theirs.local:80  ") && service.ends_with("  path=/  x\n")
        );
        assert_eq!(ours.run(&["browse", "_http._tcp", "--once"]), "+ _http._tcp  Küche; 2. Stock\n");
        assert_eq!(ours.run(&["types", "--once"]), "+ _http._tcp\n");
        let nobody = ours.start(&["resolve", "nobody.local", "--timeout", "1"]).process.finish();
        assert_eq!((nobody.status.code(), nobody.err.contains("nobody.local: no answer")), (Some(1), true));

        // M-13: gone a second after the goodbye.
        drop(published);
        browse.wait_for("- _http._tcp  Küche; 2. Stock");
        all.wait_for("- _http._tcp  Küche; 2. Stock");
        subtype.wait_for("- _printer._sub._http._tcp  Küche; 2. Stock");
        for running in [browse, all, types, subtype] {
            running.stop();
        }
    });
}

/// The same with python-zeroconf, and attributes that change.
#[test]
fn what_zeroconf_publishes_is_found() {
    everywhere(|lan, place, versions| {
        let Some(mut zeroconf) = lan.computers[0].zeroconf(Namespace::LAN, versions) else { return };
        let ours = Ours::new(lan, place);
        let mut browse = ours.start(&["browse", "_ipp._tcp", "--resolve"]);
        zeroconf.ask("register;A Printer;_ipp._tcp;631;theirs;paper=A4", "registered;A Printer");
        let addresses = lan.addresses(1);
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        wait_for_all(
            &mut browse,
            "+ _ipp._tcp  A Printer  theirs.local:631  ",
            &[&addresses[..], &["paper=A4"]].concat(),
        );
        // What it has told within the last second it tells later, each address by itself, and that is not waited for.
        for address in &addresses {
            let until = Instant::now() + DEADLINE;
            while !ours.run(&["resolve", "theirs"]).contains(address) {
                assert!(Instant::now() < until, "{address}");
            }
        }
        assert!(ours.run(&["resolve", "A Printer", "_ipp._tcp"]).ends_with("  paper=A4\n"));
        zeroconf.ask("update;paper=A3", "updated");
        wait_for_all(&mut browse, "= _ipp._tcp  A Printer", &["  paper=A3"]);
        zeroconf.tell("unregister");
        browse.wait_for("- _ipp._tcp  A Printer");
        browse.stop();
        zeroconf.stop();
    });
}
