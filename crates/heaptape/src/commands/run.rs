//! `heaptape run`: records a program and writes its tape.
//!
//! Standard input, output and error are the program's; all that heaptape says goes to standard error
//! when the program has ended. Then heaptape ends as the program did (but see `HEAPTAPE_CHECK` in
//! ARCHITECTURE.md).

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::Reading;
use crate::recording::{self, quoted, shown, tell};
use crate::terminal;
use clap::builder::FalseyValueParser;
use heaptape_analysis::filter::parse_bytes;
use heaptape_analysis::moment::parse_duration;
use heaptape_analysis::summary::Summary;
use heaptape_collector::{Follow, Guard, GuardMode, GuardWith, Launch};
use heaptape_report::summary::render_summary;
use heaptape_report::units;
use heaptape_tape::TimeNs;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Call sites in a list of the summary.
const SITES: usize = 10;

/// Record a program from its first allocation to its end
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    heaptape run -- ls -l\n  \
    heaptape run --summary -- python3 -c 'print(sum(range(1000)))'\n  \
    heaptape run -o '%e-%t.tape' --mmap -- ./server --port 8080")]
pub(crate) struct Args {
    /// Name of the tape: %p pid, %e program, %h host, %t seconds since 1970, %n a free number,
    /// %q{VAR} environment, %% a percent sign
    #[arg(
        short,
        long,
        env = "HEAPTAPE_OUTPUT",
        value_name = "NAME",
        default_value = "heaptape.%e.%p.tape"
    )]
    output: PathBuf,
    /// Replace an existing tape
    #[arg(short, long, env = "HEAPTAPE_FORCE", value_parser = switch())]
    force: bool,
    /// Which children to record too
    #[arg(long, env = "HEAPTAPE_FOLLOW", value_enum, default_value = "all", value_name = "WHICH")]
    follow: FollowChoice,
    /// Record where frees come from, too
    #[arg(long, env = "HEAPTAPE_FREE_BACKTRACES", value_parser = switch())]
    free_backtraces: bool,
    /// Record no backtraces: faster, but no call sites
    #[arg(long, env = "HEAPTAPE_NO_BACKTRACES", value_parser = switch(), conflicts_with = "free_backtraces")]
    no_backtraces: bool,
    /// Record mmap, munmap, mremap, brk and sbrk, too
    #[arg(long, env = "HEAPTAPE_MMAP", value_parser = switch())]
    mmap: bool,
    /// Record a sample of the allocations, one byte in so many (with K, M or G; 512K costs next to nothing)
    ///
    /// An allocation is recorded with a probability that grows with its size: large ones always, small
    /// ones in proportion to their bytes. Reports then show estimates with their standard errors.
    #[arg(long, env = "HEAPTAPE_SAMPLE", value_name = "BYTES", value_parser = sample_bytes)]
    sample: Option<u64>,
    /// Give the program an allocator that makes heap errors fault at once: right, left, exact or sample:N
    ///
    /// right: every block ends at an inaccessible page, as nearly as its alignment allows; left: it begins after one
    /// (for underflows); exact: it ends there to the byte, aligned only as its size is. sample:N guards one block
    /// in N, for production. Freed blocks stay inaccessible for long. Every guarded block takes a page of memory or
    /// more.
    #[arg(long, env = "HEAPTAPE_GUARD", value_name = "HOW", num_args = 0..=1, require_equals = true,
          default_missing_value = "right", value_parser = guard_mode)]
    guard: Option<(GuardMode, u32)>,
    /// How much address space freed blocks keep under --guard (with K, M or G)
    #[arg(long, env = "HEAPTAPE_GUARD_QUARANTINE", value_name = "BYTES", default_value = "8G",
          value_parser = some_bytes)]
    guard_quarantine: u64,
    /// How --guard makes pages inaccessible
    #[arg(long, hide = true, value_enum, value_name = "MECHANISM")]
    guard_with: Option<GuardWithChoice>,
    /// Put patterns around blocks and into freed ones, and look at them when blocks are freed and at the end; with a
    /// number, at all of them every so many calls of a thread, too
    #[arg(long, env = "HEAPTAPE_CHECK_BLOCKS", value_name = "CALLS", num_args = 0..=1, require_equals = true,
          default_missing_value = "0", conflicts_with = "guard")]
    check: Option<u32>,
    /// How many bytes of freed blocks are kept back under --check (with K, M or G)
    #[arg(long, env = "HEAPTAPE_CHECK_QUARANTINE", value_name = "BYTES", default_value = "16M",
          value_parser = some_bytes)]
    check_quarantine: u64,
    /// Time between two samples of the resident memory; 0 for none
    #[arg(long, env = "HEAPTAPE_SAMPLE_INTERVAL", value_name = "TIME", default_value = "50ms",
          value_parser = duration)]
    sample_interval: TimeNs,
    /// Sample the proportional set size, too (slower)
    #[arg(long, env = "HEAPTAPE_PSS", value_parser = switch())]
    pss: bool,
    /// Keep the bytes of the blocks that are live at the exit; the tape then holds memory of the program
    #[arg(long, env = "HEAPTAPE_CONTENTS", value_parser = switch())]
    contents: bool,
    /// Record until every child has ended, not only the program
    #[arg(long, env = "HEAPTAPE_WAIT", value_parser = switch())]
    wait: bool,
    /// Print the summary at once, to standard error
    #[arg(long, env = "HEAPTAPE_SUMMARY", value_parser = switch())]
    summary: bool,
    /// Say nothing unless something is missing from the recording
    #[arg(short, long, env = "HEAPTAPE_QUIET", value_parser = switch(), conflicts_with_all = ["verbose", "summary"])]
    quiet: bool,
    /// Say what is done behind the scenes
    #[arg(short, long, env = "HEAPTAPE_VERBOSE", value_parser = switch())]
    verbose: bool,
    /// The program and its arguments
    #[arg(
        value_name = "PROGRAM",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// `--follow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FollowChoice {
    /// Forked processes and the programs they execute
    All,
    /// Forked processes, until they execute another program
    Fork,
    /// Only the program itself
    None,
}

impl From<FollowChoice> for Follow {
    fn from(choice: FollowChoice) -> Follow {
        match choice {
            FollowChoice::All => Follow::All,
            FollowChoice::Fork => Follow::Fork,
            FollowChoice::None => Follow::None,
        }
    }
}

/// `--guard-with`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum GuardWithChoice {
    /// Guard markers in the page table
    Madvise,
    /// Mappings without access rights
    Mprotect,
}

/// `right`, `left`, `exact`, or `sample:N` with blocks to the right.
fn guard_mode(text: &str) -> Result<(GuardMode, u32), String> {
    match text {
        "right" => Ok((GuardMode::Right, 1)),
        "left" => Ok((GuardMode::Left, 1)),
        "exact" => Ok((GuardMode::Exact, 1)),
        _ => text
            .strip_prefix("sample:")
            .and_then(|number| number.parse().ok())
            .filter(|one_in| (1..1 << 30).contains(one_in))
            .map(|one_in| (GuardMode::Right, one_in))
            .ok_or_else(|| "expected right, left, exact or sample:N".to_owned()),
    }
}

fn some_bytes(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "expected a number of bytes, such as 512K or 1M".to_owned())
}

/// What allocator the program is to be given.
fn guard(args: &Args) -> Guard {
    let with = match args.guard_with {
        None => GuardWith::Any,
        Some(GuardWithChoice::Madvise) => GuardWith::Markers,
        Some(GuardWithChoice::Mprotect) => GuardWith::Mappings,
    };
    match (args.guard, args.check) {
        (Some((mode, one_in)), _) => {
            Guard { mode, with, one_in, interval: 0, quarantine: args.guard_quarantine }
        }
        (None, Some(interval)) => Guard {
            mode: GuardMode::Check,
            interval,
            quarantine: args.check_quarantine,
            ..Guard::default()
        },
        (None, None) => Guard::default(),
    }
}

/// A flag from the environment: `0`, `no`, `off`, `false` and nothing mean that it is not set.
fn switch() -> FalseyValueParser {
    FalseyValueParser::new()
}

fn duration(text: &str) -> Result<TimeNs, String> {
    parse_duration(text).ok_or_else(|| "expected a time, such as 50ms or 0.5s".to_owned())
}

/// 0 and 1 mean that every byte is chosen, which is no sample.
fn sample_bytes(text: &str) -> Result<u64, String> {
    match parse_bytes(text) {
        Some(bytes) if bytes > Launch::MAX_SAMPLE_BYTES => {
            Err("more than any program allocates".to_owned())
        }
        Some(bytes) => Ok(if bytes == 1 { 0 } else { bytes }),
        None => Err("expected a number of bytes, such as 512K or 1M".to_owned()),
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let (quiet, summary) = (args.quiet, args.summary);
    let sampled = args.sample.unwrap_or(0) > 0;
    let check = recording::check_wanted()?;
    let mut launch = launch(args);
    launch.check = check;
    let recorded = recording::record(launch)?;
    let all_agree = recording::tell_checks(check, &recorded.checks);
    for trouble in recording::troubles(&recorded) {
        tell(format_args!("heaptape: {trouble}"));
    }
    recording::guard_troubles(&recorded)
        .iter()
        .for_each(|trouble| tell(format_args!("heaptape: {trouble}")));
    if !quiet {
        if let Some(line) = recording::guard_sentence(&recorded) {
            tell(format_args!("heaptape: {line}"));
        }
        tell(format_args!("heaptape: {}", result_line(&recorded, sampled)));
    }
    if summary {
        if let Err(failure) = print_summary(&recorded) {
            tell(format_args!("heaptape: {failure}"));
        }
    } else if !quiet {
        let tape = quoted(recorded.tape.as_os_str());
        tell(format_args!("  heaptape summary {tape}\n  heaptape at {tape} peak"));
    }
    if !all_agree {
        return Ok(ExitCode::from(recording::CHECK_FAILED));
    }
    heaptape_collector::die_as(recorded.ending)
}

fn launch(args: Args) -> Launch {
    let guard = guard(&args);
    let mut launch = recording::launch(args.command, args.output);
    launch.guard = guard;
    launch.force = args.force;
    launch.next_free = true;
    launch.follow = args.follow.into();
    // Who freed a block is half of what there is to know of a use after it.
    launch.free_backtraces =
        args.free_backtraces || guard.mode != GuardMode::Off && !args.no_backtraces;
    launch.backtraces = !args.no_backtraces;
    launch.mmap = args.mmap;
    launch.sample_bytes = args.sample.unwrap_or(0);
    launch.sample_interval = Duration::from_nanos(args.sample_interval.0);
    launch.pss = args.pss;
    launch.contents_at_exit = args.contents;
    launch.wait_for_all = args.wait;
    launch.verbose = args.verbose;
    launch
}

/// Bytes that a recording may be behind its program without a word: some rings' worth.
const WORTH_SAYING: u64 = 16 << 20;

/// What was recorded, where it is.
fn result_line(recorded: &heaptape_collector::Outcome, sampled: bool) -> String {
    let sample = if sampled { "a sample of " } else { "" };
    let others = match recorded.processes {
        0 | 1 => String::new(),
        several => format!(" of {several} processes"),
    };
    let behind = match recorded.most_behind {
        little if little < WORTH_SAYING => String::new(),
        bytes => format!("; was at most {} behind", units::bytes(bytes)),
    };
    format!(
        "{sample}{}{others} in {} on {} ({}){behind}",
        units::counted(recorded.events, "event"),
        units::elapsed(u64::try_from(recorded.elapsed.as_nanos()).unwrap_or(u64::MAX)),
        shown(&recorded.tape),
        units::bytes(recorded.bytes),
    )
}

/// The summary of the program that was meant, as `heaptape summary` finds it.
fn print_summary(recorded: &heaptape_collector::Outcome) -> Result<(), Failure> {
    let reading = Reading::open(TapeArgs::of(recorded.tape.clone()))?;
    let names = reading.names();
    let summaries =
        reading.each(|process| Summary::compute(reading.recording(), &names, process, SITES))?;
    let mut out = BufWriter::new(io::stderr().lock());
    for summary in &summaries {
        writeln!(out)?;
        render_summary(&mut out, &terminal::stderr(), &reading.tape_word(), summary)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}
