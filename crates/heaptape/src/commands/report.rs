//! `heaptape report`: the whole tape as one page.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::new_file::{Manner, write_whole};
use crate::glue::page::{ProcessTables, process_info};
use crate::glue::sources::{self, SourceMap, SourcePaths, Wanted};
use crate::glue::{Reading, SymbolNames, with_stdout};
use crate::recording::{quoted, shown, tell_wrapped};
use heaptape_analysis::contents::captures::Captures;
use heaptape_analysis::info::Info;
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_report::page::file::{self, Blobs};
use heaptape_report::page::overview::{Capped, Overview, ProcessInfo};
use heaptape_report::page::tables::contents;
use heaptape_report::units;
use heaptape_tape::{Process, TapeError};
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Larger files are slow to open.
const LARGE: u64 = 50 << 20;
/// Bytes of memory contents of a process.
const MOST_CONTENTS: u64 = 64 << 20;
/// More would take more memory than browsers give.
const MOST_BLOCKS: u64 = 20_000_000;

/// Write everything as one page for the browser
///
/// One HTML file with summary, timeline, flame graph, heap layout and all blocks, wound to any moment in the browser. It
/// loads nothing and sends nothing; without JavaScript it shows the summary.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape report demo.tape
  heaptape report demo.tape -o /tmp/demo.html --force
  heaptape report demo.tape --process all
  heaptape report demo.tape --contents               with the bytes of blocks, as far as they were recorded
  heaptape report demo.tape --source-map /build=.    where sources lie now")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Where the page goes [default: the tape's name with .html, in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(short, long)]
    force: bool,
    /// Most blocks of a process that are held one by one: a number, or one with K or M
    ///
    /// Of more, the largest, the longest lived and those live at the peak and in the end are held, and sums of all that are
    /// exact at 512 moments, or fewer where there are very many call sites. heaptape ui shows all.
    #[arg(long, value_name = "N", default_value = "2M", value_parser = blocks)]
    max_blocks: u64,
    /// Put the recorded bytes of blocks into the page: whoever has it can read them
    #[arg(long)]
    contents: bool,
    /// Source lines: none, around the lines that backtraces name, or whole files that they name
    #[arg(long, value_name = "WHICH", value_enum, default_value = "sites")]
    source: Wanted,
    /// Source files below FROM, as debug information has them, lie below TO (repeatable)
    #[arg(long, value_name = "FROM=TO")]
    source_map: Vec<SourceMap>,
}

/// `2M`, `500K`, `1000`.
fn blocks(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.strip_suffix(['K', 'k']) {
        Some(number) => (number, 1000),
        None => text.strip_suffix('M').map_or((text, 1), |number| (number, 1_000_000)),
    };
    let blocks = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    match blocks {
        Some(blocks @ 1000..=MOST_BLOCKS) => Ok(blocks),
        _ => Err("expected a number of blocks from 1000 to 20M".to_owned()),
    }
}

pub(crate) fn run(args: Args) -> Outcome {
    let output = args.output.unwrap_or_else(|| beside_us(&args.tape.tape));
    // Better now than after minutes.
    if !args.force && std::fs::symlink_metadata(&output).is_ok() {
        return Err(is_there(&output));
    }
    sources::check(&args.source_map)?;
    let sysroot = args.tape.sysroot.clone();
    let reading = Reading::open(args.tape)?;
    let wishes = Wishes {
        most_blocks: args.max_blocks,
        contents: args.contents,
        source: args.source,
        paths: SourcePaths::new(reading.tape(), args.source_map, sysroot),
    };
    let overview = write(&reading, &wishes, &output, args.force)?;
    let bytes = std::fs::metadata(&output).map_or(0, |file| file.len());
    reading.outcome(tell_what_was_written(&output, &overview, bytes))
}

/// What is to be in the page.
pub(crate) struct Wishes {
    pub(crate) most_blocks: u64,
    pub(crate) contents: bool,
    pub(crate) source: Wanted,
    pub(crate) paths: SourcePaths,
}

/// Writes the page.
pub(crate) fn write(
    reading: &Reading,
    wishes: &Wishes,
    output: &Path,
    replace: bool,
) -> Result<Overview, Failure> {
    let (overview, mut blobs) = gather(reading, wishes)?;
    let manner = Manner { replace, private: overview.has_contents };
    let written = write_whole(output, manner, |out| file::write(out, &overview, &mut blobs));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => is_there(output),
        _ => Failure::request(format!("{}: {error}", shown(output))),
    })?;
    Ok(overview)
}

/// `demo.tape` → `demo.html`, here.
fn beside_us(tape: &Path) -> PathBuf {
    let name = tape.file_name().unwrap_or(tape.as_os_str());
    Path::new(name).with_extension("html")
}

fn is_there(path: &Path) -> Failure {
    Failure::request(format!(
        "{}: is there already; give another name with -o, or --force to replace it",
        shown(path)
    ))
}

/// Everything that goes into the file. The tables of one process at a time are in memory, the others in a file that has
/// no name.
fn gather(reading: &Reading, wishes: &Wishes) -> Result<(Overview, File), Failure> {
    let names = reading.names();
    let chosen = reading.processes()?;
    let info = Info::compute(reading.recording(), &names);
    let launched = chosen.iter().find(|it| reading.launched().is_some_and(|one| one.id == it.id));
    let first = launched.or(chosen.first()).map_or(0, |process| process.id.0);
    let mut overview = Overview::of(reading.recording(), &reading.file_name(), info, first);
    let file = tempfile::tempfile().map_err(spooled)?;
    let blobs = Blobs::new(BufWriter::new(file));
    let alone = chosen.len() == 1;
    let mut writer = Writer { reading, wishes, names, alone, overview: &mut overview, blobs };
    for process in reading.tape().processes() {
        let info = if chosen.iter().any(|chosen| chosen.id == process.id) {
            writer.include(process)?
        } else {
            ProcessInfo::left_out(reading.recording(), process, writer.not_chosen(process))
        };
        writer.overview.processes.push(info);
    }
    let file = writer.blobs.into_inner().into_inner();
    let mut file = file.map_err(|error| spooled(error.into_error()))?;
    file.seek(SeekFrom::Start(0)).map_err(spooled)?;
    Ok((overview, file))
}

fn spooled(error: io::Error) -> Failure {
    Failure::request(format!("temporary file: {error}"))
}

/// Writes the tables of one process after the other.
struct Writer<'a> {
    reading: &'a Reading,
    wishes: &'a Wishes,
    names: SymbolNames<'a>,
    /// Whether only one process is asked for.
    alone: bool,
    overview: &'a mut Overview,
    blobs: Blobs<BufWriter<File>>,
}

impl Writer<'_> {
    /// Writes the tables of a process; says why not, where that cannot be done.
    fn include(&mut self, process: &Process) -> Result<ProcessInfo, Failure> {
        let recording = self.reading.recording();
        if !Lifetimes::fit(recording, process.id) {
            let why = "It has more events than a page can tell apart".to_owned();
            return Ok(ProcessInfo::left_out(recording, process, why));
        }
        match self.gather(process) {
            Ok((info, tables, captures)) => {
                self.write(process, &tables, &captures).map_err(spooled)?;
                self.overview.left_out += tables.left_out;
                self.overview.has_contents |= info.has_contents;
                Ok(info)
            }
            Err(error) => {
                let why = error.to_string();
                self.reading.leave_out(error, self.alone)?;
                Ok(ProcessInfo::left_out(recording, process, why))
            }
        }
    }

    fn gather(
        &self,
        process: &Process,
    ) -> Result<(ProcessInfo, ProcessTables, Captures), TapeError> {
        let recording = self.reading.recording();
        let most = self.wishes.most_blocks;
        let tables = ProcessTables::of(recording, &self.names, process, most)?;
        let mut captures = Captures::default();
        if self.wishes.contents {
            captures = Captures::of(recording, process.id, &tables.lifetimes, MOST_CONTENTS)?;
        }
        let info = process_info(recording, &self.names, process, &tables)?;
        let has_contents = !captures.rows.is_empty();
        Ok((ProcessInfo { has_contents, ..info }, tables, captures))
    }

    fn write(
        &mut self,
        process: &Process,
        tables: &ProcessTables,
        captures: &Captures,
    ) -> io::Result<()> {
        let (id, blobs) = (process.id.0, &mut self.blobs);
        let recording = self.reading.recording();
        tables.each(recording, process, |name, table| blobs.table(id, name, table))?;
        if !captures.rows.is_empty() {
            blobs.table(id, "contents", &contents(captures))?;
        }
        if self.wishes.source != Wanted::None {
            let sources = self.wishes.paths.of(&tables.stacks, self.wishes.source);
            blobs.json(id, "source", &sources)?;
        }
        Ok(())
    }

    fn not_chosen(&self, process: &Process) -> String {
        format!(
            "Not in this report; for it: heaptape report {} --process '#{}'",
            self.reading.tape_word(),
            process.id.0
        )
    }
}

fn tell_what_was_written(output: &Path, overview: &Overview, bytes: u64) -> Outcome {
    if bytes > LARGE {
        tell_wrapped(&format!(
            "heaptape: the page is large ({}) and will be slow to open; heaptape ui shows the same from the tape",
            units::bytes(bytes)
        ));
    }
    with_stdout(|out| {
        let output = quoted(output.as_os_str());
        writeln!(out, "{output}: {}; open it in a browser", units::bytes(bytes))?;
        for line in what_is_in(overview) {
            writeln!(out, "  {line}")?;
        }
        Ok(())
    })
}

/// Blocks and contents, in lines.
fn what_is_in(overview: &Overview) -> Vec<String> {
    let included: Vec<&ProcessInfo> = overview.processes.iter().filter(|it| it.included).collect();
    let count = |all: u64, one: &str| match all {
        1 => format!("1 {one}"),
        _ => format!("{} {one}es", units::count(all)),
    };
    let blocks = included.iter().map(|process| process.block_count).sum();
    let mut lines = vec![format!(
        "{} of {}",
        units::counted(blocks, "block"),
        count(included.len() as u64, "process")
    )];
    for process in &included {
        if let Some(Capped { kept_blocks, of_blocks, grid }) = process.capped {
            lines.push(format!(
                "#{}: {} of {} one by one, the others in sums at {} moments (--max-blocks)",
                process.id,
                units::count(kept_blocks),
                units::counted(of_blocks, "block"),
                units::count(u64::from(grid) + 1)
            ));
        }
    }
    if overview.left_out > 0 {
        let blocks = units::counted(overview.left_out, "block");
        lines.push(format!("{blocks} at addresses beyond 2^53 left out"));
    }
    lines.push(if overview.has_contents {
        "memory contents of the program are in it: mind whom you give it to".to_owned()
    } else {
        "no memory contents are in it".to_owned()
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_blocks() {
        assert_eq!(blocks("2M"), Ok(2_000_000));
        assert_eq!(blocks("5K"), Ok(5_000));
        assert_eq!(blocks("12345"), Ok(12_345));
        for bad in ["", "M", "0", "21M", "-1", "1.5M", "99999999999999999999"] {
            assert!(blocks(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_page_is_named_after_the_tape() {
        for (tape, page) in
            [("demo.tape", "demo.html"), ("/tmp/a.b.tape", "a.b.html"), ("x/demo", "demo.html")]
        {
            assert_eq!(beside_us(Path::new(tape)), Path::new(page));
        }
    }
}
