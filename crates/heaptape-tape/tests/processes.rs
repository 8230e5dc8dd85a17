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
    tape.keyframe(MAIN).unwrap();
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

/// How frees of two addresses look to a child: one freed by the parent, one that nobody knows. The
/// parent's threads begin at the times given, the fork is at 5 µs. Then the same of a grandchild.
fn frees_of_a_child(threads: &[u64]) -> [[Effect; 2]; 2] {
    let mut tape = begin();
    for (id, &start) in (1..).zip(threads) {
        tape.thread_start(&Thread { start: TimeNs(start), ..thread(id, 0) }).unwrap();
    }
    tape.event(MAIN, &alloc(1_000, 0x1000, NONE)).unwrap();
    tape.event(MAIN, &free(2_000, 0x1000)).unwrap();
    for id in [1, 2] {
        let fork = (ProcessId(id - 1), if id == 1 { 2 } else { 0 });
        let start = TimeNs(5_000 * u64::from(id));
        tape.process_start(&Process { start, ..process(id, Some(fork)) }).unwrap();
    }
    let tape = open_bytes(&tape.finish().unwrap());
    [1, 2].map(|id| {
        let live = tape.live_at_start(ProcessId(id)).unwrap();
        let wound = tape.live_at(ProcessId(id), Moment::End).unwrap();
        [0x1000, 0x2000].map(|addr| {
            let effects = [live.clone(), wound.clone()].map(|mut s| s.apply(&free(6_000, addr)));
            assert_eq!(effects[0], effects[1], "at birth and by winding");
            effects[0]
        })
    })
}

#[test]
fn the_heap_of_a_single_threaded_parent_is_inherited_exactly() {
    assert_eq!(frees_of_a_child(&[])[0], [Effect::Unmatched; 2]);
    assert_eq!(frees_of_a_child(&[8_000]), [[Effect::Unmatched; 2]; 2], "a thread after the fork");
}

#[test]
fn a_child_of_a_parent_with_threads_may_free_what_they_allocated_meanwhile() {
    assert_eq!(frees_of_a_child(&[3_000]), [[Effect::EndedInherited; 2]; 2]);
}

#[test]
fn what_a_child_did_before_a_moment_is_known_there() {
    let mut tape = begin();
    tape.thread_start(&thread(1, 0)).unwrap();
    tape.process_start(&process(1, Some((MAIN, 0)))).unwrap();
    tape.thread_start(&thread(2, 1)).unwrap();
    let (child, thread) = (ProcessId(1), ThreadId(2));
    tape.event(child, &Event { thread, ..free(1_000, 0x1000) }).unwrap();
    tape.event(child, &Event { thread, ..alloc(2_000, 0x2000, NONE) }).unwrap();
    let tape = open_bytes(&tape.finish().unwrap());
    let mut live = tape.live_at(child, Moment::End).unwrap();
    assert_eq!(live.apply(&free(3_000, 0x1000)), Effect::Unmatched, "freed twice");
    live.apply(&alloc(3_000, 0x2000, NONE));
    assert_eq!(live.totals().overlaid, 1);
}

#[test]
fn children_in_any_order_inherit_the_same() {
    const FORKS: u64 = 40;
    let mut tape = begin();
    for event in 0..FORKS {
        tape.event(MAIN, &alloc(1_000, 0x1000 + 0x30 * event, NONE)).unwrap();
        let fork = Some((MAIN, event + 1));
        tape.process_start(&process(2 * event as u32 + 1, fork)).unwrap();
        let fork = Some((ProcessId(2 * event as u32 + 1), 0));
        tape.process_start(&process(2 * event as u32 + 2, fork)).unwrap();
    }
    let tape = open_bytes(&tape.finish().unwrap());
    let ids = 1..=2 * FORKS as u32;
    let shuffled = ids.clone().map(|id| id * 7 % 81);
    for id in ids.clone().chain(ids.rev()).chain(shuffled) {
        let blocks = u64::from(id.div_ceil(2));
        for live in [
            tape.live_at_start(ProcessId(id)).unwrap(),
            tape.live_at(ProcessId(id), Moment::End).unwrap(),
        ] {
            assert_eq!(live.totals().live_blocks, blocks);
        }
    }
}

#[test]
fn one_ancestor_with_threads_is_enough() {
    let mut tape = begin();
    tape.process_start(&process(1, Some((MAIN, 0)))).unwrap();
    tape.thread_start(&thread(1, 1)).unwrap();
    tape.thread_start(&thread(2, 1)).unwrap();
    tape.process_start(&process(2, Some((ProcessId(1), 0)))).unwrap();
    tape.process_start(&process(3, Some((ProcessId(2), 0)))).unwrap();
    let tape = open_bytes(&tape.finish().unwrap());
    let free_in = |id| tape.live_at_start(ProcessId(id)).unwrap().apply(&free(1_000, 0x1000));
    assert_eq!(
        [1, 2, 3].map(free_in),
        [Effect::Unmatched, Effect::EndedInherited, Effect::EndedInherited]
    );
}
