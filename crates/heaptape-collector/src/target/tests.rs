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

#[test]
fn a_solitude_beyond_everything_published_is_given_up() {
    let mut bench = Bench::new();
    bench.target.memory.page().alone_until.store(1 << 40, Ordering::SeqCst);
    bench.publish(1, 1);
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        bench.target.end(&mut bench.book, TimeNs(1), Ending::Gone).unwrap();
        tx.send(bench.book.events).unwrap();
    });
    let got = rx.recv_timeout(Duration::from_secs(5));
    assert_eq!(got, Ok(1));
}

/// Publishes words as they are.
fn publish_words(bench: &mut Bench, stream: usize, words: &[u64]) {
    let ring = bench.target.memory.ring(stream);
    let cursor = &mut bench.cursors[stream];
    let at = ring.claim(cursor, words.len() as u64).unwrap();
    for (i, w) in words.iter().enumerate() {
        ring.write(at + i as u64, *w);
    }
    ring.publish(cursor);
}

#[test]
fn a_new_thread_does_not_move_the_clock_of_the_backlog() {
    use heaptape_wire::record::Head;
    let mut bench = Bench::new();
    bench.book.now_ns = 10_000;
    let alloc = |addr: u64| {
        let e =
            Event { kind: Kind::Alloc, api: 0, align_log2: 0, addr, size: 1, usable: 1, node: 0 };
        e.encode(0).words[..2].to_vec()
    };
    let time = |ns| vec![Head::new(Kind::Time, 0, 0, 0, 2).0, ns];
    let thread = |ns, tid| vec![Head::new(Kind::Thread, 0, 0, 0, 5).0, ns, tid, 0, 0];
    publish_words(&mut bench, 0, &thread(100, 1));
    for (at, addr) in [(100, 16), (200, 32), (300, 48)] {
        publish_words(&mut bench, 0, &time(at));
        publish_words(&mut bench, 0, &alloc(addr));
    }
    publish_words(&mut bench, 1, &thread(9000, 2));
    publish_words(&mut bench, 1, &time(9000));
    publish_words(&mut bench, 1, &alloc(64));
    bench.round();
    assert_eq!(bench.book.events, 4);
    let Bench { book, .. } = bench;
    let bytes = book.writer.finish().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tape");
    std::fs::write(&path, bytes).unwrap();
    let tape = Tape::open(&path).unwrap();
    let times: Vec<u64> = tape.events(ProcessId(0), 0).map(|e| e.unwrap().time.0).collect();
    assert_eq!(times, [100, 200, 300, 9000]);
}

#[test]
fn what_is_full_takes_no_more_while_it_has_something_to_do() {
    let mut bench = Bench::new();
    // A gap, long enough to be suspected.
    bench.claim(1, 1);
    bench.publish(0, 2);
    for _ in 0..4 {
        bench.round();
        std::thread::sleep(GAP_PATIENCE / 2);
    }
    assert!(bench.target.suspect.is_some());
    // It comes; from here on there is always more than one slice.
    bench.publish(1, 1);
    bench.claim(1, 0);
    let mut next = 3;
    let mut drained = 0;
    for _ in 0..30 {
        for _ in 0..100 {
            bench.publish(0, next);
            next += 1;
        }
        bench.target.drain(true);
        bench.target.advance(&mut bench.book, u64::MAX, 10).unwrap();
        drained = bench.target.behind();
    }
    assert!(drained < 30_000, "{drained} bytes behind although full");
}

#[test]
fn a_node_is_older_than_the_unloading_of_its_module() {
    use heaptape_wire::record::{Head, node_head};
    let mut bench = Bench::new();
    bench.book.now_ns = 10_000;
    let time = |ns| vec![Head::new(Kind::Time, 0, 0, 0, 2).0, ns];
    let module = vec![Head::new(Kind::Module, 0, 0, 0, 7).0, 100, 1, 0x1000, 0x9000, 0x1000, 0];
    let gone = vec![Head::new(Kind::ModuleGone, 0, 0, 0, 4).0, 210, 2, 0x1000];
    publish_words(&mut bench, 0, &time(100));
    publish_words(&mut bench, 0, &module);
    publish_words(&mut bench, 0, &time(150));
    // Really at 205, and then the other closes the module at 210.
    publish_words(&mut bench, 1, &time(200));
    publish_words(&mut bench, 1, &[node_head(0, 1), 1, 0x2000]);
    publish_words(&mut bench, 0, &gone);
    bench.round();
    let seen = format!("{:?}", bench.target.history.as_ref().unwrap());
    // An address of the module, which is biased by 0x1000.
    assert!(seen.contains("Said { address: [4096, 0]"), "{seen}");
}
