//! Live bytes of call sites at equally spaced moments: for sparklines, and to see what only grows.
//!
//! The numbers are exact at those moments (of a sample: its estimates) and say nothing of what lies between them. Point
//! i of n is the end of the i-th of n equal parts of the recording: all events up to that time have happened, and the
//! last point is the end.

use crate::estimate::{Exact, Sampling, Weigh};
use crate::growth::Growth;
use crate::names::Names;
use crate::process;
use crate::recording::Recording;
use crate::replay::{self, Gather};
use crate::sites::{Site, SiteId, Sites};
use heaptape_tape::{BacktraceId, Effect, Event, LiveBlock, Process, TapeError, Totals};
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::cmp::Reverse;

/// Most points that are computed.
pub const MOST_POINTS: usize = 1024;

/// Live bytes of some call sites over the time of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SiteSeries {
    /// The sites; those that had most live bytes at one of the points come first.
    pub sites: Vec<Site>,
    /// A backtrace of each site.
    #[serde(skip)]
    pub backtraces: Vec<BacktraceId>,
    /// Points in time.
    pub points: usize,
    /// For each site one row of `points` numbers: live bytes.
    pub bytes: Vec<u64>,
}

impl SiteSeries {
    /// Reads the history of a process; at most `most` sites at `points` points ([`MOST_POINTS`] at most).
    pub fn compute(
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        points: usize,
        most: usize,
    ) -> Result<SiteSeries, TapeError> {
        match Sampling::of(recording) {
            None => SiteSeries::weighed_by(Exact, recording, names, process, points, most),
            Some(sampling) => {
                SiteSeries::weighed_by(sampling, recording, names, process, points, most)
            }
        }
    }

    fn weighed_by(
        weigh: impl Weigh,
        recording: &dyn Recording,
        names: &dyn Names,
        process: &Process,
        points: usize,
        most: usize,
    ) -> Result<SiteSeries, TapeError> {
        let points = points.clamp(1, MOST_POINTS);
        let (start, end) = process::span(recording, process.id);
        let mut live = recording.live_at_start(process.id)?;
        let growth = Growth::at_moments(weigh, start.0, end.0, points, &live);
        let mut follow = Follow(growth);
        replay::whole_weighed(weigh, recording, process.id, &mut live, &mut follow)?;
        drop(live);
        follow.0.finish();
        let sites = follow.0.places() * Sites::BYTES_BY_BACKTRACE;
        recording.afford(follow.0.bytes() + sites)?;
        SiteSeries::of(recording, &follow.0, &mut Sites::new(recording, names), points, most)
    }

    /// Groups what was followed by call site.
    fn of<W: Weigh>(
        recording: &dyn Recording,
        growth: &Growth<W>,
        sites: &mut Sites<'_>,
        points: usize,
        most: usize,
    ) -> Result<SiteSeries, TapeError> {
        let mut rows: FxHashMap<SiteId, (usize, BacktraceId)> = FxHashMap::default();
        for backtrace in growth.backtraces() {
            let next = rows.len();
            rows.entry(sites.of(backtrace)).or_insert((next, backtrace));
        }
        recording.afford((rows.len() as u64).saturating_mul(8 * points as u64))?;
        let sums =
            growth.sums(rows.len(), |backtrace| rows.get(&sites.of(backtrace)).map(|row| row.0));
        let mut order: Vec<(SiteId, usize, BacktraceId)> =
            rows.into_iter().map(|(site, (row, backtrace))| (site, row, backtrace)).collect();
        let highest = |row: usize| sums[row].iter().copied().max().unwrap_or(0);
        order.sort_by_key(|&(site, row, _)| (Reverse(highest(row)), sites.get(site).name()));
        order.truncate(most);
        Ok(SiteSeries {
            sites: order.iter().map(|&(site, ..)| sites.get(site).clone()).collect(),
            backtraces: order.iter().map(|&(.., backtrace)| backtrace).collect(),
            points,
            bytes: order.iter().flat_map(|&(_, row, _)| sums[row].iter().copied()).collect(),
        })
    }

    /// The live bytes of a site, by point.
    pub fn of_site(&self, index: usize) -> &[u64] {
        &self.bytes[index * self.points..(index + 1) * self.points]
    }
}

/// Follows the growth and nothing else.
struct Follow<W>(Growth<W>);

impl<W: Weigh> Gather for Follow<W> {
    fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>, _: &Totals) {
        self.0.note(event.time.0, effect);
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}
