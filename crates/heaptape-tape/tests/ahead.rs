//! Runs decoded ahead by other threads are those that one thread reads, whatever range is asked for, and
//! damage in the middle is met at the same place.

#[path = "../examples/generate/program.rs"]
mod program;
mod small;

use heaptape_tape::*;
use program::{Kind, Program};
use std::ops::{ControlFlow, Range};

const MAIN: ProcessId = ProcessId(0);
const EVENTS: u64 = 600_000;

fn record() -> Vec<u8> {
    let header = Header { tick_ns: 1000, ..Header::default() };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    let mut program = Program::begin(Kind::Tree, 5, &mut tape).unwrap();
    let mut last = TimeNs(0);
    for _ in 0..EVENTS {
        let event = program.event();
        last = event.time;
        tape.event(MAIN, &event).unwrap();
    }
    tape.process_end(MAIN, last, Ending::Exited(0), &Losses::default()).unwrap();
    tape.finish().unwrap()
}

fn with_readers(bytes: &[u8], readers: usize) -> Tape {
    small::open_within(bytes, Limits { readers, ..Limits::default() }).unwrap()
}

/// The events of a range, and the error that ended it.
fn read(tape: &Tape, range: Range<EventIndex>) -> (Vec<Event>, Option<String>) {
    let mut found = Vec::new();
    let result = tape.runs(MAIN, range, &mut |events| {
        found.extend_from_slice(&events);
        Ok(ControlFlow::Continue(()))
    });
    (found, result.err().map(|error| error.to_string()))
}

/// Ranges whose ends lie in runs, between them, and beyond the last.
const RANGES: [Range<EventIndex>; 7] = [
    0..EVENTS,
    0..u64::MAX,
    65_535..131_073,
    65_536..131_072,
    123..400_001,
    EVENTS - 1..EVENTS,
    EVENTS..EVENTS + 5,
];

#[test]
fn any_number_of_readers_gives_the_same_events() {
    let bytes = record();
    let serial = with_readers(&bytes, 0);
    let one_by_one: Vec<Event> = serial.events(MAIN, 0).map(Result::unwrap).collect();
    assert_eq!(one_by_one.len() as u64, EVENTS);
    for readers in [0, 1, 2, 3, 8] {
        let tape = with_readers(&bytes, readers);
        for Range { start, end } in RANGES {
            let expected = &one_by_one[start as usize..end.min(EVENTS) as usize];
            let (found, error) = read(&tape, start..end);
            assert!(found == expected && error.is_none(), "{readers} readers, {start}..{end}");
        }
        let live = tape.live_at(MAIN, Moment::Event(500_000)).unwrap();
        let expected = serial.live_at(MAIN, Moment::Event(500_000)).unwrap();
        assert_eq!(live.sorted(), expected.sorted());
        assert_eq!(live.totals(), expected.totals());
    }
}

#[test]
fn a_damaged_block_in_the_middle_ends_every_read_at_the_same_event() {
    let mut bytes = record();
    let fifth = small::blocks(&bytes).filter(|b| b.kind == small::EVENTS).nth(4).unwrap();
    let footer = small::blocks(&bytes).find(|b| b.kind == small::INDEX).unwrap().start;
    bytes[fifth.end - 1] ^= 1;
    // With the index the block is met when it is read; without, its place is empty.
    for bytes in [&bytes[..], &bytes[..footer]] {
        let expected = read(&with_readers(bytes, 0), 0..EVENTS);
        assert_eq!(expected.0.len(), 4 * 65_536);
        let missing = "damaged: events 262144 to 327679 of process 0";
        assert!(
            expected.1.as_ref().is_some_and(|why| why.starts_with(missing)),
            "{:?}",
            expected.1
        );
        for readers in 1..4 {
            let tape = with_readers(bytes, readers);
            assert!(read(&tape, 0..EVENTS) == expected, "{readers} readers");
            let (before, error) = read(&tape, 0..4 * 65_536);
            assert!(before == expected.0 && error.is_none());
            let (after, error) = read(&tape, 5 * 65_536..EVENTS);
            assert!(after.len() as u64 == EVENTS - 5 * 65_536 && error.is_none());
        }
    }
}

#[test]
fn who_breaks_gets_no_more_and_who_fails_is_told() {
    let tape = with_readers(&record(), 2);
    let mut calls = 0;
    let broken = tape.runs(MAIN, 0..EVENTS, &mut |_| {
        calls += 1;
        Ok(if calls == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    });
    assert!(broken.is_ok() && calls == 2);
    let failed = tape.runs(MAIN, 0..EVENTS, &mut |_| Err(TapeError::NotATape));
    assert!(matches!(failed, Err(TapeError::NotATape)));
}

/// The tape, to the process that can make no threads.
const ALONE: &str = "HEAPTAPE_TEST_ALONE";

/// It panicked.
#[test]
fn where_no_thread_can_be_made_the_asker_reads() {
    if let Some(tape) = std::env::var_os(ALONE) {
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "a thread was made");
        let limits = Limits { readers: 2, ..Limits::default() };
        let tape = Tape::open_within(tape.as_ref(), limits).unwrap();
        assert_eq!(read(&tape, 0..EVENTS).0.len() as u64, EVENTS);
        println!("read alone");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), record()).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "where_no_thread_can_be_made_the_asker_reads", "--nocapture"]);
    // One test at a time runs on the first thread; no other finds room for its stack.
    child
        .args(["--test-threads=1"])
        .env(ALONE, file.path())
        .env("RUST_MIN_STACK", (1u64 << 46).to_string());
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("read alone"), "{told}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_would_take_more_memory_than_allowed_is_refused() {
    let bytes = record();
    let within = |memory| small::open_within(&bytes, Limits { memory, readers: 2 });
    assert!(matches!(within(1 << 20), Err(TapeError::Memory { .. })));
    // Room for a run of events, but not for 60,000 live blocks.
    let tape = within(10 << 20).unwrap();
    assert!(read(&tape, 0..EVENTS).1.is_none());
    let refused = tape.live_at(MAIN, Moment::End).err();
    assert!(matches!(refused, Some(TapeError::Memory { allowed: 0xa0_0000, .. })), "{refused:?}");
    assert!(within(512 << 20).unwrap().live_at(MAIN, Moment::End).is_ok());
}
