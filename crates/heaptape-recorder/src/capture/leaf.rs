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
const LEAVES: usize = 512;
/// Leaves that begin in the same place: programs have functions of their own through which all allocations go, each
/// called from everywhere.
const WAYS: usize = 4;
const SETS: usize = LEAVES / WAYS;

/// One remembered walk.
#[repr(C, align(64))]
pub(super) struct Leaf {
    /// [`Leaves::epoch`] when it was made.
    epoch: u64,
    /// Where the walk began.
    start: State,
    start_bp_matters: bool,
    meets_bp_matters: bool,
    /// How many frames it has.
    count: u8,
    /// The number of the chain's state that it met.
    at: u32,
    /// The node of that state, and of this walk.
    outer_node: u32,
    node: u32,
    /// That state.
    meets_frame: Frame,
    meets_sp: usize,
    meets_bp: usize,
    /// The words in the order they were read, the first one again after the last: where, and what. Two
    /// arrays, because words that were just written one half at a time are slow to copy whole.
    addresses: [usize; MAX],
    values: [usize; MAX],
    /// Outermost first.
    frames: [Frame; MAX],
}

/// See the module. Zeroed memory is empty.
pub(super) struct Leaves {
    /// Leaves of other epochs are forgotten; that of zeroed ones is never the current.
    epoch: u64,
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
        let ip = (start.ip ^ start.ip >> 17).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let sp = (start.sp >> 4).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (ip ^ sp) >> 48 & (SETS - 1)
    }

    /// The place of the leaf that begins at `start`, if all its words still have their values and it still
    /// meets the chain.
    #[inline(always)]
    pub(super) fn find(&self, window: &Window, chain: &Chain, start: State) -> Option<usize> {
        let first = Leaves::set(start) * WAYS;
        (first..first + WAYS).find(|&place| {
            let leaf = &self.leaves[place];
            leaf.start.ip == start.ip
                && leaf.start.sp == start.sp
                && leaf.epoch == self.epoch
                && (!leaf.start_bp_matters || leaf.start.bp == start.bp)
                && leaf.words().all(|word| window.holds(&word))
                && leaf.meets(chain)
        })
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
        let Some(first_read) = words.last() else { return };
        if inner.len() > MAX || words.len() > MAX {
            return;
        }
        let set = Leaves::set(start);
        let way = usize::from(self.oldest[set]) % WAYS;
        self.oldest[set] = way as u8 + 1;
        let leaf = &mut self.leaves[set * WAYS + way];
        leaf.epoch = self.epoch;
        leaf.start = start;
        leaf.start_bp_matters = first.bp_matters();
        leaf.meets_bp_matters = met.bp_matters();
        leaf.count = inner.len() as u8;
        leaf.at = at as u32;
        leaf.outer_node = met.node;
        leaf.node = first.node;
        leaf.meets_frame = met.frame();
        (leaf.meets_sp, leaf.meets_bp) = (met.state().sp, met.state().bp);
        leaf.addresses = [first_read.address; MAX];
        leaf.values = [first_read.value; MAX];
        for (to, word) in leaf.addresses.iter_mut().zip(words.iter().rev()) {
            *to = word.address;
        }
        for (to, word) in leaf.values.iter_mut().zip(words.iter().rev()) {
            *to = word.value;
        }
        for (to, known) in leaf.frames.iter_mut().zip(inner) {
            *to = known.frame();
        }
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

    #[inline(always)]
    fn words(&self) -> impl Iterator<Item = Word> {
        let pairs = self.addresses.iter().zip(&self.values);
        pairs.map(|(&address, &value)| Word { address, value })
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
