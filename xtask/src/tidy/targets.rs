//! The programs of `targets/`: each names its danger and its build, and a test runs it, the tests of the page are made
//! with it, or another is built with it.

use super::sources::{files, read};
use std::path::Path;

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let folder = root.join("targets");
    let mut users = String::new();
    for path in files(&root.join("crates/heaptape/tests"), "rs")? {
        users += &read(&path)?;
    }
    for path in files(&root.join("ui/e2e"), "mjs")? {
        users += &read(&path)?;
    }
    for extension in ["c", "cpp"] {
        for path in files(&folder, extension)? {
            users += &read(&path)?;
        }
    }
    let mut offences = Vec::new();
    for extension in ["c", "cpp", "rs"] {
        for path in files(&folder, extension)? {
            let name = path.strip_prefix(&folder).unwrap_or(&path).with_extension("");
            let name = name.to_string_lossy();
            if name == "ledger" {
                continue;
            }
            let found = program(&name, &read(&path)?, &users);
            offences.extend(found.into_iter().map(|it| format!("{}: {it}", path.display())));
        }
    }
    Ok(offences)
}

/// The offences of one program. `users`: the tests, which name the programs they run, and the programs, whose
/// build lines name the libraries they use in braces.
fn program(name: &str, text: &str, users: &str) -> Vec<&'static str> {
    let mut offences = Vec::new();
    if !text.starts_with("// ") {
        offences.push("does not open with what it does");
    }
    if !text.contains("\n// build: ") {
        offences.push("does not say how it is built (// build: …)");
    }
    // The samples are kept for their reports, too; not each has a test of the recording. The cases have a table.
    let is_used =
        [format!("\"{name}\""), format!("'{name}'"), format!("{{{name}}}"), format!("{{{name}.")]
            .iter()
            .any(|use_of_it| users.contains(use_of_it));
    let is_listed = name.starts_with("samples/") || name.starts_with("cases/");
    if !is_listed && !is_used {
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
        for user in
            ["check(\"x\")", "program: 'x',", "// build: gcc {x}", "// build: gcc {x.variant} -lm"]
        {
            assert!(program("x", good, user).is_empty(), "{user}");
        }
        assert_eq!(program("x", good, "check(\"y\")").len(), 1);
        assert_eq!(program("x", "int main(void) {}\n", "check(\"x\")").len(), 2);
    }
}
