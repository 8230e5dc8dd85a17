//! `cargo xtask cases`: programs with one mistake each and their good twins, looked at by heaptape in all its modes
//! and by memcheck and gcc's sanitizers beside it.
//!
//! `targets/cases/cases.tsv` says what each is to find. What heaptape finds otherwise fails the run; the others are
//! as they are. The short form, heaptape alone, is a part of `cargo xtask test`.

mod asan;
mod build;
mod finding;
mod heaptape;
mod judge;
mod memcheck;
mod options;
mod process;
mod report;
mod table;
mod tool;

use crate::command::{cargo, root, succeed};
use crate::packages::{install, on_path};
use build::Programs;
use finding::Group;
use judge::Look;
use options::Options;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use table::Case;
use tool::{Tool, Twin};

/// Runs the cases as the words after `cases` say.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    look(Options::parse(words)?)
}

/// The cases that every change must pass.
pub(crate) fn short() -> Result<(), String> {
    look(Options::short())
}

fn look(options: Options) -> Result<(), String> {
    println!("==> cases{}", if options.short { " --short" } else { "" });
    let mut cases = table::read()?;
    cases.retain(|it| options.only.as_ref().is_none_or(|only| it.name.contains(only)));
    if options.tools.contains(&Tool::Memcheck) {
        have_valgrind()?;
    }
    succeed(&mut cargo(&["build", "--release", "-p", "heaptape"]))?;
    let heaptape = root().join("target/release/heaptape");
    let programs = build::programs(&cases, options.tools.contains(&Tool::Asan), &options.build)?;
    let looks = look_at_all(&cases, &programs, &heaptape, &options);
    let faults = report::show(&looks, &options)?;
    match faults.len() {
        0 => Ok(()),
        count => Err(format!("cases: {count} faults\n{}", faults.join("\n"))),
    }
}

fn have_valgrind() -> Result<(), String> {
    if on_path("valgrind") { Ok(()) } else { install(&["valgrind"]) }
}

/// Each case by each tool, in the order of the table; as many cases at once as was asked for.
fn look_at_all<'a>(
    cases: &'a [Case],
    programs: &Programs,
    heaptape: &Path,
    options: &Options,
) -> Vec<Look<'a>> {
    let tasks: Vec<(&Case, Tool)> = cases
        .iter()
        .flat_map(|case| options.tools.iter().map(move |tool| (case, *tool)))
        .filter(|(case, tool)| !options.short || is_worth_it(case, *tool))
        .collect();
    let next = AtomicUsize::new(0);
    let looks = Mutex::new(Vec::with_capacity(tasks.len()));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some((case, tool)) = tasks.get(next.fetch_add(1, Relaxed)) {
                    let look = |twin| tool.look(case, twin, programs, heaptape);
                    let look = Look {
                        case,
                        tool: *tool,
                        bad: look(Twin::Bad),
                        good: Some(look(Twin::Good)),
                    };
                    looks.lock().expect("no look panics").push(look);
                }
            });
        }
    });
    let mut looks = looks.into_inner().expect("no look panics");
    looks.sort_by(|a, b| (&a.case.name, a.tool).cmp(&(&b.case.name, b.tool)));
    looks
}

/// Whether a mode of heaptape adds to what the plain one says of a case: the table has it find something there.
fn is_worth_it(case: &Case, tool: Tool) -> bool {
    let finds = || case.expected(tool).is_some_and(|found| !found.is_empty());
    tool == Tool::Plain || case.is_about(Group::Access) && finds()
}
