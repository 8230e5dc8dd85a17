//! Tapes of every released format are read, with the figures they were written with.

use heaptape_tape::{LiveSet, Moment, ProcessId, Tape};
use std::path::Path;

#[test]
fn format_1() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/format-1.tape");
    let tape = Tape::open(&path).unwrap();
    assert_eq!(tape.header().version, 1);
    assert!(tape.condition().complete);
    assert_eq!((tape.threads().len(), tape.modules().len()), (4, 1));

    let mut live = LiveSet::new();
    for event in tape.events(ProcessId(0), 0) {
        live.apply(&event.unwrap());
    }
    assert_eq!(live.totals().events, 3000);
    assert_eq!(live.totals(), &tape.totals(ProcessId(0)));
    let wound = tape.live_at(ProcessId(0), Moment::End).unwrap();
    assert_eq!(wound.sorted(), live.sorted());
    let figures = (live.totals().allocs, live.totals().alloc_bytes, live.totals().peak_bytes);
    assert_eq!(figures, FIGURES);
}

/// Allocations, their bytes, and the peak.
const FIGURES: (u64, u64, u64) = (2006, 195_391, 93_574);
