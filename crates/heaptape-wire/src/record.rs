//! What the words of a stream mean.
//!
//! A record is a run of 64-bit words; the low byte of the first says what it is and, with the rest of that
//! word, how long ([`frame`]).
//!
//! ```text
//! short event  what | NUMBERED | DETAILED | 0x80, api 8..13, slack 13..20, addr / 8 20..64   1 to 3 words
//!              [size | node << 32]   if DETAILED      [number]   if NUMBERED
//! long event   Head, addr, size, usable, node, [number]                                      5 or 6
//! Time         Head, ns                                                                      2
//! Node         Kind::Node 0..8, quality 8..16, world 16..64; id | parent << 32; ip           3
//! Thread       Head, time, tid | level << 32, name (16 bytes)                                5
//! Module       Head, time, world, start, end, bias, build_id_len | path_len << 32, bytes …   7 …
//! ModuleGone   Head, time, world, start                                                      4
//! Fork         Head, time, world, serial                                                     4
//! Overwrite    Head, block, size, offset, length, bytes seen (16 bytes)                      7
//! Pad          Head (anything after it)
//!
//! Head         kind 0..8   api 8..16   align_log2 16..24   flags 24..32   words 32..64
//! ```
//!
//! * A block's address, size, usable size and function nearly always fit a short event (16 bytes for an
//!   allocation, 8 for a free, 8 more for a number); what does not fit is a long one ([`Event::encode`]).
//! * Times are `CLOCK_MONOTONIC`, ns. An event happened at the last time that its stream said, or a
//!   little later: the clock is read when [`crate::layout::SessionPage::tick`] has moved and every so
//!   many events, not for each.
//! * Numbers: see [`crate::order`].
//! * `node` and `id` are local to the stream and at least 1; 0 is the empty backtrace. A node is announced
//!   before its first use and after its parent. Ids count up by one, and now and then begin at 1 again: those
//!   before then mean nothing more. The same (parent, ip) may get a second id.
//! * A node lies in the module that covers its address after `world` world records of the process.
//! * The bytes of a module are its build id and its path, each from the start of a word.
//! * A `Thread` record says that what follows on this stream is of that thread. `level` > 0: of a
//!   signal handler of that thread that interrupted a hook.
//! * An `Overwrite` says that `length` bytes from `offset` (signed, from the block's start) on hold what the program
//!   had no business to write: what ([`overwrite`]) is in the place of `api`, when it was found ([`found`]) in that
//!   of `align_log2`, and the flags say how many of the seen bytes mean something. Found at a free or realloc, it
//!   follows that event.

use crate::order;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Fills the end of the ring, or a claim that came to nothing.
    Pad = 0,
    /// A block begins. `api`, `align_log2`, all fields.
    Alloc = 1,
    /// A block ends, stamped before the real free.
    Free = 2,
    /// A realloc is about to give up `addr`; `size` is the size asked for.
    ReallocRelease = 3,
    /// A realloc succeeded; the new block is at `addr`.
    ReallocAlloc = 4,
    /// A realloc failed; the block at `addr` lives on.
    ReallocFail = 5,
    /// An allocation of `size` failed.
    AllocFail = 6,
    /// A mapping appears.
    Map = 7,
    /// A mapping goes.
    Unmap = 8,
    /// A backtrace node.
    Node = 16,
    /// The stream's owner.
    Thread = 17,
    /// A module.
    Module = 18,
    /// A module was unloaded.
    ModuleGone = 19,
    /// The process is about to fork; the child will name `serial`.
    Fork = 20,
    /// What follows on this stream happened at that time.
    Time = 21,
    /// Bytes that the program should not have written.
    Overwrite = 22,
}

impl Kind {
    /// The kind of that number, if there is one.
    pub fn from_u8(number: u8) -> Option<Kind> {
        Some(match number {
            0 => Kind::Pad,
            1 => Kind::Alloc,
            2 => Kind::Free,
            3 => Kind::ReallocRelease,
            4 => Kind::ReallocAlloc,
            5 => Kind::ReallocFail,
            6 => Kind::AllocFail,
            7 => Kind::Map,
            8 => Kind::Unmap,
            16 => Kind::Node,
            17 => Kind::Thread,
            18 => Kind::Module,
            19 => Kind::ModuleGone,
            20 => Kind::Fork,
            21 => Kind::Time,
            22 => Kind::Overwrite,
            _ => return None,
        })
    }

    /// Whether the record is one of the allocator's and mapping events.
    pub fn is_event(self) -> bool {
        (self as u8) >= 1 && (self as u8) <= 8
    }
}

/// The first word of a record that is neither a short event nor a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head(pub u64);

impl Head {
    /// A head of `words` words (itself included).
    #[inline(always)]
    pub const fn new(kind: Kind, api: u8, align_log2: u8, flags: u8, words: u64) -> Head {
        Head(
            kind as u64
                | (api as u64) << 8
                | (align_log2 as u64) << 16
                | (flags as u64) << 24
                | words << 32,
        )
    }

    /// A pad of `words` words.
    pub const fn pad(words: u64) -> Head {
        Head::new(Kind::Pad, 0, 0, 0, words)
    }

    /// The kind, if it is one.
    pub fn kind(self) -> Option<Kind> {
        Kind::from_u8(self.0 as u8)
    }

    /// Number of the function called (`heaptape_tape::Api`; the numbers are the same).
    pub fn api(self) -> u8 {
        (self.0 >> 8) as u8
    }

    /// log2 of the alignment asked for.
    pub fn align_log2(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Of a long event: 1 when it is numbered. Of others: 0.
    pub fn flags(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Words of the record, this one included; not yet checked against anything.
    pub fn words(self) -> u64 {
        self.0 >> 32
    }
}

/// Words of a time record.
pub const TIME_WORDS: u64 = 2;
/// Words of a node record.
pub const NODE_WORDS: u64 = 3;
/// Words of a thread record.
pub const THREAD_WORDS: u64 = 5;
/// Words of a module record before its bytes.
pub const MODULE_WORDS: u64 = 7;
/// Words of a module-gone record.
pub const MODULE_GONE_WORDS: u64 = 4;
/// Words of a fork record.
pub const FORK_WORDS: u64 = 4;
/// Words of an overwrite record.
pub const OVERWRITE_WORDS: u64 = 7;
/// Words of the longest short event.
pub const MAX_SHORT_WORDS: u64 = 3;
/// Words of the longest event record.
pub const MAX_EVENT_WORDS: usize = 6;
/// Longest build id and path in a module record, bytes; longer ones are cut.
pub const MAX_BUILD_ID: usize = 64;
/// Longest path in a module record, bytes.
pub const MAX_PATH: usize = 4096;

/// Quality of a node: found by unwind tables.
pub const NODE_EXACT: u8 = 0;
/// Quality of a node: found by the frame-pointer chain.
pub const NODE_FRAME_POINTER: u8 = 1;
/// Quality of a node: the walk stopped above it.
pub const NODE_TRUNCATED: u8 = 2;

/// An allocator or mapping event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// One of those that [`Kind::is_event`].
    pub kind: Kind,
    /// Function called ([`api`]).
    pub api: u8,
    /// log2 of the alignment asked for; 0 when none was.
    pub align_log2: u8,
    /// The block.
    pub addr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// The backtrace; 0 for none.
    pub node: u32,
}

/// The record of an event: its words, the number last.
#[derive(Clone, Copy, Debug)]
pub struct EventWords {
    /// The words; those beyond `count` mean nothing.
    pub words: [u64; MAX_EVENT_WORDS],
    /// How many there are.
    pub count: u64,
}

/// Low byte of a short event.
const SHORT: u64 = 0x80;
const NUMBERED: u64 = 4;
const DETAILED: u64 = 8;
/// Slack of a block whose usable size is not known.
const NO_SLACK: u64 = 127;

/// A short event, without its number.
#[derive(Clone, Copy, Debug)]
pub struct ShortEvent {
    /// The first word.
    pub first: u64,
    /// The second, if it is detailed.
    pub detail: u64,
    /// Whether it is.
    pub detailed: bool,
    /// Whether it takes a number.
    pub numbered: bool,
}

impl ShortEvent {
    /// Words of its record, the number included.
    #[inline(always)]
    pub fn words(&self) -> u64 {
        1 + u64::from(self.detailed) + u64::from(self.numbered)
    }
}

impl Event {
    /// The shard whose numbers it takes: that of its address. Mappings, which may be unmapped in other pieces than
    /// they were mapped in, have one together.
    #[inline(always)]
    pub fn shard(&self) -> usize {
        match self.kind {
            Kind::Map | Kind::Unmap => order::shard_of(0),
            _ => order::shard_of(self.addr),
        }
    }

    /// This event as a short one, if it fits.
    #[inline(always)]
    pub fn short(&self, numbered: bool) -> Option<ShortEvent> {
        let what = (self.kind as u64).wrapping_sub(Kind::Alloc as u64);
        let slack = if self.usable == 0 { NO_SLACK } else { self.usable.wrapping_sub(self.size) };
        let fits = what < 4
            && self.addr & 7 == 0
            && self.addr >> 47 == 0
            && self.size >> 32 == 0
            && (slack < NO_SLACK || self.usable == 0)
            && self.align_log2 == 0
            && self.api < 32;
        // Of allocations always: nearly all would be anyway, and this way nobody need look.
        let is_new = matches!(self.kind, Kind::Alloc | Kind::ReallocAlloc);
        let detailed = is_new || self.size != 0 || self.node != 0;
        let first = SHORT
            | what
            | if numbered { NUMBERED } else { 0 }
            | if detailed { DETAILED } else { 0 }
            | u64::from(self.api) << 8
            | slack << 13
            | (self.addr >> 3) << 20;
        let detail = self.size | u64::from(self.node) << 32;
        fits.then_some(ShortEvent { first, detail, detailed, numbered })
    }

    /// The record of this event; `number` is 0 for an event without.
    pub fn encode(&self, number: u64) -> EventWords {
        let numbered = number != 0;
        let Some(short) = self.short(numbered) else {
            let count = 5 + u64::from(numbered);
            let head = Head::new(self.kind, self.api, self.align_log2, u8::from(numbered), count);
            let node = u64::from(self.node);
            let words = [head.0, self.addr, self.size, self.usable, node, number];
            return EventWords { words, count };
        };
        let second = if short.detailed { short.detail } else { number };
        EventWords { words: [short.first, second, number, 0, 0, 0], count: short.words() }
    }

    /// The event of a whole record that [`frame`] says is one.
    #[inline]
    pub fn decode(words: &[u64]) -> Option<Event> {
        let first = words[0];
        if first & SHORT == 0 {
            return Event::decode_long(words);
        }
        let detail = if first & DETAILED != 0 { words[1] } else { 0 };
        let (size, node) = (detail & 0xffff_ffff, (detail >> 32) as u32);
        let slack = first >> 13 & 0x7f;
        Some(Event {
            kind: SHORT_KINDS[(first & 3) as usize],
            api: (first >> 8 & 31) as u8,
            align_log2: 0,
            addr: first >> 20 << 3,
            size,
            usable: if slack == NO_SLACK { 0 } else { size + slack },
            node,
        })
    }

    fn decode_long(words: &[u64]) -> Option<Event> {
        let head = Head(words[0]);
        let &[_, addr, size, usable, node, ..] = words else { return None };
        Some(Event {
            kind: head.kind().filter(|kind| kind.is_event())?,
            api: head.api(),
            align_log2: head.align_log2(),
            addr,
            size,
            usable,
            node: u32::try_from(node).ok()?,
        })
    }
}

const SHORT_KINDS: [Kind; 4] = [Kind::Alloc, Kind::Free, Kind::ReallocRelease, Kind::ReallocAlloc];

/// Where the order of the process places a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// After what stands before it in its stream.
    Here,
    /// And after the number before its own in this shard.
    Numbered(usize),
    /// As its neighbours, and after so many world records.
    AfterWorld(u64),
}

/// A record as its first words say it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Its words; at least 1, not checked against what there is.
    pub words: u64,
    /// Its place.
    pub place: Place,
    /// Which word holds its number, for those that are numbered.
    pub number_at: usize,
}

/// Whether the record that begins with this word is a short event, as nearly all are.
#[inline(always)]
pub fn is_short(first: u64) -> bool {
    first & SHORT != 0
}

/// The frame of the record that begins with `words[0]`; `None` when no record begins like that or can be so
/// long. `words` goes on to the end of what there is.
#[inline]
pub fn frame(words: &[u64]) -> Option<Frame> {
    let first = *words.first()?;
    if first & SHORT == 0 {
        return frame_long(words, first);
    }
    let numbered = first & NUMBERED != 0;
    let count = 1 + u64::from(first & DETAILED != 0) + u64::from(numbered);
    let shard = order::shard_of(first >> 20 << 3);
    Some(Frame {
        kind: SHORT_KINDS[(first & 3) as usize],
        words: count,
        place: if numbered { Place::Numbered(shard) } else { Place::Here },
        number_at: count as usize - 1,
    })
}

fn frame_long(words: &[u64], first: u64) -> Option<Frame> {
    let head = Head(first);
    let kind = head.kind()?;
    let count = if kind == Kind::Node { NODE_WORDS } else { head.words() };
    let longest_module = MODULE_WORDS + ((MAX_BUILD_ID + MAX_PATH) as u64).div_ceil(8) + 1;
    let plausible = match kind {
        Kind::Pad => count > 0,
        Kind::Node => true,
        Kind::Time => count == TIME_WORDS,
        Kind::Thread => count == THREAD_WORDS,
        Kind::Module => (MODULE_WORDS..=longest_module).contains(&count),
        Kind::ModuleGone => count == MODULE_GONE_WORDS,
        Kind::Fork => count == FORK_WORDS,
        Kind::Overwrite => count == OVERWRITE_WORDS,
        _ => head.flags() < 2 && count == 5 + u64::from(head.flags()),
    };
    let (place, number_at) = match kind {
        Kind::Node => (Place::AfterWorld(first >> 16), 0),
        Kind::Module | Kind::ModuleGone | Kind::Fork => (Place::Numbered(order::WORLD), 2),
        Kind::Map | Kind::Unmap if head.flags() != 0 => (Place::Numbered(order::shard_of(0)), 5),
        event if event.is_event() && head.flags() != 0 => {
            (Place::Numbered(order::shard_of(*words.get(1)?)), 5)
        }
        _ => (Place::Here, 0),
    };
    plausible.then_some(Frame { kind, words: count, place, number_at })
}

/// The first word of a node record.
pub fn node_head(quality: u8, world: u64) -> u64 {
    Kind::Node as u64 | u64::from(quality) << 8 | world << 16
}

/// What an overwrite record says, the same numbers as `heaptape_tape::OverwriteKind`'s.
pub mod overwrite {
    #![allow(missing_docs)]
    pub const AFTER_END: u8 = 0;
    pub const BEFORE_START: u8 = 1;
    pub const AFTER_FREE: u8 = 2;
}

/// When an overwrite was found, the same numbers as `heaptape_tape::Found`'s.
pub mod found {
    #![allow(missing_docs)]
    pub const AT_FREE: u8 = 0;
    pub const AT_REALLOC: u8 = 1;
    pub const AT_INTERVAL: u8 = 2;
    pub const IN_QUARANTINE: u8 = 3;
    pub const AT_EXIT: u8 = 4;
    pub const AT_CRASH: u8 = 5;
}

/// Numbers of the functions, the same as `heaptape_tape::Api`'s (the collector checks that).
pub mod api {
    #![allow(missing_docs)]
    pub const MALLOC: u8 = 0;
    pub const CALLOC: u8 = 1;
    pub const REALLOC: u8 = 2;
    pub const REALLOCARRAY: u8 = 3;
    pub const POSIX_MEMALIGN: u8 = 4;
    pub const ALIGNED_ALLOC: u8 = 5;
    pub const MEMALIGN: u8 = 6;
    pub const VALLOC: u8 = 7;
    pub const PVALLOC: u8 = 8;
    pub const FREE: u8 = 9;
    pub const CFREE: u8 = 10;
    pub const FREE_SIZED: u8 = 11;
    pub const FREE_ALIGNED_SIZED: u8 = 12;
    pub const NEW: u8 = 13;
    pub const NEW_ARRAY: u8 = 14;
    pub const DELETE: u8 = 15;
    pub const DELETE_ARRAY: u8 = 16;
    pub const MMAP: u8 = 17;
    pub const MUNMAP: u8 = 18;
    pub const MREMAP: u8 = 19;
    pub const BRK: u8 = 20;
    pub const SBRK: u8 = 21;
}
