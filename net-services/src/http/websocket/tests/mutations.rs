//! Hostile input: valid conversations with a few bytes changed.

use super::*;

/// xorshift64: the same numbers in every run.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn h18_10000_mutations_neither_panic_nor_depend_on_how_they_are_cut() {
    let valid = [
        frame(TEXT, "κόσμε"),
        fragment(BINARY, [0xfe; 130]),
        frame(PING, "ping"),
        fragment(CONTINUATION, ""),
        frame(CONTINUATION, [1; 300]),
        frame(PONG, ""),
        fragment(TEXT, "Hello-µ@ßöä"),
        frame(CONTINUATION, "üàá-UTF-8!!"),
        close(1000, "bye"),
    ]
    .concat();
    let mut random = Seeded(0x6c75_6e65_7400_0018);
    let (mut refused, mut whole) = (0, 0);
    for _ in 0..10_000 {
        let mut input = valid.clone();
        for _ in 0..=random.below(3) {
            let at = random.below(input.len());
            match random.below(4) {
                0 => input[at] = random.below(256) as u8,
                1 => input[at] ^= 1 << random.below(8),
                2 => drop(input.remove(at)),
                _ => input.insert(at, random.below(256) as u8),
            }
        }
        let told = decode_in_pieces(&input, input.len());
        let mut run = Run::new(ROOM);
        let mut rest = &input[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(1 + random.below(rest.len().min(40)));
            run.feed(piece);
            rest = behind;
        }
        assert_eq!(run.told, told);
        let ends = |told: &Told| matches!(told, Told::Violation(_) | Told::Close(..));
        assert!(told.iter().rev().skip(1).all(|earlier| !ends(earlier)), "{told:?}");
        match told.last() {
            Some(Told::Violation(_)) => refused += 1,
            Some(Told::Close(..)) => whole += 1,
            _ => {}
        }
    }
    assert!(refused > 1000 && whole > 1000, "{refused} refused, {whole} to the end: mutations too weak or too strong");
}
