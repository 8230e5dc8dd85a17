//! Pointers into the middle of a block that programs keep instead of one to its start.
//!
//! Those that memcheck knows (`--leak-check-heuristics=all`, its default), by the same rules: the characters of
//! an old `std::string`, what follows a length of 64 bits, the elements of `new T[n]` after their count, the
//! second base of an object with several. A vtable of the second and one of the first base must be there.

use super::memory::{Memory, words};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Words of a vtable that are looked at, of which two must be functions, and all others none or nothing.
const VTABLE_WORDS: usize = 20;
const VTABLE_FUNCTIONS: usize = 2;
const PAGE: u64 = 4096;

/// Where files are mapped: sorted, no two overlap.
#[derive(Debug, Default)]
pub(crate) struct Code {
    /// All that can be read.
    pub(crate) readable: Vec<Range<u64>>,
    /// All that can be executed.
    pub(crate) executable: Vec<Range<u64>>,
}

fn find(ranges: &[Range<u64>], addr: u64) -> Option<&Range<u64>> {
    let after = ranges.partition_point(|range| range.start <= addr);
    ranges[..after].last().filter(|range| addr < range.end)
}

/// What the first words of a block look like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traits(u8);

/// What a pointer into the middle of a block is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interior {
    /// As much as one to its start.
    AsStart,
    /// So if there is a pointer to a vtable at that place.
    IfVtable,
    /// No more than it says.
    No,
}

impl Traits {
    const AFTER_COUNT: u8 = 1;
    const STRING: u8 = 2;
    const OBJECT: u8 = 4;

    pub(super) fn of(size: u64, [first, second]: [u64; 2], code: &Code) -> Traits {
        let mut traits = 0;
        if let Some(rest) = size.checked_sub(8)
            && first > 0
            && rest.is_multiple_of(first)
        {
            // A length of all that follows divides it, too.
            traits |= Traits::AFTER_COUNT;
        }
        if size >= 25 && second == size - 25 && first <= second {
            traits |= Traits::STRING;
        }
        if size >= 16 && may_be_vtable(first, code) {
            traits |= Traits::OBJECT;
        }
        Traits(traits)
    }

    /// A pointer so many bytes into the block, a multiple of 8 and not 0.
    pub(super) fn interior(self, offset: u64) -> Interior {
        let is = |bit| self.0 & bit != 0;
        match offset {
            8 if is(Traits::AFTER_COUNT) => Interior::AsStart,
            24 if is(Traits::STRING) => Interior::AsStart,
            _ if is(Traits::OBJECT) => Interior::IfVtable,
            _ => Interior::No,
        }
    }
}

/// Whether a vtable can be there at all.
fn may_be_vtable(addr: u64, code: &Code) -> bool {
    addr.is_multiple_of(8) && addr >= PAGE && find(&code.readable, addr).is_some()
}

/// The vtables that were seen.
pub(super) struct Vtables<'a> {
    code: &'a Code,
    known: FxHashMap<u64, bool>,
}

impl<'a> Vtables<'a> {
    pub(super) fn new(code: &'a Code) -> Vtables<'a> {
        Vtables { code, known: FxHashMap::default() }
    }

    pub(super) fn is_vtable(&mut self, addr: u64, memory: &dyn Memory) -> bool {
        let code = self.code;
        *self.known.entry(addr).or_insert_with(|| looks_like_vtable(addr, code, memory))
    }
}

fn looks_like_vtable(addr: u64, code: &Code, memory: &dyn Memory) -> bool {
    if !may_be_vtable(addr, code) {
        return false;
    }
    let Some(range) = find(&code.readable, addr) else { return false };
    let length = ((range.end - addr) as usize & !7).min(VTABLE_WORDS * 8);
    let mut bytes = [0; VTABLE_WORDS * 8];
    memory.read(&[(addr, length)], &mut bytes[..length]);
    let mut functions = words(&bytes[..length]).filter(|word| *word != 0);
    let found = functions.by_ref().take(VTABLE_FUNCTIONS);
    let are_code: Vec<bool> = found.map(|word| find(&code.executable, word).is_some()).collect();
    are_code == [true; VTABLE_FUNCTIONS]
}
