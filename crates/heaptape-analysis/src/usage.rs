//! How many bytes were live over time, as steps: bounded memory, whatever the length of the history.
//!
//! The curve is pushed one value after the other. Time is cut into equal slots; a slot remembers the
//! least, the most and the last value in it, so that a drawing one slot wide shows every peak and no
//! slope that never was. When time runs past the last slot, slots are merged in pairs.

use heaptape_tape::TimeNs;

/// Slots of a curve; between half of them and all are in use once time has passed the first few.
pub const SLOTS: usize = 2048;

/// What happened to a value during one slot of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The least value after a change in the slot.
    pub min: u64,
    /// The most.
    pub max: u64,
    /// The value at the end of the slot.
    pub last: u64,
}

/// Live bytes over time.
#[derive(Clone, Debug)]
pub struct UsageCurve {
    slots: Vec<Option<Slot>>,
    slot_ns: u64,
    end: TimeNs,
    peak: (TimeNs, u64),
    last: u64,
}

impl Default for UsageCurve {
    fn default() -> UsageCurve {
        UsageCurve::new()
    }
}

impl UsageCurve {
    /// A curve that is 0 everywhere.
    pub fn new() -> UsageCurve {
        UsageCurve { slots: Vec::new(), slot_ns: 1, end: TimeNs(0), peak: (TimeNs(0), 0), last: 0 }
    }

    /// From `time` on, `live_bytes` are live. A time before the latest one counts as the latest.
    pub fn push(&mut self, time: TimeNs, live_bytes: u64) {
        let time = time.max(self.end);
        self.end = time;
        self.last = live_bytes;
        if live_bytes > self.peak.1 {
            self.peak = (time, live_bytes);
        }
        let index = self.slot_for(time);
        if self.slots.len() <= index {
            self.slots.resize(index + 1, None);
        }
        let slot = self.slots[index].get_or_insert(Slot {
            min: live_bytes,
            max: live_bytes,
            last: live_bytes,
        });
        slot.min = slot.min.min(live_bytes);
        slot.max = slot.max.max(live_bytes);
        slot.last = live_bytes;
    }

    /// The history goes on without a change until `end`.
    pub fn finish(&mut self, end: TimeNs) {
        self.end = self.end.max(end);
    }

    fn slot_for(&mut self, time: TimeNs) -> usize {
        loop {
            match usize::try_from(time.0 / self.slot_ns) {
                Ok(index) if index < SLOTS => return index,
                _ => self.halve(),
            }
        }
    }

    /// Twice the time per slot, half the slots.
    fn halve(&mut self) {
        self.slot_ns *= 2;
        self.slots = self
            .slots
            .chunks(2)
            .map(|pair| merge(pair[0], pair.get(1).copied().flatten()))
            .collect();
    }

    /// Each slot in which something changed, with the time it begins.
    pub fn steps(&self) -> impl Iterator<Item = (TimeNs, Slot)> + '_ {
        let slot_ns = self.slot_ns;
        self.slots
            .iter()
            .enumerate()
            .filter_map(move |(i, slot)| Some((TimeNs(i as u64 * slot_ns), (*slot)?)))
    }

    /// Nanoseconds of one slot.
    pub fn slot_ns(&self) -> u64 {
        self.slot_ns
    }

    /// When the history ends.
    pub fn end(&self) -> TimeNs {
        self.end
    }

    /// The most bytes live at once, and the first moment of it.
    pub fn peak(&self) -> (TimeNs, u64) {
        self.peak
    }

    /// Bytes live at the end.
    pub fn last(&self) -> u64 {
        self.last
    }
}

/// Two slots, one after the other, as one.
fn merge(earlier: Option<Slot>, later: Option<Slot>) -> Option<Slot> {
    match (earlier, later) {
        (Some(a), Some(b)) => {
            Some(Slot { min: a.min.min(b.min), max: a.max.max(b.max), last: b.last })
        }
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The slow oracle: every slot computed from all values that fall into it.
    fn slots_of(values: &[(u64, u64)], slot_ns: u64) -> Vec<(TimeNs, Slot)> {
        let mut found: Vec<(TimeNs, Slot)> = Vec::new();
        for &(time, value) in values {
            let start = TimeNs(time / slot_ns * slot_ns);
            match found.iter_mut().find(|(t, _)| *t == start) {
                Some((_, s)) => {
                    (s.min, s.max, s.last) = (s.min.min(value), s.max.max(value), value);
                }
                None => {
                    found.push((start, Slot { min: value, max: value, last: value }));
                }
            }
        }
        found
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle(
            mut values in proptest::collection::vec((0u64..1 << 40, 0u64..1000), 1..200)
        ) {
            values.sort_by_key(|v| v.0);
            let mut curve = UsageCurve::new();
            for &(time, value) in &values {
                curve.push(TimeNs(time), value);
            }
            prop_assert_eq!(curve.steps().collect::<Vec<_>>(), slots_of(&values, curve.slot_ns()));
            let most = values.iter().map(|v| v.1).max().unwrap_or(0);
            prop_assert_eq!(curve.peak().1, most);
            prop_assert_eq!(curve.last(), values[values.len() - 1].1);
            prop_assert!(curve.steps().count() <= SLOTS);
        }
    }

    #[test]
    fn the_last_nanosecond_of_time_is_no_trouble() {
        let mut curve = UsageCurve::new();
        curve.push(TimeNs(0), 5);
        curve.push(TimeNs(u64::MAX), 7);
        assert_eq!(curve.steps().count(), 2);
        assert_eq!(curve.end(), TimeNs(u64::MAX));
    }
}
