//! The programs that the bench runs, installed where they are missing and can be; what stays missing is said, and
//! so is each row or column that goes without it.

use super::process::{checked, output};
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
        let missing = self.missing.iter();
        let missing =
            missing.map(|it| format!("{it} is not installed: its rows or columns are empty"));
        beside.into_iter().chain(missing)
    }
}

/// Looks for all programs; with `install`, what is missing is installed first, where apt-get can.
pub(super) fn find(install: bool) -> Programs {
    let mut missing = missing();
    if install && !missing.is_empty() {
        if let Err(why) = apt_get(&missing) {
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

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Joining a whole path gives that path.
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn apt_get(missing: &BTreeSet<&str>) -> Result<(), String> {
    if !on_path("apt-get") {
        return Err("there is no apt-get; please install them yourself".into());
    }
    let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
    if !is_root && !on_path("sudo") {
        return Err("not root, and there is no sudo".into());
    }
    let mut packages: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| missing.contains(program))
        .map(|(_, package)| *package)
        .collect();
    packages.dedup();
    println!("bench: installing {}", packages.join(" "));
    let apt = |words: &[&str]| {
        let prefix: &[&str] = if is_root { &["env"] } else { &["sudo", "env"] };
        let mut command = Command::new(prefix[0]);
        command.args(&prefix[1..]).arg("DEBIAN_FRONTEND=noninteractive").arg("apt-get");
        checked(command.args(words))
    };
    apt(&["update", "-qq"])?;
    apt(&[&["install", "-y", "-qq", "--no-install-recommends"], &packages[..]].concat())
}
