//! The heap at a moment.

use crate::layout::Layout;
use crate::metric::{Unit, Weights};
use crate::moment::{Instant, When};
use crate::names::Names;
use crate::process::ProcessName;
use crate::ranking::Ranking;
use crate::recording::Recording;
use crate::sites::Sites;
use crate::unresolved::Unresolved;
use heaptape_tape::{Process, TapeError};
use serde::Serialize;

/// What is live at a moment, who allocated it, and where it lies.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeapAt {
    /// Of which process.
    pub process: ProcessName,
    /// When.
    #[serde(flatten)]
    pub instant: Instant,
    /// Who.
    pub live: Ranking,
    /// Where.
    pub layout: Layout,
    /// Frames of the live blocks' backtraces that have no name.
    pub unresolved: Unresolved,
}

impl HeapAt {
    /// Winds a process to a moment.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        when: When,
        top: usize,
    ) -> Result<HeapAt, TapeError> {
        let instant = when.resolve(recording, process.id)?;
        let live = recording.live_at(process.id, instant.moment)?;
        let weights = Weights::of_live(recording, &live)?;
        let tables = weights.bytes() + weights.places() * Sites::BYTES_BY_BACKTRACE;
        recording.afford(live.bytes().saturating_add(tables))?;
        let mut sites = Sites::new(recording, names);
        let ranking = Ranking::of(&weights, &mut sites, Unit::Bytes, top);
        Ok(HeapAt {
            process: ProcessName::of(recording, process),
            instant,
            live: ranking,
            layout: Layout::of(recording, process.id, &live, &mut sites),
            unresolved: Unresolved::of(recording, names, weights.iter().map(|(id, _)| id))?,
        })
    }
}
