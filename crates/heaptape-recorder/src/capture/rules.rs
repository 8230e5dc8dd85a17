//! Unwind rules, compiled from the modules' tables once and found again by return address.
//!
//! A rule is 32 bits: how the caller's frame address (CFA) follows from `rsp` or `rbp`, and where the
//! caller's `rbp` was saved. The table is shared by all threads: an array of small sets of 64-bit words
//! (tag and rule), so an entry is read and written whole.
//!
//! Rules belong to a *generation* of loaded modules. When a module goes, the generation is counted up
//! and the table is emptied; a rule that was computed across the change is not kept.

use super::{eh_frame, registered};
use crate::modules;
use crate::sys::objects;
use crate::thread::Thread;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How a frame is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Kind {
    /// CFA = rsp + offset.
    Sp = 1,
    /// CFA = rbp + offset.
    Bp = 2,
    /// CFA = *(rbp + offset): frames that realign their stack.
    Deref = 3,
    /// The outermost frame.
    End = 4,
    /// No table, or one that says something we do not follow.
    Fail = 5,
    /// A signal frame, as the kernel made it.
    Signal = 6,
}

/// A packed rule: bits 0..3 kind, 3..12 place of the saved rbp, 12..32 CFA offset / 8 (signed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule(u32);

/// The saved rbp lies where rbp points (frames that realign their stack).
const BP_AT_BP: u32 = 0x1ff;

impl Rule {
    /// A rule without a CFA.
    pub(crate) const fn bare(kind: Kind) -> Rule {
        Rule(kind as u32)
    }

    /// A rule, if it can be packed. `bp_below_cfa`: how far below the CFA rbp was saved; 0: nowhere.
    pub(crate) fn pack(kind: Kind, cfa_offset: i64, bp_below_cfa: i64) -> Option<Rule> {
        let fits = cfa_offset % 8 == 0
            && (-(1 << 22)..1 << 22).contains(&cfa_offset)
            && bp_below_cfa % 8 == 0
            && (0..i64::from(BP_AT_BP) * 8).contains(&bp_below_cfa);
        let packed =
            kind as u32 | ((bp_below_cfa / 8) as u32) << 3 | ((cfa_offset / 8) as u32) << 12;
        fits.then_some(Rule(packed))
    }

    /// The same rule, with the caller's rbp saved where rbp points.
    pub(crate) fn with_bp_at_bp(self) -> Rule {
        Rule(self.0 | BP_AT_BP << 3)
    }

    /// What kind of step it is.
    #[inline(always)]
    pub fn kind(self) -> Kind {
        match self.0 & 7 {
            1 => Kind::Sp,
            2 => Kind::Bp,
            3 => Kind::Deref,
            4 => Kind::End,
            6 => Kind::Signal,
            _ => Kind::Fail,
        }
    }

    /// Whether it is of one of the usual kinds, [`Kind::Sp`] and [`Kind::Bp`].
    #[inline(always)]
    pub(super) fn is_plain(self) -> bool {
        matches!(self.0 & 7, 1 | 2)
    }

    /// Bytes from the base register to the CFA (or to the word that holds it).
    #[inline(always)]
    pub fn cfa_offset(self) -> isize {
        (self.0 as i32 >> 12) as isize * 8
    }

    /// Where the caller's rbp was saved; `None`: rbp is still the caller's.
    #[inline(always)]
    pub fn bp_slot(self, cfa: usize, bp: usize) -> Option<usize> {
        match self.0 >> 3 & 0x1ff {
            0 => None,
            BP_AT_BP => Some(bp),
            words => Some(cfa.wrapping_sub(words as usize * 8)),
        }
    }

    /// Whether our rbp matters to the caller's: it is the same, or lies where ours points. `callers`: whether
    /// the caller's matters to anybody.
    #[inline(always)]
    pub(super) fn hands_bp_on(self, callers: bool) -> bool {
        match self.0 >> 3 & 0x1ff {
            0 => callers,
            // Where it points is read in any case, and must be readable.
            BP_AT_BP => true,
            _ => false,
        }
    }
}

#[cfg(test)]
impl Rule {
    /// A return address into code that does not exist, whose rule is this.
    pub(super) fn made_up_code(self) -> usize {
        0x6a00 << 32 | self.0 as usize
    }

    fn of_made_up_code(ip: usize) -> Option<Rule> {
        (ip >> 32 == 0x6a00).then_some(Rule(ip as u32))
    }
}

/// A power of two: tags have all other bits of an address.
const SETS: usize = 1 << 15;

/// Places of addresses that are equal in their low bits, the youngest first. Tag (address bits 15..47) in the upper
/// half, rule in the lower; 0 is empty.
#[repr(align(16))]
struct Set([AtomicU64; 2]);

static TABLE: [Set; SETS] = [const { Set([AtomicU64::new(0), AtomicU64::new(0)]) }; SETS];
static GENERATION: AtomicU32 = AtomicU32::new(1);

impl Set {
    #[inline(always)]
    fn of(ip: usize) -> &'static Set {
        &TABLE[ip & (SETS - 1)]
    }

    fn empty(&self) {
        self.0.iter().for_each(|entry| entry.store(0, Ordering::Relaxed));
    }

    /// Keeps a rule instead of the older one. Threads that do so at once may lose one of theirs.
    fn keep(&self, ip: usize, rule: Rule) {
        if ip >> 47 == 0 {
            let [young, old] = &self.0;
            old.store(young.load(Ordering::Acquire), Ordering::Release);
            let tag = ip as u64 >> SETS.trailing_zeros();
            young.store(tag << 32 | u64::from(rule.0), Ordering::Release);
        }
    }
}

/// The current generation of loaded modules.
#[inline(always)]
pub fn generation() -> u32 {
    // Acquire pairs with the AcqRel in `invalidate`.
    GENERATION.load(Ordering::Acquire)
}

/// A module has gone: all rules are forgotten, and all threads forget their backtraces.
pub fn invalidate() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
    TABLE.iter().for_each(Set::empty);
    // Again: a thread that saw the new generation may have read an old entry before it was emptied.
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// The rules of the code from `low` to `high` may have changed: they are forgotten, and all threads forget their
/// backtraces.
pub(super) fn forget(low: usize, high: usize) {
    if high - low >= SETS {
        return invalidate();
    }
    GENERATION.fetch_add(1, Ordering::AcqRel);
    for ip in low..=high {
        Set::of(ip).empty();
    }
    // As in `invalidate`.
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// The rule for the frame that will be returned to at `ip`.
#[inline(always)]
pub(crate) fn lookup(thread: &mut Thread, ip: usize) -> Rule {
    #[cfg(test)]
    if let Some(rule) = Rule::of_made_up_code(ip) {
        return rule;
    }
    for entry in &Set::of(ip).0 {
        // Acquire pairs with the releases below: who finds a rule knows of its module (`emit::node`).
        let entry = entry.load(Ordering::Acquire);
        if entry >> 32 == ip as u64 >> SETS.trailing_zeros() && entry != 0 {
            return Rule(entry as u32);
        }
    }
    lookup_slowly(thread, ip)
}

#[cold]
#[inline(never)]
fn lookup_slowly(thread: &mut Thread, ip: usize) -> Rule {
    let before = generation();
    let object = objects::find(ip - 1);
    if let Some(object) = &object {
        modules::meet(thread, object);
    }
    let rule = match object {
        Some(object) => eh_frame::rule(&object, ip - 1),
        None => registered::rule(ip - 1).unwrap_or(Rule::bare(Kind::Fail)),
    };
    let set = Set::of(ip);
    set.keep(ip, rule);
    if generation() != before {
        set.empty();
    }
    rule
}
