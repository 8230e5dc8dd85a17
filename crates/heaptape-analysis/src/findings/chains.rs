//! Blocks that grow by realloc again and again, and what was copied for it.
//!
//! A *chain* is a block and what realloc made of it, up to the last one. Doubling copies no more bytes than the last block
//! has; growing by a fixed step copies the square of the number of steps.

use crate::layout::has_own_mapping;
use heaptape_tape::{Action, Api, BacktraceId, BlockId, Effect, Event, LiveBlock, ThreadId};
use rustc_hash::FxHashMap;

/// Steps of a chain below which it is not counted: doubling from 1 byte to 64 KiB takes 16.
pub(crate) const MIN_STEPS: u64 = 16;
/// A chain is counted where it copied at least so many times the bytes of its last block: doubling copies them once.
pub(crate) const MIN_COPIED_TIMES: u64 = 4;

/// The chain that ends in one live block.
#[derive(Clone, Copy)]
struct Chain {
    steps: u64,
    copied_bytes: u64,
    size: u64,
    backtrace: BacktraceId,
}

/// Chains that grew in too small steps, by where their last realloc was called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Chained {
    /// How many.
    pub(crate) chains: u64,
    /// Their steps.
    pub(crate) steps: u64,
    /// Steps of the longest.
    pub(crate) longest: u64,
    /// Bytes that were copied, at most.
    pub(crate) copied_bytes: u64,
    /// Bytes of their last blocks.
    pub(crate) last_bytes: u64,
}

impl Chained {
    /// Adds those of another backtrace.
    pub(crate) fn add(&mut self, other: &Chained) {
        self.chains += other.chains;
        self.steps += other.steps;
        self.longest = self.longest.max(other.longest);
        self.copied_bytes = self.copied_bytes.saturating_add(other.copied_bytes);
        self.last_bytes = self.last_bytes.saturating_add(other.last_bytes);
    }
}

/// Follows reallocs. Memory: a chain for each live block that came of one.
#[derive(Default)]
pub(super) struct Chains {
    page_bytes: u64,
    of_block: FxHashMap<BlockId, Chain>,
    releasing: FxHashMap<ThreadId, (LiveBlock, Option<Chain>)>,
    done: FxHashMap<BacktraceId, Chained>,
}

impl Chains {
    pub(super) fn new(page_bytes: u64) -> Chains {
        Chains { page_bytes, ..Chains::default() }
    }

    #[inline]
    pub(super) fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>) {
        match effect {
            Effect::Ended(block) if is_realloc(block) => self.end(event, block),
            Effect::Ended(block) if event.action == Action::ReallocRelease => {
                self.end(event, block);
            }
            Effect::Began(block, None) if event.action == Action::ReallocAlloc => self.step(block),
            Effect::Began(block, Some(gone)) => {
                self.finish_block(gone.id);
                if event.action == Action::ReallocAlloc {
                    self.step(block);
                }
            }
            Effect::Restored(block) => {
                if let Some((_, Some(chain))) = self.releasing.remove(&event.thread) {
                    self.of_block.insert(block.id, chain);
                }
            }
            _ => {}
        }
    }

    #[cold]
    fn end(&mut self, event: &Event, block: &LiveBlock) {
        if event.action == Action::ReallocRelease {
            let chain = self.of_block.remove(&block.id);
            if let Some((_, Some(chain))) = self.releasing.insert(event.thread, (*block, chain)) {
                // A release of which nobody heard more: it freed the block.
                self.finish_chain(chain);
            }
        } else {
            self.finish_block(block.id);
        }
    }

    #[cold]
    fn step(&mut self, block: &LiveBlock) {
        let Some((before, chain)) = self.releasing.remove(&block.thread) else { return };
        let new = Chain { steps: 0, copied_bytes: 0, size: 0, backtrace: block.backtrace };
        let mut chain = chain.unwrap_or(new);
        if block.size > before.size {
            chain.steps += 1;
            // The kernel moves mappings without copying.
            let remapped = has_own_mapping(&before, self.page_bytes)
                && has_own_mapping(block, self.page_bytes);
            if before.addr != block.addr && !remapped {
                chain.copied_bytes = chain.copied_bytes.saturating_add(before.size);
            }
        }
        (chain.size, chain.backtrace) = (block.size, block.backtrace);
        self.of_block.insert(block.id, chain);
    }

    fn finish_block(&mut self, block: BlockId) {
        if let Some(chain) = self.of_block.remove(&block) {
            self.finish_chain(chain);
        }
    }

    fn finish_chain(&mut self, chain: Chain) {
        let enough = chain.size.saturating_mul(MIN_COPIED_TIMES);
        if chain.steps >= MIN_STEPS && chain.copied_bytes >= enough {
            self.done.entry(chain.backtrace).or_default().add(&Chained {
                chains: 1,
                steps: chain.steps,
                longest: chain.steps,
                copied_bytes: chain.copied_bytes,
                last_bytes: chain.size,
            });
        }
    }

    /// The history is over.
    pub(super) fn finish(mut self) -> FxHashMap<BacktraceId, Chained> {
        let live = std::mem::take(&mut self.of_block).into_values();
        let releasing = std::mem::take(&mut self.releasing).into_values();
        for chain in live.chain(releasing.filter_map(|(_, chain)| chain)) {
            self.finish_chain(chain);
        }
        self.done
    }

    pub(super) fn bytes(&self) -> u64 {
        let of_block = self.of_block.capacity() * (size_of::<(BlockId, Chain)>() + 1);
        let done = self.done.capacity() * (size_of::<(BacktraceId, Chained)>() + 1);
        (of_block + done) as u64
    }
}

fn is_realloc(block: &LiveBlock) -> bool {
    matches!(block.api, Api::Realloc | Api::Reallocarray)
}
