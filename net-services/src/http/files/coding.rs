//! Content codings: which of the stored forms of a file a client takes (RFC 9110 section 12.5.3).

/// A coding in which a file can lie beside the plain one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// gzip (RFC 1952).
    Gzip,
    /// Brotli (RFC 7932).
    Brotli,
}

impl Coding {
    /// As in `Content-Encoding`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
        }
    }

    /// What is put behind the name of a file for its sibling in this coding.
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
        }
    }
}

/// A weight, in thousandths: 0 to 1000.
type Weight = u16;

/// The codings that a client wants rather than the plain file, the best first; at equal weights the smaller one.
/// `elements` are those of its `Accept-Encoding` fields.
pub(super) fn preferred<'a>(elements: impl Iterator<Item = &'a str>) -> [Option<Coding>; 2] {
    let [mut gzip, mut brotli, mut plain, mut others]: [Option<Weight>; 4] = [None; 4];
    for element in elements {
        let (name, parameter) = element.split_once(';').unwrap_or((element, "q=1"));
        let Some(weight) = weight(parameter) else { continue };
        let name = name.trim_matches([' ', '\t']);
        let slot = if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") {
            &mut gzip
        } else if name.eq_ignore_ascii_case("br") {
            &mut brotli
        } else if name.eq_ignore_ascii_case("identity") {
            &mut plain
        } else if name == "*" {
            &mut others
        } else {
            continue;
        };
        slot.get_or_insert(weight);
    }
    // A coding that is not named is not wanted; the plain form then still is, as the last choice.
    let [gzip, brotli, plain] = [gzip, brotli, plain].map(|weight| weight.or(others).unwrap_or(0));
    let wanted = |weight: Weight, coding| (weight > 0 && weight >= plain).then_some(coding);
    let both = [wanted(brotli, Coding::Brotli), wanted(gzip, Coding::Gzip)];
    if gzip > brotli { [both[1], both[0]] } else { both }
}

/// `q=0.5`, with white space around, in thousandths (RFC 9110 section 12.4.2). `None` if it is not that.
fn weight(parameter: &str) -> Option<Weight> {
    let value = parameter.trim_matches([' ', '\t']).strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let [mut thousandths, mut unit] = [0, 100];
    for digit in decimals.bytes() {
        thousandths += Weight::from(digit - b'0') * unit;
        unit /= 10;
    }
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_encoding_is_weighed() {
        use Coding::{Brotli, Gzip};
        for (fields, wanted) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&["gzip"], &[Gzip]),
            (&["GZip"], &[Gzip]),
            (&["x-gzip"], &[Gzip]),
            (&["br"], &[Brotli]),
            (&["gzip, deflate, br, zstd"], &[Brotli, Gzip]),
            (&["gzip", "br"], &[Brotli, Gzip]),
            (&["gzip;q=0.9, br;q=0.8"], &[Gzip, Brotli]),
            (&["gzip;q=0.8, br;q=0.9"], &[Brotli, Gzip]),
            (&["gzip ; Q=0.5 ,\tidentity"], &[]),
            (&["gzip;q=0.5,identity;q=0.5"], &[Gzip]),
            (&["gzip;q=0"], &[]),
            (&["gzip;q=0.000, br;q=1.000"], &[Brotli]),
            (&["gzip;q=0.001"], &[Gzip]),
            (&["*"], &[Brotli, Gzip]),
            (&["*;q=0"], &[]),
            (&["*, br;q=0"], &[Gzip]),
            (&["gzip;q=0.5, *;q=0.8"], &[Brotli]),
            (&["identity"], &[]),
            (&["identity;q=0, gzip"], &[Gzip]),
            // Broken elements count for nothing.
            (&["gzip;q=2"], &[]),
            (&["gzip;q=1.001"], &[]),
            (&["gzip;q=0.0001"], &[]),
            (&["gzip;q=-1, br"], &[Brotli]),
            (&["gzip;q=0.5;q=1"], &[]),
            (&["gzip;"], &[]),
            (&["gzip q=1"], &[]),
            (&[",,gzip,,"], &[Gzip]),
        ] {
            let elements = fields.iter().flat_map(|value| value.split(','));
            let preferred: std::vec::Vec<_> = preferred(elements).into_iter().flatten().collect();
            assert_eq!(preferred, wanted, "{fields:?}");
        }
    }
}
