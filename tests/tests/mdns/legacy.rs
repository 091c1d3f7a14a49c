//! Who asks as of a DNS server (M-22, M-23): dig, and a socket that asks the group. (dig hears only whom it has asked, so not
//! who answers for a group.)

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

/// A question to the group from a port of its own: the answer comes to that, with id and question repeated, a TTL of at most
/// 10 s, and no cache-flush bit.
#[test]
fn a_simple_resolver_is_answered() {
    everywhere(|lan, place, versions| {
        let computer = &lan.computers[0];
        let ours = Ours::new(lan, place);
        let publish = ours.publish(&["--host", "ours"]);
        let link = computer.ip("-o link show dev lan0");
        let index = link.split(':').next().unwrap();
        if versions.has_v4() {
            computer.ip("route add 224.0.0.0/4 dev lan0");
        }
        for address in &publish.addresses {
            let (own, group, kind) = match address.contains(':') {
                true => ("[::]:0", format!("[ff02::fb%{index}]:5353"), 28),
                false => ("0.0.0.0:0", "224.0.0.251:5353".to_owned(), 1),
            };
            let question = [&b"\x04ours\x05local\0\0"[..], &[kind, 0, 1]].concat();
            let socket = computer.udp(own);
            let query = [&b"\x12\x34\0\0\0\x01\0\0\0\0\0\0"[..], &question].concat();
            socket.send_to(&query, &*group).unwrap();
            let mut buffer = [0; 1500];
            let (n, from) = socket.recv_from(&mut buffer).unwrap();
            let (head, answer) = buffer[..n].split_at(query.len());
            assert_eq!(from.port(), 5353);
            assert_eq!(head[..6], *b"\x12\x34\x84\0\0\x01", "the same id, a response, one question");
            assert_eq!(head[12..], question);
            assert_eq!(answer[..5], [0xc0, 12, 0, kind, 0], "{answer:?}");
            assert_eq!(answer[5], 1, "the class, without more");
            assert!(answer[6..10] <= [0, 0, 0, 10][..], "{answer:?}");
        }
        publish.stop();
    });
}
