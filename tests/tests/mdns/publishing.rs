//! What ours publish, found by others.

use std::io::Write as _;
use std::process::Stdio;

use lunet_tests::Namespace;

use super::{Ours, Place, everywhere};

/// M-12, M-37, M-38, M-42: every kind of question from Avahi, and goodbyes.
#[test]
fn avahi_finds_what_is_published() {
    if !Namespace::have_avahi() {
        return;
    }
    everywhere(|lan, place, versions| {
        let avahi = lan.computers[0].avahi("theirs", Namespace::LAN, versions);
        let ours = Ours::new(lan, place);
        let mut browse = avahi.start("avahi-browse -rpk _http._tcp", &[]);
        let mut subtype = avahi.start("avahi-browse -pk _page._sub._http._tcp", &[]);
        let service = ["My Page", "_http._tcp", "8080", "path=/", "--subtype", "_page", "--host", "ours", "--update"];
        let mut publish = ours.start_with(&[&["publish"], &service[..]].concat(), Stdio::piped());
        publish.wait_until_published();
        browse.wait_for(r"+;lan0;");
        let found = browse.wait_for(r";My\032Page;_http._tcp;local;ours.local;");
        assert!(found.starts_with("=;lan0;") && found.ends_with(";8080;\"path=/\""), "{found}");
        subtype.wait_for(r";My\032Page;_http._tcp;local");
        for address in &publish.addresses {
            let version = if address.contains(':') { "-6" } else { "-4" };
            let found = avahi.run(&format!("avahi-resolve {version} -n"), &["ours.local"]).ok();
            assert!(found.starts_with("ours.local\t"), "{found}");
            if place == Place::Device {
                let found = avahi.run("avahi-resolve -a", &[address]).ok();
                assert_eq!(found, format!("{address}\tours.local\n"));
            }
        }
        let all = avahi.run("avahi-browse -atpk", &[]).ok();
        assert!(all.contains(r";My\032Page;_http._tcp;local"), "{all}");

        writeln!(publish.input(), "path=/new;x").unwrap();
        publish.wait_for("updated  _http._tcp  My Page");
        avahi.until_listed("_http._tcp", &["=;lan0;", "My", "\"path=/new\"", "\"x\""]);
        assert!(!publish.stop().contains("renamed"));
        browse.wait_for("-;lan0;");
        subtype.wait_for("-;lan0;");
    });
}

/// The same from python-zeroconf.
#[test]
fn zeroconf_finds_what_is_published() {
    everywhere(|lan, place, versions| {
        let Some(mut zeroconf) = lan.computers[0].zeroconf(Namespace::LAN, versions) else { return };
        let ours = Ours::new(lan, place);
        zeroconf.tell("browse;_http._tcp");
        let service = ["My Page", "_http._tcp", "8080", "path=/", "x", "--host", "ours", "--update"];
        let mut publish = ours.start_with(&[&["publish"], &service[..]].concat(), Stdio::piped());
        publish.wait_until_published();
        let found = zeroconf.wait_for("=;My Page;ours.local;8080;");
        assert!(found.ends_with(";path=/,x"), "{found}");
        let host = zeroconf.ask("host;ours", "host;");
        for address in &publish.addresses {
            assert!(host.contains(address), "{host}");
        }
        assert_eq!(zeroconf.ask("types", "types;"), "types;_http._tcp");
        writeln!(publish.input(), "path=/new").unwrap();
        zeroconf.wait_for(";8080;");
        publish.stop();
        zeroconf.wait_for("-;My Page");
        zeroconf.stop();
    });
}

/// A host's name alone, and one that is published for another.
#[test]
fn names_of_hosts_are_published() {
    if !Namespace::have_avahi() {
        return;
    }
    everywhere(|lan, place, versions| {
        let avahi = lan.computers[0].avahi("theirs", Namespace::LAN, versions);
        let ours = Ours::new(lan, place);
        let host = ours.publish(&["--host", "ours"]);
        let address = host.addresses[0].clone();
        assert!(avahi.run("avahi-resolve -n", &["ours.local"]).ok().starts_with("ours.local\t"));
        if place == Place::Device {
            assert_eq!(avahi.run("avahi-resolve -a", &[&address]).ok(), format!("{address}\tours.local\n"));
        }
        host.stop();
        let other = ours.publish(&["--host", "scanner", "--address", "10.0.0.77", "Scan", "_scan._tcp", "9"]);
        assert_eq!(avahi.run("avahi-resolve -4 -n", &["scanner.local"]).ok(), "scanner.local\t10.0.0.77\n");
        avahi.until_listed("_scan._tcp", &["=;lan0;", ";Scan;", ";scanner.local;10.0.0.77;9;"]);
        other.stop();
    });
}
