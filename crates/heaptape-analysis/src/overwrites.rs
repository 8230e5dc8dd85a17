//! The overwrites that `--guard` and `--check` found, with the block concerned: who allocated it, and who freed it.
//!
//! One more pass over the events of a process, and only where there are overwrites.

use crate::addr::Act;
use crate::errors::Kind;
use crate::hex;
use crate::names::Names;
use crate::recording::Recording;
use heaptape_tape::{
    Action, BacktraceId, BlockId, Event, Found, LiveBlock, Overwrite, OverwriteKind, Process,
    TapeError,
};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::ops::ControlFlow;

/// What led to an overwrite's being found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FoundAt {
    /// The block was freed.
    Free,
    /// The block was reallocated.
    Realloc,
    /// All blocks were looked at, after so many calls.
    Interval,
    /// The freed block had been kept back long enough.
    Quarantine,
    /// The process ended.
    Exit,
    /// The process crashed.
    Crash,
}

/// An overwrite with its block, and all that are like it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OverwrittenBlock {
    /// Where: overflow, underflow, write after free.
    pub kind: Kind,
    /// How often it was found, of blocks with the same backtraces.
    pub times: u64,
    /// When it was found last.
    pub last_ns: u64,
    /// What led to its being found; of several alike this and all else is the first's.
    pub found_at: FoundAt,
    /// When it was found.
    pub time_ns: u64,
    /// The block.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Its number; `None` for one inherited over `fork`, and one that is not on the tape.
    pub block: Option<u64>,
    /// Bytes asked for; `None` where the overwrite has destroyed that and the block is not on the tape.
    pub size: Option<u64>,
    /// The first changed byte, from the start of the block: negative before it.
    pub offset: i64,
    /// Bytes from the first changed one to the last.
    pub length: u64,
    /// What was found from there on, at most 16 bytes.
    #[serde(serialize_with = "hex::bytes")]
    pub seen: Vec<u8>,
    /// Its allocation, if the tape has it.
    pub allocated: Option<Act>,
    /// Its free, if it had been freed by then.
    pub freed: Option<Act>,
}

/// An overwrite and what was known of its block when it was found.
#[derive(Clone, Copy)]
pub(crate) struct Overwritten<'a> {
    overwrite: &'a Overwrite,
    block: Past,
}

/// The last block at an address.
#[derive(Clone, Copy, Default)]
struct Past {
    begun: Option<LiveBlock>,
    is_inherited: bool,
    ended: Option<Event>,
}

/// The overwrites of a process in the order in which they were found, each by itself.
pub(crate) fn find<'a>(
    recording: &'a dyn Recording,
    process: &Process,
) -> Result<Vec<Overwritten<'a>>, TapeError> {
    let all = recording.overwrites().iter().filter(|overwrite| overwrite.process == process.id);
    // Found by threads side by side: not in the order of their events.
    let mut told: Vec<(usize, &Overwrite)> = all.enumerate().collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    told.sort_by_key(|(_, overwrite)| overwrite.event);
    let mut blocks: FxHashMap<u64, Past> =
        told.iter().map(|(_, overwrite)| (overwrite.block, Past::default())).collect();
    for block in recording.live_at_start(process.id)?.blocks() {
        if let Some(past) = blocks.get_mut(&block.addr) {
            *past = Past { begun: Some(*block), is_inherited: true, ended: None };
        }
    }
    let mut found = Vec::new();
    let (mut index, mut begun) = (0, 0);
    let mut waiting = told.into_iter().peekable();
    let of = |blocks: &FxHashMap<u64, Past>, overwrite: &'a Overwrite| {
        let block = blocks.get(&overwrite.block).copied().unwrap_or_default();
        Overwritten { overwrite, block }
    };
    recording.runs(process.id, 0..recording.event_count(process.id), &mut |events| {
        for event in events {
            let before = |overwrite: &Overwrite| overwrite.event.is_none_or(|last| last < index);
            while let Some((place, overwrite)) = waiting.next_if(|(_, o)| before(o)) {
                found.push((place, of(&blocks, overwrite)));
            }
            index += 1;
            begun += u64::from(event.action.begins_block());
            if let Some(past) = blocks.get_mut(&event.addr) {
                past.note(event, BlockId(begun));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    found.extend(waiting.map(|(place, overwrite)| (place, of(&blocks, overwrite))));
    found.sort_by_key(|(place, _)| *place);
    Ok(found.into_iter().map(|(_, overwritten)| overwritten).collect())
}

impl Past {
    fn note(&mut self, event: &Event, number: BlockId) {
        if event.action.begins_block() {
            let begun = Some(LiveBlock::begun_by(event, number));
            *self = Past { begun, is_inherited: false, ended: None };
        } else if event.action.ends_block() && self.ended.is_none() {
            self.ended = Some(*event);
        } else if event.action == Action::ReallocFail {
            self.ended = None;
        }
    }
}

/// Overwrites of the same kind, of blocks with the same backtraces.
pub(crate) struct Group<'a> {
    first: Overwritten<'a>,
    pub(crate) kind: Kind,
    pub(crate) times: u64,
    last_ns: u64,
}

/// Puts those together that are alike, in the order of the first of each.
pub(crate) fn grouped(found: Vec<Overwritten<'_>>) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: FxHashMap<_, usize> = FxHashMap::default();
    for one in found {
        let (kind, last_ns) = (kind(one.overwrite.kind), one.overwrite.time.0);
        let at = *known.entry((kind, one.likeness())).or_insert(groups.len());
        match groups.get_mut(at) {
            Some(group) => {
                group.times += 1;
                group.last_ns = group.last_ns.max(last_ns);
            }
            None => groups.push(Group { first: one, kind, times: 1, last_ns }),
        }
    }
    groups
}

impl Overwritten<'_> {
    fn likeness(&self) -> (Option<BacktraceId>, Option<BacktraceId>) {
        let Past { begun, ended, .. } = &self.block;
        (begun.map(|block| block.backtrace), ended.map(|event| event.backtrace))
    }
}

impl Group<'_> {
    /// The group with its names.
    pub(crate) fn tell(&self, recording: &dyn Recording, names: &dyn Names) -> OverwrittenBlock {
        let Overwritten { overwrite, block: Past { begun, is_inherited, ended } } = &self.first;
        let number = begun.filter(|_| !is_inherited).map(|block| block.id.0);
        OverwrittenBlock {
            kind: self.kind,
            times: self.times,
            last_ns: self.last_ns,
            found_at: found_at(overwrite.found),
            time_ns: overwrite.time.0,
            address: overwrite.block,
            block: number,
            size: begun.map(|b| b.size).or((overwrite.size > 0).then_some(overwrite.size)),
            offset: overwrite.offset,
            length: overwrite.length,
            seen: overwrite.seen.clone(),
            allocated: begun.as_ref().map(|block| Act::that_began(recording, names, block)),
            freed: ended.as_ref().map(|event| Act::of(recording, names, event)),
        }
    }
}

fn kind(of: OverwriteKind) -> Kind {
    match of {
        OverwriteKind::AfterEnd => Kind::Overflow,
        OverwriteKind::BeforeStart => Kind::Underflow,
        OverwriteKind::AfterFree => Kind::WriteAfterFree,
    }
}

fn found_at(found: Found) -> FoundAt {
    match found {
        Found::AtFree => FoundAt::Free,
        Found::AtRealloc => FoundAt::Realloc,
        Found::AtInterval => FoundAt::Interval,
        Found::InQuarantine => FoundAt::Quarantine,
        Found::AtExit => FoundAt::Exit,
        Found::AtCrash => FoundAt::Crash,
    }
}
