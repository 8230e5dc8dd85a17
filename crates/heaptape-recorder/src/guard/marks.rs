//! Two bits for every 16 bytes of address space: whether a block with red zones begins there.
//!
//! Apart from the blocks, so that no overwrite can damage it, and so that whose an address is can be said without
//! reading there. Made as addresses come: 16 MiB for each GiB of them, of which only the pages are touched whose
//! marks are set.

use crate::sys::call;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// No block of ours begins there.
pub(super) const NONE: u8 = 0;
/// A live one does.
pub(super) const LIVE: u8 = 1;
/// One that was freed and is kept back.
pub(super) const RETAINED: u8 = 2;
/// One that a thread is looking at, or whose size cannot be known any more.
pub(super) const PINNED: u8 = 3;

const GRAIN: usize = 16;
const MARKS_PER_BYTE: usize = 4;
/// Bytes of addresses of one byte of marks.
const REACH: usize = GRAIN * MARKS_PER_BYTE;
const LEAF_REACH_LOG2: usize = 30;
const LEAF_BYTES: usize = (1 << LEAF_REACH_LOG2) / REACH;
const LEAVES: usize = 1 << (47 - LEAF_REACH_LOG2);
/// Bytes of marks of one touched-flag, which follow the marks in a leaf.
const STRETCH: usize = 4096;
const FLAGS: usize = LEAF_BYTES / STRETCH;

/// Where the table of leaves is; 0 before [`begin`].
static TABLE: AtomicUsize = AtomicUsize::new(0);

/// Makes the table of leaves.
pub(super) fn begin() -> bool {
    let table = call::map_sparse(LEAVES * size_of::<AtomicUsize>());
    TABLE.store(table as usize, Ordering::Relaxed);
    !table.is_null()
}

fn leaf_slot(leaf: usize) -> &'static AtomicUsize {
    // SAFETY: the table has a place for each, zeroed at first, and is never given back.
    unsafe { &*(TABLE.load(Ordering::Relaxed) as *const AtomicUsize).add(leaf) }
}

fn byte(leaf: usize, at: usize) -> &'static AtomicU8 {
    // SAFETY: of a leaf, `at` within it and its flags; never given back.
    unsafe { &*((leaf + at) as *const AtomicU8) }
}

/// The byte with the mark of an address, if its leaf is there, and by how much the mark is shifted in it.
fn place(addr: usize) -> Option<(&'static AtomicU8, usize)> {
    if !addr.is_multiple_of(GRAIN) || addr >> 47 != 0 {
        return None;
    }
    // Acquire pairs with the release of whoever made the leaf.
    let leaf = leaf_slot(addr >> LEAF_REACH_LOG2).load(Ordering::Acquire);
    let at = addr % (1 << LEAF_REACH_LOG2) / REACH;
    (leaf != 0).then(|| (byte(leaf, at), addr / GRAIN % MARKS_PER_BYTE * 2))
}

/// The mark of an address.
#[inline(always)]
pub(super) fn get(addr: usize) -> u8 {
    place(addr).map_or(NONE, |(byte, shift)| byte.load(Ordering::Acquire) >> shift & 3)
}

/// Changes the mark of an address from `old` to `new`; otherwise what it is.
pub(super) fn exchange(addr: usize, old: u8, new: u8) -> Result<(), u8> {
    let Some((byte, shift)) = place(addr) else { return Err(NONE) };
    let mut all = byte.load(Ordering::Acquire);
    loop {
        if all >> shift & 3 != old {
            return Err(all >> shift & 3);
        }
        let changed = all & !(3 << shift) | new << shift;
        // AcqRel: what was done with the block under its old mark is over under its new one.
        match byte.compare_exchange_weak(all, changed, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return Ok(()),
            Err(now) => all = now,
        }
    }
}

/// Marks the address of a new block as live; `false` where there is no memory for that.
pub(super) fn set_live(addr: usize) -> bool {
    if addr >> 47 != 0 {
        return false;
    }
    let slot = leaf_slot(addr >> LEAF_REACH_LOG2);
    if slot.load(Ordering::Acquire) == 0 {
        let leaf = call::map_sparse(LEAF_BYTES + FLAGS);
        if leaf.is_null() {
            return false;
        }
        // Of two threads that come here at once, one wins.
        if slot.compare_exchange(0, leaf as usize, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: nobody has seen it.
            unsafe { call::unmap(leaf, LEAF_BYTES + FLAGS) };
        }
    }
    let stretch = addr % (1 << LEAF_REACH_LOG2) / REACH / STRETCH;
    let flag = byte(slot.load(Ordering::Acquire), LEAF_BYTES + stretch);
    if flag.load(Ordering::Relaxed) == 0 {
        flag.store(1, Ordering::Relaxed);
    }
    exchange(addr, NONE, LIVE).is_ok()
}

/// Calls `each` with every address that has a mark, and the mark.
pub(super) fn for_each(mut each: impl FnMut(usize, u8)) {
    for number in 0..LEAVES {
        let leaf = leaf_slot(number).load(Ordering::Acquire);
        if leaf == 0 {
            continue;
        }
        let touched = (0..FLAGS)
            .filter(|stretch| byte(leaf, LEAF_BYTES + stretch).load(Ordering::Relaxed) != 0);
        for at in touched.flat_map(|stretch| stretch * STRETCH..(stretch + 1) * STRETCH) {
            let marks = byte(leaf, at).load(Ordering::Acquire);
            if marks == 0 {
                continue;
            }
            for place in 0..MARKS_PER_BYTE {
                let mark = marks >> (2 * place) & 3;
                if mark != NONE {
                    each((number << LEAF_REACH_LOG2) + at * REACH + place * GRAIN, mark);
                }
            }
        }
    }
}
