//! Cases 6: text is UTF-8, and is found out not to be with the first byte that tells.

use super::*;

const KOSME: &str = "κόσμε";

#[test]
fn h18_autobahn_6_1_empty_texts_and_fragments() {
    // 6.1.1 to 6.1.3
    assert_eq!(decode(&[frame(TEXT, "")]), [told_text("")]);
    for middle in ["", "middle frame payload"] {
        let frames = [fragment(TEXT, ""), fragment(CONTINUATION, middle), frame(CONTINUATION, "")];
        assert_eq!(decode(&frames), [told_text(middle)]);
    }
}

/// In fragments of one byte.
fn in_fragments(text: &[u8]) -> Vec<Vec<u8>> {
    let opcode = |at| if at == 0 { TEXT } else { CONTINUATION };
    let mut frames: Vec<_> = text.iter().enumerate().map(|(at, byte)| fragment(opcode(at), [*byte])).collect();
    frames.push(frame(opcode(text.len()), ""));
    frames
}

#[test]
fn h18_autobahn_6_2_text_cut_within_characters() {
    for text in ["Hello-µ@ßöäüàá-UTF-8!!", KOSME] {
        // 6.2.1, 6.2.4
        assert_eq!(decode(&[frame(TEXT, text)]), [told_text(text)]);
        // 6.2.2, at every place
        for at in 0..text.len() {
            let (one, two) = text.as_bytes().split_at(at);
            assert_eq!(decode(&[fragment(TEXT, one), frame(CONTINUATION, two)]), [told_text(text)]);
        }
        // 6.2.3
        assert_eq!(decode(&in_fragments(text.as_bytes())), [told_text(text)]);
    }
}

#[test]
fn h18_autobahn_6_3_text_with_an_invalid_sequence() {
    // 6.3.1, 6.3.2
    let text = [KOSME.as_bytes(), b"\xed\xa0\x80", b"edited"].concat();
    assert_eq!(decode(&[frame(TEXT, &text)]), [NOT_UTF8]);
    assert_eq!(decode(&in_fragments(&text)), [NOT_UTF8]);
}

/// Feeds the frames byte by byte, and gives how many bytes of payload in all the decoder took before it refused.
fn refused_after(text: &[u8], frames: &[Vec<u8>]) -> usize {
    let mut payload = 0;
    for frame in frames {
        let mut run = Run::new(ROOM);
        // Whatever came before.
        run.feed(
            &frames.iter().take_while(|other| !core::ptr::eq(*other, frame)).flatten().copied().collect::<Vec<_>>(),
        );
        for (at, byte) in frame.iter().enumerate() {
            run.feed(&[*byte]);
            if at >= 6 {
                payload += 1;
            }
            if !run.told.is_empty() {
                assert_eq!(run.told, [NOT_UTF8]);
                return payload;
            }
        }
    }
    panic!("{text:x?} was not refused");
}

#[test]
fn h18_autobahn_6_4_the_first_invalid_byte_is_refused_at_once() {
    // 6.4.1 to 6.4.4: U+110000, which shows with its second byte
    let text = [KOSME.as_bytes(), b"\xf4\x90\x80\x80", b"edited"].concat();
    let bad = KOSME.len() + 2;
    assert_eq!(refused_after(&text, &[frame(TEXT, &text)]), bad);
    for at in 0..text.len() {
        let (one, two) = text.split_at(at);
        assert_eq!(refused_after(&text, &[fragment(TEXT, one), frame(CONTINUATION, two)]), bad, "cut at {at}");
    }
    assert_eq!(refused_after(&text, &in_fragments(&text)), bad);
}

#[test]
fn h18_autobahn_6_5_to_6_23_valid_and_invalid_sequences() {
    let valid: &[&[u8]] = &[
        // 6.5.1 to 6.5.5: characters of each length
        "κόσμε".as_bytes(),
        // 6.6.2, 6.6.5, 6.6.7, 6.6.9, 6.6.11
        b"\xce\xba",
        b"\xce\xba\xe1\xbd\xb9",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5",
        // 6.7: the first character of each length
        b"\x00",
        b"\xc2\x80",
        b"\xe0\xa0\x80",
        b"\xf0\x90\x80\x80",
        // 6.9: the last
        b"\x7f",
        b"\xdf\xbf",
        b"\xef\xbf\xbf",
        b"\xf4\x8f\xbf\xbf",
        // 6.11: about the boundaries
        b"\xed\x9f\xbf",
        b"\xee\x80\x80",
        b"\xef\xbf\xbd",
        // 6.22, 6.23: non-characters and replacement characters are characters
        b"\xef\xbf\xbe",
        b"\xef\xb7\x90",
        b"\xf0\x9f\xbf\xbe",
        b"\xf3\xbf\xbf\xbf",
        b"\xef\xbf\xb9",
        b"\xef\xbf\xbc",
    ];
    for text in valid {
        let expected = [told_text(str::from_utf8(text).unwrap())];
        assert_eq!(decode(&[frame(TEXT, text)]), expected, "{text:x?}");
        assert_eq!(decode(&in_fragments(text)), expected, "{text:x?}");
    }
    let invalid: &[&[u8]] = &[
        // 6.6.1, 6.6.3, 6.6.4, 6.6.6, 6.6.8, 6.6.10: cut within a character
        b"\xce",
        b"\xce\xba\xe1",
        b"\xce\xba\xe1\xbd",
        b"\xce\xba\xe1\xbd\xb9\xcf",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce",
        b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce",
        // 6.8: characters of five and six bytes
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        // 6.10: and the last of them
        b"\xf7\xbf\xbf\xbf",
        b"\xfb\xbf\xbf\xbf\xbf",
        b"\xfd\xbf\xbf\xbf\xbf\xbf",
        // 6.11.5
        b"\xf4\x90\x80\x80",
        // 6.12: continuation bytes alone
        b"\x80",
        b"\xbf",
        b"\x80\xbf",
        b"\x80\xbf\x80\xbf\x80\xbf",
        // 6.13: first bytes alone
        b"\xc0 \xc1 \xc2 ",
        b"\xe0 \xe1 ",
        b"\xf0 \xf1 ",
        b"\xf8 \xf9 ",
        b"\xfc \xfd ",
        // 6.14: the last continuation byte missing
        b"\xc0",
        b"\xe0\x80",
        b"\xf0\x80\x80",
        b"\xf8\x80\x80\x80",
        b"\xfc\x80\x80\x80\x80",
        b"\xdf",
        b"\xef\xbf",
        b"\xf7\xbf\xbf",
        // 6.15
        b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf",
        // 6.16: bytes that are never in UTF-8
        b"\xfe",
        b"\xff",
        b"\xfe\xfe\xff\xff",
        // 6.17 to 6.19: longer than needed
        b"\xc0\xaf",
        b"\xe0\x80\xaf",
        b"\xf0\x80\x80\xaf",
        b"\xf8\x80\x80\x80\xaf",
        b"\xfc\x80\x80\x80\x80\xaf",
        b"\xc1\xbf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xf8\x87\xbf\xbf\xbf",
        b"\xfc\x83\xbf\xbf\xbf\xbf",
        b"\xc0\x80",
        b"\xe0\x80\x80",
        b"\xf0\x80\x80\x80",
        // 6.20, 6.21: surrogates, alone and in pairs
        b"\xed\xa0\x80",
        b"\xed\xad\xbf",
        b"\xed\xae\x80",
        b"\xed\xaf\xbf",
        b"\xed\xb0\x80",
        b"\xed\xbe\x80",
        b"\xed\xbf\xbf",
        b"\xed\xa0\x80\xed\xb0\x80",
        b"\xed\xaf\xbf\xed\xbf\xbf",
    ];
    for text in invalid {
        assert_eq!(decode(&[frame(TEXT, text)]), [NOT_UTF8], "{text:x?}");
        assert_eq!(decode(&in_fragments(text)), [NOT_UTF8], "{text:x?}");
        assert_eq!(decode(&[frame(BINARY, text)]), [Told::Binary((*text).into())], "bytes may be anything");
    }
}
