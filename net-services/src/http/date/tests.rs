//! Dates, there and back.

use super::*;

#[test]
fn the_example_of_the_rfc_in_its_three_forms() {
    let moment = UnixTime::from_secs(784_111_777);
    assert_eq!(&write(moment), b"Sun, 06 Nov 1994 08:49:37 GMT");
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
        assert_eq!(parse(text.as_bytes()), Some(moment), "{text}");
    }
}
