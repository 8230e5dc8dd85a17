//! What lies where in the shared memory.
//!
//! The process memory is one sparse file: a [`ProcessPage`], then [`MAX_STREAMS`] stream areas of
//! [`STREAM_BYTES`]: a page for the [`StreamHeader`], then the ring. The target maps the process page
//! once and stream areas in batches, as threads come. The session memory is one [`SessionPage`].

use crate::handshake;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use core::ops::Range;

/// Bytes of a page on the machines we run on; areas of the shared memory are multiples of it.
pub const PAGE: usize = 4096;
/// 64-bit words of one ring; a power of two. 2 MiB are four milliseconds of a thread that does nothing but allocate and
/// free: so long may the collector be kept from its processor by others without keeping the thread.
pub const RING_WORDS: usize = 1 << 18;
/// Bytes of one stream area.
pub const STREAM_BYTES: usize = PAGE + RING_WORDS * 8;
/// Most streams of one process: threads alive at once, plus one for each signal handler that
/// interrupts a hook. A thread beyond it is not recorded and counted in [`ProcessPage::lost_threads`].
pub const MAX_STREAMS: usize = 8192;
/// Bytes of the process memory (sparse: untouched streams cost nothing).
pub const PROCESS_BYTES: usize = PAGE + MAX_STREAMS * STREAM_BYTES;
/// Stream areas that the target maps at once.
pub const STREAM_BATCH: usize = 4;
/// Backtraces of so many frames and more are cut: they keep their innermost frames and are marked.
pub const MAX_FRAMES: usize = 16_384;
/// Fewest frames that a backtrace keeps when it is cut: shorter ones are always whole.
pub const KEPT_FRAMES: usize = MAX_FRAMES / 2;

/// [`ProcessPage::gate`]: recording.
pub const GATE_OPEN: u32 = 1;
/// [`ProcessPage::gate`]: the recorder is to pass every call through, for good.
pub const GATE_CLOSED: u32 = 2;

const PAGE_SHIFT: u32 = PAGE.trailing_zeros();
/// Bits of a packed range that count its pages.
const RANGE_BITS: u32 = 24;

/// A range of private memory of the recorder as one word: it holds pointers of the target's, and must not be taken
/// for the target's own. `start` is that of a page.
pub const fn private_range(start: usize, bytes: usize) -> u64 {
    let pages = bytes.div_ceil(PAGE) as u64;
    (start as u64 >> PAGE_SHIFT) << RANGE_BITS | pages
}

/// Start and end of such a range.
pub const fn unpack_private_range(word: u64) -> (u64, u64) {
    let start = (word >> RANGE_BITS) << PAGE_SHIFT;
    let pages = word & ((1 << RANGE_BITS) - 1);
    (start, start.wrapping_add(pages << PAGE_SHIFT))
}

/// The offset of stream area `index` in the process memory.
pub const fn stream_offset(index: usize) -> usize {
    PAGE + index * STREAM_BYTES
}

/// First page of the session memory, shared by the collector and all targets.
#[repr(C, align(64))]
pub struct SessionPage {
    /// Set by the collector while it sleeps on `doorbell`; a producer whose ring is half full rings.
    pub sleeping: AtomicU32,
    /// Futex: the collector sleeps on it; producers add one and wake.
    pub doorbell: AtomicU32,
    /// Grows several times a second: a collector whose heart stands still for seconds while a thread waits
    /// for space is taken for dead.
    pub heartbeat: AtomicU64,
    /// The heartbeat at which a process gave up waiting for an answer, plus one; written by targets.
    pub stalled: AtomicU64,
    /// Grows while events come, about once a millisecond: a thread that sees it moved reads the clock. On a
    /// line of its own, which changes rarely; written by the collector, and by a process that forks.
    pub tick: Tick,
}

/// See [`SessionPage::tick`].
#[repr(C, align(64))]
pub struct Tick(pub AtomicU64);

/// First page of a process's memory.
#[repr(C, align(64))]
pub struct ProcessPage {
    /// [`GATE_OPEN`] or [`GATE_CLOSED`]; either side may close, nobody opens again.
    pub gate: AtomicU32,
    /// Streams in use so far; written by the target.
    pub streams: AtomicU32,
    /// Allocator calls that were not recorded; written by the target.
    pub lost_events: AtomicU64,
    /// Threads that got no stream; written by the target.
    pub lost_threads: AtomicU64,
    /// Backtraces that were cut, see [`MAX_FRAMES`]; written by the target.
    pub truncated: AtomicU64,
    /// Nanoseconds that threads waited for ring space; written by the target.
    pub waited_ns: AtomicU64,
    /// Programs that were started without the collector being told, because it could not be reached any
    /// more; written by the target.
    pub untold: AtomicU64,
    /// World numbers given out so far (see [`crate::order`]).
    pub world: AtomicU64,
    /// How far stream 0 had been published when a second stream was first used, plus one; 0 before that.
    /// Set before the second stream publishes anything; see [`crate::order`].
    pub alone_until: AtomicU64,
    /// Backtraces held against a plain walk; written by the target.
    pub checked: AtomicU64,
    /// Those that differed; written by the target.
    pub differing: AtomicU64,
    /// Those of which libgcc, asked too, knew less than all; written by the target.
    pub unchecked: AtomicU64,
    /// What the process asks for before it ends.
    pub plea: Plea,
    /// What guards this process's blocks: a [`crate::handshake`] `WITH_*`, 0 for nothing; written by the target.
    pub guard: AtomicU64,
    /// Blocks that were guarded; written by the target.
    pub guarded: AtomicU64,
    /// Blocks that should have been and were not, for want of room or because they are too large; written by the
    /// target.
    pub unguarded: AtomicU64,
    /// The address space of blocks with guard pages, which is no memory of the program's own.
    pub arena: Span,
    /// What the recorder knows of these blocks: it points to them, and is not the program's.
    pub arena_table: Span,
}

/// Address space that the target tells of; empty before that.
#[repr(C)]
pub struct Span {
    /// Its first byte.
    pub start: AtomicU64,
    /// How many.
    pub bytes: AtomicU64,
}

impl Span {
    /// Tells of it, before anything lies in it.
    pub fn set(&self, start: usize, bytes: usize) {
        self.start.store(start as u64, Ordering::Relaxed);
        self.bytes.store(bytes as u64, Ordering::Relaxed);
    }

    /// Its first byte and the one behind it; asked of a target that stands still.
    pub fn get(&self) -> Range<u64> {
        let start = self.start.load(Ordering::Relaxed);
        start..start.saturating_add(self.bytes.load(Ordering::Relaxed))
    }
}

/// A question of a process that is about to end, and waits for the answer.
///
/// ```text
///  NONE or HEARD ──target──▶ FREEZE ─────────────────────────collector──▶ HEARD
///  NONE or HEARD ──target──▶ IN_THE_MAKING ──target──▶ CRASH ──collector──▶ HEARD
/// ```
#[repr(C)]
pub struct Plea {
    /// Futex, `PLEA_*` or the purpose ([`handshake::FREEZE`], [`handshake::CRASH`]). The target rings the
    /// doorbell when it has asked.
    pub state: AtomicU32,
    /// Of a process that ends by itself: the kernel's id of the thread that asks, as the target sees it.
    pub tid: AtomicU32,
    /// Of a crash: its [`handshake::CrashReport`], word by word.
    pub report: [AtomicU64; CRASH_WORDS],
}

/// [`Plea::state`]: nobody asks.
pub const PLEA_NONE: u32 = 0;
/// [`Plea::state`]: a thread is writing its report.
pub const PLEA_IN_THE_MAKING: u32 = 1;
/// [`Plea::state`]: the collector has done what it wanted to.
pub const PLEA_HEARD: u32 = 2;

/// Words of a [`handshake::CrashReport`].
pub const CRASH_WORDS: usize = size_of::<handshake::CrashReport>() / 8;

/// First page of a stream area.
#[repr(C, align(64))]
pub struct StreamHeader {
    /// Words published so far; written by the producer.
    pub head: AtomicU64,
    /// The kernel thread id of the owner (as the target sees it); 0 = never used. Written by the
    /// target; a new thread may take over the stream of one that is gone.
    pub owner: AtomicU32,
    /// 1 while the producer waits for space.
    pub waiting: AtomicU32,
    /// 1 while a numbered record is being made: set before the number is taken, cleared after the record is
    /// published.
    ///
    /// Lets the collector tell a number that is still to come from one that was lost with its thread.
    pub intent: AtomicU64,
    /// Private memory of the recorder for this stream (see [`private_range`]); 0: none. Written by the target.
    pub private: AtomicU64,
    _pad: [u64; 4],
    /// Words consumed so far; written by the consumer.
    pub tail: AtomicU64,
    /// Futex: the consumer adds one each time it has moved `tail`.
    pub bell: AtomicU32,
    _pad2: u32,
}

impl StreamHeader {
    /// A header of an unused stream, as zeroed memory has it.
    pub fn new() -> StreamHeader {
        StreamHeader {
            head: AtomicU64::new(0),
            owner: AtomicU32::new(0),
            waiting: AtomicU32::new(0),
            intent: AtomicU64::new(0),
            private: AtomicU64::new(0),
            _pad: [0; 4],
            tail: AtomicU64::new(0),
            bell: AtomicU32::new(0),
            _pad2: 0,
        }
    }
}

impl Default for StreamHeader {
    fn default() -> StreamHeader {
        StreamHeader::new()
    }
}

#[cfg(not(loom))]
const _: () = {
    assert!(RING_WORDS.is_power_of_two());
    assert!(size_of::<SessionPage>() <= PAGE);
    assert!(size_of::<ProcessPage>() <= PAGE);
    assert!(core::mem::offset_of!(SessionPage, tick) == 64);
    assert!(size_of::<StreamHeader>() == 128);
    assert!(core::mem::offset_of!(StreamHeader, tail) == 64);
    assert!(STREAM_BYTES.is_multiple_of(PAGE));
};
