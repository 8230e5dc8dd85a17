//! Winding a long tape: whatever the moment, seeking to a keyframe gives what a replay from the first
//! event gives, and keyframes are close enough together to be worth it.

#[path = "../examples/generate/program.rs"]
mod program;
mod small;

use heaptape_tape::*;
use program::{Kind, Program};

const MAIN: ProcessId = ProcessId(0);
const EVENTS: u64 = 4_200_000;

#[test]
fn seeking_equals_replaying_from_the_start() {
    let (bytes, moments) = record();
    assert!(bytes.len() as u64 <= 4 * EVENTS, "{} bytes", bytes.len());
    let keyframes: Vec<_> = small::blocks(&bytes).filter(|b| b.kind == small::KEYFRAME).collect();
    assert!(keyframes.len() >= 2, "one by itself, one asked for");

    let without = without_keyframes(&bytes);
    let (tape, slow) = (small::open_bytes(&bytes), small::open_bytes(&without));
    assert_eq!(slow.condition().damaged_blocks, 0);
    for (index, totals) in moments {
        let live = tape.live_at(MAIN, Moment::Event(index)).unwrap();
        assert_eq!(*live.totals(), totals, "at event {index}");
        if index.is_multiple_of(3) {
            let replayed = slow.live_at(MAIN, Moment::Event(index)).unwrap();
            assert_eq!(live.sorted(), replayed.sorted(), "at event {index}");
        }
    }
    assert_eq!(tape.totals(MAIN), *tape.live_at(MAIN, Moment::End).unwrap().totals());
}

/// A tape, and the totals that the writer's own live set had at some moments.
fn record() -> (Vec<u8>, Vec<(EventIndex, Totals)>) {
    let header = Header { tick_ns: 1000, ..Header::default() };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    let mut program = Program::begin(Kind::Python, 3, &mut tape).unwrap();
    let mut moments = Vec::new();
    for index in 1..=EVENTS {
        tape.event(MAIN, &program.event()).unwrap();
        if index == 1 << 20 {
            tape.keyframe(MAIN).unwrap();
        }
        if index.is_multiple_of(400_000) || index == 1 << 20 || index == EVENTS {
            moments.push((index, *tape.live(MAIN).unwrap().totals()));
        }
    }
    (tape.finish().unwrap(), moments)
}

/// The same tape, cut before the index, with its keyframes taken out.
fn without_keyframes(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes[..24].to_vec();
    for block in small::blocks(bytes) {
        if block.kind == small::META || block.kind == small::EVENTS {
            out.extend(&bytes[block.start..block.end]);
        }
    }
    out
}

#[test]
fn a_flush_with_nothing_to_say_writes_nothing() {
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    let mut program = Program::begin(Kind::Tree, 1, &mut tape).unwrap();
    tape.event(MAIN, &program.event()).unwrap();
    tape.flush().unwrap();
    for _ in 0..100 {
        tape.flush().unwrap();
    }
    let bytes = tape.finish().unwrap();
    let events = small::blocks(&bytes).filter(|b| b.kind == small::EVENTS).count();
    let metas = small::blocks(&bytes).filter(|b| b.kind == small::META).count();
    assert_eq!((events, metas), (1, 2));
}

#[test]
fn an_event_takes_few_bytes() {
    const EVENTS: u64 = 600_000;
    for kind in [Kind::Python, Kind::Gcc, Kind::Tree] {
        let header = Header { tick_ns: 1000, ..Header::default() };
        let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
        let mut program = Program::begin(kind, 5, &mut tape).unwrap();
        for _ in 0..EVENTS {
            tape.event(MAIN, &program.event()).unwrap();
        }
        let bytes = tape.finish().unwrap().len() as u64;
        assert!(bytes <= 4 * EVENTS, "{kind:?}: {bytes} bytes");
    }
}
