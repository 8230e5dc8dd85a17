//! The events of a process, one by one, with what each did to its block.

use crate::extents::block_end;
use crate::filter::{Filter, TextMatch};
use crate::hex;
use crate::names::Names;
use crate::recording::Recording;
use crate::sites::{Site, Sites};
use heaptape_tape::{
    Action, BacktraceId, Effect, Event, EventIndex, LiveBlock, LiveSet, Moment, Process, TapeError,
    ThreadId, TimeNs,
};
use serde::Serialize;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// An event, as results hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Its rank in the history of its process, from 0.
    pub index: u64,
    /// When.
    pub time_ns: u64,
    /// Kernel thread id; 0 when the tape does not know the thread.
    pub tid: u32,
    /// What it did.
    pub action: &'static str,
    /// Which function was called.
    pub function: &'static str,
    /// The address concerned.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for; of the end of a block: the block's size.
    pub size: u64,
    /// Bytes the allocator gave; 0 when not known.
    pub usable: u64,
    /// The number of the block, when the event begins or ends one.
    pub block: Option<u64>,
    /// How long the block had lived, when the event ends one.
    pub lived_ns: Option<u64>,
    /// What is unusual about it.
    pub note: Option<&'static str>,
    /// Its own call site; `None` when its backtrace was not recorded.
    pub site: Option<Site>,
    /// Of the end of a block: the call site of its allocation.
    pub allocated_by: Option<Site>,
}

/// The word of an action, as results and filters say it.
pub fn action_word(action: Action) -> &'static str {
    match action {
        Action::Alloc => "alloc",
        Action::Free => "free",
        Action::ReallocRelease => "realloc-release",
        Action::ReallocAlloc => "realloc-alloc",
        Action::ReallocFail => "realloc-fail",
        Action::AllocFail => "alloc-fail",
        Action::Map => "map",
        Action::Unmap => "unmap",
    }
}

/// Calls `show` with every event of a process that passes `filter`, in order, until it breaks.
///
/// Winds to the start of the filter's time range first; memory is bounded by the live set.
pub fn for_each<B>(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
    filter: &Filter,
    mut show: impl FnMut(EventRow) -> ControlFlow<B>,
) -> Result<ControlFlow<B>, TapeError> {
    let (mut live, until) = wind(recording, process, filter)?;
    let mut text = filter.text.as_deref().map(|text| TextMatch::new(text, recording, names));
    let mut sites = Sites::new(recording, names);
    let first = live.totals().events;
    let (mut index, mut outcome) = (first, ControlFlow::Continue(()));
    recording.runs(process.id, first..recording.event_count(process.id), &mut |events| {
        for event in events {
            if until.is_some_and(|until| event.time > until) {
                return Ok(ControlFlow::Break(()));
            }
            let effect = live.apply(event);
            let block = concerned(&effect);
            if passes(recording, filter, event, block.as_ref(), text.as_mut()) {
                outcome = show(row(recording, &mut sites, index, event, &effect, block));
                if outcome.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            index += 1;
        }
        recording.afford(live.bytes()).map(ControlFlow::Continue)
    })?;
    Ok(outcome)
}

/// The last `most` events of a thread, or of all, among the first `until` of a process, oldest first.
///
/// Looked for in the last runs of events only: a thread that has long done nothing has none.
pub(crate) fn last_of(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &Process,
    thread: Option<ThreadId>,
    until: EventIndex,
    most: usize,
) -> Result<Vec<EventRow>, TapeError> {
    let first = until.saturating_sub(LAST_LOOKED_AT);
    let mut live = recording.live_at(process.id, Moment::Event(first))?;
    let mut last: VecDeque<(EventIndex, Event, Effect, Option<LiveBlock>)> = VecDeque::new();
    let mut index = first;
    recording.runs(process.id, first..until, &mut |events| {
        for event in events {
            let effect = live.apply(event);
            if thread.is_none_or(|thread| event.thread == thread) {
                if last.len() == most {
                    last.pop_front();
                }
                let block = concerned(&effect);
                last.push_back((index, *event, effect, block));
            }
            index += 1;
        }
        recording.afford(live.bytes()).map(ControlFlow::Continue)
    })?;
    let mut sites = Sites::new(recording, names);
    let rows = last.iter().map(|(index, event, effect, block)| {
        row(recording, &mut sites, *index, event, effect, *block)
    });
    Ok(rows.collect())
}

/// Events among which the last ones of a thread are looked for.
const LAST_LOOKED_AT: u64 = 1 << 20;

/// The live set just before the filter's time range, and its end.
fn wind(
    recording: &dyn Recording,
    process: &Process,
    filter: &Filter,
) -> Result<(LiveSet, Option<TimeNs>), TapeError> {
    let Some(times) = filter.times else {
        return Ok((recording.live_at_start(process.id)?, None));
    };
    let from = times.from.resolve(recording, process.id)?.time_ns;
    let until = times.to.resolve(recording, process.id)?.time_ns;
    let live = match from.checked_sub(1) {
        Some(before) => recording.live_at(process.id, Moment::Time(TimeNs(before)))?,
        None => recording.live_at_start(process.id)?,
    };
    Ok((live, Some(TimeNs(until))))
}

/// The block that an event began, ended or restored.
fn concerned(effect: &Effect) -> Option<LiveBlock> {
    match *effect {
        Effect::Began(block, _) | Effect::Ended(block) | Effect::Restored(block) => Some(block),
        Effect::EndedInherited | Effect::Unmatched | Effect::Nothing => None,
    }
}

fn passes(
    recording: &dyn Recording,
    filter: &Filter,
    event: &Event,
    block: Option<&LiveBlock>,
    text: Option<&mut TextMatch<'_>>,
) -> bool {
    let has_tid = |tid| {
        recording.threads().get(event.thread.0 as usize).is_some_and(|thread| thread.tid == tid)
    };
    let contains = |address: u64| {
        event.addr == address || block.is_some_and(|b| b.addr <= address && address < block_end(b))
    };
    let died_young = |limit: TimeNs| {
        event.action.ends_block()
            && block.is_some_and(|b| event.time.0.saturating_sub(b.time.0) <= limit.0)
    };
    filter.tid.is_none_or(has_tid)
        && filter.kind_matches(event.action, event.api)
        && filter.size_matches(size(event, block))
        && filter.address.is_none_or(contains)
        && filter.max_lifetime.is_none_or(|limit| died_young(limit.0))
        && text.is_none_or(|text| {
            text.matches(event.backtrace) || block.is_some_and(|b| text.matches(b.backtrace))
        })
}

fn size(event: &Event, block: Option<&LiveBlock>) -> u64 {
    match (event.action.ends_block(), block) {
        (true, Some(block)) => block.size,
        _ => event.size,
    }
}

fn row(
    recording: &dyn Recording,
    sites: &mut Sites<'_>,
    index: u64,
    event: &Event,
    effect: &Effect,
    block: Option<LiveBlock>,
) -> EventRow {
    let ended = block.filter(|_| event.action.ends_block());
    let mut site_of = |backtrace: BacktraceId| {
        let known = backtrace != BacktraceId::NONE;
        known.then(|| sites.of(backtrace)).map(|id| sites.get(id).clone())
    };
    EventRow {
        index,
        time_ns: event.time.0,
        tid: recording.threads().get(event.thread.0 as usize).map_or(0, |thread| thread.tid),
        action: action_word(event.action),
        function: event.api.name(),
        address: event.addr,
        size: size(event, block.as_ref()),
        usable: block.map_or(event.usable, |block| block.usable),
        block: block.map(|block| block.id.0),
        lived_ns: ended.map(|block| event.time.0.saturating_sub(block.time.0)),
        note: note(effect),
        site: site_of(event.backtrace),
        allocated_by: ended.and_then(|block| site_of(block.backtrace)),
    }
}

fn note(effect: &Effect) -> Option<&'static str> {
    match effect {
        Effect::Began(_, Some(_)) => Some("the free of the block before it was not seen"),
        Effect::Restored(_) => Some("the block lives on"),
        Effect::EndedInherited => Some("inherited over fork"),
        Effect::Unmatched => Some("no live block"),
        _ => None,
    }
}
