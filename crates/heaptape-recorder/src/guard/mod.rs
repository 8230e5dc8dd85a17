//! The allocators of `--guard` and `--check`: what the program gets in place of its own where heap errors are to
//! show at once.
//!
//! Both stand between the hooks and the program's own allocator, which the hooks go on calling "the real function":
//! the preload exchanges the addresses when the process begins, so that a recording without them has not one
//! instruction more. What one of them cannot serve (no room, too large, not chosen) comes from the program's own, and
//! so do blocks from before; each address says whose it is.
//!
//! * `pages`: every block on pages of its own beside inaccessible ones, inaccessible again when freed.
//! * `red_zones`: every block with patterns around it, and kept back, filled with a pattern, when freed.
//! * `family`: malloc and its kin in terms of either.
//! * `found`: what is told when bytes were changed that nobody should have written.
//!
//! Nothing here takes a lock: a signal handler may allocate at any point, and any thread may fork.

mod changed;
mod family;
mod found;
mod marks;
mod pages;
mod queue;
mod red_zones;
mod retained;

pub(crate) use found::{Overwrite, SEEN_BYTES};

use crate::gate;
use crate::sys::call::{self, SignalsBlocked};
use crate::sys::tls;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use heaptape_wire::handshake as hs;
use heaptape_wire::layout::ProcessPage;

/// The functions that are exchanged, by their places in [`Addresses`].
#[derive(Clone, Copy)]
#[allow(missing_docs)] // each is named after the C function it stands for
pub enum Function {
    Malloc,
    Calloc,
    Realloc,
    Free,
    PosixMemalign,
    AlignedAlloc,
    Memalign,
    Valloc,
    Pvalloc,
    UsableSize,
}

/// How many they are.
pub const FUNCTIONS: usize = 10;
/// Their addresses; 0 for one that nobody defines.
pub type Addresses = [usize; FUNCTIONS];

/// The program's own functions; written before anything here is called.
static BENEATH: [AtomicUsize; FUNCTIONS] = [const { AtomicUsize::new(0) }; FUNCTIONS];

/// What the collector has ordered ([`hs::Guard`]). Ordinary memory: a forked child keeps it with its blocks.
static MODE: AtomicU32 = AtomicU32::new(hs::GUARD_OFF);
static WITH: AtomicU32 = AtomicU32::new(hs::WITH_ANY);
static ONE_IN: AtomicU32 = AtomicU32::new(1);
static INTERVAL: AtomicU32 = AtomicU32::new(0);
static QUARANTINE: AtomicUsize = AtomicUsize::new(0);
/// A `WITH_*`: what is in use since [`begin`].
static MECHANISM: AtomicU32 = AtomicU32::new(hs::WITH_ANY);
/// The process in which a thread is looking all blocks over; 0: none does. A forked child inherits the word, but not
/// the thread that wrote it.
static LOOKING: AtomicU32 = AtomicU32::new(0);

/// Takes the collector's order. That of a forked child is its parent's.
pub(crate) fn order(guard: &hs::Guard) {
    WITH.store(guard.with, Ordering::Relaxed);
    ONE_IN.store(guard.one_in, Ordering::Relaxed);
    INTERVAL.store(guard.interval, Ordering::Relaxed);
    QUARANTINE.store(usize::try_from(guard.quarantine).unwrap_or(usize::MAX), Ordering::Relaxed);
    MODE.store(guard.mode, Ordering::Relaxed);
}

/// What guards the blocks: a `WITH_*`.
pub(crate) fn mechanism() -> u32 {
    MECHANISM.load(Ordering::Relaxed)
}

/// Whether the program has another allocator than its own.
pub fn is_in_use() -> bool {
    mechanism() != hs::WITH_ANY
}

/// Whether the program is to have another allocator than its own. Asked once the process has joined.
pub fn is_wanted() -> bool {
    MODE.load(Ordering::Relaxed) != hs::GUARD_OFF
}

/// Makes the allocator that was ordered, over the program's own; the addresses of its functions, or `None` where it
/// cannot be had. Called once, by one thread.
pub fn begin(beneath: &Addresses) -> Option<Addresses> {
    for (place, &address) in BENEATH.iter().zip(beneath) {
        place.store(address, Ordering::Relaxed);
    }
    let (mechanism, addresses) = match MODE.load(Ordering::Relaxed) {
        hs::GUARD_CHECK => {
            (red_zones::begin(quarantine())?, family::addresses::<red_zones::RedZones>())
        }
        _ => (pages::begin(WITH.load(Ordering::Relaxed))?, family::addresses::<pages::Pages>()),
    };
    MECHANISM.store(mechanism, Ordering::Relaxed);
    if let Some(local) = gate::if_open() {
        show(local.page());
    }
    Some(addresses)
}

/// Tells the collector what guards the blocks, and where they are.
pub(crate) fn show(page: &ProcessPage) {
    page.guard.store(u64::from(mechanism()), Ordering::Relaxed);
    pages::show(page);
}

/// The program's own function.
#[inline(always)]
fn beneath(function: Function) -> usize {
    // Relaxed: written before the addresses of our functions were published.
    BENEATH[function as usize].load(Ordering::Relaxed)
}

fn quarantine() -> usize {
    QUARANTINE.load(Ordering::Relaxed)
}

/// Counts a block that is guarded, or that should be.
fn count(guarded: bool) {
    let Some(local) = gate::if_open() else { return };
    let page = local.page();
    let counter = if guarded { &page.guarded } else { &page.unguarded };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Counts a block that came from elsewhere: from an `operator new` that belongs to the program's own allocator.
pub fn passed_by() {
    if mechanism() != hs::WITH_ANY && is_chosen() {
        count(false);
    }
}

/// Looks all blocks over for overwrites, unless that is being done; `when` is a `found` of the wire.
pub(crate) fn look_over(when: u8) {
    if !is_in_use() {
        return;
    }
    alone(|| match mechanism() {
        hs::WITH_RED_ZONES => red_zones::look_over(when),
        _ => pages::look_over(when),
    });
}

/// Does what one thread of the process may do at a time, or nothing while another is at it.
fn alone(look: impl FnOnce()) {
    // A handler that frees a block that this thread is looking at would wait for it in vain.
    let _signals = SignalsBlocked::new();
    let (before, pid) = (LOOKING.load(Ordering::Relaxed), call::getpid());
    // Acquire and release pair with each other.
    let taken = (Ordering::Acquire, Ordering::Relaxed);
    if before == pid || LOOKING.compare_exchange(before, pid, taken.0, taken.1).is_err() {
        return;
    }
    look();
    LOOKING.store(0, Ordering::Release);
}

/// Whether this allocation is one of those to be guarded: each, or one in so many, chosen at random.
#[inline(always)]
fn is_chosen() -> bool {
    match ONE_IN.load(Ordering::Relaxed) {
        0 | 1 => true,
        one_in => count_down(one_in),
    }
}

/// Counts this thread's calls down to the next chosen one. The word holds what is left in its low half, the state
/// of a generator in its high half.
#[inline(always)]
fn count_down(one_in: u32) -> bool {
    let word = tls::get::<{ tls::GUARD }>();
    if word as u32 > 1 {
        tls::set::<{ tls::GUARD }>(word - 1);
        return false;
    }
    draw(one_in, word)
}

/// Draws the distance to the next one: even from 1 to twice the mean, so that no rhythm of the program's is met.
/// The first of a thread is only drawn.
#[cold]
#[inline(never)]
fn draw(one_in: u32, word: usize) -> bool {
    let mut state = (word >> 32) as u32;
    let is_first = state == 0;
    if is_first {
        let here = 0u8;
        let seed =
            crate::emit::now_ns() ^ (&raw const here) as u64 ^ u64::from(call::gettid()) << 13;
        state = (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32 | 1;
    }
    // Xorshift (Marsaglia, 2003): never 0 after what is not.
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    let distance = u64::from(state) % (2 * u64::from(one_in) - 1) + 1;
    tls::set::<{ tls::GUARD }>((state as usize) << 32 | distance.min(u64::from(u32::MAX)) as usize);
    !is_first
}

/// Counts a call; every so many of a thread, where that was asked for, blocks are looked over.
#[inline(always)]
fn count_call() {
    let interval = INTERVAL.load(Ordering::Relaxed) as usize;
    if interval == 0 {
        return;
    }
    let calls = tls::get::<{ tls::GUARD }>() + 1;
    tls::set::<{ tls::GUARD }>(if calls >= interval { 0 } else { calls });
    if calls >= interval {
        alone(|| red_zones::look_over_some(interval));
    }
}
