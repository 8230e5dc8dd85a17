//! A program in all modes, round by round, and whether it did in each what it does alone.

use super::kept::{Measured, Row};
use super::modes::Mode;
use super::programs::Program;
use crate::bench::process::Cost;
use crate::bench::{Bench, memory};
use crate::command::output;
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};

/// Of one run.
struct Run {
    /// Of the program and the tool.
    total: Cost,
    /// KiB of the program, with what the tool put into it.
    app_peak_mib: f64,
    /// Of the tool's own processes, where they were watched.
    tool_peak_mib: f64,
    said: Vec<u8>,
}

/// Runs a program in every mode that is possible. The first round is watched and its tapes are looked through; its
/// times count only where there is no other. What fails once is not tried again.
pub(super) fn measure(bench: &Bench, program: &Program, rounds: usize) -> Result<Row, String> {
    let mut row = Row { name: program.name().to_owned(), ..Row::default() };
    let mut modes: Vec<Mode> = Mode::ALL.into_iter().filter(|it| it.possible(program)).collect();
    let mut alone = Vec::new();
    for round in 0..=rounds {
        let first = round == 0;
        for mode in modes.clone() {
            if mode.once() && !first {
                continue;
            }
            let done = run(bench, program, mode, first).and_then(|run| {
                if mode == Mode::Bare && first {
                    alone.clone_from(&run.said);
                }
                same(&run.said, &alone)?;
                Ok(run)
            });
            match done {
                Ok(run) => note(row.modes.entry(mode).or_default(), mode, first, &run),
                Err(why) if mode == Mode::Bare => return Err(format!("{}: {why}", row.name)),
                Err(why) => {
                    modes.retain(|it| *it != mode);
                    row.modes.remove(&mode);
                    let list =
                        if mode.option().is_some() { &mut row.faults } else { &mut row.remarks };
                    list.push(format!("{}: {why}", mode.name()));
                    continue;
                }
            }
            if first && mode.option().is_some() {
                inspect(bench, mode, &mut row)?;
            }
        }
    }
    Ok(row)
}

/// Whether a program printed what it prints alone, and anything at all.
fn same(said: &[u8], alone: &[u8]) -> Result<(), String> {
    if alone.is_empty() {
        return Err("it printed nothing that could be compared".into());
    }
    if said == alone { Ok(()) } else { Err("it printed something else than it does alone".into()) }
}

fn note(measured: &mut Measured, mode: Mode, first: bool, run: &Run) {
    if first {
        measured.app_peak_mib = run.app_peak_mib;
        measured.tool_peak_mib = run.tool_peak_mib;
    }
    if !first || mode.once() {
        measured.wall.push(run.total.wall_seconds());
        measured.cpu.push(run.total.cpu_seconds());
    }
}

/// One run; `watched` takes time away from it, but tells the memory of heaptape's own processes.
fn run(bench: &Bench, program: &Program, mode: Mode, watched: bool) -> Result<Run, String> {
    bench.clear()?;
    let mut command = mode.command(bench, program);
    command.stdin(Stdio::null()).stdout(bench.create("output")?).stderr(bench.create("errors")?);
    let mut child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
    let watched = watched && mode.option().is_some();
    let tool_peak_mib = if watched { memory::watch(&mut child)? } else { 0.0 };
    let status = child.wait().map_err(|e| e.to_string())?;
    if !status.success() {
        let errors = fs::read(bench.scratch.join("errors")).unwrap_or_default();
        let errors = String::from_utf8_lossy(&errors);
        let last = errors.trim_end().lines().last().unwrap_or("it said nothing");
        return Err(format!("{status}: {last}"));
    }
    let total = Cost::read(&bench.scratch.join("total"))?;
    let app = match mode {
        Mode::Memcheck => total,
        _ => Cost::read(&bench.scratch.join("app"))?,
    };
    let said = fs::read(bench.scratch.join("output")).map_err(|e| e.to_string())?;
    Ok(Run { total, app_peak_mib: app.peak_mib(), tool_peak_mib, said })
}

/// Looks a tape through: all was recorded, nothing was found in a program that is right, and blocks were guarded
/// where they should have been.
fn inspect(bench: &Bench, mode: Mode, row: &mut Row) -> Result<(), String> {
    let mut command = Command::new(&bench.heaptape);
    let text = output(command.args(["errors", "--json"]).arg(bench.tape()))?;
    let errors: Value = serde_json::from_str(&text).map_err(|e| format!("errors --json: {e}"))?;
    let processes = errors["results"].as_array().ok_or("errors --json has no results")?;
    let sum = |pointer: &str| -> u64 {
        processes.iter().filter_map(|it| it.pointer(pointer)?.as_u64()).sum()
    };
    let mut fault = |why: String| row.faults.push(format!("{}: {why}", mode.name()));
    if processes.is_empty() {
        fault("nothing was recorded".into());
    }
    for (pointer, what) in [
        ("/process/lost/events", "events lost"),
        ("/process/lost/threads", "threads lost"),
        ("/total", "errors found in a program that has none"),
    ] {
        let count = sum(pointer);
        if count > 0 {
            fault(format!("{count} {what}"));
        }
    }
    let guarded = sum("/guard/guarded");
    if mode.guards() && guarded == 0 {
        fault("no block was guarded".into());
    }
    let measured = row.modes.entry(mode).or_default();
    (measured.guarded, measured.unguarded) = (guarded, sum("/guard/unguarded"));
    let mechanism = processes.iter().find_map(|it| it.pointer("/guard/mechanism")?.as_str());
    measured.mechanism = mechanism.map(str::to_owned);
    Ok(())
}
