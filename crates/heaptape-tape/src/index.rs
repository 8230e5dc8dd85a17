//! The keys of blocks, and the index: which block holds what, so that a reader goes straight there.
//!
//! A key lies unpacked between a block's head and its body. The index at the end of a finished tape
//! repeats kind, offset and key of every block; on a cut tape the same is gathered from the blocks.

use crate::format::{FILE_HEAD_LEN, HEAD_LEN};
use crate::live::Totals;
use crate::model::*;
use crate::varint::{self, Cursor, Malformed};

/// The key of an EVENTS block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventsKey {
    pub(crate) process: ProcessId,
    pub(crate) count: u32,
    pub(crate) first_event: EventIndex,
    pub(crate) first_tick: u64,
    pub(crate) last_tick: u64,
    /// Threads and nodes on the tape before this block; those that it uses are among them.
    pub(crate) threads: u32,
    pub(crate) nodes: u32,
    /// The process's totals after the last event of the block.
    pub(crate) totals: Totals,
}

/// The key of a KEYFRAME block: one part of a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyframeKey {
    pub(crate) process: ProcessId,
    /// This part, from 0, of so many.
    pub(crate) part: u32,
    pub(crate) parts: u32,
    /// Live blocks in this part.
    pub(crate) count: u32,
    pub(crate) forked: bool,
    /// The process's totals at the keyframe; `events` says where in its history it stands.
    pub(crate) totals: Totals,
}

impl EventsKey {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put(&mut out, u64::from(self.process.0));
        varint::put(&mut out, u64::from(self.count));
        for number in [self.first_event, self.first_tick, self.last_tick] {
            varint::put(&mut out, number);
        }
        varint::put(&mut out, u64::from(self.threads));
        varint::put(&mut out, u64::from(self.nodes));
        put_totals(&mut out, &self.totals);
        out
    }

    pub(crate) fn parse(key: &[u8]) -> Result<EventsKey, Malformed> {
        let mut key = Cursor::new(key);
        let key = EventsKey {
            process: ProcessId(key.number32()?),
            count: key.number32()?,
            first_event: key.number()?,
            first_tick: key.number()?,
            last_tick: key.number()?,
            threads: key.number32()?,
            nodes: key.number32()?,
            totals: totals(&mut key)?,
        };
        match key.first_event.checked_add(u64::from(key.count)) {
            Some(_) if key.count > 0 => Ok(key),
            _ => Err(Malformed("an impossible number of events")),
        }
    }

    /// The number of the event after the last.
    pub(crate) fn end(&self) -> EventIndex {
        self.first_event + u64::from(self.count)
    }
}

impl KeyframeKey {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [self.process.0, self.part, self.parts, self.count] {
            varint::put(&mut out, u64::from(number));
        }
        varint::put(&mut out, u64::from(self.forked));
        put_totals(&mut out, &self.totals);
        out
    }

    pub(crate) fn parse(key: &[u8]) -> Result<KeyframeKey, Malformed> {
        let mut key = Cursor::new(key);
        Ok(KeyframeKey {
            process: ProcessId(key.number32()?),
            part: key.number32()?,
            parts: key.number32()?,
            count: key.number32()?,
            forked: key.number()? != 0,
            totals: totals(&mut key)?,
        })
    }
}

fn put_totals(out: &mut Vec<u8>, t: &Totals) {
    let numbers = [
        t.events,
        t.allocs,
        t.alloc_bytes,
        t.frees,
        t.failed,
        t.unmatched_frees,
        t.overlaid,
        t.live_bytes,
        t.live_blocks,
        t.peak_bytes,
        t.peak_blocks,
        t.peak_time.0,
        t.peak_event,
    ];
    for number in numbers {
        varint::put(out, number);
    }
}

fn totals(key: &mut Cursor<'_>) -> Result<Totals, Malformed> {
    Ok(Totals {
        events: counter(key)?,
        allocs: counter(key)?,
        alloc_bytes: key.number()?,
        frees: counter(key)?,
        failed: counter(key)?,
        unmatched_frees: counter(key)?,
        overlaid: counter(key)?,
        live_bytes: key.number()?,
        live_blocks: counter(key)?,
        peak_bytes: key.number()?,
        peak_blocks: counter(key)?,
        peak_time: TimeNs(key.number()?),
        peak_event: counter(key)?,
    })
}

/// A number of things that were counted one by one, and may be counted on.
fn counter(key: &mut Cursor<'_>) -> Result<u64, Malformed> {
    match key.number()? {
        count if count < 1 << 60 => Ok(count),
        _ => Err(Malformed("an impossible count")),
    }
}

/// The key of a PAGES block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PagesKey {
    pub(crate) process: ProcessId,
    /// Its rank among the PAGES blocks of the process: a gap tells that some are lost.
    pub(crate) serial: u64,
    /// The first and the last page it tells of, as address / 4096.
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl PagesKey {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for number in [u64::from(self.process.0), self.serial, self.first, self.last - self.first] {
            varint::put(&mut out, number);
        }
        out
    }

    pub(crate) fn parse(key: &[u8]) -> Result<PagesKey, Malformed> {
        let mut key = Cursor::new(key);
        let (process, serial, first) = (ProcessId(key.number32()?), key.number()?, key.number()?);
        let last = first.checked_add(key.number()?).ok_or(Malformed("a page past the end"))?;
        Ok(PagesKey { process, serial, first, last })
    }
}

/// The process of a CONTENTS block, from its key.
pub(crate) fn parse_contents_key(key: &[u8]) -> Result<ProcessId, Malformed> {
    Ok(ProcessId(Cursor::new(key).number32()?))
}

/// Where a block is and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: u8,
    pub(crate) offset: u64,
    pub(crate) key: Vec<u8>,
}

impl Entry {
    /// Where the block ends at the earliest: with an empty body.
    fn least_end(&self) -> u64 {
        self.offset.saturating_add((HEAD_LEN + self.key.len()) as u64)
    }
}

/// Most entries of one INDEX block: keeps its body within bounds whatever the keys.
pub(crate) const MAX_ENTRIES: usize = 1 << 16;

/// The body of an INDEX block.
pub(crate) fn encode_entries(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0;
    for entry in entries {
        out.push(entry.kind);
        varint::put(&mut out, entry.offset - last);
        last = entry.offset;
        varint::put_bytes(&mut out, &entry.key);
    }
    out
}

/// Takes in the entries of the INDEX block at `end`. None may name a place where no block fits between
/// its neighbours: so there are no more of them, and no longer keys, than the file has bytes for.
pub(crate) fn parse_entries(
    body: &[u8],
    end: u64,
    entries: &mut Vec<Entry>,
) -> Result<(), Malformed> {
    let mut cursor = Cursor::new(body);
    let mut last = 0u64;
    while !cursor.is_empty() {
        let kind = cursor.byte()?;
        let offset = last.checked_add(cursor.number()?).ok_or(Malformed("an offset"))?;
        last = offset;
        let entry = Entry { kind, offset, key: cursor.bytes()?.to_vec() };
        if offset < entries.last().map_or(FILE_HEAD_LEN as u64, Entry::least_end) {
            return Err(Malformed("blocks out of order"));
        }
        if entry.least_end() > end {
            return Err(Malformed("blocks after their index"));
        }
        entries.push(entry);
    }
    Ok(())
}

/// The numbers of losses, in the order of the tape.
pub(crate) fn loss_numbers(losses: &Losses) -> [u64; 6] {
    [
        losses.events,
        losses.threads,
        losses.truncated_backtraces,
        losses.abandoned,
        losses.malformed,
        losses.waited_ns,
    ]
}

/// Losses, as their numbers tell.
pub(crate) fn losses(f: &mut Cursor<'_>) -> Result<Losses, Malformed> {
    Ok(Losses {
        events: f.number()?,
        threads: f.number()?,
        truncated_backtraces: f.number()?,
        abandoned: f.number()?,
        malformed: f.number()?,
        waited_ns: f.number()?,
    })
}

/// What the FOOTER block says: where the index is, and what each process came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    pub(crate) index_offsets: Vec<u64>,
    /// By process: totals and losses.
    pub(crate) processes: Vec<(Totals, Losses)>,
}

impl Footer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        varint::put(&mut out, self.index_offsets.len() as u64);
        for &offset in &self.index_offsets {
            varint::put(&mut out, offset);
        }
        varint::put(&mut out, self.processes.len() as u64);
        for (totals, losses) in &self.processes {
            put_totals(&mut out, totals);
            for number in loss_numbers(losses) {
                varint::put(&mut out, number);
            }
        }
        out
    }

    pub(crate) fn parse(body: &[u8]) -> Result<Footer, Malformed> {
        let mut f = Cursor::new(body);
        let mut footer = Footer::default();
        for _ in 0..f.count()? {
            footer.index_offsets.push(f.number()?);
        }
        for _ in 0..f.count()? {
            let totals = totals(&mut f)?;
            footer.processes.push((totals, losses(&mut f)?));
        }
        Ok(footer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of 20 million blocks in a file of a few thousand bytes took 825 MiB.
    #[test]
    fn an_index_of_more_blocks_than_the_file_can_hold_is_refused() {
        let entry = |offset, key_len| Entry { kind: 2, offset, key: vec![0; key_len] };
        let parse = |listed: &[Entry], end| {
            let mut found = Vec::new();
            parse_entries(&encode_entries(listed), end, &mut found).map(|()| found)
        };
        let close = [entry(24, 0), entry(48, 5), entry(77, 0)];
        assert_eq!(parse(&close, 101).as_deref(), Ok(&close[..]));
        assert!(parse(&close, 100).is_err(), "the last one would be in its index");
        assert!(parse(&[entry(23, 0)], 100).is_err(), "in the head of the file");
        assert!(parse(&[entry(24, 0), entry(47, 0)], 100).is_err(), "in the block before");
        assert!(parse(&[entry(24, 9), entry(48, 0)], 100).is_err(), "in the key before");
        assert!(parse(&[entry(u64::MAX, 9)], u64::MAX - 1).is_err(), "nowhere");
    }
}
