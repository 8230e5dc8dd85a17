//! The programs that the bench runs, installed where they are missing and can be; what stays missing is said, and
//! so is each row or column that goes without it.

use crate::command::output;
use crate::packages::{install, on_path};
use std::collections::BTreeSet;
use std::process::Command;

/// Debian's own, by its path: what else is called python3 may be a script that looks for the right one.
pub(super) const PYTHON: &str = "/usr/bin/python3";

/// A program and the Debian package that brings it.
const PROGRAMS: [(&str, &str); 10] = [
    ("gcc", "gcc"),
    ("g++", "g++"),
    (PYTHON, "python3"),
    ("clang++", "clang"),
    ("sqlite3", "sqlite3"),
    ("perl", "perl"),
    ("git", "git"),
    ("redis-server", "redis-server"),
    ("redis-benchmark", "redis-tools"),
    ("heaptrack", "heaptrack"),
];

/// What the bench may use.
pub(super) struct Programs {
    missing: BTreeSet<&'static str>,
}

impl Programs {
    pub(super) fn has(&self, program: &str) -> bool {
        !self.missing.contains(program)
    }

    /// Which heaptrack there is, and a sentence for each program that is missing.
    pub(super) fn notes(&self) -> impl Iterator<Item = String> {
        let heaptrack = output(Command::new("heaptrack").arg("-v")).ok();
        let beside = heaptrack.map(|version| format!("beside {}", version.trim()));
        beside.into_iter().chain(self.missing())
    }

    /// A sentence for each program that is missing.
    pub(super) fn missing(&self) -> impl Iterator<Item = String> {
        let missing = self.missing.iter();
        missing.map(|it| format!("{it} is not installed: its rows or columns are empty"))
    }
}

/// Looks for all programs; with `may_install`, what is missing is installed first, where apt-get can.
pub(super) fn find(may_install: bool) -> Programs {
    let mut missing = missing();
    if may_install && !missing.is_empty() {
        let of_it = PROGRAMS.iter().filter(|(program, _)| missing.contains(program));
        let mut packages: Vec<&str> = of_it.map(|(_, package)| *package).collect();
        packages.dedup();
        if let Err(why) = install(&packages) {
            println!("bench: could not install what is missing: {why}");
        }
        missing = self::missing();
    }
    Programs { missing }
}

fn missing() -> BTreeSet<&'static str> {
    let programs = PROGRAMS.iter().map(|(program, _)| *program);
    programs.filter(|it| !on_path(it)).collect()
}
