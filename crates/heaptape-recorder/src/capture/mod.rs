//! Stack → backtrace id.
//!
//! A walk by the modules' own unwind tables, compiled into packed rules ([`rules`]): exact for all code that
//! exceptions could pass through. It goes only as far as a state that an earlier walk passed and whose
//! outer part is verified to be unchanged, word by word (`chain`); often a short cut leads there at once
//! (`leaf`). Neither is ever believed without comparing all that the plain walk (`walk`) would read:
//! the result is the same, always, and `HEAPTAPE_CHECK` makes every thread prove it (`check`).
//!
//! A frame's node stands for it and all outer frames. Nodes of new frames are looked up in a small lossy
//! memo (`memo`) and announced when they are new to it.
//!
//! Code without tables (JITs, hand-written assembly) is crossed by the frame-pointer chain, and frames so
//! found are marked; where that fails too the backtrace ends with a mark. Reads outside memory known to be
//! readable are probed first (`window`): a corrupt stack costs frames, not the program.
//!
//! Where a stack is deeper than `MAX_FRAMES` the walk is cut, and the cut stays where it is as long as between
//! `KEPT_FRAMES` and `MAX_FRAMES` frames lie inside of it: so walks up and down a deep stack are as short as others.
//!
//! A signal handler's `longjmp` may leave any of this half-way: `Capture::settle` is called before the next
//! use, and after it nothing that was remembered of the stack is believed.

mod chain;
mod check;
mod eh_frame;
mod leaf;
mod memo;
pub mod registered;
pub mod rules;
mod step;
mod walk;
mod window;

use crate::emit;
use crate::thread::{Regs, Thread};
use chain::{Bottom, Chain};
use check::Check;
use core::sync::atomic::{Ordering, compiler_fence};
use heaptape_wire::layout::{KEPT_FRAMES, MAX_FRAMES};
use heaptape_wire::record::{NODE_EXACT, NODE_FRAME_POINTER, NODE_TRUNCATED};
use leaf::Leaves;
use memo::{Memo, Path};
use rules::{Kind, Rule};
use step::State;
use window::Window;
pub(crate) use window::about_to_unmap;

/// One frame: an address and, in bits 62 and 63, how it was found (user addresses leave them free).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
struct Frame(u64);

/// So many nodes of a walk are fetched ahead: more than nearly all walks find anew.
const MOST_FETCHED: usize = 16;

/// Ids are given out again from 1 when there are so many: the collector keeps them all.
const MAX_IDS: u32 = 1 << 22;

impl Frame {
    #[inline(always)]
    fn new(ip: usize, quality: u8) -> Frame {
        Frame(ip as u64 & ((1 << 62) - 1) | u64::from(quality) << 62)
    }

    #[inline(always)]
    fn ip(self) -> u64 {
        self.0 & ((1 << 62) - 1)
    }

    fn quality(self) -> u8 {
        (self.0 >> 62) as u8
    }

    /// The frame as the outermost one, with callers that are not known.
    fn truncated(self) -> Frame {
        Frame::new(self.ip() as usize, NODE_TRUNCATED)
    }
}

impl State {
    /// The state of the frame that a hook returns to.
    #[inline(always)]
    fn at_entry(regs: Regs) -> State {
        // SAFETY: the hook's return address lies where its stack pointer pointed at entry.
        let ip = unsafe { *(regs.sp as *const usize) };
        State { ip, sp: regs.sp + 8, bp: regs.bp }
    }
}

/// A frame of the walk in progress.
#[derive(Clone, Copy)]
struct Fresh {
    frame: Frame,
    sp: usize,
    bp: usize,
    rule: Rule,
    /// Of the frame with all outer ones: its node, and the hash of them.
    node: u32,
    path: Path,
}

/// A thread's memory of backtraces. Zeroed memory is a fresh one.
#[repr(C)]
pub(crate) struct Capture {
    window: Window,
    /// [`rules::generation`] that all that is remembered belongs to.
    generation: u32,
    /// The last id that is announced for sure.
    last_id: u32,
    /// What the check mode needs.
    check: Check,
    /// The id that is being announced, and where its record ends in the ring.
    announcing: (u32, u64),
    leaves: Leaves,
    memo: Memo,
    chain: Chain,
    /// The walk in progress, innermost first.
    fresh: [Fresh; MAX_FRAMES],
}

impl Capture {
    /// As new, for a fresh stream.
    pub(crate) fn reset(&mut self) {
        if self.last_id != 0 {
            self.memo.clear();
        }
        self.last_id = 0;
        self.announcing = (0, 0);
        self.generation = 0;
        self.forget();
    }

    /// Notes that `id` is announced by a record that ends at `end`, just before it is published.
    pub(crate) fn announcing(&mut self, id: u32, end: u64) {
        // The id last: a jump out of a signal handler between the two stores must not leave the new id with
        // the end of an announcement that was made.
        self.announcing.1 = end;
        compiler_fence(Ordering::SeqCst);
        self.announcing.0 = id;
        compiler_fence(Ordering::SeqCst);
    }

    /// After a hook that was never finished, and for a new owner of the stream: settles, by what the ring has
    /// published up to `head`, whether the announcement it may have been in was made (the collector expects
    /// ids without gaps), and forgets what was known of the stack.
    pub(crate) fn settle(&mut self, head: u64) {
        let (id, end) = self.announcing;
        if id == self.last_id + 1 && head >= end {
            self.last_id = id;
        }
        // Settled: what comes to stand where its record was going to be is no announcement.
        self.announcing.0 = 0;
        self.forget();
        self.window = Window::default();
    }

    /// Forgets what was known of the stack (not the memo).
    fn forget(&mut self) {
        self.chain.truncate(0);
        self.leaves.forget();
    }

    /// The node id of the caller's backtrace; 0 when there is none.
    #[inline(always)]
    pub(crate) fn backtrace(thread: &mut Thread, regs: Regs) -> u32 {
        if thread.capture.generation != rules::generation() {
            begin_generation(thread);
        }
        thread.capture.window.check(regs.sp);
        let start = State::at_entry(regs);
        let node = match by_leaf(thread, start) {
            Some(node) => node,
            None => by_walk(thread, regs),
        };
        if thread.capture.check.is_on() {
            check::compare(thread, regs, node);
        }
        node
    }
}

#[cold]
fn begin_generation(thread: &mut Thread) {
    let capture = &mut thread.capture;
    if capture.last_id != 0 {
        capture.memo.clear();
    }
    capture.forget();
    if capture.last_id >= MAX_IDS {
        // Only now that nobody remembers the old ones.
        compiler_fence(Ordering::SeqCst);
        capture.last_id = 0;
    }
    capture.generation = rules::generation();
    check::begin(thread);
}

/// The node of the backtrace from `start` if a short cut leads to it.
#[inline(always)]
fn by_leaf(thread: &mut Thread, start: State) -> Option<u32> {
    let Capture { window, leaves, chain, .. } = &mut thread.capture;
    let (place, leaf) = leaves.find(window, chain, start)?;
    let at = leaf.at();
    chain.verify(window, at).ok()?;
    let outer_node = chain.known().get(at)?.node;
    let node = leaf.node(outer_node);
    if chain.bottom != Bottom::End {
        let frames = at + 1 + leaf.count();
        if !ends_early_as_before(thread, frames) {
            return None;
        }
    }
    match node {
        Some(node) => Some(node),
        None => Some(renew(thread, place, outer_node)),
    }
}

/// The node of the leaf's frames, below another node than before.
#[inline(never)]
fn renew(thread: &mut Thread, place: usize, outer_node: u32) -> u32 {
    let leaf = thread.capture.leaves.leaf(place);
    let (frames, count, at) = (leaf.frames(), leaf.count(), leaf.at());
    let mut node = outer_node;
    let mut path = thread.capture.chain.path(at);
    for frame in &frames[..count] {
        path = path.inward(*frame);
        node = child(thread, node, *frame, path);
        if node == 0 {
            return 0;
        }
    }
    thread.capture.leaves.leaf(place).renew(outer_node, node);
    node
}

/// Whether a walk of `frames` frames, the outer ones those of the chain, ends where the chain does, which is before the
/// outermost frame. Counts it if it is cut there.
#[cold]
#[inline(never)]
fn ends_early_as_before(thread: &mut Thread, frames: usize) -> bool {
    if thread.capture.chain.bottom == Bottom::Deep {
        let is_enough = frames >= KEPT_FRAMES;
        thread.page().truncated.fetch_add(u64::from(is_enough), Ordering::Relaxed);
        return is_enough;
    }
    let Some(outermost) = thread.capture.chain.known().first() else { return false };
    let state = outermost.state();
    let rule = rules::lookup(thread, state.ip);
    step::step(&mut thread.capture.window, rule, state).is_none()
}

/// Walks from the hook's caller to a state of the chain whose outer part is unchanged, or to the outermost frame, and
/// leaves this walk in the chain.
#[inline(never)]
fn by_walk(thread: &mut Thread, regs: Regs) -> u32 {
    let start = State::at_entry(regs);
    let mut state = start;
    let mut quality = NODE_EXACT;
    let mut count = 0;
    // States of the chain that may be met; those inside are passed.
    let mut top = thread.capture.chain.known().len();
    let bottom = loop {
        let frame = Frame::new(state.ip, quality);
        if let Some(met) = meet(thread, &mut top, frame, state, count) {
            return join(thread, start, met, count);
        }
        let rule = rules::lookup(thread, state.ip);
        let State { sp, bp, .. } = state;
        thread.capture.fresh[count] = Fresh { frame, sp, bp, rule, node: 0, path: Path::default() };
        count += 1;
        let next = step::step(&mut thread.capture.window, rule, state);
        if count == MAX_FRAMES {
            thread.page().truncated.fetch_add(1, Ordering::Relaxed);
            count = cut(&thread.capture.fresh);
            break Bottom::Deep;
        }
        let Some(next) = next else {
            break if rule.kind() == Kind::End { Bottom::End } else { Bottom::Lost };
        };
        if rule.kind() == Kind::Fail {
            quality = NODE_FRAME_POINTER;
        }
        if next.sp < state.sp {
            // Another stack: nothing of it is passed yet.
            top = if top == 0 { 0 } else { thread.capture.chain.known().len() };
        }
        state = next;
    };
    if bottom != Bottom::End {
        let last = &mut thread.capture.fresh[count - 1].frame;
        *last = last.truncated();
    }
    replace(thread, count, bottom)
}

/// How many frames of a walk that is too deep are kept: up to the roundest address of the stack that leaves room on
/// both sides, so that the cut stays for many walks, and others cut the same stack in the same place.
#[cold]
fn cut(fresh: &[Fresh; MAX_FRAMES]) -> usize {
    const FEWEST: usize = KEPT_FRAMES + MAX_FRAMES / 8;
    const MOST: usize = MAX_FRAMES - MAX_FRAMES / 4;
    (FEWEST..MOST).max_by_key(|&count| fresh[count].sp ^ fresh[count - 1].sp).unwrap_or(MOST)
}

/// The state of the chain that the walk has come to after `count` frames, if the walk goes on as the remembered
/// one did. Moves `top` outward past the states that the walk has passed.
#[inline(always)]
fn meet(
    thread: &mut Thread,
    top: &mut usize,
    frame: Frame,
    state: State,
    count: usize,
) -> Option<usize> {
    let Capture { window, chain, .. } = &mut thread.capture;
    let mut inner = chain.known().get(..*top)?;
    while let [rest @ .., last] = inner
        && last.sp() < state.sp
    {
        inner = rest;
    }
    *top = inner.len();
    if !inner.last()?.is(frame, state.sp, state.bp) {
        return None;
    }
    let met = inner.len() - 1;
    match chain.verify(window, met) {
        Ok(()) => {
            let frames = met + 1 + count;
            let is_it = frames < MAX_FRAMES
                && (chain.bottom == Bottom::End || ends_early_as_before(thread, frames));
            if !is_it {
                *top = 0;
            }
            is_it.then_some(met)
        }
        Err(right) => {
            // The walk passes these states too, but then goes elsewhere.
            *top = right;
            None
        }
    }
}

/// Adds the `count` fresh frames to the chain inside of its state `met`, and remembers the short cut.
#[inline(always)]
fn join(thread: &mut Thread, start: State, met: usize, count: usize) -> u32 {
    let chain = &mut thread.capture.chain;
    let mut node = chain.known()[met].node;
    if count == 0 {
        return node;
    }
    chain.truncate(met + 1);
    let outer = chain.path(met);
    find_paths(&mut thread.capture, outer, count);
    for inner in (0..count).rev() {
        node = name(thread, inner, node);
        if node == 0 {
            return 0;
        }
    }
    let Capture { leaves, chain, fresh, .. } = &mut thread.capture;
    chain.extend(&fresh[..count]);
    leaves.remember(chain, start, met);
    node
}

/// Finds the paths of the `count` fresh frames, called from the frame of `path`, and fetches what the memo may know of
/// the outermost of them.
#[inline(always)]
fn find_paths(capture: &mut Capture, mut path: Path, count: usize) {
    for (number, fresh) in capture.fresh[..count].iter_mut().rev().enumerate() {
        path = path.inward(fresh.frame);
        fresh.path = path;
        if number < MOST_FETCHED {
            capture.memo.fetch(path);
        }
    }
}

/// Finds the node of a fresh frame below that of `parent`; 0 when it could not be announced.
#[inline(always)]
fn name(thread: &mut Thread, number: usize, parent: u32) -> u32 {
    let Fresh { frame, path, .. } = thread.capture.fresh[number];
    let node = child(thread, parent, frame, path);
    thread.capture.fresh[number].node = node;
    node
}

/// Makes the `count` fresh frames the chain. Where it has the old one's frames it has their nodes too.
fn replace(thread: &mut Thread, count: usize, bottom: Bottom) -> u32 {
    let before = thread.capture.chain.known().len();
    let mut node = 0;
    let mut same = true;
    find_paths(&mut thread.capture, Path::default(), count);
    for level in 0..count {
        let Capture { chain, fresh, .. } = &mut thread.capture;
        let (was, fresh) = (chain.was(level), &mut fresh[count - 1 - level]);
        same &= level < before && was.frame() == fresh.frame;
        if same {
            fresh.node = was.node;
            node = was.node;
        } else {
            node = name(thread, count - 1 - level, node);
        }
        if node == 0 {
            thread.capture.chain.truncate(0);
            return 0;
        }
    }
    let Capture { chain, fresh, .. } = &mut thread.capture;
    chain.truncate(0);
    chain.bottom = bottom;
    chain.extend(&fresh[..count]);
    node
}

/// The node of `frame` called from `parent`; 0 when it could not be announced.
#[inline(always)]
fn child(thread: &mut Thread, parent: u32, frame: Frame, path: Path) -> u32 {
    match thread.capture.memo.get(path, frame, parent) {
        Some(id) => id,
        None => announce(thread, parent, frame, path),
    }
}

#[cold]
#[inline(never)]
fn announce(thread: &mut Thread, parent: u32, frame: Frame, path: Path) -> u32 {
    let id = thread.capture.last_id + 1;
    // Before anybody can remember it: a jump may come at any time.
    thread.capture.check.note(id, parent, frame);
    if !emit::node(thread, id, parent, frame.ip(), frame.quality()) {
        return 0;
    }
    let capture = &mut thread.capture;
    capture.last_id = id;
    // Remembered only after it counts: see `reset`.
    compiler_fence(Ordering::SeqCst);
    capture.memo.put(path, frame, parent, id);
    if id >= MAX_IDS {
        // The next backtrace begins anew: this one's inner frames still need the ids of its outer ones.
        capture.generation = 0;
    }
    id
}

#[cfg(test)]
mod tests;
