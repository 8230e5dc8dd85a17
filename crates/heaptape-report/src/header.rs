//! The first lines of every view: which process, and what is missing.

use crate::canvas::{Canvas, Ink};
use crate::ending;
use crate::text;
use crate::units;
use heaptape_analysis::estimate::Sampled;
use heaptape_analysis::info::{Lost, Quality, UnrecordedChild};
use heaptape_analysis::process::ProcessName;
use heaptape_analysis::unresolved::{Unresolved, UnresolvedIn};
use std::io::{self, Write};

/// Most unrecorded children that are named one by one.
const MAX_NAMED_CHILDREN: usize = 3;

/// Program, pid, ending, duration, `more`, and what is lost, on as few lines as fit.
pub fn render_process(
    out: &mut dyn Write,
    canvas: &Canvas,
    process: &ProcessName,
    more: &[String],
) -> io::Result<()> {
    let command = text::command(canvas, &process.command);
    let mut parts = vec![
        text::shrink(canvas, &command, canvas.width / 2),
        format!("pid {}", process.pid),
        ending::words(&process.ending),
        ran(process),
    ];
    parts.extend_from_slice(more);
    parts.extend(lost_words(&process.lost));
    parts.extend(quality_words(&process.quality));
    parts.extend(process.sample.as_ref().map(sample_words));
    for (index, line) in text::wrap(&parts, 3, 2, canvas.width).into_iter().enumerate() {
        let line = if index == 0 { canvas.paint(Ink::Strong, &line) } else { line };
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// How long a process ran; of one that another began, also since when, for times count from the beginning of the tape.
fn ran(process: &ProcessName) -> String {
    let ran = units::duration(process.end_ns - process.start_ns);
    if process.number == 0 {
        return ran;
    }
    format!("{ran} from {}", units::seconds(process.start_ns))
}

/// Of a sample, how much of the whole it is: `SAMPLE of 217 blocks, one byte in 512 KiB`.
fn sample_words(sample: &Sampled) -> String {
    let blocks = units::counted(sample.blocks, "block");
    format!("SAMPLE of {blocks}, one byte in {}", units::bytes(sample.mean_bytes))
}

/// Of a sample, one line for the views that show sums.
pub fn render_estimates(
    out: &mut dyn Write,
    canvas: &Canvas,
    process: &ProcessName,
) -> io::Result<()> {
    let error = canvas.sign("\u{b1}", "+-");
    let note = format!(
        "Bytes and blocks are estimates for the whole program, {error} the standard error."
    );
    render_note(out, canvas, process, &note)
}

/// Of a sample, one line for the views that show single blocks.
pub fn render_sampled_only(
    out: &mut dyn Write,
    canvas: &Canvas,
    process: &ProcessName,
) -> io::Result<()> {
    let note =
        "Only blocks in the sample are shown here, as they are, without the others between them.";
    render_note(out, canvas, process, note)
}

/// What is to be known of a sample; of a whole recording, nothing.
fn render_note(
    out: &mut dyn Write,
    canvas: &Canvas,
    process: &ProcessName,
    note: &str,
) -> io::Result<()> {
    if process.sample.is_none() {
        return Ok(());
    }
    text::wrap_words(note, 0, canvas.width).iter().try_for_each(|line| writeln!(out, "{line}"))
}

/// A moment of a process, and that the process had ended by then, or not begun.
pub fn moment(process: &ProcessName, time_ns: u64) -> String {
    let at = units::seconds(time_ns);
    if time_ns > process.end_ns {
        return format!("{at}, after the end at {}", units::seconds(process.end_ns));
    }
    if time_ns < process.start_ns {
        return format!("{at}, before the start at {}", units::seconds(process.start_ns));
    }
    at
}

/// What is lost of a process, in a few words for the first line: `0 events lost`.
pub fn lost_words(lost: &Lost) -> Vec<String> {
    let mut words = vec![format!("{} lost", units::counted(lost.calls(), "event"))];
    if lost.threads > 0 {
        words.push(format!("{} not recorded", units::counted(lost.threads, "thread")));
    }
    if lost.truncated_backtraces > 0 {
        words.push(format!("{} cut", units::counted(lost.truncated_backtraces, "backtrace")));
    }
    words
}

/// What is wrong with the tape, in a few words for the first line; nothing when nothing is.
pub fn quality_words(quality: &Quality) -> Vec<String> {
    let mut words = Vec::new();
    if quality.being_recorded {
        words.push("still being recorded".to_owned());
    } else if !quality.complete {
        words.push("TAPE CUT".to_owned());
    }
    if quality.damaged_blocks > 0 {
        words.push(format!("{} DAMAGED", units::counted(quality.damaged_blocks, "tape block")));
    }
    words
}

/// What is missing of a process or wrong with its tape; `None` when nothing is.
pub fn missing_words(process: &ProcessName) -> Option<String> {
    let lost = lost_words(&process.lost);
    let is_whole = process.lost.calls() == 0;
    let words: Vec<String> = lost
        .into_iter()
        .skip(usize::from(is_whole))
        .chain(quality_words(&process.quality))
        .collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// One line when other processes of the tape lost something.
pub fn render_lost_elsewhere(out: &mut dyn Write, canvas: &Canvas, lost: &Lost) -> io::Result<()> {
    if !lost.any() {
        return Ok(());
    }
    let words = lost_words(lost).join(", ");
    writeln!(out, "{} In other processes: {words}", canvas.paint(Ink::Warning, "!"))
}

/// Modules that are named as having unresolved frames.
const MAX_UNRESOLVED_MODULES: usize = 3;

/// How many frames have no name, and where, when they are more than a few. `heaptape info` says why.
pub fn render_unresolved(
    out: &mut dyn Write,
    canvas: &Canvas,
    unresolved: &Unresolved,
) -> io::Result<()> {
    if !unresolved.is_notable() {
        return Ok(());
    }
    let shown = unresolved.modules.iter().take(MAX_UNRESOLVED_MODULES);
    let shown = shown.map(|module| {
        format!("{} in {}", units::count(module.frames), module_name(canvas, module))
    });
    let mut modules: Vec<String> = shown.collect();
    if let Some(rest @ 1..) = unresolved.modules.len().checked_sub(MAX_UNRESOLVED_MODULES) {
        modules.push(format!("and in {} more", units::count(rest as u64)));
    }
    let share = unresolved_share(unresolved);
    let note = format!("{share}: {};", modules.join(", "));
    let mut words: Vec<String> = note.split(' ').map(str::to_owned).collect();
    // In one piece: somebody will copy it.
    words.push("why: heaptape info".to_owned());
    for line in text::wrap(&words, 1, 2, canvas.width.saturating_sub(2)) {
        writeln!(out, "{} {line}", canvas.paint(Ink::Warning, "!"))?;
    }
    Ok(())
}

/// `12 of 40 frames (30.0 %) have no function name`.
pub(crate) fn unresolved_share(unresolved: &Unresolved) -> String {
    if unresolved.unresolved == 0 {
        return format!(
            "All of {} have a function name",
            units::counted(unresolved.frames, "frame")
        );
    }
    let verb = if unresolved.unresolved == 1 { "has" } else { "have" };
    format!(
        "{} of {} ({}) {verb} no function name",
        units::count(unresolved.unresolved),
        units::counted(unresolved.frames, "frame"),
        units::share(unresolved.unresolved, unresolved.frames)
    )
}

pub(crate) fn module_name(canvas: &Canvas, module: &UnresolvedIn) -> String {
    text::shown(canvas, module.module.as_deref().unwrap_or("no module"))
}

/// What these words mean, as sentences, for whatever is missing.
pub fn render_missing(
    out: &mut dyn Write,
    canvas: &Canvas,
    quality: &Quality,
    unrecorded: &[UnrecordedChild],
) -> io::Result<()> {
    let mut notes = Vec::new();
    if quality.being_recorded {
        notes.push(format!(
            "The recording was going on when the tape was opened: this is what was on it by then ({}).",
            units::bytes(quality.good_bytes)
        ));
    } else if !quality.complete {
        notes.push(format!(
            "The recording was not ended in order: this is what was on the tape up to its last whole \
             block ({} of {}).",
            units::bytes(quality.good_bytes),
            units::bytes(quality.file_bytes)
        ));
    }
    if quality.unknown_blocks > 0 {
        let blocks = units::counted(quality.unknown_blocks, "block");
        notes.push(format!("{blocks} of a later heaptape's kind were skipped."));
    }
    for child in unrecorded.iter().take(MAX_NAMED_CHILDREN) {
        let program = text::shown(canvas, &child.program);
        let reason = text::shown(canvas, &child.reason);
        notes.push(format!("Not recorded: {program} (pid {}): {reason}", child.pid));
    }
    if unrecorded.len() > MAX_NAMED_CHILDREN {
        let rest = (unrecorded.len() - MAX_NAMED_CHILDREN) as u64;
        notes.push(format!("and {} more; see heaptape info", units::count(rest)));
    }
    for note in notes {
        for line in text::wrap_words(&note, 2, canvas.width.saturating_sub(2)) {
            writeln!(out, "{} {line}", canvas.paint(Ink::Warning, "!"))?;
        }
    }
    Ok(())
}
