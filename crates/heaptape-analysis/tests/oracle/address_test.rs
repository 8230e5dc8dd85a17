//! The history of an address, and the stream of events, against the lives of all blocks.

use crate::history::*;
use heaptape_analysis::addr::{AddressHistory, Entry};
use heaptape_analysis::events::{self, EventRow};
use heaptape_analysis::filter::Filter;
use heaptape_tape::*;
use proptest::prelude::*;
use std::ops::ControlFlow;

fn rows(recording: &heaptape_analysis::MemoryRecording, filter: &Filter) -> Vec<EventRow> {
    let mut rows = Vec::new();
    let process = &recording.processes[0];
    let ended = events::for_each(recording, &FakeNames, process, filter, |row| {
        rows.push(row);
        ControlFlow::<()>::Continue(())
    });
    assert!(ended.unwrap().is_continue());
    rows
}

proptest! {
    #[test]
    fn address_history_is_every_life_that_contained_it(steps in steps(), offset in 0_u64..0x900) {
        let recording = recording(&steps);
        let address = 0x1000 + offset;
        let history = AddressHistory::compute(
            &recording, &FakeNames, &recording.processes[0], address, usize::MAX,
        ).unwrap();
        let all = &recording.events[&ProcessId(0)];
        let expected: Vec<(u64, Option<u64>)> = lives(all)
            .iter()
            .filter(|life| {
                life.event.addr <= address && address - life.event.addr < life.event.size.max(1)
            })
            .map(|life| {
                let freed = life.ended.filter(|_| !life.overlaid);
                (life.number, freed.map(|at| all[at].time.0))
            })
            .collect();
        let found: Vec<(u64, Option<u64>)> = history
            .entries
            .iter()
            .filter_map(|entry| match entry {
                Entry::Block(block) => {
                    Some((block.block.unwrap(), block.freed.as_ref().map(|act| act.time_ns)))
                }
                Entry::UnmatchedFree(_) => None,
            })
            .collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn events_name_their_blocks(steps in steps()) {
        let recording = recording(&steps);
        let all = &recording.events[&ProcessId(0)];
        let lives = lives(all);
        let rows = rows(&recording, &Filter::default());
        prop_assert_eq!(rows.len(), all.len());
        for life in &lives {
            prop_assert_eq!(rows[life.began].block, Some(life.number));
            if let Some(ended) = life.ended.filter(|_| !life.overlaid) {
                prop_assert_eq!(rows[ended].block, Some(life.number));
                prop_assert_eq!(rows[ended].size, life.event.size);
                let lived = all[ended].time.0 - life.event.time.0;
                prop_assert_eq!(rows[ended].lived_ns, Some(lived));
            }
        }
    }

    /// A filter shows exactly the rows of the whole stream that it describes.
    #[test]
    fn filters_select(steps in steps(), from in 0_u64..60, length in 0_u64..60, tid in 1000_u32..1003) {
        let recording = recording(&steps);
        let all = rows(&recording, &Filter::default());
        let times = format!("{from}ns..{}ns", from + length).parse().unwrap();
        let by_time = rows(&recording, &Filter { times: Some(times), ..Filter::default() });
        let expected: Vec<EventRow> =
            all.iter().filter(|r| (from..=from + length).contains(&r.time_ns)).cloned().collect();
        prop_assert_eq!(by_time, expected);

        let filter = Filter {
            tid: Some(tid),
            kinds: vec!["alloc".parse().unwrap()],
            sizes: Some("10..200".parse().unwrap()),
            text: Some("rec".to_owned()),
            ..Filter::default()
        };
        let on_rec = |row: &EventRow| {
            let event = recording.events[&ProcessId(0)][row.index as usize];
            heaptape_analysis::names::backtrace(&recording, &FakeNames, event.backtrace)
                .iter()
                .any(|frame| frame.function.contains("rec"))
        };
        let expected: Vec<EventRow> = all
            .iter()
            .filter(|r| r.tid == tid && r.action.ends_with("alloc") && (10..=200).contains(&r.size))
            .filter(|r| on_rec(r))
            .cloned()
            .collect();
        prop_assert_eq!(rows(&recording, &filter), expected);
    }
}
