//! The meaning of each allocator call.
//!
//! The hooks call these around the real functions, in the order that makes the history true:
//! [`freeing`] and [`reallocating`] *before* the real call (from then on another thread may get the
//! address), [`allocated`] and [`reallocated`] *after* it (from then on somebody can know it).
//!
//! Where only some allocations are recorded, these are the places that ask [`sampling`]: an allocation is
//! passed over, or chosen and its address kept; a block ends on the record when its address was kept.

use crate::capture::{self, Capture};
use crate::emit;
use crate::gate;
use crate::sampling;
use crate::sampling::blocks::SAMPLED;
use crate::tag::{self, Tag};
use crate::thread::{self, Entered, Regs};
use core::sync::atomic::Ordering;
use heaptape_wire::handshake as hs;
use heaptape_wire::record::{Event, Kind, api};

/// What an allocation gave.
#[derive(Clone, Copy)]
pub struct Allocation {
    /// Function called (`heaptape_wire::record::api`).
    pub api: u8,
    /// The block; 0 when the call failed.
    pub addr: usize,
    /// Bytes asked for.
    pub size: usize,
    /// log2 of the alignment asked for; 0 when none was.
    pub align_log2: u8,
    /// Bytes the allocator gave; 0 when not known (filled in by [`allocated`] and [`reallocated`]).
    pub usable: usize,
}

#[inline(always)]
fn enter(regs: Regs) -> Option<Entered> {
    thread::enter(gate::enter()?, regs.sp)
}

#[inline(always)]
fn backtrace(thread: &mut Entered, regs: Regs) -> u32 {
    if thread.option(hs::OPT_NO_BACKTRACES) { 0 } else { Capture::backtrace(thread, regs) }
}

/// Begins to record this process, if it is to be.
pub fn begin_process() {
    let _ = gate::enter();
}

/// Before an allocation of `size` bytes: whether it is passed over by the sampling, so that the real call is all
/// there is to do. If not, [`allocated`] comes after it.
#[inline(always)]
pub fn passes_over(size: usize) -> bool {
    sampling::passes_over(size)
}

/// Before a free of the block at `addr` (or of 0): whether its allocation was certainly passed over, so that the
/// real call is all there is to do. If not, [`freeing`] comes next.
#[inline(always)]
pub fn passes_over_free(addr: usize) -> bool {
    sampling::is_known_on() && SAMPLED.is_far_from(addr as u64)
}

/// After an allocation, successful or not, that was not passed over. `usable` tells the bytes that the allocator
/// gave; it is asked only when the call is recorded.
#[inline(always)]
pub fn allocated(given: Allocation, regs: Regs, usable: impl FnOnce(usize) -> usize) {
    begin(Kind::Alloc, given, regs, usable);
}

/// A block begins, if the sampling chooses it.
#[inline(always)]
fn begin(kind: Kind, mut given: Allocation, regs: Regs, usable: impl FnOnce(usize) -> usize) {
    let sampled = sampling::is_on();
    if sampled && sampling::is_first_passed_over(given.size) {
        return;
    }
    let Some(mut thread) = enter(regs) else { return tag::forget() };
    if tag::is_set() {
        tag::let_go();
        if kind == Kind::Alloc {
            given = take_new_tag(given, regs);
        }
    }
    if sampled && !is_chosen(&mut thread, &given) {
        return;
    }
    if given.addr == 0 {
        return failed(&mut thread, given, regs);
    }
    given.usable = usable(given.addr);
    record(&mut thread, kind, &given, regs);
}

/// Whether the sampling chooses an allocation. If so, the free of its block will be recorded.
#[cold]
#[inline(never)]
fn is_chosen(thread: &mut Entered, given: &Allocation) -> bool {
    if !sampling::choose(given.size) {
        return false;
    }
    let kept = given.addr == 0 || SAMPLED.insert(given.addr as u64);
    if !kept {
        // More sampled blocks are live than we can tell from others.
        thread.page().lost_events.fetch_add(1, Ordering::Relaxed);
    }
    kept
}

#[cold]
#[inline(never)]
fn failed(thread: &mut Entered, given: Allocation, regs: Regs) {
    record(thread, Kind::AllocFail, &given, regs);
}

#[inline(always)]
fn record(thread: &mut Entered, kind: Kind, given: &Allocation, regs: Regs) {
    let node = backtrace(thread, regs);
    emit::event(thread, &event(kind, given, node));
}

#[inline(always)]
fn event(kind: Kind, given: &Allocation, node: u32) -> Event {
    Event {
        kind,
        api: given.api,
        align_log2: given.align_log2,
        addr: given.addr as u64,
        size: given.size as u64,
        usable: given.usable as u64,
        node,
    }
}

/// `operator new` said before that this allocation is its own: it counts as that, with the size asked of
/// it. A failed one keeps the tag, because a new-handler may let `operator new` try again.
#[inline(always)]
fn take_new_tag(mut given: Allocation, regs: Regs) -> Allocation {
    let Some(tag) = tag::get() else { return given };
    let asked = tag.size == given.size
        || (tag.size == 0 && given.size == 1)
        || (tag.align_log2 != 0 && given.size >= tag.size);
    let is_new = tag.api == api::NEW || tag.api == api::NEW_ARRAY;
    let is_plain =
        matches!(given.api, api::MALLOC | api::ALIGNED_ALLOC | api::MEMALIGN | api::POSIX_MEMALIGN);
    let is_retry = tag.failed_at == regs.sp;
    if tag.failed_at != 0 && !is_retry && tag.may_call(regs) {
        return given;
    }
    if asked && is_new && is_plain && tag.may_call(regs) {
        given.api = tag.api;
        given.size = tag.size;
        given.align_log2 = tag.align_log2;
        if given.addr == 0 {
            tag::set(Tag { failed_at: regs.sp, ..tag });
            return given;
        }
    }
    tag::forget();
    given
}

/// Before a free of the block at `addr` (not 0). `size`: what a sized form stated, else 0.
#[inline(always)]
pub fn freeing(mut function: u8, addr: usize, mut size: usize, mut align_log2: u8, regs: Regs) {
    if sampling::is_on() && !SAMPLED.remove(addr as u64) {
        return;
    }
    let Some(mut thread) = enter(regs) else { return tag::forget() };
    // Of another block, it is one that an operator frees beside its own, or that had nothing freed.
    if let Some(tag) = tag::get()
        && tag.block == addr
        && tag.may_call(regs)
    {
        tag::forget();
        if function == api::FREE {
            (function, size, align_log2) = (tag.api, tag.size, tag.align_log2);
        }
    }
    if thread.freed == addr {
        return;
    }
    let given = Allocation { api: function, addr, size, align_log2, usable: 0 };
    record_release(&mut thread, Kind::Free, &given, regs);
}

/// Records a free of the block at `addr` (not 0) if that is a single short record, as it nearly always is once the
/// thread's count of backtraces of frees is used up. Whether it was; if not, [`freeing`] comes next.
///
/// So little is done here that a hook need save no register, and can leave by a jump.
#[inline(always)]
pub fn frees_barely(function: u8, addr: usize, size: usize, regs: Regs) -> bool {
    if tag::is_set() || gate::if_open().is_none() {
        return false;
    }
    let Some(mut thread) = thread::enter_if_idle(regs.sp) else { return false };
    let given = Allocation { api: function, addr, size, align_log2: 0, usable: 0 };
    emit::is_bare_free_due(&thread)
        && thread.freed != addr
        && emit::bare_free(&mut thread, &event(Kind::Free, &given, 0))
}

/// Records that a block ends; with a backtrace while the thread's count of those lasts.
#[inline(always)]
fn record_release(thread: &mut Entered, kind: Kind, given: &Allocation, regs: Regs) {
    let left = thread.free_backtraces_left;
    let node = if left > 0 {
        thread.free_backtraces_left = left - 1;
        backtrace(thread, regs)
    } else {
        0
    };
    emit::event(thread, &event(kind, given, node));
}

/// Before a free of NULL, which is nothing: only a pending `operator delete` ends here.
#[inline(always)]
pub fn freeing_null() {
    if tag::is_set() {
        tag::forget_unless_failed();
    }
}

/// Before a realloc of the block at `addr` (not 0) to `size` bytes. Whether the block is one of those that are
/// recorded, for [`reallocated`].
#[inline(always)]
pub fn reallocating(function: u8, addr: usize, size: usize, regs: Regs) -> bool {
    if sampling::is_on() && !SAMPLED.remove(addr as u64) {
        return false;
    }
    if let Some(mut thread) = enter(regs) {
        let given = Allocation { api: function, addr, size, align_log2: 0, usable: 0 };
        record_release(&mut thread, Kind::ReallocRelease, &given, regs);
    }
    true
}

/// After that realloc of `old`. A NULL for a size of 0 means that it was freed, as [`reallocating`] said.
///
/// Of a block that is not recorded, nothing is known here but what came of it: a new block like any other, or an
/// allocation that failed.
#[inline(always)]
pub fn reallocated(
    old: usize,
    was_recorded: bool,
    given: Allocation,
    regs: Regs,
    usable: impl FnOnce(usize) -> usize,
) {
    if given.addr == 0 && given.size == 0 {
        return;
    }
    if !was_recorded {
        begin(Kind::Alloc, given, regs, usable);
    } else if given.addr == 0 {
        realloc_failed(old, given, regs);
    } else {
        begin(Kind::ReallocAlloc, given, regs, usable);
    }
}

#[cold]
#[inline(never)]
fn realloc_failed(old: usize, given: Allocation, regs: Regs) {
    let Some(mut thread) = enter(regs) else { return };
    if sampling::is_on() && !SAMPLED.insert(old as u64) {
        // The block lives on, and its end will not be seen.
        thread.page().lost_events.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let lives_on = Allocation { addr: old, ..given };
    record(&mut thread, Kind::ReallocFail, &lives_on, regs);
}

/// After a mapping of `size` bytes at `addr` appeared, if mappings are wanted.
pub fn mapped(function: u8, addr: usize, size: usize, regs: Regs) {
    mapping(Kind::Map, function, addr, size, regs);
}

/// Before a mapping goes; recorded if mappings are wanted.
pub fn unmapping(function: u8, addr: usize, size: usize, regs: Regs) {
    capture::about_to_unmap();
    mapping(Kind::Unmap, function, addr, size, regs);
}

fn mapping(kind: Kind, function: u8, addr: usize, size: usize, regs: Regs) {
    // Never the first call of a process: a mapping is no reason to begin.
    let Some(local) = gate::if_open() else { return };
    if !local.option(hs::OPT_MMAP) {
        return;
    }
    let Some(mut thread) = thread::enter(local, regs.sp) else { return };
    let given = Allocation { api: function, addr, size, align_log2: 0, usable: 0 };
    record(&mut thread, kind, &given, regs);
}

/// `operator new` is about to call `malloc`: says what for. The outermost form wins: `new[]` calls `new`.
/// `certain`: [`untag`] will be called, whether `malloc` was or not.
///
/// Where the sampling will pass the `malloc` over, nothing need be said; where it may not, `malloc` is made to
/// come by here.
pub fn tag_new(function: u8, size: usize, align_log2: u8, certain: bool, regs: Regs) {
    let sampled = sampling::is_on();
    let most = size.saturating_add(1usize.checked_shl(align_log2.into()).unwrap_or(0));
    if sampled && !certain && !sampling::is_near(most) {
        return;
    }
    if tag::is_by_caller_of(regs) {
        return;
    }
    tag::forget();
    if sampled {
        tag::hold_countdown();
    }
    let (sp, caller) = (regs.sp, regs.caller());
    tag::set(Tag { api: function, align_log2, size, block: 0, sp, caller, failed_at: 0 });
}

/// `operator delete` is about to call `free` for `block`: says what for. Sized `delete` calls the plain one.
pub fn tag_delete(function: u8, block: usize, size: usize, align_log2: u8, regs: Regs) {
    if sampling::is_on() && !SAMPLED.contains(block as u64) || tag::is_by_caller_of(regs) {
        return;
    }
    tag::forget();
    let (sp, caller) = (regs.sp, regs.caller());
    tag::set(Tag { api: function, align_log2, size, block, sp, caller, failed_at: 0 });
}

/// Takes the tag away if it is still there, because the real `operator new` did not come by our `malloc`:
/// its function and log2 of its alignment.
pub fn untag() -> Option<(u8, u8)> {
    gate::if_open()?;
    let tag = tag::get()?;
    tag::forget();
    Some((tag.api, tag.align_log2))
}

/// Before an `operator delete` of an allocator that may or may not call our `free` for it: records it, and
/// until [`deleted`] a `free` or another form of delete of the same block is the same one.
pub fn deleting(function: u8, addr: usize, size: usize, align_log2: u8, regs: Regs) {
    if sampling::is_on() && !SAMPLED.remove(addr as u64) {
        return;
    }
    let Some(mut thread) = enter(regs) else { return };
    if thread.freed == addr {
        return;
    }
    thread.freed = addr;
    let given = Allocation { api: function, addr, size, align_log2, usable: 0 };
    record_release(&mut thread, Kind::Free, &given, regs);
}

/// After that delete.
pub fn deleted() {
    if let Some(local) = gate::if_open()
        && let Some(mut thread) = thread::enter_if_begun(local, here())
    {
        thread.freed = 0;
    }
}

/// Roughly the current stack pointer.
#[inline(never)]
fn here() -> usize {
    let marker = 0u8;
    (&raw const marker) as usize
}
