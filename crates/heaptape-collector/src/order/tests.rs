//! The merge against random interleavings, killed threads, gaps and nonsense.

use super::*;
use heaptape_wire::record::EVENT_WORDS;
use proptest::prelude::*;
use std::convert::Infallible;

fn event(order: u64) -> Vec<u64> {
    let head = Head::new(Kind::Alloc, 0, 0, 0, EVENT_WORDS);
    vec![head.0, 0, order, order * 16, 1, 0, 0]
}

fn node(id: u64) -> Vec<u64> {
    vec![Head::new(Kind::Node, 0, 0, 0, NODE_WORDS).0, id, 0]
}

/// What a merge gave: (stream, order number), nodes as the number 0.
type Given = Vec<(usize, u64)>;

fn advance(merge: &mut Merge, given: &mut Given) -> Option<Gap> {
    let mut sink = |stream, words: &[u64]| {
        let is_node = Head(words[0]).kind() == Some(Kind::Node);
        given.push((stream, if is_node { 0 } else { words[2] }));
        Ok::<(), Infallible>(())
    };
    let Ok(gap) = merge.advance(&mut sink);
    gap
}

fn feed(merge: &mut Merge, stream: usize, words: &[u64]) {
    merge.feed(stream, |queue| queue.extend_from_slice(words));
}

#[test]
fn one_stream_comes_through_with_its_nodes_in_place() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[node(1), event(1), event(2), node(2), event(3)].concat());
    assert_eq!(advance(&mut merge, &mut given), None);
    assert_eq!(given, [(0, 0), (0, 1), (0, 2), (0, 0), (0, 3)]);
    assert_eq!((merge.next(), merge.buffered()), (4, 0));
}

#[test]
fn nodes_behind_a_gap_wait_for_it() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[event(2), node(1), event(3)].concat());
    assert_eq!(advance(&mut merge, &mut given), Some(Gap(1)));
    assert!(given.is_empty() && merge.is_waiting(0) && !merge.is_waiting(1));
    feed(&mut merge, 1, &event(1));
    assert_eq!(advance(&mut merge, &mut given), None);
    assert_eq!(given, [(1, 1), (0, 2), (0, 0), (0, 3)]);
}

#[test]
fn a_number_that_comes_after_it_was_given_up_is_not_lost() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &event(3));
    assert_eq!(advance(&mut merge, &mut given), Some(Gap(1)));
    merge.skip_gap();
    assert_eq!((advance(&mut merge, &mut given), merge.abandoned()), (None, 2));
    feed(&mut merge, 1, &event(2));
    assert_eq!((advance(&mut merge, &mut given), merge.abandoned()), (None, 1));
    assert_eq!(given, [(0, 3), (1, 2)]);
}

#[test]
fn numbers_that_do_not_grow_are_malformed() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &[event(1), event(1), event(0), event(2)].concat());
    feed(&mut merge, 1, &event(2));
    assert_eq!(advance(&mut merge, &mut given), None);
    assert_eq!((given.len(), merge.malformed(), merge.buffered()), (2, 3, 0));
}

#[test]
fn the_last_number_there_is_does_not_wrap() {
    let (mut merge, mut given) = (Merge::default(), Given::new());
    feed(&mut merge, 0, &{
        let mut last = event(1);
        last[2] = u64::MAX;
        last
    });
    feed(&mut merge, 1, &event(1));
    while advance(&mut merge, &mut given).is_some() {
        merge.skip_gap();
    }
    assert_eq!(given, [(1, 1), (0, u64::MAX)]);
}

/// A history dealt out to streams: for each order number from 1, its stream; `None`: never published.
fn dealt() -> impl Strategy<Value = Vec<Option<usize>>> {
    let turn = prop_oneof![8 => (0..5usize).prop_map(Some), 1 => Just(None)];
    proptest::collection::vec(turn, 0..200)
}

proptest! {
    /// However the streams are drained, the history comes out in order, each number once, and the
    /// lost ones are counted.
    #[test]
    fn any_dealing_is_put_back_in_order(
        dealt in dealt(),
        drains in proptest::collection::vec((0..5usize, 1..10usize), 0..200),
    ) {
        let mut streams = vec![std::collections::VecDeque::new(); 5];
        for (i, stream) in dealt.iter().enumerate() {
            if let Some(stream) = stream {
                streams[*stream].push_back(i as u64 + 1);
            }
        }
        let rest = (0..5).map(|stream| (stream, usize::MAX));
        let (mut merge, mut given) = (Merge::default(), Given::new());
        for (stream, count) in drains.into_iter().chain(rest) {
            for _ in 0..count {
                let Some(order) = streams[stream].pop_front() else { break };
                feed(&mut merge, stream, &event(order));
            }
            advance(&mut merge, &mut given);
            // Nothing is given before everything that comes before it, as long as nothing is skipped.
            prop_assert!(given.iter().map(|g| g.1).eq(1..=given.len() as u64));
        }
        while advance(&mut merge, &mut given).is_some() {
            merge.skip_gap();
        }
        let expected: Given = dealt
            .iter()
            .enumerate()
            .filter_map(|(i, stream)| stream.map(|stream| (stream, i as u64 + 1)))
            .collect();
        let last = expected.last().map_or(0, |last| last.1);
        let lost = dealt[..last as usize].iter().filter(|stream| stream.is_none()).count();
        prop_assert_eq!(given, expected);
        prop_assert_eq!((merge.abandoned(), merge.malformed()), (lost as u64, 0));
        prop_assert_eq!(merge.buffered(), 0);
    }

    /// Words that mean nothing are survived, end, and leave nothing behind.
    #[test]
    fn hostile_words_are_survived(
        words in proptest::collection::vec(
            prop_oneof![
                any::<u64>(),
                (0..30u64, 0..12u64).prop_map(|(kind, words)| kind | words << 32),
                0..20u64,
            ],
            0..300,
        ),
        streams in 1..4usize,
    ) {
        let (mut merge, mut given) = (Merge::default(), Given::new());
        for (i, run) in words.chunks(50).enumerate() {
            feed(&mut merge, i % streams, run);
            advance(&mut merge, &mut given);
        }
        while advance(&mut merge, &mut given).is_some() {
            merge.skip_gap();
        }
        prop_assert_eq!(merge.buffered(), 0);
        for stream in 0..streams {
            let own: Vec<u64> =
                given.iter().filter(|g| g.0 == stream && g.1 > 0).map(|g| g.1).collect();
            prop_assert!(own.is_sorted_by(|a, b| a < b));
        }
    }
}
