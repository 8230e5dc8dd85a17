//! The heap at a moment, as text.

use crate::canvas::{Canvas, Ink};
use crate::header;
use crate::layout;
use crate::sites;
use crate::units;
use heaptape_analysis::at::HeapAt;
use std::io::{self, Write};

/// Writes what is live, who allocated it, and where it lies.
pub fn render_at(out: &mut dyn Write, canvas: &Canvas, heap: &HeapAt) -> io::Result<()> {
    header::render_process(out, canvas, &heap.process, &[])?;
    header::render_unresolved(out, canvas, &heap.unresolved)?;
    header::render_estimates(out, canvas, &heap.process)?;
    let total = &heap.live.total;
    writeln!(
        out,
        "\nBytes live at {}: {} ({}) in {}",
        header::moment(&heap.process, heap.instant.time_ns),
        canvas.paint(Ink::Strong, &units::bytes(total.bytes)),
        sites::exactly(canvas, total, heap.live.error.as_ref()),
        sites::blocks(canvas, total, heap.live.error.as_ref())
    )?;
    if total.blocks == 0 {
        return Ok(());
    }
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, "By call site"))?;
    sites::render_ranking(out, canvas, &heap.live)?;
    writeln!(out)?;
    header::render_sampled_only(out, canvas, &heap.process)?;
    layout::render_regions(out, canvas, &heap.layout)?;
    layout::render_pins(out, canvas, &heap.layout)
}
