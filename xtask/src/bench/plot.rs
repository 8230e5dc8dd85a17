//! The README's table and plot of what recording costs, made from the kept results.

use super::goals;
use super::report::optional;
use super::results::{Metric, Mode, Results, Row};
use super::workloads::{CLANG, GCC, GIT, PYTHON, SQLITE, TREE};
use crate::command::root;
use crate::markdown::table;
use std::fmt::Write;
use std::fs;

const BEGIN: &str = "<!-- bench: begin; written by cargo xtask bench --plot -->\n";
const END: &str = "<!-- bench: end -->\n";
/// Of the README's table and plot: programs people know, and the worst that many threads can do. Beside the bars of
/// the small programs that do nothing but allocate, those of real ones could not be told apart.
const SHOWN: [&str; 8] =
    [PYTHON, CLANG, GCC, "redis-server", SQLITE, GIT, TREE, "storm, 8 threads"];

/// Writes the plot beside the results and both into the README.
pub(super) fn draw(results: &Results) -> Result<(), String> {
    let plot = root().join("bench/wall.svg");
    fs::write(&plot, svg(results)).map_err(|e| format!("{}: {e}", plot.display()))?;
    let readme = root().join("README.md");
    let text = fs::read_to_string(&readme).map_err(|e| format!("README.md: {e}"))?;
    let text =
        replaced(&text, &section(results)).ok_or("README.md: the marks of the bench are gone")?;
    fs::write(&readme, text).map_err(|e| format!("README.md: {e}"))
}

/// The text with what stands between the marks replaced.
fn replaced(text: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{section}{END}{after}"))
}

fn section(results: &Results) -> String {
    let times = |row: &Row, mode, metric| {
        row.times_bare(mode, metric).map_or("–".into(), |it| format!("×{it:.2}"))
    };
    let pair = |row: &Row, metric| {
        format!("{} / {}", times(row, Mode::Heaptape, metric), times(row, Mode::Heaptrack, metric))
    };
    let rows = SHOWN.iter().filter_map(|name| results.row(name)).map(|row| {
        let bytes =
            [Mode::Heaptape, Mode::Heaptrack].map(|mode| optional(row.bytes_per_event(mode)));
        vec![
            row.name.clone(),
            pair(row, Metric::AppCpu),
            pair(row, Metric::TotalCpu),
            pair(row, Metric::AppWall),
            pair(row, Metric::Wall),
            bytes.join(" / "),
        ]
    });
    let head = [
        "heaptape / heaptrack",
        "CPU of the program",
        "CPU, with the tool",
        "wall, until it has ended",
        "wall, to the end of all",
        "file bytes per event",
    ];
    let goals = goals::all(results);
    let met = goals.iter().filter(|it| it.verdict().starts_with("met")).count();
    let missed = goals.iter().filter(|it| it.verdict() == "missed").count();
    format!(
        "{}\n![How much longer programs take, by workload](bench/wall.svg)\n\n\
         × is how many times what the program takes alone; minima of {} interleaved rounds\n\
         ({}; {}).\n\
         Tapes hold addresses, threads and times that heaptrack's files do not. Of the goals that\n\
         heaptape set itself, {met} are met and {missed} are missed: all of it, with every workload, the spread and\n\
         how it is measured, is in [bench/RESULTS.md](bench/RESULTS.md). `cargo xtask bench` measures anew.\n",
        table(&head, rows),
        results.conditions.rounds,
        results.conditions.machine,
        results.conditions.made(),
    )
}

const ROW: usize = 34;
const TOP: usize = 46;
const LEFT: usize = 160;
const WIDTH: usize = 760;
/// For the number behind the longest bar.
const RIGHT: usize = 60;

/// Bars of wall time as times of bare, heaptape above heaptrack for each workload. Readable on light and on dark.
fn svg(results: &Results) -> String {
    let bars: Vec<(&str, f64, Option<f64>)> = SHOWN
        .iter()
        .filter_map(|name| {
            let row = results.row(name)?;
            let ours = row.times_bare(Mode::Heaptape, Metric::Wall)?;
            Some((row.name.as_str(), ours, row.times_bare(Mode::Heaptrack, Metric::Wall)))
        })
        .collect();
    let longest = bars.iter().map(|(_, ours, theirs)| ours.max(theirs.unwrap_or(0.0)));
    let scale = (WIDTH - LEFT - RIGHT) as f64 / longest.fold(1.0, f64::max);
    let height = TOP + bars.len() * ROW + 8;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\">\n\
         <title>Wall time while recording, as times of the program alone</title>\n\
         <style>\n\
         text {{ font: 12px system-ui, sans-serif; fill: #6e7781; }}\n\
         .value {{ font-size: 11px; }}\n\
         .ours {{ fill: #0969da; }} .theirs {{ fill: #bc4c00; }} .bare {{ stroke: #656d76; }}\n\
         @media (prefers-color-scheme: light) {{ text {{ fill: #1f2328; }} }}\n\
         @media (prefers-color-scheme: dark) {{\n\
         text {{ fill: #e6edf3; }} .ours {{ fill: #58a6ff; }} .theirs {{ fill: #f0883e; }} .bare {{ stroke: #8d96a0; }}\n\
         }}\n</style>\n\
         <rect class=\"ours\" x=\"{LEFT}\" y=\"10\" width=\"12\" height=\"12\"/>\
         <text x=\"{}\" y=\"20\">heaptape</text>\n\
         <rect class=\"theirs\" x=\"{}\" y=\"10\" width=\"12\" height=\"12\"/>\
         <text x=\"{}\" y=\"20\">heaptrack</text>\n\
         <text x=\"{}\" y=\"20\">wall time ÷ bare, shorter is better; the line is bare</text>\n",
        LEFT + 18,
        LEFT + 90,
        LEFT + 108,
        LEFT + 190
    );
    for (index, (name, ours, theirs)) in bars.iter().enumerate() {
        let y = TOP + index * ROW;
        let _ = writeln!(
            text,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            LEFT - 8,
            y + 17,
            name
        );
        bar(&mut text, "ours", y, *ours, scale);
        if let Some(theirs) = theirs {
            bar(&mut text, "theirs", y + 13, *theirs, scale);
        }
    }
    let x = LEFT as f64 + scale;
    let _ = writeln!(
        text,
        "<line class=\"bare\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" stroke-dasharray=\"3 3\"/>\n</svg>",
        TOP - 8,
        height - 4
    );
    text
}

fn bar(text: &mut String, class: &str, y: usize, times: f64, scale: f64) {
    let width = times * scale;
    let _ = writeln!(
        text,
        "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"11\"/>\
         <text class=\"value\" x=\"{:.1}\" y=\"{}\">×{times:.2}</text>",
        LEFT as f64 + width + 5.0,
        y + 10
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(replaced(&text, "new\n"), Some(format!("a\n{BEGIN}new\n{END}b\n")));
        assert_eq!(replaced("a\n", "new\n"), None);
    }

    #[test]
    fn a_workload_has_its_bars() {
        let mut row = Row { name: TREE.into(), ..Row::default() };
        for (mode, seconds) in [(Mode::Bare, 1.0), (Mode::Heaptape, 1.5), (Mode::Heaptrack, 4.0)] {
            row.modes.entry(mode).or_default().wall = vec![seconds];
        }
        let text = svg(&Results { workloads: vec![row], ..Results::default() });
        for part in [">tree<", "×1.50", "×4.00", "</svg>"] {
            assert!(text.contains(part), "{part}");
        }
    }
}
