//! New names for taken ones: `printer-2`, `Printer (2)` (RFC 6762 section 9, RFC 6763 appendix D).

use super::name::{LABEL_MAX, decimal};
use super::{Label, types};

/// How a number stands behind a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `printer-2`
    Host,
    /// `Printer (2)`
    Service,
}

impl Style {
    const fn around(self) -> (&'static str, &'static str) {
        match self {
            Self::Host => ("-", ""),
            Self::Service => (" (", ")"),
        }
    }
}

/// A name without its number, and the number: 1 if it has none, so that a stored name is counted on from.
pub(super) fn split(given: &str, style: Style) -> (&str, u16) {
    let (before, after) = style.around();
    let base_and_digits = || {
        let text = given.strip_suffix(after)?;
        let digits = text.bytes().rev().take_while(u8::is_ascii_digit).count();
        let (base, digits) = text.split_at_checked(text.len() - digits)?;
        Some((base.strip_suffix(before)?, digits))
    };
    match base_and_digits() {
        // Only what would be written the same way again.
        Some((base, digits)) if !base.is_empty() && !digits.starts_with('0') => match digits.parse() {
            Ok(number @ 2..) => (base, number),
            _ => (given, 1),
        },
        _ => (given, 1),
    }
}

/// A name with its number, unless that is 1. So that it fits into 63 bytes, its base is cut, but not within a character.
#[inline(never)]
pub(super) fn join(base: &str, number: u16, style: Style) -> Label {
    if number <= 1 {
        return types::label(base);
    }
    let (before, after) = style.around();
    let digits = decimal(number);
    let cut = base.floor_char_boundary(LABEL_MAX - before.len() - digits.len() - after.len());
    let mut label = types::label(base.get(..cut).unwrap_or_default());
    for part in [before, &digits, after] {
        let _ = label.push_str(part); // there is room: the base was cut
    }
    label
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;

    use super::*;

    /// M-9.
    #[test]
    fn numbers_stand_behind_names_and_are_counted_on() {
        for (style, base, number, whole) in [
            (Style::Host, "printer", 1, "printer"),
            (Style::Host, "printer", 2, "printer-2"),
            (Style::Host, "printer-a", 65535, "printer-a-65535"),
            (Style::Service, "Küche", 1, "Küche"),
            (Style::Service, "Küche", 12, "Küche (12)"),
            (Style::Service, "Küche", 65535, "Küche (65535)"),
            // These are no numbers of ours.
            (Style::Host, "printer-02", 1, "printer-02"),
            (Style::Host, "printer-1", 1, "printer-1"),
            (Style::Host, "printer-+2", 1, "printer-+2"),
            (Style::Host, "-2", 1, "-2"),
            (Style::Host, "printer-65536", 1, "printer-65536"),
            (Style::Host, "printer (2)", 1, "printer (2)"),
            (Style::Service, "Küche(2)", 1, "Küche(2)"),
            (Style::Service, " (2)", 1, " (2)"),
        ] {
            assert_eq!(join(base, number, style), whole);
            assert_eq!(split(whole, style), (base, number), "{whole}");
        }
    }

    /// M-9, M-34: at most 63 bytes, and no broken characters.
    #[test]
    fn long_names_are_cut_between_characters() {
        let long = "x".repeat(63);
        assert_eq!(join(&long, 1, Style::Host), long.as_str());
        assert_eq!(join(&long, 2, Style::Host), (long[..61].to_string() + "-2").as_str());
        let umlauts = "ä".repeat(31);
        let label = join(&umlauts, 10, Style::Service);
        assert_eq!(label, ("ä".repeat(29) + " (10)").as_str());
        assert!(label.len() <= 63);
    }
}
