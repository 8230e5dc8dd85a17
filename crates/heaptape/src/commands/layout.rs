//! `heaptape layout`: where in memory the live blocks lie.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::{Reading, json_results, with_stdout};
use crate::terminal;
use heaptape_analysis::at::HeapAt;
use heaptape_analysis::{Sites, When};
use heaptape_report::{Canvas, header, layout};
use std::io::Write;

/// Show where in memory the live blocks lie, and the holes between them
///
/// Regions with their blocks and holes, how full the pages are, and which call sites keep nearly empty
/// pages from being given back.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape layout demo.tape
  heaptape layout demo.tape --at 0.521
  heaptape layout demo.tape --at peak --list | less    every block and hole, by address")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// The moment: seconds (0.521), 521ms, 17us, 40ns, 50%, start, peak or end
    #[arg(long, value_name = "TIME", default_value = "end")]
    at: When,
    /// List every block and hole by address
    #[arg(long, conflicts_with = "json")]
    list: bool,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    // The list of call sites is the business of `heaptape at`.
    let heaps = reading
        .each(|process| HeapAt::compute(reading.recording(), &names, process, args.at, 0))?;
    if args.json {
        return reading.outcome(json_results("layout", &heaps));
    }
    let canvas = terminal::stdout();
    let mut sites = Sites::new(reading.recording(), &names);
    reading.outcome(with_stdout(|out| {
        for heap in &heaps {
            render(out, &canvas, heap, args.list.then_some(&mut sites))?;
        }
        Ok(())
    }))
}

fn render(
    out: &mut dyn Write,
    canvas: &Canvas,
    heap: &HeapAt,
    list: Option<&mut Sites<'_>>,
) -> Result<(), Failure> {
    let time = format!("layout at {}", header::moment(&heap.process, heap.instant.time_ns));
    header::render_process(out, canvas, &heap.process, &[time])?;
    header::render_unresolved(out, canvas, &heap.unresolved)?;
    header::render_sampled_only(out, canvas, &heap.process)?;
    writeln!(out)?;
    if heap.layout.blocks.is_empty() {
        writeln!(out, "No block is live.")?;
        return Ok(());
    }
    layout::render_regions(out, canvas, &heap.layout)?;
    layout::render_pins(out, canvas, &heap.layout)?;
    if let Some(sites) = list {
        for region in &heap.layout.regions {
            layout::render_listing(out, canvas, &heap.layout, region, sites)?;
        }
    }
    Ok(())
}
