//! `targets/cases/cases.tsv`: the cases, what is wrong with them, and what each tool finds of it.

use super::finding::{Finding, Findings, Group};
use super::tool::Tool;
use crate::command::root;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// A program with a mistake, and the same without it.
pub(super) struct Case {
    /// `double_free/again`.
    pub(super) name: String,
    /// The source that holds it: `double_free.c`.
    pub(super) source: String,
    /// What the program takes as its first argument: `again`.
    pub(super) argument: String,
    /// What is wrong.
    pub(super) truth: Findings,
    /// What each tool is to find.
    expected: BTreeMap<Tool, Findings>,
    /// Why a tool finds something else than the truth; empty where all find it.
    pub(super) reason: String,
}

impl Case {
    /// What a tool is to find; `None` where the table leaves it open.
    pub(super) fn expected(&self, tool: Tool) -> Option<&Findings> {
        self.expected.get(&tool)
    }

    /// Whether something of that sort is wrong.
    pub(super) fn is_about(&self, group: Group) -> bool {
        self.truth.iter().any(|it| it.group == group)
    }
}

/// The folder of the sources and the table.
pub(super) fn folder() -> PathBuf {
    root().join("targets/cases")
}

/// All cases; an error if the table and the sources do not hold the same ones.
pub(super) fn read() -> Result<Vec<Case>, String> {
    let path = folder().join("cases.tsv");
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let cases = parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    let listed: BTreeSet<String> =
        cases.iter().map(|it| format!("{} {}", it.source, it.argument)).collect();
    let written = written(&cases.iter().map(|it| it.source.as_str()).collect())?;
    let names: BTreeSet<&str> = cases.iter().map(|it| it.name.as_str()).collect();
    if names.len() != cases.len() {
        return Err(format!("{}: two cases have the same name", path.display()));
    }
    match listed.symmetric_difference(&written).next() {
        Some(odd) => Err(format!("{odd}: in the table or in its source, not in both")),
        None => Ok(cases),
    }
}

/// The cases that the sources hold, `double_free.c again`.
fn written(sources: &BTreeSet<&str>) -> Result<BTreeSet<String>, String> {
    let mut written = BTreeSet::new();
    for source in sources {
        let path = folder().join(source);
        let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        let names = text.lines().filter_map(|line| line.strip_prefix("CASE(")?.split(')').next());
        written.extend(names.map(|name| format!("{source} {name}")));
    }
    Ok(written)
}

fn parse(text: &str) -> Result<Vec<Case>, String> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let header: Vec<&str> = lines.next().ok_or("empty")?.split('\t').collect();
    let tools: Vec<Tool> = match &header[..] {
        ["source", "case", "wrong", tools @ .., "reason"] => {
            tools.iter().map(|name| Tool::named(name)).collect::<Result<_, _>>()?
        }
        _ => return Err("another header was expected".into()),
    };
    lines.map(|line| case(line, &tools).map_err(|why| format!("{line}: {why}"))).collect()
}

fn case(line: &str, tools: &[Tool]) -> Result<Case, String> {
    let cells: Vec<&str> = line.split('\t').collect();
    let [source, argument, wrong, found @ .., reason] = &cells[..] else {
        return Err("cells are missing".into());
    };
    if found.len() != tools.len() {
        return Err(format!("{} tools were expected", tools.len()));
    }
    let truth = findings(wrong)?;
    let mut expected = BTreeMap::new();
    for (tool, cell) in tools.iter().zip(found).filter(|(_, cell)| **cell != "?") {
        expected.insert(*tool, if *cell == "+" { truth.clone() } else { findings(cell)? });
    }
    let is_open = expected.len() < tools.len();
    if reason.is_empty() && (is_open || expected.values().any(|it| *it != truth)) {
        return Err("a difference without a reason".into());
    }
    let stem = source.split('.').next().unwrap_or_default();
    Ok(Case {
        name: format!("{stem}/{argument}"),
        source: (*source).to_owned(),
        argument: (*argument).to_owned(),
        truth,
        expected,
        reason: (*reason).to_owned(),
    })
}

/// `-`, or words with commas between them.
fn findings(cell: &str) -> Result<Findings, String> {
    match cell {
        "-" => Ok(Findings::new()),
        words => words.split(',').map(Finding::new).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "# a comment\nsource\tcase\twrong\tplain\tmemcheck\treason\n";

    #[test]
    fn a_line_says_what_each_tool_finds() {
        let cases = parse(&format!("{HEADER}a.c\tx\toverflow_read\t-\t+\tonly plain\n")).unwrap();
        assert_eq!(cases[0].name, "a/x");
        assert!(cases[0].expected(Tool::Plain).unwrap().is_empty());
        assert_eq!(cases[0].expected(Tool::Memcheck), Some(&cases[0].truth));
        assert_eq!(cases[0].expected(Tool::Asan), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "a.c\tx\tdefinite\t+\t+",
            "a.c\tx\tloss\t+\t+\t",
            "a.c\tx\tdefinite\t+\t-\t",
            "a.c\tx\tdefinite\t+\t?\t",
        ] {
            assert!(parse(&format!("{HEADER}{line}\n")).is_err(), "{line}");
        }
        assert!(parse("source\tcase\twrong\tgdb\treason\n").is_err());
    }

    #[test]
    fn the_table_and_the_sources_agree() {
        assert!(read().unwrap().len() >= 120);
    }
}
