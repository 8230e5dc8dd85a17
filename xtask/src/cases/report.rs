//! What was found, in tables: on the terminal, and kept in `bench/CASES.md`.

use super::finding::words;
use super::judge::Look;
use super::options::Options;
use super::table::Case;
use super::tool::Tool;
use crate::command::{output, root};
use crate::markdown::table;
use crate::provenance;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

const HEADER: &str = "\
# Cases

What `cargo xtask cases --write` saw: programs with one mistake each (`targets/cases/`) and their good twins, looked
at by heaptape in its modes, by memcheck and by gcc's address and leak sanitizers, one after the other. Detected is a
mistake whose kind, end of the block and way of access are all named rightly; a false alarm is anything said of a good
twin, or said of a bad one and not explained by its mistake. Blocks that are reachable at the end are no error.
";

/// What follows in `bench/CASES.md` is written by hand and stays.
const BY_HAND: &str = "\n## Built with -O2\n";

/// Shows the looks, keeps them if that was asked for, and says what is not as the table has it: the faults of
/// heaptape. What the others find otherwise is a remark.
pub(super) fn show(looks: &[Look], options: &Options) -> Result<Vec<String>, String> {
    let text = entry(looks, options);
    println!("\n{text}");
    if options.write {
        let path = root().join("bench/CASES.md");
        let heading = format!("{HEADER}\n{}\n\n", made_by());
        let old = fs::read_to_string(&path).unwrap_or_default();
        let by_hand = old.find(BY_HAND).map_or("", |at| &old[at..]);
        fs::write(&path, heading + &text + by_hand)
            .map_err(|e| format!("{}: {e}", path.display()))?;
    }
    let (ours, others): (Vec<&Look>, Vec<&Look>) = looks.iter().partition(|it| it.tool.is_ours());
    for remark in others.iter().flat_map(|it| it.faults()) {
        println!("remark: {remark}");
    }
    Ok(ours.iter().flat_map(|it| it.faults()).collect())
}

fn made_by() -> String {
    let version = |program: &str| {
        let text = output(Command::new(program).arg("--version")).unwrap_or_default();
        text.lines().next().unwrap_or("?").to_owned()
    };
    format!(
        "{}, commit {}, on {}; {}; {}.",
        provenance::date(),
        provenance::commit(),
        provenance::machine(),
        version("gcc"),
        version("valgrind")
    )
}

fn entry(looks: &[Look], options: &Options) -> String {
    let mut text = format!("## Detected, of all mistakes\n\n{}", detected(looks, options));
    text += &format!("\n## False alarms\n\n{}", false_alarms(looks, options));
    if !options.short {
        if [Tool::Plain, Tool::Memcheck].iter().all(|it| options.tools.contains(it)) {
            text += &format!("\n## Bytes of leaks\n\n{}", leaks(looks));
        }
        text += &format!("\n## Known differences\n\n{}", differences(looks));
    }
    text
}

/// A row for each kind of mistake: how many of them each tool detected.
fn detected(looks: &[Look], options: &Options) -> String {
    let mut rows: BTreeMap<(bool, &str), Vec<&Look>> = BTreeMap::new();
    for look in looks {
        rows.entry((false, kind(look.case))).or_default().push(look);
        rows.entry((true, "all")).or_default().push(look);
    }
    let head: Vec<&str> = ["mistake"]
        .into_iter()
        .chain(options.tools.iter().map(|it| it.name()))
        .chain(["any of heaptape's"])
        .collect();
    table(
        &head,
        rows.into_iter().map(|((_, kind), looks)| {
            let of = |tool: Tool| share(looks.iter().copied().filter(|it| it.tool == tool));
            let cells = options.tools.iter().map(|tool| of(*tool));
            [kind.to_owned()].into_iter().chain(cells).chain([any_of_ours(&looks)]).collect()
        }),
    )
}

fn kind(case: &Case) -> &str {
    // A mistake may have several findings (a list that is lost, and what it leads to): the first word in order
    // names it, and `definite` goes before what it leads to.
    let lost = case.truth.iter().find(|it| it.word == "definite");
    lost.or(case.truth.first()).map_or("nothing wrong", |it| it.kind())
}

fn share<'a>(looks: impl Iterator<Item = &'a Look<'a>>) -> String {
    let (mut found, mut all) = (0, 0);
    for look in looks {
        found += usize::from(look.detected());
        all += 1;
    }
    if all == 0 { String::new() } else { format!("{found}/{all}") }
}

fn any_of_ours(looks: &[&Look]) -> String {
    let mut cases: BTreeMap<&str, bool> = BTreeMap::new();
    for look in looks.iter().filter(|it| it.tool.is_ours()) {
        *cases.entry(&look.case.name).or_default() |= look.detected();
    }
    format!("{}/{}", cases.values().filter(|it| **it).count(), cases.len())
}

fn false_alarms(looks: &[Look], options: &Options) -> String {
    let head = ["tool", "programs", "false alarms"];
    let mut text = table(
        &head,
        options.tools.iter().map(|tool| {
            let of_it: Vec<&Look> = looks.iter().filter(|it| it.tool == *tool).collect();
            let alarms: usize = of_it.iter().map(|it| it.false_alarms().len()).sum();
            vec![tool.name().to_owned(), (2 * of_it.len()).to_string(), alarms.to_string()]
        }),
    );
    for look in looks {
        for alarm in look.false_alarms() {
            text += &format!("\n* {} by {}: {alarm}", look.case.name, look.tool.name());
        }
    }
    text + "\n"
}

/// The bytes of each class, where heaptape and memcheck differ.
fn leaks(looks: &[Look]) -> String {
    let seen = |tool: Tool| {
        looks
            .iter()
            .filter(move |it| it.tool == tool)
            .filter_map(|it| Some((it.case, it.bad.as_ref().ok()?)))
    };
    let theirs: BTreeMap<&str, _> =
        seen(Tool::Memcheck).map(|(case, seen)| (case.name.as_str(), &seen.leaked)).collect();
    let (mut same, mut rows) = (0, Vec::new());
    for (case, ours) in seen(Tool::Plain).filter(|(case, _)| case.is_about(super::Group::Leak)) {
        let Some(theirs) = theirs.get(case.name.as_str()) else { continue };
        let classes: BTreeSet<&String> = ours.leaked.keys().chain(theirs.keys()).collect();
        let bytes = |of: &BTreeMap<String, u64>| {
            let cells = classes.iter().map(|it| format!("{} {it}", of.get(*it).unwrap_or(&0)));
            cells.collect::<Vec<_>>().join(", ")
        };
        if ours.leaked == **theirs {
            same += 1;
        } else {
            rows.push(vec![case.name.clone(), bytes(&ours.leaked), bytes(theirs)]);
        }
    }
    let mut text = format!("The same in each class as memcheck's in {same} cases");
    if rows.is_empty() {
        return text + ", which are all.\n";
    }
    text += "; not in these:\n\n";
    text + &table(&["case", "heaptape", "memcheck"], rows)
}

/// Where the table has a tool find something else than what is wrong, and why; cases with the same are one line.
fn differences(looks: &[Look]) -> String {
    let mut reasons: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for case in looks.iter().map(|it| it.case).filter(|it| !it.reason.is_empty()) {
        if !seen.insert(&case.name) {
            continue;
        }
        let tools = Tool::ALL.into_iter().filter_map(|tool| {
            let found = case.expected(tool).filter(|it| **it != case.truth)?;
            Some(match found.is_empty() {
                true => format!("not by {}", tool.name()),
                false => format!("{} by {}", words(found), tool.name()),
            })
        });
        let tools = tools.collect::<Vec<_>>().join(", ");
        reasons.entry((&case.reason, tools)).or_default().push(&case.name);
    }
    let lines = reasons
        .into_iter()
        .map(|((reason, tools), cases)| format!("* {reason} ({tools}): {}\n", cases.join(", ")));
    lines.collect()
}
