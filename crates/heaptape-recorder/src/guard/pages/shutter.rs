//! How pages are made accessible and inaccessible.
//!
//! * Guard markers (`MADV_GUARD_INSTALL`, Linux 6.13): an entry of the page table says that the page faults. No
//!   mapping is split, the cost is a system call of about half a microsecond, and setting one gives the page back.
//! * Mappings without access rights: always there, but each accessible stretch is a mapping of its own, and the
//!   kernel bounds their number (`vm.max_map_count`).
//!
//! `userfaultfd` is not used: whatever it guards is accessible again as soon as its descriptor is closed, by a
//! program that closes all it finds or in any forked child, and a descriptor of ours in the target is against the
//! recorder's word.

use crate::sys::call;
use core::sync::atomic::{AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::layout::PAGE;

/// Whether markers are in use: 1.
static MARKS: AtomicUsize = AtomicUsize::new(0);
/// Accessible stretches that are mappings of their own, and how many there may be.
static MAPPED: AtomicUsize = AtomicUsize::new(0);
static MOST_MAPPED: AtomicUsize = AtomicUsize::new(0);

/// The kernel's bound where it does not say.
const USUAL_MAPPINGS: usize = 65_530;

/// Chooses the mechanism, trying it on the reserved page at `page`; `None` where the one that was asked for is not
/// there.
pub(super) fn begin(with: u32, page: usize) -> Option<u32> {
    // An accessible stretch needs a mapping for itself and one for what is behind it; the rest is the program's.
    MOST_MAPPED.store(max_map_count() / 8 * 3, Ordering::Relaxed);
    if with == hs::WITH_MAPPINGS {
        return Some(hs::WITH_MAPPINGS);
    }
    // SAFETY: the page that lies before all slots, which nobody uses.
    let works = unsafe { mark(page, PAGE) && call::close_mapping(page, PAGE) };
    MARKS.store(usize::from(works), Ordering::Relaxed);
    match works {
        true => Some(hs::WITH_MADVISE),
        false if with == hs::WITH_ANY => Some(hs::WITH_MAPPINGS),
        false => None,
    }
}

fn max_map_count() -> usize {
    let mut text = [0u8; 20];
    let length = match call::open_read(c"/proc/sys/vm/max_map_count".as_ptr().cast()) {
        Some(file) => call::read_at(&file, &mut text, 0),
        None => 0,
    };
    let digits = text[..length].iter().take_while(|byte| byte.is_ascii_digit());
    match digits.fold(0, |number: usize, &digit| {
        number.saturating_mul(10).saturating_add(usize::from(digit - b'0'))
    }) {
        0 => USUAL_MAPPINGS,
        number => number,
    }
}

/// Whether guard markers are in use.
pub(super) fn marks() -> bool {
    MARKS.load(Ordering::Relaxed) != 0
}

/// Makes reserved address space inaccessible by markers instead.
///
/// # Safety
/// The range is ours, and nobody uses it.
pub(super) unsafe fn mark(start: usize, length: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { call::allow(start, length) && call::install_guard(start, length) }
}

/// Makes inaccessible pages zeroed memory.
///
/// # Safety
/// The range is ours, and nobody uses it.
pub(super) unsafe fn open(low: usize, high: usize, by_mapping: bool) -> bool {
    if !by_mapping {
        return call::remove_guard(low, high - low);
    }
    if MAPPED.fetch_add(1, Ordering::Relaxed) < MOST_MAPPED.load(Ordering::Relaxed)
        // SAFETY: the caller's promise.
        && unsafe { call::open_mapping(low, high - low) }
    {
        return true;
    }
    MAPPED.fetch_sub(1, Ordering::Relaxed);
    false
}

/// Gives the memory back and makes its pages inaccessible.
///
/// # Safety
/// The range is ours, and nobody uses it but in error.
pub(super) unsafe fn close(low: usize, high: usize, by_mapping: bool) -> bool {
    if !by_mapping {
        // SAFETY: the caller's promise.
        return unsafe { call::install_guard(low, high - low) };
    }
    // SAFETY: the caller's promise.
    let closed = unsafe { call::close_mapping(low, high - low) };
    if closed {
        MAPPED.fetch_sub(1, Ordering::Relaxed);
    }
    closed
}
