//! Wrong frees on random histories of threads that free what they should not, against a look back through the
//! whole history at each end of a block.

use crate::history::{FakeNames, recording};
use heaptape_analysis::MemoryRecording;
use heaptape_analysis::errors::{Confidence, Errors, Kind, WrongFree};
use heaptape_analysis::summary::Summary;
use heaptape_tape::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const SLOT: u64 = 0x100;
const TAKES: [Api; 4] = [Api::Malloc, Api::New, Api::NewArray, Api::AlignedAlloc];
const GIVES: [Api; 5] = [Api::Free, Api::Delete, Api::DeleteArray, Api::FreeSized, Api::Free];

/// What a thread wants to do next: its realloc, if it is in one, is brought to its end instead.
#[derive(Clone, Debug)]
struct Wish {
    thread: u32,
    what: u8,
    slot: u64,
    offset: u64,
    size: u64,
    api: usize,
    fails: bool,
}

fn wishes() -> impl Strategy<Value = Vec<Wish>> {
    let offset = prop_oneof![6 => Just(0_u64), 1 => Just(16_u64), 1 => Just(20_u64)];
    let wish = (0_u32..3, 0_u8..8, 0_u64..6, offset, 0_u64..64, 0_usize..5, any::<bool>());
    let wish = wish.prop_map(|(thread, what, slot, offset, size, api, fails)| Wish {
        thread,
        what,
        slot,
        offset,
        size,
        api,
        fails,
    });
    prop::collection::vec(wish, 0..120)
}

/// The history that comes of the wishes. Blocks never lie over one another, as in a real heap.
fn history(wishes: &[Wish]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    let mut live: BTreeMap<u64, ()> = BTreeMap::new();
    let mut releasing: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
    for wish in wishes {
        let mut event = Event {
            time: TimeNs(events.len() as u64),
            thread: ThreadId(wish.thread),
            action: Action::Alloc,
            api: Api::Realloc,
            align_log2: 0,
            addr: 0x10000 + wish.slot * SLOT,
            size: wish.size,
            usable: 0,
            backtrace: BacktraceId((events.len() % 10) as u32),
        };
        let is_taken = live.contains_key(&event.addr);
        if let Some((old, was_live)) = releasing.remove(&wish.thread) {
            // Nobody else can have been given the address of a block whose realloc fails.
            let reused = events
                .iter()
                .rev()
                .take_while(|e| e.thread != event.thread)
                .any(|e| e.addr == old && e.action.begins_block());
            let may_fail = was_live && !reused;
            if wish.fails && may_fail {
                (event.action, event.addr) = (Action::ReallocFail, old);
                live.insert(old, ());
            } else if !is_taken {
                event.action = Action::ReallocAlloc;
                live.insert(event.addr, ());
            } else {
                // It was a realloc to nothing.
                event.action = Action::AllocFail;
                event.addr = 0;
            }
        } else if wish.what < 3 {
            if is_taken {
                continue;
            }
            event.api = TAKES[wish.api % TAKES.len()];
            live.insert(event.addr, ());
        } else {
            event.addr += wish.offset;
            let was_live = live.remove(&event.addr).is_some();
            if wish.what < 7 {
                event.action = Action::Free;
                event.api = GIVES[wish.api];
                event.size = if event.api == Api::Free { 0 } else { wish.size };
            } else {
                event.action = Action::ReallocRelease;
                releasing.insert(wish.thread, (event.addr, was_live));
            }
        }
        events.push(event);
    }
    events
}

/// The events that began a block which is live just before event `at`.
fn live_before(events: &[Event], at: usize) -> Vec<usize> {
    let mut live: Vec<usize> = Vec::new();
    let mut released: BTreeMap<ThreadId, usize> = BTreeMap::new();
    for (index, event) in events[..at].iter().enumerate() {
        match event.action {
            Action::Alloc | Action::ReallocAlloc => live.push(index),
            Action::Free | Action::ReallocRelease => {
                released.remove(&event.thread);
                let found = live.iter().position(|&begin| events[begin].addr == event.addr);
                if let Some(found) = found {
                    released.insert(event.thread, live.remove(found));
                }
            }
            Action::ReallocFail => live.extend(released.remove(&event.thread)),
            _ => {}
        }
    }
    live
}

/// What the end of a block at event `at` is, and the rank of the block concerned; `None` where it is right.
fn expected(events: &[Event], at: usize) -> Option<(Kind, Option<u64>)> {
    let end = &events[at];
    let rank = |begin: usize| {
        1 + events[..begin].iter().filter(|event| event.action.begins_block()).count() as u64
    };
    let begins = || (0..at).filter(|&index| events[index].action.begins_block());
    let over = |&begin: &usize| {
        let block = &events[begin];
        block.addr <= end.addr && end.addr - block.addr < block.size.max(1)
    };
    let live = live_before(events, at);
    if let Some(&begin) = live.iter().find(|&&begin| events[begin].addr == end.addr) {
        return misfit(&events[begin], end).map(|kind| (kind, Some(rank(begin))));
    }
    if let Some(begin) = live.iter().copied().find(over) {
        return Some((Kind::InsideBlock, Some(rank(begin))));
    }
    let is_realloc = end.action == Action::ReallocRelease;
    if let Some(begin) = begins().rev().find(|&index| events[index].addr == end.addr) {
        let was_live = |index: usize| live_before(events, index).contains(&begin);
        let ended = (begin + 1..at).rev().find(|&index| {
            events[index].action.ends_block() && events[index].addr == end.addr && was_live(index)
        })?;
        let next = (ended + 1..events.len()).find(|&i| events[i].thread == events[ended].thread);
        let of_realloc = events[ended].action == Action::ReallocRelease;
        let kind = match next {
            Some(next)
                if of_realloc && next < at && events[next].action == Action::ReallocAlloc =>
            {
                Kind::FreedAfterMove
            }
            next if of_realloc && events[ended].size > 0 && next.is_none_or(|next| next > at) => {
                Kind::ReallocRace
            }
            _ if is_realloc => Kind::ReallocOfFreed,
            _ => Kind::DoubleFree,
        };
        return Some((kind, Some(rank(begin))));
    }
    let inside = begins().rev().find(over);
    let kind = if inside.is_some() { Kind::InsideFreed } else { Kind::NoBlock };
    Some((kind, inside.map(rank)))
}

fn misfit(block: &Event, end: &Event) -> Option<Kind> {
    let family = |name: &str| (name.ends_with("[]"), name.starts_with("operator"));
    if family(block.api.name()) != family(end.api.name()) {
        return Some(Kind::Mismatched);
    }
    match end.api {
        Api::FreeSized if block.api == Api::AlignedAlloc => Some(Kind::WrongAlignment),
        Api::FreeSized if block.size != end.size => Some(Kind::WrongSize),
        Api::Delete | Api::DeleteArray if end.size > 0 && block.size != end.size => {
            Some(Kind::WrongSize)
        }
        _ => None,
    }
}

fn with_events(events: Vec<Event>) -> MemoryRecording {
    let mut recording = recording(&[]);
    recording.events.insert(ProcessId(0), events);
    recording
}

fn errors_of(recording: &MemoryRecording) -> Errors {
    let process = &recording.processes[0];
    let errors = Errors::compute(recording, &FakeNames, process, usize::MAX).unwrap();
    let (_, beside) = Summary::with_errors(recording, &FakeNames, process, 10, usize::MAX).unwrap();
    assert_eq!(beside, errors, "what a summary finds beside");
    errors
}

proptest! {
    /// Whichever list they are in, and however short it is.
    #[test]
    fn a_summary_finds_the_same_errors(wishes in wishes(), limit in 0_usize..20) {
        let recording = with_events(history(&wishes));
        let process = &recording.processes[0];
        let errors = |limit| Errors::compute(&recording, &FakeNames, process, limit).unwrap();
        let (summary, found) =
            Summary::with_errors(&recording, &FakeNames, process, 3, limit).unwrap();
        prop_assert_eq!(found, errors(limit));
        prop_assert_eq!(summary.errors, errors(10).findings);
    }
}

proptest! {
    #[test]
    fn every_wrong_free_is_found_and_no_right_one(wishes in wishes()) {
        let events = history(&wishes);
        let ends = (0..events.len()).filter(|&at| events[at].action.ends_block());
        let wrong: BTreeMap<u64, (Kind, Option<u64>)> =
            ends.filter_map(|at| Some((at as u64, expected(&events, at)?))).collect();
        let found = errors_of(&with_events(events)).findings;
        let all: Vec<&WrongFree> = found.errors.iter().chain(&found.undecided).collect();
        let mut times: BTreeMap<&str, u64> = BTreeMap::new();
        for one in &all {
            // Each event has a time of its own, which is its place in the history.
            let told = (one.kind, one.block.as_ref().and_then(|block| block.block));
            prop_assert_eq!(wrong.get(&one.act.time_ns), Some(&told), "{:#?}", one);
            *times.entry(name(one.kind)).or_default() += one.times;
        }
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        wrong.values().for_each(|(kind, _)| *expected.entry(name(*kind)).or_default() += 1);
        prop_assert_eq!(times, expected);
        prop_assert_eq!(found.total + found.undecided_total, wrong.len() as u64);
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::DoubleFree => "double free",
        Kind::ReallocOfFreed => "realloc of freed",
        Kind::FreedAfterMove => "freed after move",
        Kind::ReallocRace => "realloc race",
        Kind::InsideBlock => "inside block",
        Kind::InsideFreed => "inside freed",
        Kind::NoBlock => "no block",
        Kind::Mismatched => "mismatched",
        Kind::WrongSize => "wrong size",
        Kind::WrongAlignment => "wrong alignment",
        // Found in the target, not in the history.
        Kind::Overflow | Kind::Underflow | Kind::WriteAfterFree => unreachable!("{kind:?}"),
    }
}

/// A malloc, a free and a free again; each with its time.
fn twice() -> MemoryRecording {
    let wish = |what| Wish { thread: 0, what, slot: 0, offset: 0, size: 8, api: 0, fails: false };
    with_events(history(&[wish(0), wish(3), wish(3)]))
}

#[test]
fn losses_make_it_probable_only() {
    let mut recording = twice();
    assert_eq!(errors_of(&recording).findings.errors[0].confidence, Confidence::Certain);
    recording.processes[0].losses.events = 1;
    let error = &errors_of(&recording).findings.errors[0];
    assert_eq!((error.confidence, error.why.is_some()), (Confidence::Probable, true));
}

#[test]
fn an_abort_is_tied_to_the_last_event_of_its_thread_only() {
    let abort = |thread| Crash {
        time: TimeNs(9),
        thread: Some(ThreadId(thread)),
        signal: 6,
        code: -6,
        ..Crash::unknown(ProcessId(0))
    };
    let mut recording = twice();
    recording.crashes.push(abort(1));
    assert_eq!(errors_of(&recording).findings.errors[0].fatal_signal, None, "another thread's");
    recording.crashes.push(abort(0));
    assert_eq!(errors_of(&recording).findings.errors[0].fatal_signal, Some(6));
    let mut events = recording.events[&ProcessId(0)].clone();
    events.push(Event { action: Action::AllocFail, addr: 0, time: TimeNs(5), ..events[0] });
    recording.events.insert(ProcessId(0), events);
    assert_eq!(errors_of(&recording).findings.errors[0].fatal_signal, None, "it lived on");
}

#[test]
fn a_child_knows_what_its_parent_freed() {
    let mut recording = twice();
    let events = recording.events.remove(&ProcessId(0)).unwrap();
    recording
        .processes
        .push(Process { forked_from: Some((ProcessId(0), 2)), ..crate::history::process(1, 9) });
    recording.threads.push(Thread {
        id: ThreadId(3),
        process: ProcessId(1),
        tid: 1003,
        name: Vec::new(),
        start: TimeNs(0),
    });
    recording.events.insert(ProcessId(0), events[..2].to_vec());
    recording.events.insert(ProcessId(1), vec![Event { thread: ThreadId(3), ..events[2] }]);
    let child = &recording.processes[1];
    let found = Errors::compute(&recording, &FakeNames, child, 9).unwrap().findings;
    let error = &found.errors[0];
    assert_eq!(error.kind, Kind::DoubleFree);
    let block = error.block.as_ref().unwrap();
    assert_eq!((block.block, block.freed.as_ref().unwrap().time_ns), (None, 1));
}
