//! The blocks of overwrites against a search backwards from each; alike are those with the same backtraces.

use crate::history::*;
use heaptape_analysis::addr::Act;
use heaptape_analysis::errors::{Errors, Kind};
use heaptape_tape::*;
use proptest::prelude::*;

/// A block, and when it began and ended.
type Told = (u64, Option<u64>, Option<u64>);

proptest! {
    #[test]
    fn the_block_is_the_last_that_began_there(
        steps in steps(),
        places in prop::collection::vec((0_u64..12, 0_u64..80), 0..8),
    ) {
        let mut recording = recording(&steps);
        let process = recording.processes[0].clone();
        let all = recording.events[&process.id].clone();
        recording.overwrites = places
            .iter()
            .map(|&(slot, event)| Overwrite {
                process: process.id,
                time: TimeNs(event),
                thread: None,
                event: event.checked_sub(1),
                kind: OverwriteKind::AfterEnd,
                found: Found::AtInterval,
                block: 0x1000 + slot * 0x100,
                size: 1,
                offset: 1,
                length: 1,
                seen: vec![0],
            })
            .collect();
        let errors = Errors::compute(&recording, &FakeNames, &process, usize::MAX).unwrap().findings;
        let kind = errors.kinds.iter().find(|kind| kind.kind == Kind::Overflow);
        let counted = kind.map_or((0, 0), |kind| (kind.errors as usize, kind.times as usize));
        prop_assert_eq!(counted, (errors.overwrites.len(), recording.overwrites.len()));
        // Alike: the kind is always the same here, the rest is the backtraces'.
        let mut alike: Vec<(_, _, Told)> = Vec::new();
        for overwrite in &recording.overwrites {
            let seen = overwrite.event.map_or(0, |event| all.len().min(event as usize + 1));
            let here = |event: &&Event| event.addr == overwrite.block;
            let begun = all[..seen].iter().rposition(|e| here(&e) && e.action.begins_block());
            let after = all[begun.map_or(0, |at| at + 1)..seen].iter().filter(here);
            // A realloc that failed takes back that the block was given up.
            let ended = after.fold(None, |ended, e| match e.action {
                Action::ReallocFail => None,
                action if action.ends_block() => ended.or(Some(e)),
                _ => ended,
            });
            let begun = begun.map(|at| &all[at]);
            let backtraces = (begun.map(|e| e.backtrace), ended.map(|e| e.backtrace));
            match alike.iter_mut().find(|(known, ..)| *known == backtraces) {
                Some((_, times, _)) => *times += 1,
                None => alike.push((
                    backtraces,
                    1,
                    (overwrite.block, begun.map(|e| e.time.0), ended.map(|e| e.time.0)),
                )),
            }
        }
        let expected: Vec<(u64, Told)> = alike.into_iter().map(|(_, times, told)| (times, told)).collect();
        let found: Vec<(u64, Told)> = errors
            .overwrites
            .iter()
            .map(|o| {
                let time = |act: &Option<Act>| act.as_ref().map(|act| act.time_ns);
                (o.times, (o.address, time(&o.allocated), time(&o.freed)))
            })
            .collect();
        prop_assert_eq!(found, expected);
    }
}
