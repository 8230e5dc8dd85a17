//! `heaptape contents`: what blocks contained.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::{BlockError, BlockFiles, Reading, json_results, with_stdout};
use crate::recording::{shown, tell};
use crate::terminal;
use heaptape_analysis::contents::block::{BlockContents, WhichBlock};
use heaptape_analysis::contents::table::{ContentsTable, Wanted};
use heaptape_analysis::contents::{self, Choice, Which};
use heaptape_analysis::filter::{SizeRange, parse_bytes};
use heaptape_report::contents as report;
use heaptape_report::units;
use heaptape_tape::{Moment, Process, Snapshot, TapeError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Show what blocks contained
///
/// The bytes are those of a snapshot (run --contents, --snapshot-every and others, heaptape snapshot): the newest
/// that is not after the moment asked for, whose time is said. With a block: its bytes, and where the pointers
/// among them lead: to a block (#12 + 0x10), to where a freed one was, to a function, to other memory. A byte that
/// was not recorded is shown as ··.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape contents demo.tape                          the largest blocks at the last snapshot
  heaptape contents demo.tape --at peak --match parse_header
  heaptape contents demo.tape '#41237'                 one block, by its number
  heaptape contents demo.tape 0x55d0c0a2a4f0 --at 2.5  the block that contains an address
  heaptape contents demo.tape --out blocks             a file for each block")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// A block: its number (#41237) or an address in it (0x…)
    #[arg(value_name = "ADDRESS|#BLOCK")]
    block: Option<WhichBlock>,
    /// The moment: seconds (0.521), 521ms, 50%, peak (the snapshot with most live bytes), exit; or the number of
    /// a snapshot: #3
    #[arg(long, value_name = "TIME|#SNAPSHOT", default_value = "exit")]
    at: Which,
    /// Only blocks of this size or range of sizes: 64, 64K.., ..1M, 1K..64K
    #[arg(long, value_name = "SIZES", conflicts_with = "block")]
    size: Option<SizeRange>,
    /// Only backtraces with this in a function, file or module
    #[arg(long, value_name = "TEXT", conflicts_with = "block")]
    r#match: Option<String>,
    /// Most blocks
    #[arg(long, value_name = "N", default_value_t = 20, conflicts_with = "block")]
    limit: usize,
    /// Begin so far into the block
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "0", requires = "block")]
    offset: u64,
    /// Show so many bytes of it
    #[arg(long, value_name = "BYTES", value_parser = bytes, default_value = "4K", requires = "block")]
    length: u64,
    /// Write every block into a file of its own: DIR/heap/0xADDRESS
    ///
    /// No file holds a byte that was not recorded: where there are gaps, DIR/unrecorded.tsv lists them, and what
    /// comes behind one is in DIR/heap/0xADDRESS+0xOFFSET.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["block", "json", "size", "match"])]
    out: Option<PathBuf>,
    /// Write into a folder that is not empty
    #[arg(short, long, requires = "out")]
    force: bool,
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
}

fn bytes(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => parse_bytes(text),
    };
    parsed.ok_or_else(|| "expected a number of bytes: 64, 4K, 0x100".to_owned())
}

pub(crate) fn run(args: Args) -> Outcome {
    let reading = Reading::open(args.tape)?;
    let names = reading.names();
    let recording = reading.recording();
    if let Some(dir) = &args.out {
        return write_files(&reading, args.at, dir, args.force);
    }
    let canvas = terminal::stdout();
    if let Some(which) = args.block {
        let shown = args.offset..args.offset.saturating_add(args.length);
        let found = of_each(&reading, args.at, |process, snapshot| {
            let shown = shown.clone();
            let found = BlockContents::compute(recording, &names, process, snapshot, which, shown)?;
            Ok(found.ok_or_else(|| no_block(&reading, which, snapshot)))
        })?;
        if args.json {
            return reading.outcome(json_results("contents", &found));
        }
        return reading.outcome(with_stdout(|out| {
            found.iter().try_for_each(|block| Ok(report::render_block(out, &canvas, block)?))
        }));
    }
    let wanted = Wanted { sizes: args.size, text: args.r#match, limit: args.limit };
    let tables = of_each(&reading, args.at, |process, snapshot| {
        ContentsTable::compute(recording, &names, process, snapshot, &wanted).map(Ok)
    })?;
    if args.json {
        return reading.outcome(json_results("contents", &tables));
    }
    reading.outcome(with_stdout(|out| {
        tables.iter().try_for_each(|table| Ok(report::render_table(out, &canvas, table)?))
    }))
}

/// A result for each process that was asked for and has what was asked for; a failure when none has.
fn of_each<T>(
    reading: &Reading,
    which: Which,
    mut compute: impl FnMut(&Process, &Snapshot) -> Result<Result<T, String>, TapeError>,
) -> Result<Vec<T>, Failure> {
    let all = reading.each(|process| {
        match contents::choose(reading.recording(), process.id, which)? {
            Choice::Found(snapshot) => compute(process, &snapshot),
            other => Ok(Err(not_there(reading, process, other))),
        }
    })?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for result in all {
        match result {
            Ok(result) => found.push(result),
            Err(sentence) => missing.push(sentence),
        }
    }
    if found.is_empty() {
        return Err(Failure::Request(missing.into_iter().next().unwrap_or_default()));
    }
    missing.iter().for_each(|sentence| tell(format_args!("heaptape: {sentence}")));
    Ok(found)
}

fn not_there(reading: &Reading, process: &Process, choice: Choice) -> String {
    let name = format!("{}: process #{}", reading.tape_name(), process.id.0);
    match choice {
        Choice::OnlyLater(first) => format!(
            "{name}: no snapshot was made by then; the first is at {}",
            units::seconds(first.time.0)
        ),
        Choice::NoSuch(last) => {
            format!("{name}: there is no such snapshot; the last is #{}", last.number)
        }
        Choice::Nothing | Choice::Found(_) => format!(
            "{name}: no contents were recorded; they are with: heaptape run --contents, or heaptape snapshot PID"
        ),
    }
}

fn no_block(reading: &Reading, which: WhichBlock, snapshot: &Snapshot) -> String {
    let name = reading.tape_name();
    let at = units::seconds(snapshot.time.0);
    match which {
        WhichBlock::Address(addr) => format!(
            "{name}: no block was live at {addr:#x} at snapshot #{} ({at}); its history: heaptape addr {} {addr:#x}",
            snapshot.number,
            reading.tape_word()
        ),
        WhichBlock::Number(number) => {
            format!("{name}: block #{number} was not live at snapshot #{} ({at})", snapshot.number)
        }
    }
}

fn write_files(reading: &Reading, which: Which, dir: &Path, force: bool) -> Outcome {
    let tape = reading.tape();
    let chosen = of_each(reading, which, |process, snapshot| Ok(Ok((process.id, *snapshot))))?;
    let [(process, snapshot)] = chosen[..] else {
        return Err(Failure::request(
            "--out writes the blocks of one process: choose it with --process",
        ));
    };
    let unreadable = |error: TapeError| reading.unreadable(error);
    let live = tape.live_at(process, Moment::Event(snapshot.event)).map_err(unreadable)?;
    tape.afford(live.bytes().saturating_mul(2)).map_err(unreadable)?;
    let mut memory = tape.memory_at(&snapshot, 0..u64::MAX).map_err(unreadable)?;
    let failed = |error: BlockError| match error {
        BlockError::Tape(error) => reading.unreadable(error),
        BlockError::Io(path, error) => {
            Failure::request(format!("{}: cannot be written: {error}", shown(&path)))
        }
        BlockError::NotEmpty(path) => Failure::request(format!(
            "{}: holds something already; --force writes into it all the same",
            shown(&path)
        )),
    };
    let mut files = BlockFiles::create(dir, force).map_err(failed)?;
    let blocks = live.sorted();
    for block in &blocks {
        files.write(&mut memory, block).map_err(failed)?;
    }
    files.finish().map_err(failed)?;
    tell(format_args!(
        "heaptape: {} of snapshot #{} at {} in {}",
        units::counted(blocks.len() as u64, "block"),
        snapshot.number,
        units::seconds(snapshot.time.0),
        shown(&dir.join("heap")),
    ));
    if files.gappy > 0 {
        tell(format_args!(
            "heaptape: of {} not all was recorded: {} in all, listed in {}",
            units::counted(files.gappy, "block"),
            units::counted(files.unrecorded, "byte"),
            shown(&dir.join("unrecorded.tsv")),
        ));
    }
    reading.outcome(Ok(ExitCode::SUCCESS))
}
