//! Short cuts to the chain: the inner frames of walks that came by before.
//!
//! Programs call their allocators from a few places again and again, a few frames away from a part of the stack
//! that stays. A leaf remembers such a walk from the registers to the state where it met the chain: what
//! it found and the words that decided it. When they still have their values the walk would find the same
//! again, and its node is known if that of the meeting place is still the same.

use super::Frame;
use super::chain::{Chain, Key};
use super::step::{State, Word};
use super::window::Window;
use core::sync::atomic::{Ordering, compiler_fence};

/// Frames, and words, of a leaf.
pub(super) const MAX: usize = 6;
const LEAVES: usize = 1024;
/// Leaves that begin in the same place: programs have functions of their own through which all allocations go, each
/// called from everywhere.
const WAYS: usize = 4;
const SETS: usize = LEAVES / WAYS;

/// One remembered walk. All but its frames is in two lines of the processor's cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Leaf {
    /// Where the walk began; an `sp` of 0, which no walk has, for no leaf.
    ip: usize,
    sp: usize,
    bp: usize,
    /// The bits of `bp` that matter: all or none.
    bp_matters: usize,
    /// The state of the chain that it met.
    meets: Key,
    /// The number of that state in the chain.
    at: u16,
    /// The highest of `places`.
    highest: u16,
    /// The node of this walk, and of that state.
    node: u32,
    outer_node: u32,
    /// The words in the order they were read: what they were, and where, in words from `sp`. Where there are fewer,
    /// the first comes again.
    places: [u16; MAX],
    values: [usize; MAX],
    /// Outermost first.
    frames: [Frame; MAX],
    /// How many there are.
    count: u8,
}

/// See the module. Zeroed memory is empty.
pub(super) struct Leaves {
    /// Whether there are any.
    used: bool,
    /// By set, which leaf is forgotten next.
    oldest: [u8; SETS],
    /// By set, which leaf was found or remembered last.
    recent: [u8; SETS],
    leaves: [Leaf; LEAVES],
}

impl Leaves {
    /// Forgets all.
    pub(super) fn forget(&mut self) {
        if self.used {
            self.leaves.iter_mut().for_each(|leaf| leaf.sp = 0);
            // Only then: a jump out of a signal handler may leave us half-way.
            compiler_fence(Ordering::SeqCst);
            self.used = false;
        }
    }

    #[inline(always)]
    fn set(start: State) -> usize {
        // Fibonacci hashing, of the low bits of both.
        let mixed = (start.ip ^ start.sp << 24).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed >> (usize::BITS - SETS.trailing_zeros())
    }

    /// The leaf that begins at `start`, with its place, if all its words still have their values and it still
    /// meets the chain. The window has the word below `start.sp` in it.
    #[inline(always)]
    pub(super) fn find(
        &mut self,
        window: &Window,
        chain: &Chain,
        start: State,
    ) -> Option<(usize, &Leaf)> {
        let set = Leaves::set(start);
        let room = window.room_from(start.sp);
        // The one that was right the last time first.
        let recent = set * WAYS + usize::from(self.recent[set]) % WAYS;
        for step in 0..WAYS {
            let place = (recent ^ step) % LEAVES;
            let leaf = &self.leaves[place];
            if leaf.begins(start) && leaf.holds(room) && leaf.meets(chain) {
                if step != 0 {
                    self.recent[set] = (place % WAYS) as u8;
                }
                return Some((place, &self.leaves[place]));
            }
        }
        None
    }

    /// The leaf at a place.
    pub(super) fn leaf(&mut self, place: usize) -> &mut Leaf {
        &mut self.leaves[place & (LEAVES - 1)]
    }

    /// Remembers that a walk from `start` met the chain at its `at`-th state; the inner states are in the
    /// chain now. Does nothing when they are too many.
    #[inline(never)]
    pub(super) fn remember(&mut self, chain: &Chain, start: State, at: usize) {
        let known = chain.known();
        let (Some(met), Some(inner)) = (known.get(at), known.get(at + 1..)) else { return };
        let Some(first) = inner.last() else { return };
        let words = chain.words_between(at, known.len() - 1);
        // Words lie at multiples of 8, and so do all sane stack pointers.
        if inner.len() > MAX || words.len() > MAX || start.sp & 7 != 0 {
            return;
        }
        let set = Leaves::set(start);
        let way = usize::from(self.oldest[set]) % WAYS;
        self.oldest[set] = way as u8 + 1;
        self.recent[set] = way as u8;
        let leaf = &mut self.leaves[set * WAYS + way];
        // No leaf until it is whole. Before it may be one: see `forget`.
        self.used = true;
        leaf.sp = 0;
        compiler_fence(Ordering::SeqCst);
        let mut highest = 0;
        // The first that is read is the last of them.
        let Some(mut word) = words.last() else { return };
        let mut rest = words;
        for number in 0..MAX {
            if let [others @ .., next] = rest {
                (rest, word) = (others, next);
            } else if let Some(first) = words.last() {
                word = first;
            }
            let place = word.address.wrapping_sub(start.sp) / 8;
            highest = place.max(highest);
            (leaf.places[number], leaf.values[number]) = (place as u16, word.value);
        }
        let Ok(highest) = u16::try_from(highest) else { return };
        leaf.highest = highest;
        leaf.count = inner.len() as u8;
        (leaf.ip, leaf.bp) = (start.ip, start.bp);
        leaf.bp_matters = usize::from(first.bp_matters()).wrapping_neg();
        leaf.at = at as u16;
        leaf.meets = *met.key();
        (leaf.outer_node, leaf.node) = (met.node, first.node);
        for (to, known) in leaf.frames.iter_mut().zip(inner) {
            *to = known.frame();
        }
        compiler_fence(Ordering::SeqCst);
        leaf.sp = start.sp;
    }
}

impl Leaf {
    /// Whether its walk began like this.
    #[inline(always)]
    fn begins(&self, start: State) -> bool {
        // One branch: each of them may differ.
        (self.ip ^ start.ip) | (self.sp ^ start.sp) | ((self.bp ^ start.bp) & self.bp_matters) == 0
    }

    /// Whether the chain's state that it met is still there.
    #[inline(always)]
    fn meets(&self, chain: &Chain) -> bool {
        chain.known().get(self.at as usize).is_some_and(|met| met.key().is(&self.meets))
    }

    /// Whether all its words still have their values. From its `sp` on, the window has `room` bytes.
    #[inline(always)]
    fn holds(&self, room: usize) -> bool {
        if usize::from(self.highest) * 8 >= room {
            return false;
        }
        // As many rounds always: how many words there are cannot be predicted.
        for (place, &value) in self.places.iter().zip(&self.values) {
            let word = Word { address: self.sp + usize::from(*place) * 8, value };
            // SAFETY: inside the window, and read in the order of a walk, none after one that differs.
            if !unsafe { word.holds() } {
                return false;
            }
        }
        true
    }

    /// The number of the chain's state that it meets.
    #[inline(always)]
    pub(super) fn at(&self) -> usize {
        self.at as usize
    }

    /// Its node, if the state it meets has the same node, `outer_node`, as it had.
    #[inline(always)]
    pub(super) fn node(&self, outer_node: u32) -> Option<u32> {
        (self.outer_node == outer_node).then_some(self.node)
    }

    /// How many frames it has.
    #[inline(always)]
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Its frames, outermost first, at the places below `count`.
    pub(super) fn frames(&self) -> [Frame; MAX] {
        self.frames
    }

    /// Notes its node under another node of the state it meets.
    pub(super) fn renew(&mut self, outer_node: u32, node: u32) {
        // Never the new outer node with the old node, wherever a jump leaves us.
        self.outer_node = 0;
        self.node = node;
        self.outer_node = outer_node;
    }
}
