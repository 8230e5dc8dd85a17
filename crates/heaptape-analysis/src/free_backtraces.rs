//! Which frees of a recording have backtraces, so that a view can say why one is missing.

use crate::recording::Recording;
use serde::Serialize;

/// Frees that were recorded with their backtraces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "which", rename_all = "snake_case")]
pub enum FreeBacktraces {
    /// All.
    All,
    /// The first ones of each thread.
    First {
        /// So many.
        frees: u64,
    },
    /// None.
    None,
    /// The recording does not say.
    Unknown,
}

impl FreeBacktraces {
    /// What was asked for.
    pub fn of(recording: &dyn Recording) -> FreeBacktraces {
        let options = &recording.header().options;
        let value = options.iter().find(|(name, _)| name == "free-backtraces");
        match value.map(|(_, value)| value.as_str()) {
            Some("all" | "on") => FreeBacktraces::All,
            Some("none" | "off") => FreeBacktraces::None,
            Some(value) => value
                .strip_prefix("first-")
                .and_then(|number| number.parse().ok())
                .map_or(FreeBacktraces::Unknown, |frees| FreeBacktraces::First { frees }),
            None => FreeBacktraces::Unknown,
        }
    }

    /// The same where a backtrace of a free that a view shows is missing; `None` where none is.
    pub fn missed(recording: &dyn Recording, is_missed: bool) -> Option<FreeBacktraces> {
        is_missed.then(|| FreeBacktraces::of(recording))
    }
}
