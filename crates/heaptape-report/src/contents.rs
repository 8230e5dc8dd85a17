//! What blocks contained, as text. Bytes of the program are shown as hex and as printable ASCII, nothing else
//! of them reaches the terminal; a byte that is not known is shown as `··`.

use crate::canvas::{Canvas, Ink};
use crate::header;
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::contents::SnapshotFacts;
use heaptape_analysis::contents::block::{BlockContents, Pointer, Target};
use heaptape_analysis::contents::table::{ContentsTable, FIRST_BYTES, Row};
use heaptape_analysis::process::ProcessName;
use std::io::{self, Write};

/// Bytes on a line.
const LINE: u64 = 16;
/// Columns of the table before the call site.
const BEFORE_SITE: usize = 14 + 2 + 9 + 2 + 8 + 2 + 12 + 2 + FIRST_BYTES + 2;

/// Writes the largest blocks of a snapshot.
pub fn render_table(out: &mut dyn Write, canvas: &Canvas, table: &ContentsTable) -> io::Result<()> {
    render_heading(out, canvas, &table.process, &table.snapshot)?;
    let shown = table.rows.len() as u64;
    let mut sentence =
        format!("{}, {}", units::counted(table.blocks, "live block"), units::bytes(table.bytes));
    if shown < table.blocks {
        sentence.push_str(&format!("; the largest {} shown (--limit)", units::count(shown)));
    }
    writeln!(out, "{sentence}\n")?;
    if table.rows.is_empty() {
        return Ok(());
    }
    let heading = format!(
        "{:<14}  {:<9}  {:>8}  {:<12}  {:<FIRST_BYTES$}  call site",
        "address", "block", "size", "looks like", "first bytes"
    );
    writeln!(out, "{}", canvas.paint(Ink::Faint, &text::shrink(canvas, &heading, canvas.width)))?;
    table.rows.iter().try_for_each(|row| render_row(out, canvas, row))
}

fn render_row(out: &mut dyn Write, canvas: &Canvas, row: &Row) -> io::Result<()> {
    let room = canvas.width.saturating_sub(BEFORE_SITE);
    let line = format!(
        "{:<#14x}  {}  {}  {}  {}  {}",
        row.address,
        text::left(&block_name(row.block), 9),
        text::right(&units::bytes(row.size), 8),
        text::left(row.looks_like.words(), 12),
        text::left(&ascii(canvas, row.first.iter().map(|&byte| Some(byte))), FIRST_BYTES),
        sites::fitted(canvas, row.site.frame.as_ref(), room, true),
    );
    writeln!(out, "{}", line.trim_end())
}

/// Writes the bytes of a block, and where its pointers lead.
pub fn render_block(out: &mut dyn Write, canvas: &Canvas, block: &BlockContents) -> io::Result<()> {
    render_heading(out, canvas, &block.process, &block.snapshot)?;
    let heading = format!(
        "\n{}  {:#x}  {}  allocated at {} with {}",
        block_name(block.block),
        block.address,
        units::exact_bytes(block.size),
        units::seconds(block.allocated_ns),
        block.function
    );
    writeln!(out, "{}", canvas.paint(Ink::Strong, &heading))?;
    let room = canvas.width.saturating_sub(3);
    writeln!(out, "by {}", sites::fitted(canvas, block.site.frame.as_ref(), room, true))?;
    writeln!(out, "looks like {}", block.looks_like.words())?;
    let unknown = block.bytes.unknown() as u64;
    if unknown > 0 {
        let line = format!("{} not recorded", units::counted(unknown, "byte"));
        writeln!(out, "{}", canvas.paint(Ink::Warning, &line))?;
    }
    writeln!(out)?;
    render_lines(out, canvas, block)?;
    let end = block.offset + block.length;
    if end < block.size {
        let more = units::counted(block.size - end, "more byte");
        writeln!(out, "and {more} (--offset, --length)")?;
    }
    Ok(())
}

/// The lines, each beginning at a multiple of [`LINE`] from the block's start.
fn render_lines(out: &mut dyn Write, canvas: &Canvas, block: &BlockContents) -> io::Result<()> {
    let mut pointers = block.pointers.iter().peekable();
    let end = block.offset + block.length;
    let mut start = block.offset / LINE * LINE;
    let mut last: Option<Vec<Option<u8>>> = None;
    let mut repeated = false;
    while start < end {
        let byte = |at: u64| {
            let place = at.checked_sub(block.offset).filter(|_| at < end)?;
            Some(block.bytes.get(usize::try_from(place).ok()?))
        };
        let line: Vec<Option<Option<u8>>> = (start..start + LINE).map(byte).collect();
        let mut here: Vec<&Pointer> = Vec::new();
        while let Some(pointer) = pointers.next_if(|pointer| pointer.offset < start + LINE) {
            here.push(pointer);
        }
        let whole: Option<Vec<Option<u8>>> = line.iter().copied().collect();
        let same = here.is_empty() && whole.is_some() && whole == last && start + LINE < end;
        if !same {
            render_line(out, canvas, start, &line)?;
            render_pointers(out, canvas, &here)?;
        } else if !repeated {
            writeln!(out, "*")?;
        }
        repeated = same;
        last = whole;
        start += LINE;
    }
    Ok(())
}

/// A line; what lies outside of what is shown is left blank.
fn render_line(
    out: &mut dyn Write,
    canvas: &Canvas,
    start: u64,
    line: &[Option<Option<u8>>],
) -> io::Result<()> {
    let mut hex = String::new();
    for (place, byte) in line.iter().enumerate() {
        hex.push_str(if place == 8 { "  " } else { " " });
        match byte {
            None => hex.push_str("  "),
            Some(None) => hex.push_str(canvas.sign("\u{b7}\u{b7}", "..")),
            Some(Some(byte)) => hex.push_str(&format!("{byte:02x}")),
        }
    }
    let shown = ascii(canvas, line.iter().flatten().copied());
    let blank = line.iter().take_while(|byte| byte.is_none()).count();
    writeln!(out, "{start:>8x} {hex}  {}{shown}", " ".repeat(blank))
}

fn render_pointers(out: &mut dyn Write, canvas: &Canvas, here: &[&Pointer]) -> io::Result<()> {
    let arrow = canvas.sign("\u{2192}", "->");
    for pointer in here {
        let to = target(canvas, &pointer.to);
        let line = format!("{:>8x}   {:#x} {arrow} {to}", pointer.offset, pointer.value);
        let line = text::shrink(canvas, &line, canvas.width);
        writeln!(out, "{}", canvas.paint(Ink::Faint, &line))?;
    }
    Ok(())
}

/// Where a pointer leads: `#12 + 16`, `freed #7 (at 0.120 s)`, `demo: main`, `[stack]`.
fn target(canvas: &Canvas, to: &Target) -> String {
    match to {
        Target::Block { block, offset, size } => {
            let name = format!("{}{}", block_name(*block), plus(*offset));
            match offset {
                0 => format!("{name}, {}", units::bytes(*size)),
                offset if offset == size => format!("{name}, its end"),
                offset if offset > size => format!("{name}, behind its end"),
                _ => name,
            }
        }
        Target::Freed { block, offset, freed_ns } => {
            let at = units::seconds(*freed_ns);
            format!("freed {}{}, at {at}", block_name(*block), plus(*offset))
        }
        Target::Module { module, function, address } => {
            let module = text::shown(canvas, module);
            match function {
                Some(function) => format!("{} [{module}]", text::shown(canvas, function)),
                None => format!("{module}+{address:#x}"),
            }
        }
        Target::Mapping { name, offset } => {
            let name = match text::shown(canvas, name) {
                name if name.is_empty() => "anonymous memory".to_owned(),
                name => name,
            };
            format!("{name}{}", plus(*offset))
        }
    }
}

fn plus(offset: u64) -> String {
    if offset == 0 { String::new() } else { format!(" + {offset:#x}") }
}

fn block_name(block: Option<u64>) -> String {
    block.map_or_else(|| "inherited".to_owned(), |number| format!("#{number}"))
}

/// Printable ASCII; a dot for other bytes, a middle dot for those that are not known.
fn ascii(canvas: &Canvas, bytes: impl Iterator<Item = Option<u8>>) -> String {
    bytes
        .map(|byte| match byte {
            Some(byte @ b' '..=b'~') => char::from(byte).to_string(),
            Some(_) => ".".to_owned(),
            None => canvas.sign("\u{b7}", "?").to_owned(),
        })
        .collect()
}

/// The process, and the snapshot that was used, with what is wrong with it.
fn render_heading(
    out: &mut dyn Write,
    canvas: &Canvas,
    process: &ProcessName,
    snapshot: &SnapshotFacts,
) -> io::Result<()> {
    header::render_process(out, canvas, process, &[])?;
    header::render_sampled_only(out, canvas, process)?;
    let line = format!(
        "Snapshot #{} at {} ({}), after {}",
        snapshot.number,
        units::seconds(snapshot.time_ns),
        snapshot.reason,
        units::counted(snapshot.events, "event"),
    );
    writeln!(out, "{line}")?;
    let mut warnings = Vec::new();
    if !snapshot.one_instant {
        warnings.push("not of one instant: some of it went on while it was copied".to_owned());
    }
    for (bytes, what) in [
        (snapshot.unreadable_bytes, "could not be read"),
        (snapshot.over_budget_bytes, "left out, beyond the budget"),
    ] {
        if bytes > 0 {
            warnings.push(format!("pages of {} {what}", units::bytes(bytes)));
        }
    }
    for warning in warnings {
        writeln!(out, "{} {warning}", canvas.paint(Ink::Warning, "!"))?;
    }
    Ok(())
}
