//! Frames for backtraces.
//!
//! [`Names`] is answered by the symbolizer, or by a table in tests. Strings are shared: a frame is
//! cloned into many results.

use crate::recording::Recording;
use heaptape_tape::{BacktraceId, BacktraceNode, ModuleId};
use serde::Serialize;
use std::sync::Arc;

/// One named level of a backtrace; an inlined level is one too.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Frame {
    /// The function as its language writes it, with parameters; `libx.so+0x1234` when it has no name.
    pub function: Arc<str>,
    /// The function without parameters and template arguments, for narrow columns.
    pub short: Arc<str>,
    /// The source file, as the debug information states it.
    pub file: Option<Arc<str>>,
    /// The line in `file`; 0 when not known.
    pub line: u32,
    /// The file name of the module; `None` when the address lies in no known module.
    pub module: Option<Arc<str>>,
    /// Whether the compiler inlined this level into the next one.
    pub inlined: bool,
    /// Why the function or its line is not known; `None` when both are.
    pub why: Option<Arc<str>>,
    /// Whether the function is known.
    pub named: bool,
}

/// What a module's file holds at an address that is no place of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// The section, as `.bss`.
    pub section: Arc<str>,
    /// Whether it is code.
    pub code: bool,
    /// Whether the program may write there.
    pub writable: bool,
    /// The variable or function that covers the address; `None` when it is not known.
    pub symbol: Option<Arc<str>>,
    /// The address lies so far into it; where it is not known, into the section.
    pub offset: u64,
}

/// Turns a backtrace node into frames.
pub trait Names {
    /// The frames of one node, innermost first; at least one.
    fn frames(&self, id: BacktraceId, node: &BacktraceNode) -> Arc<[Frame]>;

    /// The variable, or else the section in brackets, at an address as the ELF file at `path` states it, and how far into
    /// it the address lies.
    fn variable(&self, path: &[u8], address: u64) -> Option<(Arc<str>, u64)> {
        let _ = (path, address);
        None
    }

    /// Whether the functions, files and lines of a module can be known, in a few words (`with lines`,
    /// `functions only`, `file not found`).
    fn module_state(&self, module: ModuleId) -> String;

    /// The raw name of the function that the call of a node calls, where the instruction says so itself. What
    /// was called may have jumped on to another function.
    fn called(&self, node: &BacktraceNode) -> Option<Arc<str>> {
        let _ = node;
        None
    }

    /// Whether a module defines a function of one of these raw names; `None` when that cannot be told.
    fn defines(&self, module: ModuleId, raw_names: &[&str]) -> Option<bool> {
        let _ = (module, raw_names);
        None
    }

    /// What lies at an address of a module (as the ELF file states it); `None` when that cannot be told.
    fn held_at(&self, module: ModuleId, address: u64) -> Option<Held> {
        let _ = (module, address);
        None
    }
}

/// The nodes of a backtrace, innermost first. A node that is not on the tape ends it.
pub fn walk<'a>(
    recording: &'a dyn Recording,
    leaf: BacktraceId,
) -> impl Iterator<Item = (BacktraceId, BacktraceNode)> + 'a {
    let nodes = recording.nodes();
    let mut next = leaf;
    std::iter::from_fn(move || {
        let id = next;
        let node = nodes.get(id)?;
        // Parents are smaller; a tape that says otherwise must not hang us.
        next = if node.parent < id { node.parent } else { BacktraceId::NONE };
        Some((id, node))
    })
}

/// All frames of a backtrace, innermost first.
pub fn backtrace(recording: &dyn Recording, names: &dyn Names, leaf: BacktraceId) -> Vec<Frame> {
    walk(recording, leaf)
        .flat_map(|(id, node)| names.frames(id, &node).iter().cloned().collect::<Vec<_>>())
        .collect()
}

/// Bytes from the recorded program as text: invalid UTF-8 is written as `\xNN`.
pub fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

/// The last component of a path.
pub fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn invalid_bytes_stay_visible() {
        assert_eq!(text(b"a\xffb\xc3\xa9"), "a\\xffb\u{e9}");
    }
}
