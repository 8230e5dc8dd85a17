//! Results as JSON, described in `docs/json.md`.
//!
//! Every document is one object: `schema` names the kind and its version (`heaptape.summary/1`), the
//! rest is the result. Within a version fields are only added.

use serde::Serialize;
use std::io::{self, Write};

/// The version of all schemas.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a, T> {
    schema: String,
    #[serde(flatten)]
    result: &'a T,
}

#[derive(Serialize)]
struct Results<'a, T> {
    results: &'a [T],
}

/// Writes results of that kind (`summary`, `at` …), one for each process, as one document.
pub fn write_results(
    out: &mut dyn Write,
    kind: &str,
    results: &[impl Serialize],
) -> io::Result<()> {
    let result = &Results { results };
    let document = Document { schema: format!("heaptape.{kind}/{VERSION}"), result };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

/// Writes one result as a document on one line, for streams (JSON Lines).
pub fn write_line(out: &mut dyn Write, kind: &str, result: &impl Serialize) -> io::Result<()> {
    let document = Document { schema: format!("heaptape.{kind}/{VERSION}"), result };
    serde_json::to_writer(&mut *out, &document)?;
    writeln!(out)
}
