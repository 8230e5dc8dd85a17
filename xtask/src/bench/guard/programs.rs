//! What is run: an interpreter, a compiler, a data base, and a program that does nothing but use small blocks.

use super::sqlite;
use crate::bench::Bench;
use crate::bench::needs::Programs;
use crate::bench::options::Options;
use crate::bench::workloads::{self, GCC, PYTHON, SQLITE, TREE, Workload};
use std::path::PathBuf;

/// In the order of the tables.
const PROGRAMS: [&str; 4] = [PYTHON, GCC, SQLITE, TREE];

/// How programs are compiled for ASan: as its manual recommends, and optimised as the others are.
pub(super) const ASAN: [&str; 3] = ["-g", "-fsanitize=address", "-fno-omit-frame-pointer"];

/// A workload of the bench.
pub(super) struct Program {
    pub(super) workload: Workload,
    /// The same program compiled for ASan.
    pub(super) rebuilt: Option<PathBuf>,
}

impl Program {
    pub(super) fn name(&self) -> &'static str {
        self.workload.name
    }
}

/// All that can be run, built for ASan where their sources can be had; a note for each where they cannot.
pub(super) fn all(
    bench: &Bench,
    options: &Options,
    installed: &Programs,
    notes: &mut Vec<String>,
) -> Result<Vec<Program>, String> {
    let wanted = |name: &str| PROGRAMS.contains(&name) && options.wants(name);
    let mut all = Vec::new();
    for workload in workloads::chosen(bench, options.short, &wanted, installed, notes)? {
        let mut program = Program { workload, rebuilt: None };
        let words = &mut program.workload.command;
        match program.workload.name {
            TREE => match workloads::built_with(bench, "tree", &ASAN, "-asan") {
                Ok(rebuilt) => program.rebuilt = Some(rebuilt),
                Err(why) => notes.push(format!("tree could not be built for ASan: {why}")),
            },
            SQLITE => match sqlite::built(bench) {
                Ok((plain, rebuilt)) => {
                    words[0] = plain.display().to_string();
                    program.rebuilt = Some(rebuilt);
                    notes.push(format!("sqlite3 is built from Debian's source, {}", sqlite::FLAGS));
                }
                Err(why) => notes.push(format!("sqlite3 is the installed one: {why}")),
            },
            // What it compiles to is what it prints, which is compared.
            GCC => *words.last_mut().expect("an output") = "-".into(),
            _ => {}
        }
        all.push(program);
    }
    all.sort_by_key(|it| PROGRAMS.iter().position(|name| *name == it.name()));
    Ok(all)
}
