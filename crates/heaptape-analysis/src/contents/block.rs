//! The bytes of one block at a snapshot, and where the pointers among them lead.

use super::looks::Looks;
use super::table::{Heap, Modules};
use super::{SnapshotFacts, number};
use crate::hex;
use crate::names::{self, Names};
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::sites::{Site, Sites};
use heaptape_tape::{
    BacktraceId, BacktraceNode, Bytes, Effect, FORESEEN, FrameQuality, LiveBlock, MemoryMap,
    Moment, Process, Snapshot, TapeError,
};
use rustc_hash::FxHashMap;
use serde::{Serialize, Serializer};
use std::ops::{ControlFlow, Range};
use std::str::FromStr;

/// Below this there is no memory of a program.
const LOWEST: u64 = 1 << 16;
/// And none of it from here on.
const HIGHEST: u64 = 1 << 47;

/// Which block is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichBlock {
    /// The one that contains this address.
    Address(u64),
    /// The one of this number.
    Number(u64),
}

impl FromStr for WhichBlock {
    type Err = String;

    fn from_str(text: &str) -> Result<WhichBlock, String> {
        let parsed = match (text.strip_prefix('#'), text.strip_prefix("0x")) {
            (Some(number), _) => number.parse().ok().map(WhichBlock::Number),
            (None, Some(digits)) => u64::from_str_radix(digits, 16).ok().map(WhichBlock::Address),
            (None, None) => text.parse().ok().map(WhichBlock::Address),
        };
        parsed.ok_or_else(|| "expected an address (0x55d0c0a2a4f0) or a block (#41237)".to_owned())
    }
}

/// The contents of a block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlockContents {
    /// Of which process.
    pub process: ProcessName,
    /// Which snapshot.
    pub snapshot: SnapshotFacts,
    /// Its number; `None` for a block inherited over `fork`, which has its parent's.
    pub block: Option<u64>,
    /// Where it starts.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
    /// When it was allocated.
    pub allocated_ns: u64,
    /// By which function.
    pub function: &'static str,
    /// By whom.
    pub site: Site,
    /// What it looks like.
    pub looks_like: Looks,
    /// The bytes that are shown begin so far into it.
    pub offset: u64,
    /// How many are shown.
    pub length: u64,
    /// The bytes: stretches that are known.
    #[serde(rename = "recorded", serialize_with = "stretches")]
    pub bytes: Bytes,
    /// The words among them that point somewhere.
    pub pointers: Vec<Pointer>,
}

/// A word that points somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pointer {
    /// Where it is in the block.
    pub offset: u64,
    /// Its value.
    #[serde(serialize_with = "hex::address")]
    pub value: u64,
    /// Where it leads.
    pub to: Target,
}

/// Where a pointer leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Target {
    /// Into a live block, or to its very end.
    Block {
        /// Its number, unless it was inherited.
        block: Option<u64>,
        /// So far from its start.
        offset: u64,
        /// Its size.
        size: u64,
    },
    /// To where a block was that had been freed by then: the last one.
    Freed {
        /// Its number, unless it was inherited.
        block: Option<u64>,
        /// So far from its start.
        offset: u64,
        /// When it was freed.
        freed_ns: u64,
    },
    /// Into a module.
    Module {
        /// Its file name.
        module: String,
        /// The function, where the address is one's.
        function: Option<String>,
        /// The address as the module's file states it.
        #[serde(serialize_with = "hex::address")]
        address: u64,
    },
    /// Into other memory: a stack, a file, or without a name.
    Mapping {
        /// What the kernel calls it.
        name: String,
        /// So far from its start.
        offset: u64,
    },
}

impl BlockContents {
    /// Looks at a block of a snapshot: at most `shown` of its bytes. `None` when no such block was live.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        snapshot: &Snapshot,
        which: WhichBlock,
        shown: Range<u64>,
    ) -> Result<Option<BlockContents>, TapeError> {
        let live = recording.live_at(process.id, Moment::Event(snapshot.event))?;
        recording.afford(live.bytes())?;
        let all = live.sorted();
        let heap = Heap(&all);
        let found = match which {
            WhichBlock::Address(addr) => {
                heap.at(addr).filter(|block| addr - block.addr < block.size.max(1))
            }
            WhichBlock::Number(wanted) => {
                all.iter().find(|block| number(process, block) == Some(wanted))
            }
        };
        let Some(block) = found else { return Ok(None) };
        let (start, end) = (shown.start.min(block.size), shown.end.min(block.size));
        let length = end.saturating_sub(start);
        // The bytes, and what is found of each word.
        recording.afford(live.bytes().saturating_add(length.saturating_mul(32)))?;
        let addr = block.addr.saturating_add(start);
        let mut memory = recording.memory_at(snapshot, addr..addr.saturating_add(length))?;
        let bytes = memory.read(addr, usize::try_from(length).unwrap_or(0))?;
        drop(memory);
        let modules = Modules::at(recording, process, snapshot);
        let looks_like =
            Looks::of(&bytes, |word| heap.at(word).is_some(), |word| modules.find(word).is_some());
        let mut sites = Sites::new(recording, names);
        let site = sites.of(block.backtrace);
        let mut leads = Leads { recording, names, process, snapshot, heap, modules };
        let pointers = leads.follow(&bytes, start)?;
        Ok(Some(BlockContents {
            process: ProcessName::of(recording, process),
            snapshot: snapshot.into(),
            block: number(process, block),
            address: block.addr,
            size: block.size,
            allocated_ns: block.time.0,
            function: block.api.name(),
            site: sites.get(site).clone(),
            looks_like,
            offset: start,
            length,
            bytes,
            pointers,
        }))
    }
}

/// Finds out where words lead.
struct Leads<'a> {
    recording: &'a dyn Recording,
    names: &'a dyn Names,
    process: &'a Process,
    snapshot: &'a Snapshot,
    heap: Heap<'a>,
    modules: Modules<'a>,
}

impl Leads<'_> {
    /// The pointers among some bytes, which begin `offset` into their block.
    fn follow(&mut self, bytes: &Bytes, offset: u64) -> Result<Vec<Pointer>, TapeError> {
        let words: Vec<(u64, u64)> = words(bytes).collect();
        let open: Vec<u64> = words
            .iter()
            .map(|(_, value)| *value)
            .filter(|&value| self.heap.at(value).is_none() && self.modules.find(value).is_none())
            .collect();
        let freed = self.freed(open)?;
        let map = self.map();
        let target = |value: u64| {
            self.block(value)
                .or_else(|| self.module(value))
                .or_else(|| freed.get(&value).map(|(block, time)| self.was(value, block, *time)))
                .or_else(|| mapping(map?, value))
        };
        let pointers = words.into_iter().filter_map(|(at, value)| {
            Some(Pointer { offset: offset + at, value, to: target(value)? })
        });
        Ok(pointers.collect())
    }

    fn block(&self, value: u64) -> Option<Target> {
        let block = self.heap.at(value)?;
        let (offset, size) = (value - block.addr, block.size);
        Some(Target::Block { block: number(self.process, block), offset, size })
    }

    fn was(&self, value: u64, block: &LiveBlock, freed_ns: u64) -> Target {
        let offset = value - block.addr;
        Target::Freed { block: number(self.process, block), offset, freed_ns }
    }

    fn module(&self, value: u64) -> Option<Target> {
        let module = self.modules.find(value)?;
        let address = value.wrapping_sub(module.bias);
        // The names are those of return addresses, which are looked up a byte before.
        let node = BacktraceNode {
            parent: BacktraceId::NONE,
            module: Some(module.id),
            address: address.wrapping_add(1),
            quality: FrameQuality::Exact,
        };
        let frames = self.names.frames(BacktraceId::NONE, &node);
        let function = frames.last().filter(|frame| frame.named).map(|f| f.short.to_string());
        let path = names::text(&module.path);
        Some(Target::Module { module: names::file_name(&path).to_owned(), function, address })
    }

    /// Of each of these addresses, the last block there that was freed before the snapshot, and when.
    fn freed(&self, mut open: Vec<u64>) -> Result<FxHashMap<u64, (LiveBlock, u64)>, TapeError> {
        open.sort_unstable();
        open.dedup();
        let mut found = FxHashMap::default();
        if open.is_empty() {
            return Ok(found);
        }
        let mut live = self.recording.live_at_start(self.process.id)?;
        self.recording.runs(self.process.id, 0..self.snapshot.event, &mut |events| {
            for some in events.chunks(FORESEEN) {
                live.foresee(some);
                for event in some {
                    let Effect::Ended(block) = live.apply(event) else { continue };
                    let end = block.addr.saturating_add(block.size.max(1));
                    let first = open.partition_point(|&value| value < block.addr);
                    for &value in open[first..].iter().take_while(|&&value| value < end) {
                        found.insert(value, (block, event.time.0));
                    }
                }
            }
            self.recording.afford(live.bytes()).map(ControlFlow::Continue)
        })?;
        Ok(found)
    }

    /// The newest address space of the process that was known by then.
    fn map(&self) -> Option<&MemoryMap> {
        let known = self.recording.memory_maps().iter().rev();
        known
            .filter(|map| map.process == self.process.id)
            .find(|map| map.time <= self.snapshot.time)
    }
}

fn mapping(map: &MemoryMap, value: u64) -> Option<Target> {
    let mapping = map.at(value)?;
    Some(Target::Mapping { name: names::text(&mapping.name), offset: value - mapping.start })
}

/// The aligned words that are known and may be addresses, and where they are.
fn words(bytes: &Bytes) -> impl Iterator<Item = (u64, u64)> + '_ {
    let first = (bytes.addr.wrapping_neg() % 8) as usize;
    let all = (first..bytes.bytes.len().saturating_sub(7)).step_by(8);
    all.filter_map(|at| {
        let mut word = [0; 8];
        for (place, byte) in word.iter_mut().enumerate() {
            *byte = bytes.get(at + place)?;
        }
        let word = u64::from_le_bytes(word);
        (LOWEST..HIGHEST).contains(&word).then_some((at as u64, word))
    })
}

/// A stretch of bytes that are known.
#[derive(Serialize)]
struct Stretch<'a> {
    /// So far behind the first byte that is shown.
    at: u64,
    #[serde(serialize_with = "hex::bytes")]
    bytes: &'a [u8],
}

fn stretches<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        known(bytes).map(|range| Stretch { at: range.start as u64, bytes: &bytes.bytes[range] }),
    )
}

/// The stretches of bytes that are known, as places.
pub fn known(bytes: &Bytes) -> impl Iterator<Item = Range<usize>> + '_ {
    let ends = bytes.holes.iter().map(|hole| hole.start).chain([bytes.bytes.len()]);
    let starts = [0].into_iter().chain(bytes.holes.iter().map(|hole| hole.end));
    starts.zip(ends).map(|(start, end)| start..end).filter(|range| !range.is_empty())
}
