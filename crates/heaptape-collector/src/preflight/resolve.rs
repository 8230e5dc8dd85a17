//! Which file a command names: PATH, and the `#!` lines that lead on.

use super::*;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Why a command names no file that can run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    NotFound,
    NotExecutable(PathBuf, String),
}

/// Most interpreters in a row, as the kernel has it.
const MAX_INTERPRETERS: usize = 5;
/// Longest first line, as the kernel has it.
const MAX_FIRST_LINE: u64 = 256;
/// Where commands are looked for when PATH is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The file that a command names, as `execvp` finds it.
pub(crate) fn resolve(program: &OsStr, cwd: &Path) -> Result<PathBuf, Missing> {
    if program.is_empty() {
        return Err(Missing::NotFound);
    }
    if program.as_bytes().contains(&b'/') {
        return executable(cwd, Path::new(program)).map(|()| PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from(DEFAULT_PATH));
    let mut answer = Missing::NotFound;
    for directory in std::env::split_paths(&path) {
        let candidate = directory.join(program);
        // An empty entry is the working directory; it needs a slash to stay one.
        let candidate =
            if directory.as_os_str().is_empty() { Path::new(".").join(program) } else { candidate };
        match executable(cwd, &candidate) {
            Ok(()) => return Ok(candidate),
            Err(Missing::NotFound) => {}
            Err(refused) if answer == Missing::NotFound => answer = refused,
            Err(_) => {}
        }
    }
    Err(answer)
}

fn executable(cwd: &Path, path: &Path) -> Result<(), Missing> {
    let full = cwd.join(path);
    let refused = |why: String| Err(Missing::NotExecutable(path.to_path_buf(), why));
    match fs::metadata(&full) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            refused(error.to_string())
        }
        Err(_) => Err(Missing::NotFound),
        Ok(file) if file.is_dir() => refused("it is a directory".into()),
        Ok(file) if !file.is_file() => refused("it is not a regular file".into()),
        Ok(_) if !crate::sys::fd::may_execute(&full) => refused("permission denied".into()),
        Ok(_) => Ok(()),
    }
}

/// The chain of interpreters of a script; empty for a binary.
pub(super) fn interpreters(program: &Path, cwd: &Path) -> Result<Vec<PathBuf>, String> {
    let mut chain: Vec<PathBuf> = Vec::new();
    loop {
        let file = cwd.join(chain.last().map_or(program, PathBuf::as_path));
        let Some(next) = interpreter(&file) else { return Ok(chain) };
        if executable(cwd, &next).is_err() {
            return Err(format!("its interpreter {} cannot be executed", next.display()));
        }
        chain.push(cwd.join(next));
        if chain.len() > MAX_INTERPRETERS {
            return Err("its interpreters lead to no program".into());
        }
    }
}

/// The interpreter that a file's first line names; a text without one is for the shell.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let mut start = Vec::new();
    fs::File::open(file).ok()?.take(MAX_FIRST_LINE).read_to_end(&mut start).ok()?;
    if start.starts_with(b"\x7fELF") {
        return None;
    }
    let Some(line) = start.strip_prefix(b"#!") else {
        // As execvp and shells do it.
        return (!start.contains(&0)).then(|| "/bin/sh".into());
    };
    let line = line.split(|&b| b == b'\n').next().unwrap_or_default();
    let mut words = line.split(|b| b" \t\r".contains(b)).filter(|word| !word.is_empty());
    let first = words.next()?;
    // The one interpreter that everybody knows to run another program.
    if first.ends_with(b"/env")
        && let Some(name) = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))
        && let Ok(path) = resolve(OsStr::from_bytes(name), Path::new("."))
    {
        return Some(path);
    }
    Some(PathBuf::from(OsString::from_vec(first.to_vec())))
}
