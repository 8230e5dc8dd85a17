//! Resident memory: what the tape says of it, and what is found in it.

use super::build;
use super::run;
use heaptape_tape::{ProcessId, Tape};
use std::process::Command;

const MIB: u64 = 1 << 20;

#[test]
fn what_is_resident_is_told_apart() {
    let recorded = run::recorded(&[], &[build::target("resident").into()]);
    let tape = Tape::open(&recorded.tape()).expect("a tape");
    let samples = tape.samples(ProcessId(0));
    let last = samples.last().expect("one at the end at least");
    let private = last.private.expect("what it consists of");
    // 32 MB of small blocks, and the one that is touched.
    assert!((31 * MIB..34 * MIB).contains(&private.heap), "{private:?}");
    assert!((16 * MIB..20 * MIB).contains(&private.other), "{private:?}");
    let sum = private.heap + private.arenas + private.stack + private.files + private.other;
    assert!(sum.abs_diff(last.rss_anon) < MIB, "{last:?}");
    assert!(samples.iter().all(|sample| last.rss_peak >= sample.rss), "{samples:?}");

    let map = tape.memory_maps().last().expect("a map at the end");
    assert_eq!(map.mappings.len(), map.resident.len());
    let heap = map.mappings.iter().position(|mapping| *mapping.name == *b"[heap]").expect("a heap");
    assert_eq!(map.resident[heap], private.heap);
}

/// Once a process has been looked at at its end, no sample is taken of the memory that it has half given back.
#[test]
fn the_last_sample_is_the_one_at_the_end() {
    for _ in 0..5 {
        let recorded =
            run::recorded(&["--sample-interval", "100us"], &[build::target("resident").into()]);
        let tape = Tape::open(&recorded.tape()).expect("a tape");
        let map = tape.memory_maps().last().expect("a map at the end");
        let samples = tape.samples(ProcessId(0));
        let last = samples.last().expect("one at the end at least");
        assert!(last.time >= map.time && last.private.is_some(), "{last:?}");
        assert!(last.rss > 48 * MIB, "{last:?}");
    }
}

#[test]
fn what_stands_out_of_resident_memory() {
    let recorded = run::recorded(&[], &[build::target("resident").into()]);
    let summary = Command::new(env!("CARGO_BIN_EXE_heaptape"))
        .args(["summary", "--json"])
        .arg(recorded.tape())
        .output()
        .expect("a summary");
    let json: serde_json::Value = serde_json::from_slice(&summary.stdout).expect("JSON");
    let result = &json["results"][0];
    let found = result["findings"]["found"].as_array().expect("findings");
    let bytes = |rule: &str| {
        let one = found.iter().find(|finding| finding["rule"] == rule);
        one.unwrap_or_else(|| panic!("{rule}: {found:?}"))["bytes"].as_u64().expect("bytes")
    };
    assert!((31 * MIB..34 * MIB).contains(&bytes("retained")));
    assert_eq!(bytes("peak_share"), 64 * MIB);
    // 80 MiB are live, and 16 of them, at most 18 with all else that is private, beside the freed ones are resident.
    assert!((20 * MIB..40 * MIB).contains(&bytes("untouched")));
    let end = &result["residence"]["at_end"];
    let mapped = end["mapped"]["asked_bytes"].as_u64().expect("bytes");
    assert!((16 * MIB..17 * MIB).contains(&mapped), "{end}");
}
