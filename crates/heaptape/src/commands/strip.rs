//! `heaptape strip`: a tape without the contents of memory.

use crate::failure::{Failure, Outcome};
use crate::recording::{shown, tell};
use heaptape_report::units;
use heaptape_tape::{Limits, StripError, Tape};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Copy a tape without the contents of memory
///
/// Everything else is as before: events, backtraces, keyframes, names. The bytes that an overwrite left go, too.
/// What stays tells of memory only by addresses, and of a crash by its registers, the bytes of the instruction and
/// what libc said. Command line, paths and host name stay, too. Blocks that a later heaptape has written are left out, and said.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heaptape strip demo.tape -o demo-to-send.tape")]
pub(crate) struct Args {
    /// The tape
    #[arg(value_name = "TAPE")]
    tape: PathBuf,
    /// The copy
    #[arg(short, long, value_name = "NEW")]
    output: PathBuf,
    /// Replace an existing file
    #[arg(short, long)]
    force: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let limits = Limits { readers: 0, ..Limits::default() };
    let tape = Tape::open_within(&args.tape, limits)
        .map_err(|error| Failure::unreadable(&args.tape, &error))?;
    let failed = |error: io::Error| {
        Failure::request(format!("{}: cannot be written: {error}", shown(&args.output)))
    };
    // Beside it, and renamed when it is whole: the tape itself may be replaced by its copy.
    let part = beside(&args.output);
    if !args.force && fs::symlink_metadata(&args.output).is_ok() {
        let output = shown(&args.output);
        return Err(Failure::request(format!("{output}: is there already; --force replaces it")));
    }
    let file = create(&part).map_err(failed)?;
    let stripped = tape.strip(BufWriter::new(file)).and_then(|stripped| {
        fs::rename(&part, &args.output).map_err(StripError::Write).map(|()| stripped)
    });
    let stripped = stripped.map_err(|error| {
        // What matters is the error.
        let _ = fs::remove_file(&part);
        match error {
            StripError::Read(error) => Failure::unreadable(&args.tape, &error),
            StripError::Write(error) => failed(error),
        }
    })?;
    let bytes = fs::metadata(&args.output).map_or(0, |file| file.len());
    tell(format_args!(
        "heaptape: {} of contents left out; {} ({})",
        units::bytes(stripped.contents),
        shown(&args.output),
        units::bytes(bytes)
    ));
    for (count, what) in [
        (stripped.unknown, "left out, of a later version: it may hold contents"),
        (stripped.damaged, "left out, damaged"),
    ] {
        if count > 0 {
            tell(format_args!("heaptape: {} {what}", units::counted(count, "block")));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A name beside another that nobody else uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
