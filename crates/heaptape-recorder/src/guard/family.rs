//! malloc and its kin in terms of an allocator of ours.
//!
//! What the allocator does not serve, the program's own function does, with all that it says and checks: wrong
//! alignments, sizes beyond all bounds, `errno`. None of ours touches `errno`.

use super::{Addresses, Function, beneath};
use heaptape_wire::layout::PAGE;
use heaptape_wire::record::found;

/// An allocator of ours.
pub(super) trait Allocator {
    /// A block of `size` bytes, zeroed if it is to be; 0 where the program's own is to serve. `align` is a power of
    /// two, or 0 for what malloc promises.
    fn allocate(size: usize, align: usize, zeroed: bool) -> usize;
    /// Whose block begins at `addr`, which is not 0.
    fn owner(addr: usize) -> Owner;
    /// Ends the block at `addr` if it is a live one of ours; `when` is a `found` of the wire.
    fn release(addr: usize, when: u8);
}

/// Whose an address is.
pub(super) enum Owner {
    /// Not ours: the program's own allocator's, or nobody's.
    Foreign,
    /// A live block of so many bytes.
    Live(usize),
    /// Ours, but no live block begins there.
    Dead,
}

/// The functions of `A`, by their places.
pub(super) fn addresses<A: Allocator>() -> Addresses {
    [
        malloc::<A> as *const () as usize,
        calloc::<A> as *const () as usize,
        realloc::<A> as *const () as usize,
        free::<A> as *const () as usize,
        posix_memalign::<A> as *const () as usize,
        aligned_alloc::<A> as *const () as usize,
        memalign::<A> as *const () as usize,
        valloc::<A> as *const () as usize,
        pvalloc::<A> as *const () as usize,
        usable_size::<A> as *const () as usize,
    ]
}

/// Calls the program's own function, or evaluates to `$missing`.
macro_rules! own {
    ($function:ident, fn($($type:ty),*) -> $ret:ty, ($($arg:expr),*), $missing:expr) => {
        match beneath(Function::$function) {
            0 => $missing,
            // SAFETY: the definition of that name has C's signature for it.
            address => unsafe {
                core::mem::transmute::<usize, unsafe extern "C" fn($($type),*) -> $ret>(address)($($arg),*)
            },
        }
    };
}

pub(super) use own;

const ENOMEM: i32 = 12;

unsafe extern "C" fn malloc<A: Allocator>(size: usize) -> usize {
    match A::allocate(size, 0, false) {
        0 => own!(Malloc, fn(usize) -> usize, (size), 0),
        block => block,
    }
}

unsafe extern "C" fn calloc<A: Allocator>(count: usize, size: usize) -> usize {
    match count.checked_mul(size).map_or(0, |bytes| A::allocate(bytes, 0, true)) {
        0 => own!(Calloc, fn(usize, usize) -> usize, (count, size), 0),
        block => block,
    }
}

unsafe extern "C" fn free<A: Allocator>(block: usize) {
    if block == 0 {
        return;
    }
    match A::owner(block) {
        Owner::Foreign => own!(Free, fn(usize) -> (), (block), ()),
        // What was freed before is not freed again: the event says it, and the program runs on.
        Owner::Live(_) | Owner::Dead => A::release(block, found::AT_FREE),
    }
}

/// Always moves a block of ours, so that pointers to where it was are found out.
unsafe extern "C" fn realloc<A: Allocator>(block: usize, size: usize) -> usize {
    if block == 0 {
        // SAFETY: C's promises.
        return unsafe { malloc::<A>(size) };
    }
    let old_size = match A::owner(block) {
        Owner::Foreign => return own!(Realloc, fn(usize, usize) -> usize, (block, size), 0),
        // Of a block that is gone nothing can be had: no memory, and `errno` says so.
        Owner::Dead => return own!(Malloc, fn(usize) -> usize, (usize::MAX), 0),
        Owner::Live(old_size) => old_size,
    };
    if size == 0 {
        A::release(block, found::AT_REALLOC);
        return 0;
    }
    // SAFETY: C's promises.
    let new = unsafe { malloc::<A>(size) };
    if new != 0 {
        // SAFETY: both blocks are at least that long and not the same.
        unsafe {
            let (from, to) = (block as *const u8, new as *mut u8);
            core::ptr::copy_nonoverlapping(from, to, old_size.min(size));
        }
        A::release(block, found::AT_REALLOC);
    }
    new
}

/// A block with an alignment that is one; 0 for any other, which is the program's own allocator's to judge.
fn aligned<A: Allocator>(align: usize, size: usize) -> usize {
    if align.is_power_of_two() { A::allocate(size, align, false) } else { 0 }
}

unsafe extern "C" fn posix_memalign<A: Allocator>(
    out: *mut usize,
    align: usize,
    size: usize,
) -> i32 {
    let block = if align >= size_of::<usize>() { aligned::<A>(align, size) } else { 0 };
    if block == 0 {
        return own!(
            PosixMemalign,
            fn(*mut usize, usize, usize) -> i32,
            (out, align, size),
            ENOMEM
        );
    }
    // SAFETY: C's promise.
    unsafe { *out = block };
    0
}

unsafe extern "C" fn aligned_alloc<A: Allocator>(align: usize, size: usize) -> usize {
    match aligned::<A>(align, size) {
        0 => own!(AlignedAlloc, fn(usize, usize) -> usize, (align, size), 0),
        block => block,
    }
}

unsafe extern "C" fn memalign<A: Allocator>(align: usize, size: usize) -> usize {
    match aligned::<A>(align, size) {
        0 => own!(Memalign, fn(usize, usize) -> usize, (align, size), 0),
        block => block,
    }
}

unsafe extern "C" fn valloc<A: Allocator>(size: usize) -> usize {
    match A::allocate(size, PAGE, false) {
        0 => own!(Valloc, fn(usize) -> usize, (size), 0),
        block => block,
    }
}

unsafe extern "C" fn pvalloc<A: Allocator>(size: usize) -> usize {
    let whole = size.checked_next_multiple_of(PAGE);
    match whole.map_or(0, |whole| A::allocate(whole, PAGE, false)) {
        0 => own!(Pvalloc, fn(usize) -> usize, (size), 0),
        block => block,
    }
}

unsafe extern "C" fn usable_size<A: Allocator>(block: usize) -> usize {
    if block == 0 {
        return 0;
    }
    match A::owner(block) {
        Owner::Foreign => own!(UsableSize, fn(usize) -> usize, (block), 0),
        Owner::Live(size) => size,
        Owner::Dead => 0,
    }
}
