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
    /// Of the program, with what the tool put into it.
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

/// Looks a tape through, and notes what is wrong with it and which blocks were guarded.
fn inspect(bench: &Bench, mode: Mode, row: &mut Row) -> Result<(), String> {
    let mut command = Command::new(&bench.heaptape);
    let text = output(command.args(["errors", "--json"]).arg(bench.tape()))?;
    let errors: Value = serde_json::from_str(&text).map_err(|e| format!("errors --json: {e}"))?;
    let processes = errors["results"].as_array().ok_or("errors --json has no results")?;
    row.faults
        .extend(wrong(processes, mode).into_iter().map(|why| format!("{}: {why}", mode.name())));
    let measured = row.modes.entry(mode).or_default();
    measured.guarded = sum(processes, "/guard/guarded");
    measured.unguarded = sum(processes, "/guard/unguarded");
    let mechanism = processes.iter().find_map(|it| it.pointer("/guard/mechanism")?.as_str());
    measured.mechanism = mechanism.map(str::to_owned);
    Ok(())
}

/// Whatever of a recording is not as it must be: all was recorded, nothing was found in a program that is right, and
/// blocks were guarded where they should have been.
fn wrong(processes: &[Value], mode: Mode) -> Vec<String> {
    let counts = [
        (u64::from(processes.is_empty()), "recording without a process"),
        (sum(processes, "/process/lost/events"), "events lost"),
        (sum(processes, "/process/lost/threads"), "threads lost"),
        (sum(processes, "/total"), "errors found in a program that has none"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let mut wrong: Vec<String> = counts.map(|(count, what)| format!("{count} {what}")).collect();
    if mode.guards() && sum(processes, "/guard/guarded") == 0 {
        wrong.push("no block was guarded".into());
    }
    wrong
}

fn sum(processes: &[Value], pointer: &str) -> u64 {
    processes.iter().filter_map(|it| it.pointer(pointer)?.as_u64()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_a_program_prints_alone_is_right() {
        assert!(same(b"42\n", b"42\n").is_ok());
        assert!(same(b"41\n", b"42\n").is_err());
        assert!(same(b"", b"").is_err());
    }

    #[test]
    fn wrong_recordings_are_seen() {
        let process = |lost: u64, total: u64, guarded: u64| {
            let lost = json!({ "events": lost, "threads": 0 });
            json!({ "process": { "lost": lost }, "total": total, "guard": { "guarded": guarded } })
        };
        assert!(wrong(&[process(0, 0, 5)], Mode::Guard).is_empty());
        assert!(wrong(&[process(0, 0, 0)], Mode::Recorded).is_empty());
        assert_eq!(wrong(&[process(0, 0, 0)], Mode::Check), ["no block was guarded"]);
        assert_eq!(
            wrong(&[process(3, 0, 5), process(0, 2, 0)], Mode::Guard),
            ["3 events lost", "2 errors found in a program that has none"]
        );
        assert_eq!(wrong(&[], Mode::Recorded), ["1 recording without a process"]);
    }
}
