//! Every block with patterns before and behind it, and filled with a pattern and kept back when it is freed: for
//! programs that are too large for guard pages.
//!
//! ```text
//!  block of the program's own allocator
//!  ┌ … ┬ header (16) ┬ red zone (16) ┬ block ────────┬ red zone (16 to 1,039) ┐
//!  └───┴─────────────┴───────────────┴───────────────┴────────────────────────┘
//! ```
//!
//! The zone behind is an eighth of the block, within bounds: what is written too far is often another element or row.
//!
//! The header says how long the block is, sealed so that a damaged one is not believed; that a block is ours at all
//! is said elsewhere ([`marks`]). A block whose header is damaged is told and never given back.

use super::changed::{Span, changed, fill};
use super::family::{Allocator, Owner, own};
use super::found::{Overwrite, tell};
use super::marks::{self, LIVE, NONE, PINNED, RETAINED};
use super::retained::Retained;
use super::{Function, beneath, count, count_call, quarantine};
use crate::sys::call;
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::record::{found, overwrite};

/// What malloc promises, and the unit of everything here.
const UNIT: usize = 16;
/// Bytes of a block for each of the red zone behind it, and the longest such zone.
const ZONE_RATIO: usize = 8;
const LONGEST_ZONE: usize = 1024;
/// Header and red zone before a block.
const BEFORE: usize = 2 * UNIT;
/// What red zones and freed blocks are filled with; not 0, which is what is written too far most often.
const ZONE: u8 = 0xb5;
const FREED: u8 = 0xdb;
/// Looks at a block that another thread is looking at before it is given up.
const PATIENCE: u32 = 100_000;
/// Address space that a freed block takes at least.
const SMALLEST: usize = 4 * UNIT;
/// Bytes around an address that is no block's start in which the block is looked for that it may lie in.
const REACH_BEFORE: usize = 64 << 20;
const REACH_BEHIND: usize = 64 << 10;

/// What a look at an interval takes in: so many blocks, and so many more for each call of the interval.
const LEAST_SHARE: usize = 1000;
const SHARE_OF_CALL: usize = 16;
/// Bytes of a freed block that count as another block, and blocks that looking for them in a stretch counts as.
const BYTES_AS_BLOCK: usize = 128;
const STRETCH_AS_BLOCKS: usize = 8;

/// Where the next look at an interval goes on.
static NEXT: AtomicUsize = AtomicUsize::new(0);

static KEPT: Retained = Retained::new();
/// Bytes of the blocks that are kept back.
static KEPT_BYTES: AtomicUsize = AtomicUsize::new(0);

/// Makes the tables; what is in use then (a `WITH_*`).
pub(super) fn begin(quarantine: usize) -> Option<u32> {
    let capacity = (quarantine / SMALLEST).clamp(UNIT, 1 << 28);
    (marks::begin() && KEPT.begin(capacity)).then_some(hs::WITH_RED_ZONES)
}

/// See the module.
pub(super) struct RedZones;

impl Allocator for RedZones {
    fn allocate(size: usize, align: usize, zeroed: bool) -> usize {
        count_call();
        let block = allocate(size, align, zeroed).unwrap_or(0);
        count(block != 0);
        block
    }

    fn owner(addr: usize) -> Owner {
        match marks::get(addr) {
            NONE if lies_in_block(addr) => Owner::Dead,
            NONE => Owner::Foreign,
            RETAINED => Owner::Dead,
            _ => Owner::Live(Block::at(addr).map_or(0, |block| block.size)),
        }
    }

    fn release(addr: usize, when: u8) {
        release(addr, when);
        count_call();
    }
}

/// A block as its header says.
#[derive(Clone, Copy)]
struct Block {
    addr: usize,
    size: usize,
    /// Bytes from the start of what the program's own allocator gave.
    before_log2: u8,
}

fn seal(addr: usize, size: usize, before_log2: u8) -> usize {
    let mixed = (addr ^ size.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed & !0xff | usize::from(before_log2)
}

/// Bytes of the red zone behind a block of so many, beyond what its last unit has left.
fn zone_behind(size: usize) -> usize {
    (size / ZONE_RATIO).next_multiple_of(UNIT).clamp(UNIT, LONGEST_ZONE)
}

impl Block {
    /// Writes the header and the zones.
    fn create(self) {
        let header = (self.addr - BEFORE) as *mut usize;
        // SAFETY: within what the program's own allocator has just given us.
        unsafe {
            header.write(self.size);
            header.add(1).write(seal(self.addr, self.size, self.before_log2));
        }
        self.surround();
    }

    fn surround(self) {
        // SAFETY: within what the program's own allocator gave for this block.
        unsafe {
            fill(self.addr - UNIT, self.addr, ZONE);
            fill(self.addr + self.size, self.end(), ZONE);
        }
    }

    /// The block at an address of ours; `None` if its header is damaged.
    fn at(addr: usize) -> Option<Block> {
        // SAFETY: a block with a mark is not given back.
        let (size, sealed) = unsafe {
            let header = (addr - BEFORE) as *const usize;
            (header.read_volatile(), header.add(1).read_volatile())
        };
        let before_log2 = sealed as u8;
        let sound = seal(addr, size, before_log2) == sealed && before_log2 < 48;
        sound.then_some(Block { addr, size, before_log2 })
    }

    /// Where its red zone ends.
    fn end(self) -> usize {
        self.addr + self.size.next_multiple_of(UNIT) + zone_behind(self.size)
    }

    fn start(self) -> usize {
        self.addr - (1 << self.before_log2)
    }

    /// Bytes it takes while it is kept back.
    fn weight(self) -> usize {
        self.end() - self.start()
    }

    /// Tells what was written beside it, and restores that.
    fn check_zones(self, when: u8) {
        // SAFETY: within what the program's own allocator gave for this block.
        let spans = unsafe {
            [
                (overwrite::BEFORE_START, changed(self.addr - UNIT, self.addr, ZONE)),
                (overwrite::AFTER_END, changed(self.addr + self.size, self.end(), ZONE)),
            ]
        };
        if spans.iter().any(|(_, span)| span.is_some()) {
            spans.iter().for_each(|&(kind, span)| self.tell(kind, when, span));
            self.surround();
        }
    }

    /// Tells what was written to it after it was freed, and restores that.
    fn check_freed(self, when: u8) {
        let end = self.addr + self.size;
        // SAFETY: within what the program's own allocator gave for this block.
        let span = unsafe { changed(self.addr, end, FREED) };
        if span.is_some() {
            self.tell(overwrite::AFTER_FREE, when, span);
            // SAFETY: as above.
            unsafe { fill(self.addr, end, FREED) };
        }
        self.check_zones(when);
    }

    fn tell(self, kind: u8, when: u8, span: Option<Span>) {
        if let Some(span) = span {
            tell(&Overwrite { kind, when, block: self.addr, size: self.size, span });
        }
    }
}

/// Tells that the header of the block at `addr` was overwritten: what was written before it reaches that far.
fn tell_damaged(addr: usize, when: u8) {
    let span = Span { first: addr - BEFORE, last: addr - 1 };
    tell(&Overwrite { kind: overwrite::BEFORE_START, when, block: addr, size: 0, span });
}

fn allocate(size: usize, align: usize, zeroed: bool) -> Option<usize> {
    let before = align.max(BEFORE);
    let total = size.checked_next_multiple_of(UNIT)?.checked_add(before + zone_behind(size))?;
    let given = if align > UNIT {
        let align = align.max(BEFORE);
        own!(Memalign, fn(usize, usize) -> usize, (align, total), 0)
    } else if zeroed {
        own!(Calloc, fn(usize, usize) -> usize, (1, total), 0)
    } else {
        own!(Malloc, fn(usize) -> usize, (total), 0)
    };
    if given == 0 {
        return None;
    }
    let addr = given + before;
    Block { addr, size, before_log2: before.trailing_zeros() as u8 }.create();
    if addr.is_multiple_of(UNIT) && marks::set_live(addr) {
        return Some(addr);
    }
    give_back(given);
    None
}

fn give_back(start: usize) {
    own!(Free, fn(usize) -> (), (start), ());
}

/// Takes a block for this thread alone; `false` where it has not that mark.
fn pin(addr: usize, mark: u8) -> bool {
    for _ in 0..PATIENCE {
        match marks::exchange(addr, mark, PINNED) {
            Ok(()) => return true,
            // Another thread is looking at it; or it is damaged, and stays as it is.
            Err(PINNED) if Block::at(addr).is_some() => call::sched_yield(),
            Err(_) => return false,
        }
    }
    false
}

/// Changes the mark of a block that this thread has pinned.
fn unpin(addr: usize, mark: u8) {
    let _ = marks::exchange(addr, PINNED, mark);
}

fn release(addr: usize, when: u8) {
    if !pin(addr, LIVE) {
        return;
    }
    let Some(block) = Block::at(addr) else { return tell_damaged(addr, when) };
    block.check_zones(when);
    // SAFETY: the program has given it up.
    unsafe { fill(addr, addr + block.size, FREED) };
    let weight = block.weight();
    if weight > quarantine() {
        unpin(addr, NONE);
        return give_back(block.start());
    }
    unpin(addr, RETAINED);
    KEPT_BYTES.fetch_add(weight, Ordering::Relaxed);
    if !KEPT.push(addr) {
        retire(addr);
    }
    while KEPT_BYTES.load(Ordering::Relaxed) > quarantine()
        && let Some(oldest) = KEPT.pop()
    {
        retire(oldest);
    }
}

/// Gives a block back that was kept long enough.
fn retire(addr: usize) {
    if !pin(addr, RETAINED) {
        return;
    }
    let Some(block) = Block::at(addr) else { return tell_damaged(addr, found::IN_QUARANTINE) };
    block.check_freed(found::IN_QUARANTINE);
    KEPT_BYTES.fetch_sub(block.weight(), Ordering::Relaxed);
    unpin(addr, NONE);
    give_back(block.start());
}

/// Whether an address where no block of ours begins lies in one, in its zones or its header: the program's own
/// allocator must not hear of it.
#[cold]
fn lies_in_block(addr: usize) -> bool {
    let is_over = |(start, mark): (usize, u8)| {
        let (LIVE | RETAINED) = mark else { return false };
        // As long as it is pinned its memory is there.
        if !pin(start, mark) {
            return false;
        }
        let block = Block::at(start);
        unpin(start, mark);
        block.is_some_and(|block| (block.start()..block.end()).contains(&addr))
    };
    // No program has an address beyond.
    addr >> 47 == 0
        && (marks::last_within(addr.saturating_sub(REACH_BEFORE), addr).is_some_and(is_over)
            || marks::first_within(addr, addr + REACH_BEHIND).is_some_and(is_over))
}

/// Looks at all blocks, live and kept back.
pub(super) fn look_over(when: u8) {
    look_from(0, usize::MAX, when, usize::MAX);
}

/// Looks at some blocks after so many calls, where the look before stopped: at all, if they are not too many.
pub(super) fn look_over_some(calls: usize) {
    let share = calls.saturating_mul(SHARE_OF_CALL).saturating_add(LEAST_SHARE);
    let begin = NEXT.load(Ordering::Relaxed);
    let (stop, left) = look_from(begin, usize::MAX, found::AT_INTERVAL, share);
    let stop = if left > 0 { look_from(0, begin, found::AT_INTERVAL, left).0 } else { stop };
    NEXT.store(stop, Ordering::Relaxed);
}

/// Looks at the blocks from `from` on and before `to`, until that is as much as `share` blocks. Where it stopped, 0 at
/// the end, and what is left of the share.
fn look_from(from: usize, to: usize, when: u8, mut share: usize) -> (usize, usize) {
    let stop = marks::each_from(from, |addr, mark| {
        if share == 0 || addr >= to {
            return false;
        }
        let cost = if mark == NONE { STRETCH_AS_BLOCKS } else { look_at(addr, mark, when) };
        share = share.saturating_sub(cost);
        true
    });
    (stop.unwrap_or(0), share)
}

/// Looks at a block; as how many that counts.
fn look_at(addr: usize, mark: u8, when: u8) -> usize {
    if mark == PINNED || marks::exchange(addr, mark, PINNED).is_err() {
        return 1;
    }
    // Stays pinned where it is damaged: it is told once, and nothing more can be done with it.
    let Some(block) = Block::at(addr) else {
        tell_damaged(addr, when);
        return 1;
    };
    let bytes = if mark == LIVE {
        block.check_zones(when);
        block.end() - addr - block.size
    } else {
        block.check_freed(when);
        block.end() - addr
    };
    unpin(addr, mark);
    1 + bytes / BYTES_AS_BLOCK
}
