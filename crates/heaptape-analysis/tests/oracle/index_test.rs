//! The index against the table of all blocks, whatever its cells.

use crate::history::{recording, steps};
use heaptape_analysis::index::Index;
use heaptape_analysis::index::measure::Signed;
use heaptape_analysis::index::span::Span;
use heaptape_analysis::index::winder::Winder;
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes};
use heaptape_analysis::{MemoryRecording, Weight};
use heaptape_tape::{Action, ProcessId};
use proptest::prelude::*;
use std::collections::BTreeMap;

const ALL: ProcessId = ProcessId(0);

fn never() -> bool {
    false
}

fn spans(a: u32, b: u32) -> [Span; 7] {
    [
        Span::Live(b),
        Span::Kept(a, b),
        Span::Leaked(a, b),
        Span::Alloc(a, b),
        Span::Freed(a, b),
        Span::Temp(a, b),
        Span::Diff(a, b),
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
