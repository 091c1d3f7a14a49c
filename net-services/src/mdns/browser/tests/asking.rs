use domain::base::Rtype;
use net_core::time::Duration;
use std::format;
use std::string::String;
use std::vec::Vec;

use super::super::super::engine::Engine;
use super::super::super::testing::{Compose, Device, Put, at};
use super::super::super::{Config, MdnsError, Resources};
use super::*;

/// M-43: the first query comes after 20 to 120 ms, any time of that as likely as any other.
#[test]
fn the_first_query_waits_for_a_random_time() {
    let mut tenths = [0u32; 10];
    for seed in 0..4000 {
        let mut device = device(seed);
        let start = device.now;
        ask(&mut device, TYPE, Rtype::PTR, false);
        let sent = device.run(130);
        let delay = (only(&sent), sent[0].at.duration_since(start).as_micros()).1;
        assert!((20_000..=120_000).contains(&delay), "{delay}");
        tenths[(delay.saturating_sub(20_000) / 10_001) as usize] += 1;
    }
    assert!(tenths.iter().all(|count| (320..480).contains(count)), "{tenths:?}");
}

/// M-43: then after 1, 2, 4 seconds and so on, up to an hour.
#[test]
fn intervals_double_up_to_an_hour() {
    let mut device = device(1);
    ask(&mut device, TYPE, Rtype::PTR, false);
    let times = times(&device.run(6 * 3_600_000));
    let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0] + 500) / 1000).collect();
    assert_eq!(gaps, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600, 3600]);
}

/// RFC 6762 section 5.4: only the first query may ask for unicast replies.
#[test]
fn only_the_first_query_asks_for_unicast() {
    let mut device = Device::new(1);
    device.connect(&["192.0.2.1/24"]);
    ask(&mut device, TYPE, Rtype::PTR, false);
    let unicast: Vec<_> = device.run(5000).iter().map(|sent| sent.read().questions[0].2).collect();
    assert_eq!(unicast, [true, false, false]);
    let message = device.run(10_000)[0].read();
    assert!(!message.response && message.id == 0 && !message.truncated);

    let mut device = super::device(1);
    ask(&mut device, TYPE, Rtype::PTR, false);
    assert!(device.run(5000).iter().all(|sent| !sent.read().questions[0].2 && sent.is_multicast()));
}

/// M-24, M-35.
#[test]
fn questions_that_are_due_together_go_in_one_message() {
    for seed in 0..100 {
        let mut device = device(seed);
        for of in ["a.local", "b.local", "c.local"] {
            ask(&mut device, of, Rtype::A, false);
        }
        ask(&mut device, "c.local", Rtype::AAAA, false);
        for sent in device.run(20_000) {
            assert_eq!(sent.read().questions.len(), 4);
        }
    }
}

#[test]
fn those_who_ask_the_same_share_a_question_until_the_last_is_gone() {
    let mut device = device(1);
    let ids = [ask(&mut device, TYPE, Rtype::PTR, false), ask(&mut device, "_HTTP._tcp.local", Rtype::PTR, true)];
    let other = ask(&mut device, TYPE, Rtype::TXT, false);
    assert!(ids[0] != ids[1] && ids[1] != other);
    assert_eq!(only(&device.run(200)).questions.len(), 2);
    device.engine.forget(other);
    device.engine.forget(ids[0]);
    let read = only(&device.run(1000));
    assert_eq!(read.questions, [(String::from(TYPE), Rtype::PTR, false)]);
    device.engine.forget(ids[1]);
    assert!(device.run(10_000_000).is_empty());
    assert_eq!(device.engine.poll_timeout(), None);
}

/// Who asks what has been asked for long does not wait for the long interval.
#[test]
fn a_new_user_of_an_old_question_has_it_asked_soon() {
    let mut device = device(1);
    ask(&mut device, "a.local", Rtype::A, false);
    assert_eq!(device.run(100_000).len(), 7);
    let start = device.now.as_millis();
    ask(&mut device, "a.local", Rtype::A, false);
    let times = times(&device.run(3500));
    assert!(times.len() == 3 && (20..=120).contains(&(times[0] - start)), "{times:?}");
}

#[test]
fn more_questions_than_there_is_memory_for_are_refused() {
    let mut device = device(1);
    let mut ids = Vec::new();
    for i in 0..8 {
        ids.push(ask(&mut device, &format!("{i}.local"), Rtype::A, false));
    }
    let nine = name("9.local");
    let full = |device: &mut Device| device.engine.ask(device.now, &by_ref(&nine), Rtype::A, false);
    assert_eq!(full(&mut device), Err(MdnsError::Full));
    device.engine.forget(ids[3]);
    assert!(full(&mut device).is_ok());
    assert_eq!(asked(&device.run(200)).len(), 8);
    let mut none = Resources::<0, 0, 0>::new();
    let mut engine = Engine::new(Config::new(), &mut none, 1);
    assert_eq!(engine.ask(at(0), &by_ref(&nine), Rtype::A, false), Err(MdnsError::Full));
}

fn address(of: &str, ttl: u32) -> Compose {
    Compose::response().answer(of, ttl, &Put::Address("192.0.2.7"))
}

/// M-43, RFC 6762 section 5.2: a unique record that is known is not asked for, until 80, 85, 90 and 95 percent of its TTL
/// have passed, and up to 2 percent more, any of that as likely.
#[test]
fn what_is_known_is_asked_for_again_before_it_ends() {
    let mut fifths = [[0u32; 5]; 4];
    for seed in 0..3000 {
        let mut device = device(seed);
        device.hear(&address("a.local", 100));
        let start = device.now;
        ask(&mut device, "a.local", Rtype::A, false);
        let sent = device.run_until(start + Duration::from_millis(99_900));
        assert_eq!(sent.len(), 4, "seed {seed}");
        for (i, sent) in sent.iter().enumerate() {
            let read = sent.read();
            assert_eq!((read.questions.len(), read.records.len()), (1, 0));
            let late = sent.at.duration_since(start).as_millis() - (80_000 + 5000 * i as u64);
            assert!(late <= 2000, "{late}");
            fifths[i][(late / 401) as usize] += 1;
        }
        assert_eq!(seen(&device, "a.local", Rtype::A), ["A 192.0.2.7"]);
    }
    assert!(fifths.iter().flatten().all(|count| (520..680).contains(count)), "{fifths:?}");
}

/// And when it has ended, as at the start.
#[test]
fn what_was_lost_is_asked_for_anew() {
    let mut device = device(1);
    device.hear(&address("a.local", 100));
    let end = device.now + Duration::from_secs(100);
    ask(&mut device, "a.local", Rtype::A, false);
    device.run_until(end - Duration::from_millis(1));
    let before = device.engine.generation();
    let sent = device.run(10_000);
    assert_ne!(device.engine.generation(), before);
    assert!(seen(&device, "a.local", Rtype::A).is_empty());
    let gaps: Vec<_> = times(&sent).iter().map(|at| (at - end.as_millis()) / 1000).collect();
    assert_eq!(gaps, [0, 1, 3, 7]);
}

#[test]
fn an_answer_ends_the_queries_and_the_refreshing_begins_anew() {
    let mut device = device(1);
    ask(&mut device, "a.local", Rtype::A, false);
    assert_eq!(device.run(200).len(), 1);
    for _ in 0..3 {
        device.hear(&address("a.local", 120));
        assert!(device.run(95_900).is_empty());
        assert_eq!(device.run(2500).len(), 1, "at 80 percent");
    }
}

/// A short TTL does not make it ask more than once in a second (RFC 6762 section 5.2).
#[test]
fn what_lives_shortly_is_not_asked_for_too_often() {
    for ttl in [1, 2, 5, 10, 15] {
        let mut device = device(u64::from(ttl));
        device.hear(&address("a.local", ttl));
        ask(&mut device, "a.local", Rtype::A, false);
        let sent = times(&device.run(u64::from(ttl) * 1000 - 1));
        assert!(!sent.is_empty() && sent.windows(2).all(|pair| pair[1] - pair[0] >= 1000), "{ttl}: {sent:?}");
    }
}

#[test]
fn what_nobody_wants_is_not_asked_for() {
    let mut device = device(1);
    device.hear(&address("a.local", 120));
    let id = ask(&mut device, "a.local", Rtype::A, false);
    device.run(10);
    device.engine.forget(id);
    assert!(device.run(200_000).is_empty());
    assert_eq!(device.engine.poll_timeout(), None);
}

fn pointer(to: &str, ttl: u32) -> Compose {
    Compose::response().answer(TYPE, ttl, &Put::Ptr(to))
}

/// M-17: known answers are listed while more than half of their TTL is left, with what is left, without the cache-flush
/// bit (RFC 6762 section 10.2).
#[test]
fn known_answers_are_listed() {
    let mut device = device(1);
    device.hear(&pointer("old._http._tcp.local", 120));
    device.run(50_000);
    device.hear(&pointer("new._http._tcp.local", 120));
    ask(&mut device, TYPE, Rtype::PTR, false);
    let read = only(&device.run(200));
    assert_eq!(
        read.answers(),
        ["_http._tcp.local PTR new._http._tcp.local", "_http._tcp.local PTR old._http._tcp.local"]
    );
    let ttl = |of: &str| read.line(&format!("_http._tcp.local PTR {of}._http._tcp.local")).map(|line| line.ttl);
    assert_eq!((ttl("old"), ttl("new")), (Some(69), Some(119)));
    assert!(read.records.iter().all(|line| !line.flush));
    device.hear(&pointer("gone._http._tcp.local", 120));
    device.hear(&pointer("gone._http._tcp.local", 0));
    assert_eq!(only(&device.run(999)).answers().len(), 2, "what is about to end is no known answer");
    device.run(10_000);
    let sent = device.run(5000);
    assert_eq!(only(&sent).answers(), ["_http._tcp.local PTR new._http._tcp.local"], "half of 120 s have passed");
}

/// M-17: a refreshing query lists what needs none.
#[test]
fn a_refresh_of_shared_records_lists_the_others() {
    let mut device = device(3);
    ask(&mut device, TYPE, Rtype::PTR, false);
    device.hear(&pointer("a._http._tcp.local", 120));
    device.run(90_000);
    device.hear(&pointer("b._http._tcp.local", 120));
    let sent = device.run(9000);
    assert_eq!(only(&sent).answers(), ["_http._tcp.local PTR b._http._tcp.local"]);
}

/// M-18, M-36: known answers that do not fit follow at once in messages without questions; all but the last say that there
/// are more.
#[test]
fn many_known_answers_take_several_messages() {
    let mut device = device_of::<200>(1);
    for i in 0..150 {
        device.hear(&pointer(&format!("instance number {i}._http._tcp.local"), 4500));
    }
    ask(&mut device, TYPE, Rtype::PTR, false);
    let sent = device.run(200);
    let reads: Vec<_> = sent.iter().map(Sent::read).collect();
    assert!(reads.len() > 2);
    let last = reads.len() - 1;
    for (i, read) in reads.iter().enumerate() {
        assert_eq!((read.questions.len(), read.truncated), (usize::from(i == 0), i < last), "{i}");
        assert!(sent[i].bytes.len() <= 1472 && (i == last || sent[i].bytes.len() > 1300));
        assert_eq!(sent[i].at, sent[0].at);
    }
    let mut all: Vec<_> = reads.iter().flat_map(Read::answers).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 150);
}

/// One that is too large for any message is left out, and keeps nothing else from being sent.
#[test]
fn a_known_answer_that_never_fits_is_left_out() {
    let mut device = device(1);
    device.buffer = 100;
    let large = [&[200][..], &[b'x'; 200]].concat();
    let response = Compose::response().answer("a.local", 4500, &Put::Other(Rtype::HINFO, &large));
    device.hear(&response.answer("a.local", 4500, &Put::Other(Rtype::HINFO, b"small")));
    ask(&mut device, "a.local", Rtype::HINFO, false);
    device.run(100);
    let reads: Vec<_> = device.run(20_000).iter().map(Sent::read).collect();
    assert!(reads.iter().all(|read| read.answers().len() <= 1));
    // A question whose name does not fit counts as asked, and others go on.
    let long = format!("{0}.{0}.local", "x".repeat(60));
    ask(&mut device, &long, Rtype::A, false);
    ask(&mut device, "b.local", Rtype::A, false);
    let asked: Vec<_> = asked(&device.run(5000)).into_iter().map(|(_, of, _)| of).collect();
    assert_eq!(asked.iter().filter(|of| *of == "b.local").count(), 3, "{asked:?}");
}

/// More questions than fit into one message.
#[test]
fn many_questions_take_several_messages() {
    let mut device = device(1);
    device.buffer = 120;
    for i in 0..8 {
        ask(&mut device, &format!("{}{i}.local", "x".repeat(30)), Rtype::A, false);
    }
    for _ in 0..2 {
        let sent = device.run(990);
        assert!(sent.len() == 4 && sent.iter().all(|sent| sent.read().questions.len() == 2), "{sent:?}");
    }
    assert_eq!(device.engine.stats().questions, 16);
}
