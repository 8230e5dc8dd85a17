//! What `operator new` and `delete` say about the `malloc` or `free` that they are about to call.
//!
//! Words of the calling thread, not of its stream: the operators' stubs write them without entering the recorder. The
//! outermost form wins: `new[]` calls `new`, sized `delete` the plain one. A signal handler that comes between the
//! operator and its `malloc`, and allocates itself, may take the tag: then one of two events says `malloc` for `new`.

use crate::sampling;
use crate::sys::tls::{self, FAILED_AT, HELD, TAG, TAG_BLOCK, TAG_CALLER, TAG_SIZE, TAG_SP};
use crate::thread::Regs;

/// In a tag: the `malloc` of this `operator new` failed. It may come again with the same stack pointer, after a
/// new-handler that allocates and frees as it likes.
pub const FAILED: usize = 1 << 16;

/// A tag.
#[derive(Clone, Copy)]
pub(crate) struct Tag {
    /// `Api` number.
    pub(crate) api: u8,
    pub(crate) align_log2: u8,
    /// Bytes asked for (new) or stated (sized delete).
    pub(crate) size: usize,
    /// The block of a delete; 0 for new.
    pub(crate) block: usize,
    /// The operator's stack pointer and return address: who calls from there or from deeper may be the operator.
    pub(crate) sp: usize,
    pub(crate) caller: usize,
    /// Not 0: called with this stack pointer, `malloc` failed ([`FAILED`]).
    pub(crate) failed_at: usize,
}

impl Tag {
    /// Whether a hook that was entered with these registers can have been called by the operator: by a call, or
    /// by a jump as its last act. If not, the operator has returned and did without.
    #[inline(always)]
    pub(crate) fn may_call(&self, regs: Regs) -> bool {
        regs.sp < self.sp || (regs.sp == self.sp && regs.caller() == self.caller)
    }
}

/// The word of a tag that has not failed; 0 is none.
pub const fn word(api: u8, align_log2: u8) -> usize {
    (api as usize + 1) | (align_log2 as usize) << 8
}

/// Whether there is a tag.
#[inline(always)]
pub(crate) fn is_set() -> bool {
    tls::get::<TAG>() != 0
}

/// The tag, which stays.
#[inline(always)]
pub(crate) fn get() -> Option<Tag> {
    let words = tls::words();
    let word = words.get::<TAG>();
    (word != 0).then(|| Tag {
        api: (word as u8).wrapping_sub(1),
        align_log2: (word >> 8) as u8,
        size: words.get::<TAG_SIZE>(),
        block: words.get::<TAG_BLOCK>(),
        sp: words.get::<TAG_SP>(),
        caller: words.get::<TAG_CALLER>(),
        failed_at: if word & FAILED == 0 { 0 } else { words.get::<FAILED_AT>() },
    })
}

/// Whether there is the tag of an operator that may have called the one with these registers, and has had no
/// `malloc` that failed.
pub(crate) fn is_by_caller_of(regs: Regs) -> bool {
    get().is_some_and(|tag| tag.failed_at == 0 && tag.may_call(regs))
}

/// Sets a tag.
pub(crate) fn set(tag: Tag) {
    tls::set::<TAG_SIZE>(tag.size);
    tls::set::<TAG_BLOCK>(tag.block);
    tls::set::<TAG_SP>(tag.sp);
    tls::set::<TAG_CALLER>(tag.caller);
    tls::set::<FAILED_AT>(tag.failed_at);
    let failed = if tag.failed_at == 0 { 0 } else { FAILED };
    tls::set::<TAG>(word(tag.api, tag.align_log2) | failed);
}

/// Holds the sampling's countdown until [`let_go`], so that the tagged `malloc` comes by the recorder.
pub(crate) fn hold_countdown() {
    tls::set::<HELD>(sampling::hold());
}

/// Gives back what [`hold_countdown`] held, if anything.
pub(crate) fn let_go() {
    let held = tls::get::<HELD>();
    if held != 0 {
        give_back(held);
    }
}

#[cold]
fn give_back(held: usize) {
    tls::set::<HELD>(0);
    sampling::give_back(held);
}

/// Takes the tag away.
pub(crate) fn forget() {
    let_go();
    tls::set::<TAG>(0);
}

/// Takes the tag away, but not that of an `operator new` whose `malloc` failed.
pub(crate) fn forget_unless_failed() {
    if tls::get::<TAG>() & FAILED == 0 {
        forget();
    }
}
