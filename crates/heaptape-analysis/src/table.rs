//! Numbers by id, in a table without holes: ids on a tape count from 0.

use crate::recording::Recording;
use heaptape_tape::{BacktraceId, ThreadId};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// Bytes of tables that have `bytes` for every backtrace node of a recording.
pub(crate) fn bytes_by_node(recording: &dyn Recording, bytes: u64) -> u64 {
    bytes.saturating_mul(recording.nodes().len() as u64)
}

/// An id that is a place in a table.
pub(crate) trait Place: Copy {
    fn place(self) -> usize;
    fn at(place: usize) -> Self;
}

impl Place for BacktraceId {
    fn place(self) -> usize {
        self.0 as usize
    }
    fn at(place: usize) -> BacktraceId {
        BacktraceId(place as u32)
    }
}

impl Place for ThreadId {
    fn place(self) -> usize {
        self.0 as usize
    }
    fn at(place: usize) -> ThreadId {
        ThreadId(place as u32)
    }
}

/// Ids from here on are kept in a tree: a recording that is no tape may have any, and few of them.
const DENSE: usize = 1 << 24;

/// A value for every id up to the greatest one that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Table<I, T> {
    values: Vec<T>,
    beyond: BTreeMap<usize, T>,
    id: PhantomData<I>,
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Table<I, T> {
        Table { values: Vec::new(), beyond: BTreeMap::new(), id: PhantomData }
    }
}

impl<I: Place, T: Clone + Default> Table<I, T> {
    /// The value of an id, to be changed.
    #[inline]
    pub(crate) fn of(&mut self, id: I) -> &mut T {
        let place = id.place();
        if place >= self.values.len() {
            if place >= DENSE {
                return self.beyond.entry(place).or_default();
            }
            self.grow(place);
        }
        &mut self.values[place]
    }

    /// The value of an id, if it was ever asked for.
    #[inline]
    pub(crate) fn get(&self, id: I) -> Option<&T> {
        self.values.get(id.place()).or_else(|| self.beyond.get(&id.place()))
    }

    /// Ids and values, in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        let beyond = self.beyond.iter().map(|(&place, value)| (place, value));
        self.values.iter().enumerate().chain(beyond).map(|(place, value)| (I::at(place), value))
    }

    /// About the bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        // A node of a tree is half full at least, and has a head.
        let beyond = self.beyond.len() * (2 * size_of::<(usize, T)>() + 8);
        (self.values.capacity() * size_of::<T>() + beyond) as u64
    }

    #[cold]
    fn grow(&mut self, place: usize) {
        self.values.resize(place + 1, T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A small value in a tree was counted without its key.
    #[test]
    fn ids_beyond_the_dense_ones_are_weighed_with_their_tree() {
        let mut table: Table<BacktraceId, u8> = Table::default();
        for id in 0..1000 {
            *table.of(BacktraceId((DENSE + id) as u32)) = 1;
        }
        assert!(table.bytes() >= 1000 * 2 * size_of::<usize>() as u64, "{}", table.bytes());
    }

    proptest! {
        #[test]
        fn holds_what_a_map_holds(
            steps in prop::collection::vec((prop_oneof![0_u32..50, any::<u32>()], 1_u8..9), 0..40)
        ) {
            let mut table: Table<BacktraceId, u64> = Table::default();
            let mut map: BTreeMap<u32, u64> = BTreeMap::new();
            // Small steps: a greater dense one would only cost memory.
            for (id, more) in steps.into_iter().filter(|(id, _)| *id < 50 || *id as usize >= DENSE) {
                *table.of(BacktraceId(id)) += u64::from(more);
                *map.entry(id).or_default() += u64::from(more);
            }
            let held = table.iter().filter(|(_, sum)| **sum > 0).map(|(id, sum)| (id.0, *sum));
            prop_assert_eq!(held.collect::<Vec<_>>(), map.clone().into_iter().collect::<Vec<_>>());
            prop_assert!(map.iter().all(|(id, sum)| table.get(BacktraceId(*id)) == Some(sum)));
        }
    }
}
