//! What heaptape finds in each of its modes, from its JSON.

use super::finding::Finding;
use super::process::Scratch;
use super::tool::{Seen, Tool};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// All leaks, whether they are errors or not.
const LEAKS: [&str; 5] = ["leaks", "--show-leak-kinds=all", "--top", "1000", "--depth=64"];

pub(super) fn look(
    heaptape: &Path,
    mode: Tool,
    program: &Path,
    words: [&str; 2],
    scratch: &Scratch,
) -> Result<Seen, String> {
    let mut run = Command::new(heaptape);
    run.args(["run", "-o", "T.tape"]).args(mode.options()).arg("--").arg(program).args(words);
    let ended = scratch.run(&mut run)?;
    if !scratch.path().join("T.tape").exists() {
        return Err(format!("{run:?}: no tape; {}", ended.output));
    }
    let mut seen = Seen::default();
    for (command, read) in
        [(&["errors"][..], errors as fn(&Value, &mut Seen)), (&["crash"], crashes), (&LEAKS, leaks)]
    {
        for result in results(heaptape, command, scratch)? {
            read(&result, &mut seen);
        }
    }
    Ok(seen)
}

/// The results of `heaptape COMMAND T.tape --json`, one for each process.
fn results(heaptape: &Path, command: &[&str], scratch: &Scratch) -> Result<Vec<Value>, String> {
    let mut reading = Command::new(heaptape);
    reading.args(command).args(["T.tape", "--process", "all", "--json"]);
    let ended = scratch.run(&mut reading)?;
    let document: Value = serde_json::from_str(&ended.output)
        .map_err(|e| format!("{reading:?}: {e}; {}", ended.output))?;
    let results = document["results"].as_array();
    Ok(results.ok_or_else(|| format!("{reading:?}: no results"))?.clone())
}

/// Wrong frees, and the overwrites that guards show.
fn errors(result: &Value, seen: &mut Seen) {
    for error in list(&result["errors"]) {
        let word = match error["kind"].as_str().unwrap_or_default() {
            "double_free" | "realloc_of_freed" | "freed_after_move" | "realloc_race" => {
                "double_free"
            }
            "mismatched" | "wrong_size" | "wrong_alignment" => "mismatched_free",
            _ => "invalid_free",
        };
        seen.findings.insert(Finding::known(word));
    }
    for overwrite in list(&result["overwrites"]) {
        let word = match overwrite["kind"].as_str().unwrap_or_default() {
            "overflow" => "overflow_write",
            "underflow" => "underflow_write",
            _ => "use_after_free_write",
        };
        seen.findings.insert(Finding::known(word));
    }
}

/// A crash that is about a block is an access error; any other is told by its signal and what it means.
fn crashes(result: &Value, seen: &mut Seen) {
    for crash in list(&result["crashes"]) {
        let kind = crash["verdict"]["kind"].as_str().unwrap_or_default();
        let way = crash["access"].as_str().unwrap_or_default();
        let about_block = matches!(kind, "overflow" | "underflow" | "use_after_free");
        seen.findings.insert(match Finding::new(&format!("{kind}_{way}")) {
            Ok(finding) if about_block => finding,
            _ => {
                let signal = Finding::signal(crash["signal"].as_i64().unwrap_or_default() as i32);
                Finding { word: format!("{}:{kind}", signal.word), ..signal }
            }
        });
    }
}

/// The bytes of each class; of what is reachable only what the program asked for itself. Language runtimes keep
/// blocks on purpose, and memcheck has them freed before it looks.
fn leaks(result: &Value, seen: &mut Seen) {
    for record in list(&result["records"]) {
        let word = record["kind"].as_str().unwrap_or_default();
        let own = list(&record["backtrace"])
            .any(|frame| frame["module"].as_str().is_some_and(|module| !module.contains(".so")));
        if own || word != "reachable" {
            seen.findings.insert(Finding::known(word));
            let bytes = record["bytes"].as_u64().unwrap_or_default();
            *seen.leaked.entry(word.to_owned()).or_default() += bytes;
        }
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
