//! A process that was killed without a word: by SIGKILL, for want of memory, or where no handler could run.

use crate::events::{self, EventRow};
use crate::names::{self, Names};
use crate::recording::Recording;
use heaptape_tape::{CgroupMemory, Process, TapeError};
use serde::Serialize;

/// Last events that are kept.
const LAST_EVENTS: usize = 8;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;

/// The death of a process of which no crash was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Death {
    /// The signal; `None` where nobody saw it.
    pub signal: Option<i32>,
    /// Whether a core was dumped.
    pub core: bool,
    /// Whether the kernel killed it for want of memory, as far as that can be told: its cgroup counted such a
    /// death meanwhile.
    pub out_of_memory: bool,
    /// What is known of the cause, as a sentence.
    pub reason: String,
    /// Resident bytes at the last sample; `None` without samples.
    pub rss_bytes: Option<u64>,
    /// When that sample was taken.
    pub rss_time_ns: Option<u64>,
    /// Its cgroup's memory when the recording of it began, and after its death.
    pub cgroup: Vec<MemoryFigures>,
    /// The last events of the process, oldest first.
    pub last_events: Vec<EventRow>,
}

/// What the kernel says of the memory of a cgroup; `None` for what it does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryFigures {
    /// When.
    pub time_ns: u64,
    /// The cgroup.
    pub path: String,
    /// Hard limit.
    pub max_bytes: Option<u64>,
    /// Limit beyond which the group is slowed down.
    pub high_bytes: Option<u64>,
    /// In use.
    pub current_bytes: Option<u64>,
    /// Most that was ever in use.
    pub peak_bytes: Option<u64>,
    /// Processes of the group that the kernel has killed for want of memory.
    pub oom_kills: Option<u64>,
}

impl From<&CgroupMemory> for MemoryFigures {
    fn from(memory: &CgroupMemory) -> MemoryFigures {
        MemoryFigures {
            time_ns: memory.time.0,
            path: names::text(&memory.path),
            max_bytes: memory.max,
            high_bytes: memory.high,
            current_bytes: memory.current,
            peak_bytes: memory.peak,
            oom_kills: memory.oom_kills,
        }
    }
}

impl Death {
    /// Of a process that was killed by a signal.
    pub(super) fn of(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        signal: i32,
        core: bool,
    ) -> Result<Death, TapeError> {
        Death::new(recording, names, process, Some(signal), core)
    }

    /// Of a process that ended where nobody saw how, if its cgroup lost one for want of memory.
    pub(super) fn if_killed(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
    ) -> Result<Option<Death>, TapeError> {
        let death = Death::new(recording, names, process, None, false)?;
        Ok(Some(death).filter(|death| death.out_of_memory))
    }

    fn new(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        signal: Option<i32>,
        core: bool,
    ) -> Result<Death, TapeError> {
        let figures = recording.cgroups().iter().filter(|memory| memory.process == process.id);
        let cgroup: Vec<MemoryFigures> = figures.map(MemoryFigures::from).collect();
        let kills = |figures: Option<&MemoryFigures>| figures.and_then(|figures| figures.oom_kills);
        let by_kernel = matches!(signal, None | Some(SIGKILL));
        let out_of_memory =
            by_kernel && cgroup.len() > 1 && kills(cgroup.last()) > kills(cgroup.first());
        let last_sample = recording.samples(process.id).last();
        Ok(Death {
            signal,
            core,
            out_of_memory,
            reason: reason(recording, signal, out_of_memory).to_owned(),
            rss_bytes: last_sample.map(|sample| sample.rss),
            rss_time_ns: last_sample.map(|sample| sample.time.0),
            cgroup,
            last_events: {
                let until = recording.event_count(process.id);
                events::last_of(recording, names, process, None, until, LAST_EVENTS)?
            },
        })
    }
}

fn reason(recording: &dyn Recording, signal: Option<i32>, out_of_memory: bool) -> &'static str {
    let crashes_off =
        recording.header().options.iter().any(|(name, value)| name == "crash" && value == "off");
    match signal {
        _ if out_of_memory => {
            "The kernel killed a process of its cgroup for want of memory while it ran: likely this one."
        }
        Some(SIGKILL) => {
            "SIGKILL cannot be caught: somebody sent it, or the kernel killed the process for want of memory; its \
             cgroup counts no such death."
        }
        _ if crashes_off => "Crashes were not recorded.",
        Some(4 | 6..=8 | SIGSEGV) => {
            "No handler ran: the signal was blocked, the program had set its own disposition, or there was no stack \
             left to run one on."
        }
        Some(_) => "The signal ends a process that does not handle it; somebody sent it.",
        None => "Nobody saw how it ended.",
    }
}
