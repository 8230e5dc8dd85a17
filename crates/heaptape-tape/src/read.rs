//! The tape, opened: index, salvage of a cut file, replay from keyframes.

use crate::live::{LiveSet, Totals};
use crate::model::*;
use std::fmt;
use std::path::Path;

/// A moment of one process's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After every event whose time is not after this.
    Time(TimeNs),
    /// After this many events.
    Event(EventIndex),
    /// The end of the recording.
    End,
}

/// What is wrong with a tape that could be opened all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The footer was found: the recording was ended in order.
    pub complete: bool,
    /// Bytes of the file that are whole blocks, and bytes of the file.
    pub good_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Blocks whose checksum or contents were wrong; they were skipped.
    pub damaged_blocks: u64,
    /// Blocks of a kind this version does not know; they were skipped.
    pub unknown_blocks: u64,
}

/// Why a tape cannot be read.
#[derive(Debug)]
pub enum TapeError {
    /// The file cannot be opened or read.
    Io(std::io::Error),
    /// It is not a tape.
    NotATape,
    /// It is a tape of a later major version.
    Version(u32),
    /// A block that is needed here is damaged.
    Damaged(String),
}

impl fmt::Display for TapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TapeError::Io(e) => write!(f, "{e}"),
            TapeError::NotATape => write!(f, "not a heaptape recording"),
            TapeError::Version(v) => {
                write!(f, "recorded by a later heaptape (format {v}); use that version to read it")
            }
            TapeError::Damaged(what) => write!(f, "damaged: {what}"),
        }
    }
}

impl std::error::Error for TapeError {}

impl From<std::io::Error> for TapeError {
    fn from(e: std::io::Error) -> TapeError {
        TapeError::Io(e)
    }
}

/// An opened tape. The facts beside the events are in memory; events are read as they are asked for.
pub struct Tape {}

#[allow(unused_variables, clippy::todo)]
impl Tape {
    /// Opens the tape at `path`; a cut or damaged one as far as it is whole, see [`Tape::condition`].
    pub fn open(path: &Path) -> Result<Tape, TapeError> {
        todo!()
    }

    /// What the launcher was asked to do.
    pub fn header(&self) -> &Header {
        todo!()
    }

    /// What is wrong with the file.
    pub fn condition(&self) -> &Condition {
        todo!()
    }

    /// The processes, by id.
    pub fn processes(&self) -> &[Process] {
        todo!()
    }

    /// The threads, by id.
    pub fn threads(&self) -> &[Thread] {
        todo!()
    }

    /// The modules, by id.
    pub fn modules(&self) -> &[Module] {
        todo!()
    }

    /// The backtrace nodes: `nodes()[id - 1]`.
    pub fn nodes(&self) -> &[BacktraceNode] {
        todo!()
    }

    /// The memory samples of a process, by time.
    pub fn samples(&self, process: ProcessId) -> &[Sample] {
        todo!()
    }

    /// Children that could not be recorded.
    pub fn unrecorded(&self) -> &[Unrecorded] {
        todo!()
    }

    /// Fatal signals.
    pub fn crashes(&self) -> &[Crash] {
        todo!()
    }

    /// Number of events of a process.
    pub fn event_count(&self, process: ProcessId) -> u64 {
        todo!()
    }

    /// Totals of a process's whole history, as the writer counted them (for a forked child: of its own
    /// blocks only).
    pub fn totals(&self, process: ProcessId) -> Totals {
        todo!()
    }

    /// The events of a process in order, beginning with number `from`.
    pub fn events(
        &self,
        process: ProcessId,
        from: EventIndex,
    ) -> Box<dyn Iterator<Item = Result<Event, TapeError>> + '_> {
        todo!()
    }

    /// The live set of a process at its birth: empty, or the blocks inherited over fork.
    pub fn live_at_start(&self, process: ProcessId) -> Result<LiveSet, TapeError> {
        todo!()
    }

    /// The live set of a process at a moment: the nearest keyframe before it and a short replay.
    pub fn live_at(&self, process: ProcessId, moment: Moment) -> Result<LiveSet, TapeError> {
        todo!()
    }

    /// All recorded block contents of a process, in the order of the tape.
    pub fn contents(
        &self,
        process: ProcessId,
    ) -> Box<dyn Iterator<Item = Result<Contents, TapeError>> + '_> {
        todo!()
    }
}
