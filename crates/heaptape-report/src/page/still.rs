//! The part of a report that can be read without scripts: the summary of the process that is shown first.

use super::overview::{Overview, ProcessInfo, UnnamedFrames};
use crate::figure::Figure;
use crate::html::Text;
use crate::summary::figures;
use crate::{canvas::Canvas, crash, findings, sites, text, units};
use heaptape_analysis::findings::Findings;
use heaptape_analysis::ranking::Ranking;
use heaptape_analysis::summary::Summary;
use std::io::{self, Write};

/// Call sites of a list.
const TOP: usize = 10;

/// Its style; everything is below `#static`, which goes when the program has drawn the page.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark}#static{font:14px/1.5 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem;\
overflow-wrap:anywhere}#static h1{font-size:1.3rem}#static h2{font-size:1.05rem;margin:1.6rem 0 .4rem}\
#static code,#static pre{font-family:ui-monospace,monospace}#static pre{white-space:pre-wrap}\
#static table{border-collapse:collapse}#static td,#static th{padding:.15rem 1rem .15rem 0;text-align:left;\
font-weight:normal;border-bottom:1px solid #8884}#static td.n,#static th.n{text-align:right;white-space:nowrap;\
font-variant-numeric:tabular-nums}#static .bad{color:#b35900}#static .dim{opacity:.7}\n";

/// No line is broken here: the browser does.
const CANVAS: Canvas = Canvas { width: usize::MAX / 2, color: false, unicode: true };

impl Overview {
    /// The process that is shown first.
    fn shown(&self) -> Option<&ProcessInfo> {
        self.processes.iter().find(|process| process.id == self.first)
    }

    /// The page's title.
    pub(super) fn title(&self) -> String {
        let name = self.shown().map_or("", |process| process.name.as_str());
        format!("{} \u{2013} {}", text::escape(name.as_bytes()), text::escape(self.tape.as_bytes()))
    }
}

/// Writes it.
pub(super) fn write(out: &mut dyn Write, overview: &Overview) -> io::Result<()> {
    writeln!(out, "<main id=\"static\">")?;
    if let Some(process) = overview.shown() {
        write_head(out, overview, process)?;
        if let Some(summary) = &process.results.summary {
            write_findings(out, &summary.findings)?;
            write_figures(out, summary)?;
            write_ranking(out, "Peak, by call site", &summary.peak.live)?;
            write_ranking(out, "Never freed, by call site", &summary.never_freed.live)?;
        }
    }
    write_processes(out, overview)?;
    let host = if overview.host.is_empty() { "" } else { " on " };
    writeln!(
        out,
        "<p class=\"dim\">Written by {} from <code>{}</code>, recorded {}{host}{}.</p>",
        Text(&overview.tool),
        Text(&shown(&overview.tape)),
        Text(&overview.recorded_at),
        Text(&shown(&overview.host))
    )?;
    writeln!(
        out,
        "<noscript><p>Timeline, flame graph, heap layout and the other pages need JavaScript.</p></noscript>\n</main>"
    )
}

fn shown(text: &str) -> String {
    text::escape(text.as_bytes())
}

fn write_head(out: &mut dyn Write, overview: &Overview, process: &ProcessInfo) -> io::Result<()> {
    let command = text::command(&CANVAS, &process.argv);
    writeln!(out, "<h1><code>{}</code></h1>", Text(&command))?;
    writeln!(
        out,
        "<p>pid {}, {}, {}, {}, {}</p>",
        process.pid,
        Text(&process.ending),
        units::duration(process.end_ns - process.start_ns),
        units::counted(process.threads.len() as u64, "thread"),
        units::counted(process.block_count, "block"),
    )?;
    let names = process.results.summary.as_ref();
    let unnamed = names.and_then(|summary| UnnamedFrames::of(&summary.unresolved).notice);
    for loss in overview.losses.iter().chain(&unnamed) {
        writeln!(out, "<p class=\"bad\">{}</p>", Text(loss))?;
    }
    if let Some(why) = &process.why_not {
        writeln!(out, "<p class=\"bad\">{}</p>", Text(why))?;
    }
    if overview.has_contents {
        writeln!(out, "<p class=\"bad\">This file contains memory of the recorded program.</p>")?;
    }
    let Some(crashes) = &process.results.crash else { return Ok(()) };
    let mut lines = Vec::new();
    crash::render_short(&mut lines, &CANVAS, crashes)?;
    let lines = String::from_utf8_lossy(&lines);
    // It speaks as `heaptape run` does.
    let lines = lines.strip_prefix("heaptape: ").unwrap_or(&lines);
    writeln!(out, "<pre class=\"bad\">{}</pre>", Text(lines))
}

/// What stands out, a sentence each.
fn write_findings(out: &mut dyn Write, found: &Findings) -> io::Result<()> {
    if found.found.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>Findings</h2>\n<ul>")?;
    for finding in findings::document(found).found {
        let place = if finding.place.is_empty() {
            String::new()
        } else {
            format!(" ({})", shown(&finding.place))
        };
        writeln!(out, "<li>{}{}</li>", Text(&shown(&finding.sentence)), Text(&place))?;
    }
    writeln!(out, "</ul>")
}

fn write_figures(out: &mut dyn Write, summary: &Summary) -> io::Result<()> {
    writeln!(out, "<h2>Memory</h2>\n<table>")?;
    for Figure { label, figure, details } in figures(&CANVAS, summary) {
        let (figure, details) = (Text(&figure), details.join(", "));
        writeln!(out, "<tr><th>{label}<td class=\"n\">{figure}<td>{}", Text(&details))?;
    }
    writeln!(out, "</table>")
}

fn write_ranking(out: &mut dyn Write, title: &str, ranking: &Ranking) -> io::Result<()> {
    if ranking.sites.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>{title}</h2>\n<table>\n<tr><th class=\"n\">bytes<th class=\"n\">share<th class=\"n\">blocks<th>function<th>place"
    )?;
    let whole = ranking.total.bytes;
    for site in ranking.sites.iter().take(TOP) {
        let frame = site.site.frame.as_ref();
        writeln!(
            out,
            "<tr><td class=\"n\">{}<td class=\"n\">{}<td class=\"n\">{}<td><code>{}</code><td>{}",
            units::bytes(site.weight.bytes),
            units::share(site.weight.bytes, whole),
            units::count(site.weight.blocks),
            Text(&sites::name(&CANVAS, frame)),
            Text(&sites::place(&CANVAS, frame))
        )?;
    }
    writeln!(out, "</table>")?;
    let left_out = ranking.sites.len().saturating_sub(TOP) as u64 + ranking.rest_sites;
    if left_out > 0 {
        writeln!(out, "<p class=\"dim\">and {}</p>", units::counted(left_out, "more call site"))?;
    }
    Ok(())
}

fn write_processes(out: &mut dyn Write, overview: &Overview) -> io::Result<()> {
    if overview.processes.len() < 2 {
        return Ok(());
    }
    writeln!(
        out,
        "<h2>Processes</h2>\n<table>\n<tr><th>number<th class=\"n\">pid<th class=\"n\">peak<th>program<th>ending"
    )?;
    for process in &overview.processes {
        writeln!(
            out,
            "<tr><td>#{}<td class=\"n\">{}<td class=\"n\">{}<td><code>{}</code><td>{}",
            process.id,
            process.pid,
            units::bytes(process.peak.weight.bytes),
            Text(&text::shrink(&CANVAS, &text::command(&CANVAS, &process.argv), 200)),
            Text(&process.ending)
        )?;
    }
    writeln!(out, "</table>")
}
