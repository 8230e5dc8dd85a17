//! Unwind tables that code made at run time registers (`__register_frame`): LLVM's JITs do, and what is built on
//! them (Julia, Numba, PostgreSQL).
//!
//! Kept is where each table lies and which addresses it speaks of; it is read in place. A table may go, and its
//! memory with it, while another thread reads: who takes it away waits for readers, who are few and quick,
//! because a rule is looked up once for each return address.

use super::eh_frame::{self, Section};
use super::rules::{self, Rule};
use core::hint::spin_loop;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// Most tables at a time. Code of further ones is crossed by frame pointers, and marked.
const MOST: usize = 1 << 13;
/// Patience with readers, in looks: a forked child may have inherited one that is gone.
const PATIENCE: u32 = 1 << 20;

/// A place for a table. `begin`: [`FREE`], [`TAKEN`], or where the table begins; then the others are valid.
struct Slot {
    begin: AtomicUsize,
    end: AtomicUsize,
    /// The addresses that it speaks of.
    low: AtomicUsize,
    high: AtomicUsize,
}

const FREE: usize = 0;
const TAKEN: usize = 1;

static SLOTS: [Slot; MOST] = [const {
    Slot {
        begin: AtomicUsize::new(FREE),
        end: AtomicUsize::new(0),
        low: AtomicUsize::new(0),
        high: AtomicUsize::new(0),
    }
}; MOST];
/// Slots that were ever used: those before this number.
static USED: AtomicUsize = AtomicUsize::new(0);
static READERS: AtomicU32 = AtomicU32::new(0);

/// Code has registered the table at `begin`.
pub fn register(begin: usize) {
    let Some((section, low, high)) = Section::found_at(begin) else { return };
    let taken = SLOTS.iter().enumerate().find(|(_, slot)| {
        let take = (FREE, TAKEN, Ordering::Relaxed, Ordering::Relaxed);
        slot.begin.compare_exchange(take.0, take.1, take.2, take.3).is_ok()
    });
    let Some((place, slot)) = taken else { return };
    slot.end.store(section.end, Ordering::Relaxed);
    slot.low.store(low, Ordering::Relaxed);
    slot.high.store(high, Ordering::Relaxed);
    USED.fetch_max(place + 1, Ordering::Relaxed);
    // Release pairs with the acquire in `rule`: who sees the table sees what it speaks of.
    slot.begin.store(section.start, Ordering::Release);
    // The code may have been met before it had a table.
    rules::forget(low, high);
}

/// The table at `begin` is about to go.
pub fn deregister(begin: usize) {
    let slots = &SLOTS[..USED.load(Ordering::Relaxed)];
    let Some(slot) = slots.iter().find(|slot| slot.begin.load(Ordering::Relaxed) == begin) else {
        return;
    };
    let (low, high) = (slot.low.load(Ordering::Relaxed), slot.high.load(Ordering::Relaxed));
    // SeqCst, as in `rule`: either we see the reader, or it does not see the table.
    slot.begin.store(TAKEN, Ordering::SeqCst);
    let mut looks = 0;
    while READERS.load(Ordering::SeqCst) != 0 && looks < PATIENCE {
        spin_loop();
        looks += 1;
    }
    slot.begin.store(FREE, Ordering::Relaxed);
    rules::forget(low, high);
}

/// The rule for the code at `pc`, if a registered table has one.
pub(super) fn rule(pc: usize) -> Option<Rule> {
    let used = USED.load(Ordering::Relaxed);
    if used == 0 {
        return None;
    }
    READERS.fetch_add(1, Ordering::SeqCst);
    let rule = SLOTS[..used].iter().find_map(|slot| {
        let start = slot.begin.load(Ordering::SeqCst);
        let (low, high) = (slot.low.load(Ordering::Relaxed), slot.high.load(Ordering::Relaxed));
        if start <= TAKEN || pc < low || pc >= high {
            return None;
        }
        eh_frame::rule_in(Section { start, end: slot.end.load(Ordering::Relaxed) }, pc)
    });
    READERS.fetch_sub(1, Ordering::SeqCst);
    rule
}
