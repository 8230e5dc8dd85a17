//! Positions in a history and the times they stand for.
//!
//! Events share clock times; a position (a number of events that have happened) is exact. It is shown as the time of
//! the last event before it, and a time becomes the last position whose events all happened at or before it.

use heaptape_tape::TimeNs;

/// Changes of the clock that are kept: 48 MB of them.
const MOST: usize = 1 << 22;

/// When the events of a process happened.
#[derive(Clone, Debug)]
pub struct Times {
    /// After how many events the clock had changed; ascending.
    positions: Vec<u32>,
    /// To what; ascending.
    times: Vec<u64>,
    /// Positions between two entries at least: 1 until there are too many.
    stride: u32,
    /// Entries at most.
    most: usize,
}

impl Default for Times {
    fn default() -> Times {
        Times::with_most(MOST)
    }
}

impl Times {
    fn with_most(most: usize) -> Times {
        Times { positions: Vec::new(), times: Vec::new(), stride: 1, most }
    }

    /// After `position` events it was `time`. Neither decreases.
    #[inline]
    pub fn note(&mut self, position: u32, time: TimeNs) {
        let is_news = match (self.times.last(), self.positions.last()) {
            (Some(&last), Some(&at)) => time.0 > last && position - at >= self.stride,
            _ => true,
        };
        if is_news {
            if self.times.len() >= self.most {
                self.thin();
            }
            self.positions.push(position);
            self.times.push(time.0);
        }
    }

    /// Drops every second entry.
    #[cold]
    fn thin(&mut self) {
        let halve = |index: &mut usize| {
            *index += 1;
            *index % 2 == 1
        };
        let (mut of_position, mut of_time) = (0, 0);
        self.positions.retain(|_| halve(&mut of_position));
        self.times.retain(|_| halve(&mut of_time));
        self.stride = self.stride.saturating_mul(2);
    }

    /// With at most so many entries.
    pub fn thinned(mut self, most: usize) -> Times {
        while self.times.len() > most {
            self.thin();
        }
        self
    }

    /// Whether every change of the clock is here. Else times between two entries are those of the former one.
    pub fn are_exact(&self) -> bool {
        self.stride == 1
    }

    /// The time of the last event before a position; `start` before the first.
    pub fn of(&self, position: u32, start: TimeNs) -> TimeNs {
        let after = self.positions.partition_point(|&at| at <= position);
        after.checked_sub(1).map_or(start, |index| TimeNs(self.times[index]))
    }

    /// The last position, of `events`, whose events all happened at or before a time.
    pub fn at(&self, time: TimeNs, events: u32) -> u32 {
        let after = self.times.partition_point(|&at| at <= time.0);
        self.positions.get(after).map_or(events, |&position| position - 1)
    }

    /// The positions after which the clock had changed, ascending.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// What it had changed to, ns.
    pub fn times(&self) -> &[u64] {
        &self.times
    }

    /// Bytes of memory that it takes.
    pub fn bytes(&self) -> u64 {
        (self.positions.capacity() * size_of::<u32>() + self.times.capacity() * size_of::<u64>())
            as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The oracle looks at all events.
        #[test]
        fn winds_as_counting_events_does(
            mut events in prop::collection::vec(10_u64..40, 0..60), asked in 0_u64..50,
        ) {
            events.sort_unstable();
            let mut times = Times::default();
            for (position, &time) in (1..).zip(&events) {
                times.note(position, TimeNs(time));
            }
            let count = events.len() as u32;
            for position in 0..=events.len() {
                let expected = position.checked_sub(1).map_or(7, |last| events[last]);
                prop_assert_eq!(times.of(position as u32, TimeNs(7)), TimeNs(expected));
            }
            let by_then = events.iter().filter(|&&time| time <= asked).count() as u32;
            prop_assert_eq!(times.at(TimeNs(asked), count), by_then);
        }

        /// Too many changes of the clock: what is kept is true, and the entries are few and evenly spread.
        #[test]
        fn what_is_left_of_too_many_is_true(steps in prop::collection::vec(0_u64..3, 1..400)) {
            let mut times = Times::with_most(16);
            let mut clock = 0;
            let mut all = Vec::new();
            for (position, step) in (1..).zip(steps) {
                clock += step;
                times.note(position, TimeNs(clock));
                all.push(clock);
            }
            prop_assert!(times.positions().len() <= 16);
            for (&position, &time) in times.positions().iter().zip(times.times()) {
                prop_assert_eq!(all[position as usize - 1], time);
            }
            let apart = times.positions().windows(2).all(|two| two[1] - two[0] >= times.stride / 2);
            prop_assert!(apart && times.positions().windows(2).all(|two| two[0] < two[1]));
        }
    }
}
