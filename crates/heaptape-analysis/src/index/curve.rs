//! Live bytes over time: least and most in equal stretches of time, and the most in equal stretches of events.
//!
//! A block whose realloc fails counts as gone between the two halves of it.

use heaptape_tape::TimeNs;

/// Stretches of time at most.
const MOST_BUCKETS: usize = 1 << 18;
/// Events of a stretch, as a binary logarithm.
const STRETCH_LOG2: u32 = 12;
/// Events of a stretch of [`Curve::peaks`].
pub(super) const STRETCH: u32 = 1 << STRETCH_LOG2;

/// Least, most and last live bytes of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The least.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// At the end.
    pub last: u64,
}

impl Bucket {
    /// Where nothing happens.
    pub(super) fn still(bytes: u64) -> Bucket {
        Bucket { min: bytes, max: bytes, last: bytes }
    }

    /// Something happened.
    #[inline]
    pub(super) fn note(&mut self, bytes: u64) {
        self.min = self.min.min(bytes);
        self.max = self.max.max(bytes);
        self.last = bytes;
    }

    /// And then this.
    pub(super) fn then(&mut self, next: Bucket) {
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        self.last = next.last;
    }
}

/// The most live bytes of a stretch of events, and the first position of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Top {
    pub(super) bytes: u64,
    pub(super) position: u32,
}

/// Live bytes over time.
#[derive(Debug)]
pub struct Curve {
    start: u64,
    /// What was live before the first event.
    first: u64,
    /// Nanoseconds of a bucket, as a binary logarithm.
    width_log2: u32,
    buckets: Vec<Bucket>,
    /// By [`STRETCH`] events: of the positions after each of them.
    tops: Vec<Top>,
    most: usize,
}

impl Curve {
    /// Of a process that begins then, with so many live bytes.
    pub(super) fn new(start: TimeNs, first: u64) -> Curve {
        Curve::with_most(start, first, MOST_BUCKETS)
    }

    fn with_most(start: TimeNs, first: u64, most: usize) -> Curve {
        Curve { start: start.0, first, width_log2: 0, buckets: Vec::new(), tops: Vec::new(), most }
    }

    /// After `position` events, the last of which happened at `time`, so many bytes were live.
    #[inline]
    pub(super) fn note(&mut self, position: u32, time: TimeNs, bytes: u64) {
        let stretch = ((position - 1) >> STRETCH_LOG2) as usize;
        match self.tops.get_mut(stretch) {
            None => self.tops.push(Top { bytes, position }),
            Some(top) if bytes > top.bytes => *top = Top { bytes, position },
            Some(_) => {}
        }
        let mut bucket = (time.0.saturating_sub(self.start) >> self.width_log2) as usize;
        if bucket >= self.buckets.len() {
            bucket = self.reach(time);
        }
        self.buckets[bucket].note(bytes);
    }

    /// Makes the buckets up to a time; widens them where there would be too many.
    #[cold]
    fn reach(&mut self, time: TimeNs) -> usize {
        let since = time.0.saturating_sub(self.start);
        while since >> self.width_log2 >= self.most as u64 {
            self.buckets = self
                .buckets
                .chunks(2)
                .map(|pair| {
                    let mut joined = pair[0];
                    pair[1..].iter().for_each(|next| joined.then(*next));
                    joined
                })
                .collect();
            self.width_log2 += 1;
        }
        let bucket = (since >> self.width_log2) as usize;
        let still = self.buckets.last().map_or(self.first, |last| last.last);
        // The first one that is new begins with what was live.
        self.buckets.resize((bucket + 1).max(self.buckets.len()), Bucket::still(still));
        bucket
    }

    /// Nanoseconds of a bucket.
    pub fn width_ns(&self) -> u64 {
        1 << self.width_log2
    }

    /// Live bytes in `count` equal parts of a stretch of time; each part's ends are rounded down to a bucket's.
    pub fn parts(&self, from_ns: u64, to_ns: u64, count: usize) -> Vec<Bucket> {
        let place = |part: usize| {
            let span = u128::from(to_ns.saturating_sub(from_ns));
            let ns = u128::from(from_ns) + span * part as u128 / count.max(1) as u128;
            (ns.saturating_sub(u128::from(self.start)) >> self.width_log2) as usize
        };
        let known = self.buckets.len();
        let before = |bucket: usize| match bucket.min(known).checked_sub(1) {
            Some(last) => self.buckets[last].last,
            None => self.first,
        };
        (0..count)
            .map(|part| {
                let (first, end) = (place(part), place(part + 1));
                let mut joined = Bucket::still(before(first));
                let own = self.buckets.get(first.min(known)..end.min(known)).unwrap_or_default();
                own.iter().for_each(|bucket| joined.then(*bucket));
                joined
            })
            .collect()
    }

    /// The most live bytes after the events of whole stretches, the first one if there are several.
    pub(super) fn top(&self, stretches: std::ops::Range<u32>) -> Option<Top> {
        let range = stretches.start as usize..(stretches.end as usize).min(self.tops.len());
        let tops = self.tops.get(range)?.iter();
        tops.copied().reduce(|best, next| if next.bytes > best.bytes { next } else { best })
    }

    pub(super) fn bytes(&self) -> u64 {
        let tops = self.tops.capacity() * size_of::<Top>();
        (self.buckets.capacity() * size_of::<Bucket>() + tops) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However wide buckets have become, they hold least, most and last of their time.
        #[test]
        fn buckets_hold_what_happened_in_them(
            steps in prop::collection::vec((0_u64..9, 0_u64..100), 1..200), most in 2_usize..40,
        ) {
            let mut curve = Curve::with_most(TimeNs(5), 50, most);
            let (mut time, mut all) = (5, Vec::new());
            for (position, (passed, bytes)) in (1..).zip(steps) {
                time += passed;
                curve.note(position, TimeNs(time), bytes);
                all.push((time, bytes));
            }
            prop_assert!(curve.buckets.len() <= most);
            let width = curve.width_ns();
            let count = curve.buckets.len();
            let parts = curve.parts(5, 5 + width * count as u64, count);
            let mut before = 50;
            for (part, bucket) in parts.iter().enumerate() {
                let (from, to) = (5 + width * part as u64, 5 + width * (part as u64 + 1));
                let own = all.iter().filter(|(time, _)| (from..to).contains(time)).map(|it| it.1);
                let own: Vec<u64> = std::iter::once(before).chain(own).collect();
                before = *own.last().unwrap();
                prop_assert_eq!(bucket.last, before);
                prop_assert_eq!(Some(&bucket.min), own.iter().min());
                prop_assert_eq!(Some(&bucket.max), own.iter().max());
            }
        }
    }
}
