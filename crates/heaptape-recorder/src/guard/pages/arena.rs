//! The address space of guarded blocks: one reservation, a region for each class of slots, and a table with what is
//! known of each slot.

use super::shutter;
use crate::guard::queue::{Next, Queue};
use crate::sys::call;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use heaptape_wire::layout::{PAGE, ProcessPage};

/// Classes, of 2^0 pages on: up to 16 GiB.
const CLASSES: usize = 23;
/// Classes of a process that may have little address space: up to 512 KiB.
const FEW_CLASSES: usize = 8;
/// Address space: so much that no program runs out of it, or a part of what it may have.
const WANTED: usize = 1 << 44;
const LITTLE: usize = 1 << 40;
const LEAST: usize = 1 << 24;
/// Pages of slots that are made ready at once, at most.
const PAGES_AT_ONCE: usize = 128;
/// Largest class whose pages are opened and closed without mappings of their own: 64 pages. Guard markers cost a word
/// of page table for each page.
const LARGEST_MARKED: usize = 6;

/// A slot that never had a block.
pub(super) const VIRGIN: u32 = 0;
/// It has a live block.
pub(super) const LIVE: u32 = 1;
/// It is inaccessible and zero.
pub(super) const FREED: u32 = 2;
/// It has a live block that one thread is looking at.
pub(super) const PINNED: u32 = 3;

/// What is known of a slot.
#[repr(C)]
pub(super) struct Slot {
    pub(super) state: AtomicU32,
    /// Where its last block began, and that one's size.
    pub(super) start: AtomicUsize,
    pub(super) size: AtomicUsize,
    next: Next,
}

/// The slots of one size.
pub(super) struct Class {
    /// The first slot's first page, log2 of the pages of each, their number and the table.
    first: AtomicUsize,
    pages_log2: AtomicUsize,
    slots: AtomicUsize,
    table: AtomicUsize,
    /// Slots that were ever taken or made ready; more than there are, once there are no more.
    carved: AtomicUsize,
    /// Slots that are ready and never had a block, and slots whose blocks were freed.
    ready: Queue,
    freed: Queue,
}

static START: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicUsize = AtomicUsize::new(0);
static TABLE: AtomicUsize = AtomicUsize::new(0);
static TABLE_LENGTH: AtomicUsize = AtomicUsize::new(0);
static REGION: AtomicUsize = AtomicUsize::new(1);
static COUNT: AtomicUsize = AtomicUsize::new(0);
static ARENA: [Class; CLASSES] = [const { Class::new() }; CLASSES];

/// Reserves the address space; the mechanism that will be used (a `WITH_*`), `None` where nothing can be had.
pub(crate) fn begin(with: u32) -> Option<u32> {
    let limit = call::address_space_limit();
    let mut bytes = if limit == usize::MAX { WANTED } else { (limit / 4).min(WANTED) };
    while bytes >= LEAST {
        if reserve(bytes) {
            return shutter::begin(with, START.load(Ordering::Relaxed));
        }
        bytes /= 2;
    }
    None
}

fn reserve(bytes: usize) -> bool {
    let count = if bytes >= LITTLE { CLASSES } else { FEW_CLASSES };
    let region = (bytes / count) & !(PAGE - 1);
    let slots = |class: usize| (region - PAGE) / stride(class);
    let table_bytes: usize = (0..count).map(|class| slots(class) * size_of::<Slot>()).sum();
    let (start, table) = (call::reserve(bytes), call::map_sparse(table_bytes));
    if start.is_null() || table.is_null() {
        for (mapped, length) in [(start, bytes), (table, table_bytes)] {
            if !mapped.is_null() {
                // SAFETY: nobody has seen it.
                unsafe { call::unmap(mapped, length) };
            }
        }
        return false;
    }
    let mut at = table as usize;
    for (log2, class) in ARENA[..count].iter().enumerate() {
        // One page before the first slot stays as it is.
        class.begin(start as usize + log2 * region + PAGE, log2, slots(log2), at);
        at += slots(log2) * size_of::<Slot>();
    }
    REGION.store(region, Ordering::Relaxed);
    COUNT.store(count, Ordering::Relaxed);
    START.store(start as usize, Ordering::Relaxed);
    LENGTH.store(bytes, Ordering::Relaxed);
    TABLE.store(table as usize, Ordering::Relaxed);
    TABLE_LENGTH.store(table_bytes, Ordering::Relaxed);
    true
}

/// Tells the collector where the blocks and what is known of them lie.
pub(crate) fn show(page: &ProcessPage) {
    page.arena.set(START.load(Ordering::Relaxed), LENGTH.load(Ordering::Relaxed));
    page.arena_table.set(TABLE.load(Ordering::Relaxed), TABLE_LENGTH.load(Ordering::Relaxed));
}

const fn stride(pages_log2: usize) -> usize {
    ((1 << pages_log2) + 1) * PAGE
}

/// Whether an address lies in the arena.
#[inline(always)]
pub(super) fn contains(addr: usize) -> bool {
    addr.wrapping_sub(START.load(Ordering::Relaxed)) < LENGTH.load(Ordering::Relaxed)
}

/// The class and slot of an address of the arena.
pub(super) fn find(addr: usize) -> Option<(&'static Class, u32)> {
    let region = (addr - START.load(Ordering::Relaxed)) / REGION.load(Ordering::Relaxed);
    let class = class(region)?;
    let index = addr.checked_sub(class.first.load(Ordering::Relaxed))? / class.stride();
    (index < class.used() as usize).then_some((class, index as u32))
}

/// The class that has room for so many bytes.
pub(super) fn class_of(bytes: usize) -> Option<usize> {
    let pages = bytes.div_ceil(PAGE).max(1).checked_next_power_of_two()?;
    Some(pages.trailing_zeros() as usize)
}

/// The class of that number, if there is one.
pub(super) fn class(number: usize) -> Option<&'static Class> {
    classes().get(number)
}

/// All classes.
pub(super) fn classes() -> &'static [Class] {
    &ARENA[..COUNT.load(Ordering::Relaxed)]
}

impl Class {
    const fn new() -> Class {
        Class {
            first: AtomicUsize::new(0),
            pages_log2: AtomicUsize::new(0),
            slots: AtomicUsize::new(0),
            table: AtomicUsize::new(0),
            carved: AtomicUsize::new(0),
            ready: Queue::new(),
            freed: Queue::new(),
        }
    }

    fn begin(&self, first: usize, pages_log2: usize, slots: usize, table: usize) {
        self.first.store(first, Ordering::Relaxed);
        self.pages_log2.store(pages_log2, Ordering::Relaxed);
        self.table.store(table, Ordering::Relaxed);
        // Each queue begins with a slot of its own. Where there are hardly any, there are none.
        if slots > 2 {
            self.slots.store(slots, Ordering::Relaxed);
            self.carved.store(2, Ordering::Relaxed);
            self.ready.begin(0);
            self.freed.begin(1);
        }
    }

    /// Bytes from one slot to the next.
    pub(super) fn stride(&self) -> usize {
        stride(self.pages_log2.load(Ordering::Relaxed))
    }

    /// How many slots were ever in use, or are ready for it.
    pub(super) fn used(&self) -> u32 {
        self.carved.load(Ordering::Relaxed).min(self.slots.load(Ordering::Relaxed)) as u32
    }

    /// What is known of a slot, which is one of [`Class::used`].
    pub(super) fn slot(&self, index: u32) -> &'static Slot {
        // SAFETY: the table has a place for each, zeroed at first, and is never given back.
        unsafe { &*(self.table.load(Ordering::Relaxed) as *const Slot).add(index as usize) }
    }

    /// The first page of a slot, and the inaccessible one at its end.
    pub(super) fn pages_of(&self, index: u32) -> (usize, usize) {
        let low = self.first.load(Ordering::Relaxed) + index as usize * self.stride();
        (low, low + self.stride() - PAGE)
    }

    /// Whether its pages are opened and closed as mappings.
    pub(super) fn by_mapping(&self) -> bool {
        self.pages_log2.load(Ordering::Relaxed) > LARGEST_MARKED || !shutter::marks()
    }

    /// A slot that is inaccessible and ready, and whether a freed block was there: where the quarantine is full, the
    /// one that was freed first.
    pub(super) fn take(&self, quarantine_is_full: bool) -> Option<(u32, bool)> {
        let next = |slot| &self.slot(slot).next;
        let freed = || {
            let index = self.freed.pop(next)?;
            // The one that the queue began with.
            let was_freed = self.slot(index).state.load(Ordering::Acquire) == FREED;
            (was_freed || self.prepare(index, 1)).then_some((index, was_freed))
        };
        let fresh = || {
            let index = self.ready.pop(next).or_else(|| self.carve())?;
            let is_ready = self.slot(index).state.load(Ordering::Acquire) == FREED;
            (is_ready || self.prepare(index, 1)).then_some((index, false))
        };
        if quarantine_is_full { freed().or_else(fresh) } else { fresh().or_else(freed) }
    }

    /// Takes back a slot that is inaccessible again.
    pub(super) fn give(&self, index: u32) {
        self.freed.push(index, |slot| &self.slot(slot).next);
    }

    /// Makes the next slots ready, and keeps the first.
    fn carve(&self) -> Option<u32> {
        let slots = self.slots.load(Ordering::Relaxed);
        if self.carved.load(Ordering::Relaxed) >= slots {
            return None;
        }
        let batch = (PAGES_AT_ONCE >> self.pages_log2.load(Ordering::Relaxed)).max(1);
        let first = self.carved.fetch_add(batch, Ordering::Relaxed);
        let batch = batch.min(slots.saturating_sub(first));
        if batch == 0 || !self.prepare(first as u32, batch as u32) {
            return None;
        }
        for index in 1..batch as u32 {
            self.ready.push(first as u32 + index, |slot| &self.slot(slot).next);
        }
        Some(first as u32)
    }

    /// Makes slots that never had a block ready for one.
    fn prepare(&self, first: u32, count: u32) -> bool {
        let (low, _) = self.pages_of(first);
        let length = count as usize * self.stride();
        // SAFETY: nobody but this thread has them.
        if !self.by_mapping() && !unsafe { shutter::mark(low, length) } {
            return false;
        }
        for index in first..first + count {
            self.slot(index).state.store(FREED, Ordering::Release);
        }
        true
    }
}

const _: () = assert!(VIRGIN == 0 && size_of::<Slot>() == 32);
