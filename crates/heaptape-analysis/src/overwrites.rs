//! The overwrites that `--guard` and `--check` found, with the block concerned: who allocated it, who freed it, and
//! who found out.

use crate::hex;
use crate::names::{self, Frame, Names};
use crate::recording::Recording;
use heaptape_tape::{Event, Found, Overwrite, OverwriteKind, Process, TapeError};
use serde::Serialize;
use std::collections::HashMap;
use std::ops::ControlFlow;

/// An event that has to do with an overwrite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Concerned {
    /// When.
    pub time_ns: u64,
    /// Which function was called.
    pub function: &'static str,
    /// Its frames, innermost first; empty when the backtrace was not recorded.
    pub backtrace: Vec<Frame>,
}

/// One overwrite and its block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverwrittenBlock {
    /// Where: `past the end`, `before the start`, `after free`.
    pub place: &'static str,
    /// What led to its being found: `free`, `realloc`, `interval`, `quarantine`, `exit`, `crash`.
    pub found_at: &'static str,
    /// When it was found.
    pub time_ns: u64,
    /// The block.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for; 0 where the overwrite has destroyed that.
    pub size: u64,
    /// The first changed byte, from the start of the block.
    pub offset: i64,
    /// Bytes from the first changed one to the last.
    pub length: u64,
    /// What was found from there on, at most 16 bytes.
    pub seen: Vec<u8>,
    /// Its allocation, if the tape has it.
    pub allocated: Option<Concerned>,
    /// Its free, if it was freed before or at that moment.
    pub freed: Option<Concerned>,
}

/// The allocation and the free of a block that was met so far.
type Acts = (Option<Event>, Option<Event>);

/// The overwrites of a process, in the order in which they were found.
pub fn overwritten_blocks(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
) -> Result<Vec<OverwrittenBlock>, TapeError> {
    let all = recording.overwrites().iter().filter(|overwrite| overwrite.process == process.id);
    // Found by threads side by side: not in the order of their events.
    let mut told: Vec<(usize, &Overwrite)> = all.enumerate().collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    told.sort_by_key(|(_, overwrite)| overwrite.event);
    let mut acts: HashMap<u64, Acts> =
        told.iter().map(|(_, overwrite)| (overwrite.block, (None, None))).collect();
    let mut blocks = Vec::new();
    let mut index = 0;
    let mut waiting = told.into_iter().peekable();
    let count = recording.event_count(process.id);
    recording.runs(process.id, 0..count, &mut |events| {
        for event in events {
            let before = |overwrite: &Overwrite| overwrite.event.is_none_or(|last| last < index);
            while let Some((place, overwrite)) = waiting.next_if(|(_, o)| before(o)) {
                blocks.push((place, shown(recording, names, overwrite, &acts)));
            }
            index += 1;
            let Some((begun, ended)) = acts.get_mut(&event.addr) else { continue };
            if event.action.begins_block() {
                (*begun, *ended) = (Some(*event), None);
            } else if event.action.ends_block() && ended.is_none() {
                *ended = Some(*event);
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    blocks.extend(waiting.map(|(place, o)| (place, shown(recording, names, o, &acts))));
    blocks.sort_by_key(|(place, _)| *place);
    Ok(blocks.into_iter().map(|(_, block)| block).collect())
}

fn shown(
    recording: &dyn Recording,
    names: &dyn Names,
    overwrite: &Overwrite,
    acts: &HashMap<u64, Acts>,
) -> OverwrittenBlock {
    let concerned = |event: &Event| Concerned {
        time_ns: event.time.0,
        function: event.api.name(),
        backtrace: names::backtrace(recording, names, event.backtrace),
    };
    let (begun, ended) = acts.get(&overwrite.block).copied().unwrap_or_default();
    OverwrittenBlock {
        place: match overwrite.kind {
            OverwriteKind::AfterEnd => "past the end",
            OverwriteKind::BeforeStart => "before the start",
            OverwriteKind::AfterFree => "after free",
        },
        found_at: match overwrite.found {
            Found::AtFree => "free",
            Found::AtRealloc => "realloc",
            Found::AtInterval => "interval",
            Found::InQuarantine => "quarantine",
            Found::AtExit => "exit",
            Found::AtCrash => "crash",
        },
        time_ns: overwrite.time.0,
        address: overwrite.block,
        size: overwrite.size,
        offset: overwrite.offset,
        length: overwrite.length,
        seen: overwrite.seen.clone(),
        allocated: begun.as_ref().map(concerned),
        freed: ended.as_ref().map(concerned),
    }
}
