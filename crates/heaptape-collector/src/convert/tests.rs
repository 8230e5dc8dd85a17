//! Records become events: hostile ones are counted, modules come and go, threads and forks find their place.

use super::*;
use heaptape_tape::Event;
use heaptape_wire::record::*;
use proptest::prelude::*;

/// A converter whose tape is kept in memory, and the facts it wrote.
struct Bench {
    book: Book<Vec<u8>>,
    converter: Converter,
    worlds: u64,
}

impl Bench {
    fn new() -> Bench {
        let header = Header { tick_ns: 1, ..Header::default() };
        let mut book = Book::new(TapeWriter::new(Vec::new(), &header).unwrap(), 0);
        book.now_ns = 1_000_000;
        let id = book.process(Process { pid: 1, ..Process::unknown(ProcessId(0)) }).unwrap();
        Bench { book, converter: Converter::new(id, TimeNs(0)), worlds: 0 }
    }

    fn record(&mut self, stream: usize, words: &[u64]) {
        let kind = frame(words).expect("a record").kind;
        self.converter.record(&mut self.book, stream, kind, words).unwrap();
    }

    fn headed(&mut self, stream: usize, kind: Kind, rest: &[u64]) {
        let head = Head::new(kind, 0, 0, 0, rest.len() as u64 + 1);
        self.record(stream, &[&[head.0], rest].concat());
    }

    fn world(&mut self, kind: Kind, rest: &[u64]) {
        self.worlds += 1;
        let worlds = self.worlds;
        self.headed(0, kind, &[&[1, worlds], rest].concat());
    }

    fn alloc(&mut self, stream: usize, time: u64, node: u32) {
        self.headed(stream, Kind::Time, &[time]);
        let event = record::Event {
            kind: Kind::Alloc,
            api: 0,
            align_log2: 0,
            addr: 16,
            size: 1,
            usable: 1,
            node,
        };
        let record = event.encode(0);
        self.record(stream, &record.words[..record.count as usize]);
    }

    fn thread(&mut self, stream: usize, tid: u64, level: u64) {
        self.headed(stream, Kind::Thread, &[1, tid | level << 32, 0, 0]);
    }

    fn node(&mut self, stream: usize, id: u64, parent: u64, ip: u64) {
        self.node_of(self.worlds, stream, id, parent, ip);
    }

    /// A node announced after that many world records.
    fn node_of(&mut self, world: u64, stream: usize, id: u64, parent: u64, ip: u64) {
        self.record(stream, &[node_head(NODE_EXACT, world), id | parent << 32, ip]);
    }

    fn module(&mut self, start: u64, end: u64) {
        self.world(Kind::Module, &[start, end, start, 0]);
    }

    /// The tape, read back.
    fn tape(mut self) -> (tempfile::TempDir, Tape) {
        self.converter.settle(&mut self.book).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tape");
        std::fs::write(&path, self.book.writer.finish().unwrap()).unwrap();
        let tape = Tape::open(&path).unwrap();
        (dir, tape)
    }
}

fn events(tape: &Tape) -> Vec<Event> {
    tape.events(ProcessId(0), 0).map(Result::unwrap).collect()
}

#[test]
fn the_numbers_of_functions_and_qualities_are_the_same_on_both_sides() {
    let wire = [
        api::MALLOC,
        api::CALLOC,
        api::REALLOC,
        api::REALLOCARRAY,
        api::POSIX_MEMALIGN,
        api::ALIGNED_ALLOC,
        api::MEMALIGN,
        api::VALLOC,
        api::PVALLOC,
        api::FREE,
        api::CFREE,
        api::FREE_SIZED,
        api::FREE_ALIGNED_SIZED,
        api::NEW,
        api::NEW_ARRAY,
        api::DELETE,
        api::DELETE_ARRAY,
        api::MMAP,
        api::MUNMAP,
        api::MREMAP,
        api::BRK,
        api::SBRK,
    ];
    assert_eq!(wire, Api::ALL.map(|api| api as u8));
    assert_eq!(NODE_EXACT, FrameQuality::Exact as u8);
    assert_eq!(NODE_FRAME_POINTER, FrameQuality::FramePointer as u8);
    assert_eq!(NODE_TRUNCATED, FrameQuality::Truncated as u8);
}

#[test]
fn a_node_lies_in_the_module_that_was_there_when_it_was_announced() {
    let mut bench = Bench::new();
    bench.thread(0, 1, 0);
    bench.module(0x1000, 0x2000);
    bench.node(0, 1, 0, 0x1500);
    bench.alloc(0, 1, 1);
    bench.world(Kind::ModuleGone, &[0x1000]);
    // A thread that has not heard of it yet.
    bench.alloc(0, 1, 1);
    bench.node(0, 2, 0, 0x1500);
    bench.alloc(0, 1, 2);
    bench.module(0x1400, 0x2000);
    bench.node(0, 3, 0, 0x1500);
    bench.alloc(0, 1, 3);
    // Over the last one, which nobody said is gone.
    bench.module(0x1000, 0x3000);
    bench.node(0, 4, 0, 0x1500);
    bench.alloc(0, 1, 4);
    // Of threads that were slower, or quicker, than the history that has been merged.
    for (id, world) in [(5, 1), (6, 2), (7, 3), (8, 0)] {
        bench.node_of(world, 0, id, 0, 0x1500);
        bench.alloc(0, 1, id as u32);
    }
    assert_eq!(bench.converter.malformed(), 0);

    let (_dir, tape) = bench.tape();
    let places: Vec<(Option<u32>, u64)> = events(&tape)
        .iter()
        .map(|event| tape.nodes().get(event.backtrace).unwrap())
        .map(|node| (node.module.map(|id| id.0), node.address))
        .collect();
    let first = (Some(0), 0x500);
    let (none, second) = ((None, 0x1500), (Some(1), 0x100));
    assert_eq!(places[..5], [first, first, none, second, (Some(2), 0x500)]);
    assert_eq!(places[5..], [first, none, second, none]);
    let unloaded: Vec<bool> = tape.modules().iter().map(|m| m.unloaded.is_some()).collect();
    assert_eq!(unloaded, [true, true, false]);
}

#[test]
fn build_id_and_path_each_begin_on_a_word() {
    let mut bench = Bench::new();
    let word = |text: &[u8; 8]| u64::from_ne_bytes(*text);
    let text = [word(b"0123\0\0\0\0"), word(b"/lib/lib"), word(b"c.so.6\0\0")];
    let lengths = 4 | 14 << 32;
    bench.world(Kind::Module, &[&[1, 2, 0, lengths][..], &text].concat());
    let (_dir, tape) = bench.tape();
    assert_eq!(tape.modules()[0].build_id, b"0123");
    assert_eq!(tape.modules()[0].path, b"/lib/libc.so.6");
}

#[test]
fn a_return_address_right_after_a_module_belongs_to_it() {
    let mut bench = Bench::new();
    bench.module(0x1000, 0x2000);
    bench.module(0x2000, 0x3000);
    bench.node(0, 1, 0, 0x2000);
    bench.thread(0, 1, 0);
    bench.alloc(0, 1, 1);
    let (_dir, tape) = bench.tape();
    let node = tape.nodes().get(BacktraceId(1)).unwrap();
    assert_eq!((node.module, node.address), (Some(ModuleId(0)), 0x1000));
}

#[test]
fn streams_share_nodes_that_mean_the_same() {
    let mut bench = Bench::new();
    for stream in 0..2 {
        bench.thread(stream, 1 + stream as u64, 0);
        bench.node(stream, 1, 0, 0x10);
        bench.node(stream, 2, 1, 0x20);
        bench.node(stream, 3, 1, 0x20);
        bench.alloc(stream, 1, 2);
        bench.alloc(stream, 1, 3);
    }
    let (_dir, tape) = bench.tape();
    assert_eq!(tape.nodes().len(), 2);
    assert!(events(&tape).iter().all(|event| event.backtrace == BacktraceId(2)));
}

#[test]
fn ids_that_begin_again_are_new_ones() {
    let mut bench = Bench::new();
    bench.thread(0, 1, 0);
    bench.node(0, 1, 0, 0x10);
    bench.node(0, 2, 1, 0x20);
    bench.alloc(0, 1, 2);
    bench.node(0, 1, 0, 0x30);
    bench.alloc(0, 1, 1);
    assert_eq!(bench.converter.malformed(), 0);
    // The old ones mean nothing more.
    bench.alloc(0, 1, 2);
    assert_eq!(bench.converter.malformed(), 1);
    let (_dir, tape) = bench.tape();
    let ips: Vec<u64> = tape.nodes().iter().map(|node| node.address).collect();
    assert_eq!(ips, [0x10, 0x20, 0x30]);
    let taken: Vec<u32> = events(&tape).iter().map(|event| event.backtrace.0).collect();
    assert_eq!(taken, [2, 3, 0]);
}

#[test]
fn handlers_speak_for_their_thread_and_new_threads_for_themselves() {
    let mut bench = Bench::new();
    // A handler interrupts the very introduction of its thread.
    bench.thread(1, 7, 1);
    bench.thread(0, 7, 0);
    // The kernel gives the number to another thread.
    bench.thread(0, 7, 0);
    bench.thread(1, 7, 1);
    for stream in [0, 1] {
        bench.alloc(stream, 1, 0);
    }
    let (_dir, tape) = bench.tape();
    assert_eq!(tape.threads().len(), 2);
    assert!(events(&tape).iter().all(|event| event.thread == ThreadId(1)));
}

#[test]
fn times_never_decrease_and_never_lie_in_the_future() {
    let mut bench = Bench::new();
    bench.thread(0, 1, 0);
    for time in [5, 3, 9, u64::MAX] {
        bench.alloc(0, time, 0);
    }
    let (_dir, tape) = bench.tape();
    let times: Vec<u64> = events(&tape).iter().map(|event| event.time.0).collect();
    assert_eq!(times, [5, 5, 9, 1_000_000]);
}

#[test]
fn forks_are_remembered_by_their_place_and_told_once() {
    let mut bench = Bench::new();
    bench.thread(0, 1, 0);
    bench.alloc(0, 1, 0);
    bench.world(Kind::Fork, &[5]);
    bench.alloc(0, 1, 0);
    bench.world(Kind::Fork, &[0]);
    assert_eq!(bench.converter.take_fork(5), Some(1));
    assert_eq!(bench.converter.take_fork(5), None);
    assert_eq!(bench.converter.malformed(), 1);
}

#[test]
fn what_makes_no_sense_is_counted_and_skipped() {
    let mut bench = Bench::new();
    // An event of nobody, with a node that was never announced.
    bench.alloc(0, 1, 1);
    assert_eq!(bench.converter.malformed(), 2);
    bench.node(0, 2, 0, 1);
    bench.node(0, 1, 1, 1);
    bench.node(0, 0, 0, 1);
    bench.world(Kind::ModuleGone, &[0x77]);
    bench.module(0x2000, 0x1000);
    bench.world(Kind::Module, &[1, 2, 0, u64::MAX]);
    assert_eq!(bench.converter.malformed(), 8);
    let (_dir, tape) = bench.tape();
    assert_eq!((events(&tape).len(), tape.threads().len()), (1, 1));
}

proptest! {
    /// Whatever passes the framing of the merge: no panic, and a tape that can be read.
    #[test]
    fn hostile_records_are_survived(
        records in proptest::collection::vec(
            (0..2usize, prop_oneof![0..24u8, any::<u8>()], any::<[u8; 3]>(), 1..9u64,
             proptest::collection::vec(prop_oneof![any::<u64>(), 0..8u64, 0..0x3000u64], 9)),
            0..60,
        ),
    ) {
        let mut bench = Bench::new();
        for (stream, kind, rest, words, body) in records {
            let [a, b, c] = rest.map(u64::from);
            let head = u64::from(kind) | a << 8 | b << 16 | c << 24 | words << 32;
            let record: Vec<u64> = std::iter::once(head).chain(body).collect();
            if let Some(frame) = frame(&record).filter(|f| f.words <= record.len() as u64) {
                bench.record(stream, &record[..frame.words as usize]);
            }
        }
        let (_dir, tape) = bench.tape();
        prop_assert!(tape.condition().complete);
        prop_assert_eq!(events(&tape).len() as u64, tape.event_count(ProcessId(0)));
    }
}
