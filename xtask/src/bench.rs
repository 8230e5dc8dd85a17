//! `cargo xtask bench`: what recording costs beside heaptrack, how large tapes are, and how fast a tape of 100
//! million events is wound. Prints a report; `--write` appends it to `bench/RESULTS.md`.
//!
//! Rounds are interleaved (bare, heaptape, heaptrack, bare, …) and minima are compared, because machines are
//! shared and noisy. CPU time is of everything: target and tool.

use crate::command::{cargo, root, succeed};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const GENERATED_EVENTS: u64 = 100_000_000;
/// What winding a tape may use: an address space of this many KiB.
const WINDING_KIB: u64 = 512 * 1024;
/// Clock ticks of `/proc/self/stat` a second, on every Linux there is.
const TICKS: u32 = 100;

/// A program to record.
struct Workload {
    name: &'static str,
    command: Vec<String>,
    environment: &'static [(&'static str, &'static str)],
}

/// What one run cost.
#[derive(Clone, Copy)]
struct Cost {
    wall: Duration,
    cpu: Duration,
}

impl Cost {
    const WORST: Cost = Cost { wall: Duration::MAX, cpu: Duration::MAX };

    fn min(self, other: Cost) -> Cost {
        Cost { wall: self.wall.min(other.wall), cpu: self.cpu.min(other.cpu) }
    }
}

/// Runs the benchmark.
pub(crate) fn run(write: bool) -> Result<(), String> {
    succeed(&mut cargo(&["build", "--release", "-p", "heaptape"]))?;
    succeed(&mut cargo(&["build", "--release", "-p", "heaptape-tape", "--example", "generate"]))?;
    let scratch = root().join("target/bench");
    fs::create_dir_all(&scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let mut report = format!("## {}\n\n{}\n\n", date(), machine());
    report += "`cargo xtask bench`\n\n";
    report += &recording(&scratch)?;
    report += &winding(&scratch)?;
    println!("\n{report}");
    if write {
        let results = root().join("bench/RESULTS.md");
        let before = fs::read_to_string(&results).unwrap_or_else(|_| "# Results\n\n".into());
        fs::write(&results, before + &report).map_err(|e| format!("{}: {e}", results.display()))?;
    }
    Ok(())
}

fn workloads(scratch: &Path) -> Result<Vec<Workload>, String> {
    let tree = scratch.join("tree");
    let source = root().join("bench/workloads/tree.cpp");
    checked(Command::new("g++").args(["-O2", "-g", "-pthread", "-o"]).arg(&tree).arg(&source))?;
    let tree = tree.display().to_string();
    let json = root().join("bench/workloads/documents.py").display().to_string();
    let cc1plus = output(Command::new("g++").arg("-print-prog-name=cc1plus"))?;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let compile = format!(
        "{} -quiet -O1 -D_GNU_SOURCE -imultiarch x86_64-linux-gnu {} -o /dev/null",
        cc1plus.trim(),
        source.display()
    );
    let sql = "create table t(a integer primary key,b text);with recursive c(x) as(select 1 union all \
               select x+1 from c where x<200000) insert into t select x,hex(x*7919) from c;create index \
               i on t(b);select count(*),max(b) from t;";
    let perl = "my %h;for my $i(1..300000){$h{\"k$i\"}=\"v\" x ($i%50)}my $s=0;$s+=length($h{$_}) for \
                sort keys %h;print \"$s\\n\"";
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    let plain = |name, command| Workload { name, command, environment: &[] };
    Ok(vec![
        Workload {
            name: "python json",
            command: vec!["/usr/bin/python3".into(), json],
            environment: &[("PYTHONMALLOC", "malloc")],
        },
        plain("tree", words(&format!("{tree} 5 1 5"))),
        plain("tree, 2 threads", words(&format!("{tree} 5 2 5"))),
        plain("cc1plus -O1", words(&compile)),
        plain("sqlite3", owned(&["sqlite3", ":memory:", sql])),
        plain("perl hash", owned(&["perl", "-e", perl])),
    ])
}

/// Bare, under heaptape and under heaptrack.
fn recording(scratch: &Path) -> Result<String, String> {
    let heaptape = root().join("target/release/heaptape");
    let tape = scratch.join("bench.tape");
    let has_heaptrack = Command::new("heaptrack").arg("-v").output().is_ok();
    let mut table = String::from(
        "| workload | bare wall, CPU s | heaptape wall, CPU | heaptrack wall, CPU | overhead ÷ \
         heaptrack's, wall | events | tape bytes / event |\n|---|---|---|---|---|---|---|\n",
    );
    for workload in workloads(scratch)? {
        let (mut bare, mut ours, mut theirs) = (Cost::WORST, Cost::WORST, Cost::WORST);
        for _ in 0..ROUNDS {
            bare = bare.min(timed(&workload, &[])?);
            let wrap = [heaptape.display().to_string(), "run".into(), "-qfo".into()];
            let wrap = [&wrap[..], &[tape.display().to_string(), "--".into()]].concat();
            ours = ours.min(timed(&workload, &wrap)?);
            if has_heaptrack {
                let trace = scratch.join("heaptrack").display().to_string();
                theirs = theirs.min(timed(&workload, &["heaptrack".into(), "-o".into(), trace])?);
            }
        }
        let events = events_of(&heaptape, &tape)?;
        let bytes = fs::metadata(&tape).map_err(|e| e.to_string())?.len();
        let extra = |cost: Cost| cost.wall.as_secs_f64() - bare.wall.as_secs_f64();
        let (heaptrack, ratio) = if has_heaptrack {
            (pair(theirs), format!("{:.2}", extra(ours) / extra(theirs)))
        } else {
            ("not installed".into(), "–".into())
        };
        table += &format!(
            "| {} | {} | {} | {heaptrack} | {ratio} | {events} | {:.2} |\n",
            workload.name,
            pair(bare),
            pair(ours),
            bytes as f64 / events as f64,
        );
    }
    Ok(table + "\n")
}

/// `heaptape at` on a generated tape, in a bounded address space.
fn winding(scratch: &Path) -> Result<String, String> {
    let heaptape = root().join("target/release/heaptape");
    let generate = root().join("target/release/examples/generate");
    let tape = scratch.join("generated.tape");
    let mut text = format!(
        "Winding a generated tape of {GENERATED_EVENTS} events, address space limited to {} MiB, best of \
         {ROUNDS}:\n\n| stream | file MiB | at 10 % | at 50 % | at 90 % | at peak |\n|---|---|---|---|---|---|\n",
        WINDING_KIB / 1024
    );
    for kind in ["python", "gcc", "tree"] {
        let events = GENERATED_EVENTS.to_string();
        checked(Command::new(&generate).args(["write", kind, &events]).arg(&tape))?;
        let bytes = fs::metadata(&tape).map_err(|e| e.to_string())?.len();
        text += &format!("| {kind} | {} ", bytes >> 20);
        for moment in ["10%", "50%", "90%", "peak"] {
            let script =
                format!("ulimit -v {WINDING_KIB}; exec \"$0\" at \"$1\" {moment} >/dev/null");
            let mut best = Duration::MAX;
            for _ in 0..ROUNDS {
                let began = Instant::now();
                checked(Command::new("sh").args(["-c", &script]).arg(&heaptape).arg(&tape))?;
                best = best.min(began.elapsed());
            }
            text += &format!("| {:.3} s ", best.as_secs_f64());
        }
        text += "|\n";
        fs::remove_file(&tape).map_err(|e| e.to_string())?;
    }
    Ok(text + "\n")
}

/// One run: time on the wall, and CPU time of all that was started.
fn timed(workload: &Workload, wrap: &[String]) -> Result<Cost, String> {
    let words: Vec<&String> = wrap.iter().chain(&workload.command).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).envs(workload.environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (cpu, began) = (children_cpu()?, Instant::now());
    checked(&mut command)?;
    Ok(Cost { wall: began.elapsed(), cpu: children_cpu()? - cpu })
}

/// CPU time of all children that were waited for.
fn children_cpu() -> Result<Duration, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|e| e.to_string())?;
    // After the name in parentheses: cutime and cstime are the fields 16 and 17 of proc(5).
    let rest = stat.rsplit(')').next().unwrap_or_default();
    let ticks = rest.split_whitespace().skip(13).take(2).filter_map(|t| t.parse::<u32>().ok());
    Ok(Duration::from_secs(1) * ticks.sum() / TICKS)
}

/// The number of events on a tape, as `heaptape info` counts them.
fn events_of(heaptape: &PathBuf, tape: &Path) -> Result<u64, String> {
    let text = output(Command::new(heaptape).args(["info", "--json"]).arg(tape))?;
    let info: serde_json::Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let processes =
        info["results"][0]["processes"].as_array().ok_or("info --json has no processes")?;
    Ok(processes.iter().filter_map(|p| p["events"].as_u64()).sum())
}

fn pair(cost: Cost) -> String {
    format!("{:.2}, {:.2}", cost.wall.as_secs_f64(), cost.cpu.as_secs_f64())
}

fn checked(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{command:?}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}")) }
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

fn date() -> String {
    output(Command::new("date").arg("-u").arg("+%Y-%m-%d")).unwrap_or_default().trim().to_owned()
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or("?");
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let kernel = output(Command::new("uname").arg("-r")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    format!("{cores} × {model}, Linux {}, shared virtual machine", kernel.trim())
}
