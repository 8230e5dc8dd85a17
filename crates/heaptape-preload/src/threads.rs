//! Where threads begin: with an alternate signal stack of ours, if crashes are recorded (`recorder/altstack.rs`).
//!
//! Nothing else changes for them. `pthread_create` is left by a jump to the real one, and `first` by a jump to the
//! program's routine: neither is ever in a backtrace, and both see the arguments and the stack that they would have.

use crate::real::Real;
use core::arch::naked_asm;
use heaptape_recorder::{altstack, crash};

static PTHREAD_CREATE: Real = Real::new(c"pthread_create");

const EAGAIN: i32 = 11;

/// POSIX's pthread_create.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn pthread_create(
    _thread: usize,
    _attributes: usize,
    _routine: usize,
    _argument: usize,
) -> i32 {
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "push rsi",
        ".cfi_adjust_cfa_offset 8",
        "push rcx",
        ".cfi_adjust_cfa_offset 8",
        "push rdx",
        ".cfi_adjust_cfa_offset 8",
        "mov rdi, rsp",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "call {prepare}",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "pop rdx",
        ".cfi_adjust_cfa_offset -8",
        "pop rcx",
        ".cfi_adjust_cfa_offset -8",
        "pop rsi",
        ".cfi_adjust_cfa_offset -8",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "jmp rax",
        ".cfi_endproc",
        prepare = sym prepare,
    )
}

/// Puts [`first`] ahead of the routine with this argument; returns the real function.
unsafe extern "C" fn prepare(start: *mut [usize; 2]) -> usize {
    if crash::is_watching() {
        // SAFETY: both words, on the stack of the stub.
        let [routine, argument] = unsafe { *start };
        if let Some(ours) = altstack::prepare(routine, argument, first as *const () as usize) {
            // SAFETY: as above.
            unsafe { *start = ours };
        }
    }
    PTHREAD_CREATE.address().unwrap_or(fails as *const () as usize)
}

extern "C" fn fails() -> i32 {
    EAGAIN
}

/// The first routine of a thread.
#[unsafe(naked)]
unsafe extern "C" fn first(_parcel: usize) -> usize {
    naked_asm!(
        ".cfi_startproc",
        "sub rsp, 8",
        ".cfi_adjust_cfa_offset 8",
        "lea rsi, [rip + {first}]",
        "call {begin}",
        "add rsp, 8",
        ".cfi_adjust_cfa_offset -8",
        "mov rdi, rdx",
        "jmp rax",
        ".cfi_endproc",
        first = sym first,
        begin = sym altstack::begin,
    )
}
