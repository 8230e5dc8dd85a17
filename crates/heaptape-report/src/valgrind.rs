//! The summary in valgrind's words, for scripts and eyes that know them.

use crate::leaks;
use crate::units::count;
use heaptape_analysis::summary::Summary;
use std::io::{self, Write};

/// Writes `HEAP SUMMARY` as memcheck does, each line after `==PID==`.
pub fn render_valgrind(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    let pid = summary.process.pid;
    let (kept, all) = (&summary.never_freed.live.total, &summary.allocated);
    writeln!(out, "=={pid}== HEAP SUMMARY:")?;
    writeln!(
        out,
        "=={pid}==     in use at exit: {} bytes in {} blocks",
        count(kept.bytes),
        count(kept.blocks)
    )?;
    writeln!(
        out,
        "=={pid}==   total heap usage: {} allocs, {} frees, {} bytes allocated",
        count(all.calls),
        count(all.frees),
        count(all.bytes)
    )?;
    if let Some(sample) = &summary.process.sample {
        let mean = count(sample.mean_bytes);
        writeln!(out, "=={pid}==   estimated from a sample: one byte in {mean}")?;
    }
    writeln!(out, "=={pid}==")?;
    let Some(leaks) = &summary.leaks else { return Ok(()) };
    writeln!(out, "=={pid}== LEAK SUMMARY:")?;
    leaks::render_sums(out, &format!("=={pid}== "), leaks)?;
    writeln!(out, "=={pid}==")
}
