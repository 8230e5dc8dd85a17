//! What vizzytrace says while it records, and vizzyreport's two texts, in vizzy's form.
//!
//! Numbers that vizzy's texts have no place for follow under `note:`, so that a script which reads
//! vizzy's lines reads ours.

use crate::units;
use heaptape_tape::{Ending, LiveBlock, TimeNs, Totals};
use std::io::{self, Write};

/// Smallest piece of memory that malloc hands out, and the bytes it keeps before each: glibc, 64 bit.
const MIN_CHUNK: u64 = 32;
const CHUNK_HEADER: u64 = 8;
const CHUNK_ALIGN: u64 = 16;

/// The lines vizzytrace opens with.
pub fn render_banner(out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n  ._______.\n  | o ~ o |   heaptape as vizzytrace\n  '-/---\\-'   winds the heap back\n"
    )
}

/// One of vizzytrace's own lines.
pub fn render_info(out: &mut dyn Write, color: bool, text: &str) -> io::Result<()> {
    let (on, off) = if color { ("\x1b[1;34m", "\x1b[0m") } else { ("", "") };
    writeln!(out, "{on}[*]{off} {text}")
}

/// How the child ended, as vizzytrace words it.
pub fn ending_text(ending: Ending) -> String {
    match ending {
        Ending::Exited(code) => format!("Child process exited with a return code of {code}"),
        Ending::Signalled(signal, _) => format!("Child process exited via signal {signal}"),
        Ending::Unknown | Ending::Exec | Ending::Gone | Ending::Running => {
            "Child process ended; its return code is not known".to_owned()
        }
    }
}

/// The heap summary. `process` names the process where there is more than one.
pub fn render_heap_summary(
    out: &mut dyn Write,
    process: Option<&str>,
    totals: &Totals,
) -> io::Result<()> {
    match process {
        Some(process) => writeln!(out, "HEAP SUMMARY ({process}):")?,
        None => writeln!(out, "HEAP SUMMARY:")?,
    }
    let Totals { live_bytes, live_blocks, allocs, frees, alloc_bytes, .. } = totals;
    writeln!(out, "    in use at exit   : {live_bytes} bytes in {live_blocks} blocks")?;
    writeln!(
        out,
        "    total heap usage : {allocs} allocs, {frees} frees, {alloc_bytes} bytes allocated"
    )
}

/// A free of an address at which no block began.
pub fn render_unmatched_free(out: &mut dyn Write, addr: u64) -> io::Result<()> {
    writeln!(out, "Double free @ {addr:08x}?")
}

/// The live blocks at a moment, by address; `...` stands where memory that is no live block lies between
/// two of them.
pub fn render_layout(
    out: &mut dyn Write,
    process: Option<&str>,
    time: TimeNs,
    blocks: &[LiveBlock],
) -> io::Result<()> {
    let seconds = seconds(time);
    match process {
        Some(process) => writeln!(out, "HEAP VMEM LAYOUT @{seconds}s ({process}):")?,
        None => writeln!(out, "HEAP VMEM LAYOUT @{seconds}s:")?,
    }
    let mut next = 0;
    for block in blocks {
        if block.addr > next {
            writeln!(out, "...")?;
        }
        writeln!(out, "{:#x} - {} ({})", block.addr, block.size, block.api)?;
        next = next_block(block);
    }
    Ok(())
}

/// Seconds as vizzy writes them: with one decimal at least.
fn seconds(time: TimeNs) -> String {
    let text = units::exact_seconds(time.0);
    let decimals = text.trim_end_matches('0').len();
    let least = text.find('.').map_or(text.len(), |dot| dot + 2);
    text[..decimals.max(least)].to_owned()
}

/// Where the next block begins when nothing lies between.
fn next_block(block: &LiveBlock) -> u64 {
    let chunk = match block.usable {
        0 => block.size.saturating_add(CHUNK_HEADER + CHUNK_ALIGN - 1) / CHUNK_ALIGN * CHUNK_ALIGN,
        usable => usable.saturating_add(CHUNK_HEADER),
    };
    block.addr.saturating_add(chunk.max(MIN_CHUNK))
}

#[cfg(test)]
mod tests {
    use super::*;
    use heaptape_tape::{Api, BacktraceId, BlockId, ThreadId};

    fn text(render: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        render(&mut out).expect("memory takes everything");
        String::from_utf8(out).expect("our own text")
    }

    fn block(addr: u64, size: u64, usable: u64) -> LiveBlock {
        LiveBlock {
            addr,
            size,
            usable,
            id: BlockId(1),
            time: TimeNs(0),
            thread: ThreadId(0),
            api: Api::Malloc,
            align_log2: 0,
            backtrace: BacktraceId::NONE,
        }
    }

    #[test]
    fn the_summary_of_vizzys_readme() {
        let totals = Totals {
            live_bytes: 11060,
            live_blocks: 58,
            allocs: 422_216,
            frees: 422_157,
            alloc_bytes: 792_452_324,
            ..Totals::default()
        };
        assert_eq!(
            text(|out| render_heap_summary(out, None, &totals)),
            "HEAP SUMMARY:\n    in use at exit   : 11060 bytes in 58 blocks\n    \
             total heap usage : 422216 allocs, 422157 frees, 792452324 bytes allocated\n"
        );
    }

    #[test]
    fn dots_stand_for_holes_only() {
        let blocks = [
            block(0x1000, 24, 24),
            block(0x1020, 1, 0),
            block(0x1040, 40, 0),
            block(0x1080, 8, 24),
        ];
        assert_eq!(
            text(|out| render_layout(out, None, TimeNs(500_000_000), &blocks)),
            "HEAP VMEM LAYOUT @0.5s:\n...\n0x1000 - 24 (malloc)\n0x1020 - 1 (malloc)\n\
             0x1040 - 40 (malloc)\n...\n0x1080 - 8 (malloc)\n"
        );
    }

    #[test]
    fn a_hostile_block_at_the_end_of_memory() {
        let blocks = [block(u64::MAX - 1, u64::MAX, 0), block(u64::MAX, 1, u64::MAX)];
        assert_eq!(
            text(|out| render_layout(out, None, TimeNs(1), &blocks)).matches("...").count(),
            1
        );
    }

    #[test]
    fn seconds_are_written_as_python_writes_them() {
        assert_eq!(seconds(TimeNs(0)), "0.0");
        assert_eq!(seconds(TimeNs(12_000_000_000)), "12.0");
        assert_eq!(seconds(TimeNs(1_020_304_000)), "1.020304");
    }

    #[test]
    fn endings() {
        assert_eq!(ending_text(Ending::Exited(3)), "Child process exited with a return code of 3");
        assert_eq!(ending_text(Ending::Signalled(11, true)), "Child process exited via signal 11");
    }
}
