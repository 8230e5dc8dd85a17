//! Results as Markdown: the entry of one bench, and the file that keeps all of them.

use super::goals::{self, tool_ns};
use super::guard;
use super::results::{Metric, Mode, Results, Row, Winding};
use super::samples::{median, minimum};
use super::winding::LIMIT_KIB;
use crate::command::root;
use crate::markdown::table;
use std::fs;
use std::path::PathBuf;

/// The title of what guard mode costs.
const GUARD: &str = "Guard mode, red zones, memcheck and ASan";

const HEADER: &str = "\
# Results

What `cargo xtask bench --write` measured, newest first. The newest is in `results.json` as well, every round of it.

Beside it: what guard mode and red zones cost, used and not used, in [GUARD.md](GUARD.md) (`cargo xtask bench --guard
--write`); what reports weigh and how they feel in [PAGE.md](PAGE.md) (`cargo xtask bench --page --write`); how soon
`heaptape ui` answers in [SERVED.md](SERVED.md) (`cargo xtask bench --served --write`); and what is found, beside
memcheck and the sanitizers, in [CASES.md](CASES.md) (`cargo xtask cases --write`).

**How.** Each workload runs in interleaved rounds: bare, counted, under heaptape, under heaptrack, bare, and so on.
*Counted* is a preloaded library of ours that only counts calls (`workloads/count.c`), the floor of what interposing
costs. Heaptrack is Debian's, with its interpreter and zstd, as its users run it. One more round comes first; its times
do not count, and the memory of the tools is watched in it, every 4 ms.

**Whose CPU time.** `workloads/measure.c`, a static program that no preloaded library gets into, stands at both ends:
`measure total heaptape run … measure app PROGRAM`. The inner one waits for the program and reports what it alone used
(**app CPU**) and how long it took (**app wall**: longer where it waits, for space or at its end); the outer one reports
that and all of the tool, down to its last process (**total CPU**, **wall**).

**Columns.**

* Times are in seconds: minimum · median of the rounds (× how many times bare, of the minima).
* *Geometric mean* of times bare: of the workloads whose bare rounds agree (the median at most 1.25 times the minimum).
* *Overhead ÷ heaptrack's*: (heaptape − bare) ÷ (heaptrack − bare), of the minima; in parentheses its range over the
  rounds; – where heaptrack's own overhead is below 2 % or within the noise.
* *A sample*: under `heaptape run --sample 512K`.
* *Events*: allocations and frees on the tape; a realloc is both. *Calls*: what the counting library saw; a realloc is
  one call, and it knows fewer functions.
* *Waited*: how long the program's threads waited for the recording, all together.
* *Cut*: backtraces that ended at a bound. Heaptrack cuts all at 64 frames and does not count them.
* Where there are two numbers, they are heaptape's / heaptrack's.
* *Bytes / event*: of the file, by the tape's events for both. Tapes hold addresses, threads and times; heaptrack's
  files hold no addresses, no threads, and times of 10 ms.
* *Tool ns / event*: total CPU − app CPU.
* *Reading*: `heaptape summary --json` / `heaptrack_print -f`, minimum.
* *Checked*: backtraces that were compared with a full walk, and in another run with libgcc's.
* *Faults*: losses, wrong order, wrong backtraces; each is named on top.
";

/// Puts an entry before those that are there.
pub(super) fn keep(results: &Results) -> Result<(), String> {
    let text = kept()?;
    let earlier = text.find("\n## ").map_or("", |at| &text[at..]);
    write(&format!("{HEADER}\n{}{earlier}", entry(results)))
}

/// Puts what guard mode costs into the newest entry, which stays as it is otherwise.
pub(super) fn keep_guard(guard: &guard::Kept) -> Result<(), String> {
    write(&with_section(&kept()?, GUARD, &guard::ratios(guard)))
}

/// A text whose first entry has this section: in place of an earlier one, or as its last.
fn with_section(text: &str, title: &str, section: &str) -> String {
    let entry = text.find("\n## ").map_or(text.len(), |at| at + 1);
    let end = text[entry..].find("\n## ").map_or(text.len(), |at| entry + at + 1);
    let heading = format!("\n### {title}\n");
    let place = text[entry..end].find(&heading).map(|at| entry + at + 1).map(|begin| {
        let rest = text[begin..end].find("\n### ");
        (begin, rest.map_or(end, |at| begin + at + 1))
    });
    let (begin, rest) = place.unwrap_or((end, end));
    format!("{}{}{}", &text[..begin], titled(title, section), &text[rest..])
}

fn file() -> PathBuf {
    root().join("bench/RESULTS.md")
}

fn kept() -> Result<String, String> {
    fs::read_to_string(file()).map_err(|e| format!("{}: {e}", file().display()))
}

fn write(text: &str) -> Result<(), String> {
    fs::write(file(), text).map_err(|e| format!("{}: {e}", file().display()))
}

/// A row while the bench goes on.
pub(super) fn line(row: &Row) -> String {
    let times = |(mode, name)| {
        let times = row.times_bare(mode, Metric::AppCpu);
        times.map(|times| format!("{name} ×{times:.2}"))
    };
    let modes =
        [(Mode::Count, "counted"), (Mode::Heaptape, "heaptape"), (Mode::Heaptrack, "heaptrack")];
    let times = modes.into_iter().filter_map(times).collect::<Vec<_>>().join(", ");
    let faults = match row.faults.len() {
        0 => "all recorded".into(),
        _ => format!("WRONG: {}", row.faults.join("; ")),
    };
    format!(
        "  {:<20} {:>10} events; app CPU {times}; {} B/event; waited {:.0} ms; {faults}",
        row.name,
        row.events,
        optional(row.bytes_per_event(Mode::Heaptape)),
        median(&row.waited_ms).unwrap_or_default()
    )
}

/// All of one bench.
pub(super) fn entry(results: &Results) -> String {
    let mut text =
        format!("## {}\n\n{}\n\n", results.conditions.made(), results.conditions.surroundings());
    let remarks = results.workloads.iter().flat_map(Row::named_remarks);
    let faults = results.all_faults();
    let faults = faults.iter().map(|fault| format!("FAULT: {fault}"));
    for note in results.notes.iter().cloned().chain(faults).chain(remarks) {
        text += &format!("* {note}\n");
    }
    text.push('\n');
    if !results.winding.is_empty() {
        text += &titled("Goals", &goals(results));
    }
    text += &titled("App CPU: the program alone", &times(results, Metric::AppCpu));
    text += &titled("Total CPU: the program and the tool", &times(results, Metric::TotalCpu));
    text += &titled("App wall: until the program has ended", &times(results, Metric::AppWall));
    text += &titled("Wall, from start to the end of all", &times(results, Metric::Wall));
    text += &titled("Recordings", &recordings(results));
    text += &titled("Peak of resident memory, MiB", &memory(results));
    text += &titled("An allocation with its free, ns of the thread's CPU time", &pairs(results));
    if !results.winding.is_empty() {
        text += &titled("Tapes of 100 million events", &long_tapes(&results.winding));
    }
    if !results.stages.is_empty() {
        text += &titled("Stages, alone (`cargo bench`)", &stages(results));
    }
    // As the long tapes, part of a whole bench only.
    if !results.winding.is_empty()
        && let Ok(Some(guard)) = guard::Kept::read()
    {
        text += &titled(GUARD, &guard::ratios(&guard));
    }
    text
}

pub(super) fn titled(title: &str, table: &str) -> String {
    format!("### {title}\n\n{table}\n")
}

/// With three significant digits.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 || size == 0.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub(super) fn optional(value: Option<f64>) -> String {
    value.map_or("–".into(), number)
}

fn goals(results: &Results) -> String {
    let rows = goals::all(results).into_iter().map(|goal| {
        let verdict = goal.verdict().to_owned();
        vec![goal.what, number(goal.must), number(goal.stretch), optional(goal.measured), verdict]
    });
    table(&["goal: at most", "must", "stretch", "measured", "verdict"], rows)
}

fn times(results: &Results, metric: Metric) -> String {
    let mut rows: Vec<Vec<String>> =
        results.workloads.iter().map(|row| time(row, metric)).collect();
    let mean = |mode| {
        let mean = goals::mean_times_bare(results, mode, metric);
        mean.map_or("–".into(), |it| format!("×{it:.2}"))
    };
    rows.push(vec![
        "**geometric mean**".into(),
        String::new(),
        mean(Mode::Count),
        mean(Mode::Heaptape),
        mean(Mode::Sampled),
        mean(Mode::Heaptrack),
        optional(goals::mean_ratio(results, metric)),
    ]);
    let head = [
        "workload",
        "bare",
        "counted",
        "heaptape",
        "a sample",
        "heaptrack",
        "overhead ÷ heaptrack's",
    ];
    table(&head, rows)
}

fn time(row: &Row, metric: Metric) -> Vec<String> {
    let cell = |mode| {
        let samples = row.modes.get(&mode).map(|it| it.samples(metric)).unwrap_or_default();
        let (Some(least), Some(middle)) = (minimum(samples), median(samples)) else {
            return "–".into();
        };
        let text = format!("{least:.3} · {middle:.3}");
        match row.times_bare(mode, metric) {
            Some(times) if mode != Mode::Bare => format!("{text} (×{times:.2})"),
            _ => text,
        }
    };
    let ratio = row.overhead_ratio(metric).map_or("–".into(), |it| {
        format!("{} ({} … {})", number(it.best), number(it.low), number(it.high))
    });
    let mut cells = vec![row.name.clone()];
    cells.extend(Mode::ALL.map(cell));
    cells.push(ratio);
    cells
}

fn recordings(results: &Results) -> String {
    let rows = results.workloads.iter().map(|row| {
        let reading = |mode| optional(row.modes.get(&mode).and_then(|it| minimum(&it.analysis)));
        let bytes = |mode| optional(row.bytes_per_event(mode));
        let tool = |mode| optional(tool_ns(row, mode));
        vec![
            row.name.clone(),
            grouped(row.events),
            grouped(row.counted_calls),
            optional(median(&row.waited_ms)),
            row.truncated_backtraces.to_string(),
            format!("{} / {}", bytes(Mode::Heaptape), bytes(Mode::Heaptrack)),
            format!("{} / {}", tool(Mode::Heaptape), tool(Mode::Heaptrack)),
            format!("{} / {}", reading(Mode::Heaptape), reading(Mode::Heaptrack)),
            grouped(row.backtraces_checked),
            row.faults.len().to_string(),
        ]
    });
    let head = [
        "workload",
        "events",
        "calls",
        "waited ms",
        "cut",
        "bytes / event",
        "tool ns / event",
        "reading s",
        "checked",
        "faults",
    ];
    table(&head, rows)
}

fn memory(results: &Results) -> String {
    let rows = results.workloads.iter().map(|row| {
        let app = |mode| optional(row.modes.get(&mode).map(|it| it.app_peak_mib));
        let tool = |mode| optional(row.modes.get(&mode).map(|it| it.tool_peak_mib));
        let apps = Mode::ALL.map(app);
        let tools = [Mode::Heaptape, Mode::Heaptrack].map(tool);
        [vec![row.name.clone()], apps.to_vec(), tools.to_vec()].concat()
    });
    let head = [
        "workload",
        "program, bare",
        "counted",
        "under heaptape",
        "sampled",
        "under heaptrack",
        "heaptape itself",
        "heaptrack itself",
    ];
    table(&head, rows)
}

fn pairs(results: &Results) -> String {
    let said = results.workloads.iter().filter(|row| row.added_pair_ns(Mode::Bare).is_some());
    let rows = said.map(|row| {
        let pair = |mode| optional(row.modes.get(&mode).and_then(|it| minimum(&it.pair_ns)));
        let mut cells = vec![row.name.clone()];
        cells.extend(Mode::ALL.map(pair));
        cells.push(optional(row.added_pair_ns(Mode::Heaptape)));
        cells
    });
    let head =
        ["workload", "bare", "counted", "heaptape", "a sample", "heaptrack", "heaptape − bare"];
    table(&head, rows)
}

fn long_tapes(all: &[Winding]) -> String {
    let rows = all.iter().map(|it| {
        let moments = it.moments.iter().map(|(_, seconds)| format!("{seconds:.3}"));
        let mut cells = vec![it.stream.clone(), (it.file_bytes >> 20).to_string()];
        cells.extend(moments);
        cells.extend([number(it.summary_seconds), number(it.summary_peak_mib)]);
        cells
    });
    let head = [
        "made-up stream",
        "file MiB",
        "`at` 10 %, s",
        "50 %",
        "90 %",
        "peak",
        "`summary`, s",
        "its memory, MiB",
    ];
    let limit = LIMIT_KIB / 1024;
    format!(
        "`at` runs in an address space of {limit} MiB; best of three.\n\n{}",
        table(&head, rows)
    )
}

fn stages(results: &Results) -> String {
    let rows = results.stages.iter().map(|it| {
        vec![it.name.clone(), number(it.fastest_ns), number(it.median_ns), optional(it.ns_per_item)]
    });
    table(&["stage", "fastest, ns", "median, ns", "ns per item"], rows)
}

/// With commas, for people.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_of_the_newest_entry_is_replaced_and_the_rest_stays() {
        let text = "# Results\n\n## new\n\n### a\n\n1\n\n## old\n\n### g\n\n0\n";
        let once = with_section(text, "g", "2\n");
        assert_eq!(
            once,
            "# Results\n\n## new\n\n### a\n\n1\n\n### g\n\n2\n\n## old\n\n### g\n\n0\n"
        );
        assert_eq!(with_section(&once, "g", "2\n"), once);
        let between = once.replace("### g\n\n2\n\n## old", "### g\n\n2\n\n### b\n\n3\n\n## old");
        assert_eq!(with_section(&between, "g", "4\n"), between.replace("\n2\n", "\n4\n"));
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.0123, 1.234, 12.34, 1234.5].map(number),
            ["0.00", "0.012", "1.23", "12.3", "1234"]
        );
        assert_eq!([1, 1234, 1234567].map(grouped), ["1", "1,234", "1,234,567"]);
    }
}
