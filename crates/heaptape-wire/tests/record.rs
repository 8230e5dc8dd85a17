//! Events as words and back, and frames of whatever words there are.
#![cfg(not(loom))]

use heaptape_wire::order::{SHARDS, WORLD, shard_of};
use heaptape_wire::record::*;
use proptest::prelude::*;

fn event() -> impl Strategy<Value = Event> {
    let word = || prop_oneof![any::<u64>(), 0..1u64 << 48, (0..1u64 << 44).prop_map(|a| a << 3)];
    let size = prop_oneof![any::<u64>(), 0..100u64, Just(u64::from(u32::MAX)), Just(1 << 32)];
    let slack = prop_oneof![any::<u64>(), 0..200u64];
    let parts = (1..9u8, 0..22u8, prop_oneof![4 => Just(0u8), 1 => 0..64u8], word(), size, slack);
    (parts, any::<u32>(), any::<bool>()).prop_map(
        |((kind, api, align_log2, addr, size, slack), node, known)| Event {
            kind: Kind::from_u8(kind).expect("an event's"),
            api,
            align_log2,
            addr,
            size,
            usable: if known { size.wrapping_add(slack) } else { 0 },
            node,
        },
    )
}

proptest! {
    #[test]
    fn an_event_comes_back_as_it_was(event in event(), number: u64) {
        let record = event.encode(number);
        let words = &record.words[..record.count as usize];
        prop_assert_eq!(Event::decode(words), Some(event));
        let frame = frame(words).expect("a frame");
        prop_assert_eq!((frame.kind, frame.words), (event.kind, record.count));
        if number == 0 {
            prop_assert_eq!(frame.place, Place::Here);
        } else {
            prop_assert_eq!(frame.place, Place::Numbered(event.shard()));
            prop_assert_eq!(words[frame.number_at], number);
        }
    }

    /// A recorder claims room for a record before it has its number.
    #[test]
    fn every_number_takes_the_same_room(event in event(), number in 1..=u64::MAX) {
        let (one, other) = (event.encode(1), event.encode(number));
        let last = one.count as usize - 1;
        prop_assert_eq!(one.count, other.count);
        prop_assert_eq!(&one.words[..last], &other.words[..last]);
        prop_assert_eq!(other.words[last], number);
    }

    #[test]
    fn hostile_words_have_a_sane_frame_or_none(
        words in prop::collection::vec(prop_oneof![any::<u64>(), 0..300u64], 0..9),
    ) {
        if let Some(frame) = frame(&words) {
            prop_assert!(frame.words > 0 && (frame.number_at as u64) < frame.words);
            if let Place::Numbered(shard) = frame.place {
                prop_assert!(shard <= WORLD);
            }
            if frame.kind.is_event() && frame.words <= words.len() as u64 {
                let _ = Event::decode(&words[..frame.words as usize]);
            }
        }
    }

    #[test]
    fn every_address_has_a_shard(addr: u64) {
        prop_assert!(shard_of(addr) < SHARDS);
        prop_assert_eq!(shard_of(addr), shard_of(addr & !0xffff));
    }
}

#[test]
fn the_usual_events_are_short() {
    let alloc = Event {
        kind: Kind::Alloc,
        api: api::MALLOC,
        align_log2: 0,
        addr: 0x7fff_ffff_fff8,
        size: 100,
        usable: 104,
        node: 7,
    };
    assert_eq!((alloc.encode(0).count, alloc.encode(9).count), (2, 3));
    let free = Event { kind: Kind::Free, api: api::FREE, size: 0, usable: 0, node: 0, ..alloc };
    assert_eq!((free.encode(0).count, free.encode(9).count), (1, 2));
}

/// glibc's arenas lie 64 MiB apart: the same offset in each must not be one shard.
#[test]
fn arenas_do_not_share_their_shards() {
    let shards: std::collections::HashSet<usize> =
        (0..64u64).map(|arena| shard_of(0x7f00_0000_0000 + (arena << 26))).collect();
    assert!(shards.len() > 56, "{}", shards.len());
}
