//! What was recorded, as text.

use crate::canvas::{Canvas, Ink};
use crate::ending;
use crate::header;
use crate::overwrites;
use crate::text;
use crate::units;
use heaptape_analysis::info::{Info, ModuleInfo, ProcessInfo};
use heaptape_analysis::unresolved::Unresolved;
use std::io::{self, Write};

/// Writes the facts about a recording. Modules are listed only when `modules` asks for them.
pub fn render_info(
    out: &mut dyn Write,
    canvas: &Canvas,
    info: &Info,
    modules: bool,
) -> io::Result<()> {
    let facts = [
        ("Command", text::command(canvas, &info.command)),
        ("Directory", text::shown(canvas, &info.cwd)),
        ("Host", text::shown(canvas, &info.host)),
        ("Written by", text::shown(canvas, &info.writer)),
        (
            "Format",
            format!(
                "version {}, {} file",
                info.format_version,
                units::bytes(info.quality.file_bytes)
            ),
        ),
        ("Clock", format!("steps of {} ns", units::count(info.tick_ns))),
        (
            "Sample",
            match info.sample_bytes {
                0 => String::new(),
                mean => format!("one byte in {}; freed twice is not seen", units::bytes(mean)),
            },
        ),
    ];
    for (label, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let room = canvas.width.saturating_sub(12);
        writeln!(out, "{label:<11} {}", text::shrink(canvas, value, room))?;
    }
    // The words of options are ours, and none is to be cut.
    let room = canvas.width.saturating_sub(12);
    let mut label = "Options";
    for line in text::wrap_words(&options(canvas, info), 0, room) {
        writeln!(out, "{label:<11} {line}")?;
        label = "";
    }
    header::render_missing(out, canvas, &info.quality, &[])?;
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Processes"))?;
    for process in &info.processes {
        render_process(out, canvas, info, process)?;
    }
    render_unrecorded(out, canvas, info)?;
    render_unresolved(out, canvas, &info.unresolved)?;
    for process in info.processes.iter().filter(|_| modules) {
        writeln!(
            out,
            "\n{}",
            canvas.paint(Ink::Strong, &format!("Modules of #{}", process.name.number))
        )?;
        process.modules.iter().try_for_each(|module| render_module(out, canvas, module))?;
    }
    Ok(())
}

fn options(canvas: &Canvas, info: &Info) -> String {
    let options: Vec<String> = info
        .options
        .iter()
        .map(|(name, value)| {
            format!("{}={}", text::shown(canvas, name), text::shown(canvas, value))
        })
        .collect();
    options.join(" ")
}

/// Deepest level that is shown by an indent of its own.
const MAX_INDENT: usize = 10;

/// How deep a process is below the launched one, as far as it is shown: to follow every line of a long chain of
/// forks to its beginning would take minutes.
fn depth(info: &Info, process: &ProcessInfo) -> usize {
    let mut depth = 0;
    let mut at = process;
    // Parents have smaller numbers; a tape that says otherwise must not hang us.
    while depth < MAX_INDENT
        && let Some(parent) = at.parent.filter(|&parent| parent < at.name.number)
        && let Ok(place) = info.processes.binary_search_by_key(&parent, |p| p.name.number)
    {
        at = &info.processes[place];
        depth += 1;
    }
    depth
}

fn render_process(
    out: &mut dyn Write,
    canvas: &Canvas,
    info: &Info,
    process: &ProcessInfo,
) -> io::Result<()> {
    let indent = " ".repeat(2 + 2 * depth(info, process));
    let name = &process.name;
    let command = text::command(canvas, &name.command);
    let mut parts = vec![
        format!("#{}", name.number),
        text::shrink(canvas, &command, canvas.width / 2),
        format!("pid {}", name.pid),
    ];
    if process.forked {
        parts.push("forked".to_owned());
    }
    parts.extend([
        ending::words(&name.ending),
        format!("{} to {}", units::seconds(name.start_ns), units::seconds(name.end_ns)),
        units::counted(process.events, "event"),
        units::counted(process.threads.len() as u64, "thread"),
        units::counted(process.modules.len() as u64, "module"),
    ]);
    if let Some(rss) = process.max_rss_bytes {
        let samples = units::counted(process.samples, "sample");
        parts.push(format!("{} RSS at most in {samples}", units::bytes(rss)));
    }
    parts.extend(header::lost_words(&process.name.lost));
    let room = canvas.width.saturating_sub(indent.len());
    for line in text::wrap(&parts, 3, 2, room) {
        writeln!(out, "{indent}{line}")?;
    }
    if process.name.lost.waited_ns > 0 {
        let waited = units::lifetime(process.name.lost.waited_ns);
        writeln!(out, "{indent}  its threads waited {waited} for the recording")?;
    }
    if let Some(guard) = &process.guard {
        let line = overwrites::guarding(guard);
        for line in text::wrap_words(&line, 2, room.saturating_sub(2)) {
            writeln!(out, "{indent}  {line}")?;
        }
    }
    if let Some(contents) = &process.contents {
        let pause = match contents.longest_pause_ns {
            0 => String::new(),
            pause => format!(", longest pause {}", units::lifetime(pause)),
        };
        let line = format!(
            "memory contents are on the tape: {}, {}{pause}; heaptape strip removes them",
            units::counted(contents.snapshots, "snapshot"),
            units::bytes(contents.stored_bytes),
        );
        for line in text::wrap_words(&line, 2, room.saturating_sub(2)) {
            writeln!(out, "{indent}  {line}")?;
        }
    }
    if let Some(crash) = &process.crash {
        let line = format!(
            "{} at {}, address {:#x}",
            ending::signal_name(crash.signal),
            units::seconds(crash.time_ns),
            crash.fault_address
        );
        writeln!(out, "{indent}  {}", canvas.paint(Ink::Warning, &line))?;
    }
    for thread in &process.threads {
        let name = text::shown(canvas, &thread.name);
        writeln!(out, "{indent}  thread {:<8} {name}", thread.tid)?;
    }
    Ok(())
}

fn render_unrecorded(out: &mut dyn Write, canvas: &Canvas, info: &Info) -> io::Result<()> {
    if info.unrecorded.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", canvas.paint(Ink::Warning, "Not recorded"))?;
    for child in &info.unrecorded {
        let (program, reason) =
            (text::shown(canvas, &child.program), text::shown(canvas, &child.reason));
        let line =
            format!("pid {} at {}: {program}: {reason}", child.pid, units::seconds(child.time_ns));
        for line in text::wrap_words(&line, 2, canvas.width.saturating_sub(2)) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

/// Every module with frames without names, few or many.
fn render_unresolved(
    out: &mut dyn Write,
    canvas: &Canvas,
    unresolved: &Unresolved,
) -> io::Result<()> {
    if unresolved.frames == 0 {
        return Ok(());
    }
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Names"))?;
    writeln!(out, "  {}", header::unresolved_share(unresolved))?;
    for module in &unresolved.modules {
        // What was searched or compared is told by --modules.
        let why = module.why.split(';').next().unwrap_or_default();
        let (name, why) = (header::module_name(canvas, module), text::shown(canvas, why));
        let line = format!("{:>8} in {name}: {why}", units::count(module.frames));
        let room = canvas.width.saturating_sub(2);
        for line in text::wrap_words(&line, 9, room) {
            writeln!(out, "  {}", text::shrink(canvas, &line, room))?;
        }
    }
    if unresolved.is_notable() {
        writeln!(out, "  Debug packages of these files bring names, or --debug-dir DIR.")?;
    }
    Ok(())
}

fn render_module(out: &mut dyn Write, canvas: &Canvas, module: &ModuleInfo) -> io::Result<()> {
    let path = text::shown(canvas, &module.path);
    let path = text::shrink(canvas, &path, canvas.width.saturating_sub(22));
    writeln!(out, "  {:<#16x}  {path}", module.start)?;
    let build = if module.build_id.is_empty() { "none" } else { &module.build_id };
    let mut line = format!("build id {build}; {}", text::shown(canvas, &module.symbols));
    if let Some(gone) = module.unloaded_ns {
        line.push_str(&format!("; unloaded at {}", units::seconds(gone)));
    }
    let room = canvas.width.saturating_sub(6);
    for line in text::wrap_words(&line, 0, room) {
        writeln!(out, "      {}", text::shrink(canvas, &line, room))?;
    }
    Ok(())
}
