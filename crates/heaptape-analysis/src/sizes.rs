//! Sizes asked for: median and largest.

use rustc_hash::FxHashMap;

/// Sizes below are counted one by one.
const SMALL: u64 = 1 << 16;

/// Counts sizes.
///
/// Sizes up to 65,535 bytes are counted one by one; larger ones are rounded down to 16 significant bits
/// (less than 0.004 % off), so that memory is bounded whatever a program asks for.
#[derive(Debug, Default)]
pub struct Sizes {
    /// Of each size that is counted by itself, up to the largest of them.
    small: Vec<u64>,
    large: FxHashMap<u64, u64>,
    total: u64,
    largest: u64,
}

impl Sizes {
    /// Counts one block.
    #[inline]
    pub fn add(&mut self, size: u64) {
        match self.small.get_mut(size as usize) {
            Some(count) => *count += 1,
            None => self.add_new(size),
        }
        self.total += 1;
        self.largest = self.largest.max(size);
    }

    #[cold]
    fn add_new(&mut self, size: u64) {
        if size >= SMALL {
            *self.large.entry(rounded(size)).or_default() += 1;
            return;
        }
        self.small.resize(size as usize + 1, 0);
        self.small[size as usize] = 1;
    }

    /// Counts `count` blocks, at least one, of one size.
    pub fn add_many(&mut self, size: u64, count: u64) {
        self.add(size);
        let more = count.saturating_sub(1);
        self.total = self.total.saturating_add(more);
        let counted = match self.small.get_mut(size as usize) {
            Some(counted) => counted,
            None => self.large.entry(rounded(size)).or_default(),
        };
        *counted = counted.saturating_add(more);
    }

    /// The largest size; `None` when nothing was counted.
    pub fn largest(&self) -> Option<u64> {
        (self.total > 0).then_some(self.largest)
    }

    /// The lower median, to the precision of [`Sizes`]; `None` when nothing was counted.
    pub fn median(&self) -> Option<u64> {
        let mut large: Vec<(u64, u64)> = self.large.iter().map(|(s, c)| (*s, *c)).collect();
        large.sort_unstable();
        let small = (0..).zip(self.small.iter().copied());
        let rank = self.total.div_ceil(2);
        let mut seen = 0_u64;
        // No size has rank 0: nothing was counted.
        small.chain(large).filter(|_| rank > 0).find_map(|(size, count)| {
            seen = seen.saturating_add(count);
            (seen >= rank).then_some(size)
        })
    }
}

fn rounded(size: u64) -> u64 {
    let low_bits = (u64::BITS - size.leading_zeros()).saturating_sub(16);
    size >> low_bits << low_bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_has_no_median() {
        assert_eq!((Sizes::default().median(), Sizes::default().largest()), (None, None));
    }

    proptest! {
        #[test]
        fn median_is_the_middle_of_the_sorted_sizes(
            sizes in prop::collection::vec(prop_oneof![0_u64..70_000, any::<u64>()], 1..60),
        ) {
            let mut counted = Sizes::default();
            sizes.iter().for_each(|&size| counted.add(size));
            let mut sorted = sizes;
            sorted.sort_unstable();
            let middle = sorted[(sorted.len() - 1) / 2];
            let median = counted.median().unwrap();
            prop_assert!(median <= middle && middle - median <= middle / 25_000);
            prop_assert!(middle >= 1 << 16 || median == middle);
            prop_assert_eq!(counted.largest(), sorted.last().copied());
        }
    }
}
