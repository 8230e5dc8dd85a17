//! Random recordings: valid ones with every kind of event, and some events that make no sense.

use heaptape_analysis::{Frame, MemoryRecording, Names};
use heaptape_tape::*;
use proptest::prelude::*;
use std::sync::Arc;

/// Names of fake nodes: node `n` is function `FUNCTIONS[n % len]` at line `n`.
pub(crate) struct FakeNames;

pub(crate) const FUNCTIONS: &[&str] =
    &["main", "work()", "std::vector<int>::push_back(int const&)", "xmalloc", "rec(int)"];

impl Names for FakeNames {
    fn frames(&self, id: BacktraceId, _node: &BacktraceNode) -> Arc<[Frame]> {
        let function: Arc<str> = FUNCTIONS[id.0 as usize % FUNCTIONS.len()].into();
        let frame = Frame {
            short: Arc::clone(&function),
            function,
            file: Some("demo.cpp".into()),
            line: id.0 % 3,
            module: Some("demo".into()),
            inlined: false,
            why: None,
            named: true,
        };
        Arc::from([frame])
    }

    fn module_state(&self, _module: ModuleId) -> String {
        "fake".to_owned()
    }
}

/// One step of a random history. Slots are addresses `0x1000 + slot * 0x100`.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Alloc { slot: u64, size: u64 },
    Free { slot: u64 },
    Realloc { slot: u64, to: u64, size: u64, fails: bool },
    ReallocToNothing { slot: u64 },
    Fail { size: u64 },
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<(Step, u32, u32, u64)>> {
    let slot = 0_u64..8;
    let size = prop_oneof![0_u64..40, 100_u64..300, Just(70_000)];
    let step = prop_oneof![
        4 => (slot.clone(), size.clone()).prop_map(|(slot, size)| Step::Alloc { slot, size }),
        4 => slot.clone().prop_map(|slot| Step::Free { slot }),
        2 => (slot.clone(), slot.clone(), size.clone(), any::<bool>())
            .prop_map(|(slot, to, size, fails)| Step::Realloc { slot, to, size, fails }),
        1 => slot.prop_map(|slot| Step::ReallocToNothing { slot }),
        1 => size.prop_map(|size| Step::Fail { size }),
    ];
    // with thread, backtrace and time passed
    prop::collection::vec((step, 0_u32..3, 0_u32..10, 0_u64..4), 0..60)
}

pub(crate) fn process(id: u32, end: u64) -> Process {
    Process {
        id: ProcessId(id),
        pid: 100 + id,
        ppid: 1,
        forked_from: None,
        exe: b"/bin/demo".to_vec(),
        argv: vec![b"./demo".to_vec()],
        start: TimeNs(0),
        end: TimeNs(end),
        ending: Ending::Exited(0),
        losses: Losses::default(),
    }
}

/// A recording of one process with three threads and ten backtrace nodes.
pub(crate) fn recording(steps: &[(Step, u32, u32, u64)]) -> MemoryRecording {
    let mut recording = MemoryRecording::default();
    recording.header.page_size = 512;
    for id in 0..3 {
        let (tid, start) = (1000 + id, TimeNs(0));
        let (id, process) = (ThreadId(id), ProcessId(0));
        recording.threads.push(Thread { id, process, tid, name: b"t".to_vec(), start });
    }
    for id in 1..10_u32 {
        recording.add_node(BacktraceNode {
            parent: BacktraceId(id / 2),
            module: None,
            address: u64::from(id),
            quality: FrameQuality::Exact,
        });
    }
    let mut time = 0;
    let mut events = Vec::new();
    for (step, thread, backtrace, passed) in steps {
        time += passed;
        let base = Event {
            time: TimeNs(time),
            thread: ThreadId(*thread),
            action: Action::Alloc,
            api: Api::Malloc,
            align_log2: 0,
            addr: 0,
            size: 0,
            usable: 0,
            backtrace: BacktraceId(*backtrace),
        };
        events.extend(events_of(step, base));
    }
    recording.processes.push(process(0, time));
    recording.events.insert(ProcessId(0), events);
    recording
}

fn events_of(step: &Step, base: Event) -> Vec<Event> {
    let at = |slot: u64| 0x1000 + slot * 0x100;
    let event = |action, addr, size| Event { action, addr, size, ..base };
    match *step {
        Step::Alloc { slot, size } => vec![event(Action::Alloc, at(slot), size)],
        Step::Free { slot } => vec![event(Action::Free, at(slot), 0)],
        Step::Realloc { slot, size, fails: true, .. } => vec![
            event(Action::ReallocRelease, at(slot), size),
            event(Action::ReallocFail, at(slot), size),
        ],
        Step::Realloc { slot, to, size, .. } => vec![
            event(Action::ReallocRelease, at(slot), size),
            event(Action::ReallocAlloc, at(to), size),
        ],
        Step::ReallocToNothing { slot } => vec![event(Action::ReallocRelease, at(slot), 0)],
        Step::Fail { size } => vec![event(Action::AllocFail, 0, size)],
    }
}

/// A block's whole life, found by looking ahead in the list of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) number: u64,
    pub(crate) began: usize,
    /// The event that ended it: a free, a realloc's release, or an allocation over it.
    pub(crate) ended: Option<usize>,
    pub(crate) overlaid: bool,
    pub(crate) event: Event,
}

pub(crate) fn lives(events: &[Event]) -> Vec<Life> {
    let begins = events.iter().enumerate().filter(|(_, event)| event.action.begins_block());
    let mut lives = Vec::new();
    for (number, (began, event)) in (1..).zip(begins) {
        let same = |at: &usize| events[*at].addr == event.addr;
        let end = (began + 1..events.len()).filter(same).find(|&at| match events[at].action {
            Action::Alloc | Action::ReallocAlloc | Action::Free => true,
            // The next step of the history tells the outcome; a failed one ended nothing.
            Action::ReallocRelease => {
                events.get(at + 1).is_none_or(|next| next.action != Action::ReallocFail)
            }
            _ => false,
        });
        let overlaid = end.is_some_and(|at| events[at].action.begins_block());
        lives.push(Life { number, began, ended: end, overlaid, event: *event });
    }
    lives
}

/// The lives that are live after `count` events.
pub(crate) fn live_after(lives: &[Life], count: usize) -> Vec<&Life> {
    lives
        .iter()
        .filter(|life| life.began < count && life.ended.is_none_or(|ended| ended >= count))
        .collect()
}
