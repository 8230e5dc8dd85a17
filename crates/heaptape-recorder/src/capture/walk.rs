//! The plain walk: from the registers to the outermost frame, remembering nothing.
//!
//! What the incremental walk must agree with; the check mode and the tests hold it against it.

use super::rules::{self, Kind};
use super::step::{self, State};
use super::window::Window;
use super::{Frame, Regs};
use crate::thread::Thread;
use heaptape_wire::layout::MAX_FRAMES;
use heaptape_wire::record::{NODE_EXACT, NODE_FRAME_POINTER, NODE_TRUNCATED};

/// Walks the stack into `frames`, innermost first; returns how many there are.
pub(super) fn full(
    thread: &mut Thread,
    window: &mut Window,
    regs: Regs,
    frames: &mut [Frame; MAX_FRAMES],
) -> usize {
    let mut state = State::at_entry(regs);
    let mut quality = NODE_EXACT;
    let mut count = 0;
    loop {
        frames[count] = Frame::new(state.ip, quality);
        count += 1;
        let rule = rules::lookup(thread, state.ip);
        let next = step::step(window, rule, state);
        match next {
            Some(next) if count < MAX_FRAMES => state = next,
            None if rule.kind() == Kind::End && count < MAX_FRAMES => return count,
            _ => {
                frames[count - 1] = Frame::new(state.ip, NODE_TRUNCATED);
                return count;
            }
        }
        if rule.kind() == Kind::Fail {
            quality = NODE_FRAME_POINTER;
        }
    }
}
