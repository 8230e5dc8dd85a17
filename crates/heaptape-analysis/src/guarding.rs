//! How the blocks of a process were guarded (`--guard`, `--check`): what a recording could see beyond wrong frees.

use crate::recording::Recording;
use heaptape_tape::{GuardMechanism, ProcessId};
use serde::Serialize;

/// How the blocks of a process were guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Guarding {
    /// Where errors show.
    pub mode: Mode,
    /// One block in so many was to be guarded; 1: each.
    pub one_in: u64,
    /// By what.
    pub mechanism: Mechanism,
    /// Blocks that were.
    pub guarded: u64,
    /// Blocks that should have been and were not: too large, no room for more, or of an allocator with operators
    /// `new` of its own.
    pub unguarded: u64,
}

/// Where errors show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// At accesses past the end of a block.
    Right,
    /// At accesses before its start.
    Left,
    /// At accesses past its end, to the byte.
    Exact,
    /// When red zones are looked at.
    Check,
    /// The recording does not say.
    Unknown,
}

/// What guarded blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mechanism {
    /// Nothing, though it was asked for.
    Nothing,
    /// Guard pages by `MADV_GUARD_INSTALL`.
    Markers,
    /// Guard pages by mappings without access rights.
    Mappings,
    /// Red zones.
    RedZones,
}

impl Guarding {
    /// How it was in a process; `None` where its blocks were not to be guarded.
    pub fn of(recording: &dyn Recording, process: ProcessId) -> Option<Guarding> {
        let guarded = recording.guarded().iter().find(|guarded| guarded.process == process)?;
        let options = &recording.header().options;
        let value = options.iter().find(|(name, _)| name == "guard");
        let (mode, one_in) = value.map_or((Mode::Unknown, 1), |(_, value)| read(value));
        Some(Guarding {
            mode,
            one_in,
            mechanism: match guarded.mechanism {
                GuardMechanism::Nothing => Mechanism::Nothing,
                GuardMechanism::Markers => Mechanism::Markers,
                GuardMechanism::Mappings => Mechanism::Mappings,
                GuardMechanism::RedZones => Mechanism::RedZones,
            },
            guarded: guarded.guarded,
            unguarded: guarded.unguarded,
        })
    }
}

/// `right`, `check`, `right sample:1000`.
fn read(option: &str) -> (Mode, u64) {
    let mut words = option.split(' ');
    let mode = match words.next() {
        Some("right") => Mode::Right,
        Some("left") => Mode::Left,
        Some("exact") => Mode::Exact,
        Some("check") => Mode::Check,
        _ => Mode::Unknown,
    };
    let one_in = words.find_map(|word| word.strip_prefix("sample:")?.parse().ok());
    (mode, one_in.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        assert_eq!(read("right"), (Mode::Right, 1));
        assert_eq!(read("left sample:1000"), (Mode::Left, 1000));
        assert_eq!(read("check sample:"), (Mode::Check, 1));
        assert_eq!(read(""), (Mode::Unknown, 1));
    }
}
