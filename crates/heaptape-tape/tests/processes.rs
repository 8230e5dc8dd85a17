//! Processes that end and processes that fork: what the writer forgets of them, and what the reader may
//! take for granted of a heap that was inherited.

mod small;

use heaptape_tape::*;
use small::{alloc, free, open_bytes, process, thread};

const MAIN: ProcessId = ProcessId(0);
const NONE: BacktraceId = BacktraceId::NONE;

fn begin() -> TapeWriter<Vec<u8>> {
    let header = Header { tick_ns: 1000, ..Header::default() };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    tape.process_start(&process(0, None)).unwrap();
    tape.thread_start(&thread(0, 0)).unwrap();
    tape
}

#[test]
fn a_process_that_ended_is_forgotten_but_not_lost() {
    let mut tape = begin();
    for number in 0..100 {
        tape.event(MAIN, &alloc(1_000 + number, 0x1000 + 0x30 * number, NONE)).unwrap();
    }
    assert_eq!(tape.live(MAIN).unwrap().totals().live_blocks, 100);
    tape.process_end(MAIN, TimeNs(9_000), Ending::Gone, &Losses::default()).unwrap();
    assert!(tape.live(MAIN).is_none(), "its blocks are kept");

    let late = tape.event(MAIN, &free(9_500, 0x1000)).unwrap_err();
    assert_eq!(late.kind(), std::io::ErrorKind::InvalidInput);
    let losses = Losses { events: 7, ..Losses::default() };
    tape.process_end(MAIN, TimeNs(10_000), Ending::Exited(2), &losses).unwrap();

    let bytes = tape.finish().unwrap();
    let keyframes = small::blocks(&bytes).filter(|block| block.kind == small::KEYFRAME).count();
    assert_eq!(keyframes, 1);
    let tape = open_bytes(&bytes);
    let end = &tape.processes()[0];
    assert_eq!((end.end, end.ending, end.losses), (TimeNs(10_000), Ending::Exited(2), losses));
    assert_eq!((tape.event_count(MAIN), tape.totals(MAIN).live_blocks), (100, 100));
    assert_eq!(tape.live_at(MAIN, Moment::End).unwrap().blocks().count(), 100);
    assert_eq!(tape.live_at(MAIN, Moment::Event(40)).unwrap().blocks().count(), 40);
}
