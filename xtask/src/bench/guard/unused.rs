//! What all this costs where it is not used: instructions that recorded programs execute in user mode, today and at
//! the commit before any of it was there, which is built beside.
//!
//! Counted, not timed: the same on a machine that others use, too.

use super::kept::Unused;
use crate::bench::Bench;
use crate::bench::needs::Programs;
use crate::bench::options::Options;
use crate::bench::process::Cost;
use crate::bench::workloads::{self, CLANG, PAIRS, PYTHON, TREE, Workload};
use crate::command::{cargo, checked, output, root};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The last commit without errors, crashes, leaks, contents, guard mode and red zones.
pub(super) const BEFORE: &str = "44beae6";
/// The options by which today's heaptape records what that one did.
pub(super) const ALIKE: [&str; 2] = ["--free-backtraces=none", "--leaks=no"];
/// The fewest of so many runs.
pub(super) const RUNS: usize = 3;

/// Counts each program in each way; an error where instructions cannot be counted.
pub(super) fn measure(
    bench: &Bench,
    options: &Options,
    installed: &Programs,
    notes: &mut Vec<String>,
) -> Result<Vec<Unused>, String> {
    let wanted = |name: &str| [PYTHON, TREE, PAIRS, CLANG].contains(&name) && options.wants(name);
    let programs = workloads::chosen(bench, options.short, &wanted, installed, notes)?;
    let before = before(bench);
    if let Err(why) = &before {
        notes.push(format!("heaptape {BEFORE} could not be built, and is not compared: {why}"));
    }
    let before = before.ok();
    programs.iter().map(|it| count(bench, it, before.as_deref())).collect()
}

fn count(bench: &Bench, program: &Workload, before: Option<&Path>) -> Result<Unused, String> {
    println!("==> instructions: {}", program.name);
    let mut unused = Unused {
        name: program.name.to_owned(),
        events: 0,
        bare: u64::MAX,
        before: before.map(|_| u64::MAX),
        alike: u64::MAX,
        with_leaks: u64::MAX,
        default: u64::MAX,
    };
    let now = Some(bench.heaptape.as_path());
    for _ in 0..RUNS {
        unused.bare = unused.bare.min(run(bench, program, None, &[])?);
        if let Some(least) = &mut unused.before {
            *least = run(bench, program, before, &[])?.min(*least);
        }
        unused.alike = unused.alike.min(run(bench, program, now, &ALIKE)?);
        unused.with_leaks = unused.with_leaks.min(run(bench, program, now, &ALIKE[..1])?);
        unused.default = unused.default.min(run(bench, program, now, &[])?);
        unused.events = events(bench)?;
    }
    Ok(unused)
}

/// The instructions of the program alone, or recorded by a heaptape.
fn run(
    bench: &Bench,
    program: &Workload,
    heaptape: Option<&Path>,
    options: &[&str],
) -> Result<u64, String> {
    bench.clear()?;
    let measure = bench.scratch.join("measure");
    let mut command = match heaptape {
        Some(heaptape) => {
            let mut command = Command::new(heaptape);
            command.args(["run", "-qfo"]).arg(bench.tape()).args(options).arg("--").arg(measure);
            command
        }
        None => Command::new(measure),
    };
    command.arg("-i").arg(bench.scratch.join("app")).args(&program.command);
    command.env("LC_ALL", "C").envs(program.environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    checked(&mut command)?;
    match Cost::read(&bench.scratch.join("app"))?.instructions() {
        0 => Err("the kernel or the machine has no counter for them (perf_event)".into()),
        count => Ok(count),
    }
}

/// On the tape.
fn events(bench: &Bench) -> Result<u64, String> {
    let text = output(Command::new(&bench.heaptape).args(["info", "--json"]).arg(bench.tape()))?;
    let info: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let processes = info["results"][0]["processes"].as_array().ok_or("no processes")?;
    Ok(processes.iter().filter_map(|it| it["events"].as_u64()).sum())
}

/// The heaptape of that commit, built in the scratch folder the first time.
fn before(bench: &Bench) -> Result<PathBuf, String> {
    let folder = bench.scratch.join(BEFORE);
    let (source, target) = (folder.join("source"), folder.join("target"));
    let program = target.join("release/heaptape");
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(&source).map_err(|e| format!("{}: {e}", source.display()))?;
    let archive = folder.join("source.tar");
    let mut git = Command::new("git");
    git.args(["archive", "-o"]).arg(&archive).arg(BEFORE).current_dir(root());
    checked(&mut git)?;
    checked(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&source))?;
    println!("==> instructions: building heaptape {BEFORE}");
    let mut build = cargo(&["build", "--release", "--locked", "-p", "heaptape", "--target-dir"]);
    checked(build.arg(&target).current_dir(&source))?;
    Ok(program)
}
