//! What the index keeps of a long block beside its life, in 8 bytes: where it lies, and of what kind it is.
//!
//! Addresses are places in stretches of the address space that are used at all. Blocks that one call site asks for,
//! with the same size, by the same thread, are of one kind.

use crate::lifetimes::{Lifetime, NEVER, flags};
use heaptape_tape::{BacktraceId, ThreadId};
use rustc_hash::FxHashMap;

/// What of [`flags`] the events of a block's birth and its life tell; the rest is known from the event of its end.
const KNOWN_FLAGS: u8 = flags::TEMPORARY | flags::FROM_REALLOC;
/// Bytes of a stretch, as a binary logarithm.
const STRETCH_LOG2: u32 = 20;
/// Blocks begin at multiples of so many bytes, as a binary logarithm.
const STEP_LOG2: u32 = 3;
/// Bits of a place that tell where in its stretch it is.
const WITHIN_LOG2: u32 = STRETCH_LOG2 - STEP_LOG2;
/// Stretches at most: with them a place has 32 bits.
const MOST_STRETCHES: usize = 1 << (u32::BITS - WITHIN_LOG2);
/// Kinds at most: more would take more than the blocks they describe.
const MOST_KINDS: usize = 1 << 20;

/// What blocks have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) size: u32,
    /// 0: usable bytes are not known; else 1 + those beyond what was asked for.
    slack: u32,
    pub(super) backtrace: BacktraceId,
    thread: ThreadId,
    api: u8,
    flags: u8,
}

impl Kind {
    fn of(block: &Lifetime) -> Option<Kind> {
        let slack = match block.usable {
            0 => 0,
            usable => usable.checked_sub(block.size)?.checked_add(1)?,
        };
        Some(Kind {
            size: u32::try_from(block.size).ok()?,
            slack: u32::try_from(slack).ok()?,
            backtrace: block.backtrace,
            thread: block.thread,
            api: block.api,
            flags: block.flags & KNOWN_FLAGS,
        })
    }

    /// Bytes from its beginning to its end.
    #[inline]
    pub(super) fn bytes(&self) -> u64 {
        self.usable().max(u64::from(self.size))
    }

    /// Usable bytes; 0 where they are not known.
    #[inline]
    fn usable(&self) -> u64 {
        u64::from(self.slack).checked_sub(1).map_or(0, |slack| u64::from(self.size) + slack)
    }
}

/// A block's place and kind, as numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packed {
    pub(super) place: u32,
    pub(super) kind: u32,
}

/// The places and kinds that there are.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    kinds: Vec<Kind>,
    numbers: FxHashMap<Kind, u32>,
    /// First addresses, in units of their length.
    stretches: Vec<u64>,
    stretch_numbers: FxHashMap<u64, u32>,
}

impl Kinds {
    /// `None` of a block that does not fit.
    pub(super) fn pack(&mut self, block: &Lifetime) -> Option<Packed> {
        let fits = !block.is(flags::INHERITED)
            && block.born != NEVER
            && block.addr.is_multiple_of(1 << STEP_LOG2)
            && u32::try_from(block.id.0).is_ok();
        let kind = Kind::of(block).filter(|_| fits)?;
        let stretch = number(
            &mut self.stretch_numbers,
            &mut self.stretches,
            block.addr >> STRETCH_LOG2,
            MOST_STRETCHES,
        )?;
        let kind = number(&mut self.numbers, &mut self.kinds, kind, MOST_KINDS)?;
        let within = (block.addr >> STEP_LOG2) as u32 & ((1 << WITHIN_LOG2) - 1);
        Some(Packed { place: stretch << WITHIN_LOG2 | within, kind })
    }

    /// No more come. Stretches are in the order of addresses from now on: tells what becomes of places.
    pub(super) fn finish(&mut self) -> impl Fn(u32) -> u32 + use<> {
        (self.numbers, self.stretch_numbers) = Default::default();
        self.kinds.shrink_to_fit();
        let mut order: Vec<u32> = (0..self.stretches.len() as u32).collect();
        order.sort_unstable_by_key(|&stretch| self.stretches[stretch as usize]);
        self.stretches.sort_unstable();
        let mut new = vec![0; order.len()];
        for (number, before) in (0..).zip(order) {
            new[before as usize] = number;
        }
        move |place| {
            let within = place & ((1 << WITHIN_LOG2) - 1);
            new[(place >> WITHIN_LOG2) as usize] << WITHIN_LOG2 | within
        }
    }

    #[inline]
    pub(super) fn kind(&self, number: u32) -> &Kind {
        &self.kinds[number as usize]
    }

    #[inline]
    pub(super) fn addr(&self, place: u32) -> u64 {
        let within = u64::from(place & ((1 << WITHIN_LOG2) - 1));
        (self.stretches[(place >> WITHIN_LOG2) as usize] << STRETCH_LOG2) | within << STEP_LOG2
    }

    /// What was packed, but for number, life and leak class.
    #[inline]
    pub(super) fn unpack(&self, packed: Packed) -> Lifetime {
        let kind = self.kind(packed.kind);
        Lifetime {
            id: heaptape_tape::BlockId(0),
            addr: self.addr(packed.place),
            size: u64::from(kind.size),
            usable: kind.usable(),
            born: NEVER,
            died: NEVER,
            backtrace: kind.backtrace,
            freed_backtrace: BacktraceId::NONE,
            thread: kind.thread,
            freed_thread: kind.thread,
            api: kind.api,
            flags: kind.flags,
            leak: 0,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        // A hash table has up to eight places for seven entries, and a byte beside each.
        let numbers = self.numbers.capacity() * (size_of::<(Kind, u32)>() + 1) * 8 / 7
            + self.stretch_numbers.capacity() * (size_of::<(u64, u32)>() + 1) * 8 / 7;
        let own = self.kinds.capacity() * size_of::<Kind>() + self.stretches.capacity() * 8;
        (numbers + own) as u64
    }
}

/// The number of a thing, a new one if there are not so many yet.
fn number<T: Copy + Eq + std::hash::Hash>(
    numbers: &mut FxHashMap<T, u32>,
    all: &mut Vec<T>,
    thing: T,
    most: usize,
) -> Option<u32> {
    if let Some(&known) = numbers.get(&thing) {
        return Some(known);
    }
    if all.len() >= most {
        return None;
    }
    let number = all.len() as u32;
    all.push(thing);
    numbers.insert(thing, number);
    Some(number)
}
