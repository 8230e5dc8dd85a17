//! The live set: what is allocated and not yet freed, kept while events go by.
//!
//! One [`LiveSet`] follows one process. The collector keeps one to write keyframes, the reader one to
//! wind a tape, the analysis one to attribute bytes. A forked child inherits blocks: its own set starts
//! empty with [`LiveSet::forked`], and an inherited block that it frees is noted by address, so that a
//! keyframe of the child never repeats the parent's heap.

use crate::model::*;
use rustc_hash::{FxHashMap, FxHashSet};

/// A block that is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveBlock {
    /// Where it starts.
    pub addr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// Its number.
    pub id: BlockId,
    /// When it was allocated.
    pub time: TimeNs,
    /// By which thread.
    pub thread: ThreadId,
    /// By which function.
    pub api: Api,
    /// log2 of the alignment asked for; 0 when none was.
    pub align_log2: u8,
    /// From where.
    pub backtrace: BacktraceId,
}

/// Running totals of a process's history. All exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Events so far.
    pub events: u64,
    /// Blocks begun: allocations and successful reallocs.
    pub allocs: u64,
    /// Bytes of those.
    pub alloc_bytes: u64,
    /// Blocks ended: frees and realloc releases, those that matched a block.
    pub frees: u64,
    /// Allocations that returned NULL.
    pub failed: u64,
    /// Frees and releases of an address that was no live block.
    pub unmatched_frees: u64,
    /// Allocations at an address that was still live: its free was missed. The old block is dropped.
    pub overlaid: u64,
    /// Bytes live now.
    pub live_bytes: u64,
    /// Blocks live now.
    pub live_blocks: u64,
    /// Most bytes live at once so far.
    pub peak_bytes: u64,
    /// Blocks at that moment.
    pub peak_blocks: u64,
    /// The first moment of it.
    pub peak_time: TimeNs,
    /// Events up to and including that moment.
    pub peak_event: EventIndex,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A block began; the second field is the block that was still recorded at its address, if any.
    Began(LiveBlock, Option<LiveBlock>),
    /// This block ended.
    Ended(LiveBlock),
    /// This block, released by a realloc that failed, lives on.
    Restored(LiveBlock),
    /// A block inherited over `fork` ended; it is not in this set.
    EndedInherited,
    /// A free or release of an address that was no live block.
    Unmatched,
    /// Nothing changed for blocks: a failed allocation, a mapping.
    Nothing,
}

/// The live blocks of one process and its running totals.
#[derive(Clone, Debug, Default)]
pub struct LiveSet {
    blocks: FxHashMap<u64, LiveBlock>,
    /// Blocks in the middle of a realloc, by thread: a failed one is put back from here.
    releasing: FxHashMap<ThreadId, LiveBlock>,
    forked: bool,
    inherited_freed: FxHashSet<u64>,
    totals: Totals,
}

impl LiveSet {
    /// The set of a process that began with an empty heap.
    pub fn new() -> LiveSet {
        LiveSet::default()
    }

    /// The set of a forked child: frees of unknown addresses are taken as frees of inherited blocks,
    /// each address once until it is allocated anew.
    pub fn forked() -> LiveSet {
        LiveSet { forked: true, ..LiveSet::default() }
    }

    /// The set of a forked child that really holds the inherited blocks, for replay: the child's own
    /// block numbers start at 1 like any process's.
    pub fn with_inherited(blocks: impl IntoIterator<Item = LiveBlock>) -> LiveSet {
        let mut set = LiveSet::new();
        for block in blocks {
            set.totals.live_bytes = set.totals.live_bytes.wrapping_add(block.size);
            set.totals.live_blocks += 1;
            set.blocks.insert(block.addr, block);
        }
        set.totals.peak_bytes = set.totals.live_bytes;
        set.totals.peak_blocks = set.totals.live_blocks;
        set
    }

    /// Rebuilds a set from the parts of a keyframe.
    pub fn from_parts(
        blocks: impl IntoIterator<Item = LiveBlock>,
        releasing: impl IntoIterator<Item = (ThreadId, LiveBlock)>,
        forked: bool,
        inherited_freed: impl IntoIterator<Item = u64>,
        totals: Totals,
    ) -> LiveSet {
        LiveSet {
            blocks: blocks.into_iter().map(|b| (b.addr, b)).collect(),
            releasing: releasing.into_iter().collect(),
            forked,
            inherited_freed: inherited_freed.into_iter().collect(),
            totals,
        }
    }

    /// Applies one event and tells what it did.
    pub fn apply(&mut self, event: &Event) -> Effect {
        self.totals.events += 1;
        match event.action {
            Action::Alloc | Action::ReallocAlloc => {
                if event.action == Action::ReallocAlloc {
                    self.releasing.remove(&event.thread);
                }
                self.begin(event)
            }
            Action::Free => {
                self.end(event.addr).map_or_else(|| self.end_unknown(event.addr), Effect::Ended)
            }
            Action::ReallocRelease => match self.end(event.addr) {
                Some(block) => {
                    // Keyed by the releasing thread, which is the one that reports the outcome.
                    self.releasing.insert(event.thread, block);
                    Effect::Ended(block)
                }
                None => {
                    // The thread's next outcome is of this realloc, not of an earlier one.
                    self.releasing.remove(&event.thread);
                    self.end_unknown(event.addr)
                }
            },
            Action::ReallocFail => match self.releasing.remove(&event.thread) {
                Some(block) if block.addr == event.addr => {
                    self.totals.frees -= 1;
                    self.insert(block);
                    Effect::Restored(block)
                }
                _ => {
                    if self.forked && self.inherited_freed.remove(&event.addr) {
                        self.totals.frees -= 1;
                    }
                    Effect::Nothing
                }
            },
            Action::AllocFail => {
                self.totals.failed += 1;
                Effect::Nothing
            }
            Action::Map | Action::Unmap => Effect::Nothing,
        }
    }

    fn begin(&mut self, event: &Event) -> Effect {
        self.totals.allocs += 1;
        // Wrapping here and below: sizes of a damaged tape add up to more than any memory holds.
        self.totals.alloc_bytes = self.totals.alloc_bytes.wrapping_add(event.size);
        let block = LiveBlock {
            addr: event.addr,
            size: event.size,
            usable: event.usable,
            id: BlockId(self.totals.allocs),
            time: event.time,
            thread: event.thread,
            api: event.api,
            align_log2: event.align_log2,
            backtrace: event.backtrace,
        };
        let overlaid = self.remove(event.addr);
        self.totals.overlaid += u64::from(overlaid.is_some());
        self.insert(block);
        if self.totals.live_bytes > self.totals.peak_bytes {
            self.totals.peak_bytes = self.totals.live_bytes;
            self.totals.peak_blocks = self.totals.live_blocks;
            self.totals.peak_time = event.time;
            self.totals.peak_event = self.totals.events;
        }
        Effect::Began(block, overlaid)
    }

    fn end(&mut self, addr: u64) -> Option<LiveBlock> {
        let block = self.remove(addr)?;
        self.totals.frees += 1;
        Some(block)
    }

    fn end_unknown(&mut self, addr: u64) -> Effect {
        if self.forked && self.inherited_freed.insert(addr) {
            self.totals.frees += 1;
            return Effect::EndedInherited;
        }
        self.totals.unmatched_frees += 1;
        Effect::Unmatched
    }

    fn insert(&mut self, block: LiveBlock) {
        self.totals.live_bytes = self.totals.live_bytes.wrapping_add(block.size);
        self.totals.live_blocks += 1;
        self.blocks.insert(block.addr, block);
    }

    fn remove(&mut self, addr: u64) -> Option<LiveBlock> {
        let block = self.blocks.remove(&addr)?;
        self.totals.live_bytes = self.totals.live_bytes.wrapping_sub(block.size);
        self.totals.live_blocks -= 1;
        Some(block)
    }

    /// The running totals.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The live blocks, in no order.
    pub fn blocks(&self) -> impl Iterator<Item = &LiveBlock> {
        self.blocks.values()
    }

    /// The live block that starts at `addr`.
    pub fn get(&self, addr: u64) -> Option<&LiveBlock> {
        self.blocks.get(&addr)
    }

    /// The live blocks, by address.
    pub fn sorted(&self) -> Vec<LiveBlock> {
        let mut blocks: Vec<LiveBlock> = self.blocks.values().copied().collect();
        blocks.sort_unstable_by_key(|b| b.addr);
        blocks
    }

    /// Blocks in the middle of a realloc.
    pub fn releasing(&self) -> impl Iterator<Item = (&ThreadId, &LiveBlock)> {
        self.releasing.iter()
    }

    /// Whether this set began with [`LiveSet::forked`].
    pub fn is_forked(&self) -> bool {
        self.forked
    }

    /// Addresses of inherited blocks that were freed.
    pub fn inherited_freed(&self) -> impl Iterator<Item = u64> + '_ {
        self.inherited_freed.iter().copied()
    }
}
