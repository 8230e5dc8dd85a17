//! What the words of a stream mean.
//!
//! A record is a [`Head`] word and a body of 64-bit words; `Head::words` counts all of them.
//!
//! ```text
//! Head   bits  0..8 kind   8..16 api   16..24 align_log2   24..32 flags   32..64 words
//! Event        time_ns, order, addr, size, usable, node                           (7 words)
//! Node         id | parent << 32, ip                                              (3 words)
//! Thread       time_ns, order, tid | level << 32, name (16 bytes)                 (6 words)
//! Module       time_ns, order, start, end, bias, build_id_len | path_len << 32, bytes …
//! ModuleGone   time_ns, order, start                                              (4 words)
//! Fork         time_ns, order, serial                                             (4 words)
//! Pad          (anything)
//! ```
//!
//! * `time_ns` is `CLOCK_MONOTONIC`. `order` is taken from [`crate::layout::ProcessPage::order`];
//!   within a stream it only grows, and over a process no two records share one.
//! * `node` and `id` are local to the stream and at least 1; 0 is the empty backtrace. A node is announced before
//!   its first use and after its parent. An id may be announced again with the same meaning never;
//!   the same (parent, ip) may get a second id.
//! * A module is announced before any event whose backtrace lies in it *in the order of the process*,
//!   not of the stream: a node's module is looked up when the first event that uses it comes.
//! * The bytes of a module are its build id and its path, each from the start of a word.
//! * A `Thread` record says that what follows on this stream is of that thread. `level` > 0: of a
//!   signal handler of that thread that interrupted a hook.

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
            _ => return None,
        })
    }

    /// Whether the record is one of the allocator's and mapping events (7 words).
    pub fn is_event(self) -> bool {
        (self as u8) >= 1 && (self as u8) <= 8
    }
}

/// The first word of a record.
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

    /// Of a node: its quality ([`NODE_EXACT`] …). Of others: 0.
    pub fn flags(self) -> u8 {
        (self.0 >> 24) as u8
    }

    /// Words of the record, this one included; not yet checked against anything.
    pub fn words(self) -> u64 {
        self.0 >> 32
    }
}

/// Words of an event record.
pub const EVENT_WORDS: u64 = 7;
/// Words of a node record.
pub const NODE_WORDS: u64 = 3;
/// Words of a thread record.
pub const THREAD_WORDS: u64 = 6;
/// Words of a module record before its bytes.
pub const MODULE_WORDS: u64 = 7;
/// Words of a module-gone record.
pub const MODULE_GONE_WORDS: u64 = 4;
/// Words of a fork record.
pub const FORK_WORDS: u64 = 4;
/// Longest build id and path in a module record, bytes; longer ones are cut.
pub const MAX_BUILD_ID: usize = 64;
/// Longest path in a module record, bytes.
pub const MAX_PATH: usize = 4096;

/// [`Head::flags`] of a node: found by unwind tables.
pub const NODE_EXACT: u8 = 0;
/// [`Head::flags`] of a node: found by the frame-pointer chain.
pub const NODE_FRAME_POINTER: u8 = 1;
/// [`Head::flags`] of a node: the walk stopped above it.
pub const NODE_TRUNCATED: u8 = 2;

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
