//! Where the live blocks of one moment lie: regions, holes, pages, and who pins them.
//!
//! A region's *span* reaches from the page of its first live block to the page of its last one. What the
//! allocator keeps mapped outside of it is not recorded.

use crate::extents::{Extent, block_end, extents};
use crate::hex;
use crate::pages::{PageCounter, PageCounts};
use crate::recording::Recording;
use crate::sites::{Site, SiteId, Sites};
use heaptape_tape::{BacktraceId, LiveBlock, LiveSet, Module, ProcessId};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use std::cmp::Reverse;
use std::ops::Range;

/// Blocks further apart than this lie in different regions.
pub const REGION_GAP_BYTES: u64 = 1 << 20;
/// The kernel places the brk heap at most so far after the executable.
const MAX_BRK_DISTANCE: u64 = 1 << 30;
/// A block at least this large may have a mapping of its own (glibc's smallest threshold).
const MIN_OWN_MAPPING: u64 = 128 << 10;
/// glibc's header at the start of a mapping.
const MAPPING_HEADER: u64 = 16;

/// What a region is, judged by where it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RegionKind {
    /// Grown with `brk`: just after the executable.
    Heap,
    /// Blocks that each have a mapping of their own.
    Mmap,
    /// Other memory that the allocator mapped and divided.
    Arena,
}

/// Unused stretches between live blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Holes {
    /// How many.
    pub count: u64,
    /// Their sum.
    pub bytes: u64,
    /// The largest.
    pub largest_bytes: u64,
}

impl Holes {
    fn add(&mut self, bytes: u64) {
        self.merge(&Holes { count: 1, bytes, largest_bytes: bytes });
    }

    fn merge(&mut self, other: &Holes) {
        self.count += other.count;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.largest_bytes = self.largest_bytes.max(other.largest_bytes);
    }

    /// External fragmentation: 1 − largest / all. 0 when there are no holes.
    pub fn fragmentation(&self) -> f64 {
        if self.bytes == 0 { 0.0 } else { 1.0 - self.largest_bytes as f64 / self.bytes as f64 }
    }
}

/// A stretch of the address space with live blocks close to each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Region {
    /// What it is.
    pub kind: RegionKind,
    /// First address of its first page.
    #[serde(serialize_with = "hex::address")]
    pub start: u64,
    /// First address after its last page.
    #[serde(serialize_with = "hex::address")]
    pub end: u64,
    /// Its measures.
    #[serde(flatten)]
    pub space: Space,
    /// Its blocks in [`Layout::blocks`].
    #[serde(skip)]
    pub blocks: Range<usize>,
}

/// How a stretch of the address space is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Space {
    /// Its span, whole pages.
    pub span_bytes: u64,
    /// Bytes of live blocks with their headers and padding.
    pub used_bytes: u64,
    /// Bytes asked for.
    pub live_bytes: u64,
    /// Live blocks.
    pub live_blocks: u64,
    /// Usable bytes that nobody asked for, of the blocks whose usable size is known.
    pub slack_bytes: u64,
    /// Unused stretches between live blocks.
    pub holes: Holes,
    /// Its pages.
    pub pages: PageCounts,
}

impl Space {
    fn add(&mut self, other: &Space) {
        self.span_bytes = self.span_bytes.saturating_add(other.span_bytes);
        self.used_bytes = self.used_bytes.saturating_add(other.used_bytes);
        self.live_bytes = self.live_bytes.saturating_add(other.live_bytes);
        self.live_blocks += other.live_blocks;
        self.slack_bytes = self.slack_bytes.saturating_add(other.slack_bytes);
        self.holes.merge(&other.holes);
        self.pages.add(&other.pages);
    }
}

/// A call site whose blocks lie in pages that are less than 25 % used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pin {
    /// Who.
    #[serde(flatten)]
    pub site: Site,
    /// Such pages with a block of this site; a page counts for each site that has a block in it.
    pub pages: u64,
    /// Bytes of those pages.
    pub held_bytes: u64,
    /// Bytes of the site's blocks in them.
    pub own_bytes: u64,
}

/// Where the live blocks of one moment lie.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Layout {
    /// Bytes of a page.
    pub page_bytes: u64,
    /// The sum over all regions.
    #[serde(flatten)]
    pub total: Space,
    /// The regions, by address.
    pub regions: Vec<Region>,
    /// Who pins pages, most pages first.
    pub pins: Vec<Pin>,
    /// The live blocks, by address.
    #[serde(skip)]
    pub blocks: Vec<LiveBlock>,
}

impl Layout {
    /// Lays out a live set of a process.
    pub fn of(
        recording: &dyn Recording,
        process: ProcessId,
        live: &LiveSet,
        sites: &mut Sites<'_>,
    ) -> Layout {
        let blocks = live.sorted();
        let mut pins = Pins::default();
        let page_bytes = page_bytes(recording);
        let mut sparse = |_: u64, owners: &[(BacktraceId, u64)]| pins.add(owners, sites);
        let (total, regions) = lay_out(recording, process, &blocks, &mut sparse);
        Layout { page_bytes, total, regions, pins: pins.ranked(page_bytes, sites), blocks }
    }

    /// The blocks and holes of a region, by address.
    pub fn extents(&self, region: &Region) -> impl Iterator<Item = Extent> + '_ {
        extents(&self.blocks[region.blocks.clone()])
    }
}

/// Takes the number and the owners (backtrace and bytes in the page) of a page that is less than 25 % used.
pub(crate) type SparsePages<'a> = dyn FnMut(u64, &[(BacktraceId, u64)]) + 'a;

/// The regions of live blocks, which are sorted by address, and their sum. Hands nearly empty pages to
/// `sparse`.
pub(crate) fn lay_out(
    recording: &dyn Recording,
    process: ProcessId,
    blocks: &[LiveBlock],
    sparse: &mut SparsePages<'_>,
) -> (Space, Vec<Region>) {
    let ground = Ground::of(recording, process);
    let cut = ground.regions(blocks).into_iter();
    let regions: Vec<Region> =
        cut.map(|(kind, range)| ground.measure(kind, range, blocks, sparse)).collect();
    let mut total = Space::default();
    regions.iter().for_each(|region| total.add(&region.space));
    (total, regions)
}

/// Bytes of a page of the recorded machine; 4096 where the tape states nonsense.
pub(crate) fn page_bytes(recording: &dyn Recording) -> u64 {
    let stated = u64::from(recording.header().page_size);
    let plausible = stated.is_power_of_two() && (512..=1 << 24).contains(&stated);
    if plausible { stated } else { 4096 }
}

/// Whether glibc gave a block a mapping of its own, judged by its size and where it lies.
#[inline]
pub(crate) fn has_own_mapping(block: &LiveBlock, page_bytes: u64) -> bool {
    let whole_pages = || {
        block.usable == 0 || block.usable.saturating_add(MAPPING_HEADER).is_multiple_of(page_bytes)
    };
    block.size.max(block.usable) >= MIN_OWN_MAPPING
        && block.addr % page_bytes == MAPPING_HEADER
        && whole_pages()
}

/// What is known about the address space of a process.
struct Ground {
    page_bytes: u64,
    /// First address after the executable.
    executable_end: Option<u64>,
    /// First addresses of modules, sorted.
    modules: Vec<u64>,
}

impl Ground {
    fn of(recording: &dyn Recording, process: ProcessId) -> Ground {
        let own: Vec<&Module> =
            recording.modules().iter().filter(|module| module.process == process).collect();
        let exe = crate::process::get(recording, process).map(|process| &process.exe);
        let executable = own.iter().find(|module| Some(&module.path) == exe).or(own.first());
        let mut modules: Vec<u64> = own.iter().map(|module| module.start).collect();
        modules.sort_unstable();
        Ground {
            page_bytes: page_bytes(recording),
            executable_end: executable.map(|module| module.end),
            modules,
        }
    }

    /// Cuts sorted blocks into regions.
    fn regions(&self, blocks: &[LiveBlock]) -> Vec<(RegionKind, Range<usize>)> {
        let mut regions: Vec<(RegionKind, Range<usize>)> = Vec::new();
        let mut reached = 0;
        for (index, block) in blocks.iter().enumerate() {
            let kind = self.kind(block);
            match regions.last_mut() {
                Some((last_kind, range))
                    if *last_kind == kind
                        && block.addr.saturating_sub(reached) <= REGION_GAP_BYTES
                        && !self.module_between(reached, block.addr) =>
                {
                    range.end = index + 1;
                }
                _ => regions.push((kind, index..index + 1)),
            }
            reached = reached.max(block_end(block));
        }
        regions
    }

    fn kind(&self, block: &LiveBlock) -> RegionKind {
        if has_own_mapping(block, self.page_bytes) {
            return RegionKind::Mmap;
        }
        let in_brk = self.executable_end.is_some_and(|end| {
            block.addr >= end
                && block.addr - end < MAX_BRK_DISTANCE
                && !self.module_between(end, block.addr)
        });
        if in_brk { RegionKind::Heap } else { RegionKind::Arena }
    }

    fn module_between(&self, from: u64, to: u64) -> bool {
        let next = self.modules.partition_point(|&start| start < from);
        self.modules.get(next).is_some_and(|&start| start < to)
    }

    fn measure(
        &self,
        kind: RegionKind,
        range: Range<usize>,
        blocks: &[LiveBlock],
        sparse: &mut SparsePages<'_>,
    ) -> Region {
        let own = &blocks[range.clone()];
        let mut space = Space::default();
        let mut pages = PageCounter::new(self.page_bytes, sparse);
        let (mut reached, start) = (own[0].addr, own[0].addr);
        for extent in extents(own) {
            pages.add(&extent);
            match extent {
                Extent::Hole { bytes, .. } => space.holes.add(bytes),
                Extent::Block { block, end } => {
                    space.used_bytes += end - reached.max(block.addr).min(end);
                    space.live_bytes = space.live_bytes.saturating_add(block.size);
                    space.live_blocks += 1;
                    space.slack_bytes =
                        space.slack_bytes.saturating_add(block.usable.saturating_sub(block.size));
                    reached = reached.max(end);
                }
            }
        }
        let first_page = start / self.page_bytes;
        let last_page = reached.saturating_sub(1).max(start) / self.page_bytes;
        let page_count = last_page - first_page + 1;
        space.pages = pages.finish(page_count);
        let start = first_page * self.page_bytes;
        space.span_bytes = page_count.saturating_mul(self.page_bytes);
        Region { kind, start, end: start.saturating_add(space.span_bytes), space, blocks: range }
    }
}

/// Nearly empty pages by site.
#[derive(Default)]
struct Pins {
    by_site: FxHashMap<SiteId, (u64, u64)>,
    on_page: FxHashSet<SiteId>,
}

impl Pins {
    fn add(&mut self, owners: &[(BacktraceId, u64)], sites: &mut Sites<'_>) {
        self.on_page.clear();
        for &(backtrace, bytes) in owners {
            let site = sites.of(backtrace);
            let (pages, own_bytes) = self.by_site.entry(site).or_default();
            *pages += u64::from(self.on_page.insert(site));
            *own_bytes += bytes;
        }
    }

    fn ranked(self, page_bytes: u64, sites: &Sites<'_>) -> Vec<Pin> {
        let mut ranked: Vec<(SiteId, (u64, u64))> = self.by_site.into_iter().collect();
        ranked.sort_unstable_by_key(|&(site, (pages, own))| {
            (Reverse(pages), Reverse(own), sites.get(site).name())
        });
        ranked
            .into_iter()
            .map(|(site, (pages, own_bytes))| Pin {
                site: sites.get(site).clone(),
                pages,
                held_bytes: pages * page_bytes,
                own_bytes,
            })
            .collect()
    }
}
