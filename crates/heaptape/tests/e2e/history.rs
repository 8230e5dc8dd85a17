//! The tape's side of the comparison: one process's events as a ledger page would state them.

use super::ledger::{Act, Counts};
use heaptape_tape::{Action, Api, Effect, Event, LiveSet, ProcessId, Tape, ThreadId};
use std::collections::{BTreeSet, HashMap};

/// One process's history for blocks of some sizes.
pub(crate) struct History {
    pub(crate) counts: Counts,
    pub(crate) peak: u64,
}

/// Replays `process` and keeps what concerns blocks of `sizes`. Panics where the history cannot be
/// true: a free of what is not live, a block over another, time running backwards.
pub(crate) fn replay(tape: &Tape, process: ProcessId, sizes: &BTreeSet<u64>) -> History {
    let mut live = tape.live_at_start(process).expect("the inherited blocks");
    let mut history = Replay::new(&live, sizes);
    let mut last = 0;
    for (index, event) in tape.events(process, 0).enumerate() {
        let event = event.expect("a readable event");
        let at = || format!("event {index} of process {}: {event:?}", process.0);
        assert!(event.time.0 >= last, "time runs backwards at {}", at());
        last = event.time.0;
        let effect = live.apply(&event);
        assert_ne!(effect, Effect::Unmatched, "a free of no live block, {}", at());
        if let Effect::Began(_, Some(below)) = effect {
            panic!("reused before its free: {below:?}, {}", at());
        }
        history.note(&event, effect);
    }
    History { counts: history.counts, peak: history.peak }
}

struct Replay<'a> {
    sizes: &'a BTreeSet<u64>,
    counts: Counts,
    live_bytes: u64,
    peak: u64,
    /// The size each thread's pending realloc asked for.
    asked: HashMap<ThreadId, u64>,
}

impl Replay<'_> {
    fn new<'a>(inherited: &LiveSet, sizes: &'a BTreeSet<u64>) -> Replay<'a> {
        let live_bytes =
            inherited.blocks().map(|block| block.size).filter(|size| sizes.contains(size)).sum();
        let asked = HashMap::new();
        Replay { sizes, counts: Counts::new(), live_bytes, peak: live_bytes, asked }
    }

    fn note(&mut self, event: &Event, effect: Effect) {
        if event.action == Action::ReallocRelease {
            self.asked.insert(event.thread, event.size);
        }
        match effect {
            Effect::Began(block, _) => {
                self.count(Act::Took, event.api, block.size, 1);
                self.live_bytes += self.weight(block.size);
                self.peak = self.peak.max(self.live_bytes);
            }
            Effect::Ended(block) => {
                self.count(Act::Gave, event.api, block.size, 1);
                self.live_bytes -= self.weight(block.size);
            }
            Effect::Restored(block) => {
                self.count(Act::Gave, event.api, block.size, -1);
                self.live_bytes += self.weight(block.size);
                let asked = self.asked[&event.thread];
                self.count(Act::Failed, event.api, asked, 1);
            }
            Effect::Nothing if event.action == Action::AllocFail => {
                self.count(Act::Failed, event.api, event.size, 1);
            }
            Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => {}
        }
    }

    fn weight(&self, size: u64) -> u64 {
        if self.sizes.contains(&size) { size } else { 0 }
    }

    fn count(&mut self, act: Act, api: Api, size: u64, change: i64) {
        if !self.sizes.contains(&size) {
            return;
        }
        let name = api.name().trim_start_matches("operator ").to_owned();
        let key = (act, name, size);
        let count = self.counts.entry(key.clone()).or_default();
        *count = count.checked_add_signed(change).expect("a release before its restoration");
        if *count == 0 {
            self.counts.remove(&key);
        }
    }
}
