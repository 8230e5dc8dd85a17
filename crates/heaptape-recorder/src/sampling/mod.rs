//! Which allocations are recorded, where not all are: Poisson sampling by bytes.
//!
//! Every byte that is asked for is chosen with the same small probability, independently of all others; an
//! allocation is recorded when one of its bytes is. So a thread need only count down the bytes to the next
//! chosen one: their number is exponentially distributed (`distance`), and after a chosen allocation it is
//! drawn anew, for what is left of an exponential distance is as long as a new one.
//!
//! Of an allocation that is not chosen, that countdown is all that happens: no thread state, no stream, no
//! lock. Of a free, one byte is read, which says that no sampled block lies near ([`blocks`]).

pub mod blocks;
mod distance;

use crate::emit;
use crate::sys::{call, tls};
use core::sync::atomic::{AtomicU64, Ordering};

/// [`MEAN`] where every allocation is recorded.
pub const EVERYTHING: u64 = 1;

/// Mean distance between two chosen bytes; 0 until the collector has said it. Ordinary memory: a forked child
/// samples as its parent before it has joined.
pub static MEAN: AtomicU64 = AtomicU64::new(0);

/// The collector's word: 0 for everything. Not taken back when the gate closes.
pub(crate) fn set_mean(bytes: u64) {
    MEAN.store(bytes.max(EVERYTHING), Ordering::Relaxed);
}

/// Of a process that cannot join: nothing is to be counted down.
pub(crate) fn give_up() {
    let _ = MEAN.compare_exchange(0, EVERYTHING, Ordering::Relaxed, Ordering::Relaxed);
}

/// Whether only some allocations are recorded, as far as is known.
#[inline(always)]
pub(crate) fn is_known_on() -> bool {
    // Relaxed: whoever reads 0 asks the gate, which has synchronized.
    MEAN.load(Ordering::Relaxed) > EVERYTHING
}

/// Whether only some allocations are recorded. Where that is not known yet, the process joins.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    match MEAN.load(Ordering::Relaxed) {
        EVERYTHING => false,
        0 => is_on_after_joining(),
        _ => true,
    }
}

#[cold]
#[inline(never)]
fn is_on_after_joining() -> bool {
    let _ = crate::gate::enter();
    is_known_on()
}

/// Whether an allocation of `size` bytes is passed over without a further look; then it has been counted down.
/// If not, nothing was that matters: [`is_first_passed_over`] and [`choose`] are asked next. An allocation of 0 bytes counts
/// for one: none can be without. Where everything is recorded,
/// nothing is ever left to count down, so that it need not be asked whether that is so.
#[inline(always)]
pub(crate) fn passes_over(size: usize) -> bool {
    tls::count_down(size)
}

/// The same for the first allocation of a thread, for which a distance must be drawn before.
#[inline(always)]
pub(crate) fn is_first_passed_over(size: usize) -> bool {
    tls::get::<{ tls::RANDOM }>() == 0 && {
        left();
        passes_over(size)
    }
}

/// Whether an allocation of `size` bytes is chosen; counts it down.
pub(crate) fn choose(size: usize) -> bool {
    left();
    let passed = passes_over(size);
    if !passed {
        set_left(draw());
    }
    !passed
}

/// Whether an allocation of `size` bytes would be chosen now.
#[inline(always)]
pub(crate) fn is_near(size: usize) -> bool {
    tls::get::<{ tls::LEFT }>() <= size.saturating_add(1)
}

/// Makes the thread's next allocation ask [`choose`], whatever its size. Returns what is left of the
/// distance, for [`give_back`] before that.
pub(crate) fn hold() -> usize {
    let left = left();
    set_left(0);
    left
}

/// Ends a [`hold`]; 0 is none.
pub(crate) fn give_back(held: usize) {
    if held != 0 {
        set_left(held);
    }
}

/// Of a forked child: lets it not choose the same as its parent and siblings.
pub(crate) fn begin_anew() {
    set_left(0);
    tls::set::<{ tls::RANDOM }>(0);
}

/// What is left of the thread's distance, drawn if need be.
fn left() -> usize {
    if tls::get::<{ tls::RANDOM }>() == 0 {
        let here = 0u8;
        let place = (&raw const here) as u64;
        let mut seed = emit::now_ns() ^ place.rotate_left(24) ^ u64::from(call::gettid()) << 40;
        // Twice, because threads begin a few nanoseconds apart.
        let mixed = distance::next(&mut seed);
        tls::set::<{ tls::RANDOM }>(mixed as usize | 1);
        set_left(draw());
    }
    tls::get::<{ tls::LEFT }>()
}

fn set_left(bytes: usize) {
    tls::set::<{ tls::LEFT }>(bytes);
}

fn draw() -> usize {
    let mut state = tls::get::<{ tls::RANDOM }>() as u64;
    let random = distance::next(&mut state);
    // Any state but 0, which says that there is none.
    tls::set::<{ tls::RANDOM }>(state.max(1) as usize);
    distance::exponential(random, MEAN.load(Ordering::Relaxed)) as usize
}
