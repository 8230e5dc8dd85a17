//! What `run`, `vizzytrace` and `crunch` share: launching, and telling what is missing from a recording.

use crate::failure::Failure;
use crate::preload;
use crate::terminal;
use heaptape_analysis::Recording;
use heaptape_collector::{Check, Checks, Launch, LaunchError, Outcome};
use heaptape_report::text::{self, escape};
use heaptape_report::units;
use heaptape_tape::{GuardMechanism, Losses, Process, Unrecorded};
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The exit code when backtraces differed, which is a fault of ours, as of a launcher that could not launch.
pub(crate) const CHECK_FAILED: u8 = 125;
/// Unrecorded programs that are named; the rest is counted.
const NAMED_UNRECORDED: usize = 8;

/// A launch of `command` whose tape goes to `output`, a pattern.
pub(crate) fn launch(command: Vec<OsString>, output: PathBuf) -> Launch {
    Launch::new(command, output, preload::IMAGE)
}

/// What `HEAPTAPE_CHECK` asks for: nothing, `1`, or `libgcc`.
pub(crate) fn check_wanted() -> Result<Check, Failure> {
    match std::env::var_os("HEAPTAPE_CHECK").unwrap_or_default().as_bytes() {
        b"" | b"0" => Ok(Check::Off),
        b"1" => Ok(Check::Walk),
        b"libgcc" => Ok(Check::Libgcc),
        _ => Err(Failure::request("HEAPTAPE_CHECK: expected 1 or libgcc")),
    }
}

/// Says what came of the check, if it was wanted, and whether all backtraces agreed.
pub(crate) fn tell_checks(wanted: Check, checks: &Checks) -> bool {
    let beyond = match wanted {
        Check::Off => return true,
        Check::Walk => String::new(),
        Check::Libgcc => format!(", {} partly unknown to libgcc", checks.unchecked),
    };
    tell(format_args!(
        "heaptape: {} checked, {} differing{beyond}",
        units::counted(checks.checked, "backtrace"),
        checks.differing
    ));
    checks.differing == 0
}

/// Runs and records the program until it ends.
pub(crate) fn record(launch: Launch) -> Result<Outcome, Failure> {
    heaptape_collector::run(launch).map_err(|error| Failure::NotLaunched {
        exit_code: u8::try_from(error.exit_code()).unwrap_or(u8::MAX),
        message: message(&error),
    })
}

/// Where, what, what to do.
fn message(error: &LaunchError) -> String {
    match error {
        LaunchError::NotFound(program) if program.as_bytes().contains(&b'/') => {
            format!("{}: no such program", escape(program.as_bytes()))
        }
        LaunchError::NotFound(program) if program.as_bytes().starts_with(b"-") => format!(
            "{}: neither an option of heaptape run (see heaptape run --help) nor a program in PATH",
            escape(program.as_bytes())
        ),
        LaunchError::NotFound(program) => format!(
            "{0}: program not found in PATH; for one in this folder write ./{0}",
            escape(program.as_bytes())
        ),
        LaunchError::NotExecutable(path, why) => {
            format!("{}: cannot be executed: {}", shown(path), escape(why.as_bytes()))
        }
        LaunchError::Exists(path) => {
            format!("{}: is there already; --force replaces it, -o names another", shown(path))
        }
        LaunchError::Output { path, why } => {
            format!("{}: the tape cannot be written: {}", shown(path), escape(why.as_bytes()))
        }
        LaunchError::Setup(what, error) => format!("cannot {what}: {error}"),
    }
}

/// The pattern that names exactly this path.
pub(crate) fn exactly(path: &Path) -> PathBuf {
    let mut pattern = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        pattern.extend_from_slice(if byte == b'%' { b"%%" } else { std::slice::from_ref(&byte) });
    }
    OsString::from_vec(pattern).into()
}

/// A line on standard error. Nobody reading it is no reason to end otherwise than the program did.
pub(crate) fn tell(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The same, broken between words where a terminal would break it anywhere.
pub(crate) fn tell_wrapped(line: &str) {
    let columns = if terminal::is_stderr_seen() { terminal::stderr().width } else { usize::MAX };
    text::wrap_words(line, 2, columns).iter().for_each(tell);
}

/// Everything that the recording does not hold and everything the user should read, a sentence each.
pub(crate) fn troubles(outcome: &Outcome) -> Vec<String> {
    let mut troubles: Vec<String> = loss_sentence(&outcome.losses).into_iter().collect();
    // The collector warns of the launched program itself, in the same words.
    let is_warned_of = |child: &&Unrecorded| {
        child.pid == outcome.pid && outcome.warnings.iter().any(|w| w.ends_with(&child.reason))
    };
    let unrecorded: Vec<&Unrecorded> =
        outcome.unrecorded.iter().filter(|child| !is_warned_of(child)).collect();
    for child in unrecorded.iter().take(NAMED_UNRECORDED) {
        let exe = if child.exe.is_empty() { b"a program".as_slice() } else { &child.exe };
        troubles.push(format!(
            "not recorded: {} (pid {}): {}",
            escape(exe),
            child.pid,
            escape(child.reason.as_bytes())
        ));
    }
    if let Some(more @ 1..) = unrecorded.len().checked_sub(NAMED_UNRECORDED) {
        troubles
            .push(format!("not recorded: {more} more programs; they are listed by heaptape info"));
    }
    troubles.extend(outcome.warnings.iter().map(|warning| escape(warning.as_bytes())));
    troubles
}

/// Why nothing is known of the heap that a process had in the end: it executed, or was from the start, a
/// program that could not be recorded.
pub(crate) fn unseen(tape: &dyn Recording, process: &Process) -> Option<String> {
    let child = tape
        .unrecorded()
        .iter()
        .find(|child| child.pid == process.pid && child.time >= process.start)?;
    let exe = escape(&child.exe);
    Some(format!("nothing is known of the heap of {exe}: {}", escape(child.reason.as_bytes())))
}

/// What `--guard` or `--check` could not do.
pub(crate) fn guard_troubles(outcome: &Outcome) -> Vec<String> {
    let mut troubles = Vec::new();
    let none = outcome.guarded.iter().filter(|g| g.mechanism == GuardMechanism::Nothing).count();
    if none > 0 {
        let processes = units::counted(none as u64, "process");
        troubles.push(format!(
            "NOT GUARDED: {processes}: no allocator call, or the mechanism or the address space is not to be had"
        ));
    }
    let unguarded: u64 = outcome.guarded.iter().map(|guarded| guarded.unguarded).sum();
    if unguarded > 0 {
        troubles.push(format!(
            "{} not guarded: too large, no room for more, or of an allocator with operators new of its own",
            units::counted(unguarded, "block")
        ));
    }
    troubles
}

/// What `--guard` or `--check` has found without a crash, and what tells more.
pub(crate) fn overwrites_sentence(outcome: &Outcome) -> Option<String> {
    let overwrites = units::counted(outcome.overwrites, "overwrite");
    let tape = quoted(outcome.tape.as_os_str());
    let whose = if outcome.processes > 1 { " --process all" } else { "" };
    (outcome.overwrites > 0).then(|| format!("{overwrites} found: heaptape errors {tape}{whose}"))
}

/// What guarded the blocks, and what that costs.
pub(crate) fn guard_sentence(outcome: &Outcome) -> Option<String> {
    let used = outcome.guarded.iter().max_by_key(|guarded| guarded.guarded)?;
    let guarded: u64 = outcome.guarded.iter().map(|guarded| guarded.guarded).sum();
    let how = match used.mechanism {
        GuardMechanism::Nothing => return None,
        GuardMechanism::Markers => {
            "by guard pages (MADV_GUARD_INSTALL): two system calls and a page each"
        }
        GuardMechanism::Mappings => {
            "by mappings without access rights: two system calls, a mapping and a page each"
        }
        GuardMechanism::RedZones => "by red zones of 16 bytes or more",
    };
    Some(format!("{} guarded {how}", units::counted(guarded, "block")))
}

/// What is lost, if anything is.
pub(crate) fn loss_sentence(losses: &Losses) -> Option<String> {
    let parts: Vec<String> = [
        (losses.events, "call"),
        (losses.threads, "whole thread"),
        (losses.abandoned, "unfinished record"),
        (losses.malformed, "senseless record"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| units::counted(*count, what))
    .collect();
    losses.any().then(|| format!("LOST: {}", parts.join(", ")))
}

/// A path as text for the terminal.
pub(crate) fn shown(path: &Path) -> String {
    escape(path.as_os_str().as_bytes())
}

/// A word of a command line, quoted for the shell where that is needed. What a terminal would not show
/// is written as bash, zsh and ksh read it: `$'a\x07b'`.
pub(crate) fn quoted(word: &OsStr) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_./+=:@,".contains(b);
    let bytes = word.as_bytes();
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return word.to_string_lossy().into_owned();
    }
    if escape(bytes).as_bytes() == bytes {
        return format!("'{}'", escape(bytes).replace('\'', "'\\''"));
    }
    let safe = |byte: u8| plain(&byte) || byte == b' ';
    let byte = |&byte: &u8| match byte {
        byte if safe(byte) => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    };
    format!("$'{}'", bytes.iter().map(byte).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_name_survives_the_pattern() {
        assert_eq!(exactly(Path::new("/tmp/100%p.tape")), Path::new("/tmp/100%%p.tape"));
    }

    #[test]
    fn losses_are_said_and_nothing_else() {
        assert_eq!(loss_sentence(&Losses { waited_ns: 5, ..Losses::default() }), None);
        let losses = Losses { events: 3, threads: 1, ..Losses::default() };
        assert_eq!(loss_sentence(&losses).as_deref(), Some("LOST: 3 calls, 1 whole thread"));
    }

    #[test]
    fn words_for_the_shell() {
        assert_eq!(quoted(OsStr::new("heaptape.ls.1.tape")), "heaptape.ls.1.tape");
        assert_eq!(quoted(OsStr::new("a b")), "'a b'");
        assert_eq!(quoted(OsStr::new("")), "''");
        assert_eq!(quoted(OsStr::new("it's")), "'it'\\''s'");
        assert_eq!(quoted(OsStr::new("b\u{e9}")), "'b\u{e9}'");
        assert_eq!(quoted(OsStr::new("a\x07 b'1")), "$'a\\x07 b\\x271'");
    }
}
