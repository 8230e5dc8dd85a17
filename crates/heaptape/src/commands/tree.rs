//! `heaptape tree`: who called whom to allocate.

use crate::cli::TapeArgs;
use crate::failure::Outcome;
use crate::glue::{Reading, json_results, with_stdout};
use crate::terminal;
use heaptape_analysis::metric::MetricAndUnit;
use heaptape_analysis::tree::Tree;
use heaptape_analysis::{Metric, When};
use heaptape_report::tree::{self, Cut};

/// Show who called whom to allocate, as a tree
///
/// Metrics: live (with --at), peak, leaked (never freed), allocated, calls, temporary (freed before the
/// same thread's next allocation). pprof's inuse_space, inuse_objects, alloc_space and alloc_objects are
/// taken too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape tree demo.tape
  heaptape tree demo.tape --metric leaked --inverted
  heaptape tree demo.tape --metric live --at 0.521
  heaptape tree demo.tape --metric calls --functions --top 40")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// What is measured: live, peak, leaked, allocated, calls or temporary
    #[arg(long, value_name = "METRIC", default_value = "peak")]
    metric: MetricAndUnit,
    /// The moment of the metric `live`
    #[arg(long, value_name = "TIME")]
    at: Option<When>,
    /// Begin with the innermost functions
    #[arg(long, visible_alias = "bottom-up")]
    inverted: bool,
    /// List functions by total and self instead of the tree
    #[arg(long, visible_alias = "flat")]
    functions: bool,
    /// Add up what is smaller than this share of the total
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    min: f64,
    /// Deepest level
    #[arg(long, value_name = "N", default_value_t = 64)]
    depth: usize,
    /// Most entries below one, and most functions
    #[arg(long, value_name = "N", default_value_t = 30)]
    top: usize,
    /// Write JSON, whole and uncut (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let measure = match (args.metric.metric, args.at) {
        (Metric::Live(_), Some(when)) => {
            MetricAndUnit { metric: Metric::Live(when), unit: args.metric.unit }
        }
        (_, Some(_)) => {
            return Err(crate::failure::Failure::request("--at goes with --metric live"));
        }
        (_, None) => args.metric,
    };
    let cut = Cut {
        min_per_mille: (args.min.clamp(0.0, 100.0) * 10.0).round() as u64,
        max_depth: args.depth.max(1),
        top: args.top,
    };
    let min_per_mille = if args.json { 0 } else { cut.min_per_mille };
    let reading = Reading::open(args.tape)?;
    if measure.metric == Metric::Temporary && reading.recording().header().sample_bytes > 0 {
        let name = reading.tape_name();
        return Err(crate::failure::Failure::request(format!(
            "{name}: a sample does not tell which blocks are temporary: the next allocation may not be in it"
        )));
    }
    let names = reading.names();
    let trees = reading.each(|process| {
        let recording = reading.recording();
        Tree::compute(recording, &names, process, measure, args.inverted, min_per_mille)
    })?;
    if args.json {
        return reading.outcome(json_results("tree", &trees));
    }
    let canvas = terminal::stdout();
    reading.outcome(with_stdout(|out| {
        for tree in &trees {
            let sentence = tree::sentence(measure.metric, tree.time_ns);
            if args.functions {
                tree::render_functions(out, &canvas, tree, &sentence, &cut)?;
            } else {
                tree::render_tree(out, &canvas, tree, &sentence, &cut)?;
            }
        }
        Ok(())
    }))
}
