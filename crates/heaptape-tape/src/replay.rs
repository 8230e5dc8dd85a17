//! Winding the tape: the live set of a process at a moment.
//!
//! A keyframe of a forked child holds the child's own blocks and the addresses of inherited blocks that
//! it freed. Its live set is the parent's at the fork without those, and the own ones on top. Histories
//! of children are followed up to the first ancestor; a parent's id is always smaller.

use crate::format::kind;
use crate::history::KeyframeEntry;
use crate::keyframe::Assembly;
use crate::live::{LiveBlock, LiveSet};
use crate::model::*;
use crate::read::{Moment, Tape, TapeError};
use crate::salvage::damaged_at;
use rustc_hash::FxHashMap;

impl Tape {
    /// The live set of a process at its birth: empty, or the blocks inherited over fork.
    pub fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError> {
        match self.forked_from(process) {
            Some((parent, event)) => {
                self.check_inherited(process, parent, event)?;
                let inherited = self.live_at(parent, Moment::Event(event))?;
                Ok(LiveSet::with_inherited(inherited.blocks().copied()))
            }
            None => Ok(LiveSet::new()),
        }
    }

    /// The live set of a process at a moment: the nearest keyframe before it and a short replay.
    ///
    /// Of a forked child's totals, `live_bytes` and `live_blocks` count inherited blocks too; the others
    /// count its own history only. An inherited block whose free was lost is shown until the child's
    /// own block at its address is live.
    ///
    /// Fails where events that it needs are damaged.
    pub fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError> {
        let index = self.moment_event_index(process, moment)?;
        let own = self.own_at(process, index)?;
        let mut family = vec![own];
        let mut child = process;
        while let Some((parent, event)) = self.forked_from(child) {
            self.check_inherited(child, parent, event)?;
            family.push(self.own_at(parent, event)?);
            child = parent;
        }
        if family.len() > 1 { Ok(merge(family)) } else { Ok(family.swap_remove(0)) }
    }

    /// How many events of a process there are up to and including a moment.
    pub fn moment_event_index(
        &self,
        process: ProcessId,
        moment: Moment,
    ) -> Result<EventIndex, TapeError> {
        let time = match moment {
            Moment::End => return Ok(self.event_count(process)),
            Moment::Event(index) => return Ok(index.min(self.event_count(process))),
            Moment::Time(time) => time,
        };
        let tick = time.0 / self.tick_ns;
        let runs = &self.history(process).runs;
        let begun = runs.partition_point(|run| run.key.first_tick <= tick);
        let Some(run) = begun.checked_sub(1).map(|last| &runs[last]) else {
            return Ok(0);
        };
        if run.key.last_tick <= tick {
            return Ok(run.key.end());
        }
        let mut events = Vec::new();
        self.read_run(run.offset, &run.key, &mut events)?;
        Ok(run.key.first_event + events.partition_point(|event| event.time <= time) as u64)
    }

    /// The moment of most live bytes: after so many events, when, and the bytes and blocks live then.
    /// For a forked child of its own blocks only.
    pub fn peak(&self, process: ProcessId) -> (EventIndex, TimeNs, u64, u64) {
        let totals = self.totals(process);
        (totals.peak_event, totals.peak_time, totals.peak_bytes, totals.peak_blocks)
    }

    /// Whether the history of `parent` up to the fork is on the tape.
    fn check_inherited(
        &self,
        child: ProcessId,
        parent: ProcessId,
        event: EventIndex,
    ) -> Result<(), TapeError> {
        let (child, known, parent_id) = (child.0, self.event_count(parent), parent.0);
        if event <= known {
            return Ok(());
        }
        Err(TapeError::Damaged(format!(
            "process {child} was forked after event {event} of process {parent_id}, of which only \
             {known} are on the tape"
        )))
    }

    fn forked_from(&self, process: ProcessId) -> Option<(ProcessId, EventIndex)> {
        self.processes().get(process.0 as usize)?.forked_from
    }

    /// The set as the writer kept it, without inherited blocks.
    fn own_at(&self, process: ProcessId, index: EventIndex) -> Result<LiveSet, TapeError> {
        let mut set = self.nearest_keyframe(process, index)?;
        let from = set.totals().events;
        for event in self.events(process, from).take((index - from) as usize) {
            set.apply(&event?);
        }
        Ok(set)
    }

    /// The last keyframe not after `index` that can be read; the empty set when there is none.
    fn nearest_keyframe(
        &self,
        process: ProcessId,
        index: EventIndex,
    ) -> Result<LiveSet, TapeError> {
        let before = self.history(process).keyframes.iter().rev();
        for keyframe in before.filter(|keyframe| keyframe.totals.events <= index) {
            match self.read_keyframe(keyframe) {
                Err(TapeError::Damaged(_)) => {}
                result => return result,
            }
        }
        Ok(if self.forked_from(process).is_some() { LiveSet::forked() } else { LiveSet::new() })
    }

    fn read_keyframe(&self, keyframe: &KeyframeEntry) -> Result<LiveSet, TapeError> {
        let mut assembly = Assembly::default();
        for (offset, key) in &keyframe.parts {
            let body = self.source.body(*offset, kind::KEYFRAME)?;
            let added = assembly.add(key, &body, self.surroundings());
            added.map_err(|e| damaged_at(*offset, e.0))?;
        }
        Ok(assembly.finish(keyframe.forked, keyframe.totals))
    }
}

/// The live set of the first of a line of descent, told from child to first ancestor.
fn merge(mut family: Vec<LiveSet>) -> LiveSet {
    let mut blocks: FxHashMap<u64, LiveBlock> = FxHashMap::default();
    for member in family.iter().rev() {
        for freed in member.inherited_freed() {
            blocks.remove(&freed);
        }
        blocks.extend(member.blocks().map(|block| (block.addr, *block)));
    }
    let own = family.swap_remove(0);
    let releasing: Vec<_> = own.releasing().map(|(thread, block)| (*thread, *block)).collect();
    LiveSet::from_parts(blocks.into_values(), releasing, false, [], *own.totals())
}
