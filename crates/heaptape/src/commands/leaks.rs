//! `heaptape leaks`: what was lost, what still can be reached, and through what.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::{Failure, Outcome};
use crate::glue::{Reading, with_stdout};
use crate::terminal;
use heaptape_analysis::leaks::{self, Kinds, Leaks, Question};
use heaptape_analysis::suppressions::{Suppression, Suppressions};
use heaptape_collector::control::{self, SearchMade};
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
///
/// Instead of the tape, the pid of a process that is being recorded may be given (or that of its heaptape run, for all
/// that it records): it is searched now, standing still meanwhile, and goes on. All searches stay on the tape.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape leaks demo.tape
  heaptape leaks demo.tape --show-leak-kinds=all --top 50
  heaptape leaks demo.tape --block '#4711'
  heaptape leaks 4711                        search a process that is being recorded, now
  heaptape leaks 4711 --since 0              only what was allocated after the first search
  heaptape leaks demo.tape --scan 0          what an earlier search has found
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
    /// Show the search with this number [default: the last one of the process]
    #[arg(long, value_name = "N", value_parser = search)]
    scan: Option<u32>,
    /// Count and list only blocks allocated after the search with this number
    #[arg(long, value_name = "N", value_parser = search)]
    since: Option<u32>,
    /// Leave out what this file names: in the form of LeakSanitizer or of valgrind (repeatable)
    #[arg(long, value_name = "FILE")]
    suppressions: Vec<PathBuf>,
    /// Write a suppression for each record, in valgrind's form
    ///
    /// For --suppressions here and of valgrind, which compares names as they are before demangling: those of C++
    /// are patterns that fit both.
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

fn search(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix('#').unwrap_or(text);
    number.parse().map_err(|_| "expected the number of a search, such as 0".to_owned())
}

/// The pid that stands where a tape may stand.
fn pid(tape: &Path) -> Option<u32> {
    tape.to_str()?.parse().ok().filter(|_| !tape.exists())
}

/// Has a process searched. Returns the tape, the processes that were searched, and the numbers of the searches.
fn search_now(pid: u32, args: &mut TapeArgs) -> Result<Vec<u32>, Failure> {
    let answer = control::leaks(pid).map_err(|error| Failure::request(error.to_string()))?;
    args.tape = answer.tape;
    args.process = match answer.searches[..] {
        [] => {
            let why = "ended before it could be searched, or cannot be read";
            return Err(Failure::request(format!("process {pid} {why}")));
        }
        [SearchMade { process, .. }] => Some(ProcessChoice::Number(process)),
        _ => Some(ProcessChoice::All),
    };
    Ok(answer.searches.iter().map(|search| search.number).collect())
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

fn no_search(number: u32, all: &[Leaks]) -> Failure {
    let known = all.iter().flat_map(|leaks| &leaks.searches);
    let known: Vec<String> = known.map(|search| format!("#{}", search.number)).collect();
    let those = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Failure::request(format!("there is no search #{number} of this process; there are: {those}"))
}

pub(crate) fn run(mut args: Args) -> Outcome {
    let mut suppressions = suppressions(&args.suppressions)?;
    let made = pid(&args.tape.tape).map(|pid| search_now(pid, &mut args.tape)).transpose()?;
    let among = args.scan.map(|number| vec![number]).or(made);
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let mut all = reading.each(|process| {
        let mut question = Question {
            block: args.block,
            among: among.as_deref(),
            since: args.since,
            ..Question::all(args.show_leak_kinds, &mut suppressions)
        };
        Leaks::compute(reading.recording(), &names, process, &mut question)
    })?;
    for number in args.scan.iter().chain(&args.since) {
        if !all.iter().any(|leaks| leaks.searches.iter().any(|search| search.number == *number)) {
            return Err(no_search(*number, &all));
        }
    }
    if among.is_some() {
        all.retain(|leaks| leaks.search.is_some());
    }
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
