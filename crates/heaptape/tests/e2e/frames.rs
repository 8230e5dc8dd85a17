//! Names of a backtrace's frames, told by binutils' `addr2line`: a witness that is not ours.

use heaptape_tape::{BacktraceId, BacktraceNode, FrameQuality, Tape};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

/// Looks up function names in the modules below one folder (the target and its libraries).
pub(crate) struct Names<'a> {
    tape: &'a Tape,
    folder: String,
    known: HashMap<(u32, u64), Vec<String>>,
}

impl<'a> Names<'a> {
    /// Names for `tape`, in modules beside `program`.
    pub(crate) fn new(tape: &'a Tape, program: &Path) -> Names<'a> {
        // All targets are built below one folder, each in one of its own.
        let folder = program.ancestors().nth(2).expect("a folder of targets");
        Names { tape, folder: folder.to_str().expect("a plain path").into(), known: HashMap::new() }
    }

    /// The functions of the target in this backtrace, innermost first, inlined ones too. Frames
    /// outside the target (libc, the recorder) are left out.
    pub(crate) fn of(&mut self, backtrace: BacktraceId) -> Vec<String> {
        let mut names = Vec::new();
        for node in nodes(self.tape, backtrace) {
            let Some(module) = node.module else { continue };
            let path = String::from_utf8_lossy(&self.tape.modules()[module.0 as usize].path);
            if !path.starts_with(&self.folder) {
                continue;
            }
            // A return address lies behind its call.
            let address = node.address - 1;
            let found =
                self.known.entry((module.0, address)).or_insert_with(|| addr2line(&path, address));
            names.extend(found.iter().cloned());
        }
        names
    }
}

/// The nodes of a backtrace by id, innermost first.
pub(crate) fn walk(tape: &Tape, leaf: BacktraceId) -> impl Iterator<Item = BacktraceId> + '_ {
    let on_tape = |&id: &BacktraceId| id != BacktraceId::NONE;
    std::iter::successors(Some(leaf).filter(on_tape), move |&id| {
        let parent = tape.nodes().get(id).unwrap().parent;
        assert!(parent < id, "a node before its parent");
        Some(parent).filter(on_tape)
    })
}

/// The nodes of a backtrace, innermost first.
pub(crate) fn nodes(tape: &Tape, leaf: BacktraceId) -> Vec<BacktraceNode> {
    walk(tape, leaf).map(|id| tape.nodes().get(id).unwrap()).collect()
}

/// Whether the walk of this backtrace came to its end.
pub(crate) fn is_whole(tape: &Tape, backtrace: BacktraceId) -> bool {
    nodes(tape, backtrace).iter().all(|node| node.quality != FrameQuality::Truncated)
}

fn addr2line(path: &str, address: u64) -> Vec<String> {
    let output = Command::new("addr2line")
        .args(["-f", "-i", "-C", "-s", "-e", path, &format!("{address:#x}")])
        .output()
        .expect("addr2line (package binutils)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().step_by(2).map(str::to_owned).collect()
}
