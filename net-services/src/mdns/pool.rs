//! Items of different lengths in memory of a fixed size.

use heapless::VecView;

/// An item: what is known of it, and how many bytes it has.
#[derive(Debug)]
pub(super) struct Slot<T> {
    about: T,
    length: u16,
}

/// Items, each a `T` and some bytes, in the order in which they were added.
///
/// The bytes of all lie one behind another, so no room is lost between them; removing one moves the later ones up.
pub(super) struct Pool<'d, T> {
    slots: &'d mut VecView<Slot<T>>,
    bytes: &'d mut [u8],
}

impl<'d, T> Pool<'d, T> {
    pub(super) fn new(slots: &'d mut VecView<Slot<T>>, bytes: &'d mut [u8]) -> Self {
        slots.clear();
        Self { slots, bytes }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Where the bytes of an item begin, or those of the first `index` items end.
    #[inline(never)]
    fn start(&self, index: usize) -> usize {
        self.slots.iter().take(index).map(|slot| usize::from(slot.length)).sum()
    }

    fn used(&self) -> usize {
        self.start(self.slots.len())
    }

    /// Whether an item with so many bytes fits.
    pub(super) fn has_room(&self, length: usize) -> bool {
        !self.slots.is_full() && length <= u16::MAX.into() && self.used() + length <= self.bytes.len()
    }

    /// Whether it would fit if nothing else were there.
    pub(super) fn could_fit(&self, length: usize) -> bool {
        self.slots.capacity() > 0 && length <= self.bytes.len().min(u16::MAX.into())
    }

    /// Adds an item behind all others; its bytes are those of `parts`, together. `false` when it does not fit.
    #[inline(never)]
    pub(super) fn push(&mut self, about: T, parts: &[&[u8]]) -> bool {
        let length = parts.iter().map(|part| part.len()).sum();
        if !self.has_room(length) {
            return false;
        }
        let mut at = self.used();
        for part in parts {
            if let Some(room) = self.bytes.get_mut(at..at + part.len()) {
                room.copy_from_slice(part);
            }
            at += part.len();
        }
        self.slots.push(Slot { about, length: length as u16 }).is_ok()
    }

    #[inline(never)]
    pub(super) fn get(&self, index: usize) -> Option<(&T, &[u8])> {
        let slot = self.slots.get(index)?;
        let start = self.start(index);
        Some((&slot.about, self.bytes.get(start..start + usize::from(slot.length))?))
    }

    #[inline(never)]
    pub(super) fn get_mut(&mut self, index: usize) -> Option<(&mut T, &[u8])> {
        let start = self.start(index);
        let slot = self.slots.get_mut(index)?;
        Some((&mut slot.about, self.bytes.get(start..start + usize::from(slot.length))?))
    }

    /// What is known of each item, and its bytes.
    #[inline(never)]
    pub(super) fn iter(&self) -> Items<'_, T> {
        Items { slots: self.slots.iter(), bytes: self.bytes }
    }

    /// The same, to be changed; the bytes are only for reading.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut T, &[u8])> {
        let mut rest = &*self.bytes;
        self.slots.iter_mut().map(move |slot| (&mut slot.about, take(&mut rest, slot.length)))
    }

    /// Removes an item; the later ones get indices one smaller.
    #[inline(never)]
    pub(super) fn remove(&mut self, index: usize) {
        if index < self.slots.len() {
            let (start, used) = (self.start(index), self.used());
            let removed = self.slots.remove(index);
            self.bytes.copy_within(start + usize::from(removed.length)..used, start);
        }
    }

    /// Removes all items for which `keep` is false, in one go.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T, &[u8]) -> bool) {
        let bytes = &mut *self.bytes;
        let (mut start, mut end) = (0, 0);
        self.slots.retain(|slot| {
            let range = start..start + usize::from(slot.length);
            start = range.end;
            let stays = keep(&slot.about, bytes.get(range.clone()).unwrap_or_default());
            if stays {
                bytes.copy_within(range, end);
                end += usize::from(slot.length);
            }
            stays
        });
    }

    /// Replaces the bytes of an item between `from` and `to`. `false`, and nothing is changed, when they do not fit.
    #[inline(never)]
    pub(super) fn splice(&mut self, index: usize, from: usize, to: usize, with: &[u8]) -> bool {
        let (start, used) = (self.start(index), self.used());
        let Some(slot) = self.slots.get_mut(index) else { return false };
        let old = usize::from(slot.length);
        if from > to || to > old {
            return false;
        }
        let length = old - (to - from) + with.len();
        if length > u16::MAX.into() || used - old + length > self.bytes.len() {
            return false;
        }
        slot.length = length as u16;
        let at = start + from;
        self.bytes.copy_within(start + to..used, at + with.len());
        if let Some(room) = self.bytes.get_mut(at..at + with.len()) {
            room.copy_from_slice(with);
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }
}

/// The items of a pool.
pub(super) struct Items<'a, T> {
    slots: core::slice::Iter<'a, Slot<T>>,
    /// Those of the items that are left, and what lies behind.
    bytes: &'a [u8],
}

impl<'a, T> Iterator for Items<'a, T> {
    type Item = (&'a T, &'a [u8]);

    #[inline(never)]
    fn next(&mut self) -> Option<(&'a T, &'a [u8])> {
        let slot = self.slots.next()?;
        Some((&slot.about, take(&mut self.bytes, slot.length)))
    }
}

/// The first `length` bytes of what is left; the others are left then.
fn take<'a>(rest: &mut &'a [u8], length: u16) -> &'a [u8] {
    let (taken, left) = rest.split_at_checked(length.into()).unwrap_or_default();
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn contents(pool: &Pool<'_, char>) -> Vec<(char, Vec<u8>)> {
        pool.iter().map(|(about, bytes)| (*about, bytes.to_vec())).collect()
    }

    #[test]
    fn items_keep_their_order_and_bytes_whatever_is_removed() {
        let mut slots = heapless::Vec::<_, 3>::new();
        let mut bytes = [0; 10];
        let mut pool = Pool::new(&mut slots, &mut bytes);
        assert!(pool.push('a', &[b"12", b"3"]) && pool.push('b', &[]) && pool.push('c', &[b"4567"]));
        assert!(!pool.push('d', &[b"8"]), "no slot");
        pool.remove(0);
        assert!(!pool.push('d', &[b"89012", b"34"]), "7 bytes where 6 are left");
        assert!(pool.push('d', &[b"890123"]));
        assert_eq!(contents(&pool), [('b', b"".to_vec()), ('c', b"4567".to_vec()), ('d', b"890123".to_vec())]);
        pool.remove(3);
        assert!(pool.len() == 3 && pool.get(3).is_none() && pool.could_fit(10) && !pool.could_fit(11));
    }

    #[test]
    fn several_can_be_removed_at_once() {
        let mut slots = heapless::Vec::<_, 4>::new();
        let mut bytes = [0; 10];
        let mut pool = Pool::new(&mut slots, &mut bytes);
        assert!(
            pool.push('a', &[b"12"])
                && pool.push('b', &[b"345"])
                && pool.push('c', &[b"6"])
                && pool.push('d', &[b"7890"])
        );
        pool.retain(|about, bytes| *about != 'a' && bytes != b"6");
        assert_eq!(contents(&pool), [('b', b"345".to_vec()), ('d', b"7890".to_vec())]);
        assert!(pool.push('e', &[b"abc"]) && !pool.push('f', &[b"d"]));
        pool.retain(|_, _| false);
        assert!(pool.len() == 0 && pool.push('g', &[b"0123456789"]));
    }

    #[test]
    fn an_item_can_be_changed() {
        let mut slots = heapless::Vec::<_, 3>::new();
        let mut bytes = [0; 8];
        let mut pool = Pool::new(&mut slots, &mut bytes);
        assert!(pool.push('a', &[b"12"]) && pool.push('b', &[b"34"]) && pool.push('c', &[b"5"]));
        assert!(pool.splice(1, 0, 2, b"67890"));
        assert_eq!(contents(&pool), [('a', b"12".to_vec()), ('b', b"67890".to_vec()), ('c', b"5".to_vec())]);
        assert!(!pool.splice(0, 0, 2, b"123") && !pool.splice(3, 0, 0, b""));
        assert!(pool.splice(1, 0, 5, b"") && pool.splice(0, 0, 2, b"123456"));
        assert_eq!(contents(&pool), [('a', b"123456".to_vec()), ('b', b"".to_vec()), ('c', b"5".to_vec())]);
        if let Some((about, bytes)) = pool.get_mut(2) {
            assert_eq!(bytes, b"5");
            *about = 'd';
        }
        assert_eq!(pool.get(2), Some((&'d', &b"5"[..])));
    }

    #[test]
    fn bytes_within_an_item_can_be_replaced() {
        let mut slots = heapless::Vec::<_, 2>::new();
        let mut bytes = [0; 8];
        let mut pool = Pool::new(&mut slots, &mut bytes);
        assert!(pool.push('a', &[b"123"]) && pool.push('b', &[b"45"]));
        assert!(pool.splice(0, 1, 2, b"xyz"));
        assert_eq!(contents(&pool), [('a', b"1xyz3".to_vec()), ('b', b"45".to_vec())]);
        assert!(pool.splice(1, 2, 2, b"6") && !pool.splice(1, 0, 0, b"7"), "full");
        assert!(!pool.splice(0, 2, 1, b"") && !pool.splice(0, 0, 6, b"") && !pool.splice(2, 0, 0, b""));
        assert!(pool.splice(0, 0, 5, b""));
        assert_eq!(contents(&pool), [('a', b"".to_vec()), ('b', b"456".to_vec())]);
    }
}
