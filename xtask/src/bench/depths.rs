//! What the id of a backtrace costs, by depth of the stack: a pair of malloc and free at its end, recorded with
//! backtraces less the same recorded without.

use super::Bench;
use super::results::Stage;
use super::workloads::built;
use crate::command::output;
use std::path::Path;
use std::process::Command;

const DEPTHS: [u32; 4] = [8, 32, 128, 512];
/// From always the same place, or through four fresh frames on two alternating paths.
const WAYS: [&str; 2] = ["repeated", "irregular"];
/// The machine may be busy: the least of so many runs counts.
const RUNS: usize = 3;

/// One stage for each depth and way.
pub(super) fn measure(bench: &Bench) -> Result<Vec<Stage>, String> {
    println!("==> backtraces by depth");
    let program = built(bench, "depths")?;
    let mut stages = Vec::new();
    for way in WAYS {
        for depth in DEPTHS {
            let with = pair_ns(bench, &program, depth, way, &[])?;
            let without = pair_ns(bench, &program, depth, way, &["--no-backtraces"])?;
            let ns = with - without;
            let name = format!("backtrace id, {way}, {depth}");
            stages.push(Stage { name, fastest_ns: ns, median_ns: ns, ns_per_item: Some(ns) });
        }
    }
    Ok(stages)
}

/// What a pair costs when it is recorded, ns.
fn pair_ns(
    bench: &Bench,
    program: &Path,
    depth: u32,
    way: &str,
    options: &[&str],
) -> Result<f64, String> {
    let tape = bench.scratch.join("depths.tape");
    let mut least = f64::MAX;
    for _ in 0..RUNS {
        let mut command = Command::new(&bench.heaptape);
        command.args(["run", "--quiet", "--force"]).args(options).arg("--output").arg(&tape);
        command.arg("--").arg(program).arg(depth.to_string()).arg(way);
        let text = output(&mut command)?;
        let ns: f64 = text.trim().parse().map_err(|e| format!("depths said {text:?}: {e}"))?;
        least = least.min(ns);
    }
    Ok(least)
}
