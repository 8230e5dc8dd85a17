//! Whether a recording passes: what `run --error-exitcode` decides by.
//!
//! The tape is read once more when the program has ended, all processes of it.

use crate::cli::{ProcessChoice, TapeArgs};
use crate::failure::Failure;
use crate::glue::Reading;
use crate::recording::tell;
use heaptape_analysis::errors::{Errors, Findings};
use heaptape_analysis::leaks::{self, Kinds, Leaks, Question};
use heaptape_analysis::suppressions::Suppressions;
use heaptape_report::{errors, units};
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

/// Which leaks count as errors.
pub(crate) struct LeakGate {
    /// Those of these kinds …
    pub(crate) kinds: Kinds,
    /// … but for these.
    pub(crate) suppressions: Suppressions,
}

/// Looks for errors on a tape; says on standard error which processes have some.
pub(crate) fn look(tape: &Path, leaks: &mut LeakGate) -> Gate {
    match wrong(tape, leaks) {
        Ok(true) => Gate::Failed,
        Ok(false) => Gate::Passed,
        Err(failure) => {
            tell(format_args!("heaptape: {failure}"));
            Gate::Unknown
        }
    }
}

fn wrong(tape: &Path, leak_gate: &mut LeakGate) -> Result<bool, Failure> {
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
        if leak_gate.kinds != Kinds::NONE {
            let suppressions = &mut leak_gate.suppressions;
            let mut question = Question::all(Kinds::NONE, suppressions);
            let found = Leaks::compute(reading.recording(), &names, process, &mut question)
                .map_err(|error| reading.unreadable(error))?;
            let blocks = leaks::count_errors(std::slice::from_ref(&found), leak_gate.kinds);
            if blocks > 0 {
                let leaked = units::counted(blocks, "leaked block");
                tell(format_args!(
                    "heaptape: {leaked}: heaptape leaks {}{}",
                    reading.tape_word(),
                    process_words(process.id.0)
                ));
                any = true;
            }
        }
    }
    Ok(any)
}

fn process_words(number: u32) -> String {
    match number {
        0 => String::new(),
        number => format!(" --process '#{number}'"),
    }
}

fn tell_of(reading: &Reading, number: u32, findings: &Findings) {
    let (counts, tape) = (errors::counts(findings), reading.tape_word());
    let process = process_words(number);
    tell(format_args!("heaptape: {counts}: heaptape errors {tape}{process}"));
}
