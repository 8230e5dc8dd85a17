//! Whether a recording passes: what `run --error-exitcode` decides by.
//!
//! The tape is read once more when the program has ended, all processes of it.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::Failure;
use crate::glue::Reading;
use crate::recording::tell;
use heaptape_analysis::errors::{Errors, Findings};
use heaptape_report::errors;
use std::path::Path;

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// No errors.
    Passed,
    /// Errors.
    Failed,
    /// The tape could not be read: that has been said.
    Unknown,
}

/// Looks for errors on a tape; says on standard error which processes have some.
pub(crate) fn look(tape: &Path) -> Gate {
    match wrong(tape) {
        Ok(true) => Gate::Failed,
        Ok(false) => Gate::Passed,
        Err(failure) => {
            tell(format_args!("heaptape: {failure}"));
            Gate::Unknown
        }
    }
}

fn wrong(tape: &Path) -> Result<bool, Failure> {
    let mut args = TapeArgs::of(tape.to_owned());
    args.process = Some(ProcessChoice::All);
    let reading = Reading::open(args)?;
    let names = reading.names();
    let mut any = false;
    for process in reading.recording().processes() {
        // Nothing is listed here: only the counts are of interest.
        let found = Errors::compute(reading.recording(), &names, process, 0)
            .map_err(|error| reading.unreadable(error))?;
        if found.findings.any() {
            tell_of(&reading, process.id.0, &found.findings);
            any = true;
        }
    }
    Ok(any)
}

fn tell_of(reading: &Reading, number: u32, findings: &Findings) {
    let process = match number {
        0 => String::new(),
        number => format!(" --process '#{number}'"),
    };
    let (counts, tape) = (errors::counts(findings), reading.tape_word());
    tell(format_args!("heaptape: {counts}: heaptape errors {tape}{process}"));
}
