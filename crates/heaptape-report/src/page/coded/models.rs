//! How numbers become decisions: by what was there before at such a place.

use super::coder::{Chance, Coder};

/// Mixes a number into another one; the top bits of what comes out depend on all of both.
pub(super) fn mix(a: u32, b: u32) -> u32 {
    let both = a.wrapping_mul(0x9e37_79b1) ^ b;
    (both ^ both >> 15).wrapping_mul(0x85eb_ca6b)
}

/// The sum of all that was said, as decisions of even chance: so damage is noticed.
pub(super) fn code_sum(coder: &mut impl Coder, sum: u32) -> Result<(), &'static str> {
    let mut read = 0;
    for nth in (0..32).rev() {
        let yes = coder.decide(&mut Chance::EVEN.clone(), sum >> nth & 1 == 1);
        read = read << 1 | u32::from(yes);
    }
    if read == sum { Ok(()) } else { Err("it is damaged") }
}

/// Chances by number.
#[derive(Debug)]
pub(super) struct Chances(Vec<Chance>);

impl Chances {
    /// So many, all even.
    pub(super) fn new(count: usize) -> Chances {
        Chances(vec![Chance::EVEN; count])
    }

    /// A decision at a place.
    pub(super) fn decide(&mut self, coder: &mut impl Coder, place: usize, yes: bool) -> bool {
        coder.decide(&mut self.0[place], yes)
    }

    /// A decision by two places, the narrower first: that is believed once it knows something. They may be the same.
    fn decide_by(&mut self, coder: &mut impl Coder, [narrow, wide]: [usize; 2], yes: bool) -> bool {
        if narrow == wide {
            return self.decide(coder, narrow, yes);
        }
        let yes = coder.decide(&mut self.0[narrow].beside(self.0[wide]), yes);
        self.0[narrow].learn(yes);
        self.0[wide].learn(yes);
        yes
    }

    /// A number of so many bits, the highest first: each has its chance by those above it. `place` is where its
    /// chances begin, in a ring of all.
    pub(super) fn bits(
        &mut self,
        coder: &mut impl Coder,
        place: usize,
        bits: u32,
        number: u32,
    ) -> u32 {
        let mut path = 1;
        for nth in (0..bits).rev() {
            let at = (place + path as usize) % self.0.len();
            path = path << 1 | u32::from(self.decide(coder, at, number >> nth & 1 == 1));
        }
        path & ((1_u64 << bits) - 1) as u32
    }

    /// The same by two places, the narrower first.
    pub(super) fn bits_by(
        &mut self,
        coder: &mut impl Coder,
        places: [usize; 2],
        bits: u32,
        number: u32,
    ) -> u32 {
        let mut path = 1;
        for nth in (0..bits).rev() {
            let at = places.map(|place| (place + path as usize) % self.0.len());
            path = path << 1 | u32::from(self.decide_by(coder, at, number >> nth & 1 == 1));
        }
        path & ((1_u64 << bits) - 1) as u32
    }
}

/// Numbers of any size: how many bits they have, then the bits: the highest four below the leading one by those above,
/// the others by their place.
#[derive(Debug)]
pub(super) struct Numbers(Chances);

impl Numbers {
    /// Chances of a kind of numbers: 64 for how many bits, 64 for the bits of each.
    const ROOM: usize = 64 + 64 * 64;
    /// Of larger numbers the page would know the first bits only.
    const MOST_BITS: u32 = 53;

    /// Of so many kinds.
    pub(super) fn new(kinds: usize) -> Numbers {
        Numbers(Chances::new(kinds * Numbers::ROOM))
    }

    /// A number below 2^53.
    pub(super) fn code(&mut self, coder: &mut impl Coder, kind: usize, number: u64) -> u64 {
        let base = kind * Numbers::ROOM;
        let bits = self.0.bits(coder, base, 6, 64 - number.leading_zeros());
        let bits = bits.min(Numbers::MOST_BITS);
        if bits == 0 {
            return 0;
        }
        let mut read = 1_u64;
        for nth in (0..bits - 1).rev() {
            let bit = number >> nth & 1 == 1;
            let below = bits - 1 - nth;
            let place = if below <= 4 { read as usize } else { 16 + nth as usize };
            let bit = self.0.decide(coder, base + 64 + bits as usize * 64 + place, bit);
            read = read << 1 | u64::from(bit);
        }
        read
    }
}

/// Values that come again where they were before. A *context* is what is known beside the value, as a number; each
/// remembers the value that it had last, and how often that was right. Asked are several, the narrowest first.
#[derive(Debug)]
pub(super) struct Guesses<const CONTEXTS: usize> {
    slots: Vec<Slot>,
    chances: Chances,
    places: [usize; CONTEXTS],
    /// What was guessed, and wrong.
    wrong: [u32; CONTEXTS],
    wrongs: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    value: u32,
    /// The last four times, the newest lowest: whether it was right. With bit 4 there is a value.
    right: u32,
}

const KNOWN: u32 = 16;

impl<const CONTEXTS: usize> Guesses<CONTEXTS> {
    /// Slots of each context.
    const SLOTS: usize = 1 << 16;

    /// Nothing is known.
    pub(super) fn new() -> Self {
        Guesses {
            slots: vec![Slot::default(); CONTEXTS * Self::SLOTS],
            chances: Chances::new(CONTEXTS * CONTEXTS * 16 * 8),
            places: [0; CONTEXTS],
            wrong: [0; CONTEXTS],
            wrongs: 0,
        }
    }

    /// Guesses. `None`: none is right; then the value is to be said otherwise. In any case it is to be learnt.
    pub(super) fn guess(
        &mut self,
        coder: &mut impl Coder,
        contexts: [u32; CONTEXTS],
        value: u32,
    ) -> Option<u32> {
        for (nth, context) in contexts.into_iter().enumerate() {
            self.places[nth] = nth * Self::SLOTS + (context >> 16) as usize;
        }
        self.wrongs = 0;
        for nth in 0..CONTEXTS {
            let slot = self.slots[self.places[nth]];
            if slot.right & KNOWN == 0 || self.was_wrong(slot.value) {
                continue;
            }
            let mut agree = 0;
            for wider in nth + 1..CONTEXTS {
                let other = self.slots[self.places[wider]];
                let same = other.right & KNOWN != 0 && other.value == slot.value;
                agree = agree << 1 | usize::from(same);
            }
            let place = ((self.wrongs * CONTEXTS + nth) << 4 | (slot.right & 15) as usize) << 3;
            if self.chances.decide(coder, place | agree, slot.value == value) {
                return Some(slot.value);
            }
            self.wrong[self.wrongs] = slot.value;
            self.wrongs += 1;
        }
        None
    }

    /// Whether it was guessed, and wrong.
    pub(super) fn was_wrong(&self, value: u32) -> bool {
        self.wrong[..self.wrongs].contains(&value)
    }

    /// Tells what the value was. A context keeps its own until it was wrong twice.
    pub(super) fn learn(&mut self, value: u32) {
        for place in self.places {
            let slot = &mut self.slots[place];
            let right = slot.right & KNOWN != 0 && slot.value == value;
            let before = slot.right;
            slot.right = KNOWN | (before << 1 & 15) | u32::from(right);
            if !right && before & 1 == 0 {
                *slot = Slot { value, right: KNOWN | 1 };
            }
        }
    }
}
