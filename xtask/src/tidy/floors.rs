//! Which crate may use which: the table of ARCHITECTURE.md, and that the documents know each crate.

use crate::command::cargo;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A crate, and what of the workspace it may depend on.
struct Floor {
    name: &'static str,
    may_use: &'static [&'static str],
    /// Whether it may depend on crates from outside (tests may, in any crate).
    outside: bool,
}

const FLOORS: [Floor; 9] = [
    Floor { name: "heaptape-wire", may_use: &[], outside: false },
    Floor { name: "heaptape-recorder", may_use: &["heaptape-wire"], outside: false },
    Floor {
        name: "heaptape-preload",
        may_use: &["heaptape-recorder", "heaptape-wire"],
        outside: false,
    },
    Floor { name: "heaptape-tape", may_use: &[], outside: true },
    Floor {
        name: "heaptape-collector",
        may_use: &["heaptape-wire", "heaptape-tape"],
        outside: true,
    },
    Floor { name: "heaptape-symbols", may_use: &["heaptape-tape"], outside: true },
    Floor { name: "heaptape-analysis", may_use: &["heaptape-tape"], outside: true },
    Floor {
        name: "heaptape-report",
        may_use: &["heaptape-analysis", "heaptape-tape"],
        outside: true,
    },
    Floor {
        name: "heaptape",
        may_use: &[
            "heaptape-analysis",
            "heaptape-collector",
            "heaptape-report",
            "heaptape-symbols",
            "heaptape-tape",
        ],
        outside: true,
    },
];

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"])
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let mut offences = dependencies(&metadata);
    for document in ["README.md", "ARCHITECTURE.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap_or_default();
        if text.is_empty() {
            offences.push(format!("{document}: missing"));
        }
        if document == "ARCHITECTURE.md" {
            let unknown = FLOORS.iter().filter(|floor| !text.contains(floor.name));
            offences.extend(unknown.map(|it| format!("{document}: does not mention {}", it.name)));
        }
    }
    Ok(offences)
}

/// What `cargo metadata` shows against the table.
fn dependencies(metadata: &Value) -> Vec<String> {
    let mut offences = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        if name == "xtask" {
            continue;
        }
        let Some(floor) = FLOORS.iter().find(|floor| floor.name == name) else {
            offences.push(format!("{name}: not in the table of floors"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let on = dependency["name"].as_str().unwrap_or_default();
            let ours = dependency["path"].is_string();
            let for_tests = dependency["kind"] == "dev";
            // The model checker stands in for the atomics only where `cfg(loom)` is set.
            let for_models = dependency["target"] == "cfg(loom)";
            if ours && !for_tests && !floor.may_use.contains(&on) {
                offences.push(format!("{name}: may not use {on}"));
            }
            if !ours && !for_tests && !for_models && !floor.outside {
                offences.push(format!("{name}: may not use {on}, which is not of this workspace"));
            }
        }
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn package(name: &str, dependency: Value) -> Value {
        json!({ "packages": [{ "name": name, "dependencies": [dependency] }] })
    }

    #[test]
    fn offences_are_found() {
        let upward = json!({ "name": "heaptape-report", "path": "x", "kind": null });
        assert_eq!(dependencies(&package("heaptape-analysis", upward)).len(), 1);
        let foreign = json!({ "name": "libc", "kind": null });
        assert_eq!(dependencies(&package("heaptape-recorder", foreign)).len(), 1);
        assert_eq!(dependencies(&package("heaptape-utils", json!({}))).len(), 1);
    }

    #[test]
    fn what_is_allowed_is_allowed() {
        let down = json!({ "name": "heaptape-tape", "path": "x", "kind": null });
        assert!(dependencies(&package("heaptape-analysis", down)).is_empty());
        let for_tests = json!({ "name": "proptest", "kind": "dev" });
        assert!(dependencies(&package("heaptape-wire", for_tests)).is_empty());
        let model = json!({ "name": "loom", "kind": null, "target": "cfg(loom)" });
        assert!(dependencies(&package("heaptape-wire", model)).is_empty());
    }
}
