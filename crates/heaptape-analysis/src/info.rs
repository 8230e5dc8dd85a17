//! What was recorded, and what was not.

use crate::guarding::Guarding;
use crate::hex;
use crate::names::{self, Names};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::unresolved::Unresolved;
use heaptape_tape::{Losses, ProcessId, Snapshot, SnapshotReason, TapeError};
use serde::Serialize;

/// [`Losses`], for results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// Allocator calls that were not recorded.
    pub events: u64,
    /// Threads none of whose calls were recorded or counted.
    pub threads: u64,
    /// Backtraces cut at the depth bound.
    pub truncated_backtraces: u64,
    /// Records that were begun but never completed.
    pub abandoned: u64,
    /// Records that made no sense.
    pub malformed: u64,
    /// Nanoseconds that threads waited for the collector; nothing is lost by it.
    pub waited_ns: u64,
}

impl From<&Losses> for Lost {
    fn from(losses: &Losses) -> Lost {
        Lost {
            events: losses.events,
            threads: losses.threads,
            truncated_backtraces: losses.truncated_backtraces,
            abandoned: losses.abandoned,
            malformed: losses.malformed,
            waited_ns: losses.waited_ns,
        }
    }
}

impl Lost {
    /// Calls that are missing from the history, for whatever reason.
    pub fn calls(&self) -> u64 {
        self.events.saturating_add(self.abandoned).saturating_add(self.malformed)
    }

    /// Whether something is missing.
    pub fn any(&self) -> bool {
        self.calls() > 0 || self.threads > 0
    }
}

/// The condition of the tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quality {
    /// The recording was ended in order.
    pub complete: bool,
    /// It was still going on when the tape was opened.
    pub being_recorded: bool,
    /// Bytes of the file that are whole blocks.
    pub good_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Damaged blocks, skipped.
    pub damaged_blocks: u64,
    /// Blocks of a later version, skipped.
    pub unknown_blocks: u64,
}

impl Quality {
    /// The condition of a recording.
    pub fn of(recording: &dyn Recording) -> Quality {
        let condition = recording.condition();
        Quality {
            complete: condition.complete,
            being_recorded: condition.being_written,
            good_bytes: condition.good_bytes,
            file_bytes: condition.file_bytes,
            damaged_blocks: condition.damaged_blocks,
            unknown_blocks: condition.unknown_blocks,
        }
    }
}

/// A child that could not be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnrecordedChild {
    /// The pid; 0 when not known.
    pub pid: u32,
    /// When it was noticed.
    pub time_ns: u64,
    /// The program's path.
    pub program: String,
    /// Why.
    pub reason: String,
}

impl UnrecordedChild {
    /// All of a recording.
    pub fn all(recording: &dyn Recording) -> Vec<UnrecordedChild> {
        let of = |child: &heaptape_tape::Unrecorded| UnrecordedChild {
            pid: child.pid,
            time_ns: child.time.0,
            program: names::text(&child.exe),
            reason: child.reason.clone(),
        };
        recording.unrecorded().iter().map(of).collect()
    }
}

/// Everything about a recording but its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The command line that was recorded.
    pub command: Vec<String>,
    /// Where it ran: host and working directory.
    pub host: String,
    /// The working directory.
    pub cwd: String,
    /// Nanoseconds since the Unix epoch at time 0.
    pub epoch_unix_ns: u64,
    /// Times are multiples of this.
    pub tick_ns: u64,
    /// Format version.
    pub format_version: u32,
    /// The heaptape that wrote it.
    pub writer: String,
    /// Options of the recording.
    pub options: Vec<(String, String)>,
    /// Mean distance between two chosen bytes, where the tape is a sample; 0 where everything is on it.
    pub sample_bytes: u64,
    /// What is wrong with the tape.
    pub quality: Quality,
    /// The processes, by number.
    pub processes: Vec<ProcessInfo>,
    /// Children that could not be recorded.
    pub unrecorded: Vec<UnrecordedChild>,
    /// Backtrace nodes on the tape.
    pub backtrace_nodes: u64,
    /// Frames of all backtraces that have no name.
    pub unresolved: Unresolved,
}

/// What is known about a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProcessInfo {
    /// Which.
    #[serde(flatten)]
    pub name: ProcessName,
    /// The executable.
    pub exe: String,
    /// The number of its parent on the tape, where it is there.
    pub parent: Option<u32>,
    /// Whether it inherited its parent's heap (`fork`).
    pub forked: bool,
    /// Its events.
    pub events: u64,
    /// Memory samples.
    pub samples: u64,
    /// Largest sampled resident set; `None` without samples.
    pub max_rss_bytes: Option<u64>,
    /// Its threads.
    pub threads: Vec<ThreadInfo>,
    /// Its modules.
    pub modules: Vec<ModuleInfo>,
    /// The fatal signal, if there was one.
    pub crash: Option<CrashInfo>,
    /// How often contents of its memory were copied, and the bytes of pages that are on the tape; `None` when they
    /// are not.
    pub contents: Option<ContentsInfo>,
    /// How its blocks were guarded; `None` when they were not to be.
    pub guard: Option<Guarding>,
}

/// A recorded thread.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ThreadInfo {
    /// Kernel thread id.
    pub tid: u32,
    /// Its name.
    pub name: String,
    /// First event.
    pub start_ns: u64,
}

/// A module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ModuleInfo {
    /// Its path.
    pub path: String,
    /// Its build id, in hex; empty when it has none.
    pub build_id: String,
    /// First address.
    #[serde(serialize_with = "hex::address")]
    pub start: u64,
    /// First address after it.
    #[serde(serialize_with = "hex::address")]
    pub end: u64,
    /// When it was loaded.
    pub loaded_ns: u64,
    /// When it was unloaded.
    pub unloaded_ns: Option<u64>,
    /// What its names are good for.
    pub symbols: String,
}

/// Contents of a process's memory on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ContentsInfo {
    /// How often they were copied.
    pub snapshots: u64,
    /// Bytes of pages.
    pub stored_bytes: u64,
    /// The longest that the process stood still and went on afterwards.
    pub longest_pause_ns: u64,
}

/// A fatal signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CrashInfo {
    /// When.
    pub time_ns: u64,
    /// The signal.
    pub signal: i32,
    /// The offending address.
    #[serde(serialize_with = "hex::address")]
    pub fault_address: u64,
}

impl CrashInfo {
    /// The last crash of a process.
    pub fn of(recording: &dyn Recording, process: ProcessId) -> Option<CrashInfo> {
        let crash = recording.crashes().iter().rfind(|crash| crash.process == process)?;
        Some(CrashInfo {
            time_ns: crash.time.0,
            signal: crash.signal,
            fault_address: crash.fault_addr,
        })
    }
}

impl Info {
    /// Gathers the facts. Fails as soon as memory would not do.
    pub fn compute(recording: &dyn Recording, names: &dyn Names) -> Result<Info, TapeError> {
        let header = recording.header();
        Ok(Info {
            command: header.command.iter().map(|argument| names::text(argument)).collect(),
            host: header.host.clone(),
            cwd: names::text(&header.cwd),
            epoch_unix_ns: header.epoch_unix_ns,
            tick_ns: header.tick_ns,
            format_version: header.version,
            writer: header.writer.clone(),
            options: header.options.clone(),
            sample_bytes: header.sample_bytes,
            quality: Quality::of(recording),
            processes: recording
                .processes()
                .iter()
                .map(|process| process_info(recording, names, process))
                .collect(),
            unrecorded: UnrecordedChild::all(recording),
            backtrace_nodes: recording.nodes().len() as u64,
            unresolved: Unresolved::of_all(recording, names)?,
        })
    }
}

fn process_info(
    recording: &dyn Recording,
    names: &dyn Names,
    process: &heaptape_tape::Process,
) -> ProcessInfo {
    let id = process.id;
    let samples = recording.samples(id);
    // A pid can be used again: the parent is the newest process of that pid before this one.
    let by_pid = || {
        recording
            .processes()
            .iter()
            .rev()
            .find(|other| other.id < id && other.pid == process.ppid && process.ppid != 0)
            .map(|other| other.id)
    };
    let snapshots = recording.snapshots(id);
    ProcessInfo {
        name: ProcessName::of(recording, process),
        exe: names::text(&process.exe),
        parent: process
            .forked_from
            .map(|(parent, _)| parent)
            .or_else(by_pid)
            .map(|parent| parent.0),
        contents: contents_info(&snapshots),
        forked: process.forked_from.is_some(),
        events: recording.event_count(id),
        samples: samples.len() as u64,
        max_rss_bytes: samples.iter().map(|sample| sample.rss).max(),
        threads: threads_of(recording, id),
        modules: modules_of(recording, names, id),
        crash: CrashInfo::of(recording, id),
        guard: Guarding::of(recording, id),
    }
}

fn contents_info(snapshots: &[Snapshot]) -> Option<ContentsInfo> {
    let goes_on = |snapshot: &&Snapshot| {
        !matches!(snapshot.reason, SnapshotReason::Exit | SnapshotReason::Crash)
    };
    let stored = snapshots.iter().map(|snapshot| snapshot.stored);
    (!snapshots.is_empty()).then(|| ContentsInfo {
        snapshots: snapshots.len() as u64,
        stored_bytes: stored.fold(0, u64::saturating_add),
        longest_pause_ns: snapshots.iter().filter(goes_on).map(|s| s.pause_ns).max().unwrap_or(0),
    })
}

fn threads_of(recording: &dyn Recording, id: ProcessId) -> Vec<ThreadInfo> {
    let own = recording.threads().iter().filter(|thread| thread.process == id);
    own.map(|thread| ThreadInfo {
        tid: thread.tid,
        name: names::text(&thread.name),
        start_ns: thread.start.0,
    })
    .collect()
}

fn modules_of(recording: &dyn Recording, names: &dyn Names, id: ProcessId) -> Vec<ModuleInfo> {
    let own = recording.modules().iter().filter(|module| module.process == id);
    own.map(|module| ModuleInfo {
        path: names::text(&module.path),
        build_id: module.build_id.iter().map(|byte| format!("{byte:02x}")).collect(),
        start: module.start,
        end: module.end,
        loaded_ns: module.loaded.0,
        unloaded_ns: module.unloaded.map(|time| time.0),
        symbols: names.module_state(module.id),
    })
    .collect()
}
