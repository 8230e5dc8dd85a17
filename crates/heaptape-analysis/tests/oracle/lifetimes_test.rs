//! The table of all blocks against the live set of every moment, of histories that make no sense at all.

use crate::history::{process, recording, steps};
use heaptape_analysis::flows::{Flow, Flows};
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes, NEVER, flags};
use heaptape_analysis::temporary::Temporaries;
use heaptape_analysis::{MemoryRecording, Recording, Weight, replay};
use heaptape_tape::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A block, whoever tells of it: number, address, thread, size.
type Name = (u64, u64, u32, u64);

fn of_row(block: &Lifetime) -> Name {
    (block.id.0, block.addr, block.thread.0, block.size)
}

fn of_live(block: &LiveBlock) -> Name {
    (block.id.0, block.addr, block.thread.0, block.size)
}

/// Any actions of three threads at few addresses: reallocs whose halves are far apart, frees of nothing, overlays.
fn any_events() -> impl Strategy<Value = Vec<Event>> {
    let event = (0_u8..8, 0_u32..3, 0_u64..6, 0_u64..50, 0_u32..10, 0_u64..3);
    prop::collection::vec(event, 0..80).prop_map(|all| {
        let mut time = 0;
        let event = |(action, thread, addr, size, backtrace, passed)| {
            time += passed;
            Event {
                time: TimeNs(time),
                thread: ThreadId(thread),
                action: Action::from_u8(action).unwrap(),
                api: Api::ALL[usize::from(action)],
                align_log2: 0,
                addr: 0x1000 + addr * 0x100,
                size,
                usable: size + 8,
                backtrace: BacktraceId(backtrace),
            }
        };
        all.into_iter().map(event).collect()
    })
}

/// A parent with a sensible history and a child that was forked somewhere in it and does anything.
fn forked(
    steps: &[(crate::history::Step, u32, u32, u64)],
    at: u64,
    events: Vec<Event>,
) -> MemoryRecording {
    let mut recording = recording(steps);
    let at = at.min(recording.event_count(ProcessId(0)));
    let mut child = process(1, 1000);
    child.forked_from = Some((ProcessId(0), at));
    // The child's threads are not the parent's.
    let renamed = events.into_iter().map(|it| Event { thread: ThreadId(it.thread.0 + 3), ..it });
    recording.events.insert(ProcessId(1), renamed.collect());
    recording.processes.push(child);
    recording
}

/// Who is live after each number of events: as the live set has it, with those whose realloc is going to fail.
fn live_by_position(recording: &MemoryRecording, of: ProcessId) -> Vec<BTreeSet<Name>> {
    let events = &recording.events[&of];
    let mut live = recording.live_at_start(of).unwrap();
    let mut by_position = vec![live.blocks().map(of_live).collect::<BTreeSet<_>>()];
    let mut released = Vec::new();
    for (rank, event) in events.iter().enumerate() {
        let effect = live.apply(event);
        by_position.push(live.blocks().map(of_live).collect());
        match effect {
            Effect::Ended(block) if event.action == Action::ReallocRelease => {
                released.push((event.thread, block, rank));
            }
            Effect::Restored(block) => {
                let whose =
                    |it: &&(ThreadId, LiveBlock, usize)| it.0 == event.thread && it.1 == block;
                let (_, _, since) = *released.iter().rfind(whose).unwrap();
                by_position[since + 1..=rank].iter_mut().for_each(|set| {
                    set.insert(of_live(&block));
                });
            }
            _ => {}
        }
    }
    by_position
}

fn check(recording: &MemoryRecording, of: ProcessId) -> Result<(), TestCaseError> {
    let events = &recording.events[&of];
    let lifetimes = Lifetimes::of(recording, of, &|_| true).unwrap();
    for (position, live) in live_by_position(recording, of).iter().enumerate() {
        let rows = lifetimes.blocks.iter().filter(|block| block.is_live(position as u32));
        prop_assert_eq!(&rows.map(of_row).collect::<BTreeSet<_>>(), live, "{}", position);
    }
    let begun = events.iter().enumerate().filter(|(_, event)| event.action.begins_block());
    let born: Vec<u32> = lifetimes.blocks[lifetimes.inherited..].iter().map(|it| it.born).collect();
    prop_assert_eq!(born, begun.map(|(rank, _)| rank as u32).collect::<Vec<_>>());
    let inherited = &lifetimes.blocks[..lifetimes.inherited];
    prop_assert!(inherited.iter().all(|it| it.born == NEVER && it.is(flags::INHERITED)));
    prop_assert_eq!(lifetimes.blocks.len() as u64, lifetimes.of_blocks);
    for block in &lifetimes.blocks {
        if let Some(event) = events.get(block.born as usize) {
            prop_assert_eq!(
                (event.addr, event.size, event.usable),
                (block.addr, block.size, block.usable)
            );
            prop_assert_eq!((event.backtrace, event.api as u8), (block.backtrace, block.api));
            prop_assert_eq!(event.action == Action::ReallocAlloc, block.is(flags::FROM_REALLOC));
        }
        if let Some(event) = events.get(block.died as usize) {
            prop_assert_eq!(event.thread, block.freed_thread);
            prop_assert_eq!(event.action == Action::ReallocRelease, block.is(flags::TO_REALLOC));
            let overlaid = event.action.begins_block() || event.action == Action::ReallocFail;
            prop_assert_eq!(overlaid, block.is(flags::OVERLAID));
            if !overlaid {
                prop_assert_eq!(event.backtrace, block.freed_backtrace);
            }
        }
    }
    let freed = lifetimes.blocks.iter().filter(|it| it.died != NEVER && !it.is(flags::OVERLAID));
    let frees = recording.live_at(of, Moment::End).unwrap().totals().frees;
    prop_assert_eq!(freed.count() as u64, frees);
    Ok(())
}

/// Only of a history with some sense: in the middle of a realloc a thread does nothing else.
fn check_temporary(recording: &MemoryRecording, of: ProcessId) -> Result<(), TestCaseError> {
    let lifetimes = Lifetimes::of(recording, of, &|_| true).unwrap();
    let temporary = |block: &&Lifetime| block.is(flags::TEMPORARY);
    let rows: BTreeSet<Name> = lifetimes.blocks.iter().filter(temporary).map(of_row).collect();
    let mut found = BTreeSet::new();
    let mut temporaries = Temporaries::default();
    let mut live = recording.live_at_start(of).unwrap();
    let note = &mut |event: &Event, effect: &Effect<&LiveBlock>, _: &Totals| {
        temporaries.note(event, effect, |block| found.extend([of_live(block)]));
    };
    replay::whole(recording, of, &mut live, note).unwrap();
    found.extend(temporaries.finish().map(|block| of_live(&block)));
    prop_assert_eq!(rows, found);
    Ok(())
}

proptest! {
    #[test]
    fn rows_are_the_live_sets_of_all_moments(steps in steps()) {
        let recording = recording(&steps);
        check(&recording, ProcessId(0))?;
        check_temporary(&recording, ProcessId(0))?;
    }

    #[test]
    fn rows_of_nonsense_are_its_live_sets(
        steps in steps(), at in 0_u64..60, events in any_events(),
    ) {
        check(&forked(&steps, at, events), ProcessId(1))?;
    }

    /// What is not kept changes nothing for what is.
    #[test]
    fn rows_are_kept_by_what_they_are(steps in steps(), size in 0_u64..200) {
        let recording = recording(&steps);
        let all = Lifetimes::of(&recording, ProcessId(0), &|_| true).unwrap();
        let some = Lifetimes::of(&recording, ProcessId(0), &|block| block.size >= size).unwrap();
        let expected: Vec<Lifetime> = all.blocks.into_iter().filter(|it| it.size >= size).collect();
        prop_assert_eq!(some.blocks, expected);
        prop_assert_eq!(some.of_blocks, all.of_blocks);
    }
}

/// Bytes and blocks by backtrace, of those blocks that a measure counts.
fn sums<'a, T: 'a>(
    all: impl IntoIterator<Item = &'a T>,
    of: impl Fn(&T) -> Option<(BacktraceId, Weight)>,
) -> std::collections::BTreeMap<BacktraceId, Weight> {
    let mut sums = std::collections::BTreeMap::new();
    for (backtrace, weight) in all.into_iter().filter_map(of) {
        *sums.entry(backtrace).or_insert(Weight::default()) += weight;
    }
    sums.retain(|_, weight| weight.blocks > 0);
    sums
}

proptest! {
    /// At lines of the grid, flows measure what their blocks do, however coarse the grid had to be.
    #[test]
    fn flows_are_exact_on_their_grid(
        steps in steps(), at in 0_u64..60, events in any_events(), most in 1_u64..120,
    ) {
        let recording = forked(&steps, at, events);
        let process = ProcessId(1);
        let flows = Flows::of(&recording, process, most).unwrap();
        let all = Lifetimes::of(&recording, process, &|_| true).unwrap().blocks;
        prop_assert!(flows.rows.len() as u64 <= most.div_ceil(4) || flows.grid == 1);
        let count = recording.event_count(process);
        let lines: Vec<u32> =
            (0..=flows.grid).map(|nth| (u64::from(nth) * count / u64::from(flows.grid)) as u32).collect();
        for (nth, &a) in lines.iter().enumerate().step_by(1.max(lines.len() / 9)) {
            let live = |flow: &Flow| (flow.born == NEVER || flow.born < a) && a <= flow.died;
            prop_assert_eq!(
                sums(&flows.rows, |it| live(it).then_some((it.backtrace, it.weight))),
                sums(&all, |it| it.is_live(a).then_some((it.backtrace, Weight::block(it.size))))
            );
            for &b in lines[nth..].iter().step_by(1.max(lines.len() / 7)) {
                let kept = |born: u32, died: u32| a <= born && born < b && b <= died && born != NEVER;
                prop_assert_eq!(
                    sums(&flows.rows, |it| kept(it.born, it.died).then_some((it.backtrace, it.weight))),
                    sums(&all, |it| kept(it.born, it.died).then_some((it.backtrace, Weight::block(it.size))))
                );
                let within = |rank: u32| a <= rank && rank < b;
                prop_assert_eq!(
                    sums(&flows.rows, |it| within(it.died).then_some((it.backtrace, it.weight))),
                    sums(&all, |it| within(it.died).then_some((it.backtrace, Weight::block(it.size))))
                );
                prop_assert_eq!(
                    sums(&flows.rows, |it| within(it.born).then_some((it.backtrace, it.temporary))),
                    sums(&all, |it| (within(it.born) && it.is(flags::TEMPORARY))
                        .then_some((it.backtrace, Weight::block(it.size))))
                );
            }
        }
        let kept = all.iter().filter(|block| flows.kept.has(block)).count() as u64;
        prop_assert!(kept <= most, "{} of {}", kept, most);
    }
}
