//! The history of an address, as text.

use crate::canvas::{Canvas, Ink};
use crate::errors::free_backtraces_words;
use crate::header;
use crate::sites;
use crate::text;
use crate::units;
use heaptape_analysis::Frame;
use heaptape_analysis::addr::{Act, AddressHistory, Entry, PastBlock};
use std::io::{self, Write};

/// Writes every block that contained the address, oldest first, each with up to `depth` frames of both
/// backtraces.
pub fn render_address(
    out: &mut dyn Write,
    canvas: &Canvas,
    history: &AddressHistory,
    depth: usize,
) -> io::Result<()> {
    header::render_process(out, canvas, &history.process, &[])?;
    header::render_sampled_only(out, canvas, &history.process)?;
    let shown = history.entries.len() as u64;
    let mut sentence = match history.total {
        0 => format!("\nNo block ever contained {:#x}.", history.address),
        total => format!("\n{:#x}: {}", history.address, entries(total)),
    };
    if shown < history.total {
        sentence.push_str(&format!(", the newest {} shown", units::count(shown)));
    }
    writeln!(out, "{sentence}")?;
    for entry in &history.entries {
        writeln!(out)?;
        match entry {
            Entry::Block(block) => render_block(out, canvas, block, depth)?,
            Entry::UnmatchedFree(act) => {
                let text = "free of this address while no block began here (freed twice?)";
                writeln!(out, "{}", canvas.paint(Ink::Warning, text))?;
                render_act(out, canvas, "freed", act, depth)?;
            }
        }
    }
    if let Some(which) = &history.free_backtraces {
        let note = free_backtraces_words(which);
        writeln!(out)?;
        for line in text::wrap_words(&note, 0, canvas.width) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

fn render_block(
    out: &mut dyn Write,
    canvas: &Canvas,
    block: &PastBlock,
    depth: usize,
) -> io::Result<()> {
    let number = block.block.map_or_else(|| "inherited".to_owned(), |number| format!("#{number}"));
    let place = match block.offset {
        0 => "starts here".to_owned(),
        offset if offset < block.size => format!("{offset} B into it"),
        offset => format!("{} B behind its end", offset - block.size),
    };
    let heading =
        format!("{number}  {:#x}  {}  ({place})", block.address, units::exact_bytes(block.size));
    writeln!(out, "{}", canvas.paint(Ink::Strong, &heading))?;
    render_act(out, canvas, "allocated", &block.allocated, depth)?;
    match &block.freed {
        None => writeln!(out, "  never freed"),
        Some(act) => {
            render_act(out, canvas, "freed", act, depth)?;
            let lived = act.time_ns.saturating_sub(block.allocated.time_ns);
            writeln!(out, "  lived {}", units::lifetime(lived))
        }
    }
}

/// What was done when, by whom and from where, in up to `depth` frames.
pub(crate) fn render_act(
    out: &mut dyn Write,
    canvas: &Canvas,
    what: &str,
    act: &Act,
    depth: usize,
) -> io::Result<()> {
    let thread = match text::shown(canvas, &act.thread) {
        name if name.is_empty() => format!("thread {}", act.tid),
        name => format!("thread {} ({name})", act.tid),
    };
    let line = format!(
        "  {what} at {} s by {thread} with {}",
        units::exact_seconds(act.time_ns),
        act.function
    );
    writeln!(out, "{}", text::shrink(canvas, &line, canvas.width))?;
    render_backtrace(out, canvas, &act.backtrace, depth)
}

/// A backtrace in up to `depth` frames, without what lies below main.
pub(crate) fn render_backtrace(
    out: &mut dyn Write,
    canvas: &Canvas,
    backtrace: &[Frame],
    depth: usize,
) -> io::Result<()> {
    let frames = down_to_main(backtrace);
    for frame in frames.iter().take(depth) {
        render_frame(out, canvas, frame)?;
    }
    if let Some(rest @ 1..) = frames.len().checked_sub(depth) {
        writeln!(out, "      and {}", units::counted(rest as u64, "more frame"))?;
    }
    Ok(())
}

/// Frames by which libc calls main, at most: `__libc_start_call_main`, `__libc_start_main`, `_start`.
const BELOW_MAIN: usize = 3;

/// The frames as far as main: what calls it is the same in every program, and says nothing.
pub(crate) fn down_to_main(backtrace: &[Frame]) -> &[Frame] {
    let main = backtrace.iter().rposition(|frame| &*frame.short == "main" && !frame.inlined);
    match main {
        Some(main) if backtrace.len() - 1 - main <= BELOW_MAIN => &backtrace[..=main],
        _ => backtrace,
    }
}

/// A frame of a backtrace, indented.
pub(crate) fn render_frame(out: &mut dyn Write, canvas: &Canvas, frame: &Frame) -> io::Result<()> {
    let room = canvas.width.saturating_sub(6);
    writeln!(out, "      {}", sites::fitted(canvas, Some(frame), room, true))
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{} entries", units::count(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `__libc_start_main` and its kin were in every backtrace of every view.
    #[test]
    fn nothing_is_shown_below_main() {
        let frames = |names: &str| -> Vec<Frame> {
            let frame = |name: &str| Frame {
                function: name.into(),
                short: name.into(),
                file: None,
                line: 0,
                module: None,
                inlined: false,
                why: None,
                named: true,
            };
            names.split(' ').map(frame).collect()
        };
        let shown = |names| down_to_main(&frames(names)).len();
        assert_eq!(shown("malloc f main libc.so.6+0x2724a __libc_start_main _start"), 3);
        assert_eq!(shown("main f main a b c"), 3);
        assert_eq!(shown("f start_thread clone3"), 3);
        assert_eq!(shown("f main a b c d"), 6, "not the main that libc calls");
        assert!(down_to_main(&[]).is_empty());
    }
}
