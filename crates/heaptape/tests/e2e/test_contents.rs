//! Contents: the bytes at each snapshot are those that were in memory then; the program does not notice.

use super::build;
use super::check::{lost_nothing, open};
use super::run::{self, Outcome};
use heaptape_tape::*;

const MAIN: ProcessId = ProcessId(0);
const HEAPTAPE: &str = env!("CARGO_BIN_EXE_heaptape");

/// Runs `words` in the background, with its pid in `$it`, and then this script, in which `snapshot PID` is said
/// only when it is recorded.
fn beside(words: &str, then: &str, record: bool) -> Outcome {
    let snapshot = if record { format!("{HEAPTAPE} snapshot") } else { "true".to_owned() };
    let until = "until() { while ! [ -e $1 ]; do sleep 0.01; done; }";
    let then = then.replace("until ", "until_ ").replace("snapshot ", &format!("{snapshot} "));
    let until = until.replace("until()", "until_()");
    run::script(&format!("{until}\n$W {words} & it=$!\n{then}\n"), record)
}

/// The bytes of the live block of that size at a snapshot.
fn bytes_of(tape: &Tape, snapshot: &Snapshot, size: u64) -> Option<Bytes> {
    let live = tape.live_at(snapshot.process, Moment::Event(snapshot.event)).unwrap();
    let block = live.blocks().find(|block| block.size == size)?;
    let mut memory = tape.memory_at(snapshot, 0..u64::MAX).unwrap();
    Some(memory.read(block.addr, size as usize).unwrap())
}

fn whole(bytes: Option<Bytes>) -> Vec<u8> {
    let bytes = bytes.expect("a block of that size");
    assert!(bytes.holes.is_empty(), "{:?}", bytes.holes);
    bytes.bytes
}

#[test]
fn each_snapshot_holds_the_bytes_of_its_instant() {
    let target = build::target("changing");
    let then =
        "until ready1; snapshot $it; touch go1; until ready2; snapshot $it; snapshot $it; touch go2
        until ready3; snapshot $(cat child); touch go3; wait $it";
    let program = target.display().to_string();
    let bare = beside(&program, then, false);
    let recorded = beside(&program, &format!("exec 2>&1; {then}"), true);
    assert_eq!(bare.stdout, "0 B\n");
    assert!(recorded.stdout.ends_with(&bare.stdout), "{} {}", recorded.stdout, recorded.stderr);
    assert_eq!(recorded.stdout.matches("stood still for").count(), 4, "{}", recorded.stdout);
    let tape = open(&recorded);
    lost_nothing(&tape, false);
    let all: Vec<Snapshot> = tape.snapshots(MAIN).copied().collect();
    assert_eq!(all.len(), 3);
    assert!(
        all.iter().all(|s| s.reason == SnapshotReason::Asked && s.one_instant && s.pause_ns > 0)
    );
    let (large, mut changed) = (5 * 4096 + 13, vec![b'A'; 5 * 4096 + 13]);
    assert_eq!(whole(bytes_of(&tape, &all[0], 77)), [b'a'; 77]);
    assert_eq!(whole(bytes_of(&tape, &all[0], large)), changed);
    changed[2 * 4096] = b'B';
    assert_eq!(whole(bytes_of(&tape, &all[1], 77)), [b'b'; 77]);
    assert_eq!(whole(bytes_of(&tape, &all[1], large)), changed);
    assert_eq!(whole(bytes_of(&tape, &all[2], large)), changed, "of pages stored before");
    assert!(all[0].stored >= 6 * 4096 && all[1].stored <= 3 * 4096, "{all:?}");
    assert_eq!(all[2].stored, 0, "nothing has changed");
    // The child's own blocks; those it inherited are its parent's.
    let child: Vec<Snapshot> = tape.snapshots(ProcessId(1)).copied().collect();
    assert_eq!(child.len(), 1);
    assert_eq!(whole(bytes_of(&tape, &child[0], 4243)), [b'd'; 4243]);
}

#[test]
fn snapshots_of_a_busy_threaded_program_are_of_one_instant() {
    let program = build::target("churning").display().to_string();
    let then = "until ready; snapshot $it; snapshot $it; snapshot $it; touch go; wait $it; echo $?";
    let bare = beside(&program, then, false);
    let recorded = beside(&program, &format!("{{ {then}; }} 2>err"), true);
    let tape = open(&recorded);
    assert!(recorded.stdout.ends_with(&bare.stdout), "{} {}", bare.stdout, recorded.stdout);
    lost_nothing(&tape, false);
    assert_eq!(tape.snapshots(MAIN).count(), 3);
    for snapshot in tape.snapshots(MAIN).filter(|snapshot| snapshot.one_instant) {
        let live = tape.live_at(MAIN, Moment::Event(snapshot.event)).unwrap();
        let mut memory = tape.memory_at(snapshot, 0..u64::MAX).unwrap();
        let mut other = 0;
        for block in live.blocks().filter(|block| block.size == 333) {
            let word = memory.read(block.addr, 8).unwrap();
            assert!(word.holes.is_empty());
            other += u32::from(word.bytes != block.addr.to_le_bytes());
        }
        // Each of the four threads may have made one and not written to it yet.
        assert!(other <= 4, "{other} blocks hold what they did not");
    }
}

#[test]
fn python_does_not_notice_snapshots() {
    let script = "import os, time, hashlib
open('ready', 'w').close()
d = {}
while not os.path.exists('go'):
    for i in range(2000): d[i] = str(i) * 3
print(hashlib.md5(repr(d).encode()).hexdigest())";
    let program = format!("python3 -c \"{}\"", script);
    let then = "until ready; snapshot $it; snapshot $it; touch go; wait $it; echo $?";
    let bare = beside(&program, then, false);
    let recorded = beside(&program, then, true);
    assert!(recorded.stdout.ends_with(&bare.stdout), "{} {}", bare.stdout, recorded.stdout);
    let tape = open(&recorded);
    lost_nothing(&tape, false);
    let taken = tape.processes().iter().map(|process| tape.snapshots(process.id).count()).max();
    assert_eq!(taken, Some(2));
}

#[test]
fn the_budget_bounds_what_is_stored_and_the_rest_is_said() {
    let target = build::target("changing");
    let script = format!(
        "touch go1 go2 go3; HEAPTAPE_CONTENTS=1 HEAPTAPE_SNAPSHOT_BUDGET=8K $W {}",
        target.display()
    );
    let recorded = run::script(&script, true);
    assert!(recorded.stderr.contains("beyond the budget of 8192"), "{}", recorded.stderr);
    let tape = open(&recorded);
    let all: Vec<Snapshot> =
        tape.processes().iter().flat_map(|process| tape.snapshots(process.id)).copied().collect();
    assert!(all.iter().map(|snapshot| snapshot.stored).sum::<u64>() <= 8192, "{all:?}");
    let at_exit = tape.snapshots(MAIN).last().unwrap();
    assert_eq!(at_exit.reason, SnapshotReason::Exit);
    assert!(at_exit.over_budget >= 4 * 4096, "{at_exit:?}");
    let bytes = bytes_of(&tape, at_exit, 5 * 4096 + 13).unwrap();
    assert!(bytes.unknown() >= 4 * 4096 - 77);
    for at in (0..bytes.bytes.len()).filter(|&at| at != 2 * 4096) {
        assert!(bytes.get(at).is_none_or(|byte| byte == b'A'), "byte {at}");
    }
}

/// What is due at once makes one snapshot, with one of its reasons: so these two tell the rarer reasons apart.
#[test]
fn snapshots_at_times_and_intervals_are_made_when_they_are_due() {
    let wishes = "HEAPTAPE_SNAPSHOT_EVERY=20ms HEAPTAPE_SNAPSHOT_AT=30ms,60ms";
    snapshots_are_made_for(wishes, &[SnapshotReason::Interval, SnapshotReason::Time]);
}

#[test]
fn snapshots_at_peaks_are_made_when_they_are_due() {
    let wishes = "HEAPTAPE_SNAPSHOT_EVERY=20ms HEAPTAPE_SNAPSHOT_PEAK=50%";
    snapshots_are_made_for(wishes, &[SnapshotReason::Interval, SnapshotReason::Peak]);
}

fn snapshots_are_made_for(wishes: &str, due: &[SnapshotReason]) {
    let target = build::target("steady");
    let script = format!(
        "export {wishes}
        $W {} & it=$!; until [ -e ready ]; do sleep 0.01; done; sleep 0.2; touch go; wait $it; echo $?",
        target.display()
    );
    let recorded = run::script(&script, true);
    assert!(recorded.stdout.ends_with("3\n"), "{}", recorded.stderr);
    assert!(recorded.stderr.contains("longest pause"), "{}", recorded.stderr);
    let tape = open(&recorded);
    lost_nothing(&tape, false);
    let reasons: Vec<_> = tape.snapshots(MAIN).map(|snapshot| snapshot.reason).collect();
    for reason in due {
        assert!(reasons.contains(reason), "no {reason:?} among {reasons:?}");
    }
    let info =
        std::process::Command::new(HEAPTAPE).arg("info").arg(recorded.tape()).output().unwrap();
    assert!(String::from_utf8_lossy(&info.stdout).contains("memory contents are on the tape"));
}

/// The launcher took the late stop of its child for somebody else's business: the program stood still for ever.
#[test]
fn a_program_that_stops_too_late_for_a_snapshot_goes_on() {
    let target = build::target("slow_vfork");
    let then = "until ready; snapshot $it >said 2>&1; touch go; wait $it; echo $?";
    let program = target.display().to_string();
    let bare = beside(&program, then, false);
    let recorded = beside(&program, then, true);
    assert_eq!(bare.stdout, "child: 3\n5\n");
    assert_eq!(recorded.stdout, bare.stdout, "{}", recorded.stderr);
    let tape = open(&recorded);
    let all: Vec<bool> = tape.snapshots(MAIN).map(|snapshot| snapshot.one_instant).collect();
    assert_eq!(all, [false]);
}
