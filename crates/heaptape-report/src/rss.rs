//! Resident memory, and what it consists of, as text.

use crate::canvas::{Canvas, Ink};
use crate::figure::Figure;
use crate::units;
use heaptape_analysis::rss::{AtEnd, Moment, Residence};
use std::io::{self, Write};

/// Writes how much memory was resident, and what it was for.
pub(crate) fn render_residence(
    out: &mut dyn Write,
    canvas: &Canvas,
    residence: &Residence,
) -> io::Result<()> {
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Resident memory (RSS)"))?;
    let figure = |label, bytes, details| Figure { label, figure: units::bytes(bytes), details };
    let sampled = &residence.peak;
    let highest = residence.highest_bytes.unwrap_or(0);
    let mut most = parts(sampled);
    if highest > sampled.rss_bytes {
        let words = "by the kernel's count; of the samples at most";
        most[0] = format!("{words} {} {}", units::bytes(sampled.rss_bytes), most[0]);
    }
    figure("Most", highest.max(sampled.rss_bytes), most).render(out, canvas)?;
    if residence.last != residence.peak {
        let last = &residence.last;
        figure("Last", last.rss_bytes, parts(last)).render(out, canvas)?;
    }
    let Some(end) = &residence.at_end else { return Ok(()) };
    figure("Private", private_bytes(end), end_parts(end)).render(out, canvas)
}

/// What a sample says, without what is none.
fn parts(moment: &Moment) -> Vec<String> {
    let mut parts = vec![format!("at {}", units::seconds(moment.time_ns))];
    if let Some(live) = moment.live_bytes {
        parts.push(format!("{} live", units::bytes(live)));
    }
    let figures = [
        (moment.anonymous_bytes, "private"),
        (moment.file_bytes, "of files"),
        (moment.shared_bytes, "shared (the recorder's too)"),
        (moment.swap_bytes, "swapped out"),
    ];
    let some = figures.into_iter().filter(|(bytes, _)| *bytes > 0);
    parts.extend(some.map(|(bytes, what)| format!("{} {what}", units::bytes(bytes))));
    parts
}

fn private_bytes(end: &AtEnd) -> u64 {
    let beside = [end.stack_bytes, end.thread_stack_bytes, end.module_bytes, end.other_bytes];
    end.allocator_bytes() + beside.iter().sum::<u64>()
}

fn end_parts(end: &AtEnd) -> Vec<String> {
    let all = [end.heap, end.arena, end.mapped];
    let sum = |bytes: fn(&heaptape_analysis::rss::Part) -> u64| all.iter().map(bytes).sum::<u64>();
    let figures = [
        (sum(|part| part.asked_bytes), "in blocks"),
        (sum(|part| part.rounding_bytes), "by rounding up"),
        (end.free_bytes(), "free inside the allocator, with its headers"),
        (end.stack_bytes.saturating_add(end.thread_stack_bytes), "of stacks"),
        (end.module_bytes, "of modules' variables"),
        (end.other_bytes, "mapped otherwise (the recorder's too)"),
    ];
    let some = figures.into_iter().filter(|(bytes, _)| *bytes > 0);
    let mut parts = vec![format!("at {}", units::seconds(end.time_ns))];
    parts.extend(some.map(|(bytes, what)| format!("{} {what}", units::bytes(bytes))));
    parts
}
