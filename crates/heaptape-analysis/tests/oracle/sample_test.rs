//! The figures of a sample: those of its blocks, each for as many as it stands for.

use crate::history::*;
use heaptape_analysis::at::HeapAt;
use heaptape_analysis::estimate::Sampling;
use heaptape_analysis::metric::MetricAndUnit;
use heaptape_analysis::summary::Summary;
use heaptape_analysis::tree::Tree;
use heaptape_analysis::{MemoryRecording, Weight, When};
use heaptape_tape::*;
use proptest::prelude::*;

const MEAN: u64 = 150;

fn sample(steps: &[(Step, u32, u32, u64)]) -> MemoryRecording {
    let mut recording = recording(steps);
    recording.header.sample_bytes = MEAN;
    recording
}

/// Blocks with their numbers.
type Numbered<'a> = (u64, &'a Life);

fn weigh<'a>(sampling: Sampling, lives: impl Iterator<Item = Numbered<'a>>) -> Weight {
    let mut sum = Weight::default();
    lives.for_each(|(id, life)| sum += sampling.weight(life.event.size, BlockId(id)));
    sum
}

/// The standard error of the bytes, as the textbook has it.
fn error<'a>(lives: impl Iterator<Item = Numbered<'a>>) -> f64 {
    let variance = |size: u64| {
        let p = 1.0 - (-(size.max(1) as f64) / MEAN as f64).exp();
        (1.0 - p) / (p * p) * (size * size) as f64
    };
    lives.map(|(_, life)| variance(life.event.size)).sum::<f64>().sqrt()
}

proptest! {
    #[test]
    fn sums_of_a_sample_equal_the_obvious(steps in steps()) {
        let recording = sample(&steps);
        let sampling = Sampling::of(&recording).unwrap();
        let process = &recording.processes[0];
        let events = &recording.events[&ProcessId(0)];
        let lives = lives(events);
        let numbered = || (1..).zip(&lives);
        let live = |count: usize| {
            let now = live_after(&lives, count);
            let releasing = count.checked_sub(1).map(|last| events[last]);
            let released = releasing.filter(|event| event.action == Action::ReallocRelease);
            numbered().filter(move |(_, life)| {
                now.iter().any(|other| std::ptr::eq(*other, *life))
                    && released.is_none_or(|event| event.addr != life.event.addr)
            }).collect::<Vec<_>>()
        };
        let close = |found: Option<Weight>, expected: f64| {
            let found = found.expect("an error").bytes as f64;
            prop_assert!((found - expected).abs() <= 0.6 + expected * 1e-6, "{} {}", found, expected);
            Ok(())
        };
        let summary = Summary::compute(&recording, &FakeNames, process, 100).unwrap();
        prop_assert_eq!(summary.process.sample.unwrap().blocks, lives.len() as u64);

        let all = weigh(sampling, numbered());
        prop_assert_eq!(summary.allocated.bytes, all.bytes);
        prop_assert_eq!(summary.allocated.calls, all.blocks);
        close(summary.allocated.error, error(numbered()))?;
        let at_end: Vec<Numbered<'_>> =
            numbered().filter(|(_, life)| live_after(&lives, events.len()).iter().any(|l| std::ptr::eq(*l, *life))).collect();
        prop_assert_eq!(summary.never_freed.live.total, weigh(sampling, at_end.iter().copied()));
        close(summary.never_freed.live.error, error(at_end.iter().copied()))?;

        let bytes_after = |count| weigh(sampling, live(count).into_iter()).bytes;
        let most = (0..=events.len()).map(bytes_after).max().unwrap();
        let first = (0..=events.len()).find(|&count| bytes_after(count) == most).unwrap();
        prop_assert_eq!(summary.peak.live.total, weigh(sampling, live(first).into_iter()));
        let at = HeapAt::compute(&recording, &FakeNames, process, When::Peak, 100).unwrap();
        prop_assert_eq!(at.live.total, summary.peak.live.total);
        prop_assert_eq!(summary.series.buckets.iter().map(|b| b.max_bytes).max(), Some(most));

        let freed = lives.iter().zip(1..).filter(|(life, _)| life.ended.is_some() && !life.overlaid);
        let freed = weigh(sampling, freed.map(|(life, id)| (id, life)));
        prop_assert_eq!(summary.allocated.frees, freed.blocks);
        prop_assert_eq!(summary.temporary, None);

        for word in ["allocated", "peak", "leaked"] {
            let measure: MetricAndUnit = word.parse().unwrap();
            let tree = Tree::compute(&recording, &FakeNames, process, measure, false, 0).unwrap();
            let expected = match word {
                "allocated" => (all, summary.allocated.error),
                "peak" => (summary.peak.live.total, summary.peak.live.error),
                _ => (summary.never_freed.live.total, summary.never_freed.live.error),
            };
            prop_assert_eq!((tree.total, tree.error), expected);
            // Errors of independent parts add up as squares.
            let squares = |error: Option<Weight>| (error.unwrap().bytes as f64).powi(2);
            let parts: f64 = tree.roots.iter().map(|root| squares(tree.nodes[*root].error)).sum();
            let whole = squares(tree.error).sqrt();
            let off = (parts.sqrt() - whole).abs();
            prop_assert!(off <= 1.0 + tree.roots.len() as f64, "{} {}", parts.sqrt(), whole);
        }
    }
}
