//! Stories are read as they were told, and whatever bytes come, blocks or a sentence.

use super::blocks::{Block, Extent, read, write};
use proptest::prelude::*;

/// What a made-up program does next.
#[derive(Clone, Debug)]
enum Act {
    /// A block begins: stack, size, thread, where.
    Begin(u32, u32, u16, u64),
    /// The live block of this number, modulo how many there are, ends: thread, stack.
    End(usize, u16, u32),
    /// The same, as the first half of an event at which another begins.
    Replace(usize),
    /// So many events are of no block.
    Pass(u32),
}

fn act() -> impl Strategy<Value = Act> {
    let stack = prop_oneof![0..4_u32, 0..3000_u32];
    let size = prop_oneof![0..80_u32, any::<u32>()];
    let thread = prop_oneof![Just(0_u16), 0..4_u16, any::<u16>()];
    let place = prop_oneof![(0..40_u64).prop_map(|nth| 0x5555_0000 + nth * 32), 0..1_u64 << 53];
    prop_oneof![
        6 => (stack.clone(), size, thread.clone(), place)
            .prop_map(|(stack, size, thread, place)| Act::Begin(stack, size, thread, place)),
        4 => (any::<usize>(), thread, stack).prop_map(|(nth, thread, stack)| Act::End(nth, thread, stack)),
        1 => any::<usize>().prop_map(Act::Replace),
        1 => prop_oneof![0..3_u32, 0..10_000_000_u32].prop_map(Act::Pass),
    ]
}

/// Blocks in order of birth of what a program did, the first so many inherited.
fn blocks_of(inherited: u32, acts: &[Act]) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for nth in 0..inherited {
        let addr = 0x7f00_0000_0000 + u64::from(nth) * 48;
        blocks.push(Block { born: u32::MAX, size: 40, addr, flags: 4, ..Block::default() });
    }
    let mut live: Vec<usize> = (0..blocks.len()).collect();
    let mut rank = 0_u32;
    let end = |blocks: &mut Vec<Block>, row: usize, rank: u32| {
        blocks[row].life = rank.wrapping_sub(blocks[row].born);
    };
    for act in acts {
        match *act {
            Act::Begin(stack, size, thread, addr) => {
                live.push(blocks.len());
                let usable = if size % 3 == 0 { size.wrapping_add(8) } else { 0 };
                let (api, leak) = ((size % 17) as u8, (stack % 5) as u8);
                blocks.push(Block {
                    born: rank,
                    stack,
                    size,
                    usable,
                    addr,
                    thread,
                    freed_thread: thread,
                    api,
                    leak,
                    ..Block::default()
                });
            }
            Act::End(nth, thread, stack) if !live.is_empty() => {
                let row = live.swap_remove(nth % live.len());
                end(&mut blocks, row, rank);
                (blocks[row].freed_thread, blocks[row].freed_stack) = (thread, stack);
                blocks[row].flags = (nth % 256) as u8;
            }
            Act::Replace(nth) if !live.is_empty() => {
                let row = live.swap_remove(nth % live.len());
                end(&mut blocks, row, rank);
                live.push(blocks.len());
                blocks.push(Block { life: 0, born: rank, flags: 0, ..blocks[row] });
                let new = blocks.last_mut().unwrap();
                (new.freed_thread, new.freed_stack) = (new.thread, 0);
            }
            Act::Pass(events) => rank += events,
            _ => {}
        }
        rank += 1;
    }
    blocks
        .iter_mut()
        .filter(|block| block.born == u32::MAX && block.life == 0)
        .for_each(|block| block.flags = 4);
    blocks
}

/// A story of which a byte is changed, or that ends there.
pub(super) fn damaged(mut story: Vec<u8>, at: prop::sample::Index, by: u8, cut: bool) -> Vec<u8> {
    let at = at.index(story.len());
    if cut {
        story.truncate(at);
    } else {
        story[at] ^= by;
    }
    story
}

fn story_of(inherited: u32, blocks: &[Block]) -> (Extent, Vec<u8>) {
    write(blocks.len() as u32, inherited, &|row| blocks[row as usize]).expect("it is short")
}

proptest! {
    #[test]
    fn blocks_are_read_as_they_were_told(
        inherited in 0..5_u32,
        acts in prop::collection::vec(act(), 0..300),
    ) {
        let blocks = blocks_of(inherited, &acts);
        let (extent, story) = story_of(inherited, &blocks);
        prop_assert_eq!(read(extent, &story), Ok(blocks));
    }

    #[test]
    fn damage_is_an_error_or_none(
        acts in prop::collection::vec(act(), 20..200),
        at: prop::sample::Index,
        by in 1..=255_u8,
        cut: bool,
    ) {
        let blocks = blocks_of(2, &acts);
        let (extent, story) = story_of(2, &blocks);
        // Of the first bytes and the last ones not all bits count.
        let back = read(extent, &damaged(story, at, by, cut));
        prop_assert!(back.is_err() || back == Ok(blocks));
    }

    #[test]
    fn whatever_the_bytes_there_is_an_end(
        story in prop::collection::vec(any::<u8>(), 0..400),
        blocks in 0..2000_u32,
        freed in 0..2000_u32,
        inherited in 0..3000_u32,
        stacks in 0..100_u32,
        threads in 0..3_u32,
    ) {
        let extent = Extent { blocks, inherited, freed, stacks, threads };
        prop_assert!(read(extent, &story).is_err());
    }
}

/// What comes again costs next to nothing.
#[test]
fn a_loop_is_short() {
    let acts: Vec<Act> =
        (0..100_000).flat_map(|_| [Act::Begin(7, 100, 0, 0x1000), Act::End(0, 0, 9)]).collect();
    let blocks = blocks_of(0, &acts);
    let (_, story) = story_of(0, &blocks);
    assert!(story.len() < 2000, "{} bytes", story.len());
}

/// The page's reader is held to the same bytes (`ui/test/story.test.ts`).
#[test]
fn the_bytes_are_these() {
    let mut acts = Vec::new();
    for nth in 0..12_u64 {
        let addr = 0x5555_0000_1000 + nth * nth * 80;
        acts.push(Act::Begin(nth as u32 % 3 + 1, 24 + nth as u32, nth as u16 % 2, addr));
        if nth % 3 == 1 {
            acts.push(Act::End(nth as usize * 5, 1, 9));
        }
        if nth == 7 {
            acts.extend([Act::Pass(1000), Act::Replace(1), Act::End(0, 300, 0)]);
        }
    }
    // At even distances, downwards.
    acts.extend((0..6).map(|nth| Act::Begin(1, 20, 0, 0x5555_0020_0000 - nth * 0x340)));
    let blocks = blocks_of(2, &acts);
    let (extent, story) = story_of(2, &blocks);
    let hex: String = story.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(extent, Extent { blocks: 21, inherited: 2, freed: 6, stacks: 10, threads: 301 });
    assert_eq!(read(extent, &story), Ok(blocks));
    assert_eq!(hex, STORY);
}

const STORY: &str = "\
    003ffffffd68b3e000027f1540fffffffbf7fd54ce1846cfe05d2577000975b0ce43c8742c29ce30623a7a7dd24cdf08eed6\
    6343cfe344492d1fb1192b3f7ec78fa0e249b32ee8e257a2eb6a52e106776402e35e56c585419fcaf5258b753325d2115a84\
    5314d4f361b8038b89d7a833a91c183cb39be3762a44c1b5ff7319fdde6c5c03abefd6509b0e61df18c96ef1dd2ef7aabc27\
    92a748e9b1c90000";

/// Two million such blocks took a page three seconds and a half.
#[test]
fn what_would_take_long_to_read_is_no_story() {
    let mut random = 1_u64;
    let mut below = |most: u32| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) as u32 % most
    };
    let blocks: Vec<Block> = (0..600_000)
        .map(|row| Block {
            born: row,
            stack: below(180_000),
            size: below(1 << 20),
            usable: below(1 << 20),
            addr: u64::from(below(1 << 30)) << 4,
            ..Block::default()
        })
        .collect();
    let told = |count: usize| write(count as u32, 0, &|row| blocks[row as usize]);
    assert!(told(1000).is_some());
    assert!(told(blocks.len()).is_none());
}

/// Its address came back as another one: a story has no larger numbers than a page.
#[test]
fn an_address_that_no_story_can_tell_is_not_told() {
    let told = |addr: u64| write(1, 0, &|_| Block { addr, ..Block::default() });
    let (extent, story) = told((1 << 53) - 1).expect("it is the last one");
    assert_eq!(read(extent, &story).map(|blocks| blocks[0].addr), Ok((1 << 53) - 1));
    assert!(told(1 << 53).is_none());
    assert!(told(u64::MAX - 15).is_none());
}
