//! The history of a process, applied to its live set event by event.

use crate::recording::Recording;
use heaptape_tape::{Effect, Event, FORESEEN, LiveSet, ProcessId, TapeError, live_bytes};
use std::ops::ControlFlow;

/// What a view gathers while a history goes by.
pub trait Gather {
    /// Takes notice of an event, of what it did, and of the live set after it.
    fn note(&mut self, event: &Event, effect: &Effect, live: &LiveSet);

    /// About the bytes of memory that it takes by now, without the live set.
    fn bytes(&self) -> u64 {
        0
    }
}

impl<F: FnMut(&Event, &Effect, &LiveSet)> Gather for F {
    fn note(&mut self, event: &Event, effect: &Effect, live: &LiveSet) {
        self(event, effect, live);
    }
}

/// Applies the whole history of a process to `live`, its live set at birth.
///
/// Fails where an event is missing, or as soon as memory would not do.
pub fn whole(
    recording: &dyn Recording,
    process: ProcessId,
    live: &mut LiveSet,
    gather: &mut impl Gather,
) -> Result<(), TapeError> {
    // Better now than after minutes: so many blocks were live at once.
    recording.afford(live_bytes(recording.totals(process).peak_blocks))?;
    recording.runs(process, 0..recording.event_count(process), &mut |events| {
        for some in events.chunks(FORESEEN) {
            live.foresee(some);
            for event in some {
                let effect = live.apply(event);
                gather.note(event, &effect, live);
            }
        }
        let bytes = live_bytes(live.totals().live_blocks).saturating_add(gather.bytes());
        recording.afford(bytes).map(ControlFlow::Continue)
    })
}
