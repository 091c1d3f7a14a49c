//! Who asks as of a DNS server (M-22, M-23).

use lunet_tests::have;

use super::{Ours, Place, everywhere};

/// dig, to the group and to the host.
#[test]
fn dig_is_answered() {
    if !have(&["dig"]) {
        return;
    }
    everywhere(|lan, place, versions| {
        let computer = &lan.computers[0];
        if versions.has_v4() {
            computer.ip("route add 224.0.0.0/4 dev lan0");
        }
        let ours = Ours::new(lan, place);
        let publish = ours.publish(&["My Page", "_http._tcp", "8080", "path=/", "--host", "ours"]);
        let dig = |server: &str, words: &[&str]| {
            let server = format!("@{server}");
            let fixed = ["-p", "5353", "+timeout=5", "+tries=10", &server];
            computer.run("dig", &[&fixed, words].concat()).ok()
        };
        for address in &publish.addresses {
            let kind = if address.contains(':') { "AAAA" } else { "A" };
            let whole = dig(address, &["ours.local", kind]);
            assert!(
                whole.contains("status: NOERROR") && whole.contains(&format!("\tIN\t{kind}\t{address}\n")),
                "{whole}"
            );
            // The question is repeated, the TTL at most 10 s, and no record flushes a cache (CLASS32769).
            assert!(whole.contains(&format!(";ours.local.\t\t\tIN\t{kind}\n")) && !whole.contains("CLASS"), "{whole}");
            let answer = whole.lines().find(|line| line.starts_with("ours.local.")).unwrap();
            assert!(answer.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap() <= 10, "{answer}");
            assert_eq!(dig(address, &["+short", "_services._dns-sd._udp.local", "PTR"]), "_http._tcp.local.\n");
            assert_eq!(dig(address, &["+short", "_http._tcp.local", "PTR"]), "My\\032Page._http._tcp.local.\n");
            assert_eq!(dig(address, &["+short", "My\\032Page._http._tcp.local", "SRV"]), "0 0 8080 ours.local.\n");
            assert_eq!(dig(address, &["+short", "My\\032Page._http._tcp.local", "TXT"]), "\"path=/\"\n");
            if place == Place::Device {
                assert_eq!(dig(address, &["+short", "-x", address]), "ours.local.\n");
            }
        }
        publish.stop();
    });
}
