//! What was found, as Markdown: `bench/GUARD.md`, and the table that goes into `bench/RESULTS.md`.

use super::kept::{Kept, Measured, Row, Unused, cpu, peak, wall};
use super::modes::Mode;
use super::unused::{ALIKE, BEFORE, RUNS};
use crate::bench::report::{grouped, number, titled};
use crate::command::root;
use crate::markdown::table;
use std::fs;

const HEADER: &str = "\
# What guard mode costs

By `cargo xtask bench --guard --write`, beside memcheck and AddressSanitizer; every round of it is in `guard.json`. What
each of them finds is in [CASES.md](CASES.md).

**Programs.** *python3 json*: `workloads/documents.py` with `PYTHONMALLOC=malloc`. *cc1plus -O2*: gcc's compiler proper
with `workloads/tree.cpp`. *sqlite3*: 300,000 rows into a table in memory, then an index. *tree*: `workloads/tree.cpp`,
which does nothing but use small blocks.

**How.** Interleaved rounds with `workloads/measure.c` at both ends, as in [RESULTS.md](RESULTS.md); minima of the
rounds, in parentheses how many times bare. One round more comes first: it is watched for memory and its times do not
count, except those of memcheck and `--check=1000`, which run only then. In every run the program must end well and
print what it prints alone; on no tape anything may be lost or found. All of heaptape is in its numbers: the program,
the recording, the tape's end.

**ASan, rebuilt**: the program compiled for it, which sees the program's loads and stores, not those of its libraries.
**ASan, preloaded only**: the program as it is, with ASan's library preloaded (`LD_PRELOAD`). That looks at calls of the
allocator and of functions such as `memcpy`, and at no load or store: a lower bound of what ASan costs, for far less
than what it finds. Its search for leaks is off (`detect_leaks=0`); memcheck's and heaptape's are as they come.
";

/// All of it.
pub(super) fn file(kept: &Kept) -> String {
    let mut text =
        format!("{HEADER}\n{}, {}\n\n", kept.conditions.made(), kept.conditions.surroundings());
    let faults = kept.all_faults();
    let faults = faults.iter().map(|fault| format!("FAULT: {fault}"));
    let remarks = kept.programs.iter();
    let remarks =
        remarks.flat_map(|row| row.remarks.iter().map(|remark| format!("{}: {remark}", row.name)));
    for note in kept.notes.iter().cloned().chain(faults).chain(remarks) {
        text += &format!("* {note}\n");
    }
    text.push('\n');
    let seconds = |of: fn(&Measured) -> Option<f64>| {
        by_mode(kept, |row, mode| {
            row.beside_bare(mode, of).map(|it| times(mode, &number(it.0), it.1))
        })
    };
    text += &titled("Wall time, s", &seconds(wall));
    text += &titled("CPU time of the program and the tool, s", &seconds(cpu));
    text += &titled("Peak of resident memory, MiB", &memory(kept));
    text += &titled("Blocks guarded", &guarded(kept));
    text += &titled("What it costs where it is not used", &unused(kept));
    text
}

/// Into `bench/GUARD.md`.
pub(super) fn write(kept: &Kept) -> Result<(), String> {
    let path = root().join("bench/GUARD.md");
    fs::write(&path, file(kept).trim_end().to_owned() + "\n")
        .map_err(|e| format!("{}: {e}", path.display()))
}

/// How many times bare: wall time, CPU time and memory, for `bench/RESULTS.md`.
pub(in crate::bench) fn ratios(kept: &Kept) -> String {
    let cell = |row: &Row, mode| {
        let (_, wall) = row.beside_bare(mode, wall)?;
        let (_, cpu) = row.beside_bare(mode, cpu)?;
        let (_, peak) = row.beside_bare(mode, peak)?;
        Some([wall, cpu, peak].map(|times| format!("×{}", number(times))).join(" · "))
    };
    format!(
        "Wall time · CPU time · peak of resident memory, heaptape's own processes included, in times of the program\n\
         alone. By `cargo xtask bench --guard --write`, {}; load\n\
         average {:.1}. The seconds and MiB, and what a preloaded ASan leaves out, are in [GUARD.md](GUARD.md).\n\n{}",
        kept.conditions.made(),
        kept.conditions.load[1],
        by_mode(kept, |row, mode| if mode == Mode::Bare { None } else { cell(row, mode) })
    )
}

/// A line for each mode that anything is known of, a column for each program.
fn by_mode(kept: &Kept, cell: impl Fn(&Row, Mode) -> Option<String>) -> String {
    let rows = Mode::ALL.into_iter().filter_map(|mode| {
        let cells: Vec<_> = kept.programs.iter().map(|row| cell(row, mode)).collect();
        cells.iter().any(Option::is_some).then(|| {
            let cells = cells.into_iter().map(|it| it.unwrap_or("–".into()));
            [mode.name().to_owned()].into_iter().chain(cells).collect()
        })
    });
    let names = kept.programs.iter().map(|row| row.name.as_str());
    let head: Vec<&str> = [""].into_iter().chain(names).collect();
    table(&head, rows)
}

fn times(mode: Mode, text: &str, times: f64) -> String {
    match mode {
        Mode::Bare => text.to_owned(),
        _ => format!("{text} (×{})", number(times)),
    }
}

fn memory(kept: &Kept) -> String {
    let table = by_mode(kept, |row, mode| {
        let (_, ratio) = row.beside_bare(mode, peak)?;
        let measured = row.modes.get(&mode)?;
        let app = number(measured.app_peak_mib);
        Some(match mode.option() {
            Some(_) => times(mode, &format!("{app} + {}", number(measured.tool_peak_mib)), ratio),
            None => times(mode, &app, ratio),
        })
    });
    format!("The program + heaptape's own processes (× of both).\n\n{table}")
}

fn guarded(kept: &Kept) -> String {
    let table = by_mode(kept, |row, mode| {
        let measured = row.modes.get(&mode).filter(|_| mode.guards())?;
        let mechanism = measured.mechanism.as_deref().unwrap_or("?").replace('_', " ");
        let guarded = grouped(measured.guarded);
        Some(match measured.unguarded {
            0 => format!("{guarded} by {mechanism}"),
            not => format!("{guarded} by {mechanism}, {} not", grouped(not)),
        })
    });
    format!("*markers* are those of `MADV_GUARD_INSTALL`.\n\n{table}")
}

/// Instructions, in millions, and how many more for each event than alone.
fn unused(kept: &Kept) -> String {
    if kept.unused.is_empty() {
        return "Not measured: see above.\n".into();
    }
    let rows = kept.unused.iter().map(|it| {
        let cell = |count: u64| counted(it, count);
        vec![
            it.name.clone(),
            grouped(it.events),
            millions(it.bare),
            it.before.map_or("–".into(), cell),
            cell(it.alike),
            cell(it.with_leaks),
            cell(it.default),
        ]
    });
    let head = ["", "events", "bare", BEFORE, "now, doing as much", "with the leak search", "now"];
    format!(
        "Instructions that the program executes in user mode, in millions; in parentheses, how many more than bare for\n\
         each event, an allocation or a free. The fewest of {RUNS} runs. They are counted, so that the load of the machine\n\
         does not matter.\n\n\
         * *{BEFORE}*: heaptape at the last commit before errors, crash capture, leaks, contents, guard mode and red\n  \
         zones, which is built and run beside.\n\
         * *now, doing as much*: today's with `{}`. Crash capture is ready, guard mode and\n  \
         red zones are there and not used. More instructions than {BEFORE} needs are a fault. What has been made faster\n  \
         since is in the difference, too.\n\
         * *with the leak search*: that is another process's work.\n\
         * *now*: by default, each thread's first 262,144 frees have backtraces.\n\n{}",
        ALIKE.join(" "),
        table(&head, rows)
    )
}

fn counted(of: &Unused, count: u64) -> String {
    let more = count as f64 - of.bare as f64;
    format!("{} ({})", millions(count), number(more / of.events.max(1) as f64))
}

fn millions(count: u64) -> String {
    grouped((count + 500_000) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_a_dash() {
        let mut kept = Kept::default();
        for name in ["tree", "python3"] {
            let mut row = Row { name: name.into(), ..Row::default() };
            let modes = [(Mode::Bare, 2.0), (Mode::Guard, 9.0), (Mode::AsanRebuilt, 4.0)];
            for (mode, seconds) in modes {
                if name == "tree" || mode != Mode::AsanRebuilt {
                    let wall = vec![seconds * 2.0, seconds];
                    let cpu = vec![seconds * seconds];
                    let measured =
                        Measured { wall, cpu, app_peak_mib: seconds, ..Measured::default() };
                    row.modes.insert(mode, measured);
                }
            }
            kept.programs.push(row);
        }
        let ratios = ratios(&kept);
        let lines: Vec<&str> = ratios.lines().filter(|it| it.starts_with('|')).collect();
        assert_eq!(
            lines[2..],
            [
                "| `--guard`     | ×4.50 · ×20.2 · ×4.50 | ×4.50 · ×20.2 · ×4.50 |",
                "| ASan, rebuilt | ×2.00 · ×4.00 · ×2.00 |                     – |",
            ]
        );
    }
}
