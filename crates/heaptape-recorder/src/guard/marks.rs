//! Two bits for every 16 bytes of address space: whether a block with red zones begins there.
//!
//! Apart from the blocks, so that no overwrite can damage it, and so that whose an address is can be said without
//! reading there. Made as addresses come: 16 MiB for each GiB of them, of which only the pages are touched whose
//! marks are set.

use crate::sys::call;
use core::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};

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
/// Bytes of addresses of one touched-flag: a page of marks. The flags, a bit each, follow the marks in a leaf.
const STRETCH: usize = 4096 * REACH;
const STRETCHES: usize = (1 << LEAF_REACH_LOG2) / STRETCH;
/// Bytes of addresses of a word of marks.
const WORD_REACH: usize = 8 * REACH;

/// Where the table of leaves is; 0 before [`begin`].
static TABLE: AtomicUsize = AtomicUsize::new(0);
/// A bit for each leaf that there is, or that a thread is making.
static MADE: [AtomicU64; LEAVES / 64] = [const { AtomicU64::new(0) }; LEAVES / 64];

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

/// The byte with the marks of an address.
fn byte(leaf: usize, addr: usize) -> &'static AtomicU8 {
    // SAFETY: within the marks of a leaf; never given back.
    unsafe { &*((leaf + addr % (1 << LEAF_REACH_LOG2) / REACH) as *const AtomicU8) }
}

/// The word with the marks of an address and of those around it.
fn word(leaf: usize, addr: usize) -> u64 {
    let word = (leaf + addr % (1 << LEAF_REACH_LOG2) / WORD_REACH * 8) as *const AtomicU64;
    // SAFETY: within the marks of a leaf, which begins with a page; never given back.
    unsafe { (*word).load(Ordering::Acquire) }
}

/// The flags of 64 stretches of a leaf.
fn flags(leaf: usize, word: usize) -> &'static AtomicU64 {
    // SAFETY: they lie behind the marks; never given back.
    unsafe { &*((leaf + LEAF_BYTES) as *const AtomicU64).add(word) }
}

/// The byte with the mark of an address, if its leaf is there, and by how much the mark is shifted in it.
fn place(addr: usize) -> Option<(&'static AtomicU8, usize)> {
    if !addr.is_multiple_of(GRAIN) || addr >> 47 != 0 {
        return None;
    }
    // Acquire pairs with the release of whoever made the leaf.
    let leaf = leaf_slot(addr >> LEAF_REACH_LOG2).load(Ordering::Acquire);
    (leaf != 0).then(|| (byte(leaf, addr), addr / GRAIN % MARKS_PER_BYTE * 2))
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
    let number = addr >> LEAF_REACH_LOG2;
    let slot = leaf_slot(number);
    if slot.load(Ordering::Acquire) == 0 {
        let leaf = call::map_sparse(LEAF_BYTES + STRETCHES / 8);
        if leaf.is_null() {
            return false;
        }
        // Before the leaf is there: a child that is forked in between finds it, too.
        set_bit(&MADE[number / 64], number);
        // Of two threads that come here at once, one wins.
        if slot.compare_exchange(0, leaf as usize, Ordering::AcqRel, Ordering::Acquire).is_err() {
            // SAFETY: nobody has seen it.
            unsafe { call::unmap(leaf, LEAF_BYTES + STRETCHES / 8) };
        }
    }
    let stretch = addr / STRETCH % STRETCHES;
    set_bit(flags(slot.load(Ordering::Acquire), stretch / 64), stretch);
    exchange(addr, NONE, LIVE).is_ok()
}

fn set_bit(word: &AtomicU64, number: usize) {
    let bit = 1 << (number % 64);
    if word.load(Ordering::Relaxed) & bit == 0 {
        word.fetch_or(bit, Ordering::Relaxed);
    }
}

/// The first set bit from `from` on, of `count` bits.
fn next_bit(from: usize, count: usize, word: impl Fn(usize) -> u64) -> Option<usize> {
    let mut mask = u64::MAX << (from % 64);
    for at in from / 64..count / 64 {
        match word(at) & mask {
            0 => mask = u64::MAX,
            bits => return Some(at * 64 + bits.trailing_zeros() as usize),
        }
    }
    None
}

/// The leaf of the first stretch from `addr` on that was ever touched, and an address in that: `addr` or its start.
fn touched_from(addr: usize) -> Option<(usize, usize)> {
    let mut at = addr;
    loop {
        let made = |word: usize| MADE[word].load(Ordering::Relaxed);
        let number = next_bit(at >> LEAF_REACH_LOG2, LEAVES, made)?;
        let start = number << LEAF_REACH_LOG2;
        let leaf = leaf_slot(number).load(Ordering::Acquire);
        let first = at.max(start) / STRETCH % STRETCHES;
        let touched = |word: usize| flags(leaf, word).load(Ordering::Relaxed);
        let stretch = if leaf == 0 { None } else { next_bit(first, STRETCHES, touched) };
        match stretch {
            Some(stretch) => return Some((leaf, at.max(start + stretch * STRETCH))),
            None => at = start + (1 << LEAF_REACH_LOG2),
        }
    }
}

/// Calls `each` with every address from `from` on that has a mark, and the mark, until it says no. Where it said
/// that; `None` at the end. `each` hears of every stretch of memory that is gone through, too, as a mark of [`NONE`].
pub(super) fn each_from(from: usize, mut each: impl FnMut(usize, u8) -> bool) -> Option<usize> {
    let mut at = from;
    while let Some((leaf, first)) = touched_from(at) {
        if !each(first, NONE) {
            return Some(first);
        }
        at = first;
        let end = (first / STRETCH + 1) * STRETCH;
        while at < end {
            let (group, marks) = (at / WORD_REACH * WORD_REACH, word(leaf, at));
            let mut left = marks & u64::MAX << (at % WORD_REACH / GRAIN * 2);
            while left != 0 {
                let place = left.trailing_zeros() as usize / 2;
                let addr = group + place * GRAIN;
                if !each(addr, (marks >> (2 * place) & 3) as u8) {
                    return Some(addr);
                }
                left &= !(3 << (2 * place));
            }
            at = group + WORD_REACH;
        }
    }
    None
}

/// The last address from `low` to `high` that has a mark, and the mark.
pub(super) fn last_within(low: usize, high: usize) -> Option<(usize, u8)> {
    let mut at = high.min((1 << 47) - 1) & !(GRAIN - 1);
    while at >= low {
        let leaf = leaf_slot(at >> LEAF_REACH_LOG2).load(Ordering::Acquire);
        let stretch = at / STRETCH % STRETCHES;
        let is_touched = leaf != 0
            && flags(leaf, stretch / 64).load(Ordering::Relaxed) >> (stretch % 64) & 1 != 0;
        let step = match is_touched.then(|| get(at)) {
            Some(NONE) => at,
            Some(mark) => return Some((at, mark)),
            None => at / STRETCH * STRETCH,
        };
        at = step.checked_sub(GRAIN)?;
    }
    None
}

/// The first address from `low` to `high` that has a mark, and the mark.
pub(super) fn first_within(low: usize, high: usize) -> Option<(usize, u8)> {
    let multiples = (low.next_multiple_of(GRAIN)..=high).step_by(GRAIN);
    multiples.map(|addr| (addr, get(addr))).find(|&(_, mark)| mark != NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses that no block of this process has: what other tests do is elsewhere.
    const BASE: usize = 0x1234_4000_0000;

    #[test]
    fn marks_are_found_in_order_from_anywhere() {
        assert!(begin());
        let far = BASE + (3 << LEAF_REACH_LOG2);
        let marked = [BASE, BASE + 16, BASE + 1008, BASE + STRETCH - 16, BASE + 9 * STRETCH, far];
        marked.iter().for_each(|&addr| assert!(set_live(addr), "{addr:x}"));
        assert_eq!(exchange(marked[2], LIVE, RETAINED), Ok(()));
        for from in [0, BASE, BASE + 16, BASE + 17, BASE + 1024, BASE + STRETCH, far, far + 16] {
            let mut found = Vec::new();
            let end = each_from(from, |addr, mark| {
                found.extend((mark != NONE).then_some((addr, mark)));
                true
            });
            let mark = |addr: usize| if addr == marked[2] { RETAINED } else { LIVE };
            let left = marked.iter().filter(|&&addr| addr >= from & !(GRAIN - 1));
            let expected: Vec<(usize, u8)> = left.map(|&addr| (addr, mark(addr))).collect();
            assert_eq!((end, found), (None, expected), "from {from:x}");
        }
        let stopped = each_from(0, |addr, mark| mark == NONE || addr < marked[3]);
        assert_eq!(stopped, Some(marked[3]));
        assert_eq!(last_within(BASE, BASE + 999), Some((BASE + 16, LIVE)));
        assert_eq!(last_within(BASE, far - 1), Some((marked[4], LIVE)));
        assert_eq!(last_within(BASE + 32, BASE + 999), None);
        assert_eq!(first_within(BASE + 1, BASE + 16), Some((BASE + 16, LIVE)));
        assert_eq!(first_within(BASE + 17, BASE + 1007), None);
    }
}
