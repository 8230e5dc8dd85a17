//! How long a thread waits for the collector: as long as its heart beats.

use core::sync::atomic::Ordering;
use heaptape_wire::layout::SessionPage;

/// How long a thread sleeps at most before it looks around.
pub(crate) const WAIT_NS: i64 = 100_000_000;
/// So long without a heartbeat while we wait: the collector is gone or stopped.
const PATIENCE_NS: u64 = 3_000_000_000;

/// See the module.
pub(crate) struct Patience {
    /// The last heartbeat, and when it was heard.
    beat: u64,
    heard: u64,
    /// When we looked last.
    seen: u64,
}

impl Patience {
    /// Begins to wait, now.
    pub(crate) fn new(session: &SessionPage, now: u64) -> Patience {
        Patience { beat: session.heartbeat.load(Ordering::Relaxed), heard: now, seen: now }
    }

    /// Whether the collector is gone or stopped. To be asked after each sleep.
    ///
    /// By the clock, not by counting sleeps: a storm of signals ends them early. A stop of the whole process group must
    /// not count either, so no single step is taken for more than a sleep.
    pub(crate) fn is_over(&mut self, session: &SessionPage, now: u64) -> bool {
        let beat = session.heartbeat.load(Ordering::Relaxed);
        if beat != self.beat || now - self.seen > 2 * WAIT_NS as u64 {
            (self.beat, self.heard) = (beat, now);
        }
        self.seen = now;
        now - self.heard > PATIENCE_NS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_over_when_the_heart_stands_still_and_we_do_not() {
        // SAFETY: all atomics, zero is valid.
        let session: SessionPage = unsafe { core::mem::zeroed() };
        let mut patience = Patience::new(&session, 0);
        let mut lasts = |from: u64, to: u64| {
            (from..=to).all(|step| !patience.is_over(&session, step * WAIT_NS as u64))
        };
        assert!(lasts(1, 30));
        session.heartbeat.store(1, Ordering::Relaxed);
        assert!(lasts(31, 61));
        // Both were stopped for a while.
        assert!(lasts(1061, 1091));
        assert!(!lasts(1092, 1092));
    }
}
