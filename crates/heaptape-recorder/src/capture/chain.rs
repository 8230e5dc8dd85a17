//! The last walk, remembered: the states it passed, outermost first, their nodes, and every word of memory
//! that decided it.
//!
//! A walk is a function of the registers, the rules, and the words it reads. So when a new walk comes to a
//! remembered state, and every word that was read outward of it still has its value, the rest of the walk
//! is the remembered one, whatever happened to the stack meanwhile: the state must be the same in all that
//! matters (`rbp` only where some outer frame takes it up before it is restored), the rules are those of
//! the same generation of modules, and no word is left out.
//!
//! The words are compared in the order the walk read them, and only up to the first that differs. Nothing
//! is read here that a walk would not read next.

use super::memo::Path;
use super::step::{self, STEP_WORDS, State, Word};
use super::window::Window;
use super::{Frame, Fresh};
use heaptape_wire::layout::MAX_FRAMES;

/// In a frame, of which it is no bit: the state's `rbp` matters.
const MATTERS: u64 = 1 << 61;

/// A state that the walk passed.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Known {
    key: Key,
    /// The node of this frame with all outer ones.
    pub(super) node: u32,
    /// How many words decided the walk from here outward.
    words: u32,
}

/// What of a state decides how a walk goes on: `bp` is 0 where it does not matter.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Key {
    /// The frame, and [`MATTERS`].
    frame: u64,
    sp: usize,
    bp: usize,
}

impl Key {
    #[inline(always)]
    fn new(frame: Frame, sp: usize, bp: usize, bp_matters: bool) -> Key {
        if bp_matters {
            Key { frame: frame.0 | MATTERS, sp, bp }
        } else {
            Key { frame: frame.0, sp, bp: 0 }
        }
    }

    /// Whether both are the same.
    #[inline(always)]
    pub(super) fn is(&self, other: &Key) -> bool {
        // One branch: it is nearly always the same, or may be either.
        (self.frame ^ other.frame) | (self.sp ^ other.sp | self.bp ^ other.bp) as u64 == 0
    }
}

impl Known {
    #[inline(always)]
    fn words(&self) -> usize {
        self.words as usize
    }

    pub(super) fn bp_matters(&self) -> bool {
        self.key.frame & MATTERS != 0
    }

    pub(super) fn frame(&self) -> Frame {
        Frame(self.key.frame & !MATTERS)
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn sp(&self) -> usize {
        self.key.sp
    }

    /// The state; without `rbp` where it does not matter.
    pub(super) fn state(&self) -> State {
        State { ip: self.frame().ip() as usize, sp: self.key.sp, bp: self.key.bp }
    }

    /// Whether a walk that finds `frame` in this state goes on as the remembered one did, if the words
    /// agree.
    #[inline(always)]
    pub(super) fn is(&self, frame: Frame, sp: usize, bp: usize) -> bool {
        self.key.is(&Key::new(frame, sp, bp, self.bp_matters()))
    }
}

/// What the outermost remembered state is.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Bottom {
    /// The outermost frame.
    End = 0,
    /// A frame whose step outward failed.
    Lost = 1,
    /// Where a walk that was too deep was cut. Another one may end here too, if neither too few nor too many
    /// frames lie inside.
    Deep = 2,
}

/// See the module. Zeroed memory is an empty one.
#[repr(C)]
pub(super) struct Chain {
    depth: usize,
    pub(super) bottom: Bottom,
    /// Between these addresses lie all words, and some that were.
    low: usize,
    high: usize,
    known: [Known; MAX_FRAMES],
    /// By state: the hash of its frame and all outer ones.
    paths: [Path; MAX_FRAMES],
    words: [Word; MAX_FRAMES * STEP_WORDS],
}

impl Chain {
    /// The remembered states, outermost first.
    #[inline(always)]
    pub(super) fn known(&self) -> &[Known] {
        // SAFETY: `depth` never exceeds the array; `push` checks.
        unsafe { self.known.get_unchecked(..self.depth) }
    }

    /// The hash of the frames from the `level`-th state outward.
    #[inline(always)]
    pub(super) fn path(&self, level: usize) -> Path {
        self.paths[level]
    }

    /// The words of the states from the `outer`-th inward to the `inner`-th, outermost first.
    pub(super) fn words_between(&self, outer: usize, inner: usize) -> &[Word] {
        &self.words[self.known[outer].words()..self.known[inner].words()]
    }

    /// Forgets all but the outer `depth` states.
    #[inline(always)]
    pub(super) fn truncate(&mut self, depth: usize) {
        self.depth = self.depth.min(depth);
    }

    /// A state as it was before the chain was truncated.
    pub(super) fn was(&self, level: usize) -> &Known {
        &self.known[level]
    }

    /// Compares every word that was read outward of the state at `from`. `Err`: the states from this one
    /// inward to `from` are right, the step outward of it is not.
    #[inline(always)]
    pub(super) fn verify(&self, window: &mut Window, from: usize) -> Result<(), usize> {
        if !window.spans(self.low, self.high) {
            return self.verify_slowly(window, from, self.known[from].words());
        }
        // SAFETY: only as many words as states are pushed are counted; `push` checks.
        let words = unsafe { self.words.get_unchecked(..self.known.get_unchecked(from).words()) };
        // SAFETY: inside the window, and read in the order of a walk, none after one that differs.
        let holds = |word: &Word| unsafe { word.holds() };
        // In fours: one branch of a loop less for each word.
        let mut left = words;
        while let Some((rest, chunk)) = left.split_last_chunk::<4>() {
            if !(holds(&chunk[3]) && holds(&chunk[2]) && holds(&chunk[1]) && holds(&chunk[0])) {
                return self.verify_slowly(window, from, left.len());
            }
            left = rest;
        }
        if left.iter().rev().all(holds) {
            Ok(())
        } else {
            self.verify_slowly(window, from, left.len())
        }
    }

    /// The same where the window must grow, or one of the outermost `count` words differs; the others do not.
    #[cold]
    #[inline(never)]
    fn verify_slowly(&self, window: &mut Window, from: usize, count: usize) -> Result<(), usize> {
        let words = &self.words[..count];
        match words.iter().rposition(|word| !window.comes_to_hold(word)) {
            None => Ok(()),
            Some(differing) => {
                // Mostly a step near the innermost.
                let is_wrong = |known: &&Known| known.words() > differing;
                Err(from + 1 - self.known[..=from].iter().rev().take_while(is_wrong).count())
            }
        }
    }

    /// Gives all states one node, which is wrong for all but one.
    #[cfg(test)]
    pub(super) fn mistake(&mut self) {
        let node = self.known[0].node;
        self.known[..self.depth].iter_mut().for_each(|known| known.node = node);
    }

    /// Adds states inside of the innermost, given innermost first, as far as there is room.
    #[inline(never)]
    pub(super) fn extend(&mut self, fresh: &[Fresh]) {
        let (mut low, mut high) =
            if self.depth <= 1 { (usize::MAX, 0) } else { (self.low, self.high) };
        let room = MAX_FRAMES - self.depth;
        for inner in fresh[fresh.len().saturating_sub(room)..].iter().rev() {
            let level = self.depth;
            let (mut count, mut bp_matters) = (0, false);
            if let Some(outer) = self.known().last() {
                count = outer.words();
                let (next, callers) = (outer.state(), outer.bp_matters());
                // The first that was read is compared first, so it comes last.
                if inner.rule.is_plain() {
                    let word = step::address_word(next);
                    self.set_word(count, word);
                    count += 1;
                    (low, high) = (low.min(word.address), high.max(word.address));
                    if callers && let Some(address) = inner.rule.bp_slot(next.sp, inner.bp) {
                        self.set_word(count, Word { address, value: next.bp });
                        count += 1;
                        (low, high) = (low.min(address), high.max(address));
                    }
                    bp_matters = step::bp_matters_to_plain(inner.rule, callers);
                } else {
                    let (words, more) =
                        step::words_of_unusual(inner.rule, inner.state(), next, callers);
                    for word in &words[..more] {
                        self.set_word(count, *word);
                        count += 1;
                        (low, high) = (low.min(word.address), high.max(word.address));
                    }
                    bp_matters = step::bp_matters(inner.rule, callers);
                }
            } else {
                bp_matters |= step::bp_matters(inner.rule, false);
            }
            let key = Key::new(inner.frame, inner.sp, inner.bp, bp_matters);
            // SAFETY: `room` ends before that.
            unsafe {
                *self.known.get_unchecked_mut(level) =
                    Known { key, node: inner.node, words: count as u32 };
                *self.paths.get_unchecked_mut(level) = inner.path;
            }
            self.depth = level + 1;
        }
        (self.low, self.high) = (low, high);
    }

    #[inline(always)]
    fn set_word(&mut self, number: usize, word: Word) {
        debug_assert!(number < self.words.len());
        // SAFETY: there is room for STEP_WORDS of each of MAX_FRAMES states.
        unsafe { *self.words.get_unchecked_mut(number) = word };
    }
}

impl Fresh {
    fn state(&self) -> State {
        State { ip: self.frame.ip() as usize, sp: self.sp, bp: self.bp }
    }
}
