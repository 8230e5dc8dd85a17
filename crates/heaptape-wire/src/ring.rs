//! One single-producer single-consumer ring of 64-bit words in shared memory.
//!
//! ```text
//!      tail (consumer)          head (producer)    position (producer's own)
//!        │ published, not drained │ claimed, being written │ free …
//! ```
//!
//! Semantics, in order of importance:
//! * a record is a contiguous run of words whose first says how long it is ([`crate::record::Head`]);
//!   where a record does not fit before the end of the ring, a `Pad` record fills the rest;
//! * the producer *claims* space, writes, then *publishes*; the consumer sees whole records only;
//! * nothing is dropped: a claim that does not fit says [`Full`], and the producer waits;
//! * the consumer assumes that the producer may scribble: it bounds the published span, copies it out,
//!   and only then looks at it.
//!
//! Words are relaxed atomics: on the machines we run on plain loads and stores, and no undefined
//! behaviour when a hostile peer writes at the same time.

use crate::layout::StreamHeader;
use crate::record;
use crate::sync::{AtomicU64, Ordering};

/// A ring: its header and its words, as mapped by either side.
#[derive(Clone, Copy)]
pub struct Ring<'a> {
    header: &'a StreamHeader,
    words: &'a [AtomicU64],
}

/// Words of a line of the processors' caches.
const LINE_WORDS: usize = 8;

/// No room: the consumer has to drain first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The published span is not one a producer can have made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

/// The producer's private cursor. All zero is a fresh one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// Words claimed so far.
    pub position: u64,
    /// A tail that was once read: space up to `seen_tail + capacity` is free for sure.
    seen_tail: u64,
}

impl Cursor {
    /// A cursor that goes on where the stream's last owner stopped.
    pub fn resume(ring: Ring<'_>) -> Cursor {
        // Acquire pairs with nothing: the last owner is gone; its own publications are what we read.
        Cursor {
            position: ring.header.head.load(Ordering::Acquire),
            seen_tail: ring.header.tail.load(Ordering::Acquire),
        }
    }
}

impl<'a> Ring<'a> {
    /// A ring over `words`, whose number is a power of two.
    pub fn new(header: &'a StreamHeader, words: &'a [AtomicU64]) -> Ring<'a> {
        debug_assert!(words.len().is_power_of_two());
        Ring { header, words }
    }

    /// The header.
    pub fn header(&self) -> &'a StreamHeader {
        self.header
    }

    fn slot(&self, position: u64) -> &'a AtomicU64 {
        &self.words[position as usize & (self.words.len() - 1)]
    }

    /// Words that can be claimed at most in one record, whatever the state of the ring.
    pub fn largest_record(&self) -> u64 {
        // Half: a pad of just under a half and the record itself always fit an empty ring.
        self.words.len() as u64 / 2
    }

    /// Claims `count` contiguous words and returns the position of the first.
    ///
    /// The producer alone calls this. A pad before the record is written, not yet published.
    #[inline(always)]
    pub fn claim(&self, cursor: &mut Cursor, count: u64) -> Result<u64, Full> {
        debug_assert!(count > 0 && count <= self.largest_record());
        let capacity = self.words.len() as u64;
        let until_end = capacity - (cursor.position & (capacity - 1));
        let pad = if count > until_end { until_end } else { 0 };
        let end = cursor.position.wrapping_add(pad + count);
        // Wrapping: a tail that makes no sense reads as a full ring, never as a panic in the target.
        if end.wrapping_sub(cursor.seen_tail) > capacity {
            // Acquire pairs with the release store of `tail` in `drain`: the consumer's reads of the
            // words we are about to overwrite are done.
            cursor.seen_tail = self.header.tail.load(Ordering::Acquire);
            if end.wrapping_sub(cursor.seen_tail) > capacity {
                return Err(Full);
            }
        }
        if pad > 0 {
            self.write(cursor.position, record::Head::pad(pad).0);
        }
        let start = cursor.position.wrapping_add(pad);
        cursor.position = end;
        Ok(start)
    }

    /// The position up to which [`Ring::claim_promised`] may be called for records of at most `most` words: as
    /// far as is known, there is room for them, in one piece.
    pub fn promised(&self, cursor: &Cursor, most: u64) -> u64 {
        let capacity = self.words.len() as u64;
        let until_end = capacity - (cursor.position & (capacity - 1));
        // Saturating: a tail that makes no sense reads as a full ring, as in `claim`.
        let room = capacity.saturating_sub(cursor.position.wrapping_sub(cursor.seen_tail));
        cursor.position.wrapping_add((room.min(until_end) + 1).saturating_sub(most))
    }

    /// Claims words at a position before [`Ring::promised`], with nothing to look at.
    #[inline(always)]
    pub fn claim_promised(&self, cursor: &mut Cursor, count: u64) -> u64 {
        let start = cursor.position;
        cursor.position = start.wrapping_add(count);
        start
    }

    /// Fetches `count` words from the one `ahead` words on from the cursor, which will be written soon. The consumer
    /// has read them a lap ago, so that they lie in the other processor's cache; a store that finds them there waits
    /// long.
    pub fn fetch_ahead(&self, cursor: &Cursor, ahead: u64, count: u64) {
        let first = cursor.position.wrapping_add(ahead);
        for word in (0..count).step_by(LINE_WORDS) {
            let line: *const AtomicU64 = self.slot(first.wrapping_add(word));
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            // SAFETY: a hint that has no effect on memory; the processors that lack it take it for nothing.
            unsafe {
                core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
            }
            #[cfg(not(all(target_arch = "x86_64", not(miri))))]
            let _ = line;
        }
    }

    /// Writes one word of a claimed record.
    #[inline(always)]
    pub fn write(&self, position: u64, word: u64) {
        // Relaxed: `publish` orders it.
        self.slot(position).store(word, Ordering::Relaxed);
    }

    /// Makes everything claimed so far visible to the consumer.
    #[inline(always)]
    pub fn publish(&self, cursor: &Cursor) {
        // Release pairs with the acquire load of `head` in `drain`.
        self.header.head.store(cursor.position, Ordering::Release);
    }

    /// Takes the next number of a shard for the record whose word for it is at `at`, and publishes everything
    /// claimed so far. Space was claimed before: whoever holds a number waits for nobody.
    #[inline(always)]
    pub fn publish_numbered(&self, cursor: &Cursor, at: u64, shard: &AtomicU64) -> u64 {
        // Relaxed: the increment after it releases it, to whoever takes a later number and to the consumer
        // that sees that one published.
        self.header.intent.store(1, Ordering::Relaxed);
        // AcqRel: see `crate::order`. On x86 it is a locked add in any case.
        let number = shard.fetch_add(1, Ordering::AcqRel) + 1;
        self.write(at, number);
        self.publish(cursor);
        // Release: the consumer that sees 0 sees the record published.
        self.header.intent.store(0, Ordering::Release);
        number
    }

    /// Whether more than half of the ring waits to be drained; reads the shared tail.
    pub fn is_half_full(&self, cursor: &mut Cursor) -> bool {
        // Acquire as in `claim`, whose knowledge of the tail it refreshes.
        cursor.seen_tail = self.header.tail.load(Ordering::Acquire);
        cursor.position.wrapping_sub(cursor.seen_tail) > self.words.len() as u64 / 2
    }

    /// Published words that the consumer has not drained yet (0 for a corrupt span).
    pub fn pending(&self) -> u64 {
        let head = self.header.head.load(Ordering::Acquire);
        let pending = head.wrapping_sub(self.header.tail.load(Ordering::Relaxed));
        if pending > self.words.len() as u64 { 0 } else { pending }
    }

    /// The consumer's step: appends all published words to `to`, frees their space, and returns whether the
    /// producer waits and must be woken through [`StreamHeader::bell`].
    pub fn drain(&self, to: &mut impl Extend<u64>) -> Result<bool, Corrupt> {
        let tail = self.header.tail.load(Ordering::Relaxed);
        // Acquire pairs with the release store of `head` in `publish`.
        let head = self.header.head.load(Ordering::Acquire);
        let count = head.wrapping_sub(tail);
        if count > self.words.len() as u64 {
            return Err(Corrupt);
        }
        if count == 0 {
            return Ok(false);
        }
        let start = tail as usize & (self.words.len() - 1);
        let (after, before) = (&self.words[start..], &self.words[..start]);
        let until_end = after.len().min(count as usize);
        for run in [&after[..until_end], &before[..count as usize - until_end]] {
            to.extend(run.iter().map(|word| word.load(Ordering::Relaxed)));
        }
        // Release pairs with the acquire loads of `tail` in `claim` and `is_half_full`.
        self.header.tail.store(head, Ordering::Release);
        // Both SeqCst, against `prepare_wait`: either the producer's futex call sees the new bell, or
        // we see that it waits.
        self.header.bell.fetch_add(1, Ordering::SeqCst);
        Ok(self.header.waiting.swap(0, Ordering::SeqCst) != 0)
    }

    /// The producer's step before it sleeps: announces that it waits and returns the bell value to
    /// sleep on, or `None` when there is room for `count` words after all.
    pub fn prepare_wait(&self, cursor: &Cursor, count: u64) -> Option<u32> {
        let bell = self.header.bell.load(Ordering::SeqCst);
        // SeqCst against `drain`, see there.
        self.header.waiting.store(1, Ordering::SeqCst);
        let mut probe = *cursor;
        let capacity = self.words.len() as u64;
        probe.seen_tail = self.header.tail.load(Ordering::SeqCst);
        let until_end = capacity - (probe.position & (capacity - 1));
        let pad = if count > until_end { until_end } else { 0 };
        let end = probe.position.wrapping_add(pad + count);
        let fits = end.wrapping_sub(probe.seen_tail) <= capacity;
        if fits { None } else { Some(bell) }
    }
}
