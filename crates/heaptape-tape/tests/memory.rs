//! What reading takes is measured, not only weighed: within a bound, a process that winds a tape of forked
//! children stays within it, whether it is let or refused.

mod small;

use heaptape_tape::*;
use small::{alloc, process, thread};
use std::path::Path;
use std::process::Command;

const FORKS: u32 = 4;
const BLOCKS: u64 = 150_000;
/// Its bound, to the process that is measured.
const BOUND: &str = "HEAPTAPE_TEST_BOUND";
const TAPE: &str = "HEAPTAPE_TEST_TAPE";
const MEASURED: &str = "the_measured_process";

/// A chain of forks; each process allocates as much as the others, at addresses of its own.
fn record(path: &Path) {
    let file = std::fs::File::create(path).unwrap();
    let mut tape = TapeWriter::new(file, &Header { tick_ns: 1000, ..Header::default() }).unwrap();
    for id in 0..=FORKS {
        let parent = id.checked_sub(1).map(|parent| (ProcessId(parent), BLOCKS));
        tape.process_start(&process(id, parent)).unwrap();
        tape.thread_start(&thread(id, id)).unwrap();
        let first = 0x10_0000_0000 * u64::from(id + 1);
        for number in 0..BLOCKS {
            let event = alloc(1_000, first + 0x30 * number, BacktraceId::NONE);
            let event = Event { thread: ThreadId(id), ..event };
            tape.event(ProcessId(id), &event).unwrap();
        }
    }
    tape.finish().unwrap();
}

/// Most bytes of memory that this process had at once.
fn most_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// No test by itself: what `reading_stays_within_its_bound` starts.
#[test]
fn the_measured_process() {
    let (Ok(bound), Ok(path)) = (std::env::var(BOUND), std::env::var(TAPE)) else { return };
    let before = most_bytes();
    let limits = Limits { memory: bound.parse().unwrap(), readers: 2 };
    let wind = |tape: Tape| {
        let last = ProcessId(FORKS);
        let at_start = tape.live_at_start(last)?.totals().live_blocks;
        let live = tape.live_at(last, Moment::End)?;
        assert_eq!(at_start, u64::from(FORKS) * BLOCKS);
        assert_eq!(live.sorted().len() as u64, u64::from(FORKS + 1) * BLOCKS);
        Ok(())
    };
    let result = Tape::open_within(Path::new(&path), limits).and_then(wind);
    let refused = matches!(result, Err(TapeError::Memory { .. }));
    assert!(refused || result.is_ok(), "{result:?}");
    println!("measured {} {refused}", most_bytes() - before);
}

/// The bytes taken, and whether it was refused.
fn measure(path: &Path, bound: u64) -> (u64, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", MEASURED, "--nocapture", "--test-threads=1"]);
    let output = child.env(BOUND, bound.to_string()).env(TAPE, path).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let words = text.split_once("measured ").unwrap().1;
    let mut words = words.split_whitespace();
    (words.next().unwrap().parse().unwrap(), words.next() == Some("true"))
}

/// Each ancestor was weighed alone: with `--memory 300M` five processes of a million blocks took 1.2 GiB.
#[test]
fn reading_stays_within_its_bound() {
    let file = tempfile::NamedTempFile::new().unwrap();
    record(file.path());
    let bounds = (0..).map(|step| (16 << 20) * 5u64.pow(step) / 4u64.pow(step));
    let mut refusals = 0;
    for bound in bounds {
        let (taken, refused) = measure(file.path(), bound);
        println!("{} MiB allowed, {} taken, refused: {refused}", bound >> 20, taken >> 20);
        assert!(taken <= bound, "{taken} bytes taken, {bound} allowed, refused: {refused}");
        refusals += u32::from(refused);
        if !refused {
            assert!(bound < 4 * taken, "{bound} bytes are asked for, {taken} needed");
            break;
        }
    }
    assert!(refusals > 3);
}
