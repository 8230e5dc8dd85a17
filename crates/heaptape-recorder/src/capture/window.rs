//! Reads of the target's stack that never fault.
//!
//! A window of addresses is known to be readable: it grows page by page as the unwinder asks, and each new
//! page is probed with a system call that reports instead of faulting. In the steady state a read costs one
//! compare. A jump to another stack (a fiber, a signal stack) begins a new window, and so does everything
//! after the program has unmapped something: it may have been a stack.
//!
//! Not every unmapping is seen (libc gives large freed blocks back by itself, and they may have been the
//! stacks of fibers), so a window may cover memory that is gone. It is never read: reads are made in the
//! order of a walk from the live stack pointer, each only when all before it had the values that lead to
//! it. What a frame that is still to be returned to leads to is the stack it runs on, which nobody may
//! unmap.

use super::step::Word;
use crate::sys::call;
use core::sync::atomic::{AtomicU32, Ordering};
use heaptape_wire::layout::PAGE;

/// Frames may be large: gaps of at most so many pages between the window and a read are probed and filled. Few,
/// because a fiber's stack may lie as near, and a program may switch often.
const MAX_GAP_PAGES: usize = 16;

/// The known addresses: `size` bytes from `low`. Zeroed memory is an empty window.
#[derive(Clone, Copy, Default)]
pub(crate) struct Window {
    low: usize,
    size: usize,
    /// [`UNMAPPED`] when the window began.
    unmapped: u32,
}

/// How often the program has unmapped memory.
static UNMAPPED: AtomicU32 = AtomicU32::new(0);

/// Notes that the program is about to unmap something.
pub(crate) fn about_to_unmap() {
    // A thread that reads the old count meanwhile walks its own stack, which nobody may unmap under it.
    UNMAPPED.fetch_add(1, Ordering::Relaxed);
}

impl Window {
    /// Before a walk from `sp`, which points to memory that can be read: begins a new window if the old one
    /// cannot be relied upon.
    #[inline(always)]
    pub(crate) fn check(&mut self, sp: usize) {
        let unmapped = UNMAPPED.load(Ordering::Relaxed);
        if self.unmapped != unmapped || !self.covers(sp) {
            self.begin(sp, unmapped);
        }
    }

    #[cold]
    fn begin(&mut self, sp: usize, unmapped: u32) {
        if self.unmapped != unmapped || !self.extend(sp) {
            *self = Window { low: sp & !(PAGE - 1), size: PAGE, unmapped };
        }
    }

    #[inline(always)]
    fn covers(&self, address: usize) -> bool {
        address.wrapping_sub(self.low) < self.size
    }

    /// The word at `address`, or `None` when it is not aligned or cannot be read.
    #[inline(always)]
    pub(crate) fn read(&mut self, address: usize) -> Option<usize> {
        if address & 7 != 0 || !(self.covers(address) || self.extend(address)) {
            return None;
        }
        // SAFETY: aligned, and its page was readable when it entered the window; see the module for why it
        // still is.
        Some(unsafe { *(address as *const usize) })
    }

    /// Whether everything from the word at `low` to that at `high` lies in the window.
    #[inline(always)]
    pub(super) fn spans(&self, low: usize, high: usize) -> bool {
        self.covers(low) && self.covers(high)
    }

    /// Bytes of the window from `address`, which lies in it, on.
    #[inline(always)]
    pub(super) fn room_from(&self, address: usize) -> usize {
        (self.low + self.size).saturating_sub(address)
    }

    /// Whether the word, which may lie outside the window yet, is what it was.
    pub(super) fn comes_to_hold(&mut self, word: &Word) -> bool {
        self.read(word.address) == Some(word.value)
    }

    #[cold]
    #[inline(never)]
    fn extend(&mut self, address: usize) -> bool {
        if !call::is_readable(address) {
            return false;
        }
        let page = address & !(PAGE - 1);
        let high = self.low.wrapping_add(self.size);
        // The pages between the window and the new one, which is known by now.
        let (gap, grown) = if page >= high {
            (high..page, Window { size: page + PAGE - self.low, ..*self })
        } else {
            (page + PAGE..self.low, Window { low: page, size: high - page, ..*self })
        };
        let is_near = self.size != 0 && gap.len() <= MAX_GAP_PAGES * PAGE;
        *self = if is_near && gap.step_by(PAGE).all(call::is_readable) {
            grown
        } else {
            Window { low: page, size: PAGE, ..*self }
        };
        true
    }
}
