//! The programs of `targets/`: each names its danger and its build, and a test runs it.

use super::sources::{files, read};
use std::path::Path;

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut tests = String::new();
    for path in files(&root.join("crates/heaptape/tests"), "rs")? {
        tests += &read(&path)?;
    }
    let folder = root.join("targets");
    let mut offences = Vec::new();
    for extension in ["c", "cpp", "rs"] {
        for path in files(&folder, extension)? {
            let name = path.strip_prefix(&folder).unwrap_or(&path).with_extension("");
            let name = name.to_string_lossy();
            if name == "ledger" {
                continue;
            }
            let found = program(&name, &read(&path)?, &tests);
            offences.extend(found.into_iter().map(|it| format!("{}: {it}", path.display())));
        }
    }
    Ok(offences)
}

/// The offences of one program.
fn program(name: &str, text: &str, tests: &str) -> Vec<&'static str> {
    let mut offences = Vec::new();
    if !text.starts_with("// ") {
        offences.push("does not open with what it does");
    }
    if !text.contains("\n// build: ") {
        offences.push("does not say how it is built (// build: …)");
    }
    // The samples are kept for their reports, too; not each has a test of the recording.
    if !name.starts_with("samples/") && !tests.contains(&format!("\"{name}\"")) {
        offences.push("no test runs it");
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offences_are_found() {
        let good = "// Danger: x.\n// build: gcc\nint main(void) {}\n";
        assert!(program("x", good, "check(\"x\")").is_empty());
        assert_eq!(program("x", good, "check(\"y\")").len(), 1);
        assert_eq!(program("x", "int main(void) {}\n", "check(\"x\")").len(), 2);
    }
}
