//! `heaptape doctor`: what will and will not be seen of a program, and why.
//!
//! Exit code 0: it can be recorded. 1: it cannot.

use crate::failure::Outcome;
use crate::glue::json_results;
use crate::recording::shown;
use crate::terminal;
use heaptape_collector::preflight::{self, Finding, Inspection, Severity};
use heaptape_report::text::{self, escape};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Tell what will and will not be seen of a program, and why
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: heaptape doctor -- /usr/bin/python3")]
pub(crate) struct Args {
    /// Write JSON (docs/json.md)
    #[arg(long)]
    json: bool,
    /// The program, as it would be run; arguments are not looked at
    #[arg(
        value_name = "PROGRAM",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Outcome {
    let cwd = std::env::current_dir().unwrap_or_default();
    let inspection = preflight::inspect(&args.command[0], &cwd);
    if args.json {
        json_results("doctor", &[as_json(&inspection)])?;
    } else {
        print(&inspection, &mut io::stdout().lock())?;
    }
    Ok(match inspection.recordable() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn print(inspection: &Inspection, out: &mut dyn Write) -> io::Result<()> {
    let can = if inspection.recordable().is_ok() { "can" } else { "cannot" };
    writeln!(out, "{}: {can} be recorded", shown(&inspection.path))?;
    for interpreter in &inspection.interpreters {
        writeln!(out, "  runs {}", shown(interpreter))?;
    }
    if inspection.recordable().is_ok() {
        write_wrapped(out, 2, SEEN)?;
    }
    for Finding { severity, what, advice } in &inspection.findings {
        write_wrapped(out, 2, &format!("{}: {}", word(*severity), escape(what.as_bytes())))?;
        if !advice.is_empty() {
            write_wrapped(out, 6, &escape(advice.as_bytes()))?;
        }
    }
    Ok(())
}

const SEEN: &str = "seen: malloc and its family, operator new and delete, from the first call to the last, in every \
                    thread; children by fork, vfork, posix_spawn and exec; with --mmap: mmap, brk and sbrk";

/// A sentence below a heading, so far from the left.
fn write_wrapped(out: &mut dyn Write, margin: usize, sentence: &str) -> io::Result<()> {
    let room = terminal::stdout().width.saturating_sub(margin);
    let lines = text::wrap_words(sentence, 2, room);
    lines.iter().try_for_each(|line| writeln!(out, "{:margin$}{line}", ""))
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocks => "cannot record",
        Severity::Limits => "not seen",
        Severity::Info => "note",
    }
}

fn as_json(inspection: &Inspection) -> Value {
    let path = |path: &Path| Value::from(path.to_string_lossy());
    let severity = |severity| match severity {
        Severity::Blocks => "blocks",
        Severity::Limits => "limits",
        Severity::Info => "info",
    };
    json!({
        "path": path(&inspection.path),
        "interpreters": inspection.interpreters.iter().map(|i| path(i)).collect::<Vec<_>>(),
        "recordable": inspection.recordable().is_ok(),
        "findings": inspection.findings.iter().map(|finding| json!({
            "severity": severity(finding.severity),
            "what": finding.what,
            "advice": finding.advice,
        })).collect::<Vec<_>>(),
    })
}
