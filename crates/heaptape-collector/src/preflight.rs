//! Looks at a program before it runs: what will and will not be seen of it, and why.
//!
//! The recorder comes into a program by its dynamic loader. Programs without one, with a privileged
//! one, or with one that cannot load ours are found here, and so are those whose allocations pass the
//! recorder by.

mod elf;
mod resolve;

use elf::{Code, Elf, Headers};
pub(crate) use resolve::{Missing, resolve};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something will not be seen.
    Limits,
    /// Nothing can be recorded.
    Blocks,
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What it is, as a sentence without a full stop.
    pub what: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

/// What was found out about a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The file that is executed; the name as given when there is none.
    pub path: PathBuf,
    /// The interpreters that `#!` lines lead to, in order; the last one is the program that runs.
    pub interpreters: Vec<PathBuf>,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
    /// The preload library itself would do harm: the program would complain of it or not start.
    pub harmed: bool,
}

impl Inspection {
    /// Whether the program can be recorded; if not, the reason.
    pub fn recordable(&self) -> Result<(), String> {
        match self.findings.iter().find(|finding| finding.severity == Severity::Blocks) {
            Some(finding) => Err(finding.what.clone()),
            None => Ok(()),
        }
    }

    /// The file whose code runs: the last interpreter, or the program itself.
    pub fn binary(&self) -> &Path {
        self.interpreters.last().map_or(self.path.as_path(), PathBuf::as_path)
    }

    fn add(&mut self, severity: Severity, what: impl Into<String>, advice: impl Into<String>) {
        self.findings.push(Finding { severity, what: what.into(), advice: advice.into() });
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Blocks => "cannot record",
            Severity::Limits => "limited",
            Severity::Info => "note",
        };
        write!(f, "{severity}: {}", self.what)?;
        if self.advice.is_empty() { Ok(()) } else { write!(f, " ({})", self.advice) }
    }
}

/// Looks at `program` as a shell in the directory `cwd` would find it.
pub fn inspect(program: &OsStr, cwd: &Path) -> Inspection {
    let (mut inspection, elf) = inspect_loading(program, cwd);
    if let Some(elf) = elf {
        let code = elf.code();
        inspect_allocator(&mut inspection, &code);
        inspect_names(&mut inspection, &code);
    }
    inspection.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    inspection
}

/// Why the program could be executed but not recorded, if so: the part of [`inspect`] that is quick
/// enough to be asked at every exec.
pub(crate) fn obstacle(program: &OsStr, cwd: &Path) -> Option<String> {
    // An exec that fails (searching PATH, for example) leaves nothing unrecorded.
    let path = resolve(program, cwd).ok()?;
    resolve::interpreters(&cwd.join(path), cwd).ok()?;
    loading(program, cwd).recordable().err()
}

/// The part of [`inspect`] that decides whether the recorder gets into the program.
pub(crate) fn loading(program: &OsStr, cwd: &Path) -> Inspection {
    inspect_loading(program, cwd).0
}

/// What of the program's allocations passes the recorder by, if any does.
pub(crate) fn blind_spot(program: &OsStr, cwd: &Path) -> Option<String> {
    let (mut inspection, elf) = inspect_loading(program, cwd);
    inspection.findings.clear();
    inspect_allocator(&mut inspection, &elf?.code());
    let blind = inspection.findings.into_iter().find(|f| f.severity == Severity::Limits)?;
    Some(blind.what)
}

/// Finds the file that runs and whether the recorder gets into it.
fn inspect_loading(program: &OsStr, cwd: &Path) -> (Inspection, Option<Elf>) {
    let mut inspection = Inspection {
        path: program.into(),
        interpreters: Vec::new(),
        findings: Vec::new(),
        harmed: false,
    };
    match resolve(program, cwd) {
        Ok(path) => inspection.path = cwd.join(path).components().collect(),
        Err(Missing::NotFound) => {
            inspection.add(Severity::Blocks, "the program was not found", "");
            return (inspection, None);
        }
        Err(Missing::NotExecutable(path, why)) => {
            inspection.path = path;
            inspection.add(Severity::Blocks, format!("the program cannot be executed: {why}"), "");
            return (inspection, None);
        }
    }
    match resolve::interpreters(&inspection.path, cwd) {
        Ok(interpreters) => inspection.interpreters = interpreters,
        Err(why) => {
            inspection.add(Severity::Blocks, why, "");
            return (inspection, None);
        }
    }
    inspect_privileges(&mut inspection);
    let elf = match Elf::open(inspection.binary()) {
        Ok(elf) => elf,
        Err(elf::NotElf::Unreadable(error)) => {
            let what = format!("its file cannot be read, so nothing is known of it: {error}");
            inspection.add(Severity::Limits, what, "");
            return (inspection, None);
        }
        Err(elf::NotElf::Other(what)) => {
            inspection.add(Severity::Blocks, what, "");
            return (inspection, None);
        }
    };
    inspect_loader(&mut inspection, elf.headers());
    if elf.headers().is_native
        && let Some(tool) = elf.needs_to_be_first()
    {
        let what = format!("built with {tool}, whose runtime must be the first library loaded");
        inspection.add(Severity::Blocks, what, "record a build without it");
        inspection.harmed = true;
    }
    (inspection, Some(elf))
}

/// Programs that run with more rights than their caller drop what the caller preloads.
fn inspect_privileges(inspection: &mut Inspection) {
    const SETUID: u32 = 0o4000;
    const SETGID: u32 = 0o2010;
    let Ok(file) = fs::metadata(inspection.binary()) else { return };
    let mode = file.permissions().mode();
    let (user, group) = crate::sys::fd::user_and_group();
    let advice = "run it as the user it changes to, or copy it without the privilege";
    if mode & SETUID != 0 && file.uid() != user {
        inspection.add(Severity::Blocks, "setuid: the loader ignores preloaded libraries", advice);
    } else if mode & SETGID == SETGID && file.gid() != group {
        inspection.add(Severity::Blocks, "setgid: the loader ignores preloaded libraries", advice);
    } else if user != 0
        && crate::sys::fd::has_attribute(inspection.binary(), c"security.capability")
    {
        let what = "file capabilities: the loader ignores preloaded libraries";
        inspection.add(Severity::Blocks, what, advice);
    }
}

/// Whether the program's loader can load our library.
fn inspect_loader(inspection: &mut Inspection, headers: &Headers) {
    if !headers.is_native {
        let what =
            format!("{}: the recorder is built for {}", headers.machine, std::env::consts::ARCH);
        inspection.add(Severity::Blocks, what, "");
        inspection.harmed = true;
        return;
    }
    let Some(loader) = &headers.loader else {
        let what = "statically linked: there is no loader that could load the recorder";
        inspection.add(Severity::Blocks, what, "link it dynamically");
        return;
    };
    let name = loader.rsplit('/').next().unwrap_or(loader);
    if name.starts_with("ld-musl") {
        let what = "built for musl: the recorder needs glibc";
        inspection.add(Severity::Blocks, what, "build it for glibc");
        inspection.harmed = true;
    } else if !(name.starts_with("ld-linux") || name.starts_with("ld64") || name == "ld.so.1") {
        let what = format!("built for another C library (its loader is {loader})");
        inspection.add(Severity::Blocks, what, "build it for glibc");
        inspection.harmed = true;
    }
}

/// What of its allocations will pass the recorder by.
fn inspect_allocator(inspection: &mut Inspection, code: &Code) {
    if let Some(tool) = code.sanitizer {
        let what = format!("built with {tool}, which brings an allocator of its own");
        inspection.add(Severity::Limits, what, "record a build without it");
    } else if code.own_malloc {
        let what = match code.allocator {
            Some(name) => format!("{name} is linked in: its malloc is called past the recorder"),
            None => "it defines its own malloc, which is called past the recorder".to_string(),
        };
        inspection.add(Severity::Limits, what, "link the allocator as a shared library");
    } else if let Some(name) = code.allocator {
        let what =
            format!("parts of {name} are linked in; calls to it by its own names are not seen");
        inspection.add(Severity::Limits, what, "");
    }
    if code.own_new {
        let what = "it defines its own operator new: seen as the malloc calls it makes";
        inspection.add(Severity::Info, what, "");
    }
    for library in code.needed.iter().filter(|name| elf::is_allocator(name)) {
        let what = format!("it uses {library}: recorded, but block sizes are that allocator's");
        inspection.add(Severity::Info, what, "");
    }
}

/// What its backtraces will lack.
fn inspect_names(inspection: &mut Inspection, code: &Code) {
    if !code.has_symbols {
        let what = "stripped: functions inside the program have no names";
        inspection.add(Severity::Limits, what, "keep its symbols, or install its debug package");
    }
    if !code.has_debug_info {
        let what = "no debug information in the file: no lines unless it is found elsewhere";
        inspection.add(Severity::Info, what, "build with -g, or install its debug package");
    }
    if !code.has_build_id {
        let what = "no build id: separate debug files are found by name only";
        inspection.add(Severity::Info, what, "link with --build-id");
    }
}

#[cfg(test)]
mod tests;
