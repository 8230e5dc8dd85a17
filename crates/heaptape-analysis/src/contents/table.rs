//! The live blocks of a snapshot, and what each looks like.

use super::looks::{LOOKED_AT, Looks};
use super::{SnapshotFacts, number};
use crate::filter::{SizeRange, TextMatch};
use crate::hex;
use crate::names::Names;
use crate::process::ProcessName;
use crate::recording::Recording;
use crate::sites::{Site, Sites};
use heaptape_tape::{LiveBlock, Moment, Process, Snapshot, TapeError};
use serde::Serialize;

/// Bytes from the start of a block that a row shows.
pub const FIRST_BYTES: usize = 16;

/// Which blocks to show.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Of this size.
    pub sizes: Option<SizeRange>,
    /// Some frame of the allocation has this in function, file or module.
    pub text: Option<String>,
    /// Most blocks.
    pub limit: usize,
}

/// The contents of the blocks that were live at a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ContentsTable {
    /// Of which process.
    pub process: ProcessName,
    /// Which snapshot.
    pub snapshot: SnapshotFacts,
    /// Blocks that were live and pass the filters.
    pub blocks: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// The largest of them, largest first.
    pub rows: Vec<Row>,
}

/// One block.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its number; `None` for a block inherited over `fork`, which has its parent's.
    pub block: Option<u64>,
    /// Where it starts.
    #[serde(serialize_with = "hex::address")]
    pub address: u64,
    /// Bytes asked for.
    pub size: u64,
    /// How many of the bytes looked at (the first 4 KiB) are not known.
    pub unrecorded: u64,
    /// The first bytes, as far as they are known, in hex.
    #[serde(serialize_with = "hex::bytes")]
    pub first: Vec<u8>,
    /// What it looks like.
    pub looks_like: Looks,
    /// Who allocated it.
    pub site: Site,
}

impl ContentsTable {
    /// Looks at the live blocks of a snapshot.
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        snapshot: &Snapshot,
        wanted: &Wanted,
    ) -> Result<ContentsTable, TapeError> {
        let live = recording.live_at(process.id, Moment::Event(snapshot.event))?;
        recording.afford(live.bytes().saturating_mul(2))?;
        let all = live.sorted();
        let mut text = wanted.text.as_deref().map(|text| TextMatch::new(text, recording, names));
        let mut passing: Vec<&LiveBlock> = all
            .iter()
            .filter(|block| wanted.sizes.as_ref().is_none_or(|sizes| sizes.0.contains(&block.size)))
            .filter(|block| text.as_mut().is_none_or(|text| text.matches(block.backtrace)))
            .collect();
        passing.sort_by_key(|block| (std::cmp::Reverse(block.size), block.addr));
        let (blocks, bytes) = (passing.len() as u64, passing.iter().map(|block| block.size));
        let bytes = bytes.fold(0, u64::saturating_add);
        passing.truncate(wanted.limit);
        let heap = Heap(&all);
        let modules = Modules::at(recording, process, snapshot);
        let mut memory = recording.memory_at(snapshot, 0..u64::MAX)?;
        let mut sites = Sites::new(recording, names);
        let mut rows = Vec::with_capacity(passing.len());
        for block in passing {
            let looked_at = usize::try_from(block.size).unwrap_or(LOOKED_AT).min(LOOKED_AT);
            let bytes = memory.read(block.addr, looked_at)?;
            let site = sites.of(block.backtrace);
            rows.push(Row {
                block: number(process, block),
                address: block.addr,
                size: block.size,
                unrecorded: bytes.unknown() as u64,
                first: (0..FIRST_BYTES).map_while(|at| bytes.get(at)).collect(),
                looks_like: Looks::of(
                    &bytes,
                    |word| heap.at(word).is_some(),
                    |word| modules.find(word).is_some(),
                ),
                site: sites.get(site).clone(),
            });
        }
        let process = ProcessName::of(recording, process);
        Ok(ContentsTable { process, snapshot: snapshot.into(), blocks, bytes, rows })
    }
}

/// Live blocks by address.
pub(super) struct Heap<'a>(pub(super) &'a [LiveBlock]);

impl<'a> Heap<'a> {
    /// The block that an address lies in, or at whose very end.
    pub(super) fn at(&self, addr: u64) -> Option<&'a LiveBlock> {
        let after = self.0.partition_point(|block| block.addr <= addr);
        let block = self.0[..after].last()?;
        (addr - block.addr <= block.size.max(block.usable)).then_some(block)
    }
}

/// The modules that were loaded at a snapshot, by address.
pub(super) struct Modules<'a>(Vec<&'a heaptape_tape::Module>);

impl<'a> Modules<'a> {
    pub(super) fn at(
        recording: &'a dyn Recording,
        process: &Process,
        snapshot: &Snapshot,
    ) -> Modules<'a> {
        let loaded = |module: &&heaptape_tape::Module| {
            module.process == process.id
                && module.loaded <= snapshot.time
                && module.unloaded.is_none_or(|unloaded| unloaded > snapshot.time)
        };
        let mut modules: Vec<_> = recording.modules().iter().filter(loaded).collect();
        modules.sort_by_key(|module| module.start);
        Modules(modules)
    }

    /// The module that an address lies in.
    pub(super) fn find(&self, addr: u64) -> Option<&'a heaptape_tape::Module> {
        let after = self.0.partition_point(|module| module.start <= addr);
        self.0[..after].last().copied().filter(|module| addr < module.end)
    }
}
