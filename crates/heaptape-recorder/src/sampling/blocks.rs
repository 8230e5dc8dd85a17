//! The addresses of the sampled blocks that are live: a free is recorded when it is of one of them.
//!
//! Static memory, which a forked child inherits as it inherits the blocks. The addresses of a KiB have one byte, which
//! counts the sampled blocks there; neighbours have neighbouring bytes, so that a program that frees here and there in
//! some MiB reads a few lines of the processor's cache, again and again (KiB that are 64 MiB apart share a byte). The
//! addresses themselves are in slots: one belongs to a *home*, eight slots of a line, which a stretch of addresses shares that
//! has one sampled block as a rule. What finds the slots of its home taken goes on to the next ones; a mark says that
//! something has gone by. So what sampling needs of this table in some hundred MiB of blocks is a few pages.
//!
//! **Several threads.** An address is put in before the pointer is given to the program, and taken out before
//! the block is really freed. The program's own hand-over of the pointer orders the first before any free of
//! it, and the allocator's hand-over of the memory orders the second before its next use: whoever looks for
//! an address sees what was last done to it. Slots are claimed by compare-and-swap, counters are added to, so
//! that what other addresses of the home do does not disturb. Relaxed is enough for all of it.

use super::MEAN;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// Counting bytes: as many as two bytes can number, which is how they are found.
const COUNTS: usize = 1 << u16::BITS;
/// Homes; a power of two. What is never used takes no memory.
const HOMES: usize = 1 << 16;
const SLOTS: usize = 8;
/// Homes that one address may lie in.
const REACH: usize = 64;
/// Bytes of addresses that have the same byte, as log2: no more blocks fit in than a byte can count, even if each is
/// sampled.
pub const GRAIN: u32 = 10;

/// See the module.
#[repr(C)]
pub struct Blocks {
    counts: [AtomicU8; COUNTS],
    slots: [Slots; HOMES],
    /// Of homes: whether a block went on to the next one. Never taken back.
    passed: [AtomicBool; HOMES],
}

#[repr(align(64))]
struct Slots([AtomicU64; SLOTS]);

/// Those of this process. They begin with the bytes: that of an address is the one with the number of its grain, as far
/// as 16 bits tell.
pub static SAMPLED: Blocks = Blocks {
    counts: [const { AtomicU8::new(0) }; COUNTS],
    slots: [const { Slots([const { AtomicU64::new(0) }; SLOTS]) }; HOMES],
    passed: [const { AtomicBool::new(false) }; HOMES],
};

/// The home of an address: where every mean distance of bytes has one chosen, neighbouring homes have a block each.
fn home(addr: u64) -> usize {
    // The mean is set once (all processes of a recording have the same), so what was put in is found again.
    let stretch = MEAN.load(Relaxed).max(1).ilog2();
    (addr >> stretch) as usize % HOMES
}

impl Blocks {
    /// Puts an address in that is not there and not 0. `false`: there is no room for it.
    #[cold]
    pub(crate) fn insert(&self, addr: u64) -> bool {
        let home = home(addr);
        let more = |count: u8| count.checked_add(1);
        if self.count(addr).fetch_update(Relaxed, Relaxed, more).is_err() {
            return false;
        }
        for step in 0..REACH {
            let at = (home + step) % HOMES;
            let claim = |slot: &AtomicU64| slot.compare_exchange(0, addr, Relaxed, Relaxed).is_ok();
            if self.slots[at].0.iter().any(claim) {
                return true;
            }
            self.passed[at].store(true, Relaxed);
        }
        self.count(addr).fetch_sub(1, Relaxed);
        false
    }

    #[inline(always)]
    fn count(&self, addr: u64) -> &AtomicU8 {
        &self.counts[usize::from((addr >> GRAIN) as u16)]
    }

    /// Whether no address that is counted by the same byte is there.
    #[inline(always)]
    pub(crate) fn is_far_from(&self, addr: u64) -> bool {
        self.count(addr).load(Relaxed) == 0
    }

    /// Whether an address is there.
    #[inline(always)]
    pub(crate) fn contains(&self, addr: u64) -> bool {
        !self.is_far_from(addr) && self.find(addr).is_some()
    }

    /// Takes an address out; whether it was there.
    #[inline(always)]
    pub(crate) fn remove(&self, addr: u64) -> bool {
        !self.is_far_from(addr) && self.take(addr)
    }

    #[cold]
    #[inline(never)]
    fn take(&self, addr: u64) -> bool {
        // Exchanged, because two threads of a wrong program may free the same block.
        let taken = |slot: &AtomicU64| slot.compare_exchange(addr, 0, Relaxed, Relaxed).is_ok();
        let taken = self.find(addr).is_some_and(taken);
        if taken {
            self.count(addr).fetch_sub(1, Relaxed);
        }
        taken
    }

    #[cold]
    #[inline(never)]
    fn find(&self, addr: u64) -> Option<&AtomicU64> {
        for step in 0..REACH {
            let at = (home(addr) + step) % HOMES;
            let found = self.slots[at].0.iter().find(|slot| slot.load(Relaxed) == addr);
            if found.is_some() || !self.passed[at].load(Relaxed) {
                return found;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::sync::mpsc;

    fn fresh() -> &'static Blocks {
        // SAFETY: zeroed atomics are valid, and the memory is never given back.
        unsafe { &*crate::sys::call::map_private(size_of::<Blocks>()).cast() }
    }

    fn random(state: &mut u64) -> u64 {
        super::super::distance::next(state)
    }

    /// Against a set of addresses that crowd some homes, up to more than fit.
    #[test]
    fn a_table_is_a_set() {
        for (grains, fits) in [(4000, true), (8, false)] {
            let (blocks, mut oracle, mut state) = (fresh(), HashSet::new(), 7);
            let mut refused = 0;
            for step in 0..200_000 {
                let within = random(&mut state) % 1024;
                let addr = 0x7000_0000_0000 + ((random(&mut state) % grains) << GRAIN | within);
                // Fills, then empties, by turns.
                if random(&mut state) % 8 < if step / 20_000 % 2 == 0 { 6 } else { 2 } {
                    if !oracle.contains(&addr) {
                        let inserted = blocks.insert(addr);
                        refused += u32::from(!inserted);
                        inserted.then(|| oracle.insert(addr));
                    }
                } else {
                    assert_eq!(blocks.contains(addr), oracle.contains(&addr));
                    assert_eq!(blocks.remove(addr), oracle.remove(&addr), "{addr:#x}");
                }
            }
            assert_eq!(refused == 0, fits, "{refused} refused");
            for addr in oracle.drain() {
                assert!(blocks.remove(addr) && !blocks.contains(addr));
            }
            assert!(blocks.counts.iter().all(|count| count.load(Relaxed) == 0));
            assert!(blocks.slots.iter().flat_map(|s| &s.0).all(|slot| slot.load(Relaxed) == 0));
        }
    }

    /// Threads put addresses in and hand them on; those who get them find them, take them out, and find them
    /// gone. All share a few homes.
    #[test]
    fn what_is_handed_over_is_found() {
        const THREADS: u64 = 4;
        const EACH: u64 = 20_000;
        let blocks = fresh();
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..THREADS).map(|_| mpsc::sync_channel(64)).unzip();
        std::thread::scope(|scope| {
            for (thread, receiver) in (0..THREADS).zip(receivers) {
                let next = senders[((thread + 1) % THREADS) as usize].clone();
                scope.spawn(move || {
                    for round in 0..EACH {
                        let addr = 0x5000_0000_0000
                            + ((round % 16) << GRAIN)
                            + (round / 16 * THREADS + thread) * 16;
                        assert!(blocks.insert(addr));
                        next.send(addr).unwrap();
                        let got = receiver.recv().unwrap();
                        assert!(blocks.contains(got), "{got:#x}");
                        assert!(blocks.remove(got) && !blocks.remove(got));
                    }
                });
            }
        });
        assert!(blocks.counts.iter().all(|count| count.load(Relaxed) == 0));
    }
}
