//! Blocks from the events that began them: with the ends that the index knows, no live set is needed.

use super::Index;
use crate::lifetimes::{Lifetime, NEVER, flags};
use crate::recording::Recording;
use heaptape_tape::{Action, BacktraceId, BlockId, Event, TapeError};
use std::ops::{ControlFlow, Range};

impl Index {
    /// Calls `visit` with each block born in a range of ranks, in order, until it breaks. Who freed it is not told: see
    /// [`Index::complete`].
    pub(super) fn births(
        &self,
        recording: &dyn Recording,
        ranks: Range<u32>,
        visit: &mut dyn FnMut(&Lifetime) -> ControlFlow<()>,
    ) -> Result<(), TapeError> {
        if ranks.is_empty() {
            return Ok(());
        }
        // Where the numbers of blocks are known.
        let known = ranks.start / self.least_cell;
        let mut rank = known * self.least_cell;
        let mut born = self.begun.get(known as usize).copied().unwrap_or(0) as usize;
        recording.runs(self.process, u64::from(rank)..u64::from(ranks.end), &mut |events| {
            for event in events {
                if event.action.begins_block() {
                    if rank >= ranks.start && visit(&self.block_of(event, rank, born)).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    born += 1;
                }
                rank += 1;
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    #[inline]
    fn block_of(&self, event: &Event, rank: u32, place: usize) -> Lifetime {
        let mut flags = if self.temporary.get(place) { flags::TEMPORARY } else { 0 };
        if event.action == Action::ReallocAlloc {
            flags |= flags::FROM_REALLOC;
        }
        let leak = if self.leaks.is_empty() { None } else { self.leaks.get(&rank).copied() };
        Lifetime {
            id: BlockId(place as u64 + 1),
            addr: event.addr,
            size: event.size,
            usable: event.usable,
            born: rank,
            died: self.died.get(place).copied().unwrap_or(NEVER),
            backtrace: event.backtrace,
            freed_backtrace: BacktraceId::NONE,
            thread: event.thread,
            freed_thread: event.thread,
            api: event.api as u8,
            flags,
            leak: leak.unwrap_or(0),
        }
    }

    /// Whether a block is among the sums only, not among the long ones.
    #[inline]
    pub(super) fn is_short(&self, block: &Lifetime) -> bool {
        block.died != NEVER
            && self.cell_of(block.born) == self.cell_of(block.died)
            && (self.late.is_empty() || !self.late.contains(&block.born))
    }

    /// Looks up who freed these blocks: reads the events around each end.
    pub fn complete(
        &self,
        recording: &dyn Recording,
        blocks: &mut [Lifetime],
    ) -> Result<(), TapeError> {
        let mut ended: Vec<&mut Lifetime> =
            blocks.iter_mut().filter(|block| block.died != NEVER).collect();
        ended.sort_unstable_by_key(|block| block.died);
        // Ends near each other are read together.
        for near in ended
            .chunk_by_mut(|one, next| one.died / self.least_cell == next.died / self.least_cell)
        {
            let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
            let (mut rank, end) = (first.died, last.died);
            let mut rest = near.iter_mut().peekable();
            recording.runs(self.process, u64::from(rank)..u64::from(end) + 1, &mut |events| {
                for event in events {
                    while let Some(block) = rest.next_if(|block| block.died == rank) {
                        end_with(block, event);
                    }
                    rank += 1;
                }
                Ok(ControlFlow::Continue(()))
            })?;
        }
        Ok(())
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
