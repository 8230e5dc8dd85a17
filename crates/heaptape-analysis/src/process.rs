//! Facts about one process that several questions need.

use crate::estimate::{Sampled, Sampling};
use crate::info::{Lost, Quality};
use crate::names;
use crate::recording::Recording;
use crate::replay;
use heaptape_tape::{
    Effect, Ending, Event, LiveBlock, Process, ProcessId, TapeError, TimeNs, Totals,
};
use serde::Serialize;

/// A process, as results name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessName {
    /// Its number on the tape (`#0` is the launched program).
    pub number: u32,
    /// Its pid.
    pub pid: u32,
    /// The command line: the arguments, or the executable where there are none.
    pub command: Vec<String>,
    /// How it ended.
    pub ending: EndingName,
    /// When its recording began.
    pub start_ns: u64,
    /// When its recording ended.
    pub end_ns: u64,
    /// What could not be recorded of it.
    pub lost: Lost,
    /// What is wrong with the tape.
    pub quality: Quality,
    /// Where the tape is a sample: numbers of bytes and calls are estimates.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sampled>,
}

/// [`Ending`], for results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "lowercase")]
pub enum EndingName {
    /// Not known.
    Unknown,
    /// `exit`.
    Exited {
        /// Its status.
        code: i32,
    },
    /// Killed by a signal.
    Signalled {
        /// Its number.
        signal: i32,
        /// Whether a core was dumped.
        core: bool,
    },
    /// Replaced itself by `exec`.
    Exec,
    /// Ended, nobody saw how.
    Gone,
    /// Still running when the recording ended.
    Running,
}

impl From<Ending> for EndingName {
    fn from(ending: Ending) -> EndingName {
        match ending {
            Ending::Unknown => EndingName::Unknown,
            Ending::Exited(code) => EndingName::Exited { code },
            Ending::Signalled(signal, core) => EndingName::Signalled { signal, core },
            Ending::Exec => EndingName::Exec,
            Ending::Gone => EndingName::Gone,
            Ending::Running => EndingName::Running,
        }
    }
}

impl EndingName {
    /// Whether the tape tells that the process ended: else what it holds is a part of the run.
    pub fn is_told(&self) -> bool {
        !matches!(self, EndingName::Unknown | EndingName::Running)
    }
}

impl ProcessName {
    /// Names a process of a recording.
    pub fn of(recording: &dyn Recording, process: &Process) -> ProcessName {
        let (start, end) = span(recording, process.id);
        let command = if process.argv.is_empty() {
            vec![names::text(&process.exe)]
        } else {
            process.argv.iter().map(|argument| names::text(argument)).collect()
        };
        ProcessName {
            number: process.id.0,
            pid: process.pid,
            command,
            ending: process.ending.into(),
            start_ns: start.0,
            end_ns: end.0,
            lost: Lost::from(&process.losses),
            quality: Quality::of(recording),
            sample: Sampling::of(recording).map(|_| Sampled {
                mean_bytes: recording.header().sample_bytes,
                blocks: recording.totals(process.id).allocs,
            }),
        }
    }
}

/// The process of that id, if the recording has it.
pub fn get(recording: &dyn Recording, id: ProcessId) -> Option<&Process> {
    recording.processes().iter().find(|process| process.id == id)
}

/// When the recording of a process began and ended; never negative.
pub fn span(recording: &dyn Recording, id: ProcessId) -> (TimeNs, TimeNs) {
    get(recording, id)
        .map_or((TimeNs(0), TimeNs(0)), |process| (process.start, process.end.max(process.start)))
}

/// The totals of a process with the blocks it inherited over `fork`: the tape's own totals
/// leave them out. Of a sample, the estimated ones.
pub fn totals(recording: &dyn Recording, id: ProcessId) -> Result<Totals, TapeError> {
    let inherits = get(recording, id).is_some_and(|process| process.forked_from.is_some());
    if !inherits && recording.header().sample_bytes == 0 {
        return Ok(recording.totals(id));
    }
    let mut live = recording.live_at_start(id)?;
    replay::whole(recording, id, &mut live, &mut |_: &Event, _: &Effect<&LiveBlock>, _: &Totals| {})
}
