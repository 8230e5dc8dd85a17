//! Records into the ring.
//!
//! A record is made in this order: claim space (waiting for the collector if there is none), write, take a
//! number if it needs one, publish. Space comes before the number, so that whoever holds a number never waits
//! for anybody: the collector may wait for the next number without fear of a deadlock. What numbers mean and
//! who needs none: `wire::order`.
//!
//! The clock is not read for each event: a `Time` record says when, whenever the collector's tick has
//! moved, and every `TIME_WORDS_APART` words.

use crate::gate::Local;
use crate::guard::{Overwrite, SEEN_BYTES};
use crate::patience::{Patience, WAIT_NS};
use crate::sampling;
use crate::sys::{call, objects};
use crate::thread::{self, Thread};
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_wire::layout::*;
use heaptape_wire::record::{self, Event, Head, Kind, ShortEvent};

/// Words of a stream after which the clock is read in any case: some 64 events.
const TIME_WORDS_APART: u64 = 128;
/// Words of a stream between two looks at the collector.
const LOOK_WORDS_APART: u64 = RING_WORDS as u64 / 16;

/// Records an event.
#[inline(always)]
pub(crate) fn event(thread: &mut Thread, event: &Event) {
    let tick = thread.session().tick.0.load(Ordering::Relaxed);
    let numbered = !thread.is_alone();
    if tick == thread.tick
        && thread.cursor.position < thread.quiet_until
        && let Some(short) = event.short(numbered)
    {
        let at = thread.ring().claim_promised(&mut thread.cursor, short.words());
        write_short(thread, event, short, at);
    } else {
        event_after_a_look(thread, *event);
    }
}

/// Whether a free may be recorded by [`bare_free`] now.
#[inline(always)]
pub(crate) fn is_bare_free_due(thread: &Thread) -> bool {
    let tick = thread.session().tick.0.load(Ordering::Relaxed);
    tick == thread.tick && thread.cursor.position < thread.bare_frees_until
}

/// Records a free, if it fits a short record; whether it did. [`is_bare_free_due`] has said so.
#[inline(always)]
pub(crate) fn bare_free(thread: &mut Thread, event: &Event) -> bool {
    let Some(short) = event.short(!thread.is_alone()) else { return false };
    let at = thread.ring().claim_promised(&mut thread.cursor, short.words());
    write_short(thread, event, short, at);
    true
}

/// Writes and publishes a short record at `at`.
#[inline(always)]
fn write_short(thread: &Thread, event: &Event, short: ShortEvent, at: u64) {
    let ring = thread.ring();
    ring.write(at, short.first);
    if short.detailed {
        ring.write(at + 1, short.detail);
    }
    publish(thread, event, short.numbered, at + short.words() - 1);
}

/// Records an event when something else may be due before it, or when it does not fit a short record.
#[cold]
#[inline(never)]
fn event_after_a_look(thread: &mut Thread, event: Event) {
    let tick = thread.session().tick.0.load(Ordering::Relaxed);
    if tick != thread.tick || thread.cursor.position >= thread.quiet_until {
        tell_time(thread, tick);
    }
    let numbered = !thread.is_alone();
    let Some(short) = event.short(numbered) else { return long_event(thread, &event, numbered) };
    let Some(at) = claim(thread, short.words()) else { return };
    write_short(thread, &event, short, at);
}

/// Publishes the record of an event, whose last word, at `last`, is for its number if it takes one.
#[inline(always)]
fn publish(thread: &Thread, event: &Event, numbered: bool, last: u64) {
    let ring = thread.ring();
    if numbered {
        ring.publish_numbered(&thread.cursor, last, thread.local().shard(event.shard()));
    } else {
        ring.publish(&thread.cursor);
    }
}

/// Records an event that does not fit a short record.
fn long_event(thread: &mut Thread, event: &Event, numbered: bool) {
    // Any number: the true one comes after the claim.
    let record = event.encode(u64::from(numbered));
    let Some(at) = claim(thread, record.count) else { return };
    let ring = thread.ring();
    for (word, value) in (0..record.count).zip(record.words) {
        ring.write(at + word, value);
    }
    publish(thread, event, numbered, at + record.count - 1);
}

/// Says what time it is, and now and then looks at the collector. Until [`Thread::quiet_until`] no event need look
/// at anything then.
fn tell_time(thread: &mut Thread, tick: u64) {
    thread.tick = tick;
    let now = now_ns();
    let ring = thread.ring();
    if now != thread.told_ns {
        let Some(at) = claim(thread, record::TIME_WORDS) else { return };
        ring.write(at, Head::new(Kind::Time, 0, 0, 0, record::TIME_WORDS).0);
        ring.write(at + 1, now);
        ring.publish(&thread.cursor);
        thread.told_ns = now;
    }
    if thread.cursor.position >= thread.look_at {
        look_around(thread);
    }
    let promised = ring.promised(&thread.cursor, record::MAX_SHORT_WORDS);
    thread.quiet_until = promised.min(thread.cursor.position + TIME_WORDS_APART);
    let is_bare = thread.free_backtraces_left == 0 && !sampling::is_known_on();
    thread.bare_frees_until = if is_bare { thread.quiet_until } else { 0 };
    // Those until then have been fetched the last time.
    ring.fetch_ahead(&thread.cursor, TIME_WORDS_APART, TIME_WORDS_APART);
}

/// Gives a claimed world record its number and publishes it.
fn stamp(thread: &mut Thread, at: u64) {
    let ring = thread.ring();
    ring.write(at + 1, now_ns());
    ring.publish_numbered(&thread.cursor, at + 2, &thread.page().world);
}

/// Announces a backtrace node. It stands before the event that needs it. Published at once: a hook
/// that is never finished must not take announced nodes with it, see `Capture::settle`.
pub(crate) fn node(thread: &mut Thread, id: u32, parent: u32, ip: u64, quality: u8) -> bool {
    let Some(at) = claim(thread, record::NODE_WORDS) else { return false };
    // Acquire: whoever has met the module before us has counted it before it let us know.
    let world = thread.page().world.load(Ordering::Acquire);
    let ring = thread.ring();
    ring.write(at, record::node_head(quality, world));
    ring.write(at + 1, u64::from(id) | u64::from(parent) << 32);
    ring.write(at + 2, ip);
    thread.capture.announcing(id, at + record::NODE_WORDS);
    ring.publish(&thread.cursor);
    true
}

/// Says whose stream this is.
pub(crate) fn thread(thread: &mut Thread) -> bool {
    let Some(at) = claim(thread, record::THREAD_WORDS) else { return false };
    let ring = thread.ring();
    let name = call::thread_name();
    ring.write(at, Head::new(Kind::Thread, 0, 0, 0, record::THREAD_WORDS).0);
    ring.write(at + 1, now_ns());
    ring.write(at + 2, u64::from(thread.tid()) | u64::from(thread.level()) << 32);
    write_bytes(thread, at + 3, &name);
    ring.publish(&thread.cursor);
    true
}

/// A module as [`module`] announces it.
pub(crate) struct ModuleFact<'a> {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) bias: usize,
    pub(crate) build_id: &'a [u8],
    pub(crate) path: &'a [u8],
}

/// Announces a module.
pub(crate) fn module(thread: &mut Thread, fact: &ModuleFact<'_>) -> bool {
    let build_id = &fact.build_id[..fact.build_id.len().min(record::MAX_BUILD_ID)];
    let path = &fact.path[..fact.path.len().min(record::MAX_PATH)];
    let id_words = build_id.len().div_ceil(8) as u64;
    let words = record::MODULE_WORDS + id_words + path.len().div_ceil(8) as u64;
    let Some(at) = claim(thread, words) else { return false };
    let ring = thread.ring();
    ring.write(at, Head::new(Kind::Module, 0, 0, 0, words).0);
    ring.write(at + 3, fact.start as u64);
    ring.write(at + 4, fact.end as u64);
    ring.write(at + 5, fact.bias as u64);
    ring.write(at + 6, build_id.len() as u64 | (path.len() as u64) << 32);
    write_bytes(thread, at + 7, build_id);
    write_bytes(thread, at + 7 + id_words, path);
    stamp(thread, at);
    true
}

/// Says that the module that began at `start` is gone.
pub(crate) fn module_gone(thread: &mut Thread, start: usize) -> bool {
    let Some(at) = claim(thread, record::MODULE_GONE_WORDS) else { return false };
    let ring = thread.ring();
    ring.write(at, Head::new(Kind::ModuleGone, 0, 0, 0, record::MODULE_GONE_WORDS).0);
    ring.write(at + 3, start as u64);
    stamp(thread, at);
    true
}

/// Marks the place of a fork in the history.
pub(crate) fn fork(local: &'static Local, serial: u64) -> bool {
    let here = 0u8;
    let Some(mut thread) = thread::enter(local, (&raw const here) as usize) else { return false };
    let Some(at) = claim(&mut thread, record::FORK_WORDS) else { return false };
    let ring = thread.ring();
    ring.write(at, Head::new(Kind::Fork, 0, 0, 0, record::FORK_WORDS).0);
    ring.write(at + 3, serial);
    stamp(&mut thread, at);
    // What comes after it is to say a later time, on every thread.
    thread.session().tick.0.fetch_add(1, Ordering::Relaxed);
    true
}

/// Tells of an overwrite, of which the first `seen_count` bytes of `seen` are known.
pub(crate) fn overwrite(
    thread: &mut Thread,
    overwrite: &Overwrite,
    seen: &[u8; SEEN_BYTES],
    seen_count: usize,
) {
    let count = record::OVERWRITE_WORDS;
    let Some(at) = claim(thread, count) else { return };
    let (what, when) = (overwrite.kind, overwrite.when);
    let offset = overwrite.span.first.wrapping_sub(overwrite.block);
    let ring = thread.ring();
    ring.write(at, Head::new(Kind::Overwrite, what, when, seen_count as u8, count).0);
    ring.write(at + 1, overwrite.block as u64);
    ring.write(at + 2, overwrite.size as u64);
    ring.write(at + 3, offset as u64);
    ring.write(at + 4, overwrite.span.length() as u64);
    write_bytes(thread, at + 5, seen);
    ring.publish(&thread.cursor);
}

fn write_bytes(thread: &Thread, at: u64, bytes: &[u8]) {
    let ring = thread.ring();
    for (i, chunk) in bytes.chunks(8).enumerate() {
        let mut word = 0u64;
        for (k, &byte) in chunk.iter().enumerate() {
            word |= u64::from(byte) << (8 * k);
        }
        ring.write(at + i as u64, word);
    }
}

/// Claims space, waiting for it if need be; `None` when the gate has closed meanwhile (counted).
#[inline(always)]
fn claim(thread: &mut Thread, words: u64) -> Option<u64> {
    let ring = thread.ring();
    match ring.claim(&mut thread.cursor, words) {
        Ok(at) => Some(at),
        Err(_) => wait(thread, words),
    }
}

/// The ring is full: wakes the collector and waits for it. Nothing is ever dropped here, unless the
/// collector is dead or stopped: then the gate closes and the program runs on.
#[cold]
#[inline(never)]
fn wait(thread: &mut Thread, words: u64) -> Option<u64> {
    let ring = thread.ring();
    // Everything claimed so far is written (records are made one at a time): let it be drained.
    ring.publish(&thread.cursor);
    let began = now_ns();
    let mut patience = Patience::new(thread.session(), began);
    loop {
        let now = now_ns();
        if let Ok(at) = ring.claim(&mut thread.cursor, words) {
            thread.page().waited_ns.fetch_add(now.saturating_sub(began), Ordering::Relaxed);
            return Some(at);
        }
        let silent = patience.is_over(thread.session(), now);
        let local = thread.local();
        if silent {
            local.close();
        }
        if silent || !local.check_remote() {
            thread.page().lost_events.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        ring_doorbell(thread.session());
        if let Some(bell) = ring.prepare_wait(&thread.cursor, words) {
            call::futex_wait(thread.header().bell.as_ptr(), bell, WAIT_NS);
        }
    }
}

/// Now and then: wakes a sleeping collector when half is full, notices a closed gate.
fn look_around(thread: &mut Thread) {
    thread.look_at = thread.cursor.position + LOOK_WORDS_APART;
    let ring = thread.ring();
    if ring.is_half_full(&mut thread.cursor) {
        ring_doorbell(thread.session());
    }
    thread.local().check_remote();
}

/// Wakes the collector if it sleeps.
pub(crate) fn ring_doorbell(session: &SessionPage) {
    // SeqCst against the collector's store of `sleeping` and its load of `doorbell` before it sleeps.
    if session.sleeping.swap(0, Ordering::SeqCst) != 0 {
        session.doorbell.fetch_add(1, Ordering::SeqCst);
        call::futex_wake(session.doorbell.as_ptr());
    }
}

/// libc's `clock_gettime` (it reads the clock without a system call); 0 until looked up, 1 for "none".
static CLOCK: AtomicUsize = AtomicUsize::new(0);

/// `CLOCK_MONOTONIC`, ns.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    let function = match CLOCK.load(Ordering::Relaxed) {
        0 => find_clock(),
        found => found,
    };
    if function == 1 {
        return call::monotonic_ns();
    }
    let mut time = [0i64; 2];
    // SAFETY: libc's own clock_gettime, not one that the program put in front of it; leaves errno alone
    // because it cannot fail for this clock.
    unsafe {
        core::mem::transmute::<usize, extern "C" fn(i32, *mut [i64; 2]) -> i32>(function)(
            1, &mut time,
        )
    };
    time[0] as u64 * 1_000_000_000 + time[1] as u64
}

#[cold]
fn find_clock() -> usize {
    let found = objects::definition_in_file(b"libc.so.6", c"clock_gettime").unwrap_or(1);
    CLOCK.store(found, Ordering::Relaxed);
    found
}
