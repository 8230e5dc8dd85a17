//! What gcc's address and leak sanitizers find, from their text.

use super::finding::Finding;
use super::process::Scratch;
use super::tool::Seen;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

pub(super) fn look(program: &Path, words: [&str; 2], scratch: &Scratch) -> Result<Seen, String> {
    let mut command = Command::new(program);
    command.args(words).env("ASAN_OPTIONS", "detect_leaks=1:allocator_may_return_null=1");
    let ended = scratch.run(&mut command)?;
    let mut seen = read(&ended.output);
    seen.findings.extend(ended.status.signal().map(Finding::signal));
    Ok(seen)
}

fn read(output: &str) -> Seen {
    let mut seen = Seen::default();
    for line in output.lines() {
        if let Some((_, what)) = line.split_once("ERROR: AddressSanitizer: ") {
            let found = error(what, output);
            seen.findings.extend(found.map(Finding::known));
        }
        for (start, word) in [("Direct leak of ", "definite"), ("Indirect leak of ", "indirect")] {
            let Some(rest) = line.strip_prefix(start) else { continue };
            let bytes = rest.split(' ').next().and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
            seen.findings.insert(Finding::known(word));
            *seen.leaked.entry(word.to_owned()).or_default() += bytes;
        }
    }
    seen
}

/// Our word for what stands after `ERROR: AddressSanitizer: `; the rest of the report tells the way of the access.
fn error(what: &str, report: &str) -> Option<&'static str> {
    let writes = report.contains("\nWRITE of size");
    let way = |write, read| if writes { write } else { read };
    Some(match what.split([' ', ':']).next()? {
        "attempting" if what.contains("double-free") => "double_free",
        "attempting" => "invalid_free",
        "alloc-dealloc-mismatch" | "new-delete-type-mismatch" => "mismatched_free",
        "heap-use-after-free" => way("use_after_free_write", "use_after_free_read"),
        // One kind for both ends: the line about the block tells them apart.
        "heap-buffer-overflow"
            if report.contains(" bytes before ") || report.contains(" to the left of ") =>
        {
            way("underflow_write", "underflow_read")
        }
        "heap-buffer-overflow" => way("overflow_write", "overflow_read"),
        "SEGV" => "SIGSEGV",
        "BUS" => "SIGBUS",
        "FPE" => "SIGFPE",
        "ILL" => "SIGILL",
        "ABRT" => "SIGABRT",
        "stack-overflow" => "SIGSEGV:stack_overflow",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::finding::words;

    #[test]
    fn a_report_is_read() {
        let text = "==1==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x1 at pc 0x2\n\
                    WRITE of size 1 at 0x1 thread T0\n\
                    0x1 is located 1 bytes to the left of 10-byte region [0x2,0xc)\n";
        assert_eq!(words(&read(text).findings), "underflow_write");
        let text = "==1==ERROR: LeakSanitizer: detected memory leaks\n\n\
                    Direct leak of 24 byte(s) in 1 object(s) allocated from:\n";
        assert_eq!(
            (words(&read(text).findings).as_str(), read(text).leaked["definite"]),
            ("definite", 24)
        );
    }
}
