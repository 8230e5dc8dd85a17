//! When short blocks ended: two bytes a block, as hardly one lives through more events than they can tell.

/// It is not short.
const LONG: u16 = u16::MAX;
/// It is short, and lived longer than two bytes tell.
const FAR: u16 = u16::MAX - 1;

/// Ends of blocks by their place in the order of birth.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Events from birth to end.
    lives: Vec<u16>,
    /// The places and ends of those that lived longer.
    far: Vec<(u32, u32)>,
}

impl Ends {
    /// With room for so many blocks.
    pub(super) fn with_room(blocks: usize) -> Ends {
        Ends { lives: Vec::with_capacity(blocks), far: Vec::new() }
    }

    /// The next block was born. It counts as long until its end is told.
    #[inline]
    pub(super) fn born(&mut self) {
        self.lives.push(LONG);
    }

    /// A block is short, and ended then. Each is told of once.
    #[inline]
    pub(super) fn set(&mut self, place: u32, born: u32, died: u32) {
        let life = died - born;
        let Some(own) = self.lives.get_mut(place as usize) else { return };
        *own = life.min(u32::from(FAR)) as u16;
        if *own == FAR {
            self.far.push((place, died));
        }
    }

    /// All are told of.
    pub(super) fn finish(&mut self) {
        self.lives.shrink_to_fit();
        self.far.shrink_to_fit();
        self.far.sort_unstable();
    }

    /// When a block ended that was born then, if it is short.
    #[inline]
    pub(super) fn of(&self, place: u32, born: u32) -> Option<u32> {
        match self.lives.get(place as usize).copied()? {
            LONG => None,
            FAR => {
                let known = self.far.binary_search_by_key(&place, |far| far.0).ok()?;
                Some(self.far[known].1)
            }
            life => Some(born + u32::from(life)),
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        (self.lives.capacity() * 2 + self.far.capacity() * 8) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ends_are_told_as_they_were_set(
            lives in prop::collection::vec(prop_oneof![0_u32..9, 65_530_u32..65_540, 0..u32::MAX / 2], 0..40),
        ) {
            let mut ends = Ends::with_room(3);
            lives.iter().for_each(|_| ends.born());
            let places: Vec<(u32, u32)> = (0..).zip(lives).collect();
            for &(place, life) in places.iter().rev().filter(|it| it.1 % 5 > 0) {
                ends.set(place, place, place + life);
            }
            ends.finish();
            for (place, life) in places {
                let end = (life % 5 > 0).then_some(place + life);
                prop_assert_eq!(ends.of(place, place), end);
            }
        }
    }
}
