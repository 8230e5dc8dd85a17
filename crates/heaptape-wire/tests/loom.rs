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

/// Publishes a record of three words with the next number of `shard`, which it returns.
fn produce_numbered(stream: &Stream, shard: &AtomicU64) -> u64 {
    let (ring, mut cursor) = (stream.ring(), Cursor::default());
    let start = ring.claim(&mut cursor, 3).expect("an empty ring");
    ring.write(start, Head::new(Kind::Module, 0, 0, 0, 3).0);
    ring.write(start + 1, 0);
    ring.publish_numbered(&cursor, start + 2, shard)
}

/// The number of the record that a stream has published, if it has.
fn number(stream: &Stream) -> Option<u64> {
    let mut words = Vec::new();
    stream.ring().drain(&mut words).expect("a sane span");
    words.get(2).copied()
}

/// Whoever sees a number and not the one before it finds that its maker says so, or the record itself with the
/// next look: a number is never taken for lost while somebody can still publish it.
#[test]
fn a_number_that_is_missing_is_in_the_making_or_comes_with_the_next_look() {
    loom::model(|| {
        let streams = [Stream::new(8), Stream::new(8)];
        let shard = Arc::new(AtomicU64::new(0));
        let producers: Vec<_> = streams
            .iter()
            .map(|stream| {
                let (stream, shard) = (Arc::clone(stream), Arc::clone(&shard));
                thread::spawn(move || produce_numbered(&stream, &shard))
            })
            .collect();
        let seen = [number(&streams[0]), number(&streams[1])];
        if let [None, Some(2)] | [Some(2), None] = seen {
            let holder = &streams[if seen[0].is_none() { 0 } else { 1 }];
            if holder.header.intent.load(Ordering::Acquire) == 0 {
                assert_eq!(number(holder), Some(1), "would be given up");
            }
        }
        for producer in producers {
            producer.join().unwrap();
        }
    });
}

/// A free takes its number before the real free, the allocation that gets the address again after the real
/// allocation: the numbers are in that order, whatever the allocator uses to hand the address over.
#[test]
fn a_free_is_numbered_before_the_next_allocation_of_its_address() {
    loom::model(|| {
        let (freer, taker) = (Stream::new(8), Stream::new(8));
        let shard = Arc::new(AtomicU64::new(0));
        let is_free = Arc::new(AtomicU64::new(0));
        let free = {
            let (shard, is_free) = (Arc::clone(&shard), Arc::clone(&is_free));
            thread::spawn(move || {
                let number = produce_numbered(&freer, &shard);
                is_free.store(1, Ordering::Release);
                number
            })
        };
        let alloc = thread::spawn(move || {
            let got = is_free.load(Ordering::Acquire) == 1;
            got.then(|| produce_numbered(&taker, &shard))
        });
        let (free, alloc) = (free.join().unwrap(), alloc.join().unwrap());
        assert!(alloc.is_none_or(|alloc| free < alloc));
    });
}

/// A block allocated alone, without a number, and freed by the second thread there ever was: whoever sees the
/// free knows how much of stream 0 comes first, and finds the allocation there.
#[test]
fn what_was_made_alone_is_found_before_what_came_after() {
    loom::model(|| {
        let (first, second) = (Stream::new(8), Stream::new(8));
        let (alone_until, handed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let allocating = {
            let (first, handed) = (Arc::clone(&first), Arc::clone(&handed));
            thread::spawn(move || {
                first.produce(&mut Cursor::default(), 2, 7);
                handed.store(1, Ordering::Release);
            })
        };
        let freeing = {
            let (first, second) = (Arc::clone(&first), Arc::clone(&second));
            let alone_until = Arc::clone(&alone_until);
            thread::spawn(move || {
                if handed.load(Ordering::Acquire) == 1 {
                    let until = first.header.head.load(Ordering::Acquire) + 1;
                    alone_until.store(until, Ordering::Release);
                    produce_numbered(&second, &AtomicU64::new(0));
                }
            })
        };
        if number(&second).is_some() {
            assert_eq!(alone_until.load(Ordering::Acquire), 3);
            let mut words = Vec::new();
            first.consume(&mut words);
            assert_eq!(numbers(&words), [7]);
        }
        allocating.join().unwrap();
        freeing.join().unwrap();
    });
}
