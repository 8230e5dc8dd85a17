//! What an event costs the collector: taken out of the rings and merged (the first stage, which the target must
//! never wait for), and all the way to the tape.
//!
//! `cargo bench -p heaptape-collector`. The streams are those of made-up programs. Items are events; their time
//! is that of the calling thread, packing goes on beside it.

#![allow(
    dead_code,
    unused_imports,
    reason = "parts of the library, of which a bench uses a few functions"
)]

#[path = "../src/book.rs"]
mod book;
#[path = "../src/convert.rs"]
mod convert;
#[path = "../src/nodes.rs"]
mod nodes;
#[path = "../src/order.rs"]
mod order;
#[path = "../../heaptape-tape/examples/generate/program.rs"]
mod program;

use book::Book;
use convert::Converter;
use divan::Bencher;
use divan::counter::ItemsCount;
use heaptape_tape::*;
use heaptape_wire::order::{SHARDS, shard_of};
use heaptape_wire::record::{self, Head, NODE_EXACT, THREAD_WORDS, TIME_WORDS, node_head};
use order::{Limit, Merge};
use program::{Kind, Program};
use std::sync::OnceLock;

const EVENTS: usize = 2_000_000;
/// Words that one drain of one ring brings.
const DRAIN: usize = 1 << 14;
/// Events for which the clock is read once.
const TIME_EVERY: usize = 64;

/// What a recorder would have put into its rings.
#[derive(Clone, Copy, Debug)]
enum Wire {
    /// One thread, no numbers.
    Alone,
    /// Four threads that take turns of sixteen events, with numbers.
    Together,
}

const WIRES: [Wire; 2] = [Wire::Alone, Wire::Together];

/// Drains, in order: stream, words.
type Drains = Vec<(usize, Vec<u64>)>;

impl Wire {
    /// Made once.
    fn drains(self) -> &'static Drains {
        static MADE: [OnceLock<Drains>; 2] = [const { OnceLock::new() }; 2];
        MADE[self as usize].get_or_init(|| drains(if let Wire::Alone = self { 1 } else { 4 }))
    }
}

fn drains(streams: usize) -> Drains {
    let (nodes, events) = made_up();
    let mut numbers = vec![0u64; SHARDS];
    let mut queues = vec![Vec::new(); streams];
    for (stream, queue) in queues.iter_mut().enumerate() {
        let head = Head::new(record::Kind::Thread, 0, 0, 0, THREAD_WORDS).0;
        queue.extend([head, 1, stream as u64 + 1, 0, 0]);
        for (id, node) in (1..).zip(&nodes) {
            let parent = u64::from(node.parent.0) << 32;
            queue.extend([node_head(NODE_EXACT, 0), id | parent, node.address]);
        }
    }
    let mut drains = Drains::new();
    for (i, event) in events.iter().enumerate() {
        let stream = i / 16 % streams;
        let queue = &mut queues[stream];
        if (i / streams).is_multiple_of(TIME_EVERY) {
            let head = Head::new(record::Kind::Time, 0, 0, 0, TIME_WORDS).0;
            queue.extend([head, event.time.0]);
        }
        let number = if streams == 1 {
            0
        } else {
            let number = &mut numbers[shard_of(event.addr)];
            *number += 1;
            *number
        };
        let record = on_the_wire(event).encode(number);
        queue.extend(&record.words[..record.count as usize]);
        if queue.len() > DRAIN {
            drains.push((stream, std::mem::take(queue)));
        }
    }
    drains.extend(queues.into_iter().enumerate());
    drains
}

fn made_up() -> (Vec<BacktraceNode>, Vec<Event>) {
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    let mut program = Program::begin(Kind::Python, 1, &mut tape).unwrap();
    let events = (0..EVENTS).map(|_| program.event()).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), tape.finish().unwrap()).unwrap();
    (Tape::open(file.path()).unwrap().nodes().iter().collect(), events)
}

fn on_the_wire(event: &Event) -> record::Event {
    let kind = match event.action {
        Action::Alloc => record::Kind::Alloc,
        Action::Free => record::Kind::Free,
        Action::ReallocRelease => record::Kind::ReallocRelease,
        Action::ReallocAlloc => record::Kind::ReallocAlloc,
        other => panic!("{other:?} is not made up"),
    };
    record::Event {
        kind,
        api: event.api as u8,
        align_log2: event.align_log2,
        addr: event.addr,
        size: event.size,
        usable: event.usable,
        node: event.backtrace.0,
    }
}

/// Merges all drains, as they come, into `sink`.
fn merge(drains: &Drains, mut sink: impl FnMut(usize, record::Kind, &[u64])) -> usize {
    let mut merge = Merge::default();
    for (stream, words) in drains {
        merge.feed(*stream, |queue| queue.extend_from_slice(words));
        let limit = Limit::none(u64::MAX);
        let done: Result<bool, std::convert::Infallible> =
            merge.advance(limit, &mut |stream, kind, words| {
                sink(stream, kind, words);
                Ok(())
            });
        done.unwrap();
    }
    assert!(merge.missing().is_none());
    merge.buffered()
}

/// Taken out and merged, to be counted.
#[divan::bench(args = WIRES)]
fn collector_first_stage(bencher: Bencher<'_, '_>, wire: Wire) {
    let drains = wire.drains();
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let mut count = 0usize;
        merge(drains, |_, _, words| count += words.len());
        count
    });
}

/// Taken out, merged, converted, and on the tape.
#[divan::bench(args = WIRES)]
fn collector_full(bencher: Bencher<'_, '_>, wire: Wire) {
    let drains = wire.drains();
    bencher.counter(ItemsCount::new(EVENTS)).bench_local(|| {
        let writer = TapeWriter::new(std::io::sink(), &Header::default()).unwrap();
        let mut book = Book::new(writer, 0);
        book.now_ns = u64::MAX;
        let process = book.process(process()).unwrap();
        let mut converter = Converter::new(process, TimeNs(0));
        merge(drains, |stream, kind, words| {
            converter.record(&mut book, stream, kind, words).unwrap();
        });
        converter.settle(&mut book).unwrap();
        assert_eq!((converter.events(), converter.malformed()), (EVENTS as u64, 0));
        book.writer.finish().unwrap()
    });
}

fn process() -> Process {
    Process { pid: 1, ..Process::unknown(ProcessId(0)) }
}

fn main() {
    divan::main();
}
