//! Temporary blocks: freed before the same thread's next allocation.

use crate::table::Table;
use heaptape_tape::{Action, BlockId, Effect, Event, LiveBlock, ThreadId};
use rustc_hash::FxHashMap;

/// Follows the events of one process and finds its temporary blocks.
///
/// Memory: 8 bytes a thread, and a block for each that is in a realloc.
#[derive(Debug, Default)]
pub struct Temporaries {
    /// Each thread's newest block; 0 is none.
    newest: Table<ThreadId, BlockId>,
    /// Released by a realloc of this thread whose outcome is still to come: a failed one frees nothing.
    releasing: FxHashMap<ThreadId, LiveBlock>,
}

impl Temporaries {
    /// Takes notice of an event and what it did to the live set; calls `found` with each block that
    /// turned out temporary.
    #[inline]
    pub fn note(
        &mut self,
        event: &Event,
        effect: &Effect<&LiveBlock>,
        mut found: impl FnMut(&LiveBlock),
    ) {
        if !self.releasing.is_empty()
            && let Some(block) = self.releasing.remove(&event.thread)
            && !matches!(effect, Effect::Restored(_))
        {
            found(&block);
        }
        match *effect {
            Effect::Began(block, _) => {
                *self.newest.of(block.thread) = block.id;
            }
            Effect::Ended(block) if self.is_newest(block) => {
                if event.action == Action::ReallocRelease {
                    self.releasing.insert(event.thread, *block);
                } else {
                    found(block);
                }
            }
            _ => {}
        }
    }

    /// The blocks that are known to be temporary only because the history ends: released by a realloc
    /// that never told its outcome.
    pub fn finish(self) -> impl Iterator<Item = LiveBlock> {
        self.releasing.into_values()
    }

    fn is_newest(&self, block: &LiveBlock) -> bool {
        self.newest.get(block.thread) == Some(&block.id)
    }
}
