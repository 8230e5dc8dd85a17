//! Why a process died, as text: at length for `heaptape crash`, in a few lines for `heaptape run`.

use crate::addr::{down_to_main, render_act, render_backtrace, render_frame};
use crate::canvas::{Canvas, Ink};
use crate::ending::signal_name;
use crate::events;
use crate::header;
use crate::text;
use crate::units;
use heaptape_analysis::Frame;
use heaptape_analysis::crash::{
    Confidence, CrashScene, Crashes, Death, MemoryFigures, NearBlock, NearMapping, Relation,
    ThreadStack,
};
use heaptape_analysis::events::EventRow;
use std::io::{self, Write};

/// Frames and lines of the short form.
const SHORT_FRAMES: usize = 3;

/// What is shown of a crash.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Most frames of a backtrace.
    pub depth: usize,
    /// Most other threads.
    pub threads: usize,
}

/// Writes all that is known of the crashes of a process.
pub fn render_crashes(
    out: &mut dyn Write,
    canvas: &Canvas,
    crashes: &Crashes,
    extent: Extent,
) -> io::Result<()> {
    header::render_process(out, canvas, &crashes.process, &[])?;
    header::render_sampled_only(out, canvas, &crashes.process)?;
    for crash in &crashes.crashes {
        writeln!(out)?;
        render_scene(out, canvas, crash, extent)?;
    }
    if let Some(death) = &crashes.death {
        writeln!(out)?;
        return render_death(out, canvas, death);
    }
    if crashes.crashes.is_empty() {
        writeln!(out, "\nNo crash was recorded.")?;
    }
    Ok(())
}

fn render_scene(
    out: &mut dyn Write,
    canvas: &Canvas,
    crash: &CrashScene,
    extent: Extent,
) -> io::Result<()> {
    writeln!(out, "{}", canvas.paint(Ink::Warning, &headline(canvas, crash)))?;
    paragraph(out, canvas, &verdict_line(crash), Ink::Strong)?;
    paragraph(out, canvas, &crash.verdict.reason, Ink::Faint)?;
    if let Some(instruction) = crash.instruction.as_ref().filter(|_| is_of_instruction(crash)) {
        writeln!(out, "  at {:#x}: {instruction}", crash.ip)?;
    }
    for block in &crash.blocks {
        writeln!(out)?;
        render_block(out, canvas, block, extent.depth)?;
    }
    let mut stacks = crash.threads.iter();
    if let Some(stack) = stacks.next() {
        writeln!(out, "\n{}", canvas.paint(Ink::Strong, &stack_heading(canvas, stack)))?;
        render_stack(out, canvas, stack, extent.depth)?;
    }
    if is_of_instruction(crash) {
        render_registers(out, canvas, crash)?;
    }
    if !crash.mappings.is_empty() {
        writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Memory map around the address"))?;
        render_mappings(out, canvas, crash)?;
    }
    render_events(out, canvas, "Last events of the thread", &crash.last_events)?;
    render_other_threads(out, canvas, crash, extent)
}

/// Whether an instruction failed: of a signal that was sent, registers and instruction say nothing.
fn is_of_instruction(crash: &CrashScene) -> bool {
    crash.code > 0
}

/// `SIGSEGV at 0.004 s: write to 0x55d0c0a2a4f0, thread 4711 (worker)`.
fn headline(canvas: &Canvas, crash: &CrashScene) -> String {
    let mut line = format!("{} at {}", signal_name(crash.signal), units::seconds(crash.time_ns));
    if let Some(address) = crash.address {
        let wanted = match crash.access {
            Some("read") => "read of",
            Some("write") => "write to",
            Some("execute") => "execution of",
            _ => "access to",
        };
        line.push_str(&format!(": {wanted} {address:#x}"));
    }
    if let Some(stack) = crash.threads.first().filter(|stack| stack.crashed) {
        line.push_str(&format!(", {}", thread_words(canvas, stack)));
    }
    text::shrink(canvas, &line, canvas.width)
}

fn thread_words(canvas: &Canvas, stack: &ThreadStack) -> String {
    match text::shown(canvas, &stack.name) {
        name if name.is_empty() => format!("thread {}", stack.tid),
        name => format!("thread {} ({name})", stack.tid),
    }
}

fn verdict_line(crash: &CrashScene) -> String {
    let sure = match crash.verdict.confidence {
        Confidence::Certain => "certain",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    };
    format!("{} [{sure}]", crash.verdict.what)
}

/// Indented text from the recorded program, broken between words.
fn paragraph(out: &mut dyn Write, canvas: &Canvas, text: &str, ink: Ink) -> io::Result<()> {
    let room = canvas.width.saturating_sub(2);
    for line in text::wrap_words(&text::shown(canvas, text), 0, room) {
        writeln!(out, "  {}", canvas.paint(ink, &text::shrink(canvas, &line, room)))?;
    }
    Ok(())
}

/// `block #41, 64 B at 0x55d0c0a2a4f0: the address is 16 B into it`.
fn block_heading(block: &NearBlock) -> String {
    let number = block
        .block
        .map_or_else(|| "inherited block".to_owned(), |number| format!("block #{number}"));
    let freed = if block.freed.is_some() { "freed " } else { "" };
    let size = units::exact_bytes(block.size);
    let known = format!("{freed}{number}, {size} at {:#x}", block.address);
    let offset = block.offset;
    let place = match offset {
        offset if offset < 0 => format!("{} before it", units::exact_bytes(offset.unsigned_abs())),
        offset if offset.unsigned_abs() < block.size => {
            format!("{} into it", units::exact_bytes(offset.unsigned_abs()))
        }
        offset => {
            let past = offset.unsigned_abs() - block.size;
            format!("{} past its end", units::exact_bytes(past))
        }
    };
    let relation = match block.relation {
        Relation::Holds | Relation::Held => "the address is",
        Relation::HeldBefore => "it held the address earlier,",
        Relation::Before => "the nearest live block before; the address is",
        Relation::After => "the nearest live block after; the address is",
        Relation::PointedTo => "a register points",
        Relation::GivenBack if offset == 0 => return format!("{known}: it was given back again"),
        Relation::GivenBack => "what was given back is",
        Relation::Suspected => return format!("{known}: what lies right behind it is overwritten"),
    };
    format!("{known}: {relation} {place}")
}

fn render_block(
    out: &mut dyn Write,
    canvas: &Canvas,
    block: &NearBlock,
    depth: usize,
) -> io::Result<()> {
    let heading = text::shrink(canvas, &block_heading(block), canvas.width);
    writeln!(out, "{}", canvas.paint(Ink::Strong, &heading))?;
    render_act(out, canvas, "allocated", &block.allocated, depth)?;
    match &block.freed {
        None => Ok(()),
        Some(act) => {
            render_act(out, canvas, "freed", act, depth)?;
            let ago = block.freed_ago_ns.unwrap_or(0);
            writeln!(out, "  {} before the crash", units::lifetime(ago))
        }
    }
}

fn stack_heading(canvas: &Canvas, stack: &ThreadStack) -> String {
    let thread = thread_words(canvas, stack);
    let cut = if stack.complete { "" } else { ", cut: its callers could not be found" };
    format!("Backtrace of {thread}{cut}")
}

fn render_stack(
    out: &mut dyn Write,
    canvas: &Canvas,
    stack: &ThreadStack,
    depth: usize,
) -> io::Result<()> {
    render_backtrace(out, canvas, &stack.backtrace, depth)
}

fn render_registers(out: &mut dyn Write, canvas: &Canvas, crash: &CrashScene) -> io::Result<()> {
    if crash.registers.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, "Registers"))?;
    for register in &crash.registers {
        let place = register.points_to.as_deref().unwrap_or_default();
        let line = format!(
            "  {:<6} {:#018x}  {}",
            register.name,
            register.value,
            text::shown(canvas, place)
        );
        writeln!(out, "{}", text::shrink(canvas, line.trim_end(), canvas.width))?;
    }
    Ok(())
}

fn render_mappings(out: &mut dyn Write, canvas: &Canvas, crash: &CrashScene) -> io::Result<()> {
    let mark = |mapping: &NearMapping| if mapping.holds { "  <- the address" } else { "" };
    let mut gap_said = crash.mappings.iter().any(|mapping| mapping.holds);
    for mapping in &crash.mappings {
        let is_after = crash.address.is_some_and(|address| address < mapping.start);
        if is_after && !gap_said {
            writeln!(out, "  (nothing is mapped here)  <- the address")?;
            gap_said = true;
        }
        let name = match text::shown(canvas, &mapping.name) {
            name if name.is_empty() => "(anonymous)".to_owned(),
            name => name,
        };
        let line = format!(
            "  {:#x}-{:#x} {} {name}{}",
            mapping.start,
            mapping.end,
            mapping.access,
            mark(mapping)
        );
        writeln!(out, "{}", text::shrink(canvas, &line, canvas.width))?;
    }
    if !gap_said {
        writeln!(out, "  (nothing is mapped here)  <- the address")?;
    }
    Ok(())
}

fn render_events(
    out: &mut dyn Write,
    canvas: &Canvas,
    heading: &str,
    rows: &[EventRow],
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{}", canvas.paint(Ink::Strong, heading))?;
    rows.iter().try_for_each(|row| events::render_event(out, canvas, row))
}

fn render_other_threads(
    out: &mut dyn Write,
    canvas: &Canvas,
    crash: &CrashScene,
    extent: Extent,
) -> io::Result<()> {
    let others = || crash.threads.iter().skip(1);
    for stack in others().take(extent.threads) {
        writeln!(out, "\n{}", canvas.paint(Ink::Strong, &stack_heading(canvas, stack)))?;
        render_stack(out, canvas, stack, extent.depth)?;
    }
    if let Some(rest @ 1..) = others().count().checked_sub(extent.threads) {
        writeln!(
            out,
            "\nand {}: --threads {}",
            units::counted(rest as u64, "more thread"),
            others().count()
        )?;
    }
    if crash.threads_missing > 0 {
        let missing = units::counted(crash.threads_missing, "thread");
        let note =
            format!("{missing} could not be looked at: ptrace is not allowed, or they were gone.");
        writeln!(out, "\n{} {note}", canvas.paint(Ink::Warning, "!"))?;
    }
    Ok(())
}

fn render_death(out: &mut dyn Write, canvas: &Canvas, death: &Death) -> io::Result<()> {
    let head = match death.signal {
        Some(signal) => format!("Killed by {}; no crash was recorded", signal_name(signal)),
        None => "Ended; nobody saw how".to_owned(),
    };
    writeln!(out, "{}", canvas.paint(Ink::Warning, &head))?;
    paragraph(out, canvas, &death.reason, Ink::Faint)?;
    if let (Some(rss), Some(time)) = (death.rss_bytes, death.rss_time_ns) {
        writeln!(out, "  {} resident at {}", units::bytes(rss), units::seconds(time))?;
    }
    for figures in &death.cgroup {
        paragraph(out, canvas, &figures_line(figures), Ink::Faint)?;
    }
    render_events(out, canvas, "Last events", &death.last_events)
}

/// `cgroup /user.slice at 0.004 s: 12.0 MiB in use, 14.0 MiB at most, limit 16.0 MiB, 0 killed for want of memory`.
fn figures_line(figures: &MemoryFigures) -> String {
    let known = [
        (figures.current_bytes, " in use", ""),
        (figures.peak_bytes, " at most", ""),
        (figures.max_bytes, "", "limit "),
        (figures.high_bytes, "", "slowed down from "),
    ];
    let mut words: Vec<String> = known
        .iter()
        .filter_map(|(value, after, before)| {
            value.map(|bytes| format!("{before}{}{after}", units::bytes(bytes)))
        })
        .collect();
    if let Some(kills) = figures.oom_kills {
        words.push(format!("{} killed for want of memory", units::count(kills)));
    }
    let time = units::seconds(figures.time_ns);
    format!("cgroup {} at {time}: {}", figures.path, words.join(", "))
}

/// Writes the last crash, or how the process was killed, in twelve lines at most; nothing when it was neither.
pub fn render_short(out: &mut dyn Write, canvas: &Canvas, crashes: &Crashes) -> io::Result<()> {
    let Some(crash) = crashes.crashes.last() else {
        let Some(death) = &crashes.death else { return Ok(()) };
        let killed = death.signal.map(|signal| format!("killed by {}. ", signal_name(signal)));
        let line = format!("heaptape: {}{}", killed.unwrap_or_default(), death.reason);
        let lines = text::wrap_words(&line, 2, canvas.width);
        return lines.iter().take(4).try_for_each(|line| writeln!(out, "{line}"));
    };
    let head = format!("heaptape: {}", headline(canvas, crash));
    writeln!(out, "{}", canvas.paint(Ink::Warning, &text::shrink(canvas, &head, canvas.width)))?;
    let verdict = text::shown(canvas, &verdict_line(crash));
    let room = canvas.width.saturating_sub(2);
    writeln!(out, "  {}", canvas.paint(Ink::Strong, &text::shrink(canvas, &verdict, room)))?;
    if let Some(stack) = crash.threads.first() {
        render_stack_briefly(out, canvas, stack)?;
    }
    let Some(block) = crash.blocks.first() else { return Ok(()) };
    let acts = [("allocated", Some(&block.allocated)), ("freed", block.freed.as_ref())];
    for (what, act) in acts.into_iter().filter_map(|(what, act)| Some((what, act?))) {
        let frame = act.backtrace.first();
        let time = units::seconds(act.time_ns);
        let line = format!("  {what} at {time}, ");
        let room = canvas.width.saturating_sub(text::width(&line));
        writeln!(out, "{line}{}", crate::sites::fitted(canvas, frame, room, true))?;
    }
    Ok(())
}

/// The innermost frames that are not libc's, or the innermost ones.
fn render_stack_briefly(
    out: &mut dyn Write,
    canvas: &Canvas,
    stack: &ThreadStack,
) -> io::Result<()> {
    let is_own = |frame: &Frame| !frame.module.as_deref().is_some_and(is_runtime);
    let backtrace = down_to_main(&stack.backtrace);
    let first = backtrace.iter().position(is_own).unwrap_or(0);
    let shown = backtrace.iter().skip(first).take(SHORT_FRAMES);
    shown.into_iter().try_for_each(|frame| render_frame(out, canvas, frame))
}

/// Whether a module is one that programs call to end themselves.
fn is_runtime(module: &str) -> bool {
    ["libc.so", "libc-2.", "libstdc++.so", "libpthread"].iter().any(|name| module.starts_with(name))
}
