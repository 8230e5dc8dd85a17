//! `heaptape leaks`: what was lost, what still can be reached, and through what.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::{Reading, with_stdout};
use crate::terminal;
use heaptape_analysis::leaks::{self, Kinds, Leaks, Question};
use heaptape_analysis::suppressions::{Suppression, Suppressions};
use heaptape_report::{json, leaks as view};
use heaptape_symbols::demangle;
use serde::Serialize;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Longest file of suppressions, bytes.
const MOST_SUPPRESSIONS: u64 = 16 << 20;

/// Show what was lost, what can still be reached, and through what
///
/// When a recorded process exits or crashes, all of its memory is searched for pointers to its live blocks. The words are
/// valgrind's: definitely lost (nothing points there), indirectly lost (only lost blocks do), possibly lost (only pointers
/// into the middle do), still reachable.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape leaks demo.tape
  heaptape leaks demo.tape --show-leak-kinds=all --top 50
  heaptape leaks demo.tape --block '#4711'
  heaptape leaks demo.tape --suppressions lsan.supp --error-exitcode 1
  heaptape leaks demo.tape --gen-suppressions=all
  heaptape leaks demo.tape --json | jq '.results[0].summary.definite.bytes'")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Which kinds to show: definite, indirect, possible, reachable, separated by commas; all, none
    #[arg(long, value_name = "KINDS", default_value = "definite,possible", value_parser = kinds)]
    show_leak_kinds: Kinds,
    /// Which kinds count as errors
    #[arg(long, value_name = "KINDS", default_value = "definite,possible", value_parser = kinds)]
    errors_for_leak_kinds: Kinds,
    /// End with this exit code if there are errors
    #[arg(long, value_name = "N")]
    error_exitcode: Option<u8>,
    /// Show one block, whatever its kind, and the whole way to it
    #[arg(long, value_name = "#N", value_parser = block)]
    block: Option<u64>,
    /// Leave out what this file names: in the form of LeakSanitizer or of valgrind (repeatable)
    #[arg(long, value_name = "FILE")]
    suppressions: Vec<PathBuf>,
    /// Write a suppression for each record, in valgrind's form
    #[arg(long, value_name = "WHICH", value_parser = ["no", "all"], default_value = "no")]
    gen_suppressions: String,
    /// Most records
    #[arg(long, value_name = "N", default_value_t = 20)]
    top: usize,
    /// Most frames of a backtrace
    #[arg(long, value_name = "N", default_value_t = 8)]
    depth: usize,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

/// `definite,possible`, `all`, `none`.
pub(super) fn kinds(text: &str) -> Result<Kinds, String> {
    let known =
        "expected definite, indirect, possible, reachable, separated by commas; all or none";
    Kinds::parse(text).ok_or_else(|| known.to_owned())
}

fn block(text: &str) -> Result<u64, String> {
    let number = text.strip_prefix('#').unwrap_or(text);
    number.parse().map_err(|_| "expected the number of a block, such as '#12'".to_owned())
}

/// The suppressions of some files.
pub(super) fn suppressions(files: &[PathBuf]) -> Result<Suppressions, Failure> {
    let mut all = Suppressions::default();
    for file in files {
        let name = crate::recording::shown(file);
        let text = read(file).map_err(|error| Failure::request(format!("{name}: {error}")))?;
        let text = String::from_utf8_lossy(&text);
        all.add(&name, &text, &|name| demangle(name).into_owned()).map_err(Failure::request)?;
    }
    Ok(all)
}

fn read(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(file)?.take(MOST_SUPPRESSIONS).read_to_end(&mut text)?;
    Ok(text)
}

/// What JSON has beside the leaks of each process.
#[derive(Serialize)]
struct WithUse<'a> {
    #[serde(flatten)]
    leaks: &'a Leaks,
    /// How often each suppression was used, over all processes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<&'a Suppression>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let mut suppressions = suppressions(&args.suppressions)?;
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let all = reading.each(|process| {
        let mut question = Question {
            show: args.show_leak_kinds,
            suppressions: &mut suppressions,
            block: args.block,
        };
        Leaks::compute(reading.recording(), &names, process, &mut question)
    })?;
    let uses: Vec<&Suppression> = suppressions.all().collect();
    let view = view::LeaksView {
        depth: args.depth,
        top: args.top,
        steps: if args.block.is_some() { usize::MAX } else { 8 },
        suppressions: args.gen_suppressions == "all",
    };
    let written = if args.json {
        let with_use = |leaks| WithUse { leaks, suppressions: uses.clone() };
        let results: Vec<_> = all.iter().map(with_use).collect();
        with_stdout(|out| Ok(json::write_results(out, "leaks", &results)?))
    } else {
        let canvas = terminal::stdout();
        with_stdout(|out| {
            for (index, leaks) in all.iter().enumerate() {
                if index > 0 {
                    writeln!(out, "\n")?;
                }
                view::render_leaks(out, &canvas, leaks, &view)?;
            }
            Ok(view::render_suppressions(out, &canvas, &uses)?)
        })
    };
    let errors = leaks::count_errors(&all, args.errors_for_leak_kinds);
    let outcome = reading.outcome(written)?;
    match args.error_exitcode {
        Some(code) if errors > 0 && outcome == ExitCode::SUCCESS => Ok(ExitCode::from(code)),
        _ => Ok(outcome),
    }
}
