//! Live blocks by address.
//!
//! Blocks lie in a slab of cache lines, the last one left being the first one used again; so what a
//! program allocates and frees in short order stays in the cache. The slab grows piece by piece: nothing is
//! moved, which would keep the recorded program waiting. An open-addressing index of eight
//! bytes a place finds them. An event costs one search of the index.
//!
//! Where an address is looked for depends on a key that each table draws: a tape can be made of addresses
//! that would all be at one place, but only by who knows the key.

use super::LiveBlock;
use std::hash::{BuildHasher, RandomState};

/// No slot: an empty place.
const NONE: u32 = u32::MAX;
const EMPTY: Place = Place { tag: 0, slot: NONE };

/// A block and what the owner of the table keeps with it, in a cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Slot {
    block: LiveBlock,
    mark: u64,
}

/// Slots by number.
#[derive(Clone, Debug, Default)]
struct Slab {
    /// All but the last are full.
    pieces: Vec<Vec<Slot>>,
}

/// Slots of a piece, as a binary logarithm: a quarter of a MiB.
const PIECE_LOG2: u32 = 12;
const PIECE: usize = 1 << PIECE_LOG2;

impl Slab {
    fn len(&self) -> usize {
        match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    #[inline(always)]
    fn get(&self, number: u32) -> Option<&Slot> {
        self.pieces.get((number >> PIECE_LOG2) as usize)?.get(number as usize % PIECE)
    }

    #[inline(always)]
    fn at(&self, number: u32) -> &Slot {
        &self.pieces[(number >> PIECE_LOG2) as usize][number as usize % PIECE]
    }

    #[inline(always)]
    fn at_mut(&mut self, number: u32) -> &mut Slot {
        &mut self.pieces[(number >> PIECE_LOG2) as usize][number as usize % PIECE]
    }

    fn push(&mut self, slot: Slot) {
        match self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push(slot),
            None => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(slot);
                self.pieces.push(piece);
            }
        }
    }
}

/// Where the block of an address is. The tag is made from the address; the block has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    tag: u32,
    slot: u32,
}

/// The table. A *mark* is a number that its owner keeps with each block.
#[derive(Clone, Debug, Default)]
pub(super) struct BlockTable {
    slots: Slab,
    /// Slots that hold no block.
    vacant: Vec<u32>,
    /// A power of two, at least twice the number of blocks; or none.
    places: Vec<Place>,
    /// 64 less the binary logarithm of the number of places.
    shift: u32,
    /// What tags are made with; drawn with the first places.
    key: u64,
}

impl BlockTable {
    /// Number of blocks.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.vacant.len()
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Slot>()
            + self.vacant.capacity() * size_of::<u32>()
            + self.places.capacity() * size_of::<Place>()
    }

    /// The blocks, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &LiveBlock> {
        let slots = self.places.iter().filter(|place| place.slot != NONE);
        slots.map(|place| &self.slots.at(place.slot).block)
    }

    pub(super) fn get(&self, addr: u64) -> Option<&LiveBlock> {
        if self.places.is_empty() {
            return None;
        }
        let slot = self.places[self.search(addr).ok()?].slot;
        Some(&self.slots.at(slot).block)
    }

    /// Puts a block in and returns the one that was at its address.
    #[inline(always)]
    pub(super) fn insert(&mut self, block: LiveBlock, mark: u64) -> Option<LiveBlock> {
        if 2 * (self.len() + 1) > self.places.len() {
            self.grow();
        }
        let slot = Slot { block, mark };
        match self.search(block.addr) {
            Ok(at) => {
                let known = self.slots.at_mut(self.places[at].slot);
                Some(std::mem::replace(known, slot).block)
            }
            Err(at) => {
                self.places[at] = Place { tag: self.tag(block.addr), slot: self.place(slot) };
                None
            }
        }
    }

    /// Takes a block out, with its mark.
    #[inline(always)]
    pub(super) fn remove(&mut self, addr: u64) -> Option<(LiveBlock, u64)> {
        if self.places.is_empty() {
            return None;
        }
        let at = self.search(addr).ok()?;
        let slot = self.places[at].slot;
        self.close_gap(at);
        self.vacant.push(slot);
        let Slot { block, mark } = *self.slots.at(slot);
        Some((block, mark))
    }

    /// Reads where the blocks of these addresses are, and the first word of each, without waiting for one before
    /// the next is asked for. What was read is of no use: it is in the cache now.
    pub(super) fn touch(&self, addrs: impl Iterator<Item = u64> + Clone) {
        if self.places.is_empty() {
            return;
        }
        let homes = addrs.map(|addr| self.places[self.home(self.tag(addr))]);
        let seen = homes.clone().fold(0, |seen, place| seen ^ place.tag);
        let blocks = homes.filter_map(|place| self.slots.get(place.slot));
        std::hint::black_box((seen, blocks.fold(0, |seen, slot| seen ^ slot.mark)));
    }

    /// Fills a slot and returns its number.
    #[inline(always)]
    fn place(&mut self, slot: Slot) -> u32 {
        if let Some(number) = self.vacant.pop() {
            *self.slots.at_mut(number) = slot;
            return number;
        }
        let number = u32::try_from(self.slots.len()).ok().filter(|&number| number != NONE);
        self.slots.push(slot);
        number.expect("memory for 2^32 blocks would be 256 GiB")
    }

    /// The place of an address, or the empty place where it would be. There must be places.
    #[inline(always)]
    fn search(&self, addr: u64) -> Result<usize, usize> {
        let (tag, mask) = (self.tag(addr), self.places.len() - 1);
        let mut at = self.home(tag);
        loop {
            let place = self.places[at];
            if place.slot == NONE {
                return Err(at);
            }
            if place.tag == tag && self.slots.at(place.slot).block.addr == addr {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// The place where the search for a tag begins.
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        (u64::from(tag) << 32 >> self.shift) as usize
    }

    /// The part of an address that its place holds: the upper half of a product. What a bit of the address adds
    /// to it or takes from it, the key decides.
    #[inline(always)]
    fn tag(&self, addr: u64) -> u32 {
        ((addr ^ self.key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    /// Empties a place. Later ones that a search would no longer reach move up.
    #[inline(always)]
    fn close_gap(&mut self, mut gap: usize) {
        let mask = self.places.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place.slot == NONE {
                break;
            }
            let way = at.wrapping_sub(self.home(place.tag)) & mask;
            if way >= at.wrapping_sub(gap) & mask {
                self.places[gap] = place;
                gap = at;
            }
        }
        self.places[gap] = EMPTY;
    }

    #[cold]
    fn grow(&mut self) {
        if self.places.is_empty() {
            self.key = RandomState::new().hash_one(());
        }
        let len = (2 * self.places.len()).max(64);
        let before = std::mem::replace(&mut self.places, vec![EMPTY; len]);
        self.shift = 64 - len.ilog2();
        for place in before.into_iter().filter(|place| place.slot != NONE) {
            let mut at = self.home(place.tag);
            while self.places[at].slot != NONE {
                at = (at + 1) & (len - 1);
            }
            self.places[at] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn block(addr: u64, id: u64) -> LiveBlock {
        LiveBlock {
            addr,
            size: 0,
            usable: 0,
            id: BlockId(id),
            time: TimeNs(0),
            thread: ThreadId(0),
            api: Api::Malloc,
            align_log2: 0,
            backtrace: BacktraceId::NONE,
        }
    }

    /// Addresses whose halves cancel each other were all at one place: a tape of 481 bytes took 11.5 s. Where
    /// they are now is checked, not how long it takes.
    #[test]
    fn chosen_addresses_do_not_meet() {
        let chosen: [fn(u64) -> u64; 4] =
            [|n| n << 36 | n << 4, |n| n << 4, |n| n << 32, |n| n.wrapping_mul(0x9e37_79b9_0000)];
        for addr in chosen {
            let mut table = BlockTable::default();
            for number in 1..=10_000 {
                table.insert(block(addr(number), number), 0);
            }
            let mask = table.places.len() - 1;
            let taken = (0..).zip(&table.places).filter(|(_, place)| place.slot != NONE);
            let way = |(at, place): (usize, &Place)| at.wrapping_sub(table.home(place.tag)) & mask;
            let furthest = taken.map(way).max().unwrap();
            assert!(furthest < 500, "{furthest} places from home");
        }
    }

    proptest! {
        /// Neighbours, addresses of the same unit, of the same tag, and of the same page offset.
        #[test]
        fn agrees_with_a_sorted_map(
            steps in prop::collection::vec(
                (any::<bool>(), 0u64..40, prop::sample::select(vec![1, 16, 4096, 0x10_0000_0010])),
                0..400,
            )
        ) {
            let (mut table, mut map) = (BlockTable::default(), BTreeMap::new());
            for (id, (insert, number, stride)) in (0..).zip(steps) {
                let addr = number * stride;
                if insert {
                    let known = table.insert(block(addr, id), id + 7).map(|b| b.id.0);
                    prop_assert_eq!(known, map.insert(addr, id));
                } else {
                    let known = table.remove(addr).map(|(b, mark)| (b.addr, b.id.0, mark));
                    prop_assert_eq!(known, map.remove(&addr).map(|id| (addr, id, id + 7)));
                }
                prop_assert_eq!(table.len(), map.len());
            }
            let mut left: Vec<(u64, u64)> = table.iter().map(|b| (b.addr, b.id.0)).collect();
            left.sort_unstable();
            prop_assert_eq!(left, map.clone().into_iter().collect::<Vec<_>>());
            for number in 0..40 {
                let found = table.get(number * 16).map(|b| b.id.0);
                prop_assert_eq!(found, map.get(&(number * 16)).copied());
            }
        }
    }
}
