//! What crunch prints and the small files it writes, in crunch's form.

use heaptape_tape::{Crash, Totals};
use std::io::{self, Write};

/// A block that was never freed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// Where it starts.
    pub addr: u64,
    /// Bytes asked for.
    pub size: u64,
    /// Who allocated it, as printable text; empty when that was not recorded.
    pub call_site: String,
}

/// The file `stats`: mallocs, frees, most bytes live, bytes live at the end; a line each.
pub fn render_stats(out: &mut dyn Write, totals: &Totals) -> io::Result<()> {
    let Totals { allocs, frees, peak_bytes, live_bytes, .. } = totals;
    writeln!(out, "{allocs}\n{frees}\n{peak_bytes}\n{live_bytes}")
}

/// The list of blocks that were never freed.
pub fn render_remaining(out: &mut dyn Write, blocks: &[Remaining]) -> io::Result<()> {
    writeln!(out, "\n=== crunch ===\n{} remaining heap allocations", blocks.len())?;
    for Remaining { addr, size, call_site } in blocks {
        write!(out, "  {addr:#x} : {size} bytes")?;
        match call_site.as_str() {
            "" => writeln!(out)?,
            site => writeln!(out, "  {site}")?,
        }
    }
    Ok(())
}

/// What crunch calls a signal that it reports; `None` for one that it does not.
pub fn signal_words(signal: i32) -> Option<&'static str> {
    Some(match signal {
        SIGSEGV => "SIGSEGV illegal access",
        SIGABRT => "SIGABRT abort",
        SIGBUS => "SIGBUS bus error",
        SIGFPE => "SIGFPE arithmetic error",
        SIGILL => "SIGILL illegal instruction",
        _ => return None,
    })
}

const SIGILL: i32 = 4;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGSEGV: i32 = 11;
/// `si_code` when the kernel had no address to give: on x86-64 an address that cannot be one.
const SI_KERNEL: i32 = 128;

/// The line of the file `fatal`; `None` for a signal that crunch does not report. `crash` is what the
/// recorder saw of it, if it saw it.
pub fn fatal_line(signal: i32, crash: Option<&Crash>) -> Option<String> {
    let words = signal_words(signal)?;
    let Some(crash) = crash else {
        return Some(format!("{words}: address not recorded"));
    };
    let Crash { fault_addr, ip, .. } = crash;
    Some(match (signal, crash.code) {
        (SIGABRT, _) => format!("{words}: address {ip:#x} (where it was raised)"),
        (_, code) if code <= 0 => {
            format!("{words}: address {ip:#x} (where a signal sent by a process arrived)")
        }
        (_, SI_KERNEL) if *fault_addr == 0 => {
            format!("{words}: address not known to the processor, used at {ip:#x}")
        }
        _ => format!("{words}: address {fault_addr:#x}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::ProcessId;

    fn crash(signal: i32, code: i32) -> Crash {
        Crash {
            signal,
            code,
            fault_addr: if code == 1 { 0x7f82_8b40_2aef } else { 0 },
            ip: 0x40_1136,
            ..Crash::unknown(ProcessId(0))
        }
    }

    #[test]
    fn the_list_of_crunchs_readme() {
        let blocks = [
            Remaining { addr: 0x7f82_8a40_2af0, size: 10, call_site: String::new() },
            Remaining { addr: 0x7f82_8a40_2b10, size: 4, call_site: "main (leak.c:6)".to_owned() },
        ];
        let mut out = Vec::new();
        render_remaining(&mut out, &blocks).expect("memory takes everything");
        assert_eq!(
            String::from_utf8(out).expect("our own text"),
            "\n=== crunch ===\n2 remaining heap allocations\n  0x7f828a402af0 : 10 bytes\n  \
             0x7f828a402b10 : 4 bytes  main (leak.c:6)\n"
        );
    }

    #[test]
    fn four_lines_of_stats() {
        let totals =
            Totals { allocs: 3, frees: 2, peak_bytes: 50, live_bytes: 25, ..Totals::default() };
        let mut out = Vec::new();
        render_stats(&mut out, &totals).expect("memory takes everything");
        assert_eq!(out, b"3\n2\n50\n25\n");
    }

    #[test]
    fn fatal_lines_say_only_what_is_known() {
        let line = |signal, crash: Option<Crash>| fatal_line(signal, crash.as_ref());
        assert_eq!(
            line(SIGSEGV, Some(crash(SIGSEGV, 1))).as_deref(),
            Some("SIGSEGV illegal access: address 0x7f828b402aef")
        );
        let aborted = line(SIGABRT, Some(crash(SIGABRT, -6))).expect("reported");
        assert!(aborted.starts_with("SIGABRT abort: address 0x401136 "), "{aborted}");
        let wild = line(SIGSEGV, Some(crash(SIGSEGV, SI_KERNEL))).expect("reported");
        assert!(wild.contains("not known"), "{wild}");
        let sent = line(SIGSEGV, Some(crash(SIGSEGV, 0))).expect("reported");
        assert!(sent.contains("sent by a process"), "{sent}");
        assert!(line(SIGBUS, None).expect("reported").contains("not recorded"));
        assert_eq!(line(15, None), None);
    }
}
