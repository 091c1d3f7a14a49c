//! Frames to be sent: a server's are never masked (RFC 6455 section 5.1).

use edge_ws::{FrameHeader, FrameType};

use super::CloseCode;

/// Bytes of payload that a control frame may have (RFC 6455 section 5.5).
pub(super) const CONTROL: usize = 125;
/// Bytes of a reason in a Close frame, behind the two of the code.
pub(super) const REASON: usize = CONTROL - 2;

/// Writes the header of a final frame to the front of `room`. Gives its length, 2 to 10, or `None` where it does not fit.
pub(super) fn write_header(room: &mut [u8], frame_type: FrameType, payload: usize) -> Option<usize> {
    FrameHeader { frame_type, payload_len: payload as u64, mask_key: None }.serialize(room).ok()
}

/// Writes a whole frame to the front of `room`. Gives its length, or `None` where it does not fit.
pub(super) fn write(room: &mut [u8], frame_type: FrameType, payload: &[u8]) -> Option<usize> {
    let header = write_header(room, frame_type, payload.len())?;
    room.get_mut(header..)?.get_mut(..payload.len())?.copy_from_slice(payload);
    Some(header + payload.len())
}

/// The payload of a Close frame and its length. A reason that is too long is cut between two characters.
pub(super) fn close_payload(code: CloseCode, reason: &str) -> ([u8; CONTROL], usize) {
    let mut payload = [0; CONTROL];
    let reason = reason.get(..reason.floor_char_boundary(REASON)).unwrap_or_default().as_bytes();
    for (to, from) in payload.iter_mut().zip(code.get().to_be_bytes().iter().chain(reason)) {
        *to = *from;
    }
    (payload, 2 + reason.len())
}

#[cfg(test)]
mod tests {
    use std::string::String;

    use super::*;

    #[test]
    fn lengths_are_written_in_the_fewest_bytes() {
        for (payload, expected) in [
            (0, &[0x82, 0][..]),
            (125, &[0x82, 125]),
            (126, &[0x82, 126, 0, 126]),
            (65535, &[0x82, 126, 0xff, 0xff]),
            (65536, &[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut room = [0xaa; 10];
            let length = write_header(&mut room, FrameType::Binary(false), payload).unwrap();
            assert_eq!(&room[..length], expected);
        }
    }

    #[test]
    fn a_frame_that_does_not_fit_is_not_written() {
        let mut room = [0; 6];
        assert_eq!(write(&mut room, FrameType::Text(false), b"abcd"), Some(6));
        assert_eq!(room, *b"\x81\x04abcd");
        assert_eq!(write(&mut room, FrameType::Text(false), b"abcde"), None);
        assert_eq!(write(&mut room[..1], FrameType::Ping, b""), None);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let (payload, length) = close_payload(CloseCode::GOING_AWAY, "bye");
        assert_eq!(&payload[..length], b"\x03\xe9bye");
        let long: String = "a".chars().chain("é".repeat(70).chars()).collect();
        let (payload, length) = close_payload(CloseCode::NORMAL, &long);
        assert_eq!(length, 125);
        assert_eq!(str::from_utf8(&payload[2..length]).unwrap(), &long[..123]);
        let (_, length) = close_payload(CloseCode::NORMAL, &"é".repeat(70));
        assert_eq!(length, 124);
    }
}
