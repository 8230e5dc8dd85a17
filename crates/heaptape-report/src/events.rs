//! Events as text: one line each, aligned for people or separated by tabs for programs.

use crate::canvas::{Canvas, Ink};
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::events::EventRow;
use std::io::{self, Write};

/// The columns of [`render_tsv`], in order.
pub const TSV_COLUMNS: [&str; 13] = [
    "index", "time_s", "tid", "action", "function", "address", "size", "usable", "block",
    "lived_s", "site", "place", "note",
];

/// The line above the events.
pub fn render_heading(out: &mut dyn Write, canvas: &Canvas) -> io::Result<()> {
    let heading = format!(
        "{:>14} {:>7}  {:<15} {:>16} {:>13} {:>9}  call site",
        "time (s)", "thread", "action", "address", "size", "block"
    );
    writeln!(out, "{}", canvas.paint(Ink::Strong, &text::shrink(canvas, &heading, canvas.width)))
}

/// One event, for people. The site of the end of a block is that of its free where it was recorded,
/// else that of its allocation, after `from`.
pub fn render_event(out: &mut dyn Write, canvas: &Canvas, row: &EventRow) -> io::Result<()> {
    let block = row.block.map_or_else(String::new, |block| format!("#{block}"));
    let head = format!(
        "{:>14} {:>7}  {:<15} {:>#16x} {:>13} {block:>9}  ",
        units::exact_seconds(row.time_ns),
        row.tid,
        row.action,
        row.address,
        units::exact_bytes(row.size),
    );
    let (site, from) = match (&row.site, &row.allocated_by) {
        (Some(site), _) => (Some(site), ""),
        (None, Some(site)) => (Some(site), "from "),
        (None, None) => (None, ""),
    };
    let mut tail = site.map_or_else(String::new, |site| {
        let frame = site.frame.as_ref();
        format!("{from}{}  {}", sites::name(canvas, frame), sites::place(canvas, frame))
    });
    if let Some(lived) = row.lived_ns {
        tail = format!("after {}  {tail}", units::lifetime(lived));
    }
    if let Some(note) = row.note {
        tail = format!("({note})  {tail}");
    }
    let room = canvas.width.saturating_sub(head.len());
    writeln!(out, "{}", format!("{head}{}", text::shrink(canvas, tail.trim_end(), room)).trim_end())
}

/// The names of the columns, separated by tabs.
pub fn render_tsv_heading(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", TSV_COLUMNS.join("\t"))
}

/// One event for programs. Unknown values are empty; tabs and line ends in names are escaped.
pub fn render_tsv(out: &mut dyn Write, row: &EventRow) -> io::Result<()> {
    let frame =
        row.site.as_ref().or(row.allocated_by.as_ref()).and_then(|site| site.frame.as_ref());
    let escaped = |text: &str| text::escape(text.as_bytes());
    let place = frame.map_or_else(String::new, |frame| match &frame.file {
        Some(file) => format!("{}:{}", escaped(file), frame.line),
        None => String::new(),
    });
    let columns = [
        row.index.to_string(),
        units::exact_seconds(row.time_ns),
        row.tid.to_string(),
        row.action.to_owned(),
        row.function.to_owned(),
        format!("{:#x}", row.address),
        row.size.to_string(),
        row.usable.to_string(),
        row.block.map_or_else(String::new, |block| block.to_string()),
        row.lived_ns.map_or_else(String::new, units::exact_seconds),
        frame.map_or_else(String::new, |frame| escaped(&frame.function)),
        place,
        row.note.unwrap_or_default().to_owned(),
    ];
    writeln!(out, "{}", columns.join("\t"))
}
