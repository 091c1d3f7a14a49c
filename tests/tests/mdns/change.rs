//! Links that go and come, addresses that change, and others on the same computer (M-11).

use std::collections::BTreeSet;

use lunet_tests::{Namespace, Versions};

use super::{Ours, Place, everywhere};

/// A link that flaps while ours publishes and browses: what it publishes is announced anew, what others have published
/// meanwhile is found.
#[test]
fn after_a_link_has_flapped_all_is_found_again() {
    if !Namespace::have_avahi() {
        return;
    }
    everywhere(|lan, place, versions| {
        let ours = Ours::new(lan, place);
        let publish = ours.publish(&["Mine", "_http._tcp", "80", "--host", "ours"]);
        let avahi = lan.computers[0].avahi("theirs", Namespace::LAN, versions);
        let _first = avahi.publish("First", "_ipp._tcp", 631, &[]);
        let mut browse = ours.start(&["browse", "_ipp._tcp"]);
        browse.wait_for("+ _ipp._tcp  First");
        let plug = |into| {
            for port in BTreeSet::from([&publish.port, &browse.port]) {
                lan.plug(port, into);
            }
        };
        for _ in 0..3 {
            plug(false);
            plug(true);
        }
        plug(false);
        let _second = avahi.publish("Second", "_ipp._tcp", 631, &[]);
        drop(avahi);
        plug(true);
        // Whoever is new here knows nothing of before.
        let avahi = lan.computers[0].avahi("others", Namespace::LAN, versions);
        let _third = avahi.publish("Third", "_ipp._tcp", 631, &[]);
        browse.wait_for("+ _ipp._tcp  Third");
        avahi.until_listed("_http._tcp", &["=;lan0;", ";Mine;", ";ours.local;"]);
        let printed = publish.stop();
        assert!(!printed.contains("renamed"), "{printed}");
        browse.stop();
    });
}

/// Begun before there is a link: published when there is one.
#[test]
fn what_begins_without_a_link_is_published_when_it_comes() {
    if !Namespace::have_avahi() {
        return;
    }
    let Some(lan) = Namespace::joined::<2>(Versions::Both) else { return };
    let avahi = lan.computers[0].avahi("theirs", Namespace::LAN, Versions::Both);
    lan.plug("port2", false);
    let ours = Ours::new(&lan, Place::Computer(1));
    let mut publish = ours.start(&["publish", "Mine", "_http._tcp", "80", "--host", "ours"]);
    lan.plug("port2", true);
    publish.wait_for("published  _http._tcp  Mine");
    avahi.until_listed("_http._tcp", &["=;lan0;", ";Mine;", ";ours.local;"]);
    publish.stop();
}

/// An address that comes is told, one that goes is withdrawn.
#[test]
fn addresses_that_change_are_told() {
    if !Namespace::have_avahi() {
        return;
    }
    let Some(lan) = Namespace::joined::<2>(Versions::Both) else { return };
    let mut avahi = lan.computers[0].avahi("theirs", Namespace::LAN, Versions::Both);
    let ours = Ours::new(&lan, Place::Computer(1));
    let publish = ours.publish(&["Mine", "_http._tcp", "80", "--host", "ours"]);
    assert_eq!(avahi.until_resolved("-4", "ours.local", "10.0.0.2"), "ours.local\t10.0.0.2\n");
    lan.computers[1].ip("address add 10.0.0.77/24 dev lan0");
    lan.computers[1].ip("address del 10.0.0.2/24 dev lan0");
    avahi.until_resolved("-4", "ours.local", "10.0.0.77");
    lan.computers[1].ip("address del fd00:10::2/64 dev lan0");
    avahi.until_resolved("-6", "ours.local", "fe80:");
    // Who asks afresh is not told what has gone.
    avahi.stop();
    avahi = lan.computers[0].avahi("theirs", Namespace::LAN, Versions::Both);
    let gone = avahi.run("avahi-resolve -a", &["fd00:10::2"]);
    assert!(gone.out.is_empty(), "{}", gone.out);
    let printed = publish.stop();
    assert!(!printed.contains("renamed"), "{printed}");
}

/// RFC 6762 section 15: Avahi and ours on one computer, on one port.
#[test]
fn beside_avahi_on_the_same_computer() {
    if !Namespace::have_avahi() {
        return;
    }
    for versions in Versions::ALL {
        let Some(lan) = Namespace::joined::<2>(versions) else { return };
        let [left, right] = &lan.computers;
        let far = left.avahi("far", Namespace::LAN, versions);
        let near = right.avahi("near", Namespace::LAN, versions);
        let ours = Ours::new(&lan, Place::Computer(1));
        let _far = far.publish("Far", "_ipp._tcp", 631, &[]);
        let _near = near.publish("Near", "_ipp._tcp", 631, &[]);
        let mut browse = ours.start(&["browse", "_ipp._tcp", "--resolve"]);
        browse.wait_for("Far  far.local:631");
        browse.stop();
        let mut browse = ours.start(&["browse", "_ipp._tcp", "--resolve"]);
        browse.wait_for("Near  near.local:631");
        let publish = ours.publish(&["Mine", "_http._tcp", "80", "--host", "ours"]);
        for avahi in [&far, &near] {
            avahi.until_listed("_http._tcp", &["=;lan0;", ";Mine;", ";ours.local;"]);
        }
        // All three go on, also on questions of a second one of ours.
        assert!(ours.run(&["resolve", "near.local"]).contains(&lan.addresses(2)[0]));
        assert!(ours.run(&["resolve", "ours.local"]).contains(&lan.addresses(2)[0]));
        let printed = publish.stop();
        assert!(!printed.contains("renamed"), "{printed}");
        for avahi in [far, near] {
            let log = avahi.stop().err;
            assert!(!log.contains("conflict"), "{log}");
        }
        browse.stop();
    }
}
