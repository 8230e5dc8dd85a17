//! Bytes of a block at a snapshot: `ContentsView` of types.ts.

use heaptape_analysis::Recording;
use heaptape_analysis::contents::SnapshotFacts;
use heaptape_analysis::lifetimes::Lifetime;
use heaptape_report::page::columns::Table;
use heaptape_tape::{ProcessId, Snapshot, TapeError};
use serde_json::json;

/// Most bytes of a block that are sent.
const MOST_BYTES: u64 = 1 << 20;

/// The newest capture at or before a position, else the first one.
pub(super) fn view(
    recording: &dyn Recording,
    process: ProcessId,
    block: Option<&Lifetime>,
    t: u32,
) -> Result<Vec<u8>, TapeError> {
    let was_live = |snapshot: &Snapshot| {
        let position = u32::try_from(snapshot.event).ok();
        block.zip(position).is_some_and(|(block, position)| block.is_live(position))
    };
    let mut captures = recording.snapshots(process);
    captures.retain(was_live);
    let chosen = captures.iter().rfind(|it| it.event <= u64::from(t)).or(captures.first());
    let (Some(snapshot), Some(block)) = (chosen, block) else {
        let none = Table::new().meta("captured", json!(null));
        return Ok(none.bytes("bytes", &[]).bytes("known", &[]).u32("captures", 0, |_| 0).packed());
    };
    let length = block.size.min(MOST_BYTES);
    let mut memory =
        recording.memory_at(snapshot, block.addr..block.addr.saturating_add(length))?;
    let bytes = memory.read(block.addr, length as usize)?;
    let mut known = vec![1; bytes.bytes.len()];
    for hole in &bytes.holes {
        if let Some(unknown) = known.get_mut(hole.clone()) {
            unknown.fill(0);
        }
    }
    let facts = SnapshotFacts::from(snapshot);
    let captured =
        json!({ "position": facts.events, "time_ns": facts.time_ns, "reason": facts.reason });
    Ok(Table::new()
        .meta("captured", captured)
        .bytes("bytes", &bytes.bytes)
        .bytes("known", &known)
        .u32("captures", captures.len(), |row| captures[row].event as u32)
        .packed())
}
