//! What reports weigh and how they feel: size beside what heaptrack and memray leave of the same program, how long
//! writing and opening take, and frames while T is dragged. Kept in `bench/PAGE.md`.

use super::needs::{self, Programs};
use super::options::Options;
use super::process::Cost;
use super::results::Mode;
use super::workloads::{self, Workload};
use super::{Bench, scratch};
use crate::command::{cargo, checked, output, root, succeed};
use crate::markdown::table;
use crate::provenance;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const HEADER: &str = "\
# The page

Reports of the workloads of the bench, by `cargo xtask bench --page --write`.

Sizes in KiB. *Sums*: the same report with 1,000 blocks at most (`--max-blocks 1000`): every backtrace at 512 moments, but no
blocks, which is more than heaptrack's file and memray's page hold and less than a report does. *memray*: its recording with
native backtraces, and the flame graph it makes of it (which loads its scripts from the network). *ready*: the page can be
used. Frames are those of Layout and Flame while T goes to and fro over the strip for three seconds, in ms.
";

/// Of these, what each kind of program does is seen.
const WORKLOADS: [&str; 5] =
    [workloads::PYTHON, workloads::TREE, workloads::PAIRS, workloads::GCC, workloads::GIT];

/// What `ui/e2e/measure.mjs` prints.
#[derive(Deserialize)]
struct Opened {
    blocks: u64,
    paint_ms: f64,
    ready_ms: f64,
    heap_mib: f64,
    layout: Frames,
    flame: Frames,
}

#[derive(Deserialize)]
struct Frames {
    p95_ms: f64,
    most_ms: f64,
}

/// A report and what others make of the same.
struct Row {
    name: &'static str,
    report_bytes: u64,
    written: Cost,
    opened: Opened,
    sums_bytes: u64,
    heaptrack_bytes: Option<u64>,
    /// Of the recording, and of the page.
    memray_bytes: Option<(u64, u64)>,
}

/// Measures, prints, and keeps the results if asked to.
pub(super) fn run(options: &Options) -> Result<(), String> {
    succeed(&mut cargo(&["build", "--release", "-p", "heaptape"]))?;
    let bench = Bench { heaptape: root().join("target/release/heaptape"), scratch: scratch()? };
    let programs = needs::find(true);
    let mut notes: Vec<String> = programs.notes().collect();
    let memray = memray(&bench).map_err(|why| notes.push(format!("without memray: {why}"))).ok();
    let mut rows = Vec::new();
    for workload in workloads::all(&bench, options, &programs, &mut notes)? {
        if WORKLOADS.contains(&workload.name) {
            println!("==> page: {}", workload.name);
            rows.push(measure(&bench, &workload, &programs, memray.as_deref())?);
        }
    }
    let text = entry(&rows, &notes);
    println!("{text}");
    if options.write {
        let path = root().join("bench/PAGE.md");
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
    }
    Ok(())
}

fn measure(
    bench: &Bench,
    workload: &Workload,
    programs: &Programs,
    memray: Option<&Path>,
) -> Result<Row, String> {
    run_in(bench, workload, Mode::Heaptape)?;
    let page = bench.scratch.join("page.html");
    let written = write(bench, &page, &[])?;
    let sums = bench.scratch.join("sums.html");
    write(bench, &sums, &["--max-blocks", "1000"])?;
    let heaptrack_bytes = match programs.has("heaptrack") {
        true => Some(run_in(bench, workload, Mode::Heaptrack)?),
        false => None,
    };
    let memray_bytes = match memray {
        Some(memray) if workload.command[0] == needs::PYTHON => {
            Some(by_memray(bench, memray, workload)?)
        }
        _ => None,
    };
    let mut node = Command::new("node");
    node.arg("e2e/measure.mjs").arg(&page).current_dir(root().join("ui"));
    let opened = output(&mut node)?;
    Ok(Row {
        name: workload.name,
        report_bytes: size(&page)?,
        written,
        opened: serde_json::from_str(&opened).map_err(|e| format!("{opened}: {e}"))?,
        sums_bytes: size(&sums)?,
        heaptrack_bytes,
        memray_bytes,
    })
}

/// Runs a workload once; the size of what was recorded.
fn run_in(bench: &Bench, workload: &Workload, mode: Mode) -> Result<u64, String> {
    bench.clear()?;
    let mut command = bench.command(workload, mode);
    checked(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    size(&bench.recording(mode))
}

fn write(bench: &Bench, page: &Path, more: &[&str]) -> Result<Cost, String> {
    let mut command = bench.measured("total");
    command.arg(&bench.heaptape).args(["report", "--force", "-o"]).arg(page).args(more);
    checked(command.arg(bench.tape()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    Cost::read(&bench.scratch.join("total"))
}

/// memray, installed beside the bench.
fn memray(bench: &Bench) -> Result<PathBuf, String> {
    let folder = bench.scratch.join("memray");
    let program = folder.join("bin/memray");
    if !program.exists() {
        checked(Command::new(needs::PYTHON).args(["-m", "venv"]).arg(&folder))?;
        checked(Command::new(folder.join("bin/pip")).args(["install", "-q", "memray"]))?;
    }
    Ok(program)
}

fn by_memray(bench: &Bench, memray: &Path, workload: &Workload) -> Result<(u64, u64), String> {
    let (recording, page) = (bench.scratch.join("memray.bin"), bench.scratch.join("memray.html"));
    let mut command = Command::new(memray);
    command
        .args(["run", "-q", "-f", "--native", "-o"])
        .arg(&recording)
        .args(&workload.command[1..]);
    checked(command.envs(workload.environment.iter().copied()).stdout(Stdio::null()))?;
    let mut command = Command::new(memray);
    checked(
        command.args(["flamegraph", "-f", "-o"]).arg(&page).arg(&recording).stdout(Stdio::null()),
    )?;
    Ok((size(&recording)?, size(&page)?))
}

fn size(path: &Path) -> Result<u64, String> {
    fs::metadata(path).map(|it| it.len()).map_err(|e| format!("{}: {e}", path.display()))
}

fn entry(rows: &[Row], notes: &[String]) -> String {
    let made = format!(
        "{}, commit {}, {}.",
        provenance::date(),
        provenance::commit(),
        provenance::machine()
    );
    let notes: String = notes.iter().map(|note| format!("* {note}\n")).collect();
    let kib = |bytes: u64| format!("{}", bytes.div_ceil(1024));
    let optional = |bytes: Option<u64>| bytes.map_or_else(String::new, kib);
    let sizes = table(
        &["workload", "blocks", "report", "sums", "heaptrack", "memray", "its page"],
        rows.iter().map(|row| {
            vec![
                row.name.to_owned(),
                row.opened.blocks.to_string(),
                kib(row.report_bytes),
                kib(row.sums_bytes),
                optional(row.heaptrack_bytes),
                optional(row.memray_bytes.map(|(recording, _)| recording)),
                optional(row.memray_bytes.map(|(_, page)| page)),
            ]
        }),
    );
    let frames = |of: &Frames| format!("{:.1} / {:.1}", of.p95_ms, of.most_ms);
    let times = table(
        &[
            "workload",
            "written, s",
            "MiB for it",
            "first paint, ms",
            "ready, ms",
            "heap, MiB",
            "Layout, p95 / most",
            "Flame, p95 / most",
        ],
        rows.iter().map(|row| {
            vec![
                row.name.to_owned(),
                format!("{:.2}", row.written.wall_seconds()),
                format!("{:.0}", row.written.peak_mib()),
                format!("{:.0}", row.opened.paint_ms),
                format!("{:.0}", row.opened.ready_ms),
                format!("{:.0}", row.opened.heap_mib),
                frames(&row.opened.layout),
                frames(&row.opened.flame),
            ]
        }),
    );
    format!("{HEADER}\n{made}\n\n{notes}\n## Sizes\n\n{sizes}\n## Times\n\n{times}")
}
