//! Where the history of each process lies on the tape: its blocks of events, keyframes and contents.

use crate::facts::Facts;
use crate::format::kind;
use crate::index::{self, Entry, EventsKey, KeyframeKey, PagesKey};
use crate::leaks::LeaksKey;
use crate::live::Totals;
use crate::model::*;
use crate::read::Condition;
use crate::varint::Malformed;

/// A block of events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunEntry {
    pub(crate) offset: u64,
    pub(crate) key: EventsKey,
}

/// A block of pages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PagesEntry {
    pub(crate) offset: u64,
    pub(crate) key: PagesKey,
}

/// A keyframe whose parts are all there.
#[derive(Clone, Debug)]
pub(crate) struct KeyframeEntry {
    pub(crate) totals: Totals,
    pub(crate) forked: bool,
    pub(crate) parts: Vec<(u64, KeyframeKey)>,
}

/// The blocks of one process, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) runs: Vec<RunEntry>,
    pub(crate) keyframes: Vec<KeyframeEntry>,
    pub(crate) contents: Vec<u64>,
    pub(crate) leaks: Vec<(u64, LeaksKey)>,
    pub(crate) pages: Vec<PagesEntry>,
    /// Parts of a keyframe that is not whole yet.
    parts: Vec<(u64, KeyframeKey)>,
}

impl History {
    pub(crate) const fn new() -> History {
        History {
            runs: Vec::new(),
            keyframes: Vec::new(),
            contents: Vec::new(),
            leaks: Vec::new(),
            pages: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// About the bytes that it takes.
    pub(crate) fn bytes(&self) -> u64 {
        let contents = self.contents.len() * size_of::<u64>();
        let pages = self.pages.len() * size_of::<PagesEntry>();
        let leaks = self.leaks.len() * size_of::<(u64, LeaksKey)>();
        (self.runs.len() * size_of::<RunEntry>() + contents + pages + leaks) as u64
    }

    fn add_part(&mut self, offset: u64, key: KeyframeKey) {
        let follows = match self.parts.last() {
            Some((_, last)) => {
                Some(key.part) == last.part.checked_add(1) && key.totals == last.totals
            }
            None => key.part == 0,
        };
        if !follows {
            self.parts.clear();
        }
        if follows || key.part == 0 {
            self.parts.push((offset, key));
        }
        if self.parts.len() == key.parts as usize && !self.parts.is_empty() {
            let parts = std::mem::take(&mut self.parts);
            self.keyframes.push(KeyframeEntry { totals: key.totals, forked: key.forked, parts });
        }
    }
}

/// The blocks of all processes.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    pub(crate) histories: Vec<History>,
    waiting: Vec<(ProcessId, Found)>,
}

#[derive(Debug)]
enum Found {
    Run(RunEntry),
    Part(u64, KeyframeKey),
    Contents(u64),
    Leaks(u64, LeaksKey),
    Pages(PagesEntry),
}

impl Catalog {
    /// Sorts entries by what they are and returns where the facts are.
    pub(crate) fn add_all(&mut self, entries: &[Entry], condition: &mut Condition) -> Vec<u64> {
        let mut metas = Vec::new();
        for entry in entries {
            match entry.kind {
                kind::META => metas.push(entry.offset),
                kind::INDEX | kind::FOOTER => {}
                _ => match find(entry) {
                    Ok(Some(found)) => self.waiting.push(found),
                    Ok(None) => condition.unknown_blocks += 1,
                    Err(Malformed(_)) => condition.damaged_blocks += 1,
                },
            }
        }
        metas
    }

    /// Gives each block to its process, now that the processes are known. Blocks that contradict
    /// others, or that refer to facts that cannot have been, count as damaged.
    pub(crate) fn settle(&mut self, facts: &mut Facts, condition: &mut Condition) {
        for (process, found) in std::mem::take(&mut self.waiting) {
            if self.give(process, found, facts).is_err() {
                condition.damaged_blocks += 1;
            }
        }
    }

    fn give(
        &mut self,
        process: ProcessId,
        found: Found,
        facts: &mut Facts,
    ) -> Result<(), Malformed> {
        facts.processes_before(process.0.saturating_add(1))?;
        let index = process.0 as usize;
        if self.histories.len() <= index {
            self.histories.resize(index + 1, History::new());
        }
        let history = &mut self.histories[index];
        match found {
            Found::Run(run) => {
                facts.threads_before(run.key.threads, process)?;
                if history.runs.last().is_some_and(|last| run.key.first_event < last.key.end()) {
                    return Err(Malformed("events are told twice"));
                }
                history.runs.push(run);
            }
            Found::Part(offset, key) => history.add_part(offset, key),
            Found::Contents(offset) => history.contents.push(offset),
            Found::Leaks(offset, key) => history.leaks.push((offset, key)),
            Found::Pages(pages) => {
                if history.pages.last().is_some_and(|last| pages.key.serial <= last.key.serial) {
                    return Err(Malformed("pages are told twice"));
                }
                history.pages.push(pages);
            }
        }
        Ok(())
    }
}

fn find(entry: &Entry) -> Result<Option<(ProcessId, Found)>, Malformed> {
    let offset = entry.offset;
    Ok(match entry.kind {
        kind::EVENTS => {
            let key = EventsKey::parse(&entry.key)?;
            Some((key.process, Found::Run(RunEntry { offset, key })))
        }
        kind::KEYFRAME => {
            let key = KeyframeKey::parse(&entry.key)?;
            Some((key.process, Found::Part(offset, key)))
        }
        kind::PAGES => {
            let key = PagesKey::parse(&entry.key)?;
            Some((key.process, Found::Pages(PagesEntry { offset, key })))
        }
        kind::CONTENTS => Some((index::parse_contents_key(&entry.key)?, Found::Contents(offset))),
        kind::LEAKS => {
            let key = LeaksKey::parse(&entry.key)?;
            Some((key.process, Found::Leaks(offset, key)))
        }
        _ => None,
    })
}
