//! `heaptape run`: records a program and writes its tape.
//!
//! Standard input, output and error are the program's; all that heaptape says goes to standard error
//! when the program has ended. Then heaptape ends as the program did (but see `HEAPTAPE_CHECK` in
//! ARCHITECTURE.md).

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::gate::{self, Gate, LeakGate};
use crate::glue::Reading;
use crate::recording::{self, quoted, shown, tell, tell_wrapped};
use crate::terminal;
use clap::builder::FalseyValueParser;
use heaptape_analysis::crash::Crashes;
use heaptape_analysis::filter::parse_bytes;
use heaptape_analysis::leaks::Kinds;
use heaptape_analysis::moment::parse_duration;
use heaptape_analysis::summary::Summary;
use heaptape_collector::{
    Copied, Follow, FreeBacktraces, Guard, GuardMode, GuardWith, Launch, Snapshots,
};
use heaptape_report::crash::render_short;
use heaptape_report::summary::render_summary;
use heaptape_report::units;
use heaptape_tape::{Ending, TimeNs};
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
    /// Which frees to record with the place they come from
    ///
    /// Without a value: all of them, which takes half as much time again as the rest of recording.
    #[arg(long, env = "HEAPTAPE_FREE_BACKTRACES", value_enum, default_value = "first", value_name = "WHICH",
          num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    free_backtraces: FreeBacktracesChoice,
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
    /// Keep the bytes of the blocks that are live at the exit or at a crash; the tape then holds memory of
    /// the program
    #[arg(long, env = "HEAPTAPE_CONTENTS", value_parser = switch())]
    contents: bool,
    /// Search for leaks when a process exits or crashes; full: and let them count as errors
    #[arg(long, alias = "leak-check", env = "HEAPTAPE_LEAKS", value_name = "WHETHER", default_value = "yes",
          num_args = 0..=1, default_missing_value = "yes", value_parser = ["yes", "no", "full", "summary"])]
    leaks: String,
    /// Which leaks count as errors for --error-exitcode: definite, indirect, possible, reachable; all, none [default:
    /// none; definite,possible with --leaks=full]
    #[arg(long, env = "HEAPTAPE_ERRORS_FOR_LEAK_KINDS", value_name = "KINDS", value_parser = super::leaks::kinds)]
    errors_for_leak_kinds: Option<Kinds>,
    /// Leaks that do not count as errors: a file in the form of LeakSanitizer or of valgrind (repeatable)
    #[arg(long, value_name = "FILE")]
    suppressions: Vec<PathBuf>,
    #[command(flatten)]
    snapshots: SnapshotArgs,
    /// Record until every child has ended, not only the program
    #[arg(long, env = "HEAPTAPE_WAIT", value_parser = switch())]
    wait: bool,
    /// End with this status if the recording has errors (heaptape errors), in any process; 0: never
    ///
    /// It wins over the program's own status, also where that died of a signal. The tape is read for it when
    /// the program has ended. Where the tape cannot be read, the status is 125.
    #[arg(long, env = "HEAPTAPE_ERROR_EXITCODE", value_name = "N", default_value_t = 0)]
    error_exitcode: u8,
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

/// When else contents are kept.
#[derive(Debug, clap::Args)]
struct SnapshotArgs {
    /// Keep the bytes of the live blocks every so often: 1s, 500ms
    ///
    /// For each snapshot all threads of the process stand still, for a millisecond or so; only pages that have
    /// changed since the last one are stored. As with a debugger, a system call that does not survive a stop
    /// (epoll_wait) may return EINTR. With any of these options, or --contents, one is also made when memory
    /// passes 90 % of the control group's limit, and again at 95 and 100 %.
    #[arg(long, env = "HEAPTAPE_SNAPSHOT_EVERY", value_name = "TIME", value_parser = duration)]
    snapshot_every: Option<TimeNs>,
    /// Keep the bytes of the live blocks at this time after the start (repeatable)
    #[arg(long, env = "HEAPTAPE_SNAPSHOT_AT", value_name = "TIME", value_parser = duration, value_delimiter = ',')]
    snapshot_at: Vec<TimeNs>,
    /// Keep the bytes of the live blocks at each peak that is higher by so much: 10%
    ///
    /// Live bytes are seen with a delay of about a millisecond: a peak that is over by then is missed.
    #[arg(long, env = "HEAPTAPE_SNAPSHOT_PEAK", value_name = "PERCENT", value_parser = percent)]
    snapshot_peak: Option<u32>,
    /// Keep at most so many bytes of memory (with K, M or G); what is beyond is counted
    #[arg(long, env = "HEAPTAPE_SNAPSHOT_BUDGET", value_name = "SIZE", value_parser = size, default_value = "1G")]
    snapshot_budget: u64,
}

impl SnapshotArgs {
    fn with_exit(self, at_exit: bool) -> Snapshots {
        let time = |time: TimeNs| Duration::from_nanos(time.0);
        Snapshots {
            at_exit,
            every: self.snapshot_every.map_or(Duration::ZERO, time),
            at: self.snapshot_at.into_iter().map(time).collect(),
            peak_percent: self.snapshot_peak.unwrap_or(0),
            budget: self.snapshot_budget,
        }
    }
}

fn percent(text: &str) -> Result<u32, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
    number
        .filter(|percent| (1..=1000).contains(percent))
        .ok_or_else(|| "expected a percentage from 1 to 1000, such as 10%".to_owned())
}

fn size(text: &str) -> Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "expected a number of bytes, such as 64M or 1G".to_owned())
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

/// `--free-backtraces`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FreeBacktracesChoice {
    /// The first 262,144 frees of each thread
    First,
    /// All frees
    All,
    /// No frees
    None,
}

impl From<FreeBacktracesChoice> for FreeBacktraces {
    fn from(choice: FreeBacktracesChoice) -> FreeBacktraces {
        match choice {
            FreeBacktracesChoice::First => FreeBacktraces::First,
            FreeBacktracesChoice::All => FreeBacktraces::All,
            FreeBacktracesChoice::None => FreeBacktraces::None,
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
    let (quiet, summary, error_exitcode) = (args.quiet, args.summary, args.error_exitcode);
    let sampled = args.sample.unwrap_or(0) > 0;
    let check = recording::check_wanted()?;
    let mut leak_gate = leak_gate(&args)?;
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
        if recorded.copied.snapshots > 0 {
            tell_wrapped(
                "heaptape: the tape holds memory of the program; it is yours alone (mode 0600), and heaptape strip \
                 makes one without",
            );
        }
    }
    let crashed = !quiet && tell_crash(&recorded);
    let gate = match error_exitcode {
        0 => {
            if let Some(line) = recording::overwrites_sentence(&recorded) {
                tell(format_args!("heaptape: {line}"));
            }
            Gate::Passed
        }
        _ => gate::look(&recorded.tape, &mut leak_gate),
    };
    if let Gate::Passed = gate
        && recorded.unmatched_frees > 0
        && !quiet
        && !summary
    {
        let frees = units::counted(recorded.unmatched_frees, "free");
        let tape = quoted(recorded.tape.as_os_str());
        tell(format_args!("heaptape: {frees} of what was no live block: heaptape errors {tape}"));
    }
    if summary {
        if let Err(failure) = print_summary(&recorded) {
            tell(format_args!("heaptape: {failure}"));
        }
    } else if !quiet {
        let tape = quoted(recorded.tape.as_os_str());
        tell(format_args!("  heaptape summary {tape}\n  heaptape report {tape}"));
        if recorded.copied.snapshots > 0 {
            tell(format_args!("  heaptape contents {tape}"));
        }
        if crashed {
            tell(format_args!("  heaptape crash {tape}"));
        }
    }
    if !all_agree {
        return Ok(ExitCode::from(recording::CHECK_FAILED));
    }
    match gate {
        Gate::Passed => heaptape_collector::die_as(recorded.ending),
        Gate::Failed => Ok(ExitCode::from(error_exitcode)),
        Gate::Unknown => Ok(ExitCode::from(recording::CHECK_FAILED)),
    }
}

fn leak_gate(args: &Args) -> Result<LeakGate, Failure> {
    let usual = if args.leaks == "full" { Kinds::LOST } else { Kinds::NONE };
    Ok(LeakGate {
        kinds: args.errors_for_leak_kinds.unwrap_or(usual),
        suppressions: super::leaks::suppressions(&args.suppressions)?,
    })
}

fn launch(args: Args) -> Launch {
    let guard = guard(&args);
    let mut launch = recording::launch(args.command, args.output);
    launch.guard = guard;
    launch.force = args.force;
    launch.next_free = true;
    launch.follow = args.follow.into();
    launch.free_backtraces = match args.free_backtraces {
        // Who freed a block is half of what there is to know of a use after it.
        FreeBacktracesChoice::First if guard.mode != GuardMode::Off && !args.no_backtraces => {
            FreeBacktraces::All
        }
        choice => choice.into(),
    };
    launch.backtraces = !args.no_backtraces;
    launch.mmap = args.mmap;
    launch.sample_bytes = args.sample.unwrap_or(0);
    launch.sample_interval = Duration::from_nanos(args.sample_interval.0);
    launch.pss = args.pss;
    launch.leaks = args.leaks != "no";
    launch.snapshots = args.snapshots.with_exit(args.contents);
    launch.wait_for_all = args.wait;
    launch.verbose = args.verbose;
    launch
}

/// Bytes that a recording may be behind its program without a word: some rings' worth.
const WORTH_SAYING: u64 = 16 << 20;
/// A program may wait so long at its end without a word.
const LONG_END: Duration = Duration::from_millis(100);

/// What was recorded, where it is.
fn result_line(recorded: &heaptape_collector::Outcome, sampled: bool) -> String {
    let sample = if sampled { "a sample of " } else { "" };
    let others = match recorded.processes {
        0 | 1 => String::new(),
        several => format!(" of {several} processes"),
    };
    let copied = match &recorded.copied {
        Copied { snapshots: 0, .. } => String::new(),
        copied => {
            let pause = match copied.longest_pause_ns {
                0 => String::new(),
                pause => format!(", longest pause {}", units::lifetime(pause)),
            };
            let snapshots = units::counted(copied.snapshots, "snapshot");
            format!("; {snapshots}, {}{pause}", units::bytes(copied.bytes))
        }
    };
    let behind = match recorded.most_behind {
        little if little < WORTH_SAYING => String::new(),
        bytes => format!("; was at most {} behind", units::bytes(bytes)),
    };
    let at_end = match recorded.longest_end {
        short if short < LONG_END => String::new(),
        long => {
            let long = u64::try_from(long.as_nanos()).unwrap_or(u64::MAX);
            format!("; waited {} at its end to be looked at", units::lifetime(long))
        }
    };
    format!(
        "{sample}{}{others} in {} on {} ({}){copied}{behind}{at_end}",
        units::counted(recorded.events, "event"),
        units::elapsed(u64::try_from(recorded.elapsed.as_nanos()).unwrap_or(u64::MAX)),
        shown(&recorded.tape),
        units::bytes(recorded.bytes),
    )
}

/// Says in a few lines why the program crashed, if it did; whether there is something to say.
fn tell_crash(recorded: &heaptape_collector::Outcome) -> bool {
    if !matches!(recorded.ending, Ending::Signalled(..)) {
        return false;
    }
    match crash_lines(recorded) {
        Ok(lines) => {
            lines.lines().for_each(tell);
            !lines.is_empty()
        }
        Err(failure) => {
            tell(format_args!("heaptape: {failure}"));
            false
        }
    }
}

fn crash_lines(recorded: &heaptape_collector::Outcome) -> Result<String, Failure> {
    let reading = Reading::open(TapeArgs::of(recorded.tape.clone()))?;
    let names = reading.names();
    let crashes = reading.each(|process| Crashes::compute(reading.recording(), &names, process))?;
    let mut lines = Vec::new();
    for crash in &crashes {
        render_short(&mut lines, &terminal::stderr(), crash)?;
    }
    Ok(String::from_utf8_lossy(&lines).into_owned())
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
