//! Lines of source files: only of files that the tape's debug information names, and only of plain ones.

use heaptape_analysis::stacks::Stacks;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Larger files are not shown.
const MOST_BYTES: u64 = 16 << 20;
/// Lines that are sent before and after the one that is looked at.
const AROUND: usize = 5000;

/// That files below one folder are below another one here: `from=to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    from: String,
    to: PathBuf,
}

impl FromStr for Moved {
    type Err = String;

    fn from_str(text: &str) -> Result<Moved, String> {
        match text.split_once('=') {
            Some((from, to)) if !from.is_empty() && !to.is_empty() => {
                Ok(Moved { from: from.to_owned(), to: to.into() })
            }
            _ => Err("expected the folder on the tape and the one here: /build/src=/home/me/src"
                .to_owned()),
        }
    }
}

impl Moved {
    /// Where a file is by this; `None` where it does not say.
    fn place(&self, file: &str) -> Option<PathBuf> {
        let rest = file.strip_prefix(self.from.trim_end_matches('/'))?;
        let below = rest.strip_prefix('/')?;
        // The tape's word must not lead out of the folder.
        let inside =
            Path::new(below).components().all(|it| matches!(it, std::path::Component::Normal(_)));
        inside.then(|| self.to.join(below))
    }
}

/// `SourceView` of types.ts: the lines around the one of a frame.
pub(super) fn view(moved: &[Moved], stacks: &Stacks, frame: usize) -> Value {
    let known = stacks.frames.get(frame).map(|known| &known.frame);
    let file = known.and_then(|frame| frame.file.as_deref()).unwrap_or_default();
    let line = known.map_or(0, |frame| frame.line as usize);
    let none = |why: &str, searched: &[PathBuf]| {
        let searched: Vec<String> =
            searched.iter().map(|path| path.display().to_string()).collect();
        json!({ "file": file, "first": 0, "lines": [], "missing": why, "searched": searched })
    };
    if file.is_empty() {
        return none("The debug information does not say which file this function is from.", &[]);
    }
    let mut places: Vec<PathBuf> = moved.iter().filter_map(|moved| moved.place(file)).collect();
    places.push(file.into());
    let absolute = |path: &&PathBuf| path.is_absolute();
    let Some(text) = places.iter().filter(absolute).find_map(|path| read(path).ok()) else {
        return none(
            "The file is not here; where it lies can be said with --source-map FROM=TO.",
            &places,
        );
    };
    let first = line.saturating_sub(AROUND).max(1);
    let lines: Vec<&str> = text.lines().skip(first - 1).take(2 * AROUND + 1).collect();
    json!({ "file": file, "first": first, "lines": lines, "missing": null, "searched": [] })
}

fn read(path: &Path) -> io::Result<String> {
    // A pipe would be waited for already when it is opened.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_leads_nowhere_else() {
        let moved: Moved = "/build/=/src".parse().unwrap();
        assert_eq!(moved.place("/build/a/b.c"), Some("/src/a/b.c".into()));
        for file in ["/build", "/builder/a.c", "/build/../etc/passwd", "/build//etc/passwd", "b.c"]
        {
            assert_eq!(moved.place(file), None, "{file}");
        }
        assert!("x".parse::<Moved>().is_err() && "=y".parse::<Moved>().is_err());
    }
}
