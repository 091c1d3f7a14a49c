//! Tables of sockets: of fixed size in memory that the caller gives, or growing on the heap up to a limit.

use core::ops::{Deref, DerefMut};

#[cfg(feature = "alloc")]
use alloc::vec::Vec;

pub(super) enum Table<'d, T> {
    /// Every place exists from the beginning.
    Fixed(&'d mut [T]),
    /// Places are added as they are needed.
    #[cfg(feature = "alloc")]
    Growing {
        /// The places so far.
        places: Vec<T>,
        /// How many there may be.
        limit: usize,
    },
}

impl<T> Table<'_, T> {
    /// Adds a place, where the table may still grow, and gives its index.
    pub(super) fn grow(&mut self, place: T) -> Option<usize> {
        match self {
            Self::Fixed(_) => {
                drop(place);
                None
            }
            #[cfg(feature = "alloc")]
            Self::Growing { places, limit } if places.len() < *limit => {
                places.push(place);
                Some(places.len() - 1)
            }
            #[cfg(feature = "alloc")]
            Self::Growing { .. } => None,
        }
    }
}

impl<T> Deref for Table<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Fixed(places) => places,
            #[cfg(feature = "alloc")]
            Self::Growing { places, .. } => places,
        }
    }
}

impl<T> DerefMut for Table<'_, T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match self {
            Self::Fixed(places) => places,
            #[cfg(feature = "alloc")]
            Self::Growing { places, .. } => places,
        }
    }
}
