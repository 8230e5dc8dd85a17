//! The summary of a process, as text.

use crate::canvas::{Canvas, Ink};
use crate::chart;
use crate::ending;
use crate::errors;
use crate::figure::Figure;
use crate::findings::{self, FindingsDocument};
use crate::header;
use crate::layout;
use crate::leaks;
use crate::rss;
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::Weight;
use heaptape_analysis::summary::Summary;
use serde::Serialize;
use std::io::{self, Write};

/// Most columns of the curve.
const CURVE: usize = 48;

/// A summary as JSON has it: with the sentences of what stands out.
#[derive(Serialize)]
pub struct SummaryDocument<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    findings: FindingsDocument<'a>,
}

/// A summary as JSON has it.
pub fn document(summary: &Summary) -> SummaryDocument<'_> {
    SummaryDocument { summary, findings: findings::document(&summary.findings) }
}

/// Writes the summary. `tape` is the tape as a word for the shell, for the next commands.
pub fn render_summary(
    out: &mut dyn Write,
    canvas: &Canvas,
    tape: &str,
    summary: &Summary,
) -> io::Result<()> {
    render_head(out, canvas, tape, summary)?;
    writeln!(out)?;
    for figure in figures(canvas, summary) {
        figure.render(out, canvas)?;
    }
    if summary.allocated.calls > 0 || summary.peak.live.total.blocks > 0 {
        render_curve(out, canvas, summary)?;
    }
    findings::render_findings(out, canvas, &summary.findings)?;
    errors::render_headlines(out, canvas, &tape_words(canvas, tape, summary), &summary.errors)?;
    if !summary.peak.live.sites.is_empty() {
        writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Peak, by call site"))?;
        sites::render_ranking(out, canvas, &summary.peak.live)?;
    }
    if !summary.never_freed.live.sites.is_empty() {
        let which = if summary.process.ending.is_told() { "Never freed" } else { "Not freed yet" };
        let heading = format!("{which}, by call site");
        writeln!(out, "\n{}", canvas.paint(Ink::Strong, &heading))?;
        sites::render_ranking(out, canvas, &summary.never_freed.live)?;
        // How full a heap is cannot be seen from some of its blocks.
        if summary.process.sample.is_none() {
            writeln!(out)?;
            layout::render_sentence(out, canvas, summary.process.end_ns, &summary.layout)?;
        }
    }
    if let Some(residence) = &summary.residence {
        rss::render_residence(out, canvas, residence)?;
    }
    render_more(out, canvas, tape, summary)
}

/// One line when the program crashed, and what tells why.
fn render_crash(
    out: &mut dyn Write,
    canvas: &Canvas,
    tape: &str,
    summary: &Summary,
) -> io::Result<()> {
    let Some(crash) = &summary.crash else { return Ok(()) };
    let note = format!(
        "Crashed: {} at {}; why: heaptape crash {}",
        ending::signal_name(crash.signal),
        units::seconds(crash.time_ns),
        tape_words(canvas, tape, summary)
    );
    for line in text::wrap_words(&note, 2, canvas.width.saturating_sub(2)) {
        writeln!(out, "{} {line}", canvas.paint(Ink::Warning, "!"))?;
    }
    Ok(())
}

fn render_head(
    out: &mut dyn Write,
    canvas: &Canvas,
    tape: &str,
    summary: &Summary,
) -> io::Result<()> {
    let more = [
        units::counted(summary.threads, "thread"),
        match &summary.allocated.error {
            None => units::counted(summary.allocated.calls, "call"),
            Some(error) => {
                let error = sites::plus_minus(canvas, &units::count(error.blocks));
                format!("{} {error} calls", units::count(summary.allocated.calls))
            }
        },
    ];
    header::render_process(out, canvas, &summary.process, &more)?;
    header::render_lost_elsewhere(out, canvas, &summary.lost_elsewhere)?;
    header::render_missing(out, canvas, &summary.process.quality, &summary.unrecorded)?;
    render_crash(out, canvas, tape, summary)?;
    header::render_estimates(out, canvas, &summary.process)?;
    header::render_unresolved(out, canvas, &summary.unresolved)
}

/// Peak, what was left, and all that was done.
pub(crate) fn figures(canvas: &Canvas, summary: &Summary) -> Vec<Figure> {
    let figure = |label, figure, details| Figure { label, figure, details };
    let (peak, kept) = (&summary.peak.live.total, &summary.never_freed.live.total);
    let peak_error = summary.peak.live.error.as_ref();
    let peak_text = vec![
        format!(
            "{} at {}",
            sites::exactly(canvas, peak, peak_error),
            units::seconds(summary.peak.time_ns)
        ),
        sites::blocks(canvas, peak, peak_error),
    ];
    let kept_error = summary.never_freed.live.error.as_ref();
    let (kept_label, kept_words) = match summary.process.ending.is_told() {
        true => ("At exit", "never freed"),
        false => ("So far", "not freed yet"),
    };
    let mut at_exit = vec![
        sites::exactly(canvas, kept, kept_error),
        format!("{} {kept_words}", sites::blocks(canvas, kept, kept_error)),
    ];
    let inherited = &summary.never_freed.inherited;
    if inherited.blocks > 0 {
        at_exit.push(format!("{} of them inherited over fork", units::count(inherited.blocks)));
    }
    let mut figures = vec![
        figure("Peak", units::bytes(peak.bytes), peak_text),
        figure(kept_label, units::bytes(kept.bytes), at_exit),
    ];
    if let Some(leaks) = &summary.leaks {
        let [lost, words] = leaks::in_short(leaks);
        figures.push(figure("Lost", lost, vec![words]));
    }
    let allocated = units::bytes(summary.allocated.bytes);
    figures.push(figure("Allocated", allocated, acts(canvas, summary)));
    if let Some(temporary) = summary.temporary {
        let words = format!(
            "of calls: {} freed before their thread's next allocation",
            units::counted(temporary.blocks, "block")
        );
        let share = units::share(temporary.blocks, summary.allocated.calls);
        figures.push(figure("Temporary", share, vec![words]));
    }
    figures
}

/// What was allocated and freed, in words.
fn acts(canvas: &Canvas, summary: &Summary) -> Vec<String> {
    let allocated = &summary.allocated;
    let sum = Weight { bytes: allocated.bytes, blocks: allocated.calls };
    let mut acts = vec![sites::exactly(canvas, &sum, allocated.error.as_ref())];
    if let (Some(median), Some(largest)) = (allocated.median_bytes, allocated.largest_bytes) {
        acts.push(format!("{} median", units::bytes(median)));
        acts.push(format!("{} largest", units::bytes(largest)));
    }
    acts.push(units::counted(allocated.frees, "free"));
    let odd = [
        (allocated.failed, "failed call", ""),
        (allocated.unmatched_frees, "free", " of no live block"),
        (allocated.overlaid, "free", " not seen"),
    ];
    let odd = odd.into_iter().filter(|(number, ..)| *number > 0);
    acts.extend(odd.map(|(number, one, which)| units::counted(number, one) + which));
    acts
}

fn render_curve(out: &mut dyn Write, canvas: &Canvas, summary: &Summary) -> io::Result<()> {
    let series = &summary.series;
    let most = series.buckets.iter().map(|bucket| bucket.max_bytes).max().unwrap_or(0);
    let caption = format!(
        "0 {} {} over {}",
        canvas.sign("\u{2026}", ".."),
        units::bytes(most),
        units::duration(series.end_ns - series.start_ns)
    );
    let label = "  Live bytes  ";
    let room = canvas.width.saturating_sub(label.len() + 2 + text::width(&caption));
    let curve = chart::sparkline(canvas, series, room.clamp(8, CURVE));
    writeln!(out, "\n{label}{}  {caption}", canvas.paint(Ink::Chart, &curve))
}

/// The tape and the process, as words of a command line.
fn tape_words(canvas: &Canvas, tape: &str, summary: &Summary) -> String {
    let mut tape = text::shown(canvas, tape);
    if summary.process.number > 0 {
        tape.push_str(&format!(" --process '#{}'", summary.process.number));
    }
    tape
}

fn render_more(
    out: &mut dyn Write,
    canvas: &Canvas,
    tape: &str,
    summary: &Summary,
) -> io::Result<()> {
    let tape = tape_words(canvas, tape, summary);
    let commands = [
        (format!("heaptape report {tape}"), "everything, as a page for the browser"),
        (format!("heaptape tree {tape} --metric peak"), "who called whom"),
        (format!("heaptape at {tape} 50%"), "the heap at any moment"),
        (format!("heaptape layout {tape}"), "where the blocks lie"),
        (format!("heaptape events {tape}"), "one by one"),
    ];
    let widest = commands.iter().map(|(command, _)| text::width(command)).max().unwrap_or(0);
    writeln!(out, "\nMore")?;
    for (command, about) in &commands {
        // A command is never cut or broken: somebody will copy it.
        let line = format!("  {command:widest$}  {about}");
        let is_narrow = text::width(&line) > canvas.width;
        writeln!(out, "{}", if is_narrow { format!("  {command}") } else { line })?;
    }
    Ok(())
}
