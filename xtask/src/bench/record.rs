//! A workload in all modes, round by round.

use super::Bench;
use super::checks;
use super::memory;
use super::needs::Programs;
use super::options::Options;
use super::process::{Cost, success};
use super::results::{Measured, Mode, Row};
use super::workloads::Workload;
use std::fs;
use std::path::{Path, PathBuf};
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

/// Runs a workload in every mode that is possible, checks each recording and reads it.
pub(super) fn workload(
    bench: &Bench,
    workload: &Workload,
    options: &Options,
    programs: &Programs,
) -> Result<Row, String> {
    let possible = |mode: &Mode| *mode != Mode::Heaptrack || programs.has("heaptrack");
    let modes: Vec<Mode> = Mode::ALL.into_iter().filter(possible).collect();
    let mut row = Row { name: workload.name.to_owned(), ..Row::default() };
    for &mode in &modes {
        let run = run(bench, workload, mode, true)?;
        let measured = Measured {
            app_peak_mib: run.app.peak_mib(),
            tool_peak_mib: run.tool_peak_mib.unwrap_or_default(),
            ..Measured::default()
        };
        row.modes.insert(mode, measured);
    }
    let mut events = Vec::new();
    for _ in 0..options.rounds {
        for &mode in &modes {
            let run = run(bench, workload, mode, false)?;
            let measured = row.modes.entry(mode).or_default();
            note(measured, &run);
            if let Some(file) = bench.recording(mode) {
                measured.file_bytes = fs::metadata(&file).map_err(|e| e.to_string())?.len();
                measured.analysis.push(read(bench, mode, &file)?);
            }
            if mode == Mode::Heaptape {
                events.push(checks::tape(bench, &mut row)?);
            }
        }
    }
    if workload.same_events && events.iter().any(|it| *it != events[0]) {
        row.faults.push(format!("the rounds recorded different numbers of events: {events:?}"));
    }
    checks::unwinder(bench, workload, &mut row)?;
    Ok(row)
}

fn note(measured: &mut Measured, run: &Run) {
    measured.app_cpu.push(run.app.cpu_seconds());
    measured.total_cpu.push(run.total.cpu_seconds());
    measured.wall.push(run.total.wall_seconds());
    measured.pair_ns.extend(run.pair_ns);
}

/// The seconds that the tool's own reader takes for a recording.
fn read(bench: &Bench, mode: Mode, file: &Path) -> Result<f64, String> {
    let mut command = bench.measured("total");
    match mode {
        Mode::Heaptape => command.arg(&bench.heaptape).args(["summary", "--json"]).arg(file),
        _ => command.args(["heaptrack_print", "-f"]).arg(file),
    };
    let out = bench.create("analysis")?;
    let status = command.stdout(out).stderr(Stdio::null()).status();
    success(&command, status.map_err(|e| format!("{command:?}: {e}"))?)?;
    Ok(Cost::read(&bench.scratch.join("total"))?.wall_seconds())
}

/// One run; `watched` takes time away from it, but tells the memory of the tool.
fn run(bench: &Bench, workload: &Workload, mode: Mode, watched: bool) -> Result<Run, String> {
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
    if let Err(why) = success(&command, status) {
        let errors = fs::read_to_string(bench.scratch.join("errors")).unwrap_or_default();
        return Err(format!("{why}\n{errors}"));
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
            }
            Mode::Heaptape => {
                command.arg(&self.heaptape).args(["run", "-qfo"]).arg(self.tape()).arg("--");
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

    /// What a mode leaves behind.
    fn recording(&self, mode: Mode) -> Option<PathBuf> {
        match mode {
            Mode::Bare | Mode::Count => None,
            Mode::Heaptape => Some(self.tape()),
            Mode::Heaptrack => {
                let with = |extension| self.scratch.join("heaptrack").with_extension(extension);
                Some(
                    [with("zst"), with("gz")]
                        .into_iter()
                        .find(|it| it.exists())
                        .unwrap_or(with("zst")),
                )
            }
        }
    }

    /// An empty file for what a program prints.
    pub(super) fn create(&self, name: &str) -> Result<fs::File, String> {
        let path = self.scratch.join(name);
        fs::File::create(&path).map_err(|e| format!("{}: {e}", path.display()))
    }
}
