//! Reads of the target's stack that never fault.
//!
//! A window of addresses is known to be readable: it grows page by page as the unwinder asks, and each new
//! page is probed with a system call that reports instead of faulting. A thread's stack is never unmapped
//! while it runs, so in the steady state a read costs two compares. A jump to another stack (a fiber, a
//! signal stack) begins a new window, and so does everything after the program has unmapped something:
//! it may have been a stack.

use crate::sys::call;
use core::sync::atomic::{AtomicU32, Ordering};
use heaptape_wire::layout::PAGE;

/// The known addresses, `low..high`. Zeroed memory is an empty window.
#[derive(Default)]
pub(crate) struct Window {
    low: usize,
    high: usize,
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
        if self.unmapped == unmapped && (self.low..self.high).contains(&sp) {
            return;
        }
        let page = sp & !(PAGE - 1);
        if self.unmapped == unmapped && page + PAGE == self.low {
            self.low = page;
        } else {
            *self = Window { low: page, high: page + PAGE, unmapped };
        }
    }

    /// The word at `address`, or `None` when it is not aligned or cannot be read.
    #[inline(always)]
    pub(crate) fn read(&mut self, address: usize) -> Option<usize> {
        if address & 7 != 0 || !((self.low..self.high).contains(&address) || self.extend(address)) {
            return None;
        }
        // SAFETY: aligned, and its page was readable when it entered the window; see the module for why it
        // still is.
        Some(unsafe { *(address as *const usize) })
    }

    #[cold]
    fn extend(&mut self, address: usize) -> bool {
        if !call::is_readable(address) {
            return false;
        }
        let page = address & !(PAGE - 1);
        if page == self.high {
            self.high += PAGE;
        } else if page + PAGE == self.low {
            self.low = page;
        } else {
            (self.low, self.high) = (page, page + PAGE);
        }
        true
    }
}
