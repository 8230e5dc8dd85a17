//! Leaks, as text: memcheck's words and order of things, and what leads to each block.

use crate::canvas::{Canvas, Ink};
use crate::header;
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::Weight;
use heaptape_analysis::leaks::{
    LeakRecord, LeakSummary, Leaks, RootName, Search, SearchName, Step,
};
use heaptape_analysis::suppressions::{Suppression, entry_for};
use heaptape_tape::LeakKind;
use std::io::{self, Write};

/// How leaks are to be shown.
#[derive(Clone, Copy, Debug)]
pub struct LeaksView {
    /// Most frames of a backtrace.
    pub depth: usize,
    /// Most records.
    pub top: usize,
    /// Most blocks of a way; the outermost and the innermost are shown.
    pub steps: usize,
    /// Write a suppression for each record.
    pub suppressions: bool,
}

/// Most other searches that are named, the last ones.
const MOST_OTHERS: usize = 8;

/// memcheck's words for a kind.
fn words(kind: LeakKind) -> &'static str {
    match kind {
        LeakKind::Definite => "definitely lost",
        LeakKind::Indirect => "indirectly lost",
        LeakKind::Possible => "possibly lost",
        LeakKind::Reachable => "still reachable",
    }
}

/// The order of memcheck's summary.
const ORDER: [LeakKind; 4] =
    [LeakKind::Definite, LeakKind::Indirect, LeakKind::Possible, LeakKind::Reachable];

/// Writes what is lost, record by record, and the sums.
pub fn render_leaks(
    out: &mut dyn Write,
    canvas: &Canvas,
    leaks: &Leaks,
    view: &LeaksView,
) -> io::Result<()> {
    header::render_process(out, canvas, &leaks.process, &[])?;
    let Some(search) = &leaks.search else {
        return render_no_search(out, canvas);
    };
    render_doubts(out, canvas, search)?;
    for (number, record) in leaks.records.iter().take(view.top).enumerate() {
        writeln!(out)?;
        render_record(out, canvas, number + 1, record, view)?;
    }
    let rest = leaks.records.len().saturating_sub(view.top) as u64;
    if rest > 0 {
        writeln!(out, "\nand {} (--top)", units::counted(rest, "smaller record"))?;
    }
    let heading = match &leaks.since {
        Some(since) => format!("LEAK SUMMARY of blocks allocated since {}", search_words(since)),
        None => "LEAK SUMMARY".to_owned(),
    };
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, &heading))?;
    render_sums(out, "", &leaks.summary)?;
    if leaks.hidden_records > 0 {
        let records = units::counted(leaks.hidden_records, "record");
        let line = format!("{records} of other kinds not shown; --show-leak-kinds=all shows them");
        writeln!(out, "  {}", canvas.paint(Ink::Faint, &line))?;
    }
    let line = format!(
        "searched {} at {}, the process waited {}",
        units::bytes(search.bytes_read),
        units::seconds(search.time_ns),
        units::lifetime(search.pause_ns)
    );
    writeln!(out, "  {}", canvas.paint(Ink::Faint, &line))?;
    render_others(out, canvas, leaks, search)
}

/// `search #2 at 4.200 s`.
fn search_words(search: &SearchName) -> String {
    format!("search #{} at {}", search.number, units::seconds(search.time_ns))
}

/// Which other searches of the process there are.
fn render_others(
    out: &mut dyn Write,
    canvas: &Canvas,
    leaks: &Leaks,
    search: &Search,
) -> io::Result<()> {
    let others = leaks.searches.iter().filter(|other| other.number != search.number);
    let mut words: Vec<String> = others.rev().take(MOST_OTHERS).map(search_words).collect();
    words.reverse();
    if words.is_empty() {
        return Ok(());
    }
    let all = units::count(leaks.searches.len() as u64);
    let note = format!(
        "this is search #{} of {all}; others (--scan, --since): {}",
        search.number,
        words.join(", ")
    );
    for line in text::wrap_words(&note, 2, canvas.width.saturating_sub(2)) {
        writeln!(out, "  {}", canvas.paint(Ink::Faint, &line))?;
    }
    Ok(())
}

fn render_no_search(out: &mut dyn Write, canvas: &Canvas) -> io::Result<()> {
    let note = "Not searched for leaks: that is done when a process exits or crashes, or by heaptape leaks PID, not when \
                it is killed or becomes another program, and left off by run --leaks=no.";
    text::wrap_words(note, 0, canvas.width).iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// What makes a search less certain.
pub(crate) fn render_doubts(
    out: &mut dyn Write,
    canvas: &Canvas,
    search: &Search,
) -> io::Result<()> {
    for doubt in &search.doubts {
        let note = format!("Less certain: {doubt}.");
        for line in text::wrap_words(&note, 2, canvas.width.saturating_sub(2)) {
            writeln!(out, "{} {line}", canvas.paint(Ink::Warning, "!"))?;
        }
    }
    Ok(())
}

/// The sums in memcheck's words, each line after `before`.
pub(crate) fn render_sums(
    out: &mut dyn Write,
    before: &str,
    summary: &LeakSummary,
) -> io::Result<()> {
    let line = |name: &str, weight: &Weight| {
        format!(
            "{before}  {name:>17}: {} bytes in {} blocks",
            units::count(weight.bytes),
            units::count(weight.blocks)
        )
    };
    for kind in ORDER {
        writeln!(out, "{}", line(words(kind), summary.of(kind)))?;
    }
    writeln!(out, "{}", line("suppressed", &summary.suppressed))
}

/// What is lost in all, and how: a figure and its words.
pub(crate) fn in_short(summary: &LeakSummary) -> [String; 2] {
    let lost = summary.definite.bytes.saturating_add(summary.indirect.bytes);
    let some = ORDER.into_iter().filter(|kind| summary.of(*kind).blocks > 0);
    let parts: Vec<String> = some
        .map(|kind| {
            let weight = summary.of(kind);
            let blocks = units::counted(weight.blocks, "block");
            format!("{} in {blocks} {}", units::exact_bytes(weight.bytes), words(kind))
        })
        .collect();
    let words = if parts.is_empty() { "no block is live".to_owned() } else { parts.join(", ") };
    [units::bytes(lost), words]
}

fn render_record(
    out: &mut dyn Write,
    canvas: &Canvas,
    number: usize,
    record: &LeakRecord,
    view: &LeaksView,
) -> io::Result<()> {
    let both = record.weight.bytes.saturating_add(record.indirect.bytes);
    let mut bytes = units::exact_bytes(both);
    if record.indirect.blocks > 0 {
        bytes.push_str(&format!(
            " ({} direct, {} indirect)",
            units::count(record.weight.bytes),
            units::count(record.indirect.bytes)
        ));
    }
    let blocks = units::counted(record.weight.blocks, "block");
    let heading = format!("{number}. {bytes} in {blocks} {}", words(record.kind));
    let ink = if record.kind == LeakKind::Reachable { Ink::Strong } else { Ink::Warning };
    writeln!(out, "{}", canvas.paint(ink, &heading))?;
    writeln!(out, "  allocated with {}", record.function)?;
    crate::addr::render_backtrace(out, canvas, &record.backtrace, view.depth)?;
    render_block(out, canvas, record)?;
    render_path(out, canvas, record, view.steps)?;
    if view.suppressions {
        let entry = entry_for(record.kind, record.function, &record.backtrace);
        for line in entry.lines() {
            writeln!(out, "{}", text::shown(canvas, line))?;
        }
    }
    Ok(())
}

/// The block that stands for the others.
fn render_block(out: &mut dyn Write, canvas: &Canvas, record: &LeakRecord) -> io::Result<()> {
    let block = &record.block;
    let which = if record.weight.blocks > 1 { "one of them: " } else { "" };
    let mut line = format!(
        "  {which}{} at {:#x}, {}",
        number(block.block),
        block.address,
        units::exact_bytes(block.size)
    );
    if block.retained > block.size {
        line.push_str(&format!(", keeps {} alive", units::exact_bytes(block.retained)));
    }
    writeln!(out, "{}", text::shrink(canvas, &line, canvas.width))
}

fn number(block: Option<u64>) -> String {
    block.map_or_else(|| "an inherited block".to_owned(), |number| format!("#{number}"))
}

fn render_path(
    out: &mut dyn Write,
    canvas: &Canvas,
    record: &LeakRecord,
    most: usize,
) -> io::Result<()> {
    if record.path.is_empty() {
        return Ok(());
    }
    let arrow = canvas.sign("\u{2192}", "->");
    let is_root = matches!(record.path.first(), Some(Step::Root(_)));
    writeln!(out, "  {}", if is_root { "reached through" } else { "lost with" })?;
    let all = record.path.len();
    let left_out = all.saturating_sub(most.max(2));
    let head = most.max(2) / 2;
    for (at, step) in record.path.iter().enumerate() {
        if left_out > 0 && at == head {
            writeln!(out, "    {arrow} {}", units::counted(left_out as u64, "more block"))?;
        }
        if left_out > 0 && (head..head + left_out).contains(&at) {
            continue;
        }
        let line = format!(
            "    {}{}",
            if at > 0 { format!("{arrow} ") } else { String::new() },
            step_words(canvas, step)
        );
        writeln!(out, "{}", text::shrink(canvas, &line, canvas.width))?;
    }
    Ok(())
}

fn step_words(canvas: &Canvas, step: &Step) -> String {
    match step {
        Step::Root(root) => root_words(canvas, root),
        Step::More { blocks } => units::counted(*blocks, "more block"),
        Step::Block { block, offset, site } => {
            let size = units::exact_bytes(block.size);
            let from = match site {
                Some(frame) => format!("  {}", sites::fitted(canvas, Some(frame), 60, true)),
                None => String::new(),
            };
            format!("{} at {:#x}+{offset}, {size}{from}", number(block.block), block.address)
        }
    }
}

fn root_words(canvas: &Canvas, root: &RootName) -> String {
    let name = text::shown(canvas, &root.name);
    match (root.what, &root.module) {
        ("variable", Some(module)) => {
            format!("{name}  [{}]", text::shown(canvas, module))
        }
        ("stack", _) if root.tid > 0 => {
            format!("the stack of thread {} at {:#x}", root.tid, root.address)
        }
        ("stack", _) => format!("a stack at {:#x}", root.address),
        ("register", _) => format!("register {name} of thread {}", root.tid),
        ("thread", _) if root.tid > 0 => {
            format!("thread-local storage of thread {} at {:#x}", root.tid, root.address)
        }
        ("thread", _) => format!("a thread's control block at {:#x}", root.address),
        _ if name.is_empty() => format!("mapped memory at {:#x}", root.address),
        _ => format!("mapped memory at {:#x}  [{name}]", root.address),
    }
}

/// Warns of suppressions that have suppressed nothing, and tells the use of the others.
pub fn render_suppressions(
    out: &mut dyn Write,
    canvas: &Canvas,
    all: &[&Suppression],
) -> io::Result<()> {
    for suppression in all {
        let name = text::shown(canvas, &suppression.name);
        let place = format!("{}:{}", text::shown(canvas, &suppression.file), suppression.line);
        if suppression.used.blocks == 0 {
            let line = format!("suppression \"{name}\" ({place}) matched nothing");
            writeln!(out, "{} {line}", canvas.paint(Ink::Warning, "!"))?;
        } else {
            let bytes = units::exact_bytes(suppression.used.bytes);
            let blocks = units::counted(suppression.used.blocks, "block");
            writeln!(out, "  suppressed by \"{name}\" ({place}): {bytes} in {blocks}")?;
        }
    }
    Ok(())
}
