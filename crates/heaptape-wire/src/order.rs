//! How the events of threads come into one history.
//!
//! A stream is in the order of its thread. Between streams, *numbers* decide, but only where the order can
//! matter:
//!
//! * **One thread**: no numbers. As long as only one stream was ever in use, and libc says that the process
//!   has one thread, its stream is the history. [`crate::layout::ProcessPage::alone_until`] says how far that
//!   goes: whatever another stream holds comes after those words of stream 0.
//! * **Several**: every event takes the next number of the *shard* of its address ([`shard_of`]), a free before
//!   the real free, an allocation after the real allocation. The real free of an address happens-before the real
//!   malloc that hands it out again, so the increment of the one happens-before that of the other; both are of one
//!   atomic, whose modification order respects happens-before. So in order of numbers each address sees its
//!   free after its allocation and its next allocation after that. Events of different shards are not
//!   ordered by numbers: their streams' times order them, to a tick.
//! * **World records** (modules that come and go, forks) take numbers of a shard of their own, [`WORLD`]; a node
//!   names the number that its modules were last changed by.
//!
//! Numbers of a shard are dense from 1. Within a stream those of one shard grow.

/// Shards of addresses; a power of two.
pub const SHARDS: usize = 1024;
/// The shard of world records.
pub const WORLD: usize = SHARDS;

/// The shard of an address: of 64 KiB of address space, so that what one thread allocates mostly lies in
/// shards of its own, and arenas at equal distances do not meet in the same ones.
#[inline(always)]
pub fn shard_of(addr: u64) -> usize {
    // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, section 6.4).
    ((addr >> 16).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SHARDS.trailing_zeros())) as usize
}
