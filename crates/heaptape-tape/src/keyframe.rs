//! A live set as blocks of the tape, and back.
//!
//! Live blocks are told in the order of their numbers, as the run of allocations that began them
//! ([`crate::events`]): neighbours in time are alike. A large set is several parts; each holds up to
//! `PART` live blocks and as many freed inherited addresses.

use crate::columns;
use crate::events::{Decoder, Ended, EventsEncoder, Recorded, Surroundings};
use crate::index::KeyframeKey;
use crate::live::{LiveBlock, LiveSet, Totals};
use crate::model::*;
use crate::run::Run;
use crate::shapes::Shape;
use crate::varint::{self, Cursor, Malformed};

/// Most live blocks of one part, and most freed addresses.
const PART: usize = 1 << 16;

/// A part of a keyframe.
pub(crate) struct Part {
    pub(crate) key: KeyframeKey,
    tick_ns: u64,
    blocks: Vec<LiveBlock>,
    releasing: Vec<u8>,
    freed: Vec<u64>,
}

/// The parts of a set's keyframe one after the other. `tick_ns` divides all its times.
pub(crate) fn parts(
    process: ProcessId,
    set: &LiveSet,
    tick_ns: u64,
) -> impl Iterator<Item = Part> + '_ {
    let mut order: Vec<(BlockId, u64)> = set.blocks().map(|b| (b.id, b.addr)).collect();
    order.sort_unstable();
    let mut freed: Vec<u64> = set.inherited_freed().collect();
    freed.sort_unstable();
    let parts = order.len().div_ceil(PART).max(freed.len().div_ceil(PART)).max(1);
    (0..parts).map(move |part| {
        let blocks = piece(&order, part);
        let key = KeyframeKey {
            process,
            part: part as u32,
            parts: parts as u32,
            count: blocks.len() as u32,
            forked: set.is_forked(),
            totals: *set.totals(),
        };
        Part {
            key,
            tick_ns,
            blocks: blocks.iter().filter_map(|&(_, addr)| set.get(addr)).copied().collect(),
            releasing: if part == 0 { encode_releasing(set, tick_ns) } else { Vec::new() },
            freed: piece(&freed, part).to_vec(),
        }
    })
}

/// The `part`th piece of a list.
fn piece<T>(list: &[T], part: usize) -> &[T] {
    let from = (part * PART).min(list.len());
    &list[from..list.len().min(from + PART)]
}

impl Part {
    /// The body of its block.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut run = EventsEncoder::new();
        let (mut ids, mut last_id) = (Vec::new(), 0);
        for block in &self.blocks {
            run.push(&begin_of(block, block.time.0 / self.tick_ns));
            varint::put(&mut ids, block.id.0 - last_id);
            last_id = block.id.0;
        }
        let (mut addresses, mut last) = (Vec::new(), 0);
        for &addr in &self.freed {
            varint::put(&mut addresses, addr - last);
            last = addr;
        }
        columns::join(&[&run.finish(), &ids, &self.releasing, &addresses])
    }
}

/// The allocation that began a block.
fn begin_of(block: &LiveBlock, tick: u64) -> Recorded {
    let shape = Shape {
        action: Action::Alloc,
        api: block.api,
        align_log2: block.align_log2,
        backtrace: block.backtrace,
        size: block.size,
        usable: block.usable,
    };
    Recorded { tick, addr: block.addr, shape, ended: Ended::UNKNOWN, thread: block.thread }
}

fn encode_releasing(set: &LiveSet, tick_ns: u64) -> Vec<u8> {
    let mut pairs: Vec<_> = set.releasing().collect();
    pairs.sort_unstable_by_key(|(thread, _)| **thread);
    let mut out = Vec::new();
    for (thread, block) in pairs {
        let ids = [thread.0, block.thread.0, block.backtrace.0].map(u64::from);
        for number in ids {
            varint::put(&mut out, number);
        }
        out.extend([block.api as u8, block.align_log2]);
        for number in [block.addr, block.size, block.usable, block.id.0, block.time.0 / tick_ns] {
            varint::put(&mut out, number);
        }
    }
    out
}

fn parse_releasing(
    column: &mut Cursor<'_>,
    around: Surroundings,
) -> Result<(ThreadId, LiveBlock), Malformed> {
    let releaser = ThreadId(column.number32()?);
    let (thread, backtrace) = (ThreadId(column.number32()?), column.number32()?);
    let api = Api::from_u8(column.byte()?).ok_or(Malformed("an unknown function"))?;
    let align_log2 = column.byte()?;
    if releaser.0.max(thread.0) >= around.threads {
        return Err(Malformed("a thread that is not on the tape"));
    }
    let backtrace = BacktraceId(if backtrace > around.nodes { 0 } else { backtrace });
    let (addr, size, usable) = (column.number()?, column.number()?, column.number()?);
    let (id, tick) = (BlockId(column.number()?), column.number()?);
    let time = TimeNs(tick.saturating_mul(around.tick_ns));
    let block = LiveBlock { addr, size, usable, id, time, thread, api, align_log2, backtrace };
    Ok((releaser, block))
}

/// A keyframe being put together from its parts, in order.
#[derive(Default)]
pub(crate) struct Assembly {
    blocks: Vec<LiveBlock>,
    releasing: Vec<(ThreadId, LiveBlock)>,
    freed: Vec<u64>,
    run: Run,
}

impl Assembly {
    pub(crate) fn add(
        &mut self,
        key: &KeyframeKey,
        body: &[u8],
        around: Surroundings,
        decoder: &mut Decoder,
    ) -> Result<(), Malformed> {
        let [mut run, mut ids, mut releasing, mut freed] = columns::split::<4>(body)?;
        decoder.decode(run.take_all(), key.count as usize, around, &mut self.run)?;
        let mut id = 0u64;
        for event in self.run.whole() {
            id = id.wrapping_add(ids.number()?);
            self.blocks.push(LiveBlock::begun_by(event, BlockId(id)));
        }
        while !releasing.is_empty() {
            if self.releasing.len() == PART {
                return Err(Malformed("too many reallocs"));
            }
            self.releasing.push(parse_releasing(&mut releasing, around)?);
        }
        let mut addr = 0u64;
        let most = self.freed.len() + PART;
        while !freed.is_empty() {
            if self.freed.len() == most {
                return Err(Malformed("too many addresses"));
            }
            addr = addr.wrapping_add(freed.number()?);
            self.freed.push(addr);
        }
        Ok(())
    }

    /// About the bytes that it takes, with the set of addresses that it becomes.
    pub(crate) fn bytes(&self) -> u64 {
        (self.blocks.capacity() * size_of::<LiveBlock>()
            + self.releasing.capacity() * 3 * size_of::<(ThreadId, LiveBlock)>()
            + self.freed.capacity() * 4 * size_of::<u64>()) as u64
    }

    pub(crate) fn finish(self, forked: bool, totals: Totals) -> LiveSet {
        LiveSet::from_parts(self.blocks, self.releasing, forked, self.freed, totals)
    }
}
