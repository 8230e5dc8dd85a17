//! The stages of an event's way, each alone: the benchmarks of the crates, as divan prints them.

use super::results::Stage;
use crate::command::{cargo, output, root};
use std::fs;
use std::path::Path;

/// Runs `cargo bench` of every file in a `benches` folder of a crate. What fails is noted, and the rest goes on.
pub(super) fn measure(notes: &mut Vec<String>) -> Vec<Stage> {
    let mut stages = Vec::new();
    for (name, bench) in benches() {
        println!("==> cargo bench -p {name} --bench {bench}");
        match output(&mut cargo(&["bench", "--quiet", "-p", &name, "--bench", &bench])) {
            Ok(text) => stages.extend(parse(&name, &text)),
            Err(why) => notes.push(format!("the stages of {name} were not measured: {why}")),
        }
    }
    if stages.is_empty() {
        notes.push("no crate has benchmarks of its stages".into());
    }
    stages
}

/// Each crate's name with each of its `benches/*.rs`, sorted.
fn benches() -> Vec<(String, String)> {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found = Vec::new();
    for folder in entries(&root().join("crates")) {
        let Ok(name) = folder.file_name().into_string() else { continue };
        for file in entries(&folder.path().join("benches")) {
            let file = file.file_name().into_string().unwrap_or_default();
            found.extend(file.strip_suffix(".rs").map(|bench| (name.clone(), bench.to_owned())));
        }
    }
    found.sort();
    found
}

/// The rows of divan's tree that have times; a line of items per second belongs to the row above it.
fn parse(crate_name: &str, text: &str) -> Vec<Stage> {
    let mut stages: Vec<Stage> = Vec::new();
    // The names on the way to the current row, by depth.
    let mut path: Vec<String> = Vec::new();
    for line in text.lines().filter(|line| line.contains('│')) {
        let rest = line.trim_start_matches(['│', '├', '╰', '─', ' ']);
        let depth = (line.chars().count() - rest.chars().count()) / 3;
        let cells: Vec<&str> = rest.split('│').map(str::trim).collect();
        if let Some(rate) = items_per_second(cells[0]) {
            match stages.last_mut() {
                Some(last) if rate > 0.0 => last.ns_per_item = Some(1e9 / rate),
                // A benchmark that had nothing to work on.
                _ => drop(stages.pop()),
            }
            continue;
        }
        if !line.contains(['├', '╰']) {
            continue;
        }
        let (name, fastest) = cells[0].split_once("  ").unwrap_or((cells[0], ""));
        path.truncate(depth.saturating_sub(1));
        path.push(name.to_owned());
        if let (Some(fastest), Some(median)) =
            (nanoseconds(fastest), cells.get(2).and_then(|it| nanoseconds(it)))
        {
            let name = format!("{crate_name}: {}", path.join(" / "));
            stages.push(Stage { name, fastest_ns: fastest, median_ns: median, ns_per_item: None });
        }
    }
    stages
}

/// `12.3 µs` as nanoseconds.
fn nanoseconds(text: &str) -> Option<f64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let scale = match unit {
        "ns" => 1.0,
        "µs" | "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

/// `12.3 Mitem/s` as items a second.
fn items_per_second(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once(' ')?;
    let scale = match unit {
        "item/s" => 1.0,
        "Kitem/s" => 1e3,
        "Mitem/s" => 1e6,
        "Gitem/s" => 1e9,
        _ => return None,
    };
    Some(number.parse::<f64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn divan_is_read() {
        let text = "\
Timer precision: 20 ns
stages         fastest       │ slowest       │ median        │ mean          │ samples │ iters
├─ live_set                  │               │               │               │         │
│  ├─ Python   10 ms         │ 30 ms         │ 20 ms         │ 20 ms         │ 100     │ 100
│  │           200 Mitem/s   │ 60 Mitem/s    │ 100 Mitem/s   │ 100 Mitem/s   │         │
│  ├─ Absent   7 ns          │ 9 ns          │ 8 ns          │ 8 ns          │ 100     │ 100
│  │           0 item/s      │ 0 item/s      │ 0 item/s      │ 0 item/s      │         │
│  ╰─ Tree     1.5 µs        │ 2 µs          │ 1.75 µs       │ 2 µs          │ 100     │ 100
╰─ read        7 ns          │ 9 ns          │ 8 ns          │ 8 ns          │ 100     │ 100
";
        let stages = parse("tape", text);
        let names: Vec<&str> = stages.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["tape: live_set / Python", "tape: live_set / Tree", "tape: read"]);
        assert_eq!((stages[0].fastest_ns, stages[0].median_ns), (1e7, 2e7));
        assert_eq!(stages[0].ns_per_item, Some(5.0));
        assert_eq!(stages[1].fastest_ns, 1500.0);
        assert_eq!(stages[2].ns_per_item, None);
    }
}
