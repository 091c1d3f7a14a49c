//! Record data: what this module understands of it, read, written and compared.

use core::cmp::Ordering;
use core::net::{Ipv4Addr, Ipv6Addr};

use domain::base::Rtype;
use domain::base::rdata::RecordData;
use domain::dep::octseq::Parser;

use super::name::{self, NameBuf, NameRef};

/// The types that a name has, of those below 256 (RFC 6762 section 6.1: NSEC in its restricted form).
///
/// As on the wire (RFC 4034 section 4.1.2): the number of the block, 0, the length of its bitmap, and the bitmap, at most 32
/// bytes; or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types<'a>(&'a [u8]);

impl<'a> Types<'a> {
    pub(super) const NONE: Self = Self(&[]);
    /// A has the number 1, AAAA 28.
    pub(super) const A: Self = Self(&[0, 1, 0x40]);
    pub(super) const AAAA: Self = Self(&[0, 4, 0, 0, 0, 0x08]);
    pub(super) const A_AND_AAAA: Self = Self(&[0, 4, 0x40, 0, 0, 0x08]);
    /// 12
    pub(super) const PTR: Self = Self(&[0, 2, 0, 0x08]);
    /// TXT has 16, SRV 33.
    pub(super) const TXT_AND_SRV: Self = Self(&[0, 5, 0, 0, 0x80, 0, 0x40]);

    /// Whether the name has this type. A type above 255 is unknown, so it may have it.
    pub(super) fn has(&self, rtype: Rtype) -> bool {
        let number = usize::from(rtype.to_int());
        let byte = self.0.get(2 + number / 8).copied().unwrap_or_default();
        number > 255 || byte & (0x80 >> (number % 8)) != 0
    }

    #[inline(never)]
    pub(super) fn read(mut bytes: &'a [u8]) -> Option<Self> {
        let mut types = Self::NONE;
        while let [block, length, ..] = bytes {
            let end = 2 + usize::from(*length);
            let (this, later) = bytes.split_at_checked(end).filter(|_| *length <= 32)?;
            if *block == 0 && *length > 0 {
                types = Self(this);
            }
            bytes = later;
        }
        bytes.is_empty().then_some(types)
    }
}

/// The data of a record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Data<'a> {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ptr(NameRef<'a>),
    Srv {
        priority: u16,
        weight: u16,
        port: u16,
        target: NameRef<'a>,
    },
    /// As on the wire: strings after their lengths, at least one (RFC 6763 section 6.1).
    Txt(&'a [u8]),
    /// Says which types there are of a name, and so which there are not.
    Nsec {
        next: NameRef<'a>,
        types: Types<'a>,
    },
    /// Of any other type, as on the wire.
    Other(Rtype, &'a [u8]),
}

impl RecordData for Data<'_> {
    #[inline(never)]
    fn rtype(&self) -> Rtype {
        match self {
            Self::A(_) => Rtype::A,
            Self::Aaaa(_) => Rtype::AAAA,
            Self::Ptr(_) => Rtype::PTR,
            Self::Srv { .. } => Rtype::SRV,
            Self::Txt(_) => Rtype::TXT,
            Self::Nsec { .. } => Rtype::NSEC,
            Self::Other(rtype, _) => *rtype,
        }
    }
}

fn rest<'a>(bytes: &mut Parser<'a, [u8]>) -> Option<&'a [u8]> {
    bytes.parse_octets(bytes.remaining()).ok()
}

fn read_array<const N: usize>(bytes: &mut Parser<'_, [u8]>) -> Option<[u8; N]> {
    let mut array = [0; N];
    bytes.parse_buf(&mut array).ok()?;
    Some(array)
}

/// The strings of TXT data must end where it does.
fn check_strings(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    while let [length, tail @ ..] = rest {
        rest = tail.get(usize::from(*length)..)?;
    }
    // Data without any string breaks the format, but is seen; it means the same as one empty string.
    Some(if bytes.is_empty() { &[0] } else { bytes })
}

/// Data in the form in which it is kept and compared: uncompressed. In up to three pieces, one behind another.
pub(super) struct Flat<'s> {
    head: [u8; 16],
    head_length: usize,
    name: &'s [u8],
    tail: &'s [u8],
}

impl Flat<'_> {
    pub(super) fn parts(&self) -> [&[u8]; 3] {
        [self.head.get(..self.head_length).unwrap_or_default(), self.name, self.tail]
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.parts().into_iter().flatten().copied()
    }
}

impl<'a> Data<'a> {
    /// Reads what `bytes` holds, in a message, where names may be compressed, or elsewhere. `None` for bytes that are not of
    /// that type.
    #[inline(never)]
    pub(super) fn read(rtype: Rtype, bytes: &mut Parser<'a, [u8]>) -> Option<Self> {
        let data = match rtype {
            Rtype::A => Self::A(Ipv4Addr::from(read_array(bytes)?)),
            Rtype::AAAA => Self::Aaaa(Ipv6Addr::from(read_array(bytes)?)),
            Rtype::PTR => Self::Ptr(name::read(bytes)?),
            Rtype::SRV => Self::Srv {
                priority: bytes.parse_u16_be().ok()?,
                weight: bytes.parse_u16_be().ok()?,
                port: bytes.parse_u16_be().ok()?,
                target: name::read(bytes)?,
            },
            Rtype::TXT => Self::Txt(check_strings(rest(bytes)?)?),
            Rtype::NSEC => Self::Nsec { next: name::read(bytes)?, types: Types::read(rest(bytes)?)? },
            other => Self::Other(other, rest(bytes)?),
        };
        (bytes.remaining() == 0).then_some(data)
    }

    /// What [`flat`](Self::flat) gave, read again. `None` for bytes that are not of that type.
    pub(super) fn from_flat(rtype: Rtype, bytes: &'a [u8]) -> Option<Self> {
        Self::read(rtype, &mut Parser::from_ref(bytes))
    }

    /// The uncompressed form; a name in it is written into `name`.
    #[inline(never)]
    pub(super) fn flat<'s>(&'s self, name: &'s mut NameBuf) -> Flat<'s> {
        let mut flat = Flat { head: [0; 16], head_length: 0, name: &[], tail: &[] };
        let mut head = |bytes: &[u8]| {
            flat.head_length = bytes.len();
            if let Some(room) = flat.head.get_mut(..bytes.len()) {
                room.copy_from_slice(bytes);
            }
        };
        match self {
            Self::A(address) => head(&address.octets()),
            Self::Aaaa(address) => head(&address.octets()),
            Self::Ptr(target) => {
                *name = name::copy(target);
                flat.name = name.as_slice();
            }
            Self::Srv { priority, weight, port, target } => {
                let ([a, b], [c, d], [e, f]) = (priority.to_be_bytes(), weight.to_be_bytes(), port.to_be_bytes());
                head(&[a, b, c, d, e, f]);
                *name = name::copy(target);
                flat.name = name.as_slice();
            }
            Self::Txt(bytes) | Self::Other(_, bytes) => flat.tail = bytes,
            Self::Nsec { next, types } => {
                *name = name::copy(next);
                flat.name = name.as_slice();
                flat.tail = types.0;
            }
        }
        flat
    }

    /// Whether both say the same. Names are compared without regard to case, everything else byte by byte.
    #[inline(never)]
    pub(super) fn is_same(&self, other: &Data<'_>) -> bool {
        match (self, other) {
            (Self::A(a), Data::A(b)) => a == b,
            (Self::Aaaa(a), Data::Aaaa(b)) => a == b,
            (Self::Ptr(a), Data::Ptr(b)) => name::is_same(a, b),
            (
                Self::Srv { priority, weight, port, target },
                Data::Srv { priority: priority_b, weight: weight_b, port: port_b, target: target_b },
            ) => (priority, weight, port) == (priority_b, weight_b, port_b) && name::is_same(target, target_b),
            (Self::Txt(a), Data::Txt(b)) => a == b,
            (Self::Nsec { next, types }, Data::Nsec { next: next_b, types: types_b }) => {
                types == types_b && name::is_same(next, next_b)
            }
            (Self::Other(rtype, a), Data::Other(rtype_b, b)) => rtype == rtype_b && a == b,
            _ => false,
        }
    }

    /// Which of two records of one name and class is the later one in the order of RFC 6762 section 8.2: by type, then by
    /// the bytes of the uncompressed data.
    pub(super) fn order(&self, other: &Data<'_>) -> Ordering {
        let (mut a, mut b) = (NameBuf::new(), NameBuf::new());
        let by_type = self.rtype().to_int().cmp(&other.rtype().to_int());
        by_type.then_with(|| self.flat(&mut a).bytes().cmp(other.flat(&mut b).bytes()))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::mdns::name::{by_ref, host};
    use crate::mdns::testing::types_of;

    fn flat(data: &Data<'_>) -> Vec<u8> {
        let mut name = NameBuf::new();
        data.flat(&mut name).bytes().collect()
    }

    #[test]
    fn what_is_kept_reads_as_what_it_was() {
        let name = host("printer").unwrap();
        let target = by_ref(&name);
        let bytes = types_of(&[Rtype::A, Rtype::SRV]);
        let types = Types::read(&bytes).unwrap();
        let all = [
            Data::A([192, 0, 2, 1].into()),
            Data::Aaaa("fe80::1".parse().unwrap()),
            Data::Ptr(target),
            Data::Srv { priority: 1, weight: 2, port: 80, target },
            Data::Txt(b"\x03a=1"),
            Data::Nsec { next: target, types },
            Data::Nsec { next: target, types: Types::NONE },
            Data::Other(Rtype::HINFO, b"\x01x\x01y"),
        ];
        for data in all {
            let bytes = flat(&data);
            let again = Data::from_flat(data.rtype(), &bytes).unwrap();
            assert!(again.is_same(&data), "{data:?} {again:?}");
        }
        assert!(types.has(Rtype::A) && !types.has(Rtype::AAAA) && types.has(Rtype::SRV) && types.has(Rtype::CAA));
    }

    #[test]
    fn own_types_are_those_that_they_say() {
        for (types, has) in [
            (Types::A, &[Rtype::A][..]),
            (Types::AAAA, &[Rtype::AAAA]),
            (Types::A_AND_AAAA, &[Rtype::A, Rtype::AAAA]),
            (Types::PTR, &[Rtype::PTR]),
            (Types::TXT_AND_SRV, &[Rtype::TXT, Rtype::SRV]),
            (Types::NONE, &[]),
        ] {
            assert_eq!(Types::read(&types_of(has)), Some(types));
            for number in 0..=255 {
                let rtype = Rtype::from_int(number);
                assert_eq!(types.has(rtype), has.contains(&rtype), "{rtype}");
            }
        }
        assert_eq!(Types::read(&[&[0, 33][..], &[0; 33]].concat()), None, "a longer bitmap than there may be");
    }

    /// M-5: RFC 6762 section 8.2 has this example of the order: 169.254.99.200 wins over 169.254.200.50 by its bytes read
    /// as numbers without sign.
    #[test]
    fn the_order_is_by_type_and_then_by_unsigned_bytes() {
        let a = |address: [u8; 4]| Data::A(address.into());
        assert_eq!(a([169, 254, 99, 200]).order(&a([169, 254, 200, 50])), Ordering::Less);
        assert_eq!(a([255, 0, 0, 1]).order(&Data::Aaaa("::1".parse().unwrap())), Ordering::Less);
        assert_eq!(Data::Txt(b"\x01a").order(&Data::Txt(b"\x01a\x01b")), Ordering::Less);
        assert_eq!(Data::Txt(b"\x01a").order(&Data::Txt(b"\x01a")), Ordering::Equal);
    }

    #[test]
    fn broken_data_is_refused() {
        for (rtype, bytes) in [
            (Rtype::A, &b"\x01\x02\x03"[..]),
            (Rtype::AAAA, b"\x01"),
            (Rtype::PTR, b""),
            (Rtype::PTR, b"\x05ab"),
            (Rtype::SRV, b"\0\0\0\0\0\x50"),
            (Rtype::TXT, b"\x05ab"),
            (Rtype::NSEC, b"\0\0\x21\x01"),
            (Rtype::NSEC, b"\0\0"), // half a block
            (Rtype::NSEC, b"\0\0\x05\x40"),
        ] {
            assert!(Data::from_flat(rtype, bytes).is_none(), "{rtype} {bytes:?}");
        }
        assert!(matches!(Data::from_flat(Rtype::TXT, b""), Some(Data::Txt([0]))));
    }
}
