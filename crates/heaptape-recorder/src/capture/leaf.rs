//! Short cuts to the chain: the inner frames of walks that came by before.
//!
//! Programs call their allocators from a few places again and again, a few frames away from a part of the stack
//! that stays. A leaf remembers such a walk from the registers to the state where it met the chain: what
//! it found and the words that decided it. When they still have their values the walk would find the same
//! again, and its node is known if that of the meeting place is still the same.

use super::Frame;
use super::chain::Chain;
use super::step::{State, Word};
use super::window::Window;

/// Frames, and words, of a leaf.
pub(super) const MAX: usize = 6;
const LEAVES: usize = 1024;
/// Leaves that begin in the same place: programs have functions of their own through which all allocations go, each
/// called from everywhere.
const WAYS: usize = 4;
const SETS: usize = LEAVES / WAYS;

/// One remembered walk. All but its frames is in two lines of the processor's cache.
#[repr(C, align(64))]
pub(super) struct Leaf {
    /// Where the walk began.
    start: State,
    /// The state of the chain that it met.
    meets_frame: Frame,
    meets_sp: usize,
    meets_bp: usize,
    /// [`Leaves::epoch`] when it was made.
    epoch: u32,
    /// The number of that state in the chain.
    at: u16,
    /// The highest of `places`.
    highest: u16,
    /// The node of that state, and of this walk.
    outer_node: u32,
    node: u32,
    /// The words in the order they were read: what they were, and where, in words from `start.sp`.
    values: [usize; MAX],
    places: [u16; MAX],
    /// How many words there are.
    words: u8,
    /// How many frames there are.
    count: u8,
    start_bp_matters: bool,
    meets_bp_matters: bool,
    /// Outermost first.
    frames: [Frame; MAX],
}

/// See the module. Zeroed memory is empty.
pub(super) struct Leaves {
    /// Leaves of other epochs are forgotten; that of zeroed ones is never the current.
    epoch: u32,
    /// By set, which leaf is forgotten next.
    oldest: [u8; SETS],
    leaves: [Leaf; LEAVES],
}

impl Leaves {
    /// Forgets all. Called before the first use.
    pub(super) fn forget(&mut self) {
        self.epoch += 1;
    }

    #[inline(always)]
    fn set(start: State) -> usize {
        // Fibonacci hashing, of the low bits of both.
        let mixed = (start.ip ^ start.sp << 24).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        mixed >> (usize::BITS - SETS.trailing_zeros())
    }

    /// The place of the leaf that begins at `start`, if all its words still have their values and it still
    /// meets the chain. The window has `start.sp` in it.
    #[inline(always)]
    pub(super) fn find(&self, window: &Window, chain: &Chain, start: State) -> Option<usize> {
        let first = Leaves::set(start) * WAYS;
        for place in first..first + WAYS {
            let leaf = &self.leaves[place];
            if leaf.start.ip == start.ip
                && leaf.start.sp == start.sp
                && leaf.epoch == self.epoch
                && (!leaf.start_bp_matters || leaf.start.bp == start.bp)
                && leaf.holds(window)
                && leaf.meets(chain)
            {
                return Some(place);
            }
        }
        None
    }

    /// The leaf at a place.
    #[inline(always)]
    pub(super) fn leaf(&mut self, place: usize) -> &mut Leaf {
        &mut self.leaves[place & (LEAVES - 1)]
    }

    /// Remembers that a walk from `start` met the chain at its `at`-th state; the inner states are in the
    /// chain now. Does nothing when they are too many.
    #[inline(always)]
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
        let leaf = &mut self.leaves[set * WAYS + way];
        // No leaf until it is whole.
        leaf.epoch = 0;
        leaf.highest = 0;
        for (number, word) in words.iter().rev().enumerate() {
            let Ok(place) = u16::try_from(word.address.wrapping_sub(start.sp) / 8) else { return };
            (leaf.values[number], leaf.places[number]) = (word.value, place);
            leaf.highest = leaf.highest.max(place);
        }
        leaf.words = words.len() as u8;
        leaf.count = inner.len() as u8;
        leaf.start = start;
        leaf.start_bp_matters = first.bp_matters();
        leaf.meets_bp_matters = met.bp_matters();
        leaf.at = at as u16;
        leaf.outer_node = met.node;
        leaf.node = first.node;
        leaf.meets_frame = met.frame();
        (leaf.meets_sp, leaf.meets_bp) = (met.state().sp, met.state().bp);
        for (to, known) in leaf.frames.iter_mut().zip(inner) {
            *to = known.frame();
        }
        leaf.epoch = self.epoch;
    }
}

impl Leaf {
    /// Whether the chain's state that it met is still there.
    #[inline(always)]
    fn meets(&self, chain: &Chain) -> bool {
        chain.known().get(self.at as usize).is_some_and(|met| {
            met.is(self.meets_frame, self.meets_sp, self.meets_bp)
                && met.bp_matters() == self.meets_bp_matters
        })
    }

    /// Whether all its words still have their values.
    #[inline(always)]
    fn holds(&self, window: &Window) -> bool {
        let base = self.start.sp;
        let at = |place: u16| base + usize::from(place) * 8;
        if !window.spans(base, at(self.highest)) {
            return false;
        }
        for number in 0..usize::from(self.words).min(MAX) {
            let word = Word { address: at(self.places[number]), value: self.values[number] };
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
