//! A small lossy memory of backtrace nodes: (address, parent) → id.
//!
//! Four-way sets of one cache line. Keys are compared in full, so a hit is always right; a node that was
//! pushed out is announced again under a new id, and the collector sees that they are one.

use core::sync::atomic::{Ordering, compiler_fence};

const SETS: usize = 1024;

/// One remembered node; `id` 0 is an empty place.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    frame: u64,
    parent: u32,
    id: u32,
}

impl Entry {
    /// Becomes `entry`; empty in between, because a jump out of a signal handler may leave us half-way.
    fn fill(&mut self, entry: Entry) {
        self.id = 0;
        compiler_fence(Ordering::SeqCst);
        self.frame = entry.frame;
        self.parent = entry.parent;
        compiler_fence(Ordering::SeqCst);
        self.id = entry.id;
    }
}

/// See the module. Zeroed memory is an empty one.
#[repr(C, align(64))]
pub(crate) struct Memo {
    sets: [[Entry; 4]; SETS],
}

fn set_of(frame: u64, parent: u32) -> usize {
    let mixed = (frame ^ (frame >> 29)).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ u64::from(parent).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed >> 40) as usize & (SETS - 1)
}

impl Memo {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        for set in &mut self.sets {
            *set = [Entry { frame: 0, parent: 0, id: 0 }; 4];
        }
    }

    /// The id of a node, if it is remembered.
    #[inline(always)]
    pub(crate) fn get(&self, frame: u64, parent: u32) -> Option<u32> {
        // All four places without a branch: which one it is cannot be predicted.
        let id_if_it = |e: &Entry| {
            let is_it = e.frame == frame && e.parent == parent;
            e.id & u32::from(is_it).wrapping_neg()
        };
        let [a, b, c, d] = &self.sets[set_of(frame, parent)];
        // A node that stands in two places, after a jump out of `put`, has the same id in both.
        let id = id_if_it(a) | id_if_it(b) | (id_if_it(c) | id_if_it(d));
        (id != 0).then_some(id)
    }

    /// Remembers a node, at the cost of the oldest of its set.
    pub(crate) fn put(&mut self, frame: u64, parent: u32, id: u32) {
        let set = &mut self.sets[set_of(frame, parent)];
        for place in (0..3).rev() {
            let older = set[place];
            set[place + 1].fill(older);
        }
        set[0].fill(Entry { frame, parent, id });
    }
}

#[cfg(test)]
impl Memo {
    /// An empty one for tests.
    pub(crate) fn boxed() -> Box<Memo> {
        Box::new(Memo { sets: [[Entry { frame: 0, parent: 0, id: 0 }; 4]; SETS] })
    }
}
