//! What the sources themselves must be: documented, without unsafe code where none belongs, without std
//! inside the target, without holes.

use std::fs;
use std::path::{Path, PathBuf};

/// Crates that forbid unsafe code as a whole.
const SAFE: [&str; 4] = ["heaptape-tape", "heaptape-analysis", "heaptape-report", "heaptape"];
/// Crates that live inside the target: no std, no allocation.
const INSIDE: [&str; 3] = ["heaptape-wire", "heaptape-recorder", "heaptape-preload"];
/// Where unsafe code is allowed in the crates between: path prefixes below `crates/`.
const UNSAFE_PLACES: [&str; 5] = [
    "heaptape-wire/",
    "heaptape-recorder/",
    "heaptape-preload/",
    "heaptape-collector/src/sys",
    "heaptape-symbols/src/mapped.rs",
];

pub(super) fn check(root: &Path) -> Result<Vec<String>, String> {
    let mut offences = Vec::new();
    for folder in ["crates", "xtask"] {
        for path in files(&root.join(folder), "rs")? {
            let text = read(&path)?;
            let below = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            let found = file(&below, &text);
            offences.extend(found.into_iter().map(|offence| format!("{below}: {offence}")));
        }
    }
    for name in SAFE {
        offences.extend(attribute(root, name, "#![forbid(unsafe_code)]")?);
    }
    for name in INSIDE {
        offences.extend(attribute(root, name, "no_std")?);
    }
    Ok(offences)
}

/// All files below `folder` with this extension, sorted.
pub(super) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        if path.is_dir() {
            found.extend(files(&path, extension)?);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// A file's text.
pub(super) fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The offence of a crate whose root lacks an attribute.
fn attribute(root: &Path, name: &str, wanted: &str) -> Result<Option<String>, String> {
    let source = root.join("crates").join(name).join("src");
    let file = ["lib.rs", "main.rs"].map(|it| source.join(it)).into_iter().find(|it| it.exists());
    let text = file.map(|it| read(&it)).transpose()?.unwrap_or_default();
    let present = text.lines().any(|line| line.starts_with("#![") && line.contains(wanted));
    let wanted = wanted.trim_start_matches("#![").trim_end_matches(']');
    Ok((!present).then(|| format!("crates/{name}: its root does not say {wanted}")))
}

/// The offences of one file; `path` is relative to the workspace's root.
fn file(path: &str, text: &str) -> Vec<String> {
    let mut offences = Vec::new();
    if !text.starts_with("//!") {
        offences.push("does not open with its promise (//!)".to_owned());
    }
    let below_crates = path.strip_prefix("crates/").unwrap_or_default();
    let outer = below_crates.split('/').next().unwrap_or_default();
    let is_test =
        path.contains("/tests/") || path.ends_with("tests.rs") || path.ends_with("build.rs");
    let inside = INSIDE.contains(&outer) && !is_test;
    let may_be_unsafe = is_test || UNSAFE_PLACES.iter().any(|it| below_crates.starts_with(it));
    // Tests stand at the end of a file.
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    for (number, line) in lines.enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        let mut offend = |what: &str| offences.push(format!("line {}: {what}", number + 1));
        for hole in ["todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(hole) && !code.contains('"') {
                offend(&format!("{}) left behind", hole));
            }
        }
        let says_unsafe = ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
        if !may_be_unsafe && !code.contains('"') && says_unsafe.iter().any(|it| code.contains(it)) {
            offend("unsafe code does not belong here");
        }
        let hosted = ["std::", "alloc::", "extern crate"];
        if inside && hosted.iter().any(|it| word(code, it)) {
            offend("no std and no allocation inside the target");
        }
    }
    offences
}

/// Whether `code` contains `wanted` where no longer word ends in it.
fn word(code: &str, wanted: &str) -> bool {
    code.match_indices(wanted).any(|(at, _)| {
        !code[..at].ends_with(|before: char| before.is_alphanumeric() || "_:".contains(before))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(path: &str, text: &str) -> usize {
        file(path, text).len()
    }

    #[test]
    fn a_file_opens_with_its_promise() {
        assert_eq!(count("crates/heaptape/src/x.rs", "use std::fs;\n"), 1);
        assert_eq!(count("crates/heaptape/src/x.rs", "//! X.\nuse std::fs;\n"), 0);
    }

    #[test]
    fn std_inside_the_target_is_found() {
        let path = "crates/heaptape-recorder/src/x.rs";
        assert_eq!(count(path, "//! X.\nuse std::fs;\n"), 1);
        assert_eq!(count(path, "//! X.\nextern crate alloc;\n"), 1);
        assert_eq!(count(path, "//! X.\nuse core::ptr; // not std::ptr\n"), 0);
        assert_eq!(count(path, "//! X.\n#[cfg(test)]\nmod tests { use std::fs; }\n"), 0);
        assert_eq!(count("crates/heaptape-tape/src/x.rs", "//! X.\nuse std::fs;\n"), 0);
    }

    #[test]
    fn unsafe_code_out_of_place_is_found() {
        let text = "//! X.\nlet x = unsafe { y() };\n";
        assert_eq!(count("crates/heaptape-collector/src/x.rs", text), 1);
        assert_eq!(count("crates/heaptape-collector/src/sys/x.rs", text), 0);
        assert_eq!(count("crates/heaptape-tape/src/x.rs", "//! X.\n#![forbid(unsafe_code)]\n"), 0);
    }

    #[test]
    fn holes_are_found() {
        let hole = ["//! X.\ntodo", "!()\n"].concat();
        assert_eq!(count("crates/heaptape-tape/src/x.rs", &hole), 1);
    }
}
