//! Bodies of every framing, cut everywhere.

use super::*;

#[test]
fn h8_chunks() {
    let mut decoder = Decoder::new(Framing::Chunked);
    assert_eq!(decoder.next(b"5\r\nhello\r\n0\r\n\r\n"), Ok(Step::Data { skip: 3, length: 5 }));
    decoder.consumed(5);
    assert_eq!(decoder.next(b"\r\n0\r\n\r\nGET"), Ok(Step::End { skip: 7 }));
    assert!(decoder.is_done());
}
