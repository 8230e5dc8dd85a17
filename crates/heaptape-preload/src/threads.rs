//! Where threads begin: with an alternate signal stack of ours, if crashes are recorded (`recorder/altstack.rs`).
//!
//! Nothing else changes for them. `pthread_create` and C11's `thrd_create`, which libc makes without it, are left by a
//! jump to the real one, and `first` by a jump to the program's routine: none is ever in a backtrace, and all see the
//! arguments and the stack that they would have.

use crate::real::Real;
use core::arch::naked_asm;
use heaptape_recorder::{altstack, crash};

static PTHREAD_CREATE: Real = Real::new(c"pthread_create");
static THRD_CREATE: Real = Real::new(c"thrd_create");

const EAGAIN: i32 = 11;
const THRD_ERROR: i32 = 2;

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

/// C11's thrd_create.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
#[unsafe(naked)]
pub unsafe extern "C" fn thrd_create(_thread: usize, _routine: usize, _argument: usize) -> i32 {
    naked_asm!(
        ".cfi_startproc",
        "push rdi",
        ".cfi_adjust_cfa_offset 8",
        "push rdx",
        ".cfi_adjust_cfa_offset 8",
        "push rsi",
        ".cfi_adjust_cfa_offset 8",
        "mov rdi, rsp",
        "call {prepare}",
        "pop rsi",
        ".cfi_adjust_cfa_offset -8",
        "pop rdx",
        ".cfi_adjust_cfa_offset -8",
        "pop rdi",
        ".cfi_adjust_cfa_offset -8",
        "jmp rax",
        ".cfi_endproc",
        prepare = sym prepare_c11,
    )
}

/// Puts [`first`] ahead of a thread; returns the real function.
unsafe extern "C" fn prepare(start: *mut [usize; 2]) -> usize {
    // SAFETY: both words, on the stack of the stub.
    unsafe { begin_with_first(&mut *start) };
    PTHREAD_CREATE.address().unwrap_or(fails as *const () as usize)
}

/// The same for C11's threads.
unsafe extern "C" fn prepare_c11(start: *mut [usize; 2]) -> usize {
    // SAFETY: both words, on the stack of the stub.
    unsafe { begin_with_first(&mut *start) };
    THRD_CREATE.address().unwrap_or(fails_c11 as *const () as usize)
}

/// Exchanges a routine and its argument for [`first`] and where it finds them.
fn begin_with_first(start: &mut [usize; 2]) {
    if crash::is_watching() {
        let [routine, argument] = *start;
        if let Some(ours) = altstack::prepare(routine, argument, first as *const () as usize) {
            *start = ours;
        }
    }
}

extern "C" fn fails() -> i32 {
    EAGAIN
}

extern "C" fn fails_c11() -> i32 {
    THRD_ERROR
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
