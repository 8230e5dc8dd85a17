//! Contents: whatever is read at a snapshot is what was in memory then, or a hole, also on a damaged or cut
//! tape; and a tape without contents is the same otherwise.

mod small;

use heaptape_tape::*;
use proptest::prelude::*;
use small::{blocks, example, open, open_bytes, snapshot};
use std::collections::{BTreeMap, BTreeSet};

const MAIN: ProcessId = ProcessId(0);
const PAGES: u8 = 7;
const PAGE: usize = PAGE_BYTES as usize;

/// What a snapshot does with some pages: sets their first byte, or loses them.
type Step = Vec<(u64, Option<u8>)>;

/// Memory as it was at each snapshot, as far as it was told.
type Truth = Vec<BTreeMap<u64, u8>>;

/// A tape with a snapshot for each step, and the truth.
fn tape(steps: &[Step]) -> (Vec<u8>, Truth) {
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    let mut truth = Vec::new();
    let mut memory = BTreeMap::new();
    for (time, step) in (0..).zip(steps) {
        let step: BTreeMap<u64, Option<u8>> = step.iter().copied().collect();
        for (rank, (&page, &value)) in step.iter().enumerate() {
            // A block for each two pages: spans that overlap and such that do not.
            let mut pages = Pages::default();
            match value {
                Some(value) => pages.store(page, &[value; PAGE]),
                None => pages.forget(page),
            }
            if rank % 2 == 0 && step.len() > rank + 1 {
                let (&other, &value) = step.iter().nth(rank + 1).unwrap();
                match value {
                    Some(value) => pages.store(other, &[value; PAGE]),
                    None => pages.forget(other),
                }
            }
            if rank % 2 == 0 {
                tape.pages(MAIN, &pages).unwrap();
            }
            match value {
                Some(value) => memory.insert(page, value),
                None => memory.remove(&page),
            };
        }
        let number = tape.snapshot(&snapshot(0, time, 0)).unwrap();
        assert_eq!(u64::from(number), time + 1);
        truth.push(memory.clone());
    }
    (tape.finish().unwrap(), truth)
}

/// Every byte that is told is the true one. Returns how many snapshots and pages are told.
fn nothing_is_made_up(tape: &Tape, truth: &Truth) -> (usize, usize) {
    let mut told = (0, 0);
    for snapshot in tape.snapshots(MAIN) {
        let truth = &truth[snapshot.number as usize - 1];
        told.0 += 1;
        let mut memory = tape.memory_at(snapshot, 0..20 * PAGE_BYTES).unwrap();
        for page in 0..20 {
            let Ok(bytes) = memory.read(page * PAGE_BYTES, PAGE) else { continue };
            if bytes.holes.is_empty() {
                assert_eq!(Some(&bytes.bytes[7]), truth.get(&page), "page {page}");
                told.1 += 1;
            }
            assert!(bytes.holes.is_empty() || bytes.unknown() == PAGE);
        }
    }
    told
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (0..20u64, prop::option::weighted(0.8, any::<u8>()));
    prop::collection::vec(prop::collection::vec(change, 0..8), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_come_back_as_they_were(steps in steps(), from in 0..18u64, len in 1..9000usize) {
        let (bytes, truth) = tape(&steps);
        let tape = open_bytes(&bytes);
        let (snapshots, pages) = nothing_is_made_up(&tape, &truth);
        prop_assert_eq!(snapshots, steps.len());
        prop_assert_eq!(pages, truth.iter().map(BTreeMap::len).sum::<usize>());
        // Any range, from any address: byte by byte.
        let addr = from * PAGE_BYTES + 4000;
        for (snapshot, truth) in tape.snapshots(MAIN).zip(&truth) {
            let mut memory = tape.memory_at(snapshot, addr..addr + len as u64).unwrap();
            let bytes = memory.read(addr, len).unwrap();
            for at in 0..len {
                let page = (addr + at as u64) / PAGE_BYTES;
                prop_assert_eq!(bytes.get(at), truth.get(&page).copied());
            }
        }
    }

    #[test]
    fn a_cut_or_damaged_tape_makes_nothing_up(
        steps in steps(),
        cut in any::<prop::sample::Index>(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 0..3),
        cuts: bool,
    ) {
        let (mut bytes, truth) = tape(&steps);
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let end = if cuts { cut.index(bytes.len()) } else { bytes.len() };
        if let Ok(tape) = open(&bytes[..end]) {
            nothing_is_made_up(&tape, &truth);
        }
    }

    #[test]
    fn lost_blocks_are_holes(steps in steps(), lost in prop::collection::vec(any::<prop::sample::Index>(), 1..3)) {
        let (bytes, truth) = tape(&steps);
        let all: Vec<_> = blocks(&bytes).collect();
        let of_pages: Vec<usize> = (0..all.len()).filter(|&at| all[at].kind == PAGES).collect();
        prop_assume!(!of_pages.is_empty());
        let lost: BTreeSet<usize> = lost.iter().map(|at| of_pages[at.index(of_pages.len())]).collect();
        let index = all.iter().find(|block| block.kind == small::INDEX).unwrap().start;
        let mut without = bytes[..24].to_vec();
        let kept = all.iter().enumerate().filter(|(at, block)| !lost.contains(at) && block.start < index);
        kept.for_each(|(_, block)| without.extend(&bytes[block.start..block.end]));
        let tape = open_bytes(&without);
        let (snapshots, pages) = nothing_is_made_up(&tape, &truth);
        prop_assert_eq!(snapshots, steps.len());
        // What came before the first loss is all there.
        let first = all[*lost.first().unwrap()].start;
        let whole = all.iter().filter(|b| b.start < first && b.kind == small::META && b.body[0] == 14).count();
        prop_assert!(pages >= truth[..whole].iter().map(BTreeMap::len).sum::<usize>());
    }
}

/// Without the page's newest copy an older one was taken for it.
#[test]
fn a_damaged_block_hides_what_older_ones_say() {
    let step = |value| vec![(3, Some(value)), (9, Some(value))];
    let (mut bytes, _) = tape(&[step(1), vec![(3, Some(2))], vec![(12, Some(5))]]);
    let damaged = blocks(&bytes).filter(|block| block.kind == PAGES).nth(1).unwrap();
    bytes[damaged.end - 1] ^= 1;
    let tape = open_bytes(&bytes);
    let last = tape.snapshots(MAIN).last().unwrap();
    let mut memory = tape.memory_at(last, 0..u64::MAX).unwrap();
    let mut first = |page: u64| memory.read(page * PAGE_BYTES, 1).unwrap().get(0);
    assert_eq!((first(3), first(9), first(12)), (None, Some(1), Some(5)));
}

#[test]
fn facts_of_a_snapshot_come_back() {
    let mut tape =
        TapeWriter::new(Vec::new(), &Header { tick_ns: 10, ..Header::default() }).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    let said = Snapshot {
        number: 1,
        reason: SnapshotReason::MemoryLimit,
        pause_ns: 17,
        one_instant: false,
        considered: 1000,
        stored: 8192,
        unreadable: 4096,
        over_budget: 1 << 40,
        ..snapshot(0, 120, 0)
    };
    tape.snapshot(&said).unwrap();
    let tape = open_bytes(&tape.finish().unwrap());
    assert_eq!(tape.snapshots(MAIN).collect::<Vec<_>>(), [&said]);
    assert_eq!(tape.snapshots(ProcessId(1)).count(), 0);
}

/// Tapes of before there were snapshots hold the bytes of blocks.
#[test]
fn contents_of_an_older_tape_are_read() {
    let bytes = example();
    let index = blocks(&bytes).find(|block| block.kind == small::INDEX).unwrap().start;
    let body = [&[6, 3][..], &[0xe0, 0x20], &[5], b"hello"].concat();
    let old = [&bytes[..index], &small::frame(4, &[0], &body)].concat();
    let found: Vec<Contents> = open_bytes(&old).contents(MAIN).map(Result::unwrap).collect();
    let (time, block, bytes) = (TimeNs(6000), BlockId(3), b"hello".to_vec());
    assert_eq!(found, [Contents { process: MAIN, time, block, addr: 0x1060, bytes }]);
}

/// What a tape says of a process, but for its contents.
fn all_else(tape: &Tape) -> String {
    let of = |process: &Process| {
        let id = process.id;
        let events: Vec<Event> = tape.events(id, 0).map(Result::unwrap).collect();
        let milestones: Vec<_> = tape.milestones(id).collect();
        let live = tape.live_at(id, Moment::End).unwrap().sorted();
        format!("{process:?} {events:?} {milestones:?} {live:?} {:?}", tape.samples(id))
    };
    let processes: Vec<String> = tape.processes().iter().map(of).collect();
    format!(
        "{processes:?} {:?} {:?} {:?} {:?}",
        tape.header(),
        tape.threads(),
        tape.modules(),
        tape.nodes()
    )
}

#[test]
fn a_stripped_tape_differs_in_nothing_but_contents() {
    let whole = example();
    let index = blocks(&whole).find(|block| block.kind == small::INDEX).unwrap().start;
    let old = small::frame(4, &[0], b"");
    let later = small::frame(99, &[0], b"secret of the future");
    let cut = [&whole[..index], &old, &later].concat();
    for (bytes, unknown) in [(whole, 0), (cut, 1)] {
        let tape = open_bytes(&bytes);
        let mut out = Vec::new();
        let stripped = tape.strip(&mut out).unwrap();
        assert_eq!((stripped.unknown, stripped.damaged), (unknown, 0));
        assert!(stripped.contents > 24);
        let again = open_bytes(&out);
        assert_eq!(all_else(&again), all_else(&tape));
        assert_eq!(again.condition().complete, tape.condition().complete);
        assert_eq!((again.condition().damaged_blocks, again.condition().unknown_blocks), (0, 0));
        assert_eq!((tape.snapshots(MAIN).count(), again.snapshots(MAIN).count()), (1, 0));
        assert!(blocks(&out).all(|block| [1, 2, 3, 5, 6].contains(&block.kind)));
        let keyframes = |bytes: &[u8]| blocks(bytes).filter(|b| b.kind == small::KEYFRAME).count();
        assert_eq!(keyframes(&out), keyframes(&bytes));
        let mut twice = Vec::new();
        assert_eq!(again.strip(&mut twice).unwrap(), Stripped::default());
        assert_eq!(twice, out, "nothing more to take away");
    }
}

/// No byte of a page is in the file any more, packed or not.
#[test]
fn no_page_survives_stripping() {
    let secret: Vec<u8> =
        (0..PAGE_BYTES).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 7) as u8).collect();
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    let mut pages = Pages::default();
    pages.store(1, &secret);
    tape.pages(MAIN, &pages).unwrap();
    tape.snapshot(&snapshot(0, 0, 0)).unwrap();
    let bytes = tape.finish().unwrap();
    let mut out = Vec::new();
    open_bytes(&bytes).strip(&mut out).unwrap();
    let has = |bytes: &[u8]| bytes.windows(16).any(|window| window == &secret[512..528]);
    assert!(blocks(&bytes).any(|block| has(&block.body)));
    assert!(!has(&out) && !blocks(&out).any(|block| has(&block.body)));
}

/// The bytes that an overwrite left are memory of the program, too; the rest of what is known of it stays.
#[test]
fn no_byte_of_an_overwrite_survives_stripping() {
    let secret = b"a secret written".to_vec();
    let overwrite = Overwrite {
        process: MAIN,
        time: TimeNs(3000),
        thread: None,
        event: Some(2),
        kind: OverwriteKind::AfterEnd,
        found: Found::AtFree,
        block: u64::MAX,
        size: 24,
        offset: -7,
        length: 16,
        seen: secret.clone(),
    };
    let mut tape = TapeWriter::new(Vec::new(), &Header::default()).unwrap();
    tape.process_start(&small::process(0, None)).unwrap();
    tape.overwrite(&overwrite).unwrap();
    let bytes = tape.finish().unwrap();
    let mut out = Vec::new();
    open_bytes(&bytes).strip(&mut out).unwrap();
    let has = |bytes: &[u8]| blocks(bytes).any(|block| block.body.windows(16).any(|w| w == secret));
    assert!(has(&bytes) && !has(&out));
    assert_eq!(open_bytes(&out).overwrites(), [Overwrite { seen: Vec::new(), ..overwrite }]);
}
