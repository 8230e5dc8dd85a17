//! Every block on pages of its own, with an inaccessible page at its end or before its start, and inaccessible when
//! it is freed: what the program does wrong faults at the instruction.
//!
//! ```text
//!  region of a class    ┌guard┬─slot 0──────┬guard┬─slot 1──────┬guard┬─ …  ─┬─ reserved, never touched ─
//!                       │     │ ░░░░ ▒▒block│     │ ░░░░░░░░░░░ │     │
//!                       └─────┴─────────────┴─────┴─────────────┴─────┴─ …
//!                               ░ inaccessible  ▒ slack: checked when the block is freed
//! ```
//!
//! A slot has 2^k pages and one that is never accessible. Of a live block only the pages that it lies on are
//! accessible, whatever is before or behind them in its slot is not. What is left on these pages beside the block (its
//! alignment, at the end; on the other side all up to the page's start) is filled with a pattern where it is near,
//! zero farther off, and looked at when the block is freed.
//!
//! Freed slots are reused oldest first, and only when they are more than the quarantine may hold. Everything known of
//! a slot lies in a table apart from it.

mod arena;
mod shutter;

use super::changed::{Span, changed, fill};
use super::family::{Allocator, Owner};
use super::found::{Overwrite, tell};
use super::{MODE, count, is_chosen, quarantine};
use crate::sys::call;
use arena::{Class, FREED, LIVE, PINNED, Slot, class_of};
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::layout::PAGE;
use heaptape_wire::record::overwrite;

/// What malloc promises.
const MIN_ALIGN: usize = 16;
/// Bytes next to a block that are filled; what is farther off on its pages is left zero.
const NEAR: usize = 64;
/// What they are filled with: not 0, which is what is written too far most often.
const PATTERN: u8 = 0xb5;
/// Looks at a slot that another thread is looking at before it is given up.
const PATIENCE: u32 = 100_000;

/// Bytes of address space of the slots whose blocks were freed.
static QUARANTINED: AtomicUsize = AtomicUsize::new(0);

pub(super) use arena::{begin, show};

/// See the module.
pub(super) struct Pages;

impl Allocator for Pages {
    #[inline(always)]
    fn allocate(size: usize, align: usize, _zeroed: bool) -> usize {
        if is_chosen() { allocate(size, align) } else { 0 }
    }

    #[inline(always)]
    fn owner(addr: usize) -> Owner {
        if arena::contains(addr) { owner(addr) } else { Owner::Foreign }
    }

    fn release(addr: usize, when: u8) {
        release(addr, when);
    }
}

fn owner(addr: usize) -> Owner {
    let Some((class, index)) = arena::find(addr) else { return Owner::Dead };
    let slot = class.slot(index);
    let is_live =
        slot.state.load(Ordering::Acquire) != FREED && slot.start.load(Ordering::Relaxed) == addr;
    if is_live { Owner::Live(slot.size.load(Ordering::Relaxed)) } else { Owner::Dead }
}

/// Where a block lies.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    size: usize,
}

impl Place {
    /// A block of `size` bytes between `low` and `high`, which are pages' starts; `None` where it does not fit.
    fn within(low: usize, high: usize, size: usize, align: usize) -> Option<Place> {
        let start = match MODE.load(Ordering::Relaxed) {
            hs::GUARD_LEFT => low.checked_next_multiple_of(align.max(MIN_ALIGN))?,
            // As the largest power of two that divides its size: whatever it is an array of is aligned.
            hs::GUARD_EXACT if align == 0 => {
                let natural = 1usize << size.trailing_zeros().min(MIN_ALIGN.trailing_zeros());
                high.checked_sub(size)? & !(natural - 1)
            }
            _ => high.checked_sub(size)? & !(align.max(MIN_ALIGN) - 1),
        };
        (start >= low && start <= high - size).then_some(Place { start, size })
    }

    fn end(self) -> usize {
        self.start + self.size
    }

    /// The pages that it lies on; none for no bytes.
    fn pages(self) -> (usize, usize) {
        match self.size {
            0 => (self.start, self.start),
            _ => (self.start & !(PAGE - 1), self.end().next_multiple_of(PAGE)),
        }
    }

    /// Fills what is near on its pages.
    fn surround(self) {
        let (low, high) = self.pages();
        // SAFETY: its pages, accessible and still ours alone.
        unsafe {
            fill(low.max(self.start.saturating_sub(NEAR)), self.start, PATTERN);
            fill(self.end(), high.min(self.end() + NEAR), PATTERN);
        }
    }

    /// What was changed on its pages: before it, and behind it.
    fn overwritten(self) -> [(u8, Option<Span>); 2] {
        let (low, high) = self.pages();
        let (near_low, near_high) =
            (low.max(self.start.saturating_sub(NEAR)), high.min(self.end() + NEAR));
        // Memory in whole pages is what programs protect themselves.
        if (self.start.is_multiple_of(PAGE) || self.end().is_multiple_of(PAGE))
            && low < high
            && !(call::is_readable(low) && call::is_readable(high - PAGE))
        {
            return [(overwrite::BEFORE_START, None), (overwrite::AFTER_END, None)];
        }
        // SAFETY: its pages, accessible as long as it is live.
        unsafe {
            let before =
                Span::over(changed(low, near_low, 0), changed(near_low, self.start, PATTERN));
            let behind =
                Span::over(changed(self.end(), near_high, PATTERN), changed(near_high, high, 0));
            [(overwrite::BEFORE_START, before), (overwrite::AFTER_END, behind)]
        }
    }

    /// Tells what was changed on its pages; whether anything was.
    fn tell_overwritten(self, when: u8) -> bool {
        let mut any = false;
        for (kind, span) in self.overwritten() {
            if let Some(span) = span {
                tell(&Overwrite { kind, when, block: self.start, size: self.size, span });
                any = true;
            }
        }
        any
    }
}

#[inline(never)]
fn allocate(size: usize, align: usize) -> usize {
    let start = take(size, align).unwrap_or(0);
    count(start != 0);
    start
}

fn take(size: usize, align: usize) -> Option<usize> {
    // More than a page's alignment is found somewhere in a slot that has room for it.
    let span = size.checked_add(align.saturating_sub(PAGE))?;
    let class = arena::class(class_of(span)?)?;
    let quarantine_is_full = QUARANTINED.load(Ordering::Relaxed) > quarantine();
    let (index, was_freed) = class.take(quarantine_is_full)?;
    if was_freed {
        QUARANTINED.fetch_sub(class.stride(), Ordering::Relaxed);
    }
    let (low, high) = class.pages_of(index);
    let place = Place::within(low, high, size, align);
    let place = place.filter(|place| {
        let (low, high) = place.pages();
        // SAFETY: of a slot that nobody has but us.
        low == high || unsafe { shutter::open(low, high, class.by_mapping()) }
    });
    let Some(place) = place else {
        put_back(class, index);
        return None;
    };
    place.surround();
    let slot = class.slot(index);
    slot.start.store(place.start, Ordering::Relaxed);
    slot.size.store(size, Ordering::Relaxed);
    // Release pairs with the acquire loads of whoever is handed the block.
    slot.state.store(LIVE, Ordering::Release);
    Some(place.start)
}

fn put_back(class: &Class, index: u32) {
    QUARANTINED.fetch_add(class.stride(), Ordering::Relaxed);
    class.give(index);
}

/// Ends a block, unless it is none.
fn release(addr: usize, when: u8) {
    let Some((class, index)) = arena::find(addr) else { return };
    let slot = class.slot(index);
    if slot.start.load(Ordering::Relaxed) != addr || !pin(slot) {
        return;
    }
    let place = Place { start: addr, size: slot.size.load(Ordering::Relaxed) };
    place.tell_overwritten(when);
    let (low, high) = place.pages();
    slot.state.store(FREED, Ordering::Release);
    // SAFETY: the program has given it up.
    let closed = low == high || unsafe { shutter::close(low, high, class.by_mapping()) };
    if closed {
        put_back(class, index);
    } else {
        // Still accessible: it would not be zero the next time. It is not used again.
        count(false);
    }
}

/// Takes a live slot for this thread alone; `false` where it is not live.
fn pin(slot: &Slot) -> bool {
    for _ in 0..PATIENCE {
        match slot.state.compare_exchange(LIVE, PINNED, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => return true,
            // Another thread is looking at it.
            Err(PINNED) => call::sched_yield(),
            Err(_) => return false,
        }
    }
    false
}

/// Looks at what lies beside every live block.
pub(super) fn look_over(when: u8) {
    for class in arena::classes() {
        for index in 0..class.used() {
            let slot = class.slot(index);
            let exchange =
                slot.state.compare_exchange(LIVE, PINNED, Ordering::Acquire, Ordering::Relaxed);
            if exchange.is_err() {
                continue;
            }
            let place = Place {
                start: slot.start.load(Ordering::Relaxed),
                size: slot.size.load(Ordering::Relaxed),
            };
            if place.tell_overwritten(when) {
                // Told once; the far part is not restored, because what is there may be wanted in a core.
                place.surround();
            }
            slot.state.store(LIVE, Ordering::Release);
        }
    }
}
