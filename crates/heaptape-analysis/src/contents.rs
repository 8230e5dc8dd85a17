//! What blocks contained: at one of the snapshots of a recording, with every byte that is not known left open.
//!
//! * [`table`]: the live blocks, largest first, and what each looks like.
//! * [`block`]: the bytes of one, and where its pointers lead.
//! * [`captures`]: the bytes of all, at all snapshots.
//! * [`looks`]: what bytes look like.

pub mod block;
pub mod captures;
pub mod looks;
pub mod table;

use crate::moment::When;
use crate::recording::Recording;
use heaptape_tape::{Moment, Process, ProcessId, Snapshot, SnapshotReason, TapeError};
use serde::Serialize;
use std::str::FromStr;

/// Which snapshot is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The newest that is not after this moment; of the peak, the one with most live bytes.
    At(When),
    /// The one of this number.
    Number(u32),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Which, String> {
        match text.strip_prefix('#') {
            Some(number) => number
                .parse()
                .map(Which::Number)
                .map_err(|_| "expected the number of a snapshot: #3".to_owned()),
            None => text.parse().map(Which::At),
        }
    }
}

/// A snapshot, as results hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SnapshotFacts {
    /// Its number in its process, from 1.
    pub number: u32,
    /// When.
    pub time_ns: u64,
    /// After so many events of the process.
    pub events: u64,
    /// Why.
    pub reason: &'static str,
    /// How long the process stood still for it.
    pub pause_ns: u64,
    /// Whether all threads did, so that the bytes are those of one instant.
    pub one_instant: bool,
    /// Bytes of the live blocks.
    pub live_bytes: u64,
    /// Bytes of pages that had changed and were stored.
    pub stored_bytes: u64,
    /// Bytes of pages that could not be read.
    pub unreadable_bytes: u64,
    /// Bytes of pages beyond the budget.
    pub over_budget_bytes: u64,
}

impl From<&Snapshot> for SnapshotFacts {
    fn from(snapshot: &Snapshot) -> SnapshotFacts {
        SnapshotFacts {
            number: snapshot.number,
            time_ns: snapshot.time.0,
            events: snapshot.event,
            reason: match snapshot.reason {
                SnapshotReason::Exit => "exit",
                SnapshotReason::Crash => "crash",
                SnapshotReason::Asked => "asked",
                SnapshotReason::Interval => "interval",
                SnapshotReason::Time => "time",
                SnapshotReason::Peak => "peak",
                SnapshotReason::MemoryLimit => "memory limit",
            },
            pause_ns: snapshot.pause_ns,
            one_instant: snapshot.one_instant,
            live_bytes: snapshot.considered,
            stored_bytes: snapshot.stored,
            unreadable_bytes: snapshot.unreadable,
            over_budget_bytes: snapshot.over_budget,
        }
    }
}

/// What there is of the one that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It.
    Found(Snapshot),
    /// No contents of the process are on the recording.
    Nothing,
    /// All are later; the first is this.
    OnlyLater(Snapshot),
    /// There is none of that number; the last is this.
    NoSuch(Snapshot),
}

/// Finds the snapshot that is meant.
pub fn choose(
    recording: &dyn Recording,
    process: ProcessId,
    which: Which,
) -> Result<Choice, TapeError> {
    let all = recording.snapshots(process);
    let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(Choice::Nothing) };
    let found = match which {
        Which::Number(number) => {
            let found = all.iter().find(|snapshot| snapshot.number == number);
            return Ok(found.map_or(Choice::NoSuch(*last), |found| Choice::Found(*found)));
        }
        Which::At(When::Peak) => all.iter().rev().max_by_key(|snapshot| snapshot.considered),
        Which::At(when) => {
            let moment = when.resolve(recording, process)?.moment;
            all.iter().rev().find(|snapshot| match moment {
                Moment::Time(time) => snapshot.time <= time,
                Moment::Event(event) => snapshot.event <= event,
                Moment::End => true,
            })
        }
    };
    Ok(found.map_or(Choice::OnlyLater(*first), |found| Choice::Found(*found)))
}

/// The number of a block, where it is of the process itself and not inherited over `fork`.
fn number(process: &Process, block: &heaptape_tape::LiveBlock) -> Option<u64> {
    let inherited = process.forked_from.is_some() && block.time < process.start;
    (!inherited).then_some(block.id.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryRecording;
    use heaptape_tape::TimeNs;
    use std::collections::BTreeMap;

    #[test]
    fn the_newest_snapshot_that_is_not_later_is_taken() {
        let process = ProcessId(0);
        let snapshot = |number, time, considered| Snapshot {
            process,
            number,
            time: TimeNs(time),
            event: u64::from(number) * 10,
            reason: SnapshotReason::Time,
            pause_ns: 0,
            one_instant: true,
            considered,
            stored: 0,
            unreadable: 0,
            over_budget: 0,
        };
        let all = [snapshot(1, 100, 5), snapshot(2, 200, 50), snapshot(4, 300, 7)];
        let recording = MemoryRecording {
            processes: vec![Process { end: TimeNs(400), ..Process::unknown(process) }],
            snapshots: all.iter().map(|snapshot| (*snapshot, BTreeMap::new())).collect(),
            ..MemoryRecording::default()
        };
        let chosen = |text: &str| choose(&recording, process, text.parse().unwrap()).unwrap();
        assert_eq!(chosen("200ns"), Choice::Found(all[1]));
        assert_eq!(chosen("299ns"), Choice::Found(all[1]));
        assert_eq!(chosen("99ns"), Choice::OnlyLater(all[0]));
        assert_eq!(chosen("start"), Choice::OnlyLater(all[0]));
        assert_eq!(chosen("end"), Choice::Found(all[2]));
        assert_eq!(chosen("peak"), Choice::Found(all[1]), "of most live bytes");
        assert_eq!(chosen("#4"), Choice::Found(all[2]));
        assert_eq!(chosen("#3"), Choice::NoSuch(all[2]));
        let none = choose(&recording, ProcessId(1), Which::Number(1)).unwrap();
        assert_eq!(none, Choice::Nothing);
        assert!("#x".parse::<Which>().is_err());
    }
}
