//! Which events begin blocks: from the rank of a birth to the number of the block, and back; and blocks from the events
//! that began them, for which no live set is needed, as the index knows when they ended.

use super::{AskError, Index, threads};
use crate::lifetimes::{Lifetime, NEVER, flags};
use crate::recording::Recording;
use heaptape_tape::{Action, BacktraceId, BlockId, Event, TapeError};
use std::ops::{ControlFlow, Range};
use std::sync::{Mutex, PoisonError};

/// Words of 64 events between two sums.
const STRIDE: usize = 8;

/// A bit by event: whether it begins a block.
#[derive(Debug, Default)]
pub(super) struct Births {
    words: Vec<u64>,
    /// By [`STRIDE`] words: births before them.
    before: Vec<u32>,
    events: usize,
    births: u32,
}

impl Births {
    /// The next event begins a block, or does not.
    #[inline]
    pub(super) fn push(&mut self, begins: bool) {
        if self.events.is_multiple_of(64) {
            if self.words.len().is_multiple_of(STRIDE) {
                self.before.push(self.births);
            }
            self.words.push(0);
        }
        let last = self.words.len() - 1;
        self.words[last] |= u64::from(begins) << (self.events % 64);
        self.events += 1;
        self.births += u32::from(begins);
    }

    /// How many blocks were born before the event of a rank; that is the place of the one that it begins.
    #[inline]
    pub(super) fn before(&self, rank: u32) -> u32 {
        let rank = rank as usize;
        if rank >= self.events {
            return self.births;
        }
        let (word, bit) = (rank / 64, rank % 64);
        let first = word / STRIDE * STRIDE;
        let whole: u32 = self.words[first..word].iter().map(|word| word.count_ones()).sum();
        let part = self.words[word] & ((1 << bit) - 1);
        self.before[word / STRIDE] + whole + part.count_ones()
    }

    /// The rank of the birth of the block at a place, if there were so many.
    pub(super) fn rank_of(&self, place: u32) -> Option<u32> {
        if place >= self.births {
            return None;
        }
        let stride = self.before.partition_point(|&before| before <= place) - 1;
        let mut left = place - self.before[stride];
        for (at, &word) in self.words.iter().enumerate().skip(stride * STRIDE) {
            if left < word.count_ones() {
                let rest = (0..left).fold(word, |rest, _| rest & (rest - 1));
                return Some((at * 64) as u32 + rest.trailing_zeros());
            }
            left -= word.count_ones();
        }
        None
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.words.capacity() * 8 + self.before.capacity() * 4) as u64
    }
}

/// An event that begins a block.
pub(super) struct Birth<'a> {
    pub(super) event: &'a Event,
    /// Its rank.
    pub(super) rank: u32,
    /// Of the block, in order of birth.
    pub(super) place: u32,
}

impl Index {
    /// Calls `visit` with each birth in a range of ranks, in order, until it breaks.
    pub(super) fn births(
        &self,
        recording: &dyn Recording,
        ranks: Range<u32>,
        visit: &mut dyn FnMut(Birth<'_>) -> ControlFlow<()>,
    ) -> Result<(), TapeError> {
        if ranks.is_empty() {
            return Ok(());
        }
        let (mut rank, mut place) = (ranks.start, self.births.before(ranks.start));
        recording.runs(self.process, u64::from(rank)..u64::from(ranks.end), &mut |events| {
            for event in events {
                if event.action.begins_block() {
                    if visit(Birth { event, rank, place }).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    place += 1;
                }
                rank += 1;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The block of a birth if it is short. Who freed it is not told: see [`Index::complete`].
    #[inline]
    pub(super) fn short(&self, birth: &Birth<'_>) -> Option<Lifetime> {
        let died = self.ends.of(birth.place, birth.rank)?;
        Some(self.block_of(birth, died))
    }

    /// The block of a birth that ended then.
    #[inline]
    pub(super) fn block_of(
        &self,
        &Birth { event, rank, place }: &Birth<'_>,
        died: u32,
    ) -> Lifetime {
        let mut flags = if self.temporary.get(place as usize) { flags::TEMPORARY } else { 0 };
        if event.action == Action::ReallocAlloc {
            flags |= flags::FROM_REALLOC;
        }
        let leak = if self.leaks.is_empty() { None } else { self.leaks.get(&rank).copied() };
        Lifetime {
            id: BlockId(u64::from(place) + 1),
            addr: event.addr,
            size: event.size,
            usable: event.usable,
            born: rank,
            died,
            backtrace: event.backtrace,
            freed_backtrace: BacktraceId::NONE,
            thread: event.thread,
            freed_thread: event.thread,
            api: event.api as u8,
            flags,
            leak: leak.unwrap_or(0),
        }
    }

    /// Looks up who freed these blocks: reads the events around each end.
    pub fn complete(
        &self,
        recording: &(dyn Recording + Sync),
        blocks: &mut [Lifetime],
    ) -> Result<(), AskError> {
        let mut ended: Vec<&mut Lifetime> =
            blocks.iter_mut().filter(|block| block.died != NEVER).collect();
        ended.sort_unstable_by_key(|block| block.died);
        // Ends near each other are read together.
        let near = |one: &&mut Lifetime, next: &&mut Lifetime| {
            one.died / self.least_cell == next.died / self.least_cell
        };
        let stretches = Mutex::new(ended.chunk_by_mut(near));
        let next = || stretches.lock().unwrap_or_else(PoisonError::into_inner).next();
        threads::each_does(|| {
            while let Some(stretch) = next() {
                self.complete_stretch(recording, stretch)?;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// The same of blocks in the order of their ends.
    fn complete_stretch(
        &self,
        recording: &dyn Recording,
        blocks: &mut [&mut Lifetime],
    ) -> Result<(), TapeError> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else { return Ok(()) };
        let (mut rank, end) = (first.died, last.died);
        let mut rest = blocks.iter_mut().peekable();
        recording.runs(self.process, u64::from(rank)..u64::from(end) + 1, &mut |events| {
            for event in events {
                while let Some(block) = rest.next_if(|block| block.died == rank) {
                    end_with(block, event);
                }
                rank += 1;
            }
            Ok(ControlFlow::Continue(()))
        })
    }
}

fn end_with(block: &mut Lifetime, event: &Event) {
    block.freed_thread = event.thread;
    match event.action {
        Action::Free => block.freed_backtrace = event.backtrace,
        Action::ReallocRelease => {
            block.freed_backtrace = event.backtrace;
            block.flags |= flags::TO_REALLOC;
        }
        _ => block.flags |= flags::OVERLAID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_birth_is_found_by_its_rank_and_by_its_number(
            begins in prop::collection::vec(any::<bool>(), 0..2000), rank in 0_u32..2100,
        ) {
            let mut births = Births::default();
            begins.iter().for_each(|&begins| births.push(begins));
            let ranks: Vec<u32> = (0..).zip(&begins).filter(|it| *it.1).map(|it| it.0).collect();
            let before = ranks.iter().filter(|&&born| born < rank).count() as u32;
            prop_assert_eq!(births.before(rank), before);
            for (place, &rank) in (0..).zip(&ranks) {
                prop_assert_eq!(births.rank_of(place), Some(rank));
            }
            prop_assert_eq!(births.rank_of(ranks.len() as u32), None);
        }
    }
}
