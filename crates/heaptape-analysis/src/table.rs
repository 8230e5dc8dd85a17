//! Numbers by id, in pages: ids on a tape count from 0, over all processes; what concerns one process are few pages of them.

use heaptape_tape::{BacktraceId, ThreadId};
use std::collections::BTreeMap;
use std::marker::PhantomData;

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

/// Values of a page.
const PAGE: usize = 1 << 9;

/// Ids, and nodes of trees, between two looks at the memory taken: each id may open a page of a table.
pub(crate) const BETWEEN_LOOKS: usize = 1 << 12;

/// A value for every id.
#[derive(Clone, Debug)]
pub(crate) struct Table<I, T> {
    /// `None` where no id was asked for.
    pages: Vec<Option<Box<[T; PAGE]>>>,
    /// Pages that are there.
    open: usize,
    beyond: BTreeMap<usize, T>,
    id: PhantomData<I>,
}

impl<I, T> Default for Table<I, T> {
    fn default() -> Table<I, T> {
        Table { pages: Vec::new(), open: 0, beyond: BTreeMap::new(), id: PhantomData }
    }
}

impl<I: Place, T: Clone + Default> Table<I, T> {
    /// The value of an id, to be changed.
    #[inline]
    pub(crate) fn of(&mut self, id: I) -> &mut T {
        let place = id.place();
        let page = place / PAGE;
        if page >= self.pages.len() {
            if place >= DENSE {
                return self.beyond.entry(place).or_default();
            }
            self.pages.resize(page + 1, None);
        }
        let open = &mut self.open;
        &mut self.pages[page].get_or_insert_with(|| new_page(open))[place % PAGE]
    }

    /// The value of an id, if one near it was ever asked for.
    #[inline]
    pub(crate) fn get(&self, id: I) -> Option<&T> {
        let place = id.place();
        match self.pages.get(place / PAGE) {
            Some(page) => page.as_ref().map(|page| &page[place % PAGE]),
            None => self.beyond.get(&place),
        }
    }

    /// Ids that were asked for, and some near them, with their values; in the order of ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        let beyond = self.beyond.iter().map(|(&place, value)| (place, value));
        let pages = (0..).step_by(PAGE).zip(&self.pages);
        let open = pages.filter_map(|(first, page)| Some((first, page.as_ref()?)));
        let dense = open.flat_map(|(first, page)| (first..).zip(page.iter()));
        dense.chain(beyond).map(|(place, value)| (I::at(place), value))
    }

    /// How many ids there is a value for: what another table by the same ids takes follows.
    pub(crate) fn places(&self) -> u64 {
        (self.open * PAGE + self.beyond.len()) as u64
    }

    /// About the bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        // A node of a tree is half full at least, and has a head.
        let beyond = self.beyond.len() * (2 * size_of::<(usize, T)>() + 8);
        let open = self.open * size_of::<[T; PAGE]>();
        (self.pages.capacity() * size_of::<Option<Box<[T; PAGE]>>>() + open + beyond) as u64
    }
}

#[cold]
fn new_page<T: Clone + Default>(open: &mut usize) -> Box<[T; PAGE]> {
    *open += 1;
    let page: Box<[T]> = vec![T::default(); PAGE].into();
    page.try_into().ok().expect("it has that length")
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
