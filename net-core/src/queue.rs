//! A queue of datagrams that wait to be sent, from which any one may be taken.

#[cfg(feature = "alloc")]
use alloc::vec::Vec as HeapVec;
use core::ops::Range;

use heapless::Vec;

use crate::limits;

/// The bytes of a queue: the caller's, or the heap's.
pub(crate) enum Bytes<'d> {
    Given(&'d mut [u8]),
    #[cfg(feature = "alloc")]
    #[allow(dead_code)] // only the stack makes it
    Own(HeapVec<u8>),
}

impl Bytes<'_> {
    fn get(&mut self) -> &mut [u8] {
        match self {
            Self::Given(bytes) => bytes,
            #[cfg(feature = "alloc")]
            Self::Own(bytes) => bytes,
        }
    }
}

/// Datagrams, each with what is known of it, in the order in which they came.
///
/// They lie one behind the other, so taking one moves the later ones up: a few hundred bytes, mostly none.
pub(crate) struct Queue<'d, T> {
    bytes: Bytes<'d>,
    entries: Vec<(T, usize), { limits::UDP_DATAGRAMS }>,
}

impl<'d, T> Queue<'d, T> {
    pub(crate) fn new(bytes: Bytes<'d>) -> Self {
        Self { bytes, entries: Vec::new() }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Largest datagram that ever fits.
    pub(crate) fn capacity(&mut self) -> usize {
        self.bytes.get().len()
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let start: usize = self.entries.iter().take(index).map(|(_, length)| length).sum();
        let (_, length) = self.entries.get(index)?;
        Some(start..start + length)
    }

    /// Adds a datagram at the end. `false` when there is no room now.
    pub(crate) fn push(&mut self, about: T, data: &[u8]) -> bool {
        let start: usize = self.entries.iter().map(|(_, length)| length).sum();
        let Some(room) = self.bytes.get().get_mut(start..start + data.len()) else { return false };
        if self.entries.push((about, data.len())).is_err() {
            return false;
        }
        room.copy_from_slice(data);
        true
    }

    /// What is known of a datagram, and its payload.
    pub(crate) fn get(&mut self, index: usize) -> Option<(&mut T, &[u8])> {
        let range = self.range(index)?;
        let (about, _) = self.entries.get_mut(index)?;
        Some((about, self.bytes.get().get(range)?))
    }

    /// What is known of each.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|(about, _)| about)
    }

    /// The first of this kind.
    #[allow(dead_code)] // needed by one of the stacks: the features decide
    pub(crate) fn position(&self, wanted: impl Fn(&T) -> bool) -> Option<usize> {
        self.entries.iter().position(|(about, _)| wanted(about))
    }

    /// Takes a datagram out.
    pub(crate) fn remove(&mut self, index: usize) {
        if let Some(range) = self.range(index) {
            let end: usize = self.entries.iter().map(|(_, length)| length).sum();
            self.bytes.get().copy_within(range.end..end, range.start);
            self.entries.remove(index);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_datagram_can_be_taken_and_the_others_stay_as_they_are() {
        let mut bytes = [0; 10];
        let mut queue = Queue::new(Bytes::Given(&mut bytes));
        assert!(queue.push('a', b"123") && queue.push('b', b"") && queue.push('c', b"4567"));
        assert!(!queue.push('d', b"8901"), "no room for 4 more bytes");
        queue.remove(0);
        assert!(queue.push('d', b"890"));
        let all: std::vec::Vec<_> =
            (0..queue.len()).map(|i| queue.get(i).map(|(t, data)| (*t, data.to_vec())).unwrap()).collect();
        assert_eq!(all, [('b', b"".to_vec()), ('c', b"4567".to_vec()), ('d', b"890".to_vec())]);
        queue.remove(7);
        assert_eq!((queue.len(), queue.capacity()), (3, 10));
        assert!(queue.get(3).is_none());
    }

    #[test]
    fn no_more_datagrams_than_the_limit() {
        let mut bytes = [0; 100];
        let mut queue = Queue::new(Bytes::Given(&mut bytes));
        assert_eq!((0..100).filter(|_| queue.push((), b"")).count(), limits::UDP_DATAGRAMS);
    }
}
