//! `crunch [-n] [-i file] [-o file] <program> [args…]`: runs a program and lists what it never freed.
//!
//! As in crunch: the list goes to standard error and everything else into `crunch_out/` in the current
//! folder. Exit status: the program's own.

use crate::failure::{Failure, Outcome};
use crate::recording::{self, shown, tell};
use crate::seeds::autopsy::Autopsy;
use crate::seeds::crunch_out::CrunchOut;
use heaptape_collector::Launch;
use heaptape_report::seeds::crunch::{self, Remaining};
use heaptape_tape::Ending;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Run a program and list the blocks it never freed (crunch's command line)
#[derive(Debug, clap::Parser)]
#[command(
    name = "crunch",
    version,
    after_help = "Writes crunch_out/: stats, heap/0xADDRESS for every remaining block, report.html,\n\
                  fatal if the program crashed, recording.tape. An earlier crunch_out is replaced."
)]
pub(crate) struct Args {
    /// Don't produce a report on exit: crunch_out is neither written nor replaced
    #[arg(short, long)]
    no_report: bool,
    /// Pipe FILE to program's stdin
    #[arg(short = 'i', value_name = "file")]
    input: Option<PathBuf>,
    /// Pipe program's stdout to FILE
    #[arg(short = 'o', value_name = "file")]
    output: Option<PathBuf>,
    /// The program and its arguments
    #[arg(
        value_name = "program",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let ending = if args.no_report { list_only(args)? } else { report(args)? };
    heaptape_collector::die_as(ending)
}

/// Records to a place of its own that is gone afterwards.
fn list_only(args: Args) -> Result<Ending, Failure> {
    let place = tempfile::Builder::new()
        .prefix("crunch-")
        .tempdir()
        .map_err(|e| Failure::request(format!("cannot make a temporary folder: {e}")))?;
    let tape = place.path().join("recording.tape");
    let recorded = recording::record(launch(args, &tape)?)?;
    warn(&recording::troubles(&recorded));
    after_the_run(Autopsy::of(&recorded).map(|autopsy| {
        if let Some(fatal) = &autopsy.fatal {
            tell(format_args!("\ncrunch: {fatal}"));
            autopsy.verdict.iter().for_each(|verdict| tell(format_args!("crunch: {verdict}")));
        }
        print_list(&autopsy.remaining);
    }));
    Ok(recorded.ending)
}

fn report(args: Args) -> Result<Ending, Failure> {
    let cwd = std::env::current_dir()
        .map_err(|e| Failure::request(format!("cannot tell the current folder: {e}")))?;
    let out = CrunchOut::create(&cwd).map_err(Failure::Request)?;
    let mut launch = launch(args, &out.tape())?;
    launch.snapshots.at_exit = true;
    let recorded = recording::record(launch)?;
    warn(&recording::troubles(&recorded));
    after_the_run(Autopsy::of(&recorded).and_then(|autopsy| write_all(&autopsy, &out)));
    Ok(recorded.ending)
}

fn launch(args: Args, tape: &Path) -> Result<Launch, Failure> {
    let opened = |path: &Path, file: io::Result<File>| {
        file.map_err(|e| Failure::request(format!("{}: {e}", shown(path))))
    };
    let mut launch = recording::launch(args.command, recording::exactly(tape));
    if let Some(path) = args.input {
        launch.stdin = Some(opened(&path, File::open(&path))?);
    }
    if let Some(path) = args.output {
        launch.stdout = Some(opened(&path, File::create(&path))?);
    }
    Ok(launch)
}

/// Writes `crunch_out` and tells about it, in crunch's order.
fn write_all(autopsy: &Autopsy, out: &CrunchOut) -> Result<(), Failure> {
    if let Some(fatal) = &autopsy.fatal {
        tell(format_args!("\ncrunch: {fatal}"));
        autopsy.verdict.iter().for_each(|verdict| tell(format_args!("crunch: {verdict}")));
        tell("\nwriting crash info...");
        let path = written(out.write("fatal", |file| writeln!(file, "{fatal}")), "fatal")?;
        tell(format_args!("crash info written to {}", shown(&path)));
    }
    print_list(&autopsy.remaining);
    tell("\ndumping heap...");
    written(out.write("stats", |file| crunch::render_stats(file, &autopsy.totals)), "stats")?;
    let dumped = autopsy.dump(out)?;
    warn(&dumped.troubles);
    tell(format_args!("heap contents written to {}", shown(&out.heap())));
    tell(format_args!("crunch report written to {}", shown(&autopsy.write_page(out)?)));
    Ok(())
}

/// The list. Nobody reading it is no reason not to write `crunch_out`.
fn print_list(remaining: &[Remaining]) {
    let mut out = BufWriter::new(io::stderr().lock());
    let _ = crunch::render_remaining(&mut out, remaining).and_then(|()| out.flush());
}

fn written(result: io::Result<PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    result.map_err(|e| Failure::request(format!("crunch_out/{name}: cannot be written: {e}")))
}

/// The program has run: whatever goes wrong now is said, and its exit status kept.
fn after_the_run(result: Result<(), Failure>) {
    if let Err(failure) = result {
        tell(format_args!("crunch: {failure}"));
    }
}

fn warn(troubles: &[String]) {
    for trouble in troubles {
        tell(format_args!("crunch: {trouble}"));
    }
}
