//! Stack → backtrace id.
//!
//! A full walk by the modules' own unwind tables, compiled into packed rules ([`rules`]): exact for all
//! code that exceptions could pass through. The frames that are the same as in this thread's last
//! backtrace, counted from the outermost, keep their node ids; the others are looked up in a small
//! lossy memo (`memo`) and announced when they are new to it.
//!
//! Code without tables (JITs, hand-written assembly) is crossed by the frame-pointer chain, and frames so
//! found are marked; where that fails too the backtrace ends with a mark. Reads outside memory known to be
//! readable are probed first (`window`): a corrupt stack costs frames, not the program.
//!
//! The seam for a faster unwinder is `Capture::backtrace`.

mod eh_frame;
mod memo;
pub mod rules;
mod window;

use crate::emit;
use crate::thread::{Regs, Thread};
use core::sync::atomic::{Ordering, compiler_fence};
use heaptape_wire::layout::MAX_FRAMES;
use heaptape_wire::record::{NODE_EXACT, NODE_FRAME_POINTER, NODE_TRUNCATED};
use memo::Memo;
use rules::Kind;
use window::Window;
pub(crate) use window::about_to_unmap;

/// Frames of one step of the frame-pointer chain lie at most this far apart, bytes.
const MAX_FRAME_BYTES: usize = 1 << 20;
/// Addresses below are no code.
const LOWEST_CODE: usize = 4096;

/// One frame: an address and, in bits 62 and 63, how it was found (user addresses leave them free).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Frame(u64);

impl Frame {
    fn new(ip: usize, quality: u8) -> Frame {
        Frame(ip as u64 & ((1 << 62) - 1) | u64::from(quality) << 62)
    }

    fn ip(self) -> u64 {
        self.0 & ((1 << 62) - 1)
    }

    fn quality(self) -> u8 {
        (self.0 >> 62) as u8
    }
}

/// A thread's memory of backtraces. Zeroed memory is a fresh one.
pub(crate) struct Capture {
    window: Window,
    memo: Memo,
    /// [`rules::generation`] that the memo and the last backtrace belong to.
    generation: u32,
    /// The last id that is announced for sure.
    last_id: u32,
    /// The id that is being announced, and where its record ends in the ring.
    announcing: (u32, u64),
    /// The last backtrace, outermost first, and its node ids.
    depth: usize,
    last: [Frame; MAX_FRAMES],
    nodes: [u32; MAX_FRAMES],
    /// The walk in progress, innermost first.
    walk: [Frame; MAX_FRAMES],
}

/// Where a walk stands: the state of the frame that will be returned to.
#[derive(Clone, Copy)]
struct State {
    ip: usize,
    sp: usize,
    bp: usize,
}

impl Capture {
    /// As new, for a fresh stream.
    pub(crate) fn reset(&mut self) {
        self.last_id = 0;
        self.announcing = (0, 0);
        self.memo.clear();
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

    /// Forgets the last backtrace (not the memo).
    fn forget(&mut self) {
        self.depth = 0;
    }

    /// The node id of the caller's backtrace; 0 when there is none.
    pub(crate) fn backtrace(thread: &mut Thread, regs: Regs) -> u32 {
        let generation = rules::generation();
        if thread.capture.generation != generation {
            thread.capture.generation = generation;
            thread.capture.memo.clear();
            thread.capture.forget();
        }
        thread.capture.window.check(regs.sp);
        let count = walk(thread, regs);
        intern(thread, count)
    }
}

/// Walks the stack into `capture.walk`; returns the number of frames.
fn walk(thread: &mut Thread, regs: Regs) -> usize {
    // SAFETY: the hook's return address lies where its stack pointer pointed at entry.
    let ip = unsafe { *(regs.sp as *const usize) };
    let mut state = State { ip, sp: regs.sp + 8, bp: regs.bp };
    let mut quality = NODE_EXACT;
    let mut count = 0;
    loop {
        thread.capture.walk[count] = Frame::new(state.ip, quality);
        count += 1;
        if count == MAX_FRAMES {
            thread.page().truncated.fetch_add(1, Ordering::Relaxed);
            mark_truncated(&mut thread.capture, count);
            return count;
        }
        let rule = rules::lookup(thread, state.ip);
        let next = match rule.kind() {
            Kind::End => return count,
            Kind::Fail => {
                quality = NODE_FRAME_POINTER;
                by_frame_pointer(&mut thread.capture.window, state)
            }
            _ => by_rule(&mut thread.capture.window, rule, state),
        };
        match next {
            Some(next) => state = next,
            None => {
                mark_truncated(&mut thread.capture, count);
                return count;
            }
        }
    }
}

fn mark_truncated(capture: &mut Capture, count: usize) {
    let last = &mut capture.walk[count - 1];
    *last = Frame::new(last.ip() as usize, NODE_TRUNCATED);
}

/// One step by an unwind rule; `None` when memory it needs cannot be read or makes no sense.
fn by_rule(window: &mut Window, rule: rules::Rule, state: State) -> Option<State> {
    if rule.kind() == Kind::Signal {
        // The stack pointer is at the kernel's ucontext: gregs RBP, RSP and RIP lie at 120, 160, 168.
        let ip = window.read(state.sp + 168)?;
        let next = State {
            ip: ip + 1,
            sp: window.read(state.sp + 160)?,
            bp: window.read(state.sp + 120)?,
        };
        // An interrupted instruction, not a return address: one is added so that everybody who looks one
        // before a return address looks at it.
        return (ip >= LOWEST_CODE).then_some(next);
    }
    let offset = rule.cfa_offset();
    let cfa = match rule.kind() {
        Kind::Sp => state.sp.wrapping_add_signed(offset),
        Kind::Bp => state.bp.wrapping_add_signed(offset),
        _ => window.read(state.bp.wrapping_add_signed(offset))?,
    };
    if cfa <= state.sp {
        return None;
    }
    let bp = match rule.bp_slot(cfa, state.bp) {
        Some(slot) => window.read(slot)?,
        None => state.bp,
    };
    let ip = window.read(cfa - 8)?;
    (ip >= LOWEST_CODE).then_some(State { ip, sp: cfa, bp })
}

/// One step by the convention that `rbp` points to the caller's `rbp`, with the return address above it.
fn by_frame_pointer(window: &mut Window, state: State) -> Option<State> {
    let distance = state.bp.wrapping_sub(state.sp);
    if state.bp & 7 != 0 || distance > MAX_FRAME_BYTES {
        return None;
    }
    let bp = window.read(state.bp)?;
    let ip = window.read(state.bp + 8)?;
    (ip >= LOWEST_CODE && ip >> 47 == 0).then_some(State { ip, sp: state.bp + 16, bp })
}

/// Gives the frames of the walk their nodes, from the outermost; returns the innermost's.
fn intern(thread: &mut Thread, count: usize) -> u32 {
    let capture = &thread.capture;
    let mut same = 0;
    while same < count.min(capture.depth) && capture.last[same] == capture.walk[count - 1 - same] {
        same += 1;
    }
    let mut node = if same > 0 { capture.nodes[same - 1] } else { 0 };
    // If a signal handler's longjmp leaves us half-way, the part up to `depth` is still right.
    thread.capture.depth = same;
    for level in same..count {
        let frame = thread.capture.walk[count - 1 - level];
        node = child(thread, node, frame);
        if node == 0 {
            return 0;
        }
        thread.capture.last[level] = frame;
        thread.capture.nodes[level] = node;
        thread.capture.depth = level + 1;
    }
    node
}

/// The node of `frame` called from `parent`; 0 when it could not be announced.
fn child(thread: &mut Thread, parent: u32, frame: Frame) -> u32 {
    if let Some(id) = thread.capture.memo.get(frame.0, parent) {
        return id;
    }
    let id = thread.capture.last_id + 1;
    if !emit::node(thread, id, parent, frame.ip(), frame.quality()) {
        return 0;
    }
    thread.capture.last_id = id;
    thread.capture.memo.put(frame.0, parent, id);
    id
}

#[cfg(test)]
mod tests;
