//! Tapes of 100 million events: winding to a moment in an address space of 512 MiB, and summing all up.

use super::Bench;
use super::process::Cost;
use super::results::Winding;
use crate::command::{cargo, checked, root, succeed};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub(super) const EVENTS: u64 = 100_000_000;
/// What winding a tape may use: an address space of this many KiB.
pub(super) const LIMIT_KIB: u64 = 512 * 1024;
const ROUNDS: usize = 3;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Winding>, String> {
    let build = ["build", "--release", "-p", "heaptape-tape", "--example", "generate"];
    succeed(&mut cargo(&build))?;
    let generate = root().join("target/release/examples/generate");
    let tape = bench.scratch.join("generated.tape");
    let mut all = Vec::new();
    for stream in ["python", "gcc", "tree"] {
        println!("==> winding: {EVENTS} events like those of {stream}");
        let events = EVENTS.to_string();
        checked(Command::new(&generate).args(["write", stream, &events]).arg(&tape))?;
        let summary = summary(bench, &tape)?;
        let mut moments = Vec::new();
        for moment in ["10%", "50%", "90%", "peak"] {
            moments.push((moment.to_owned(), best_at(bench, &tape, moment)?.as_secs_f64()));
        }
        all.push(Winding {
            stream: stream.to_owned(),
            events: EVENTS,
            file_bytes: fs::metadata(&tape).map_err(|e| e.to_string())?.len(),
            moments,
            summary_seconds: summary.wall_seconds(),
            summary_peak_mib: summary.peak_mib(),
        });
        fs::remove_file(&tape).map_err(|e| e.to_string())?;
    }
    Ok(all)
}

/// `heaptape at`, at its fastest.
fn best_at(bench: &Bench, tape: &Path, moment: &str) -> Result<Duration, String> {
    let script = format!("ulimit -v {LIMIT_KIB}; exec \"$0\" at \"$1\" {moment} >/dev/null");
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        checked(Command::new("sh").args(["-c", &script]).arg(&bench.heaptape).arg(tape))?;
        best = best.min(began.elapsed());
    }
    Ok(best)
}

fn summary(bench: &Bench, tape: &Path) -> Result<Cost, String> {
    let mut command = bench.measured("total");
    command.arg(&bench.heaptape).arg("summary").arg(tape).stdout(Stdio::null());
    checked(&mut command)?;
    Cost::read(&bench.scratch.join("total"))
}
