//! Winding the tape: the live set of a process at a moment.
//!
//! A keyframe of a forked child holds the child's own blocks and the addresses of inherited blocks that
//! it freed. Its live set is the parent's at the fork without those, and the own ones on top: see
//! [`crate::lineage`].

use crate::events::Decoder;
use crate::format::kind;
use crate::history::KeyframeEntry;
use crate::keyframe::Assembly;
use crate::limits;
use crate::lineage::Heritage;
use crate::live::LiveSet;
use crate::model::*;
use crate::read::{Moment, Tape, TapeError};
use crate::run::Run;
use crate::salvage::damaged_at;
use std::ops::ControlFlow;

impl Tape {
    /// The live set of a process at its birth: empty, or the blocks inherited over fork.
    pub fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError> {
        Ok(match self.heritage(process, &LiveSet::forked())? {
            Some(Heritage { blocks, exact: true }) => LiveSet::with_inherited(blocks.into_values()),
            Some(Heritage { blocks, exact: false }) => {
                LiveSet::with_nearly_inherited(blocks.into_values())
            }
            None => LiveSet::new(),
        })
    }

    /// The live set of a process at a moment: the nearest keyframe before it and a short replay.
    ///
    /// Of a forked child's totals, `live_bytes` and `live_blocks` count inherited blocks too; the others
    /// count its own history only. An inherited block whose free was lost is shown whenever no own
    /// block of the child is live at its address.
    ///
    /// Fails where events that it needs are damaged.
    pub fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError> {
        let index = self.moment_event_index(process, moment)?;
        let own = self.own_at(process, index, None, 0)?;
        Ok(match self.heritage(process, &own)? {
            Some(Heritage { blocks, exact }) => own.with_all_blocks(blocks.into_values(), exact),
            None => own,
        })
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
        let mut events = Run::default();
        self.read_run(run, &mut Decoder::default(), &mut events)?;
        let before = events.whole().partition_point(|event| event.time <= time);
        Ok(run.key.first_event + before as u64)
    }

    /// The moment of most live bytes: after so many events, when, and the bytes and blocks live then.
    /// For a forked child of its own blocks only.
    pub fn peak(&self, process: ProcessId) -> (EventIndex, TimeNs, u64, u64) {
        let totals = self.totals(process);
        (totals.peak_event, totals.peak_time, totals.peak_bytes, totals.peak_blocks)
    }

    /// The set as the writer kept it, without inherited blocks. `known` is the set at an earlier moment:
    /// the way from there may be shorter. So many bytes are taken already by others.
    pub(crate) fn own_at(
        &self,
        process: ProcessId,
        index: EventIndex,
        known: Option<LiveSet>,
        beside: u64,
    ) -> Result<LiveSet, TapeError> {
        let mut set = self.nearest(process, index, known, beside)?;
        let from = set.totals().events;
        self.afford(beside.saturating_add(set.bytes()))?;
        // Of a long chain of forks, true of every ancestor but one: nothing is begun for nothing.
        if from >= index {
            return Ok(set);
        }
        self.runs(process, from..index, &mut |events| {
            set.replay(events, |_, _, _| {});
            self.afford(beside.saturating_add(set.bytes())).map(ControlFlow::Continue)
        })?;
        Ok(set)
    }

    /// The last keyframe not after `index` that can be read; the known set when there is none after it.
    fn nearest(
        &self,
        process: ProcessId,
        index: EventIndex,
        known: Option<LiveSet>,
        beside: u64,
    ) -> Result<LiveSet, TapeError> {
        let beside = beside.saturating_add(known.as_ref().map_or(0, LiveSet::bytes));
        let from = known.as_ref().map_or(0, |set| set.totals().events);
        let between = |events: EventIndex| from < events && events <= index;
        let keyframes = self.history(process).keyframes.iter().rev();
        for keyframe in keyframes.filter(|keyframe| between(keyframe.totals.events)) {
            match self.read_keyframe(keyframe, beside) {
                Err(TapeError::Damaged(_)) => {}
                result => return result,
            }
        }
        let forked = self.forked_from(process).is_some();
        Ok(known.unwrap_or_else(|| if forked { LiveSet::forked() } else { LiveSet::new() }))
    }

    fn read_keyframe(&self, keyframe: &KeyframeEntry, beside: u64) -> Result<LiveSet, TapeError> {
        let blocks = keyframe.parts.iter().map(|(_, key)| u64::from(key.count)).sum();
        let beside = beside.saturating_add(limits::live_bytes(blocks));
        self.afford(beside)?;
        let (mut assembly, mut decoder) = (Assembly::default(), Decoder::default());
        for (offset, key) in &keyframe.parts {
            let body = self.source.body(*offset, kind::KEYFRAME)?;
            let added = assembly.add(key, &body, self.surroundings(), &mut decoder);
            added.map_err(|e| damaged_at(*offset, e.0))?;
            self.afford(beside.saturating_add(assembly.bytes()))?;
        }
        Ok(assembly.finish(keyframe.forked, keyframe.totals))
    }
}
