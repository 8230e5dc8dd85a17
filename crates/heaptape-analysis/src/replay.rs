//! The history of a process, applied to its live set event by event.

use crate::estimate::{Estimate, Exact, Sampling, Weigh};
use crate::recording::Recording;
use crate::table::BETWEEN_LOOKS;
use heaptape_tape::{Effect, Event, LiveBlock, LiveSet, ProcessId, TapeError, Totals, live_bytes};
use std::ops::ControlFlow;

/// What a view gathers while a history goes by.
pub trait Gather {
    /// Takes notice of an event, of what it did, and of the totals after it: of a sample, the estimated ones.
    fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>, totals: &Totals);

    /// About the bytes of memory that it takes by now, without the live set.
    fn bytes(&self) -> u64 {
        0
    }
}

impl<F: FnMut(&Event, &Effect<&LiveBlock>, &Totals)> Gather for F {
    fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>, totals: &Totals) {
        self(event, effect, totals);
    }
}

/// Applies the whole history of a process to `live`, its live set at birth. Returns the totals in the end: of a
/// sample, the estimated ones.
///
/// Fails where an event is missing, or as soon as memory would not do.
pub fn whole(
    recording: &dyn Recording,
    process: ProcessId,
    live: &mut LiveSet,
    gather: &mut impl Gather,
) -> Result<Totals, TapeError> {
    match Sampling::of(recording) {
        None => whole_weighed(Exact, recording, process, live, gather),
        Some(sampling) => whole_weighed(sampling, recording, process, live, gather),
    }
}

/// The same where it is known already how blocks are weighed.
pub fn whole_weighed(
    weigh: impl Weigh,
    recording: &dyn Recording,
    process: ProcessId,
    live: &mut LiveSet,
    gather: &mut impl Gather,
) -> Result<Totals, TapeError> {
    // Better now than after minutes: so many blocks were live at once.
    recording.afford(live_bytes(recording.totals(process).peak_blocks))?;
    let mut estimate = weigh.sampling().map(|sampling| Estimate::new(sampling, live));
    let (mut over, mut until_look) = (None, BETWEEN_LOOKS);
    recording.runs(process, 0..recording.event_count(process), &mut |events| {
        live.replay(events, |event, effect, totals| {
            until_look -= 1;
            if until_look == 0 {
                until_look = BETWEEN_LOOKS;
                over = over.take().or_else(|| recording.afford(gather.bytes()).err());
            }
            if over.is_some() {
                return;
            }
            // Never true of `Exact`, and not asked then.
            if weigh.sampling().is_some()
                && let Some(estimate) = &mut estimate
            {
                estimate.note(event, effect, totals);
                gather.note(event, effect, estimate.totals());
            } else {
                gather.note(event, effect, totals);
            }
        });
        if let Some(over) = over.take() {
            return Err(over);
        }
        let bytes = live.bytes().saturating_add(gather.bytes());
        recording.afford(bytes).map(ControlFlow::Continue)
    })?;
    Ok(estimate.map_or(*live.totals(), |estimate| *estimate.totals()))
}
