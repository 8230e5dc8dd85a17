//! The blocks of a live set, each in a cache line.
//!
//! The slot left last is the first one used again; so what a program allocates and frees in short order stays
//! in the cache. The slab grows piece by piece: nothing is moved, which would keep the recorded program waiting.

use super::LiveBlock;
use crate::places::NONE;

/// A block and a *mark*: a number that the owner of the set keeps with it.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Slot {
    pub(super) block: LiveBlock,
    pub(super) mark: u64,
}

/// Slots by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Slab {
    /// All but the last are full.
    pieces: Vec<Vec<Slot>>,
    /// Slots that hold no block any more. What they held stays there until another block comes.
    vacant: Vec<u32>,
}

/// Slots of a piece, as a binary logarithm: a quarter of a MiB.
const PIECE_LOG2: u32 = 12;
const PIECE: usize = 1 << PIECE_LOG2;

impl Slab {
    /// Number of blocks.
    pub(super) fn len(&self) -> usize {
        self.slots() - self.vacant.len()
    }

    fn slots(&self) -> usize {
        match self.pieces.split_last() {
            Some((last, full)) => full.len() * PIECE + last.len(),
            None => 0,
        }
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.slots() * size_of::<Slot>() + self.vacant.capacity() * size_of::<u32>()
    }

    /// Reads a word of these slots, without waiting for one before the next is asked for. What is read is of no
    /// use but to be in the cache. A number of no slot stands for any: asking would be a guess gone wrong.
    pub(super) fn touch(&self, numbers: impl Iterator<Item = u32>) {
        let slots = self.slots();
        if slots > 0 {
            let any_if_none = |number| if (number as usize) < slots { number } else { 0 };
            let marks = numbers.map(|number| self.at(any_if_none(number)).mark);
            std::hint::black_box(marks.fold(0, |seen, mark| seen ^ mark));
        }
    }

    #[inline(always)]
    pub(super) fn at(&self, number: u32) -> &Slot {
        &self.pieces[(number >> PIECE_LOG2) as usize][number as usize % PIECE]
    }

    /// The address of the block in a slot.
    #[inline(always)]
    pub(super) fn addr(&self, number: u32) -> u64 {
        self.at(number).block.addr
    }

    /// Puts a block in a slot and returns its number.
    #[inline(always)]
    pub(super) fn place(&mut self, block: LiveBlock, mark: u64) -> u32 {
        let Some(number) = self.vacant.pop() else { return self.push(Slot { block, mark }) };
        let piece = &mut self.pieces[(number >> PIECE_LOG2) as usize];
        let slot = &mut piece[number as usize % PIECE];
        slot.block = block;
        slot.mark = mark;
        number
    }

    /// The block of a slot is gone.
    #[inline(always)]
    pub(super) fn vacate(&mut self, number: u32) {
        self.vacant.push(number);
    }

    #[cold]
    #[inline(never)]
    fn push(&mut self, slot: Slot) -> u32 {
        let number = u32::try_from(self.slots()).ok().filter(|&number| number != NONE);
        match self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push(slot),
            None => {
                let mut piece = Vec::with_capacity(PIECE);
                piece.push(slot);
                self.pieces.push(piece);
            }
        }
        number.expect("memory for 2^32 blocks would be 256 GiB")
    }
}
