//! Why resident memory is what it is: from what the program asked for to what the kernel counts.
//!
//! Two views. *Over time* ([`RssExplained`]): layers that add up to RSS at each sample. The samples do not say which pages
//! are resident, so live blocks are taken to be, as far as the memory reaches that they may lie in; the note says so. *At
//! the end* ([`AtEnd`]): the tape holds the resident bytes of every mapping then, and the blocks in each are known.

mod at_end;
mod over_time;

pub use at_end::{AtEnd, Part, at_end};
pub use over_time::{Layer, MOST_SAMPLES, RssExplained};

use crate::layout::has_own_mapping;
use crate::recording::Recording;
use heaptape_tape::{Effect, LiveBlock, ProcessId, Sample, TimeNs, Totals};
use serde::Serialize;

/// What is known of the resident memory of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Residence {
    /// Most RSS at any moment, as the kernel remembers it, also between samples; `None`: the tape does not say.
    pub highest_bytes: Option<u64>,
    /// The sample with most RSS; of several, the last.
    pub peak: Moment,
    /// The last sample.
    pub last: Moment,
    /// What was resident when it ended; `None`: not recorded.
    pub at_end: Option<AtEnd>,
    /// All of it over time.
    #[serde(skip)]
    pub explained: RssExplained,
}

/// RSS at one sample, and what was live then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// When.
    pub time_ns: u64,
    /// Resident bytes.
    pub rss_bytes: u64,
    /// Of that: private memory without a file.
    pub anonymous_bytes: u64,
    /// Of that: pages of files.
    pub file_bytes: u64,
    /// Of that: shared memory, the recorder's own included.
    pub shared_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// Bytes of the live blocks, as asked for; `None` in a sample of the allocations.
    pub live_bytes: Option<u64>,
    /// The same as the allocator gave them.
    pub usable_bytes: Option<u64>,
}

/// Follows what is live, and notes it at each sample. Memory: 24 bytes a sample.
pub struct RssWatch<'a> {
    samples: &'a [Sample],
    page_bytes: u64,
    now: Held,
    at: Vec<Held>,
    /// The time of the next sample.
    until_ns: u64,
}

/// What is live.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    /// Bytes asked for.
    pub(super) asked: u64,
    /// Usable bytes beyond those.
    pub(super) slack: u64,
    /// Bytes asked for, of blocks with a mapping of their own.
    pub(super) mapped: u64,
}

impl<'a> RssWatch<'a> {
    /// Of a process that begins with these blocks.
    pub fn new<'b>(
        recording: &'a dyn Recording,
        process: ProcessId,
        live: impl Iterator<Item = &'b LiveBlock>,
    ) -> RssWatch<'a> {
        let samples = recording.samples(process);
        let page_bytes = crate::layout::page_bytes(recording);
        let (now, at) = (Held::default(), Vec::new());
        let mut watch = RssWatch { samples, page_bytes, now, at, until_ns: 0 };
        watch.until_ns = watch.next_sample_ns();
        live.for_each(|block| {
            watch.now.asked = watch.now.asked.saturating_add(block.size);
            watch.begin(block);
        });
        watch
    }

    /// Takes notice of what an event did.
    #[inline]
    pub fn note(&mut self, time: TimeNs, effect: &Effect<&LiveBlock>, totals: &Totals) {
        while time.0 > self.until_ns {
            self.take_sample();
        }
        self.now.asked = totals.live_bytes;
        if let Some(block) = effect.gone() {
            self.end(block);
        }
        if let Some(block) = effect.come() {
            self.begin(block);
        }
    }

    fn next_sample_ns(&self) -> u64 {
        self.samples.get(self.at.len()).map_or(u64::MAX, |sample| sample.time.0)
    }

    #[cold]
    fn take_sample(&mut self) {
        self.at.push(self.now);
        self.until_ns = self.next_sample_ns();
    }

    #[inline]
    fn begin(&mut self, block: &LiveBlock) {
        self.now.slack = self.now.slack.wrapping_add(block.usable.saturating_sub(block.size));
        if has_own_mapping(block, self.page_bytes) {
            self.now.mapped = self.now.mapped.wrapping_add(block.size);
        }
    }

    #[inline]
    fn end(&mut self, block: &LiveBlock) {
        self.now.slack = self.now.slack.wrapping_sub(block.usable.saturating_sub(block.size));
        if has_own_mapping(block, self.page_bytes) {
            self.now.mapped = self.now.mapped.wrapping_sub(block.size);
        }
    }

    /// Bytes that it takes.
    pub fn bytes(&self) -> u64 {
        (self.at.capacity() * size_of::<Held>()) as u64
    }

    /// The history is over. `whole`: every allocation is on the tape; `at_end`: what was resident then. `None` where
    /// nothing was sampled.
    pub fn finish(mut self, whole: bool, at_end: Option<AtEnd>) -> Option<Residence> {
        while self.at.len() < self.samples.len() {
            self.take_sample();
        }
        let foreign = at_end.is_some_and(|end| end.foreign_bytes > end.heap.asked_bytes);
        let moment = |index: usize| self.moment(index, whole);
        let last = self.samples.len().checked_sub(1)?;
        let peak = (0..=last).max_by_key(|&i| self.samples[i].rss)?;
        let highest = self.samples.iter().map(|sample| sample.rss_peak).max();
        Some(Residence {
            highest_bytes: highest.filter(|&bytes| bytes > 0),
            peak: moment(peak),
            last: moment(last),
            at_end,
            explained: over_time::explain(self.samples, &self.at, whole, foreign),
        })
    }

    fn moment(&self, index: usize, whole: bool) -> Moment {
        let (sample, held) = (&self.samples[index], &self.at[index]);
        Moment {
            time_ns: sample.time.0,
            rss_bytes: sample.rss,
            anonymous_bytes: sample.rss_anon,
            file_bytes: sample.rss_file,
            shared_bytes: sample.rss_shmem,
            swap_bytes: sample.swap,
            live_bytes: whole.then_some(held.asked),
            usable_bytes: whole.then_some(held.asked.saturating_add(held.slack)),
        }
    }
}

impl Moment {
    /// Live bytes that cannot be resident: those beyond all private memory. A lower bound.
    pub fn untouched_bytes(&self) -> u64 {
        let room = self.anonymous_bytes.saturating_add(self.swap_bytes);
        self.live_bytes.unwrap_or(0).saturating_sub(room)
    }
}
