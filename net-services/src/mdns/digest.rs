//! Data in four bytes.

/// A digest of what the pieces hold, one behind another (FNV-1a).
///
/// Anybody can make up data that has the same. Where it is used that gains nothing: whoever can send on this link can say
/// anything in the name of others anyway. By chance it happens once in four billion times.
pub(super) fn digest(pieces: &[&[u8]]) -> u32 {
    let mut digest = 0x811c_9dc5_u32;
    for byte in pieces.iter().copied().flatten() {
        digest = (digest ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
    }
    digest
}
