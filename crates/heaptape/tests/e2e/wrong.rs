//! What `heaptape errors` says of a recorded run.

use super::run::Outcome;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The results of all processes of a tape.
pub(crate) fn errors(tape: &Path) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_heaptape"))
        .args(["errors", "--json", "--process", "all"])
        .arg(tape)
        .output()
        .expect("heaptape errors");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["schema"], "heaptape.errors/1");
    document["results"].as_array().expect("results").clone()
}

/// The errors of all processes of a recorded run.
pub(crate) fn all_errors(recorded: &Outcome) -> Vec<Value> {
    let of = |result: &Value| result["errors"].as_array().expect("errors").clone();
    errors(&recorded.tape()).iter().flat_map(of).collect()
}

/// Nothing was freed wrongly, and nothing is undecided.
pub(crate) fn none(tape: &Path) {
    for result in errors(tape) {
        let counts = ["total", "undecided_total", "unexamined"].map(|key| &result[key]);
        assert!(counts.iter().all(|count| **count == 0), "{result:#}");
    }
}
