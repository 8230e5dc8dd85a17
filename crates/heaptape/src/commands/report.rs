//! `heaptape report`: the whole tape as one page.

use crate::cli::TapeArgs;
use crate::failure::{Failure, Outcome};
use crate::glue::new_file::{Manner, write_whole};
use crate::glue::page::{ProcessTables, process_info};
use crate::glue::{Reading, SymbolNames, with_stdout};
use crate::recording::{quoted, shown, tell_wrapped};
use heaptape_analysis::info::Info;
use heaptape_analysis::lifetimes::Lifetimes;
use heaptape_report::page::file::{self, Blobs};
use heaptape_report::page::overview::{Overview, ProcessInfo};
use heaptape_report::units;
use heaptape_tape::Process;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Larger files are slow to open.
const LARGE: u64 = 50 << 20;

/// Write everything as one page for the browser
///
/// One HTML file with summary, timeline, flame graph, heap layout and all blocks, wound to any moment in the browser. It
/// loads nothing and sends nothing; without JavaScript it shows the summary.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  heaptape report demo.tape
  heaptape report demo.tape -o /tmp/demo.html --force
  heaptape report demo.tape --process all")]
pub(crate) struct Args {
    #[command(flatten)]
    tape: TapeArgs,
    /// Where the page goes [default: the tape's name with .html, in the current folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let output = args.output.unwrap_or_else(|| beside_us(&args.tape.tape));
    // Better now than after minutes.
    if !args.force && std::fs::symlink_metadata(&output).is_ok() {
        return Err(is_there(&output));
    }
    let reading = Reading::open(args.tape)?;
    let (overview, blobs) = gather(&reading)?;
    let manner = Manner { replace: args.force, private: overview.has_contents };
    write_whole(&output, manner, |out| file::write(out, &overview, &mut &blobs)).map_err(
        |error| match error.kind() {
            io::ErrorKind::AlreadyExists => is_there(&output),
            _ => Failure::request(format!("{}: {error}", shown(&output))),
        },
    )?;
    let bytes = std::fs::metadata(&output).map_or(0, |file| file.len());
    reading.outcome(tell_what_was_written(&output, &overview, bytes))
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
fn gather(reading: &Reading) -> Result<(Overview, File), Failure> {
    let spooled = |error: io::Error| Failure::request(format!("temporary file: {error}"));
    let names = reading.names();
    let chosen = reading.processes()?;
    let info = Info::compute(reading.recording(), &names);
    let first = chosen.first().map_or(0, |process| process.id.0);
    let tape = reading.file_name();
    let mut overview = Overview::of(reading.recording(), &tape, info, first);
    let mut blobs = Blobs::new(BufWriter::new(tempfile::tempfile().map_err(spooled)?));
    for process in reading.tape().processes() {
        let is_chosen = chosen.iter().any(|chosen| chosen.id == process.id);
        let info = if is_chosen {
            include(reading, &names, process, &mut overview, &mut blobs, chosen.len() == 1)?
        } else {
            let why = format!(
                "Only {} in this report; for this one: heaptape report {} --process '#{}'",
                if chosen.len() == 1 { "another process is" } else { "other processes are" },
                reading.tape_word(),
                process.id.0
            );
            ProcessInfo::left_out(reading.recording(), process, why)
        };
        overview.processes.push(info);
    }
    let mut file = blobs.into_inner().into_inner().map_err(|error| spooled(error.into_error()))?;
    file.seek(SeekFrom::Start(0)).map_err(spooled)?;
    Ok((overview, file))
}

/// Writes the tables of a process; says why not, where that cannot be done.
fn include(
    reading: &Reading,
    names: &SymbolNames<'_>,
    process: &Process,
    overview: &mut Overview,
    blobs: &mut Blobs<BufWriter<File>>,
    alone: bool,
) -> Result<ProcessInfo, Failure> {
    let recording = reading.recording();
    if !Lifetimes::fit(recording, process.id) {
        let why = "It has more events than a page can tell apart".to_owned();
        return Ok(ProcessInfo::left_out(recording, process, why));
    }
    let gathered = ProcessTables::of(recording, names, process).and_then(|tables| {
        let blocks = tables.lifetimes.of_blocks;
        Ok((process_info(recording, names, process, blocks, &tables.threads)?, tables))
    });
    match gathered {
        Ok((info, tables)) => {
            tables
                .each(recording, process, |name, table| blobs.table(process.id.0, name, table))
                .map_err(|error| Failure::request(format!("temporary file: {error}")))?;
            overview.left_out += tables.left_out;
            Ok(info)
        }
        Err(error) => {
            let why = error.to_string();
            reading.leave_out(error, alone)?;
            Ok(ProcessInfo::left_out(recording, process, why))
        }
    }
}

fn tell_what_was_written(output: &Path, overview: &Overview, bytes: u64) -> Outcome {
    let included = overview.processes.iter().filter(|process| process.included);
    let (count, blocks) =
        included.fold((0, 0), |(count, blocks), process| (count + 1, blocks + process.block_count));
    if bytes > LARGE {
        tell_wrapped(&format!(
            "heaptape: the page is large ({}) and will be slow to open; heaptape ui shows the same from the tape",
            units::bytes(bytes)
        ));
    }
    with_stdout(|out| {
        writeln!(
            out,
            "{}: {}, {}, all {}, no memory contents; open it in a browser",
            quoted(output.as_os_str()),
            units::bytes(bytes),
            if count == 1 { "1 process".to_owned() } else { format!("{count} processes") },
            units::counted(blocks, "block"),
        )?;
        Ok(())
    })
}
