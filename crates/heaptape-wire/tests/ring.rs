//! The ring against a queue that cannot be wrong, against hostile neighbours, and between two threads.
#![cfg(not(loom))]

use heaptape_wire::layout::StreamHeader;
use heaptape_wire::record::{Head, Kind};
use heaptape_wire::ring::{Corrupt, Cursor, Full, Ring};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

const CAPACITY: usize = 32;

fn words(capacity: usize) -> Vec<AtomicU64> {
    (0..capacity).map(|_| AtomicU64::new(0)).collect()
}

/// Claims, where it is promised without a look, and writes a record of `count` words, not yet published.
fn write(ring: Ring<'_>, cursor: &mut Cursor, count: u64, number: u64) -> Result<(), Full> {
    let start = if ring.promised(cursor, count) == cursor.position {
        ring.claim(cursor, count)?
    } else {
        ring.claim_promised(cursor, count)
    };
    ring.write(start, Head::new(Kind::Module, 0, 0, 0, count).0);
    for word in 1..count {
        ring.write(start + word, number);
    }
    Ok(())
}

/// Whole records in drained words, pads left out: (words, number).
fn records(drained: &[u64]) -> Vec<(u64, u64)> {
    let mut found = Vec::new();
    let mut rest = drained;
    while let Some((&first, _)) = rest.split_first() {
        let head = Head(first);
        assert!(head.words() > 0, "{drained:?}");
        let (record, after) = rest.split_at(head.words() as usize);
        if head.kind() == Some(Kind::Module) {
            let number = record.get(1).copied().unwrap_or(0);
            assert!(record[1..].iter().all(|word| *word == number), "torn: {record:?}");
            found.push((head.words(), number));
        } else {
            assert_eq!(head.kind(), Some(Kind::Pad));
        }
        rest = after;
    }
    found
}

#[derive(Clone, Debug)]
enum Step {
    Write(u64),
    Publish,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..=CAPACITY as u64 / 2).prop_map(Step::Write),
        2 => Just(Step::Publish),
        1 => Just(Step::Drain),
    ]
}

proptest! {
    /// Whatever the steps and wherever the counters begin (just before they wrap, too): what comes
    /// out is what was published, in order; and `Full` is said only when there is no room.
    #[test]
    fn agrees_with_a_queue(
        origin in prop_oneof![Just(0), Just(CAPACITY as u64 - 5), Just(u64::MAX - 40)],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let (header, words) = (StreamHeader::new(), words(CAPACITY));
        header.head.store(origin, Ordering::Relaxed);
        header.tail.store(origin, Ordering::Relaxed);
        let ring = Ring::new(&header, &words);
        let mut cursor = Cursor::resume(ring);
        let (mut unpublished, mut published) = (VecDeque::new(), VecDeque::new());
        let mut number = 0;
        for step in steps {
            match step {
                Step::Write(count) => {
                    number += 1;
                    let carried = if count > 1 { number } else { 0 };
                    let used = cursor.position.wrapping_sub(header.tail.load(Ordering::Relaxed));
                    let at = cursor.position as usize % CAPACITY;
                    let pad = if at + count as usize > CAPACITY { CAPACITY - at } else { 0 };
                    let room = used + pad as u64 + count <= CAPACITY as u64;
                    match write(ring, &mut cursor, count, number) {
                        Ok(()) => {
                            prop_assert!(room);
                            unpublished.push_back((count, carried));
                        }
                        Err(Full) => {
                            prop_assert!(!room);
                            prop_assert!(ring.prepare_wait(&cursor, count).is_some());
                        }
                    }
                }
                Step::Publish => {
                    ring.publish(&cursor);
                    published.append(&mut unpublished);
                }
                Step::Drain => {
                    let pending = ring.pending();
                    let mut drained = Vec::new();
                    ring.drain(&mut drained).expect("an honest producer");
                    prop_assert_eq!(drained.len() as u64, pending);
                    let expected: Vec<(u64, u64)> = published.drain(..).collect();
                    prop_assert_eq!(records(&drained), expected);
                    prop_assert_eq!(ring.pending(), 0);
                }
            }
        }
    }

    /// Counters that no honest peer writes: the consumer says `Corrupt` or reads at most one ringful,
    /// the producer sees a full ring; neither panics.
    #[test]
    fn hostile_counters_do_no_harm(head: u64, tail: u64, position: u64, count in 1..=CAPACITY as u64 / 2) {
        let (header, words) = (StreamHeader::new(), words(CAPACITY));
        header.head.store(head, Ordering::Relaxed);
        header.tail.store(tail, Ordering::Relaxed);
        let ring = Ring::new(&header, &words);
        let mut read = Vec::new();
        let drained = ring.drain(&mut read);
        let sane = head.wrapping_sub(tail) <= CAPACITY as u64;
        prop_assert_eq!(drained, if sane { Ok(false) } else { Err(Corrupt) });
        prop_assert_eq!(read.len() as u64, if sane { head.wrapping_sub(tail) } else { 0 });

        let mut cursor = Cursor::resume(ring);
        cursor.position = position;
        for _ in 0..3 {
            let _ = write(ring, &mut cursor, count, 1);
            let _ = ring.prepare_wait(&cursor, count);
            let _ = ring.is_half_full(&mut cursor);
            let _ = ring.pending();
        }
    }
}

#[test]
fn half_full_is_more_than_half() {
    let (header, words) = (StreamHeader::new(), words(CAPACITY));
    let ring = Ring::new(&header, &words);
    let mut cursor = Cursor::default();
    write(ring, &mut cursor, CAPACITY as u64 / 2, 1).expect("room");
    assert!(!ring.is_half_full(&mut cursor));
    write(ring, &mut cursor, 1, 2).expect("room");
    assert!(ring.is_half_full(&mut cursor));
}

#[test]
fn a_waiting_producer_is_reported_once() {
    let (header, words) = (StreamHeader::new(), words(CAPACITY));
    let ring = Ring::new(&header, &words);
    let mut cursor = Cursor::default();
    write(ring, &mut cursor, CAPACITY as u64 / 2, 1).expect("room");
    write(ring, &mut cursor, CAPACITY as u64 / 2, 2).expect("room");
    ring.publish(&cursor);
    assert_eq!(write(ring, &mut cursor, 2, 3), Err(Full));
    let bell = ring.prepare_wait(&cursor, 2).expect("no room");
    assert_eq!(ring.drain(&mut Vec::new()), Ok(true));
    assert_ne!(header.bell.load(Ordering::Relaxed), bell, "a late sleeper would not be woken");
    write(ring, &mut cursor, 2, 3).expect("room now");
    ring.publish(&cursor);
    assert_eq!(ring.drain(&mut Vec::new()), Ok(false));
}

/// Two threads: every record arrives whole and in order, over many rounds of the ring.
#[test]
fn two_threads_hammer() {
    const RECORDS: u64 = if cfg!(miri) { 300 } else { 300_000 };
    let (header, words) = (StreamHeader::new(), words(CAPACITY));
    let ring = Ring::new(&header, &words);
    let mut next = 1;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut cursor = Cursor::default();
            for number in 1..=RECORDS {
                let count = 2 + number % (CAPACITY as u64 / 2 - 1);
                while write(ring, &mut cursor, count, number).is_err() {
                    std::thread::yield_now();
                }
                ring.publish(&cursor);
            }
        });
        while next <= RECORDS {
            let mut drained = Vec::new();
            ring.drain(&mut drained).expect("an honest producer");
            for (count, number) in records(&drained) {
                assert_eq!((count, number), (2 + next % (CAPACITY as u64 / 2 - 1), next));
                next += 1;
            }
            std::thread::yield_now();
        }
    });
    assert_eq!(next, RECORDS + 1);
}
