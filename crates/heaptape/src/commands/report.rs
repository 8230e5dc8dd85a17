//! `heaptape report`: the whole tape as one page.

use crate::cli::{OtherArgs, PROCESS_OF_PAGE, TapeArgs};
use crate::failure::{Failure, Outcome};
use crate::glue::new_file::{Manner, write_whole};
use crate::glue::report::{Report, Wishes};
use crate::glue::sources::{self, SourceMap, SourcePaths, Wanted};
use crate::glue::{Reading, with_stdout};
use crate::recording::{quoted, shown, tell_wrapped};
use heaptape_report::page::overview::{Capped, Overview, ProcessInfo};
use heaptape_report::{text, units};
use std::io;
use std::path::{Path, PathBuf};

/// Larger files are slow to open.
const LARGE: u64 = 50 << 20;
/// More would take more memory than browsers give.
const MOST_BLOCKS: u64 = 20_000_000;

/// Write everything as one page for the browser
///
/// One HTML file with summary, timeline, flame graph, heap layout and all blocks, wound to any moment in the browser. It
/// loads nothing and sends nothing; without JavaScript it shows the summary.
#[derive(Debug, clap::Args)]
#[command(
    mut_arg("process", |process| process.help(PROCESS_OF_PAGE)),
    after_help = "Examples:
  heaptape report demo.tape
  heaptape report demo.tape -o /tmp/demo.html --force
  heaptape report demo.tape --process all
  heaptape report before.tape --diff after.tape     what is more, what is less
  heaptape report demo.tape --contents              with the bytes of blocks
  heaptape report demo.tape --source-map /build=.   where sources lie now"
)]
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
    #[command(flatten)]
    other: OtherArgs,
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
    let other = args.other.beside(&args.tape).map(Reading::open).transpose()?;
    let reading = Reading::open(args.tape)?;
    let wishes = Wishes {
        most_blocks: args.max_blocks,
        contents: args.contents,
        source: args.source,
        paths: SourcePaths::new(reading.tape(), args.source_map, sysroot),
    };
    let mut report = Report::gather(&reading, &wishes)?;
    let other = match &other {
        Some(other) => Some(report.compare_with(other, wishes.most_blocks)?),
        None => None,
    };
    write(&mut report, &output, args.force)?;
    let bytes = std::fs::metadata(&output).map_or(0, |file| file.len());
    let mut lines = what_is_in(&report.overview);
    lines.extend(other.as_ref().map(compared_with));
    reading.outcome(tell_what_was_written(&output, &lines, bytes))
}

/// Writes the page.
fn write(report: &mut Report, output: &Path, replace: bool) -> Result<(), Failure> {
    let manner = Manner { replace, private: report.overview.has_contents };
    let written = write_whole(output, manner, |out| report.write(out));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => is_there(output),
        io::ErrorKind::NotFound => {
            Failure::request(format!("{}: cannot be written: no such folder", shown(output)))
        }
        _ => Failure::request(format!("{}: cannot be written: {error}", shown(output))),
    })
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

fn tell_what_was_written(output: &Path, lines: &[String], bytes: u64) -> Outcome {
    if bytes > LARGE {
        tell_wrapped(&format!(
            "heaptape: the page is large ({}) and will be slow to open; heaptape ui shows the same from the tape",
            units::bytes(bytes)
        ));
    }
    with_stdout(|out| {
        let output = quoted(output.as_os_str());
        writeln!(out, "{output}: {}; open it in a browser", units::bytes(bytes))?;
        for line in lines {
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

/// `compared with after.tape, process #0 of 3 (--diff-process)`.
fn compared_with(other: &Overview) -> String {
    let tape = text::escape(other.tape.as_bytes());
    match other.processes.len() {
        1 => format!("compared with {tape}"),
        count => {
            let first = other.first;
            format!("compared with {tape}, process #{first} of {count} (--diff-process)")
        }
    }
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
