//! The heap at a moment.

use crate::layout::Layout;
use crate::metric::{Unit, Weights};
use crate::moment::{Instant, When};
use crate::names::Names;
use crate::process::ProcessName;
use crate::ranking::Ranking;
use crate::recording::Recording;
use crate::sites::Sites;
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
        let mut sites = Sites::new(recording, names);
        let ranking = Ranking::of(&Weights::of_live(&live), &mut sites, Unit::Bytes, top);
        Ok(HeapAt {
            process: ProcessName::of(recording, process),
            instant,
            live: ranking,
            layout: Layout::of(recording, process.id, &live, &mut sites),
        })
    }
}
