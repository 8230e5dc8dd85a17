//! What a process asks of the collector in its last moment: to look at it before it ends.
//!
//! By a word of the shared memory and a futex: a process that is out of descriptors, in a sandbox or in another
//! network namespace by then could say nothing on a socket, and a sandbox may well kill it for trying.

use crate::emit::{self, now_ns};
use crate::gate::{self, Local};
use crate::patience::{Patience, WAIT_NS};
use crate::sys::call;
use core::sync::atomic::Ordering;
use heaptape_wire::handshake::{CRASH, FREEZE};
use heaptape_wire::layout::{CRASH_WORDS, PLEA_HEARD, PLEA_IN_THE_MAKING, PLEA_NONE, Plea};

/// How long a process waits at most for a collector that lives.
const LIMIT_NS: u64 = 60_000_000_000;

/// Asks to be looked at before the end, and waits until the collector has done that, or is gone, or stopped.
pub(crate) fn at_exit(local: &Local) {
    make(local, FREEZE, |plea, now| {
        // Of two threads that ask, both have left the program.
        plea.tid.store(call::gettid(), Ordering::Relaxed);
        take(plea, now, FREEZE)
    });
}

/// The same, with the report of a crash. All signals are blocked.
pub(crate) fn at_crash(local: &Local, report: &[u64; CRASH_WORDS]) {
    make(local, CRASH, |plea, now| {
        take(plea, now, PLEA_IN_THE_MAKING)?;
        for (word, value) in plea.report.iter().zip(report) {
            word.store(*value, Ordering::Relaxed);
        }
        plea.state.store(CRASH, Ordering::SeqCst);
        Ok(())
    });
}

fn make(local: &Local, purpose: u32, ask: impl Fn(&Plea, u32) -> Result<(), u32>) {
    let plea = &local.page().plea;
    let mut waiting = Waiting::new(local);
    while let Err(now) = ask(plea, plea.state.load(Ordering::Relaxed)) {
        if !waiting.wait(now) {
            return;
        }
    }
    emit::ring_doorbell(local.session());
    // Whatever comes after it is an answer, or the plea of a handler that has interrupted us.
    while plea.state.load(Ordering::Acquire) == purpose {
        if !waiting.wait(purpose) {
            // Nobody is to look for a process that is gone.
            let relaxed = Ordering::Relaxed;
            let _ = plea.state.compare_exchange(purpose, PLEA_NONE, relaxed, relaxed);
        }
    }
}

/// Makes `next` of the state `now`, if nobody waits for an answer; else returns the state. In one step: a handler
/// that interrupts us may ask, too.
fn take(plea: &Plea, now: u32, next: u32) -> Result<(), u32> {
    if now != PLEA_NONE && now != PLEA_HEARD {
        return Err(now);
    }
    // SeqCst for the doorbell; acquires what the collector has read of the last report, releases what we write next.
    let (taken, missed) = (Ordering::SeqCst, Ordering::Relaxed);
    plea.state.compare_exchange(now, next, taken, missed).map(drop)
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
