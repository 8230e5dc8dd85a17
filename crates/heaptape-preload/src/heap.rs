//! malloc and its kin.

use crate::real::{Real, same_object};
use crate::{call_address, call_real};
use core::arch::naked_asm;
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_recorder::call::{self, Allocation};
use heaptape_recorder::sys::objects::definition_in_file;
use heaptape_recorder::thread::Regs;
use heaptape_wire::record::api;

pub(crate) static MALLOC: Real = Real::of_allocator(c"malloc");
pub(crate) static CALLOC: Real = Real::of_allocator(c"calloc");
pub(crate) static REALLOC: Real = Real::of_allocator(c"realloc");
pub(crate) static REALLOCARRAY: Real = Real::of_allocator(c"reallocarray");
pub(crate) static FREE: Real = Real::of_allocator(c"free");
pub(crate) static FREE_SIZED: Real = Real::of_allocator(c"free_sized");
pub(crate) static FREE_ALIGNED_SIZED: Real = Real::of_allocator(c"free_aligned_sized");
pub(crate) static POSIX_MEMALIGN: Real = Real::of_allocator(c"posix_memalign");
pub(crate) static ALIGNED_ALLOC: Real = Real::of_allocator(c"aligned_alloc");
pub(crate) static MEMALIGN: Real = Real::of_allocator(c"memalign");
pub(crate) static VALLOC: Real = Real::of_allocator(c"valloc");
pub(crate) static PVALLOC: Real = Real::of_allocator(c"pvalloc");
pub(crate) static USABLE_SIZE: Real = Real::of_allocator(c"malloc_usable_size");

const ENOMEM: i32 = 12;

/// Defines an exported stub that passes its caller's stack and frame pointers on as the arguments after its
/// own, and jumps.
macro_rules! stub {
    ($(#[$doc:meta])* $name:ident($($arg:ident),*) [$sp:literal, $bp:literal] => $to:ident) => {
        $(#[$doc])*
        #[cfg_attr(heaptape_preload, unsafe(no_mangle))]
        #[unsafe(naked)]
        pub unsafe extern "C" fn $name($($arg: usize),*) -> usize {
            naked_asm!(concat!("mov ", $sp, ", rsp"), concat!("mov ", $bp, ", rbp"), "jmp {}", sym $to)
        }
    };
}

pub(crate) use stub;

stub!(/// C's malloc.
    malloc(_size) ["rsi", "rdx"] => wrap_malloc);
stub!(/// C's calloc.
    calloc(_count, _size) ["rdx", "rcx"] => wrap_calloc);
stub!(/// C's realloc.
    realloc(_block, _size) ["rdx", "rcx"] => wrap_realloc);
stub!(/// BSD's reallocarray.
    reallocarray(_block, _count, _size) ["rcx", "r8"] => wrap_reallocarray);
stub!(/// C's free.
    free(_block) ["rsi", "rdx"] => wrap_free);
stub!(/// SunOS's cfree.
    cfree(_block) ["rsi", "rdx"] => wrap_cfree);
stub!(/// C23's free_sized.
    free_sized(_block, _size) ["rdx", "rcx"] => wrap_free_sized);
stub!(/// C23's free_aligned_sized.
    free_aligned_sized(_block, _align, _size) ["rcx", "r8"] => wrap_free_aligned_sized);
stub!(/// POSIX's posix_memalign.
    posix_memalign(_out, _align, _size) ["rcx", "r8"] => wrap_posix_memalign);
stub!(/// C11's aligned_alloc.
    aligned_alloc(_align, _size) ["rdx", "rcx"] => wrap_aligned_alloc);
stub!(/// SunOS's memalign.
    memalign(_align, _size) ["rdx", "rcx"] => wrap_memalign);
stub!(/// BSD's valloc.
    valloc(_size) ["rsi", "rdx"] => wrap_valloc);
stub!(/// GNU's pvalloc.
    pvalloc(_size) ["rsi", "rdx"] => wrap_pvalloc);

/// GNU's malloc_usable_size: only passed on.
#[cfg_attr(heaptape_preload, unsafe(no_mangle))]
pub unsafe extern "C" fn malloc_usable_size(block: usize) -> usize {
    call_real!(USABLE_SIZE, fn(usize) -> usize, (block), 0)
}

/// How the bytes are found that the allocator gave: one of those below.
static USABLE: AtomicUsize = AtomicUsize::new(UNDECIDED);

const UNDECIDED: usize = 0;
/// Not at all: the next `malloc_usable_size` may not belong to the allocator behind the next `malloc`.
const UNKNOWN: usize = 1;
/// By asking.
const ASKED: usize = 2;
/// By reading glibc's header of the block, which is what its `malloc_usable_size` does, besides a look at the
/// block after it that the processor may have to wait for.
const READ: usize = 3;
/// So many times it is read and asked, before it is only read.
const TRIALS: usize = 256;
/// By both; with the trials passed so far above it.
const TRIED: usize = 4;

/// In a block's header: mapped by itself; and all that is not the size.
const IS_MAPPED: usize = 2;
const FLAGS: usize = 7;

/// Bytes the allocator gave for `block` (not 0), which it has just given; 0 when it cannot be asked cheaply.
#[inline(always)]
fn usable(block: usize) -> usize {
    if USABLE.load(Ordering::Relaxed) == READ
        && let Some(size) = in_header(block)
    {
        return size;
    }
    usable_otherwise(block)
}

/// The usable size that glibc's header of a live block says.
#[inline(always)]
fn in_header(block: usize) -> Option<usize> {
    // SAFETY: glibc keeps a word before each block: its size with this word, but without the next block's, of which
    // only this block's user may still use a word.
    let header = unsafe { *(block as *const usize).sub(1) };
    (header & IS_MAPPED == 0).then(|| (header & !FLAGS).wrapping_sub(size_of::<usize>()))
}

#[inline(never)]
fn usable_otherwise(block: usize) -> usize {
    let way = match USABLE.load(Ordering::Relaxed) {
        UNDECIDED => decide(),
        decided => decided,
    };
    if way == UNKNOWN {
        return 0;
    }
    let asked = call_real!(USABLE_SIZE, fn(usize) -> usize, (block), 0);
    if way >= TRIED
        && let Some(read) = in_header(block)
    {
        if read != asked {
            USABLE.store(ASKED, Ordering::Relaxed);
        } else {
            let next = if way == TRIED + TRIALS { READ } else { way + 1 };
            // Fails where another thread was here: a trial less, or a difference that it saw.
            let _ = USABLE.compare_exchange(way, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
    asked
}

#[cold]
fn decide() -> usize {
    let functions = [(&MALLOC, c"malloc"), (&USABLE_SIZE, c"malloc_usable_size")];
    let is_libc = |(real, name): (&Real, _)| {
        real.address().is_some_and(|at| definition_in_file(b"libc.so.6", name) == Some(at))
    };
    let way = match functions.map(|(real, _)| real.address()) {
        _ if functions.into_iter().all(is_libc) => TRIED,
        [Some(malloc), Some(size)] if same_object(malloc, size) => ASKED,
        _ => UNKNOWN,
    };
    // Fails where another thread was here, or another allocator was put in place meanwhile.
    match USABLE.compare_exchange(UNDECIDED, way, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => way,
        Err(known) => known,
    }
}

/// After another allocator was put in place of the program's own: it is asked, whatever was found before.
pub(crate) fn ask_for_usable() {
    USABLE.store(ASKED, Ordering::Relaxed);
}

/// log2 of a power of two; 0 for what is none.
pub(crate) fn log2(align: usize) -> u8 {
    if align.is_power_of_two() { align.trailing_zeros() as u8 } else { 0 }
}

#[inline(always)]
fn done(function: u8, addr: usize, size: usize, align: usize, regs: Regs) -> usize {
    let given = Allocation { api: function, addr, size, align_log2: log2(align), usable: 0 };
    call::allocated(given, regs, usable);
    addr
}

/// Defines what a stub jumps to: on to the real function where the sampling passes over `$size` bytes, or else
/// to `$record`. In production the former is the way of nearly all calls, so nothing is saved on it.
macro_rules! wrap {
    ($name:ident($($arg:ident: $type:ty),*) -> $ret:ty, $size:expr, $real:ident, $record:ident) => {
        unsafe extern "C" fn $name($($arg: $type,)* sp: usize, bp: usize) -> $ret {
            if let Some(real) = $real.known() && call::passes_over($size) {
                return call_address!(real, fn($($type),*) -> $ret, ($($arg),*));
            }
            $record($($arg,)* Regs { sp, bp })
        }
    };
}

wrap!(wrap_malloc(size: usize) -> usize, size, MALLOC, record_malloc);
wrap!(wrap_calloc(n: usize, size: usize) -> usize, n.saturating_mul(size), CALLOC, record_calloc);
wrap!(wrap_valloc(size: usize) -> usize, size, VALLOC, record_valloc);
wrap!(wrap_pvalloc(size: usize) -> usize, size, PVALLOC, record_pvalloc);
wrap!(wrap_memalign(align: usize, size: usize) -> usize, size, MEMALIGN, record_memalign);
wrap!(wrap_aligned_alloc(align: usize, size: usize) -> usize, size, ALIGNED_ALLOC, record_aligned_alloc);
wrap!(wrap_posix_memalign(out: *mut usize, align: usize, size: usize) -> i32, size, POSIX_MEMALIGN,
      record_posix_memalign);

#[inline(never)]
fn record_malloc(size: usize, regs: Regs) -> usize {
    let block = call_real!(MALLOC, fn(usize) -> usize, (size), 0);
    done(api::MALLOC, block, size, 0, regs)
}

#[inline(never)]
fn record_calloc(count: usize, size: usize, regs: Regs) -> usize {
    let block = call_real!(CALLOC, fn(usize, usize) -> usize, (count, size), 0);
    // A product that overflows has failed; what was asked for is then more than can be said.
    done(api::CALLOC, block, count.saturating_mul(size), 0, regs)
}

#[inline(never)]
fn record_valloc(size: usize, regs: Regs) -> usize {
    let block = call_real!(VALLOC, fn(usize) -> usize, (size), 0);
    done(api::VALLOC, block, size, 4096, regs)
}

#[inline(never)]
fn record_pvalloc(size: usize, regs: Regs) -> usize {
    let block = call_real!(PVALLOC, fn(usize) -> usize, (size), 0);
    done(api::PVALLOC, block, size, 4096, regs)
}

#[inline(never)]
fn record_memalign(align: usize, size: usize, regs: Regs) -> usize {
    let block = call_real!(MEMALIGN, fn(usize, usize) -> usize, (align, size), 0);
    done(api::MEMALIGN, block, size, align, regs)
}

#[inline(never)]
fn record_aligned_alloc(align: usize, size: usize, regs: Regs) -> usize {
    let block = call_real!(ALIGNED_ALLOC, fn(usize, usize) -> usize, (align, size), 0);
    done(api::ALIGNED_ALLOC, block, size, align, regs)
}

#[inline(never)]
fn record_posix_memalign(out: *mut usize, align: usize, size: usize, regs: Regs) -> i32 {
    let real = &POSIX_MEMALIGN;
    let error = call_real!(real, fn(*mut usize, usize, usize) -> i32, (out, align, size), ENOMEM);
    // SAFETY: on success the real function has written there.
    let block = if error == 0 { unsafe { *out } } else { 0 };
    done(api::POSIX_MEMALIGN, block, size, align, regs);
    error
}

unsafe extern "C" fn wrap_realloc(block: usize, size: usize, sp: usize, bp: usize) -> usize {
    if let Some(real) = REALLOC.known()
        && call::passes_over_free(block)
        && call::passes_over(size)
    {
        return call_address!(real, fn(usize, usize) -> usize, (block, size));
    }
    record_realloc(block, size, Regs { sp, bp })
}

#[inline(never)]
fn record_realloc(block: usize, size: usize, regs: Regs) -> usize {
    if block == 0 {
        let new = call_real!(REALLOC, fn(usize, usize) -> usize, (0, size), 0);
        return done(api::REALLOC, new, size, 0, regs);
    }
    let was_recorded = call::reallocating(api::REALLOC, block, size, regs);
    let new = call_real!(REALLOC, fn(usize, usize) -> usize, (block, size), 0);
    reallocated(api::REALLOC, (block, was_recorded), new, size, regs)
}

unsafe extern "C" fn wrap_reallocarray(
    block: usize,
    count: usize,
    size: usize,
    sp: usize,
    bp: usize,
) -> usize {
    let regs = Regs { sp, bp };
    // glibc's own would jump to `realloc`, that is to our hook, and be recorded twice: it is only asked to
    // fail when the product overflows.
    let bytes = count.checked_mul(size);
    let asked = bytes.unwrap_or(usize::MAX);
    let was_recorded = block != 0 && call::reallocating(api::REALLOCARRAY, block, asked, regs);
    let real = &REALLOCARRAY;
    let new = match bytes {
        Some(bytes) => call_real!(REALLOC, fn(usize, usize) -> usize, (block, bytes), 0),
        None => {
            call_real!(real, fn(usize, usize, usize) -> usize, (block, count, size), 0)
        }
    };
    if block == 0 {
        return done(api::REALLOCARRAY, new, asked, 0, regs);
    }
    reallocated(api::REALLOCARRAY, (block, was_recorded), new, asked, regs)
}

/// `old`: the block, and whether it was recorded.
#[inline(always)]
fn reallocated(function: u8, old: (usize, bool), new: usize, size: usize, regs: Regs) -> usize {
    let given = Allocation { api: function, addr: new, size, align_log2: 0, usable: 0 };
    call::reallocated(old.0, old.1, given, regs, usable);
    new
}

unsafe extern "C" fn wrap_free(block: usize, sp: usize, bp: usize) {
    let regs = Regs { sp, bp };
    if let Some(real) = FREE.known()
        && (call::passes_over_free(block)
            || block != 0 && call::frees_barely(api::FREE, block, 0, regs))
    {
        return call_address!(real, fn(usize) -> (), (block));
    }
    record_free(block, regs);
}

#[inline(never)]
fn record_free(block: usize, regs: Regs) {
    if block == 0 {
        call::freeing_null();
    } else {
        call::freeing(api::FREE, block, 0, 0, regs);
    }
    call_real!(FREE, fn(usize) -> (), (block), ());
}

/// What comes of an `operator delete` of `block` (not 0) that does nothing but call `free`. `size`: what it states, or 0.
pub(crate) unsafe extern "C" fn delete_as_free(
    block: usize,
    size: usize,
    sp: usize,
    bp: usize,
    function: u8,
) {
    let regs = Regs { sp, bp };
    if let Some(real) = FREE.known()
        && call::frees_barely(function, block, size, regs)
    {
        return call_address!(real, fn(usize) -> (), (block));
    }
    record_delete(block, size, function, regs);
}

#[inline(never)]
fn record_delete(block: usize, size: usize, function: u8, regs: Regs) {
    call::freeing(function, block, size, 0, regs);
    call_real!(FREE, fn(usize) -> (), (block), ());
}

unsafe extern "C" fn wrap_cfree(block: usize, sp: usize, bp: usize) {
    if block != 0 {
        call::freeing(api::CFREE, block, 0, 0, Regs { sp, bp });
    }
    // glibc keeps cfree for old binaries only; it is free.
    call_real!(FREE, fn(usize) -> (), (block), ());
}

unsafe extern "C" fn wrap_free_sized(block: usize, size: usize, sp: usize, bp: usize) {
    if block != 0 {
        call::freeing(api::FREE_SIZED, block, size, 0, Regs { sp, bp });
    }
    let plain = || call_real!(FREE, fn(usize) -> (), (block), ());
    call_real!(FREE_SIZED, fn(usize, usize) -> (), (block, size), plain());
}

unsafe extern "C" fn wrap_free_aligned_sized(
    block: usize,
    align: usize,
    size: usize,
    sp: usize,
    bp: usize,
) {
    if block != 0 {
        call::freeing(api::FREE_ALIGNED_SIZED, block, size, log2(align), Regs { sp, bp });
    }
    let real = &FREE_ALIGNED_SIZED;
    let plain = || call_real!(FREE, fn(usize) -> (), (block), ());
    call_real!(real, fn(usize, usize, usize) -> (), (block, align, size), plain());
}
