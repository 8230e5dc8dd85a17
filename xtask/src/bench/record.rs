//! A workload in all modes, round by round.

use super::Bench;
use super::checks;
use super::memory;
use super::needs::Programs;
use super::options::Options;
use super::process::Cost;
use super::results::{Measured, Mode, Row, SAMPLE};
use super::workloads::Workload;
use crate::command::success;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Of one run.
struct Run {
    app: Cost,
    total: Cost,
    /// What the program itself said of an allocation with its free, in nanoseconds.
    pair_ns: Option<f64>,
    /// Where it was watched, in MiB.
    tool_peak_mib: Option<f64>,
}

/// Runs a workload in every mode that is possible, checks each recording and reads it. What fails once is not tried
/// again: it may hang until it is killed.
pub(super) fn workload(
    bench: &Bench,
    workload: &Workload,
    options: &Options,
    programs: &Programs,
) -> Result<Row, String> {
    // What every change must pass does not hang because heaptrack does: its lock and the loader's can wait for
    // each other, as in `stress` with threads.
    let beside = programs.has("heaptrack") && !options.short;
    let possible = |mode: &Mode| *mode != Mode::Heaptrack || beside;
    let mut modes: Vec<Mode> = Mode::ALL.into_iter().filter(possible).collect();
    let mut row = Row { name: workload.name.to_owned(), ..Row::default() };
    for mode in modes.clone() {
        let Some(run) = attempt(bench, workload, mode, true, &mut row)? else {
            modes.retain(|it| *it != mode);
            continue;
        };
        let measured = row.modes.entry(mode).or_default();
        measured.app_peak_mib = run.app.peak_mib();
        measured.tool_peak_mib = run.tool_peak_mib.unwrap_or_default();
    }
    let mut events = Vec::new();
    for _ in 0..options.rounds {
        for mode in modes.clone() {
            let Some(run) = attempt(bench, workload, mode, false, &mut row)? else {
                modes.retain(|it| *it != mode);
                continue;
            };
            note(row.modes.entry(mode).or_default(), &run);
            inspect(bench, mode, &mut row, &mut events);
        }
    }
    if workload.same_events {
        checks::same_events(&events, &mut row);
    }
    checks::unwinder(bench, workload, &mut row)?;
    row.faults.dedup();
    row.remarks.dedup();
    Ok(row)
}

/// One run. A program that fails only under a tool is noted; one that fails alone is an error of the bench.
fn attempt(
    bench: &Bench,
    workload: &Workload,
    mode: Mode,
    watched: bool,
    row: &mut Row,
) -> Result<Option<Run>, String> {
    match run(bench, workload, mode, watched) {
        Ok(run) => return Ok(Some(run)),
        Err(why) if mode == Mode::Bare => return Err(why),
        Err(why) if matches!(mode, Mode::Heaptape | Mode::Sampled) => row.faults.push(why),
        Err(why) => row.remarks.push(why),
    }
    Ok(None)
}

/// What a run left behind: sizes, the time to read it, and whether it is right, where it is ours.
fn inspect(bench: &Bench, mode: Mode, row: &mut Row, events: &mut Vec<u64>) {
    match mode {
        Mode::Bare => {}
        Mode::Count => row.counted_calls = counted(bench).unwrap_or_default(),
        Mode::Heaptape => match read(bench, mode, row).and_then(|()| checks::tape(bench, row)) {
            Ok(count) => events.push(count),
            Err(why) => row.faults.push(format!("the tape could not be read: {why}")),
        },
        Mode::Sampled => {
            if let Err(why) = read(bench, mode, row) {
                row.faults.push(format!("the tape of a sample could not be read: {why}"));
            }
        }
        Mode::Heaptrack => {
            if let Err(why) = read(bench, mode, row) {
                row.remarks.push(format!("heaptrack's file could not be read: {why}"));
            }
        }
    }
}

fn note(measured: &mut Measured, run: &Run) {
    measured.app_cpu.push(run.app.cpu_seconds());
    measured.total_cpu.push(run.total.cpu_seconds());
    measured.app_wall.push(run.app.wall_seconds());
    measured.wall.push(run.total.wall_seconds());
    measured.pair_ns.extend(run.pair_ns);
}

/// The calls that the counting library saw.
fn counted(bench: &Bench) -> Option<u64> {
    let text = fs::read_to_string(bench.scratch.join("counted")).ok()?;
    let counts: BTreeMap<String, u64> = serde_json::from_str(&text).ok()?;
    Some(counts.values().sum())
}

/// Notes the size of the recording, and how long the tool's own reader takes for it.
fn read(bench: &Bench, mode: Mode, row: &mut Row) -> Result<(), String> {
    let file = bench.recording(mode);
    let mut command = bench.measured("total");
    match mode {
        Mode::Heaptrack => command.args(["heaptrack_print", "-f"]).arg(&file),
        _ => command.arg(&bench.heaptape).args(["summary", "--json"]).arg(&file),
    };
    let out = bench.create("analysis")?;
    let status = command.stdout(out).stderr(Stdio::null()).status();
    success(&command, status.map_err(|e| format!("{command:?}: {e}"))?)?;
    let measured = row.modes.entry(mode).or_default();
    measured.file_bytes =
        fs::metadata(&file).map_err(|e| format!("{}: {e}", file.display()))?.len();
    measured.analysis.push(Cost::read(&bench.scratch.join("total"))?.wall_seconds());
    Ok(())
}

/// One run; `watched` takes time away from it, but tells the memory of the tool.
fn run(bench: &Bench, workload: &Workload, mode: Mode, watched: bool) -> Result<Run, String> {
    bench.clear()?;
    let mut command = bench.command(workload, mode);
    command.stdin(Stdio::null()).stdout(bench.create("output")?).stderr(bench.create("errors")?);
    let mut child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
    // The client is not part of what is measured, so it is not started below the measuring program.
    let client = workload.client.as_ref().map(|script| {
        let mut client = Command::new("sh");
        client.args(["-ec", script]).stdin(Stdio::null()).stdout(Stdio::null());
        client.stderr(Stdio::null()).spawn()
    });
    let client = client.transpose().map_err(|e| format!("sh: {e}"))?;
    let tool_peak_mib = if watched { Some(memory::watch(&mut child)?) } else { None };
    let status = child.wait().map_err(|e| e.to_string())?;
    if let Some(mut client) = client
        && !client.wait().map_err(|e| e.to_string())?.success()
    {
        return Err(format!("{}: its client failed", workload.name));
    }
    if !status.success() {
        let errors = fs::read_to_string(bench.scratch.join("errors")).unwrap_or_default();
        let last = errors.trim_end().lines().last().unwrap_or("it said nothing");
        return Err(format!("{mode:?} run failed: {status}: {last}"));
    }
    let said = fs::read(bench.scratch.join("output")).unwrap_or_default();
    Ok(Run {
        app: Cost::read(&bench.scratch.join("app"))?,
        total: Cost::read(&bench.scratch.join("total"))?,
        pair_ns: pair_ns(&String::from_utf8_lossy(&said)),
        tool_peak_mib,
    })
}

fn pair_ns(said: &str) -> Option<f64> {
    said.lines().find_map(|line| line.strip_prefix("pair_ns "))?.parse().ok()
}

impl Bench {
    /// `measure total TOOL… measure app PROGRAM…`
    pub(super) fn command(&self, workload: &Workload, mode: Mode) -> Command {
        let mut command = self.measured("total");
        command.env("LC_ALL", "C").envs(workload.environment.iter().copied());
        match mode {
            Mode::Bare => {}
            Mode::Count => {
                command.env("LD_PRELOAD", self.scratch.join("count.so"));
                command.env("COUNT_REPORT", self.scratch.join("counted"));
            }
            Mode::Heaptape | Mode::Sampled => {
                command.arg(&self.heaptape).args(["run", "-qfo"]).arg(self.tape());
                if mode == Mode::Sampled {
                    command.args(["--sample", SAMPLE]);
                }
                command.arg("--");
            }
            Mode::Heaptrack => {
                // It adds the extension itself.
                command.args(["heaptrack", "-o"]).arg(self.scratch.join("heaptrack"));
            }
        }
        command.arg(self.scratch.join("measure")).arg(self.scratch.join("app"));
        command.args(&workload.command);
        command
    }

    /// A command whose cost goes to this file; its program and arguments are to be added.
    pub(super) fn measured(&self, report: &str) -> Command {
        let mut command = Command::new(self.scratch.join("measure"));
        command.arg(self.scratch.join(report));
        command
    }

    pub(super) fn tape(&self) -> PathBuf {
        self.scratch.join("bench.tape")
    }

    /// Where a tool leaves its recording. Heaptrack compresses with zstd where there is one, else with gzip.
    pub(super) fn recording(&self, mode: Mode) -> PathBuf {
        let heaptrack = |extension| self.scratch.join("heaptrack").with_extension(extension);
        match mode {
            Mode::Heaptrack if heaptrack("gz").exists() => heaptrack("gz"),
            Mode::Heaptrack => heaptrack("zst"),
            _ => self.tape(),
        }
    }

    /// Removes what an earlier run left, so that it is not taken for that of the next one.
    pub(super) fn clear(&self) -> Result<(), String> {
        let files = ["bench.tape", "heaptrack.zst", "heaptrack.gz", "counted", "app", "total"];
        for path in files.map(|it| self.scratch.join(it)) {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(format!("{}: {error}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// An empty file for what a program prints.
    pub(super) fn create(&self, name: &str) -> Result<fs::File, String> {
        let path = self.scratch.join(name);
        fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))
    }
}
