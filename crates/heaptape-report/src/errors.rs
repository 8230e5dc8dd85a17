//! Errors, as text: wrong frees here, overwrites in `overwrites`.

use crate::addr::render_act;
use crate::canvas::{Canvas, Ink};
use crate::ending;
use crate::header;
use crate::overwrites;
use crate::text;
use crate::units;
use heaptape_analysis::addr::{Act, PastBlock};
use heaptape_analysis::errors::{
    Beside, Confidence, Errors, Findings, Kind, KindCount, Place, WrongFree,
};
use heaptape_analysis::free_backtraces::FreeBacktraces;
use heaptape_analysis::names::Held;
use heaptape_analysis::process::EndingName;
use std::io::{self, Write};

/// How much is written.
#[derive(Clone, Copy, Debug)]
pub struct Detail {
    /// Most frames of a backtrace.
    pub depth: usize,
    /// The undecided ones too, one by one.
    pub undecided: bool,
}

/// Writes the errors of a process one by one, with all acts concerned.
pub fn render_errors(
    out: &mut dyn Write,
    canvas: &Canvas,
    errors: &Errors,
    detail: Detail,
) -> io::Result<()> {
    header::render_process(out, canvas, &errors.process, &[])?;
    header::render_sampled_only(out, canvas, &errors.process)?;
    let has_crashed = matches!(errors.process.ending, EndingName::Signalled { .. });
    let errors = &errors.findings;
    writeln!(out)?;
    render_found(out, canvas, errors)?;
    if has_crashed {
        writeln!(out, "What it died of: heaptape crash")?;
    }
    for (number, error) in (1..).zip(&errors.errors) {
        writeln!(out)?;
        render_one(out, canvas, &number.to_string(), error, detail.depth)?;
    }
    for (number, overwrite) in (errors.errors.len() + 1..).zip(&errors.overwrites) {
        writeln!(out)?;
        overwrites::render_one(out, canvas, number, overwrite, detail.depth)?;
    }
    if errors.more_errors > 0 {
        writeln!(out, "\n{} not shown: --limit", units::counted(errors.more_errors, "more error"))?;
    }
    if detail.undecided {
        for error in &errors.undecided {
            writeln!(out)?;
            render_one(out, canvas, "?", error, detail.depth)?;
        }
    }
    for note in notes(errors, detail.undecided) {
        writeln!(out)?;
        for line in text::wrap_words(&note, 0, canvas.width) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}

/// Most errors that [`render_headlines`] names one by one.
const HEADLINES: usize = 3;

/// Writes how many errors of each kind there are and the first ones, a line each; nothing when there are none.
/// `tape`: the tape and process as words of a command line.
pub fn render_headlines(
    out: &mut dyn Write,
    canvas: &Canvas,
    tape: &str,
    errors: &Findings,
) -> io::Result<()> {
    if !errors.any() {
        return Ok(());
    }
    let heading = format!("Errors: {}", counts(errors));
    writeln!(out, "\n{}", canvas.paint(Ink::Warning, &heading))?;
    let frees = errors.errors.iter().map(|error| (headline(canvas, error), Some(&error.act)));
    let overwrites = errors.overwrites.iter();
    let overwrites = overwrites.map(|o| (overwrites::headline(o), o.allocated.as_ref()));
    for (headline, act) in frees.chain(overwrites).take(HEADLINES) {
        writeln!(out, "  {}", text::shrink(canvas, &headline, canvas.width.saturating_sub(2)))?;
        let shown = |frame: &&heaptape_analysis::Frame| frame.file.is_some();
        if let Some(frame) = act.and_then(|act| act.backtrace.iter().find(shown)) {
            let room = canvas.width.saturating_sub(6);
            writeln!(out, "      {}", crate::sites::fitted(canvas, Some(frame), room, true))?;
        }
    }
    let more = errors.errors.len() + errors.overwrites.len() > HEADLINES;
    let more = if more { "All, with" } else { "With" };
    writeln!(out, "  {more} backtraces: heaptape errors {tape}")
}

/// What was found; if that is nothing, what was looked for.
fn render_found(out: &mut dyn Write, canvas: &Canvas, errors: &Findings) -> io::Result<()> {
    if errors.any() {
        return writeln!(out, "{}", canvas.paint(Ink::Warning, &counts(errors)));
    }
    let sentences = overwrites::nothing_found(errors.guard.as_ref());
    for line in text::wrap_words(&sentences, 0, canvas.width) {
        writeln!(out, "{}", canvas.paint(Ink::Strong, &line))?;
    }
    Ok(())
}

/// `2 double frees, 1 mismatched free`; empty where there is no error.
pub fn counts(errors: &Findings) -> String {
    let mut counts: Vec<String> = errors.kinds.iter().map(kind_count).collect();
    if errors.unlisted_overwrites > 0 {
        let overwrites = units::counted(errors.unlisted_overwrites, "overwrite");
        counts.push(format!("{overwrites} counted only"));
    }
    if errors.unexamined > 0 {
        counts.push(format!("{} not examined", units::counted(errors.unexamined, "wrong free")));
    }
    counts.join(", ")
}

pub(crate) fn kind_count(count: &KindCount) -> String {
    let name = units::counted(count.errors, kind_name(count.kind));
    let name = match count.errors {
        1 => name,
        _ => plural(&name),
    };
    if count.times > count.errors {
        format!("{name} ({} times)", units::count(count.times))
    } else {
        name
    }
}

/// [`units::counted`] puts its `s` at the end; in these names it belongs to the noun.
fn plural(name: &str) -> String {
    let singular = name.strip_suffix('s').unwrap_or(name);
    for noun in ["free", "realloc", "write"] {
        if let Some((before, after)) = singular.split_once(&format!("{noun} ")) {
            return format!("{before}{noun}s {after}");
        }
    }
    name.to_owned()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::DoubleFree => "double free",
        Kind::ReallocOfFreed => "realloc of a freed block",
        Kind::FreedAfterMove => "free after a realloc moved the block",
        Kind::ReallocRace => "free during another thread's realloc",
        Kind::InsideBlock => "free inside a block",
        Kind::InsideFreed => "free inside a freed block",
        Kind::NoBlock => "free of no block",
        Kind::Mismatched => "mismatched free",
        Kind::WrongSize => "free with a wrong size",
        Kind::WrongAlignment => "free with a wrong alignment",
        Kind::Overflow => "overflow",
        Kind::Underflow => "underflow",
        Kind::WriteAfterFree => "write after free",
    }
}

fn render_one(
    out: &mut dyn Write,
    canvas: &Canvas,
    number: &str,
    error: &WrongFree,
    depth: usize,
) -> io::Result<()> {
    let ink = if error.confidence == Confidence::Undecided { Ink::Strong } else { Ink::Warning };
    let line = format!("{number}. {}", headline(canvas, error));
    for line in text::wrap_words(&line, 3, canvas.width) {
        writeln!(out, "{}", canvas.paint(ink, &line))?;
    }
    if let Some(why) = error.why {
        let line = format!("not certain: {why}");
        for line in text::wrap_words(&line, 2, canvas.width.saturating_sub(2)) {
            writeln!(out, "  {line}")?;
        }
    }
    if error.times > 1 {
        let (times, last) = (units::count(error.times), units::exact_seconds(error.last_ns));
        writeln!(out, "  {times} times, last at {last} s; the first:")?;
    }
    render_act(out, canvas, wrong_word(error), &error.act, depth)?;
    if let Some(said) = &error.said {
        let line = format!("    libc aborted the program here: {}", text::shown(canvas, said));
        writeln!(out, "{}", text::shrink(canvas, &line, canvas.width))?;
    } else if let Some(signal) = error.fatal_signal {
        writeln!(
            out,
            "    the program died of {} here, before another call",
            ending::signal_name(signal)
        )?;
    }
    if let Some(block) = &error.block {
        render_block(out, canvas, error, block, depth)?;
    }
    if let Some(beside) = &error.beside {
        render_life(out, canvas, &beside.block, "freed", depth)?;
    }
    if let Some(former) = &error.former {
        let heading = format!("  the address was that of {} before:", block_words(former));
        writeln!(out, "{heading}")?;
        render_life(out, canvas, former, "freed", depth)?;
    }
    if let Some(Place::Mapping { made: Some(act), .. }) = &error.place {
        render_act(out, canvas, "mapped", act, depth)?;
    }
    Ok(())
}

fn wrong_word(error: &WrongFree) -> &'static str {
    match error.kind {
        Kind::DoubleFree => "freed again",
        _ if is_realloc(error) => "reallocated",
        _ => "freed",
    }
}

fn render_block(
    out: &mut dyn Write,
    canvas: &Canvas,
    error: &WrongFree,
    block: &PastBlock,
    depth: usize,
) -> io::Result<()> {
    let ended = match error.kind {
        Kind::DoubleFree => "first freed",
        Kind::FreedAfterMove => "moved",
        Kind::ReallocRace => "being reallocated",
        _ => "freed",
    };
    if let (Some(moved), Some(act)) = (&error.moved, &block.freed) {
        let number = moved.block.map_or_else(String::new, |number| format!(" as block #{number}"));
        let to = format!("moved to {:#x}{number}", moved.address);
        render_act(out, canvas, &to, act, depth)?;
        return render_act(out, canvas, "allocated", &block.allocated, depth);
    }
    render_life(out, canvas, block, ended, depth)
}

/// The end of a block, where it is told, and its beginning.
fn render_life(
    out: &mut dyn Write,
    canvas: &Canvas,
    block: &PastBlock,
    ended: &str,
    depth: usize,
) -> io::Result<()> {
    let ends: Option<&Act> = block.freed.as_ref();
    ends.map_or(Ok(()), |act| render_act(out, canvas, ended, act, depth))?;
    render_act(out, canvas, "allocated", &block.allocated, depth)
}

/// One error on one line: what it is, how sure that is, and of which block.
pub fn headline(canvas: &Canvas, error: &WrongFree) -> String {
    let confidence = match error.confidence {
        Confidence::Certain => "certain",
        Confidence::Probable => "probable",
        Confidence::Undecided => "undecided",
    };
    let kind = kind_name(error.kind);
    let kind = match error.kind {
        // The same with another function.
        Kind::FreedAfterMove
        | Kind::ReallocRace
        | Kind::InsideBlock
        | Kind::InsideFreed
        | Kind::NoBlock
        | Kind::Mismatched
            if is_realloc(error) =>
        {
            kind.replacen("free", "realloc", 1)
        }
        _ => kind.to_owned(),
    };
    format!("{kind} ({confidence}): {}", subject(canvas, error))
}

fn is_realloc(error: &WrongFree) -> bool {
    error.act.function.starts_with("realloc")
}

fn subject(canvas: &Canvas, error: &WrongFree) -> String {
    let Some(block) = &error.block else {
        let place = match (&error.beside, &error.place) {
            (Some(beside), _) => beside_words(beside),
            (None, Some(place)) => place_words(canvas, place),
            (None, None) => "of a block from before the fork".to_owned(),
        };
        return format!("{:#x}, {place}", error.address);
    };
    let words = block_words(block);
    match error.kind {
        Kind::InsideBlock | Kind::InsideFreed => {
            let offset = units::exact_bytes(block.offset);
            if block.offset < block.size {
                format!("{:#x}, {offset} into {words}", error.address)
            } else {
                format!("{:#x}, {offset} from the start of {words}", error.address)
            }
        }
        Kind::Mismatched => {
            let of_acts = (block.allocated.function, error.act.function);
            let (taken, given) = error.functions.map_or(of_acts, |f| (f.taken, f.given));
            format!("{words} of {taken}, given back with {given}{}", right_function(taken))
        }
        Kind::WrongSize => {
            let stated = units::exact_bytes(error.stated_bytes.unwrap_or(0));
            format!("{words}, given back with {} as {stated}", error.act.function)
        }
        Kind::WrongAlignment => {
            let alignments = error.alignments.map_or((0, 0), |a| (a.asked, a.stated));
            let (asked, stated) = (alignment(alignments.0), alignment(alignments.1));
            let (took, gave) = (block.allocated.function, error.act.function);
            format!("{words} of {took} {asked}, given back with {gave} {stated}")
        }
        _ => words,
    }
}

fn right_function(took: &str) -> &'static str {
    match took {
        "operator new" => " instead of operator delete",
        "operator new[]" => " instead of operator delete[]",
        _ => " instead of free",
    }
}

fn alignment(bytes: u64) -> String {
    match bytes {
        0 => "without an alignment".to_owned(),
        bytes => format!("with an alignment of {bytes}"),
    }
}

fn block_words(block: &PastBlock) -> String {
    let name =
        block.block.map_or_else(|| "an inherited block".to_owned(), |n| format!("block #{n}"));
    format!("{name} ({} at {:#x})", units::exact_bytes(block.size), block.address)
}

/// `16 bytes before block #1 (100 bytes at 0x55d0)`.
fn beside_words(beside: &Beside) -> String {
    let block = block_words(&beside.block);
    let freed = if beside.block.freed.is_some() { "freed " } else { "" };
    match u64::try_from(beside.offset) {
        Err(_) => {
            format!("{} before {freed}{block}", units::exact_bytes(beside.offset.unsigned_abs()))
        }
        Ok(offset) => {
            let past = units::exact_bytes(offset.saturating_sub(beside.block.size));
            format!("{past} past the end of {freed}{block}")
        }
    }
}

fn place_words(canvas: &Canvas, place: &Place) -> String {
    match place {
        Place::NullPage => "almost a null pointer".to_owned(),
        Place::NotUserSpace => "not an address that a program can have".to_owned(),
        Place::Stack { tid, likely } => {
            let whose =
                tid.map_or_else(|| " of a thread".to_owned(), |tid| format!(" of thread {tid}"));
            format!("{}in the stack{whose}", if *likely { "probably " } else { "" })
        }
        Place::Module { module, address, held } => match held {
            Some(held) => held_words(canvas, module, held),
            None => format!("in {}+{address:#x}", text::shown(canvas, module)),
        },
        Place::Heap => "in the heap, where no block was recorded".to_owned(),
        Place::Guarded => "among the guarded blocks, in none of them".to_owned(),
        Place::Mapping { name, start, bytes, .. } => {
            let what = match name.is_empty() {
                true => "an anonymous mapping".to_owned(),
                false => format!("the mapping of {}", text::shown(canvas, name)),
            };
            format!("in {what} ({} at {start:#x})", units::bytes(*bytes))
        }
        Place::Unmapped => "where nothing was mapped in the end".to_owned(),
        Place::Unknown => "never a recorded block".to_owned(),
    }
}

fn held_words(canvas: &Canvas, module: &str, held: &Held) -> String {
    let kind = match (held.code, held.writable) {
        (true, _) => "code",
        (_, true) => "static data",
        (_, false) => "constant data",
    };
    let symbol = held.symbol.as_ref().map(|symbol| {
        let at = if held.offset == 0 { String::new() } else { format!("+{}", held.offset) };
        format!(" {}{at}", text::shown(canvas, symbol))
    });
    let (section, module) = (text::shown(canvas, &held.section), text::shown(canvas, module));
    format!("{kind}{} ({section} of {module})", symbol.unwrap_or_default())
}

/// What is to be known of the whole list.
fn notes(errors: &Findings, undecided_shown: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if errors.undecided_total > 0 && !undecided_shown {
        let frees = units::counted(errors.undecided_total, "free");
        notes.push(format!(
            "{frees} may be right, as far as can be told, and not counted as errors: --undecided lists \
             them with the reason."
        ));
    }
    notes.extend(errors.free_backtraces.as_ref().map(free_backtraces_words));
    notes
}

/// Why a free has no backtrace and how to get it.
pub fn free_backtraces_words(which: &FreeBacktraces) -> String {
    let why = match which {
        FreeBacktraces::All => {
            return "A backtrace is missing: the walk found no frame.".to_owned();
        }
        FreeBacktraces::First { frees } => {
            format!(
                "the first {} of each thread were recorded with theirs",
                units::counted(*frees, "free")
            )
        }
        FreeBacktraces::None => "they were not asked for".to_owned(),
        FreeBacktraces::Unknown => "this recording has none".to_owned(),
    };
    format!("A backtrace of a free is missing: {why}. For all: heaptape run --free-backtraces=all")
}
