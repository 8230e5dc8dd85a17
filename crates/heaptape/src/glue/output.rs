//! Standard output, buffered, with its errors kept.

use crate::failure::{Failure, Outcome};
use heaptape_report::json;
use serde::Serialize;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

/// Lets `write` write to standard output, and flushes it.
pub(crate) fn with_stdout(write: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Outcome {
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out)?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Writes results of one kind as one JSON document.
pub(crate) fn json_results(kind: &str, results: &[impl Serialize]) -> Outcome {
    with_stdout(|out| Ok(json::write_results(out, kind, results)?))
}
