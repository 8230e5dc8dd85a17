//! The live blocks by address: which one does a word point into?
//!
//! Asked once for every word of memory that is searched, so it must be fast: blocks that lie close to each
//! other form a neighbourhood with one entry a page, and most words lie in none.

use std::ops::Range;

const PAGE_SHIFT: u32 = 12;
/// Blocks farther apart than this, and what follows a block longer than this, begin a new neighbourhood: so the
/// entries of all pages are a few for each block at most.
const FAR: u64 = 64 << 10;

/// A position among the blocks, by address.
pub(crate) type Index = u32;

/// Most blocks: a bit is used for something else.
pub(crate) const MOST_BLOCKS: usize = 1 << 31;

/// Blocks of one process, by address.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    starts: Vec<u64>,
    sizes: Vec<u64>,
    neighbourhoods: Vec<Neighbourhood>,
    /// First address of all, and the first after all of them: what lies outside is a number or a text, mostly.
    around: Range<u64>,
    /// By page of a neighbourhood, one after the other: how many blocks begin before the page does.
    pages: Vec<Index>,
}

#[derive(Debug)]
struct Neighbourhood {
    /// First address.
    start: u64,
    /// First address after its blocks.
    end: u64,
    /// Its places among the pages.
    pages: Range<usize>,
    /// Its blocks end here.
    last: Index,
}

impl Blocks {
    /// Takes blocks as start and size; of several at one address the last counts. At most [`MOST_BLOCKS`] are
    /// taken.
    pub(crate) fn new(mut blocks: Vec<(u64, u64)>) -> Blocks {
        blocks.sort_by_key(|block| block.0);
        let mut all = Blocks::default();
        for (start, size) in blocks {
            if all.starts.last() == Some(&start) {
                all.starts.pop();
                all.sizes.pop();
            }
            if all.starts.len() < MOST_BLOCKS - 1 {
                all.starts.push(start);
                all.sizes.push(size);
            }
        }
        all.divide();
        all
    }

    /// How many they are.
    pub(crate) fn len(&self) -> usize {
        self.starts.len()
    }

    /// The first block that begins at an address or after it.
    pub(crate) fn first_from(&self, addr: u64) -> Index {
        self.starts.partition_point(|&start| start < addr) as Index
    }

    /// Where a block begins.
    pub(crate) fn start(&self, block: Index) -> u64 {
        self.starts[block as usize]
    }

    /// Bytes asked for.
    pub(crate) fn size(&self, block: Index) -> u64 {
        self.sizes[block as usize]
    }

    /// The block that an address points into, and how far. One of no bytes counts as one of one: something
    /// must be able to point to it. `near` is where the last one was, which is tried first: 0 to begin with.
    #[inline]
    pub(crate) fn find(&self, addr: u64, near: &mut usize) -> Option<(Index, u64)> {
        if !self.around.contains(&addr) {
            return None;
        }
        let holds = |near: &&Neighbourhood| (near.start..near.end).contains(&addr);
        let neighbourhood = match self.neighbourhoods.get(*near).filter(holds) {
            Some(same) => same,
            None => {
                let after = self.neighbourhoods.partition_point(|near| near.start <= addr);
                let other = self.neighbourhoods[..after].last().filter(holds)?;
                *near = after - 1;
                other
            }
        };
        self.find_in(neighbourhood, addr)
    }

    #[inline]
    fn find_in(&self, near: &Neighbourhood, addr: u64) -> Option<(Index, u64)> {
        let page = ((addr >> PAGE_SHIFT) - (near.start >> PAGE_SHIFT)) as usize;
        let pages = &self.pages[near.pages.clone()];
        let at = page.min(pages.len() - 1);
        let until = pages.get(at + 1).copied().unwrap_or(near.last);
        let among = &self.starts[pages[at] as usize..until as usize];
        let index = pages[at] as usize + among.partition_point(|&start| start <= addr);
        // It may begin pages before.
        let block = index.checked_sub(1)?;
        let offset = addr.checked_sub(self.starts[block])?;
        (offset < self.sizes[block].max(1)).then_some((block as Index, offset))
    }

    fn divide(&mut self) {
        let mut first = 0;
        while first < self.starts.len() {
            let last = self.end_of_neighbourhood(first);
            let from = self.pages.len();
            let (low, high) =
                (self.starts[first] >> PAGE_SHIFT, self.starts[last - 1] >> PAGE_SHIFT);
            let mut block = first;
            for page in low..=high {
                while block < last && self.starts[block] >> PAGE_SHIFT < page {
                    block += 1;
                }
                self.pages.push(block as Index);
            }
            let end = self.starts[first..last].iter().zip(&self.sizes[first..last]);
            self.neighbourhoods.push(Neighbourhood {
                start: self.starts[first],
                end: end.map(|(&s, &size)| s.saturating_add(size.max(1))).max().unwrap_or(0),
                pages: from..self.pages.len(),
                last: last as Index,
            });
            first = last;
        }
        // Where blocks overlap, which no allocator does, the one that begins later is meant.
        let mut next = u64::MAX;
        for near in self.neighbourhoods.iter_mut().rev() {
            near.end = near.end.min(next);
            next = near.start;
        }
        let ends = self.neighbourhoods.iter().map(|near| near.end);
        self.around = self.starts.first().copied().unwrap_or(0)..ends.max().unwrap_or(0);
    }

    fn end_of_neighbourhood(&self, first: usize) -> usize {
        let is_far = |at: usize| {
            let (before, size) = (self.starts[at - 1], self.sizes[at - 1]);
            size > FAR || self.starts[at] - before > size + FAR
        };
        (first + 1..self.starts.len()).find(|&at| is_far(at)).unwrap_or(self.starts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pointer_behind_the_last_byte_points_to_nothing() {
        let blocks = Blocks::new(vec![(0x1000, 16), (0x2000, 0), (0x7000_0000, 1 << 40)]);
        assert_eq!(blocks.find(0xfff, &mut 0), None);
        assert_eq!(blocks.find(0x1000, &mut 0), Some((0, 0)));
        assert_eq!(blocks.find(0x100f, &mut 0), Some((0, 15)));
        assert_eq!(blocks.find(0x1010, &mut 0), None);
        assert_eq!(
            (blocks.find(0x2000, &mut 0), blocks.find(0x2001, &mut 0)),
            (Some((1, 0)), None)
        );
        assert_eq!(blocks.find(0x7000_0000 + (1 << 39), &mut 0), Some((2, 1 << 39)));
        assert_eq!(Blocks::default().find(0, &mut 0), None);
    }

    proptest! {
        #[test]
        fn the_same_is_found_as_by_looking_at_all(
            blocks in prop::collection::vec((0u64..1 << 20, 0u64..200_000, 0u64..4), 0..60),
            asked in prop::collection::vec((0u64..1 << 21, 0u64..4), 0..200),
        ) {
            let place = |(low, region): (u64, u64)| low + (region << 40);
            let list: Vec<_> = blocks.iter().map(|&(l, s, r)| (place((l, r)), s)).collect();
            let index = Blocks::new(list.clone());
            let by_start: std::collections::BTreeMap<_, _> = list.into_iter().collect();
            let near = by_start.iter().flat_map(|(&s, &z)| [s, s + z / 2, s + z]);
            let mut last = 0;
            for addr in asked.into_iter().map(place).chain(near) {
                let slow = by_start.range(..=addr).next_back().filter(|(s, z)| addr - *s < (**z).max(1));
                let found = index.find(addr, &mut last).map(|(at, off)| (index.start(at), off));
                prop_assert_eq!(found, slow.map(|(&s, _)| (s, addr - s)));
            }
        }
    }
}
