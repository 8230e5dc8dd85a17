//! What a sample says about the whole.
//!
//! Of a recording that is a sample ([`heaptape_tape::Header::sample_bytes`], here B), every block of s bytes was
//! chosen with probability p = 1 − exp(−s / B). One that was stands for 1 / p blocks and s / p bytes (Horvitz and
//! Thompson, 1952): summed up over any set of blocks, that is right on average. The variance of such a sum is
//! estimated, again without bias, by the sum of (1 − p) · v² / p² over the values v of its blocks.
//!
//! Sums stay exact integers that do not depend on the order of adding, and what a block added goes when it ends:
//! bytes are rounded, and the number of blocks is 1 / p rounded up or down by a number drawn from the
//! block's own, up as often as keeps the average. The variance holds that, too.

use crate::metric::Weight;
use crate::recording::Recording;
use heaptape_tape::{Action, BlockId, Effect, Event, LiveBlock, LiveSet, Totals};
use serde::Serialize;
use std::ops::AddAssign;

/// How the blocks of a sample are weighed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    mean_bytes: f64,
}

/// The variance of an estimated [`Weight`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Variance {
    bytes: f64,
    blocks: f64,
}

impl AddAssign for Variance {
    fn add_assign(&mut self, other: Variance) {
        self.bytes += other.bytes;
        self.blocks += other.blocks;
    }
}

impl Variance {
    /// Its square root, rounded: the standard error.
    pub fn error(&self) -> Weight {
        let rounded = |variance: f64| variance.sqrt().round() as u64;
        Weight { bytes: rounded(self.bytes), blocks: rounded(self.blocks) }
    }
}

/// What every view of a sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sampled {
    /// Mean distance between two chosen bytes.
    pub mean_bytes: u64,
    /// Blocks of the process that are on the tape.
    pub blocks: u64,
}

impl Sampling {
    /// How the blocks of a recording are weighed; `None` where all are there.
    pub fn of(recording: &dyn Recording) -> Option<Sampling> {
        let mean_bytes = recording.header().sample_bytes;
        (mean_bytes > 0).then_some(Sampling { mean_bytes: mean_bytes as f64 })
    }

    /// How many allocations of that size one on the tape stands for: 1 / p.
    fn factor(&self, size: u64) -> f64 {
        -1.0 / (-(size.max(1) as f64) / self.mean_bytes).exp_m1()
    }

    /// What a block of that size, if it is the one of that number, stands for.
    #[cold]
    #[inline(never)]
    pub fn weight(&self, size: u64, id: BlockId) -> Weight {
        let factor = self.factor(size);
        // `as` is right here: it keeps what is too large at the largest.
        let bytes = (size as f64 * factor).round() as u64;
        Weight { bytes, blocks: (factor + uniform(id.0)).floor() as u64 }
    }

    /// What it adds to the variance of a sum.
    pub fn variance(&self, size: u64) -> Variance {
        let factor = self.factor(size);
        let of_one = factor * (factor - 1.0);
        let rounded = factor.fract() * (1.0 - factor.fract());
        Variance { bytes: of_one * (size as f64).powi(2), blocks: of_one + rounded }
    }
}

/// How blocks are weighed, known when the program is compiled: loops over all events of a full recording then do
/// not ask.
pub trait Weigh: Copy {
    /// The sampling, if there is one.
    fn sampling(self) -> Option<Sampling>;

    /// What one block weighs.
    #[inline]
    fn weigh(self, block: &LiveBlock) -> Weight {
        match self.sampling() {
            None => Weight::block(block.size),
            Some(sampling) => sampling.weight(block.size, block.id),
        }
    }
}

/// Every block as it is.
#[derive(Clone, Copy, Debug)]
pub struct Exact;

impl Weigh for Exact {
    #[inline]
    fn sampling(self) -> Option<Sampling> {
        None
    }
}

impl Weigh for Sampling {
    fn sampling(self) -> Option<Sampling> {
        Some(self)
    }
}

/// A number from 0 to 1, without 1, that depends on nothing but `seed` and looks random (SplitMix64).
fn uniform(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ z >> 31) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The totals of a live set; of a sample, what is live by estimate, and the rest as on the tape.
pub fn totals_at(recording: &dyn Recording, live: &LiveSet) -> Totals {
    let Some(sample) = Sampling::of(recording) else { return *live.totals() };
    let estimated = *Estimate::new(sample, live).totals();
    Totals {
        live_bytes: estimated.live_bytes,
        live_blocks: estimated.live_blocks,
        ..*live.totals()
    }
}

/// The totals of a process, estimated event by event.
pub struct Estimate {
    sample: Sampling,
    totals: Totals,
}

impl Estimate {
    /// Of a process that begins with `live`.
    pub fn new(sample: Sampling, live: &LiveSet) -> Estimate {
        let mut totals = Totals::default();
        for block in live.blocks() {
            let weight = sample.weight(block.size, block.id);
            totals.live_bytes = totals.live_bytes.saturating_add(weight.bytes);
            totals.live_blocks = totals.live_blocks.saturating_add(weight.blocks);
        }
        (totals.peak_bytes, totals.peak_blocks) = (totals.live_bytes, totals.live_blocks);
        Estimate { sample, totals }
    }

    /// The totals so far. Events, unmatched frees and overlaid blocks are those on the tape.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Takes notice of an event, of what it did, and of the totals on the tape after it.
    pub fn note(&mut self, event: &Event, effect: &Effect<&LiveBlock>, on_tape: &Totals) {
        let weigh = |block: &LiveBlock| self.sample.weight(block.size, block.id);
        let totals = &mut self.totals;
        totals.events = on_tape.events;
        (totals.unmatched_frees, totals.overlaid) = (on_tape.unmatched_frees, on_tape.overlaid);
        match effect {
            Effect::Began(block, overlaid) => {
                if let Some(gone) = overlaid {
                    end(totals, weigh(gone));
                }
                let weight = weigh(block);
                totals.allocs = totals.allocs.saturating_add(weight.blocks);
                totals.alloc_bytes = totals.alloc_bytes.saturating_add(weight.bytes);
                begin(totals, weight);
                if totals.live_bytes > totals.peak_bytes {
                    (totals.peak_bytes, totals.peak_blocks) =
                        (totals.live_bytes, totals.live_blocks);
                    (totals.peak_time, totals.peak_event) = (event.time, totals.events);
                }
            }
            Effect::Ended(block) => {
                end(totals, weigh(block));
                totals.frees = totals.frees.saturating_add(weigh(block).blocks);
            }
            Effect::Restored(block) => {
                begin(totals, weigh(block));
                totals.frees = totals.frees.saturating_sub(weigh(block).blocks);
            }
            // Of an inherited block that is not known, only that it was one.
            Effect::EndedInherited => totals.frees = totals.frees.saturating_add(1),
            Effect::Nothing if event.action == Action::AllocFail => {
                let weight = self.sample.weight(event.size, BlockId(totals.events));
                totals.failed = totals.failed.saturating_add(weight.blocks);
            }
            Effect::Unmatched | Effect::Nothing => {}
        }
    }
}

fn begin(totals: &mut Totals, weight: Weight) {
    totals.live_bytes = totals.live_bytes.saturating_add(weight.bytes);
    totals.live_blocks = totals.live_blocks.saturating_add(weight.blocks);
}

fn end(totals: &mut Totals, weight: Weight) {
    totals.live_bytes = totals.live_bytes.saturating_sub(weight.bytes);
    totals.live_blocks = totals.live_blocks.saturating_sub(weight.blocks);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEAN: f64 = 65_536.0;
    const SAMPLE: Sampling = Sampling { mean_bytes: MEAN };

    #[test]
    fn the_largest_stand_for_themselves() {
        for size in [MEAN as u64 * 40, MEAN as u64 * 1000] {
            for id in 0..1000 {
                let weight = SAMPLE.weight(size, BlockId(id));
                assert_eq!(weight, Weight { bytes: size, blocks: 1 });
            }
            assert_eq!(SAMPLE.variance(size).error(), Weight::default());
        }
    }

    #[test]
    fn no_size_is_too_large_or_too_small() {
        for (mean, size) in [(1e15, 0), (1e15, 1), (2.0, u64::MAX), (1e15, u64::MAX), (2.0, 0)] {
            let sample = Sampling { mean_bytes: mean };
            let weight = sample.weight(size, BlockId(u64::MAX));
            assert!(weight.blocks >= 1 && weight.bytes >= size / 2, "{mean} {size} {weight:?}");
            let variance = sample.variance(size);
            assert!(variance.bytes.is_finite() && variance.blocks >= 0.0);
        }
    }

    /// Chooses each of many blocks with its probability, as a recorder would: the estimates are as far from the
    /// truth as their variance says. With a fixed seed, so that it holds always or never.
    #[test]
    fn estimates_are_right_on_average() {
        const ROUNDS: u64 = 2000;
        let sizes = [0, 1, 24, 100, 5000, 60_000, 65_536, 200_000, 1_000_000];
        for size in sizes {
            let n = 500;
            let p = 1.0 - (-(size.max(1) as f64) / MEAN).exp();
            let (mut blocks, mut bytes, mut squares, mut variance) =
                (0.0, 0.0, 0.0, Variance::default());
            for round in 0..ROUNDS {
                let mut sum = Weight::default();
                for id in 0..n {
                    if uniform((round * n + id) << 20 | 77) < p {
                        sum += SAMPLE.weight(size, BlockId(round * n + id));
                        variance += SAMPLE.variance(size);
                    }
                }
                blocks += sum.blocks as f64;
                bytes += sum.bytes as f64;
                squares += (sum.blocks as f64 - n as f64).powi(2);
            }
            let total = (ROUNDS * n) as f64;
            let bound = |variance: f64| 6.0 * variance.sqrt() + 1.0;
            assert!((blocks - total).abs() < bound(variance.blocks), "{size}: {blocks} of {total}");
            let rounding = total * 0.5;
            assert!(
                (bytes - total * size as f64).abs() < bound(variance.bytes) + rounding,
                "{size}: {bytes}"
            );
            // The relative error of a variance estimated from so many rounds is below a tenth.
            let ratio = (squares + 1.0) / (variance.blocks + 1.0);
            assert!((0.5..2.0).contains(&ratio) || squares < 10.0, "{size}: {ratio}");
        }
    }
}
