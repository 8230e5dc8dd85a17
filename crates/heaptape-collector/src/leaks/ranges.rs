//! Sets of addresses as ranges.

use std::ops::Range;

/// Ranges in any order, which may overlap.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<Range<u64>>);

impl Ranges {
    pub(super) fn add(&mut self, range: Range<u64>) {
        match self.0.last_mut() {
            Some(last) if last.start <= range.start && range.start <= last.end => {
                last.end = last.end.max(range.end);
            }
            _ if range.is_empty() => {}
            _ => self.0.push(range),
        }
    }

    /// The same addresses by ranges in order, of which no two touch.
    pub(super) fn merged(&mut self) -> Vec<Range<u64>> {
        self.0.sort_unstable_by_key(|range| range.start);
        let mut merged = Ranges::default();
        std::mem::take(&mut self.0).into_iter().for_each(|range| merged.add(range));
        self.0.clone_from(&merged.0);
        merged.0
    }
}

/// Hands what is left of a range, where none of these (in order) are, to `take`.
pub(super) fn without(range: Range<u64>, others: &[Range<u64>], take: &mut dyn FnMut(Range<u64>)) {
    let mut from = range.start;
    let first = others.partition_point(|other| other.end <= range.start);
    for other in others[first..].iter().take_while(|other| other.start < range.end) {
        if from < other.start {
            take(from..other.start);
        }
        from = from.max(other.end);
    }
    if from < range.end {
        take(from..range.end);
    }
}

/// The end of the range (they are in order) that holds an address.
pub(super) fn end_of(addr: u64, ranges: &[Range<u64>]) -> Option<u64> {
    let after = ranges.partition_point(|range| range.start <= addr);
    ranges[..after].last().map(|range| range.end).filter(|&end| addr < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left() {
        let mut some = Ranges::default();
        [10..20, 15..25, 40..50, 0..3, 30..30].into_iter().for_each(|range| some.add(range));
        let some = some.merged();
        assert_eq!(some, [0..3, 10..25, 40..50]);
        let left = |range| {
            let mut parts = Vec::new();
            without(range, &some, &mut |part| parts.push(part));
            parts
        };
        assert_eq!(left(0..60), [3..10, 25..40, 50..60]);
        assert_eq!(left(12..45), vec![25..40]);
        assert_eq!(left(12..20), vec![]);
        assert_eq!((end_of(3, &some), end_of(24, &some)), (None, Some(25)));
    }
}
