//! Compiles the sources of the cases as their `build:` lines say, plainly and with gcc's sanitizers, once per change.

use super::table::{Case, folder};
use crate::command::root;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

/// Where the programs are.
pub(super) struct Programs {
    folder: PathBuf,
}

impl Programs {
    pub(super) fn plain(&self, source: &str) -> PathBuf {
        self.folder.join(source.replace('.', "_"))
    }

    pub(super) fn sanitized(&self, source: &str) -> PathBuf {
        self.folder.join(format!("{}_asan", source.replace('.', "_")))
    }
}

/// Builds what the cases need. `words`: appended to each build line (`-O2`).
pub(super) fn programs(
    cases: &[Case],
    sanitized: bool,
    words: &[String],
) -> Result<Programs, String> {
    let name = format!("target/cases/programs{}", words.concat());
    let programs = Programs { folder: root().join(name) };
    fs::create_dir_all(&programs.folder)
        .map_err(|e| format!("{}: {e}", programs.folder.display()))?;
    let sources: BTreeSet<&str> = cases.iter().map(|it| it.source.as_str()).collect();
    std::thread::scope(|scope| {
        let builds: Vec<_> = sources
            .into_iter()
            .map(|source| {
                let programs = &programs;
                scope.spawn(move || {
                    compile(source, &programs.plain(source), words)?;
                    if !sanitized {
                        return Ok(());
                    }
                    let more = [words, &["-fsanitize=address,leak".to_owned()]].concat();
                    compile(source, &programs.sanitized(source), &more)
                })
            })
            .collect();
        builds.into_iter().try_for_each(|it| it.join().expect("a build does not panic"))
    })?;
    Ok(programs)
}

fn compile(source: &str, program: &Path, words: &[String]) -> Result<(), String> {
    let source = folder().join(source);
    let newest = modified(&source).max(modified(&folder().join("case.h")));
    if modified(program) > newest {
        return Ok(());
    }
    let text = fs::read_to_string(&source).map_err(|e| format!("{}: {e}", source.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("// build: "));
    let line = line.ok_or_else(|| format!("{}: no build line", source.display()))?;
    let mut own = line.split_whitespace();
    let compiler = own.next().ok_or_else(|| format!("{}: empty build line", source.display()))?;
    let mut command = Command::new(compiler);
    let output = command.args(own).args(words).arg("-o").arg(program).arg(&source).output();
    let output = output.map_err(|e| format!("{command:?}: {e}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// When a file was written last; `None` when there is none, which is before all others.
fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|it| it.modified()).ok()
}
