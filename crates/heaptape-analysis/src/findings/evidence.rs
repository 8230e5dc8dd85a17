//! What the rules look at: the facts of a summary, by call site.

use super::chains::Chained;
use super::watch::Watched;
use crate::errors;
use crate::estimate::Weigh;
use crate::growth::Growth;
use crate::info::CrashInfo;
use crate::layout::Layout;
use crate::leaks::LeakSummary;
use crate::metric::{Weight, Weights};
use crate::recording::Recording;
use crate::rss::Residence;
use crate::series::Series;
use crate::sites::{Site, SiteId, Sites};
use heaptape_tape::{BacktraceId, LeakKind, LiveSet, ProcessId, TapeError, Totals};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Sites whose live bytes over time are looked at: those that have most in the end.
const FOLLOWED: usize = 64;
/// Blocks larger than this are no matter for a pool.
pub(super) const LARGEST_POOLED: u64 = 512;
/// Blocks that a site must have live at the peak for their sizes to be told apart.
pub(super) const MIN_ALIKE: u64 = 10_000;

/// Weights by call site, heaviest first.
pub(super) type BySite = Vec<(SiteId, Weight)>;

/// Everything that the rules look at.
pub struct Evidence<'a> {
    /// All call sites.
    pub(crate) sites: &'a Sites<'a>,
    /// Whether every allocation is on the tape.
    pub(crate) whole: bool,
    /// Totals of the process.
    pub(crate) totals: &'a Totals,
    /// Live bytes over time.
    pub(crate) series: &'a Series,
    /// Where the never freed blocks lie.
    pub(crate) layout: &'a Layout,
    /// Wrong frees and overwrites.
    pub(crate) errors: &'a errors::Findings,
    /// The fatal signal.
    pub(crate) crash: Option<&'a CrashInfo>,
    /// What the last search for leaks said.
    pub(crate) leaks: Option<LeakSummary>,
    /// What the kernel said of resident memory.
    pub(crate) residence: Option<&'a Residence>,
    /// Calls that failed: allocations and reallocs.
    pub(crate) failed: u64,
    /// What was gathered.
    pub(crate) gathered: &'a Gathered,
}

/// What was gathered by call site.
pub struct Gathered {
    pub(super) peak: BySite,
    pub(super) never_freed: BySite,
    pub(super) lost: BySite,
    pub(super) temporary: BySite,
    pub(super) empty: Vec<(SiteId, u64)>,
    pub(super) chained: Vec<(SiteId, Chained)>,
    pub(super) largest_failed: Option<(u64, SiteId)>,
    /// At [`crate::growth::MOMENTS`] moments, of the sites with most live bytes in the end.
    pub(super) over_time: FxHashMap<SiteId, Vec<u64>>,
    pub(super) alike: Vec<Alike>,
    pub(super) rounding: Vec<Rounding>,
}

/// Small blocks of one size that one site has live at the peak.
pub(super) struct Alike {
    pub(super) site: SiteId,
    pub(super) size: u64,
    pub(super) blocks: u64,
}

/// What one site asked for and got, of the blocks live at the peak whose usable size is known.
#[derive(Clone, Copy)]
pub(super) struct Rounding {
    pub(super) site: SiteId,
    pub(super) blocks: u64,
    pub(super) asked_bytes: u64,
    pub(super) usable_bytes: u64,
}

impl Evidence<'_> {
    /// A call site.
    pub(super) fn site(&self, id: SiteId) -> Site {
        self.sites.get(id).clone()
    }

    /// How long the recording of the process is.
    pub(super) fn span_ns(&self) -> u64 {
        self.series.end_ns - self.series.start_ns
    }
}

impl Gathered {
    /// Groups what the pass over the events saw, and what is live in the end.
    pub fn at_end<W: Weigh>(
        recording: &dyn Recording,
        process: ProcessId,
        live: &LiveSet,
        (growth, watched): (&Growth<W>, Watched),
        sites: &mut Sites<'_>,
    ) -> Result<Gathered, TapeError> {
        let weights = Weights::of_live(recording, live)?;
        let never_freed = by_site(weights.iter(), sites);
        let temporaries = watched.temporaries.iter().filter(|(_, weight)| weight.blocks > 0);
        let temporary = by_site(temporaries.map(|(id, weight)| (id, *weight)), sites);
        let followed: Vec<SiteId> = never_freed.iter().take(FOLLOWED).map(|held| held.0).collect();
        let rows: FxHashMap<SiteId, usize> = followed.iter().copied().zip(0..).collect();
        let sums = growth.sums(followed.len(), |backtrace| rows.get(&sites.of(backtrace)).copied());
        let mut chained: FxHashMap<SiteId, Chained> = FxHashMap::default();
        for (backtrace, chains) in &watched.chains {
            chained.entry(sites.of(*backtrace)).or_default().add(chains);
        }
        let mut empty: FxHashMap<SiteId, u64> = FxHashMap::default();
        for (backtrace, count) in &watched.empty {
            *empty.entry(sites.of(*backtrace)).or_default() += count;
        }
        Ok(Gathered {
            peak: Vec::new(),
            lost: lost(recording, process, live, sites)?,
            never_freed,
            temporary,
            empty: ranked(empty, sites, |count| *count),
            chained: ranked(chained, sites, |chains| chains.copied_bytes),
            largest_failed: watched.largest_failed.map(|(size, id)| (size, sites.of(id))),
            over_time: followed.into_iter().zip(sums).collect(),
            alike: Vec::new(),
            rounding: Vec::new(),
        })
    }

    /// Adds what is live at the peak.
    pub fn at_peak(&mut self, weights: &Weights, live: &LiveSet, sites: &mut Sites<'_>) {
        self.peak = by_site(weights.iter(), sites);
        let many: FxHashMap<SiteId, ()> = self
            .peak
            .iter()
            .filter(|(_, weight)| weight.blocks >= MIN_ALIKE)
            .map(|&(site, _)| (site, ()))
            .collect();
        let mut alike: FxHashMap<(SiteId, u64), u64> = FxHashMap::default();
        let mut rounding: FxHashMap<SiteId, Rounding> = FxHashMap::default();
        for block in live.blocks() {
            let site = sites.of(block.backtrace);
            if block.usable >= block.size && block.usable > 0 {
                let sum = rounding.entry(site).or_insert(Rounding {
                    site,
                    blocks: 0,
                    asked_bytes: 0,
                    usable_bytes: 0,
                });
                sum.blocks += 1;
                sum.asked_bytes = sum.asked_bytes.saturating_add(block.size);
                sum.usable_bytes = sum.usable_bytes.saturating_add(block.usable);
            }
            if block.size <= LARGEST_POOLED && many.contains_key(&site) {
                *alike.entry((site, block.size)).or_default() += 1;
            }
        }
        let enough = alike.into_iter().filter(|&(_, blocks)| blocks >= MIN_ALIKE);
        self.alike = enough.map(|((site, size), blocks)| Alike { site, size, blocks }).collect();
        let key = |alike: &Alike| (Reverse(alike.size * alike.blocks), alike.site, alike.size);
        self.alike.sort_unstable_by_key(key);
        self.rounding = rounding.into_values().collect();
        let waste = |sum: &Rounding| sum.usable_bytes - sum.asked_bytes;
        self.rounding.sort_unstable_by_key(|sum| (Reverse(waste(sum)), sum.site));
    }
}

/// The definitely lost blocks of the last search, by site. Those that were freed after it are left out.
fn lost(
    recording: &dyn Recording,
    process: ProcessId,
    live: &LiveSet,
    sites: &mut Sites<'_>,
) -> Result<BySite, TapeError> {
    let scan = recording.leak_scans().iter().rfind(|scan| scan.process == process);
    let Some(scan) = scan.filter(|s| s.totals[LeakKind::Definite as usize].blocks > 0) else {
        return Ok(Vec::new());
    };
    recording.afford(live.bytes())?;
    let mut weights = Weights::new(recording);
    for judged in recording.leak_blocks(scan)? {
        if judged.kind == LeakKind::Definite
            && let Some(block) = live.get(judged.addr)
        {
            weights.add(block.backtrace, block.size, block.id);
        }
    }
    Ok(by_site(weights.iter(), sites))
}

fn by_site(weights: impl Iterator<Item = (BacktraceId, Weight)>, sites: &mut Sites<'_>) -> BySite {
    let mut sums: FxHashMap<SiteId, Weight> = FxHashMap::default();
    for (backtrace, weight) in weights {
        *sums.entry(sites.of(backtrace)).or_default() += weight;
    }
    ranked(sums, sites, |weight| weight.bytes)
}

/// The greatest first; ties by name, so that the order is the same each time.
fn ranked<T>(
    sums: FxHashMap<SiteId, T>,
    sites: &Sites<'_>,
    key: impl Fn(&T) -> u64,
) -> Vec<(SiteId, T)> {
    let mut ranked: Vec<(SiteId, T)> = sums.into_iter().collect();
    ranked.sort_by_key(|(site, value)| (Reverse(key(value)), sites.get(*site).name()));
    ranked
}
