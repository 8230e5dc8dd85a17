//! A small lossy memory of backtrace nodes: (address, parent) → id.
//!
//! Four-way sets of one cache line. Keys are compared in full, so a hit is always right; a node that was
//! pushed out is announced again under a new id, and the collector sees that they are one.
//!
//! Which set it is follows from a hash of all its frames, not from the parent's id: so the sets of several new frames,
//! each the parent of the next, are known before any of their ids is, and are fetched at once.

use super::Frame;
use core::sync::atomic::{Ordering, compiler_fence};

const SETS: usize = 4096;

/// A hash of a frame and all outer ones; the default is that of none.
#[derive(Clone, Copy, Default)]
pub(crate) struct Path(u64);

impl Path {
    /// The hash of `frame`, called from the frame that this is the hash of.
    #[inline(always)]
    pub(super) fn inward(self, frame: Frame) -> Path {
        Path((self.0.rotate_left(29) ^ frame.0).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    #[inline(always)]
    fn set(self) -> usize {
        (self.0 >> (u64::BITS - SETS.trailing_zeros())) as usize
    }
}

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

impl Memo {
    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        for set in &mut self.sets {
            *set = [Entry { frame: 0, parent: 0, id: 0 }; 4];
        }
    }

    /// Fetches the set of a node that will be asked for.
    #[inline(always)]
    pub(super) fn fetch(&self, path: Path) {
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        // SAFETY: a hint that has no effect on memory.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>((&raw const self.sets[path.set()]).cast());
        }
        #[cfg(not(all(target_arch = "x86_64", not(miri))))]
        let _ = path;
    }

    /// The id of the node of `frame` below `parent`, if it is remembered.
    #[inline(always)]
    pub(super) fn get(&self, path: Path, frame: Frame, parent: u32) -> Option<u32> {
        // All four places without a branch: which one it is cannot be predicted.
        let id_if_it = |e: &Entry| {
            let differing = (e.frame ^ frame.0) | u64::from(e.parent ^ parent);
            e.id & u32::from(differing == 0).wrapping_neg()
        };
        let [a, b, c, d] = &self.sets[path.set()];
        // A node that stands in two places, after a jump out of `put`, has the same id in both.
        let id = id_if_it(a) | id_if_it(b) | (id_if_it(c) | id_if_it(d));
        (id != 0).then_some(id)
    }

    /// Remembers a node, at the cost of the oldest of its set.
    pub(super) fn put(&mut self, path: Path, frame: Frame, parent: u32, id: u32) {
        let set = &mut self.sets[path.set()];
        for place in (0..3).rev() {
            let older = set[place];
            set[place + 1].fill(older);
        }
        set[0].fill(Entry { frame: frame.0, parent, id });
    }
}

#[cfg(test)]
impl Memo {
    /// An empty one for tests.
    pub(crate) fn boxed() -> Box<Memo> {
        Box::new(Memo { sets: [[Entry { frame: 0, parent: 0, id: 0 }; 4]; SETS] })
    }
}
