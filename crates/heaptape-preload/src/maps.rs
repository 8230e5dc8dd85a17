//! mmap and its kin: a series of its own, recorded when asked for.
//!
//! Only what the program calls: libc's allocator maps by its own internal functions.

use crate::call_real;
use crate::heap::stub;
use crate::real::Real;
use core::arch::naked_asm;
use heaptape_recorder::call;
use heaptape_recorder::thread::Regs;
use heaptape_wire::record::api;

static MMAP: Real = Real::new(c"mmap");
static MUNMAP: Real = Real::new(c"munmap");
static MREMAP: Real = Real::new(c"mremap");
static BRK: Real = Real::new(c"brk");
static SBRK: Real = Real::new(c"sbrk");

const FAILED: usize = usize::MAX;

/// Defines an exported stub that passes its caller's stack and frame pointers on the stack, as arguments
/// seven and eight, for functions whose own may take all six registers.
macro_rules! stub6 {
    ($(#[$doc:meta])* $name:ident => $to:ident) => {
        $(#[$doc])*
        #[cfg_attr(heaptape_preload, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name() -> usize {
            naked_asm!(
                "lea rax, [rsp]",
                "sub rsp, 8",
                "push rbp",
                "push rax",
                "call {}",
                "add rsp, 24",
                "ret",
                sym $to
            )
        }
    };
}

stub6!(/// POSIX's mmap.
    mmap => wrap_mmap);
stub6!(/// The same with a 64-bit offset, which it has anyway here.
    mmap64 => wrap_mmap);
stub!(/// POSIX's munmap.
    munmap(_start, _length) ["rdx", "rcx"] => wrap_munmap);
stub6!(/// Linux's mremap.
    mremap => wrap_mremap);
stub!(/// BSD's brk.
    brk(_end) ["rsi", "rdx"] => wrap_brk);
stub!(/// BSD's sbrk.
    sbrk(_increment) ["rsi", "rdx"] => wrap_sbrk);

type Word = usize;

unsafe extern "C" fn wrap_mmap(
    a: Word,
    len: Word,
    c: Word,
    d: Word,
    e: Word,
    f: Word,
    sp: Word,
    bp: Word,
) -> Word {
    let real = &MMAP;
    let at = call_real!(
        real,
        fn(Word, Word, Word, Word, Word, Word) -> Word,
        (a, len, c, d, e, f),
        FAILED
    );
    if at != FAILED {
        call::mapped(api::MMAP, at, len, Regs { sp, bp });
    }
    at
}

unsafe extern "C" fn wrap_munmap(at: Word, len: Word, sp: Word, bp: Word) -> Word {
    call::unmapping(api::MUNMAP, at, len, Regs { sp, bp });
    call_real!(MUNMAP, fn(Word, Word) -> Word, (at, len), FAILED)
}

unsafe extern "C" fn wrap_mremap(
    old: Word,
    old_len: Word,
    len: Word,
    flags: Word,
    to: Word,
    _f: Word,
    sp: Word,
    bp: Word,
) -> Word {
    let regs = Regs { sp, bp };
    let real = &MREMAP;
    call::unmapping(api::MREMAP, old, old_len, regs);
    let at = call_real!(
        real,
        fn(Word, Word, Word, Word, Word) -> Word,
        (old, old_len, len, flags, to),
        FAILED
    );
    // A failed one leaves the old mapping in place.
    let (at_now, len_now) = if at == FAILED { (old, old_len) } else { (at, len) };
    call::mapped(api::MREMAP, at_now, len_now, regs);
    at
}

unsafe extern "C" fn wrap_brk(end: Word, sp: Word, bp: Word) -> Word {
    let before = current_break();
    let ret = call_real!(BRK, fn(Word) -> Word, (end), FAILED);
    moved_break(api::BRK, before, Regs { sp, bp });
    ret
}

unsafe extern "C" fn wrap_sbrk(increment: Word, sp: Word, bp: Word) -> Word {
    let before = current_break();
    let ret = call_real!(SBRK, fn(Word) -> Word, (increment), FAILED);
    if increment != 0 {
        moved_break(api::SBRK, before, Regs { sp, bp });
    }
    ret
}

fn current_break() -> usize {
    call_real!(SBRK, fn(Word) -> Word, (0), FAILED)
}

fn moved_break(function: u8, before: usize, regs: Regs) {
    let after = current_break();
    if after > before {
        call::mapped(function, before, after - before, regs);
    } else if after < before {
        call::unmapping(function, after, before - after, regs);
    }
}
