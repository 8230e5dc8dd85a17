//! Blocks of a measure by size, by lifetime, by both; and the rate of allocations.

use super::answers::{Answers, Measure};
use super::measure::Signed;
use super::span::Span;
use super::{AskError, Stop};
use crate::lifetimes::Lifetime;
use heaptape_tape::TimeNs;
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;

/// Exact sizes that are listed.
const MOST_SIZES: usize = 50;
/// Exact sizes that are told apart; where there are more, some that are rare are missing.
const MOST_EXACT: usize = 1 << 20;
/// Buckets of the rate.
const RATE_BUCKETS: usize = 240;
const SIZE_BINS: usize = 65;
const LIFETIME_BINS: usize = 40;

/// Counts in bins.
#[derive(Clone, Debug, PartialEq)]
pub struct Histograms {
    /// Bin k holds sizes of 2^(k-1)+1 … 2^k bytes; bin 0 holds 0 and 1. Up to the last one with something.
    pub sizes: Vec<Signed>,
    /// Most frequent exact sizes, most blocks first.
    pub exact: Vec<(u64, Signed)>,
    /// Bin k holds lifetimes of 10^(k/2) … 10^((k+1)/2) µs; bin 0 also shorter ones.
    pub lifetimes: Vec<Signed>,
    /// Never freed.
    pub unfreed: Signed,
    /// Blocks, by size bin, then by lifetime bin.
    pub cross: Vec<Vec<i64>>,
    /// Blocks begun in equal parts of the range's time.
    pub rate: Vec<u64>,
}

impl Answers<'_> {
    /// Counts the blocks of a measure.
    pub fn histograms(&self, measure: &Measure, stop: Stop<'_>) -> Result<Histograms, AskError> {
        let index = self.winder.index;
        let reallocs = |block: &Lifetime| index.reallocs(block);
        let choice = self.choose(measure, &reallocs, stop)?;
        let start = self.start();
        let b = measure.b.min(index.events);
        let a = measure.a.min(b);
        let ends = self.rate_ends(a, b);
        let births = Span::Alloc(a, b);
        let note_birth = |counts: &mut Counts, block: &Lifetime| {
            let bucket = ends.partition_point(|&end| end <= block.born);
            counts.rate[bucket.min(RATE_BUCKETS - 1)] += index.weigh(block).blocks;
        };
        // Births need not be read one by one where all count; and what is counted are often the births themselves.
        let by_number = measure.filter.is_empty() && index.sampling.is_none();
        let same = choice.span == births && !by_number;
        let mut parts =
            self.winder.gather(choice.span, stop, Counts::new, |own, block, sign| {
                if choice.passes(block) {
                    own.add(block.size, index.lived(block, start), index.weigh(block), sign);
                    if same {
                        note_birth(own, block);
                    }
                }
            })?;
        if !same && !by_number {
            parts.extend(self.winder.gather(births, stop, Counts::new, |own, block, _| {
                if choice.passes(block) {
                    note_birth(own, block);
                }
            })?);
        }
        let mut parts = parts.into_iter();
        let mut counts = parts.next().unwrap_or_else(Counts::new);
        parts.for_each(|part| counts.plus(part));
        if by_number {
            let mut before = index.births.before(a);
            for (part, &end) in counts.rate.iter_mut().zip(&ends) {
                let after = index.births.before(end.clamp(a, b));
                *part = u64::from(after - before);
                before = after;
            }
        }
        Ok(counts.finish())
    }

    /// The ranks before which the buckets of a rate end.
    fn rate_ends(&self, a: u32, b: u32) -> Vec<u32> {
        let (index, start) = (self.winder.index, self.start());
        let begun = index.time(a, start).0;
        let span = index.time(b, start).0.saturating_sub(begun).max(1);
        let end = |bucket: usize| {
            let way = u128::from(span) * (bucket as u128 + 1);
            let time = u128::from(begun) + way.div_ceil(RATE_BUCKETS as u128);
            let before = u64::try_from(time).unwrap_or(u64::MAX).checked_sub(1);
            before.map_or(0, |before| index.times.at(TimeNs(before), index.events))
        };
        let mut ends: Vec<u32> = (0..RATE_BUCKETS).map(end).collect();
        // The last one has its end.
        ends[RATE_BUCKETS - 1] = b;
        ends
    }
}

/// Bin k holds 2^(k-1)+1 … 2^k; bin 0 holds 0 and 1.
fn bin_of_size(size: u64) -> usize {
    if size <= 1 { 0 } else { (u64::BITS - (size - 1).leading_zeros()) as usize }
}

/// Bin k holds 10^(k/2) … 10^((k+1)/2) µs, its end not included; bin 0 also shorter ones.
struct LifetimeBins {
    /// Where each but the last ends, ns.
    ends: [f64; LIFETIME_BINS - 1],
}

impl LifetimeBins {
    fn new() -> LifetimeBins {
        let end = |bin: usize| 10_f64.powf((bin as f64 + 1.0) / 2.0) * 1000.0;
        LifetimeBins { ends: std::array::from_fn(end) }
    }

    fn of(&self, ns: u64) -> usize {
        self.ends.partition_point(|&end| end <= ns as f64)
    }
}

struct Counts {
    bins: LifetimeBins,
    sizes: Vec<Signed>,
    lifetimes: Vec<Signed>,
    unfreed: Signed,
    cross: Vec<Signed>,
    exact: FxHashMap<u64, Signed>,
    rate: Vec<u64>,
}

impl Counts {
    fn new() -> Counts {
        Counts {
            bins: LifetimeBins::new(),
            sizes: vec![Signed::default(); SIZE_BINS],
            lifetimes: vec![Signed::default(); LIFETIME_BINS],
            unfreed: Signed::default(),
            cross: vec![Signed::default(); SIZE_BINS * LIFETIME_BINS],
            exact: FxHashMap::default(),
            rate: vec![0; RATE_BUCKETS],
        }
    }

    /// Adds what another thread counted.
    fn plus(&mut self, other: Counts) {
        let add = |own: &mut [Signed], other: &[Signed]| {
            own.iter_mut().zip(other).for_each(|(own, other)| own.plus(*other));
        };
        add(&mut self.sizes, &other.sizes);
        add(&mut self.lifetimes, &other.lifetimes);
        add(&mut self.cross, &other.cross);
        self.unfreed.plus(other.unfreed);
        for (size, sum) in other.exact {
            self.exact.entry(size).or_default().plus(sum);
        }
        self.rate.iter_mut().zip(other.rate).for_each(|(own, other)| *own += other);
    }

    fn add(&mut self, size: u64, lived: Option<u64>, weight: crate::Weight, sign: i8) {
        let bin = bin_of_size(size);
        self.sizes[bin].add(weight, sign);
        let full = self.exact.len() >= MOST_EXACT;
        match self.exact.entry(size) {
            Entry::Occupied(mut known) => known.get_mut().add(weight, sign),
            Entry::Vacant(new) if !full => new.insert(Signed::default()).add(weight, sign),
            Entry::Vacant(_) => {}
        }
        match lived {
            None => self.unfreed.add(weight, sign),
            Some(ns) => {
                let lifetime = self.bins.of(ns);
                self.lifetimes[lifetime].add(weight, sign);
                self.cross[bin * LIFETIME_BINS + lifetime].add(weight, sign);
            }
        }
    }

    fn finish(mut self) -> Histograms {
        for bins in [&mut self.sizes, &mut self.lifetimes] {
            let last = bins.iter().rposition(|sum| *sum != Signed::default());
            bins.truncate(last.map_or(0, |last| last + 1));
        }
        let mut exact: Vec<(u64, Signed)> =
            self.exact.into_iter().filter(|(_, sum)| sum.blocks != 0).collect();
        exact.sort_unstable_by_key(|(size, sum)| (std::cmp::Reverse(sum.blocks), *size));
        exact.truncate(MOST_SIZES);
        let row = |bin: usize| {
            let cell = |lifetime: usize| self.cross[bin * LIFETIME_BINS + lifetime].blocks;
            (0..self.lifetimes.len()).map(cell).collect()
        };
        let cross = (0..self.sizes.len()).map(row).collect();
        let Counts { sizes, lifetimes, unfreed, rate, .. } = self;
        Histograms { sizes, exact, lifetimes, unfreed, cross, rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_have_their_ends() {
        let sizes = [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1 << 40, 40), (u64::MAX, 64)];
        for (size, bin) in sizes {
            assert_eq!(bin_of_size(size), bin, "{size}");
        }
        let lifetimes =
            [(0, 0), (999, 0), (3_162, 0), (3_163, 1), (9_999, 1), (10_000, 2), (u64::MAX, 32)];
        for (ns, bin) in lifetimes {
            assert_eq!(LifetimeBins::new().of(ns), bin, "{ns}");
        }
    }
}
