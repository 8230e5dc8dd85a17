//! How much of the machine a reader may take: memory, and threads that decode ahead.
//!
//! What grows with a tape is weighed before and while it grows: the facts when the tape is opened, the
//! live set and what a view gathers after each run of events. Beyond the bound reading ends with
//! [`TapeError::Memory`]; nobody waits for the kernel to end it. Blocks of events decoded ahead take a
//! quarter of the bound at most: where that is little, fewer are.

use crate::events::MAX_EVENTS;
use crate::model::Event;
use crate::read::TapeError;
use std::thread;

/// Bytes of a run of events in memory with the numbers of its addresses, the block it is decoded from, and what decoding
/// takes; hardly any run is as large.
const RUN_BYTES: u64 = (MAX_EVENTS * (size_of::<Event>() + 12)) as u64 + (4 << 20);
/// Threads that decode ahead: more than these are faster than anything that replays.
const MAX_READERS: usize = 8;
/// Most bytes of a live block in a [`LiveSet`](crate::LiveSet) that only grew: a slot of 64 and a free one beside it, four
/// places of 8, and the block again in a list of all ([`crate::LiveSet::sorted`]).
const LIVE_BLOCK_BYTES: u64 = 224;

/// How much of the machine a reader may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory for what grows with the tape. Not counted: the program itself, a few MiB, and
    /// the pages of mapped files, which the kernel takes back when it needs them.
    pub memory: u64,
    /// Threads that decode blocks of events ahead of the one that asks for them; 0 for none.
    pub readers: usize,
}

impl Default for Limits {
    /// Any amount of memory, and a reader for each core up to 8; none where there is one core.
    fn default() -> Limits {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Limits { memory: u64::MAX, readers: if cores == 1 { 0 } else { cores.min(MAX_READERS) } }
    }
}

impl Limits {
    /// How many threads read ahead where `runs` runs are to be read. Each holds one run, and whoever
    /// asks for them another.
    pub(crate) fn readers_for(&self, runs: usize) -> usize {
        let affordable = (self.memory / 4 / RUN_BYTES).saturating_sub(1);
        let readers = self.readers.min(runs).min(affordable as usize);
        if runs < 2 { 0 } else { readers }
    }

    /// Whether so many bytes are within the bound, beside those of runs decoded ahead.
    pub(crate) fn afford(&self, bytes: u64) -> Result<(), TapeError> {
        let ahead = (self.readers_for(usize::MAX) as u64 + 1) * RUN_BYTES;
        let needed = bytes.saturating_add(ahead);
        if needed > self.memory {
            return Err(TapeError::Memory { needed, allowed: self.memory });
        }
        Ok(())
    }
}

/// About the bytes that so many live blocks take in a [`LiveSet`](crate::LiveSet) that grows up to them, at most. What one takes
/// that is there says [`crate::LiveSet::bytes`].
pub fn live_bytes(blocks: u64) -> u64 {
    blocks.saturating_mul(LIVE_BLOCK_BYTES)
}

/// The bytes by which a list grows if room for so many more things is [`reserve`]d. A large one is not there twice
/// while it grows: the kernel moves its pages.
pub(crate) fn growth<T>(list: &Vec<T>, more: usize) -> usize {
    (grown(list, more) - list.capacity()).saturating_mul(size_of::<T>())
}

/// Makes room for so many more things: an eighth of what there is at least, and not as much again, as a list would
/// itself.
pub(crate) fn reserve<T>(list: &mut Vec<T>, more: usize) {
    list.reserve_exact(grown(list, more) - list.len());
}

/// For how many things there is room then.
fn grown<T>(list: &Vec<T>, more: usize) -> usize {
    if list.capacity() - list.len() >= more {
        return list.capacity();
    }
    list.len().saturating_add(more.max(list.len() / 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_memory_means_fewer_readers() {
        let with = |memory| Limits { memory, readers: 4 };
        assert_eq!(with(u64::MAX).readers_for(100), 4);
        assert_eq!(with(u64::MAX).readers_for(3), 3);
        assert_eq!(with(u64::MAX).readers_for(1), 0);
        assert_eq!(with(4 * 3 * RUN_BYTES).readers_for(100), 2);
        assert_eq!(with(RUN_BYTES).readers_for(100), 0);
    }

    #[test]
    fn the_bound_is_a_bound() {
        let limits = Limits { memory: 100 << 20, readers: 0 };
        assert!(limits.afford(0).is_ok());
        assert!(limits.afford((100 << 20) - RUN_BYTES).is_ok());
        let over = limits.afford((100 << 20) - RUN_BYTES + 1);
        let Err(TapeError::Memory { needed, allowed }) = over else { panic!("{over:?}") };
        assert_eq!((needed, allowed), ((100 << 20) + 1, 100 << 20));
    }

    #[test]
    fn a_list_grows_by_what_was_foreseen() {
        let mut list: Vec<u32> = Vec::new();
        let mut moves = 0;
        for more in (0..2000).map(|at| at % 7) {
            let (before, foreseen) = (list.capacity(), growth(&list, more));
            reserve(&mut list, more);
            assert_eq!((list.capacity() - before) * size_of::<u32>(), foreseen);
            moves += usize::from(list.capacity() > before);
            list.extend((0..more).map(|thing| thing as u32));
            assert_eq!(list.capacity(), before + foreseen / size_of::<u32>());
        }
        assert!(list.capacity() <= list.len() + list.len() / 8 + 6);
        assert!(moves < 100, "{moves}");
        assert_eq!(
            growth(&list, usize::MAX / 8),
            (usize::MAX / 8 + list.len() - list.capacity()) * 4
        );
    }
}
