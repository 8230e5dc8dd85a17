//! What an event costs: in the live set, in the writer, and read back.
//!
//! `cargo bench -p heaptape-tape`. The streams are those of made-up programs, and of a real one when
//! `HEAPTAPE_BENCH_TAPE` names a tape. Items are events.

#[path = "../examples/generate/program.rs"]
mod program;

use divan::Bencher;
use divan::counter::ItemsCount;
use heaptape_tape::*;
use program::{Kind, Program};
use std::io::Write;
use std::sync::OnceLock;

const MAIN: ProcessId = ProcessId(0);
const EVENTS: usize = 2_000_000;
const STREAMS: [Stream; 4] = [
    Stream::MadeUp(Kind::Python),
    Stream::MadeUp(Kind::Gcc),
    Stream::MadeUp(Kind::Tree),
    Stream::Recorded,
];

#[derive(Clone, Copy, Debug)]
enum Stream {
    MadeUp(Kind),
    Recorded,
}

/// The facts that events refer to, and the events.
struct Recording {
    threads: Vec<Thread>,
    modules: Vec<Module>,
    nodes: Nodes,
    events: Vec<Event>,
}

impl Stream {
    /// Made or read once. Nothing where no tape is named.
    fn recording(self) -> &'static Recording {
        static MADE: [OnceLock<Recording>; 4] = [const { OnceLock::new() }; 4];
        let (slot, make): (_, &dyn Fn() -> Recording) = match self {
            Stream::MadeUp(kind) => (kind as usize, &move || made_up(kind)),
            Stream::Recorded => (3, &recorded),
        };
        MADE[slot].get_or_init(make)
    }
}

fn made_up(kind: Kind) -> Recording {
    let mut tape = TapeWriter::new(Vec::new(), &header()).unwrap();
    let mut program = Program::begin(kind, 1, &mut tape).unwrap();
    let events = (0..EVENTS).map(|_| program.event()).collect();
    let tape = open(&tape.finish().unwrap());
    Recording {
        threads: tape.threads().to_vec(),
        modules: tape.modules().to_vec(),
        nodes: tape.nodes().clone(),
        events,
    }
}

/// The main process of a tape.
fn recorded() -> Recording {
    let Some(path) = std::env::var_os("HEAPTAPE_BENCH_TAPE") else {
        return Recording {
            threads: vec![],
            modules: vec![],
            nodes: Nodes::default(),
            events: vec![],
        };
    };
    let tape = Tape::open(path.as_ref()).unwrap();
    let of_main = |process: ProcessId| if process == MAIN { process } else { MAIN };
    let thread = |t: &Thread| Thread { process: of_main(t.process), ..t.clone() };
    let module = |m: &Module| Module { process: of_main(m.process), ..m.clone() };
    Recording {
        threads: tape.threads().iter().map(thread).collect(),
        modules: tape.modules().iter().map(module).collect(),
        nodes: tape.nodes().clone(),
        events: tape.events(MAIN, 0).map(Result::unwrap).collect(),
    }
}

fn header() -> Header {
    Header { tick_ns: 1000, ..Header::default() }
}

fn open(bytes: &[u8]) -> Tape {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Tape::open(file.path()).unwrap()
}

/// A tape with the facts of a recording.
fn begin<W: Write + Send + 'static>(out: W, recording: &Recording) -> TapeWriter<W> {
    let mut tape = TapeWriter::new(out, &header()).unwrap();
    tape.process_start(&Process { pid: 1, ..Process::unknown(MAIN) }).unwrap();
    recording.threads.iter().for_each(|thread| tape.thread_start(thread).unwrap());
    recording.modules.iter().for_each(|module| tape.module_load(module).unwrap());
    for node in recording.nodes.iter() {
        tape.backtrace_node(&node).unwrap();
    }
    tape
}

fn write<W: Write>(mut tape: TapeWriter<W>, recording: &Recording) -> TapeWriter<W> {
    for event in &recording.events {
        tape.event(MAIN, event).unwrap();
    }
    tape
}

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, recording: &Recording) -> Bencher<'a, 'b> {
    bencher.counter(ItemsCount::new(recording.events.len()))
}

/// Keeping the live set.
#[divan::bench(args = STREAMS, sample_count = 10)]
fn live_set(bencher: Bencher<'_, '_>, stream: Stream) {
    let recording = stream.recording();
    counted(bencher, recording).bench_local(|| {
        let mut live = LiveSet::new();
        recording.events.iter().for_each(|event| {
            live.apply(event);
        });
        live
    });
}

/// The calls of the writer, up to the last event.
#[divan::bench(args = STREAMS, sample_count = 10)]
fn writer(bencher: Bencher<'_, '_>, stream: Stream) {
    let recording = stream.recording();
    counted(bencher, recording)
        .with_inputs(|| begin(std::io::sink(), recording))
        .bench_local_values(|tape| write(tape, recording));
}

/// The same until the tape is finished.
#[divan::bench(args = STREAMS, sample_count = 10)]
fn whole_tape(bencher: Bencher<'_, '_>, stream: Stream) {
    let recording = stream.recording();
    counted(bencher, recording)
        .with_inputs(|| begin(std::io::sink(), recording))
        .bench_local_values(|tape| write(tape, recording).finish().unwrap());
}

/// Reading all events.
#[divan::bench(args = STREAMS, sample_count = 10)]
fn read(bencher: Bencher<'_, '_>, stream: Stream) {
    let recording = stream.recording();
    let tape = open(&write(begin(Vec::new(), recording), recording).finish().unwrap());
    counted(bencher, recording).bench_local(|| {
        tape.events(MAIN, 0).fold(0, |sum: u64, event| sum.wrapping_add(event.unwrap().addr))
    });
}

/// Reading all events into a live set.
#[divan::bench(args = STREAMS, sample_count = 10)]
fn replay(bencher: Bencher<'_, '_>, stream: Stream) {
    let recording = stream.recording();
    let tape = open(&write(begin(Vec::new(), recording), recording).finish().unwrap());
    counted(bencher, recording).bench_local(|| {
        let mut live = LiveSet::new();
        tape.events(MAIN, 0).for_each(|event| {
            live.apply(&event.unwrap());
        });
        live
    });
}

fn main() {
    divan::main();
}
