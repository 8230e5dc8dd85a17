//! The worked example of `docs/format.md`: its bytes are a tape, and the very tape that this version
//! writes.

use heaptape_tape::*;

mod small;

const DOC: &str = include_str!("../../../docs/format.md");
const MAIN: ProcessId = ProcessId(0);

/// The bytes of the example: two hex digits each, up to the bar of each line.
fn documented() -> Vec<u8> {
    let start = DOC.find("```tape\n").expect("the example begins with ```tape") + 8;
    let example = &DOC[start..start + DOC[start..].find("```").expect("the example ends")];
    example
        .lines()
        .filter_map(|line| line.split_once('|'))
        .flat_map(|(hex, _)| hex.split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).expect("hex digits"))
        .collect()
}

/// `malloc(24)` at 0x1000, 5 µs later its `free`.
fn written() -> Vec<u8> {
    let header = Header { tick_ns: 1000, writer: "0.1.0".to_string(), ..Header::default() };
    let mut tape = TapeWriter::new(Vec::new(), &header).unwrap();
    tape.process_start(&Process {
        pid: 7,
        ppid: 1,
        exe: b"/a".to_vec(),
        argv: vec![b"a".to_vec()],
        ..Process::unknown(MAIN)
    })
    .unwrap();
    let (id, name, start) = (ThreadId(0), b"a".to_vec(), TimeNs(0));
    tape.thread_start(&Thread { id, process: MAIN, tid: 7, name, start }).unwrap();
    let (parent, quality) = (BacktraceId::NONE, FrameQuality::Exact);
    let node = BacktraceNode { parent, module: None, address: 0x1139, quality };
    let backtrace = tape.backtrace_node(&node).unwrap();
    let malloc = Event {
        time: TimeNs(2_500),
        thread: id,
        action: Action::Alloc,
        api: Api::Malloc,
        align_log2: 0,
        addr: 0x1000,
        size: 24,
        usable: 24,
        backtrace,
    };
    tape.event(MAIN, &malloc).unwrap();
    let (action, api, backtrace) = (Action::Free, Api::Free, BacktraceId::NONE);
    let time = TimeNs(7_500);
    tape.event(MAIN, &Event { time, action, api, backtrace, size: 0, usable: 0, ..malloc })
        .unwrap();
    tape.keyframe(MAIN).unwrap();
    tape.process_end(MAIN, TimeNs(8_000), Ending::Exited(0), &Losses::default()).unwrap();
    tape.finish().unwrap()
}

#[test]
fn the_example_is_what_this_version_writes() {
    let written = written();
    let blocks: Vec<_> = small::blocks(&written).collect();
    for block in &blocks {
        let head = 24 + block.key.len();
        assert_eq!(block.end - block.start, head + block.body.len(), "stored unpacked");
    }
    assert!(documented() == written, "{}", dump(&written, &blocks));
}

#[test]
fn the_example_reads_as_the_text_says() {
    let tape = small::open_bytes(&documented());
    assert!(tape.condition().complete);
    assert_eq!(tape.processes()[0].exe, b"/a");
    let events: Vec<Event> = tape.events(MAIN, 0).map(Result::unwrap).collect();
    assert_eq!((events[0].addr, events[0].size, events[0].time), (0x1000, 24, TimeNs(2_000)));
    assert_eq!((events[1].action, events[1].time), (Action::Free, TimeNs(7_000)));
    assert_eq!(tape.peak(MAIN), (1, TimeNs(2_000), 24, 1));
}

/// What the example should be, to be annotated by hand.
fn dump(bytes: &[u8], blocks: &[small::Block]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x} ")).collect::<String>();
    let mut text = format!("{}|\n", hex(&bytes[..24]));
    for block in blocks {
        let body = block.start + 24 + block.key.len();
        let parts = [block.start..block.start + 24, block.start + 24..body, body..block.end];
        for part in parts {
            text += &format!("{}|\n", hex(&bytes[part]));
        }
    }
    text + &hex(&bytes[bytes.len() - 20..]) + "|\n"
}
