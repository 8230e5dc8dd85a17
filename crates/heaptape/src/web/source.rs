//! Lines of source files: only of those that the tape's debug information names ([`SourcePaths`]).

use crate::glue::sources::SourcePaths;
use heaptape_analysis::stacks::Stacks;
use serde_json::{Value, json};

/// Lines that are sent before and after the one that is looked at.
const AROUND: usize = 5000;

/// `SourceView` of types.ts: the lines around the one of a frame.
pub(super) fn view(paths: &SourcePaths, stacks: &Stacks, frame: usize) -> Value {
    let known = stacks.frames.get(frame).map(|known| &known.frame);
    let file = known.and_then(|frame| frame.file.as_deref()).unwrap_or_default();
    let line = known.map_or(0, |frame| frame.line as usize);
    let none = |why: &str, searched: Vec<String>| json!({ "file": file, "first": 0, "lines": [], "missing": why, "searched": searched });
    if file.is_empty() {
        let why = "The debug information does not say which file this function is from.";
        return none(why, Vec::new());
    }
    let Some(text) = paths.read(file) else {
        let places = paths.places(file).iter().map(|path| path.display().to_string()).collect();
        return none(
            "The file is not here; where it lies can be said with --source-map FROM=TO.",
            places,
        );
    };
    let first = line.saturating_sub(AROUND).max(1);
    let lines: Vec<&String> = text.iter().skip(first - 1).take(2 * AROUND + 1).collect();
    json!({ "file": file, "first": first, "lines": lines, "missing": null, "searched": [] })
}
