//! The ring's protocol under every interleaving: no torn record, order kept, no lost wake-up.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test -p heaptape-wire --release --test loom`.
#![cfg(loom)]

use heaptape_wire::layout::StreamHeader;
use heaptape_wire::record::{Head, Kind};
use heaptape_wire::ring::{Cursor, Ring};
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// A stream in "shared memory" and the kernel's side of its futex.
struct Stream {
    header: StreamHeader,
    words: Vec<AtomicU64>,
    sleepers: Mutex<()>,
    woken: Condvar,
}

impl Stream {
    fn new(capacity: usize) -> Arc<Stream> {
        Arc::new(Stream {
            header: StreamHeader::new(),
            words: (0..capacity).map(|_| AtomicU64::new(0)).collect(),
            sleepers: Mutex::new(()),
            woken: Condvar::new(),
        })
    }

    fn ring(&self) -> Ring<'_> {
        Ring::new(&self.header, &self.words)
    }

    /// `FUTEX_WAIT`: sleeps unless the bell has moved on.
    fn futex_wait(&self, expected: u32) {
        let sleepers = self.sleepers.lock().unwrap();
        // The kernel reads the value behind a full barrier: it cannot be an old one. To loom, which
        // treats SeqCst loads as Acquire, that is a read-modify-write.
        if self.header.bell.fetch_add(0, Ordering::SeqCst) == expected {
            // Spurious wake-ups are allowed: the caller claims again in any case.
            drop(self.woken.wait(sleepers).unwrap());
        }
    }

    /// `FUTEX_WAKE`.
    fn futex_wake(&self) {
        drop(self.sleepers.lock().unwrap());
        self.woken.notify_all();
    }

    /// The producer's whole step: claim, write a record of `words` words that carry `number`, publish;
    /// sleep where there is no room.
    fn produce(&self, cursor: &mut Cursor, words: u64, number: u64) {
        let ring = self.ring();
        let start = loop {
            match ring.claim(cursor, words) {
                Ok(start) => break start,
                Err(_) => {
                    if let Some(bell) = ring.prepare_wait(cursor, words) {
                        self.futex_wait(bell);
                    }
                }
            }
        };
        ring.write(start, Head::new(Kind::Module, 0, 0, 0, words).0);
        for word in 1..words {
            ring.write(start + word, number);
        }
        ring.publish(cursor);
    }

    /// The consumer's step: appends what was published to `seen`.
    fn consume(&self, seen: &mut Vec<u64>) {
        if self.ring().drain(seen).expect("a sane span") {
            self.futex_wake();
        }
    }
}

/// Takes the drained words apart; every record must be whole. Returns the numbers carried.
fn numbers(words: &[u64]) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut rest = words;
    while let Some((&first, _)) = rest.split_first() {
        let head = Head(first);
        assert!(head.words() > 0, "a head that was never written: {words:?}");
        let (record, after) = rest.split_at(head.words() as usize);
        match head.kind() {
            Some(Kind::Module) => {
                assert!(record[1..].iter().all(|word| *word == record[1]), "torn: {record:?}");
                numbers.push(record[1]);
            }
            Some(Kind::Pad) => {}
            other => panic!("{other:?} was never written"),
        }
        rest = after;
    }
    numbers
}

/// Records of these sizes pass through a ring of eight words, in order and whole, while the producer
/// sleeps and is woken. A wake-up that gets lost is a deadlock, which loom reports.
fn all_pass(sizes: &'static [u64]) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let stream = Stream::new(8);
        let producer = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                let mut cursor = Cursor::default();
                for (number, &words) in sizes.iter().enumerate() {
                    stream.produce(&mut cursor, words, number as u64 + 1);
                }
            })
        };
        let mut seen = Vec::new();
        while numbers(&seen).len() < sizes.len() {
            stream.consume(&mut seen);
            thread::yield_now();
        }
        producer.join().unwrap();
        assert_eq!(numbers(&seen), (1..=sizes.len() as u64).collect::<Vec<_>>());
    });
}

#[test]
fn records_pass_whole_and_in_order() {
    all_pass(&[2, 3]);
}

#[test]
fn a_full_ring_makes_the_producer_wait_and_wakes_it() {
    all_pass(&[4, 4, 2]);
}

#[test]
fn a_record_that_does_not_fit_before_the_end_follows_a_pad() {
    all_pass(&[3, 3, 3]);
}

/// A second owner takes over the stream of a thread that is gone, with words still undrained.
#[test]
fn a_stream_is_taken_over() {
    loom::model(|| {
        let stream = Stream::new(8);
        let first = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || stream.produce(&mut Cursor::default(), 2, 1))
        };
        let second = {
            let stream = Arc::clone(&stream);
            thread::spawn(move || {
                first.join().unwrap();
                let mut cursor = Cursor::resume(stream.ring());
                stream.produce(&mut cursor, 2, 2);
            })
        };
        let mut seen = Vec::new();
        stream.consume(&mut seen);
        second.join().unwrap();
        stream.consume(&mut seen);
        assert_eq!(numbers(&seen), [1, 2]);
    });
}
