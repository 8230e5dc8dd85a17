//! Overwrites, as text; and what a recording saw of bad accesses by the way in which its blocks were guarded.

use crate::addr::render_act;
use crate::canvas::{Canvas, Ink};
use crate::text;
use crate::units;
use heaptape_analysis::errors::Kind;
use heaptape_analysis::guarding::{Guarding, Mechanism, Mode};
use heaptape_analysis::overwrites::{FoundAt, OverwrittenBlock};
use std::io::{self, Write};

/// Writes one with the allocation and the free of its block.
pub(crate) fn render_one(
    out: &mut dyn Write,
    canvas: &Canvas,
    number: usize,
    overwrite: &OverwrittenBlock,
    depth: usize,
) -> io::Result<()> {
    let line = format!("{number}. {}", headline(overwrite));
    for line in text::wrap_words(&line, 3, canvas.width) {
        writeln!(out, "{}", canvas.paint(Ink::Warning, &line))?;
    }
    if overwrite.times > 1 {
        let (times, last) = (units::count(overwrite.times), overwrite.last_ns);
        writeln!(out, "  {times} times, last at {} s; the first:", units::exact_seconds(last))?;
    }
    if let Some(act) = &overwrite.freed {
        render_act(out, canvas, "freed", act, depth)?;
    }
    match &overwrite.allocated {
        Some(act) => render_act(out, canvas, "allocated", act, depth),
        None => writeln!(out, "  its allocation is not on the tape"),
    }
}

/// `overflow: 1 byte written right behind block #1 (10 B at 0x5…): "x", found at its free`.
pub(crate) fn headline(overwrite: &OverwrittenBlock) -> String {
    let block =
        overwrite.block.map_or_else(|| "a block".to_owned(), |number| format!("block #{number}"));
    let size = overwrite.size.map_or_else(|| "size lost".to_owned(), units::exact_bytes);
    let bytes = units::counted(overwrite.length, "byte");
    let (what, place) = match overwrite.kind {
        Kind::Underflow => {
            let gap = (overwrite.offset.saturating_add_unsigned(overwrite.length)).min(0);
            ("underflow", distance(gap.unsigned_abs(), "before"))
        }
        Kind::WriteAfterFree => ("write after free", format!("at offset {} of", overwrite.offset)),
        _ => {
            let gap = overwrite.offset.unsigned_abs().saturating_sub(overwrite.size.unwrap_or(0));
            ("overflow", distance(gap, "behind"))
        }
    };
    format!(
        "{what}: {bytes} written {place} {block} ({size} at {:#x}): {}, found {}",
        overwrite.address,
        seen(overwrite),
        found(overwrite.found_at)
    )
}

fn distance(bytes: u64, side: &str) -> String {
    match bytes {
        0 => format!("right {side}"),
        bytes => format!("{} {side}", units::counted(bytes, "byte")),
    }
}

fn seen(overwrite: &OverwrittenBlock) -> String {
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic() && byte != b'\\';
    let bytes = overwrite.seen.iter().map(|&byte| match byte {
        byte if is_plain(byte) => char::from(byte).to_string(),
        byte => format!("\\x{byte:02x}"),
    });
    let more = if overwrite.length > overwrite.seen.len() as u64 { "..." } else { "" };
    format!("\"{}\"{more}", bytes.collect::<String>())
}

fn found(at: FoundAt) -> &'static str {
    match at {
        FoundAt::Free => "at its free",
        FoundAt::Realloc => "at its realloc",
        FoundAt::Interval => "when all blocks were looked at",
        FoundAt::Quarantine => "when its memory was to be used again",
        FoundAt::Exit => "at exit",
        FoundAt::Crash => "at the crash",
    }
}

/// What is true where no error was found, and what was not looked for.
pub(crate) fn nothing_found(guard: Option<&Guarding>) -> String {
    let Some(guard) = guard.filter(|guard| guard.guarded > 0) else {
        let why = match guard {
            Some(_) => " (no block was guarded)",
            None => ": heaptape run --guard or --check",
        };
        return format!(
            "No wrong frees. Overflows and uses after free that do not crash were not looked for{why}."
        );
    };
    let seen = match (guard.mechanism, guard.mode) {
        (Mechanism::RedZones, _) => "Reads of what lies beside a block or was freed are not seen.",
        (_, Mode::Left) => {
            "At accesses before a block and after its free a program dies; reads behind it, on its last page, are \
             not seen."
        }
        (_, Mode::Exact) => {
            "At accesses behind a block and after its free a program dies; reads before it, on its first page, are \
             not seen."
        }
        _ => {
            "At accesses behind a block, past its alignment, and after its free a program dies; reads nearer to \
             it, and before it on its first page, are not seen."
        }
    };
    let unguarded = if guard.one_in > 1 {
        format!(" One block in {} was guarded.", units::count(guard.one_in))
    } else if guard.unguarded > 0 {
        format!(" {} not guarded.", units::counted(guard.unguarded, "block"))
    } else {
        String::new()
    };
    format!("No wrong frees and no overwrites. {seen}{unguarded}")
}

/// How the blocks of a process were guarded: `--guard=left by MADV_GUARD_INSTALL: 1,200 blocks guarded, 3 not`.
pub(crate) fn guarding(guard: &Guarding) -> String {
    let mode = match guard.mode {
        Mode::Right => "--guard",
        Mode::Left => "--guard=left",
        Mode::Exact => "--guard=exact",
        Mode::Check => "--check",
        Mode::Unknown => "guarded",
    };
    let sample = match guard.one_in {
        0 | 1 => String::new(),
        one_in => format!(", one block in {}", units::count(one_in)),
    };
    let by = match guard.mechanism {
        Mechanism::Nothing => return format!("{mode}{sample}: NOT GUARDED"),
        Mechanism::Markers => "MADV_GUARD_INSTALL",
        Mechanism::Mappings => "mappings without access rights",
        Mechanism::RedZones => "red zones",
    };
    let (guarded, unguarded) = (units::counted(guard.guarded, "block"), guard.unguarded);
    format!("{mode}{sample}, by {by}: {guarded} guarded, {} not", units::count(unguarded))
}
