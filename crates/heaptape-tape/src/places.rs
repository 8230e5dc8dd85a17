//! Numbers by address: an open-addressing index of eight bytes a place.
//!
//! It holds no addresses. Whoever keeps what lies at them numbers it, and tells the address of a number where
//! tags do not decide.
//!
//! Where an address is looked for depends on a key that each index draws: a tape can be made of addresses
//! that would all be at one place, but only by who knows the key.

use std::hash::{BuildHasher, RandomState};

/// No number: an empty place.
pub(crate) const NONE: u32 = u32::MAX;
const EMPTY: Place = Place { tag: 0, number: NONE };

/// What is at an address. The tag is made from the address; who gave the number has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    tag: u32,
    number: u32,
}

/// The index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places {
    /// A power of two, at least twice the number of those taken; or none.
    places: Vec<Place>,
    taken: usize,
    /// 64 less the binary logarithm of the number of places.
    shift: u32,
    /// What tags are made with; drawn with the first places.
    key: u64,
}

impl Places {
    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }

    /// All numbers, in no order.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.places.iter().map(|place| place.number).filter(|&number| number != NONE)
    }

    /// Empties it. Its memory is kept for others to come.
    pub(crate) fn clear(&mut self) {
        self.places.fill(EMPTY);
        self.taken = 0;
    }

    /// The number at an address. `addr_of` tells the address of a number, here and below.
    #[inline(always)]
    pub(crate) fn find(&self, addr: u64, addr_of: impl Fn(u32) -> u64) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let at = self.search(addr, addr_of).ok()?;
        Some(self.places[at].number)
    }

    /// Puts a number at an address and returns the one that was there.
    #[inline(always)]
    pub(crate) fn put(
        &mut self,
        addr: u64,
        number: u32,
        addr_of: impl Fn(u32) -> u64,
    ) -> Option<u32> {
        self.make_room();
        match self.search(addr, addr_of) {
            Ok(at) => Some(std::mem::replace(&mut self.places[at].number, number)),
            Err(at) => {
                self.fill(at, addr, number);
                None
            }
        }
    }

    /// The number at an address; where there is none, it is `number` from now on.
    #[inline(always)]
    pub(crate) fn find_or_put(
        &mut self,
        addr: u64,
        number: u32,
        addr_of: impl Fn(u32) -> u64,
    ) -> u32 {
        self.make_room();
        match self.search(addr, addr_of) {
            Ok(at) => self.places[at].number,
            Err(at) => {
                self.fill(at, addr, number);
                number
            }
        }
    }

    /// Takes the number at an address out.
    #[inline(always)]
    pub(crate) fn take(&mut self, addr: u64, addr_of: impl Fn(u32) -> u64) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let at = self.search(addr, addr_of).ok()?;
        let number = self.places[at].number;
        self.close_gap(at);
        Some(number)
    }

    /// Puts `now` where `was` is at an address; either may be [`NONE`].
    ///
    /// Does not ask for addresses: of many changes at once, some numbers mean another address already. Two
    /// places of one tag and one number are as good as each other, so any of them will do.
    pub(crate) fn change(&mut self, addr: u64, was: u32, now: u32) {
        if was == now {
            return;
        }
        if was == NONE {
            self.make_room();
        }
        let tag = self.tag(addr);
        let at = self.walk(tag, |place| place.tag == tag && place.number == was);
        match (at, now) {
            (Ok(at), NONE) => self.close_gap(at),
            (Ok(at), now) => self.places[at].number = now,
            (Err(_), NONE) => {}
            (Err(at), now) => self.fill(at, addr, now),
        }
    }

    /// What is where the search for each of these addresses begins: mostly its number, or [`NONE`].
    pub(crate) fn guess(&self, addrs: impl Iterator<Item = u64>) -> impl Iterator<Item = u32> {
        let addrs = addrs.filter(|_| !self.places.is_empty());
        addrs.map(|addr| self.places[self.home(self.tag(addr))].number)
    }

    /// The place of an address, or the empty place where it would be. There must be places.
    #[inline(always)]
    fn search(&self, addr: u64, addr_of: impl Fn(u32) -> u64) -> Result<usize, usize> {
        let tag = self.tag(addr);
        self.walk(tag, |place| place.tag == tag && addr_of(place.number) == addr)
    }

    /// The first place on the way of a tag that is the one, or the empty place where the way ends.
    #[inline(always)]
    fn walk(&self, tag: u32, is_it: impl Fn(Place) -> bool) -> Result<usize, usize> {
        let mask = self.places.len() - 1;
        let mut at = self.home(tag);
        loop {
            let place = self.places[at];
            if place.number == NONE {
                return Err(at);
            }
            if is_it(place) {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
    }

    /// The place where the search for a tag begins.
    #[inline(always)]
    fn home(&self, tag: u32) -> usize {
        (u64::from(tag) << 32 >> self.shift) as usize
    }

    /// The part of an address that its place holds: the upper half of a product. What a bit of the address adds
    /// to it or takes from it, the key decides.
    #[inline(always)]
    fn tag(&self, addr: u64) -> u32 {
        ((addr ^ self.key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }

    #[inline(always)]
    fn fill(&mut self, at: usize, addr: u64, number: u32) {
        self.places[at] = Place { tag: self.tag(addr), number };
        self.taken += 1;
    }

    /// Empties a place. Later ones that a search would no longer reach move up.
    #[inline(always)]
    fn close_gap(&mut self, mut gap: usize) {
        self.taken -= 1;
        let mask = self.places.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place.number == NONE {
                break;
            }
            let way = at.wrapping_sub(self.home(place.tag)) & mask;
            if way >= at.wrapping_sub(gap) & mask {
                self.places[gap] = place;
                gap = at;
            }
        }
        self.places[gap] = EMPTY;
    }

    #[inline(always)]
    fn make_room(&mut self) {
        if 2 * (self.taken + 1) > self.places.len() {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        if self.places.is_empty() {
            self.key = RandomState::new().hash_one(());
        }
        let len = (2 * self.places.len()).max(64);
        let before = std::mem::replace(&mut self.places, vec![EMPTY; len]);
        self.shift = 64 - len.ilog2();
        for place in before.into_iter().filter(|place| place.number != NONE) {
            let mut at = self.home(place.tag);
            while self.places[at].number != NONE {
                at = (at + 1) & (len - 1);
            }
            self.places[at] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Addresses whose halves cancel each other were all at one place: a tape of 481 bytes took 11.5 s. Where
    /// they are now is checked, not how long it takes.
    #[test]
    fn chosen_addresses_do_not_meet() {
        let chosen: [fn(u64) -> u64; 4] =
            [|n| n << 36 | n << 4, |n| n << 4, |n| n << 32, |n| n.wrapping_mul(0x9e37_79b9_0000)];
        for addr in chosen {
            let mut index = Places::default();
            for number in 1..=10_000 {
                index.put(addr(number), number as u32, |number| addr(number.into()));
            }
            let mask = index.places.len() - 1;
            let taken = (0..).zip(&index.places).filter(|(_, place)| place.number != NONE);
            let way = |(at, place): (usize, &Place)| at.wrapping_sub(index.home(place.tag)) & mask;
            let furthest = taken.map(way).max().unwrap();
            assert!(furthest < 500, "{furthest} places from home");
        }
    }

    proptest! {
        /// Neighbours, addresses of the same unit, of the same tag, and of the same page offset. Numbers are
        /// used again at once, and looked up before and after many changes told together.
        #[test]
        fn agrees_with_a_sorted_map(
            rounds in prop::collection::vec(
                prop::collection::vec(
                    (0u8..4, 0u64..40, prop::sample::select(vec![1, 16, 4096, 0x10_0000_0010])),
                    0..40,
                ),
                0..10,
            )
        ) {
            let (mut index, mut map) = (Places::default(), BTreeMap::<u64, u32>::new());
            let mut addrs: Vec<u64> = Vec::new();
            let mut free: Vec<u32> = Vec::new();
            for (round, steps) in rounds.into_iter().enumerate() {
                let before = map.clone();
                let together = round % 2 == 0;
                for (what, number, stride) in steps {
                    let addr = number * stride;
                    let known = map.get(&addr).copied();
                    if what < 2 {
                        let number = free.pop().unwrap_or(addrs.len() as u32);
                        if number as usize == addrs.len() {
                            addrs.push(0);
                        }
                        if !together {
                            prop_assert_eq!(index.put(addr, number, |n| addrs[n as usize]), known);
                        }
                        addrs[number as usize] = addr;
                        free.extend(map.insert(addr, number));
                    } else {
                        if !together {
                            prop_assert_eq!(index.take(addr, |n| addrs[n as usize]), known);
                        }
                        free.extend(map.remove(&addr));
                    }
                }
                if together {
                    let at = |map: &BTreeMap<u64, u32>, addr| map.get(&addr).copied().unwrap_or(NONE);
                    let all: Vec<u64> = before.keys().chain(map.keys()).copied().collect();
                    for addr in all.into_iter().collect::<std::collections::BTreeSet<_>>() {
                        index.change(addr, at(&before, addr), at(&map, addr));
                    }
                }
                prop_assert_eq!(index.taken, map.len());
                for number in 0..40 {
                    for stride in [1, 16, 4096, 0x10_0000_0010] {
                        let found = index.find(number * stride, |n| addrs[n as usize]);
                        prop_assert_eq!(found, map.get(&(number * stride)).copied());
                    }
                }
                let mut numbers: Vec<u32> = index.numbers().collect();
                numbers.sort_unstable();
                let mut expected: Vec<u32> = map.values().copied().collect();
                expected.sort_unstable();
                prop_assert_eq!(numbers, expected);
            }
        }
    }
}
