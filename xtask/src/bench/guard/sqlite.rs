//! sqlite3's shell, twice from Debian's source: plain and for ASan, so that the two can be compared.

use super::programs::ASAN;
use crate::bench::Bench;
use crate::packages::{install, on_path};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// For both.
pub(super) const FLAGS: &str = "-O2";

/// Leaves `sqlite3.c` and `shell.c` in a folder. Lists and sources of packages are this script's own: the machine's
/// stay as they are.
const SOURCE: &str = r#"
    rm -rf "$1"; mkdir -p "$1/lists/partial" "$1/tree"; cd "$1"
    . /etc/os-release
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb-src [signed-by=$key] http://deb.debian.org/debian $VERSION_CODENAME main" > sources.list
    set -- -qq -o Dir::Etc::sourceparts=/dev/null -o Dir::Etc::sourcelist="$PWD/sources.list" \
        -o Dir::State::lists="$PWD/lists"
    apt-get "$@" update
    apt-get "$@" source --download-only sqlite3
    tar -xf sqlite3_*.orig.tar.* -C tree --strip-components 1
    cd tree
    ./configure -q --disable-tcl
    make -s sqlite3.c shell.c
"#;

/// The plain shell and that for ASan, built where they are not yet there.
pub(super) fn built(bench: &Bench) -> Result<(PathBuf, PathBuf), String> {
    let folder = bench.scratch.join("sqlite3-source");
    let programs = ["plain", "asan"].map(|name| bench.scratch.join(format!("sqlite3-{name}")));
    if !programs.iter().all(|it| it.exists()) {
        println!("==> guard: building sqlite3 from Debian's source");
        if !on_path("tclsh") {
            install(&["tcl"])?;
        }
        let mut fetch = Command::new("sh");
        logged(bench, fetch.args(["-ec", SOURCE, "sh"]).arg(&folder))?;
        compile(bench, &folder, &[], &programs[0])?;
        compile(bench, &folder, &ASAN, &programs[1])?;
    }
    let [plain, asan] = programs;
    Ok((plain, asan))
}

fn compile(bench: &Bench, folder: &Path, words: &[&str], to: &Path) -> Result<(), String> {
    let mut command = Command::new("gcc");
    command.arg(FLAGS).args(words).args(["shell.c", "sqlite3.c", "-o"]).arg(to);
    command.args(["-lpthread", "-ldl", "-lm"]).current_dir(folder.join("tree"));
    logged(bench, &mut command)
}

/// Runs a command, what it says kept in a file; its last line is the error.
fn logged(bench: &Bench, command: &mut Command) -> Result<(), String> {
    let log = bench.create("sqlite3-log")?;
    let errors = log.try_clone().map_err(|e| e.to_string())?;
    let status = command.stdin(Stdio::null()).stdout(log).stderr(errors).status();
    if status.map_err(|e| e.to_string())?.success() {
        return Ok(());
    }
    let said = fs::read(bench.scratch.join("sqlite3-log")).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    Err(said.trim_end().lines().last().unwrap_or("its source could not be had").to_owned())
}
