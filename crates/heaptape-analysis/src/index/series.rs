//! Live bytes of the call sites that held most, at equally spaced moments: for sparklines, and for the stacked timeline.

use super::answers::Answers;
use super::list::site_ranks;
use super::{AskError, Stop};
use crate::lifetimes::{Lifetime, NEVER};
use heaptape_tape::TimeNs;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::ops::RangeInclusive;

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
        let mut rows: FxHashMap<u32, Vec<i64>> = FxHashMap::default();
        // A block comes at the first moment it is live at and goes after the last.
        let mut add = |block: &Lifetime| {
            let from = if block.born == NEVER { 0 } else { block.born + 1 };
            let first = moments.partition_point(|&at| at < from);
            let after = moments.partition_point(|&at| at <= block.died);
            if first < after {
                let site = self.stacks.site_of[self.stacks.stack(block.backtrace) as usize];
                let row = rows.entry(site).or_insert_with(|| vec![0; points + 1]);
                let bytes = i64::try_from(index.weigh(block).bytes).unwrap_or(i64::MAX);
                row[first] = row[first].saturating_add(bytes);
                row[after] = row[after].saturating_sub(bytes);
            }
        };
        index.long.filter(|_| true, &mut add);
        let mut last = None;
        for &at in &moments {
            // One that is live at two moments is of the same cell at both, and comes once.
            for block in self.winder.short_at(at, stop)?.iter() {
                if last.is_none_or(|last| block.born >= last) {
                    add(block);
                }
            }
            last = Some(at);
        }
        let ranks = site_ranks(self.stacks);
        let mut ranked: Vec<(i64, u32, Vec<i64>)> = rows
            .into_iter()
            .map(|(site, mut row)| {
                row.truncate(points);
                for at in 1..row.len() {
                    row[at] = row[at].saturating_add(row[at - 1]);
                }
                (row.iter().copied().max().unwrap_or(0), site, row)
            })
            .collect();
        ranked.sort_unstable_by_key(|(peak, site, _)| (Reverse(*peak), ranks[*site as usize]));
        Ok(ranked.into_iter().take(most).map(|(_, site, row)| (site, row)).collect())
    }
}
