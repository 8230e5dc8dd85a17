//! What a process asks of the collector in its last moment: to look at it before it ends.
//!
//! By a word of the shared memory and a futex: a process that is out of descriptors, in a sandbox or in another
//! network namespace by then could say nothing on a socket, and a sandbox may well kill it for trying.

use crate::emit::{self, now_ns};
use crate::gate::{self, Local};
use crate::patience::{Patience, WAIT_NS};
use crate::sys::call;
use core::sync::atomic::Ordering;
use heaptape_wire::layout::{CRASH_WORDS, PLEA_HEARD, PLEA_IN_THE_MAKING, PLEA_NONE};

/// How long a process waits at most for a collector that lives.
const LIMIT_NS: u64 = 60_000_000_000;

/// Asks for `purpose` (`FREEZE`, or `CRASH` with its report) and waits until the collector has done what it
/// wanted to do, or is gone, or stopped.
pub(crate) fn make(local: &Local, purpose: u32, report: &[u64; CRASH_WORDS]) {
    let plea = &local.page().plea;
    let mut waiting = Waiting::new(local);
    // Acquire pairs with the release store at the end: another thread may be asking.
    while let Err(now) = plea.state.compare_exchange(
        PLEA_NONE,
        PLEA_IN_THE_MAKING,
        Ordering::Acquire,
        Ordering::Relaxed,
    ) {
        if !waiting.wait(now) {
            return;
        }
    }
    for (word, value) in plea.report.iter().zip(report) {
        word.store(*value, Ordering::Relaxed);
    }
    // Release pairs with the collector's acquire load; SeqCst for the doorbell.
    plea.state.store(purpose, Ordering::SeqCst);
    emit::ring_doorbell(local.session());
    // The answer tells nothing but that it is there.
    while plea.state.load(Ordering::Relaxed) != PLEA_HEARD && waiting.wait(purpose) {}
    plea.state.store(PLEA_NONE, Ordering::Release);
    call::futex_wake(plea.state.as_ptr());
}

struct Waiting<'a> {
    local: &'a Local,
    began: u64,
    patience: Patience,
}

impl Waiting<'_> {
    fn new(local: &Local) -> Waiting<'_> {
        let began = now_ns();
        Waiting { local, began, patience: Patience::new(local.session(), began) }
    }

    /// Sleeps a while if the state is `value`; whether it makes sense to wait any longer.
    fn wait(&mut self, value: u32) -> bool {
        let now = now_ns();
        let is_over = self.patience.is_over(self.local.session(), now);
        if is_over {
            self.local.close();
            gate::note_stall();
        }
        if is_over || now - self.began > LIMIT_NS || !self.local.check_remote() {
            return false;
        }
        call::futex_wait(self.local.page().plea.state.as_ptr(), value, WAIT_NS);
        true
    }
}
