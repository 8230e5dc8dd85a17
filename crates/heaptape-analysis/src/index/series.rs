//! Live bytes of the call sites that ever held most, at equally spaced moments of the run: for sparklines.

use super::answers::Answers;
use super::list::site_ranks;
use super::span::Span;
use super::{AskError, Stop};
use crate::process;
use heaptape_tape::TimeNs;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;

/// Sites with their live bytes at each moment, those that ever held most first.
pub type SiteSeries = Vec<(u32, Vec<i64>)>;

impl Answers<'_> {
    /// The `most` sites at `points` moments.
    pub fn series(
        &self,
        points: usize,
        most: usize,
        stop: Stop<'_>,
    ) -> Result<SiteSeries, AskError> {
        let index = self.winder.index;
        let (start, end) = process::span(self.winder.recording(), index.process);
        let moment = |point: usize| {
            let way = u128::from(end.0 - start.0) * point as u128
                / points.saturating_sub(1).max(1) as u128;
            index.times.at(TimeNs(start.0 + way as u64), index.events)
        };
        let moments: Vec<u32> = (0..points).map(moment).collect();
        let mut rows: FxHashMap<u32, Vec<i64>> = FxHashMap::default();
        let mut sums: Vec<Option<i64>> = vec![None; self.stacks.frames.len()];
        for (point, &at) in moments.iter().enumerate() {
            self.winder.weigh(Span::Live(at), stop, &mut |backtrace, weight, sign| {
                let site = self.stacks.site_of[self.stacks.stack(backtrace) as usize];
                let bytes = i64::try_from(weight.bytes).unwrap_or(i64::MAX) * i64::from(sign);
                let sum = sums[site as usize].get_or_insert_default();
                *sum = sum.saturating_add(bytes);
            })?;
            for (site, sum) in (0..).zip(&mut sums) {
                if let Some(sum) = sum.take() {
                    rows.entry(site).or_insert_with(|| vec![0; points])[point] = sum;
                }
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
}
