//! Two that want the same name: exactly one gets another (M-4, M-5, M-9, M-14).

use lunet_tests::{Lan, Namespace, Versions};

use super::{Ours, Place, Running, everywhere};

/// Ours comes second, and gives way.
#[test]
fn a_name_that_avahi_has_is_left_to_it() {
    if !Namespace::have_avahi() {
        return;
    }
    everywhere(|lan, place, versions| {
        let avahi = lan.computers[0].avahi("same", Namespace::LAN, versions);
        let _published = avahi.publish("Same", "_http._tcp", 80, &[]);
        let ours = Ours::new(lan, place);
        let mut publish = ours.start(&["publish", "Same", "_http._tcp", "8080", "--host", "same"]);
        let lines = publish.wait_until_published();
        let has = |wanted: &str| lines.iter().any(|line| line == wanted);
        assert!(has("renamed  same.local  same-2.local") && has("published  same-2.local"), "{lines:?}");
        assert!(has("renamed  _http._tcp  Same  Same (2)") && has("published  _http._tcp  Same (2)"), "{lines:?}");
        avahi.until_listed("_http._tcp", &["=;lan0;", r"Same\032\0402\041;", ";same-2.local;"]);
        avahi.until_listed("_http._tcp", &["=;lan0;", ";Same;", ";same.local;"]);
        publish.stop();
        let log = avahi.stop().err;
        assert!(!log.contains("conflict"), "{log}");
    });
}

/// Ours was first, and keeps its names.
#[test]
fn avahi_leaves_names_to_ours() {
    if !Namespace::have_avahi() {
        return;
    }
    everywhere(|lan, place, versions| {
        let ours = Ours::new(lan, place);
        let publish = ours.publish(&["Same", "_http._tcp", "8080", "--host", "same"]);
        let avahi = lan.computers[0].avahi("same", Namespace::LAN, versions);
        assert_eq!(avahi.host_name, "same-2.local");
        let mut second = avahi.start("avahi-publish -s", &["Same", "_http._tcp", "80"]);
        second.wait_for("Established under name 'Same #2'");
        avahi.until_listed("_http._tcp", &["=;lan0;", ";Same;", ";same.local;"]);
        let printed = publish.stop();
        assert!(!printed.contains("renamed"), "{printed}");
    });
}

/// The same with python-zeroconf, which has no host names of its own.
#[test]
fn zeroconf_and_ours_tell_names_apart() {
    everywhere(|lan, place, versions| {
        let Some(mut zeroconf) = lan.computers[0].zeroconf(Namespace::LAN, versions) else { return };
        let ours = Ours::new(lan, place);
        zeroconf.ask("register;First;_http._tcp;80;theirs;", "registered;First");
        let mut second = ours.start(&["publish", "First", "_http._tcp", "80"]);
        second.wait_for("published  _http._tcp  First (2)");
        assert!(second.stop().contains("renamed  _http._tcp  First  First (2)"));
        let first = ours.publish(&["Second", "_http._tcp", "80"]);
        assert_eq!(zeroconf.ask("register;Second;_http._tcp;80;theirs;", "registered;"), "registered;Second-2");
        let printed = first.stop();
        assert!(!printed.contains("renamed"), "{printed}");
        zeroconf.stop();
    });
}

/// What two of ours that begin at the same time tell until each has a name for its host and one for its service.
fn two_at_once(versions: Versions, places: [Place; 2], ports: [&str; 2], settled: impl Fn([Running; 2], &Lan<2>)) {
    eprintln!("{versions:?}, {places:?}");
    let Some(lan) = Namespace::joined::<2>(versions) else { return };
    let words = |port| ["publish", "Same", "_http._tcp", port, "--host", "same"];
    let ours = Ours::new(&lan, places[0]);
    let first = ours.start(&words(ports[0]));
    let elsewhere = Ours::new(&lan, places[1]);
    let second = if places[0] == places[1] { ours } else { elsewhere }.start(&words(ports[1]));
    settled([first, second], &lan);
}

const PAIRS: [[Place; 2]; 3] =
    [[Place::Device, Place::Device], [Place::Computer(0), Place::Computer(1)], [Place::Device, Place::Computer(1)]];

/// M-5: two of ours begin at the same time.
#[test]
fn of_two_of_ours_exactly_one_takes_another_name() {
    for (versions, places) in Versions::ALL.into_iter().flat_map(|versions| PAIRS.map(|places| (versions, places))) {
        two_at_once(versions, places, ["80", "81"], |mut both, _| {
            let lines = both.each_mut().map(Running::wait_until_published);
            let count = |wanted: &str| lines.iter().flatten().filter(|line| *line == wanted).count();
            assert_eq!(count("renamed  same.local  same-2.local"), 1, "{lines:?}");
            assert_eq!(count("renamed  _http._tcp  Same  Same (2)"), 1, "{lines:?}");
            for name in ["same.local", "same-2.local", "_http._tcp  Same", "_http._tcp  Same (2)"] {
                assert_eq!(count(&format!("published  {name}")), 1, "{name}: {lines:?}");
            }
            for (running, lines) in both.into_iter().zip(lines) {
                assert_eq!(running.stop(), lines.join("\n") + "\n", "nothing more happens");
            }
        });
    }
}

/// M-8: as long as both have the same host name their services are one and the same. When one has another, so must its
/// service.
#[test]
fn services_that_were_equal_are_told_apart_when_they_differ() {
    two_at_once(Versions::Both, PAIRS[0], ["80", "80"], |both, lan| {
        let mut browse = Ours::new(lan, Place::Computer(0)).start(&["browse", "_http._tcp"]);
        browse.wait_for("+ _http._tcp  Same (2)");
        browse.stop();
        let printed = both.map(Running::stop).concat();
        let count = |wanted: &str| printed.lines().filter(|line| *line == wanted).count();
        assert_eq!(count("renamed  same.local  same-2.local"), 1, "{printed}");
        assert_eq!(count("renamed  _http._tcp  Same  Same (2)"), 1, "{printed}");
    });
}
