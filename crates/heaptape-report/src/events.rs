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

/// Canvases narrower than this show neither threads, nor block numbers, nor places.
const MIN_WIDTH_FOR_ALL: usize = 96;

/// The line above the events.
pub fn render_heading(out: &mut dyn Write, canvas: &Canvas) -> io::Result<()> {
    let heading = ["time (s)", "thread", "action", "address", "size", "block"].map(str::to_owned);
    let heading = format!("{}call site", columns(canvas, heading));
    writeln!(out, "{}", canvas.paint(Ink::Strong, &heading))
}

fn columns(canvas: &Canvas, [time, thread, action, address, size, block]: [String; 6]) -> String {
    if canvas.width < MIN_WIDTH_FOR_ALL {
        return format!("{time:>10} {action:<15} {address:>14} {size:>10} ");
    }
    format!("{time:>10} {thread:>7} {action:<15} {address:>14} {size:>10} {block:>8}  ")
}

/// One event, for people. The site of the end of a block is that of its free where it was recorded,
/// else that of its allocation, after `from`.
pub fn render_event(out: &mut dyn Write, canvas: &Canvas, row: &EventRow) -> io::Result<()> {
    let mut line = columns(
        canvas,
        [
            units::seconds_to_us(row.time_ns),
            row.tid.to_string(),
            row.action.to_owned(),
            format!("{:#x}", row.address),
            units::count(row.size),
            row.block.map_or_else(String::new, |block| format!("#{block}")),
        ],
    );
    if let Some(note) = row.note {
        line.push_str(&format!("({note}) "));
    }
    if let Some(lived) = row.lived_ns {
        line.push_str(&format!("after {} ", units::lifetime(lived)));
    }
    if let Some(site) = row.site.as_ref().or(row.allocated_by.as_ref()) {
        line.push_str(if row.site.is_none() { "from " } else { "" });
        let frame = site.frame.as_ref();
        let room = canvas.width.saturating_sub(text::width(&line));
        line.push_str(&sites::fitted(canvas, frame, room, canvas.width >= MIN_WIDTH_FOR_ALL));
    }
    writeln!(out, "{}", line.trim_end())
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
