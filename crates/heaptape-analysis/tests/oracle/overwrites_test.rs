//! The blocks of overwrites against a search backwards from each.

use crate::history::*;
use heaptape_analysis::overwrites::overwritten_blocks;
use heaptape_tape::*;
use proptest::prelude::*;

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
        let found = overwritten_blocks(&recording, &FakeNames, &process).unwrap();
        prop_assert_eq!(found.len(), recording.overwrites.len());
        for (block, overwrite) in found.iter().zip(&recording.overwrites) {
            let seen = overwrite.event.map_or(0, |event| all.len().min(event as usize + 1));
            let here = |event: &&Event| event.addr == overwrite.block;
            let begun = all[..seen].iter().rposition(|e| here(&e) && e.action.begins_block());
            let ended = all[begun.map_or(0, |at| at + 1)..seen]
                .iter()
                .find(|e| here(e) && e.action.ends_block());
            prop_assert_eq!(block.address, overwrite.block);
            prop_assert_eq!(
                block.allocated.as_ref().map(|act| act.time_ns),
                begun.map(|at| all[at].time.0)
            );
            prop_assert_eq!(block.freed.as_ref().map(|act| act.time_ns), ended.map(|e| e.time.0));
        }
    }
}
