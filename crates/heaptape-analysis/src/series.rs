//! Live bytes over time, in equal parts, as steps: memory is never interpolated.
//!
//! For a span that is known beforehand. [`crate::usage`] follows a history whose end nobody knows yet, as
//! a log's, and pays with parts of a length that it chooses itself.

use serde::Serialize;

/// The extremes of one part of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Fewest live bytes at any moment of the part.
    pub min_bytes: u64,
    /// Most live bytes at any moment of the part.
    pub max_bytes: u64,
}

/// Live bytes over a process's recorded time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// Start of the first bucket.
    pub start_ns: u64,
    /// End of the last bucket.
    pub end_ns: u64,
    /// The parts, all of the same length.
    pub buckets: Vec<Bucket>,
}

/// Builds a [`Series`] while events go by.
pub struct SeriesBuilder {
    series: Series,
    /// The bucket in progress.
    current: usize,
    /// The first time that lies in a later bucket.
    current_ends_ns: u64,
    bytes: u64,
    /// Live bytes at the end of each bucket before the current one.
    ends: Vec<u64>,
}

impl SeriesBuilder {
    /// `count` buckets from `start_ns` to `end_ns`, with `bytes` live at the start.
    pub fn new(start_ns: u64, end_ns: u64, count: usize, bytes: u64) -> SeriesBuilder {
        let first = Bucket { min_bytes: bytes, max_bytes: bytes };
        let end_ns = end_ns.max(start_ns);
        let buckets = vec![first; count.max(1)];
        let series = Series { start_ns, end_ns, buckets };
        let mut builder =
            SeriesBuilder { series, current: 0, current_ends_ns: 0, bytes, ends: Vec::new() };
        builder.current_ends_ns = builder.end_of(0);
        builder
    }

    /// The bucket that a time lies in; the last one for times after the end.
    fn bucket_of(&self, time_ns: u64) -> usize {
        let count = self.series.buckets.len();
        let span = u128::from(self.series.end_ns - self.series.start_ns).max(1);
        let offset = u128::from(time_ns.saturating_sub(self.series.start_ns));
        usize::try_from(offset * count as u128 / span)
            .map_or(count - 1, |index| index.min(count - 1))
    }

    /// The first time after a bucket; none comes after the last one.
    fn end_of(&self, bucket: usize) -> u64 {
        let count = self.series.buckets.len();
        if bucket + 1 >= count {
            return u64::MAX;
        }
        let span = u128::from(self.series.end_ns - self.series.start_ns).max(1);
        let offset = (span * (bucket as u128 + 1)).div_ceil(count as u128);
        u64::try_from(u128::from(self.series.start_ns) + offset).unwrap_or(u64::MAX)
    }

    /// From `time_ns` on, `bytes` are live. Times never decrease.
    #[inline]
    pub fn set(&mut self, time_ns: u64, bytes: u64) {
        if time_ns >= self.current_ends_ns {
            self.carry_to(self.bucket_of(time_ns));
        }
        self.bytes = bytes;
        let extremes = &mut self.series.buckets[self.current];
        extremes.min_bytes = extremes.min_bytes.min(bytes);
        extremes.max_bytes = extremes.max_bytes.max(bytes);
    }

    /// Nothing happened until that bucket: what was live stays live.
    fn carry_to(&mut self, bucket: usize) {
        let standing = Bucket { min_bytes: self.bytes, max_bytes: self.bytes };
        if bucket > self.current {
            self.ends.resize(bucket, self.bytes);
            self.series.buckets[self.current + 1..=bucket].fill(standing);
            self.current = bucket;
            self.current_ends_ns = self.end_of(bucket);
        }
    }

    /// The series; what is live now stays live to the end.
    pub fn finish(self) -> Series {
        self.finish_with_ends().0
    }

    /// The same, and live bytes at the end of each bucket.
    pub fn finish_with_ends(mut self) -> (Series, Vec<u64>) {
        self.carry_to(self.series.buckets.len() - 1);
        self.ends.push(self.bytes);
        (self.series, self.ends)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn steps_stand_until_the_next_change() {
        let mut builder = SeriesBuilder::new(0, 100, 5, 0);
        builder.set(10, 7);
        builder.set(50, 3);
        let ranges: Vec<(u64, u64)> =
            builder.finish().buckets.iter().map(|b| (b.min_bytes, b.max_bytes)).collect();
        assert_eq!(ranges, [(0, 7), (7, 7), (3, 7), (3, 3), (3, 3)]);
    }

    proptest! {
        /// The oracle asks for every bucket which values stood at any time in it.
        #[test]
        fn buckets_hold_the_extremes(
            mut changes in prop::collection::vec((0_u64..120, 0_u64..50), 0..40), count in 1_usize..9,
        ) {
            changes.sort_by_key(|change| change.0);
            let mut builder = SeriesBuilder::new(0, 100, count, 5);
            changes.iter().for_each(|&(time, bytes)| builder.set(time, bytes));
            let (series, ends) = builder.finish_with_ends();
            prop_assert_eq!(ends.len(), count);
            let bucket_of = |time: u64| ((time as usize * count) / 100).min(count - 1);
            for (index, bucket) in series.buckets.iter().enumerate() {
                let before = changes.iter().rev().find(|c| bucket_of(c.0) < index).map_or(5, |c| c.1);
                let within = changes.iter().filter(|c| bucket_of(c.0) == index).map(|c| c.1);
                let values: Vec<u64> = within.chain([before]).collect();
                prop_assert_eq!(bucket.min_bytes, *values.iter().min().unwrap());
                prop_assert_eq!(bucket.max_bytes, *values.iter().max().unwrap());
                let last = changes.iter().rev().find(|c| bucket_of(c.0) <= index).map_or(5, |c| c.1);
                prop_assert_eq!(ends[index], last);
            }
        }
    }
}
