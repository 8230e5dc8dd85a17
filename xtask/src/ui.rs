//! `cargo xtask ui`: the page of `heaptape report` and `heaptape ui`, made of its sources in `ui/`.
//!
//! The bundle is committed, so that building heaptape needs no Node. This task is the only way to make it; `--check`
//! proves that it is what the sources give, and tries the page in a browser.

use crate::command::{checked, root, succeed};
use crate::packages::on_path;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The bundle's files.
const BUNDLE: [&str; 2] = ["app.js", "app.css"];
/// What a page with no data may weigh, minified.
const MOST_BYTES: u64 = 400 << 10;

/// Makes the bundle, or with `--check` compares it and runs the page's tests.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    match words {
        [] => make(&assets()),
        [word] if word == "--check" => check(),
        _ => Err("usage: cargo xtask ui [--check]".to_owned()),
    }
}

/// That the bundle is what its sources give; types, tests of its parts, and the whole page in a browser.
pub(crate) fn check() -> Result<(), String> {
    let made = root().join("target/ui");
    make(&made)?;
    for file in BUNDLE {
        if read(&made.join(file))? != read(&assets().join(file))? {
            return Err(format!(
                "{file} is not what ui/ gives: run `cargo xtask ui` and commit it"
            ));
        }
    }
    let bytes = read(&assets().join("app.js"))?.len() as u64;
    if bytes > MOST_BYTES {
        return Err(format!("app.js has {bytes} bytes, more than {MOST_BYTES}"));
    }
    checked(npm(&["run", "--silent", "check"]).current_dir(folder()))?;
    checked(npm(&["run", "--silent", "test"]).current_dir(folder()))?;
    let built = ["build", "--release", "-p", "heaptape", "--bins", "--examples"];
    succeed(&mut crate::command::cargo(&built))?;
    checked(npm(&["run", "--silent", "e2e"]).current_dir(folder()))
}

fn make(into: &Path) -> Result<(), String> {
    if !on_path("npm") {
        return Err("the page is made with Node and npm: apt-get install nodejs npm".to_owned());
    }
    let (folder, lock) = (folder(), "node_modules/.package-lock.json");
    let changed = |file: &str| fs::metadata(folder.join(file)).and_then(|it| it.modified()).ok();
    if changed(lock).is_none_or(|installed| changed("package-lock.json") > Some(installed)) {
        checked(npm(&["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    }
    checked(Command::new("node").arg("build.mjs").arg(into).current_dir(&folder))
}

fn npm(words: &[&str]) -> Command {
    println!("==> npm {}", words.join(" "));
    let mut command = Command::new("npm");
    command.args(words);
    command
}

fn folder() -> std::path::PathBuf {
    root().join("ui")
}

fn assets() -> std::path::PathBuf {
    root().join("crates/heaptape-report/assets")
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}
