//! Live bytes of the call sites that held most, at equally spaced moments: for sparklines, and for the stacked timeline.

use super::answers::Answers;
use super::list::site_ranks;
use super::span::Span;
use super::{AskError, Stop, threads};
use heaptape_tape::TimeNs;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sites with their live bytes at each moment, those that held most at any of them first.
pub type SiteSeries = Vec<(u32, Vec<i64>)>;

impl Answers<'_> {
    /// The `most` sites at `points` moments of a stretch of time, both its ends among them.
    pub fn series(
        &self,
        stretch: RangeInclusive<u64>,
        points: usize,
        most: usize,
        stop: Stop<'_>,
    ) -> Result<SiteSeries, AskError> {
        let index = self.winder.index;
        let (start, length) = (*stretch.start(), stretch.end().saturating_sub(*stretch.start()));
        let moment = |point: usize| {
            let way = u128::from(length) * point as u128 / points.saturating_sub(1).max(1) as u128;
            index.times.at(TimeNs(start + way as u64), index.events)
        };
        let moments: Vec<u32> = (0..points).map(moment).collect();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let point = next.fetch_add(1, Ordering::Relaxed);
                let Some(&at) = moments.get(point) else { return Ok(done) };
                done.push((point, self.by_site(at, stop)?));
            }
        };
        let mut rows: FxHashMap<u32, Vec<i64>> = FxHashMap::default();
        for (point, sites) in threads::each_does(work)?.into_iter().flatten() {
            for (site, bytes) in sites {
                rows.entry(site).or_insert_with(|| vec![0; points])[point] = bytes;
            }
        }
        let ranks = site_ranks(self.stacks);
        let mut ranked: Vec<(i64, u32, Vec<i64>)> = rows
            .into_iter()
            .map(|(site, row)| (row.iter().copied().max().unwrap_or(0), site, row))
            .collect();
        ranked.sort_unstable_by_key(|(peak, site, _)| (Reverse(*peak), ranks[*site as usize]));
        Ok(ranked.into_iter().take(most).map(|(_, site, row)| (site, row)).collect())
    }

    /// The sites with live blocks at a position, and their bytes.
    fn by_site(&self, at: u32, stop: Stop<'_>) -> Result<Vec<(u32, i64)>, AskError> {
        let mut sums: Vec<Option<i64>> = vec![None; self.stacks.frames.len()];
        self.winder.weigh(Span::Live(at), stop, &mut |backtrace, weight, _| {
            let site = self.stacks.site_of[self.stacks.stack(backtrace) as usize];
            let sum = sums[site as usize].get_or_insert_default();
            *sum = sum.saturating_add(i64::try_from(weight.bytes).unwrap_or(i64::MAX));
        })?;
        Ok((0..).zip(sums).filter_map(|(site, sum)| Some((site, sum?))).collect())
    }
}
