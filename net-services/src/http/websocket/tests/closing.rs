//! Cases 7: the Close frame, and what comes after it.

use super::*;

const NORMAL: Option<CloseCode> = Some(CloseCode::NORMAL);

fn told_close(code: Option<CloseCode>, reason: &str) -> Told {
    Told::Close(code, reason.into())
}

#[test]
fn h18_autobahn_7_1_nothing_counts_after_a_close() {
    // 7.1.1
    let told = decode(&[frame(TEXT, "Hello World!"), close(1000, "")]);
    assert_eq!(told, [told_text("Hello World!"), told_close(NORMAL, "")]);
    // 7.1.2 to 7.1.4
    for after in [close(1000, ""), frame(PING, ""), frame(TEXT, "Hello World!")] {
        assert_eq!(decode(&[close(1000, ""), after]), [told_close(NORMAL, "")]);
    }
    // 7.1.5
    let frames = [fragment(TEXT, "fragment1"), close(1000, ""), frame(CONTINUATION, "fragment2")];
    assert_eq!(decode(&frames), [told_close(NORMAL, "")]);
    // 7.1.6, with a message that fits the buffer
    let long = "BAsd7&jh23".repeat(6000);
    let frames = [frame(TEXT, "Hello World!"), frame(TEXT, &long), close(1000, ""), frame(PING, "")];
    assert_eq!(decode(&frames), [told_text("Hello World!"), told_text(&long), told_close(NORMAL, "")]);
    // Not even what is no frame.
    assert_eq!(decode(&[close(1000, ""), [0xff; 64].into()]), [told_close(NORMAL, "")]);
}

#[test]
fn h18_autobahn_7_3_close_payloads() {
    // 7.3.1
    assert_eq!(decode(&[frame(CLOSE, "")]), [told_close(None, "")]);
    // 7.3.2
    assert_eq!(decode(&[frame(CLOSE, "a")]), [PROTOCOL_ERROR]);
    // 7.3.3 to 7.3.5
    for reason in ["", "Hello World!", &"*".repeat(123)] {
        assert_eq!(decode(&[close(1000, reason)]), [told_close(NORMAL, reason)]);
    }
    // 7.3.6
    assert_eq!(decode(&[close(1000, "*".repeat(124))]), [PROTOCOL_ERROR]);
}

#[test]
fn h18_autobahn_7_5_a_reason_is_utf8() {
    // 7.5.1
    let reason = [&b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"[..], b"\xed\xa0\x80", b"edited"].concat();
    assert_eq!(decode(&[close(1000, reason)]), [NOT_UTF8]);
    assert_eq!(decode(&[close(1000, b"\xce")]), [NOT_UTF8], "half a character");
    assert_eq!(decode(&[close(1000, "κόσμε")]), [told_close(NORMAL, "κόσμε")]);
}

#[test]
fn h18_autobahn_7_7_and_7_9_close_codes() {
    // 7.7.1 to 7.7.13, and those registered since: 1012 to 1014
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999] {
        assert_eq!(decode(&[close(code, "")]), [told_close(CloseCode::new(code), "")], "{code}");
        assert_eq!(CloseCode::new(code).unwrap().get(), code);
    }
    // 7.9.1 to 7.9.9, 7.13.1 and 7.13.2
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
        assert_eq!(decode(&[close(code, "")]), [PROTOCOL_ERROR], "{code}");
    }
}
