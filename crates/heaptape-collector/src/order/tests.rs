//! The merge against random interleavings, killed threads, gaps and nonsense.

use super::*;
use heaptape_wire::order::shard_of;
use proptest::prelude::*;
use std::collections::HashMap;
use std::convert::Infallible;

/// An allocation at that address, with that number; 0 for none.
fn event(addr: u64, number: u64) -> Vec<u64> {
    let event =
        Event { kind: Kind::Alloc, api: 0, align_log2: 0, addr, size: 1, usable: 0, node: 0 };
    let record = event.encode(number);
    record.words[..record.count as usize].to_vec()
}

fn time(ns: u64) -> Vec<u64> {
    vec![Head::new(Kind::Time, 0, 0, 0, TIME_WORDS).0, ns]
}

fn node(id: u64, world: u64) -> Vec<u64> {
    vec![node_head(NODE_EXACT, world), id, 0]
}

fn fork(world: u64) -> Vec<u64> {
    vec![Head::new(Kind::Fork, 0, 0, 0, FORK_WORDS).0, 0, world, 1]
}

/// What a merge gave: stream, kind, and of an event its address.
type Given = Vec<(usize, Kind, u64)>;

fn advance_to(merge: &mut Merge, given: &mut Given, limit: Limit) -> bool {
    let mut sink = |stream, kind: Kind, words: &[u64]| {
        let event = if kind.is_event() { Event::decode(words) } else { None };
        let addr = event.map_or(0, |event| event.addr);
        given.push((stream, kind, addr));
        Ok::<(), Infallible>(())
    };
    let Ok(more) = merge.advance(limit, &mut sink);
    more
}

fn advance(merge: &mut Merge, given: &mut Given) {
    assert!(!advance_to(merge, given, Limit::none(u64::MAX)));
}

fn feed(merge: &mut Merge, stream: usize, words: &[u64]) {
    merge.feed(stream, |queue| queue.extend_from_slice(words));
}

fn skip_all(merge: &mut Merge, given: &mut Given) {
    advance(merge, given);
    while let Some(missing) = merge.missing() {
        merge.skip(missing);
        advance(merge, given);
    }
}

#[test]
fn one_stream_without_numbers_comes_through_as_it_is() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[node(1, 0), event(16, 0), event(32, 0), node(2, 0)].concat());
    advance(&mut merge, &mut given);
    let alloc = Kind::Alloc;
    assert_eq!(given, [(0, Kind::Node, 0), (0, alloc, 16), (0, alloc, 32), (0, Kind::Node, 0)]);
    assert_eq!((merge.done(0), merge.buffered(), merge.missing()), (10, 0, None));
}

#[test]
fn what_stands_behind_a_missing_number_waits_for_it() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[event(16, 2), node(1, 0), event(16, 3)].concat());
    advance(&mut merge, &mut given);
    assert!(given.is_empty() && merge.has_words(0) && !merge.has_words(1));
    let missing = Missing::Number { shard: shard_of(16), number: 1 };
    assert_eq!(merge.missing(), Some(missing));
    feed(&mut merge, 1, &event(32, 1));
    advance(&mut merge, &mut given);
    let alloc = Kind::Alloc;
    assert_eq!(given, [(1, alloc, 32), (0, alloc, 16), (0, Kind::Node, 0), (0, alloc, 16)]);
    assert_eq!(merge.missing(), None);
}

#[test]
fn what_waits_in_a_queue_is_not_missing() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    let other = (1..).map(|i| i << 16).find(|&addr| shard_of(addr) != shard_of(16)).unwrap();
    feed(&mut merge, 0, &event(16, 2));
    feed(&mut merge, 1, &[event(other, 2), event(16, 1)].concat());
    advance(&mut merge, &mut given);
    assert_eq!(merge.missing(), Some(Missing::Number { shard: shard_of(other), number: 1 }));
    skip_all(&mut merge, &mut given);
    assert_eq!(given, [(1, Kind::Alloc, other), (1, Kind::Alloc, 16), (0, Kind::Alloc, 16)]);
    assert_eq!(merge.abandoned(), 1);
}

#[test]
fn a_number_that_comes_after_it_was_given_up_is_not_lost() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &event(16, 3));
    skip_all(&mut merge, &mut given);
    assert_eq!(merge.abandoned(), 2);
    feed(&mut merge, 1, &event(32, 2));
    advance(&mut merge, &mut given);
    assert_eq!(merge.abandoned(), 1);
    assert_eq!(given, [(0, Kind::Alloc, 16), (1, Kind::Alloc, 32)]);
}

#[test]
fn numbers_that_do_not_grow_are_malformed() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[event(16, 1), event(16, 1), event(16, 2)].concat());
    feed(&mut merge, 1, &event(16, 2));
    advance(&mut merge, &mut given);
    assert_eq!((given.len(), merge.malformed(), merge.buffered()), (2, 2, 0));
}

#[test]
fn the_last_number_there_is_does_not_wrap() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[event(16, u64::MAX), event(16, 1)].concat());
    skip_all(&mut merge, &mut given);
    assert_eq!(given, [(0, Kind::Alloc, 16), (0, Kind::Alloc, 16)]);
    assert_eq!(merge.abandoned(), u64::MAX - 2);
}

#[test]
fn a_node_waits_for_the_modules_it_may_lie_in() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &node(1, 2));
    feed(&mut merge, 1, &fork(2));
    advance(&mut merge, &mut given);
    assert!(given.is_empty());
    feed(&mut merge, 2, &fork(1));
    advance(&mut merge, &mut given);
    assert_eq!(given, [(2, Kind::Fork, 0), (1, Kind::Fork, 0), (0, Kind::Node, 0)]);
}

#[test]
fn what_was_made_alone_comes_before_all_other_streams() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    merge.set_alone_until(4);
    feed(&mut merge, 1, &event(16, 1));
    feed(&mut merge, 0, &event(16, 0));
    advance(&mut merge, &mut given);
    assert_eq!(given, [(0, Kind::Alloc, 16)]);
    feed(&mut merge, 0, &event(32, 0));
    advance(&mut merge, &mut given);
    assert_eq!(given[1..], [(0, Kind::Alloc, 32), (1, Kind::Alloc, 16)]);
}

#[test]
fn a_solitude_that_was_never_published_is_passed_over() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    merge.set_alone_until(100);
    feed(&mut merge, 1, &event(16, 1));
    skip_all(&mut merge, &mut given);
    assert_eq!(given, [(1, Kind::Alloc, 16)]);
}

#[test]
fn streams_take_turns_by_their_times_up_to_the_horizon() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[time(10), event(16, 1), time(30), event(32, 2)].concat());
    feed(&mut merge, 1, &[time(20), event(1 << 20, 1), time(90), event(2 << 20, 1)].concat());
    let limit = Limit { now: 100, horizon: 50, records: usize::MAX };
    assert!(!advance_to(&mut merge, &mut given, limit));
    let addrs = |given: &Given| {
        given.iter().filter(|g| g.1 == Kind::Alloc).map(|g| g.2).collect::<Vec<_>>()
    };
    assert_eq!(addrs(&given), [16, 1 << 20, 32]);
    advance(&mut merge, &mut given);
    assert_eq!(addrs(&given)[3..], [2 << 20]);
}

#[test]
fn a_time_in_the_future_is_taken_for_now() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[time(u64::MAX), event(16, 0)].concat());
    let limit = Limit { now: 100, horizon: 50, records: usize::MAX };
    advance_to(&mut merge, &mut given, limit);
    assert!(given.is_empty(), "it is later than the horizon");
    advance_to(&mut merge, &mut given, Limit { now: 200, horizon: 150, ..limit });
    assert_eq!(given.len(), 2);
}

/// A history dealt out to streams: for each event, its stream and shard; `None`: never published.
fn dealt() -> impl Strategy<Value = Vec<(Option<usize>, u64)>> {
    let turn = prop_oneof![8 => (0..5usize).prop_map(Some), 1 => Just(None)];
    proptest::collection::vec((turn, 0..4u64), 0..200)
}

/// An address of which there is only one, in one of four shards.
fn address(shard: u64, place: usize) -> u64 {
    (shard + 1) << 16 | (place as u64) << 4
}

proptest! {
    /// However the streams are drained and in what portions they are taken, each stream and each shard come out
    /// in order, each event once, and the lost numbers are counted.
    #[test]
    fn any_dealing_is_put_back_in_order(
        dealt in dealt(),
        drains in proptest::collection::vec((0..5usize, 1..10usize, 1..20usize), 0..200),
    ) {
        let mut streams = vec![VecDeque::new(); 5];
        let mut numbers = [0u64; 4];
        let mut published = [0u64; 4];
        for (place, &(stream, shard)) in dealt.iter().enumerate() {
            numbers[shard as usize] += 1;
            if let Some(stream) = stream {
                streams[stream].push_back((address(shard, place), numbers[shard as usize]));
                published[shard as usize] = numbers[shard as usize];
            }
        }
        let rest = (0..5).map(|stream| (stream, usize::MAX, usize::MAX));
        let (mut merge, mut given) = (Merge::default(), Given::new());
        for (stream, count, records) in drains.into_iter().chain(rest) {
            for _ in 0..count {
                let Some((addr, number)) = streams[stream].pop_front() else { break };
                feed(&mut merge, stream, &event(addr, number));
            }
            advance_to(&mut merge, &mut given, Limit { records, ..Limit::none(0) });
        }
        skip_all(&mut merge, &mut given);
        let addrs: Vec<u64> = given.iter().map(|g| g.2).collect();
        let expected: Vec<(usize, u64)> = dealt
            .iter()
            .enumerate()
            .filter_map(|(place, &(stream, shard))| Some((stream?, address(shard, place))))
            .collect();
        // The place in the history is part of the address: every shard and every stream grows.
        for shard in 0..4 {
            let of = |addr: &&u64| **addr >> 16 == shard + 1;
            prop_assert!(addrs.iter().filter(of).is_sorted());
        }
        for stream in 0..5 {
            let places = given.iter().filter(|g| g.0 == stream).map(|g| g.2 & 0xffff);
            prop_assert!(places.is_sorted());
        }
        let mut given: Vec<(usize, u64)> = given.iter().map(|g| (g.0, g.2)).collect();
        let mut expected = expected;
        given.sort_unstable();
        expected.sort_unstable();
        let arrived = expected.iter().map(|e| (e.1 >> 16) - 1).fold(HashMap::new(), |mut all, shard| {
            *all.entry(shard).or_insert(0u64) += 1;
            all
        });
        let lost: u64 =
            (0..4).map(|s| published[s as usize] - arrived.get(&s).copied().unwrap_or(0)).sum();
        prop_assert_eq!(given, expected);
        prop_assert_eq!((merge.abandoned(), merge.malformed()), (lost, 0));
        prop_assert_eq!(merge.buffered(), 0);
    }

    /// Words that mean nothing are survived, end, and leave nothing behind.
    #[test]
    fn hostile_words_are_survived(
        words in proptest::collection::vec(
            prop_oneof![
                any::<u64>(),
                (0..256u64, 0..12u64).prop_map(|(kind, words)| kind | words << 32),
                0..20u64,
            ],
            0..300,
        ),
        streams in 1..4usize,
        alone in 0..40u64,
    ) {
        let (mut merge, mut given) = (Merge::default(), Given::new());
        merge.set_alone_until(alone);
        for (i, run) in words.chunks(50).enumerate() {
            feed(&mut merge, i % streams, run);
            advance(&mut merge, &mut given);
        }
        skip_all(&mut merge, &mut given);
        prop_assert_eq!(merge.buffered(), 0);
    }
}
