//! The meaning of each allocator call.
//!
//! The hooks call these around the real functions, in the order that makes the history true:
//! [`freeing`] and [`reallocating`] *before* the real call (from then on another thread may get the
//! address), [`allocated`] and [`reallocated`] *after* it (from then on somebody can know it).

use crate::capture::{self, Capture};
use crate::emit;
use crate::gate;
use crate::thread::{self, Entered, Regs, Tag};
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
pub fn begin() {
    let _ = gate::enter();
}

/// After an allocation, successful or not. `usable` tells the bytes that the allocator gave; it is asked only
/// when the call is recorded.
#[inline(always)]
pub fn allocated(mut given: Allocation, regs: Regs, usable: impl FnOnce(usize) -> usize) {
    let Some(mut thread) = enter(regs) else { return };
    if thread.tag.api != 0 {
        given = take_new_tag(&mut thread, given, regs);
    }
    if given.addr == 0 {
        return failed(&mut thread, given, regs);
    }
    given.usable = usable(given.addr);
    record(&mut thread, Kind::Alloc, &given, regs);
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
#[inline(never)]
fn take_new_tag(thread: &mut Entered, mut given: Allocation, regs: Regs) -> Allocation {
    let tag = thread.tag;
    let asked = tag.size == given.size
        || (tag.size == 0 && given.size == 1)
        || (tag.align_log2 != 0 && given.size >= tag.size);
    let is_new = tag.api - 1 == api::NEW || tag.api - 1 == api::NEW_ARRAY;
    let is_plain =
        matches!(given.api, api::MALLOC | api::ALIGNED_ALLOC | api::MEMALIGN | api::POSIX_MEMALIGN);
    let is_retry = tag.failed_at == regs.sp;
    if tag.failed_at != 0 && !is_retry {
        return given;
    }
    thread.tag = Tag::default();
    if asked && is_new && is_plain {
        given.api = tag.api - 1;
        given.size = tag.size;
        given.align_log2 = tag.align_log2;
        if given.addr == 0 {
            thread.tag = Tag { failed_at: regs.sp, ..tag };
        }
    }
    given
}

/// Before a free of the block at `addr` (not 0). `size`: what a sized form stated, else 0.
#[inline(always)]
pub fn freeing(mut function: u8, addr: usize, mut size: usize, mut align_log2: u8, regs: Regs) {
    let Some(mut thread) = enter(regs) else { return };
    let tag = thread.tag;
    if tag.api == api::DELETE + 1 || tag.api == api::DELETE_ARRAY + 1 {
        thread.tag = Tag::default();
        if function == api::FREE {
            (function, size, align_log2) = (tag.api - 1, tag.size, tag.align_log2);
        }
    }
    if thread.freed == addr {
        return;
    }
    let given = Allocation { api: function, addr, size, align_log2, usable: 0 };
    record_release(&mut thread, Kind::Free, &given, regs);
}

/// Records that a block ends; with a backtrace only if those of frees are wanted.
#[inline(always)]
fn record_release(thread: &mut Entered, kind: Kind, given: &Allocation, regs: Regs) {
    let wanted = thread.option(hs::OPT_FREE_BACKTRACES);
    let node = if wanted { backtrace(thread, regs) } else { 0 };
    emit::event(thread, &event(kind, given, node));
}

/// Before a free of NULL, which is nothing: only a pending `operator delete` ends here.
pub fn freeing_null() {
    if let Some(local) = gate::if_open()
        && let Some(mut thread) = thread::enter_if_begun(local, here())
        && thread.tag.failed_at == 0
    {
        thread.tag = Tag::default();
    }
}

/// Before a realloc of the block at `addr` (not 0) to `size` bytes.
#[inline(always)]
pub fn reallocating(function: u8, addr: usize, size: usize, regs: Regs) {
    let Some(mut thread) = enter(regs) else { return };
    let given = Allocation { api: function, addr, size, align_log2: 0, usable: 0 };
    record_release(&mut thread, Kind::ReallocRelease, &given, regs);
}

/// After that realloc of `old`. A NULL for a size of 0 means that it was freed, as [`reallocating`] said.
#[inline(always)]
pub fn reallocated(
    old: usize,
    mut given: Allocation,
    regs: Regs,
    usable: impl FnOnce(usize) -> usize,
) {
    if given.addr == 0 && given.size == 0 {
        return;
    }
    let Some(mut thread) = enter(regs) else { return };
    given.usable = usable(given.addr);
    if given.addr == 0 {
        let lives_on = Allocation { addr: old, ..given };
        record(&mut thread, Kind::ReallocFail, &lives_on, regs);
    } else {
        record(&mut thread, Kind::ReallocAlloc, &given, regs);
    }
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

/// `operator new` or `delete` is about to call `malloc` or `free`: says what for. The outermost form wins:
/// `new[]` calls `new`, sized `delete` calls the plain one.
pub fn tag(function: u8, size: usize, align_log2: u8, regs: Regs) {
    if thread::is_lost() {
        // The call itself is counted when it comes.
        return;
    }
    let Some(mut thread) = enter(regs) else { return };
    if thread.tag.api == 0 || thread.tag.failed_at != 0 {
        thread.tag = Tag { api: function + 1, align_log2, size, failed_at: 0 };
    }
}

/// Takes the tag away if it is still there, because the real `operator new` did not come by our `malloc`:
/// its function and log2 of its alignment.
pub fn untag(regs: Regs) -> Option<(u8, u8)> {
    let mut thread = thread::enter_if_begun(gate::if_open()?, regs.sp)?;
    let tag = thread.tag;
    thread.tag = Tag::default();
    (tag.api != 0).then(|| (tag.api - 1, tag.align_log2))
}

/// Before an `operator delete` of an allocator that may or may not call our `free` for it: records it, and
/// until [`deleted`] a `free` or another form of delete of the same block is the same one.
pub fn deleting(function: u8, addr: usize, size: usize, align_log2: u8, regs: Regs) {
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
