//! How missing numbers are judged, and what a ring may not do.

use super::*;
use heaptape_wire::record::{Event, Kind};
use heaptape_wire::ring::Cursor;

/// A target whose streams this test writes itself.
struct Bench {
    target: Target,
    book: Book<Vec<u8>>,
    cursors: [Cursor; 2],
}

impl Bench {
    fn new() -> Bench {
        let header = Header { tick_ns: 1, ..Header::default() };
        let mut book = Book::new(TapeWriter::new(Vec::new(), &header).unwrap(), 0);
        let facts = Facts::default();
        let mut target =
            Target::new(1, 0, Origin::Fresh, Heads::default(), None, facts, TimeNs(0)).unwrap();
        target.memory.page().streams.store(2, Ordering::Release);
        target.drain(false);
        target.begin(&mut book, None).unwrap();
        Bench { target, book, cursors: [Cursor::default(); 2] }
    }

    /// An allocation in the one shard that this test uses.
    fn publish(&mut self, stream: usize, number: u64) {
        let (kind, addr) = (Kind::Alloc, number * 16);
        let event = Event { kind, api: 0, align_log2: 0, addr, size: 1, usable: 1, node: 0 };
        let record = event.encode(number);
        let ring = self.target.memory.ring(stream);
        let cursor = &mut self.cursors[stream];
        let at = ring.claim(cursor, record.count).unwrap();
        for word in 0..record.count {
            ring.write(at + word, record.words[word as usize]);
        }
        ring.publish(cursor);
    }

    fn claim(&self, stream: usize, intent: u64) {
        self.target.memory.ring(stream).header().intent.store(intent, Ordering::SeqCst);
    }

    fn round(&mut self) {
        self.target.drain(false);
        self.target.advance(&mut self.book, u64::MAX, usize::MAX).unwrap();
    }

    /// Rounds until well after the patience for a gap is over.
    fn rounds(&mut self) {
        for _ in 0..8 {
            self.round();
            std::thread::sleep(GAP_PATIENCE / 2);
        }
    }
}

#[test]
fn a_number_that_a_thread_claims_is_waited_for() {
    let mut bench = Bench::new();
    bench.claim(1, 1);
    bench.publish(0, 2);
    bench.rounds();
    assert_eq!((bench.book.events, bench.target.losses().abandoned), (0, 0));
    let heads = bench.target.heads();
    assert!(!bench.target.is_past(&heads));
    // It comes after all, in its place.
    bench.publish(1, 1);
    bench.claim(1, 0);
    bench.round();
    assert_eq!((bench.book.events, bench.target.losses().abandoned), (2, 0));
    assert!(bench.target.is_past(&heads));
}

#[test]
fn a_number_that_nobody_claims_is_given_up() {
    let mut bench = Bench::new();
    bench.publish(0, 3);
    bench.round();
    assert_eq!((bench.book.events, bench.target.losses().abandoned), (0, 0));
    bench.rounds();
    assert_eq!((bench.book.events, bench.target.losses().abandoned), (1, 2));
}

#[test]
fn a_thread_that_goes_on_does_not_hold_what_is_missing() {
    let mut bench = Bench::new();
    bench.publish(0, 3);
    for number in 4..14 {
        // Whenever we look, it is making a record, but each time another one.
        bench.claim(1, 1);
        bench.publish(1, number);
        bench.round();
        std::thread::sleep(GAP_PATIENCE / 2);
    }
    assert_eq!((bench.book.events, bench.target.losses().abandoned), (11, 2));
}

#[test]
fn a_process_that_is_dead_is_brought_to_its_end_over_gaps() {
    let mut bench = Bench::new();
    bench.claim(1, 1);
    bench.publish(0, 2);
    bench.publish(0, 5);
    let (losses, ended) = bench.target.end(&mut bench.book, TimeNs(1), Ending::Gone).unwrap();
    assert_eq!((bench.book.events, losses.abandoned), (2, 3));
    assert_eq!(ended.id, Some(ProcessId(0)));
}

#[test]
fn a_closed_gate_is_seen_by_the_process_and_stays_closed() {
    let bench = Bench::new();
    bench.target.close_gate();
    assert_eq!(bench.target.memory.page().gate.load(Ordering::Relaxed), GATE_CLOSED);
}

#[test]
fn a_head_beyond_the_ring_closes_the_gate() {
    let mut bench = Bench::new();
    bench.publish(0, 1);
    bench.target.memory.ring(1).header().head.store(u64::MAX, Ordering::SeqCst);
    bench.round();
    bench.round();
    assert_eq!(bench.target.losses().malformed, 2); // and the event of no thread
    assert_eq!(bench.target.memory.page().gate.load(Ordering::Relaxed), GATE_CLOSED);
}
