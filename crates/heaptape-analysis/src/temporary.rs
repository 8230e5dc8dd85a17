//! Temporary blocks: freed before the same thread's next allocation.

use heaptape_tape::{Action, Effect, Event, LiveBlock, ThreadId};
use rustc_hash::FxHashMap;

/// Follows the events of one process and finds its temporary blocks.
///
/// Memory: one block per thread.
#[derive(Debug, Default)]
pub struct Temporaries {
    /// Each thread's newest block.
    newest: FxHashMap<ThreadId, LiveBlock>,
    /// Released by a realloc of this thread whose outcome is still to come: a failed one frees nothing.
    releasing: FxHashMap<ThreadId, LiveBlock>,
}

impl Temporaries {
    /// Takes notice of an event and what it did to the live set; calls `found` with each block that
    /// turned out temporary.
    pub fn note(&mut self, event: &Event, effect: &Effect, mut found: impl FnMut(LiveBlock)) {
        if let Some(block) = self.releasing.remove(&event.thread)
            && !matches!(effect, Effect::Restored(_))
        {
            found(block);
        }
        match *effect {
            Effect::Began(block, _) => {
                self.newest.insert(block.thread, block);
            }
            Effect::Ended(block) if self.is_newest(&block) => {
                if event.action == Action::ReallocRelease {
                    self.releasing.insert(event.thread, block);
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
        self.newest.get(&block.thread).is_some_and(|newest| newest.id == block.id)
    }
}
