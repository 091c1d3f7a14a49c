//! Cases 1 to 5 and 10: frames, control frames, reserved bits and opcodes, fragments; and what the suite does not ask.

use std::vec;

use super::*;

#[test]
fn h18_autobahn_1_messages_of_every_form_of_length() {
    for n in [0, 1, 125, 126, 127, 128, 65535, 65536] {
        // 1.1.1 to 1.1.8
        let text = "*".repeat(n);
        assert_eq!(decode(&[frame(TEXT, &text)]), [Told::Text(text)]);
        // 1.2.1 to 1.2.8
        let bytes = vec![0xfe; n];
        assert_eq!(decode(&[frame(BINARY, &bytes)]), [Told::Binary(bytes)]);
    }
}

#[test]
fn h18_autobahn_2_pings_and_pongs() {
    // 2.1 to 2.4, and 2.6 with its cuts
    for payload in [&b""[..], b"Hello, world!", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff", &[0xfe; 125]] {
        assert_eq!(decode(&[frame(PING, payload)]), [Told::Ping(payload.into())]);
    }
    // 2.5
    assert_eq!(decode(&[frame(PING, [0xfe; 126])]), [PROTOCOL_ERROR]);
    // 2.7 to 2.9: unsolicited pongs
    for payload in [&b""[..], b"unsolicited pong payload"] {
        assert_eq!(
            decode(&[frame(PONG, payload), frame(PING, "ping payload")]),
            [Told::Pong(payload.into()), Told::Ping(b"ping payload".into())]
        );
    }
    // 2.10, 2.11
    let payloads: Vec<_> = (0..10).map(|n| std::format!("payload-{n}").into_bytes()).collect();
    let pings: Vec<_> = payloads.iter().map(|payload| frame(PING, payload)).collect();
    assert_eq!(decode(&pings), payloads.into_iter().map(Told::Ping).collect::<Vec<_>>());
}

#[test]
fn h18_autobahn_3_reserved_bits() {
    let reserved = |rsv: u8, opcode: u8| raw_frame(0x80 | rsv << 4 | opcode, b"Hello");
    // 3.1
    assert_eq!(decode(&[reserved(1, TEXT)]), [PROTOCOL_ERROR]);
    // 3.2 to 3.4
    for rsv in 2..=4 {
        let frames = [frame(TEXT, "Hello"), reserved(rsv, TEXT), frame(PING, "")];
        assert_eq!(decode(&frames), [told_text("Hello"), PROTOCOL_ERROR]);
    }
    // 3.5 to 3.7
    for (rsv, opcode) in [(5, BINARY), (6, PING), (7, CLOSE)] {
        assert_eq!(decode(&[reserved(rsv, opcode)]), [PROTOCOL_ERROR]);
    }
}

#[test]
fn h18_autobahn_4_reserved_opcodes() {
    // 4.1.1 to 4.1.5, 4.2.1 to 4.2.5
    for opcode in (3..8).chain(11..16) {
        for payload in ["", "reserved opcode payload"] {
            let frames = [frame(TEXT, "Hello"), frame(opcode, payload), frame(PING, "")];
            assert_eq!(decode(&frames), [told_text("Hello"), PROTOCOL_ERROR], "{opcode}");
        }
    }
}

#[test]
fn h18_autobahn_5_fragments() {
    let (one, two) = ("fragment1", "fragment2");
    let whole = "fragment1fragment2";
    let ping = || frame(PING, "ping payload");
    let told_ping = || Told::Ping(b"ping payload".into());
    // 5.1, 5.2
    for opcode in [PING, PONG] {
        assert_eq!(decode(&[fragment(opcode, one), frame(CONTINUATION, two)]), [PROTOCOL_ERROR]);
    }
    // 5.3 to 5.5
    assert_eq!(decode(&[fragment(TEXT, one), frame(CONTINUATION, two)]), [told_text(whole)]);
    // 5.6 to 5.8
    assert_eq!(decode(&[fragment(TEXT, one), ping(), frame(CONTINUATION, two)]), [told_ping(), told_text(whole)]);
    // 5.9 to 5.14
    for first in [frame(CONTINUATION, "nothing to continue"), fragment(CONTINUATION, "nothing to continue")] {
        assert_eq!(decode(&[first, frame(TEXT, "Hello")]), [PROTOCOL_ERROR]);
    }
    // 5.15
    for third in [frame(CONTINUATION, "fragment3"), fragment(CONTINUATION, "fragment3")] {
        let frames = [fragment(TEXT, one), frame(CONTINUATION, two), third, frame(TEXT, "Hello")];
        assert_eq!(decode(&frames), [told_text(whole), PROTOCOL_ERROR]);
    }
    // 5.16, 5.17
    for first in [fragment(CONTINUATION, one), frame(CONTINUATION, one)] {
        let frames = [first.clone(), frame(TEXT, two), first, frame(TEXT, two)];
        assert_eq!(decode(&frames), [PROTOCOL_ERROR]);
    }
    // 5.18
    for opcode in [TEXT, BINARY] {
        assert_eq!(decode(&[fragment(TEXT, one), frame(opcode, two)]), [PROTOCOL_ERROR]);
        assert_eq!(decode(&[fragment(TEXT, one), fragment(opcode, two)]), [PROTOCOL_ERROR]);
    }
    // 5.19, 5.20
    let frames = [
        fragment(TEXT, "fragment1"),
        fragment(CONTINUATION, "fragment2"),
        ping(),
        fragment(CONTINUATION, "fragment3"),
        fragment(CONTINUATION, "fragment4"),
        ping(),
        frame(CONTINUATION, "fragment5"),
    ];
    let whole = "fragment1fragment2fragment3fragment4fragment5";
    assert_eq!(decode(&frames), [told_ping(), told_ping(), told_text(whole)]);
}

#[test]
fn h18_autobahn_10_a_message_in_many_fragments() {
    // 10.1.1: 65536 bytes in frames of 1300
    let text = "*".repeat(65536);
    let pieces: Vec<_> = text.as_bytes().chunks(1300).collect();
    let frames: Vec<_> = (0..pieces.len())
        .map(|n| match n {
            0 => fragment(TEXT, pieces[0]),
            n if n + 1 == pieces.len() => frame(CONTINUATION, pieces[n]),
            n => fragment(CONTINUATION, pieces[n]),
        })
        .collect();
    assert_eq!(decode(&frames), [Told::Text(text)]);
}

#[test]
fn h18_frames_must_be_masked() {
    for unmasked in [&b"\x81\x05Hello"[..], b"\x81\x00", b"\x88\x00", b"\x89\x00", b"\x82\x7e\x01\x00"] {
        assert_eq!(decode(&[unmasked.into()]), [PROTOCOL_ERROR], "{unmasked:?}");
    }
}

/// The first two bytes tell enough: what follows is not waited for.
#[test]
fn h18_a_bad_header_is_refused_with_its_second_byte() {
    for start in [
        [0x81, 0x05], // not masked
        [0xc1, 0x85], // reserved bit
        [0x83, 0x85], // reserved opcode
        [0x80, 0x85], // continuation of nothing
        [0x09, 0x85], // fragmented Ping
        [0x89, 0xfe], // Ping of more than 125 bytes
    ] {
        let mut run = Run::new(ROOM);
        run.feed(&start[..1]);
        assert_eq!(run.told, []);
        run.feed(&start[1..]);
        assert_eq!(run.told, [PROTOCOL_ERROR], "{start:x?}");
    }
}

#[test]
fn h18_lengths_are_in_the_fewest_bytes_and_below_2_to_the_63() {
    let header = |form: u8, length: &[u8]| [&[0x82, 0x80 | form], length, &[0; 4]].concat();
    for bad in [
        header(126, &[0, 0]),
        header(126, &[0, 125]),
        header(127, &[0; 8]),
        header(127, &[0, 0, 0, 0, 0, 0, 0xff, 0xff]),
        header(127, &[0x80, 0, 0, 0, 0, 0, 0, 0]),
        header(127, &[0xff; 8]),
    ] {
        assert_eq!(decode(std::slice::from_ref(&bad)), [PROTOCOL_ERROR], "{bad:x?}");
    }
}

#[test]
fn h18_a_message_larger_than_the_buffer_is_refused_by_its_header() {
    for length in [ROOM as u64 + 1, u64::from(u32::MAX) + 1, i64::MAX as u64] {
        let header = [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(decode(&[header]), [TOO_BIG], "{length}");
    }
    // Together, over fragments.
    let mut run = Run::new(10);
    run.feed(&[fragment(BINARY, [1; 6]), fragment(CONTINUATION, [2; 4])].concat());
    assert_eq!(run.told, []);
    run.feed(&frame(CONTINUATION, [3; 1])[..6]);
    assert_eq!(run.told, [TOO_BIG]);
    // As large as it is still fits, and the next one begins anew.
    let mut run = Run::new(10);
    run.feed(&[fragment(BINARY, [1; 6]), frame(CONTINUATION, [2; 4]), frame(TEXT, "0123456789")].concat());
    assert_eq!(run.told, [Told::Binary(vec![1, 1, 1, 1, 1, 1, 2, 2, 2, 2]), told_text("0123456789")]);
}

#[test]
fn h18_control_frames_leave_the_message_alone() {
    let mut run = Run::new(8);
    run.feed(&fragment(TEXT, "abcd"));
    run.feed(&frame(PING, [b'x'; 125]));
    run.feed(&frame(PONG, ""));
    run.feed(&frame(CONTINUATION, "efgh"));
    assert_eq!(run.told, [Told::Ping(vec![b'x'; 125]), Told::Pong(vec![]), told_text("abcdefgh")]);
}

#[test]
fn h18_after_our_close_messages_are_read_over_and_rules_still_hold() {
    let mut run = Run::new(4);
    run.feed(&fragment(TEXT, "abc"));
    run.decoder.discard_messages();
    run.feed(&[frame(CONTINUATION, "\u{e9}efghijk"), frame(BINARY, [0; 1000]), frame(TEXT, b"\xff")].concat());
    assert_eq!(run.told, []);
    run.feed(&close(1000, "bye"));
    assert_eq!(run.told, [Told::Close(Some(CloseCode::NORMAL), "bye".into())]);

    let mut run = Run::new(4);
    run.decoder.discard_messages();
    run.feed(b"\x81\x05Hello");
    assert_eq!(run.told, [PROTOCOL_ERROR]);
}
