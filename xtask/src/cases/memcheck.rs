//! What Valgrind's memcheck finds, from its XML.

use super::finding::Finding;
use super::process::Scratch;
use super::tool::Seen;
use std::fs;
use std::path::Path;
use std::process::Command;

pub(super) fn look(program: &Path, words: [&str; 2], scratch: &Scratch) -> Result<Seen, String> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=memcheck", "--leak-check=full", "--show-leak-kinds=all", "--xml=yes"]);
    command.arg("--xml-file=report.%p.xml").arg(program).args(words);
    let ended = scratch.run(&mut command)?;
    let mut seen = Seen::default();
    let mut reports = 0;
    for entry in fs::read_dir(scratch.path()).map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        if path.extension().is_some_and(|it| it == "xml") {
            let text = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            read(&String::from_utf8_lossy(&text), &mut seen)?;
            reports += 1;
        }
    }
    if reports == 0 { Err(format!("{command:?}: no report; {}", ended.output)) } else { Ok(seen) }
}

/// The findings of one report, one of which each process writes.
fn read(report: &str, seen: &mut Seen) -> Result<(), String> {
    for error in elements(report, "error") {
        let kind = elements(error, "kind").next().unwrap_or_default();
        let what = elements(error, "what").chain(elements(error, "auxwhat"));
        let Some(word) = word(kind, &what.collect::<Vec<_>>().join(" ")) else { continue };
        seen.findings.insert(Finding::known(word));
        if let Some(text) = elements(error, "text").next()
            && kind.starts_with("Leak_")
        {
            let bytes = leaked(text).ok_or_else(|| format!("{text:?}: how many bytes?"))?;
            *seen.leaked.entry(word.to_owned()).or_default() += bytes;
        }
    }
    for signal in elements(report, "fatal_signal").flat_map(|it| elements(it, "signo")) {
        let number = signal.parse().map_err(|_| format!("signal {signal:?}"))?;
        seen.findings.insert(Finding::signal(number));
    }
    Ok(())
}

/// Our word for an error of memcheck's. It does not say which are null pointers and the like: the signal does.
fn word(kind: &str, what: &str) -> Option<&'static str> {
    let of_block = what.contains("a block of size");
    let freed = of_block && what.contains("free'd");
    // `read` and its like have the kernel write.
    let writes = kind == "InvalidWrite" || what.starts_with("Syscall param read");
    let way = |write, read| if writes { write } else { read };
    Some(match kind {
        "SyscallParam" if !what.contains("unaddressable") => return None,
        "InvalidRead" | "InvalidWrite" | "SyscallParam" if freed => {
            way("use_after_free_write", "use_after_free_read")
        }
        "InvalidRead" | "InvalidWrite" | "SyscallParam" if !of_block => {
            way("wild_write", "wild_read")
        }
        "InvalidRead" | "InvalidWrite" | "SyscallParam" if what.contains(" bytes before ") => {
            way("underflow_write", "underflow_read")
        }
        "InvalidRead" | "InvalidWrite" | "SyscallParam" => way("overflow_write", "overflow_read"),
        "InvalidFree" if freed && what.contains(" is 0 bytes inside ") => "double_free",
        "InvalidFree" => "invalid_free",
        "MismatchedFree"
        | "MismatchedAllocateDeallocateSize"
        | "MismatchedAllocateDeallocateAlignment" => "mismatched_free",
        "Leak_DefinitelyLost" => "definite",
        "Leak_IndirectlyLost" => "indirect",
        "Leak_PossiblyLost" => "possible",
        "Leak_StillReachable" => "reachable",
        _ => return None,
    })
}

/// The bytes of a class: of `96 (24 direct, 72 indirect) bytes in …` those before `direct`, as the others are told
/// of by themselves.
fn leaked(text: &str) -> Option<u64> {
    let number = match text.split_once(" direct") {
        Some((before, _)) => before.rsplit('(').next()?,
        None => text.split(' ').next()?,
    };
    number.replace(',', "").parse().ok()
}

/// What lies between each `<NAME>` and `</NAME>`; memcheck gives these no attributes and does not nest them.
fn elements<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&open)?;
        let (inside, after) = after.split_once(&close)?;
        rest = after;
        Some(inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::finding::words;

    #[test]
    fn a_report_is_read() {
        let report = "<error><kind>InvalidFree</kind><what>Invalid free()</what>\
                      <auxwhat>Address 0x1 is 0 bytes inside a block of size 5 free'd</auxwhat></error>\
                      <error><kind>InvalidRead</kind><what>Invalid read of size 4</what>\
                      <auxwhat>Address 0x0 is not stack'd, malloc'd or (recently) free'd</auxwhat></error>\
                      <error><kind>Leak_DefinitelyLost</kind><xwhat>\
                      <text>1,096 (1,024 direct, 72 indirect) bytes in 1 blocks are lost</text></xwhat></error>\
                      <fatal_signal><tid>1</tid><signo>11</signo></fatal_signal>";
        let mut seen = Seen::default();
        read(report, &mut seen).unwrap();
        assert_eq!(words(&seen.findings), "double_free,wild_read,definite,SIGSEGV");
        assert_eq!(seen.leaked["definite"], 1024);
    }
}
