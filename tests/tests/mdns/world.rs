//! That the others work here as they do elsewhere: what ours is measured by.

use lunet_tests::{Namespace, Versions};

/// Avahi and python-zeroconf find each other.
fn others_find_each_other(versions: Versions) {
    if !Namespace::have_avahi() {
        return;
    }
    let Some(lan) = Namespace::joined::<2>(versions) else { return };
    let [left, right] = &lan.computers;
    let avahi = left.avahi("left", Namespace::LAN, versions);
    let Some(mut zeroconf) = right.zeroconf(Namespace::LAN, versions) else { return };

    let published = avahi.publish("A Web", "_http._tcp", 80, &["path=/", "x"]);
    zeroconf.tell("browse;_http._tcp");
    zeroconf.wait_for("+;A Web");
    let service = zeroconf.wait_for("=;A Web;left.local;80;");
    assert!(service.ends_with(";path=/,x"), "{service}");
    let host = zeroconf.ask("host;left", "host;");
    assert_eq!((host.contains("10.0.0.1"), host.contains("fd00:10::1")), (versions.has_v4(), versions.has_v6()));
    assert_eq!(zeroconf.ask("types", "types;"), "types;_http._tcp");
    drop(published);
    zeroconf.wait_for("-;A Web");

    let mut browse = avahi.start("avahi-browse -rpk _ipp._tcp", &[]);
    assert_eq!(zeroconf.ask("register;A Printer;_ipp._tcp;631;right;paper=A4", "registered;"), "registered;A Printer");
    browse.wait_for(r"A\032Printer;_ipp._tcp;local;right.local;");
    assert_eq!(zeroconf.ask("update;paper=A3", "updated"), "updated");
    avahi.until_listed("_ipp._tcp", &["=;lan0;", r"A\032Printer", "\"paper=A3\""]);
    zeroconf.tell("unregister");
    browse.wait_for("-;lan0;");
    zeroconf.stop();
    assert!(avahi.stop().err.contains("exiting"));
}

#[test]
fn avahi_and_zeroconf_over_ipv4() {
    others_find_each_other(Versions::V4);
}

#[test]
fn avahi_and_zeroconf_over_ipv6() {
    others_find_each_other(Versions::V6);
}

#[test]
fn avahi_and_zeroconf_over_both() {
    others_find_each_other(Versions::Both);
}
