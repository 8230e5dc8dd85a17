//! Another allocator in the place of the program's own, where one was ordered.
//!
//! The hooks call what they take for the real functions. Before the first of these is looked up the process joins the
//! recording, and if the collector orders an allocator of ours its functions are put there instead: the
//! hooks are the same, and without such an order nothing is done at any call.

use crate::heap::*;
use crate::real::Real;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use heaptape_recorder::call;
pub(crate) use heaptape_recorder::guard::passed_by;
use heaptape_recorder::guard::{self, FUNCTIONS, Function};

/// In the order of [`Function`].
static EXCHANGED: [&Real; FUNCTIONS] = [
    &MALLOC,
    &CALLOC,
    &REALLOC,
    &FREE,
    &POSIX_MEMALIGN,
    &ALIGNED_ALLOC,
    &MEMALIGN,
    &VALLOC,
    &PVALLOC,
    &USABLE_SIZE,
];

const UNSETTLED: u32 = 0;
const SETTLING: u32 = 1;
const SETTLED: u32 = 2;

static STATE: AtomicU32 = AtomicU32::new(UNSETTLED);
/// The program's own malloc, once it was exchanged.
static BENEATH: AtomicUsize = AtomicUsize::new(0);

/// Sees to it that the functions are exchanged if they are to be; `false` while another thread does so, or a handler
/// has interrupted that: then what is looked up now must not be kept.
pub(crate) fn settle() -> bool {
    // Acquire pairs with the release below.
    match STATE.compare_exchange(UNSETTLED, SETTLING, Ordering::Acquire, Ordering::Acquire) {
        Ok(_) => {
            call::begin_process();
            if guard::is_wanted() {
                exchange();
            }
            STATE.store(SETTLED, Ordering::Release);
            true
        }
        Err(state) => state == SETTLED,
    }
}

fn exchange() {
    let own = EXCHANGED.map(Real::definition);
    let Some(ours) = guard::begin(&own) else { return };
    BENEATH.store(own[Function::Malloc as usize], Ordering::Relaxed);
    for (real, address) in EXCHANGED.iter().zip(ours) {
        real.exchange(address);
    }
    for sized in [&FREE_SIZED, &FREE_ALIGNED_SIZED] {
        sized.exchange(ours[Function::Free as usize]);
    }
    ask_for_usable();
}

/// The program's own malloc; 0 if there is none.
pub(crate) fn malloc_beneath() -> usize {
    match BENEATH.load(Ordering::Relaxed) {
        0 => MALLOC.address().unwrap_or(0),
        own => own,
    }
}
