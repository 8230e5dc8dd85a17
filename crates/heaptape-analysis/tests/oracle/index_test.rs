//! The index against the table of all blocks, whatever its cells.

use crate::history::{FUNCTIONS, FakeNames, recording, steps};
use heaptape_analysis::block_filter::BlockFilter;
use heaptape_analysis::extents::Extent;
use heaptape_analysis::index::Index;
use heaptape_analysis::index::answers::{Answers, Measure, Metric};
use heaptape_analysis::index::list::Sort;
use heaptape_analysis::index::measure::Signed;
use heaptape_analysis::index::span::Span;
use heaptape_analysis::index::winder::Winder;
use heaptape_analysis::layout::Layout;
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes};
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::{MemoryRecording, Recording, Sites, Weight};
use heaptape_tape::{Action, Moment, ProcessId, ThreadId};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALL: ProcessId = ProcessId(0);

fn never() -> bool {
    false
}

fn spans(a: u32, b: u32) -> [Span; 8] {
    [
        Span::Live(b),
        Span::Kept(a, b),
        Span::Leaked(a, b),
        Span::Alloc(a, b),
        Span::Freed(a, b),
        Span::Temp(a, b),
        Span::Diff(a, b),
        Span::Met(a, b),
    ]
}

/// The table of docs/page.md, read off the blocks.
fn counted(all: &[Lifetime], span: Span) -> Vec<(Lifetime, i8)> {
    let live = |it: &Lifetime, p: u32| it.is_live(p);
    let own = |it: &Lifetime| it.flags & 4 == 0;
    let begun = |it: &Lifetime, a: u32, b: u32| own(it) && a <= it.born && it.born < b;
    let sign = |it: &Lifetime| match span {
        Span::Live(t) => i8::from(live(it, t)),
        Span::Kept(a, b) => i8::from(begun(it, a, b) && b <= it.died),
        Span::Leaked(a, b) => i8::from(begun(it, a, b) && it.died == u32::MAX),
        Span::Alloc(a, b) => i8::from(begun(it, a, b)),
        Span::Freed(a, b) => i8::from(a <= it.died && it.died < b),
        Span::Temp(a, b) => i8::from(begun(it, a, b) && it.flags & 1 != 0),
        Span::Diff(a, b) => i8::from(live(it, b)) - i8::from(live(it, a)),
        Span::Met(a, b) => i8::from((a..=b).any(|p| live(it, p))),
    };
    all.iter().map(|it| (*it, sign(it))).filter(|(_, sign)| *sign != 0).collect()
}

fn check(recording: &MemoryRecording, cell: u32, most_bytes: u64, a: u32, b: u32) {
    let all = Lifetimes::of(recording, ALL, &|_| true).unwrap();
    let index = Index::with_cells(recording, ALL, most_bytes, cell).unwrap();
    assert_eq!((index.events, index.of_blocks), (all.events, all.of_blocks));
    let winder = Winder::new(recording, &index);
    let (a, b) = (a.min(b).min(all.events), a.max(b).min(all.events));
    for span in spans(a, b) {
        let mut expected = counted(&all.blocks, span);
        let mut found = Vec::new();
        winder.each(span, &never, &mut |it, sign| found.push((*it, sign))).unwrap();
        let mut blocks: Vec<Lifetime> = found.iter().map(|it| it.0).collect();
        index.complete(recording, &mut blocks).unwrap();
        blocks.into_iter().zip(&mut found).for_each(|(whole, it)| it.0 = whole);
        let key = |it: &(Lifetime, i8)| (it.0.flags & 4 == 0, it.0.born, it.0.addr);
        expected.sort_by_key(key);
        found.sort_by_key(key);
        assert_eq!(found, expected, "{span:?}");

        let mut sums: BTreeMap<_, Signed> = BTreeMap::new();
        for (block, sign) in &expected {
            sums.entry(block.backtrace).or_default().add(Weight::block(block.size), *sign);
        }
        let mut weighed: BTreeMap<_, Signed> = BTreeMap::new();
        winder
            .weigh(span, &never, &mut |backtrace, weight, sign| {
                weighed.entry(backtrace).or_default().add(weight, sign);
            })
            .unwrap();
        // What is too much at the ends of a range is taken off again.
        for them in [&mut weighed, &mut sums] {
            them.retain(|_, sum| *sum != Signed::default());
        }
        assert_eq!(weighed, sums, "{span:?}");
    }
    let failing = |events: &Vec<heaptape_tape::Event>| {
        events.iter().any(|it| it.action == Action::ReallocFail)
    };
    if recording.events.get(&ALL).is_some_and(failing) {
        return; // The curve takes such a block for gone between the two halves.
    }
    let live =
        |p: u32| -> u64 { counted(&all.blocks, Span::Live(p)).iter().map(|it| it.0.size).sum() };
    let mut best = (b, live(b));
    for p in (a + 1..=b).rev() {
        if live(p) >= best.1 {
            best = (p, live(p));
        }
    }
    assert_eq!(winder.peak(a, b, &never).unwrap(), best);
    let times = |events: &[heaptape_tape::Event]| -> Vec<u64> {
        events.iter().map(|it| it.time.0).collect()
    };
    let times = times(&recording.events[&ALL]);
    let (from, to, count) =
        (times.first().copied().unwrap_or(0), times.last().map_or(9, |it| it + 1), 5);
    let parts = winder.envelope(from, to, count, &never).unwrap();
    for (part, bucket) in parts.iter().enumerate() {
        let edge = |part: usize| from + ((to - from) * part as u64).div_ceil(count as u64);
        let before = |ns: u64| times.iter().filter(|&&time| time < ns).count() as u32;
        let values: Vec<u64> = (before(edge(part))..=before(edge(part + 1))).map(live).collect();
        assert_eq!(Some(&bucket.min), values.iter().min(), "{part}");
        assert_eq!(Some(&bucket.max), values.iter().max(), "{part}");
        assert_eq!(Some(&bucket.last), values.last(), "{part}");
    }
}

proptest! {
    #[test]
    fn an_index_answers_as_the_table_of_all_blocks(
        steps in steps(), cell in 0_u32..6, joins in any::<bool>(), a in 0_u32..130, b in 0_u32..130,
    ) {
        check(&recording(&steps), 1 << cell, if joins { 0 } else { u64::MAX }, a, b);
    }
}

/// The questions of a page, each asked of all blocks.
fn check_answers(recording: &MemoryRecording, cell: u32, joins: bool, a: u32, b: u32, word: usize) {
    let all = Lifetimes::of(recording, ALL, &|_| true).unwrap();
    let index = Index::with_cells(recording, ALL, if joins { 0 } else { u64::MAX }, cell).unwrap();
    let stacks = Stacks::of(recording, &FakeNames, index.backtraces(), &[]).unwrap();
    let names: Vec<(u32, String)> = (0..3).map(|id| (1000 + id, "t".to_owned())).collect();
    let thread = |id: ThreadId| id.0 as u16;
    let answers = Answers {
        winder: Winder::new(recording, &index),
        stacks: &stacks,
        thread: &thread,
        thread_names: &names,
    };
    let (a, b) = (a.min(b).min(all.events), a.max(b).min(all.events));
    let (text, passes) = WORDS[word % WORDS.len()];
    let filter = BlockFilter::parse(text).unwrap();
    for (metric, span) in [
        (Metric::Live, Span::Live(b)),
        (Metric::Kept, Span::Kept(a, b)),
        (Metric::Alloc, Span::Alloc(a, b)),
        (Metric::Temp, Span::Temp(a, b)),
        (Metric::Diff, Span::Diff(a, b)),
    ] {
        let mut expected = counted(&all.blocks, span);
        expected.retain(|(block, _)| passes(block));
        let mut sum = Signed::default();
        expected.iter().for_each(|(block, sign)| sum.add(Weight::block(block.size), *sign));
        let measure = Measure { metric, t: b, a, b, filter: filter.clone() };
        let weights = answers.weigh(&measure, &never).unwrap();
        assert_eq!((weights.total, weights.at), (sum, b), "{metric:?} {text}");
        assert_eq!(answers.total(&measure, &never).unwrap(), (b, sum));
        expected.sort_by_key(|(block, _)| (u64::MAX - block.size, block.born.wrapping_add(1)));
        let page = answers.blocks(&measure, (Sort::Size, true), 1, 3, &never).unwrap();
        let wanted: Vec<Lifetime> = expected.iter().skip(1).take(3).map(|it| it.0).collect();
        assert_eq!((page.rows, page.count, page.total), (wanted, expected.len() as u64, sum));
        let histograms = answers.histograms(&measure, &never).unwrap();
        let in_bins: i64 = histograms.sizes.iter().map(|bin| bin.blocks).sum();
        let lived: i64 = histograms.lifetimes.iter().map(|bin| bin.blocks).sum();
        assert_eq!((in_bins, lived + histograms.unfreed.blocks), (sum.blocks, sum.blocks));
        let births =
            counted(&all.blocks, Span::Alloc(a, b)).iter().filter(|it| passes(&it.0)).count();
        assert_eq!(histograms.rate.iter().sum::<u64>(), births as u64);
    }
    check_places(recording, &answers, &all, b);
    for block in &all.blocks {
        assert_eq!(answers.block(block.id.0, &never).unwrap().as_ref(), Some(block));
    }
    let touching =
        |block: &&Lifetime| block.addr <= 0x1300 && 0x1300 < block.addr + block.size.max(1);
    let held: Vec<Lifetime> = all.blocks.iter().filter(touching).copied().collect();
    let newest = held[held.len().saturating_sub(4)..].to_vec();
    assert_eq!(answers.history(0x1300, 4, &never).unwrap(), newest);
    let mut touches: Vec<u32> = held.iter().flat_map(|it| [it.born, it.died]).collect();
    touches.retain(|rank| *rank < b);
    touches.sort_unstable();
    let events = answers.events(b, 0x1300, 0x1301, 5, &never).unwrap();
    let positions: Vec<u32> = events.iter().map(|it| it.position - 1).collect();
    assert_eq!(positions, touches[touches.len().saturating_sub(5)..]);
}

type Passes = fn(&Lifetime) -> bool;

const WORDS: [(&str, Passes); 8] = [
    ("", |_| true),
    ("size:>=100 -temp", |it| it.size >= 100 && it.flags & 1 == 0),
    ("leaked", |it| it.died == u32::MAX),
    ("fn:xmalloc", |it| has_function(it.backtrace.0, 3)),
    ("-fn:xmalloc", |it| !has_function(it.backtrace.0, 3)),
    ("thread:1001", |it| it.thread.0 == 1),
    ("addr:0x1200..0x1400", |it| (0x1200..=0x1400).contains(&it.addr)),
    ("realloc", |it| it.flags & 2 != 0),
];

/// Whether a backtrace has the function of that number: node n is called by n / 2.
fn has_function(mut node: u32, function: u32) -> bool {
    while node > 0 {
        if node % FUNCTIONS.len() as u32 == function {
            return true;
        }
        node /= 2;
    }
    false
}

/// Layout and cells against those of the live set, where no realloc hides a block from it.
fn check_places(recording: &MemoryRecording, answers: &Answers<'_>, all: &Lifetimes, t: u32) {
    let live = recording.live_at(ALL, Moment::Event(u64::from(t))).unwrap();
    if live.releasing().next().is_some() {
        return;
    }
    let mut sites = Sites::new(recording, &FakeNames);
    let expected = Layout::of(recording, ALL, &live, &mut sites);
    let found = answers.layout(t, &never).unwrap();
    assert_eq!((found.page_bytes, found.total), (expected.page_bytes, expected.total));
    assert_eq!(found.regions, expected.regions);
    let key = |pages: u64, own: u64| (pages, own);
    let pins: Vec<_> = found.pins.iter().map(|pin| key(pin.pages, pin.own_bytes)).collect();
    assert_eq!(
        pins,
        expected.pins.iter().map(|pin| key(pin.pages, pin.own_bytes)).collect::<Vec<_>>()
    );
    let cells = answers.cells(t, 0x1000, 64, 64, &never).unwrap();
    let used: u64 = cells.used.iter().sum();
    let extents = expected.regions.iter().flat_map(|region| expected.extents(region));
    let inside: u64 = extents
        .filter_map(|extent| match extent {
            Extent::Block { block, end } => {
                Some(end.min(0x2000).saturating_sub(block.addr.max(0x1000)))
            }
            Extent::Hole { .. } => None,
        })
        .sum();
    // Blocks of a recording that lies may overlap: then bytes belong to the first one.
    let overlap = all.blocks.iter().any(|block| block.size > 0x100);
    assert!(overlap || used == inside, "{used} {inside}");
    let (lo, hi) = (0x1100, 0x1400);
    let mut near: Vec<Lifetime> = all.blocks.iter().filter(|it| it.is_live(t)).copied().collect();
    near.retain(|it| it.addr < hi && (it.addr >= lo || it.addr + it.size > lo));
    near.sort_by_key(|block| block.addr);
    let mut found = answers.live(t, lo, hi, &never).unwrap();
    answers.winder.index.complete(recording, &mut found).unwrap();
    assert_eq!(found, near);
}

proptest! {
    #[test]
    fn a_pages_questions_are_answered_as_from_the_table_of_all_blocks(
        steps in steps(), cell in 0_u32..6, joins in any::<bool>(), a in 0_u32..130, b in 0_u32..130,
        word in 0_usize..8,
    ) {
        check_answers(&recording(&steps), 1 << cell, joins, a, b, word);
    }
}
