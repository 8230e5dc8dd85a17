//! The bytes of all blocks of a process at all its snapshots, each change once, as far as there is room.

use crate::lifetimes::{Lifetime, Lifetimes};
use crate::recording::{ReadMemory, Recording};
use heaptape_tape::{BlockId, Bytes, ProcessId, Snapshot, TapeError};

/// Bytes of a block that are kept.
pub const MOST_OF_A_BLOCK: u64 = 64 << 10;

/// Known bytes of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Which block.
    pub block: BlockId,
    /// After so many events.
    pub position: u32,
    /// Where in the block they begin.
    pub offset: u32,
    /// How many; they follow those of the row before in [`Captures::bytes`].
    pub length: u32,
}

/// What was captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures {
    /// One for each stretch of known bytes of a block at a snapshot, if they differ from those of the snapshot before. The
    /// last snapshot comes first.
    pub rows: Vec<Capture>,
    /// The bytes of all rows.
    pub bytes: Vec<u8>,
    /// Bytes for which there was no room.
    pub left_out_bytes: u64,
}

impl Captures {
    /// Reads at most `most` bytes; of each block the first [`MOST_OF_A_BLOCK`].
    pub fn of(
        recording: &dyn Recording,
        process: ProcessId,
        lifetimes: &Lifetimes,
        most: u64,
    ) -> Result<Captures, TapeError> {
        recording.afford(lifetimes.bytes().saturating_add(most))?;
        let mut captures = Captures::default();
        let snapshots = recording.snapshots(process);
        for (nth, snapshot) in snapshots.iter().enumerate().rev() {
            let before = nth.checked_sub(1).map(|before| &snapshots[before]);
            captures.add(recording, snapshot, before, lifetimes, most)?;
        }
        Ok(captures)
    }

    fn add(
        &mut self,
        recording: &dyn Recording,
        snapshot: &Snapshot,
        before: Option<&Snapshot>,
        lifetimes: &Lifetimes,
        most: u64,
    ) -> Result<(), TapeError> {
        let Ok(position) = u32::try_from(snapshot.event) else { return Ok(()) };
        let mut memory = recording.memory_at(snapshot, 0..u64::MAX)?;
        let mut former = match before {
            Some(before) => Some((before.event, recording.memory_at(before, 0..u64::MAX)?)),
            None => None,
        };
        // By address: pages are read in order.
        let live = lifetimes.blocks.iter().filter(|block| block.is_live(position));
        let mut live: Vec<&Lifetime> = live.collect();
        live.sort_unstable_by_key(|block| block.addr);
        for block in live {
            let length = block.size.min(MOST_OF_A_BLOCK);
            self.left_out_bytes += block.size - length;
            if self.bytes.len() as u64 + length > most {
                self.left_out_bytes += length;
                continue;
            }
            let now = read(&mut *memory, block, length)?;
            if let Some((event, former)) = &mut former
                && u32::try_from(*event).is_ok_and(|position| block.is_live(position))
                && read(&mut **former, block, length)? == now
            {
                continue;
            }
            self.push(block, position, &now);
        }
        Ok(())
    }

    /// The stretches between the holes.
    fn push(&mut self, block: &Lifetime, position: u32, known: &Bytes) {
        let mut from = 0;
        let end = known.bytes.len();
        for hole in known.holes.iter().cloned().chain(std::iter::once(end..end)) {
            if from < hole.start {
                let (offset, length) = (from as u32, (hole.start - from) as u32);
                self.rows.push(Capture { block: block.id, position, offset, length });
                self.bytes.extend_from_slice(&known.bytes[from..hole.start]);
            }
            from = hole.end;
        }
    }
}

fn read(memory: &mut dyn ReadMemory, block: &Lifetime, length: u64) -> Result<Bytes, TapeError> {
    // At most `MOST_OF_A_BLOCK`.
    memory.read(block.addr, length as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryRecording;
    use heaptape_tape::*;
    use std::collections::BTreeMap;

    #[test]
    fn changes_are_captured_once_and_holes_left_open() {
        let process = ProcessId(0);
        let alloc = |addr, size| Event {
            time: TimeNs(1),
            thread: ThreadId(0),
            action: Action::Alloc,
            api: Api::Malloc,
            align_log2: 0,
            addr,
            size,
            usable: size,
            backtrace: BacktraceId::NONE,
        };
        let snapshot = |number: u32, event| Snapshot {
            process,
            number,
            time: TimeNs(event),
            event,
            reason: SnapshotReason::Time,
            pause_ns: 0,
            one_instant: true,
            considered: 0,
            stored: 0,
            unreadable: 0,
            over_budget: 0,
        };
        let known = |bytes: &[(u64, &[u8])]| -> BTreeMap<u64, Vec<u8>> {
            bytes.iter().map(|(addr, bytes)| (*addr, bytes.to_vec())).collect()
        };
        let recording = MemoryRecording {
            processes: vec![Process::unknown(process)],
            events: [(process, vec![alloc(16, 4), alloc(32, 8)])].into(),
            snapshots: vec![
                (snapshot(1, 1), known(&[(16, b"abcd")])),
                (snapshot(2, 2), known(&[(16, b"abcd"), (32, b"12"), (36, b"5678")])),
            ],
            ..MemoryRecording::default()
        };
        let lifetimes = Lifetimes::of(&recording, process, &|_| true).unwrap();
        let all = Captures::of(&recording, process, &lifetimes, 100).unwrap();
        let row = |block, position, offset, length| Capture {
            block: BlockId(block),
            position,
            offset,
            length,
        };
        // The first block did not change: its capture is that of the first snapshot.
        assert_eq!(all.rows, [row(2, 2, 0, 2), row(2, 2, 4, 4), row(1, 1, 0, 4)]);
        assert_eq!((&all.bytes[..], all.left_out_bytes), (&b"125678abcd"[..], 0));
        let some = Captures::of(&recording, process, &lifetimes, 4).unwrap();
        assert_eq!((&some.bytes[..], some.left_out_bytes), (&b"abcd"[..], 8));
    }
}
