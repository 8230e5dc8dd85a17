//! The figures of the summary, the rankings and the metrics.

use crate::history::*;
use heaptape_analysis::at::HeapAt;
use heaptape_analysis::metric::MetricAndUnit;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::{Recording, Weight, When};
use heaptape_tape::*;
use proptest::prelude::*;

fn weigh<'a>(lives: impl IntoIterator<Item = &'a Life>) -> Weight {
    let mut weight = Weight::default();
    lives.into_iter().for_each(|life| weight += Weight::block(life.event.size));
    weight
}

/// Freed, not overlaid, before the next allocation of the thread that allocated it.
fn is_temporary(events: &[Event], life: &Life) -> bool {
    let Some(ended) = life.ended.filter(|_| !life.overlaid) else { return false };
    !events[life.began + 1..ended]
        .iter()
        .any(|event| event.action.begins_block() && event.thread == life.event.thread)
}

/// While a realloc is under way its block is not live, whatever the outcome.
fn live_now<'a>(events: &[Event], lives: &'a [Life], count: usize) -> Vec<&'a Life> {
    let releasing = count.checked_sub(1).map(|last| events[last]);
    let released = releasing.filter(|event| event.action == Action::ReallocRelease);
    let mut live = live_after(lives, count);
    live.retain(|life| released.is_none_or(|event| event.addr != life.event.addr));
    live
}

proptest! {
    #[test]
    fn summary_equals_the_obvious(steps in steps()) {
        let recording = recording(&steps);
        let process = &recording.processes[0];
        let events = &recording.events[&ProcessId(0)];
        let lives = lives(events);
        let summary = Summary::compute(&recording, &FakeNames, process, 100).unwrap();

        let at_end = weigh(live_after(&lives, events.len()));
        prop_assert_eq!(summary.never_freed.live.total, at_end);
        prop_assert_eq!(summary.layout.total.live_bytes, at_end.bytes);

        let bytes_after = |count| weigh(live_now(events, &lives, count)).bytes;
        let most = (0..=events.len()).map(bytes_after).max().unwrap();
        let first = (0..=events.len()).find(|&count| bytes_after(count) == most).unwrap();
        prop_assert_eq!(summary.peak.live.total, weigh(live_now(events, &lives, first)));
        let peak_time = first.checked_sub(1).map_or(0, |last| events[last].time.0);
        prop_assert_eq!(summary.peak.time_ns, peak_time);

        let temporary = weigh(lives.iter().filter(|life| is_temporary(events, life)));
        prop_assert_eq!(summary.temporary, Some(temporary));
        prop_assert_eq!(summary.allocated.calls, lives.len() as u64);
        prop_assert_eq!(summary.allocated.bytes, weigh(&lives).bytes);
        let freed = lives.iter().filter(|life| life.ended.is_some() && !life.overlaid).count();
        prop_assert_eq!(summary.allocated.frees, freed as u64);
        let ends = events.iter().filter(|event| event.action.ends_block()).count() as u64;
        let restored = events.iter().zip(events.iter().skip(1)).enumerate().filter(|(at, (event, next))| {
            event.action == Action::ReallocRelease && next.action == Action::ReallocFail
                && live_after(&lives, *at).iter().any(|life| life.event.addr == event.addr)
        }).count() as u64;
        prop_assert_eq!(summary.allocated.unmatched_frees + summary.allocated.frees + restored, ends);
        let mut sizes: Vec<u64> = lives.iter().map(|life| life.event.size).collect();
        sizes.sort_unstable();
        prop_assert_eq!(summary.allocated.largest_bytes, sizes.last().copied());
        if let Some(median) = summary.allocated.median_bytes {
            prop_assert!(sizes[(sizes.len() - 1) / 2] - median < 16);
        }
    }

    /// The sites and the rest add up to the total, wherever the list is cut.
    #[test]
    fn rankings_add_up(steps in steps(), top in 0_usize..5) {
        let recording = recording(&steps);
        let heap = HeapAt::compute(&recording, &FakeNames, &recording.processes[0], When::Peak, top).unwrap();
        let mut sum = heap.live.rest;
        heap.live.sites.iter().for_each(|site| sum += site.weight);
        prop_assert_eq!(sum, heap.live.total);
        prop_assert!(heap.live.sites.len() <= top);
        prop_assert!(heap.live.sites.is_sorted_by(|a, b| a.weight.bytes >= b.weight.bytes));
        for site in &heap.live.sites {
            // Only where every frame is a wrapper is the call site one.
            let function = site.site.frame.as_ref().map(|frame| &*frame.function);
            prop_assert!(function != Some("xmalloc") || site.called.is_none());
        }
    }

    #[test]
    fn metrics_agree_with_the_summary(steps in steps()) {
        let recording = recording(&steps);
        let process = &recording.processes[0];
        let summary = Summary::compute(&recording, &FakeNames, process, 1).unwrap();
        let total = |word: &str| {
            let metric = word.parse::<MetricAndUnit>().unwrap().metric;
            metric.measure(&recording, process.id).unwrap().0.total()
        };
        prop_assert_eq!(total("peak"), summary.peak.live.total);
        prop_assert_eq!(total("leaked"), summary.never_freed.live.total);
        prop_assert_eq!(total("inuse_space"), summary.never_freed.live.total);
        prop_assert_eq!(Some(total("temporary")), summary.temporary);
        prop_assert_eq!(total("calls").blocks, summary.allocated.calls);
        prop_assert_eq!(total("alloc_space").bytes, summary.allocated.bytes);
    }
}

/// A forked child begins with its parent's heap; what it never frees of it is told apart.
#[test]
fn inherited_blocks_are_counted_apart() {
    let mut recording = recording(&[
        (Step::Alloc { slot: 0, size: 10 }, 0, 1, 1),
        (Step::Alloc { slot: 1, size: 20 }, 0, 1, 1),
    ]);
    let mut child = process(1, 10);
    child.forked_from = Some((ProcessId(0), 2));
    recording.processes.push(child);
    let thread = ThreadId(3);
    let (name, start) = (Vec::new(), TimeNs(2));
    recording.threads.push(Thread { id: thread, process: ProcessId(1), tid: 7, name, start });
    let mut events = recording.events[&ProcessId(0)].clone();
    events.iter_mut().for_each(|event| (event.thread, event.time) = (thread, TimeNs(3)));
    (events[0].action, events[1].addr, events[1].size) = (Action::Free, 0x9000, 5);
    recording.events.insert(ProcessId(1), events);

    let child = &recording.processes[1];
    let summary = Summary::compute(&recording, &FakeNames, child, 10).unwrap();
    assert_eq!(summary.never_freed.live.total, Weight { bytes: 25, blocks: 2 });
    assert_eq!(summary.never_freed.inherited, Weight { bytes: 20, blocks: 1 });
    assert_eq!(summary.peak.live.total, Weight { bytes: 30, blocks: 2 });
    assert_eq!((summary.allocated.calls, summary.allocated.frees), (1, 1));
    assert_eq!(recording.live_at(child.id, Moment::Event(0)).unwrap().totals().live_bytes, 30);
}

#[test]
fn growing_means_never_falling() {
    let alloc = |slot| (Step::Alloc { slot, size: 10 }, 0, 1, 3);
    let free = |slot| (Step::Free { slot }, 0, 1, 3);
    let growing = |steps: &[_]| {
        let recording = recording(steps);
        let process = &recording.processes[0];
        Summary::compute(&recording, &FakeNames, process, 1).unwrap().never_freed.live.sites[0]
            .growing
    };
    assert_eq!(growing(&[alloc(0), alloc(1), alloc(2), alloc(3), alloc(4), alloc(5)]), Some(true));
    assert_eq!(
        growing(&[alloc(0), alloc(1), alloc(2), alloc(3), free(0), free(1), alloc(4)]),
        Some(false)
    );
    assert_eq!(growing(&[alloc(0), free(7), free(7), free(7), free(7)]), Some(false));
}
