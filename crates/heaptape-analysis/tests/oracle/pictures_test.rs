//! What pages draw of the index, against counting all blocks: live bytes of sites over time, time by address, and the
//! pages that a site pins.

use crate::history::{FakeNames, recording, steps};
use heaptape_analysis::block_filter::BlockFilter;
use heaptape_analysis::extents::Extent;
use heaptape_analysis::index::Index;
use heaptape_analysis::index::answers::Answers;
use heaptape_analysis::index::time_map::{By, FREED, Window};
use heaptape_analysis::index::winder::Winder;
use heaptape_analysis::layout::Layout;
use heaptape_analysis::lifetimes::{Lifetime, Lifetimes};
use heaptape_analysis::stacks::Stacks;
use heaptape_analysis::{MemoryRecording, Recording, Sites};
use heaptape_tape::{
    BacktraceId, LeakBlock, LeakDoubts, LeakKind, LeakOwner, LeakScan, LeakTotal, Moment,
    ProcessId, ThreadId, TimeNs,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const ALL: ProcessId = ProcessId(0);

fn never() -> bool {
    false
}

/// Lets `check` ask an index with cells of that many events.
fn asked(
    recording: &MemoryRecording,
    cell: u32,
    joins: bool,
    check: impl FnOnce(&Answers<'_>, &Lifetimes),
) {
    let all = Lifetimes::of(recording, ALL, &|_| true).unwrap();
    let index = Index::with_cells(recording, ALL, if joins { 0 } else { u64::MAX }, cell).unwrap();
    let stacks = Stacks::of(recording, &FakeNames, index.backtraces(), &[]).unwrap();
    let thread = |id: ThreadId| id.0 as u16;
    let winder = Winder::new(recording, &index);
    check(&Answers { winder, stacks: &stacks, thread: &thread, thread_names: &[] }, &all);
}

/// A search for leaks at the end: it says something of about half of the live blocks.
fn search(recording: &mut MemoryRecording) {
    let event = recording.events[&ALL].len() as u64;
    let live = recording.live_at(ALL, Moment::Event(event)).unwrap();
    let judged = |addr: u64| LeakBlock {
        addr,
        kind: LeakKind::ALL[(addr / 16 % 4) as usize],
        owner: LeakOwner::Nobody,
        retained: 0,
    };
    let blocks = live.blocks().filter(|block| block.addr / 64 % 2 == 0).map(|it| judged(it.addr));
    recording.leak_blocks.push(blocks.collect());
    recording.leak_scans.push(LeakScan {
        number: 0,
        process: ALL,
        time: TimeNs(0),
        event,
        pause_ns: 0,
        bytes_read: 0,
        bytes_unreadable: 0,
        doubts: LeakDoubts::default(),
        totals: [LeakTotal::default(); LeakKind::ALL.len()],
        places: Vec::new(),
    });
}

/// The clock after so many events.
fn time(recording: &MemoryRecording, position: u32) -> u64 {
    let before = position.checked_sub(1).map(|rank| recording.events[&ALL][rank as usize].time.0);
    before.unwrap_or(0)
}

fn site(answers: &Answers<'_>, backtrace: BacktraceId) -> u32 {
    answers.stacks.site_of[answers.stacks.stack(backtrace) as usize]
}

fn check_series(
    recording: &MemoryRecording,
    answers: &Answers<'_>,
    all: &Lifetimes,
    (a, b): (u32, u32),
    most: usize,
) {
    const POINTS: usize = 7;
    let (from, end) = (time(recording, a), time(recording, b));
    let mut expected: BTreeMap<u32, Vec<i64>> = BTreeMap::new();
    for point in 0..POINTS {
        let at = from + (end - from) * point as u64 / (POINTS as u64 - 1);
        // The last position whose events all happened by then.
        let position = (0..=all.events).rev().find(|&p| time(recording, p) <= at).unwrap();
        for block in all.blocks.iter().filter(|it| it.is_live(position)) {
            let row = expected.entry(site(answers, block.backtrace)).or_insert(vec![0; POINTS]);
            row[point] += block.size as i64;
        }
    }
    let found = answers.series(from..=end, POINTS, most, &never).unwrap();
    assert_eq!(found.len(), expected.len().min(most));
    let peak = |row: &Vec<i64>| row.iter().copied().max().unwrap_or(0);
    assert!(found.is_sorted_by_key(|(_, row)| -peak(row)));
    let least = found.last().map_or(0, |(_, row)| peak(row));
    for (site, row) in &found {
        assert_eq!(expected.remove(site).as_ref(), Some(row));
    }
    assert!(found.len() < most || expected.values().all(|row| peak(row) <= least));
}

/// The number of a block's group.
fn group(recording: &MemoryRecording, answers: &Answers<'_>, by: &By, block: &Lifetime) -> u32 {
    let below = |limits: &[f64], value: u64| {
        limits.iter().filter(|&&limit| limit <= value as f64).count() as u32
    };
    let born = || time(recording, block.born + 1);
    match by {
        By::Site => site(answers, block.backtrace),
        By::Size(limits) => below(limits, block.size),
        By::Lifetime(limits) if block.died == u32::MAX => limits.len() as u32 + 1,
        By::Lifetime(limits) => below(limits, time(recording, block.died + 1) - born()),
        By::Thread => block.thread.0,
        By::Leak if block.died == u32::MAX => u32::from(block.leak),
        By::Leak => FREED,
    }
}

/// Whether a filter keeps a block.
type Keeps<'a> = &'a dyn Fn(&Lifetime) -> bool;

/// By cell and group: how much of it blocks cover that are kept.
fn shares(
    recording: &MemoryRecording,
    window: Window,
    all: &Lifetimes,
    group: &dyn Fn(&Lifetime) -> u32,
    kept: Keeps<'_>,
) -> Vec<BTreeMap<u32, f64>> {
    let Window { lo, hi, a, b, width, height } = window;
    let begun = time(recording, a) as f64;
    let wide = (time(recording, b) as f64 - begun).max(1.0) / width as f64;
    let high = (hi - lo) as f64 / height as f64;
    let part = |from: f64, to: f64, cell: usize, size: f64| {
        (to.min(size * (cell as f64 + 1.0)) - from.max(size * cell as f64)).max(0.0) / size
    };
    let mut cells = vec![BTreeMap::new(); width * height];
    let seen = |it: &&Lifetime| (a..=b).any(|position| it.is_live(position));
    for block in all.blocks.iter().filter(|block| seen(block) && kept(block)) {
        let from = time(recording, block.born + 1) as f64 - begun;
        let to = match block.died {
            u32::MAX => f64::INFINITY,
            died => time(recording, died + 1) as f64 - begun,
        };
        let low = block.addr as f64 - lo as f64;
        for (cell, shares) in cells.iter_mut().enumerate() {
            let share = part(from, to, cell % width, wide)
                * part(low, low + block.size as f64, cell / width, high);
            if share > 0.0 {
                *shares.entry(group(block)).or_insert(0.0) += share;
            }
        }
    }
    cells
}

fn check_time_map(
    recording: &MemoryRecording,
    answers: &Answers<'_>,
    all: &Lifetimes,
    a: u32,
    b: u32,
) {
    let now = time(recording, b);
    let is_old = |block: &Lifetime| block.born < b && now - time(recording, block.born + 1) >= 20;
    let filters: [(&str, Keeps<'_>); 3] =
        [("", &|_| true), ("size:>=100", &|block| block.size >= 100), ("age:>=20ns", &is_old)];
    let limits = || vec![17.0, 40.0, 100.0];
    let ways = [By::Site, By::Size(limits()), By::Lifetime(limits()), By::Thread, By::Leak];
    // More columns than one thread fills at a time.
    for (width, height) in [(5, 4), (150, 1)] {
        let window = Window { lo: 0x1080, hi: 0x1680, a, b, width, height };
        for ((q, kept), by) in filters.iter().flat_map(|it| ways.iter().map(move |by| (it, by))) {
            let group = |block: &Lifetime| group(recording, answers, by, block);
            let own = shares(recording, window, all, &group, kept);
            let rest = shares(recording, window, all, &group, &|block| !kept(block));
            let filter = BlockFilter::parse(q).unwrap();
            let map = answers.time_map(window, by, &filter, &never).unwrap();
            check_cells(&map.fill, &own);
            if q.is_empty() {
                assert_eq!(map.rest, []);
            } else {
                check_cells(&map.rest, &rest);
            }
            for (group, shares) in map.group.iter().zip(&own) {
                let most = shares.values().copied().fold(0.0, f64::max);
                let own = shares.get(group).copied().unwrap_or(0.0);
                assert!(own > most - 1e-4, "{by:?} {q}: {group} of {shares:?}");
            }
        }
    }
}

fn check_cells(fill: &[f32], shares: &[BTreeMap<u32, f64>]) {
    assert_eq!(fill.len(), shares.len());
    for (fill, shares) in fill.iter().zip(shares) {
        let expected = shares.values().sum::<f64>().min(1.0);
        assert!((f64::from(*fill) - expected).abs() < 1e-4, "{fill} of {shares:?}");
    }
}

/// Of blocks that overlap, as those of a recording that lies do, pages have no oracle.
fn check_pinned(recording: &MemoryRecording, answers: &Answers<'_>, t: u32) {
    let live = recording.live_at(ALL, Moment::Event(u64::from(t))).unwrap();
    if live.releasing().next().is_some() || live.blocks().any(|block| block.size > 0x100) {
        return;
    }
    let mut sites = Sites::new(recording, &FakeNames);
    let layout = Layout::of(recording, ALL, &live, &mut sites);
    let mut used: BTreeMap<u64, u64> = BTreeMap::new();
    let mut owners: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    for extent in layout.regions.iter().flat_map(|region| layout.extents(region)) {
        let Extent::Block { block, end } = extent else { continue };
        for byte in block.addr..end {
            *used.entry(byte / 512).or_default() += 1;
        }
        for page in block.addr / 512..=(end - 1).max(block.addr) / 512 {
            owners.entry(page).or_default().insert(site(answers, block.backtrace));
        }
    }
    let all: BTreeSet<u32> = owners.values().flatten().copied().collect();
    for site in all {
        let nearly_empty = |page: &u64| used.get(page).is_none_or(|used| used * 4 < 512);
        let own = owners.iter().filter(|(page, by)| by.contains(&site) && nearly_empty(page));
        let expected: Vec<u64> = own.map(|(page, _)| page * 512).collect();
        assert_eq!(answers.pinned(t, site, &never).unwrap(), expected, "{site}");
    }
}

proptest! {
    #[test]
    fn pictures_are_those_of_all_blocks(
        steps in steps(), cell in 0_u32..6, joins in any::<bool>(), a in 0_u32..130, b in 0_u32..130,
        most in 1_usize..12,
    ) {
        let mut recording = recording(&steps);
        search(&mut recording);
        asked(&recording, 1 << cell, joins, |answers, all| {
            let (a, b) = (a.min(b).min(all.events), a.max(b).min(all.events));
            check_series(&recording, answers, all, (a, b), most);
            check_time_map(&recording, answers, all, a, b);
            check_pinned(&recording, answers, b);
        });
    }
}
