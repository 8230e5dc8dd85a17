//! What events do to a live set, wherever the block of an address is looked for.
//!
//! One event alone searches the index for its address ([`Searched`]); those of a run have had theirs looked up
//! together ([`Found`]). All else is the same for both.

use super::slab::Slab;
use super::{Effect, LiveBlock, Totals};
use crate::model::*;
use crate::places::{NONE, Places};
use rustc_hash::{FxHashMap, FxHashSet};

/// All of a set but who is where.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) slots: Slab,
    /// Blocks in the middle of a realloc, by thread: a failed one is put back from here.
    pub(super) releasing: FxHashMap<ThreadId, LiveBlock>,
    pub(super) forked: bool,
    /// Holds inherited blocks, of which some may be missing and some gone.
    pub(super) nearly: bool,
    /// Of a forked child: addresses where nothing inherited is live any more. Only where it holds
    /// inherited blocks itself are its own blocks' addresses among them.
    pub(super) inherited_freed: FxHashSet<u64>,
    pub(super) totals: Totals,
}

/// One address, and which slot its block is in.
pub(super) trait Spot {
    /// The block is in this slot now. Returns where one was before.
    fn put(&mut self, slots: &Slab, slot: u32) -> Option<u32>;

    /// No block is here any more. Returns where it was.
    fn take(&mut self, slots: &Slab) -> Option<u32>;
}

/// A spot that is looked for when it is asked.
pub(super) struct Searched<'a> {
    pub(super) places: &'a mut Places,
    pub(super) addr: u64,
}

impl Spot for Searched<'_> {
    #[inline(always)]
    fn put(&mut self, slots: &Slab, slot: u32) -> Option<u32> {
        self.places.put(self.addr, slot, |number| slots.addr(number))
    }

    #[inline(always)]
    fn take(&mut self, slots: &Slab) -> Option<u32> {
        self.places.take(self.addr, |number| slots.addr(number))
    }
}

/// A spot that was found before: [`NONE`], or the slot.
pub(super) struct Found<'a>(pub(super) &'a mut u32);

impl Spot for Found<'_> {
    #[inline(always)]
    fn put(&mut self, _: &Slab, slot: u32) -> Option<u32> {
        Some(std::mem::replace(self.0, slot)).filter(|&slot| slot != NONE)
    }

    #[inline(always)]
    fn take(&mut self, slots: &Slab) -> Option<u32> {
        self.put(slots, NONE)
    }
}

impl State {
    /// Applies an event to the spot of its address. Slots of blocks that are gone hold them until the next event.
    #[inline(always)]
    pub(super) fn apply(
        &mut self,
        event: &Event,
        time: TimeNs,
        mark: u64,
        spot: &mut impl Spot,
    ) -> Effect<u32> {
        self.totals.events += 1;
        match event.action {
            Action::Alloc => self.begin(event, time, mark, spot),
            Action::Free => match self.end(event.addr, spot) {
                Some(slot) => Effect::Ended(slot),
                None => self.end_unknown(event.addr),
            },
            Action::ReallocAlloc => {
                self.releasing.remove(&event.thread);
                self.begin(event, time, mark, spot)
            }
            Action::ReallocRelease => self.release(event, spot),
            Action::ReallocFail => self.restore(event, spot),
            Action::AllocFail => {
                self.totals.failed += 1;
                Effect::Nothing
            }
            Action::Map | Action::Unmap => Effect::Nothing,
        }
    }

    /// The blocks in the slots that an effect names.
    #[inline(always)]
    pub(super) fn tell(&self, effect: Effect<u32>) -> Effect<&LiveBlock> {
        effect.map(|slot| &self.slots.at(slot).block)
    }

    #[inline(always)]
    fn begin(
        &mut self,
        event: &Event,
        time: TimeNs,
        mark: u64,
        spot: &mut impl Spot,
    ) -> Effect<u32> {
        self.totals.allocs += 1;
        // Wrapping here and below: sizes of a damaged tape add up to more than any memory holds.
        self.totals.alloc_bytes = self.totals.alloc_bytes.wrapping_add(event.size);
        let block = LiveBlock { time, ..LiveBlock::begun_by(event, BlockId(self.totals.allocs)) };
        let first_word = self.nearly && self.inherited_freed.insert(event.addr);
        let (slot, overlaid) = self.insert(block, mark, spot);
        self.totals.overlaid += u64::from(overlaid.is_some() && !first_word);
        if self.totals.live_bytes > self.totals.peak_bytes {
            self.totals.peak_bytes = self.totals.live_bytes;
            self.totals.peak_blocks = self.totals.live_blocks;
            self.totals.peak_time = time;
            self.totals.peak_event = self.totals.events;
        }
        Effect::Began(slot, overlaid)
    }

    #[inline(always)]
    fn end(&mut self, addr: u64, spot: &mut impl Spot) -> Option<u32> {
        let slot = spot.take(&self.slots)?;
        self.slots.vacate(slot);
        let size = self.slots.at(slot).block.size;
        self.totals.live_bytes = self.totals.live_bytes.wrapping_sub(size);
        self.totals.live_blocks -= 1;
        if self.nearly {
            self.inherited_freed.insert(addr);
        }
        self.totals.frees += 1;
        Some(slot)
    }

    #[cold]
    fn end_unknown(&mut self, addr: u64) -> Effect<u32> {
        if self.forked && self.inherited_freed.insert(addr) {
            self.totals.frees += 1;
            return Effect::EndedInherited;
        }
        self.totals.unmatched_frees += 1;
        Effect::Unmatched
    }

    fn release(&mut self, event: &Event, spot: &mut impl Spot) -> Effect<u32> {
        let Some(slot) = self.end(event.addr, spot) else {
            // The thread's next outcome is of this realloc, not of an earlier one.
            self.releasing.remove(&event.thread);
            return self.end_unknown(event.addr);
        };
        // Keyed by the releasing thread, which is the one that reports the outcome.
        self.releasing.insert(event.thread, self.slots.at(slot).block);
        Effect::Ended(slot)
    }

    #[cold]
    fn restore(&mut self, event: &Event, spot: &mut impl Spot) -> Effect<u32> {
        match self.releasing.remove(&event.thread) {
            Some(block) if block.addr == event.addr => {
                self.totals.frees = self.totals.frees.saturating_sub(1);
                Effect::Restored(self.insert(block, 0, spot).0)
            }
            _ => {
                if self.forked && self.inherited_freed.remove(&event.addr) {
                    self.totals.frees = self.totals.frees.saturating_sub(1);
                }
                Effect::Nothing
            }
        }
    }

    /// Puts a block in, counts it, and returns its slot and that of the one whose spot it took.
    #[inline(always)]
    fn insert(&mut self, block: LiveBlock, mark: u64, spot: &mut impl Spot) -> (u32, Option<u32>) {
        let size = block.size;
        let (slot, overlaid) = self.hold(block, mark, spot);
        // Both in the same way, here and where a block ends: compilers make one wide addition of them, which
        // would wait long for the last one if that had stored them singly.
        self.totals.live_bytes = self.totals.live_bytes.wrapping_add(size);
        self.totals.live_blocks += 1;
        if let Some(overlaid) = overlaid {
            self.uncount(overlaid);
        }
        (slot, overlaid)
    }

    #[cold]
    fn uncount(&mut self, overlaid: u32) {
        let size = self.slots.at(overlaid).block.size;
        self.totals.live_bytes = self.totals.live_bytes.wrapping_sub(size);
        self.totals.live_blocks -= 1;
    }

    /// The same without counting it.
    #[inline(always)]
    pub(super) fn hold(
        &mut self,
        block: LiveBlock,
        mark: u64,
        spot: &mut impl Spot,
    ) -> (u32, Option<u32>) {
        let slot = self.slots.place(block, mark);
        let overlaid = spot.put(&self.slots, slot);
        if let Some(overlaid) = overlaid {
            self.slots.vacate(overlaid);
        }
        (slot, overlaid)
    }
}
