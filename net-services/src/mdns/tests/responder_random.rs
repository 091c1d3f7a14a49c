//! What holds whatever is asked: nobody waits in vain, and nothing is told too often.

use std::collections::HashMap;
use std::format;
use std::net::IpAddr;
use std::string::String;
use std::vec::Vec;

use domain::base::Rtype;
use net_core::time::{Duration, Instant};

use super::{WEB, esp32_with_web};
use crate::mdns::random::Random;
use crate::mdns::testing::{Compose, Sent};
use crate::mdns::{Destination, GROUP_V4, PORT, Service, ServiceId};

/// Questions, and how the answers to them begin.
const QUESTIONS: [(&str, Rtype, &str); 7] = [
    ("esp32.local", Rtype::A, "esp32.local A"),
    ("esp32.local", Rtype::AAAA, "esp32.local AAAA"),
    ("ESP32.local", Rtype::HTTPS, "esp32.local NSEC"),
    ("Web._http._tcp.local", Rtype::SRV, "Web._http._tcp.local SRV"),
    ("Web._http._tcp.local", Rtype::TXT, "Web._http._tcp.local TXT"),
    ("_http._tcp.local", Rtype::PTR, "_http._tcp.local PTR Web."),
    ("_services._dns-sd._udp.local", Rtype::PTR, "_services._dns-sd._udp.local PTR _http."),
];

/// In a reply to a simple resolver names are written as it has written them.
fn starts_with(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start))
}

struct Waiting {
    until: Instant,
    from: Destination,
    answer: &'static str,
}

/// A second, the longest delay of section 6, and half a second for aggregation.
const PATIENCE: Duration = Duration::from_millis(1600);

#[derive(Default)]
struct Watch {
    waiting: Vec<Waiting>,
    /// When each record was multicast last.
    told: HashMap<String, Instant>,
}

impl Watch {
    fn see(&mut self, all: &[Sent]) {
        for sent in all {
            let read = sent.read();
            assert!(sent.bytes.len() <= 1472);
            let mut texts: Vec<_> = read.records.iter().map(|line| format!("{} {}", line.name, line.text)).collect();
            for (line, text) in read.records.iter().zip(&texts).filter(|_| read.response) {
                self.waiting.retain(|waiting| {
                    !(starts_with(text, waiting.answer) && (sent.is_multicast() || sent.to == waiting.from))
                });
                let of_set = format!("{} {}", line.name, line.text.split(' ').next().unwrap());
                let key = if line.flush { of_set } else { text.clone() };
                if sent.is_multicast() && line.ttl > 0 {
                    let last = self.told.insert(key, sent.at);
                    assert!(
                        last.is_none_or(|last| sent.at == last || sent.at - last >= Duration::from_secs(1)),
                        "M-20: {text} again after {:?}",
                        last.map(|last| sent.at - last)
                    );
                }
            }
            let count = texts.len();
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), count, "M-41");
        }
    }

    fn check(&self, now: Instant) {
        for waiting in &self.waiting {
            assert!(now < waiting.until, "{:?} waits for {} in vain", waiting.from, waiting.answer);
        }
    }
}

/// M-15, M-16, M-20, M-21, M-41: random questions of random hosts, far more than can be kept apart, while services come and
/// go.
#[test]
fn nobody_waits_in_vain_and_nothing_is_told_too_often() {
    for seed in 0..20 {
        let (mut device, mut random, mut watch) = (esp32_with_web(seed), Random::new(seed), Watch::default());
        let (mut others, mut published): (Vec<ServiceId>, usize) = (Vec::new(), 0);
        for step in 0..3000 {
            let pause = if step % 500 < 250 { 20 } else { 400 };
            let sent = device.run(random.next_u64() % pause);
            watch.see(&sent);
            watch.check(device.now);
            let mut choose = |n: u64| random.next_u64() % n;
            match choose(100) {
                0..3 if others.len() < 5 => {
                    published += 1;
                    let name = format!("Other {published} of many");
                    others.push(device.engine.publish(device.now, &Service { instance: &name, ..WEB }).unwrap());
                }
                3..6 if !others.is_empty() => {
                    let id = others.swap_remove(choose(others.len() as u64) as usize);
                    device.engine.withdraw(device.now, id).unwrap();
                }
                6..8 => device.engine.set_txt(device.now, ServiceId(1), &[&format!("n={step}")]).unwrap(),
                _ => {
                    let mut query = Compose::query();
                    let from: IpAddr = format!("192.0.2.{}", 2 + choose(60)).parse().unwrap();
                    let port = if choose(10) == 0 { 4000 } else { PORT };
                    for _ in 0..=choose(3) {
                        let (name, rtype, answer) = QUESTIONS[choose(QUESTIONS.len() as u64) as usize];
                        query = if choose(3) == 0 { query.ask_unicast(name, rtype) } else { query.ask(name, rtype) };
                        let waiting = Waiting {
                            until: device.now + PATIENCE,
                            from: Destination::Unicast((from, port).into()),
                            answer,
                        };
                        watch.waiting.push(waiting);
                        if port != PORT {
                            break; // simple resolvers ask one question
                        }
                    }
                    if choose(8) == 0 {
                        query = query.truncated();
                    }
                    let sent = device.receive((from, port).into(), GROUP_V4.into(), &query.bytes());
                    watch.see(&sent);
                }
            }
        }
        let sent = device.run(10_000);
        watch.see(&sent);
        watch.check(device.now);
        assert!(device.engine.poll_timeout().is_none(), "nothing is left");
    }
}
