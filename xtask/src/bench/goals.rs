//! What recording must not cost, beside what it does cost. A goal that is missed is shown as missed.

use super::results::{Metric, Mode, Results, Row};
use super::samples::{geometric_mean, maximum, minimum};
use super::workloads::{CLANG, GIT, PAIRS, PAIRS_THREADS, PERL, PYTHON, SQLITE, TREE};

/// A tape with fewer events says more about its fixed parts than about bytes per event.
const LARGE: u64 = 200_000;

/// The workloads of the study that set the goal for bytes per event: real programs, and `tree`.
const STUDIED: [&str; 6] = [TREE, CLANG, PYTHON, PERL, GIT, SQLITE];

/// A measured value that must not be above a bound.
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) must: f64,
    pub(super) stretch: f64,
    /// `None` where it was not measured.
    pub(super) measured: Option<f64>,
}

impl Goal {
    /// In one word.
    pub(super) fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured",
            Some(value) if value <= self.stretch => "met, stretch too",
            Some(value) if value <= self.must => "met",
            Some(_) => "missed",
        }
    }
}

/// All of them.
pub(super) fn all(results: &Results) -> Vec<Goal> {
    [capture(results), program(results), whole(results)].into_iter().flatten().collect()
}

fn goal(what: &str, must: f64, stretch: f64, measured: Option<f64>) -> Goal {
    Goal { what: what.to_owned(), must, stretch, measured }
}

/// Of one allocation. The benchmarks have these words in their names, in any order: `repeated / 32`.
fn capture(results: &Results) -> Vec<Goal> {
    let stage = |words: &[&str]| stage(results, words);
    let pair = |name| results.row(name)?.added_pair_ns(Mode::Heaptape);
    vec![
        goal("backtrace id, depth 32, repeated, ns", 25.0, 14.0, stage(&["repeated", "32"])),
        goal("backtrace id, depth 32, irregular, ns", 50.0, 25.0, stage(&["irregular", "32"])),
        goal("backtrace id, depth 128, repeated, ns", 60.0, 40.0, stage(&["repeated", "128"])),
        goal("backtrace id, depth 512, repeated, ns", 240.0, 150.0, stage(&["repeated", "512"])),
        goal("alloc+free pair, python-like, 1 thread, ns added", 34.0, 20.0, pair(PAIRS)),
        goal("alloc+free pair, python-like, 2 threads, ns added", 46.0, 30.0, pair(PAIRS_THREADS)),
    ]
}

/// Of the recorded program.
fn program(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (name, must, stretch) in [(PYTHON, 1.24, 1.12), (TREE, 1.35, 1.20), (CLANG, 1.16, 1.06)] {
        let slower = |row: &Row| row.times_bare(Mode::Heaptape, Metric::AppCpu);
        let measured = results.row(name).and_then(slower);
        goals.push(goal(&format!("{name}: app CPU ÷ bare"), must, stretch, measured));
    }
    for (name, must) in [(PYTHON, 1.0 / 10.0), (TREE, 1.0 / 6.0), (CLANG, 1.0 / 6.0)] {
        let ratio = |row: &Row| Some(row.overhead_ratio(Metric::AppCpu)?.best);
        let what = format!("{name}: app CPU, overhead ÷ heaptrack's");
        goals.push(goal(&what, must, 1.0 / 20.0, results.row(name).and_then(ratio)));
    }
    goals
}

/// Of the program and the tool, the tape, and reading it.
fn whole(results: &Results) -> Vec<Goal> {
    let mean = |metric| mean_ratio(results, metric);
    let wall = "wall, overhead ÷ heaptrack's, geometric mean";
    let total = "total CPU, overhead ÷ heaptrack's, geometric mean";
    let first_stage = stage(results, &["collector", "first"]);
    let seconds: Vec<f64> = results.winding.iter().map(|it| it.summary_seconds).collect();
    let faults = results.all_faults().len() as f64;
    let sampled = mean_times_bare(results, Mode::Sampled, Metric::AppCpu);
    let studied = mean_bytes(results, |name| STUDIED.contains(&name));
    vec![
        goal(wall, 1.0 / 12.0, 1.0 / 40.0, mean(Metric::Wall)),
        goal(total, 0.25, 0.1, mean(Metric::TotalCpu)),
        goal("tape bytes per event, geometric mean, the study's six", 0.5, 0.3, studied),
        goal("tape bytes per event, geometric mean, all", 0.5, 0.3, mean_bytes(results, |_| true)),
        goal("collector, first stage, ns per event", 30.0, 8.0, first_stage),
        goal("collector, all of it, ns per event, worst", 80.0, 25.0, collector_ns(results)),
        goal("a sample, app CPU ÷ bare, geometric mean", 1.01, 1.005, sampled),
        goal("`summary` of 100 million events, s, worst", 5.0, 2.5, maximum(&seconds)),
        goal("faults: losses, wrong order, wrong backtraces", 0.0, 0.0, Some(faults)),
    ]
}

/// The geometric mean of our overhead as a share of heaptrack's.
pub(super) fn mean_ratio(results: &Results, metric: Metric) -> Option<f64> {
    let ratios = results.workloads.iter().filter_map(|it| it.overhead_ratio(metric));
    geometric_mean(&ratios.map(|it| it.best).collect::<Vec<_>>())
}

/// The geometric mean of how many times what programs take alone they take under a mode, of those that are steady.
pub(super) fn mean_times_bare(results: &Results, mode: Mode, metric: Metric) -> Option<f64> {
    let steady = results.workloads.iter().filter(|row| row.is_steady(metric));
    let times = steady.filter_map(|row| row.times_bare(mode, metric));
    geometric_mean(&times.collect::<Vec<_>>())
}

fn mean_bytes(results: &Results, which: impl Fn(&str) -> bool) -> Option<f64> {
    let large = results.workloads.iter().filter(|it| it.events >= LARGE && which(&it.name));
    let bytes = large.filter_map(|it| it.bytes_per_event(Mode::Heaptape));
    geometric_mean(&bytes.collect::<Vec<_>>())
}

/// CPU time of the launcher, by event, in the large workload where it is most.
fn collector_ns(results: &Results) -> Option<f64> {
    let large = results.workloads.iter().filter(|it| it.events >= LARGE);
    maximum(&large.filter_map(|row| tool_ns(row, Mode::Heaptape)).collect::<Vec<_>>())
}

/// CPU time of the tool outside the program, in nanoseconds per event.
pub(super) fn tool_ns(row: &Row, mode: Mode) -> Option<f64> {
    let measured = row.modes.get(&mode)?;
    let rounds = measured.total_cpu.iter().zip(&measured.app_cpu);
    let tool: Vec<f64> = rounds.map(|(total, app)| total - app).collect();
    (row.events > 0).then(|| minimum(&tool).map(|it| it * 1e9 / row.events as f64))?
}

/// The fastest of the stages whose name has all these words.
fn stage(results: &Results, words: &[&str]) -> Option<f64> {
    let named = results.stages.iter().filter(|it| {
        let mut parts = words.iter();
        parts.all(|word| it.name.split(|c: char| !c.is_alphanumeric()).any(|part| part == *word))
    });
    minimum(&named.map(|it| it.ns_per_item.unwrap_or(it.fastest_ns)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_judged() {
        let judged =
            |measured| Goal { what: String::new(), must: 2.0, stretch: 1.0, measured }.verdict();
        assert_eq!(judged(None), "not measured");
        assert_eq!(judged(Some(0.5)), "met, stretch too");
        assert_eq!(judged(Some(1.5)), "met");
        assert_eq!(judged(Some(2.5)), "missed");
    }
}
